//! A peer that was written from the page alone, in Python, gives us what it has and takes from us.

use crate::common::{Desk, bytes, fetch, id, serve};
use sip_net::{Item, Peer, Shape};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

fn python(arguments: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/peer.py");
    let mut command = Command::new("python3");
    command.arg(script).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Whether there is Python; without it these tests say nothing.
fn is_there() -> bool {
    Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn what_a_peer_in_another_language_serves_is_fetched() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let contents = [bytes(0, 1), bytes(5, 2), bytes(16_385, 3), bytes(1_100_000, 4)];
    for (number, content) in contents.iter().enumerate() {
        std::fs::write(folder.path().join(number.to_string()), content).unwrap();
    }
    let mut peer = python(&["serve", folder.path().to_str().unwrap()]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(peer.stdout.take().unwrap()).lines();
    let (address, root) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());
    let lengths = contents.iter().map(|content| content.len() as u64).collect();
    let item = Item { root: sip_data::unhex(&root).unwrap(), shape: Shape::List { bytes: lengths } };
    let own = Desk::new();
    let fetched = fetch(&own.shelf, &item, &[Peer { id: id(1), address }], 60.0);
    peer.kill().unwrap();
    peer.wait().unwrap();
    fetched.result.unwrap();
    for (content, root) in contents.iter().zip(own.shelf.list(&item.root).unwrap()) {
        assert_eq!(own.shelf.read(&root, content.len() as u64).unwrap(), *content);
    }
}

#[test]
fn a_reader_in_another_language_checks_what_we_serve() {
    if !is_there() {
        return;
    }
    let desk = Desk::new();
    let content = bytes(1_500_000, 5);
    let root = sip_data::hex(&desk.shelf.put_bytes(&content).unwrap());
    let server = serve(&desk.shelf);
    let address = server.address().to_string();
    for (first, count) in [(0u64, 1u64), (60, 8), (91, 1)] {
        let numbers = ["1500000".to_string(), first.to_string(), count.to_string()];
        let output = python(&["get", &address, &root, &numbers[0], &numbers[1], &numbers[2]]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let end = ((first + count) * 16_384).min(1_500_000) as usize;
        let expected = sip_data::hex(&content[(first * 16_384) as usize..end]);
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), expected);
    }
}
