//! Contractions beside `gemm` and `matrixmultiply`, in f32: `cargo run --release --bin gemm [threads [part of a case's name]]`.
//!
//! Every sample runs all three in turn, so that whatever else the machine does hits all alike; printed are medians.

use sip_kernels::{Kernel, Simd, Threads};
use sip_ops::{Kind, NodeSpec, Operand, Source, Type};
use std::time::{Duration, Instant};

/// Labels of a product of one or several matrices: C[batch, m, n] = Σ_k A · B, with strides (batch, m, n, k) in elements.
struct Case {
    name: String,
    batch: u32,
    sizes: [u32; 3],
    a: [i32; 4],
    b: [i32; 4],
    causal: bool,
}

impl Case {
    fn new(name: &str, [m, n, k]: [u32; 3], a_transposed: bool, b_transposed: bool) -> Case {
        let (m_, n_, k_) = (m as i32, n as i32, k as i32);
        let a = if a_transposed { [0, 1, 0, m_] } else { [0, k_, 0, 1] };
        let b = if b_transposed { [0, 0, k_, 1] } else { [0, 0, 1, n_] };
        Case { name: format!("{name} {m}x{n}x{k}"), batch: 1, sizes: [m, n, k], a, b, causal: false }
    }

    fn spec(&self) -> NodeSpec {
        let [m, n, k] = self.sizes;
        let operand = |strides: [i32; 4]| Operand { node: 0, offset: 0, index_stride: 0, strides: strides.to_vec() };
        NodeSpec {
            kind: Kind::Contract,
            dtype: Type::F32,
            out_sizes: vec![self.batch, m, n],
            reduce_sizes: vec![k],
            operands: vec![operand(self.a), operand(self.b)],
            constraint: self.causal.then_some((2, 1)),
            starts_from_operand: false,
            source: Source::State(0),
            program: vec![],
        }
    }

    fn length(&self, strides: [i32; 4]) -> usize {
        let [m, n, k] = self.sizes;
        [self.batch, m, n, k]
            .iter()
            .zip(strides)
            .map(|(&size, stride)| (size as usize - 1) * stride as usize)
            .sum::<usize>()
            + 1
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

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
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

fn main() {
    let threads: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    // SAFETY: no other thread runs yet; the library reads this on its first use.
    unsafe { std::env::set_var("MATMUL_NUM_THREADS", threads.to_string()) };
    let parallelism = if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
    let pool = Threads::new(threads);
    let simd = Simd::from_environment().expect("SIP_SIMD names a level of this processor");
    let mut cases = Vec::new();
    for [m, n, k] in [[512, 128, 128], [512, 344, 128], [512, 2048, 128], [2048, 384, 1536]] {
        cases.push(Case::new("y = x·Wᵀ", [m, n, k], false, true));
        cases.push(Case::new("dx = dy·W", [m, k, n], false, false));
        cases.push(Case::new("dW = dyᵀ·x", [n, k, m], true, false));
    }
    cases.push(Case::new("y = x·Wᵀ", [1, 1536, 384], false, true));
    cases.push(Case::new("y = x·Wᵀ", [8, 1536, 384], false, true));
    let (heads, t, d) = (4, 128, 32);
    for (causal, mark) in [(false, ""), (true, " causal (ours only)")] {
        // Batches [4, 4] as one label: the heads are dense here, which is all the same to the kernels.
        cases.push(Case {
            name: format!("q·kᵀ 16 of {t}x{t}x{d}{mark}"),
            batch: heads * 4,
            sizes: [t as u32, t as u32, d as u32],
            a: [t * d, d, 0, 1],
            b: [t * d, 0, d, 1],
            causal,
        });
    }
    cases.push(Case {
        name: format!("p·v  16 of {t}x{d}x{t}"),
        batch: heads * 4,
        sizes: [t as u32, d as u32, t as u32],
        a: [t * t, t, 0, 1],
        b: [t * d, 0, 1, d],
        causal: false,
    });
    cases.push(Case {
        name: format!("pᵀ·do 16 of {t}x{d}x{t}"),
        batch: heads * 4,
        sizes: [t as u32, d as u32, t as u32],
        a: [t * t, 1, 0, t],
        b: [t * d, 0, 1, d],
        causal: false,
    });
    println!("{simd}, {threads} threads; GFLOP/s, ours over the better rival");
    println!("{:34} {:>8} {:>8} {:>8} {:>7}", "case", "ours", "gemm", "matmul", "ratio");
    let wanted = std::env::args().nth(2).unwrap_or_default();
    for case in cases.iter().filter(|case| case.name.contains(&wanted)) {
        let [m, n, k] = case.sizes.map(|size| size as usize);
        let (a, b) = (values(case.length(case.a), 1), values(case.length(case.b), 2));
        let (a_bits, b_bits) = (bits(&a), bits(&b));
        let len = case.batch as usize * m * n;
        let mut ours = vec![0u32; len];
        let (mut first, mut second) = (vec![0f32; len], vec![0f32; len]);
        let kernel = Kernel::new(&case.spec(), simd);
        let mut run_ours = || kernel.run(&[&a_bits, &b_bits], &mut ours, &pool).expect("finite values");
        let mut run_gemm = || {
            for batch in 0..case.batch as usize {
                // SAFETY: the strides stay within the matrices.
                unsafe {
                    gemm::gemm(
                        m,
                        n,
                        k,
                        first.as_mut_ptr().add(batch * m * n),
                        1,
                        n as isize,
                        false,
                        a.as_ptr().add(batch * case.a[0] as usize),
                        case.a[3] as isize,
                        case.a[1] as isize,
                        b.as_ptr().add(batch * case.b[0] as usize),
                        case.b[2] as isize,
                        case.b[3] as isize,
                        0.0,
                        1.0,
                        false,
                        false,
                        false,
                        parallelism,
                    );
                }
            }
        };
        let mut run_matrixmultiply = || {
            for batch in 0..case.batch as usize {
                // SAFETY: the strides stay within the matrices.
                unsafe {
                    matrixmultiply::sgemm(
                        m,
                        k,
                        n,
                        1.0,
                        a.as_ptr().add(batch * case.a[0] as usize),
                        case.a[1] as isize,
                        case.a[3] as isize,
                        b.as_ptr().add(batch * case.b[0] as usize),
                        case.b[3] as isize,
                        case.b[2] as isize,
                        0.0,
                        second.as_mut_ptr().add(batch * m * n),
                        n as isize,
                        1,
                    );
                }
            }
        };
        let mut samples = [Vec::new(), Vec::new(), Vec::new()];
        let begin = Instant::now();
        while samples[0].len() < 15 || (begin.elapsed() < Duration::from_millis(600) && samples[0].len() < 2001) {
            samples[0].push(seconds(&mut run_ours));
            samples[1].push(seconds(&mut run_gemm));
            samples[2].push(seconds(&mut run_matrixmultiply));
        }
        if !case.causal {
            for ((&ours, &first), &second) in ours.iter().zip(&first).zip(&second) {
                let ours = f32::from_bits(ours);
                assert!((ours - first).abs() < 1e-2 && (ours - second).abs() < 1e-2, "{}: results differ", case.name);
            }
        }
        let operations = 2.0 * (len * k) as f64 / 1e9;
        let [ours, gemm, matrixmultiply] = samples.map(|samples| operations / median(samples));
        let ratio = ours / gemm.max(matrixmultiply);
        println!("{:34} {ours:8.1} {gemm:8.1} {matrixmultiply:8.1} {ratio:7.2}", case.name);
    }
}
