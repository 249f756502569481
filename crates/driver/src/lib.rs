//! A driver for [roles](sip_roles) on a ledger: it reads the chain, computes, keeps what was found in a folder, and sends.
//!
//! A step looks at the chain and at what is on disk, does what the roles ask for until something has changed, and returns. The process may be
//! killed between any two transactions, also those of one step.

pub mod archive;
mod players;
mod record;
mod source;
mod work;

pub use record::{Known as Tally, Record};
pub use source::{Match, Source};

use anyhow::{Result, bail};
use sip_client::Program;
use sip_ledger::{Ledger, LedgerError, MAX_TRANSACTION_BYTES, compute_unit_limit, pack, transaction_bytes};
use sip_manifest::machine::Machine;
use sip_manifest::stop::Stop;
use sip_node::WorkError;
use sip_roles::{Accounts, Action, Event, Fact, Known, Look, Node, Query, Shelf, View};
use solana_account::Account;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use players::Player;

/// Compute units that a transaction may take.
const COMPUTE_UNITS: u32 = 1_400_000;
/// Slots between two looks at a chain on which nothing is to be done.
pub const PAUSE_SLOTS: u64 = 4;
/// Scoring runs that are remembered.
const SCORES_KEPT: usize = 4;

/// What only saves time: all of it can be lost.
#[derive(Default)]
pub struct Memory {
    /// Sides of disputes that run, by the dispute's address.
    players: BTreeMap<Address, Player>,
    /// What was said and need not be said again.
    said: BTreeSet<String>,
    /// What was computed and is nowhere on disk.
    facts: Vec<Fact>,
    /// States that were handed out.
    published: BTreeSet<[u8; 32]>,
}

/// Somebody in a job, on a ledger.
pub struct Live<'a, L> {
    /// The chain.
    pub ledger: &'a mut L,
    /// The deployment.
    pub program: Program,
    /// Whose transactions these are.
    pub key: &'a Keypair,
    /// The job.
    pub job: Address,
    /// Who decides.
    pub node: &'a Node,
    /// What the job computes with.
    pub source: &'a Source,
    /// On what it is computed.
    pub machine: &'a Machine,
    /// What was found.
    pub record: Record,
    /// Where states are handed out and got from, by their roots, beside the folder of the run.
    pub shelf: Option<PathBuf>,
    /// What only saves time.
    pub memory: &'a mut Memory,
    /// Whether computing is to stop.
    pub stop: &'a Stop,
    /// Who is told.
    pub report: &'a mut dyn FnMut(&Event),
}

/// How far a list of transactions came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    All,
    Some,
    Nothing,
}

/// What is to be done after an action.
enum Then {
    /// The next one.
    Next,
    /// Another step, on what is known now.
    Again,
    /// Another look at the chain.
    Look,
}

/// What stands while one step is done.
struct Under {
    view: View,
    known: Known,
    shelf: Shelf,
    /// Whether something was noted that the next step has to see.
    is_changed: bool,
    /// The next slot in which there is something to do.
    wake_slot: Option<u64>,
}

impl<L: Ledger> Live<'_, L> {
    /// Does the next thing that can be done now: sends what belongs together, or computes one thing. False if there is none.
    ///
    /// # Errors
    /// Where the chain does not answer, the work was asked to stop, or nothing can be remembered.
    pub fn step(&mut self) -> Result<bool> {
        let mut under = self.look()?;
        let terms = self.source.terms(&under.view.job);
        'again: loop {
            for action in self.node.step(&under.view, &under.shelf, &under.known, &terms) {
                match self.act(&mut under, action)? {
                    Then::Next => {}
                    Then::Again => continue 'again,
                    Then::Look => return Ok(true),
                }
            }
            break;
        }
        if under.is_changed {
            return Ok(true);
        }
        let wait = under.wake_slot.map(|slot| slot.saturating_sub(under.view.slot));
        match wait.filter(|slots| *slots <= PAUSE_SLOTS) {
            Some(slots) => self.ledger.advance_slots(slots).map(|()| true).map_err(Into::into),
            None => Ok(false),
        }
    }

    fn act(&mut self, under: &mut Under, action: Action) -> Result<Then> {
        match action {
            Action::Send(send) => match self.send_all(send.what, send.instructions)? {
                Sent::Nothing => {}
                Sent::Some => return Ok(Then::Look),
                Sent::All => {
                    send.tell.iter().for_each(|event| (self.report)(event));
                    return Ok(Then::Look);
                }
            },
            Action::Compute(work) => {
                let (fact, tell) = self.compute(under, &work)?;
                let is_durable = fact.is_durable();
                self.keep(under, fact, tell)?;
                return Ok(if is_durable { Then::Look } else { Then::Again });
            }
            Action::Fetch { root } => {
                let is_whole = self.knows(&root)?;
                under.shelf.note(root, is_whole);
                return Ok(Then::Again);
            }
            Action::Survey => {
                under.view.survey = Some(self.survey()?);
                return Ok(Then::Again);
            }
            Action::Keep { fact, tell } => self.keep(under, fact, tell)?,
            Action::Publish { root } => self.publish(root)?,
            Action::Archive { address, data } => archive::keep(&self.source.store, &address, &data)?,
            Action::Forget { root } => self.record.forget(&root),
            Action::Wake { slot } => under.wake_slot = Some(under.wake_slot.map_or(slot, |other| other.min(slot))),
            Action::Tell(event) => self.say_once(&event),
        }
        Ok(Then::Next)
    }

    /// Says something once.
    fn say_once(&mut self, event: &Event) {
        if self.memory.said.insert(event.to_string()) {
            (self.report)(event);
        }
    }

    /// Notes a fact: on disk, if it has to be there before anything else is done.
    fn keep(&mut self, under: &mut Under, fact: Fact, tell: Option<Event>) -> Result<()> {
        if !under.known.note(fact.clone()) {
            return Ok(());
        }
        if fact.is_durable() {
            self.record.keep(&fact)?;
            under.is_changed = true;
        } else if matches!(fact, Fact::Scored { .. } | Fact::SurveyAgain(_)) {
            let is_same = |other: &Fact| std::mem::discriminant(other) == std::mem::discriminant(&fact);
            let others = self.memory.facts.iter().filter(|other| is_same(other)).count();
            if others >= SCORES_KEPT {
                let oldest = self.memory.facts.iter().position(is_same);
                oldest.map(|index| self.memory.facts.remove(index));
            }
            self.memory.facts.push(fact);
        }
        tell.iter().for_each(|event| (self.report)(event));
        Ok(())
    }

    /// The data of accounts, of those that are the program's.
    fn read(&self, addresses: &[Address]) -> Result<Vec<Option<Vec<u8>>>> {
        let own = |account: Option<Account>| {
            account.filter(|account| account.owner == self.program.id).map(|account| account.data)
        };
        Ok(self.ledger.accounts(addresses)?.into_iter().map(own).collect())
    }

    fn find(&self, query: &Query) -> Result<Vec<(Address, Vec<u8>)>> {
        let kind = [query.kind as u8];
        let with = query.with.as_ref().map(|(offset, bytes)| (*offset, &bytes[..]));
        let parts: Vec<(usize, &[u8])> = std::iter::once((0, &kind[..])).chain(with).collect();
        let found = self.ledger.program_accounts_with(&self.program.id, &parts)?;
        Ok(found.into_iter().map(|(address, account)| (address, account.data)).collect())
    }

    fn survey(&self) -> Result<Vec<(Address, Vec<u8>)>> {
        let mut found = Vec::new();
        for query in Query::survey(&self.job) {
            found.extend(self.find(&query)?);
        }
        Ok(found)
    }

    /// The chain as it stands, with what is known and at hand.
    fn look(&mut self) -> Result<Under> {
        let rounds_done = self.record.rounds_done()?;
        let look = Look { program: self.program, job: self.job, first_round: rounds_done };
        let mut accounts = Accounts::new();
        loop {
            let wanted = look.wanted(&accounts)?;
            if wanted.is_empty() {
                break;
            }
            let data = self.read(&wanted)?;
            accounts.extend(wanted.into_iter().zip(data));
        }
        let mut view = look.view(&accounts, self.ledger.slot()?)?;
        if self.source.describes(&view.job) == Match::No {
            let folder = self.source.store.root().display();
            bail!("the job at {} is not the one that the settings and data in {folder} describe", self.job);
        }
        let mut known = self.record.known(rounds_done)?;
        for fact in &self.memory.facts {
            known.note(fact.clone());
        }
        let watched = self.node.watched(&view, &known, &self.source.terms(&view.job));
        for (address, data) in watched.iter().zip(self.read(&watched)?) {
            data.iter().for_each(|data| view.add(*address, data));
        }
        for query in self.node.queries(&view) {
            self.find(&query)?.iter().for_each(|(address, data)| view.add(*address, data));
        }
        let shelf = Shelf { whole: self.record.states(), ..Shelf::default() };
        Ok(Under { view, known, shelf, is_changed: false, wake_slot: None })
    }

    /// Sends instructions in as few transactions as they fit into; where one is refused, the later ones are not sent.
    fn send_all(&mut self, what: &str, instructions: Vec<Instruction>) -> Result<Sent> {
        let mut sent = Sent::Nothing;
        for transaction in pack(&self.key.pubkey(), instructions) {
            if !self.transact(what, &transaction)? {
                return Ok(sent);
            }
            sent = Sent::Some;
        }
        Ok(Sent::All)
    }

    /// Sends a transaction; false if it was refused.
    fn transact(&mut self, what: &str, instructions: &[Instruction]) -> Result<bool> {
        let limited = [&[compute_unit_limit(COMPUTE_UNITS)], instructions].concat();
        // A part of a move may fill its transaction; it takes far less than what each instruction has without a limit.
        let fits = transaction_bytes(&limited, &self.key.pubkey()) <= MAX_TRANSACTION_BYTES;
        let error = match self.ledger.send(if fits { &limited } else { instructions }, self.key, &[self.key]) {
            Ok(_) => return Ok(true),
            Err(error @ (LedgerError::Custom { .. } | LedgerError::Transaction { .. })) => error,
            Err(error) => return Err(error.into()),
        };
        let reason = error.custom_code().and_then(sip_client::refusal).map(|error| error.message().to_string());
        let reason = reason.unwrap_or_else(|| error.to_string());
        self.say_once(&Event::Refused { what: what.into(), reason });
        Ok(false)
    }
}

/// Whether the work was asked to stop.
pub fn is_stop(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(WorkError::Stopped))
}

/// Whether a chain elsewhere did not do its part, which may pass.
pub fn is_lost(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(LedgerError::Remote(_)))
}
