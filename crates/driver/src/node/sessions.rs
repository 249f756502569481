//! The sessions of a node's key: for whose pools it signs and until when, and what is said before one ends and after.

use serde::{Deserialize, Serialize};
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_roles::{View, Waiting};
use solana_address::Address;

use super::status::{WaitingDefence, clock};
use super::waits::{ROLES, span};

/// So long before its end a session is told of, seconds: three days, and again an hour.
const SOON_SECONDS: [u64; 2] = [3 * 86_400, 3_600];

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// The key signs.
    Works,
    /// The key signs, for three days more at most.
    EndsSoon,
    /// The key signs, for an hour more at most.
    EndsNow,
    /// Its slot has come.
    Ended,
    /// The operator has named another key, or none.
    Replaced,
}

impl SessionState {
    /// Whether the key signs for the pool.
    pub fn signs(self) -> bool {
        ![SessionState::Ended, SessionState::Replaced].contains(&self)
    }
}

/// A pool of another wallet for which a key signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The pool.
    pub pool: String,
    /// What it stakes on, in a word.
    pub role: String,
    /// The wallet that operates it.
    pub operator: String,
    /// The slot from which on the key signs no more.
    pub until_slot: u64,
    /// That slot by the clock, Unix seconds.
    #[serde(rename = "untilUnixSeconds")]
    pub until: u64,
    /// How it stands.
    pub state: SessionState,
    /// For people.
    #[serde(rename = "said")]
    pub line: String,
}

/// The time, by the clock and by slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Seconds that a slot lasts, as measured.
    pub slot_seconds: f64,
    /// By the clock.
    pub unix_seconds: u64,
}

impl Now {
    /// Seconds from now to a later slot.
    fn seconds_to(&self, view: &View, slot: u64) -> u64 {
        (slot.saturating_sub(view.slot) as f64 * self.slot_seconds) as u64
    }
}

fn role_of(pool: &Pool) -> &'static str {
    let seated = ROLES.iter().find(|(kind, _)| *kind as u8 == pool.kind);
    seated.map_or(if pool.kind == PoolKind::Data as u8 { "provider" } else { "pool" }, |(_, name)| name)
}

/// What the operator does for a session to go on.
fn renewal(pool: &Address, wallet: &Address, operator: &Address) -> String {
    format!("\"sip pool session {pool} {wallet} --days 30\" with the key of {operator}, on any machine, renews it")
}

/// The session that a pool gives a key which is not its operator's.
fn session(view: &View, (address, pool): (&Address, &Pool), wallet: &Address, now: Now) -> Session {
    let (until_slot, operator) = (pool.session_until_slot, Address::new_from_array(pool.scope));
    let left = now.seconds_to(view, until_slot);
    let state = match left {
        _ if view.slot >= until_slot => SessionState::Ended,
        left if left <= SOON_SECONDS[1] => SessionState::EndsNow,
        left if left <= SOON_SECONDS[0] => SessionState::EndsSoon,
        _ => SessionState::Works,
    };
    let (role, until) = (role_of(pool), now.unix_seconds + left);
    let renewal = renewal(address, wallet, &operator);
    let line = match state {
        SessionState::Ended => {
            format!("{role} {address}: ended at slot {until_slot}, this node signs nothing more for it; {renewal}")
        }
        SessionState::Works => format!("{role} {address}, until slot {until_slot}, in {}", span(left)),
        _ => format!("{role} {address}, until slot {until_slot} only, {}, in {}; {renewal}", clock(until), span(left)),
    };
    let (pool, operator) = (address.to_string(), operator.to_string());
    Session { pool, role: role.into(), operator, until_slot, until, state, line }
}

/// One that was there before and is no more, while its pool is.
fn replaced(view: &View, before: &Session, wallet: &Address) -> Option<Session> {
    let address: Address = before.pool.parse().ok()?;
    let pool = view.pools.get(&address).filter(|pool| pool.session_key != wallet.to_bytes())?;
    let now = match Address::new_from_array(pool.session_key) {
        none if none == Address::default() => "its operator has ended the session".into(),
        other => format!("its operator has named another key, {other}"),
    };
    let Session { role, operator, .. } = before;
    let line = format!(
        "{role} {address}: {now}; this node signs nothing more for it; if that was a mistake, {}",
        renewal(&address, wallet, &operator.parse().ok()?)
    );
    Some(Session { state: SessionState::Replaced, line, ..before.clone() })
}

/// How the sessions of a wallet stand, those that were there before among them.
pub(crate) fn sessions(view: &View, wallet: &Address, before: &[Session], now: Now) -> Vec<Session> {
    let held =
        view.pools.iter().filter(|(address, pool)| pool.scope != wallet.to_bytes() && view.serves(wallet, address));
    let mut all: Vec<Session> = held.map(|(address, pool)| session(view, (address, pool), wallet, now)).collect();
    all.extend(before.iter().filter_map(|before| replaced(view, before, wallet)));
    all.sort_by_key(|session| session.state.signs());
    all
}

/// What is said of pools that name the key and are not served: one line for each.
pub(crate) fn unserved_lines(view: &View, wallet: &Address) -> Vec<String> {
    let line = |(address, pool): (&Address, &Pool)| {
        format!(
            "{} {address} of {} names this key, and is not served: add --for {address} if it should be",
            role_of(pool),
            Address::new_from_array(pool.scope)
        )
    };
    view.unserved(wallet).map(line).collect()
}

/// What is new of them, in lines.
pub(crate) fn session_news(before: &[Session], now: &[Session]) -> Vec<String> {
    let is_old = |session: &&Session| {
        let of_pool = before.iter().find(|other| other.pool == session.pool);
        of_pool.is_some_and(|other| (other.state, other.until_slot) == (session.state, session.until_slot))
    };
    now.iter().filter(|session| !is_old(session)).map(|session| session.line.clone()).collect()
}

/// A defence that waits, as a status has it.
pub(crate) fn defence(view: &View, waits: &Waiting, now: Now) -> WaitingDefence {
    let Waiting { dispute, from_slot } = waits;
    let from = now.unix_seconds + now.seconds_to(view, *from_slot);
    WaitingDefence { dispute: dispute.to_string(), from_slot: *from_slot, from }
}
