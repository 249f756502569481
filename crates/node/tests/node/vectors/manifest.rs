//! Graphs, tables and whole manifests in canonical bytes, and bytes that are none.

use super::{Random, hex, small};
use serde_json::{Map, Value, json};
use sip_graph::{AdamW, Builder, Graph, Steered};
use sip_manifest::bytes::HEAD_BYTES;
use sip_manifest::example;
use sip_manifest::table::{Rotary, Rule, Table};
use sip_manifest::value::{Blob, Domain, Manifest, Part, Sizes};
use sip_model::{Outer, Schedule, Shape, UpdateCodec, aggregate_graph};
use sip_node::Task;
use sip_proof::AGGREGATE_COUNTS;
use std::collections::BTreeMap;

/// A graph that is one, with its parts and roots.
fn graph(graph: &Graph) -> Value {
    let roots = Task::commit(graph, &[]);
    json!({
        "bytes": hex(&graph.to_bytes()),
        "is_graph": true,
        "nodes": graph.nodes().iter().map(|node| hex(&node.encode())).collect::<Vec<_>>(),
        "outputs": graph.state_outputs(),
        "results": graph.results(),
        "nodes_root": hex(&roots.nodes_root),
        "outputs_root": hex(&roots.outputs_root),
    })
}

/// Bytes with a few changes, most of them small.
fn changed(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(2) {
        let at = random.below(bytes.len() as u32 / 4) as usize * 4;
        match random.below(3) {
            0 => bytes[at + random.below(4) as usize] ^= 1 << random.below(8),
            1 => bytes[at] = bytes[at].wrapping_add(1),
            _ => bytes[at] = bytes[at].wrapping_sub(1),
        }
    }
    bytes
}

fn graphs(random: &mut Random) -> Value {
    let small = small::step();
    let mut found = vec![graph(&small), graph(&aggregate_graph(&[vec![3], vec![2]], 3).expect("a graph"))];
    let bytes = small.to_bytes();
    let mut others = vec![Vec::new(), bytes[..bytes.len() - 1].to_vec(), [&bytes[..], &[0]].concat()];
    others.push([&(1_u32 << 14).wrapping_add(1).to_le_bytes()[..], &bytes[4..]].concat());
    others.extend((0..120).map(|_| changed(random, &bytes)));
    others.sort();
    others.dedup();
    found.extend(
        others.iter().map(|bytes| json!({ "bytes": hex(bytes), "is_graph": Graph::from_bytes(bytes).is_ok() })),
    );
    found.into()
}

fn rule(rule: &Rule) -> Value {
    match rule {
        Rule::Elements(_) => json!({ "rule": 0 }),
        Rule::Steps { schedule, beta1, beta2 } => {
            let (shape, decay) = match schedule.shape {
                Shape::Constant => (0, 0),
                Shape::Linear => (1, 0),
                Shape::Cosine => (2, 0),
                Shape::StableDecay { decay_steps } => (3, decay_steps),
            };
            json!({
                "rule": 1, "rows": schedule.total_steps, "warmup": schedule.warmup_steps,
                "peak": hex(&schedule.peak_rate.to_le_bytes()), "share": hex(&schedule.final_share.to_le_bytes()),
                "shape": shape, "decay": decay, "beta1": beta1.to_bits(), "beta2": beta2.to_bits(),
            })
        }
        Rule::Cosines(angles) | Rule::Sines(angles) => json!({
            "rule": if matches!(rule, Rule::Cosines(_)) { 2 } else { 3 },
            "pairs": angles.pairs, "positions": angles.positions, "theta": angles.theta.to_bits(),
        }),
    }
}

fn rules() -> Vec<Rule> {
    let shapes = [
        Shape::Constant,
        Shape::Linear,
        Shape::Cosine,
        Shape::StableDecay { decay_steps: 3 },
        Shape::StableDecay { decay_steps: 30 },
    ];
    let steps = |shape| Rule::Steps {
        schedule: Schedule { peak_rate: 2e-3, warmup_steps: 4, total_steps: 12, final_share: 0.1, shape },
        beta1: 0.9,
        beta2: 0.95,
    };
    let of_page = Rule::Steps {
        schedule: Schedule { peak_rate: 2e-3, warmup_steps: 1, total_steps: 3, final_share: 0.1, shape: Shape::Cosine },
        beta1: 0.9,
        beta2: 0.95,
    };
    let mut rules: Vec<Rule> = shapes.into_iter().map(steps).collect();
    rules.push(of_page);
    for (pairs, positions, theta) in [(1, 3, 10_000.0), (4, 9, 10_000.0), (3, 5, 500_000.0)] {
        let angles = Rotary { pairs, positions, theta };
        rules.extend([Rule::Cosines(angles), Rule::Sines(angles)]);
    }
    rules
}

fn tables() -> Value {
    let table = |of: &Rule| {
        let mut vector = rule(of);
        let table = Table::of(of.clone());
        let elements = of.elements();
        vector["elements"] = hex(&elements.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>()).into();
        vector["root"] = hex(&table.root).into();
        vector
    };
    rules().iter().map(table).collect()
}

/// A graph that reads nothing and gives the embedding.
fn genesis() -> Graph {
    let mut b = Builder::new();
    let [word, feature] = [small::VOCABULARY, small::FEATURES].map(|size| b.axis(size));
    let value = b.map(&[word, feature], [], |p, []| p.constant(0.5));
    b.finish(&[value], &[]).expect("a graph")
}

/// A manifest of the small job: scored by its own step, averaged whole or by a codec.
fn manifest(is_compressed: bool) -> Manifest {
    let lengths = [small::VOCABULARY * small::FEATURES];
    let codec = UpdateCodec { chunk: 8, keep: 4, outer: Outer::Nesterov { rate: 1.0, momentum: 0.4 } };
    let mut graphs =
        BTreeMap::from([(Part::Step, small::step()), (Part::Scoring, small::step()), (Part::Genesis, genesis())]);
    if is_compressed {
        graphs.insert(Part::Start, codec.start_graph(&lengths).expect("a graph"));
        graphs.insert(Part::Update, codec.update_graph(&lengths).expect("a graph"));
    }
    for count in 1..=AGGREGATE_COUNTS as usize {
        let graph = aggregate_graph(&[lengths.to_vec()], count).expect("a graph");
        graphs.insert(Part::Average(count as u8), graph);
    }
    let domain = |number: u8, name: &str, licence: &str| Domain {
        name: name.into(),
        licence: licence.into(),
        train_root: [number; 32],
        train_tokens: 1 << (number + 20),
        heldout_root: [number + 100; 32],
        heldout_tokens: u64::from(number),
    };
    let steered = Steered { learning_rate: Some(0), weight_decay: None };
    let tables = match is_compressed {
        true => rules().into_iter().map(Table::of).collect(),
        false => vec![Table::of(Rule::Elements(small::rates().to_vec()))],
    };
    Manifest {
        sizes: Sizes {
            batch: small::BATCH as u32,
            sequence_length: small::SEQUENCE as u32,
            inner_steps: 5,
            leaf_interval: 2,
            rounds: 9,
            score_windows: 6,
            score_rows: 2,
            score_leaf_interval: 4,
        },
        model: is_compressed.then(example::model),
        optimizer: is_compressed.then(|| AdamW { steered, ..AdamW::default() }),
        codec: is_compressed.then_some(codec),
        genesis_seed: 0x0123_4567_89AB_CDEF,
        genesis_root: [0xA1; 32],
        reset_root: if is_compressed { [0xA2; 32] } else { [0; 32] },
        tokenizer: Blob { root: [0xA3; 32], bytes: 31_415 },
        domains: vec![domain(1, "Märchen", "CC0-1.0"), domain(2, "", "")],
        tables,
        graphs: graphs.into_iter().map(|(part, graph)| (part, graph.to_bytes())).collect(),
    }
}

fn whole(manifest: &Manifest) -> Value {
    let bytes = manifest.to_bytes();
    let commits = manifest.commits().expect("graphs");
    json!({
        "bytes": hex(&bytes),
        "hash": hex(&manifest.hash()),
        "commits": {
            "nodes_root": hex(&commits.nodes_root), "node_count": commits.node_count,
            "outputs_root": hex(&commits.outputs_root), "state_count": commits.state_count,
            "tables_root": hex(&commits.tables_root), "table_count": commits.table_count,
            "score_nodes_root": hex(&commits.score_nodes_root), "score_node_count": commits.score_node_count,
            "score_outputs_root": hex(&commits.score_outputs_root),
            "init_nodes_root": hex(&commits.init_nodes_root), "init_node_count": commits.init_node_count,
            "init_outputs_root": hex(&commits.init_outputs_root),
            "aggregates_root": hex(&commits.aggregates_root),
            "update_graphs_root": hex(&commits.update_graphs_root), "update_entries": commits.update_entries,
            "reset_update_root": hex(&commits.reset_update_root), "base_entries": commits.base_entries,
            "genesis_root": hex(&commits.genesis_root), "batch": commits.batch,
            "sequence_length": commits.sequence_length, "inner_steps": commits.inner_steps,
            "leaf_interval": commits.leaf_interval, "rounds": commits.rounds, "score_windows": commits.score_windows,
            "score_rows": commits.score_rows, "score_leaf_interval": commits.score_leaf_interval,
            "domain_count": commits.domain_count,
        },
    })
}

/// Manifests with bytes written over them, and whether they still are some.
fn changes(random: &mut Random, manifests: &[Vec<u8>]) -> Value {
    let mut found = Vec::new();
    let mut change = |of: usize, at: usize, written: &[u8]| {
        let mut bytes = manifests[of].clone();
        bytes[at..at + written.len()].copy_from_slice(written);
        let is_manifest = Manifest::from_bytes(&bytes).is_ok();
        found.push(json!({ "of": of, "at": at, "written": hex(written), "is_manifest": is_manifest }));
    };
    for (of, bytes) in manifests.iter().enumerate() {
        // Every word of the head: none, one more, the most, and a NaN.
        for at in (16..HEAD_BYTES).step_by(4).filter(|at| !(64..160).contains(at)) {
            let word = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
            for other in [0, word.wrapping_add(1), u32::MAX, 0x7FC0_0000, 1 << 24, (1 << 24) + 1] {
                change(of, at, &other.to_le_bytes());
            }
        }
        for _ in 0..80 {
            let at = HEAD_BYTES + random.below(700) as usize;
            change(of, at, &[random.next() as u8]);
        }
        for _ in 0..40 {
            let at = random.below(bytes.len() as u32) as usize;
            change(of, at, &[bytes[at] ^ 1 << random.below(8)]);
        }
    }
    found.into()
}

pub(super) fn vectors() -> Map<String, Value> {
    let mut random = Random::new(1_116);
    let manifests = [false, true].map(manifest);
    let bytes = [manifests[0].to_bytes(), manifests[1].to_bytes()];
    let entries = [
        ("graphs", graphs(&mut random)),
        ("tables", tables()),
        ("manifests", manifests.iter().map(whole).collect()),
        ("changes", changes(&mut random, &bytes)),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
