//! How a node stands: what it waits for, from whom and until when; what it did, paid and got.

use serde::{Deserialize, Serialize};
use sip_protocol::training::evaluation;
use sip_protocol::training::job::bit;
use sip_protocol::training::round::{self, Round};
use sip_roles::{View, commits_scores, phase_words};
use solana_address::Address;

use super::sessions::Session;
use super::waits::{OwnSeat, span};
use crate::{books, digits};

/// Somebody that a round waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaited {
    /// Its role.
    pub role: String,
    /// Its place, from 0.
    pub place: u8,
    /// Its pool.
    pub pool: String,
    /// What is awaited.
    pub what: String,
    /// Whether it is this node.
    pub is_own: bool,
}

/// What a node does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It gets what the job computes with.
    #[default]
    GettingReady,
    /// It does its part.
    Running,
    /// The chain does not answer.
    WaitingForTheChain,
    /// Something else keeps it from going on, which may pass.
    HeldUp,
    /// The job is over, and it goes on serving.
    Serving,
    /// The job is over, and so is the process.
    Over,
    /// It was asked to stop.
    Stopped,
    /// The process is gone without having been asked.
    NotRunning,
}

impl State {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            State::GettingReady => "getting ready",
            State::Running => "running",
            State::WaitingForTheChain => "waiting for the chain",
            State::HeldUp => "held up",
            State::Serving => "the job is over; goes on serving because of --stay",
            State::Over => "over",
            State::Stopped => "stopped",
            State::NotRunning => "not running; the same command goes on from here",
        }
    }
}

/// The books of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoundBooks {
    /// From 1.
    pub round: u32,
    /// What it cost and brought.
    #[serde(flatten)]
    pub page: books::Page,
}

/// A defence that a session key cannot play yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingDefence {
    /// The dispute.
    pub dispute: String,
    /// The slot from which on the key moves.
    pub from_slot: u64,
    /// That slot by the clock, Unix seconds.
    #[serde(rename = "fromUnixSeconds")]
    pub from: u64,
}

/// Rounds of which a status has the books.
pub(crate) const BOOKS_SHOWN: usize = 20;

/// How a node stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The job.
    pub job: String,
    /// The wallet.
    pub wallet: String,
    /// What it does in the job.
    pub roles: Vec<String>,
    /// The process.
    pub pid: u32,
    /// When this was written, Unix seconds.
    #[serde(rename = "writtenUnixSeconds")]
    pub written: u64,
    /// What it does.
    pub state: State,
    /// Why, where there is more to say.
    pub why: Option<String>,
    /// Slot of the last look; 0 before there was one.
    pub slot: u64,
    /// Milliseconds that a slot lasts, as measured.
    pub slot_milliseconds: f64,
    /// The newest round, from 1; 0 before there is one.
    pub round: u32,
    /// Rounds of the job.
    pub rounds: u32,
    /// Rounds that count.
    pub rounds_scored: u32,
    /// Its phase, as [`phase_name`] has it; nothing before the first look.
    pub phase: Option<String>,
    /// What the job waits for where it is nobody's part: a clock, a seat that nobody holds.
    pub waits_for: Option<String>,
    /// Last slot of the phase, or the one that is waited for.
    pub until_slot: Option<u64>,
    /// That slot by the clock, Unix seconds.
    #[serde(rename = "untilUnixSeconds")]
    pub until: Option<u64>,
    /// Whom the phase waits for.
    pub awaited: Vec<Awaited>,
    /// The round whose final base is here for those who want the model, from 1.
    pub keeps_round: Option<u32>,
    /// What is sent once what it answers is final.
    pub waits_for_finality: Vec<String>,
    /// What is computed now.
    pub computing: Option<String>,
    /// For how long, seconds.
    pub computing_seconds: Option<u64>,
    /// States that are being fetched.
    pub fetching: usize,
    /// Which they are, and who should have them.
    pub fetches: Vec<String>,
    /// How the wallet's seats stand, those first that keep it from its work.
    pub seats: Vec<OwnSeat>,
    /// Peers that serve, as far as is known.
    pub peers: usize,
    /// Where it serves.
    pub listens: Option<String>,
    /// Bytes that it gave to others.
    pub bytes_out: u64,
    /// Bytes of states on its shelf.
    pub shelf_bytes: u64,
    /// What was paid and got.
    pub total: books::Page,
    /// The same of the last rounds.
    pub books: Vec<RoundBooks>,
    /// For whose pools the wallet signs as their session key, and until when; nothing of its own pools.
    #[serde(default)]
    pub sessions: Vec<Session>,
    /// Defences that have to wait, since a session key moves from half a clock after the opening on.
    #[serde(default)]
    pub defences: Vec<WaitingDefence>,
    /// Lamports in the wallet; nothing before the first look.
    #[serde(with = "digits::option")]
    pub wallet_lamports: Option<u64>,
    /// What happened last, newest last.
    pub said: Vec<String>,
}

/// What the phase of a round is called, in a word.
pub fn phase_name(round: &Round, slot: u64) -> &'static str {
    match (round.status, round.is_undone) {
        (round::OPEN, _) => "training",
        (round::COMMITS_CLOSED, _) => "audit",
        (round::CLOSED, _) => "vote",
        (round::AGGREGATED, _) if commits_scores(round, slot) => "evaluation",
        (round::AGGREGATED, _) => "reveal",
        (round::SCORED, _) => "scored",
        (round::FINAL, _) => "final",
        (round::VOID, 0) => "void",
        (round::VOID, _) => "undone",
        _ => "unknown",
    }
}

/// Whom the newest round waits for, in its phase.
pub fn awaited(view: &View, wallet: &Address) -> Vec<Awaited> {
    let Some(seen) = view.rounds.last() else { return Vec::new() };
    let (round, job) = (&seen.round, &view.job);
    let mut awaited = Vec::new();
    let mut await_one = |role: &str, place: u8, pool: [u8; 32], what: &str| {
        let address = Address::new_from_array(pool);
        let is_own = view.serves(wallet, &address);
        awaited.push(Awaited { role: role.into(), place, pool: address.to_string(), what: what.into(), is_own });
    };
    match round.status {
        round::OPEN => {
            let left = round.eligible & !round.committed & !round.excluded_trainers(job);
            for place in (0..16).filter(|place| left & bit(*place) != 0) {
                await_one("trainer", place, round.trainers[usize::from(place)], "its segment");
            }
        }
        round::COMMITS_CLOSED | round::CLOSED => {
            let excluded = round.excluded_auditors(job);
            for place in (0..round.auditor_count).filter(|place| excluded & bit(*place) == 0) {
                let seat = &round.auditors[usize::from(place)];
                let what = match (round.status, seat.revealed, seat.vote == [0; 32]) {
                    (round::COMMITS_CLOSED, 0, _) => "its draw",
                    (round::COMMITS_CLOSED, ..) if seat.attested < seat.drawn => "its attestations",
                    (round::CLOSED, _, true) => "its vote for the next base",
                    _ => continue,
                };
                await_one("auditor", place, seat.pool, what);
            }
        }
        round::AGGREGATED => {
            for place in (0..16).filter(|place| round.awaited_evaluators & bit(*place) != 0) {
                let Some(seat) = round.evaluators.get(usize::from(place)) else { continue };
                let what = match seat.status {
                    evaluation::ABSENT => "its score",
                    evaluation::COMMITTED => "the score that it has committed",
                    _ => continue,
                };
                await_one("evaluator", place, seat.pool, what);
            }
        }
        _ => {}
    }
    awaited
}

fn sol(lamports: u64) -> String {
    format!("{}.{:09} SOL", lamports / 1_000_000_000, lamports % 1_000_000_000)
}

/// A time of the day: "16:05:09 UTC".
pub(crate) fn clock(unix_seconds: u64) -> String {
    let second = unix_seconds % 86_400;
    format!("{:02}:{:02}:{:02} UTC", second / 3_600, second / 60 % 60, second % 60)
}

impl Status {
    /// What it waits for, in one sentence.
    pub fn waiting(&self) -> String {
        if let Some(why) = &self.why {
            return why.clone();
        }
        // A clock ends when it says; people may be earlier.
        let latest = if self.waits_for.is_some() { "" } else { " at the latest" };
        let until = match (self.until_slot, self.until) {
            (Some(slot), Some(until)) => {
                let left = span(until.saturating_sub(self.written));
                format!(", until slot {slot}{latest}: {}, in {left}", clock(until))
            }
            (Some(slot), None) => format!(", until slot {slot}{latest}"),
            _ => String::new(),
        };
        let names: Vec<String> = self
            .awaited
            .iter()
            .map(|awaited| {
                let own = if awaited.is_own { ", which is this node" } else { "" };
                format!("{} of {} {}{own}", awaited.what, awaited.role, u32::from(awaited.place) + 1)
            })
            .collect();
        match names.is_empty() {
            true if self.waits_for.is_some() => self.waits_for.clone().unwrap_or_default() + &until,
            true if self.phase.is_none() => "the first look at the chain".into(),
            true => format!("somebody to move the round on{until}"),
            false => format!("{}{until}", names.join("; ")),
        }
    }

    fn round_words(&self) -> String {
        let counts = format!("{} of {} scored", self.rounds_scored, self.rounds);
        if self.round == 0 { format!("none yet, {counts}") } else { format!("{}, {counts}", self.round) }
    }

    /// How it stands, for people: names and values.
    pub fn rows(&self) -> Vec<(String, String)> {
        let books = |page: &books::Page| {
            let tokens = page.tokens as f64 / sip_protocol::ground::units::TOKEN as f64;
            format!(
                "{} transactions, fees {}, rent {} out and {} back, {tokens:+.3} SIP",
                page.transactions,
                sol(page.fee_lamports),
                sol(page.rent_out_lamports),
                sol(page.rent_back_lamports)
            )
        };
        let computing =
            self.computing.as_ref().map(|what| format!("{what}, for {}", span(self.computing_seconds.unwrap_or(0))));
        let seats: Vec<&str> = self.seats.iter().map(|seat| &*seat.line).collect();
        let sessions: Vec<&str> = self.sessions.iter().map(|session| &*session.line).collect();
        let defence = |waits: &WaitingDefence| {
            let WaitingDefence { dispute, from_slot, from } = waits;
            let left = span(from.saturating_sub(self.written));
            format!(
                "{dispute} from slot {from_slot} on, {}, in {left}: a session key waits half a clock, the operator need not",
                clock(*from)
            )
        };
        let defences: Vec<String> = self.defences.iter().map(defence).collect();
        // Before the first look nothing of the chain is known, which is not nothing.
        let seen = |text: String| if self.phase.is_some() { text } else { String::new() };
        let has = self.wallet_lamports.map_or(String::new(), |lamports| format!(", {}", sol(lamports)));
        let mut rows: Vec<(&str, String)> = vec![
            ("state", self.state.words().into()),
            ("job", self.job.clone()),
            ("wallet", format!("{}{has}", self.wallet)),
            ("roles", self.roles.join(", ")),
            ("round", seen(self.round_words())),
            ("seats", seats.join("; ")),
            ("signs for", sessions.join("; ")),
            ("defends", defences.join("; ")),
            ("phase", self.phase.as_deref().map(phase_words).unwrap_or_default().into()),
            ("waits for", self.waiting()),
            ("keeps", self.keeps_round.map_or(String::new(), |round| format!("the model of round {round}"))),
            ("waits to be final", self.waits_for_finality.join(", ")),
            ("computes", computing.unwrap_or_else(|| "nothing".into())),
            ("fetches", if self.fetches.is_empty() { "nothing".into() } else { self.fetches.join("; ") }),
            ("slot", seen(format!("{}, {:.0} ms each", self.slot, self.slot_milliseconds))),
            ("peers", format!("{} that serve", self.peers)),
            (
                "serves on",
                self.listens
                    .clone()
                    .map_or("nothing".into(), |url| format!("{url}, {} KiB so far", self.bytes_out >> 10)),
            ),
            ("disk", format!("{} MiB of states and tokens", self.shelf_bytes >> 20)),
            ("all rounds", books(&self.total)),
        ];
        rows.retain(|(_, value)| !value.is_empty());
        let mut rows: Vec<(String, String)> = rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let last = self.books.iter().rev().take(3);
        rows.extend(last.map(|of| (format!("round {}", of.round), books(&of.page))));
        rows
    }
}
