//! A vocabulary and its merges in few bytes: texts one behind the other, rows of numbers, and indexes of one number a row.
//!
//! Maps of texts of their own take six times what the file does; these tables take less than twice.

use std::hash::{BuildHasher, RandomState};

use sip_data::shown;
use sip_json::Budget;

use super::{TokenizerError, VOCAB_SIZE_MAX};

/// Bytes of memory of a token beside its text.
pub(super) const TOKEN_BYTES: usize = size_of::<Row>() + INDEX_BYTES;
/// Bytes of memory of a merge.
pub(crate) const MERGE_BYTES: usize = size_of::<Merge>() + INDEX_BYTES;
/// Bytes of an index for a row: three of four places are taken.
const INDEX_BYTES: usize = 6;

/// Rows of a table, found by a hash.
#[derive(Clone, Debug)]
struct Index {
    /// A row and one, or 0 for a free place.
    places: Box<[u32]>,
}

impl Index {
    fn new(rows: usize) -> Index {
        Index { places: vec![0; rows + rows / 3 + 2].into_boxed_slice() }
    }

    /// The place of the row for which `is_row` holds among those of a hash, and the row; or the free place where it would stand.
    fn find(&self, hash: u64, is_row: impl Fn(usize) -> bool) -> (usize, Option<usize>) {
        let count = self.places.len();
        let mut place = ((u128::from(hash) * count as u128) >> 64) as usize;
        loop {
            match self.places[place] {
                0 => return (place, None),
                row if is_row(row as usize - 1) => return (place, Some(row as usize - 1)),
                _ => place = if place + 1 == count { 0 } else { place + 1 },
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Row {
    /// First byte of its text.
    start: u32,
    /// Bytes of its text.
    length: u32,
    id: u32,
}

/// Tokens by text and by id.
#[derive(Clone, Debug)]
pub(crate) struct Vocabulary {
    texts: String,
    /// By id.
    rows: Vec<Row>,
    index: Index,
    hasher: RandomState,
}

impl Vocabulary {
    /// An empty one with room for `tokens` whose texts have `text_bytes` in sum, not more than 4 GiB.
    pub(super) fn with_capacity(tokens: usize, text_bytes: usize) -> Vocabulary {
        Vocabulary {
            texts: String::with_capacity(text_bytes),
            rows: Vec::with_capacity(tokens),
            index: Index::new(0),
            hasher: RandomState::new(),
        }
    }

    /// Adds a token, which is found after [`Vocabulary::finish`].
    pub(super) fn push(&mut self, text: &str, id: u32) {
        self.rows.push(Row { start: self.texts.len() as u32, length: text.len() as u32, id });
        self.texts.push_str(text);
    }

    /// The tokens of a list, whose ids are their places in it.
    ///
    /// # Errors
    /// More tokens than a vocabulary has, and more memory than is left; a token that stands there twice.
    pub(crate) fn of<'a>(
        tokens: impl Iterator<Item = &'a str> + Clone,
        budget: &mut Budget,
    ) -> Result<Vocabulary, TokenizerError> {
        let (count, bytes) = tokens.clone().fold((0, 0), |(count, bytes), token| (count + 1, bytes + token.len()));
        if count > VOCAB_SIZE_MAX {
            return Err(TokenizerError::VocabSize(count));
        }
        budget.take(bytes + count * TOKEN_BYTES)?;
        let mut vocabulary = Vocabulary::with_capacity(count, bytes);
        tokens.zip(0..).for_each(|(token, id)| vocabulary.push(token, id));
        let twice = |token: String| TokenizerError::Format(format!("token \"{}\" is there twice", shown(&token)));
        vocabulary.finish().map_err(twice)?;
        Ok(vocabulary)
    }

    /// Makes the tokens findable.
    ///
    /// # Errors
    /// A text that stands there twice.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        // The order of the texts is that of the file: of two tokens with one id, the later is the one that is written.
        self.rows.sort_unstable_by_key(|row| (row.id, std::cmp::Reverse((row.start, row.length))));
        let mut index = Index::new(self.rows.len());
        for row in 0..self.rows.len() {
            let text = self.text(row);
            match index.find(self.hasher.hash_one(text), |other| self.text(other) == text) {
                (_, Some(_)) => return Err(text.to_owned()),
                (place, None) => index.places[place] = row as u32 + 1,
            }
        }
        self.index = index;
        Ok(())
    }

    fn text(&self, row: usize) -> &str {
        let Row { start, length, .. } = self.rows[row];
        &self.texts[start as usize..(start + length) as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Tokens in the order of their ids.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, u32)> {
        (0..self.rows.len()).map(|row| (self.text(row), self.rows[row].id))
    }

    pub(crate) fn id(&self, text: &str) -> Option<u32> {
        let (_, row) = self.index.find(self.hasher.hash_one(text), |row| self.text(row) == text);
        row.map(|row| self.rows[row].id)
    }

    pub(crate) fn token(&self, id: u32) -> Option<&str> {
        let row = match self.rows.get(id as usize) {
            // A vocabulary without holes.
            Some(row) if row.id == id && (id == 0 || self.rows[id as usize - 1].id != id) => id as usize,
            _ => self.rows.partition_point(|row| row.id < id),
        };
        (self.rows.get(row)?.id == id).then(|| self.text(row))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    pub(crate) left: u32,
    pub(crate) right: u32,
    /// The token that they become.
    pub(crate) id: u32,
}

/// Merges by their parts; the rank of a merge is its row.
#[derive(Clone, Debug)]
pub(crate) struct Merges {
    rows: Vec<Merge>,
    index: Index,
    keys: [u64; 2],
}

impl Merges {
    pub(super) fn with_capacity(merges: usize) -> Merges {
        let hasher = RandomState::new();
        let keys = [hasher.hash_one(0), hasher.hash_one(1) | 1];
        Merges { rows: Vec::with_capacity(merges), index: Index::new(merges), keys }
    }

    /// Merges in the order of their ranks; of two with the same parts the later counts.
    pub(crate) fn from_rows(rows: Vec<Merge>) -> Merges {
        let mut merges = Merges { index: Index::new(rows.len()), rows, ..Merges::with_capacity(0) };
        for row in 0..merges.rows.len() {
            let Merge { left, right, .. } = merges.rows[row];
            let (place, _) = merges.find(left, right);
            merges.index.places[place] = row as u32 + 1;
        }
        merges
    }

    /// Adds a merge of the next rank; of two with the same parts the later counts. There are as many as was said.
    pub(super) fn push(&mut self, merge: Merge) {
        let (place, _) = self.find(merge.left, merge.right);
        self.rows.push(merge);
        self.index.places[place] = self.rows.len() as u32;
    }

    fn hash(&self, left: u32, right: u32) -> u64 {
        let pair = (u64::from(left) << 32 | u64::from(right)) ^ self.keys[0];
        let product = u128::from(pair) * u128::from(self.keys[1]);
        let folded = (product >> 64) as u64 ^ product as u64;
        folded.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn find(&self, left: u32, right: u32) -> (usize, Option<usize>) {
        let is_row = |row: usize| (self.rows[row].left, self.rows[row].right) == (left, right);
        self.index.find(self.hash(left, right), is_row)
    }

    /// The rank of a merge and what it gives.
    pub(super) fn get(&self, left: u32, right: u32) -> Option<(u32, u32)> {
        self.find(left, right).1.map(|row| (row as u32, self.rows[row].id))
    }

    /// Merges in the order of their ranks, without those that a later one replaced.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Merge> {
        let counts = |&(rank, merge): &(usize, Merge)| self.find(merge.left, merge.right).1 == Some(rank);
        self.rows.iter().copied().enumerate().filter(counts).map(|(_, merge)| merge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashMap};

    proptest! {
        #[test]
        fn tokens_are_found_by_text_and_by_id(texts in prop::collection::btree_map("[ab]{0,5}", 0u32..60, 0..40)) {
            let mut vocabulary = Vocabulary::with_capacity(texts.len(), 0);
            texts.iter().for_each(|(text, &id)| vocabulary.push(text, id));
            vocabulary.finish().unwrap();
            for (text, &id) in &texts {
                prop_assert_eq!(vocabulary.id(text), Some(id));
            }
            let by_id: BTreeMap<u32, &str> = texts.iter().map(|(text, &id)| (id, text.as_str())).collect();
            for id in 0..70 {
                prop_assert_eq!(vocabulary.token(id), by_id.get(&id).copied());
            }
            prop_assert_eq!(vocabulary.id("c"), None);
            prop_assert_eq!(vocabulary.len(), texts.len());
        }

        #[test]
        fn the_later_of_two_merges_of_one_pair_counts(pairs in prop::collection::vec((0u32..8, 0u32..8), 0..80)) {
            let mut merges = Merges::with_capacity(pairs.len());
            let mut expected = HashMap::new();
            for (rank, &(left, right)) in (0u32..).zip(&pairs) {
                merges.push(Merge { left, right, id: rank + 100 });
                expected.insert((left, right), (rank, rank + 100));
            }
            for pair in (0..8).flat_map(|left| (0..8).map(move |right| (left, right))) {
                prop_assert_eq!(merges.get(pair.0, pair.1), expected.get(&pair).copied());
            }
            let mut ranks: Vec<u32> = expected.values().map(|&(rank, _)| rank + 100).collect();
            ranks.sort_unstable();
            prop_assert_eq!(merges.iter().map(|merge| merge.id).collect::<Vec<_>>(), ranks);
        }
    }

    #[test]
    fn a_text_that_stands_there_twice_is_refused() {
        let mut vocabulary = Vocabulary::with_capacity(2, 2);
        vocabulary.push("a", 0);
        vocabulary.push("a", 1);
        assert_eq!(vocabulary.finish(), Err("a".to_owned()));
    }
}
