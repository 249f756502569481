//! Jobs, seats, rounds and settings, on the compiled program.

mod absences;
#[path = "../shared/accuser.rs"]
mod accuser;
#[path = "../shared/common.rs"]
mod common;
#[path = "../shared/court/mod.rs"]
mod court;
mod crowded;
mod excuses;
mod frozen_bonds;
mod jobs;
mod misattested;
mod rounds;
mod seats;
mod second_draw;
mod sessions;
mod settings;
mod split_votes;
mod squatters;
mod steps;
mod two_worlds;
mod updates;
