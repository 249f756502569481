//! How fast this machine trains, as it was measured once: `sip node check` measures it, and `sip job list --fit` compares it with what jobs need.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sip_data::shown_path;
use sip_manifest::folder::{read_json, write_json};
use sip_manifest::machine::Machine;
use std::path::PathBuf;

use crate::flops_per_second;
use sip_console::names;

/// What was measured.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    flops_per_second: f64,
}

/// Where it is kept: beside the names of addresses.
fn path() -> Option<PathBuf> {
    names::path().map(|path| path.with_file_name("speed.json"))
}

/// Measures it, and keeps it where there is a folder for settings.
///
/// # Errors
/// Those of the work and of the file system.
pub fn measure() -> Result<f64> {
    let flops_per_second = flops_per_second(&Machine::from_environment()?)?;
    if let Some(path) = path() {
        let folder = path.parent().context("a file has a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", shown_path(folder)))?;
        write_json(&path, &Measured { flops_per_second })?;
    }
    Ok(flops_per_second)
}

/// As it was measured before, or is now.
///
/// # Errors
/// Those of the work and of the file system.
pub fn known() -> Result<f64> {
    let before = path().and_then(|path| read_json::<Measured>(&path).ok());
    let before = before.map(|before| before.flops_per_second).filter(|speed| speed.is_finite() && *speed > 0.0);
    before.map_or_else(measure, Ok)
}
