//! Prompts with answers, and pairs of answers, from JSON lines; and the order in which examples are taken.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sip_model::LoadedModel;
use sip_model::example::Example;
use sip_model::{Message, Role};
use std::cell::RefCell;
use std::path::Path;

/// A file of examples is read up to this size.
const FILE_LIMIT_BYTES: u64 = 4 << 30;
/// One example of this many is held out, and no more than the second number in all.
const HELD_OUT: (usize, usize) = (20, 64);

/// A line of a file of answers; other keys do not matter.
#[derive(Deserialize)]
struct Answer {
    prompt: String,
    response: String,
}

/// A line of a file of preferences.
#[derive(Deserialize)]
struct Preference {
    prompt: String,
    chosen: String,
    rejected: String,
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

/// Reads `{"prompt": …, "response": …}` on every line.
pub(crate) fn answers(path: &Path, format: &Format<'_>) -> Result<Split<Example>> {
    let example = |answer: Answer| format.example(&answer.prompt, &answer.response);
    read(path, "{\"prompt\": …, \"response\": …}", example).map(Split::new)
}

/// Reads `{"prompt": …, "chosen": …, "rejected": …}` on every line.
pub(crate) fn preferences(path: &Path, format: &Format<'_>) -> Result<Split<[Example; 2]>> {
    let example = |pair: Preference| {
        Ok([format.example(&pair.prompt, &pair.chosen)?, format.example(&pair.prompt, &pair.rejected)?])
    };
    read(path, "{\"prompt\": …, \"chosen\": …, \"rejected\": …}", example).map(Split::new)
}

fn read<L: DeserializeOwned, T>(path: &Path, expected: &str, make: impl Fn(L) -> Result<T>) -> Result<Vec<T>> {
    let name = path.display();
    let bytes = std::fs::metadata(path).with_context(|| format!("cannot read {name}"))?.len();
    ensure!(bytes <= FILE_LIMIT_BYTES, "{name} has {bytes} bytes, expected at most {FILE_LIMIT_BYTES}");
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let parsed =
            serde_json::from_str(line).with_context(|| format!("{name}, line {}: expected {expected}", number + 1))?;
        all.push(make(parsed).with_context(|| format!("{name}, line {}", number + 1))?);
    }
    if all.is_empty() {
        bail!("{name} holds no example, expected {expected} on every line");
    }
    Ok(all)
}

/// How a prompt and its answer become tokens.
pub(crate) struct Format<'a> {
    pub model: &'a LoadedModel,
    /// Whether the model's chat template is left out.
    pub plain: bool,
}

impl Format<'_> {
    /// With a chat template the prompt is what the person says and the answer what the model says; without one the answer
    /// follows the prompt and ends with the model's end token.
    fn example(&self, prompt: &str, answer: &str) -> Result<Example> {
        ensure!(!answer.is_empty(), "the answer is empty");
        let mut tokens: Vec<u32> = self.model.special.begin.into_iter().collect();
        let encode = |text: &str| self.model.tokenizer.encode(text);
        if let (Ok(template), false) = (&self.model.chat, self.plain) {
            let question = Message::new(Role::User, prompt);
            let given = template.render(std::slice::from_ref(&question), true);
            let whole = template.render(&[question, Message::new(Role::Assistant, answer)], false);
            let said = whole.strip_prefix(&given).context("the chat template does not go on from the prompt")?;
            tokens.extend(encode(&given)?);
            return Ok(Example { prompt: tokens, response: encode(said)? });
        }
        tokens.extend(encode(prompt)?);
        let mut response = encode(answer)?;
        response.extend(self.model.special.end.first());
        Ok(Example { prompt: tokens, response })
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
}
