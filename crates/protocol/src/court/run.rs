//! Disputes on scoring runs: how they open, and what their verdicts do.

use crate::court::claims::{Accuser, forfeit};
use crate::court::dispute::{Dispute, Payout};
use crate::court::game::require;
use crate::court::{CaseKind, Outcome};
use crate::{
    Address, Error, Result,
    admin::config::Config,
    stake::pool::{Pool, PoolKind},
    training::{evaluation::ScoringRun, finality::Undoing, job::Job, round::Round},
};

/// What an accusation of a scoring run is made from.
pub struct RunCase<'a> {
    /// Who accuses.
    pub accuser: Accuser<'a>,
    /// The job.
    pub job: &'a Job,
    /// The address of the run.
    pub run_address: &'a Address,
}

/// Everything that a verdict over a scoring run changes. The caller has checked that the accounts belong together.
pub struct RunVerdict<'a> {
    /// Insurance and burned supply.
    pub config: &'a mut Config,
    /// Keeps a convicted evaluator out of its later rounds, and goes back to what it had measured, if the round is undone.
    pub job: &'a mut Job,
    /// Is undone if the run scored it, and has one dispute less.
    pub round: &'a mut Round,
    /// Is convicted, or has one dispute less.
    pub run: &'a mut ScoringRun,
    /// Is slashed, or gets what is not burned of the challenger's bond.
    pub pool: &'a mut Pool,
    /// The present slot.
    pub slot: u64,
}

impl Dispute {
    /// Opens a dispute on a scoring run that was accused in time. The bond comes out of the accusation; the caller counts the dispute in
    /// the round ([`Round::open_run_dispute`]); the datasets follow by [`Dispute::set_dataset`], all of them.
    pub fn open_run(
        &mut self,
        case: &RunCase<'_>,
        round: &mut Round,
        run: &mut ScoringRun,
        pool: &mut Pool,
    ) -> Result<()> {
        let RunCase { accuser, job, .. } = case;
        round.require_holder(PoolKind::Evaluator, run.claim.place, &run.pool)?;
        round.require_disputable()?;
        self.begin(accuser, CaseKind::Score, &run.operator)?;
        run.open_dispute(pool)?;
        self.subject = *case.run_address;
        self.round = run.round;
        self.job = run.job;
        self.pool = run.pool;
        self.set_run(job, round, run)?;
        self.begin_clocks(job, accuser)?;
        round.open_run_dispute()
    }

    /// Notes a scoring run as what the case is about: its graph over held-out windows, and as its base the one that is scored.
    fn set_run(&mut self, job: &Job, round: &Round, run: &ScoringRun) -> Result<()> {
        let (spec, ground) = (&job.spec, &mut self.game.ground);
        ground.nodes_root = spec.score_nodes_root;
        ground.outputs_root = spec.score_outputs_root;
        ground.tables_root = spec.tables_root;
        ground.node_count = spec.score_node_count;
        ground.state_count = 1;
        ground.carried = 1;
        ground.table_count = spec.table_count;
        ground.base_entries = spec.entries_of_base();
        ground.base_count = 1;
        *ground.bases.first_mut().ok_or(Error::WrongCase)? = round.next_base;
        ground.inner_steps = spec.score_steps();
        ground.steps_per_leaf = spec.score_leaf_interval;
        ground.batch_rows = spec.score_rows;
        ground.row_tokens = spec.sequence_length.checked_add(1).ok_or(Error::WrongJobShape)?;
        ground.windows = spec.score_windows;
        ground.round_seed = round.seed;
        ground.mixture_bps = round.mixture_bps;
        ground.settings = round.settings;
        ground.start_root = run.claim.start_root;
        ground.end_root = run.claim.end_root;
        ground.accumulator_root = run.claim.accumulator_root;
        ground.trainer = run.claim.place as u32;
        Ok(())
    }

    /// Ends a decided dispute on a scoring run: slashes or acquits the evaluator. The money goes as with [`Dispute::resolve`]; if the
    /// round was scored by the run, it is undone. A convicted evaluator's seat is awaited no more.
    pub fn resolve_run(&mut self, parties: &mut RunVerdict<'_>) -> Result<Payout> {
        require(self.game.ground.case()? == CaseKind::Score, Error::WrongCase)?;
        let (outcome, bond) = self.decide()?;
        let RunVerdict { config, job, round, run, pool, slot } = parties;
        job.close_accusation()?;
        round.close_run_dispute()?;
        let payout = if outcome == Outcome::Convicted {
            let (slashed, is_scored_by_it) = run.convict(round, pool, &job.parameters, *slot)?;
            run.escrow.share(config, &self.convictor(&job.parameters.penalties), &slashed)?;
            job.exclude(PoolKind::Evaluator, &run.pool);
            if is_scored_by_it {
                round.undo(job, Undoing::Scores, *slot);
            }
            round.compensate(config, &job.parameters.penalties, slashed.from_bond)?;
            Payout { to_challenger: bond, burned: 0 }
        } else {
            let (burned, kept) = forfeit(config, &job.parameters.penalties, bond)?;
            pool.credit(kept)?;
            Payout { to_challenger: 0, burned }
        };
        run.close_dispute(pool)?;
        Ok(payout)
    }
}
