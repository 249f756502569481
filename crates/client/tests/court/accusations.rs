//! Accusations committed before they are made: who earns the bounty, and who cannot.

use crate::accuser::Accuser;
use sip_protocol::{
    Error,
    admin::config::Parameters,
    court::accusation::Accusation,
    ground::{escrow::REVEAL_SLOTS, units::TOKEN},
    stake::pool::Pool,
    training::segment::{CONVICTED, Segment},
};
use sip_testing::{Cast, SLICE, Scene, WALLET_TOKENS};
use solana_address::Address;
use solana_signer::Signer;

const FULL: u64 = WALLET_TOKENS * TOKEN;
const BOND: u64 = Parameters::DEFAULT.dispute_bond;

/// A round whose segments can be challenged for long.
fn scene() -> (Scene, Address) {
    let mut cast = Cast::default();
    cast.spec.challenge_slots = 50_000;
    let mut scene = Scene::with(&cast);
    scene.to_committed();
    let round = scene.round();
    (scene, round)
}

fn state(scene: &Scene, accuser: &Accuser) -> Segment {
    scene.world.state(&accuser.segment(scene))
}

#[test]
fn who_copies_an_open_accusation_earns_nothing() {
    let (mut scene, round) = scene();
    let honest = Accuser::new(&mut scene, "honest", &round, 1);
    let copier = Accuser::new(&mut scene, "copier", &round, 1);
    honest.commit(&mut scene);
    honest.open(&mut scene);
    // Now everyone sees whom it accuses. The liar concedes to the copier at once.
    copier.commit(&mut scene);
    copier.open(&mut scene);
    copier.win(&mut scene);
    let bounty = state(&scene, &copier).escrow.bounty;
    assert_eq!(bounty, SLICE / 2);
    assert_eq!(state(&scene, &copier).escrow.challenger, copier.key.pubkey().to_bytes());
    scene.world.advance(REVEAL_SLOTS);
    let claim = copier.claim_instruction(&scene);
    scene.crank_refused(claim.clone(), Error::BountyHeld);
    honest.outwait(&mut scene);
    scene.crank_refused(claim, Error::WrongTokenAccount);
    let claim = honest.claim_instruction(&scene);
    scene.crank(claim.clone());
    scene.world.advance(1);
    scene.crank_refused(claim, Error::NothingToClaim);
    assert_eq!((honest.tokens(&scene), copier.tokens(&scene)), (FULL + bounty, FULL));
}

#[test]
fn a_friend_to_whom_the_liar_concedes_first_loses_the_bounty_to_whoever_committed_earlier() {
    let (mut scene, round) = scene();
    let [honest, friend, late] = ["honest", "friend", "late"].map(|name| Accuser::new(&mut scene, name, &round, 1));
    honest.commit(&mut scene);
    friend.commit(&mut scene);
    late.commit(&mut scene);
    friend.open(&mut scene);
    let withdraw = honest.withdraw_instruction(&scene);
    scene.world.refused(std::slice::from_ref(&withdraw), &[&honest.key], Error::AccusationStands);
    friend.win(&mut scene);
    assert_eq!(state(&scene, &honest).status, CONVICTED);
    // One who came after the friend has nothing left to accuse, and loses nothing.
    late.open_refused(&mut scene, Error::ClaimConvicted);
    let back = late.withdraw_instruction(&scene);
    scene.world.send(&[back], &[&late.key]);
    assert_eq!(late.tokens(&scene), FULL);
    // One who was before it plays on for the bounty.
    scene.world.refused(&[withdraw], &[&honest.key], Error::AccusationStands);
    honest.open(&mut scene);
    scene.crank_refused(friend.claim_instruction(&scene), Error::BountyHeld);
    honest.outwait(&mut scene);
    scene.crank(honest.claim_instruction(&scene));
    assert_eq!((honest.tokens(&scene), friend.tokens(&scene)), (FULL + SLICE / 2, FULL));
    assert_eq!(scene.pool_state(&scene.trainers[1].seat.pool).segments_convicted, 1);
}

#[test]
fn an_acquittal_or_a_loss_of_the_earliest_leaves_the_bounty_to_the_next() {
    let (mut scene, round) = scene();
    let [first, second] = ["first", "second"].map(|name| Accuser::new(&mut scene, name, &round, 1));
    first.commit(&mut scene);
    second.commit(&mut scene);
    second.open(&mut scene);
    second.win(&mut scene);
    // The first never opens: its time passes, and the bounty is free.
    scene.crank_refused(second.claim_instruction(&scene), Error::BountyHeld);
    scene.world.advance(REVEAL_SLOTS + 1);
    first.open_refused(&mut scene, Error::AccusationExpired);
    scene.crank(second.claim_instruction(&scene));
    assert_eq!(second.tokens(&scene), FULL + SLICE / 2);
    let insured = scene.world.config().buckets.insurance;
    let (rent, before) = (lamports(&scene, &accusation(&scene, &first)), lamports(&scene, &first.key.pubkey()));
    scene.crank(first.expire_instruction(&scene));
    assert_eq!(first.tokens(&scene), FULL - BOND / 4);
    assert_eq!(scene.world.config().buckets.insurance, insured + BOND / 4);
    assert_eq!(lamports(&scene, &first.key.pubkey()), before + rent);
}

fn accusation(scene: &Scene, accuser: &Accuser) -> Address {
    accuser.commit_instruction(scene).accounts[3].pubkey
}

fn lamports(scene: &Scene, address: &Address) -> u64 {
    scene.world.ledger.account(address).map_or(0, |account| account.lamports)
}

#[test]
fn convicting_oneself_through_a_friend_loses_money() {
    let (mut scene, round) = scene();
    let pool = scene.trainers[1].seat.pool;
    let program = scene.world.program;
    let patron = scene.patrons[0].insecure_clone();
    scene.world.send(&[program.deposit(&patron.pubkey(), &pool, 50_000 * TOKEN, 0)], &[&patron]);
    let operator = scene.trainers[1].seat.operator;
    let wealth = |scene: &Scene, friend: &Accuser| {
        let pool: Pool = scene.world.state(&pool);
        scene.world.tokens(&operator) + pool.self_bond + pool.commission_owed + friend.tokens(scene)
    };
    let friend = Accuser::new(&mut scene, "friend", &round, 1);
    let before = wealth(&scene, &friend);
    let own_bond = SLICE;
    // The earliest accusation there is, and nobody else's.
    friend.commit(&mut scene);
    friend.open(&mut scene);
    friend.win(&mut scene);
    scene.world.advance(REVEAL_SLOTS);
    scene.crank(friend.claim_instruction(&scene));
    let lost = before - wealth(&scene, &friend);
    assert!(lost >= own_bond / 2, "lost {lost} of a bond of {own_bond}");
    // Delegators' money pays no accuser.
    let parameters = scene.world.config().parameters;
    assert!(friend.tokens(&scene) - FULL <= parameters.penalties.bounty_cap.min(own_bond / 2));
}

#[test]
fn an_accusation_tells_nobody_whom_it_accuses_and_is_opened_in_its_time() {
    let (mut scene, round) = scene();
    let accuser = Accuser::new(&mut scene, "accuser", &round, 1);
    let commit = accuser.commit_instruction(&scene);
    let named: Vec<Address> = commit.accounts.iter().map(|account| account.pubkey).collect();
    for secret in [round, accuser.segment(&scene), scene.trainers[1].seat.pool] {
        assert!(!named.contains(&secret) && !commit.data.windows(32).any(|bytes| bytes == secret.as_ref()));
    }
    scene.world.send(std::slice::from_ref(&commit), &[&accuser.key]);
    assert_eq!(scene.world.state::<Accusation>(&named[3]).bond, BOND);
    assert_eq!(accuser.tokens(&scene), FULL - BOND);
    scene.world.refused(&[commit], &[&accuser.key], Error::AlreadyInitialised);
    accuser.open_refused(&mut scene, Error::AccusationTooFresh);
    scene.crank_refused(accuser.expire_instruction(&scene), Error::AccusationRunning);
    scene.world.advance(1);
    // Another's accusation, or another's segment, is none.
    let mut elsewhere = accuser.open_instruction(&scene);
    elsewhere.data[1] ^= 1;
    scene.world.refused(&[elsewhere], &[&accuser.key], Error::WrongAccusation);
    let other = Accuser::new(&mut scene, "other", &round, 0);
    let mut elsewhere = other.open_instruction(&scene);
    elsewhere.accounts[6].pubkey = named[3];
    scene.world.refused(&[elsewhere], &[&other.key], Error::WrongAccusation);
    accuser.open(&mut scene);
    assert!(scene.world.ledger.account(&named[3]).is_none_or(|account| account.data.is_empty()));
}

#[test]
fn an_accusation_from_before_the_segment_stands_for_nothing() {
    let mut scene = Scene::new();
    scene.open_round();
    let round = scene.round();
    let accuser = Accuser::new(&mut scene, "prophet", &round, 1);
    accuser.commit(&mut scene);
    for trainer in 0..3 {
        scene.commit(trainer);
    }
    scene.close_commits();
    accuser.open_refused(&mut scene, Error::AccusationTooOld);
    let withdraw = accuser.withdraw_instruction(&scene);
    scene.world.send(&[withdraw], &[&accuser.key]);
    assert_eq!(accuser.tokens(&scene), FULL - BOND / 4);
}
