//! What a job computes with, fetched from its people: a manifest and tokens, by the roots that the chain has of them.

use anyhow::{Context, Result, ensure};
use sip_data::{TokenBlob, hex, shown_path};
use sip_driver::node::{UNASKED_BYTES, text_bytes};
use sip_manifest::bytes::BYTES_MAX;
use sip_manifest::folder::{Store, read_manifest, write_bytes};
use sip_manifest::value::{Manifest, content_hash};
use sip_net::{Bans, FetchError, FetchLimits, Fetcher, Item, Peer, Shelf, StrangersHttp, Want};
use sip_proof::Hash;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::chain::tokens::grouped;
use crate::failure::{Code, fault};
use sip_report::count;

/// How long one look for the rest of something lasts.
const LOOK: Duration = Duration::from_secs(15);
/// Looks in a row that may bring nothing before it is given up.
const LOOKS_IN_VAIN: u32 = 3;
/// How long one who gave wrong bytes is asked no more: as long as this runs.
const BAN: Duration = Duration::from_secs(86_400);

/// Who is asked, and where what came is kept.
pub(super) struct Supply {
    shelf: Shelf,
    fetcher: Fetcher,
    peers: Vec<Peer>,
    pub(super) store: Store,
    pub(super) bytes: u64,
    /// Whether the folder was named, and texts of any size may fill it.
    is_named: bool,
}

impl Supply {
    /// Keeps what it gets in a folder, where it also looks first.
    pub(super) fn open(folder: &Path, is_named: bool, network: StrangersHttp, peers: Vec<Peer>) -> Result<Supply> {
        let shelf = Shelf::open(&folder.join("shelf"))
            .with_context(|| format!("cannot keep anything in {}", shown_path(folder)))?;
        let bans = Arc::new(Bans::new(BAN));
        let fetcher = Fetcher::new(Arc::new(network), shelf.clone(), bans, FetchLimits::default());
        let store = Store::new(folder);
        std::fs::create_dir_all(store.data()).with_context(|| format!("cannot make {}", shown_path(&store.data())))?;
        Ok(Supply { shelf, fetcher, peers, store, bytes: 0, is_named })
    }

    fn fetch(&mut self, what: &str, item: &Item, told: &dyn Fn(&str)) -> Result<Vec<u8>> {
        if !self.shelf.is_whole(&item.root) {
            ensure!(
                !self.peers.is_empty(),
                "nobody of the job says on chain where he serves {what}; --peer names somebody"
            );
            told(&format!("fetching {what}, {} bytes", grouped(item.bytes())));
            let peers = self.peers.clone();
            let stop = AtomicBool::new(false);
            let (mut missing, mut in_vain) = (item.bytes(), 0);
            loop {
                let by = Instant::now() + LOOK;
                let want = Want { item, ranges: None, peers: &|| peers.clone(), by, stop: &stop };
                match self.fetcher.fetch(&want, &|_| {}) {
                    Ok(fetched) => break self.bytes += fetched.bytes,
                    Err(FetchError::Late { missing_bytes, .. }) if missing_bytes < missing => {
                        (missing, in_vain) = (missing_bytes, 0);
                        told(&format!("{} bytes of {what} are still to come", grouped(missing)));
                    }
                    Err(FetchError::Late { why, .. }) if in_vain + 1 < LOOKS_IN_VAIN => {
                        in_vain += 1;
                        told(&format!("{} has {what} yet{}; asks again", nobody(peers.len()), reasons(&why)));
                    }
                    Err(FetchError::Late { why, .. }) => {
                        let said = format!(
                            "{} gives {what}{}; what came is kept with --keep, and --peer names somebody else",
                            nobody(peers.len()),
                            reasons(&why)
                        );
                        return Err(fault(Code::Unreachable, said));
                    }
                    Err(error) => return Err(error).with_context(|| format!("cannot get {what}")),
                }
            }
        }
        Ok(self.shelf.read(&item.root, item.bytes())?)
    }

    /// The manifest of this root.
    pub(super) fn manifest(&mut self, root: &Hash, bytes: u64, told: &dyn Fn(&str)) -> Result<Manifest> {
        let path = self.store.manifest();
        if let Ok(manifest) = read_manifest(&path)
            && manifest.hash() == *root
        {
            return Ok(manifest);
        }
        ensure!(bytes <= BYTES_MAX as u64, "the job says that its manifest has {bytes} bytes, which none has");
        let content = self.fetch("the manifest", &Item::blob(*root, bytes), told)?;
        ensure!(content_hash(&content) == *root, "the manifest that came is not the one of the chain");
        let manifest =
            Manifest::from_bytes(&content).context("the manifest of the chain is none that this version reads")?;
        write_bytes(&path, &content)?;
        Ok(manifest)
    }

    /// Puts the tokens of all domains where the folder of a job has them.
    pub(super) fn tokens(&mut self, manifest: &Manifest, told: &dyn Fn(&str)) -> Result<()> {
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
                let bytes = self.fetch(&what, &Item::tokens(root, count), told)?;
                write_bytes(&path, &bytes)?;
                self.shelf.forget(&root)?;
            }
        }
        Ok(())
    }
}

fn nobody(peers: usize) -> String {
    format!("nobody of {}", count(peers, "peer"))
}

/// What each peer did last.
fn reasons(why: &[(Hash, String)]) -> String {
    let mut all: Vec<&str> = why.iter().map(|(_, why)| why.as_str()).collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join("; ")) }
}
