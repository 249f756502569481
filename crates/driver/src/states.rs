//! Where states and updates lie, and how they come and go: a folder that several people share, or a shelf that a network serves.

use anyhow::{Context, Result};
use sip_data::hex;
use sip_graph::Buffer;
use sip_kernels::Threads;
use sip_net::{FetchError, Fetcher, Held, Item, Peer, Shelf, ShelfError, Want};
use sip_node::State;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::record::root_of_file;

/// A root.
pub type Root = [u8; 32];

/// First bytes of a saved state, before its root.
const MAGIC_BYTES: usize = 8;

/// A state that is wanted.
pub struct Wanted {
    /// Its root.
    pub root: Root,
    /// Elements of its entries.
    pub elements: Vec<usize>,
    /// Who may have it, most likely first.
    pub peers: Vec<Peer>,
    /// Until when it is of use.
    pub by: Instant,
}

/// Where states lie. All of it may be called from several threads.
pub trait States: Send + Sync {
    /// The roots of those that are here.
    fn roots(&self) -> BTreeSet<Root>;

    /// A state by its root, if it is here; whole and true.
    ///
    /// # Errors
    /// Where what lies here is damaged, or cannot be read.
    fn load(&self, root: &Root, threads: &Threads) -> Result<Option<Arc<State>>>;

    /// Keeps a state.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn save(&self, state: &State) -> Result<()>;

    /// Keeps a state that its owner answers for. Where there is no room for it, states that others made, and can be got from them again, go first.
    ///
    /// # Errors
    /// Where it cannot be written even then.
    fn save_own(&self, state: &State) -> Result<()> {
        self.save(state)
    }

    /// Bytes that are here of a state that is being fetched, as far as that is known.
    fn bytes_of(&self, root: &Root) -> u64 {
        let _ = root;
        0
    }

    /// Removes a state that nothing needs any more; a failure to remove costs nothing but space.
    fn forget(&self, root: &Root);

    /// Hands a state out to those who ask for its root.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn hand_out(&self, root: &Root, threads: &Threads) -> Result<()>;

    /// Gets a state from others, if it is not here; whether it is here then. Returns early once `stop` is true.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn fetch(&self, wanted: &Wanted, threads: &Threads, stop: &AtomicBool) -> Result<bool>;
}

/// States in a folder, as files of the names of their roots.
pub struct FolderStates {
    folder: PathBuf,
    /// A folder that others share.
    shared: Option<PathBuf>,
    /// Folders with states under any name that ends in `.state`.
    published: Vec<PathBuf>,
    /// Elements of the entries of what may lie there.
    shapes: Vec<Vec<usize>>,
}

impl FolderStates {
    /// States in `folder`, got from a `shared` one and from those with what was `published`, of one of these shapes.
    pub fn new(folder: &Path, shared: Option<&Path>, published: Vec<PathBuf>, shapes: Vec<Vec<usize>>) -> FolderStates {
        FolderStates { folder: folder.to_owned(), shared: shared.map(Path::to_owned), published, shapes }
    }

    fn path(&self, root: &Root) -> PathBuf {
        self.folder.join(format!("{}.state", hex(root)))
    }

    fn on_shared(&self, root: &Root) -> Option<PathBuf> {
        self.shared.as_ref().map(|folder| folder.join(format!("{}.state", hex(root))))
    }

    /// The file of a state of this root among what was published, by what its head says.
    fn published(&self, root: &Root) -> Option<PathBuf> {
        let entries = self.published.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "state")).collect();
        paths.sort();
        paths.into_iter().find(|path| names(path, root))
    }
}

/// Whether a state's file says that it is of this root.
fn names(path: &Path, root: &Root) -> bool {
    let mut head = [0; MAGIC_BYTES + 32];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head[MAGIC_BYTES..] == root[..]
}

/// Elements of each entry.
pub(crate) fn shape(state: &State) -> Vec<usize> {
    state.entries().iter().map(|entry| entry.len()).collect()
}

impl States for FolderStates {
    fn roots(&self) -> BTreeSet<Root> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| root_of_file(&entry.path())).collect()
    }

    fn load(&self, root: &Root, threads: &Threads) -> Result<Option<Arc<State>>> {
        let path = self.path(root);
        if path.exists() {
            return Ok(Some(Arc::new(State::load(&path, threads)?)));
        }
        // What somebody published is kept if it is what it is called and of a right shape.
        let shared = self.on_shared(root).filter(|path| path.exists());
        let published = shared.or_else(|| self.published(root));
        let state = published.and_then(|path| State::load(&path, threads).ok());
        let is_true = |state: &State| state.root() == *root && self.shapes.contains(&shape(state));
        let Some(state) = state.filter(is_true) else { return Ok(None) };
        self.save(&state)?;
        Ok(Some(Arc::new(state)))
    }

    fn save(&self, state: &State) -> Result<()> {
        let path = self.path(&state.root());
        if !path.exists() {
            state.save(&path).context("nothing is sent that could not be remembered")?;
        }
        Ok(())
    }

    fn forget(&self, root: &Root) {
        let _ = std::fs::remove_file(self.path(root));
    }

    fn hand_out(&self, root: &Root, threads: &Threads) -> Result<()> {
        let Some(path) = self.on_shared(root).filter(|path| !path.exists()) else { return Ok(()) };
        let mine = self.path(root);
        if mine.exists() {
            State::load(&mine, threads)?.save(&path)?;
        }
        Ok(())
    }

    fn fetch(&self, wanted: &Wanted, threads: &Threads, _stop: &AtomicBool) -> Result<bool> {
        Ok(self.load(&wanted.root, threads)?.is_some())
    }
}

/// Told how a fetch goes.
pub type Tell = Arc<dyn Fn(&Root, &sip_net::Told) + Send + Sync>;

/// States on a shelf that a server gives to others.
pub struct NetStates {
    shelf: Shelf,
    fetcher: Fetcher,
    /// Elements of the entries of what may lie there.
    shapes: Vec<Vec<usize>>,
    /// Those that their owner made, and may have to show.
    own: Mutex<BTreeSet<Root>>,
    tell: Tell,
}

impl NetStates {
    /// States on a shelf, of one of these shapes; some are their owner's own.
    pub fn new(shelf: Shelf, fetcher: Fetcher, shapes: Vec<Vec<usize>>, own: BTreeSet<Root>, tell: Tell) -> NetStates {
        NetStates { shelf, fetcher, shapes, own: Mutex::new(own), tell }
    }

    fn own(&self) -> std::sync::MutexGuard<'_, BTreeSet<Root>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, state: &State) -> Result<(), ShelfError> {
        let entries: Vec<&[u32]> = state.entries().iter().map(|entry| &entry[..]).collect();
        self.shelf.put_state(&entries).map(drop)
    }

    /// Lets go of one state that others made, of those that are whole first; false where there is none.
    fn let_go_of_one(&self) -> bool {
        let own = self.own();
        let mut others: Vec<_> =
            self.shelf.kept().into_iter().filter(|kept| kept.is_list && !own.contains(&kept.root)).collect();
        others.sort_by_key(|kept| (!kept.is_whole, std::cmp::Reverse(kept.bytes)));
        others.first().is_some_and(|kept| self.shelf.forget(&kept.root).is_ok())
    }

    fn item(&self, root: &Root) -> Option<(Item, &[usize])> {
        let is_whole = |item: &Item| matches!(self.shelf.held(item), Held::Whole);
        let items = self.shapes.iter().map(|elements| (Item::state(*root, elements), &elements[..]));
        items.into_iter().find(|(item, _)| is_whole(item))
    }
}

impl States for NetStates {
    fn roots(&self) -> BTreeSet<Root> {
        self.shelf.kept().into_iter().filter(|kept| kept.is_whole && kept.is_list).map(|kept| kept.root).collect()
    }

    fn load(&self, root: &Root, threads: &Threads) -> Result<Option<Arc<State>>> {
        let Some((_, elements)) = self.item(root) else { return Ok(None) };
        let hashes = self.shelf.list(root).context("a list on the shelf is gone")?;
        let mut entries = Vec::new();
        for (hash, elements) in hashes.iter().zip(elements) {
            let mut entry = Buffer::new(*elements);
            self.shelf.read_words(hash, &mut entry)?;
            entries.push(entry);
        }
        let state = State::new(entries, threads);
        Ok((state.root() == *root).then(|| Arc::new(state)))
    }

    fn save(&self, state: &State) -> Result<()> {
        self.put(state).context("nothing is sent that could not be remembered")
    }

    fn save_own(&self, state: &State) -> Result<()> {
        self.own().insert(state.root());
        loop {
            match self.put(state) {
                Err(ShelfError::Full { .. } | ShelfError::DiskFull { .. }) if self.let_go_of_one() => {}
                put => return put.context("nothing is sent that could not be remembered"),
            }
        }
    }

    fn bytes_of(&self, root: &Root) -> u64 {
        let held = |elements: &Vec<usize>| match self.shelf.held(&Item::state(*root, elements)) {
            Held::None => 0,
            Held::Part { bytes, .. } => bytes,
            Held::Whole => elements.iter().map(|count| *count as u64 * 4).sum(),
        };
        self.shapes.iter().map(held).max().unwrap_or(0)
    }

    fn forget(&self, root: &Root) {
        self.own().remove(root);
        let _ = self.shelf.forget(root);
    }

    fn hand_out(&self, _root: &Root, _threads: &Threads) -> Result<()> {
        // Whatever lies on the shelf is served.
        Ok(())
    }

    fn fetch(&self, wanted: &Wanted, _threads: &Threads, stop: &AtomicBool) -> Result<bool> {
        let item = Item::state(wanted.root, &wanted.elements);
        let peers = || wanted.peers.clone();
        let want = Want { item: &item, ranges: None, peers: &peers, by: wanted.by, stop };
        match self.fetcher.fetch(&want, &|told| (self.tell)(&wanted.root, told)) {
            Ok(_) => Ok(true),
            Err(FetchError::Disk(error)) => {
                Err(anyhow::Error::new(error).context("what others hand out cannot be kept"))
            }
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_net::{Bans, FetchLimits, InProcess};
    use std::time::Duration;

    /// A state of one entry of 64 KiB.
    fn state(number: u32, threads: &Threads) -> State {
        let mut entry = Buffer::new(16 << 10);
        entry.fill(number);
        State::new(vec![entry], threads)
    }

    #[test]
    fn a_full_shelf_lets_go_of_what_others_made_before_it_refuses_what_its_owner_made() {
        let (folder, threads) = (tempfile::tempdir().unwrap(), Threads::new(1));
        let shelf = Shelf::open(folder.path()).unwrap();
        let bans = Arc::new(Bans::new(Duration::ZERO));
        let fetcher = Fetcher::new(Arc::new(InProcess::new()), shelf.clone(), bans, FetchLimits::default());
        let kept: Vec<State> = (0..6).map(|number| state(number, &threads)).collect();
        let roots: Vec<Root> = kept.iter().map(State::root).collect();
        let states = NetStates::new(
            shelf.clone(),
            fetcher,
            vec![vec![16 << 10]],
            BTreeSet::from([roots[0]]),
            Arc::new(|_, _| ()),
        );
        // Room for three.
        states.save(&kept[0]).unwrap();
        let each = shelf.room().used;
        shelf.reserve(each * 3).unwrap();
        states.save(&kept[1]).unwrap();
        states.save_own(&kept[2]).unwrap();
        assert!(states.save(&kept[3]).is_err(), "nothing goes for what others made");
        states.forget(&roots[3]);
        states.save_own(&kept[4]).unwrap();
        let whole = states.roots();
        assert!(!whole.contains(&roots[1]), "what others made went");
        assert!([0, 2, 4].iter().all(|number| whole.contains(&roots[*number])), "what its owner made did not");
        let error = states.save_own(&kept[5]).unwrap_err();
        assert!(format!("{error:#}").contains("do not fit"), "{error:#}");
        assert_eq!(states.load(&roots[4], &threads).unwrap().unwrap().root(), roots[4]);
    }
}
