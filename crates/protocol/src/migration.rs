//! Accounts of an older layout, brought to the present one.
//!
//! Layouts grow at their ends and new fields are right as zeros, so that most accounts are only lengthened. The configuration carries its
//! parameters twice, so that it is taken apart: new parameters start at their defaults and what was proposed is withdrawn.
//!
//! Invariants: what an account held before it holds afterwards; an account of the present version is never touched.

use bytemuck::bytes_of;

use crate::{
    AccountKind, Error, Header, Result,
    config::{Config, Parameters},
    pool::Pool,
    position::Position,
};

/// Bytes of the first version's configuration.
const CONFIG_BYTES: usize = 448;
/// Where its parameters begin, and how many bytes they have.
const PARAMETERS: (usize, usize) = (168, 80);
/// Bytes of its administration after the proposal: slots of the pause and of the genesis, what the team was paid.
const TAIL_BYTES: usize = 32;

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
        let mut nominated = [0; 32];
        let mut tail = [0; TAIL_BYTES];
        let administration = PARAMETERS.0 + PARAMETERS.1;
        nominated.copy_from_slice(&data[administration..administration + 32]);
        tail.copy_from_slice(&data[CONFIG_BYTES - TAIL_BYTES..CONFIG_BYTES]);
        data[administration..].fill(0);
        let end = PARAMETERS.0 + size_of::<Parameters>();
        data[administration..end].copy_from_slice(&bytes_of(&Parameters::DEFAULT)[PARAMETERS.1..]);
        data[end..end + 32].copy_from_slice(&nominated);
        let start = data.len() - TAIL_BYTES;
        data[start..].copy_from_slice(&tail);
    }
    data[1] += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Account,
        administration::{Administration, Proposal, ProposalKind},
        config::TOKEN,
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
        pool.initialise(crate::pool::PoolKind::Data, &[3; 32], 1, 0);
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
        let mut config = Config::zeroed();
        config.header = Header::new(AccountKind::Config, 255);
        config.genesis(&[1; 32], &Parameters { round_reward: 9 * TOKEN, ..Parameters::DEFAULT }).unwrap();
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
        let mut data = bytes[..PARAMETERS.0 + PARAMETERS.1].to_vec();
        data[1] = 1;
        data.extend([8; 32]);
        let mut proposal = [0x55u8; 136];
        proposal[128] = ProposalKind::Parameters as u8;
        data.extend(proposal);
        data.extend(&bytes[bytes.len() - TAIL_BYTES..]);
        assert_eq!(data.len(), CONFIG_BYTES);
        let config_after = Config::decode(&migrated(data)).unwrap();
        assert_eq!(bytes_of(&config_after), bytes);
        config_after.parameters.check().unwrap();
    }
}
