//! Prompts with answers, and pairs of answers, from JSON lines; and the order in which examples are taken.

use anyhow::{Context, Result, anyhow, bail, ensure};
use sip_data::read::{Content, Record, read_records};
use sip_data::{DataError, shown_up_to};
use sip_model::example::Example;
use sip_model::{ChatError, ChatTemplate, LoadedModel, Message, Role};
use std::borrow::Cow;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// A file of examples is read up to this size.
const FILE_LIMIT_BYTES: usize = 4 << 30;
/// So much is said of what is wrong with a record.
const REASON_CHARS: usize = 400;
/// One example of this many is held out, and no more than the second number in all.
const HELD_OUT: (usize, usize) = (20, 64);

/// What a file of records is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `text` in every record, or a text.
    Text,
    /// Prompts and answers.
    Answers,
}

/// What a file is for, by its first record.
pub(crate) fn kind(path: &Path, content: &Content) -> Result<Kind> {
    let Content::Records(records) = content else { return Ok(Kind::Text) };
    let first = records.iter().next().context("no record")?;
    let has = |key: &str| first.has(key);
    if has("chosen") && has("rejected") {
        bail!("{} holds preferences: give it with --dpo instead of --data", path.display());
    }
    if has("prompt") || has("response") {
        return Ok(Kind::Answers);
    }
    if has("messages") {
        bail!(
            "{}, line {}: conversations (messages) are not read: give every answer as {{\"prompt\": …, \"response\": …}}",
            path.display(),
            first.line
        );
    }
    // What has neither is refused with its keys when its texts are asked for.
    Ok(Kind::Text)
}

/// Examples to learn from, and those set aside: the last ones, if there are enough.
pub(crate) struct Split<T> {
    pub train: Vec<T>,
    pub held_out: Vec<T>,
}

impl<T> Split<T> {
    fn new(mut all: Vec<T>) -> Split<T> {
        let count = (all.len() / HELD_OUT.0).min(HELD_OUT.1);
        let held_out = all.split_off(all.len() - count);
        Split { train: all, held_out }
    }
}

/// Reads `{"prompt": …, "response": …}` on every line of all files.
pub(crate) fn answers(paths: &[PathBuf], format: &Format<'_>) -> Result<Split<Example>> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(read(path, "{\"prompt\": …, \"response\": …}", |record, expected| {
            ensure!(
                !(record.has("completion") && record.has("response")),
                "it has both a response and a completion: leave one of them out"
            );
            let key = if record.has("completion") { "completion" } else { "response" };
            format.example(&text(record, "prompt", expected)?, &text(record, key, expected)?)
        })?);
    }
    Ok(Split::new(all))
}

/// Reads `{"prompt": …, "chosen": …, "rejected": …}` on every line.
pub(crate) fn preferences(path: &Path, format: &Format<'_>) -> Result<Split<[Example; 2]>> {
    let pair = |record: &Record<'_>, expected: &str| {
        let prompt = text(record, "prompt", expected)?;
        let tokens = |key: &str| format.tokens(&prompt, &text(record, key, expected)?);
        Ok(Tokens::pair(tokens("chosen")?, tokens("rejected")?))
    };
    read(path, "{\"prompt\": …, \"chosen\": …, \"rejected\": …}", pair).map(Split::new)
}

fn text<'a>(record: &Record<'a>, key: &str, expected: &str) -> Result<Cow<'a, str>> {
    record.text(key).map_err(|reason| anyhow!("expected {expected}: {reason}"))
}

/// What `make` makes of every record; one at a time is read.
fn read<T>(path: &Path, expected: &str, make: impl Fn(&Record<'_>, &str) -> Result<T>) -> Result<Vec<T>> {
    let records = read_records(path, FILE_LIMIT_BYTES, expected)?;
    let (mut made, mut bad) = (Vec::new(), Vec::new());
    for record in records.iter() {
        match make(&record, expected) {
            Ok(one) => made.push(one),
            Err(error) => {
                let reason = shown_up_to(&format!("{error:#}"), REASON_CHARS);
                bad.push(DataError::Line { path: path.to_owned(), line: record.line, reason });
            }
        }
        if DataError::are_enough(&bad) {
            break;
        }
    }
    DataError::all(bad)?;
    Ok(made)
}

/// How a prompt and its answer become tokens.
pub(crate) struct Format<'a> {
    model: &'a LoadedModel,
    /// What conversations are written with; without one, the answer follows the prompt.
    template: Option<ChatTemplate>,
}

impl<'a> Format<'a> {
    /// The model's own format, with its template of a name, or with `plain` none.
    ///
    /// # Errors
    /// A template that cannot be run: it is never left out without being asked for.
    pub(crate) fn new(model: &'a LoadedModel, plain: bool, template: Option<&str>) -> Result<Format<'a>> {
        let template = match model.chat.get(template) {
            _ if plain => None,
            Ok(template) => Some(template),
            Err(ChatError::Missing) if template.is_none() => None,
            Err(error) => {
                return Err(error)
                    .context("answers are not learned without the model's format unless --plain asks for it");
            }
        };
        Ok(Format { model, template })
    }

    /// With a chat template the prompt is what the person says and the answer what the model says; without one the answer
    /// follows the prompt and ends with the model's end token.
    fn example(&self, prompt: &str, answer: &str) -> Result<Example> {
        Ok(self.tokens(prompt, answer)?.example())
    }

    /// Prompt and answer encoded together: the answer begins where that is another token than of the prompt alone, as in `trl` 1.16.
    fn tokens(&self, prompt: &str, answer: &str) -> Result<Tokens> {
        ensure!(!answer.is_empty(), "the answer is empty");
        let encode = |text: &str| self.model.tokenizer.encode(text);
        let (mut given, mut whole): (Vec<u32>, Vec<u32>);
        match &self.template {
            Some(template) => {
                let question = Message::new(Role::User, prompt);
                let asked = template.render(std::slice::from_ref(&question), true)?;
                let all = template.render(&[question, Message::new(Role::Assistant, answer)], false)?;
                ensure!(
                    all.starts_with(&asked),
                    "the chat template writes an answer otherwise than it begins one; use --plain"
                );
                (given, whole) = (encode(&asked)?, encode(&all)?);
            }
            None => {
                let begin = self.model.special.begin;
                (given, whole) = (begin.into_iter().collect(), begin.into_iter().collect());
                given.extend(encode(prompt)?);
                whole.extend(encode(&format!("{prompt}{answer}"))?);
                whole.extend(self.model.special.end.first());
            }
        }
        Ok(Tokens::new(&given, whole))
    }
}

/// A prompt with an answer, and how many tokens of it are those of the prompt.
struct Tokens {
    whole: Vec<u32>,
    shared: usize,
}

impl Tokens {
    fn new(given: &[u32], whole: Vec<u32>) -> Tokens {
        let shared = given.iter().zip(&whole).take_while(|(given, whole)| given == whole).count();
        Tokens { whole, shared }
    }

    /// Two answers to one prompt, which ends for both where it ends for the one that parts from it first.
    fn pair(chosen: Tokens, rejected: Tokens) -> [Example; 2] {
        let shared = chosen.shared.min(rejected.shared);
        [chosen, rejected].map(|tokens| Tokens { shared, ..tokens }.example())
    }

    fn example(mut self) -> Example {
        let response = self.whole.split_off(self.shared.min(self.whole.len()));
        Example { prompt: self.whole, response }
    }
}

/// Every example once per epoch, each epoch in an order of its own.
pub(crate) struct Order {
    seed: u64,
    count: usize,
    /// The order of one epoch, kept because neighbouring steps ask for it.
    known: RefCell<(u64, Vec<u32>)>,
}

impl Order {
    /// For `count` examples, at least one.
    pub(crate) fn new(seed: u64, count: usize) -> Order {
        Order { seed, count: count.max(1), known: RefCell::new((u64::MAX, Vec::new())) }
    }

    /// The example at a place of the endless sequence: a function of seed and place alone.
    pub(crate) fn at(&self, place: u64) -> usize {
        let (epoch, place) = (place / self.count as u64, place % self.count as u64);
        let mut known = self.known.borrow_mut();
        if known.0 != epoch {
            *known = (epoch, shuffled(self.seed, epoch, self.count));
        }
        known.1[place as usize] as usize
    }
}

/// Fisher and Yates's shuffle from SplitMix64 (Steele, Lea and Flood 2014).
fn shuffled(seed: u64, epoch: u64, count: usize) -> Vec<u32> {
    let mut state = seed ^ epoch.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03);
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let mut order: Vec<u32> = (0..count as u32).collect();
    for last in (1..count).rev() {
        order.swap(last, (next() % (last as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_holds_every_example_once_in_another_order() {
        let order = Order::new(5, 10);
        let epoch = |number: u64| -> Vec<usize> { (0..10).map(|at| order.at(number * 10 + at)).collect() };
        assert_ne!(epoch(0), epoch(1));
        for number in [0, 1, 7] {
            let mut all = epoch(number);
            assert_eq!(all, epoch(number));
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>());
        }
        let other = Order::new(6, 10);
        assert_ne!((0..10).map(|at| other.at(at)).collect::<Vec<_>>(), epoch(0));
        assert_eq!(Order::new(0, 1).at(99), 0);
    }

    #[test]
    fn an_answer_begins_where_its_tokens_part_from_those_of_the_prompt() {
        let parts = |tokens: Tokens| {
            let Example { prompt, response } = tokens.example();
            (prompt, response)
        };
        assert_eq!(parts(Tokens::new(&[1, 2, 3], vec![1, 2, 3, 4, 0])), (vec![1, 2, 3], vec![4, 0]));
        // The prompt's last letters and the answer's first are one token: by the number of the prompt's tokens, a token of the answer would be none of it.
        assert_eq!(parts(Tokens::new(&[1, 2, 3], vec![1, 2, 9, 4, 0])), (vec![1, 2], vec![9, 4, 0]));
        assert_eq!(parts(Tokens::new(&[1], vec![9, 0])), (vec![], vec![9, 0]));
        let [chosen, rejected] = [vec![1, 2, 3, 4, 0], vec![1, 9, 0]].map(|whole| Tokens::new(&[1, 2, 3], whole));
        let [chosen, rejected] = Tokens::pair(chosen, rejected);
        assert_eq!((chosen.prompt, chosen.response), (vec![1], vec![2, 3, 4, 0]));
        assert_eq!((rejected.prompt, rejected.response), (vec![1], vec![9, 0]));
    }
}
