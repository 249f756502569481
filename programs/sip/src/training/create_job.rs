//! Creates a job.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    ground::account::seed,
    instructions::CreateJob,
    training::{
        data::Dataset,
        job::{Job, MAX_DOMAINS},
    },
};

use crate::{
    guard::{self, Creation},
    token::Vault,
};

/// Implements [`CreateJob`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: CreateJob = guard::args(data)?;
    if args.reserved != 0 {
        return Err(Error::WrongArguments);
    }
    let [creator, config_view, job, source, vault, token_program, _system, datasets @ ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(creator)?;
    let config = guard::load::<Config>(program, config_view)?;
    let slot = guard::slot()?;
    config.require_running(slot)?;
    let seeds: [&[u8]; 3] = [seed::JOB, guard::key(creator), &args.nonce.to_le_bytes()];
    let mut job = Creation { program, payer: creator }.create::<Job>(job, &seeds)?;
    let is_rewarded = config.authority == *guard::key(creator);
    job.initialise(guard::key(creator), args.nonce, &args.spec, is_rewarded, &config.parameters, slot)?;
    let mut texts = [[0; 32]; MAX_DOMAINS];
    for domain in 0..args.spec.domain_count as usize {
        let dataset = guard::load::<Dataset>(program, datasets.get(domain).ok_or(Error::MissingAccount)?)?;
        dataset.require_offered()?;
        job.set_dataset(domain, &dataset.address, &dataset, &mut texts)?;
    }
    Vault::new(&config, config_view, vault, token_program)?.deposit(creator, source, job.genesis_bond)
}
