//! Draws, attestations and votes of auditors.

pub mod attest;
pub mod attest_second;
pub mod reveal_attestation;
pub mod reveal_draw;
pub mod vote_base;
