//! Shelf, server and fetcher together, among honest and hostile peers.

mod common;
mod fetch;
mod full;
mod hostile;
mod liar;
mod line;
mod random;
mod restart;
mod serve;
mod shelf;
mod stranger;
