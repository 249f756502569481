//! What a text would take in memory, by the marks in it.

use thiserror::Error;

/// Lists and objects within each other at most: those that `serde_json` reads.
pub const DEPTH_MAX: usize = 127;
/// Bytes of memory that a byte of text may become, beside the text itself.
const FACTOR: usize = 3;

/// Of a tree of values: the first node of an object's keys.
const OBJECT_BYTES: usize = 640;
/// Of a tree of values: the first places of a list.
const LIST_BYTES: usize = 128;
/// Of a tree of values: one more element, while its list grows, or one more key with its share of a node.
const VALUE_BYTES: usize = 160;
/// Of fields: a list, whose first places are four.
const FIELD_LIST_BYTES: usize = 128;
/// Of fields: a number while its list grows.
const FIELD_BYTES: usize = 24;
/// Of fields: what a text has beside its letters, while its list grows.
const FIELD_TEXT_BYTES: usize = 48;

/// Of records: a name in a map of such, in nodes that are half full.
const RECORD_KEY_BYTES: usize = 48;

/// Why a text is not read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Overweight {
    /// It is small on the disk and large in memory.
    #[error(
        "its {text_bytes} bytes would take about {needed_bytes} bytes of memory, expected at most {allowed_bytes}: it holds far more values \
         than such files do"
    )]
    Memory {
        /// Of the text.
        text_bytes: usize,
        /// What it would take.
        needed_bytes: usize,
        /// What it may take.
        allowed_bytes: usize,
    },
    /// Lists and objects stand within each other.
    #[error("its lists and objects are {0} deep, expected at most {DEPTH_MAX}")]
    Depth(usize),
}

/// How many marks of each kind a text has; never fewer than a parser finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// `{` outside of texts.
    pub objects: usize,
    /// `[` outside of texts.
    pub lists: usize,
    /// `,` outside of texts.
    pub commas: usize,
    /// Texts, keys included.
    pub texts: usize,
    /// Texts before a colon.
    pub keys: usize,
    /// Bytes within the quotes of texts.
    pub text_bytes: usize,
    /// Bytes within the quotes of the longest text that has a backslash: a parser puts it together in a place of its own.
    pub escaped_bytes: usize,
    /// Lists and objects within each other at most.
    pub depth: usize,
}

impl Weight {
    /// Counts the marks of a text, which need not be JSON.
    pub fn of(text: &[u8]) -> Weight {
        let mut weight = Weight::default();
        let mut depth = 0usize;
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    let end = closing_quote(text, at);
                    weight.texts += 1;
                    weight.text_bytes += end - at;
                    if text[at..end].contains(&b'\\') {
                        weight.escaped_bytes = weight.escaped_bytes.max(end - at);
                    }
                    at = (end + 1).min(text.len());
                    let next = text[at..].iter().find(|byte| !byte.is_ascii_whitespace());
                    weight.keys += usize::from(next == Some(&b':'));
                }
                b'{' | b'[' => {
                    *(if byte == b'{' { &mut weight.objects } else { &mut weight.lists }) += 1;
                    depth += 1;
                    weight.depth = weight.depth.max(depth);
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' => weight.commas += 1,
                _ => {}
            }
        }
        weight
    }

    /// Bytes that the text takes at most while it becomes a tree of [`serde_json::Value`].
    pub fn values_bytes(&self) -> usize {
        sum(&[
            (self.objects, OBJECT_BYTES),
            (self.lists, LIST_BYTES),
            (self.commas, VALUE_BYTES),
            (self.text_bytes, 1),
            (self.escaped_bytes, 3),
        ])
    }

    /// Bytes that the text takes at most while it becomes a value of fields, lists and texts: keys are known and kept by nobody.
    pub fn fields_bytes(&self) -> usize {
        sum(&[
            (self.lists, FIELD_LIST_BYTES),
            (self.objects + self.commas, FIELD_BYTES),
            (self.texts - self.keys, FIELD_TEXT_BYTES),
            (self.text_bytes, 1),
            (self.escaped_bytes, 3),
        ])
    }

    /// As [`Weight::fields_bytes`], where names may be kept: as keys of maps within the fields.
    pub fn records_bytes(&self) -> usize {
        sum(&[(self.fields_bytes(), 1), (self.keys, RECORD_KEY_BYTES)])
    }

    /// # Errors
    /// [`Overweight::Depth`]
    pub fn check_depth(&self) -> Result<(), Overweight> {
        if self.depth > DEPTH_MAX { Err(Overweight::Depth(self.depth)) } else { Ok(()) }
    }
}

fn sum(terms: &[(usize, usize)]) -> usize {
    terms.iter().fold(0, |sum, &(count, bytes)| sum.saturating_add(count.saturating_mul(bytes)))
}

/// The place of the quote that ends the text which begins at `start`, or the end of everything.
pub(crate) fn closing_quote(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// What is left of the memory that a text may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    text_bytes: usize,
    allowed_bytes: usize,
    taken_bytes: usize,
}

impl Budget {
    /// Three bytes a byte of a text of `text_bytes`, and `floor_bytes`.
    pub fn new(text_bytes: usize, floor_bytes: usize) -> Budget {
        let allowed_bytes = text_bytes.saturating_mul(FACTOR).saturating_add(floor_bytes);
        Budget { text_bytes, allowed_bytes, taken_bytes: 0 }
    }

    /// Takes some of it, before it is asked of the system.
    ///
    /// # Errors
    /// [`Overweight::Memory`] where so much is not left.
    pub fn take(&mut self, bytes: usize) -> Result<(), Overweight> {
        self.taken_bytes = self.taken_bytes.saturating_add(bytes);
        let Budget { text_bytes, allowed_bytes, taken_bytes } = *self;
        if taken_bytes > allowed_bytes {
            return Err(Overweight::Memory { text_bytes, needed_bytes: taken_bytes, allowed_bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_within_texts_do_not_count_and_keys_are_told_apart() {
        let weight = Weight::of(br#"{"a,[{\"": ["b" , 1], "c\\":"}"}"#);
        let expected = Weight {
            objects: 1,
            lists: 1,
            commas: 2,
            texts: 4,
            keys: 2,
            text_bytes: 6 + 1 + 3 + 1,
            escaped_bytes: 6,
            depth: 2,
        };
        assert_eq!(weight, expected);
    }

    #[test]
    fn texts_that_are_cut_off_are_counted_to_their_end() {
        for text in [&b"\""[..], b"\"\\", b"\"a\\\"", b"{\"a\":[", b"", b"]]]]"] {
            let weight = Weight::of(text);
            assert!(weight.text_bytes <= text.len());
        }
    }

    #[test]
    fn a_budget_is_three_bytes_a_byte_and_the_floor() {
        let mut budget = Budget::new(10, 5);
        assert_eq!(budget.take(35), Ok(()));
        let refused = Overweight::Memory { text_bytes: 10, needed_bytes: 36, allowed_bytes: 35 };
        assert_eq!(budget.take(1), Err(refused));
    }
}
