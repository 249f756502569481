//! Contractions beside `gemm`, `matrixmultiply` and `faer`, in f32, over the products of language models.
//!
//! ```sh
//! cargo run --release --bin gemm                                            # AVX2 and AVX-512, one thread and two
//! cargo run --release --bin gemm -- --simd avx512 --threads 2 --json 12m    # the cases whose name has "12m"
//! ```
//! Every sample runs all four in turn, so that whatever else the machine does hits all alike. Printed are billions of fused multiply-adds
//! per second (medians), and the median over the samples of the best rival's time by ours. The rivals choose their own instructions, ours
//! are limited to the level named.

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
    constraint: Option<(u8, u8)>,
}

impl Case {
    /// One product; a transposed A has its rows m along the innermost label, a transposed B its terms k.
    fn new(name: &str, [m, n, k]: [u32; 3], a_transposed: bool, b_transposed: bool) -> Case {
        let (m_, n_, k_) = (m as i32, n as i32, k as i32);
        let a = if a_transposed { [0, 1, 0, m_] } else { [0, k_, 0, 1] };
        let b = if b_transposed { [0, 0, k_, 1] } else { [0, 0, 1, n_] };
        Case { name: format!("{name} {m}x{n}x{k}"), batch: 1, sizes: [m, n, k], a, b, constraint: None }
    }

    /// As many products as there are heads in a batch.
    fn batched(name: &str, batch: u32, sizes: [u32; 3], a_transposed: bool, b_transposed: bool) -> Case {
        let mut case = Case::new(name, sizes, a_transposed, b_transposed);
        let [m, n, k] = sizes.map(|size| size as i32);
        (case.a[0], case.b[0]) = (m * k, n * k);
        Case { name: format!("{} x {batch}", case.name), batch, ..case }
    }

    /// The same with a causal constraint between two of the labels (batch, m, n, k); rivals compute the whole.
    fn causal(self, small: u8, large: u8) -> Case {
        Case { name: format!("{} causal", self.name), constraint: Some((small, large)), ..self }
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
            constraint: self.constraint,
            starts_from_operand: false,
            source: Source::State(0),
            program: vec![],
        }
    }

    fn length(&self, strides: [i32; 4]) -> usize {
        let [m, n, k] = self.sizes;
        let sizes = [self.batch, m, n, k];
        sizes.iter().zip(strides).map(|(&size, stride)| (size as usize - 1) * stride as usize).sum::<usize>() + 1
    }
}

/// The products of a step of training, and of generation.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // (model, tokens, width, inner width, vocabulary)
    for (model, t, d, f, v) in
        [("small", 512, 128, 344, 2048), ("12m", 2048, 384, 1024, 4096), ("124m", 1024, 768, 3072, 0)]
    {
        for (n, k) in [(d, d), (f, d), (d, f), (v, d)] {
            if n == 0 {
                continue;
            }
            cases.push(Case::new(&format!("{model} y = x·Wᵀ"), [t, n, k], false, true));
            cases.push(Case::new(&format!("{model} dx = dy·W"), [t, k, n], false, false));
            cases.push(Case::new(&format!("{model} dW = dyᵀ·x"), [n, k, t], true, false));
        }
    }
    // As the 12m graph orders it: outputs are the features, the tokens run along the vectors.
    for (m, k) in [(384, 384), (1024, 384), (384, 1024), (4096, 384)] {
        cases.push(Case::new("12m yᵀ = W·xᵀ", [m, 2048, k], false, true));
    }
    for (model, heads, t, d) in [("small", 16, 128, 32), ("12m", 48, 256, 64), ("124m", 12, 1024, 64)] {
        let scores = || Case::batched(&format!("{model} q·kᵀ"), heads, [t, t, d], false, true);
        let values = || Case::batched(&format!("{model} p·v"), heads, [t, d, t], false, false);
        let gradients = || Case::batched(&format!("{model} pᵀ·do"), heads, [t, d, t], true, false);
        cases.extend([scores(), values(), gradients()]);
        cases.extend([scores().causal(2, 1), values().causal(3, 1), gradients().causal(1, 3)]);
    }
    cases.push(Case::new("decode y = x·Wᵀ", [1, 1536, 384], false, true));
    cases.push(Case::new("decode y = x·Wᵀ", [8, 1536, 384], false, true));
    cases.push(Case::new("large", [1024, 1024, 1024], false, false));
    cases.push(Case::new("edges y = x·Wᵀ", [509, 347, 129], false, true));
    cases
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

/// What the machine can do at most.
mod peak {
    use sip_kernels::{Simd, Threads};
    use std::hint::black_box;
    use std::time::Instant;

    const ROUNDS: usize = 200_000;
    /// Independent chains: more than a processor has fused multiply-adds in flight.
    const CHAINS: usize = 12;

    #[inline(always)]
    fn chains<const LANES: usize>() -> f32 {
        let (a, b) = (black_box([0.999f32; LANES]), black_box([1e-3f32; LANES]));
        let mut sums = [[0.1f32; LANES]; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                for lane in 0..LANES {
                    sum[lane] = a[lane].mul_add(b[lane], sum[lane]);
                }
            }
        }
        sums.iter().flatten().sum()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2() -> f32 {
        chains::<8>()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn avx512() -> f32 {
        use std::arch::x86_64::*;
        // Written out, as the compiler prefers vectors of 256 bits.
        let (a, b) = (black_box(_mm512_set1_ps(0.999)), black_box(_mm512_set1_ps(1e-3)));
        let mut sums = [_mm512_set1_ps(0.1); CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(a, b, *sum);
            }
        }
        sums.iter().map(|&sum| _mm512_reduce_add_ps(sum)).sum()
    }

    /// Best of several runs, in 1e9 fused multiply-adds per second.
    pub fn multiply_adds(simd: Simd, pool: &Threads) -> f64 {
        let threads = pool.count();
        let (lanes, run): (usize, fn() -> f32) = match simd {
            // SAFETY: the caller passes a level that the processor has.
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => (8, || unsafe { avx2() }),
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => (16, || unsafe { avx512() }),
            _ => (4, chains::<4>),
        };
        let tasks = threads;
        best(100, || {
            pool.run(tasks, &|_| {
                black_box(run());
            });
            (tasks * ROUNDS * CHAINS * lanes) as f64
        })
    }

    /// Best of several runs over memory that no cache holds, in 1e9 bytes per second.
    pub fn read_bytes(pool: &Threads) -> f64 {
        let memory = vec![1u64; 32 << 20];
        let parts: Vec<&[u64]> = memory.chunks(1 << 18).collect();
        best(5, || {
            pool.run(parts.len(), &|part| {
                black_box(parts[part].iter().fold(0u64, |sum, value| sum ^ value));
            });
            (memory.len() * 8) as f64
        })
    }

    fn best(runs: usize, mut body: impl FnMut() -> f64) -> f64 {
        let sample = |_| {
            let start = Instant::now();
            let amount = body();
            amount / start.elapsed().as_secs_f64() / 1e9
        };
        (0..runs).map(sample).fold(0.0, f64::max)
    }
}

struct Options {
    threads: Vec<usize>,
    simd: Vec<Simd>,
    json: bool,
    seconds: f64,
    wanted: String,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        threads: vec![1, 2],
        simd: vec![Simd::Avx2, Simd::Avx512],
        json: false,
        seconds: 0.5,
        wanted: String::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--threads" => {
                options.threads = vec![value()?.parse().map_err(|_| "--threads needs a number".to_string())?]
            }
            "--seconds" => options.seconds = value()?.parse().map_err(|_| "--seconds needs a number".to_string())?,
            "--simd" => {
                let name = value()?;
                let simd = Simd::ALL.into_iter().find(|simd| simd.to_string() == name);
                options.simd = vec![simd.ok_or(format!("--simd {name:?}: expected scalar, avx2 or avx512"))?];
            }
            "--json" => options.json = true,
            name if !name.starts_with('-') => options.wanted = name.into(),
            _ => {
                return Err(format!(
                    "{argument}: expected --threads n, --simd level, --seconds per case, --json or part of a case's name"
                ));
            }
        }
    }
    options.simd.retain(|simd| simd.is_supported());
    Ok(options)
}

fn main() -> Result<(), String> {
    let options = options()?;
    // SAFETY: no other thread runs yet; the library reads this on its first use.
    unsafe { std::env::set_var("MATMUL_NUM_THREADS", options.threads.iter().max().unwrap_or(&1).to_string()) };
    for &threads in &options.threads {
        for &simd in &options.simd {
            run(&options, threads, simd);
        }
    }
    Ok(())
}

fn run(options: &Options, threads: usize, simd: Simd) {
    let pool = Threads::new(threads);
    let (peak, read) = (peak::multiply_adds(simd, &pool), peak::read_bytes(&pool));
    if options.json {
        println!(
            r#"{{"simd":"{simd}","threads":{threads},"peak_gfma_per_s":{peak:.1},"read_gbytes_per_s":{read:.1}}}"#
        );
    } else {
        println!("{simd}, {threads} threads: at most {peak:.1} G fma/s, {read:.1} GB/s read from memory");
        println!(
            "{:38} {:>7} {:>5} {:>7} {:>7} {:>7} {:>7}",
            "G fma/s", "ours", "peak", "gemm", "matmul", "faer", "ratio"
        );
    }
    let mut ratios = Vec::new();
    for case in cases().iter().filter(|case| case.name.contains(&options.wanted)) {
        let (rates, ratio) = measure(case, simd, &pool, Duration::from_secs_f64(options.seconds));
        let [ours, gemm, matrixmultiply, faer] = rates;
        if options.json {
            println!(
                r#"{{"simd":"{simd}","threads":{threads},"case":"{}","ours_gfma_per_s":{ours:.2},"gemm":{gemm:.2},"matrixmultiply":{matrixmultiply:.2},"faer":{faer:.2},"ratio":{ratio:.3}}}"#,
                case.name
            );
        } else {
            let share = 100.0 * ours / peak;
            println!("{:38} {ours:7.1} {share:4.0}% {gemm:7.1} {matrixmultiply:7.1} {faer:7.1} {ratio:7.2}", case.name);
        }
        ratios.push(ratio);
    }
    if !options.json && !ratios.is_empty() {
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "ratio to the best rival: least {least:.2}, median {:.2} of {} cases",
            median(ratios.clone()),
            ratios.len()
        );
    }
}

/// Billions of fused multiply-adds per second of all four, and the ratio.
fn measure(case: &Case, simd: Simd, pool: &Threads, time: Duration) -> ([f64; 4], f64) {
    let threads = pool.count();
    let [m, n, k] = case.sizes.map(|size| size as usize);
    let (a, b) = (values(case.length(case.a), 1), values(case.length(case.b), 2));
    let (a_bits, b_bits) = (bits(&a), bits(&b));
    let len = case.batch as usize * m * n;
    let mut ours = vec![0u32; len];
    let mut theirs = [vec![0f32; len], vec![0f32; len], vec![0f32; len]];
    let [by_gemm, by_matrixmultiply, by_faer] = &mut theirs;
    let kernel = Kernel::new(&case.spec(), simd);
    let mut run_ours = || kernel.run(&[&a_bits, &b_bits], &mut ours, pool).expect("finite values");
    let strides = |strides: [i32; 4]| strides.map(|stride| stride as isize);
    let ([a_batch, a_m, _, a_k], [b_batch, _, b_n, b_k]) = (strides(case.a), strides(case.b));
    let place = |batch: usize| {
        let (a, b) = (a[batch * a_batch as usize..].as_ptr(), b[batch * b_batch as usize..].as_ptr());
        (a, b, batch * m * n)
    };
    let parallelism = if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
    let mut run_gemm = || {
        for (a, b, c) in (0..case.batch as usize).map(place) {
            let c = by_gemm[c..].as_mut_ptr();
            // SAFETY: the strides stay within the matrices.
            unsafe {
                gemm::gemm(
                    m,
                    n,
                    k,
                    c,
                    1,
                    n as isize,
                    false,
                    a,
                    a_k,
                    a_m,
                    b,
                    b_n,
                    b_k,
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
        for (a, b, c) in (0..case.batch as usize).map(place) {
            let c = by_matrixmultiply[c..].as_mut_ptr();
            // SAFETY: the strides stay within the matrices.
            unsafe { matrixmultiply::sgemm(m, k, n, 1.0, a, a_m, a_k, b, b_k, b_n, 0.0, c, n as isize, 1) };
        }
    };
    let mut run_faer = || {
        let parallelism = if threads > 1 { faer::Par::rayon(threads) } else { faer::Par::Seq };
        for (a, b, c) in (0..case.batch as usize).map(place) {
            let c = by_faer[c..].as_mut_ptr();
            // SAFETY: the strides stay within the matrices, and C is written by this call alone.
            let (a, b, c) = unsafe {
                (
                    faer::MatRef::from_raw_parts(a, m, k, a_m, a_k),
                    faer::MatRef::from_raw_parts(b, k, n, b_k, b_n),
                    faer::MatMut::from_raw_parts_mut(c, m, n, n as isize, 1),
                )
            };
            faer::linalg::matmul::matmul(c, faer::Accum::Replace, a, b, 1.0, parallelism);
        }
    };
    let mut samples: [Vec<f64>; 4] = Default::default();
    let begin = Instant::now();
    while samples[0].len() < 7 || (begin.elapsed() < time && samples[0].len() < 2001) {
        let bodies: [&mut dyn FnMut(); 4] = [&mut run_ours, &mut run_gemm, &mut run_matrixmultiply, &mut run_faer];
        for (body, samples) in bodies.into_iter().zip(&mut samples) {
            samples.push(seconds(body));
        }
    }
    if case.constraint.is_none() {
        for (at, &ours) in ours.iter().enumerate() {
            let ours = f32::from_bits(ours);
            let agree = theirs.iter().all(|theirs| (ours - theirs[at]).abs() < 1e-2);
            assert!(agree, "{}: results differ at {at}", case.name);
        }
    }
    // The best rival is the one with the least median; its ratio is that of the pairs.
    let medians = samples.clone().map(median);
    let best = (1..4).min_by(|&x, &y| medians[x].total_cmp(&medians[y])).unwrap_or(1);
    let ratio = median(samples[best].iter().zip(&samples[0]).map(|(rival, ours)| rival / ours).collect());
    let multiply_adds = (len * k) as f64 / 1e9;
    (medians.map(|time| multiply_adds / time), ratio)
}
