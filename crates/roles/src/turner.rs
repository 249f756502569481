//! Turning what anyone may turn, so that a job does not stand still for lack of a caller.
//!
//! Whether something is due, the program's own rules say, on copies of the accounts.

use sip_client::StateDemand;
use sip_protocol::Error;
use sip_protocol::court::availability::OPEN;
use sip_protocol::money::emission::Emission;
use sip_protocol::training::seed;
use sip_protocol::training::segment;
use solana_address::Address;
use solana_instruction::Instruction;

use crate::court::{Due, claim_of, due};
use crate::node::Step;
use crate::view::{Seen, Stands};
use crate::{Claim, Event};

impl Step<'_> {
    /// What is due in rounds and cases, by the first who comes.
    pub(crate) fn turn(&self) {
        for seen in &self.view.rounds {
            for (what, instruction) in self.due(seen) {
                self.turn_over(what, vec![instruction], vec![Event::Turned { round: seen.index(), what }]);
            }
        }
        self.end_disputes();
        self.end_demands();
        self.pay_bounties();
        self.close_old();
    }

    fn due(&self, seen: &Seen) -> Vec<(&'static str, Instruction)> {
        let (round, job, slot) = (&seen.round, &self.view.job, self.view.slot);
        let (program, address, job_address) = (self.program(), &seen.address, &self.view.address);
        let mut due = Vec::new();
        if round.is_orphan(&job.chain) {
            let parent = program.round(job_address, round.parent);
            due.push(("undo the round", program.undo_round(job_address, address, &parent)));
            return due;
        }
        if round.clone().close_commits(job, slot).is_ok() {
            due.push(("close the commits", program.close_commits(job_address, address)));
        }
        if self.view.is_closable(seen) && !self.holds_back(seen) {
            let segments: Vec<Address> = seen.segments.iter().map(|stands| stands.address).collect();
            due.push(("close the round", program.close_round(job_address, address, &segments)));
        }
        if round.seed_status == seed::PENDING && slot > round.seed_slots[1] {
            due.push(("capture the seed", program.capture_seed(job_address, address)));
        }
        if round.clone().void_without_majority(&mut job.clone(), slot).is_ok() {
            due.push(("void the round", program.void_round(job_address, address)));
        }
        if self.view.is_tallyable(seen) {
            due.push(("tally the scores", program.tally(job_address, address)));
        }
        if round.clone().finalise(&mut job.clone(), slot).is_ok() {
            if !self.awaits_epoch(seen) {
                due.push(("make the round final", program.finalize_round(job_address, address)));
            } else if self.turned_in(slot).is_some() {
                due.push(("turn the epoch", program.turn_epoch()));
            }
        }
        due
    }

    /// Whether a round that may be made final would draw less than it was told at its tally, and more once the epoch has turned. What it does not draw
    /// then it never draws. One epoch is waited for that, and no longer; a keeper whose job
    /// could open no round meanwhile does not wait.
    fn awaits_epoch(&self, seen: &Seen) -> bool {
        let Some(emission) = &self.view.emission else { return false };
        if self.node.roles.keeper && self.view.next_opens() == Err(Error::TooFarAhead) {
            return false;
        }
        let drawable = |emission: &Emission| emission.drawable().unwrap_or(0);
        let last = seen.round.final_slot().saturating_add(emission.schedule.epoch_slots);
        let is_short = drawable(emission) < seen.round.reward && self.view.slot < last;
        let turned = || self.turned_in(self.view.slot.max(emission.end_slot));
        is_short && turned().is_some_and(|turned| drawable(&turned) > drawable(emission))
    }

    /// The emission once its epoch has turned in a slot; nothing before its end.
    fn turned_in(&self, slot: u64) -> Option<Emission> {
        let mut turned = **self.view.emission.as_ref()?;
        turned.turn(&mut self.view.config.clone(), slot).is_ok().then_some(turned)
    }

    /// Whether a segment would count that this node has found false, while there is time to convict it: a round that counts one is undone. As long
    /// as it is still at work on one, it cannot tell.
    fn holds_back(&self, seen: &Seen) -> bool {
        let round = seen.index();
        let is_lie = |stands: &Stands| {
            let is_open = stands.state.status == segment::COMMITTED && stands.state.open_disputes > 0;
            is_open && self.is_false(Claim::Segment { round, place: stands.place })
        };
        let is_at_work = |stands: &Stands| {
            self.draws(seen, stands) && self.found(Claim::Segment { round, place: stands.place }).is_none()
        };
        self.node.roles.is_patient
            && self.view.slot < seen.round.audit_deadline_slot
            && seen.segments.iter().any(|stands| is_lie(stands) || is_at_work(stands))
    }

    /// Ends disputes of others whose clock has run out, and applies verdicts that nobody applied.
    fn end_disputes(&self) {
        for (address, dispute) in self.view.disputes.iter().filter(|(_, dispute)| dispute.resolved == 0) {
            let Some(claim) = claim_of(self.view, dispute) else { continue };
            let challenger = Address::new_from_array(dispute.challenger);
            let (what, instruction) = match due(dispute, self.view.slot) {
                Some(Due::Verdict { .. }) => {
                    let Some(charge) = self.case(claim).charge_of(challenger) else { continue };
                    ("apply a verdict", charge.resolve())
                }
                Some(Due::TimeOut) => ("end a dispute by the clock", self.program().time_out(address)),
                Some(Due::Move(_)) | None => continue,
            };
            let round = self.view.round_of(claim).map_or(0, Seen::index);
            self.turn_over(what, vec![instruction], vec![Event::Turned { round, what }]);
        }
    }

    /// Convicts those who left a demand unanswered, no matter who demanded.
    fn end_demands(&self) {
        for (address, demand) in &self.view.demands {
            if demand.status != OPEN || self.view.slot <= demand.deadline_slot {
                continue;
            }
            let is_subject = |seen: &&Seen| seen.segments.iter().any(|s| s.address.to_bytes() == demand.subject);
            let Some(seen) = self.view.rounds.iter().find(is_subject) else { continue };
            // A demand of a previous update has its address by the entry as it was asked for.
            let (subject, demander) = [demand.subject, demand.demander].map(Address::new_from_array).into();
            let of = |entry| self.program().demand(&subject, &demander, entry, demand.chunk);
            let is_plain = of(demand.entry) == *address;
            let entry = if is_plain { demand.entry } else { demand.entry.saturating_add(demand.entry_count) };
            let fail = self.program().fail_state(&StateDemand {
                demander: &demander,
                job: &self.view.address,
                round: &seen.address,
                pool: &Address::new_from_array(demand.pool),
                entry,
                chunk: demand.chunk,
            });
            let (round, what) = (seen.index(), "convict who left a demand unanswered");
            self.turn_over(what, vec![fail], vec![Event::Turned { round, what }]);
        }
    }

    /// Pays the bounties of others, and insures those that silence left.
    fn pay_bounties(&self) {
        for due in self.view.due_bounties() {
            self.turn_over("pay a bounty", vec![due.payment(self.program())], Vec::new());
        }
        for seen in &self.view.rounds {
            for stands in &seen.segments {
                if stands.state.clone().release_bounty(&seen.round, self.view.slot).is_ok() {
                    let release = self.program().release_bounty(&seen.address, &stands.address);
                    self.turn_over("insure what silence left", vec![release], Vec::new());
                }
            }
        }
    }
}
