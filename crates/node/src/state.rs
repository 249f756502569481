//! The state between steps: weights, first and second moments, one buffer per entry.

use sip_graph::Buffer;
use sip_kernels::Threads;
pub(crate) use sip_model::checkpoint::{state_root as root, tensor_roots as roots};
use sip_proof::Hash;
use std::io::{self, Read, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"sipstat1";

/// Why a saved state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error("state {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what was saved.
    #[error("state {path} {what}; delete it and start again, or restore it from a copy")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
}

/// A state and its root.
#[derive(Clone, Debug)]
pub struct State {
    entries: Vec<Buffer>,
    root: Hash,
}

impl State {
    /// Hashes the entries.
    pub fn new(entries: Vec<Buffer>, threads: &Threads) -> State {
        let root = root(&entries, threads);
        State { entries, root }
    }

    /// Entries whose root is known.
    pub(crate) fn with_root(entries: Vec<Buffer>, root: Hash) -> State {
        State { entries, root }
    }

    /// The entries: all weights, then all first moments, then all second moments.
    pub fn entries(&self) -> &[Buffer] {
        &self.entries
    }

    /// Merkle root over the entries' BLAKE3 roots.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Writes the state so that a reader sees all of it or nothing.
    ///
    /// # Errors
    /// The file system's.
    pub fn save(&self, path: &Path) -> Result<(), StateError> {
        let write = |temporary: &Path| -> io::Result<()> {
            let mut file = io::BufWriter::with_capacity(1 << 20, std::fs::File::create(temporary)?);
            file.write_all(MAGIC)?;
            file.write_all(&self.root)?;
            file.write_all(&(self.entries.len() as u32).to_le_bytes())?;
            for entry in &self.entries {
                file.write_all(&(entry.len() as u32).to_le_bytes())?;
                file.write_all(&sip_proof::tensor_bytes(entry))?;
            }
            file.flush()
        };
        sip_data::files::write_atomically(path, write)
            .map_err(|source| StateError::Io { path: path.display().to_string(), source })
    }

    /// Reads a state back; its content must hash to the root that it names.
    ///
    /// # Errors
    /// The file system's, or a file that is cut short or altered.
    pub fn load(path: &Path, threads: &Threads) -> Result<State, StateError> {
        let name = path.display().to_string();
        let damaged = |what: &str| StateError::Damaged { path: name.clone(), what: what.into() };
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|source| StateError::Io { path: name.clone(), source })?;
        let mut rest = bytes.as_slice();
        let mut take = |len: usize| -> Result<&[u8], StateError> {
            let (head, tail) = rest.split_at_checked(len).ok_or_else(|| damaged("is cut short"))?;
            rest = tail;
            Ok(head)
        };
        let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).map_err(|_| damaged("is cut short"));
        if take(8)? != MAGIC {
            return Err(damaged("is no saved state"));
        }
        let expected: Hash = take(32)?.try_into().map_err(|_| damaged("is cut short"))?;
        let count = number(take(4)?)?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let len = number(take(4)?)? as usize;
            let body = take(len.checked_mul(4).ok_or_else(|| damaged("names an impossible length"))?)?;
            let mut entry = Buffer::new(len);
            for (element, bytes) in entry.iter_mut().zip(body.chunks_exact(4)) {
                *element = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
            entries.push(entry);
        }
        let state = State::new(entries, threads);
        if state.root != expected {
            return Err(damaged("does not hash to the root it names"));
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Vec<Buffer> {
        [3usize, 1, 700].iter().map(|&len| Buffer::from(&(0..len as u32).collect::<Vec<u32>>()[..])).collect()
    }

    #[test]
    fn a_saved_state_comes_back_and_every_damage_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.state");
        let threads = Threads::new(2);
        let state = State::new(example(), &threads);
        state.save(&path).unwrap();
        let again = State::load(&path, &threads).unwrap();
        assert_eq!(again.root(), state.root());
        assert_eq!(again.entries(), state.entries());
        let whole = std::fs::read(&path).unwrap();
        for (position, cut) in [(0, false), (20, false), (60, false), (whole.len() - 1, false), (50, true), (44, true)]
        {
            let mut bytes = whole.clone();
            if cut {
                bytes.truncate(position)
            } else {
                bytes[position] ^= 1
            }
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(State::load(&path, &threads), Err(StateError::Damaged { .. })));
        }
    }
}
