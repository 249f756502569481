//! All kinds of accounts: those of the rooms, with where their fields lie and how their addresses follow.

use crate::{
    AccountKind, admin,
    court::{self, accusation, availability},
    ground::{
        account::{Derivation, derivation},
        layout::Layout,
    },
    money, network, stake, training,
};

/// A kind of account.
#[derive(Clone, Copy, Debug)]
pub struct AccountLayout {
    /// The kind.
    pub kind: AccountKind,
    /// The room that it belongs to.
    pub room: &'static str,
    /// Its fields.
    pub layout: &'static Layout,
    /// How its address follows from seeds: one way, or one for each kind of what it is about.
    pub derivations: &'static [Derivation],
}

/// All kinds, in ascending order of their numbers.
pub fn all() -> impl Iterator<Item = AccountLayout> {
    AccountKind::ALL.iter().map(|kind| account(*kind))
}

/// A kind of account.
pub const fn account(kind: AccountKind) -> AccountLayout {
    let (room, layout, derivations): (_, _, &'static [Derivation]) = match kind {
        AccountKind::Config => ("admin", &admin::config::Config::LAYOUT, &[derivation::config]),
        AccountKind::Pool => ("stake", &stake::pool::Pool::LAYOUT, &[derivation::pool]),
        AccountKind::Position => ("stake", &stake::position::Position::LAYOUT, &[derivation::position]),
        AccountKind::Ticket => ("stake", &stake::position::Ticket::LAYOUT, &[derivation::ticket]),
        AccountKind::Vote => ("stake", &stake::steering::Vote::LAYOUT, &[derivation::vote]),
        AccountKind::Dataset => ("training", &training::data::Dataset::LAYOUT, &[derivation::dataset]),
        AccountKind::Job => ("training", &training::job::Job::LAYOUT, &[derivation::job]),
        AccountKind::Round => ("training", &training::round::Round::LAYOUT, &[derivation::round]),
        AccountKind::Segment => ("training", &training::segment::Segment::LAYOUT, &[derivation::segment]),
        AccountKind::ScoringRun => ("training", &training::evaluation::ScoringRun::LAYOUT, &[derivation::run]),
        AccountKind::Dispute => ("court", &court::Dispute::LAYOUT, &[derivation::dispute, derivation::auditor_dispute]),
        AccountKind::Accusation => ("court", &accusation::Accusation::LAYOUT, &[derivation::accusation]),
        AccountKind::Demand => ("court", &availability::Demand::LAYOUT, &[derivation::demand]),
        AccountKind::Emission => ("money", &money::epoch::EmissionAccount::LAYOUT, &[derivation::emission]),
        AccountKind::Fees => ("money", &money::fees::Fees::LAYOUT, &[derivation::fees]),
        AccountKind::Peer => ("network", &network::peer::Peer::LAYOUT, &[derivation::peer]),
    };
    AccountLayout { kind, room, layout, derivations }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::layout::{Described, Type};
    use crate::{Account, Header};

    /// Every struct inside of one, itself included.
    fn structs(layout: &'static Layout, found: &mut Vec<&'static Layout>) {
        if found.iter().any(|other| core::ptr::eq(*other, layout)) {
            return;
        }
        found.push(layout);
        for field in layout.fields {
            let mut kind = &field.kind;
            while let Type::Array(item, _) = kind {
                kind = item;
            }
            if let Type::Struct(inner) = kind {
                structs(inner, found);
            }
        }
    }

    #[test]
    fn fields_fill_their_struct_without_a_gap() {
        let mut found = Vec::new();
        all().for_each(|account| structs(account.layout, &mut found));
        crate::instructions::all().for_each(|instruction| structs(instruction.arguments, &mut found));
        assert!(found.len() > 100, "only {} structs", found.len());
        for layout in found {
            let mut end = 0;
            for field in layout.fields {
                assert_eq!(field.offset, end, "{}.{}", layout.name, field.name);
                end += field.kind.bytes();
            }
            assert_eq!(end, layout.bytes, "{}", layout.name);
        }
    }

    #[test]
    fn every_account_begins_with_its_header_and_has_the_size_of_its_kind() {
        for account in all() {
            let first = account.layout.fields[0];
            assert_eq!((first.name, first.kind.bytes()), ("header", Header::TYPE.bytes()));
        }
        assert_eq!(account(AccountKind::Pool).layout.bytes, stake::pool::Pool::SIZE);
    }
}
