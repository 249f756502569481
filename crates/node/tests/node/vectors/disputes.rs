//! Whole disputes over segments, move by move.

use super::transcript::Transcript;
use serde_json::{Map, Value};
use sip_node::dispute::{Challenger, Defender, Move};
use sip_protocol::court::{Game, MoveKind, Outcome};
use sip_testing::synthetic::{Lie, Run, Scene, node};

/// A dispute over a lie.
fn dispute(
    (inner_steps, steps_per_leaf): (u32, u32),
    lie: Option<Lie>,
    name: &str,
    change: impl FnMut(&Game, &mut Move),
) -> Value {
    let scene = Scene::new(inner_steps, steps_per_leaf);
    let honest: Run = scene.run(None);
    let claimed = scene.run(lie);
    let defender = Defender::new(scene.graph.clone(), claimed.clone());
    let challenger = Challenger::new(scene.graph.clone(), honest);
    let expected = if lie.is_some() { Outcome::Convicted } else { Outcome::Acquitted };
    Transcript::open(claimed.ground(), None).play(defender, challenger, 4, change).end(name, expected)
}

pub(crate) fn vectors() -> Map<String, Value> {
    let contract = Lie::Output { step: 1, node: node::CONTRACTED, element: 300, bit: 12 };
    let gather = Lie::Output { step: 0, node: node::GATHERED, element: 300, bit: 22 };
    let input = Lie::Output { step: 0, node: node::WEIGHTS, element: 0, bit: 22 };
    let setting = Lie::Output { step: 0, node: node::SETTINGS, element: 0, bit: 15 };
    let games = [
        dispute((4, 3), Some(contract), "a bit of a contraction of three pieces", |_, _| ()),
        dispute((1, 1), Some(gather), "a false operand value", |game, next| {
            if next.kind == MoveKind::PostValues {
                next.payload[4..].copy_from_slice(&game.claim.to_le_bytes());
            }
        }),
        dispute((1, 1), Some(input), "a false input", |_, _| ()),
        dispute((1, 1), Some(setting), "another setting", |_, _| ()),
        dispute((17, 1), Some(Lie::Batch { step: 16 }), "a wrong batch", |_, _| ()),
        dispute((2, 2), Some(Lie::LazyCopy { step: 0 }), "a lazy copy", |_, _| ()),
        dispute((2, 1), None, "nothing false", |_, _| ()),
    ];
    let mut file = Map::new();
    file.insert("disputes".into(), games.to_vec().into());
    file
}
