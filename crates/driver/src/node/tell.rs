//! What a node says, and where it writes how it stands.

use anyhow::{Result, bail};
use sip_data::hex;
use sip_ledger::Ledger;
use sip_manifest::folder::{read_json, write_json};
use sip_roles::Event;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::hold::unready;
use super::runner::Runner;
use super::sessions::{Now, defence, session_news, sessions, unserved_lines};
use super::setup::Parts;
use super::status::{BOOKS_SHOWN, RoundBooks, State, Status, awaited, phase_name};
use super::waits::{Wait, seat_news, seats, span, state_words, wait};
use crate::states::Root;
use crate::{Books, Crew, Memory, is_lost};

/// Lines that a status remembers.
const LINES: usize = 20;
/// Nobody gives a state of which nothing came for so long.
const QUIET: Duration = Duration::from_secs(15);

impl<L: Ledger> Runner<'_, L> {
    /// Says what keeps the node from going on.
    pub(crate) fn hold_up(&mut self, error: &anyhow::Error, seconds: u64) {
        let reason = format!("{error:#}");
        let event = match is_lost(error) {
            true => Event::Lost { reason: reason.clone(), seconds },
            false => Event::Hindered { what: "go on".into(), reason: reason.clone(), seconds },
        };
        self.status.state = if is_lost(error) { State::WaitingForTheChain } else { State::HeldUp };
        self.status.why = Some(reason);
        self.say(&event);
    }

    /// Tells something, and remembers the line.
    pub(crate) fn say(&mut self, event: &Event) {
        self.lines.push_back(event.to_string());
        if self.lines.len() > LINES {
            self.lines.pop_front();
        }
        (self.report)(event);
    }

    /// Tells something once.
    pub(crate) fn say_once(&mut self, event: &Event) {
        if self.said.insert(event.to_string()) {
            self.say(event);
        }
    }

    pub(crate) fn note_status(&mut self, parts: &Parts, crew: &Crew, books: &Books, memory: &Memory, is_over: bool) {
        let status = &mut self.status;
        if let Some(view) = memory.view() {
            let newest = view.rounds.last().map(|seen| &seen.round);
            let before = (status.round, status.phase.clone());
            status.slot = view.slot;
            (status.round, status.rounds) = (view.job.next_round, view.job.spec.rounds);
            status.rounds_scored = view.job.rounds_scored;
            let none = if is_over { "over" } else { "between-rounds" };
            status.phase = Some(newest.map_or(none, |round| phase_name(round, view.slot)).into());
            let held = self.hold.left(view, &self.peers.records).filter(|_| self.setup.node.roles.keeper);
            let absent = if view.job.next_round == 0 { unready(view, &self.peers.records) } else { Vec::new() };
            Wait { what: status.waits_for, until_slot: status.until_slot } = wait(view, &absent, held);
            let holds = held.map(|_| {
                let (who, most) = (absent.join(", "), span(self.setup.seats_patience.as_secs()));
                format!("the first round waits for {who}, who have seats and are not ready yet; {most} at most")
            });
            let left =
                status.until_slot.map(|end| end.saturating_sub(view.slot) as f64 * self.pace.slot().as_secs_f64());
            status.until = left.map(|left| unix_seconds() + left as u64);
            status.awaited = awaited(view, &self.setup.node.me.wallet);
            let kept = view.final_base().filter(|(_, root)| self.setup.node.roles.keeper && parts.shelf.is_whole(root));
            status.keeps_round = kept.map(|(round, _)| round + 1);
            let fetching = crew.sought();
            let words = |(root, quiet): &(Root, Duration)| match quiet.as_secs() {
                0..10 => state_words(view, root),
                seconds => format!("{}, of which nothing came for {seconds} s", state_words(view, root)),
            };
            status.fetches = fetching.iter().map(words).collect();
            let now = Now { slot_seconds: self.pace.slot().as_secs_f64(), unix_seconds: unix_seconds() };
            let held = sessions(view, &self.setup.node.me.wallet, &status.sessions, now);
            let session_lines = session_news(&status.sessions, &held);
            status.sessions = held;
            let unserved = unserved_lines(view, &self.setup.node.me.wallet);
            let waits = view.waiting_defences(&self.setup.node.me.wallet).into_iter();
            status.defences = waits.map(|waits| defence(view, &waits, now)).collect();
            let own = seats(view, &self.setup.node.roles, &self.setup.node.me.wallet);
            let news = seat_news(&status.seats, &own);
            status.seats = own;
            let vain = fetching.iter().filter(|(_, quiet)| *quiet >= QUIET);
            let vain: Vec<Event> =
                vain.map(|(root, _)| Event::Sought { root: hex(root), what: state_words(view, root) }).collect();
            if before != (status.round, status.phase.clone()) && status.round > 0 && newest.is_some() {
                let (round, phase) = (status.round - 1, status.phase.clone().unwrap_or_default());
                let until_slot = status.until_slot;
                self.say(&Event::Phase { round, phase, until_slot, seconds: left.map(|left| left as u64) });
            }
            news.into_iter().for_each(|what| self.say(&Event::Seat { what }));
            session_lines.into_iter().for_each(|what| self.say(&Event::Session { what }));
            holds.into_iter().chain(unserved).for_each(|what| self.say_once(&Event::Prepares { what }));
            vain.iter().for_each(|event| self.say_once(event));
        }
        let status = &mut self.status;
        if status.why.is_none() {
            status.state = if is_over && self.setup.stays { State::Serving } else { State::Running };
        }
        status.slot_milliseconds = self.pace.slot().as_secs_f64() * 1e3;
        status.waits_for_finality = memory.waits().iter().map(|what| (*what).to_owned()).collect();
        status.computing = crew.current().map(|(what, _)| what.to_owned());
        status.computing_seconds = crew.current().map(|(_, time)| time.as_secs());
        (status.fetching, status.peers) = (crew.fetching(), self.peers.count());
        status.bytes_out = parts.server.as_ref().map_or(0, |server| server.counts().bytes_out);
        status.shelf_bytes = parts.shelf.room().used;
        status.total = books.total();
        let last = books.pages().len().saturating_sub(BOOKS_SHOWN);
        let pages = books.pages().iter().skip(last);
        status.books = pages.map(|(round, page)| RoundBooks { round: *round + 1, page: *page }).collect();
    }

    /// Ends where the folder is another wallet's: what that one computed and promised is none of this one's.
    pub(crate) fn require_own_folder(&mut self) -> Result<()> {
        let before: Option<Status> = read_json(&status_path(&self.setup.folder)).ok();
        // A session that was taken away meanwhile is told of.
        self.status.sessions = before.iter().flat_map(|status| status.sessions.clone()).collect();
        let other =
            before.map(|status| status.wallet).filter(|wallet| !wallet.is_empty() && *wallet != self.status.wallet);
        match other {
            Some(other) => bail!(
                "{} is the folder of the wallet {other}, and this one is {}; --data names another folder, --key that wallet's file",
                self.setup.folder.display(),
                self.status.wallet
            ),
            None => Ok(()),
        }
    }

    pub(crate) fn write_status(&mut self, parts: &Parts) -> Result<()> {
        self.status.written = unix_seconds();
        self.status.said = self.lines.iter().cloned().collect();
        if let Ok(mut shown) = self.shown.lock() {
            *shown = self.status.clone();
        }
        // A disk that is full keeps nobody from going on.
        let _ = write_json(&status_path(parts.store.root()), &self.status);
        Ok(())
    }
}

/// Where a node writes how it stands.
pub fn status_path(folder: &Path) -> PathBuf {
    folder.join("status.json")
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
