//! The members of an object and the elements of a list, one by one, without building the values.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use thiserror::Error;

use crate::text::text;
use crate::weight::{DEPTH_MAX, Overweight, Weight, closing_quote};

/// Why an object or a list is not one.
#[derive(Debug, Error)]
pub enum MemberError {
    /// What stands at a place of the text.
    #[error("expected {expected} at byte {at}")]
    Expected {
        /// What should stand there.
        expected: &'static str,
        /// From 0.
        at: usize,
    },
    /// A key or a value.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Nested too deeply.
    #[error(transparent)]
    Overweight(#[from] Overweight),
}

/// A text, and how far it was read.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8]) -> Result<Reader<'a>, MemberError> {
        Weight::of(text).check_depth()?;
        Ok(Reader { text, at: 0 })
    }

    /// The next byte that is no space, which stays.
    fn peek(&mut self) -> Option<u8> {
        let is_space = |byte: u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        while self.text.get(self.at).is_some_and(|&byte| is_space(byte)) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), MemberError> {
        if self.eat(byte) { Ok(()) } else { Err(MemberError::Expected { expected, at: self.at }) }
    }

    fn end(&mut self) -> Result<(), MemberError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(MemberError::Expected { expected: "the end", at: self.at }),
        }
    }

    fn key(&mut self) -> Result<Cow<'a, str>, MemberError> {
        if self.peek() != Some(b'"') {
            return Err(MemberError::Expected { expected: "a key", at: self.at });
        }
        let end = closing_quote(self.text, self.at + 1);
        let quoted = &self.text[self.at..(end + 1).min(self.text.len())];
        self.at += quoted.len();
        Ok(text(quoted)?)
    }

    /// The text of a value: up to the comma or bracket behind it. The reader of the value finds what is wrong within it.
    fn value(&mut self) -> &'a [u8] {
        self.peek();
        let start = self.at;
        let mut depth = 0usize;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' => self.at = closing_quote(self.text, self.at + 1),
                b'{' | b'[' => depth += 1,
                b'}' | b']' | b',' if depth == 0 => break,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at = (self.at + 1).min(self.text.len());
        }
        self.text[start..self.at].trim_ascii_end()
    }
}

/// Calls `each` with every key of the object that `text` is, and the text of its value, in their order.
///
/// Values are not built; `each` reads those that it wants, others have to be JSON. A key may come twice.
///
/// # Errors
/// A text that is no object of JSON, and those of `each`.
pub fn members<'a, E: From<MemberError>>(
    text: &'a [u8],
    mut each: impl FnMut(Cow<'a, str>, &'a [u8]) -> Result<bool, E>,
) -> Result<(), E> {
    let mut reader = Reader::new(text)?;
    reader.expect(b'{', "an object")?;
    if !reader.eat(b'}') {
        loop {
            let key = reader.key()?;
            reader.expect(b':', "a colon")?;
            let value = reader.value();
            if !each(key, value)? {
                serde_json::from_slice::<IgnoredAny>(value).map_err(MemberError::from)?;
            }
            if !reader.eat(b',') {
                break;
            }
        }
        reader.expect(b'}', "a comma or the end of the object")?;
    }
    Ok(reader.end()?)
}

/// The texts of the elements of a list, one after the other. The reader of an element finds what is wrong within it.
///
/// Ends with the first error.
pub struct Elements<'a> {
    reader: Reader<'a>,
    /// Whether the list has ended.
    is_over: bool,
}

impl<'a> Elements<'a> {
    /// Those of the list that `text` is.
    ///
    /// # Errors
    /// A text that begins no list or is nested too deeply.
    pub fn new(text: &'a [u8]) -> Result<Elements<'a>, MemberError> {
        let mut reader = Reader::new(text)?;
        reader.expect(b'[', "a list")?;
        let is_over = reader.eat(b']');
        if is_over {
            reader.end()?;
        }
        Ok(Elements { reader, is_over })
    }

    fn advance(&mut self) -> Result<&'a [u8], MemberError> {
        let element = self.reader.value();
        if !self.reader.eat(b',') {
            self.is_over = true;
            self.reader.expect(b']', "a comma or the end of the list")?;
            self.reader.end()?;
        }
        Ok(element)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], MemberError>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.is_over).then(|| self.advance())
    }
}

/// Calls `each` with the text of every element of the list that `text` is.
///
/// # Errors
/// A text that is no list, and those of `each`.
pub fn elements<'a, E: From<MemberError>>(
    text: &'a [u8],
    mut each: impl FnMut(&'a [u8]) -> Result<(), E>,
) -> Result<(), E> {
    for element in Elements::new(text)? {
        each(element?)?;
    }
    Ok(())
}

const _: () = assert!(DEPTH_MAX < 128, "a parser goes no deeper");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn whole(text: &[u8]) -> Result<Vec<(String, Value)>, MemberError> {
        let mut found = Vec::new();
        members::<MemberError>(text, |key, value| {
            found.push((key.into_owned(), serde_json::from_slice(value)?));
            Ok(true)
        })?;
        Ok(found)
    }

    #[test]
    fn members_are_those_of_the_parser_in_their_order() {
        let text = br#" { "b\n" : [1, {"x": "}"}] , "a":null,"a" : "," } "#;
        let found = whole(text).unwrap();
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["b\n", "a", "a"]);
        assert_eq!(found[0].1, serde_json::json!([1, {"x": "}"}]));
        assert_eq!(whole(b"{}").unwrap(), []);
        let mut parts = Vec::new();
        elements::<MemberError>(b"[1, [2,3] ,\"]\"]", |part| {
            parts.push(part);
            Ok(())
        })
        .unwrap();
        assert_eq!(parts, [&b"1"[..], b"[2,3]", b"\"]\""]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in
            ["", "[]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1}x", "{\"a\":1 2}", "{\"a\":]}", "{a:1}"]
        {
            assert!(whole(bad.as_bytes()).is_err(), "{bad}");
        }
        let deep = ["{\"a\":", &"[".repeat(200), &"]".repeat(200), "}"].concat();
        assert!(matches!(whole(deep.as_bytes()), Err(MemberError::Overweight(_))));
        assert!(members::<MemberError>(b"{\"a\":nul}", |_, _| Ok(false)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_the_parser_reads_them(
            text in prop::collection::vec(prop::sample::select(b"{}[]\",:\\ a1n".to_vec()), 0..24),
        ) {
            let parser: Result<serde_json::Map<String, Value>, _> = serde_json::from_slice(&text);
            let own = whole(&text);
            prop_assert_eq!(own.is_ok(), parser.is_ok());
            if let (Ok(own), Ok(parser)) = (own, parser) {
                let own: serde_json::Map<String, Value> = own.into_iter().collect();
                prop_assert_eq!(own, parser);
            }
        }
    }
}
