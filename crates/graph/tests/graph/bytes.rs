//! Products of bytes between quantised tensors.

use sip_graph::{Buffer, Builder, DoubleState, Executor, ExecutorOptions, GraphError, Inputs};
use sip_kernels::Threads;
use sip_ops::{Kind, Source, Type};
use std::sync::Arc;

/// y = x·Wᵀ in bytes: x [tokens, inner] with a step per token, W [rows, inner] with a step per row.
#[test]
fn a_quantised_product_is_close_to_the_product() {
    let (tokens, rows, inner) = (3usize, 20usize, 64usize);
    let mut b = Builder::new();
    let (t, n, k) = (b.axis(tokens), b.axis(rows), b.axis(inner / 4));
    let x = b.input(Source::State(0), &[tokens, inner], Type::F32);
    let w = b.input(Source::State(1), &[rows, inner], Type::F32);
    let (x_bytes, x_step) = b.quantise(&[t], k, x);
    let (w_bytes, w_step) = b.quantise(&[n], k, w);
    let sums = b.contract_i8(&[t, n], &[k], x_bytes.read(&[t, k]), w_bytes.read(&[n, k]));
    let y = b.dequantise(&[t, n], sums, x_step.read(&[t]), w_step.read(&[n]));
    let graph = b.finish(&[x, w], &[("bytes", w_bytes), ("step", w_step), ("y", y)]).expect("graph");
    let mut executor = Executor::new(Arc::new(graph), Arc::new(Threads::new(2)), ExecutorOptions::default());
    let value = |i: usize, scale: f32| ((i * 7919 % 1009) as f32 / 504.5 - 1.0) * scale;
    let x: Vec<f32> = (0..tokens * inner).map(|i| value(i, 3.0)).collect();
    // The last row is all zeros.
    let w: Vec<f32> = (0..rows * inner).map(|i| if i < (rows - 1) * inner { value(i + 5, 0.1) } else { 0.0 }).collect();
    let mut state = DoubleState::new(vec![Buffer::from(&x[..]), Buffer::from(&w[..])]);
    executor.step(&mut state, &Inputs::default(), None).expect("step");
    let bytes = executor.result("bytes").expect("result").to_vec();
    let steps: Vec<f32> = executor.result("step").expect("result").iter().map(|&s| f32::from_bits(s)).collect();
    assert_eq!(steps[rows - 1], 1.0);
    for (i, &w) in w.iter().enumerate() {
        let byte = bytes[i / 4].to_le_bytes()[i % 4] as i8;
        assert_eq!(byte as i32, (w / steps[i / inner]).round_ties_even() as i32, "element {i}");
    }
    let y = executor.result("y").expect("result").to_vec();
    for token in 0..tokens {
        for row in 0..rows {
            let exact: f32 = (0..inner).map(|i| x[token * inner + i] * w[row * inner + i]).sum();
            let found = f32::from_bits(y[token * rows + row]);
            assert!((found - exact).abs() < 0.05, "{found} instead of {exact}");
        }
    }
}

#[test]
fn bytes_have_no_gradient() {
    let mut b = Builder::new();
    let (t, k, one) = (b.axis(4), b.axis(2), b.axis(1));
    let x = b.input(Source::State(0), &[4, 8], Type::F32);
    let (bytes, step) = b.quantise(&[t], k, x);
    let sums = b.contract_i8(&[t], &[k], bytes.read(&[t, k]), bytes.read(&[t, k]));
    let y = b.dequantise(&[t], sums, step.read(&[t]), step.read(&[t]));
    let loss = b.reduce_add(&[one], &[t], y.read(&[t]));
    let gradient = b.gradients(loss, &[x]);
    let error = b.finish(&gradient, &[]).expect_err("there is no gradient");
    assert!(matches!(error, GraphError::Gradient { kind: Kind::ContractI8, .. }), "{error}");
}
