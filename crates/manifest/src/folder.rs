//! The folder of a run: what is in it, and how it is written so that a crash never leaves half a file.
//!
//! ```text
//! sip-out/
//!   model/          model.safetensors, config.json, tokenizer.json, …: what other tools load
//!   report.html     the run as a page
//!   summary.json    the run as data
//!   run/            what `--resume` and `sip verify` read
//!     settings.json   what was asked for, and what was made of it
//!     manifest.sip    all that the job computes with
//!     ledger-N.bin    the chain after N rounds
//!     journal-N.json  what the chain does not say: who did what, in words
//!     base-N.state    the state that round N starts from
//!     update-N-P.state  with compressed updates, the update that the trainer of place P goes on from
//!     undone-N.state  the state that a round ended in which was undone, by its number on chain
//!     archive/        accounts of the chain that may be closed there, by address
//!     data/           tokenizer, and token files by domain
//! ```

use anyhow::{Context, Result, bail, ensure};
use serde::{Serialize, de::DeserializeOwned};
use sip_data::files::{remove_cut_off, write_atomically};
use sip_data::{Missing, shown_path};
use sip_model::export::is_file_of_model;
use sip_protocol::training::job::MAX_TRAINERS;
use std::fs;
use std::path::{Path, PathBuf};

use crate::bytes::{BYTES_MAX, TOKENIZER_BYTES_MAX};
use crate::place::foreign;
use crate::settings::Settings;
use crate::value::Manifest;

/// The folder of a run.
#[derive(Clone)]
pub struct Store {
    root: PathBuf,
    /// Where its manifest lies, if not in it.
    manifest: Option<PathBuf>,
}

impl Store {
    /// The folder of a run that may not exist yet.
    pub fn new(root: &Path) -> Store {
        Store { root: root.to_owned(), manifest: None }
    }

    /// The same, with a manifest that lies elsewhere.
    #[must_use]
    pub fn with_manifest(self, manifest: Option<&Path>) -> Store {
        Store { manifest: manifest.map(Path::to_owned), ..self }
    }

    /// Refuses a folder that holds what no `sip demo` wrote.
    ///
    /// # Errors
    /// What lies there, in words.
    pub fn refuse_foreign(&self) -> Result<()> {
        let (root, run) = (shown_path(&self.root), self.run());
        let refuse = |found: &str| -> Result<()> {
            bail!("{root} holds {found}, which no \"sip demo\" wrote; choose another folder with --out")
        };
        if self.root.join("run.json").exists() {
            return refuse("run.json");
        }
        if self.settings().exists() {
            let settings: Option<serde_json::Value> = read_values(&self.settings()).ok();
            if !settings.is_some_and(|settings| ["preset", "domains"].iter().all(|key| settings.get(key).is_some())) {
                return refuse("run/settings.json");
            }
            return Ok(());
        }
        // What a run that was killed at once leaves.
        if let Some(found) = foreign(&run, &|name| name == "data" || name.starts_with(".settings.json.")) {
            return refuse(&format!("run/{found}"));
        }
        foreign(&self.root, &|name| name == "run").map_or(Ok(()), |found| refuse(&found))
    }

    /// Removes what an earlier run wrote, so that no file of one run stands beside another's, and makes the run's folder.
    /// What no run wrote stays.
    ///
    /// # Errors
    /// Where a file cannot be removed, or the folder not be made.
    pub fn begin(&self) -> Result<()> {
        clear(&self.model(), &is_file_of_model)?;
        for file in [self.report(), self.summary()] {
            if file.exists() {
                fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            }
        }
        // The settings, by which the folder is known for a run's, go last.
        let run = self.run();
        let cannot = || format!("cannot clear {}", run.display());
        for entry in fs::read_dir(&run).into_iter().flatten() {
            let entry = entry.with_context(cannot)?;
            if entry.path().is_dir() {
                fs::remove_dir_all(entry.path()).with_context(cannot)?;
            } else if entry.file_name() != "settings.json" {
                fs::remove_file(entry.path()).with_context(cannot)?;
            }
        }
        if run.exists() {
            fs::remove_dir_all(&run).with_context(cannot)?;
        }
        let folder = self.data();
        fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The model, as other tools load it.
    pub fn model(&self) -> PathBuf {
        self.root.join("model")
    }

    /// The run as a page.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// The run as data.
    pub fn summary(&self) -> PathBuf {
        self.root.join("summary.json")
    }

    /// What `--resume` and `sip verify` read.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The tokenizer, and tokens by domain.
    pub fn data(&self) -> PathBuf {
        self.run().join("data")
    }

    /// What was asked for.
    pub fn settings(&self) -> PathBuf {
        self.run().join("settings.json")
    }

    /// All that the job computes with.
    pub fn manifest(&self) -> PathBuf {
        self.manifest.clone().unwrap_or_else(|| self.run().join("manifest.sip"))
    }

    /// Writes what the job computes with.
    ///
    /// # Errors
    /// As [`write_text`].
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        write_bytes(&self.manifest(), &manifest.to_bytes())
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> PathBuf {
        self.data().join("tokenizer.json")
    }

    /// The tokens of a domain, of the part "train" or "heldout".
    pub fn tokens(&self, domain: usize, part: &str) -> PathBuf {
        self.data().join(format!("{domain}.{part}.tokens"))
    }

    /// The chain after so many rounds.
    pub fn ledger(&self, rounds: u32) -> PathBuf {
        self.run().join(format!("ledger-{rounds}.bin"))
    }

    /// What the chain does not say after so many rounds.
    pub fn journal(&self, rounds: u32) -> PathBuf {
        self.run().join(format!("journal-{rounds}.json"))
    }

    /// With compressed updates, the update that the trainer of a place goes on from after so many rounds.
    pub fn update(&self, rounds: u32, place: u8) -> PathBuf {
        self.run().join(format!("update-{rounds}-{place}.state"))
    }

    /// The state after so many rounds.
    pub fn base(&self, rounds: u32) -> PathBuf {
        self.run().join(format!("base-{rounds}.state"))
    }

    /// Where copies of accounts lie that may be closed on chain.
    pub fn archive(&self) -> PathBuf {
        self.run().join("archive")
    }

    /// Where trainers publish the ends of their segments, as files of any name that ends in `.state`.
    pub fn states(&self) -> PathBuf {
        self.run().join("states")
    }

    /// The state that an undone round ended in, by its number on chain.
    pub fn undone(&self, index: u32) -> PathBuf {
        self.run().join(format!("undone-{index}.state"))
    }

    /// The number of rounds after which everything is there to go on: the journal is written last.
    ///
    /// # Errors
    /// Where there is no run, or none whose chain has begun.
    pub fn latest(&self) -> Result<u32> {
        let run = self.run();
        let entries = match fs::read_dir(&run) {
            Ok(entries) => entries,
            Err(_) => {
                let root = shown_path(&self.root);
                let said = match self.root.exists() {
                    true => format!("{root} holds no run; \"sip demo\" makes one"),
                    false => format!("there is no folder {root}; \"sip demo\" makes one that holds a run"),
                };
                return Err(Missing(said).into());
            }
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
    pub fn forget(&self, rounds: u32) {
        for path in [self.ledger(rounds), self.base(rounds), self.journal(rounds)] {
            let _ = fs::remove_file(path);
        }
        for place in 0..MAX_TRAINERS as u8 {
            let _ = fs::remove_file(self.update(rounds, place));
        }
    }
}

/// Removes the files of a folder that `is_ours`, with what writes of them left that were cut off, and the folder where nothing
/// else is in it.
///
/// # Errors
/// Where a file cannot be removed.
pub fn clear(folder: &Path, is_ours: &dyn Fn(&str) -> bool) -> Result<()> {
    remove_cut_off(folder, is_ours);
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.with_context(|| format!("cannot clear {}", folder.display()))?;
        if entry.file_name().to_str().is_some_and(is_ours) {
            let path = entry.path();
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    // A folder that holds something else stays.
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// Writes text so that a reader sees all of it or what was there before.
///
/// # Errors
/// Where it cannot be written; then what was there before is kept.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    write_atomically(path, |temporary| fs::write(temporary, text))
        .with_context(|| format!("cannot write {}; what was there before is kept", path.display()))
}

/// As [`write_text`], of any bytes.
///
/// # Errors
/// As [`write_text`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, |temporary| fs::write(temporary, bytes))
        .with_context(|| format!("cannot write {}; what was there before is kept", path.display()))
}

/// Reads a manifest, which anybody may have written.
///
/// # Errors
/// Where there is no such file, or it is none.
pub fn read_manifest(path: &Path) -> Result<Manifest> {
    let shown = path.display();
    let bytes = sip_json::read_file(path, BYTES_MAX).with_context(|| {
        format!("cannot read the manifest {shown}; \"sip manifest write FOLDER\" makes it of a run's settings")
    })?;
    Manifest::from_bytes(&bytes).with_context(|| format!("{shown} is no manifest that this version reads"))
}

/// Reads what a run was asked for.
///
/// # Errors
/// Where there is no such file, or no run has such settings.
pub fn read_settings(store: &Store) -> Result<Settings> {
    let settings: Settings = read_json(&store.settings())?;
    settings.check()?;
    Ok(settings)
}

/// The bytes of a folder's tokenizer.
///
/// # Errors
/// Where there is none.
pub fn tokenizer_bytes(store: &Store) -> Result<Vec<u8>> {
    let path = store.tokenizer();
    sip_json::read_file(&path, TOKENIZER_BYTES_MAX as usize).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a page or a picture that a person asked for, to a file that is not there, or that holds an earlier one of its kind: what begins with the
/// same bytes, up to the end of a page's title.
///
/// # Errors
/// As [`write_text`], and where the file holds something else: a key, a text, another program's page.
pub fn write_own(path: &Path, text: &str) -> Result<()> {
    const KIND_BYTES: usize = 16;
    let kind = text.find("</title>").unwrap_or(KIND_BYTES.min(text.len()));
    match fs::File::open(path) {
        Ok(mut file) => {
            let mut begin = vec![0; kind];
            let is_own = std::io::Read::read_exact(&mut file, &mut begin).is_ok() && begin == text.as_bytes()[..kind];
            let name = path.display();
            ensure!(
                is_own,
                "{name} exists and holds something else; name another file with --out or --svg, or remove it"
            );
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    write_text(path, text)
}

/// Writes a value as JSON.
///
/// # Errors
/// As [`write_text`].
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    write_text(path, &(serde_json::to_string_pretty(value)? + "\n"))
}

/// A file of JSON in the folder of a run has at most so many bytes; the journal of a thousand rounds has some millions.
const JSON_LIMIT_BYTES: usize = 64 << 20;

/// Reads a value from JSON: fields of its own, and no tree of [`serde_json::Value`].
///
/// # Errors
/// Where there is no such file, or it is not such a value.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = json_file(path)?;
    sip_json::records_from_slice(&text).with_context(|| format!("{} is not what this version writes", path.display()))
}

/// As [`read_json`], where some of it is a tree of [`serde_json::Value`].
///
/// # Errors
/// As [`read_json`].
pub fn read_values<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = json_file(path)?;
    sip_json::from_slice(&text).with_context(|| format!("{} is not what this version writes", path.display()))
}

fn json_file(path: &Path) -> Result<Vec<u8>> {
    sip_json::read_file(path, JSON_LIMIT_BYTES).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_come_back_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("floats.json");
        let mixed = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 12;
        let floats: Vec<f64> = (1..20_000).map(|n| f64::from_bits(0x3FF0_0000_0000_0000 | mixed(n)) * 3.7).collect();
        write_json(&path, &floats).unwrap();
        assert_eq!(read_json::<Vec<f64>>(&path).unwrap(), floats);
    }

    #[test]
    fn a_page_takes_the_place_of_an_earlier_one_of_its_kind_and_of_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        let page = |title: &str, body: &str| format!("<!doctype html><title>{title}</title>{body}");
        write_own(&path, &page("Emission", "one")).unwrap();
        write_own(&path, &page("Emission", "two")).unwrap();
        let refused = write_own(&path, &page("Quality", "three")).unwrap_err().to_string();
        assert!(refused.contains("page.html exists and holds something else"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), page("Emission", "two"));
        for other in ["", "[1,2,3]", "a text of one's own that is longer than a mark"] {
            fs::write(&path, other).unwrap();
            assert!(write_own(&path, "<svg viewBox=\"0 0 1 1\"></svg>").is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
        fs::remove_file(&path).unwrap();
        write_own(&path, "<svg viewBox=\"0 0 1 1\"></svg>").unwrap();
        write_own(&path, "<svg viewBox=\"0 0 2 2\"></svg>").unwrap();
    }
}
