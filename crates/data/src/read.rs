//! Files of texts and records, judged by what they hold and not by their names.
//!
//! A file may be packed (gzip, zstd). It holds records if it is JSON (objects or texts on lines, one after the other, or in a list), else it is one text in UTF-8. A
//! byte-order mark is no part of it, and line ends of Windows become plain ones.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::{DataError, Documents};
use records::{key_count, records};

pub use records::{Record, Records};

mod records;
mod scan;

/// Folders within folders that are entered at most.
const DEPTH_MAX: usize = 16;
/// The shortest record of a text.
const RECORD_BYTES_MIN: usize = r#"{"text":"a"}"#.len();
/// What a file such as a package.json is.
const ONE_OBJECT: &str = "one object in JSON over several lines, expected an object on every line, or an array of them: if the records \
                           are within it, give them by themselves";
/// How it is said that a file is none; in a folder it is skipped.
const NO_TEXT: &str = "no text";
/// A zero byte among so many first ones says that a file is no text.
const SNIFFED_BYTES: usize = 8 << 10;

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A text, not empty.
    Text(String),
    /// Objects, at least one.
    Records(Records),
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct FileContent {
    /// What it holds.
    pub content: Content,
    /// Whether it goes on behind what was asked for.
    pub is_cut: bool,
}

impl FileContent {
    /// The documents in a file: its text, or the `text` of every record.
    ///
    /// # Errors
    /// Records without a `text`.
    pub fn documents(self, path: &Path) -> Result<Documents, DataError> {
        let records = match self.content {
            Content::Text(text) => return Ok(Documents::from(text)),
            Content::Records(records) => records,
        };
        let bytes = records.text().len();
        let mut documents = Documents::with_capacity(records.len().min(bytes / RECORD_BYTES_MIN), bytes);
        let mut bad = Vec::new();
        for record in records.iter() {
            match record.document() {
                Ok(text) if !text.trim().is_empty() => documents.push(&text),
                Ok(_) => {}
                Err(reason) => bad.push(line_error(path, record.line, expected_text(&record, &reason))),
            }
            if DataError::are_enough(&bad) {
                break;
            }
        }
        DataError::all(bad)?;
        documents.shrink();
        Ok(documents)
    }
}

fn expected_text(record: &Record<'_>, reason: &str) -> String {
    match record.kind() {
        "an object" => {}
        kind => {
            return format!(
                "expected {{\"text\": …}}, found {kind}: write a document as {{\"text\": …}}, an answer as {{\"prompt\": …, \"response\": …}}"
            );
        }
    }
    if record.has("text") {
        return format!("{reason}: mend it, or leave it out");
    }
    let keys: Vec<String> = record.keys(8).iter().map(|key| crate::shown(key)).collect();
    let is_for_answers = ["prompt", "messages", "chosen"].into_iter().any(|key| record.has(key));
    let hint = match record.key_of_more() {
        _ if is_for_answers => "; prompts with answers are for \"sip finetune\", as its only data".to_owned(),
        Some(key) => {
            format!("; if the records are those of {}, give them by themselves, one on every line", crate::shown(&key))
        }
        None => String::new(),
    };
    format!("expected {{\"text\": …}}, found the keys {}{hint}", keys.join(", "))
}

fn line_error(path: &Path, line: usize, reason: String) -> DataError {
    DataError::Line { path: path.to_owned(), line, reason }
}

/// Reads a file up to `max_bytes` of what it unpacks to.
///
/// # Errors
/// A file that is missing, damaged, empty, no text, or has a line that is no object among lines that are.
pub fn read(path: &Path, max_bytes: usize) -> Result<FileContent, DataError> {
    let (bytes, is_cut) = unpacked(path, max_bytes)?;
    let text = decoded(path, bytes, is_cut)?;
    if text.trim().is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    let content = match records(path, text, is_cut)? {
        Ok(records) if records.is_empty() => return Err(DataError::Empty { path: path.to_owned() }),
        Ok(records) => Content::Records(records),
        Err(text) => Content::Text(text),
    };
    Ok(FileContent { content, is_cut })
}

/// Reads a file of records alone.
///
/// # Errors
/// As [`read`], and a file that is a text.
pub fn read_records(path: &Path, max_bytes: usize, expected: &str) -> Result<Records, DataError> {
    match read(path, max_bytes)? {
        FileContent { is_cut: true, .. } => {
            let what = format!("larger than {max_bytes} bytes");
            Err(DataError::NotText { path: path.to_owned(), what })
        }
        FileContent { content: Content::Records(records), .. } => Ok(records),
        FileContent { content: Content::Text(text), .. } => {
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let reason = key_count(first).err().map_or(String::new(), |error| error.to_string());
            Err(line_error(path, 1, format!("expected {expected}: {reason}")))
        }
    }
}

/// The bytes of a file, unpacked; whether there are more than were asked for.
fn unpacked(path: &Path, max_bytes: usize) -> Result<(Vec<u8>, bool), DataError> {
    let io_error = |source: io::Error| DataError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io_error)?;
    let size = file.metadata().map_or(0, |found| usize::try_from(found.len()).unwrap_or(usize::MAX));
    let mut file = BufReader::new(file);
    let head = file.fill_buf().map_err(io_error)?;
    let (gzip, zstandard) = (head.starts_with(b"\x1f\x8b"), head.starts_with(b"\x28\xb5\x2f\xfd"));
    let mut reader: Box<dyn Read> = match (gzip, zstandard) {
        (true, _) => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        (_, true) => Box::new(zstd::stream::read::Decoder::with_buffer(file).map_err(io_error)?),
        _ => Box::new(file),
    };
    // What is not packed is never there twice; what is, at most three times while it grows.
    let known = if gzip || zstandard { 0 } else { size.min(max_bytes).saturating_add(1) };
    let mut bytes = Vec::with_capacity(known);
    // One byte more tells a character cut by the limit from one cut by the end of the file.
    let read = reader.by_ref().take((max_bytes as u64).saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| match gzip || zstandard {
        true => {
            let what = format!("a packed file that is cut off or damaged ({error}): fetch it again");
            DataError::NotText { path: path.to_owned(), what }
        }
        false => io_error(error),
    })?;
    let is_cut = bytes.len() > max_bytes;
    bytes.truncate(max_bytes);
    if bytes.capacity() > bytes.len() + bytes.len() / 4 {
        bytes.shrink_to_fit();
    }
    Ok((bytes, is_cut))
}

/// What a file is and what to do, if its first bytes are those of a kind that holds no plain text.
fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    const UNPACK: &str = "a packed file: unpack it first, or pack it with gzip or zstd, which are read";
    const TABLE: &str = "a table in a format of its own: write its rows as JSON lines first, {\"text\": …} on each";
    const ARCHIVE: &str = "an archive: unpack it into a folder first, and give the folder";
    const PICTURE: &str = "a picture or a recording: only text is read";
    let kinds: [(&[u8], &str); 19] = [
        (b"%PDF-", "a PDF: take the text out of it first, for example with \"pdftotext\""),
        (b"PK\x03\x04", "an office document or a zip archive: save it as plain text, or unpack it into a folder first"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document: save it as plain text first"),
        (b"{\\rtf", "a document in RTF: save it as plain text first"),
        (b"\x1f\x8b", "a file that is packed twice: unpack it once first"),
        (b"\x28\xb5\x2f\xfd", "a file that is packed twice: unpack it once first"),
        (b"\xfd7zXZ\0", UNPACK),
        (b"BZh", UNPACK),
        (b"\x04\x22\x4d\x18", UNPACK),
        (b"7z\xbc\xaf\x27\x1c", ARCHIVE),
        (b"Rar!\x1a\x07", ARCHIVE),
        (b"PAR1", TABLE),
        (b"ARROW1\0\0", TABLE),
        (b"Obj\x01", TABLE),
        (b"SQLite format 3\0", TABLE),
        (b"GGUF", "a model: name it with --model"),
        (b"\x89PNG\r\n", PICTURE),
        (b"\xff\xd8\xff", PICTURE),
        (b"OggS", PICTURE),
    ];
    let found = kinds.into_iter().find(|(begin, _)| bytes.starts_with(begin)).map(|(_, what)| what);
    let is_bzip2 = |bytes: &[u8]| bytes.get(3).is_some_and(u8::is_ascii_digit) && bytes[4..].starts_with(b"1AY&SY");
    match found {
        // Words may begin with these letters.
        Some(UNPACK) if bytes.starts_with(b"BZh") && !is_bzip2(bytes) => None,
        Some(_) if [&b"PAR1"[..], b"GGUF", b"OggS"].contains(&&bytes[..4]) && !has_zero(bytes) => None,
        None if bytes.get(257..262) == Some(b"ustar") => Some(ARCHIVE),
        found => found,
    }
}

fn has_zero(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(SNIFFED_BYTES)].contains(&0)
}

/// Bytes as text, without a byte-order mark, with plain line ends, and cut where a character ends.
fn decoded(path: &Path, mut bytes: Vec<u8>, is_cut: bool) -> Result<String, DataError> {
    let not_text = |what: &str| DataError::NotText { path: path.to_owned(), what: what.to_owned() };
    if bytes.starts_with(b"\xff\xfe\0\0") || bytes.starts_with(b"\0\0\xfe\xff") {
        return Err(not_text("text in UTF-32: convert it, for example with \"iconv -f utf-32 -t utf-8\""));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(not_text("text in UTF-16: convert it, for example with \"iconv -f utf-16 -t utf-8\""));
    }
    if let Some(what) = other_kind(&bytes) {
        return Err(not_text(&format!("{NO_TEXT}, but {what}")));
    }
    let mark = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    if has_zero(&bytes) {
        return Err(not_text(&format!("{NO_TEXT}: it has bytes of zero")));
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(not_text("a git-lfs pointer: fetch the file itself with \"git lfs pull\""));
    }
    bytes.drain(..mark);
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let (utf8, offset) = (error.utf8_error(), error.utf8_error().valid_up_to());
            if !(is_cut && utf8.error_len().is_none()) {
                return Err(DataError::NotUtf8 { path: path.to_owned(), offset: offset + mark });
            }
            let mut bytes = error.into_bytes();
            bytes.truncate(offset);
            String::from_utf8(bytes).map_err(|_| DataError::NotUtf8 { path: path.to_owned(), offset })?
        }
    };
    if !text.contains("\r\n") {
        return Ok(text);
    }
    let mut bytes = text.into_bytes();
    plain_line_ends(&mut bytes);
    // A line end is a character of its own, so what is left is UTF-8 as before.
    String::from_utf8(bytes)
        .map_err(|error| DataError::NotUtf8 { path: path.to_owned(), offset: error.utf8_error().valid_up_to() })
}

/// Bytes with the line ends of Windows as plain ones, in the memory that they have.
fn plain_line_ends(bytes: &mut Vec<u8>) {
    let mut kept = 0;
    for at in 0..bytes.len() {
        if !(bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n')) {
            bytes[kept] = bytes[at];
            kept += 1;
        }
    }
    bytes.truncate(kept);
}

/// A file that was found in a folder and is not used, and why.
pub type Skipped = (PathBuf, &'static str);

/// The files of a folder and of those within it, in the order of their paths; hidden ones, links to folders, and all that is not a file, are skipped.
///
/// # Errors
/// [`DataError::Io`]
pub fn files_in(folder: &Path) -> Result<(Vec<PathBuf>, Vec<Skipped>), DataError> {
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    walk(folder, 0, &mut files, &mut skipped)?;
    files.sort_unstable();
    skipped.sort_unstable();
    Ok((files, skipped))
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>, skipped: &mut Vec<Skipped>) -> Result<(), DataError> {
    let io_error = |source| DataError::Io { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(io_error)?);
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        match fs::metadata(&path) {
            _ if is_hidden => skipped.push((path, "hidden")),
            Err(_) => skipped.push((path, "a link to nothing")),
            Ok(found) if found.is_file() => files.push(path),
            Ok(found) if found.is_dir() && !kind.is_symlink() && depth < DEPTH_MAX => {
                walk(&path, depth + 1, files, skipped)?;
            }
            Ok(found) if found.is_dir() => skipped.push((path, "a folder by a link, or too deep")),
            Ok(_) => skipped.push((path, "no file")),
        }
    }
    Ok(())
}

/// What was found at a path, which may be a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The files that were read, with what they hold.
    pub files: Vec<(PathBuf, FileContent)>,
    /// What was not used, in words.
    pub notes: Vec<String>,
}

/// Reads a file, or all files of a folder, up to `max_bytes` of each. In a folder, what is empty or no text is skipped.
///
/// # Errors
/// All files that are damaged, in one error; a folder without a text.
pub fn read_all(path: &Path, max_bytes: usize) -> Result<Found, DataError> {
    let is_folder = fs::metadata(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?.is_dir();
    if !is_folder {
        let content = read(path, max_bytes)?;
        let notes = content.is_cut.then(|| cut_note(path, max_bytes));
        return Ok(Found { notes: notes.into_iter().collect(), files: vec![(path.to_owned(), content)] });
    }
    let (paths, skipped) = files_in(path)?;
    let mut found = Found::default();
    let mut note = |file: &Path, why: &str| found.notes.push(format!("{} is skipped: {why}", file.display()));
    skipped.iter().for_each(|(file, why)| note(file, why));
    let mut bad = Vec::new();
    for file in paths {
        match read(&file, max_bytes) {
            Ok(FileContent { content: Content::Records(records), .. }) if is_other_json(&file, &records) => {
                found.notes.push(format!("{} is skipped: it is one object in JSON without a text", file.display()));
            }
            Ok(content) => {
                found.notes.extend(content.is_cut.then(|| cut_note(&file, max_bytes)));
                found.files.push((file, content));
            }
            Err(DataError::Empty { .. }) => found.notes.push(format!("{} is skipped: it is empty", file.display())),
            Err(DataError::NotText { what, .. }) if what == ONE_OBJECT => {
                found.notes.push(format!("{} is skipped: it is {ONE_OBJECT}", file.display()));
            }
            Err(DataError::NotText { what, .. }) if what.starts_with(NO_TEXT) => {
                found.notes.push(format!("{} is skipped: it is {what}", file.display()));
            }
            Err(error) => bad.push(error),
        }
    }
    match (bad.len(), found.files.is_empty()) {
        (0, true) => Err(DataError::NoTexts { path: path.to_owned() }),
        (0, false) => Ok(found),
        (1, _) => Err(bad.remove(0)),
        _ => Err(DataError::Several(bad)),
    }
}

/// Whether a file of JSON is an object of another kind, such as a package.json, and no record.
fn is_other_json(path: &Path, records: &Records) -> bool {
    let keys = ["text", "prompt", "response", "completion", "messages", "chosen"];
    let is_known = |record: Record<'_>| keys.iter().any(|key| record.has(key));
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
        && records.len() == 1
        && !records.iter().any(is_known)
}

fn cut_note(path: &Path, max_bytes: usize) -> String {
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    format!("{} is cut: the first {max_bytes} bytes are used (the file has {size})", path.display())
}

#[cfg(test)]
mod tests;
