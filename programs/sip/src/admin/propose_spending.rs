//! Proposes to pay out of a bucket.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::ProposeSpending};

use crate::guard;

/// Implements [`ProposeSpending`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: ProposeSpending = guard::args(data)?;
    if args.reserved != [0; 7] {
        return Err(Error::WrongArguments);
    }
    let [authority, config, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(authority)?;
    let mut config = guard::load_mut::<Config>(program, config)?;
    config.require_authority(guard::key(authority))?;
    config.propose_spending(args.kind, args.amount, &args.destination, guard::slot()?)
}
