//! What an account says in numbers, and what a transaction changed of it.

use serde_json::{Value, json};
use sip_client::Program;
use sip_protocol::Account;
use sip_protocol::admin::config::Config;
use sip_protocol::ground::schedule::{NODES, STAKING};
use sip_protocol::money::epoch::EmissionAccount;
use sip_protocol::money::fees::Fees;
use sip_protocol::stake::lock::TICK_SLOTS;
use sip_protocol::stake::pool::{Pool, PoolKind, RETIRED};
use sip_protocol::stake::position::{Position, Ticket};
use sip_protocol::stake::steering::Vote;
use sip_protocol::training::job::Job;
use solana_address::Address;
use std::collections::BTreeMap;

use super::act::is_wallet;
use super::settings::{PARAMETERS, SCHEDULE};
use super::table::Cell;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Base units.
    Tokens,
    /// Lamports.
    Lamports,
    /// Shares of a pool.
    Shares,
    /// Things.
    Plain,
    /// A point of time.
    Slot,
    /// A span of time.
    Slots,
    /// Parts of ten thousand.
    BasisPoints,
    /// Parts of a thousand million.
    Billionths,
}

impl Unit {
    /// A number of this unit; `now` is the present slot.
    pub fn cell(self, value: u64, now: u64) -> Cell {
        match self {
            Unit::Tokens => Cell::Tokens(value),
            Unit::Lamports => Cell::Lamports(value),
            Unit::Shares => Cell::Shares(value),
            Unit::Plain => Cell::Number(value),
            Unit::Slot if value == 0 => Cell::Nothing,
            Unit::Slot => Cell::Slot { at: value, now },
            Unit::Slots => Cell::Slots(value),
            Unit::BasisPoints => Cell::BasisPoints(value),
            Unit::Billionths => Cell::Billionths(value),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Unit::Tokens => "base units",
            Unit::Lamports => "lamports",
            Unit::Shares => "shares",
            Unit::Plain => "",
            Unit::Slot => "slot",
            Unit::Slots => "slots",
            Unit::BasisPoints => "basis points",
            Unit::Billionths => "billionths",
        }
    }
}

/// What an account says in numbers, by name.
pub(crate) type Figures = BTreeMap<&'static str, (u64, Unit)>;

/// The numbers of an account that somebody who acts on it cares about.
pub(crate) fn figures(program: &Program, account: &solana_account::Account) -> Figures {
    use Unit::{Plain, Shares, Slot, Tokens};
    let data = &account.data;
    let mut figures = Figures::new();
    let mut say = |name, value, unit| {
        figures.insert(name, (value, unit));
    };
    if is_wallet(Some(account)) {
        say("SOL", account.lamports, Unit::Lamports);
    } else if let Some(amount) = sip_ledger::token_amount(account) {
        let is_token = data.get(..32) == Some(program.mint().as_ref());
        if is_token { say("tokens", amount, Tokens) } else { say("share tokens", amount, Shares) }
    } else if let Ok(pool) = Pool::decode(data) {
        say("assets", pool.assets, Tokens);
        say("shares", pool.shares, Shares);
        say("own bond", pool.self_bond, Tokens);
        say("pending", pool.pending_assets, Tokens);
        say("leaving", pool.unbonding_assets, Tokens);
        say("liquid shares", pool.liquid_shares, Shares);
        say("steered here", pool.steered, Tokens);
        say("owed to positions", pool.rewards_owed, Tokens);
        say("owed to the operator", pool.commission_owed, Tokens);
        say("stake that yields", pool.yield_share.stake, Tokens);
        say("yield to pass on", pool.dripping, Tokens);
        say("retired", u64::from(pool.status == RETIRED), Plain);
    } else if let Ok(position) = Position::decode(data) {
        say("shares", position.shares, Shares);
        say("pending", position.pending, Tokens);
        say("all active at slot", if position.pending == 0 { 0 } else { position.ramp_end_slot }, Slot);
        say("claimable", position.claimable, Tokens);
        say("locked shares", position.locked_shares, Shares);
        say("lock ends at slot", position.lock_end_tick.saturating_mul(TICK_SLOTS), Slot);
        say("steering shares", position.steering_shares, Shares);
    } else if let Ok(ticket) = Ticket::decode(data) {
        say("tokens at the request", ticket.assets, Tokens);
        say("slot of maturity", ticket.mature_slot, Slot);
    } else if let Ok(vote) = Vote::decode(data) {
        say("weight", vote.weight, Tokens);
    } else if let Ok(job) = Job::decode(data) {
        say("trainers", job.awake(PoolKind::Trainer).count_ones().into(), Plain);
        say("auditors", job.awake(PoolKind::Auditor).count_ones().into(), Plain);
        say("evaluators", job.awake(PoolKind::Evaluator).count_ones().into(), Plain);
    } else if let Ok(fees) = Fees::decode(data) {
        say("paid", fees.paid, Tokens);
        say("owed to domains", fees.liabilities().unwrap_or(0), Tokens);
    } else if let Ok(EmissionAccount { emission, .. }) = EmissionAccount::decode(data) {
        say("epoch", emission.epoch, Plain);
        say("epoch ends at slot", emission.end_slot, Slot);
        say("fees burned in the epoch", emission.fees_burned, Tokens);
        say("waiting for stake", emission.streams[STAKING].available().unwrap_or(0), Tokens);
        say("waiting for nodes", emission.streams[NODES].available().unwrap_or(0), Tokens);
        say("yield owed to pools", emission.yield_owed, Tokens);
        say("yield to spread", emission.yield_left, Tokens);
        say("stake that yields", emission.total_stake, Tokens);
        for setting in &SCHEDULE {
            let (value, unit) = setting.read(&emission.schedule);
            say(setting.name, value, unit);
        }
    } else if let Ok(config) = Config::decode(data) {
        let buckets = &config.buckets;
        say("burned", config.burned, Tokens);
        say("staking rewards", buckets.staking_rewards, Tokens);
        say("operator rewards", buckets.operator_rewards, Tokens);
        say("public", buckets.public, Tokens);
        say("team", buckets.team, Tokens);
        say("treasury", buckets.treasury, Tokens);
        say("reserve", buckets.reserve, Tokens);
        say("insurance", buckets.insurance, Tokens);
        say("to be burned", config.condemned, Tokens);
        say("proposal ready at slot", config.administration.proposal.ready_slot, Slot);
        say("paused until slot", config.administration.paused_until, Slot);
        for setting in &PARAMETERS {
            let (value, unit) = setting.read(&config.parameters);
            say(setting.name, value, unit);
        }
    }
    figures
}

/// One number of one account before and after.
#[derive(PartialEq)]
pub(crate) struct Change<'a> {
    name: &'a str,
    address: &'a Address,
    figure: &'a str,
    unit: Unit,
    before: u64,
    after: u64,
}

/// What differs between the numbers of an account before and after.
pub(crate) fn changes<'a>(
    name: &'a str,
    address: &'a Address,
    before: &'a Figures,
    after: &'a Figures,
) -> Vec<Change<'a>> {
    let mut names: BTreeMap<&str, Unit> = BTreeMap::new();
    names.extend(before.iter().chain(after).map(|(figure, (_, unit))| (*figure, *unit)));
    let value = |of: &Figures, figure: &str| of.get(figure).map_or(0, |(value, _)| *value);
    names
        .into_iter()
        .map(|(figure, unit)| Change {
            name,
            address,
            figure,
            unit,
            before: value(before, figure),
            after: value(after, figure),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

impl Change<'_> {
    /// Amounts are texts of decimal digits, since they may be more than 2⁵³.
    pub(crate) fn to_json(&self) -> Value {
        let value = |value: u64| match self.unit {
            Unit::Tokens | Unit::Lamports | Unit::Shares => json!(value.to_string()),
            _ => json!(value),
        };
        json!({
            "account": self.name,
            "address": self.address.to_string(),
            "figure": self.figure,
            "unit": Some(self.unit.name()).filter(|unit| !unit.is_empty()),
            "before": value(self.before),
            "after": value(self.after),
        })
    }

    /// Which account it is.
    pub(crate) fn of(&self) -> (&str, &Address) {
        (self.name, self.address)
    }

    /// "position, pending  0 SIP → 5 SIP"; `now` is the present slot. Where accounts have one name, the beginning of its address follows it.
    pub(crate) fn show(&self, is_one_of_several: bool, now: u64) -> String {
        let short: String = self.address.to_string().chars().take(8).collect();
        let which = if is_one_of_several { format!(" {short}…") } else { String::new() };
        let name = format!("{}{which}, {}", self.name, self.figure);
        let [before, after] = [self.before, self.after].map(|value| self.unit.cell(value, now).show_in_full());
        format!("{name:28} {before} → {after}")
    }
}
