//! What a watchtower remembers of a job: one file for each claim, and the states that replays start from.
//!
//! ```text
//! JOB/job.json                     how many rounds nothing is left to do about
//! JOB/round-0-segment-1.json, …    a claim, what it should be, and what became of its accusation
//! JOB/round-0-base.json            the next base from the accepted segments
//! JOB/round-0-demand-1.json        a chunk that was demanded of a trainer; JOB/data-ROOT.json of a provider
//! JOB/ROOT.state                   a state
//! ```
//!
//! A file is replaced at once and is on the disk before anything that follows from it is sent. What is not here, the chain tells.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sip_kernels::Threads;
use sip_node::dispute::FaultPlace;
use sip_node::{State, Task};
use sip_proof::Leaf;
use sip_protocol::ground::case::CaseKind;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::claim::Claim;
use super::event::Event;
use crate::run::journal::Published;
use sip_data::{hex, unhex};
use sip_manifest::folder::{read_json, write_json};

/// The part of a segment with compressed updates that is false, where it is not the steps between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    /// The state that it starts from.
    Start,
    /// The update that it hands over.
    Update,
}

impl Part {
    /// The case by which it is accused.
    pub(super) fn case(self) -> CaseKind {
        match self {
            Part::Start => CaseKind::Start,
            Part::Update => CaseKind::Update,
        }
    }
}

/// What was found of a claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Finding {
    /// What was claimed when it was judged; a claim that changes is judged anew.
    pub claimed: String,
    /// Whether it is what it should be.
    pub is_true: bool,
    /// The replay's leaves, of a segment or a scoring run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<Published>,
    /// Step, node and element where it stops, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<[u32; 3]>,
    /// Root of the state at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Of a segment, by leaf: the trace root that an attestation of it should show.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traces: BTreeMap<u32, String>,
    /// Whether our dispute convicted it. Nobody is accused twice of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convicted: Option<bool>,
    /// Of a false segment, which part of it is accused; its steps where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

impl Finding {
    /// The replay's leaves and where they stop.
    pub(super) fn evidence(&self, task: &Task, claim: Claim) -> Result<(Vec<Leaf>, Option<FaultPlace>)> {
        let leaves = self.leaves.as_ref().and_then(|leaves| leaves.leaves(task));
        let leaves = leaves.with_context(|| format!("{claim}: the record of it is damaged; remove its file"))?;
        Ok((leaves, self.fault.map(|[step, node, element]| FaultPlace { step, node, element })))
    }

    /// Root of the state at its end.
    pub(super) fn end(&self) -> Option<[u8; 32]> {
        self.end.as_deref().and_then(unhex)
    }
}

/// What follows from a round's accepted segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Base {
    /// Which were accepted, by place.
    pub accepted: u16,
    /// Root of the next base; zeros if it has a value that is not finite, so that there is none.
    pub root: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Progress {
    rounds_done: u32,
}

/// The folder of a job.
#[derive(Clone, Debug)]
pub(super) struct Record {
    folder: PathBuf,
}

impl Record {
    /// Opens the folder, making it if need be.
    pub(super) fn open(folder: PathBuf) -> Result<Record> {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Record { folder })
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.folder.join(name);
        if path.exists() { read_json(&path).map(Some) } else { Ok(None) }
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        write_json(&self.folder.join(name), value).context("nothing is sent that could not be remembered")
    }

    /// Rounds that nothing is left to do about.
    pub(super) fn rounds_done(&self) -> Result<u32> {
        Ok(self.read::<Progress>("job.json")?.unwrap_or_default().rounds_done)
    }

    pub(super) fn set_rounds_done(&self, rounds_done: u32) -> Result<()> {
        self.write("job.json", &Progress { rounds_done })
    }

    /// What was found of a claim, as it was then.
    pub(super) fn finding(&self, claim: Claim) -> Result<Option<Finding>> {
        self.read(&format!("{}.json", claim.file()))
    }

    pub(super) fn keep(&self, claim: Claim, finding: &Finding) -> Result<()> {
        self.write(&format!("{}.json", claim.file()), finding)
    }

    /// Root of the next base from the segments that a round accepted, if it was computed; zeros if there is none.
    pub(super) fn base(&self, round: u32, accepted: u16) -> Result<Option<[u8; 32]>> {
        let known: Option<Base> = self.read(&format!("round-{round}-base.json"))?;
        Ok(known.filter(|base| base.accepted == accepted).and_then(|base| unhex(&base.root)))
    }

    pub(super) fn set_base(&self, round: u32, accepted: u16, root: &[u8; 32]) -> Result<()> {
        self.write(&format!("round-{round}-base.json"), &Base { accepted, root: hex(root) })
    }

    fn state_path(&self, root: &[u8; 32]) -> PathBuf {
        self.folder.join(format!("{}.state", hex(root)))
    }

    pub(super) fn has_state(&self, root: &[u8; 32]) -> bool {
        self.state_path(root).exists()
    }

    /// A state by its root, if it was saved.
    pub(super) fn state(&self, root: &[u8; 32], threads: &Threads) -> Result<Option<Arc<State>>> {
        let path = self.state_path(root);
        if path.exists() { Ok(Some(Arc::new(State::load(&path, threads)?))) } else { Ok(None) }
    }

    pub(super) fn save(&self, state: &State) -> Result<()> {
        let path = self.state_path(&state.root());
        if !path.exists() {
            state.save(&path).context("nothing is sent that could not be remembered")?;
        }
        Ok(())
    }

    /// Removes a state that nothing needs any more; a failure to remove costs nothing but space.
    pub(super) fn forget(&self, root: &[u8; 32]) {
        let _ = std::fs::remove_file(self.state_path(root));
    }
}

/// What is on disk of all jobs in folders of watchtowers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    claims: u32,
    not_true: u32,
    convicted: u32,
}

impl Known {
    /// Counts the findings.
    pub(super) fn of(folders: &[PathBuf]) -> Known {
        let mut known = Known::default();
        let entries = |folder: &PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
        let jobs = folders.iter().flat_map(entries).map(|entry| entry.path()).filter(|path| path.is_dir());
        for file in jobs.collect::<Vec<PathBuf>>().iter().flat_map(entries) {
            let is_json = file.path().extension().is_some_and(|end| end == "json");
            let Some(finding) = is_json.then(|| read_json::<Finding>(&file.path()).ok()).flatten() else { continue };
            known.claims += 1;
            known.not_true += u32::from(!finding.is_true);
            known.convicted += u32::from(finding.convicted == Some(true));
        }
        known
    }

    /// What was found since then.
    pub(super) fn since(self, before: &Known) -> Event {
        let Known { claims, not_true, convicted } = self;
        Event::Ended { claims, judged: claims.saturating_sub(before.claims), not_true, convicted }
    }
}

/// A chunk that was demanded of what somebody committed and did not publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Entry of the state or update, or beyond its entries of the previous update; 0 of data.
    pub entry: u32,
    /// Chunk of the entry.
    pub chunk: u32,
    /// Whether it was answered, or left unanswered in time.
    pub ended: bool,
}

impl Record {
    /// What was demanded under a name.
    pub(super) fn asked(&self, name: &str) -> Result<Option<Asked>> {
        self.read(&format!("{name}.json"))
    }

    pub(super) fn ask(&self, name: &str, asked: &Asked) -> Result<()> {
        self.write(&format!("{name}.json"), asked)
    }
}
