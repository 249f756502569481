//! A text within its quotes, put together in a place of just its size.

use std::borrow::Cow;

use serde::de::Error as _;

/// The text that `quoted` stands for, quotes included. It is copied only where it has escapes, and then into memory that is asked for
/// once: a parser takes three times as much.
///
/// # Errors
/// Something else than a text in JSON.
pub fn text(quoted: &[u8]) -> serde_json::Result<Cow<'_, str>> {
    let wrong = |at: usize| serde_json::Error::custom(format!("expected a text, found something else at byte {at}"));
    let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).ok_or_else(|| wrong(0))?;
    let inner = std::str::from_utf8(inner).map_err(|error| wrong(1 + error.valid_up_to()))?;
    if let Some(at) = inner.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        if inner.as_bytes()[at] != b'\\' {
            return Err(wrong(1 + at));
        }
    } else {
        return Ok(Cow::Borrowed(inner));
    }
    // No escape is longer than what it is written as.
    let mut whole = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        whole.push_str(&rest[..at]);
        let (char, length) = escaped(&rest[at..]).ok_or_else(|| wrong(1 + inner.len() - rest.len() + at))?;
        whole.push(char);
        rest = &rest[at + length..];
    }
    whole.push_str(rest);
    Ok(Cow::Owned(whole))
}

/// The character that a text begins with as an escape, and the length of it.
fn escaped(text: &str) -> Option<(char, usize)> {
    let byte = *text.as_bytes().strip_prefix(b"\\")?.first()?;
    Some(match byte {
        b'"' | b'\\' | b'/' => (char::from(byte), 2),
        b'b' => ('\u{8}', 2),
        b'f' => ('\u{c}', 2),
        b'n' => ('\n', 2),
        b'r' => ('\r', 2),
        b't' => ('\t', 2),
        b'u' => {
            let first = unit(&text[2..])?;
            // Characters beyond the first 65,536 are two units (RFC 8259, section 7).
            let second = text[6..].strip_prefix("\\u").and_then(unit);
            let units = [Some(first), second.filter(|_| (0xD800..0xDC00).contains(&first))];
            let char = char::decode_utf16(units.into_iter().flatten()).next()?.ok()?;
            (char, 6 * char.len_utf16())
        }
        _ => return None,
    })
}

/// Four hexadecimal digits.
fn unit(text: &str) -> Option<u16> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(quoted: &[u8]) -> Option<String> {
        serde_json::from_slice(quoted).ok()
    }

    #[test]
    fn every_escape_is_what_the_parser_makes_of_it() {
        for inner in [
            "",
            "a",
            r#"\""#,
            r"\\",
            r"\/\b\f\n\r\t",
            r"\u0041",
            r"\u00e9\u20AC",
            r"\ud83d\ude00x",
            r"\ud83d",
            r"\ude00",
            r"\ud83dx",
            r"\ud83d\u0041",
            r"\u00g0",
            r"\u00",
            r"\",
            r"\x",
            "a\nb",
            r#"a"b"#,
            r"\u+041",
            "é\\n😀",
            r"\u0000",
        ] {
            let quoted = format!("\"{inner}\"");
            assert_eq!(text(quoted.as_bytes()).ok().map(Cow::into_owned), parsed(quoted.as_bytes()), "{inner}");
        }
        for other in ["", "\"", "1", "null", "\"a", "a\"", "[]"] {
            assert!(text(other.as_bytes()).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_the_text_that_the_parser_reads(
            inner in prop::collection::vec(prop::sample::select(b"\\\\\\\\uuudD8cCeE0019\"nx \xc3\xa9\n".to_vec()), 0..40),
        ) {
            let quoted = [b"\"", &inner[..], b"\""].concat();
            prop_assert_eq!(text(&quoted).ok().map(Cow::into_owned), parsed(&quoted));
        }
    }
}
