//! Numbers among the words of a command: what is out of its bounds is said before anything is read.

use clap::builder::RangedU64ValueParser;
use sip_data::WrongWords;
use std::ops::RangeInclusive;

/// The error of words that are wrong together, or for what they name.
pub fn wrong(said: impl Into<String>) -> anyhow::Error {
    WrongWords(said.into()).into()
}

/// A number within bounds.
fn number(text: &str, bounds: RangeInclusive<f64>) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    match bounds.contains(&number) {
        true => Ok(number),
        false => Err(format!("expected {} to {}", bounds.start(), bounds.end())),
    }
}

/// Parts of a hundred.
pub fn percent(text: &str) -> Result<f64, String> {
    number(text, 0.0..=100.0)
}

/// An amount that a simulation computes with.
pub fn simulated_sip(text: &str) -> Result<f64, String> {
    number(text, 1e-6..=1e9)
}

/// A whole number within bounds.
pub fn count(bounds: RangeInclusive<u64>) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::<usize>::new().range(bounds)
}

/// 0 or more.
pub fn temperature(text: &str) -> Result<f32, String> {
    number(text, 0.0..=f64::from(f32::MAX)).map(|number| number as f32).map_err(|_| "expected 0 or more".into())
}

/// Above 0.
pub fn positive(text: &str) -> Result<f32, String> {
    match number(text, 0.0..=f64::from(f32::MAX)).map(|number| number as f32) {
        Ok(number) if number > 0.0 => Ok(number),
        _ => Err("expected a number above 0".into()),
    }
}

/// Above 0 and at most 1.
pub fn share(text: &str) -> Result<f32, String> {
    match number(text, 0.0..=1.0).map(|number| number as f32) {
        Ok(number) if number > 0.0 => Ok(number),
        _ => Err("expected a number above 0 and at most 1".into()),
    }
}
