//! What a trainer goes on from in a job with compressed updates.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    ground::account::seed,
    training::{
        job::Job,
        round::Round,
        segment::{Segment, previous_root},
    },
};

use crate::guard;

/// Which segment a trainer goes on from.
pub struct Previous<'a> {
    /// The job's address.
    pub job_address: &'a [u8; 32],
    /// The job.
    pub job: &'a Job,
    /// The round in which the trainer commits.
    pub round: &'a Round,
    /// The trainer's pool.
    pub pool_address: &'a [u8; 32],
}

impl Previous<'_> {
    /// [`previous_root`] of the pool's segment in the round's parent: the first of `accounts`, which must be at that segment's address,
    /// whether there is one or not. Without compressed updates no account is asked for.
    #[inline(never)]
    pub fn root(&self, program: &Address, accounts: &[AccountView]) -> Result<[u8; 32]> {
        let spec = &self.job.spec;
        if !spec.is_compressed() {
            return Ok(previous_root(spec, None));
        }
        let account = accounts.first().ok_or(Error::MissingAccount)?;
        let index = self.round.parent.to_le_bytes();
        let parent = guard::derive(program, &[seed::ROUND, self.job_address, &index])?;
        if account.owned_by(program) {
            // State is at its canonical address only, so that what it says of itself is its address.
            let segment = guard::load::<Segment>(program, account)?;
            guard::related(segment.round == parent && segment.pool == *self.pool_address)?;
            return Ok(previous_root(spec, Some(&segment)));
        }
        let absent = guard::derive(program, &[seed::SEGMENT, &parent, self.pool_address])?;
        if *guard::key(account) != absent {
            return Err(Error::WrongAddress);
        }
        Ok(previous_root(spec, None))
    }
}
