//! Following one job, one step at a time.
//!
//! A step looks at the chain and at what is on disk, does the one thing that is due first, and returns. The process may be killed
//! between any two transactions, also those of one step. Which disputes are open, and whose move it is, the chain says; the next move follows from the
//! position and a replay alone; salts follow from the key; and what was found is on disk before anything is sent because of it.

use anyhow::{Context, Result, bail, ensure};
use sip_client::Program;
use sip_ledger::{Ledger, LedgerError, MAX_TRANSACTION_BYTES, compute_unit_limit, pack, transaction_bytes};
use sip_node::dispute::Move;
use sip_node::{State, Worker};
use sip_protocol::Account;
use sip_protocol::court::Game;
use sip_protocol::ground::escrow::Escrow;
use sip_protocol::training::evaluation::{self, ScoringRun};
use sip_protocol::training::job::{Job, MAX_AUDITORS, MAX_EVALUATORS, MAX_TRAINERS, bit};
use sip_protocol::training::round::{self, Round};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cases::Case;
use super::claim::Claim;
use super::event::Event;
use super::here::{Here, Seen, Stands};
use super::operator::Operator;
use super::record::Record;
use super::source::{Match, Source};
use crate::archive::Archive;
use sip_manifest::machine::Machine;
use sip_manifest::stop::Stop;

/// Compute units that a transaction may take.
const COMPUTE_UNITS: u32 = 1_400_000;

/// The next move of a side, from the position.
pub(super) type Player = Box<dyn FnMut(&Game) -> Result<Option<Move>>>;

/// What only saves time: all of it can be lost.
#[derive(Default)]
pub(super) struct Memory {
    /// Sides of disputes that run, by the dispute's address.
    pub players: BTreeMap<Address, Player>,
    /// What was said and need not be said again.
    pub said: BTreeSet<String>,
    /// When it looks again for what may be closed.
    pub closing_slot: u64,
}

/// A job, and the one who follows it.
pub(super) struct Watch<'a, L> {
    pub ledger: &'a mut L,
    pub program: Program,
    pub key: &'a Keypair,
    pub job: Address,
    /// What the job computes with.
    pub source: &'a Source,
    pub machine: &'a Machine,
    pub record: Record,
    /// The auditor that the wallet is, if it acts as one.
    pub operator: Option<&'a Operator>,
    /// Whether it replays only what it draws, and takes the ends of other segments from what their trainers publish.
    pub drawn_only: bool,
    pub memory: &'a mut Memory,
    pub stop: &'a Stop,
    pub report: &'a mut dyn FnMut(&Event),
}

/// Checks that an account, which a chain elsewhere may have made up, has no more places than a role can have.
pub(super) fn check_places<const N: usize>(address: &Address, counts: [u8; N]) -> Result<()> {
    let most = MAX_TRAINERS.min(MAX_AUDITORS).min(MAX_EVALUATORS);
    let is_possible = counts.iter().all(|count| usize::from(*count) <= most);
    ensure!(is_possible, "account {address} has more than {most} places of a role; ask a chain that you can trust");
    Ok(())
}

impl<L: Ledger> Watch<'_, L> {
    /// Does the next thing that can be done now: sends what belongs together, or computes one thing. False if there is none.
    pub(super) fn step(&mut self) -> Result<bool> {
        let here = self.look()?;
        let is_done = self.defend(&here)?
            || self.pursue(&here)?
            || self.bounties(&here)?
            || self.duties(&here)?
            || self.demands(&here)?
            || self.judge(&here)?
            || self.turn(&here)?;
        if !is_done {
            self.finish(&here)?;
        }
        Ok(is_done)
    }

    pub(super) fn wallet(&self) -> Address {
        self.key.pubkey()
    }

    /// Says something once.
    pub(super) fn say_once(&mut self, event: &Event) {
        if self.memory.said.insert(event.to_string()) {
            (self.report)(event);
        }
    }

    /// The data of an account of the program, if there is one.
    fn data(&self, address: &Address) -> Result<Option<Vec<u8>>> {
        let account = self.ledger.account(address)?;
        Ok(account.filter(|account| account.owner == self.program.id).map(|account| account.data))
    }

    pub(super) fn find<T: Account>(&self, address: &Address) -> Result<Option<Box<T>>> {
        let Some(data) = self.data(address)? else { return Ok(None) };
        let decoded = T::decode(&data).map_err(|error| anyhow::anyhow!("account {address}: {error}"))?;
        Ok(Some(Box::new(decoded)))
    }

    pub(super) fn read<T: Account>(&self, address: &Address) -> Result<Box<T>> {
        self.find(address)?.with_context(|| format!("the program has no account at {address}"))
    }

    fn look(&mut self) -> Result<Here> {
        let job: Box<Job> = self.read(&self.job)?;
        match self.source.describes(&job) {
            Match::No => bail!(
                "the job at {} is not the one that the settings and data in {} describe",
                self.job,
                self.source.store.root().display()
            ),
            Match::FalseGenesis | Match::Yes => {}
        }
        let (index, rounds) = (job.next_round, job.spec.rounds);
        self.say_once(&Event::Follows { job: self.job.to_string(), round: index, rounds });
        let config = self.read(&self.program.config())?;
        let first = self.first_round(&job)?;
        let rounds = (first..job.next_round).map(|index| self.seen(index)).collect::<Result<Vec<Option<Seen>>>>()?;
        let rounds: Vec<Seen> = rounds.into_iter().flatten().collect();
        let seats = rounds.iter().flat_map(|seen| seen.round.auditors.iter().map(|seat| seat.pool));
        let pools: BTreeSet<[u8; 32]> =
            job.auditors.iter().map(|seat| seat.pool).chain(seats).filter(|pool| *pool != [0; 32]).collect();
        let auditors = pools
            .into_iter()
            .map(Address::new_from_array)
            .map(|pool| Ok((pool, self.read(&pool)?)))
            .collect::<Result<_>>()?;
        Ok(Here { address: self.job, slot: self.ledger.slot()?, config, job, auditors, rounds })
    }

    /// The first round that something may be left to do about: after those that are done, and those whose accounts are closed.
    fn first_round(&mut self, job: &Job) -> Result<u32> {
        let done = self.record.rounds_done()?;
        let mut first = done;
        while first < job.next_round && self.data(&self.program.round(&self.job, first))?.is_none() {
            self.say_once(&Event::Closed { round: first });
            first += 1;
        }
        if first > done {
            self.record.set_rounds_done(first)?;
        }
        Ok(first)
    }

    /// A round with what stands in it; none if it is closed.
    fn seen(&self, index: u32) -> Result<Option<Seen>> {
        let address = self.program.round(&self.job, index);
        let Some(round) = self.find::<Round>(&address)? else { return Ok(None) };
        check_places(&address, [round.auditor_count, round.evaluator_count])?;
        // What is closed of a round that still stands is over.
        let segment = |place: u8| -> Result<Option<Stands>> {
            let pool = Address::new_from_array(round.trainers[usize::from(place)]);
            let address = self.program.segment(&address, &pool);
            Ok(self.find(&address)?.map(|state| Stands { address, place, state }))
        };
        let run = |place: u8| -> Result<Option<Stands<ScoringRun>>> {
            let pool = Address::new_from_array(round.evaluators[usize::from(place)].pool);
            let address = self.program.run(&address, &pool);
            Ok(self.find(&address)?.map(|state| Stands { address, place, state }))
        };
        let trainers = (0..MAX_TRAINERS as u8).filter(|place| round.committed & bit(*place) != 0);
        let segments = trainers.filter_map(|place| segment(place).transpose()).collect::<Result<_>>()?;
        let has_revealed = |place: &u8| {
            // Who committed and never revealed is COMMITTED after the tally as well.
            let status = round.evaluators[usize::from(*place)].status;
            status != evaluation::ABSENT && status != evaluation::COMMITTED
        };
        let evaluators = (0..round.evaluator_count).filter(has_revealed);
        let runs = evaluators.filter_map(|place| run(place).transpose()).collect::<Result<_>>()?;
        Ok(Some(Seen { address, round, segments, runs }))
    }

    /// A claim as it is accused.
    pub(super) fn case<'a>(&'a self, here: &'a Here, secret: &'a [u8], claim: Claim) -> Case<'a> {
        Case {
            program: &self.program,
            wallet: self.wallet(),
            secret,
            job: self.job,
            here,
            seen: here.round_of(claim),
            claim,
            prepared: &self.source.prepared,
        }
    }

    /// Whether the wallet itself answers for a claim.
    pub(super) fn is_own(&self, here: &Here, claim: Claim) -> bool {
        let seen = here.round_of(claim);
        let seat =
            |place: u8| seen.and_then(|seen| seen.round.auditors.get(usize::from(place))).map(|seat| seat.operator);
        let operator = match claim {
            Claim::Genesis => Some(here.job.creator),
            Claim::Segment { place, .. } => seen.and_then(|seen| seen.segment(place)).map(|s| s.state.operator),
            Claim::Run { place, .. } => seen.and_then(|seen| seen.run(place)).map(|s| s.state.operator),
            Claim::Vote { place, .. } => seat(place),
            Claim::Attestation { auditor, .. } => seat(auditor),
        };
        operator == Some(self.wallet().to_bytes())
    }

    /// Whether a state or an update is known: one that the settings give, one that was computed, or one that somebody published, which
    /// is kept if it is what it is called and of the right shape.
    pub(super) fn knows(&self, root: &[u8; 32]) -> Result<bool> {
        if self.source.given().any(|state| state.root() == *root) || self.record.has_state(root) {
            return Ok(true);
        }
        let published = self.source.published(root).and_then(|path| State::load(&path, &self.machine.threads).ok());
        let is_shaped = |state: &State| {
            let lengths = |state: &State| state.entries().iter().map(|entry| entry.len()).collect::<Vec<usize>>();
            self.source.given().any(|given| lengths(given) == lengths(state))
        };
        let is_true = |state: &State| state.root() == *root && is_shaped(state);
        let Some(state) = published.filter(is_true) else { return Ok(false) };
        self.record.save(&state)?;
        Ok(true)
    }

    /// A state by its root, if it is known.
    pub(super) fn state(&self, root: &[u8; 32]) -> Result<Option<Arc<State>>> {
        if let Some(given) = self.source.given().find(|state| state.root() == *root) {
            return Ok(Some(Arc::clone(given)));
        }
        if self.knows(root)? { self.record.state(root, &self.machine.threads) } else { Ok(None) }
    }

    pub(super) fn worker(&self, task: &sip_node::Task) -> Worker {
        Worker::new(task.clone(), Arc::clone(&self.machine.threads), self.machine.simd)
    }

    /// Sends an instruction; false if it was refused, which changes nothing.
    pub(super) fn send(&mut self, what: &str, instruction: Instruction) -> Result<bool> {
        self.transact(what, &[instruction])
    }

    /// Sends instructions in as few transactions as they fit into; false if one was refused, and then the later ones are not sent.
    pub(super) fn send_all(&mut self, what: &str, instructions: Vec<Instruction>) -> Result<bool> {
        for transaction in pack(&self.wallet(), instructions) {
            if !self.transact(what, &transaction)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends a transaction; false if it was refused.
    fn transact(&mut self, what: &str, instructions: &[Instruction]) -> Result<bool> {
        let limited = [&[compute_unit_limit(COMPUTE_UNITS)], instructions].concat();
        // A part of a move may fill its transaction; it takes far less than what each instruction has without a limit.
        let fits = transaction_bytes(&limited, &self.wallet()) <= MAX_TRANSACTION_BYTES;
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

    /// Forgets the oldest rounds that nothing is left to do about.
    fn finish(&mut self, here: &Here) -> Result<()> {
        let mut done = self.record.rounds_done()?;
        let mut forgotten = Vec::new();
        for seen in &here.rounds {
            if !self.is_finished(here, seen)? {
                break;
            }
            self.archive(seen)?;
            done = seen.index() + 1;
            forgotten.extend(seen.segments.iter().map(|stands| *stands.state.claim.result_root(&here.job.spec)));
            for stands in &seen.segments {
                let claim = Claim::Segment { round: seen.index(), place: stands.place };
                forgotten.extend(self.record.finding(claim)?.and_then(|finding| finding.end()));
            }
            if seen.round.status == round::FINAL {
                forgotten.push(seen.round.base_root);
            }
        }
        if forgotten.is_empty() {
            return Ok(());
        }
        self.record.set_rounds_done(done)?;
        let is_left = |seen: &&Seen| seen.index() >= done;
        let mut needed = vec![here.job.base_root];
        for seen in here.rounds.iter().filter(is_left) {
            needed.extend([seen.round.base_root, seen.round.next_base]);
            needed.extend(seen.segments.iter().map(|stands| stands.state.claim.previous_root));
        }
        for root in forgotten.iter().filter(|root| !needed.contains(root)) {
            self.record.forget(root);
        }
        Ok(())
    }

    /// Keeps what a round came to, which anybody may close on chain from an unbonding time later on.
    fn archive(&self, seen: &Seen) -> Result<()> {
        let archive = Archive::of(&self.source.store);
        archive.keep(&seen.address, bytemuck::bytes_of(&*seen.round))?;
        for stands in &seen.segments {
            archive.keep(&stands.address, bytemuck::bytes_of(&*stands.state))?;
        }
        for stands in &seen.runs {
            archive.keep(&stands.address, bytemuck::bytes_of(&*stands.state))?;
        }
        Ok(())
    }

    fn is_finished(&self, here: &Here, seen: &Seen) -> Result<bool> {
        if !seen.is_over() || !seen.round.is_beyond_challenge(here.slot) {
            return Ok(false);
        }
        // From its updates the next round's trainers go on, those who come back.
        let is_later = |later: &Seen| later.index() > seen.index() && later.round.status == round::FINAL;
        if here.job.spec.is_compressed() && seen.round.status == round::FINAL && !here.rounds.iter().any(is_later) {
            return Ok(false);
        }
        if self.operator.is_some_and(|operator| operator.is_owed(seen)) {
            return Ok(false);
        }
        let wallet = self.wallet().to_bytes();
        let is_ours = |escrow: &Escrow| escrow.bounty > 0 && escrow.challenger == wallet;
        let mut escrows = seen.segments.iter().map(|stands| &stands.state.escrow);
        let mut of_runs = seen.runs.iter().map(|stands| &stands.state.escrow);
        let mut of_auditors = seen.round.auditors.iter().flat_map(|seat| [&seat.vote_escrow, &seat.attestation_escrow]);
        if escrows.any(is_ours) || of_runs.any(is_ours) || of_auditors.any(is_ours) || self.has_demands(seen)? {
            return Ok(false);
        }
        for claim in here.claims(seen) {
            if self.record.finding(claim)?.is_some_and(|finding| !finding.is_true) && self.is_pending(here, claim)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
