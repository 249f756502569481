//! Counts the scores of a round.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    instructions::Tally,
    money::epoch::{EmissionAccount, RoundWork},
    training::{
        evaluation,
        job::Job,
        round::{self, Round},
    },
};

use crate::guard::{self, Syscall};

/// Implements [`Tally`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let Tally {} = guard::args(data)?;
    let [config, job, round, emission, ..] = accounts else { return Err(Error::MissingAccount) };
    let config = guard::load::<Config>(program, config)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    guard::related(round.job == job.address)?;
    let account = guard::load::<EmissionAccount>(program, emission)?;
    evaluation::tally(&mut round, &mut job, guard::slot()?)?;
    if job.rewarded != 0 && round.status == round::SCORED {
        let work = RoundWork {
            nodes: round.accepted.count_ones() as u64,
            steps_per_node: job.spec.inner_steps as u64,
            most: job.spec.round_reward,
        };
        let quote = account.emission.quote_round(&config, &work)?;
        round.quote(&mut job, quote.reward, quote.worth)?;
    }
    round.record::<Syscall>(&mut job);
    Ok(())
}
