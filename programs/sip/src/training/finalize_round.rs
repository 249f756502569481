//! Makes a round final.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::FinalizeRound,
    money::epoch::{EmissionAccount, RoundWork},
    training::{job::Job, round::Round},
};

use crate::guard;

/// Implements [`FinalizeRound`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let FinalizeRound {} = guard::args(data)?;
    let [job, round, config, emission, ..] = accounts else { return Err(Error::MissingAccount) };
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    guard::related(round.job == job.address)?;
    round.finalise(&mut job, guard::slot()?)?;
    if job.rewarded == 0 {
        return Ok(());
    }
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut account = guard::load_mut::<EmissionAccount>(program, emission)?;
    let work = RoundWork {
        nodes: round.accepted.count_ones() as u64,
        steps_per_node: job.spec.inner_steps as u64,
        most: round.reward,
    };
    round.drawn = account.emission.reward_round(&mut config, &work)?;
    Ok(())
}
