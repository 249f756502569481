//! Nobody but this crate calls a parser of JSON.

use crate::counted::alone;
use std::fs;
use std::path::{Path, PathBuf};

/// What parses JSON and is called as it is, by file: the call, how often it stands there, and why it may.
const EXCEPTIONS: [(&str, &str, usize, &str); 5] = [
    (
        "crates/model/src/tokenizer/file.rs",
        "Deserializer::from_slice",
        2,
        "a vocabulary and its merges are visited one by one and counted before a table of that size is asked for",
    ),
    (
        "crates/model/src/tokenizer/file.rs",
        "serde_json::from_value",
        1,
        "a part of at most 64 KiB that was let in as a tree of values becomes the library's",
    ),
    (
        "crates/model/src/tokenizer/file.rs",
        "serde_json::from_slice",
        1,
        "one element of a list that is visited one by one: a text and a number",
    ),
    ("crates/train/src/lib.rs", "serde_json::from_value", 1, "settings that were let in as a tree of values"),
    (
        "benches/train/src/side.rs",
        "serde_json::from_str",
        1,
        "a line of a process that the benchmark itself started; no part of the program",
    ),
];

/// Where a parser begins: functions of `serde_json`, its deserializers, and what other crates do with it.
const CALLS: [&str; 9] = [
    "serde_json::from_",
    "serde_json::value::from_",
    "serde_json::de::",
    "Deserializer::from_",
    "StreamDeserializer",
    "parse::<Value>",
    "parse::<serde_json::Value>",
    "body_mut().read_json",
    "Value::from_str",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The sources below a folder, without tests, examples and what was built.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && !["target", "tests", "examples", "corpus", "seeds"].contains(&name.as_str()) {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// A file up to its tests, without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_source_calls_a_parser_of_json_beside_this_crate() {
    let _alone = alone();
    let root = root();
    let mut files = Vec::new();
    for folder in ["crates", "programs", "benches", "fuzz", "interop"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 200, "the sources are elsewhere: {} files", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        if name.starts_with("crates/json/") {
            continue;
        }
        for line in code(&path).lines() {
            let is_call = CALLS.iter().any(|call| line.contains(call));
            // A name that is brought in could be called without its path.
            let is_import = line.contains("use serde_json::") && line.contains("from_");
            let is_exception = EXCEPTIONS.iter().any(|(file, call, ..)| *file == name && line.contains(call));
            if (is_call || is_import) && !is_exception {
                wrong.push(format!("{name}: {}", line.trim()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "JSON is read with sip-json, which bounds what it takes (from_slice, fields_from_slice, records_from_slice, members, Elements, \
         text, lines):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_exception_is_still_one() {
    let _alone = alone();
    for (file, call, count, reason) in EXCEPTIONS {
        let code = code(&root().join(file));
        assert_eq!(code.matches(call).count(), count, "{file} and {call}, because: {reason}");
    }
}
