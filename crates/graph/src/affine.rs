//! Affine reads of dense tensors: composing, splitting and merging labels.

use sip_ops::{Kind, NodeSpec, Opcode};

/// Row-major strides of a tensor with these sizes.
pub(crate) fn dense(sizes: &[u32]) -> Vec<i32> {
    let mut strides = vec![1i32; sizes.len()];
    for label in (1..sizes.len()).rev() {
        strides[label - 1] = strides[label].wrapping_mul(sizes[label] as i32);
    }
    strides
}

/// One coordinate of a tensor as an affine function of the labels that read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digit {
    pub(crate) constant: i32,
    pub(crate) coefficients: Vec<i32>,
}

/// How an affine read of a tensor looks in the coordinates of that tensor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Digits {
    /// One affine function per coordinate.
    Affine(Vec<Digit>),
    /// It would, if `label` were split into an outer label and an inner one of size `inner`.
    Split { label: usize, inner: u32 },
    /// It has none.
    None,
}

/// Expresses a read (`offset` and `strides` over labels of `sizes`) of a dense tensor of shape `of` in that tensor's
/// coordinates.
pub(crate) fn digits(sizes: &[u32], offset: i32, strides: &[i32], of: &[u32]) -> Digits {
    let radix = dense(of);
    let mut base = offset as i64;
    for (&size, &stride) in sizes.iter().zip(strides) {
        if stride < 0 {
            base += stride as i64 * (size as i64 - 1);
        }
    }
    if base < 0 || base >= of.iter().map(|&size| size as i64).product() {
        return Digits::None;
    }
    let mut result: Vec<Digit> = Vec::with_capacity(of.len());
    for (&size, &radix) in of.iter().zip(&radix) {
        let constant = (base / radix as i64 % size as i64) as i32;
        result.push(Digit { constant, coefficients: vec![0; sizes.len()] });
    }
    let mut highest: Vec<i64> = result.iter().map(|d| d.constant as i64).collect();
    for (label, (&size, &stride)) in sizes.iter().zip(strides).enumerate() {
        if stride == 0 || size == 1 {
            continue;
        }
        let step = stride.unsigned_abs() as i64;
        let found = (0..of.len()).find(|&j| of[j] > 1 && radix[j] as i64 <= step);
        let Some(digit) = found else { return Digits::None };
        if step % radix[digit] as i64 != 0 {
            return Digits::None;
        }
        let coefficient = step / radix[digit] as i64;
        let (limit, reach) = (of[digit] as i64, coefficient * (size as i64 - 1));
        if reach >= limit {
            let inner = limit / coefficient;
            if limit % coefficient == 0 && inner > 1 && size as i64 % inner == 0 {
                return Digits::Split { label, inner: inner as u32 };
            }
            return Digits::None;
        }
        highest[digit] += reach;
        if stride < 0 {
            result[digit].constant += reach as i32;
            result[digit].coefficients[label] = -(coefficient as i32);
        } else {
            result[digit].coefficients[label] = coefficient as i32;
        }
    }
    // A carry from one coordinate into the next would not be affine.
    if highest.iter().zip(of).any(|(&high, &size)| high >= size as i64) { Digits::None } else { Digits::Affine(result) }
}

/// Composes a read of a tensor's coordinates with a read that the tensor's producer makes over those coordinates.
pub(crate) fn compose(digits: &[Digit], offset: i32, strides: &[i32], labels: usize) -> (i32, Vec<i32>) {
    let mut composed = (offset, vec![0; labels]);
    for (digit, &stride) in digits.iter().zip(strides) {
        composed.0 += stride * digit.constant;
        for (label, &coefficient) in digit.coefficients.iter().enumerate() {
            composed.1[label] += stride * coefficient;
        }
    }
    composed
}

/// The labels that a read moves along, outermost first, when they visit every element of a tensor of
/// `len` elements exactly once; with each, whether it runs backwards.
pub(crate) fn bijection(sizes: &[u32], offset: i32, strides: &[i32], len: usize) -> Option<Vec<(usize, bool)>> {
    let mut moving: Vec<usize> = (0..sizes.len()).filter(|&l| strides[l] != 0 && sizes[l] > 1).collect();
    moving.sort_by_key(|&l| std::cmp::Reverse(strides[l].unsigned_abs()));
    let mut expected = 1u64;
    let mut low = offset as i64;
    for &label in moving.iter().rev() {
        if strides[label].unsigned_abs() as u64 != expected {
            return None;
        }
        expected *= sizes[label] as u64;
        if strides[label] < 0 {
            low += strides[label] as i64 * (sizes[label] as i64 - 1);
        }
    }
    (expected == len as u64 && low == 0).then(|| moving.into_iter().map(|l| (l, strides[l] < 0)).collect())
}

/// Splits a label into an outer one and an inner one of size `inner`; `None` when the program asks for its coordinate, or the
/// constraint or a scatter compares it.
pub(crate) fn split_label(spec: &mut NodeSpec, label: usize, inner: u32) -> Option<()> {
    if is_pinned(spec, label) {
        return None;
    }
    let out = spec.out_sizes.len();
    let (sizes, at) = if label < out { (&mut spec.out_sizes, label) } else { (&mut spec.reduce_sizes, label - out) };
    sizes[at] /= inner;
    sizes.insert(at + 1, inner);
    for operand in &mut spec.operands {
        let stride = operand.strides[label];
        operand.strides[label] = stride * inner as i32;
        operand.strides.insert(label + 1, stride);
    }
    shift_coordinates(spec, label + 1, 1);
    if let Some((small, large)) = &mut spec.constraint {
        for end in [small, large] {
            if *end as usize > label {
                *end += 1;
            }
        }
    }
    Some(())
}

fn uses_coordinate(spec: &NodeSpec, label: usize) -> bool {
    spec.program.iter().any(|i| i.opcode == Opcode::Coordinate as u8 && i.a as usize == label)
}

/// Renumbers the coordinates from `from` on.
fn shift_coordinates(spec: &mut NodeSpec, from: usize, by: i8) {
    for i in &mut spec.program {
        if i.opcode == Opcode::Coordinate as u8 && i.a as usize >= from {
            i.a = i.a.wrapping_add_signed(by);
        }
    }
}

/// Whether the coordinate of a label is compared with something, so that the label cannot be cut or joined.
pub(crate) fn is_pinned(spec: &NodeSpec, label: usize) -> bool {
    let constrained = spec.constraint.is_some_and(|(s, l)| s as usize == label || l as usize == label);
    constrained || uses_coordinate(spec, label) || (spec.kind == Kind::ScatterAdd && label == 0)
}

/// Brings a node to its shortest form: labels of size 1 go, neighbours that every operand reads as one become one.
/// Value and order of every chain stay.
pub(crate) fn shorten(spec: &mut NodeSpec) {
    if spec.kind == Kind::Input || spec.operands.iter().any(|o| o.strides.len() != label_count(spec)) {
        return;
    }
    if spec.out_sizes.is_empty() {
        spec.out_sizes.push(1);
        spec.operands.iter_mut().for_each(|o| o.strides.insert(0, 0));
        if let Some((small, large)) = &mut spec.constraint {
            (*small, *large) = (*small + 1, *large + 1);
        }
    }
    let mut label = 0;
    while label < label_count(spec) {
        let out = spec.out_sizes.len();
        let last_out = label < out && out == 1;
        if size(spec, label) == 1 && !last_out && !is_pinned(spec, label) {
            remove_label(spec, label);
        } else {
            label += 1;
        }
    }
    let mut label = 0;
    while label + 1 < label_count(spec) {
        let boundary = label + 1 == spec.out_sizes.len();
        let inner = size(spec, label + 1) as i32;
        let joins = spec.operands.iter().all(|o| o.strides[label] == o.strides[label + 1].wrapping_mul(inner));
        if boundary || !joins || is_pinned(spec, label) || is_pinned(spec, label + 1) {
            label += 1;
            continue;
        }
        let Some(joined) = size(spec, label).checked_mul(inner as u32) else {
            label += 1;
            continue;
        };
        for operand in &mut spec.operands {
            operand.strides[label] = operand.strides[label + 1];
        }
        remove_label(spec, label + 1);
        let out = spec.out_sizes.len();
        if label < out { spec.out_sizes[label] = joined } else { spec.reduce_sizes[label - out] = joined }
    }
}

/// Number of labels.
pub(crate) fn label_count(spec: &NodeSpec) -> usize {
    spec.out_sizes.len() + spec.reduce_sizes.len()
}

/// Size of a label.
pub(crate) fn size(spec: &NodeSpec, label: usize) -> u32 {
    let out = spec.out_sizes.len();
    if label < out { spec.out_sizes[label] } else { spec.reduce_sizes[label - out] }
}

fn remove_label(spec: &mut NodeSpec, label: usize) {
    let out = spec.out_sizes.len();
    if label < out {
        spec.out_sizes.remove(label)
    } else {
        spec.reduce_sizes.remove(label - out)
    };
    for operand in &mut spec.operands {
        operand.strides.remove(label);
    }
    shift_coordinates(spec, label + 1, -1);
    if let Some((small, large)) = &mut spec.constraint {
        for end in [small, large] {
            if *end as usize > label {
                *end -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::blank;
    use proptest::prelude::*;
    use sip_ops::{Node, Operand};

    #[test]
    fn a_flat_read_splits_into_the_coordinates() {
        assert_eq!(digits(&[12], 0, &[1], &[3, 4]), Digits::Split { label: 0, inner: 4 });
        let Digits::Affine(found) = digits(&[3, 4], 0, &[4, 1], &[3, 4]) else { panic!("not affine") };
        assert_eq!(found[0], Digit { constant: 0, coefficients: vec![1, 0] });
        assert_eq!(found[1], Digit { constant: 0, coefficients: vec![0, 1] });
    }

    #[test]
    fn a_backward_read_counts_down() {
        let Digits::Affine(found) = digits(&[2, 8], 8, &[-8, 1], &[2, 8]) else { panic!("not affine") };
        assert_eq!(found[0], Digit { constant: 1, coefficients: vec![-1, 0] });
        assert_eq!(bijection(&[2, 8], 8, &[-8, 1], 16), Some(vec![(0, true), (1, false)]));
    }

    /// Sizes whose product is at most 4096, from small factors so that factorisations often fit each other.
    fn shape() -> impl Strategy<Value = Vec<u32>> {
        prop::collection::vec(prop::sample::select(vec![1u32, 2, 2, 3, 4, 6]), 1..5)
    }

    proptest! {
        #[test]
        fn coordinates_lead_to_the_address_that_was_read(
            sizes in shape(),
            of in shape(),
            offset in 0i32..12,
            steps in prop::collection::vec(prop::sample::select(vec![0i32, 1, -1, 2, 3, 4, 6, 12, -12, 24]), 4),
        ) {
            let strides = &steps[..sizes.len()];
            if let Digits::Affine(found) = digits(&sizes, offset, strides, &of) {
                let radix = dense(&of);
                let points = sizes.iter().product::<u32>();
                for point in 0..points {
                    let mut rest = point;
                    let mut at = vec![0i32; sizes.len()];
                    for label in (0..sizes.len()).rev() {
                        at[label] = (rest % sizes[label]) as i32;
                        rest /= sizes[label];
                    }
                    let expected = offset + at.iter().zip(strides).map(|(a, s)| a * s).sum::<i32>();
                    let mut address = 0;
                    for ((digit, &radix), &size) in found.iter().zip(&radix).zip(&of) {
                        let sum = at.iter().zip(&digit.coefficients).map(|(a, c)| a * c).sum::<i32>();
                        let coordinate = digit.constant + sum;
                        prop_assert!((0..size as i32).contains(&coordinate));
                        address += coordinate * radix;
                    }
                    prop_assert_eq!(address, expected);
                }
            }
        }

        #[test]
        fn the_shortest_form_has_the_same_value(
            out in shape(),
            reduce in prop::collection::vec(1u32..4, 0..3),
            moves in prop::collection::vec(any::<bool>(), 12),
            constraint in prop::option::of((0u8..6, 0u8..6)),
        ) {
            let labels: Vec<u32> = out.iter().chain(&reduce).copied().collect();
            let read = |node: u32, moves: &[bool]| {
                // Row-major over the labels along which the operand moves.
                let moving: Vec<u32> = labels.iter().zip(moves).map(|(&size, &m)| if m { size } else { 1 }).collect();
                let strides = dense(&moving).iter().zip(moves).map(|(&s, &m)| if m { s } else { 0 }).collect();
                Operand { node, offset: 0, index_stride: 0, strides }
            };
            let fits = |end: u8| (end as usize) < labels.len();
            let spec = NodeSpec {
                out_sizes: out.clone(),
                reduce_sizes: reduce.clone(),
                operands: vec![read(0, &moves[..labels.len()]), read(1, &moves[12 - labels.len()..])],
                constraint: constraint.filter(|&(small, large)| fits(small) && fits(large)),
                ..blank(Kind::Contract)
            };
            let mut short = spec.clone();
            shorten(&mut short);
            prop_assert_eq!(short.len(), spec.len());
            let tensor: Vec<u32> = (0..1 << 14).map(|n| ((n * 37 % 101) as f32).to_bits()).collect();
            let value = |spec: &NodeSpec| {
                let bytes = spec.encode();
                sip_ops::evaluate::<sip_arith::Native>(&Node::parse(&bytes).expect("node"), &[&tensor, &tensor])
            };
            prop_assert_eq!(value(&short), value(&spec));
        }
    }

    #[test]
    fn a_carry_is_not_affine() {
        assert_eq!(digits(&[3], 2, &[1], &[2, 4]), Digits::None);
        assert_eq!(bijection(&[3], 1, &[1], 4), None);
    }
}
