//! Pointwise programs as expressions: equal expressions are one value, and reverse-mode derivatives.

use crate::builder::Axis;
use sip_arith::{Arith, Native};
use sip_ops::{Instruction, NodeSpec, Opcode, Type};
use std::collections::HashMap;

const ONE: u32 = 0x3F80_0000;
const MINUS_ONE: u32 = 0xBF80_0000;

/// A value of a [`Program`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Item {
    opcode: Opcode,
    arguments: [u32; 3],
    immediate: u32,
}

/// A pointwise program under construction.
///
/// Values are numbered: operands first. Types are checked when the node that uses the program is added.
#[derive(Clone, Debug)]
pub struct Program {
    axes: Vec<Axis>,
    operands: Vec<Type>,
    items: Vec<Item>,
    known: HashMap<Item, u32>,
}

/// How many of the three arguments of an instruction are values.
fn value_arguments(opcode: Opcode) -> usize {
    match opcode {
        Opcode::ConstF | Opcode::ConstU | Opcode::Coordinate => 0,
        Opcode::Sqrt | Opcode::Neg | Opcode::Abs | Opcode::Exp | Opcode::Log => 1,
        Opcode::FromU | Opcode::FromI | Opcode::ToI => 1,
        Opcode::Fma | Opcode::Select => 3,
        _ => 2,
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident($($argument:ident),*) = $opcode:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(&mut self, $($argument: Value),*) -> Value {
            self.push(Opcode::$opcode, &[$($argument),*])
        })*
    };
}

impl Program {
    pub(crate) fn new(axes: &[Axis], operands: &[Type]) -> Program {
        Program { axes: axes.to_vec(), operands: operands.to_vec(), items: Vec::new(), known: HashMap::new() }
    }

    /// The value of an operand.
    pub(crate) fn operand(&self, number: usize) -> Value {
        Value(number as u32)
    }

    /// An f32 constant.
    pub fn constant(&mut self, value: f32) -> Value {
        self.item(Item { opcode: Opcode::ConstF, arguments: [0; 3], immediate: value.to_bits() })
    }

    /// A u32 constant.
    pub fn constant_u(&mut self, value: u32) -> Value {
        self.item(Item { opcode: Opcode::ConstU, arguments: [0; 3], immediate: value })
    }

    /// The coordinate (u32) of one of the node's output axes. An axis that the node does not have is reported when
    /// the node is added.
    pub fn coordinate(&mut self, axis: Axis) -> Value {
        let label = self.axes.iter().position(|&a| a == axis).unwrap_or(u8::MAX as usize);
        self.coordinate_of(label)
    }

    pub(crate) fn coordinate_of(&mut self, label: usize) -> Value {
        self.item(Item { opcode: Opcode::Coordinate, arguments: [label as u32, 0, 0], immediate: 0 })
    }

    operations! {
        /// a + b over f32
        plus(a, b) = Add;
        /// a − b over f32
        sub(a, b) = Sub;
        /// a / b over f32
        div(a, b) = Div;
        /// a · b + c over f32, rounded once
        fma(a, b, c) = Fma;
        /// √a
        sqrt(a) = Sqrt;
        /// |a|
        abs(a) = Abs;
        /// eᵃ
        exp(a) = Exp;
        /// ln a
        log(a) = Log;
        /// The nearest f32 of a u32.
        from_u(a) = FromU;
        /// The nearest f32 of a u32 that is taken as an i32.
        from_i(a) = FromI;
        /// The i32 nearest to an f32 (ties to even, bounded by the range), as a u32.
        to_i(a) = ToI;
        /// a < b over f32, as u32 1 or 0
        less(a, b) = LessF;
        /// a < b over u32
        less_u(a, b) = LessU;
        /// a = b over u32
        equal_u(a, b) = EqualU;
        /// a + b modulo 2³²
        add_u(a, b) = AddU;
        /// a − b modulo 2³²
        sub_u(a, b) = SubU;
        /// a · b modulo 2³²
        mul_u(a, b) = MulU;
        /// a and b, bitwise
        and(a, b) = And;
        /// a or b, bitwise
        or(a, b) = Or;
        /// a xor b, bitwise
        xor(a, b) = Xor;
        /// a shifted left by b modulo 32
        shl(a, b) = Shl;
        /// a shifted right by b modulo 32
        shr(a, b) = Shr;
    }

    /// a + b over f32; a − c when b is −c.
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        match (self.negated(a), self.negated(b)) {
            (_, Some(b)) => self.sub(a, b),
            (Some(a), None) => self.sub(b, a),
            (None, None) => self.plus(a, b),
        }
    }

    /// a · b over f32; constants are folded.
    pub fn mul(&mut self, a: Value, b: Value) -> Value {
        match (self.constant_bits(a), self.constant_bits(b)) {
            (Some(a), Some(b)) => self.constant(f32::from_bits(Native::mul(a, b))),
            (Some(ONE), _) => b,
            (_, Some(ONE)) => a,
            (Some(MINUS_ONE), _) => self.neg(b),
            (_, Some(MINUS_ONE)) => self.neg(a),
            _ => self.push(Opcode::Mul, &[a, b]),
        }
    }

    /// −a over f32
    pub fn neg(&mut self, a: Value) -> Value {
        match (self.negated(a), self.constant_bits(a)) {
            (Some(inner), _) => inner,
            (_, Some(bits)) => self.constant(f32::from_bits(bits ^ 0x8000_0000)),
            _ => self.push(Opcode::Neg, &[a]),
        }
    }

    /// `then` if `condition` (u32) is not 0, else `otherwise`; both of one type.
    pub fn select(&mut self, condition: Value, then: Value, otherwise: Value) -> Value {
        if then == otherwise { then } else { self.push(Opcode::Select, &[condition, then, otherwise]) }
    }

    /// The greater of two f32 values (the second if they are equal).
    pub fn max(&mut self, a: Value, b: Value) -> Value {
        let less = self.less(b, a);
        self.select(less, a, b)
    }

    /// The lesser of two f32 values (the second if they are equal).
    pub fn min(&mut self, a: Value, b: Value) -> Value {
        let less = self.less(a, b);
        self.select(less, a, b)
    }

    /// 1 / (1 + e⁻ᵃ), with a bounded at −80 so that neither it nor its derivative overflows on the way.
    pub fn sigmoid(&mut self, a: Value) -> Value {
        let bound = self.constant(-80.0);
        let bounded = self.max(a, bound);
        let negative = self.neg(bounded);
        let power = self.exp(negative);
        let one = self.constant(1.0);
        let sum = self.add(one, power);
        self.div(one, sum)
    }

    fn push(&mut self, opcode: Opcode, arguments: &[Value]) -> Value {
        let mut item = Item { opcode, arguments: [0; 3], immediate: 0 };
        for (slot, value) in item.arguments.iter_mut().zip(arguments) {
            *slot = value.0;
        }
        self.item(item)
    }

    fn item(&mut self, item: Item) -> Value {
        let next = (self.operands.len() + self.items.len()) as u32;
        let value = *self.known.entry(item).or_insert(next);
        if value == next {
            self.items.push(item);
        }
        Value(value)
    }

    fn get(&self, value: Value) -> Option<&Item> {
        self.items.get((value.0 as usize).checked_sub(self.operands.len())?)
    }

    fn constant_bits(&self, value: Value) -> Option<u32> {
        self.get(value).filter(|i| i.opcode == Opcode::ConstF).map(|i| i.immediate)
    }

    fn negated(&self, value: Value) -> Option<Value> {
        self.get(value).filter(|i| i.opcode == Opcode::Neg).map(|i| Value(i.arguments[0]))
    }

    /// If the value is an operand, its number.
    pub(crate) fn as_operand(&self, value: Value) -> Option<usize> {
        ((value.0 as usize) < self.operands.len()).then_some(value.0 as usize)
    }

    /// If the value is the product of two operands, their numbers.
    pub(crate) fn as_operand_product(&self, value: Value) -> Option<(usize, usize)> {
        let item = self.get(value).filter(|i| i.opcode == Opcode::Mul)?;
        Some((self.as_operand(Value(item.arguments[0]))?, self.as_operand(Value(item.arguments[1]))?))
    }

    /// Appends the instructions of an encoded program over the given operand values; returns its values, operands
    /// first. `coordinate` gives the value of a coordinate.
    pub(crate) fn replay(
        &mut self,
        instructions: &[Instruction],
        operands: &[Value],
        coordinate: &mut dyn FnMut(&mut Program, u8) -> Value,
    ) -> Vec<Value> {
        let mut values = operands.to_vec();
        for i in instructions {
            let at = |number: u8| values.get(number as usize).copied().unwrap_or(Value(u32::MAX));
            let (a, b, c) = (at(i.a), at(i.b), at(i.c));
            let Some(&opcode) = Opcode::ALL.get(i.opcode as usize) else { continue };
            let value = match opcode {
                Opcode::ConstF => self.constant(f32::from_bits(i.immediate)),
                Opcode::ConstU => self.constant_u(i.immediate),
                Opcode::Coordinate => coordinate(self, i.a),
                Opcode::Mul => self.mul(a, b),
                Opcode::Add => self.add(a, b),
                Opcode::Neg => self.neg(a),
                Opcode::Select => self.select(a, b, c),
                _ => self.push(opcode, &[a, b, c][..value_arguments(opcode)]),
            };
            values.push(value);
        }
        values
    }

    /// The instructions that `result` needs and the operands that they read, renumbered. An operand as the result is
    /// copied by an instruction that keeps its bits.
    pub(crate) fn finish(mut self, mut result: Value) -> (Vec<usize>, Vec<Instruction>) {
        if let Some(number) = self.as_operand(result) {
            result = match self.operands[number] {
                Type::F32 => {
                    let one = self.constant(1.0);
                    self.push(Opcode::Mul, &[result, one])
                }
                Type::U32 => self.or(result, result),
            };
        }
        self.join_multiplications(result);
        let live = self.live(result);
        let operands: Vec<usize> = (0..self.operands.len()).filter(|&o| live[o]).collect();
        let mut number = vec![0u8; live.len()];
        let mut next = 0usize;
        for (value, number) in number.iter_mut().enumerate() {
            if live[value] {
                *number = next.min(u8::MAX as usize) as u8;
                next += 1;
            }
        }
        let first = self.operands.len();
        let mut instructions = Vec::new();
        for (_, item) in self.items.iter().enumerate().filter(|(index, _)| live[first + index]) {
            let mut arguments = [0u8; 3];
            for (slot, &value) in arguments.iter_mut().zip(&item.arguments).take(value_arguments(item.opcode)) {
                *slot = number.get(value as usize).copied().unwrap_or(u8::MAX);
            }
            if item.opcode == Opcode::Coordinate {
                arguments[0] = item.arguments[0].min(u8::MAX as u32) as u8;
            }
            let [a, b, c] = arguments;
            instructions.push(Instruction { opcode: item.opcode as u8, a, b, c, immediate: item.immediate });
        }
        (operands, instructions)
    }

    fn live(&self, result: Value) -> Vec<bool> {
        let first = self.operands.len();
        let mut live = vec![false; first + self.items.len()];
        if let Some(slot) = live.get_mut(result.0 as usize) {
            *slot = true;
        }
        for index in (0..self.items.len()).rev().filter(|index| first + index <= result.0 as usize) {
            if live[first + index] {
                let item = self.items[index];
                for &value in item.arguments.iter().take(value_arguments(item.opcode)) {
                    if let Some(slot) = live.get_mut(value as usize) {
                        *slot = true;
                    }
                }
            }
        }
        live
    }

    /// a·b + c becomes one rounding where the product has no other use: fewer instructions, more accuracy.
    fn join_multiplications(&mut self, result: Value) {
        let live = self.live(result);
        let first = self.operands.len();
        let mut uses = vec![0u32; live.len()];
        for (_, item) in self.items.iter().enumerate().filter(|(index, _)| live[first + index]) {
            for &value in item.arguments.iter().take(value_arguments(item.opcode)) {
                if let Some(count) = uses.get_mut(value as usize) {
                    *count += 1;
                }
            }
        }
        for index in 0..self.items.len() {
            let item = self.items[index];
            if item.opcode != Opcode::Add || !live[first + index] {
                continue;
            }
            let [a, b, _] = item.arguments;
            for (product, other) in [(a, b), (b, a)] {
                let Some(inner) = self.get(Value(product)).copied() else { continue };
                if inner.opcode == Opcode::Mul && uses[product as usize] == 1 {
                    let [x, y, _] = inner.arguments;
                    self.items[index] = Item { opcode: Opcode::Fma, arguments: [x, y, other], immediate: 0 };
                    break;
                }
            }
        }
    }

    /// Adjoints of a map's f32 operands: this program has the operands of `spec` first, then the adjoint of the
    /// output, then the output itself. `None` where the output does not depend on an operand.
    pub(crate) fn adjoints(&mut self, spec: &NodeSpec, operand_types: &[Type]) -> Vec<Option<Value>> {
        let count = operand_types.len();
        let operands: Vec<Value> = (0..count).map(|n| self.operand(n)).collect();
        let (seed, output) = (self.operand(count), self.operand(count + 1));
        let mut coordinate = |p: &mut Program, label: u8| p.coordinate_of(label as usize);
        let values = self.replay(&spec.program, &operands, &mut coordinate);
        let mut adjoints: Vec<Option<Value>> = vec![None; values.len()];
        if let Some(last) = adjoints.last_mut() {
            *last = Some(seed);
        }
        for (index, i) in spec.program.iter().enumerate().rev() {
            let Some(dy) = adjoints[count + index] else { continue };
            let Some(&opcode) = Opcode::ALL.get(i.opcode as usize) else { continue };
            let y = if index + 1 == spec.program.len() { output } else { values[count + index] };
            let at = |number: u8| values.get(number as usize).copied().unwrap_or(Value(u32::MAX));
            let (a, b, c) = (at(i.a), at(i.b), at(i.c));
            // An exponential that is exactly 0 where a constant was selected makes the adjoint 0 there already.
            let masks = opcode == Opcode::Select && self.is_far_below_zero(b);
            let last = spec.program.last();
            if masks && last.is_some_and(|l| l.opcode == Opcode::Exp as u8 && l.a as usize == count + index) {
                let product = self.mul(seed, output);
                if dy == product && adjoints.get(i.c as usize) == Some(&None) {
                    adjoints[i.c as usize] = Some(dy);
                    continue;
                }
            }
            for (argument, change) in self.rule(opcode, [a, b, c], y, dy) {
                let target = [i.a, i.b, i.c][argument] as usize;
                let Some(slot) = adjoints.get(target).copied() else { continue };
                adjoints[target] = Some(match slot {
                    Some(sum) => self.add(sum, change),
                    None => change,
                });
            }
        }
        adjoints.truncate(count);
        for (adjoint, &dtype) in adjoints.iter_mut().zip(operand_types) {
            *adjoint = adjoint.filter(|_| dtype == Type::F32);
        }
        adjoints
    }

    /// Whether the value is a constant whose exponential is exactly 0.
    fn is_far_below_zero(&self, value: Value) -> bool {
        self.constant_bits(value).is_some_and(|bits| f32::from_bits(bits) < -104.0)
    }

    /// What `dy` adds to the adjoint of each argument of an instruction.
    fn rule(&mut self, opcode: Opcode, [a, b, c]: [Value; 3], y: Value, dy: Value) -> Vec<(usize, Value)> {
        match opcode {
            Opcode::Add => vec![(0, dy), (1, dy)],
            Opcode::Sub => vec![(0, dy), (1, self.neg(dy))],
            Opcode::Mul => vec![(0, self.mul(dy, b)), (1, self.mul(dy, a))],
            Opcode::Fma => vec![(0, self.mul(dy, b)), (1, self.mul(dy, a)), (2, dy)],
            Opcode::Div => {
                let da = if self.constant_bits(a) == Some(ONE) { self.mul(dy, y) } else { self.div(dy, b) };
                let db = self.mul(da, y);
                vec![(0, da), (1, self.neg(db))]
            }
            Opcode::Sqrt => {
                let half = self.constant(0.5);
                let numerator = self.mul(dy, half);
                vec![(0, self.div(numerator, y))]
            }
            Opcode::Neg => vec![(0, self.neg(dy))],
            Opcode::Abs => {
                let zero = self.constant(0.0);
                let negative = self.less(a, zero);
                let minus = self.neg(dy);
                vec![(0, self.select(negative, minus, dy))]
            }
            Opcode::Exp => vec![(0, self.mul(dy, y))],
            Opcode::Log => vec![(0, self.div(dy, a))],
            Opcode::Select => {
                let _ = c;
                let zero = self.constant(0.0);
                vec![(1, self.select(a, dy, zero)), (2, self.select(a, zero, dy))]
            }
            _ => Vec::new(),
        }
    }
}
