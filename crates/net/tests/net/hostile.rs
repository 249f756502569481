//! Each way in which a peer may be hostile, by name: the fetch ends with the right bytes from an honest one, and who gave wrong bytes is
//! banned, who was slow or silent is not.

use crate::common::{Desk, Fetch, bytes, fetch, id, is_played_alone, most_memory, peer, serve, words};
use crate::liar::{Liar, give, has_not, head};
use sip_net::{FetchError, Hello, Item, Peer, Request, Server};
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const LIAR: u8 = 66;
const HONEST: u8 = 1;

/// A blob at an honest peer's, whose shelf the liar knows.
struct Scene {
    one: Desk,
    server: Server,
    two: Desk,
    item: Item,
    content: Vec<u8>,
}

impl Scene {
    fn new(len: usize) -> Scene {
        let (one, two) = (Desk::new(), Desk::new());
        let content = bytes(len, 7);
        let item = Item::blob(one.shelf.put_bytes(&content).unwrap(), len as u64);
        let server = serve(&one.shelf);
        Scene { one, server, two, item, content }
    }

    /// Fetches from a liar alone, which comes to nothing, then from it and an honest peer.
    fn play(&self, liar: &Liar, seconds_alone: f32) -> (Fetch, Fetch) {
        let liar = Peer { id: id(LIAR), address: liar.address.to_string() };
        let alone = fetch(&self.two.shelf, &self.item, std::slice::from_ref(&liar), seconds_alone);
        assert!(!self.two.shelf.is_whole(&self.item.root));
        let both = fetch(&self.two.shelf, &self.item, &[liar, peer(HONEST, &self.server)], 30.0);
        both.result.as_ref().unwrap();
        assert_eq!(self.two.shelf.read(&self.item.root, self.content.len() as u64).unwrap(), self.content);
        (alone, both)
    }
}

fn why(fetch: &Fetch) -> String {
    fetch.result.as_ref().unwrap_err().to_string()
}

#[test]
fn wrong_bytes_in_a_piece_are_a_ban_and_nothing_of_the_piece_is_kept() {
    let scene = Scene::new(64 << 20);
    let liar = Liar::start(&scene.one.shelf, |request, right, stream| {
        let mut answer = right.unwrap();
        if matches!(request, Request::Groups { first: 0, .. }) {
            // In the third frame of the first stripe.
            answer[(2 << 20) + 5000] ^= 1;
        }
        give(stream, &answer)
    });
    let (alone, both) = scene.play(&liar, 5.0);
    assert!(alone.is_banned(LIAR) && why(&alone).contains("do not stand under it"), "{}", why(&alone));
    assert!(!both.is_banned(HONEST));
}

#[test]
fn right_bytes_of_another_root_are_a_ban() {
    let scene = Scene::new(3 << 20);
    let other = scene.one.shelf.put_bytes(&bytes(3 << 20, 8)).unwrap();
    let shelf = scene.one.shelf.clone();
    let liar = Liar::start(&scene.one.shelf, move |request, _, stream| {
        let Request::Groups { bytes, first, count, .. } = *request else { return has_not(stream) };
        let other = Request::Groups { root: other, bytes, first, count };
        give(stream, &crate::common::right_answer(&shelf, &other).unwrap())
    });
    assert!(scene.play(&liar, 3.0).0.is_banned(LIAR));
}

#[test]
fn another_place_of_the_right_blob_is_a_ban() {
    let scene = Scene::new(20 << 20);
    let shelf = scene.one.shelf.clone();
    let liar = Liar::start(&scene.one.shelf, move |request, right, stream| match *request {
        Request::Groups { root, bytes, first: 0, count } => {
            let other = Request::Groups { root, bytes, first: 512, count };
            give(stream, &crate::common::right_answer(&shelf, &other).unwrap())
        }
        _ => give(stream, &right.unwrap()),
    });
    assert!(scene.play(&liar, 3.0).0.is_banned(LIAR));
}

/// A state at an honest peer's, and a liar about its list.
fn play_list(lie: impl Fn(Vec<u8>, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Fetch {
    let (one, two) = (Desk::new(), Desk::new());
    let entries = [words(100, 1), words(200_000, 2), words(5, 3)];
    let item = one.shelf.put_state(&entries.each_ref().map(|entry| &entry[..])).unwrap();
    let server = serve(&one.shelf);
    let liar = Liar::start(&one.shelf, move |request, right, stream| match request {
        Request::List { .. } => lie(right.unwrap(), stream),
        _ => give(stream, &right.unwrap()),
    });
    let liar = Peer { id: id(LIAR), address: liar.address.to_string() };
    let alone = fetch(&two.shelf, &item, std::slice::from_ref(&liar), 1.5);
    assert!(alone.result.is_err());
    fetch(&two.shelf, &item, &[liar, peer(HONEST, &server)], 30.0).result.unwrap();
    assert_eq!(two.shelf.read_state(&item).unwrap(), entries);
    alone
}

#[test]
fn an_oversized_list_is_a_ban_before_it_is_read() {
    let oversized = play_list(|_, stream| {
        head(stream, 1 << 40)?;
        let zeros = [0; 1 << 16];
        (0..1 << 24).try_for_each(|_| stream.write_all(&zeros))
    });
    assert!(
        oversized.is_banned(LIAR) && why(&oversized).contains("1099511627776 bytes where 96"),
        "{}",
        why(&oversized)
    );
}

#[test]
fn another_list_is_a_ban() {
    let swapped = play_list(|mut right, stream| {
        right.rotate_left(32);
        give(stream, &right)
    });
    assert!(swapped.is_banned(LIAR) && why(&swapped).contains("another list"));
}

#[test]
fn an_endless_stream_is_a_ban_and_takes_no_memory() {
    if is_played_alone("hostile::an_endless_stream_is_a_ban_and_takes_no_memory") {
        return;
    }
    let scene = Scene::new(3 << 20);
    let before = most_memory();
    let liar = Liar::start(&scene.one.shelf, |_, _, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nsip-net: 1\r\nconnection: close\r\n\r\n")?;
        let zeros = [0; 1 << 16];
        (0..1 << 24).try_for_each(|_| stream.write_all(&zeros))
    });
    let (alone, _) = scene.play(&liar, 3.0);
    assert!(alone.is_banned(LIAR) && why(&alone).contains("stream without a length"), "{}", why(&alone));
    let grown = most_memory() - before;
    assert!(grown < 64 << 20, "{grown} bytes");
}

#[test]
fn an_endless_head_is_no_answer() {
    let scene = Scene::new(100_000);
    let liar = Liar::start(&scene.one.shelf, |_, _, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\n")?;
        (0..1 << 24).try_for_each(|_| write!(stream, "x: y\r\n"))
    });
    let (alone, _) = scene.play(&liar, 1.0);
    assert!(!alone.is_banned(LIAR) && alone.was_aside(LIAR));
    assert!(why(&alone).contains("does not speak sip/1"), "{}", why(&alone));
}

/// One byte at a time.
fn trickle(stream: &mut TcpStream, bytes: &[u8], pause: Duration) -> io::Result<()> {
    bytes.iter().try_for_each(|byte| {
        std::thread::sleep(pause);
        stream.write_all(&[*byte])
    })
}

#[test]
fn one_byte_a_second_is_slow_and_no_ban() {
    let scene = Scene::new(3 << 20);
    let liar = Liar::start(&scene.one.shelf, |_, right, stream| {
        let right = right.unwrap();
        head(stream, right.len() as u64)?;
        trickle(stream, &right, Duration::from_millis(50))
    });
    let began = Instant::now();
    let (alone, both) = scene.play(&liar, 2.0);
    assert!(began.elapsed() < Duration::from_secs(10), "the honest peer does what the slow one does not");
    assert!(why(&alone).contains("too slow: less than 65536 bytes a second"), "{}", why(&alone));
    assert!(!alone.is_banned(LIAR) && !both.is_banned(LIAR));
    assert_eq!(both.bytes_from(HONEST), 3 << 20);
}

#[test]
fn a_head_byte_by_byte_is_slow_and_no_ban() {
    let scene = Scene::new(100_000);
    let liar = Liar::start(&scene.one.shelf, |_, _, stream| {
        trickle(stream, b"HTTP/1.1 200 OK\r\nsip-net: 1\r\ncontent-length: 100000\r\n\r\n", Duration::from_millis(100))
    });
    let (alone, _) = scene.play(&liar, 3.0);
    assert!(!alone.is_banned(LIAR) && why(&alone).contains("no answer within 2 s"), "{}", why(&alone));
}

#[test]
fn silence_after_the_greeting_is_slow_and_no_ban() {
    let scene = Scene::new(100_000);
    let liar = Liar::start(&scene.one.shelf, |_, _, _| {
        std::thread::sleep(Duration::from_secs(600));
        Ok(())
    });
    let (alone, _) = scene.play(&liar, 3.0);
    assert!(!alone.is_banned(LIAR) && alone.was_aside(LIAR));
}

#[test]
fn games_with_versions_are_no_conversation_and_no_ban() {
    for (hello, reason) in [
        (Hello { min_version: 2, max_version: 9, ..Hello::OWN }.encode().to_vec(), "it speaks versions 2 to 9"),
        (Hello { min_version: 0, max_version: 0, ..Hello::OWN }.encode().to_vec(), "it speaks versions 0 to 0"),
        (Hello { min_version: 9, max_version: 1, ..Hello::OWN }.encode().to_vec(), "greets in another way"),
        (Hello { group_bytes: 1, ..Hello::OWN }.encode().to_vec(), "does not speak"),
        (vec![0; 32], "greets in another way"),
    ] {
        let scene = Scene::new(100_000);
        let liar = Liar::from_the_start(&scene.one.shelf, move |_, _, stream| give(stream, &hello));
        let (alone, _) = scene.play(&liar, 0.5);
        assert!(!alone.is_banned(LIAR) && why(&alone).contains(reason), "{reason}: {}", why(&alone));
    }
    // A peer that speaks more versions than we do is understood.
    let scene = Scene::new(100_000);
    let newer = Liar::from_the_start(&scene.one.shelf, |request, right, stream| match request {
        Request::Hello => give(stream, &Hello { min_version: 0, max_version: u16::MAX, ..Hello::OWN }.encode()),
        _ => give(stream, &right.unwrap()),
    });
    let newer = Peer { id: id(LIAR), address: newer.address.to_string() };
    fetch(&scene.two.shelf, &scene.item, &[newer], 10.0).result.unwrap();
}

#[test]
fn another_web_server_at_the_address_is_no_peer_and_no_ban() {
    let scene = Scene::new(100_000);
    let liar = Liar::from_the_start(&scene.one.shelf, |_, _, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 32\r\n\r\n<html>welcome to my pages</html>")
    });
    let (alone, _) = scene.play(&liar, 0.5);
    assert!(!alone.is_banned(LIAR) && why(&alone).contains("does not say that it is a peer"), "{}", why(&alone));
}

#[test]
fn a_peer_that_lies_about_what_it_has_is_left_alone_and_no_ban() {
    let scene = Scene::new(20 << 20);
    let liar = Liar::start(&scene.one.shelf, |_, _, stream| has_not(stream));
    let (alone, both) = scene.play(&liar, 1.0);
    assert!(!alone.is_banned(LIAR) && why(&alone).contains("does not have it"), "{}", why(&alone));
    assert_eq!(both.bytes_from(HONEST), 20 << 20);
    let asked = liar.asked.load(Ordering::SeqCst);
    assert!(asked < 200, "it is not asked without end: {asked}");
}

#[test]
fn a_seat_that_serves_only_some_gives_these_and_another_the_rest() {
    let scene = Scene::new(40 << 20);
    let liar = Liar::start(&scene.one.shelf, |request, right, stream| match request {
        Request::Groups { first, .. } if *first >= 1024 => has_not(stream),
        _ => give(stream, &right.unwrap()),
    });
    let (alone, both) = scene.play(&liar, 2.0);
    let FetchError::Late { missing_bytes, .. } = alone.result.as_ref().unwrap_err() else { panic!() };
    assert_eq!(*missing_bytes, 24 << 20, "what it gives is kept");
    assert_eq!(both.bytes_from(HONEST), 24 << 20);
}

#[test]
fn a_peer_that_dies_in_the_middle_loses_only_the_piece_it_was_at() {
    let scene = Scene::new(64 << 20);
    let liar = Liar::start(&scene.one.shelf, |request, right, stream| {
        let right = right.unwrap();
        head(stream, right.len() as u64)?;
        let Request::Groups { first, .. } = request else { return Ok(()) };
        // Each stripe breaks off after three frames and a half.
        stream.write_all(&right[..(3 << 20) + (1 << 19)])?;
        Err(io::Error::other(format!("dies at {first}")))
    });
    let (alone, both) = scene.play(&liar, 2.0);
    assert!(!alone.is_banned(LIAR) && alone.was_aside(LIAR));
    let FetchError::Late { missing_bytes, .. } = alone.result.as_ref().unwrap_err() else { panic!() };
    assert!(*missing_bytes <= 61 << 20, "{missing_bytes}");
    assert!(both.bytes_from(HONEST) <= *missing_bytes);
}

#[test]
fn forty_liars_do_not_keep_an_honest_peer_away() {
    let scene = Scene::new(3 << 20);
    let liars: Vec<Liar> = (0..40u8)
        .map(|number| {
            Liar::start(&scene.one.shelf, move |_, right, stream| match number % 3 {
                0 => give(stream, &vec![number; right.unwrap().len()]),
                1 => has_not(stream),
                _ => Err(io::ErrorKind::ConnectionReset.into()),
            })
        })
        .collect();
    let number = |liar: usize| 100 + liar as u8;
    let mut peers: Vec<Peer> = liars
        .iter()
        .enumerate()
        .map(|(index, liar)| Peer { id: id(number(index)), address: liar.address.to_string() })
        .collect();
    peers.push(peer(HONEST, &scene.server));
    let done = fetch(&scene.two.shelf, &scene.item, &peers, 30.0);
    assert_eq!(done.bytes_from(HONEST), 3 << 20);
    assert!((0..40).all(|liar| liar % 3 == 0 || !done.is_banned(number(liar))));
}

/// Gives what is right, at so many bytes a second over all of its connections.
fn slow(scene: &Scene, bytes_per_second: u64) -> Liar {
    paced(scene, move |_| bytes_per_second)
}

/// The same, at a pace that follows from the time since its first answer.
fn paced(scene: &Scene, pace: impl Fn(Duration) -> u64 + Send + Sync + 'static) -> Liar {
    let free = std::sync::Mutex::new(Instant::now());
    let first = std::sync::OnceLock::new();
    Liar::start(&scene.one.shelf, move |_, right, stream| {
        let began = *first.get_or_init(Instant::now);
        let right = right.unwrap();
        head(stream, right.len() as u64)?;
        right.chunks(4 << 10).try_for_each(|chunk| {
            let at = {
                let mut free = free.lock().unwrap();
                let bytes_per_second = pace(began.elapsed());
                *free =
                    (*free).max(Instant::now()) + Duration::from_secs_f64(chunk.len() as f64 / bytes_per_second as f64);
                *free
            };
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            stream.write_all(chunk)
        })
    })
}

fn slow_peers(slow: &[Liar]) -> Vec<Peer> {
    let peer = |(number, slow): (usize, &Liar)| Peer { id: id(100 + number as u8), address: slow.address.to_string() };
    slow.iter().enumerate().map(peer).collect()
}

#[test]
fn four_peers_that_give_just_enough_do_not_keep_a_fast_one_away() {
    let scene = Scene::new(12 << 20);
    let liars: Vec<Liar> = (0..4).map(|_| slow(&scene, 160 << 10)).collect();
    let mut peers = slow_peers(&liars);
    // Whom the caller thinks least of.
    peers.push(peer(HONEST, &scene.server));
    let done = fetch(&scene.two.shelf, &scene.item, &peers, 10.0);
    assert!(done.bytes_from(HONEST) > 6 << 20);
    assert!((0..4).all(|liar| !done.is_banned(100 + liar)), "slow is not wrong");
}

#[test]
fn who_was_sent_away_for_others_comes_back_when_these_give_less() {
    let scene = Scene::new(20 << 20);
    let maker = slow(&scene, 700 << 10);
    // They are fast until the maker is sent away, and then give just enough to stay.
    let fast_at_first = |elapsed: Duration| if elapsed < Duration::from_secs(4) { 1 << 20 } else { 160 << 10 };
    let liars: Vec<Liar> = (0..4).map(|_| paced(&scene, fast_at_first)).collect();
    let mut peers = vec![Peer { id: id(HONEST), address: maker.address.to_string() }];
    peers.extend(slow_peers(&liars));
    let done = fetch(&scene.two.shelf, &scene.item, &peers, 60.0);
    assert!(done.bytes_from(HONEST) > 2 << 20, "{}", done.bytes_from(HONEST));
    done.result.unwrap();
}

#[test]
fn whom_the_caller_thinks_most_of_is_asked_first() {
    let scene = Scene::new(3 << 20);
    let liars: Vec<Liar> = (0..15).map(|_| slow(&scene, 160 << 10)).collect();
    let mut peers = vec![peer(HONEST, &scene.server)];
    peers.extend(slow_peers(&liars));
    let began = Instant::now();
    fetch(&scene.two.shelf, &scene.item, &peers, 10.0).result.unwrap();
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

#[test]
fn many_small_answers_are_no_way_around_the_floor() {
    // Each answer is begun in time and comes at once, so that only all of them together are slow.
    let scene = Scene::new(40 << 14);
    let (shelf, entries) = (&scene.one.shelf, [(); 40].map(|()| words(1000, 3)));
    let entries: Vec<Vec<u32>> = entries
        .into_iter()
        .zip(0..)
        .map(|(mut words, number)| {
            words[0] = number;
            words
        })
        .collect();
    let item = shelf.put_state(&entries.iter().map(|entry| &entry[..]).collect::<Vec<_>>()).unwrap();
    let liar = Liar::start(shelf, |_, right, stream| {
        std::thread::sleep(Duration::from_millis(700));
        give(stream, &right.unwrap())
    });
    let liar = Peer { id: id(LIAR), address: liar.address.to_string() };
    let alone = fetch(&scene.two.shelf, &item, &[liar], 4.0);
    assert!(why(&alone).contains("too slow: less than 65536 bytes a second"), "{}", why(&alone));
}
