//! The safetensors format: a JSON table of names, types, shapes and offsets, then the elements.
//!
//! Read tensor by tensor, so that a model is in memory once; and checked before anything is allocated for it.

use std::collections::{BTreeMap, btree_map};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use sip_json::{Budget, FLOOR_BYTES, MemberError, members};

use super::elements::{ElementType, Widened, check_finite, f32_to_bf16};
use super::{ExportError, TensorRef, other_files};
use sip_data::shown;

/// Larger tables are refused by other readers as well.
const HEADER_LIMIT_BYTES: u64 = 100_000_000;
/// Elements are read and written in parts of this many bytes.
const PART_BYTES: usize = 1 << 20;
/// Sides of a tensor at most; parameters have one or two.
const SIDES_MAX: usize = 8;
/// Memory of a tensor of a table, but for its name.
const ENTRY_BYTES: usize = 280;
/// What a table says of a tensor has some eighty bytes.
const ENTRY_TEXT_BYTES_MAX: usize = 4096;
/// The key of the table that is no tensor.
const METADATA_KEY: &str = "__metadata__";

/// Where a tensor lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Element type in the words of the format.
    pub(crate) dtype: String,
    /// Sides, outermost first.
    pub(crate) shape: Vec<usize>,
    /// First byte and the byte after the last, behind the table.
    data_offsets: (u64, u64),
}

/// The table of a file, in the order of the names.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) entries: BTreeMap<String, Entry>,
    data_start: u64,
}

impl Table {
    /// Reads the table of a file of `size_bytes`.
    ///
    /// # Errors
    /// What is wrong with it, in words: tables that are cut short, are not JSON, name a tensor twice, or do not describe
    /// exactly the bytes of the file.
    pub(crate) fn read(mut file: impl Read, size_bytes: u64) -> Result<Table, String> {
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| "it is shorter than the 8 bytes of the table's length".to_owned())?;
        let length = u64::from_le_bytes(length);
        let limit = HEADER_LIMIT_BYTES.min(size_bytes.saturating_sub(8));
        if length > limit {
            return Err(format!("its table has {length} bytes, expected at most {limit}"));
        }
        let mut text = Vec::with_capacity(length as usize);
        file.take(length).read_to_end(&mut text).map_err(|error| error.to_string())?;
        if text.len() as u64 != length {
            return Err(format!("its table is cut short after {} of {length} bytes", text.len()));
        }
        let entries = entries(&text).map_err(|error| format!("its table is wrong: {error}"))?;
        let table = Table { entries, data_start: 8 + length };
        table.check(size_bytes - table.data_start)?;
        Ok(table)
    }

    /// Every tensor has the bytes that its shape asks for, and together they are all bytes, once.
    fn check(&self, data_bytes: u64) -> Result<(), String> {
        let mut places: Vec<(&str, &Entry)> = self.entries.iter().map(|(name, entry)| (name.as_str(), entry)).collect();
        places.sort_by_key(|(_, entry)| entry.data_offsets);
        let mut expected = 0;
        for (name, entry) in places {
            let (start, end) = entry.data_offsets;
            let name = shown(name);
            if entry.shape.len() > SIDES_MAX {
                return Err(format!("tensor {name} has {} sides, expected at most {SIDES_MAX}", entry.shape.len()));
            }
            if start != expected || end < start {
                return Err(format!("tensor {name} lies at bytes {start} to {end}, expected to begin at {expected}"));
            }
            expected = end;
            if let Some(element) = ElementType::from_name(&entry.dtype) {
                let sides = entry.shape.iter().map(|&side| side as u64);
                let size =
                    sides.chain([element.size_bytes() as u64]).try_fold(1u64, |size, side| size.checked_mul(side));
                if size != Some(end - start) {
                    let (dtype, shape) = (&entry.dtype, &entry.shape);
                    return Err(format!("tensor {name} of type {dtype} and shape {shape:?} has {} bytes", end - start));
                }
            }
        }
        if expected != data_bytes {
            return Err(format!("its table describes {expected} bytes of tensors, but {data_bytes} are there"));
        }
        Ok(())
    }
}

/// The tensors of a table, each read by itself; a name that occurs twice is an error.
fn entries(text: &[u8]) -> Result<BTreeMap<String, Entry>, MemberError> {
    let wrong = |reason: String| MemberError::from(serde_json::Error::custom(reason));
    let mut entries = BTreeMap::new();
    let mut budget = Budget::new(text.len(), FLOOR_BYTES);
    members::<MemberError>(text, |name, value| {
        if name == METADATA_KEY {
            return Ok(false);
        }
        budget.take(ENTRY_BYTES + name.len())?;
        if value.len() > ENTRY_TEXT_BYTES_MAX {
            return Err(wrong(format!("tensor {} has {} bytes of settings", shown(&name), value.len())));
        }
        let entry: Entry = sip_json::fields_from_slice(value)?;
        match entries.entry(name.into_owned()) {
            btree_map::Entry::Vacant(place) => place.insert(entry),
            btree_map::Entry::Occupied(place) => {
                return Err(wrong(format!("tensor {} is named twice", shown(place.key()))));
            }
        };
        Ok(true)
    })?;
    Ok(entries)
}

/// An open file of weights.
pub(crate) struct WeightsFile {
    pub(crate) path: PathBuf,
    file: File,
    pub(crate) table: Table,
}

impl WeightsFile {
    /// Opens a file and reads its table.
    pub(crate) fn open(path: &Path) -> Result<WeightsFile, ExportError> {
        let io_error = |source| ExportError::Io { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(io_error)?;
        let metadata = file.metadata().map_err(io_error)?;
        if metadata.is_dir() {
            return Err(io_error(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, expected a file")));
        }
        let size_bytes = metadata.len();
        other_files::refuse_other(path)?;
        let table = Table::read(&mut file, size_bytes)
            .map_err(|reason| ExportError::Format { path: path.to_owned(), reason })?;
        Ok(WeightsFile { path: path.to_owned(), file, table })
    }

    /// Reads a tensor of the table as the bits of f32 into `out`, which is as long as its shape says.
    pub(crate) fn read(&mut self, name: &str, entry: &Entry, out: &mut [u32]) -> Result<(), ExportError> {
        let io_error = |source| ExportError::Io { path: self.path.clone(), source };
        let Some(element) = ElementType::from_name(&entry.dtype) else {
            return Err(self.element_error(name, entry));
        };
        self.file.seek(SeekFrom::Start(self.table.data_start + entry.data_offsets.0)).map_err(io_error)?;
        let origin = self.path.display().to_string();
        let per_part = PART_BYTES / element.size_bytes();
        let mut bytes = vec![0; PART_BYTES.min(out.len() * element.size_bytes())];
        for (number, part) in out.chunks_mut(per_part).enumerate() {
            let bytes = &mut bytes[..part.len() * element.size_bytes()];
            self.file.read_exact(bytes).map_err(io_error)?;
            element.widen(bytes, part);
            let start = number * per_part;
            let range = start..start + part.len();
            check_finite(&Widened { origin: &origin, name, range }, part.iter().copied())?;
        }
        Ok(())
    }

    /// The element type of a tensor is none that is read.
    pub(crate) fn element_error(&self, name: &str, entry: &Entry) -> ExportError {
        let (name, found) = (name.to_owned(), entry.dtype.clone());
        ExportError::ElementType { path: self.path.clone(), name, found, expected: "F32, F16 or BF16" }
    }
}

/// The length of the table and the table of tensors that lie one behind the other, padded so that they begin at a multiple of 8,
/// as the format asks.
pub(crate) fn header<'a>(
    metadata: serde_json::Value,
    tensors: impl Iterator<Item = (&'a str, &'a [usize])>,
    element: ElementType,
) -> Vec<u8> {
    let mut table = serde_json::Map::new();
    table.insert(METADATA_KEY.to_owned(), metadata);
    let mut start = 0;
    for (name, shape) in tensors {
        let end = start + shape.iter().product::<usize>() * element.size_bytes();
        let entry = serde_json::json!({ "dtype": element.name(), "shape": shape, "data_offsets": [start, end] });
        table.insert(name.to_owned(), entry);
        start = end;
    }
    let mut text = serde_json::Value::Object(table).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes(), text.as_slice()].concat()
}

/// Writes a file of weights; the bytes depend on the arguments alone.
///
/// # Errors
/// Those of `out`. Tensors to be written as bfloat16 must be in its range.
pub(crate) fn write(mut out: impl Write, tensors: &[TensorRef<'_>], element: ElementType) -> io::Result<()> {
    // The key that `transformers` insists on.
    let metadata = serde_json::json!({ "format": "pt" });
    out.write_all(&header(metadata, tensors.iter().map(|tensor| (tensor.name, tensor.shape)), element))?;
    let mut bytes = Vec::new();
    for tensor in tensors {
        for part in tensor.data.chunks(PART_BYTES / 4) {
            bytes.clear();
            match element {
                ElementType::F32 => bytes.extend(part.iter().flat_map(|value| value.to_le_bytes())),
                ElementType::Bf16 => bytes.extend(part.iter().flat_map(|&value| f32_to_bf16(value).to_le_bytes())),
                ElementType::F16 => {
                    return Err(io::Error::new(io::ErrorKind::Unsupported, "weights are not written as F16"));
                }
            }
            out.write_all(&bytes)?;
        }
    }
    out.flush()
}
