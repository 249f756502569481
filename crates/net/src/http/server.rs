//! Answering over HTTP: a thread for each connection, and a bound on everything.

use super::head::{self, MAX_HEAD_BYTES, RequestHead};
use super::places::{Place, Places, neighbourhood};
use crate::library::{Answer, Refusal, answer};
use crate::pace::{Bucket, Floor};
use crate::shelf::Shelf;
use crate::tree::GROUP_BYTES;
use crate::wire::{MAX_ROOTS, Request};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes of a request's content.
const MAX_BODY_BYTES: u64 = MAX_ROOTS as u64 * 32;
/// How often a connection that takes nothing is looked after.
const TICK: Duration = Duration::from_millis(200);
/// Memory that a thread may use for its stack.
const STACK_BYTES: usize = 256 << 10;
/// Addresses whose requests are counted at once.
const MAX_COUNTED: usize = 4096;
/// How long connections are given to end when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the end of a refused request is waited for: closing on bytes that were not read loses the refusal.
const LINGER: Duration = Duration::from_millis(500);

/// What a server gives to whom. The default fits a node on a link of 100 Mbit/s and more.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Connections in all. Each takes a thread and at most 0.3 MB.
    pub connections: usize,
    /// Connections of one address (of one /64 network of IPv6).
    pub connections_per_address: usize,
    /// Connections of all who are no [seats](Server::seats) together: the rest is kept for seats.
    pub guest_connections: usize,
    /// Whether who asks from this machine is no guest; not so behind a proxy on it, through which everybody asks.
    pub trusts_own_machine: bool,
    /// Time for a whole request, from its first byte.
    pub request_timeout: Duration,
    /// Time without a request before a connection is hung up on.
    pub idle_timeout: Duration,
    /// Bytes a second that the one who asked has to take.
    pub floor_bytes_per_second: u64,
    /// Over how long.
    pub floor_window: Duration,
    /// Requests a second of one address; twice as many at once. More wait.
    pub requests_per_second: u64,
    /// Bytes a second to all.
    pub bytes_per_second: u64,
    /// Bytes a second to all who are no [seats](Server::seats) together.
    pub guest_bytes_per_second: u64,
}

impl Default for ServeLimits {
    fn default() -> ServeLimits {
        ServeLimits {
            connections: 256,
            connections_per_address: 64,
            guest_connections: 128,
            trusts_own_machine: true,
            request_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(10),
            floor_bytes_per_second: 64 << 10,
            floor_window: Duration::from_secs(30),
            requests_per_second: 1000,
            bytes_per_second: u64::MAX,
            guest_bytes_per_second: 16 << 20,
        }
    }
}

/// What a server has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServeCounts {
    /// Connections that are open.
    pub connections: u64,
    /// Questions that were answered.
    pub requests: u64,
    /// Bytes of answers.
    pub bytes_out: u64,
    /// Questions that were refused: out of bounds, or about what is not here.
    pub refused: u64,
    /// Connections that were hung up on: too slow, too many, or idle.
    pub hung_up: u64,
}

/// A server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    shelf: Shelf,
    limits: ServeLimits,
    places: Places,
    /// Requests of each address.
    asking: Mutex<BTreeMap<IpAddr, Bucket>>,
    all: Mutex<Bucket>,
    guests: Mutex<Bucket>,
    is_stopping: AtomicBool,
    requests: AtomicU64,
    bytes_out: AtomicU64,
    refused: AtomicU64,
    hung_up: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Serves a shelf at an address; port 0 is any that is free.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn start(address: SocketAddr, shelf: &Shelf, limits: ServeLimits) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let bucket = |per_second| Mutex::new(Bucket::new(per_second, 1 << 20));
        let shared = Arc::new(Shared {
            shelf: shelf.clone(),
            limits,
            places: Places::new(limits),
            asking: Mutex::default(),
            all: bucket(limits.bytes_per_second),
            guests: bucket(limits.guest_bytes_per_second),
            is_stopping: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            hung_up: AtomicU64::new(0),
        });
        let own = shared.clone();
        let accepting = std::thread::Builder::new().name("peers".into()).spawn(move || accept(&listener, &own))?;
        Ok(Server { shared, address, accepting: Some(accepting) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who is no guest: the addresses of the job's seats, instead of those that were told before. Who asks from this machine is
    /// none either, where it [is trusted](ServeLimits::trusts_own_machine).
    pub fn seats(&self, addresses: &[IpAddr]) {
        self.shared.places.seats(addresses.iter().map(|address| neighbourhood(*address)).collect());
    }

    /// What it has done.
    pub fn counts(&self) -> ServeCounts {
        let shared = &self.shared;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ServeCounts {
            connections: shared.places.count() as u64,
            requests: of(&shared.requests),
            bytes_out: of(&shared.bytes_out),
            refused: of(&shared.refused),
            hung_up: of(&shared.hung_up),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        let mut own = self.address;
        if own.ip().is_unspecified() {
            own.set_ip(if own.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        // Wakes the thread that accepts. Where that fails it ends with the next connection.
        let is_woken = TcpStream::connect_timeout(&own, Duration::from_secs(1)).is_ok();
        self.shared.places.close();
        if let Some(thread) = self.accepting.take().filter(|_| is_woken) {
            let _ = thread.join();
        }
        // Each connection's thread sees the end, and lets go of the shelf.
        let by = Instant::now() + STOP_TIMEOUT;
        while Arc::strong_count(&self.shared) > 1 && Instant::now() < by {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.is_stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok((stream, peer)) = accepted else {
            // Too many open files, for instance: others will close theirs.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        let shared = shared.clone();
        let peer = neighbourhood(peer.ip());
        // Where no thread can be started, the connection is closed.
        let thread = std::thread::Builder::new().name("peer".into()).stack_size(STACK_BYTES);
        let Some((number, is_hung_up)) = shared.places.take(&stream, peer) else {
            refuse_at_once(&stream);
            shared.hung_up.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        shared.hung_up.fetch_add(is_hung_up.into(), Ordering::Relaxed);
        let own = shared.clone();
        let started = thread.spawn(move || {
            let place = own.places.keep(number);
            // The peer's errors are the peer's.
            let ended = Connection { shared: &own, stream: &stream, peer, place: &place }.converse();
            own.hung_up.fetch_add(ended.is_err().into(), Ordering::Relaxed);
            let _ = stream.shutdown(Shutdown::Both);
        });
        if started.is_err() {
            drop(shared.places.keep(number));
        }
    }
}

/// Says that there are too many, if that takes no time.
fn refuse_at_once(stream: &TcpStream) {
    if stream.set_nonblocking(true).is_ok() {
        let _ = (&*stream)
            .write_all(refusal(503, "Service Unavailable", "too many connections", false, Some(5)).as_bytes());
    }
}

/// A refusal, whole.
fn refusal(status: u16, name: &str, why: &str, keep_alive: bool, retry_seconds: Option<u32>) -> String {
    let connection = if keep_alive { "" } else { "connection: close\r\n" };
    let retry = retry_seconds.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let length = why.len();
    format!(
        "HTTP/1.1 {status} {name}\r\nsip-net: 1\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n{connection}{retry}\r\n{why}"
    )
}

struct Connection<'a> {
    shared: &'a Shared,
    stream: &'a TcpStream,
    peer: IpAddr,
    place: &'a Place<'a>,
}

/// A request that came whole.
struct Came {
    head: RequestHead,
    body: Vec<u8>,
}

impl Connection<'_> {
    /// Answers requests until the peer goes; an error if it was hung up on.
    fn converse(&self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.stream.set_write_timeout(Some(TICK))?;
        let mut buffer = Vec::new();
        loop {
            self.place.rest();
            let came = match self.request(&mut buffer)? {
                Some(Ok(came)) => came,
                Some(Err(why)) => return self.end(why),
                None => return Ok(()),
            };
            self.place.work();
            let pause = count_request(&self.shared.asking, self.peer, self.shared.limits.requests_per_second);
            self.place.wait(pause, self.is_guest())?;
            let Some(request) = Request::parse(came.head.is_post, &came.head.path, &came.body) else {
                return self.end("this is no question of sip/1");
            };
            match answer(&self.shared.shelf, &request) {
                Ok(answer) => {
                    self.shared.requests.fetch_add(1, Ordering::Relaxed);
                    self.give(answer, came.head.keep_alive)?;
                }
                Err(why) => {
                    self.shared.refused.fetch_add(1, Ordering::Relaxed);
                    let keep_alive = came.head.keep_alive;
                    let (status, name, why) = match why {
                        Refusal::NotHeld => (404, "Not Found", "not here"),
                        Refusal::Broken(_) => (500, "Internal Server Error", "the disk fails"),
                    };
                    let retry = (status == 500).then_some(60);
                    self.write(refusal(status, name, why, keep_alive, retry).as_bytes(), &mut self.floor())?;
                }
            }
            if !came.head.keep_alive || self.shared.is_stopping.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    /// The next request; `buffer` holds what came beyond the one before. `None` when the peer is done.
    fn request(&self, buffer: &mut Vec<u8>) -> io::Result<Option<Result<Came, &'static str>>> {
        let limits = &self.shared.limits;
        let mut by = None;
        if !buffer.is_empty() {
            by = Some(Instant::now() + limits.request_timeout);
        }
        loop {
            match head::request(buffer) {
                Ok(Some((head, _))) if head.content_bytes > MAX_BODY_BYTES => {
                    return Ok(Some(Err("the request is too large")));
                }
                Ok(Some((head, bytes))) if buffer.len() as u64 >= bytes as u64 + head.content_bytes => {
                    let end = bytes + head.content_bytes as usize;
                    let body = buffer[bytes..end].to_vec();
                    buffer.drain(..end);
                    return Ok(Some(Ok(Came { head, body })));
                }
                Ok(_) => {}
                Err(bad) => return Ok(Some(Err(bad.0))),
            }
            let now = Instant::now();
            let left = by.map_or(limits.idle_timeout, |by: Instant| by.saturating_duration_since(now));
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut more = [0; MAX_HEAD_BYTES];
            match (&*self.stream).read(&mut more) {
                Ok(0) => return Ok(None),
                Ok(count) => buffer.extend_from_slice(&more[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            by.get_or_insert(now + limits.request_timeout);
        }
    }

    /// Says why there is no answer, and ends.
    fn end(&self, why: &str) -> io::Result<()> {
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        self.write(refusal(400, "Bad Request", why, false, None).as_bytes(), &mut self.floor())?;
        let _ = self.stream.shutdown(Shutdown::Write);
        let by = Instant::now() + LINGER;
        let mut rest = [0; MAX_HEAD_BYTES];
        while let left = by.saturating_duration_since(Instant::now())
            && !left.is_zero()
            && self.stream.set_read_timeout(Some(left)).is_ok()
        {
            if matches!((&*self.stream).read(&mut rest), Ok(0) | Err(_)) {
                break;
            }
        }
        Ok(())
    }

    fn floor(&self) -> Floor {
        Floor::new(self.shared.limits.floor_bytes_per_second, self.shared.limits.floor_window)
    }

    fn give(&self, mut answer: Answer, keep_alive: bool) -> io::Result<()> {
        let connection = if keep_alive { "" } else { "connection: close\r\n" };
        let length = answer.bytes;
        let head = format!(
            "HTTP/1.1 200 OK\r\nsip-net: 1\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n{connection}\r\n"
        );
        let mut slice = Vec::new();
        let mut message = head.into_bytes();
        let mut floor = self.floor();
        // A small answer costs what the least of blobs does: reading and opening it is not free.
        self.take(GROUP_BYTES.saturating_sub(length))?;
        let mut given = 0;
        loop {
            answer.next(&mut slice)?;
            if slice.is_empty() && message.is_empty() {
                return if given == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            given += slice.len() as u64;
            if self.take(slice.len() as u64)? {
                floor.restart();
            }
            // The head goes with the first slice.
            if message.is_empty() {
                self.write(&slice, &mut floor)?;
            } else {
                message.extend_from_slice(&slice);
                self.write(&message, &mut floor)?;
                message.clear();
            }
            self.shared.bytes_out.fetch_add(slice.len() as u64, Ordering::Relaxed);
        }
    }

    fn is_guest(&self) -> bool {
        self.shared.places.is_guest(&self.peer)
    }

    /// Takes from what may be sent, and waits until it may be. Whether there was anything to wait for.
    ///
    /// # Errors
    /// The connection was hung up on meanwhile.
    fn take(&self, bytes: u64) -> io::Result<bool> {
        let is_guest = self.is_guest();
        let mut pause = lock(&self.shared.all).take(bytes);
        if is_guest {
            pause = pause.max(lock(&self.shared.guests).take(bytes));
        }
        let waited = self.place.wait(pause, is_guest);
        if waited.is_err() {
            lock(&self.shared.all).give_back(bytes);
            if is_guest {
                lock(&self.shared.guests).give_back(bytes);
            }
        }
        waited?;
        self.place.took(bytes);
        Ok(!pause.is_zero())
    }

    /// Writes all, as long as the peer takes it fast enough.
    fn write(&self, mut rest: &[u8], floor: &mut Floor) -> io::Result<()> {
        while !rest.is_empty() {
            match (&*self.stream).write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    floor.moved(count);
                    rest = &rest[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
            if floor.is_missed() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }
}

/// Counts a request of an address: how long it has to wait.
fn count_request(asking: &Mutex<BTreeMap<IpAddr, Bucket>>, peer: IpAddr, per_second: u64) -> Duration {
    let mut asking = lock(asking);
    if asking.len() >= MAX_COUNTED {
        asking.retain(|_, bucket| !bucket.is_full());
    }
    asking.entry(peer).or_insert_with(|| Bucket::new(per_second, per_second.saturating_mul(2))).take(1)
}
