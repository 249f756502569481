//! Work under way, on disk: a process that is killed loses no more of it than what it did since the last pause was kept.
//!
//! The state is on disk before the file that names it, and the one before is removed after that.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sip_data::{hex, unhex};
use sip_kernels::Threads;
use sip_node::{Cheat, Pause, SegmentTask, State};
use sip_proof::Leaf;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Record;

/// How often a pause is kept.
pub(crate) const EVERY: Duration = Duration::from_secs(45);

/// Where pauses of one kind of work are: one at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// The file of a pause.
    pub file: &'static str,
    /// How the file of its state begins.
    state: &'static str,
}

/// Of the own segment.
pub(crate) const TRAINING: Slot = Slot { file: "pause.json", state: "pause-" };
/// Of a replay.
pub(crate) const REPLAY: Slot = Slot { file: "paused-replay.json", state: "paused-replay-" };
/// Of a scoring run.
pub(crate) const SCORE: Slot = Slot { file: "paused-score.json", state: "paused-score-" };

/// A pause without its state.
#[derive(Serialize, Deserialize)]
struct Kept {
    key: String,
    next_step: u32,
    /// First step, count, start root, batches root and end root of each.
    leaves: Vec<(u32, u32, [String; 3])>,
    /// As bits.
    losses: Vec<u32>,
    batches: Vec<String>,
    /// Steps and roots of their traces.
    #[serde(default)]
    traces: Vec<(u32, String)>,
    state: String,
}

/// What a segment follows from, all of it: whose pause it is. Of a scoring run the states that its graph reads are what tells it from any other.
pub(crate) fn key(task: &SegmentTask, cheat: Option<&Cheat>) -> String {
    let SegmentTask { round, first_step, seed, mixture, settings, place, base, bases } = task;
    let (seed, base) = (hex(seed), hex(&base.root()));
    let bases: Vec<String> = bases.iter().map(|base| hex(&base.root())).collect();
    format!("{round} {place} {first_step} {seed} {mixture:?} {settings:?} {base} {bases:?} {cheat:?}")
}

fn state_path(record: &Record, slot: Slot, root: &str) -> PathBuf {
    record.folder().join(format!("{}{root}.state", slot.state))
}

/// Removes the states of all pauses of a kind but one.
fn clean(record: &Record, slot: Slot, but: Option<&str>) {
    let kept = but.map(|root| state_path(record, slot, root));
    for entry in std::fs::read_dir(record.folder()).into_iter().flatten().flatten() {
        let is_pause = entry.file_name().to_str().is_some_and(|name| name.starts_with(slot.state));
        if is_pause && kept.as_ref() != Some(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Keeps a pause, in place of the one before.
pub(crate) fn keep(record: &Record, slot: Slot, key: &str, pause: &Pause) -> Result<()> {
    let state = hex(&pause.state.root());
    pause.state.save(&state_path(record, slot, &state)).context("what was done cannot be kept")?;
    let roots = |leaf: &Leaf| [hex(&leaf.start_root), hex(&leaf.batches_root), hex(&leaf.end_root)];
    let kept = Kept {
        key: key.to_owned(),
        next_step: pause.next_step,
        leaves: pause.leaves.iter().map(|leaf| (leaf.first_step, leaf.count, roots(leaf))).collect(),
        losses: pause.losses.iter().map(|loss| loss.to_bits()).collect(),
        batches: pause.batches.iter().map(|root| hex(root)).collect(),
        traces: pause.traces.iter().map(|(step, root)| (*step, hex(root))).collect(),
        state,
    };
    record.write(slot.file, &kept)?;
    clean(record, slot, Some(&kept.state));
    Ok(())
}

/// The pause of some work, if one was kept and nothing of it is damaged.
pub(crate) fn find(record: &Record, slot: Slot, key: &str, threads: &Threads) -> Option<Pause> {
    let kept: Kept = record.read(slot.file).ok()?.filter(|kept: &Kept| kept.key == key)?;
    let state = State::load(&state_path(record, slot, &kept.state), threads).ok()?;
    let is_named = Some(state.root()) == unhex(&kept.state);
    let leaf = |(first_step, count, roots): &(u32, u32, [String; 3])| {
        let [start_root, batches_root, end_root] = roots.each_ref().map(|root| unhex(root));
        Some(Leaf {
            first_step: *first_step,
            count: *count,
            start_root: start_root?,
            batches_root: batches_root?,
            end_root: end_root?,
        })
    };
    is_named.then_some(())?;
    Some(Pause {
        next_step: kept.next_step,
        leaves: kept.leaves.iter().map(leaf).collect::<Option<_>>()?,
        losses: kept.losses.iter().map(|bits| f32::from_bits(*bits)).collect(),
        batches: kept.batches.iter().map(|root| unhex(root)).collect::<Option<_>>()?,
        traces: kept.traces.iter().map(|(step, root)| Some((*step, unhex(root)?))).collect::<Option<_>>()?,
        state: Arc::new(state),
    })
}

/// Removes the pause of work that is done.
pub(crate) fn forget(record: &Record, slot: Slot) {
    let _ = std::fs::remove_file(record.folder().join(slot.file));
    clean(record, slot, None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_graph::Buffer;
    use std::collections::BTreeMap;

    fn pause(next_step: u32, threads: &Threads) -> Pause {
        let mut entry = Buffer::new(1_000);
        entry.fill(next_step);
        Pause {
            next_step,
            leaves: vec![Leaf {
                first_step: 0,
                count: 4,
                start_root: [1; 32],
                batches_root: [2; 32],
                end_root: [3; 32],
            }],
            losses: vec![0.5; next_step as usize],
            batches: vec![[4; 32]],
            traces: BTreeMap::from([(2, [5; 32])]),
            state: Arc::new(State::new(vec![entry], threads)),
        }
    }

    #[test]
    fn a_pause_is_found_after_a_kill_at_any_moment_by_its_own_segment_alone_and_a_damaged_one_never() {
        assert!(EVERY < Duration::from_secs(60), "a kill costs less than a minute of training");
        let (folder, threads) = (tempfile::tempdir().unwrap(), Threads::new(1));
        let record = Record::open(folder.path().to_owned()).unwrap();
        let found = |key: &str| find(&record, TRAINING, key, &threads).map(|pause| pause.next_step);
        assert_eq!(found("one"), None);
        keep(&record, TRAINING, "one", &pause(5, &threads)).unwrap();
        let kept = find(&record, TRAINING, "one", &threads).unwrap();
        let before = pause(5, &threads);
        assert_eq!((kept.leaves, kept.losses, kept.batches), (before.leaves, before.losses, before.batches));
        assert_eq!(kept.traces, before.traces);
        // Work of another kind has a pause of its own.
        keep(&record, SCORE, "one", &pause(3, &threads)).unwrap();
        forget(&record, SCORE);
        assert!(find(&record, REPLAY, "one", &threads).is_none());
        assert_eq!((kept.state.root(), found("another")), (before.state.root(), None));
        // Killed when the next state is written and not named yet: the one before stands.
        let next = pause(9, &threads);
        next.state.save(&state_path(&record, TRAINING, &hex(&next.state.root()))).unwrap();
        assert_eq!(found("one"), Some(5));
        keep(&record, TRAINING, "one", &next).unwrap();
        assert_eq!(found("one"), Some(9));
        let states = std::fs::read_dir(folder.path()).unwrap().flatten();
        assert_eq!(states.filter(|entry| entry.file_name().to_string_lossy().ends_with(".state")).count(), 1);
        let path = state_path(&record, TRAINING, &hex(&next.state.root()));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(found("one"), None, "half a state is none");
        forget(&record, TRAINING);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
