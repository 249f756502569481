//! What a person sees while a run goes on: lines and bars on standard error, nothing in `--json` mode.

use sip_data::shown_up_to;

use crate::screen::{Bar, say};
use crate::terminal::{Stream, fitted};

/// A number with its noun: "1 segment", "3 segments".
pub fn count(number: impl std::fmt::Display, noun: &str) -> String {
    let number = number.to_string();
    if number == "1" { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A line of progress shows no more than this.
const LINE_CHARS: usize = 2000;

/// Where progress goes.
#[derive(Clone, Copy)]
pub struct Progress {
    quiet: bool,
}

impl Progress {
    /// Shows nothing if `quiet`.
    pub fn new(quiet: bool) -> Progress {
        Progress { quiet }
    }

    /// A headline: what begins now.
    pub fn stage(&self, text: &str) {
        if !self.quiet {
            say(&format!("\n{}", fitted(&shown_up_to(text, LINE_CHARS), Stream::Error, 2)));
        }
    }

    /// A fact under the headline.
    pub fn line(&self, text: &str) {
        if !self.quiet {
            say(&fitted(&format!("  {}", shown_up_to(text, LINE_CHARS)), Stream::Error, 2));
        }
    }

    /// A bar over `length` units with a message, where standard error is a terminal; it vanishes when it is dropped.
    pub fn bar(&self, length: u64, message: &str) -> Bar {
        if self.quiet { Bar::hidden() } else { Bar::new(length, message) }
    }
}
