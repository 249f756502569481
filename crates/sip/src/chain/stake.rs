//! `sip stake`: tokens behind an operator, a dataset or a domain.

use anyhow::{Result, ensure};
use sip_arith::int::shares_for_deposit;
use sip_protocol::stake::pool::Pool;
use solana_address::Address;
use std::process::ExitCode;

use sip_console::table::Row;
use sip_console::tokens::{self, Part};
use sip_console::{AddressText, Connection, Desk};
use sip_view::pool::Namer;
use sip_view::stake::{holding, holdings};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Stake tokens on a pool; they are pending at first and become active evenly over the activation time
    Deposit {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
        /// Tokens, or "all" that the wallet holds
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Part,
        #[command(flatten)]
        slippage: Slippage,
    },
    /// Turn pending stake that is due into active stake, which everything else does on its way as well
    Activate {
        /// The pools; all on which stake is due where none is named
        #[arg(value_name = "POOL")]
        pools: Vec<AddressText>,
        /// Another wallet's stake
        #[arg(long, value_name = "WALLET")]
        owner: Option<AddressText>,
    },
    /// Take pending stake back, all of it: it leaves as an exit, through the unbonding time
    Cancel {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
    },
    /// List what a wallet has staked: what is active, what is pending and until when, what is locked, what it has earned
    List {
        /// Another wallet
        #[arg(long, value_name = "WALLET")]
        owner: Option<AddressText>,
    },
}

/// How much worse than now a price may be when the transaction arrives.
#[derive(clap::Args)]
pub(super) struct Slippage {
    /// Refuse a price worse than the present one by more than this, in basis points
    #[arg(long, value_name = "BPS", default_value_t = 50, value_parser = clap::value_parser!(u16).range(..=10_000))]
    slippage_bps: u16,
}

impl Slippage {
    /// The least number of shares to accept for an amount.
    pub(super) fn minimum_shares(&self, pool: &Pool, amount: u64) -> Result<u64> {
        let expected = shares_for_deposit(amount, pool.shares, pool.assets).unwrap_or(0);
        ensure!(expected > 0, "{} buys no share of this pool", tokens::show(amount));
        let least = u128::from(expected) * u128::from(10_000 - self.slippage_bps) / 10_000;
        Ok((least as u64).max(1))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut desk = Desk::open(&arguments.connection)?;
    match &arguments.command {
        Command::Deposit { pool, amount, slippage } => {
            let pool = &desk.locate_pool(pool)?;
            let amount = desk.of_wallet(*amount)?;
            let what = format!("stake {} on {pool}", tokens::show(amount));
            deposit(&mut desk, &what, pool, amount, slippage, &[])
        }
        Command::Activate { pools, owner } => {
            let pools = pools.iter().map(|pool| desk.locate_pool(pool)).collect::<Result<Vec<Address>>>()?;
            let owner = desk.owner(owner.as_ref())?;
            activate(&mut desk, &owner, pools)
        }
        Command::Cancel { pool } => {
            let pool = &desk.locate_pool(pool)?;
            let owner = desk.wallet()?;
            let (address, _, position) = holding(&desk, pool, &owner)?;
            let (number, ticket) = (position.tickets, desk.program.ticket(&address, position.tickets));
            desk.act(
                &format!("take pending stake back as exit number {number} from {pool}"),
                &[desk.program.cancel_deposit(&owner, pool, number)],
                &[("position", address), ("exit", ticket)],
            )
        }
        Command::List { owner } => {
            let owner = desk.owner(owner.as_ref())?;
            let slot = desk.slot()?;
            let holdings = holdings(&desk, &owner)?;
            let mut namer = Namer::new(&desk);
            let rows = holdings.iter().map(|holding| holding.row(&mut namer, slot)).collect::<Result<Vec<Row>>>()?;
            let code = desk.list(&rows, "nothing is staked; \"sip pool list\" shows on what one can")?;
            let due = holdings.iter().map(|holding| holding.due(slot)).sum::<Result<u64>>()?;
            if due > 0 {
                desk.note(&format!("{} are due, and count from \"sip stake activate\" on", tokens::show(due)));
            }
            Ok(code)
        }
    }
}

/// Positions that one transaction activates.
const ACTIVATIONS_PER_TRANSACTION: usize = 5;

/// Turns due stake on some pools, or on all, into active stake.
fn activate(desk: &mut Desk, owner: &Address, mut pools: Vec<Address>) -> Result<ExitCode> {
    if pools.is_empty() {
        let slot = desk.slot()?;
        for holding in holdings(desk, owner)? {
            if holding.due(slot)? > 0 {
                pools.push(holding.pool_address);
            }
        }
        ensure!(!pools.is_empty(), "no pending stake is due");
    }
    let mut code = ExitCode::SUCCESS;
    for part in pools.chunks(ACTIVATIONS_PER_TRANSACTION) {
        let (mut instructions, mut accounts) = (Vec::new(), Vec::new());
        for pool in part {
            let (position, ..) = holding(desk, pool, owner)?;
            instructions.push(desk.program.activate(pool, owner));
            accounts.extend([("pool", *pool), ("position", position)]);
        }
        code = desk.act("activate pending stake", &instructions, &accounts)?;
    }
    Ok(code)
}

/// Puts new stake on its way into a pool.
pub(super) fn deposit(
    desk: &mut Desk,
    what: &str,
    pool: &Address,
    amount: u64,
    slippage: &Slippage,
    notes: &[String],
) -> Result<ExitCode> {
    let (owner, program) = (desk.wallet()?, desk.program);
    let minimum_shares = slippage.minimum_shares(&desk.read(pool)?, amount)?;
    let position = program.position(pool, &owner);
    let accounts = [("pool", *pool), ("position", position)];
    let mut notes = notes.to_vec();
    notes.push(ACTIVATION_NOTE.into());
    desk.act_and_tell(what, &[program.deposit(&owner, pool, amount, minimum_shares)], &accounts, &notes)
}

/// What becomes of pending stake.
pub(super) const ACTIVATION_NOTE: &str = "pending stake becomes due evenly until then, and what is due counts from \"sip stake activate\" on, \
    or from whatever else is done with the position";
