//! A peer that speaks HTTP as ours do, and lies as a test tells it to.

use crate::common::right_answer;
use sip_net::{Request, Shelf};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What it says to a question, to which this would be the right answer. An error closes the connection.
pub(crate) type Lie = dyn Fn(&Request, Option<Vec<u8>>, &mut TcpStream) -> io::Result<()> + Send + Sync;

/// A hostile peer with a shelf, from which right answers come.
pub(crate) struct Liar {
    pub(crate) address: SocketAddr,
    /// Questions after the first two, who it is and what it has.
    pub(crate) asked: Arc<AtomicU64>,
}

/// Answers as it should.
pub(crate) fn give(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    head(stream, answer.len() as u64)?;
    stream.write_all(answer)
}

/// The head of an answer of this length.
pub(crate) fn head(stream: &mut TcpStream, bytes: u64) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nsip-net: 1\r\ncontent-length: {bytes}\r\n\r\n")
}

/// Says that it has not got it.
pub(crate) fn has_not(stream: &mut TcpStream) -> io::Result<()> {
    write!(stream, "HTTP/1.1 404 Not Found\r\nsip-net: 1\r\ncontent-length: 8\r\n\r\nnot here")
}

impl Liar {
    /// One that greets and says what it has as it should, and then lies.
    pub(crate) fn start(
        shelf: &Shelf,
        lie: impl Fn(&Request, Option<Vec<u8>>, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Liar {
        Liar::from_the_start(shelf, move |request, right, stream| match (request, right) {
            (Request::Hello | Request::Have { .. }, Some(right)) => give(stream, &right),
            (_, right) => lie(request, right, stream),
        })
    }

    /// One that lies from its greeting on.
    pub(crate) fn from_the_start(
        shelf: &Shelf,
        lie: impl Fn(&Request, Option<Vec<u8>>, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let liar = Liar { address, asked: asked.clone() };
        let (shelf, lie): (Shelf, Arc<Lie>) = (shelf.clone(), Arc::new(lie));
        // It ends with the test.
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (shelf, lie, asked) = (shelf.clone(), lie.clone(), asked.clone());
                std::thread::spawn(move || converse(stream, &shelf, &*lie, &asked));
            }
        });
        liar
    }
}

fn converse(mut stream: TcpStream, shelf: &Shelf, lie: &Lie, asked: &AtomicU64) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = request(&mut stream, &mut buffer)? else { return Ok(()) };
        if !matches!(request, Request::Hello | Request::Have { .. }) {
            asked.fetch_add(1, Ordering::SeqCst);
        }
        lie(&request, right_answer(shelf, &request), &mut stream)?;
    }
}

/// The next question.
fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        let text = String::from_utf8_lossy(buffer).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text[..end].lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let (start, length): (usize, usize) = (end + 4, length.unwrap_or(0));
            if buffer.len() >= start + length {
                let mut words = text.split(' ');
                let (is_post, path) = (words.next() == Some("POST"), words.next().unwrap_or_default());
                let request = Request::parse(is_post, path, &buffer[start..start + length]);
                buffer.drain(..start + length);
                return Ok(request);
            }
        }
        let mut more = [0; 4096];
        match stream.read(&mut more)? {
            0 => return Ok(None),
            count => buffer.extend_from_slice(&more[..count]),
        }
    }
}
