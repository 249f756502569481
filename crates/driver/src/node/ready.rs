//! What a node needs before it can do anything: the job's manifest and tokens, which others serve under roots that the chain has.

use anyhow::{Context, Result, bail, ensure};
use sip_data::files::write_atomically;
use sip_data::hex;
use sip_ledger::Ledger;
use sip_manifest::bytes::BYTES_MAX;
use sip_manifest::commits::Difference;
use sip_manifest::folder::{Store, read_manifest};
use sip_manifest::value::{Domain, Manifest, content_hash};
use sip_net::{Item, Want};
use sip_protocol::Account as _;
use sip_protocol::training::job::Job;
use sip_roles::Event;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::source::{registered, require_version};

use super::peers::short;
use super::runner::Runner;
use super::setup::Parts;

/// How long one search among peers lasts, before their records are read again.
const SEARCH: Duration = Duration::from_secs(8);

impl<L: Ledger> Runner<'_, L> {
    /// Puts the files of the node's folder and of folders of texts on the shelf, so that others can have them: whatever is named `.tokens`, the
    /// tokenizers, and the node's manifest.
    pub(crate) fn offer_files(&mut self, parts: &Parts) -> Result<()> {
        let folders = self.setup.texts.iter().map(|folder| Store::new(folder));
        for store in std::iter::once(parts.store.clone()).chain(folders) {
            for entry in std::fs::read_dir(store.data()).into_iter().flatten().flatten() {
                if entry.path().extension().is_some_and(|end| end == "tokens") {
                    parts.shelf.put_file(&entry.path())?;
                }
            }
            if store.tokenizer().exists() {
                parts.shelf.put_file(&store.tokenizer())?;
            }
        }
        if parts.store.manifest().exists() {
            parts.shelf.put_file(&parts.store.manifest())?;
        }
        Ok(())
    }

    /// Gets the manifest and all tokens into the node's folder; false if it was asked to stop.
    pub(crate) fn get_ready(&mut self, parts: &Parts) -> Result<bool> {
        let Some(job) = self.patiently(|runner| runner.read_job())? else { return Ok(false) };
        require_version(&job)?;
        let manifest = parts.store.manifest();
        if !manifest.exists() {
            ensure!(
                job.require_described().is_ok(),
                "the job {} has no card, and there is no manifest in {}; its creator names one with \"sip job create\", --manifest names a file",
                self.setup.job,
                parts.store.run().display()
            );
            let bytes = job.card.manifest_bytes;
            ensure!(bytes <= BYTES_MAX as u64, "the job says that its manifest has {bytes} bytes, which none has");
            let item = Item::blob(job.card.manifest_root, bytes);
            let who = "everybody of the job has it, its creator first: the process of \"sip node run JOB --role keeper --listen IP:PORT\" serves it";
            if !self.get(parts, &item, "the manifest", who)? {
                return Ok(false);
            }
            self.write(parts, &item, &manifest)?;
        }
        let manifest = read_manifest(&manifest)?;
        self.check(&manifest, &job)?;
        self.require_room(&manifest)?;
        for (number, domain) in manifest.domains.iter().enumerate() {
            if !self.get_tokens(parts, number, domain)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The job as it stands.
    pub(crate) fn read_job(&self) -> Result<Box<Job>> {
        let address = self.setup.job;
        let account = self.ledger.account(&address)?.filter(|account| account.owner == self.setup.program.id);
        let account = account.with_context(|| format!("there is no job at {address}"))?;
        Job::decode(&account.data).map(Box::new).map_err(|error| anyhow::anyhow!("account {address}: {error}"))
    }

    /// Whether a manifest is the job's: graphs that are built from it are those that the job has committed to, and its data are those that
    /// providers registered. Who works on other tokens is convicted for it.
    fn check(&self, manifest: &Manifest, job: &Job) -> Result<()> {
        let datasets = registered(&*self.ledger, &self.setup.program, job)?;
        match manifest.check(&job.spec, &datasets)? {
            // A false genesis state is for watchtowers to accuse.
            None | Some(Difference::Genesis) => Ok(()),
            Some(difference) => {
                bail!("the manifest is not the one of the job {}: {}", self.setup.job, manifest.words(difference))
            }
        }
    }

    /// Has the training and held-out tokens of a domain in the node's folder.
    fn get_tokens(&mut self, parts: &Parts, number: usize, domain: &Domain) -> Result<bool> {
        let both = [
            ("train", domain.train_root, domain.train_tokens, "to train on"),
            ("heldout", domain.heldout_root, domain.heldout_tokens, "held out"),
        ];
        for (part, root, tokens, what) in both {
            let path = parts.store.tokens(number, part);
            if path.exists() && std::fs::read(&path).is_ok_and(|bytes| content_hash(&bytes) == root) {
                continue;
            }
            let item = Item::tokens(root, tokens);
            let who = "its provider owes them: the process of \"sip node run JOB --role provider --texts FOLDER --listen IP:PORT\" serves them";
            if !self.get(parts, &item, &format!("the tokens of {} {what}", domain.name), who)? {
                return Ok(false);
            }
            self.write(parts, &item, &path)?;
        }
        Ok(true)
    }

    /// Copies what lies on the shelf into a file.
    fn write(&self, parts: &Parts, item: &Item, path: &Path) -> Result<()> {
        let bytes = parts.shelf.read(&item.root, item.bytes())?;
        let folder = path.parent().context("a file has no folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        write_atomically(path, |temporary| std::fs::write(temporary, &bytes))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Has something on the shelf, from those who have it; false if it was asked to stop. `who` says who should serve it.
    fn get(&mut self, parts: &Parts, item: &Item, what: &str, who: &str) -> Result<bool> {
        if parts.shelf.is_whole(&item.root) {
            return Ok(true);
        }
        let stop = AtomicBool::new(false);
        loop {
            if self.patiently(|runner| runner.read_peers())?.is_none() {
                return Ok(false);
            }
            let all = self.peers.all();
            let said = format!("gets {what}, {} bytes under the root {}…", item.bytes(), short(&item.root));
            self.say_once(&Event::Prepares { what: said.clone() });
            self.status.why = Some(said);
            self.write_status(parts)?;
            let peers = || all.clone();
            let want = Want { item, ranges: None, peers: &peers, by: Instant::now() + SEARCH, stop: &stop };
            let asked = self.setup.stop.clone();
            let fetched = std::thread::scope(|scope| {
                let fetch = scope.spawn(|| parts.fetcher.fetch(&want, &|_| ()));
                while !fetch.is_finished() {
                    stop.store(asked.requested(), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(20));
                }
                fetch.join()
            });
            match fetched {
                Ok(Ok(fetched)) => {
                    let seconds = fetched.seconds;
                    let what = format!("has {what}: {} bytes in {seconds:.1} s", fetched.bytes);
                    self.say(&Event::Prepares { what });
                    return Ok(true);
                }
                Ok(Err(sip_net::FetchError::Disk(error))) => return Err(error.into()),
                Ok(Err(_)) if self.setup.stop.requested() => return Ok(false),
                Ok(Err(_)) if self.setup.once => {
                    return Err(Lacking(format!("{}; {who}", nobody(all.len(), what))).into());
                }
                Ok(Err(_)) => {
                    let what = format!("{}; {who}; asks again", nobody(all.len(), what));
                    self.status.why = Some(what.clone());
                    self.say_once(&Event::Prepares { what });
                    if !self.sleep(Duration::from_secs(1)) {
                        return Ok(false);
                    }
                }
                Err(_) => bail!("the thread that fetches {} ended badly", hex(&item.root)),
            }
        }
    }
}

/// What is needed to begin, and nobody has.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Lacking(String);

fn nobody(peers: usize, what: &str) -> String {
    match peers {
        0 => format!("nobody of the job says on chain where he serves {what}"),
        1 => format!("the only one of the job who serves does not give {what}"),
        _ => format!("none of {peers} who serve in the job gives {what}"),
    }
}
