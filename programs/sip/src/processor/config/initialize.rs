//! Creates the configuration, the mint and the vault.

use pinocchio::{
    AccountView, Address,
    cpi::{Seed, Signer},
};
use pinocchio_token::instructions::{InitializeAccount3, InitializeMint2, MintTo};
use sip_protocol::{
    Error, Result,
    account::seed,
    config::{CAP, Config, DECIMALS},
    epoch::EmissionAccount,
    instruction::Initialize,
};

use crate::guard::{self, Creation};

/// Bytes of an SPL mint.
const MINT_BYTES: usize = 82;
/// Bytes of an SPL token account.
const TOKEN_ACCOUNT_BYTES: usize = 165;

/// Implements [`Initialize`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: Initialize = guard::args(data)?;
    let [authority, config, mint, vault, token_program, _system, emission, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(authority)?;
    if token_program.address() != &pinocchio_token::ID {
        return Err(Error::WrongProgram);
    }
    let config_view = *config;
    let creation = Creation { program, payer: authority };
    let mut config = creation.create::<Config>(config, &[seed::CONFIG])?;
    creation.allocate(mint, &[seed::MINT], &pinocchio_token::ID, MINT_BYTES)?;
    creation.allocate(vault, &[seed::VAULT], &pinocchio_token::ID, TOKEN_ACCOUNT_BYTES)?;
    config.genesis(guard::key(authority), &args.parameters)?;
    config.administration.genesis_slot = guard::slot()?;
    let mut account = creation.create::<EmissionAccount>(emission, &[seed::EMISSION])?;
    account.emission.initialise(&args.schedule, guard::slot()?)?;
    config.mint = *guard::key(mint);
    config.vault = *guard::key(vault);
    mint_cap(&config_view, mint, vault, config.header.bump)
}

#[inline(never)]
fn mint_cap(config: &AccountView, mint: &AccountView, vault: &AccountView, bump: u8) -> Result<()> {
    let failed = |_| Error::CallFailed;
    InitializeMint2::new(mint, DECIMALS, config.address(), None).invoke().map_err(failed)?;
    InitializeAccount3::new(vault, mint, config.address()).invoke().map_err(failed)?;
    let bump = [bump];
    let seeds = [Seed::from(seed::CONFIG), Seed::from(&bump)];
    MintTo::new(mint, vault, config, CAP).invoke_signed(&[Signer::from(&seeds)]).map_err(failed)
}
