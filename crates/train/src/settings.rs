//! What a run of `sip train` is asked to do: a TOML file in sections, every key with a default.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sip_data::Missing;
use sip_graph::AdamW;
use sip_model::preset::PRESETS;
use sip_model::{LlamaConfig, Schedule, Shape};
use std::path::{Path, PathBuf};

/// The whole file, commented; what `--example` prints.
pub const EXAMPLE: &str = include_str!("example.toml");

/// A file of settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub(crate) model: Model,
    pub(crate) data: Data,
    pub(crate) batch: Batch,
    pub(crate) optimizer: Optimizer,
    pub(crate) schedule: Rates,
    pub(crate) run: Run,
    pub(crate) checkpoints: Checkpoints,
}

/// A size by name, and what is different from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) preset: String,
    pub(crate) hidden_size: Option<usize>,
    pub(crate) intermediate_size: Option<usize>,
    pub(crate) layers: Option<usize>,
    pub(crate) heads: Option<usize>,
    pub(crate) key_value_heads: Option<usize>,
    pub(crate) rope_theta: Option<f32>,
    pub(crate) tie_embeddings: Option<bool>,
}

impl Default for Model {
    fn default() -> Model {
        Model {
            preset: "small".into(),
            hidden_size: None,
            intermediate_size: None,
            layers: None,
            heads: None,
            key_value_heads: None,
            rope_theta: None,
            tie_embeddings: None,
        }
    }
}

/// Texts, their shares, and the tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Data {
    pub(crate) builtin: Vec<String>,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) weights: Vec<f64>,
    pub(crate) max_bytes: usize,
    pub(crate) vocabulary: Option<usize>,
    pub(crate) tokenizer: Option<PathBuf>,
}

impl Default for Data {
    fn default() -> Data {
        Data {
            builtin: Vec::new(),
            files: Vec::new(),
            weights: Vec::new(),
            max_bytes: 100_000_000,
            vocabulary: None,
            tokenizer: None,
        }
    }
}

/// What a step works on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Batch {
    pub(crate) rows: usize,
    pub(crate) sequence: Option<usize>,
    pub(crate) micro_batches: u32,
    pub(crate) recompute: bool,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch { rows: 8, sequence: None, micro_batches: 1, recompute: false }
    }
}

/// AdamW.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Optimizer {
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) epsilon: f32,
    pub(crate) weight_decay: f32,
    pub(crate) clip_norm: f32,
}

impl Default for Optimizer {
    fn default() -> Optimizer {
        let AdamW { beta1, beta2, epsilon, weight_decay, clip_norm, .. } = AdamW::default();
        Optimizer { beta1, beta2, epsilon, weight_decay, clip_norm }
    }
}

impl Optimizer {
    /// The optimizer, if its numbers are in range.
    pub(crate) fn adamw(&self) -> Result<AdamW> {
        for (name, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            ensure!((0.0..1.0).contains(&value), "optimizer.{name} is {value}, expected 0 or more and below 1");
        }
        for (name, value) in [("epsilon", self.epsilon), ("clip_norm", self.clip_norm)] {
            ensure!(value > 0.0 && value.is_finite(), "optimizer.{name} is {value}, expected a number above 0");
        }
        let decay = self.weight_decay;
        ensure!((0.0..=10.0).contains(&decay), "optimizer.weight_decay is {decay}, expected 0 to 10");
        let Optimizer { beta1, beta2, epsilon, weight_decay, clip_norm } = *self;
        Ok(AdamW { beta1, beta2, epsilon, weight_decay, clip_norm, ..AdamW::default() })
    }
}

/// The learning rate over the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rates {
    pub(crate) shape: ShapeName,
    pub(crate) peak: f64,
    pub(crate) warmup_steps: Option<usize>,
    pub(crate) final_share: f64,
    pub(crate) decay_steps: Option<usize>,
}

/// The shapes by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ShapeName {
    /// It stays at its peak
    Constant,
    /// It falls in a straight line
    Linear,
    /// It falls along half a cosine
    Cosine,
    /// It stays at its peak and falls at the end
    StableDecay,
}

impl Default for Rates {
    fn default() -> Rates {
        Rates { shape: ShapeName::Cosine, peak: 2e-3, warmup_steps: None, final_share: 0.1, decay_steps: None }
    }
}

impl Rates {
    /// The schedule of a run of so many steps: without other words, a twentieth of it is warm-up and a fifth decay.
    pub(crate) fn schedule(&self, steps: usize) -> Result<Schedule> {
        let (peak, share) = (self.peak, self.final_share);
        ensure!(peak > 0.0 && peak <= 1.0, "schedule.peak is {peak}, expected a learning rate above 0 and up to 1");
        ensure!((0.0..=1.0).contains(&share), "schedule.final_share is {share}, expected 0 to 1");
        let shape = match self.shape {
            ShapeName::Constant => Shape::Constant,
            ShapeName::Linear => Shape::Linear,
            ShapeName::Cosine => Shape::Cosine,
            ShapeName::StableDecay => {
                Shape::StableDecay { decay_steps: self.decay_steps.unwrap_or((steps / 5).max(1)) }
            }
        };
        if let (Some(_), Shape::Constant | Shape::Linear | Shape::Cosine) = (self.decay_steps, shape) {
            bail!("schedule.decay_steps belongs to the shape stable-decay, but the shape is another");
        }
        let warmup_steps = self.warmup_steps.unwrap_or(steps / 20);
        ensure!(warmup_steps <= steps, "schedule.warmup_steps is {warmup_steps}, but the run has {steps} steps");
        Ok(Schedule { peak_rate: peak, warmup_steps, total_steps: steps, final_share: share, shape })
    }
}

/// How long, from which seed, and where to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) steps: usize,
    pub(crate) seed: u64,
    pub(crate) out: PathBuf,
    pub(crate) eval_every: usize,
    pub(crate) eval_windows: usize,
}

impl Default for Run {
    fn default() -> Run {
        Run { steps: 1000, seed: 0, out: "sip-train".into(), eval_every: 100, eval_windows: 32 }
    }
}

/// What is kept on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Checkpoints {
    pub(crate) every: usize,
    pub(crate) keep: usize,
    pub(crate) bf16_weights: bool,
}

impl Default for Checkpoints {
    fn default() -> Checkpoints {
        Checkpoints { every: 100, keep: 2, bf16_weights: false }
    }
}

/// The texts that are built in.
const BUILTIN: [&str; 3] = ["addresses", "novels", "scripture"];

impl Settings {
    /// Reads a file of settings.
    ///
    /// # Errors
    /// Where it cannot be read, or a key is unknown or out of its bounds.
    pub fn read(path: &Path) -> Result<Settings> {
        if !path.exists() {
            let said = format!("there is no file {}; \"sip train --example\" prints one to begin with", path.display());
            return Err(Missing(said).into());
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Settings::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads settings from TOML; a key that does not exist is an error that names the nearest one.
    ///
    /// # Errors
    /// Where a key is unknown or out of its bounds.
    pub fn parse(text: &str) -> Result<Settings> {
        let at = |error: &toml::de::Error| match error.span() {
            Some(span) => format!("line {}: ", text[..span.start.min(text.len())].matches('\n').count() + 1),
            None => String::new(),
        };
        let say = |error: toml::de::Error| anyhow::anyhow!("{}{}", at(&error), error.message().replace('\n', " "));
        let table: toml::Table = text.parse().map_err(say)?;
        check_keys(&table)?;
        let settings: Settings = toml::from_str(text).map_err(say)?;
        settings.check()?;
        Ok(settings)
    }

    /// A value for every key, which tells the keys that there are.
    fn full() -> Settings {
        let mut all = Settings::default();
        let model = &mut all.model;
        (model.hidden_size, model.intermediate_size, model.layers) = (Some(1), Some(1), Some(1));
        (model.heads, model.key_value_heads) = (Some(1), Some(1));
        (model.rope_theta, model.tie_embeddings) = (Some(1.0), Some(true));
        (all.data.vocabulary, all.data.tokenizer) = (Some(1), Some("x".into()));
        all.batch.sequence = Some(1);
        (all.schedule.warmup_steps, all.schedule.decay_steps) = (Some(1), Some(1));
        all
    }

    fn check(&self) -> Result<()> {
        for (name, value, limit) in [
            ("run.steps", self.run.steps, 1 << 24),
            ("run.eval_windows", self.run.eval_windows, 1 << 20),
            ("batch.rows", self.batch.rows, 1 << 16),
            ("batch.micro_batches", self.batch.micro_batches as usize, 1 << 16),
            ("checkpoints.every", self.checkpoints.every, 1 << 24),
            ("checkpoints.keep", self.checkpoints.keep, 1 << 24),
            ("data.max_bytes", self.data.max_bytes, 1 << 40),
        ] {
            ensure!((1..=limit).contains(&value), "{name} is {value}, expected 1 to {limit}");
        }
        for name in &self.data.builtin {
            if !BUILTIN.contains(&name.as_str()) {
                bail!("data.builtin names \"{name}\", but the texts that are built in are {}", BUILTIN.join(", "));
            }
        }
        if let (Some(_), Some(_)) = (&self.data.vocabulary, &self.data.tokenizer) {
            bail!("data.vocabulary is for a tokenizer that is learned, but data.tokenizer names one; give one of them");
        }
        self.optimizer.adamw()?;
        self.rates()?;
        Ok(())
    }

    /// The folder for the results.
    pub fn out(&self) -> &Path {
        &self.run.out
    }

    /// Another folder for the results.
    pub fn set_out(&mut self, out: &Path) {
        out.clone_into(&mut self.run.out);
    }

    /// All files that the run reads, each with the key that names it.
    pub fn inputs(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let files = self.data.files.iter().map(|path| ("data.files", path.as_path()));
        files.chain(self.data.tokenizer.iter().map(|path| ("data.tokenizer", path.as_path())))
    }

    /// The learning rate over the run.
    pub(crate) fn rates(&self) -> Result<Schedule> {
        self.schedule.schedule(self.run.steps)
    }

    /// Built-in texts that are used: those named, or all if there is no text at all.
    pub(crate) fn builtin(&self) -> Vec<&str> {
        match self.data.builtin.is_empty() && self.data.files.is_empty() {
            true => BUILTIN.to_vec(),
            false => self.data.builtin.iter().map(String::as_str).collect(),
        }
    }

    /// The shape of the model; its vocabulary is the preset's until there is a tokenizer.
    pub(crate) fn shape(&self) -> Result<LlamaConfig> {
        let model = &self.model;
        let Some(mut config) = LlamaConfig::preset(&model.preset) else {
            let near = nearest(&model.preset, PRESETS.into_iter());
            bail!("model.preset is \"{}\"{near}; the sizes are {}", model.preset, PRESETS.join(", "));
        };
        let set = |size: &mut usize, value: Option<usize>| *size = value.unwrap_or(*size);
        set(&mut config.hidden_size, model.hidden_size);
        set(&mut config.intermediate_size, model.intermediate_size);
        set(&mut config.num_layers, model.layers);
        set(&mut config.num_heads, model.heads);
        config.num_kv_heads = model.key_value_heads.unwrap_or(config.num_heads);
        config.rope_theta = model.rope_theta.unwrap_or(config.rope_theta);
        config.tie_embeddings = model.tie_embeddings.unwrap_or(config.tie_embeddings);
        set(&mut config.max_seq_len, self.batch.sequence);
        set(&mut config.vocab_size, self.data.vocabulary);
        config.validate()?;
        Ok(config)
    }
}

/// Refuses keys that there are not, the first one by name.
fn check_keys(found: &toml::Table) -> Result<()> {
    let known = toml::Table::try_from(Settings::full()).context("cannot list the keys of a run")?;
    for (section, content) in found {
        let Some(keys) = known.get(section).and_then(toml::Value::as_table) else {
            let home = known.iter().find(|(_, keys)| keys.get(section).is_some()).map(|(home, _)| home);
            if let Some(home) = home {
                bail!("the key {section} belongs into the section [{home}]");
            }
            let near = nearest(section, known.keys().map(String::as_str));
            let all: Vec<String> = known.keys().map(|key| format!("[{key}]")).collect();
            bail!("there is no section [{section}]{near}; the sections are {}", all.join(", "));
        };
        let Some(content) = content.as_table() else {
            bail!("{section} is a section: write [{section}] and its keys below");
        };
        if let Some(key) = content.keys().find(|key| !keys.contains_key(*key)) {
            let home = known.iter().find(|(_, keys)| keys.get(key).is_some()).map(|(home, _)| home);
            if let Some(home) = home {
                bail!("there is no key {section}.{key}; it belongs into the section [{home}]");
            }
            let near = nearest(key, keys.keys().map(String::as_str));
            let all: Vec<&str> = keys.keys().map(String::as_str).collect();
            bail!("there is no key {section}.{key}{near}; the keys of [{section}] are {}", all.join(", "));
        }
    }
    Ok(())
}

/// ", did you mean …?" if a name is near.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let closest = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    match closest {
        Some((distance, known)) if distance <= 1 + known.len() / 3 => format!(", did you mean {known}?"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", Settings::parse(text).expect_err("refused"))
    }

    #[test]
    fn the_example_holds_every_key_with_its_default() {
        assert_eq!(
            Settings::parse(EXAMPLE).unwrap(),
            Settings { data: Settings::parse(EXAMPLE).unwrap().data, ..Settings::default() }
        );
        // With every comment that is a key made one, each key there is appears once.
        let uncommented: String = EXAMPLE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(key) if key.contains(" = ") => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let found: toml::Table = uncommented.parse().unwrap();
        for (section, keys) in toml::Table::try_from(Settings::full()).unwrap() {
            let expected: Vec<&String> = keys.as_table().unwrap().keys().collect();
            let found = found[&section].as_table().unwrap();
            let mut found: Vec<&String> = found.keys().collect();
            found.sort();
            let mut expected = expected;
            expected.sort();
            assert_eq!(found, expected, "section {section}");
        }
        toml::from_str::<Settings>(&uncommented).unwrap();
    }

    #[test]
    fn an_unknown_key_is_told_its_nearest_known_one() {
        assert_eq!(
            error("[run]\nstepz = 5"),
            "there is no key run.stepz, did you mean steps?; the keys of [run] are eval_every, eval_windows, out, seed, steps"
        );
        assert!(
            error("[optimiser]\nbeta1 = 0.9").starts_with("there is no section [optimiser], did you mean optimizer?")
        );
        assert_eq!(error("[run]\nrows = 5"), "there is no key run.rows; it belongs into the section [batch]");
        assert_eq!(error("steps = 5"), "the key steps belongs into the section [run]");
        assert!(error("[run]\nzzzzzzzzz = 5").starts_with("there is no key run.zzzzzzzzz; the keys of [run] are "));
        assert_eq!(error("model = 5"), "model is a section: write [model] and its keys below");
    }

    #[test]
    fn bad_values_are_named_with_what_was_expected() {
        assert!(error("[run]\n\nsteps = \"many\"").starts_with("line 3: invalid type: string \"many\""));
        assert!(error("[run]\nsteps = ").starts_with("line 2: "));
        assert_eq!(error("[run]\nsteps = 0"), "run.steps is 0, expected 1 to 16777216");
        assert!(error("[schedule]\nshape = \"cosin\"").contains("unknown variant `cosin`"));
        assert_eq!(error("[schedule]\npeak = 7"), "schedule.peak is 7, expected a learning rate above 0 and up to 1");
        assert!(error("[schedule]\ndecay_steps = 7").contains("belongs to the shape stable-decay"));
        assert!(
            error("[data]\nbuiltin = [\"poems\"]").contains("\"poems\", but the texts that are built in are addresses")
        );
        assert!(error("[data]\nvocabulary = 300\ntokenizer = \"x\"").contains("give one of them"));
        assert!(error("[optimizer]\nbeta1 = 1.0").contains("expected 0 or more and below 1"));
        let odd = Settings::parse("[model]\npreset = \"smal\"").unwrap().shape().unwrap_err().to_string();
        assert!(odd.starts_with("model.preset is \"smal\", did you mean small?; the sizes are tiny, small"), "{odd}");
        assert!(Settings::parse("[model]\nheads = 3").unwrap().shape().is_err());
    }
}
