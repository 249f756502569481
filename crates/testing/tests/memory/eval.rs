//! Files of questions take no more than four bytes of memory a byte, whatever is in them: measured.

use std::fs;

use crate::counted::*;
use sip_eval::Questions;

/// What a measurement may be off, and buffers.
const FLOOR_BYTES: usize = 256 << 10;

#[test]
fn questions_take_at_most_four_bytes_of_memory_a_byte_of_their_file() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("questions.jsonl");
    let mut texts = hostile_lines("\"context\":\"\",\"choices\":[\"a\",\"b\"],\"answer\":0,\"more\":\"\"");
    for value in hostile_values() {
        let start: String = value.chars().take(12).collect();
        for (key, line) in [
            ("context", format!("{{\"context\":{value},\"choices\":[\"a\",\"b\"],\"answer\":0}}")),
            ("choices", format!("{{\"context\":\"\",\"choices\":{value},\"answer\":0}}")),
            ("answer", format!("{{\"context\":\"\",\"choices\":[\"a\",\"b\"],\"answer\":{value}}}")),
        ] {
            texts.push((format!("{key} {start}"), line));
        }
    }
    let many = format!("{{\"context\":\"\",\"choices\":{},\"answer\":0}}\n", list("\"a\"", 3900));
    texts.push(("many choices".to_owned(), many.repeat(LARGE / many.len())));
    for (name, text) in texts {
        fs::write(&path, &text).unwrap();
        let (result, peak) = peak_bytes(|| Questions::load(&path).map(|questions| questions.iter().count()));
        let said = result.map_or_else(|error| error.to_string(), |count| format!("{count} questions"));
        assert_bounded(&name, text.len(), peak, FLOOR_BYTES, said.rsplit(": ").next().unwrap_or_default());
    }
}
