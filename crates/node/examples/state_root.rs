//! Prints the state root after a small training run, and fails if it is not the committed one:
//! `cargo run --release -p sip-node --example state_root [fused|whole|kept|micro-batches|recompute]`.
//!
//! The plan, `SIP_SIMD` and `SIP_THREADS` choose how it is computed; nothing chooses what comes out. `tests/exact.sh` runs this in
//! every build and on every processor that it can get.

#[path = "../tests/exact/mod.rs"]
mod exact;

use sip_graph::ExecutorOptions;
use sip_kernels::{Simd, Threads};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    match run() {
        Ok(root) if root == exact::ROOT => ExitCode::SUCCESS,
        Ok(root) => {
            eprintln!(
                "error: the state root is {root}, expected {}; this build or machine computes other bits",
                exact::ROOT
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The root, printed.
fn run() -> Result<String, Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or("fused".into());
    let known = exact::PLANS.iter().find(|(known, _)| *known == name);
    let (_, plan) = known.ok_or_else(|| {
        let names = exact::PLANS.map(|(name, _)| name).join(", ");
        format!("{name} is no plan, expected one of {names}")
    })?;
    let options = plan(ExecutorOptions { simd: Simd::from_environment()?, ..ExecutorOptions::default() });
    let threads = Arc::new(Threads::from_environment()?);
    let root = exact::root(options, &threads)?;
    println!("{root}");
    Ok(root)
}
