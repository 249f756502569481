//! The steps of a round, one by one: what is opened, committed, drawn, attested, voted and scored.

use sip_ledger::Receipt;
use sip_proof::{HostSha256, Sha256};
use sip_protocol::{
    Error,
    stake::pool::PoolKind,
    training::{
        attestation::Shown,
        evaluation,
        job::MAX_DOMAINS,
        round::Round,
        segment::{Segment, SegmentClaim, previous_root},
    },
};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_signer::Signer;

use crate::{Operator, Scene, named};

impl Scene {
    /// Opens the next round, after whatever it waits for: the seed, and the end of rounds that are not final.
    pub fn open_round(&mut self) -> Address {
        self.capture_seed();
        while self.job_state().chain.ahead() >= u32::from(self.job_state().spec.lookahead) {
            self.finalise_oldest();
        }
        let job = self.job_state();
        let authority = self.world.authority.insecure_clone();
        let instruction = self.world.program.open_next_round(&authority.pubkey(), &self.job, &job);
        self.world.send(&[instruction], &[&authority]);
        self.round()
    }

    /// What an honest trainer claims in the last round.
    pub fn claim(&self, trainer: usize) -> SegmentClaim {
        let (round, spec) = (self.round_state(), self.job_state().spec);
        let root = |what: &str| named(&format!("{what} {} {trainer}", round.index));
        let claim = SegmentClaim {
            start_root: round.base_root,
            end_root: root("end"),
            accumulator_root: root("leaves"),
            leaf_count: spec.leaf_count(),
            place: self.trainers[trainer].seat.place,
            ..SegmentClaim::default()
        };
        if !spec.is_compressed() {
            return claim;
        }
        let address = self.previous_segment(trainer);
        let previous = self.world.ledger.account(&address).map(|_| self.world.state::<Segment>(&address));
        let previous_root = previous_root(&spec, previous.as_ref());
        SegmentClaim { start_root: root("start"), previous_root, update_root: root("update"), ..claim }
    }

    /// The address of the segment from which a trainer goes on in the last round.
    pub fn previous_segment(&self, trainer: usize) -> Address {
        let pool = self.trainers[trainer].seat.pool;
        self.world.program.previous_segment(&self.job, self.round_state().parent, &pool)
    }

    /// The instruction with which a trainer commits a claim.
    pub fn commit_instruction(&self, trainer: usize, claim: &SegmentClaim) -> Instruction {
        let seat = self.trainers[trainer].seat;
        let (program, round) = (self.world.program, self.round());
        if self.job_state().spec.is_compressed() {
            let previous = self.previous_segment(trainer);
            return program.commit_update(&seat.operator, &self.job, &round, &seat.pool, claim, &previous);
        }
        program.commit_segment(&seat.operator, &self.job, &round, &seat.pool, claim)
    }

    /// Commits a trainer's honest claim; returns the segment's address.
    pub fn commit(&mut self, trainer: usize) -> Address {
        let claim = self.claim(trainer);
        self.commit_claim(trainer, &claim)
    }

    /// Commits a trainer's claim; returns the segment's address.
    pub fn commit_claim(&mut self, trainer: usize, claim: &SegmentClaim) -> Address {
        let instruction = self.commit_instruction(trainer, claim);
        let key = self.trainers[trainer].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
        self.segment(trainer)
    }

    /// Whether the last round awaits an operator and it may act in it.
    pub fn is_awaited(&self, kind: PoolKind, operator: &Operator) -> bool {
        let (round, job, place) = (self.round_state(), self.job_state(), operator.seat.place);
        let excluded = match kind {
            PoolKind::Trainer => round.excluded_trainers(&job),
            PoolKind::Auditor => round.excluded_auditors(&job),
            _ => 0,
        };
        round.require_holder(kind, place, operator.seat.pool.as_array()).is_ok() && excluded & (1 << place) == 0
    }

    /// Ends the commitments.
    pub fn close_commits(&mut self) {
        let instruction = self.world.program.close_commits(&self.job, &self.round());
        self.crank(instruction);
    }

    /// The link of an auditor's hash chain that is next: the one that hashes to its pool's tip.
    pub fn next_draw(&self, auditor: usize) -> [u8; 32] {
        let operator = &self.auditors[auditor];
        let tip = self.pool_state(&operator.seat.pool).chain_tip;
        *operator.chain.iter().find(|link| HostSha256::hashv(&[*link]) == tip).expect("the chain is long enough")
    }

    /// Reveals an auditor's draw of the last round.
    pub fn reveal(&mut self, auditor: usize) {
        let (job, round) = (self.job, self.round());
        let (operator, preimage) = (&self.auditors[auditor], self.next_draw(auditor));
        let key = operator.key.insecure_clone();
        let instruction = self.world.program.reveal_draw(&operator.seat, &job, &round, &preimage);
        self.world.send(&[instruction], &[&key]);
    }

    /// The trace root that an auditor of a test attests a segment with.
    pub fn trace_root(auditor: usize, trainer: usize) -> [u8; 32] {
        named(&format!("replay {auditor} {trainer}"))
    }

    /// Attests a trainer's segment.
    pub fn attest(&mut self, auditor: usize, trainer: usize) {
        self.attest_root(auditor, trainer, &Self::trace_root(auditor, trainer));
    }

    /// Attests a trainer's segment with a trace root.
    pub fn attest_root(&mut self, auditor: usize, trainer: usize, trace_root: &[u8; 32]) {
        let (seat, segment) = (self.auditors[auditor].seat, self.segment(trainer));
        let shown = Shown { salt: &Self::salt(auditor), trace_root };
        let commitment = shown.commitment::<HostSha256>(seat.pool.as_array(), segment.as_array());
        let instruction = self.world.program.attest(&seat, &self.job, &self.round(), &segment, &commitment);
        let key = self.auditors[auditor].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// The instruction that shows what [`Scene::attest_root`] attested.
    pub fn show_instruction(&self, auditor: usize, trainer: usize, trace_root: &[u8; 32]) -> Instruction {
        let (seat, segment) = (self.auditors[auditor].seat, self.segment(trainer));
        let shown = Shown { salt: &Self::salt(auditor), trace_root };
        self.world.program.reveal_attestation(&seat, &self.job, &self.round(), &segment, &shown)
    }

    /// Shows an attestation of a trainer's segment.
    pub fn show(&mut self, auditor: usize, trainer: usize) {
        let instruction = self.show_instruction(auditor, trainer, &Self::trace_root(auditor, trainer));
        let key = self.auditors[auditor].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// Shows all attestations of accepted segments that were not shown yet.
    pub fn show_all(&mut self) {
        for trainer in 0..self.trainers.len() {
            if self.world.ledger.account(&self.segment(trainer)).is_none() {
                continue;
            }
            for auditor in 0..self.auditors.len() {
                let segment = self.segment_state(trainer);
                let hidden = segment.attested & !segment.shown;
                if segment.status == sip_protocol::training::segment::ACCEPTED && hidden & (1 << auditor) != 0 {
                    self.show(auditor, trainer);
                }
            }
        }
    }

    /// The instruction that closes the last round over the segments of these trainers.
    pub fn close_instruction(&self, trainers: &[usize]) -> Instruction {
        let segments: Vec<Address> = trainers.iter().map(|trainer| self.segment(*trainer)).collect();
        self.world.program.close_round(&self.job, &self.round(), &segments)
    }

    /// Closes the last round over all its committed segments.
    pub fn close_round(&mut self) {
        let committed = self.round_state().committed;
        let trainers: Vec<usize> = (0..self.trainers.len())
            .filter(|trainer| committed & (1 << self.trainers[*trainer].seat.place) != 0)
            .collect();
        let instruction = self.close_instruction(&trainers);
        self.crank(instruction);
    }

    /// An auditor's vote for a root, with its second draw in the last round: the one that it has brought, or the next link of its chain.
    pub fn vote_instruction(&self, auditor: usize, root: &[u8; 32]) -> Instruction {
        let (operator, round) = (&self.auditors[auditor], self.round_state());
        let seat = &round.auditors[operator.seat.place as usize];
        let preimage = if seat.vote == [0; 32] { self.next_draw(auditor) } else { seat.second_preimage };
        self.world.program.vote_base(&operator.seat, &self.job, &self.round(), root, &preimage)
    }

    /// Sends an auditor's vote for a root.
    pub fn vote(&mut self, auditor: usize, root: &[u8; 32]) {
        let instruction = self.vote_instruction(auditor, root);
        let key = self.auditors[auditor].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// The instruction with which an auditor attests a trainer's segment that its second draw selects.
    pub fn attest_second_instruction(&self, auditor: usize, trainer: usize, trace_root: &[u8; 32]) -> Instruction {
        let (seat, segment) = (self.auditors[auditor].seat, self.segment(trainer));
        self.world.program.attest_second(&seat, &self.job, &self.round(), &segment, trace_root)
    }

    /// Attests a trainer's segment that an auditor's second draw selects.
    pub fn attest_second(&mut self, auditor: usize, trainer: usize) {
        let instruction = self.attest_second_instruction(auditor, trainer, &Self::trace_root(auditor, trainer));
        let key = self.auditors[auditor].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// The salt that an evaluator or an auditor of a test uses.
    pub fn salt(evaluator: usize) -> [u8; 32] {
        named(&format!("salt {evaluator}"))
    }

    /// The least sums that give these scores, and the root over the leaves of a run that nobody did.
    pub fn scoring_run(&self, scores: &[u32; MAX_DOMAINS]) -> ([u64; MAX_DOMAINS], [u8; 32]) {
        let spec = self.job_state().spec;
        let tokens = u64::from(spec.score_windows) * u64::from(spec.sequence_length);
        let mut sums = [0; MAX_DOMAINS];
        for (sum, score) in sums.iter_mut().zip(scores).take(spec.domain_count.into()) {
            *sum = u64::from(*score) * tokens;
        }
        (sums, named("leaves of a scoring run"))
    }

    /// The instruction with which an evaluator commits scores.
    pub fn commit_score_instruction(&self, evaluator: usize, scores: &[u32; MAX_DOMAINS]) -> Instruction {
        let seat = self.evaluators[evaluator].seat;
        let round = self.round();
        let (sums, accumulator_root) = self.scoring_run(scores);
        let spec = self.job_state().spec;
        let commitment = evaluation::commitment::<HostSha256>(
            &evaluation::claim::<HostSha256>(&spec, &sums, &accumulator_root, seat.place),
            &Self::salt(evaluator),
            seat.pool.as_array(),
            round.as_array(),
        );
        self.world.program.commit_score(&seat, &self.job, &round, &commitment)
    }

    /// Commits an evaluator's scores.
    pub fn commit_score(&mut self, evaluator: usize, scores: &[u32; MAX_DOMAINS]) {
        let instruction = self.commit_score_instruction(evaluator, scores);
        let key = self.evaluators[evaluator].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// The instruction with which an evaluator reveals scores.
    pub fn reveal_score_instruction(&self, evaluator: usize, scores: &[u32; MAX_DOMAINS]) -> Instruction {
        let seat = self.evaluators[evaluator].seat;
        let (sums, leaves) = self.scoring_run(scores);
        let salt = Self::salt(evaluator);
        self.world.program.reveal_score(&seat, &self.job, &self.round(), (&sums, &leaves), &salt)
    }

    /// Reveals an evaluator's scores.
    pub fn reveal_score(&mut self, evaluator: usize, scores: &[u32; MAX_DOMAINS]) {
        let instruction = self.reveal_score_instruction(evaluator, scores);
        let key = self.evaluators[evaluator].key.insecure_clone();
        self.world.send(&[instruction], &[&key]);
    }

    /// Counts the scores, once they can no more be disputed if they differ.
    pub fn tally(&mut self) {
        let state = self.round_state();
        let mut revealed = state.evaluators.iter().filter(|seat| seat.status == evaluation::REVEALED);
        let first = revealed.next().map(|seat| seat.scores);
        if revealed.any(|seat| Some(seat.scores) != first) {
            let slots = u64::from(self.job_state().spec.evaluation_slots);
            self.advance_to(state.reveal_deadline_slot + slots);
        }
        let instruction = self.world.program.tally(&self.job, &self.round());
        self.crank(instruction);
    }

    /// The instruction that undoes a round which builds on an undone one.
    pub fn undo_round(&self, round: &Address) -> Instruction {
        let parent = self.world.program.round(&self.job, self.world.state::<Round>(round).parent);
        self.world.program.undo_round(&self.job, round, &parent)
    }

    /// Sends an instruction that needs nobody's signature.
    pub fn crank(&mut self, instruction: Instruction) -> Receipt {
        let authority = self.world.authority.insecure_clone();
        self.world.send(&[instruction], &[&authority])
    }

    /// Sends an instruction that needs nobody's signature and must be refused for this reason.
    pub fn crank_refused(&mut self, instruction: Instruction, expected: Error) {
        let authority = self.world.authority.insecure_clone();
        self.world.refused(&[instruction], &[&authority], expected);
    }
}
