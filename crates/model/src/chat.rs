//! Conversations as the text that an instruction-tuned model was trained on.
//!
//! Model files say how in Jinja, a programming language. It is not run here: the templates that are known are
//! recognised by their text, and written out by a function.

use thiserror::Error;

/// Where the default system message stands in the template of SmolLM2-Instruct.
const SYSTEM_BEFORE: &str =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n";
const SYSTEM_AFTER: &str = "<|im_end|>\n' }}{% endif %}";
/// The rest of that template, and all of it in ChatML without a default.
const MESSAGES: &str =
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}";
const GENERATION: &str = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const LOOP: &str = "{% for message in messages %}";

/// An error shows this much of a template.
const CHARS_SHOWN: usize = 80;

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

/// How a conversation becomes text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatTemplate {
    /// `<|im_start|>role\ncontent<|im_end|>\n` for every message.
    ChatMl {
        /// Stands before conversations that begin without a system message.
        default_system: Option<String>,
    },
}

/// Why conversations cannot be written for a model.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChatError {
    /// The model's files have no template.
    #[error("the model has no chat template: give it plain text, or use an instruction-tuned model")]
    Missing,
    /// The template is none of those that are known.
    #[error("the model's chat template is not known here, expected ChatML as in SmolLM2-Instruct; it begins {0:?}")]
    Unknown(String),
}

impl ChatTemplate {
    /// Recognises a template by its text in Jinja.
    ///
    /// # Errors
    /// [`ChatError::Unknown`] with the beginning of the text.
    pub fn recognise(jinja: &str) -> Result<ChatTemplate, ChatError> {
        let unknown = || ChatError::Unknown(jinja.chars().take(CHARS_SHOWN).collect());
        // Some writers keep line ends as the two characters of an escape.
        let text = jinja.replace("\\n", "\n");
        let text = text.trim_end().strip_suffix(GENERATION).ok_or_else(unknown)?;
        let text = text.strip_suffix(MESSAGES).ok_or_else(unknown)?;
        if text == LOOP {
            return Ok(ChatTemplate::ChatMl { default_system: None });
        }
        let system = text.strip_prefix(SYSTEM_BEFORE).and_then(|text| text.strip_suffix(SYSTEM_AFTER));
        match system {
            Some(system) if !system.contains(['\'', '\\', '{', '}']) => {
                Ok(ChatTemplate::ChatMl { default_system: Some(system.to_owned()) })
            }
            _ => Err(unknown()),
        }
    }

    /// The template in Jinja, for other tools.
    pub fn to_jinja(&self) -> String {
        let ChatTemplate::ChatMl { default_system } = self;
        let text = match default_system {
            Some(system) => format!("{SYSTEM_BEFORE}{system}{SYSTEM_AFTER}{MESSAGES}{GENERATION}"),
            None => format!("{LOOP}{MESSAGES}{GENERATION}"),
        };
        text.replace('\n', "\\n")
    }

    /// The text of a conversation; with `answer`, it ends where the model's answer begins.
    ///
    /// Contents are taken as they are: markers in them count as markers, as in `transformers`.
    pub fn render(&self, messages: &[Message], answer: bool) -> String {
        let ChatTemplate::ChatMl { default_system } = self;
        let mut text = String::new();
        let mut add = |role: Role, content: &str| {
            text.push_str(&format!("<|im_start|>{}\n{content}<|im_end|>\n", role.name()));
        };
        let first = messages.first().map(|message| message.role);
        if let (Some(system), Some(Role::User | Role::Assistant)) = (default_system, first) {
            add(Role::System, system);
        }
        for message in messages {
            add(message.role, &message.content);
        }
        if answer {
            text.push_str("<|im_start|>assistant\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
        {{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}\
        {% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    #[test]
    fn the_template_of_smollm2_is_recognised_and_written_as_transformers_does() {
        let template = ChatTemplate::recognise(SMOLLM2).unwrap();
        let greeting = [Message::new(Role::User, "Hello")];
        assert_eq!(
            template.render(&greeting, true),
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
             <|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
        );
        let talk = [Message::new(Role::System, "Be brief."), Message::new(Role::Assistant, "Yes.")];
        assert_eq!(
            template.render(&talk, false),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n"
        );
        assert_eq!(ChatTemplate::recognise(&template.to_jinja()), Ok(template));
    }

    #[test]
    fn chatml_without_a_default_is_recognised() {
        let template = ChatTemplate::ChatMl { default_system: None };
        assert_eq!(ChatTemplate::recognise(&template.to_jinja()), Ok(template.clone()));
        assert_eq!(template.render(&[Message::new(Role::User, "a")], false), "<|im_start|>user\na<|im_end|>\n");
        assert_eq!(template.render(&[], true), "<|im_start|>assistant\n");
    }

    #[test]
    fn other_templates_are_refused_with_their_beginning() {
        let changed = SMOLLM2.replace("'<|im_end|>' +", "eos_token +");
        let code = SMOLLM2.replace("trained by", "' + raise_exception('no') + '");
        for other in ["", "{{ bos_token }}{% for m in messages %}", &changed, &code] {
            let error = ChatTemplate::recognise(other).unwrap_err();
            assert!(matches!(&error, ChatError::Unknown(text) if other.starts_with(text.as_str())), "{error}");
        }
    }
}
