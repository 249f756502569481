//! `sip emission` on a chain: where emission stands, the turn of its epoch, the yield of pools.

use anyhow::{Result, bail, ensure};
use sip_protocol::AccountKind;
use sip_protocol::money::epoch::EmissionAccount;
use sip_protocol::stake::pool::{ACTIVE, Pool};
use solana_address::Address;
use std::process::ExitCode;

use sip_console::table::Cell;
use sip_console::{AddressText, Connection, Desk};

/// Pools that one transaction settles.
const POOLS_PER_TRANSACTION: usize = 8;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show where a chain's emission stands: epoch, use of the network, what was released, what governance set
    Show {
        #[command(flatten)]
        connection: Connection,
    },
    /// End an epoch that is over: measure it and release its rewards; anyone may
    Turn {
        #[command(flatten)]
        connection: Connection,
    },
    /// Pay pools their part of the staking yield, and count their stake from now on; anyone may
    Settle {
        #[command(flatten)]
        connection: Connection,
        /// The pools; all whose stake counts or has counted where none is named
        #[arg(value_name = "POOL")]
        pools: Vec<AddressText>,
    },
}

pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Show { connection } => {
            let desk = Desk::open(connection)?;
            desk.card(&sip_view::protocol::emission(&desk)?)
        }
        Command::Turn { connection } => turn(&mut Desk::open(connection)?),
        Command::Settle { connection, pools } => {
            let mut desk = Desk::open(connection)?;
            let pools = pools.iter().map(|pool| desk.locate_pool(pool)).collect::<Result<_>>()?;
            settle(&mut desk, pools)
        }
    }
}

fn turn(desk: &mut Desk) -> Result<ExitCode> {
    let program = desk.program;
    let EmissionAccount { emission, .. } = desk.read(&program.emission())?;
    let now = desk.slot()?;
    let end = Cell::Slot { at: emission.end_slot, now };
    ensure!(now >= emission.end_slot, "epoch {} ends at slot {}", emission.epoch, end.show_in_full());
    let accounts = [("emission", program.emission()), ("protocol", program.config())];
    desk.act(&format!("end epoch {}", emission.epoch), &[program.turn_epoch()], &accounts)
}

fn settle(desk: &mut Desk, mut pools: Vec<Address>) -> Result<ExitCode> {
    if pools.is_empty() {
        let all = desk.all::<Pool>(AccountKind::Pool)?;
        let counts = |pool: &Pool| pool.status == ACTIVE || pool.yield_share.stake > 0;
        pools = all.into_iter().filter(|(_, pool)| counts(pool)).map(|(address, _)| address).collect();
    }
    if pools.is_empty() {
        bail!("there is no pool whose stake counts");
    }
    let mut code = ExitCode::SUCCESS;
    for part in pools.chunks(POOLS_PER_TRANSACTION) {
        let instructions: Vec<_> = part.iter().map(|pool| desk.program.settle_yield(pool)).collect();
        let mut accounts = vec![("emission", desk.program.emission())];
        accounts.extend(part.iter().map(|pool| ("pool", *pool)));
        code = desk.act("pay pools their yield", &instructions, &accounts)?;
    }
    Ok(code)
}
