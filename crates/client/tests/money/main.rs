//! Emission, fees, settlement and what is left of it, on the compiled program.

#[path = "../shared/accuser.rs"]
mod accuser;
mod closing;
mod closing_attacks;
#[path = "../shared/common.rs"]
mod common;
mod fees;
mod money;
#[path = "../shared/ordered.rs"]
mod ordered;
mod orders;
mod settlement;
mod slices;
