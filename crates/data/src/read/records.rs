//! Records of a file: objects in JSON, or texts in quotes, kept as the text that they are and read when they are asked for.
//!
//! A file is JSON if it is called so, or if it begins with what no other text begins with (see [`looks`]) and goes on so. JSON is
//! records, or is refused with the line: its letters are never a text.

use std::borrow::Cow;
use std::path::Path;

use sip_json::{Elements, MemberError, check, members};

use super::scan::{End, begins_value, looks, skip_separators, value_end};
use super::{ONE_OBJECT, line_error};
use crate::DataError;

/// Values in JSON in the text of their file: nothing of them is built before it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    text: String,
    shape: Shape,
    len: usize,
}

/// How values stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// One on every line.
    Lines,
    /// One after the other, on one line or many.
    Values,
    /// As the elements of the list that begins here.
    List(usize),
}

/// A value in JSON, and the line that it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// From 1; in a list, the number of the element.
    pub line: usize,
    text: &'a [u8],
}

impl Records {
    /// The lines of a text that are not empty, each of which should be an object; a caller that asks for its keys learns whether it is.
    pub fn lines(text: String) -> Records {
        let len = lines(&text).count();
        Records { text, shape: Shape::Lines, len }
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
        let text = self.text.as_bytes();
        let in_list = match self.shape {
            Shape::List(start) => Elements::new(&text[start..]).ok(),
            _ => None,
        };
        let elements = in_list.into_iter().flatten().map_while(Result::ok);
        let elements = (1..).zip(elements).map(|(line, text)| Record { line, text });
        let in_lines = lines(if self.shape == Shape::Lines { &self.text } else { "" });
        let values = Values::new(if self.shape == Shape::Values { text } else { b"" });
        elements.chain(in_lines).chain(values.map_while(|(line, value)| Some(Record { line, text: value.ok()? })))
    }
}

fn lines(text: &str) -> impl Iterator<Item = Record<'_>> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(line, text)| Record { line, text: text.as_bytes() })
}

/// The values of a text that stand one after the other, with the lines that they begin on. What is between them is no value: spaces,
/// commas, comments, separators and marks. Ends with the first that is none, and says where it begins.
struct Values<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    is_over: bool,
}

impl<'a> Values<'a> {
    fn new(text: &'a [u8]) -> Values<'a> {
        Values { text, at: 0, line: 1, is_over: false }
    }

    fn go_to(&mut self, at: usize) {
        self.line += line_ends(&self.text[self.at..at]);
        self.at = at;
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = (usize, Result<&'a [u8], End>);

    fn next(&mut self) -> Option<Self::Item> {
        self.go_to(skip_separators(self.text, self.at));
        if self.is_over || self.at == self.text.len() {
            return None;
        }
        let (line, start) = (self.line, self.at);
        let end = value_end(self.text, start);
        match end {
            End::At(end) if begins_value(self.text[start]) => {
                self.go_to(end);
                Some((line, Ok(&self.text[start..end])))
            }
            _ => {
                self.is_over = true;
                Some((line, Err(end)))
            }
        }
    }
}

fn line_ends(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'\n').count()
}

impl<'a> Record<'a> {
    /// The text of the value of a key; of two with the same name the last.
    ///
    /// # Errors
    /// What is wrong with an object that is none, and a key that is not there.
    pub fn value(&self, key: &str) -> Result<&'a [u8], String> {
        if !self.text.starts_with(b"{") && !self.text.trim_ascii_start().starts_with(b"{") {
            return Err(format!("expected an object, found {}", self.kind()));
        }
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
        let value = self.value(key)?;
        sip_json::text(value).map_err(|error| match (Record { line: self.line, text: value }).kind() {
            "a text" => format!("{key}: {error}"),
            kind => format!("{key} is {kind}, expected a text in quotes"),
        })
    }

    /// What it says as a document: its `text`, or all of it where it is a text itself.
    ///
    /// # Errors
    /// Those of [`Record::text`].
    pub fn document(&self) -> Result<Cow<'a, str>, String> {
        match self.kind() {
            "a text" => sip_json::text(self.text).map_err(|error| error.to_string()),
            _ => self.text("text"),
        }
    }

    /// What kind of value it is, in words.
    pub fn kind(&self) -> &'static str {
        match self.text.trim_ascii_start().first() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') => "a text",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    /// The first of its keys that holds a list or an object.
    pub(super) fn key_of_more(&self) -> Option<String> {
        let mut found = None;
        let _ = members::<MemberError>(self.text, |name, value| {
            if found.is_none() && (value.starts_with(b"[") || value.starts_with(b"{")) {
                found = Some(name.into_owned());
            }
            Ok(true)
        });
        found
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

/// The records of a text that is JSON; any other text comes back.
pub(super) fn records(path: &Path, mut text: String, is_cut: bool) -> Result<Result<Records, String>, DataError> {
    let is_called_json = is_called_json(path);
    let start = skip_separators(text.as_bytes(), 0);
    let Some(&first) = text.as_bytes().get(start) else {
        let is_json = is_called_json || text.contains('\u{1e}');
        return if is_json { Err(DataError::Empty { path: path.to_owned() }) } else { Ok(Err(text)) };
    };
    if !is_called_json && !begins_value(first) {
        return Ok(Err(text));
    }
    let is_list = first == b'[';
    let found = if is_list { list(&text, start, is_cut) } else { None };
    let is_in_list = found.is_some();
    let found = found.unwrap_or_else(|| values(&text, is_cut));
    // Numbers in brackets, quoted words and a pair of braces are JSON, and are texts as well.
    let is_meant = || is_called_json || is_json_alone(&text[start..], start > 0);
    match found {
        Ok(Read { objects: 1, len: 1, shape: Shape::Values, end }) if text[start..end].contains('\n') && is_meant() => {
            Err(DataError::NotText { path: path.to_owned(), what: ONE_OBJECT.to_owned() })
        }
        Ok(Read { len: 0, .. }) if is_called_json => Err(DataError::Empty { path: path.to_owned() }),
        Ok(read) if is_meant() => {
            text.truncate(read.end);
            if is_cut && is_list && read.shape != Shape::Values {
                text.push(']');
            }
            Ok(Ok(Records { text, shape: read.shape, len: read.len }))
        }
        Err(wrong) if is_called_json || is_broken_json(&text, start) => {
            let all = if is_in_list { Ok(()) } else { wrong_lines(path, &text, is_cut) };
            Err(all.err().unwrap_or_else(|| line_error(path, wrong.line, wrong.reason)))
        }
        _ => Ok(Err(text)),
    }
}

/// What was read of a text.
struct Read {
    shape: Shape,
    len: usize,
    /// Of them, objects.
    objects: usize,
    /// Where the last of them ends.
    end: usize,
}

/// What is wrong with a text that is no JSON.
struct Wrong {
    line: usize,
    reason: String,
}

/// Every line of a text that is no value, if lines are what its values stand on.
fn wrong_lines(path: &Path, text: &str, is_cut: bool) -> Result<(), DataError> {
    let mut bad = Vec::new();
    let mut numbered = (1..).zip(if are_lines(text) { text } else { "" }.lines()).peekable();
    while let Some((number, line)) = numbered.next() {
        let line = &line.as_bytes()[skip_separators(line.as_bytes(), 0)..];
        // The limit may have cut the last line.
        let is_last_of_cut = is_cut && numbered.peek().is_none();
        let wrong = if line.is_empty() || is_last_of_cut { None } else { wrong_with(without_comma(line)) };
        bad.extend(wrong.map(|(_, reason)| line_error(path, number, reason)));
        if DataError::are_enough(&bad) {
            break;
        }
    }
    DataError::all(bad)
}

/// What is wrong with a value, and how many lines below its first.
fn wrong_with(value: &[u8]) -> Option<(usize, String)> {
    match check(value) {
        Ok(()) => None,
        Err(MemberError::Json(error)) => {
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            let reason = format!("it is no JSON: {said} at column {}: mend it, or leave it out", error.column());
            Some((error.line().saturating_sub(1), reason))
        }
        Err(error) => Some((0, format!("it is no JSON: {error}"))),
    }
}

/// Whether a text begins a value that its end cuts off, and is right up to there.
fn is_begun(text: &[u8]) -> bool {
    matches!(check(text), Err(MemberError::Json(error)) if error.is_eof())
}

/// The list that begins at `start` and is all that there is; nothing where something else follows it.
fn list(text: &str, start: usize, is_cut: bool) -> Option<Result<Read, Wrong>> {
    let bytes = text.as_bytes();
    let mut read = Read { shape: Shape::List(start), len: 0, objects: 0, end: start + 1 };
    let wrong = |at: usize, reason: String| Some(Err(Wrong { line: 1 + line_ends(&bytes[..at]), reason }));
    if let End::At(end) = value_end(bytes, start)
        && skip_separators(bytes, end) < bytes.len()
    {
        return None;
    }
    let space = |at: usize| at + bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut at = space(start + 1);
    if bytes.get(at) == Some(&b']') {
        read.end = at + 1;
        return Some(Ok(read));
    }
    loop {
        let end = value_end(bytes, at);
        let stop = match end {
            End::At(stop) => stop,
            _ => bytes.len(),
        };
        // A number at the end may be half of one.
        if is_cut && (at == bytes.len() || space(stop) == bytes.len()) {
            let is_whole = at == bytes.len() || is_begun(&bytes[at..]) || check(&bytes[at..stop]).is_ok();
            return if is_whole && read.len > 0 { Some(Ok(read)) } else { wrong(at, unfinished(bytes, at, read.len)) };
        }
        if let Some((lines, said)) = wrong_with(&bytes[at..stop]) {
            let line = 1 + line_ends(&bytes[..at]) + lines;
            return Some(Err(Wrong { line, reason: format!("element {} of the list: {said}", read.len + 1) }));
        }
        read.len += 1;
        read.objects += usize::from(bytes[at] == b'{');
        read.end = stop;
        at = space(stop);
        match bytes.get(at) {
            Some(b',') => at = space(at + 1),
            Some(b']') => {
                read.end = at + 1;
                return Some(Ok(read));
            }
            _ => {
                let reason =
                    format!("the list does not end behind element {}: a comma or a bracket is missing", read.len);
                return wrong(at.min(bytes.len()), reason);
            }
        }
    }
}

/// Why nothing was read of a text that was cut.
fn unfinished(text: &[u8], at: usize, read: usize) -> String {
    let bytes = text.len();
    match wrong_with(&text[at..]) {
        Some((_, reason)) if !is_begun(&text[at..]) => reason,
        _ if read > 0 => format!("record {} does not end within the {bytes} bytes that are used", read + 1),
        _ => format!(
            "the first record does not end within the {bytes} bytes that are used: use more bytes, or give its parts as records of their own"
        ),
    }
}

/// The values of a text that stand one after the other and are all that there is.
fn values(text: &str, is_cut: bool) -> Result<Read, Wrong> {
    let mut read = Read { shape: Shape::Values, len: 0, objects: 0, end: 0 };
    let bytes = text.as_bytes();
    let mut values = Values::new(bytes);
    while let Some((line, value)) = values.next() {
        let rest = &bytes[values.at..];
        match value {
            Ok(value) => {
                if let Some((lines, reason)) = wrong_with(value) {
                    return Err(Wrong { line: line + lines, reason });
                }
                read.len += 1;
                read.objects += usize::from(value.starts_with(b"{"));
                read.end = values.at;
            }
            // The limit may have cut the last value.
            Err(End::Open) if is_cut && is_begun(rest) && read.len > 0 => return Ok(read),
            Err(End::Open) if is_cut => return Err(Wrong { line, reason: unfinished(bytes, values.at, read.len) }),
            Err(_) => {
                let (lines, reason) = wrong_with(rest).unwrap_or((0, "expected an object".to_owned()));
                return Err(Wrong { line: line + lines, reason });
            }
        }
    }
    Ok(read)
}

/// Whether a text that is JSON all over, under any name, is meant as such: what is a list of numbers, a quoted sentence or `{}` is a text
/// as well. `is_marked` where comments or marks stand before it.
fn is_json_alone(text: &str, is_marked: bool) -> bool {
    if text.starts_with('"') {
        // Of a single one nobody can tell; several on a line are a table.
        let mut lines =
            text.lines().map(|line| without_comma(line.as_bytes().trim_ascii())).filter(|line| !line.is_empty());
        let are_alone = lines.clone().all(|line| line.starts_with(b"\"") && check(line).is_ok());
        return are_alone && (lines.nth(1).is_some() || is_marked);
    }
    looks(text.as_bytes())
}

/// Whether a text that is no JSON was meant to be: its beginning is JSON that goes wrong, or most of its lines are.
fn is_broken_json(text: &str, start: usize) -> bool {
    let rest = &text.as_bytes()[start..];
    match value_end(rest, 0) {
        // A value of JSON with something else behind it: an example in a text, or one of many.
        End::At(end) if check(&rest[..end]).is_ok() => are_lines(text) || looks(&rest[skip_separators(rest, end)..]),
        _ => are_lines(text) || looks(rest) || ends_as_it_begins(rest),
    }
}

/// Whether more than half of the lines of a text look like values; all of them, where it begins with something that may be a heading or
/// a sentence.
fn are_lines(text: &str) -> bool {
    let (mut all, mut such) = (0usize, 0usize);
    for line in text.lines() {
        let line = line.as_bytes();
        let line = &line[skip_separators(line, 0)..];
        if line.is_empty() {
            continue;
        }
        all += 1;
        let is_text = line.starts_with(b"\"") && check(without_comma(line)).is_ok();
        such += usize::from(is_text || looks(line) || ends_as_it_begins(line));
    }
    let first = text.trim_start_matches(|char: char| char.is_whitespace() || matches!(char, '\u{feff}' | '\u{1e}'));
    if first.starts_with(['{', '[']) { 2 * such > all } else { all > 0 && such == all }
}

fn without_comma(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii_end();
    line.strip_suffix(b",").unwrap_or(line)
}

/// Whether a text begins with a bracket and a quote and ends with both.
fn ends_as_it_begins(text: &[u8]) -> bool {
    let inner = |open: u8, close: u8| -> Option<&[u8]> {
        let inner = without_comma(text).strip_prefix(&[open])?.strip_suffix(&[close])?;
        Some(inner.trim_ascii())
    };
    let ends = |text: &[u8], with: &[u8]| text.last().is_some_and(|last| with.contains(last));
    inner(b'[', b']').is_some_and(|inner| inner.starts_with(b"\"") && ends(inner, b"\""))
        || inner(b'{', b'}')
            .is_some_and(|inner| (inner.starts_with(b"\"") || inner.starts_with(b"'")) && inner.contains(&b':'))
}

fn is_called_json(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let bare = name.trim_end_matches(".gz").trim_end_matches(".zst").trim_end_matches(".txt");
    [".json", ".jsonl", ".ndjson", ".jsonlines", ".ldjson", ".jsonc"].iter().any(|ending| bare.ends_with(ending))
}
