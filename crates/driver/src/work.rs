//! What roles have computed: segments, replays, bases, scores, answers; and the states that it takes.

use anyhow::{Context, Result, bail};
use sip_data::{Mixture, hex};
use sip_graph::RunError;
use sip_manifest::exchange::Start;
use sip_node::{
    AggregateError, Cheat, Pause, Replayed, SegmentTask, State, Task, Watch, WorkError, Worker, availability, scoring,
};
use sip_proof::{tensor_bytes, tensor_root};
use sip_protocol::court::availability::{Demand, HELD_OUT_TOKENS};
use sip_protocol::training::job::bit;
use sip_protocol::training::segment::SegmentClaim;
use sip_roles::{Claim, Event, Fact, Finding, Part, Published, Scored, Seen, Stands, Work, Worked};
use solana_address::Address;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::bench::{Bench, Position};
use crate::pause::{self, Slot};

impl Bench {
    /// Computes what is asked for, and what is to be said of it.
    pub(crate) fn compute(&mut self, at: Position<'_>, work: &Work) -> Result<(Fact, Option<Event>)> {
        match work {
            Work::Replay { claim, leaves } => self.replay(at, work, *claim, leaves),
            Work::Base { round } => Ok((self.base(at, *round)?, None)),
            Work::Score { base, cheat } => {
                let (base, scored) = (*base, self.score(base, cheat.as_ref())?);
                Ok((Fact::Scored { base, scored }, None))
            }
            Work::Train { round, place, previous, cheat } => {
                Ok((self.train(at, (*round, *place), previous.as_ref(), cheat.as_ref())?, None))
            }
            Work::Move { claim, dispute, side, cheat } => {
                let played = self.next_move(at, work, (*claim, *side), dispute, cheat.clone())?;
                Ok((Fact::Played { dispute: *dispute, played }, None))
            }
            Work::Answer { demand } => {
                let account = at.view.demands.get(demand).context("a demand is gone")?;
                let answer = self.answer(at, account)?;
                Ok((Fact::Answered { demand: *demand, answer }, None))
            }
        }
    }

    pub(crate) fn worker(&self, task: &Task) -> Worker {
        Worker::new(task.clone(), Arc::clone(&self.machine.threads), self.machine.simd)
    }

    /// The task of the segment of a place whose base, and previous update, are known, and what it should start from.
    pub(crate) fn segment_task(
        &self,
        seen: &Seen,
        place: u8,
        previous: Option<&[u8; 32]>,
    ) -> Result<(SegmentTask, Start)> {
        let prepared = &self.source.prepared;
        let domains = prepared.task.domains.len();
        let gone = |what| move || format!("the {what} of round {} is gone", seen.index() + 1);
        let base = self.state(&seen.round.base_root)?.with_context(gone("base"))?;
        let previous = match previous.filter(|_| prepared.updates.is_some()) {
            Some(root) => Some(self.state(root)?.with_context(gone("previous update of a segment"))?),
            None => None,
        };
        let start = prepared.start(&base, previous.as_ref(), &self.machine)?;
        let task = SegmentTask {
            round: seen.index(),
            first_step: seen.round.first_step(prepared.task.inner_steps),
            seed: seen.round.seed,
            mixture: Mixture::new(&seen.round.mixture_bps[..domains])?,
            settings: seen.round.settings,
            place,
            base: Arc::clone(&start.state),
            bases: Vec::new(),
        };
        Ok((task, start))
    }

    /// Replays a segment, with the traces of the first steps of these leaves.
    fn replay(
        &mut self,
        at: Position<'_>,
        work: &Work,
        claim: Claim,
        attested: &[u32],
    ) -> Result<(Fact, Option<Event>)> {
        let seen = at.view.round_of(claim).context("the round of a segment is gone")?;
        let Claim::Segment { place, .. } = claim else { bail!("{claim} is no segment") };
        let stands = seen.segment(place).context("a segment is gone")?;
        let claimed = at.view.claimed(claim).unwrap_or_default();
        let known = at.known.findings.get(&claim).filter(|finding| finding.claimed == claimed);
        let started = Instant::now();
        let finding = self.compare(seen, stands, work, attested)?;
        // Judged before, only traces were missing.
        let is_known = known.is_some();
        let mut traces = known.map(|known| known.traces.clone()).unwrap_or_default();
        traces.extend(finding.traces);
        let traces = if finding.is_true { traces } else { BTreeMap::new() };
        let finding = Finding { claimed, traces, ..finding };
        let (is_true, seconds) = (finding.is_true, started.elapsed().as_secs_f64());
        let tell = (!is_known).then_some(Event::Judged { claim, is_true, seconds });
        let fact = Fact::Found { claim, finding };
        // On disk before the pause goes.
        self.record.keep(&fact)?;
        pause::forget(&self.record, pause::REPLAY);
        Ok((fact, tell))
    }

    /// What a segment should be, beside what was committed; what it hands over is kept.
    fn compare(&mut self, seen: &Seen, stands: &Stands, work: &Work, attested: &[u32]) -> Result<Finding> {
        let committed = &stands.state.claim;
        let (task, start) = self.segment_task(seen, stands.place, Some(&committed.previous_root))?;
        if start.state.root() != committed.start_root {
            return Ok(Finding { part: Some(Part::Start), ..Finding::default() });
        }
        let replayed = self.replayed(&task, work, attested)?;
        let (end, accumulator) = (replayed.segment.end.root(), replayed.segment.accumulator_root());
        let mut is_true =
            replayed.fault.is_none() && (end, accumulator) == (committed.end_root, committed.accumulator_root);
        let mut part = None;
        if is_true {
            let is_compressed = self.source.prepared.updates.is_some();
            let claimed_root = if is_compressed { committed.update_root } else { committed.end_root };
            let result = finite(self.source.prepared.result(&start, &replayed.segment.end, &self.machine))?;
            match result.filter(|result| result.root() == claimed_root) {
                Some(result) => self.states.save(&result)?,
                None => {
                    // The update is accused, and what it should be follows from the end, which nobody else has.
                    self.states.save_own(&replayed.segment.end)?;
                    (is_true, part) = (false, Some(Part::Update));
                }
            }
        }
        Ok(Finding {
            is_true,
            leaves: Some(Published::new(seen.index(), stands.place, &replayed.segment.leaves)),
            fault: replayed.fault.map(|fault| [fault.step, fault.node, fault.element]),
            end: Some(hex(&end)),
            traces: attested.iter().copied().zip(replayed.trace_roots.iter().map(|root| hex(root))).collect(),
            part,
            ..Finding::default()
        })
    }

    /// Work that goes on from where it was stopped, or its process killed: it is kept on disk every so often and when it is asked to stop; where the disk
    /// takes no more, in memory.
    fn resumed<T>(
        &mut self,
        slot: Slot,
        key: &str,
        act: impl FnOnce(Option<Pause>, &mut Watch<'_>) -> Result<T, WorkError>,
    ) -> Result<T> {
        let held = self.paused.remove(slot.file).filter(|(other, _)| other == key).map(|(_, pause)| pause);
        let from = held.or_else(|| pause::find(&self.record, slot, key, &self.machine.threads));
        let (stop, record, mut kept_at, mut held) = (&self.stop, &self.record, Instant::now(), None);
        let outcome = act(from, &mut |_, pause| {
            let stops = stop.requested();
            if stops || kept_at.elapsed() >= pause::EVERY {
                let pause = pause();
                let is_kept = pause::keep(record, slot, key, &pause).is_ok();
                held = (stops && !is_kept).then_some(pause);
                kept_at = Instant::now();
            }
            !stops
        });
        self.paused.extend(held.map(|pause| (slot.file, (key.to_owned(), pause))));
        Ok(outcome?)
    }

    /// Replays a segment's steps, from where the same work was stopped before.
    pub(crate) fn replayed(&mut self, task: &SegmentTask, work: &Work, attested: &[u32]) -> Result<Replayed> {
        let mut worker = self.worker(&self.source.prepared.task);
        let key = format!("{work:?} {}", pause::key(task, None));
        self.resumed(pause::REPLAY, &key, |from, watch| worker.replay_on(task, attested, from, watch))
    }

    /// What the segments that a round accepted hand over, in order of place, if all of it is known.
    pub(crate) fn results(&self, at: Position<'_>, seen: &Seen) -> Result<Option<Vec<Arc<State>>>> {
        let spec = &at.view.job.spec;
        let mut results = Vec::new();
        for stands in seen.segments.iter().filter(|stands| seen.round.accepted & bit(stands.place) != 0) {
            let Some(result) = self.state(stands.state.claim.result_root(spec))? else { return Ok(None) };
            results.push(result);
        }
        Ok(Some(results))
    }

    /// The next base from the accepted segments.
    fn base(&mut self, at: Position<'_>, round: u32) -> Result<Fact> {
        let seen = at.view.round(round).context("a round is gone")?;
        let base = self.state(&seen.round.base_root)?.context("the base of a round is gone")?;
        let results = self.results(at, seen)?.context("the end of a segment is gone")?;
        let next = finite(self.source.prepared.next_base(&base, &results, &self.machine))?;
        if let Some(next) = &next {
            self.states.save(next)?;
        }
        let root = next.map_or([0; 32], |next| next.root());
        Ok(Fact::Base { round, accepted: seen.round.accepted, root })
    }

    /// The scoring run of a base.
    pub(crate) fn score(&mut self, base: &[u8; 32], cheat: Option<&Cheat>) -> Result<Scored> {
        let base = self.state(base)?.context("a base is gone")?;
        let started = Instant::now();
        let task = SegmentTask::scoring(&base, &self.machine.threads)?;
        let mut worker = self.worker(&self.source.prepared.scoring);
        // Its pause stays: what comes of it is nowhere on disk, and a process that is killed before it has shown it goes on from there.
        let key = pause::key(&task, cheat);
        let (work, fault) = self.resumed(pause::SCORE, &key, |from, watch| match cheat {
            Some(_) => Ok((worker.train_on(&task, cheat, from, watch)?, None)),
            None => {
                let replayed = worker.replay_on(&task, &[], from, watch)?;
                Ok((replayed.segment, replayed.fault))
            }
        })?;
        Ok(Scored {
            sums: scoring::sums(&work.end),
            accumulator_root: work.accumulator_root(),
            leaves: Published::new(0, 0, &work.leaves),
            fault: fault.map(|fault| [fault.step, fault.node, fault.element]),
            cheat: cheat.cloned(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// The own segment of a round; what it comes to is kept.
    fn train(
        &mut self,
        at: Position<'_>,
        (round, place): (u32, u8),
        previous: Option<&[u8; 32]>,
        cheat: Option<&Cheat>,
    ) -> Result<Fact> {
        let seen = at.view.round(round).context("a round is gone")?;
        let (task, start) = self.segment_task(seen, place, previous)?;
        let mut worker = self.worker(&self.source.prepared.task);
        let key = pause::key(&task, cheat);
        let work = self.resumed(pause::TRAINING, &key, |from, watch| worker.train_on(&task, cheat, from, watch))?;
        let result = self.source.prepared.result(&start, &work.end, &self.machine)?;
        self.states.save_own(&work.end)?;
        self.states.save_own(&result)?;
        let claim = SegmentClaim {
            start_root: start.state.root(),
            end_root: work.end.root(),
            accumulator_root: work.accumulator_root(),
            ..SegmentClaim::default()
        };
        let claim = self.source.prepared.claim(claim, &start, &result);
        let SegmentClaim { start_root, end_root, accumulator_root, previous_root, update_root, .. } = claim;
        let roots = [start_root, end_root, accumulator_root, previous_root, update_root].map(|root| hex(&root));
        let leaves = Published::new(round, place, &work.leaves);
        let mean_loss = work.losses.iter().sum::<f32>() / work.losses.len().max(1) as f32;
        let fact = Fact::Worked { round, worked: Worked { roots, leaves, mean_loss } };
        // On disk before the pause goes: who asked for it may be killed before it hears of it.
        self.record.keep(&fact)?;
        pause::forget(&self.record, pause::TRAINING);
        Ok(fact)
    }

    /// What answers a demand; nothing where there is no such chunk.
    fn answer(&self, at: Position<'_>, demand: &Demand) -> Result<Option<Vec<u8>>> {
        let subject = Address::new_from_array(demand.subject);
        if let Some(domain) = at.view.datasets().iter().position(|dataset| *dataset == subject) {
            let prepared = &self.source.prepared;
            let parts = if demand.entry == HELD_OUT_TOKENS { &prepared.heldout } else { &prepared.task.domains };
            let blob = parts.get(domain);
            return Ok(blob.and_then(|blob| availability::data_answer(&tensor_bytes(blob.tokens()), demand.chunk)));
        }
        let state = self.state(&demand.root)?.context("what is demanded is gone")?;
        let entries = state.entries();
        let roots: Vec<[u8; 32]> = entries.iter().map(|entry| tensor_root(entry)).collect();
        let Some(entry) = entries.get(demand.entry as usize) else { return Ok(None) };
        Ok(availability::state_answer(&roots, demand.entry, &tensor_bytes(entry), demand.chunk))
    }
}

/// A state that was computed; `None` where it would have a value that is not finite, so that a claim of one is false.
fn finite(computed: Result<Arc<State>>) -> Result<Option<Arc<State>>> {
    let Err(error) = computed else { return computed.map(Some) };
    let run = match error.downcast_ref::<AggregateError>() {
        Some(AggregateError::Run(run)) => Some(run),
        _ => error.downcast_ref::<RunError>(),
    };
    if matches!(run, Some(RunError::Fault { .. })) { Ok(None) } else { Err(error) }
}
