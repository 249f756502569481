//! No answer of a node takes more than four bytes of memory a byte, whatever is in it, and none is read without an end: measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;

use crate::counted::*;
use sip_ledger::Ledger;
use sip_rpc::Rpc;
use solana_address::Address;

/// A tree of values may take so much, and the buffers of HTTP.
const FLOOR_BYTES: usize = 2 << 20;

/// What the node answers next; where the number is not 1, so many times.
static ANSWER: Mutex<(Vec<u8>, usize)> = Mutex::new((Vec::new(), 1));

/// A node that answers every question but its version with [`ANSWER`].
fn node() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let _ = answer(&stream);
        }
    });
    url
}

fn answer(stream: &std::net::TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let lower = line.to_ascii_lowercase();
        length = lower.strip_prefix("content-length:").map_or(length, |rest| rest.trim().parse().unwrap());
        if line == "\r\n" {
            break;
        }
    }
    let mut question = vec![0; length];
    reader.read_exact(&mut question)?;
    let mut stream = stream;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    if String::from_utf8_lossy(&question).contains("getVersion") {
        return stream.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    }
    let answer = ANSWER.lock().unwrap();
    for _ in 0..answer.1 {
        stream.write_all(&answer.0)?;
    }
    Ok(())
}

fn answer_with(text: &str, times: usize) {
    *ANSWER.lock().unwrap() = (text.as_bytes().to_vec(), times);
}

const ACCOUNT: &str = r#"{"pubkey":"11111111111111111111111111111111","account":{"lamports":1,"data":["","base64"],"owner":"11111111111111111111111111111111"}}"#;

#[test]
fn an_answer_takes_at_most_four_bytes_of_memory_a_byte() {
    let _alone = alone();
    let ledger = Rpc::connect(&node()).unwrap();
    let address = Address::default();
    let large = ACCOUNT.replace("\"\",", &format!("\"{}\",", "AAAA".repeat(LARGE / 4)));
    let mut results = hostile_values();
    results.extend([
        list(ACCOUNT, LARGE),
        format!("[{large}]"),
        format!("{{\"value\":{}}}", &large[55..large.len() - 1]),
    ]);
    results.push(format!("[{}]", ACCOUNT.replace("\"\",", &format!("\"{}\",", "\\u0041".repeat(LARGE / 6)))));
    for result in results {
        let start: String = result.chars().take(12).collect();
        for text in [
            format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{result}}}"),
            format!("{{\"result\":{{\"value\":{result}}}}}"),
            format!("{{\"error\":{result}}}"),
            format!("{{\"error\":{{\"code\":1,\"message\":\"no\",\"data\":{result}}}}}"),
            format!("{{\"other\":{result},\"result\":1}}"),
            result.clone(),
        ] {
            answer_with(&text, 1);
            let (found, peak) = peak_bytes(|| ledger.program_accounts(&address).map(|found| found.len()));
            let said = found.map_or_else(|error| error.to_string(), |count| format!("{count} accounts"));
            assert_bounded(&format!("accounts {start}"), text.len(), peak, FLOOR_BYTES, &said);
            let (found, peak) = peak_bytes(|| Ledger::account(&ledger, &address).map(|_| ()));
            let said = found.map_or_else(|error| error.to_string(), |()| "an account".to_owned());
            assert_bounded(&format!("account {start}"), text.len(), peak, FLOOR_BYTES, &said);
        }
    }
}

#[test]
fn accounts_are_read_as_they_are() {
    let _alone = alone();
    let ledger = Rpc::connect(&node()).unwrap();
    let two = ACCOUNT.replacen("11111111111111111111111111111111", "So11111111111111111111111111111111111111112", 1);
    answer_with(&format!("{{\"result\":[{two}, {ACCOUNT}],\"error\":null}}"), 1);
    let found = ledger.program_accounts(&Address::default()).unwrap();
    assert_eq!((found.len(), found[0].0, found[0].1.lamports), (2, Address::default(), 1));
    answer_with("{\"error\":{\"code\":7,\"message\":\"too many\"}}", 1);
    let said = ledger.program_accounts(&Address::default()).unwrap_err().to_string();
    assert!(said.contains("too many"), "{said}");
}

#[test]
fn an_answer_without_an_end_is_refused_at_its_limit() {
    let _alone = alone();
    let ledger = Rpc::connect(&node()).unwrap();
    answer_with(&" ".repeat(1 << 20), 300);
    let (found, peak) = peak_bytes(|| Ledger::slot(&ledger));
    let said = found.unwrap_err().to_string();
    assert!(said.contains("more than 32 MiB"), "{said}");
    assert!(peak <= 4 * (32 << 20), "{peak}");
}
