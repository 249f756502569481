//! Convicts a segment whose trainer left a demand unanswered.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    court::{Verdict, availability::Demand},
    instructions::FailState,
    stake::pool::Pool,
    training::{job::Job, round::Round, segment::Segment},
};

use crate::{guard, token::Vault};

/// Implements [`FailState`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let FailState {} = guard::args(data)?;
    let [config, job, round, segment, pool, demand, destination, vault, token_program, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    let config_view = *config;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    let mut demand = guard::load_mut::<Demand>(program, demand)?;
    guard::related(demand.subject == segment.address && demand.pool == pool.address)?;
    guard::related(segment.round == round.address && round.job == job.address)?;
    let slot = guard::slot()?;
    let fee = demand.fail_state(&mut Verdict {
        config: &mut config,
        job: &mut job,
        segment: &mut segment,
        pool: &mut pool,
        round: &mut round,
        slot,
    })?;
    Vault::new(&config, &config_view, vault, token_program)?.pay_to(&demand.demander, destination, fee)
}
