//! Commands, as a person types them.

mod chain;
mod demo;
mod law;
mod models;
mod network;
mod node;
mod snapshot;
mod train;
mod updates;
mod words;
