//! Comparing what was claimed with what it should be.

use anyhow::{Context, Result};
use sip_graph::RunError;
use sip_ledger::Ledger;
use sip_node::{AggregateError, SegmentTask, State, scoring};
use sip_proof::HostSha256;
use sip_protocol::training::evaluation;
use sip_protocol::training::finality::NO_ROUND;
use sip_protocol::training::job::bit;
use sip_protocol::training::round;
use sip_protocol::training::segment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::claim::Claim;
use super::event::Event;
use super::here::{Here, Seen, Stands};
use super::record::{Finding, Part};
use super::source::Match;
use super::watch::Watch;
use crate::run::journal::Published;
use sip_data::hex;
use sip_manifest::exchange::Start;

impl<L: Ledger> Watch<'_, L> {
    /// Judges the next claim. False if all are judged.
    pub(super) fn judge(&mut self, here: &Here) -> Result<bool> {
        if self.judge_genesis(here)? {
            return Ok(true);
        }
        for seen in &here.rounds {
            if seen.round.status == round::OPEN || self.is_doubtful(here, seen)? {
                continue;
            }
            if !self.knows(&seen.round.base_root)? {
                let (round, root) = (seen.index(), hex(&seen.round.base_root));
                self.say_once(&Event::Unknown { round, root });
                continue;
            }
            let is_computed = self.judge_segments(here, seen)?
                || self.judge_base(here, seen)?
                || self.judge_runs(here, seen)?
                || self.judge_attestations(here, seen)?;
            if is_computed {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn judge_genesis(&mut self, here: &Here) -> Result<bool> {
        if here.job.spec.init_node_count == 0 || self.record.finding(Claim::Genesis)?.is_some() {
            return Ok(false);
        }
        let is_true = self.source.describes(&here.job) == Match::Yes;
        self.find_that(here, Claim::Genesis, Finding { is_true, ..Finding::default() }, 0.0)?;
        Ok(true)
    }

    /// Notes a finding of a claim as it stands now, and says it.
    fn find_that(&mut self, here: &Here, claim: Claim, finding: Finding, seconds: f64) -> Result<()> {
        let claimed = here.claimed(claim).unwrap_or_default();
        let is_true = finding.is_true;
        self.record.keep(claim, &Finding { claimed, ..finding })?;
        (self.report)(&Event::Judged { claim, is_true, seconds });
        Ok(())
    }

    /// What was found of a claim as it stands now.
    pub(super) fn found(&self, here: &Here, claim: Claim) -> Result<Option<Finding>> {
        let finding = self.record.finding(claim)?;
        let claimed = here.claimed(claim);
        Ok(finding.filter(|finding| Some(&finding.claimed) == claimed.as_ref()))
    }

    /// Whether a claim was found false and stands as it was then.
    pub(super) fn is_false(&self, here: &Here, claim: Claim) -> Result<bool> {
        Ok(self.found(here, claim)?.is_some_and(|finding| !finding.is_true))
    }

    /// Whether a round builds on what is false, so that it will be undone: nobody can replay it.
    pub(super) fn is_doubtful(&self, here: &Here, seen: &Seen) -> Result<bool> {
        let mut parent = seen.round.parent;
        // Parents come before their children.
        for earlier in here.rounds.iter().rev().filter(|earlier| earlier.index() < seen.index()) {
            if earlier.index() != parent {
                continue;
            }
            parent = earlier.round.parent;
            if earlier.round.status == round::FINAL {
                return Ok(false);
            }
            let round = earlier.index();
            for stands in earlier.segments.iter().filter(|stands| earlier.round.accepted & bit(stands.place) != 0) {
                if self.is_false(here, Claim::Segment { round, place: stands.place })? {
                    return Ok(true);
                }
            }
            let base = self.record.base(round, earlier.round.accepted)?;
            if base.is_some_and(|base| base != earlier.round.next_base) {
                return Ok(true);
            }
        }
        Ok(parent == NO_ROUND && self.is_false(here, Claim::Genesis)?)
    }

    /// The update that a segment goes on from: nothing with whole states. The chain accepts no other than the right one.
    fn previous(&self, stands: &Stands) -> Option<[u8; 32]> {
        self.source.prepared.updates.as_ref().map(|_| stands.state.claim.previous_root)
    }

    /// Whether the update that a segment goes on from is known, if it goes on from one.
    pub(super) fn knows_previous(&self, stands: &Stands) -> Result<bool> {
        self.previous(stands).map_or(Ok(true), |root| self.knows(&root))
    }

    /// The task of a segment whose base, and previous update, are known, and what it should start from.
    pub(super) fn segment_task(&self, seen: &Seen, stands: &Stands) -> Result<(SegmentTask, Start)> {
        let prepared = &self.source.prepared;
        let domains = prepared.task.domains.len();
        let gone = |what| move || format!("the {what} of round {} is gone", seen.index() + 1);
        let base = self.state(&seen.round.base_root)?.with_context(gone("base"))?;
        let previous = match self.previous(stands) {
            Some(root) => Some(self.state(&root)?.with_context(gone("previous update of a segment"))?),
            None => None,
        };
        let start = prepared.start(&base, previous.as_ref(), self.machine)?;
        let task = SegmentTask {
            round: seen.index(),
            first_step: seen.round.first_step(prepared.task.inner_steps),
            seed: seen.round.seed,
            mixture: sip_data::Mixture::new(&seen.round.mixture_bps[..domains])?,
            settings: seen.round.settings,
            place: stands.place,
            base: Arc::clone(&start.state),
            bases: Vec::new(),
        };
        Ok((task, start))
    }

    fn judge_segments(&mut self, here: &Here, seen: &Seen) -> Result<bool> {
        // Of a round that came to nothing, only what can still be accused matters.
        let matters = seen.round.status != round::VOID || seen.round.require_challengeable(here.slot).is_ok();
        let mut open = Vec::new();
        for stands in seen.segments.iter().filter(|_| matters) {
            let claim = Claim::Segment { round: seen.index(), place: stands.place };
            let is_spared = self.is_left_to_others(here, seen, stands)
                && self.knows(stands.state.claim.result_root(&here.job.spec))?;
            if is_spared || self.found(here, claim)?.is_some() {
                continue;
            }
            if self.knows_previous(stands)? {
                open.push(stands);
            } else {
                let (round, root) = (seen.index(), hex(&stands.state.claim.previous_root));
                self.say_once(&Event::Unknown { round, root });
            }
        }
        // What we drew has a deadline.
        open.sort_by_key(|stands| !self.operator.is_some_and(|operator| operator.draws(here, seen, stands)));
        let Some(stands) = open.first() else { return Ok(false) };
        let auditors = (0..seen.round.auditor_count).filter(|auditor| is_drawn(seen, stands, *auditor));
        let leaves = auditors.map(|auditor| here.leaf(seen, stands, auditor)).collect();
        self.replay(here, seen, stands, leaves)?;
        Ok(true)
    }

    /// Replays a segment, with the traces of the first steps of these leaves.
    pub(super) fn replay(&mut self, here: &Here, seen: &Seen, stands: &Stands, attested: Vec<u32>) -> Result<()> {
        let claim = Claim::Segment { round: seen.index(), place: stands.place };
        let committed = &stands.state.claim;
        let started = Instant::now();
        let (task, start) = self.segment_task(seen, stands)?;
        if start.state.root() != committed.start_root {
            let finding = Finding { part: Some(Part::Start), ..Finding::default() };
            return self.find_that(here, claim, finding, started.elapsed().as_secs_f64());
        }
        let mut worker = self.worker(&self.source.prepared.task);
        let stop = self.stop;
        let replayed = worker.replay(&task, &attested, &mut |_| !stop.requested())?;
        let (end, accumulator) = (replayed.segment.end.root(), replayed.segment.accumulator_root());
        let mut is_true =
            replayed.fault.is_none() && (end, accumulator) == (committed.end_root, committed.accumulator_root);
        let mut part = None;
        if is_true {
            let result = finite(self.source.prepared.result(&start, &replayed.segment.end, self.machine))?;
            match result.filter(|result| result.root() == *committed.result_root(&here.job.spec)) {
                Some(result) => self.record.save(&result)?,
                None => {
                    // The update is accused, and what it should be follows from the end.
                    self.record.save(&replayed.segment.end)?;
                    (is_true, part) = (false, Some(Part::Update));
                }
            }
        }
        let known = self.found(here, claim)?;
        let is_known = known.is_some();
        let mut traces = known.map(|known| known.traces).unwrap_or_default();
        traces.extend(attested.into_iter().zip(replayed.trace_roots.iter().map(|root| hex(root))));
        let finding = Finding {
            is_true,
            leaves: Some(Published::new(seen.index(), stands.place, &replayed.segment.leaves)),
            fault: replayed.fault.map(|fault| [fault.step, fault.node, fault.element]),
            end: Some(hex(&end)),
            traces: if is_true { traces } else { BTreeMap::new() },
            part,
            ..Finding::default()
        };
        if is_known {
            // Judged before; only traces were missing.
            let claimed = here.claimed(claim).unwrap_or_default();
            return self.record.keep(claim, &Finding { claimed, ..finding });
        }
        self.find_that(here, claim, finding, started.elapsed().as_secs_f64())
    }

    /// What the segments that a round accepted hand over, in order of place, if all of it is known.
    pub(super) fn results(&self, here: &Here, seen: &Seen) -> Result<Option<Vec<Arc<State>>>> {
        let mut results = Vec::new();
        for stands in seen.segments.iter().filter(|stands| seen.round.accepted & bit(stands.place) != 0) {
            let Some(result) = self.state(stands.state.claim.result_root(&here.job.spec))? else { return Ok(None) };
            results.push(result);
        }
        Ok(Some(results))
    }

    /// Computes the next base from the accepted segments, and compares the votes with it.
    fn judge_base(&mut self, here: &Here, seen: &Seen) -> Result<bool> {
        let (round, accepted) = (seen.index(), seen.round.accepted);
        if accepted == 0 {
            return Ok(false);
        }
        let Some(base) = self.record.base(round, accepted)? else {
            let (Some(results), Some(base)) = (self.results(here, seen)?, self.state(&seen.round.base_root)?) else {
                return Ok(false);
            };
            let next = finite(self.source.prepared.next_base(&base, &results, self.machine))?;
            if let Some(next) = &next {
                self.record.save(next)?;
            }
            self.record.set_base(round, accepted, &next.map_or([0; 32], |next| next.root()))?;
            return Ok(true);
        };
        for place in 0..seen.round.auditor_count {
            let claim = Claim::Vote { round, place };
            let vote = seen.round.auditors[usize::from(place)].vote;
            if vote == [0; 32] || self.found(here, claim)?.is_some() || self.is_pending(here, claim)? {
                continue;
            }
            self.find_that(here, claim, Finding { is_true: vote == base, ..Finding::default() }, 0.0)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Replays what the evaluators of a round revealed: one run of our own tells them all.
    fn judge_runs(&mut self, here: &Here, seen: &Seen) -> Result<bool> {
        let round = seen.index();
        let mut open = Vec::new();
        for stands in &seen.runs {
            if self.found(here, Claim::Run { round, place: stands.place })?.is_none() {
                open.push(stands);
            }
        }
        if open.is_empty() || !self.knows(&seen.round.next_base)? {
            return Ok(false);
        }
        let Some(base) = self.state(&seen.round.next_base)? else { return Ok(false) };
        let started = Instant::now();
        let task = SegmentTask::scoring(&base, &self.machine.threads)?;
        let mut worker = self.worker(&self.source.prepared.scoring);
        let stop = self.stop;
        let replayed = worker.replay(&task, &[], &mut |_| !stop.requested())?;
        let (sums, leaves) = (scoring::sums(&replayed.segment.end), replayed.segment.accumulator_root());
        let seconds = started.elapsed().as_secs_f64() / open.len() as f64;
        for stands in open {
            let own = evaluation::claim::<HostSha256>(&here.job.spec, &sums, &leaves, stands.place);
            let finding = Finding {
                is_true: replayed.fault.is_none() && stands.state.claim == own,
                leaves: Some(Published::new(round, stands.place, &replayed.segment.leaves)),
                fault: replayed.fault.map(|fault| [fault.step, fault.node, fault.element]),
                ..Finding::default()
            };
            self.find_that(here, Claim::Run { round, place: stands.place }, finding, seconds)?;
        }
        Ok(true)
    }

    /// Compares the attestations that others have shown with the traces that they should show. Who attested a false segment is not
    /// asked for more: the segment's leaves, which one would have to open, only its trainer knows.
    fn judge_attestations(&mut self, here: &Here, seen: &Seen) -> Result<bool> {
        let round = seen.index();
        for stands in &seen.segments {
            let place = stands.place;
            let mut missing = Vec::new();
            for auditor in (0..seen.round.auditor_count).filter(|auditor| stands.state.shown & bit(*auditor) != 0) {
                let claim = Claim::Attestation { round, place, auditor };
                let is_open = here.is_open(claim) && !here.is_spent(claim) && !self.is_own(here, claim);
                if !is_open || self.found(here, claim)?.is_some() {
                    continue;
                }
                let known = self.found(here, Claim::Segment { round, place })?.filter(|finding| finding.is_true);
                let Some(known) = known else { continue };
                let leaf = here.leaf(seen, stands, auditor);
                let Some(trace) = known.traces.get(&leaf) else {
                    missing.push(leaf);
                    continue;
                };
                let is_true = here.claimed(claim).as_ref() == Some(trace);
                self.find_that(here, claim, Finding { is_true, ..Finding::default() }, 0.0)?;
                return Ok(true);
            }
            if !missing.is_empty() {
                self.replay(here, seen, stands, missing)?;
                return Ok(true);
            }
        }
        Ok(false)
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

/// Whether a draw of an auditor who has revealed it selects a segment.
pub(super) fn is_drawn(seen: &Seen, stands: &Stands, auditor: u8) -> bool {
    let Some(seat) = seen.round.auditors.get(usize::from(auditor)) else { return false };
    if seat.drawn_again & bit(stands.place) != 0 {
        return true;
    }
    let is_open = stands.state.status != segment::CONVICTED;
    let address = stands.address.as_array();
    is_open && seat.revealed != 0 && stands.state.is_drawn::<HostSha256>(address, seat, seen.round.audit_rate)
}
