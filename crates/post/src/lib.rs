//! What begins a job: `sip job create`, and `sip data publish` before it.
//!
//! A file says what is wanted. Texts become tokens under their roots, model and graphs a manifest; terms and phases follow from the rules of the chain and from
//! how fast this machine is. A folder keeps all of it, so that what was cut short goes on.

mod config;
mod create;
mod folder;
mod phases;
mod plan;
mod publish;
pub mod speed;
mod texts;

pub use create::{Arguments as Create, run as create};
pub use phases::flops_per_second;
pub use publish::{Arguments as Publish, DATASET, run as publish};
