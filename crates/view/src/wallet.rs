//! Wallets: what they have, their exits and votes, what went in and out.

use anyhow::Result;
use sip_console::table::{Cell, Row};
use sip_console::{Desk, attention, pace};
use sip_protocol::AccountKind;
use sip_protocol::stake::pool::Pool;
use sip_protocol::stake::position::Ticket;
use sip_protocol::stake::steering::Vote;
use sip_protocol::training::job::Job;
use solana_address::Address;
use std::collections::BTreeSet;

use crate::stake::{Holding, holdings};

/// What a wallet has.
pub fn wallet(desk: &Desk, wallet: &Address) -> Result<Row> {
    let lamports = desk.ledger.account(wallet)?.map_or(0, |account| account.lamports);
    let (holdings, slot) = (holdings(desk, wallet)?, desk.slot()?);
    let sum = |part: &dyn Fn(&Holding) -> u64| holdings.iter().map(part).fold(0, u64::saturating_add);
    let mut leaving = 0u64;
    for (_, ticket) in desk.all::<Ticket>(AccountKind::Ticket)? {
        if ticket.owner == wallet.to_bytes() {
            leaving = leaving.saturating_add(payout(&ticket, &desk.read(&Address::new_from_array(ticket.pool))?));
        }
    }
    let mut due = 0u64;
    for holding in &holdings {
        due = due.saturating_add(holding.due(slot)?);
    }
    Ok(vec![
        ("wallet", Cell::text(wallet)),
        ("balance", Cell::Lamports(lamports)),
        ("tokens", Cell::Tokens(desk.balance(wallet)?)),
        ("staked", Cell::Tokens(sum(&|holding| holding.worth()))),
        ("pending", Cell::Tokens(sum(&|holding| holding.position.pending))),
        ("due now", Cell::Tokens(due)),
        ("leaving", Cell::Tokens(leaving)),
        ("claimable", Cell::Tokens(sum(&|holding| holding.position.claimable))),
        ("token account", Cell::text(desk.program.token_account(wallet))),
    ])
}

/// What went in and out of a wallet, the last first.
pub fn history(desk: &Desk, wallet: &Address, limit: usize) -> Result<Vec<Row>> {
    let account = desk.program.token_account(wallet);
    // Tokens come in without a word of the wallet.
    let mut past = desk.ledger.past(wallet, limit)?;
    past.extend(desk.ledger.past(&account, limit)?);
    // What is of one slot stays in the chain's order.
    past.sort_by_key(|past| std::cmp::Reverse(past.slot));
    let mut seen = BTreeSet::new();
    past.retain(|past| seen.insert(past.signature.to_string()));
    let mut rows: Vec<Row> = Vec::new();
    for past in past.into_iter().take(limit) {
        let effects = desk.ledger.effects(&past.signature)?;
        let of = |address: &Address| effects.iter().flatten().find(|effect| effect.address == *address);
        let change = |[before, after]: [u64; 2]| i128::from(after) - i128::from(before);
        let sol = of(wallet).map_or(0, |effect| change(effect.lamports));
        let sip = of(&account).map_or(0, |effect| change(effect.tokens.map(|tokens| tokens.unwrap_or(0))));
        let told = |cell| if effects.is_some() { cell } else { Cell::text("not kept") };
        rows.push(vec![
            ("when", past.unix_seconds.map_or(Cell::Nothing, |seconds| Cell::Text(pace::utc(seconds.max(0) as u64)))),
            ("slot", Cell::Number(past.slot)),
            ("tokens", told(Cell::TokenChange(sip))),
            ("balance", told(Cell::LamportChange(sol))),
            ("outcome", Cell::text(if past.is_failed { "failed" } else { "done" })),
            ("transaction", Cell::text(past.signature)),
        ]);
    }
    Ok(rows)
}

/// What an exit pays, less all slashes so far.
pub fn payout(ticket: &Ticket, pool: &Pool) -> u64 {
    let left = u128::from(ticket.assets) * u128::from(pool.survival) / u128::from(ticket.survival.max(1));
    left as u64
}

/// The exits of a wallet.
pub fn exits(desk: &Desk, owner: &Address) -> Result<Vec<Row>> {
    let slot = desk.slot()?;
    let mut rows: Vec<Row> = Vec::new();
    for (_, ticket) in desk.all::<Ticket>(AccountKind::Ticket)? {
        if ticket.owner != owner.to_bytes() {
            continue;
        }
        let pool_address = Address::new_from_array(ticket.pool);
        let pool: Pool = desk.read(&pool_address)?;
        rows.push(vec![
            ("pool", Cell::text(pool_address)),
            ("number", Cell::Number(ticket.nonce.into())),
            ("tokens", Cell::Tokens(payout(&ticket, &pool))),
            ("slot of maturity", Cell::Slot { at: ticket.mature_slot, now: slot }),
        ]);
    }
    Ok(rows)
}

/// The votes of a wallet.
pub fn votes(desk: &Desk, owner: &Address) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for (_, vote) in desk.all::<Vote>(AccountKind::Vote)? {
        let pool = Address::new_from_array(vote.pool);
        if desk.program.position(&pool, owner).to_bytes() != vote.position {
            continue;
        }
        let target: Pool = desk.read(&Address::new_from_array(vote.target))?;
        let job: Job = desk.read(&Address::new_from_array(target.scope))?;
        rows.push(vec![
            ("pool", Cell::text(pool)),
            ("job", Cell::text(Address::new_from_array(target.scope))),
            ("domain", Cell::Number(target.index.into())),
            ("steers", Cell::text(attention::describe(&job, target.index))),
            ("weight", Cell::Tokens(vote.weight)),
        ]);
    }
    Ok(rows)
}
