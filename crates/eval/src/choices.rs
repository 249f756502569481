//! Multiple-choice questions in the normalisation of the LM Evaluation Harness.

use crate::likelihood::{Judge, LikelihoodError};
use serde::Serialize;
use sip_data::DataError;
use sip_data::read::{Record, Records, read_records};
use sip_json::Elements;
use std::borrow::Borrow;
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// What the model reads first; may be empty.
    pub context: String,
    /// The continuations, without the space before them.
    pub choices: Vec<String>,
    /// Which of them is right, from 0.
    pub answer: usize,
}

impl Question {
    fn read(record: &Record<'_>) -> Result<Question, String> {
        let expected = |reason: String| format!("expected {EXPECTED}: {reason}");
        let context = record.text("context").map_err(expected)?.into_owned();
        let (mut choices, mut count) = (Vec::new(), 0);
        let list = Elements::new(record.value("choices").map_err(expected)?);
        for choice in list.map_err(|error| expected(format!("choices: {error}")))? {
            count += 1;
            let choice = choice.map_err(|error| expected(format!("choices: {error}")))?;
            let choice = sip_json::text(choice).map_err(|error| expected(format!("choices: {error}")))?;
            if count <= MAX_CHOICES {
                choices.push(choice.into_owned());
            }
        }
        let answer = record.value("answer").map_err(expected)?;
        let answer: usize =
            sip_json::fields_from_slice(answer).map_err(|error| expected(format!("answer: {error}")))?;
        if !(2..=MAX_CHOICES).contains(&count) {
            return Err(format!("{count} choices, expected 2 to {MAX_CHOICES}"));
        }
        if answer >= count {
            return Err(format!("the answer is choice {answer}, expected 0 to {}", count - 1));
        }
        if let Some(empty) = choices.iter().position(String::is_empty) {
            return Err(format!("choice {empty} is empty"));
        }
        Ok(Question { context, choices, answer })
    }
}

/// Questions in the text of their file, each of which is read when it is its turn.
#[derive(Clone, Debug)]
pub struct Questions(Records);

impl Questions {
    /// Reads a file with one JSON object a line, such as `{"context": "…", "choices": ["…", "…"], "answer": 0}`; empty lines are
    /// skipped.
    ///
    /// # Errors
    /// A file that cannot be read or is too large, and the first line that is no question.
    pub fn load(path: &Path) -> Result<Questions, LikelihoodError> {
        let fail = |reason: String| LikelihoodError::File { path: path.to_owned(), reason };
        let records = match read_records(path, FILE_LIMIT_BYTES, EXPECTED) {
            Err(DataError::Empty { .. }) => Records::lines(String::new()),
            read => read?,
        };
        Questions::new(records).map_err(|error| fail(error.to_string()))
    }

    /// The questions of a text, see [`Questions::load`].
    ///
    /// # Errors
    /// The first line that is no question, or no question at all.
    pub fn parse(text: &str) -> Result<Questions, LikelihoodError> {
        Questions::new(Records::lines(text.to_owned()))
    }

    /// All are questions before the first is asked.
    fn new(records: Records) -> Result<Questions, LikelihoodError> {
        if records.is_empty() {
            return Err(LikelihoodError::NoQuestion);
        }
        for record in records.iter() {
            Question::read(&record).map_err(|reason| LikelihoodError::Question { line: record.line, reason })?;
        }
        Ok(Questions(records))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none; there always is one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after the other, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = Question> {
        // Every one was read before.
        self.0.iter().filter_map(|record| Question::read(&record).ok())
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
    pub fn answer<Q: Borrow<Question>>(
        &mut self,
        questions: impl IntoIterator<Item = Q>,
        on_question: &mut dyn FnMut(usize),
    ) -> Result<ChoiceScore, LikelihoodError> {
        let mut score = ChoiceScore::default();
        for (number, question) in (1..).zip(questions) {
            let question = question.borrow();
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
