//! What else a chain elsewhere can be asked: several accounts at once, its pace, the past of an address.

use super::{COMMITMENT, Rpc};
use serde_json::{Value, json};
use sip_ledger::RemoteError;
use solana_account::Account;
use solana_address::Address;
use solana_signature::Signature;

/// A token account begins with its mint and its owner.
const MINT_BYTES: usize = 32;
const OWNER_BYTES: usize = 32;

/// A transaction of the past, as an address has it in its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Its name.
    pub signature: Signature,
    /// The slot in which it was executed.
    pub slot: u64,
    /// When that was, where the chain knows it.
    pub unix_seconds: Option<i64>,
    /// Whether it failed, and did nothing but pay its fee.
    pub is_failed: bool,
    /// What it says of itself.
    pub memo: Option<String>,
}

/// What a transaction did to an account: before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The account.
    pub address: Address,
    /// Its lamports.
    pub lamports: [u64; 2],
    /// The amount in it, where it is a token account.
    pub tokens: [Option<u64>; 2],
}

impl Rpc {
    /// The accounts at these addresses, at most a hundred, as of one moment.
    ///
    /// # Errors
    /// As [`Rpc::account`].
    pub fn accounts(&self, addresses: &[Address]) -> Result<Vec<Option<Account>>, RemoteError> {
        const METHOD: &str = "getMultipleAccounts";
        let options =
            json!({ "encoding": "base64", "commitment": self.commitment, "minContextSlot": self.min_context_slot });
        let texts: Vec<String> = addresses.iter().map(Address::to_string).collect();
        let answer = self.endpoint.ask(METHOD, json!([texts, options]))?;
        let read = |index: usize| match &answer["value"][index] {
            Value::Null => Ok(None),
            account => self.decode_account(METHOD, account).map(Some),
        };
        (0..addresses.len()).map(read).collect()
    }

    /// Whose the token accounts of a mint are.
    ///
    /// # Errors
    /// As [`Rpc::account`].
    pub fn token_owners(&self, token_program: &Address, mint: &Address) -> Result<Vec<Address>, RemoteError> {
        const METHOD: &str = "getProgramAccounts";
        let options = json!({
            "encoding": "base64",
            "commitment": COMMITMENT,
            "minContextSlot": self.min_context_slot,
            "filters": [{ "memcmp": { "offset": 0, "bytes": mint.to_string() } }],
            "dataSlice": { "offset": MINT_BYTES, "length": OWNER_BYTES },
        });
        let answer = self.endpoint.ask(METHOD, json!([token_program.to_string(), options]))?;
        let read = |entry: &Value| {
            let account = self.decode_account(METHOD, &entry["account"])?;
            Ok(account.data.try_into().ok().map(Address::new_from_array))
        };
        let owners: Result<Vec<Option<Address>>, RemoteError> =
            answer.as_array().into_iter().flatten().map(read).collect();
        Ok(owners?.into_iter().flatten().collect())
    }

    /// How long a slot lasts at present, in microseconds: as a local chain was told, or as a cluster measured it lately. `Some(0)` where slots
    /// pass only when a client asks; `None` where nobody knows.
    ///
    /// # Errors
    /// As [`Rpc::account`].
    pub fn slot_microseconds(&self) -> Result<Option<u64>, RemoteError> {
        if let Ok(told) = self.endpoint.call("sip_slotMicroseconds", json!([]))? {
            return Ok(told.as_u64());
        }
        let Ok(samples) = self.endpoint.call("getRecentPerformanceSamples", json!([10]))? else { return Ok(None) };
        let sum = |key: &str| -> u64 { samples.as_array().into_iter().flatten().filter_map(|s| s[key].as_u64()).sum() };
        Ok((sum("samplePeriodSecs") * 1_000_000).checked_div(sum("numSlots")).filter(|micros| *micros > 0))
    }

    /// What happened to an address lately, newest first.
    ///
    /// # Errors
    /// As [`Rpc::account`].
    pub fn past(&self, address: &Address, limit: usize) -> Result<Vec<Past>, RemoteError> {
        const METHOD: &str = "getSignaturesForAddress";
        let answer =
            self.endpoint.ask(METHOD, json!([address.to_string(), { "limit": limit, "commitment": COMMITMENT }]))?;
        let read = |entry: &Value| {
            Ok(Past {
                signature: self.parse(METHOD, entry["signature"].as_str().unwrap_or_default())?,
                slot: self.number(METHOD, &entry["slot"])?,
                unix_seconds: entry["blockTime"].as_i64(),
                is_failed: !entry["err"].is_null(),
                memo: entry["memo"].as_str().map(str::to_owned),
            })
        };
        answer.as_array().into_iter().flatten().map(read).collect()
    }

    /// What a transaction did to the lamports and the tokens of the accounts that it names; `None` where the endpoint keeps no record of it.
    ///
    /// # Errors
    /// As [`Rpc::account`].
    pub fn effects(&self, signature: &Signature) -> Result<Option<Vec<Effect>>, RemoteError> {
        const METHOD: &str = "getTransaction";
        let options = json!({ "encoding": "json", "commitment": COMMITMENT, "maxSupportedTransactionVersion": 0 });
        let answer = self.endpoint.ask(METHOD, json!([signature.to_string(), options]))?;
        if answer.is_null() {
            return Ok(None);
        }
        let meta = &answer["meta"];
        let lists = [
            &answer["transaction"]["message"]["accountKeys"],
            &meta["loadedAddresses"]["writable"],
            &meta["loadedAddresses"]["readonly"],
        ];
        let keys = lists.into_iter().flat_map(|list| list.as_array().into_iter().flatten());
        let tokens = |list: &Value, index: usize| {
            let entries = list.as_array().into_iter().flatten();
            let found = entries.into_iter().find(|entry| entry["accountIndex"] == index)?;
            found["uiTokenAmount"]["amount"].as_str()?.parse().ok()
        };
        keys.enumerate()
            .map(|(index, key)| {
                Ok(Effect {
                    address: self.parse(METHOD, key.as_str().unwrap_or_default())?,
                    lamports: [&meta["preBalances"], &meta["postBalances"]]
                        .map(|list| list[index].as_u64().unwrap_or(0)),
                    tokens: [&meta["preTokenBalances"], &meta["postTokenBalances"]].map(|list| tokens(list, index)),
                })
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }
}
