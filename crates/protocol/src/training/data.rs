//! Datasets: what a domain's tokens are, by content, and whose pool stands behind them.

use bytemuck::{Pod, Zeroable};
use sip_arith::int;

use crate::{
    Address, Error, Header, Result, account,
    ground::layout::layout,
    stake::pool::{ACTIVE, Pool},
};

/// Most tokens of a part of a dataset: 2³¹ chunks of BLAKE3 with 256 tokens each, which is as far as a dispute counts.
pub const MAX_TOKENS: u64 = 1 << 39;

layout! {
    /// A text to train on and a part held out, for which a provider answers. Others may answer for the same text, each at its own address: whose
    /// of them a job trains on says its creator.
    #[derive(Clone, Copy, Debug, Pod, Zeroable)]
    #[repr(C)]
    pub struct Dataset {
        /// Kind, version, bump.
        pub header: Header,
        /// The provider's data pool.
        pub pool: Address,
        /// Name of the domain, UTF-8 padded with zeros.
        pub domain: [u8; 32],
        /// BLAKE3 root of the tokens to train on.
        pub train_root: [u8; 32],
        /// BLAKE3 root of the tokens that are held out.
        pub held_out_root: [u8; 32],
        /// Tokens to train on.
        pub train_tokens: u64,
        /// Tokens held out.
        pub held_out_tokens: u64,
        /// SPDX identifier of the licence, padded with zeros.
        pub licence: [u8; 32],
        /// Demands for its tokens that are open.
        pub open_demands: u16,
        /// Always 0.
        pub reserved: [u8; 6],
        /// From this slot on nobody answers for it any more; 0 before its provider gave notice.
        pub duty_end_slot: u64,
    }
}

account!(Dataset, Dataset, 200);

impl Dataset {
    /// Checks what a provider registers.
    pub fn check(&self) -> Result<()> {
        if self.train_tokens == 0 || self.held_out_tokens == 0 {
            return Err(Error::EmptyDataset);
        }
        if self.train_tokens > MAX_TOKENS || self.held_out_tokens > MAX_TOKENS {
            return Err(Error::DatasetTooLarge);
        }
        if self.domain[0] == 0 || self.licence[0] == 0 {
            return Err(Error::MissingName);
        }
        Ok(())
    }

    /// Gives notice: from now on no new job trains on it, and an unbonding time from now nobody answers for it any more. That is longer
    /// than whatever was claimed by now can be disputed, so who replays it can ask for every token, and running jobs have that long to
    /// copy what they go on with. Its provider gives notice; of a pool that is retired, anyone does.
    pub fn retire(&mut self, pool: &Pool, signer: &Address, unbonding_slots: u64, slot: u64) -> Result<()> {
        if pool.status == ACTIVE {
            pool.require_operator(signer)?;
        }
        self.require_offered()?;
        self.duty_end_slot = int::add(slot, unbonding_slots)?;
        Ok(())
    }

    /// Checks that a new job may train on it: no notice was given.
    pub fn require_offered(&self) -> Result<()> {
        if self.duty_end_slot == 0 { Ok(()) } else { Err(Error::DatasetRetired) }
    }

    /// Whether its provider answers for it in this slot: neither its notice nor the pool's retirement has run out.
    pub fn is_answered_for(&self, pool: &Pool, slot: u64) -> bool {
        let lasts = |end_slot| end_slot == 0 || slot < end_slot;
        lasts(self.duty_end_slot) && lasts(pool.bond_release_slot)
    }
}
