//! Takes a peer's record back.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, instructions::ClosePeer, network::peer::Peer};

use crate::guard;

/// Implements [`ClosePeer`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ClosePeer {} = guard::args(data)?;
    let [announcer, subject, record_view, payer, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(announcer)?;
    let slot = guard::slot()?;
    {
        let record = guard::load::<Peer>(program, record_view)?;
        guard::related(record.subject == *guard::key(subject))?;
        super::announcer(program, announcer, subject, Some(&*record), slot)?;
        record.require_closable(guard::key(payer), slot)?;
    }
    guard::close(record_view, payer)
}
