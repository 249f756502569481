//! Ctrl-C.

use anyhow::{Context, Result};
use sip_manifest::stop::Stop;

/// A wish to stop that Ctrl-C makes; a second one ends the process at once.
///
/// # Errors
/// The system's, where nobody can listen to Ctrl-C.
pub fn stop_on_interrupt() -> Result<Stop> {
    let stop = Stop::default();
    let asked = stop.clone();
    ctrlc::set_handler(move || {
        if asked.ask() {
            std::process::exit(130);
        }
        sip_report::say("stopping; Ctrl-C again stops at once");
    })
    .context("cannot listen to Ctrl-C")?;
    Ok(stop)
}
