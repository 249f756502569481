//! `sip wallet`: a key, what is in its accounts, what went in and out, and names for addresses.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sip_ledger::read_key;
use sip_protocol::ground::units::DECIMALS;
use sip_report::terminal::output;
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sip_console::failure::{Code, fault};
use sip_console::names::Names;
use sip_console::tokens::{self, Part};
use sip_console::{AddressText, Anyway, Connection, Desk, no_wallet, wallet_key};
use sip_view::wallet as view;

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
    /// Print the wallet's address, without a chain
    Address,
    /// Show a wallet's address, SOL, tokens, stake and what it can take
    Show {
        #[command(flatten)]
        whose: Whose,
    },
    /// Ask the chain's faucet for SOL, which fees and accounts cost; local chains and test clusters have one
    Airdrop {
        /// SOL
        #[arg(value_name = "SOL", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        sol: u32,
    },
    /// Send tokens, or SOL, to another wallet
    Send {
        /// Who gets them
        #[arg(value_name = "WALLET")]
        wallet: AddressText,
        /// Tokens, or "all"
        #[arg(value_name = "AMOUNT", allow_negative_numbers = true)]
        amount: Part,
        /// Send SOL instead of tokens
        #[arg(long)]
        sol: bool,
        #[command(flatten)]
        anyway: Anyway,
    },
    /// List what went into a wallet and out of it, newest first
    History {
        #[command(flatten)]
        whose: Whose,
        /// Transactions at most
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
    },
    /// Give an address a name, by which all commands know it
    Name {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,
        /// Address of a wallet, a pool, a job or anything else; also the file of a wallet's key
        #[arg(value_name = "ADDRESS")]
        address: AddressText,
    },
    /// List the names of addresses, which are in the file that SIP_NAMES names, or among the user's settings
    Names,
    /// Forget a name
    Forget {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Another wallet than the one that acts.
#[derive(clap::Args)]
struct Whose {
    /// Another wallet than the one that acts
    #[arg(value_name = "WALLET", conflicts_with = "owner")]
    wallet: Option<AddressText>,
    /// The same as an option
    #[arg(long, value_name = "WALLET")]
    owner: Option<AddressText>,
}

impl Whose {
    fn text(&self) -> Option<&AddressText> {
        self.wallet.as_ref().or(self.owner.as_ref())
    }
}

const LAMPORTS_PER_SOL: u64 = 1_000_000_000;
/// What the one signature of a transaction costs.
const FEE_LAMPORTS: u64 = 5_000;
/// The system program, which owns wallets.
const SYSTEM_PROGRAM: Address = Address::new_from_array([0; 32]);
/// Its instruction that sends lamports.
const TRANSFER: u32 = 2;
/// A token program's instruction that sends tokens, with the mint and its decimals.
const TRANSFER_CHECKED: u8 = 12;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (connection, mut out) = (&arguments.connection, std::io::stdout());
    match &arguments.command {
        Command::New { file } => {
            if file.exists() {
                let shown = sip_data::shown_path(file);
                let whose = read_key(file)
                    .map_or("something else than a key".to_owned(), |key| format!("the wallet {}", key.pubkey()));
                anyhow::bail!(
                    "{shown} holds {whose}, and is left as it is; name another file, and which wallet acts with --key FILE or SIP_KEY"
                );
            }
            let key = Keypair::new();
            write_key(file, &key).with_context(|| format!("cannot write the key to {}", file.display()))?;
            if connection.json {
                writeln!(out, "{}", json!({ "address": key.pubkey().to_string(), "file": file }))?;
            } else {
                let mut out = output();
                writeln!(out, "wallet  {}", key.pubkey())?;
                writeln!(out, "key     {}; anyone who reads this file owns the wallet", file.display())?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Address => {
            let address = wallet_key(connection.key.as_deref())?.ok_or_else(no_wallet)?.pubkey();
            match connection.json {
                true => writeln!(out, "{}", json!({ "address": address.to_string() }))?,
                false => writeln!(out, "{address}")?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Show { whose } => {
            let desk = Desk::connect(connection)?;
            desk.card(&view::wallet(&desk, &desk.owner(whose.text())?)?)
        }
        Command::Airdrop { sol } => {
            let mut desk = Desk::connect(connection)?;
            desk.require_no_dry_run()?;
            let wallet = desk.wallet()?;
            desk.ledger.airdrop(&wallet, u64::from(*sol) * LAMPORTS_PER_SOL)?;
            desk.card(&view::wallet(&desk, &wallet)?)
        }
        Command::Send { wallet, amount, sol, anyway } => {
            let mut desk = Desk::connect(connection)?;
            let receiver = desk.receiver(wallet, *anyway)?;
            if *sol { send_sol(&mut desk, &receiver, *amount) } else { send_tokens(&mut desk, &receiver, *amount) }
        }
        Command::History { whose, limit } => {
            let desk = Desk::connect(connection)?;
            desk.list(&view::history(&desk, &desk.owner(whose.text())?, *limit as usize)?, "nothing has gone in or out")
        }
        Command::Name { name, address } => {
            let mut names = Names::read()?;
            // Only a beginning takes a chain to complete.
            let address = match address.offline(&names)? {
                Some(address) => address,
                None => Desk::open(connection)?.locate_anything(address)?,
            };
            names.add(name, address)?;
            match connection.json {
                true => writeln!(out, "{}", json!({ "name": name, "address": address.to_string() }))?,
                false => writeln!(output(), "{name} is {address}")?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Forget { name } => {
            let address = Names::read()?.remove(name)?;
            match connection.json {
                true => {
                    writeln!(out, "{}", json!({ "name": name, "address": address.to_string(), "forgotten": true }))?
                }
                false => writeln!(output(), "{address} is no longer called {name}")?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Names => {
            let rows = Names::read()?.rows();
            sip_console::print_list(
                &rows,
                "no address has a name; \"sip wallet name NAME ADDRESS\" gives one",
                connection.json,
            )
        }
    }
}

fn send_sol(desk: &mut Desk, receiver: &Address, amount: Part) -> Result<ExitCode> {
    let Part::Amount(lamports) = amount else {
        return Err(fault(Code::Usage, "say how much SOL; the fee is paid out of the rest, so \"all\" is for tokens"));
    };
    if lamports == 0 {
        return Err(fault(Code::Usage, "send more than 0 SOL"));
    }
    ensure!(desk.wallet()? != *receiver, "that is the wallet itself");
    let held = desk.ledger.account(&desk.wallet()?)?.map_or(0, |account| account.lamports);
    if lamports.saturating_add(FEE_LAMPORTS) > held {
        let [held, lamports] = [held, lamports].map(tokens::sol);
        let said = format!("the wallet holds {held}, less than {lamports} and the fee");
        return Err(fault(Code::TooFewLamports, said));
    }
    let data = [&TRANSFER.to_le_bytes()[..], &lamports.to_le_bytes()].concat();
    let accounts = vec![AccountMeta::new(desk.wallet()?, true), AccountMeta::new(*receiver, false)];
    let transfer = Instruction { program_id: SYSTEM_PROGRAM, accounts, data };
    desk.act(&format!("send {} to {receiver}", tokens::sol(lamports)), &[transfer], &[("receiver", *receiver)])
}

fn send_tokens(desk: &mut Desk, receiver: &Address, amount: Part) -> Result<ExitCode> {
    let (wallet, program) = (desk.wallet()?, desk.program);
    let held = desk.balance(&wallet)?;
    let units = match amount {
        Part::All => held,
        Part::Amount(units) => units,
    };
    if units == 0 && amount != Part::All {
        return Err(fault(Code::Usage, "send more than 0 SIP"));
    }
    if units > held || units == 0 {
        let said = format!("the wallet holds {}, less than {}", tokens::show(held), tokens::show(units));
        return Err(fault(Code::TooFewTokens, said));
    }
    let [from, to] = [&wallet, receiver].map(|owner| program.token_account(owner));
    ensure!(from != to, "that is the wallet itself");
    let data = [&[TRANSFER_CHECKED][..], &units.to_le_bytes(), &[DECIMALS]].concat();
    let accounts = vec![
        AccountMeta::new(from, false),
        AccountMeta::new_readonly(program.mint(), false),
        AccountMeta::new(to, false),
        AccountMeta::new_readonly(wallet, true),
    ];
    let mut instructions = desk.token_account_of(receiver)?;
    instructions.push(Instruction { program_id: program.token_program, accounts, data });
    desk.act(&format!("send {} to {receiver}", tokens::show(units)), &instructions, &[("receiver", to)])
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
