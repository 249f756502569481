//! How large a scene is, and under which numbers it plays.

use sip_protocol::{
    admin::config::Parameters,
    ground::{
        schedule::{ONE, Schedule},
        units::{CAP, TOKEN},
    },
    instructions::RegisterDataset,
    training::{
        job::{JobSpec, MAX_DOMAINS},
        setting::{MAX_SETTINGS, Setting},
    },
};

use crate::named;

/// Slice of that bond behind each claim in the usual scene, tokens: the bond backs as many rounds as a test builds before it settles.
pub const SLICE_TOKENS: u64 = 100;
/// [`SLICE_TOKENS`], base units.
pub const SLICE: u64 = SLICE_TOKENS * TOKEN;
/// Most that a round of the usual scene draws, base units: as much as a slice outweighs (`Job::initialise`).
pub const ROUND_REWARD: u64 = 22 * TOKEN;
/// The usual scene's parameters: the default, but the least own bond is one slice.
pub const PARAMETERS: Parameters = Parameters { minimum_self_bond: SLICE_TOKENS * TOKEN, ..Parameters::DEFAULT };
/// The schedule of every test's emission: a few operators' stake draws the whole reward of a round.
pub const SCHEDULE: Schedule = Schedule { utilisation_floor: ONE / 2, unit_reward: CAP / 10, ..Schedule::DEFAULT };

/// How large a scene is.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Trainers.
    pub trainers: usize,
    /// Auditors.
    pub auditors: usize,
    /// Evaluators.
    pub evaluators: usize,
    /// The job; its `domain_count` gives the number of data providers and patrons.
    pub spec: JobSpec,
    /// The configuration's parameters.
    pub parameters: Parameters,
    /// The schedule of emission.
    pub schedule: Schedule,
}

impl Default for Cast {
    fn default() -> Self {
        let spec = JobSpec {
            nodes_root: named("nodes"),
            outputs_root: named("outputs"),
            tables_root: named("tables"),
            genesis_root: named("genesis"),
            seed: named("seed"),
            node_count: 100,
            state_count: 9,
            table_count: 2,
            inner_steps: 10,
            leaf_interval: 4,
            batch: 4,
            sequence_length: 128,
            rounds: 8,
            audit_rate: u32::MAX,
            domain_count: 3,
            lookahead: 2,
            mixture_mode: 0,
            reserved: 0,
            mixture_floor_bps: 500,
            mixture_cap_bps: 8_000,
            commit_slots: 100,
            audit_slots: 200,
            vote_slots: 50,
            evaluation_slots: 50,
            challenge_slots: 300,
            score_nodes_root: named("score nodes"),
            score_outputs_root: named("score outputs"),
            score_node_count: 90,
            score_windows: 32,
            score_rows: 4,
            score_leaf_interval: 16,
            aggregates_root: named("aggregates"),
            init_nodes_root: named("init nodes"),
            init_outputs_root: named("init outputs"),
            init_node_count: 10,
            settings: [Setting::default(); MAX_SETTINGS],
            slice: SLICE_TOKENS * TOKEN,
            round_reward: ROUND_REWARD,
            ..JobSpec::default()
        };
        Cast { trainers: 3, auditors: 2, evaluators: 3, spec, parameters: PARAMETERS, schedule: SCHEDULE }
    }
}

/// A dataset of this name.
pub fn dataset(name: &str) -> RegisterDataset {
    let mut domain = [0; 32];
    let length = name.len().min(32);
    domain[..length].copy_from_slice(&name.as_bytes()[..length]);
    let mut licence = [0; 32];
    licence[..7].copy_from_slice(b"CC0-1.0");
    RegisterDataset {
        domain,
        train_root: named(&format!("train {name}")),
        held_out_root: named(&format!("held out {name}")),
        train_tokens: 100_000,
        held_out_tokens: 10_000,
        licence,
    }
}

/// One score for every domain, micro-nats per token.
pub fn scores(score: u32) -> [u32; MAX_DOMAINS] {
    [score; MAX_DOMAINS]
}
