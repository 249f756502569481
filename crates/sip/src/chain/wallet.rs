//! `sip wallet`: a key, and what is in its accounts.

use anyhow::{Context, Result, ensure};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Cell, Connection, Desk};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a key and write it to a file, in the format of Solana's tools
    New {
        /// The file; never one that exists
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show the wallet's address, SOL and tokens
    Show,
    /// Ask the chain's faucet for SOL, which fees and accounts cost; local chains and test clusters have one
    Airdrop {
        /// SOL
        #[arg(value_name = "SOL", default_value_t = 10)]
        sol: u32,
    },
}

const LAMPORTS_PER_SOL: u64 = 1_000_000_000;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.command {
        Command::New { file } => {
            let key = Keypair::new();
            write_key(file, &key).with_context(|| format!("cannot write the key to {}", file.display()))?;
            let mut out = std::io::stdout();
            if arguments.connection.json {
                writeln!(out, "{}", serde_json::json!({ "address": key.pubkey().to_string(), "file": file }))?;
            } else {
                writeln!(out, "wallet  {}", key.pubkey())?;
                writeln!(out, "key     {}; anyone who reads this file owns the wallet", file.display())?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Show => show(&Desk::open(&arguments.connection)?),
        Command::Airdrop { sol } => {
            let mut desk = Desk::open(&arguments.connection)?;
            ensure!(*sol > 0, "ask for 1 SOL or more");
            let wallet = desk.wallet()?;
            desk.ledger.airdrop(&wallet, u64::from(*sol) * LAMPORTS_PER_SOL)?;
            show(&desk)
        }
    }
}

fn show(desk: &Desk) -> Result<ExitCode> {
    let wallet = desk.wallet()?;
    let lamports = desk.ledger.account(&wallet)?.map_or(0, |account| account.lamports);
    desk.card(&vec![
        ("wallet", Cell::text(wallet)),
        ("lamports", Cell::Number(lamports)),
        ("tokens", Cell::Tokens(desk.balance(&wallet)?)),
        ("token account", Cell::text(desk.program.token_account(&wallet))),
    ])
}

/// Writes a key where no file is yet, readable by its owner alone.
fn write_key(path: &Path, key: &Keypair) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(serde_json::to_string(&key.to_bytes().to_vec())?.as_bytes())?;
    Ok(file.sync_all()?)
}
