//! Graphs, plans of them and their runs.

mod bytes;
#[path = "../every_plan/mod.rs"]
mod every_plan;
mod executor;
mod graph_bytes;
mod plan_cases;
mod plans;
mod random_graphs;
mod rules;
mod show;
