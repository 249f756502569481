//! The evaluator of a job: it scores every next base, commits what it found, reveals it once nobody can commit any more, and takes its pay.
//!
//! The salt of a commitment follows from the key and the round, and the score from the base: a restart reveals what was committed.

use sip_client::Seat;
use sip_proof::HostSha256;
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::audit::Actor;
use sip_protocol::training::evaluation;
use sip_protocol::training::round;
use solana_address::Address;

use crate::auditor::acted;
use crate::known::Scored;
use crate::node::Step;
use crate::view::Seen;
use crate::{Event, Work};

impl Step<'_> {
    /// What an evaluator owes its rounds.
    pub(crate) fn evaluator(&self) {
        if !self.node.roles.evaluator {
            return;
        }
        for seat in self.view.seats(PoolKind::Evaluator, &self.wallet()) {
            for seen in &self.view.rounds {
                let holds = seen.round.require_holder(PoolKind::Evaluator, seat.place, &seat.pool.to_bytes()).is_ok();
                if holds && self.may_sign(&seat) {
                    self.score(&seat, seen);
                }
                if holds {
                    self.settle_evaluation(&seat, seen);
                }
            }
        }
    }

    /// The salt of the commitment in a round: nobody else knows it, and after a restart we still do.
    fn score_salt(&self, round: &Address, pool: &Address) -> [u8; 32] {
        self.me().derived(b"sip.score.salt.1", &[round.as_array(), pool.as_array()])
    }

    /// The own scoring run of a base, once it is computed.
    fn scored(&self, base: &[u8; 32]) -> Option<&Scored> {
        let scored = self.known.scored.get(base);
        if scored.is_none() && self.knows(base) {
            self.compute(Work::Score { base: *base, cheat: None });
        }
        // Of a base whose run stops there is no score that stands.
        scored.filter(|scored| scored.fault.is_none())
    }

    /// Commits the score of the next base, and reveals it.
    fn score(&self, seat: &Seat, seen: &Seen) {
        let (round, slot) = (&seen.round, self.view.slot);
        if round.status != round::AGGREGATED || round.require_on_chain(&self.view.job).is_err() {
            return;
        }
        let status = round.evaluators[usize::from(seat.place)].status;
        let is_complete = round.awaited_evaluators & !round.committed_scores == 0;
        let commits = status == evaluation::ABSENT && slot < round.score_deadline_slot;
        let reveals = status == evaluation::COMMITTED
            && (is_complete || slot >= round.score_deadline_slot)
            && slot < round.reveal_deadline_slot;
        if !commits && !reveals {
            return;
        }
        let Some(scored) = self.scored(&round.next_base) else { return };
        let (sums, leaves) = (&scored.sums, &scored.accumulator_root);
        let claim = evaluation::claim::<HostSha256>(&self.view.job.spec, sums, leaves, seat.place);
        let salt = self.score_salt(&seen.address, &seat.pool);
        let (pool, address) = (seat.pool.as_array(), seen.address.as_array());
        let commitment = evaluation::commitment::<HostSha256>(&claim, &salt, pool, address);
        let (program, job) = (self.program(), &self.view.address);
        if commits {
            let actor = Actor { place: seat.place, pool, slot };
            let trial = self.view.pools.get(&seat.pool).cloned().map(|mut pool| {
                evaluation::commit_score(&mut round.clone(), &self.view.job, &mut pool, &actor, &commitment)
            });
            if let Some(Err(error)) = trial {
                let (what, reason) = ("commit a score".to_owned(), error.message().to_owned());
                return self.tell(Event::Refused { what, reason });
            }
            let commit = program.commit_score(seat, job, &seen.address, &commitment);
            let event = acted(seen, "score committed", None);
            self.send_by(round.score_deadline_slot, "commit a score", commit, event);
        } else if commitment == round.evaluators[usize::from(seat.place)].commitment {
            let reveal = program.reveal_score(seat, job, &seen.address, (sums, leaves), &salt);
            let event = acted(seen, "score revealed", None);
            self.reveal_by(round.reveal_deadline_slot, "reveal a score", reveal, event);
        } else {
            let what = "reveal a score".to_owned();
            let reason = "it was committed with another salt or another run, by another program of this key".to_owned();
            self.tell(Event::Refused { what, reason });
        }
    }

    /// Takes its pay for a round.
    fn settle_evaluation(&self, seat: &Seat, seen: &Seen) {
        if !seen.is_over() || seen.round.evaluators[usize::from(seat.place)].settled != 0 {
            return;
        }
        if self.would_settle(seen, &seat.pool, |mut trial| trial.evaluation(seat.place).is_ok()) {
            let (job, round) = (&self.view.address, &seen.address);
            let settle = self.program().settle_evaluation(job, round, &seat.pool, seat.place);
            self.send("settle an evaluation", vec![settle], vec![acted(seen, "evaluation settled", None)]);
        }
    }
}
