//! How an offence is charged by the table ([`crate::ground::offence`]), and where it goes.
//!
//! A flat amount comes out of the own bond and then out of delegated assets, down to zero. Parts are taken of the own bond, and of what is
//! delegated with its exits and pending stake ([`Pool::slash_bps`]).
//!
//! A conviction is shared: to the challenger only out of the own bond, at most half of that and at most the cap, so that who convicts
//! itself through a friend loses money; of the rest a part is burned, and what is left is insured, of which the round's compensation
//! is taken at once. Everything else that is taken is insured whole.
//!
//! Invariants: bounty + burned + insured = taken; bounty ≤ half of what the own bond gave.

use sip_arith::int::{self, Rounding};

use crate::{
    Address, Error, Result,
    admin::config::Config,
    ground::{
        escrow::Escrow,
        offence::{Offence, Penalties, Penalty},
    },
    stake::pool::{Backing, Pool, SlashOutcome},
};

/// Whose accusation convicted.
pub struct Convictor<'a> {
    /// The wallet.
    pub challenger: &'a Address,
    /// When its accusation was committed.
    pub committed_slot: u64,
    /// The job's table of penalties.
    pub penalties: &'a Penalties,
}

/// A claim that is convicted, as its pool sees it.
pub struct Convicted<'a> {
    /// The slice of the own bond behind it.
    pub slice: &'a mut u64,
    /// How that stands behind it.
    pub backing: Backing,
    /// When it was made.
    pub made_slot: u64,
    /// Present slot.
    pub slot: u64,
}

impl Pool {
    /// Takes what the conviction of one claim costs: of the own bond its own slice only, the others stay with theirs, and of what is
    /// delegated once for all claims that were made before a conviction. Frees the slice. The caller shares what was taken.
    #[inline(always)]
    pub fn convict(
        &mut self,
        penalties: &Penalties,
        offence: Offence,
        mut claim: Convicted<'_>,
    ) -> Result<SlashOutcome> {
        let Penalty { bond_bps, delegated_bps, .. } = penalties.of(offence);
        let (from_bond, is_short) = self.part_of_slice(bond_bps, &mut claim)?;
        let is_repeated = self.convicted_slot != 0 && claim.made_slot <= self.convicted_slot;
        // A conviction that took nothing of them covers no claim that came after the one that did.
        if !is_repeated {
            self.convicted_slot = claim.slot;
        }
        let taken = self.slash(from_bond, if is_repeated { 0 } else { delegated_bps }, claim.slot)?;
        Ok(SlashOutcome { is_short, ..taken })
    }

    /// Takes what an offence costs of the slice behind one claim and of what is delegated; no conviction. Frees the slice.
    #[inline(always)]
    pub fn fine(&mut self, penalties: &Penalties, offence: Offence, mut claim: Convicted<'_>) -> Result<SlashOutcome> {
        let Penalty { bond_bps, delegated_bps, .. } = penalties.of(offence);
        let (from_bond, _) = self.part_of_slice(bond_bps, &mut claim)?;
        self.slash(from_bond, delegated_bps, claim.slot)
    }

    /// Frees the slice of a claim, and says how much of it a row of the table takes at once, and whether less than its part was there: see [`Pool::charge_slice`].
    #[inline(always)]
    fn part_of_slice(&mut self, bond_bps: u16, claim: &mut Convicted<'_>) -> Result<(u64, bool)> {
        let part = int::bps(*claim.slice, bond_bps, Rounding::Up)?;
        self.release(claim.slice, claim.backing);
        Ok(self.charge_slice(part, claim.backing.is_thawed))
    }

    /// Takes from the pool what an offence costs; the caller shares or insures it.
    pub fn punish(&mut self, penalties: &Penalties, offence: Offence, slot: u64) -> Result<SlashOutcome> {
        let Penalty { flat, bond_bps, delegated_bps } = penalties.of(offence);
        if flat > 0 { self.charge(flat, slot) } else { self.slash_bps(bond_bps, delegated_bps, slot) }
    }
}

impl Escrow {
    /// Shares out what a conviction took ([`Config::share`]): the bounty out of the own bond waits here.
    pub fn share(&mut self, config: &mut Config, accuser: &Convictor<'_>, slashed: &SlashOutcome) -> Result<()> {
        let bounty = config.share(accuser.penalties, slashed)?;
        self.award(accuser.challenger, accuser.committed_slot, bounty)
    }

    /// Shares out what a conviction by silence took: what would be a bounty waits here, nobody's.
    pub fn share_silence(
        &mut self,
        config: &mut Config,
        penalties: &Penalties,
        slashed: &SlashOutcome,
        slot: u64,
    ) -> Result<()> {
        let bounty = config.share(penalties, slashed)?;
        self.bounty = int::add(self.bounty, bounty)?;
        if self.is_nobodys() {
            self.slot = slot;
        }
        Ok(())
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

    /// Insures what a pool owes for earlier convictions, as far as no claim stands before it any more.
    pub(crate) fn collect(&mut self, pool: &mut Pool, slot: u64) -> Result<()> {
        let taken = pool.collect(slot)?;
        self.insure_penalty(&taken)?;
        Ok(())
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

/// The fee of a demand while no other is open, of an accusation's bond. Each that is open raises the next one's by as much.
pub const FEE_BPS: u16 = 100;
/// So many times the fee of a demand while no other is open, the one who asked for a withheld state in vain gets out of the slash.
pub const VAIN_FEES: u64 = 5;

/// Most that the one who asked for a withheld state in vain gets out of the slash, base units.
pub fn most_for_vain_demand(dispute_bond: u64) -> Result<u64> {
    Ok(int::mul(int::bps(dispute_bond, FEE_BPS, Rounding::Up)?, VAIN_FEES)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::config::Parameters;
    use crate::ground::offence::Slash;
    use crate::ground::units::{CAP, TOKEN};
    use crate::stake::pool::PoolKind;
    use bytemuck::Zeroable;
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
            let expected = SlashOutcome {
                from_bond: from_bond * TOKEN,
                from_delegators: from_delegators * TOKEN,
                is_short: false,
            };
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
            let claim = Convicted { slice: &mut slice, backing: Backing::default(), made_slot, slot };
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
        let taken = SlashOutcome { from_bond: 1_000_000 * TOKEN, ..SlashOutcome::default() };
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
