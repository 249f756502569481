//! The log: what has been executed, on the disk before anyone is told.
//!
//! A segment is a file `log-<number of its first transaction, 16 hexadecimal digits>`: a header of [`HEADER_BYTES`] (magic 8,
//! format 4, first transaction 8, genesis hash 32, key 32, checksum 16), records, zeros. A record is a head of
//! [`RECORD_HEAD_BYTES`] (magic 4, payload bytes 4, durable 8, checksum 16) and its payload. Checksums are the first 16 bytes
//! of a sha256 that also covers the position, so nothing is taken for a record in another place, and the key, which is drawn for
//! each file and told nobody: no transaction can carry bytes that pass for a record, wherever a crash tears the file.
//!
//! *Durable* is the position up to which the segment was known to be on the disk when the record was written. It tells two cases
//! apart after a crash. Bytes that are no record and that a later record calls durable were damaged on the disk: an error.
//! Otherwise they are what a crash leaves of writes that nobody was told about: they are cut off.
//!
//! The file is filled with zeros ahead of the records, so a full disk shows before a transaction is executed, not after.

use crate::LocalnetError;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"SIPLOCAL";
const FORMAT: u32 = 2;
const HEADER_BYTES: u64 = 8 + 4 + 8 + 32 + 32 + 16;
/// Where the key stands in a header.
const KEY_OFFSET: usize = 8 + 4 + 8 + 32;
const RECORD_MAGIC: [u8; 4] = *b"rec\x01";
const RECORD_HEAD_BYTES: u64 = 4 + 4 + 8 + 16;
/// The largest payload. A transaction's logs, inner instructions and balances stay below it.
pub(crate) const MAX_PAYLOAD_BYTES: u64 = 2 << 20;
/// Zeros are written this much at a time.
const ALLOCATION_BYTES: u64 = 4 << 20;

/// What the checksums of one file's records are keyed with.
type Key = [u8; 32];

/// Where a payload lies in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
}

/// The segment that is written to.
pub(crate) struct Log {
    pub(crate) file: Arc<File>,
    pub(crate) path: PathBuf,
    /// Number of the first transaction in it.
    pub(crate) first: u64,
    /// After the last record.
    pub(crate) end: u64,
    /// The file's size; zeros from `end` on.
    allocated: u64,
    /// Everything before it is on the disk.
    pub(crate) durable: u64,
    key: Key,
}

/// A segment as it was found.
pub(crate) struct Scan {
    pub(crate) first: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<Span>,
    /// After the last record. What follows is zeros, or what a crash has left.
    pub(crate) end: u64,
    key: Key,
}

impl Log {
    /// A new segment, on the disk with its name.
    pub(crate) fn create(folder: &Path, first: u64, genesis: &[u8; 32]) -> Result<Self, LocalnetError> {
        let path = segment_path(folder, first);
        // Keys of wallets come from the system's randomness too.
        let key = *solana_keypair::Keypair::new().secret_bytes();
        let write = |temporary: &Path| std::fs::write(temporary, header(first, genesis, &key));
        sip_data::files::write_atomically(&path, write).map_err(LocalnetError::file("write", &path))?;
        Self::open(path, &Scan { first, bytes: Vec::new(), records: Vec::new(), end: HEADER_BYTES, key })
    }

    /// Goes on after the last record of a segment; what follows it is cut off.
    pub(crate) fn open(path: PathBuf, found: &Scan) -> Result<Self, LocalnetError> {
        let &Scan { first, end, key, .. } = found;
        let open = || -> io::Result<File> {
            let file = File::options().read(true).write(true).open(&path)?;
            file.set_len(end)?;
            file.sync_all()?;
            Ok(file)
        };
        let file = open().map_err(LocalnetError::file("open", &path))?;
        Ok(Self { file: Arc::new(file), path, first, end, allocated: end, durable: end, key })
    }

    /// Makes sure that one more record of any size fits.
    ///
    /// # Errors
    /// The file system's, such as that the disk is full. Then no record has changed.
    pub(crate) fn reserve(&mut self) -> io::Result<()> {
        const NEEDED: u64 = RECORD_HEAD_BYTES + MAX_PAYLOAD_BYTES;
        if self.allocated - self.end >= NEEDED {
            return Ok(());
        }
        let grown = self.grow(self.end + ALLOCATION_BYTES);
        // What little there was may do.
        if self.allocated - self.end >= NEEDED { Ok(()) } else { grown }
    }

    /// Writes zeros up to a size.
    fn grow(&mut self, target: u64) -> io::Result<()> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.allocated))?;
        let zeros = [0; 1 << 16];
        while self.allocated < target {
            let count = file.write(&zeros[..zeros.len().min((target - self.allocated) as usize)])?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.allocated += count as u64;
        }
        Ok(())
    }

    /// Adds a record. It is on the disk after [`File::sync_data`].
    pub(crate) fn append(&mut self, payload: &[u8]) -> io::Result<Span> {
        if payload.len() as u64 > MAX_PAYLOAD_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the record is larger than any should be"));
        }
        self.reserve()?;
        let mut record = record_head(&self.key, self.end, self.durable, payload).to_vec();
        record.extend_from_slice(payload);
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(&record)?;
        let span = Span { offset: self.end + RECORD_HEAD_BYTES, bytes: payload.len() as u32 };
        self.end += record.len() as u64;
        Ok(span)
    }
}

/// The payload at a place in a segment that has been scanned or written by this process.
pub(crate) fn read(path: &Path, span: Span) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(span.offset))?;
    let mut payload = vec![0; span.bytes as usize];
    file.read_exact(&mut payload)?;
    Ok(payload)
}

pub(crate) fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("log-{first:016x}"))
}

/// The number of the first transaction, where the name is that of a segment.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("log-").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Reads a segment. Only the last one may have been torn by a crash.
pub(crate) fn scan(path: &Path, genesis: &[u8; 32], is_last: bool) -> Result<Scan, LocalnetError> {
    let bytes = std::fs::read(path).map_err(LocalnetError::file("read", path))?;
    let damaged = |offset: u64, reason| LocalnetError::Damaged { path: path.into(), offset, reason };
    let first = (path.file_name().and_then(|name| segment_number(name.to_str()?)))
        .ok_or_else(|| damaged(0, "its name is not that of a log"))?;
    let begun = bytes.get(..HEADER_BYTES as usize).and_then(|found| {
        let key = *found.get(KEY_OFFSET..)?.first_chunk()?;
        (found == header(first, genesis, &key)).then_some(key)
    });
    let key = begun.ok_or_else(|| damaged(0, "it does not begin like a log of this chain"))?;
    let mut records = Vec::new();
    let mut end = HEADER_BYTES;
    while let Some((_, bytes)) = record_at(&key, &bytes, end) {
        records.push(Span { offset: end + RECORD_HEAD_BYTES, bytes });
        end += RECORD_HEAD_BYTES + u64::from(bytes);
    }
    let torn = bytes[end as usize..].iter().any(|&byte| byte != 0);
    if torn {
        if !is_last {
            return Err(damaged(end, "what stands there is no record"));
        }
        let promised = (end as usize + 1..bytes.len())
            .filter(|&at| bytes[at..].starts_with(&RECORD_MAGIC))
            .filter_map(|at| record_at(&key, &bytes, at as u64))
            .any(|(durable, _)| durable > end);
        if promised {
            return Err(damaged(end, "what stands there is no record, and it once was"));
        }
    }
    Ok(Scan { first, bytes, records, end, key })
}

/// The record at a position: what it calls durable, and the size of its payload.
fn record_at(key: &Key, bytes: &[u8], offset: u64) -> Option<(u64, u32)> {
    let record = bytes.get(usize::try_from(offset).ok()?..)?;
    let (head, rest) = record.split_first_chunk::<{ RECORD_HEAD_BYTES as usize }>()?;
    let payload_bytes = u32::from_le_bytes(*head[4..].first_chunk()?);
    let durable = u64::from_le_bytes(*head[8..].first_chunk()?);
    let payload = rest.get(..payload_bytes as usize)?;
    (record_head(key, offset, durable, payload) == *head).then_some((durable, payload_bytes))
}

fn record_head(key: &Key, offset: u64, durable: u64, payload: &[u8]) -> [u8; RECORD_HEAD_BYTES as usize] {
    let mut head = [0; RECORD_HEAD_BYTES as usize];
    head[..4].copy_from_slice(&RECORD_MAGIC);
    head[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[8..16].copy_from_slice(&durable.to_le_bytes());
    let checksum = Sha256::new_with_prefix(key)
        .chain_update(offset.to_le_bytes())
        .chain_update(&head[..16])
        .chain_update(payload)
        .finalize();
    head[16..].copy_from_slice(&checksum[..16]);
    head
}

fn header(first: u64, genesis: &[u8; 32], key: &Key) -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[12..20].copy_from_slice(&first.to_le_bytes());
    header[20..52].copy_from_slice(genesis);
    header[KEY_OFFSET..KEY_OFFSET + 32].copy_from_slice(key);
    let (content, checksum) = header.split_at_mut(KEY_OFFSET + 32);
    checksum.copy_from_slice(&Sha256::digest(content)[..16]);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENESIS: [u8; 32] = [7; 32];

    /// A segment with three records, each durable before the next was written.
    fn segment(folder: &Path) -> (PathBuf, Vec<Span>) {
        let mut log = Log::create(folder, 5, &GENESIS).unwrap();
        let spans = [&b"one"[..], b"two", b"three"].map(|payload| {
            let span = log.append(payload).unwrap();
            log.durable = log.end;
            span
        });
        // Without the zeros ahead, which the tests would read again and again.
        log.file.set_len(log.end).unwrap();
        (log.path.clone(), spans.to_vec())
    }

    fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(path).unwrap();
        change(&mut bytes);
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn what_was_appended_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, spans) = segment(folder.path());
        let scan = scan(&path, &GENESIS, true).unwrap();
        assert_eq!((scan.first, &scan.records), (5, &spans));
        assert_eq!(read(&path, spans[2]).unwrap(), b"three");
        let mut log = Log::open(path.clone(), &scan).unwrap();
        log.append(b"four").unwrap();
        assert_eq!(super::scan(&path, &GENESIS, true).unwrap().records.len(), 4);
    }

    #[test]
    fn a_torn_tail_is_cut_wherever_it_tears() {
        let folder = tempfile::tempdir().unwrap();
        let (path, spans) = segment(folder.path());
        let bytes = std::fs::read(&path).unwrap();
        let last = (spans[2].offset - RECORD_HEAD_BYTES) as usize;
        for length in last + 1..last + RECORD_HEAD_BYTES as usize + 5 {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let scan = scan(&path, &GENESIS, true).unwrap();
            assert_eq!((scan.records.len(), scan.end), (2, last as u64), "cut to {length} bytes");
            assert!(matches!(super::scan(&path, &GENESIS, false), Err(LocalnetError::Damaged { .. })));
        }
    }

    #[test]
    fn damage_in_the_middle_is_an_error_at_every_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (path, spans) = segment(folder.path());
        let bytes = std::fs::read(&path).unwrap();
        let second = (spans[1].offset - RECORD_HEAD_BYTES) as usize;
        for bit in second * 8..(spans[1].offset as usize + 3) * 8 {
            change(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            let error = scan(&path, &GENESIS, true).err().unwrap();
            assert!(matches!(error, LocalnetError::Damaged { offset, .. } if offset == second as u64), "{error}");
            std::fs::write(&path, &bytes).unwrap();
        }
    }

    #[test]
    fn records_that_nobody_was_told_about_may_be_lost_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::create(folder.path(), 0, &GENESIS).unwrap();
        let spans = [&b"one"[..], b"two", b"three"].map(|payload| log.append(payload).unwrap());
        // Neither of them was on the disk when the next was written; a power cut took the second.
        change(&log.path, |bytes| bytes[spans[1].offset as usize] ^= 1);
        let scan = scan(&log.path, &GENESIS, true).unwrap();
        assert_eq!(scan.records.len(), 1);
    }

    #[test]
    fn a_record_inside_of_a_payload_that_a_crash_has_torn_is_cut_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::create(folder.path(), 0, &GENESIS).unwrap();
        log.append(b"one").unwrap();
        // The sender of a transaction knows where it comes to stand, and all that a record says but the key.
        let inside = log.end + RECORD_HEAD_BYTES;
        for key in [[0; 32], GENESIS] {
            let mut torn = Log { file: log.file.clone(), path: log.path.clone(), ..log };
            let payload = [&record_head(&key, inside, inside, b"x")[..], b"x and more"].concat();
            let span = torn.append(&payload).unwrap();
            torn.file.set_len(torn.end).unwrap();
            change(&torn.path, |bytes| bytes[(span.offset - 1) as usize] ^= 1);
            let found = scan(&torn.path, &GENESIS, true).unwrap();
            assert_eq!((found.records.len(), found.end), (1, log.end));
        }
    }

    #[test]
    fn every_file_has_a_key_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [1, 2].map(|first| Log::create(folder.path(), first, &GENESIS).unwrap().key);
        assert_ne!(one, other);
    }

    #[test]
    fn a_log_of_another_chain_is_damage_and_moved_records_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let (path, spans) = segment(folder.path());
        assert!(matches!(scan(&path, &[8; 32], true), Err(LocalnetError::Damaged { offset: 0, .. })));
        change(&path, |bytes| {
            bytes.drain(HEADER_BYTES as usize..spans[0].offset as usize + 3);
        });
        assert!(scan(&path, &GENESIS, true).unwrap().records.is_empty());
        assert!(matches!(scan(&path, &GENESIS, false), Err(LocalnetError::Damaged { .. })));
    }

    #[test]
    fn names_of_segments_order_like_their_numbers() {
        let name = |number| segment_path(Path::new(""), number).to_str().unwrap().to_string();
        assert!(name(9) < name(10) && name(255) < name(256));
        assert_eq!(segment_number(&name(u64::MAX)), Some(u64::MAX));
        assert_eq!(segment_number("log-12"), None);
    }
}
