//! The turns of a node that is ready: a look at the chain, what follows from it, and the wait for what is computed and fetched.

use anyhow::Result;
use sip_ledger::Ledger;
use sip_manifest::machine::Machine;
use sip_manifest::stop::Stop;
use sip_roles::{Event, View};
use solana_address::Address;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::announce::NotAlone;
use super::runner::{LONGEST_WAIT_SECONDS, Runner};
use super::setup::{Ended, Parts};
use super::status::State;
use crate::{Balance, Bench, Books, Came, Crew, Live, Memory, PAUSE_SLOTS, Record, Source, States, is_stop};

/// Longest time between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Between two looks at the records of peers before the first round.
const OFTEN: Duration = Duration::from_secs(2);

impl<L: Ledger> Runner<'_, L> {
    pub(crate) fn live(
        &mut self,
        parts: &Parts,
        source: &Arc<Source>,
        machine: &Machine,
        record: &Record,
        states: Arc<dyn States>,
    ) -> Result<Ended> {
        let stop = Stop::default();
        let bench = {
            let (source, machine, record) = (Arc::clone(source), machine.clone(), record.clone());
            let (states, stop) = (Arc::clone(&states), stop.clone());
            move || Bench::new(source, machine, record, states, stop)
        };
        let mut crew = Crew::start(states, Arc::clone(&machine.threads), stop, bench);
        let mut books = Books::open(record, self.setup.max_bid_lamports)?;
        let mut memory = Memory::default();
        let mut wait_seconds = 1;
        self.status.state = State::Running;
        loop {
            let stepped = self.turn(parts, source, record, (&mut crew, &mut books, &mut memory));
            if self.setup.stop.requested() {
                return Ok(Ended::Stopped);
            }
            let has_acted = match stepped {
                Ok(acted) => {
                    (wait_seconds, self.status.why) = (1, None);
                    acted
                }
                Err(error) if is_stop(&error) => false,
                // Two that sign with one key are told apart by nobody.
                Err(error) if error.is::<NotAlone>() => return Err(error),
                Err(error) => {
                    self.hold_up(&error, wait_seconds);
                    self.write_status(parts)?;
                    if !self.sleep(Duration::from_secs(wait_seconds)) {
                        return Ok(Ended::Stopped);
                    }
                    wait_seconds = (wait_seconds * 2).min(LONGEST_WAIT_SECONDS);
                    false
                }
            };
            let is_over = memory.view().is_some_and(|view| self.setup.node.is_done(view));
            self.note_status(parts, &crew, &books, &memory, is_over);
            self.write_status(parts)?;
            if has_acted {
                continue;
            }
            if crew.is_idle() && self.setup.once {
                return Ok(Ended::Idle);
            }
            if crew.is_idle() && is_over && !self.setup.stays {
                return Ok(Ended::Over);
            }
            let pause = (self.pace.slot() * PAUSE_SLOTS as u32).clamp(Duration::from_millis(50), LONGEST_PAUSE);
            self.await_news(record, (&mut crew, &mut books, &mut memory), source, pause)?;
        }
    }

    /// One look at the chain, and what follows from it. Whether anything was done.
    fn turn(
        &mut self,
        parts: &Parts,
        source: &Arc<Source>,
        record: &Record,
        (crew, books, memory): (&mut Crew, &mut Books, &mut Memory),
    ) -> Result<bool> {
        if self.peers_read.is_none_or(|at| at.elapsed() >= self.peers_every(memory.view())) {
            self.read_peers()?;
            self.stay_alone()?;
            self.announce_what_came()?;
            if let Some(server) = &parts.server {
                server.seats(&self.peers.addresses(&parts.network));
            }
        }
        let banned = self.banned.lock().map(|mut banned| std::mem::take(&mut *banned)).unwrap_or_default();
        for (id, why) in banned {
            let what =
                format!("{} gave what is wrong, and is asked for nothing for a while: {why}", self.peers.name(&id));
            self.say(&Event::Prepares { what });
        }
        let acted = self.with_live(source, record, (crew, books, memory), |live| live.step())?;
        if let Some(view) = memory.view() {
            self.pace.note(view.slot, Instant::now());
            self.make_room(parts, source, &view.job, view.rounds.len() as u32);
        }
        let round = memory.view().map_or(0, |view| view.job.next_round.saturating_sub(1));
        let lamports = self.ledger.account(&self.setup.node.me.wallet)?.map_or(0, |account| account.lamports);
        let in_wallet = self.ledger.token_balance(&self.setup.program.token_account(&self.setup.node.me.wallet))?;
        let bonds = memory.view().map_or(0, |view| bonds(view, &self.setup.node.me.wallet));
        books.balance(round, Balance { lamports, tokens: in_wallet.unwrap_or(0), bonds });
        self.status.wallet_lamports = Some(lamports);
        if let Err(error) = books.save(record) {
            // A disk that is full keeps nobody from what is owed.
            let (what, reason) = ("write the books".into(), format!("{error:#}"));
            self.say_once(&Event::Hindered { what, reason, seconds: LONGEST_PAUSE.as_secs() });
        }
        Ok(acted)
    }

    fn with_live<T>(
        &mut self,
        source: &Arc<Source>,
        record: &Record,
        (crew, books, memory): (&mut Crew, &mut Books, &mut Memory),
        act: impl FnOnce(&mut Live<'_, L>) -> Result<T>,
    ) -> Result<T> {
        let (mut events, turn_slots) = (Vec::new(), Some(self.turn_slots()));
        let (peers, hold, is_keeper) = (&self.peers, &self.hold, self.setup.node.roles.keeper);
        let outcome = act(&mut Live {
            ledger: &mut *self.ledger,
            program: self.setup.program,
            key: self.key,
            job: self.setup.job,
            node: &self.setup.node,
            source,
            record: record.clone(),
            hands: crew,
            holders: &|view, root| peers.holders(view, root),
            holds_opening: &|view| is_keeper && hold.left(view, &peers.records).is_some(),
            books,
            slot: self.pace.slot(),
            turn_slots,
            memory,
            report: &mut |event| events.push(event.clone()),
        });
        for event in &events {
            // Rounds are told as they come.
            match event {
                Event::Follows { .. } if !std::mem::take(&mut self.is_new) => {}
                event => self.say(event),
            }
        }
        outcome
    }

    /// How long records of peers stand: shorter while the first round waits for what they say.
    fn peers_every(&self, view: Option<&View>) -> Duration {
        let waits = view.is_none_or(|view| view.job.next_round == 0);
        if waits { self.setup.peers_every.min(OFTEN) } else { self.setup.peers_every }
    }

    /// How long it leaves to others what anybody may do: the job's keeper nothing, the others by their keys, so that not all pay for the same.
    fn turn_slots(&self) -> u64 {
        let wallet = self.setup.node.me.wallet;
        let rank = 1 + u64::from(wallet.as_array().iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) % 4);
        if self.setup.node.roles.keeper { 0 } else { rank * PAUSE_SLOTS }
    }

    /// Waits for what is computed and fetched, and notes all that came.
    fn await_news(
        &mut self,
        record: &Record,
        (crew, books, memory): (&mut Crew, &mut Books, &mut Memory),
        source: &Arc<Source>,
        pause: Duration,
    ) -> Result<()> {
        let end = Instant::now() + pause;
        let mut has_news = false;
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(Duration::from_millis(100));
            let came = crew.next(if has_news { Duration::ZERO } else { left });
            let is_done = came.is_none() && (has_news || Instant::now() >= end || self.setup.stop.requested());
            has_news |= came.is_some();
            match came {
                Some(Came::Fact(fact, tell)) => {
                    let noted = self.with_live(source, record, (crew, books, memory), |live| live.note(*fact, tell));
                    // What cannot be remembered is computed again.
                    noted.unwrap_or_else(|error| self.hold_up(&error, 1));
                }
                Some(Came::Failed(event)) => self.say(&event),
                Some(Came::News) | None => {}
            }
            if is_done {
                return Ok(());
            }
        }
    }
}

/// Bonds of the pools that a wallet sees to in the job, base units.
fn bonds(view: &View, wallet: &Address) -> u64 {
    let own = view.pools.iter().filter(|(address, _)| view.serves(wallet, address));
    own.map(|(_, pool)| pool.self_bond).sum()
}
