//! Accuses an attestation.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    court::{
        Accuser, AttestationCase, Dispute,
        accusation::{Auditor, Claim},
    },
    ground::account::seed,
    instructions::OpenAttestationDispute,
    stake::pool::Pool,
    training::{job::Job, round::Round, segment::Segment},
};

use super::{Opening, set_datasets};
use crate::guard::{self, Creation, Syscall};

/// Implements [`OpenAttestationDispute`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: OpenAttestationDispute = guard::args(data)?;
    let [challenger, job, round, segment, pool, dispute, accusation, _system, datasets @ ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(challenger)?;
    let job = guard::load::<Job>(program, job)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let segment = guard::load::<Segment>(program, segment)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(round.job == job.address && segment.round == round.address)?;
    let place = u8::try_from(args.place).map_err(|_| Error::WrongPlace)?;
    let pool_address = pool.address;
    let slot = guard::slot()?;
    let auditor = Auditor { job: &job, pool_address: &pool_address, pool: &pool, place };
    let claim = Claim::of_attestation(&segment.address, &segment, &round, &auditor)?;
    let opening = Opening { program, job: &job.address, challenger: guard::key(challenger), salt: &args.salt, slot };
    let revealed = opening.reveal(accusation, &claim)?;
    let seeds: [&[u8]; 4] = [seed::DISPUTE, &segment.address, guard::key(challenger), &[place]];
    let mut dispute = Creation { program, payer: challenger }.create::<Dispute>(dispute, &seeds)?;
    let case = AttestationCase {
        accuser: Accuser { wallet: guard::key(challenger), accusation: revealed, slot },
        job: &job,
        round: &round,
        segment: &segment,
        segment_address: &segment.address,
        pool_address: &pool_address,
        place,
    };
    dispute.open_attestation::<Syscall>(&case, &mut pool)?;
    round.open_attestation_dispute()?;
    set_datasets(program, &mut dispute, &job, datasets)?;
    guard::close(accusation, challenger)
}
