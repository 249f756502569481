//! Exponential and logarithm as fixed chains of `Arith` operations.

use sip_arith::{Arith, INFINITY, NAN, less_than};

const ONE: u32 = 0x3F80_0000;

/// eˣ as a fixed chain of operations, less than 1 unit in the last place off: x = n·ln 2 + r, a polynomial in r,
/// then two exact scalings by powers of two so that subnormal results are rounded once.
pub fn exp<A: Arith>(x: u32) -> u32 {
    // 88.72284 is the greatest argument with a finite result; below −103.97208 the result rounds to 0.
    if x & 0x7FFF_FFFF > INFINITY {
        return NAN;
    }
    if less_than(0x42B1_7218, x) {
        return INFINITY;
    }
    if less_than(x, 0xC2CF_F1B4) {
        return 0;
    }
    const MAGIC: u32 = 0x4B40_0000; // 1.5·2²³: adding it rounds to an integer
    let shifted = A::fma(x, 0x3FB8_AA3B, MAGIC); // log₂ e
    let n = A::sub(shifted, MAGIC);
    let r = A::fma(n, 0xBF31_7200, x); // −ln 2, upper bits
    let r = A::fma(n, 0xB5BF_BE8E, r); // −ln 2, lower bits
    let mut p = 0x3950_0D01; // 1/5040
    for c in [0x3AB6_0B61, 0x3C08_8889, 0x3D2A_AAAB, 0x3E2A_AAAB, 0x3F00_0000, ONE, ONE] {
        p = A::fma(p, r, c);
    }
    let exponent = shifted.wrapping_sub(MAGIC) as i32;
    let half = exponent >> 1;
    let first = (half.wrapping_add(127) as u32) << 23;
    let second = (exponent.wrapping_sub(half).wrapping_add(127) as u32) << 23;
    A::mul(A::mul(p, first), second)
}

/// ln x as a fixed chain of operations, less than 1 unit in the last place off.
pub fn log<A: Arith>(x: u32) -> u32 {
    if x & 0x7FFF_FFFF == 0 {
        return sip_arith::NEGATIVE_INFINITY;
    }
    if x >= INFINITY {
        return if x == INFINITY { INFINITY } else { NAN };
    }
    // Subnormals are scaled by 2²³ first.
    let (scaled, bias) = if x < 0x0080_0000 { (A::mul(x, 0x4B00_0000), 23u32) } else { (x, 0) };
    // x = m·2ᵉ with m in [√½, √2).
    let shifted = scaled.wrapping_add(ONE.wrapping_sub(0x3F35_04F3));
    let e = (shifted >> 23) as i32 - 127 - bias as i32;
    let m = (shifted & 0x007F_FFFF).wrapping_add(0x3F35_04F3);
    let e_magnitude = A::from_u32(e.unsigned_abs());
    let e = if e < 0 { e_magnitude ^ 0x8000_0000 } else { e_magnitude };
    let f = A::sub(m, ONE);
    let z = A::mul(f, f);
    let mut p = 0x3D90_21BB; // Cephes logf polynomial
    for c in [0xBDEB_D1B8, 0x3DEF_251A, 0xBDFE_5D4F, 0x3E11_E9BF, 0xBE2A_AE50, 0x3E4C_CEAC, 0xBE7F_FFFC, 0x3EAA_AAAA] {
        p = A::fma(p, f, c);
    }
    let y = A::mul(A::mul(f, z), p);
    let y = A::fma(e, 0xB95E_8083, y); // −2.12194440e−4
    let y = A::fma(0xBF00_0000, z, y);
    let y = A::add(f, y);
    A::fma(e, 0x3F31_8000, y) // 0.693359375
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_arith::Native;

    /// The distance between a result and the true value, in units in the last place of the true value.
    fn distance(got: u32, truth: f64) -> f64 {
        let got = f32::from_bits(got);
        if truth.is_nan() {
            return if got.to_bits() == NAN { 0.0 } else { f64::INFINITY };
        }
        let rounded = truth as f32;
        if rounded.is_infinite() || got.is_infinite() {
            return if rounded == got { 0.0 } else { f64::INFINITY };
        }
        let exponent = (truth.abs().to_bits() >> 52).max(1023 - 126) as i32 - 1023;
        (got as f64 - truth).abs() / 2f64.powi(exponent - 23)
    }

    /// The greatest distance of exp and of log over every `stride`th input.
    fn worst(first: u64, end: u64, stride: u64) -> [(f64, u32); 2] {
        let mut worst = [(0.0, 0); 2];
        let mut x = first;
        while x < end {
            let bits = x as u32;
            let value = f32::from_bits(bits) as f64;
            let results = [(exp::<Native>(bits), value.exp()), (log::<Native>(bits), value.ln())];
            for (worst, (got, truth)) in worst.iter_mut().zip(results) {
                let distance = distance(got, truth);
                if distance > worst.0 {
                    *worst = (distance, bits);
                }
            }
            x += stride;
        }
        worst
    }

    #[test]
    fn exp_and_log_are_within_1_unit_in_the_last_place() {
        for (distance, x) in worst(0, 1 << 32, 1009) {
            assert!(distance < 1.0, "{distance} at {x:#010x}");
        }
    }

    #[test]
    #[ignore = "all 2^32 inputs take some minutes"]
    fn exp_and_log_are_within_1_unit_in_the_last_place_on_every_input() {
        let threads = 8u64;
        let all: Vec<_> = std::thread::scope(|scope| {
            let part = (1u64 << 32) / threads;
            let runs: Vec<_> = (0..threads).map(|t| scope.spawn(move || worst(t * part, (t + 1) * part, 1))).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        for function in 0..2 {
            let (distance, x) =
                all.iter().map(|part| part[function]).fold((0.0, 0), |a, b| if b.0 > a.0 { b } else { a });
            println!("function {function}: {distance} at {x:#010x}");
            assert!(distance < 1.0, "{distance} at {x:#010x}");
        }
    }
}
