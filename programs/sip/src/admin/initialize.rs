//! Creates the configuration, the mint and the vault.

use pinocchio::{
    AccountView, Address,
    cpi::{Seed, Signer},
};
use pinocchio_token::instructions::{InitializeAccount3, InitializeMint2, MintTo};
use sip_protocol::{
    Error, Result,
    admin::{
        config::Config,
        deployment::{LOADER, upgrade_authority},
    },
    ground::{
        account::seed,
        units::{CAP, DECIMALS},
    },
    instructions::Initialize,
    money::{epoch::EmissionAccount, token::ACCOUNT_BYTES},
};

use crate::{
    guard::{self, Creation},
    token::check_program,
};

/// Bytes of an SPL mint.
const MINT_BYTES: usize = 82;

/// Implements [`Initialize`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: Initialize = guard::args(data)?;
    let [authority, config, mint, vault, emission, program_data, token_program, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(authority)?;
    check_deployer(program, program_data, authority)?;
    let token = check_program(token_program)?;
    let config_view = *config;
    let creation = Creation { program, payer: authority };
    let mut config = creation.create::<Config>(config, &[seed::CONFIG])?;
    creation.allocate(mint, &[seed::MINT], token, MINT_BYTES)?;
    creation.allocate(vault, &[seed::VAULT], token, ACCOUNT_BYTES)?;
    config.genesis(guard::key(authority), &args.parameters)?;
    config.administration.genesis_slot = guard::slot()?;
    let mut account = creation.create::<EmissionAccount>(emission, &[seed::EMISSION])?;
    account.emission.initialise(&args.schedule, guard::slot()?)?;
    config.mint = *guard::key(mint);
    config.vault = *guard::key(vault);
    mint_cap(&Supply { config: &config_view, mint, vault, token, bump: config.header.bump })
}

/// Checks that the signer may upgrade the program: else the first to call would choose the authority and the token program.
#[inline(never)]
fn check_deployer(program: &Address, program_data: &AccountView, authority: &AccountView) -> Result<()> {
    let loader = Address::new_from_array(LOADER);
    if *guard::key(program_data) != guard::derive(&loader, &[program.as_array()])? {
        return Err(Error::WrongAddress);
    }
    if !program_data.owned_by(&loader) {
        return Err(Error::WrongOwner);
    }
    let data = program_data.try_borrow().map_err(|_| Error::DuplicateAccount)?;
    if upgrade_authority(&data) == Some(guard::key(authority)) { Ok(()) } else { Err(Error::NotUpgradeAuthority) }
}

/// What minting needs.
struct Supply<'a> {
    config: &'a AccountView,
    mint: &'a AccountView,
    vault: &'a AccountView,
    token: &'a Address,
    bump: u8,
}

#[inline(never)]
fn mint_cap(supply: &Supply) -> Result<()> {
    let Supply { config, mint, vault, token, bump } = *supply;
    let failed = |_| Error::CallFailed;
    InitializeMint2::new(mint, DECIMALS, config.address(), None).invoke_with_program(token).map_err(failed)?;
    InitializeAccount3::new(vault, mint, config.address()).invoke_with_program(token).map_err(failed)?;
    let bump = [bump];
    let seeds = [Seed::from(seed::CONFIG), Seed::from(&bump)];
    MintTo::new(mint, vault, config, CAP).invoke_signed_with_program(&[Signer::from(&seeds)], token).map_err(failed)
}
