//! What a person sees while a run goes on: lines and bars on standard error, nothing in `--json` mode.

use indicatif::{ProgressBar, ProgressStyle};
use sip_data::shown_up_to;
use std::io::Write;
use std::time::Duration;

/// A number with its noun: "1 segment", "3 segments".
pub(crate) fn count(number: impl std::fmt::Display, noun: &str) -> String {
    let number = number.to_string();
    if number == "1" { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A line of progress shows no more than this.
const LINE_CHARS: usize = 2000;

/// Writes a line to standard error. Whoever no longer reads needs none: a run goes on without a reader.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Where progress goes.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    quiet: bool,
}

impl Progress {
    /// Shows nothing if `quiet`.
    pub(crate) fn new(quiet: bool) -> Progress {
        Progress { quiet }
    }

    /// A headline: what begins now.
    pub(crate) fn stage(&self, text: &str) {
        if !self.quiet {
            say(&format!("\n{}", shown_up_to(text, LINE_CHARS)));
        }
    }

    /// A fact under the headline.
    pub(crate) fn line(&self, text: &str) {
        if !self.quiet {
            say(&format!("  {}", shown_up_to(text, LINE_CHARS)));
        }
    }

    /// A bar over `length` units with a message; it vanishes when finished.
    pub(crate) fn bar(&self, length: u64, message: &str) -> ProgressBar {
        if self.quiet {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(length);
        if let Ok(style) = ProgressStyle::with_template("  {msg:34} [{bar:28}] {pos}/{len} {elapsed} left {eta}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(message.to_string());
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }
}
