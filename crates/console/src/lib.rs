//! What every command has in common: where the chain is and who acts on it, words to addresses and amounts, transactions that are tried, told and sent,
//! lists and cards for people and objects for programs, and what goes wrong, with a code.
//!
//! [`Desk`] is a chain with the wallet that acts on it; [`Connection`] are the options that name both. [`table`] shows what was found, [`failure`] tells
//! what went wrong.

mod act;
pub mod address;
pub mod attention;
pub mod deploy;
pub mod failure;
mod figures;
mod interrupt;
pub mod names;
pub mod pace;
mod receiver;
mod refusals;
mod scratch;
pub mod settings;
pub mod table;
pub mod tokens;
pub mod words;

use anyhow::{Result, bail};
use serde_json::Value;
use sip_client::{Program, TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use sip_ledger::{Ledger, LedgerError, RemoteError, read_key};
use sip_protocol::admin::migration::present_size;
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::{Account, AccountKind, Error};
use sip_rpc::Rpc;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::cell::RefCell;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

pub use address::AddressText;
pub use figures::Unit;
pub use interrupt::stop_on_interrupt;
pub use receiver::Anyway;
pub use refusals::{Tried, explain};
pub use scratch::scratch;

use crate::failure::{Code, fault};
use names::Names;
use sip_report::terminal::{Stream, columns, fitted};
use table::Row;

/// Where the chain is and who acts on it.
#[derive(clap::Args)]
pub struct Connection {
    /// JSON-RPC address of the chain, or localhost, devnet, testnet or mainnet [default: $SIP_URL, or localhost, where sip localnet is]
    #[arg(long, value_name = "URL", global = true)]
    pub url: Option<String>,
    /// Key file of the wallet that acts [default: $SIP_KEY]
    #[arg(long, value_name = "FILE", global = true)]
    pub key: Option<PathBuf>,
    /// Address of the on-chain program [default: $SIP_PROGRAM, or this build's]
    #[arg(long, value_name = "ADDRESS", global = true, value_parser = crate::address::in_full)]
    pub program: Option<Address>,
    /// Say what would happen and what it would cost, and send nothing
    #[arg(long, global = true)]
    dry_run: bool,
    /// Do what cannot be undone without a question
    #[arg(long, global = true)]
    yes: bool,
    /// Print JSON: an object, a list of them, or one line of it for each transaction
    #[arg(long, global = true)]
    pub json: bool,
}

/// What a variable of the environment says, where it says anything.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The chain that an option, a variable or nothing at all names.
pub fn chain_url(option: Option<&str>) -> String {
    option.map(str::to_owned).or_else(|| variable("SIP_URL")).unwrap_or_else(|| "localhost".into())
}

/// The program that an option or a variable names, or this build's.
pub fn named_program(option: Option<Address>) -> Result<Program> {
    let named = option.map(Ok).or_else(|| variable("SIP_PROGRAM").map(|text| text.parse()));
    match named {
        None => Ok(Program::default()),
        Some(Ok(address)) => Ok(Program::new(address)),
        Some(Err(_)) => Err(fault(Code::NotAnAddress, "SIP_PROGRAM is no address: expected 32 bytes in base58")),
    }
}

/// The key of the wallet that an option or a variable names, if any.
pub fn wallet_key(option: Option<&std::path::Path>) -> Result<Option<Keypair>> {
    let path = option.map(PathBuf::from).or_else(|| variable("SIP_KEY").map(PathBuf::from));
    Ok(path.as_deref().map(read_key).transpose()?)
}

/// Where there is no wallet and one is needed.
pub fn no_wallet() -> anyhow::Error {
    fault(Code::NoWallet, "no wallet: pass --key FILE or set SIP_KEY; \"sip wallet new\" makes one")
}

/// The chain at an address or of a name.
pub fn reach(url: &str) -> Result<Rpc> {
    Rpc::connect(url).map_err(|error| match error {
        LedgerError::Remote(RemoteError::Unreachable { url, attempts, reason }) => fault(
            Code::Unreachable,
            format!(
                "cannot reach {url} after {attempts} attempts: {reason}; is the chain running? \"sip localnet\" starts one on this \
                 machine, --url names another"
            ),
        ),
        error => error.into(),
    })
}

/// A chain, and the wallet that acts on it.
pub struct Desk {
    /// The chain.
    pub ledger: Rpc,
    /// The deployment of the program on it.
    pub program: Program,
    /// Whether objects are printed for programs.
    pub json: bool,
    dry_run: bool,
    /// Whether nobody is asked before what cannot be undone.
    yes: bool,
    key: Option<Keypair>,
    names: Names,
    /// What programs are told as "notes".
    notes: RefCell<Vec<String>>,
}

impl Desk {
    /// The chain with the program on it.
    pub fn open(connection: &Connection) -> Result<Desk> {
        let desk = Desk::connect(connection)?;
        desk.require_program()?;
        Ok(desk)
    }

    /// Checks that the program is on the chain.
    pub fn require_program(&self) -> Result<()> {
        let (id, url) = (self.program.id, self.ledger.url());
        match self.ledger.account(&id)? {
            Some(account) if account.executable => Ok(()),
            Some(_) => Err(fault(Code::NoProgram, format!("{id} on {url} is no program; --program names another"))),
            None => Err(fault(
                Code::NoProgram,
                format!(
                    "there is no program at {id} on {url}; \"sip protocol deploy\" brings one there, --program names another"
                ),
            )),
        }
    }

    /// The chain, whatever is on it.
    pub fn connect(connection: &Connection) -> Result<Desk> {
        let key = wallet_key(connection.key.as_deref())?;
        let ledger = reach(&chain_url(connection.url.as_deref()))?;
        if !connection.json
            && let Some(microseconds) = ledger.slot_microseconds()?
        {
            pace::measure(microseconds);
        }
        let mut program = named_program(connection.program)?;
        // The token's mint says which token program the deployment uses; before there is one, `init` chooses.
        if let Some(mint) = ledger.account(&program.mint())? {
            if ![TOKEN_PROGRAM, TOKEN_2022_PROGRAM].contains(&mint.owner) {
                bail!("{} is no mint: its owner {} is no token program", program.mint(), mint.owner);
            }
            program = program.under(mint.owner);
        }
        let &Connection { json, dry_run, yes, .. } = connection;
        let (names, notes) = (Names::read()?, RefCell::default());
        Ok(Desk { ledger, program, json, dry_run, yes, key, names, notes })
    }

    /// The key of the wallet that acts.
    pub fn key(&self) -> Result<&Keypair> {
        self.key.as_ref().ok_or_else(no_wallet)
    }

    /// Whether nothing is sent.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// The wallet that acts.
    pub fn wallet(&self) -> Result<Address> {
        Ok(self.key()?.pubkey())
    }

    /// The state of an account, if there is one.
    pub fn find<T: Account>(&self, address: &Address) -> Result<Option<T>> {
        let Some(account) = self.ledger.account(address)? else { return Ok(None) };
        if account.owner != self.program.id {
            let said = format!("{address} is no account of the program {}", self.program.id);
            return Err(fault(Code::WrongAccount, said));
        }
        T::decode(&account.data).map(Some).map_err(|error| undecodable::<T>(address, &account.data, error))
    }

    /// The state of an account.
    pub fn read<T: Account>(&self, address: &Address) -> Result<T> {
        self.find(address)?.ok_or_else(|| match T::KIND {
            AccountKind::Config | AccountKind::Emission => not_begun(),
            kind => {
                fault(Code::NoAccount, format!("there is no account at {address}, where a {} is expected", word(kind)))
            }
        })
    }

    /// All accounts of a kind, by address.
    pub fn all<T: Account>(&self, kind: AccountKind) -> Result<Vec<(Address, T)>> {
        let accounts = self.ledger.program_accounts(&self.program.id)?;
        let of_kind = accounts.iter().filter(|(_, account)| account.data.first() == Some(&(kind as u8)));
        of_kind
            .map(|(address, account)| match T::decode(&account.data) {
                Ok(value) => Ok((*address, value)),
                Err(error) => Err(undecodable::<T>(address, &account.data, error)),
            })
            .collect()
    }

    /// The present slot.
    pub fn slot(&self) -> Result<u64> {
        Ok(self.ledger.slot()?)
    }

    /// Base units of a part of what the wallet holds.
    ///
    /// # Errors
    /// The ledger's.
    pub fn of_wallet(&self, part: tokens::Part) -> Result<u64> {
        match part {
            tokens::Part::All => self.balance(&self.wallet()?),
            tokens::Part::Amount(units) => Ok(units),
        }
    }

    /// Tokens in a wallet, base units; 0 where it has no token account.
    pub fn balance(&self, wallet: &Address) -> Result<u64> {
        Ok(self.ledger.token_balance(&self.program.token_account(wallet))?.unwrap_or(0))
    }

    /// The instruction that gives the wallet a token account, if it has none yet.
    pub fn token_account(&self) -> Result<Vec<Instruction>> {
        self.token_account_of(&self.wallet()?)
    }

    /// The instruction that gives somebody a token account, if there is none yet.
    pub fn token_account_of(&self, receiver: &Address) -> Result<Vec<Instruction>> {
        let wallet = self.wallet()?;
        let missing = self.ledger.account(&self.program.token_account(receiver))?.is_none();
        Ok(if missing { vec![self.program.create_token_account(&wallet, receiver)] } else { Vec::new() })
    }

    /// A command that only looks has nothing to try.
    pub fn require_no_dry_run(&self) -> Result<()> {
        match self.dry_run {
            true => Err(fault(Code::Usage, "--dry-run is for commands that send something; this one only looks")),
            false => Ok(()),
        }
    }

    /// Prints a list: as a table or cards for people, as an array of objects for programs.
    pub fn list(&self, rows: &[Row], empty: &str) -> Result<ExitCode> {
        self.require_no_dry_run()?;
        match self.json {
            true => print_list(rows, empty, true),
            false => print_list(&rows.iter().map(|row| self.names.in_list(row)).collect::<Vec<Row>>(), empty, false),
        }
    }

    /// Prints one thing in full.
    pub fn card(&self, row: &Row) -> Result<ExitCode> {
        self.require_no_dry_run()?;
        let mut out = std::io::stdout();
        if self.json {
            writeln!(out, "{}", table::object(row))?;
        } else {
            write!(out, "{}", table::card(&self.names.in_card(row), columns(Stream::Output)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a list that is of no chain.
pub fn print_list(rows: &[Row], empty: &str, json: bool) -> Result<ExitCode> {
    let mut out = std::io::stdout();
    if json {
        writeln!(out, "{}", Value::Array(rows.iter().map(table::object).collect()))?;
    } else if rows.is_empty() {
        writeln!(out, "{}", fitted(empty, Stream::Output, 0))?;
    } else {
        write!(out, "{}", table::list(rows, columns(Stream::Output)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a chain has no job.
pub const NO_JOB: &str =
    "there is no job on this chain; \"sip job create\" makes one, and \"sip demo\" plays one on a ledger of its own";

/// Before `sip protocol init`.
pub fn not_begun() -> anyhow::Error {
    fault(Code::NotBegun, "the protocol is not begun on this chain; \"sip protocol init\" begins it")
}

/// What an account is, in words.
pub fn word(kind: AccountKind) -> String {
    format!("{kind:?}").to_lowercase()
}

/// What a kind of pools is called.
pub fn kind_name(kind: u8) -> &'static str {
    match PoolKind::from_byte(kind) {
        Some(PoolKind::Trainer) => "trainer",
        Some(PoolKind::Auditor) => "auditor",
        Some(PoolKind::Evaluator) => "evaluator",
        Some(PoolKind::Data) => "data",
        Some(PoolKind::Attention) => "attention",
        Some(PoolKind::Model) => "model",
        Some(PoolKind::Server) => "server",
        None => "unknown",
    }
}

/// Why an account cannot be read.
fn undecodable<T: Account>(address: &Address, data: &[u8], error: Error) -> anyhow::Error {
    let said = match sip_client::kind_of(data) {
        Some(kind) if kind != T::KIND => {
            format!("{address} is an account of kind {}, where one of kind {} is expected", word(kind), word(T::KIND))
        }
        Some(_) if present_size(data).is_ok() => format!(
            "account {address} has an older layout than this build's; \"sip protocol migrate {address}\" brings it up to date"
        ),
        _ => format!("account {address}: {error}"),
    };
    fault(Code::WrongAccount, said)
}
