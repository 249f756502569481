//! What a watchtower remembers of a job: one file for each claim, and the states that replays start from.
//!
//! ```text
//! JOB/job.json                     how many rounds nothing is left to do about, and what was found in those whose files are removed
//! JOB/round-0-segment-1.json, …    a claim, what it should be, and what became of its accusation
//! JOB/round-0-base.json            the next base from the accepted segments
//! JOB/round-0-demand-1.json        a chunk that was demanded of a trainer; data-DATASET.json of a provider
//! JOB/round-0-work-1.json          an own segment of a round, by its place
//! JOB/ROOT.state                   a state, where no shelf has it
//! JOB/pause.json, pause-ROOT.state a segment under way; paused-replay… and paused-score… a replay and a scoring run
//! ```
//!
//! A file is replaced at once and is on the disk before anything that follows from it is sent. What is not here, the chain tells.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sip_data::{hex, unhex};
use sip_manifest::folder::{read_json, write_json};
use sip_roles::{Asked, Claim, Event, Fact, Finding, Worked};
use std::path::{Path, PathBuf};

/// What follows from a round's accepted segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Base {
    /// Which were accepted, by place.
    pub(crate) accepted: u16,
    /// Root of the next base; zeros if it has a value that is not finite, so that there is none.
    pub(crate) root: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Progress {
    rounds_done: u32,
    /// Files of rounds before this one are counted in what follows, and may be gone.
    #[serde(default)]
    counted_below: u32,
    /// What was found in them.
    #[serde(default)]
    counted: Known,
}

/// The round of a file of one.
fn round_of(name: &str) -> Option<u32> {
    name.strip_prefix("round-")?.split('-').next()?.parse().ok()
}

/// The folder of a job.
#[derive(Clone, Debug)]
pub struct Record {
    folder: PathBuf,
}

impl Record {
    /// Opens the folder, making it if need be.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open(folder: PathBuf) -> Result<Record> {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Record { folder })
    }

    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.folder.join(name);
        if path.exists() { read_json(&path).map(Some) } else { Ok(None) }
    }

    pub(crate) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        write_json(&self.folder.join(name), value).context("nothing is sent that could not be remembered")
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Rounds that nothing is left to do about.
    ///
    /// # Errors
    /// Where the file of it is damaged.
    pub fn rounds_done(&self) -> Result<u32> {
        Ok(self.read::<Progress>("job.json")?.unwrap_or_default().rounds_done)
    }

    /// Puts a fact on disk.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep(&self, fact: &Fact) -> Result<()> {
        match fact {
            Fact::Found { claim, finding } => self.write(&format!("{}.json", claim.file()), finding),
            Fact::Base { round, accepted, root } => {
                let base = Base { accepted: *accepted, root: hex(root) };
                self.write(&format!("round-{round}-base.json"), &base)
            }
            Fact::Asked { name, asked } => self.write(&format!("{name}.json"), asked),
            Fact::RoundsDone(rounds_done) => self.pass_by(*rounds_done),
            Fact::Worked { round, worked } => {
                self.write(&format!("round-{round}-work-{}.json", worked.leaves.place), worked)
            }
            Fact::Scored { .. } | Fact::Played { .. } | Fact::Answered { .. } | Fact::SurveyAgain(_) => Ok(()),
        }
    }

    /// Notes that nothing is left to do about rounds before this one, and removes their files: every look would read them. What was found in them is
    /// counted before, so that a process that is killed here counts nothing twice.
    fn pass_by(&self, rounds_done: u32) -> Result<()> {
        let mut progress = self.read::<Progress>("job.json")?.unwrap_or_default();
        let of_passed = |name: &String| round_of(name).is_some_and(|round| round < rounds_done);
        let passed: Vec<String> = self.names("json")?.into_iter().filter(of_passed).collect();
        for name in &passed {
            if round_of(name).is_some_and(|round| round >= progress.counted_below) {
                progress.counted.add(&self.folder.join(format!("{name}.json")));
            }
        }
        (progress.rounds_done, progress.counted_below) = (rounds_done, rounds_done.max(progress.counted_below));
        self.write("job.json", &progress)?;
        for name in passed {
            // What cannot be removed is passed by in every look.
            let _ = std::fs::remove_file(self.folder.join(format!("{name}.json")));
        }
        Ok(())
    }

    /// All that is on disk of rounds from this one on.
    ///
    /// # Errors
    /// Where a file is damaged.
    pub fn known(&self, first_round: u32) -> Result<sip_roles::Known> {
        let mut known = sip_roles::Known { rounds_done: first_round, ..Default::default() };
        for name in self.names("json")? {
            let file = format!("{name}.json");
            let parts: Vec<&str> = name.split('-').collect();
            let round = parts.get(1).and_then(|round| round.parse::<u32>().ok());
            if parts[0] == "round" && round.is_none_or(|round| round < first_round) {
                continue;
            }
            if let Some(claim) = Claim::named(&name) {
                known.findings.extend(self.read::<Finding>(&file)?.map(|finding| (claim, finding)));
            } else if let (["round", _, "base"], Some(round)) = (&parts[..], round) {
                let base = self.read::<Base>(&file)?;
                let root = |base: Base| Some((round, (base.accepted, unhex(&base.root)?)));
                known.bases.extend(base.and_then(root));
            } else if let (["round", _, "work", _], Some(round)) = (&parts[..], round) {
                let worked = self.read::<Worked>(&file)?;
                known.worked.extend(worked.map(|worked| ((round, worked.leaves.place), worked)));
            } else if let ["round", _, "demand", _] = parts[..] {
                known.asked.extend(self.read::<Asked>(&file)?.map(|asked| (name, asked)));
            }
        }
        Ok(known)
    }

    /// The names of files with an ending, without it.
    fn names(&self, ending: &str) -> Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.folder).with_context(|| self.folder.display().to_string())?;
        let paths = entries.flatten().map(|entry| entry.path());
        let named = paths.filter(|path| path.extension().is_some_and(|end| end == ending));
        let mut names: Vec<String> = named.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        names.sort_unstable();
        Ok(names)
    }
}

/// The root that a state's file has as its name.
pub(crate) fn root_of_file(path: &Path) -> Option<[u8; 32]> {
    let is_state = path.extension().is_some_and(|end| end == "state");
    path.file_stem().filter(|_| is_state).and_then(|name| unhex(name.to_str()?))
}

/// What is on disk of all jobs in folders of watchtowers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    claims: u32,
    not_true: u32,
    convicted: u32,
}

impl Known {
    /// Counts the findings.
    pub fn of(folders: &[PathBuf]) -> Known {
        let mut known = Known::default();
        let entries = |folder: &PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
        let jobs = folders.iter().flat_map(entries).map(|entry| entry.path()).filter(|path| path.is_dir());
        for job in jobs {
            let progress: Progress = read_json(&job.join("job.json")).unwrap_or_default();
            let Known { claims, not_true, convicted } = progress.counted;
            known.claims += claims;
            known.not_true += not_true;
            known.convicted += convicted;
            for file in entries(&job) {
                let round = file.path().file_stem().and_then(|name| round_of(name.to_str()?));
                if round.is_none_or(|round| round >= progress.counted_below) {
                    known.add(&file.path());
                }
            }
        }
        known
    }

    /// Counts a file, if it holds a finding.
    fn add(&mut self, path: &Path) {
        let is_json = path.extension().is_some_and(|end| end == "json");
        let Some(finding) = is_json.then(|| read_json::<Finding>(path).ok()).flatten() else { return };
        self.claims += 1;
        self.not_true += u32::from(!finding.is_true);
        self.convicted += u32::from(finding.convicted == Some(true));
    }

    /// What was found since then.
    pub fn since(self, before: &Known) -> Event {
        let Known { claims, not_true, convicted } = self;
        Event::Ended { claims, judged: claims.saturating_sub(before.claims), not_true, convicted }
    }
}

impl Record {
    /// What was demanded under a name.
    ///
    /// # Errors
    /// Where the file of it is damaged.
    pub fn asked(&self, name: &str) -> Result<Option<Asked>> {
        self.read(&format!("{name}.json"))
    }

    /// Notes what is demanded under a name.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn ask(&self, name: &str, asked: &Asked) -> Result<()> {
        self.write(&format!("{name}.json"), asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_roles::Published;

    fn found(record: &Record, round: u32, place: u8, is_true: bool) {
        let (claim, convicted) = (Claim::Segment { round, place }, (!is_true).then_some(true));
        record.keep(&Fact::Found { claim, finding: Finding { is_true, convicted, ..Finding::default() } }).unwrap();
    }

    #[test]
    fn files_of_rounds_that_are_done_are_removed_and_what_was_found_in_them_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::open(folder.path().join("job")).unwrap();
        let all = || Known::of(&[folder.path().to_owned()]);
        for round in 0..3 {
            found(&record, round, 0, true);
            found(&record, round, 1, round != 1);
            record.keep(&Fact::Base { round, accepted: 1, root: [1; 32] }).unwrap();
            let worked = Worked {
                roots: std::array::from_fn(|_| hex(&[2; 32])),
                leaves: Published { round, place: 0, leaves: Vec::new() },
                mean_loss: 1.0,
            };
            record.keep(&Fact::Worked { round, worked }).unwrap();
        }
        let before = all();
        assert_eq!(before, Known { claims: 6, not_true: 1, convicted: 1 });
        let copy = std::fs::read(folder.path().join("job/round-1-segment-1.json")).unwrap();
        record.keep(&Fact::RoundsDone(2)).unwrap();
        let left: Vec<String> = record.names("json").unwrap();
        assert_eq!(left, ["job", "round-2-base", "round-2-segment-0", "round-2-segment-1", "round-2-work-0"]);
        assert_eq!((all(), record.rounds_done().unwrap()), (before, 2));
        // Killed before a file was removed: it is counted, and the next time removed.
        std::fs::write(folder.path().join("job/round-1-segment-1.json"), copy).unwrap();
        assert_eq!(all(), before);
        record.keep(&Fact::RoundsDone(3)).unwrap();
        assert_eq!((record.names("json").unwrap(), all()), (vec!["job".to_owned()], before));
        assert!(record.known(3).unwrap().findings.is_empty());
    }
}
