//! Attack: trainers who agree hold improvement back and give it out later, so that what is expected of them is less than what they can.
//! Strategies are searched by hill climbing from many starts, over curves of many shapes, on the rule that the program runs.

use sip_protocol::training::{quality::Fit, round::QUALITY_ONE};
use sip_testing::Random;

/// Rounds of a job.
const ROUNDS: usize = 24;

/// Between two bounds.
fn between(random: &mut Random, least: f64, most: f64) -> f64 {
    least + (most - least) * random.below(1 << 30) as f64 / (1u64 << 30) as f64
}

/// What each round would improve, micro-nats per token, if nothing was held back.
fn curve(shape: u64, random: &mut Random) -> Vec<f64> {
    let first = between(random, 50_000.0, 2_000_000.0);
    let (rate, power, noise) =
        (between(random, 0.5, 0.98), between(random, 0.3, 1.2), [0.0, 0.1, 0.4][random.below(3) as usize]);
    (0..ROUNDS)
        .map(|round| {
            let clean = match shape {
                // Each a part of the last; the difference of a power law; evenly; evenly and then flat.
                0 => first * rate.powi(round as i32),
                1 => first * ((round + 1) as f64).powf(-power - 1.0),
                2 => first / 10.0,
                _ if round < 12 => first / 10.0,
                _ => first / 100.0,
            };
            clean * (1.0 + between(random, -noise, noise))
        })
        .collect()
}

/// The sum of qualities where a part of what could be given is held back in each round, of 100.
fn paid(curve: &[f64], held: &[u8]) -> f64 {
    let (mut fit, mut bank, mut sum) = (Fit::default(), 0.0, 0.0);
    for (natural, held) in curve.iter().zip(held) {
        let there = bank + natural;
        let given = there * f64::from(100 - held) / 100.0;
        bank = there - given;
        sum += fit.judge(given as u32) as f64 / QUALITY_ONE as f64;
    }
    sum
}

/// The best strategy that climbing finds from a random start, and what it gains over holding nothing back.
fn climb(curve: &[f64], random: &mut Random, steps: usize) -> (f64, Vec<u8>) {
    let honest = paid(curve, &[0; ROUNDS]);
    let mut best: Vec<u8> =
        (0..ROUNDS).map(|_| if random.below(2) == 0 { 0 } else { random.below(101) as u8 }).collect();
    let mut value = paid(curve, &best);
    for _ in 0..steps {
        let mut next = best.clone();
        for _ in 0..1 + random.below(3) {
            next[random.below(ROUNDS as u64) as usize] = [0, 100, random.below(101) as u8][random.below(3) as usize];
        }
        let found = paid(curve, &next);
        if found >= value {
            (best, value) = (next, found);
        }
    }
    (value - honest, best)
}

/// Searches; returns the greatest gain, in rounds that are paid fully, by shape, where honest work is paid nearly fully and otherwise.
fn search(seed: u64, curves: usize, starts: usize, steps: usize) -> [[f64; 2]; 4] {
    let mut random = Random::new(seed);
    let mut gains = [[0.0f64; 2]; 4];
    for shape in 0..4 {
        for _ in 0..curves {
            let curve = curve(shape, &mut random);
            let honest = paid(&curve, &[0; ROUNDS]);
            for _ in 0..starts {
                let (gain, _) = climb(&curve, &mut random, steps);
                let is_short = usize::from(honest < 0.97 * ROUNDS as f64);
                let most = &mut gains[shape as usize][is_short];
                *most = most.max(gain);
            }
        }
    }
    gains
}

#[test]
fn the_best_strategy_that_holds_improvement_back_gains_little() {
    let gains = search(1, 30, 4, 1_500);
    println!("gains in whole rounds of {ROUNDS}, where honest work is paid nearly fully and otherwise: {gains:.2?}");
    // As docs/security.md and docs/economics.md say: half of a round's pay, and four rounds' where chance takes much of honest pay.
    let most = |is_short: usize| gains.iter().map(|gain| gain[is_short]).fold(0.0, f64::max);
    assert_eq!([most(0), most(1)].map(|gain| format!("{gain:.1}")), ["0.5", "4.0"], "{gains:?}");
}
