//! The genesis state of a job from its seed, as a graph: weights uniform, norms 1, moments 0.

use crate::export::LlamaConfig;
use crate::llama::{ModelError, ParamSpec, params};
use crate::update::Outer;
use sip_graph::{Buffer, Builder, Executor, ExecutorOptions, Graph, Inputs, Program, Tensor, Value};
use sip_kernels::Threads;
use std::sync::Arc;

/// Standard deviation of the weights; projections into the residual stream have 1/√(2 · layers) of it.
const DEVIATION: f64 = 0.02;

/// The genesis state as a graph without inputs: state output i is entry i (weights, first moments, second moments).
///
/// Element e of matrix n is uniform in ±σ√3: an integer hash of (seed, n, e) keeps 24 bits, which convert exactly.
///
/// # Errors
/// A shape that is out of range.
pub fn init_graph(config: &LlamaConfig, seed: u64) -> Result<Graph, ModelError> {
    weights_and_zeros(config, seed, 2)
}

/// The same of a job that exchanges updates: its first base, which is the weights and, where the outer step has a momentum, a zero for each.
///
/// # Errors
/// A shape that is out of range.
pub fn init_base_graph(config: &LlamaConfig, seed: u64, outer: Outer) -> Result<Graph, ModelError> {
    weights_and_zeros(config, seed, usize::from(outer != Outer::Mean))
}

/// The weights, then a zero for each of them, `zeros` times.
fn weights_and_zeros(config: &LlamaConfig, seed: u64, zeros: usize) -> Result<Graph, ModelError> {
    config.validate()?;
    let mut b = Builder::new();
    let params = params(config);
    let mut outputs: Vec<Tensor> = Vec::with_capacity(params.len() * (1 + zeros));
    for (index, spec) in params.iter().enumerate() {
        outputs.push(match spec.shape.len() {
            1 => {
                let all = b.axis(spec.len());
                b.map(&[all], [], |p, _: [Value; 0]| p.constant(1.0))
            }
            _ => uniform(&mut b, spec.len(), seed, index, deviation(config, spec) * 3f64.sqrt()),
        });
    }
    for _ in 0..zeros {
        for spec in &params {
            let all = b.axis(spec.len());
            outputs.push(b.map(&[all], [], |p, _: [Value; 0]| p.constant(0.0)));
        }
    }
    Ok(b.finish(&outputs, &[])?)
}

/// The genesis state: the outcome of [`init_graph`].
///
/// # Errors
/// A shape that is out of range.
pub fn init(config: &LlamaConfig, seed: u64, threads: &Arc<Threads>) -> Result<Vec<Buffer>, ModelError> {
    build(init_graph(config, seed)?, threads)
}

/// What a graph without inputs gives.
pub(crate) fn build(graph: Graph, threads: &Arc<Threads>) -> Result<Vec<Buffer>, ModelError> {
    let graph = Arc::new(graph);
    let length = |&node: &u32| Buffer::new(graph.nodes()[node as usize].len());
    let mut state: Vec<Buffer> = graph.state_outputs().iter().map(length).collect();
    let mut executor = Executor::new(Arc::clone(&graph), Arc::clone(threads), ExecutorOptions::default());
    let inputs = Inputs { state: &[], batch: &[], step: 0, tables: &[], settings: &[] };
    executor.run(&inputs, &mut state, None)?;
    Ok(state)
}

/// `len` elements of tensor `number`, uniform in ±`bound`.
pub(crate) fn uniform(b: &mut Builder, len: usize, seed: u64, number: usize, bound: f64) -> Tensor {
    let all = b.axis(len);
    b.map(&[all], [], |p, _: [Value; 0]| {
        let mut stream = seed ^ (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let key = next_random(&mut stream);
        let element = p.coordinate(all);
        let first = p.constant_u(key as u32);
        let mixed = p.add_u(element, first);
        let mixed = mix(p, mixed);
        let second = p.constant_u((key >> 32) as u32);
        let mixed = p.xor(mixed, second);
        let mixed = mix(p, mixed);
        let eight = p.constant_u(8);
        let integer = p.shr(mixed, eight);
        let value = p.from_u(integer);
        // The middle of the 2^24 values.
        let middle = p.constant(8_388_607.5);
        let centred = p.sub(value, middle);
        let scale = p.constant((bound / 8_388_608.0) as f32);
        p.mul(centred, scale)
    })
}

fn deviation(config: &LlamaConfig, spec: &ParamSpec) -> f64 {
    let residual = spec.name.ends_with("o_proj.weight") || spec.name.ends_with("down_proj.weight");
    if residual { DEVIATION / (2.0 * config.num_layers as f64).sqrt() } else { DEVIATION }
}

/// A bijection of 32 bits that flips half of the output bits for any flipped input bit.
fn mix(p: &mut Program, value: Value) -> Value {
    let mut value = value;
    for (shift, factor) in [(16, Some(0x7FEB_352D)), (15, Some(0x846C_A68B)), (16, None)] {
        let shift = p.constant_u(shift);
        let shifted = p.shr(value, shift);
        value = p.xor(value, shifted);
        if let Some(factor) = factor {
            let factor = p.constant_u(factor);
            value = p.mul_u(value, factor);
        }
    }
    value
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
