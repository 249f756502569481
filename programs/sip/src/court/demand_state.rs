//! Demands a chunk of a segment's end state.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    court::availability::{Asking, Demand},
    ground::account::seed,
    instructions::DemandState,
    stake::pool::Pool,
    training::{job::Job, round::Round, segment::Segment},
};

use crate::{
    guard::{self, Creation},
    token::Vault,
};

/// Implements [`DemandState`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: DemandState = guard::args(data)?;
    let [demander, config_view, job, round, segment, pool, demand, source, vault, token_program, _system, ..] =
        accounts
    else {
        return Err(Error::MissingAccount);
    };
    guard::signer(demander)?;
    let config = guard::load::<Config>(program, config_view)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address && segment.round == round.address)?;
    guard::related(segment.pool == pool.address)?;
    let subject = segment.address;
    let seeds: [&[u8]; 4] = [seed::DEMAND, &subject, guard::key(demander), bytemuck::bytes_of(&args)];
    let mut demand = Creation { program, payer: demander }.create::<Demand>(demand, &seeds)?;
    let asking = Asking {
        subject: &subject,
        demander: guard::key(demander),
        parameters: &job.parameters,
        entry: args.entry,
        chunk: args.chunk,
        slot: guard::slot()?,
    };
    demand.of_state(&asking, &job, &mut round, &mut segment, &mut pool)?;
    Vault::new(&config, config_view, vault, token_program)?.deposit(demander, source, demand.fee)
}
