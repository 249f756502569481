//! Strangers train a job: each is a driver of its own with its own key and folder, and they share a ledger and a shelf of states by their roots.
//! Nobody is told what comes next.

mod absent;
mod faults;
mod ledger;
mod lines;
mod network;
mod processes;
mod sessions;
mod whole;
