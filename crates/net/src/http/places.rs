//! Open connections: so that there are not too many, and so that they can be hung up on.

use super::server::ServeLimits;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// The places that connections take.
#[derive(Debug)]
pub(super) struct Places {
    open: Mutex<Open>,
    limits: ServeLimits,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    connections: BTreeMap<u64, Connection>,
    /// Who is no guest.
    seats: BTreeSet<IpAddr>,
    is_closed: bool,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    peer: IpAddr,
    /// Since when it has asked for nothing, or waits for what a guest may take. Who sends a request byte by byte has not asked yet.
    resting_since: Option<Instant>,
    /// Bytes that it was given.
    taken: u64,
    /// The thread that is at it.
    thread: Option<Thread>,
}

/// A connection's place; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Place<'a> {
    places: &'a Places,
    number: u64,
}

impl Places {
    pub(super) fn new(limits: ServeLimits) -> Places {
        Places { open: Mutex::default(), limits }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is no guest, instead of those before.
    pub(super) fn seats(&self, peers: BTreeSet<IpAddr>) {
        self.lock().seats = peers;
    }

    pub(super) fn is_guest(&self, peer: &IpAddr) -> bool {
        self.lock().is_guest(peer, &self.limits)
    }

    /// The number of a place for one more connection of a peer; the one who [keeps](Places::keep) it gives it back. Where all are taken that
    /// the peer, or guests together, may have, somebody who rests is hung up on; where all are taken, a seat takes a guest's place also if
    /// none rests, or one of the seat that has most, and a guest no seat's. `None` where nobody makes room. Also whether somebody was hung up on.
    pub(super) fn take(&self, stream: &TcpStream, peer: IpAddr) -> Option<(u64, bool)> {
        let stream = stream.try_clone().ok()?;
        let limits = &self.limits;
        let mut open = self.lock();
        let is_guest = open.is_guest(&peer, limits);
        let guests: Vec<u64> = open.numbers(|other| open.is_guest(&other.peer, limits));
        let of_peer = open.numbers(|other| other.peer == peer);
        let is_full = open.connections.len() >= limits.connections;
        let mut is_hung_up = true;
        if of_peer.len() >= limits.connections_per_address {
            let resting = open.resting(&of_peer)?;
            open.hang_up(resting);
        } else if is_guest && (is_full || guests.len() >= limits.guest_connections) {
            let resting = open.resting(&guests)?;
            open.hang_up(resting);
        } else if is_full {
            let all = open.numbers(|_| true);
            let guest = open.resting(&guests).or_else(|| open.greediest(&guests));
            let number = guest.or_else(|| open.resting(&all)).or_else(|| open.heaviest(&peer))?;
            open.hang_up(number);
        } else {
            is_hung_up = false;
        }
        open.last += 1;
        let number = open.last;
        let resting_since = Some(Instant::now());
        open.connections.insert(number, Connection { stream, peer, resting_since, taken: 0, thread: None });
        Some((number, is_hung_up))
    }

    /// The place of a number that was taken, for the thread that is at it.
    pub(super) fn keep(&self, number: u64) -> Place<'_> {
        if let Some(connection) = self.lock().connections.get_mut(&number) {
            connection.thread = Some(std::thread::current());
        }
        Place { places: self, number }
    }

    pub(super) fn count(&self) -> usize {
        self.lock().connections.len()
    }

    /// Hangs up on everybody, for good.
    pub(super) fn close(&self) {
        let mut open = self.lock();
        open.is_closed = true;
        open.connections.values().for_each(Connection::end);
    }
}

impl Connection {
    /// Its thread sees the end.
    fn end(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        self.thread.iter().for_each(Thread::unpark);
    }
}

impl Open {
    fn is_guest(&self, peer: &IpAddr, limits: &ServeLimits) -> bool {
        !(self.seats.contains(peer) || limits.trusts_own_machine && peer.is_loopback())
    }

    fn numbers(&self, is_meant: impl Fn(&Connection) -> bool) -> Vec<u64> {
        self.connections.iter().filter(|(_, found)| is_meant(found)).map(|(number, _)| *number).collect()
    }

    /// Who rests: of the peer that has most connections the one that has rested longest, so that many of one peer are no way to take
    /// another's.
    fn resting(&self, numbers: &[u64]) -> Option<u64> {
        let mut of_peer: BTreeMap<IpAddr, usize> = BTreeMap::new();
        self.connections.values().for_each(|found| *of_peer.entry(found.peer).or_default() += 1);
        let found = numbers.iter().filter_map(|number| {
            let found = self.connections.get(number)?;
            Some((Reverse(of_peer.get(&found.peer).copied().unwrap_or(0)), found.resting_since?, *number))
        });
        found.min().map(|(_, _, number)| number)
    }

    /// Who was given most.
    fn greediest(&self, numbers: &[u64]) -> Option<u64> {
        numbers.iter().copied().max_by_key(|number| self.connections.get(number).map(|found| found.taken))
    }

    /// Of the peer that has most connections the one that was given most, if it has more than `peer` would have with one more: so few addresses
    /// cannot hold all places against the others.
    fn heaviest(&self, peer: &IpAddr) -> Option<u64> {
        let mut of_peer: BTreeMap<IpAddr, Vec<u64>> = BTreeMap::new();
        self.connections.iter().for_each(|(number, found)| of_peer.entry(found.peer).or_default().push(*number));
        let own = of_peer.get(peer).map_or(0, Vec::len);
        let most = of_peer.into_values().max_by_key(Vec::len)?;
        if most.len() > own + 1 { self.greediest(&most) } else { None }
    }

    fn hang_up(&mut self, number: u64) {
        self.connections.remove(&number).iter().for_each(Connection::end);
    }
}

impl Place<'_> {
    fn change(&self, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.places.lock().connections.get_mut(&self.number) {
            change(connection);
        }
    }

    /// The connection waits for a request.
    pub(super) fn rest(&self) {
        self.change(|connection| connection.resting_since = Some(Instant::now()));
    }

    /// The connection has asked for something.
    pub(super) fn work(&self) {
        self.change(|connection| connection.resting_since = None);
    }

    /// The connection was given something.
    pub(super) fn took(&self, bytes: u64) {
        self.change(|connection| connection.taken += bytes);
    }

    /// Waits, a guest resting, and works on.
    ///
    /// # Errors
    /// Somebody else was given the place meanwhile, or the server stops.
    pub(super) fn wait(&self, pause: Duration, is_guest: bool) -> io::Result<()> {
        if pause.is_zero() {
            return Ok(());
        }
        if is_guest {
            self.rest();
        }
        let by = Instant::now() + pause;
        loop {
            {
                let open = self.places.lock();
                if open.is_closed || !open.connections.contains_key(&self.number) {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.work();
                return Ok(());
            }
            std::thread::park_timeout(left);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.places.lock().connections.remove(&self.number);
    }
}

/// Whom addresses count as: one machine may have 2⁶⁴ of IPv6.
pub(super) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address if address.is_loopback() => address,
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Places, and a connection to put into them.
    fn places(limits: ServeLimits) -> (Places, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Places::new(limits), stream)
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    const LIMITS: fn() -> ServeLimits =
        || ServeLimits { connections: 8, connections_per_address: 8, guest_connections: 4, ..ServeLimits::default() };

    #[test]
    fn guests_leave_places_to_seats_and_never_take_a_seats_place() {
        let (places, stream) = places(LIMITS());
        places.seats([address(1)].into());
        let guests: Vec<_> = (0..4).map(|_| places.take(&stream, address(2)).unwrap().0).collect();
        for number in &guests {
            places.keep_and_work(*number);
        }
        assert_eq!(places.take(&stream, address(3)), None, "no guest rests");
        let seats: Vec<_> = (0..4).map(|_| places.take(&stream, address(1)).unwrap()).collect();
        assert!(seats.iter().all(|(_, is_hung_up)| !is_hung_up));
        assert_eq!(places.take(&stream, address(3)), None, "seats rest, and keep their places");
    }

    #[test]
    fn a_seat_takes_the_place_of_the_guest_that_was_given_most() {
        let (places, stream) = places(LIMITS());
        places.seats([address(1)].into());
        let guests: Vec<_> = (0..4).map(|_| places.take(&stream, address(2)).unwrap().0).collect();
        for number in &guests {
            places.keep_and_work(*number);
            let place = std::mem::ManuallyDrop::new(places.keep(*number));
            place.took(if *number == guests[2] { 100 } else { 10 });
        }
        (0..4).for_each(|_| assert!(!places.take(&stream, address(1)).unwrap().1));
        assert!(places.take(&stream, address(1)).unwrap().1);
        assert!(!places.lock().connections.contains_key(&guests[2]));
    }

    #[test]
    fn a_guest_with_one_connection_keeps_it_before_one_with_many() {
        let (places, stream) = places(LIMITS());
        let one = places.take(&stream, address(1)).unwrap().0;
        (0..20).for_each(|_| assert!(places.take(&stream, address(2)).is_some()));
        assert!(places.lock().connections.contains_key(&one));
        assert_eq!(places.count(), 4);
    }

    #[test]
    fn who_waits_for_what_guests_may_take_rests_and_ends_when_hung_up_on() {
        let (places, stream) = places(LIMITS());
        let number = places.take(&stream, address(1)).unwrap().0;
        std::thread::scope(|scope| {
            let began = Instant::now();
            let waiting = scope.spawn(|| {
                let place = places.keep(number);
                place.work();
                place.wait(Duration::from_secs(60), true)
            });
            while places.lock().resting(&[number]).is_none() || places.lock().connections[&number].thread.is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            places.lock().hang_up(number);
            assert!(waiting.join().unwrap().is_err());
            assert!(began.elapsed() < Duration::from_secs(10));
        });
    }

    #[test]
    fn this_machine_is_no_guest_under_either_of_its_addresses() {
        let (places, _) = places(LIMITS());
        for own in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(!places.is_guest(&neighbourhood(own.parse().unwrap())), "{own}");
        }
        assert!(places.is_guest(&address(1)));
    }

    impl Places {
        /// Somebody is at work there, and never lets go.
        fn keep_and_work(&self, number: u64) {
            let place = std::mem::ManuallyDrop::new(self.keep(number));
            place.work();
        }
    }
}
