//! The shape of a training step at large: which nodes are the forward pass, the backward pass and the update, and which
//! layer each belongs to.
//!
//! A finished graph does not say so: it is found out from what the nodes read, so it holds for any graph whose weights
//! are named as Hugging Face names them (`layers.<number>.`), fused or not.

use crate::graph::Graph;
use crate::show::Names;
use sip_ops::{Kind, NodeSpec, Source};

/// What a node is computed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Input,
    /// Towards a named result.
    Forward,
    /// Towards a gradient.
    Backward,
    /// Towards the next state.
    Update,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub stage: Stage,
    /// −1 before the first layer, the number of layers after the last one.
    pub layer: i32,
}

/// The outline of a graph.
pub(crate) struct Outline {
    pub places: Vec<Place>,
    /// Number of layers; 0 where the weights name none.
    pub layers: i32,
    /// For every node the state entry whose gradient it is.
    pub gradient_of: Vec<Option<u32>>,
}

/// Finds the outline.
pub(crate) fn outline(graph: &Graph, names: &Names) -> Outline {
    let nodes = graph.nodes();
    let weight_layer: Vec<Option<i32>> = nodes.iter().map(|spec| layer_of_weight(spec, names)).collect();
    let layers = weight_layer.iter().flatten().max().map_or(0, |last| last + 1);
    let (stages, gradient_of) = stages(graph);
    let mut places: Vec<Place> = stages.iter().map(|&stage| Place { stage, layer: layers }).collect();
    forward_layers(nodes, &weight_layer, layers, &mut places);
    backward_layers(nodes, &weight_layer, layers, &mut places);
    move_what_only_the_first_has(nodes, layers, &mut places);
    Outline { places, layers, gradient_of }
}

/// The number behind `layers.` in a weight's name.
fn layer_of_weight(spec: &NodeSpec, names: &Names) -> Option<i32> {
    if spec.kind != Kind::Input || !matches!(spec.source, Source::State(_)) {
        return None;
    }
    let name = names.of(spec.source);
    let rest = name.split("layers.").nth(1)?;
    rest.split('.').next()?.parse().ok().filter(|layer| (0..1 << 20).contains(layer))
}

fn ancestors(nodes: &[NodeSpec], mut marked: Vec<bool>) -> Vec<bool> {
    for number in (0..nodes.len()).rev().filter(|&n| n < nodes.len()) {
        if marked[number] {
            nodes[number].operands.iter().for_each(|o| marked[o.node as usize] = true);
        }
    }
    marked
}

fn stages(graph: &Graph) -> (Vec<Stage>, Vec<Option<u32>>) {
    let nodes = graph.nodes();
    let is_input = |node: u32| nodes[node as usize].kind == Kind::Input;
    let mut results = vec![false; nodes.len()];
    graph.results().iter().for_each(|(_, node)| results[*node as usize] = true);
    let forward = ancestors(nodes, results);
    // What the forward pass does not read of the state are the moments; what depends on them is the update.
    let mut update: Vec<bool> = nodes
        .iter()
        .enumerate()
        .map(|(n, spec)| spec.kind == Kind::Input && matches!(spec.source, Source::State(_)) && !forward[n])
        .collect();
    for number in 0..nodes.len() {
        update[number] |= nodes[number].operands.iter().any(|o| update[o.node as usize]);
    }
    // The update reads a gradient beside a moment of the same length.
    let mut gradient_of = vec![None; nodes.len()];
    for (entry, &node) in graph.state_outputs().iter().enumerate().filter(|(_, node)| update[**node as usize]) {
        let spec = &nodes[node as usize];
        for operand in &spec.operands {
            let read = operand.node as usize;
            if !is_input(operand.node) && !update[read] && nodes[read].len() == spec.len() && spec.len() > 1 {
                gradient_of[read] = Some(entry as u32);
            }
        }
    }
    // Both moments read it; the entry of the weight comes first.
    let entries = graph.state_outputs().len() as u32 / 3;
    gradient_of.iter_mut().flatten().for_each(|entry| *entry %= entries.max(1));
    let backward = ancestors(nodes, gradient_of.iter().map(Option::is_some).collect());
    let stage = |number: usize| match () {
        () if is_input(number as u32) => Stage::Input,
        () if forward[number] => Stage::Forward,
        () if backward[number] => Stage::Backward,
        () => Stage::Update,
    };
    ((0..nodes.len()).map(stage).collect(), gradient_of)
}

/// A forward node belongs to the layer whose weight it reads, else to the first layer that reads it.
fn forward_layers(nodes: &[NodeSpec], weight_layer: &[Option<i32>], layers: i32, places: &mut [Place]) {
    let mut reached = vec![-1; nodes.len()];
    let mut own = vec![None; nodes.len()];
    for (number, spec) in nodes.iter().enumerate().filter(|(n, _)| places[*n].stage == Stage::Forward) {
        let read = || spec.operands.iter().map(|o| o.node as usize);
        let before = read().map(|o| reached[o]).max().unwrap_or(-1);
        own[number] = read().filter_map(|o| weight_layer[o]).max();
        let other_weight = read().any(|o| matches!(nodes[o].source, Source::State(_)) && nodes[o].kind == Kind::Input);
        if own[number].is_none() && other_weight {
            own[number] = Some(if before < 0 { -1 } else { layers });
        }
        reached[number] = own[number].unwrap_or(before);
    }
    let mut first_reader = vec![layers; nodes.len()];
    for number in (0..nodes.len()).rev().filter(|&n| places[n].stage == Stage::Forward).collect::<Vec<_>>() {
        let layer = own[number].unwrap_or(first_reader[number]);
        places[number].layer = layer;
        for o in &nodes[number].operands {
            let known = &mut first_reader[o.node as usize];
            *known = (*known).min(layer);
        }
    }
}

/// A backward node belongs to the layer whose weights or inner tensors it reads, else to where its gradient comes from.
fn backward_layers(nodes: &[NodeSpec], weight_layer: &[Option<i32>], layers: i32, places: &mut [Place]) {
    // The tensor between two layers is read backward by both.
    let mut between = vec![false; nodes.len()];
    for (number, spec) in nodes.iter().enumerate().filter(|(n, _)| places[*n].stage == Stage::Forward) {
        for o in spec.operands.iter().map(|o| o.node as usize) {
            between[o] |= places[o].stage == Stage::Forward && places[o].layer != places[number].layer;
        }
    }
    for (number, spec) in nodes.iter().enumerate() {
        if places[number].stage != Stage::Backward {
            continue;
        }
        let mut layer = layers;
        for o in spec.operands.iter().map(|o| o.node as usize) {
            let found = match places[o].stage {
                Stage::Input => weight_layer[o],
                Stage::Forward if !between[o] => Some(places[o].layer).filter(|&layer| layer >= 0),
                Stage::Backward => Some(places[o].layer),
                _ => None,
            };
            layer = layer.min(found.unwrap_or(layers));
        }
        places[number].layer = layer;
    }
}

/// What looks like part of the first layer but has no like in the second belongs to the embedding before it.
fn move_what_only_the_first_has(nodes: &[NodeSpec], layers: i32, places: &mut [Place]) {
    if layers < 2 {
        return;
    }
    for stage in [Stage::Forward, Stage::Backward] {
        let of = |layer: i32, places: &[Place]| -> Vec<usize> {
            (0..nodes.len()).filter(|&n| places[n] == Place { stage, layer }).collect()
        };
        let mut second: Vec<Form<'_>> = of(1, places).into_iter().map(|n| Form::of(&nodes[n])).collect();
        let mut first = of(0, places);
        if stage == Stage::Forward {
            first.reverse();
        }
        for number in first {
            match second.iter().position(|form| *form == Form::of(&nodes[number])) {
                Some(like) => _ = second.swap_remove(like),
                None => places[number].layer = -1,
            }
        }
    }
}

/// What two nodes must share to be shown as one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form<'a> {
    kind: Kind,
    out_sizes: &'a [u32],
    reduce_sizes: &'a [u32],
    program: &'a [sip_ops::Instruction],
    operands: usize,
}

impl<'a> Form<'a> {
    pub(crate) fn of(spec: &'a NodeSpec) -> Form<'a> {
        Form {
            kind: spec.kind,
            out_sizes: &spec.out_sizes,
            reduce_sizes: &spec.reduce_sizes,
            program: &spec.program,
            operands: spec.operands.len(),
        }
    }
}
