//! Training on this machine alone, without a chain, by the same exact operators: the same bits on every machine, and after every stop.
//!
//! [`scratch`] and [`finetune`] make a [`Job`] of their settings; it begins in a [`Folder`], or goes on there, and gives a [`Summary`].

mod answers;
pub mod data;
pub mod finetune;
mod folder;
mod lessons;
mod metrics;
mod scorer;
pub mod scratch;
mod session;
pub mod settings;
mod tensorboard;

pub use folder::Folder;
pub use session::{Job, Summary, Timings};

use anyhow::{Result, ensure};
use session::Saved;
use sip_manifest::folder::read_values;

/// The command whose run a folder holds, if it holds one that was begun.
pub fn command_of(folder: &Folder) -> Option<String> {
    let saved: Saved<serde_json::Value> = read_values(&folder.settings()).ok()?;
    Some(saved.command)
}

/// What a run of `command` was asked for.
///
/// # Errors
/// Where the folder holds no such run.
pub fn saved_settings<S: serde::de::DeserializeOwned>(folder: &Folder, command: &str) -> Result<S> {
    let saved: Saved<serde_json::Value> = read_values(&folder.settings())?;
    ensure!(
        saved.command == command,
        "{} holds a run of \"sip {1}\"; go on with \"sip {1} --resume {2}\"",
        sip_data::shown_path(folder.root()),
        saved.command,
        sip_manifest::place::quoted(folder.root())
    );
    Ok(serde_json::from_value(saved.settings)?)
}
