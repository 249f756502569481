//! A Solana chain elsewhere, over JSON-RPC.

mod endpoint;
mod many;
mod questions;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use endpoint::{Endpoint, Refusal};
pub use endpoint::{endpoint_url, public_url};
pub use questions::{Effect, Past};
use serde_json::{Value, json};
use sip_json::Elements;
use sip_ledger::{Failure, Ledger, LedgerError, Receipt, RemoteError, Statistics, sign};
use solana_account::Account;
use solana_address::Address;
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signature::Signature;
use solana_transaction_error::TransactionError;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What is read and waited for. A confirmed block has the votes of two thirds of the stake.
const COMMITMENT: &str = "confirmed";
/// What nobody can drop any more.
const FINALIZED: &str = "finalized";
/// Accounts that one question about prices may name.
const ACCOUNTS_OF_PRICES: usize = 128;
/// JSON-RPC: no such method.
const METHOD_NOT_FOUND: i64 = -32601;
/// Solana: the simulation before sending failed.
const PREFLIGHT_FAILURE: i64 = -32002;
/// The first pause between two looks at a transaction's status, and the longest.
const POLL_PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(400)];
/// After how long a transaction that nobody has seen is sent again.
const RESEND_PAUSE: Duration = Duration::from_secs(2);
/// How often a transaction whose block hash the endpoint does not know yet is signed anew.
const BLOCKHASH_ATTEMPTS: u32 = 5;
/// How often the record of a confirmed transaction is asked for.
const RECORD_ATTEMPTS: u32 = 20;
/// What Solana takes for each signature.
const LAMPORTS_PER_SIGNATURE: u64 = 5_000;
/// An account takes more than this in an answer, its two addresses alone.
const ACCOUNT_TEXT_BYTES: usize = 100;
/// Accounts that an endpoint gives at once.
const ACCOUNTS_AT_ONCE: usize = 100;
/// Solana's targeted pace.
const SLOT: Duration = Duration::from_millis(400);

/// A Solana chain at an RPC endpoint: a cluster, a test validator or `sip localnet`.
///
/// Everything is read and waited for at commitment "confirmed", but for what [`Ledger::finalized`] gives, which is for reading. What fails in the network is tried again with growing
/// pauses; a transaction is sent again under its one signature, so it is never executed twice.
#[derive(Debug)]
pub struct Rpc {
    endpoint: Endpoint,
    /// What accounts and slots are read at.
    commitment: &'static str,
    /// No answer may be older than the last transaction that was sent from here.
    min_context_slot: u64,
    /// What was sent with the last block hash. The same instructions again need another.
    sent: (Hash, BTreeSet<Signature>),
    /// The block hash that was first signed with from here: under it, another process may have sent the same before.
    first_blockhash: Option<Hash>,
    statistics: Statistics,
}

/// A signed transaction on its way.
struct Sent {
    signature: Signature,
    wire: String,
    transaction_bytes: usize,
    last_valid_block_height: u64,
}

impl Rpc {
    /// The chain at an address like `https://api.devnet.solana.com` or `http://127.0.0.1:8899`, or of a name of [`endpoint_url`].
    ///
    /// # Errors
    /// [`RemoteError::Url`] where the address is none; [`RemoteError`]'s others where nobody answers there.
    pub fn connect(url: &str) -> Result<Self, LedgerError> {
        let endpoint = Endpoint::new(endpoint_url(url))?;
        endpoint.ask("getVersion", json!([]))?;
        let (sent, statistics) = (Default::default(), Statistics::default());
        Ok(Self { endpoint, commitment: COMMITMENT, min_context_slot: 0, sent, first_blockhash: None, statistics })
    }

    /// The endpoint's address.
    pub fn url(&self) -> &str {
        &self.endpoint.url
    }

    /// Asks the chain's faucet for lamports and waits until they are there. Clusters limit how much they give, and the
    /// main one gives nothing.
    ///
    /// # Errors
    /// [`LedgerError::Remote`] where the faucet refuses or the chain does not answer.
    pub fn airdrop(&mut self, address: &Address, lamports: u64) -> Result<Signature, LedgerError> {
        // A second question would be a second airdrop only where the first was lost on its way back; that is harmless.
        let answer = self.endpoint.ask("requestAirdrop", json!([address.to_string(), lamports]))?;
        let signature = self.parse("requestAirdrop", answer.as_str().unwrap_or_default())?;
        let (_, last_valid_block_height) = self.latest_blockhash()?;
        let slot = self.confirm(&signature, last_valid_block_height, None)?.0;
        self.min_context_slot = self.min_context_slot.max(slot);
        Ok(signature)
    }

    /// A recent block hash and the last block height at which it is one.
    fn latest_blockhash(&self) -> Result<(Hash, u64), RemoteError> {
        const METHOD: &str = "getLatestBlockhash";
        let answer = self.endpoint.ask(METHOD, json!([{ "commitment": COMMITMENT }]))?;
        let value = &answer["value"];
        let hash = self.parse(METHOD, value["blockhash"].as_str().unwrap_or_default())?;
        Ok((hash, self.number(METHOD, &value["lastValidBlockHeight"])?))
    }

    fn parse<T: std::str::FromStr>(&self, method: &'static str, text: &str) -> Result<T, RemoteError> {
        text.parse().map_err(|_| self.endpoint.unexpected(method, format!("\"{text}\" in place of base58")))
    }

    fn number(&self, method: &'static str, value: &Value) -> Result<u64, RemoteError> {
        value.as_u64().ok_or_else(|| self.endpoint.unexpected(method, format!("{value} in place of a number")))
    }

    /// A transaction with a block hash under which it has not been sent yet.
    fn sign(
        &mut self,
        instructions: &[Instruction],
        payer: &Keypair,
        signers: &[&Keypair],
    ) -> Result<Sent, LedgerError> {
        let start = Instant::now();
        loop {
            let (blockhash, last_valid_block_height) = self.latest_blockhash()?;
            let (transaction, transaction_bytes) = sign(instructions, payer, signers, blockhash)?;
            let signature = transaction.signatures[0];
            if self.sent.0 != blockhash {
                self.sent = (blockhash, BTreeSet::new());
            }
            let is_first = *self.first_blockhash.get_or_insert(blockhash) == blockhash;
            if self.sent.1.insert(signature) && !(is_first && self.is_known(&signature)?) {
                let wire = wincode::serialize(&transaction)
                    .map_err(|error| self.endpoint.unexpected("sendTransaction", error))?;
                return Ok(Sent { signature, wire: BASE64.encode(wire), transaction_bytes, last_valid_block_height });
            }
            if start.elapsed() > 75 * SLOT {
                let reason = "the same block hash for longer than any is recent; the chain stands still";
                return Err(self.endpoint.unexpected("getLatestBlockhash", reason).into());
            }
            std::thread::sleep(SLOT / 8);
        }
    }

    /// Whether a transaction of this signature has reached the chain lately.
    fn is_known(&self, signature: &Signature) -> Result<bool, RemoteError> {
        let answer = self.endpoint.ask("getSignatureStatuses", json!([[signature.to_string()]]))?;
        Ok(!answer["value"][0].is_null())
    }

    fn hand_in(&self, wire: &str) -> Result<Result<Value, Refusal>, RemoteError> {
        let options = json!({
            "encoding": "base64",
            "preflightCommitment": COMMITMENT,
            "minContextSlot": self.min_context_slot,
        });
        self.endpoint.call("sendTransaction", json!([wire, options]))
    }

    /// Waits until a transaction is confirmed: its slot, and its error where it failed. Sends it again now and then.
    fn confirm(
        &self,
        signature: &Signature,
        last_valid_block_height: u64,
        wire: Option<&str>,
    ) -> Result<(u64, Option<TransactionError>), LedgerError> {
        const METHOD: &str = "getSignatureStatuses";
        let lost = |error: RemoteError| RemoteError::Unknown {
            url: self.endpoint.url.clone(),
            signature: *signature,
            reason: error.to_string(),
        };
        let [mut pause, longest_pause] = POLL_PAUSES;
        let mut last_sent = Instant::now();
        let mut expired = false;
        loop {
            let answer = self.endpoint.ask(METHOD, json!([[signature.to_string()]])).map_err(lost)?;
            let status = &answer["value"][0];
            if matches!(status["confirmationStatus"].as_str(), Some("confirmed" | "finalized")) {
                let slot = self.number(METHOD, &status["slot"])?;
                let error = match &status["err"] {
                    Value::Null => None,
                    error => Some(self.transaction_error(METHOD, error)?),
                };
                return Ok((slot, error));
            }
            if expired && status.is_null() {
                return Err(RemoteError::Expired { url: self.endpoint.url.clone(), signature: *signature }.into());
            }
            // The status is asked for once more after this: the transaction may have been the last of its time.
            if status.is_null() {
                let height =
                    self.endpoint.ask("getBlockHeight", json!([{ "commitment": COMMITMENT }])).map_err(lost)?;
                expired = self.number("getBlockHeight", &height)? > last_valid_block_height;
            }
            if let Some(wire) = wire.filter(|_| last_sent.elapsed() > RESEND_PAUSE) {
                // Refusals such as "already processed" show in the status.
                let _ = self.hand_in(wire).map_err(lost)?;
                last_sent = Instant::now();
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(longest_pause);
        }
    }

    fn transaction_error(&self, method: &'static str, error: &Value) -> Result<TransactionError, RemoteError> {
        serde::Deserialize::deserialize(error)
            .map_err(|_| self.endpoint.unexpected(method, format!("the unknown error {error}")))
    }

    /// Compute units, logs and fee of a confirmed transaction. Where the endpoint keeps no records, nobody knows them:
    /// zeros, and no logs.
    fn record(&self, signature: &Signature) -> Result<(u64, Vec<String>, u64), RemoteError> {
        let options = json!({ "encoding": "base64", "commitment": COMMITMENT, "maxSupportedTransactionVersion": 0 });
        let mut pause = POLL_PAUSES[0];
        for _ in 0..RECORD_ATTEMPTS {
            let answer = match self.endpoint.call("getTransaction", json!([signature.to_string(), &options]))? {
                Ok(answer) => answer,
                Err(_) => break,
            };
            let meta = &answer["meta"];
            if !meta.is_null() {
                let compute_units = meta["computeUnitsConsumed"].as_u64().unwrap_or(0);
                return Ok((compute_units, strings(&meta["logMessages"]), meta["fee"].as_u64().unwrap_or(0)));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(POLL_PAUSES[1]);
        }
        Ok((0, Vec::new(), 0))
    }

    fn decode_account(&self, method: &'static str, value: &Value) -> Result<Account, RemoteError> {
        let wrong = |reason: &str| self.endpoint.unexpected(method, reason);
        let data = value["data"][0].as_str().ok_or_else(|| wrong("an account without data"))?;
        let owner = value["owner"].as_str().ok_or_else(|| wrong("an account without owner"))?;
        Ok(Account {
            lamports: self.number(method, &value["lamports"])?,
            data: BASE64.decode(data).map_err(|error| wrong(&error.to_string()))?,
            owner: self.parse(method, owner)?,
            executable: value["executable"].as_bool().unwrap_or(false),
            rent_epoch: value["rentEpoch"].as_u64().unwrap_or(u64::MAX),
        })
    }

    /// The account at an address, if there is one.
    ///
    /// # Errors
    /// [`RemoteError`] where the chain does not answer.
    pub fn account(&self, address: &Address) -> Result<Option<Account>, RemoteError> {
        const METHOD: &str = "getAccountInfo";
        let options =
            json!({ "encoding": "base64", "commitment": self.commitment, "minContextSlot": self.min_context_slot });
        let answer = self.endpoint.ask(METHOD, json!([address.to_string(), options]))?;
        match &answer["value"] {
            Value::Null => Ok(None),
            value => self.decode_account(METHOD, value).map(Some),
        }
    }

    /// What a transaction would do if it were sent now, and the accounts at these addresses after it.
    ///
    /// # Errors
    /// As [`Ledger::send`]; nothing is sent, and nothing is paid.
    pub fn simulate(
        &self,
        instructions: &[Instruction],
        payer: &Keypair,
        signers: &[&Keypair],
        watched: &[Address],
    ) -> Result<(Receipt, Vec<Option<Account>>), LedgerError> {
        const METHOD: &str = "simulateTransaction";
        let (blockhash, _) = self.latest_blockhash()?;
        let (transaction, transaction_bytes) = sign(instructions, payer, signers, blockhash)?;
        let signature = transaction.signatures[0];
        let signature_count = transaction.signatures.len() as u64;
        let wire = wincode::serialize(&transaction).map_err(|error| self.endpoint.unexpected(METHOD, error))?;
        let addresses: Vec<String> = watched.iter().map(Address::to_string).collect();
        let options = json!({
            "encoding": "base64",
            "commitment": COMMITMENT,
            "replaceRecentBlockhash": true,
            "minContextSlot": self.min_context_slot,
            "accounts": { "encoding": "base64", "addresses": addresses },
        });
        let answer = self.endpoint.ask(METHOD, json!([BASE64.encode(wire), options]))?;
        let value = &answer["value"];
        let compute_units = value["unitsConsumed"].as_u64().unwrap_or(0);
        let logs = strings(&value["logs"]);
        // Endpoints of an older version do not say it.
        let fee_lamports = value["fee"].as_u64().unwrap_or(LAMPORTS_PER_SIGNATURE * signature_count);
        if !value["err"].is_null() {
            let error = self.transaction_error(METHOD, &value["err"])?;
            let failure = Failure { signature, compute_units, logs, fee_lamports: 0, transaction_bytes };
            return Err(LedgerError::failed(error, failure));
        }
        let after = watched
            .iter()
            .enumerate()
            .map(|(index, _)| match &value["accounts"][index] {
                Value::Null => Ok(None),
                account => self.decode_account(METHOD, account).map(Some),
            })
            .collect::<Result<_, RemoteError>>()?;
        let slot = self.number(METHOD, &answer["context"]["slot"])?;
        Ok((Receipt { signature, compute_units, logs, fee_lamports, transaction_bytes, slot }, after))
    }
}

impl Ledger for Rpc {
    fn send(
        &mut self,
        instructions: &[Instruction],
        payer: &Keypair,
        signers: &[&Keypair],
    ) -> Result<Receipt, LedgerError> {
        let mut attempt = 1;
        let sent = loop {
            let sent = self.sign(instructions, payer, signers)?;
            let refusal = match self.hand_in(&sent.wire)? {
                Ok(_) => break sent,
                Err(refusal) => refusal,
            };
            let error = &refusal.data["err"];
            if refusal.code != PREFLIGHT_FAILURE || error.is_null() {
                return Err(self.endpoint.refused("sendTransaction", refusal).into());
            }
            match self.transaction_error("sendTransaction", error)? {
                // Our own transaction: an attempt of which we saw no answer has reached the chain.
                TransactionError::AlreadyProcessed => break sent,
                // Behind a load balancer one node may not know yet what another said.
                TransactionError::BlockhashNotFound if attempt < BLOCKHASH_ATTEMPTS => {
                    std::thread::sleep(SLOT);
                    attempt += 1;
                }
                error => {
                    let failure = Failure {
                        signature: sent.signature,
                        compute_units: refusal.data["unitsConsumed"].as_u64().unwrap_or(0),
                        logs: strings(&refusal.data["logs"]),
                        fee_lamports: 0,
                        transaction_bytes: sent.transaction_bytes,
                    };
                    return Err(LedgerError::failed(error, failure));
                }
            }
        };
        let Sent { signature, wire, transaction_bytes, last_valid_block_height } = sent;
        let (slot, error) = self.confirm(&signature, last_valid_block_height, Some(&wire))?;
        let (compute_units, logs, fee_lamports) = self.record(&signature)?;
        self.min_context_slot = self.min_context_slot.max(slot);
        self.statistics.compute_units += compute_units;
        self.statistics.transaction_bytes += transaction_bytes as u64;
        self.statistics.fee_lamports += fee_lamports;
        match error {
            None => {
                self.statistics.transactions += 1;
                Ok(Receipt { signature, compute_units, logs, fee_lamports, transaction_bytes, slot })
            }
            Some(error) => {
                self.statistics.failed_transactions += 1;
                let failure = Failure { signature, compute_units, logs, fee_lamports, transaction_bytes };
                Err(LedgerError::failed(error, failure))
            }
        }
    }

    fn send_each(&mut self, instructions: &[Instruction], payer: &Keypair) -> Result<(), LedgerError> {
        self.send_at_once(instructions, payer)
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, LedgerError> {
        Ok(self.account(address)?)
    }

    fn accounts(&self, addresses: &[Address]) -> Result<Vec<Option<Account>>, LedgerError> {
        let mut accounts = Vec::with_capacity(addresses.len());
        for some in addresses.chunks(ACCOUNTS_AT_ONCE) {
            accounts.extend(Rpc::accounts(self, some)?);
        }
        Ok(accounts)
    }

    fn program_accounts(&self, program_id: &Address) -> Result<Vec<(Address, Account)>, LedgerError> {
        self.program_accounts_with(program_id, &[])
    }

    fn program_accounts_with(
        &self,
        program_id: &Address,
        parts: &[(usize, &[u8])],
    ) -> Result<Vec<(Address, Account)>, LedgerError> {
        const METHOD: &str = "getProgramAccounts";
        let filter = |(offset, bytes): &(usize, &[u8])| {
            let bytes = BASE64.encode(bytes);
            json!({ "memcmp": { "offset": offset, "bytes": bytes, "encoding": "base64" } })
        };
        let filters: Vec<Value> = parts.iter().map(filter).collect();
        let mut options =
            json!({ "encoding": "base64", "commitment": self.commitment, "minContextSlot": self.min_context_slot });
        if !filters.is_empty() {
            options["filters"] = filters.into();
        }
        // Account by account, so that no more than one is in memory as JSON beside the text.
        let read = |list: &[u8]| -> Result<Vec<(Address, Account)>, RemoteError> {
            let unexpected = |error: String| self.endpoint.unexpected(METHOD, error);
            let elements = || Elements::new(list).map_err(|error| unexpected(error.to_string()));
            let mut accounts = Vec::with_capacity(elements()?.count().min(list.len() / ACCOUNT_TEXT_BYTES));
            for entry in elements()? {
                let entry = entry.map_err(|error| unexpected(error.to_string()))?;
                let entry: Value = sip_json::from_slice(entry).map_err(|error| unexpected(error.to_string()))?;
                let address = self.parse(METHOD, entry["pubkey"].as_str().unwrap_or_default())?;
                accounts.push((address, self.decode_account(METHOD, &entry["account"])?));
            }
            Ok(accounts)
        };
        let answer = self.endpoint.read(METHOD, json!([program_id.to_string(), options]), &read)?;
        let mut accounts = answer.map_err(|refusal| self.endpoint.refused(METHOD, refusal))?;
        accounts.sort_unstable_by_key(|(address, _)| *address);
        Ok(accounts)
    }

    fn slot(&self) -> Result<u64, LedgerError> {
        let answer = self.endpoint.ask("getSlot", json!([{ "commitment": self.commitment }]))?;
        Ok(self.number("getSlot", &answer)?)
    }

    fn advance_slots(&mut self, slots: u64) -> Result<(), LedgerError> {
        let slot = self.slot()?;
        let end = slot.checked_add(slots).ok_or(LedgerError::EndOfTime { slot, slots })?;
        // A local chain goes there at once. The target is absolute, so that asking twice does no harm.
        match self.endpoint.call("sip_advanceToSlot", json!([end]))? {
            Ok(_) => return Ok(()),
            Err(refusal) if refusal.code == METHOD_NOT_FOUND => {}
            Err(refusal) => return Err(self.endpoint.refused("sip_advanceToSlot", refusal).into()),
        }
        loop {
            let left = end.saturating_sub(self.slot()?);
            if left == 0 {
                return Ok(());
            }
            std::thread::sleep(SLOT * u32::try_from(left).unwrap_or(u32::MAX).min(100));
        }
    }

    fn finalized(&self) -> Option<Box<dyn Ledger>> {
        let (sent, statistics) = Default::default();
        // What was sent from here is not final for half a minute.
        let (endpoint, min_context_slot) = (self.endpoint.clone(), 0);
        Some(Box::new(Rpc {
            endpoint,
            commitment: FINALIZED,
            min_context_slot,
            sent,
            first_blockhash: None,
            statistics,
        }))
    }

    fn simulated_units(&self, instructions: &[Instruction], payer: &Keypair) -> Result<Option<u64>, LedgerError> {
        Ok(Some(self.simulate(instructions, payer, &[payer], &[])?.0.compute_units))
    }

    fn recent_prices(&self, accounts: &[Address]) -> Result<Vec<u64>, LedgerError> {
        let texts: Vec<String> = accounts.iter().take(ACCOUNTS_OF_PRICES).map(Address::to_string).collect();
        let Ok(answer) = self.endpoint.call("getRecentPrioritizationFees", json!([texts]))? else {
            return Ok(Vec::new());
        };
        let prices = answer.as_array().into_iter().flatten();
        Ok(prices.filter_map(|entry| entry["prioritizationFee"].as_u64()).collect())
    }

    fn minimum_balance(&self, data_bytes: usize) -> Result<u64, LedgerError> {
        let answer = self.endpoint.ask("getMinimumBalanceForRentExemption", json!([data_bytes]))?;
        Ok(self.number("getMinimumBalanceForRentExemption", &answer)?)
    }

    fn statistics(&self) -> Statistics {
        self.statistics
    }
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().map_or(Vec::new(), |list| list.iter().filter_map(|s| s.as_str().map(String::from)).collect())
}
