//! One round: mixture and seed, segments, audits, disputes, the next base, scores, settlement.

use anyhow::{Result, anyhow, ensure};
use sip_data::Mixture;
use sip_ledger::Ledger;
use sip_node::{Cheat, Checkpoints, Segment, SegmentTask, State, Times, WorkError, scoring};
use sip_proof::HostSha256;
use sip_protocol::ground::case::CaseKind;
use sip_protocol::ground::escrow::Escrow;
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::attestation::Shown;
use sip_protocol::training::evaluation::{self, ScoringRun};
use sip_protocol::training::job::{Job, bit};
use sip_protocol::training::round::{self, EvaluatorSeat, QUALITY_ONE, Round};
use sip_protocol::training::segment::{self, SegmentClaim};
use solana_address::Address;
use solana_instruction::Instruction;
use std::sync::Arc;
use std::time::Instant;

use super::Run;
use super::again::Finding;
use super::court::View;
use super::journal::Published;
use super::setup::{self, attestation_salt, job_address, lean, move_attention, salt};
use super::staged::stage;
use super::world::World;
use sip_data::hex;
use sip_manifest::exchange::Start;
use sip_manifest::roles::{AUDITOR, EVALUATOR, PROVIDER, TRAINER};
use sip_manifest::settings::{Fraud, STEERED};
use sip_manifest::steered;
use sip_manifest::stop::Stopped;
use sip_report::count;
use sip_report::summary::{BaseUnits, RoundSummary, SegmentSummary};

/// How far below the truth a lying evaluator reports, in micro-nats per token.
const LIE_MICRO_NATS: u64 = 400_000;

/// A segment as its trainer keeps it.
pub struct Committed {
    /// Whose it is.
    pub trainer: usize,
    /// Its account.
    pub address: Address,
    /// What was to be computed.
    pub task: SegmentTask,
    /// What its trainer did instead.
    pub cheat: Option<Cheat>,
    /// What it computed.
    pub work: Segment,
    /// Who drew it.
    pub audited_by: Vec<usize>,
    /// What the first replay kept, if it found the segment true.
    pub checkpoints: Option<Checkpoints>,
    /// What it starts from.
    pub start: Start,
    /// What it hands over.
    pub result: Arc<State>,
    /// What its trainer does, if it is a fraud.
    pub fraud: Option<Fraud>,
}

/// What an auditor attested blindly, and shows after the round is closed.
pub(crate) struct Attestation {
    pub auditor: usize,
    pub segment: Address,
    pub salt: [u8; 32],
    pub trace_root: [u8; 32],
    /// Whether the auditor replayed nothing.
    pub is_made_up: bool,
}

/// A round that was scored.
pub(crate) struct Scored {
    /// Scored rounds before it.
    pub number: u32,
    pub address: Address,
    pub committed: Vec<Committed>,
    /// The base that came out.
    pub next: Arc<State>,
}

impl Run {
    /// Plays the next round to its end; false if it came to nothing, or was undone, and has to be repeated.
    ///
    /// # Errors
    /// The ledger's, and those of the work.
    pub fn round(&mut self) -> Result<bool> {
        let Some(scored) = self.play_to_score()? else { return Ok(false) };
        if self.is_late(&scored)? {
            self.convict_late(scored)?;
            return Ok(false);
        }
        let Some(scored) = self.audit_again(scored)? else { return Ok(false) };
        let job_address = job_address(&self.world);
        let Scored { number, address, committed, next } = scored;
        self.finalise(&committed, &job_address, &address)?;
        let (scored, rewards) = self.settle(&committed, &job_address, &address)?;
        let accepted = self.world.read::<Round>(&address)?.accepted;
        let accepted = committed.iter().filter(|segment| accepted & bit(segment.task.place) != 0);
        self.applied = self.prepared.applied(accepted.map(|segment| (segment.task.place, &segment.result)));
        self.base = next;
        self.note_round(number, &committed, &rewards, &scored)?;
        Ok(true)
    }

    /// Plays the next round until its scores are tallied; nothing if it came to nothing.
    pub(crate) fn play_to_score(&mut self) -> Result<Option<Scored>> {
        let job_address = job_address(&self.world);
        let job: Job = self.world.read(&job_address)?;
        let number = job.rounds_scored;
        let creator = self.world.people[0].wallet();
        let program = self.world.program;
        self.world.send(0, program.open_next_round(&creator, &job_address, &job))?;
        let address = program.round(&job_address, job.next_round);
        let opened: Round = self.world.read(&address)?;
        let domains = self.settings.domains.len();
        let mixture = Mixture::new(&opened.mixture_bps[..domains])?;
        let shares: Vec<String> = self
            .settings
            .domains
            .iter()
            .zip(mixture.weights_bps())
            .map(|(domain, weight)| format!("{} {:.0} %", domain.name, f64::from(*weight) / 100.0))
            .collect();
        self.progress.stage(&format!(
            "Round {} of {}: mixture {}{}",
            number + 1,
            self.settings.rounds,
            shares.join(", "),
            steered(&job, &opened)
        ));
        if number + 1 == (self.settings.rounds / 3).max(1) && !self.journal.setting_leaned_on {
            self.journal.setting_leaned_on = true;
            if let Some(text) = lean(&mut self.world)? {
                self.progress.line(&text);
            }
        }
        if number + 1 == (self.settings.rounds / 2).max(1) && !self.journal.attention_moved {
            self.journal.attention_moved = true;
            if let Some(text) = move_attention(&mut self.world, &self.settings)? {
                self.progress.line(&text);
            }
        }
        let mut committed = self.train(&opened, &mixture, number)?;
        for segment in &committed {
            self.commit(segment, &job_address, &address)?;
        }
        self.world.send(0, program.close_commits(&job_address, &address))?;
        let attested = self.audit(&mut committed, &job_address, &address, number)?;
        let segments: Vec<Address> = committed.iter().map(|segment| segment.address).collect();
        self.world.send(0, program.close_round(&job_address, &address, &segments))?;
        let closed: Round = self.world.read(&address)?;
        self.capture_seed(&closed, &job_address, &address)?;
        if closed.status == round::VOID {
            self.progress.line("no segment was accepted: the round is repeated from the same base");
            return Ok(None);
        }
        self.show_attestations(&attested, &job_address, &address)?;
        let next = self.next_base(&committed, &job_address, &address, number)?;
        self.evaluate(&next, &job_address, &address, number)?;
        // Nobody waits for a dispute, which may last longer than a vote.
        self.accuse_attestations(&attested, &committed, (&job_address, &address), number)?;
        Ok(Some(Scored { number, address, committed, next }))
    }

    /// Every eligible trainer computes its segment.
    ///
    /// # Errors
    /// Those of the work.
    pub fn train(&mut self, opened: &Round, mixture: &Mixture, number: u32) -> Result<Vec<Committed>> {
        let program = self.world.program;
        let round_address = program.round(&Address::new_from_array(opened.job), opened.index);
        let trainers: Vec<usize> = self
            .world
            .with_role(TRAINER)
            .into_iter()
            .filter(|&trainer| opened.eligible & bit(self.world.people[trainer].place) != 0)
            .collect();
        let steps = u64::from(self.settings.inner_steps);
        let bar = self.progress.bar(trainers.len() as u64 * steps, "training");
        let mut committed = Vec::new();
        let mut times = Times::default();
        for trainer in trainers {
            let place = self.world.people[trainer].place;
            let start = self.prepared.start(&self.base, self.applied.get(&place), &self.machine)?;
            let task = SegmentTask {
                round: opened.index,
                first_step: opened.first_step(self.settings.inner_steps),
                seed: opened.seed,
                mixture: *mixture,
                settings: opened.settings,
                place,
                base: Arc::clone(&start.state),
                bases: Vec::new(),
            };
            let fraud = self.fraud(trainer, number);
            let address = program.segment(&round_address, &self.world.people[trainer].pool()?);
            let compute = |run: &mut Run, attempt: u32| {
                let cheat =
                    fraud.and_then(|fraud| stage(fraud, &run.prepared.task.graph, &run.settings, (number, attempt)));
                let stop = &run.stop;
                let work = stoppable(run.worker.train(&task, cheat.as_ref(), &mut |_| {
                    bar.inc(1);
                    !stop.requested()
                }))?;
                Ok((cheat, work))
            };
            let (cheat, work) = match fraud {
                Some(Fraud::Late) => self.lie_until(false, trainer, (&address, opened.audit_rate), compute)?,
                _ if self.doomed == Some(trainer) => {
                    self.lie_until(true, trainer, (&address, opened.audit_rate), compute)?
                }
                _ => compute(self, 0)?,
            };
            let trained = self.worker.take_times();
            times.steps += trained.steps;
            times.commitments += trained.commitments;
            let result = self.handed_over(fraud, &start, &work.end)?;
            committed.push(Committed {
                trainer,
                address,
                task,
                cheat,
                work,
                audited_by: Vec::new(),
                checkpoints: None,
                start,
                result,
                fraud,
            });
        }
        drop(bar);
        self.journal.summary.timings.training_seconds += times.steps.as_secs_f64();
        self.journal.summary.timings.commitment_seconds += times.commitments.as_secs_f64();
        let trained = steps * committed.iter().filter(|c| c.cheat != Some(Cheat::Lazy)).count() as u64;
        let tokens = trained * u64::from(self.settings.batch * self.settings.sequence_length());
        self.journal.summary.work.trained_steps += trained;
        self.journal.summary.work.trained_tokens += tokens;
        self.progress.line(&format!(
            "{} of {}, {:.0} tokens per second",
            count(committed.len(), "segment"),
            count(steps, "step"),
            tokens as f64 / (times.steps + times.commitments).as_secs_f64().max(1e-9)
        ));
        Ok(committed)
    }

    /// What a trainer does instead of its work from some round on, until it is convicted.
    fn fraud(&self, trainer: usize, number: u32) -> Option<Fraud> {
        if self.doomed == Some(trainer) {
            return Some(Fraud::FlipBit);
        }
        self.settings.cheats.iter().copied().find(|fraud| self.commits(*fraud, trainer, number))
    }

    /// Commits a segment on chain.
    ///
    /// # Errors
    /// The ledger's.
    pub fn commit(&mut self, segment: &Committed, job: &Address, round: &Address) -> Result<()> {
        let person = &self.world.people[segment.trainer];
        let claim = SegmentClaim {
            start_root: segment.task.base.root(),
            end_root: segment.work.end.root(),
            accumulator_root: segment.work.accumulator_root(),
            leaf_count: segment.work.leaves.len() as u32,
            place: person.place,
            ..SegmentClaim::default()
        };
        let claim = self.prepared.claim(claim, &segment.start, &segment.result);
        let (wallet, pool, program) = (person.wallet(), person.pool()?, self.world.program);
        let instruction = match &segment.start.previous {
            Some(_) => {
                let previous = program.previous_segment(job, self.world.read::<Round>(round)?.parent, &pool);
                program.commit_update(&wallet, job, round, &pool, &claim, &previous)
            }
            None => program.commit_segment(&wallet, job, round, &pool, &claim),
        };
        let receipt = self.world.send(segment.trainer, instruction)?;
        self.journal.published.push(Published::new(segment.task.round, segment.task.place, &segment.work.leaves));
        self.journal.commitment_bytes += receipt.transaction_bytes as u64;
        Ok(())
    }

    /// Auditors reveal their draws, replay what is drawn, and attest or accuse.
    fn audit(
        &mut self,
        committed: &mut [Committed],
        job: &Address,
        round: &Address,
        number: u32,
    ) -> Result<Vec<Attestation>> {
        let mut attested = Vec::new();
        let program = self.world.program;
        let auditors = self.remaining(AUDITOR);
        for &auditor in &auditors {
            let draw = self.draw(auditor)?;
            let seat = self.world.people[auditor].seat()?;
            self.world.send(auditor, program.reveal_draw(&seat, job, round, &draw))?;
            self.journal.draws_used[seat.place as usize] += 1;
        }
        for segment in committed.iter().filter(|segment| segment.fraud == Some(Fraud::Withhold)) {
            self.demand_state(segment, job, round, number)?;
        }
        for &auditor in &auditors {
            if self.commits(Fraud::FalseAccusation, auditor, number) {
                self.accuse_falsely(auditor, committed, job, round, number)?;
            }
        }
        let revealed: Round = self.world.read(round)?;
        let mut drawn = Vec::new();
        for (index, segment) in committed.iter().enumerate() {
            let account: segment::Segment = self.world.read(&segment.address)?;
            let draws = |auditor: &usize| {
                let seat = &revealed.auditors[self.world.people[*auditor].place as usize];
                account.is_drawn::<HostSha256>(segment.address.as_array(), seat, revealed.audit_rate)
            };
            let by: Vec<usize> = auditors.iter().copied().filter(draws).collect();
            let (lazy, careful): (Vec<usize>, Vec<usize>) =
                by.into_iter().partition(|auditor| self.commits(Fraud::Attest, *auditor, number));
            drawn.push((index, lazy, careful));
        }
        let replays = drawn.iter().filter(|(.., careful)| !careful.is_empty()).count() as u64;
        let bar = self.progress.bar(replays * u64::from(self.settings.inner_steps), "auditing");
        let started = Instant::now();
        for (index, lazy, careful) in drawn {
            let account: segment::Segment = self.world.read(&committed[index].address)?;
            if account.status == segment::CONVICTED {
                continue;
            }
            for auditor in lazy {
                let root = self.made_up_root(auditor, &committed[index].address);
                attested.push(self.attest(auditor, &committed[index], root, job, round)?);
            }
            let Some(&first) = careful.first() else { continue };
            let leaves: Vec<u32> = careful.iter().map(|auditor| self.leaf(&revealed, &account, *auditor)).collect();
            match self.replayed(&mut committed[index], &leaves, &bar)? {
                Finding::True(trace_roots) => {
                    committed[index].audited_by.extend(&careful);
                    for (auditor, trace_root) in careful.into_iter().zip(trace_roots) {
                        attested.push(self.attest(auditor, &committed[index], trace_root, job, round)?);
                    }
                }
                Finding::FalseUpdate => {
                    committed[index].audited_by.push(first);
                    self.accuse_update(first, &committed[index], (job, round), number)?;
                }
                Finding::FalseSteps { leaf, view } => {
                    committed[index].audited_by.push(first);
                    self.progress.line(&format!(
                        "{} finds that {} committed something else from leaf {} on, and accuses",
                        self.world.people[first].name,
                        self.world.people[committed[index].trainer].name,
                        leaf + 1
                    ));
                    self.dispute_segment(first, &committed[index], view, job, round, number)?;
                }
            }
        }
        drop(bar);
        self.worker.take_times();
        self.journal.summary.timings.audit_seconds += started.elapsed().as_secs_f64();
        Ok(attested)
    }

    /// An auditor attests a segment blindly with a trace root.
    fn attest(
        &mut self,
        auditor: usize,
        segment: &Committed,
        trace_root: [u8; 32],
        job: &Address,
        round: &Address,
    ) -> Result<Attestation> {
        let seat = self.world.people[auditor].seat()?;
        let name = &self.world.people[auditor].name;
        let salt = attestation_salt(self.settings.seed, name, segment.task.round, segment.task.place);
        let shown = Shown { salt: &salt, trace_root: &trace_root };
        let commitment = shown.commitment::<HostSha256>(seat.pool.as_array(), segment.address.as_array());
        let attest = self.world.program.attest(&seat, job, round, &segment.address, &commitment);
        self.world.send(auditor, attest)?;
        let is_made_up = trace_root == self.made_up_root(auditor, &segment.address);
        Ok(Attestation { auditor, segment: segment.address, salt, trace_root, is_made_up })
    }

    /// Auditors show what they attested accepted segments with.
    fn show_attestations(&mut self, attested: &[Attestation], job: &Address, round: &Address) -> Result<()> {
        for Attestation { auditor, segment, salt, trace_root, .. } in attested {
            let account: segment::Segment = self.world.read(segment)?;
            if account.status == segment::ACCEPTED {
                let seat = self.world.people[*auditor].seat()?;
                let shown = Shown { salt, trace_root };
                let reveal = self.world.program.reveal_attestation(&seat, job, round, segment, &shown);
                self.world.send(*auditor, reveal)?;
            }
        }
        Ok(())
    }

    /// An auditor accuses an honest trainer, with a replay of its own that is wrong.
    fn accuse_falsely(
        &mut self,
        accuser: usize,
        committed: &[Committed],
        job: &Address,
        round: &Address,
        number: u32,
    ) -> Result<()> {
        let Some(victim) = committed.iter().find(|segment| segment.fraud.is_none()) else { return Ok(()) };
        let lie = stage(Fraud::FlipBit, &self.prepared.task.graph, &self.settings, (number, 0));
        let leaves = self.worker.train(&victim.task, lie.as_ref(), &mut |_| true)?.leaves;
        self.progress.line(&format!(
            "{} accuses {}, which did everything right",
            self.world.people[accuser].name, self.world.people[victim.trainer].name
        ));
        let view = View { cheat: lie, leaves, fault: None };
        self.dispute_segment(accuser, victim, view, job, round, number)
    }

    /// The next base of what the accepted segments handed over, voted by the auditors.
    fn next_base(
        &mut self,
        committed: &[Committed],
        job: &Address,
        round_address: &Address,
        number: u32,
    ) -> Result<Arc<State>> {
        let accepted = self.world.read::<Round>(round_address)?.accepted;
        let counts = |segment: &&Committed| accepted & bit(segment.task.place) != 0;
        let results: Vec<Arc<State>> =
            committed.iter().filter(counts).map(|segment| Arc::clone(&segment.result)).collect();
        let segments: Vec<Address> = committed.iter().filter(counts).map(|segment| segment.address).collect();
        let false_votes = self.vote_falsely(&results, job, round_address, number)?;
        let next = self.prepared.next_base(&self.base, &results, &self.machine)?;
        for auditor in self.remaining(AUDITOR) {
            if !self.commits(Fraud::Vote, auditor, number) {
                self.vote(auditor, (job, round_address), &next.root())?;
            }
        }
        let round: Round = self.world.read(round_address)?;
        ensure!(
            round.status == round::AGGREGATED && round.next_base == next.root(),
            "the auditors' vote did not give the aggregate; the chain holds another base"
        );
        self.accuse_votes(false_votes, &results, &segments, (job, round_address), number)?;
        Ok(next)
    }

    /// Evaluators score the next base, commit, reveal; the chain tallies.
    fn evaluate(&mut self, next: &Arc<State>, job: &Address, round: &Address, number: u32) -> Result<()> {
        let started = Instant::now();
        let program = self.world.program;
        let spec = self.world.read::<Job>(job)?.spec;
        let mut reveals = Vec::new();
        let mut false_runs = Vec::new();
        for evaluator in self.remaining(EVALUATOR) {
            let (mut run, mut sums) = self.score(next)?;
            let place = self.world.people[evaluator].place;
            if let Some(lie) = self.false_run(evaluator, next, number)? {
                (run, sums) = (lie.work.clone(), scoring::sums(&lie.work.end));
                false_runs.push(lie);
            }
            if self.commits(Fraud::LyingEvaluator, evaluator, number) {
                self.progress
                    .line(&format!("{} reports a better score than it measured", self.world.people[evaluator].name));
                let lie = u64::from(spec.score_windows) * u64::from(spec.sequence_length) * LIE_MICRO_NATS;
                sums = sums.map(|sum| if sum > lie { sum - lie } else { sum / 2 });
                if let Some(last) = run.leaves.last_mut() {
                    last.end_root = evaluation::sums_root::<HostSha256>(&sums);
                }
            }
            let seat = self.world.people[evaluator].seat()?;
            let leaves = run.accumulator_root();
            let claim = evaluation::claim::<HostSha256>(&spec, &sums, &leaves, place);
            let salt = salt(self.settings.seed, &self.world.people[evaluator].name, number);
            let commitment =
                evaluation::commitment::<HostSha256>(&claim, &salt, seat.pool.as_array(), round.as_array());
            self.world.send(evaluator, program.commit_score(&seat, job, round, &commitment))?;
            reveals.push((evaluator, seat, sums, leaves, salt));
        }
        self.scorer.take_times();
        let awaits: Round = self.world.read(round)?;
        if reveals.len() < awaits.awaited_evaluators.count_ones() as usize {
            // A trainer that was convicted since the round was opened commits nothing, and is waited for until the deadline.
            let end_slot = awaits.score_deadline_slot;
            self.world.ledger.advance_slots(end_slot.saturating_sub(self.world.ledger.slot()))?;
        }
        for (evaluator, seat, sums, leaves, salt) in reveals {
            self.world.send(evaluator, program.reveal_score(&seat, job, round, (&sums, &leaves), &salt))?;
        }
        self.accuse_runs(false_runs, next, (job, round), number)?;
        let revealed: Round = self.world.read(round)?;
        let counts = |seat: &&EvaluatorSeat| !matches!(seat.status, evaluation::ABSENT | evaluation::CONVICTED);
        let mut seats = revealed.evaluators[..revealed.evaluator_count as usize].iter().filter(counts);
        let first = seats.next().map(|seat| seat.scores);
        if seats.any(|seat| Some(seat.scores) != first) {
            // Nobody disputes here: the median settles it, and the tolerance says who was off.
            let end_slot = evaluation::dispute_deadline(&revealed, &self.world.read(job)?).map_err(rule)?;
            self.world.ledger.advance_slots(end_slot.saturating_sub(self.world.ledger.slot()))?;
        }
        self.world.send(0, program.tally(job, round))?;
        self.journal.summary.timings.evaluation_seconds += started.elapsed().as_secs_f64();
        Ok(())
    }

    /// The two slots of the next seed pass, and their hashes are captured.
    fn capture_seed(&mut self, closed: &Round, job: &Address, round: &Address) -> Result<()> {
        let due = closed.seed_slots[1] + 1;
        self.world.ledger.advance_slots(due.saturating_sub(self.world.ledger.slot()))?;
        self.world.send(0, self.world.program.capture_seed(job, round))?;
        Ok(())
    }

    /// Nobody can challenge the round any more: it is final, and those who convicted somebody have the bounty.
    fn finalise(&mut self, committed: &[Committed], job: &Address, round_address: &Address) -> Result<()> {
        let program = self.world.program;
        let scored: Round = self.world.read(round_address)?;
        self.world.ledger.advance_slots(scored.final_slot().saturating_sub(self.world.ledger.slot()))?;
        self.world.send(0, program.finalize_round(job, round_address))?;
        self.claim_bounties(committed, round_address)
    }

    /// One who convicted somebody gets what waits for it: in a segment or scoring run of the round, in the round for an auditor's claim, in the
    /// job whose genesis state was false.
    pub(crate) fn claim_bounties(&mut self, committed: &[Committed], round: &Address) -> Result<()> {
        let program = self.world.program;
        let mut held: Vec<(Escrow, Instruction)> = Vec::new();
        let whose = |escrow: &Escrow| Address::new_from_array(escrow.challenger);
        let by = |holder: &Address, escrow: Escrow| (escrow, program.claim_bounty(holder, &whose(&escrow)));
        for segment in committed.iter().map(|segment| segment.address) {
            let mut state: segment::Segment = self.world.read(&segment)?;
            held.push(by(&segment, state.escrow));
            // What silence left is insured, once nobody can accuse any more.
            if state.release_bounty(&self.world.read::<Round>(round)?, self.world.ledger.slot()).is_ok() {
                self.world.send(0, program.release_bounty(round, &segment))?;
            }
        }
        for evaluator in self.world.with_role(EVALUATOR) {
            let run = program.run(round, &self.world.people[evaluator].pool()?);
            if self.world.ledger.account(&run).is_some() {
                held.push(by(&run, self.world.read::<ScoringRun>(&run)?.escrow));
            }
        }
        for (place, seat) in (0u8..).zip(&self.world.read::<Round>(round)?.auditors) {
            for (case, escrow) in
                [(CaseKind::Aggregate, seat.vote_escrow), (CaseKind::Attestation, seat.attestation_escrow)]
            {
                held.push((escrow, program.claim_auditors_bounty(round, place, case, &whose(&escrow))));
            }
        }
        let false_job = program.job(&self.world.people[0].wallet(), 1);
        if self.world.ledger.account(&false_job).is_some() {
            held.push(by(&false_job, self.world.read::<Job>(&false_job)?.escrow));
        }
        for (escrow, claim) in held {
            if escrow.bounty > 0 && !escrow.is_nobodys() {
                self.world.send(0, claim)?;
            }
        }
        Ok(())
    }

    /// Pays everyone's part of the round; also gives what each segment earned, in base units.
    pub(crate) fn settle(
        &mut self,
        committed: &[Committed],
        job: &Address,
        round_address: &Address,
    ) -> Result<(Round, Vec<u64>)> {
        let program = self.world.program;
        let scored: Round = self.world.read(round_address)?;
        ensure!(scored.status == round::FINAL || scored.is_undone != 0, "the round is not over");
        let mut rewards = Vec::new();
        for segment in committed {
            let pool = self.world.people[segment.trainer].pool()?;
            let held = |world: &World| world.read::<Pool>(&pool)?.held().map_err(rule);
            let before = held(&self.world)?;
            self.world.send(0, program.settle_segment(job, round_address, &pool))?;
            rewards.push(held(&self.world)?.saturating_sub(before));
        }
        for trainer in self.world.with_role(TRAINER) {
            let Ok(seat) = self.world.people[trainer].seat() else { continue };
            let place = usize::from(seat.place);
            let is_awaited = scored.eligible & !scored.committed & !scored.settled_absent & (1 << place) != 0;
            if is_awaited && scored.trainers[place] == seat.pool.to_bytes() {
                self.world.send(0, program.settle_absent(job, round_address, &seat.pool, seat.place))?;
            }
        }
        self.journal.book(&self.world, "training", "penalty for late work")?;
        for auditor in self.world.with_role(AUDITOR) {
            let seat = self.world.people[auditor].seat()?;
            let recorded = &scored.auditors[seat.place as usize];
            let is_over = recorded.settled != 0 && (recorded.vote_slice | recorded.attestation_slice) == 0;
            if is_over || recorded.pool != seat.pool.to_bytes() {
                // It had no part in the round, or its conviction has settled it and left no slice to free.
                continue;
            }
            self.world.send(0, program.settle_audit(job, round_address, &seat.pool, seat.place))?;
        }
        self.journal.book(&self.world, "auditing", "penalty for missed audits")?;
        for evaluator in self.world.with_role(EVALUATOR) {
            let seat = self.world.people[evaluator].seat()?;
            if scored.evaluators[seat.place as usize].pool != seat.pool.to_bytes() {
                continue;
            }
            self.world.send(0, program.settle_evaluation(job, round_address, &seat.pool, seat.place))?;
        }
        self.journal.book(&self.world, "evaluating", "slashed for a false score")?;
        let datasets = setup::dataset_addresses(&self.world, &self.prepared)?;
        for ((domain, provider), dataset) in self.world.with_role(PROVIDER).into_iter().enumerate().zip(datasets) {
            let pool = self.world.people[provider].pool()?;
            self.world.send(0, program.settle_data(job, round_address, domain as u8, &dataset, &pool))?;
        }
        self.journal.book(&self.world, "data", "penalty on data")?;
        for domain in 0..self.settings.domains.len() {
            self.world.send(0, program.settle_patrons(job, round_address, domain as u8))?;
        }
        self.journal.book(&self.world, "attention", "penalty on attention")?;
        self.journal.summary.chain.conserved &= self.world.is_conserved()?;
        ensure!(self.journal.summary.chain.conserved, "the vault does not hold what the accounts say that it owes");
        Ok((scored, rewards))
    }

    /// What became of a round's segments.
    pub(crate) fn segments(&self, committed: &[Committed], rewards: &[u64]) -> Result<Vec<SegmentSummary>> {
        let mut segments = Vec::new();
        for (segment, reward) in committed.iter().zip(rewards) {
            let account: segment::Segment = self.world.read(&segment.address)?;
            let name = &self.world.people[segment.trainer].name;
            if segment.cheat.is_some() && account.status == segment::ACCEPTED {
                self.progress.line(&format!("{name} cheated, and no auditor drew its segment"));
            }
            let losses = &segment.work.losses;
            segments.push(SegmentSummary {
                trainer: self.world.people[segment.trainer].name.clone(),
                mean_loss: losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / losses.len().max(1) as f64,
                status: match account.status {
                    segment::ACCEPTED if segment.cheat.is_some() => "accepted, though false: undetected",
                    segment::ACCEPTED => "accepted",
                    segment::CONVICTED => "convicted",
                    _ => "rejected",
                }
                .into(),
                audited_by: segment.audited_by.iter().map(|a| self.world.people[*a].name.clone()).collect(),
                reward: BaseUnits(*reward),
            });
        }
        Ok(segments)
    }

    fn note_round(&mut self, number: u32, committed: &[Committed], rewards: &[u64], scored: &Round) -> Result<()> {
        let round = RoundSummary {
            segments: self.segments(committed, rewards)?,
            exchanged_bytes: (committed.iter())
                .map(|segment| self.prepared.exchanged_bytes(&self.settings, &segment.result))
                .sum(),
            ..on_chain(number, scored, self.settings.domains.len())
        };
        let losses: Vec<String> = self
            .settings
            .domains
            .iter()
            .zip(&round.loss)
            .map(|(domain, loss)| format!("{} {loss:.3}", domain.name))
            .collect();
        self.progress.line(&format!("held-out loss {}; Q = {:.2}", losses.join(", "), round.quality));
        self.journal.summary.rounds.push(round);
        self.journal.rounds_done = number + 1;
        Ok(())
    }
}

/// What the chain says of a scored round; its segments are left out.
pub(crate) fn on_chain(number: u32, scored: &Round, domains: usize) -> RoundSummary {
    let nats = |micro: u32| f64::from(micro) / sip_eval::MICRO_NATS;
    RoundSummary {
        index: number,
        mixture_bps: scored.mixture_bps[..domains].to_vec(),
        settings: STEERED.iter().zip(scored.settings).map(|(_, value)| steered::scale(value)).collect(),
        loss: scored.scores[..domains].iter().map(|score| nats(*score)).collect(),
        score: nats(scored.score),
        quality: scored.quality as f64 / QUALITY_ONE as f64,
        segments: Vec::new(),
        state_root: hex(&scored.next_base),
        exchanged_bytes: 0,
    }
}

/// The settings of a round in words, after the mixture; nothing where nobody steers them away from their defaults.
fn steered(job: &Job, round: &Round) -> String {
    let settings = job.spec.settings.iter().zip(round.settings).filter(|(setting, _)| setting.exists());
    let moved = settings.filter(|(setting, value)| *value != setting.default);
    moved
        .map(|(setting, value)| {
            format!("; {} × {:.3}", steered::name(setting).replace('-', " "), steered::scale(value))
        })
        .collect()
}

/// Work that was asked to stop ends the run as such.
pub(crate) fn stoppable<T>(work: std::result::Result<T, WorkError>) -> Result<T> {
    work.map_err(|error| if matches!(error, WorkError::Stopped) { Stopped.into() } else { error.into() })
}

/// The reason behind an error of the protocol's pure rules.
pub(crate) fn rule(error: sip_protocol::Error) -> anyhow::Error {
    anyhow!("{error}")
}

#[cfg(test)]
mod tests;
