//! Rules by themselves, without a chain: whole histories, what pages say, and who may use whom.

mod economics;
#[path = "../model/mod.rs"]
mod model;
mod money;
mod rooms;
mod sandbagging;
mod spec;
mod windows;
