//! What a run is, in full: saved beside it, so that it can go on and be verified.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use sip_graph::{AdamW, Steered};
use sip_model::{LlamaConfig, Schedule, Shape, UpdateCodec, params};
use sip_protocol::training::job::MAX_DOMAINS;
use sip_protocol::training::mixture::Mode;
use sip_protocol::training::setting::{LEARNING_RATE, SETTING_ONE, Setting};

use crate::roles::{AUDITOR, CREATOR, EVALUATOR, TRAINER};

/// What a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Seed of weights, batches, keys and frauds.
    pub seed: u64,
    /// Preset of the model.
    pub preset: String,
    /// Shape of the model, with the vocabulary that the tokenizer got.
    pub model: LlamaConfig,
    /// Sequences per step.
    pub batch: u32,
    /// Steps per segment.
    pub inner_steps: u32,
    /// Steps per leaf.
    pub leaf_interval: u32,
    /// Scored rounds.
    pub rounds: u32,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Chance of each auditor to draw each segment.
    pub audit_rate: f64,
    /// Chance of each auditor to draw again each segment that it did not draw.
    #[serde(default)]
    pub second_audit_rate: f64,
    /// Windows per domain on which checkpoints are scored.
    pub windows: u32,
    /// Staged frauds.
    pub cheats: Vec<Fraud>,
    /// How the mixture follows stake.
    pub mixture: MixtureRule,
    /// Domains in the order of the mixture.
    pub domains: Vec<DomainSettings>,
    /// What segments hand over.
    #[serde(default)]
    pub updates: Exchange,
}

/// What segments hand over, and the others read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Exchange {
    /// Weights and moments as they are after the last step, which are averaged
    #[default]
    Whole,
    /// The greatest changes of the weights, a byte each; everyone keeps its own moments
    Compressed,
}

impl Exchange {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Exchange::Whole => "whole",
            Exchange::Compressed => "compressed",
        }
    }
}

/// How a run's mixture follows stake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum MixtureRule {
    /// In proportion to a domain's stake
    #[default]
    Linear,
    /// In proportion to the square root of a domain's stake
    SquareRoot,
}

impl MixtureRule {
    /// As the protocol has it.
    pub fn mode(self) -> Mode {
        match self {
            MixtureRule::Linear => Mode::Linear,
            MixtureRule::SquareRoot => Mode::SquareRoot,
        }
    }
}

/// What patrons of a run steer beside the mixture: the learning rate, between half and double of what the table says. As much stake as
/// two patrons' attention goes half of the way.
pub const STEERED: [Setting; 1] =
    [Setting::new(LEARNING_RATE, [SETTING_ONE / 2, SETTING_ONE, 2 * SETTING_ONE], 80_000)];

/// A domain's data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainSettings {
    /// Name.
    pub name: String,
    /// Licence, as an SPDX identifier.
    pub licence: String,
    /// BLAKE3 of the training tokens, in hexadecimal digits.
    pub train_root: String,
    /// BLAKE3 of the held-out tokens, in hexadecimal digits.
    pub heldout_root: String,
}

/// A fraud that a run stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Fraud {
    /// A trainer hands in the start state as the outcome of all its steps
    Lazy,
    /// A trainer reverses and triples a gradient in every step
    Poison,
    /// A trainer flips one bit of one element of one operator in one step
    FlipBit,
    /// A trainer trains on data that the rule did not draw
    WrongData,
    /// A trainer trains at another learning rate than stake set
    WrongSetting,
    /// An auditor accuses an honest trainer
    FalseAccusation,
    /// An evaluator reports scores that are not the model's
    LyingEvaluator,
    /// A trainer flips a bit where nobody audits; it is found out after another round was built on it
    Late,
    /// A trainer does not hand out the state that its segment ends in
    Withhold,
    /// A trainer hands over another update than its steps give; with --updates compressed
    Update,
    /// An auditor votes for a base that is not the mean of the accepted segments
    Vote,
    /// An auditor attests segments that it did not replay
    Attest,
    /// An evaluator changes a bit of its scoring run
    Score,
    /// The creator opens a job with a genesis state of its own making
    Genesis,
}

impl Fraud {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Fraud::Lazy => "lazy",
            Fraud::Poison => "poison",
            Fraud::FlipBit => "flip-bit",
            Fraud::WrongData => "wrong-data",
            Fraud::WrongSetting => "wrong-setting",
            Fraud::FalseAccusation => "false-accusation",
            Fraud::LyingEvaluator => "lying-evaluator",
            Fraud::Late => "late",
            Fraud::Withhold => "withhold",
            Fraud::Update => "update",
            Fraud::Vote => "vote",
            Fraud::Attest => "attest",
            Fraud::Score => "score",
            Fraud::Genesis => "genesis",
        }
    }

    /// Who commits it.
    pub fn role(self) -> &'static str {
        match self {
            Fraud::Lazy
            | Fraud::Poison
            | Fraud::FlipBit
            | Fraud::WrongData
            | Fraud::WrongSetting
            | Fraud::Late
            | Fraud::Withhold
            | Fraud::Update => TRAINER,
            Fraud::FalseAccusation | Fraud::Vote | Fraud::Attest => AUDITOR,
            Fraud::LyingEvaluator | Fraud::Score => EVALUATOR,
            Fraud::Genesis => CREATOR,
        }
    }

    /// Whether a trainer commits it.
    pub fn is_trainers(self) -> bool {
        self.role() == TRAINER
    }

    /// Whether it goes on from round to round until it is convicted.
    pub fn is_repeated(self) -> bool {
        !matches!(self, Fraud::FalseAccusation | Fraud::LyingEvaluator | Fraud::Late)
    }
}

/// Most rounds of a run.
pub const MAX_ROUNDS: u32 = 1_000;
/// Most steps of a segment.
pub const MAX_STEPS: u32 = 10_000;

impl Settings {
    /// Whether a run can have these settings: a file of them may come from anybody.
    ///
    /// # Errors
    /// The first that it cannot have, in words.
    pub fn check(&self) -> Result<()> {
        let preset = LlamaConfig::preset(&self.preset);
        let is_known = preset.is_some_and(|preset| {
            let expected = LlamaConfig { vocab_size: self.model.vocab_size, ..preset.clone() };
            self.model.vocab_size <= preset.vocab_size && self.model == expected
        });
        ensure!(is_known, "the settings ask for another model than the preset {} is", self.preset);
        ensure!(
            (1..=MAX_ROUNDS).contains(&self.rounds) && (1..=MAX_STEPS).contains(&self.inner_steps),
            "the settings ask for {} rounds of {} steps; expected 1 to {MAX_ROUNDS} of 1 to {MAX_STEPS}",
            self.rounds,
            self.inner_steps
        );
        ensure!(
            (1..=self.inner_steps).contains(&self.leaf_interval),
            "the settings ask for {} steps a leaf; expected 1 to {}",
            self.leaf_interval,
            self.inner_steps
        );
        ensure!(
            (1..=MAX_DOMAINS).contains(&self.domains.len()),
            "the settings name {} domains; expected 1 to {MAX_DOMAINS}",
            self.domains.len()
        );
        let is_once = |at: usize| !self.cheats[..at].contains(&self.cheats[at]);
        ensure!((0..self.cheats.len()).all(is_once), "the settings stage a fraud twice; name each once");
        Ok(())
    }

    /// Tokens per sequence.
    pub fn sequence_length(&self) -> u32 {
        self.model.max_seq_len as u32
    }

    /// The optimizer.
    pub fn optimizer(&self) -> AdamW {
        AdamW { steered: Steered { learning_rate: Some(0), weight_decay: None }, ..AdamW::default() }
    }

    /// Rows of the table of learning rates: all rounds, and eight more, so that the last one does not end at the least rate.
    pub fn total_steps(&self) -> usize {
        (self.rounds as usize + 8) * self.inner_steps as usize
    }

    /// How updates are written and applied, where segments hand over updates.
    pub fn codec(&self) -> UpdateCodec {
        UpdateCodec::default()
    }

    /// Lengths of the weight tensors.
    pub fn weights(&self) -> Vec<usize> {
        params(&self.model).iter().map(|param| param.len()).collect()
    }

    /// The learning rate over the job.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            peak_rate: self.learning_rate,
            warmup_steps: (self.rounds as usize * self.inner_steps as usize / 20).max(1),
            total_steps: self.total_steps(),
            final_share: 0.1,
            shape: Shape::Cosine,
        }
    }

    /// Auditors: two honest ones, and one more for each fraud after which one is out.
    pub fn auditors(&self) -> usize {
        2 + [Fraud::Vote, Fraud::Attest].iter().filter(|fraud| self.cheats.contains(fraud)).count()
    }

    /// Evaluators: three, and one more that is convicted.
    pub fn evaluators(&self) -> usize {
        3 + usize::from(self.cheats.contains(&Fraud::Score))
    }

    /// The round in which a fraud happens, and who commits it (by place): frauds are spread over the run, and no trainer is asked
    /// to cheat twice, since it is out after the first time.
    pub fn staged(&self, fraud: Fraud) -> Option<(u32, u8)> {
        let position = self.cheats.iter().position(|f| *f == fraud)?;
        let earlier = self.cheats[..position].iter().filter(|f| f.is_trainers() == fraud.is_trainers()).count() as u32;
        let last = self.rounds - 1;
        match fraud {
            Fraud::FalseAccusation => Some((1.min(last), 1)),
            Fraud::LyingEvaluator => Some((3.min(last), 2)),
            // The two honest auditors have the places 0 and 1.
            Fraud::Attest => Some((0, 2)),
            Fraud::Vote => Some((1.min(last), 2 + u8::from(self.cheats.contains(&Fraud::Attest)))),
            // The others have the places 0 to 2; two of them are honest in any case.
            Fraud::Score => Some((3.min(last), 3)),
            Fraud::Genesis => Some((0, 0)),
            // Another round is to be built on it.
            Fraud::Late => Some(((2 + 2 * earlier).min(last.saturating_sub(1)), 2 - (earlier.min(2) as u8))),
            _ => Some(((2 + 2 * earlier).min(self.rounds - 1), 2 - (earlier.min(2) as u8))),
        }
    }
}
