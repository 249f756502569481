//! What is read takes a bounded part of memory, and JSON has one way in. The one who counts memory counts alone.

mod counted;
mod data;
mod decoder;
mod door;
mod eval;
mod model;
mod rpc;
mod values;
