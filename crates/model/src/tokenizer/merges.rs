//! The learner of byte-pair merges (Sennrich et al. 2016), exact across machines.
//!
//! The trainer of the `tokenizers` crate leaves the order of some ties to the iteration order of hash maps; here the
//! next merge is always the most frequent pair and, among equals, the one with the smallest ids. Hash maps are only
//! looked up, never walked.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

/// Two neighbouring symbols.
type Pair = (u32, u32);

/// A pair seen fewer times is not worth a token.
const PAIR_COUNT_MIN: u64 = 2;

/// A piece of text that merges do not cross, and how often it occurs.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// Symbols; at first one per byte.
    pub(super) symbols: Vec<u32>,
    /// Occurrences.
    pub(super) count: u64,
}

#[derive(Default)]
struct Occurrences {
    count: u64,
    /// Words that have held the pair; some may not any more, some may be listed twice.
    words: Vec<u32>,
}

/// Learns merges until `symbols` names `symbols_max` symbols or no pair occurs twice.
///
/// `symbols` comes with the strings of the first symbols, distinct; the strings of new symbols are appended. A merge
/// whose string exists already, made of other parts, yields the existing symbol. The result depends on the words as
/// a multiset, not on their order; there are fewer than 2^32 of them.
pub(super) fn learn(mut words: Vec<Word>, symbols: &mut Vec<String>, symbols_max: usize) -> Vec<Pair> {
    let mut ids: HashMap<String, u32> = symbols.iter().cloned().zip(0..).collect();
    let mut pairs: HashMap<Pair, Occurrences> = HashMap::new();
    let mut touched = BTreeSet::new();
    for (index, word) in words.iter().enumerate() {
        count_in(word, index as u32, &mut pairs, &mut touched);
    }
    let mut queue = BinaryHeap::new();
    let mut merges = Vec::new();
    loop {
        // Every pair whose count rose gets an entry; falling counts are noticed when the entry comes up.
        while let Some(pair) = touched.pop_first() {
            queue.push((pairs[&pair].count, Reverse(pair)));
        }
        if symbols.len() >= symbols_max {
            break;
        }
        let Some((count, Reverse(pair))) = queue.pop() else { break };
        let Some(found) = pairs.get_mut(&pair) else { continue };
        if found.count != count {
            if found.count >= PAIR_COUNT_MIN {
                queue.push((found.count, Reverse(pair)));
            }
            continue;
        }
        if count < PAIR_COUNT_MIN {
            break;
        }
        let holders = std::mem::take(&mut found.words);
        let string = format!("{}{}", symbols[pair.0 as usize], symbols[pair.1 as usize]);
        let merged = *ids.entry(string).or_insert_with_key(|string| {
            symbols.push(string.clone());
            (symbols.len() - 1) as u32
        });
        merges.push(pair);
        for index in holders {
            let word = &mut words[index as usize];
            if !word.symbols.windows(2).any(|window| (window[0], window[1]) == pair) {
                continue;
            }
            for window in word.symbols.windows(2) {
                if let Some(found) = pairs.get_mut(&(window[0], window[1])) {
                    found.count -= word.count;
                }
            }
            replace(&mut word.symbols, pair, merged);
            count_in(word, index, &mut pairs, &mut touched);
        }
    }
    merges
}

fn count_in(word: &Word, index: u32, pairs: &mut HashMap<Pair, Occurrences>, touched: &mut BTreeSet<Pair>) {
    for window in word.symbols.windows(2) {
        let pair = (window[0], window[1]);
        let found = pairs.entry(pair).or_default();
        found.count += word.count;
        if found.words.last() != Some(&index) {
            found.words.push(index);
        }
        touched.insert(pair);
    }
}

/// Replaces the pair from left to right.
fn replace(symbols: &mut Vec<u32>, pair: Pair, merged: u32) {
    let mut kept = 0;
    let mut next = 0;
    while next < symbols.len() {
        let here = symbols.get(next + 1).is_some_and(|&second| (symbols[next], second) == pair);
        symbols[kept] = if here { merged } else { symbols[next] };
        next += if here { 2 } else { 1 };
        kept += 1;
    }
    symbols.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, count: u64) -> Word {
        Word { symbols: text.bytes().map(|byte| u32::from(byte - b'a')).collect(), count }
    }

    fn letters() -> Vec<String> {
        ('a'..='z').map(String::from).collect()
    }

    /// The same rule by recounting everything for every merge.
    fn learn_slowly(mut words: Vec<Word>, symbols: &mut Vec<String>, symbols_max: usize) -> Vec<Pair> {
        let mut merges = Vec::new();
        while symbols.len() < symbols_max {
            let mut counts = std::collections::BTreeMap::<Pair, u64>::new();
            for word in &words {
                for window in word.symbols.windows(2) {
                    *counts.entry((window[0], window[1])).or_default() += word.count;
                }
            }
            let best = counts.into_iter().max_by_key(|&(pair, count)| (count, Reverse(pair)));
            let Some((pair, _)) = best.filter(|&(_, count)| count >= PAIR_COUNT_MIN) else { break };
            let string = format!("{}{}", symbols[pair.0 as usize], symbols[pair.1 as usize]);
            let known = symbols.iter().position(|symbol| *symbol == string);
            let merged = known.unwrap_or(symbols.len());
            if known.is_none() {
                symbols.push(string);
            }
            merges.push(pair);
            words.iter_mut().for_each(|word| replace(&mut word.symbols, pair, merged as u32));
        }
        merges
    }

    #[test]
    fn merges_equal_those_of_recounting_everything() {
        // A linear congruential generator: words over few letters, so that counts tie and strings repeat.
        let mut state = 1u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let letters_used = 1 + draw(4);
            let words: Vec<Word> = (0..draw(30))
                .map(|_| {
                    let symbols = (0..draw(12)).map(|_| draw(letters_used) as u32).collect();
                    Word { symbols, count: 1 + draw(3) }
                })
                .collect();
            let (mut fast, mut slow) = (letters(), letters());
            assert_eq!(learn(words.clone(), &mut fast, 60), learn_slowly(words, &mut slow, 60));
            assert_eq!(fast, slow);
        }
    }

    #[test]
    fn ties_go_to_the_smallest_ids_whatever_the_order_of_the_words() {
        let mut symbols = letters();
        assert_eq!(learn(vec![word("cd", 3), word("ab", 3)], &mut symbols, 28), [(0, 1), (2, 3)]);
        assert_eq!(symbols[26..], ["ab", "cd"]);
        let mut reversed = letters();
        assert_eq!(learn(vec![word("ab", 3), word("cd", 3)], &mut reversed, 28), [(0, 1), (2, 3)]);
        assert_eq!(reversed, symbols);
    }

    #[test]
    fn a_run_of_one_letter_is_merged_from_the_left() {
        let mut symbols = vec![0, 0, 0];
        replace(&mut symbols, (0, 0), 9);
        assert_eq!(symbols, [9, 0]);
    }

    #[test]
    fn pairs_seen_once_are_not_merged() {
        let mut symbols = letters();
        assert_eq!(learn(vec![word("abc", 1)], &mut symbols, 1000), []);
        assert_eq!(symbols.len(), 26);
    }
}
