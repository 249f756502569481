//! `sip exit`: out of a pool, through the unbonding time.

use anyhow::{Context, Result, ensure};
use sip_protocol::stake::pool::Pool;
use sip_protocol::stake::position::Ticket;
use solana_address::Address;
use std::process::ExitCode;

use super::stake::Slippage;
use sip_console::table::Cell;
use sip_console::tokens::Part;
use sip_console::{AddressText, Connection, Desk};
use sip_view::stake::{self, Active};

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
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
        /// Tokens, or "all"
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Part,
    },
    /// List exits under way
    List,
    /// Take the tokens of a mature exit
    Claim {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
        /// The exit's number, as listed
        #[arg(value_name = "NUMBER")]
        number: u32,
    },
    /// Take an exit back: its tokens are new stake again, pending at first
    Cancel {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
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
            let pool = &desk.locate_pool(pool)?;
            request(&mut desk, pool, *amount)
        }
        Command::List => desk.list(&sip_view::wallet::exits(&desk, &owner)?, "no exit is under way"),
        Command::Claim { pool, number } => {
            let pool = &desk.locate_pool(pool)?;
            let (ticket, state) = find(&desk, pool, &owner, *number)?;
            let maturity = Cell::Slot { at: state.mature_slot, now: desk.slot()? };
            ensure!(
                maturity.is_reached(),
                "exit number {number} from {pool} is mature at slot {}",
                maturity.show_in_full()
            );
            let mut instructions = desk.token_account()?;
            instructions.push(program.claim_exit(&owner, pool, *number));
            desk.act("take the tokens of an exit", &instructions, &[("exit", ticket)])
        }
        Command::Cancel { pool, number, slippage } => {
            let pool = &desk.locate_pool(pool)?;
            let (position, state) = (program.position(pool, &owner), desk.read::<Pool>(pool)?);
            let (ticket_address, ticket) = find(&desk, pool, &owner, *number)?;
            let minimum = slippage.minimum_shares(&state, sip_view::wallet::payout(&ticket, &state))?;
            desk.act(
                "take the exit back",
                &[program.rebond(&owner, pool, *number, minimum)],
                &[("position", position), ("exit", ticket_address)],
            )
        }
    }
}

/// Starts an exit; "all" is also what is pending, as a second one, and leaves only what a lock or a vote holds.
fn request(desk: &mut Desk, pool: &Address, amount: Part) -> Result<ExitCode> {
    let (owner, program) = (desk.wallet()?, desk.program);
    let (address, _, position) = stake::holding(desk, pool, &owner)?;
    let active = Active::read(desk, pool, &owner)?;
    let takes_pending = amount == Part::All && position.pending > 0;
    let (mut instructions, mut accounts, mut number) = (Vec::new(), vec![("position", address)], position.tickets);
    let mut shares = 0;
    if takes_pending {
        // What is due and not active yet is pending still, and leaves with it.
        instructions.push(program.cancel_deposit(&owner, pool, number));
        accounts.push(("exit of what is pending", program.ticket(&address, number)));
        number += 1;
        shares = stake::free_of(&position, desk.slot()?);
    }
    if shares > 0 || !takes_pending {
        shares = if takes_pending { shares } else { active.free_shares(amount)? };
        instructions.push(program.request_exit(&owner, pool, number, shares));
        accounts.push(("exit", program.ticket(&address, number)));
    }
    let numbers = match instructions.len() {
        1 => format!("exit number {}", position.tickets),
        _ => format!("exits number {} and {number}", position.tickets),
    };
    let notes = if amount == Part::All { active.staying(false) } else { Vec::new() };
    desk.act_and_tell(&format!("{numbers} from {pool}"), &instructions, &accounts, &notes)
}

/// An owner's exit from a pool: its address, and it.
fn find(desk: &Desk, pool: &Address, owner: &Address, number: u32) -> Result<(Address, Ticket)> {
    let address = desk.program.ticket(&desk.program.position(pool, owner), number);
    let ticket = desk.find(&address)?.with_context(|| format!("there is no exit number {number} from {pool}"))?;
    Ok((address, ticket))
}
