//! The second draw of a round: what an auditor did not draw in the audit, it may draw with its vote, before the round is final.

use anyhow::{Result, ensure};
use sip_proof::{Hash, HostSha256};
use sip_protocol::training::attestation;
use sip_protocol::training::job::{Job, bit};
use sip_protocol::training::round::Round;
use sip_protocol::training::segment;
use sip_report::Bar;
use solana_address::Address;
use std::sync::Arc;
use std::time::Instant;

use super::Run;
use super::court::View;
use super::round::{Committed, Scored, stoppable};
use super::setup::job_address;
use sip_manifest::roles::AUDITOR;

/// What a replay found of a segment.
pub(crate) enum Finding {
    /// All of it is true: the trace roots that its auditors attest with.
    True(Vec<Hash>),
    /// Its steps are true, and the update that it hands over is not what they give.
    FalseUpdate,
    /// Its steps are false from a leaf on.
    FalseSteps { leaf: u32, view: View },
}

impl Run {
    /// The leaf of a segment that an auditor attests.
    pub(crate) fn leaf(&self, round: &Round, segment: &segment::Segment, auditor: usize) -> u32 {
        let leaf_count = self.prepared.task.leaves().count() as u32;
        attestation::leaf::<HostSha256>(round, segment, self.world.people[auditor].place, leaf_count)
    }

    /// Replays a segment and compares it with what was committed; with the trace roots of these leaves. All auditors of a demonstration
    /// share a machine: what several draw it computes once, and each attests a leaf of its own from that. Of what another draws again it
    /// computes the leaf alone.
    pub(crate) fn replayed(&mut self, committed: &mut Committed, leaves: &[u32], bar: &Bar) -> Result<Finding> {
        if let Some(checkpoints) = &committed.checkpoints {
            let mut trace_roots = Vec::new();
            for leaf in leaves {
                let first_step = leaf * self.settings.leaf_interval;
                let (trace_root, steps) = self.worker.trace_root(&committed.task, first_step, checkpoints)?;
                self.journal.summary.work.audited_steps += u64::from(steps);
                trace_roots.push(trace_root);
                bar.inc(1);
            }
            return Ok(Finding::True(trace_roots));
        }
        let account: segment::Segment = self.world.read(&committed.address)?;
        let stop = &self.stop;
        let audit = stoppable(self.worker.audit(
            &committed.task,
            (&committed.work.leaves, &account.claim.end_root),
            leaves,
            &mut |_| {
                bar.inc(1);
                !stop.requested()
            },
        ))?;
        self.journal.summary.work.audited_steps += u64::from(self.settings.inner_steps);
        if let Some(divergence) = audit.divergence {
            let view = View { cheat: None, leaves: audit.replayed.leaves, fault: audit.fault };
            return Ok(Finding::FalseSteps { leaf: divergence.leaf, view });
        }
        let result = self.prepared.result(&committed.start, &audit.replayed.end, &self.machine)?;
        let is_true = self.prepared.claim(account.claim, &committed.start, &result) == account.claim;
        if !is_true {
            return Ok(Finding::FalseUpdate);
        }
        committed.checkpoints = Some(audit.checkpoints);
        Ok(Finding::True(audit.trace_roots))
    }

    /// Auditors replay what their second draws select, and attest it or accuse. Nothing if one was convicted, which undoes the round.
    pub(crate) fn audit_again(&mut self, mut scored: Scored) -> Result<Option<Scored>> {
        let (job, address) = (job_address(&self.world), scored.address);
        let round: Round = self.world.read(&address)?;
        let started = Instant::now();
        let mut drawn: Vec<(usize, Vec<usize>)> = Vec::new();
        for (index, segment) in scored.committed.iter().enumerate() {
            let draws = |auditor: &usize| {
                let seat = &round.auditors[usize::from(self.world.people[*auditor].place)];
                seat.drawn_again & bit(segment.task.place) != 0
            };
            let auditors: Vec<usize> = self.remaining(AUDITOR).into_iter().filter(draws).collect();
            if !auditors.is_empty() {
                drawn.push((index, auditors));
            }
        }
        let inner_steps = u64::from(self.settings.inner_steps);
        let steps = (drawn.iter())
            .map(|(index, auditors)| match scored.committed[*index].checkpoints {
                Some(_) => auditors.len() as u64,
                None => inner_steps,
            })
            .sum();
        let bar = self.progress.bar(steps, "auditing the second draw");
        let mut liar = None;
        for (index, auditors) in drawn {
            let account: segment::Segment = self.world.read(&scored.committed[index].address)?;
            let leaves: Vec<u32> = auditors.iter().map(|auditor| self.leaf(&round, &account, *auditor)).collect();
            let trace_roots = match self.replayed(&mut scored.committed[index], &leaves, &bar)? {
                Finding::True(trace_roots) => trace_roots,
                Finding::FalseUpdate => {
                    liar = Some((index, auditors[0], None));
                    break;
                }
                Finding::FalseSteps { view, .. } => {
                    liar = Some((index, auditors[0], Some(view)));
                    break;
                }
            };
            scored.committed[index].audited_by.extend(&auditors);
            for (auditor, trace_root) in auditors.into_iter().zip(trace_roots) {
                self.attest_again(auditor, index, &scored, &trace_root)?;
            }
        }
        drop(bar);
        self.worker.take_times();
        self.journal.summary.timings.audit_seconds += started.elapsed().as_secs_f64();
        let Some((index, auditor, view)) = liar else { return Ok(Some(scored)) };
        self.convict_again(auditor, index, &scored, view, &job)?;
        Ok(None)
    }

    fn attest_again(&mut self, auditor: usize, index: usize, scored: &Scored, trace_root: &[u8; 32]) -> Result<()> {
        let seat = self.world.people[auditor].seat()?;
        let (job, segment) = (job_address(&self.world), &scored.committed[index].address);
        let attest = self.world.program.attest_second(&seat, &job, &scored.address, segment, trace_root);
        self.world.send(auditor, attest)?;
        Ok(())
    }

    /// A lie that no first draw selected: its trainer is convicted, its round undone, and honest work paid.
    fn convict_again(
        &mut self,
        auditor: usize,
        index: usize,
        scored: &Scored,
        view: Option<View>,
        job: &Address,
    ) -> Result<()> {
        let committed = &scored.committed[index];
        self.progress.line(&format!(
            "no auditor drew the segment of {}; {} draws it again before the round is final, finds it false, and accuses",
            self.world.people[committed.trainer].name, self.world.people[auditor].name
        ));
        let base = Arc::clone(&self.base);
        match view {
            Some(view) => self.dispute_segment(auditor, committed, view, job, &scored.address, scored.number)?,
            None => self.accuse_update(auditor, committed, (job, &scored.address), scored.number)?,
        }
        let state: Job = self.world.read(job)?;
        ensure!(state.base_root == base.root(), "the job did not go back to the base before the fraud");
        self.progress.line(&format!("round {} is undone, and played again from the base before", scored.number + 1));
        self.pay_undone(scored, job)
    }
}
