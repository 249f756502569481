//! Takes an accusation back that has nothing left to accuse.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    AccountKind, Error, Result,
    config::Config,
    evaluation::ScoringRun,
    finality::{
        accusation::{Accusation, Auditor, Claim, NO_PLACE, Reveal},
        instruction::WithdrawAccusation,
    },
    job::Job,
    pool::Pool,
    round::Round,
    segment::Segment,
};

use crate::{
    guard::{self, Syscall},
    token::Vault,
};

/// Implements [`WithdrawAccusation`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: WithdrawAccusation = guard::args(data)?;
    let [challenger, config_view, accusation_view, destination, vault, token_program, claim @ ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let config = guard::load::<Config>(program, config_view)?;
    let mut accusation = guard::load_mut::<Accusation>(program, accusation_view)?;
    let claim = load_claim(program, claim, args.place)?;
    let reveal = Reveal { claim: &claim, challenger: guard::key(challenger), salt: &args.salt };
    let amount = accusation.withdraw::<Syscall>(&reveal)?;
    drop(accusation);
    let vault = Vault::new(&config, config_view, vault, token_program)?;
    vault.pay_to(guard::key(challenger), destination, amount)?;
    guard::close(accusation_view, challenger)
}

/// The claim that these accounts are: its subject, and of an auditor's claim job, round and pool.
#[inline(never)]
fn load_claim(program: &Address, accounts: &[AccountView], place: u8) -> Result<Claim> {
    let [subject, auditor @ ..] = accounts else { return Err(Error::MissingAccount) };
    if place == NO_PLACE {
        let kind = guard::kind(subject)?;
        if kind == AccountKind::Job as u8 {
            let job = guard::load::<Job>(program, subject)?;
            return Ok(Claim::of_genesis(&job.address, &job));
        }
        if kind == AccountKind::ScoringRun as u8 {
            let run = guard::load::<ScoringRun>(program, subject)?;
            return Ok(Claim::of_run(&run.address, &run));
        }
        let segment = guard::load::<Segment>(program, subject)?;
        return Ok(Claim::of_segment(&segment.address, &segment));
    }
    let [job, round, pool, ..] = auditor else { return Err(Error::MissingAccount) };
    let job = guard::load::<Job>(program, job)?;
    let round = guard::load::<Round>(program, round)?;
    let pool = guard::load::<Pool>(program, pool)?;
    guard::related(round.job == job.address)?;
    let auditor = Auditor { job: &job, pool_address: &pool.address, pool: &pool, place };
    if guard::kind(subject)? == AccountKind::Round as u8 {
        guard::related(*guard::key(subject) == round.address)?;
        return Claim::of_vote(&round.address, &round, &auditor);
    }
    let segment = guard::load::<Segment>(program, subject)?;
    guard::related(segment.round == round.address)?;
    Claim::of_attestation(&segment.address, &segment, &round, &auditor)
}
