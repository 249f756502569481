//! The vectorised exp and log are the defined ones.

use sip_arith::{Native, is_fault};
use sip_kernels::{Kernel, Simd, Threads};
use sip_ops::{Instruction, Kind, NodeSpec, Opcode, Operand, Source, Type};

const BLOCK: usize = 1 << 16;

fn kernel(opcode: Opcode, simd: Simd) -> Kernel {
    let operand = Operand { node: 0, offset: 0, index_stride: 0, strides: vec![1] };
    let spec = NodeSpec {
        kind: Kind::Map,
        dtype: Type::F32,
        out_sizes: vec![BLOCK as u32],
        reduce_sizes: Vec::new(),
        operands: vec![operand],
        constraint: None,
        starts_from_operand: false,
        source: Source::State(0),
        program: vec![Instruction { opcode: opcode as u8, a: 0, b: 0, c: 0, immediate: 0 }],
    };
    Kernel::new(&spec, simd)
}

type Function = fn(u32) -> u32;

/// Every input in some blocks of all inputs, at every level of this processor.
fn check(blocks: impl Iterator<Item = u32> + Clone + Send + Sync) {
    let levels: Vec<Simd> = Simd::ALL.iter().copied().filter(|simd| simd.is_supported()).collect();
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get());
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (blocks, levels) = (blocks.clone(), &levels);
            scope.spawn(move || {
                let threads = Threads::new(1);
                let kernels = |opcode| levels.iter().map(|&simd| kernel(opcode, simd)).collect::<Vec<Kernel>>();
                let functions: [(Function, Vec<Kernel>); 2] =
                    [(sip_ops::exp::<Native>, kernels(Opcode::Exp)), (sip_ops::log::<Native>, kernels(Opcode::Log))];
                for block in blocks.skip(worker).step_by(workers) {
                    let values: Vec<u32> = (0..BLOCK as u32).map(|i| block * BLOCK as u32 + i).collect();
                    for (function, kernels) in &functions {
                        let expected: Vec<u32> = values.iter().map(|&x| function(x)).collect();
                        for kernel in kernels {
                            let mut out = vec![0; BLOCK];
                            let outcome = kernel.run(&[&values], &mut out, &threads);
                            assert_eq!(outcome.is_err(), expected.iter().any(|&y| is_fault(y)), "block {block}");
                            assert!(out == expected, "block {block} at {}", kernel.simd());
                        }
                    }
                }
            });
        }
    });
}

#[test]
fn are_the_defined_functions_near_their_edges() {
    // Zero, where the results of exp vanish and overflow, one, the greatest numbers, and the same below zero.
    check([0x0000, 0x007F, 0x0080, 0x3F80, 0x42B1, 0x7F7F, 0x7F80, 0x8000, 0xC2AE, 0xC2CF, 0xFF7F, 0xFFFF].into_iter());
}

#[test]
#[ignore = "all 2^32 inputs take some minutes"]
fn are_the_defined_functions_of_every_input() {
    check(0..1 << 16);
}
