//! A dispute under any moves: no panic, no end without an outcome, no second outcome, and always an end.
//!
//! All hashes of the Merkle trees are zero here, so that every opening opens: what holds here holds whatever the parties
//! committed to. BLAKE3 is the real one; where a move must fit it, the game's claim may be made to fit the move.
#![no_main]

use arbitrary::{Result, Unstructured};
use bytemuck::Zeroable;
use libfuzzer_sys::fuzz_target;
use sip_arith::{Native, Soft};
use sip_fuzz::{node_bytes, take};
use sip_ops::{Kind, Source};
use sip_proof::blake3::{ChunkOpening, chunk_count, chunk_value, path_len};
use sip_proof::{Hash, Sha256, merkle, sampler, settings_root, step_root};
use sip_protocol::{ground::case::CaseKind, court::{Game, MAX_BASES, MAX_PAYLOAD, MoveKind, Outcome, Phase, Side, StateInput, Turn}};

/// More moves than any game has.
const MOST_MOVES: u32 = 100;

/// Hashes everything to zero.
struct Zero;

impl Sha256 for Zero {
    fn hashv(_: &[&[u8]]) -> Hash {
        [0; 32]
    }
}

/// A game at its start, over a job that [`sip_protocol::training::job::JobSpec::check`] would let pass.
fn open(input: &mut Unstructured<'_>) -> Result<Game> {
    let mut game = Game::zeroed();
    let ground = &mut game.ground;
    ground.node_count = match input.int_in_range(0..=4u8)? {
        0 => input.int_in_range(1..=1 << 24)?,
        _ => input.int_in_range(1..=40)?,
    };
    ground.state_count =
        if input.ratio(1, 4)? { input.arbitrary::<u32>()?.max(1) } else { input.int_in_range(1..=20)? };
    ground.table_count = input.int_in_range(0..=3)?;
    ground.inner_steps =
        if input.ratio(1, 4)? { input.int_in_range(1..=1 << 20)? } else { input.int_in_range(1..=40)? };
    ground.steps_per_leaf = input.int_in_range(1..=ground.inner_steps.min(sip_proof::MAX_STEPS_PER_LEAF))?;
    ground.first_step = input.arbitrary()?;
    ground.trainer = input.int_in_range(0..=15)?;
    ground.batch_rows = input.int_in_range(1..=8)?;
    ground.row_tokens =
        if input.ratio(1, 4)? { input.arbitrary::<u32>()?.max(2) } else { input.int_in_range(2..=65)? };
    for count in &mut ground.token_counts {
        *count = if input.ratio(1, 8)? { input.arbitrary()? } else { input.int_in_range(0..=5_000)? };
    }
    for share in &mut ground.mixture_bps {
        *share = input.int_in_range(0..=10_000)?;
    }
    ground.case = *input.choose(CaseKind::ALL)? as u32;
    ground.carried = if input.ratio(3, 4)? { ground.state_count } else { 0 };
    ground.base_count = input.int_in_range(0..=MAX_BASES as u32)?;
    ground.base_entries = if input.ratio(1, 8)? { input.arbitrary()? } else { input.int_in_range(0..=20)? };
    game.leaf = input.int_in_range(0..=game.ground.leaf_count() - 1)?;
    game.open(input.int_in_range(0..=100)?, 0).expect("the ground is valid");
    Ok(game)
}

/// The move that the phase asks for, and a payload of the right form.
fn fitting(game: &mut Game, input: &mut Unstructured<'_>) -> Result<(MoveKind, Vec<u8>)> {
    let phase = game.phase().expect("a game has a phase");
    let path = |leaf_count: u32| vec![0u8; merkle::depth(leaf_count) as usize * 32];
    let pick = |input: &mut Unstructured<'_>| -> Result<Vec<u8>> {
        Ok(if input.ratio(1, 8)? { input.arbitrary::<u32>()? } else { input.int_in_range(0..=20)? }
            .to_le_bytes()
            .into())
    };
    Ok(match phase {
        Phase::RevealLeaves | Phase::RevealTrace | Phase::RevealState => {
            let mut children = vec![0; 32 << game.height.min(merkle::REVEAL_LEVELS)];
            if input.ratio(1, 4)? && !children.is_empty() {
                let at = input.int_in_range(0..=children.len() - 1)?;
                children[at] = input.arbitrary()?;
            }
            (MoveKind::Reveal, children)
        }
        Phase::OpenLeaf => {
            let before =
                if game.index > 0 { [vec![0; 96], path(game.ground.leaf_count())].concat() } else { Vec::new() };
            (MoveKind::OpenLeaf, [vec![0; 96], before].concat())
        }
        Phase::PostSteps => (MoveKind::PostSteps, vec![0; game.ground.leaf_steps(game.leaf).1 as usize * 64]),
        Phase::PostTrace => {
            let levels = merkle::depth(game.ground.node_count).min(merkle::REVEAL_LEVELS);
            (MoveKind::PostTrace, vec![0; 32 << levels])
        }
        Phase::PickTrace if input.ratio(1, 4)? => (MoveKind::DisputeState, Vec::new()),
        Phase::PickLeaf
        | Phase::PickStep
        | Phase::PickTrace
        | Phase::PickState
        | Phase::PickTensor
        | Phase::PickElement
        | Phase::PickPiece => (MoveKind::Pick, pick(input)?),
        Phase::OpenEntry => (MoveKind::OpenEntry, take::<32>(input).into()),
        Phase::ProveOutput => {
            let mut payload = pick(input)?;
            payload.extend(path(game.ground.state_count));
            payload.extend(take::<32>(input));
            payload.extend(path(game.ground.node_count));
            (MoveKind::ProveOutput, payload)
        }
        Phase::OpenNode => {
            let root = match input.int_in_range(0..=3u8)? {
                0 => step_root(game.ground.first_step.wrapping_add(game.step)),
                1 => take(input),
                2 => settings_root(&game.ground.settings),
                _ => game.batch_root,
            };
            let paths = path(game.ground.node_count);
            // The batch itself is the one node whose size the job fixes.
            let node = if input.ratio(1, 8)? { batch_node(game) } else { node_bytes(input)? };
            (MoveKind::OpenNode, [&root[..], &paths, &paths, &node].concat())
        }
        Phase::ProveInput => {
            let leaf_count = match game.graph_node().map(|node| node.source()) {
                Ok(Source::Table(_)) => game.ground.table_count,
                Ok(Source::State(number)) => match game.ground.input(number) {
                    Ok(StateInput::Base { .. }) => game.ground.base_entries,
                    _ => game.ground.carried,
                },
                _ => game.ground.state_count,
            };
            (MoveKind::ProveInput, [&take::<32>(input)[..], &path(leaf_count)].concat())
        }
        Phase::RevealTensor => {
            let place = game.subtree().expect("there is a node");
            let mut payload = vec![0; place.children().1 as usize * 32];
            input.fill_buffer(&mut payload)?;
            game.value = place.value_of(&payload).expect("the reveal fits its place");
            (MoveKind::Reveal, payload)
        }
        Phase::PostChunk => {
            let place = game.subtree().expect("there is a node");
            let len = (game.graph_node().expect("there is a node").len() << 2) - place.index as u64 * 1024;
            let mut payload = vec![0; len.min(1024) as usize];
            input.fill_buffer(&mut payload)?;
            game.value = chunk_value(&payload, place.index, place.is_top());
            (MoveKind::PostChunk, payload)
        }
        Phase::ProveToken => (MoveKind::ProveToken, token(game, input)?),
        Phase::PostPartials => {
            let pieces = game.graph_node().expect("there is a node").pieces();
            let mut payload = vec![0; (pieces as usize - 1) * 4];
            input.fill_buffer(&mut payload)?;
            (MoveKind::PostPartials, payload)
        }
        Phase::PostValues => {
            let node = game.graph_node().expect("there is a node");
            let mut payload = vec![0; node.piece_slots(game.piece) as usize * 4];
            input.fill_buffer(&mut payload)?;
            let value = |slot: u32| {
                let at = slot as usize * 4;
                payload.get(at..at + 4).map_or(0, |word| u32::from_le_bytes(word.try_into().expect("four bytes")))
            };
            let (element, piece, start) = (game.element as u64, game.piece, game.piece_start);
            let result = node.piece::<Soft>(element, piece, start, &value);
            assert_eq!(result, node.piece::<Native>(element, piece, start, &value));
            if input.ratio(3, 4)? {
                game.claim = result;
            }
            (MoveKind::PostValues, payload)
        }
        Phase::ProveOperand if input.ratio(1, 4)? => {
            (MoveKind::ProveBeyond, [path(game.ground.node_count), node_bytes(input)?].concat())
        }
        Phase::ProveOperand => (MoveKind::ProveOperand, operand(game, input)?),
        Phase::ShowLeaf => {
            let count = game.ground.leaf_steps(game.leaf).1;
            let batch = if count > 1 { [vec![0; 32], path(count)].concat() } else { Vec::new() };
            (MoveKind::ShowLeaf, [vec![0; 96], path(game.ground.leaf_count()), batch].concat())
        }
        Phase::Over => (MoveKind::Concede, Vec::new()),
    })
}

/// The node of the job's batch.
fn batch_node(game: &Game) -> Vec<u8> {
    let mut node = vec![Kind::Input as u8, 1, 2, 0, 0, 255, 255, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    node.extend(game.ground.batch_rows.to_le_bytes());
    node.extend(game.ground.row_tokens.to_le_bytes());
    node
}

/// The payload of a [`MoveKind::ProveToken`] that opens.
fn token(game: &mut Game, input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let ground = &mut game.ground;
    let (step, row) = (game.step, game.element / ground.row_tokens);
    let row = sampler::Row { round_seed: ground.round_seed, trainer: ground.trainer, step, row };
    let corpus = sampler::Corpus { mixture_bps: &ground.mixture_bps, token_counts: &ground.token_counts };
    let Some(window) = row.locate::<Zero>(&corpus, ground.row_tokens) else { return Ok(Vec::new()) };
    let position = window.offset + (game.element % ground.row_tokens) as u64;
    let domain = window.domain as usize;
    let len = ground.token_counts[domain].wrapping_mul(4);
    let Some(chunks) = chunk_count(len) else { return Ok(Vec::new()) };
    let index = (position / 256) as u32;
    let mut bytes = vec![0; len.saturating_sub(position / 256 * 1024).min(1024) as usize];
    input.fill_buffer(&mut bytes)?;
    let path = vec![0; path_len(chunks, index) as usize * 32];
    if let Some(root) = (ChunkOpening { chunks, index, bytes: &bytes, path: &path }).root() {
        ground.dataset_roots[domain] = root;
    }
    Ok([bytes, path].concat())
}

/// The payload of a [`MoveKind::ProveOperand`] that opens.
fn operand(game: &Game, input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let slot = if input.ratio(1, 8)? { input.arbitrary::<u32>()? } else { input.int_in_range(0..=511)? };
    let Ok(place) = game.operand_place(slot) else { return Ok(slot.to_le_bytes().into()) };
    let index = (place.address / 256).min(1 << 23) as u32;
    let chunks = index.saturating_add(input.int_in_range(0..=9u32)?);
    let mut bytes = vec![0; if input.ratio(1, 4)? { input.int_in_range(0..=1024)? } else { 1024 }];
    input.fill_buffer(&mut bytes)?;
    let path = vec![0; path_len(chunks, index) as usize * 32];
    let root = ChunkOpening { chunks, index, bytes: &bytes, path: &path }.root().unwrap_or_default();
    let mut payload = [slot, chunks, bytes.len() as u32].map(u32::to_le_bytes).concat();
    payload.extend(root);
    payload.extend(vec![0; merkle::depth(game.ground.node_count) as usize * 32]);
    payload.extend(bytes);
    payload.extend(path);
    Ok(payload)
}

/// What holds of every position.
fn check(before: &Game, after: &Game) {
    let (phase, outcome) = (after.phase().expect("a phase"), after.outcome().expect("an outcome"));
    assert_eq!(phase == Phase::Over, outcome != Outcome::Open, "{phase:?} with {outcome:?}");
    assert_eq!(after.on_move().is_err(), phase == Phase::Over);
    if before.phase == Phase::Over as u32 {
        assert_eq!(before, after, "a game that is over changed");
    }
    for side in 0..2 {
        assert!(after.clock_slots[side] <= before.clock_slots[side], "a clock gained time");
    }
    assert!(after.table().len() == after.pinned_len as usize);
}

fn play(input: &mut Unstructured<'_>) -> Result<()> {
    let mut game = open(input)?;
    check(&game, &game);
    let (mut slot, mut moves) = (0u64, 0);
    while !input.is_empty() {
        let mut next = game;
        let choice = input.int_in_range(0..=31u8)?;
        slot = slot.saturating_add(if choice == 31 { input.arbitrary::<u16>()? as u64 } else { 0 });
        if choice == 30 {
            let elapsed = slot - game.moved_slot;
            let side = game.on_move();
            if next.timeout(slot).is_ok() {
                let side = side.expect("only a game that is on times out");
                assert!(elapsed > game.clock_slots[side as usize], "a clock was still running");
                let loser = if next.outcome() == Ok(Outcome::Convicted) { Side::Trainer } else { Side::Challenger };
                assert_eq!(side, loser);
                check(&game, &next);
                game = next;
            }
            continue;
        }
        let (mut kind, mut payload) = fitting(&mut next, input)?;
        let mut side = kind_side(&game, kind);
        match choice {
            // Any move at any time.
            24 => kind = MoveKind::ALL[input.int_in_range(0..=MoveKind::ALL.len() - 1)?],
            25 => side = if side == Side::Trainer { Side::Challenger } else { Side::Trainer },
            26 if !payload.is_empty() => {
                let at = input.int_in_range(0..=payload.len() - 1)?;
                payload[at] = input.arbitrary()?;
            }
            27 => payload.truncate(input.int_in_range(0..=payload.len())?),
            28 => payload.extend(take::<32>(input)),
            29 => payload = input.bytes(input.len().min(MAX_PAYLOAD))?.to_vec(),
            _ => {}
        }
        payload.truncate(MAX_PAYLOAD);
        let before = next;
        let turn = Turn { side, kind, payload: &payload, slot };
        if next.play::<Zero, Soft>(&turn).is_ok() {
            assert_eq!(before.on_move(), Ok(side), "{kind:?} out of turn");
            check(&before, &next);
            moves += 1;
            assert!(moves <= MOST_MOVES, "the game has no end");
            game = next;
        }
    }
    Ok(())
}

/// Who is on move; anyone in a game that is over, where nobody may move.
fn kind_side(game: &Game, kind: MoveKind) -> Side {
    game.on_move().unwrap_or(if kind == MoveKind::Pick { Side::Challenger } else { Side::Trainer })
}

fuzz_target!(|bytes: &[u8]| {
    let _ = play(&mut Unstructured::new(bytes));
});
