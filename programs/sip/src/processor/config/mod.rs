//! The configuration, the genesis, and what governance decides.

pub mod accept_authority;
pub mod apply_parameters;
pub mod apply_schedule;
pub mod apply_spending;
pub mod cancel_proposal;
pub mod claim_vested;
pub mod distribute;
pub mod initialize;
pub mod nominate_authority;
pub mod pause;
pub mod propose_parameters;
pub mod propose_schedule;
pub mod propose_spending;
pub mod unpause;
