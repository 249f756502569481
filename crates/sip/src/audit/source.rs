//! What a job computes with, from its manifest and the folder of its run: tokens, graphs, and the states that were published there.

use anyhow::Result;
use sip_node::State;
use sip_protocol::training::job::Job;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sip_manifest::commits::{Difference, difference};
use sip_manifest::folder::Store;
use sip_manifest::machine::Machine;
use sip_manifest::prepare::{self, Prepared};

/// First bytes of a saved state, before its root.
const MAGIC_BYTES: usize = 8;

/// Whether a job is the one that a folder describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    /// It is, but for its genesis state, which is not what the job's own graph gives.
    FalseGenesis,
    No,
}

/// The folder of a run.
pub(super) struct Source {
    pub store: Store,
    pub prepared: Prepared,
}

impl Source {
    pub(super) fn open(store: Store, machine: &Machine) -> Result<Source> {
        let prepared = prepare::open(&store, machine)?;
        Ok(Source { store, prepared })
    }

    /// States that follow from the manifest alone: the genesis state, and with compressed updates the reset.
    pub(super) fn given(&self) -> impl Iterator<Item = &Arc<State>> {
        let reset = self.prepared.updates.as_ref().map(|updates| &updates.reset);
        std::iter::once(&self.prepared.genesis).chain(reset)
    }

    /// Something of the same shape as what a segment hands over: a whole state, or an update.
    pub(super) fn result(&self) -> &Arc<State> {
        self.prepared.updates.as_ref().map_or(&self.prepared.genesis, |updates| &updates.reset)
    }

    /// Whether the folder has what a job computes with: by every commitment of the job.
    pub(super) fn describes(&self, job: &Job) -> Match {
        match difference(&self.prepared.commits, &job.spec) {
            None => Match::Yes,
            Some(Difference::Genesis) => Match::FalseGenesis,
            Some(Difference::Other(_)) => Match::No,
        }
    }

    /// The file of a state of this root in the run's folder, by what its head says.
    pub(super) fn published(&self, root: &[u8; 32]) -> Option<PathBuf> {
        let folders = [self.store.run(), self.store.states()];
        let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "state")).collect();
        paths.sort();
        paths.into_iter().find(|path| names(path, root))
    }
}

/// Whether a state's file says that it is of this root.
fn names(path: &Path, root: &[u8; 32]) -> bool {
    let mut head = [0; MAGIC_BYTES + 32];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head[MAGIC_BYTES..] == root[..]
}
