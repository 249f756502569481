//! Accuses a scoring run.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    court::{Accuser, Dispute, RunCase, accusation::Claim},
    ground::account::seed,
    instructions::OpenRunDispute,
    stake::pool::Pool,
    training::{evaluation::ScoringRun, job::Job, round::Round},
};

use super::{Opening, set_datasets};
use crate::guard::{self, Creation};

/// Implements [`OpenRunDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: OpenRunDispute = guard::args(data)?;
    let [challenger, job, round, run, pool, dispute, accusation_view, _system, datasets @ ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut run = guard::load_mut::<ScoringRun>(program, run)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address && run.job == job.address)?;
    guard::related(run.round == round.address && run.pool == pool.address)?;
    let run_address = run.address;
    let slot = guard::slot()?;
    let opening = Opening { program, job: &job.address, challenger: guard::key(challenger), salt: &args.salt, slot };
    let revealed = opening.reveal(accusation_view, &Claim::of_run(&run_address, &run, &round))?;
    let seeds: [&[u8]; 3] = [seed::DISPUTE, &run_address, guard::key(challenger)];
    let mut dispute = Creation { program, payer: challenger }.create::<Dispute>(dispute, &seeds)?;
    let accuser = Accuser { wallet: guard::key(challenger), accusation: revealed, slot };
    let case = RunCase { accuser, job: &job, run_address: &run_address };
    dispute.open_run(&case, &mut round, &mut run, &mut pool)?;
    set_datasets(program, &mut dispute, &job, datasets)?;
    guard::close(accusation_view, challenger)
}
