//! The one stake primitive: a share pool with an operator's first-loss bond, delegated assets, exits under way and rewards.
//!
//! Invariants:
//! - The price of a share (assets / shares) falls only by a slash or a penalty.
//! - Exits under way lose the same fraction in a slash as delegated assets do.
//! - What positions can claim never exceeds `rewards_owed`; all that the pool holds is [`Pool::held`].
//! - The first [`SEED_SHARES`] shares belong to nobody, so that no depositor ever owns the whole pool; assets are tracked
//!   here and never read from a token balance, so that a donation changes no price.
//! - A retired pool takes no stake and never becomes active again.
//! - New stake is pending until it has activated ([`crate::stake::position`]): it is slashed like the rest, and counts for nothing else.

use bytemuck::{Pod as Plain, Zeroable};
use sip_arith::int::{self, BPS_ONE, RewardIndex, Rounding, TimeIntegral, mul_div};

use crate::{
    Address, Error, Header, Result, account,
    ground::layout::layout,
    stake::{
        cohort::{Cohort, MAX_COHORTS},
        lock::Boost,
        yield_share::YieldShare,
    },
};

/// Shares (and, at first, base units) that belong to nobody. The pool's creator pays them.
pub const SEED_SHARES: u64 = 1_000;
/// A pool whose share is worth less than 1 / this of its first price is retired.
pub const MINIMUM_PRICE_DIVISOR: u64 = 100;
/// A slot that nobody has left after: the reward is for those who are there.
pub const NOBODY_LEFT: u64 = u64::MAX;
/// One, as [`Pool::survival`] counts.
pub const SURVIVAL_ONE: u64 = 1_000_000_000_000_000_000;

/// A pool of whose exits slashes have left less than a millionth is retired.
const MINIMUM_SURVIVAL: u64 = SURVIVAL_ONE / 1_000_000;

/// What a pool stakes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PoolKind {
    /// A trainer's honesty.
    Trainer = 1,
    /// An auditor's honesty.
    Auditor = 2,
    /// An evaluator's honesty.
    Evaluator = 3,
    /// A provider's data.
    Data = 4,
    /// A domain of a job deserving training.
    Attention = 5,
    /// A model being of use.
    Model = 6,
    /// A server's service.
    Server = 7,
}

impl PoolKind {
    /// The kind of a byte.
    pub const fn from_byte(byte: u8) -> Option<PoolKind> {
        Some(match byte {
            1 => PoolKind::Trainer,
            2 => PoolKind::Auditor,
            3 => PoolKind::Evaluator,
            4 => PoolKind::Data,
            5 => PoolKind::Attention,
            6 => PoolKind::Model,
            7 => PoolKind::Server,
            _ => return None,
        })
    }
}

/// The pool takes stake.
pub const ACTIVE: u8 = 1;
/// The pool takes no stake any more; exits and claims go on.
pub const RETIRED: u8 = 2;

layout! {
    /// The stake of an operator or a domain: a first-loss bond, shares of delegators, what was earned.
    #[derive(Clone, Copy, Debug, Plain, Zeroable)]
    #[repr(C)]
    pub struct Pool {
        /// Kind, version, bump.
        pub header: Header,
        /// A [`PoolKind`].
        pub kind: u8,
        /// [`ACTIVE`] or [`RETIRED`].
        pub status: u8,
        /// The operator's part of what delegators earn.
        pub commission_bps: u16,
        /// Third seed: the operator's count, or the domain's number of an attention pool.
        pub index: u32,
        /// The operator's wallet; of an attention pool the job.
        pub scope: Address,
        /// The operator's own stake, which is lost first, base units.
        pub self_bond: u64,
        /// Delegated base units behind `shares`.
        pub assets: u64,
        /// Shares, [`SEED_SHARES`] of them nobody's.
        pub shares: u64,
        /// Base units of exits under way.
        pub unbonding_assets: u64,
        /// Part of a base unit of an exit under way that all slashes so far have left, of [`SURVIVAL_ONE`].
        pub survival: u64,
        /// Base units owed to positions, spread by the index or held.
        pub rewards_owed: u64,
        /// Of those base units, earned while nobody held a share: nobody's, until it goes back to where it came from ([`Pool::take_unowned`]).
        pub rewards_held: u64,
        /// Base units owed to the operator.
        pub commission_owed: u64,
        /// Reward per share.
        pub reward_index: RewardIndex,
        /// See [`RewardIndex::add`].
        pub reward_remainder: u64,
        /// Slot from which a retired operator may take the bond.
        pub bond_release_slot: u64,
        /// An auditor's hash chain: the next draw's preimage hashes to it.
        pub chain_tip: [u8; 32],
        /// The job that an auditor's chain serves or that trains a model; zero before an auditor joined one.
        pub chain_job: Address,
        /// Σ assets · slots up to `integral_slot`.
        pub integral: TimeIntegral,
        /// Slot of the last change of `integral`.
        pub integral_slot: u64,
        /// `integral` when the last round was opened (attention pools).
        pub snapshot: TimeIntegral,
        /// Slot of the snapshot.
        pub snapshot_slot: u64,
        /// Disputes open against the operator.
        pub open_disputes: u32,
        /// Segments that counted.
        pub segments_accepted: u32,
        /// Segments convicted.
        pub segments_convicted: u32,
        /// Drawn segments attested.
        pub audits_attested: u32,
        /// Draws not revealed or drawn segments not attested.
        pub audits_missed: u32,
        /// Evaluations within the tolerance.
        pub evaluations_accepted: u32,
        /// Evaluations off or not revealed.
        pub evaluations_rejected: u32,
        /// Votes and attestations convicted.
        pub claims_convicted: u32,
        /// Base units of new stake that is not active yet; slashed by `survival`.
        pub pending_assets: u64,
        /// Shares that are SPL tokens, in nobody's position.
        pub liquid_shares: u64,
        /// The pool's part in the staking yield.
        pub yield_share: YieldShare,
        /// A model's parent, whose pool takes `royalty_bps` of the model's fees; zero without one.
        pub parent: Address,
        /// Weight of stake in other pools that steers towards this domain, base units (attention pools).
        pub steered: u64,
        /// What locks add to the steering weight (attention pools).
        pub boost: Boost,
        /// The part of a model's fees that goes on to its parent.
        pub royalty_bps: u16,
        /// 1 if rewards raise the price of a share instead of being claimed, else 0.
        pub compounding: u8,
        /// Always 0.
        pub padding: [u8; 1],
        /// Of `allotted_bps`, what was allotted to places that it left while claims were open: free once none is.
        pub left_bps: u16,
        /// Part of its stake that is allotted to places, over all jobs, at most [`BPS_ONE`].
        pub allotted_bps: u16,
        /// Σ stake that yields · slots up to `integral_slot`; see [`Pool::yielding`].
        pub stake_integral: TimeIntegral,
        /// Yield and fees that are passed on evenly until `drip_end_slot`, base units.
        pub dripping: u64,
        /// From this slot on nothing drips.
        pub drip_end_slot: u64,
        /// Σ slices of the own bond behind claims that a verdict can still convict, base units; see [`Pool::pledge`].
        pub frozen_bond: u64,
        /// Σ slices behind claims of rounds that came to nothing, which stand behind others as well; see [`Pool::thaw`].
        pub thawed_bond: u64,
        /// What convictions of such claims cost and other claims stand behind, base units: taken when it is free, see [`Pool::collect`].
        pub owed_bond: u64,
        /// Places of jobs that it holds, whatever their state.
        pub seats: u32,
        /// Rounds that had come to nothing by themselves and were undone for its claims: see `Round::undo_work`.
        pub excused_count: u8,
        /// Always 0.
        pub seats_reserved: [u8; 3],
        /// Slot of the last conviction that took something of its delegators; 0 before the first. Claims made by then take nothing more of them.
        pub convicted_slot: u64,
        /// Longest that it answers for a claim or an absence in a job which it joined, slots: neither its bond nor its delegators leave sooner. Of an
        /// attention pool the longest from the opening of a round of its job to the pay.
        pub exposure_slots: u64,
        /// Before this slot nothing that is pending becomes active: until everything is paid that was committed before its exposure rose.
        pub waiting_until_slot: u64,
        /// Shares that earn, of an attention pool; see [`Position::season`](crate::stake::position::Position::season).
        pub earning_shares: u64,
        /// The last slot of the last absence that was charged: a demand that was made by then charges nothing more (data pools).
        pub absent_until_slot: u64,
        /// What the last snapshot found (attention pools).
        pub snapshot_average: u64,
        /// Base units of the own bond that were added so late that they take no part yet of what is split by present stake; see [`Pool::seasoned`].
        pub young_bond: u64,
        /// From this slot on nothing of it is young.
        pub young_until_slot: u64,
        /// Cohorts of leavers so far: the number of the newest one.
        pub cohort_count: u64,
        /// The last of them, by number modulo their count; see [`crate::stake::cohort`].
        pub cohorts: [Cohort; MAX_COHORTS],
        /// A key that does the pool's work in the operator's place; zero for none. See [`crate::stake::session`].
        pub session_key: Address,
        /// The first slot in which that key does nothing any more.
        pub session_until_slot: u64,
        /// The job whose claims `claims_bond` counts; see [`Pool::pledge`].
        pub claims_job: Address,
        /// Of `frozen_bond` and `thawed_bond` together, slices behind claims of `claims_job` that were made since it is that, base units.
        pub claims_bond: u64,
    }
}

account!(Pool, Pool, 2368, liabilities: |pool| pool.held());

/// What a slash took, base units. All of it has left the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlashOutcome {
    /// From the operator's own bond.
    pub from_bond: u64,
    /// From delegated assets, exits under way and pending stake.
    pub from_delegators: u64,
    /// Of a claim's conviction: whether less of its slice was there than its part, taken and owed together.
    pub is_short: bool,
}

impl SlashOutcome {
    /// Both parts.
    pub fn total(&self) -> Result<u64> {
        Ok(int::add(self.from_bond, self.from_delegators)?)
    }
}

/// How a slice of the own bond stands behind a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backing {
    /// Whether it stands behind another claim as well: 1, else 0.
    pub is_thawed: u8,
    /// Whether [`Pool::claims_bond`] counts it: 1, else 0.
    pub is_counted: u8,
}

/// Stake behind a claim when it was made, base units: who earned what it is paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stakes {
    /// Own bond and delegated stake.
    pub whole: u64,
    /// The operator's part.
    pub own: u64,
}

impl Pool {
    /// A new pool at [`SURVIVAL_ONE`] with its seed shares, whose base units the creator pays beside `self_bond`.
    pub fn initialise(&mut self, kind: PoolKind, scope: &Address, index: u32, slot: u64) {
        self.kind = kind as u8;
        self.status = ACTIVE;
        self.scope = *scope;
        self.index = index;
        self.assets = SEED_SHARES;
        self.shares = SEED_SHARES;
        self.survival = SURVIVAL_ONE;
        self.integral_slot = slot;
        self.snapshot_slot = slot;
        self.boost.start(slot);
    }

    /// Everything in the vault that is this pool's.
    pub fn held(&self) -> Result<u64> {
        let moving = int::add(self.unbonding_assets, self.pending_assets)?;
        let stake = int::add(int::add(self.self_bond, self.assets)?, moving)?;
        let rewards = int::add(int::add(self.rewards_owed, self.commission_owed)?, self.dripping)?;
        Ok(int::add(stake, rewards)?)
    }

    /// Stake that counts: own bond and active delegated assets, without exits under way and without what is pending.
    pub fn stake(&self) -> Result<u64> {
        Ok(int::add(self.self_bond, self.assets)?)
    }

    /// Stake that yields: what counts, nothing once the pool is retired; in an attention pool what earns.
    pub fn yielding(&self) -> Result<u64> {
        if self.status != ACTIVE {
            return Ok(0);
        }
        if self.is_attention() { Ok(self.earning_shares) } else { self.stake() }
    }

    /// Whether it is a domain's, or a side of a setting.
    pub fn is_attention(&self) -> bool {
        self.kind == PoolKind::Attention as u8
    }

    /// Shares over which is spread what is earned.
    pub fn owners(&self) -> u64 {
        if self.is_attention() { self.earning_shares } else { self.shares.saturating_sub(SEED_SHARES) }
    }

    /// Checks the kind.
    pub fn require_kind(&self, kind: PoolKind) -> Result<()> {
        if self.kind == kind as u8 { Ok(()) } else { Err(Error::WrongPoolKind) }
    }

    /// Checks that the wallet operates the pool.
    pub fn require_operator(&self, wallet: &Address) -> Result<()> {
        if self.is_attention() || self.scope != *wallet { Err(Error::NotAuthority) } else { Ok(()) }
    }

    /// Ties an auditor's chain to a job, once and for all. A chain that served two jobs could be moved on in one of them
    /// until its next draw in the other suits the auditor, who would then have chosen what it audits, and the next seed.
    pub fn bind_chain(&mut self, job: &Address) -> Result<()> {
        if self.chain_job != [0; 32] && self.chain_job != *job {
            return Err(Error::ChainInUse);
        }
        self.chain_job = *job;
        Ok(())
    }

    /// Puts a slice of the own bond behind a claim of a job: no other claim has it, in whatever job, until [`Pool::release`]. What was thawed
    /// stands behind claims of its own job alone, so that no other job's verdicts reach it. The pool counts what stands behind claims of one job; once that is
    /// nothing, the next claim's job takes that one's place. What was thawed is of that job: see [`Pool::thaw`]. Returns whether the slice is counted: 1, else 0.
    pub fn pledge(&mut self, slice: u64, job: &Address) -> Result<u8> {
        if self.status != ACTIVE {
            return Err(Error::PoolRetired);
        }
        let mut taken = int::add(self.owed_bond, int::add(self.frozen_bond, slice)?)?;
        let is_first = self.claims_bond == 0;
        let is_counted = is_first || self.claims_job == *job;
        if is_first {
            self.claims_job = *job;
        }
        if is_counted {
            self.claims_bond = self.claims_bond.saturating_add(slice);
        } else {
            taken = int::add(taken, self.thawed_bond)?;
        }
        if self.self_bond < taken {
            return Err(Error::SelfBondTooSmall);
        }
        self.frozen_bond += slice;
        Ok(is_counted as u8)
    }

    /// Whether claims may be open that are of another job than `claims_job`: what is open is more than what is counted.
    pub fn is_mixed(&self) -> bool {
        self.claims_bond < self.frozen_bond.saturating_add(self.thawed_bond)
    }

    /// Lets a slice stand behind another claim beside its own, which is of a round that came to nothing: a verdict on that still costs it, but it
    /// does not stand in the way of the repeat any more, and is taken when nothing stands before it. None does while claims of several jobs are
    /// open: it would stand behind claims of another job.
    pub(crate) fn thaw(&mut self, slice: u64) -> Result<()> {
        if self.is_mixed() {
            return Err(Error::ClaimsInSeveralJobs);
        }
        self.frozen_bond = int::sub(self.frozen_bond, slice)?;
        self.thawed_bond = int::add(self.thawed_bond, slice)?;
        Ok(())
    }

    /// Frees the slice of a claim that no verdict can convict any more, or that one has convicted. What lies in `slice` leaves it.
    pub fn release(&mut self, slice: &mut u64, backing: Backing) {
        let bond = if backing.is_thawed == 0 { &mut self.frozen_bond } else { &mut self.thawed_bond };
        let freed = core::mem::take(slice);
        *bond = bond.saturating_sub(freed);
        if backing.is_counted != 0 {
            self.claims_bond = self.claims_bond.saturating_sub(freed);
        }
    }

    /// Own bond that stands behind no claim but thawed ones, and is not owed.
    fn unfrozen(&self) -> u64 {
        self.self_bond.saturating_sub(self.frozen_bond).saturating_sub(self.owed_bond)
    }

    /// How much of what a conviction costs is taken of the own bond at once, and whether less was there. A claim has its slice. One whose slice was
    /// thawed has what is not owed already: of it, what no other claim stands before is taken, and the rest is owed. The caller has released the
    /// slice, and slashes.
    pub(crate) fn charge_slice(&mut self, part: u64, is_thawed: u8) -> (u64, bool) {
        if is_thawed == 0 {
            return (part.min(self.self_bond), part > self.self_bond);
        }
        let due = part.min(self.self_bond.saturating_sub(self.owed_bond));
        let from_bond = due.min(self.unfrozen());
        self.owed_bond = self.owed_bond.saturating_add(due - from_bond);
        (from_bond, due < part)
    }

    /// Takes of what is owed as much as no claim stands before any more; the caller insures it.
    pub(crate) fn collect(&mut self, slot: u64) -> Result<SlashOutcome> {
        let from_bond = self.owed_bond.min(self.self_bond.saturating_sub(self.frozen_bond));
        if from_bond == 0 {
            return Ok(SlashOutcome::default());
        }
        self.owed_bond -= from_bond;
        self.slash(from_bond, 0, slot)
    }

    /// Takes base units of the own bond. Nobody owes more than it has.
    fn take_own(&mut self, amount: u64) -> Result<()> {
        self.self_bond = int::sub(self.self_bond, amount)?;
        self.owed_bond = self.owed_bond.min(self.self_bond);
        Ok(())
    }

    /// Whether any claim is open that stake was recorded for.
    fn has_open_claims(&self) -> bool {
        self.frozen_bond | self.thawed_bond != 0
    }

    /// Whether its operator has nothing to do any more, and answers for nothing: it is retired, and no claim and no dispute is open.
    pub fn is_over(&self) -> bool {
        self.status == RETIRED && self.open_disputes == 0 && !self.has_open_claims()
    }

    /// Allots a part of the stake to a place instead of what it had there. All places together have the whole at most, so that no stake
    /// counts twice; and a part that is taken back counts elsewhere only when no claim is open that was made with it.
    pub fn allot(&mut self, before_bps: u16, after_bps: u16) -> Result<()> {
        if after_bps < before_bps && self.has_open_claims() {
            return Err(Error::AllotmentInUse);
        }
        self.free_left();
        let allotted_bps = self.allotted_bps.saturating_sub(before_bps).saturating_add(after_bps);
        if allotted_bps > BPS_ONE {
            return Err(Error::AllotmentTooLarge);
        }
        self.allotted_bps = allotted_bps;
        Ok(())
    }

    /// It has a place no more to which so much was allotted. That counts elsewhere once no claim is open.
    pub fn vacate(&mut self, allotted_bps: u16) {
        self.seats = self.seats.saturating_sub(1);
        self.left_bps = self.left_bps.saturating_add(allotted_bps);
        self.free_left();
    }

    fn free_left(&mut self) {
        if self.left_bps != 0 && !self.has_open_claims() {
            self.allotted_bps = self.allotted_bps.saturating_sub(core::mem::take(&mut self.left_bps));
        }
    }

    /// S_i of a place: its part of the stake that counts, and the operator's own part of it.
    /// What the bond owes is the operator's no more.
    pub fn allotted(&self, allotted_bps: u16) -> Result<Stakes> {
        let own = self.self_bond.saturating_sub(self.owed_bond);
        let whole = int::bps(int::add(own, self.assets)?, allotted_bps, Rounding::Down)?;
        Ok(Stakes { whole, own: int::bps(own, allotted_bps, Rounding::Down)?.min(whole) })
    }

    /// By what pay is split that no claim has recorded stake for: present stake, without the own bond that is young.
    pub fn seasoned(&self, slot: u64) -> Result<Stakes> {
        let young = if slot < self.young_until_slot { self.young_bond } else { 0 };
        let own = self.self_bond.saturating_sub(young);
        Ok(Stakes { whole: int::add(own, self.assets)?, own })
    }

    /// Notes that claims of a job which it joins can be convicted so long. If that is longer than before, what is on its way in waits as what
    /// comes now: the line on which it becomes active knows nothing of the job.
    pub fn expose(&mut self, slots: u64, slot: u64) {
        if slots > self.exposure_slots {
            self.exposure_slots = slots;
            self.waiting_until_slot = self.waiting_until_slot.max(slot.saturating_add(self.waiting_slots()));
        }
    }

    /// Slots from an exit's or a retirement's request to its claim: the configuration's, longer if a job that the pool joined can convict
    /// it longer.
    pub fn exit_slots(&self, unbonding_slots: u64) -> u64 {
        if self.is_attention() { unbonding_slots } else { unbonding_slots.max(self.exposure_slots) }
    }

    /// Checks that the operator may take part: active, and bonded at least as the parameters ask.
    pub fn require_bonded(&self, minimum_self_bond: u64) -> Result<()> {
        if self.status != ACTIVE {
            return Err(Error::PoolRetired);
        }
        if self.self_bond < minimum_self_bond { Err(Error::SelfBondTooSmall) } else { Ok(()) }
    }

    /// Brings the integrals (of delegated assets and steering votes; of stake that yields) up to `slot`, and passes on the yield that is
    /// due. Every change of assets, votes, own bond and shares comes after it.
    pub fn accrue(&mut self, slot: u64) -> Result<()> {
        let slots = slot.saturating_sub(self.integral_slot);
        if slots == 0 {
            return Ok(());
        }
        self.integral.accumulate(int::add(self.assets, self.steered)?, slots)?;
        self.stake_integral.accumulate(self.yielding()?, slots)?;
        if self.dripping > 0 {
            let left = self.drip_end_slot.saturating_sub(self.integral_slot);
            let due = if slots >= left { self.dripping } else { mul_div(self.dripping, slots, left, Rounding::Down)? };
            self.dripping -= due;
            self.credit(due)?;
        }
        self.integral_slot = slot;
        Ok(())
    }

    /// Takes in yield or fees that were earned over `span` slots, to be passed on over the same number. With what drips already, base units times slots
    /// add up. The caller has accrued.
    pub fn drip(&mut self, amount: u64, span: u64, slot: u64) -> Result<()> {
        if amount == 0 {
            return Ok(());
        }
        let dripping = int::add(self.dripping, amount)?;
        let mut area = TimeIntegral::default();
        area.accumulate(self.dripping, self.drip_end_slot.saturating_sub(slot))?;
        area.accumulate(amount, span)?;
        area.accumulate(dripping - 1, 1)?;
        self.drip_end_slot = int::add(slot, area.average(TimeIntegral::default(), dripping)?)?;
        self.dripping = dripping;
        Ok(())
    }

    /// Time-weighted average of delegated assets, steering votes and locks' boost since the last call, which is also the
    /// start of the next span. The seed's base units are left out. A second call in one slot gives what the first gave: what is there
    /// at the moment, for a slot perhaps, never counts.
    pub fn take_snapshot(&mut self, slot: u64) -> Result<u64> {
        self.accrue(slot)?;
        let span = slot.saturating_sub(self.snapshot_slot);
        if span > 0 {
            let average = self.integral.average(self.snapshot, span)?;
            self.snapshot = self.integral;
            self.snapshot_slot = slot;
            // An attention pool is never slashed and never compounds: a share is worth one base unit.
            let boost = self.boost.take_snapshot(slot)?;
            self.snapshot_average = int::add(average.saturating_sub(SEED_SHARES), boost)?;
        }
        Ok(self.snapshot_average)
    }

    /// A demand that was made in `opened_slot` was not answered by `deadline_slot`: says whether that is an absence of its own, and notes
    /// it. One that began while the last charged one lasted is part of that.
    pub fn is_absence(&mut self, opened_slot: u64, deadline_slot: u64) -> bool {
        // Slot 0 is the genesis: nobody demands anything in it.
        let is_new = opened_slot > self.absent_until_slot;
        if is_new {
            self.absent_until_slot = deadline_slot;
        }
        is_new
    }

    /// Checks that the pool takes stake.
    pub fn require_open(&self) -> Result<()> {
        if self.status != ACTIVE {
            return Err(Error::PoolRetired);
        }
        // Nobody buys into a fraud that is already known.
        if self.open_disputes != 0 { Err(Error::PoolFrozen) } else { Ok(()) }
    }

    /// Adds delegated assets and returns the shares that they buy, rounded down.
    pub fn add_assets(&mut self, amount: u64, slot: u64) -> Result<u64> {
        if amount == 0 {
            return Err(Error::ZeroAmount);
        }
        self.require_open()?;
        self.accrue(slot)?;
        let shares = int::shares_for_deposit(amount, self.shares, self.assets)?;
        if shares == 0 {
            return Err(Error::ZeroAmount);
        }
        self.assets = int::add(self.assets, amount)?;
        self.shares = int::add(self.shares, shares)?;
        Ok(shares)
    }

    /// Removes shares and returns the base units behind them, rounded down.
    pub fn remove_shares(&mut self, shares: u64, slot: u64) -> Result<u64> {
        if shares == 0 {
            return Err(Error::ZeroAmount);
        }
        self.accrue(slot)?;
        let amount = int::assets_for_shares(shares, self.shares, self.assets)?;
        self.shares = int::sub(self.shares, shares)?;
        self.assets = int::sub(self.assets, amount)?;
        Ok(amount)
    }

    /// Takes in a reward that the vault holds already: the own bond's part and the commission go to the operator, the
    /// rest to the shares: to be claimed, or, in a compounding pool, as a higher price. Bond that was young at the last [`Pool::accrue`] takes
    /// nothing.
    pub fn credit(&mut self, reward: u64) -> Result<()> {
        let stakes = self.seasoned(self.integral_slot)?;
        self.credit_by(reward, &stakes, NOBODY_LEFT)
    }

    /// Likewise, split between operator and shares by the stake that earned it, whatever was staked since. Of the shares
    /// those take part as well that left after `made_slot`, when the work was done.
    pub fn credit_by(&mut self, reward: u64, stakes: &Stakes, made_slot: u64) -> Result<()> {
        let own = if stakes.whole == 0 { 0 } else { mul_div(reward, stakes.own, stakes.whole, Rounding::Down)? };
        let delegated = int::sub(reward, own)?;
        let commission = int::bps(delegated, self.commission_bps, Rounding::Down)?;
        let spread = int::sub(delegated, commission)?;
        self.commission_owed = int::add(self.commission_owed, int::add(own, commission)?)?;
        let owners = self.owners();
        let is_compounded = owners != 0 && self.compounding != 0;
        // A higher price is the seed's as well.
        let left = self.credit_leavers(spread, if is_compounded { self.shares } else { owners }, made_slot)?;
        let present = int::sub(spread, left)?;
        self.rewards_owed = int::add(self.rewards_owed, if is_compounded { left } else { spread })?;
        if owners == 0 {
            self.rewards_held = int::add(self.rewards_held, present)?;
        } else if is_compounded {
            self.assets = int::add(self.assets, present)?;
        } else {
            self.reward_index.add(present, owners, &mut self.reward_remainder)?;
        }
        Ok(())
    }

    /// Takes what was earned while nobody held a share; the caller returns it to the stream that it came from. The first to stake
    /// has not earned it.
    pub fn take_unowned(&mut self) -> Result<u64> {
        let unowned = core::mem::take(&mut self.rewards_held);
        self.rewards_owed = int::sub(self.rewards_owed, unowned)?;
        Ok(unowned)
    }

    /// Takes the operator's earnings.
    pub fn take_commission(&mut self) -> Result<u64> {
        if self.commission_owed == 0 {
            return Err(Error::NothingToClaim);
        }
        Ok(core::mem::take(&mut self.commission_owed))
    }

    /// Takes `bond_bps` of the own bond and `delegated_bps` of delegated assets, of exits under way and of pending stake,
    /// rounded up; a pool whose share falls below the minimum price is retired.
    pub fn slash_bps(&mut self, bond_bps: u16, delegated_bps: u16, slot: u64) -> Result<SlashOutcome> {
        let from_bond = int::bps(self.self_bond, bond_bps, Rounding::Up)?;
        self.slash(from_bond, delegated_bps, slot)
    }

    /// Takes base units of the own bond, and `delegated_bps` of what is delegated.
    pub(crate) fn slash(&mut self, from_bond: u64, delegated_bps: u16, slot: u64) -> Result<SlashOutcome> {
        if delegated_bps > BPS_ONE {
            return Err(Error::ParameterOutOfBounds);
        }
        self.accrue(slot)?;
        let from_assets = int::bps(self.assets, delegated_bps, Rounding::Up)?;
        // What remains of exits is rounded up and what each exit may claim is rounded down, so that claims never exceed it.
        let from_unbonding = int::bps(self.unbonding_assets, delegated_bps, Rounding::Down)?;
        let from_pending = int::bps(self.pending_assets, delegated_bps, Rounding::Down)?;
        self.survival = int::bps(self.survival, BPS_ONE - delegated_bps, Rounding::Down)?;
        self.take_own(from_bond)?;
        self.assets = int::sub(self.assets, from_assets)?;
        self.unbonding_assets = int::sub(self.unbonding_assets, from_unbonding)?;
        self.pending_assets = int::sub(self.pending_assets, from_pending)?;
        self.retire_below_minimum_price();
        let from_moving = int::add(from_unbonding, from_pending)?;
        Ok(SlashOutcome { from_bond, from_delegators: int::add(from_assets, from_moving)?, is_short: false })
    }

    /// Charges a penalty: from the own bond, then from delegated assets, down to zero. Exits under way are not charged:
    /// a penalty is no conviction.
    pub fn charge(&mut self, amount: u64, slot: u64) -> Result<SlashOutcome> {
        self.accrue(slot)?;
        let from_bond = amount.min(self.self_bond);
        let from_delegators = (amount - from_bond).min(self.assets);
        self.take_own(from_bond)?;
        self.assets -= from_delegators;
        self.retire_below_minimum_price();
        Ok(SlashOutcome { from_bond, from_delegators, is_short: false })
    }

    /// A pool is retired, never re-minted, once its shares are worth next to nothing: their number would overflow. Neither
    /// does it go on once slashes have left so little of exits and pending stake that their parts could not be told.
    fn retire_below_minimum_price(&mut self) {
        if self.assets < self.shares / MINIMUM_PRICE_DIVISOR || self.survival < MINIMUM_SURVIVAL {
            self.status = RETIRED;
        }
    }

    /// A dispute against the operator begins.
    pub fn freeze(&mut self) -> Result<()> {
        self.open_disputes = self.open_disputes.checked_add(1).ok_or(Error::Overflow)?;
        Ok(())
    }

    /// A dispute against the operator ends.
    pub fn unfreeze(&mut self) -> Result<()> {
        self.open_disputes = self.open_disputes.checked_sub(1).ok_or(Error::PoolNotFrozen)?;
        Ok(())
    }

    /// The operator adds to the own bond. It takes no part of what is split by present stake until new stake of delegators would be active
    /// and everything is paid that was done before.
    pub fn add_bond(&mut self, amount: u64, slot: u64, activation_slots: u64) -> Result<()> {
        if amount == 0 {
            return Err(Error::ZeroAmount);
        }
        if self.status != ACTIVE {
            return Err(Error::PoolRetired);
        }
        self.accrue(slot)?;
        let young = if slot < self.young_until_slot { self.young_bond } else { 0 };
        self.young_bond = int::add(young, amount)?;
        self.young_until_slot = int::add(slot, activation_slots.max(self.waiting_slots()))?;
        self.self_bond = int::add(self.self_bond, amount)?;
        Ok(())
    }

    /// The operator stops for good. The bond stays first-loss until it is withdrawn, an unbonding time from now.
    pub fn retire(&mut self, slot: u64, unbonding_slots: u64) -> Result<()> {
        if self.bond_release_slot != 0 {
            return Err(Error::PoolRetired);
        }
        // The bond answers for absences as long as an exit takes after the last place was left, which needs nobody.
        if self.seats != 0 {
            return Err(Error::SeatsHeld);
        }
        self.bond_release_slot = int::add(slot, self.exit_slots(unbonding_slots))?;
        self.accrue(slot)?;
        self.status = RETIRED;
        Ok(())
    }

    /// The operator takes what is left of the bond and free.
    pub fn take_bond(&mut self, slot: u64) -> Result<u64> {
        if self.bond_release_slot == 0 {
            return Err(Error::PoolNotRetired);
        }
        if slot < self.bond_release_slot || self.open_disputes != 0 {
            return Err(Error::BondLocked);
        }
        // What is behind open claims stays until they are settled, and what is owed is the operator's no more.
        let free = self.unfrozen().saturating_sub(self.thawed_bond);
        if free == 0 {
            return Err(if self.self_bond == 0 { Error::NothingToClaim } else { Error::BondLocked });
        }
        self.accrue(slot)?;
        self.self_bond -= free;
        Ok(free)
    }
}

#[cfg(test)]
mod tests;
