//! What users pay for a model's service, and who gets it.
//!
//! One payment is split by the configuration's weights over the server, the model and its ancestors, the data and the patrons of
//! the job that trains the model, the treasury, and a burn. Parts are rounded down; what rounding leaves goes to the treasury.
//! Only the burned part is demand: one who pays itself gets back less than it paid, and raises emission by less than it burned.
//!
//! A domain's pools pass their parts on slot by slot, over as long as they were gathered and an activation time at least, so that nobody comes for a
//! settlement. Where nobody was there the part is the treasury's: of patrons who had nothing that earned when the round was opened by whose
//! mixture a fee is shared, and of a provider whose duty is over when it is settled.
//!
//! Invariants: the parts add up to the payment; what is owed to domains is in the account until it is settled; royalties climb at most
//! [`MAXIMUM_ANCESTORS`] edges.

use bytemuck::{Pod as Plain, Zeroable};
use sip_arith::int::{self, BPS_ONE, Rounding, mul_div};

use crate::{
    Address, Error, Header, Result, account,
    admin::config::{Config, Parameters},
    ground::layout::layout,
    money::emission::Emission,
    stake::pool::{ACTIVE, Pool, PoolKind},
    training::{data::Dataset, job::MAX_DOMAINS},
};

/// Ancestors of a model that share in its fees.
pub const MAXIMUM_ANCESTORS: usize = 4;

layout! {
    /// Fees on their way to a job's domains.
    #[derive(Clone, Copy, Debug, Plain, Zeroable)]
    #[repr(C)]
    pub struct Fees {
        /// Kind, version, bump.
        pub header: Header,
        /// The job.
        pub job: Address,
        /// Base units for the data of each domain.
        pub data: [u64; MAX_DOMAINS],
        /// Base units for the patrons of each domain.
        pub attention: [u64; MAX_DOMAINS],
        /// Base units paid in all time.
        pub paid: u64,
        /// Since when what is owed to each domain waits, on average over its base units.
        pub since_slots: [u64; MAX_DOMAINS],
    }
}

account!(Fees, Fees, 240, liabilities: |fees| {
    let mut sum = 0;
    for part in fees.data.iter().chain(&fees.attention) {
        sum = int::add(sum, *part)?;
    }
    Ok(sum)
});

/// A payment's parts, base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The server's.
    pub server: u64,
    /// The model's and its ancestors'.
    pub model: u64,
    /// The data's.
    pub data: u64,
    /// The patrons'.
    pub attention: u64,
    /// The treasury's, with what rounding left.
    pub treasury: u64,
    /// Burned.
    pub burned: u64,
}

/// Splits a payment by the weights of the parameters.
pub fn split(parameters: &Parameters, amount: u64) -> Result<Split> {
    let part = |bps| int::bps(amount, bps, Rounding::Down);
    let mut split = Split {
        server: part(parameters.server_fee_bps)?,
        model: part(parameters.model_fee_bps)?,
        data: part(parameters.data_fee_bps)?,
        attention: part(parameters.attention_fee_bps)?,
        treasury: 0,
        burned: part(parameters.burn_fee_bps)?,
    };
    split.treasury = amount;
    for part in [split.server, split.model, split.data, split.attention, split.burned] {
        split.treasury = int::sub(split.treasury, part)?;
    }
    Ok(split)
}

/// What a payment works on.
pub struct Payment<'a> {
    /// Parameters, treasury, burns.
    pub config: &'a mut Config,
    /// Demand.
    pub emission: &'a mut Emission,
    /// The job's fees.
    pub fees: &'a mut Fees,
    /// Mixture of the job's last round.
    pub mixture_bps: &'a [u16; MAX_DOMAINS],
    /// Domains of the job.
    pub domain_count: u8,
    /// Domains by bit that had patrons when that round was opened.
    pub patron_domains: u8,
    /// Present slot.
    pub slot: u64,
}

/// Whom a settlement of fees pays.
pub struct Receivers<'a> {
    /// The treasury, for what is nobody's.
    pub config: &'a mut Config,
    /// The domain's dataset.
    pub dataset: &'a Dataset,
    /// Its provider's pool.
    pub data: &'a mut Pool,
    /// The domain's patrons.
    pub attention: &'a mut Pool,
    /// Present slot.
    pub slot: u64,
}

impl Payment<'_> {
    /// Takes a payment that the vault holds already. The caller credits the server's and the model's part and burns the burned one.
    #[inline(always)]
    pub fn take(&mut self, amount: u64) -> Result<Split> {
        if amount == 0 {
            return Err(Error::ZeroAmount);
        }
        let mut split = split(&self.config.parameters, amount)?;
        let domains = (self.domain_count as usize).min(MAX_DOMAINS);
        let mut left = [split.data, split.attention];
        let whole = left;
        for domain in 0..domains {
            let bps = self.mixture_bps[domain];
            let before = self.fees.owed(domain)?;
            for (number, owed) in [&mut self.fees.data, &mut self.fees.attention].into_iter().enumerate() {
                // The last domain takes what rounding left.
                let part =
                    if domain + 1 == domains { left[number] } else { int::bps(whole[number], bps, Rounding::Down)? };
                left[number] = int::sub(left[number], part)?;
                if number == 1 && self.patron_domains & (1 << domain) == 0 {
                    split.attention = int::sub(split.attention, part)?;
                    split.treasury = int::add(split.treasury, part)?;
                } else {
                    owed[domain] = int::add(owed[domain], part)?;
                }
            }
            self.fees.age(domain, before, self.slot)?;
        }
        self.fees.paid = int::add(self.fees.paid, amount)?;
        self.config.buckets.treasury = int::add(self.config.buckets.treasury, split.treasury)?;
        self.config.record_burn(split.burned)?;
        self.emission.record_burn(split.burned)?;
        Ok(split)
    }
}

impl Fees {
    /// What is owed of a domain, base units.
    fn owed(&self, domain: usize) -> Result<u64> {
        Ok(int::add(self.data[domain], self.attention[domain])?)
    }

    /// What is owed of a domain was `before` until now: notes since when it waits, on average over its base units. So a dust of fees makes no later ones old.
    fn age(&mut self, domain: usize, before: u64, slot: u64) -> Result<()> {
        let owed = self.owed(domain)?;
        if owed != before {
            let age = slot.saturating_sub(self.since_slots[domain]);
            let age = if before == 0 { 0 } else { mul_div(age, before, owed, Rounding::Up)? };
            self.since_slots[domain] = slot.saturating_sub(age);
        }
        Ok(())
    }

    /// Gives a domain's data pool and attention pool what is owed, to be passed on from now on; what nobody earned is the treasury's. Returns
    /// the sum.
    #[inline(always)]
    pub fn settle(&mut self, domain: u8, to: &mut Receivers) -> Result<u64> {
        let domain = domain as usize;
        if domain >= MAX_DOMAINS {
            return Err(Error::WrongPlace);
        }
        let parts = [core::mem::take(&mut self.data[domain]), core::mem::take(&mut self.attention[domain])];
        let sum = int::add(parts[0], parts[1])?;
        if sum == 0 {
            return Err(Error::NothingToClaim);
        }
        let gathered = to.slot.saturating_sub(self.since_slots[domain]);
        let span = gathered.max(to.config.parameters.activation_slots);
        let is_owned = [to.dataset.is_answered_for(to.data, to.slot), to.attention.owners() != 0];
        for ((part, is_owned), pool) in parts.into_iter().zip(is_owned).zip([&mut *to.data, &mut *to.attention]) {
            if is_owned {
                pool.accrue(to.slot)?;
                pool.drip(part, span, to.slot)?;
            } else {
                to.config.buckets.treasury = int::add(to.config.buckets.treasury, part)?;
            }
        }
        Ok(sum)
    }
}

impl Pool {
    /// Takes a server's part of a fee.
    pub fn serve(&mut self, part: u64) -> Result<()> {
        self.require_kind(PoolKind::Server)?;
        if self.status != ACTIVE {
            return Err(Error::PoolRetired);
        }
        self.credit(part)
    }

    /// Takes a model's part of a fee and returns what goes on to its parent; 0 if it has none or if `is_last`.
    pub fn earn_royalty(&mut self, part: u64, is_last: bool) -> Result<u64> {
        self.require_kind(PoolKind::Model)?;
        let climbs = self.parent != [0; 32] && !is_last;
        let up = if climbs { mul_div(part, self.royalty_bps as u64, BPS_ONE as u64, Rounding::Down)? } else { 0 };
        self.credit(int::sub(part, up)?)?;
        Ok(up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::{schedule::Schedule, units::TOKEN};
    use proptest::prelude::*;

    #[test]
    fn the_worked_example_of_the_economics_chapter() {
        let split = split(&Parameters::DEFAULT, 1_000 * TOKEN + 7).unwrap();
        let expected = [450 * TOKEN + 3, 200 * TOKEN + 1, 100 * TOKEN, 50 * TOKEN, 50 * TOKEN + 2, 150 * TOKEN + 1];
        assert_eq!([split.server, split.model, split.data, split.attention, split.treasury, split.burned], expected);
        let mut models = [Pool::zeroed(); 3];
        for (number, model) in models.iter_mut().enumerate() {
            model.initialise(PoolKind::Model, &[number as u8; 32], 0, 0);
            model.self_bond = TOKEN;
            model.royalty_bps = 2_500;
            model.parent = if number < 2 { [number as u8 + 1; 32] } else { [0; 32] };
        }
        let mut part = 200 * TOKEN;
        for (model, expected) in models.iter_mut().zip([150, 3_750, 1_250]) {
            let before = part;
            part = model.earn_royalty(part, false).unwrap();
            let unit = if expected == 150 { TOKEN } else { TOKEN / 100 };
            assert_eq!(before - part, expected * unit, "150, 37.5 and 12.5 tokens");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_parts_add_up_and_reach_the_domains(
            payments in prop::collection::vec(0u64..1 << 55, 1..20), domains in 1u8..=8, burn in 500u16..=5_000,
        ) {
            let mut config = Config::zeroed();
            let base = Parameters::DEFAULT;
            let parameters = Parameters { burn_fee_bps: burn, server_fee_bps: 6_000 - burn, ..base };
            config.genesis(&[1; 32], &parameters).unwrap();
            let mut emission = Emission::default();
            emission.initialise(&Schedule::DEFAULT, 0).unwrap();
            let mut fees = Fees::zeroed();
            let mut mixture_bps = [0; MAX_DOMAINS];
            mixture_bps[..domains as usize].fill(BPS_ONE / domains as u16);
            let patron_domains = burn as u8;
            let treasury = config.buckets.treasury;
            let (mut paid, mut direct) = (0u128, 0u128);
            for amount in payments {
                let mut payment = Payment {
                    config: &mut config, emission: &mut emission, fees: &mut fees, mixture_bps: &mixture_bps,
                    domain_count: domains, patron_domains, slot: 1,
                };
                match payment.take(amount) {
                    Ok(split) => {
                        paid += amount as u128;
                        direct += split.server as u128 + split.model as u128;
                        prop_assert!(split.treasury < amount / 10 + 7);
                    }
                    Err(error) => prop_assert_eq!((error, amount), (Error::ZeroAmount, 0)),
                }
            }
            prop_assert_eq!(emission.fees_burned, config.burned, "only what is burned is demand");
            let owed = crate::Account::liabilities(&fees).unwrap();
            let kept = (config.buckets.treasury - treasury) as u128;
            prop_assert_eq!(paid, direct + owed as u128 + kept + config.burned as u128);
            let (mut data, mut attention) = (Pool::zeroed(), Pool::zeroed());
            data.initialise(PoolKind::Data, &[1; 32], 0, 0);
            attention.initialise(PoolKind::Attention, &[1; 32], 0, 0);
            prop_assert!((0..MAX_DOMAINS).all(|domain| patron_domains & (1 << domain) != 0 || fees.attention[domain] == 0));
            attention.earning_shares = 1;
            let mut settled = 0;
            let dataset = Dataset::zeroed();
            let mut to = Receivers {
                config: &mut config, dataset: &dataset, data: &mut data, attention: &mut attention, slot: 2,
            };
            for domain in 0..domains {
                settled += fees.settle(domain, &mut to).unwrap_or(0);
            }
            prop_assert_eq!(settled, owed);
            prop_assert_eq!(fees.settle(0, &mut to), Err(Error::NothingToClaim));
            prop_assert_eq!(fees.settle(8, &mut to), Err(Error::WrongPlace));
            prop_assert_eq!(data.dripping + attention.dripping, owed);
            prop_assert!(owed == 0 || data.drip_end_slot >= config.parameters.activation_slots);
        }
    }
}
