//! Commands that act on a Solana chain: a cluster, or `sip localnet`.

pub(crate) mod emission;
pub(crate) mod exit;
pub(crate) mod fee;
mod fit;
mod govern;
mod init;
pub(crate) mod job;
pub(crate) mod liquid;
pub(crate) mod lock;
pub(crate) mod pool;
pub(crate) mod protocol;
pub(crate) mod rewards;
pub(crate) mod session;
pub(crate) mod stake;
pub(crate) mod steer;
mod vote;
pub(crate) mod wallet;
