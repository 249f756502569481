use std::borrow::Cow;
use std::io::Write;

use super::*;

fn in_file(name: &str, bytes: &[u8], test: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    test(&path);
}

fn content(name: &str, bytes: &[u8]) -> Result<Content, String> {
    let mut found = Err(String::new());
    in_file(name, bytes, |path| found = read(path, 1000).map(|file| file.content).map_err(|error| error.to_string()));
    found
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const LINES: &str = "{\"text\": \"a\"}\n\n{\"text\": \"b\", \"id\": 3}\n";

#[test]
fn json_lines_are_records_under_any_name_in_any_wrapping() {
    let (with_mark, windows) = (format!("\u{feff}{LINES}"), LINES.replace('\n', "\r\n"));
    let array = "[{\"text\": \"a\"},\n {\"text\": \"b\", \"id\": 3}]";
    for bytes in [LINES.as_bytes(), with_mark.as_bytes(), windows.as_bytes(), array.as_bytes()] {
        for packed in [bytes.to_vec(), gzip(bytes), zstd::bulk::compress(bytes, 1).unwrap()] {
            for name in ["a.jsonl", "a.json", "a.ndjson", "a.jsonl.txt", "a", "a.bin"] {
                let Ok(Content::Records(records)) = content(name, &packed) else { panic!("{name}") };
                let texts: Vec<Cow<'_, str>> = records.iter().map(|record| record.text("text").unwrap()).collect();
                assert_eq!(texts, ["a", "b"], "{name}");
            }
        }
    }
}

#[test]
fn a_text_is_the_same_with_a_mark_with_line_ends_of_windows_and_packed() {
    let plain = "naïve\n\n{ not JSON }\n[x]";
    for bytes in [plain.to_owned(), format!("\u{feff}{plain}"), plain.replace('\n', "\r\n")] {
        for packed in [bytes.clone().into_bytes(), gzip(bytes.as_bytes())] {
            assert_eq!(content("a.md", &packed), Ok(Content::Text(plain.to_owned())));
        }
    }
    for text in ["{ code }", "[1, 2]", "[x](y)", "{}", "{\n  text\n}"] {
        assert_eq!(content("a.txt", text.as_bytes()), Ok(Content::Text(text.to_owned())));
    }
}

#[test]
fn files_that_are_something_else_are_refused_with_what_they_are() {
    for (name, bytes, words) in [
        ("a.txt", &b"\xff\xfea\0"[..], "iconv"),
        ("a.txt", b"abc\0def", "no text"),
        ("a.txt", b"ab\xff", "not UTF-8 at byte 2"),
        ("a.txt", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.txt", b"\xef\xbb\xbf \n", "is empty"),
        ("a.jsonl", b"{\"text\": \"a\"}\n{\"text\": \n", "line 2"),
        ("a.json", b"{\n \"text\": \"a\"\n}", "expected an object on every line"),
        ("a.jsonl", b"{\"text\": ", "line 1"),
        ("a.gz", b"\x1f\x8b\x08\0", "a.gz"),
    ] {
        let said = content(name, bytes).unwrap_err();
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn what_is_cut_ends_with_a_whole_character_or_line() {
    in_file("a.txt", "aé€".as_bytes(), |path| {
        let file = read(path, 4).unwrap();
        assert_eq!((file.content, file.is_cut), (Content::Text("aé".into()), true));
    });
    in_file("a.jsonl", LINES.as_bytes(), |path| {
        let file = read(path, 20).unwrap();
        assert_eq!(file.documents(path).unwrap().iter().collect::<Vec<_>>(), ["a"]);
    });
}

#[test]
fn a_folder_is_read_with_all_below_it_and_what_is_bad_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("b/c")).unwrap();
    for (name, bytes) in
        [("a.md", &b"one"[..]), ("b/c/x.txt", b"two"), (".hidden", b"x"), ("b/e.txt", b""), ("z.bin", b"\0")]
    {
        fs::write(at(name), bytes).unwrap();
    }
    let found = read_all(folder.path(), 100).unwrap();
    let names: Vec<&Path> = found.files.iter().map(|(path, _)| path.strip_prefix(folder.path()).unwrap()).collect();
    assert_eq!(names, [Path::new("a.md"), Path::new("b/c/x.txt")]);
    assert_eq!(found.notes.len(), 3, "{:?}", found.notes);
    fs::write(at("l1.txt"), b"\xe9").unwrap();
    fs::write(at("l2.txt"), b"\xe9").unwrap();
    let said = read_all(folder.path(), 100).unwrap_err().to_string();
    assert!(said.contains("l1.txt") && said.contains("l2.txt") && said.contains("2 files"), "{said}");
}

#[test]
fn records_without_a_text_are_no_documents() {
    in_file("a.jsonl", b"{\"prompt\": \"a\", \"response\": \"b\"}", |path| {
        let said = read(path, 100).unwrap().documents(path).unwrap_err().to_string();
        assert!(said.contains("line 1") && said.contains("prompt, response") && said.contains("finetune"), "{said}");
    });
}
