//! What became of a transaction, as JSON: the "meta" of `getTransaction`.

use crate::token::{Mint, TokenAccount, amount, program_name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sip_svm::{Embedded, Execution};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;
use solana_message::VersionedMessage;
use solana_message::inner_instruction::InnerInstructionsList;
use solana_transaction_error::TransactionError;

/// The meta of an executed transaction.
pub(crate) fn of(ledger: &Embedded, execution: &Execution) -> Value {
    let balances = |accounts: &[Option<AccountSharedData>]| -> Vec<u64> {
        accounts.iter().map(|account| account.as_ref().map_or(0, |account| account.lamports())).collect()
    };
    let error = execution.result.as_ref().err().map(error);
    let loaded = &execution.addresses[execution.addresses.len() - execution.loaded.0 - execution.loaded.1..];
    let (writable, readonly) = loaded.split_at(execution.loaded.0);
    let names = |addresses: &[Address]| -> Vec<String> { addresses.iter().map(Address::to_string).collect() };
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
        "loadedAddresses": { "writable": names(writable), "readonly": names(readonly) },
        "computeUnitsConsumed": execution.compute_units,
    });
    if execution.return_data.is_some() {
        meta["returnData"] = return_data(execution.return_data.as_ref());
    }
    meta
}

/// An error as Solana's JSON has it.
pub(crate) fn error(error: &TransactionError) -> Value {
    // An enum of numbers and names always has JSON.
    serde_json::to_value(error).unwrap_or_else(|_| Value::from(error.to_string()))
}

/// The programs whose instructions are memos.
pub(crate) const MEMO_PROGRAMS: [Address; 2] = [
    Address::from_str_const("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"),
    Address::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
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
    let decimals = |mint: &Address| {
        // The mint as the transaction saw it, where it names the mint.
        let named = addresses.iter().zip(accounts).find(|(address, _)| *address == mint);
        let account = named.and_then(|(_, account)| account.clone()).or_else(|| ledger.shared_account(mint))?;
        Some(Mint::decode(account.data())?.decimals)
    };
    let balance = |(index, account): (usize, &Option<AccountSharedData>)| {
        let account = account.as_ref()?;
        program_name(account.owner())?;
        let token = TokenAccount::decode(account.data())?;
        Some(json!({
            "accountIndex": index,
            "mint": token.mint.to_string(),
            "owner": token.owner.to_string(),
            "programId": account.owner().to_string(),
            "uiTokenAmount": amount(token.amount, decimals(&token.mint)?),
        }))
    };
    accounts.iter().enumerate().filter_map(balance).collect()
}
