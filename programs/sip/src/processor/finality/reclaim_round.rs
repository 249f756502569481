//! Closes a round.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    config::Config,
    finality::{closing::Rest, instruction::ReclaimRound},
    job::Job,
    round::Round,
};

use crate::guard;

/// Implements [`ReclaimRound`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let ReclaimRound {} = guard::args(data)?;
    let [config, job, round_view, payer, ..] = accounts else { return Err(Error::MissingAccount) };
    let unbonding_slots = guard::load::<Config>(program, config)?.parameters.unbonding_slots;
    let rest = Rest { unbonding_slots, slot: guard::slot()? };
    let job = guard::load::<Job>(program, job)?;
    {
        let round = guard::load::<Round>(program, round_view)?;
        guard::related(round.job == job.address && round.payer == *guard::key(payer))?;
        round.require_reclaimable(&job, &rest)?;
    }
    guard::close(round_view, payer)
}
