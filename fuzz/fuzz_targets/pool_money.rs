//! Stake under any operations: what came in is held, was paid out or was taken, and a share loses value only by a slash or a
//! penalty. All amounts together stay within the token's supply, and within it exits and claims must work.
#![no_main]

use arbitrary::{Result, Unstructured};
use bytemuck::Zeroable;
use libfuzzer_sys::fuzz_target;
use sip_protocol::{ground::units::CAP, admin::config::{Config, Parameters}};
use sip_protocol::stake::pool::{ACTIVE, Pool, PoolKind, RETIRED, SEED_SHARES};
use sip_protocol::stake::position::{Position, Ticket};
use sip_protocol::{Account, Error};

const OWNERS: usize = 4;
const UNBONDING_SLOTS: u64 = 50;
const ACTIVATION_SLOTS: u64 = 40;

/// A pool, everyone who has money in it, and the books.
struct World {
    config: Config,
    pool: Pool,
    positions: [Position; OWNERS],
    tickets: Vec<Ticket>,
    slot: u64,
    /// Base units in wallets, outside of everything.
    outside: u64,
}

/// assets / shares of one pool against another.
fn is_price_below(a: &Pool, b: &Pool) -> bool {
    (a.assets as u128) * (b.shares as u128) < (b.assets as u128) * (a.shares as u128)
}

/// An amount of any magnitude up to a limit.
fn amount(input: &mut Unstructured<'_>, limit: u64) -> Result<u64> {
    Ok(match input.int_in_range(0..=3u8)? {
        0 => input.int_in_range(0..=limit.min(5_000))?,
        1 => limit,
        _ => {
            let shift = input.int_in_range(0..=40)?;
            input.int_in_range(0..=limit >> shift)?
        }
    })
}

impl World {
    fn new(input: &mut Unstructured<'_>) -> Result<World> {
        let mut config = Config::zeroed();
        config.genesis(&[7; 32], &Parameters::DEFAULT).expect("the defaults are within their bounds");
        let outside = config.buckets.public - SEED_SHARES;
        config.distribute(config.buckets.public).expect("the bucket is full");
        let mut pool = Pool::zeroed();
        let kind = PoolKind::from_byte(input.int_in_range(1..=7)?).expect("seven kinds");
        pool.initialise(kind, &[1; 32], 0, 100);
        pool.commission_bps = input.int_in_range(0..=5_000)?;
        pool.compounding = input.int_in_range(0..=1)?;
        let mut positions = [Position::zeroed(); OWNERS];
        for position in &mut positions {
            position.initialise(&[9; 32], &pool, &[2; 32]);
        }
        Ok(World { config, pool, positions, tickets: Vec::new(), slot: 100, outside })
    }

    /// One operation. A refused one leaves everything as it was.
    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let before = self.pool;
        let (mut config, mut pool, slot) = (self.config, self.pool, self.slot);
        let owner = input.int_in_range(0..=OWNERS - 1)?;
        let mut position = self.positions[owner];
        let mut outside = self.outside;
        let mut may_fall = false;
        let done: core::result::Result<(), Error> = match input.int_in_range(0..=17u8)? {
            0..=2 => {
                let paid = amount(input, outside)?;
                let minimum_shares = if input.ratio(1, 8)? { input.arbitrary()? } else { 0 };
                outside -= paid;
                position.deposit(&mut pool, paid, minimum_shares, slot, ACTIVATION_SLOTS)
            }
            3 | 4 => {
                let shares = amount(input, position.shares)?;
                let mut ticket = Ticket::zeroed();
                let result = ticket.request(&mut position, &mut pool, shares, slot, UNBONDING_SLOTS);
                result.map(|()| self.tickets.push(ticket))
            }
            5 => {
                if !self.tickets.is_empty() {
                    let number = input.int_in_range(0..=self.tickets.len() - 1)?;
                    let ticket = self.tickets[number];
                    match ticket.claim(&mut pool, slot) {
                        Ok(paid) => {
                            assert!(paid <= ticket.assets && slot >= ticket.mature_slot);
                            outside += paid;
                            self.tickets.swap_remove(number);
                        }
                        Err(error) => assert_eq!((error, slot < ticket.mature_slot), (Error::TicketNotMature, true)),
                    }
                }
                Ok(())
            }
            6 | 7 => {
                // A reward out of the operators' bucket.
                let reward = amount(input, config.buckets.operator_rewards)?;
                config.buckets.operator_rewards -= reward;
                pool.credit(reward)
            }
            8 => match position.claim(&mut pool) {
                Ok(paid) => {
                    outside += paid;
                    Ok(())
                }
                Err(error) => {
                    assert_eq!(error, Error::NothingToClaim, "a claim failed");
                    Err(error)
                }
            },
            9 => {
                may_fall = true;
                let (bond_bps, delegated_bps) = (input.int_in_range(0..=10_000)?, input.int_in_range(0..=10_000)?);
                let slashed = pool.slash_bps(bond_bps, delegated_bps, slot).expect("a slash never fails");
                // The accuser's part leaves the vault, the rest is insured.
                let penalties = config.parameters.penalties;
                let bounty = config.share(&penalties, &slashed).expect("a part of the bond");
                assert!(bounty <= slashed.from_bond);
                outside += bounty;
                Ok(())
            }
            10 => {
                may_fall = true;
                let limit = if input.arbitrary()? { u64::MAX } else { config.parameters.penalties.misattested_segment };
                let asked = amount(input, limit)?;
                let taken = pool.charge(asked, slot).and_then(|taken| taken.total()).expect("a penalty never fails");
                assert!(taken <= asked);
                config.insure(taken)
            }
            11 => {
                let paid = amount(input, outside)?;
                outside -= paid;
                pool.add_bond(paid, slot, ACTIVATION_SLOTS)
            }
            12 => pool.take_commission().map(|paid| outside += paid),
            13 => match input.int_in_range(0..=9u8)? {
                0 => pool.retire(slot, UNBONDING_SLOTS),
                1..=3 => pool.freeze(),
                _ => pool.unfreeze(),
            },
            14 => pool.take_bond(slot).map(|paid| {
                assert!(slot >= pool.bond_release_slot && pool.open_disputes == 0 && pool.status == RETIRED);
                outside += paid;
            }),
            15 => position.activate(&mut pool, slot).map(|_| ()),
            16 => {
                let mut ticket = Ticket::zeroed();
                ticket.cancel(&mut position, &mut pool, slot, UNBONDING_SLOTS).map(|()| self.tickets.push(ticket))
            }
            _ => {
                self.slot = slot.saturating_add(input.int_in_range(0..=100)?);
                pool.take_snapshot(self.slot).map(|average| assert!(average <= CAP))
            }
        };
        if done.is_ok() {
            (self.config, self.pool, self.positions[owner], self.outside) = (config, pool, position, outside);
        }
        self.check();
        assert!(may_fall || !is_price_below(&self.pool, &before), "the price fell without a slash");
        assert!(before.status == ACTIVE || self.pool.status == RETIRED, "a retired pool came back");
        Ok(())
    }

    /// What always holds.
    fn check(&self) {
        let pool = &self.pool;
        let held = pool.liabilities().expect("less than the supply");
        let buckets = self.config.liabilities().expect("less than the supply");
        assert_eq!(held as u128 + buckets as u128 + self.outside as u128, CAP as u128, "units were made or lost");
        let shares: u64 = self.positions.iter().map(|position| position.shares).sum();
        assert_eq!(shares + SEED_SHARES, pool.shares, "shares do not add up");
        let mut after = *pool;
        for ticket in &self.tickets {
            ticket.claim(&mut after, ticket.mature_slot).expect("every exit is paid");
        }
        for position in &self.positions {
            match { *position }.claim(&mut after) {
                Ok(_) | Err(Error::NothingToClaim) => {}
                Err(error) => panic!("not every claim is paid: {error:?}"),
            }
        }
    }

    /// Everyone leaves: no state keeps anyone in.
    fn leave(&mut self) {
        for number in 0..OWNERS {
            let (mut position, mut pool) = (self.positions[number], self.pool);
            if position.shares == 0 {
                continue;
            }
            let shares = position.shares;
            let worth = (shares as u128 * pool.assets as u128 / pool.shares as u128) as u64;
            let mut ticket = Ticket::zeroed();
            match ticket.request(&mut position, &mut pool, shares, self.slot, UNBONDING_SLOTS) {
                Ok(()) => {
                    // What was due has become active first.
                    assert!(ticket.assets >= worth);
                    (self.positions[number], self.pool) = (position, pool);
                    self.tickets.push(ticket);
                }
                Err(error) => assert_eq!((error, worth), (Error::ZeroAmount, 0)),
            }
        }
        self.check();
    }
}

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let mut world = World::new(input)?;
    world.check();
    let mut result = Ok(());
    while result.is_ok() && !input.is_empty() && world.tickets.len() < 64 {
        result = world.step(input);
    }
    world.leave();
    result
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});
