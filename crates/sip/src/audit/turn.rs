//! Turning what anyone may turn, so that a job does not stand still for lack of a caller.
//!
//! Whether something is due, the program's own rules say, on copies of the accounts.

use anyhow::Result;
use sip_ledger::Ledger;
use sip_protocol::court::availability::{Demand, OPEN};
use sip_protocol::ground::escrow::REVEAL_SLOTS;
use sip_protocol::training::seed;
use sip_protocol::{Account, AccountKind};
use sip_protocol::{court::Outcome, ground::case::CaseKind};
use solana_address::Address;
use solana_instruction::Instruction;

use super::event::Event;
use super::here::{Here, Seen};
use super::pursue::claim_of;
use super::watch::Watch;
use crate::run::round::rule;

impl<L: Ledger> Watch<'_, L> {
    /// The next thing that is due in a round, by the first who comes. An auditor does it, a mere watchtower does not.
    pub(super) fn turn(&mut self, here: &Here) -> Result<bool> {
        if self.operator.is_none() {
            return Ok(false);
        }
        for seen in &here.rounds {
            for (what, instruction) in self.due(here, seen) {
                if self.send(what, instruction)? {
                    (self.report)(&Event::Turned { round: seen.index(), what });
                    return Ok(true);
                }
            }
        }
        Ok(self.end_disputes(here)? || self.end_demands(here)? || self.pay_bounties(here)? || self.close_old(here)?)
    }

    fn due(&self, here: &Here, seen: &Seen) -> Vec<(&'static str, Instruction)> {
        let (round, job, slot) = (&seen.round, &here.job, here.slot);
        let (program, address) = (&self.program, &seen.address);
        let mut due = Vec::new();
        if round.is_orphan(&job.chain) {
            let parent = program.round(&self.job, round.parent);
            due.push(("undo the round", program.undo_round(&self.job, address, &parent)));
            return due;
        }
        if round.clone().close_commits(job, slot).is_ok() {
            due.push(("close the commits", program.close_commits(&self.job, address)));
        }
        if here.is_closable(seen) {
            let segments: Vec<Address> = seen.segments.iter().map(|stands| stands.address).collect();
            due.push(("close the round", program.close_round(&self.job, address, &segments)));
        }
        if round.seed_status == seed::PENDING && slot > round.seed_slots[1] {
            due.push(("capture the seed", program.capture_seed(&self.job, address)));
        }
        if round.clone().void_without_majority(&mut job.clone(), slot).is_ok() {
            due.push(("void the round", program.void_round(&self.job, address)));
        }
        if here.is_tallyable(seen) {
            due.push(("tally the scores", program.tally(&self.job, address)));
        }
        if round.clone().finalise(&mut job.clone(), slot).is_ok() {
            due.push(("make the round final", program.finalize_round(&self.job, address)));
        }
        due
    }

    /// Ends disputes of others whose clock has run out, and applies verdicts that nobody applied.
    fn end_disputes(&mut self, here: &Here) -> Result<bool> {
        let is_disputed =
            |seen: &Seen| seen.round.open_challenges > 0 || seen.round.vote_disputes > 0 || seen.round.run_disputes > 0;
        // Until the last dispute on an attestation has ended, whatever its parties do.
        let lasting = REVEAL_SLOTS + here.job.spec.longest_dispute_slots(&here.config.parameters);
        let attested = here.rounds.iter().any(|seen| match seen.round.accusable_until(CaseKind::Attestation) {
            0 => false,
            last => here.slot <= last + lasting,
        });
        if !attested && here.job.genesis_disputes == 0 && !here.rounds.iter().any(is_disputed) {
            return Ok(false);
        }
        for (address, dispute) in self.disputes()? {
            if dispute.resolved != 0 {
                continue;
            }
            let Some(claim) = claim_of(here, &dispute) else { continue };
            let game = &dispute.game;
            let (what, instruction) = if game.outcome().map_err(rule)? != Outcome::Open {
                let challenger = Address::new_from_array(dispute.challenger);
                ("apply a verdict", self.case(here, &[], claim).resolve(&challenger, &address)?)
            } else {
                let side = game.on_move().map_err(rule)?;
                if here.slot.saturating_sub(game.moved_slot) <= game.clock_slots[side as usize] {
                    continue;
                }
                ("end a dispute by the clock", self.program.time_out(&address))
            };
            if self.send(what, instruction)? {
                let round = here.round_of(claim).map_or(0, Seen::index);
                (self.report)(&Event::Turned { round, what });
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Convicts those who left a demand unanswered, no matter who demanded.
    fn end_demands(&mut self, here: &Here) -> Result<bool> {
        let is_demanded = |seen: &&Seen| seen.segments.iter().any(|stands| stands.state.open_demands > 0);
        if !here.rounds.iter().any(|seen| is_demanded(&seen)) {
            return Ok(false);
        }
        let accounts = self.ledger.program_accounts(&self.program.id)?;
        for (address, account) in accounts {
            if account.data.first() != Some(&(AccountKind::Demand as u8)) {
                continue;
            }
            let Ok(demand) = Demand::decode(&account.data) else { continue };
            if demand.status != OPEN || here.slot <= demand.deadline_slot {
                continue;
            }
            let is_subject = |seen: &&Seen| seen.segments.iter().any(|s| s.address.to_bytes() == demand.subject);
            let Some(seen) = here.rounds.iter().find(is_subject) else { continue };
            // A demand of a previous update has its address by the entry as it was asked for.
            let (subject, demander) = [demand.subject, demand.demander].map(Address::new_from_array).into();
            let of = |entry| self.program.demand(&subject, &demander, entry, demand.chunk);
            let is_plain = of(demand.entry) == address;
            let entry = if is_plain { demand.entry } else { demand.entry.saturating_add(demand.entry_count) };
            let fail = self.program.fail_state(&sip_client::StateDemand {
                demander: &demander,
                job: &self.job,
                round: &seen.address,
                pool: &Address::new_from_array(demand.pool),
                entry,
                chunk: demand.chunk,
            });
            let (round, what) = (seen.index(), "convict who left a demand unanswered");
            if self.send(what, fail)? {
                (self.report)(&Event::Turned { round, what });
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Pays the bounties of others, and insures those that silence left.
    fn pay_bounties(&mut self, here: &Here) -> Result<bool> {
        for due in here.due_bounties() {
            if self.send("pay a bounty", due.payment(&self.program))? {
                return Ok(true);
            }
        }
        for seen in &here.rounds {
            for stands in &seen.segments {
                let is_due = stands.state.clone().release_bounty(&seen.round, here.slot).is_ok();
                let release = self.program.release_bounty(&seen.address, &stands.address);
                if is_due && self.send("insure what silence left", release)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
