//! A dispute from accusation to verdict, by transactions. Its instructions are those of [`sip_roles::Charge`], as for everybody else.

use anyhow::{Context, Result, anyhow, ensure};
use sip_client::{Program, UpdateGraph, after_move};
use sip_graph::show::kind_name;
use sip_ledger::Ledger;
use sip_node::dispute::{Challenger, Defender, DisputeError, Evidence, FaultPlace, Move};
use sip_node::{Cheat, Replay, Worker};
use sip_proof::{GraphRoots, Hash, Leaf};
use sip_protocol::{
    court::{Dispute, Game, MoveKind, Outcome, Phase, Side},
    ground::case::CaseKind,
};
use sip_roles::{Charge as Case, Charged};
use solana_address::Address;
use solana_instruction::Instruction;
use std::sync::Arc;

use super::Run;
use super::round::{Committed, rule};
use super::setup::{self, salt};
use crate::archive::Archive;
use sip_report::count;
use sip_report::summary::{DisputeLevel, DisputeSummary};

/// No dispute needs more moves.
const MOVES_MAX: usize = 200;

/// What a side runs again, and which leaves it believes true: honestly, or with a lie.
pub struct View {
    /// The lie.
    pub cheat: Option<Cheat>,
    /// The leaves.
    pub leaves: Vec<Leaf>,
    /// Where the segment stops, if it does; the leaves are then those before it.
    pub fault: Option<FaultPlace>,
}

/// Whose claim is false, or said to be.
pub(crate) enum Claim<'a> {
    /// A trainer's segment.
    Segment,
    /// An evaluator's scoring run.
    Run,
    /// What a trainer's segment starts from or hands over, with compressed updates.
    Update(UpdateGraph),
    /// An auditor's vote for the next base: the graph that averages the accepted segments, and its path in the job's tree.
    Vote { graph: &'a GraphRoots, path: &'a [Hash; 4], segments: &'a [Address] },
    /// An auditor's attestation of a segment.
    Attestation { segment: &'a Address },
    /// The state that a job starts from.
    Genesis,
}

/// An accusation: who accuses whom of what.
pub(crate) struct Charge<'a> {
    pub challenger: usize,
    pub defendant: usize,
    pub job: &'a Address,
    /// The round of the claim; a genesis state has none, and names its job.
    pub round: &'a Address,
    /// The round as people count them, from 1; 0 before the first.
    pub number: u32,
    pub claim: Claim<'a>,
}

impl Charge<'_> {
    /// What is disputed, in words.
    fn subject(&self) -> &'static str {
        match self.claim {
            Claim::Segment => "segment",
            Claim::Run => "scoring run",
            Claim::Update(graph) if graph.case == CaseKind::Start => "start state",
            Claim::Update(_) => "update",
            Claim::Vote { .. } => "vote",
            Claim::Attestation { .. } => "attestation",
            Claim::Genesis => "genesis state",
        }
    }
}

impl Run {
    /// A charge as its instructions are made of it.
    fn case<'p>(&self, charge: &Charge<'_>, program: &'p Program) -> Result<Case<'p>> {
        let Charge { challenger, defendant, job, round, number, .. } = *charge;
        let wallet = self.world.people[challenger].wallet();
        let datasets = setup::dataset_addresses(&self.world, &self.prepared)?;
        let purpose = format!("{wallet} accuses {round} {defendant} of a {}", charge.subject());
        let (round, defendant) = (*round, &self.world.people[defendant]);
        let charged = match &charge.claim {
            Claim::Segment => Charged::Segment { round, pool: defendant.pool()?, part: None },
            Claim::Update(graph) => Charged::Segment { round, pool: defendant.pool()?, part: Some(*graph) },
            Claim::Run => Charged::Run { round, pool: defendant.pool()? },
            Claim::Vote { graph, path, segments } => {
                let (pool, place) = (defendant.pool()?, defendant.place);
                Charged::Vote { round, pool, place, segments: segments.to_vec(), graph: Some((**graph, **path)) }
            }
            Claim::Attestation { segment } => {
                Charged::Attestation { round, segment: **segment, pool: defendant.pool()?, place: defendant.place }
            }
            Claim::Genesis => Charged::Genesis,
        };
        let salt = salt(self.settings.seed, &purpose, number);
        Ok(Case { program, challenger: wallet, job: *job, datasets, charged, salt })
    }

    /// Opens a case; returns the dispute's address and what it took to open it.
    fn open(&mut self, charge: &Charge<'_>) -> Result<(Address, Vec<DisputeLevel>)> {
        let (program, challenger) = (self.world.program, charge.challenger);
        let case = self.case(charge, &program)?;
        let hidden = self.world.send(challenger, case.commit())?;
        let opened = self.world.send(challenger, case.open().context("the graph of a vote is not known")?)?;
        let level = |what: String, compute_units| DisputeLevel { by: "challenger".into(), what, compute_units };
        let path = vec![
            level("puts up a bond and commits an accusation, without saying of whom".into(), hidden.compute_units),
            level(format!("opens it: accuses the {}", charge.subject()), opened.compute_units),
        ];
        Ok((case.dispute(), path))
    }

    /// What applies the verdict and closes the account.
    fn conclusion(&self, charge: &Charge<'_>) -> Result<Vec<Instruction>> {
        let case = self.case(charge, &self.world.program)?;
        Ok(vec![case.resolve(), case.close()])
    }

    /// Accuses a segment and plays both sides to the verdict: the trainer's from what it committed, the challenger's from its own
    /// view.
    ///
    /// # Errors
    /// The ledger's, and those of a replay.
    pub fn dispute_segment(
        &mut self,
        challenger: usize,
        committed: &Committed,
        view: View,
        job: &Address,
        round: &Address,
        number: u32,
    ) -> Result<()> {
        let graph = Arc::new(self.prepared.task.graph_evidence());
        let replay = |view: View| {
            let worker = Worker::new(self.prepared.task.clone(), Arc::clone(&self.machine.threads), self.machine.simd);
            Replay::new(worker, committed.task.clone(), view.cheat, view.leaves).stopping_at(view.fault)
        };
        let own = View { cheat: committed.cheat.clone(), leaves: committed.work.leaves.clone(), fault: None };
        let defender = Defender::new(Arc::clone(&graph), replay(own));
        let accuser = Challenger::new(graph, replay(view));
        let charge =
            Charge { challenger, defendant: committed.trainer, job, round, number: number + 1, claim: Claim::Segment };
        self.dispute(&charge, defender, accuser).map(|_| ())
    }

    /// Opens a case and plays both sides to the verdict; says whether it convicts.
    pub(crate) fn dispute<D: Evidence, C: Evidence>(
        &mut self,
        charge: &Charge<'_>,
        mut defender: Defender<D>,
        mut accuser: Challenger<C>,
    ) -> Result<bool>
    where
        D::Error: std::error::Error + Send + Sync + 'static,
        C::Error: std::error::Error + Send + Sync + 'static,
    {
        let program = self.world.program;
        let Charge { challenger, defendant, number, .. } = *charge;
        let role = self.world.people[defendant].role;
        let (address, mut path) = self.open(charge)?;
        let (mut defendant_transactions, mut challenger_transactions) = (0, path.len() as u32);
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
                Side::Trainer => (defendant, silence(defender.next(&before.game))?),
                Side::Challenger => (challenger, silence(accuser.next(&before.game))?),
            };
            let Some(next) = next else {
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
                instructions.extend(self.conclusion(charge)?);
            }
            let (Ok(after), Some(sent)) = (after, self.world.attempt_all(person, instructions)?) else {
                // Who has no legal move loses by the clock as well.
                concluded = false;
                self.world.ledger.advance_slots(before.game.clock_slots[side as usize] + 1)?;
                self.world.send(challenger, program.time_out(&address))?;
                continue;
            };
            match side {
                Side::Trainer => defendant_transactions += sent.transactions,
                Side::Challenger => challenger_transactions += sent.transactions,
            }
            path.push(DisputeLevel {
                by: if side == Side::Trainer { role } else { "challenger" }.into(),
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
        let verdict = verdict(outcome, last, &decided.game, role);
        let mut compute_units = 0;
        if !concluded {
            let conclusion = self.conclusion(charge)?;
            let sent = self.world.attempt_all(challenger, conclusion)?.context("the verdict was refused")?;
            challenger_transactions += sent.transactions;
            compute_units = sent.compute_units;
        }
        path.push(DisputeLevel { by: "program".into(), what: verdict.clone(), compute_units });
        // It is closed on chain with the verdict; what it came to stays in the run's folder.
        Archive::of(&self.store).keep(&address, bytemuck::bytes_of(&decided))?;
        let accused = self.world.people[defendant].name.clone();
        let accuser = self.world.people[challenger].name.clone();
        let convicted = outcome == Outcome::Convicted;
        if convicted {
            self.convicted(&accused, number)?;
        } else {
            let gain = format!("share of the bond that {accuser} lost");
            self.journal.book(&self.world, &gain, &format!("bond of a false accusation in round {number}"))?;
        }
        self.progress.line(&format!("{accused} is {}: {verdict}", if convicted { "convicted" } else { "acquitted" }));
        self.journal.summary.disputes.push(DisputeSummary {
            round: number,
            defendant: accused,
            challenger: accuser,
            outcome: if convicted { "convicted" } else { "acquitted" }.into(),
            verdict,
            compute_units: path.iter().map(|level| level.compute_units).sum(),
            path,
            defendant_transactions,
            challenger_transactions,
            subject: charge.subject().into(),
            address: address.to_string(),
        });
        Ok(convicted)
    }

    /// Notes a conviction in a round as people count them: who is out, and what everyone gained or lost by it.
    pub(crate) fn convicted(&mut self, name: &str, number: u32) -> Result<()> {
        self.journal.convicted.push(name.to_string());
        let when = if number == 0 { "before the first round".into() } else { format!("in round {number}") };
        self.journal.book_by(&self.world, &|person| {
            let loss = if person.name == name {
                format!("own bond, convicted {when}")
            } else {
                format!("stake delegated to {name}, convicted {when}")
            };
            [format!("bounty for convicting {name}"), loss]
        })
    }
}

/// A side whose evidence does not cover the question stays silent; a replay that fails is an error.
fn silence<E>(next: Result<Option<Move>, DisputeError<E>>) -> Result<Option<Move>>
where
    E: std::error::Error + Send + Sync + 'static,
{
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
fn verdict(outcome: Outcome, last: Phase, game: &Game, role: &str) -> String {
    let place = || format!("node {} ({}), element {}", game.node, node(game), game.element);
    match (outcome, last) {
        (Outcome::Convicted, Phase::PostValues) => {
            let terms = game.graph_node().map_or(0, |node| node.piece_terms(game.piece));
            let terms = count(terms, "term");
            format!("the program ran {terms} of {} and got another value than the {role} claims", place())
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
            format!("the {role}'s own claims contradict each other, or it fell silent")
        }
        (Outcome::Convicted, _) => format!("the {role}'s claim was refuted"),
        (Outcome::Acquitted, _) => "the challenger could not open a single false value, and lost its bond".into(),
        (Outcome::Open, _) => "undecided".into(),
    }
}
