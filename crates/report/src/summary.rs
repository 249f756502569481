//! What a run produced, as plain data: `summary.json`, and the source of the report.
//!
//! Everything but [`Timings`] depends on the seed and the inputs alone, so that two runs can be compared.

use serde::{Deserialize, Serialize};

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of the program that wrote this.
    pub version: String,
    /// Seed of the run.
    pub seed: u64,
    /// Frauds that were staged.
    pub cheats: Vec<String>,
    /// The model.
    pub model: ModelSummary,
    /// The domains of the data, in the order of every mixture.
    pub domains: Vec<DomainSummary>,
    /// What patrons steered beside the mixture.
    pub settings: Vec<SettingSummary>,
    /// Held-out loss per domain before training, in nats per token.
    pub initial_loss: Vec<f64>,
    /// The rounds, in order.
    pub rounds: Vec<RoundSummary>,
    /// Everyone who held stake, and what became of it.
    pub participants: Vec<Participant>,
    /// The disputes, in order.
    pub disputes: Vec<DisputeSummary>,
    /// What the chain did.
    pub chain: ChainSummary,
    /// What the trainers and auditors did.
    pub work: WorkSummary,
    /// Hash that identifies the final weights and optimizer state.
    pub model_root: String,
    /// Text from the final model.
    pub samples: Vec<Sample>,
    /// Figures that depend on the machine.
    pub timings: Timings,
    /// What segments hand over: "whole" states or "compressed" updates.
    #[serde(default)]
    pub updates: String,
    /// Demands for states on chain, in order.
    #[serde(default)]
    pub demands: Vec<DemandSummary>,
    /// Rounds that were undone, in order.
    #[serde(default)]
    pub undone: Vec<UndoneRound>,
    /// What was checked of what is in the model.
    #[serde(default)]
    pub checked: CheckedSummary,
    /// Hash of the manifest: all that the job computes with.
    #[serde(default)]
    pub manifest: String,
}

/// What auditors replayed of the segments that are in the model, and what escapes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckedSummary {
    /// Segments in the model.
    pub segments: u32,
    /// Of them, those that an auditor replayed.
    pub replayed: u32,
    /// How many each auditor replayed of them.
    pub by_auditor: std::collections::BTreeMap<String, u32>,
    /// Staged lies among them, which only this run's author knows of.
    pub false_segments: u32,
    /// What of lies survives if no auditor is the liar's, and if one is.
    pub odds: Vec<crate::odds::Odds>,
    /// Replays that auditors do for a segment of honest work, on average.
    pub replays_per_segment: f64,
    /// These numbers in words, a line each.
    pub lines: Vec<String>,
    /// All of it in one sentence.
    pub sentence: String,
}

impl Summary {
    /// Bytes that a segment handed over to others, on average.
    pub fn exchanged_bytes_per_segment(&self) -> f64 {
        let segments: usize = self.rounds.iter().map(|round| round.segments.len()).sum();
        self.rounds.iter().map(|round| round.exchanged_bytes).sum::<u64>() as f64 / segments.max(1) as f64
    }
}

/// A demand for a chunk of a state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DemandSummary {
    /// Round of the segment.
    pub round: u32,
    /// Whose segment it is.
    pub defendant: String,
    /// Who demanded.
    pub demander: String,
    /// Entry of the state.
    pub entry: u32,
    /// Chunk of the entry.
    pub chunk: u32,
    /// What came of it, in one sentence.
    pub outcome: String,
    /// Compute units.
    pub compute_units: u64,
}

/// A round that was undone after it was scored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UndoneRound {
    /// Number of the round, from 1; it was played again.
    pub round: u32,
    /// Its number on chain, from 0.
    pub index: u32,
    /// Why, in one sentence.
    pub why: String,
    /// Its segments; what honest ones earned came out of the liar's slice.
    pub segments: Vec<SegmentSummary>,
}

/// The model that was trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// Preset name.
    pub name: String,
    /// Number of weights.
    pub parameters: u64,
    /// Vocabulary size.
    pub vocabulary: u32,
    /// Number of transformer layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Sequence length in tokens.
    pub sequence: u32,
    /// Sequences per step.
    pub batch: u32,
    /// Inner steps per round.
    pub inner_steps: u32,
    /// Steps per leaf of the proof.
    pub leaf_interval: u32,
    /// Nodes of the training graph.
    pub graph_nodes: u32,
    /// Root of the graph.
    pub graph_root: String,
}

/// One domain of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DomainSummary {
    /// Name.
    pub name: String,
    /// Who provided it.
    pub provider: String,
    /// Tokens to train on.
    pub train_tokens: u64,
    /// Tokens held out.
    pub heldout_tokens: u64,
    /// BLAKE3 of the training tokens.
    pub root: String,
}

/// A number that patrons steer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SettingSummary {
    /// Name.
    pub name: String,
    /// Least value.
    pub lower: f64,
    /// Value without stake.
    pub default: f64,
    /// Greatest value.
    pub upper: f64,
}

/// One round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundSummary {
    /// Number of the round.
    pub index: u32,
    /// Share of each domain, in basis points.
    pub mixture_bps: Vec<u16>,
    /// Value of each setting, in the order of the summary's.
    pub settings: Vec<f64>,
    /// Held-out loss per domain after the round, in nats per token, as tallied on chain.
    pub loss: Vec<f64>,
    /// Held-out loss, weighted by the mixture.
    pub score: f64,
    /// Quality factor Q, 0 to 1.
    pub quality: f64,
    /// Segments of the round.
    pub segments: Vec<SegmentSummary>,
    /// State root after aggregation.
    pub state_root: String,
    /// Bytes that the segments handed over to others.
    #[serde(default)]
    pub exchanged_bytes: u64,
}

/// One trainer's work in one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentSummary {
    /// Trainer.
    pub trainer: String,
    /// Mean training loss of its steps, in nats per token.
    pub mean_loss: f64,
    /// What became of it: accepted, convicted, rejected.
    pub status: String,
    /// Auditors that replayed it.
    pub audited_by: Vec<String>,
    /// Reward.
    #[serde(rename = "reward_base_units")]
    pub reward: BaseUnits,
}

/// An amount of tokens in base units: in JSON a text of decimal digits, since it may be more than 2⁵³.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BaseUnits(pub u64);

/// Base units of a token.
const TOKEN: f64 = 1e9;

impl BaseUnits {
    /// The amount in tokens, for people and charts.
    pub fn sip(self) -> f64 {
        self.0 as f64 / TOKEN
    }
}

impl Serialize for BaseUnits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BaseUnits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(BaseUnits)
            .map_err(|_| serde::de::Error::custom(format!("\"{text}\" is no amount in base units")))
    }
}

/// Someone who held stake.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Participant {
    /// Name.
    pub name: String,
    /// Role.
    pub role: String,
    /// Own stake and delegated stake at the start.
    #[serde(rename = "staked_base_units")]
    pub staked: BaseUnits,
    /// Rewards and bounties.
    #[serde(rename = "earned_base_units")]
    pub earned: BaseUnits,
    /// Slashes, forfeited bonds and penalties.
    #[serde(rename = "lost_base_units")]
    pub lost: BaseUnits,
    /// Why, in plain sentences.
    pub reasons: Vec<String>,
    /// Address of the wallet.
    #[serde(default)]
    pub wallet: String,
    /// Address of the pool, if it has one.
    #[serde(default)]
    pub pool: Option<String>,
}

/// One dispute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DisputeSummary {
    /// Round of what is disputed; 0 before the first.
    pub round: u32,
    /// Whose claim it is.
    pub defendant: String,
    /// Who accused.
    pub challenger: String,
    /// "convicted" or "acquitted".
    pub outcome: String,
    /// What decided it, in one sentence.
    pub verdict: String,
    /// The path down, level by level.
    pub path: Vec<DisputeLevel>,
    /// Transactions sent by the defendant.
    pub defendant_transactions: u32,
    /// Transactions sent by the challenger.
    pub challenger_transactions: u32,
    /// Compute units of all of them.
    pub compute_units: u64,
    /// What is disputed: "segment", "vote", "attestation", "scoring run" or "genesis state".
    #[serde(default)]
    pub subject: String,
    /// Address of its account, of which the run's folder keeps a copy.
    #[serde(default)]
    pub address: String,
}

/// One move of a dispute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DisputeLevel {
    /// Who moved.
    pub by: String,
    /// What was done.
    pub what: String,
    /// Compute units.
    pub compute_units: u64,
}

/// What the chain did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChainSummary {
    /// Transactions.
    pub transactions: u64,
    /// Compute units.
    pub compute_units: u64,
    /// Bytes of all transactions.
    pub transaction_bytes: u64,
    /// Bytes of the commitments of segments, per training step.
    pub commitment_bytes_per_step: f64,
    /// Transactions and compute units per instruction, sorted by name.
    pub instructions: Vec<InstructionSummary>,
    /// Tokens minted less tokens burned; equals the sum of all balances.
    #[serde(rename = "supply_base_units")]
    pub supply: BaseUnits,
    /// Tokens burned.
    #[serde(rename = "burned_base_units")]
    pub burned: BaseUnits,
    /// Whether the vault held exactly what the accounts claim, after every round.
    pub conserved: bool,
}

/// One kind of instruction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstructionSummary {
    /// Name.
    pub name: String,
    /// How often it was sent.
    pub count: u64,
    /// Median compute units of its transactions.
    pub compute_units: u64,
}

/// What the trainers and auditors did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkSummary {
    /// Steps trained.
    pub trained_steps: u64,
    /// Tokens trained on.
    pub trained_tokens: u64,
    /// Steps replayed by auditors.
    pub audited_steps: u64,
}

/// Text from a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// What the model was given.
    pub prompt: String,
    /// What it wrote.
    pub text: String,
}

/// Figures that depend on the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Seconds of the whole run.
    pub total_seconds: f64,
    /// Seconds of training steps.
    pub training_seconds: f64,
    /// Seconds of hashing for commitments.
    pub commitment_seconds: f64,
    /// Seconds of auditors' replays.
    pub audit_seconds: f64,
    /// Seconds of evaluation.
    pub evaluation_seconds: f64,
    /// Training speed, in tokens per second.
    pub tokens_per_second: f64,
    /// Hashing for commitments as a share of training time.
    pub commitment_share: f64,
    /// Instruction set of the kernels.
    pub simd: String,
    /// Threads.
    pub threads: u32,
}
