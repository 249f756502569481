//! Following one job: replay what was committed, accuse what is false, and play every dispute to its end.
//!
//! Everything that counts is on chain or on disk, so that the process may be killed at any time. On disk are the states that
//! replays start from, and a record of what was replayed, written before anything is done about it. Which disputes are
//! open, and whose move it is, the chain says; the next move follows from the position and a replay alone.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sip_client::{Accusation, Program};
use sip_ledger::{Ledger, LedgerError, compute_unit_limit};
use sip_node::dispute::{Challenger, DisputeError};
use sip_node::{Replay, SegmentTask, State, Worker, aggregate, scoring};
use sip_proof::{HostSha256, Sha256};
use sip_protocol::Account;
use sip_protocol::dispute::{Dispute, MoveKind, Outcome, Side};
use sip_protocol::evaluation;
use sip_protocol::finality::accusation;
use sip_protocol::job::{Job, bit};
use sip_protocol::round::{self, Round};
use sip_protocol::segment::{self, Segment};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::run::journal::Published;
use crate::run::prepare::{Machine, Prepared, hex};
use crate::run::round::rule;
use crate::store::{read_json, write_json};

/// Compute units that a transaction may take.
const COMPUTE_UNITS: u32 = 1_400_000;

/// What is known of a segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Replayed {
    /// Whether the segment is what the replay gives.
    is_true: bool,
    /// The replay's leaves.
    leaves: Published,
}

/// What was found so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    /// Rounds that nothing is left to do about.
    rounds_done: u32,
    /// Replays by the segment's address.
    replayed: BTreeMap<String, Replayed>,
    /// Whether a scoring run is what the replay gives, by the address of its segment.
    #[serde(default)]
    scored: BTreeMap<String, bool>,
    /// Segments whose dispute was decided: nobody is accused twice.
    decided: BTreeSet<String>,
}

/// Something that happened, for the reader of `--json` and for people.
pub(super) enum Event {
    /// A segment was replayed.
    Replayed { round: u32, place: u8, is_true: bool },
    /// A false segment was accused.
    Accused { round: u32, place: u8, dispute: Address },
    /// A move was played.
    Moved { dispute: Address, kind: MoveKind, moves: u32 },
    /// The program refused a transaction; it is tried again.
    Refused { dispute: Address, reason: String },
    /// A dispute ended.
    Decided { dispute: Address, convicted: bool },
    /// A scoring run was replayed.
    Scored { round: u32, place: u8, is_true: bool },
    /// A round's next base is not the mean of its accepted segments.
    WrongBase { round: u32 },
}

/// A job and the machine that follows it.
pub(super) struct Watch<'a, L> {
    pub ledger: L,
    pub program: Program,
    pub key: Keypair,
    pub job: Address,
    pub prepared: &'a Prepared,
    pub machine: &'a Machine,
    /// Where record and states are.
    pub folder: PathBuf,
    pub report: &'a mut dyn FnMut(&Event),
}

/// A segment that was committed, with what a replay needs.
struct Committed {
    address: Address,
    account: Segment,
    task: SegmentTask,
    round_address: Address,
    /// Whether it can still be challenged.
    is_challengeable: bool,
}

/// The side that accuses, kept between moves: it remembers what it has replayed.
type Accuser = (Address, Challenger<Replay>);

impl<L: Ledger> Watch<'_, L> {
    /// Does all that can be done now; returns whether there was anything. `goes_on` is asked after every transaction.
    pub(super) fn pass(&mut self, goes_on: &mut dyn FnMut() -> bool) -> Result<bool> {
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        let mut record: Record = if self.record().exists() { read_json(&self.record())? } else { Record::default() };
        let job: Job = self.read(&self.job)?;
        self.check(&job)?;
        let mut has_acted = false;
        let mut accuser = None;
        for index in record.rounds_done..job.next_round {
            let address = self.program.round(&self.job, index);
            let round: Round = self.read(&address)?;
            let Some(base) = self.state(&round.base_root)? else {
                bail!("the base of round {} is not known; follow the job from its first round", index + 1)
            };
            let slot = self.ledger.slot()?;
            let mut is_settled = round.status == round::FINAL || round.status == round::VOID;
            let mut ends = Vec::new();
            for place in (0..job.trainer_count).filter(|place| round.committed & bit(*place) != 0) {
                let pool = Address::new_from_array(job.trainers[place as usize]);
                let segment = self.program.segment(&address, &pool);
                let committed = Committed {
                    address: segment,
                    account: self.read(&segment)?,
                    task: SegmentTask {
                        round: index,
                        seed: round.seed,
                        mixture: sip_data::Mixture::new(&round.mixture_bps[..job.spec.domain_count as usize])?,
                        settings: round.settings,
                        place,
                        base: Arc::clone(&base),
                        bases: Vec::new(),
                    },
                    round_address: address,
                    is_challengeable: round.require_challengeable(slot).is_ok(),
                };
                let end = self.replay(&committed, &mut record)?;
                if round.accepted & bit(place) != 0 {
                    ends.push(end);
                }
                let is_true = record.replayed.get(&segment.to_string()).is_some_and(|replayed| replayed.is_true);
                while !is_true && self.pursue(&committed, &mut record, &mut accuser)? {
                    has_acted = true;
                    if !goes_on() {
                        return Ok(true);
                    }
                }
                is_settled &= is_true || self.account(&self.dispute(&segment))?.is_none();
            }
            if matches!(round.status, round::AGGREGATED | round::SCORED | round::FINAL) {
                self.follow_base(&round, ends)?;
                self.scores(&job, &round, &address, &mut record)?;
            }
            if is_settled {
                record.rounds_done = index + 1;
                write_json(&self.record(), &record)?;
            }
        }
        Ok(has_acted)
    }

    fn record(&self) -> PathBuf {
        self.folder.join("record.json")
    }

    fn dispute(&self, segment: &Address) -> Address {
        self.program.dispute(segment, &self.key.pubkey())
    }

    fn account(&self, address: &Address) -> Result<Option<Vec<u8>>> {
        let account = self.ledger.account(address)?;
        Ok(account.filter(|account| account.owner == self.program.id).map(|account| account.data))
    }

    fn read<T: Account>(&self, address: &Address) -> Result<T> {
        let data = self.account(address)?.with_context(|| format!("the program has no account at {address}"))?;
        T::decode(&data).map_err(|error| anyhow::anyhow!("account {address}: {error}"))
    }

    /// Whether the job is the one that the settings describe.
    fn check(&self, job: &Job) -> Result<()> {
        let (spec, task) = (&job.spec, &self.prepared.task);
        let scoring = &self.prepared.scoring;
        let roots = [spec.nodes_root, spec.outputs_root, spec.tables_root, spec.genesis_root, spec.score_nodes_root];
        let (own, genesis) = (&task.roots, self.prepared.genesis.root());
        let own = [own.nodes_root, own.outputs_root, own.tables_root, genesis, scoring.roots.nodes_root];
        ensure!(
            roots == own
                && [spec.inner_steps, spec.leaf_interval] == [task.inner_steps, task.leaf_interval]
                && Some(spec.held_out()) == scoring.held_out
                && usize::from(spec.domain_count) == task.domains.len(),
            "the job at {} is not the one that the run's settings and data describe",
            self.job
        );
        Ok(())
    }

    /// A state by its root: the genesis state, or one that an earlier pass saved.
    fn state(&self, root: &[u8; 32]) -> Result<Option<Arc<State>>> {
        if *root == self.prepared.genesis.root() {
            return Ok(Some(Arc::clone(&self.prepared.genesis)));
        }
        let path = self.state_path(root);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(Arc::new(State::load(&path, &self.machine.threads)?)))
    }

    fn state_path(&self, root: &[u8; 32]) -> PathBuf {
        self.folder.join(format!("{}.state", hex(root)))
    }

    fn save(&self, state: &State) -> Result<()> {
        let path = self.state_path(&state.root());
        if !path.exists() {
            state.save(&path)?;
        }
        Ok(())
    }

    /// The root of the state that a segment ends with by our own replay, which is done once and recorded.
    fn replay(&mut self, committed: &Committed, record: &mut Record) -> Result<[u8; 32]> {
        let name = committed.address.to_string();
        if let Some(known) = record.replayed.get(&name) {
            let leaves = known.leaves.leaves(&self.prepared.task);
            let last = leaves.as_ref().and_then(|leaves| leaves.last());
            return Ok(last.with_context(|| format!("the record of {name} is damaged"))?.end_root);
        }
        let (task, claim) = (&committed.task, &committed.account.claim);
        let work = self.worker().train(task, None, &mut |_| true)?;
        let found = (work.end.root(), work.accumulator_root());
        let is_true = found == (claim.end_root, claim.accumulator_root);
        self.save(&work.end)?;
        let leaves = Published::new(task.round, task.place, &work.leaves);
        record.replayed.insert(name, Replayed { is_true, leaves });
        write_json(&self.record(), record)?;
        (self.report)(&Event::Replayed { round: task.round, place: task.place, is_true });
        Ok(found.0)
    }

    fn worker(&self) -> Worker {
        Worker::new(self.prepared.task.clone(), Arc::clone(&self.machine.threads), self.machine.simd)
    }

    /// The next thing to do about a false segment; false if there is nothing, or nothing now.
    fn pursue(&mut self, committed: &Committed, record: &mut Record, accuser: &mut Option<Accuser>) -> Result<bool> {
        let name = committed.address.to_string();
        let address = self.dispute(&committed.address);
        let wallet = self.key.pubkey();
        let pool = Address::new_from_array(committed.account.pool);
        let Some(data) = self.account(&address)? else {
            return self.accuse(committed, record);
        };
        let dispute = Dispute::decode(&data).map_err(rule)?;
        if dispute.resolved != 0 {
            return self.send(&address, self.program.close_dispute(&wallet, &address));
        }
        let game = &dispute.game;
        let outcome = game.outcome().map_err(rule)?;
        if outcome != Outcome::Open {
            if record.decided.insert(name) {
                write_json(&self.record(), record)?;
                (self.report)(&Event::Decided { dispute: address, convicted: outcome == Outcome::Convicted });
            }
            let resolve = self.program.resolve_dispute(&wallet, &self.job, &committed.round_address, &pool);
            return self.send(&address, resolve);
        }
        if game.on_move().map_err(rule)? == Side::Trainer {
            let elapsed = self.ledger.slot()?.saturating_sub(game.moved_slot);
            // Who has let its clock run out has lost.
            let is_out = elapsed > game.clock_slots[Side::Trainer as usize];
            return if is_out { self.send(&address, self.program.time_out(&address)) } else { Ok(false) };
        }
        if accuser.as_ref().is_none_or(|(known, _)| *known != address) {
            let known = record.replayed.get(&name).and_then(|replayed| replayed.leaves.leaves(&self.prepared.task));
            let leaves = known.with_context(|| format!("the record of {name} is damaged"))?;
            let replay = Replay::new(self.worker(), committed.task.clone(), None, leaves);
            *accuser = Some((address, Challenger::new(Arc::new(self.prepared.task.graph_evidence()), replay)));
        }
        let Some((_, challenger)) = accuser else { return Ok(false) };
        let next = match challenger.next(game) {
            Ok(Some(next)) => next,
            Ok(None) | Err(DisputeError::Missing(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        for instruction in self.program.moves(&wallet, &address, next.kind, &next.payload) {
            if !self.send(&address, instruction)? {
                return Ok(false);
            }
        }
        (self.report)(&Event::Moved { dispute: address, kind: next.kind, moves: dispute.moves + 1 });
        Ok(true)
    }

    /// Commits the accusation of a false segment, opens it a slot later, and takes the bounty when nobody can take it over any more.
    fn accuse(&mut self, committed: &Committed, record: &Record) -> Result<bool> {
        let mut segment: Segment = self.read(&committed.address)?;
        let (wallet, slot) = (self.key.pubkey(), self.ledger.slot()?);
        if record.decided.contains(&committed.address.to_string()) {
            let is_ours = segment.escrow.challenger == wallet.to_bytes() && segment.claim_bounty(slot).is_ok();
            let claim = self.program.claim_bounty(&committed.address, &wallet);
            return if is_ours { self.send(&committed.address, claim) } else { Ok(false) };
        }
        let is_open = segment.status == segment::COMMITTED || segment.status == segment::ACCEPTED;
        if !is_open || !committed.is_challengeable {
            return Ok(false);
        }
        let datasets: Vec<Address> =
            self.prepared.task.domains.iter().map(|blob| self.program.dataset(&blob.root())).collect();
        // Nobody else knows it, and after a restart we still do.
        let salt = HostSha256::hashv(&[b"sip.accusation.1", &self.key.to_bytes(), committed.address.as_array()]);
        let accusation = Accusation {
            challenger: &wallet,
            job: &self.job,
            round: &committed.round_address,
            pool: &Address::new_from_array(segment.pool),
            datasets: &datasets,
            salt: &salt,
        };
        let hidden = self.program.accusation(&wallet, &accusation.hash(&committed.address));
        let Some(data) = self.account(&hidden)? else {
            return self.send(&hidden, self.program.commit_accusation(&accusation));
        };
        let known = accusation::Accusation::decode(&data).map_err(rule)?;
        if slot <= known.committed_slot {
            self.ledger.advance_slots(1)?;
        }
        let dispute = self.dispute(&committed.address);
        let opened = self.send(&dispute, self.program.open_dispute(&accusation))?;
        if opened {
            let SegmentTask { round, place, .. } = committed.task;
            (self.report)(&Event::Accused { round, place, dispute });
        }
        Ok(opened)
    }

    /// Sends a transaction; false if the program refused it.
    fn send(&mut self, dispute: &Address, instruction: Instruction) -> Result<bool> {
        match self.ledger.send(&[compute_unit_limit(COMPUTE_UNITS), instruction], &self.key, &[&self.key]) {
            Ok(_) => Ok(true),
            Err(error @ LedgerError::Custom { .. }) => {
                let reason = error.custom_code().and_then(sip_client::refusal).map(|error| error.message().to_string());
                let reason = reason.unwrap_or_else(|| error.to_string());
                (self.report)(&Event::Refused { dispute: *dispute, reason });
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Replays what the evaluators of a round revealed: one run of our own tells them all.
    fn scores(&mut self, job: &Job, round: &Round, round_address: &Address, record: &mut Record) -> Result<()> {
        let mut runs = Vec::new();
        for (place, seat) in (0u8..).zip(&round.evaluators).take(round.evaluator_count.into()) {
            let pool = Address::new_from_array(job.evaluators[usize::from(place)]);
            let address = self.program.segment(round_address, &pool);
            // Who committed and never revealed is COMMITTED after the tally as well.
            let has_revealed = seat.status != evaluation::ABSENT && seat.status != evaluation::COMMITTED;
            if has_revealed && !record.scored.contains_key(&address.to_string()) {
                let account: Segment = self.read(&address)?;
                runs.push((place, address, account.claim));
            }
        }
        let (false, Some(base)) = (runs.is_empty(), self.state(&round.next_base)?) else { return Ok(()) };
        let mut scorer =
            Worker::new(self.prepared.scoring.clone(), Arc::clone(&self.machine.threads), self.machine.simd);
        let task = SegmentTask::scoring(&base, &self.machine.threads)?;
        let own = scorer.train(&task, None, &mut |_| true)?;
        let (sums, leaves) = (scoring::sums(&own.end), own.accumulator_root());
        for (place, address, claim) in runs {
            let is_true = claim == evaluation::claim::<HostSha256>(&job.spec, &sums, &leaves, place);
            record.scored.insert(address.to_string(), is_true);
            (self.report)(&Event::Scored { round: round.index, place, is_true });
        }
        write_json(&self.record(), record)
    }

    /// Computes the base that the next round starts from, unless it is known.
    fn follow_base(&mut self, round: &Round, ends: Vec<[u8; 32]>) -> Result<()> {
        if self.state(&round.next_base)?.is_some() {
            return Ok(());
        }
        let mut states = Vec::new();
        for root in ends {
            states.push(self.state(&root)?.with_context(|| format!("the state {} is gone", hex(&root)))?);
        }
        let next = aggregate(&states, &self.machine.threads, self.machine.simd)?;
        if next.root() != round.next_base {
            (self.report)(&Event::WrongBase { round: round.index });
        }
        self.save(&next)
    }
}
