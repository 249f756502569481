//! The rotary settings of `config.json`, in both layouts that `transformers` has written.
//!
//! Version 4 has `rope_theta` at the top and the stretch in `rope_scaling`; version 5 has both in `rope_parameters`. What stands inside
//! comes before what stands at the top, but for `original_max_position_embeddings`, of which the top comes first. Values that
//! contradict each other are refused, and so are keys that nobody would read.

use std::path::Path;

use serde_json::{Map, Value};

use super::ExportError;
use crate::config::RopeScaling;

/// What a file without `rope_theta` means.
const DEFAULT_ROPE_THETA: f32 = 10_000.0;
/// What a file without `beta_fast` means.
pub(crate) const YARN_BETA_FAST: f32 = 32.0;
/// What a file without `beta_slow` means.
pub(crate) const YARN_BETA_SLOW: f32 = 1.0;

/// Keys that every kind of rope may have: what it is, and what is read for all kinds or changes none.
const COMMON_KEYS: [&str; 6] =
    ["rope_type", "type", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings", "finetuned"];

/// The base of the frequencies, and how they are stretched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rope {
    pub theta: f32,
    pub scaling: Option<RopeScaling>,
}

/// The keys of the file that decide about it.
pub(super) struct Keys<'a> {
    pub path: &'a Path,
    pub theta: &'a Value,
    pub scaling: &'a Value,
    pub parameters: &'a Value,
    pub partial: &'a Value,
    pub original: &'a Value,
    pub max_seq_len: usize,
}

impl Keys<'_> {
    /// What the keys say together.
    ///
    /// # Errors
    /// Values that contradict each other, keys and kinds that are not read.
    pub(super) fn resolve(&self) -> Result<Rope, ExportError> {
        self.whole("partial_rotary_factor", self.partial)?;
        let mut found: Option<(&str, Rope)> = None;
        for (name, value) in [("rope_scaling", self.scaling), ("rope_parameters", self.parameters)] {
            let settings = match value {
                Value::Null => continue,
                Value::Object(settings) if settings.is_empty() => continue,
                Value::Object(settings) => settings,
                other => return Err(self.unsupported(name, other, "an object")),
            };
            let rope = Inside { keys: self, name, settings }.read()?;
            match found {
                Some((before, other)) if other != rope => {
                    return Err(self.contradiction(format!("{before} asks for another rope than {name}")));
                }
                _ => found = Some((name, rope)),
            }
        }
        match found {
            Some((_, rope)) => Ok(rope),
            None => Ok(Rope { theta: self.theta()?.unwrap_or(DEFAULT_ROPE_THETA), scaling: None }),
        }
    }

    fn theta(&self) -> Result<Option<f32>, ExportError> {
        self.number("rope_theta", self.theta)
    }

    fn number(&self, key: &str, value: &Value) -> Result<Option<f32>, ExportError> {
        match value {
            Value::Null => Ok(None),
            Value::Number(number) => Ok(number.as_f64().map(|number| number as f32)),
            other => Err(self.unsupported(key, other, "a number")),
        }
    }

    fn length(&self, key: &str, value: &Value) -> Result<Option<usize>, ExportError> {
        match value {
            Value::Null => Ok(None),
            // Some files have 8192.0.
            Value::Number(number) => match number.as_f64() {
                Some(length) if length >= 1.0 && length.fract() == 0.0 && length < 1e15 => Ok(Some(length as usize)),
                _ => Err(self.unsupported(key, value, "a number of tokens")),
            },
            other => Err(self.unsupported(key, other, "a number of tokens")),
        }
    }

    fn whole(&self, key: &str, share: &Value) -> Result<(), ExportError> {
        match share.is_null() || share.as_f64() == Some(1.0) {
            true => Ok(()),
            false => Err(self.unsupported(key, share, "1 (all of a head is rotated)")),
        }
    }

    fn unsupported(&self, key: &str, found: &Value, expected: &str) -> ExportError {
        let (path, key, expected) = (self.path.to_owned(), key.to_owned(), expected.to_owned());
        ExportError::Unsupported { path, key, found: found.to_string(), expected }
    }

    fn contradiction(&self, reason: String) -> ExportError {
        ExportError::Contradiction { path: self.path.to_owned(), reason }
    }
}

/// One of the two objects.
struct Inside<'a> {
    keys: &'a Keys<'a>,
    name: &'a str,
    settings: &'a Map<String, Value>,
}

impl Inside<'_> {
    fn read(&self) -> Result<Rope, ExportError> {
        let kind = self.kind()?;
        let own: &[&str] = match kind {
            "default" => &[],
            "linear" => &["factor"],
            "llama3" => &["factor", "low_freq_factor", "high_freq_factor"],
            "yarn" => &["factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"],
            _ => {
                let found = Value::Object(self.settings.clone());
                return Err(self.keys.unsupported(self.name, &found, "rope_type default, linear, llama3 or yarn"));
            }
        };
        let is_read = |key: &&String| own.contains(&key.as_str()) || COMMON_KEYS.contains(&key.as_str());
        let given = self.settings.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key);
        if let Some(key) = given.clone().find(|key| !is_read(key)) {
            return Err(ExportError::Unread {
                path: self.keys.path.to_owned(),
                key: format!("{}.{key}", self.name),
                reason: format!("a rope of type {kind} does not have it"),
            });
        }
        self.keys.whole(&self.key("partial_rotary_factor"), self.value("partial_rotary_factor"))?;
        Ok(Rope { theta: self.theta()?, scaling: self.scaling(kind)? })
    }

    fn value(&self, key: &str) -> &Value {
        self.settings.get(key).unwrap_or(&Value::Null)
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn number(&self, key: &str) -> Result<Option<f32>, ExportError> {
        self.keys.number(&self.key(key), self.value(key))
    }

    fn required(&self, key: &str) -> Result<f32, ExportError> {
        let found = Value::Object(self.settings.clone());
        self.number(key)?.ok_or_else(|| self.keys.unsupported(self.name, &found, &format!("a rope with a {key}")))
    }

    fn kind(&self) -> Result<&str, ExportError> {
        let [new, old] = [self.value("rope_type"), self.value("type")];
        if !new.is_null() && !old.is_null() && new != old {
            let name = self.name;
            return Err(self.keys.contradiction(format!("{name}.rope_type is {new} and {name}.type is {old}")));
        }
        match if new.is_null() { old } else { new } {
            Value::Null => Ok("default"),
            Value::String(kind) => Ok(kind),
            other => Err(self.keys.unsupported(&self.key("rope_type"), other, "a text")),
        }
    }

    fn theta(&self) -> Result<f32, ExportError> {
        let (inner, outer) = (self.number("rope_theta")?, self.keys.theta()?);
        match (inner, outer) {
            (Some(inner), Some(outer)) if inner != outer => {
                let name = self.name;
                Err(self.keys.contradiction(format!("{name}.rope_theta is {inner} and rope_theta is {outer}")))
            }
            _ => Ok(inner.or(outer).unwrap_or(DEFAULT_ROPE_THETA)),
        }
    }

    /// The longest sequence of the first training, where the file names it.
    fn original(&self) -> Result<Option<usize>, ExportError> {
        const KEY: &str = "original_max_position_embeddings";
        let inner = self.keys.length(&self.key(KEY), self.value(KEY))?;
        let outer = self.keys.length(KEY, self.keys.original)?;
        match (inner, outer) {
            (Some(inner), Some(outer)) if inner != outer => {
                Err(self.keys.contradiction(format!("{}.{KEY} is {inner} and {KEY} is {outer}", self.name)))
            }
            _ => Ok(outer.or(inner)),
        }
    }

    fn scaling(&self, kind: &str) -> Result<Option<RopeScaling>, ExportError> {
        let max_seq_len = self.keys.max_seq_len;
        Ok(match kind {
            "linear" => Some(RopeScaling::Linear { factor: self.required("factor")? }),
            "llama3" => Some(RopeScaling::Llama3 {
                factor: self.required("factor")?,
                low_freq_factor: self.required("low_freq_factor")?,
                high_freq_factor: self.required("high_freq_factor")?,
                original_max_seq_len: self.original()?.unwrap_or(max_seq_len),
            }),
            "yarn" => {
                let original = self.original()?;
                let ratio = original.map(|original| max_seq_len as f32 / original as f32);
                let factor = match self.number("factor")?.or(ratio) {
                    Some(factor) => factor,
                    None => self.required("factor")?,
                };
                let scales = [self.number("mscale")?, self.number("mscale_all_dim")?];
                let truncate = match self.value("truncate") {
                    Value::Null => true,
                    Value::Bool(truncate) => *truncate,
                    other => return Err(self.keys.unsupported(&self.key("truncate"), other, "true or false")),
                };
                Some(RopeScaling::Yarn {
                    factor,
                    attention_factor: match self.number("attention_factor")? {
                        Some(factor) => factor,
                        None => yarn_attention_factor(factor, scales),
                    },
                    beta_fast: self.number("beta_fast")?.unwrap_or(YARN_BETA_FAST),
                    beta_slow: self.number("beta_slow")?.unwrap_or(YARN_BETA_SLOW),
                    original_max_seq_len: original.unwrap_or(max_seq_len),
                    truncate,
                })
            }
            _ => None,
        })
    }
}

/// The factor of cosines and sines that the paper suggests; `scales` are `mscale` and `mscale_all_dim`.
pub(crate) fn yarn_attention_factor(factor: f32, scales: [Option<f32>; 2]) -> f32 {
    let scale = |weight: f32| match factor > 1.0 {
        true => 0.1 * f64::from(weight) * libm::log(f64::from(factor)) + 1.0,
        false => 1.0,
    };
    match scales {
        [Some(one), Some(all)] if one != 0.0 && all != 0.0 => (scale(one) / scale(all)) as f32,
        _ => scale(1.0) as f32,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a file with these keys says; the model is made for 256 tokens.
    fn resolve(file: &Value) -> Result<Rope, String> {
        let key = |key: &str| file.get(key).unwrap_or(&Value::Null);
        let keys = Keys {
            path: Path::new("config.json"),
            theta: key("rope_theta"),
            scaling: key("rope_scaling"),
            parameters: key("rope_parameters"),
            partial: key("partial_rotary_factor"),
            original: key("original_max_position_embeddings"),
            max_seq_len: 256,
        };
        keys.resolve().map_err(|error| error.to_string())
    }

    #[test]
    fn the_base_is_found_wherever_transformers_finds_it() {
        let plain = |theta| Ok(Rope { theta, scaling: None });
        assert_eq!(resolve(&json!({})), plain(10_000.0));
        assert_eq!(resolve(&json!({ "rope_theta": 5 })), plain(5.0));
        assert_eq!(resolve(&json!({ "rope_parameters": { "rope_theta": 5e5 } })), plain(5e5));
        let inside = json!({ "rope_scaling": { "type": "linear", "factor": 2, "rope_theta": 5e5 } });
        let linear = Some(RopeScaling::Linear { factor: 2.0 });
        assert_eq!(resolve(&inside), Ok(Rope { theta: 5e5, scaling: linear }));
        let both = json!({ "rope_theta": 5e5, "rope_scaling": { "type": "linear", "factor": 2 },
            "rope_parameters": { "rope_type": "linear", "factor": 2.0, "rope_theta": 5e5 } });
        assert_eq!(resolve(&both), Ok(Rope { theta: 5e5, scaling: linear }));
    }

    #[test]
    fn the_original_length_at_the_top_counts() {
        let original = |file: Value| match resolve(&file).map(|rope| rope.scaling) {
            Ok(Some(
                RopeScaling::Llama3 { original_max_seq_len, .. } | RopeScaling::Yarn { original_max_seq_len, .. },
            )) => original_max_seq_len,
            other => panic!("{other:?}"),
        };
        let llama3 = json!({ "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4 });
        assert_eq!(original(json!({ "rope_scaling": llama3 })), 256);
        assert_eq!(original(json!({ "rope_scaling": llama3, "original_max_position_embeddings": 64 })), 64);
        let mut inner = llama3.clone();
        inner["original_max_position_embeddings"] = 64.0.into();
        assert_eq!(original(json!({ "rope_parameters": inner })), 64);
        let yarn = json!({ "rope_parameters": { "rope_type": "yarn", "factor": null }, "original_max_position_embeddings": 64 });
        assert_eq!(original(yarn.clone()), 64);
        let Some(RopeScaling::Yarn { factor, .. }) = resolve(&yarn).unwrap().scaling else { panic!() };
        assert_eq!(factor, 4.0);
    }

    #[test]
    fn contradictions_and_keys_that_are_not_read_are_refused_by_name() {
        for (file, words) in [
            (
                json!({ "rope_theta": 5e5, "rope_parameters": { "rope_theta": 1e4 } }),
                "rope_parameters.rope_theta is 10000 and rope_theta is 500000",
            ),
            (json!({ "rope_scaling": { "type": "linear", "rope_type": "yarn" } }), "rope_scaling.type is \"linear\""),
            (
                json!({ "rope_scaling": { "type": "linear", "factor": 2 }, "rope_parameters": { "rope_theta": 1e4 } }),
                "rope_scaling asks for another rope than rope_parameters",
            ),
            (
                json!({ "original_max_position_embeddings": 8, "rope_scaling": { "type": "yarn", "factor": 2, "original_max_position_embeddings": 9 } }),
                "original_max_position_embeddings is 9",
            ),
            (
                json!({ "rope_scaling": { "rope_type": "linear", "factor": 2, "low_freq_factor": 1 } }),
                "rope_scaling.low_freq_factor",
            ),
            (json!({ "rope_scaling": { "factor": 2 } }), "rope_scaling.factor"),
            (
                json!({ "rope_parameters": { "full_attention": { "rope_theta": 1e4 } } }),
                "rope_parameters.full_attention",
            ),
            (
                json!({ "rope_scaling": { "rope_type": "dynamic", "factor": 2 } }),
                "rope_type default, linear, llama3 or yarn",
            ),
            (json!({ "rope_scaling": { "rope_type": "linear", "factor": "2" } }), "rope_scaling.factor is \"2\""),
            (json!({ "rope_scaling": { "rope_type": "linear" } }), "a rope with a factor"),
            (json!({ "rope_scaling": 3 }), "rope_scaling is 3"),
            (json!({ "partial_rotary_factor": 0.5 }), "partial_rotary_factor is 0.5"),
            (
                json!({ "rope_parameters": { "partial_rotary_factor": 0.5 } }),
                "rope_parameters.partial_rotary_factor is 0.5",
            ),
        ] {
            let said = resolve(&file).unwrap_err();
            assert!(said.contains(words), "{file}: {said}");
        }
    }
}
