//! Accusing what is false, and playing every dispute to its end: as challenger, and as the one who is accused.

use anyhow::{Context, Result};
use sip_client::{MOVE_PART_BYTES, after_move};
use sip_ledger::Ledger;
use sip_node::dispute::{Challenger, Defender, DisputeError, Evidence, GraphEvidence};
use sip_node::{Computation, Replay, SegmentTask};
use sip_protocol::{Account, AccountKind};
use sip_protocol::{court::accusation::Accusation, ground::escrow::REVEAL_SLOTS};
use sip_protocol::{
    court::{Dispute, Outcome, Side},
    ground::case::CaseKind,
};
use solana_address::Address;
use solana_instruction::Instruction;
use std::sync::Arc;

use super::claim::Claim;
use super::event::Event;
use super::here::{Here, Seen, Stands};
use super::record::Part;
use super::watch::{Player, Watch};
use crate::run::round::rule;
use sip_manifest::prepare::genesis_graph;

/// Sides of disputes that are kept ready at once; each holds states of its replay.
const PLAYERS_KEPT: usize = 4;

impl<L: Ledger> Watch<'_, L> {
    /// The next thing to do about false claims: a move in a dispute that runs, or else an accusation.
    pub(super) fn pursue(&mut self, here: &Here) -> Result<bool> {
        let mut quiet = Vec::new();
        let claims = here.rounds.iter().flat_map(|seen| here.claims(seen));
        for claim in std::iter::once(Claim::Genesis).chain(claims) {
            if self.record.finding(claim)?.is_none_or(|finding| finding.is_true) || self.is_own(here, claim) {
                continue;
            }
            let address = self.case(here, &[], claim).dispute()?;
            match self.find::<Dispute>(&address)? {
                Some(dispute) if self.play(here, claim, &address, &dispute)? => return Ok(true),
                Some(_) => {}
                None => quiet.push(claim),
            }
        }
        for claim in quiet {
            if self.accuse(here, claim)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a dispute or an accusation of ours waits on a claim.
    pub(super) fn is_pending(&self, here: &Here, claim: Claim) -> Result<bool> {
        let secret = self.key.to_bytes();
        let case = self.case(here, &secret, claim);
        Ok(self.find::<Dispute>(&case.dispute()?)?.is_some() || self.find::<Accusation>(&case.hidden()?)?.is_some())
    }

    /// Commits an accusation, opens it a slot later, or takes it back where another was earlier.
    fn accuse(&mut self, here: &Here, claim: Claim) -> Result<bool> {
        if self.record.finding(claim)?.is_some_and(|finding| finding.convicted.is_some()) {
            return Ok(false);
        }
        let secret = self.key.to_bytes();
        let case = self.case(here, &secret, claim);
        let is_open = here.is_open(claim) && self.is_false(here, claim)?;
        let Some(waiting) = self.find::<Accusation>(&case.hidden()?)? else {
            let convicted = case.accused()?.is_convicted || here.is_spent(claim);
            if !is_open || convicted {
                // A genesis state is open as long as its bond is there, which the conviction takes.
                if convicted || (claim != Claim::Genesis && !here.is_open(claim) && self.is_false(here, claim)?) {
                    self.say_once(&Event::Late { claim, convicted });
                }
                return Ok(false);
            }
            let commit = case.commit()?;
            let sent = self.send("commit an accusation", commit)?;
            if sent {
                (self.report)(&Event::Committed { claim });
            }
            return Ok(sent);
        };
        if case.is_moot(&waiting)? {
            let withdraw = case.withdraw()?;
            let sent = self.send("take an accusation back", withdraw)?;
            if sent {
                (self.report)(&Event::Withdrawn { claim });
            }
            return Ok(sent);
        }
        if here.slot.saturating_sub(waiting.committed_slot) > REVEAL_SLOTS {
            let expire = case.expire()?;
            return self.send("end an accusation that was not opened in time", expire);
        }
        if !is_open {
            return Ok(false);
        }
        let part = self.record.finding(claim)?.and_then(|finding| finding.part);
        let (open, dispute) = (case.open(part)?, case.dispute()?);
        if here.slot <= waiting.committed_slot {
            self.ledger.advance_slots(waiting.committed_slot + 1 - here.slot)?;
        }
        let sent = self.send("open a dispute", open)?;
        if sent {
            (self.report)(&Event::Accused { claim, dispute: dispute.to_string() });
        }
        Ok(sent)
    }

    /// The next thing in a dispute that we opened.
    fn play(&mut self, here: &Here, claim: Claim, address: &Address, dispute: &Dispute) -> Result<bool> {
        let game = &dispute.game;
        let outcome = game.outcome().map_err(rule)?;
        if outcome != Outcome::Open {
            let convicted = outcome == Outcome::Convicted;
            let is_news = self.note(claim, Some(convicted))?.is_none() || dispute.resolved == 0;
            let mut conclusion = self.conclusion(here, claim, address, dispute)?;
            if dispute.resolved != 0 {
                conclusion.remove(0);
            }
            let sent = self.send_all("apply a verdict", conclusion)?;
            if sent {
                self.memory.players.remove(address);
                if is_news {
                    (self.report)(&Event::Decided { claim, dispute: address.to_string(), convicted });
                }
            }
            return Ok(sent);
        }
        if self.times_out(here, dispute)? {
            return self.send("end a dispute by the clock", self.program.time_out(address));
        }
        if game.on_move().map_err(rule)? == Side::Trainer {
            return Ok(false);
        }
        self.make_move(here, claim, address, dispute, Side::Challenger)
    }

    /// What applies the verdict of a dispute, and closes it if it is ours.
    fn conclusion(&self, here: &Here, claim: Claim, address: &Address, dispute: &Dispute) -> Result<Vec<Instruction>> {
        let (wallet, challenger) = (self.wallet(), Address::new_from_array(dispute.challenger));
        let resolve = self.case(here, &[], claim).resolve(&challenger, address)?;
        let close = (challenger == wallet).then(|| self.program.close_dispute(&wallet, address));
        Ok(std::iter::once(resolve).chain(close).collect())
    }

    /// Notes whether our dispute convicts a claim, before anything is sent that ends it: its account may be gone when we look again.
    /// Returns what was noted before.
    fn note(&self, claim: Claim, convicted: Option<bool>) -> Result<Option<bool>> {
        let mut finding = self.record.finding(claim)?.unwrap_or_default();
        let before = std::mem::replace(&mut finding.convicted, convicted);
        if before != convicted {
            self.record.keep(claim, &finding)?;
        }
        Ok(before)
    }

    /// Whether the side on move has let its clock run out.
    fn times_out(&self, here: &Here, dispute: &Dispute) -> Result<bool> {
        let game = &dispute.game;
        let side = game.on_move().map_err(rule)?;
        Ok(here.slot.saturating_sub(game.moved_slot) > game.clock_slots[side as usize])
    }

    /// Sends a side's next move, without the parts that are in the dispute's buffer already; if it is the last one, with the verdict.
    fn make_move(
        &mut self,
        here: &Here,
        claim: Claim,
        address: &Address,
        dispute: &Dispute,
        side: Side,
    ) -> Result<bool> {
        if !self.memory.players.contains_key(address) {
            let Some(player) = self.player(here, claim, side)? else { return Ok(false) };
            while self.memory.players.len() >= PLAYERS_KEPT {
                self.memory.players.pop_first();
            }
            self.memory.players.insert(*address, player);
        }
        let Some(player) = self.memory.players.get_mut(address) else { return Ok(false) };
        let Some(next) = player(&dispute.game)? else { return Ok(false) };
        let wallet = self.wallet();
        let mut uploads = self.program.moves(&wallet, address, next.kind, &next.payload);
        let last = uploads.pop().context("a move has no part")?;
        let mut parts = Vec::new();
        for (upload, (number, bytes)) in uploads.into_iter().zip(next.payload.chunks(MOVE_PART_BYTES).enumerate()) {
            // Who was killed between two parts goes on where it was.
            let start = number * MOVE_PART_BYTES;
            if dispute.buffer.get(start..start + bytes.len()) != Some(bytes) {
                parts.push(upload);
            }
        }
        parts.push(last);
        // What the program will find is known beforehand.
        let after = after_move(dispute, side, next.kind, &next.payload, here.slot);
        let outcome = after.and_then(|after| after.game.outcome()).unwrap_or(Outcome::Open);
        let convicted = outcome == Outcome::Convicted;
        let is_ours = side == Side::Challenger;
        let mut is_concluded = false;
        if outcome != Outcome::Open {
            let before = if is_ours { self.note(claim, Some(convicted))? } else { None };
            let all = [parts.clone(), self.conclusion(here, claim, address, dispute)?].concat();
            is_concluded = self.send_all("play the last move and apply the verdict", all)?;
            if is_ours && !is_concluded {
                self.note(claim, before)?;
            }
        }
        // A verdict that cannot be applied yet keeps nobody from moving: who stays silent loses.
        let is_sent = is_concluded
            || (outcome != Outcome::Open
                && self.find::<Dispute>(address)?.is_none_or(|left| left.moves != dispute.moves))
            || self.send_all("play a move", parts)?;
        if is_sent {
            let side = if is_ours { "challenger" } else { "accused" };
            let (kind, moves) = (format!("{:?}", next.kind), dispute.moves + 1);
            (self.report)(&Event::Moved { dispute: address.to_string(), side, kind, moves });
        }
        if is_concluded {
            self.memory.players.remove(address);
            if is_ours {
                (self.report)(&Event::Decided { claim, dispute: address.to_string(), convicted });
            }
        }
        Ok(is_sent)
    }

    /// What plays a side of a dispute on a claim: from honest computation, whichever side it is. `None` if what it takes is not known.
    fn player(&self, here: &Here, claim: Claim, side: Side) -> Result<Option<Player>> {
        let prepared = &self.source.prepared;
        let (threads, simd) = (&self.machine.threads, self.machine.simd);
        let seen = here.round_of(claim);
        let computed = |computation: Computation| player(side, Arc::new(computation.graph_evidence()), computation);
        Ok(Some(match (claim, seen) {
            (Claim::Genesis, _) => {
                let graph = Arc::new(genesis_graph(&self.source.prepared.manifest)?);
                computed(Computation::new(graph, Vec::new(), None, threads, simd))
            }
            (Claim::Vote { .. }, Some(seen)) => {
                let (Some(results), Some(base)) = (self.results(here, seen)?, self.state(&seen.round.base_root)?)
                else {
                    return Ok(None);
                };
                computed(prepared.base_evidence(&base, &results, self.machine)?)
            }
            (Claim::Segment { round, place } | Claim::Attestation { round, place, .. }, Some(seen)) => {
                let claim = Claim::Segment { round, place };
                let (Some(finding), Some(stands)) = (self.record.finding(claim)?, seen.segment(place)) else {
                    return Ok(None);
                };
                if let Some(part) = finding.part {
                    return Ok(self.part_evidence(seen, stands, part)?.map(computed));
                }
                let (leaves, fault) = finding.evidence(&prepared.task, claim)?;
                let (task, _) = self.segment_task(seen, stands)?;
                let replay = Replay::new(self.worker(&prepared.task), task, None, leaves).stopping_at(fault);
                player(side, Arc::new(prepared.task.graph_evidence()), replay)
            }
            (Claim::Run { .. }, Some(seen)) => {
                let Some(finding) = self.record.finding(claim)? else { return Ok(None) };
                let (leaves, fault) = finding.evidence(&prepared.scoring, claim)?;
                let Some(base) = self.state(&seen.round.next_base)? else { return Ok(None) };
                let task = SegmentTask::scoring(&base, threads)?;
                let replay = Replay::new(self.worker(&prepared.scoring), task, None, leaves).stopping_at(fault);
                player(side, Arc::new(prepared.scoring.graph_evidence()), replay)
            }
            (_, None) => return Ok(None),
        }))
    }

    /// What is known of the start state, or the update, of a segment: how it follows from the base and the trainer's previous update.
    fn part_evidence(&self, seen: &Seen, stands: &Stands, part: Part) -> Result<Option<Computation>> {
        let (threads, simd) = (&self.machine.threads, self.machine.simd);
        let (_, start) = self.segment_task(seen, stands)?;
        let (Some(updates), Some(previous)) = (&self.source.prepared.updates, &start.previous) else { return Ok(None) };
        // The base, or the segment's end.
        let state = match part {
            Part::Start => self.state(&seen.round.base_root)?,
            Part::Update => self.state(&stands.state.claim.end_root)?,
        };
        Ok(state.map(|state| match part {
            Part::Start => updates.start_evidence(&state, previous, threads, simd),
            Part::Update => updates.update_evidence(previous, [&start.state, &state], threads, simd),
        }))
    }

    /// The next thing in the defence of what the operator itself claimed, if somebody accuses it.
    pub(super) fn defend(&mut self, here: &Here) -> Result<bool> {
        let Some(operator) = self.operator else { return Ok(false) };
        let pool: Box<sip_protocol::stake::pool::Pool> = self.read(&operator.seat.pool)?;
        if pool.open_disputes == 0 {
            return Ok(false);
        }
        for (address, dispute) in self.disputes()? {
            if dispute.defendant != self.wallet().to_bytes() || dispute.resolved != 0 {
                continue;
            }
            let Some(claim) = claim_of(here, &dispute) else { continue };
            if dispute.game.outcome().map_err(rule)? != Outcome::Open {
                let challenger = Address::new_from_array(dispute.challenger);
                let resolve = self.case(here, &[], claim).resolve(&challenger, &address)?;
                if self.send("apply a verdict", resolve)? {
                    self.memory.players.remove(&address);
                    return Ok(true);
                }
                continue;
            }
            let is_out = self.times_out(here, &dispute)?;
            if is_out && self.send("end a dispute by the clock", self.program.time_out(&address))? {
                return Ok(true);
            }
            let is_ours = dispute.game.on_move().map_err(rule)? == Side::Trainer;
            if !is_out && is_ours && self.make_move(here, claim, &address, &dispute, Side::Trainer)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The disputes of the job.
    pub(super) fn disputes(&self) -> Result<Vec<(Address, Box<Dispute>)>> {
        let accounts = self.ledger.program_accounts(&self.program.id)?;
        let kind = AccountKind::Dispute as u8;
        let disputes = accounts.into_iter().filter(|(_, account)| account.data.first() == Some(&kind));
        // What this version cannot read is not ours to play.
        let decoded =
            disputes.filter_map(|(address, account)| Some((address, Box::new(Dispute::decode(&account.data).ok()?))));
        Ok(decoded.filter(|(_, dispute)| dispute.job == self.job.to_bytes()).collect())
    }

    /// Takes the bounties that are ours and that nobody can take over any more.
    pub(super) fn bounties(&mut self, here: &Here) -> Result<bool> {
        let wallet = self.wallet();
        for due in here.due_bounties().into_iter().filter(|due| due.whose == wallet) {
            if self.send("claim a bounty", due.payment(&self.program))? {
                (self.report)(&Event::Bounty { holder: due.holder.to_string(), base_units: due.base_units });
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A side that plays from this evidence.
fn player<R>(side: Side, graph: Arc<GraphEvidence>, evidence: R) -> Player
where
    R: Evidence + 'static,
    R::Error: std::error::Error + Send + Sync + 'static,
{
    // Where the evidence does not reach, there is nothing to say.
    fn said<E: std::error::Error + Send + Sync + 'static>(
        next: std::result::Result<Option<sip_node::dispute::Move>, DisputeError<E>>,
    ) -> Result<Option<sip_node::dispute::Move>> {
        match next {
            Err(DisputeError::Missing(_)) => Ok(None),
            next => Ok(next?),
        }
    }
    match side {
        Side::Challenger => {
            let mut challenger = Challenger::new(graph, evidence);
            Box::new(move |game| said(challenger.next(game)))
        }
        Side::Trainer => {
            let mut defender = Defender::new(graph, evidence);
            Box::new(move |game| said(defender.next(game)))
        }
    }
}

/// What a dispute is about, if it is about one of these rounds.
pub(super) fn claim_of(here: &Here, dispute: &Dispute) -> Option<Claim> {
    let case = dispute.game.ground.case().ok()?;
    if case == CaseKind::Genesis {
        return Some(Claim::Genesis);
    }
    let seen = here.rounds.iter().find(|seen| seen.address.to_bytes() == dispute.round)?;
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
