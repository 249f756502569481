//! A graph for people: what every node computes, in formulas, and what it costs.

use crate::graph::Graph;
use sip_ops::{Instruction, Kind, NodeSpec, Opcode, Operand, Source, Type};
use std::fmt::Write;

/// Names of what a graph reads, by number of the source; sources without one are called by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// State entries.
    pub state: Vec<String>,
    /// Tables.
    pub tables: Vec<String>,
}

impl Names {
    /// The name of a source.
    pub fn of(&self, source: Source) -> String {
        let known = |list: &[String], index: u32, what: &str| {
            list.get(index as usize).cloned().unwrap_or_else(|| format!("{what} {index}"))
        };
        match source {
            Source::State(index) => known(&self.state, index, "state"),
            Source::Table(index) => known(&self.tables, index, "table"),
            Source::Batch => "batch".into(),
            Source::Step => "step".into(),
            Source::Setting => "settings".into(),
        }
    }
}

/// A node in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Number of the node.
    pub node: u32,
    /// Its operator.
    pub kind: Kind,
    /// Element type and shape, as `f32 [4, 128]`.
    pub shape: String,
    /// Sizes of the reduction labels.
    pub reduction: Vec<u32>,
    /// What one element is, over the labels i, j, k, l, m of the output and r, s of the reduction; `#12` is node 12.
    pub formula: String,
    /// Name of the input, or of what the node's tensor becomes.
    pub name: Option<String>,
    /// Nodes that are read.
    pub reads: Vec<u32>,
    /// Bytes of the output.
    pub bytes: u64,
    /// Floating-point operations: two for a multiply-add, one for any other, roots, exponentials and logarithms included.
    pub flops: u64,
}

/// Sums over a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Number of nodes by operator.
    pub nodes: Vec<(Kind, usize)>,
    /// Floating-point operations of one run.
    pub flops: u64,
    /// Bytes of all computed tensors, if none shared memory.
    pub bytes: u64,
}

/// All operators, in the order of listings.
pub(crate) const KINDS: [Kind; 8] = [
    Kind::Input,
    Kind::Contract,
    Kind::ContractI8,
    Kind::ReduceAdd,
    Kind::ReduceMax,
    Kind::Map,
    Kind::Gather,
    Kind::ScatterAdd,
];

/// The operator in words.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Input => "input",
        Kind::Contract => "contract",
        Kind::ReduceAdd => "reduce add",
        Kind::ReduceMax => "reduce max",
        Kind::Map => "map",
        Kind::Gather => "gather",
        Kind::ScatterAdd => "scatter add",
        Kind::ContractI8 => "contract i8",
    }
}

/// Every node in words.
pub fn describe(graph: &Graph, names: &Names) -> Vec<Description> {
    let nodes = graph.nodes();
    let mut named: Vec<Option<String>> =
        nodes.iter().map(|spec| (spec.kind == Kind::Input).then(|| names.of(spec.source))).collect();
    for (entry, &node) in graph.state_outputs().iter().enumerate() {
        let name = names.of(Source::State(entry as u32));
        named[node as usize].get_or_insert_with(|| format!("→ {name}"));
    }
    for (name, node) in graph.results() {
        named[*node as usize] = Some(name.clone());
    }
    let describe = |(number, spec): (usize, &NodeSpec)| Description {
        node: number as u32,
        kind: spec.kind,
        shape: shape(spec),
        reduction: spec.reduce_sizes.clone(),
        formula: formula(spec, &|operand| call(nodes, names, operand.node)),
        name: named[number].clone(),
        reads: spec.operands.iter().map(|operand| operand.node).collect(),
        bytes: 4 * spec.len() as u64,
        flops: flops(spec),
    };
    nodes.iter().enumerate().map(describe).collect()
}

/// Sums over all nodes.
pub fn totals(graph: &Graph) -> Totals {
    let computed = || graph.nodes().iter().filter(|spec| spec.kind != Kind::Input);
    Totals {
        nodes: KINDS.iter().map(|&kind| (kind, graph.count(kind))).collect(),
        flops: computed().map(flops).sum(),
        bytes: computed().map(|spec| 4 * spec.len() as u64).sum(),
    }
}

/// The listing, one node per line.
pub fn text(graph: &Graph, names: &Names) -> String {
    let mut out =
        format!("{:>5} {:<11} {:<24} {:>9} {:>9}  one element\n", "node", "operator", "shape", "bytes", "FLOP");
    for d in describe(graph, names) {
        let name = d.name.map_or(String::new(), |name| format!("   {name}"));
        let formula = if d.kind == Kind::Input { name.trim_start().into() } else { format!("{}{name}", d.formula) };
        let (bytes, flops) = (quantity(d.bytes), if d.flops == 0 { String::new() } else { quantity(d.flops) });
        let _ =
            writeln!(out, "{:>5} {:<11} {:<24} {bytes:>9} {flops:>9}  {formula}", d.node, kind_name(d.kind), d.shape);
    }
    out
}

/// The graph in the language of Graphviz; inputs stand in the nodes that read them.
pub fn dot(graph: &Graph, names: &Names) -> String {
    let mut out =
        String::from("digraph step {\n  node [shape=box, style=filled, fontname=\"sans-serif\", fontsize=10];\n");
    for d in describe(graph, names) {
        if d.kind == Kind::Input {
            continue;
        }
        let label = format!("{} {}\n{}\n{}", d.node, kind_name(d.kind), d.shape, d.name.unwrap_or_default());
        let _ = writeln!(
            out,
            "  n{} [label=\"{}\", tooltip=\"{}\", fillcolor=\"{}\"];",
            d.node,
            label.trim_end().replace('\n', "\\n"),
            d.formula,
            crate::svg::fill(d.kind)
        );
        for read in d.reads.iter().filter(|&&read| graph.nodes()[read as usize].kind != Kind::Input) {
            let _ = writeln!(out, "  n{read} -> n{};", d.node);
        }
    }
    out + "}\n"
}

/// A quantity with three digits and a unit prefix of powers of 1000.
pub fn quantity(value: u64) -> String {
    let prefixes = ["", " k", " M", " G", " T", " P", " E"];
    let mut scaled = value as f64;
    let mut prefix = 0;
    while scaled >= 999.5 {
        scaled /= 1000.0;
        prefix += 1;
    }
    let digits = if prefix == 0 || scaled >= 99.95 {
        0
    } else if scaled >= 9.995 {
        1
    } else {
        2
    };
    format!("{scaled:.digits$}{}", prefixes[prefix])
}

/// Element type and shape.
pub(crate) fn shape(spec: &NodeSpec) -> String {
    let dtype = if spec.dtype == Type::U32 { "u32" } else { "f32" };
    format!("{dtype} {:?}", spec.out_sizes)
}

/// Terms of all chains together, those that a constraint removes aside.
fn present_terms(spec: &NodeSpec) -> u64 {
    let all = spec.len() as u64 * spec.terms() as u64;
    let Some((small, large)) = spec.constraint else { return all };
    let size = |label: u8| {
        let sizes = spec.out_sizes.iter().chain(&spec.reduce_sizes);
        sizes.copied().nth(label as usize).map_or(1, u64::from)
    };
    let (small, large) = (size(small), size(large));
    // Pairs with small ≤ large.
    let ramp = small.min(large);
    let pairs = ramp * (ramp + 1) / 2 + (large - ramp) * small;
    all / (small * large) * pairs
}

fn flops(spec: &NodeSpec) -> u64 {
    match spec.kind {
        // Products of bytes are integer operations.
        Kind::Input | Kind::Gather | Kind::ContractI8 => 0,
        Kind::Contract => 2 * present_terms(spec),
        Kind::ReduceAdd | Kind::ReduceMax => present_terms(spec),
        // Every value is added once; the terms whose index differs are absent.
        Kind::ScatterAdd => spec.len() as u64 / u64::from(spec.out_sizes[0]) * spec.terms() as u64,
        Kind::Map => {
            let per_element: u64 = spec.program.iter().map(|i| cost(i.opcode)).sum();
            per_element * spec.len() as u64
        }
    }
}

fn cost(opcode: u8) -> u64 {
    match Opcode::ALL.get(opcode as usize) {
        Some(Opcode::Fma) => 2,
        Some(Opcode::Add | Opcode::Sub | Opcode::Mul | Opcode::Div | Opcode::Sqrt | Opcode::Exp | Opcode::Log) => 1,
        _ => 0,
    }
}

/// How a node is called where it is read.
fn call(nodes: &[NodeSpec], names: &Names, node: u32) -> String {
    match nodes.get(node as usize) {
        Some(spec) if spec.kind == Kind::Input => names.of(spec.source),
        _ => format!("#{node}"),
    }
}

/// What one element of a node is; `call` names the operands.
pub(crate) fn formula(spec: &NodeSpec, call: &dyn Fn(&Operand) -> String) -> String {
    let read = |number: usize| spec.operands.get(number).map_or(String::new(), |o| call(o) + &address(spec, o));
    let over: Vec<String> = spec
        .reduce_sizes
        .iter()
        .enumerate()
        .map(|(n, size)| format!("{}<{size}", label(spec, spec.out_sizes.len() + n)))
        .collect();
    let only = spec.constraint.map_or(String::new(), |(small, large)| {
        format!(", {}≤{}", label(spec, small as usize), label(spec, large as usize))
    });
    let sum = format!("Σ({}{only})", over.join(" "));
    match spec.kind {
        Kind::Input => String::new(),
        Kind::Contract | Kind::ContractI8 if spec.starts_from_operand => {
            format!("{} + {sum} {} · {}", read(2), read(0), read(1))
        }
        Kind::Contract | Kind::ContractI8 => format!("{sum} {} · {}", read(0), read(1)),
        Kind::ReduceAdd => format!("{sum} {}", read(0)),
        Kind::ReduceMax => format!("max({}{only}) {}", over.join(" "), read(0)),
        Kind::Gather => {
            let Some(from) = spec.operands.get(1) else { return String::new() };
            let own = address(spec, from);
            let own = own.trim_start_matches('[').trim_end_matches(']');
            let own = if own.is_empty() || own == "0" { String::new() } else { format!(" + {own}") };
            format!("{}[{}·{}{own}]", call(from), from.index_stride, read(0))
        }
        Kind::ScatterAdd => format!("{sum} {} where {} = i", read(1), read(0)),
        Kind::Map => expression(spec, &read),
    }
}

/// The letter of a label.
fn label(spec: &NodeSpec, number: usize) -> char {
    let out = spec.out_sizes.len();
    let letters = if number < out { ['i', 'j', 'k', 'l', 'm'] } else { ['r', 's', '?', '?', '?'] };
    letters.get(if number < out { number } else { number - out }).copied().unwrap_or('?')
}

/// Where an operand is read, as `[128i + r]`; nothing where it is the element's own place.
fn address(spec: &NodeSpec, operand: &Operand) -> String {
    let sizes: Vec<u32> = spec.out_sizes.clone();
    let own = crate::affine::dense(&sizes);
    let out = &operand.strides[..sizes.len().min(operand.strides.len())];
    let moves = |strides: &[i32]| {
        strides.iter().zip(&sizes).map(|(&s, &size)| if size == 1 { 0 } else { s }).collect::<Vec<_>>()
    };
    let reduces = operand.strides[out.len()..].iter().any(|&stride| stride != 0);
    if operand.offset == 0 && operand.index_stride == 0 && !reduces && moves(out) == moves(&own) {
        return String::new();
    }
    let mut text = String::new();
    for (number, &stride) in operand.strides.iter().enumerate().filter(|(_, stride)| **stride != 0) {
        let sign = match (stride < 0, text.is_empty()) {
            (true, true) => "−",
            (true, false) => " − ",
            (false, true) => "",
            (false, false) => " + ",
        };
        let factor = if stride.unsigned_abs() == 1 { String::new() } else { stride.unsigned_abs().to_string() };
        let _ = write!(text, "{sign}{factor}{}", label(spec, number));
    }
    match (operand.offset, text.is_empty()) {
        (0, false) => {}
        (offset, true) => text = offset.to_string(),
        (offset, false) if offset < 0 => _ = write!(text, " − {}", offset.unsigned_abs()),
        (offset, false) => _ = write!(text, " + {offset}"),
    }
    format!("[{text}]")
}

/// How tightly an expression binds: a looser one needs parentheses inside a tighter one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Choice,
    Comparison,
    Sum,
    Product,
    Atom,
}

/// A program as an expression; values that are used more than once get a name, t0, t1, …
fn expression(spec: &NodeSpec, read: &dyn Fn(usize) -> String) -> String {
    let operands = spec.operands.len();
    let mut uses = vec![0u32; operands + spec.program.len()];
    for i in &spec.program {
        for value in [i.a, i.b, i.c].into_iter().take(arguments(i)) {
            uses[value as usize] += 1;
        }
    }
    let mut values: Vec<(String, Binding)> = (0..operands).map(|number| (read(number), Binding::Atom)).collect();
    let mut definitions = String::new();
    let mut names = 0;
    for (number, i) in spec.program.iter().enumerate() {
        let value = instruction(spec, i, &values);
        let is_last = number + 1 == spec.program.len();
        if uses[operands + number] > 1 && !is_last && arguments(i) > 0 {
            let _ = write!(definitions, "t{names} = {}; ", value.0);
            values.push((format!("t{names}"), Binding::Atom));
            names += 1;
        } else {
            values.push(value);
        }
    }
    definitions + values.last().map_or("", |(text, _)| text)
}

/// How many of an instruction's arguments are values.
fn arguments(i: &Instruction) -> usize {
    match Opcode::ALL.get(i.opcode as usize) {
        None | Some(Opcode::ConstF | Opcode::ConstU | Opcode::Coordinate) => 0,
        Some(Opcode::Sqrt | Opcode::Neg | Opcode::Abs | Opcode::Exp | Opcode::Log) => 1,
        Some(Opcode::FromU | Opcode::FromI | Opcode::ToI) => 1,
        Some(Opcode::Fma | Opcode::Select) => 3,
        Some(_) => 2,
    }
}

fn instruction(spec: &NodeSpec, i: &Instruction, values: &[(String, Binding)]) -> (String, Binding) {
    use Binding::{Atom, Choice, Comparison, Product, Sum};
    let at = |number: u8, least: Binding| match values.get(number as usize) {
        Some((text, binding)) if *binding >= least => text.clone(),
        Some((text, _)) => format!("({text})"),
        None => "?".into(),
    };
    // Rounded once per operation, so the order of operations is part of the meaning: only the left side joins without
    // parentheses.
    let infix = |symbol: &str, binding: Binding, tighter: Binding| {
        (format!("{} {symbol} {}", at(i.a, binding), at(i.b, tighter)), binding)
    };
    let function = |name: &str| (format!("{name}({})", at(i.a, Choice)), Atom);
    let Some(&opcode) = Opcode::ALL.get(i.opcode as usize) else { return ("?".into(), Atom) };
    match opcode {
        Opcode::ConstF => {
            let text = constant(f32::from_bits(i.immediate));
            let binding = if text.starts_with('−') { Sum } else { Atom };
            (text, binding)
        }
        Opcode::ConstU => (i.immediate.to_string(), Atom),
        Opcode::Coordinate => (label(spec, i.a as usize).to_string(), Atom),
        Opcode::Add | Opcode::AddU => infix("+", Sum, Product),
        Opcode::Sub | Opcode::SubU => infix("−", Sum, Product),
        Opcode::Mul | Opcode::MulU => infix("·", Product, Atom),
        Opcode::Div => infix("/", Product, Atom),
        Opcode::Fma => (format!("fma({}, {}, {})", at(i.a, Choice), at(i.b, Choice), at(i.c, Choice)), Atom),
        Opcode::Sqrt => function("√"),
        Opcode::Neg => (format!("−{}", at(i.a, Atom)), Product),
        Opcode::Abs => function("abs"),
        Opcode::Exp => function("exp"),
        Opcode::Log => function("log"),
        Opcode::FromU => function("f32"),
        Opcode::FromI => function("f32 of i32"),
        Opcode::ToI => function("i32"),
        Opcode::LessF | Opcode::LessU => infix("<", Comparison, Sum),
        Opcode::EqualU => infix("=", Comparison, Sum),
        Opcode::Select => (format!("{} ? {} : {}", at(i.a, Comparison), at(i.b, Comparison), at(i.c, Choice)), Choice),
        Opcode::And => infix("and", Comparison, Sum),
        Opcode::Or => infix("or", Comparison, Sum),
        Opcode::Xor => infix("xor", Comparison, Sum),
        Opcode::Shl => infix("≪", Comparison, Sum),
        Opcode::Shr => infix("≫", Comparison, Sum),
    }
}

fn constant(value: f32) -> String {
    let magnitude = value.abs();
    let plain = magnitude == 0.0 || (1e-3..1e6).contains(&magnitude);
    let text = if plain { format!("{magnitude}") } else { format!("{magnitude:e}") };
    if value.is_sign_negative() { format!("−{text}") } else { text }
}
