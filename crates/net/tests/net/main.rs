//! Shelf, server and fetcher together, among honest and hostile peers.

mod common;
mod fetch;
mod random;
mod shelf;
