//! Accuses an auditor's vote for the next base.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    court::{
        Accuser, Dispute, VoteCase,
        accusation::{Auditor, Claim},
    },
    ground::account::seed,
    instructions::OpenVoteDispute,
    stake::pool::Pool,
    training::{
        job::{Job, MAX_TRAINERS, bit},
        round::Round,
        segment::Segment,
    },
};

use super::Opening;
use crate::guard::{self, Creation, Syscall};

/// Implements [`OpenVoteDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: OpenVoteDispute = guard::args(data)?;
    let [challenger, job, round, pool, dispute, accusation, _system, segments @ ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address)?;
    let (round_address, pool_address) = (round.address, pool.address);
    let place = u8::try_from(args.place).map_err(|_| Error::WrongPlace)?;
    let slot = guard::slot()?;
    let auditor = Auditor { job: &job, pool_address: &pool_address, pool: &pool, place };
    let claim = Claim::of_vote(&round_address, &round, &auditor)?;
    let opening = Opening { program, job: &job.address, challenger: guard::key(challenger), salt: &args.salt, slot };
    let revealed = opening.reveal(accusation, &claim)?;
    let seeds: [&[u8]; 4] = [seed::DISPUTE, &round_address, guard::key(challenger), &[place]];
    let mut dispute = Creation { program, payer: challenger }.create::<Dispute>(dispute, &seeds)?;
    let accuser = Accuser { wallet: guard::key(challenger), accusation: revealed, slot };
    let case = VoteCase { accuser, job: &job, round_address: &round_address, pool_address: &pool_address, args: &args };
    dispute.open_vote::<Syscall>(&case, &mut round, &mut pool)?;
    let mut segments = segments.iter();
    for place in (0..MAX_TRAINERS as u8).filter(|place| round.accepted & bit(*place) != 0) {
        let segment = guard::load::<Segment>(program, segments.next().ok_or(Error::MissingAccount)?)?;
        dispute.set_base(&job, &round, &segment, place)?;
    }
    guard::close(accusation, challenger)
}
