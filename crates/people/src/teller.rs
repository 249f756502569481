//! What is told while a network begins and runs.

use anyhow::Result;
use sip_report::terminal::{Stream, fitted};
use std::io::Write as _;

/// Where lines for people and objects for programs go.
pub struct Teller {
    /// Whether objects are told, one a line.
    pub json: bool,
}

impl Teller {
    /// A line for people, and for programs an object.
    ///
    /// # Errors
    /// Where nobody reads.
    pub fn tell(&self, line: &str, event: &serde_json::Value) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match self.json {
            true => writeln!(out, "{event}")?,
            false => writeln!(out, "{}", fitted(line, Stream::Output, 4))?,
        }
        Ok(out.flush()?)
    }

    /// A line for people alone, which is not broken however long it is.
    ///
    /// # Errors
    /// Where nobody reads.
    pub fn line(&self, line: &str) -> Result<()> {
        if self.json { Ok(()) } else { Ok(writeln!(std::io::stdout(), "{line}")?) }
    }

    /// A line for people alone.
    ///
    /// # Errors
    /// Where nobody reads.
    pub fn say(&self, line: &str) -> Result<()> {
        if self.json { Ok(()) } else { Ok(writeln!(std::io::stdout(), "{}", fitted(line, Stream::Output, 4))?) }
    }
}
