//! A tokenizer that exists, wherever people point: at a model, at a dataset or a job, or at the name of a dataset that was published from here.

use anyhow::{Context, Result};
use sip_data::{Missing, shown_path};
use sip_model::LoadedModel;
use sip_model::tokenizer::{TOKENIZER_FILE, Tokenizer};
use std::path::{Path, PathBuf};

use crate::folder::Store;

/// Where datasets lie that were published from here, by name.
pub const PUBLISHED: &str = "sip-data";

/// Where the tokenizer lies that somebody names: in the folder itself, in that of a dataset or a job, or in the dataset of that name.
pub fn place(named: &Path) -> Option<PathBuf> {
    let of_name = Path::new(PUBLISHED).join(named);
    let folders = [named.to_owned(), Store::new(named).data(), Store::new(&of_name).data()];
    let is_whole = |folder: &PathBuf| folder.join(TOKENIZER_FILE).is_file();
    if named.is_file() { Some(named.to_owned()) } else { folders.into_iter().find(is_whole) }
}

/// Opens it.
///
/// # Errors
/// Where none is there, and where it cannot be read.
pub fn open(named: &Path) -> Result<Tokenizer> {
    let shown = shown_path(named);
    let Some(place) = place(named).or_else(|| named.join("config.json").is_file().then(|| named.to_owned())) else {
        return Err(Missing(format!(
            "there is no {TOKENIZER_FILE} in {shown}, nor in {shown}/run/data; name the folder of a model or of a dataset ({PUBLISHED}/NAME), or NAME where it \
             was published from here"
        ))
        .into());
    };
    let text = LoadedModel::open_tokenizer(&place);
    Ok(text.with_context(|| format!("cannot load the tokenizer in {}", shown_path(&place)))?.tokenizer)
}
