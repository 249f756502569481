//! Whole stretches of a round: up to open segments, to its vote, to its scores, to its end and to its accounts' closing.

use sip_proof::HostSha256;
use sip_protocol::{
    stake::pool::PoolKind,
    training::{
        job::{MAX_DOMAINS, bit},
        round::Round,
        segment::Segment,
    },
};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_signer::Signer;

use crate::{Scene, named};

impl Scene {
    /// Takes a round up to open segments: opened, all trainers committed, commits closed.
    pub fn to_committed(&mut self) {
        self.open_round();
        for trainer in 0..self.trainers.len() {
            if self.is_awaited(PoolKind::Trainer, &self.trainers[trainer]) {
                self.commit(trainer);
            }
        }
        self.close_commits();
    }

    /// Takes a committed round to its vote: all draws revealed, all drawn segments attested, closed, attestations shown.
    pub fn to_closed(&mut self) {
        let rate = self.round_state().audit_rate;
        for auditor in 0..self.auditors.len() {
            if self.is_awaited(PoolKind::Auditor, &self.auditors[auditor]) {
                self.reveal(auditor);
            }
        }
        for trainer in 0..self.trainers.len() {
            let address = self.segment(trainer);
            if self.world.ledger.account(&address).is_none() {
                continue;
            }
            for auditor in 0..self.auditors.len() {
                let seat = self.round_state().auditors[auditor];
                if seat.revealed == 0 {
                    continue;
                }
                let segment: Segment = self.world.state(&address);
                if segment.status == sip_protocol::training::segment::COMMITTED
                    && segment.is_drawn::<HostSha256>(address.as_array(), &seat, rate)
                {
                    self.attest(auditor, trainer);
                }
            }
        }
        self.close_round();
        self.show_all();
    }

    /// Takes a closed round to its evaluation: all auditors vote for one root.
    pub fn to_aggregated(&mut self) {
        let root = named(&format!("base {}", self.round_state().index));
        for auditor in 0..self.auditors.len() {
            let state = self.round_state();
            if state.status == sip_protocol::training::round::CLOSED && state.auditors[auditor].revealed != 0 {
                self.vote(auditor, &root);
            }
        }
    }

    /// Every auditor attests what its second draw selects in the last round.
    pub fn attest_all_again(&mut self) {
        let state = self.round_state();
        for auditor in 0..self.auditors.len() {
            for trainer in 0..self.trainers.len() {
                if state.auditors[auditor].drawn_again & bit(self.trainers[trainer].seat.place) != 0 {
                    self.attest_second(auditor, trainer);
                }
            }
        }
    }

    /// Takes an aggregated round to its settlement: every evaluator commits and reveals its scores.
    pub fn to_scored(&mut self, scores: &[[u32; MAX_DOMAINS]]) {
        for (evaluator, scores) in scores.iter().enumerate() {
            self.commit_score(evaluator, scores);
        }
        if scores.len() < self.evaluators.len() {
            self.world.advance(self.job_state().spec.evaluation_slots as u64);
        }
        for (evaluator, scores) in scores.iter().enumerate() {
            self.reveal_score(evaluator, scores);
        }
        self.tally();
    }

    /// One whole round in which all evaluators find the same scores, up to the first that the round does not await.
    pub fn whole_round(&mut self, scores: &[u32; MAX_DOMAINS]) {
        self.to_committed();
        self.to_closed();
        self.to_aggregated();
        let awaited = self.evaluators.iter().take_while(|it| self.is_awaited(PoolKind::Evaluator, it)).count();
        self.to_scored(&vec![*scores; awaited]);
    }

    /// Settles the last closed round's seed, if it waits.
    pub fn capture_seed(&mut self) {
        if self.job_state().chain.is_seed_pending == 0 {
            return;
        }
        let round = self.round();
        let due = self.round_state().seed_slots[1] + 1;
        self.advance_to(due);
        let instruction = self.world.program.capture_seed(&self.job, &round);
        self.crank(instruction);
    }

    /// Lets slots pass until this one, if it has not come yet.
    pub fn advance_to(&mut self, slot: u64) {
        self.world.advance(slot.saturating_sub(self.world.ledger.slot()));
    }

    /// Makes the oldest round with a result final, once nobody can challenge it any more.
    pub fn finalise_oldest(&mut self) {
        let round = self.world.program.round(&self.job, self.job_state().chain.open[0]);
        let deadline = self.world.state::<Round>(&round).final_slot();
        self.advance_to(deadline);
        let instruction = self.world.program.finalize_round(&self.job, &round);
        self.crank(instruction);
    }

    /// Makes all rounds with a result final.
    pub fn finalise_all(&mut self) {
        while self.job_state().chain.open_count > 0 {
            self.finalise_oldest();
        }
    }

    /// Makes the rounds final and settles everyone of the last one.
    pub fn settle_all(&mut self) {
        self.finalise_all();
        let round = self.round();
        self.settle_round(&round);
    }

    /// Settles everyone of a round that is final or void.
    pub fn settle_round(&mut self, round: &Address) {
        let (program, job, round) = (self.world.program, self.job, *round);
        let state: Round = self.world.state(&round);
        let mut instructions = Vec::new();
        for trainer in &self.trainers {
            if state.committed & (1 << trainer.seat.place) != 0 {
                instructions.push(program.settle_segment(&job, &round, &trainer.seat.pool));
            } else if state.trainers[usize::from(trainer.seat.place)] == trainer.seat.pool.to_bytes() {
                instructions.push(program.settle_absent(&job, &round, &trainer.seat.pool, trainer.seat.place));
            }
        }
        for auditor in &self.auditors {
            if state.auditors[usize::from(auditor.seat.place)].pool != auditor.seat.pool.to_bytes() {
                continue;
            }
            instructions.push(program.settle_audit(&job, &round, &auditor.seat.pool, auditor.seat.place));
        }
        for evaluator in &self.evaluators {
            if state.evaluators[usize::from(evaluator.seat.place)].pool != evaluator.seat.pool.to_bytes() {
                continue;
            }
            instructions.push(program.settle_evaluation(&job, &round, &evaluator.seat.pool, evaluator.seat.place));
        }
        for domain in 0..state.domain_count {
            let (dataset, provider) = (self.datasets[domain as usize], &self.providers[domain as usize]);
            instructions.push(program.settle_data(&job, &round, domain, &dataset, &provider.seat.pool));
            instructions.push(program.settle_patrons(&job, &round, domain));
        }
        for instruction in instructions {
            self.crank(instruction);
        }
    }

    /// The instructions that close a round and what was committed in it, in order.
    pub fn reclaim_instructions(&self, round: &Address) -> Vec<Instruction> {
        let (program, job) = (self.world.program, self.job);
        let mut instructions = Vec::new();
        let trainers = self.trainers.iter().map(|it| (program.segment(round, &it.seat.pool), it.seat.operator));
        let evaluators = self.evaluators.iter().map(|it| (program.run(round, &it.seat.pool), it.seat.operator));
        for (claim, operator) in trainers.chain(evaluators) {
            if self.world.ledger.account(&claim).is_some() {
                instructions.push(program.reclaim_claim(&job, round, &claim, &operator));
            }
        }
        instructions.push(program.reclaim_round(&job, round, &self.world.authority.pubkey()));
        instructions
    }
}
