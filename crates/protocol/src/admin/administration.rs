//! Who may change the rules, and how slowly: everything that governance decides waits long enough for those who disagree to leave.
//!
//! Invariants:
//! - Nothing takes effect earlier than [`Config::timelock_slots`] after it was proposed, and never later than [`LIFETIME_SLOTS`] after
//!   that; a new proposal takes the place of the old one and waits anew. Who asks to leave when it is proposed has left by then.
//! - Parameters are within their hard bounds when proposed and when they take effect.
//! - A pause stops new stake, pools, datasets, jobs, places, rounds, fees and distributions, never exits, claims, rounds that run, disputes
//!   or settlements; it ends by itself, and the next one has to wait.
//! - The authority changes only if the new one agrees.

use bytemuck::{Pod, Zeroable};
use sip_arith::int;

use crate::{
    Address, Error, Result,
    admin::config::{Config, GENESIS_BPS, Parameters},
    ground::layout::layout,
    ground::{
        schedule::{Schedule, vested},
        units::CAP,
    },
};

/// How much longer than every exit a proposal waits: a day.
pub const TIMELOCK_SLOTS: u64 = 216_000;
/// From a proposal to when it can take effect, as long as no unbonding was longer than the default's: three days.
pub const DEFAULT_TIMELOCK_SLOTS: u64 = TIMELOCK_SLOTS + Parameters::DEFAULT.unbonding_slots;
/// How long it can take effect from then on: a week.
pub const LIFETIME_SLOTS: u64 = 1_512_000;
/// Length of a pause: three days.
pub const PAUSE_SLOTS: u64 = 648_000;
/// From the end of a pause until there can be another: a week.
pub const PAUSE_REST_SLOTS: u64 = 1_512_000;

/// What a proposal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ProposalKind {
    /// Replaces all parameters.
    Parameters = 1,
    /// Pays out of the treasury.
    Treasury = 2,
    /// Pays out of the reserve.
    Reserve = 3,
    /// Pays out of the insurance.
    Insurance = 4,
    /// Replaces the schedule of emission.
    Schedule = 5,
}

impl ProposalKind {
    /// The kind of a byte.
    pub const fn from_byte(byte: u8) -> Option<ProposalKind> {
        Some(match byte {
            1 => ProposalKind::Parameters,
            2 => ProposalKind::Treasury,
            3 => ProposalKind::Reserve,
            4 => ProposalKind::Insurance,
            5 => ProposalKind::Schedule,
            _ => return None,
        })
    }
}

layout! {
    /// A change that waits; all zero if there is none.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Proposal {
        /// Slot from which it can take effect.
        pub ready_slot: u64,
        /// Base units to pay; 0 if it pays nothing.
        pub amount: u64,
        /// The token account that is paid; zero if it pays nothing.
        pub destination: Address,
        /// New parameters; all zero if it changes none.
        pub parameters: Parameters,
        /// A [`ProposalKind`]; 0 if there is no proposal.
        pub kind: u8,
        /// Always 0.
        pub reserved: [u8; 7],
        /// A new schedule of emission; all zero if it changes none.
        pub schedule: Schedule,
    }
}

layout! {
    /// The part of the configuration that this module keeps.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Administration {
        /// Who may become the authority; zero if nobody is nominated.
        pub nominated: Address,
        /// The change that waits.
        pub proposal: Proposal,
        /// Slot at which the pause ends; paused while the present slot is below it.
        pub paused_until: u64,
        /// Slot from which there can be a pause.
        pub pause_from: u64,
        /// Slot of the genesis.
        pub genesis_slot: u64,
        /// Base units of the team's part that were paid out.
        pub team_paid: u64,
    }
}

impl Config {
    /// Checks that a wallet is the authority.
    pub fn require_authority(&self, wallet: &Address) -> Result<()> {
        if self.authority == *wallet { Ok(()) } else { Err(Error::NotAuthority) }
    }

    /// Checks that the protocol is not paused.
    pub fn require_running(&self, slot: u64) -> Result<()> {
        if slot < self.administration.paused_until { Err(Error::Paused) } else { Ok(()) }
    }

    /// Proposes new parameters.
    pub fn propose_parameters(&mut self, parameters: &Parameters, slot: u64) -> Result<()> {
        parameters.check()?;
        let kind = ProposalKind::Parameters as u8;
        self.propose(Proposal { kind, parameters: *parameters, ..Proposal::default() }, slot)
    }

    /// Proposes another schedule of emission.
    pub fn propose_schedule(&mut self, schedule: &Schedule, slot: u64) -> Result<()> {
        schedule.check()?;
        let kind = ProposalKind::Schedule as u8;
        self.propose(Proposal { kind, schedule: *schedule, ..Proposal::default() }, slot)
    }

    /// Proposes to pay out of the treasury, the reserve or the insurance.
    pub fn propose_spending(&mut self, kind: u8, amount: u64, destination: &Address, slot: u64) -> Result<()> {
        if amount == 0 {
            return Err(Error::ZeroAmount);
        }
        match ProposalKind::from_byte(kind) {
            Some(ProposalKind::Parameters | ProposalKind::Schedule) | None => return Err(Error::WrongProposal),
            Some(_) => {}
        }
        self.propose(Proposal { kind, amount, destination: *destination, ..Proposal::default() }, slot)
    }

    /// From a proposal to when it can take effect: a day longer than the longest unbonding that ever was in force, or that is proposed.
    /// Jobs keep exits waiting no longer: their claims' exposure was below an unbonding that was in force.
    pub fn timelock_slots(&self, proposed: &Parameters) -> u64 {
        let unbonding = self.longest_unbonding_slots.max(self.parameters.unbonding_slots);
        TIMELOCK_SLOTS + unbonding.max(proposed.unbonding_slots)
    }

    fn propose(&mut self, proposal: Proposal, slot: u64) -> Result<()> {
        let ready_slot = int::add(slot, self.timelock_slots(&proposal.parameters))?;
        self.administration.proposal = Proposal { ready_slot, ..proposal };
        Ok(())
    }

    /// Withdraws the proposal.
    pub fn cancel_proposal(&mut self) -> Result<()> {
        if self.administration.proposal.kind == 0 {
            return Err(Error::NoProposal);
        }
        self.administration.proposal = Proposal::default();
        Ok(())
    }

    /// Takes the proposal if it is ready, and returns it.
    pub(crate) fn take_proposal(&mut self, slot: u64) -> Result<Proposal> {
        let proposal = self.administration.proposal;
        if proposal.kind == 0 {
            return Err(Error::NoProposal);
        }
        if slot < proposal.ready_slot {
            return Err(Error::ProposalNotReady);
        }
        if slot - proposal.ready_slot > LIFETIME_SLOTS {
            return Err(Error::ProposalExpired);
        }
        self.administration.proposal = Proposal::default();
        Ok(proposal)
    }

    /// Puts proposed parameters into effect.
    pub fn apply_parameters(&mut self, slot: u64) -> Result<()> {
        let proposal = self.take_proposal(slot)?;
        if proposal.kind != ProposalKind::Parameters as u8 {
            return Err(Error::WrongProposal);
        }
        proposal.parameters.check()?;
        self.longest_unbonding_slots = self.longest_unbonding_slots.max(self.parameters.unbonding_slots);
        self.parameters = proposal.parameters;
        Ok(())
    }

    /// Takes a proposed spending out of its bucket; the caller pays it to this destination, which must be the proposed one.
    pub fn apply_spending(&mut self, destination: &Address, slot: u64) -> Result<u64> {
        let proposal = self.take_proposal(slot)?;
        let bucket = match ProposalKind::from_byte(proposal.kind) {
            Some(ProposalKind::Treasury) => &mut self.buckets.treasury,
            Some(ProposalKind::Reserve) => &mut self.buckets.reserve,
            Some(ProposalKind::Insurance) => &mut self.buckets.insurance,
            Some(ProposalKind::Parameters | ProposalKind::Schedule) | None => return Err(Error::WrongProposal),
        };
        if proposal.destination != *destination {
            return Err(Error::WrongTokenAccount);
        }
        *bucket = bucket.checked_sub(proposal.amount).ok_or(Error::BucketEmpty)?;
        Ok(proposal.amount)
    }

    /// Nominates the next authority, or nobody (zero).
    pub fn nominate(&mut self, wallet: &Address) {
        self.administration.nominated = *wallet;
    }

    /// The nominated wallet becomes the authority. What its predecessor proposed is withdrawn.
    pub fn accept_authority(&mut self, wallet: &Address) -> Result<()> {
        if self.administration.nominated != *wallet || *wallet == [0; 32] {
            return Err(Error::NotNominated);
        }
        self.authority = *wallet;
        self.administration.nominated = [0; 32];
        self.administration.proposal = Proposal::default();
        Ok(())
    }

    /// Starts a pause.
    pub fn pause(&mut self, slot: u64) -> Result<()> {
        if slot < self.administration.pause_from {
            return Err(Error::PauseTooSoon);
        }
        let end = int::add(slot, PAUSE_SLOTS)?;
        self.administration.pause_from = int::add(end, PAUSE_REST_SLOTS)?;
        self.administration.paused_until = end;
        Ok(())
    }

    /// Ends a pause before its time; the rest before the next one is not shortened.
    pub fn unpause(&mut self, slot: u64) -> Result<()> {
        if slot >= self.administration.paused_until {
            return Err(Error::NotPaused);
        }
        self.administration.paused_until = slot;
        Ok(())
    }

    /// Takes what has vested of the team's part and was not paid yet.
    pub fn take_vested(&mut self, slot: u64) -> Result<u64> {
        let total = int::bps(CAP, GENESIS_BPS[3], int::Rounding::Down)?;
        let amount = int::sub(
            vested(total, slot.saturating_sub(self.administration.genesis_slot))?,
            self.administration.team_paid,
        )?;
        if amount == 0 {
            return Err(Error::NothingToClaim);
        }
        self.buckets.team = self.buckets.team.checked_sub(amount).ok_or(Error::BucketEmpty)?;
        self.administration.team_paid = int::add(self.administration.team_paid, amount)?;
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::units::TOKEN;
    use proptest::prelude::*;

    fn config() -> Config {
        let mut config = Config::zeroed();
        config.genesis(&[1; 32], &Parameters::DEFAULT).unwrap();
        config
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_proposal_takes_effect_in_its_time_only(proposed in 0u64..1 << 40, slot in 0u64..1 << 41) {
            let mut config = config();
            let changed = Parameters { round_reward: TOKEN, ..Parameters::DEFAULT };
            config.propose_parameters(&changed, proposed).unwrap();
            let ready = proposed + DEFAULT_TIMELOCK_SLOTS;
            let result = config.apply_parameters(slot);
            let expected = if slot < ready {
                Err(Error::ProposalNotReady)
            } else if slot > ready + LIFETIME_SLOTS {
                Err(Error::ProposalExpired)
            } else {
                Ok(())
            };
            prop_assert_eq!(result, expected);
            prop_assert_eq!(config.parameters == changed, expected.is_ok());
        }

        #[test]
        fn pauses_leave_most_of_the_time_free(tries in prop::collection::vec(0u64..400_000, 1..200)) {
            let mut config = config();
            let (mut slot, mut paused) = (0, 0);
            for step in tries {
                paused += config.administration.paused_until.saturating_sub(slot).min(step);
                slot += step;
                let _ = config.pause(slot);
            }
            prop_assert!(paused <= PAUSE_SLOTS + slot * PAUSE_SLOTS / (PAUSE_SLOTS + PAUSE_REST_SLOTS));
        }

        #[test]
        fn the_team_is_paid_what_vested_and_no_more(steps in prop::collection::vec(0u64..40_000_000, 1..40)) {
            let mut config = config();
            let (mut slot, mut paid) = (0, 0);
            for step in steps {
                slot += step;
                paid += config.take_vested(slot).unwrap_or(0);
                prop_assert_eq!(paid, vested(CAP / 100 * 15, slot).unwrap());
                prop_assert_eq!(config.buckets.team + paid, CAP / 100 * 15);
            }
        }
    }

    #[test]
    fn a_new_proposal_waits_anew_and_a_new_authority_starts_without_one() {
        let mut config = config();
        assert_eq!(config.propose_spending(ProposalKind::Parameters as u8, 1, &[3; 32], 0), Err(Error::WrongProposal));
        assert_eq!(config.propose_spending(9, 1, &[3; 32], 0), Err(Error::WrongProposal));
        config.propose_spending(ProposalKind::Treasury as u8, 5, &[3; 32], 0).unwrap();
        config.propose_spending(ProposalKind::Treasury as u8, 7, &[3; 32], 100).unwrap();
        let mut attempt = config;
        assert_eq!(attempt.apply_spending(&[3; 32], DEFAULT_TIMELOCK_SLOTS + 99), Err(Error::ProposalNotReady));
        let mut attempt = config;
        assert_eq!(attempt.apply_spending(&[4; 32], DEFAULT_TIMELOCK_SLOTS + 100), Err(Error::WrongTokenAccount));
        let mut attempt = config;
        assert_eq!(attempt.apply_parameters(DEFAULT_TIMELOCK_SLOTS + 100), Err(Error::WrongProposal));
        let mut handed = config;
        handed.nominate(&[9; 32]);
        assert_eq!(handed.accept_authority(&[8; 32]), Err(Error::NotNominated));
        handed.accept_authority(&[9; 32]).unwrap();
        assert_eq!(handed.authority, [9; 32]);
        assert_eq!(handed.apply_spending(&[3; 32], DEFAULT_TIMELOCK_SLOTS + 100), Err(Error::NoProposal));
        assert_eq!(handed.accept_authority(&[0; 32]), Err(Error::NotNominated));
        assert_eq!(config.apply_spending(&[3; 32], DEFAULT_TIMELOCK_SLOTS + 100), Ok(7));
        assert_eq!(config.buckets.treasury, CAP / 10 - 7);
        assert_eq!(config.apply_spending(&[3; 32], DEFAULT_TIMELOCK_SLOTS + 100), Err(Error::NoProposal));
    }
}
