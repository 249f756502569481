//! Comparing what was claimed with what it should be.

use anyhow::{Context, Result};
use sip_ledger::Ledger;
use sip_node::{SegmentTask, State, aggregate, scoring};
use sip_proof::HostSha256;
use sip_protocol::evaluation;
use sip_protocol::finality::NO_ROUND;
use sip_protocol::job::bit;
use sip_protocol::round;
use sip_protocol::segment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::claim::Claim;
use super::event::Event;
use super::here::{Here, Seen, Stands};
use super::record::Finding;
use super::source::Match;
use super::watch::Watch;
use crate::run::journal::Published;
use crate::run::prepare::hex;

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

    /// The task of the trainer in a place, whose base is known.
    pub(super) fn segment_task(&self, seen: &Seen, place: u8) -> Result<SegmentTask> {
        let domains = self.source.prepared.task.domains.len();
        let base = self.state(&seen.round.base_root)?;
        Ok(SegmentTask {
            round: seen.index(),
            seed: seen.round.seed,
            mixture: sip_data::Mixture::new(&seen.round.mixture_bps[..domains])?,
            settings: seen.round.settings,
            place,
            base: base.with_context(|| format!("the base of round {} is gone", seen.index() + 1))?,
            bases: Vec::new(),
        })
    }

    fn judge_segments(&mut self, here: &Here, seen: &Seen) -> Result<bool> {
        // Of a round that came to nothing, only what can still be accused matters.
        let matters = seen.round.status != round::VOID || seen.round.require_challengeable(here.slot).is_ok();
        let mut open = Vec::new();
        for stands in seen.segments.iter().filter(|_| matters) {
            let claim = Claim::Segment { round: seen.index(), place: stands.place };
            let is_spared = self.is_left_to_others(here, seen, stands) && self.knows(&stands.segment.claim.end_root)?;
            if !is_spared && self.found(here, claim)?.is_none() {
                open.push(stands);
            }
        }
        // What we drew has a deadline.
        open.sort_by_key(|stands| !self.operator.is_some_and(|operator| operator.draws(here, seen, stands)));
        let Some(stands) = open.first() else { return Ok(false) };
        let auditors = (0..seen.round.auditor_count).filter(|auditor| is_drawn(seen, stands, *auditor)).collect();
        self.replay(here, seen, stands, auditors)?;
        Ok(true)
    }

    /// Replays a segment, with the traces that these auditors' draws pick.
    fn replay(&mut self, here: &Here, seen: &Seen, stands: &Stands, auditors: Vec<u8>) -> Result<()> {
        let claim = Claim::Segment { round: seen.index(), place: stands.place };
        let committed = &stands.segment.claim;
        let started = Instant::now();
        let task = self.segment_task(seen, stands.place)?;
        let draws: Vec<[u8; 32]> = auditors.iter().filter_map(|auditor| seen.draw(*auditor)).collect();
        let mut worker = self.worker(&self.source.prepared.task);
        let stop = self.stop;
        let replayed = worker.replay(&task, &committed.accumulator_root, &draws, &mut |_| !stop.requested())?;
        let (end, accumulator) = (replayed.segment.end.root(), replayed.segment.accumulator_root());
        let is_true =
            replayed.fault.is_none() && (end, accumulator) == (committed.end_root, committed.accumulator_root);
        if is_true {
            self.record.save(&replayed.segment.end)?;
        }
        let known = self.found(here, claim)?;
        let is_known = known.is_some();
        let mut traces = known.map(|known| known.traces).unwrap_or_default();
        traces.extend(auditors.into_iter().zip(replayed.trace_roots.iter().map(|root| hex(root))));
        let finding = Finding {
            is_true,
            leaves: Some(Published::new(seen.index(), stands.place, &replayed.segment.leaves)),
            fault: replayed.fault.map(|fault| [fault.step, fault.node, fault.element]),
            end: Some(hex(&end)),
            traces: if is_true { traces } else { BTreeMap::new() },
            ..Finding::default()
        };
        if is_known {
            // Judged before; only traces were missing.
            let claimed = here.claimed(claim).unwrap_or_default();
            return self.record.keep(claim, &Finding { claimed, ..finding });
        }
        self.find_that(here, claim, finding, started.elapsed().as_secs_f64())
    }

    /// The ends of the segments that a round accepted, in order of place, if all of them are known.
    pub(super) fn ends(&self, seen: &Seen) -> Result<Option<Vec<Arc<State>>>> {
        let mut ends = Vec::new();
        for stands in seen.segments.iter().filter(|stands| seen.round.accepted & bit(stands.place) != 0) {
            let Some(end) = self.state(&stands.segment.claim.end_root)? else { return Ok(None) };
            ends.push(end);
        }
        Ok(Some(ends))
    }

    /// Computes the mean of the accepted segments, and compares the votes with it.
    fn judge_base(&mut self, here: &Here, seen: &Seen) -> Result<bool> {
        let (round, accepted) = (seen.index(), seen.round.accepted);
        if accepted == 0 {
            return Ok(false);
        }
        let Some(base) = self.record.base(round, accepted)? else {
            let Some(ends) = self.ends(seen)? else { return Ok(false) };
            let next = aggregate(&ends, &self.machine.threads, self.machine.simd)?;
            self.record.save(&next)?;
            self.record.set_base(round, seen.round.accepted, &next.root())?;
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
        let replayed = worker.replay(&task, &[0; 32], &[], &mut |_| !stop.requested())?;
        let (sums, leaves) = (scoring::sums(&replayed.segment.end), replayed.segment.accumulator_root());
        let seconds = started.elapsed().as_secs_f64() / open.len() as f64;
        for stands in open {
            let own = evaluation::claim::<HostSha256>(&here.job.spec, &sums, &leaves, stands.place);
            let finding = Finding {
                is_true: replayed.fault.is_none() && stands.segment.claim == own,
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
            for auditor in (0..seen.round.auditor_count).filter(|auditor| stands.segment.shown & bit(*auditor) != 0) {
                let claim = Claim::Attestation { round, place, auditor };
                let is_open = here.is_open(claim) && !here.is_spent(claim) && !self.is_own(here, claim);
                if !is_open || self.found(here, claim)?.is_some() {
                    continue;
                }
                let known = self.found(here, Claim::Segment { round, place })?.filter(|finding| finding.is_true);
                let Some(known) = known else { continue };
                let Some(trace) = known.traces.get(&auditor) else {
                    missing.push(auditor);
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

/// Whether the draw of an auditor who has revealed it selects a segment.
pub(super) fn is_drawn(seen: &Seen, stands: &Stands, auditor: u8) -> bool {
    let Some(seat) = seen.round.auditors.get(usize::from(auditor)) else { return false };
    let is_open = stands.segment.status != segment::CONVICTED;
    let address = stands.address.as_array();
    is_open && seat.revealed != 0 && stands.segment.is_drawn::<HostSha256>(address, seat, seen.round.audit_rate)
}
