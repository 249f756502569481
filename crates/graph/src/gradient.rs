//! Reverse-mode differentiation: one rule per operator, and the rules give operators.
//!
//! The derivative with respect to a tensor is laid out like the tensor. Every reader contributes one summand; the
//! summands stay unwritten until all are known, so that a contraction can start its chain from the sum of the others.

use crate::affine::{Digits, bijection, compose, dense, digits};
use crate::builder::{Builder, Tensor, blank};
use crate::graph::GraphError;
use crate::program::{Program, Value};
use sip_ops::{
    Instruction, Kind, MAX_OPERANDS, MAX_OUT_LABELS, MAX_REDUCE_LABELS, MAX_TERMS, NodeSpec, Opcode, Operand, Type,
};

/// A summand of a derivative.
enum Summand {
    /// A tensor that is there, read along labels of these sizes (row-major over the derivative).
    View { sizes: Vec<u32>, operand: Operand },
    /// A node that has not been added yet; its output is laid out like the derivative.
    Pending(NodeSpec),
}

pub(crate) fn gradients(builder: &mut Builder, loss: Tensor, wrt: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let fail = |node: u32, builder: &Builder, reason: &str| {
        let kind = builder.nodes.get(node as usize).map_or(Kind::Input, |spec| spec.kind);
        Err(GraphError::Gradient { node, kind, reason: reason.into() })
    };
    if let Some(error) = &builder.error {
        return Err(error.clone());
    }
    if loss.node as usize >= builder.nodes.len() || loss.len != 1 || builder.type_of(loss.node) != Type::F32 {
        return fail(loss.node, builder, "the loss has to be one f32");
    }
    let count = loss.node as usize + 1;
    let mut wanted = vec![false; count];
    for tensor in wrt {
        match wanted.get_mut(tensor.node as usize) {
            Some(slot) => *slot = true,
            None => return fail(tensor.node, builder, "the loss does not depend on it"),
        }
    }
    for number in 0..count {
        let spec = &builder.nodes[number];
        // A maximum counts as constant.
        let through = spec.kind != Kind::ReduceMax && spec.dtype == Type::F32;
        wanted[number] |= through && spec.operands.iter().any(|o| wanted[o.node as usize]);
    }
    if let Some(number) = bytes_between(&builder.nodes[..count], wrt) {
        return fail(number, builder, "products of bytes have none; train with a contraction of f32");
    }
    let mut summands: Vec<Vec<Summand>> = Vec::new();
    summands.resize_with(count, Vec::new);
    let mut totals: Vec<Option<u32>> = vec![None; count];
    let one = Instruction { opcode: Opcode::ConstF as u8, a: 0, b: 0, c: 0, immediate: 1f32.to_bits() };
    summands[loss.node as usize].push(Summand::Pending(NodeSpec {
        out_sizes: vec![1],
        program: vec![one],
        ..blank(Kind::Map)
    }));
    for number in (0..count).rev() {
        if !wanted[number] || summands[number].is_empty() {
            continue;
        }
        let total = add_up(builder, std::mem::take(&mut summands[number]));
        totals[number] = Some(total);
        let spec = builder.nodes[number].clone();
        let mut sink = |operand: usize, summand: Summand| {
            let node = spec.operands[operand].node as usize;
            summands[node].push(summand);
        };
        let is_wanted: Vec<bool> = spec.operands.iter().map(|o| wanted[o.node as usize]).collect();
        let rule = match spec.kind {
            Kind::Input | Kind::ReduceMax => Ok(()),
            Kind::ContractI8 => Err("products of bytes have none; train with a contraction of f32"),
            Kind::Contract => contract(builder, &spec, total, &is_wanted, &mut sink),
            Kind::ReduceAdd => reduce_add(builder, &spec, total, &mut sink),
            Kind::Map => map(builder, &spec, number as u32, total, &is_wanted, &mut sink),
            Kind::Gather => gather(builder, &spec, total, &mut sink),
            Kind::ScatterAdd => scatter_add(builder, &spec, total, &mut sink),
        };
        if let Err(reason) = rule {
            return fail(number as u32, builder, reason);
        }
    }
    let mut result = Vec::with_capacity(wrt.len());
    for tensor in wrt {
        match totals[tensor.node as usize] {
            Some(total) => result.push(builder.tensor(total)),
            None => return fail(tensor.node, builder, "the loss does not depend on it"),
        }
    }
    Ok(result)
}

/// A product of bytes through which the last node depends on one of the tensors.
fn bytes_between(nodes: &[NodeSpec], wrt: &[Tensor]) -> Option<u32> {
    let mut depends: Vec<bool> = (0..nodes.len()).map(|n| wrt.iter().any(|tensor| tensor.node as usize == n)).collect();
    for (number, spec) in nodes.iter().enumerate() {
        depends[number] |= spec.operands.iter().any(|operand| depends[operand.node as usize]);
    }
    let mut needed = vec![false; nodes.len()];
    *needed.last_mut()? = true;
    for (number, spec) in nodes.iter().enumerate().rev() {
        if needed[number] {
            spec.operands.iter().for_each(|operand| needed[operand.node as usize] = true);
        }
    }
    let is_between = |number: &usize| nodes[*number].kind == Kind::ContractI8 && depends[*number] && needed[*number];
    (0..nodes.len()).find(is_between).map(|number| number as u32)
}

type Sink<'a> = dyn FnMut(usize, Summand) + 'a;
type Rule = Result<(), &'static str>;

/// The operand that reads `node` whole and row-major along labels of these sizes.
fn whole(node: u32, sizes: &[u32]) -> Operand {
    Operand { node, offset: 0, index_stride: 0, strides: dense(sizes) }
}

/// Adds the summands: contractions become one chain that starts from a summand that is there; the rest is one map.
fn add_up(builder: &mut Builder, summands: Vec<Summand>) -> u32 {
    let mut views: Vec<(Vec<u32>, Operand)> = Vec::new();
    let mut contractions = Vec::new();
    for summand in summands {
        match summand {
            Summand::View { sizes, operand } => views.push((sizes, operand)),
            Summand::Pending(spec) if spec.kind == Kind::Contract && !spec.starts_from_operand => {
                contractions.push(spec);
            }
            Summand::Pending(spec) => {
                let tensor = builder.push(spec);
                let sizes = vec![tensor.len as u32];
                views.push((sizes.clone(), whole(tensor.node, &sizes)));
            }
        }
    }
    for mut spec in contractions {
        // A map's output joins the map that adds, and a broadcast costs less there: chains start from other tensors.
        let start = views.iter().enumerate().find_map(|(place, (sizes, operand))| {
            let read = &builder.nodes[operand.node as usize];
            if read.kind == Kind::Map || read.len() != spec.len() || spec.terms() as u64 > MAX_TERMS as u64 {
                return None;
            }
            let Digits::Affine(found) = digits(&spec.out_sizes, 0, &dense(&spec.out_sizes), sizes) else { return None };
            let (offset, strides) = compose(&found, operand.offset, &operand.strides, spec.out_sizes.len());
            Some((place, Operand { node: operand.node, offset, index_stride: 0, strides }))
        });
        if let Some((place, mut operand)) = start {
            views.remove(place);
            operand.strides.resize(spec.out_sizes.len() + spec.reduce_sizes.len(), 0);
            spec.operands.push(operand);
            spec.starts_from_operand = true;
        }
        let tensor = builder.push_sum(spec);
        let sizes = vec![tensor.len as u32];
        views.insert(0, (sizes.clone(), whole(tensor.node, &sizes)));
    }
    while views.len() > 1 {
        let last = views.len().min(MAX_OPERANDS);
        let some: Vec<(Vec<u32>, Operand)> = views.drain(..last).collect();
        let node = add_views(builder, some);
        let sizes = vec![builder.tensor(node).len as u32];
        views.insert(0, (sizes.clone(), whole(node, &sizes)));
    }
    match views.pop() {
        Some((sizes, operand)) if is_whole(builder, &sizes, &operand) => operand.node,
        Some(view) => add_views(builder, vec![view]),
        None => 0,
    }
}

fn is_whole(builder: &Builder, sizes: &[u32], operand: &Operand) -> bool {
    let len = sizes.iter().map(|&s| s as usize).product::<usize>();
    operand.offset == 0 && operand.strides == dense(sizes) && builder.tensor(operand.node).len == len
}

/// One map that adds views; those that cannot share labels with the first are written out before.
fn add_views(builder: &mut Builder, views: Vec<(Vec<u32>, Operand)>) -> u32 {
    let shape = views.iter().max_by_key(|(sizes, _)| sizes.len()).map_or(vec![1], |(sizes, _)| sizes.clone());
    let mut operands = Vec::new();
    for (sizes, operand) in views {
        let found = match digits(&shape, 0, &dense(&shape), &sizes) {
            Digits::Affine(found) => found,
            _ => {
                let node = add_views(builder, vec![(sizes, operand)]);
                operands.push(whole(node, &shape));
                continue;
            }
        };
        let (offset, strides) = compose(&found, operand.offset, &operand.strides, shape.len());
        operands.push(Operand { node: operand.node, offset, index_stride: 0, strides });
    }
    let types = vec![Type::F32; operands.len()];
    let mut program = Program::new(&[], &types);
    let mut sum = program.operand(0);
    for number in 1..operands.len() {
        let next = program.operand(number);
        sum = program.add(sum, next);
    }
    builder.push_program(NodeSpec { out_sizes: shape, operands, ..blank(Kind::Map) }, program, sum).node
}

/// d(a·b) for each factor: a contraction of the output's derivative with the other factor.
fn contract(builder: &mut Builder, spec: &NodeSpec, total: u32, wanted: &[bool], sink: &mut Sink<'_>) -> Rule {
    let out = spec.out_sizes.len();
    let sizes: Vec<u32> = spec.out_sizes.iter().chain(&spec.reduce_sizes).copied().collect();
    let mut derivative = whole(total, &spec.out_sizes);
    derivative.strides.resize(sizes.len(), 0);
    for (target, other) in [(0, 1), (1, 0)] {
        if !wanted[target] {
            continue;
        }
        let view = &spec.operands[target];
        let len = builder.tensor(view.node).len;
        let Some(order) = bijection(&sizes, view.offset, &view.strides, len) else {
            return Err("a factor is not read whole");
        };
        let mut labels: Vec<usize> = order.iter().map(|&(label, _)| label).collect();
        let kept = labels.len();
        labels.extend((0..sizes.len()).filter(|l| !order.iter().any(|(kept, _)| kept == l)));
        let operands = [&derivative, &spec.operands[other]].map(|o| reorder(o, &sizes, &labels, &order));
        let mut new = NodeSpec {
            out_sizes: labels[..kept].iter().map(|&l| sizes[l]).collect(),
            reduce_sizes: labels[kept..].iter().map(|&l| sizes[l]).collect(),
            operands: operands.to_vec(),
            ..blank(Kind::Contract)
        };
        if let Some((small, large)) = spec.constraint {
            let at = |label: u8| labels.iter().position(|&l| l == label as usize).map(|l| l as u8);
            if order.iter().any(|&(l, backwards)| backwards && (l == small as usize || l == large as usize)) {
                return Err("a constrained label is read backwards");
            }
            new.constraint = at(small).zip(at(large));
        }
        crate::affine::shorten(&mut new);
        if new.reduce_sizes.is_empty() && new.constraint.is_none() {
            let mut program = Program::new(&[], &[Type::F32; 2]);
            let (a, b) = (program.operand(0), program.operand(1));
            let product = program.mul(a, b);
            new.kind = Kind::Map;
            new = builder.with_program(new, program, product);
        }
        if new.out_sizes.len() > MAX_OUT_LABELS || new.reduce_sizes.len() > MAX_REDUCE_LABELS {
            return Err("the derivative of a factor needs too many labels");
        }
        sink(target, Summand::Pending(new));
    }
    if spec.starts_from_operand && wanted[2] {
        let mut view = spec.operands[2].clone();
        view.strides.truncate(out);
        derivative.strides.truncate(out);
        let pull = Pull { sizes: &spec.out_sizes, view: &view, operands: vec![derivative] };
        let program = Program::new(&[], &[Type::F32]);
        let value = program.operand(0);
        sink(2, pull_back(builder, pull, program, value)?);
    }
    Ok(())
}

/// The read with its labels in another order, backwards along those that `order` says.
fn reorder(operand: &Operand, sizes: &[u32], labels: &[usize], order: &[(usize, bool)]) -> Operand {
    let mut offset = operand.offset;
    let mut strides = Vec::with_capacity(labels.len());
    for &label in labels {
        let backwards = order.iter().any(|&(l, backwards)| l == label && backwards);
        let stride = operand.strides[label];
        if backwards {
            offset += stride * (sizes[label] as i32 - 1);
        }
        strides.push(if backwards { -stride } else { stride });
    }
    Operand { node: operand.node, offset, index_stride: operand.index_stride, strides }
}

/// A value per point of `sizes`, to be summed onto the elements that `view` reads there.
struct Pull<'a> {
    sizes: &'a [u32],
    view: &'a Operand,
    operands: Vec<Operand>,
}

/// Sums a program's value over the labels along which the view stands still.
fn pull_back(builder: &mut Builder, pull: Pull<'_>, program: Program, value: Value) -> Result<Summand, &'static str> {
    let Pull { sizes, view, operands } = pull;
    let len = builder.tensor(view.node).len;
    let Some(order) = bijection(sizes, view.offset, &view.strides, len) else {
        return Err("an operand is not read whole");
    };
    let kept: Vec<usize> = order.iter().map(|&(label, _)| label).collect();
    let summed: Vec<usize> = (0..sizes.len()).filter(|l| !kept.contains(l) && sizes[*l] > 1).collect();
    let shape: Vec<u32> = kept.iter().map(|&l| sizes[l]).collect();
    if summed.is_empty() {
        let operands: Vec<Operand> = operands.iter().map(|o| reorder(o, sizes, &kept, &order)).collect();
        if let Some(number) = program.as_operand(value) {
            return Ok(Summand::View { sizes: shape, operand: operands[number].clone() });
        }
        let spec = NodeSpec { out_sizes: shape, operands, ..blank(Kind::Map) };
        let mut spec = builder.with_program(spec, program, value);
        relabel(&mut spec, &kept, &order)?;
        return Ok(Summand::Pending(spec));
    }
    let labels: Vec<usize> = kept.iter().chain(&summed).copied().collect();
    let reduce_sizes: Vec<u32> = summed.iter().map(|&l| sizes[l]).collect();
    let turned = |o: &Operand| reorder(o, sizes, &labels, &order);
    let sum = NodeSpec { out_sizes: shape, reduce_sizes, ..blank(Kind::ReduceAdd) };
    let mut sum = if let Some(number) = program.as_operand(value) {
        NodeSpec { operands: vec![turned(&operands[number])], ..sum }
    } else if let Some((a, b)) = program.as_operand_product(value) {
        NodeSpec { kind: Kind::Contract, operands: vec![turned(&operands[a]), turned(&operands[b])], ..sum }
    } else {
        let map = NodeSpec { out_sizes: sizes.to_vec(), operands, ..blank(Kind::Map) };
        let product = builder.push_program(map, program, value);
        NodeSpec { operands: vec![turned(&whole(product.node, sizes))], ..sum }
    };
    crate::affine::shorten(&mut sum);
    if sum.reduce_sizes.len() > MAX_REDUCE_LABELS || sum.out_sizes.len() > MAX_OUT_LABELS {
        return Err("a broadcast operand needs too many labels");
    }
    if sum.kind == Kind::Contract {
        return Ok(Summand::Pending(sum));
    }
    let tensor = builder.push_sum(sum);
    let sizes = vec![tensor.len as u32];
    Ok(Summand::View { operand: whole(tensor.node, &sizes), sizes })
}

/// Moves the coordinates of a map's program to new label positions.
fn relabel(spec: &mut NodeSpec, kept: &[usize], order: &[(usize, bool)]) -> Rule {
    for i in spec.program.iter_mut().filter(|i| i.opcode == Opcode::Coordinate as u8) {
        let Some(place) = kept.iter().position(|&l| l == i.a as usize) else {
            return Err("a program asks for the coordinate of an axis of size 1");
        };
        if order[place].1 {
            return Err("a program asks for the coordinate of an axis that is read backwards");
        }
        i.a = place as u8;
    }
    Ok(())
}

fn reduce_add(builder: &mut Builder, spec: &NodeSpec, total: u32, sink: &mut Sink<'_>) -> Rule {
    let sizes: Vec<u32> = spec.out_sizes.iter().chain(&spec.reduce_sizes).copied().collect();
    let mut derivative = whole(total, &spec.out_sizes);
    derivative.strides.resize(sizes.len(), 0);
    let mut program = Program::new(&[], &[Type::F32]);
    let mut value = program.operand(0);
    if let Some((small, large)) = spec.constraint {
        let (small, large) = (program.coordinate_of(small as usize), program.coordinate_of(large as usize));
        let absent = program.less_u(large, small);
        let zero = program.constant(0.0);
        value = program.select(absent, zero, value);
    }
    if sizes.len() > MAX_OUT_LABELS {
        return Err("a sum has too many labels");
    }
    let pull = Pull { sizes: &sizes, view: &spec.operands[0], operands: vec![derivative] };
    sink(0, pull_back(builder, pull, program, value)?);
    Ok(())
}

fn map(builder: &mut Builder, spec: &NodeSpec, node: u32, total: u32, wanted: &[bool], sink: &mut Sink<'_>) -> Rule {
    let mut types: Vec<Type> = spec.operands.iter().map(|o| builder.type_of(o.node)).collect();
    let mut operands = spec.operands.clone();
    operands.push(whole(total, &spec.out_sizes));
    operands.push(whole(node, &spec.out_sizes));
    let count = types.len();
    types.extend([Type::F32; 2]);
    let mut program = Program::new(&[], &types);
    let adjoints = program.adjoints(spec, &types[..count]);
    for (number, adjoint) in adjoints.into_iter().enumerate() {
        let Some(value) = adjoint.filter(|_| wanted[number]) else { continue };
        let pull = Pull { sizes: &spec.out_sizes, view: &spec.operands[number], operands: operands.clone() };
        sink(number, pull_back(builder, pull, program.clone(), value)?);
    }
    Ok(())
}

/// Rows that were looked up get a scatter; one value picked per row gets a map that is 0 elsewhere.
fn gather(builder: &mut Builder, spec: &NodeSpec, total: u32, sink: &mut Sink<'_>) -> Rule {
    let (index, from) = (&spec.operands[0], &spec.operands[1]);
    let len = builder.tensor(from.node).len;
    let sizes = &spec.out_sizes;
    let stride = from.index_stride;
    if stride <= 0 || from.offset != 0 {
        return Err("a lookup needs a positive index stride and no offset");
    }
    let derivative = whole(total, sizes);
    let moving: Vec<usize> = (0..sizes.len()).filter(|&l| from.strides[l] != 0 && sizes[l] > 1).collect();
    let still: Vec<usize> = (0..sizes.len()).filter(|l| !moving.contains(l) && sizes[*l] > 1).collect();
    let covered: usize = moving.iter().map(|&l| sizes[l] as usize).product();
    if covered == 0 || !len.is_multiple_of(covered) {
        return Err("a lookup does not read whole rows");
    }
    // The labels and, after them, the index as a label of its own.
    let rows = (len / covered) as u32;
    let extended: Vec<u32> = sizes.iter().copied().chain([rows]).collect();
    let extend = |o: &Operand, last: i32| {
        let strides = o.strides.iter().copied().chain([last]).collect();
        Operand { node: o.node, offset: o.offset, index_stride: 0, strides }
    };
    let Some(order) = bijection(&extended, 0, &extend(from, stride).strides, len) else {
        return Err("a lookup does not read whole rows");
    };
    let kept: Vec<usize> = order.iter().map(|&(l, _)| l).collect();
    let labels: Vec<usize> = kept.iter().chain(&still).copied().collect();
    let place = |o: &Operand| reorder(&extend(o, 0), &extended, &labels, &order);
    let operands = vec![place(index), place(&derivative)];
    let out_sizes = kept.iter().map(|&l| extended[l]).collect();
    if still.is_empty() {
        let Some(label) = kept.iter().position(|&l| l == sizes.len()) else {
            return Err("a lookup has one row only");
        };
        let mut program = Program::new(&[], &[Type::U32, Type::F32]);
        let (index, derivative) = (program.operand(0), program.operand(1));
        let row = program.coordinate_of(label);
        let (chosen, zero) = (program.equal_u(row, index), program.constant(0.0));
        let value = program.select(chosen, derivative, zero);
        let spec = NodeSpec { out_sizes, operands, ..blank(Kind::Map) };
        sink(1, Summand::Pending(builder.with_program(spec, program, value)));
        return Ok(());
    }
    if kept.first() != Some(&sizes.len()) {
        return Err("a lookup's rows are not the outermost axis");
    }
    let reduce_sizes = still.iter().map(|&l| sizes[l]).collect();
    sink(1, Summand::Pending(NodeSpec { out_sizes, reduce_sizes, operands, ..blank(Kind::ScatterAdd) }));
    Ok(())
}

fn scatter_add(builder: &mut Builder, spec: &NodeSpec, total: u32, sink: &mut Sink<'_>) -> Rule {
    let (index, values) = (&spec.operands[0], &spec.operands[1]);
    let sizes: Vec<u32> = spec.out_sizes.iter().chain(&spec.reduce_sizes).copied().collect();
    let Some(order) = bijection(&sizes, values.offset, &values.strides, builder.tensor(values.node).len) else {
        return Err("values are not read whole");
    };
    if values.strides[0] != 0 || index.strides[..spec.out_sizes.len()].iter().any(|&s| s != 0) {
        return Err("index or values depend on the row");
    }
    let labels: Vec<usize> = order.iter().map(|&(l, _)| l).collect();
    let mut derivative = whole(total, &spec.out_sizes);
    let row = std::mem::take(&mut derivative.strides[0]);
    derivative.strides.resize(sizes.len(), 0);
    let mut from = reorder(&derivative, &sizes, &labels, &order);
    from.index_stride = row;
    let out_sizes = labels.iter().map(|&l| sizes[l]).collect();
    let operands = vec![reorder(index, &sizes, &labels, &order), from];
    sink(1, Summand::Pending(NodeSpec { out_sizes, operands, ..blank(Kind::Gather) }));
    Ok(())
}
