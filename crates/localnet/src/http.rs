//! HTTP/1.1, as much of it as JSON-RPC needs: one thread per connection, a limit on everything.

use crate::engine::{Place, Shared};
use crate::rpc;
use solana_signer::Signer;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// How long an answer to a request that is not read to its end is given to arrive.
const LINGER: Duration = Duration::from_secs(1);
/// What a validator reads, unless it is told otherwise.
const MAX_BODY_BYTES: usize = 50 << 10;
/// A body in chunks may take this much with their sizes.
const MAX_CHUNKED_BYTES: usize = 8 * MAX_BODY_BYTES;
const TOO_LARGE: Reject = Reject(413, "request body size exceeds allowed maximum");

/// What wallets in a browser need to be told before they may ask.
const CORS: &str = "access-control-allow-origin: *\r\naccess-control-allow-methods: POST, GET, OPTIONS\r\n\
                    access-control-allow-headers: *\r\naccess-control-max-age: 86400\r\n";
/// What pages from elsewhere need to be told besides, where they may ask.
const CORS_ELSEWHERE: &str = "access-control-allow-private-network: true\r\n";
/// What they are told where they may not.
pub(crate) const ELSEWHERE: &str =
    "web pages from elsewhere may not speak to this chain unless it was started with --allow-web-pages";

/// Whether an `Origin`, which a browser sends and a page cannot forge, is a web page that is not of this machine. The header
/// alone keeps pages out: a browser asks nobody before it sends a plain POST, or opens a WebSocket.
pub(crate) fn is_from_elsewhere(origin: &[u8]) -> bool {
    let Some((scheme, rest)) = std::str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://")) else {
        // "null" is what a page is that hides where it comes from.
        return true;
    };
    if !["http", "https"].contains(&scheme) {
        // An extension of the browser, such as a wallet.
        return false;
    }
    let host = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => rest.split_once(':').map_or(rest, |(host, _)| host),
    };
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    !(is_loopback || host == "localhost" || host.ends_with(".localhost"))
}

/// Accepts connections until the chain stops.
pub(crate) fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Some(stream) = accept(listener, shared) {
        let shared = shared.clone();
        // Where no thread can be started, the connection is closed.
        let _ = std::thread::Builder::new().name("http connection".into()).spawn(move || {
            let Some(place) = shared.http.take(&stream) else {
                let deadline = Instant::now() + LINGER;
                let _ = write(&stream, &Response::text(503, "too many connections"), false, deadline);
                linger(&stream, deadline);
                return;
            };
            // The peer's errors are the peer's.
            let _ = converse(&stream, &shared, &place);
        });
    }
}

/// The next connection; `None` when the chain stops.
pub(crate) fn accept(listener: &TcpListener, shared: &Shared) -> Option<TcpStream> {
    loop {
        let accepted = listener.accept();
        if shared.is_stopping() {
            return None;
        }
        match accepted {
            Ok((stream, _)) => return Some(stream),
            // Too many open files, for instance: others will close theirs.
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Reads away what the peer is still sending, for as long as this may take: closing on unread bytes resets the
/// connection, and the peer loses the answer.
fn linger(stream: &TcpStream, deadline: Instant) {
    let mut rest = [0; 16 << 10];
    let _ = stream.shutdown(Shutdown::Write);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero()
            || stream.set_read_timeout(Some(left)).is_err()
            || matches!((&*stream).read(&mut rest), Ok(0) | Err(_))
        {
            return;
        }
    }
}

/// What is answered.
struct Response {
    status: u16,
    content_type: &'static str,
    body: String,
    /// Each with its line end.
    more_headers: &'static str,
}

impl Response {
    fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: "text/plain", body: body.into(), more_headers: "" }
    }
}

/// What the page of a browser is.
const HTML: &[u8] = b"text/html";
const JSON: &[u8] = b"application/json";
const ANSWER: &str = "application/json; charset=utf-8";

/// What somebody sees who opens the chain in a browser.
fn page(shared: &Shared) -> String {
    let Ok(chain) = shared.chain() else { return "the chain stops".into() };
    let (slot, transactions) = (chain.ledger.slot(), chain.history.next());
    let (program, faucet) = (chain.genesis.program_id, chain.genesis.faucet.pubkey());
    let address = shared.address;
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>A local Solana chain</title><style>body{{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}}\
         code{{word-break:break-all}}@media(prefers-color-scheme:dark){{body{{background:#14181b;color:#e6e3dc}}}}</style>\
         <main><h1>A local Solana chain</h1><p>Slot {slot}, {transactions} transactions. Reload to see it go on.</p>\
         <ul><li>JSON-RPC: <code>http://{address}</code> (POST)<li>program: <code>{program}</code><li>faucet: <code>{faucet}</code></ul>\
         <p>For wallets, clients and the command line: <code>sip wallet airdrop</code>, <code>sip protocol show</code>, \
         <code>sip pool list</code>, <code>sip job list</code>.</p></main></html>\n"
    )
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// So many bytes.
    Bytes(usize),
    /// What its chunks say.
    Chunked,
}

/// The part of a request's head that matters.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    is_post: bool,
    is_options: bool,
    is_health: bool,
    /// A browser asks for the page at the root.
    wants_page: bool,
    content: Content,
    /// It says that its body is JSON.
    is_json: bool,
    keep_alive: bool,
    /// The peer waits for a word before it sends the body.
    expects_continue: bool,
    /// The peer is a web page that is not of this machine.
    is_from_elsewhere: bool,
}

/// Why a request is answered with an error and the connection closed.
#[derive(Debug, PartialEq, Eq)]
struct Reject(u16, &'static str);

fn converse(stream: &TcpStream, shared: &Shared, place: &Place<'_>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(shared.limits.transfer_timeout))?;
    let mut buffer = Vec::new();
    let mut patience = shared.limits.first_request_timeout;
    loop {
        let (head, body) = match request(stream, &Waiting { shared, place, patience }, &mut buffer)? {
            Some(Ok(request)) => request,
            Some(Err(Reject(status, reason))) => {
                let deadline = Instant::now() + shared.limits.transfer_timeout;
                write(stream, &Response::text(status, reason), false, deadline)?;
                linger(stream, Instant::now() + LINGER);
                return Ok(());
            }
            None => return Ok(()),
        };
        let response = if head.is_post && head.is_from_elsewhere && !shared.allow_web_pages {
            Response::text(403, ELSEWHERE)
        } else if head.is_post && !head.is_json {
            Response::text(415, "Supplied content type is not allowed. Content-Type: application/json is required\n")
        } else if head.is_post {
            match rpc::answer(shared, &body) {
                Some(body) => Response { status: 200, content_type: ANSWER, body, more_headers: "" },
                // Nobody waits for an answer.
                None => Response { status: 200, content_type: ANSWER, body: String::new(), more_headers: "" },
            }
        } else if head.is_options {
            Response {
                more_headers: if shared.allow_web_pages { CORS_ELSEWHERE } else { "" },
                ..Response::text(200, "")
            }
        } else if head.is_health {
            Response::text(200, "ok")
        } else if head.wants_page {
            Response { status: 200, content_type: "text/html; charset=utf-8", body: page(shared), more_headers: "" }
        } else {
            Response::text(405, "Used HTTP Method is not allowed. POST or OPTIONS is required\n")
        };
        let keep_alive = head.keep_alive && !shared.is_stopping();
        write(stream, &response, keep_alive, Instant::now() + shared.limits.transfer_timeout)?;
        if !keep_alive {
            return Ok(());
        }
        patience = shared.limits.idle_timeout;
        place.rest();
    }
}

/// What waits for a request, and how long before its first byte.
struct Waiting<'a> {
    shared: &'a Shared,
    place: &'a Place<'a>,
    patience: Duration,
}

type Request = Result<(Head, Vec<u8>), Reject>;

/// The next request. `buffer` holds what has arrived beyond the last one. `None` when the peer is done.
fn request(stream: &TcpStream, waiting: &Waiting<'_>, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let &Waiting { shared, place, patience } = waiting;
    let mut deadline = None;
    if !buffer.is_empty() {
        deadline = Some(Instant::now() + shared.limits.transfer_timeout);
    }
    let mut fill = |buffer: &mut Vec<u8>| -> io::Result<bool> {
        // Before the first byte the peer may rest; from then on the whole request has its time.
        let timeout = match deadline {
            None => patience,
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
        };
        if timeout.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(timeout))?;
        let mut chunk = [0; 16 << 10];
        let count = (&*stream).read(&mut chunk)?;
        place.work();
        buffer.extend_from_slice(&chunk[..count]);
        deadline.get_or_insert_with(|| Instant::now() + shared.limits.transfer_timeout);
        Ok(count > 0)
    };
    let (head, head_bytes) = loop {
        match parse_head(buffer) {
            Ok(Some(parsed)) => break parsed,
            Ok(None) if !fill(buffer)? => return Ok(None),
            Ok(None) => {}
            Err(reject) => return Ok(Some(Err(reject))),
        }
    };
    buffer.drain(..head_bytes);
    if head.expects_continue && buffer.is_empty() && head.content != Content::Bytes(0) {
        (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    loop {
        let whole = match head.content {
            Content::Bytes(bytes) => Ok((buffer.len() >= bytes).then(|| (buffer[..bytes].to_vec(), bytes))),
            Content::Chunked => chunked(buffer),
        };
        match whole {
            Ok(Some((body, bytes))) => {
                buffer.drain(..bytes);
                return Ok(Some(Ok((head, body))));
            }
            Ok(None) if !fill(buffer)? => return Ok(None),
            Ok(None) => {}
            Err(reject) => return Ok(Some(Err(reject))),
        }
    }
}

/// A body in chunks and how many bytes it took; `None` where more of it must arrive. What stands after the last chunk is not looked at.
fn chunked(buffer: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Reject> {
    const WRONG: Reject = Reject(400, "the chunks are not as they must be");
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let (line_bytes, chunk_bytes) = match httparse::parse_chunk_size(&buffer[at..]) {
            Ok(httparse::Status::Complete(read)) => read,
            Ok(httparse::Status::Partial) if buffer.len() > MAX_CHUNKED_BYTES => return Err(TOO_LARGE),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(WRONG),
        };
        at += line_bytes;
        if chunk_bytes == 0 {
            break;
        }
        let chunk_bytes = usize::try_from(chunk_bytes).unwrap_or(usize::MAX);
        if chunk_bytes > MAX_BODY_BYTES - body.len() || at > MAX_CHUNKED_BYTES {
            return Err(TOO_LARGE);
        }
        let end = at + chunk_bytes;
        let Some(line_end) = buffer.get(end..end + 2) else { return Ok(None) };
        if line_end != b"\r\n" {
            return Err(WRONG);
        }
        body.extend_from_slice(&buffer[at..end]);
        at = end + 2;
    }
    let mut trailers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::parse_headers(&buffer[at..], &mut trailers) {
        Ok(httparse::Status::Complete((bytes, _))) => Ok(Some((body, at + bytes))),
        Ok(httparse::Status::Partial) if buffer.len() - at < MAX_HEAD_BYTES => Ok(None),
        _ => Err(WRONG),
    }
}

/// The head of a request and its size; `None` where more of it must arrive.
fn parse_head(buffer: &[u8]) -> Result<Option<(Head, usize)>, Reject> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head_bytes = match request.parse(&buffer[..buffer.len().min(MAX_HEAD_BYTES)]) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) if buffer.len() < MAX_HEAD_BYTES => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Reject(431, "the request's head is too large"));
        }
        Err(_) => return Err(Reject(400, "this is no HTTP request")),
    };
    let mut head = Head {
        is_post: request.method == Some("POST"),
        is_options: request.method == Some("OPTIONS"),
        is_health: request.method == Some("GET") && request.path == Some("/health"),
        wants_page: false,
        content: Content::Bytes(0),
        is_json: false,
        keep_alive: request.version == Some(1),
        expects_continue: false,
        is_from_elsewhere: false,
    };
    let mut lengths = Vec::new();
    for header in request.headers.iter() {
        let value = header.value.trim_ascii();
        if header.name.eq_ignore_ascii_case("content-length") {
            // Digits alone: a sign, which numbers may have elsewhere, is none here.
            let digits = Some(value).filter(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit));
            let length = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
            lengths.push(length.ok_or(Reject(400, "the content length is no number"))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Reject(501, "send the request chunked or with a content length"));
            }
            head.content = Content::Chunked;
        } else if header.name.eq_ignore_ascii_case("content-type") {
            let kind = value.split(|&byte| byte == b';').next().unwrap_or(value);
            head.is_json = kind.trim_ascii().eq_ignore_ascii_case(JSON);
        } else if header.name.eq_ignore_ascii_case("connection") {
            let has = |word: &[u8]| value.split(|&b| b == b',').any(|w| w.trim_ascii().eq_ignore_ascii_case(word));
            head.keep_alive = !has(b"close") && (head.keep_alive || has(b"keep-alive"));
        } else if header.name.eq_ignore_ascii_case("origin") {
            head.is_from_elsewhere |= is_from_elsewhere(value);
        } else if header.name.eq_ignore_ascii_case("accept") {
            let is_root = request.method == Some("GET") && request.path == Some("/");
            head.wants_page |= is_root && value.windows(HTML.len()).any(|part| part.eq_ignore_ascii_case(HTML));
        } else if header.name.eq_ignore_ascii_case("expect") {
            head.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        }
    }
    match lengths[..] {
        [] if head.content == Content::Chunked => {}
        // Two lengths are read in two ways by two readers.
        _ if head.content == Content::Chunked => {
            return Err(Reject(400, "the request is chunked and has a content length"));
        }
        [] if head.is_post => return Err(Reject(411, "send the request with a content length")),
        [] => {}
        [length] if length > MAX_BODY_BYTES => return Err(TOO_LARGE),
        [length] => head.content = Content::Bytes(length),
        _ => return Err(Reject(400, "the request has two content lengths")),
    }
    Ok(Some((head, head_bytes)))
}

/// Writes an answer whole, until the deadline: a peer that takes it byte by byte does not keep the thread.
fn write(stream: &TcpStream, response: &Response, keep_alive: bool, deadline: Instant) -> io::Result<()> {
    let Response { status, content_type, body, more_headers } = response;
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        _ => "Service Unavailable",
    };
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let content = format!("content-type: {content_type}\r\ncontent-length: {}\r\n", body.len());
    let mut message =
        format!("HTTP/1.1 {status} {reason}\r\n{content}{CORS}{more_headers}connection: {connection}\r\n\r\n");
    message.push_str(body);
    write_until(stream, message.as_bytes(), deadline)
}

/// Writes bytes, all of them before the deadline.
pub(crate) fn write_until(mut stream: &TcpStream, mut rest: &[u8], deadline: Instant) -> io::Result<()> {
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_and_extensions_are_told_from_pages_elsewhere() {
        for here in [
            "http://localhost:3000",
            "https://app.localhost",
            "http://127.0.0.1:5173",
            "http://[::1]:80",
            "chrome-extension://bfnaelmomeimhlpmgjnjophhpkkoljpa",
        ] {
            assert!(!is_from_elsewhere(here.as_bytes()), "{here}");
        }
        for elsewhere in [
            "https://page.example",
            "http://localhost.page.example",
            "http://192.168.1.5",
            "null",
            "",
            "http://127.0.0.1.page",
        ] {
            assert!(is_from_elsewhere(elsewhere.as_bytes()), "{elsewhere}");
        }
    }

    #[test]
    fn heads_are_read_only_where_they_say_one_thing() {
        let parse =
            |text: &str| parse_head(text.replace('\n', "\r\n").as_bytes()).map(|head| head.map(|(head, _)| head));
        let post = parse("POST / HTTP/1.1\nContent-Length: 5\n\n").unwrap().unwrap();
        assert!(post.is_post && post.keep_alive && post.content == Content::Bytes(5) && !post.is_json);
        for kind in ["application/json", "Application/JSON; charset=utf-8"] {
            assert!(
                parse(&format!("POST / HTTP/1.1\nContent-Length: 5\nContent-Type: {kind}\n\n"))
                    .unwrap()
                    .unwrap()
                    .is_json
            );
        }
        let chunked = parse("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n").unwrap().unwrap();
        assert_eq!(chunked.content, Content::Chunked);
        assert!(!parse("GET /health HTTP/1.0\n\n").unwrap().unwrap().keep_alive);
        assert!(parse("GET /health HTTP/1.0\nConnection: Keep-Alive\n\n").unwrap().unwrap().keep_alive);
        let browser = "GET / HTTP/1.1\nAccept: text/html,application/xhtml+xml;q=0.9\n\n";
        assert!(parse(browser).unwrap().unwrap().wants_page);
        for other in [browser.replace("text/html", "application/json"), browser.replace("GET / ", "GET /x ")] {
            assert!(!parse(&other).unwrap().unwrap().wants_page, "{other}");
        }
        assert_eq!(parse("POST / HTTP/1.1\nContent-Le"), Ok(None));
        for (text, status) in [
            ("POST / HTTP/1.1\n\n", 411),
            ("POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 3\n\n", 400),
            ("POST / HTTP/1.1\nContent-Length: 3\nTransfer-Encoding: chunked\n\n", 400),
            ("POST / HTTP/1.1\nTransfer-Encoding: gzip\n\n", 501),
            ("POST / HTTP/1.1\nContent-Length: 3\nContent-Length: 4\n\n", 400),
            ("POST / HTTP/1.1\nContent-Length: +3\n\n", 400),
            ("POST / HTTP/1.1\nContent-Length: 99999999999999999999999\n\n", 400),
            ("POST / HTTP/1.1\nContent-Length: 600000\n\n", 413),
            ("\u{1}\u{2} what\n\n", 400),
        ] {
            assert_eq!(parse(text).unwrap_err().0, status, "{text}");
        }
        let many = format!("GET / HTTP/1.1\n{}\n", "a: b\n".repeat(MAX_HEADERS + 1));
        assert_eq!(parse(&many).unwrap_err().0, 431);
        let long = format!("GET /{} HTTP/1.1\n", "x".repeat(MAX_HEAD_BYTES));
        assert_eq!(parse(&long).unwrap_err().0, 431);
    }

    #[test]
    fn chunks_are_put_together_wherever_they_are_cut() {
        let wire = b"3\r\nabc\r\n1;name=value\r\nd\r\n00\r\nTrailer: x\r\n\r\nPOST";
        let whole = wire.len() - 4;
        for end in 0..whole {
            assert_eq!(chunked(&wire[..end]), Ok(None), "{end}");
        }
        for end in whole..=wire.len() {
            assert_eq!(chunked(&wire[..end]), Ok(Some((b"abcd".to_vec(), whole))));
        }
        for (wrong, status) in [
            (&b"x\r\n"[..], 400),
            (b"3\r\nabcd\r\n", 400),
            (b"ffffffffffffffff\r\n", 413),
            (b"fffffffffffffffff\r\n", 400),
            (b"ffff\r\n", 413),
        ] {
            assert_eq!(chunked(wrong).unwrap_err().0, status, "{wrong:?}");
        }
        // As many bytes as fit, one a chunk; and one more.
        let small = |count: usize| b"1\r\nx\r\n".repeat(count);
        let most = [small(MAX_BODY_BYTES), b"0\r\n\r\n".to_vec()].concat();
        assert_eq!(chunked(&most).map(|body| body.map(|(body, _)| body.len())), Ok(Some(MAX_BODY_BYTES)));
        assert_eq!(chunked(&small(MAX_BODY_BYTES + 1)).unwrap_err().0, 413);
        assert_eq!(chunked(&b"1;xxxxxxxxxxxx\r\nx\r\n".repeat(MAX_BODY_BYTES)).unwrap_err().0, 413);
    }
}
