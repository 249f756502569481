//! What accounts say, in rows for people and programs: each thing by its name, with its value and its unit; and what manifests and graphs hold.
//!
//! A file for each kind of thing. [`sip_console::table`] prints what they give.

pub mod dispute;
pub mod graph;
pub mod job;
pub mod manifest;
mod path;
pub mod pool;
pub mod protocol;
pub mod session;
pub mod stake;
pub mod steering;
pub mod wallet;
