//! What became of a transaction, as JSON: the "meta" of `getTransaction`.

use crate::token::{self, Scale};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sip_svm::{Embedded, Execution, Simulation};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;
use solana_message::VersionedMessage;
use solana_message::inner_instruction::InnerInstructionsList;
use solana_sdk_ids::{ed25519_program, secp256k1_program, secp256r1_program};
use solana_transaction_error::TransactionError;

/// The meta of an executed transaction, of which `written_units` are what [`written_units`] says.
pub(crate) fn of(ledger: &Embedded, execution: &Execution, written_units: u64) -> Value {
    let error = execution.result.as_ref().err().map(error);
    let mut meta = json!({
        "err": error,
        "status": if let Some(error) = &error { json!({ "Err": error }) } else { json!({ "Ok": null }) },
        "fee": execution.fee_lamports,
        "preBalances": balances(&execution.before),
        "postBalances": balances(&execution.after),
        "innerInstructions": inner_instructions(&execution.inner_instructions),
        "logMessages": execution.logs,
        "preTokenBalances": token_balances(ledger, &execution.addresses, &execution.before),
        "postTokenBalances": token_balances(ledger, &execution.addresses, &execution.after),
        "rewards": [],
        "loadedAddresses": loaded_addresses(&execution.addresses, execution.loaded),
        "computeUnitsConsumed": execution.compute_units,
        "costUnits": written_units + execution.compute_units + execution.loaded_bytes.div_ceil(PAGE_BYTES) * PAGE_UNITS,
    });
    if execution.return_data.is_some() {
        meta["returnData"] = return_data(execution.return_data.as_ref());
    }
    meta
}

/// What a block's room is counted in, by Agave's cost model: units of a signature, and of one that an instruction checks.
const SIGNATURE_UNITS: u64 = 720;
const CHECKED_SIGNATURE_UNITS: [(Address, u64); 3] =
    [(ed25519_program::ID, 2_400), (secp256k1_program::ID, 6_690), (secp256r1_program::ID, 4_800)];
/// Units of an account that may be written to, and how many bytes of instructions' data make one.
const WRITABLE_UNITS: u64 = 300;
const DATA_BYTES_PER_UNIT: u64 = 4;
/// Units of a page of what a transaction loads.
const PAGE_BYTES: u64 = 32 << 10;
const PAGE_UNITS: u64 = 8;

/// The part of a transaction's cost that is written in it: signatures, writable accounts, and data.
pub(crate) fn written_units(message: &VersionedMessage) -> u64 {
    let (header, keys) = (message.header(), message.static_account_keys());
    let signers = u64::from(header.num_required_signatures);
    let readonly = u64::from(header.num_readonly_signed_accounts) + u64::from(header.num_readonly_unsigned_accounts);
    let looked_up: usize =
        message.address_table_lookups().unwrap_or(&[]).iter().map(|table| table.writable_indexes.len()).sum();
    let writable = (keys.len() as u64).saturating_sub(readonly) + looked_up as u64;
    let mut units = signers * SIGNATURE_UNITS + writable * WRITABLE_UNITS;
    let mut data_bytes = 0;
    for instruction in message.instructions() {
        data_bytes += instruction.data.len() as u64;
        let program = keys.get(usize::from(instruction.program_id_index));
        let checked = CHECKED_SIGNATURE_UNITS.iter().find(|(checking, _)| program == Some(checking));
        if let (Some((_, each)), Some(count)) = (checked, instruction.data.first()) {
            units += each * u64::from(*count);
        }
    }
    units + data_bytes / DATA_BYTES_PER_UNIT
}

/// Errors of transactions that never begin: nobody pays for them, and they load nothing.
fn is_unbegun(simulation: &Simulation) -> bool {
    use TransactionError::{
        AccountNotFound, AlreadyProcessed, BlockhashNotFound, InsufficientFundsForFee, InvalidAccountForFee,
        SanitizeFailure, SignatureFailure,
    };
    matches!(
        simulation.result,
        Err(AccountNotFound
            | AlreadyProcessed
            | BlockhashNotFound
            | InsufficientFundsForFee
            | InvalidAccountForFee
            | SanitizeFailure
            | SignatureFailure)
    )
}

/// What the payer of a simulated transaction would pay, if anything.
pub(crate) fn fee(simulation: &Simulation) -> Option<u64> {
    (!is_unbegun(simulation)).then_some(simulation.fee_lamports)
}

/// Bytes that a simulated transaction loads.
pub(crate) fn loaded_bytes(simulation: &Simulation) -> u64 {
    let is_too_much = simulation.result == Err(TransactionError::MaxLoadedAccountsDataSizeExceeded);
    if is_unbegun(simulation) || is_too_much { 0 } else { simulation.loaded_bytes }
}

/// What a simulation tells, but for what its caller asks for beside it.
pub(crate) fn of_simulation(ledger: &Embedded, simulation: &Simulation) -> Value {
    let Simulation { addresses, before, .. } = simulation;
    let mut value = json!({
        "err": simulation.result.as_ref().err().map(error),
        "logs": simulation.logs,
        "unitsConsumed": simulation.compute_units,
        "returnData": return_data(simulation.return_data.as_ref()),
        "fee": fee(simulation),
        "loadedAccountsDataSize": loaded_bytes(simulation),
        "loadedAddresses": loaded_addresses(addresses, simulation.loaded),
        "preBalances": null,
        "postBalances": null,
        "preTokenBalances": null,
        "postTokenBalances": null,
    });
    // What was not even begun has neither.
    if addresses.is_empty() {
        return value;
    }
    let after: Vec<Option<AccountSharedData>> = (addresses.iter().zip(before))
        .map(|(address, before)| {
            let changed = simulation.after.iter().find(|(changed, _)| changed == address);
            changed.map_or_else(|| before.clone(), |(_, account)| Some(account.clone()))
        })
        .collect();
    let mut lamports = balances(&after);
    // One that fails pays its fee, and changes nothing else.
    if simulation.result.is_err()
        && !is_unbegun(simulation)
        && let Some(payer) = lamports.first_mut()
    {
        *payer = payer.saturating_sub(simulation.fee_lamports);
    }
    value["preBalances"] = json!(balances(before));
    value["postBalances"] = json!(lamports);
    value["preTokenBalances"] = token_balances(ledger, addresses, before).into();
    value["postTokenBalances"] = token_balances(ledger, addresses, &after).into();
    value
}

fn balances(accounts: &[Option<AccountSharedData>]) -> Vec<u64> {
    accounts.iter().map(|account| account.as_ref().map_or(0, |account| account.lamports())).collect()
}

/// Of all addresses that a transaction names, those that lookup tables gave: so many writable ones, then read-only ones.
fn loaded_addresses(addresses: &[Address], (writable, readonly): (usize, usize)) -> Value {
    let names = |addresses: &[Address]| -> Vec<String> { addresses.iter().map(Address::to_string).collect() };
    let loaded = &addresses[addresses.len() - writable - readonly..];
    json!({ "writable": names(&loaded[..writable]), "readonly": names(&loaded[writable..]) })
}

/// An error as Solana's JSON has it.
pub(crate) fn error(error: &TransactionError) -> Value {
    // An enum of numbers and names always has JSON.
    serde_json::to_value(error).unwrap_or_else(|_| Value::from(error.to_string()))
}

/// The programs whose instructions are memos.
pub(crate) const MEMO_PROGRAMS: [Address; 3] = [
    Address::from_str_const("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"),
    Address::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
    Address::from_str_const("Memo4c2pN8afCj432Lb7RMVKi9PbQnnW7ewFFaV3oAH"),
];

/// What the memos of a message say, each after its size in bytes; `None` where it has none.
pub(crate) fn memo(message: &VersionedMessage) -> Option<Box<str>> {
    let keys = message.static_account_keys();
    let memos: Vec<String> = (message.instructions().iter())
        .filter(|instruction| {
            keys.get(usize::from(instruction.program_id_index)).is_some_and(|key| MEMO_PROGRAMS.contains(key))
        })
        .map(|instruction| {
            let text = std::str::from_utf8(&instruction.data).unwrap_or("(unparseable)");
            format!("[{}] {text}", instruction.data.len())
        })
        .collect();
    (!memos.is_empty()).then(|| memos.join("; ").into())
}

pub(crate) fn return_data(data: Option<&(Address, Vec<u8>)>) -> Value {
    data.map_or(
        Value::Null,
        |(program_id, data)| json!({ "programId": program_id.to_string(), "data": [BASE64.encode(data), "base64"] }),
    )
}

pub(crate) fn inner_instructions(list: &InnerInstructionsList) -> Value {
    let of_instruction = |(index, inner): (usize, &Vec<_>)| {
        let instructions: Vec<Value> = inner
            .iter()
            .map(|inner: &solana_message::inner_instruction::InnerInstruction| {
                json!({
                    "programIdIndex": inner.instruction.program_id_index,
                    "accounts": inner.instruction.accounts,
                    "data": bs58::encode(&inner.instruction.data).into_string(),
                    "stackHeight": inner.stack_height,
                })
            })
            .collect();
        json!({ "index": index, "instructions": instructions })
    };
    list.iter().enumerate().filter(|(_, inner)| !inner.is_empty()).map(of_instruction).collect()
}

fn token_balances(ledger: &Embedded, addresses: &[Address], accounts: &[Option<AccountSharedData>]) -> Vec<Value> {
    let scale = |mint: &Address| {
        // The mint as the transaction saw it, where it names the mint.
        let named = addresses.iter().zip(accounts).find(|(address, _)| *address == mint);
        let account = named.and_then(|(_, account)| account.clone()).or_else(|| ledger.shared_account(mint))?;
        Some(token::Mint::decode(account.owner(), account.data(), ledger.unix_seconds())?.scale)
    };
    let balance = |(index, account): (usize, &Option<AccountSharedData>)| {
        let account = account.as_ref()?;
        let token = token::Account::decode(account.owner(), account.data())?;
        let scale: Scale = scale(&token.mint)?;
        Some(json!({
            "accountIndex": index,
            "mint": token.mint.to_string(),
            "owner": token.owner.to_string(),
            "programId": account.owner().to_string(),
            "uiTokenAmount": scale.amount(token.amount),
        }))
    };
    accounts.iter().enumerate().filter_map(balance).collect()
}
