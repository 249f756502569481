//! What a dispute over a segment of 1,000 steps of a model of 124 million weights takes. To see the tables of
//! `docs/spec/costs.md`:
//!
//!     cargo test --release -p sip-client --test histories dispute_costs:: -- --nocapture

use crate::sweep::lazy::{Dispute, Lie, Model, dispute};
use sip_graph::AdamW;
use sip_ledger::MAX_TRANSACTION_BYTES;
use sip_model::{LlamaConfig, TrainConfig, training_graph};
use sip_ops::{Instruction, Kind, NodeSpec, Opcode, Operand, Source, Type};
use sip_protocol::court::{MoveKind, Side};
use sip_testing::Random;
use std::collections::BTreeMap;

const INNER_STEPS: u32 = 1_000;
/// Hashing 1.5 GB of state takes this many steps for its cost to vanish.
const STEPS_PER_LEAF: u32 = 16;
const BATCH: usize = 4;
const SEQUENCE_LENGTH: usize = 256;

/// The graph of one step of the preset `large`.
fn large() -> Model {
    let config = LlamaConfig::preset("large").expect("a preset");
    let train =
        TrainConfig { batch: BATCH, seq_len: SEQUENCE_LENGTH, total_steps: 100_000, optimizer: AdamW::default() };
    let graph = training_graph(&config, &train).expect("a graph").graph;
    Model::new(graph.nodes().to_vec(), graph.state_outputs(), INNER_STEPS, STEPS_PER_LEAF)
}

/// Of each kind, the nodes with the largest output, the longest chain and the longest program.
fn hardest(nodes: &[NodeSpec]) -> Vec<(String, u32)> {
    let kinds = [
        ("contract", Kind::Contract),
        ("reduce add", Kind::ReduceAdd),
        ("reduce max", Kind::ReduceMax),
        ("map", Kind::Map),
        ("gather", Kind::Gather),
        ("scatter add", Kind::ScatterAdd),
    ];
    let mut found = BTreeMap::new();
    for (name, kind) in kinds {
        let of_kind = || (0..nodes.len()).filter(|&node| nodes[node].kind == kind && !nodes[node].operands.is_empty());
        let choices = [
            of_kind().max_by_key(|&node| nodes[node].len()),
            of_kind().max_by_key(|&node| nodes[node].terms()),
            of_kind().max_by_key(|&node| nodes[node].program.len()),
        ];
        for node in choices.into_iter().flatten() {
            found.insert(node, name);
        }
    }
    found.into_iter().map(|(node, name)| (name.to_string(), node as u32)).collect()
}

/// Compute units by kind of move: the least and the most of one move, over all its transactions.
type Units = BTreeMap<MoveKind, (u64, u64)>;

fn note(units: &mut Units, played: &Dispute) {
    for played in &played.moves {
        let (least, most) = units.entry(played.kind).or_insert((u64::MAX, 0));
        *least = (*least).min(played.compute_units);
        *most = (*most).max(played.compute_units);
    }
}

/// The numbers in each row of a table of `docs/spec/costs.md`, by its head.
fn told(head: &str) -> Vec<Vec<u64>> {
    let page = include_str!("../../../../docs/spec/costs.md");
    let (_, table) = page.split_once(head).expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let numbers = |row: &str| row.split('|').filter_map(|cell| cell.replace(' ', "").parse().ok()).collect();
    rows.map(numbers).collect()
}

/// Whether compute units that were measured are those of the page, to a hundredth or 25 units.
fn is_near(told: &[u64], measured: &[u64]) -> bool {
    told.len() == measured.len()
        && told.iter().zip(measured).all(|(told, measured)| told.abs_diff(*measured) <= (measured / 100).max(25))
}

fn normal(random: &mut Random) -> u32 {
    (random.next() as i32 as f32 / i32::MAX as f32).to_bits()
}

/// Subnormals, with a normal number now and then so that products are subnormal and sums cancel.
fn subnormal(random: &mut Random) -> u32 {
    let bits = random.next() as u32;
    if random.percent(30) { bits & 0x807F_FFFF | 0x3F00_0000 } else { bits & 0x807F_FFFF }
}

#[test]
fn a_dispute_over_124_million_weights_and_1000_steps() {
    let model = large();
    let mut stage = model.stage();
    let mut random = Random::new(1);
    let mut units = [Units::new(), Units::new()];
    let (mut bytes, mut most_bytes, mut roomy) = (0, 0, [0, 0]);
    let mut rows = Vec::new();
    println!(
        "{} nodes, {INNER_STEPS} steps, leaves of {STEPS_PER_LEAF}; all transactions, from the accusation to the closed account",
        model.nodes().len()
    );
    println!("| kind | node | elements | terms | instructions | trainer | challenger | final chain | opening |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for (name, node) in hardest(model.nodes()) {
        let spec = &model.nodes()[node as usize];
        for (which, value) in [normal as fn(&mut Random) -> u32, subnormal].into_iter().enumerate() {
            let mut values = Random::new(u64::from(node));
            let lie = Lie::new(&model, node, &mut random, &mut || value(&mut values));
            let played = dispute(&mut stage, &model, &lie);
            note(&mut units[which], &played);
            bytes = played.commitment_bytes;
            let of =
                |kind| played.moves.iter().find(|played| played.kind == kind).map_or(0, |played| played.compute_units);
            let sides = [Side::Trainer, Side::Challenger].map(|side| played.transactions(side));
            if which == 0 {
                let [elements, trainer, challenger] = [spec.len(), sides[0], sides[1]].map(|number| number as u64);
                rows.push((
                    [elements, spec.terms() as u64, spec.program.len() as u64, trainer, challenger],
                    [of(MoveKind::PostValues), of(MoveKind::ProveOperand)],
                ));
                println!(
                    "| {name} | {node} | {} | {} | {} | {} | {} | {} | {} |",
                    spec.len(),
                    spec.terms(),
                    spec.program.len(),
                    sides[0],
                    sides[1],
                    of(MoveKind::PostValues),
                    of(MoveKind::ProveOperand),
                );
            }
            assert!(sides[0] <= 24 && sides[1] <= 16, "{name}: {sides:?} transactions");
            assert!(played.most_bytes <= MAX_TRANSACTION_BYTES, "{name}: {} bytes", played.most_bytes);
            most_bytes = most_bytes.max(played.most_bytes);
            for (most, side) in roomy.iter_mut().zip([Side::Trainer, Side::Challenger]) {
                *most = played.transactions_of(side, 880).max(*most);
            }
            assert!(of(MoveKind::ProveOperand) <= 150_000, "{name}: the opening");
        }
    }
    for told in told("| kind | elements of the output | terms |") {
        let (what, units) = told.split_at(5);
        let is_so = rows.iter().any(|row| row.0 == what && is_near(units, &row.1));
        assert!(is_so, "docs/spec/costs.md says {told:?}, measured are {rows:?}");
    }
    println!("\n| move | compute units, least | most | most with subnormals |");
    println!("|---|---|---|---|");
    let moves = told("| move | compute units, least |");
    assert_eq!(moves.len(), units[0].len());
    for ((kind, (least, most)), told) in units[0].iter().zip(moves) {
        let hardest = units[1].get(kind).map_or(0, |units| units.1);
        let measured = [*least, *most, hardest];
        assert!(is_near(&told, &measured), "docs/spec/costs.md says {told:?} of {kind:?}, measured are {measured:?}");
        println!("| {kind:?} | {least} | {most} | {hardest} |");
        assert!(*most <= 150_000 && hardest <= 600_000, "{kind:?}");
    }
    assert!(units[0][&MoveKind::PostValues].1 <= 50_000, "the final chain");
    let per_step = bytes as f64 / f64::from(INNER_STEPS);
    println!("\nThe largest transaction of a dispute has {most_bytes} bytes");
    println!("With room for a fee payer and a priority fee: at most {} and {} transactions", roomy[0], roomy[1]);
    assert!(roomy[0] <= 24 && roomy[1] <= 16, "{roomy:?}");
    println!("A commitment is a transaction of {bytes} bytes: {per_step:.2} bytes per step");
    assert!(per_step <= 1.0);
}

/// Chains of the dearest operations on the dearest values: programs of 64 instructions, and 256 terms of subnormals.
#[test]
fn no_move_is_dear_whatever_the_graph_and_the_values() {
    let input = |source, len| NodeSpec {
        kind: Kind::Input,
        dtype: Type::F32,
        out_sizes: vec![len],
        reduce_sizes: vec![],
        operands: vec![],
        constraint: None,
        starts_from_operand: false,
        source,
        program: vec![],
    };
    let program = |opcode: Opcode, operands: u8| -> NodeSpec {
        // Each instruction takes operands only, so that none is spoilt by the one before.
        let instruction = |number: u8| Instruction {
            opcode: opcode as u8,
            a: number % operands,
            b: (number + 1) % operands,
            c: (number + 2) % operands,
            immediate: 0,
        };
        let one = Instruction { opcode: Opcode::ConstF as u8, a: 0, b: 0, c: 0, immediate: 0x3F80_0000 };
        NodeSpec {
            kind: Kind::Map,
            operands: vec![Operand { node: 0, offset: 0, index_stride: 0, strides: vec![1] }; operands.into()],
            // The last one gives something finite, whatever those before it gave.
            program: (0..63).map(instruction).chain([one]).collect(),
            ..input(Source::State(0), 1 << 20)
        }
    };
    let reduction = |kind, operands: usize, starts: bool| NodeSpec {
        kind,
        reduce_sizes: vec![1 << 10],
        operands: vec![Operand { node: 0, offset: 0, index_stride: 0, strides: vec![1, 0] }; operands],
        starts_from_operand: starts,
        ..input(Source::State(0), 1 << 20)
    };
    let opcodes =
        [Opcode::Add, Opcode::Mul, Opcode::Div, Opcode::Fma, Opcode::Sqrt, Opcode::Exp, Opcode::Log, Opcode::FromI];
    let mut cases: Vec<(String, NodeSpec)> =
        opcodes.into_iter().map(|opcode| (format!("63 times {opcode:?}"), program(opcode, 8))).collect();
    cases.push(("contract, 256 terms".into(), reduction(Kind::Contract, 3, true)));
    cases.push(("reduce add, 256 terms".into(), reduction(Kind::ReduceAdd, 1, false)));
    cases.push((
        "contract i8, 256 terms".into(),
        NodeSpec { dtype: Type::U32, ..reduction(Kind::ContractI8, 2, false) },
    ));
    let chains = told("| final chain | usual values |");
    assert_eq!(chains.len(), cases.len());
    println!("| final chain | compute units on usual values | on the dearest of 3 kinds of values |");
    println!("|---|---|---|");
    for (name, node) in cases {
        let model = Model::new(vec![input(Source::State(0), 1 << 20), node], &[1], 1, 1);
        let mut stage = model.stage();
        let kinds: [fn(&mut Random) -> u32; 3] = [normal, subnormal, |random| random.next() as u32 & 0x807F_FFFF];
        let costs = kinds.map(|value| {
            let mut values = Random::new(5);
            let lie = Lie::new(&model, 1, &mut Random::new(3), &mut || value(&mut values));
            let played = dispute(&mut stage, &model, &lie);
            let final_chain = played.moves.iter().find(|played| played.kind == MoveKind::PostValues);
            final_chain.expect("the final chain").compute_units
        });
        let most = costs.into_iter().max().unwrap_or(0);
        println!("| {name} | {} | {most} |", costs[0]);
        assert!(most <= 600_000, "{name} takes {most} compute units");
        let is_told = chains.iter().any(|told| is_near(told, &[costs[0], most]));
        assert!(is_told, "docs/spec/costs.md does not say {costs:?} of {name}");
    }
}
