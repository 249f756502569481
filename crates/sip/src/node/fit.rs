//! Whether a wallet has in a job what the roles need that it is started with.

use anyhow::{Result, ensure};
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::job::Job;
use sip_protocol::training::seats;
use sip_roles::{Roles, is_named_in};
use solana_address::Address;
use std::collections::BTreeSet;

use sip_console::Desk;
use sip_console::words::wrong;

/// Roles with seats, as people call them.
const SEATED: [(PoolKind, &str); 3] =
    [(PoolKind::Trainer, "trainer"), (PoolKind::Auditor, "auditor"), (PoolKind::Evaluator, "evaluator")];

/// Refuses roles of which the wallet has no seat, where it has one of another role: its process would announce itself for that, and do nothing for it. Who
/// has no seat at all may take one later.
pub(super) fn require_seat(
    desk: &Desk,
    job: &Address,
    roles: &Roles,
    join: &[Address],
    served: &BTreeSet<Address>,
) -> Result<()> {
    let state: Job = desk.read(job)?;
    let wallet = desk.wallet()?;
    let mut held = Vec::new();
    for (kind, name) in SEATED {
        let seats = state.seats(kind)?.iter().filter(|seat| seat.state != seats::FREE);
        for seat in seats {
            let pool = Address::new_from_array(seat.pool);
            // The pool of a seat may be gone.
            let is_served = |state: &Pool| state.scope == wallet.to_bytes() || served.contains(&pool);
            if desk.find::<Pool>(&pool)?.is_some_and(|state| is_named_in(&state, &wallet) && is_served(&state)) {
                held.push(name);
                break;
            }
        }
    }
    for pool in join {
        let kind = PoolKind::from_byte(desk.read::<Pool>(pool)?.kind);
        held.extend(SEATED.iter().filter(|(of, _)| Some(*of) == kind).map(|(_, name)| *name));
    }
    let asked = [roles.trainer, roles.auditor, roles.evaluator];
    let asked: Vec<&str> =
        SEATED.iter().zip(asked).filter(|(_, is_asked)| *is_asked).map(|((_, name), _)| *name).collect();
    let is_none_of_it = held.is_empty() || asked.is_empty();
    ensure!(
        is_none_of_it || asked.iter().any(|name| held.contains(name)),
        wrong(format!(
            "the wallet has a seat as {} in this job, and none as {}: --role {} serves it; \"sip job join {job} {}\" takes the other, or --join POOL here",
            held.join(" and as "),
            asked.join(" or as "),
            held[0],
            asked[0]
        ))
    );
    Ok(())
}
