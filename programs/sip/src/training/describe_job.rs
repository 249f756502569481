//! Says where what a job computes with is found.

use pinocchio::{AccountView, Address};
use sip_protocol::{Error, Result, instructions::DescribeJob, training::job::Job};

use crate::guard;

/// Implements [`DescribeJob`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: DescribeJob = guard::args(data)?;
    let [creator, job, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(creator)?;
    let mut job = guard::load_mut::<Job>(program, job)?;
    job.describe(guard::key(creator), &args.card)
}
