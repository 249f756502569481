//! `sip liquid`: shares of a compounding pool as tokens that any wallet can hold.

use anyhow::{Result, ensure};
use sip_ledger::Ledger;
use sip_protocol::stake::pool::Pool;
use solana_address::Address;
use std::process::ExitCode;

use sip_console::kind_name;
use sip_console::table::Cell;
use sip_console::tokens::{self, Part};
use sip_console::{AddressText, Connection, Desk};
use sip_view::stake::Active;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Turn active stake into share tokens, which earn by their price
    Tokenize {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
        /// What they are worth, tokens, or "all"
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Part,
        /// Wallet that gets them [default: the wallet that acts]
        #[arg(long, value_name = "WALLET")]
        to: Option<AddressText>,
    },
    /// Turn share tokens back into stake, pending at first
    Detokenize {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
        /// What they are worth, tokens, or "all"
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Part,
    },
    /// Show what a share token of a pool is worth, how many there are and what the wallet holds
    Show {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut desk = Desk::open(&arguments.connection)?;
    let program = desk.program;
    match &arguments.command {
        Command::Tokenize { pool, amount, to } => {
            let pool = &desk.locate_pool(pool)?;
            let owner = desk.wallet()?;
            let receiver = desk.owner(to.as_ref())?;
            require_compounding(pool, &desk.read(pool)?)?;
            let shares = Active::read(&desk, pool, &owner)?.free_shares(*amount)?;
            let destination = program.share_account(&receiver, pool);
            let mut instructions = Vec::new();
            if desk.ledger.account(&program.share_mint(pool))?.is_none() {
                instructions.push(program.open_share_mint(&owner, pool));
            }
            if desk.ledger.account(&destination)?.is_none() {
                instructions.push(program.create_share_account(&owner, &receiver, pool));
            }
            instructions.push(program.tokenize_shares(&owner, pool, &destination, shares));
            let accounts = [("pool", *pool), ("position", program.position(pool, &owner)), ("receiver", destination)];
            desk.act("turn stake into share tokens", &instructions, &accounts)
        }
        Command::Detokenize { pool, amount } => {
            let pool = &desk.locate_pool(pool)?;
            let owner = desk.wallet()?;
            let state: Pool = desk.read(pool)?;
            let source = program.share_account(&owner, pool);
            let held = desk.ledger.token_balance(&source)?.unwrap_or(0);
            ensure!(held > 0, "the wallet holds no share token of {pool}");
            let shares = amount.shares(held, state.shares, state.assets);
            if let Part::Amount(units) = amount {
                let worth = tokens::worth(shares, state.shares, state.assets);
                let shown = tokens::show(worth);
                ensure!(worth >= *units, "the wallet's share tokens of {pool} are worth {shown}, less than that");
            }
            let accounts = [("pool", *pool), ("position", program.position(pool, &owner)), ("holder", source)];
            let instruction = program.detokenize_shares(&owner, pool, &source, shares);
            desk.act("turn share tokens into stake", &[instruction], &accounts)
        }
        Command::Show { pool } => {
            let pool = &desk.locate_pool(pool)?;
            show(&desk, pool)
        }
    }
}

fn require_compounding(address: &Address, pool: &Pool) -> Result<()> {
    ensure!(
        pool.compounding != 0,
        "{address} does not compound, so it has no share tokens; its rewards are claimed instead"
    );
    Ok(())
}

fn show(desk: &Desk, address: &Address) -> Result<ExitCode> {
    let state: Pool = desk.read(address)?;
    require_compounding(address, &state)?;
    let worth = |shares| Cell::Tokens(tokens::worth(shares, state.shares, state.assets));
    let mut row = vec![
        ("pool", Cell::text(address)),
        ("kind", Cell::text(kind_name(state.kind))),
        ("mint", Cell::text(desk.program.share_mint(address))),
        ("tokens per share", Cell::text(sip_view::pool::price(&state))),
        ("share tokens", Cell::Shares(state.liquid_shares)),
        ("worth", worth(state.liquid_shares)),
    ];
    if let Ok(wallet) = desk.wallet() {
        let held = desk.ledger.token_balance(&desk.program.share_account(&wallet, address))?.unwrap_or(0);
        row.extend([("the wallet holds", Cell::Shares(held)), ("its worth", worth(held))]);
    }
    desk.card(&row)
}
