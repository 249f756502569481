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
use solana_transaction_error::TransactionError;

/// The meta of an executed transaction.
pub(crate) fn of(ledger: &Embedded, execution: &Execution) -> Value {
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
    });
    if execution.return_data.is_some() {
        meta["returnData"] = return_data(execution.return_data.as_ref());
    }
    meta
}

/// What a simulation tells, but for what its caller asks for beside it.
pub(crate) fn of_simulation(ledger: &Embedded, simulation: &Simulation) -> Value {
    let Simulation { addresses, before, .. } = simulation;
    let mut value = json!({
        "err": simulation.result.as_ref().err().map(error),
        "logs": simulation.logs,
        "unitsConsumed": simulation.compute_units,
        "returnData": return_data(simulation.return_data.as_ref()),
        "fee": simulation.fee_lamports,
        "loadedAccountsDataSize": simulation.loaded_bytes,
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
