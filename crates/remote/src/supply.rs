//! What a job computes with and what it came to, fetched from its people by the roots that the chain has of it.

use anyhow::{Context, Result, ensure};
use sip_data::{TokenBlob, hex, shown_path};
use sip_driver::node::{Peers, UNASKED_BYTES, text_bytes};
use sip_driver::{NetStates, States};
use sip_kernels::Threads;
use sip_manifest::bytes::BYTES_MAX;
use sip_manifest::folder::{Store, read_manifest, write_bytes};
use sip_manifest::value::{Blob, Manifest, content_hash};
use sip_net::{Bans, FetchError, FetchLimits, Fetcher, Held, Item, Shelf, StrangersHttp, Told, Want};
use sip_node::State;
use sip_proof::Hash;
use sip_report::{Progress, grouped};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sip_console::failure::{Code, fault_with};

/// How long one thing may take to come, as long as any of it comes.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// How long nothing comes before it is said.
const QUIET: Duration = Duration::from_secs(15);
/// After how many times as long it is given up.
const QUIET_TIMES: u32 = 3;
/// How long one who gave wrong bytes is asked no more: as long as this runs.
const BAN: Duration = Duration::from_secs(86_400);
/// Reasons that are told.
const REASONS: usize = 4;

/// What can be done about a base that nobody has; commands follow.
pub(crate) const ANEW: &str = "it can be computed anew from the texts";

/// Who is asked, and where what came is kept.
pub struct Supply {
    shelf: Shelf,
    fetcher: Fetcher,
    peers: Peers,
    progress: Progress,
    pub(crate) store: Store,
    /// Whether the folder was named, and texts of any size may fill it.
    is_named: bool,
    /// How long one thing may take to come.
    longest: Duration,
    /// What people are called, by their pools.
    names: BTreeMap<Hash, String>,
    /// Bytes that came from people.
    pub(crate) bytes: u64,
}

/// Something that is wanted, for people.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// What it is.
    pub what: &'a str,
    /// Who should have it.
    pub remedy: &'a str,
    /// Commands that do something about it where nobody has it.
    pub commands: &'a [String],
    /// Pools of those who are asked first.
    pub likely: &'a [[u8; 32]],
}

/// What a fetch has told so far.
struct Heard {
    bytes: u64,
    /// When bytes came last.
    at: Instant,
    /// Why somebody gave nothing.
    why: BTreeMap<Hash, String>,
}

impl Supply {
    /// Keeps what it gets in a folder, which somebody named or not; it also looks there first.
    pub(crate) fn open(
        (folder, is_named): (&Path, bool),
        network: StrangersHttp,
        peers: Peers,
        progress: Progress,
    ) -> Result<Supply> {
        let shelf = Shelf::open(&folder.join("shelf"))
            .with_context(|| format!("cannot keep anything in {}", shown_path(folder)))?;
        let bans = Arc::new(Bans::new(BAN));
        let fetcher = Fetcher::new(Arc::new(network), shelf.clone(), bans, FetchLimits::default());
        let store = Store::new(folder);
        std::fs::create_dir_all(store.data()).with_context(|| format!("cannot make {}", shown_path(&store.data())))?;
        let (names, bytes) = Default::default();
        Ok(Supply { shelf, fetcher, peers, progress, store, is_named, longest: LONGEST, names, bytes })
    }

    /// The same, which waits no longer than that for one thing.
    pub fn within(self, longest: Duration) -> Supply {
        Supply { longest, ..self }
    }

    /// The same, who knows what people are called.
    pub(crate) fn with_names(self, names: BTreeMap<Hash, String>) -> Supply {
        Supply { names, ..self }
    }

    /// Why those gave nothing who were asked: each of them once.
    fn reasons(&self, why: &BTreeMap<Hash, String>) -> String {
        let name = |id: &Hash| self.names.get(id).cloned().unwrap_or_else(|| self.peers.name(id));
        reasons(why.iter().map(|(id, why)| (name(id), why.as_str())).collect())
    }

    /// Has something on the shelf.
    fn fetch(&mut self, wanted: Wanted<'_>, item: &Item) -> Result<()> {
        if self.shelf.held(item) == Held::Whole {
            return Ok(());
        }
        let (what, remedy, commands) = (wanted.what, wanted.remedy, wanted.commands);
        ensure!(
            self.is_named || item.bytes() <= UNASKED_BYTES,
            "{what} takes {} GiB, more than is fetched without being told; --keep FOLDER names a folder that has the room",
            item.bytes() >> 30
        );
        let peers = self.peers.with_first(wanted.likely);
        if peers.is_empty() {
            let said =
                format!("nobody of the job says on chain where he serves {what}; {remedy}; --peer names somebody");
            return Err(fault_with(Code::NobodyHas, said, commands.to_vec()));
        }
        let people = people(peers.len());
        let bar = self.progress.bar(item.bytes(), what);
        let heard = Mutex::new(Heard { bytes: 0, at: Instant::now(), why: BTreeMap::new() });
        // Said once something comes: where nobody has it, the end says all.
        let begun = || self.progress.line(&format!("fetching {what}, {} bytes, from {people}", grouped(item.bytes())));
        let tell = |told: &Told| {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            match told {
                Told::Progress { bytes, .. } => {
                    bar.set_position(*bytes);
                    if *bytes != heard.bytes {
                        if heard.bytes == 0 {
                            begun();
                        }
                        (heard.bytes, heard.at) = (*bytes, Instant::now());
                    }
                }
                Told::Banned { id, why } => drop(heard.why.insert(*id, format!("gave what is wrong: {why}"))),
                Told::Aside { id, why, .. } => drop(heard.why.insert(*id, why.clone())),
            }
        };
        let stop = AtomicBool::new(false);
        let want =
            Want { item, ranges: None, peers: &|| peers.clone(), by: Instant::now() + self.longest, stop: &stop };
        let fetched = std::thread::scope(|scope| {
            let fetching = scope.spawn(|| self.fetcher.fetch(&want, &tell));
            let mut told = 0;
            while !fetching.is_finished() {
                std::thread::sleep(Duration::from_millis(20));
                let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                let quiet = heard.at.elapsed();
                // Where each of them has said why not, nobody is left to wait for.
                let times = if heard.why.len() >= peers.len() { 1 } else { QUIET_TIMES };
                stop.store(quiet > QUIET * times, Ordering::Relaxed);
                if quiet < QUIET {
                    told = 0;
                } else if quiet > QUIET && told == 0 && times > 1 {
                    told += 1;
                    let left = (QUIET * (QUIET_TIMES - told)).as_secs();
                    self.progress.line(&format!("none of {people} gives it yet; asks for {left} s more"));
                }
            }
            fetching.join()
        });
        drop(bar);
        match fetched {
            Ok(Ok(fetched)) => {
                self.bytes += fetched.bytes;
                Ok(())
            }
            Ok(Err(FetchError::Stopped | FetchError::Late { .. })) => {
                let heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
                Err(fault_with(
                    Code::NobodyHas,
                    nobody(&people, what, &self.reasons(&heard.why), remedy),
                    commands.to_vec(),
                ))
            }
            Ok(Err(error)) => Err(anyhow::Error::new(error).context(format!("cannot get {what}"))),
            Err(_) => Err(anyhow::anyhow!("the thread that fetches {what} ended badly")),
        }
    }

    /// The bytes of this root.
    fn blob(&mut self, wanted: Wanted<'_>, item: &Item) -> Result<Vec<u8>> {
        self.fetch(wanted, item)?;
        Ok(self.shelf.read(&item.root, item.bytes())?)
    }

    /// The manifest of this root.
    pub fn manifest(&mut self, root: &Hash, bytes: u64) -> Result<Manifest> {
        let path = self.store.manifest();
        if let Ok(manifest) = read_manifest(&path)
            && manifest.hash() == *root
        {
            return Ok(manifest);
        }
        ensure!(bytes <= BYTES_MAX as u64, "the job says that its manifest has {bytes} bytes, which none has");
        let wanted = Wanted {
            what: "the manifest",
            remedy: "everybody of the job has it, its creator first: \"sip node run JOB --role keeper --listen IP:PORT\" serves it",
            commands: &[],
            likely: &[],
        };
        let content = self.blob(wanted, &Item::blob(*root, bytes))?;
        ensure!(content_hash(&content) == *root, "the manifest that came is not the one of the chain");
        let manifest =
            Manifest::from_bytes(&content).context("the manifest of the chain is none that this version reads")?;
        write_bytes(&path, &content)?;
        Ok(manifest)
    }

    /// Puts the tokenizer where the folder of a job has it.
    pub(crate) fn tokenizer(&mut self, named: &Blob) -> Result<()> {
        let path = self.store.tokenizer();
        if std::fs::read(&path).is_ok_and(|bytes| Blob::of(&bytes) == *named) {
            return Ok(());
        }
        let wanted = Wanted {
            what: "the tokenizer",
            remedy: "its creator and its providers have it: \"sip node run JOB --role keeper --listen IP:PORT\" serves it; --tokenizer names a folder that has it",
            commands: &[],
            likely: &[],
        };
        let bytes = self.blob(wanted, &Item::blob(named.root, named.bytes))?;
        write_bytes(&path, &bytes)
    }

    /// Puts the tokens of all domains where the folder of a job has them.
    pub fn tokens(&mut self, manifest: &Manifest) -> Result<()> {
        let all = text_bytes(manifest);
        ensure!(
            self.is_named || all <= UNASKED_BYTES,
            "the texts of the job take {} GiB, more than is fetched without being told; --keep FOLDER names a folder that has the room",
            all >> 30
        );
        for (number, domain) in manifest.domains.iter().enumerate() {
            for (part, root, count) in [
                ("train", domain.train_root, domain.train_tokens),
                ("heldout", domain.heldout_root, domain.heldout_tokens),
            ] {
                let path = self.store.tokens(number, part);
                if TokenBlob::load(&path, &root).is_ok() {
                    continue;
                }
                let what = format!("the {part} tokens of {} ({}…)", domain.name, &hex(&root)[..8]);
                let wanted = Wanted {
                    what: &what,
                    remedy: "its provider owes it: \"sip node run JOB --role provider --listen IP:PORT\" serves it",
                    commands: &[],
                    likely: &[],
                };
                let bytes = self.blob(wanted, &Item::tokens(root, count))?;
                write_bytes(&path, &bytes)?;
                self.shelf.forget(&root)?;
            }
        }
        Ok(())
    }

    /// A state of this root, with entries of these lengths.
    pub(crate) fn state(
        &mut self,
        wanted: Wanted<'_>,
        root: &Hash,
        lengths: &[usize],
        threads: &Threads,
    ) -> Result<Arc<State>> {
        self.fetch(wanted, &Item::state(*root, lengths))?;
        let state = self.states(lengths).load(root, threads)?;
        state.with_context(|| format!("{} that came is not the one of its root", wanted.what))
    }

    /// Keeps a state that was computed here, where the folder was named.
    pub(crate) fn keep_if_named(&self, state: &State) -> Result<()> {
        if self.is_named { self.keep(state) } else { Ok(()) }
    }

    /// Keeps a state that was computed here.
    pub(crate) fn keep(&self, state: &State) -> Result<()> {
        let lengths: Vec<usize> = state.entries().iter().map(|entry| entry.len()).collect();
        self.states(&lengths).save(state)
    }

    fn states(&self, lengths: &[usize]) -> NetStates {
        let tell: sip_driver::Tell = Arc::new(|_: &Hash, _: &Told| {});
        NetStates::new(self.shelf.clone(), self.fetcher.clone(), vec![lengths.to_vec()], BTreeSet::new(), tell)
    }
}

/// What is said where nobody gave something.
fn nobody(people: &str, what: &str, why: &str, remedy: &str) -> String {
    format!("none of {people} has {what}{why}; {remedy}")
}

/// Why people gave nothing, who by name: those together who say the same.
fn reasons(why: Vec<(String, &str)>) -> String {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, why) in why {
        // The number says nothing to people.
        by_reason.entry(why.split(" (os error").next().unwrap_or(why)).or_default().push(name);
    }
    let more = if by_reason.len() > REASONS { "; …" } else { "" };
    let told: Vec<String> =
        by_reason.into_iter().take(REASONS).map(|(why, names)| format!("{} {why}", together(names))).collect();
    if told.is_empty() { String::new() } else { format!(" ({}{more})", told.join("; ")) }
}

/// Names in a row, those of one role together: "the creator, trainer 1, 2".
fn together(mut names: Vec<String>) -> String {
    names.sort();
    let (mut text, mut last) = (String::new(), "");
    for name in &names {
        let (role, number) = name.rsplit_once(' ').unwrap_or((name, ""));
        let is_numbered = number.parse::<u32>().is_ok();
        let said = if is_numbered && role == last { number } else { name.as_str() };
        if !text.is_empty() {
            text += ", ";
        }
        text += said;
        last = if is_numbered { role } else { "" };
    }
    text
}

fn people(number: usize) -> String {
    if number == 1 { "1 of its people".into() } else { format!("{number} of its people") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_have_nothing_are_told_by_name_and_once_each() {
        let refused = "cannot be reached: Connection refused (os error 111)";
        let why: Vec<(String, &str)> =
            ["trainer 2", "auditor 1", "trainer 1", "the creator"].map(|name| (name.to_owned(), refused)).to_vec();
        let why = [why, vec![("auditor 2".to_owned(), "does not have it")]].concat();
        let told =
            " (auditor 1, the creator, trainer 1, 2 cannot be reached: Connection refused; auditor 2 does not have it)";
        assert_eq!(reasons(why), told);
        // With ten of them, and the two commands behind it, a terminal of 80 columns shows it in eight lines.
        let all = [("auditor", 2), ("evaluator", 3), ("trainer", 3)];
        let all = all.iter().flat_map(|(role, count)| (1..=*count).map(move |number| format!("{role} {number}")));
        let gone = all.map(|name| (name, refused));
        let rest = ["the creator", "the provider of addresses"].map(|name| (name.to_owned(), "does not have it"));
        let said = nobody("10 of its people", "the model of round 1", &reasons(gone.chain(rest).collect()), ANEW);
        let lines = sip_report::terminal::wrap(&format!("error: {said}:"), 80, 2).lines().count();
        assert!(lines + 2 <= 8 - 2, "with what is said before it: {said}");
        assert_eq!(reasons(Vec::new()), "");
    }
}
