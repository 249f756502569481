//! Kernels against the definition.

mod equality;
mod exp_log;
mod float_settings;
