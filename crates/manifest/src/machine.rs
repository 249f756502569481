//! The machine that a job is computed on; no result depends on it.

use anyhow::Result;
use sip_kernels::{Simd, Threads};
use std::sync::Arc;

/// The machine's part: threads and instruction set.
#[derive(Clone)]
pub struct Machine {
    /// Threads.
    pub threads: Arc<Threads>,
    /// Instruction set.
    pub simd: Simd,
}

impl Machine {
    /// From the environment (`SIP_THREADS`, `SIP_SIMD`), else all of the machine.
    ///
    /// # Errors
    /// Where a variable says what is not there.
    pub fn from_environment() -> Result<Machine> {
        Ok(Machine { threads: Arc::new(Threads::from_environment()?), simd: Simd::from_environment()? })
    }
}
