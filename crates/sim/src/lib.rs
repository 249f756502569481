//! The protocol's own transitions, played over what is only assumed: futures of demand ([`emission`]), lies and audits
//! ([`deterrence`]), loss curves and coalitions ([`quality`]). No rule is written here a second time.

pub mod deterrence;
pub mod emission;
pub mod quality;
