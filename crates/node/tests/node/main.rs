//! What a role computes: segments and their bits, disputes, scores, conformance vectors.

mod dispute;
#[path = "../exact/mod.rs"]
mod exact;
mod golden;
mod roles;
mod scoring;
mod vectors;
