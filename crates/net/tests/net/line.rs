//! Lines that are far, lose packets, are thin, or are cut for a while.

use crate::common::{Desk, bytes, fetch, id, serve};
use sip_net::{Item, Peer};
use sip_testing::line::{Conduct, Line};
use std::time::{Duration, Instant};

#[test]
fn far_lossy_and_thin_lines_are_used_to_the_full_and_nobody_is_banned_for_them() {
    const LEN: usize = 6 << 20;
    let (one, two) = (Desk::new(), Desk::new());
    let content = bytes(LEN, 3);
    let item = Item::blob(one.shelf.put_bytes(&content).unwrap(), LEN as u64);
    let servers = [serve(&one.shelf), serve(&one.shelf), serve(&one.shelf)];
    let lines: Vec<Line> = servers.iter().map(|server| Line::to(server.address(), Conduct::FAR)).collect();
    let peers: Vec<Peer> = (1..).zip(&lines).map(|(number, line)| at(number, line)).collect();
    let begun = Instant::now();
    let fetched = fetch(&two.shelf, &item, &peers, 60.0);
    assert_eq!(two.shelf.read(&item.root, LEN as u64).unwrap(), content);
    let took = begun.elapsed();
    let all = fetched.result.as_ref().unwrap();
    // 6 MiB over three lines of 2.5 MB/s each are 0.85 s, and each first answer is most of a second away.
    assert!(took < Duration::from_secs(12), "{took:?}");
    assert!(all.from.len() == 3 && (1..=3).all(|number| !fetched.is_banned(number)), "{:?}", fetched.told);
}

fn at(number: u8, line: &Line) -> Peer {
    Peer { id: id(number), address: line.address().to_string() }
}

#[test]
fn a_third_of_the_peers_cut_off_for_a_while_holds_up_no_fetch() {
    const LEN: usize = 4 << 20;
    let (one, two) = (Desk::new(), Desk::new());
    let content = bytes(LEN, 4);
    let item = Item::blob(one.shelf.put_bytes(&content).unwrap(), LEN as u64);
    let servers = [serve(&one.shelf), serve(&one.shelf), serve(&one.shelf)];
    let near = Conduct { delay: Duration::from_millis(10), bytes_per_second: 1 << 20, ..Conduct::FAR };
    let lines: Vec<Line> = servers.iter().map(|server| Line::to(server.address(), near)).collect();
    let peers: Vec<Peer> = (1..).zip(&lines).map(|(number, line)| at(number, line)).collect();
    let fetched = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(400));
            lines[0].cut(true);
        });
        let begun = Instant::now();
        let fetched = fetch(&two.shelf, &item, &peers, 60.0);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        lines[0].cut(false);
        fetched
    });
    assert!(fetched.result.is_ok() && !fetched.is_banned(1));
    assert_eq!(two.shelf.read(&item.root, LEN as u64).unwrap(), content);
}
