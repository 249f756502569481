//! What the declarations of the protocol say, for others: the interface as Codama JSON, pages of reference, and a lock on layouts.
//!
//! Everything here is made from [`sip_protocol::instructions`] and [`sip_protocol::accounts`]; what is made is committed, and a test
//! compares the two.

use sip_client::Program;
use sip_protocol::instructions::ROOMS;

mod codama;
mod json;
mod layouts;
mod meaning;
mod pages;
mod structs;
mod words;

/// Where the lock on layouts is committed.
const LOCK: &str = "idl/layouts.lock";

/// A file of the repository that is made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Where it is, from the root of the repository.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// All files.
pub fn made() -> Vec<Made> {
    let mut files = vec![
        Made { path: "idl/sip.json".into(), text: codama::root(&Program::default()).written() },
        Made { path: LOCK.into(), text: layouts::lock() },
        Made { path: "docs/reference/README.md".into(), text: pages::index() },
    ];
    let rooms = ROOMS.iter();
    files.extend(rooms.map(|room| Made { path: format!("docs/reference/{}.md", room.name), text: pages::room(room) }));
    files
}

/// The accounts whose layout is another than the lock that was committed says, although their version is not.
pub fn silent_changes(committed: &[Made]) -> Vec<String> {
    let lock = |files: &[Made]| files.iter().find(|file| file.path == LOCK).map(|file| file.text.clone());
    layouts::silent_changes(&lock(committed).unwrap_or_default(), &layouts::lock())
}
