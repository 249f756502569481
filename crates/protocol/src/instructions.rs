//! All instructions: those of the rooms, in the order of the rooms.

pub use crate::admin::instructions::*;
pub use crate::court::instructions::*;
pub use crate::ground::declare::{Args, Declared};
pub use crate::money::instructions::*;
pub use crate::network::instructions::*;
pub use crate::stake::instructions::*;
pub use crate::training::instructions::*;

use crate::ground::spec::InstructionSpec;
use crate::{admin, court, money, network, stake, training};

/// A room and its instructions.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub subject: &'static str,
    /// The tag of its first instruction; the tags up to 31 above are its own.
    pub first_tag: u8,
    /// The number after which its errors come; the hundred from there on is its own.
    pub first_error: u32,
    /// Its instructions.
    pub instructions: &'static [InstructionSpec],
}

/// The rooms in order.
pub const ROOMS: [Room; 6] = [
    Room {
        name: "stake",
        subject: "pools, positions, exits, locks, steering and liquid shares",
        first_tag: 0x00,
        first_error: 100,
        instructions: stake::instructions::SPECS,
    },
    Room {
        name: "admin",
        subject: "parameters, proposals, spending, pause and migration",
        first_tag: 0x20,
        first_error: 200,
        instructions: admin::instructions::SPECS,
    },
    Room {
        name: "training",
        subject: "data, jobs, rounds, audits, scores and finality",
        first_tag: 0x40,
        first_error: 300,
        instructions: training::instructions::SPECS,
    },
    Room {
        name: "court",
        subject: "accusations, demands and disputes",
        first_tag: 0x60,
        first_error: 400,
        instructions: court::instructions::SPECS,
    },
    Room {
        name: "money",
        subject: "emission, yield, fees and settlement",
        first_tag: 0x80,
        first_error: 500,
        instructions: money::instructions::SPECS,
    },
    Room {
        name: "network",
        subject: "who is where",
        first_tag: 0xA0,
        first_error: 600,
        instructions: network::instructions::SPECS,
    },
];

/// All instructions, room by room.
pub fn all() -> impl Iterator<Item = &'static InstructionSpec> {
    ROOMS.iter().flat_map(|room| room.instructions)
}

/// The instruction of a tag, whichever room it belongs to.
pub fn spec(tag: u8) -> Option<&'static InstructionSpec> {
    all().find(|spec| spec.tag == tag)
}

/// Name of the instruction of a tag.
pub fn name(tag: u8) -> Option<&'static str> {
    spec(tag).map(|spec| spec.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccountKind;
    use crate::ground::spec::{AccountSpec, Count, Object, Part, Place, Role};

    #[test]
    fn every_tag_names_one_instruction_of_its_room() {
        let mut tags: Vec<u8> = all().map(|spec| spec.tag).collect();
        let count = tags.len();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), count, "a tag is used twice");
        for room in ROOMS {
            let tags = room.first_tag..room.first_tag + 32;
            assert!(room.instructions.iter().all(|spec| tags.contains(&spec.tag)), "{}", room.name);
        }
        assert!(all().all(|declared| name(declared.tag) == Some(declared.name)));
        assert_eq!(name(u8::MAX), None);
        let some = [(Initialize::TAG, Initialize::NAME), (PayFee::TAG, PayFee::NAME)];
        assert!(some.iter().all(|(tag, named)| name(*tag) == Some(*named)));
    }

    /// Whether a part of an address names something that is there.
    fn is_known(instruction: &InstructionSpec, account: &AccountSpec, part: &Part, from_state: bool) -> bool {
        let is_account = |name: &str| instruction.accounts.iter().any(|other| other.name == name);
        match part {
            Part::Account(name) => *name != account.name && is_account(name),
            Part::Argument(name) => instruction.arguments.fields.iter().any(|field| field.name == *name),
            Part::Field(..) => from_state,
            Part::Number(_) => true,
        }
    }

    #[test]
    fn every_address_follows_from_what_the_instruction_names() {
        for instruction in all() {
            assert!(!instruction.accounts.is_empty() && !instruction.budgets.is_empty(), "{}", instruction.name);
            for account in instruction.accounts {
                let known = |parts: &[Part], from_state| {
                    parts.iter().all(|part| is_known(instruction, account, part, from_state))
                };
                let is_known = match &account.place {
                    Place::Named | Place::Single => true,
                    Place::At(derivation, parts) => parts.len() == derivation.seeds.len() && known(parts, false),
                    Place::From(derivation, parts) => parts.len() == derivation.seeds.len() && known(parts, true),
                    Place::Of(owner) => known(&[*owner], true),
                };
                assert!(is_known, "{}: {}", instruction.name, account.name);
            }
        }
    }

    #[test]
    fn accounts_that_may_be_missing_stand_last() {
        for instruction in all() {
            let is_open = |account: &&AccountSpec| account.count != Count::One;
            let tail = instruction.accounts.iter().skip_while(|account| !is_open(account));
            assert!(tail.clone().all(|account| is_open(&account)), "{}", instruction.name);
            let many = instruction.accounts.iter().position(|account| account.count == Count::Many);
            assert!(many.is_none_or(|place| place + 1 == instruction.accounts.len()), "{}", instruction.name);
        }
    }

    #[test]
    fn what_is_created_has_an_address_a_payer_and_the_system_program() {
        for instruction in all() {
            let has = |role: Role| instruction.accounts.iter().any(|account| account.role == role);
            let calls = |object: Object| instruction.accounts.iter().any(|account| account.objects == [object]);
            if has(Role::Opens) || has(Role::Ensures) {
                assert!(
                    (has(Role::Payer) || has(Role::PayingWorker)) && calls(Object::SystemProgram),
                    "{}",
                    instruction.name
                );
            }
            let created =
                instruction.accounts.iter().filter(|account| matches!(account.role, Role::Opens | Role::Ensures));
            for account in created {
                assert!(
                    !matches!(account.place, Place::Named | Place::Of(_)),
                    "{}: {}",
                    instruction.name,
                    account.name
                );
            }
            let tokens = calls(Object::Vault) || calls(Object::ShareMint) || calls(Object::Tokens);
            assert!(!tokens || calls(Object::TokenProgram), "{}", instruction.name);
        }
    }

    #[test]
    fn every_kind_of_account_is_created_by_an_instruction() {
        for kind in AccountKind::ALL {
            let is_created = |account: &AccountSpec| {
                account.objects == [Object::State(*kind)] && matches!(account.role, Role::Opens | Role::Ensures)
            };
            assert!(all().any(|instruction| instruction.accounts.iter().any(is_created)), "{kind:?}");
        }
    }
}
