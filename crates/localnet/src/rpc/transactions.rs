//! Methods about transactions and blocks.

use super::error::RpcError;
use super::params::{Options, Params};
use super::{accounts, parsed, with_context};
use crate::chain::{BLOCKHASH_SLOTS, Chain, confirmation};
use crate::engine::Shared;
use crate::history::Entry;
use crate::meta;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sip_ledger::MAX_TRANSACTION_BYTES;
use sip_svm::Simulation;
use solana_address::Address;
use solana_hash::Hash;
use solana_message::compiled_instruction::CompiledInstruction;
use solana_message::v0::LoadedAddresses;
use solana_message::v1::{MAX_TRANSACTION_SIZE, V1_PREFIX};
use solana_message::{AccountKeys, VersionedMessage};
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;
use std::collections::HashSet;

/// Signatures in one question about statuses.
const MAX_STATUSES: usize = 256;
/// Signatures in one answer about an address.
const MAX_SIGNATURES: u64 = 1_000;

/// Bytes in base58 or base64 that no transaction exceeds.
fn decode(text: &str, encoding: Option<&str>, default: &str) -> Result<Vec<u8>, RpcError> {
    let too_large = |bytes: usize, most: usize| {
        RpcError::invalid(format!("transaction too large: {bytes} bytes (max: {most} bytes)"))
    };
    // Both encodings take more characters than bytes; base58 takes time that grows with the square.
    let most_characters = match encoding.unwrap_or(default) {
        "base64" => 2 * MAX_TRANSACTION_SIZE,
        _ => 2 * MAX_TRANSACTION_BYTES,
    };
    if text.len() > most_characters {
        return Err(too_large(text.len(), most_characters));
    }
    let bytes = match encoding.unwrap_or(default) {
        "base58" => bs58::decode(text).into_vec().map_err(|error| format!("invalid base58 encoding: {error}")),
        "base64" => BASE64.decode(text).map_err(|error| format!("invalid base64 encoding: {error}")),
        other => Err(format!("unsupported encoding: {other}. Supported encodings: base58, base64")),
    };
    let bytes = bytes.map_err(RpcError::invalid)?;
    let most = if bytes.first() == Some(&V1_PREFIX) { MAX_TRANSACTION_SIZE } else { MAX_TRANSACTION_BYTES };
    if bytes.len() > most { Err(too_large(bytes.len(), most)) } else { Ok(bytes) }
}

fn decode_transaction(params: Params<'_>, options: &Options<'_>) -> Result<(VersionedTransaction, Vec<u8>), RpcError> {
    let wire = decode(params.text(0, "a transaction")?, options.text("encoding")?, "base58")?;
    let broken = || RpcError::invalid("failed to deserialize solana_transaction::versioned::VersionedTransaction");
    // What stands after the transaction is not looked at, and not kept.
    let transaction: VersionedTransaction = wincode::deserialize(&wire).map_err(|_| broken())?;
    let wire = wincode::serialize(&transaction).map_err(|_| broken())?;
    transaction.sanitize().map_err(|error| {
        RpcError::invalid(format!(
            "invalid transaction: Transaction failed to sanitize accounts offsets correctly: {error}"
        ))
    })?;
    Ok((transaction, wire))
}

pub(super) fn send(shared: &Shared, params: Params<'_>) -> Result<Value, RpcError> {
    let options = params.options(1)?;
    let (transaction, wire) = decode_transaction(params, &options)?;
    params.check_min_context_slot(shared.chain()?.ledger.slot())?;
    let signature = shared.send(transaction, &wire, options.flag("skipPreflight")?)?;
    Ok(signature.to_string().into())
}

pub(super) fn request_airdrop(shared: &Shared, params: Params<'_>) -> Result<Value, RpcError> {
    let to: Address = params.base58(0, "an address")?;
    let lamports = params.number(1, "lamports")?;
    let blockhash = params.options(2)?.base58("recentBlockhash")?;
    let airdrop = shared.chain()?.airdrop(&to, lamports, blockhash);
    let (transaction, wire) = airdrop.ok_or_else(|| RpcError::internal("the airdrop cannot be written down"))?;
    Ok(shared.send(transaction, &wire, false)?.to_string().into())
}

pub(super) fn simulate(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let options = params.options(1)?;
    let (mut transaction, _) = decode_transaction(params, &options)?;
    let (verify, replace) = (options.flag("sigVerify")?, options.flag("replaceRecentBlockhash")?);
    if verify && replace {
        return Err(RpcError::invalid("sigVerify may not be used with replaceRecentBlockhash"));
    }
    let mut replacement = Value::Null;
    let admitted = if replace {
        let (blockhash, last_valid_block_height) = chain.latest_blockhash();
        transaction.message.set_recent_blockhash(blockhash);
        replacement = json!({ "blockhash": blockhash.to_string(), "lastValidBlockHeight": last_valid_block_height });
        Ok(())
    } else {
        chain.admit(&transaction)
    };
    let admitted = match verify && transaction.verify_with_results().contains(&false) {
        true => Err(TransactionError::SignatureFailure),
        false => admitted,
    };
    let account_count = transaction.message.static_account_keys().len();
    if let Some(wanted) = options.get("accounts") {
        accounts::check_wanted(wanted, account_count)?;
    }
    let simulation = match admitted {
        Ok(()) => chain.simulate(transaction)?,
        // Whose block hash is unknown has its accounts loaded already.
        Err(TransactionError::BlockhashNotFound) => {
            chain.ledger.unbegun(&transaction.message, TransactionError::BlockhashNotFound)
        }
        Err(error) => Simulation::refused(error),
    };
    if let Some(malformed) = RpcError::malformed(&simulation) {
        return Err(malformed);
    }
    let accounts = match options.get("accounts") {
        Some(wanted) if simulation.result.is_ok() => accounts::after(chain, wanted, &simulation.after)?,
        _ => Value::Null,
    };
    let inner = match options.flag("innerInstructions")? {
        true => meta::inner_instructions(&simulation.inner_instructions),
        false => Value::Null,
    };
    let mut value = meta::of_simulation(&chain.ledger, &simulation);
    value["accounts"] = accounts;
    value["innerInstructions"] = inner;
    value["replacementBlockhash"] = replacement;
    Ok(with_context(chain, value))
}

/// The error of a logged transaction as JSON.
pub(super) fn logged_error(entry: &Entry) -> Value {
    entry.error.as_ref().and_then(|error| sip_json::from_str(error).ok()).unwrap_or(Value::Null)
}

pub(super) fn statuses(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let signatures: Vec<Signature> = params.list(0, "signatures", MAX_STATUSES)?;
    // The whole history is searched, whether it is asked for or not.
    params.options(1)?;
    let status = |signature: &Signature| {
        let Some(entry) = chain.history.find(signature) else { return Value::Null };
        let error = logged_error(entry);
        let status = if error.is_null() { json!({ "Ok": null }) } else { json!({ "Err": error }) };
        let confirmation = confirmation(chain, entry);
        let confirmations = if confirmation == "processed" { json!(0) } else { Value::Null };
        json!({
            "slot": entry.slot,
            "confirmations": confirmations,
            "err": error,
            "status": status,
            "confirmationStatus": confirmation,
        })
    };
    Ok(with_context(chain, signatures.iter().map(status).collect()))
}

pub(super) fn of_address(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let address: Address = params.base58(0, "an address")?;
    let options = params.options(1)?;
    let limit = options.number("limit")?.unwrap_or(MAX_SIGNATURES);
    if limit == 0 || limit > MAX_SIGNATURES {
        return Err(RpcError::invalid(format!("Invalid limit; max {MAX_SIGNATURES}")));
    }
    let number = |name| -> Result<Option<u64>, RpcError> {
        let signature: Option<Signature> = options.base58(name)?;
        let known = |signature| {
            let number = chain.history.number(&signature);
            number.ok_or_else(|| RpcError::filter_transaction_not_found(&signature))
        };
        signature.map(known).transpose()
    };
    let (before, until) = (number("before")?, number("until")?);
    let entries = chain
        .history
        .of_address(&address)
        .skip_while(|number| before.is_some_and(|before| *number >= before))
        .take_while(|number| until.is_none_or(|until| *number > until))
        .filter_map(|number| Some((number, chain.history.get(number)?)))
        .filter(|(_, entry)| confirmation(chain, entry) == "finalized")
        .take(limit as usize);
    let entry = |(number, entry): (u64, &Entry)| {
        json!({
            "signature": entry.signature.to_string(),
            "slot": entry.slot,
            "err": logged_error(entry),
            "memo": entry.memo.as_deref(),
            "transactionIndex": chain.history.index_in_slot(number),
            "blockTime": entry.unix_seconds,
            "confirmationStatus": confirmation(chain, entry),
        })
    };
    Ok(entries.map(entry).collect())
}

/// How a transaction is written.
struct Format<'a> {
    encoding: &'a str,
    max_version: Option<u64>,
}

impl<'a> Format<'a> {
    fn from_options(options: &Options<'a>) -> Result<Self, RpcError> {
        let encoding = options.text("encoding")?.unwrap_or("json");
        if !["json", "jsonParsed", "base58", "base64", "binary"].contains(&encoding) {
            return Err(RpcError::invalid(format!("unknown encoding \"{encoding}\"")));
        }
        Ok(Self { encoding, max_version: options.number("maxSupportedTransactionVersion")? })
    }

    /// The version of a transaction, where the client knows it.
    fn version(&self, message: &VersionedMessage) -> Result<Value, RpcError> {
        let version = match message {
            VersionedMessage::Legacy(_) => return Ok(json!("legacy")),
            VersionedMessage::V0(_) => 0,
            VersionedMessage::V1(_) => 1,
        };
        match self.max_version.is_some_and(|most| u64::from(version) <= most) {
            true => Ok(json!(version)),
            false => Err(RpcError::unsupported_version(version)),
        }
    }

    /// What a block says of a transaction where it is asked for accounts alone: who signed, which accounts, and what became of them.
    fn write_accounts(&self, chain: &Chain, entry: &Entry, rewards: bool) -> Result<Value, RpcError> {
        let (transaction, _, meta) = chain.logged(entry).map_err(|error| lost(entry, &error))?;
        let version = self.version(&transaction.message)?;
        let loaded = parsed::loaded(&meta);
        let mut told = json!({
            "err": meta["err"],
            "status": meta["status"],
            "fee": meta["fee"],
            "preBalances": meta["preBalances"],
            "postBalances": meta["postBalances"],
            "preTokenBalances": meta["preTokenBalances"],
            "postTokenBalances": meta["postTokenBalances"],
        });
        if rewards {
            told["rewards"] = meta["rewards"].clone();
        }
        let body = json!({
            "signatures": transaction.signatures.iter().map(Signature::to_string).collect::<Vec<_>>(),
            "accountKeys": account_keys(&transaction.message, &loaded),
        });
        let mut written = json!({ "transaction": body, "meta": told });
        if self.max_version.is_some() {
            written["version"] = version;
        }
        Ok(written)
    }

    /// The transaction of an entry: "transaction", "meta" and, where the client knows versions, "version".
    fn write(&self, chain: &Chain, entry: &Entry) -> Result<Value, RpcError> {
        let (transaction, wire, mut meta) = chain.logged(entry).map_err(|error| lost(entry, &error))?;
        let version = self.version(&transaction.message)?;
        let body = match self.encoding {
            "base64" => json!([BASE64.encode(wire), "base64"]),
            "base58" => json!([bs58::encode(wire).into_string(), "base58"]),
            "binary" => json!(bs58::encode(wire).into_string()),
            encoding => {
                let is_parsed = encoding == "jsonParsed";
                let body = json!({
                    "signatures": transaction.signatures.iter().map(Signature::to_string).collect::<Vec<_>>(),
                    "message": message(&transaction.message, &meta, is_parsed),
                });
                if is_parsed {
                    let loaded = parsed::loaded(&meta);
                    let keys = AccountKeys::new(transaction.message.static_account_keys(), Some(&loaded));
                    parsed::inner(&keys, &mut meta);
                }
                if is_parsed && let Some(meta) = meta.as_object_mut() {
                    // The addresses stand among the keys of the message already.
                    meta.remove("loadedAddresses");
                }
                body
            }
        };
        let mut written = json!({ "transaction": body, "meta": meta });
        if self.max_version.is_some() {
            written["version"] = version;
        }
        Ok(written)
    }
}

fn lost(entry: &Entry, error: &std::io::Error) -> RpcError {
    RpcError::internal(format!("transaction {} cannot be read: {error}", entry.signature))
}

/// The accounts of a transaction, with who signs and what is written to.
fn account_keys(message: &VersionedMessage, loaded: &LoadedAddresses) -> Vec<Value> {
    let own = message.static_account_keys().iter().enumerate().map(|(index, key)| {
        let is_writable = message.is_maybe_writable_with_reserved_addresses(index, None::<&HashSet<Address>>);
        json!({ "pubkey": key.to_string(), "signer": message.is_signer(index), "writable": is_writable, "source": "transaction" })
    });
    let mut entries: Vec<Value> = own.collect();
    for (names, is_writable) in [(&loaded.writable, true), (&loaded.readonly, false)] {
        entries.extend(names.iter().map(|name| {
            json!({ "pubkey": name.to_string(), "signer": false, "writable": is_writable, "source": "lookupTable" })
        }));
    }
    entries
}

fn message(message: &VersionedMessage, meta: &Value, is_parsed: bool) -> Value {
    let keys = message.static_account_keys();
    let loaded = parsed::loaded(meta);
    let all = AccountKeys::new(keys, Some(&loaded));
    let instruction = |instruction: &CompiledInstruction| {
        let parsed = is_parsed.then(|| parsed::instruction(&all, instruction, Some(1))).flatten();
        parsed.unwrap_or_else(|| {
            json!({
                "programIdIndex": instruction.program_id_index,
                "accounts": instruction.accounts,
                "data": bs58::encode(&instruction.data).into_string(),
                "stackHeight": 1,
            })
        })
    };
    let header = message.header();
    let mut written = json!({ "recentBlockhash": message.recent_blockhash().to_string() });
    if is_parsed {
        written["accountKeys"] = account_keys(message, &loaded).into();
    } else {
        written["accountKeys"] = keys.iter().map(|key| json!(key.to_string())).collect();
        written["header"] = json!({
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        });
    }
    written["instructions"] = message.instructions().iter().map(instruction).collect();
    if let VersionedMessage::V1(message) = message {
        let config = &message.config;
        written["transactionConfig"] = json!({
            "priorityFee": config.priority_fee,
            "computeUnitLimit": config.compute_unit_limit,
            "loadedAccountsDataSizeLimit": config.loaded_accounts_data_size_limit,
            "heapSize": config.heap_size,
        });
    }
    if let Some(lookups) = message.address_table_lookups() {
        let lookup = |lookup: &solana_message::v0::MessageAddressTableLookup| {
            json!({
                "accountKey": lookup.account_key.to_string(),
                "writableIndexes": lookup.writable_indexes,
                "readonlyIndexes": lookup.readonly_indexes,
            })
        };
        written["addressTableLookups"] = lookups.iter().map(lookup).collect();
    }
    written
}

pub(super) fn get(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let signature: Signature = params.base58(0, "a signature")?;
    // Before options there was an encoding in their place.
    let legacy = params.get(1).and_then(Value::as_str);
    let format = match legacy {
        Some(encoding) => Format { encoding, max_version: None },
        None => Format::from_options(&params.options(1)?)?,
    };
    let is_durable = |entry: &&Entry| confirmation(chain, entry) == "finalized";
    let Some(entry) = chain.history.find(&signature).filter(is_durable) else { return Ok(Value::Null) };
    let number = chain.history.number(&signature);
    let mut written = format.write(chain, entry)?;
    written["slot"] = entry.slot.into();
    written["blockTime"] = entry.unix_seconds.into();
    written["transactionIndex"] = number.and_then(|number| chain.history.index_in_slot(number)).into();
    Ok(written)
}

pub(super) fn fee(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let bytes = decode(params.text(0, "a message")?, Some("base64"), "base64")?;
    params.options(1)?;
    let broken = || RpcError::invalid("failed to deserialize solana_message::versions::VersionedMessage");
    let message: VersionedMessage = wincode::deserialize_exact(&bytes).map_err(|_| broken())?;
    message.sanitize().map_err(|error| RpcError::invalid(format!("invalid message: {error}")))?;
    if !chain.is_recent(message.recent_blockhash()) && chain.ledger.durable_nonce(&message).is_none() {
        return Ok(with_context(chain, Value::Null));
    }
    let signatures = vec![Signature::default(); usize::from(message.header().num_required_signatures)];
    let simulation = chain.simulate(VersionedTransaction { signatures, message })?;
    Ok(with_context(chain, simulation.fee_lamports.into()))
}

pub(super) fn latest_blockhash(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    params.options(0)?;
    let (blockhash, last_valid_block_height) = chain.latest_blockhash();
    let value = json!({ "blockhash": blockhash.to_string(), "lastValidBlockHeight": last_valid_block_height });
    Ok(with_context(chain, value))
}

pub(super) fn is_blockhash_valid(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let blockhash: Hash = params.base58(0, "a block hash")?;
    params.options(1)?;
    Ok(with_context(chain, chain.is_recent(&blockhash).into()))
}

/// A block is a slot: its hash is that of the slot, which the slots after it can see.
pub(super) fn block(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let slot = params.number(0, "a slot")?;
    let options = params.options(1)?;
    let current = chain.ledger.slot();
    if slot >= current {
        return Err(RpcError::block_not_available(slot));
    }
    let hashes = chain.ledger.slot_hashes();
    let first = hashes.last().map_or(current, |(slot, _)| *slot) + 1;
    let age = usize::try_from(current - 1 - slot).unwrap_or(usize::MAX);
    let (Some((_, hash)), Some((_, previous))) = (hashes.get(age), age.checked_add(1).and_then(|age| hashes.get(age)))
    else {
        return Err(RpcError::cleaned_up(slot, first));
    };
    let base58 = |hash: &[u8; 32]| Hash::new_from_array(*hash).to_string();
    let mut block = json!({
        "blockhash": base58(hash),
        "previousBlockhash": base58(previous),
        "parentSlot": slot - 1,
        "blockHeight": slot,
        "blockTime": super::cluster::slot_time(chain, slot),
    });
    let entries = chain.history.in_slots(slot, slot).filter(|entry| confirmation(chain, entry) == "finalized");
    let has_rewards = options.get("rewards") != Some(&Value::Bool(false));
    match options.text("transactionDetails")?.unwrap_or("full") {
        "full" => {
            let format = Format::from_options(&options)?;
            let written = entries.map(|entry| {
                let mut written = format.write(chain, entry)?;
                if !has_rewards {
                    written["meta"]["rewards"] = Value::Null;
                }
                Ok(written)
            });
            block["transactions"] = written.collect::<Result<_, RpcError>>()?;
        }
        "accounts" => {
            let format = Format::from_options(&options)?;
            let written = entries.map(|entry| format.write_accounts(chain, entry, has_rewards));
            block["transactions"] = written.collect::<Result<_, _>>()?;
        }
        "signatures" => block["signatures"] = entries.map(|entry| json!(entry.signature.to_string())).collect(),
        "none" => {}
        other => return Err(RpcError::invalid(format!("unknown transactionDetails \"{other}\""))),
    }
    if has_rewards {
        block["rewards"] = json!([]);
    }
    Ok(block)
}

/// The last slots whose blocks may hold transactions with a recent block hash.
pub(super) fn recent_slots(chain: &Chain) -> std::ops::RangeInclusive<u64> {
    let slot = chain.ledger.slot();
    slot.saturating_sub(BLOCKHASH_SLOTS - 1)..=slot
}
