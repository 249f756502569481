//! Room on the disk: what is taken of it before anything is begun, and what is made sure of when there is more to keep.

use anyhow::{Context, Result, ensure};
use sip_ledger::Ledger;
use sip_manifest::value::Manifest;
use sip_protocol::training::job::Job;
use sip_roles::{Event, Known, Part};
use std::collections::BTreeSet;

use super::runner::Runner;
use super::setup::Parts;
use crate::states::Root;
use crate::{Record, Source};

/// Bytes of texts that are fetched without being told how much the disk may take.
pub const UNASKED_BYTES: u64 = 64 << 30;

/// What a job's texts take together, bytes.
pub fn text_bytes(manifest: &Manifest) -> u64 {
    let tokens = manifest.domains.iter().map(|domain| domain.train_tokens.saturating_add(domain.heldout_tokens));
    tokens.fold(0u64, |sum, count| sum.saturating_add(count.saturating_mul(4)))
}

/// The states that a node made itself, by its record, and those that follow from the manifest.
pub(crate) fn own_states(source: &Source, record: &Record) -> Result<BTreeSet<Root>> {
    let mut own = made(&record.known(record.rounds_done()?)?);
    own.extend(source.given().map(|state| state.root()));
    Ok(own)
}

/// What nobody else need have: the own segments, and the ends by which false updates are accused.
fn made(known: &Known) -> BTreeSet<Root> {
    let mut own = BTreeSet::new();
    for claim in known.worked.values().filter_map(|worked| worked.claim()) {
        own.extend([claim.end_root, claim.update_root].into_iter().filter(|root| *root != [0; 32]));
    }
    let accused = known.findings.values().filter(|finding| finding.part == Some(Part::Update));
    own.extend(accused.filter_map(|finding| finding.end()));
    own
}

impl<L: Ledger> Runner<'_, L> {
    /// Where it was said how much the disk may take, no more is taken from the beginning on.
    pub(crate) fn keep_within_bounds(&mut self, parts: &Parts) -> Result<()> {
        if self.setup.disk_bytes == 0 { Ok(()) } else { reserve(parts, self.setup.disk_bytes) }
    }

    /// Whether the texts of a job may be fetched: their sizes are what somebody says.
    pub(crate) fn require_room(&self, manifest: &Manifest) -> Result<()> {
        let bytes = text_bytes(manifest);
        ensure!(
            self.setup.disk_bytes != 0 || bytes <= UNASKED_BYTES,
            "the texts of the job {} take {} GiB, more than is fetched without being told; --disk MIB says how much the disk may take",
            self.setup.job,
            bytes >> 30
        );
        Ok(())
    }

    /// Keeps room for the states that the job may need at once.
    pub(crate) fn reserve(&mut self, parts: &Parts, source: &Source, record: &Record) -> Result<bool> {
        let Some(job) = self.patiently(|runner| runner.read_job())? else { return Ok(false) };
        if self.setup.disk_bytes == 0 {
            let in_view = job.next_round.saturating_sub(record.rounds_done()?);
            self.reserved_rounds = in_view;
            reserve(parts, parts.shelf.room().used.saturating_add(source.disk_bytes(&job, in_view)))?;
        }
        Ok(!self.setup.stop.requested())
    }

    /// Reserves more where more rounds are in view than were reserved for: some that were undone, and wait until nobody can accuse anything of them.
    pub(crate) fn make_room(&mut self, parts: &Parts, source: &Source, job: &Job, in_view: u32) {
        let Some(limit) = parts.shelf.room().limit.filter(|_| self.setup.disk_bytes == 0) else { return };
        if in_view <= self.reserved_rounds {
            return;
        }
        let more = source.disk_bytes(job, in_view).saturating_sub(source.disk_bytes(job, self.reserved_rounds));
        match parts.shelf.reserve(limit.saturating_add(more)) {
            Ok(()) => self.reserved_rounds = in_view,
            Err(error) => {
                let what = format!("keep {} MiB for {in_view} rounds that are not over", (limit + more) >> 20);
                self.say_once(&Event::Hindered { what, reason: error.to_string(), seconds: 20 });
            }
        }
    }
}

fn reserve(parts: &Parts, bytes: u64) -> Result<()> {
    parts.shelf.reserve(bytes).with_context(|| {
        format!(
            "the node needs {} MiB for states and tokens; make room, move --data, or give less with --disk",
            bytes >> 20
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_roles::{Claim, Finding};

    #[test]
    fn the_end_by_which_a_false_update_is_accused_is_kept_as_ones_own_after_a_restart() {
        let finding = |part| Finding { end: Some(sip_data::hex(&[9; 32])), part, ..Finding::default() };
        let claim = Claim::Segment { round: 0, place: 0 };
        let known = |part| Known { findings: [(claim, finding(part))].into(), ..Known::default() };
        assert_eq!(made(&known(Some(Part::Update))), [[9; 32]].into());
        assert!(made(&known(None)).is_empty(), "others have it");
    }
}
