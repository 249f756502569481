//! Records of a file: objects in JSON, kept as the text that they are and read when they are asked for.

use std::borrow::Cow;
use std::path::Path;

use sip_json::{Elements, MemberError, members};

use super::{ONE_OBJECT, line_error};
use crate::DataError;

/// Objects in JSON, one a line or the elements of a list, in the text of their file: nothing of them is built before it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    text: String,
    is_list: bool,
    len: usize,
}

/// An object in JSON, and the line that it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// From 1; in a list, the number of the object.
    pub line: usize,
    text: &'a [u8],
}

impl Records {
    /// The lines of a text that are not empty, each of which should be an object; a caller that asks for its keys learns whether it is.
    pub fn lines(text: String) -> Records {
        let len = lines(&text).count();
        Records { text, is_list: false, len }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Their text, as it stood in the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One after the other, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        let list = self.is_list.then(|| Elements::new(self.text.as_bytes()).ok()).flatten();
        let elements = list.into_iter().flatten().map_while(Result::ok);
        let elements = (1..).zip(elements).map(|(line, text)| Record { line, text });
        elements.chain(lines(if self.is_list { "" } else { &self.text }))
    }
}

fn lines(text: &str) -> impl Iterator<Item = Record<'_>> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(line, text)| Record { line, text: text.as_bytes() })
}

impl<'a> Record<'a> {
    /// The text of the value of a key; of two with the same name the last.
    ///
    /// # Errors
    /// What is wrong with an object that is none, and a key that is not there.
    pub fn value(&self, key: &str) -> Result<&'a [u8], String> {
        let mut found = None;
        let read = members::<MemberError>(self.text, |name, value| {
            found = if name == key { Some(value) } else { found };
            Ok(name == key)
        });
        read.map_err(|error| error.to_string())?;
        found.ok_or_else(|| format!("missing field `{key}`"))
    }

    /// Whether a key is there.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_ok()
    }

    /// The text that a key has.
    ///
    /// # Errors
    /// Those of [`Record::value`], and a value that is no text.
    pub fn text(&self, key: &str) -> Result<Cow<'a, str>, String> {
        sip_json::text(self.value(key)?).map_err(|error| format!("{key}: {error}"))
    }

    /// The names of its first keys.
    pub fn keys(&self, at_most: usize) -> Vec<String> {
        let mut keys = Vec::new();
        let _ = members::<MemberError>(self.text, |name, _| {
            if keys.len() < at_most {
                keys.push(name.into_owned());
            }
            Ok(true)
        });
        keys
    }
}

/// How many keys an object has.
pub(super) fn key_count(text: &str) -> Result<usize, MemberError> {
    let mut count = 0;
    members::<MemberError>(text.as_bytes(), |_, _| {
        count += 1;
        Ok(false)
    })?;
    Ok(count)
}

/// The records of a text that is JSON lines or a list of objects; any other text comes back.
pub(super) fn records(path: &Path, mut text: String, is_cut: bool) -> Result<Result<Records, String>, DataError> {
    let start = text.trim_start();
    if start.starts_with('[') {
        return Ok(match object_count(&text) {
            Some(len) => Ok(Records { text, is_list: true, len }),
            None => Err(text),
        });
    }
    let first = start.lines().next().unwrap_or_default();
    match (start.starts_with('{'), key_count(first)) {
        (true, Ok(1..)) => {}
        // One object over several lines is no text either.
        (true, _) if key_count(&text).is_ok_and(|keys| keys > 0) => {
            return Err(DataError::NotText { path: path.to_owned(), what: ONE_OBJECT.to_owned() });
        }
        (true, Err(error)) if is_called_json(path) => return Err(line_error(path, 1, error.to_string())),
        _ => return Ok(Err(text)),
    }
    let mut end = text.len();
    let mut bad = Vec::new();
    let mut numbered = (1..).zip(text.lines()).peekable();
    while let Some((number, line)) = numbered.next() {
        if line.trim().is_empty() {
            continue;
        }
        match key_count(line) {
            Ok(_) => {}
            // The limit may have cut the last line.
            Err(_) if is_cut && numbered.peek().is_none() => end -= line.len(),
            Err(error) => bad.push(line_error(path, number, error.to_string())),
        }
        if DataError::are_enough(&bad) {
            break;
        }
    }
    DataError::all(bad)?;
    text.truncate(end);
    Ok(Ok(Records::lines(text)))
}

/// How many objects a list has, if it has nothing else.
fn object_count(text: &str) -> Option<usize> {
    let mut count = 0;
    for element in Elements::new(text.as_bytes()).ok()? {
        key_count(std::str::from_utf8(element.ok()?).ok()?).ok()?;
        count += 1;
    }
    Some(count)
}

fn is_called_json(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let bare = name.trim_end_matches(".gz").trim_end_matches(".zst").trim_end_matches(".txt");
    [".json", ".jsonl", ".ndjson"].iter().any(|ending| bare.ends_with(ending))
}
