//! Takes an accusation back that has nothing left to accuse.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    AccountKind, Error, Result,
    admin::config::Config,
    court::accusation::{Accusation, Auditor, Claim, NO_PLACE, Reveal},
    instructions::WithdrawAccusation,
    stake::pool::Pool,
    training::{evaluation::ScoringRun, job::Job, round::Round, segment::Segment},
};

use crate::{
    guard::{self, LoadedMut, Syscall},
    token::Vault,
};

/// Implements [`WithdrawAccusation`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: WithdrawAccusation = guard::args(data)?;
    let [challenger, config_view, job, accusation_view, destination, vault, token_program, claim @ ..] = accounts
    else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let read = *config_view;
    let mut config = guard::load_mut::<Config>(program, config_view)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut accusation = guard::load_mut::<Accusation>(program, accusation_view)?;
    let named = Named { program, job: &job, accounts: claim, place: args.place };
    let claim = named.claim()?;
    let job_address = job.address;
    let reveal = Reveal { claim: &claim, job: &job_address, challenger: guard::key(challenger), salt: &args.salt };
    let amount = accusation.withdraw::<Syscall>(&reveal, &mut config, &mut job)?;
    drop(accusation);
    let vault = Vault::new(&config, &read, vault, token_program)?;
    vault.pay_to(guard::key(challenger), destination, amount)?;
    guard::close(accusation_view, challenger)
}

/// A claim of a job by its accounts: its subject and round, of an auditor's claim its pool; none of a genesis state.
struct Named<'a> {
    program: &'a Address,
    job: &'a LoadedMut<'a, Job>,
    accounts: &'a [AccountView],
    place: u8,
}

impl Named<'_> {
    #[inline(never)]
    fn claim(&self) -> Result<Claim> {
        let Named { program, job, accounts, place } = *self;
        let [subject, round, pool @ ..] = accounts else {
            return if place == NO_PLACE && accounts.is_empty() {
                Ok(Claim::of_genesis(&job.address, job))
            } else {
                Err(Error::MissingAccount)
            };
        };
        let round = guard::load::<Round>(program, round)?;
        guard::related(round.job == job.address)?;
        let kind = guard::kind(subject)?;
        if place != NO_PLACE {
            let [pool, ..] = pool else { return Err(Error::MissingAccount) };
            let pool = guard::load::<Pool>(program, pool)?;
            let auditor = Auditor { job, pool_address: &pool.address, pool: &pool, place };
            if kind == AccountKind::Round as u8 {
                guard::related(*guard::key(subject) == round.address)?;
                return Claim::of_vote(&round.address, &round, &auditor);
            }
            let segment = guard::load::<Segment>(program, subject)?;
            guard::related(segment.round == round.address)?;
            return Claim::of_attestation(&segment.address, &segment, &round, &auditor);
        }
        if kind == AccountKind::ScoringRun as u8 {
            let run = guard::load::<ScoringRun>(program, subject)?;
            guard::related(run.round == round.address)?;
            return Ok(Claim::of_run(&run.address, &run, &round));
        }
        let segment = guard::load::<Segment>(program, subject)?;
        guard::related(segment.round == round.address)?;
        Ok(Claim::of_segment(&segment.address, &segment, &round))
    }
}
