//! What follows from a job's manifest and stands nowhere on chain.

use sip_proof::GraphRoots;
use sip_protocol::ground::case::CaseKind;

/// A job's numbers, openings and roots, as its manifest gives them.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Whether the job's genesis state is what its graph gives.
    pub is_genesis_true: bool,
    /// States that follow from the manifest alone, by root: the genesis state, and with compressed updates the reset.
    pub given: Vec<[u8; 32]>,
    /// Elements of each entry of what a segment hands over: a whole state, or an update.
    pub result_lengths: Vec<usize>,
    /// The graph that averages one segment, two and so on, and its path in the job's tree.
    pub aggregates: Vec<(GraphRoots, [[u8; 32]; 4])>,
    /// The graphs of compressed updates with the other one's node in the job's tree; none with whole states.
    pub updates: Vec<(CaseKind, GraphRoots, [u8; 32])>,
}

impl Terms {
    /// Whether segments hand over compressed updates.
    pub fn is_compressed(&self) -> bool {
        !self.updates.is_empty()
    }
}
