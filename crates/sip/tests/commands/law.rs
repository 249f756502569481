//! The one schema of what commands print with `--json`, as docs/commands.md states it.

use serde_json::Value;

/// Endings of keys whose values are amounts: texts of digits.
const AMOUNTS: [&str; 3] = ["BaseUnits", "Lamports", "Shares"];
/// Endings of keys whose values are numbers.
const NUMBERS: [&str; 10] =
    ["Bps", "Billionths", "MicroNats", "Slot", "Slots", "Seconds", "Milliseconds", "Bytes", "Tokens", "Rounds"];

/// Fails where something of it breaks the schema.
pub(crate) fn keeps(what: &str, value: &Value) {
    walk(what, "", value);
}

fn ends_in(key: &str, endings: &[&str]) -> bool {
    // "shares" alone ends in its unit as well.
    endings.iter().any(|ending| key.ends_with(ending) || key.eq_ignore_ascii_case(ending))
}

fn walk(what: &str, key: &str, value: &Value) {
    let told = || format!("{what}: {key}: {value}");
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let is_camel =
                    key.chars().all(|char| char.is_ascii_alphanumeric()) && !key.starts_with(char::is_uppercase);
                assert!(is_camel, "{what}: the key {key}");
                walk(what, key, value);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(what, key, value)),
        Value::String(text) => {
            let is_digits = text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit());
            // Of a change the unit stands beside it.
            let is_amount = ends_in(key, &AMOUNTS) || ["before", "after"].contains(&key);
            assert!(!text.is_empty() && (!is_digits || is_amount), "{}", told());
            assert!(is_digits || !ends_in(key, &AMOUNTS), "{}", told());
            assert!(!ends_in(key, &NUMBERS), "{}", told());
            assert!(!["yes", "no", "true", "false", "none", "nothing", "–"].contains(&text.as_str()), "{}", told());
            let parts: Vec<&str> = text.split(" of ").collect();
            let is_number = |part: &&str| part.parse::<f64>().is_ok();
            assert!(parts.len() != 2 || !parts.iter().all(is_number), "{}", told());
        }
        Value::Number(_) => assert!(!ends_in(key, &AMOUNTS), "{}", told()),
        Value::Bool(_) | Value::Null => {}
    }
}

#[test]
fn the_schema_is_more_than_nothing() {
    for (is_lawful, text) in [
        (true, r#"{"feeLamports":"5000","round":1,"isOwn":true,"seats":[{"pool":"P"}],"tokensBaseUnits":"-5"}"#),
        (false, r#"{"fee_lamports":"5000"}"#),
        (false, r#"{"feeLamports":5000}"#),
        (false, r#"{"rounds":"2 of 2"}"#),
        (false, r#"{"rewarded":"yes"}"#),
        (false, r#"{"phase":""}"#),
        (false, r#"{"score":"12"}"#),
        (false, r#"{"untilSlot":"12 (in 5 s)"}"#),
    ] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(std::panic::catch_unwind(|| keeps("a text", &value)).is_ok(), is_lawful, "{text}");
    }
}
