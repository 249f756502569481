//! What a person sees while a run goes on: lines and bars on standard error, nothing in `--json` mode.

use indicatif::{ProgressBar, ProgressStyle};
use sip_data::shown_up_to;
use std::io::Write;
use std::time::Duration;

use crate::terminal::{Stream, columns, fitted};

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

/// Columns from which on a bar says all that it can, and from which on it says when it will be full.
const WIDE: usize = 100;
const NARROW: usize = 60;

/// Writes a line to standard error. A reader that is gone needs none: a run goes on without one.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

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

    /// A bar over `length` units with a message; it vanishes when finished.
    pub fn bar(&self, length: u64, message: &str) -> ProgressBar {
        if self.quiet {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(length);
        // No line is longer than the terminal: what is wrapped is not taken away again.
        let template = match columns(Stream::Error).unwrap_or(WIDE) {
            WIDE.. => "  {msg:34} [{bar:28}] {pos}/{len} {elapsed} left {eta}",
            NARROW.. => "  {msg:24!} [{wide_bar}] {pos}/{len} left {eta}",
            _ => "  {msg:12!} [{wide_bar}] {pos}/{len}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(message.to_string());
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }
}
