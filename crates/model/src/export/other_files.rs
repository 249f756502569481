//! Files that are something else than their place says, recognised by their first bytes before anything is parsed.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::{CONFIG_FILE, ExportError, INDEX_FILE, WEIGHTS_FILE, hugging_face::is_part};
use crate::lora::{ADAPTER_CONFIG_FILE, ADAPTER_FILE};

/// So much of a file is looked at.
const HEAD_BYTES: u64 = 512;

const CONVERT: &str = "a file of weights in Python's pickle format, which can run code and is never read: convert it, for example with \
                       transformers' save_pretrained(folder), which writes safetensors";

/// What a file is and what to do, if its first bytes say that it is something else than weights, a table or a text in JSON.
pub(crate) fn recognise(head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begins = |words: &str| text.len() >= words.len() && text[..words.len()].eq_ignore_ascii_case(words.as_bytes());
    if head.is_empty() {
        Some("empty: the download was cut off; fetch it again")
    } else if begins("version https://git-lfs") {
        Some(
            "a git-lfs pointer, which only names the file: fetch the file itself with \"git lfs pull\", or download it from its page",
        )
    } else if begins("<!doctype") || begins("<html") || begins("<?xml") {
        Some(
            "a web page: the download was answered by a page instead of the file; fetch it again, with a login if it needs one",
        )
    } else if head.starts_with(b"PK\x03\x04")
        || matches!(head, [0x80, 2..=5, b'c' | b'}' | b']' | b'(' | b'\x8a' | b'\x95', ..])
    {
        Some(CONVERT)
    } else if head.starts_with(b"GGUF") {
        Some("a GGUF file: name it itself as the model, without a folder around it")
    } else if head.starts_with(b"\x1f\x8b") || head.starts_with(b"\x28\xb5\x2f\xfd") || head.starts_with(b"BZh") {
        Some("a compressed file: unpack it first")
    } else if head.get(257..262) == Some(b"ustar") || head.starts_with(b"7z\xbc\xaf") || head.starts_with(b"\xfd7zXZ") {
        Some("an archive: unpack it first")
    } else if head.starts_with(b"\x89HDF") {
        Some("a file of TensorFlow or Keras: convert the weights to safetensors first")
    } else {
        None
    }
}

/// The first bytes of a file.
pub(crate) fn head(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut bytes));
    if read.is_err() {
        bytes.clear();
    }
    bytes
}

/// Refuses a file that is something else.
///
/// # Errors
/// [`ExportError::SomethingElse`]
pub(crate) fn refuse_other(path: &Path) -> Result<(), ExportError> {
    if !path.is_file() {
        return Ok(());
    }
    match recognise(&head(path)) {
        Some(what) => Err(ExportError::SomethingElse { path: path.to_owned(), what: what.to_owned() }),
        None => Ok(()),
    }
}

/// Why a folder without `config.json`, or without weights that are read, is no model, and what to do.
pub(crate) fn instead_of_model(folder: &Path) -> Option<ExportError> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    let has = |name: &str| names.iter().any(|found| found == name);
    let ending = |ending: &str| names.iter().find(|name| name.to_ascii_lowercase().ends_with(ending));
    let other = |what: String| Some(ExportError::SomethingElse { path: folder.to_owned(), what });
    let has_weights = has(WEIGHTS_FILE) || has(INDEX_FILE);
    if has(CONFIG_FILE) && has_weights {
        return None;
    }
    if !has(CONFIG_FILE) && folder.join("model").join(CONFIG_FILE).is_file() {
        return other(format!("a folder around a model: name {} instead", folder.join("model").display()));
    }
    if !has(CONFIG_FILE) && (has(ADAPTER_CONFIG_FILE) || has(ADAPTER_FILE)) {
        return other(
            "an adapter, and not a whole one: it needs adapter_config.json and adapter_model.safetensors".into(),
        );
    }
    if let Some(name) = ending(".gguf") {
        return other(format!("a folder of GGUF files: name one itself, such as {}", folder.join(name).display()));
    }
    if has(CONFIG_FILE) {
        if let Some(part) = names.iter().find(|name| is_part(name)) {
            return other(format!("a model in parts, such as {part}, without {INDEX_FILE}: fetch that file as well"));
        }
        if let Some(name) =
            names.iter().find(|name| name.ends_with(".bin") || name.ends_with(".pth") || name.ends_with(".pt"))
        {
            return other(format!("a folder with {name}, {CONVERT}"));
        }
        if let Some(name) = ending(".h5").or(ending(".msgpack")).or(ending(".onnx")) {
            return other(format!("a folder with {name} and no safetensors: convert the weights first"));
        }
        if let Some(name) = ending(".safetensors") {
            return other(format!(
                "a folder whose weights are not called {WEIGHTS_FILE}, but {name}: rename them, or fetch {INDEX_FILE}"
            ));
        }
    } else if has("params.json") {
        return other(
            "a model in the layout of its authors (params.json): fetch its Hugging Face layout, which has config.json"
                .into(),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_something_else_are_recognised_with_a_remedy() {
        for (head, words) in [
            (&b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"[..], "git lfs pull"),
            (b"PK\x03\x04\x00\x00archive/data.pkl", "pickle"),
            (b"\x80\x02}q\x00", "pickle"),
            (b"\n<!DOCTYPE html><html>", "web page"),
            (b"GGUF\x03\x00\x00\x00", "GGUF"),
            (b"\x1f\x8b\x08", "unpack"),
            (b"", "empty"),
        ] {
            assert!(recognise(head).is_some_and(|what| what.contains(words)), "{words}");
        }
        for fine in [&b"{\"a\": 1}"[..], b"\x80\x02\x00\x00\x00\x00\x00\x00{\"", b"\x50\x00\x00\x00\x00\x00\x00\x00{\""]
        {
            assert_eq!(recognise(fine), None);
        }
    }
}
