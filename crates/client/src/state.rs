//! What accounts say.

use sip_protocol::{
    Account, AccountKind, Error, Result,
    admin::config::Config,
    court::{Dispute, accusation::Accusation, availability::Demand},
    money::{epoch::EmissionAccount, fees::Fees},
    network::peer::Peer,
    stake::{
        pool::Pool,
        position::{Position, Ticket},
        steering::Vote,
    },
    training::{data::Dataset, evaluation::ScoringRun, job::Job, round::Round, segment::Segment},
};

/// The kind of an account's data, if it is one of the protocol's.
pub fn kind_of(data: &[u8]) -> Option<AccountKind> {
    AccountKind::ALL.iter().copied().find(|kind| data.first() == Some(&(*kind as u8)))
}

/// Base units that the vault owes according to these accounts' data. Over all accounts of the program it is the vault's balance.
///
/// Fails on data that is no account of the protocol.
pub fn liabilities<'a>(accounts: impl IntoIterator<Item = &'a [u8]>) -> Result<u64> {
    let mut sum = 0u64;
    for data in accounts {
        let owed = match kind_of(data).ok_or(Error::WrongKind)? {
            AccountKind::Config => Config::decode(data)?.liabilities()?,
            AccountKind::Pool => Pool::decode(data)?.liabilities()?,
            AccountKind::Position => Position::decode(data)?.liabilities()?,
            AccountKind::Ticket => Ticket::decode(data)?.liabilities()?,
            AccountKind::Dataset => Dataset::decode(data)?.liabilities()?,
            AccountKind::Job => Job::decode(data)?.liabilities()?,
            AccountKind::Round => Round::decode(data)?.liabilities()?,
            AccountKind::Segment => Segment::decode(data)?.liabilities()?,
            AccountKind::Dispute => Dispute::decode(data)?.liabilities()?,
            AccountKind::Emission => EmissionAccount::decode(data)?.liabilities()?,
            AccountKind::Fees => Fees::decode(data)?.liabilities()?,
            AccountKind::Vote => Vote::decode(data)?.liabilities()?,
            AccountKind::Peer => Peer::decode(data)?.liabilities()?,
            AccountKind::Accusation => Accusation::decode(data)?.liabilities()?,
            AccountKind::Demand => Demand::decode(data)?.liabilities()?,
            AccountKind::ScoringRun => ScoringRun::decode(data)?.liabilities()?,
        };
        sum = sum.checked_add(owed).ok_or(Error::Overflow)?;
    }
    Ok(sum)
}

/// The reason behind a transaction's custom error code.
pub fn refusal(code: u32) -> Option<Error> {
    Error::from_code(code)
}
