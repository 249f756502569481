//! Datasets, jobs, seats, rounds, draws, attestations, votes, scores, finality and seeds.

pub mod attendance;
pub mod attestation;
pub mod audit;
pub mod closing;
pub mod data;
pub mod evaluation;
pub mod finality;
pub mod instructions;
pub mod job;
pub mod mixture;
pub mod quality;
pub mod round;
pub mod seats;
pub mod second_draw;
pub mod seed;
pub mod segment;
pub mod setting;
pub mod thaw;
pub mod window;
