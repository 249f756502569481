//! Accuses a segment.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    account::seed,
    config::Config,
    dispute::{Case, Dispute, instruction::OpenDispute},
    job::Job,
    pool::Pool,
    round::Round,
    segment::Segment,
};

use super::set_datasets;
use crate::{
    guard::{self, Creation},
    token::Vault,
};

/// Implements [`OpenDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let OpenDispute {} = guard::args(data)?;
    let [
        challenger,
        config_view,
        job,
        round,
        segment,
        pool,
        dispute,
        source,
        vault,
        token_program,
        _system,
        datasets @ ..,
    ] = accounts
    else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let config = guard::load::<Config>(program, config_view)?;
    let job = guard::load::<Job>(program, job)?;
    let round = guard::load::<Round>(program, round)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address && segment.job == job.address)?;
    guard::related(segment.round == round.address && segment.pool == pool.address)?;
    let segment_address = segment.address;
    let seeds: [&[u8]; 3] = [seed::DISPUTE, &segment_address, guard::key(challenger)];
    let mut dispute = Creation { program, payer: challenger }.create::<Dispute>(dispute, &seeds)?;
    let case = Case {
        job: &job,
        round: &round,
        segment_address: &segment_address,
        challenger: guard::key(challenger),
        parameters: &config.parameters,
        slot: guard::slot()?,
    };
    dispute.open(&case, &mut segment, &mut pool)?;
    set_datasets(program, &mut dispute, &job, datasets)?;
    Vault::new(&config, config_view, vault, token_program)?.deposit(challenger, source, dispute.bond)
}
