//! What each offence costs, and where it goes: the one table. Every rule that takes something reads its row here.
//!
//! A row is a flat amount, or parts of what is staked; [`Penalties::check`] has the hard bounds that no authority can pass. A flat amount
//! comes out of the own bond and then out of delegated assets, down to zero. Parts are taken of the own bond, and of what is delegated
//! with its exits and pending stake ([`Pool::slash_bps`]).
//!
//! A conviction is shared: to the challenger only out of the own bond, at most half of that and at most the cap, so that who convicts
//! itself through a friend loses money; of the rest a part is burned, and what is left is insured, which pays honest work that the
//! conviction undid. Everything else that is taken is insured whole.
//!
//! Invariants: bounty + burned + insured = taken; bounty ≤ half of what the own bond gave.

use bytemuck::{Pod as Plain, Zeroable};
use sip_arith::int::{self, BPS_ONE, Rounding};

use crate::{
    Error, Result,
    config::{CAP, Config, TOKEN},
    pool::{Pool, SlashOutcome},
};

/// What is punished: a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// A segment committed after its deadline.
    LateSegment,
    /// A segment that was awaited and never committed.
    MissedSegment,
    /// A draw that was not revealed.
    MissedDraw,
    /// No vote for the next base by who revealed its draw.
    MissedVote,
    /// A score that was awaited and never committed, or without which there was none.
    MissedScore,
    /// A drawn segment that was not attested, or whose attestation was not shown.
    MissedAttestation,
    /// A segment that the auditor attested and that was convicted.
    MisattestedSegment,
    /// A segment that its trainer replaced in time.
    AmendedSegment,
    /// A score off the median, or hidden.
    FalseScore,
    /// A segment that lost its dispute.
    ConvictedSegment,
    /// A scoring run that lost its dispute.
    ConvictedRun,
    /// A vote for the next base that lost its dispute.
    ConvictedVote,
    /// An attestation that lost its dispute.
    ConvictedAttestation,
    /// A segment whose end state was demanded in vain.
    UnavailableState,
    /// A dataset whose tokens were demanded in vain.
    UnavailableData,
    /// A genesis state that lost its dispute; the bond is that of the job's creator.
    FalseGenesis,
    /// An accusation that was never opened; the bond is its own.
    ExpiredAccusation,
    /// An accusation that lost. Its bond is lost whole: this part of it is burned, the rest is the defendant's.
    LostAccusation,
}

/// Parts of an own bond and of what is delegated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Plain, Zeroable)]
#[repr(C)]
pub struct Slash {
    /// Of the own bond.
    pub bond_bps: u16,
    /// Of delegated assets, exits under way and pending stake.
    pub delegated_bps: u16,
}

/// A row: a flat amount, or parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Penalty {
    /// Base units; 0 in a row of parts.
    pub flat: u64,
    /// Part of the own bond, or of the bond at stake.
    pub bond_bps: u16,
    /// Part of what is delegated.
    pub delegated_bps: u16,
}

/// The table, as governance may set it within [`Penalties::check`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Plain, Zeroable)]
#[repr(C)]
pub struct Penalties {
    /// [`Offence::LateSegment`], base units.
    pub late_segment: u64,
    /// [`Offence::MissedDraw`], base units at least: see [`crate::attendance`].
    pub missed_draw: u64,
    /// [`Offence::MissedAttestation`], base units each.
    pub missed_attestation: u64,
    /// [`Offence::MisattestedSegment`], base units each.
    pub misattested_segment: u64,
    /// [`Offence::AmendedSegment`], base units.
    pub amended_segment: u64,
    /// Most that the challenger of one conviction earns, base units.
    pub bounty_cap: u64,
    /// [`Offence::MissedSegment`], base units at least: see [`crate::attendance`].
    pub missed_segment: u64,
    /// [`Offence::MissedVote`], base units at least.
    pub missed_vote: u64,
    /// [`Offence::MissedScore`], base units at least.
    pub missed_score: u64,
    /// [`Offence::FalseScore`].
    pub false_score: Slash,
    /// [`Offence::ConvictedSegment`].
    pub convicted_segment: Slash,
    /// [`Offence::ConvictedRun`].
    pub convicted_run: Slash,
    /// [`Offence::ConvictedVote`].
    pub convicted_vote: Slash,
    /// [`Offence::ConvictedAttestation`].
    pub convicted_attestation: Slash,
    /// [`Offence::UnavailableState`].
    pub unavailable_state: Slash,
    /// [`Offence::UnavailableData`].
    pub unavailable_data: Slash,
    /// [`Offence::FalseGenesis`], of the genesis bond.
    pub false_genesis_bps: u16,
    /// [`Offence::ExpiredAccusation`], of the accusation's bond.
    pub expired_accusation_bps: u16,
    /// [`Offence::LostAccusation`], of the accuser's bond.
    pub lost_accusation_burn_bps: u16,
    /// Part of what a conviction took from the own bond that its challenger earns.
    pub bounty_bps: u16,
    /// Part of the rest of a conviction that is burned; what is left is insured.
    pub burn_bps: u16,
    /// Always 0.
    pub reserved: u16,
}

/// A conviction as the default has it.
const CONVICTION: Slash = Slash { bond_bps: BPS_ONE, delegated_bps: 3_000 };

impl Penalties {
    /// What `initialize` usually gets.
    pub const DEFAULT: Penalties = Penalties {
        late_segment: 10 * TOKEN,
        missed_draw: 10 * TOKEN,
        missed_attestation: 10 * TOKEN,
        misattested_segment: 100 * TOKEN,
        amended_segment: 10 * TOKEN,
        bounty_cap: 2_000 * TOKEN,
        missed_segment: 10 * TOKEN,
        missed_vote: 10 * TOKEN,
        missed_score: 10 * TOKEN,
        false_score: Slash { bond_bps: 1_000, delegated_bps: 1_000 },
        convicted_segment: CONVICTION,
        convicted_run: CONVICTION,
        convicted_vote: CONVICTION,
        convicted_attestation: CONVICTION,
        unavailable_state: CONVICTION,
        unavailable_data: Slash { bond_bps: 1_000, delegated_bps: 1_000 },
        false_genesis_bps: BPS_ONE,
        expired_accusation_bps: 2_500,
        lost_accusation_burn_bps: 5_000,
        bounty_bps: 5_000,
        burn_bps: 1_000,
        reserved: 0,
    };

    /// The row of an offence.
    #[inline(always)]
    pub fn of(&self, offence: Offence) -> Penalty {
        let flat = |flat| Penalty { flat, ..Penalty::default() };
        let parts = |Slash { bond_bps, delegated_bps }| Penalty { flat: 0, bond_bps, delegated_bps };
        let part = |bond_bps| Penalty { bond_bps, ..Penalty::default() };
        match offence {
            Offence::LateSegment => flat(self.late_segment),
            Offence::MissedSegment => flat(self.missed_segment),
            Offence::MissedDraw => flat(self.missed_draw),
            Offence::MissedVote => flat(self.missed_vote),
            Offence::MissedScore => flat(self.missed_score),
            Offence::MissedAttestation => flat(self.missed_attestation),
            Offence::MisattestedSegment => flat(self.misattested_segment),
            Offence::AmendedSegment => flat(self.amended_segment),
            Offence::FalseScore => parts(self.false_score),
            Offence::ConvictedSegment => parts(self.convicted_segment),
            Offence::ConvictedRun => parts(self.convicted_run),
            Offence::ConvictedVote => parts(self.convicted_vote),
            Offence::ConvictedAttestation => parts(self.convicted_attestation),
            Offence::UnavailableState => parts(self.unavailable_state),
            Offence::UnavailableData => parts(self.unavailable_data),
            Offence::FalseGenesis => part(self.false_genesis_bps),
            Offence::ExpiredAccusation => part(self.expired_accusation_bps),
            Offence::LostAccusation => part(self.lost_accusation_burn_bps),
        }
    }

    /// P of a settlement: so many offences of a flat row, base units.
    pub fn charge(&self, offence: Offence, count: u64) -> Result<u64> {
        Ok(int::mul(self.of(offence).flat, count)?)
    }

    /// The part of a bond at stake that an offence costs, rounded up.
    pub fn part_of_bond(&self, offence: Offence, bond: u64) -> Result<u64> {
        Ok(int::bps(bond, self.of(offence).bond_bps, Rounding::Up)?)
    }

    /// What the challenger earns of what a conviction took from the own bond, base units. Delegators' money never pays an accuser,
    /// or an operator would convict itself through a friend.
    pub fn bounty(&self, from_bond: u64) -> Result<u64> {
        Ok(int::bps(from_bond, self.bounty_bps, Rounding::Down)?.min(self.bounty_cap))
    }

    /// What is left of a conviction's part of the own bond, without bounty and burn: most that it compensates others' undone work with.
    pub fn compensation(&self, from_bond: u64) -> Result<u64> {
        let rest = int::sub(from_bond, self.bounty(from_bond)?)?;
        Ok(int::sub(rest, int::bps(rest, self.burn_bps, Rounding::Down)?)?)
    }

    /// Tells each value with its name and its hard bounds, least and most. A flat row is at most the least own bond.
    #[inline(always)]
    pub fn bounds(&self, minimum_self_bond: u64, each: &mut impl FnMut(&'static str, u64, u64, u64)) {
        each("late segment", self.late_segment, 0, minimum_self_bond);
        each("missed segment", self.missed_segment, 0, minimum_self_bond);
        each("missed draw", self.missed_draw, 0, minimum_self_bond);
        each("missed vote", self.missed_vote, 0, minimum_self_bond);
        each("missed score", self.missed_score, 0, minimum_self_bond);
        each("missed attestation", self.missed_attestation, 0, minimum_self_bond);
        each("misattested segment", self.misattested_segment, 0, minimum_self_bond);
        each("amended segment", self.amended_segment, 0, minimum_self_bond);
        let mut slash = |names: [&'static str; 2], row: Slash, bond: [u16; 2], delegated: u16| {
            each(names[0], row.bond_bps as u64, bond[0] as u64, bond[1] as u64);
            each(names[1], row.delegated_bps as u64, 0, delegated as u64);
        };
        // A verdict takes at least half of the own bond, a score off the median never more than a quarter.
        let verdict = [BPS_ONE / 2, BPS_ONE];
        slash(["false score", "false score delegated"], self.false_score, [0, 2_500], 2_500);
        slash(["convicted segment", "convicted segment delegated"], self.convicted_segment, verdict, 5_000);
        slash(["convicted run", "convicted run delegated"], self.convicted_run, verdict, 5_000);
        slash(["convicted vote", "convicted vote delegated"], self.convicted_vote, verdict, 5_000);
        slash(["convicted attestation", "convicted attestation delegated"], self.convicted_attestation, verdict, 5_000);
        slash(["unavailable state", "unavailable state delegated"], self.unavailable_state, verdict, 5_000);
        slash(["unavailable data", "unavailable data delegated"], self.unavailable_data, [100, 5_000], 5_000);
        let mut part = |name, value: u16, least: u16, most: u16| each(name, value as u64, least as u64, most as u64);
        part("false genesis", self.false_genesis_bps, BPS_ONE / 2, BPS_ONE);
        // Enough that accusing everyone beforehand never pays.
        part("expired accusation", self.expired_accusation_bps, 1_000, BPS_ONE / 2);
        // Enough that accusing oneself through a friend never pays.
        part("lost accusation burned", self.lost_accusation_burn_bps, 2_500, BPS_ONE);
        part("bounty", self.bounty_bps, 0, BPS_ONE / 2);
        part("conviction burned", self.burn_bps, 0, BPS_ONE / 2);
        each("bounty cap", self.bounty_cap, 0, CAP / 1_000);
    }
}

/// A claim that is convicted, as its pool sees it.
pub struct Convicted<'a> {
    /// The slice of the own bond behind it.
    pub slice: &'a mut u64,
    /// When it was made.
    pub made_slot: u64,
    /// Present slot.
    pub slot: u64,
}

impl Pool {
    /// Takes what the conviction of one claim costs: of the own bond its own slice only, the others stay with theirs, and of what is
    /// delegated once for all claims that were made before a conviction. Frees the slice. The caller shares what was taken.
    #[inline(always)]
    pub fn convict(&mut self, penalties: &Penalties, offence: Offence, claim: Convicted<'_>) -> Result<SlashOutcome> {
        let Penalty { bond_bps, delegated_bps, .. } = penalties.of(offence);
        let from_bond = int::bps(*claim.slice, bond_bps, Rounding::Up)?.min(self.self_bond);
        let is_repeated = self.convicted_slot != 0 && claim.made_slot <= self.convicted_slot;
        self.release(claim.slice);
        // A conviction that took nothing of them covers no claim that came after the one that did.
        if !is_repeated {
            self.convicted_slot = claim.slot;
        }
        self.slash(from_bond, if is_repeated { 0 } else { delegated_bps }, claim.slot)
    }

    /// Takes what an offence costs of the slice behind one claim and of what is delegated; no conviction. Frees the slice.
    #[inline(always)]
    pub fn fine(&mut self, penalties: &Penalties, offence: Offence, claim: Convicted<'_>) -> Result<SlashOutcome> {
        let Penalty { bond_bps, delegated_bps, .. } = penalties.of(offence);
        let from_bond = int::bps(*claim.slice, bond_bps, Rounding::Up)?.min(self.self_bond);
        self.release(claim.slice);
        self.slash(from_bond, delegated_bps, claim.slot)
    }

    /// Takes from the pool what an offence costs; the caller shares or insures it.
    pub fn punish(&mut self, penalties: &Penalties, offence: Offence, slot: u64) -> Result<SlashOutcome> {
        let Penalty { flat, bond_bps, delegated_bps } = penalties.of(offence);
        if flat > 0 { self.charge(flat, slot) } else { self.slash_bps(bond_bps, delegated_bps, slot) }
    }
}

impl Config {
    /// Takes in what a conviction took, by the table that the claim was made under, and returns the challenger's part of it, which the caller holds or pays. The burned part waits for
    /// [`Config::take_condemned`].
    pub fn share(&mut self, penalties: &Penalties, taken: &SlashOutcome) -> Result<u64> {
        let bounty = penalties.bounty(taken.from_bond)?;
        let rest = int::sub(taken.total()?, bounty)?;
        let burned = int::bps(rest, penalties.burn_bps, Rounding::Down)?;
        self.condemn(burned)?;
        self.insure(int::sub(rest, burned)?)?;
        Ok(bounty)
    }

    /// Takes in what waits to be burned ([`Config::take_condemned`]).
    pub fn condemn(&mut self, amount: u64) -> Result<()> {
        self.condemned = int::add(self.condemned, amount)?;
        Ok(())
    }

    /// Takes in what a flat or partial penalty took: all of it is insured. Returns how much, base units.
    pub fn insure_penalty(&mut self, taken: &SlashOutcome) -> Result<u64> {
        let total = taken.total()?;
        self.insure(total)?;
        Ok(total)
    }

    /// Takes what convictions have left to burn and records it as burned; the caller burns it. It is no fee, so it counts as no demand.
    pub fn take_condemned(&mut self) -> Result<u64> {
        if self.condemned == 0 {
            return Err(Error::NothingToBurn);
        }
        let amount = core::mem::take(&mut self.condemned);
        self.record_burn(amount)?;
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Parameters;
    use crate::pool::PoolKind;
    use proptest::prelude::*;

    /// A pool with 1,000 tokens of its operator's and 2,000 delegated ones (less the seed), 100 of exits and 10 pending.
    fn pool() -> Pool {
        let mut pool = Pool::zeroed();
        pool.initialise(PoolKind::Trainer, &[1; 32], 0, 0);
        pool.self_bond = 1_000 * TOKEN;
        (pool.assets, pool.shares) = (2_000 * TOKEN, 2_000 * TOKEN);
        (pool.unbonding_assets, pool.pending_assets) = (100 * TOKEN, 10 * TOKEN);
        pool
    }

    /// The worked example of every row that a pool pays, as docs/economics.md has it: tokens from the own bond, and from what is delegated.
    #[test]
    fn every_row_takes_what_the_table_says() {
        for (offence, from_bond, from_delegators) in [
            (Offence::LateSegment, 10, 0),
            (Offence::MissedSegment, 10, 0),
            (Offence::MissedDraw, 10, 0),
            (Offence::MissedVote, 10, 0),
            (Offence::MissedScore, 10, 0),
            (Offence::MissedAttestation, 10, 0),
            (Offence::MisattestedSegment, 100, 0),
            (Offence::AmendedSegment, 10, 0),
            (Offence::FalseScore, 100, 211),
            (Offence::ConvictedSegment, 1_000, 633),
            (Offence::ConvictedRun, 1_000, 633),
            (Offence::ConvictedVote, 1_000, 633),
            (Offence::ConvictedAttestation, 1_000, 633),
            (Offence::UnavailableState, 1_000, 633),
            (Offence::UnavailableData, 100, 211),
        ] {
            let mut pool = pool();
            let before = pool.held().unwrap();
            let taken = pool.punish(&Penalties::DEFAULT, offence, 0).unwrap();
            let expected = SlashOutcome { from_bond: from_bond * TOKEN, from_delegators: from_delegators * TOKEN };
            assert_eq!((taken, pool.held().unwrap()), (expected, before - expected.total().unwrap()), "{offence:?}");
        }
        for (offence, bond, lost) in [
            (Offence::FalseGenesis, 1_000, 1_000),
            (Offence::ExpiredAccusation, 100, 25),
            (Offence::LostAccusation, 100, 50),
        ] {
            assert_eq!(Penalties::DEFAULT.part_of_bond(offence, bond * TOKEN), Ok(lost * TOKEN), "{offence:?}");
        }
        assert_eq!(Penalties::DEFAULT.charge(Offence::MissedAttestation, 3), Ok(30 * TOKEN));
    }

    /// Attack: a pool that paid for its first conviction lies again elsewhere, and has an old claim convicted before that lie is, so that
    /// the lie seems as old and its delegators, the operator's own wallets, pay nothing for it.
    #[test]
    fn attack_the_conviction_of_an_old_claim_excuses_no_lie_that_came_after_the_first() {
        let mut pool = pool();
        pool.self_bond = 3_000 * TOKEN;
        let mut delegators_pay = |made_slot, slot| {
            let mut slice = 1_000 * TOKEN;
            let claim = Convicted { slice: &mut slice, made_slot, slot };
            pool.convict(&Penalties::DEFAULT, Offence::ConvictedSegment, claim).unwrap().from_delegators != 0
        };
        assert!(delegators_pay(10, 100));
        // Claims that were open then: nothing more, whenever they are convicted.
        assert!(!delegators_pay(20, 200));
        // Made after the first conviction, before the second: neither paid for it.
        assert!(delegators_pay(150, 300));
    }

    #[test]
    fn a_penalty_beyond_the_own_bond_is_the_delegators_down_to_zero() {
        let mut pool = pool();
        pool.self_bond = 40 * TOKEN;
        let taken = pool.punish(&Penalties::DEFAULT, Offence::MisattestedSegment, 0).unwrap();
        assert_eq!((taken.from_bond, taken.from_delegators), (40 * TOKEN, 60 * TOKEN));
        pool.assets = 7;
        let taken = pool.punish(&Penalties::DEFAULT, Offence::MisattestedSegment, 0).unwrap();
        assert_eq!((taken.from_bond, taken.from_delegators), (0, 7));
    }

    #[test]
    fn a_conviction_is_shared_as_the_worked_example_says() {
        let mut config = Config::zeroed();
        config.parameters = Parameters::DEFAULT;
        let taken = pool().punish(&config.parameters.penalties, Offence::ConvictedSegment, 0).unwrap();
        // 1,633 tokens: half of the own bond to the challenger, a tenth of the rest burned, the others insured.
        assert_eq!(config.share(&Penalties::DEFAULT, &taken), Ok(500 * TOKEN));
        assert_eq!((config.condemned, config.buckets.insurance), (TOKEN * 1_133 / 10, TOKEN * 1_133 / 10 * 9));
        let burned = config.condemned;
        assert_eq!((config.take_condemned(), config.burned, config.condemned), (Ok(burned), burned, 0));
        assert_eq!(config.take_condemned(), Err(Error::NothingToBurn));
        // A rich operator's bond pays no more than the cap.
        let taken = SlashOutcome { from_bond: 1_000_000 * TOKEN, from_delegators: 0 };
        assert_eq!(config.share(&Penalties::DEFAULT, &taken), Ok(2_000 * TOKEN));
    }

    /// Values on, just inside and just outside of every bound.
    #[test]
    fn no_value_passes_its_hard_bounds() {
        let mut rows = std::vec::Vec::new();
        let bond = Parameters::DEFAULT.minimum_self_bond;
        Penalties::DEFAULT.bounds(bond, &mut |name, value, least, most| {
            assert!(least <= value && value <= most, "{name}: the default lies outside");
            rows.push((name, least, most));
        });
        assert_eq!(rows.len(), 28, "one for every value of the table");
        let parameters = |penalties| Parameters { penalties, ..Parameters::DEFAULT };
        let outside = |change: fn(&mut Penalties)| {
            let mut penalties = Penalties::DEFAULT;
            change(&mut penalties);
            parameters(penalties).check()
        };
        for change in [
            (|p: &mut Penalties| p.late_segment = 1_001 * TOKEN) as fn(&mut Penalties),
            |p| p.missed_segment = 1_001 * TOKEN,
            |p| p.missed_draw = 1_001 * TOKEN,
            |p| p.missed_vote = 1_001 * TOKEN,
            |p| p.missed_score = 1_001 * TOKEN,
            |p| p.missed_attestation = 1_001 * TOKEN,
            |p| p.misattested_segment = 1_001 * TOKEN,
            |p| p.amended_segment = 1_001 * TOKEN,
            |p| p.bounty_cap = CAP / 1_000 + 1,
            |p| p.false_score.bond_bps = 2_501,
            |p| p.false_score.delegated_bps = 2_501,
            |p| p.convicted_segment.bond_bps = 4_999,
            |p| p.convicted_segment.delegated_bps = 5_001,
            |p| p.convicted_run.bond_bps = 10_001,
            |p| p.convicted_run.delegated_bps = 5_001,
            |p| p.convicted_vote.bond_bps = 4_999,
            |p| p.convicted_vote.delegated_bps = 5_001,
            |p| p.convicted_attestation.bond_bps = 10_001,
            |p| p.convicted_attestation.delegated_bps = 5_001,
            |p| p.unavailable_state.bond_bps = 4_999,
            |p| p.unavailable_state.delegated_bps = 5_001,
            |p| p.unavailable_data.bond_bps = 99,
            |p| p.unavailable_data.delegated_bps = 5_001,
            |p| p.false_genesis_bps = 4_999,
            |p| p.expired_accusation_bps = 999,
            |p| p.lost_accusation_burn_bps = 2_499,
            |p| p.bounty_bps = 5_001,
            |p| p.burn_bps = 5_001,
            |p| p.reserved = 1,
        ] {
            assert_eq!(outside(change), Err(Error::ParameterOutOfBounds));
        }
    }

    proptest! {
        /// Whatever governance sets: an operator that convicts itself through a friend gets back at most half of its own bond.
        #[test]
        fn convicting_oneself_loses_money(
            bond in 1u64..CAP, delegated in 0u64..CAP / 2, bounty_bps in 0u16..=5_000, burn_bps in 0u16..=5_000,
            bond_bps in 5_000u16..=10_000, delegated_bps in 0u16..=5_000, cap in 0..=CAP / 1_000,
        ) {
            let mut config = Config::zeroed();
            config.parameters = Parameters::DEFAULT;
            let row = Slash { bond_bps, delegated_bps };
            let penalties = Penalties {
                convicted_segment: row, bounty_bps, burn_bps, bounty_cap: cap, ..Penalties::DEFAULT
            };
            config.parameters.penalties = penalties;
            prop_assert_eq!(config.parameters.check(), Ok(()));
            let mut pool = Pool::zeroed();
            pool.initialise(PoolKind::Trainer, &[1; 32], 0, 0);
            pool.self_bond = bond;
            (pool.assets, pool.shares) = (pool.assets + delegated, pool.shares + delegated);
            let taken = pool.punish(&penalties, Offence::ConvictedSegment, 0).unwrap();
            let bounty = config.share(&penalties, &taken).unwrap();
            prop_assert!(bounty <= taken.from_bond / 2 && bounty <= cap);
            prop_assert!(taken.from_bond >= bond / 2);
            prop_assert_eq!(bounty + config.condemned + config.buckets.insurance, taken.total().unwrap());
        }
    }
}
