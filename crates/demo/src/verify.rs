//! Replaying what a run committed, by its folder: it is confirmed, or the first difference is named.

use anyhow::{Context, Result};
use sip_client::check_history;
use sip_driver::false_reveals;
use sip_node::{SegmentTask, State, Worker, scoring};
use sip_proof::{HostSha256, Leaf};
use sip_protocol::court::availability::{self, Demand};
use sip_protocol::training::attestation;
use sip_protocol::training::evaluation::{self, ScoringRun};
use sip_protocol::training::finality::NO_ROUND;
use sip_protocol::training::job::{Job, bit};
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::segment::{self, SegmentClaim};
use sip_report::Bar;
use solana_address::Address;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::archive::Archive;
use crate::exported;
use crate::finish::summarise;
use crate::journal::Journal;
use crate::round::{on_chain, rule};
use crate::setup::{job_address, job_spec, people};
use crate::world::{Person, World};
use sip_manifest::check;
use sip_manifest::exchange::Applied;
use sip_manifest::folder::{Store, read_json, read_settings};
use sip_manifest::machine::Machine;
use sip_manifest::prepare::{self, Prepared};
use sip_manifest::roles::{AUDITOR, EVALUATOR, TRAINER};
use sip_manifest::settings::Settings;
use sip_report::Progress;
use sip_report::summary::{RoundSummary, Summary};

/// What was replayed.
#[derive(Default)]
pub struct Replayed {
    /// Rounds.
    pub rounds: u32,
    /// Of them, those that stand.
    pub scored: u32,
    /// Whether the run has come to its end, and its summary and model were compared.
    pub is_finished: bool,
    /// Segments.
    pub segments: u32,
    /// Of them, those that were convicted.
    pub convicted: u32,
    /// Attestations.
    pub attestations: u32,
    /// Attestations that the replay contradicts, of auditors who were convicted.
    pub false_attestations: u32,
    /// Steps of the segments.
    pub steps: u64,
    /// Accounts that are closed on chain, of which copies were read.
    pub closed: u32,
    /// Segments of rounds that were undone.
    pub undone: Vec<Undone>,
}

/// What the replay says of a segment whose round was undone.
pub struct Undone {
    /// The round's number on chain, from 1.
    pub round: u32,
    /// Whose segment it is.
    pub trainer: String,
    /// Whether it is not what the rules give.
    pub is_false: bool,
    /// Whether the round is built on another that was undone.
    pub has_undone_ancestor: bool,
}

impl Undone {
    /// In words.
    pub fn finding(&self) -> &'static str {
        match (self.is_false, self.has_undone_ancestor) {
            (true, _) => "false: a cause of the undoing",
            (false, true) => "honest: undone with the round that it was built on",
            (false, false) => "honest: undone with its round",
        }
    }
}

/// What the replay of a segment gives.
struct Replay {
    /// The first thing that is not as it should be.
    difference: Difference,
    /// The state that an honest segment ends in.
    end: Arc<State>,
    /// Whether the segment is not what the rules give.
    is_false: bool,
}

/// Replays the run of a folder, by its manifest or by the one of another file. The outer error is that there is no run; the inner one that something could
/// not be read, which a file that was changed may be the reason of.
///
/// # Errors
/// Where the folder holds no run.
pub fn verify(
    folder: &Path,
    manifest: Option<&Path>,
    progress: Progress,
    replayed: &mut Replayed,
) -> Result<Result<Difference>> {
    Store::new(folder).latest()?;
    Ok(Verifier::open(folder, manifest, progress).and_then(|mut verifier| verifier.verify(replayed)))
}

/// Whether the journal says of a round what the chain says; the chain does not know its segments' losses and bytes.
fn is_of(told: &RoundSummary, number: u32, round: &Round, domains: usize) -> bool {
    let (segments, exchanged_bytes) = (told.segments.clone(), told.exchanged_bytes);
    *told == RoundSummary { segments, exchanged_bytes, ..on_chain(number, round, domains) }
}

struct Verifier {
    store: Store,
    settings: Settings,
    machine: Machine,
    prepared: Prepared,
    world: World,
    journal: Journal,
    progress: Progress,
    archive: Archive,
}

/// The first difference, in words; `None` while there is none.
pub type Difference = Option<String>;

/// By place, what the accepted segments of a round hand over.
type Accepted = Vec<(u8, Arc<State>)>;

impl Verifier {
    fn open(folder: &Path, manifest: Option<&Path>, progress: Progress) -> Result<Verifier> {
        let store = Store::new(folder).with_manifest(manifest);
        let rounds = store.latest()?;
        let settings = read_settings(&store)?;
        let machine = Machine::from_environment()?;
        progress.stage(&format!("Verifying {}", store.root().display()));
        let prepared = prepare::open(&store, &machine)?;
        let mut world = World::restore(people(&settings), &store.ledger(rounds))?;
        let mut journal: Journal = read_json(&store.journal(rounds))?;
        journal.check(&world, rounds)?;
        world.log = std::mem::take(&mut journal.log);
        let archive = Archive::of(&store);
        Ok(Verifier { store, settings, machine, prepared, world, journal, progress, archive })
    }

    /// Whether the rounds of which copies were read are those that became final, by the job's history on chain.
    fn history(&self, job: &Job, rounds: &[Round]) -> Difference {
        let error = check_history(job, rounds).err()?;
        Some(format!("the final rounds on chain and in {}: {error}", self.store.archive().display()))
    }

    fn verify(&mut self, replayed: &mut Replayed) -> Result<Difference> {
        if !self.world.is_conserved()? {
            return Ok(Some("the vault does not hold what the accounts say that it owes".into()));
        }
        let job_address = job_address(&self.world);
        let job: Job = self.world.read(&job_address)?;
        if let Some(difference) =
            check::job(&job, &self.settings, &self.prepared, &job_spec(&self.settings, &self.prepared), &|at| {
                self.world.read(&(*at).into())
            })?
        {
            return Ok(Some(difference));
        }
        if job.rounds_scored != self.journal.rounds_done {
            return Ok(Some("the journal and the ledger are of different rounds".into()));
        }
        let mut worker = Worker::new(self.prepared.task.clone(), Arc::clone(&self.machine.threads), self.machine.simd);
        let mut scorer =
            Worker::new(self.prepared.scoring.clone(), Arc::clone(&self.machine.threads), self.machine.simd);
        let mut base = Arc::clone(&self.prepared.genesis);
        let mut applied = Applied::new();
        let mut seed = job.spec.seed;
        let mut head = NO_ROUND;
        let mut finals = Vec::new();
        // The rounds that were undone after they had a result.
        let mut undone: BTreeSet<u32> = BTreeSet::new();
        let bar = self.progress.bar(self.journal.published.len() as u64, "replaying segments");
        for index in 0..job.next_round {
            // People count rounds from 1, as the demo and the report do.
            let number = index + 1;
            let address = self.world.program.round(&job_address, index);
            let round: Round = self.archive.read(&self.world, &address)?;
            if round.seed != seed {
                return Ok(Some(format!("round {number} has another seed than the draws before it give")));
            }
            if round.is_undone != 0 && undone.contains(&round.parent) {
                // What it built on is false, and its trainer's alone: each segment is replayed from that.
                let path = self.store.undone(round.parent);
                let Ok(false_base) = State::load(&path, &self.machine.threads) else {
                    return Ok(Some(format!(
                        "round {number} builds on a base that was undone, and {} does not hold it",
                        path.display()
                    )));
                };
                if round.base_root != false_base.root() {
                    return Ok(Some(format!("round {number} starts from another base than {} holds", path.display())));
                }
                undone.insert(index);
                replayed.rounds += 1;
                let replay =
                    self.segments(&mut worker, (&Arc::new(false_base), &applied), &round, &address, replayed, &bar)?;
                if let Err(difference) = replay {
                    return Ok(Some(difference));
                }
                if let Some(difference) = false_reveals(&round) {
                    return Ok(Some(difference));
                }
                seed = round.following_seed::<HostSha256>();
                continue;
            }
            if round.parent != head {
                return Ok(Some(format!("round {number} builds on another round than the last one that stands")));
            }
            if round.base_root != base.root() {
                return Ok(Some(format!("round {number} starts from another base than the round before ended with")));
            }
            let accepted = match self.segments(&mut worker, (&base, &applied), &round, &address, replayed, &bar)? {
                Ok(accepted) => accepted,
                Err(difference) => return Ok(Some(difference)),
            };
            if let Some(difference) = false_reveals(&round) {
                return Ok(Some(difference));
            }
            seed = round.following_seed::<HostSha256>();
            replayed.rounds += 1;
            if round.status == round::VOID {
                if round.is_undone != 0 {
                    undone.insert(index);
                }
                continue;
            }
            if round.status != round::FINAL {
                return Ok(Some(format!("round {number} is not finished on chain")));
            }
            let results: Vec<Arc<State>> = accepted.iter().map(|(_, result)| Arc::clone(result)).collect();
            let next = self.prepared.next_base(&base, &results, &self.machine)?;
            if next.root() != round.next_base {
                return Ok(Some(format!(
                    "round {number}: the base that was voted is not what the accepted segments give"
                )));
            }
            applied = self.prepared.applied(accepted.iter().map(|(place, result)| (*place, result)));
            if let Some(difference) = self.scores(&mut scorer, &next, &job, &round, &address)? {
                return Ok(Some(difference));
            }
            let told = self.journal.summary.rounds.get(replayed.scored as usize);
            if told.is_none_or(|told| !is_of(told, replayed.scored, &round, self.settings.domains.len())) {
                return Ok(Some(format!("round {number}: the run's journal has another outcome than the chain")));
            }
            base = next;
            head = index;
            finals.push(round);
            replayed.scored += 1;
        }
        drop(bar);
        replayed.closed = self.archive.taken();
        if let Some(difference) = self.history(&job, &finals) {
            return Ok(Some(difference));
        }
        if base.root() != job.base_root {
            return Ok(Some("the job's base on chain is not the last round's".into()));
        }
        if self.journal.rounds_done < self.settings.rounds {
            return Ok(None);
        }
        replayed.is_finished = true;
        if let Some(difference) = self.summary(&base)? {
            return Ok(Some(difference));
        }
        exported::difference(&self.store, self.prepared.manifest.model.as_ref(), &base)
    }

    /// The scores of a round, and the scoring runs of the evaluators that were found right.
    fn scores(
        &self,
        scorer: &mut Worker,
        base: &Arc<State>,
        job: &Job,
        round: &Round,
        round_address: &Address,
    ) -> Result<Difference> {
        let run = scorer.train(&SegmentTask::scoring(base, &self.machine.threads)?, None, &mut |_| true)?;
        let sums = scoring::sums(&run.end);
        let scores = evaluation::scores(&job.spec, &sums).map_err(rule)?;
        let number = round.index + 1;
        for (domain, (score, on_chain)) in self.settings.domains.iter().zip(scores.into_iter().zip(round.scores)) {
            if score != on_chain {
                return Ok(Some(format!(
                    "round {number}: the score on {} is {on_chain} micro-nats per token, but {score} by replay",
                    domain.name
                )));
            }
        }
        for evaluator in self.world.with_role(EVALUATOR) {
            let person = &self.world.people[evaluator];
            if round.evaluators[person.place as usize].status != evaluation::WITHIN {
                continue;
            }
            let account: ScoringRun =
                self.archive.read(&self.world, &self.world.program.run(round_address, &person.pool()?))?;
            let claim = evaluation::claim::<HostSha256>(&job.spec, &sums, &run.accumulator_root(), person.place);
            if account.claim != claim {
                let name = &person.name;
                return Ok(Some(format!("round {number}: the scoring run of {name} is not what the replay gives")));
            }
        }
        Ok(None)
    }

    /// What a reader of the summary is told against what the run's files and the replay give; all but version and timings.
    fn summary(&self, base: &State) -> Result<Difference> {
        let told: Summary = read_json(&self.store.summary())?;
        let given = summarise(&self.settings, &self.prepared, &self.machine, &self.world, &self.journal, base)?;
        let given = Summary { version: told.version.clone(), timings: told.timings.clone(), ..given };
        let (told, given) = (serde_json::to_value(&told)?, serde_json::to_value(&given)?);
        let parts = given.as_object().into_iter().flatten();
        let differing = parts.into_iter().find(|(part, value)| told.get(part.as_str()) != Some(*value));
        Ok(differing
            .map(|(part, _)| format!("summary.json says of {} what the run's files do not", part.replace('_', " "))))
    }

    /// All segments of a round, from its base and the applied updates: what those hand over that count, or the first difference.
    fn segments(
        &self,
        worker: &mut Worker,
        from: (&Arc<State>, &Applied),
        round: &Round,
        address: &Address,
        replayed: &mut Replayed,
        bar: &Bar,
    ) -> Result<std::result::Result<Accepted, String>> {
        let is_undone = round.is_undone != 0;
        let mut accepted = Vec::new();
        for trainer in self.world.with_role(TRAINER) {
            let place = self.world.people[trainer].place;
            if round.committed & bit(place) == 0 {
                continue;
            }
            let Replay { difference, end, is_false } = self.segment(worker, from, round, address, trainer, replayed)?;
            bar.inc(1);
            if is_undone {
                let trainer = self.world.people[trainer].name.clone();
                let has_undone_ancestor = self.has_undone_parent(round)?;
                replayed.undone.push(Undone { round: round.index + 1, trainer, is_false, has_undone_ancestor });
            }
            // Nothing of an undone round stands: that a lie in it was not punished as well changes no result.
            match difference {
                Some(difference) if !(is_undone && is_false) => return Ok(Err(difference)),
                _ => {}
            }
            if round.accepted & bit(place) != 0 {
                accepted.push((place, end));
            }
        }
        Ok(Ok(accepted))
    }

    /// Whether a round builds on one that was undone.
    fn has_undone_parent(&self, round: &Round) -> Result<bool> {
        if round.parent == NO_ROUND {
            return Ok(false);
        }
        let address = self.world.program.round(&job_address(&self.world), round.parent);
        Ok(self.archive.read::<Round>(&self.world, &address)?.is_undone != 0)
    }

    /// Whether a trainer was convicted of withholding what its segment ends in, rather than of what is in it.
    fn was_silent(&self, segment: &Address) -> bool {
        let is_silence =
            |demand: &Demand| demand.subject == segment.to_bytes() && demand.status == availability::FAILED;
        self.archive.all::<Demand>(&self.world).iter().any(is_silence)
    }

    /// One segment from the base and the applied updates.
    fn segment(
        &self,
        worker: &mut Worker,
        (base, applied): (&Arc<State>, &Applied),
        round: &Round,
        round_address: &Address,
        trainer: usize,
        replayed: &mut Replayed,
    ) -> Result<Replay> {
        let job: Job = self.world.read(&job_address(&self.world))?;
        let person = &self.world.people[trainer];
        let address = self.world.program.segment(round_address, &person.pool()?);
        let account: segment::Segment = self.archive.read(&self.world, &address)?;
        let start = self.prepared.start(base, applied.get(&person.place), &self.machine)?;
        let task = SegmentTask {
            round: round.index,
            first_step: round.first_step(job.spec.inner_steps),
            seed: round.seed,
            mixture: sip_data::Mixture::new(&round.mixture_bps[..self.settings.domains.len()])?,
            settings: round.settings,
            place: person.place,
            base: Arc::clone(&start.state),
            bases: Vec::new(),
        };
        let published = self.journal.published.iter().find(|p| p.round == round.index && p.place == person.place);
        let leaves = published.and_then(|published| published.leaves(&self.prepared.task)).with_context(|| {
            format!("the leaves of {} in round {} are not among the run's files", person.name, round.index + 1)
        })?;
        let where_ = format!("round {}, {}", round.index + 1, person.name);
        let attested = |a: &usize| account.shown & bit(self.world.people[*a].place) != 0;
        let auditors: Vec<&Person> =
            self.world.with_role(AUDITOR).into_iter().filter(attested).map(|a| &self.world.people[a]).collect();
        let count = job.spec.leaf_count();
        let leaf = |place: u8| attestation::leaf::<HostSha256>(round, &account, place, count);
        let attested: Vec<u32> = auditors.iter().map(|auditor| leaf(auditor.place)).collect();
        let audit = worker.audit(&task, (&leaves, &account.claim.end_root), &attested, &mut |_| true)?;
        replayed.segments += 1;
        replayed.steps += u64::from(self.settings.inner_steps);
        let end = self.prepared.result(&start, &audit.replayed.end, &self.machine)?;
        let expected =
            self.prepared.claim(SegmentClaim { start_root: start.state.root(), ..account.claim }, &start, &end);
        let committed = sip_proof::merkle::MerkleTree::new(leaves.iter().map(Leaf::preimage)).root();
        let is_false = audit.divergence.is_some() || account.claim != expected;
        if committed != account.claim.accumulator_root {
            // Somebody changed the files: nothing follows from them about the segment.
            let difference = Some(format!("{where_}: the published leaves are not the ones that were committed"));
            return Ok(Replay { difference, end, is_false: false });
        }
        let finding = |difference: Difference| Ok(Replay { difference, end: Arc::clone(&end), is_false });
        if account.status == segment::CONVICTED {
            replayed.convicted += 1;
            let is_wrong = !is_false && !self.was_silent(&address);
            return finding(
                is_wrong.then(|| format!("{where_}: convicted, although the replay gives the same leaves")),
            );
        }
        if account.claim.start_root != expected.start_root || account.claim.previous_root != expected.previous_root {
            return finding(Some(format!("{where_}: it starts from another state than base and update give")));
        }
        if let Some(divergence) = audit.divergence {
            let leaf = divergence.leaf + 1;
            let text = match divergence.expected {
                Some(Leaf { first_step, count, .. }) => {
                    let (first, last) = (first_step + 1, first_step + count);
                    format!("{where_}: leaf {leaf} (steps {first} to {last}) is not what the replay gives")
                }
                None => {
                    format!("{where_}: leaf {leaf} is there, although the replay stops in it at a value not finite")
                }
            };
            return finding(Some(text));
        }
        if account.claim.update_root != expected.update_root {
            return finding(Some(format!("{where_}: its update is not what its states give")));
        }
        for (auditor, trace_root) in auditors.iter().zip(&audit.trace_roots) {
            if account.attestations[auditor.place as usize] != *trace_root {
                if round.excluded_auditors(&job) & bit(auditor.place) != 0 {
                    replayed.false_attestations += 1;
                    continue;
                }
                let name = &auditor.name;
                return finding(Some(format!("{where_}: the attestation of {name} is no trace of the replay")));
            }
            replayed.attestations += 1;
        }
        finding(None)
    }
}
