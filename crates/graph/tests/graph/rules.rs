//! Every derivative rule against central differences of an f64 interpreter that knows nothing of the rules.

use sip_graph::{Axis, Buffer, Builder, Contraction, Executor, ExecutorOptions, Graph, Inputs, Tensor};
use sip_kernels::Threads;
use sip_ops::{Kind, Node, NodeSpec, Opcode, Source, Type};
use std::sync::Arc;

/// Element values in f64; integers are exact in it.
fn interpret(nodes: &[NodeSpec], state: &[Vec<f64>], batch: &[u32]) -> Vec<Vec<f64>> {
    let mut tensors: Vec<Vec<f64>> = Vec::new();
    for spec in nodes {
        let bytes = spec.encode();
        let node = Node::parse(&bytes).expect("valid node");
        if spec.kind == Kind::Input {
            tensors.push(match spec.source {
                Source::State(entry) => state[entry as usize].clone(),
                _ => batch.iter().map(|&token| token as f64).collect(),
            });
            continue;
        }
        let element = |element: u64| {
            let mut sum = if spec.kind == Kind::ReduceMax { f64::NEG_INFINITY } else { 0.0 };
            for term in 0..node.terms() {
                let mut coordinates = [0; sip_ops::MAX_LABELS];
                node.coordinates(element, term, &mut coordinates);
                let mut values = Vec::new();
                for (number, operand) in spec.operands.iter().enumerate() {
                    let index = if number > 0 && spec.kind == Kind::Gather { values[0] as u32 } else { 0 };
                    let address = node.address(number, &coordinates, index) as usize;
                    values.push(tensors[operand.node as usize][address]);
                }
                if term == 0 && spec.starts_from_operand {
                    sum = values[2];
                }
                if !node.is_present(&coordinates) {
                    continue;
                }
                sum = match spec.kind {
                    Kind::Contract => sum + values[0] * values[1],
                    Kind::ReduceAdd => sum + values[0],
                    Kind::ReduceMax => sum.max(values[0]),
                    Kind::Gather => values[1],
                    Kind::ScatterAdd if values[0] as u32 == coordinates[0] => sum + values[1],
                    Kind::Map => run(spec, values, &coordinates),
                    _ => sum,
                };
            }
            sum
        };
        tensors.push((0..node.len()).map(element).collect());
    }
    tensors
}

fn run(spec: &NodeSpec, mut v: Vec<f64>, coordinates: &[u32]) -> f64 {
    for i in &spec.program {
        let at = |n: u8| v.get(n as usize).copied().unwrap_or(0.0);
        let (a, b, c) = (at(i.a), at(i.b), at(i.c));
        v.push(match Opcode::ALL[i.opcode as usize] {
            Opcode::ConstF => f32::from_bits(i.immediate) as f64,
            Opcode::ConstU => i.immediate as f64,
            Opcode::Coordinate => coordinates[i.a as usize] as f64,
            Opcode::Add => a + b,
            Opcode::Sub => a - b,
            Opcode::Mul => a * b,
            Opcode::Div => a / b,
            Opcode::Fma => a * b + c,
            Opcode::Sqrt => a.sqrt(),
            Opcode::Neg => -a,
            Opcode::Abs => a.abs(),
            Opcode::Exp => a.exp(),
            Opcode::Log => a.ln(),
            Opcode::FromU => a,
            Opcode::LessF | Opcode::LessU => (a < b) as u32 as f64,
            Opcode::EqualU => (a == b) as u32 as f64,
            Opcode::Select => [c, b][(a != 0.0) as usize],
            other => panic!("{other:?} is not used here"),
        });
    }
    v.last().copied().expect("a program has a result")
}

fn values(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    (0..len).map(|_| (next() * 2.0 - 1.0) as f32 as f64).collect()
}

/// Builds `body` over f32 inputs of these lengths, sums its weighted output, and compares the derivative with respect
/// to every element of every input with central differences. Also runs the fused graph exactly.
fn check(lengths: &[usize], batch: &[u32], body: impl Fn(&mut Builder, &[Tensor], Tensor) -> Tensor) {
    let mut b = Builder::new();
    let inputs: Vec<Tensor> =
        lengths.iter().enumerate().map(|(n, &len)| b.input(Source::State(n as u32), &[len], Type::F32)).collect();
    let weight_entry = lengths.len();
    let tokens = b.input(Source::Batch, &[batch.len().max(1)], Type::U32);
    let out = body(&mut b, &inputs, tokens);
    let weights = b.input(Source::State(weight_entry as u32), &[out.len()], Type::F32);
    let (one, all) = (b.axis(1), b.axis(out.len()));
    let loss = b.contract(&[one], &[all], out.read(&[all]), weights.read(&[all]));
    let gradients = b.gradients(loss, &inputs);
    let mut results = vec![("loss", loss)];
    let names: Vec<String> = (0..inputs.len()).map(|n| format!("g{n}")).collect();
    results.extend(names.iter().map(String::as_str).zip(gradients));
    let graph = b.finish(&[], &results).expect("graph");

    let mut state: Vec<Vec<f64>> = lengths.iter().enumerate().map(|(n, &len)| values(len, n as u64 + 1)).collect();
    state.push(values(out.len(), 99));
    let loss_node = graph.result("loss").expect("loss") as usize;
    let exact = interpret(graph.nodes(), &state, batch);
    for (entry, name) in names.iter().enumerate() {
        let derivative = &exact[graph.result(name).expect("gradient") as usize];
        assert_eq!(derivative.len(), lengths[entry]);
        for element in 0..lengths[entry] {
            let step = 1e-5;
            let mut around = [0.0; 2];
            for (value, sign) in around.iter_mut().zip([1.0, -1.0]) {
                let mut moved = state.clone();
                moved[entry][element] += sign * step;
                *value = interpret(graph.nodes(), &moved, batch)[loss_node][0];
            }
            let expected = (around[0] - around[1]) / (2.0 * step);
            let found = derivative[element];
            assert!(
                (found - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                "input {entry} element {element}: {found} instead of {expected}"
            );
        }
    }
    runs_like(&graph, &state, batch, &exact);
}

/// The executor's f32 values are close to the f64 ones.
fn runs_like(graph: &Graph, state: &[Vec<f64>], batch: &[u32], exact: &[Vec<f64>]) {
    let state: Vec<Buffer> = state
        .iter()
        .map(|entry| Buffer::from(entry.iter().map(|&v| v as f32).collect::<Vec<f32>>().as_slice()))
        .collect();
    let graph = Arc::new(graph.clone());
    let mut executor = Executor::new(Arc::clone(&graph), Arc::new(Threads::new(2)), ExecutorOptions::default());
    executor.run(&Inputs { state: &state, batch, step: 0, tables: &[], settings: &[] }, &mut [], None).expect("run");
    for (name, node) in graph.results() {
        for (&found, expected) in executor.result(name).expect(name).iter().zip(&exact[*node as usize]) {
            let found = f32::from_bits(found) as f64;
            assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{name}: {found} instead of {expected}");
        }
    }
}

fn axes<const N: usize>(b: &mut Builder, sizes: [usize; N]) -> [Axis; N] {
    sizes.map(|size| b.axis(size))
}

#[test]
fn contract_differentiates_both_factors_and_the_start() {
    check(&[6, 12, 8], &[0], |b, x, _| {
        let [m, n, k] = axes(b, [2, 4, 3]);
        let start = Some(x[2].read(&[m, n]));
        let (a, other) = (x[0].read(&[m, k]), x[1].read(&[n, k]));
        b.contraction(Contraction { out: &[m, n], reduce: &[k], a, b: other, start, only: None })
    });
}

#[test]
fn contract_differentiates_a_broadcast_start() {
    check(&[6, 12, 4], &[0], |b, x, _| {
        let [m, n, k] = axes(b, [2, 4, 3]);
        let start = Some(x[2].read(&[n]));
        let (a, other) = (x[0].read(&[m, k]), x[1].read(&[n, k]));
        b.contraction(Contraction { out: &[m, n], reduce: &[k], a, b: other, start, only: None })
    });
}

#[test]
fn contract_differentiates_a_causal_product_with_grouped_heads() {
    // Scores of 2 query heads per key head, and their mixture of values.
    check(&[2 * 4 * 2 * 2 * 3, 2 * 4 * 2 * 3, 2 * 4 * 2 * 3], &[0], |b, x, _| {
        let [row, token, source, group, member, width] = axes(b, [2, 4, 4, 2, 2, 3]);
        let only = Some((source, token));
        let square = [row, group, member, token, source];
        let query = x[0].read(&[row, token, group, member, width]);
        let key = x[1].read(&[row, source, group, width]);
        let scores = b.contraction(Contraction { out: &square, reduce: &[width], a: query, b: key, start: None, only });
        let value = x[2].read(&[row, source, group, width]);
        let out = [row, token, group, member, width];
        b.contraction(Contraction {
            out: &out,
            reduce: &[source],
            a: scores.read(&square),
            b: value,
            start: None,
            only,
        })
    });
}

#[test]
fn contract_differentiates_a_square() {
    check(&[12], &[0], |b, x, _| {
        let [m, k] = axes(b, [3, 4]);
        b.contract(&[m], &[k], x[0].read(&[m, k]), x[0].read(&[m, k]))
    });
}

#[test]
fn map_differentiates_every_pointwise_function() {
    check(&[12, 4, 3], &[0], |b, x, _| {
        let [m, n] = axes(b, [3, 4]);
        let operands = [x[0].read(&[m, n]), x[1].read(&[n]), x[2].read(&[m])];
        b.map(&[m, n], operands, |p, [x, y, z]| {
            let (one, two, half) = (p.constant(1.0), p.constant(2.0), p.constant(0.5));
            let open = p.sigmoid(x);
            let size = p.abs(y);
            let above = p.add(size, one);
            let root = p.sqrt(above);
            let log = p.log(above);
            let power = p.exp(z);
            let ratio = p.div(power, root);
            let joined = p.fma(open, ratio, log);
            let larger = p.less(half, x);
            let negative = p.neg(z);
            let chosen = p.select(larger, negative, joined);
            let squared = p.mul(chosen, chosen);
            let difference = p.sub(squared, y);
            let greatest = p.max(difference, two);
            p.add(greatest, joined)
        })
    });
}

#[test]
fn map_differentiates_a_half_swap() {
    check(&[2 * 3 * 2 * 4], &[0], |b, x, _| {
        let [row, token, half, pair] = axes(b, [2, 3, 2, 4]);
        let read = x[0].read(&[row, token, half, pair]);
        let other = read.clone().flip(half);
        b.map(&[token, row, half, pair], [read, other], |p, [x, y]| {
            let product = p.mul(x, y);
            p.add(product, y)
        })
    });
}

#[test]
fn softmax_differentiates_with_a_constant_maximum() {
    check(&[12], &[0], |b, x, _| {
        let [m, n] = axes(b, [3, 4]);
        let greatest = b.reduce_max(&[m], &[n], x[0].read(&[m, n]), None);
        let powers = b.map(&[m, n], [x[0].read(&[m, n]), greatest.read(&[m])], |p, [x, greatest]| {
            let difference = p.sub(x, greatest);
            p.exp(difference)
        });
        let sums = b.reduce_add(&[m], &[n], powers.read(&[m, n]));
        b.map(&[m, n], [powers.read(&[m, n]), sums.read(&[m])], |p, [power, sum]| p.div(power, sum))
    });
}

#[test]
fn sums_differentiate_by_broadcast_and_broadcasts_by_sum() {
    check(&[24, 6], &[0], |b, x, _| {
        let [l, m, n] = axes(b, [4, 2, 3]);
        let sums = b.reduce_add(&[m], &[l, n], x[0].read(&[l, m, n]));
        b.map(&[l, m, n], [sums.read(&[m]), x[1].read(&[m, n])], |p, [a, c]| p.mul(a, c))
    });
}

#[test]
fn rows_looked_up_more_than_once_add_up() {
    check(&[15], &[4, 0, 4, 2, 1, 4], |b, x, tokens| {
        let [row, token, width] = axes(b, [2, 2, 3]);
        // The third token of every row is not read.
        let index = tokens.strided(0, &[(row, 3), (token, 1)]);
        let found = b.gather(&[row, token, width], index, x[0].strided(0, &[(width, 1)]), 3);
        b.map(&[row, token, width], [found.read(&[row, token, width])], |p, [x]| p.mul(x, x))
    });
}

#[test]
fn one_picked_value_per_row_gets_the_derivative_alone() {
    check(&[12], &[3, 0, 1], |b, x, tokens| {
        let [row, column] = axes(b, [3, 4]);
        let picked = b.gather(&[row], tokens.read(&[row]), x[0].strided(0, &[(row, 4)]), 1);
        let squared = b.map(&[row, column], [x[0].read(&[row, column])], |p, [x]| p.mul(x, x));
        b.map(&[row, column], [picked.read(&[row]), squared.read(&[row, column])], |p, [a, c]| p.mul(a, c))
    });
}

#[test]
fn scattered_values_differentiate_by_lookup() {
    check(&[12], &[3, 0, 3, 1], |b, x, tokens| {
        let [row, width, source] = axes(b, [5, 3, 4]);
        let sums = b.scatter_add(&[row, width], &[source], tokens.read(&[source]), x[0].read(&[source, width]));
        b.map(&[row, width], [sums.read(&[row, width])], |p, [x]| p.mul(x, x))
    });
}

#[test]
fn a_tensor_with_many_readers_gets_every_summand() {
    check(&[6, 6], &[0], |b, x, _| {
        let [m, n, k] = axes(b, [2, 3, 2]);
        let read = x[0].read(&[m, n]);
        let first = b.map(&[m, n], [read.clone()], |p, [x]| p.exp(x));
        let sums = b.reduce_add(&[n], &[m], read.clone());
        let product = b.contract(&[m, k], &[n], read, x[1].read(&[k, n]));
        let folded = b.reduce_add(&[m], &[k], product.read(&[m, k]));
        let operands = [first.read(&[m, n]), sums.read(&[n]), folded.read(&[m]), x[0].read(&[m, n])];
        b.map(&[m, n], operands, |p, [a, c, d, e]| {
            let left = p.mul(a, c);
            p.fma(d, e, left)
        })
    });
}

#[test]
fn a_sum_longer_than_a_chain_is_done_in_two_levels() {
    let mut b = Builder::new();
    let x = b.input(Source::State(0), &[300_000], Type::F32);
    let total = b.sum_of_squares(x);
    let graph = b.finish(&[], &[("total", total)]).expect("graph");
    assert!(graph.nodes().iter().all(|n| n.terms() <= 1024));
    let state = values(300_000, 5);
    let exact = interpret(graph.nodes(), std::slice::from_ref(&state), &[]);
    let found = exact[graph.result("total").expect("total") as usize][0];
    let expected: f64 = state.iter().map(|x| x * x).sum();
    assert!((found - expected).abs() < 1e-9 * expected);
}

#[test]
fn a_gradient_that_has_no_rule_is_refused() {
    let mut b = Builder::new();
    let x = b.input(Source::State(0), &[6], Type::F32);
    let [one, three] = axes(&mut b, [1, 3]);
    let part = b.reduce_add(&[one], &[three], x.strided(1, &[(three, 1)]));
    b.gradients(part, &[x]);
    let error = b.finish(&[], &[("part", part)]).expect_err("slices have no rule");
    assert!(error.to_string().contains("not read whole"), "{error}");
}

#[test]
fn a_read_of_the_wrong_length_is_refused() {
    let mut b = Builder::new();
    let x = b.input(Source::State(0), &[6], Type::F32);
    let four = b.axis(4);
    let out = b.map(&[four], [x.read(&[four])], |p, [x]| p.neg(x));
    let error = b.finish(&[], &[("out", out)]).expect_err("6 is not 4");
    assert_eq!(error.to_string(), "node 0 has 6 elements, but is read as 4");
}

#[test]
fn masked_exponentials_differentiate() {
    check(&[12], &[0], |b, x, _| {
        let [m, n] = axes(b, [3, 4]);
        let powers = b.map(&[m, n], [x[0].read(&[m, n])], |p, [x]| {
            let (row, column, masked) = (p.coordinate(m), p.coordinate(n), p.constant(-1e30));
            let later = p.less_u(row, column);
            let exponent = p.select(later, masked, x);
            p.exp(exponent)
        });
        let unmasked = b.map(&[m, n], [x[0].read(&[m, n])], |p, [x]| {
            let (row, column, one) = (p.coordinate(m), p.coordinate(n), p.constant(1.0));
            let later = p.less_u(row, column);
            let chosen = p.select(later, one, x);
            p.exp(chosen)
        });
        b.map(&[m, n], [powers.read(&[m, n]), unmasked.read(&[m, n])], |p, [a, c]| p.add(a, c))
    });
}
