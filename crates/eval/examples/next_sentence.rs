//! Makes `data/next_sentence.jsonl`: which sentence follows, from the texts in the repository's `data` folder.
//!
//! ```text
//! cargo run --release -p sip-eval --example next_sentence > crates/eval/data/next_sentence.jsonl
//! ```
//! From the last twentieth of the addresses and of the novels, which `sip demo` sets aside (the verses of the third text carry numbers,
//! which would give the answer away), come up to [`QUESTIONS`] questions each, evenly spaced. A context is [`CONTEXT`]
//! sentences that follow each other within a paragraph, the right choice is the next sentence, and the wrong ones are sentences
//! from elsewhere in the same part, so that the language itself gives nothing away. Nothing is drawn by chance: a
//! fixed permutation picks the wrong sentences and the place of the right one.

use sip_data::{Corpus, corpus::MAX_BYTES_DEFAULT};
use sip_eval::Question;
use std::io::Write;

/// Questions from each text.
const QUESTIONS: usize = 100;
/// Sentences of a context.
const CONTEXT: usize = 2;
/// Choices of a question.
const CHOICES: usize = 4;
/// Part of a text that is set aside.
const PART: usize = 20;
/// Lengths of sentences, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 30..=200;
/// What separates the documents of a text.
const SEPARATOR: &str = "<|document|>";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    for domain in &Corpus::shipped(MAX_BYTES_DEFAULT)?.domains()[..2] {
        let text = &domain.text;
        let start = text.floor_char_boundary(text.len() - text.len() / PART);
        for question in questions(&text[start..]) {
            writeln!(out, "{}", serde_json::to_string(&question)?)?;
        }
    }
    Ok(())
}

fn questions(text: &str) -> Vec<Question> {
    let paragraphs: Vec<Vec<String>> =
        text.split(SEPARATOR).flat_map(|part| part.split("\n\n")).map(sentences).collect();
    let runs: Vec<&[String]> = paragraphs
        .iter()
        .flat_map(|sentences| sentences.windows(CONTEXT + 1))
        .filter(|run| run.iter().all(|sentence| LENGTHS.contains(&sentence.len())))
        .collect();
    let count = QUESTIONS.min(runs.len());
    // Each choice is the last sentence of some run, so that none gives itself away by its kind.
    (0..count)
        .map(|number| {
            let at = number * runs.len() / count;
            let answer = number * 7 % CHOICES;
            let mut choices: Vec<String> = Vec::new();
            let mut other = at;
            while choices.len() < CHOICES {
                // A prime step goes far, and through all runs unless their number is its multiple.
                let run = if choices.len() == answer { at } else { other };
                other = (other + 1009) % runs.len();
                let sentence = &runs[run][CONTEXT];
                let right = choices.len() == answer;
                if right || (sentence != &runs[at][CONTEXT] && !choices.contains(sentence)) {
                    choices.push(sentence.clone());
                }
            }
            Question { context: runs[at][..CONTEXT].join(" "), choices, answer }
        })
        .collect()
}

/// The sentences of a paragraph, each on one line: they end with a stop, a question or an exclamation mark and white space.
fn sentences(paragraph: &str) -> Vec<String> {
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let mut found = Vec::new();
    let mut sentence: Vec<&str> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        sentence.push(word);
        let bare = word.trim_end_matches(['"', '\'', ')']);
        // Not after short titles such as "Mr.", and only before a capital.
        let ends = bare.ends_with(['!', '?']) || (bare.ends_with('.') && bare.len() > 4);
        let next = words
            .get(at + 1)
            .map_or(' ', |next| next.trim_start_matches(['"', '\'', '(']).chars().next().unwrap_or(' '));
        if ends && (next == ' ' || next.is_uppercase()) {
            found.push(sentence.join(" "));
            sentence.clear();
        }
    }
    found
}
