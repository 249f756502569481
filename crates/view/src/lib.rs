//! What accounts say, in rows for people and programs: each thing by its name, with its value and its unit.
//!
//! A file for each kind of account. [`sip_console::table`] prints what they give.

pub mod dispute;
pub mod job;
pub mod manifest;
mod path;
pub mod pool;
pub mod session;
pub mod stake;
pub mod steering;
