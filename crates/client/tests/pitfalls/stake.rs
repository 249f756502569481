//! Attacks on stake.
