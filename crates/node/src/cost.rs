//! What commitments and audits cost, in training steps, and the leaf interval that keeps it small.

use sip_proof::MAX_STEPS_PER_LEAF;
use std::time::Duration;

/// Most of the time of training that hashing states may take, where a leaf has as many steps as it needs.
pub const COMMITMENT_SHARE_MAX: f64 = 0.03;
/// Most that an audit may take, in the time of training what is audited.
pub const AUDIT_SHARE_MAX: f64 = 1.05;

/// Times of one machine, measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// A step of training with its batch.
    pub step: Duration,
    /// Hashing the state once.
    pub hash: Duration,
    /// What an attestation takes beside the replay: one step with all its tensors kept and hashed.
    pub trace: Duration,
}

impl Cost {
    /// Steps of a leaf: as few as keep hashing below [`COMMITMENT_SHARE_MAX`], for the fewer there are, the less a dispute
    /// replays; at most [`MAX_STEPS_PER_LEAF`], whatever it then costs.
    pub fn leaf_interval(&self) -> u32 {
        let allowed = self.step.as_secs_f64() * COMMITMENT_SHARE_MAX;
        let needed = (self.hash.as_secs_f64() / allowed.max(1e-12)).ceil();
        (needed as u32).clamp(1, MAX_STEPS_PER_LEAF)
    }

    /// Part of the time of steps that hashing takes at a leaf interval.
    pub fn commitment_share(&self, leaf_interval: u32) -> f64 {
        self.hash.as_secs_f64() / (self.step.as_secs_f64() * f64::from(leaf_interval)).max(1e-12)
    }

    /// Time of an audit with one attestation, in the time of training a segment of so many steps.
    pub fn audit_share(&self, inner_steps: u32, leaf_interval: u32) -> f64 {
        let leaves = inner_steps.div_ceil(leaf_interval.max(1));
        let training = self.step.as_secs_f64() * f64::from(inner_steps) + self.hash.as_secs_f64() * f64::from(leaves);
        1.0 + self.trace.as_secs_f64() / training.max(1e-12)
    }

    /// Fewest steps of a segment whose audit stays within [`AUDIT_SHARE_MAX`].
    pub fn least_steps(&self, leaf_interval: u32) -> u32 {
        let per_step = self.step.as_secs_f64() + self.hash.as_secs_f64() / f64::from(leaf_interval.max(1));
        (self.trace.as_secs_f64() / (AUDIT_SHARE_MAX - 1.0) / per_step.max(1e-12)).ceil() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(step: u64, hash: u64, trace: u64) -> Cost {
        Cost {
            step: Duration::from_millis(step),
            hash: Duration::from_millis(hash),
            trace: Duration::from_millis(trace),
        }
    }

    #[test]
    fn the_interval_is_the_least_that_keeps_hashing_small() {
        for (step, hash) in [(1000, 1), (1000, 29), (1000, 31), (1000, 100), (500, 200), (700, 333)] {
            let cost = cost(step, hash, 0);
            let interval = cost.leaf_interval();
            assert!(cost.commitment_share(interval) <= COMMITMENT_SHARE_MAX, "{cost:?}");
            assert!(interval == 1 || cost.commitment_share(interval - 1) > COMMITMENT_SHARE_MAX, "{cost:?}");
        }
        assert_eq!(cost(1000, 5000, 0).leaf_interval(), MAX_STEPS_PER_LEAF);
        assert_eq!(cost(0, 5000, 0).leaf_interval(), MAX_STEPS_PER_LEAF);
    }

    #[test]
    fn an_audit_is_a_replay_and_one_trace() {
        let cost = cost(100, 20, 300);
        assert!((cost.audit_share(50, 10) - (1.0 + 300.0 / 5100.0)).abs() < 1e-9);
        let least = cost.least_steps(10);
        assert!(cost.audit_share(least, 10) <= AUDIT_SHARE_MAX && cost.audit_share(least - 10, 10) > AUDIT_SHARE_MAX);
    }
}
