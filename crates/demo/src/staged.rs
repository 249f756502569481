//! Frauds that are not just a trainer's false steps: a state that is withheld, a false vote, an attestation that was made up, a false
//! scoring run, a false genesis state, and a fraud that is found out only after its round was scored.

use anyhow::{Context, Result, ensure};
use sip_client::UpdateGraph;
use sip_graph::Graph;
use sip_ledger::Ledger;
use sip_node::dispute::{Challenger, Defender};
use sip_node::{Cheat, Computation, Replay, Segment, SegmentTask, State, Worker};
use sip_proof::{HostSha256, Sha256};
use sip_protocol::court::availability::Demand;
use sip_protocol::ground::case::CaseKind;
use sip_protocol::training::job::{Job, bit};
use sip_protocol::training::round::{self, AuditorSeat, Round};
use sip_protocol::training::segment;
use solana_address::Address;
use std::sync::Arc;

use super::Run;
use super::court::{Charge, Claim, View};
use super::round::{Attestation, Committed, Scored};
use super::setup;
use sip_manifest::exchange::Start;
use sip_manifest::prepare::genesis_graph;
use sip_manifest::roles::{AUDITOR, CREATOR, EVALUATOR};
use sip_manifest::settings::{Fraud, Settings};
use sip_manifest::staged;
use sip_report::count;
use sip_report::summary::{DemandSummary, UndoneRound};

/// How often a fraud is made anew so that nobody draws it in the first draw, or somebody does; with two auditors that draw every other segment, four times do on average.
const ATTEMPTS_MAX: u32 = 64;

/// A vote for a base that is not the mean, and what the voter computed.
pub(crate) struct FalseVote {
    auditor: usize,
    computation: Computation,
}

/// A scoring run with a lie in it.
pub(crate) struct FalseRun {
    pub evaluator: usize,
    pub cheat: Cheat,
    pub work: Segment,
}

impl Run {
    /// Whether somebody was convicted, and takes no further part.
    pub(crate) fn is_out(&self, person: usize) -> bool {
        self.journal.convicted.contains(&self.world.people[person].name)
    }

    /// Everyone of a role who was not convicted.
    pub(crate) fn remaining(&self, role: &str) -> Vec<usize> {
        self.world.with_role(role).into_iter().filter(|&person| !self.is_out(person)).collect()
    }

    /// Whether somebody commits a fraud in the round with this number; until it is convicted, or once if it never is.
    pub(crate) fn commits(&self, fraud: Fraud, person: usize, number: u32) -> bool {
        let who = &self.world.people[person];
        let Some((from, place)) = self.settings.staged(fraud) else { return false };
        let is_now = if fraud.is_repeated() { number >= from } else { number == from };
        who.role == fraud.role() && place == who.place && is_now && self.doomed.is_none() && !self.is_out(person)
    }

    /// A fraud that is made anew until an auditor's first draw selects it, or until none does: a liar that is convicted late had this luck.
    pub(crate) fn lie_until(
        &mut self,
        is_drawn: bool,
        trainer: usize,
        (address, audit_rate): (&Address, u32),
        mut attempt: impl FnMut(&mut Run, u32) -> Result<(Option<Cheat>, Segment)>,
    ) -> Result<(Option<Cheat>, Segment)> {
        let mut seats: Vec<AuditorSeat> = Vec::new();
        for auditor in self.remaining(AUDITOR) {
            let (draw, operator) = (self.draw(auditor)?, self.world.people[auditor].wallet().to_bytes());
            seats.push(AuditorSeat { preimage: draw, operator, ..bytemuck::Zeroable::zeroed() });
        }
        let mut segment: segment::Segment = bytemuck::Zeroable::zeroed();
        segment.operator = self.world.people[trainer].wallet().to_bytes();
        let mut number = 0;
        loop {
            let (cheat, work) = attempt(self, number)?;
            segment.claim.accumulator_root = work.accumulator_root();
            let draws = |seat: &AuditorSeat| segment.is_drawn::<HostSha256>(address.as_array(), seat, audit_rate);
            number += 1;
            if number == ATTEMPTS_MAX || seats.iter().any(draws) == is_drawn {
                return Ok((cheat, work));
            }
            // What did not do is not counted as training.
            self.worker.take_times();
        }
    }

    /// The draw that an auditor reveals next.
    pub(crate) fn draw(&self, auditor: usize) -> Result<[u8; 32]> {
        let person = &self.world.people[auditor];
        let used = self.journal.draws_used[person.place as usize];
        let chain = setup::chain(&self.settings, &person.name);
        chain.draw(used).with_context(|| format!("{} has used up its hash chain", person.name))
    }

    /// An auditor votes for the next base, and brings its second draw.
    pub(crate) fn vote(&mut self, auditor: usize, (job, round): (&Address, &Address), root: &[u8; 32]) -> Result<()> {
        let (seat, draw) = (self.world.people[auditor].seat()?, self.draw(auditor)?);
        self.world.send(auditor, self.world.program.vote_base(&seat, job, round, root, &draw))?;
        self.journal.draws_used[seat.place as usize] += 1;
        Ok(())
    }

    /// What a segment hands over, with a false bit if its trainer means to.
    pub(crate) fn handed_over(&self, fraud: Option<Fraud>, start: &Start, end: &Arc<State>) -> Result<Arc<State>> {
        if fraud != Some(Fraud::Update) {
            return self.prepared.result(start, end, &self.machine);
        }
        let (evidence, _) = self.update_evidence(start, end)?;
        Ok(Arc::new(evidence.cheating(Some(self.false_update()?)).state()?))
    }

    fn update_evidence(&self, start: &Start, end: &Arc<State>) -> Result<(Computation, UpdateGraph)> {
        let found = self.prepared.update_evidence(start, end, &self.machine);
        let (evidence, roots, sibling) = found.context("the run exchanges whole states")?;
        Ok((evidence, UpdateGraph { case: CaseKind::Update, roots, sibling }))
    }

    /// A bit of the first code that an update tells.
    fn false_update(&self) -> Result<Cheat> {
        let updates = self.prepared.updates.as_ref().context("the run exchanges whole states")?;
        Ok(Cheat::FlipBit { step: 0, node: updates.update.state_outputs()[0], element: 0, bit: 0 })
    }

    /// Accuses the update that a segment hands over.
    pub(crate) fn accuse_update(
        &mut self,
        challenger: usize,
        committed: &Committed,
        (job, round): (&Address, &Address),
        number: u32,
    ) -> Result<()> {
        self.progress.line(&format!(
            "{} finds that {} hands over another update than its steps give, and accuses",
            self.world.people[challenger].name, self.world.people[committed.trainer].name
        ));
        let evidence = || self.update_evidence(&committed.start, &committed.work.end);
        let (truth, opening) = evidence()?;
        let claimed = evidence()?.0.cheating(Some(self.false_update()?));
        let graph = Arc::new(truth.graph_evidence());
        let (defendant, number) = (committed.trainer, number + 1);
        let charge = Charge { challenger, defendant, job, round, number, claim: Claim::Update(opening) };
        self.dispute(&charge, Defender::new(Arc::clone(&graph), claimed), Challenger::new(graph, truth))?;
        Ok(())
    }

    /// A trainer does not hand out the state that its segment ends in: an auditor demands a chunk of it on chain, and silence convicts.
    pub(crate) fn demand_state(
        &mut self,
        committed: &Committed,
        job: &Address,
        round: &Address,
        number: u32,
    ) -> Result<()> {
        let program = self.world.program;
        let demander = self.remaining(AUDITOR)[0];
        let wallet = self.world.people[demander].wallet();
        let pool = self.world.people[committed.trainer].pool()?;
        let (name, by) = (self.world.people[committed.trainer].name.clone(), self.world.people[demander].name.clone());
        self.progress.line(&format!(
            "{name} does not hand out the state that its segment ends in: {by} demands a chunk of it on chain"
        ));
        let asked = sip_client::StateDemand { demander: &wallet, job, round, pool: &pool, entry: 0, chunk: 0 };
        let demanded = self.world.send(demander, program.demand_state(&asked))?;
        let demand: Demand = self.world.read(&program.demand(&committed.address, &wallet, 0, 0))?;
        let end_slot = demand.deadline_slot + 1;
        self.world.ledger.advance_slots(end_slot.saturating_sub(self.world.ledger.slot()))?;
        let failed = self.world.send(demander, program.fail_state(&asked))?;
        self.convicted(&name, number + 1)?;
        let verdict = format!("silent for {} slots", demand.deadline_slot - demand.opened_slot);
        self.progress.line(&format!("{name} is convicted: {verdict}"));
        self.journal.summary.demands.push(DemandSummary {
            round: number + 1,
            defendant: name,
            demander: by,
            entry: demand.entry,
            chunk: demand.chunk,
            outcome: format!("convicted: {verdict}"),
            compute_units: demanded.compute_units + failed.compute_units,
        });
        Ok(())
    }

    /// What an auditor shows that attests without replaying.
    pub(crate) fn made_up_root(&self, auditor: usize, segment: &Address) -> [u8; 32] {
        HostSha256::hashv(&[b"sip.demo.made-up.1", self.world.people[auditor].wallet().as_ref(), segment.as_ref()])
    }

    /// Accuses attestations that were made up.
    pub(crate) fn accuse_attestations(
        &mut self,
        attested: &[Attestation],
        committed: &[Committed],
        (job, round): (&Address, &Address),
        number: u32,
    ) -> Result<()> {
        for attestation in attested.iter().filter(|attestation| attestation.is_made_up) {
            let account: segment::Segment = self.world.read(&attestation.segment)?;
            let segment = committed.iter().find(|segment| segment.address == attestation.segment);
            let (Some(segment), false) = (segment, self.is_out(attestation.auditor)) else { continue };
            if account.shown & bit(self.world.people[attestation.auditor].place) == 0 {
                continue;
            }
            let others = self.remaining(AUDITOR);
            let challenger = others.into_iter().find(|&other| other != attestation.auditor);
            let challenger = challenger.context("nobody is left to accuse an auditor")?;
            self.progress.line(&format!(
                "{} replays the step of {} that {} drew, and finds another trace than it attested",
                self.world.people[challenger].name,
                self.world.people[segment.trainer].name,
                self.world.people[attestation.auditor].name
            ));
            let graph = Arc::new(self.prepared.task.graph_evidence());
            let replay = || {
                let threads = Arc::clone(&self.machine.threads);
                let worker = Worker::new(self.prepared.task.clone(), threads, self.machine.simd);
                Replay::new(worker, segment.task.clone(), None, segment.work.leaves.clone())
            };
            let (defender, accuser) = (Defender::new(Arc::clone(&graph), replay()), Challenger::new(graph, replay()));
            let charge = Charge {
                challenger,
                defendant: attestation.auditor,
                job,
                round,
                number: number + 1,
                claim: Claim::Attestation { segment: &attestation.segment },
            };
            self.dispute(&charge, defender, accuser)?;
        }
        Ok(())
    }

    /// Who means to, votes for a mean with a false bit in it.
    pub(crate) fn vote_falsely(
        &mut self,
        states: &[Arc<State>],
        job: &Address,
        round: &Address,
        number: u32,
    ) -> Result<Vec<FalseVote>> {
        let mut votes = Vec::new();
        for auditor in self.remaining(AUDITOR) {
            if !self.commits(Fraud::Vote, auditor, number) {
                continue;
            }
            let node = self.prepared.aggregates.graph(states.len())?.state_outputs()[0];
            let cheat = Cheat::FlipBit { step: 0, node, element: 0, bit: 22 };
            let mut computation = self.prepared.base_evidence(&self.base, states, &self.machine)?.cheating(Some(cheat));
            let root = computation.root()?;
            self.vote(auditor, (job, round), &root)?;
            votes.push(FalseVote { auditor, computation });
        }
        Ok(votes)
    }

    /// Accuses false votes.
    pub(crate) fn accuse_votes(
        &mut self,
        votes: Vec<FalseVote>,
        states: &[Arc<State>],
        accepted: &[Address],
        (job, round): (&Address, &Address),
        number: u32,
    ) -> Result<()> {
        let (roots, path) = self.prepared.aggregates.opening(states.len())?;
        for FalseVote { auditor, computation } in votes {
            let challenger = self.remaining(AUDITOR).into_iter().find(|&other| other != auditor);
            let challenger = challenger.context("nobody is left to accuse an auditor")?;
            self.progress.line(&format!(
                "{} votes for a base that is not the mean of the accepted segments; {} accuses",
                self.world.people[auditor].name, self.world.people[challenger].name
            ));
            let truth = self.prepared.base_evidence(&self.base, states, &self.machine)?;
            let evidence = Arc::new(truth.graph_evidence());
            let defender = Defender::new(Arc::clone(&evidence), computation);
            let charge = Charge {
                challenger,
                defendant: auditor,
                job,
                round,
                number: number + 1,
                claim: Claim::Vote { graph: &roots, path: &path, segments: accepted },
            };
            self.dispute(&charge, defender, Challenger::new(evidence, truth))?;
        }
        Ok(())
    }

    /// The scoring run of an evaluator that changes a bit of the sum that it reports; `None` of an honest one.
    pub(crate) fn false_run(&mut self, evaluator: usize, next: &Arc<State>, number: u32) -> Result<Option<FalseRun>> {
        if !self.commits(Fraud::Score, evaluator, number) {
            return Ok(None);
        }
        let sum = self.prepared.scoring.graph.state_outputs()[0];
        let cheat = Cheat::FlipBit { step: 0, node: sum, element: 0, bit: 22 };
        let task = SegmentTask::scoring(next, &self.machine.threads)?;
        let work = self.scorer.train(&task, Some(&cheat), &mut |_| true)?;
        Ok(Some(FalseRun { evaluator, cheat, work }))
    }

    /// Accuses false scoring runs before the tally.
    pub(crate) fn accuse_runs(
        &mut self,
        runs: Vec<FalseRun>,
        next: &Arc<State>,
        (job, round): (&Address, &Address),
        number: u32,
    ) -> Result<()> {
        for FalseRun { evaluator, cheat, work } in runs {
            let challenger = self.remaining(EVALUATOR).into_iter().find(|&other| other != evaluator);
            let challenger = challenger.context("nobody is left to accuse an evaluator")?;
            self.progress.line(&format!(
                "{} finds that {} scored another run than the one over the held-out windows, and accuses",
                self.world.people[challenger].name, self.world.people[evaluator].name
            ));
            let (honest, _) = self.score(next)?;
            let task = SegmentTask::scoring(next, &self.machine.threads)?;
            let replay = |cheat: Option<Cheat>, work: Segment| {
                let threads = Arc::clone(&self.machine.threads);
                let worker = Worker::new(self.prepared.scoring.clone(), threads, self.machine.simd);
                Replay::new(worker, task.clone(), cheat, work.leaves)
            };
            let graph = Arc::new(self.prepared.scoring.graph_evidence());
            let defender = Defender::new(Arc::clone(&graph), replay(Some(cheat), work));
            let accuser = Challenger::new(graph, replay(None, honest));
            let (defendant, number) = (evaluator, number + 1);
            let charge = Charge { challenger, defendant, job, round, number, claim: Claim::Run };
            self.dispute(&charge, defender, accuser)?;
        }
        Ok(())
    }

    /// A job of the same creator whose genesis state is not what its graph gives: its creator is convicted, and nobody trains on it.
    pub(crate) fn convict_genesis(&mut self) -> Result<()> {
        if !self.settings.cheats.contains(&Fraud::Genesis) {
            return Ok(());
        }
        let program = self.world.program;
        let creator = self.world.with_role(CREATOR)[0];
        let graph = Arc::new(genesis_graph(&self.prepared.manifest)?);
        let cheat = Cheat::FlipBit { step: 0, node: graph.state_outputs()[0], element: 0, bit: 22 };
        let compute = |cheat: Option<Cheat>| {
            Computation::new(Arc::clone(&graph), Vec::new(), cheat, &self.machine.threads, self.machine.simd)
        };
        let (mut claimed, truth) = (compute(Some(cheat)), compute(None));
        let mut spec = setup::job_spec(&self.settings, &self.prepared);
        spec.genesis_root = claimed.root()?;
        let datasets = setup::dataset_addresses(&self.world, &self.prepared)?;
        let wallet = self.world.people[creator].wallet();
        self.world.send(creator, program.create_job(&wallet, 1, &spec, &datasets))?;
        let job = program.job(&wallet, 1);
        let challenger = self.world.with_role(AUDITOR)[0];
        self.progress.stage("A job that starts from a state of its creator's own making");
        self.progress.line(&format!("{} computes the genesis state, and accuses", self.world.people[challenger].name));
        let evidence = Arc::new(truth.graph_evidence());
        let defender = Defender::new(Arc::clone(&evidence), claimed);
        let charge =
            Charge { challenger, defendant: creator, job: &job, round: &job, number: 0, claim: Claim::Genesis };
        let convicted = self.dispute(&charge, defender, Challenger::new(evidence, truth))?;
        let closed = self.world.read::<Job>(&job)?.closed;
        ensure!(convicted && closed != 0, "the job with the false genesis state is still open");
        Ok(())
    }

    /// A fraud that nobody drew: another round builds on its round, in which its trainer lies again and is convicted. That opens its past, as
    /// far as it is not final: an auditor replays what nobody drew and accuses. Both rounds are undone, honest work of the first is paid out of the liar's slice, and the job goes on
    /// from the base before. Where the run ends before another round, the second draw finds it.
    pub(crate) fn convict_late(&mut self, first: Scored) -> Result<()> {
        let program = self.world.program;
        let job_address = setup::job_address(&self.world);
        let base = std::mem::replace(&mut self.base, Arc::clone(&first.next));
        let job: Job = self.world.read(&job_address)?;
        let mut undone = vec![first];
        let liar = undone[0].committed.iter().find(|segment| segment.fraud == Some(Fraud::Late));
        let trainer = liar.context("the round has no fraud to be found late")?.trainer;
        if job.rounds_scored < self.settings.rounds {
            self.doomed = Some(trainer);
            let second = self.play_to_score();
            self.doomed = None;
            undone.extend(second?);
        }
        let first = &undone[0];
        let liar = first.committed.iter().find(|segment| segment.trainer == trainer);
        let liar = liar.context("the round has no fraud to be found late")?;
        let account: segment::Segment = self.world.read(&liar.address)?;
        let auditor = self.remaining(AUDITOR)[0];
        let name = &self.world.people[trainer].name;
        let why = match self.is_out(trainer) {
            true => format!(
                "opens the past of {name}: replays its segment of round {}, which nobody drew,",
                first.number + 1
            ),
            false => {
                format!("replays what its second draw picks, finds that {name} lied in round {},", first.number + 1)
            }
        };
        self.progress.line(&format!("{} {why} and accuses", self.world.people[auditor].name));
        let committed = (&liar.work.leaves[..], &account.claim.end_root);
        let audit = self.worker.audit(&liar.task, committed, &[], &mut |_| true)?;
        self.worker.take_times();
        self.journal.summary.work.audited_steps += u64::from(self.settings.inner_steps);
        let view = View { cheat: None, leaves: audit.replayed.leaves, fault: audit.fault };
        self.dispute_segment(auditor, liar, view, &job_address, &first.address, first.number)?;
        for rounds in undone.windows(2) {
            self.world.send(0, program.undo_round(&job_address, &rounds[1].address, &rounds[0].address))?;
        }
        self.base = base;
        let job: Job = self.world.read(&job_address)?;
        ensure!(job.base_root == self.base.root(), "the job did not go back to the base before the fraud");
        self.progress.line(&format!(
            "{} undone; the job goes back to the base before round {}",
            if undone.len() == 1 { "the round is".into() } else { format!("{} are", count(undone.len(), "round")) },
            undone[0].number + 1
        ));
        for round in &undone {
            self.pay_undone(round, &job_address)?;
        }
        Ok(())
    }

    /// Pays honest work of an undone round out of the liar's slice, once nobody can be accused any more.
    pub(crate) fn pay_undone(&mut self, undone: &Scored, job: &Address) -> Result<()> {
        let state: Round = self.world.read(&undone.address)?;
        ensure!(state.status == round::VOID && state.is_undone != 0, "the round was not undone");
        let end_slot = state.final_slot();
        self.world.ledger.advance_slots(end_slot.saturating_sub(self.world.ledger.slot()))?;
        self.claim_bounties(&undone.committed, &undone.address)?;
        // A replay of the rounds that were built on it needs the base that is no more.
        undone.next.save(&self.store.undone(state.index))?;
        let (_, rewards) = self.settle(&undone.committed, job, &undone.address)?;
        let segments = self.segments(&undone.committed, &rewards)?;
        let paid: f64 = segments.iter().map(|segment| segment.reward.sip()).sum();
        self.progress
            .line(&format!("honest trainers of round {} get {paid:.2} SIP out of the liar's slice", undone.number + 1));
        let mut liar = None;
        for segment in undone.committed.iter().filter(|segment| segment.cheat.is_some()) {
            let account: segment::Segment = self.world.read(&segment.address)?;
            if account.status == segment::CONVICTED && state.accepted & bit(segment.task.place) != 0 {
                liar = Some(segment);
            }
        }
        self.journal.summary.undone.push(UndoneRound {
            round: undone.number + 1,
            index: state.index,
            why: match liar {
                Some(liar) => format!("{} was convicted after it was scored", self.world.people[liar.trainer].name),
                None => "it was built on a round that was undone".into(),
            },
            segments,
        });
        Ok(())
    }

    /// Whether a round holds a fraud that nobody noticed.
    pub(crate) fn is_late(&self, scored: &Scored) -> Result<bool> {
        for segment in &scored.committed {
            if segment.fraud == Some(Fraud::Late) {
                let account: segment::Segment = self.world.read(&segment.address)?;
                return Ok(account.status == segment::ACCEPTED);
            }
        }
        Ok(false)
    }
}

/// What a fraud does to a trainer's steps, with all its details, drawn from the seed: of the round with this number, at this attempt.
pub fn stage(fraud: Fraud, graph: &Graph, settings: &Settings, at: (u32, u32)) -> Option<Cheat> {
    staged::cheat(fraud, graph, (settings.seed, settings.inner_steps), at)
}
