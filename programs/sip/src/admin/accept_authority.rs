//! The nominated wallet becomes the authority.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, admin::config::Config, instructions::AcceptAuthority};

use crate::guard;

/// Implements [`AcceptAuthority`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let AcceptAuthority {} = guard::args(data)?;
    let [nominated, config, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(nominated)?;
    guard::load_mut::<Config>(program, config)?.accept_authority(guard::key(nominated))
}
