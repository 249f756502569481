//! Products of a matrix with one or a few vectors, as in writing text token by token, beside `gemm` and `matrixmultiply`, in f32:
//! `cargo run --release --bin matvec [threads [part of a case's name]]`.
//!
//! Every sample runs all three in turn; printed are medians. What limits such a product is reading the matrix, so the first lines say how
//! fast this machine reads.

use sip_kernels::{Kernel, Simd, Threads};
use sip_ops::{Kind, NodeSpec, Operand, Source, Type};
use std::time::{Duration, Instant};

struct Case {
    vectors: u32,
    columns: u32,
    terms: u32,
    /// Whether the matrix is stored as [columns, terms], else as [terms, columns].
    transposed: bool,
}

impl Case {
    fn spec(&self) -> NodeSpec {
        let (columns, terms) = (self.columns as i32, self.terms as i32);
        let matrix = if self.transposed { vec![0, terms, 1] } else { vec![0, 1, columns] };
        let operand = |strides: Vec<i32>| Operand { node: 0, offset: 0, index_stride: 0, strides };
        NodeSpec {
            kind: Kind::Contract,
            dtype: Type::F32,
            out_sizes: vec![self.vectors, self.columns],
            reduce_sizes: vec![self.terms],
            operands: vec![operand(vec![terms, 0, 1]), operand(matrix)],
            constraint: None,
            starts_from_operand: false,
            source: Source::State(0),
            program: vec![],
        }
    }

    fn name(&self) -> String {
        let stored = if self.transposed { "x·Wᵀ" } else { "x·W" };
        format!("{stored} {}x{}x{}", self.vectors, self.columns, self.terms)
    }
}

fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn seconds(body: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    body();
    start.elapsed().as_secs_f64()
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Bytes per second at which `threads` threads add up that many words.
fn read_speed(words: usize, pool: &Threads) -> f64 {
    let memory: Vec<u64> = (0..words as u64).collect();
    let samples = (0..15).map(|_| {
        seconds(&mut || {
            pool.run(64, &|task| {
                let part = &memory[task * words / 64..(task + 1) * words / 64];
                let mut sums = [0u64; 32];
                for values in part.chunks_exact(32) {
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = sum.wrapping_add(*value);
                    }
                }
                std::hint::black_box(sums);
            });
        })
    });
    (words * 8) as f64 / median(samples.collect())
}

fn main() {
    let threads: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    // SAFETY: no other thread runs yet; the library reads this on its first use.
    unsafe { std::env::set_var("MATMUL_NUM_THREADS", threads.to_string()) };
    let parallelism = if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
    let pool = Threads::new(threads);
    let simd = Simd::from_environment().expect("SIP_SIMD names a level of this processor");
    for mebibytes in [1, 4, 16, 256] {
        println!("reading {mebibytes} MiB: {:.1} GB/s", read_speed(mebibytes << 17, &pool) / 1e9);
    }
    let mut cases = Vec::new();
    let shapes = [(576, 576), (1536, 576), (576, 1536), (3072, 768), (768, 3072), (49152, 576), (50257, 768)];
    for vectors in [1, 2, 4, 8] {
        for (columns, terms) in shapes {
            for transposed in [true, false] {
                cases.push(Case { vectors, columns, terms, transposed });
            }
        }
    }
    println!("{simd}, {threads} threads; GB/s of the matrix, ours over the better rival");
    println!("{:22} {:>8} {:>8} {:>8} {:>7}", "case", "ours", "gemm", "matmul", "ratio");
    let wanted = std::env::args().nth(2).unwrap_or_default();
    for case in cases.iter().filter(|case| case.name().contains(&wanted)) {
        let (m, n, k) = (case.vectors as usize, case.columns as usize, case.terms as usize);
        let (a, b) = (values(m * k, 1), values(n * k, 2));
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
        let (a_bits, b_bits) = (bits(&a), bits(&b));
        let (column, term) = if case.transposed { (k as isize, 1) } else { (1, n as isize) };
        let mut ours = vec![0u32; m * n];
        let (mut first, mut second) = (vec![0f32; m * n], vec![0f32; m * n]);
        let kernel = Kernel::new(&case.spec(), simd);
        let mut run_ours = || kernel.run(&[&a_bits, &b_bits], &mut ours, &pool).expect("finite values");
        let mut run_gemm = || {
            let (to, a, b) = (first.as_mut_ptr(), a.as_ptr(), b.as_ptr());
            // SAFETY: the strides stay within the matrices.
            unsafe {
                gemm::gemm(
                    m,
                    n,
                    k,
                    to,
                    1,
                    n as isize,
                    false,
                    a,
                    1,
                    k as isize,
                    b,
                    column,
                    term,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    parallelism,
                );
            }
        };
        let mut run_matrixmultiply = || {
            let (to, a, b) = (second.as_mut_ptr(), a.as_ptr(), b.as_ptr());
            // SAFETY: the strides stay within the matrices.
            unsafe { matrixmultiply::sgemm(m, k, n, 1.0, a, k as isize, 1, b, term, column, 0.0, to, n as isize, 1) };
        };
        let mut samples = [Vec::new(), Vec::new(), Vec::new()];
        let begin = Instant::now();
        while samples[0].len() < 9 || (begin.elapsed() < Duration::from_millis(400) && samples[0].len() < 2001) {
            samples[0].push(seconds(&mut run_ours));
            samples[1].push(seconds(&mut run_gemm));
            samples[2].push(seconds(&mut run_matrixmultiply));
        }
        for ((&ours, &first), &second) in ours.iter().zip(&first).zip(&second) {
            let ours = f32::from_bits(ours);
            assert!((ours - first).abs() < 1e-2 && (ours - second).abs() < 1e-2, "{}: results differ", case.name());
        }
        let bytes = (n * k * 4) as f64 / 1e9;
        let [ours, gemm, matrixmultiply] = samples.map(|samples| bytes / median(samples));
        let ratio = ours / gemm.max(matrixmultiply);
        println!("{:22} {ours:8.1} {gemm:8.1} {matrixmultiply:8.1} {ratio:7.2}", case.name());
    }
}
