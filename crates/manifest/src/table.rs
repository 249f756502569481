//! The tables of a job by the rules that give their elements, or by the elements themselves.

use sip_graph::Buffer;
use sip_model::tables::{plain_rotary_tables, step_table};
use sip_model::{Schedule, Shape};
use sip_proof::{Hash, tensor_root};

/// No table by rule has more elements.
pub const TABLE_ELEMENTS_MAX: u64 = 1 << 26;

/// A committed table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// BLAKE3 of its elements.
    pub root: Hash,
    /// What its elements are.
    pub rule: Rule,
}

/// What the elements of a table are.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// As they stand here: u32 words, or bits of f32.
    Elements(Vec<u32>),
    /// f32 [total steps, 4]: learning rate, the two corrections of AdamW's bias, 0.
    Steps {
        /// The learning rate.
        schedule: Schedule,
        /// Decay of the first moment.
        beta1: f32,
        /// Decay of the second moment.
        beta2: f32,
    },
    /// f32 [pairs, positions]: cosines of rotary angles.
    Cosines(Rotary),
    /// f32 [2, pairs, positions]: their sines, negated first.
    Sines(Rotary),
}

/// Rotary angles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotary {
    /// Half the width of a head.
    pub pairs: u32,
    /// Tokens of a sequence.
    pub positions: u32,
    /// Base of the frequencies.
    pub theta: f32,
}

impl Rule {
    /// Number of its elements.
    pub fn len(&self) -> u64 {
        let angles = |rotary: &Rotary| u64::from(rotary.pairs) * u64::from(rotary.positions);
        match self {
            Rule::Elements(elements) => elements.len() as u64,
            Rule::Steps { schedule, .. } => (schedule.total_steps as u64).saturating_mul(4),
            Rule::Cosines(rotary) => angles(rotary),
            Rule::Sines(rotary) => angles(rotary).saturating_mul(2),
        }
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its name in words.
    pub fn name(&self) -> &'static str {
        match self {
            Rule::Elements(_) => "elements",
            Rule::Steps { .. } => "steps",
            Rule::Cosines(_) => "cosines",
            Rule::Sines(_) => "sines",
        }
    }

    /// Its elements.
    pub fn elements(&self) -> Buffer {
        let rotary =
            |rotary: &Rotary| plain_rotary_tables(rotary.pairs as usize, rotary.positions as usize, rotary.theta);
        match self {
            Rule::Elements(elements) => {
                let mut buffer = Buffer::new(elements.len());
                buffer.copy_from_slice(elements);
                buffer
            }
            Rule::Steps { schedule, beta1, beta2 } => step_table(*beta1, *beta2, schedule),
            Rule::Cosines(angles) => rotary(angles)[0].clone(),
            Rule::Sines(angles) => rotary(angles)[1].clone(),
        }
    }
}

impl Table {
    /// The table that a rule gives.
    pub fn of(rule: Rule) -> Table {
        Table { root: tensor_root(&rule.elements()), rule }
    }

    /// Its elements, if they are those of its root.
    pub fn elements(&self) -> Option<Buffer> {
        let elements = self.rule.elements();
        (tensor_root(&elements) == self.root).then_some(elements)
    }
}

/// The number of a shape in the bytes, and its one number.
pub(crate) fn shape_words(shape: Shape) -> [u32; 2] {
    match shape {
        Shape::Constant => [0, 0],
        Shape::Linear => [1, 0],
        Shape::Cosine => [2, 0],
        Shape::StableDecay { decay_steps } => [3, decay_steps as u32],
    }
}

/// The shape of these words.
pub(crate) fn shape_of([number, steps]: [u32; 2]) -> Option<Shape> {
    match (number, steps) {
        (0, 0) => Some(Shape::Constant),
        (1, 0) => Some(Shape::Linear),
        (2, 0) => Some(Shape::Cosine),
        (3, steps) => Some(Shape::StableDecay { decay_steps: steps as usize }),
        _ => None,
    }
}
