//! What a coalition of all trainers could do to its pay by what it puts into the model, and a search for the best of it.

use super::curves::{Random, Work, World};
use super::paid;

/// Parts that the search tries in each round: some of the work, none of it, all of it, a step back.
const PARTS: [f64; 9] = [-0.5, -0.1, 0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0];
/// Passes over all rounds of a strategy.
const PASSES: usize = 3;

/// A strategy's mean pay over jobs that it was not made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Rounds that are paid, of honest work and of the strategy.
    pub(crate) honest: f64,
    pub(crate) pay: f64,
    /// Standard error of the difference.
    pub(crate) error: f64,
}

fn work(parts: &[f64], is_held_back: bool) -> Work<'_> {
    if is_held_back { Work::HeldBack(parts) } else { Work::Idle(parts) }
}

/// Mean pay in rounds, over these seeds.
fn pay(world: &World, work: Work, seeds: std::ops::Range<u64>) -> f64 {
    let count = (seeds.end - seeds.start) as f64;
    seeds.map(|seed| paid(&world.improvements(work, seed))).sum::<f64>() / count
}

/// Climbs to the best strategy from several beginnings, over the first `seeds` jobs, and plays it on four times as many others.
pub(crate) fn search(world: &World, beginnings: u64, seeds: u64) -> Found {
    let mut best: Option<(f64, Vec<f64>, bool)> = None;
    for beginning in 0..2 * beginnings {
        let is_held_back = beginning % 2 == 0;
        let mut random = Random::new(0x5EED + beginning);
        let mut parts: Vec<f64> =
            (0..world.rounds).map(|_| if beginning < 2 { 1.0 } else { random.choose(&PARTS) }).collect();
        let mut most = pay(world, work(&parts, is_held_back), 0..seeds);
        for _ in 0..PASSES {
            let before = most;
            for round in 0..world.rounds {
                climb(world, &mut parts, round, &mut most, is_held_back, seeds);
            }
            if most <= before {
                break;
            }
        }
        if best.as_ref().is_none_or(|(pay, ..)| most > *pay) {
            best = Some((most, parts, is_held_back));
        }
    }
    let (_, parts, is_held_back) = best.unwrap_or_default();
    on_other_jobs(world, &parts, is_held_back, seeds..5 * seeds)
}

/// Sets one round's part to the best one.
fn climb(world: &World, parts: &mut [f64], round: usize, most: &mut f64, is_held_back: bool, seeds: u64) {
    let mut chosen = parts[round];
    for part in PARTS {
        parts[round] = part;
        let pay = pay(world, work(parts, is_held_back), 0..seeds);
        if pay > *most {
            (*most, chosen) = (pay, part);
        }
    }
    parts[round] = chosen;
}

/// The strategy's pay beside that of honest work, job by job.
pub(crate) fn on_other_jobs(world: &World, parts: &[f64], is_held_back: bool, seeds: std::ops::Range<u64>) -> Found {
    let count = (seeds.end - seeds.start) as f64;
    let (mut honest, mut pay, mut squares) = (0.0, 0.0, 0.0);
    for seed in seeds {
        let of_honest = paid(&world.improvements(Work::Honest, seed));
        let of_it = paid(&world.improvements(work(parts, is_held_back), seed));
        honest += of_honest / count;
        pay += of_it / count;
        squares += (of_it - of_honest).powi(2) / count;
    }
    let variance = (squares - (pay - honest).powi(2)).max(0.0);
    Found { honest, pay, error: (variance / count).sqrt() }
}
