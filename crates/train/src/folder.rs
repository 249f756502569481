//! The folder of a run of training, and how it is written so that a crash never leaves half a file.
//!
//! ```text
//! sip-train/
//!   run.json        what was asked for, and hashes of all that the result depends on
//!   checkpoints/    step-00000100.safetensors, …: weights and moments in f32; step-….bf16.safetensors: weights to use
//!   metrics.jsonl   a line for every step
//!   tensorboard/    the same for TensorBoard
//!   loss.html       the same as a picture
//!   model/          the result: what other tools load
//!   adapter/        of LoRA: what peft loads
//!   summary.json    the run as data
//! ```

use anyhow::{Context, Result, bail, ensure};
use sip_data::files::remove_cut_off;
use sip_data::{Missing, shown_path};
use sip_model::export::is_file_of_model;
use sip_model::lora::{ADAPTER_CONFIG_FILE, ADAPTER_FILE};
use std::fs;
use std::path::{Path, PathBuf};

use crate::session::Saved;
use sip_manifest::folder::{clear, read_values};
use sip_manifest::place::{foreign, quoted};

/// TensorBoard's events.
const EVENTS_FILE: &str = "events.out.tfevents.0.sip";

/// Whether a file's name is one that runs give.
type IsOurs = fn(&str) -> bool;

/// The folder of a run.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// A folder that may not exist yet.
    pub fn new(root: &Path) -> Folder {
        Folder { root: root.to_owned() }
    }

    /// Refuses a folder that holds what no run of training wrote, and one that holds a run unless it may be overwritten.
    ///
    /// # Errors
    /// What lies there, in words.
    pub fn refuse_run(&self, overwrite: bool, command: &str) -> Result<()> {
        let root = shown_path(&self.root);
        let refuse = |found: &str| -> Result<()> {
            bail!("{root} holds {found}, which no \"sip {command}\" wrote; choose another folder with --out")
        };
        if self.settings().exists() {
            let saved: Option<Saved<serde_json::Value>> = read_values(&self.settings()).ok();
            let Some(saved) = saved.filter(|saved| ["train", "finetune"].contains(&saved.command.as_str())) else {
                return refuse("run.json");
            };
            ensure!(
                overwrite,
                "{root} holds a run already; go on with \"sip {} --resume {}\", begin anew with --overwrite, or choose \
                 another folder with --out",
                saved.command,
                quoted(&self.root)
            );
            return Ok(());
        }
        // A run that was killed at once leaves these, empty.
        let is_empty = |path: PathBuf| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        let is_left = |name: &str| {
            name.starts_with(".run.json.")
                || (["checkpoints", "tensorboard"].contains(&name) && is_empty(self.root.join(name)))
        };
        if let Some(found) = foreign(&self.root, &is_left) {
            return refuse(&found);
        }
        Ok(())
    }

    /// Makes the folder for a new run; what an earlier run wrote there goes, and nothing else.
    ///
    /// # Errors
    /// Where a file cannot be removed, or the folder not be made.
    pub fn begin(&self) -> Result<()> {
        if self.settings().exists() {
            self.parts().iter().skip(1).try_for_each(|(folder, is_ours)| clear(folder, is_ours))?;
            // The settings, by which the folder is known for a run's, go last.
            for file in [self.metrics(), self.plot(), self.summary(), self.settings()] {
                if file.exists() {
                    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
                }
            }
        }
        for folder in [self.checkpoints(), self.tensorboard()] {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        Ok(())
    }

    /// The folder and those inside it, each with the names that runs give to files there.
    fn parts(&self) -> [(PathBuf, IsOurs); 5] {
        [
            (self.root.clone(), |name| ["run.json", "metrics.jsonl", "loss.html", "summary.json"].contains(&name)),
            (self.checkpoints(), |name| name.starts_with("step-") && name.ends_with(".safetensors")),
            (self.tensorboard(), |name| name == EVENTS_FILE),
            (self.model(), is_file_of_model),
            (self.adapter(), |name| [ADAPTER_FILE, ADAPTER_CONFIG_FILE].contains(&name)),
        ]
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.root.join("run.json")
    }
    pub(crate) fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }
    pub(crate) fn plot(&self) -> PathBuf {
        self.root.join("loss.html")
    }
    pub(crate) fn summary(&self) -> PathBuf {
        self.root.join("summary.json")
    }
    pub(crate) fn model(&self) -> PathBuf {
        self.root.join("model")
    }
    pub(crate) fn adapter(&self) -> PathBuf {
        self.root.join("adapter")
    }
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }
    pub(crate) fn tensorboard(&self) -> PathBuf {
        self.root.join("tensorboard")
    }
    pub(crate) fn events(&self) -> PathBuf {
        self.tensorboard().join(EVENTS_FILE)
    }
    /// The state after so many steps.
    pub(crate) fn checkpoint(&self, step: u64) -> PathBuf {
        self.checkpoints().join(format!("step-{step:08}.safetensors"))
    }
    /// Its weights in bf16.
    pub(crate) fn bf16_weights(&self, step: u64) -> PathBuf {
        self.checkpoints().join(format!("step-{step:08}.bf16.safetensors"))
    }

    /// The steps of all checkpoints, ascending.
    pub(crate) fn steps(&self) -> Result<Vec<u64>> {
        let folder = self.checkpoints();
        let Ok(entries) = fs::read_dir(&folder) else {
            let said = format!("{} holds no run; \"sip train\" and \"sip finetune\" make one", self.root.display());
            return Err(Missing(said).into());
        };
        let mut steps = Vec::new();
        for entry in entries {
            let name = entry.with_context(|| format!("cannot read {}", folder.display()))?.file_name();
            let number =
                name.to_str().and_then(|n| n.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok());
            steps.extend(number.filter(|&step| self.checkpoint(step).ends_with(&name)));
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// Removes all but the latest checkpoints, and what writes that were cut off left behind; a failure to remove costs
    /// nothing but space.
    pub(crate) fn tidy(&self, keep: usize) -> Result<()> {
        let steps = self.steps()?;
        for &step in &steps[..steps.len().saturating_sub(keep)] {
            let _ = fs::remove_file(self.checkpoint(step));
        }
        self.parts().iter().for_each(|(folder, is_ours)| remove_cut_off(folder, is_ours));
        Ok(())
    }
}
