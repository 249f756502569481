//! Accusing what is false, and playing every dispute to its end: as challenger, and as the one who is accused.

use sip_client::{Party, Program, after_move};
use sip_node::dispute::Move;
use sip_protocol::{
    court::{Dispute, Outcome, Side},
    ground::{case::CaseKind, escrow::REVEAL_SLOTS},
    training::job::bit,
};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::known::Finding;
use crate::node::Step;
use crate::{Action, Charge, Claim, Event, Fact, View, Work};

/// What a dispute asks of anyone who may move it on.
pub(crate) enum Due {
    /// It is decided: the verdict is to be applied, unless it was.
    Verdict {
        /// Whether it convicts.
        is_convicted: bool,
    },
    /// The side on move has let its clock run out.
    TimeOut,
    /// This side is to move.
    Move(Side),
}

/// How a dispute stands in a slot; nothing of an account that is no dispute's.
pub(crate) fn due(dispute: &Dispute, slot: u64) -> Option<Due> {
    let game = &dispute.game;
    let outcome = game.outcome().ok()?;
    if outcome != Outcome::Open {
        return Some(Due::Verdict { is_convicted: outcome == Outcome::Convicted });
    }
    let side = game.on_move().ok()?;
    let is_out = slot.saturating_sub(game.moved_slot) > game.clock_slots[side as usize];
    Some(if is_out { Due::TimeOut } else { Due::Move(side) })
}

/// The instructions of a move, without the parts that are in the dispute's buffer already: who was killed between two parts goes on where it was.
fn parts(program: &Program, mover: Party, address: &Address, dispute: &Dispute, next: &Move) -> Vec<Instruction> {
    let mut uploads = program.moves(mover, address, next.kind, &next.payload);
    let last = uploads.pop();
    let part_bytes = mover.part_bytes();
    let chunks = next.payload.chunks(part_bytes).enumerate();
    let missing = uploads.into_iter().zip(chunks).filter_map(|(upload, (number, bytes))| {
        let start = number * part_bytes;
        (dispute.buffer.get(start..start + bytes.len()) != Some(bytes)).then_some(upload)
    });
    missing.chain(last).collect()
}

/// What applies the verdict of a dispute, and closes it if the wallet opened it.
fn conclusion(charge: &Charge<'_>, wallet: &Address, is_resolved: bool) -> Vec<Instruction> {
    let resolve = (!is_resolved).then(|| charge.resolve());
    let close = (charge.challenger == *wallet).then(|| charge.close());
    resolve.into_iter().chain(close).collect()
}

impl Step<'_> {
    /// The next thing to do about false claims: a move in a dispute that runs, or else an accusation.
    pub(crate) fn pursue(&self) {
        let mut quiet = Vec::new();
        let claims = self.view.rounds.iter().flat_map(|seen| self.view.claims(seen));
        for claim in std::iter::once(Claim::Genesis).chain(claims) {
            let Some(finding) = self.finding(claim).filter(|finding| !finding.is_true) else { continue };
            let Some(address) = self.case(claim).dispute() else { continue };
            match self.view.disputes.get(&address) {
                // What stands in the own name is played to its end, whatever came since.
                Some(dispute) => self.play(claim, finding, &address, dispute),
                None if !self.is_own(claim) => quiet.push((claim, finding)),
                None => {}
            }
        }
        for (claim, finding) in quiet {
            self.accuse(claim, finding);
        }
    }

    /// Commits an accusation, opens it a slot later, or takes it back where another was earlier.
    fn accuse(&self, claim: Claim, finding: &Finding) {
        let case = self.case(claim);
        let Some(charge) = case.charge(None).filter(|_| finding.convicted.is_none()) else { return };
        let (is_accusable, is_false) = (self.view.is_open(claim), self.is_false(claim));
        let is_open = is_accusable && is_false;
        let Some(waiting) = self.view.accusations.get(&charge.hidden()) else {
            let Some(accused) = case.accused() else { return };
            let convicted = accused.is_convicted || self.view.is_spent(claim);
            if is_open && !convicted {
                let tell = vec![Event::Committed { claim }];
                self.send("commit an accusation", vec![charge.commit()], tell);
            } else if convicted || (claim != Claim::Genesis && !is_accusable && is_false) {
                // A genesis state is open as long as its bond is there, which the conviction takes.
                self.tell(Event::Late { claim, convicted });
            }
            return;
        };
        if case.is_moot(waiting) {
            return self.send("take an accusation back", vec![charge.withdraw()], vec![Event::Withdrawn { claim }]);
        }
        if self.view.slot.saturating_sub(waiting.committed_slot) > REVEAL_SLOTS {
            return self.send("end an accusation that was not opened in time", vec![charge.expire()], Vec::new());
        }
        if !is_open {
            return;
        }
        if self.view.slot <= waiting.committed_slot {
            return self.push(Action::Wake { slot: waiting.committed_slot + 1 });
        }
        if let Some(open) = case.charge(finding.part).and_then(|charge| charge.open()) {
            let dispute = charge.dispute().to_string();
            self.reveal("open a dispute", vec![open], vec![Event::Accused { claim, dispute }]);
        }
    }

    /// The next thing in a dispute that we opened.
    fn play(&self, claim: Claim, finding: &Finding, address: &Address, dispute: &Dispute) {
        let Some(charge) = self.case(claim).charge_of(self.wallet()) else { return };
        match due(dispute, self.view.slot) {
            Some(Due::Verdict { is_convicted }) => {
                let is_resolved = dispute.resolved != 0;
                let is_news = finding.convicted.is_none() || !is_resolved;
                self.note(claim, finding, is_convicted);
                let decided = Event::Decided { claim, dispute: address.to_string(), convicted: is_convicted };
                let tell = if is_news { vec![decided] } else { Vec::new() };
                self.send("apply a verdict", conclusion(&charge, &self.wallet(), is_resolved), tell);
            }
            Some(Due::TimeOut) => self.time_out(address),
            Some(Due::Move(Side::Challenger)) => {
                self.make_move(claim, &charge, dispute, (Side::Challenger, Ok((&self.wallet()).into())));
            }
            Some(Due::Move(Side::Trainer)) | None => {}
        }
    }

    fn time_out(&self, dispute: &Address) {
        self.send("end a dispute by the clock", vec![self.program().time_out(dispute)], Vec::new());
    }

    /// Notes whether our dispute convicts a claim, before anything is sent that ends it: its account may be gone when we look again.
    fn note(&self, claim: Claim, finding: &Finding, is_convicted: bool) {
        let finding = Finding { convicted: Some(is_convicted), ..finding.clone() };
        self.keep(Fact::Found { claim, finding });
    }

    /// Sends a side's next move; if it is the last one, with the verdict. Who has to wait for a slot computes it meanwhile.
    fn make_move(
        &self,
        claim: Claim,
        charge: &Charge<'_>,
        dispute: &Dispute,
        (side, mover): (Side, Result<Party, u64>),
    ) {
        let address = charge.dispute();
        let played = self.known.played.get(&address).filter(|played| played.moves == dispute.moves);
        let Some(played) = played else {
            // Who has played before has what it takes in memory.
            if self.known.played.contains_key(&address) || self.knows_disputed(claim, dispute) {
                self.compute(Work::Move { claim, dispute: address, side, cheat: None });
            }
            return;
        };
        let Some(next) = &played.next else { return };
        let mover = match mover {
            Ok(mover) => mover,
            Err(slot) => {
                self.tell(Event::Defends { dispute: address.to_string(), from_slot: slot });
                return self.push(Action::Wake { slot });
            }
        };
        let wallet = self.wallet();
        let parts = parts(self.program(), mover, &address, dispute, next);
        // What the program will find is known beforehand.
        let after = after_move(dispute, side, next.kind, &next.payload, self.view.slot);
        let outcome = after.and_then(|after| after.game.outcome()).unwrap_or(Outcome::Open);
        let is_ours = side == Side::Challenger;
        let (kind, moves) = (format!("{:?}", next.kind), dispute.moves + 1);
        let name = if is_ours { "challenger" } else { "accused" };
        let moved = Event::Moved { dispute: address.to_string(), side: name, kind, moves };
        if outcome != Outcome::Open {
            let convicted = outcome == Outcome::Convicted;
            let decided = Event::Decided { claim, dispute: address.to_string(), convicted };
            if let (true, Some(finding)) = (is_ours, self.finding(claim)) {
                self.note(claim, finding, convicted);
            }
            let all = [parts.clone(), conclusion(charge, &wallet, false)].concat();
            let tell = std::iter::once(moved.clone()).chain(is_ours.then_some(decided)).collect();
            self.send("play the last move and apply the verdict", all, tell);
        }
        // A verdict that cannot be applied yet keeps nobody from moving: who stays silent loses.
        self.send("play a move", parts, vec![moved]);
    }

    /// Whether the states are at hand that a side of a dispute is played from; those that are not are asked for, since the clock runs.
    fn knows_disputed(&self, claim: Claim, dispute: &Dispute) -> bool {
        let Some(seen) = self.view.round_of(claim) else { return true };
        let spec = &self.view.job.spec;
        let mut roots = Vec::new();
        match claim {
            Claim::Genesis => {}
            Claim::Vote { .. } => {
                let accepted = seen.segments.iter().filter(|stands| seen.round.accepted & bit(stands.place) != 0);
                roots.extend(accepted.map(|stands| stands.state.claim.result_root(spec)));
                roots.push(&seen.round.base_root);
            }
            Claim::Run { .. } => roots.push(&seen.round.next_base),
            Claim::Segment { place, .. } | Claim::Attestation { place, .. } => {
                let Some(claimed) = seen.segment(place).map(|stands| &stands.state.claim) else { return true };
                roots.push(&seen.round.base_root);
                roots.extend(self.terms.is_compressed().then_some(&claimed.previous_root));
                roots.extend((dispute.game.ground.case() == Ok(CaseKind::Update)).then_some(&claimed.end_root));
            }
        }
        // All of them at once.
        let missing = roots.into_iter().filter(|root| !self.knows(root)).count();
        missing == 0
    }

    /// The next thing in the defence of what this wallet claimed, or a pool whose session key it is, if somebody accuses it.
    pub(crate) fn defend(&self) {
        for (address, dispute) in &self.view.disputes {
            if dispute.resolved != 0 {
                continue;
            }
            let Some(mover) = self.view.defender(&self.wallet(), dispute) else { continue };
            let Some(claim) = claim_of(self.view, dispute) else { continue };
            let challenger = Address::new_from_array(dispute.challenger);
            let Some(charge) = self.case(claim).charge_of(challenger) else { continue };
            match due(dispute, self.view.slot) {
                Some(Due::Verdict { .. }) => self.send("apply a verdict", vec![charge.resolve()], Vec::new()),
                Some(Due::TimeOut) => self.time_out(address),
                Some(Due::Move(Side::Trainer)) => self.make_move(claim, &charge, dispute, (Side::Trainer, mover)),
                Some(Due::Move(Side::Challenger)) | None => {}
            }
        }
    }

    /// Takes the bounties that are ours and that nobody can take over any more.
    pub(crate) fn bounties(&self) {
        let wallet = self.wallet();
        for due in self.view.due_bounties().into_iter().filter(|due| due.whose == wallet) {
            let paid = Event::Bounty { holder: due.holder.to_string(), base_units: due.base_units };
            self.send("claim a bounty", vec![due.payment(self.program())], vec![paid]);
        }
    }
}

/// What a dispute is about, if it is about one of these rounds.
pub fn claim_of(view: &View, dispute: &Dispute) -> Option<Claim> {
    let case = dispute.game.ground.case().ok()?;
    if case == CaseKind::Genesis {
        return Some(Claim::Genesis);
    }
    let seen = view.rounds.iter().find(|seen| seen.address.to_bytes() == dispute.round)?;
    let round = seen.index();
    let subject = Address::new_from_array(dispute.subject);
    let segment = || seen.segments.iter().find(|stands| stands.address == subject).map(|stands| stands.place);
    let run = || seen.runs.iter().find(|stands| stands.address == subject).map(|stands| stands.place);
    Some(match case {
        CaseKind::Aggregate => Claim::Vote { round, place: dispute.place },
        CaseKind::Attestation => Claim::Attestation { round, place: segment()?, auditor: dispute.place },
        CaseKind::Score => Claim::Run { round, place: run()? },
        CaseKind::Segment | CaseKind::Start | CaseKind::Update => Claim::Segment { round, place: segment()? },
        CaseKind::Genesis => Claim::Genesis,
    })
}
