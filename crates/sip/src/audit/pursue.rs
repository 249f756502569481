//! Accusing what is false, and playing every dispute to its end: as challenger, and as the one who is accused.

use anyhow::{Context, Result};
use sip_ledger::Ledger;
use sip_model::init_graph;
use sip_node::dispute::{Challenger, Defender, DisputeError, Evidence, GraphEvidence};
use sip_node::{Computation, Replay, SegmentTask};
use sip_protocol::dispute::{CaseKind, Dispute, Outcome, Side};
use sip_protocol::finality::accusation::{Accusation, REVEAL_SLOTS};
use sip_protocol::{Account, AccountKind};
use solana_address::Address;
use std::sync::Arc;

use super::claim::Claim;
use super::event::Event;
use super::here::Here;
use super::watch::{Player, Watch};
use crate::run::round::rule;

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
            if !is_open || case.accused()?.is_convicted || here.is_spent(claim) {
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
        let (open, dispute) = (case.open()?, case.dispute()?);
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
        let wallet = self.wallet();
        if dispute.resolved != 0 {
            self.memory.players.remove(address);
            return self.send("close a dispute", self.program.close_dispute(&wallet, address));
        }
        let game = &dispute.game;
        let outcome = game.outcome().map_err(rule)?;
        if outcome != Outcome::Open {
            let convicted = outcome == Outcome::Convicted;
            let mut finding = self.record.finding(claim)?.unwrap_or_default();
            if finding.convicted.is_none() {
                finding.convicted = Some(convicted);
                self.record.keep(claim, &finding)?;
                (self.report)(&Event::Decided { claim, dispute: address.to_string(), convicted });
            }
            let resolve = self.case(here, &[], claim).resolve(&wallet, address)?;
            return self.send("apply a verdict", resolve);
        }
        if self.times_out(here, dispute)? {
            return self.send("end a dispute by the clock", self.program.time_out(address));
        }
        if game.on_move().map_err(rule)? == Side::Trainer {
            return Ok(false);
        }
        self.make_move(here, claim, address, dispute, Side::Challenger)
    }

    /// Whether the side on move has let its clock run out.
    fn times_out(&self, here: &Here, dispute: &Dispute) -> Result<bool> {
        let game = &dispute.game;
        let side = game.on_move().map_err(rule)?;
        Ok(here.slot.saturating_sub(game.moved_slot) > game.clock_slots[side as usize])
    }

    /// Sends the next part of a side's next move that is not in the dispute's buffer yet.
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
        let mut parts = self.program.moves(&wallet, address, next.kind, &next.payload);
        let last = parts.pop().context("a move has no part")?;
        for (part, bytes) in parts.into_iter().zip(next.payload.chunks(sip_client::MOVE_PART_BYTES).enumerate()) {
            let (number, bytes) = bytes;
            let start = number * sip_client::MOVE_PART_BYTES;
            // Who was killed between two parts goes on where it was.
            if dispute.buffer.get(start..start + bytes.len()) != Some(bytes) {
                return self.send_part("upload a part of a move", part);
            }
        }
        let sent = self.send_part("play a move", last)?;
        if sent {
            let side = if side == Side::Challenger { "challenger" } else { "accused" };
            let (dispute, moves) = (address.to_string(), dispute.moves + 1);
            (self.report)(&Event::Moved { dispute, side, kind: format!("{:?}", next.kind), moves });
        }
        Ok(sent)
    }

    /// What plays a side of a dispute on a claim: from honest computation, whichever side it is. `None` if what it takes is not known.
    fn player(&self, here: &Here, claim: Claim, side: Side) -> Result<Option<Player>> {
        let prepared = &self.source.prepared;
        let (threads, simd) = (&self.machine.threads, self.machine.simd);
        let seen = here.round_of(claim);
        let computed = |graph, bases| {
            let computation = Computation::new(Arc::new(graph), bases, None, threads, simd);
            player(side, Arc::new(computation.graph_evidence()), computation)
        };
        Ok(Some(match (claim, seen) {
            (Claim::Genesis, _) => {
                computed(init_graph(&self.source.settings.model, self.source.settings.seed)?, Vec::new())
            }
            (Claim::Vote { .. }, Some(seen)) => {
                let Some(ends) = self.ends(seen)? else { return Ok(None) };
                computed(prepared.aggregates.graph(ends.len())?, ends)
            }
            (Claim::Segment { round, place } | Claim::Attestation { round, place, .. }, Some(seen)) => {
                let claim = Claim::Segment { round, place };
                let Some(finding) = self.record.finding(claim)? else { return Ok(None) };
                let (leaves, fault) = finding.evidence(&prepared.task, claim)?;
                let task = self.segment_task(seen, place)?;
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

    /// The next thing in the defence of what the operator itself claimed, if somebody accuses it.
    pub(super) fn defend(&mut self, here: &Here) -> Result<bool> {
        let Some(operator) = self.operator else { return Ok(false) };
        let pool: Box<sip_protocol::pool::Pool> = self.read(&operator.seat.pool)?;
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
        for (holder, whose, base_units) in here.due_bounties() {
            let is_ours = whose == wallet;
            if is_ours && self.send("claim a bounty", self.program.claim_bounty(&holder, &wallet))? {
                (self.report)(&Event::Bounty { holder: holder.to_string(), base_units });
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
    let place = |stands: &[super::here::Stands]| {
        stands.iter().find(|stands| stands.address.to_bytes() == dispute.subject).map(|stands| stands.place)
    };
    Some(match case {
        CaseKind::Aggregate => Claim::Vote { round, place: dispute.place },
        CaseKind::Attestation => Claim::Attestation { round, place: place(&seen.segments)?, auditor: dispute.place },
        CaseKind::Score => Claim::Run { round, place: place(&seen.runs)? },
        CaseKind::Segment => Claim::Segment { round, place: place(&seen.segments)? },
        #[allow(unreachable_patterns, reason = "cases of later versions")]
        _ => return None,
    })
}
