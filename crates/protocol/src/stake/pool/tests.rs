//! Pools, positions and tickets in any order of steps.

use super::*;
use crate::ground::units::CAP;
use crate::stake::position::{Position, Ticket};
use proptest::prelude::*;

const OWNERS: usize = 4;

/// What can happen to a pool, with raw numbers that are cut to what is possible.
#[derive(Clone, Debug)]
enum Step {
    Deposit(usize, u64),
    Exit(usize, u64),
    ClaimExit(usize),
    Reward(u64),
    Claim(usize),
    Slash(u16, u16),
    Charge(u64),
    Bond(u64),
    Commission,
    Activate(usize),
    Cancel(usize),
}

fn surviving(amount: u128, position: &Position, pool: &Pool) -> u128 {
    if amount == 0 { 0 } else { amount * pool.survival as u128 / position.pending_survival as u128 }
}

fn step() -> impl Strategy<Value = Step> {
    let owner = 0..OWNERS;
    prop_oneof![
        4 => (owner.clone(), 1u64..1 << 50).prop_map(|(owner, amount)| Step::Deposit(owner, amount)),
        3 => (owner.clone(), any::<u64>()).prop_map(|(owner, shares)| Step::Exit(owner, shares)),
        2 => (0usize..64).prop_map(Step::ClaimExit),
        4 => (0u64..1 << 50).prop_map(Step::Reward),
        2 => owner.clone().prop_map(Step::Claim),
        4 => owner.clone().prop_map(Step::Activate),
        1 => owner.prop_map(Step::Cancel),
        1 => (0u16..=10_000, 0u16..=5_000).prop_map(|(bond, delegated)| Step::Slash(bond, delegated)),
        1 => (0u64..1 << 45).prop_map(Step::Charge),
        1 => (1u64..1 << 50).prop_map(Step::Bond),
        1 => Just(Step::Commission),
    ]
}

/// assets / shares of one pool against another, as 128-bit cross products.
fn is_price_below(a: &Pool, b: &Pool) -> bool {
    (a.assets as u128) * (b.shares as u128) < (b.assets as u128) * (a.shares as u128)
}

fn pool() -> Pool {
    let mut pool = Pool::zeroed();
    pool.initialise(PoolKind::Trainer, &[1; 32], 0, 100);
    pool.self_bond = 1 << 40;
    pool.commission_bps = 700;
    pool
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Whatever happens in whatever order: every unit that came in is in the pool or went out; the price of a share falls only
    /// by a slash or a charge; positions and tickets never claim more than there is; shares add up.
    #[test]
    fn nothing_is_created_or_lost(steps in prop::collection::vec(step(), 1..60), compounding in any::<bool>()) {
        let mut pool = pool();
        pool.compounding = compounding as u8;
        let mut positions = [Position::zeroed(); OWNERS];
        for (owner, position) in positions.iter_mut().enumerate() {
            position.initialise(&[9; 32], &pool, &[owner as u8; 32]);
        }
        let mut tickets: Vec<Ticket> = Vec::new();
        let mut held = pool.held().unwrap() as u128;
        let mut slot = 100;
        for step in steps {
            slot += 7;
            let before = pool;
            let mut may_fall = false;
            match step {
                Step::Activate(owner) => {
                    let (mut position, mut changed) = (positions[owner], pool);
                    let line = (position.ramp_end_slot.saturating_sub(slot) as u128 * position.pending as u128)
                        / position.ramp_end_slot.saturating_sub(position.ramp_slot).max(1) as u128;
                    let line = surviving(line, &position, &changed);
                    position.activate(&mut changed, slot).unwrap();
                    prop_assert!(position.pending as u128 >= line, "active stake lies above the line");
                    (positions[owner], pool) = (position, changed);
                }
                Step::Cancel(owner) => {
                    let (mut position, mut changed, mut ticket) = (positions[owner], pool, Ticket::zeroed());
                    if ticket.cancel(&mut position, &mut changed, slot, 50).is_ok() {
                        (positions[owner], pool) = (position, changed);
                        tickets.push(ticket);
                    }
                }
                Step::Deposit(owner, amount) => {
                    let (mut position, mut changed) = (positions[owner], pool);
                    if position.deposit(&mut changed, amount, 0, slot, 40).is_ok() {
                        (positions[owner], pool) = (position, changed);
                        held += amount as u128;
                    }
                }
                Step::Exit(owner, shares) => {
                    let shares = if positions[owner].shares == 0 { 0 } else { shares % (positions[owner].shares + 1) };
                    let (mut position, mut changed, mut ticket) = (positions[owner], pool, Ticket::zeroed());
                    if ticket.request(&mut position, &mut changed, shares, slot, 50).is_ok() {
                        (positions[owner], pool) = (position, changed);
                        tickets.push(ticket);
                    }
                }
                Step::ClaimExit(index) => {
                    if !tickets.is_empty() {
                        let ticket = tickets.remove(index % tickets.len());
                        prop_assert_eq!(ticket.claim(&mut pool, ticket.mature_slot - 1), Err(Error::TicketNotMature));
                        let paid = ticket.claim(&mut pool, ticket.mature_slot).unwrap();
                        prop_assert!(paid <= ticket.assets);
                        held -= paid as u128;
                    }
                }
                Step::Reward(amount) => {
                    pool.credit(amount).unwrap();
                    held += amount as u128;
                }
                Step::Claim(owner) => {
                    let (mut position, mut changed) = (positions[owner], pool);
                    if let Ok(paid) = position.claim(&mut changed) {
                        (positions[owner], pool) = (position, changed);
                        held -= paid as u128;
                    }
                }
                Step::Slash(bond, delegated) => {
                    held -= pool.slash_bps(bond, delegated, slot).unwrap().total().unwrap() as u128;
                    may_fall = true;
                }
                Step::Charge(amount) => {
                    let taken = pool.charge(amount, slot).unwrap().total().unwrap();
                    prop_assert!(taken <= amount);
                    held -= taken as u128;
                    may_fall = true;
                }
                Step::Bond(amount) => {
                    if pool.add_bond(amount, slot, 40).is_ok() {
                        held += amount as u128;
                    }
                }
                Step::Commission => {
                    if let Ok(paid) = pool.take_commission() {
                        held -= paid as u128;
                    }
                }
            }
            prop_assert_eq!(pool.held().unwrap() as u128, held);
            prop_assert!(may_fall || !is_price_below(&pool, &before), "the price fell without a slash");
            prop_assert_eq!(positions.iter().map(|position| position.shares).sum::<u64>() + SEED_SHARES, pool.shares);
            prop_assert!(before.status == ACTIVE || pool.status == RETIRED);
            let claims: u64 = tickets.iter().map(|ticket| {
                let mut copy = pool;
                ticket.claim(&mut copy, ticket.mature_slot).unwrap()
            }).sum();
            prop_assert!(claims <= pool.unbonding_assets);
            let pending: u128 = positions.iter().map(|p| surviving(p.pending as u128, p, &pool)).sum();
            prop_assert!(pending <= pool.pending_assets as u128);
        }
        // Everyone can leave, in any state.
        for position in &mut positions {
            if let Ok(paid) = position.claim(&mut pool) {
                held -= paid as u128;
            }
            if position.shares > 0 && pool.assets > 0 {
                let mut ticket = Ticket::zeroed();
                let worth = int::assets_for_shares(position.shares, pool.shares, pool.assets).unwrap();
                let result = ticket.request(position, &mut pool, position.shares, slot, 50);
                prop_assert!(result.is_ok() || worth == 0);
            }
        }
        prop_assert_eq!(pool.held().unwrap() as u128, held);
    }

}

#[test]
fn repeated_slashes_retire_a_pool_before_its_shares_overflow() {
    let mut pool = pool();
    let mut position = Position::zeroed();
    let mut slashes = 0;
    while pool.status == ACTIVE {
        position.deposit(&mut pool, 1 << 40, 0, 100, 0).unwrap();
        pool.slash_bps(10_000, 5_000, 100).unwrap();
        slashes += 1;
        assert!(slashes < 20);
    }
    assert_eq!(position.deposit(&mut pool, 1 << 40, 0, 100, 0), Err(Error::PoolRetired));
    assert_eq!(pool.add_bond(1, 100, 40), Err(Error::PoolRetired));
    let all = position.shares;
    assert!(position.withdraw(&mut pool, all, 100).unwrap() > 0, "exits go on");
}

/// A pool with a very dear share, and somebody who activates another's stake slot by slot.
#[test]
fn activating_often_takes_nothing_by_rounding() {
    let mut pool = pool();
    pool.assets = SEED_SHARES * 1_000_000_007;
    let mut position = Position::zeroed();
    position.initialise(&[9; 32], &pool, &[2; 32]);
    let amount = 2_000 * 1_000_000_007;
    position.deposit(&mut pool, amount, 2_000, 0, 999).unwrap();
    for slot in 1..1_200 {
        position.activate(&mut pool, slot).unwrap();
    }
    let worth = int::assets_for_shares(position.shares, pool.shares, pool.assets).unwrap();
    assert_eq!((position.shares, position.pending, worth), (2_000, 0, amount));
}

#[test]
fn rewards_without_holders_are_nobodys_and_go_back() {
    let mut pool = Pool::zeroed();
    pool.initialise(PoolKind::Attention, &[1; 32], 0, 0);
    pool.credit(500).unwrap();
    assert_eq!((pool.rewards_owed, pool.rewards_held), (500, 500));
    let mut position = Position::zeroed();
    position.initialise(&[9; 32], &pool, &[2; 32]);
    position.deposit(&mut pool, 1_000, 0, 0, 0).unwrap();
    assert_eq!(position.claim(&mut pool), Err(Error::NothingToClaim));
    pool.credit(500).unwrap();
    assert_eq!(position.claim(&mut pool), Ok(500));
    assert_eq!((pool.take_unowned(), pool.take_unowned()), (Ok(500), Ok(0)));
    assert_eq!(pool.rewards_owed, 0);
}

#[test]
fn disputes_are_counted_and_freeze_deposits_only() {
    let mut pool = pool();
    assert_eq!(pool.unfreeze(), Err(Error::PoolNotFrozen));
    pool.freeze().unwrap();
    pool.freeze().unwrap();
    assert_eq!(pool.add_assets(10, 100), Err(Error::PoolFrozen));
    pool.unfreeze().unwrap();
    assert_eq!(pool.add_assets(10, 100), Err(Error::PoolFrozen));
    pool.unfreeze().unwrap();
    assert_eq!(pool.add_assets(10, 100), Ok(10));
}

#[test]
fn pending_stake_that_would_be_too_many_shares_keeps_nobody_in() {
    let (mut pool, mut position) = (Pool::zeroed(), Position::zeroed());
    pool.initialise(PoolKind::Trainer, &[1; 32], 0, 0);
    position.initialise(&[9; 32], &pool, &[2; 32]);
    position.deposit(&mut pool, CAP / 4, 0, 0, 100).unwrap();
    position.activate(&mut pool, 100).unwrap();
    let pending = CAP / 2;
    position.deposit(&mut pool, pending, 0, 100, 100).unwrap();
    // A penalty, unlike a slash, leaves what is pending as it is.
    pool.charge(CAP / 1_000 * 245, 100).unwrap();
    assert_eq!(pool.status, ACTIVE);
    let mut ticket = Ticket::zeroed();
    let all = position.shares;
    ticket.request(&mut position, &mut pool, all, 200, 50).unwrap();
    assert_eq!((position.shares, position.pending), (0, pending));
    Ticket::zeroed().cancel(&mut position, &mut pool, 200, 50).unwrap();
    assert_eq!(position.pending, 0);
}

/// Attack on a depositor: yield that is due raises the price between its look at the pool and its deposit.
#[test]
fn the_least_number_of_shares_holds_at_the_price_after_the_yield_that_is_due() {
    let mut pool = Pool::zeroed();
    pool.initialise(PoolKind::Trainer, &[1; 32], 0, 0);
    pool.compounding = 1;
    let mut position = Position::zeroed();
    position.initialise(&[9; 32], &pool, &[2; 32]);
    position.deposit(&mut pool, 1_000_000, 0, 0, 0).unwrap();
    pool.drip(1_001_000, 100, 0).unwrap();
    let mut other = Position::zeroed();
    other.initialise(&[9; 32], &pool, &[3; 32]);
    assert_eq!(other.deposit(&mut pool.clone(), 1_000, 501, 100, 0), Err(Error::SlippageExceeded));
    other.deposit(&mut pool, 1_000, 500, 100, 0).unwrap();
    assert_eq!(other.shares, 500);
}

#[test]
fn an_absence_lasts_as_long_as_the_clock_of_the_demand_that_began_it() {
    let mut pool = pool();
    assert!(pool.is_absence(10, 110));
    // Of other datasets, in any order of their ends, up to the last slot of the clock.
    assert!([(10, 110), (110, 210), (50, 150), (1, 101)].iter().all(|&(from, to)| !pool.is_absence(from, to)));
    assert!(pool.is_absence(111, 211) && !pool.is_absence(211, 311) && pool.is_absence(212, 312));
}

/// Claims of three jobs, one after the other, each made before the last of the job before is settled. What is mixed is so until those are, and no longer.
#[test]
fn claims_are_mixed_for_as_long_as_some_of_another_job_are_open() {
    let mut pool = Pool { status: ACTIVE, self_bond: 100, ..Pool::zeroed() };
    let [first, second, third] = [[1; 32], [2; 32], [3; 32]];
    let claim =
        |pool: &mut Pool, job: &Address| (10, Backing { is_thawed: 0, is_counted: pool.pledge(10, job).unwrap() });
    let settle = |pool: &mut Pool, mut claim: (u64, Backing)| pool.release(&mut claim.0, claim.1);
    let a = claim(&mut pool, &first);
    assert!(!pool.is_mixed());
    let (b, c) = (claim(&mut pool, &second), claim(&mut pool, &third));
    assert!(pool.is_mixed() && pool.claims_job == first);
    settle(&mut pool, a);
    assert_eq!((pool.claims_bond, pool.thaw(10)), (0, Err(Error::ClaimsInSeveralJobs)));
    // The next one's job is counted from now on, its older claim is not.
    let d = claim(&mut pool, &second);
    assert!(pool.is_mixed() && pool.claims_job == second);
    settle(&mut pool, b);
    assert!(pool.is_mixed(), "the third job's is open");
    settle(&mut pool, c);
    assert!(!pool.is_mixed());
    pool.thaw(10).unwrap();
    let e = claim(&mut pool, &second);
    settle(&mut pool, (10, Backing { is_thawed: 1, ..d.1 }));
    assert_eq!((pool.frozen_bond, pool.thawed_bond, pool.claims_bond), (10, 0, 10));
    settle(&mut pool, e);
    assert_eq!((pool.frozen_bond, pool.claims_bond), (0, 0));
}
