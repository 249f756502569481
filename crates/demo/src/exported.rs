//! The exported model of a run against what the run's rules give: weights, shape, tokenizer.

use anyhow::Result;
use sip_manifest::folder::Store;
use sip_model::export::{files_beside_weights, load_pretrained};
use sip_model::tokenizer::{SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE};
use sip_model::{LlamaConfig, params};
use sip_node::State;
use std::path::Path;

/// The largest file beside the weights that is compared.
const MOST_BYTES: u64 = 256 << 20;

/// The first difference of the exported model from the last base and the run's tokenizer, in words.
pub(crate) fn difference(store: &Store, model: Option<&LlamaConfig>, base: &State) -> Result<Option<String>> {
    let folder = store.model();
    let mut expected: Vec<(&str, Vec<u8>)> = Vec::new();
    for name in [TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, SPECIAL_TOKENS_FILE] {
        let Some(bytes) = bytes(&store.data().join(name))? else {
            return Ok(Some(format!("{name} is missing among the run's files")));
        };
        expected.push((name, bytes));
    }
    let Some(model) = model else { return Ok(Some("the job's manifest names no model of this kind".into())) };
    expected.extend(files_beside_weights(model)?);
    for (name, bytes_expected) in &expected {
        match bytes(&folder.join(name))? {
            None => return Ok(Some(format!("{name} of the exported model is missing"))),
            Some(bytes) if bytes != *bytes_expected => {
                return Ok(Some(format!("{name} of the exported model is not the run's")));
            }
            Some(_) => {}
        }
    }
    // Other programs read such a file in place of one of the run's, or beside it.
    for entry in std::fs::read_dir(&folder)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let is_known = name == sip_model::export::WEIGHTS_FILE || expected.iter().any(|(known, _)| *known == name);
        if !is_known && is_read(&name) {
            return Ok(Some(format!("{name} stands beside the exported model, and the run wrote none")));
        }
    }
    let (config, tensors) = match load_pretrained(&folder) {
        Ok(loaded) => loaded,
        Err(error) => return Ok(Some(format!("the exported model cannot be loaded: {error}"))),
    };
    for (entry, (tensor, param)) in base.entries().iter().zip(tensors.iter().zip(params(&config))) {
        let same = tensor.data.len() == entry.len()
            && tensor.data.iter().zip(entry.iter()).all(|(value, bits)| value.to_bits() == *bits);
        if !same {
            return Ok(Some(format!("the exported tensor {} is not the one of the last base", param.name)));
        }
    }
    Ok(None)
}

/// Whether a file of a model changes what is made of it, as no licence does.
fn is_read(name: &str) -> bool {
    [".json", ".jinja", ".model", ".safetensors", "merges.txt"].iter().any(|end| name.ends_with(end))
}

/// What is in a file, if it is there.
fn bytes(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= MOST_BYTES => Ok(Some(std::fs::read(path)?)),
        Ok(_) => Ok(Some(Vec::new())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
