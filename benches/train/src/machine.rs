//! What the machine can do at most: multiply-adds per second, and bytes per second from memory.

use std::sync::Barrier;
use std::time::Instant;

/// Independent chains: enough to hide the latency of a multiply-add on every processor of today, few enough for registers.
const CHAINS: usize = 12;
const ROUNDS: usize = 2_000_000;
/// Bytes that each thread reads, more than its share of any cache.
const READ_BYTES: usize = 512 << 20;

/// Greatest measured rates of `threads` threads together.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Billions of f32 operations per second; a multiply-add is two.
    pub gflops: f64,
    /// Gigabytes per second that can be read from memory.
    pub read_gb_per_second: f64,
}

impl Machine {
    /// Measures for a second or two.
    pub fn measure(threads: usize) -> Machine {
        let gflops = (0..20).map(|_| multiply_add_rate(threads)).fold(0.0, f64::max);
        Machine { gflops, read_gb_per_second: read_rate(threads) }
    }
}

/// Runs the same work on every thread; the units of all threads per second.
fn together(threads: usize, units: f64, work: impl Fn() + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let seconds: f64 = std::thread::scope(|scope| {
        let run = || {
            barrier.wait();
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64()
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        handles.into_iter().filter_map(|handle| handle.join().ok()).fold(0.0, f64::max)
    });
    units * threads as f64 / seconds
}

fn multiply_add_rate(threads: usize) -> f64 {
    let operations = (2 * LANES * CHAINS * ROUNDS) as f64;
    together(threads, operations, || {
        let (factor, term) = (splat(std::hint::black_box(0.999)), splat(std::hint::black_box(0.001)));
        let mut chains = [splat(1.0); CHAINS];
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = multiply_add(*chain, factor, term);
            }
        }
        std::hint::black_box(chains);
    }) / 1e9
}

// The widest vector that the compiler was told of; `.cargo/config.toml` tells it of this processor's.
cfg_select! {
    target_feature = "avx512f" => {
        use std::arch::x86_64::{__m512 as Vector, _mm512_fmadd_ps, _mm512_set1_ps};
        fn splat(value: f32) -> Vector {
            // SAFETY: this is compiled only where the processor has AVX-512.
            unsafe { _mm512_set1_ps(value) }
        }
        fn multiply_add(a: Vector, b: Vector, c: Vector) -> Vector {
            // SAFETY: as above.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
    }
    all(target_feature = "avx2", target_feature = "fma") => {
        use std::arch::x86_64::{__m256 as Vector, _mm256_fmadd_ps, _mm256_set1_ps};
        fn splat(value: f32) -> Vector {
            // SAFETY: this is compiled only where the processor has AVX2 and FMA.
            unsafe { _mm256_set1_ps(value) }
        }
        fn multiply_add(a: Vector, b: Vector, c: Vector) -> Vector {
            // SAFETY: as above.
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
    }
    _ => {
        type Vector = [f32; 4];
        fn splat(value: f32) -> Vector {
            [value; 4]
        }
        fn multiply_add(a: Vector, b: Vector, c: Vector) -> Vector {
            std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
        }
    }
}
const LANES: usize = size_of::<Vector>() / 4;

fn read_rate(threads: usize) -> f64 {
    let words = READ_BYTES / 8 / threads.max(1);
    let memory: Vec<Vec<u64>> = (0..threads).map(|seed| vec![seed as u64 + 1; words]).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let rate = (0..8).map(|_| {
        together(threads, (words * 8) as f64, || {
            let own = &memory[next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % threads];
            std::hint::black_box(own.iter().fold(0, |all, word| all ^ word));
        })
    });
    rate.fold(0.0, f64::max) / 1e9
}
