//! Genesis, parameters, distribution.

use sip_protocol::ground::clock::longest_dispute_slots;
use sip_protocol::{
    Error,
    admin::config::Parameters,
    ground::{
        offence::Penalties,
        units::{CAP, TOKEN},
    },
};
use sip_testing::World;
use solana_signer::Signer;

#[test]
fn genesis_mints_the_cap_once_and_splits_it() {
    let world = World::new();
    let buckets = world.config().buckets;
    let distributed = world.tokens(&world.authority.pubkey());
    assert_eq!(buckets.staking_rewards, CAP / 5);
    assert_eq!(buckets.operator_rewards, CAP / 10 * 3);
    assert_eq!(buckets.public + distributed, CAP / 5);
    assert_eq!(buckets.team, CAP / 20 * 3);
    assert_eq!(buckets.treasury, CAP / 10);
    assert_eq!(buckets.reserve, CAP / 20);
    assert_eq!(buckets.insurance, 0);
    let mint = world.ledger.account(&world.program.mint()).unwrap();
    assert_eq!(mint.data[..4], 1u32.to_le_bytes(), "there is a mint authority");
    assert_eq!(mint.data[4..36], world.program.config().to_bytes(), "it is the configuration");
    assert_eq!(mint.data[44], 9, "decimals");
    assert_eq!(mint.data[46..50], 0u32.to_le_bytes(), "there is no freeze authority");
}

#[test]
fn parameters_stay_within_their_hard_bounds() {
    let mut world = World::new();
    let authority = world.authority.insecure_clone();
    let program = world.program;
    let good = Parameters::DEFAULT;
    let punishing = |change: fn(&mut Penalties)| {
        let mut penalties = good.penalties;
        change(&mut penalties);
        Parameters { penalties, ..good }
    };
    let bad = [
        (Parameters { round_reward: CAP, ..good }, Error::ParameterOutOfBounds),
        (Parameters { dispute_bond: 0, ..good }, Error::ParameterOutOfBounds),
        (Parameters { dispute_bond: CAP, ..good }, Error::ParameterOutOfBounds),
        (Parameters { minimum_self_bond: 0, ..good }, Error::ParameterOutOfBounds),
        (Parameters { minimum_self_bond: CAP, ..good }, Error::ParameterOutOfBounds),
        (Parameters { clock_slots: 9, ..good }, Error::ParameterOutOfBounds),
        (Parameters { clock_slots: u64::MAX, ..good }, Error::ParameterOutOfBounds),
        (Parameters { unbonding_slots: u64::MAX, ..good }, Error::ParameterOutOfBounds),
        (Parameters { score_tolerance: 0, ..good }, Error::ParameterOutOfBounds),
        (Parameters { score_tolerance: 1_000_001, ..good }, Error::ParameterOutOfBounds),
        (Parameters { maximum_commission_bps: 5_001, ..good }, Error::ParameterOutOfBounds),
        (
            punishing(|table| table.misattested_segment = Parameters::DEFAULT.minimum_self_bond + 1),
            Error::ParameterOutOfBounds,
        ),
        (punishing(|table| table.bounty_bps = 5_001), Error::ParameterOutOfBounds),
        (punishing(|table| table.convicted_vote.bond_bps = 4_999), Error::ParameterOutOfBounds),
        (punishing(|table| table.convicted_vote.delegated_bps = 5_001), Error::ParameterOutOfBounds),
        (punishing(|table| table.reserved = 1), Error::ParameterOutOfBounds),
        (Parameters { genesis_bond: TOKEN - 1, ..good }, Error::ParameterOutOfBounds),
        (Parameters { genesis_bond: CAP, ..good }, Error::ParameterOutOfBounds),
        (Parameters { trainers_bps: good.trainers_bps + 1, ..good }, Error::SplitNotWhole),
        (Parameters { unbonding_slots: 2 * longest_dispute_slots(good.clock_slots), ..good }, Error::UnbondingTooShort),
    ];
    for (parameters, expected) in bad {
        let set = program.propose_parameters(&authority.pubkey(), &parameters);
        world.refused(&[set], &[&authority], expected);
        let mut fresh = World::uninitialised();
        let initialize = program.initialize(&authority.pubkey(), &parameters);
        fresh.refused(&[initialize], &[&authority], expected);
    }
    let changed = Parameters { round_reward: TOKEN, ..good };
    world.send(&[program.propose_parameters(&authority.pubkey(), &changed)], &[&authority]);
    assert_eq!(world.config().parameters, good);
}

#[test]
fn only_the_authority_proposes_and_distributes() {
    let mut world = World::new();
    let stranger = world.wallet("stranger");
    let program = world.program;
    let set = program.propose_parameters(&stranger.pubkey(), &Parameters::DEFAULT);
    world.refused(&[set], &[&stranger], Error::NotAuthority);
    let distribute = program.distribute(&stranger.pubkey(), &stranger.pubkey(), 1);
    world.refused(&[distribute], &[&stranger], Error::NotAuthority);
}

#[test]
fn no_more_than_the_public_bucket_is_distributed() {
    let mut world = World::new();
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let program = world.program;
    let public = world.config().buckets.public;
    world.refused(&[program.distribute(&key, &key, 0)], &[&authority], Error::ZeroAmount);
    world.refused(&[program.distribute(&key, &key, public + 1)], &[&authority], Error::BucketEmpty);
    world.send(&[program.distribute(&key, &key, public)], &[&authority]);
    assert_eq!(world.config().buckets.public, 0);
    world.refused(&[program.distribute(&key, &key, 1)], &[&authority], Error::BucketEmpty);
}
