//! Commands that act on a Solana chain: a cluster, or `sip localnet`.

pub(crate) mod emission;
pub(crate) mod exit;
pub(crate) mod fee;
mod figures;
mod govern;
mod init;
pub(crate) mod job;
pub(crate) mod liquid;
pub(crate) mod lock;
pub(crate) mod pool;
pub(crate) mod protocol;
pub(crate) mod rewards;
mod settings;
pub(crate) mod stake;
pub(crate) mod steer;
mod table;
pub(crate) mod tokens;
mod vote;
pub(crate) mod wallet;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use sip_client::{Program, TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use sip_ledger::{Ledger, LedgerError};
use sip_localnet::read_key;
use sip_protocol::admin::migration::present_size;
use sip_protocol::{Account, AccountKind, Error};
use sip_rpc::Rpc;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use figures::{changes, figures};
use table::{Cell, Row};

/// Where the chain is and who acts on it.
#[derive(clap::Args)]
pub(crate) struct Connection {
    /// JSON-RPC address of the chain [default: $SIP_URL, or http://127.0.0.1:8899, where sip localnet is]
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,
    /// Key file of the wallet that acts [default: $SIP_KEY]
    #[arg(long, value_name = "FILE", global = true)]
    key: Option<PathBuf>,
    /// Address of the on-chain program, where it is not this build's
    #[arg(long, value_name = "ADDRESS", global = true)]
    program: Option<Address>,
    /// Say what would happen and what it would cost, and send nothing
    #[arg(long, global = true)]
    dry_run: bool,
    /// Print JSON: an object, a list of them, or one line of it for each transaction
    #[arg(long, global = true)]
    json: bool,
}

/// Whether an address may be one that no wallet has.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Anyway {
    /// Use an address that a program owns, or that is one
    #[arg(long)]
    anyway: bool,
}

/// A chain, and whoever acts on it.
pub(crate) struct Desk {
    pub(crate) ledger: Rpc,
    pub(crate) program: Program,
    pub(crate) json: bool,
    dry_run: bool,
    key: Option<Keypair>,
}

impl Desk {
    pub(crate) fn open(connection: &Connection) -> Result<Desk> {
        let from_environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let url = connection.url.clone().or_else(|| from_environment("SIP_URL"));
        let path = connection.key.clone().or_else(|| from_environment("SIP_KEY").map(PathBuf::from));
        let key = path.as_deref().map(read_key).transpose()?;
        let ledger = Rpc::connect(url.as_deref().unwrap_or("http://127.0.0.1:8899"))
            .context("is the chain running? \"sip localnet\" starts one on this machine, --url names another")?;
        let mut program = connection.program.map_or_else(Program::default, Program::new);
        // The token's mint says which token program the deployment uses; before there is one, `init` chooses.
        if let Some(mint) = ledger.account(&program.mint())? {
            if ![TOKEN_PROGRAM, TOKEN_2022_PROGRAM].contains(&mint.owner) {
                bail!("{} is no mint: its owner {} is no token program", program.mint(), mint.owner);
            }
            program = program.under(mint.owner);
        }
        Ok(Desk { ledger, program, json: connection.json, dry_run: connection.dry_run, key })
    }

    fn key(&self) -> Result<&Keypair> {
        self.key.as_ref().context("no wallet: pass --key FILE or set SIP_KEY; \"sip wallet new\" makes one")
    }

    /// Whether nothing is sent.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// The wallet that acts.
    pub(crate) fn wallet(&self) -> Result<Address> {
        Ok(self.key()?.pubkey())
    }

    /// The state of an account, if there is one.
    pub(crate) fn find<T: Account>(&self, address: &Address) -> Result<Option<T>> {
        let Some(account) = self.ledger.account(address)? else { return Ok(None) };
        if account.owner != self.program.id {
            bail!("{address} is no account of the program {}", self.program.id);
        }
        T::decode(&account.data).map(Some).map_err(|error| undecodable::<T>(address, &account.data, error))
    }

    /// The state of an account.
    pub(crate) fn read<T: Account>(&self, address: &Address) -> Result<T> {
        self.find(address)?.with_context(|| format!("there is no account at {address}"))
    }

    /// All accounts of a kind, by address.
    pub(crate) fn all<T: Account>(&self, kind: AccountKind) -> Result<Vec<(Address, T)>> {
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
    pub(crate) fn slot(&self) -> Result<u64> {
        Ok(self.ledger.slot()?)
    }

    /// Tokens in a wallet, base units; 0 where it has no token account.
    pub(crate) fn balance(&self, wallet: &Address) -> Result<u64> {
        Ok(self.ledger.token_balance(&self.program.token_account(wallet))?.unwrap_or(0))
    }

    /// The instruction that gives the wallet a token account, if it has none yet.
    pub(crate) fn token_account(&self) -> Result<Vec<Instruction>> {
        self.token_account_of(&self.wallet()?)
    }

    /// The instruction that gives somebody a token account, if there is none yet.
    pub(crate) fn token_account_of(&self, receiver: &Address) -> Result<Vec<Instruction>> {
        let wallet = self.wallet()?;
        let missing = self.ledger.account(&self.program.token_account(receiver))?.is_none();
        Ok(if missing { vec![self.program.create_token_account(&wallet, receiver)] } else { Vec::new() })
    }

    /// Refuses an address that no wallet has: a program, or an account that a program owns, from which nobody can sign.
    pub(crate) fn require_wallet(&self, address: &Address, anyway: Anyway) -> Result<()> {
        let Some(account) = self.ledger.account(address)?.filter(|_| !anyway.anyway) else { return Ok(()) };
        if account.executable {
            bail!("{address} is a program and no wallet; --anyway uses it all the same");
        }
        if account.owner != Address::default() {
            bail!(
                "{address} is no wallet: it is owned by the program {}, and what it gets may be lost; --anyway uses it all the same",
                account.owner
            );
        }
        Ok(())
    }

    /// Sends the instructions as one transaction (or, asked to, only simulates them) and tells what it did to the wallet's tokens and
    /// to the accounts of the protocol that are named.
    pub(crate) fn act(
        &mut self,
        what: &str,
        instructions: &[Instruction],
        accounts: &[(&str, Address)],
    ) -> Result<ExitCode> {
        let wallet = self.wallet()?;
        let mut watched = vec![("wallet", self.program.token_account(&wallet))];
        watched.extend_from_slice(accounts);
        let addresses: Vec<Address> = watched.iter().map(|(_, address)| *address).collect();
        let program = self.program;
        let describe = |account: Option<&solana_account::Account>| {
            account.map(|account| figures(&program, account)).unwrap_or_default()
        };
        let before = addresses
            .iter()
            .map(|address| Ok(describe(self.ledger.account(address)?.as_ref())))
            .collect::<Result<Vec<_>>>()?;
        let key = self.key()?;
        let sent = if self.dry_run {
            self.ledger.simulate(instructions, key, &[key], &addresses)
        } else {
            let key = key.insecure_clone();
            self.ledger.send(instructions, &key, &[&key]).and_then(|receipt| {
                let after = addresses.iter().map(|address| self.ledger.account(address)).collect::<Result<_, _>>();
                Ok((receipt, after?))
            })
        };
        let (receipt, after) = sent.map_err(|error| explain(error, what, before[0].is_empty()))?;
        let after: Vec<_> = after.iter().map(|account| describe(account.as_ref())).collect();

        let mut changed = Vec::new();
        for ((name, address), (before, after)) in watched.iter().zip(before.iter().zip(&after)) {
            for change in changes(name, address, before, after) {
                if !changed.contains(&change) {
                    changed.push(change);
                }
            }
        }
        let mut out = std::io::stdout();
        if self.json {
            let changes: Vec<Value> = changed.iter().map(|change| change.to_json()).collect();
            let outcome = json!({
                "action": what,
                "sent": !self.dry_run,
                "signature": (!self.dry_run).then(|| receipt.signature.to_string()),
                "slot": receipt.slot,
                "computeUnits": receipt.compute_units,
                "feeLamports": receipt.fee_lamports,
                "transactionBytes": receipt.transaction_bytes,
                "changes": changes,
            });
            writeln!(out, "{outcome}")?;
            return Ok(ExitCode::SUCCESS);
        }
        writeln!(out, "{what}{}", if self.dry_run { ": this would happen" } else { "" })?;
        for change in &changed {
            writeln!(out, "  {}", change.show(receipt.slot))?;
        }
        writeln!(
            out,
            "  {} compute units, fee {} lamports, {} bytes{}",
            tokens::grouped(receipt.compute_units),
            tokens::grouped(receipt.fee_lamports),
            receipt.transaction_bytes,
            if self.dry_run { String::new() } else { format!(", transaction {}", receipt.signature) }
        )?;
        Ok(ExitCode::SUCCESS)
    }

    /// Prints a list: as a table for people, as an array of objects for programs.
    pub(crate) fn list(&self, rows: &[Row], empty: &str) -> Result<ExitCode> {
        let mut out = std::io::stdout();
        if self.json {
            writeln!(out, "{}", Value::Array(rows.iter().map(table::object).collect()))?;
        } else if rows.is_empty() {
            writeln!(out, "{empty}")?;
        } else {
            write!(out, "{}", table::table(rows))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Prints one thing in full.
    pub(crate) fn card(&self, row: &Row) -> Result<ExitCode> {
        let mut out = std::io::stdout();
        if self.json {
            writeln!(out, "{}", table::object(row))?;
        } else {
            write!(out, "{}", table::card(row))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Why an account cannot be read.
fn undecodable<T: Account>(address: &Address, data: &[u8], error: Error) -> anyhow::Error {
    let word = |kind: AccountKind| format!("{kind:?}").to_lowercase();
    match sip_client::kind_of(data) {
        Some(kind) if kind != T::KIND => {
            anyhow!("{address} is an account of kind {}, where one of kind {} is expected", word(kind), word(T::KIND))
        }
        Some(_) if present_size(data).is_ok() => anyhow!(
            "account {address} has an older layout than this build's; \"sip protocol migrate {address}\" brings it up to date"
        ),
        _ => anyhow!("account {address}: {error}"),
    }
}

/// A refusal in words.
fn explain(error: LedgerError, what: &str, has_no_tokens: bool) -> anyhow::Error {
    if let LedgerError::Custom { code, .. } = &error {
        let from_token_program = error.logs().iter().any(|log| log.contains("Error: insufficient funds"));
        if from_token_program {
            return anyhow!("{what}: the wallet's token account does not hold that many tokens");
        }
        let reason = sip_client::refusal(*code);
        if has_no_tokens && reason == Some(sip_protocol::Error::WrongTokenAccount) {
            return anyhow!(
                "{what}: the wallet has no token account yet, so it has no tokens; somebody must send it some"
            );
        }
        if let Some(reason) = reason {
            return anyhow!("{what}: the program refused: {reason}");
        }
    }
    let no_account = matches!(&error, LedgerError::Transaction { source, .. }
        if source.to_string().contains("no record of a prior credit"));
    let error = anyhow::Error::new(error);
    match no_account {
        true => error.context(format!(
            "{what}: the wallet has no SOL to pay the fee with; on a local chain, \"sip wallet airdrop\""
        )),
        false => error.context(what.to_owned()),
    }
}
