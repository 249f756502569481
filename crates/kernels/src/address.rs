//! Where operands are read, and which tasks write where.

use sip_ops::NodeSpec;
use std::marker::PhantomData;

/// An affine address over consecutive output elements.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    offset: isize,
    /// (size, stride), outermost first; neighbours that form one longer label are fused. Never empty.
    labels: Vec<(usize, isize)>,
}

impl Walk {
    fn new(offset: isize, sizes: &[u32], strides: &[i32]) -> Walk {
        let mut labels: Vec<(usize, isize)> = Vec::new();
        for (&size, &stride) in sizes.iter().zip(strides) {
            let (size, stride) = (size as usize, stride as isize);
            match labels.last_mut() {
                _ if size == 1 => {}
                Some(outer) if outer.1 == size as isize * stride => *outer = (outer.0 * size, stride),
                _ => labels.push((size, stride)),
            }
        }
        if labels.is_empty() {
            labels.push((1, 0));
        }
        Walk { offset, labels }
    }

    /// The addresses of an operand with all reduction coordinates 0.
    pub(crate) fn operand(spec: &NodeSpec, operand: usize) -> Walk {
        let operand = &spec.operands[operand];
        Walk::new(operand.offset as isize, &spec.out_sizes, &operand.strides)
    }

    /// The coordinates of an output label.
    pub(crate) fn coordinate(spec: &NodeSpec, label: usize) -> Walk {
        let strides: Vec<i32> = (0..spec.out_sizes.len()).map(|other| (other == label) as i32).collect();
        Walk::new(0, &spec.out_sizes, &strides)
    }

    /// The address of the first output element.
    pub(crate) fn start(&self) -> usize {
        self.offset as usize
    }

    /// The one stride of all addresses, if there is one.
    pub(crate) fn stride(&self) -> Option<isize> {
        if self.labels.len() == 1 { Some(self.labels[0].1) } else { None }
    }

    /// What one step along the innermost label adds.
    pub(crate) fn inner_stride(&self) -> isize {
        self.labels[self.labels.len() - 1].1
    }

    /// Number of elements along the innermost label.
    pub(crate) fn inner_len(&self) -> usize {
        self.labels[self.labels.len() - 1].0
    }

    /// Calls `run(position, length, address, stride)` for the pieces, in order, of the `count` addresses from output element
    /// `first` on; `position` counts from 0.
    #[inline(always)]
    pub(crate) fn runs(&self, first: usize, count: usize, mut run: impl FnMut(usize, usize, isize, isize)) {
        let mut coordinates = [0usize; sip_ops::MAX_OUT_LABELS];
        let (mut rest, mut address) = (first, self.offset);
        for (coordinate, &(size, stride)) in coordinates.iter_mut().zip(&self.labels).rev() {
            *coordinate = rest % size;
            rest /= size;
            address += *coordinate as isize * stride;
        }
        let last = self.labels.len() - 1;
        let (size, stride) = self.labels[last];
        let mut position = 0;
        while position < count {
            let length = (size - coordinates[last]).min(count - position);
            run(position, length, address, stride);
            position += length;
            coordinates[last] += length;
            address += length as isize * stride;
            let mut label = last;
            while coordinates[label] == self.labels[label].0 && label > 0 {
                address -= self.labels[label].0 as isize * self.labels[label].1;
                coordinates[label] = 0;
                label -= 1;
                coordinates[label] += 1;
                address += self.labels[label].1;
            }
        }
    }

    /// The addresses of the `to.len()` output elements from `first` on.
    #[inline(always)]
    pub(crate) fn addresses(&self, first: usize, to: &mut [isize]) {
        self.runs(first, to.len(), |position, length, address, stride| {
            for (i, to) in to[position..position + length].iter_mut().enumerate() {
                *to = address + i as isize * stride;
            }
        });
    }
}

/// One side of a constraint's comparison: the coordinates of the small and of the large label, as far as they are known here.
/// Sides combine by [`Bounds::and`]; what is unknown never hinders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) small: u32,
    pub(crate) large: u32,
}

impl Bounds {
    /// Neither label is known.
    pub(crate) const OPEN: Bounds = Bounds { small: 0, large: u32::MAX };

    /// What a label's coordinate says.
    pub(crate) fn of(spec: &NodeSpec, label: usize, coordinate: u32) -> Bounds {
        let mut bounds = Bounds::OPEN;
        if let Some((small, large)) = spec.constraint
            && small != large
        {
            if small as usize == label {
                bounds.small = coordinate;
            }
            if large as usize == label {
                bounds.large = coordinate;
            }
        }
        bounds
    }

    /// Both together.
    #[inline(always)]
    pub(crate) fn and(self, other: Bounds) -> Bounds {
        Bounds { small: self.small.max(other.small), large: self.large.min(other.large) }
    }

    /// Whether the term takes part.
    #[inline(always)]
    pub(crate) fn is_present(self) -> bool {
        self.small <= self.large
    }
}

/// The terms of a chain, in order, those that are absent for every output left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// What each operand adds to its address, per term.
    pub(crate) addresses: Vec<Vec<isize>>,
    /// The reduction labels' side of the constraint; empty if they have none.
    pub(crate) bounds: Vec<Bounds>,
    /// First terms of stretches within which the bounds never fall, in order.
    pub(crate) stretches: Vec<usize>,
    /// Number of terms.
    pub(crate) count: usize,
}

impl Terms {
    pub(crate) fn new(spec: &NodeSpec) -> Terms {
        let out = spec.out_sizes.len();
        let size = |label: usize| spec.reduce_sizes.get(label).copied().unwrap_or(1);
        let inside = |label: u8| label as usize >= out;
        let (both, one) = match spec.constraint {
            Some((small, large)) if small != large => (inside(small) && inside(large), inside(small) != inside(large)),
            _ => (false, false),
        };
        let mut terms = Terms { addresses: vec![Vec::new(); spec.operands.len()], ..Terms::default() };
        for outer in 0..size(0) {
            terms.stretches.push(terms.count);
            for inner in 0..size(1) {
                let bounds = Bounds::of(spec, out, outer).and(Bounds::of(spec, out + 1, inner));
                if both && !bounds.is_present() {
                    continue;
                }
                for (addresses, operand) in terms.addresses.iter_mut().zip(&spec.operands) {
                    let step = |label: usize, coordinate: u32| {
                        operand.strides.get(out + label).map_or(0, |&stride| stride as isize * coordinate as isize)
                    };
                    addresses.push(step(0, outer) + step(1, inner));
                }
                if one {
                    terms.bounds.push(bounds);
                }
                terms.count += 1;
            }
        }
        // Without bounds, or with one reduction label, all terms are one stretch.
        if !one || size(1) == 1 {
            terms.stretches.truncate(1);
        }
        terms
    }

    /// The one step between an operand's addresses within a range of terms, if there is one.
    pub(crate) fn step(&self, operand: usize, range: std::ops::Range<usize>) -> Option<isize> {
        one_step(self.addresses[operand][range].iter().copied())
    }
}

/// The output, written by several tasks at disjoint places.
#[derive(Clone, Copy)]
pub(crate) struct Output<'a> {
    pointer: *mut u32,
    len: usize,
    lifetime: PhantomData<&'a mut [u32]>,
}

// SAFETY: an `Output` only hands out memory through `slice`, whose callers promise disjoint ranges.
unsafe impl Send for Output<'_> {}
// SAFETY: as above.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    pub(crate) fn new(out: &'a mut [u32]) -> Output<'a> {
        Output { pointer: out.as_mut_ptr(), len: out.len(), lifetime: PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Elements `first..first + count`.
    ///
    /// # Safety
    /// While the slice lives, nothing else may access these elements.
    #[inline(always)]
    #[expect(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, first: usize, count: usize) -> &mut [u32] {
        assert!(first <= self.len && count <= self.len - first, "output range is out of bounds");
        // SAFETY: in bounds by the check, exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(first), count) }
    }

    /// Where an element lies, or would lie; for hints only.
    #[inline(always)]
    pub(crate) fn place(&self, element: usize) -> *const f32 {
        self.pointer.cast::<f32>().wrapping_add(element)
    }

    /// The first value of a tile: `rows` rows, `step` elements apart, of `columns` consecutive elements, all of which exist.
    ///
    /// # Safety
    /// While the pointer is in use, nothing else may access the elements of the tile.
    #[inline(always)]
    pub(crate) unsafe fn tile(&self, first: usize, rows: usize, step: usize, columns: usize) -> *mut f32 {
        assert!(first + (rows - 1) * step + columns <= self.len, "output tile is out of bounds");
        // SAFETY: in bounds by the check.
        unsafe { self.pointer.add(first).cast() }
    }
}

/// The one step between the values, if there is one; 1 for a single value.
#[inline(always)]
pub(crate) fn one_step(mut values: impl Iterator<Item = isize>) -> Option<isize> {
    let (Some(first), Some(second)) = (values.next(), values.next()) else { return Some(1) };
    let mut last = second;
    for value in values {
        if value - last != second - first {
            return None;
        }
        last = value;
    }
    Some(second - first)
}

/// Whether any of the bits is a NaN or an infinity.
#[inline(always)]
pub(crate) fn any_fault(bits: &[u32]) -> bool {
    let mut greatest = 0;
    for &bits in bits {
        greatest = greatest.max(bits & 0x7F80_0000);
    }
    greatest == 0x7F80_0000
}
