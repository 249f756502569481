//! Drawing tokens against a slow definition.

use proptest::prelude::*;
use sip_arith::{Native, order_key};
use sip_model::{Sampler, Sampling};
use sip_testing::Random;

/// SplitMix64 (Steele, Lea and Flood 2014), as a share of 1 with 53 bits.
struct Shares(Random);

impl Shares {
    fn next(&mut self) -> f64 {
        (self.0.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The definition: everything is sorted, nothing is skipped.
fn draw(sampling: &Sampling, logits: &[f32], text: &[u32], shares: &mut Shares) -> u32 {
    let mut logits = logits.to_vec();
    for (id, logit) in logits.iter_mut().enumerate() {
        if text.contains(&(id as u32)) && sampling.repetition_penalty != 1.0 {
            *logit =
                if *logit > 0.0 { *logit / sampling.repetition_penalty } else { *logit * sampling.repetition_penalty };
        }
    }
    let mut ids: Vec<usize> = (0..logits.len()).collect();
    // The sort is stable: ties go to the lowest id.
    ids.sort_by_key(|&id| std::cmp::Reverse(order_key(logits[id].to_bits())));
    let best = ids[0];
    if sampling.temperature == 0.0 {
        return best as u32;
    }
    let weight = |id: usize| {
        let exponent = (logits[id] - logits[best]) / sampling.temperature;
        f64::from(f32::from_bits(sip_ops::exp::<Native>(exponent.to_bits())))
    };
    let total: f64 = if sampling.top_k > 0 {
        ids.truncate(sampling.top_k);
        ids.iter().map(|&id| weight(id)).sum()
    } else {
        (0..logits.len()).map(weight).sum()
    };
    let mut kept = 0.0;
    let mut nucleus = Vec::new();
    for id in ids {
        if nucleus.is_empty() || kept < total * f64::from(sampling.top_p) {
            kept += weight(id);
            nucleus.push(id);
        }
    }
    let mut point = shares.next() * kept;
    let mut last = best;
    for id in nucleus.into_iter().filter(|&id| weight(id) > 0.0) {
        point -= weight(id);
        last = id;
        if point < 0.0 {
            break;
        }
    }
    last as u32
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn tokens_are_drawn_as_defined(
        // So few different values that there are ties.
        steps in proptest::collection::vec(-40i32..40, 1..700),
        spread in prop_oneof![Just(0.001f32), Just(0.1), Just(1.0), Just(100.0)],
        temperature in prop_oneof![Just(0.0f32), Just(0.3), Just(1.0), Just(3.0), Just(1e-30)],
        top_k in prop_oneof![Just(0usize), Just(1), 1usize..800],
        top_p in prop_oneof![Just(1.0f32), 0.001f32..1.0],
        repetition_penalty in prop_oneof![Just(1.0f32), Just(1.3), Just(0.5)],
        prompt in proptest::collection::vec(0u32..900, 0..20),
        seed in any::<u64>(),
    ) {
        let logits: Vec<f32> = steps.iter().map(|&step| step as f32 * spread).collect();
        let bits: Vec<u32> = logits.iter().map(|logit| logit.to_bits()).collect();
        let sampling = Sampling { temperature, top_k, top_p, repetition_penalty };
        prop_assert_eq!(sampling.problem(), None);
        let mut sampler = Sampler::new(sampling, seed);
        sampler.start(&prompt);
        let (mut text, mut shares) = (prompt, Shares(Random::new(seed)));
        for _ in 0..5 {
            let expected = draw(&sampling, &logits, &text, &mut shares);
            prop_assert_eq!(sampler.draw(&bits), expected);
            text.push(expected);
        }
    }
}

#[test]
fn frequencies_follow_the_probabilities() {
    // ln 1, ln 2, ln 4, ln 1: shares of 1/8, 1/4, 1/2, 1/8.
    let ln_2 = std::f32::consts::LN_2;
    let logits = [0.0, ln_2, 2.0 * ln_2, 0.0].map(f32::to_bits);
    let counts = |sampling: Sampling| {
        let mut sampler = Sampler::new(sampling, 1);
        let mut counts = [0; 4];
        (0..40_000).for_each(|_| counts[sampler.draw(&logits) as usize] += 1);
        counts.map(|count: u32| f64::from(count) / 40_000.0)
    };
    let close = |found: [f64; 4], expected: [f64; 4]| {
        found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.01)
    };
    let plain = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0 };
    assert!(close(counts(plain), [0.125, 0.25, 0.5, 0.125]));
    assert!(close(counts(Sampling { top_k: 2, ..plain }), [0.0, 1.0 / 3.0, 2.0 / 3.0, 0.0]));
    // The third token alone has less than 0.6, with the second more.
    assert!(close(counts(Sampling { top_p: 0.6, ..plain }), [0.0, 1.0 / 3.0, 2.0 / 3.0, 0.0]));
    assert!(close(counts(Sampling { top_p: 0.5, ..plain }), [0.0, 0.0, 1.0, 0.0]));
    // Squared odds.
    assert!(close(counts(Sampling { temperature: 0.5, ..plain }), [1.0 / 22.0, 4.0 / 22.0, 16.0 / 22.0, 1.0 / 22.0]));
    assert!(close(counts(Sampling::GREEDY), [0.0, 0.0, 1.0, 0.0]));
}

#[test]
fn a_new_text_forgets_the_old_one() {
    let logits = [1.0f32, 0.9].map(f32::to_bits);
    let mut sampler = Sampler::new(Sampling { repetition_penalty: 2.0, ..Sampling::GREEDY }, 0);
    assert_eq!(sampler.draw(&logits), 0);
    assert_eq!(sampler.draw(&logits), 1);
    assert_eq!(sampler.draw(&logits), 0);
    sampler.start(&[]);
    assert_eq!(sampler.draw(&logits), 0);
    sampler.start(&[0]);
    assert_eq!(sampler.draw(&logits), 1);
}

#[test]
fn numbers_out_of_range_are_named() {
    let plain = Sampling::default();
    for (sampling, word) in [
        (Sampling { temperature: -1.0, ..plain }, "temperature"),
        (Sampling { temperature: f32::NAN, ..plain }, "temperature"),
        (Sampling { top_p: 0.0, ..plain }, "top-p"),
        (Sampling { top_p: 1.5, ..plain }, "top-p"),
        (Sampling { repetition_penalty: 0.0, ..plain }, "repetition penalty"),
        (Sampling { repetition_penalty: f32::INFINITY, ..plain }, "repetition penalty"),
    ] {
        assert!(sampling.problem().expect("a problem").contains(word));
    }
    // Whatever the numbers are, nothing panics.
    let logits = [f32::MAX, f32::MIN, 0.0].map(f32::to_bits);
    for sampling in [plain, Sampling { repetition_penalty: 1e-30, ..plain }, Sampling { temperature: 1e-45, ..plain }] {
        let mut sampler = Sampler::new(sampling, 0);
        (0..5).for_each(|_| assert_eq!(sampler.draw(&logits), 0));
    }
    assert_eq!(Sampler::new(plain, 0).draw(&[]), 0);
}
