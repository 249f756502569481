//! What a round mixes into the next seed.

use sip_proof::{HostSha256, Sha256 as _};
use sip_protocol::training::round::Round;
use sip_protocol::training::seed;

/// What is wrong with what a round mixes into the next seed, in words: it is what the auditors revealed, and slots that the closing fixed.
pub fn false_reveals(round: &Round) -> Option<String> {
    let number = round.index + 1;
    let draws: Vec<&[u8]> = round.auditors.iter().map(|seat| seat.preimage.as_slice()).collect();
    if round.seed_status != seed::NONE && round.reveals != HostSha256::hashv(&draws) {
        return Some(format!("round {number}: the draws in the seed are not those that were revealed"));
    }
    let is_captured = round.seed_status == seed::CAPTURED;
    if round.seed_status == seed::PENDING || is_captured == (round.seed_hashes == [[0; 32]; 2]) {
        return Some(format!("round {number}: the slot hashes of the next seed are missing"));
    }
    None
}
