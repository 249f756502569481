//! `sip pool session` and `sip pool draws`: a hot key does a pool's work, while the wallet that operates it lies elsewhere.

use anyhow::{Result, ensure};
use sip_data::hex;
use sip_protocol::stake::pool::Pool;
use solana_address::Address;
use std::process::ExitCode;

use super::pool::{draw_secret, draws};
use sip_console::table::Cell;
use sip_console::words::wrong;
use sip_console::{AddressText, Desk, pace};
use sip_view::session::shown;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The pool
    #[arg(value_name = "POOL")]
    pool: AddressText,
    /// The key that does the pool's work, by its address [default: the one that does so now]
    #[arg(value_name = "KEY")]
    hot: Option<AddressText>,
    /// Let it hold for so many days from now, as long as slots last at present
    #[arg(long, value_name = "DAYS", conflicts_with = "until")]
    days: Option<f64>,
    /// Let it hold before this slot
    #[arg(long, value_name = "SLOT")]
    until: Option<u64>,
    /// End the session at once
    #[arg(long, conflicts_with_all = ["hot", "days", "until"])]
    end: bool,
}

#[derive(clap::Args)]
pub(super) struct Draws {
    /// Which of the pools of this kind it is for
    #[arg(long, value_name = "N", default_value_t = 0)]
    index: u32,
    /// Print the secret that the chain begins with in place of its tip, for "sip node run --draws FILE"
    #[arg(long)]
    secret: bool,
}

/// Days for which a session holds where nobody says it.
const DAYS: f64 = 30.0;

/// Shows a pool's session, names its key, or ends it.
pub(super) fn run(desk: &mut Desk, arguments: &Arguments) -> Result<ExitCode> {
    let pool = desk.locate_pool(&arguments.pool)?;
    let state: Pool = desk.read(&pool)?;
    let is_asked = arguments.hot.is_some() || arguments.days.is_some() || arguments.until.is_some();
    if !is_asked && !arguments.end {
        return desk.card(&shown(desk, &pool, &state)?);
    }
    let (program, operator) = (desk.program, desk.wallet()?);
    ensure!(
        state.scope == operator.to_bytes(),
        "the pool {pool} is operated by {}, and only that wallet names its session key; this one is {operator}",
        Address::new_from_array(state.scope)
    );
    if arguments.end {
        let end = program.set_session(&operator, &pool, &Address::default(), 0);
        return desk.act(&format!("end the session of the pool {pool}"), &[end], &[("pool", pool)]);
    }
    let key = match &arguments.hot {
        Some(key) => desk.locate_wallet(key)?,
        None => Address::new_from_array(state.session_key),
    };
    ensure!(
        key != Address::default(),
        wrong("the pool has no session key yet: name one, \"sip pool session POOL KEY\"")
    );
    ensure!(key != operator, wrong("a session key is another key than the operator's, which signs anyhow"));
    // Also where programs ask, who are told no times.
    if let Some(microseconds) = desk.ledger.slot_microseconds()? {
        pace::measure(microseconds);
    }
    let now = desk.slot()?;
    let until = match (arguments.until, arguments.days.unwrap_or(DAYS)) {
        (Some(slot), _) => slot,
        (None, days) if days > 0.0 && days <= 3_650.0 => now + pace::slots_of_days(days),
        (None, days) => return Err(wrong(format!("a session of {days} days; expected more than 0, and at most 3650"))),
    };
    ensure!(until > now, wrong(format!("slot {until} is over: the chain is in slot {now}")));
    let set = program.set_session(&operator, &pool, &key, until);
    let notes = vec![
        format!(
            "{key} commits, reveals, votes, answers and defends for the pool before slot {until}; it takes no token of it"
        ),
        "it needs SOL of its own for fees and rent, and tokens where it accuses: it accuses in its own name".to_owned(),
        format!(
            "\"sip node run JOB --role ROLE --key FILE\" with its file finds the pool's seat by itself; \"sip pool session {pool} --end\" ends it"
        ),
    ];
    desk.act_and_tell(&format!("let {key} work for the pool {pool}"), &[set], &[("pool", pool)], &notes)
}

/// Prints what an auditor's pool is created with so that this key draws for it.
pub(super) fn show_draws(desk: &Desk, arguments: &Draws) -> Result<ExitCode> {
    let (name, value) = match arguments.secret {
        true => ("secret", draw_secret(desk.key()?, arguments.index)),
        false => ("chain tip", draws(desk, arguments.index)?.tip()),
    };
    desk.card(&vec![(name, Cell::text(hex(&value)))])
}
