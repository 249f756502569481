//! All money of the protocol in one small world: several people, seven pools, every transition that moves a base unit, in any order.
//!
//! The program does with accounts what [`World::step`] does with fields; what is checked after each step is what must hold on
//! chain. Used by the property test beside it and by a fuzz target.

use bytemuck::Zeroable;
use sip_protocol::{
    Account, Error, Result,
    admin::config::{Config, Parameters},
    ground::{
        offence::{Offence, Penalties},
        schedule::{ONE, Schedule},
        units::{CAP, TOKEN},
    },
    money::{
        emission::Emission,
        epoch::RoundWork,
        fees::{Fees, Payment, Receivers},
    },
    stake::{
        pool::{ACTIVE, Pool, PoolKind, RETIRED, SEED_SHARES},
        position::{Position, Ticket},
        steering::Vote,
    },
    training::data::Dataset,
};

/// Where choices come from.
pub(crate) trait Source {
    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: u64) -> u64;
}

const OWNERS: usize = 4;
const TRAINER: usize = 0;
const SERVER: usize = 1;
const MODEL: usize = 2;
const ANCESTOR: usize = 3;
const DATA: usize = 4;
const DOMAINS: [usize; 2] = [5, 6];
const POOLS: usize = 7;
const KINDS: [PoolKind; POOLS] = [
    PoolKind::Trainer,
    PoolKind::Server,
    PoolKind::Model,
    PoolKind::Model,
    PoolKind::Data,
    PoolKind::Attention,
    PoolKind::Attention,
];
const MOST_TICKETS: usize = 24;
const UNBONDING_SLOTS: u64 = 500;
const ACTIVATION_SLOTS: u64 = 300;
/// Slots from a round's opening to its pay.
const ROUND_SLOTS: u64 = 700;
/// Steps that [`World::step`] chooses from.
pub(crate) const STEPS: u64 = 26;

/// Everyone and everything.
#[derive(Clone)]
pub(crate) struct World {
    config: Config,
    emission: Emission,
    fees: Fees,
    pools: [Pool; POOLS],
    positions: [[Position; POOLS]; OWNERS],
    votes: [Vote; OWNERS],
    liquid: [[u64; POOLS]; OWNERS],
    tickets: Vec<(usize, usize, Ticket)>,
    wallets: [u64; OWNERS],
    slot: u64,
    /// When the provider's duty ends; 0 for never.
    duty_end_slot: u64,
    /// Whether the last step was a slash or a penalty.
    may_fall: bool,
    /// Steps that changed something, by kind.
    pub(crate) done: [u64; STEPS as usize],
}

impl World {
    /// A genesis, pools with their seeds and bonds, and people who share the public bucket.
    pub(crate) fn new() -> World {
        let mut config = Config::zeroed();
        let penalties = Penalties {
            late_segment: TOKEN,
            missed_segment: TOKEN,
            missed_draw: TOKEN,
            missed_vote: TOKEN,
            missed_score: TOKEN,
            missed_attestation: TOKEN,
            misattested_segment: TOKEN,
            amended_segment: TOKEN,
            ..Penalties::DEFAULT
        };
        let activation_slots = ACTIVATION_SLOTS;
        let parameters = Parameters { minimum_self_bond: TOKEN, penalties, activation_slots, ..Parameters::DEFAULT };
        config.genesis(&[1; 32], &parameters).expect("within bounds");
        let mut emission = Emission::default();
        let schedule = Schedule {
            epoch_slots: 1_000,
            first_caps: [1_000 * TOKEN; 2],
            targets: [900 * TOKEN; 2],
            maximum_yield: ONE / 50_000,
            ..Schedule::DEFAULT
        };
        emission.initialise(&schedule, 0).expect("within bounds");
        let mut pools = [Pool::zeroed(); POOLS];
        let mut spent = 0;
        for (number, pool) in pools.iter_mut().enumerate() {
            pool.initialise(KINDS[number], &[number as u8; 32], 0, 0);
            if KINDS[number] == PoolKind::Attention {
                pool.exposure_slots = ROUND_SLOTS;
            }
            spent += SEED_SHARES;
            if KINDS[number] != PoolKind::Attention {
                pool.self_bond = 100 * TOKEN;
                pool.commission_bps = 700;
                spent += pool.self_bond;
            }
        }
        pools[SERVER].compounding = 1;
        pools[ANCESTOR].compounding = 1;
        pools[MODEL].parent = [ANCESTOR as u8; 32];
        pools[MODEL].royalty_bps = 2_500;
        let mut wallets = [config.buckets.public / OWNERS as u64; OWNERS];
        wallets[0] -= spent;
        config.distribute(config.buckets.public).expect("the bucket is full");
        let mut positions = [[Position::zeroed(); POOLS]; OWNERS];
        for row in &mut positions {
            for (position, pool) in row.iter_mut().zip(&pools) {
                position.initialise(&[9; 32], pool, &[2; 32]);
            }
        }
        World {
            config,
            emission,
            fees: Fees::zeroed(),
            pools,
            positions,
            votes: [Vote::zeroed(); OWNERS],
            liquid: [[0; POOLS]; OWNERS],
            tickets: Vec::new(),
            wallets,
            slot: 0,
            duty_end_slot: 0,
            may_fall: false,
            done: [0; STEPS as usize],
        }
    }

    /// One step of any kind by anyone. A refused one changes nothing.
    pub(crate) fn step(&mut self, source: &mut impl Source) -> Result<()> {
        let kind = source.below(STEPS);
        let mut next = self.clone();
        next.may_fall = false;
        let result = next.apply(kind, source);
        if result.is_ok() {
            for (before, after) in self.pools.iter().zip(&next.pools) {
                let is_lower =
                    (after.assets as u128) * (before.shares as u128) < (before.assets as u128) * (after.shares as u128);
                assert!(next.may_fall || !is_lower, "step {kind}: a price fell without a slash or a penalty");
                assert!(before.status == ACTIVE || after.status == RETIRED, "a retired pool came back");
            }
            next.done[kind as usize] += 1;
            *self = next;
        }
        result
    }

    #[inline(never)]
    fn apply(&mut self, kind: u64, source: &mut impl Source) -> Result<()> {
        let owner = source.below(OWNERS as u64) as usize;
        let number = match kind {
            15 | 16 => [SERVER, ANCESTOR][source.below(2) as usize],
            17 => DOMAINS[source.below(2) as usize],
            _ => source.below(POOLS as u64) as usize,
        };
        let slot = self.slot;
        let pool = &mut self.pools[number];
        let position = &mut self.positions[owner][number];
        let wallet = &mut self.wallets[owner];
        match kind {
            0 | 1 => {
                let amount = amount(source, *wallet);
                *wallet -= amount;
                position.deposit(pool, amount, 0, slot, ACTIVATION_SLOTS)
            }
            2 => position.activate(pool, slot).map(|_| ()),
            3 => {
                let mut ticket = Ticket::zeroed();
                ticket.cancel(position, pool, slot, UNBONDING_SLOTS)?;
                self.queue(owner, number, ticket)
            }
            4 | 5 => {
                let shares = amount(source, position.shares);
                let mut ticket = Ticket::zeroed();
                ticket.request(position, pool, shares, slot, UNBONDING_SLOTS)?;
                self.emission.settle_pool(pool, slot)?;
                self.queue(owner, number, ticket)
            }
            6 | 7 => {
                let place = source.below(self.tickets.len().max(1) as u64) as usize;
                let (owner, number, ticket) = *self.tickets.get(place).ok_or(Error::NothingToClaim)?;
                if kind == 6 {
                    self.wallets[owner] += ticket.claim(&mut self.pools[number], slot)?;
                } else {
                    let (position, pool) = (&mut self.positions[owner][number], &mut self.pools[number]);
                    ticket.rebond(position, pool, 0, slot, ACTIVATION_SLOTS)?;
                }
                self.tickets.swap_remove(place);
                Ok(())
            }
            8 => position.claim(pool).map(|paid| *wallet += paid),
            9 => pool.take_commission().map(|paid| *wallet += paid),
            10 => {
                pool.require_kind(PoolKind::Attention).map_or(Ok(()), |()| Err(Error::NotAuthority))?;
                let amount = amount(source, *wallet);
                *wallet -= amount;
                pool.add_bond(amount, slot, ACTIVATION_SLOTS)
            }
            11 => self.move_attention(owner, source),
            12 => match source.below(3) {
                0 => pool.freeze(),
                _ => pool.unfreeze(),
            },
            13 | 14 => {
                // Operators only: a dispute's slash, an evaluator's, or a penalty.
                pool.require_kind(PoolKind::Attention).map_or(Ok(()), |()| Err(Error::WrongPoolKind))?;
                self.may_fall = true;
                let penalties = self.config.parameters.penalties;
                let offence = match source.below(12) {
                    0 => Offence::ConvictedSegment,
                    1 => Offence::UnavailableState,
                    2 => Offence::FalseScore,
                    3 => Offence::MisattestedSegment,
                    _ => Offence::LateSegment,
                };
                let taken = pool.punish(&penalties, offence, slot)?;
                if matches!(offence, Offence::ConvictedSegment | Offence::UnavailableState) {
                    let bounty = self.config.share(&penalties, &taken)?;
                    assert!(bounty <= taken.from_bond / 2, "convicting oneself would pay");
                    *wallet += bounty;
                } else {
                    self.config.insure_penalty(&taken)?;
                }
                Ok(())
            }
            15 => {
                let shares = amount(source, position.shares);
                position.tokenise(pool, shares, slot)?;
                self.liquid[owner][number] += shares;
                Ok(())
            }
            16 => {
                let owner = (0..OWNERS).max_by_key(|o| self.liquid[*o][number]).unwrap_or(owner);
                let shares = amount(source, self.liquid[owner][number]);
                self.liquid[owner][number] -= shares;
                // Sold to somebody else first, half of the time.
                let to = if source.below(2) == 0 { owner } else { (owner + 1) % OWNERS };
                self.positions[to][number].detokenise(pool, shares, slot, ACTIVATION_SLOTS)?;
                self.emission.settle_pool(&mut self.pools[number], slot).map(|_| ())
            }
            17 => {
                let shares = amount(source, position.shares);
                let periods = 1 + source.below(50);
                position.lock(pool, shares, periods, slot)
            }
            18 => {
                let shares = amount(source, self.positions[owner][TRAINER].shares);
                let target = DOMAINS[source.below(2) as usize];
                let [trainer, domain] = self.pools.get_disjoint_mut([TRAINER, target]).expect("two pools");
                self.votes[owner].target = [target as u8; 32];
                self.votes[owner].cast(&mut self.positions[owner][TRAINER], trainer, domain, shares, slot)
            }
            19 => {
                let vote = &mut self.votes[owner];
                if vote.shares == 0 {
                    return Err(Error::NothingToClaim);
                }
                let target = vote.target[0] as usize;
                let [trainer, domain] = self.pools.get_disjoint_mut([TRAINER, target]).expect("two pools");
                if source.below(2) == 0 {
                    vote.refresh(trainer, domain, slot)
                } else {
                    vote.withdraw(&mut self.positions[owner][TRAINER], domain, slot)
                }
            }
            20 => self.pay_fee(owner, source),
            21 => {
                let domain = source.below(2) as u8;
                let target = DOMAINS[domain as usize];
                let [data, attention] = self.pools.get_disjoint_mut([DATA, target]).expect("two pools");
                let dataset = Dataset { duty_end_slot: self.duty_end_slot, ..Dataset::zeroed() };
                let mut to = Receivers { config: &mut self.config, dataset: &dataset, data, attention, slot };
                self.fees.settle(domain, &mut to).map(|_| ())
            }
            22 => self.emission.settle_pool(pool, slot).map(|_| ()),
            23 => {
                let drawn = {
                    let (nodes, steps_per_node) = (1 + source.below(9), 1 + source.below(5_000));
                    let most = self.config.parameters.round_reward;
                    self.emission.reward_round(&mut self.config, &RoundWork { nodes, steps_per_node, most })?
                };
                let paid = amount(source, drawn);
                self.config.buckets.operator_rewards -= paid;
                pool.credit(paid)
            }
            24 => {
                self.slot += 1 + source.below(400);
                // Now and then the time passes that patrons wait, or half a year.
                if source.below(4) == 0 {
                    self.slot += 30_000;
                }
                if source.below(200) == 0 {
                    self.slot += 40_000_000;
                }
                let _ = self.emission.turn(&mut self.config, self.slot);
                for number in DOMAINS {
                    assert!(self.pools[number].take_snapshot(self.slot)? <= 5 * CAP / 2);
                }
                Ok(())
            }
            _ => {
                if source.below(50) == 0 {
                    self.duty_end_slot = self.slot + 1_000;
                }
                // What is burned leaves the vault and the supply.
                let _ = self.config.take_condemned();
                if let Ok(amount) = self.config.take_vested(slot) {
                    self.wallets[owner] += amount;
                }
                Ok(())
            }
        }
    }

    fn queue(&mut self, owner: usize, number: usize, ticket: Ticket) -> Result<()> {
        if self.tickets.len() == MOST_TICKETS {
            return Err(Error::TooEarly);
        }
        self.tickets.push((owner, number, ticket));
        Ok(())
    }

    fn move_attention(&mut self, owner: usize, source: &mut impl Source) -> Result<()> {
        let [first, second] = DOMAINS;
        let (from, to) = if source.below(2) == 0 { (first, second) } else { (second, first) };
        let [from_pool, to_pool] = self.pools.get_disjoint_mut([from, to]).expect("two pools");
        let [from, to] = self.positions[owner].get_disjoint_mut([from, to]).expect("two positions");
        let shares = amount(source, from.shares);
        let moved = from.withdraw(from_pool, shares, self.slot)?;
        self.emission.settle_pool(from_pool, self.slot)?;
        to.deposit(to_pool, moved, 0, self.slot, ACTIVATION_SLOTS)
    }

    fn pay_fee(&mut self, owner: usize, source: &mut impl Source) -> Result<()> {
        let most = self.wallets[owner] / 100;
        let paid = amount(source, most);
        self.wallets[owner] -= paid;
        let part = source.below(10_001) as u16;
        let mut mixture_bps = [0; 8];
        mixture_bps[..2].copy_from_slice(&[part, 10_000 - part]);
        let mut payment = Payment {
            config: &mut self.config,
            emission: &mut self.emission,
            fees: &mut self.fees,
            mixture_bps: &mixture_bps,
            domain_count: 2,
            patron_domains: DOMAINS
                .iter()
                .rev()
                .fold(0, |bits, &d| bits << 1 | (self.pools[d].earning_shares != 0) as u8),
            slot: self.slot,
        };
        let split = payment.take(paid)?;
        self.pools[SERVER].serve(split.server)?;
        let up = self.pools[MODEL].earn_royalty(split.model, false)?;
        assert_eq!(self.pools[ANCESTOR].earn_royalty(up, false)?, 0, "the ancestor has no parent");
        Ok(())
    }

    /// What always holds.
    ///
    /// # Panics
    /// Where it does not.
    pub(crate) fn check(&self) {
        let owed = |result: Result<u64>| result.expect("less than the supply") as u128;
        let pools: u128 = self.pools.iter().map(|pool| owed(pool.liabilities())).sum();
        let vault =
            owed(self.config.liabilities()) + owed(self.emission.held()) + owed(self.fees.liabilities()) + pools;
        let outside: u128 = self.wallets.iter().map(|wallet| *wallet as u128).sum();
        assert_eq!(vault + outside + self.config.burned as u128, CAP as u128, "base units were made or lost");
        let counted: u64 = self.pools.iter().map(|pool| pool.yield_share.stake).sum();
        assert_eq!(self.emission.total_stake, counted, "the stake that yields is the sum of the pools'");
        for (number, pool) in self.pools.iter().enumerate() {
            let positions = || self.positions.iter().map(|row| &row[number]);
            let shares: u64 = positions().map(|position| position.shares).sum();
            let liquid: u64 = self.liquid.iter().map(|row| row[number]).sum();
            assert_eq!(pool.liquid_shares, liquid, "liquid shares are the tokens");
            assert_eq!(shares + liquid + SEED_SHARES, pool.shares, "shares do not add up");
            let earning: u64 = positions().map(|position| position.earning(pool)).sum();
            assert_eq!(earning + liquid, pool.owners(), "shares that earn do not add up");
            assert!(positions().all(|position| position.earning(pool) <= position.shares), "what is not there earns");
            let pending: u128 = positions()
                .filter(|position| position.pending > 0)
                .map(|p| p.pending as u128 * pool.survival as u128 / p.pending_survival as u128)
                .sum();
            assert!(pending <= pool.pending_assets as u128, "more is pending than there is");
            for position in positions() {
                assert!(
                    position.steering_shares.max(position.locked(self.slot)) <= position.shares,
                    "held shares left"
                );
            }
            let mut boost = pool.boost;
            boost.advance(self.slot).expect("a boost falls");
            let boosts: u64 = positions().map(|position| position.boost(self.slot)).sum();
            assert_eq!(boost.value, boosts, "the boost is the sum of the locks'");
            let mut after = *pool;
            for (_, at, ticket) in &self.tickets {
                if *at == number {
                    ticket.claim(&mut after, u64::MAX).expect("every exit is paid");
                }
            }
            for position in positions() {
                match { *position }.claim(&mut after) {
                    Ok(_) | Err(Error::NothingToClaim) => {}
                    Err(error) => panic!("not every claim is paid: {error:?}"),
                }
            }
        }
        for target in DOMAINS {
            let votes = self.votes.iter().filter(|vote| vote.target[0] as usize == target);
            assert_eq!(self.pools[target].steered, votes.map(|vote| vote.weight).sum::<u64>(), "votes do not add up");
        }
    }

    /// Everyone leaves, whatever the state: locks end, votes are withdrawn, tokens go back, and what is left is the
    /// pools' seeds, bonds and rounding.
    ///
    /// # Panics
    /// Where somebody cannot leave.
    pub(crate) fn leave(&mut self) {
        self.slot += 400_000_000;
        self.tickets.clear();
        for number in 0..POOLS {
            while self.pools[number].open_disputes > 0 {
                self.pools[number].unfreeze().expect("a dispute was open");
            }
            for owner in 0..OWNERS {
                if number == TRAINER && self.votes[owner].shares > 0 {
                    let target = self.votes[owner].target[0] as usize;
                    let (position, domain) = (&mut self.positions[owner][TRAINER], &mut self.pools[target]);
                    self.votes[owner].withdraw(position, domain, self.slot).expect("a vote is withdrawn at any time");
                }
                let (position, pool) = (&mut self.positions[owner][number], &mut self.pools[number]);
                let tokens = self.liquid[owner][number];
                if (tokens as u128 * pool.assets as u128) >= pool.shares as u128 {
                    position.detokenise(pool, tokens, self.slot, ACTIVATION_SLOTS).expect("tokens go back");
                    self.liquid[owner][number] = 0;
                }
                if position.pending > 0 && pool.survival > 0 {
                    let result = Ticket::zeroed().cancel(position, pool, self.slot, 0);
                    assert!(matches!(result, Ok(()) | Err(Error::NothingPending)), "{result:?}");
                }
                let shares = position.shares;
                if (shares as u128 * pool.assets as u128) >= pool.shares as u128 && shares > 0 {
                    Ticket::zeroed().request(position, pool, shares, self.slot, 0).expect("shares leave");
                }
            }
        }
    }
}

impl Default for World {
    fn default() -> Self {
        World::new()
    }
}

/// An amount of any magnitude up to a limit.
fn amount(source: &mut impl Source, limit: u64) -> u64 {
    match source.below(5) {
        0 => source.below(limit.min(5_000) + 1),
        1 => limit,
        _ => {
            let shift = source.below(32);
            source.below((limit >> shift) + 1)
        }
    }
}
