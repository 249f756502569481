use super::*;
use crate::ground::units::TOKEN;
use crate::{ground::offence::Penalties, stake::pool::SlashOutcome};
use sip_proof::HostSha256;

const CHALLENGER: Address = [2; 32];
const SALT: [u8; 32] = [3; 32];
const JOB: Address = [4; 32];

fn claim() -> Claim {
    Claim {
        subject: [1; 32],
        place: 4,
        made_slot: 100,
        first_slot: 100,
        unknown_until: u64::MAX,
        accusable_until: 120,
        is_convicted: false,
        escrow: Escrow::default(),
    }
}

fn accusation() -> Accusation {
    let mut accusation = Accusation::zeroed();
    let committed = hash::<HostSha256>(&[1; 32], 4, &CHALLENGER, &SALT);
    let parameters = &Parameters::DEFAULT;
    let commitment = Commitment { challenger: &CHALLENGER, hash: &committed, job_address: &JOB, parameters, slot: 100 };
    accusation.commit(&commitment, &mut Job::zeroed()).unwrap();
    accusation
}

#[test]
fn an_accusation_is_opened_in_its_time_by_its_challenger_on_its_claim() {
    let (accusation, claim) = (accusation(), claim());
    let reveal = Reveal { claim: &claim, job: &JOB, challenger: &CHALLENGER, salt: &SALT };
    let at = |reveal: &Reveal<'_>, slot| {
        let mut copy = accusation;
        copy.reveal::<HostSha256>(reveal, slot)
    };
    assert_eq!(at(&reveal, 100), Err(Error::AccusationTooFresh));
    assert_eq!(at(&reveal, 101), Ok(Revealed { bond: 100 * TOKEN, committed_slot: 100 }));
    assert!(at(&reveal, 100 + REVEAL_SLOTS).is_ok());
    assert_eq!(at(&reveal, 101 + REVEAL_SLOTS), Err(Error::AccusationExpired));
    let other = [9; 32];
    assert_eq!(at(&Reveal { challenger: &other, ..reveal }, 101), Err(Error::WrongAccusation));
    assert_eq!(at(&Reveal { salt: &other, ..reveal }, 101), Err(Error::WrongAccusation));
    assert_eq!(at(&Reveal { job: &other, ..reveal }, 101), Err(Error::WrongAccusation));
    // Neither another subject nor another place of the same one: an attestation is not the segment, nor another's attestation.
    for claim in [Claim { subject: other, ..claim }, Claim { place: 5, ..claim }, Claim { place: NO_PLACE, ..claim }] {
        assert_eq!(at(&Reveal { claim: &claim, ..reveal }, 101), Err(Error::WrongAccusation));
    }
    let replaced = Claim { made_slot: 101, ..claim };
    assert_eq!(at(&Reveal { claim: &replaced, ..reveal }, 102), Err(Error::AccusationTooOld));
    let won = |slot| Claim { is_convicted: true, escrow: Escrow { bounty: 5, slot, challenger: other }, ..claim };
    assert_eq!(at(&Reveal { claim: &won(100), ..reveal }, 102), Err(Error::ClaimConvicted));
    assert!(at(&Reveal { claim: &won(101), ..reveal }, 102).is_ok());
}

#[test]
fn what_was_never_opened_costs_a_quarter_and_what_came_too_late_nothing() {
    let mut config = Config::zeroed();
    config.parameters = Parameters::DEFAULT;
    let accusation = accusation();
    let mut expired = accusation;
    let mut job = Job::zeroed();
    (job.open_accusations, job.parameters) = (1, Parameters::DEFAULT);
    // What governance has made of the table since is not what the job was created with.
    config.parameters.penalties.expired_accusation_bps = 5_000;
    assert_eq!(expired.expire(&mut config, &mut job, 100 + REVEAL_SLOTS), Err(Error::AccusationRunning));
    assert_eq!(expired.expire(&mut config, &mut job, 101 + REVEAL_SLOTS), Ok(75 * TOKEN));
    assert_eq!(job.open_accusations, 0);
    assert_eq!((config.buckets.insurance, expired.bond), (25 * TOKEN, 0));
    let back = |is_convicted, bounty, slot, made_slot| {
        let escrow = Escrow { bounty, slot, challenger: [7; 32] };
        let claim = Claim { is_convicted, escrow, made_slot, ..claim() };
        let mut copy = accusation;
        let mut job = Job::zeroed();
        job.open_accusations = 1;
        let reveal = Reveal { claim: &claim, job: &JOB, challenger: &CHALLENGER, salt: &SALT };
        copy.withdraw::<HostSha256>(&reveal, &mut Config::zeroed(), &mut job)
    };
    assert_eq!(back(false, 0, 0, 100), Err(Error::AccusationStands));
    assert_eq!(back(true, 5, 101, 100), Err(Error::AccusationStands));
    assert_eq!(back(true, 5, 100, 100), Ok(100 * TOKEN));
    assert_eq!(back(true, 0, 101, 100), Ok(100 * TOKEN));
    assert_eq!(back(false, 0, 0, 101), Ok(100 * TOKEN));
}

#[test]
fn what_accused_nothing_costs_a_quarter_to_take_back_and_what_was_replaced_or_convicted_since_nothing() {
    let bonds = |bond: u64, first_slot, made_slot, unknown_until: u64| {
        let is_convicted = unknown_until != u64::MAX;
        let claim = Claim { first_slot, made_slot, unknown_until, is_convicted, ..claim() };
        let (mut copy, mut job, mut config) = (accusation(), Job::zeroed(), Config::zeroed());
        copy.bond = bond * TOKEN;
        (job.open_accusations, job.parameters) = (1, Parameters::DEFAULT);
        let reveal = Reveal { claim: &claim, job: &JOB, challenger: &CHALLENGER, salt: &SALT };
        let back = copy.withdraw::<HostSha256>(&reveal, &mut config, &mut job).unwrap();
        assert_eq!((back + config.buckets.insurance, job.open_accusations), (bond * TOKEN, 0));
        back / TOKEN
    };
    let back = |first_slot, made_slot, unknown_until| bonds(100, first_slot, made_slot, unknown_until);
    // What was replaced costs a quarter of what a bond was dearer, since others were open.
    assert_eq!((bonds(500, 101, 101, u64::MAX), bonds(500, 100, 105, u64::MAX)), (375, 400));
    assert_eq!(bonds(500, 90, 90, 100), 500);
    // Made, or made first, after the accusation; replaced since; convicted before, of which there was news; and since.
    assert_eq!((back(101, 101, u64::MAX), back(100, 105, u64::MAX)), (75, 100));
    assert_eq!((back(90, 90, 99), back(90, 90, 100)), (75, 100));
    assert_eq!(news(true, 10, 20), 30 + NEWS_SLOTS);
    assert_eq!(news(false, 10, 20), u64::MAX);
}

#[test]
fn each_accusation_that_is_open_in_a_job_raises_the_next_ones_bond_up_to_sixteen() {
    let mut job = Job::zeroed();
    let hash = [9; 32];
    for number in 1..=40u64 {
        let parameters = &Parameters::DEFAULT;
        let commitment = Commitment { challenger: &CHALLENGER, hash: &hash, job_address: &JOB, parameters, slot: 1 };
        let mut accusation = Accusation::zeroed();
        accusation.commit(&commitment, &mut job).unwrap();
        assert_eq!((accusation.bond, job.open_accusations), (number.min(16) * 100 * TOKEN, number));
    }
    job.open_accusations = 0;
    assert_eq!(job.close_accusation(), Err(Error::Underflow));
}

#[test]
fn the_bounty_is_the_earliest_accusers_and_is_held_until_nobody_can_be_earlier() {
    let mut escrow = Escrow::default();
    assert_eq!(escrow.claim(false, u64::MAX), Err(Error::NothingToClaim));
    escrow.award(&[7; 32], 500, 40).unwrap();
    assert!(escrow.is_contestable(499) && !escrow.is_contestable(500));
    escrow.award(&[8; 32], 500, 0).unwrap();
    assert_eq!(escrow.challenger, [7; 32]);
    escrow.award(&[9; 32], 499, 0).unwrap();
    assert_eq!((escrow.challenger, escrow.slot), ([9; 32], 499));
    assert_eq!(escrow.claim(true, u64::MAX), Err(Error::BountyHeld));
    assert_eq!(escrow.claim(false, 499 + REVEAL_SLOTS), Err(Error::BountyHeld));
    assert_eq!(escrow.claim(false, 500 + REVEAL_SLOTS), Ok(([9; 32], 40)));
    assert_eq!(escrow.claim(false, u64::MAX), Err(Error::NothingToClaim));
    assert!(!escrow.is_contestable(0));
}

#[test]
fn what_silence_left_is_nobodys_until_an_accusation_convicts_and_then_its_as_ever() {
    let mut config = Config::zeroed();
    config.parameters = Parameters::DEFAULT;
    let taken = SlashOutcome { from_bond: 80, ..SlashOutcome::default() };
    let mut escrow = Escrow::default();
    assert_eq!(escrow.release(), Err(Error::BountyOwned));
    escrow.share_silence(&mut config, &Penalties::DEFAULT, &taken, 500).unwrap();
    assert_eq!((escrow.bounty, escrow.slot), (40, 500));
    assert_eq!(escrow.claim(false, u64::MAX), Err(Error::BountyHeld));
    // However late it was committed, an accusation takes it; an earlier one takes it over.
    assert!(escrow.is_contestable(499) && escrow.is_contestable(9_000));
    let mut unclaimed = escrow;
    assert_eq!((unclaimed.release(), unclaimed.release()), (Ok(40), Err(Error::BountyOwned)));
    for (challenger, slot, owner) in [([7; 32], 9_000, [7; 32]), ([8; 32], 9_001, [7; 32]), ([9; 32], 400, [9; 32])] {
        escrow.award(&challenger, slot, 0).unwrap();
        assert_eq!((escrow.challenger, escrow.release()), (owner, Err(Error::BountyOwned)));
    }
    assert_eq!(escrow.claim(false, 401 + REVEAL_SLOTS), Ok(([9; 32], 40)));
}
