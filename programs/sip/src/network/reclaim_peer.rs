//! Closes a peer's record that nobody needs any more.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    AccountKind, Error, Result,
    admin::config::Config,
    instructions::ReclaimPeer,
    network::peer::Peer,
    stake::pool::Pool,
    training::{closing::Rest, job::Job},
};

use crate::guard;

/// Implements [`ReclaimPeer`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ReclaimPeer {} = guard::args(data)?;
    let [config, subject, record_view, payer, ..] = accounts else { return Err(Error::MissingAccount) };
    let slot = guard::slot()?;
    let config = guard::load::<Config>(program, config)?;
    {
        let record = guard::load::<Peer>(program, record_view)?;
        guard::related(record.subject == *guard::key(subject))?;
        let is_over = if guard::kind(subject)? == AccountKind::Pool as u8 {
            guard::load::<Pool>(program, subject)?.is_over()
        } else {
            guard::load::<Job>(program, subject)?;
            false
        };
        let rest = Rest { unbonding_slots: config.parameters.unbonding_slots, slot };
        record.require_old(guard::key(payer), is_over, &rest)?;
    }
    guard::close(record_view, payer)
}
