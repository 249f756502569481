//! Products of signed bytes beside the same products of f32, both ours: `cargo run --release --bin contract_i8 [threads]`.
//!
//! Every sample runs both in turn; printed are medians, in thousand million multiplications and additions per second.

use sip_kernels::{Kernel, Simd, Threads};
use sip_ops::{Kind, NodeSpec, Operand, Source, Type};
use std::time::{Duration, Instant};

/// y [m, n] = x [m, terms] · W [n, terms]ᵀ
fn spec(kind: Kind, dtype: Type, [m, n, terms]: [u32; 3]) -> NodeSpec {
    let terms_i = terms as i32;
    let operand = |strides: Vec<i32>| Operand { node: 0, offset: 0, index_stride: 0, strides };
    NodeSpec {
        kind,
        dtype,
        out_sizes: vec![m, n],
        reduce_sizes: vec![terms],
        operands: vec![operand(vec![terms_i, 0, 1]), operand(vec![0, terms_i, 1])],
        constraint: None,
        starts_from_operand: false,
        source: Source::State(0),
        program: vec![],
    }
}

fn seconds(body: impl FnOnce()) -> f64 {
    let start = Instant::now();
    body();
    start.elapsed().as_secs_f64()
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn main() {
    let threads: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    let pool = Threads::new(threads);
    let simd = Simd::from_environment().expect("SIP_SIMD names a level of this processor");
    println!("{simd}, {threads} threads; thousand million operations per second, bytes over f32");
    println!("{:20} {:>8} {:>8} {:>7}", "case", "bytes", "f32", "ratio");
    let shapes = [
        [1, 576, 576],
        [1, 1536, 576],
        [1, 49152, 576],
        [8, 1536, 576],
        [128, 1536, 576],
        [512, 2048, 512],
        [512, 1536, 2048],
    ];
    for [m, n, k] in shapes {
        let numbers: Vec<f32> =
            (0..(m.max(n) * k) as usize).map(|i| ((i * 7919 % 1009) as f32 - 504.0) / 504.0).collect();
        let floats: Vec<u32> = numbers.iter().map(|x| x.to_bits()).collect();
        let words: Vec<u32> = (0..(m.max(n) * k / 4) as usize).map(|i| (i as u32).wrapping_mul(0x9E37_79B9)).collect();
        let bytes = Kernel::new(&spec(Kind::ContractI8, Type::U32, [m, n, k / 4]), simd);
        let float = Kernel::new(&spec(Kind::Contract, Type::F32, [m, n, k]), simd);
        let mut out = vec![0u32; (m * n) as usize];
        let mut samples = [Vec::new(), Vec::new()];
        let begin = Instant::now();
        while samples[0].len() < 9 || (begin.elapsed() < Duration::from_millis(500) && samples[0].len() < 2001) {
            samples[0].push(seconds(|| bytes.run(&[&words, &words], &mut out, &pool).expect("in range")));
            samples[1].push(seconds(|| float.run(&[&floats, &floats], &mut out, &pool).expect("finite values")));
        }
        let operations = 2.0 * m as f64 * n as f64 * k as f64 / 1e9;
        let [bytes, float] = samples.map(|samples| operations / median(samples));
        println!("{:20} {bytes:8.1} {float:8.1} {:7.2}", format!("{m}x{n}x{k}"), bytes / float);
    }
}
