//! Everyone of a round is settled, final or come to nothing, who does not see to it: who was away is charged, data and patrons are paid, and what
//! others left stands in the way of nobody's rent.
//!
//! Who took part settles itself, for its pay or for the slice behind its claim; a keeper comes only after it.

use sip_protocol::training::evaluation;
use sip_protocol::training::job::bit;
use sip_protocol::training::round::Round;
use solana_address::Address;
use solana_instruction::Instruction;

use crate::Action;
use crate::auditor::acted;
use crate::node::Step;
use crate::view::{Seen, Stands};

/// Slots without a settlement in a round after which those who took part are settled by others.
const PATIENCE_SLOTS: u64 = 150;

/// Who of a round is not settled: domains, or places, as bits.
struct Unsettled {
    data: u8,
    patrons: u8,
    absent: u16,
    auditors: u16,
    evaluators: u16,
    segments: u16,
}

impl Unsettled {
    /// Of a round as it stands.
    fn of(seen: &Seen) -> Unsettled {
        let round: &Round = &seen.round;
        let domains = ((1u16 << round.domain_count.min(8)) - 1) as u8;
        let (mut auditors, mut evaluators, mut segments) = (0, 0, 0);
        for (place, seat) in (0u8..).zip(&round.auditors) {
            let is_owed = seat.settled == 0 || (seat.vote_slice | seat.attestation_slice) != 0;
            auditors |= if is_owed { bit(place) & round.awaited_auditors } else { 0 };
        }
        for (place, seat) in (0u8..).zip(&round.evaluators) {
            evaluators |= if seat.settled == 0 { bit(place) & round.awaited_evaluators } else { 0 };
        }
        for stands in seen.segments.iter().filter(|stands| stands.state.settled == 0) {
            segments |= bit(stands.place);
        }
        Unsettled {
            data: domains & !round.settled_data,
            patrons: domains & !round.settled_patrons,
            absent: round.eligible & !round.committed & !round.settled_absent,
            auditors,
            evaluators,
            segments,
        }
    }

    fn is_none(&self) -> bool {
        self.data | self.patrons == 0 && self.absent | self.auditors | self.evaluators | self.segments == 0
    }
}

impl Step<'_> {
    /// Whether somebody of a round is not settled.
    pub(crate) fn is_to_be_settled_by_keepers(&self, seen: &Seen) -> bool {
        !Unsettled::of(seen).is_none()
    }

    /// Has everyone of a round settled whom the program would settle now.
    pub(crate) fn settle_others(&self, seen: &Seen) {
        if !seen.is_over() || seen.round.require_settleable(&self.view.job, self.view.slot).is_err() {
            return;
        }
        let due = Unsettled::of(seen);
        self.pay_domains(seen, &due);
        self.charge_absences(seen, due.absent);
        // Who has nothing frozen in the round would never come.
        for place in places(due.auditors).filter(|place| !seen.has_revealed(*place)) {
            self.settle_audit_of(seen, place);
        }
        let is_absent = |place: &u8| seen.round.evaluators[usize::from(*place)].status == evaluation::ABSENT;
        for place in places(due.evaluators).filter(is_absent) {
            self.settle_evaluation_of(seen, place);
        }
        if due.auditors | due.evaluators | due.segments == 0 || !self.is_patience_over(seen) {
            return;
        }
        places(due.auditors)
            .filter(|place| seen.has_revealed(*place))
            .for_each(|place| self.settle_audit_of(seen, place));
        let is_there = |place: &u8| !is_absent(place);
        places(due.evaluators).filter(is_there).for_each(|place| self.settle_evaluation_of(seen, place));
        let open = seen.segments.iter().filter(|stands| stands.state.settled == 0);
        open.for_each(|stands| self.settle_segment_of(seen, stands));
    }

    /// Whether those who took part had time to settle themselves: since the last settlement of the round, or since the first could be.
    fn is_patience_over(&self, seen: &Seen) -> bool {
        let round = &seen.round;
        let over = round.settled_slot.max(round.final_slot()).saturating_add(PATIENCE_SLOTS);
        if self.view.slot < over {
            self.push(Action::Wake { slot: over });
        }
        round.settled_slot != 0 && self.view.slot >= over
    }

    /// Asks for a settlement that this step does not ask for already, as of an own seat.
    fn settle_other(&self, seen: &Seen, what: &'static str, settle: Instruction, done: (&'static str, Option<u8>)) {
        let is_same = |action: &Action| matches!(action, Action::Send(send) if send.instructions.contains(&settle));
        let is_asked = self.actions.borrow().iter().any(is_same);
        if !is_asked {
            self.turn_over(what, vec![settle], vec![acted(seen, done.0, done.1)]);
        }
    }

    /// Has data providers and patrons paid.
    fn pay_domains(&self, seen: &Seen, due: &Unsettled) {
        let (program, job, address) = (self.program(), &self.view.address, &seen.address);
        for (domain, dataset) in (0u8..).zip(self.view.datasets()) {
            let provider = self.view.datasets.get(&dataset).map(|dataset| Address::new_from_array(dataset.pool));
            if let Some(pool) = provider.filter(|_| due.data & (1 << domain) != 0) {
                let settle = program.settle_data(job, address, domain, &dataset, &pool);
                self.settle_other(seen, "pay for data", settle, ("data paid", None));
            }
            if due.patrons & (1 << domain) != 0 {
                let settle = program.settle_patrons(job, address, domain);
                self.settle_other(seen, "pay patrons", settle, ("patrons paid", None));
            }
        }
    }

    /// Has trainers charged that committed nothing.
    fn charge_absences(&self, seen: &Seen, absent: u16) {
        for place in places(absent) {
            let pool = Address::new_from_array(seen.round.trainers[usize::from(place)]);
            if self.would_settle(seen, &pool, |mut trial| trial.absent(place).is_ok()) {
                let settle = self.program().settle_absent(&self.view.address, &seen.address, &pool, place);
                self.settle_other(seen, "charge an absence", settle, ("absence charged", Some(place)));
            }
        }
    }

    fn settle_audit_of(&self, seen: &Seen, place: u8) {
        let pool = Address::new_from_array(seen.round.auditors[usize::from(place)].pool);
        if self.would_settle(seen, &pool, |mut trial| trial.audit(place).is_ok()) {
            let settle = self.program().settle_audit(&self.view.address, &seen.address, &pool, place);
            self.settle_other(seen, "settle another's audit", settle, ("another's audit settled", None));
        }
    }

    fn settle_evaluation_of(&self, seen: &Seen, place: u8) {
        let pool = Address::new_from_array(seen.round.evaluators[usize::from(place)].pool);
        if self.would_settle(seen, &pool, |mut trial| trial.evaluation(place).is_ok()) {
            let settle = self.program().settle_evaluation(&self.view.address, &seen.address, &pool, place);
            self.settle_other(seen, "settle another's evaluation", settle, ("another's evaluation settled", None));
        }
    }

    fn settle_segment_of(&self, seen: &Seen, stands: &Stands) {
        let pool = Address::new_from_array(stands.state.pool);
        if self.would_settle(seen, &pool, |mut trial| trial.segment(&mut stands.state.clone()).is_ok()) {
            let settle = self.program().settle_segment(&self.view.address, &seen.address, &pool);
            self.settle_other(
                seen,
                "settle another's segment",
                settle,
                ("another's segment settled", Some(stands.place)),
            );
        }
    }
}

/// The places whose bits are set.
fn places(bits: u16) -> impl Iterator<Item = u8> {
    (0..16).filter(move |place| bits & bit(*place) != 0)
}
