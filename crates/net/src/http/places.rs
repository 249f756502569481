//! Open connections: so that there are not too many, and so that they can be hung up on.

use std::collections::BTreeMap;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The places that connections take.
#[derive(Debug)]
pub(super) struct Places {
    open: Mutex<Open>,
    limit: usize,
    limit_per_peer: usize,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    connections: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    peer: IpAddr,
    /// Since when it has asked for nothing. Who sends a request byte by byte has not asked yet.
    resting_since: Option<Instant>,
}

/// A connection's place; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Place<'a> {
    places: &'a Places,
    number: u64,
}

impl Places {
    pub(super) fn new(limit: usize, limit_per_peer: usize) -> Places {
        Places { open: Mutex::default(), limit, limit_per_peer }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a place for one more connection of a peer; the one who [keeps](Places::keep) it gives it back. Where all are taken, or all that the peer may have, the one that has rested longest is
    /// hung up on; `None` where none rests. Also whether somebody was hung up on.
    pub(super) fn take(&self, stream: &TcpStream, peer: IpAddr) -> Option<(u64, bool)> {
        let stream = stream.try_clone().ok()?;
        let mut open = self.lock();
        let of_peer = open.connections.values().filter(|other| other.peer == peer).count();
        let mut is_hung_up = true;
        if of_peer >= self.limit_per_peer {
            open.hang_up(|other| other.peer == peer)?;
        } else if open.connections.len() >= self.limit {
            open.hang_up(|_| true)?;
        } else {
            is_hung_up = false;
        }
        open.last += 1;
        let number = open.last;
        open.connections.insert(number, Connection { stream, peer, resting_since: Some(Instant::now()) });
        Some((number, is_hung_up))
    }

    /// The place of a number that was taken.
    pub(super) fn keep(&self, number: u64) -> Place<'_> {
        Place { places: self, number }
    }

    pub(super) fn count(&self) -> usize {
        self.lock().connections.len()
    }

    pub(super) fn close(&self) {
        for connection in self.lock().connections.values() {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }
}

impl Open {
    fn hang_up(&mut self, is_meant: impl Fn(&Connection) -> bool) -> Option<()> {
        let resting = self.connections.iter().filter(|(_, connection)| is_meant(connection));
        let (_, number) = resting.filter_map(|(number, found)| Some((found.resting_since?, *number))).min()?;
        let connection = self.connections.remove(&number)?;
        // Its thread sees the end.
        let _ = connection.stream.shutdown(Shutdown::Both);
        Some(())
    }
}

impl Place<'_> {
    fn set(&self, resting_since: Option<Instant>) {
        if let Some(connection) = self.places.lock().connections.get_mut(&self.number) {
            connection.resting_since = resting_since;
        }
    }

    /// The connection waits for a request.
    pub(super) fn rest(&self) {
        self.set(Some(Instant::now()));
    }

    /// The connection has asked for something.
    pub(super) fn work(&self) {
        self.set(None);
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
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}
