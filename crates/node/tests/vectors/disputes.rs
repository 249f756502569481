//! Whole disputes, move by move.

use crate::hex;
use serde_json::{Map, Value, json};
use sip_arith::Soft;
use sip_node::dispute::synthetic::{Lie, Run, Scene, node};
use sip_node::dispute::{Challenger, Defender, Move};
use sip_proof::{HostSha256, Sha256};
use sip_protocol::dispute::{Game, Ground, MoveKind, Outcome, Side, Turn};
use std::sync::Arc;

const CLOCK_SLOTS: u64 = 1_000;

fn ground(ground: &Ground) -> Value {
    json!({
        "nodes_root": hex(&ground.nodes_root), "outputs_root": hex(&ground.outputs_root),
        "tables_root": hex(&ground.tables_root), "round_seed": hex(&ground.round_seed),
        "start_root": hex(&ground.start_root), "end_root": hex(&ground.end_root),
        "accumulator_root": hex(&ground.accumulator_root),
        "dataset_roots": ground.dataset_roots.iter().map(|root| hex(root)).collect::<Vec<_>>(),
        "token_counts": ground.token_counts, "mixture_bps": ground.mixture_bps,
        "node_count": ground.node_count, "state_count": ground.state_count, "table_count": ground.table_count,
        "inner_steps": ground.inner_steps, "leaf_interval": ground.steps_per_leaf, "first_step": ground.first_step,
        "place": ground.trainer, "rows": ground.batch_rows, "row_tokens": ground.row_tokens, "case": ground.case,
        "carried": ground.carried, "base_entries": ground.base_entries,
        "bases": ground.bases[..ground.base_count as usize].iter().map(|root| hex(root)).collect::<Vec<_>>(),
        "settings": ground.settings,
    })
}

/// Plays a dispute over a lie. Each move stands with its slot, whether the program takes it, and the hash over the position
/// after it; where a move may be spoilt, it is played so first.
fn dispute(inner_steps: u32, steps_per_leaf: u32, lie: Option<Lie>, mut change: impl FnMut(&Game, &mut Move)) -> Value {
    let scene = Scene::new(inner_steps, steps_per_leaf);
    let honest: Arc<Run> = Arc::new(scene.run(None));
    let claimed = Arc::new(scene.run(lie));
    let mut defender = Defender::new(scene.graph.clone(), claimed.clone());
    let mut challenger = Challenger::new(scene.graph.clone(), honest);
    let mut game: Game = bytemuck::Zeroable::zeroed();
    game.ground = claimed.ground();
    let mut slot = 5;
    game.open(CLOCK_SLOTS, slot).expect("a job");
    let mut moves = Vec::new();
    let mut record = |game: &mut Game, side: Side, next: &Move, slot: u64| {
        let before = *game;
        let turn = Turn { side, kind: next.kind, payload: &next.payload, slot };
        let is_taken = game.play::<HostSha256, Soft>(&turn).is_ok();
        if !is_taken {
            *game = before;
        }
        moves.push(json!({
            "side": side as u32, "kind": next.kind as u32, "slot": slot, "is_taken": is_taken, "payload": hex(&next.payload),
            "phase": game.phase, "position": hex(&HostSha256::hashv(&[bytemuck::bytes_of(game)])),
        }));
        is_taken
    };
    while game.outcome().expect("an outcome") == Outcome::Open {
        let side = game.on_move().expect("the game is on");
        let next = match side {
            Side::Trainer => defender.next(&game),
            Side::Challenger => challenger.next(&game),
        };
        let mut next = next.expect("evidence").expect("a move");
        slot += 3;
        let other = if side == Side::Trainer { Side::Challenger } else { Side::Trainer };
        if slot % 4 == 0 {
            // What is refused: out of turn, of another kind, too long, spoilt in one bit.
            assert!(!record(&mut game, other, &next, slot));
            let kind = if next.kind == MoveKind::PostTrace { MoveKind::OpenEntry } else { MoveKind::PostTrace };
            assert!(!record(&mut game, side, &Move { kind, ..next.clone() }, slot));
            assert!(!record(
                &mut game,
                side,
                &Move { payload: [&next.payload[..], &[0]].concat(), ..next.clone() },
                slot
            ));
            if matches!(next.kind, MoveKind::Reveal | MoveKind::OpenNode | MoveKind::PostChunk | MoveKind::ProveOperand)
            {
                let mut spoilt = next.clone();
                let at = spoilt.payload.len() / 2;
                spoilt.payload[at] ^= 16;
                assert!(!record(&mut game, side, &spoilt, slot));
            }
        }
        change(&game, &mut next);
        assert!(record(&mut game, side, &next, slot), "{:?}", next.kind);
    }
    json!({
        "ground": ground(&game.ground), "clock_slots": CLOCK_SLOTS, "slot": 5, "moves": moves, "outcome": game.outcome,
    })
}

pub(crate) fn vectors() -> Map<String, Value> {
    let contract = Lie::Output { step: 1, node: node::CONTRACTED, element: 300, bit: 12 };
    let gather = Lie::Output { step: 0, node: node::GATHERED, element: 300, bit: 22 };
    let input = Lie::Output { step: 0, node: node::WEIGHTS, element: 0, bit: 22 };
    let setting = Lie::Output { step: 0, node: node::SETTINGS, element: 0, bit: 15 };
    let games = [
        ("a bit of a contraction of three pieces", dispute(4, 3, Some(contract), |_, _| ())),
        (
            "a false operand value",
            dispute(1, 1, Some(gather), |game, next| {
                if next.kind == MoveKind::PostValues {
                    next.payload[4..].copy_from_slice(&game.claim.to_le_bytes());
                }
            }),
        ),
        ("a false input", dispute(1, 1, Some(input), |_, _| ())),
        ("another setting", dispute(1, 1, Some(setting), |_, _| ())),
        ("a wrong batch", dispute(17, 1, Some(Lie::Batch { step: 16 }), |_, _| ())),
        ("a lazy copy", dispute(2, 2, Some(Lie::LazyCopy { step: 0 }), |_, _| ())),
        ("nothing false", dispute(2, 1, None, |_, _| ())),
    ];
    let with_name = |(name, mut game): (&str, Value)| {
        game["name"] = name.into();
        game
    };
    let mut file = Map::new();
    file.insert("disputes".into(), games.map(with_name).to_vec().into());
    file
}
