//! Which operand of a product reads which output label: one (rows, columns) or both (batches).

use sip_ops::NodeSpec;

/// Where something lies: addresses in operand 0, 1 and 2, and the index in the output.
pub(crate) type Place = [isize; 4];

/// The output labels of a product by who reads them, outermost first; labels of size 1 are left out.
pub(crate) struct Sides<'a> {
    spec: &'a NodeSpec,
    /// Elements of the output per step along each label.
    steps: Vec<isize>,
    /// Labels that both operands read, or neither.
    pub(crate) batch: Vec<usize>,
    /// Labels that operand 0 alone reads, and those that operand 1 alone reads.
    pub(crate) seen: [Vec<usize>; 2],
}

impl<'a> Sides<'a> {
    pub(crate) fn new(spec: &'a NodeSpec) -> Sides<'a> {
        let labels = spec.out_sizes.len();
        let mut sides = Sides { spec, steps: vec![1; labels], batch: Vec::new(), seen: Default::default() };
        for label in (0..labels).rev() {
            if label + 1 < labels {
                sides.steps[label] = sides.steps[label + 1] * sides.size(label + 1) as isize;
            }
            match (spec.operands[0].strides[label] != 0, spec.operands[1].strides[label] != 0) {
                _ if sides.size(label) == 1 => {}
                (true, false) => sides.seen[0].insert(0, label),
                (false, true) => sides.seen[1].insert(0, label),
                _ => sides.batch.insert(0, label),
            }
        }
        sides
    }

    pub(crate) fn size(&self, label: usize) -> usize {
        self.spec.out_sizes[label] as usize
    }

    /// Combinations of the labels that one operand alone reads.
    pub(crate) fn count(&self, operand: usize) -> usize {
        self.seen[operand].iter().map(|&label| self.size(label)).product()
    }

    /// What a step along a label adds.
    pub(crate) fn step(&self, label: usize) -> Place {
        let stride = |operand: usize| self.spec.operands.get(operand).map_or(0, |o| o.strides[label] as isize);
        [stride(0), stride(1), stride(2), self.steps[label]]
    }

    /// All combinations of the labels' coordinates, in row-major order, from `start` on.
    pub(crate) fn places(&self, labels: &[usize], start: Place) -> Vec<Place> {
        let mut places = vec![start];
        for &label in labels {
            let step = self.step(label);
            let add = |place: &Place, at: usize| std::array::from_fn(|i| place[i] + at as isize * step[i]);
            places = places.iter().flat_map(|place| (0..self.size(label)).map(move |at| add(place, at))).collect();
        }
        places
    }

    /// The batches, with the operands' offsets.
    pub(crate) fn batches(&self) -> Vec<Place> {
        let mut start = [0; 4];
        for (offset, operand) in start.iter_mut().zip(&self.spec.operands) {
            *offset = operand.offset as isize;
        }
        self.places(&self.batch, start)
    }

    /// What one operand alone reads.
    pub(crate) fn lines(&self, operand: usize) -> Vec<Place> {
        self.places(&self.seen[operand], [0; 4])
    }
}
