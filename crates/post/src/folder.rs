//! The folder of a job: what its creator serves, and what `sip job create` goes on from.
//!
//! ```text
//! sip-job/
//!   job.toml      what was asked for
//!   job.json      what was made of it, before anything was sent: addresses, the job's terms
//!   run/          as in the folder of a run: manifest.sip, and data/ with the tokenizer and own tokens
//! ```

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use sip_data::{hex, shown_path, unhex};
use sip_manifest::folder::{Store, read_json, read_manifest, write_text};
use sip_manifest::place::foreign;
use sip_manifest::value::Manifest;
use sip_protocol::training::job::JobSpec;
use solana_address::Address;
use std::path::PathBuf;

use super::config::JobFile;

/// What is sent, and to where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Posted {
    /// The program.
    pub program: String,
    /// The job.
    pub job: String,
    /// The wallet that creates it.
    pub creator: String,
    /// Which of the creator's jobs.
    pub nonce: u32,
    /// BLAKE3 of the manifest.
    pub manifest: String,
    /// Its datasets, by domain.
    pub datasets: Vec<String>,
    /// The creator's own data pool, which stands behind own texts.
    pub pool: Option<String>,
    /// How long each phase is, and why.
    pub phases: Vec<Phase>,
    /// Whether anything of it may have been sent: only then the folder is bound to it.
    #[serde(default = "yes")]
    pub sent: bool,
    /// The job's terms, as they are sent.
    spec: String,
}

/// A phase of the job's rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Phase {
    pub name: String,
    pub slots: u32,
    pub why: String,
}

/// Of a folder that does not say.
fn yes() -> bool {
    true
}

impl Posted {
    pub(super) fn new(
        job: [Address; 3],
        nonce: u32,
        manifest: &Manifest,
        datasets: &[Address],
        spec: &JobSpec,
    ) -> Posted {
        let [program, job, creator] = job.map(|address| address.to_string());
        let datasets = datasets.iter().map(Address::to_string).collect();
        let spec = hex(bytemuck::bytes_of(spec));
        Posted {
            program,
            job,
            creator,
            nonce,
            manifest: hex(&manifest.hash()),
            datasets,
            pool: None,
            phases: Vec::new(),
            sent: false,
            spec,
        }
    }

    /// The terms.
    pub(super) fn spec(&self) -> Result<JobSpec> {
        let digits = self.spec.as_bytes();
        let byte = |pair: &[u8]| -> Option<u8> { u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok() };
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
        let bytes = bytes.filter(|bytes| bytes.len() == size_of::<JobSpec>());
        Ok(bytemuck::pod_read_unaligned(&bytes.context("job.json is damaged: its terms have another length")?))
    }

    /// An address in it.
    pub(super) fn address(text: &str) -> Result<Address> {
        text.parse().ok().with_context(|| format!("job.json is damaged: \"{text}\" is no address"))
    }
}

/// The folder.
pub(super) struct JobFolder {
    pub store: Store,
}

impl JobFolder {
    pub(super) fn new(root: &std::path::Path) -> JobFolder {
        JobFolder { store: Store::new(root) }
    }

    fn posted_path(&self) -> PathBuf {
        self.store.root().join("job.json")
    }

    fn asked_path(&self) -> PathBuf {
        self.store.root().join("job.toml")
    }

    /// What an earlier call has made here of the same file; an error if it was another file.
    pub(super) fn earlier(&self, file: &JobFile) -> Result<Option<(Posted, Manifest)>> {
        let shown = shown_path(self.store.root());
        if !self.posted_path().exists() {
            if let Some(found) = foreign(self.store.root(), &|name| matches!(name, "run" | "job.toml")) {
                anyhow::bail!("{shown} holds {found}; choose another folder with --out");
            }
            return Ok(None);
        }
        let asked = std::fs::read_to_string(self.asked_path())
            .with_context(|| format!("cannot read {}", self.asked_path().display()))?;
        let asked: JobFile = toml::from_str(&asked).with_context(|| format!("{shown}/job.toml is damaged"))?;
        let posted: Posted = read_json(&self.posted_path())?;
        if asked != *file && !posted.sent {
            return Ok(None);
        }
        ensure!(
            asked == *file,
            "{shown} holds a job that was made of another file; name that file again to go on with it, or another folder with --out"
        );
        let manifest = read_manifest(&self.store.manifest())?;
        ensure!(
            hex(&manifest.hash()) == posted.manifest && unhex(&posted.manifest).is_some(),
            "{} is not the manifest that {} names; remove the folder and begin anew",
            self.store.manifest().display(),
            self.posted_path().display()
        );
        Ok(Some((posted, manifest)))
    }

    /// Removes what was made of another file, and never sent.
    pub(super) fn clear(&self) -> Result<()> {
        for path in [self.posted_path(), self.asked_path()] {
            if path.exists() {
                std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        let run = self.store.run();
        if run.exists() {
            std::fs::remove_dir_all(&run).with_context(|| format!("cannot remove {}", run.display()))?;
        }
        Ok(())
    }

    /// Notes whether anything of it may be on the chain.
    pub(super) fn note_sent(&self, posted: &Posted, sent: bool) -> Result<()> {
        let posted = Posted { sent, ..posted.clone() };
        write_text(&self.posted_path(), &format!("{}\n", serde_json::to_string_pretty(&posted)?))
    }

    /// Notes what is to be sent: the last thing that is written before it is.
    pub(super) fn note(&self, file: &JobFile, posted: &Posted, manifest: &Manifest) -> Result<()> {
        self.store.write_manifest(manifest)?;
        write_text(&self.asked_path(), &toml::to_string(file).context("the file cannot be written again")?)?;
        write_text(&self.posted_path(), &format!("{}\n", serde_json::to_string_pretty(posted)?))
    }
}
