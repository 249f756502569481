//! Pointwise programs, a block of elements per instruction.

use crate::address::{Output, Walk, any_fault};
use crate::level::{Level, mul_add};
use crate::math::{exp, log};
use crate::simd::per_level;
use crate::{Simd, Threads};
use sip_ops::{Instruction, NodeSpec, Opcode, Type};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// Elements that an instruction takes at once: the live values stay in the first-level cache.
const BLOCK: usize = 512;
/// How many blocks ahead operands are asked for.
const BLOCKS_AHEAD: usize = 4;
/// Blocks of a task.
const TASK_BLOCKS: usize = 8;

/// A cache line of a register: vectors must not straddle two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; 16]);

/// A register: a block of values.
#[derive(Default)]
struct Register(Vec<Line>);

impl Register {
    fn new() -> Register {
        Register(vec![Line([0; 16]); BLOCK / 16])
    }

    #[inline(always)]
    fn get(&self, count: usize) -> &[u32] {
        // SAFETY: `Line` is sixteen u32 without padding, and the lines are contiguous.
        let values: &[u32] = unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 16) };
        &values[..count]
    }

    #[inline(always)]
    fn get_mut(&mut self, count: usize) -> &mut [u32] {
        // SAFETY: as in `get`, and the borrow is unique.
        let values: &mut [u32] =
            unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 16) };
        &mut values[..count]
    }
}

/// Where a value of the program is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the block of the operand's own memory.
    Operand(usize),
    /// In a register: a block of memory.
    Register(usize),
    /// In the output: the last result.
    Out,
}

/// One step of the prepared program.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Reads an operand that is not consecutive.
    Load { operand: usize, register: usize },
    /// Executes an instruction; the places are those of its arguments.
    Execute { opcode: Opcode, instruction: Instruction, arguments: [Place; 3], result: Place },
    /// Compares two values and chooses between two others.
    Choose { comparison: Opcode, compared: [Place; 2], then: Place, otherwise: Place, result: Place },
}

/// A prepared program.
pub(crate) struct Map {
    operands: Vec<Walk>,
    /// Coordinates of the output labels.
    coordinates: Vec<Walk>,
    /// Steps whose results are the same for all blocks, then those of each block.
    once: Vec<Step>,
    each: Vec<Step>,
    registers: usize,
    is_f32: bool,
    len: usize,
}

/// Which of a, b and c an instruction reads.
fn reads(opcode: Opcode) -> usize {
    match opcode {
        Opcode::ConstF | Opcode::ConstU | Opcode::Coordinate => 0,
        Opcode::Sqrt | Opcode::Neg | Opcode::Abs | Opcode::Exp | Opcode::Log => 1,
        Opcode::FromU | Opcode::FromI | Opcode::ToI => 1,
        Opcode::Fma | Opcode::Select => 3,
        _ => 2,
    }
}

impl Map {
    /// The error says what is wrong with the program.
    pub(crate) fn new(spec: &NodeSpec) -> Result<Map, String> {
        let operands: Vec<Walk> = (0..spec.operands.len()).map(|operand| Walk::operand(spec, operand)).collect();
        let mut opcodes = Vec::new();
        for (number, i) in spec.program.iter().enumerate() {
            let Some(&opcode) = Opcode::ALL.get(i.opcode as usize) else {
                return Err(format!("instruction {number} has the unknown opcode {}", i.opcode));
            };
            let values = operands.len() + number;
            if [i.a, i.b, i.c][..reads(opcode)].iter().any(|&value| value as usize >= values) {
                return Err(format!("instruction {number} reads a value that is not yet computed"));
            }
            if opcode == Opcode::Coordinate && i.a as usize >= spec.out_sizes.len() {
                return Err(format!("instruction {number} reads output label {}, which there is not", i.a));
            }
            opcodes.push(opcode);
        }
        if opcodes.is_empty() {
            return Err("the program is empty".into());
        }
        let mut map = Map {
            coordinates: (0..spec.out_sizes.len()).map(|label| Walk::coordinate(spec, label)).collect(),
            once: Vec::new(),
            each: Vec::new(),
            registers: 0,
            is_f32: spec.dtype == Type::F32,
            len: spec.len(),
            operands,
        };
        map.plan(spec, &opcodes);
        Ok(map)
    }

    /// Chooses places: a register is free again after the last use of its value, but those of values that never change stay.
    fn plan(&mut self, spec: &NodeSpec, opcodes: &[Opcode]) {
        let operands = self.operands.len();
        let direct = |number: usize| {
            let i = &spec.program[number];
            [i.a, i.b, i.c].into_iter().take(reads(opcodes[number])).map(usize::from)
        };
        let mut uses = vec![0; operands + opcodes.len()];
        (0..opcodes.len()).flat_map(direct).for_each(|value| uses[value] += 1);
        // A comparison that only one choice uses is done by it.
        let comparison = |number: usize| {
            let value = (spec.program[number].a as usize).checked_sub(operands)?;
            let is_comparison = matches!(opcodes.get(value), Some(Opcode::LessF | Opcode::LessU | Opcode::EqualU));
            (opcodes[number] == Opcode::Select && is_comparison && uses[operands + value] == 1).then_some(value)
        };
        let mut joined = vec![false; opcodes.len()];
        (0..opcodes.len()).filter_map(comparison).for_each(|value| joined[value] = true);
        let arguments = |number: usize| -> Vec<usize> {
            match comparison(number) {
                Some(value) => direct(number).skip(1).chain(direct(value)).collect(),
                None if joined[number] => Vec::new(),
                None => direct(number).collect(),
            }
        };
        let mut last_use = vec![0; operands + opcodes.len()];
        for number in 0..opcodes.len() {
            arguments(number).into_iter().for_each(|value| last_use[value] = number);
        }
        let mut free: Vec<usize> = Vec::new();
        let mut places: Vec<Place> = Vec::new();
        let mut invariant: Vec<bool> = Vec::new();
        for operand in 0..operands {
            let stride = self.operands[operand].stride();
            invariant.push(stride == Some(0));
            if stride == Some(1) || uses[operand] == 0 {
                places.push(Place::Operand(operand));
            } else {
                let register = self.registers;
                self.registers += 1;
                let steps = if stride == Some(0) { &mut self.once } else { &mut self.each };
                steps.push(Step::Load { operand, register });
                places.push(Place::Register(register));
            }
        }
        for (number, &opcode) in opcodes.iter().enumerate() {
            if joined[number] {
                places.push(Place::Out);
                invariant.push(false);
                continue;
            }
            let arguments = arguments(number);
            let constant = opcode != Opcode::Coordinate && arguments.iter().all(|&value| invariant[value]);
            let is_last = number + 1 == opcodes.len();
            let result = if is_last {
                Place::Out
            } else {
                let reused = if constant { None } else { free.pop() };
                Place::Register(reused.unwrap_or_else(|| {
                    self.registers += 1;
                    self.registers - 1
                }))
            };
            let mut from = [result; 4];
            for (from, &value) in from.iter_mut().zip(&arguments) {
                *from = places[value];
            }
            let [a, b, c, d] = from;
            let step = match comparison(number) {
                Some(value) => {
                    Step::Choose { comparison: opcodes[value], compared: [c, d], then: a, otherwise: b, result }
                }
                None => Step::Execute { opcode, instruction: spec.program[number], arguments: [a, b, c], result },
            };
            if constant && !is_last {
                self.once.push(step)
            } else {
                self.each.push(step)
            }
            places.push(result);
            invariant.push(constant);
            // Freed only now: a result never lies where an argument does.
            let mut dying: Vec<usize> = arguments.into_iter().filter(|&value| last_use[value] == number).collect();
            dying.sort_unstable();
            dying.dedup();
            if last_use[operands + number] == 0 && !is_last {
                dying.push(operands + number);
            }
            for value in dying {
                if let Place::Register(register) = places[value]
                    && !invariant[value]
                {
                    free.push(register);
                }
            }
        }
    }

    /// Asks for the block of the operands from element `first` on: a block of one operand is too short for the processor to look far enough
    /// ahead by itself before it comes to that of the next one.
    #[inline(always)]
    fn ask_for<L: Level>(&self, operands: &[&[u32]], first: usize) {
        for (walk, from) in self.operands.iter().zip(operands) {
            let from = from.as_ptr().cast::<f32>();
            let ask = |length: usize, address: isize| {
                for line in (0..length).step_by(16) {
                    // SAFETY: this function is compiled for, and called at, the level of `L`; the address need not be valid.
                    unsafe { L::prefetch_far(from.wrapping_offset(address).wrapping_add(line)) };
                }
            };
            if walk.stride() == Some(1) {
                // Past the last element, the next slice may follow.
                ask(BLOCK, (walk.start() + first) as isize);
            } else if walk.inner_stride() == 1 && first < self.len {
                walk.runs(first, BLOCK.min(self.len - first), |_, length, address, _| ask(length, address));
            }
        }
    }

    /// Returns whether an f32 output is not finite.
    pub(crate) fn run(&self, simd: Simd, operands: &[&[u32]], out: &mut [u32], threads: &Threads) -> bool {
        let fault = AtomicBool::new(false);
        let out = Output::new(out);
        let size = BLOCK * TASK_BLOCKS;
        threads.run(self.len.div_ceil(size), &|task| {
            let first = task * size;
            // SAFETY: tasks have disjoint ranges.
            let out = unsafe { out.slice(first, size.min(out.len() - first)) };
            REGISTERS.with(|registers| {
                let mut registers = registers.borrow_mut();
                while registers.len() < self.registers {
                    registers.push(Register::new());
                }
                if run_blocks(simd, self, operands, first, out, &mut registers) {
                    fault.store(true, Ordering::Relaxed);
                }
            });
        });
        fault.into_inner()
    }
}

thread_local! {
    static REGISTERS: RefCell<Vec<Register>> = const { RefCell::new(Vec::new()) };
}

per_level! {
    fn run_blocks(map: &Map, operands: &[&[u32]], first: usize, out: &mut [u32], registers: &mut [Register]) -> bool
        = run_blocks_body;
}

#[inline(always)]
fn run_blocks_body<L: Level>(
    map: &Map,
    operands: &[&[u32]],
    first: usize,
    out: &mut [u32],
    registers: &mut [Register],
) -> bool {
    let mut fault = false;
    for (at, out) in out.chunks_mut(BLOCK).enumerate() {
        let first = first + at * BLOCK;
        map.ask_for::<L>(operands, first + BLOCKS_AHEAD * BLOCK);
        let once = if at == 0 { &map.once[..] } else { &[] };
        for step in once.iter().chain(&map.each) {
            match *step {
                Step::Load { operand, register } => {
                    load(&map.operands[operand], operands[operand], first, registers[register].get_mut(out.len()));
                }
                Step::Execute { opcode, instruction, arguments, result } => {
                    let Place::Register(register) = result else {
                        execute::<L>(map, operands, first, opcode, instruction, arguments, registers, out);
                        continue;
                    };
                    let mut to = std::mem::take(&mut registers[register]);
                    let block = to.get_mut(out.len());
                    execute::<L>(map, operands, first, opcode, instruction, arguments, registers, block);
                    registers[register] = to;
                }
                Step::Choose { comparison, compared, then, otherwise, result } => {
                    let from = [compared[0], compared[1], then, otherwise];
                    let Place::Register(register) = result else {
                        choose(map, operands, first, comparison, from, registers, out);
                        continue;
                    };
                    let mut to = std::mem::take(&mut registers[register]);
                    choose(map, operands, first, comparison, from, registers, to.get_mut(out.len()));
                    registers[register] = to;
                }
            }
        }
        if map.is_f32 {
            fault |= any_fault(out);
        }
    }
    fault
}

#[inline(always)]
fn load(walk: &Walk, from: &[u32], first: usize, to: &mut [u32]) {
    walk.runs(first, to.len(), |position, length, address, stride| {
        let to = &mut to[position..position + length];
        let start = address as usize;
        match stride {
            0 => to.fill(from[start]),
            1 => to.copy_from_slice(&from[start..start + length]),
            _ => {
                for (i, to) in to.iter_mut().enumerate() {
                    *to = from[(address + i as isize * stride) as usize];
                }
            }
        }
    });
}

/// The values of a place for `count` elements from `first` on.
#[inline(always)]
fn values<'a>(
    map: &Map,
    operands: &[&'a [u32]],
    registers: &'a [Register],
    place: Place,
    first: usize,
    count: usize,
) -> &'a [u32] {
    match place {
        Place::Operand(operand) => {
            let start = map.operands[operand].start() + first;
            &operands[operand][start..start + count]
        }
        Place::Register(register) => registers[register].get(count),
        Place::Out => &[],
    }
}

/// `from` are the two values that are compared, and the two to choose from.
#[inline(always)]
fn choose(
    map: &Map,
    operands: &[&[u32]],
    first: usize,
    comparison: Opcode,
    from: [Place; 4],
    registers: &[Register],
    to: &mut [u32],
) {
    let count = to.len();
    let [x, y, then, otherwise] = from.map(|place| values(map, operands, registers, place, first, count));
    macro_rules! chosen {
        ($is:expr) => {{
            let is = $is;
            for ((((to, &x), &y), &then), &otherwise) in to.iter_mut().zip(x).zip(y).zip(then).zip(otherwise) {
                *to = if is(x, y) { then } else { otherwise };
            }
        }};
    }
    match comparison {
        Opcode::LessF => chosen!(|x: u32, y: u32| f32::from_bits(x) < f32::from_bits(y)),
        Opcode::LessU => chosen!(|x: u32, y: u32| x < y),
        _ => chosen!(|x: u32, y: u32| x == y),
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments)]
fn execute<L: Level>(
    map: &Map,
    operands: &[&[u32]],
    first: usize,
    opcode: Opcode,
    instruction: Instruction,
    arguments: [Place; 3],
    registers: &[Register],
    to: &mut [u32],
) {
    let count = to.len();
    let argument = |number: usize| values(map, operands, registers, arguments[number], first, count);
    let f = f32::from_bits;
    macro_rules! one {
        ($operation:expr) => {{
            let operation = $operation;
            for (to, &a) in to.iter_mut().zip(argument(0)) {
                *to = operation(a);
            }
        }};
    }
    macro_rules! two {
        ($operation:expr) => {{
            let operation = $operation;
            for ((to, &a), &b) in to.iter_mut().zip(argument(0)).zip(argument(1)) {
                *to = operation(a, b);
            }
        }};
    }
    macro_rules! three {
        ($operation:expr) => {{
            let operation = $operation;
            for (((to, &a), &b), &c) in to.iter_mut().zip(argument(0)).zip(argument(1)).zip(argument(2)) {
                *to = operation(a, b, c);
            }
        }};
    }
    match opcode {
        Opcode::ConstF | Opcode::ConstU => to.fill(instruction.immediate),
        Opcode::Coordinate => {
            map.coordinates[instruction.a as usize].runs(first, count, |position, length, start, stride| {
                for (i, to) in to[position..position + length].iter_mut().enumerate() {
                    *to = (start as u32).wrapping_add((i as u32).wrapping_mul(stride as u32));
                }
            });
        }
        Opcode::Add => two!(|a, b| (f(a) + f(b)).to_bits()),
        Opcode::Sub => two!(|a, b| (f(a) - f(b)).to_bits()),
        Opcode::Mul => two!(|a, b| (f(a) * f(b)).to_bits()),
        Opcode::Div => two!(|a, b| (f(a) / f(b)).to_bits()),
        Opcode::Fma => three!(|a, b, c| mul_add::<L>(f(a), f(b), f(c)).to_bits()),
        Opcode::Sqrt => one!(|a| f(a).sqrt().to_bits()),
        Opcode::Neg => one!(|a: u32| a ^ 0x8000_0000),
        Opcode::Abs => one!(|a: u32| a & 0x7FFF_FFFF),
        Opcode::Exp => one!(exp::<L>),
        Opcode::Log => one!(log::<L>),
        Opcode::FromU => one!(|a: u32| (a as f32).to_bits()),
        Opcode::FromI => one!(|a: u32| (a as i32 as f32).to_bits()),
        Opcode::ToI => one!(|a: u32| f(a).round_ties_even() as i32 as u32),
        Opcode::LessF => two!(|a, b| (f(a) < f(b)) as u32),
        Opcode::LessU => two!(|a: u32, b: u32| (a < b) as u32),
        Opcode::EqualU => two!(|a: u32, b: u32| (a == b) as u32),
        Opcode::Select => three!(|a: u32, b: u32, c: u32| if a != 0 { b } else { c }),
        Opcode::AddU => two!(|a: u32, b: u32| a.wrapping_add(b)),
        Opcode::SubU => two!(|a: u32, b: u32| a.wrapping_sub(b)),
        Opcode::MulU => two!(|a: u32, b: u32| a.wrapping_mul(b)),
        Opcode::And => two!(|a: u32, b: u32| a & b),
        Opcode::Or => two!(|a: u32, b: u32| a | b),
        Opcode::Xor => two!(|a: u32, b: u32| a ^ b),
        Opcode::Shl => two!(|a: u32, b: u32| a.wrapping_shl(b)),
        Opcode::Shr => two!(|a: u32, b: u32| a.wrapping_shr(b)),
    }
}
