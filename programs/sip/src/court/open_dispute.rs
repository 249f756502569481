//! Accuses a segment.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    court::{Case, Dispute, accusation::Claim},
    ground::account::seed,
    instructions::OpenDispute,
    stake::pool::Pool,
    training::{job::Job, round::Round, segment::Segment},
};

use super::{Opening, set_datasets};
use crate::guard::{self, Creation, Syscall};

/// Implements [`OpenDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: OpenDispute = guard::args(data)?;
    let [challenger, job, round, segment, pool, dispute, accusation_view, _system, datasets @ ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address && segment.job == job.address)?;
    guard::related(segment.round == round.address && segment.pool == pool.address)?;
    let segment_address = segment.address;
    let slot = guard::slot()?;
    let opening = Opening { program, job: &job.address, challenger: guard::key(challenger), salt: &args.salt, slot };
    let revealed = opening.reveal(accusation_view, &Claim::of_segment(&segment_address, &segment, &round))?;
    let seeds: [&[u8]; 3] = [seed::DISPUTE, &segment_address, guard::key(challenger)];
    let mut dispute = Creation { program, payer: challenger }.create::<Dispute>(dispute, &seeds)?;
    let case = Case {
        job: &job,
        round: &round,
        segment_address: &segment_address,
        challenger: guard::key(challenger),
        accusation: revealed,
        args: &args,
        slot,
    };
    dispute.open::<Syscall>(&case, &mut segment, &mut pool)?;
    round.open_challenge()?;
    set_datasets(program, &mut dispute, &job, datasets)?;
    guard::close(accusation_view, challenger)
}
