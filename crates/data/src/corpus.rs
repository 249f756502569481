//! One text per domain: the three that are built in, or the user's own.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::read::read_all;
use crate::{DOCUMENT_SEPARATOR, DOMAINS_MAX, DataError, hex};

/// Bytes of text used of each domain when nobody asks for another number.
pub const MAX_BYTES_DEFAULT: usize = 4_000_000;

/// A domain: a kind of text that stake can be directed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Name, unique within a corpus.
    pub name: String,
    /// The text, not empty.
    pub text: String,
}

impl Domain {
    /// One domain of all texts at `paths`, in their order, with [`DOCUMENT_SEPARATOR`] between them, the first `max_bytes` of all; and what was
    /// skipped or cut, in words. A folder stands for the files in it and below it.
    ///
    /// # Errors
    /// As [`Corpus::read`], but for the number of files.
    pub fn gather(name: &str, paths: &[PathBuf], max_bytes: usize) -> Result<(Domain, Vec<String>), DataError> {
        let (mut texts, mut notes) = (Vec::new(), Vec::new());
        let mut left = max_bytes;
        for path in paths {
            let found = read_all(path, left)?;
            notes.extend(found.notes);
            for (path, content) in found.files {
                let text = content.documents(&path)?.join(DOCUMENT_SEPARATOR);
                if text.is_empty() {
                    return Err(DataError::Empty { path });
                }
                left = left.saturating_sub(text.len());
                texts.push(text);
                if left == 0 {
                    break;
                }
            }
            if left == 0 {
                break;
            }
        }
        if texts.is_empty() {
            return Err(DataError::NoPaths);
        }
        let mut text = texts.join(DOCUMENT_SEPARATOR);
        text.truncate(text.floor_char_boundary(max_bytes));
        Ok((Domain { name: name.to_owned(), text }, notes))
    }

    /// The built-in text of a name, the first `max_bytes` of it; nothing where there is none of that name.
    ///
    /// # Errors
    /// As [`Corpus::shipped`].
    pub fn shipped(name: &str, max_bytes: usize) -> Result<Option<Domain>, DataError> {
        SHIPPED.iter().find(|shipped| shipped.name == name).map(|shipped| unpack(shipped, max_bytes)).transpose()
    }
}

/// The texts of a job: 1 to [`DOMAINS_MAX`] domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corpus {
    domains: Vec<Domain>,
    notes: Vec<String>,
}

/// A text built into the program: origin and licence are in `data/README.md`.
struct Shipped {
    name: &'static str,
    packed: &'static [u8],
    /// sha256 of the unpacked text.
    sha256: &'static str,
    unpacked_bytes: usize,
}

const SHIPPED: [Shipped; 3] = [
    Shipped {
        name: "addresses",
        packed: include_bytes!("../../../data/addresses.txt.zst"),
        sha256: "121191e31a03632446e14fc2d7c690f2d933a90618a11f62ef1fe55cef424f7c",
        unpacked_bytes: 10_764_870,
    },
    Shipped {
        name: "novels",
        packed: include_bytes!("../../../data/novels.txt.zst"),
        sha256: "1f48a6d7751aa60776b8aacf34d3b6898c46f4ee0fd103d733dd04f45e761841",
        unpacked_bytes: 4_025_028,
    },
    Shipped {
        name: "scripture",
        packed: include_bytes!("../../../data/scripture.txt.zst"),
        sha256: "cd45f0c9cedab8e4439bd6486c8952c77cc8b0ecc5d1f6ae3513f2039f47229d",
        unpacked_bytes: 4_404_412,
    },
];

impl Corpus {
    /// The three built-in texts, the first `max_bytes` of each.
    ///
    /// # Errors
    /// [`DataError::Damaged`] when a text is not the one that was packed.
    pub fn shipped(max_bytes: usize) -> Result<Self, DataError> {
        let domains = SHIPPED.iter().map(|shipped| unpack(shipped, max_bytes)).collect::<Result<_, _>>()?;
        Ok(Corpus { domains, notes: Vec::new() })
    }

    /// The texts at `paths`, the first `max_bytes` of each. A folder stands for the files in it and below it in the order of
    /// their paths; every file is one domain, named by its file name without the extension. Of records the texts count, with
    /// [`DOCUMENT_SEPARATOR`] between them.
    ///
    /// # Errors
    /// No path, a path that is missing or cannot be read, a folder without texts, a file that is empty or not
    /// UTF-8, more than [`DOMAINS_MAX`] files.
    pub fn read(paths: &[PathBuf], max_bytes: usize) -> Result<Self, DataError> {
        let (mut files, mut notes, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for path in paths {
            match read_all(path, max_bytes) {
                Ok(found) => {
                    files.extend(found.files);
                    notes.extend(found.notes);
                }
                Err(DataError::Several(errors)) => bad.extend(errors),
                Err(error) => bad.push(error),
            }
        }
        match bad.len() {
            0 => {}
            1 => return Err(bad.remove(0)),
            _ => return Err(DataError::Several(bad)),
        }
        if files.is_empty() {
            return Err(DataError::NoPaths);
        }
        if files.len() > DOMAINS_MAX {
            return Err(DataError::TooManyDomains { found: files.len() });
        }
        let mut domains: Vec<Domain> = Vec::with_capacity(files.len());
        for (path, content) in files {
            let text = content.documents(&path)?.join(DOCUMENT_SEPARATOR);
            if text.is_empty() {
                return Err(DataError::Empty { path });
            }
            let name = unique_name(&path, &|name| domains.iter().any(|domain| domain.name == name));
            domains.push(Domain { name, text });
        }
        Ok(Corpus { domains, notes })
    }

    /// What was skipped or cut, in words.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The domains, in the order that gives them their index.
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }
}

fn unpack(shipped: &Shipped, max_bytes: usize) -> Result<Domain, DataError> {
    let damaged = |reason: String| DataError::Damaged { name: shipped.name, reason };
    let bytes =
        zstd::bulk::decompress(shipped.packed, shipped.unpacked_bytes).map_err(|error| damaged(error.to_string()))?;
    let sha256 = hex(&Sha256::digest(&bytes));
    if sha256 != shipped.sha256 {
        return Err(damaged(format!("sha256 {sha256}, expected {}", shipped.sha256)));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
    text.truncate(text.floor_char_boundary(max_bytes));
    Ok(Domain { name: shipped.name.to_owned(), text })
}

/// The file name without extension; a name that is taken gets the next free number.
pub fn unique_name(path: &Path, is_taken: &dyn Fn(&str) -> bool) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    // notes.txt.gz are the notes.
    let is_packed = path.extension().is_some_and(|extension| extension == "gz" || extension == "zst");
    let stem = match Path::new(&stem).file_stem() {
        Some(inner) if is_packed => inner.to_string_lossy().into_owned(),
        _ => stem,
    };
    let numbered = (2..).map(|number: usize| format!("{stem}-{number}"));
    std::iter::once(stem.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    fn read_one(content: &[u8], max_bytes: usize) -> Result<String, DataError> {
        let folder = folder_with(&[("a.txt", content)]);
        Ok(Corpus::read(&[folder.path().join("a.txt")], max_bytes)?.domains.remove(0).text)
    }

    #[test]
    fn shipped_texts_are_whole_and_capped() {
        let whole = Corpus::shipped(usize::MAX).unwrap();
        let sizes: Vec<_> = whole.domains().iter().map(|domain| (domain.name.as_str(), domain.text.len())).collect();
        assert_eq!(sizes, [("addresses", 10_764_870), ("novels", 4_025_028), ("scripture", 4_404_412)]);
        let capped = Corpus::shipped(1000).unwrap();
        for (long, short) in whole.domains().iter().zip(capped.domains()) {
            assert_eq!(long.text[..1000], short.text);
        }
    }

    #[test]
    fn a_damaged_shipped_text_is_refused() {
        let wrong_hash = Shipped { sha256: "00", ..SHIPPED[1] };
        assert!(matches!(unpack(&wrong_hash, 10), Err(DataError::Damaged { name: "novels", .. })));
        let truncated = Shipped { packed: &SHIPPED[1].packed[..1000], ..SHIPPED[1] };
        assert!(matches!(unpack(&truncated, 10), Err(DataError::Damaged { name: "novels", .. })));
    }

    #[test]
    fn a_folder_gives_its_texts_by_name_and_equal_names_get_numbers() {
        let folder = folder_with(&[("b.txt", b"bee"), ("a.TXT", b"ay"), ("c.bin", b"\0"), ("a.txt", b"eh")]);
        let again = folder_with(&[("b.log", b"be")]);
        let paths = [folder.path().to_owned(), again.path().join("b.log")];
        let corpus = Corpus::read(&paths, 100).unwrap();
        let named: Vec<_> = corpus.domains().iter().map(|d| (d.name.as_str(), d.text.as_str())).collect();
        assert_eq!(named, [("a", "ay"), ("a-2", "eh"), ("b", "bee"), ("b-2", "be")]);
    }

    #[test]
    fn the_cap_cuts_before_a_character_that_it_would_split() {
        let text = "aé€".as_bytes();
        assert_eq!(text.len(), 6);
        for (max_bytes, expected) in [(1, "a"), (2, "a"), (3, "aé"), (4, "aé"), (5, "aé"), (6, "aé€"), (7, "aé€")]
        {
            assert_eq!(read_one(text, max_bytes).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_that_is_not_utf8_is_refused_with_the_offset() {
        let error = read_one(b"abc\xffdef", 100).unwrap_err();
        assert!(matches!(error, DataError::NotUtf8 { offset: 3, .. }), "{error}");
        assert!(error.to_string().contains("not UTF-8 at byte 3"), "{error}");
        // A character that the end of the file cuts is damage; one that the cap cuts is not.
        assert!(matches!(read_one(b"ab\xe2\x82", 4), Err(DataError::NotUtf8 { offset: 2, .. })));
        assert!(matches!(read_one(b"ab\xe2\x82", 100), Err(DataError::NotUtf8 { offset: 2, .. })));
        assert_eq!(read_one(b"ab\xe2\x82\xac", 4).unwrap(), "ab");
    }

    #[test]
    fn missing_empty_and_too_many_files_are_refused() {
        let missing = Corpus::read(&[PathBuf::from("no/such/file.txt")], 10).unwrap_err();
        assert!(missing.to_string().contains("no/such/file.txt"), "{missing}");
        assert!(matches!(Corpus::read(&[], 10), Err(DataError::NoPaths)));
        assert!(matches!(read_one(b"", 10), Err(DataError::Empty { .. })));
        assert!(matches!(read_one(b" \n\n ", 10), Err(DataError::Empty { .. })));
        let empty = folder_with(&[("readme.bin", b"\0")]);
        assert!(matches!(Corpus::read(&[empty.path().to_owned()], 10), Err(DataError::NoTexts { .. })));
        let nine: Vec<String> = (0..9).map(|number| format!("{number}.txt")).collect();
        let files: Vec<(&str, &[u8])> = nine.iter().map(|name| (name.as_str(), b"text".as_slice())).collect();
        let folder = folder_with(&files);
        let error = Corpus::read(&[folder.path().to_owned()], 10).unwrap_err();
        assert!(matches!(error, DataError::TooManyDomains { found: 9 }));
    }
}
