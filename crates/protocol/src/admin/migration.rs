//! Accounts of an older layout, brought to the present one.
//!
//! Layouts grow at their ends and new fields are right as zeros, so that most accounts are only lengthened. The configuration is taken
//! apart: its parameters find their places in the present ones, new ones start at their defaults, and what was proposed is withdrawn.
//!
//! Invariants: what an account held before it holds afterwards; an account of the present version is never touched.

use bytemuck::{Pod, Zeroable, bytes_of, pod_read_unaligned};

use crate::{
    AccountKind, Error, Header, Result,
    admin::config::{Config, Parameters},
    ground::offence::{Penalties, Slash},
    stake::{pool::Pool, position::Position},
};

/// Bytes of the first version's configuration.
const CONFIG_BYTES: usize = 448;
/// Where its parameters begin, and how many bytes they have.
const PARAMETERS: (usize, usize) = (168, size_of::<FirstParameters>());

/// The first version's parameters; each has its present name, and the penalties those of their rows.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct FirstParameters {
    round_reward: u64,
    dispute_bond: u64,
    minimum_self_bond: u64,
    late_penalty: u64,
    bounty_cap: u64,
    clock_slots: u64,
    unbonding_slots: u64,
    trainers_bps: u16,
    auditors_bps: u16,
    evaluators_bps: u16,
    data_bps: u16,
    patrons_bps: u16,
    slash_bps: u16,
    evaluator_slash_bps: u16,
    bounty_bps: u16,
    score_tolerance: u32,
    maximum_commission_bps: u16,
    reserved: u16,
}

impl FirstParameters {
    fn present(&self) -> Parameters {
        let flat = self.late_penalty;
        let conviction = Slash { bond_bps: 10_000, delegated_bps: self.slash_bps };
        let penalties = Penalties {
            late_segment: flat,
            missed_segment: flat,
            missed_draw: flat,
            missed_vote: flat,
            missed_score: flat,
            missed_attestation: flat,
            amended_segment: flat,
            misattested_segment: Penalties::DEFAULT.misattested_segment.min(self.minimum_self_bond),
            bounty_cap: self.bounty_cap,
            false_score: Slash { bond_bps: self.evaluator_slash_bps, delegated_bps: self.evaluator_slash_bps },
            convicted_segment: conviction,
            convicted_run: conviction,
            convicted_vote: conviction,
            convicted_attestation: conviction,
            unavailable_state: conviction,
            bounty_bps: self.bounty_bps,
            ..Penalties::DEFAULT
        };
        Parameters {
            round_reward: self.round_reward,
            dispute_bond: self.dispute_bond,
            minimum_self_bond: self.minimum_self_bond,
            clock_slots: self.clock_slots,
            unbonding_slots: self.unbonding_slots,
            trainers_bps: self.trainers_bps,
            auditors_bps: self.auditors_bps,
            evaluators_bps: self.evaluators_bps,
            data_bps: self.data_bps,
            patrons_bps: self.patrons_bps,
            score_tolerance: self.score_tolerance,
            maximum_commission_bps: self.maximum_commission_bps,
            penalties,
            ..Parameters::DEFAULT
        }
    }
}
/// Bytes of its administration after the proposal: slots of the pause and of the genesis, what the team was paid.
const TAIL_BYTES: usize = 32;
/// Where these are in the present one: the administration ends with them.
const CONFIG_TAIL: usize = core::mem::offset_of!(Config, administration)
    + size_of::<crate::admin::administration::Administration>()
    - TAIL_BYTES;

const _: () = assert!(core::mem::offset_of!(Config, parameters) == PARAMETERS.0);

/// Bytes of the present layout of an account of the layout before.
pub fn present_size(data: &[u8]) -> Result<usize> {
    let header: Header = bytemuck::pod_read_unaligned(data.get(..size_of::<Header>()).ok_or(Error::WrongSize)?);
    let sizes = [
        (AccountKind::Config, CONFIG_BYTES, size_of::<Config>()),
        (AccountKind::Pool, 288, size_of::<Pool>()),
        (AccountKind::Position, 112, size_of::<Position>()),
    ];
    for (kind, before, present) in sizes {
        if header.kind == kind as u8 {
            return if header.version.checked_add(1) != Some(kind.version()) {
                Err(Error::WrongVersion)
            } else if data.len() != before {
                Err(Error::WrongSize)
            } else {
                Ok(present)
            };
        }
    }
    Err(if header.kind == 0 { Error::NotInitialised } else { Error::WrongKind })
}

/// Rewrites an account that the caller has lengthened to [`present_size`] with zeros.
pub fn migrate(data: &mut [u8]) -> Result<()> {
    let kind = *data.first().ok_or(Error::WrongSize)?;
    if kind == AccountKind::Config as u8 {
        if data.len() != size_of::<Config>() {
            return Err(Error::WrongSize);
        }
        let first: FirstParameters = pod_read_unaligned(&data[PARAMETERS.0..PARAMETERS.0 + PARAMETERS.1]);
        let mut nominated = [0; 32];
        let mut tail = [0; TAIL_BYTES];
        let administration = PARAMETERS.0 + PARAMETERS.1;
        nominated.copy_from_slice(&data[administration..administration + 32]);
        tail.copy_from_slice(&data[CONFIG_BYTES - TAIL_BYTES..CONFIG_BYTES]);
        data[PARAMETERS.0..].fill(0);
        let end = PARAMETERS.0 + size_of::<Parameters>();
        data[PARAMETERS.0..end].copy_from_slice(bytes_of(&first.present()));
        data[end..end + 32].copy_from_slice(&nominated);
        data[CONFIG_TAIL..CONFIG_TAIL + TAIL_BYTES].copy_from_slice(&tail);
    }
    data[1] += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Account,
        admin::administration::{Administration, Proposal, ProposalKind},
        ground::units::TOKEN,
    };
    use bytemuck::Zeroable;
    use std::vec::Vec;

    /// The first version's bytes of an account whose new fields are zero.
    fn shortened<T: Account>(state: &T, size: usize) -> Vec<u8> {
        let mut data = bytes_of(state)[..size].to_vec();
        data[1] = 1;
        data
    }

    fn migrated(mut data: Vec<u8>) -> Vec<u8> {
        data.resize(present_size(&data).unwrap(), 0);
        migrate(&mut data).unwrap();
        data
    }

    #[test]
    fn pools_and_positions_of_the_first_version_are_lengthened() {
        let mut pool = Pool::zeroed();
        pool.header = Header::new(AccountKind::Pool, 254);
        pool.initialise(crate::stake::pool::PoolKind::Data, &[3; 32], 1, 0);
        pool.self_bond = 77 * TOKEN;
        assert_eq!(migrated(shortened(&pool, 288)), bytes_of(&pool));
        let mut position = Position::zeroed();
        position.header = Header::new(AccountKind::Position, 253);
        position.shares = 5;
        let data = migrated(shortened(&position, 112));
        assert_eq!(data, bytes_of(&position));
        assert_eq!(present_size(&data), Err(Error::WrongVersion));
        assert_eq!(present_size(&shortened(&position, 111)), Err(Error::WrongSize));
        assert_eq!(present_size(&[0; 112]), Err(Error::NotInitialised));
        assert_eq!(present_size(&[6, 1, 0, 0, 0, 0, 0, 0]), Err(Error::WrongKind));
        assert_eq!(present_size(&[2, 1]), Err(Error::WrongSize));
    }

    #[test]
    fn the_configuration_of_the_first_version_keeps_all_but_its_proposal() {
        let first = FirstParameters {
            round_reward: 9 * TOKEN,
            dispute_bond: 100 * TOKEN,
            minimum_self_bond: 70 * TOKEN,
            late_penalty: 3 * TOKEN,
            bounty_cap: 77 * TOKEN,
            clock_slots: 8_000,
            unbonding_slots: 400_000,
            trainers_bps: 5_400,
            auditors_bps: 1_600,
            evaluators_bps: 1_000,
            data_bps: 1_500,
            patrons_bps: 500,
            slash_bps: 2_000,
            evaluator_slash_bps: 500,
            bounty_bps: 4_000,
            score_tolerance: 3_000,
            maximum_commission_bps: 2_500,
            reserved: 0,
        };
        let mut config = Config::zeroed();
        config.header = Header::new(AccountKind::Config, 255);
        config.genesis(&[1; 32], &first.present()).unwrap();
        config.administration = Administration {
            nominated: [8; 32],
            proposal: Proposal::zeroed(),
            paused_until: 11,
            pause_from: 12,
            genesis_slot: 13,
            team_paid: 14,
        };
        // As the first version laid it out: parameters of 80 bytes, a proposal of 136.
        let bytes = bytes_of(&config);
        let mut data = bytes[..PARAMETERS.0].to_vec();
        data[1] = 1;
        data.extend(bytes_of(&first));
        data.extend([8; 32]);
        let mut proposal = [0x55u8; 136];
        proposal[128] = ProposalKind::Parameters as u8;
        data.extend(proposal);
        data.extend([11u64, 12, 13, 14].map(u64::to_le_bytes).concat());
        assert_eq!((data.len(), PARAMETERS.1), (CONFIG_BYTES, 80));
        let config_after = Config::decode(&migrated(data)).unwrap();
        assert_eq!(bytes_of(&config_after), bytes);
        let penalties = config_after.parameters.penalties;
        assert_eq!((penalties.missed_draw, penalties.misattested_segment), (3 * TOKEN, 70 * TOKEN));
        assert_eq!(penalties.convicted_vote, Slash { bond_bps: 10_000, delegated_bps: 2_000 });
        config_after.parameters.check().unwrap();
    }
}
