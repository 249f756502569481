//! Whole steps with their traces, and what becomes of them: leaves, claims, attestations, accusations.

use super::{Random, hex, small};
use serde_json::{Map, Value, json};
use sip_arith::Native;
use sip_graph::{Buffer, Graph};
use sip_kernels::{Simd, Threads};
use sip_manifest::{example, value::Part};
use sip_model::{held_out_graph, init};
use sip_node::{SegmentTask, State, Task, Worker, scoring};
use sip_ops::{Kind, Node, Source, evaluate};
use sip_proof::sampler::HeldOut;
use sip_proof::{Hash, HostSha256, Leaf, merkle, tensor_root};
use sip_protocol::court::accusation;
use sip_protocol::training::attestation::{Shown, attested_leaf};
use sip_protocol::training::evaluation;
use sip_protocol::training::job::JobSpec;
use sip_protocol::training::segment::SegmentClaim;
use solana_address::Address;
use std::sync::Arc;

/// What a step reads.
struct Given {
    state: Vec<Vec<u32>>,
    batch: Vec<u32>,
    step: u32,
    settings: [u32; 4],
    tables: Vec<Vec<u32>>,
}

fn words(words: &[u32]) -> String {
    hex(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>())
}

fn tensors<'a>(tensors: impl IntoIterator<Item = &'a [u32]>) -> Value {
    tensors.into_iter().map(words).collect()
}

/// The outputs of all nodes, by their definition.
fn outputs(graph: &Graph, given: &Given) -> Vec<Vec<u32>> {
    let mut outputs: Vec<Vec<u32>> = Vec::new();
    for spec in graph.nodes() {
        let output = match (spec.kind, spec.source) {
            (Kind::Input, Source::State(entry)) => given.state[entry as usize].clone(),
            (Kind::Input, Source::Batch) => given.batch.clone(),
            (Kind::Input, Source::Step) => vec![given.step],
            (Kind::Input, Source::Table(table)) => given.tables[table as usize].clone(),
            (Kind::Input, Source::Setting) => given.settings.to_vec(),
            _ => {
                let bytes = spec.encode();
                let node = Node::parse(&bytes).expect("a node");
                let operands: Vec<&[u32]> = spec.operands.iter().map(|o| &outputs[o.node as usize][..]).collect();
                evaluate::<Native>(&node, &operands).expect("addresses within their operands")
            }
        };
        outputs.push(output);
    }
    outputs
}

/// A step with its trace.
fn step(graph: &Graph, given: &Given) -> Value {
    let outputs = outputs(graph, given);
    let roots: Vec<Hash> = outputs.iter().map(|output| tensor_root(output)).collect();
    let end: Vec<&[u32]> = graph.state_outputs().iter().map(|&node| &outputs[node as usize][..]).collect();
    let results = graph.results().iter().map(|(name, node)| (name.clone(), words(&outputs[*node as usize]).into()));
    json!({
        "graph": hex(&graph.to_bytes()),
        "state": tensors(given.state.iter().map(Vec::as_slice)),
        "batch": words(&given.batch),
        "step": given.step,
        "settings": given.settings,
        "tables": tensors(given.tables.iter().map(Vec::as_slice)),
        "output_roots": roots.iter().map(|root| hex(root)).collect::<Vec<_>>(),
        "trace_root": hex(&merkle::MerkleTree::new(roots).root()),
        "end_state": tensors(end.iter().copied()),
        "end_root": hex(&merkle::MerkleTree::new(end.iter().map(|entry| tensor_root(entry))).root()),
        "results": results.collect::<Map<String, Value>>(),
    })
}

/// The example's model before its first step: weights that no two of which are alike, and moments of zero.
fn llama_state() -> Vec<Vec<u32>> {
    init(&example::model(), 7, &Arc::new(Threads::new(1)))
        .expect("a state")
        .iter()
        .map(|entry| entry.to_vec())
        .collect()
}

fn steps() -> Value {
    let small = Given {
        state: vec![small::embedding()],
        batch: vec![0, 1, 2, 5, 5, 3],
        step: 2,
        settings: [65_536, 0, 0, 0],
        tables: vec![small::rates().to_vec()],
    };
    let manifest = example::manifest(false);
    let llama = Given {
        state: llama_state(),
        batch: vec![1, 2, 3, 4, 5, 7, 0, 0, 6, 2],
        step: 1,
        settings: [0; 4],
        tables: manifest.elements().expect("tables").iter().map(|table| table.to_vec()).collect(),
    };
    let graph = manifest.graph(Part::Step).expect("a graph");
    let first = step(&graph, &llama);
    // A second step goes on from moments that are not zero.
    let outputs = outputs(&graph, &llama);
    let state = graph.state_outputs().iter().map(|&node| outputs[node as usize].clone()).collect();
    let second = Given { state, batch: vec![0, 7, 7, 1, 2, 3, 3, 4, 4, 4], step: 2, ..llama };
    json!([step(&small::step(), &small), first, step(&graph, &second)])
}

/// Segments from their round's seed to the claim.
fn segments(random: &mut Random) -> Value {
    let threads = Arc::new(Threads::new(1));
    let task = small::task();
    let base = Arc::new(State::new(vec![Buffer::from(small::embedding().as_slice())], &threads));
    let mut worker = Worker::new(task.clone(), Arc::clone(&threads), Simd::detect());
    let mut one = |place: u8| {
        let segment = small::segment(Arc::clone(&base), place, random.hash());
        let done = worker.train(&segment, None, &mut |_| true).expect("finite values");
        let end_root = done.end.root();
        let all: Vec<u32> = (0..done.leaves.len() as u32).collect();
        let audit = worker.audit(&segment, (&done.leaves, &end_root), &all, &mut |_| true).expect("finite values");
        assert_eq!(audit.divergence, None);
        let claim = SegmentClaim {
            start_root: base.root(),
            end_root,
            accumulator_root: done.accumulator_root(),
            leaf_count: all.len() as u32,
            place,
            ..bytemuck::Zeroable::zeroed()
        };
        json!({
            "graph": hex(&task.graph.to_bytes()),
            "tables": tensors(task.tables.iter().map(|table| &table[..])),
            "domains": tensors(task.domains.iter().map(|domain| domain.tokens())),
            "mixture_bps": [3_000, 7_000],
            "seed": hex(&segment.seed), "place": place, "first_step": segment.first_step, "settings": segment.settings,
            "batch": task.batch, "sequence_length": task.sequence_length,
            "inner_steps": task.inner_steps, "leaf_interval": task.leaf_interval,
            "state": tensors(base.entries().iter().map(|entry| &entry[..])),
            "leaves": done.leaves.iter().map(|leaf: &Leaf| hex(&leaf.preimage())).collect::<Vec<_>>(),
            "trace_roots": audit.trace_roots.iter().map(|root| hex(root)).collect::<Vec<_>>(),
            "end_state": tensors(done.end.entries().iter().map(|entry| &entry[..])),
            "claim": hex(bytemuck::bytes_of(&claim)),
        })
    };
    json!([one(0), one(5)])
}

/// Scoring runs of the example's model.
fn scoring_runs() -> Value {
    let threads = Arc::new(Threads::new(1));
    let manifest = example::manifest(false);
    let held_out = HeldOut { windows: 4, rows: 2 };
    let graph = Arc::new(held_out_graph(&example::model(), 2, 4, 2).expect("a graph"));
    let tokens = |factor: u32, len: u32| (0..len).map(|at| (at * at + factor * at) % 8).collect();
    let domains = [(3, 30), (2, 17)].map(|(factor, len)| Arc::new(sip_data::TokenBlob::new(tokens(factor, len))));
    let tables = manifest.elements().expect("tables");
    let task = Task::scoring_by(graph, held_out, 4, 3, tables, domains.to_vec()).expect("a task");
    let state = llama_state();
    let base = Arc::new(State::new(state.iter().map(|entry| Buffer::from(entry.as_slice())).collect(), &threads));
    let segment = SegmentTask::scoring(&base, &threads).expect("a segment");
    let mut worker = Worker::new(task.clone(), Arc::clone(&threads), Simd::detect());
    let run = worker.train(&segment, None, &mut |_| true).expect("finite values");
    let sums = scoring::sums(&run.end);
    let spec = JobSpec {
        score_windows: held_out.windows,
        score_rows: held_out.rows,
        score_leaf_interval: task.leaf_interval,
        sequence_length: task.sequence_length,
        domain_count: 2,
        ..JobSpec::default()
    };
    let claim = evaluation::claim::<HostSha256>(&spec, &sums, &run.accumulator_root(), 1);
    json!([{
        "graph": hex(&task.graph.to_bytes()),
        "tables": tensors(task.tables.iter().map(|table| &table[..])),
        "domains": tensors(task.domains.iter().map(|domain| domain.tokens())),
        "windows": held_out.windows, "rows": held_out.rows, "sequence_length": task.sequence_length,
        "leaf_interval": task.leaf_interval, "place": 1,
        "base": tensors(state.iter().map(Vec::as_slice)),
        "leaves": run.leaves.iter().map(|leaf: &Leaf| hex(&leaf.preimage())).collect::<Vec<_>>(),
        "sums": sums,
        "scores": evaluation::scores(&spec, &sums).expect("scores")[..2],
        "claim": hex(bytemuck::bytes_of(&claim)),
    }])
}

/// What an auditor commits of a trace, and which leaf it is of.
fn attestations(random: &mut Random) -> Value {
    let one = |_| {
        let [draw, accumulator_root, pool, segment, salt, trace_root]: [Hash; 6] =
            std::array::from_fn(|_| random.hash());
        let leaf_count = 1 + random.below(40);
        let shown = Shown { salt: &salt, trace_root: &trace_root };
        json!({
            "draw": hex(&draw), "accumulator_root": hex(&accumulator_root), "leaf_count": leaf_count,
            "leaf": attested_leaf::<HostSha256>(&draw, &accumulator_root, leaf_count),
            "pool": hex(&pool), "segment": hex(&segment), "salt": hex(&salt), "trace_root": hex(&trace_root),
            "commitment": hex(&shown.commitment::<HostSha256>(&pool, &segment)),
        })
    };
    (0..8).map(one).collect()
}

/// What is committed before it is an accusation.
fn accusations(random: &mut Random) -> Value {
    let one = |number: u8| {
        let [subject, challenger, salt]: [Hash; 3] = std::array::from_fn(|_| random.hash());
        let place = if number < 3 { accusation::NO_PLACE } else { number };
        let hash = accusation::hash::<HostSha256>(&subject, place, &challenger, &salt);
        json!({
            "subject": hex(&subject), "place": place, "challenger": hex(&challenger), "salt": hex(&salt), "hash": hex(&hash),
        })
    };
    (0..6).map(one).collect()
}

/// Addresses that the program derives: of an accusation, a round, a segment, a run, and of seeds of every length.
fn addresses(random: &mut Random) -> Value {
    let program = Address::new_from_array(*b"StakedIntelligenceProtocol000001");
    let [one, other]: [Hash; 2] = std::array::from_fn(|_| random.hash());
    let mut seeds: Vec<Vec<Vec<u8>>> = vec![
        vec![b"accusation".to_vec(), one.to_vec(), other.to_vec()],
        vec![b"round".to_vec(), one.to_vec(), 7_u32.to_le_bytes().to_vec()],
        vec![b"segment".to_vec(), one.to_vec(), other.to_vec()],
        vec![b"run".to_vec(), one.to_vec(), other.to_vec()],
    ];
    seeds.extend((0..20).map(|number| vec![random.hash()[..number].to_vec(), vec![number as u8]]));
    let one = |seeds: &Vec<Vec<u8>>| {
        let parts: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
        let (address, bump) = Address::find_program_address(&parts, &program);
        json!({
            "program": hex(program.as_array()), "seeds": seeds.iter().map(|seed| hex(seed)).collect::<Vec<_>>(),
            "address": hex(address.as_array()), "bump": bump,
        })
    };
    seeds.iter().map(one).collect()
}

pub(super) fn vectors() -> Map<String, Value> {
    let mut random = Random::new(1_117);
    let entries = [
        ("steps", steps()),
        ("segments", segments(&mut random)),
        ("scoring_runs", scoring_runs()),
        ("attestations", attestations(&mut random)),
        ("accusations", accusations(&mut random)),
        ("addresses", addresses(&mut random)),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
