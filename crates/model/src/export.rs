//! Models in and out of files: the Hugging Face layout (in and out) and GGUF (in, see [`crate::gguf`]).
//!
//! The weights are a derived export: what the proofs commit to are the raw tensors, in the order of
//! [`LlamaConfig::parameters`]. [`crate::LoadedModel`] opens either layout.

mod config_file;
pub(crate) mod elements;
mod hugging_face;
pub(crate) mod other_files;
mod rope;
mod safetensors;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sip_data::{shown, shown_up_to};
use thiserror::Error;

use crate::side::is_carried;

pub use crate::config::LlamaConfig;
pub use config_file::load_config;
pub(crate) use config_file::{ConfigFile, GenerationConfigFile};
pub use elements::ElementType;
pub(crate) use elements::{Widened, check_finite, f16_to_f32};
pub use hugging_face::{SaveOptions, files_beside_weights, load_pretrained, save_pretrained, save_pretrained_with};
pub(crate) use hugging_face::{canonical, commit_model, read_weights, stage_model};
pub(crate) use rope::{YARN_BETA_FAST, YARN_BETA_SLOW, yarn_attention_factor};
pub(crate) use safetensors::{WeightsFile, header};

/// File name of the model's shape.
pub const CONFIG_FILE: &str = "config.json";
/// File name of the defaults of text generation.
pub const GENERATION_CONFIG_FILE: &str = "generation_config.json";
/// File name of the weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// File name of the table that says which file holds which weight, where there are several.
pub const INDEX_FILE: &str = "model.safetensors.index.json";
/// File name in which newer model folders keep the chat template.
pub(crate) const CHAT_TEMPLATE_FILE: &str = "chat_template.jinja";

/// Whether a file of a model's folder has a name that is written here: weights, shape, tokenizer, chat template, and what is carried along.
pub fn is_file_of_model(name: &str) -> bool {
    [CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE].contains(&name) || hugging_face::is_part(name) || is_carried(name)
}

/// A JSON file of a model is read up to this size; the index of a model of 4096 layers is smaller.
const JSON_LIMIT_BYTES: u64 = 16 << 20;

/// One parameter tensor as it is saved.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef<'a> {
    /// Hugging Face name.
    pub name: &'a str,
    /// Sides, outermost first.
    pub shape: &'a [usize],
    /// Row-major values, as many as the product of the sides.
    pub data: &'a [f32],
}

/// One parameter tensor as it is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Hugging Face name.
    pub name: String,
    /// Sides, outermost first.
    pub shape: Vec<usize>,
    /// Row-major values, as many as the product of the sides.
    pub data: Vec<f32>,
}

impl Tensor {
    /// The same tensor, borrowed.
    pub fn as_ref(&self) -> TensorRef<'_> {
        TensorRef { name: &self.name, shape: &self.shape, data: &self.data }
    }
}

/// An error shows this much of what a parser says, which may quote the file.
pub(crate) const REASON_CHARS_SHOWN: usize = 400;

/// Why a model could not be saved or loaded.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The shape is not one of a model that can be built.
    #[error("model configuration: {field} {reason}")]
    Config {
        /// Field of [`LlamaConfig`] or key of `config.json`.
        field: String,
        /// The rule it breaks.
        reason: String,
    },
    /// The file system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A folder holds files of a model, but not the one that says what they are.
    #[error("{path} holds files of a model, but no config.json: a save or a download was cut off here; save the model again, or fetch config.json", path = path.display())]
    Unfinished {
        /// The folder.
        path: PathBuf,
    },
    /// A file is larger than its content can be.
    #[error("{path} has {size_bytes} bytes, expected at most {limit_bytes}", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// The largest size accepted.
        limit_bytes: u64,
    },
    /// A file is not of its format: truncated, or not JSON, or a header that does not describe the data.
    #[error("{path} is damaged or not of the expected format: {reason}", path = path.display(), reason = shown_up_to(reason, REASON_CHARS_SHOWN))]
    Format {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// `config.json` describes a model other than a plain Llama.
    #[error("{path}: {key} is {found}, but only {expected} is supported", path = path.display(), found = shown(found))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The key in the file.
        key: String,
        /// Its value.
        found: String,
        /// The values that work here.
        expected: String,
    },
    /// A file or folder is something else than a model, or than the part of one that its name says.
    #[error("{path} is {what}", path = path.display())]
    SomethingElse {
        /// The file or folder.
        path: PathBuf,
        /// What it is, and what to do.
        what: String,
    },
    /// Two keys that say the same thing say it differently.
    #[error("{path}: {reason}: they contradict each other; remove what does not hold", path = path.display(), reason = shown_up_to(reason, REASON_CHARS_SHOWN))]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Both keys with what they say.
        reason: String,
    },
    /// A key that would change what the model computes is not read.
    #[error("{path}: {key} is not read: {reason}; remove it if it has no effect", path = path.display(), key = shown(key))]
    Unread {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Why not.
        reason: String,
    },
    /// A tensor that the configuration asks for is not there.
    #[error("{origin}: tensor {name} with shape {expected:?} is missing")]
    Missing {
        /// The file, or `model` when it was to be saved.
        origin: String,
        /// Name of the tensor.
        name: String,
        /// Shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor is there that the configuration does not know, or is there twice.
    #[error("{origin}: tensor {name} is unexpected: the configuration has no such parameter, or it is given twice", name = shown(name))]
    Unexpected {
        /// The file, or `model` when it was to be saved.
        origin: String,
        /// Name of the tensor.
        name: String,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("{origin}: tensor {name} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The file, or `model` when it was to be saved.
        origin: String,
        /// Name of the tensor.
        name: String,
        /// Shape of the tensor.
        found: Vec<usize>,
        /// Shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor to be saved has more or fewer values than its shape says.
    #[error("tensor {name} of shape {shape:?} has {found} values, expected {expected}")]
    Length {
        /// Name of the tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Number of values given.
        found: usize,
        /// Product of the sides.
        expected: usize,
    },
    /// A tensor's numbers are of a kind that is not read.
    #[error("{path}: tensor {name} has type {found}, expected {expected}: convert the weights first", path = path.display(), name = shown(name), found = shown(found))]
    ElementType {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Its element type in the words of the format.
        found: String,
        /// The element types that are read.
        expected: &'static str,
    },
    /// A weight is NaN or infinite.
    #[error("{origin}: tensor {name} holds {value} at flat index {index}: weights must be finite")]
    NotFinite {
        /// The file, or `model` when it was to be saved.
        origin: String,
        /// Name of the tensor.
        name: String,
        /// Row-major index of the value.
        index: usize,
        /// The value.
        value: f32,
    },
}

/// Reads a whole file, but never more than `limit_bytes`, whatever the file system says its size is.
pub(crate) fn read_file(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, ExportError> {
    let io_error = |source| ExportError::Io { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(io_error)?;
    let size_bytes = file.metadata().map_err(io_error)?.len();
    let mut bytes = Vec::new();
    if size_bytes <= limit_bytes {
        file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io_error)?;
    }
    let size_bytes = size_bytes.max(bytes.len() as u64);
    if size_bytes > limit_bytes {
        return Err(ExportError::TooLarge { path: path.to_owned(), size_bytes, limit_bytes });
    }
    if let Some(what) = other_files::recognise(&bytes[..bytes.len().min(512)]) {
        return Err(ExportError::SomethingElse { path: path.to_owned(), what: what.to_owned() });
    }
    Ok(bytes)
}

/// As [`read_file`], for JSON: without the byte-order mark that some editors set before it.
pub(crate) fn read_json(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, ExportError> {
    let mut bytes = read_file(path, limit_bytes)?;
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(bytes)
}

/// What some editors set before a text in UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests;
