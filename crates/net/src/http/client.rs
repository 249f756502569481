//! Asking over HTTP.

use super::head::{self, MAX_HEAD_BYTES};
use crate::network::{Failure, Link, Network, Patience, Peer};
use crate::pace::Floor;
use crate::tree::GROUP_BYTES;
use crate::wire::Request;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How often a connection that says nothing is looked after.
const TICK: Duration = Duration::from_millis(100);
/// Bytes of a refusal's reason that are read.
const MAX_REASON_BYTES: u64 = 1 << 10;
/// Time for a question to leave.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Peers on the internet, over HTTP/1.1: their addresses are `HOST:PORT` or `http://HOST:PORT`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http;

/// Where an address leads.
pub(super) fn resolve(address: &str) -> Result<Vec<SocketAddr>, Failure> {
    let plain = address.strip_prefix("http://").unwrap_or(address);
    let plain = plain.strip_suffix('/').unwrap_or(plain);
    if plain.contains('/') {
        return Err(Failure::Other(format!(
            "{} is no address; HOST:PORT or http://HOST:PORT is",
            sip_data::shown(address)
        )));
    }
    let found = plain.to_socket_addrs().map_err(|error| Failure::Gone(error.to_string()))?;
    Ok(found.collect())
}

impl Network for Http {
    fn dial<'a>(&self, peer: &Peer, patience: &Patience<'a>) -> Result<Box<dyn Link + 'a>, Failure> {
        dial_some(&resolve(&peer.address)?, peer, patience)
    }
}

/// Begins a conversation with a peer at the first of several addresses that answers.
pub(super) fn dial_some<'a>(
    found: &[SocketAddr],
    peer: &Peer,
    patience: &Patience<'a>,
) -> Result<Box<dyn Link + 'a>, Failure> {
    let mut last = Failure::Gone("the name has no address".into());
    for address in found {
        patience.check()?;
        let left = patience.by.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(address, patience.connect.min(left)) {
            Ok(stream) => {
                return Conversation::begin(stream, &peer.address, patience).map(|link| Box::new(link) as _);
            }
            Err(error) => last = Failure::Gone(error.to_string()),
        }
    }
    Err(last)
}

struct Conversation<'a> {
    stream: TcpStream,
    host: String,
    patience: Patience<'a>,
    /// Lengths of the answers that are still to come.
    expected: VecDeque<u64>,
    /// What came of the answers and was not read yet: a head, and what came with it.
    buffer: Vec<u8>,
    /// Where in it reading goes on.
    at: usize,
    /// What is left of the answer that was begun.
    left: u64,
    floor: Floor,
    is_closing: bool,
}

fn gone(error: io::Error) -> Failure {
    Failure::Gone(error.to_string())
}

impl<'a> Conversation<'a> {
    fn begin(stream: TcpStream, address: &str, patience: &Patience<'a>) -> Result<Conversation<'a>, Failure> {
        stream.set_nodelay(true).map_err(gone)?;
        stream.set_read_timeout(Some(TICK)).map_err(gone)?;
        stream.set_write_timeout(Some(SEND_TIMEOUT)).map_err(gone)?;
        let host = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/').to_owned();
        let floor = Floor::new(patience.floor_bytes_per_second, patience.floor_window);
        let (expected, buffer) = (VecDeque::new(), Vec::new());
        Ok(Conversation {
            stream,
            host,
            patience: *patience,
            expected,
            buffer,
            at: 0,
            left: 0,
            floor,
            is_closing: false,
        })
    }

    /// What came and was not read yet.
    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Waits for some bytes, at most until a moment.
    fn receive(&mut self, bytes: &mut [u8], by: Option<Instant>) -> Result<usize, Failure> {
        loop {
            match self.stream.read(bytes) {
                Ok(0) => return Err(Failure::Gone("it closed the connection".into())),
                Ok(count) => {
                    self.floor.moved(count);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    self.patience.check()?;
                    if by.is_some_and(|by| Instant::now() >= by) {
                        let seconds = self.patience.first_byte.as_secs_f32();
                        return Err(Failure::Slow(format!("no answer within {seconds} s")));
                    }
                    self.look_at_floor()?;
                }
                Err(error) => return Err(gone(error)),
            }
        }
    }

    fn look_at_floor(&mut self) -> Result<(), Failure> {
        if self.left > 0 && self.floor.is_missed() {
            let (least, seconds) = (self.patience.floor_bytes_per_second, self.patience.floor_window.as_secs_f32());
            return Err(Failure::Slow(format!("less than {least} bytes a second for {seconds} s")));
        }
        Ok(())
    }

    /// The head of the next answer.
    fn head(&mut self) -> Result<head::AnswerHead, Failure> {
        let by = Instant::now() + self.patience.first_byte;
        loop {
            match head::answer(self.rest()) {
                Ok(Some((head, bytes))) => {
                    self.at += bytes;
                    return Ok(head);
                }
                Ok(None) => {}
                Err(bad) => return Err(Failure::Other(bad.0.into())),
            }
            if Instant::now() >= by {
                return Err(Failure::Slow(format!("no answer within {} s", self.patience.first_byte.as_secs_f32())));
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            let mut more = [0; MAX_HEAD_BYTES];
            let count = self.receive(&mut more, Some(by))?;
            self.buffer.extend_from_slice(&more[..count]);
        }
    }

    /// What it says instead of an answer.
    fn refusal(&mut self, head: &head::AnswerHead) -> Failure {
        if !head.is_ours {
            return Failure::Other(format!("it answers with status {}", head.status));
        }
        let Some(bytes) = head.content_bytes.filter(|bytes| *bytes <= MAX_REASON_BYTES) else {
            return Failure::Other("its refusal is longer than a refusal".into());
        };
        let mut reason = vec![0; bytes as usize];
        self.left = bytes;
        if let Err(failure) = self.read(&mut reason) {
            return failure;
        }
        if head.status == 404 && head.keep_alive {
            return Failure::NotHeld;
        }
        let why = sip_data::shown(String::from_utf8_lossy(&reason).trim());
        Failure::Refused { why: format!("{} ({why})", head.status), retry_seconds: head.retry_seconds }
    }
}

impl Link for Conversation<'_> {
    fn ask(&mut self, request: &Request) -> Result<(), Failure> {
        let bytes = request.answer_bytes().ok_or_else(|| Failure::Other("the question is out of bounds".into()))?;
        let (path, host) = (request.path(), &self.host);
        let mut message = match request.body() {
            None => format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes(),
            Some(body) => {
                format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes()
            }
        };
        message.extend_from_slice(request.body().unwrap_or_default());
        if self.expected.is_empty() && self.left == 0 {
            // Nobody was waited for until now.
            self.floor.restart();
        }
        (&self.stream).write_all(&message).map_err(gone)?;
        self.expected.push_back(bytes);
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Failure> {
        self.patience.check()?;
        if self.is_closing {
            return Err(Failure::Gone("it closed the connection".into()));
        }
        let expected = self.expected.pop_front().ok_or_else(|| Failure::Other("nothing was asked".into()))?;
        let head = self.head()?;
        self.is_closing = !head.keep_alive;
        if head.status != 200 {
            return Err(self.refusal(&head));
        }
        if !head.is_ours {
            return Err(Failure::Other("it does not say that it is a peer".into()));
        }
        match head.content_bytes {
            Some(bytes) if bytes == expected => {}
            Some(bytes) => return Err(Failure::Wrong(format!("{bytes} bytes where {expected} were asked for"))),
            None => return Err(Failure::Wrong("a stream without a length".into())),
        }
        self.left = expected;
        // The floor is under all answers together: many that are begun in time are no way around it. A small one counts as the least of
        // blobs does.
        self.floor.moved(GROUP_BYTES.saturating_sub(expected) as usize);
        self.look_at_floor()
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
        if bytes.len() as u64 > self.left {
            return Err(Failure::Other("the answer is over".into()));
        }
        let mut done = self.rest().len().min(bytes.len());
        bytes[..done].copy_from_slice(&self.rest()[..done]);
        self.at += done;
        while done < bytes.len() {
            done += self.receive(&mut bytes[done..], None)?;
            // A trickle never runs into the time-out of a read.
            self.patience.check()?;
            self.look_at_floor()?;
        }
        self.left -= bytes.len() as u64;
        self.patience.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_ports() {
        for right in ["127.0.0.1:9000", "http://127.0.0.1:9000", "http://127.0.0.1:9000/", "[::1]:80"] {
            assert_eq!(resolve(right).unwrap().len(), 1, "{right}");
        }
        for wrong in ["https://127.0.0.1:9000", "http://127.0.0.1:9000/path", "127.0.0.1", ""] {
            assert!(resolve(wrong).is_err(), "{wrong}");
        }
    }
}
