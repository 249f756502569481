//! A network on one machine: a chain and its people, each a process with a folder and a key of its own.
//!
//! Everybody is begun by the commands that a stranger types on another machine. [`begin`] starts who does not run, [`follow`] tells what happens in the job,
//! and [`Network`] is the file that knows who runs where.

mod begin;
mod network;
mod process;
mod teller;
mod watch;

pub use begin::begin;
pub use network::{Chain, Network, Person, Wanted};
pub use process::Process;
pub use teller::Teller;
pub use watch::{Far, far, follow};

use anyhow::{Result, bail};

/// Refuses what only systems with signals and groups of processes can do.
fn require_unix() -> Result<()> {
    if cfg!(unix) { Ok(()) } else { bail!("sip network runs on Linux, macOS and other systems of their kind") }
}
