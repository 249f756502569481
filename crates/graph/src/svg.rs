//! A graph as a picture: the forward pass runs down on the left, the backward pass up on the right, the update stands
//! beside them. Layers that are alike are drawn once.
//!
//! The columns are laid out as Sugiyama et al. 1981 propose: ranks by longest path, long edges cut into pieces, the order within
//! a rank by barycentres, places by least squares.

use crate::graph::Graph;
use crate::outline::{Form, Outline, Stage, outline};
use crate::show::{KINDS, Names, describe, formula, kind_name};
use sip_ops::{Kind, Operand, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const NODE_WIDTH: f64 = 176.0;
const LINE_HEIGHT: f64 = 13.0;
const RANK_GAP: f64 = 34.0;
const NODE_GAP: f64 = 22.0;
/// Room of an edge that passes a rank.
const PASS_WIDTH: f64 = 14.0;
const BLOCK_GAP: f64 = 46.0;
const BLOCK_PADDING: f64 = 30.0;
const COLUMN_GAP: f64 = 150.0;
const MARGIN: f64 = 40.0;
const HEADER: f64 = 130.0;
/// Longest line in a node, in characters.
const LINE_CHARACTERS: usize = 29;

/// The colour of a kind.
pub(crate) fn fill(kind: Kind) -> &'static str {
    match kind {
        Kind::Input => "#e9ecef",
        Kind::Contract => "#cfe2ff",
        Kind::ReduceAdd => "#d1f0dc",
        Kind::ReduceMax => "#c5ece9",
        Kind::Map => "#ffe8bf",
        Kind::Gather => "#e2d6f7",
        Kind::ScatterAdd => "#f9d4e4",
        Kind::ContractI8 => "#d0ebff",
    }
}

fn stroke(kind: Kind) -> &'static str {
    match kind {
        Kind::Input => "#868e96",
        Kind::Contract => "#3b6fc9",
        Kind::ReduceAdd => "#2f9e5b",
        Kind::ReduceMax => "#1f8a84",
        Kind::Map => "#c98a12",
        Kind::Gather => "#7a4fc0",
        Kind::ScatterAdd => "#c2407a",
        Kind::ContractI8 => "#1c7ed6",
    }
}

/// The picture, as a document of its own; `title` and `lines` stand above it.
pub fn svg(graph: &Graph, names: &Names, title: &str, lines: &[String]) -> String {
    let picture = Picture::new(graph, names);
    let columns: Vec<Column> =
        [Stage::Forward, Stage::Backward, Stage::Update].iter().map(|&stage| picture.column(stage)).collect();
    picture.draw(columns, title, lines)
}

/// A part of the picture with a frame.
struct Block {
    title: String,
    /// Height of its ranks.
    height: f64,
    top: f64,
}

/// What is drawn, before it has a place.
struct Picture<'a> {
    graph: &'a Graph,
    names: &'a Names,
    outline: Outline,
    /// For every node the one that is drawn in its stead.
    drawn_as: Vec<usize>,
    /// For every node the block of its stage.
    block_of: Vec<usize>,
    /// How many nodes a drawn node stands for.
    stands_for: Vec<usize>,
    titles: Vec<String>,
    texts: BTreeMap<usize, Vec<(String, &'static str)>>,
}

/// The layout of one stage.
#[derive(Default)]
struct Column {
    items: Vec<Item>,
    /// (from, to, source node): from and to are items in neighbouring ranks.
    edges: Vec<(usize, usize, usize)>,
    /// Items by rank, from left to right.
    ranks: Vec<Vec<usize>>,
    /// First rank of every block.
    first_rank: Vec<usize>,
    left: f64,
    right: f64,
}

/// A node, or the place where an edge passes a rank.
struct Item {
    node: Option<usize>,
    width: f64,
    height: f64,
    x: f64,
    y: f64,
}

impl<'a> Picture<'a> {
    fn new(graph: &'a Graph, names: &'a Names) -> Picture<'a> {
        let nodes = graph.nodes();
        let outline = outline(graph, names);
        let mut picture = Picture {
            graph,
            names,
            drawn_as: (0..nodes.len()).collect(),
            block_of: vec![0; nodes.len()],
            stands_for: vec![1; nodes.len()],
            titles: Vec::new(),
            texts: BTreeMap::new(),
            outline,
        };
        picture.fold_layers();
        picture.fold_components(Stage::Update);
        for number in 0..nodes.len() {
            if picture.is_drawn(number) {
                let lines = picture.lines(number);
                picture.texts.insert(number, lines);
            }
        }
        picture
    }

    fn stage(&self, node: usize) -> Stage {
        self.outline.places[node].stage
    }

    fn is_drawn(&self, node: usize) -> bool {
        self.drawn_as[node] == node && self.stage(node) != Stage::Input
    }

    /// Gives every block its title, and draws neighbouring layers that are alike once.
    fn fold_layers(&mut self) {
        let layers = self.outline.layers;
        let of_layer = |layer: i32| -> Vec<usize> {
            let places = self.outline.places.iter().enumerate();
            let here = |stage| stage == Stage::Forward || stage == Stage::Backward;
            places.filter(|(_, place)| place.layer == layer && here(place.stage)).map(|(n, _)| n).collect()
        };
        let mut titles = Vec::new();
        let (mut drawn_as, mut block_of, mut stands_for) =
            (self.drawn_as.clone(), self.block_of.clone(), self.stands_for.clone());
        let before = of_layer(-1);
        if !before.is_empty() {
            before.iter().for_each(|&n| block_of[n] = titles.len());
            titles.push("embedding".to_string());
        }
        let mut first = 0;
        while first < layers {
            let example = of_layer(first);
            let mut next = first;
            while next < layers {
                let other = of_layer(next);
                let alike = |(&a, &b): (&usize, &usize)| {
                    self.stage(a) == self.stage(b)
                        && Form::of(&self.graph.nodes()[a]) == Form::of(&self.graph.nodes()[b])
                };
                if other.len() != example.len() || !example.iter().zip(&other).all(alike) {
                    break;
                }
                for (&a, &b) in example.iter().zip(&other) {
                    drawn_as[b] = a;
                    block_of[b] = titles.len();
                    stands_for[a] = (next - first) as usize + 1;
                }
                next += 1;
            }
            titles.push(match next - first {
                1 => format!("layer {first}"),
                count => format!("layers {first} to {}, drawn once for {count}", next - 1),
            });
            first = next;
        }
        let after = of_layer(layers);
        after.iter().for_each(|&n| block_of[n] = titles.len());
        if !after.is_empty() {
            titles.push(if layers > 0 { "last norm, head and loss".into() } else { "forward".into() });
        }
        (self.drawn_as, self.block_of, self.stands_for, self.titles) = (drawn_as, block_of, stands_for, titles);
    }

    /// Draws parts of a stage that are alike, sizes aside, and touch in nothing but scalars, once.
    fn fold_components(&mut self, stage: Stage) {
        let nodes = self.graph.nodes();
        let mut component: Vec<usize> = (0..nodes.len()).collect();
        fn root(component: &mut [usize], mut node: usize) -> usize {
            while component[node] != node {
                component[node] = component[component[node]];
                node = component[node];
            }
            node
        }
        let members: Vec<usize> = (0..nodes.len()).filter(|&n| self.stage(n) == stage).collect();
        for &node in &members {
            for operand in &nodes[node].operands {
                let read = operand.node as usize;
                if self.stage(read) == stage && nodes[read].len() > 4 && nodes[node].len() > 4 {
                    let (a, b) = (root(&mut component, node), root(&mut component, read));
                    component[a.max(b)] = a.min(b);
                }
            }
        }
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &node in &members {
            groups.entry(root(&mut component, node)).or_default().push(node);
        }
        let form = |node: usize| (nodes[node].kind as u8, nodes[node].operands.len(), nodes[node].program.len());
        let mut examples: BTreeMap<Vec<(u8, usize, usize)>, Vec<usize>> = BTreeMap::new();
        for group in groups.values() {
            let example = examples.entry(group.iter().map(|&n| form(n)).collect()).or_insert_with(|| group.clone());
            if example == group {
                continue;
            }
            for (&drawn, &node) in example.iter().zip(group) {
                self.drawn_as[node] = drawn;
                self.stands_for[drawn] += 1;
            }
        }
        members.iter().for_each(|&n| self.block_of[n] = 0);
    }

    /// The text of a node: line and class.
    fn lines(&self, number: usize) -> Vec<(String, &'static str)> {
        let nodes = self.graph.nodes();
        let spec = &nodes[number];
        let count = self.stands_for[number];
        let times =
            if count > 1 && self.stage(number) == Stage::Update { format!("  × {count}") } else { String::new() };
        let mut lines = vec![(format!("{} {number}{times}", kind_name(spec.kind)), "head")];
        // Operands are a, b, c, … in what fits into a node.
        let letter = |operand: &Operand| char::from(b'a' + operand.node as u8).to_string();
        let what = match spec.kind {
            Kind::Map => formula(&without_addresses(spec), &letter),
            _ if spec.reduce_sizes.is_empty() => String::new(),
            _ => {
                let over: Vec<String> = spec.reduce_sizes.iter().map(u32::to_string).collect();
                let causal = if spec.constraint.is_some() { ", causal" } else { "" };
                format!("over {}{causal}", over.join(" × "))
            }
        };
        if !what.is_empty() {
            lines.push((shorten(&what, LINE_CHARACTERS), "what"));
        }
        let mut inputs: Vec<String> = Vec::new();
        for read in spec.operands.iter().map(|o| &nodes[o.node as usize]).filter(|read| read.kind == Kind::Input) {
            let name = self.short_name(read.source, count > 1);
            if !inputs.contains(&name) {
                inputs.push(name);
            }
        }
        lines.extend(inputs.iter().map(|name| (shorten(&format!("◂ {name}"), LINE_CHARACTERS), "input")));
        if let Some(entry) = self.outline.gradient_of[number] {
            let name = self.short_name(Source::State(entry), count > 1);
            lines.push((shorten(&format!("▸ ∂ {name}"), LINE_CHARACTERS), "output"));
        }
        let entry = self.graph.state_outputs().iter().position(|&node| node as usize == number);
        if let Some(entry) = entry {
            let name = self.short_name(Source::State(entry as u32), count > 1);
            lines.push((shorten(&format!("▸ {name}"), LINE_CHARACTERS), "output"));
        }
        for (name, _) in self.graph.results().iter().filter(|(_, node)| *node as usize == number) {
            lines.push((format!("▸ {name}"), "output"));
        }
        lines
    }

    /// A source's name without what all share; of many that are drawn as one, without the layer.
    fn short_name(&self, source: Source, of_many: bool) -> String {
        let name = self.names.of(source);
        let (kind, rest) = name.split_once(" of ").map_or(("", &*name), |(kind, rest)| (kind, rest));
        let rest = rest.trim_start_matches("model.").trim_end_matches(".weight");
        let rest = match rest.strip_prefix("layers.").and_then(|rest| rest.split_once('.')) {
            Some((_, inner)) if of_many => inner,
            _ => rest,
        };
        let is_update = !kind.is_empty() && of_many;
        if is_update {
            kind.to_string()
        } else if kind.is_empty() {
            rest.to_string()
        } else {
            format!("{kind} of {rest}")
        }
    }

    fn node_height(&self, node: usize) -> f64 {
        10.0 + LINE_HEIGHT * self.texts.get(&node).map_or(1, Vec::len) as f64
    }

    /// Edges between drawn nodes of one stage, (from, to).
    fn edges(&self, stage: Stage) -> BTreeSet<(usize, usize)> {
        let places = &self.outline.places;
        let mut edges = BTreeSet::new();
        for (number, spec) in self.graph.nodes().iter().enumerate().filter(|(n, _)| places[*n].stage == stage) {
            for read in spec.operands.iter().map(|o| o.node as usize).filter(|&read| places[read].stage == stage) {
                let (from, to) = (self.drawn_as[read], self.drawn_as[number]);
                // Between layers that are drawn as one there is nothing to draw.
                let in_one_layer = places[read].layer == places[number].layer;
                if from != to && (in_one_layer || self.block_of[read] != self.block_of[number]) {
                    edges.insert((from, to));
                }
            }
        }
        edges
    }

    fn column(&self, stage: Stage) -> Column {
        let drawn: Vec<usize> =
            (0..self.drawn_as.len()).filter(|&n| self.is_drawn(n) && self.stage(n) == stage).collect();
        let edges = self.edges(stage);
        let blocks = self.titles.len().max(1);
        // The backward pass meets the blocks from the last to the first.
        let step_of = |node: usize| match stage {
            Stage::Backward => blocks - 1 - self.block_of[node],
            _ => self.block_of[node],
        };
        let mut rank: BTreeMap<usize, usize> = BTreeMap::new();
        let mut first_rank = vec![0; blocks + 1];
        for step in 0..blocks {
            let mut last = first_rank[step];
            // Numbers are in topological order.
            for &node in drawn.iter().filter(|&&node| step_of(node) == step) {
                let after = edges.iter().filter(|(_, to)| *to == node).filter_map(|(from, _)| rank.get(from)).max();
                let here = after.map_or(first_rank[step], |&after| (after + 1).max(first_rank[step]));
                rank.insert(node, here);
                last = last.max(here + 1);
            }
            first_rank[step + 1] = last;
            // A node without predecessors stands right before its first reader.
            for &node in drawn.iter().rev().filter(|&&node| step_of(node) == step) {
                let readers = edges.iter().filter(|(from, _)| *from == node).filter_map(|(_, to)| rank.get(to)).min();
                let is_first = !edges.iter().any(|(_, to)| *to == node);
                if let (true, Some(&reader)) = (is_first, readers) {
                    rank.insert(node, (reader - 1).max(first_rank[step]).min(last - 1));
                }
            }
        }
        let mut column = Column { first_rank, ..Column::default() };
        column.ranks = vec![Vec::new(); column.first_rank[blocks]];
        let mut item_of = BTreeMap::new();
        for &node in &drawn {
            let height = self.node_height(node);
            item_of.insert(node, column.add(Some(node), rank[&node], NODE_WIDTH, height));
        }
        // One chain of passes per source, shared by all its readers.
        let mut passes: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for &(from, to) in &edges {
            let mut last = item_of[&from];
            for between in rank[&from] + 1..rank[&to] {
                let known = passes.get(&(from, between)).copied();
                let pass = known.unwrap_or_else(|| {
                    let pass = column.add(None, between, PASS_WIDTH, 0.0);
                    column.edges.push((last, pass, from));
                    pass
                });
                passes.insert((from, between), pass);
                last = pass;
            }
            column.edges.push((last, item_of[&to], from));
        }
        column.arrange();
        column
    }

    fn draw(&self, mut columns: Vec<Column>, title: &str, lines: &[String]) -> String {
        let mut left = MARGIN + BLOCK_PADDING;
        for column in columns.iter_mut().filter(|column| !column.items.is_empty()) {
            left = column.move_to(left) + COLUMN_GAP;
        }
        let blocks = self.place_vertically(&mut columns);
        let width = columns.iter().map(|column| column.right).fold(900.0, f64::max) + MARGIN + BLOCK_PADDING;
        let bottom = blocks.last().map_or(HEADER, |block| block.top + block.height);
        let update = columns[2].items.iter().map(|item| item.y + item.height).fold(0.0, f64::max);
        let height = bottom.max(update) + BLOCK_PADDING + MARGIN;
        let mut out = String::new();
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\">\n{STYLE}<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        self.draw_header(&mut out, title, lines);
        self.draw_frames(&mut out, &columns, &blocks);
        self.draw_saved(&mut out, &columns);
        for column in &columns {
            draw_edges(&mut out, column);
        }
        let tooltips = describe(self.graph, self.names);
        for item in columns.iter().flat_map(|column| &column.items) {
            if let Some(node) = item.node {
                self.draw_node(&mut out, node, item, &tooltips[node].formula);
            }
        }
        out + "</svg>\n"
    }

    /// Gives every rank its height: a block is as high in both passes.
    fn place_vertically(&self, columns: &mut [Column]) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut top = HEADER + BLOCK_PADDING;
        let count = self.titles.len();
        for (number, title) in self.titles.iter().enumerate() {
            let steps = [number, count - 1 - number];
            let height =
                steps.iter().zip(columns.iter()).map(|(&step, column)| column.height_of(step)).fold(40.0, f64::max);
            for (column, (step, upward)) in columns.iter_mut().zip(steps.into_iter().zip([false, true])) {
                column.place_ranks(step, top, height, upward);
            }
            blocks.push(Block { title: title.clone(), height, top });
            top += height + 2.0 * BLOCK_PADDING + BLOCK_GAP;
        }
        let update = &mut columns[2];
        let steps = update.first_rank.len().saturating_sub(1);
        let mut top = HEADER + BLOCK_PADDING;
        for step in 0..steps {
            let height = update.height_of(step);
            update.place_ranks(step, top, height, false);
            top += height;
        }
        blocks
    }

    fn draw_header(&self, out: &mut String, title: &str, lines: &[String]) {
        let _ = writeln!(out, "<text class=\"title\" x=\"{MARGIN}\" y=\"42\">{}</text>", escape(title));
        for (number, line) in lines.iter().enumerate() {
            let y = 62.0 + 15.0 * number as f64;
            let _ = writeln!(out, "<text class=\"line\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(line));
        }
        let mut x = MARGIN;
        let y = HEADER - 34.0;
        for kind in KINDS.into_iter().filter(|&kind| kind != Kind::Input && self.graph.count(kind) > 0) {
            let text = format!("{} {}", self.graph.count(kind), kind_name(kind));
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"14\" rx=\"3\" fill=\"{}\" stroke=\"{}\"/>\
                 <text class=\"line\" x=\"{}\" y=\"{}\">{text}</text>",
                fill(kind),
                stroke(kind),
                x + 20.0,
                y + 11.0
            );
            x += 44.0 + 6.6 * text.len() as f64;
        }
    }

    fn draw_frames(&self, out: &mut String, columns: &[Column], blocks: &[Block]) {
        let mut frame = |left: f64, right: f64, top: f64, height: f64, title: &str| {
            let (x, y) = (left - BLOCK_PADDING, top - BLOCK_PADDING);
            let (width, height) = (right - left + 2.0 * BLOCK_PADDING, height + 2.0 * BLOCK_PADDING);
            let _ = writeln!(
                out,
                "<rect class=\"frame\" x=\"{x:.0}\" y=\"{y:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" rx=\"14\"/>\
                 <text class=\"block\" x=\"{:.0}\" y=\"{:.0}\">{}</text>",
                x + 14.0,
                y + 19.0,
                escape(title)
            );
        };
        for (number, block) in blocks.iter().enumerate() {
            let steps = [number, blocks.len() - 1 - number];
            for ((column, step), pass) in columns.iter().zip(steps).zip(["", ", backward"]) {
                let ranks = &column.ranks[column.first_rank[step]..column.first_rank[step + 1]];
                if ranks.iter().flatten().any(|&item| column.items[item].node.is_some()) {
                    frame(column.left, column.right, block.top, block.height, &format!("{}{pass}", block.title));
                }
            }
        }
        let update = &columns[2];
        if !update.items.is_empty() {
            let bottom = update.items.iter().map(|item| item.y + item.height).fold(0.0, f64::max);
            let top = HEADER + BLOCK_PADDING;
            let title = if columns[0].items.is_empty() { "next state" } else { "update: what is alike is drawn once" };
            frame(update.left, update.right, top, bottom - top, title);
        }
    }

    /// What the backward pass reads of the forward pass.
    fn draw_saved(&self, out: &mut String, columns: &[Column]) {
        let place = |column: &Column, node: usize| {
            column.items.iter().find(|item| item.node == Some(node)).map(|i| (i.x, i.y, i.height))
        };
        let mut seen = BTreeSet::new();
        for (number, spec) in self.graph.nodes().iter().enumerate() {
            for read in spec.operands.iter().map(|o| o.node as usize) {
                if self.stage(read) != Stage::Forward || self.stage(number) != Stage::Backward {
                    continue;
                }
                let (from, to) = (self.drawn_as[read], self.drawn_as[number]);
                let same_block = self.block_of[read] == self.block_of[number];
                let (Some(a), Some(b)) = (place(&columns[0], from), place(&columns[1], to)) else { continue };
                if !same_block || !seen.insert((from, to)) {
                    continue;
                }
                let (x0, y0, x1, y1) =
                    (a.0 + NODE_WIDTH / 2.0, a.1 + a.2 / 2.0, b.0 - NODE_WIDTH / 2.0, b.1 + b.2 / 2.0);
                let bend = ((x1 - x0) * 0.5).max(30.0);
                let _ = writeln!(
                    out,
                    "<path class=\"saved\" d=\"M{x0:.1} {y0:.1}C{:.1} {y0:.1} {:.1} {y1:.1} {x1:.1} {y1:.1}\"/>",
                    x0 + bend,
                    x1 - bend
                );
            }
        }
    }

    fn draw_node(&self, out: &mut String, node: usize, item: &Item, tooltip: &str) {
        let spec = &self.graph.nodes()[node];
        let (x, y) = (item.x - NODE_WIDTH / 2.0, item.y);
        let _ = write!(
            out,
            "<g><title>{}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{NODE_WIDTH}\" height=\"{:.1}\" rx=\"6\" \
             fill=\"{}\" stroke=\"{}\"/>",
            escape(&format!("node {node}: {tooltip}")),
            item.height,
            fill(spec.kind),
            stroke(spec.kind)
        );
        for (number, (line, class)) in self.texts.get(&node).into_iter().flatten().enumerate() {
            let y = y + 14.5 + LINE_HEIGHT * number as f64;
            let _ = write!(out, "<text class=\"{class}\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>", item.x, escape(line));
        }
        let sides: Vec<String> = spec.out_sizes.iter().map(u32::to_string).collect();
        let upward = self.stage(node) == Stage::Backward;
        let label_y = if upward { y - 4.0 } else { y + item.height + 10.0 };
        let _ = writeln!(
            out,
            "<text class=\"shape\" x=\"{:.1}\" y=\"{label_y:.1}\">{}</text></g>",
            item.x + 5.0,
            if sides.is_empty() { "1".into() } else { sides.join(" × ") }
        );
    }
}

impl Column {
    fn add(&mut self, node: Option<usize>, rank: usize, width: f64, height: f64) -> usize {
        self.items.push(Item { node, width, height, x: 0.0, y: 0.0 });
        self.ranks[rank].push(self.items.len() - 1);
        self.items.len() - 1
    }

    /// Orders the ranks so that few edges cross, and places them so that edges are short.
    fn arrange(&mut self) {
        let (mut above, mut below) = (vec![Vec::new(); self.items.len()], vec![Vec::new(); self.items.len()]);
        for &(from, to, _) in &self.edges {
            above[to].push(from);
            below[from].push(to);
        }
        let mut position = vec![0.0; self.items.len()];
        let settle = |rank: &[usize], position: &mut [f64]| {
            for (place, &item) in rank.iter().enumerate() {
                position[item] = place as f64 - (rank.len() as f64 - 1.0) / 2.0;
            }
        };
        self.ranks.iter().for_each(|rank| settle(rank, &mut position));
        for sweep in 0..24 {
            let order: Vec<usize> =
                if sweep % 2 == 0 { (0..self.ranks.len()).collect() } else { (0..self.ranks.len()).rev().collect() };
            let neighbours = if sweep % 2 == 0 { &above } else { &below };
            for number in order {
                let mut rank = std::mem::take(&mut self.ranks[number]);
                let centre =
                    |item: usize| mean(neighbours[item].iter().map(|&n| position[n])).unwrap_or(position[item]);
                let centres: BTreeMap<usize, f64> = rank.iter().map(|&item| (item, centre(item))).collect();
                rank.sort_by(|a, b| centres[a].total_cmp(&centres[b]));
                settle(&rank, &mut position);
                self.ranks[number] = rank;
            }
        }
        for rank in &self.ranks {
            self.items_in_order(rank).iter().for_each(|&(item, x)| position[item] = x);
        }
        for sweep in 0..60 {
            let order: Vec<usize> =
                if sweep % 2 == 0 { (0..self.ranks.len()).collect() } else { (0..self.ranks.len()).rev().collect() };
            for number in order {
                let rank = &self.ranks[number];
                let wish = |item: usize| {
                    let near = above[item].iter().chain(&below[item]).map(|&n| position[n]);
                    mean(near).unwrap_or(position[item])
                };
                let wishes: Vec<f64> = rank.iter().map(|&item| wish(item)).collect();
                let widths: Vec<f64> = rank.iter().map(|&item| self.items[item].width).collect();
                for (&item, x) in rank.iter().zip(closest(&wishes, &widths)) {
                    position[item] = x;
                }
            }
        }
        for (item, &x) in self.items.iter_mut().zip(&position) {
            item.x = x;
        }
        let edge = |side: f64| self.items.iter().map(move |item| item.x + side * item.width / 2.0);
        self.left = edge(-1.0).fold(f64::INFINITY, f64::min);
        self.right = edge(1.0).fold(f64::NEG_INFINITY, f64::max);
        if self.items.is_empty() {
            (self.left, self.right) = (0.0, 0.0);
        }
    }

    /// (item, x) of a rank whose items stand side by side around 0.
    fn items_in_order(&self, rank: &[usize]) -> Vec<(usize, f64)> {
        let widths: Vec<f64> = rank.iter().map(|&item| self.items[item].width).collect();
        rank.iter().copied().zip(closest(&vec![0.0; rank.len()], &widths)).collect()
    }

    /// Moves the column so that it begins at `left`; where it ends.
    fn move_to(&mut self, left: f64) -> f64 {
        let by = left - self.left;
        self.items.iter_mut().for_each(|item| item.x += by);
        (self.left, self.right) = (self.left + by, self.right + by);
        self.right
    }

    fn rank_height(&self, rank: usize) -> f64 {
        self.ranks[rank].iter().map(|&item| self.items[item].height).fold(0.0, f64::max)
    }

    /// Height that the ranks of a block need.
    fn height_of(&self, step: usize) -> f64 {
        if step + 1 >= self.first_rank.len() {
            return 0.0;
        }
        (self.first_rank[step]..self.first_rank[step + 1]).map(|rank| self.rank_height(rank) + RANK_GAP).sum()
    }

    /// Spreads the ranks of a block over a height.
    fn place_ranks(&mut self, step: usize, top: f64, height: f64, upward: bool) {
        let ranks = self.first_rank[step]..self.first_rank[step + 1];
        let free = (height - self.height_of(step)) / (ranks.len() as f64).max(1.0);
        let mut at = RANK_GAP / 2.0 + free / 2.0;
        for rank in ranks {
            let own = self.rank_height(rank);
            for &item in &self.ranks[rank] {
                let item = &mut self.items[item];
                let middle = at + own / 2.0;
                item.y = top + if upward { height - middle } else { middle } - item.height / 2.0;
            }
            at += own + RANK_GAP + free;
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Places side by side, in this order and without overlap, as close to the wishes as least squares gets: isotonic regression
/// by pooling neighbours.
fn closest(wishes: &[f64], widths: &[f64]) -> Vec<f64> {
    let mut offsets = Vec::with_capacity(widths.len());
    let mut offset = 0.0;
    for (number, width) in widths.iter().enumerate() {
        if number > 0 {
            offset += widths[number - 1] / 2.0 + NODE_GAP + width / 2.0;
        }
        offsets.push(offset);
    }
    // (mean, count) of pools.
    let mut pools: Vec<(f64, f64)> = Vec::new();
    for (wish, offset) in wishes.iter().zip(&offsets) {
        pools.push((wish - offset, 1.0));
        while let [.., (left, n), (right, m)] = pools[..]
            && left > right
        {
            pools.truncate(pools.len() - 2);
            pools.push(((left * n + right * m) / (n + m), n + m));
        }
    }
    let bases = pools.iter().flat_map(|&(mean, count)| std::iter::repeat_n(mean, count as usize));
    bases.zip(offsets).map(|(base, offset)| base + offset).collect()
}

fn draw_edges(out: &mut String, column: &Column) {
    for &(from, to, _) in &column.edges {
        let (a, b) = (&column.items[from], &column.items[to]);
        let down = a.y <= b.y;
        let (y0, y1) = if down { (a.y + a.height, b.y) } else { (a.y, b.y + b.height) };
        let bend = (y1 - y0) * 0.5;
        let class = if b.node.is_some() { "edge arrow" } else { "edge" };
        let _ = writeln!(
            out,
            "<path class=\"{class}\" d=\"M{:.1} {y0:.1}C{:.1} {:.1} {:.1} {:.1} {:.1} {y1:.1}\"/>",
            a.x,
            a.x,
            y0 + bend,
            b.x,
            y1 - bend,
            b.x
        );
    }
}

/// The node as if every operand were read at the element's own place, and called by its position.
fn without_addresses(spec: &sip_ops::NodeSpec) -> sip_ops::NodeSpec {
    let mut plain = spec.clone();
    let own = crate::affine::dense(&spec.out_sizes);
    for (number, operand) in plain.operands.iter_mut().enumerate() {
        *operand = Operand { node: number as u32, offset: 0, index_stride: 0, strides: own.clone() };
    }
    plain
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
    markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0.8L7.5 4L0 7.2z\" fill=\"#5c677d\"/></marker></defs>
<style>
  text { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2937; }
  .title { font-size: 24px; font-weight: 650; }
  .line { font-size: 12px; fill: #495057; }
  .block { font-size: 12.5px; font-weight: 600; fill: #495057; }
  .head { font-size: 11px; font-weight: 650; text-anchor: middle; }
  .what { font-size: 10px; text-anchor: middle; fill: #343a40; }
  .input { font-size: 10px; text-anchor: middle; fill: #1d4e89; }
  .output { font-size: 10px; font-weight: 650; text-anchor: middle; fill: #a61e4d; }
  .shape { font-size: 9px; fill: #6c757d; }
  .frame { fill: #f8f9fa; stroke: #ced4da; }
  .edge { fill: none; stroke: #5c677d; stroke-width: 1.2; }
  .arrow { marker-end: url(#arrow); }
  .saved { fill: none; stroke: #94a3b8; stroke-width: 0.9; opacity: 0.45; }
  g:hover > rect { stroke-width: 2.5; }
</style>
";
