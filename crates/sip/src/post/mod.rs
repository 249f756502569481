//! What begins a job: `sip job create`, and `sip data publish` before it.

mod config;
mod create;
mod folder;
mod phases;
mod plan;
pub(crate) mod publish;
mod texts;

pub(crate) use create::{Arguments as Create, run as create};
pub(crate) use phases::flops_per_second;
pub(crate) use publish::DATASET;
