//! Both sides of disputes, from what was computed.

use anyhow::{Context, Result, ensure};
use sip_manifest::prepare::genesis_graph;
use sip_node::dispute::{Challenger, Defender, DisputeError, Evidence, FaultPlace, GraphEvidence, Move};
use sip_node::{Cheat, Computation, Replay, SegmentTask};
use sip_proof::Leaf;
use sip_protocol::court::{Dispute, Game, Side};
use sip_protocol::ground::case::CaseKind;
use sip_roles::{Claim, Part, Played, Seen, Stands, Work};
use solana_address::Address;
use std::sync::Arc;

use crate::bench::{Bench, Position};
use crate::pause;

/// Sides of disputes that are kept ready at once; each holds states of its replay.
const PLAYERS_KEPT: usize = 4;

/// The next move of a side, from the position.
pub(crate) type Player = Box<dyn FnMut(&Game) -> Result<Option<Move>>>;

/// Leaves of a replay, and where they stop.
type Steps = (Vec<Leaf>, Option<FaultPlace>);

impl Bench {
    /// The next move of a side in a dispute; none where there is nothing to say.
    pub(crate) fn next_move(
        &mut self,
        at: Position<'_>,
        work: &Work,
        claimed: (Claim, Side),
        address: &Address,
        cheat: Option<Cheat>,
    ) -> Result<Played> {
        let dispute = at.view.disputes.get(address).context("a dispute is gone")?;
        let moves = dispute.moves;
        if !self.players.contains_key(address) {
            let Some(player) = self.player(at, work, claimed, dispute, cheat)? else {
                return Ok(Played { moves, next: None });
            };
            while self.players.len() >= PLAYERS_KEPT {
                self.players.pop_first();
            }
            self.players.insert(*address, player);
        }
        let next = match self.players.get_mut(address) {
            Some(player) => player(&dispute.game)?,
            None => None,
        };
        Ok(Played { moves, next })
    }

    /// What plays a side of a dispute on a claim: from honest computation, whichever side it is; `None` where a lie has nothing to say.
    ///
    /// # Errors
    /// Where what it takes is not here, so that it is tried again: silence would stand until the other side moves, and lose by the clock.
    fn player(
        &mut self,
        at: Position<'_>,
        work: &Work,
        (claim, side): (Claim, Side),
        dispute: &Dispute,
        cheat: Option<Cheat>,
    ) -> Result<Option<Player>> {
        let (source, machine) = (Arc::clone(&self.source), self.machine.clone());
        let (prepared, threads, simd) = (&source.prepared, &machine.threads, machine.simd);
        let computed = |computation: Computation| player(side, Arc::new(computation.graph_evidence()), computation);
        let Some(seen) = at.view.round_of(claim) else {
            ensure!(claim == Claim::Genesis, "{claim}: its round is gone");
            let graph = Arc::new(genesis_graph(&prepared.manifest)?);
            return Ok(Some(computed(Computation::new(graph, Vec::new(), None, threads, simd))));
        };
        Ok(Some(match claim {
            Claim::Genesis => return Ok(None),
            Claim::Vote { .. } => {
                let results = self.results(at, seen)?.with_context(|| absent(claim, "what a segment handed over"))?;
                let base = self.state(&seen.round.base_root)?.with_context(|| absent(claim, "the base"))?;
                computed(prepared.base_evidence(&base, &results, &machine)?)
            }
            Claim::Segment { place, .. } | Claim::Attestation { place, .. } => {
                let stands = seen.segment(place).with_context(|| absent(claim, "the segment"))?;
                let part = match dispute.game.ground.case() {
                    Ok(CaseKind::Start) => Some(Part::Start),
                    Ok(CaseKind::Update) => Some(Part::Update),
                    _ => None,
                };
                if let Some(part) = part {
                    return Ok(self.part_evidence(seen, stands, part)?.map(computed));
                }
                let segment = Claim::Segment { round: seen.index(), place };
                let (task, _) = self.segment_task(seen, place, Some(&stands.state.claim.previous_root))?;
                let (leaves, fault) = match self.steps(at, segment, cheat.is_some())? {
                    Some(steps) => steps,
                    // A lie is told from its own leaves alone; the truth can be computed again.
                    None if cheat.is_some() => return Ok(None),
                    None => {
                        let replayed = self.replayed(&task, work, &[])?;
                        pause::forget(&self.record, pause::REPLAY);
                        (replayed.segment.leaves, replayed.fault)
                    }
                };
                let replay = Replay::new(self.worker(&prepared.task), task, cheat, leaves).stopping_at(fault);
                player(side, Arc::new(prepared.task.graph_evidence()), replay)
            }
            Claim::Run { .. } => {
                let base = self.state(&seen.round.next_base)?.with_context(|| absent(claim, "the base"))?;
                let (leaves, fault) = match at.known.findings.get(&claim) {
                    Some(finding) => finding.evidence(&prepared.scoring).with_context(|| damaged(claim))?,
                    None => {
                        let scored = self.score(&seen.round.next_base, cheat.as_ref())?;
                        let leaves = scored.leaves.leaves(&prepared.scoring);
                        (leaves.with_context(|| damaged(claim))?, scored.fault.map(place_of))
                    }
                };
                let task = SegmentTask::scoring(&base, threads)?;
                let scoring = &prepared.scoring;
                let replay = Replay::new(self.worker(scoring), task, cheat, leaves).stopping_at(fault);
                player(side, Arc::new(scoring.graph_evidence()), replay)
            }
        }))
    }

    /// The leaves of a segment: as it was replayed, or as its trainer, which this is, has committed it.
    fn steps(&self, at: Position<'_>, claim: Claim, is_lie: bool) -> Result<Option<Steps>> {
        let task = &self.source.prepared.task;
        let Claim::Segment { round, place } = claim else { return Ok(None) };
        let found = at.known.findings.get(&claim).filter(|_| !is_lie);
        if let Some(finding) = found {
            return finding.evidence(task).with_context(|| damaged(claim)).map(Some);
        }
        let Some(own) = at.known.worked.get(&(round, place)) else { return Ok(None) };
        Ok(Some((own.leaves.leaves(task).with_context(|| damaged(claim))?, None)))
    }

    /// What is known of the start state, or the update, of a segment: how it follows from the base and the trainer's previous update.
    fn part_evidence(&self, seen: &Seen, stands: &Stands, part: Part) -> Result<Option<Computation>> {
        let (threads, simd) = (&self.machine.threads, self.machine.simd);
        let (_, start) = self.segment_task(seen, stands.place, Some(&stands.state.claim.previous_root))?;
        let (Some(updates), Some(previous)) = (&self.source.prepared.updates, &start.previous) else { return Ok(None) };
        // The base, or the segment's end.
        let state = match part {
            Part::Start => self.state(&seen.round.base_root)?,
            Part::Update => self.state(&stands.state.claim.end_root)?,
        };
        let claim = Claim::Segment { round: seen.index(), place: stands.place };
        let state = state.with_context(|| absent(claim, "the end that it came to"))?;
        Ok(Some(match part {
            Part::Start => updates.start_evidence(&state, previous, threads, simd),
            Part::Update => updates.update_evidence(previous, [&start.state, &state], threads, simd),
        }))
    }
}

fn absent(claim: Claim, what: &str) -> String {
    format!("{claim}: {what} is not here yet, and its dispute cannot be played without it")
}

fn damaged(claim: Claim) -> String {
    format!("{claim}: the record of it is damaged; remove its file")
}

fn place_of([step, node, element]: [u32; 3]) -> FaultPlace {
    FaultPlace { step, node, element }
}

/// A side that plays from this evidence.
fn player<R>(side: Side, graph: Arc<GraphEvidence>, evidence: R) -> Player
where
    R: Evidence + 'static,
    R::Error: std::error::Error + Send + Sync + 'static,
{
    // Where the evidence does not reach, there is nothing to say.
    fn said<E: std::error::Error + Send + Sync + 'static>(
        next: std::result::Result<Option<Move>, DisputeError<E>>,
    ) -> Result<Option<Move>> {
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
