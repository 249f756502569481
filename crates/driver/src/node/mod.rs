//! A node: one process that plays roles in a job over a chain elsewhere, and serves what it has to others.

mod announce;
mod hold;
mod join;
mod pace;
mod page;
mod peers;
mod ready;
mod room;
mod runner;
mod setup;
mod status;
mod tell;
mod turns;
mod waits;

pub use hold::SEATS_PATIENCE;
pub use join::timed_step;
pub use pace::Pace;
pub use page::Page;
pub use peers::{Peers, unreachable};
pub use ready::Lacking;
pub use room::{UNASKED_BYTES, text_bytes};
pub use runner::{PEERS_EVERY, Runner};
pub use setup::{Ended, MakeCheat, Setup};
pub use status::{Awaited, RoundBooks, State, Status, awaited, phase_name};
pub use tell::status_path;
pub use waits::{OwnSeat, Wait, seats, state_words, wait};
