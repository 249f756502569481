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
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of a run.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// A folder that may not exist yet.
    pub(crate) fn new(root: &Path) -> Folder {
        Folder { root: root.to_owned() }
    }

    /// Refuses a folder that holds a run, unless it may be overwritten.
    pub(crate) fn refuse_run(&self, overwrite: bool, command: &str) -> Result<()> {
        let root = self.root.display();
        ensure!(
            overwrite || !self.settings().exists(),
            "{root} holds a run already; go on with \"sip {command} --resume {root}\", begin anew with --overwrite, or choose \
             another folder with --out"
        );
        Ok(())
    }

    /// Makes the folder for a new run; what an earlier run wrote there goes, and nothing else.
    pub(crate) fn begin(&self) -> Result<()> {
        for folder in [self.checkpoints(), self.tensorboard(), self.model(), self.adapter()] {
            if self.settings().exists() && folder.exists() {
                fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
            }
        }
        for file in [self.metrics(), self.plot(), self.summary(), self.settings()] {
            if self.settings().exists() && file.exists() {
                fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            }
        }
        for folder in [self.checkpoints(), self.tensorboard()] {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Path {
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
            bail!("{} holds no run; \"sip train\" and \"sip finetune\" make one", self.root.display());
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
        for entry in fs::read_dir(self.checkpoints()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(".step-") && name.ends_with(".tmp")) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}
