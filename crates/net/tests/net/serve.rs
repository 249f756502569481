//! A server among hostile guests: an honest one is answered all the while, and everything is bounded.

use crate::common::{Desk, bytes, fetch, id, is_played_alone, most_memory, peer};
use sip_net::{Item, Peer, ServeLimits, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const LEN: usize = 3 << 20;

struct Scene {
    desk: Desk,
    item: Item,
    server: Server,
}

impl Scene {
    fn new(limits: ServeLimits) -> Scene {
        let desk = Desk::new();
        let item = Item::blob(desk.shelf.put_bytes(&bytes(LEN, 7)).unwrap(), LEN as u64);
        let server = Server::start("127.0.0.1:0".parse().unwrap(), &desk.shelf, limits).unwrap();
        Scene { desk, item, server }
    }

    /// An honest peer gets all, within so many seconds.
    fn serves(&self, seconds: f32) {
        let own = Desk::new();
        fetch(&own.shelf, &self.item, &[peer(1, &self.server)], seconds).result.unwrap();
        assert_eq!(own.shelf.read(&self.item.root, LEN as u64).unwrap(), bytes(LEN, 7));
    }

    fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Everything that a connection gives after something was sent over it.
    fn says(&self, sent: &[u8]) -> String {
        let mut stream = self.dial();
        let _ = stream.write_all(sent);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn limits() -> ServeLimits {
    ServeLimits {
        idle_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(1),
        ..ServeLimits::default()
    }
}

#[test]
fn a_thousand_half_open_connections_leave_room_for_an_honest_one() {
    if is_played_alone("serve::a_thousand_half_open_connections_leave_room_for_an_honest_one") {
        return;
    }
    let scene = Scene::new(ServeLimits { connections: 64, connections_per_address: 32, ..limits() });
    let before = most_memory();
    let mut held: Vec<TcpStream> = Vec::new();
    for number in 0..1000 {
        let mut stream = scene.dial();
        if number % 2 == 0 {
            let _ = stream.write_all(b"GET /sip/hel");
        }
        held.push(stream);
        if held.len() > 300 {
            // The server has hung up on it long since; this process may have too few files for a thousand.
            held.remove(0);
        }
        assert!(scene.server.counts().connections <= 32);
    }
    scene.serves(10.0);
    assert!(scene.server.counts().hung_up >= 900);
    let grown = most_memory() - before;
    assert!(grown < 64 << 20, "{grown} bytes");
    // Who says nothing is hung up on.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(scene.server.counts().connections, 0);
    drop(held);
}

#[test]
fn a_flood_of_small_requests_is_slowed_and_others_are_answered() {
    let scene = Scene::new(ServeLimits { requests_per_second: 200, ..limits() });
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let question = format!("GET /sip/1/blob/{}/{LEN}/7/1 HTTP/1.1\r\n\r\n", sip_data::hex(&scene.item.root));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut stream = scene.dial();
                let mut answers = stream.try_clone().unwrap();
                let reading = std::thread::spawn(move || {
                    let (mut sum, mut bytes) = (0, vec![0; 1 << 16]);
                    while let Ok(count) = answers.read(&mut bytes)
                        && count > 0
                    {
                        sum += count as u64;
                    }
                    sum
                });
                let many = question.repeat(50);
                while !stop.load(Ordering::Relaxed) {
                    if stream.write_all(many.as_bytes()).is_err() {
                        break;
                    }
                }
                let _ = stream.shutdown(std::net::Shutdown::Both);
                answered.fetch_add(reading.join().unwrap(), Ordering::Relaxed);
            });
        }
        // As many as may come at once.
        while scene.server.counts().requests < 420 {
            std::thread::sleep(Duration::from_millis(20));
        }
        let before = scene.server.counts().requests;
        let began = Instant::now();
        scene.serves(20.0);
        let (asked, seconds) = (scene.server.counts().requests - before, began.elapsed().as_secs_f64());
        stop.store(true, Ordering::Relaxed);
        assert!(asked as f64 <= 250.0 * seconds + 20.0, "{asked} in {seconds} s");
    });
}

#[test]
fn requests_byte_by_byte_and_idle_connections_end() {
    let scene = Scene::new(limits());
    let began = Instant::now();
    let mut stream = scene.dial();
    for byte in b"GET /sip/hello HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" {
        std::thread::sleep(Duration::from_millis(40));
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
    }
    assert_eq!(stream.read(&mut [0; 100]).unwrap_or(0), 0);
    let mut idle = scene.dial();
    assert_eq!(idle.read(&mut [0; 100]).unwrap_or(0), 0);
    assert!(began.elapsed() < Duration::from_secs(15));
    assert!(scene.server.counts().hung_up >= 2);
}

#[test]
fn whoever_takes_an_answer_byte_by_byte_is_hung_up_on() {
    let floor = ServeLimits { floor_window: Duration::from_secs(1), ..limits() };
    let scene = Scene::new(floor);
    let mut stream = scene.dial();
    let question = format!("GET /sip/1/blob/{}/{LEN}/0/192 HTTP/1.1\r\n\r\n", sip_data::hex(&scene.item.root));
    // More than the system keeps for one connection.
    stream.write_all(question.repeat(8).as_bytes()).unwrap();
    let began = Instant::now();
    while scene.server.counts().hung_up == 0 {
        assert!(began.elapsed() < Duration::from_secs(10));
        let _ = stream.read(&mut [0; 1]);
        std::thread::sleep(Duration::from_millis(100));
    }
    scene.serves(10.0);
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let scene = Scene::new(limits());
    let root = sip_data::hex(&scene.item.root);
    for request in [
        "GET /../../etc/passwd HTTP/1.1\r\n\r\n".to_string(),
        "GET /sip/1/list/../../lock/1 HTTP/1.1\r\n\r\n".into(),
        "GET /sip/2/list HTTP/1.1\r\n\r\n".into(),
        format!("GET /sip/1/blob/{root}/{LEN}/0/513 HTTP/1.1\r\n\r\n"),
        format!("GET /sip/1/blob/{root}/{LEN}/192/1 HTTP/1.1\r\n\r\n"),
        format!("GET /sip/1/blob/{root}/{LEN}/4294967295/4294967295 HTTP/1.1\r\n\r\n"),
        format!("GET /sip/1/list/{root}/65537 HTTP/1.1\r\n\r\n"),
        "DELETE /sip/hello HTTP/1.1\r\n\r\n".into(),
        "POST /sip/1/have HTTP/1.1\r\ncontent-length: 33\r\n\r\n000000000000000000000000000000000".into(),
        "POST /sip/1/have HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n".into(),
        "POST /sip/1/have HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".into(),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(10_000)),
        "\0\0\0\0\r\n\r\n".into(),
    ] {
        let answer = scene.says(request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"), "{request}: {answer}");
    }
    for request in [
        format!("GET /sip/1/blob/{root}/{}/0/1 HTTP/1.1\r\nconnection: close\r\n\r\n", LEN + 1),
        format!("GET /sip/1/list/{root}/2 HTTP/1.1\r\nconnection: close\r\n\r\n"),
        format!("GET /sip/1/blob/{}/1/0/1 HTTP/1.1\r\nconnection: close\r\n\r\n", "00".repeat(32)),
    ] {
        assert!(scene.says(request.as_bytes()).starts_with("HTTP/1.1 404 "), "{request}");
    }
    assert_eq!(scene.server.counts().refused, 16);
    scene.serves(10.0);
}

#[test]
fn a_server_gives_no_more_than_it_is_told_to() {
    let scene = Scene::new(ServeLimits { bytes_per_second: 2 << 20, ..limits() });
    let began = Instant::now();
    scene.serves(20.0);
    // What comes in one second is there at once.
    assert!(began.elapsed() > Duration::from_millis(400), "{:?}", began.elapsed());
}

#[test]
fn a_server_that_is_stopped_lets_go_of_its_address_and_everyone() {
    let scene = Scene::new(limits());
    let mut idle = scene.dial();
    let Scene { desk, item, server } = scene;
    let address = server.address();
    drop(server);
    assert_eq!(idle.read(&mut [0; 10]).unwrap_or(0), 0);
    let Desk { folder, shelf } = desk;
    drop(shelf);
    let shelf = sip_net::Shelf::open(folder.path()).unwrap();
    let own = Desk::new();
    let gone = Peer { id: id(1), address: address.to_string() };
    assert!(fetch(&own.shelf, &item, std::slice::from_ref(&gone), 0.5).result.is_err());
    let _server = Server::start(address, &shelf, limits()).unwrap();
    fetch(&own.shelf, &item, &[gone], 10.0).result.unwrap();
}

#[test]
fn a_tree_that_was_spoilt_on_the_disk_is_not_served() {
    let scene = Scene::new(limits());
    let tree = scene.desk.folder.path().join("blobs").join(sip_data::hex(&scene.item.root)).with_extension("tree");
    let mut spoilt = std::fs::read(&tree).unwrap();
    spoilt[5] ^= 1;
    std::fs::write(&tree, spoilt).unwrap();
    let own = Desk::new();
    let asked = fetch(&own.shelf, &scene.item, &[peer(1, &scene.server)], 0.5);
    assert!(asked.result.is_err() && !asked.is_banned(1), "an honest server with a bad disk is no liar");
}

/// A connection from an address of this machine.
#[cfg(target_os = "linux")]
fn dial_from(last: u8, server: &Server) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &std::net::SocketAddrV4::new([127, 0, 0, last].into(), 0)).unwrap();
    connect(&socket, &server.address()).unwrap();
    TcpStream::from(socket)
}

#[cfg(target_os = "linux")]
#[test]
fn guests_that_let_the_server_wait_leave_places_to_seats_and_to_another_guest() {
    // Four neighbourhoods that ask for more than guests are given, without end, on all places that they may have.
    let scene = Scene::new(ServeLimits {
        connections: 32,
        connections_per_address: 8,
        guest_connections: 16,
        trusts_own_machine: false,
        guest_bytes_per_second: 1 << 20,
        ..limits()
    });
    scene.server.seats(&["127.0.0.1".parse().unwrap()]);
    let flood = "GET /sip/hello HTTP/1.1\r\n\r\n".repeat(300);
    let held: Vec<TcpStream> = (0..32)
        .map(|number| {
            let mut stream = dial_from(2 + number / 8, &scene.server);
            let _ = stream.write_all(flood.as_bytes());
            stream
        })
        .collect();
    while scene.server.counts().requests < 64 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(scene.server.counts().connections <= 16);
    let began = Instant::now();
    scene.serves(5.0);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let mut guest = dial_from(9, &scene.server);
    guest.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    guest.write_all(b"GET /sip/hello HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    guest.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(held);
}

#[cfg(target_os = "linux")]
#[test]
fn two_seats_that_ask_without_end_leave_a_place_to_a_third() {
    let scene =
        Scene::new(ServeLimits { connections: 8, connections_per_address: 8, trusts_own_machine: false, ..limits() });
    scene.server.seats(&[1, 2, 3].map(|last| std::net::Ipv4Addr::new(127, 0, 0, last).into()));
    // More than the system keeps for one connection, and nobody reads it: each is at work, and nobody rests.
    let question = format!("GET /sip/1/blob/{}/{LEN}/0/192 HTTP/1.1\r\n\r\n", sip_data::hex(&scene.item.root));
    let held: Vec<TcpStream> = (0..8)
        .map(|number| {
            let mut stream = dial_from(2 + number / 4, &scene.server);
            stream.write_all(question.repeat(8).as_bytes()).unwrap();
            stream
        })
        .collect();
    while scene.server.counts().requests < 8 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    let mut third = dial_from(1, &scene.server);
    third.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    third.write_all(b"GET /sip/hello HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    third.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(held);
}
