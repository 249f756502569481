//! What a job is asked to be: a TOML file in sections.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sip_data::{DOMAINS_MAX, Missing};
use sip_graph::{AdamW, Steered};
use sip_manifest::recipe::{Genesis, Recipe};
use sip_manifest::settings::{Exchange, MAX_ROUNDS, MAX_STEPS, MixtureRule};
use sip_model::preset::PRESETS;
use sip_model::{LlamaConfig, Schedule, Shape, UpdateCodec};
use sip_protocol::ground::units::TOKEN;
use sip_protocol::training::finality::MAX_LOOKAHEAD;
use sip_protocol::training::job::{JobSpec, MAX_TRAINERS};
use sip_protocol::training::setting::{LEARNING_RATE, MAX_SETTINGS, SETTING_ONE, Setting, WEIGHT_DECAY};
use sip_sim::deterrence::threshold;
use std::path::{Path, PathBuf};

use super::texts::{require_licence, require_name};
use sip_console::words::wrong;

/// The whole file, commented; what `--example` prints.
pub(super) const EXAMPLE: &str = include_str!("example.toml");
/// Bytes of a domain's texts that are used when nobody asks for another number.
const MAX_BYTES: usize = 100_000_000;
/// Steps of a leaf when nobody asks for another number.
const LEAF_STEPS: u32 = 16;

/// A file of what a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct JobFile {
    pub model: Model,
    pub domain: Vec<Text>,
    pub training: Training,
    pub audit: Audit,
    pub steer: Steer,
    pub terms: Terms,
    pub phases: Phases,
    pub expected: Expected,
}

/// A size by name, or a model that exists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Model {
    pub preset: Option<String>,
    pub checkpoint: Option<PathBuf>,
    pub tokenizer: Option<PathBuf>,
    pub vocabulary: Option<usize>,
    pub sequence: Option<usize>,
}

/// A domain: own texts, a dataset of somebody, or a built-in text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Text {
    pub name: Option<String>,
    pub files: Vec<PathBuf>,
    pub licence: Option<String>,
    pub max_bytes: usize,
    pub dataset: Option<String>,
    pub builtin: Option<String>,
}

impl Default for Text {
    fn default() -> Text {
        Text { name: None, files: Vec::new(), licence: None, max_bytes: MAX_BYTES, dataset: None, builtin: None }
    }
}

/// How long and how it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Training {
    pub rounds: u32,
    pub steps: u32,
    pub batch: u32,
    pub learning_rate: f64,
    pub updates: Exchange,
    pub leaf_steps: Option<u32>,
    pub seed: u64,
    pub held_out_windows: u32,
}

impl Default for Training {
    fn default() -> Training {
        Training {
            rounds: 12,
            steps: 50,
            batch: 4,
            learning_rate: 2e-3,
            updates: Exchange::Whole,
            leaf_steps: None,
            seed: 0,
            held_out_windows: 32,
        }
    }
}

/// Chances of an auditor's draws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Audit {
    pub first_percent: f64,
    pub second_percent: f64,
}

impl Default for Audit {
    fn default() -> Audit {
        Audit { first_percent: 50.0, second_percent: 95.0 }
    }
}

/// What stake may move, and how far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Steer {
    pub mixture: MixtureRule,
    pub least_percent: Option<f64>,
    pub most_percent: f64,
    pub learning_rate: Option<Bounds>,
    pub weight_decay: Option<Bounds>,
}

impl Default for Steer {
    fn default() -> Steer {
        Steer {
            mixture: MixtureRule::Linear,
            least_percent: None,
            most_percent: 100.0,
            learning_rate: None,
            weight_decay: None,
        }
    }
}

/// Bounds of a steered number, as factors, and the stake that goes half of the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bounds {
    pub least: f64,
    pub most: f64,
    pub stake_tokens: u32,
}

/// Money and how far the job builds ahead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Terms {
    pub lookahead: u8,
    pub slice_tokens: Option<u64>,
    pub round_reward_tokens: Option<u64>,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { lookahead: 2, slice_tokens: None, round_reward_tokens: None }
    }
}

/// Phases, slots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Phases {
    pub commit_slots: Option<u32>,
    pub audit_slots: Option<u32>,
    pub vote_slots: Option<u32>,
    pub evaluation_slots: Option<u32>,
    pub challenge_slots: Option<u32>,
}

/// What the proposal of phases reckons with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expected {
    pub trainers: u32,
    pub megabits: f64,
    pub slower: f64,
}

impl Default for Expected {
    fn default() -> Expected {
        Expected { trainers: 4, megabits: 100.0, slower: 2.0 }
    }
}

/// What a reader of TOML says, in the words of the file instead of the program's types.
fn plain(message: &str) -> String {
    let words = [
        ("a sequence", "a list in [brackets]"),
        ("a string", "a text in \"quotes\""),
        ("u8", "a whole number"),
        ("u32", "a whole number"),
        ("u64", "a whole number"),
        ("usize", "a whole number"),
        ("f64", "a number"),
    ];
    let message = message.replace('\n', " ");
    let (mut found, expected) =
        message.split_once(", expected ").map_or((message.as_str(), None), |(a, b)| (a, Some(b)));
    let begin = found.strip_prefix("invalid type: ").map(|rest| format!("found the {rest}"));
    found = begin.as_deref().unwrap_or(found);
    let said = |text: &str| {
        words.iter().find(|(type_name, _)| text == *type_name).map_or(text.to_owned(), |(_, word)| (*word).to_owned())
    };
    match expected {
        Some(expected) => format!("{found}, expected {}", said(expected)),
        None => found.to_owned(),
    }
}

impl JobFile {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<JobFile> {
        if !path.exists() {
            let shown = path.display();
            let said = format!("there is no file {shown}; \"sip job create --example\" prints one to begin with");
            return Err(Missing(said).into());
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        JobFile::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads TOML.
    pub(super) fn parse(text: &str) -> Result<JobFile> {
        let at = |error: &toml::de::Error| match error.span() {
            Some(span) => format!("line {}: ", text[..span.start.min(text.len())].matches('\n').count() + 1),
            None => String::new(),
        };
        let say = |error: toml::de::Error| wrong(format!("{}{}", at(&error), plain(error.message())));
        let file: JobFile = toml::from_str(text).map_err(say)?;
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<()> {
        let training = &self.training;
        for (name, value, most) in [
            ("training.rounds", training.rounds, MAX_ROUNDS),
            ("training.steps", training.steps, MAX_STEPS),
            ("training.batch", training.batch, 1 << 16),
            ("training.leaf_steps", training.leaf_steps.unwrap_or(1), training.steps),
            ("training.held_out_windows", training.held_out_windows, 1 << 20),
            ("terms.lookahead", self.terms.lookahead.into(), MAX_LOOKAHEAD as u32),
            ("expected.trainers", self.expected.trainers, MAX_TRAINERS as u32),
        ] {
            ensure!((1..=most).contains(&value), wrong(format!("{name} is {value}, expected 1 to {most}")));
        }
        for (name, value, least, most) in [
            ("training.learning_rate", training.learning_rate, 1e-9, 1.0),
            ("audit.first_percent", self.audit.first_percent, 0.0, 100.0),
            ("audit.second_percent", self.audit.second_percent, 0.0, 100.0),
            ("steer.least_percent", self.steer.least_percent.unwrap_or(0.0), 0.0, 100.0),
            ("steer.most_percent", self.steer.most_percent, 0.0, 100.0),
            ("expected.megabits", self.expected.megabits, 0.1, 1e6),
            ("expected.slower", self.expected.slower, 1.0, 1e3),
        ] {
            ensure!((least..=most).contains(&value), wrong(format!("{name} is {value}, expected {least} to {most}")));
        }
        let count = self.domain.len();
        ensure!(
            (1..=DOMAINS_MAX).contains(&count),
            wrong(format!("the file has {count} sections [[domain]], expected 1 to {DOMAINS_MAX}"))
        );
        self.domain.iter().enumerate().try_for_each(|(number, text)| text.check(number + 1))?;
        let model = &self.model;
        if model.checkpoint.is_some() {
            let other = [("preset", model.preset.is_some()), ("tokenizer", model.tokenizer.is_some())];
            if let Some((key, _)) = other.iter().find(|(_, is_there)| *is_there) {
                return Err(wrong(format!(
                    "model.checkpoint brings its own shape and tokenizer; leave model.{key} out, or the checkpoint"
                )));
            }
        }
        if model.vocabulary.is_some() && (model.tokenizer.is_some() || model.checkpoint.is_some()) {
            return Err(wrong("model.vocabulary is for a tokenizer that is learned; leave it out"));
        }
        if self.domain.iter().any(|text| text.dataset.is_some()) && !self.has_tokenizer() {
            return Err(wrong(
                "a dataset's tokens are of some tokenizer: name its folder with model.tokenizer, or the model with model.checkpoint",
            ));
        }
        self.settings()?;
        Ok(())
    }

    /// Whether the tokenizer is one that exists.
    pub(super) fn has_tokenizer(&self) -> bool {
        self.model.tokenizer.is_some() || self.model.checkpoint.is_some()
    }

    /// The shape of a preset; its vocabulary is the caller's.
    pub(super) fn preset(&self) -> Result<LlamaConfig> {
        let name = self.model.preset.as_deref().unwrap_or("small");
        match LlamaConfig::preset(name) {
            Some(config) => Ok(config),
            None => bail!(wrong(format!("model.preset is \"{name}\"; the sizes are {}", PRESETS.join(", ")))),
        }
    }

    /// What graphs, tables and sizes are made of, with a model of this shape.
    pub(super) fn recipe(&self, model: LlamaConfig, genesis: Genesis) -> Result<Recipe> {
        let training = &self.training;
        let steers = |meaning| self.settings().map(|all| all.iter().position(|setting| setting.meaning == meaning));
        let (rate, decay) = (steers(LEARNING_RATE)?, steers(WEIGHT_DECAY)?);
        let steered = Steered { learning_rate: rate.map(|at| at as _), weight_decay: decay.map(|at| at as _) };
        let steps = training.rounds as usize * training.steps as usize;
        let tokens = u64::from(training.batch) * model.max_seq_len as u64;
        ensure!(
            tokens <= 1 << 16,
            wrong(format!("a step has {} tokens (batch × sequence); no referee takes more than 65536", tokens))
        );
        Ok(Recipe {
            model,
            batch: training.batch,
            inner_steps: training.steps,
            leaf_interval: training.leaf_steps.unwrap_or(LEAF_STEPS).min(training.steps),
            rounds: training.rounds,
            windows: training.held_out_windows,
            optimizer: AdamW { steered, ..AdamW::default() },
            schedule: Schedule {
                peak_rate: training.learning_rate,
                warmup_steps: (steps / 20).max(1),
                // Eight rounds more, so that the last one does not end at the least rate.
                total_steps: steps + 8 * training.steps as usize,
                final_share: 0.1,
                shape: Shape::Cosine,
            },
            codec: (training.updates == Exchange::Compressed).then(UpdateCodec::default),
            genesis,
        })
    }

    /// What stake steers beside the mixture.
    pub(super) fn settings(&self) -> Result<Vec<Setting>> {
        let steered = [
            (LEARNING_RATE, "learning_rate", &self.steer.learning_rate),
            (WEIGHT_DECAY, "weight_decay", &self.steer.weight_decay),
        ];
        let mut settings = Vec::new();
        for (meaning, name, bounds) in steered {
            let Some(bounds) = bounds else { continue };
            let is_ordered = 0.0 <= bounds.least && bounds.least <= 1.0 && 1.0 <= bounds.most && bounds.most <= 1e4;
            ensure!(
                is_ordered && bounds.least < bounds.most && bounds.stake_tokens > 0,
                wrong(format!(
                    "steer.{name}: expected least between 0 and 1, most between 1 and 10000, and stake_tokens above 0"
                ))
            );
            let part = |value: f64| (value * f64::from(SETTING_ONE)).round() as u32;
            let values = [part(bounds.least), SETTING_ONE, part(bounds.most)];
            settings.push(Setting::new(meaning, values, bounds.stake_tokens));
        }
        Ok(settings)
    }

    /// The creator's terms over what the manifest commits; phases, slice, reward and seed are filled in later.
    pub(super) fn terms(&self, commits: JobSpec) -> Result<JobSpec> {
        let settings = self.settings()?;
        let share = 10_000 / u16::from(commits.domain_count.max(1));
        let least = self.steer.least_percent.map_or(500, |percent| (percent * 100.0).round() as u16);
        ensure!(
            self.steer.least_percent.is_none() || least <= share,
            wrong(format!("steer.least_percent is more than an equal share of {} domains", commits.domain_count))
        );
        Ok(JobSpec {
            audit_rate: threshold(self.audit.first_percent / 100.0),
            second_audit_rate: threshold(self.audit.second_percent / 100.0),
            mixture_mode: self.steer.mixture.mode() as u8,
            mixture_floor_bps: least.min(share),
            mixture_cap_bps: (self.steer.most_percent * 100.0).round() as u16,
            lookahead: self.terms.lookahead,
            slice: self.terms.slice_tokens.unwrap_or(0).saturating_mul(TOKEN),
            round_reward: self.terms.round_reward_tokens.unwrap_or(0).saturating_mul(TOKEN),
            settings: std::array::from_fn::<Setting, MAX_SETTINGS, _>(|at| {
                settings.get(at).copied().unwrap_or_default()
            }),
            ..commits
        })
    }
}

impl Text {
    fn check(&self, number: usize) -> Result<()> {
        let sources = [!self.files.is_empty(), self.dataset.is_some(), self.builtin.is_some()];
        ensure!(
            sources.iter().filter(|is_there| **is_there).count() == 1,
            wrong(format!("domain {number}: give one of files, dataset and builtin"))
        );
        if !self.files.is_empty() {
            let has = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
            ensure!(has(&self.name), wrong(format!("domain {number}: texts of your own need a name")));
            ensure!(
                has(&self.licence),
                wrong(format!("domain {number}: texts of your own need a licence, an SPDX identifier such as CC0-1.0"))
            );
        }
        let at = |key: &str| format!("domain {number}: {key}");
        self.name.as_deref().map_or(Ok(()), |name| require_name(&at("name"), name))?;
        self.licence.as_deref().map_or(Ok(()), |licence| require_licence(&at("licence"), licence))?;
        ensure!(self.max_bytes > 0, wrong(format!("domain {number}: max_bytes is 0, expected 1 or more")));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_defaults_and_names_every_key() {
        let file = JobFile::parse(EXAMPLE).unwrap();
        let plain = JobFile { domain: file.domain.clone(), ..JobFile::default() };
        let preset = Some("small".to_owned());
        assert_eq!(file, JobFile { model: Model { preset, ..Model::default() }, ..plain });
        for key in [
            "checkpoint",
            "tokenizer",
            "vocabulary",
            "sequence",
            "files",
            "licence",
            "max_bytes",
            "dataset",
            "builtin",
            "rounds",
            "steps",
            "batch",
            "learning_rate",
            "updates",
            "leaf_steps",
            "seed",
            "held_out_windows",
            "first_percent",
            "second_percent",
            "mixture",
            "least_percent",
            "most_percent",
            "weight_decay",
            "stake_tokens",
            "lookahead",
            "slice_tokens",
            "round_reward_tokens",
            "commit_slots",
            "audit_slots",
            "vote_slots",
            "evaluation_slots",
            "challenge_slots",
            "trainers",
            "megabits",
            "slower",
        ] {
            assert!(EXAMPLE.contains(&format!("{key} = ")), "{key}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_key_and_what_was_expected() {
        let own = "[[domain]]\nname = \"a\"\nfiles = [\"a.txt\"]\nlicence = \"CC0-1.0\"\n";
        for (text, expected) in [
            ("", "the file has 0 sections [[domain]], expected 1 to 8"),
            ("[[domain]]\nname = \"a\"", "domain 1: give one of files, dataset and builtin"),
            ("[[domain]]\nfiles = [\"a.txt\"]", "domain 1: texts of your own need a name"),
            ("[[domain]]\nname = \"a\"\nfiles = [\"a.txt\"]", "domain 1: texts of your own need a licence"),
            ("[[domain]]\ndataset = \"4444\"", "a dataset's tokens are of some tokenizer"),
            (&own.replace("\"a\"", "\"../a\""), "domain 1: name is \"../a\"; a name has letters"),
            (&own.replace("CC0-1.0", "my own"), "domain 1: licence is \"my own\", which is no SPDX identifier"),
            (
                &own.replace("[\"a.txt\"]", "\"a.txt\""),
                "line 3: found the string \"a.txt\", expected a list in [brackets]",
            ),
            (
                &format!("{own}[training]\nrounds = 1.5"),
                "line 6: found the floating point `1.5`, expected a whole number",
            ),
            (&format!("{own}[training]\nrounds = 0"), "training.rounds is 0, expected 1 to 1000"),
            (&format!("{own}[training]\nroundz = 3"), "line 6: unknown field `roundz`"),
            (&format!("{own}[terms]\nlookahead = 9"), "terms.lookahead is 9, expected 1 to 8"),
            (&format!("{own}[model]\ncheckpoint = \"m\"\npreset = \"small\""), "leave model.preset out"),
            (
                &format!("{own}[steer]\nlearning_rate = {{ least = 2.0, most = 3.0, stake_tokens = 5 }}"),
                "steer.learning_rate: expected least between 0 and 1",
            ),
        ] {
            let error = JobFile::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
