//! What each offence costs: the one table. Every rule that takes something reads its row here.
//!
//! A row is a flat amount, or parts of what is staked; [`Penalties::bounds`] has the hard bounds that no authority can pass. How it is
//! charged, and where it goes, is in [`crate::admin::penalties`].
//!
//! Invariant: bounty ≤ half of what the own bond gave.

use bytemuck::{Pod, Zeroable};
use sip_arith::int::{self, BPS_ONE, Rounding};

use crate::{
    Result,
    ground::layout::layout,
    ground::units::{CAP, TOKEN},
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

layout! {
    /// Parts of an own bond and of what is delegated.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Slash {
        /// Of the own bond.
        pub bond_bps: u16,
        /// Of delegated assets, exits under way and pending stake.
        pub delegated_bps: u16,
    }
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

layout! {
    /// The table, as governance may set it within [`Penalties::check`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Penalties {
        /// [`Offence::LateSegment`], base units.
        pub late_segment: u64,
        /// [`Offence::MissedDraw`], base units at least: see [`crate::training::attendance`].
        pub missed_draw: u64,
        /// [`Offence::MissedAttestation`], base units each.
        pub missed_attestation: u64,
        /// [`Offence::MisattestedSegment`], base units each.
        pub misattested_segment: u64,
        /// [`Offence::AmendedSegment`], base units.
        pub amended_segment: u64,
        /// Most that the challenger of one conviction earns, base units.
        pub bounty_cap: u64,
        /// [`Offence::MissedSegment`], base units at least: see [`crate::training::attendance`].
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

    /// What nobody gets back of the own bond's part of a conviction: what is burned of it.
    pub fn gone(&self, from_bond: u64) -> Result<u64> {
        let back = int::add(self.bounty(from_bond)?, self.compensation(from_bond)?)?;
        Ok(int::sub(from_bond, back)?)
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
