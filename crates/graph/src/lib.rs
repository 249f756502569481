//! Operator graphs: builder, automatic differentiation, optimizer, plan and executor.
//!
//! A graph is a list of operator nodes (`sip_ops::NodeSpec`) in topological order; it *is* what a job commits to, so
//! everything that changes bits (fusing of pointwise programs, folding additions into chains) happens while it
//! is built. The executor runs a plan of it, which changes no bit: slices instead of whole nodes, other orders, memory used again.
//!
//! [`Builder`] writes nodes over named [`Axis`]es, [`Builder::gradients`] appends the backward pass, [`adamw`] the
//! optimizer, [`Builder::finish`] fuses, drops what nothing needs and checks. [`Executor`] runs a [`Graph`]
//! in memory that it has planned before.

mod affine;
mod buffer;
mod builder;
mod bytes;
mod executor;
mod fuse;
mod gradient;
mod graph;
mod optimizer;
mod outline;
mod plan;
mod program;
mod run;
pub mod show;
mod svg;

pub use buffer::Buffer;
pub use builder::{Axis, Builder, Contraction, Tensor, View};
pub use executor::{DoubleState, Executor, ExecutorOptions, Inputs, NodeTime, Observer, RunError};
pub use graph::{Graph, GraphError, MAX_NODES};
pub use optimizer::{AdamW, Moments, Steered, adamw};
pub use plan::PlanError;
pub use program::{Program, Value};
pub use svg::svg;
