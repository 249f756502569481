//! One way to open a model, whatever layout it comes in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sip_graph::Buffer;
use thiserror::Error;

use crate::adapter;
use crate::chat::ChatTemplates;
use crate::export::other_files::{head, refuse_other};
use crate::export::{
    BYTE_ORDER_MARK, CONFIG_FILE, ConfigFile, ExportError, GENERATION_CONFIG_FILE, GenerationConfigFile, LlamaConfig,
    SaveOptions, TensorRef, commit_model, read_weights, stage_model,
};
use crate::lora::ADAPTER_CONFIG_FILE;
use crate::side::{ADDED_TOKENS_FILE, ADDED_TOKENS_KEY, ROLES, SideFiles, further_roles};
use crate::tokenizer::{
    SPECIAL_TOKENS_FILE, SpecialTokens, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, Tokenizer, TokenizerError, added,
};

/// A model with everything that is needed to use it.
#[derive(Clone, Debug)]
pub struct LoadedModel {
    /// Its shape. `max_seq_len` is the longest sequence that it was made for; callers may lower it.
    pub config: LlamaConfig,
    /// Its parameters as f32 bits, in the order of [`LlamaConfig::parameters`], which is that of the state entries.
    pub weights: Vec<Buffer>,
    /// Its tokenizer; texts have only ids below `config.vocab_size`.
    pub tokenizer: Tokenizer,
    /// The tokens that begin and end its texts.
    pub special: SpecialTokens,
    /// How conversations become text.
    pub chat: ChatTemplates,
    /// Its other files, as they were read.
    pub side: SideFiles,
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
    /// An adapter on top of it.
    #[error(transparent)]
    Adapter(#[from] adapter::AdapterError),
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
    /// Opens a Hugging Face folder, a `.gguf` file, or the folder of an adapter, whose model is found where the adapter says.
    ///
    /// The folder holds `config.json`, weights (`model.safetensors`, or several files and their index) and
    /// `tokenizer.json`; other files are read where there are any, and kept.
    ///
    /// # Errors
    /// What is wrong with which file: not found, cut short, not of its format, a model that is no plain Llama, tensors
    /// that do not fit or are not finite, a tokenizer that is not supported.
    pub fn open(path: &Path) -> Result<LoadedModel, LoadError> {
        LoadedModel::open_with(path, None)
    }

    /// As [`LoadedModel::open`], with the adapter in another folder merged into the weights.
    ///
    /// # Errors
    /// As [`LoadedModel::open`], and an adapter that does not fit or is of a kind that is not read.
    pub fn open_with(path: &Path, adapter: Option<&Path>) -> Result<LoadedModel, LoadError> {
        let is_adapter = path.join(ADAPTER_CONFIG_FILE).is_file() && !path.join(CONFIG_FILE).exists();
        if is_adapter {
            let base = adapter::base_model(path)?;
            return LoadedModel::open_with(&base, Some(path));
        }
        let mut model = match path.is_file() {
            true if head(path).starts_with(b"GGUF") => crate::gguf::open(path)?,
            true => return Err(no_folder(path).into()),
            false => open_folder(path)?,
        };
        if let Some(folder) = adapter {
            adapter::merge(folder, &model.config, &mut model.weights)?;
            if folder.join(TOKENIZER_FILE).is_file() {
                // Tunes bring the tokenizer and the template that they were made with.
                let side = SideFiles::read(folder)?.or(std::mem::take(&mut model.side));
                let text = read_text(folder, side, model.config.vocab_size, TokenIds::default())?;
                let end = unique([&text.special.end[..], &model.special.end].concat(), model.config.vocab_size);
                let special = SpecialTokens { end, ..text.special };
                model = LoadedModel { tokenizer: text.tokenizer, special, chat: text.chat, side: text.side, ..model };
            }
        }
        let (count, vocab_size) = (model.tokenizer.trained_size(), model.config.vocab_size);
        if count > vocab_size {
            return Err(LoadError::Vocabulary { path: path.to_owned(), id: count - 1, vocab_size });
        }
        model.tokenizer.set_rows(vocab_size);
        Ok(model)
    }

    /// The tokenizer of a model and what goes with it, without reading weights; of a folder, that of an adapter too.
    ///
    /// # Errors
    /// As [`LoadedModel::open`], but for weights.
    pub fn open_tokenizer(path: &Path) -> Result<Text, LoadError> {
        let (mut text, rows) = match path.is_file() {
            true if head(path).starts_with(b"GGUF") => crate::gguf::open_tokenizer(path)?,
            true => return Err(no_folder(path).into()),
            false if path.join(CONFIG_FILE).is_file() || !path.join(TOKENIZER_FILE).is_file() => open_text(path)?,
            false => {
                let side = SideFiles::read(path)?;
                (read_text(path, side, usize::MAX, TokenIds::default())?, usize::MAX)
            }
        };
        text.tokenizer.set_rows(rows);
        Ok(text)
    }

    /// Writes the model as a Hugging Face folder that `transformers` and [`LoadedModel::open`] read. Files beside the weights are
    /// written as they were read, and of `config.json` only what training may have changed is new.
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
        let mut staged = self.side.stage(folder)?;
        if self.side.get(TOKENIZER_FILE).is_none() {
            let own = self.tokenizer.stage_with(folder, self.config.max_seq_len, &self.special, None)?;
            let is_given = |path: &Path| self.side.names().any(|name| folder.join(name) == path);
            staged.extend(own.into_iter().filter(|file| !is_given(file.path())));
        }
        staged.extend(stage_model(folder, &self.config, &self.special, &tensors, options, &self.side)?);
        commit_model(folder, staged)?;
        Ok(())
    }
}

/// A file that is no GGUF file is no model by itself.
fn no_folder(path: &Path) -> ExportError {
    if let Err(error) = refuse_other(path) {
        return error;
    }
    let what =
        "a file, expected a folder in the Hugging Face layout or a GGUF file: name the folder around it".to_owned();
    ExportError::SomethingElse { path: path.to_owned(), what }
}

fn open_folder(folder: &Path) -> Result<LoadedModel, LoadError> {
    let path = folder.join(CONFIG_FILE);
    let mut config = ConfigFile::load(&path)?.into_config(&path)?;
    let (Text { tokenizer, special, chat, side }, _) = open_text(folder)?;
    let weights = read_weights(folder, &mut config)?;
    Ok(LoadedModel { config, weights, tokenizer, special, chat, side })
}

/// What the files of a model say about texts, and the rows of its embedding.
fn open_text(folder: &Path) -> Result<(Text, usize), LoadError> {
    let config_path = folder.join(CONFIG_FILE);
    let config_file = ConfigFile::load(&config_path)?;
    let (bos, end) = config_file.token_ids();
    let mut ids = TokenIds { bos, end };
    if let Some(generation) = GenerationConfigFile::load(&folder.join(GENERATION_CONFIG_FILE))? {
        let (bos, end) = generation.token_ids();
        ids.bos = ids.bos.or(bos);
        ids.end.extend(end);
    }
    let rows = config_file.into_config(&config_path)?.vocab_size;
    Ok((read_text(folder, SideFiles::read(folder)?, rows, ids)?, rows))
}

/// The tokens that the model's configuration names by their ids.
#[derive(Default)]
struct TokenIds {
    bos: Option<u32>,
    end: Vec<u32>,
}

/// What a model's files say about texts.
#[derive(Clone, Debug)]
pub struct Text {
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// The tokens that begin and end its texts.
    pub special: SpecialTokens,
    /// How conversations become text.
    pub chat: ChatTemplates,
    /// The files themselves.
    pub side: SideFiles,
}

/// The tokenizer's word comes before that of the model's configuration.
fn read_text(folder: &Path, side: SideFiles, rows: usize, ids: TokenIds) -> Result<Text, LoadError> {
    let (settings, decoder) = side.json_but(folder, TOKENIZER_CONFIG_FILE, ADDED_TOKENS_KEY)?;
    let map = side.json(folder, SPECIAL_TOKENS_FILE)?;
    let added = side.json(folder, ADDED_TOKENS_FILE)?;
    let path = folder.join(TOKENIZER_FILE);
    let Some(json) = side.get(TOKENIZER_FILE) else {
        refuse_other(&path)?;
        let what = match ["tokenizer.model", "spiece.model", "vocab.json"]
            .into_iter()
            .find(|name| side.get(name).is_some())
        {
            Some(name) => format!(
                "missing; {name} is there, from which transformers makes it: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
            ),
            None => "missing: fetch it from where the model is from".to_owned(),
        };
        return Err(ExportError::SomethingElse { path, what }.into());
    };
    let in_file = |error| TokenizerError::File { path: path.clone(), source: Box::new(error) };
    let beside = added::beside(&settings, decoder, &map, &added).map_err(in_file)?;
    let tokenizer =
        Tokenizer::from_json_with(json.strip_prefix(BYTE_ORDER_MARK).unwrap_or(json), &beside).map_err(in_file)?;

    let role = |name: &str| -> Option<String> {
        let text = |value: &Value| value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned);
        [&settings, &map].into_iter().find_map(|file| file.get(name).and_then(text))
    };
    let named = |name: &str| role(name).and_then(|text| tokenizer.id(&text));
    let bos = named("bos_token").or(ids.bos);
    let end: Vec<u32> = named("eos_token").into_iter().chain(ids.end).collect();
    // As in `transformers`, what tokenizer.json sets before texts counts; add_bos_token is for tokenizers without one.
    let begin = if tokenizer.has_documents() { bos } else { tokenizer.begin()? };
    let is_row = |id: &u32| (*id as usize) < rows;
    let special = SpecialTokens { begin: begin.filter(is_row), bos: bos.filter(is_row), end: unique(end, rows) };
    let further = [&settings, &map].into_iter().flat_map(further_roles).map(|(name, _)| name);
    let tokens = ROLES.into_iter().chain(further).filter_map(|name| Some((name.to_owned(), role(name)?))).collect();
    let chat = ChatTemplates::new(side.templates(folder)?, tokens);
    Ok(Text { tokenizer, special, chat, side })
}

/// Each id once, in the order in which they were named, and only those that the model can write.
pub(crate) fn unique(ids: Vec<u32>, rows: usize) -> Vec<u32> {
    let mut found: Vec<u32> = Vec::new();
    for id in ids {
        if (id as usize) < rows && !found.contains(&id) {
            found.push(id);
        }
    }
    found
}

/// What a model from elsewhere would have beside its tokenizer, of tokens by role and templates by name.
pub(crate) fn synthetic(
    roles: &BTreeMap<String, String>,
    templates: &BTreeMap<String, String>,
    length: usize,
) -> SideFiles {
    let mut settings: serde_json::Map<String, Value> =
        roles.iter().map(|(role, token)| (role.clone(), token.as_str().into())).collect();
    let mut side = SideFiles::default();
    side.insert(SPECIAL_TOKENS_FILE, &Value::Object(settings.clone()));
    settings.insert("tokenizer_class".to_owned(), "PreTrainedTokenizerFast".into());
    settings.insert("model_max_length".to_owned(), length.into());
    settings.insert("clean_up_tokenization_spaces".to_owned(), false.into());
    let named = |(name, template): (&String, &String)| serde_json::json!({ "name": name, "template": template });
    let template = match templates.get(crate::chat::DEFAULT_TEMPLATE) {
        Some(one) if templates.len() == 1 => Some(one.as_str().into()),
        _ if templates.is_empty() => None,
        _ => Some(Value::Array(templates.iter().map(named).collect())),
    };
    settings.extend(template.map(|template| ("chat_template".to_owned(), template)));
    side.insert(TOKENIZER_CONFIG_FILE, &Value::Object(settings));
    side
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::CHAT_TEMPLATE_FILE;
    use std::fs;

    fn model() -> LoadedModel {
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
            variant: crate::config::Variant::default(),
        };
        let weights = config.parameters().iter().map(|(_, shape)| Buffer::new(shape.iter().product())).collect();
        LoadedModel {
            config,
            weights,
            tokenizer,
            special: SpecialTokens::document(),
            chat: ChatTemplates::default(),
            side: SideFiles::default(),
        }
    }

    #[test]
    fn the_chat_template_of_the_model_before_does_not_survive() {
        let folder = tempfile::tempdir().unwrap();
        let template = folder.path().join(CHAT_TEMPLATE_FILE);
        fs::write(&template, "{{ of another model }}").unwrap();
        model().save(folder.path(), SaveOptions::default()).unwrap();
        assert!(!template.exists());
        assert_eq!(LoadedModel::open(folder.path()).unwrap().chat.names().next(), None);
    }

    #[test]
    fn tokens_that_are_no_rows_begin_no_text() {
        let folder = tempfile::tempdir().unwrap();
        model().save(folder.path(), SaveOptions::default()).unwrap();
        fs::remove_file(folder.path().join(TOKENIZER_CONFIG_FILE)).unwrap();
        fs::remove_file(folder.path().join(SPECIAL_TOKENS_FILE)).unwrap();
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
        model().save(folder.path(), SaveOptions::default()).unwrap();
        fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
        assert!(said().contains("tokenizer.json: not a usable tokenizer.json: missing field"), "{}", said());
        Tokenizer::train(&["abab abab abab"], 300).unwrap().save(folder.path(), 16).unwrap();
        assert!(said().contains("the model has only 257 rows"), "{}", said());
        assert!(said().starts_with(&folder.path().display().to_string()), "{}", said());
        model().save(folder.path(), SaveOptions::default()).unwrap();
        fs::remove_file(folder.path().join("model.safetensors")).unwrap();
        fs::create_dir(folder.path().join("model.safetensors")).unwrap();
        assert!(said().contains("is a folder"), "{}", said());
    }
}
