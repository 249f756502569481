//! Who is paid for work, where people come, go, move or add bond between the work and its pay.

use super::*;
use crate::{
    Error,
    stake::{
        pool::{NOBODY_LEFT, PoolKind, SEED_SHARES, Stakes},
        position::Ticket,
    },
};
use proptest::prelude::*;

const EXPOSURE: u64 = 60_000;
const ACTIVATION: u64 = 216_000;
const UNBONDING: u64 = 432_000;
/// When the work of these tests is done.
const WORK: u64 = 1_000_000;

/// A pool of a job with positions of so many shares each, all active.
fn world<const N: usize>(shares: [u64; N], compounding: u8) -> (Pool, [Position; N]) {
    let mut pool = Pool::zeroed();
    pool.initialise(PoolKind::Trainer, &[1; 32], 0, 0);
    pool.compounding = compounding;
    let mut positions = [Position::zeroed(); N];
    for (position, shares) in positions.iter_mut().zip(shares) {
        position.initialise(&[9; 32], &pool, &[2; 32]);
        position.deposit(&mut pool, shares, 0, 0, 0).unwrap();
    }
    pool.expose(EXPOSURE, 0);
    (pool, positions)
}

fn exit(position: &mut Position, pool: &mut Pool, shares: u64, slot: u64) {
    Ticket::zeroed().request(position, pool, shares, slot, UNBONDING).unwrap();
}

/// Pays for work behind which only delegated stake was.
fn pay(pool: &mut Pool, reward: u64, made_slot: u64) {
    pool.credit_by(reward, &Stakes { whole: 1, own: 0 }, made_slot).unwrap();
}

/// Two amounts, each as expected or a base unit below it: what a position earns is rounded down.
fn near(found: [u64; 2], expected: [u64; 2]) {
    let is_near = found.iter().zip(&expected).all(|(found, expected)| found <= expected && expected - found <= 1);
    assert!(is_near, "{found:?} for {expected:?}");
}

fn claimed(position: &mut Position, pool: &mut Pool) -> u64 {
    position.claim(pool).unwrap_or(0)
}

#[test]
fn who_leaves_after_the_work_is_paid_as_if_it_had_stayed() {
    let (mut pool, [mut stays, mut leaves]) = world([600_000, 400_000], 0);
    exit(&mut leaves, &mut pool, 300_000, WORK + 1);
    exit(&mut leaves, &mut pool, 100_000, WORK + 2);
    pay(&mut pool, 1_000, WORK);
    near([claimed(&mut stays, &mut pool), claimed(&mut leaves, &mut pool)], [600, 400]);
    assert!(pool.rewards_owed <= 2);
    // Work that is done after the cohort's end is the others' alone.
    pay(&mut pool, 1_000, WORK + 1 + COHORT_SLOTS);
    near([claimed(&mut stays, &mut pool), claimed(&mut leaves, &mut pool)], [1_000, 0]);
    // Also what is paid by present stake.
    pay(&mut pool, 1_000, NOBODY_LEFT);
    near([claimed(&mut stays, &mut pool), claimed(&mut leaves, &mut pool)], [1_000, 0]);
}

#[test]
fn the_bound_for_who_left_before_the_work_is_one_cohort() {
    let (mut pool, [mut stays, mut leaves]) = world([600_000, 400_000], 0);
    exit(&mut leaves, &mut pool, 400_000, WORK - COHORT_SLOTS);
    let mut late = pool;
    pay(&mut late, 1_000, WORK);
    near([claimed(&mut leaves.clone(), &mut late), claimed(&mut stays.clone(), &mut late)], [0, 1_000]);
    pay(&mut pool, 1_000, WORK - 1);
    near([claimed(&mut leaves, &mut pool), claimed(&mut stays, &mut pool)], [400, 600]);
}

/// Attack: stake that comes after the work, and for its pay only.
#[test]
fn attack_stake_that_comes_after_the_work_takes_nothing_of_its_pay() {
    for activation in [0, 1, ACTIVATION] {
        let (mut pool, [mut early, mut late]) = world([1_000_000, 1], 0);
        late.deposit(&mut pool, 1_000_000_000, 0, WORK, activation).unwrap();
        // The work was done a slot before and is paid as late as it can be.
        late.activate(&mut pool, WORK + EXPOSURE).unwrap();
        pay(&mut pool, 1_000_000, WORK - 1);
        near([claimed(&mut early, &mut pool), claimed(&mut late, &mut pool)], [999_999, 0]);
        let waiting = activation.max(pool.waiting_slots());
        late.activate(&mut pool, WORK + waiting).unwrap();
        assert_eq!(late.pending, 0, "and it is not kept waiting for longer than that");
    }
}

/// Attack: stake that leaves, is paid on for its cohort, and comes back to be paid for the same work once more.
#[test]
fn attack_no_share_is_paid_twice_for_one_piece_of_work() {
    let (mut pool, [_, mut swings]) = world([1_000_000, 1_000_000], 0);
    let mut ticket = Ticket::zeroed();
    ticket.request(&mut swings, &mut pool, 1_000_000, WORK, UNBONDING).unwrap();
    ticket.rebond(&mut swings, &mut pool, 0, WORK, 0).unwrap();
    let last_work = WORK + COHORT_SLOTS - 1;
    swings.activate(&mut pool, last_work + EXPOSURE).unwrap();
    assert_eq!(swings.shares, 0);
    pay(&mut pool, 1_000, last_work);
    near([claimed(&mut swings, &mut pool), 0], [500, 0]);
}

/// Attack: the operator adds own bond to what delegators are about to be paid.
#[test]
fn attack_bond_that_is_added_later_takes_nothing_of_what_is_split_by_present_stake() {
    let (mut pool, [mut delegator]) = world([99_000], 0);
    pool.self_bond = 1_000;
    let before = pool.seasoned(WORK).unwrap();
    pool.add_bond(1_000_000, WORK, ACTIVATION).unwrap();
    assert_eq!(pool.seasoned(WORK + ACTIVATION - 1), Ok(before));
    pool.credit(1_010_000).unwrap();
    near([claimed(&mut delegator, &mut pool), pool.commission_owed], [1_000_000, 10_000]);
    // A slash takes from both; what is young is never more than what is there.
    pool.slash(1_000_500, 0, WORK).unwrap();
    assert_eq!(pool.seasoned(WORK).unwrap().own, 0);
    assert_eq!(pool.seasoned(WORK + ACTIVATION).unwrap().own, 500);
}

#[test]
fn a_compounding_pool_pays_its_leavers_in_base_units() {
    let (mut pool, [mut stays, mut leaves, mut liquid]) = world([499_000, 400_000, 100_000], 1);
    liquid.tokenise(&mut pool, 100_000, WORK).unwrap();
    exit(&mut leaves, &mut pool, 400_000, WORK);
    liquid.detokenise(&mut pool, 100_000, WORK, ACTIVATION).unwrap();
    let assets = pool.assets;
    pay(&mut pool, 1_000_000, WORK);
    near([claimed(&mut leaves, &mut pool), claimed(&mut liquid, &mut pool)], [400_000, 100_000]);
    assert_eq!(pool.assets - assets, 500_000, "with the seed's part");
    assert_eq!(claimed(&mut stays, &mut pool), 0);
}

#[test]
fn if_all_have_left_all_is_theirs() {
    let (mut pool, [mut leaves]) = world([1_000], 0);
    exit(&mut leaves, &mut pool, 1_000, WORK);
    pay(&mut pool, 777, WORK);
    near([claimed(&mut leaves, &mut pool), pool.take_unowned().unwrap()], [777, 0]);
    // And of later work, which nobody has a part of, nothing is.
    pay(&mut pool, 777, WORK + COHORT_SLOTS);
    assert_eq!((claimed(&mut leaves, &mut pool), pool.take_unowned(), pool.rewards_owed), (0, Ok(777), 1));
}

#[test]
fn who_leaves_in_many_parts_gives_up_the_oldest_only() {
    let (mut pool, [mut leaves, _]) = world([500, 500], 0);
    for part in 0..5 {
        exit(&mut leaves, &mut pool, 100, WORK + part * COHORT_SLOTS);
    }
    pay(&mut pool, 1_000, WORK);
    near([claimed(&mut leaves, &mut pool), 0], [400, 0]);
}

#[test]
fn what_a_forgotten_cohort_did_not_collect_goes_back_to_its_stream() {
    let (mut pool, [mut forgets, mut leaves]) = world([500_000, 500_000], 0);
    exit(&mut forgets, &mut pool, 500_000, WORK);
    pay(&mut pool, 1_000, WORK);
    assert_eq!(pool.take_unowned(), Ok(0));
    let mut slot = WORK;
    for _ in 0..MAX_COHORTS {
        near([forgets.clone().claim(&mut pool.clone()).unwrap(), 0], [500, 0]);
        slot += COHORT_SLOTS;
        exit(&mut leaves, &mut pool, 1, slot);
    }
    assert!(slot - WORK >= 2 * UNBONDING - COHORT_SLOTS);
    assert_eq!(forgets.claim(&mut pool), Err(Error::NothingToClaim));
    assert_eq!(forgets.leavings, [Leaving::default(); MAX_LEAVINGS]);
    assert_eq!(pool.take_unowned(), Ok(500));
    near([claimed(&mut leaves, &mut pool), 1], [500, pool.rewards_owed]);
}

const OWNERS: usize = 4;

/// One step: somebody deposits, leaves, claims; work is done; the oldest work is paid.
#[derive(Clone, Debug)]
enum Step {
    Deposit(usize, u64),
    Exit(usize, u64),
    Claim(usize),
    Work,
    Pay(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let owner = 0..OWNERS;
    prop_oneof![
        2 => (owner.clone(), 1u64..1 << 40).prop_map(|(owner, amount)| Step::Deposit(owner, amount)),
        4 => (owner.clone(), any::<u64>()).prop_map(|(owner, shares)| Step::Exit(owner, shares)),
        2 => owner.prop_map(Step::Claim),
        3 => Just(Step::Work),
        3 => (0u64..1 << 40).prop_map(Step::Pay),
    ]
}

/// Work as the books of the test know it.
struct Work {
    slot: u64,
    shares: [u64; OWNERS],
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_500, ..ProptestConfig::default() })]

    /// In any order of steps nothing is created or lost, what all can claim is owed, and two owners whose shares of the work's slot are all
    /// there or have left since get the same for each share, up to rounding and a millionth.
    #[test]
    fn work_is_paid_to_who_was_there(
        steps in prop::collection::vec((step(), 0u64..9_000), 1..80), compounding in any::<bool>(), own in 0u64..1 << 40,
    ) {
        let (mut pool, mut positions) = world([1 << 30, 1 << 31, 1 << 32, 1], compounding as u8);
        pool.self_bond = own;
        let (mut slot, mut works) = (WORK, std::collections::VecDeque::<Work>::new());
        let mut held = pool.held().unwrap();
        for (step, wait) in steps {
            slot += wait;
            match step {
                Step::Deposit(owner, amount) => {
                    let (mut position, mut changed) = (positions[owner], pool);
                    if position.deposit(&mut changed, amount, 0, slot, ACTIVATION / 8).is_ok() {
                        (positions[owner], pool) = (position, changed);
                        held += amount;
                    }
                }
                Step::Exit(owner, shares) => {
                    let shares = shares.checked_rem(positions[owner].shares + 1).unwrap_or(0);
                    let (mut position, mut changed) = (positions[owner], pool);
                    if Ticket::zeroed().request(&mut position, &mut changed, shares, slot, UNBONDING).is_ok() {
                        (positions[owner], pool) = (position, changed);
                    }
                }
                Step::Claim(owner) => held -= claimed(&mut positions[owner], &mut pool),
                Step::Work => works.push_back(Work { slot, shares: positions.map(|position| position.shares) }),
                Step::Pay(reward) => {
                    let Some(work) = works.pop_front() else { continue };
                    if slot > work.slot + EXPOSURE {
                        continue;
                    }
                    for position in &mut positions {
                        position.settle(&mut pool).unwrap();
                    }
                    let before = (positions, pool);
                    pay(&mut pool, reward, work.slot);
                    held += reward;
                    let [mut earned, mut part] = [[0u64; OWNERS]; 2];
                    for owner in 0..OWNERS {
                        positions[owner].settle(&mut pool).unwrap();
                        earned[owner] = positions[owner].claimable - before.0[owner].claimable;
                        if compounding {
                            let shares = positions[owner].shares;
                            earned[owner] += int::assets_for_shares(shares, pool.shares, pool.assets).unwrap()
                                - int::assets_for_shares(shares, before.1.shares, before.1.assets).unwrap();
                        }
                        // Every share that was there is there still or has left in a cohort that this work pays for.
                        part[owner] = work.shares[owner];
                    }
                    // Nobody that has all its shares still gets less for each than who left, and the other way round.
                    let total: u64 = earned.iter().sum();
                    prop_assert!(total <= reward + OWNERS as u64);
                    for (a, b) in (0..OWNERS).flat_map(|a| (0..OWNERS).map(move |b| (a, b))) {
                        let untouched = |o: usize| part[o] > 0 && positions[o].shares + left_since(&positions[o], &before.1, work.slot) == part[o];
                        if untouched(a) && untouched(b) {
                            let (left, right) = (earned[a] as u128 * part[b] as u128, earned[b] as u128 * part[a] as u128);
                            let slack = 3 * (part[a] as u128 + part[b] as u128) + left / 1_000_000;
                            prop_assert!(left.abs_diff(right) <= slack, "{earned:?} for {part:?}");
                        }
                    }
                }
            }
            prop_assert_eq!(pool.held().unwrap(), held);
            let mut copy = pool;
            let owed: u64 = positions.iter().map(|position| {
                let mut position = *position;
                position.settle(&mut copy).unwrap();
                position.claimable
            }).sum();
            prop_assert!(owed + pool.rewards_held <= pool.rewards_owed);
        }
    }
}

/// Shares of a position that left in cohorts which a piece of work pays.
fn left_since(position: &Position, pool: &Pool, made_slot: u64) -> u64 {
    let mut pool = *pool;
    let mut left = 0;
    for leaving in position.leavings {
        if let Some(cohort) = pool.cohort(leaving.cohort)
            && cohort.until_slot > made_slot
        {
            left += leaving.shares;
        }
    }
    left
}

/// Stake that came in after the work, however much of it, changes nothing for those who were there.
#[test]
fn a_crowd_of_newcomers_changes_nothing_for_who_was_there() {
    let (mut pool, [mut early, mut late]) = world([SEED_SHARES, 1], 0);
    for _ in 0..100 {
        late.deposit(&mut pool, 1 << 40, 0, WORK, 0).unwrap();
    }
    pay(&mut pool, 1_001_000, WORK);
    assert_eq!(claimed(&mut early, &mut pool), 1_000_000);
}

#[test]
fn nobody_is_kept_from_leaving_by_shares_that_came_and_went_beyond_counting() {
    let (mut pool, [mut stays, mut comes_and_goes]) = world([1_000_000, 1_000_000], 0);
    // A provider's stake does not wait before its first pay, and its leavers are noted.
    (pool.exposure_slots, pool.kind) = (0, crate::stake::pool::PoolKind::Data as u8);
    // What is left of the pool's worth makes a share cost next to nothing.
    for _ in 0..2 {
        pool.slash_bps(0, 9_990, WORK).unwrap();
        pool.status = crate::stake::pool::ACTIVE;
    }
    for _ in 0..100 {
        comes_and_goes.deposit(&mut pool, 1 << 43, 0, WORK, 0).unwrap();
        let shares = comes_and_goes.shares;
        exit(&mut comes_and_goes, &mut pool, shares, WORK);
    }
    let newest = pool.cohort_count;
    assert_eq!(pool.cohort(newest).map(|cohort| cohort.shares), Some(u64::MAX));
    // Pay of work done before is counted out to the unit, however it falls.
    pay(&mut pool, 1_000_000, WORK - 1);
    let paid = claimed(&mut stays, &mut pool) + claimed(&mut comes_and_goes, &mut pool);
    assert!(paid <= 1_000_000 && pool.rewards_owed + paid == 1_000_000);
}
