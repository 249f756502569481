//! Pays for a model's service.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    ground::account::seed,
    instructions::PayFee,
    money::{
        epoch::EmissionAccount,
        fees::{Fees, MAXIMUM_ANCESTORS, Payment},
    },
    stake::pool::{ACTIVE, Pool},
    training::{job::Job, round::Round},
};

use crate::{
    guard::{self, Creation, LoadedMut},
    token::Vault,
};

/// Implements [`PayFee`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: PayFee = guard::args(data)?;
    let [payer, config, emission, mint, source, vault, token_program, _system, job, round, fees, server, models @ ..] =
        accounts
    else {
        return Err(Error::MissingAccount);
    };
    guard::signer(payer)?;
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let slot = guard::slot()?;
    config.require_running(slot)?;
    let mut account = guard::load_mut::<EmissionAccount>(program, emission)?;
    let job = guard::load::<Job>(program, job)?;
    let round = guard::load::<Round>(program, round)?;
    guard::related(round.job == job.address && round.shares_fees(&job))?;
    let mut fees = open_fees(&Creation { program, payer }, fees, &job.address)?;
    let mut payment = Payment {
        config: &mut config,
        emission: &mut account.emission,
        fees: &mut fees,
        mixture_bps: &round.mixture_bps,
        domain_count: round.domain_count,
        patron_domains: round.patron_domains,
        slot,
    };
    let split = payment.take(args.amount)?;
    guard::load_mut::<Pool>(program, server)?.serve(split.server)?;
    pay_models(program, models, &job.address, split.model)?;
    let vault = Vault::new(&config, &config_view, vault, token_program)?;
    vault.deposit(payer, source, args.amount)?;
    vault.burn(mint, split.burned)
}

/// The fees of a job, created if they are missing.
#[inline(always)]
fn open_fees<'a>(creation: &Creation, fees: &'a mut AccountView, job: &[u8; 32]) -> Result<LoadedMut<'a, Fees>> {
    if fees.owned_by(&pinocchio_system::ID) {
        let mut fees = creation.create::<Fees>(fees, &[seed::FEES, job])?;
        fees.job = *job;
        return Ok(fees);
    }
    let fees = guard::load_mut::<Fees>(creation.program, fees)?;
    guard::related(fees.job == *job)?;
    Ok(fees)
}

/// Pays the model that the job trains, and its ancestors edge by edge.
#[inline(never)]
fn pay_models(program: &Address, models: &mut [AccountView], job: &[u8; 32], mut part: u64) -> Result<()> {
    let mut expected = None;
    for depth in 0..=MAXIMUM_ANCESTORS {
        let mut model = guard::load_mut::<Pool>(program, models.get_mut(depth).ok_or(Error::MissingAccount)?)?;
        match expected {
            None => {
                guard::related(model.chain_job == *job)?;
                if model.status != ACTIVE {
                    return Err(Error::PoolRetired);
                }
            }
            Some(address) => guard::related(model.address == address)?,
        }
        part = model.earn_royalty(part, depth == MAXIMUM_ANCESTORS)?;
        if model.parent == [0; 32] {
            break;
        }
        expected = Some(model.parent);
    }
    Ok(())
}
