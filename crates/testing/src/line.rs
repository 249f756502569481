//! A line between two machines that is far, loses packets, is thin or cut: TCP through this process, where networks of the system cannot be made so.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that are carried at once, about eleven packets.
const PIECE_BYTES: usize = 16 << 10;
/// Pieces that are under way in one direction of a connection.
const UNDER_WAY: usize = 256;
/// How often a direction that is cut looks whether it is no more.
const TICK: Duration = Duration::from_millis(20);

/// What a line is like, in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Conduct {
    /// How long a byte is under way.
    pub delay: Duration,
    /// Of a thousand pieces so many are lost and sent again; what is behind them waits.
    pub lost_of_thousand: u64,
    /// How long it takes until a piece that was lost is sent again.
    pub sent_again_after: Duration,
    /// Bytes a second, of all connections together; 0 for any.
    pub bytes_per_second: u64,
}

impl Conduct {
    /// 100 ms one way, as far as around the earth, with two packets of a hundred lost, over 20 Mbit/s.
    pub const FAR: Conduct = Conduct {
        delay: Duration::from_millis(100),
        // One of eleven packets is, in so many pieces.
        lost_of_thousand: 200,
        sent_again_after: Duration::from_millis(300),
        bytes_per_second: 20_000_000 / 8,
    };
}

struct State {
    conduct: Conduct,
    is_cut: AtomicBool,
    ends: AtomicBool,
    chance: AtomicU64,
    /// Until when each direction is taken by what was sent before.
    taken: [Mutex<Instant>; 2],
}

impl State {
    fn is_lost(&self) -> bool {
        let step = |state: u64| state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let before = self.chance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| Some(step(state)));
        (before.unwrap_or_default() >> 33) % 1_000 < self.conduct.lost_of_thousand
    }

    /// When a piece that is sent now arrives.
    fn arrival(&self, direction: usize, bytes: usize) -> Instant {
        let now = Instant::now();
        let mut sent = now;
        if self.conduct.bytes_per_second != 0 {
            let mut taken = self.taken[direction].lock().unwrap_or_else(PoisonError::into_inner);
            *taken = (*taken).max(now) + Duration::from_secs_f64(bytes as f64 / self.conduct.bytes_per_second as f64);
            sent = *taken;
        }
        let again = if self.is_lost() { self.conduct.sent_again_after } else { Duration::ZERO };
        sent + self.conduct.delay + again
    }

    fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }
}

/// A line to a server; it ends when this is dropped.
pub struct Line {
    address: SocketAddr,
    state: Arc<State>,
}

impl Line {
    /// A line to an address. Who dials [`Line::address`] reaches it that way.
    ///
    /// # Panics
    /// Where no port is free.
    pub fn to(server: SocketAddr, conduct: Conduct) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let now = Instant::now();
        let state = Arc::new(State {
            conduct,
            is_cut: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            chance: AtomicU64::new(u64::from(server.port())),
            taken: [Mutex::new(now), Mutex::new(now)],
        });
        let of_thread = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if of_thread.ends() {
                    break;
                }
                if let Ok(server) = TcpStream::connect(server) {
                    carry(&client, &server, 0, &of_thread);
                    carry(&server, &client, 1, &of_thread);
                }
            }
        });
        Line { address, state }
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the line, or mends it. What is sent over one that is cut arrives when it is mended, as TCP has it.
    pub fn cut(&self, is_cut: bool) {
        self.state.is_cut.store(is_cut, Ordering::Relaxed);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.state.ends.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

/// Carries all that comes from one to the other, on threads of its own.
fn carry(from: &TcpStream, to: &TcpStream, direction: usize, state: &Arc<State>) {
    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
    let (sender, receiver) = sync_channel(UNDER_WAY);
    let (of_taker, of_giver) = (Arc::clone(state), Arc::clone(state));
    std::thread::spawn(move || take(from, &sender, direction, &of_taker));
    std::thread::spawn(move || give(to, &receiver, &of_giver));
}

fn take(mut from: TcpStream, sender: &SyncSender<(Instant, Vec<u8>)>, direction: usize, state: &State) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(count) = from.read(&mut piece) {
        let sent = sender.send((state.arrival(direction, count), piece[..count].to_vec()));
        // Nothing more is the end, which arrives as all else does.
        if sent.is_err() || count == 0 {
            return;
        }
    }
}

fn give(mut to: TcpStream, receiver: &Receiver<(Instant, Vec<u8>)>, state: &State) {
    let _ = to.set_nodelay(true);
    for (arrival, piece) in receiver {
        std::thread::sleep(arrival.saturating_duration_since(Instant::now()));
        while state.is_cut.load(Ordering::Relaxed) && !state.ends() {
            std::thread::sleep(TICK);
        }
        if piece.is_empty() || state.ends() || to.write_all(&piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that gives back what it gets.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        address
    }

    #[test]
    fn a_line_is_as_far_as_thin_and_as_cut_as_it_is_said_to_be() {
        let delay = Duration::from_millis(50);
        let conduct =
            Conduct { delay, lost_of_thousand: 0, sent_again_after: Duration::ZERO, bytes_per_second: 1 << 20 };
        let line = Line::to(echo(), conduct);
        let mut stream = TcpStream::connect(line.address()).unwrap();
        let mut ask = |bytes: usize| {
            let begun = Instant::now();
            let sent = vec![7; bytes];
            std::thread::scope(|scope| {
                let mut writer = stream.try_clone().unwrap();
                scope.spawn(move || writer.write_all(&sent).unwrap());
                let mut back = vec![0; bytes];
                stream.read_exact(&mut back).unwrap();
                assert!(back.iter().all(|byte| *byte == 7));
            });
            begun.elapsed()
        };
        let there_and_back = ask(1);
        assert!(there_and_back >= delay * 2, "{there_and_back:?}");
        let large = ask(256 << 10);
        assert!(large >= Duration::from_millis(250) + delay * 2, "{large:?}");
        line.cut(true);
        let mended = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(400));
                line.cut(false);
            });
            ask(1)
        });
        assert!(mended >= Duration::from_millis(400), "{mended:?}");
        let lossy = Line::to(echo(), Conduct { lost_of_thousand: 1_000, sent_again_after: delay * 4, ..conduct });
        stream = TcpStream::connect(lossy.address()).unwrap();
        let begun = Instant::now();
        stream.write_all(&[1]).unwrap();
        stream.read_exact(&mut [0]).unwrap();
        assert!(begun.elapsed() >= delay * 10, "{:?}", begun.elapsed());
    }
}
