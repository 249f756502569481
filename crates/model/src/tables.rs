//! The tables of a job: learning rate and bias corrections per step, rotary angles per position.
//!
//! They are computed in f64 by a pure-Rust library and committed as f32, so no system's libm is on any path.

use crate::export::LlamaConfig;
use sip_graph::{AdamW, Buffer};

/// Linear warm-up, then half a cosine down to a share of the peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Learning rate after the warm-up.
    pub peak_rate: f64,
    /// Steps over which the rate rises linearly from near 0.
    pub warmup_steps: usize,
    /// Steps in all.
    pub total_steps: usize,
    /// Share of the peak that is left at the last step.
    pub final_share: f64,
}

impl Schedule {
    /// Learning rate of a step, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            return self.peak_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let span = self.total_steps.saturating_sub(self.warmup_steps + 1).max(1);
        let progress = ((step - self.warmup_steps) as f64 / span as f64).min(1.0);
        let wave = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress));
        self.peak_rate * (self.final_share + (1.0 - self.final_share) * wave)
    }
}

/// Tables 0 to 2: step scalars f32 [total steps, 4] (learning rate, 1/(1 − β₁ᵗ), 1/(1 − β₂ᵗ), 0; t counts from 1),
/// cosines f32 [pairs, sequence], and sines f32 [2, pairs, sequence], negated for the first half of a head.
pub fn tables(config: &LlamaConfig, seq_len: usize, optimizer: &AdamW, schedule: &Schedule) -> Vec<Buffer> {
    let mut scalars = Vec::with_capacity(schedule.total_steps * 4);
    let correction = |beta: f32, t: usize| (1.0 / (1.0 - libm::pow(beta as f64, t as f64))) as f32;
    for step in 0..schedule.total_steps {
        scalars.push(schedule.rate(step) as f32);
        scalars.push(correction(optimizer.beta1, step + 1));
        scalars.push(correction(optimizer.beta2, step + 1));
        scalars.push(0.0);
    }
    let [cosines, sines] = rotary_tables(config, seq_len);
    vec![Buffer::from(scalars.as_slice()), cosines, sines]
}

/// Tables 1 and 2 alone, after an empty table 0: enough to evaluate and to generate.
pub fn inference_tables(config: &LlamaConfig, seq_len: usize) -> Vec<Buffer> {
    let [cosines, sines] = rotary_tables(config, seq_len);
    vec![Buffer::new(0), cosines, sines]
}

fn rotary_tables(config: &LlamaConfig, seq_len: usize) -> [Buffer; 2] {
    let width = config.head_dim();
    let pairs = width / 2;
    let mut cosines = Vec::with_capacity(seq_len * pairs);
    let mut sines = Vec::with_capacity(seq_len * width);
    let angles = |pair: usize| {
        let frequency = libm::pow(config.rope_theta as f64, -2.0 * pair as f64 / width as f64);
        (0..seq_len).map(move |position| position as f64 * frequency)
    };
    for pair in 0..pairs {
        cosines.extend(angles(pair).map(|angle| libm::cos(angle) as f32));
    }
    for sign in [-1.0, 1.0] {
        for pair in 0..pairs {
            sines.extend(angles(pair).map(|angle| (sign * libm::sin(angle)) as f32));
        }
    }
    [Buffer::from(cosines.as_slice()), Buffer::from(sines.as_slice())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_its_final_share() {
        let schedule = Schedule { peak_rate: 1.0, warmup_steps: 10, total_steps: 100, final_share: 0.1 };
        assert_eq!(schedule.rate(4), 0.5);
        assert_eq!(schedule.rate(9), 1.0);
        assert_eq!(schedule.rate(10), 1.0);
        assert!((schedule.rate(99) - 0.1).abs() < 1e-12);
        assert!((schedule.rate(1000) - 0.1).abs() < 1e-12);
    }
}
