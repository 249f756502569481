//! Long histories by chance, on the compiled program.

#[path = "../shared/accuser.rs"]
mod accuser;
#[path = "../shared/sweep/claims.rs"]
mod claims;
mod coalitions;
mod conspiracies;
#[path = "../shared/court/mod.rs"]
mod court;
mod dispute_costs;
mod fraud_sweep;
mod lockstep;
#[path = "../shared/sweep/mod.rs"]
mod sweep;
