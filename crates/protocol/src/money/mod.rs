//! Emission, yield, fees, settlement and the token.

pub mod emission;
pub mod epoch;
pub mod fees;
pub mod instructions;
pub mod settlement;
pub mod token;
