//! Questions and answers over HTTP/1.1, on plain sockets: bytes are public and checked by those who get them.
//!
//! No library: what small ones there are have no time limit for a connection that says nothing, or bring an asynchronous runtime.

mod client;
mod head;
mod places;
mod reach;
mod server;

pub use client::Http;
pub use reach::{Reach, StrangersHttp};
pub use server::{ServeCounts, ServeLimits, Server};
