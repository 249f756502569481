//! Commands, as a person types them.

mod chain;
mod demo;
mod models;
mod train;
mod updates;
mod words;
