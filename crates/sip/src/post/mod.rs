//! What begins a job: `sip job create`, and `sip data publish` before it.

mod config;
mod create;
mod folder;
mod phases;
mod plan;
pub(crate) mod publish;
mod texts;
pub(crate) mod tokenizer;

pub(crate) use create::{Arguments as Create, run as create};
pub(crate) use phases::flops_per_second;
pub(crate) use publish::DATASET;

/// What a process of somebody does in a job, by whose it is: as `sip node run --role` takes it.
pub(crate) fn roles_of(person: &str) -> &'static str {
    match person {
        "creator" => "keeper,turner",
        "provider" => "provider",
        "auditor" => "auditor,watchtower,turner",
        "evaluator" => "evaluator",
        _ => "trainer,turner",
    }
}
