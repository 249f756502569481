//! Tokens: the one vault, in and out, and the mints of liquid shares.
//!
//! What belongs to whom is state, never a balance. Balances are read for one purpose: a transfer into the vault is believed only if the
//! vault's balance grew by exactly the amount.

use pinocchio::{
    AccountView, Address,
    cpi::{Seed, Signer},
};
use pinocchio_token::instructions::{Burn, InitializeMint2, MintTo, Transfer};
use sip_protocol::{
    Account, Error, Result,
    account::seed,
    config::{Config, DECIMALS},
};

use crate::guard::{self, Creation};

/// Bytes of an SPL mint.
const MINT_BYTES: usize = 82;
/// Where the amount stands in an SPL token account.
const AMOUNT: core::ops::Range<usize> = 64..72;

/// Bytes of an SPL token account.
const TOKEN_ACCOUNT_BYTES: usize = 165;

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
        let before = self.balance()?;
        Transfer::new(source, self.vault, owner, amount).invoke().map_err(|_| Error::CallFailed)?;
        if self.balance()?.checked_sub(before) == Some(amount) { Ok(()) } else { Err(Error::WrongTransfer) }
    }

    /// Tokens in the vault.
    #[inline(always)]
    fn balance(&self) -> Result<u64> {
        let data = self.vault.try_borrow().map_err(|_| Error::DuplicateAccount)?;
        let bytes = data.get(AMOUNT).and_then(|bytes| bytes.try_into().ok()).ok_or(Error::WrongTokenAccount)?;
        Ok(u64::from_le_bytes(bytes))
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

/// The mint of a pool's liquid shares, at its canonical address, with what a call into the token program needs.
pub struct ShareMint<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The configuration's account, which mints.
    pub authority: &'a AccountView,
    /// The pool's address.
    pub pool: &'a [u8; 32],
    /// The token program.
    pub token_program: &'a AccountView,
}

impl ShareMint<'_> {
    /// Creates the mint, without a freeze authority.
    #[inline(never)]
    pub fn open(&self, creation: &Creation, mint: &mut AccountView) -> Result<()> {
        creation.allocate(mint, &[seed::LIQUID, self.pool], &pinocchio_token::ID, MINT_BYTES)?;
        self.check_program()?;
        InitializeMint2::new(mint, DECIMALS, self.authority.address(), None).invoke().map_err(|_| Error::CallFailed)
    }

    /// Checks the token program and that this is the pool's mint: the protocol's own mint has the same authority.
    #[inline(never)]
    pub fn check(&self, program: &Address, mint: &AccountView) -> Result<()> {
        self.check_program()?;
        let (address, _) =
            Address::try_find_program_address(&[seed::LIQUID, self.pool], program).ok_or(Error::WrongAddress)?;
        if *mint.address() == address { Ok(()) } else { Err(Error::WrongAddress) }
    }

    fn check_program(&self) -> Result<()> {
        if self.token_program.address() == &pinocchio_token::ID { Ok(()) } else { Err(Error::WrongProgram) }
    }

    /// Mints shares. The caller has taken them out of a position and checked the mint.
    #[inline(never)]
    pub fn mint(&self, mint: &AccountView, destination: &AccountView, shares: u64) -> Result<()> {
        let bump = [self.config.header().bump];
        let seeds = [Seed::from(seed::CONFIG), Seed::from(&bump)];
        MintTo::new(mint, destination, self.authority, shares)
            .invoke_signed(&[Signer::from(&seeds)])
            .map_err(|_| Error::CallFailed)
    }

    /// Burns shares of `owner`, who has signed. The caller has put them into a position and checked the mint.
    #[inline(never)]
    pub fn burn(&self, mint: &AccountView, source: &AccountView, owner: &AccountView, shares: u64) -> Result<()> {
        Burn::new(source, mint, owner, shares).invoke().map_err(|_| Error::CallFailed)
    }
}
