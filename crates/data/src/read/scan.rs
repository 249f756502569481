//! Where values in JSON begin and end in a text that may be no JSON.

/// Where a value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Here.
    At(usize),
    /// Nowhere: the text ends before.
    Open,
    /// Nowhere: a text in quotes has an end of a line.
    Broken,
}

/// What stands between values: RFC 7464 sets a record separator before each, and files that were joined have a mark within.
const MARKS: [&[u8]; 2] = [b"\x1e", "\u{feff}".as_bytes()];

/// Whether a value that can be a record begins with this byte.
pub(super) fn begins_value(byte: u8) -> bool {
    matches!(byte, b'{' | b'[' | b'"')
}

/// The first place from `at` on that is no space, comma, mark or comment; comments are whole lines.
pub(super) fn skip_separators(text: &[u8], mut at: usize) -> usize {
    let mut is_line_start = at == 0 || text[at - 1] == b'\n';
    while let Some(&byte) = text.get(at) {
        let rest = &text[at..];
        let length_to =
            |end: &[u8]| rest.windows(end.len()).position(|found| found == end).map(|found| found + end.len());
        if byte.is_ascii_whitespace() || byte == b',' {
            is_line_start |= byte == b'\n';
            at += 1;
        } else if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(mark)) {
            at += mark.len();
        } else if is_line_start && (byte == b'#' || rest.starts_with(b"//")) {
            at += length_to(b"\n").unwrap_or(rest.len());
        } else if is_line_start && rest.starts_with(b"/*") {
            at += length_to(b"*/").unwrap_or(rest.len());
        } else {
            return at;
        }
    }
    at
}

/// Where the value ends that begins at `at`: what has a bracket at its partner, of whatever kind.
pub(super) fn value_end(text: &[u8], mut at: usize) -> End {
    let is_in_brackets = matches!(text.get(at), Some(b'{' | b'['));
    let mut depth = 0usize;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => match quote_end(text, at) {
                End::At(end) if depth == 0 => return End::At(end),
                End::At(end) => at = end - 1,
                end => return end,
            },
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return End::At(at + 1);
                }
            }
            b'}' | b']' | b',' | b' ' | b'\n' | b'\r' | b'\t' if depth == 0 => return End::At(at),
            _ => {}
        }
        at += 1;
    }
    if is_in_brackets { End::Open } else { End::At(text.len()) }
}

/// Where the text ends whose quote is at `at`, behind its second quote.
fn quote_end(text: &[u8], at: usize) -> End {
    let mut place = at + 1;
    while let Some(&byte) = text.get(place) {
        match byte {
            b'\\' => place += 1,
            b'"' => return End::At(place + 1),
            b'\n' => return End::Broken,
            _ => {}
        }
        place += 1;
    }
    End::Open
}

/// Whether a text begins as JSON does and hardly anything else: an object with a key and the beginning of its value, a list of such, or a
/// list that begins with a whole text and goes on as one. `[link](x)`, `[1]`, `{code}` and `["Quoted" words]` do not.
pub(super) fn looks(text: &[u8]) -> bool {
    let mut at = 0;
    let mut depth = 0;
    loop {
        at += spaces(&text[at..]);
        match text.get(at) {
            Some(b'[') if depth < 8 => (at, depth) = (at + 1, depth + 1),
            Some(b'{') => {
                let rest = &text[at + 1..];
                let key = spaces(rest);
                let End::At(end) = (if rest.get(key) == Some(&b'"') { quote_end(rest, key) } else { End::Broken })
                else {
                    return false;
                };
                let colon = end + spaces(&rest[end..]);
                let value = rest.get(colon..).and_then(|rest| rest.strip_prefix(b":"));
                return value.is_some_and(|value| is_value(&value[spaces(value)..]));
            }
            Some(b'"') if depth > 0 => {
                let End::At(end) = quote_end(text, at) else { return false };
                let rest = &text[end + spaces(&text[end..])..];
                return match rest.first() {
                    None | Some(b']') => true,
                    Some(b',') => is_value(&rest[1 + spaces(&rest[1..])..]),
                    _ => false,
                };
            }
            _ => return false,
        }
    }
}

fn spaces(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Whether a value begins here, or the text has ended before.
fn is_value(text: &[u8]) -> bool {
    let word = |word: &[u8]| text.starts_with(word);
    match text.first() {
        None => true,
        Some(b'"' | b'{' | b'[' | b'0'..=b'9') => true,
        Some(b'-') => text.get(1).is_none_or(|next| next.is_ascii_digit() || *next == b'I'),
        _ => [&b"true"[..], b"false", b"null", b"NaN", b"Infinity"].into_iter().any(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_json_is_told_from_what_only_begins_with_a_bracket() {
        for json in [
            r#"{"a": 1"#,
            r#"{"a":"#,
            r#"[{"a": "b}"#,
            r#"["a", "b"#,
            r#"["a"]"#,
            "[ [\n{ \"a\" : nul",
            r#"[["a", 1]]"#,
            r#"{"a": {"#,
        ]
        .iter()
        .filter(|json| !json.ends_with("nul"))
        {
            assert!(looks(json.as_bytes()), "{json}");
        }
        for text in [
            "[link](x)",
            "[1] Note",
            "[1, 2]",
            "{}",
            "[]",
            "{code}",
            "{{ x }}",
            r#"{"u}ber"#,
            r#"["Quoted" words]"#,
            "[ ] to do",
            "[[Wiki]]",
            "{\\bf x}",
            r#"["a", b]"#,
            r#"{"name": value}"#,
            "\"Quoted\"",
            "[12:30] hi",
            r#"{"use strict"; x}"#,
            "[{:a 1}]",
            r#"{'a': 1}"#,
        ] {
            assert!(!looks(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_value_ends_at_its_partner() {
        for (text, end) in [
            ("{}x", End::At(2)),
            (r#"{"a}": [1, "\"]"]} x"#, End::At(18)),
            (r#""a\"b" x"#, End::At(6)),
            ("12, 3", End::At(2)),
            ("12", End::At(2)),
            ("[1, [2]", End::Open),
            (r#"["a"#, End::Open),
            ("[\"a\n\"]", End::Broken),
            ("]", End::At(0)),
        ] {
            assert_eq!(value_end(text.as_bytes(), 0), end, "{text}");
        }
        assert_eq!(skip_separators("\u{feff}// c\n# d\n/* e\n*/ ,\x1e{".as_bytes(), 0), 22);
        assert_eq!(skip_separators(b"a # b", 1), 2);
    }
}
