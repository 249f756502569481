//! The integer implementation of binary32 against the hardware, on any bits.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use sip_arith::{Arith, Native, Soft};

/// Any bits; or the value before, negated and moved by a few units, so that sums cancel and roundings tie.
fn float(input: &mut Unstructured<'_>, before: u32) -> arbitrary::Result<u32> {
    Ok(match input.int_in_range(0..=3)? {
        0 => (before ^ 0x8000_0000).wrapping_add(input.int_in_range(0..=4)?).wrapping_sub(2),
        1 => input.arbitrary::<u32>()? & (u32::MAX << input.int_in_range(0..=23)?),
        _ => input.arbitrary()?,
    })
}

fn check(a: u32, b: u32, c: u32) {
    assert_eq!(Soft::add(a, b), Native::add(a, b), "{a:#010x} + {b:#010x}");
    assert_eq!(Soft::sub(a, b), Native::sub(a, b), "{a:#010x} − {b:#010x}");
    assert_eq!(Soft::mul(a, b), Native::mul(a, b), "{a:#010x} · {b:#010x}");
    assert_eq!(Soft::div(a, b), Native::div(a, b), "{a:#010x} / {b:#010x}");
    assert_eq!(Soft::fma(a, b, c), Native::fma(a, b, c), "{a:#010x} · {b:#010x} + {c:#010x}");
    assert_eq!(Soft::sqrt(a), Native::sqrt(a), "√{a:#010x}");
    assert_eq!(Soft::from_u32(a), Native::from_u32(a), "{a}");
    assert_eq!(sip_ops::exp::<Soft>(a), sip_ops::exp::<Native>(a), "exp {a:#010x}");
    assert_eq!(sip_ops::log::<Soft>(a), sip_ops::log::<Native>(a), "log {a:#010x}");
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Unstructured::new(bytes);
    while !input.is_empty() {
        let Ok(a) = float(&mut input, 0) else { return };
        let Ok(b) = float(&mut input, a) else { return };
        let Ok(c) = float(&mut input, Native::mul(a, b)) else { return };
        check(a, b, c);
    }
});
