//! What the token emits per epoch, by how much the network is used, and how it gives way to fees.
//!
//! Two streams leave the genesis buckets: staking rewards and node rewards. Once per epoch anyone turns the crank
//! ([`Emission::turn`]):
//!
//! ```text
//! u      = clamp((D / D_ref) · min(1, (C / C_ref) / (N / N_ref)), u_min, 1)
//! gross  = min(cap, u · target)                      per stream; the cap decays by a fixed part per epoch
//! net    = max(0, gross − κ · fees · gross / Σ gross), at most what the bucket holds
//! Y      = (T_r / S_t) · u                           staking yield: the stream's net over all stake, at most Y_max
//! R_gpu  = u · (S_t / T_s) · unit · work             node reward per unit of verified work, at most what is released
//! ```
//! D is what fees burned, C the verified work per node, N the nodes at work (exponential averages, one quarter new), S_t the stake,
//! T_s the supply. The white paper's D·C/N is kept, each measured against a reference so that it has no unit.
//!
//! Invariants:
//! - All that both streams ever pay is at most their buckets: nothing is minted here.
//! - One more base unit of burned fees raises all later emission by less than one base unit ([`Schedule::check`] keeps
//!   Σ targets at most nine tenths of D_ref), so that demand dealt to oneself loses money.
//! - Yield is spread slot by slot over the stake that counts at that slot: what stake earns is proportional to how long it was there.
//! - What is released and not paid within [`VINTAGES`] epochs goes to the reserve; an epoch that nobody turned emits nothing.

use bytemuck::{Pod, Zeroable};
use sip_arith::int::{self, RewardIndex, Rounding, TimeIntegral, mul_div};

use crate::{
    Error, Result,
    admin::{administration::ProposalKind, config::Config},
    ground::layout::layout,
    ground::{
        schedule::{MAXIMUM_COUNT, NODES, ONE, STAKING, Schedule},
        units::CAP,
    },
    stake::yield_share::YieldShare,
};

/// Epochs for which released rewards wait for work.
pub const VINTAGES: usize = 4;
/// The weight of a new epoch in the exponential averages is 1 / this.
const AVERAGE_EPOCHS: u64 = 4;
/// What kind of time the network lives in: what a dashboard says about the last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// At the floor or near it: emission pays for being there.
    LowDemand,
    /// Between the two: emission follows demand.
    Growing,
    /// Three quarters of full utilisation or more.
    HighEfficiency,
    /// Fees have replaced at least half of what would have been emitted.
    FeeDominated,
}

layout! {
    /// One of the two streams.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Stream {
        /// Most that the next epoch emits, base units.
        pub cap: u64,
        /// Released and not yet paid, base units, the youngest first.
        pub released: [u64; VINTAGES],
    }
}

impl Stream {
    /// Base units that can be paid.
    pub fn available(&self) -> Result<u64> {
        self.released.iter().try_fold(0, |sum, &part| Ok(int::add(sum, part)?))
    }

    /// Takes at most `amount`, the oldest first, and returns what there was.
    fn take(&mut self, amount: u64) -> u64 {
        let mut left = amount;
        for part in self.released.iter_mut().rev() {
            let taken = left.min(*part);
            *part -= taken;
            left -= taken;
        }
        amount - left
    }

    /// Releases a new vintage and returns what is too old to wait any longer.
    fn release(&mut self, amount: u64, decay: u64) -> Result<u64> {
        let expired = self.released[VINTAGES - 1];
        self.released.copy_within(..VINTAGES - 1, 1);
        self.released[0] = amount;
        self.cap = int::sub(self.cap, mul_div(self.cap, decay, ONE, Rounding::Up)?)?;
        Ok(expired)
    }
}

layout! {
    /// The state of emission.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
    #[repr(C)]
    pub struct Emission {
        /// What governance set.
        pub schedule: Schedule,
        /// Epochs turned.
        pub epoch: u64,
        /// Slot from which the epoch can be turned.
        pub end_slot: u64,
        /// This epoch: fees burned, base units.
        pub fees_burned: u64,
        /// This epoch: units of verified work.
        pub work: u64,
        /// This epoch: nodes whose work was accepted, summed over rounds.
        pub node_rounds: u64,
        /// This epoch: rounds scored.
        pub rounds: u64,
        /// Exponential average of D, base units.
        pub average_demand: u64,
        /// Exponential average of C, thousandths of a unit of work per node.
        pub average_power: u64,
        /// Exponential average of N, thousandths of a node.
        pub average_nodes: u64,
        /// u of the last epoch, of [`ONE`].
        pub utilisation: u64,
        /// What the last epoch would have emitted without fees, base units.
        pub gross: u64,
        /// What fees replaced of it, base units.
        pub offset: u64,
        /// Staking and nodes.
        pub streams: [Stream; 2],
        /// S_t: stake that earns the yield, base units.
        pub total_stake: u64,
        /// Yield per staked base unit since the beginning.
        pub yield_index: RewardIndex,
        /// See [`RewardIndex::add`].
        pub yield_remainder: u64,
        /// Yield taken out of the stream and not yet paid into pools, base units.
        pub yield_owed: u64,
        /// Of it, the base units that are still to be spread by the index, evenly until `yield_end_slot`.
        pub yield_left: u64,
        /// Up to this slot it is spread.
        pub yield_slot: u64,
        /// From this slot on nothing is left to spread.
        pub yield_end_slot: u64,
    }
}

const _: () = assert!(size_of::<Emission>() == 344);

/// What turning an epoch did, base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turned {
    /// Released per stream.
    pub released: [u64; 2],
    /// Spread over stake.
    pub yielded: u64,
    /// Returned to the reserve.
    pub expired: u64,
}

/// What a settlement of the yield is made from: a pool's active stake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// At present, base units.
    pub stake: u64,
    /// Its integral up to `slot`.
    pub integral: TimeIntegral,
    /// The present slot.
    pub slot: u64,
}

fn average(old: u64, new: u64) -> Result<u64> {
    let kept = mul_div(old, AVERAGE_EPOCHS - 1, AVERAGE_EPOCHS, Rounding::Down)?;
    Ok(int::add(kept, new / AVERAGE_EPOCHS)?)
}

/// a / b, of [`ONE`]; at most a million.
fn ratio(a: u64, b: u64) -> u64 {
    let most = ONE.wrapping_mul(1_000_000);
    mul_div(a, ONE, b, Rounding::Down).unwrap_or(most).min(most)
}

/// What a round's work may draw out of the node stream once the round is final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quote {
    /// Base units: no more than there is now.
    pub reward: u64,
    /// What the work is worth, base units: as much, if the stream has it.
    pub worth: u64,
}

impl Emission {
    /// Starts the first epoch.
    pub fn initialise(&mut self, schedule: &Schedule, slot: u64) -> Result<()> {
        schedule.check()?;
        *self = Emission { schedule: *schedule, ..Emission::default() };
        self.end_slot = int::add(slot, schedule.epoch_slots)?;
        self.utilisation = schedule.utilisation_floor;
        self.streams[STAKING].cap = schedule.first_caps[STAKING];
        self.streams[NODES].cap = schedule.first_caps[NODES];
        Ok(())
    }

    /// Replaces the schedule from the next turn on. Caps never rise again, slot by slot: a cap goes on from where it has decayed to, for as many
    /// slots as an epoch has now, or lower. An epoch that is longer is so at once, so that nobody waits less for more.
    pub fn set_schedule(&mut self, schedule: &Schedule, slot: u64) -> Result<()> {
        schedule.check()?;
        self.spread(slot)?;
        let (before, after) = (self.schedule.epoch_slots, schedule.epoch_slots);
        for (stream, &first) in self.streams.iter_mut().zip(&schedule.first_caps) {
            stream.cap = mul_div(stream.cap, after, before, Rounding::Down)?.min(first);
        }
        self.end_slot = int::add(self.end_slot, after.saturating_sub(before))?;
        self.schedule = *schedule;
        Ok(())
    }

    /// Everything in the vault that is the streams'.
    pub fn held(&self) -> Result<u64> {
        let streams = int::add(self.streams[STAKING].available()?, self.streams[NODES].available()?)?;
        Ok(int::add(streams, self.yield_owed)?)
    }

    /// Fees were burned.
    pub fn record_burn(&mut self, amount: u64) -> Result<()> {
        self.fees_burned = int::add(self.fees_burned, amount)?;
        Ok(())
    }

    /// A round is final in which the work of `nodes` nodes was accepted, `work` units in all.
    pub fn record_round(&mut self, nodes: u64, work: u64) {
        self.rounds = self.rounds.saturating_add(1).min(MAXIMUM_COUNT);
        self.node_rounds = self.node_rounds.saturating_add(nodes).min(MAXIMUM_COUNT);
        self.work = self.work.saturating_add(work).min(MAXIMUM_COUNT);
    }

    /// u for the averages as they stand, of [`ONE`].
    fn measure(&self) -> Result<u64> {
        let schedule = &self.schedule;
        let demand = ratio(self.average_demand, schedule.demand_reference);
        let power = ratio(self.average_power, int::mul(schedule.power_reference, 1_000)?);
        let nodes = ratio(self.average_nodes, int::mul(schedule.nodes_reference, 1_000)?);
        let per_node = if nodes == 0 { 0 } else { ratio(power, nodes).min(ONE) };
        let utilisation = mul_div(demand, per_node, ONE, Rounding::Down)?;
        Ok(utilisation.min(ONE).max(schedule.utilisation_floor))
    }

    /// Spreads the yield up to a slot over the stake that counts: evenly over the epoch after its turn, and in no span more than Y_max
    /// of that stake. What that leaves, or what nobody was there for, goes back into the stream.
    fn spread(&mut self, slot: u64) -> Result<()> {
        let now = slot.min(self.yield_end_slot);
        if now <= self.yield_slot {
            return Ok(());
        }
        let passed = now - self.yield_slot;
        let due = if now == self.yield_end_slot {
            self.yield_left
        } else {
            mul_div(self.yield_left, passed, self.yield_end_slot - self.yield_slot, Rounding::Down)?
        };
        let most = mul_div(self.total_stake, self.schedule.maximum_yield, ONE, Rounding::Down)?;
        let spread = due.min(mul_div(most, passed, self.schedule.epoch_slots, Rounding::Up)?);
        if spread > 0 {
            self.yield_index.add(spread, self.total_stake, &mut self.yield_remainder)?;
        }
        let back = due - spread;
        self.streams[STAKING].released[0] = int::add(self.streams[STAKING].released[0], back)?;
        self.yield_owed = int::sub(self.yield_owed, back)?;
        self.yield_left -= due;
        self.yield_slot = now;
        Ok(())
    }

    /// Ends an epoch: measures it, releases both streams, takes what the next epoch spreads as yield, returns what waited too long.
    pub fn turn(&mut self, config: &mut Config, slot: u64) -> Result<Turned> {
        if slot < self.end_slot {
            return Err(Error::EpochNotOver);
        }
        self.spread(slot)?;
        let thousandths = if self.rounds == 0 { 0 } else { ratio(self.node_rounds, self.rounds) / (ONE / 1_000) };
        let power = if thousandths == 0 {
            0
        } else {
            mul_div(self.work, 1_000_000, thousandths, Rounding::Down).unwrap_or(MAXIMUM_COUNT)
        };
        self.average_demand = average(self.average_demand, self.fees_burned)?;
        self.average_power = average(self.average_power, power.min(MAXIMUM_COUNT))?;
        self.average_nodes = average(self.average_nodes, thousandths)?;
        self.utilisation = self.measure()?;

        let mut gross = [0; 2];
        for (gross, (stream, &target)) in gross.iter_mut().zip(self.streams.iter().zip(&self.schedule.targets)) {
            *gross = stream.cap.min(mul_div(target, self.utilisation, ONE, Rounding::Down)?);
        }
        self.gross = int::add(gross[STAKING], gross[NODES])?;
        let replaced = int::bps(self.fees_burned, self.schedule.fee_offset_bps, Rounding::Up)?.min(self.gross);
        self.offset = replaced;
        let mut turned = Turned::default();
        for (number, gross) in gross.into_iter().enumerate() {
            let offset = if self.gross == 0 { 0 } else { mul_div(replaced, gross, self.gross, Rounding::Up)? };
            let bucket = match number {
                STAKING => &mut config.buckets.staking_rewards,
                _ => &mut config.buckets.operator_rewards,
            };
            let net = gross.saturating_sub(offset).min(*bucket);
            *bucket -= net;
            let expired = self.streams[number].release(net, self.schedule.decay)?;
            config.buckets.reserve = int::add(config.buckets.reserve, expired)?;
            turned.released[number] = net;
            turned.expired = int::add(turned.expired, expired)?;
        }
        if self.total_stake > 0 {
            let most = mul_div(self.total_stake, self.schedule.maximum_yield, ONE, Rounding::Down)?;
            let yielded = self.streams[STAKING].take(most);
            self.yield_owed = int::add(self.yield_owed, yielded)?;
            self.yield_left = int::add(self.yield_left, yielded)?;
            // A whole epoch, however late the turn: nobody gains by being there for a short while.
            self.yield_slot = slot;
            self.yield_end_slot = int::add(slot, self.schedule.epoch_slots)?;
            turned.yielded = yielded;
        }
        (self.fees_burned, self.work, self.node_rounds, self.rounds) = (0, 0, 0, 0);
        self.epoch = int::add(self.epoch, 1)?;
        // Epochs that nobody turned are gone: they are not caught up in one go.
        let next = int::add(self.end_slot, self.schedule.epoch_slots)?;
        self.end_slot = if next <= slot { int::add(slot, self.schedule.epoch_slots)? } else { next };
        Ok(turned)
    }

    /// Takes the reward of `work` units of verified work out of the node stream.
    pub fn draw(&mut self, config: &Config, work: u64) -> Result<u64> {
        let worth = self.worth(config, work)?;
        Ok(self.take_for_nodes(worth))
    }

    /// Takes out of the node stream, as far as it goes.
    pub(crate) fn take_for_nodes(&mut self, most: u64) -> u64 {
        self.streams[NODES].take(most)
    }

    /// What `work` units of verified work are worth, base units.
    pub fn worth(&self, config: &Config, work: u64) -> Result<u64> {
        let supply = int::sub(CAP, config.burned)?;
        let staked = if supply == 0 { 0 } else { mul_div(ONE, self.total_stake.min(supply), supply, Rounding::Down)? };
        let rate = mul_div(self.utilisation, staked, ONE, Rounding::Down)?;
        let unit = mul_div(self.schedule.unit_reward, rate, ONE, Rounding::Down)?;
        // More work than the stream can pay is paid what there is.
        Ok(int::mul(unit, work).unwrap_or(u64::MAX))
    }

    /// Settles a pool's part of the yield and sets the stake that counts from now on. Of what the counted stake has earned it gets as
    /// much as was there on average since: stake that left is paid for its time and no longer, stake that came counts from the
    /// settlement on. What is not paid goes back into the stream.
    pub fn settle(&mut self, share: &mut YieldShare, present: &Standing) -> Result<u64> {
        let Standing { stake, integral, slot } = *present;
        self.spread(slot)?;
        let span = slot.saturating_sub(share.slot);
        let average = if span == 0 { share.stake } else { integral.average(share.integral, span)? };
        let earned = self.yield_index.owed(share.stake, share.checkpoint)?;
        let paid = if average >= share.stake { earned } else { self.yield_index.owed(average, share.checkpoint)? };
        let total = int::add(int::sub(self.total_stake, share.stake)?, stake)?;
        self.yield_owed = int::sub(self.yield_owed, earned)?;
        self.streams[STAKING].released[0] = int::add(self.streams[STAKING].released[0], int::sub(earned, paid)?)?;
        self.total_stake = total;
        *share = YieldShare { stake, checkpoint: self.yield_index, integral, slot };
        Ok(paid)
    }

    /// The phase of the last epoch.
    pub fn phase(&self) -> Phase {
        if self.gross > 0 && self.offset >= self.gross - self.offset {
            Phase::FeeDominated
        } else if self.utilisation >= ONE / 4 * 3 {
            Phase::HighEfficiency
        } else if self.utilisation <= self.schedule.utilisation_floor.saturating_add(ONE / 50) {
            Phase::LowDemand
        } else {
            Phase::Growing
        }
    }
}

impl Config {
    /// Puts a proposed schedule into effect.
    pub fn apply_schedule(&mut self, emission: &mut Emission, slot: u64) -> Result<()> {
        let proposal = self.take_proposal(slot)?;
        if proposal.kind != ProposalKind::Schedule as u8 {
            return Err(Error::WrongProposal);
        }
        emission.set_schedule(&proposal.schedule, slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::config::Parameters;
    use crate::ground::schedule::{YEAR_SLOTS, vested};
    use crate::ground::units::TOKEN;
    use bytemuck::Zeroable;
    use proptest::prelude::*;

    fn start(schedule: &Schedule) -> (Config, Emission) {
        let mut config = Config::zeroed();
        config.genesis(&[1; 32], &Parameters::DEFAULT).unwrap();
        let mut emission = Emission::default();
        emission.initialise(schedule, 0).unwrap();
        (config, emission)
    }

    /// Stake that was there all along since slot 0.
    fn held(stake: u64, slot: u64) -> Standing {
        let mut integral = TimeIntegral::default();
        integral.accumulate(stake, slot).unwrap();
        Standing { stake, integral, slot }
    }

    /// Runs epochs with these burned fees, every one with the reference's work by the reference's nodes.
    fn run(schedule: &Schedule, fees: &[u64], stake: u64) -> (Config, Emission, Vec<Turned>) {
        let (mut config, mut emission) = start(schedule);
        emission.settle(&mut YieldShare::default(), &held(stake, 0)).unwrap();
        let mut turned = Vec::new();
        for &fees in fees {
            emission.record_burn(fees).unwrap();
            emission.record_round(schedule.nodes_reference, schedule.power_reference * schedule.nodes_reference);
            let slot = emission.end_slot;
            turned.push(emission.turn(&mut config, slot).unwrap());
        }
        (config, emission, turned)
    }

    #[test]
    fn the_worked_example_of_the_economics_chapter() {
        // Eight epochs with half of D_ref burned bring the average to 1/2 · (1 − (3/4)⁸) of it: u = 44.99 %.
        let schedule = Schedule { fee_offset_bps: 5_000, ..Schedule::DEFAULT };
        let half = schedule.demand_reference / 2;
        let (_, emission, turned) = run(&schedule, &[half; 8], 10_000_000 * TOKEN);
        assert_eq!(emission.utilisation, 449_943_542);
        let gross = 161_979_675_120_000 + 242_969_512_680_000;
        assert_eq!(emission.gross, gross, "u · (360 000 + 540 000) tokens");
        assert_eq!(emission.offset, 250_000 * TOKEN, "κ = 1/2 of 500 000 burned tokens");
        let net = turned[7].released[STAKING] + turned[7].released[NODES];
        assert!(gross - emission.offset - net <= 2);
        // All stake yields at most 0.2 % per epoch: 20 000 tokens of the 61 980 that were released.
        assert_eq!(turned[7].yielded, 20_000 * TOKEN);
        assert_eq!(emission.phase(), Phase::FeeDominated);
        // R_gpu: u · (10⁷ / 10⁹) · 100 tokens per unit of work.
        let (config, mut emission, _) = run(&schedule, &[half; 8], 10_000_000 * TOKEN);
        assert_eq!(emission.draw(&config, 7), Ok(449_943_500 * 7));
    }

    #[test]
    fn an_idle_network_emits_at_the_floor_and_a_late_crank_catches_nothing_up() {
        let (mut config, mut emission) = start(&Schedule::DEFAULT);
        assert_eq!(emission.turn(&mut config, 431_999), Err(Error::EpochNotOver));
        let turned = emission.turn(&mut config, 432_000 * 50).unwrap();
        assert_eq!(turned.released, [36_000 * TOKEN, 54_000 * TOKEN]);
        assert_eq!((emission.epoch, emission.end_slot), (1, 432_000 * 51));
        assert_eq!(emission.phase(), Phase::LowDemand);
    }

    #[test]
    fn what_waits_four_epochs_returns_to_the_reserve() {
        let (mut config, mut emission) = start(&Schedule::DEFAULT);
        let reserve = config.buckets.reserve;
        for epoch in 1..=6u64 {
            let turned = emission.turn(&mut config, epoch * 432_000).unwrap();
            assert_eq!(turned.expired > 0, epoch > VINTAGES as u64);
        }
        assert_eq!(config.buckets.reserve, reserve + 2 * 90_000 * TOKEN);
    }

    #[test]
    fn all_time_emission_at_full_use_stays_within_the_buckets() {
        let schedule = Schedule { fee_offset_bps: 0, ..Schedule::DEFAULT };
        let (config, emission, turned) = run(&schedule, &[schedule.demand_reference; 8_000], 0);
        let emitted: u64 = turned.iter().map(|t| t.released[STAKING] + t.released[NODES]).sum();
        assert!(emitted <= CAP / 2);
        assert!(emitted >= CAP / 2 / 100 * 97, "{emitted}: the caps are made to emit nearly everything in time");
        assert!(emission.streams[NODES].cap < 2 * TOKEN);
        assert!(config.buckets.staking_rewards < CAP / 100);
    }

    #[test]
    fn flash_stake_earns_nothing() {
        let schedule = Schedule::DEFAULT;
        let (mut config, mut emission) = start(&schedule);
        let (mut steady, mut flash) = (YieldShare::default(), YieldShare::default());
        let none = |slot| Standing { stake: 0, integral: TimeIntegral::default(), slot };
        emission.settle(&mut steady, &held(1_000_000 * TOKEN, 0)).unwrap();
        emission.settle(&mut flash, &none(0)).unwrap();
        emission.turn(&mut config, 432_000).unwrap();
        let whale = Standing { stake: 5_000_000 * TOKEN, ..none(432_000) };
        assert_eq!(emission.settle(&mut flash, &whale), Ok(0), "came after the epoch");
        assert_eq!(emission.settle(&mut flash, &none(432_100)), Ok(0), "left as soon as it was counted");
        emission.turn(&mut config, 864_000).unwrap();
        let paid = emission.settle(&mut steady, &held(1_000_000 * TOKEN, 1_296_000)).unwrap();
        assert!((3_999 * TOKEN..=4_000 * TOKEN).contains(&paid), "two epochs at the highest yield: {paid}");
        assert_eq!(emission.total_stake, 1_000_000 * TOKEN);
    }

    #[test]
    fn yield_is_spread_over_the_epoch_after_its_turn_and_never_above_its_bound() {
        let schedule = Schedule::DEFAULT;
        let (mut config, mut emission) = start(&schedule);
        let (mut large, mut small) = (YieldShare::default(), YieldShare::default());
        emission.settle(&mut large, &held(1_000_000 * TOKEN, 0)).unwrap();
        emission.settle(&mut small, &held(1_000 * TOKEN, 0)).unwrap();
        // Nobody turned it for most of a second epoch: the yield still takes a whole one to be spread.
        emission.turn(&mut config, 863_000).unwrap();
        let left = emission.yield_left;
        assert_eq!(emission.settle(&mut small, &held(1_000 * TOKEN, 863_000)), Ok(0));
        let half = emission.settle(&mut small, &held(1_000 * TOKEN, 863_000 + 216_000)).unwrap();
        assert!(half.abs_diff(TOKEN) < 10, "half of 0.2 % of a thousand tokens: {half}");
        assert!(emission.yield_left.abs_diff(left / 2) < 2);
        // The large one leaves: who is left does not get its part, which goes back into the stream.
        let waiting = emission.streams[STAKING].released[0];
        let gone = Standing { stake: 0, ..held(1_000_000 * TOKEN, 863_000 + 216_000) };
        emission.settle(&mut large, &gone).unwrap();
        let rest = emission.settle(&mut small, &held(1_000 * TOKEN, 863_000 + 432_000)).unwrap();
        assert!(rest.abs_diff(TOKEN) < 10, "no more than before: {rest}");
        assert!(emission.yield_left == 0 && emission.yield_owed < 10);
        let back = emission.streams[STAKING].released[0] - waiting;
        assert!(back.abs_diff(left / 2 - TOKEN) < 10, "{back}");
    }

    #[test]
    fn the_team_waits_a_year_and_is_done_after_five() {
        let total = CAP / 100 * 15;
        assert_eq!(vested(total, YEAR_SLOTS), Ok(0));
        assert_eq!(vested(total, YEAR_SLOTS * 2), Ok(total / 4));
        assert_eq!(vested(total, YEAR_SLOTS * 5), Ok(total));
        assert_eq!(vested(total, u64::MAX), Ok(total));
    }

    #[test]
    fn bounds_hold_the_schedule() {
        assert_eq!(Schedule::DEFAULT.check(), Ok(()));
        let bad = [
            Schedule { demand_reference: 999_000 * TOKEN, ..Schedule::DEFAULT },
            Schedule { decay: 0, ..Schedule::DEFAULT },
            Schedule { epoch_slots: 10, ..Schedule::DEFAULT },
            Schedule { maximum_yield: ONE, ..Schedule::DEFAULT },
            Schedule { nodes_reference: 0, ..Schedule::DEFAULT },
            Schedule { targets: [u64::MAX, 2], ..Schedule::DEFAULT },
        ];
        for schedule in bad {
            assert_eq!(schedule.check(), Err(Error::ParameterOutOfBounds), "{schedule:?}");
        }
    }

    #[test]
    fn caps_never_rise_again() {
        let (mut config, mut emission) = start(&Schedule::DEFAULT);
        for epoch in 1..20 {
            emission.turn(&mut config, epoch * 432_000).unwrap();
        }
        let before = emission.streams;
        let slot = 19 * 432_000;
        emission.set_schedule(&Schedule { first_caps: [CAP / 1_000; 2], ..Schedule::DEFAULT }, slot).unwrap();
        assert_eq!(emission.streams, before);
        emission.set_schedule(&Schedule { first_caps: [5; 2], ..Schedule::DEFAULT }, slot).unwrap();
        assert_eq!((emission.streams[STAKING].cap, emission.streams[NODES].cap), (5, 5));
    }

    /// A schedule of epochs of so many slots, with the greatest caps, targets and yield that they may have.
    fn greedy(epoch_slots: u64) -> Schedule {
        let part = |most: u64| (most as u128 * epoch_slots as u128 / 432_000) as u64;
        Schedule {
            epoch_slots,
            first_caps: [part(CAP / 1_000); 2],
            targets: [part(CAP / 1_000); 2],
            demand_reference: CAP,
            utilisation_floor: ONE / 2,
            maximum_yield: part(ONE / 100),
            ..Schedule::DEFAULT
        }
    }

    /// Attack: the epoch is made 432 times shorter, or longer, and caps, targets and yield stay what an epoch may have.
    #[test]
    fn attack_no_length_of_an_epoch_emits_more_in_a_day_than_its_bounds_and_its_caps_say() {
        for epoch_slots in [1_000, 43_200, 432_000, 2_000_000] {
            let most = greedy(epoch_slots);
            assert_eq!(most.check(), Ok(()));
            for more in [
                Schedule { first_caps: [most.first_caps[0] + 1, 0], ..most },
                Schedule { first_caps: [0, most.first_caps[1] + 1], ..most },
                Schedule { targets: [most.targets[0] + 1, 0], ..most },
                Schedule { targets: [0, most.targets[1] + 1], ..most },
                Schedule { maximum_yield: most.maximum_yield + 1, ..most },
            ] {
                assert_eq!(more.check(), Err(Error::ParameterOutOfBounds));
            }
            // What caps have decayed to stays by the slot, there and back again.
            let (mut config, mut emission) = start(&Schedule::DEFAULT);
            for epoch in 1..20 {
                emission.turn(&mut config, epoch * 432_000).unwrap();
            }
            let (before, slot) = (emission.streams, 19 * 432_000);
            emission.set_schedule(&most, slot).unwrap();
            for (stream, before) in emission.streams.iter().zip(before) {
                let by_slot = before.cap as u128 * epoch_slots as u128;
                assert!(stream.cap as u128 * 432_000 <= by_slot, "{epoch_slots}: {} after {}", stream.cap, before.cap);
            }
            // Whatever the running epoch was: of the next sixty days none has more than by the caps before.
            let mut released = 0u128;
            let end = slot + 30 * 432_000;
            while emission.end_slot <= end {
                let slot = emission.end_slot;
                let turned = emission.turn(&mut config, slot).unwrap();
                released += turned.released.iter().map(|&part| part as u128).sum::<u128>();
            }
            let most = 31 * before.iter().map(|stream| stream.cap as u128).sum::<u128>();
            assert!(released <= most, "{epoch_slots}: {released} of {most}");
            emission.set_schedule(&Schedule::DEFAULT, end).unwrap();
            assert!(emission.streams.iter().zip(before).all(|(stream, before)| stream.cap <= before.cap));
        }
    }

    fn schedule() -> impl Strategy<Value = Schedule> {
        (1u64..CAP / 1_000, 1u64..CAP / 1_000, 0u64..=ONE / 2, 0u16..=10_000, ONE / 100_000..=ONE / 20).prop_map(
            |(staking, nodes, utilisation_floor, fee_offset_bps, decay)| Schedule {
                first_caps: [staking, nodes],
                targets: [staking, nodes],
                demand_reference: (staking + nodes) / 9 * 10 + 10 * TOKEN,
                utilisation_floor,
                fee_offset_bps,
                decay,
                ..Schedule::DEFAULT
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn utilisation_is_the_formula(
            demand in 0..2 * CAP / 1_000,
            power in 0u64..10_000_000,
            nodes in 0u64..1_000_000,
        ) {
            let (_, mut emission) = start(&Schedule::DEFAULT);
            (emission.average_demand, emission.average_power, emission.average_nodes) = (demand, power, nodes);
            let s = Schedule::DEFAULT;
            let (d, c) = (demand as f64 / s.demand_reference as f64, power as f64 / 1_000.0 / s.power_reference as f64);
            let n = nodes as f64 / 1_000.0 / s.nodes_reference as f64;
            let per_node = if nodes == 0 { 0.0 } else { (c / n).min(1.0) };
            let expected = (d * per_node).clamp(0.1, 1.0) * ONE as f64;
            let got = emission.measure().unwrap() as f64;
            prop_assert!((got - expected).abs() <= 2e-6 * ONE as f64, "{got} {expected}");
        }

        #[test]
        fn demand_dealt_to_oneself_loses_money(
            schedule in schedule(),
            fees in prop::collection::vec(0..CAP / 2_000, 1..12),
            at in 0usize..12,
            extra in TOKEN..CAP / 2_000,
        ) {
            // Long enough for the averages to forget; without decay between the two runs nothing else differs.
            let mut quiet = fees.clone();
            quiet.resize(80, 0);
            let mut dealt = quiet.clone();
            dealt[at % fees.len()] += extra;
            let emitted = |fees: &[u64]| -> u128 {
                run(&schedule, fees, 0).2.iter().map(|t| (t.released[0] + t.released[1]) as u128).sum()
            };
            let (before, after) = (emitted(&quiet), emitted(&dealt));
            prop_assert!(after < before + extra as u128, "{extra} burned, {} more emitted", after as i128 - before as i128);
        }

        #[test]
        fn nothing_is_minted_or_lost(
            schedule in schedule(),
            steps in prop::collection::vec((0u8..5, 0usize..4, 0..CAP / 10_000, 0u64..500), 1..200),
        ) {
            let (mut config, mut emission) = start(&schedule);
            let buckets = |config: &Config| {
                let b = &config.buckets;
                b.staking_rewards as u128 + b.operator_rewards as u128 + b.reserve as u128
            };
            let whole = buckets(&config);
            let mut shares = [YieldShare::default(); 4];
            let mut paid = 0u128;
            let (mut slot, mut integrals, mut present) = (0, [TimeIntegral::default(); 4], [0; 4]);
            for (step, who, amount, work) in steps {
                for (integral, stake) in integrals.iter_mut().zip(present) {
                    integral.accumulate(stake, amount % 100_000).unwrap();
                }
                slot += amount % 100_000;
                match step {
                    0 => emission.record_burn(amount).unwrap(),
                    1 => emission.record_round(work % 50, work),
                    2 => {
                        let _ = emission.turn(&mut config, slot);
                    }
                    3 => paid += emission.draw(&config, work).unwrap() as u128,
                    _ => {
                        present[who] = amount;
                        let present = Standing { stake: amount, integral: integrals[who], slot };
                        paid += emission.settle(&mut shares[who], &present).unwrap() as u128;
                    }
                }
                prop_assert_eq!(buckets(&config) + emission.held().unwrap() as u128 + paid, whole);
                prop_assert_eq!(shares.iter().map(|share| share.stake).sum::<u64>(), emission.total_stake);
                prop_assert!(emission.utilisation <= ONE && emission.utilisation >= schedule.utilisation_floor);
            }
            // The holder of a share can always be paid.
            for (share, integral) in shares.iter_mut().zip(integrals) {
                let present = Standing { stake: share.stake, integral, slot };
                paid += emission.settle(share, &present).unwrap() as u128;
            }
            prop_assert_eq!(buckets(&config) + emission.held().unwrap() as u128 + paid, whole);
        }
    }
}
