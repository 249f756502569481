//! Games of both brains against each other, on a segment with every operator.

use sip_arith::Soft;
use sip_node::dispute::{Challenger, Defender, Evidence, Move};
use sip_proof::HostSha256;
use sip_protocol::Error;
use sip_protocol::court::{Game, MoveKind, Outcome, Phase, Side, Turn};
use sip_testing::synthetic::{Flaw, Lie, Run, Scene, node};

/// A game that has begun.
fn open(run: &Run) -> Game {
    let mut game: Game = bytemuck::Zeroable::zeroed();
    game.ground = run.ground();
    game.open(1000, 5).unwrap();
    game
}

fn play(game: &mut Game, side: Side, next: &Move) -> Result<(), Error> {
    let before = *game;
    let turn = Turn { side, kind: next.kind, payload: &next.payload, slot: game.moved_slot + 1 };
    game.play::<HostSha256, Soft>(&turn).inspect_err(|_| *game = before)
}

/// A segment with true leaves whose end on chain is another than the last leaf's: nothing differs, but for the end.
#[test]
fn a_false_end_behind_true_leaves_convicts() {
    for (inner_steps, steps_per_leaf) in [(2, 1), (5, 2), (40, 2)] {
        let run = honest(inner_steps, steps_per_leaf);
        let graph = run.graph();
        let mut defender = Defender::new(graph.clone(), run.clone());
        let mut challenger = Challenger::new(graph, run.clone());
        let mut game: Game = bytemuck::Zeroable::zeroed();
        game.ground = run.ground();
        game.ground.end_root = [7; 32];
        game.open(1000, 5).unwrap();
        while game.outcome().unwrap() == Outcome::Open {
            let side = game.on_move().unwrap();
            let next = match side {
                Side::Trainer => defender.next(&game).unwrap().unwrap(),
                Side::Challenger => challenger.next(&game).unwrap().unwrap(),
            };
            assert_ne!(next.kind, MoveKind::Concede);
            if play(&mut game, side, &next).is_err() {
                assert_eq!(side, Side::Trainer);
                game.timeout(game.moved_slot + 2000).unwrap();
            }
        }
        assert_eq!(game.outcome().unwrap(), Outcome::Convicted);
    }
}

/// Plays to the end; `tamper` may change what a side plays. A side whose move is refused falls silent. Returns the
/// outcome and the moves.
fn fight(claimed: &Run, honest: &Run, mut tamper: impl FnMut(&Game, &mut Move)) -> (Outcome, Vec<MoveKind>) {
    let scene_graph = honest.graph();
    let mut defender = Defender::new(scene_graph.clone(), claimed.clone());
    let mut challenger = Challenger::new(scene_graph, honest.clone());
    let mut game = open(claimed);
    let mut moves = Vec::new();
    while game.outcome().unwrap() == Outcome::Open {
        let side = game.on_move().unwrap();
        let next = match side {
            Side::Trainer => defender.next(&game).unwrap(),
            Side::Challenger => challenger.next(&game).unwrap(),
        };
        let mut next = next.unwrap();
        tamper(&game, &mut next);
        if let Err(_refused) = play(&mut game, side, &next) {
            game.timeout(game.moved_slot + 2000).unwrap();
        }
        moves.push(next.kind);
        assert!(moves.len() < 60, "the game does not end");
    }
    (game.outcome().unwrap(), moves)
}

/// A trainer that goes on where the computation stops, with what the arithmetic gives.
#[test]
fn a_value_that_is_not_finite_convicts_in_segments_of_every_shape() {
    for (inner_steps, steps_per_leaf) in [(1, 1), (7, 3), (33, 1), (18, 16)] {
        let scene = Scene::new(inner_steps, steps_per_leaf).flawed(Flaw::Overflow);
        let honest = scene.run(None);
        let fault = honest.clone().fault().unwrap().unwrap();
        assert_eq!((fault.step, fault.node), (0, node::CONTRACTED));
        let (outcome, moves) = fight(&scene.run(Some(Lie::PastFault)), &honest, |_, _| ());
        assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Convicted, MoveKind::Pick), "{moves:?}");
    }
}

/// A lookup beyond the table has no value: whatever the trainer posts for it, the challenger shows that there is none.
#[test]
fn a_lookup_beyond_its_table_convicts() {
    let mut steps = Vec::new();
    for (inner_steps, steps_per_leaf, every) in [(1, 1, 3), (7, 3, 3), (7, 3, 41), (33, 1, 97), (18, 16, 97)] {
        let scene = Scene::new(inner_steps, steps_per_leaf).flawed(Flaw::UnknownTokens { every });
        let honest = scene.run(None);
        let fault = honest.clone().fault().unwrap().unwrap();
        assert_eq!(fault.node, node::GATHERED);
        steps.push(fault.step);
        let claimed = scene.run(Some(Lie::PastFault));
        let batch = claimed.clone().tensor(fault.step, node::BATCH).unwrap();
        let sample = fault.element / 600;
        let token = batch[(sample / 4 * 5 + sample % 4) as usize];
        // The token that is there, and another one that would do.
        for (token, last) in [(token, MoveKind::ProveBeyond), (token - 50, MoveKind::ProveOperand)] {
            let mut game = open(&claimed);
            let mut defender = Defender::new(scene.graph.clone(), claimed.clone());
            let mut challenger = Challenger::new(scene.graph.clone(), honest.clone());
            let mut moves = Vec::new();
            while game.outcome().unwrap() == Outcome::Open {
                let side = game.on_move().unwrap();
                let next = match side {
                    Side::Trainer if game.phase() == Ok(Phase::PostValues) => {
                        Move::new(MoveKind::PostValues, [token.to_le_bytes(), game.claim.to_le_bytes()].concat())
                    }
                    Side::Trainer => defender.next(&game).unwrap().unwrap(),
                    Side::Challenger => challenger.next(&game).unwrap().unwrap(),
                };
                play(&mut game, side, &next).unwrap();
                moves.push(next.kind);
            }
            assert_eq!((game.outcome(), *moves.last().unwrap()), (Ok(Outcome::Convicted), last), "{moves:?}");
        }
    }
    assert!(steps.iter().any(|step| *step > 1), "some segments stop on their way: {steps:?}");
}

/// An honest run of so many steps, so many of them in a leaf.
fn honest(inner_steps: u32, steps_per_leaf: u32) -> Run {
    Scene::new(inner_steps, steps_per_leaf).run(None)
}

/// Plays a lie to its conviction; returns the moves.
fn convicts(honest: &Run, lie: Lie) -> Vec<MoveKind> {
    let claimed = honest.scene().run(Some(lie));
    let (outcome, moves) = fight(&claimed, honest, |_, _| ());
    assert_eq!(outcome, Outcome::Convicted, "{lie:?} after {moves:?}");
    moves
}

#[test]
fn one_flipped_bit_in_any_operator_convicts() {
    let honest = honest(3, 1);
    for node in 0..=node::COPIED {
        for (step, bit) in [(0, 16), (2, 22)] {
            // An element that counts: of the table, one that a token of the batch reads.
            let token = honest.clone().tensor(step, node::BATCH).unwrap()[0];
            let element = if node == node::TABLE { token * 600 } else { 0 };
            // A number beyond the vocabulary would be no batch at all.
            let bit = if node == node::BATCH { 0 } else { bit };
            convicts(&honest, Lie::Output { step, node, element, bit });
            if matches!(node, node::UPDATED | node::COPIED | node::SCATTERED | node::MAX | node::CAUSAL) {
                convicts(&honest, Lie::IsolatedOutput { step, node, element, bit });
            }
        }
    }
}

#[test]
fn a_bit_deep_in_a_large_tensor_convicts() {
    let honest = honest(2, 1);
    for node in [node::WEIGHTS, node::GATHERED, node::UPDATED] {
        for element in [255, 256, 4096, 7199] {
            let moves = convicts(&honest, Lie::Output { step: 1, node, element, bit: 19 });
            assert!(moves.len() < 30);
        }
    }
    // The last chunk of a ragged tree: 24 000 elements are 93 chunks and three quarters of one.
    let moves = convicts(&honest, Lie::Output { step: 0, node: node::UPDATED, element: 23_999, bit: 31 });
    assert_eq!(*moves.last().unwrap(), MoveKind::PostValues);
}

#[test]
fn segments_of_every_shape_convict() {
    for (inner_steps, steps_per_leaf) in [(1, 1), (2, 2), (3, 16), (17, 1), (18, 16)] {
        let honest = honest(inner_steps, steps_per_leaf);
        let step = inner_steps - 1;
        convicts(&honest, Lie::Output { step, node: node::SUM, element: 1, bit: 7 });
        convicts(&honest, Lie::Batch { step });
        convicts(&honest, Lie::LazyCopy { step: 0 });
    }
}

#[test]
fn a_wrong_batch_convicts_by_a_token() {
    let moves = convicts(&honest(7, 3), Lie::Batch { step: 4 });
    assert_eq!(*moves.last().unwrap(), MoveKind::ProveToken);
}

#[test]
fn a_batch_that_was_committed_but_not_used_convicts() {
    let moves = convicts(&honest(7, 3), Lie::CommittedBatch { step: 4 });
    assert_eq!(*moves.last().unwrap(), MoveKind::OpenNode);
}

#[test]
fn a_lazy_copy_convicts_by_a_state_entry() {
    let moves = convicts(&honest(7, 3), Lie::LazyCopy { step: 0 });
    assert_eq!(*moves.last().unwrap(), MoveKind::ProveOutput);
}

#[test]
fn every_false_state_entry_convicts() {
    let honest = honest(3, 3);
    for entry in 0..5 {
        let moves = convicts(&honest, Lie::Entry { step: 2, entry });
        assert_eq!(*moves.last().unwrap(), MoveKind::ProveOutput);
    }
}

#[test]
fn a_jump_between_leaves_leaves_the_trainer_without_a_move() {
    let honest = honest(7, 3);
    let moves = convicts(&honest, Lie::Jump { step: 3 });
    assert_eq!(*moves.last().unwrap(), MoveKind::OpenLeaf);
    // Within a leaf a jump is a false input of the step.
    let moves = convicts(&honest, Lie::Jump { step: 4 });
    assert_eq!(*moves.last().unwrap(), MoveKind::ProveInput);
    // At the start of the segment it is not the round's base.
    let moves = convicts(&honest, Lie::Jump { step: 0 });
    assert_eq!(*moves.last().unwrap(), MoveKind::OpenLeaf);
}

#[test]
fn an_honest_segment_is_conceded_at_once() {
    let honest = Scene::new(7, 3).run(None);
    assert_eq!(fight(&honest, &honest, |_, _| ()), (Outcome::Acquitted, vec![MoveKind::Reveal, MoveKind::Concede]));
}

/// Changes operand values so that the chain gives the false claim: possible where an operator copies.
#[test]
fn false_operand_values_convict_by_an_opening() {
    let scene = Scene::new(2, 2);
    let honest = scene.run(None);
    for node in [node::GATHERED, node::COPIED, node::MAX] {
        let lie = Lie::Output { step: 1, node, element: 7, bit: 23 };
        let claimed = scene.run(Some(lie));
        let (outcome, moves) = fight(&claimed, &honest, |game, next| {
            if next.kind != MoveKind::PostValues {
                return;
            }
            // Whatever gives the claim: the value itself, or its quadruple where a quarter is taken.
            let scaled = f32::from_bits(game.claim) * if node == node::COPIED { 4.0 } else { 1.0 };
            let slot = if node == node::GATHERED { 4 } else { 0 };
            next.payload[slot..slot + 4].copy_from_slice(&scaled.to_bits().to_le_bytes());
        });
        assert_eq!(outcome, Outcome::Convicted, "{node} {moves:?}");
        if node != node::MAX {
            assert_eq!(*moves.last().unwrap(), MoveKind::ProveOperand);
        }
    }
    // A false index of a gather.
    let lie = Lie::Output { step: 1, node: node::GATHERED, element: 7, bit: 23 };
    let (outcome, moves) = fight(&scene.run(Some(lie)), &honest, |game, next| {
        if next.kind == MoveKind::PostValues {
            next.payload[0] ^= 1;
            next.payload[4..8].copy_from_slice(&game.claim.to_le_bytes());
        }
    });
    assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Convicted, MoveKind::ProveOperand));
}

#[test]
fn a_false_partial_sum_convicts() {
    let scene = Scene::new(2, 2);
    let honest = scene.run(None);
    let lie = Lie::Output { step: 1, node: node::CONTRACTED, element: 41, bit: 9 };
    let claimed = scene.run(Some(lie));
    for piece in 0..2 {
        let (outcome, moves) = fight(&claimed, &honest, |_, next| {
            if next.kind == MoveKind::PostPartials {
                next.payload[piece * 4] ^= 1;
            }
        });
        assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Convicted, MoveKind::PostValues));
    }
}

#[test]
fn what_does_not_hash_to_its_commitment_is_refused() {
    let scene = Scene::new(10, 3);
    let honest = scene.run(None);
    let kinds = [
        MoveKind::Reveal,
        MoveKind::OpenLeaf,
        MoveKind::PostSteps,
        MoveKind::OpenNode,
        MoveKind::PostChunk,
        MoveKind::OpenEntry,
    ];
    for kind in kinds {
        let lie = if kind == MoveKind::OpenEntry {
            Lie::Entry { step: 7, entry: 1 }
        } else {
            Lie::Output { step: 7, node: node::UPDATED, element: 700, bit: 20 }
        };
        let claimed = scene.run(Some(lie));
        let (outcome, moves) = fight(&claimed, &honest, |_, next| {
            if next.kind == kind {
                // What a step between ends in is not committed, but its batch is.
                let place = if kind == MoveKind::PostSteps { 0 } else { next.payload.len() / 2 };
                next.payload[place] ^= 1;
            }
        });
        assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Convicted, kind));
    }
}

/// A challenger that knows nothing and picks at random.
#[test]
fn an_honest_trainer_is_acquitted_whatever_the_challenger_picks() {
    let scene = Scene::new(5, 2);
    let honest = scene.run(None);
    let mut random = 12345u32;
    let mut last_phases = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let mut game = open(&honest);
        let mut defender = Defender::new(honest.graph(), honest.clone());
        let mut challenger = Challenger::new(honest.graph(), honest.clone());
        while game.outcome().unwrap() == Outcome::Open {
            if game.on_move().unwrap() == Side::Trainer {
                let next = defender.next(&game).unwrap().unwrap();
                play(&mut game, Side::Trainer, &next).unwrap();
                continue;
            }
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let phase = game.phase().unwrap();
            last_phases.insert(phase);
            let proves =
                matches!(phase, Phase::ProveInput | Phase::ProveOutput | Phase::ProveToken | Phase::ProveOperand);
            if proves {
                // The truth proves nothing against a true claim.
                let truth = challenger.next(&game).unwrap().unwrap();
                if truth.kind != MoveKind::Concede {
                    assert_eq!(play(&mut game, Side::Challenger, &truth), Err(Error::NotContradicted));
                }
                game.timeout(game.moved_slot + 2000).unwrap();
                continue;
            }
            let whole_trace = phase == Phase::PickTrace && game.index == 0 && random >> 30 == 0;
            let next = if whole_trace {
                Move::new(MoveKind::DisputeState, vec![])
            } else {
                let item = match phase {
                    Phase::PickStep => 64,
                    Phase::PickElement | Phase::PickPiece => 4,
                    _ => 32,
                };
                Move::pick((random >> 8) % (game.table().len() as u32 / item))
            };
            if let Err(error) = play(&mut game, Side::Challenger, &next) {
                assert!(matches!(error, Error::NothingThere | Error::WrongMove), "{error:?}");
            }
        }
        assert_eq!(game.outcome().unwrap(), Outcome::Acquitted);
    }
    let proofs = [Phase::ProveInput, Phase::ProveOutput, Phase::ProveOperand, Phase::ProveToken];
    assert!(proofs.iter().all(|phase| last_phases.contains(phase)), "{last_phases:?}");
}

#[test]
fn true_operand_values_of_present_terms_prove_nothing_and_absent_ones_have_no_place() {
    let scene = Scene::new(1, 1);
    let honest = scene.run(None);
    let lie = Lie::Output { step: 0, node: node::CAUSAL, element: 3, bit: 4 };
    let claimed = scene.run(Some(lie));
    // The trainer posts nonsense for absent terms and the truth for the others: the chain decides.
    let (outcome, moves) = fight(&claimed, &honest, |_, next| {
        if next.kind == MoveKind::PostValues {
            next.payload[4 * 2 * 4..].fill(7);
        }
    });
    assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Convicted, MoveKind::PostValues));
}

#[test]
fn clocks_run_for_the_side_on_move_only() {
    let honest = Scene::new(7, 3).run(None);
    let mut defender = Defender::new(honest.graph(), honest.clone());
    let mut game = open(&honest);
    assert_eq!(game.timeout(1005), Err(Error::ClockRunning));
    let next = defender.next(&game).unwrap().unwrap();
    let late = Turn { side: Side::Trainer, kind: next.kind, payload: &next.payload, slot: 1006 };
    assert_eq!(game.clone().play::<HostSha256, Soft>(&late), Err(Error::ClockRunOut));
    let mut lost = game;
    lost.timeout(1006).unwrap();
    assert_eq!(lost.outcome().unwrap(), Outcome::Convicted);
    assert_eq!(lost.timeout(1007), Err(Error::DisputeOver));

    let wrong_side = Turn { side: Side::Challenger, slot: 105, ..late };
    assert_eq!(game.play::<HostSha256, Soft>(&wrong_side), Err(Error::NotOnMove));
    game.play::<HostSha256, Soft>(&Turn { slot: 105, ..late }).unwrap();
    assert_eq!(game.clock_slots, [900, 1000]);
    assert_eq!(game.timeout(1105), Err(Error::ClockRunning));
    game.timeout(1106).unwrap();
    assert_eq!(game.outcome().unwrap(), Outcome::Acquitted);
}

#[test]
fn every_move_out_of_its_phase_is_refused() {
    let scene = Scene::new(10, 3);
    let honest = scene.run(None);
    let lies = [
        Lie::Output { step: 7, node: node::CONTRACTED, element: 300, bit: 0 },
        Lie::Entry { step: 7, entry: 1 },
        Lie::Batch { step: 9 },
        Lie::Output { step: 7, node: node::WEIGHTS, element: 300, bit: 0 },
    ];
    for lie in lies {
        let claimed = scene.run(Some(lie));
        fight(&claimed, &honest, |game, next| {
            let side = game.on_move().unwrap();
            for &kind in MoveKind::ALL {
                if kind != next.kind && kind != MoveKind::Concede {
                    let mut copy = *game;
                    let wrong = Move::new(kind, next.payload.clone());
                    let right = kind == MoveKind::DisputeState || kind == MoveKind::Pick;
                    let refused = play(&mut copy, side, &wrong);
                    assert!(refused.is_err(), "{kind:?} in {:?}", game.phase());
                    assert!(right || refused == Err(Error::WrongMove), "{kind:?} {refused:?}");
                }
            }
            // And no payload of another length.
            let mut longer = next.clone();
            longer.payload.push(0);
            assert!(play(&mut game.clone(), side, &longer).is_err());
            if let Some(shorter) = next.payload.len().checked_sub(1) {
                longer.payload.truncate(shorter);
                assert!(play(&mut game.clone(), side, &longer).is_err());
            }
        });
    }
}
