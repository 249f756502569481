//! Datasets: what a domain's tokens are, by content, and whose pool stands behind them.

use bytemuck::{Pod, Zeroable};

use crate::{Address, Error, Header, Result, account};

/// Most tokens of a part of a dataset: 2³¹ chunks of BLAKE3 with 256 tokens each, which is as far as a dispute counts.
pub const MAX_TOKENS: u64 = 1 << 39;

/// Address: "dataset", train root (32): the same text is registered once.
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
}

account!(Dataset, Dataset, 192);

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
}
