//! The folder of a run: what is in it, and how it is written so that a crash never leaves half a file.
//!
//! ```text
//! sip-out/
//!   model/          model.safetensors, config.json, tokenizer.json, …: what other tools load
//!   report.html     the run as a page
//!   summary.json    the run as data
//!   run/            what `--resume` and `sip verify` read
//!     settings.json   what was asked for, and what was made of it
//!     ledger-N.bin    the chain after N rounds
//!     journal-N.json  what the chain does not say: who did what, in words
//!     base-N.state    the state that round N starts from
//!     data/           tokenizer, and token files by domain
//! ```

use anyhow::{Context, Result, bail};
use serde::{Serialize, de::DeserializeOwned};
use sip_data::files::write_atomically;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of a run.
#[derive(Clone)]
pub(crate) struct Store {
    root: PathBuf,
}

impl Store {
    /// The folder of a run that may not exist yet.
    pub(crate) fn new(root: &Path) -> Store {
        Store { root: root.to_owned() }
    }

    /// Removes what an earlier run wrote, so that no file of one run stands beside another's, and makes the run's folder.
    /// What no run wrote stays.
    pub(crate) fn begin(&self) -> Result<()> {
        for folder in [self.run(), self.model()] {
            if folder.exists() {
                fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
            }
        }
        for file in [self.report(), self.summary()] {
            if file.exists() {
                fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            }
        }
        let folder = self.data();
        fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
    pub(crate) fn model(&self) -> PathBuf {
        self.root.join("model")
    }
    pub(crate) fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }
    pub(crate) fn summary(&self) -> PathBuf {
        self.root.join("summary.json")
    }
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }
    pub(crate) fn data(&self) -> PathBuf {
        self.run().join("data")
    }
    pub(crate) fn settings(&self) -> PathBuf {
        self.run().join("settings.json")
    }
    pub(crate) fn tokens(&self, domain: usize, part: &str) -> PathBuf {
        self.data().join(format!("{domain}.{part}.tokens"))
    }
    pub(crate) fn ledger(&self, rounds: u32) -> PathBuf {
        self.run().join(format!("ledger-{rounds}.bin"))
    }
    pub(crate) fn journal(&self, rounds: u32) -> PathBuf {
        self.run().join(format!("journal-{rounds}.json"))
    }
    pub(crate) fn base(&self, rounds: u32) -> PathBuf {
        self.run().join(format!("base-{rounds}.state"))
    }

    /// The number of rounds after which everything is there to go on: the journal is written last.
    pub(crate) fn latest(&self) -> Result<u32> {
        let run = self.run();
        let entries = match fs::read_dir(&run) {
            Ok(entries) => entries,
            Err(_) => bail!("{} holds no run; \"sip demo\" makes one", self.root.display()),
        };
        let mut latest = None;
        for entry in entries {
            let name = entry.with_context(|| format!("cannot read {}", run.display()))?.file_name();
            let number = name.to_str().and_then(|n| n.strip_prefix("journal-")?.strip_suffix(".json")?.parse().ok());
            latest = latest.max(number);
        }
        latest.with_context(|| {
            format!("the run in {} was stopped before its chain began; start it again with \"sip demo\"", run.display())
        })
    }

    /// Removes what only older rounds need; a failure to remove costs nothing but space.
    pub(crate) fn forget(&self, rounds: u32) {
        for path in [self.ledger(rounds), self.base(rounds), self.journal(rounds)] {
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes text so that a reader sees all of it or what was there before.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<()> {
    write_atomically(path, |temporary| fs::write(temporary, text))
        .with_context(|| format!("cannot write {}; what was committed before is kept", path.display()))
}

/// Writes a value as JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    write_text(path, &(serde_json::to_string_pretty(value)? + "\n"))
}

/// Reads a value from JSON.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what this version writes", path.display()))
}
