//! The first round of a job: its keeper opens it once all those are ready whom it would await, or their time is over.
//!
//! Who has a seat is awaited by the next round, also while its process still fetches the manifest: with short phases the first rounds would come to
//! nothing, and the seats would fall asleep.

use sip_protocol::network::peer::Peer;
use sip_protocol::training::job::bit;
use sip_roles::View;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::waits::ROLES;

/// For how long the first round waits for seats that are not ready, where nobody said how long.
pub const SEATS_PATIENCE: Duration = Duration::from_secs(600);

/// How long a keeper has waited with the first round.
#[derive(Debug)]
pub(crate) struct Hold {
    patience: Duration,
    /// Since when the program would take it.
    since: Cell<Option<Instant>>,
}

/// Records of peers by subject.
type Records = BTreeMap<[u8; 32], Box<Peer>>;

/// Who has a seat that is awake, and has not said that it is ready: "trainer 1".
pub(crate) fn unready(view: &View, records: &Records) -> Vec<String> {
    let mut unready = Vec::new();
    for (kind, name) in ROLES {
        let awake = view.job.awake(kind);
        let seats = (0u8..).zip(view.job.seats(kind).map(|seats| &seats[..]).unwrap_or_default());
        for (place, seat) in seats.filter(|(place, _)| awake & bit(*place) != 0) {
            if !records.get(&seat.pool).is_some_and(|record| record.contact.is_ready()) {
                unready.push(format!("{name} {}", u32::from(place) + 1));
            }
        }
    }
    unready
}

impl Hold {
    pub(crate) fn new(patience: Duration) -> Hold {
        Hold { patience, since: Cell::default() }
    }

    /// How much longer the first round waits for those who are not ready; nothing where it does not wait.
    pub(crate) fn left(&self, view: &View, records: &Records) -> Option<Duration> {
        if view.job.next_round > 0 || view.next_opens().is_err() {
            self.since.set(None);
            return None;
        }
        let since = self.since.get().unwrap_or_else(Instant::now);
        self.since.set(Some(since));
        let left = self.patience.saturating_sub(since.elapsed());
        (!left.is_zero() && !unready(view, records).is_empty()).then_some(left)
    }
}
