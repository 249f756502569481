//! The files beside the weights that training does not change: they survive it as they were read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use sip_data::files::Staged;
use sip_json::{Budget, MemberError, Weight, members};

use crate::chat::{ChatTemplates, DEFAULT_TEMPLATE};
use crate::export::{
    BYTE_ORDER_MARK, CHAT_TEMPLATE_FILE, CONFIG_FILE, ExportError, GENERATION_CONFIG_FILE, read_file, read_json,
};
use crate::lora::ADAPTER_CONFIG_FILE;
use crate::tokenizer::{SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE};

/// File name in which older folders keep tokens that were added to a vocabulary: an object of texts and ids.
pub(crate) const ADDED_TOKENS_FILE: &str = "added_tokens.json";
/// Folder in which newer folders keep further chat templates.
pub(crate) const MORE_TEMPLATES_FOLDER: &str = "additional_chat_templates";
/// What is read here is read up to this size.
const FILE_LIMIT_BYTES: u64 = 16 << 20;
/// A `tokenizer.json` is read up to this size.
const TOKENIZER_LIMIT_BYTES: u64 = 256 << 20;
/// The key of `tokenizer_config.json` that holds the tokens which were added to a vocabulary; in some models most of the file.
pub(crate) const ADDED_TOKENS_KEY: &str = "added_tokens_decoder";
/// Memory of a key of an object.
const KEY_BYTES: usize = 160;
/// Further templates at most.
const MORE_TEMPLATES_MAX: usize = 64;

/// Files beside those of the tokenizer are carried up to so many, and up to this size together.
const OTHERS_MAX: usize = 256;
const OTHERS_BYTES_MAX: usize = 64 << 20;

/// Files that are carried along in any case and whatever is in them; these names are known to be those of a model.
const CARRIED: [&str; 26] = [
    TOKENIZER_FILE,
    TOKENIZER_CONFIG_FILE,
    SPECIAL_TOKENS_FILE,
    ADDED_TOKENS_FILE,
    CHAT_TEMPLATE_FILE,
    GENERATION_CONFIG_FILE,
    "tokenizer.model",
    "spiece.model",
    "vocab.json",
    "merges.txt",
    "chat_template.json",
    "vocab.txt",
    "sentencepiece.bpe.model",
    "preprocessor_config.json",
    "processor_config.json",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "LICENCE",
    "LICENCE.txt",
    "LICENCE.md",
    "NOTICE",
    "NOTICE.txt",
    "USE_POLICY.md",
    "README.md",
    ".gitattributes",
];

/// Endings of files that hold weights, say where they are, or say what they are: they are not true of what training makes.
const OF_WEIGHTS: [&str; 18] = [
    ".safetensors",
    ".index.json",
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".h5",
    ".msgpack",
    ".onnx",
    ".onnx_data",
    ".gguf",
    ".npz",
    ".pkl",
    ".tflite",
    ".mlmodel",
    ".tmp",
    ".lock",
    ".state",
];
/// Names of such files, those of adapters and of what is published of a run here among them.
const NOT_CARRIED: [&str; 8] = [
    CONFIG_FILE,
    ADAPTER_CONFIG_FILE,
    "quantize_config.json",
    "trainer_state.json",
    "params.json",
    "sip.json",
    "manifest.sip",
    ".DS_Store",
];

/// The roles of special tokens in files, which are also what chat templates call them.
pub(crate) const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
/// Further special tokens in files: lists, or objects of names and tokens.
pub(crate) const MORE_SPECIAL: [&str; 2] = ["additional_special_tokens", "extra_special_tokens"];

/// The keys of a file that name special tokens beside [`ROLES`]: any other that ends so, with a text or a token that says that it is one.
pub(crate) fn further_roles(file: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let is_token = |value: &Value| value.is_string() || value.get("__type").is_some_and(|kind| kind == "AddedToken");
    let keys = file.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value));
    keys.filter(move |(key, value)| key.ends_with("_token") && !ROLES.contains(key) && is_token(value))
}

/// Whether a name may be that of a file that people set beside a model.
fn is_other(name: &str) -> bool {
    let small = name.to_ascii_lowercase();
    !NOT_CARRIED.contains(&name) && !OF_WEIGHTS.iter().any(|ending| small.ends_with(ending))
}

/// Whether a name is one of a file that is carried along and read by nobody but other tools.
pub(crate) fn is_carried(name: &str) -> bool {
    CARRIED.contains(&name)
}

/// The files of a model beside its weights, as they were read; empty for a model that was made here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SideFiles {
    /// Contents by path within the folder.
    files: BTreeMap<String, Arc<[u8]>>,
    /// The keys of `config.json`.
    pub(crate) config: Option<Map<String, Value>>,
}

impl SideFiles {
    /// Reads what there is in a folder.
    ///
    /// # Errors
    /// A file that is too large or cannot be read, or a `config.json` that is no object.
    pub(crate) fn read(folder: &Path) -> Result<SideFiles, ExportError> {
        let mut side = SideFiles::default();
        for name in CARRIED {
            let limit = if name == TOKENIZER_FILE { TOKENIZER_LIMIT_BYTES } else { FILE_LIMIT_BYTES };
            let path = folder.join(name);
            if path.is_file() {
                side.files.insert(name.to_owned(), read_file(&path, limit)?.into());
            }
        }
        side.read_others(folder);
        let more = fs::read_dir(folder.join(MORE_TEMPLATES_FOLDER)).into_iter().flatten().flatten();
        for entry in more.take(MORE_TEMPLATES_MAX) {
            if let Some(name) = entry.file_name().to_str().filter(|name| name.ends_with(".jinja")) {
                let bytes = read_file(&entry.path(), FILE_LIMIT_BYTES)?;
                side.files.insert(format!("{MORE_TEMPLATES_FOLDER}/{name}"), bytes.into());
            }
        }
        let path = folder.join(CONFIG_FILE);
        if path.is_file() {
            let config = sip_json::from_slice(&read_json(&path, FILE_LIMIT_BYTES)?);
            side.config = Some(config.map_err(|error| ExportError::Format { path, reason: error.to_string() })?);
        }
        Ok(side)
    }

    /// Reads what else lies in a folder and is small, in the order of the names. What cannot be read is left out: no model depends on it.
    fn read_others(&mut self, folder: &Path) {
        let mut names: Vec<String> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| is_other(name) && !self.files.contains_key(name))
            .collect();
        names.sort_unstable();
        let mut left = OTHERS_BYTES_MAX;
        for name in names.into_iter().take(OTHERS_MAX) {
            let path = folder.join(&name);
            let size = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|found| found.len());
            if size.is_none_or(|size| size > FILE_LIMIT_BYTES.min(left as u64)) {
                continue;
            }
            let Ok(bytes) = sip_json::read_file(&path, left.min(FILE_LIMIT_BYTES as usize)) else { continue };
            left -= bytes.len();
            self.files.insert(name, bytes.into());
        }
    }

    /// A side file that a model from elsewhere would have.
    pub(crate) fn insert(&mut self, name: &str, content: &Value) {
        self.files.insert(name.to_owned(), format!("{content:#}\n").into_bytes().into());
    }

    /// These files where there are any, else those of `other`.
    pub(crate) fn or(mut self, other: SideFiles) -> SideFiles {
        for (name, bytes) in other.files {
            self.files.entry(name).or_insert(bytes);
        }
        self.config = other.config.or(self.config);
        self
    }

    /// The content of a file.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(AsRef::as_ref)
    }

    /// The names of the files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The content of a file as JSON; null where there is none.
    ///
    /// # Errors
    /// A file that is no JSON; `folder` is for the error.
    pub(crate) fn json(&self, folder: &Path, name: &str) -> Result<Value, ExportError> {
        let Some(bytes) = self.get(name) else { return Ok(Value::Null) };
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        sip_json::from_slice(bytes)
            .map_err(|error| ExportError::Format { path: folder.join(name), reason: error.to_string() })
    }

    /// The keys of a file but one, and the text of that one: of a large file the part that is read piece by piece.
    ///
    /// # Errors
    /// A file that is no object in JSON; `folder` is for the error.
    pub(crate) fn json_but(
        &self,
        folder: &Path,
        name: &str,
        apart: &str,
    ) -> Result<(Value, Option<&[u8]>), ExportError> {
        let Some(bytes) = self.get(name) else { return Ok((Value::Null, None)) };
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let (mut keys, mut found) = (Map::new(), None);
        let mut budget = Budget::new(bytes.len(), sip_json::FLOOR_BYTES);
        let read = members::<MemberError>(bytes, |key, value| {
            if key == apart {
                found = Some(value);
                return Ok(false);
            }
            budget.take(KEY_BYTES + key.len() + Weight::of(value).values_bytes())?;
            keys.insert(key.into_owned(), sip_json::from_slice(value)?);
            Ok(true)
        });
        read.map_err(|error| ExportError::Format { path: folder.join(name), reason: error.to_string() })?;
        Ok((Value::Object(keys), found))
    }

    /// The chat templates of all files: those of files of their own come before those within another file.
    ///
    /// # Errors
    /// Files that are not of their format; `folder` is for the error.
    pub(crate) fn templates(&self, folder: &Path) -> Result<BTreeMap<String, String>, ExportError> {
        let mut named = BTreeMap::new();
        for name in [TOKENIZER_CONFIG_FILE, "chat_template.json"] {
            let (value, _) = self.json_but(folder, name, ADDED_TOKENS_KEY)?;
            let found = ChatTemplates::named_in(value.get("chat_template").unwrap_or(&Value::Null));
            named.extend(found.map_err(|reason| ExportError::Format { path: folder.join(name), reason })?);
        }
        for (path, bytes) in &self.files {
            let text = || String::from_utf8_lossy(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)).into_owned();
            if path == CHAT_TEMPLATE_FILE {
                named.insert(DEFAULT_TEMPLATE.to_owned(), text());
            } else if let Some(name) = path.strip_prefix(MORE_TEMPLATES_FOLDER) {
                let name = name.trim_start_matches('/').trim_end_matches(".jinja");
                named.insert(name.to_owned(), text());
            }
        }
        Ok(named)
    }

    /// Writes the files under temporary names; `tokenizer.json` is the last.
    pub(crate) fn stage(&self, folder: &Path) -> Result<Vec<Staged>, ExportError> {
        let mut staged = Vec::new();
        let order = |name: &&String| name.as_str() == TOKENIZER_FILE;
        let (last, first): (Vec<&String>, Vec<&String>) = self.files.keys().partition(order);
        for name in first.into_iter().chain(last) {
            let path = folder.join(name);
            let io_error = |source| ExportError::Io { path: path.clone(), source };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(io_error)?;
            }
            let bytes = &self.files[name];
            staged.push(Staged::write(&path, |temporary| fs::write(temporary, bytes)).map_err(io_error)?);
        }
        Ok(staged)
    }
}
