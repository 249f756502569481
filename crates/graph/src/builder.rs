//! Writing nodes over named axes.

use crate::affine::{dense, shorten};
use crate::graph::{Graph, GraphError};
use crate::program::{Program, Value};
use crate::{fuse, gradient};
use sip_ops::{Kind, MAX_TERMS, NodeSpec, Operand, Source, Type};
use std::collections::HashMap;

/// A loop index with a size; nodes that share an axis iterate over it together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    id: u32,
    size: u32,
}

impl Axis {
    /// Number of values.
    pub fn size(self) -> u32 {
        self.size
    }
}

/// The output of a node: `len` elements, row-major over whatever axes it is read along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tensor {
    pub(crate) node: u32,
    pub(crate) len: usize,
}

impl Tensor {
    /// Reads the whole tensor as row-major over these axes; along other axes it is constant (broadcast).
    pub fn read(self, axes: &[Axis]) -> View {
        let sizes: Vec<u32> = axes.iter().map(|a| a.size).collect();
        let strides = axes.iter().copied().zip(dense(&sizes)).collect();
        let expected = sizes.iter().map(|&s| s as usize).product();
        View { node: self.node, offset: 0, strides, covers: Some((self.len, expected)) }
    }

    /// Reads element `offset` + Σ coordinate · stride.
    pub fn strided(self, offset: i32, strides: &[(Axis, i32)]) -> View {
        View { node: self.node, offset, strides: strides.to_vec(), covers: None }
    }

    /// Number of elements.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// How a node reads a tensor.
#[derive(Clone, Debug)]
pub struct View {
    node: u32,
    offset: i32,
    strides: Vec<(Axis, i32)>,
    covers: Option<(usize, usize)>,
}

impl View {
    /// The same read with the coordinate of `axis` counted backwards.
    pub fn flip(mut self, axis: Axis) -> View {
        for (known, stride) in &mut self.strides {
            if *known == axis {
                self.offset += *stride * (axis.size as i32 - 1);
                *stride = -*stride;
            }
        }
        self
    }
}

/// A contraction: out[o…] = start + Σ over `reduce` of a · b, one ascending fma chain per element.
#[derive(Clone, Debug)]
pub struct Contraction<'a> {
    /// Axes of the output, row-major.
    pub out: &'a [Axis],
    /// Axes summed over, the last one fastest; at most 2.
    pub reduce: &'a [Axis],
    /// First factor.
    pub a: View,
    /// Second factor.
    pub b: View,
    /// What the chain starts from instead of 0.
    pub start: Option<View>,
    /// (small, large): only terms whose coordinates fulfil small ≤ large.
    pub only: Option<(Axis, Axis)>,
}

/// Writes a graph node by node.
///
/// The first mistake is kept and returned by [`Builder::finish`], so that building reads as plain expressions.
#[derive(Default)]
pub struct Builder {
    pub(crate) nodes: Vec<NodeSpec>,
    known: HashMap<NodeSpec, u32>,
    axes: u32,
    pub(crate) error: Option<GraphError>,
}

impl Builder {
    /// An empty graph.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// A new axis.
    pub fn axis(&mut self, size: usize) -> Axis {
        self.axes += 1;
        // A size that does not fit is refused by the first node that uses it.
        Axis { id: self.axes, size: u32::try_from(size).unwrap_or(0) }
    }

    /// A tensor from outside.
    pub fn input(&mut self, source: Source, shape: &[usize], dtype: Type) -> Tensor {
        let out_sizes = shape.iter().map(|&s| u32::try_from(s).unwrap_or(0)).collect();
        self.push(NodeSpec { out_sizes, dtype, source, ..blank(Kind::Input) })
    }

    /// out[o…] = Σ over `reduce` of a · b.
    pub fn contract(&mut self, out: &[Axis], reduce: &[Axis], a: View, b: View) -> Tensor {
        self.contraction(Contraction { out, reduce, a, b, start: None, only: None })
    }

    /// A contraction with all its options.
    pub fn contraction(&mut self, c: Contraction<'_>) -> Tensor {
        let views: Vec<View> = [Some(c.a), Some(c.b), c.start].into_iter().flatten().collect();
        let starts_from_operand = views.len() == 3;
        let mut spec = self.node(Kind::Contract, Type::F32, c.out, c.reduce, &views);
        spec.starts_from_operand = starts_from_operand;
        self.constrain(&mut spec, c.out, c.reduce, c.only);
        self.push(spec)
    }

    /// out[o…] = Σ over `reduce` of the dot products of the four signed bytes in the words of a and b (u32), lowest byte first: an i32
    /// in the bits of a u32, exact modulo 2³². It has no gradient.
    pub fn contract_i8(&mut self, out: &[Axis], reduce: &[Axis], a: View, b: View) -> Tensor {
        let spec = self.node(Kind::ContractI8, Type::U32, out, reduce, &[a, b]);
        self.push(spec)
    }

    /// Rows of f32 as signed bytes for [`Builder::contract_i8`]: words u32 [row…, words] of four bytes, and the step f32 [row…] between
    /// neighbouring integers, which is the row's greatest magnitude over 127 (1 for a row of zeros). `of` has a whole number of words per row, row-major.
    pub fn quantise(&mut self, rows: &[Axis], words: Axis, of: Tensor) -> (Tensor, Tensor) {
        let elements = self.axis(words.size() as usize * 4);
        let along = |axis: Axis| rows.iter().copied().chain([axis]).collect::<Vec<Axis>>();
        let (by_element, by_word) = (along(elements), along(words));
        let magnitudes = self.map(&by_element, [of.read(&by_element)], |p, [x]| p.abs(x));
        let greatest = self.reduce_max(rows, &[elements], magnitudes.read(&by_element), None);
        let step = self.map(rows, [greatest.read(rows)], |p, [greatest]| {
            let (zero, one, most) = (p.constant(0.0), p.constant(1.0), p.constant(127.0));
            let step = p.div(greatest, most);
            // So is a row whose step would be 0 by underflow.
            let is_some = p.less(zero, step);
            p.select(is_some, step, one)
        });
        let mut strides: Vec<(Axis, i32)> = vec![(words, 4)];
        let mut distance = i32::try_from(elements.size()).unwrap_or(0);
        for &row in rows.iter().rev() {
            strides.push((row, distance));
            distance = distance.saturating_mul(i32::try_from(row.size()).unwrap_or(i32::MAX));
        }
        let byte = |offset: i32| of.strided(offset, &strides);
        let operands = [byte(0), byte(1), byte(2), byte(3), step.read(rows)];
        let packed = self.map(&by_word, operands, |p, [a, b, c, d, step]| {
            let (least, most, mask) = (p.constant(-127.0), p.constant(127.0), p.constant_u(0xFF));
            let mut word = p.constant_u(0);
            for (number, value) in [a, b, c, d].into_iter().enumerate() {
                let scaled = p.div(value, step);
                let bounded = p.min(scaled, most);
                let bounded = p.max(bounded, least);
                let integer = p.to_i(bounded);
                let byte = p.and(integer, mask);
                let shift = p.constant_u(8 * number as u32);
                let placed = p.shl(byte, shift);
                word = p.or(word, placed);
            }
            word
        });
        (packed, step)
    }

    /// Sums of products of bytes as f32: the i32 in `of`, u32 [out…], times the two steps of [`Builder::quantise`].
    pub fn dequantise(&mut self, out: &[Axis], of: Tensor, a_step: View, b_step: View) -> Tensor {
        self.map(out, [of.read(out), a_step, b_step], |p, [sum, a, b]| {
            let sum = p.from_i(sum);
            let scaled = p.mul(sum, a);
            p.mul(scaled, b)
        })
    }

    /// A pointwise program over broadcast operands; the program's last value gives the element.
    pub fn map<const N: usize>(
        &mut self,
        out: &[Axis],
        operands: [View; N],
        body: impl FnOnce(&mut Program, [Value; N]) -> Value,
    ) -> Tensor {
        let types: Vec<Type> = operands.iter().map(|v| self.type_of(v.node)).collect();
        let mut program = Program::new(out, &types);
        let values = std::array::from_fn(|number| program.operand(number));
        let result = body(&mut program, values);
        let spec = self.node(Kind::Map, Type::F32, out, &[], &operands);
        self.push_program(spec, program, result)
    }

    /// Completes a map with a program over its operands and adds it.
    pub(crate) fn push_program(&mut self, spec: NodeSpec, program: Program, result: Value) -> Tensor {
        let spec = self.with_program(spec, program, result);
        self.push(spec)
    }

    /// Completes a map with a program over its operands; operands that the program does not read go.
    pub(crate) fn with_program(&self, mut spec: NodeSpec, program: Program, result: Value) -> NodeSpec {
        let (used, instructions) = program.finish(result);
        spec.operands = used.iter().filter_map(|&number| spec.operands.get(number).cloned()).collect();
        spec.program = instructions;
        spec.dtype = self.program_type(&spec);
        spec
    }

    fn program_type(&self, spec: &NodeSpec) -> Type {
        // Exactly one of the two types passes the checks of a well-formed program.
        let as_u32 = NodeSpec { dtype: Type::U32, ..spec.clone() };
        if as_u32.validate(&|node| self.shape_of(node)).is_ok() { Type::U32 } else { Type::F32 }
    }

    /// Sum over `reduce`, ascending. Longer than one chain may be, or long with few outputs, it is done in two levels.
    pub fn reduce_add(&mut self, out: &[Axis], reduce: &[Axis], of: View) -> Tensor {
        let spec = self.node(Kind::ReduceAdd, Type::F32, out, reduce, &[of]);
        self.push_sum(spec)
    }

    /// Greatest value over `reduce`; with `only` = (small, large) of those whose coordinates fulfil small ≤ large.
    pub fn reduce_max(&mut self, out: &[Axis], reduce: &[Axis], of: View, only: Option<(Axis, Axis)>) -> Tensor {
        let mut spec = self.node(Kind::ReduceMax, Type::F32, out, reduce, &[of]);
        self.constrain(&mut spec, out, reduce, only);
        self.push(spec)
    }

    /// Sum of squares of all elements, in two levels where it is long.
    pub fn sum_of_squares(&mut self, of: Tensor) -> Tensor {
        let all = self.axis(of.len);
        let view = of.read(&[all]);
        let spec = self.node(Kind::Contract, Type::F32, &[], &[all], &[view.clone(), view]);
        self.push_sum(spec)
    }

    /// Sum of single elements in groups of eight, then of the groups' sums in groups of eight, until one is left; `None` of none.
    pub fn total(&mut self, singles: &[Tensor]) -> Option<Tensor> {
        let one = self.axis(1);
        let mut sums = singles.to_vec();
        while sums.len() > 1 {
            let mut next = Vec::with_capacity(sums.len().div_ceil(8));
            for group in sums.chunks(8) {
                let missing = group[0].strided(0, &[]);
                let views = std::array::from_fn(|n| group.get(n).map_or(missing.clone(), |s| s.strided(0, &[])));
                next.push(self.map(&[one], views, |p, values: [_; 8]| {
                    values[1..group.len()].iter().fold(values[0], |sum, &value| p.add(sum, value))
                }));
            }
            sums = next;
        }
        sums.first().copied()
    }

    /// out = `from` at its own address + `index_stride` · index.
    pub fn gather(&mut self, out: &[Axis], index: View, from: View, index_stride: usize) -> Tensor {
        let dtype = self.type_of(from.node);
        let mut spec = self.node(Kind::Gather, dtype, out, &[], &[index, from]);
        spec.operands[1].index_stride = i32::try_from(index_stride).unwrap_or(0);
        self.push(spec)
    }

    /// out[row, …] = Σ over `reduce` of the values whose index equals `row`, the coordinate of the first output axis.
    pub fn scatter_add(&mut self, out: &[Axis], reduce: &[Axis], index: View, values: View) -> Tensor {
        let spec = self.node(Kind::ScatterAdd, Type::F32, out, reduce, &[index, values]);
        self.push(spec)
    }

    /// Appends the backward pass: the derivative of the only element of `loss` with respect to each tensor.
    ///
    /// A maximum counts as constant, as softmax and log-sum-exp allow.
    pub fn gradients(&mut self, loss: Tensor, wrt: &[Tensor]) -> Vec<Tensor> {
        match gradient::gradients(self, loss, wrt) {
            Ok(gradients) => gradients,
            Err(error) => {
                self.error.get_or_insert(error);
                wrt.to_vec()
            }
        }
    }

    /// Fuses pointwise programs, drops what no output needs, and checks the graph.
    ///
    /// # Errors
    /// The first mistake made while building, or what [`Graph::new`] finds.
    pub fn finish(self, state_outputs: &[Tensor], results: &[(&str, Tensor)]) -> Result<Graph, GraphError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut outputs: Vec<u32> =
            state_outputs.iter().chain(results.iter().map(|(_, t)| t)).map(|t| t.node).collect();
        let mut nodes = self.nodes;
        if let Some(&node) = outputs.iter().find(|&&node| node as usize >= nodes.len()) {
            let reason = format!("node {node} is not of this builder");
            return Err(GraphError::Output { name: "of the graph".into(), reason });
        }
        fuse::fuse_maps(&mut nodes, &outputs);
        fuse::drop_unneeded(&mut nodes, &mut outputs);
        let named = results.iter().zip(&outputs[state_outputs.len()..]).map(|((name, _), &n)| (name.to_string(), n));
        let results = named.collect();
        outputs.truncate(state_outputs.len());
        Graph::new(nodes, outputs, results)
    }

    /// Adds a node in its shortest form, unless it is there already.
    pub(crate) fn push(&mut self, mut spec: NodeSpec) -> Tensor {
        shorten(&mut spec);
        let len = spec.len();
        if let Some(&node) = self.known.get(&spec) {
            return Tensor { node, len };
        }
        let node = self.nodes.len() as u32;
        if let Err(error) = spec.validate(&|node| self.shape_of(node)) {
            self.error.get_or_insert(GraphError::Node { node, kind: spec.kind, reason: error.0 });
        }
        self.known.insert(spec.clone(), node);
        self.nodes.push(spec);
        Tensor { node, len }
    }

    /// Adds a sum (`ReduceAdd`, or `Contract` without start), in two levels if one chain would be too long or if
    /// long chains are so few that they could not run side by side.
    pub(crate) fn push_sum(&mut self, mut spec: NodeSpec) -> Tensor {
        shorten(&mut spec);
        let terms = spec.terms() as u64;
        let few = spec.len() < 16 && terms > 1024;
        if spec.constraint.is_some() || spec.starts_from_operand || (terms <= MAX_TERMS as u64 && !few) {
            return self.push(spec);
        }
        let Some(inner) = (if spec.reduce_sizes.len() == 1 { columns(spec.reduce_sizes[0], few) } else { None }) else {
            return self.push(spec);
        };
        // Term r·inner + c becomes term r of partial sum c, so that neighbouring partial sums read neighbours.
        let out = spec.out_sizes.len();
        let outer = spec.reduce_sizes[0] / inner;
        spec.reduce_sizes[0] = outer;
        spec.out_sizes.push(inner);
        for operand in &mut spec.operands {
            let stride = operand.strides[out];
            operand.strides.push(stride * inner as i32);
        }
        let sizes = spec.out_sizes.clone();
        let partial = self.push_sum(spec);
        let operand = Operand { node: partial.node, offset: 0, index_stride: 0, strides: dense(&sizes) };
        let total = NodeSpec {
            out_sizes: sizes[..out].to_vec(),
            reduce_sizes: vec![inner],
            operands: vec![operand],
            ..blank(Kind::ReduceAdd)
        };
        self.push_sum(total)
    }

    pub(crate) fn shape_of(&self, node: u32) -> Option<(Type, usize)> {
        self.nodes.get(node as usize).map(|spec| (spec.dtype, spec.len()))
    }

    pub(crate) fn type_of(&self, node: u32) -> Type {
        self.nodes.get(node as usize).map_or(Type::F32, |spec| spec.dtype)
    }

    pub(crate) fn tensor(&self, node: u32) -> Tensor {
        Tensor { node, len: self.nodes.get(node as usize).map_or(0, NodeSpec::len) }
    }

    fn node(&mut self, kind: Kind, dtype: Type, out: &[Axis], reduce: &[Axis], views: &[View]) -> NodeSpec {
        let labels: Vec<Axis> = out.iter().chain(reduce).copied().collect();
        let operands = views.iter().map(|view| self.operand(view, &labels)).collect();
        let sizes = |axes: &[Axis]| axes.iter().map(|a| a.size).collect();
        NodeSpec { dtype, out_sizes: sizes(out), reduce_sizes: sizes(reduce), operands, ..blank(kind) }
    }

    fn operand(&mut self, view: &View, labels: &[Axis]) -> Operand {
        if let Some((len, expected)) = view.covers
            && len != expected
        {
            self.error.get_or_insert(GraphError::Read { node: view.node, len, expected });
        }
        if view.strides.iter().any(|(axis, _)| !labels.contains(axis)) {
            self.error.get_or_insert(GraphError::Axis { node: view.node });
        }
        let along = |axis: &Axis| view.strides.iter().filter(|(known, _)| known == axis).map(|&(_, s)| s).sum();
        let strides = labels.iter().map(along).collect();
        Operand { node: view.node, offset: view.offset, index_stride: 0, strides }
    }

    fn constrain(&mut self, spec: &mut NodeSpec, out: &[Axis], reduce: &[Axis], only: Option<(Axis, Axis)>) {
        let Some((small, large)) = only else { return };
        let at = |axis| out.iter().chain(reduce).position(|&a| a == axis).map_or(254, |label| label as u8);
        spec.constraint = Some((at(small), at(large)));
    }
}

/// A node of this kind with nothing in it.
pub(crate) fn blank(kind: Kind) -> NodeSpec {
    NodeSpec {
        kind,
        dtype: Type::F32,
        out_sizes: Vec::new(),
        reduce_sizes: Vec::new(),
        operands: Vec::new(),
        constraint: None,
        starts_from_operand: false,
        source: Source::State(0),
        program: Vec::new(),
    }
}

/// How many partial sums a sum of `terms` gets: a divisor near its square root (few), or enough for the limit.
fn columns(terms: u32, few: bool) -> Option<u32> {
    let least = terms.div_ceil(MAX_TERMS);
    let wanted = if few { terms.isqrt().max(least) } else { least };
    let above = (wanted..=wanted.saturating_mul(4)).find(|&d| terms.is_multiple_of(d));
    above.or_else(|| (least..wanted).rev().find(|&d| terms.is_multiple_of(d))).filter(|&d| d > 1 && d < terms)
}
