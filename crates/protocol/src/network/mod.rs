//! Who is where: what tells strangers that know a chain and a job how to reach those who work for it.

pub mod instructions;
pub mod peer;
