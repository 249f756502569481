//! A run: people on an embedded ledger train a model, round by round, and what they do is saved after each; and how such a run is verified.
//!
//! [`Run`] is a run under way, with its [`World`] of [`Person`]s; [`verify()`] replays what a folder says of one, and [`Folder`] is its ledger for others.

mod again;
mod archive;
mod checked;
mod court;
mod exported;
mod finish;
mod folder;
mod journal;
mod round;
mod setup;
mod staged;
mod tell;
mod verify;
mod world;

pub use court::View;
pub use folder::{Folder, restore};
pub use round::Committed;
pub use setup::{chain, dataset_addresses, job_address, people};
pub use staged::stage;
pub use tell::print;
pub use verify::{Difference, Replayed, Undone, verify};
pub use world::{InstructionLog, Person, Sent, World};

use anyhow::{Result, bail, ensure};
use sip_manifest::machine::Machine;
use sip_manifest::prepare::{self, Prepared};
use sip_manifest::settings::Settings;
use sip_manifest::stop::{Stop, Stopped};
use sip_manifest::{check, roles};
use sip_node::scoring::{self, Sums};
use sip_node::{Segment, SegmentTask, State, Worker};
use sip_protocol::training::job::Job;
use std::sync::Arc;
use std::time::Instant;

use journal::Journal;
use sip_manifest::exchange::Applied;
use sip_manifest::folder::{Store, read_json, read_settings, write_json};
use sip_report::Progress;

/// A run under way.
pub struct Run {
    /// What it was begun with.
    pub settings: Settings,
    /// Its folder.
    pub store: Store,
    /// This machine.
    pub machine: Machine,
    /// What it computes with.
    pub prepared: Prepared,
    /// The ledger, and everyone on it.
    pub world: World,
    pub(crate) journal: Journal,
    /// Computes segments.
    pub worker: Worker,
    /// Computes scoring runs.
    pub scorer: Worker,
    /// What the next round starts from.
    pub base: Arc<State>,
    pub(crate) progress: Progress,
    pub(crate) stop: Stop,
    /// Whose lie the round that runs is built on, so that it will be undone: it lies again, and nothing else is staged.
    pub(crate) doomed: Option<usize>,
    started: Instant,
    /// What trainers go on from beside the base.
    pub applied: Applied,
}

/// What a replay may keep of a segment, bytes.
const CHECKPOINT_BYTES: usize = 256 << 20;

/// Steps from one state that a replay keeps to the next, so that what is drawn again needs few; 0 if not even one state may be kept.
fn checkpoint_steps(state_bytes: usize, inner_steps: u32) -> u32 {
    match (CHECKPOINT_BYTES / state_bytes.max(1)) as u32 {
        0 => 0,
        states => (inner_steps / states.saturating_add(1)).max(8),
    }
}

impl Run {
    /// Builds the ledger, with everyone on it, and saves it as round 0.
    ///
    /// # Errors
    /// The ledger's and the file system's.
    pub fn begin(settings: Settings, store: Store, progress: Progress, stop: Stop) -> Result<Run> {
        write_json(&store.settings(), &settings)?;
        let machine = Machine::from_environment()?;
        let prepared = prepare::prepare(&settings, &store, &machine)?;
        let mut world = World::new(setup::people(&settings))?;
        progress.stage("Chain and stake");
        setup::build(&mut world, &settings, &prepared, progress)?;
        let mut journal = Journal { draws_used: vec![0; world.with_role(roles::AUDITOR).len()], ..Journal::default() };
        journal.summary.chain.conserved = true;
        let base = Arc::clone(&prepared.genesis);
        let mut run = Run::assemble(settings, store, machine, prepared, world, journal, base, progress, stop)?;
        run.journal.begin(&run.world)?;
        run.convict_genesis()?;
        run.journal.summary.initial_loss = run.scores(&Arc::clone(&run.base))?;
        run.save()?;
        Ok(run)
    }

    /// Goes on from the last finished round.
    ///
    /// # Errors
    /// Where the folder holds no run that can go on.
    pub fn resume(store: Store, progress: Progress, stop: Stop) -> Result<Run> {
        let rounds = store.latest()?;
        let settings = read_settings(&store)?;
        let machine = Machine::from_environment()?;
        let prepared = prepare::open(&store, &machine)?;
        let mut journal: Journal = read_json(&store.journal(rounds))?;
        let mut world = World::restore(setup::people(&settings), &store.ledger(rounds))?;
        journal.check(&world, rounds)?;
        world.log = std::mem::take(&mut journal.log);
        let base = Arc::new(State::load(&store.base(rounds), &machine.threads)?);
        let job: Job = world.read(&setup::job_address(&world))?;
        if let Some(difference) =
            check::job(&job, &settings, &prepared, &setup::job_spec(&settings, &prepared), &|at| {
                world.read(&(*at).into())
            })?
        {
            bail!("the run in {} cannot go on: {difference}", store.root().display());
        }
        ensure!(
            job.base_root == base.root() && job.rounds_scored == rounds,
            "the run in {} cannot go on: its ledger and its state are of different rounds",
            store.root().display()
        );
        progress.stage(&format!("Going on after round {rounds} of {}", settings.rounds));
        let applied = (journal.applied.iter())
            .map(|&place| Ok((place, Arc::new(State::load(&store.update(rounds, place), &machine.threads)?))))
            .collect::<Result<Applied>>()?;
        let run = Run::assemble(settings, store, machine, prepared, world, journal, base, progress, stop)?;
        Ok(Run { applied, ..run })
    }

    /// Whether a folder holds a run that could go on.
    pub fn is_unfinished(store: &Store) -> bool {
        let rounds = read_json::<Settings>(&store.settings()).map(|settings| settings.rounds);
        matches!((rounds, store.latest()), (Ok(rounds), Ok(done)) if done < rounds)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a run, named once")]
    fn assemble(
        settings: Settings,
        store: Store,
        machine: Machine,
        prepared: Prepared,
        world: World,
        journal: Journal,
        base: Arc<State>,
        progress: Progress,
        stop: Stop,
    ) -> Result<Run> {
        let mut worker = Worker::new(prepared.task.clone(), Arc::clone(&machine.threads), machine.simd);
        worker.keep_checkpoints(checkpoint_steps(
            base.entries().iter().map(|entry| 4 * entry.len()).sum(),
            settings.inner_steps,
        ));
        let scorer = Worker::new(prepared.scoring.clone(), Arc::clone(&machine.threads), machine.simd);
        let started = Instant::now();
        Ok(Run {
            settings,
            store,
            machine,
            prepared,
            world,
            journal,
            worker,
            scorer,
            base,
            progress,
            stop,
            doomed: None,
            started,
            applied: Applied::new(),
        })
    }

    /// The scoring run of a base, and the sums that it ends with.
    pub(crate) fn score(&mut self, base: &Arc<State>) -> Result<(Segment, Sums)> {
        let task = SegmentTask::scoring(base, &self.machine.threads)?;
        let run = self.scorer.train(&task, None, &mut |_| true)?;
        let sums = scoring::sums(&run.end);
        Ok((run, sums))
    }

    /// Held-out loss per domain in nats per token.
    fn scores(&mut self, base: &Arc<State>) -> Result<Vec<f64>> {
        let (_, sums) = self.score(base)?;
        let job: Job = self.world.read(&setup::job_address(&self.world))?;
        let scores = sip_protocol::training::evaluation::scores(&job.spec, &sums).map_err(round::rule)?;
        let domains = &scores[..self.settings.domains.len()];
        Ok(domains.iter().map(|score| f64::from(*score) / sip_eval::MICRO_NATS).collect())
    }

    /// Plays all rounds that are left.
    ///
    /// # Errors
    /// The ledger's; a stop that was asked for; a round that comes to nothing five times.
    pub fn play(&mut self) -> Result<()> {
        let mut repeats = 0;
        while self.journal.rounds_done < self.settings.rounds {
            if self.stop.requested() {
                bail!(Stopped);
            }
            if self.round()? {
                repeats = 0;
                self.save()?;
            } else {
                repeats += 1;
                if repeats > 4 {
                    bail!("the round came to nothing five times; no trainer's segment is accepted any more");
                }
            }
        }
        Ok(())
    }

    /// Seconds of this run, earlier parts included.
    pub(crate) fn seconds(&self) -> f64 {
        self.journal.seconds_before + self.started.elapsed().as_secs_f64()
    }

    /// Saves ledger, base and journal, the journal last: it says that the others are there.
    ///
    /// # Errors
    /// The file system's.
    pub fn save(&mut self) -> Result<()> {
        let rounds = self.journal.rounds_done;
        self.base.save(&self.store.base(rounds))?;
        for (place, update) in &self.applied {
            update.save(&self.store.update(rounds, *place))?;
        }
        self.journal.applied = self.applied.keys().copied().collect();
        self.world.ledger.snapshot(&self.store.ledger(rounds))?;
        let mut journal = self.journal.clone();
        journal.log.clone_from(&self.world.log);
        journal.seconds_before = self.seconds();
        let statistics = self.world.ledger.statistics();
        journal.summary.chain.transactions = statistics.transactions;
        write_json(&self.store.journal(rounds), &journal)?;
        if rounds > 0 {
            self.store.forget(rounds - 1);
        }
        Ok(())
    }
}
