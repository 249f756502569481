//! Graphs in words and pictures.

use sip_graph::show::{Names, describe, dot, quantity, text, totals};
use sip_graph::{AdamW, Builder, Contraction, Graph, Moments, adamw, svg};
use sip_ops::{Kind, Source, Type};

/// An embedding, four layers that add a product to a stream, a sum as the loss, and AdamW.
fn step() -> (Graph, Names) {
    let mut b = Builder::new();
    let (width, inner, token) = (b.axis(8), b.axis(8), b.axis(3));
    let weights = [0, 1, 2, 3].map(|n| b.input(Source::State(n), &[8, 8], Type::F32));
    let x = b.input(Source::State(4), &[8, 3], Type::F32);
    let mut stream = b.map(&[width, token], [x.read(&[width, token])], |p, [x]| p.exp(x));
    for weight in weights {
        let active = b.map(&[width, token], [stream.read(&[width, token])], |p, [x]| {
            let negative = p.neg(x);
            p.exp(negative)
        });
        stream = b.contraction(Contraction {
            out: &[width, token],
            reduce: &[inner],
            a: weight.read(&[width, inner]),
            b: active.read(&[inner, token]),
            start: Some(stream.read(&[width, token])),
            only: None,
        });
    }
    let one = b.axis(1);
    let loss = b.reduce_add(&[one], &[width, token], stream.read(&[width, token]));
    let trained = [weights[0], weights[1], weights[2], weights[3], x];
    let gradients = b.gradients(loss, &trained);
    let scalars = b.input(Source::Table(0), &[4], Type::F32);
    let mut moment = |number: usize| b.input(Source::State(number as u32), &[trained[number % 5].len()], Type::F32);
    let inputs: Vec<_> = (0..5).map(|n| (moment(5 + n), moment(10 + n))).collect();
    let moments: Vec<Moments> = (0..5)
        .map(|n| {
            let (first, second) = inputs[n];
            Moments { weight: trained[n], first, second, gradient: gradients[n], decay: true }
        })
        .collect();
    let updated = adamw(&mut b, &AdamW::default(), scalars, &moments);
    let outputs: Vec<_> = (0..3).flat_map(|part| updated.iter().map(move |new| new[part])).collect();
    let graph = b.finish(&outputs, &[("loss", loss)]).unwrap();
    let names = ["layers.0.w", "layers.1.w", "layers.2.w", "layers.3.w", "x"];
    let kinds = ["", "first moment of ", "second moment of "];
    let state = kinds.iter().flat_map(|kind| names.map(|name| format!("{kind}{name}"))).collect();
    (graph, Names { state, tables: vec!["scalars".into()] })
}

#[test]
fn a_formula_says_what_a_node_computes() {
    let (graph, names) = step();
    let formulas: Vec<String> = describe(&graph, &names).into_iter().map(|d| d.formula).collect();
    assert!(formulas.contains(&"exp(x)".to_string()), "{formulas:#?}");
    assert!(formulas.iter().any(|f| f.contains("Σ(r<8) layers.0.w[8i + r] · #")), "{formulas:#?}");
    assert!(formulas.iter().any(|f| f.starts_with("fma(0.95, second moment of layers.1.w, ")), "{formulas:#?}");
}

#[test]
fn the_listing_has_every_node_and_the_totals_count_them() {
    let (graph, names) = step();
    assert_eq!(text(&graph, &names).lines().count(), graph.nodes().len() + 1);
    let totals = totals(&graph);
    assert_eq!(totals.nodes.iter().map(|(_, count)| count).sum::<usize>(), graph.nodes().len());
    let products = describe(&graph, &names).into_iter().filter(|d| d.kind == Kind::Contract && d.reduction == [8]);
    assert!(products.map(|d| d.flops).all(|flops| flops == 2 * 8 * 8 * 3));
    assert!(dot(&graph, &names).starts_with("digraph"));
}

#[test]
fn a_constraint_takes_its_terms_from_the_count() {
    let mut b = Builder::new();
    let (to, from) = (b.axis(4), b.axis(4));
    let x = b.input(Source::Table(0), &[4, 4], Type::F32);
    let greatest = b.reduce_max(&[to], &[from], x.read(&[to, from]), Some((from, to)));
    let graph = b.finish(&[], &[("greatest", greatest)]).unwrap();
    assert_eq!(totals(&graph).flops, 4 + 3 + 2 + 1);
}

#[test]
fn the_picture_draws_layers_that_are_alike_once() {
    let (graph, names) = step();
    let picture = svg(&graph, &names, "a < b", &["one & two".into()]);
    assert!(picture.contains("layers 1 to 2, drawn once for 2"), "{picture}");
    assert!(picture.contains("a &lt; b") && picture.contains("one &amp; two"));
    assert!(picture.contains("layer 3<") && picture.contains("embedding, backward"), "{picture}");
    assert!(picture.contains("∂ w<") && picture.contains("∂ layers.3.w"), "{picture}");
    assert_eq!(picture.matches("<g>").count(), picture.matches("</g>").count());
    assert!(!picture.contains("NaN") && !picture.contains("inf"));
}

#[test]
fn a_graph_without_names_results_or_layers_is_drawn_as_well() {
    let mut b = Builder::new();
    let all = b.axis(5);
    let outputs = [0, 1].map(|_| b.map(&[all], [], |p, []| p.constant(1.0)));
    let graph = b.finish(&outputs, &[]).unwrap();
    let picture = svg(&graph, &Names::default(), "", &[]);
    assert!(picture.contains("next state"));
    let empty = Graph::new(Vec::new(), Vec::new(), Vec::new()).unwrap();
    assert!(svg(&empty, &Names::default(), "", &[]).ends_with("</svg>\n"));
}

#[test]
fn quantities_have_three_digits() {
    let shown: Vec<String> = [0, 999, 1000, 12_345, 999_600, 3_000_000_000].iter().map(|&n| quantity(n)).collect();
    assert_eq!(shown, ["0", "999", "1.00 k", "12.3 k", "1.00 M", "3.00 G"]);
}
