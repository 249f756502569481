//! How long each phase of a job should be: what its work takes on a slow machine and a thin line, twice.

use anyhow::Result;
use sip_data::{Mixture, TokenBlob};
use sip_graph::show::totals;
use sip_manifest::machine::Machine;
use sip_manifest::recipe::{Genesis, Recipe};
use sip_manifest::value::{Blob, Domain, Manifest, Part};
use sip_node::{SegmentTask, State, Task, Worker};
use sip_protocol::training::job::JobSpec;
use sip_protocol::training::setting::SETTING_ONE;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::{Expected, JobFile, Phases};
use super::folder::Phase;
use sip_console::pace;
use sip_console::tokens::grouped;
use sip_report::count;

/// A slot on clusters once all announced steps towards shorter ones are taken, microseconds.
const FASTEST_SLOT_MICROSECONDS: u64 = 200_000;
/// Slots of a phase at least: a few transactions and their finality.
const LEAST_SLOTS: f64 = 150.0;
/// Seconds of a phase at least, however short slots are: processes look at the chain, fetch and send by the clock.
const LEAST_SECONDS: f64 = 30.0;
/// A speed is measured for so long, and over so many steps at most.
const MEASURED: Duration = Duration::from_secs(2);
const STEPS_MOST: u32 = 256;
/// Windows of the made-up text on which the speed is measured.
const WINDOWS: usize = 64;

/// What this machine was measured to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    /// Of a training step, with what is committed of it.
    pub step_seconds: f64,
}

/// Trains a few steps of the recipe on made-up tokens: the text changes no time.
pub(super) fn measure(recipe: &Recipe, manifest: &Manifest, machine: &Machine) -> Result<Speed> {
    let graph = Arc::new(manifest.graph(Part::Step)?);
    let tables = manifest.elements()?;
    let vocabulary = recipe.model.vocab_size as u32;
    let length = (recipe.sequence_length() as usize + 1) * WINDOWS;
    let tokens = (0..length as u32).map(|at| at.wrapping_mul(2_654_435_761) % vocabulary).collect();
    let mut task = Task {
        roots: Task::commit(&graph, &tables),
        graph,
        tables,
        domains: vec![Arc::new(TokenBlob::new(tokens))],
        batch: recipe.batch,
        sequence_length: recipe.sequence_length(),
        inner_steps: 1,
        leaf_interval: recipe.leaf_interval,
        held_out: None,
    };
    // Zeros are as long to compute with as any weights, and are there at once.
    let lengths = recipe.weights();
    // A table of learning rates has no more rows.
    let most = STEPS_MOST.min(recipe.schedule.total_steps as u32).max(1);
    let entries = lengths.iter().cycle().take(3 * lengths.len()).map(|&length| sip_graph::Buffer::new(length));
    let base = Arc::new(State::new(entries.collect(), &machine.threads));
    loop {
        let segment = SegmentTask {
            round: 0,
            first_step: 0,
            seed: [7; 32],
            mixture: Mixture::new(&[10_000])?,
            settings: [SETTING_ONE; 4],
            place: 0,
            base: Arc::clone(&base),
            bases: Vec::new(),
        };
        let mut worker = Worker::new(task.clone(), Arc::clone(&machine.threads), machine.simd);
        let begin = Instant::now();
        worker.train(&segment, None, &mut |_| true)?;
        let elapsed = begin.elapsed();
        // The first run of a graph also finds its memory.
        if elapsed >= MEASURED || task.inner_steps >= most || (task.inner_steps > 1 && elapsed >= MEASURED / 2) {
            return Ok(Speed { step_seconds: elapsed.as_secs_f64() / f64::from(task.inner_steps) });
        }
        task.inner_steps = (task.inner_steps * 4).min(most);
    }
}

/// How many floating-point operations a second this machine does in training, by steps of the preset "small".
pub fn flops_per_second(machine: &Machine) -> Result<f64> {
    let file = JobFile::default();
    let recipe = file.recipe(file.preset()?, Genesis::Seed(0))?;
    let domain = Domain {
        name: "none".into(),
        licence: String::new(),
        train_root: [0; 32],
        train_tokens: 0,
        heldout_root: [0; 32],
        heldout_tokens: 0,
    };
    let manifest = recipe.manifest(vec![domain], Blob::default(), machine)?;
    let step = totals(&manifest.graph(Part::Step)?).flops as f64;
    Ok(step / measure(&recipe, &manifest, machine)?.step_seconds)
}

/// Sets the phases that nobody has given, and says of each how long it is and why.
pub(super) fn propose(
    spec: &mut JobSpec,
    given: &Phases,
    recipe: &Recipe,
    expected: &Expected,
    speed: Speed,
    slot_microseconds: Option<u64>,
) -> Vec<Phase> {
    let slot_seconds = slot(slot_microseconds).as_secs_f64();
    let (weights, trainers) = (recipe.weights().iter().sum::<usize>() as f64, f64::from(expected.trainers));
    // A whole state is weights and two moments. An update is 0.625 bytes a weight, and nodes fetch moments and residual along with it; its base is the
    // weights alone.
    let (result_bytes, base_bytes) = match recipe.codec {
        None => (12.0 * weights, 12.0 * weights),
        Some(_) => (12.625 * weights, 4.0 * weights),
    };
    let step = speed.step_seconds * expected.slower;
    let segment = Work::of(recipe.inner_steps.into(), step, 0.0);
    // A trainer computes the base of the round from what the others handed over.
    let commit = Work { bytes: (trainers - 1.0).max(1.0) * result_bytes, ..segment };
    let replays = (trainers * f64::from(spec.audit_rate) / f64::from(u32::MAX)).ceil().max(1.0);
    let previous_bytes = if recipe.codec.is_some() { result_bytes } else { 0.0 };
    let audit = Work::of(replays * f64::from(recipe.inner_steps), step, replays * previous_bytes);
    let vote = Work::of(trainers, step, trainers * result_bytes);
    // Scoring goes forward only, which is a third of a step, over all held-out windows.
    let sequences = f64::from(spec.score_windows) * f64::from(spec.domain_count);
    let scoring = Work::of(sequences / f64::from(recipe.batch.max(1)), step / 3.0, base_bytes);
    let challenge = Work::of(trainers * f64::from(recipe.inner_steps), step, trainers * previous_bytes);
    let phases = [
        ("commit", given.commit_slots, commit, &mut spec.commit_slots),
        ("audit", given.audit_slots, audit, &mut spec.audit_slots),
        ("vote", given.vote_slots, vote, &mut spec.vote_slots),
        ("evaluation", given.evaluation_slots, scoring, &mut spec.evaluation_slots),
        ("challenge", given.challenge_slots, challenge, &mut spec.challenge_slots),
    ];
    let mut proposed = Vec::new();
    for (name, given, work, field) in phases {
        let (fit, needed) = (work.slots(expected, slot_seconds), work.needed_slots(expected, slot_seconds));
        let why = match given {
            Some(slots) if slots < needed => {
                format!(
                    "as the file says, SHORTER than the {} that {} asks for",
                    grouped(needed.into()),
                    work.told(expected)
                )
            }
            Some(_) => "as the file says".to_owned(),
            None => work.told(expected),
        };
        let slots = given.unwrap_or(fit);
        *field = slots;
        proposed.push(Phase { name: name.to_owned(), slots, why });
    }
    proposed
}

/// The shortest slot that the chain may have while the job runs: a local chain's own, a cluster's after all announced steps.
fn slot(measured_microseconds: Option<u64>) -> Duration {
    let measured = measured_microseconds.filter(|micros| *micros > 0).unwrap_or(400_000);
    Duration::from_micros(measured.min(FASTEST_SLOT_MICROSECONDS))
}

/// What has to be done within a phase.
#[derive(Clone, Copy)]
struct Work {
    steps: f64,
    step_seconds: f64,
    bytes: f64,
}

impl Work {
    fn of(steps: f64, step_seconds: f64, bytes: f64) -> Work {
        Work { steps, step_seconds, bytes }
    }

    fn seconds(&self, expected: &Expected) -> f64 {
        self.steps * self.step_seconds + self.bytes * 8.0 / (expected.megabits * 1e6)
    }

    /// Twice the time that it takes, and no less than people need.
    fn slots(&self, expected: &Expected, slot_seconds: f64) -> u32 {
        Work::rounded((2.0 * self.seconds(expected)).max(LEAST_SECONDS) / slot_seconds)
    }

    /// Twice the time that it takes.
    fn needed_slots(&self, expected: &Expected, slot_seconds: f64) -> u32 {
        Work::rounded(2.0 * self.seconds(expected) / slot_seconds)
    }

    fn rounded(slots: f64) -> u32 {
        let slots = slots.max(LEAST_SLOTS);
        // Two digits are enough for a guess.
        let unit = 10f64.powf(slots.log10().floor() - 1.0).max(1.0);
        ((slots / unit).ceil() * unit).min(f64::from(u32::MAX)) as u32
    }

    fn told(&self, expected: &Expected) -> String {
        let steps = count(self.steps.ceil() as u64, "step");
        let computed = format!("{steps} of {}", seconds(self.step_seconds));
        let fetched = match self.bytes {
            bytes if bytes < 1.0 => String::new(),
            bytes => format!(" and {} at {} Mbit/s", megabytes(bytes), expected.megabits),
        };
        let total = self.seconds(expected);
        let least = match 2.0 * total < LEAST_SECONDS {
            true => format!("; {LEAST_SECONDS} s at least"),
            false => String::new(),
        };
        format!("twice {computed}{fetched}, which is {}{least}", pace::told(total))
    }
}

fn seconds(seconds: f64) -> String {
    match seconds {
        long if long >= 10.0 => format!("{long:.0} s"),
        short if short >= 0.1 => format!("{short:.1} s"),
        tiny => format!("{:.1} ms", tiny * 1e3),
    }
}

fn megabytes(bytes: f64) -> String {
    match bytes / 1e6 {
        many if many >= 10.0 => format!("{many:.0} MB"),
        few if few >= 0.1 => format!("{few:.1} MB"),
        _ => format!("{:.0} kB", bytes / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_twice_its_work_at_the_fastest_slots_and_never_shorter_than_finality() {
        let expected = Expected::default();
        let work = Work::of(50.0, 1.0, 125e6);
        // 50 s and 10 s, twice, in slots of a fifth of a second.
        assert_eq!(work.slots(&expected, slot(Some(400_000)).as_secs_f64()), 600);
        assert_eq!(work.slots(&expected, slot(Some(10_000)).as_secs_f64()), 12_000);
        assert_eq!(Work::of(1.0, 1e-3, 0.0).slots(&expected, 0.2), 150);
        // Slots of a fiftieth of a second are no reason to hurry people.
        let tiny = Work::of(1.0, 1e-3, 0.0);
        assert_eq!(tiny.slots(&expected, 0.02), 1_500);
        assert_eq!(tiny.told(&expected), "twice 1 step of 1.0 ms, which is a second; 30 s at least");
        assert_eq!(work.told(&expected), "twice 50 steps of 1.0 s and 125 MB at 100 Mbit/s, which is 1 minute");
    }
}
