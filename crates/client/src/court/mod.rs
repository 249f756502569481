//! Builders of the court's instructions.

mod accusation;
mod demand;
mod dispute;

pub use demand::StateDemand;
pub use dispute::{
    Accusation, AttestationAccusation, GenesisAccusation, Hidden, MOVE_PART_BYTES, Party, UpdateGraph, VoteAccusation,
    after_move,
};
