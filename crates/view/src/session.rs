//! Who works for a pool.

use anyhow::Result;
use sip_console::table::{Cell, Row};
use sip_console::{Desk, Unit, kind_name, pace};
use sip_ledger::Ledger;
use sip_protocol::stake::pool::Pool;
use sip_protocol::{Account as _, AccountKind};
use sip_roles::is_named_in;
use solana_address::Address;
use std::collections::BTreeMap;
use std::mem::offset_of;

/// The session of a pool.
pub fn shown(desk: &Desk, pool: &Address, state: &Pool) -> Result<Row> {
    let (key, now) = (Address::new_from_array(state.session_key), desk.slot()?);
    let is_none = key == Address::default();
    let stands = match (is_none, now < state.session_until_slot) {
        (true, _) => "none",
        (_, true) => "works",
        (_, false) => "ended",
    };
    Ok(vec![
        ("pool", Cell::text(pool)),
        ("kind", Cell::text(kind_name(state.kind))),
        ("operator", Cell::text(Address::new_from_array(state.scope))),
        ("session", Cell::text(stands)),
        ("session key", if is_none { Cell::Nothing } else { Cell::text(key) }),
        ("works before slot", Unit::Slot.cell(state.session_until_slot, now)),
    ])
}

/// What a key may sign of a pool's: "as its operator", or as its session key and until when; nothing where it is neither.
pub fn signs_as(state: &Pool, wallet: &Address, slot: u64) -> Option<String> {
    if !is_named_in(state, wallet) {
        return None;
    }
    let (until, operator) = (state.session_until_slot, Address::new_from_array(state.scope));
    Some(match (state.scope == wallet.to_bytes(), slot < until) {
        (true, _) => "as its operator".into(),
        (_, true) => {
            format!("as its session key before slot {until}, in {}; operated by {operator}", pace::span(until - slot))
        }
        (_, false) => {
            format!("no more: its session ended at slot {until}; {operator} renews it by \"sip pool session\"")
        }
    })
}

/// Pools that a wallet operates or is the session key of: two questions, whatever else is on the chain.
pub fn pools_of(desk: &Desk, wallet: &Address) -> Result<Vec<(Address, Pool)>> {
    let kind = [AccountKind::Pool as u8];
    let mut pools = BTreeMap::new();
    for offset in [offset_of!(Pool, scope), offset_of!(Pool, session_key)] {
        let with: [(usize, &[u8]); 2] = [(0, &kind), (offset, wallet.as_array())];
        for (address, account) in Ledger::program_accounts_with(&desk.ledger, &desk.program.id, &with)? {
            pools.extend(Pool::decode(&account.data).ok().map(|pool| (address, pool)));
        }
    }
    Ok(pools.into_iter().filter(|(_, pool)| is_named_in(pool, wallet)).collect())
}
