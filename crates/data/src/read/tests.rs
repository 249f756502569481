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
        ("a.txt", b"abc\0def", "no text: it has bytes of zero"),
        ("a.txt", b"\xff\xfe\0\0a\0\0\0", "utf-32"),
        ("a.txt", b"%PDF-1.4\n", "pdftotext"),
        ("a.txt", b"PK\x03\x04abc", "office document or a zip"),
        ("a.txt", b"\xfd7zXZ\0abc", "gzip or zstd, which are read"),
        ("a.txt", b"BZh91AY&SYabc", "gzip or zstd, which are read"),
        ("a.txt", b"\x04\x22\x4d\x18abc", "gzip or zstd, which are read"),
        ("a.txt", b"PAR1\0abc", "JSON lines"),
        ("a.txt", b"ARROW1\0\0abc", "JSON lines"),
        ("a.txt", b"{\\rtf1 a}", "plain text"),
        ("a.txt", b"ab\xff", "not UTF-8 at byte 2"),
        ("a.txt", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.txt", b"\xef\xbb\xbf \n", "is empty"),
        ("a.jsonl", b"{\"text\": \"a\"}\n{\"text\": \n", "line 2"),
        ("a.json", b"{\n \"text\": \"a\"\n}", "expected an object on every line"),
        ("a.jsonl", b"{\"text\": ", "line 1"),
        ("a.gz", b"\x1f\x8b\x08\0", "a.gz is a packed file that is cut off or damaged"),
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

fn documents(name: &str, text: &str) -> Result<Vec<String>, String> {
    let mut found = Err(String::new());
    in_file(name, text.as_bytes(), |path| {
        let read = read(path, 1000).and_then(|file| file.documents(path));
        found = read.map(|read| read.iter().map(str::to_owned).collect()).map_err(|error| error.to_string());
    });
    found
}

const NAMES: [&str; 5] = ["a.json", "a.jsonl", "a.txt", "a.md", "a"];

#[test]
fn json_is_read_as_its_records_however_it_stands_and_whatever_its_name_is() {
    for text in [
        // Lists of texts, and texts on lines.
        r#"["a\nb", "c"]"#,
        "[\n  \"a\\nb\",\n  \"c\"\n]\n",
        "\"a\\nb\"\n\"c\"\n",
        // Objects over several lines, one after the other; all on one line; with old line ends; with commas.
        "{\n \"text\": \"a\\nb\"\n}\n{\n \"text\": \"c\"\n}\n",
        r#"{"text": "a\nb"}{"text": "c"}"#,
        "{\"text\": \"a\\nb\"}\r{\"text\": \"c\"}\r",
        "{\"text\": \"a\\nb\"},\n{\"text\": \"c\"},\n",
        // Behind comments, separators and marks, and with them between.
        "// made by hand\n{\"text\": \"a\\nb\"}\n{\"text\": \"c\"}\n",
        "# made by hand\n# twice\n\n{\"text\": \"a\\nb\"}\n# more\n{\"text\": \"c\"}\n",
        "/* made\nby hand */\n[{\"text\": \"a\\nb\"}, {\"text\": \"c\"}]\n// end",
        "\u{1e}{\"text\": \"a\\nb\"}\n\u{1e}{\"text\": \"c\"}\n",
        "{\"text\": \"a\\nb\"}\n\u{feff}{\"text\": \"c\"}\n",
        " \n [ {\"text\": \"a\\nb\", \"more\": [1, {}]}, \"c\" ] \n",
    ] {
        for name in NAMES {
            assert_eq!(documents(name, text), Ok(vec!["a\nb".to_owned(), "c".to_owned()]), "{name}: {text}");
        }
    }
}

#[test]
fn json_that_is_broken_or_says_no_text_is_refused_with_the_line_whatever_its_name_is() {
    let list = r#"[{"prompt": "a", "response": "b"}, {"prompt": "c", "response": "d"}]"#;
    let pretty = "[\n {\"text\": \"a\"},\n {\"text\": \"b\"}\n]";
    for (text, words) in [
        (list[..list.len() - 1].to_owned(), "line 1"),
        (list.replacen("\"b\"", "\"b", 1), "line 1"),
        (list.replacen("\"b\"", "b\"", 1), "line 1"),
        (list.replacen('}', "", 1), "line 1"),
        (list.replacen("}, {", "} {", 1), "line 1"),
        (list.replace("]", ",]"), "line 1"),
        (pretty[..pretty.len() - 2].to_owned(), "bracket is missing"),
        (pretty.replace("\"b\"", "\"b"), "line 3"),
        (pretty.replace("\"b\"", "b"), "line 3"),
        ("{\"text\": \"a\"}\n{\"text\": \"b}\n{\"text\": \"c\"}\n".to_owned(), "line 2"),
        ("{\"text: \"a\"}\n{\"text\": \"b\"}\n{\"text\": \"c\"}\n".to_owned(), "line 1"),
        ("{\n \"text\": \"a\"\n}\n{\n \"text\": \"b\n}\n".to_owned(), "line 5"),
        ("// c\n{\n \"text\": \"a\"\n}\n{\n \"text\": \"b\n}\n".to_owned(), "line 6"),
        ("# c\n[\n {\"text\": \"a\"},\n {\"text\": \"b}\n]\n".to_owned(), "line 4"),
        ("[\"text one\", \"text two, \"text three\"]".to_owned(), "line 1"),
        ("[\"a\", \"b\"]\n[\"c\", \"d\"]\n".to_owned(), "line 1: expected {\"text\": …}, found a list"),
        ("[[\"a\", \"b\"], [\"c\", \"d\"]]".to_owned(), "found a list"),
        ("{\"data\": [{\"text\": \"a\"}]}".to_owned(), "the records are those of data"),
        ("{\n \"data\": [{\"text\": \"a\"}]\n}".to_owned(), "expected an object on every line"),
        ("{\"text\": [\"a\", \"b\"]}".to_owned(), "text is a list"),
        ("{\"text\": \"a\"}\n{\"text\": null}".to_owned(), "line 2: text is null"),
        ("{\"text\": \"a\"}\n{\"text\": 5}".to_owned(), "line 2: text is a number"),
        ("{'text': 'a'}\n{'text': 'b'}\n".to_owned(), "line 1"),
    ] {
        for name in NAMES {
            let said = documents(name, &text).expect_err(&text);
            assert!(said.contains(words) && said.contains(name), "{name}: {text}: {said}");
        }
    }
    for text in ["a text", "[1, 2]", "{}", "[x](y)", "[", "{", "5\n6\n"] {
        assert!(documents("a.json", text).is_err(), "{text}");
    }
}

#[test]
fn texts_that_begin_as_json_does_stay_texts() {
    for text in [
        "[link](x) is a link.\n[other](y)\n",
        "[1] A note.\n[2] Another.\n",
        "[ ] to do\n[x] done\n",
        "[section]\nkey = \"value\"\n",
        "[[Wiki link]] and more",
        "[12:30] <bob> hi\n[12:31] <eve> ho\n",
        "{\n  code();\n}\n",
        "{{ \"template\" }} and {% x %}",
        "{\\bf x} is bold {\\it y}.",
        "{\"u}ber alles {\"u}",
        "{\"use strict\"; f()}\n",
        "{\"a\": 1}\nis an object in JSON.\n",
        "{\"a\": 1}\nis an object.\nMore text.\n{\"b\": 2}\nis another.\n",
        "{\"name\": value} is what a template looks like",
        "[\"Quoted\" words]",
        "[\"Quoted words\"] he wrote.\nAnd so on.\n",
        "[1, 2]",
        "{}",
        "\"Yes,\" he said.\n\"No,\" she said.\n",
        "\"Yes.\"",
        "\"a\",\"b\"\n\"c\",\"d\"\n",
        "# A heading\n\nWords.\n\n{\"a\": 1}\n",
        "# A heading\n{\"a\": 1}\nis an object.\n",
        "#include <a.h>\n{\n}\n",
        "// code\nfn f() { [1, 2] }\n",
        "# only a heading\n",
        "let x = {\"a\": 1};\n",
        "- {\"a\": 1}\n",
    ] {
        for name in ["a.txt", "a.md", "a", "a.py"] {
            assert_eq!(documents(name, text), Ok(vec![text.to_owned()]), "{name}: {text}");
        }
    }
}

#[test]
fn json_that_is_cut_is_read_as_far_as_it_goes() {
    let texts: Vec<String> = (0..9).map(|number| format!("text \"{number}\" é")).collect();
    let objects: Vec<serde_json::Value> =
        texts.iter().map(|text| serde_json::json!({ "text": text, "n": 5 })).collect();
    let lines: Vec<String> = objects.iter().map(|object| object.to_string() + "\n").collect();
    let pretty: Vec<String> = objects.iter().map(|object| format!("{object:#}\n")).collect();
    let list = |value: &[serde_json::Value]| serde_json::Value::from(value.to_vec());
    let quoted: Vec<serde_json::Value> = texts.iter().map(|text| text.as_str().into()).collect();
    for text in [
        list(&objects).to_string(),
        format!("{:#}", list(&objects)),
        list(&quoted).to_string(),
        format!("// c\n{:#}", list(&quoted)),
        lines.concat(),
        pretty.concat(),
        pretty.concat().replace('\n', ""),
    ] {
        for name in NAMES {
            in_file(name, text.as_bytes(), |path| {
                let mut most = 0;
                for limit in 0..text.len() {
                    let Ok(read) = read(path, limit).and_then(|file| file.documents(path)) else {
                        assert_eq!(most, 0, "{limit} of {text}");
                        continue;
                    };
                    let found: Vec<&str> = read.iter().collect();
                    if found.iter().any(|found| found.contains(['{', '[', '/'])) || found.is_empty() {
                        // So short that nobody can tell yet.
                        assert!(most == 0 && limit < 40, "{limit} of {text}: {found:?}");
                        continue;
                    }
                    assert!(found.len() >= most && found == texts[..found.len()], "{limit} of {text}: {found:?}");
                    most = found.len();
                }
                assert!(most >= 8, "{text}");
            });
        }
    }
    // What is broken before the cut is no cut.
    in_file("a.json", br#"[{"text": "a"}, {"text": "b", {"text": "c"}, {"text": "d"}]"#, |path| {
        let said = read(path, 50).unwrap_err().to_string();
        assert!(said.contains("line 1: it is no JSON: key must be a string"), "{said}");
    });
}
