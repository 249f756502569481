//! JSON that is written in the order in which it was put together, so that the file changes only where a declaration does.

use std::fmt::Write;

/// A value.
pub(crate) enum Json {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<Json>),
    /// Named values, in order.
    Object(Vec<(&'static str, Json)>),
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<usize> for Json {
    fn from(value: usize) -> Json {
        Json::Number(value as u64)
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Json {
        Json::Number(value)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Json {
        Json::Text(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Json {
        Json::Text(value)
    }
}

impl From<Vec<Json>> for Json {
    fn from(values: Vec<Json>) -> Json {
        Json::List(values)
    }
}

/// A node of Codama: its kind, then its fields.
pub(crate) fn node<const N: usize>(kind: &'static str, fields: [(&'static str, Json); N]) -> Json {
    Json::Object([("kind", kind.into())].into_iter().chain(fields).collect())
}

impl Json {
    /// The same node with one field more, if there is one.
    pub(crate) fn with(mut self, name: &'static str, value: Option<Json>) -> Json {
        if let (Json::Object(fields), Some(value)) = (&mut self, value) {
            fields.push((name, value));
        }
        self
    }

    /// The file: two spaces a level, what is short on one line.
    pub(crate) fn written(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text.push('\n');
        text
    }

    fn write(&self, text: &mut String, depth: usize) {
        let line = self.on_one_line();
        if line.len() + 2 * depth <= 120 {
            text.push_str(&line);
            return;
        }
        let indent = "  ".repeat(depth + 1);
        match self {
            Json::List(values) => {
                text.push_str("[\n");
                for (place, value) in values.iter().enumerate() {
                    text.push_str(&indent);
                    value.write(text, depth + 1);
                    text.push_str(if place + 1 < values.len() { ",\n" } else { "\n" });
                }
                let _ = write!(text, "{}]", "  ".repeat(depth));
            }
            Json::Object(fields) => {
                text.push_str("{\n");
                for (place, (name, value)) in fields.iter().enumerate() {
                    let _ = write!(text, "{indent}\"{name}\": ");
                    value.write(text, depth + 1);
                    text.push_str(if place + 1 < fields.len() { ",\n" } else { "\n" });
                }
                let _ = write!(text, "{}}}", "  ".repeat(depth));
            }
            _ => text.push_str(&line),
        }
    }

    fn on_one_line(&self) -> String {
        match self {
            Json::Bool(value) => value.to_string(),
            Json::Number(value) => value.to_string(),
            Json::Text(value) => quoted(value),
            Json::List(values) => {
                format!("[{}]", values.iter().map(Json::on_one_line).collect::<Vec<_>>().join(", "))
            }
            Json::Object(fields) => {
                let field = |(name, value): &(&str, Json)| format!("\"{name}\": {}", value.on_one_line());
                format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '\n' => text.push_str("\\n"),
            control if (control as u32) < 0x20 => {
                let _ = write!(text, "\\u{:04x}", control as u32);
            }
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_stand_on_one_line_and_long_ones_on_several() {
        let short = node("a", [("text", "q\"\\\n".into()), ("list", vec![Json::from(1u64), true.into()].into())]);
        assert_eq!(short.written(), "{\"kind\": \"a\", \"text\": \"q\\\"\\\\\\n\", \"list\": [1, true]}\n");
        let long = node("b", [("list", vec![Json::from("x".repeat(70)), "y".repeat(70).into()].into())]);
        assert_eq!(long.written().lines().count(), 7);
    }
}
