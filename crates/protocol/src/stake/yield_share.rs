//! A pool's part in the staking yield.

use bytemuck::{Pod, Zeroable};

use crate::ground::layout::layout;
use sip_arith::int::{RewardIndex, TimeIntegral};

layout! {
    /// A pool's part in the staking yield.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct YieldShare {
        /// Stake that counted since the last settlement, base units.
        pub stake: u64,
        /// The yield index at the last settlement.
        pub checkpoint: RewardIndex,
        /// Integral of the pool's active stake at the last settlement.
        pub integral: TimeIntegral,
        /// Slot of the last settlement.
        pub slot: u64,
    }
}
