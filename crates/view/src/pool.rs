//! Pools.

use anyhow::Result;
use sip_console::table::{Cell, Row};
use sip_console::{Desk, Unit, attention, kind_name};
use sip_protocol::stake::pool::{self, Pool, PoolKind};
use sip_protocol::training::job::Job;
use solana_address::Address;
use std::collections::BTreeMap;

fn status_name(pool: &Pool) -> &'static str {
    match (pool.status, pool.open_disputes) {
        (pool::ACTIVE, 0) => "active",
        (pool::ACTIVE, _) => "in dispute",
        _ => "retired",
    }
}

/// Price of a share in base units, for people: four decimals.
pub fn price(pool: &Pool) -> String {
    let parts = u128::from(pool.assets) * 10_000 / u128::from(pool.shares.max(1));
    format!("{}.{:04}", parts / 10_000, parts % 10_000)
}

/// Says what attention and models are for, asking the chain once for each job.
pub struct Namer<'a> {
    desk: &'a Desk,
    jobs: BTreeMap<Address, (Job, Vec<String>)>,
}

impl Namer<'_> {
    /// Asks this chain.
    pub fn new(desk: &Desk) -> Namer<'_> {
        Namer { desk, jobs: BTreeMap::new() }
    }

    /// "novels of 9xQeWvG8…" of attention, "9xQeWvG8…" of a model, nothing of an operator's pool.
    pub fn purpose(&mut self, pool: &Pool) -> Result<Cell> {
        let job = match PoolKind::from_byte(pool.kind) {
            Some(PoolKind::Attention) => pool.scope,
            Some(PoolKind::Model) => pool.chain_job,
            _ => return Ok(Cell::Nothing),
        };
        let address = Address::new_from_array(job);
        let short: String = address.to_string().chars().take(8).chain(['…']).collect();
        if pool.kind != PoolKind::Attention as u8 {
            return Ok(Cell::text(format!("job {short}")));
        }
        if !self.jobs.contains_key(&address) {
            let state: Job = self.desk.read(&address)?;
            let names = attention::domains(self.desk, &state)?;
            self.jobs.insert(address, (state, names));
        }
        let (state, names) = &self.jobs[&address];
        let steered = names.get(pool.index as usize).cloned().unwrap_or_else(|| attention::describe(state, pool.index));
        Ok(Cell::text(format!("{steered} of job {short}")))
    }
}

/// The row of a pool in a list.
pub fn summary(namer: &mut Namer<'_>, address: &Address, pool: &Pool) -> Result<Row> {
    Ok(vec![
        ("pool", Cell::text(address)),
        ("kind", Cell::text(kind_name(pool.kind))),
        ("for", namer.purpose(pool)?),
        ("status", Cell::text(status_name(pool))),
        ("own bond", Cell::Tokens(pool.self_bond)),
        ("delegated", Cell::Tokens(pool.assets)),
        ("share price", Cell::text(price(pool))),
        ("commission", Cell::BasisPoints(pool.commission_bps.into())),
    ])
}

/// All that an account says of a pool; `slot` is the present one.
pub fn full(namer: &mut Namer<'_>, address: &Address, pool: &Pool, slot: u64) -> Result<Row> {
    let mut row = summary(namer, address, pool)?;
    let scope = if pool.kind == PoolKind::Attention as u8 { "job" } else { "operator" };
    row.extend([
        (scope, Cell::text(Address::new_from_array(pool.scope))),
        ("index", Cell::Number(pool.index.into())),
        ("shares", Cell::Shares(pool.shares)),
        ("pending", Cell::Tokens(pool.pending_assets)),
        ("leaving", Cell::Tokens(pool.unbonding_assets)),
        ("owed to positions", Cell::Tokens(pool.rewards_owed)),
        ("owed to operator", Cell::Tokens(pool.commission_owed)),
        ("open disputes", Cell::Number(pool.open_disputes.into())),
        ("segments accepted", Cell::Number(pool.segments_accepted.into())),
        ("segments convicted", Cell::Number(pool.segments_convicted.into())),
        ("audits attested", Cell::Number(pool.audits_attested.into())),
        ("audits missed", Cell::Number(pool.audits_missed.into())),
        ("evaluations accepted", Cell::Number(pool.evaluations_accepted.into())),
        ("evaluations rejected", Cell::Number(pool.evaluations_rejected.into())),
        ("stake that yields", Cell::Tokens(pool.yield_share.stake)),
        ("rewards", Cell::text(if pool.compounding == 0 { "are claimed" } else { "compound" })),
        ("liquid shares", Cell::Shares(pool.liquid_shares)),
    ]);
    if pool.kind == PoolKind::Attention as u8 {
        row.push(("steered here", Cell::Tokens(pool.steered)));
    }
    if pool.kind == PoolKind::Model as u8 {
        row.push(("trained by", Cell::text(Address::new_from_array(pool.chain_job))));
    }
    if pool.parent != [0; 32] {
        row.push(("parent", Cell::text(Address::new_from_array(pool.parent))));
        row.push(("royalty", Cell::BasisPoints(pool.royalty_bps.into())));
    }
    if pool.session_key != [0; 32] {
        row.push(("session key", Cell::text(Address::new_from_array(pool.session_key))));
        row.push(("works before slot", Unit::Slot.cell(pool.session_until_slot, slot)));
    }
    if pool.bond_release_slot != 0 {
        row.push(("bond free at slot", Unit::Slot.cell(pool.bond_release_slot, slot)));
    }
    Ok(row)
}
