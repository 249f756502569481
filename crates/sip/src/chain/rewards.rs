//! `sip rewards`: what stake has earned.

use anyhow::{Result, bail, ensure};
use solana_address::Address;
use std::process::ExitCode;

use sip_console::kind_name;
use sip_console::table::{Cell, Row};
use sip_console::{AddressText, Connection, Desk};
use sip_view::stake::holdings;

/// Claims that fit one transaction.
const CLAIMS_PER_TRANSACTION: usize = 5;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List what the wallet's positions have earned
    List,
    /// Take what positions have earned
    Claim {
        /// The pools; all in which something is claimable where none is named
        #[arg(value_name = "POOL")]
        pools: Vec<AddressText>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut desk = Desk::open(&arguments.connection)?;
    let (owner, program) = (desk.wallet()?, desk.program);
    let mut earned = holdings(&desk, &owner)?;
    earned.retain(|holding| holding.position.claimable > 0);
    match &arguments.command {
        Command::List => {
            let rows: Vec<Row> = earned
                .iter()
                .map(|holding| {
                    vec![
                        ("pool", Cell::text(holding.pool_address)),
                        ("kind", Cell::text(kind_name(holding.pool.kind))),
                        ("claimable", Cell::Tokens(holding.position.claimable)),
                    ]
                })
                .collect();
            desk.list(&rows, "nothing is claimable")
        }
        Command::Claim { pools } => {
            let pools = pools.iter().map(|pool| desk.locate_pool(pool)).collect::<Result<Vec<Address>>>()?;
            for pool in &pools {
                ensure!(earned.iter().any(|holding| holding.pool_address == *pool), "nothing is claimable from {pool}");
            }
            let pools: Vec<Address> = earned
                .iter()
                .map(|holding| holding.pool_address)
                .filter(|pool| pools.is_empty() || pools.contains(pool))
                .collect();
            if pools.is_empty() {
                bail!("nothing is claimable");
            }
            let mut code = ExitCode::SUCCESS;
            for part in pools.chunks(CLAIMS_PER_TRANSACTION) {
                let mut instructions = desk.token_account()?;
                instructions.extend(part.iter().map(|pool| program.claim_rewards(&owner, pool)));
                let positions: Vec<(&str, Address)> =
                    part.iter().map(|pool| ("position", program.position(pool, &owner))).collect();
                code = desk.act("take rewards", &instructions, &positions)?;
            }
            Ok(code)
        }
    }
}
