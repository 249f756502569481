//! One way to open a model, whatever layout it comes in.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use sip_graph::Buffer;
use thiserror::Error;

use crate::chat::{ChatError, ChatTemplate};
use crate::export::{
    CHAT_TEMPLATE_FILE, CONFIG_FILE, ConfigFile, ExportError, GENERATION_CONFIG_FILE, GenerationConfigFile,
    LlamaConfig, SaveOptions, TensorRef, commit_model, read_file, read_weights, stage_model,
};
use crate::tokenizer::{SpecialTokens, TOKENIZER_CONFIG_FILE, Tokenizer, TokenizerError};

/// The files beside the weights are read up to this size.
const SIDE_FILE_LIMIT_BYTES: u64 = 16 << 20;

/// A model with everything that is needed to use it.
#[derive(Clone, Debug)]
pub struct LoadedModel {
    /// Its shape. `max_seq_len` is the longest sequence that it was made for; callers may lower it.
    pub config: LlamaConfig,
    /// Its parameters as f32 bits, in the order of [`LlamaConfig::parameters`], which is that of the state entries.
    pub weights: Vec<Buffer>,
    /// Its tokenizer; ids are below `config.vocab_size`.
    pub tokenizer: Tokenizer,
    /// The tokens that begin and end its texts.
    pub special: SpecialTokens,
    /// How conversations become text, or why they do not.
    pub chat: Result<ChatTemplate, ChatError>,
}

/// Why a model cannot be opened or saved.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Its shape or its weights.
    #[error(transparent)]
    Weights(#[from] ExportError),
    /// Its tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The vocabulary of the tokenizer is not that of the weights.
    #[error(
        "{path}: the tokenizer has ids up to {id}, but the model has only {vocab_size} rows: they do not belong together",
        path = path.display()
    )]
    Vocabulary {
        /// The folder or file.
        path: PathBuf,
        /// The largest id.
        id: usize,
        /// Rows of the embedding.
        vocab_size: usize,
    },
}

impl LoadedModel {
    /// Opens a Hugging Face folder or a `.gguf` file.
    ///
    /// The folder holds `config.json`, weights (`model.safetensors`, or several files and their index) and
    /// `tokenizer.json`; `generation_config.json`, `tokenizer_config.json` and `chat_template.jinja` are read where there
    /// are any.
    ///
    /// # Errors
    /// What is wrong with which file: not found, cut short, not of its format, a model that is no plain Llama, tensors
    /// that do not fit or are not finite, a tokenizer that is not supported.
    pub fn open(path: &Path) -> Result<LoadedModel, LoadError> {
        let model = match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) {
            true => crate::gguf::open(path)?,
            false => open_folder(path)?,
        };
        let (count, vocab_size) = (model.tokenizer.vocab_size(), model.config.vocab_size);
        if count > vocab_size {
            return Err(LoadError::Vocabulary { path: path.to_owned(), id: count - 1, vocab_size });
        }
        Ok(model)
    }

    /// Writes the model as a Hugging Face folder that `transformers` and [`LoadedModel::open`] read.
    ///
    /// # Errors
    /// As [`crate::export::save_pretrained_with`] and [`Tokenizer::save`].
    pub fn save(&self, folder: &Path, options: SaveOptions) -> Result<(), LoadError> {
        let parameters = self.config.parameters();
        let tensors: Vec<TensorRef<'_>> = parameters
            .iter()
            .zip(&self.weights)
            .map(|((name, shape), bits)| TensorRef { name, shape, data: bits.as_f32() })
            .collect();
        let template = self.chat.as_ref().ok().map(ChatTemplate::to_jinja);
        let mut staged =
            self.tokenizer.stage_with(folder, self.config.max_seq_len, &self.special, template.as_deref())?;
        staged.extend(stage_model(folder, &self.config, &self.special, &tensors, options)?);
        commit_model(folder, staged)?;
        Ok(())
    }
}

/// What `tokenizer_config.json` says beyond the tokenizer itself.
#[derive(Default, Deserialize)]
struct TokenizerConfigFile {
    #[serde(default)]
    bos_token: Value,
    #[serde(default)]
    eos_token: Value,
    #[serde(default)]
    add_bos_token: Option<bool>,
    #[serde(default)]
    chat_template: Value,
}

fn open_folder(folder: &Path) -> Result<LoadedModel, LoadError> {
    let config_path = folder.join(CONFIG_FILE);
    let config_file = ConfigFile::load(&config_path)?;
    let generation = GenerationConfigFile::load(&folder.join(GENERATION_CONFIG_FILE))?;
    let (mut bos, mut end) = config_file.token_ids();
    if let Some(generation) = generation {
        let (other_bos, other_end) = generation.token_ids();
        bos = bos.or(other_bos);
        end.extend(other_end);
    }
    let config = config_file.into_config(&config_path)?;
    let tokenizer = Tokenizer::load(folder)?;

    let path = folder.join(TOKENIZER_CONFIG_FILE);
    let mut tokenizer_config = TokenizerConfigFile::default();
    if path.exists() {
        tokenizer_config = serde_json::from_slice(&read_file(&path, SIDE_FILE_LIMIT_BYTES)?)
            .map_err(|error| ExportError::Format { path, reason: error.to_string() })?;
    }
    let named = |token: &Value| {
        let text = token.as_str().or_else(|| token.get("content").and_then(Value::as_str));
        text.and_then(|text| tokenizer.id(text))
    };
    let bos = named(&tokenizer_config.bos_token).or(bos);
    end.extend(named(&tokenizer_config.eos_token));
    let begin = match tokenizer.has_documents() {
        true => bos,
        false => tokenizer.begin()?.or(bos.filter(|_| tokenizer_config.add_bos_token == Some(true))),
    };
    let is_row = |id: &u32| (*id as usize) < config.vocab_size;
    let special = SpecialTokens { begin: begin.filter(is_row), bos: bos.filter(is_row), end: unique(end, &config) };

    let path = folder.join(CHAT_TEMPLATE_FILE);
    let template = match path.exists() {
        true => Some(String::from_utf8_lossy(&read_file(&path, SIDE_FILE_LIMIT_BYTES)?).into_owned()),
        false => tokenizer_config.chat_template.as_str().map(str::to_owned),
    };
    let chat = recognise(template.as_deref());
    let weights = read_weights(folder, &config)?;
    Ok(LoadedModel { config, weights, tokenizer, special, chat })
}

/// The template of a model's files, if they have one.
pub(crate) fn recognise(template: Option<&str>) -> Result<ChatTemplate, ChatError> {
    template.map_or(Err(ChatError::Missing), ChatTemplate::recognise)
}

/// Each id once, in the order in which they were named, and only those that the model can write.
pub(crate) fn unique(ids: Vec<u32>, config: &LlamaConfig) -> Vec<u32> {
    let mut found: Vec<u32> = Vec::new();
    for id in ids {
        if (id as usize) < config.vocab_size && !found.contains(&id) {
            found.push(id);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn model(chat: Result<ChatTemplate, ChatError>) -> LoadedModel {
        let tokenizer = Tokenizer::train(&[], 257).unwrap();
        let config = LlamaConfig {
            vocab_size: 257,
            hidden_size: 8,
            intermediate_size: 12,
            num_layers: 1,
            num_heads: 2,
            num_kv_heads: 2,
            head_dim: None,
            max_seq_len: 16,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: None,
            tie_embeddings: true,
        };
        let weights = config.parameters().iter().map(|(_, shape)| Buffer::new(shape.iter().product())).collect();
        LoadedModel { config, weights, tokenizer, special: SpecialTokens::document(), chat }
    }

    #[test]
    fn the_chat_template_of_the_model_before_does_not_survive() {
        let folder = tempfile::tempdir().unwrap();
        let template = folder.path().join(CHAT_TEMPLATE_FILE);
        fs::write(&template, "{{ of another model }}").unwrap();
        model(Ok(ChatTemplate::ChatMl { default_system: None })).save(folder.path(), SaveOptions::default()).unwrap();
        assert!(!template.exists());
        assert!(LoadedModel::open(folder.path()).unwrap().chat.is_ok());
    }

    #[test]
    fn tokens_that_are_no_rows_begin_no_text() {
        let folder = tempfile::tempdir().unwrap();
        model(Err(ChatError::Missing)).save(folder.path(), SaveOptions::default()).unwrap();
        fs::remove_file(folder.path().join(TOKENIZER_CONFIG_FILE)).unwrap();
        let path = folder.path().join(CONFIG_FILE);
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["bos_token_id"] = 999_999.into();
        fs::write(&path, config.to_string()).unwrap();
        let special = LoadedModel::open(folder.path()).unwrap().special;
        assert_eq!((special.begin, special.bos), (None, None));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let said = || LoadedModel::open(folder.path()).unwrap_err().to_string();
        model(Err(ChatError::Missing)).save(folder.path(), SaveOptions::default()).unwrap();
        fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
        assert!(said().contains("tokenizer.json: not a usable tokenizer.json: missing field"), "{}", said());
        Tokenizer::train(&["abab abab abab"], 300).unwrap().save(folder.path(), 16).unwrap();
        assert!(said().contains("the model has only 257 rows"), "{}", said());
        assert!(said().starts_with(&folder.path().display().to_string()), "{}", said());
        model(Err(ChatError::Missing)).save(folder.path(), SaveOptions::default()).unwrap();
        fs::remove_file(folder.path().join("model.safetensors")).unwrap();
        fs::create_dir(folder.path().join("model.safetensors")).unwrap();
        assert!(said().contains("is a folder"), "{}", said());
    }
}
