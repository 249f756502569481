//! What is committed of a job, a segment and a round, and what follows from it.

use super::{Random, hex, operators};
use serde_json::{Map, Value, json};
use sip_graph::Buffer;
use sip_kernels::{Simd, Threads};
use sip_model::{LlamaConfig, init};
use sip_node::{State, aggregate};
use sip_proof::merkle::MerkleTree;
use sip_proof::sampler::{Corpus, Row};
use sip_proof::{GraphRoots, Hash, HostSha256, Leaf, Sha256, settings_root, step_root};
use sip_protocol::training::attestation;
use sip_protocol::training::closing::history;
use sip_protocol::training::evaluation;
use sip_protocol::training::finality::NO_ROUND;
use sip_protocol::training::job::JobSpec;
use sip_protocol::training::round::{AuditorSeat, Round};
use sip_protocol::training::second_draw;
use sip_protocol::training::segment::Segment;
use std::sync::Arc;

fn graphs(random: &mut Random) -> Value {
    let graph = |&(nodes, outputs, tables): &(u32, u32, u32)| {
        let nodes: Vec<Vec<u8>> = (0..nodes).map(|_| operators::any_node(random)).collect();
        let outputs: Vec<u32> = (0..outputs).map(|_| random.below(nodes.len() as u32)).collect();
        let table_roots: Vec<Hash> = (0..tables).map(|_| random.hash()).collect();
        let roots = GraphRoots::new(&nodes, &outputs, &table_roots);
        json!({
            "nodes": nodes.iter().map(|node| hex(node)).collect::<Vec<_>>(),
            "outputs": outputs,
            "tables": table_roots.iter().map(|root| hex(root)).collect::<Vec<_>>(),
            "nodes_root": hex(&roots.nodes_root),
            "outputs_root": hex(&roots.outputs_root),
            "tables_root": hex(&roots.tables_root),
            "root": hex(&roots.root::<HostSha256>()),
        })
    };
    [(1, 1, 0), (2, 1, 1), (3, 3, 2), (9, 5, 3)].iter().map(graph).collect()
}

fn segments(random: &mut Random) -> Value {
    let segment = |&(inner_steps, interval): &(u32, u32)| {
        let mut leaves: Vec<Leaf> = Vec::new();
        let mut rows = Vec::new();
        for first_step in (0..inner_steps).step_by(interval as usize) {
            let count = interval.min(inner_steps - first_step);
            let batches: Vec<Hash> = (0..count).map(|_| random.hash()).collect();
            let leaf = Leaf {
                first_step,
                count,
                start_root: leaves.last().map_or_else(|| random.hash(), |leaf| leaf.end_root),
                batches_root: Leaf::batches_root(&batches),
                end_root: random.hash(),
            };
            rows.push(json!({
                "start": hex(&leaf.start_root),
                "batches": batches.iter().map(|root| hex(root)).collect::<Vec<_>>(),
                "end": hex(&leaf.end_root),
                "preimage": hex(&leaf.preimage()),
            }));
            leaves.push(leaf);
        }
        let root = MerkleTree::new(leaves.iter().map(Leaf::preimage)).root();
        json!({ "inner_steps": inner_steps, "leaf_interval": interval, "leaves": rows, "accumulator_root": hex(&root) })
    };
    [(1, 1), (4, 1), (7, 3), (18, 16)].iter().map(segment).collect()
}

fn windows(random: &mut Random) -> Value {
    let mixtures: [[u16; 4]; 3] = [[10_000, 0, 0, 0], [5_000, 0, 3_000, 2_000], [1, 9_998, 0, 1]];
    let window = |_| {
        let mixture = mixtures[random.below(3) as usize];
        let row = Row {
            round_seed: random.hash(),
            trainer: random.below(16),
            step: random.next() as u32 >> random.below(32),
            row: random.below(64),
        };
        let window_tokens = 2 + random.below(2000);
        let counts: [u64; 4] =
            std::array::from_fn(|_| u64::from(window_tokens) + (random.next() >> (24 + random.below(40))));
        let corpus = Corpus { mixture_bps: &mixture, token_counts: &counts };
        let window = row.locate::<HostSha256>(&corpus, window_tokens).expect("the datasets are long enough");
        json!({
            "seed": hex(&row.round_seed), "place": row.trainer, "step": row.step, "row": row.row, "mixture_bps": mixture,
            "tokens": counts, "window_tokens": window_tokens, "domain": window.domain, "offset": window.offset,
        })
    };
    (0..120).map(window).collect()
}

fn draws(random: &mut Random) -> Value {
    let draw = |_| {
        let mut segment: Segment = bytemuck::Zeroable::zeroed();
        segment.claim.accumulator_root = random.hash();
        let mut seat: AuditorSeat = bytemuck::Zeroable::zeroed();
        (seat.preimage, seat.operator) = (random.hash(), [1; 32]);
        let (address, rate) = (random.hash(), (random.next() as u32) >> random.below(4));
        let tip = HostSha256::hashv(&[&seat.preimage]);
        json!({
            "draw": hex(&seat.preimage), "tip": hex(&tip), "segment": hex(&address),
            "accumulator_root": hex(&segment.claim.accumulator_root), "audit_rate": rate,
            "is_drawn": segment.is_drawn::<HostSha256>(&address, &seat, rate),
        })
    };
    (0..40).map(draw).collect()
}

/// Second draws, and the leaves that they are shown by.
fn second_draws(random: &mut Random) -> Value {
    let draw = |_| {
        let (mut round, mut segment): (Round, Segment) = (bytemuck::Zeroable::zeroed(), bytemuck::Zeroable::zeroed());
        let (second, address, place) = (random.hash(), random.hash(), random.below(16) as u8);
        let rate = (random.next() as u32) >> random.below(3);
        (segment.claim.place, segment.claim.accumulator_root) = (place, random.hash());
        (round.reveals, segment.attested) = (random.hash(), 0);
        let (auditor, leaf_count) = (random.below(16) as u8, 1 + random.below(20));
        // Some of the others attested by their first draw.
        let mut first = Vec::new();
        for (other, seat) in round.auditors.iter_mut().enumerate() {
            seat.preimage = random.hash();
            if other as u8 == auditor {
                seat.drawn_again = 1 << place;
            } else if random.below(3) == 0 {
                segment.attested |= 1 << other;
                first.push(hex(&seat.preimage));
            }
        }
        json!({
            "second_draw": hex(&second), "round": hex(&address), "place": place, "second_audit_rate": rate,
            "is_drawn": second_draw::selects::<HostSha256>(&second, &address, place, rate),
            "reveals": hex(&round.reveals), "accumulator_root": hex(&segment.claim.accumulator_root),
            "first_draws": first, "auditor": auditor, "leaf_count": leaf_count,
            "leaf": attestation::leaf::<HostSha256>(&round, &segment, auditor, leaf_count),
        })
    };
    (0..40).map(draw).collect()
}

fn seeds(random: &mut Random) -> Value {
    let seed = |&revealed: &usize| {
        let draws: [Hash; 16] = std::array::from_fn(|place| if place < revealed { random.hash() } else { [0; 32] });
        let parts: Vec<&[u8]> = draws.iter().map(|draw| &draw[..]).collect();
        let (seed, reveals) = (random.hash(), HostSha256::hashv(&parts));
        let mut round: Round = bytemuck::Zeroable::zeroed();
        (round.seed, round.reveals) = (seed, reveals);
        // Nobody captured the slots of the first.
        if revealed > 0 {
            round.seed_hashes = [1u8, 2].map(|slot| HostSha256::hashv(&[&seed, &[slot]]));
        }
        json!({
            "seed": hex(&seed), "draws": draws[..revealed].iter().map(|draw| hex(draw)).collect::<Vec<_>>(),
            "slot_hashes": round.seed_hashes.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
            "next_seed": hex(&round.following_seed::<HostSha256>()),
        })
    };
    [0, 1, 2, 16].iter().map(seed).collect()
}

/// Final rounds of a job in order: what a round that came to nothing would have been is not among them.
fn histories() -> Value {
    let random = &mut Random::new(13);
    let mut before = [0; 32];
    let mut last = |(index, parent): (u32, u32)| {
        let mut round: Round = bytemuck::Zeroable::zeroed();
        (round.index, round.parent) = (index, parent);
        [round.seed, round.base_root, round.reveals, round.next_base] = std::array::from_fn(|_| random.hash());
        round.mixture_bps = std::array::from_fn(|_| random.next() as u16);
        round.settings = std::array::from_fn(|_| random.next() as u32);
        round.scores = std::array::from_fn(|_| random.next() as u32);
        (round.committed, round.accepted) = (random.next() as u16, random.next() as u16);
        (round.quality, round.reward) = (random.next(), random.next());
        before = history::<HostSha256>(&before, &round);
        json!({
            "index": index, "parent": parent, "seed": hex(&round.seed), "base_root": hex(&round.base_root),
            "reveals": hex(&round.reveals), "next_base": hex(&round.next_base), "mixture_bps": round.mixture_bps,
            "settings": round.settings, "committed": round.committed, "accepted": round.accepted,
            "scores": round.scores, "quality": round.quality, "reward": round.reward, "after": hex(&before),
        })
    };
    let rounds: Vec<Value> = [(0, NO_ROUND), (1, 0), (3, 1)].into_iter().map(&mut last).collect();
    json!([{ "history": rounds }])
}

fn scores(random: &mut Random) -> Value {
    let score = |_| {
        let spec = JobSpec {
            sequence_length: 1 + random.below(2_048),
            score_windows: 4 * (1 + random.below(100)),
            score_rows: 4,
            score_leaf_interval: 1 + random.below(20),
            domain_count: 3,
            ..JobSpec::default()
        };
        let tokens = u64::from(spec.score_windows) * u64::from(spec.sequence_length);
        let sums: [u64; 8] = std::array::from_fn(|domain| match domain < 3 {
            true => tokens * u64::from(random.below(9_000_000)) + u64::from(random.below(1_000)),
            false => 0,
        });
        let [accumulator, salt, pool, round] = std::array::from_fn(|_| random.hash());
        let claim = evaluation::claim::<HostSha256>(&spec, &sums, &accumulator, 0);
        let commitment = evaluation::commitment::<HostSha256>(&claim, &salt, &pool, &round);
        json!({
            "sums": sums, "windows": spec.score_windows, "sequence_length": spec.sequence_length,
            "scores": evaluation::scores(&spec, &sums).expect("sums of a job"), "end_root": hex(&claim.end_root),
            "accumulator_root": hex(&accumulator), "leaf_count": claim.leaf_count, "salt": hex(&salt),
            "pool": hex(&pool), "round": hex(&round), "commitment": hex(&commitment),
        })
    };
    (0..4).map(score).collect()
}

fn genesis() -> Value {
    let threads = Arc::new(Threads::new(1));
    let tiny = LlamaConfig::preset("tiny").expect("a preset");
    let untied = LlamaConfig { num_kv_heads: 2, tie_embeddings: false, num_layers: 1, ..tiny.clone() };
    let cases = [(tiny.clone(), 0u64), (tiny, 0x0123_4567_89AB_CDEF), (untied, u64::MAX)];
    let case = |(config, seed): (LlamaConfig, u64)| {
        let state = State::new(init(&config, seed, &threads).expect("a shape"), &threads);
        json!({
            "vocabulary": config.vocab_size, "hidden": config.hidden_size, "intermediate": config.intermediate_size,
            "layers": config.num_layers, "heads": config.num_heads, "key_value_heads": config.num_kv_heads,
            "tied": config.tie_embeddings, "seed": seed, "genesis_root": hex(&state.root()),
        })
    };
    cases.map(case).to_vec().into()
}

fn means(random: &mut Random) -> Value {
    let threads = Arc::new(Threads::new(1));
    let mean = |&count: &usize| {
        let states: Vec<Vec<u32>> = (0..count)
            .map(|_| (0..10).map(|_| (random.next() as i32 as f32 / i32::MAX as f32).to_bits()).collect())
            .collect();
        let entries = states.iter().map(|state| vec![Buffer::from(&state[..])]);
        let held: Vec<Arc<State>> = entries.map(|entries| Arc::new(State::new(entries, &threads))).collect();
        let mean = aggregate(&held, &threads, Simd::detect()).expect("finite states");
        json!({ "states": states, "mean": mean.entries()[0].to_vec() })
    };
    [1, 2, 3, 7, 8, 16].iter().map(mean).collect()
}

fn medians(random: &mut Random) -> Value {
    let median = |_| {
        let values: Vec<(u32, u64)> =
            (0..1 + random.below(16)).map(|_| (random.below(9), random.next() >> random.below(64).max(6))).collect();
        json!({ "values": values, "median": evaluation::weighted_median(&values) })
    };
    (0..40).map(median).collect()
}

pub(crate) fn vectors() -> Map<String, Value> {
    let random = &mut Random::new(3);
    let steps = [0, 1, 255, 256, 1_000_000, u32::MAX].map(|step| json!([step, hex(&step_root(step))]));
    let settings = [[0; 4], [65_536, 98_304, 1, u32::MAX]].map(|words| json!([words, hex(&settings_root(&words))]));
    let mut file = Map::new();
    file.insert("graphs".into(), graphs(random));
    file.insert("segments".into(), segments(random));
    file.insert("steps".into(), steps.to_vec().into());
    file.insert("settings".into(), settings.to_vec().into());
    file.insert("windows".into(), windows(random));
    file.insert("draws".into(), draws(random));
    file.insert("seeds".into(), seeds(random));
    file.insert("scores".into(), scores(random));
    file.insert("medians".into(), medians(random));
    file.insert("means".into(), means(random));
    file.insert("genesis".into(), genesis());
    file.insert("second_draws".into(), second_draws(random));
    file.insert("histories".into(), histories());
    file
}
