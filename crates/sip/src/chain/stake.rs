//! `sip stake`: tokens behind an operator, a dataset or a domain.

use anyhow::{Result, ensure};
use sip_arith::int::shares_for_deposit;
use sip_protocol::AccountKind;
use sip_protocol::pool::Pool;
use sip_protocol::position::Position;
use solana_address::Address;
use std::collections::BTreeMap;
use std::process::ExitCode;

use super::tokens::{self, Amount};
use super::{Cell, Connection, Desk, Row, pool};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Stake tokens on a pool; they buy shares at its present price
    Deposit {
        #[arg(value_name = "POOL")]
        pool: Address,
        /// Tokens
        #[arg(value_name = "TOKENS")]
        amount: Amount,
        #[command(flatten)]
        slippage: Slippage,
    },
    /// List what a wallet has staked, what it is worth and what it has earned
    List {
        /// Another wallet
        #[arg(long, value_name = "WALLET")]
        owner: Option<Address>,
    },
}

/// How much worse than now a price may be when the transaction arrives.
#[derive(clap::Args)]
pub(super) struct Slippage {
    /// Refuse a price worse than the present one by more than this, in basis points
    #[arg(long, value_name = "BPS", default_value_t = 50)]
    slippage_bps: u16,
}

impl Slippage {
    /// The least number of shares to accept for an amount.
    pub(super) fn minimum_shares(&self, pool: &Pool, amount: u64) -> Result<u64> {
        ensure!(self.slippage_bps <= 10_000, "--slippage-bps must be at most 10000");
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
            let what = format!("stake {} on {pool}", tokens::show(amount.0));
            deposit(&mut desk, &what, pool, amount.0, slippage)
        }
        Command::List { owner } => {
            let owner = owner.map_or_else(|| desk.wallet(), Ok)?;
            let rows: Vec<Row> = holdings(&desk, &owner)?.iter().map(Holding::row).collect();
            desk.list(&rows, "nothing is staked; \"sip pool list\" shows on what one can")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Buys shares of a pool.
pub(super) fn deposit(
    desk: &mut Desk,
    what: &str,
    pool: &Address,
    amount: u64,
    slippage: &Slippage,
) -> Result<ExitCode> {
    let (owner, program) = (desk.wallet()?, desk.program);
    let minimum_shares = slippage.minimum_shares(&desk.read(pool)?, amount)?;
    let position = program.position(pool, &owner);
    desk.act(what, &[program.deposit(&owner, pool, amount, minimum_shares)], &[("pool", *pool), ("position", position)])
}

/// A position with its pool.
pub(super) struct Holding {
    pub(super) pool_address: Address,
    pub(super) pool: Pool,
    /// With everything settled that it has earned.
    pub(super) position: Position,
}

impl Holding {
    fn row(&self) -> Row {
        let Holding { pool_address, pool, position } = self;
        vec![
            ("pool", Cell::text(pool_address)),
            ("kind", Cell::text(pool::kind_name(pool.kind))),
            ("shares", Cell::Number(position.shares)),
            ("worth", Cell::Tokens(tokens::worth(position.shares, pool.shares, pool.assets))),
            ("claimable", Cell::Tokens(position.claimable)),
        ]
    }
}

/// Everything that a wallet has staked.
pub(super) fn holdings(desk: &Desk, owner: &Address) -> Result<Vec<Holding>> {
    let pools: BTreeMap<Address, Pool> = desk.all::<Pool>(AccountKind::Pool)?.into_iter().collect();
    let mut holdings = Vec::new();
    for (_, mut position) in desk.all::<Position>(AccountKind::Position)? {
        let pool_address = Address::new_from_array(position.pool);
        if let Some(pool) = pools.get(&pool_address).filter(|_| position.owner == owner.to_bytes()) {
            position.settle(pool)?;
            holdings.push(Holding { pool_address, pool: *pool, position });
        }
    }
    Ok(holdings)
}
