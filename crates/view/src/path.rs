//! The path of a dispute: where in a segment, level by level, the two sides have come to.

use sip_arith::Native;
use sip_graph::show::kind_name;
use sip_ops::Kind;
use sip_proof::Hash;
use sip_proof::blake3::CHUNK_BYTES;
use sip_protocol::{
    court::{Dispute, Game, Outcome, Phase, Side},
    ground::case::CaseKind,
};

use sip_data::hex;
use sip_report::dispute::Level;

/// Elements of a chunk.
const CHUNK_ELEMENTS: u32 = CHUNK_BYTES as u32 / 4;

/// A hash, short enough to be read.
fn short(hash: &Hash) -> String {
    hex(&hash[..6]) + "…"
}

/// A 32-bit value: its bits, and what they are.
fn value(bits: u32, is_u32: bool) -> String {
    if is_u32 { format!("{bits} (0x{bits:08x})") } else { format!("{:e} (0x{bits:08x})", f32::from_bits(bits)) }
}

/// How far the game has come: phases are numbered in the order of the game; of a decided one, what is set tells.
fn has_passed(game: &Game, phase: Phase) -> bool {
    if game.phase != Phase::Over as u32 {
        return game.phase > phase as u32;
    }
    match phase {
        Phase::RevealLeaves | Phase::PickLeaf | Phase::OpenLeaf => game.start_root != [0; 32],
        Phase::PostSteps | Phase::PickStep | Phase::PostTrace => game.trace_root != [0; 32],
        Phase::OpenNode | Phase::PickTrace | Phase::RevealTrace => game.node_len > 0,
        _ => game.node_len > 0 && [game.claim, game.element, game.piece_start].iter().any(|part| *part != 0),
    }
}

/// All levels that are decided, from the claim down.
pub fn path(dispute: &Dispute) -> Vec<Level> {
    let game = &dispute.game;
    let ground = &game.ground;
    let becomes = || format!("state {} becomes {}", short(&ground.start_root), short(&ground.end_root));
    let steps = || format!("{} steps in {} leaves", ground.inner_steps, ground.leaf_count());
    let mut levels = match ground.case() {
        Ok(CaseKind::Score) => {
            let base = ground.bases.first().map(short).unwrap_or_default();
            vec![Level::new("scoring run", format!("of the base {base}: {}", steps())).claims(becomes())]
        }
        Ok(CaseKind::Aggregate) => {
            let what = format!("the mean of {} states, one step", ground.base_count);
            vec![Level::new("vote", what).claims(format!("state {}", short(&ground.end_root)))]
        }
        Ok(CaseKind::Genesis) => {
            let what = "what the graph that makes it gives, one step".into();
            vec![Level::new("genesis state", what).claims(format!("state {}", short(&ground.end_root)))]
        }
        Ok(CaseKind::Attestation) => {
            let place = u32::from(dispute.place) + 1;
            let what = format!("of auditor {place}, of a segment of {}", steps());
            vec![Level::new("attestation", what).claims(format!("trace {}", short(&game.trace_root)))]
        }
        Ok(CaseKind::Segment) | Err(_) => vec![Level::new("segment", steps()).claims(becomes())],
        #[allow(unreachable_patterns, reason = "cases of later versions")]
        Ok(other) => vec![Level::new("claim", format!("{other:?}, {}", steps())).claims(becomes())],
    };
    let is_known = match ground.case() {
        // One step, and no leaves to choose from.
        Ok(CaseKind::Aggregate | CaseKind::Genesis) => true,
        Ok(CaseKind::Attestation) => attested_step(game, &mut levels),
        _ => leaf_and_step(game, &mut levels),
    };
    if !is_known {
        return levels;
    }
    if game.phase >= Phase::RevealState as u32 && game.phase <= Phase::ProveOutput as u32 {
        if game.phase == Phase::ProveOutput as u32 {
            let entry = Level::new("state entry", game.node.saturating_add(1).to_string());
            levels.push(
                entry.at(game.node.into(), ground.state_count.into()).claims(format!("root {}", short(&game.value))),
            );
        }
        return levels;
    }
    if has_passed(game, Phase::OpenNode) {
        within_node(dispute, &mut levels);
    }
    levels
}

/// The levels of leaf and step; whether both are picked.
fn leaf_and_step(game: &Game, levels: &mut Vec<Level>) -> bool {
    let ground = &game.ground;
    if !has_passed(game, Phase::OpenLeaf) {
        return false;
    }
    let (_, count) = ground.leaf_steps(game.leaf);
    levels.push(leaf(game));
    if count > 1 && !has_passed(game, Phase::PickStep) {
        return false;
    }
    levels.push(step(game).claims(format!("state {} becomes {}", short(&game.start_root), short(&game.end_root))));
    true
}

/// The levels of the leaf that a draw picked to attest, and of its first step, whose trace is attested; whether the leaf was shown.
fn attested_step(game: &Game, levels: &mut Vec<Level>) -> bool {
    levels.push(leaf(game));
    let first = game.ground.leaf_steps(game.leaf).0;
    let step = Level::new("step", format!("{}, whose trace is attested", first.saturating_add(1)));
    let step =
        step.at(0, game.ground.leaf_steps(game.leaf).1.into()).claims(format!("trace {}", short(&game.trace_root)));
    levels.push(step);
    game.phase != Phase::ShowLeaf as u32
}

fn leaf(game: &Game) -> Level {
    let (first, count) = game.ground.leaf_steps(game.leaf);
    let last = first.saturating_add(count);
    let what = format!("{}: steps {} to {last}", game.leaf.saturating_add(1), first.saturating_add(1));
    Level::new("leaf", what).at(game.leaf.into(), game.ground.leaf_count().into())
}

fn step(game: &Game) -> Level {
    let (first, count) = game.ground.leaf_steps(game.leaf);
    Level::new("step", game.step.saturating_add(1).to_string()).at(game.step.saturating_sub(first).into(), count.into())
}

/// The levels below the step: node, chunk, element, piece.
fn within_node(dispute: &Dispute, levels: &mut Vec<Level>) {
    let game = &dispute.game;
    let Ok(node) = game.graph_node() else { return };
    let shape: Vec<u32> = (0..node.out_labels()).map(|label| node.size(label)).collect();
    levels.push(
        Level::new("node", format!("{}: {} of shape {shape:?}", game.node, kind_name(node.kind())))
            .at(game.node.into(), game.ground.node_count.into())
            .claims(format!("output {}", short(&game.output_root))),
    );
    let has_element = has_passed(game, Phase::PickElement);
    let is_chunk = game.phase == Phase::PostChunk as u32 || game.phase == Phase::PickElement as u32;
    if !has_element && !is_chunk {
        return;
    }
    let index = if has_element { game.element / CHUNK_ELEMENTS } else { game.index };
    let chunks = node.len().div_ceil(CHUNK_ELEMENTS.into());
    let begin = u64::from(index) * u64::from(CHUNK_ELEMENTS);
    let end = (begin + u64::from(CHUNK_ELEMENTS)).min(node.len());
    levels.push(
        Level::new("chunk", format!("{index}: elements {begin} to {}", end.saturating_sub(1))).at(index.into(), chunks),
    );
    if !has_element {
        return;
    }
    let mut rest = u64::from(game.element);
    let mut coordinates: Vec<u64> = Vec::new();
    for size in shape.iter().rev() {
        coordinates.insert(0, rest % u64::from((*size).max(1)));
        rest /= u64::from((*size).max(1));
    }
    let element = Level::new("element", format!("{} at {coordinates:?}", game.element));
    let within = u64::from(game.element).saturating_sub(begin);
    let element = element.at(within, end.saturating_sub(begin).max(1));
    let pieces = node.pieces();
    // Once a piece is picked, the claim is what the chain has after it.
    let is_last = game.piece + 1 >= pieces;
    levels.push(if is_last { element.claims(value(game.claim, node.is_u32())) } else { element });
    if node.kind() == Kind::Input || !has_passed(game, Phase::PickPiece) && pieces > 1 {
        return;
    }
    let terms = node.piece_terms(game.piece);
    let start = value(game.piece_start, node.is_u32());
    let mut piece = Level::new("piece", format!("{} of {terms} terms, from {start}", game.piece + 1));
    piece = piece.at(game.piece.into(), pieces.into()).claims(value(game.claim, node.is_u32()));
    if let Some(values) = posted(dispute) {
        let read = |slot: u32| values.get(slot as usize).copied().unwrap_or(0);
        let found = node.piece::<Native>(game.element.into(), game.piece, game.piece_start, &read);
        piece.recomputed = Some(value(found, node.is_u32()));
    }
    levels.push(piece);
}

/// The operand values that the accused side posted for the piece, if it has: on the table, or where they convicted it, in the buffer.
fn posted(dispute: &Dispute) -> Option<Vec<u32>> {
    let game = &dispute.game;
    let node = game.graph_node().ok()?;
    let len = node.piece_slots(game.piece) as usize * 4;
    let table = game.table();
    let bytes = if game.phase == Phase::ProveOperand as u32 {
        table
    } else if game.phase == Phase::Over as u32 && game.outcome == Outcome::Convicted as u32 {
        dispute.buffer.get(..len)?
    } else {
        return None;
    };
    if bytes.len() != len {
        return None;
    }
    Some(bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
}

/// What the game waits for, in words, and whose move that is.
pub(crate) fn awaits(game: &Game) -> (Option<Side>, String) {
    let Ok(phase) = game.phase() else { return (None, "a phase that this version does not know".into()) };
    let what = match phase {
        Phase::ShowLeaf => "opens the leaf that was attested",
        Phase::RevealLeaves => "reveals nodes of the segment's tree",
        Phase::PickLeaf => "picks the first node of the segment's tree that is false",
        Phase::OpenLeaf => "opens the leaf",
        Phase::PostSteps => "posts batch and end state of each step of the leaf",
        Phase::PickStep => "picks the first false step",
        Phase::PostTrace => "posts the top of the step's trace",
        Phase::PickTrace => "picks the first false node of the trace's tree",
        Phase::RevealTrace => "reveals nodes of the trace's tree",
        Phase::RevealState => "reveals nodes of the state after the step",
        Phase::PickState => "picks the first false node of the state's tree",
        Phase::OpenEntry => "opens the entry of the state",
        Phase::ProveOutput => "opens the output that the entry should be",
        Phase::OpenNode => "opens the graph's node and the root of its output",
        Phase::ProveInput => "opens the state or table that the input should be",
        Phase::RevealTensor => "reveals subtrees of the output",
        Phase::PickTensor => "picks a false subtree",
        Phase::PostChunk => "posts a chunk of the output",
        Phase::PickElement => "picks a false element",
        Phase::ProveToken => "opens the token that the batch should hold",
        Phase::PostPartials => "posts the accumulator after each piece of the element's chain",
        Phase::PickPiece => "picks the first false piece",
        Phase::PostValues => "posts the piece's operand values",
        Phase::ProveOperand => "opens an operand value that is false",
        Phase::Over => {
            let convicted = game.outcome == Outcome::Convicted as u32;
            return (None, if convicted { "convicted" } else { "acquitted" }.into());
        }
        #[allow(unreachable_patterns, reason = "phases of later versions")]
        other => return (Some(other.on_move()), format!("plays a move of phase {other:?}")),
    };
    (Some(phase.on_move()), what.into())
}
