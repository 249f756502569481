//! A dispute from accusation to verdict, by transactions.

use anyhow::{Context, Result, anyhow, ensure};
use sip_client::{Accusation, after_move};
use sip_graph::show::kind_name;
use sip_ledger::Ledger;
use sip_node::dispute::{Challenger, Defender, DisputeError, FaultPlace, Move};
use sip_node::{Cheat, Replay, WorkError, Worker};
use sip_proof::Leaf;
use sip_protocol::dispute::{Dispute, Game, MoveKind, Outcome, Phase, Side};
use solana_address::Address;
use std::sync::Arc;

use super::Run;
use super::round::{Committed, rule};
use super::setup::salt;
use crate::progress::count;
use crate::summary::{DisputeLevel, DisputeSummary};

/// No dispute needs more moves.
const MOVES_MAX: usize = 200;

/// What a side runs again, and which leaves it holds for true: honestly, or with a lie.
pub(crate) struct View {
    pub cheat: Option<Cheat>,
    pub leaves: Vec<Leaf>,
    /// Where the segment stops, if it does; the leaves are then those before it.
    pub fault: Option<FaultPlace>,
}

impl Run {
    /// Accuses a segment and plays both sides to the verdict: the trainer's from what it committed, the challenger's from its own
    /// view.
    pub(crate) fn dispute(
        &mut self,
        challenger: usize,
        committed: &Committed,
        view: View,
        job: &Address,
        round: &Address,
        number: u32,
    ) -> Result<()> {
        let program = self.world.program;
        let pool = self.world.people[committed.trainer].pool()?;
        let wallet = self.world.people[challenger].wallet();
        let datasets: Vec<Address> =
            self.prepared.task.domains.iter().map(|blob| program.dataset(&blob.root())).collect();
        let salt = salt(self.settings.seed, &format!("{wallet} accuses {}", committed.address), number);
        let accusation = Accusation { challenger: &wallet, job, round, pool: &pool, datasets: &datasets, salt: &salt };
        let hidden = self.world.send(challenger, program.commit_accusation(&accusation))?;
        let opened = self.world.send(challenger, program.open_dispute(&accusation))?;
        let address = program.dispute(&committed.address, &wallet);
        let level =
            |what: &str, compute_units| DisputeLevel { by: "challenger".into(), what: what.into(), compute_units };
        let mut path = vec![
            level("puts up a bond and commits an accusation, without saying of whom", hidden.compute_units),
            level("opens it: accuses the segment", opened.compute_units),
        ];
        let (mut trainer_transactions, mut challenger_transactions) = (0, 2);

        let graph = Arc::new(self.prepared.task.graph_evidence());
        let replay = |view: View| {
            let worker = Worker::new(self.prepared.task.clone(), Arc::clone(&self.machine.threads), self.machine.simd);
            Replay::new(worker, committed.task.clone(), view.cheat, view.leaves).stopping_at(view.fault)
        };
        let own = View { cheat: committed.cheat.clone(), leaves: committed.work.leaves.clone(), fault: None };
        let mut defender = Defender::new(Arc::clone(&graph), replay(own));
        let mut accuser = Challenger::new(graph, replay(view));

        let mut last = Phase::RevealLeaves;
        let (mut concluded, mut decided): (bool, Dispute) = (false, self.world.read(&address)?);
        for _ in 0..MOVES_MAX {
            let before: Dispute = self.world.read(&address)?;
            let phase = before.game.phase().map_err(rule)?;
            if phase == Phase::Over {
                break;
            }
            last = phase;
            let side = phase.on_move();
            let (person, next) = match side {
                Side::Trainer => (committed.trainer, defender.next(&before.game)),
                Side::Challenger => (challenger, accuser.next(&before.game)),
            };
            let Some(next) = silence(next)? else {
                // Who has nothing to say loses by the clock.
                self.world.ledger.advance_slots(before.game.clock_slots[side as usize] + 1)?;
                self.world.send(challenger, program.time_out(&address))?;
                continue;
            };
            let mover = self.world.people[person].wallet();
            let mut instructions = program.moves(&mover, &address, next.kind, &next.payload);
            // What the program will find is known beforehand: with the challenger's last move goes the verdict.
            let after = after_move(&before, side, next.kind, &next.payload, self.world.ledger.slot());
            let is_last = after.as_ref().is_ok_and(|after| after.game.outcome() != Ok(Outcome::Open));
            concluded = is_last && side == Side::Challenger;
            if concluded {
                instructions.extend(program.conclude_dispute(&wallet, job, round, &pool));
            }
            let (Ok(after), Some(sent)) = (after, self.world.attempt_all(person, instructions)?) else {
                // Who has no legal move loses by the clock as well.
                concluded = false;
                self.world.ledger.advance_slots(before.game.clock_slots[side as usize] + 1)?;
                self.world.send(challenger, program.time_out(&address))?;
                continue;
            };
            match side {
                Side::Trainer => trainer_transactions += sent.transactions,
                Side::Challenger => challenger_transactions += sent.transactions,
            }
            path.push(DisputeLevel {
                by: if side == Side::Trainer { "trainer" } else { "challenger" }.into(),
                what: describe(phase, &next, &before.game, &after.game),
                compute_units: sent.compute_units,
            });
            decided = after;
            if concluded {
                break;
            }
        }
        if !concluded {
            decided = self.world.read(&address)?;
        }
        let outcome = decided.game.outcome().map_err(rule)?;
        ensure!(outcome != Outcome::Open, "the dispute did not end within {MOVES_MAX} moves");
        let verdict = verdict(outcome, last, &decided.game);
        let mut compute_units = 0;
        if !concluded {
            let conclusion = program.conclude_dispute(&wallet, job, round, &pool);
            let sent = self.world.attempt_all(challenger, conclusion.into())?.context("the verdict was refused")?;
            challenger_transactions += sent.transactions;
            compute_units = sent.compute_units;
        }
        path.push(DisputeLevel { by: "program".into(), what: verdict.clone(), compute_units });
        let trainer = self.world.people[committed.trainer].name.clone();
        let accuser = self.world.people[challenger].name.clone();
        let convicted = outcome == Outcome::Convicted;
        if convicted {
            self.journal.convicted.push(committed.task.place);
            self.journal.book_by(&self.world, &|person| {
                let loss = if person.name == trainer {
                    format!("own bond, convicted in round {}", number + 1)
                } else {
                    format!("stake delegated to {trainer}, convicted in round {}", number + 1)
                };
                [format!("bounty for convicting {trainer}"), loss]
            })?;
        } else {
            let gain = format!("share of the bond that {accuser} lost");
            self.journal.book(&self.world, &gain, &format!("bond of a false accusation in round {}", number + 1))?;
        }
        self.progress.line(&format!("{trainer} is {}: {verdict}", if convicted { "convicted" } else { "acquitted" }));
        self.journal.summary.disputes.push(DisputeSummary {
            round: number + 1,
            defendant: trainer,
            challenger: accuser,
            outcome: if convicted { "convicted" } else { "acquitted" }.into(),
            verdict,
            compute_units: path.iter().map(|level| level.compute_units).sum(),
            path,
            defendant_transactions: trainer_transactions,
            challenger_transactions,
        });
        Ok(())
    }
}

/// A side whose evidence does not cover the question stays silent; a replay that fails is an error.
fn silence(next: Result<Option<Move>, DisputeError<WorkError>>) -> Result<Option<Move>> {
    match next {
        Ok(next) => Ok(next),
        Err(DisputeError::Missing(_)) => Ok(None),
        Err(error) => Err(anyhow!(error)),
    }
}

/// A move in words.
fn describe(phase: Phase, played: &Move, before: &Game, after: &Game) -> String {
    let picked = || {
        let index = played.payload.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        index + 1
    };
    match (phase, played.kind) {
        (_, MoveKind::Concede) => "gives up".into(),
        (_, MoveKind::DisputeState) => {
            "agrees with the trace, but the state after the step is not what it gives".into()
        }
        (Phase::RevealLeaves, _) => format!("reveals {} nodes of the segment's tree", played.payload.len() / 32),
        (Phase::PickLeaf, _) => format!("picks number {}, the first that differs", picked()),
        (Phase::OpenLeaf, _) => {
            let (first, count) = before.ground.leaf_steps(before.index);
            format!("opens leaf {}: steps {} to {}", before.index + 1, first + 1, first + count)
        }
        (Phase::PostSteps, _) => "posts batch and state of every step of the leaf".into(),
        (Phase::PickStep, _) => format!("picks step {}", after.step + 1),
        (Phase::PostTrace, _) => {
            format!("pins the trace of step {}: {} nodes", before.step + 1, before.ground.node_count)
        }
        (Phase::RevealTrace, _) => format!("reveals {} nodes of the trace's tree", played.payload.len() / 32),
        (Phase::PickTrace, _) => format!("picks number {}, the first that differs", picked()),
        (Phase::RevealState, _) => "reveals nodes of the state's tree".into(),
        (Phase::PickState, _) => format!("picks number {}", picked()),
        (Phase::OpenEntry, _) => format!("opens state entry {}", before.index + 1),
        (Phase::ProveOutput, _) => "opens the output in the trace that the state entry should be".into(),
        (Phase::OpenNode, _) => format!("opens node {}: {}", before.index, node(after)),
        (Phase::ProveInput, _) => "opens the state entry or table that the input should be".into(),
        (Phase::RevealTensor, _) => {
            format!("reveals {} subtrees of the output's BLAKE3 tree", played.payload.len() / 32)
        }
        (Phase::PickTensor, _) => format!("picks number {}", picked()),
        (Phase::PostChunk, _) => format!("posts a chunk of the output, {} elements", played.payload.len() / 4),
        (Phase::PickElement, _) => format!("picks element {} of the output", after.element),
        (Phase::ProveToken, _) => "opens the token that the batch should hold at this place".into(),
        (Phase::PostPartials, _) => {
            format!("posts the sums after {} of the chain", count(played.payload.len() / 4, "piece"))
        }
        (Phase::PickPiece, _) => format!("picks piece {}", after.piece + 1),
        (Phase::PostValues, _) => {
            format!("posts {} operand values; the program runs the chain", played.payload.len() / 4)
        }
        (Phase::ShowLeaf, _) => "opens the leaf that was attested".into(),
        (Phase::ProveOperand, MoveKind::ProveBeyond) => "shows that the lookup reads beyond its table".into(),
        (Phase::ProveOperand, _) => "opens one of the values in the tensor it was read from".into(),
        (Phase::Over, _) => "nothing".into(),
    }
}

/// The node in question, in words.
fn node(game: &Game) -> String {
    let Ok(node) = game.graph_node() else { return "malformed".into() };
    let shape: Vec<String> = (0..node.out_labels()).map(|label| node.size(label).to_string()).collect();
    format!("{} of shape [{}]", kind_name(node.kind()), shape.join(", "))
}

/// What decided, in one sentence.
fn verdict(outcome: Outcome, last: Phase, game: &Game) -> String {
    let place = || format!("node {} ({}), element {}", game.node, node(game), game.element);
    match (outcome, last) {
        (Outcome::Convicted, Phase::PostValues) => {
            let terms = game.graph_node().map_or(0, |node| node.piece_terms(game.piece));
            let terms = count(terms, "term");
            format!("the program ran {terms} of {} and got another value than the trainer claims", place())
        }
        (Outcome::Convicted, Phase::PickElement) => {
            format!("a value that is not finite, where arithmetic must stop: {}", place())
        }
        (Outcome::Convicted, Phase::ProveOperand) => {
            format!("an operand value posted for {} is not the tensor's", place())
        }
        (Outcome::Convicted, Phase::ProveToken) => {
            format!(
                "element {} of the batch of step {} is not the token that the rule draws",
                game.element,
                game.step + 1
            )
        }
        (Outcome::Convicted, Phase::ProveOutput) => {
            format!("the state after step {} is not what the step's own trace gives", game.step + 1)
        }
        (Outcome::Convicted, Phase::ProveInput) => format!("node {} is not the input that it stands for", game.node),
        (Outcome::Convicted, Phase::OpenNode)
            if game.graph_node().is_ok_and(|node| node.source() == sip_ops::Source::Setting) =>
        {
            format!("node {} holds other settings than stake gave the round", game.node)
        }
        (Outcome::Convicted, phase) if phase.on_move() == Side::Trainer => {
            "the trainer's own claims contradict each other, or it fell silent".into()
        }
        (Outcome::Convicted, _) => "the trainer's claim was refuted".into(),
        (Outcome::Acquitted, _) => "the challenger could not open a single false value, and lost its bond".into(),
        (Outcome::Open, _) => "undecided".into(),
    }
}
