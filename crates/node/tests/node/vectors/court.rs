//! Games in which each rule of the referee decides: tried before and after its bound, taken and refused.

use super::places;
use super::table::{Claimed, SAME, Table, computed, floats, input, map, operand, state, state_root};
use serde_json::{Map, Value};
use sip_ops::{Kind, NodeSpec, Opcode, Operand, Source, Type};
use sip_proof::merkle::MerkleTree;
use sip_proof::sampler::{Corpus, Row};
use sip_proof::{HostSha256, Leaf, tensor_bytes, tensor_root};
use sip_protocol::court::{CaseKind, Ground, MoveKind, Outcome};

/// A contraction whose terms after the element's place, or before it, are absent.
fn constrained(constraint: (u8, u8), is_started: bool) -> Claimed {
    let mut operands = vec![operand(0, 0, &[0, 1]), operand(1, 0, &[0, 1])];
    operands.extend(is_started.then(|| operand(0, 0, &[1, 0])));
    let node = NodeSpec { constraint: Some(constraint), ..computed(Kind::Contract, &[4], &[4], operands) };
    let (a, b) = (floats(&[1.0, 0.0, 2.0, 3.0]), floats(&[2.0, 0.0, 5.0, 7.0]));
    let sums = if is_started { [0.0, 35.0, 0.0, 0.0] } else { [2.0, 2.0, 12.0, 33.0] };
    Claimed::new(vec![state(0, 4), state(1, 4), node], vec![a, b, floats(&sums)])
}

/// Terms that are absent are not proved, those that are there are.
fn absent_terms() -> Vec<Value> {
    let claimed = constrained((1, 0), false);
    let mut table = Table::open(claimed.clone(), SAME);
    // Element 1 has the terms 0 and 1; what is posted for the others is no claim.
    let posted = floats(&[1.0, 2.0, 9.0, 0.0, 77.0, 5.0, 77.0, 77.0]);
    table.comes_to_values(2, 1).posts(&posted);
    for (slot, node, element) in [(4, 0, 2), (6, 0, 3), (7, 1, 3), (0, 0, 0), (1, 1, 0), (8, 0, 0), (u32::MAX, 0, 0)] {
        let proof = table.proof(slot, node, element);
        table.refuses(MoveKind::ProveOperand, &proof);
    }
    let beyond = table.read_node(1);
    table.refuses(MoveKind::ProveBeyond, &beyond);
    let proof = table.proof(2, 0, 1);
    table.refuses(MoveKind::ProveOperand, &[&proof[..], &[0]].concat());
    let convicted =
        table.takes(MoveKind::ProveOperand, &proof).ends("a term that is there beside absent ones", Outcome::Convicted);
    let mut table = Table::open(claimed, SAME);
    table.comes_to_values(2, 1).posts(&floats(&[1.0, 2.0, 0.0, 0.0, 77.0, 5.0, 77.0, 77.0]));
    let proof = table.proof(4, 0, 2);
    let acquitted = table.refuses(MoveKind::ProveOperand, &proof).concedes("an absent term", Outcome::Acquitted);
    // Element 1 begins with its initial value although its term 0 is absent: 4 + 0 · 0 + 2 · 5 + 3 · 7.
    let mut table = Table::open(constrained((0, 1), true), SAME);
    table.comes_to_values(2, 1).posts(&floats(&[77.0, 77.0, 0.0, 0.0, 2.0, 5.0, 3.0, 7.0, 4.0]));
    let (absent, initial) = (table.proof(0, 0, 0), table.proof(8, 0, 1));
    table.refuses(MoveKind::ProveOperand, &absent);
    let started = table.takes(MoveKind::ProveOperand, &initial).ends("a false initial value", Outcome::Convicted);
    vec![convicted, acquitted, started]
}

/// A node reads only what comes before it.
fn order_of_nodes() -> Vec<Value> {
    let double = |node| map(Opcode::Add, &[2], vec![operand(node, 0, &[1])]);
    let later = Claimed::new(
        vec![state(0, 2), double(2), double(0)],
        vec![floats(&[3.0, 4.0]), floats(&[2.0, 2.0]), floats(&[6.0, 8.0])],
    );
    let itself = Claimed::new(vec![state(0, 2), double(1)], vec![floats(&[3.0, 4.0]), floats(&[2.0, 2.0])]);
    let one = |claimed: Claimed, reads: u32, name: &str| {
        let mut table = Table::open(claimed, SAME);
        table.comes_to_values(1, 0).posts(&floats(&[1.0]));
        let proof = table.proof(0, reads, 0);
        table.refuses(MoveKind::ProveOperand, &proof).concedes(name, Outcome::Acquitted)
    };
    vec![one(later, 2, "an operand's node that comes later"), one(itself, 1, "a node that reads itself")]
}

/// Addresses up to the last element of an operand, and those after it.
fn addresses() -> Vec<Value> {
    let sum = |second: Operand| map(Opcode::Add, &[4], vec![operand(0, 0, &[1]), second]);
    let values = floats(&[1.0, 2.0, 3.0, 5.0]);
    // Element 3 reads the element 3, and with the second operand one that is not there.
    let claimed =
        Claimed::new(vec![state(0, 4), sum(operand(0, 1, &[1]))], vec![values.clone(), floats(&[3.0, 5.0, 8.0, 12.0])]);
    let mut table = Table::open(claimed, SAME);
    table.comes_to_values(1, 3).posts(&floats(&[5.0, 7.0]));
    let (outside, equal, beyond) = (table.proof(1, 0, 3), table.proof(0, 0, 3), table.read_node(0));
    table.refuses(MoveKind::ProveOperand, &outside).refuses(MoveKind::ProveOperand, &equal);
    let refused =
        table.refuses(MoveKind::ProveBeyond, &beyond).concedes("an address one beyond the operand", Outcome::Acquitted);
    let claimed =
        Claimed::new(vec![state(0, 4), sum(operand(0, 0, &[0]))], vec![values, floats(&[2.0, 3.0, 4.0, 10.0])]);
    let mut table = Table::open(claimed, SAME);
    table.comes_to_values(1, 3).posts(&floats(&[9.0, 1.0]));
    let proof = table.proof(0, 0, 3);
    vec![
        refused,
        table.takes(MoveKind::ProveOperand, &proof).ends("the last element of an operand", Outcome::Convicted),
    ]
}

/// A copy of a tensor of several chunks, with the sign changed.
fn negated(len: u32) -> Claimed {
    let values: Vec<u32> = (0..len).map(|at| (at as f32 + 0.1).to_bits()).collect();
    let minus = values.iter().map(|bits| bits ^ 1 << 31).collect();
    Claimed::new(vec![state(0, len), map(Opcode::Neg, &[len], vec![operand(0, 0, &[1])])], vec![values, minus])
}

/// Operands and outputs of several chunks.
fn chunks() -> Vec<Value> {
    let to_element = |table: &mut Table, element: usize| {
        let chunk = element / 256;
        let opened = table.comes_to_trace().picks(1).node(1);
        let (nodes, bytes) = (table.tensor(1, 2, 0), tensor_bytes(&table.claimed.outputs[1]));
        let data = &bytes[1024 * chunk..bytes.len().min(1024 * chunk + 1024)];
        let mut spoilt = data.to_vec();
        spoilt[5] ^= 1;
        table.takes(MoveKind::OpenNode, &opened).takes(MoveKind::Reveal, &nodes).never_picks(3).picks(chunk as u32);
        table.refuses(MoveKind::PostChunk, &spoilt).takes(MoveKind::PostChunk, data).picks(element as u32 % 256);
    };
    let mut found = Vec::new();
    for element in [1, 255, 256, 513, 600] {
        let mut table = Table::open(negated(601), SAME);
        to_element(&mut table, element);
        let value = table.claimed.outputs[0][element];
        table.posts(&[value]);
        let proof = table.proof(0, 0, element);
        let name = format!("an equal value at {element} of 601");
        found.push(table.refuses(MoveKind::ProveOperand, &proof).concedes(&name, Outcome::Acquitted));
        let mut claimed = negated(601);
        claimed.outputs[1][element] = 9.0_f32.to_bits();
        claimed.end = vec![claimed.outputs[1].clone()];
        let mut table = Table::open(claimed, SAME);
        to_element(&mut table, element);
        table.posts(&floats(&[-9.0]));
        let proof = table.proof(0, 0, element);
        let name = format!("a false value at {element} of 601");
        found.push(table.takes(MoveKind::ProveOperand, &proof).ends(&name, Outcome::Convicted));
    }
    // The last place that a reveal of 71 chunks shows has three below it, that of 65 chunks is a chunk.
    for (count, below) in [(71, Some(3)), (65, None)] {
        let mut table = Table::open(negated(256 * (count - 1) + 10), SAME);
        let (top, last) = (table.tensor(1, 7, 0), count - 1);
        let bytes = tensor_bytes(&table.claimed.outputs[1]);
        let opened = table.comes_to_trace().picks(1).node(1);
        let place = top.len() as u32 / 32 - 1;
        table.takes(MoveKind::OpenNode, &opened).takes(MoveKind::Reveal, &top).never_picks(place + 1).picks(place);
        if let Some(below) = below {
            let nodes = table.tensor(1, 2, place);
            assert_eq!(nodes.len(), 32 * below);
            table.takes(MoveKind::Reveal, &nodes).picks(below as u32 - 1);
        }
        table.takes(MoveKind::PostChunk, &bytes[1024 * last as usize..]).picks(9);
        found.push(table.concedes(&format!("the last of {count} chunks"), Outcome::Convicted));
    }
    found
}

/// The words of a batch that the rule draws, and of an element that lies in a late chunk of the tokens.
fn batches() -> Vec<Value> {
    let tokens: Vec<u32> = (0..700).map(|at| at * at + 1_000).collect();
    let mut found = Vec::new();
    let edit = |seed: [u8; 32]| {
        let root = tensor_root(&tokens);
        move |ground: &mut Ground, _: &mut Leaf| {
            (ground.round_seed, ground.dataset_roots[0], ground.token_counts[0]) = (seed, root, 700);
            ground.trainer = 3;
        }
    };
    let rows = |seed: [u8; 32]| {
        let corpus = Corpus { mixture_bps: &[10_000], token_counts: &[700] };
        let row = |row| Row { round_seed: seed, trainer: 3, step: 0, row };
        [0, 1].map(|number| row(number).locate::<HostSha256>(&corpus, 3).expect("a window").offset as usize)
    };
    let drawn = |rows: [usize; 2]| rows.iter().flat_map(|&at| tokens[at..at + 3].to_vec()).collect::<Vec<u32>>();
    for (first, last) in [(0, 200), (260, 500), (511, 512), (520, 690)] {
        let seed = (0..=u16::MAX)
            .map(|seed| [seed.to_le_bytes(); 16].concat().try_into().expect("32 bytes"))
            .find(|seed| (first..last).contains(&rows(*seed)[1]))
            .expect("one");
        let at = rows(seed)[1] + 1;
        let bytes = tensor_bytes(&tokens);
        let tree = sip_proof::BlobTree::new(&bytes);
        let chunk = at / 256;
        let data = &bytes[1024 * chunk..bytes.len().min(1024 * chunk + 1024)];
        let proof = [data, &tree.path(chunk as u32)].concat();
        for lie in [0, 5] {
            let mut batch = drawn(rows(seed));
            batch[4] += lie;
            let node = input(Source::Batch, Type::U32, &[2, 3]);
            let claimed = Claimed { batch: batch.clone(), ..Claimed::new(vec![node], vec![batch.clone()]) };
            let mut table = Table::open(claimed, edit(seed));
            let opened = table.comes_to_trace().picks(0).node(0);
            table.takes(MoveKind::OpenNode, &opened).takes(MoveKind::PostChunk, &tensor_bytes(&batch)).picks(4);
            found.push(match lie {
                0 => table
                    .refuses(MoveKind::ProveToken, &proof)
                    .concedes(&format!("a true token at {at} of 700"), Outcome::Acquitted),
                _ => table
                    .takes(MoveKind::ProveToken, &proof)
                    .ends(&format!("a false token at {at} of 700"), Outcome::Convicted),
            });
        }
    }
    // Two rows of four tokens, where a row has three: nobody can say what stands in them.
    for same in [true, false] {
        let batch: Vec<u32> = (0..8).collect();
        let node = input(Source::Batch, Type::U32, &[2, 4]);
        let committed = if same { batch.clone() } else { vec![1; 6] };
        let claimed = Claimed { batch: committed, ..Claimed::new(vec![node], vec![batch]) };
        let mut table = Table::open(claimed, SAME);
        let opened = table.comes_to_trace().picks(0).node(0);
        let name = if same { "the batch in another length" } else { "another batch in another length" };
        found.push(table.refuses(MoveKind::OpenNode, &opened).is_silent(name, Outcome::Convicted));
    }
    found
}

/// Lookups within their table, before it and after it.
fn lookups() -> Vec<Value> {
    let gather = |index_stride: i32| NodeSpec {
        operands: vec![operand(0, 0, &[1]), Operand { index_stride, ..operand(1, 2, &[0]) }],
        ..computed(Kind::Gather, &[4], &[], Vec::new())
    };
    let claimed = |stride: i32, indices: [u32; 4], found: [f32; 4]| {
        let mut claimed = Claimed::new(
            vec![input(Source::State(0), Type::U32, &[4]), state(1, 6), gather(stride)],
            vec![indices.to_vec(), floats(&[0.5, 1.5, 2.5, 3.5, 4.5, 5.5]), floats(&found)],
        );
        claimed.start.push(claimed.outputs[1].clone());
        claimed
    };
    let mut found = Vec::new();
    let honest = || claimed(1, [1, 3, 0, 2], [3.5, 5.5, 2.5, 4.5]);
    let mut table = Table::open(honest(), SAME);
    table.comes_to_values(2, 1).posts(&[3, 5.5_f32.to_bits()]);
    let (index, value, beyond, other) =
        (table.proof(0, 0, 1), table.proof(1, 1, 5), table.read_node(1), table.read_node(0));
    table.refuses(MoveKind::ProveOperand, &index).refuses(MoveKind::ProveOperand, &value);
    table.refuses(MoveKind::ProveBeyond, &beyond).refuses(MoveKind::ProveBeyond, &other);
    found.push(table.concedes("a lookup that is right", Outcome::Acquitted));
    let mut table = Table::open(claimed(1, [1, 3, 0, 2], [3.5, 5.5, 2.5, 9.0]), SAME);
    table.comes_to_values(2, 3).posts(&[2, 9.0_f32.to_bits()]);
    let proof = table.proof(1, 1, 4);
    found.push(table.takes(MoveKind::ProveOperand, &proof).ends("a value that was not looked up", Outcome::Convicted));
    let mut table = Table::open(claimed(1, [1, 3, 0, 2], [3.5, 5.5, 2.5, 2.5]), SAME);
    table.comes_to_values(2, 3).posts(&[0, 2.5_f32.to_bits()]);
    let proof = table.proof(0, 0, 3);
    found.push(table.takes(MoveKind::ProveOperand, &proof).ends("a false index", Outcome::Convicted));
    for (stride, index, name) in [
        (1, 4, "a lookup one after the table"),
        (-1, 3, "a lookup one before the table"),
        (-1, 1 << 30, "a lookup far before the table"),
    ] {
        let mut table = Table::open(claimed(stride, [index, 0, 0, 0], [7.0, 2.5, 2.5, 2.5]), SAME);
        table.comes_to_values(2, 0).posts(&[index, 7.0_f32.to_bits()]);
        let (proof, beyond) = (table.proof(1, 1, 5), table.read_node(1));
        table.refuses(MoveKind::ProveOperand, &proof);
        found.push(table.takes(MoveKind::ProveBeyond, &beyond).ends(name, Outcome::Convicted));
    }
    found
}

/// A chain of three pieces, of which the middle one is false.
fn pieces() -> Vec<Value> {
    let terms = 600;
    let values: Vec<u32> = (0..terms).map(|at| ((at % 7) as f32).to_bits()).collect();
    let sum = computed(Kind::ReduceAdd, &[1], &[terms], vec![operand(0, 0, &[0, 1])]);
    let part = |to: u32| (0..to).map(|at| (at % 7) as f32).sum::<f32>();
    let mut found = Vec::new();
    for (first, second, pick, outcome, name) in [
        (0.0, 1.0, 1, Outcome::Convicted, "a false accumulator after the second piece"),
        (1.0, 1.0, 0, Outcome::Convicted, "a false accumulator after the first piece"),
        (0.0, 0.0, 1, Outcome::Acquitted, "a true piece in the middle"),
        (0.0, 0.0, 2, Outcome::Acquitted, "a true last piece"),
    ] {
        let total = part(terms) + second;
        let mut table =
            Table::open(Claimed::new(vec![state(0, terms), sum.clone()], vec![values.clone(), floats(&[total])]), SAME);
        let opened = table.comes_to_trace().picks(1).node(1);
        table.takes(MoveKind::OpenNode, &opened).takes(MoveKind::PostChunk, &tensor_bytes(&floats(&[total]))).picks(0);
        let partials = tensor_bytes(&floats(&[part(256) + first, part(512) + second]));
        table
            .refuses(MoveKind::PostPartials, &partials[..4])
            .takes(MoveKind::PostPartials, &partials)
            .never_picks(3)
            .picks(pick);
        let piece = &values[256 * pick as usize..terms.min(256 * pick + 256) as usize];
        let posted = tensor_bytes(piece);
        table
            .refuses(MoveKind::PostValues, &posted[4..])
            .refuses(MoveKind::PostValues, &[&posted[..], &[0; 4]].concat());
        table.takes(MoveKind::PostValues, &posted);
        found.push(match outcome {
            Outcome::Convicted => table.ends(name, outcome),
            _ => {
                let proof = table.proof(3, 0, 256 * pick as usize + 3);
                table.refuses(MoveKind::ProveOperand, &proof).concedes(name, outcome)
            }
        });
    }
    found
}

/// What inputs read: a step's start, bases, tables.
fn inputs() -> Vec<Value> {
    let values = |number: u32| vec![number; 2];
    let bases = [[values(21)], [values(22)]].map(|base| state_root(&base));
    let aggregate = |node: Source, output: Vec<u32>| {
        let claimed = Claimed::new(vec![input(node, Type::F32, &[2])], vec![output]);
        Table::open(claimed, |ground, _| {
            (ground.case, ground.carried, ground.base_entries) = (CaseKind::Aggregate as u32, 0, 1);
            (ground.base_count, ground.start_root) = (2, [0; 32]);
            (ground.bases[0], ground.bases[1]) = (bases[0], bases[1]);
        })
    };
    let mut found = Vec::new();
    for (entry, output, root, name) in [(1, 23, 22, Some("another base")), (1, 22, 22, None), (2, 23, 22, None)] {
        let mut table = aggregate(Source::State(entry), values(output));
        let opened = table.node(0);
        table.refuses(MoveKind::Concede, &[0]).posts_trace().picks(0).takes(MoveKind::OpenNode, &opened);
        let root = tensor_root(&values(root));
        found.push(match name {
            Some(name) => table.takes(MoveKind::ProveInput, &root).ends(name, Outcome::Convicted),
            None => table.refuses(MoveKind::ProveInput, &root).concedes(
                if entry == 1 { "the base that it is" } else { "a base that is not there" },
                Outcome::Acquitted,
            ),
        });
    }
    let tables = MerkleTree::new([tensor_root(&values(31)), tensor_root(&values(32)), tensor_root(&values(33))]);
    for (source, output, root, path, name, is_proof) in [
        (Source::Table(1), 39, 32, tables.path(1), "another table", true),
        (Source::Table(1), 32, 32, tables.path(1), "the table that it is", false),
        (Source::Table(3), 39, 33, tables.path(2), "a table that is not there", false),
        (Source::State(0), 39, 41, Vec::new(), "another state", true),
        (Source::State(5), 39, 41, Vec::new(), "a state that is not there", false),
    ] {
        let mut claimed = Claimed::new(vec![input(source, Type::F32, &[2])], vec![values(output)]);
        claimed.start = vec![values(41)];
        let mut table = Table::open(claimed, |ground, _| {
            (ground.tables_root, ground.table_count) = (tables.root(), 3);
        });
        let opened = table.comes_to_trace().picks(0).node(0);
        table.takes(MoveKind::OpenNode, &opened);
        let proof = [&tensor_root(&values(root))[..], &path].concat();
        found.push(match is_proof {
            true => table.takes(MoveKind::ProveInput, &proof).ends(name, Outcome::Convicted),
            false => table.refuses(MoveKind::ProveInput, &proof).concedes(name, Outcome::Acquitted),
        });
    }
    found
}

/// A value that is not finite.
fn faults() -> Vec<Value> {
    let mut found = Vec::new();
    for (bits, is_fault) in [(0x7F80_0000, true), (0xFF80_0001, true), (0x7F7F_FFFF, false)] {
        let claimed = Claimed::new(
            vec![state(0, 2), map(Opcode::Neg, &[2], vec![operand(0, 0, &[1])])],
            vec![vec![bits ^ 1 << 31; 2], vec![bits; 2]],
        );
        let mut table = Table::open(claimed, SAME);
        table.comes_to_values(1, 0);
        found.push(match is_fault {
            true => table.ends("a value that is not finite", Outcome::Convicted),
            false => table.posts(&[bits ^ 1 << 31]).concedes("the greatest value", Outcome::Acquitted),
        });
    }
    found
}

pub(super) fn vectors() -> Map<String, Value> {
    let entries = [
        ("absent_terms", absent_terms()),
        ("order_of_nodes", order_of_nodes()),
        ("addresses", addresses()),
        ("chunks", chunks()),
        ("traces", places::traces()),
        ("batches", batches()),
        ("lookups", lookups()),
        ("leaves", places::leaves()),
        ("pieces", pieces()),
        ("inputs", inputs()),
        ("clocks", places::clocks()),
        ("faults", faults()),
    ];
    entries.into_iter().map(|(name, games)| (name.to_owned(), games.into())).collect()
}
