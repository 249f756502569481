//! Disputes on other claims than segments and scoring runs: an auditor's vote for the next base, its attestation, a creator's genesis state. How they open,
//! and what their verdicts do.

use sip_arith::int;
use sip_proof::{AGGREGATE_COUNTS, GraphRoots, Sha256, merkle};

use crate::court::dispute::{Dispute, Payout};
use crate::court::game::require;
use crate::court::{CaseKind, MAX_BASES, Outcome};
use crate::instructions::OpenVoteDispute;
use crate::{
    Address, Error, Result,
    admin::{
        config::Config,
        penalties::{Convicted, Convictor},
    },
    court::accusation::Revealed,
    ground::offence::{Offence, Penalties},
    stake::pool::{Pool, PoolKind, SlashOutcome},
    training::{
        attestation,
        audit::recount,
        job::{Job, bit},
        round::{self, Round},
        segment::{self, Segment, slots_since},
    },
};

/// Who accuses, and by which rules.
pub struct Accuser<'a> {
    /// The wallet that accuses.
    pub wallet: &'a Address,
    /// Its accusation, opened.
    pub accusation: Revealed,
    /// The present slot.
    pub slot: u64,
}

/// What an accusation of an auditor's vote is made from.
pub struct VoteCase<'a> {
    /// Who accuses.
    pub accuser: Accuser<'a>,
    /// The job.
    pub job: &'a Job,
    /// The round's address.
    pub round_address: &'a Address,
    /// The address of the auditor's pool.
    pub pool_address: &'a Address,
    /// The auditor's place, and the graph that averages so many states as segments were accepted.
    pub args: &'a OpenVoteDispute,
}

/// What an accusation of an attestation is made from.
pub struct AttestationCase<'a> {
    /// Who accuses.
    pub accuser: Accuser<'a>,
    /// The job.
    pub job: &'a Job,
    /// The round.
    pub round: &'a Round,
    /// The segment that was attested.
    pub segment: &'a Segment,
    /// The segment's address.
    pub segment_address: &'a Address,
    /// The address of the auditor's pool.
    pub pool_address: &'a Address,
    /// The auditor's place.
    pub place: u8,
}

/// Everything that a verdict over an auditor changes.
pub struct AuditorVerdict<'a> {
    /// Insurance and burned supply.
    pub config: &'a mut Config,
    /// Loses a convicted auditor.
    pub job: &'a mut Job,
    /// The round of the claim.
    pub round: &'a mut Round,
    /// Is slashed, or gets what is not burned of the challenger's bond.
    pub pool: &'a mut Pool,
    /// The present slot.
    pub slot: u64,
}

impl Dispute {
    pub(super) fn begin(&mut self, accuser: &Accuser<'_>, case: CaseKind, defendant: &Address) -> Result<()> {
        require(defendant != accuser.wallet, Error::OwnClaim)?;
        self.defendant = *defendant;
        self.challenger = *accuser.wallet;
        self.bond = accuser.accusation.bond;
        self.committed_slot = accuser.accusation.committed_slot;
        self.opened_slot = accuser.slot;
        self.game.ground.case = case as u32;
        Ok(())
    }

    pub(super) fn begin_clocks(&mut self, job: &Job, accuser: &Accuser<'_>) -> Result<()> {
        self.full_clock_slots = job.spec.clock_slots(&job.parameters);
        self.game.open(self.full_clock_slots, accuser.slot)
    }

    /// Opens a dispute on an auditor's vote of a round that is not final, and was accused in time. The bond comes out of the accusation; the accepted segments follow by [`Dispute::set_base`], all of them in order of place.
    pub fn open_vote<H: Sha256>(&mut self, case: &VoteCase<'_>, round: &mut Round, pool: &mut Pool) -> Result<()> {
        let VoteCase { accuser, job, args, .. } = case;
        let place = args.place as u8;
        require(args.place < round.auditor_count as u32, Error::WrongPlace)?;
        round.require_holder(PoolKind::Auditor, place, case.pool_address)?;
        let seat = round.auditors.get(place as usize).ok_or(Error::WrongPlace)?;
        let (vote, disputes) = (seat.vote, seat.vote_disputes.checked_add(1).ok_or(Error::Overflow)?);
        require(round.status != round::FINAL && vote != [0; 32], Error::NoClaim)?;
        self.begin(accuser, CaseKind::Aggregate, &pool.scope)?;

        let count = round.accepted.count_ones();
        let opening = merkle::Opening {
            leaf_count: AGGREGATE_COUNTS,
            index: count.wrapping_sub(1),
            path: bytemuck::bytes_of(&args.path),
        };
        let leaf = GraphRoots::leaf_of_aggregate(&args.nodes_root, &args.outputs_root, args.node_count);
        require(opening.opens::<H>(&job.spec.aggregates_root, &leaf), Error::HashMismatch)?;

        self.subject = *case.round_address;
        self.round = *case.round_address;
        self.job = round.job;
        self.pool = *case.pool_address;
        self.place = place;
        let ground = &mut self.game.ground;
        ground.nodes_root = args.nodes_root;
        ground.outputs_root = args.outputs_root;
        ground.node_count = args.node_count;
        ground.base_entries = job.spec.entries_of_result();
        ground.inner_steps = 1;
        ground.steps_per_leaf = 1;
        ground.end_root = vote;
        ground.state_count = job.spec.entries_of_base();
        if job.spec.is_compressed() {
            // Updates say what to add to the base.
            ground.start_root = round.base_root;
            ground.carried = ground.state_count;
        }
        self.begin_clocks(job, accuser)?;
        round.vote_disputes = round.vote_disputes.checked_add(1).ok_or(Error::Overflow)?;
        if let Some(seat) = round.auditors.get_mut(place as usize) {
            seat.vote_disputes = disputes;
        }
        pool.freeze()
    }

    /// Notes what the next accepted segment handed over: that of the trainer who held this place in the round. It counted at the closing,
    /// whatever was found out about it since; the round is the dispute's.
    pub fn set_base(&mut self, job: &Job, round: &Round, segment: &Segment, place: u8) -> Result<()> {
        require(segment.round == self.round && segment.claim.place == place, Error::WrongSegments)?;
        require(round.accepted & bit(place) != 0 && segment.status != segment::COMMITTED, Error::WrongSegments)?;
        round.require_holder(PoolKind::Trainer, place, &segment.pool)?;
        let ground = &mut self.game.ground;
        let base = ground.bases.get_mut(ground.base_count as usize).ok_or(Error::WrongSegments)?;
        *base = *segment.claim.result_root(&job.spec);
        ground.base_count += 1;
        Ok(())
    }

    /// Opens a dispute on an attestation that was shown, and was accused in time. The bond
    /// comes out of the accusation; the datasets follow by [`Dispute::set_dataset`], all of them.
    pub fn open_attestation<H: Sha256>(&mut self, case: &AttestationCase<'_>, pool: &mut Pool) -> Result<()> {
        let AttestationCase { accuser, job, round, segment, place, .. } = case;
        round.require_holder(PoolKind::Auditor, *place, case.pool_address)?;
        require(segment.shown & bit(*place) != 0, Error::NoClaim)?;
        self.begin(accuser, CaseKind::Attestation, &pool.scope)?;

        let trace_root = segment.attestations.get(*place as usize).ok_or(Error::WrongPlace)?;
        self.subject = *case.segment_address;
        self.round = segment.round;
        self.job = segment.job;
        self.pool = *case.pool_address;
        self.place = *place;
        self.set_segment(job, round, segment)?;
        let leaf_count = self.game.ground.leaf_count();
        self.game.leaf = attestation::leaf::<H>(round, segment, *place, leaf_count);
        self.game.trace_root = *trace_root;
        self.begin_clocks(job, accuser)?;
        pool.freeze()
    }

    /// Opens a dispute on a job's genesis state, as long as its creator's bond is there, or the bounty out of it waits. The bond of
    /// the accuser comes out of its accusation.
    pub fn open_genesis(&mut self, accuser: &Accuser<'_>, job_address: &Address, job: &mut Job) -> Result<()> {
        require(job.genesis_bond > 0 || job.escrow.bounty > 0, Error::NoClaim)?;
        self.begin(accuser, CaseKind::Genesis, &job.creator)?;
        self.subject = *job_address;
        self.job = *job_address;
        let ground = &mut self.game.ground;
        ground.nodes_root = job.spec.init_nodes_root;
        ground.outputs_root = job.spec.init_outputs_root;
        ground.node_count = job.spec.init_node_count;
        ground.state_count = job.spec.entries_of_base();
        ground.inner_steps = 1;
        ground.steps_per_leaf = 1;
        ground.end_root = job.spec.genesis_root;
        self.begin_clocks(job, accuser)?;
        job.genesis_disputes = job.genesis_disputes.checked_add(1).ok_or(Error::Overflow)?;
        Ok(())
    }

    /// Takes the outcome of a decided dispute, once, and the bond at stake in it.
    pub(super) fn decide(&mut self) -> Result<(Outcome, u64)> {
        require(self.resolved == 0, Error::AlreadyResolved)?;
        let outcome = self.game.outcome()?;
        require(outcome != Outcome::Open, Error::DisputeNotOver)?;
        self.resolved = 1;
        Ok((outcome, core::mem::take(&mut self.bond)))
    }

    pub(super) fn convictor<'a>(&'a self, penalties: &'a Penalties) -> Convictor<'a> {
        Convictor { challenger: &self.challenger, committed_slot: self.committed_slot, penalties }
    }

    /// Takes a convicted auditor out of the job's later rounds, and its stake and pay out of this one. What it claimed stays on record:
    /// an accusation of the same claim that was committed earlier may still be opened, and one of another claim; and so does the stake by
    /// which it owes what it missed.
    fn strike(&self, job: &mut Job, round: &mut Round, case: CaseKind, slot: u64) -> Result<()> {
        job.exclude(PoolKind::Auditor, &self.pool);
        let is_first = !round.is_struck(self.place);
        round.struck_auditors |= bit(self.place);
        round.struck_slots = slots_since(round.opened_slot, slot);
        let seat = round.auditors.get_mut(self.place as usize).ok_or(Error::WrongPlace)?;
        // Once it was settled its part is gone, and the others' parts are of the same whole.
        if is_first && seat.settled == 0 {
            round.auditor_stake = int::sub(round.auditor_stake, seat.stake)?;
        }
        if case == CaseKind::Aggregate {
            seat.is_vote_convicted = 1;
        } else {
            seat.convicted_attestations |= bit(self.game.ground.trainer as u8);
        }
        Ok(())
    }

    /// Ends a decided dispute on a vote or an attestation: slashes or acquits the auditor. A convicted vote that made the next
    /// base is taken back: see [`overturn_base`].
    pub fn resolve_auditor(&mut self, parties: &mut AuditorVerdict<'_>) -> Result<Payout> {
        let case = self.game.ground.case()?;
        require(matches!(case, CaseKind::Aggregate | CaseKind::Attestation), Error::WrongCase)?;
        let (outcome, bond) = self.decide()?;
        let AuditorVerdict { config, job, round, pool, slot } = parties;
        job.close_accusation()?;
        if case == CaseKind::Aggregate {
            round.vote_disputes = round.vote_disputes.checked_sub(1).ok_or(Error::Underflow)?;
            let seat = round.auditors.get_mut(self.place as usize).ok_or(Error::WrongPlace)?;
            seat.vote_disputes = seat.vote_disputes.checked_sub(1).ok_or(Error::Underflow)?;
        } else {
            round.attestation_disputes = round.attestation_disputes.checked_sub(1).ok_or(Error::Underflow)?;
        }
        let payout = if outcome == Outcome::Convicted {
            let offence = match case {
                CaseKind::Aggregate => Offence::ConvictedVote,
                _ => Offence::ConvictedAttestation,
            };
            let made_slot = round.opened_slot;
            let seat = round.auditors.get_mut(self.place as usize).ok_or(Error::WrongPlace)?;
            let backing = seat.backing();
            let slice = if case == CaseKind::Aggregate { &mut seat.vote_slice } else { &mut seat.attestation_slice };
            // A claim that was convicted already has no slice any more, and nothing more is taken of it.
            let is_first = *slice != 0;
            let slashed = if is_first {
                pool.convict(&job.parameters.penalties, offence, Convicted { slice, backing, made_slot, slot: *slot })?
            } else {
                SlashOutcome { is_short: true, ..SlashOutcome::default() }
            };
            self.strike(job, round, case, *slot)?;
            pool.claims_convicted = pool.claims_convicted.saturating_add(1);
            if case == CaseKind::Aggregate {
                overturn_base(round, job, pool, &self.game.ground.end_root, slashed.is_short, *slot);
                job.chain.forget_splits();
            }
            // Less stake is left, of which another vote may be more than half.
            recount(round, job, *slot)?;
            let seat = round.auditors.get_mut(self.place as usize).ok_or(Error::WrongPlace)?;
            if let Some(escrow) = seat.escrow_mut(case, self.game.ground.trainer as u8, is_first) {
                escrow.share(config, &self.convictor(&job.parameters.penalties), &slashed)?;
            }
            round.compensate(config, &job.parameters.penalties, slashed.from_bond)?;
            Payout { to_challenger: bond, burned: 0 }
        } else {
            let (burned, kept) = forfeit(config, &job.parameters.penalties, bond)?;
            pool.credit(kept)?;
            Payout { to_challenger: 0, burned }
        };
        pool.unfreeze()?;
        Ok(payout)
    }

    /// Ends a decided dispute on a genesis state: the creator's bond is taken and the job closed, or the bond grows by what
    /// is not burned of the accuser's.
    pub fn resolve_genesis(&mut self, config: &mut Config, job: &mut Job) -> Result<Payout> {
        require(self.game.ground.case()? == CaseKind::Genesis, Error::WrongCase)?;
        let (outcome, bond) = self.decide()?;
        job.genesis_disputes = job.genesis_disputes.checked_sub(1).ok_or(Error::Underflow)?;
        job.close_accusation()?;
        if outcome == Outcome::Convicted {
            // What was convicted once already gives nothing more.
            let is_first = job.closed == 0;
            job.closed = 1;
            let from_bond = job.parameters.penalties.part_of_bond(Offence::FalseGenesis, job.genesis_bond)?;
            let from_bond = if is_first { from_bond } else { 0 };
            job.genesis_bond = int::sub(job.genesis_bond, from_bond)?;
            job.escrow.share(
                config,
                &self.convictor(&job.parameters.penalties),
                &SlashOutcome { from_bond, ..SlashOutcome::default() },
            )?;
            return Ok(Payout { to_challenger: bond, burned: 0 });
        }
        let (burned, kept) = forfeit(config, &job.parameters.penalties, bond)?;
        if job.closed != 0 {
            // Another dispute has closed the job: nothing goes to the convicted one.
            config.insure(kept)?;
        } else {
            job.genesis_bond = int::add(job.genesis_bond, kept)?;
        }
        Ok(Payout { to_challenger: 0, burned })
    }
}

/// A lost accusation's bond: the row's part of it is burned, the rest is the defendant's.
pub(super) fn forfeit(config: &mut Config, penalties: &Penalties, bond: u64) -> Result<(u64, u64)> {
    let burned = penalties.part_of_bond(Offence::LostAccusation, bond)?;
    config.record_burn(burned)?;
    Ok((burned, int::sub(bond, burned)?))
}

/// Takes back a base that was voted and is false: the round is undone, with all that builds on it, and the next one starts from what it
/// was built on; where it came to nothing by itself, as [`Round::undo_work`] says.
pub fn overturn_base(round: &mut Round, job: &mut Job, liar: &mut Pool, root: &[u8; 32], is_short: bool, slot: u64) {
    if round.next_base == *root {
        round.undo_work(job, liar, is_short, slot);
    }
}

const _: () = assert!(MAX_BASES == AGGREGATE_COUNTS as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::config::Parameters, ground::units::TOKEN, money::settlement::Settlement, training::round::AuditorSeat,
    };
    use bytemuck::Zeroable;

    /// Attack: an auditor shows a worthless attestation, lets itself be settled once the round is final, and loses the dispute then, so
    /// that its accomplice's part is of a smaller whole.
    #[test]
    fn attack_an_auditor_convicted_after_its_pay_leaves_the_others_no_more_of_the_whole() {
        let mut config = Config::zeroed();
        config.genesis(&[1; 32], &Parameters::DEFAULT).unwrap();
        let (mut job, mut round) = (Job::zeroed(), Round::zeroed());
        job.parameters = Parameters::DEFAULT;
        (round.status, round.drawn, round.auditor_count) = (round::FINAL, 1_000 * TOKEN, 2);
        round.auditor_stake = 2_000 * TOKEN;
        let seat = AuditorSeat {
            revealed: 1,
            vote: [1; 32],
            stake: 1_000 * TOKEN,
            own_stake: 1_000 * TOKEN,
            ..AuditorSeat::zeroed()
        };
        round.auditors[..2].fill(seat);
        let mut paid = 0;
        for place in 0..2 {
            let mut pool = Pool::zeroed();
            pool.initialise(PoolKind::Auditor, &[place + 1; 32], 0, 0);
            // A dispute on a claim of another round keeps nobody from its pay here.
            pool.freeze().unwrap();
            let mut settlement =
                Settlement { config: &mut config, job: &job, round: &mut round, pool: &mut pool, slot: 0 };
            paid += settlement.audit(place).unwrap().paid;
            if place == 0 {
                Dispute::zeroed().strike(&mut job, &mut round, CaseKind::Attestation, 0).unwrap();
            }
        }
        let role = int::bps(round.drawn, config.parameters.auditors_bps, int::Rounding::Down).unwrap();
        assert_eq!(paid, role);
        assert_eq!((round.excluded_auditors(&job), round.auditor_stake), (1, 2_000 * TOKEN));
    }
}
