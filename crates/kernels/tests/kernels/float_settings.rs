//! Settings of the floating point unit that change bits are noticed.
#![cfg(target_arch = "x86_64")]

use sip_arith::{Arith, Soft};
use sip_kernels::{Fault, Kernel, Simd, Threads};
use sip_ops::{Instruction, Kind, NodeSpec, Opcode, Operand, Source, Type};
use std::arch::asm;

/// Sets the control register for as long as `body` runs.
fn with_settings<T>(bits: u32, body: impl FnOnce() -> T) -> T {
    let mut before = 0u32;
    // SAFETY: reads the register into `before`.
    unsafe { asm!("stmxcsr [{}]", in(reg) &mut before, options(nostack)) };
    let set = |value: u32| {
        // SAFETY: only flags of flushing and rounding change, and they are put back.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &value, options(nostack, readonly)) }
    };
    set(before | bits);
    let outcome = body();
    set(before);
    outcome
}

/// x · x, whose result is subnormal for the values given.
fn squares(len: usize) -> (Kernel, Vec<u32>, Vec<u32>) {
    let operand = Operand { node: 0, offset: 0, index_stride: 0, strides: vec![1] };
    let spec = NodeSpec {
        kind: Kind::Map,
        dtype: Type::F32,
        out_sizes: vec![len as u32],
        reduce_sizes: Vec::new(),
        operands: vec![operand],
        constraint: None,
        starts_from_operand: false,
        source: Source::State(0),
        program: vec![Instruction { opcode: Opcode::Mul as u8, a: 0, b: 0, c: 0, immediate: 0 }],
    };
    let values: Vec<u32> = (0..len).map(|i| (1e-20 + i as f32 * 1e-25).to_bits()).collect();
    let expected = values.iter().map(|&x| Soft::mul(x, x)).collect();
    (Kernel::new(&spec, Simd::detect()), values, expected)
}

const FLUSH: u32 = 1 << 15;
const TAKE_AS_ZERO: u32 = 1 << 6;
const ROUND_DOWN: u32 = 1 << 13;
const ROUND_UP: u32 = 1 << 14;
const TRUNCATE: u32 = ROUND_DOWN | ROUND_UP;

#[test]
fn a_thread_that_drops_small_numbers_or_rounds_otherwise_runs_nothing() {
    let (kernel, values, expected) = squares(64);
    let threads = Threads::new(1);
    let mut out = vec![0; 64];
    for bits in [FLUSH, TAKE_AS_ZERO, ROUND_DOWN, ROUND_UP, TRUNCATE] {
        let outcome = with_settings(bits, || kernel.run(&[&values], &mut out, &threads));
        assert!(matches!(outcome, Err(Fault::Misuse(_))), "{bits:#x}: {outcome:?}");
    }
    kernel.run(&[&values], &mut out, &threads).expect("the settings are back");
    assert_eq!(out, expected);
}

#[test]
fn threads_with_wrong_settings_take_no_task() {
    let (kernel, values, expected) = squares(1 << 18);
    let threads = with_settings(FLUSH | TAKE_AS_ZERO, || Threads::new(4));
    for _ in 0..20 {
        let mut out = vec![0; 1 << 18];
        kernel.run(&[&values], &mut out, &threads).expect("the caller does the work");
        assert!(out == expected, "a worker dropped small numbers");
    }
}
