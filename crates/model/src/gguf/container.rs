//! The tables of a GGUF file: metadata and where the tensors lie.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use super::blocks::BlockType;
use sip_data::shown;

/// Tables larger than this are refused; those of a vocabulary of 256 thousand tokens have 15 MB.
const TABLES_LIMIT_BYTES: u64 = 128 << 20;
/// Sides of a tensor at most, as the format says.
const SIDES_MAX: u32 = 4;
/// Where tensors start when the file does not say: at multiples of this.
const ALIGNMENT_DEFAULT: u64 = 32;
const ALIGNMENT_MAX: u64 = 1 << 16;
/// Bytes of a name or key at most, as the format says.
const KEY_BYTES_MAX: u64 = (1 << 16) - 1;
/// Arrays within arrays; no model has any.
const NESTING_MAX: u32 = 4;

/// Keys of the metadata at most; models have some dozen.
const KEYS_MAX: u64 = 1 << 12;
/// Tensors at most; the largest models have some thousand.
/// Bytes that are kept of an array of them; the table of characters of SentencePiece has 240 thousand.
const BYTES_MAX: u64 = 1 << 20;
const TENSORS_MAX: u64 = 1 << 15;

/// Texts, one behind the other: of a short one little more is kept than the file has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    text: String,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Texts {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text at a place.
    pub fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)? as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<u32>()
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    /// Texts of at most 4 GiB in all.
    fn from_iter<I: IntoIterator<Item = &'a str>>(list: I) -> Texts {
        let mut texts = Texts::default();
        for text in list {
            texts.text.push_str(text);
            texts.ends.push(texts.text.len() as u32);
        }
        texts
    }
}

/// A value of the metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number that is not negative.
    Unsigned(u64),
    /// A negative number.
    Negative(i64),
    /// A number of 32 or 64 bits with a fraction.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
    /// An array of texts.
    Texts(Texts),
    /// An array of whole numbers of 32 bits, signed or not; their bits.
    Words(Vec<u32>),
    /// An array of numbers of 32 bits with a fraction.
    Floats(Vec<f32>),
    /// An array of whole numbers of 8 bits, signed or not; their bits. A longer one than tokenizers have is not kept.
    Bytes(Vec<u8>),
    /// An array of anything else, which is checked, but not kept. Its length.
    Other(u64),
}

impl Value {
    /// The whole number, if it is one.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::Unsigned(number) => Some(number),
            _ => None,
        }
    }

    /// The number, rounded to f32, if it is one.
    pub fn as_f32(&self) -> Option<f32> {
        match *self {
            Value::Unsigned(number) => Some(number as f32),
            Value::Negative(number) => Some(number as f32),
            Value::Float(number) => Some(number as f32),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unsigned(number) => write!(f, "{number}"),
            Value::Negative(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number}"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Text(text) => write!(f, "\"{}\"", shown(text)),
            Value::Texts(texts) => write!(f, "an array of {} texts", texts.len()),
            Value::Bytes(bytes) => write!(f, "an array of {} numbers", bytes.len()),
            Value::Words(words) => write!(f, "an array of {} numbers", words.len()),
            Value::Floats(floats) => write!(f, "an array of {} numbers", floats.len()),
            Value::Other(len) => write!(f, "an array of {len}"),
        }
    }
}

/// Where a tensor lies and how it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Sides, outermost first (the file has them innermost first).
    pub shape: Vec<usize>,
    /// Number of its block type; see [`BlockType::from_id`].
    pub type_id: u32,
    /// First byte, behind the tables.
    pub offset: u64,
}

/// The tables of a file.
#[derive(Clone, Debug)]
pub struct Container {
    /// Metadata by key.
    pub metadata: BTreeMap<String, Value>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorInfo>,
    /// First byte of the tensors' data within the file.
    pub data_start: u64,
}

const _: () = assert!(TABLES_LIMIT_BYTES <= u32::MAX as u64, "the ends of texts are numbers of 32 bits");

impl Container {
    /// Reads the tables of a file of `size_bytes`. Tensors of known types lie within the file, in blocks that are whole.
    ///
    /// # Errors
    /// What is wrong with the file, in words. Memory is asked for only as bytes arrive, at most a small multiple of them.
    pub fn read(reader: impl Read, size_bytes: u64) -> Result<Container, String> {
        let mut tables = Tables { reader, limit: size_bytes.min(TABLES_LIMIT_BYTES), position: 0 };
        if tables.bytes::<4>()? != *b"GGUF" {
            return Err("it does not begin with the letters GGUF".to_owned());
        }
        match tables.u32()? {
            2 | 3 => {}
            1 => return Err("it is of version 1, expected 2 or 3: convert the model anew".to_owned()),
            version if matches!(version.swap_bytes(), 1..=3) => {
                return Err("it is in big-endian order, which is not read".to_owned());
            }
            version => return Err(format!("it is of version {version}, expected 2 or 3")),
        }
        let (tensor_count, key_count) = (tables.u64()?, tables.u64()?);
        for (count, limit, what) in [(tensor_count, TENSORS_MAX, "tensors"), (key_count, KEYS_MAX, "keys")] {
            if count > limit {
                return Err(format!("it announces {count} {what}, expected at most {limit}"));
            }
        }
        let mut metadata = BTreeMap::new();
        // A count costs nothing until its entries arrive: the loops end with the file.
        for _ in 0..key_count {
            let key = tables.text(KEY_BYTES_MAX)?;
            let kind = tables.u32()?;
            let value = tables.value(kind, 0).map_err(|reason| format!("metadata {}: {reason}", shown(&key)))?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(format!("metadata {} is there twice", shown(&key)));
            }
        }
        let mut tensors = BTreeMap::new();
        for _ in 0..tensor_count {
            let name = tables.text(KEY_BYTES_MAX)?;
            let info = tables.tensor().map_err(|reason| format!("tensor {}: {reason}", shown(&name)))?;
            if tensors.insert(name.clone(), info).is_some() {
                return Err(format!("tensor {} is there twice", shown(&name)));
            }
        }
        let alignment = match metadata.get("general.alignment") {
            None => ALIGNMENT_DEFAULT,
            Some(value) => match value.as_u64() {
                Some(alignment @ 1..=ALIGNMENT_MAX) if alignment.is_power_of_two() => alignment,
                _ => {
                    return Err(format!("general.alignment is {value}, expected a power of two up to {ALIGNMENT_MAX}"));
                }
            },
        };
        let data_start = tables.position.next_multiple_of(alignment);
        let container = Container { metadata, tensors, data_start };
        container.check(alignment, size_bytes)?;
        Ok(container)
    }

    /// A text of the metadata.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What the metadata takes in memory, but for its keys.
    pub(crate) fn metadata_bytes(&self) -> usize {
        let bytes = |value: &Value| match value {
            Value::Text(text) => text.capacity(),
            Value::Texts(texts) => texts.bytes(),
            Value::Bytes(bytes) => bytes.capacity(),
            Value::Words(words) => words.capacity() * size_of::<u32>(),
            Value::Floats(floats) => floats.capacity() * size_of::<f32>(),
            _ => 0,
        };
        self.metadata.values().map(bytes).sum()
    }

    fn check(&self, alignment: u64, size_bytes: u64) -> Result<(), String> {
        let data_bytes = size_bytes.saturating_sub(self.data_start);
        let mut places: Vec<(&String, &TensorInfo)> = self.tensors.iter().collect();
        places.sort_by_key(|(_, info)| info.offset);
        // Tensors that shared bytes would take more memory than a small multiple of the file.
        let mut free = 0;
        for (name, TensorInfo { shape, type_id, offset }) in places {
            let name = shown(name);
            if !offset.is_multiple_of(alignment) {
                return Err(format!("tensor {name} begins at byte {offset}, expected a multiple of {alignment}"));
            }
            if *offset < free {
                return Err(format!(
                    "tensor {name} begins at byte {offset}, within the tensor before it, which ends at {free}"
                ));
            }
            // What is stored in a way that is not known may still be left unread.
            let Some(block) = BlockType::from_id(*type_id) else { continue };
            let width = shape.last().copied().unwrap_or(1);
            if !width.is_multiple_of(block.len()) {
                return Err(format!("tensor {name} has rows of {width}, expected a multiple of {}", block.len()));
            }
            // The product of the sides fits in 64 bits: see `Tables::tensor`.
            let blocks = shape.iter().product::<usize>() as u64 / block.len() as u64;
            let end = blocks.checked_mul(block.size_bytes() as u64).and_then(|bytes| bytes.checked_add(*offset));
            free = match end {
                Some(end) if end <= data_bytes => end,
                _ => {
                    return Err(format!(
                        "tensor {name} of shape {shape:?} begins at byte {offset} of the data and is longer than the \
                         {data_bytes} bytes that are there: the file is cut short"
                    ));
                }
            };
        }
        Ok(())
    }
}

/// Reads the tables, up to a limit.
struct Tables<R> {
    reader: R,
    /// No byte at or behind this position belongs to the tables.
    limit: u64,
    position: u64,
}

impl<R: Read> Tables<R> {
    /// Takes `count` bytes from what is left.
    fn advance(&mut self, count: u64) -> Result<(), String> {
        let left = self.limit - self.position;
        if count > left {
            return Err(format!(
                "it is cut short: {count} bytes are announced at byte {}, {left} are left",
                self.position
            ));
        }
        self.position += count;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.advance(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn text(&mut self, limit: u64) -> Result<String, String> {
        let mut bytes = Vec::new();
        self.text_into(&mut bytes, limit)?;
        bytes.shrink_to_fit();
        String::from_utf8(bytes).map_err(|error| format!("a text is not UTF-8: {error}"))
    }

    /// Puts a text behind others.
    fn text_into(&mut self, bytes: &mut Vec<u8>, limit: u64) -> Result<(), String> {
        let length = self.u64()?;
        if length > limit {
            return Err(format!("a text of {length} bytes is announced, expected at most {limit}"));
        }
        self.advance(length)?;
        let start = bytes.len();
        self.reader.by_ref().take(length).read_to_end(bytes).map_err(|error| error.to_string())?;
        if (bytes.len() - start) as u64 != length {
            return Err("it is cut short within a text".to_owned());
        }
        std::str::from_utf8(&bytes[start..]).map_err(|error| format!("a text is not UTF-8: {error}"))?;
        Ok(())
    }

    fn skip(&mut self, count: u64) -> Result<(), String> {
        self.advance(count)?;
        match io::copy(&mut self.reader.by_ref().take(count), &mut io::sink()) {
            Ok(read) if read == count => Ok(()),
            Ok(_) => Err("it is cut short within an array".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn value(&mut self, kind: u32, nesting: u32) -> Result<Value, String> {
        let whole = |number: i64| u64::try_from(number).map_or(Value::Negative(number), Value::Unsigned);
        Ok(match kind {
            0 => Value::Unsigned(self.bytes::<1>()?[0].into()),
            1 => whole(i8::from_le_bytes(self.bytes()?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.bytes()?).into()),
            3 => whole(i16::from_le_bytes(self.bytes()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => whole(i32::from_le_bytes(self.bytes()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.bytes()?).into()),
            7 => match self.bytes::<1>()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(format!("a truth value is {other}, expected 0 or 1")),
            },
            8 => Value::Text(self.text(TABLES_LIMIT_BYTES)?),
            9 => return self.array(nesting),
            10 => Value::Unsigned(self.u64()?),
            11 => whole(i64::from_le_bytes(self.bytes()?)),
            12 => Value::Float(f64::from_le_bytes(self.bytes()?)),
            other => return Err(format!("its type is number {other}, expected 0 to 12")),
        })
    }

    fn array(&mut self, nesting: u32) -> Result<Value, String> {
        if nesting == NESTING_MAX {
            return Err(format!("arrays lie more than {NESTING_MAX} deep within each other"));
        }
        let (kind, len) = (self.u32()?, self.u64()?);
        match kind {
            4 | 5 => {
                let mut words = Vec::new();
                for _ in 0..len {
                    words.push(self.u32()?);
                }
                words.shrink_to_fit();
                Ok(Value::Words(words))
            }
            6 => {
                let mut floats = Vec::new();
                for _ in 0..len {
                    floats.push(f32::from_bits(self.u32()?));
                }
                floats.shrink_to_fit();
                Ok(Value::Floats(floats))
            }
            8 => {
                let (mut bytes, mut ends) = (Vec::new(), Vec::new());
                for _ in 0..len {
                    self.text_into(&mut bytes, TABLES_LIMIT_BYTES)?;
                    ends.push(bytes.len() as u32);
                }
                bytes.shrink_to_fit();
                ends.shrink_to_fit();
                // Each is UTF-8, so all are.
                let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
                Ok(Value::Texts(Texts { text, ends }))
            }
            9 => {
                for _ in 0..len {
                    self.array(nesting + 1)?;
                }
                Ok(Value::Other(len))
            }
            0 | 1 if len <= BYTES_MAX => {
                self.advance(len)?;
                let mut bytes = vec![0; len as usize];
                self.reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
                Ok(Value::Bytes(bytes))
            }
            0 | 1 | 2 | 3 | 7 | 10 | 11 | 12 => {
                let size_bytes = match kind {
                    0 | 1 | 7 => 1,
                    2 | 3 => 2,
                    _ => 8,
                };
                self.skip(len.checked_mul(size_bytes).ok_or("an array is longer than any file")?)?;
                Ok(Value::Other(len))
            }
            other => Err(format!("its elements are of type number {other}, expected 0 to 12")),
        }
    }

    fn tensor(&mut self) -> Result<TensorInfo, String> {
        let sides = self.u32()?;
        if !(1..=SIDES_MAX).contains(&sides) {
            return Err(format!("it has {sides} sides, expected 1 to {SIDES_MAX}"));
        }
        let mut shape = Vec::new();
        let mut len = 1u64;
        for _ in 0..sides {
            let side = self.u64()?;
            len = match len.checked_mul(side) {
                Some(len @ 1..) if usize::try_from(len).is_ok() => len,
                _ => return Err("its sides are zero or their product is too large".to_owned()),
            };
            shape.push(side as usize);
        }
        // Innermost first in the file.
        shape.reverse();
        let (type_id, offset) = (self.u32()?, self.u64()?);
        Ok(TensorInfo { shape, type_id, offset })
    }
}
