//! Multiple-choice questions in the normalisation of the LM Evaluation Harness.

use crate::likelihood::{Judge, LikelihoodError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sip_data::{DataError, read::read_records};
use std::path::Path;

/// A file of questions is read up to this size.
const FILE_LIMIT_BYTES: usize = 256 << 20;
/// Most choices of a question.
const MAX_CHOICES: usize = 1000;
/// What a line holds.
const EXPECTED: &str = "{\"context\": text, \"choices\": [text, …], \"answer\": number}";
/// Stands between context and choice.
const DELIMITER: &str = " ";

/// A question: which choice continues the context? Other keys of its line do not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What the model reads first; may be empty.
    pub context: String,
    /// The continuations, without the space before them.
    pub choices: Vec<String>,
    /// Which of them is right, from 0.
    pub answer: usize,
}

impl Question {
    /// Reads a file with one JSON object a line, such as `{"context": "…", "choices": ["…", "…"], "answer": 0}`; empty lines are
    /// skipped.
    ///
    /// # Errors
    /// A file that cannot be read or is too large, and the first line that is no question.
    pub fn load(path: &Path) -> Result<Vec<Question>, LikelihoodError> {
        let fail = |reason: String| LikelihoodError::File { path: path.to_owned(), reason };
        let records = match read_records(path, FILE_LIMIT_BYTES, EXPECTED) {
            Err(DataError::Empty { .. }) => Vec::new(),
            read => read.map_err(|error| fail(error.to_string()))?,
        };
        let lines = records.into_iter().map(|record| (record.line, Value::Object(record.keys)));
        Question::from_lines(lines).map_err(|error| fail(error.to_string()))
    }

    /// The questions of a text, see [`Question::load`].
    ///
    /// # Errors
    /// The first line that is no question, or no question at all.
    pub fn parse(text: &str) -> Result<Vec<Question>, LikelihoodError> {
        let lines = (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty());
        let parsed: Result<Vec<(usize, Value)>, LikelihoodError> = lines
            .map(|(line, text)| match serde_json::from_str(text) {
                Ok(value) => Ok((line, value)),
                Err(error) => Err(LikelihoodError::Question { line, reason: format!("expected {EXPECTED}: {error}") }),
            })
            .collect();
        Question::from_lines(parsed?.into_iter())
    }

    fn from_lines(lines: impl Iterator<Item = (usize, Value)>) -> Result<Vec<Question>, LikelihoodError> {
        let mut questions = Vec::new();
        for (line, value) in lines {
            let fail = |reason: String| LikelihoodError::Question { line, reason };
            let question =
                Question::deserialize(value).map_err(|error| fail(format!("expected {EXPECTED}: {error}")))?;
            let count = question.choices.len();
            if !(2..=MAX_CHOICES).contains(&count) {
                return Err(fail(format!("{count} choices, expected 2 to {MAX_CHOICES}")));
            }
            if question.answer >= count {
                return Err(fail(format!("the answer is choice {}, expected 0 to {}", question.answer, count - 1)));
            }
            if let Some(empty) = question.choices.iter().position(String::is_empty) {
                return Err(fail(format!("choice {empty} is empty")));
            }
            questions.push(question);
        }
        if questions.is_empty() {
            return Err(LikelihoodError::NoQuestion);
        }
        Ok(questions)
    }
}

/// Answers to a set of questions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChoiceScore {
    /// Questions asked.
    pub questions: usize,
    /// Of them, those whose right choice has the highest log-likelihood.
    pub right: usize,
    /// Of them, those whose right choice has the highest log-likelihood per byte of the choice.
    pub right_per_byte: usize,
    /// Of them, those whose right choice has the highest log-likelihood per character of the choice.
    pub right_per_character: usize,
}

impl ChoiceScore {
    /// Share of questions answered right: `acc`.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.questions as f64
    }

    /// The same with log-likelihoods divided by the length of the choice in characters (code points): `acc_norm`.
    pub fn accuracy_per_character(&self) -> f64 {
        self.right_per_character as f64 / self.questions as f64
    }

    /// The same with log-likelihoods divided by the length of the choice in bytes: `acc_bytes`.
    pub fn accuracy_per_byte(&self) -> f64 {
        self.right_per_byte as f64 / self.questions as f64
    }
}

impl Judge {
    /// Answers questions: of equal choices the first. `on_question` sees how many are answered, after each.
    ///
    /// # Errors
    /// No likelihood for a choice, with the number of the question.
    pub fn answer(
        &mut self,
        questions: &[Question],
        on_question: &mut dyn FnMut(usize),
    ) -> Result<ChoiceScore, LikelihoodError> {
        let mut score = ChoiceScore::default();
        for (number, question) in (1..).zip(questions) {
            let found = self
                .log_likelihoods(&question.context, &question.choices)
                .map_err(|source| LikelihoodError::Answer { question: number, source: Box::new(source) })?;
            let per = |length: fn(&String) -> usize| {
                let each = found.iter().zip(&question.choices).map(|(sum, choice)| sum / length(choice) as f64);
                usize::from(greatest(each) == question.answer)
            };
            score.questions += 1;
            score.right += usize::from(greatest(found.iter().copied()) == question.answer);
            score.right_per_byte += per(String::len);
            score.right_per_character += per(|choice| choice.chars().count());
            on_question(number);
        }
        Ok(score)
    }

    /// Sum of ln p over the tokens of each choice after the context and a space, in nats.
    ///
    /// Context and choice are encoded together, and what follows the tokens of the context alone is the choice, so that the tokens are
    /// those that the model would read in a text; white space at the end of the context moves to the choice. Where both are longer than
    /// the model's context, the end of them counts.
    ///
    /// # Errors
    /// A choice without a token of its own, or longer than the model's context.
    pub fn log_likelihoods(&mut self, context: &str, choices: &[String]) -> Result<Vec<f64>, LikelihoodError> {
        choices.iter().map(|choice| self.log_likelihood(context, choice)).collect()
    }

    fn log_likelihood(&mut self, context: &str, choice: &str) -> Result<f64, LikelihoodError> {
        let begin: Vec<u32> = self.begin.into_iter().collect();
        let encode = |text: &str| -> Result<Vec<u32>, LikelihoodError> {
            Ok([begin.as_slice(), &self.tokenizer.encode(text)?].concat())
        };
        let (mut tokens, mut seen);
        if context.is_empty() {
            tokens = vec![self.prefix()?];
            seen = 1;
            tokens.extend(self.tokenizer.encode(&format!("{DELIMITER}{choice}"))?);
        } else {
            tokens = encode(&format!("{context}{DELIMITER}{choice}"))?;
            seen = encode(context.trim_end())?.len();
            if seen == 0 {
                // Nothing but white space: it is all part of the choice.
                tokens.insert(0, self.prefix()?);
                seen = 1;
            }
        }
        let scored = tokens.len().saturating_sub(seen);
        if scored == 0 {
            return Err(LikelihoodError::NoToken(choice.to_owned()));
        }
        let room = self.context();
        if scored > room {
            return Err(LikelihoodError::TooLong { tokens: scored, context: room });
        }
        // The last token is only predicted.
        let front = (tokens.len() - 1).saturating_sub(room);
        seen -= front;
        let tokens = &tokens[front..];
        // What the cache holds of these tokens from the choice before stays there: as a rule the whole context.
        let before = self.keep(&tokens[..seen - 1]);
        if before < seen - 1 {
            self.decoder.feed(&tokens[before..seen - 1])?;
            self.cached.extend_from_slice(&tokens[before..seen - 1]);
        }
        let found = self.decoder.log_likelihoods(&tokens[seen - 1..tokens.len() - 1], &tokens[seen..])?;
        Ok(found.into_iter().map(f64::from).sum())
    }
}

/// The first of the greatest.
fn greatest(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}
