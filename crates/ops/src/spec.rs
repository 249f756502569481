//! Nodes as owned values: what a graph builder writes, checks, encodes, and evaluates slowly.

use crate::{Instruction, Kind, MalformedNode, Node, Opcode, Source};
use crate::{MAX_ELEMENTS, MAX_LABELS, MAX_OPERANDS, MAX_OUT_LABELS, MAX_PROGRAM, MAX_REDUCE_LABELS, MAX_TERMS};
use sip_arith::Arith;

/// Element type of a tensor; four bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// IEEE-754 binary32
    F32,
    /// Unsigned 32-bit integer
    U32,
}

/// How a node reads one of its operands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    /// The node whose output is read.
    pub node: u32,
    /// Address of the element with all coordinates 0.
    pub offset: i32,
    /// What one unit of the index operand adds to the address (`Kind::Gather`, operand 1), else 0.
    pub index_stride: i32,
    /// What one step along each label adds to the address.
    pub strides: Vec<i32>,
}

/// A node as an owned value; see the crate's documentation for what it means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeSpec {
    /// What a term does.
    pub kind: Kind,
    /// Element type of the output.
    pub dtype: Type,
    /// Sizes of the output labels: the shape of the output.
    pub out_sizes: Vec<u32>,
    /// Sizes of the reduction labels.
    pub reduce_sizes: Vec<u32>,
    /// The operands.
    pub operands: Vec<Operand>,
    /// (small, large): terms with coordinate small > coordinate large are absent.
    pub constraint: Option<(u8, u8)>,
    /// `Kind::Contract`, `Kind::ContractI8`: the chain starts from operand 2.
    pub starts_from_operand: bool,
    /// `Kind::Input`: where the tensor comes from.
    pub source: Source,
    /// `Kind::Map`: the program.
    pub program: Vec<Instruction>,
}

/// Why a node is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidNode(pub String);

impl std::fmt::Display for InvalidNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node is invalid: {}", self.0)
    }
}

impl std::error::Error for InvalidNode {}

impl NodeSpec {
    /// Number of elements of the output.
    pub fn len(&self) -> usize {
        self.out_sizes.iter().fold(1, |len, &size| len.saturating_mul(size as usize))
    }

    /// Whether the output has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of terms of every chain.
    pub fn terms(&self) -> usize {
        self.reduce_sizes.iter().fold(1, |terms, &size| terms.saturating_mul(size as usize))
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (source, source_index) = match self.source {
            Source::State(index) => (0, index),
            Source::Batch => (1, 0),
            Source::Step => (2, 0),
            Source::Table(index) => (3, index),
            Source::Setting => (4, 0),
        };
        let (small, large) = self.constraint.unwrap_or((255, 255));
        let mut bytes = vec![
            self.kind as u8,
            (self.dtype == Type::U32) as u8,
            self.out_sizes.len() as u8,
            self.reduce_sizes.len() as u8,
            self.operands.len() as u8,
            small,
            large,
            self.program.len() as u8,
            self.starts_from_operand as u8,
            source,
            0,
            0,
        ];
        bytes.extend(source_index.to_le_bytes());
        for size in self.out_sizes.iter().chain(&self.reduce_sizes) {
            bytes.extend(size.to_le_bytes());
        }
        for operand in &self.operands {
            bytes.extend(operand.node.to_le_bytes());
            bytes.extend(operand.offset.to_le_bytes());
            bytes.extend(operand.index_stride.to_le_bytes());
            for stride in &operand.strides {
                bytes.extend(stride.to_le_bytes());
            }
        }
        for i in &self.program {
            bytes.extend([i.opcode, i.a, i.b, i.c]);
            bytes.extend(i.immediate.to_le_bytes());
        }
        bytes
    }

    /// The node that these canonical bytes describe.
    pub fn decode(bytes: &[u8]) -> Result<NodeSpec, MalformedNode> {
        let node = Node::parse(bytes)?;
        let operand = |number| Operand {
            node: node.operand_node(number),
            offset: node.operand_offset(number),
            index_stride: node.operand_index_stride(number),
            strides: (0..node.labels()).map(|label| node.stride(number, label)).collect(),
        };
        Ok(NodeSpec {
            kind: node.kind(),
            dtype: if node.is_u32() { Type::U32 } else { Type::F32 },
            out_sizes: (0..node.out_labels()).map(|label| node.size(label)).collect(),
            reduce_sizes: (node.out_labels()..node.labels()).map(|label| node.size(label)).collect(),
            operands: (0..node.operands()).map(operand).collect(),
            constraint: node.constraint().map(|(small, large)| (small as u8, large as u8)),
            starts_from_operand: node.starts_from_operand(),
            source: node.source(),
            program: (0..node.program_len()).map(|index| node.instruction(index)).collect(),
        })
    }

    /// The least and the greatest address at which an operand of this node is read, where no index adds to it.
    pub fn reach(&self, operand: &Operand) -> (i64, i64) {
        let (mut low, mut high) = (operand.offset as i64, operand.offset as i64);
        for (&size, &stride) in self.out_sizes.iter().chain(&self.reduce_sizes).zip(&operand.strides) {
            let span = (size as i64 - 1) * stride as i64;
            if span < 0 { low += span } else { high += span }
        }
        (low, high)
    }

    /// Checks everything a graph relies on: label and operand counts, types of operands and program, and that every
    /// address lies within its operand. `operand(node)` gives element type and length of an earlier node's
    /// output. What a `Kind::Gather` adds to an address is data and therefore checked when it is read.
    pub fn validate(&self, operand: &dyn Fn(u32) -> Option<(Type, usize)>) -> Result<(), InvalidNode> {
        let fail = |text: String| Err(InvalidNode(text));
        let labels = self.out_sizes.len() + self.reduce_sizes.len();
        if self.out_sizes.len() > MAX_OUT_LABELS || self.reduce_sizes.len() > MAX_REDUCE_LABELS {
            return fail(format!("{labels} labels are more than {MAX_OUT_LABELS} + {MAX_REDUCE_LABELS}"));
        }
        if self.out_sizes.iter().chain(&self.reduce_sizes).any(|&size| size == 0) {
            return fail("a label has size 0".into());
        }
        if self.len() as u64 > MAX_ELEMENTS as u64 {
            return fail(format!("an output of {} elements is larger than {MAX_ELEMENTS}", self.len()));
        }
        if self.terms() as u64 > MAX_TERMS as u64 {
            return fail(format!("a chain of {} terms is longer than {MAX_TERMS}", self.terms()));
        }
        if self.operands.len() > MAX_OPERANDS || self.program.len() > MAX_PROGRAM {
            return fail("too many operands or instructions".into());
        }
        if self.operands.iter().any(|o| o.strides.len() != labels) {
            return fail("an operand has not one stride per label".into());
        }
        let is_label = |label: u8| (label as usize) < labels;
        if self.constraint.is_some_and(|(small, large)| !is_label(small) || !is_label(large)) {
            return fail(format!("the constraint {:?} compares labels that the node does not have", self.constraint));
        }
        let bytes = self.encode();
        Node::parse(&bytes).map_err(|e| InvalidNode(e.0.into()))?;
        let mut types = Vec::new();
        for (number, o) in self.operands.iter().enumerate() {
            let Some((dtype, len)) = operand(o.node) else {
                return fail(format!("operand {number} reads node {}, which is not earlier", o.node));
            };
            types.push(dtype);
            if o.index_stride != 0 && !(self.kind == Kind::Gather && number == 1) {
                return fail(format!("operand {number} has an index stride"));
            }
            let (low, high) = self.reach(o);
            if low < 0 || high >= len as i64 {
                return fail(format!("operand {number} is read from {low} to {high}, but it has {len} elements"));
            }
        }
        let expected: &[Type] = match self.kind {
            Kind::Contract => &[Type::F32, Type::F32, Type::F32],
            Kind::ReduceAdd | Kind::ReduceMax => &[Type::F32],
            Kind::Gather => &[Type::U32, self.dtype],
            Kind::ScatterAdd => &[Type::U32, Type::F32],
            Kind::ContractI8 => &[Type::U32, Type::U32, Type::U32],
            Kind::Input | Kind::Map => &[],
        };
        if types.iter().zip(expected).any(|(a, b)| a != b) {
            return fail(format!("operands of {:?} have the types {types:?}", self.kind));
        }
        if self.kind == Kind::Map {
            return self.validate_program(types);
        }
        let given = if self.kind == Kind::ContractI8 { Type::U32 } else { Type::F32 };
        if self.dtype != given && !matches!(self.kind, Kind::Input | Kind::Gather) {
            return fail(format!("{:?} gives {given:?}", self.kind));
        }
        Ok(())
    }

    fn validate_program(&self, mut types: Vec<Type>) -> Result<(), InvalidNode> {
        use Type::{F32, U32};
        for (number, i) in self.program.iter().enumerate() {
            let fail = |text: &str| Err(InvalidNode(format!("instruction {number}: {text}")));
            let Some(&opcode) = Opcode::ALL.get(i.opcode as usize) else { return fail("unknown opcode") };
            let at = |value: u8| types.get(value as usize).copied();
            let (arguments, result): (&[Type], Type) = match opcode {
                Opcode::ConstF => (&[], F32),
                Opcode::ConstU => (&[], U32),
                Opcode::Coordinate if (i.a as usize) < self.out_sizes.len() => (&[], U32),
                Opcode::Coordinate => return fail("no such output label"),
                Opcode::Add | Opcode::Sub | Opcode::Mul | Opcode::Div => (&[F32, F32], F32),
                Opcode::Fma => (&[F32, F32, F32], F32),
                Opcode::Sqrt | Opcode::Neg | Opcode::Abs | Opcode::Exp | Opcode::Log => (&[F32], F32),
                Opcode::FromU | Opcode::FromI => (&[U32], F32),
                Opcode::ToI => (&[F32], U32),
                Opcode::LessF => (&[F32, F32], U32),
                Opcode::Select if at(i.b) == Some(U32) => (&[U32, U32, U32], U32),
                Opcode::Select => (&[U32, F32, F32], F32),
                _ => (&[U32, U32], U32),
            };
            for (&value, &expected) in [i.a, i.b, i.c].iter().zip(arguments) {
                if at(value) != Some(expected) {
                    return fail(&format!("value {value} is {:?}, not {expected:?}", at(value)));
                }
            }
            types.push(result);
        }
        match types.last() {
            Some(&last) if last == self.dtype => Ok(()),
            last => Err(InvalidNode(format!("the program gives {last:?}, the node {:?}", self.dtype))),
        }
    }
}

/// One output element by definition; `None` if a gathered address leaves its operand.
pub fn evaluate_element<A: Arith>(node: &Node<'_>, element: u64, operands: &[&[u32]]) -> Option<u32> {
    let mut accumulator = 0;
    for piece in 0..node.pieces() {
        let mut values = vec![0u32; node.piece_slots(piece) as usize];
        for slot in 0..values.len() {
            let place = node.slot(piece, slot as u32);
            let mut coordinates = [0; MAX_LABELS];
            node.coordinates(element, place.term, &mut coordinates);
            let index = if node.kind() == Kind::Gather && slot > 0 { values[0] } else { 0 };
            let operand = place.operand as usize;
            let address = node.address(operand, &coordinates, index);
            values[slot] = *operands.get(operand)?.get(usize::try_from(address).ok()?)?;
        }
        accumulator = node.piece::<A>(element, piece, accumulator, &|slot| values[slot as usize]);
    }
    Some(accumulator)
}

/// A whole output tensor by definition: the slow reference of every kernel.
pub fn evaluate<A: Arith>(node: &Node<'_>, operands: &[&[u32]]) -> Option<Vec<u32>> {
    (0..node.len()).map(|element| evaluate_element::<A>(node, element, operands)).collect()
}
