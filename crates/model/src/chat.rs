//! Conversations as the text that an instruction-tuned model was trained on.
//!
//! Model files say how in Jinja, which is run here under limits: it sees the messages and the names of special tokens, nothing else. It
//! does not know the date, so that the same conversation gives the same text on every day; a template that asks for one without having a
//! date of its own is refused, as is every template that cannot be run.

use std::collections::BTreeMap;
use std::io::{self, Write};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, Value};
use serde_json::Value as Json;
use sip_data::{shown, shown_up_to};

use thiserror::Error;

mod python;

/// A template is at most so long; the longest of published models have some 30 thousand bytes.
const SOURCE_BYTES_MAX: usize = 1 << 20;
/// Instructions that a conversation may take; a message takes some hundred.
const FUEL: u64 = 20_000_000;
/// A conversation is at most so much longer than its messages.
const OUTPUT_BYTES_MAX: usize = 16 << 20;
/// An error shows this much of what Jinja says.
const REASON_CHARS_SHOWN: usize = 300;
/// The name of the template that is meant when nobody names one.
pub const DEFAULT_TEMPLATE: &str = "default";

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What the model is told before the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// By its word in data sets: `system`, `user` or `assistant`.
    pub fn from_name(name: &str) -> Option<Role> {
        [Role::System, Role::User, Role::Assistant].into_iter().find(|role| role.name() == name)
    }

    /// Its word in templates.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who wrote it.
    pub role: Role,
    /// What it says.
    pub content: String,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: Role, content: impl Into<String>) -> Message {
        Message { role, content: content.into() }
    }
}

/// Why conversations cannot be written for a model.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChatError {
    /// The model's files have no template.
    #[error("the model has no chat template: give it plain text, or use an instruction-tuned model")]
    Missing,
    /// The model's files have several templates, but none of this name.
    #[error("the model has no chat template {name}; it has {known}: name one with --template", name = shown(name))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The template cannot be run.
    #[error("the model's chat template cannot be run: {}", shown_up_to(.0, REASON_CHARS_SHOWN))]
    Unusable(String),
}

/// The templates of a model's files by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatTemplates {
    named: BTreeMap<String, String>,
    /// What templates call the special tokens, such as `bos_token`, and their texts.
    tokens: BTreeMap<String, String>,
}

impl ChatTemplates {
    /// Templates in Jinja by name, and the texts of special tokens by what templates call them.
    pub fn new(named: BTreeMap<String, String>, tokens: BTreeMap<String, String>) -> ChatTemplates {
        ChatTemplates { named, tokens }
    }

    /// The templates that `chat_template` in a file of JSON stands for: one text, a list of names and texts, or an object of them.
    ///
    /// # Errors
    /// A value of another kind.
    pub(crate) fn named_in(value: &Json) -> Result<BTreeMap<String, String>, String> {
        let one = |name: &str, text: &Json| match text.as_str() {
            Some(text) => Ok((name.to_owned(), text.to_owned())),
            None => Err(format!("chat_template {} is no text", shown(name))),
        };
        match value {
            Json::Null => Ok(BTreeMap::new()),
            Json::String(_) => Ok(BTreeMap::from([one(DEFAULT_TEMPLATE, value)?])),
            Json::Object(named) => named.iter().map(|(name, text)| one(name, text)).collect(),
            Json::Array(list) => list
                .iter()
                .map(|entry| {
                    let name = entry.get("name").and_then(Json::as_str).ok_or("a chat_template has no name")?;
                    one(name, entry.get("template").unwrap_or(&Json::Null))
                })
                .collect(),
            _ => Err("chat_template is no text, list or object".to_owned()),
        }
    }

    /// The names, and whether there are any.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// The template of this name, or the one named `default`.
    ///
    /// # Errors
    /// None of the name, or one that is no Jinja.
    pub fn get(&self, name: Option<&str>) -> Result<ChatTemplate, ChatError> {
        if self.named.is_empty() {
            return Err(ChatError::Missing);
        }
        let name = name.unwrap_or(DEFAULT_TEMPLATE);
        let Some(source) = self.named.get(name) else {
            let known = self.names().map(shown).collect::<Vec<_>>().join(", ");
            return Err(ChatError::Unknown { name: name.to_owned(), known });
        };
        ChatTemplate::new(source, self.tokens.clone())
    }
}

/// How a conversation becomes text.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    tokens: BTreeMap<String, String>,
}

impl ChatTemplate {
    /// A template in Jinja, as `transformers` reads it; `tokens` are the texts of special tokens by what templates call them.
    ///
    /// # Errors
    /// [`ChatError::Unusable`] where it is no Jinja or too long.
    pub fn new(jinja: &str, tokens: BTreeMap<String, String>) -> Result<ChatTemplate, ChatError> {
        if jinja.len() > SOURCE_BYTES_MAX {
            let bytes = jinja.len();
            return Err(ChatError::Unusable(format!("it has {bytes} bytes, expected at most {SOURCE_BYTES_MAX}")));
        }
        let mut environment = Environment::new();
        environment.remove_global("debug");
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(unusable)?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(python_format);
        python::add(&mut environment);
        environment.add_function("raise_exception", |reason: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, reason))
        });
        // A block that marks the model's words for training writes them like any other.
        let source = python::with_percent(&without_generation_marks(jinja));
        environment.add_template_owned(DEFAULT_TEMPLATE, source).map_err(unusable)?;
        Ok(ChatTemplate { environment, tokens })
    }

    /// The text of a conversation; with `answer`, it ends where the model's answer begins.
    ///
    /// Contents are taken as they are: markers in them count as markers, as in `transformers`.
    ///
    /// # Errors
    /// [`ChatError::Unusable`] with what Jinja or the template itself says.
    pub fn render(&self, messages: &[Message], answer: bool) -> Result<String, ChatError> {
        let message = |message: &Message| {
            let pairs = [("role", message.role.name()), ("content", message.content.as_str())];
            Value::from_pairs(pairs.map(|(key, text)| (key, Value::from(text))))
        };
        let mut context: Vec<(&str, Value)> = vec![
            ("messages", messages.iter().map(message).collect()),
            ("add_generation_prompt", answer.into()),
            ("tools", ().into()),
            ("documents", ().into()),
        ];
        context.extend(self.tokens.iter().map(|(name, text)| (name.as_str(), Value::from(text.as_str()))));
        let given: usize = messages.iter().map(|message| message.content.len()).sum();
        let mut text = Bounded { bytes: Vec::new(), limit: OUTPUT_BYTES_MAX.saturating_add(given.saturating_mul(2)) };
        let template = self.environment.get_template(DEFAULT_TEMPLATE).map_err(unusable)?;
        template.render_captured_to(Value::from_pairs(context), &mut text).map_err(unusable)?;
        String::from_utf8(text.bytes).map_err(|error| ChatError::Unusable(error.to_string()))
    }
}

/// A text that may not grow without end.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::Error::other(format!("its text is longer than {} bytes", self.limit)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unusable(error: Error) -> ChatError {
    let mut said = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        said += &format!(": {cause}");
        source = cause.source();
    }
    ChatError::Unusable(said)
}

/// `{% generation %}` and its end, which change no text, as blocks that Jinja knows.
fn without_generation_marks(jinja: &str) -> String {
    let mut source = String::with_capacity(jinja.len());
    let mut rest = jinja;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let (before, block) = (&rest[..start], &rest[start..start + length + 2]);
        source.push_str(before);
        match block.trim_matches(['{', '}', '%', '-', '+']).trim() {
            "generation" => source.push_str(&block.replace("generation", "if true")),
            "endgeneration" => source.push_str(&block.replace("endgeneration", "endif")),
            _ => source.push_str(block),
        }
        rest = &rest[start + length + 2..];
    }
    source.push_str(rest);
    source
}

/// Values as Python writes them.
fn python_format(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let written = match value.kind() {
        ValueKind::None | ValueKind::Bool | ValueKind::Number => out.write_str(&python::written(value)),
        ValueKind::Undefined => Ok(()),
        _ => write!(out, "{value}"),
    };
    written.map_err(|error| Error::new(ErrorKind::WriteFailure, error.to_string()))
}

#[cfg(test)]
mod tests;
