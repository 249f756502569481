//! Maps and reductions in nanoseconds per element and gigabytes per second: `cargo run --release --bin pointwise [threads]`.

use sip_kernels::{Kernel, Simd, Threads};
use sip_ops::{Instruction, Kind, NodeSpec, Opcode, Operand, Source, Type};
use std::time::Instant;

fn spec(kind: Kind, out: &[u32], reduce: &[u32], operands: &[&[i32]], program: &[(Opcode, u8, u8, u8)]) -> NodeSpec {
    NodeSpec {
        kind,
        dtype: Type::F32,
        out_sizes: out.to_vec(),
        reduce_sizes: reduce.to_vec(),
        operands: operands
            .iter()
            .map(|strides| Operand { node: 0, offset: 0, index_stride: 0, strides: strides.to_vec() })
            .collect(),
        constraint: None,
        starts_from_operand: false,
        source: Source::State(0),
        program: program
            .iter()
            .map(|&(opcode, a, b, c)| Instruction { opcode: opcode as u8, a, b, c, immediate: 0x3F80_0000 })
            .collect(),
    }
}

fn main() {
    let threads: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    let pool = Threads::new(threads);
    let simd = Simd::from_environment().expect("SIP_SIMD names a level of this processor");
    let (rows, width) = (512u32, 512u32);
    let w = width as i32;
    let dense: &[i32] = &[w, 1];
    use Opcode::*;
    let cases: Vec<(&str, NodeSpec)> = vec![
        ("a + b", spec(Kind::Map, &[rows, width], &[], &[dense, dense], &[(Add, 0, 1, 0)])),
        ("a · row + column", spec(Kind::Map, &[rows, width], &[], &[dense, &[1, 0], &[0, 1]], &[(Fma, 0, 1, 2)])),
        ("aᵀ + b", spec(Kind::Map, &[rows, width], &[], &[&[1, w], dense], &[(Add, 0, 1, 0)])),
        ("exp(a − row)", spec(Kind::Map, &[rows, width], &[], &[dense, &[1, 0]], &[(Sub, 0, 1, 0), (Exp, 2, 0, 0)])),
        (
            "log(a)",
            spec(
                Kind::Map,
                &[rows, width],
                &[],
                &[dense],
                &[(Abs, 0, 0, 0), (ConstF, 0, 0, 0), (Add, 1, 2, 0), (Log, 3, 0, 0)],
            ),
        ),
        (
            "silu(a) · b",
            spec(
                Kind::Map,
                &[rows, width],
                &[],
                &[dense, dense],
                &[(Neg, 0, 0, 0), (Exp, 2, 0, 0), (ConstF, 0, 0, 0), (Add, 3, 4, 0), (Div, 0, 5, 0), (Mul, 6, 1, 0)],
            ),
        ),
        (
            "adam-like",
            spec(
                Kind::Map,
                &[rows, width],
                &[],
                &[dense, dense, dense, dense, &[0, 0]],
                &[
                    (Mul, 0, 4, 0),
                    (Fma, 1, 4, 5),
                    (Mul, 2, 2, 0),
                    (Fma, 7, 4, 6),
                    (Sqrt, 7, 0, 0),
                    (ConstF, 0, 0, 0),
                    (Add, 9, 10, 0),
                    (Div, 8, 11, 0),
                    (Fma, 12, 4, 3),
                ],
            ),
        ),
        ("sum of rows", spec(Kind::ReduceAdd, &[rows], &[width], &[&[w, 1]], &[])),
        ("max of rows", spec(Kind::ReduceMax, &[rows], &[width], &[&[w, 1]], &[])),
        ("sum of columns", spec(Kind::ReduceAdd, &[width], &[rows], &[&[1, w]], &[])),
    ];
    println!("{simd}, {threads} threads, {rows} x {width}");
    println!("{:20} {:>12} {:>8}", "case", "ns/element", "GB/s");
    for (name, spec) in &cases {
        let elements = (rows * width) as usize;
        let tensor: Vec<u32> = (0..elements).map(|i| ((i % 977) as f32 / 977.0 + 0.5).to_bits()).collect();
        let operands: Vec<&[u32]> = spec.operands.iter().map(|_| &tensor[..]).collect();
        let mut out = vec![0; spec.len()];
        let kernel = Kernel::new(spec, simd);
        let mut samples: Vec<f64> = (0..200)
            .map(|_| {
                let start = Instant::now();
                kernel.run(&operands, &mut out, &pool).expect("finite values");
                start.elapsed().as_secs_f64()
            })
            .collect();
        samples.sort_by(f64::total_cmp);
        let time = samples[samples.len() / 2];
        let dense = spec.operands.iter().filter(|operand| operand.strides.iter().all(|&stride| stride != 0)).count();
        let bytes = 4.0 * (dense * elements + spec.len()) as f64;
        println!("{name:20} {:12.3} {:8.1}", time * 1e9 / elements as f64, bytes / time / 1e9);
    }
}
