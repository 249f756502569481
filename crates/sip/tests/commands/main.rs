//! Commands, as a person types them.

mod chain;
mod demo;
mod models;
mod network;
mod node;
mod snapshot;
mod train;
mod updates;
mod words;
