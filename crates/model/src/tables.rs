//! The tables of a job: learning rate and bias corrections per step, rotary angles per position.
//!
//! They are computed in f64 by a pure-Rust library and committed as f32, so no system's libm is on any path.

use crate::config::{LlamaConfig, RopeScaling};
use sip_graph::{AdamW, Buffer};

/// How the learning rate goes on after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// It stays at its peak.
    Constant,
    /// It falls in a straight line.
    Linear,
    /// It falls along half a cosine (Loshchilov and Hutter 2017).
    #[default]
    Cosine,
    /// It stays at its peak and falls in a straight line over the last steps (Hu et al. 2024).
    StableDecay {
        /// Steps over which it falls.
        decay_steps: usize,
    },
}

/// Learning rate by step: a linear warm-up to the peak, then a shape that ends at a share of the peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Learning rate after the warm-up.
    pub peak_rate: f64,
    /// Steps over which the rate rises linearly from near 0.
    pub warmup_steps: usize,
    /// Steps in all.
    pub total_steps: usize,
    /// Share of the peak that is left at the last step; nothing to [`Shape::Constant`].
    pub final_share: f64,
    /// What comes after the warm-up.
    pub shape: Shape,
}

impl Schedule {
    /// Learning rate of a step, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            return self.peak_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        // The last step has the progress 1; what falls begins to fall after the step `first`.
        let progress = |first: usize| {
            let span = self.total_steps.saturating_sub(first + 1).max(1);
            (step.saturating_sub(first) as f64 / span as f64).min(1.0)
        };
        let above = match self.shape {
            Shape::Constant => return self.peak_rate,
            Shape::Linear => 1.0 - progress(self.warmup_steps),
            Shape::Cosine => 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress(self.warmup_steps))),
            Shape::StableDecay { decay_steps } => {
                let first = self.total_steps.saturating_sub(decay_steps + 1).max(self.warmup_steps);
                1.0 - progress(first)
            }
        };
        self.peak_rate * (self.final_share + (1.0 - self.final_share) * above)
    }
}

/// Tables 0 to 2: step scalars f32 [total steps, 4] (learning rate, 1/(1 − β₁ᵗ), 1/(1 − β₂ᵗ), 0; t counts from 1),
/// cosines f32 [pairs, sequence], and sines f32 [2, pairs, sequence], negated for the first half of a head.
pub fn tables(config: &LlamaConfig, seq_len: usize, optimizer: &AdamW, schedule: &Schedule) -> Vec<Buffer> {
    let [cosines, sines] = rotary_tables(config, seq_len);
    vec![step_table(optimizer.beta1, optimizer.beta2, schedule), cosines, sines]
}

/// Table 0: what changes from step to step.
pub fn step_table(beta1: f32, beta2: f32, schedule: &Schedule) -> Buffer {
    let mut scalars = Vec::with_capacity(schedule.total_steps * 4);
    let correction = |beta: f32, t: usize| (1.0 / (1.0 - libm::pow(beta as f64, t as f64))) as f32;
    for step in 0..schedule.total_steps {
        scalars.push(schedule.rate(step) as f32);
        scalars.push(correction(beta1, step + 1));
        scalars.push(correction(beta2, step + 1));
        scalars.push(0.0);
    }
    Buffer::from(scalars.as_slice())
}

/// Tables 1 and 2 of rotary positions that nothing stretches.
pub fn plain_rotary_tables(pairs: usize, positions: usize, theta: f32) -> [Buffer; 2] {
    let frequencies = (0..pairs).map(|pair| plain_frequency(theta, pair, 2 * pairs)).collect();
    angle_tables(frequencies, 1.0, positions)
}

/// Radians per position of a pair, where nothing stretches them.
fn plain_frequency(theta: f32, pair: usize, width: usize) -> f64 {
    libm::pow(theta as f64, -2.0 * pair as f64 / width as f64)
}

/// Tables 1 and 2 alone, after an empty table 0: enough to evaluate and to generate.
pub fn inference_tables(config: &LlamaConfig, seq_len: usize) -> Vec<Buffer> {
    let [cosines, sines] = rotary_tables(config, seq_len);
    vec![Buffer::new(0), cosines, sines]
}

fn rotary_tables(config: &LlamaConfig, seq_len: usize) -> [Buffer; 2] {
    let (frequencies, scale) = rotary_frequencies(config);
    angle_tables(frequencies, scale, seq_len)
}

fn angle_tables(frequencies: Vec<f64>, scale: f64, seq_len: usize) -> [Buffer; 2] {
    let mut cosines = Vec::with_capacity(seq_len * frequencies.len());
    let mut sines = Vec::with_capacity(2 * seq_len * frequencies.len());
    let angles = |frequency: f64| (0..seq_len).map(move |position| position as f64 * frequency);
    for &frequency in &frequencies {
        cosines.extend(angles(frequency).map(|angle| (scale * libm::cos(angle)) as f32));
    }
    for sign in [-scale, scale] {
        for &frequency in &frequencies {
            sines.extend(angles(frequency).map(|angle| (sign * libm::sin(angle)) as f32));
        }
    }
    [Buffer::from(cosines.as_slice()), Buffer::from(sines.as_slice())]
}

/// Radians per position for every pair of a head, and what cosines and sines are multiplied by.
pub(crate) fn rotary_frequencies(config: &LlamaConfig) -> (Vec<f64>, f64) {
    let width = config.head_dim();
    let theta = config.rope_theta as f64;
    let plain = |pair: usize| plain_frequency(config.rope_theta, pair, width);
    let pairs = 0..width / 2;
    match config.rope_scaling {
        None => (pairs.map(plain).collect(), 1.0),
        Some(RopeScaling::Linear { factor }) => (pairs.map(|pair| plain(pair) / factor as f64).collect(), 1.0),
        Some(RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_seq_len }) => {
            let (low, high) = (low_freq_factor as f64, high_freq_factor as f64);
            let scaled = |pair: usize| {
                let frequency = plain(pair);
                // How often the pair turns within the original length, as a place between the two factors.
                let turns = original_max_seq_len as f64 * frequency / std::f64::consts::TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / factor as f64)
            };
            (pairs.map(scaled).collect(), 1.0)
        }
        Some(RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original_max_seq_len, truncate }) => {
            // The pair, as a real number, that turns this often within the original length.
            let pair_of = |turns: f32| {
                let wavelength = original_max_seq_len as f64 / (turns as f64 * std::f64::consts::TAU);
                width as f64 * libm::log(wavelength) / (2.0 * libm::log(theta))
            };
            let (mut first, mut last) = (pair_of(beta_fast), pair_of(beta_slow));
            if truncate {
                (first, last) = (first.floor(), last.ceil());
            }
            (first, last) = (first.max(0.0), last.min(width as f64 - 1.0));
            if first == last {
                // Keeps the ramp's slope finite.
                last += 0.001;
            }
            let scaled = |pair: usize| {
                let divided = ((pair as f64 - first) / (last - first)).clamp(0.0, 1.0);
                plain(pair) * (1.0 - divided + divided / factor as f64)
            };
            (pairs.map(scaled).collect(), attention_factor as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: usize = 100;

    fn schedule(shape: Shape) -> Schedule {
        Schedule { peak_rate: 3e-4, warmup_steps: 10, total_steps: STEPS, final_share: 0.1, shape }
    }

    /// The closed form of every shape, in f64 by the system's functions.
    fn reference(shape: Shape, step: usize) -> f64 {
        let (step, peak, last) = (step as f64, 3e-4, (STEPS - 1) as f64);
        if step < 10.0 {
            return peak * (step + 1.0) / 10.0;
        }
        let falling = |from: f64| ((step - from) / (last - from)).clamp(0.0, 1.0);
        let share = match shape {
            Shape::Constant => 1.0,
            Shape::Linear => 1.0 - 0.9 * falling(10.0),
            Shape::Cosine => 0.1 + 0.9 * (std::f64::consts::FRAC_PI_2 * falling(10.0)).cos().powi(2),
            Shape::StableDecay { decay_steps } => 1.0 - 0.9 * falling((last - decay_steps as f64).max(10.0)),
        };
        peak * share
    }

    #[test]
    fn every_shape_is_its_closed_form_at_every_step_in_the_table() {
        let config = LlamaConfig::preset("tiny").expect("preset");
        let stable = |decay_steps| Shape::StableDecay { decay_steps };
        for shape in [Shape::Constant, Shape::Linear, Shape::Cosine, stable(20), stable(1), stable(500)] {
            let tables = tables(&config, 4, &AdamW::default(), &schedule(shape));
            let rates: Vec<f32> = tables[0].to_f32().chunks(4).map(|row| row[0]).collect();
            assert_eq!(rates.len(), STEPS);
            for (step, &rate) in rates.iter().enumerate() {
                let expected = reference(shape, step);
                assert!(
                    (f64::from(rate) - expected).abs() <= 1e-7 * expected,
                    "{shape:?} step {step}: {rate} {expected}"
                );
            }
        }
    }

    #[test]
    fn the_rate_rises_then_falls_to_its_final_share_and_stays_there() {
        let schedule = Schedule { peak_rate: 1.0, ..schedule(Shape::Cosine) };
        assert_eq!(schedule.rate(4), 0.5);
        assert_eq!(schedule.rate(9), 1.0);
        assert_eq!(schedule.rate(10), 1.0);
        for shape in [Shape::Linear, Shape::Cosine, Shape::StableDecay { decay_steps: 20 }] {
            let schedule = Schedule { shape, ..schedule };
            assert!((schedule.rate(99) - 0.1).abs() < 1e-12, "{shape:?}");
            assert!((schedule.rate(1000) - 0.1).abs() < 1e-12, "{shape:?}");
        }
        let stable = Schedule { shape: Shape::StableDecay { decay_steps: 20 }, ..schedule };
        assert_eq!(stable.rate(79), 1.0);
        assert!(stable.rate(80) < 1.0);
    }

    #[test]
    fn odd_schedules_give_finite_rates() {
        for (warmup_steps, total_steps) in [(0, 1), (1, 1), (5, 1), (5, 5), (0, 2)] {
            for shape in [Shape::Constant, Shape::Linear, Shape::Cosine, Shape::StableDecay { decay_steps: 9 }] {
                let schedule = Schedule { warmup_steps, total_steps, ..schedule(shape) };
                assert!((0..9).all(|step| (0.0..=3e-4).contains(&schedule.rate(step))), "{schedule:?}");
            }
        }
    }

    /// The frequencies of `transformers` for heads of 16, base 10000 and an original length of 512.
    #[test]
    fn scaled_frequencies_are_those_of_transformers() {
        let config = |scaling| LlamaConfig {
            head_dim: Some(16),
            rope_theta: 10_000.0,
            rope_scaling: Some(scaling),
            ..LlamaConfig::preset("tiny").unwrap()
        };
        let llama3 =
            RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max_seq_len: 512 };
        let yarn = |truncate| RopeScaling::Yarn {
            factor: 4.0,
            attention_factor: 1.25,
            beta_fast: 32.0,
            beta_slow: 1.0,
            original_max_seq_len: 512,
            truncate,
        };
        let cases: [(RopeScaling, f64, [f64; 8]); 4] = [
            (RopeScaling::Linear { factor: 2.0 }, 1.0, LINEAR),
            (llama3, 1.0, LLAMA3),
            (yarn(true), 1.25, YARN),
            (yarn(false), 1.25, YARN_NOT_TRUNCATED),
        ];
        for (scaling, scale, expected) in cases {
            let (found, found_scale) = rotary_frequencies(&config(scaling));
            assert_eq!(found_scale, scale);
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6 * expected, "{scaling:?}: {found} for {expected}");
            }
        }
    }

    const LINEAR: [f64; 8] = [
        5.0000000e-01,
        1.5811388e-01,
        5.0000001e-02,
        1.5811389e-02,
        4.9999999e-03,
        1.5811389e-03,
        5.0000002e-04,
        1.5811389e-04,
    ];
    const LLAMA3: [f64; 8] = [
        1.0000000e+00,
        3.1622776e-01,
        1.0000000e-01,
        1.8496677e-02,
        1.2500000e-03,
        3.9528473e-04,
        1.2500001e-04,
        3.9528473e-05,
    ];
    const YARN: [f64; 8] = [
        1.0000000e+00,
        2.5693506e-01,
        6.2500000e-02,
        1.3834965e-02,
        2.4999999e-03,
        7.9056947e-04,
        2.5000001e-04,
        7.9056947e-05,
    ];
    const YARN_NOT_TRUNCATED: [f64; 8] = [
        1.0000000e+00,
        3.0140647e-01,
        7.0398636e-02,
        1.4383359e-02,
        2.4999999e-03,
        7.9056947e-04,
        2.5000001e-04,
        7.9056947e-05,
    ];
}
