//! What a run produced, as plain data: `summary.json`, and the source of the report.
//!
//! Everything but [`Timings`] depends on the seed and the inputs alone, so that two runs can be compared.

use serde::{Deserialize, Serialize};

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Version of the program that wrote this.
    pub(crate) version: String,
    /// Seed of the run.
    pub(crate) seed: u64,
    /// Frauds that were staged.
    pub(crate) cheats: Vec<String>,
    /// The model.
    pub(crate) model: ModelSummary,
    /// The domains of the data, in the order of every mixture.
    pub(crate) domains: Vec<DomainSummary>,
    /// What patrons steered beside the mixture.
    pub(crate) settings: Vec<SettingSummary>,
    /// Held-out loss per domain before training, in nats per token.
    pub(crate) initial_loss: Vec<f64>,
    /// The rounds, in order.
    pub(crate) rounds: Vec<RoundSummary>,
    /// Everyone who held stake, and what became of it.
    pub(crate) participants: Vec<Participant>,
    /// The disputes, in order.
    pub(crate) disputes: Vec<DisputeSummary>,
    /// What the chain did.
    pub(crate) chain: ChainSummary,
    /// What the trainers and auditors did.
    pub(crate) work: WorkSummary,
    /// Hash that identifies the final weights and optimizer state.
    pub(crate) model_root: String,
    /// Text from the final model.
    pub(crate) samples: Vec<Sample>,
    /// Figures that depend on the machine.
    pub(crate) timings: Timings,
    /// What segments hand over: "whole" states or "compressed" updates.
    #[serde(default)]
    pub(crate) updates: String,
    /// Demands for states on chain, in order.
    #[serde(default)]
    pub(crate) demands: Vec<DemandSummary>,
    /// Rounds that were undone, in order.
    #[serde(default)]
    pub(crate) undone: Vec<UndoneRound>,
    /// What was checked of what is in the model.
    #[serde(default)]
    pub(crate) checked: CheckedSummary,
}

/// What auditors replayed of the segments that are in the model, and what escapes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CheckedSummary {
    /// Segments in the model.
    pub(crate) segments: u32,
    /// Of them, those that an auditor replayed.
    pub(crate) replayed: u32,
    /// How many each auditor replayed of them.
    pub(crate) by_auditor: std::collections::BTreeMap<String, u32>,
    /// Staged lies among them, which only this run's author knows of.
    pub(crate) false_segments: u32,
    /// What of lies survives if no auditor is the liar's, and if one is.
    pub(crate) odds: Vec<crate::security::odds::Odds>,
    /// Replays that auditors do for a segment of honest work, on average.
    pub(crate) replays_per_segment: f64,
    /// These numbers in words, a line each.
    pub(crate) lines: Vec<String>,
    /// All of it in one sentence.
    pub(crate) sentence: String,
}

impl Summary {
    /// Bytes that a segment handed over to others, on average.
    pub(crate) fn exchanged_bytes_per_segment(&self) -> f64 {
        let segments: usize = self.rounds.iter().map(|round| round.segments.len()).sum();
        self.rounds.iter().map(|round| round.exchanged_bytes).sum::<u64>() as f64 / segments.max(1) as f64
    }
}

/// A demand for a chunk of a state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DemandSummary {
    /// Round of the segment.
    pub(crate) round: u32,
    /// Whose segment it is.
    pub(crate) defendant: String,
    /// Who demanded.
    pub(crate) demander: String,
    /// Entry of the state.
    pub(crate) entry: u32,
    /// Chunk of the entry.
    pub(crate) chunk: u32,
    /// What came of it, in one sentence.
    pub(crate) outcome: String,
    /// Compute units.
    pub(crate) compute_units: u64,
}

/// A round that was undone after it was scored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct UndoneRound {
    /// Number of the round, from 1; it was played again.
    pub(crate) round: u32,
    /// Its number on chain, from 0.
    pub(crate) index: u32,
    /// Why, in one sentence.
    pub(crate) why: String,
    /// Its segments; what honest ones earned came out of the liar's slice.
    pub(crate) segments: Vec<SegmentSummary>,
}

/// The model that was trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelSummary {
    /// Preset name.
    pub(crate) name: String,
    /// Number of weights.
    pub(crate) parameters: u64,
    /// Vocabulary size.
    pub(crate) vocabulary: u32,
    /// Number of transformer layers.
    pub(crate) layers: u32,
    /// Width of the residual stream.
    pub(crate) hidden: u32,
    /// Sequence length in tokens.
    pub(crate) sequence: u32,
    /// Sequences per step.
    pub(crate) batch: u32,
    /// Inner steps per round.
    pub(crate) inner_steps: u32,
    /// Steps per leaf of the proof.
    pub(crate) leaf_interval: u32,
    /// Nodes of the training graph.
    pub(crate) graph_nodes: u32,
    /// Root of the graph.
    pub(crate) graph_root: String,
}

/// One domain of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DomainSummary {
    /// Name.
    pub(crate) name: String,
    /// Who provided it.
    pub(crate) provider: String,
    /// Tokens to train on.
    pub(crate) train_tokens: u64,
    /// Tokens held out.
    pub(crate) heldout_tokens: u64,
    /// BLAKE3 of the training tokens.
    pub(crate) root: String,
}

/// A number that patrons steer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SettingSummary {
    /// Name.
    pub(crate) name: String,
    /// Least value.
    pub(crate) lower: f64,
    /// Value without stake.
    pub(crate) default: f64,
    /// Greatest value.
    pub(crate) upper: f64,
}

/// One round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoundSummary {
    /// Number of the round.
    pub(crate) index: u32,
    /// Share of each domain, in basis points.
    pub(crate) mixture_bps: Vec<u16>,
    /// Value of each setting, in the order of the summary's.
    pub(crate) settings: Vec<f64>,
    /// Held-out loss per domain after the round, in nats per token, as tallied on chain.
    pub(crate) loss: Vec<f64>,
    /// Held-out loss, weighted by the mixture.
    pub(crate) score: f64,
    /// Quality factor Q, 0 to 1.
    pub(crate) quality: f64,
    /// Segments of the round.
    pub(crate) segments: Vec<SegmentSummary>,
    /// State root after aggregation.
    pub(crate) state_root: String,
    /// Bytes that the segments handed over to others.
    #[serde(default)]
    pub(crate) exchanged_bytes: u64,
}

/// One trainer's work in one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SegmentSummary {
    /// Trainer.
    pub(crate) trainer: String,
    /// Mean training loss of its steps, in nats per token.
    pub(crate) mean_loss: f64,
    /// What became of it: accepted, convicted, rejected.
    pub(crate) status: String,
    /// Auditors that replayed it.
    pub(crate) audited_by: Vec<String>,
    /// Reward, in tokens.
    pub(crate) reward: f64,
}

/// Someone who held stake.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Participant {
    /// Name.
    pub(crate) name: String,
    /// Role.
    pub(crate) role: String,
    /// Own stake and delegated stake at the start, in tokens.
    pub(crate) staked: f64,
    /// Rewards and bounties, in tokens.
    pub(crate) earned: f64,
    /// Slashes, forfeited bonds and penalties, in tokens.
    pub(crate) lost: f64,
    /// Why, in plain sentences.
    pub(crate) reasons: Vec<String>,
}

/// One dispute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DisputeSummary {
    /// Round of what is disputed; 0 before the first.
    pub(crate) round: u32,
    /// Whose claim it is.
    pub(crate) defendant: String,
    /// Who accused.
    pub(crate) challenger: String,
    /// "convicted" or "acquitted".
    pub(crate) outcome: String,
    /// What decided it, in one sentence.
    pub(crate) verdict: String,
    /// The path down, level by level.
    pub(crate) path: Vec<DisputeLevel>,
    /// Transactions sent by the defendant.
    pub(crate) defendant_transactions: u32,
    /// Transactions sent by the challenger.
    pub(crate) challenger_transactions: u32,
    /// Compute units of all of them.
    pub(crate) compute_units: u64,
    /// What is disputed: "segment", "vote", "attestation", "scoring run" or "genesis state".
    #[serde(default)]
    pub(crate) subject: String,
}

/// One move of a dispute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DisputeLevel {
    /// Who moved.
    pub(crate) by: String,
    /// What was done.
    pub(crate) what: String,
    /// Compute units.
    pub(crate) compute_units: u64,
}

/// What the chain did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChainSummary {
    /// Transactions.
    pub(crate) transactions: u64,
    /// Compute units.
    pub(crate) compute_units: u64,
    /// Bytes of all transactions.
    pub(crate) transaction_bytes: u64,
    /// Bytes of the commitments of segments, per training step.
    pub(crate) commitment_bytes_per_step: f64,
    /// Transactions and compute units per instruction, sorted by name.
    pub(crate) instructions: Vec<InstructionSummary>,
    /// Tokens minted less tokens burned, in tokens; equals the sum of all balances.
    pub(crate) supply: f64,
    /// Tokens burned.
    pub(crate) burned: f64,
    /// Whether the vault held exactly what the accounts claim, after every round.
    pub(crate) conserved: bool,
}

/// One kind of instruction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct InstructionSummary {
    /// Name.
    pub(crate) name: String,
    /// How often it was sent.
    pub(crate) count: u64,
    /// Median compute units of its transactions.
    pub(crate) compute_units: u64,
}

/// What the trainers and auditors did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorkSummary {
    /// Steps trained.
    pub(crate) trained_steps: u64,
    /// Tokens trained on.
    pub(crate) trained_tokens: u64,
    /// Steps replayed by auditors.
    pub(crate) audited_steps: u64,
}

/// Text from a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// What the model was given.
    pub(crate) prompt: String,
    /// What it wrote.
    pub(crate) text: String,
}

/// Figures that depend on the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timings {
    /// Seconds of the whole run.
    pub(crate) total_seconds: f64,
    /// Seconds of training steps.
    pub(crate) training_seconds: f64,
    /// Seconds of hashing for commitments.
    pub(crate) commitment_seconds: f64,
    /// Seconds of auditors' replays.
    pub(crate) audit_seconds: f64,
    /// Seconds of evaluation.
    pub(crate) evaluation_seconds: f64,
    /// Training speed, in tokens per second.
    pub(crate) tokens_per_second: f64,
    /// Hashing for commitments as a share of training time.
    pub(crate) commitment_share: f64,
    /// Instruction set of the kernels.
    pub(crate) simd: String,
    /// Threads.
    pub(crate) threads: u32,
}
