//! Open connections: so that there are not too many, and so that they can be hung up on.

use std::collections::BTreeMap;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The places that connections take.
pub(crate) struct Connections {
    open: Mutex<Open>,
    limit: usize,
    limit_per_peer: usize,
}

#[derive(Default)]
struct Open {
    last: u64,
    connections: BTreeMap<u64, Connection>,
}

struct Connection {
    stream: TcpStream,
    peer: Option<IpAddr>,
    /// Since when it waits for a request, and is told nothing.
    resting_since: Option<Instant>,
}

/// A connection's place; dropping it gives the place back.
pub(crate) struct Place<'a> {
    connections: &'a Connections,
    number: u64,
}

impl Connections {
    pub(crate) fn new(limit: usize, limit_per_peer: usize) -> Self {
        Self { open: Mutex::default(), limit, limit_per_peer }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more connection. Where all are taken, or all that its peer may have, the one that has rested longest is hung
    /// up on; `None` where none rests.
    pub(crate) fn take(&self, stream: &TcpStream) -> Option<Place<'_>> {
        let peer = stream.peer_addr().ok().map(|address| network(address.ip()));
        let stream = stream.try_clone().ok()?;
        let mut open = self.lock();
        let of_peer = open.connections.values().filter(|other| other.peer == peer).count();
        if of_peer >= self.limit_per_peer {
            open.hang_up(|other| other.peer == peer)?;
        } else if open.connections.len() >= self.limit {
            open.hang_up(|_| true)?;
        }
        open.last += 1;
        let number = open.last;
        open.connections.insert(number, Connection { stream, peer, resting_since: Some(Instant::now()) });
        Some(Place { connections: self, number })
    }

    pub(crate) fn close(&self) {
        for connection in self.lock().connections.values() {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }
}

impl Open {
    /// Frees the place of the connection that has rested longest; `None` where none rests.
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
        if let Some(connection) = self.connections.lock().connections.get_mut(&self.number) {
            connection.resting_since = resting_since;
        }
    }

    /// The connection waits for a request.
    pub(crate) fn rest(&self) {
        self.set(Some(Instant::now()));
    }

    /// The connection has sent something that is to be answered, or is told of something.
    pub(crate) fn work(&self) {
        self.set(None);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.connections.lock().connections.remove(&self.number);
    }
}

/// Whom addresses count as: one machine may have 2⁶⁴ of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}
