//! Accusations, demands and disputes, on the compiled program.

mod accusations;
mod accused_claims;
#[path = "../shared/accuser.rs"]
mod accuser;
mod attacks;
mod availability;
mod bounties;
#[path = "../shared/common.rs"]
mod common;
#[path = "../shared/court/mod.rs"]
mod court;
mod dispute_claims;
mod dispute_games;
mod dispute_padding;
mod dispute_refusals;
mod excuses;
mod finality;
#[path = "../shared/ordered.rs"]
mod ordered;
mod silence;
mod thief;
mod undone_work;
mod update_codec;
mod verdict_orders;
mod windows;
