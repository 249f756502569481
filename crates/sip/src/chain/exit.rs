//! `sip exit`: out of a pool, through the unbonding time.

use anyhow::{Context, Result, ensure};
use sip_protocol::AccountKind;
use sip_protocol::stake::pool::Pool;
use sip_protocol::stake::position::Ticket;
use solana_address::Address;
use std::io::Write as _;
use std::process::ExitCode;

use super::stake::{self, Active, Slippage};
use super::tokens::{self, Part};
use super::{Cell, Connection, Desk, Row};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Start an exit; until it is mature it is slashed with the pool and earns nothing
    Request {
        /// Address of the pool
        #[arg(value_name = "POOL")]
        pool: Address,
        /// Tokens, or "all"
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Part,
    },
    /// List exits under way
    List,
    /// Take the tokens of a mature exit
    Claim {
        /// Address of the pool
        #[arg(value_name = "POOL")]
        pool: Address,
        /// The exit's number, as listed
        #[arg(value_name = "NUMBER")]
        number: u32,
    },
    /// Take an exit back: its tokens are new stake again, pending at first
    Cancel {
        /// Address of the pool
        #[arg(value_name = "POOL")]
        pool: Address,
        /// The exit's number, as listed
        #[arg(value_name = "NUMBER")]
        number: u32,
        #[command(flatten)]
        slippage: Slippage,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut desk = Desk::open(&arguments.connection)?;
    let (owner, program) = (desk.wallet()?, desk.program);
    match &arguments.command {
        Command::Request { pool, amount } => {
            let active = Active::read(&desk, pool, &owner)?;
            let shares = active.free_shares(*amount)?;
            let pending = active.pending();
            let (position_address, _, position) = stake::holding(&desk, pool, &owner)?;
            let number = position.tickets;
            let ticket = program.ticket(&position_address, number);
            let code = desk.act(
                &format!("exit number {number} from {pool}"),
                &[program.request_exit(&owner, pool, number, shares)],
                &[("position", position_address), ("exit", ticket)],
            )?;
            if pending > 0 && *amount == Part::All && !desk.json {
                writeln!(
                    std::io::stdout(),
                    "  {} still pending, which is not part of it: \"sip stake cancel {pool}\" takes it back",
                    tokens::show(pending)
                )?;
            }
            Ok(code)
        }
        Command::List => list(&desk, &owner),
        Command::Claim { pool, number } => {
            let (ticket, state) = find(&desk, pool, &owner, *number)?;
            let maturity = Cell::Slot { at: state.mature_slot, now: desk.slot()? };
            ensure!(maturity.is_reached(), "exit number {number} from {pool} is mature at slot {}", maturity.show());
            let mut instructions = desk.token_account()?;
            instructions.push(program.claim_exit(&owner, pool, *number));
            desk.act("take the tokens of an exit", &instructions, &[("exit", ticket)])
        }
        Command::Cancel { pool, number, slippage } => {
            let (position, state) = (program.position(pool, &owner), desk.read::<Pool>(pool)?);
            let (ticket_address, ticket) = find(&desk, pool, &owner, *number)?;
            let minimum = slippage.minimum_shares(&state, payout(&ticket, &state))?;
            desk.act(
                "take the exit back",
                &[program.rebond(&owner, pool, *number, minimum)],
                &[("position", position), ("exit", ticket_address)],
            )
        }
    }
}

/// An owner's exit from a pool: its address, and it.
fn find(desk: &Desk, pool: &Address, owner: &Address, number: u32) -> Result<(Address, Ticket)> {
    let address = desk.program.ticket(&desk.program.position(pool, owner), number);
    let ticket = desk.find(&address)?.with_context(|| format!("there is no exit number {number} from {pool}"))?;
    Ok((address, ticket))
}

/// What an exit pays, less all slashes so far.
fn payout(ticket: &Ticket, pool: &Pool) -> u64 {
    let left = u128::from(ticket.assets) * u128::from(pool.survival) / u128::from(ticket.survival.max(1));
    left as u64
}

fn list(desk: &Desk, owner: &Address) -> Result<ExitCode> {
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
    desk.list(&rows, "no exit is under way")
}
