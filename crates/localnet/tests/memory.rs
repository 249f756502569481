//! What a subscriber that reads nothing costs. A process of its own: nothing else uses memory meanwhile.

mod common;

use common::*;
use serde_json::json;
use sip_localnet::Limits;
use solana_address::Address;
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::Message;

/// A size of this process in bytes: `VmRSS`, what it has in use, or `VmHWM`, the most that it ever had.
fn size_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
#[cfg(target_os = "linux")]
fn a_subscriber_that_reads_nothing_costs_at_most_32_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    // The account with the program's code, some 600 KB, a thousand times.
    let loader = Address::from_str_const("BPFLoaderUpgradeab1e11111111111111111111111");
    let code = Address::find_program_address(&[PROGRAM.as_array()], &loader).0.to_string();
    let stream = TcpStream::connect(authority(&chain.websocket_url())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut deaf = tungstenite::client(chain.websocket_url(), stream).unwrap().0;
    for _ in 0..1_000 {
        let params = json!([code, { "encoding": "base64" }]);
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "accountSubscribe", "params": params });
        deaf.send(Message::text(request.to_string())).unwrap();
        deaf.read().unwrap();
    }
    // From here the most counts, not what is left once the subscriber was cut off.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = size_bytes("VmRSS:");
    for _ in 0..4 {
        get(url, "requestAirdrop", json!([code, SOL]));
    }
    std::thread::sleep(Duration::from_millis(500));
    let grown = size_bytes("VmHWM:").saturating_sub(before);
    println!("{} MB more", grown >> 20);
    assert!(grown <= 32 << 20, "{} MB", grown >> 20);
}
