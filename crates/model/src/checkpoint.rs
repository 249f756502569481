//! Checkpoints of training: one safetensors file with every state entry in f32, so that any tool can look into it and a
//! run that goes on from it gives the bits of one that never stopped.
//!
//! The file's metadata name the step, the job and the state root (the Merkle root over the entries' BLAKE3 roots that the
//! rest of the protocol commits to), and a hash binds the three together. [`Checkpoint::load`] computes the root anew from
//! the values, so every altered bit is found. Writing goes to a temporary file first, which takes its name when it is
//! whole and on the disk: a crash or a full disk leaves the checkpoint before it as it was.

use crate::export::elements::f32_to_bf16;
use crate::export::{ElementType, header};
use crate::llama::ParamSpec;
use serde::Deserialize;
use serde_json::{Value, json};
use sip_data::files::write_atomically;
use sip_data::{hex, unhex};
use sip_graph::Buffer;
use sip_kernels::Threads;
use sip_proof::{Hash, PIECE_ELEMENTS, piece_value, root_of_pieces, roots_tree, tensor_root};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Names the format in the metadata.
const FORMAT: &str = "sip.checkpoint.1";
/// No header that is written here is larger.
const HEADER_LIMIT_BYTES: u64 = 64 << 20;
/// Elements that are converted at once.
const BLOCK_ELEMENTS: usize = 1 << 16;

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full.
    #[error(
        "no room on the disk for {path}, which takes {bytes} bytes; what was saved before it is whole: make room and go on from there",
        path = path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file is not what was written.
    #[error("checkpoint {path} {reason}; delete it to go on from the one before it", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file holds rounded weights.
    #[error(
        "{path} holds weights rounded to bf16 and no moments: it can be exported and used, but training that goes on from it \
         would not give the same bits; resume from an f32 checkpoint",
        path = path.display()
    )]
    Rounded {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another run.
    #[error("checkpoint {path} is of another run: its {what} {found}, expected {expected}", path = path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// As in the file.
        found: String,
        /// As in this run.
        expected: String,
    },
}

/// What a reader finds at the beginning of the file.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Value>,
}

/// A tensor with its name.
#[derive(Clone, Debug)]
pub struct Named<'a> {
    /// Its name in the file.
    pub name: String,
    /// Sides, outermost first.
    pub shape: &'a [usize],
    /// f32 values, as many as the product of the sides.
    pub values: &'a [u32],
}

/// A state between two steps.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Steps done.
    pub step: u64,
    /// Weights (or adapters), first moments, second moments.
    pub entries: Vec<Buffer>,
    /// State root of the entries.
    pub root: Hash,
}

impl Checkpoint {
    /// Writes the state after `step` steps of the run that `job` identifies; `params` are the trained tensors.
    ///
    /// # Errors
    /// What the file system refuses, a full disk among it; the file at `path` is then as it was.
    pub fn save(
        path: &Path,
        params: &[ParamSpec],
        job: &Hash,
        step: u64,
        entries: &[Buffer],
        root: &Hash,
    ) -> Result<(), CheckpointError> {
        save_tensors(path, &metadata(job, step, root), &named(params, entries))
    }

    /// Reads the state that [`Checkpoint::save`] wrote for this run.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] for anything but exactly what was written, [`CheckpointError::Other`] for a checkpoint of
    /// another run or model, [`CheckpointError::Rounded`] for a bf16 file, and the file system's.
    pub fn load(
        path: &Path,
        params: &[ParamSpec],
        job: &Hash,
        threads: &Threads,
    ) -> Result<Checkpoint, CheckpointError> {
        let io_error = |source| CheckpointError::Io { path: path.to_owned(), source };
        let damaged = |reason: &str| CheckpointError::Damaged { path: path.to_owned(), reason: reason.into() };
        let file = File::open(path).map_err(io_error)?;
        let file_bytes = file.metadata().map_err(io_error)?.len();
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| damaged("is cut short"))?;
        let header_bytes = u64::from_le_bytes(length);
        if header_bytes > HEADER_LIMIT_BYTES.min(file_bytes) {
            return Err(damaged("is no safetensors file"));
        }
        let mut header = length.to_vec();
        header.resize(8 + header_bytes as usize, 0);
        file.read_exact(&mut header[8..]).map_err(|_| damaged("is cut short"))?;
        let found: Header =
            sip_json::from_slice(&header[8..]).map_err(|error| damaged(&format!("is no safetensors file: {error}")))?;
        let known = &found.metadata;
        let text = |key: &str| known.get(key).map(String::as_str).unwrap_or_default();
        if text("format_of_checkpoint") != FORMAT {
            return Err(damaged("is no checkpoint of this program"));
        }
        if text("exact") != "true" {
            return Err(CheckpointError::Rounded { path: path.to_owned() });
        }
        let step = text("step").parse().map_err(|_| damaged("names no step"))?;
        let root = unhex(text("state_root")).ok_or_else(|| damaged("names no state root"))?;
        if text("job") != hex(job) {
            let (found, expected) = (text("job").to_owned(), hex(job));
            return Err(CheckpointError::Other { path: path.to_owned(), what: "job is", found, expected });
        }
        if text("binding") != hex(&binding(job, step, &root)) {
            return Err(damaged("does not belong to the step and root that it names"));
        }
        // The header must be, byte for byte, the one that is written for this state: then the offsets are known.
        let mut entries: Vec<Buffer> = Vec::with_capacity(params.len() * 3);
        let lengths = (0..3).flat_map(|_| params.iter().map(ParamSpec::len));
        let data_bytes = lengths.clone().map(|len| len as u64 * 4).sum::<u64>();
        let shapes: Vec<Named<'_>> = names(params).map(|(name, shape)| Named { name, shape, values: &[] }).collect();
        if header != header_of(&metadata(job, step, &root), &shapes, ElementType::F32) {
            let (found, expected) =
                (format!("{} tensors or of other shapes", found.tensors.len()), format!("{}", shapes.len()));
            return Err(CheckpointError::Other { path: path.to_owned(), what: "tensors are", found, expected });
        }
        if file_bytes != header.len() as u64 + data_bytes {
            return Err(damaged("is cut short"));
        }
        for len in lengths {
            let mut entry = Buffer::new(len);
            let mut bytes = vec![0; BLOCK_ELEMENTS.min(len) * 4];
            for block in entry.chunks_mut(BLOCK_ELEMENTS) {
                let bytes = &mut bytes[..block.len() * 4];
                file.read_exact(bytes).map_err(io_error)?;
                for (element, bytes) in block.iter_mut().zip(bytes.as_chunks().0) {
                    *element = u32::from_le_bytes(*bytes);
                }
            }
            entries.push(entry);
        }
        if state_root(&entries, threads) != root {
            return Err(damaged("does not hash to the state root that it names"));
        }
        Ok(Checkpoint { step, entries, root })
    }
}

/// Writes the weights alone, rounded to bf16 (to nearest, ties to even): for export, not to go on from.
///
/// # Errors
/// What the file system refuses.
pub fn save_bf16(path: &Path, params: &[ParamSpec], step: u64, weights: &[Buffer]) -> Result<(), CheckpointError> {
    let metadata = BTreeMap::from(
        [("format", "pt"), ("format_of_checkpoint", FORMAT), ("exact", "false"), ("step", &step.to_string())]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    let tensors = named(params, &weights[..params.len().min(weights.len())]);
    save(path, &metadata, &tensors, ElementType::Bf16, &mut |file| Box::new(file))
}

/// Writes tensors as a safetensors file in f32, whole or not at all; the bytes depend on the arguments alone.
///
/// # Errors
/// What the file system refuses; the file at `path` is then as it was.
pub fn save_tensors(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    tensors: &[Named<'_>],
) -> Result<(), CheckpointError> {
    save(path, metadata, tensors, ElementType::F32, &mut |file| Box::new(file))
}

/// Merkle root over the entries' BLAKE3 roots: what the protocol commits to.
pub fn state_root(entries: &[Buffer], threads: &Threads) -> Hash {
    let tensors: Vec<&[u32]> = entries.iter().map(|entry| &**entry).collect();
    roots_tree(&tensor_roots(&tensors, threads)).root()
}

/// BLAKE3 roots of tensors, computed on all threads: long ones piece by piece, the longest first so that no thread waits.
pub fn tensor_roots(tensors: &[&[u32]], threads: &Threads) -> Vec<Hash> {
    let pieces =
        |tensor: usize| tensors[tensor].chunks(PIECE_ELEMENTS).enumerate().map(move |(piece, _)| (tensor, piece));
    let mut tasks: Vec<(usize, usize)> =
        (0..tensors.len()).filter(|&t| !tensors[t].is_empty()).flat_map(pieces).collect();
    tasks.sort_by_key(|&(tensor, _)| std::cmp::Reverse(tensors[tensor].len()));
    let mut slots: Vec<Vec<OnceLock<Hash>>> = vec![Vec::new(); tensors.len()];
    for &(tensor, _) in &tasks {
        slots[tensor].push(OnceLock::new());
    }
    threads.run(tasks.len(), &|task| {
        let (tensor, piece) = tasks[task];
        let part = &tensors[tensor][piece * PIECE_ELEMENTS..];
        let part = &part[..part.len().min(PIECE_ELEMENTS)];
        let is_whole = slots[tensor].len() == 1;
        let _ = slots[tensor][piece].set(if is_whole { tensor_root(part) } else { piece_value(part, piece) });
    });
    let root = |values: Vec<OnceLock<Hash>>| match values.len() {
        0 => tensor_root(&[]),
        1 => values.into_iter().next().and_then(OnceLock::into_inner).unwrap_or_else(|| tensor_root(&[])),
        _ => root_of_pieces(values.into_iter().filter_map(OnceLock::into_inner).collect()),
    };
    slots.into_iter().map(root).collect()
}

/// `sink` stands between the file and what is written: a test lets the disk run full there.
fn save(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    tensors: &[Named<'_>],
    element: ElementType,
    sink: &mut dyn FnMut(File) -> Box<dyn Write>,
) -> Result<(), CheckpointError> {
    let element_bytes = element.size_bytes();
    let header = header_of(metadata, tensors, element);
    let data: u64 = tensors.iter().map(|tensor| tensor.values.len() as u64 * element_bytes as u64).sum();
    let outcome = write_atomically(path, |temporary| {
        let mut file = BufWriter::with_capacity(1 << 20, sink(File::create(temporary)?));
        file.write_all(&header)?;
        let mut bytes = Vec::with_capacity(BLOCK_ELEMENTS * element_bytes);
        for block in tensors.iter().flat_map(|tensor| tensor.values.chunks(BLOCK_ELEMENTS)) {
            bytes.clear();
            match element {
                ElementType::Bf16 => {
                    bytes.extend(block.iter().flat_map(|&bits| f32_to_bf16(f32::from_bits(bits)).to_le_bytes()))
                }
                _ => bytes.extend(block.iter().flat_map(|bits| bits.to_le_bytes())),
            }
            file.write_all(&bytes)?;
        }
        file.flush()
    });
    outcome.map_err(|source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            CheckpointError::Full { path: path.to_owned(), bytes: header.len() as u64 + data }
        }
        _ => CheckpointError::Io { path: path.to_owned(), source },
    })
}

fn header_of(metadata: &BTreeMap<String, String>, tensors: &[Named<'_>], element: ElementType) -> Vec<u8> {
    header(json!(metadata), tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.shape)), element)
}

fn metadata(job: &Hash, step: u64, root: &Hash) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("format".into(), "pt".into()),
        ("format_of_checkpoint".into(), FORMAT.into()),
        ("exact".into(), "true".into()),
        ("step".into(), step.to_string()),
        ("job".into(), hex(job)),
        ("state_root".into(), hex(root)),
        ("binding".into(), hex(&binding(job, step, root))),
    ])
}

/// What a flipped digit in the metadata breaks.
fn binding(job: &Hash, step: u64, root: &Hash) -> Hash {
    let mut bytes = FORMAT.as_bytes().to_vec();
    bytes.extend(job);
    bytes.extend(step.to_le_bytes());
    bytes.extend(root);
    *blake3::hash(&bytes).as_bytes()
}

/// Names and shapes of the state entries.
fn names(params: &[ParamSpec]) -> impl Iterator<Item = (String, &[usize])> {
    ["", "first_moment.", "second_moment."]
        .into_iter()
        .flat_map(move |part| params.iter().map(move |spec| (format!("{part}{}", spec.name), &spec.shape[..])))
}

fn named<'a>(params: &'a [ParamSpec], entries: &'a [Buffer]) -> Vec<Named<'a>> {
    names(params).zip(entries).map(|((name, shape), values)| Named { name, shape, values }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Vec<ParamSpec> {
        let spec = |name: &str, shape: &[usize]| ParamSpec { name: name.into(), shape: shape.into(), decay: true };
        vec![spec("matrix", &[3, 5]), spec("gain", &[7])]
    }

    fn entries() -> Vec<Buffer> {
        let values = |(number, len): (usize, usize)| -> Buffer {
            let values: Vec<f32> = (0..len).map(|at| (at * 10 + number) as f32 * 0.37 - 4.0).collect();
            Buffer::from(&values[..])
        };
        [15, 7, 15, 7, 15, 7].into_iter().enumerate().map(values).collect()
    }

    #[test]
    fn a_checkpoint_comes_back_and_every_flipped_bit_or_cut_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, threads, job) = (folder.path().join("c.safetensors"), Threads::new(2), [7; 32]);
        let root = state_root(&entries(), &threads);
        Checkpoint::save(&path, &params(), &job, 42, &entries(), &root).unwrap();
        let found = Checkpoint::load(&path, &params(), &job, &threads).unwrap();
        assert_eq!((found.step, found.root), (42, root));
        assert_eq!(found.entries, entries());

        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, &bytes).unwrap();
            assert!(Checkpoint::load(&path, &params(), &job, &threads).is_err(), "byte {at}");
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(Checkpoint::load(&path, &params(), &job, &threads).is_err(), "length {length}");
        }
        std::fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        assert!(Checkpoint::load(&path, &params(), &job, &threads).is_err());
        std::fs::write(&path, [&u64::MAX.to_le_bytes(), &whole[8..]].concat()).unwrap();
        assert!(Checkpoint::load(&path, &params(), &job, &threads).is_err());
    }

    #[test]
    fn a_checkpoint_of_another_run_or_shape_and_rounded_weights_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, threads) = (folder.path().join("c.safetensors"), Threads::new(1));
        let root = state_root(&entries(), &threads);
        Checkpoint::save(&path, &params(), &[7; 32], 1, &entries(), &root).unwrap();
        let error = Checkpoint::load(&path, &params(), &[8; 32], &threads).unwrap_err();
        assert!(error.to_string().contains("is of another run: its job is 0707"), "{error}");
        let mut other = params();
        other[0].shape = vec![5, 3];
        assert!(matches!(
            Checkpoint::load(&path, &other, &[7; 32], &threads),
            Err(CheckpointError::Other { what: "tensors are", .. })
        ));
        save_bf16(&path, &params(), 1, &entries()).unwrap();
        let error = Checkpoint::load(&path, &params(), &[7; 32], &threads).unwrap_err();
        assert!(error.to_string().contains("rounded to bf16 and no moments"), "{error}");
        let bytes = std::fs::read(&path).unwrap();
        let matrix = &bytes[bytes.len() - (15 + 7) * 2..][..15 * 2];
        let value = |&b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16);
        let values: Vec<f32> = matrix.as_chunks().0.iter().map(value).collect();
        for (value, exact) in values.iter().zip(entries()[0].to_f32()) {
            assert!((value - exact).abs() <= exact.abs() / 256.0);
        }
    }

    /// A disk with room for so many bytes.
    struct SmallDisk(File, usize);

    impl Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() > self.1 {
                self.0.write_all(&bytes[..self.1])?;
                self.1 = 0;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1 -= bytes.len();
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    #[test]
    fn a_full_disk_is_said_and_leaves_the_checkpoint_before_it_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (path, threads, job) = (folder.path().join("c.safetensors"), Threads::new(1), [1; 32]);
        let root = state_root(&entries(), &threads);
        Checkpoint::save(&path, &params(), &job, 5, &entries(), &root).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for room in (0..whole.len()).step_by(97) {
            let tensors = params();
            let later = entries();
            let outcome =
                save(&path, &metadata(&job, 6, &root), &named(&tensors, &later), ElementType::F32, &mut |file| {
                    Box::new(SmallDisk(file, room))
                });
            let error = outcome.unwrap_err().to_string();
            assert!(error.starts_with("no room on the disk for "), "{error}");
            assert!(error.contains(&format!("takes {} bytes", whole.len())), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), whole);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        assert_eq!(Checkpoint::load(&path, &params(), &job, &threads).unwrap().step, 5);
    }
}
