//! Cutting an operator along its labels, so that it computes a slice.
//!
//! A slice fixes (or narrows to a block) the coordinate of one or more *axes*. In a dense tensor an axis is a coordinate with a radix:
//! element `a` has coordinate `a / radix % size`. An operator has the axis as one of its labels, if necessary after splitting a longer
//! label. Operands that are computed within the loop are compact: only the slice exists. Others are read where they lie, and
//! only the start of the read moves from slice to slice.

use super::work::Origin;
use crate::affine::{Digit, Digits, compose, dense, digits, is_pinned, label_count, shorten, size, split_label};
use sip_ops::{MAX_OUT_LABELS, MAX_REDUCE_LABELS, NodeSpec};

/// An axis that is cut: `size` coordinates in slices of `block`, which divides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) size: u32,
    pub(crate) block: u32,
}

impl Axis {
    pub(crate) fn slices(self) -> u32 {
        self.size / self.block
    }
}

/// The radix of each axis within a tensor.
pub(crate) type Marks = Vec<u32>;

/// Why an operator is not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It cannot be.
    No,
    /// It could, if `axis` were two axes, the inner one of this size.
    SplitAxis { axis: usize, inner: u32 },
}

/// A tensor as a box whose sides include the axes: sides, outermost first, and the side of each axis.
pub(crate) fn shape(axes: &[Axis], marks: &Marks, len: usize) -> Option<(Vec<u32>, Vec<usize>)> {
    let mut order: Vec<usize> = (0..axes.len()).collect();
    order.sort_by_key(|&axis| std::cmp::Reverse(marks[axis]));
    let mut sides = Vec::new();
    let mut places = vec![0; axes.len()];
    let mut rest = u32::try_from(len).ok()?;
    for axis in order {
        let inner = marks[axis].checked_mul(axes[axis].size)?;
        if inner == 0 || rest % inner != 0 {
            return None;
        }
        sides.push(rest / inner);
        places[axis] = sides.len();
        sides.push(axes[axis].size);
        rest = marks[axis];
    }
    sides.push(rest);
    Some((sides, places))
}

/// The sides of a slice.
pub(crate) fn compact(axes: &[Axis], sides: &[u32], places: &[usize]) -> Vec<u32> {
    let mut sides = sides.to_vec();
    for (axis, &place) in axes.iter().zip(places) {
        sides[place] = axis.block;
    }
    sides
}

/// The place of slices within a tensor.
pub(crate) fn origin(axes: &[Axis], marks: &Marks, len: usize) -> Option<Origin> {
    let (sides, places) = shape(axes, marks, len)?;
    let strides = dense(&sides).iter().map(|&stride| stride as usize).collect();
    let steps = axes.iter().zip(marks).map(|(axis, &radix)| axis.block as usize * radix as usize).collect();
    Some(Origin { sizes: compact(axes, &sides, &places), strides, steps })
}

/// Whether the elements of a slice are neighbours.
pub(crate) fn is_contiguous(place: &Origin) -> bool {
    let mut expected = 1;
    for (&size, &stride) in place.sizes.iter().zip(&place.strides).rev() {
        if size > 1 && stride != expected {
            return false;
        }
        expected *= size as usize;
    }
    true
}

/// An operator with, for each axis, the label that it is.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) spec: NodeSpec,
    labels: Vec<Option<usize>>,
}

impl Cut {
    pub(crate) fn new(spec: &NodeSpec, axes: usize) -> Cut {
        Cut { spec: spec.clone(), labels: vec![None; axes] }
    }

    /// Says that a label is an axis.
    pub(crate) fn set(&mut self, axis: usize, label: usize) -> Result<(), Refusal> {
        if is_pinned(&self.spec, label) || self.labels[axis].is_some_and(|known| known != label) {
            return Err(Refusal::No);
        }
        self.labels[axis] = Some(label);
        Ok(())
    }

    /// Reads the labels of the axes off a tensor of `len` elements with these marks: an operand, or the output. Where they are known
    /// already, checks that they are the same.
    pub(crate) fn follow(
        &mut self,
        axes: &[Axis],
        operand: Option<usize>,
        marks: &Marks,
        len: usize,
    ) -> Result<(), Refusal> {
        let (sides, places) = shape(axes, marks, len).ok_or(Refusal::No)?;
        let digits = self.digits(operand, &sides).ok_or(Refusal::No)?;
        for (axis, &place) in places.iter().enumerate() {
            let digit = &digits[place];
            let mut moving = digit.coefficients.iter().enumerate().filter(|(_, c)| **c != 0);
            let (first, second, more) = (moving.next(), moving.next(), moving.next());
            if digit.constant != 0 || more.is_some() {
                return Err(Refusal::No);
            }
            match (first, second) {
                (Some((label, 1)), None) if size(&self.spec, label) == axes[axis].size => self.set(axis, label)?,
                (Some((outer, &step)), Some((inner, 1))) => {
                    let sizes = (size(&self.spec, outer), size(&self.spec, inner));
                    if step > 1 && sizes.1 == step as u32 && sizes.0 * sizes.1 == axes[axis].size {
                        return Err(Refusal::SplitAxis { axis, inner: sizes.1 });
                    }
                    return Err(Refusal::No);
                }
                _ => return Err(Refusal::No),
            }
        }
        Ok(())
    }

    /// A read in the coordinates of a box, after splitting labels where that helps.
    fn digits(&mut self, operand: Option<usize>, sides: &[u32]) -> Option<Vec<Digit>> {
        loop {
            let (offset, strides) = self.read(operand);
            let labels = if operand.is_some() { label_count(&self.spec) } else { self.spec.out_sizes.len() };
            let sizes: Vec<u32> = (0..labels).map(|label| size(&self.spec, label)).collect();
            match digits(&sizes, offset, &strides, sides) {
                Digits::Affine(found) => return Some(found),
                Digits::Split { label, inner } => {
                    if self.labels.contains(&Some(label)) {
                        return None;
                    }
                    split_label(&mut self.spec, label, inner)?;
                    for known in self.labels.iter_mut().flatten().filter(|known| **known > label) {
                        *known += 1;
                    }
                }
                Digits::None => return None,
            }
        }
    }

    fn read(&self, operand: Option<usize>) -> (i32, Vec<i32>) {
        match operand {
            Some(number) => {
                let operand = &self.spec.operands[number];
                (operand.offset, operand.strides.clone())
            }
            None => (0, dense(&self.spec.out_sizes)),
        }
    }

    /// Whether every axis is a label.
    pub(crate) fn is_whole(&self) -> bool {
        self.labels.iter().all(Option::is_some)
    }

    /// Whether a chain runs through the slices; `None` if it would not run in ascending order.
    pub(crate) fn is_carried(&self) -> Option<bool> {
        let out = self.spec.out_sizes.len();
        let mut inside = self.labels.iter().flatten().filter(|label| **label >= out);
        let Some(&label) = inside.next() else { return Some(false) };
        let is_outermost = self.spec.reduce_sizes[..label - out].iter().all(|&size| size == 1);
        (is_outermost && inside.next().is_none() && self.labels.len() == 1).then_some(true)
    }

    /// The marks of the output; `None` if an axis is summed over.
    pub(crate) fn out_marks(&self) -> Option<Marks> {
        let radixes = dense(&self.spec.out_sizes);
        self.labels.iter().map(|label| radixes.get((*label)?).map(|&radix| radix as u32)).collect()
    }

    /// The marks that an operand's tensor has if the read moves along all axes.
    pub(crate) fn read_marks(&self, operand: usize) -> Option<Marks> {
        let strides = &self.spec.operands[operand].strides;
        let radix = |label: &Option<usize>| u32::try_from(strides[(*label)?]).ok().filter(|&radix| radix > 0);
        self.labels.iter().map(radix).collect()
    }

    /// By how many elements a read of a whole tensor moves from slice to slice, per axis.
    pub(crate) fn steps(&self, axes: &[Axis], operand: usize) -> Option<Vec<usize>> {
        let strides = &self.spec.operands[operand].strides;
        let step = |(axis, label): (&Axis, &Option<usize>)| {
            usize::try_from(strides[(*label)?]).ok()?.checked_mul(axis.block as usize)
        };
        axes.iter().zip(&self.labels).map(step).collect()
    }

    /// The operator of one slice; `None` if it would be none, with too many labels for example. `inner[o]` are marks and length of
    /// operand `o`'s tensor if that is compact.
    pub(crate) fn slice(&self, axes: &[Axis], inner: &[Option<(Marks, usize)>]) -> Option<NodeSpec> {
        let mut cut = self.clone();
        // Labels are split for all operands before any is rewritten.
        for (operand, marks) in inner.iter().enumerate() {
            if let Some((marks, len)) = marks {
                cut.digits(Some(operand), &shape(axes, marks, *len)?.0)?;
            }
        }
        let mut spec = cut.spec.clone();
        for (operand, marks) in inner.iter().enumerate() {
            let Some((marks, len)) = marks else { continue };
            let (sides, places) = shape(axes, marks, *len)?;
            let digits = cut.digits(Some(operand), &sides)?;
            let radixes = dense(&compact(axes, &sides, &places));
            let read = &mut spec.operands[operand];
            (read.offset, read.strides) = compose(&digits, 0, &radixes, label_count(&cut.spec));
            // What an index adds counts in an outer side of the box.
            let index_stride = read.index_stride;
            for (axis, &radix) in axes.iter().zip(marks).filter(|_| index_stride != 0) {
                if index_stride % (radix * axis.size) as i32 != 0 {
                    return None;
                }
                read.index_stride = read.index_stride / axis.size as i32 * axis.block as i32;
            }
        }
        let out = spec.out_sizes.len();
        // Back from the start of a slice there is nothing.
        if spec.operands.iter().any(|operand| operand.index_stride < 0) {
            return None;
        }
        for (axis, label) in axes.iter().zip(&cut.labels) {
            let label = (*label)?;
            if label < out { spec.out_sizes[label] = axis.block } else { spec.reduce_sizes[label - out] = axis.block }
        }
        shorten(&mut spec);
        (spec.out_sizes.len() <= MAX_OUT_LABELS && spec.reduce_sizes.len() <= MAX_REDUCE_LABELS).then_some(spec)
    }
}
