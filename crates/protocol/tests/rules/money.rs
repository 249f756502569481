//! Long random histories of all money, checked after every step.

use crate::model::{STEPS, Source, World};
use sip_testing::Random;

/// Chance.
struct Chance(Random);

impl Source for Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.share(limit)
    }
}

/// Runs a history and returns how often each kind of step changed something.
fn history(seed: u64, steps: usize) -> [u64; STEPS as usize] {
    let mut random = Chance(Random::new(seed));
    let mut world = World::new();
    world.check();
    for _ in 0..steps {
        // A refusal is as good: it changes nothing.
        let _ = world.step(&mut random);
        world.check();
    }
    world.leave();
    world.done
}

#[test]
fn money_is_conserved_and_priced_in_any_order_of_steps() {
    let mut done = [0; STEPS as usize];
    for seed in 0..40 {
        for (sum, count) in done.iter_mut().zip(history(seed, 400)) {
            *sum += count;
        }
    }
    for (kind, count) in done.iter().enumerate() {
        assert!(*count >= 10, "step {kind} happened {count} times: the histories do not reach it");
    }
}

#[test]
fn money_is_conserved_to_the_last_base_unit_over_a_million_steps() {
    let mut done = 0;
    for seed in 1_000..3_500 {
        done += history(seed, 400).iter().sum::<u64>();
    }
    assert!(done > 400_000, "only {done} of a million steps changed anything");
}
