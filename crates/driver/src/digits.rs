//! Amounts in JSON: texts of decimal digits, since they may be more than 2⁵³.

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};
use std::fmt::Display;
use std::str::FromStr;

/// Writes an amount.
pub(crate) fn serialize<T: Display, S: Serializer>(amount: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

/// Reads an amount.
pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom(format!("\"{text}\" is no amount")))
}

/// Amounts that may be unknown.
pub(crate) mod option {
    use super::{Deserializer, Display, FromStr, Serializer};
    use serde::Deserialize as _;
    use serde::de::Error as _;

    /// Writes an amount, or nothing.
    pub(crate) fn serialize<T: Display, S: Serializer>(amount: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match amount {
            Some(amount) => serializer.collect_str(amount),
            None => serializer.serialize_none(),
        }
    }

    /// Reads an amount, or nothing.
    pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let parsed = text.map(|text| text.parse().map_err(|_| D::Error::custom(format!("\"{text}\" is no amount"))));
        parsed.transpose()
    }
}
