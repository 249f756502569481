//! The one vault: tokens in and out. What belongs to whom is state; balances are never read.

use pinocchio::{
    AccountView,
    cpi::{Seed, Signer},
};
use pinocchio_token::instructions::{Burn, Transfer};
use sip_protocol::{Account, Error, Result, account::seed, config::Config};

use crate::guard;

/// Bytes of an SPL token account.
const TOKEN_ACCOUNT_BYTES: usize = 165;
/// Where the owner stands in it.
const TOKEN_OWNER: core::ops::Range<usize> = 32..64;

/// The vault with what a call into the token program needs.
pub struct Vault<'a> {
    config: &'a Config,
    authority: &'a AccountView,
    vault: &'a AccountView,
}

impl<'a> Vault<'a> {
    /// Checks the token program and the vault. `authority` is the configuration's account.
    #[inline(always)]
    pub fn new(
        config: &'a Config,
        authority: &'a AccountView,
        vault: &'a AccountView,
        token_program: &AccountView,
    ) -> Result<Self> {
        if token_program.address() != &pinocchio_token::ID {
            return Err(Error::WrongProgram);
        }
        if *guard::key(vault) != config.vault {
            return Err(Error::WrongTokenAccount);
        }
        Ok(Vault { config, authority, vault })
    }

    /// Checks that an account is a token account of the protocol's mint other than the vault.
    #[inline(always)]
    fn check_wallet(&self, account: &AccountView) -> Result<()> {
        if !account.owned_by(&pinocchio_token::ID) || account.data_len() != TOKEN_ACCOUNT_BYTES {
            return Err(Error::WrongTokenAccount);
        }
        let data = account.try_borrow().map_err(|_| Error::DuplicateAccount)?;
        if data[..32] != self.config.mint || account.address() == self.vault.address() {
            return Err(Error::WrongTokenAccount);
        }
        if account.is_writable() && self.vault.is_writable() { Ok(()) } else { Err(Error::NotWritable) }
    }

    /// Moves tokens of `owner`, who has signed, into the vault.
    #[inline(never)]
    pub fn deposit(&self, owner: &AccountView, source: &AccountView, amount: u64) -> Result<()> {
        self.check_wallet(source)?;
        Transfer::new(source, self.vault, owner, amount).invoke().map_err(|_| Error::CallFailed)
    }

    /// Moves tokens out of the vault. The caller has taken them out of the state.
    #[inline(never)]
    pub fn pay(&self, destination: &AccountView, amount: u64) -> Result<()> {
        self.check_wallet(destination)?;
        let bump = [self.config.header().bump];
        let seeds = [Seed::from(seed::CONFIG), Seed::from(&bump)];
        Transfer::new(self.vault, destination, self.authority, amount)
            .invoke_signed(&[Signer::from(&seeds)])
            .map_err(|_| Error::CallFailed)
    }

    /// [`Vault::pay`] to a token account of this wallet; nothing to pay needs none.
    #[inline(always)]
    pub fn pay_to(&self, wallet: &[u8; 32], destination: &AccountView, amount: u64) -> Result<()> {
        if amount == 0 {
            return Ok(());
        }
        // `pay` checks that it is a token account of the mint; here, whose.
        let is_theirs =
            destination.try_borrow().is_ok_and(|data| data.get(TOKEN_OWNER).is_some_and(|owner| *owner == wallet[..]));
        if is_theirs { self.pay(destination, amount) } else { Err(Error::WrongTokenAccount) }
    }

    /// Burns tokens of the vault. The caller has taken them out of the state and recorded the burn.
    #[inline(never)]
    pub fn burn(&self, mint: &AccountView, amount: u64) -> Result<()> {
        if *guard::key(mint) != self.config.mint {
            return Err(Error::WrongTokenAccount);
        }
        let bump = [self.config.header().bump];
        let seeds = [Seed::from(seed::CONFIG), Seed::from(&bump)];
        Burn::new(self.vault, mint, self.authority, amount)
            .invoke_signed(&[Signer::from(&seeds)])
            .map_err(|_| Error::CallFailed)
    }
}
