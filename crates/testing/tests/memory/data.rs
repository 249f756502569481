//! Files of records take no more than four bytes of memory a byte, whatever is in them: measured.

use std::fs;
use std::io::Write;

use crate::counted::*;
use sip_data::Corpus;
use sip_data::read::{read, read_records};

/// What a measurement may be off, and buffers.
const FLOOR_BYTES: usize = 256 << 10;
const LIMIT_BYTES: usize = 1 << 30;

#[test]
fn records_take_at_most_four_bytes_of_memory_a_byte_of_their_file() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.jsonl");
    let mut texts = hostile_lines("\"text\":\"a\"");
    let honest = format!("{{\"text\": \"{}\", \"id\": 7}}\n", "The house of the people. ".repeat(80));
    texts.push(("documents of two kilobytes".to_owned(), honest.repeat(LARGE / honest.len())));
    for (name, text) in texts {
        fs::write(&path, &text).unwrap();
        let (result, peak) =
            peak_bytes(|| read(&path, LIMIT_BYTES).and_then(|file| file.documents(&path)).map(|found| found.len()));
        let said = result.map_or_else(|error| error.to_string(), |count| format!("{count} documents"));
        assert_bounded(&name, text.len(), peak, FLOOR_BYTES, &said);
        let (result, peak) = peak_bytes(|| Corpus::read(std::slice::from_ref(&path), LIMIT_BYTES).map(|_| ()));
        let said = result.map_or_else(|error| error.to_string(), |()| "a corpus".to_owned());
        assert_bounded(&format!("corpus: {name}"), text.len(), peak, FLOOR_BYTES, &said);
        let (result, peak) = peak_bytes(|| {
            read_records(&path, LIMIT_BYTES, "records")
                .map(|records| records.iter().filter(|record| record.text("x").is_ok()).count())
        });
        let said = result.map_or_else(|error| error.to_string(), |count| format!("{count} with x"));
        assert_bounded(&format!("one key: {name}"), text.len(), peak, FLOOR_BYTES, &said);
    }
}

#[test]
fn a_packed_file_is_bounded_by_what_it_is_read_up_to() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.jsonl.gz");
    let mut packed = flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), flate2::Compression::fast());
    for _ in 0..LARGE / 3 {
        packed.write_all(b"{\"text\":\"a\"}\n").unwrap();
    }
    packed.finish().unwrap();
    let limit = 1 << 20;
    let (result, peak) =
        peak_bytes(|| read(&path, limit).and_then(|file| file.documents(&path)).map(|found| found.len()));
    assert_bounded("a packed file", limit, peak, FLOOR_BYTES, &format!("{} documents", result.unwrap()));
}

#[test]
fn a_text_of_a_large_file_is_in_memory_once() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.txt");
    fs::write(&path, "line of a text\r\n".repeat(LARGE / 16)).unwrap();
    let (result, peak) = peak_bytes(|| read(&path, LIMIT_BYTES).and_then(|file| file.documents(&path)));
    assert_eq!(result.unwrap().iter().next().unwrap().len(), LARGE / 16 * 15);
    assert!(peak <= LARGE + LARGE / 16 + FLOOR_BYTES, "{peak}");
}
