//! All instructions: those of the rooms, in the order of the rooms.

pub use crate::admin::instructions::*;
pub use crate::court::instructions::*;
pub use crate::ground::declare::Args;
pub use crate::money::instructions::*;
pub use crate::stake::instructions::*;
pub use crate::training::instructions::*;

use crate::{admin, court, money, stake, training};

/// The instructions by room.
pub(crate) const ROOMS: [&[(u8, &str)]; 5] = [
    stake::instructions::NAMES,
    admin::instructions::NAMES,
    training::instructions::NAMES,
    court::instructions::NAMES,
    money::instructions::NAMES,
];

/// Name of the instruction of a tag, whichever room it belongs to.
pub fn name(tag: u8) -> Option<&'static str> {
    ROOMS.iter().copied().flatten().find(|named| named.0 == tag).map(|named| named.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_names_one_instruction() {
        let mut tags: Vec<u8> = ROOMS.iter().copied().flatten().map(|named| named.0).collect();
        let count = tags.len();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), count, "a tag is used twice");
        for (tag, named) in ROOMS.iter().copied().flatten() {
            assert_eq!(name(*tag), Some(*named));
        }
        assert_eq!(name(u8::MAX), None);
        let some = [(Initialize::TAG, Initialize::NAME), (PayFee::TAG, PayFee::NAME)];
        assert!(some.iter().all(|(tag, named)| name(*tag) == Some(*named)));
    }
}
