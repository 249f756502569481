//! Frauds, staged: what a dishonest trainer does instead of the work.

/// What a dishonest trainer does in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cheat {
    /// Hands in the start state as the outcome of every step and saves the work.
    Lazy,
    /// Reverses and triples one node's output in every step: with a weight's gradient as the node, the model
    /// is pushed away from what its data say.
    Poison {
        /// The node.
        node: u32,
    },
    /// Flips one bit of one element of one node's output in one step.
    FlipBit {
        /// The step within the segment.
        step: u32,
        /// The node.
        node: u32,
        /// The element of its output.
        element: u32,
        /// The bit, 0 to 31.
        bit: u32,
    },
    /// Trains on windows that the rule did not draw: on the favourite domain only.
    WrongData {
        /// The favourite domain.
        domain: u32,
    },
    /// Trains with another value of a setting than stake gave it.
    WrongSetting {
        /// Number of the setting.
        setting: u8,
        /// The value, multiples of 2⁻¹⁶.
        value: u32,
    },
}

impl Cheat {
    /// What becomes of a node's output in a step.
    pub(crate) fn corrupt(&self, step: u32, node: usize, output: &mut [u32]) {
        match *self {
            Cheat::Poison { node: target } if target as usize == node => {
                for value in output {
                    *value = (f32::from_bits(*value) * -3.0).to_bits();
                }
            }
            Cheat::FlipBit { step: at, node: target, element, bit } if at == step && target as usize == node => {
                if let Some(value) = output.get_mut(element as usize) {
                    *value ^= 1 << (bit & 31);
                }
            }
            _ => {}
        }
    }
}
