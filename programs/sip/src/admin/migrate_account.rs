//! Lengthens an account of an older layout.

use pinocchio::{
    AccountView, Address,
    sysvars::{Sysvar, rent::Rent},
};
use pinocchio_system::instructions::Transfer;
use sip_protocol::{Error, Result, admin::migration, instructions::MigrateAccount};

use crate::guard;

/// Implements [`MigrateAccount`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let MigrateAccount {} = guard::args(data)?;
    let [payer, account, _system, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(payer)?;
    if !account.owned_by(program) {
        return Err(Error::WrongOwner);
    }
    if !account.is_writable() || !payer.is_writable() {
        return Err(Error::NotWritable);
    }
    let size = migration::present_size(&account.try_borrow().map_err(|_| Error::DuplicateAccount)?)?;
    let rent = Rent::get().map_err(|_| Error::CallFailed)?;
    let least = rent.try_minimum_balance(size).map_err(|_| Error::CallFailed)?;
    let missing = least.saturating_sub(account.lamports());
    if missing > 0 {
        Transfer { from: payer, to: account, lamports: missing }.invoke().map_err(|_| Error::CallFailed)?;
    }
    guard::lengthen(account, size)?;
    migration::migrate(&mut account.try_borrow_mut().map_err(|_| Error::DuplicateAccount)?)
}
