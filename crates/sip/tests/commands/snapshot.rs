//! What commands say, kept as text: a change of words is seen in review, and made with `SIP_WRITE=1 cargo test -p sip`.

use std::path::Path;

/// Compares a text with the one that is kept under a name, or keeps it where the variable `SIP_WRITE` is set.
pub(crate) fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("SIP_WRITE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines = kept.lines().zip(text.lines()).enumerate();
    let differs = lines.find(|(_, (kept, new))| kept != new);
    let (kept_lines, new_lines) = (kept.lines().count(), text.lines().count());
    let (number, kept, new) = match differs {
        Some((number, (kept, new))) => (number + 1, kept.to_owned(), new.to_owned()),
        None if kept_lines == new_lines => return,
        None => (kept_lines.min(new_lines) + 1, format!("{kept_lines} lines"), format!("{new_lines} lines")),
    };
    panic!(
        "{name}, line {number}: kept is\n{kept}\nand now it is\n{new}\nrun the test with SIP_WRITE=1 to keep what it is now"
    );
}

/// What stands on a terminal in the end, line by line.
pub(crate) fn screen(written: &str) -> Vec<String> {
    let (mut lines, mut column) = (vec![Vec::<char>::new()], 0);
    let mut characters = written.chars().peekable();
    while let Some(character) = characters.next() {
        let line = lines.last_mut().unwrap();
        match character {
            '\r' => column = 0,
            '\n' => {
                lines.push(Vec::new());
                column = 0;
            }
            '\x1b' => {
                // A sequence ends with a letter; "K" clears what is right of the cursor.
                let end = characters.find(char::is_ascii_alphabetic);
                if end == Some('K') {
                    line.truncate(column);
                }
            }
            character => {
                line.resize(line.len().max(column + 1), ' ');
                line[column] = character;
                column += 1;
            }
        }
    }
    lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned()).collect()
}

/// The kinds of a JSON value: keys, and text, number, truth or nothing for what they hold; of a list the first element.
pub(crate) fn shape(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) => "truth".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "text".into(),
        Value::Array(list) => list.first().map_or("[]".into(), |first| format!("[{}]", shape(first))),
        Value::Object(object) => {
            let mut fields: Vec<String> =
                object.iter().map(|(key, value)| format!("{key}: {}", shape(value))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

#[test]
fn a_screen_shows_what_was_not_taken_away() {
    assert_eq!(screen("a bar 1/2\r\x1b[Kline\r\nab\rc"), ["line", "cb"]);
}
