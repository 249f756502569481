//! Tokens: the one vault, in and out, and the mints of liquid shares.
//!
//! What belongs to whom is state, never a balance. Balances are read for one purpose: a transfer is believed only if the vault's balance
//! changed by exactly the amount. The token lives under the SPL token program or under Token-2022, as its genesis named it.

use pinocchio::{
    AccountView, Address,
    cpi::{Seed, Signer},
};
use pinocchio_token::instructions::{Burn, InitializeMint2, MintTo, Transfer};
use sip_protocol::{
    Account, Error, Result,
    admin::config::Config,
    ground::{account::seed, units::DECIMALS},
    money::token::check_account,
};

use crate::guard::{self, Creation};

/// Token-2022, under which the genesis may put the token as well as under the SPL token program.
pub const TOKEN_2022: Address = Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
/// Bytes of an SPL mint.
const MINT_BYTES: usize = 82;
/// Where the owner stands in an SPL token account.
const TOKEN_OWNER: core::ops::Range<usize> = 32..64;
/// Where the amount stands in it.
const AMOUNT: core::ops::Range<usize> = 64..72;

/// Checks that an account is one of the two token programs, and returns its address.
#[inline(always)]
pub fn check_program(account: &AccountView) -> Result<&Address> {
    let address = account.address();
    if address == &pinocchio_token::ID || address == &TOKEN_2022 { Ok(address) } else { Err(Error::WrongProgram) }
}

/// The vault with what a call into the token program needs.
pub struct Vault<'a> {
    config: &'a Config,
    authority: &'a AccountView,
    vault: &'a AccountView,
    program: &'a Address,
}

impl<'a> Vault<'a> {
    /// Checks the token program and the vault. `authority` is the configuration's account.
    #[inline(always)]
    pub fn new(
        config: &'a Config,
        authority: &'a AccountView,
        vault: &'a AccountView,
        token_program: &'a AccountView,
    ) -> Result<Self> {
        let program = check_program(token_program)?;
        if *guard::key(vault) != config.vault {
            return Err(Error::WrongTokenAccount);
        }
        // The other token program has no power over it.
        if !vault.owned_by(program) {
            return Err(Error::WrongProgram);
        }
        Ok(Vault { config, authority, vault, program })
    }

    /// Checks that an account is a token account of the protocol's mint other than the vault.
    #[inline(always)]
    fn check_wallet(&self, account: &AccountView) -> Result<()> {
        if !account.owned_by(self.program) {
            return Err(Error::WrongTokenAccount);
        }
        let data = account.try_borrow().map_err(|_| Error::DuplicateAccount)?;
        check_account(&data)?;
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
        let transfer = Transfer::new(source, self.vault, owner, amount);
        transfer.invoke_with_program(self.program).map_err(|_| Error::CallFailed)?;
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
        let before = self.balance()?;
        Transfer::new(self.vault, destination, self.authority, amount)
            .invoke_signed_with_program(&[Signer::from(&seeds)], self.program)
            .map_err(|_| Error::CallFailed)?;
        if before.checked_sub(self.balance()?) == Some(amount) { Ok(()) } else { Err(Error::WrongTransfer) }
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
            .invoke_signed_with_program(&[Signer::from(&seeds)], self.program)
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
        let program = check_program(self.token_program)?;
        creation.allocate(mint, &[seed::LIQUID, self.pool], program, MINT_BYTES)?;
        InitializeMint2::new(mint, DECIMALS, self.authority.address(), None)
            .invoke_with_program(program)
            .map_err(|_| Error::CallFailed)
    }

    /// Checks the token program and that this is the pool's mint: the protocol's own mint has the same authority.
    #[inline(never)]
    pub fn check(&self, program: &Address, mint: &AccountView) -> Result<()> {
        check_program(self.token_program)?;
        let (address, _) =
            Address::try_find_program_address(&[seed::LIQUID, self.pool], program).ok_or(Error::WrongAddress)?;
        if *mint.address() == address { Ok(()) } else { Err(Error::WrongAddress) }
    }

    /// Mints shares. The caller has taken them out of a position and checked the mint.
    #[inline(never)]
    pub fn mint(&self, mint: &AccountView, destination: &AccountView, shares: u64) -> Result<()> {
        let bump = [self.config.header().bump];
        let seeds = [Seed::from(seed::CONFIG), Seed::from(&bump)];
        MintTo::new(mint, destination, self.authority, shares)
            .invoke_signed_with_program(&[Signer::from(&seeds)], self.token_program.address())
            .map_err(|_| Error::CallFailed)
    }

    /// Burns shares of `owner`, who has signed. The caller has put them into a position and checked the mint.
    #[inline(never)]
    pub fn burn(&self, mint: &AccountView, source: &AccountView, owner: &AccountView, shares: u64) -> Result<()> {
        Burn::new(source, mint, owner, shares)
            .invoke_with_program(self.token_program.address())
            .map_err(|_| Error::CallFailed)
    }
}
