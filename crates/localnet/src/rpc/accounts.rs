//! Methods about accounts.

use super::error::RpcError;
use super::params::{Options, Params, parse};
use super::{MAX_ANSWER_BYTES, with_context};
use crate::chain::Chain;
use crate::encode::AccountFormat;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;
use solana_signer::Signer;

/// Accounts in one request.
const MAX_ACCOUNTS: usize = 100;
const MAX_FILTERS: usize = 4;
/// Bytes that a filter compares.
const MAX_COMPARED_BYTES: usize = 128;
/// The largest account.
const MAX_DATA_BYTES: u64 = 10 << 20;
/// How many of the largest accounts are told.
const LARGEST: usize = 20;

/// Which accounts of a program are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Data of this size.
    DataBytes(u64),
    /// These bytes at this offset.
    Compare { offset: usize, bytes: Vec<u8> },
    /// An initialized token account.
    TokenAccount,
}

impl Filter {
    pub(crate) fn fits(&self, account: &AccountSharedData) -> bool {
        match self {
            Self::DataBytes(bytes) => account.data().len() as u64 == *bytes,
            Self::Compare { offset, bytes } => {
                account.data().get(*offset..).is_some_and(|rest| rest.starts_with(bytes))
            }
            Self::TokenAccount => crate::token::Account::decode(account.owner(), account.data()).is_some(),
        }
    }

    /// The filters in the options of a request.
    pub(crate) fn from_options(options: &Options<'_>) -> Result<Vec<Self>, RpcError> {
        let Some(filters) = options.get("filters") else { return Ok(Vec::new()) };
        let filters = filters.as_array().ok_or_else(|| RpcError::invalid("filters must be a list"))?;
        if filters.len() > MAX_FILTERS {
            return Err(RpcError::invalid(format!("Too many filters provided; max {MAX_FILTERS}")));
        }
        filters.iter().map(Self::from_json).collect()
    }

    fn from_json(filter: &Value) -> Result<Self, RpcError> {
        if filter == "tokenAccountState" || filter.get("tokenAccountState").is_some() {
            return Ok(Self::TokenAccount);
        }
        if let Some(size) = filter.get("dataSize") {
            let size = size.as_u64().ok_or_else(|| RpcError::invalid("dataSize must be a number"))?;
            return Ok(Self::DataBytes(size));
        }
        let compare = filter
            .get("memcmp")
            .ok_or_else(|| RpcError::invalid("a filter is dataSize, memcmp or tokenAccountState"))?;
        let offset = compare["offset"].as_u64().and_then(|offset| usize::try_from(offset).ok());
        let offset = offset.ok_or_else(|| RpcError::invalid("memcmp needs an \"offset\""))?;
        let wrong = || RpcError::invalid("memcmp needs \"bytes\" in its \"encoding\", base58 unless it says base64");
        let too_long = || RpcError::invalid(format!("memcmp compares at most {MAX_COMPARED_BYTES} bytes"));
        let bytes = match (&compare["bytes"], compare["encoding"].as_str()) {
            (Value::Array(list), _) => {
                let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
                list.iter().map(byte).collect::<Option<Vec<u8>>>().ok_or_else(wrong)?
            }
            // Checked before decoding: base58 takes time that grows with the square.
            (Value::String(text), _) if text.len() > 2 * MAX_COMPARED_BYTES => return Err(too_long()),
            (Value::String(text), None | Some("base58" | "binary")) => {
                bs58::decode(text).into_vec().map_err(|_| wrong())?
            }
            (Value::String(text), Some("base64")) => BASE64.decode(text).map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        if bytes.len() > MAX_COMPARED_BYTES {
            return Err(too_long());
        }
        Ok(Self::Compare { offset, bytes })
    }
}

/// Writes accounts for one answer, up to its limit.
struct Writer<'a> {
    chain: &'a Chain,
    format: AccountFormat,
    bytes: usize,
}

impl<'a> Writer<'a> {
    fn new(chain: &'a Chain, format: AccountFormat) -> Self {
        Self { chain, format, bytes: 0 }
    }

    fn account(&mut self, address: &Address, account: &AccountSharedData) -> Result<Value, RpcError> {
        let written = self.format.account(&self.chain.ledger, address, account)?;
        // What is large of an account is its data: a text, or a list that begins with one.
        let data = &written["data"];
        self.bytes += data.get(0).unwrap_or(data).as_str().map_or(0, str::len);
        if self.bytes > MAX_ANSWER_BYTES {
            let message = format!(
                "the answer has more than {MAX_ANSWER_BYTES} bytes: ask for fewer accounts, or for a dataSlice"
            );
            return Err(RpcError::invalid(message));
        }
        Ok(written)
    }

    /// An account, or null.
    fn at(&mut self, address: &Address) -> Result<Value, RpcError> {
        let account = self.chain.ledger.shared_account(address);
        account.map_or(Ok(Value::Null), |account| self.account(address, &account))
    }
}

/// A list of accounts with their addresses.
pub(super) fn list(
    chain: &Chain,
    format: AccountFormat,
    accounts: &[(Address, AccountSharedData)],
) -> Result<Value, RpcError> {
    let mut writer = Writer::new(chain, format);
    let entry = |(address, account): &(Address, AccountSharedData)| {
        Ok(json!({ "pubkey": address.to_string(), "account": writer.account(address, account)? }))
    };
    accounts.iter().map(entry).collect()
}

pub(super) fn info(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let address = params.base58(0, "an address")?;
    let format = AccountFormat::from_options(params.options(1)?.map())?;
    Ok(with_context(chain, Writer::new(chain, format).at(&address)?))
}

pub(super) fn balance(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let address = params.base58(0, "an address")?;
    params.options(1)?;
    let lamports = chain.ledger.shared_account(&address).map_or(0, |account| account.lamports());
    Ok(with_context(chain, lamports.into()))
}

pub(super) fn multiple(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let addresses: Vec<Address> = params.list(0, "addresses", MAX_ACCOUNTS)?;
    // Base64 where nothing is asked for, other than of one account.
    let mut options = params.options(1)?.map().clone();
    options.entry("encoding").or_insert_with(|| "base64".into());
    let format = AccountFormat::from_options(&options)?;
    let mut writer = Writer::new(chain, format);
    let accounts = addresses.iter().map(|address| writer.at(address)).collect::<Result<Value, _>>()?;
    Ok(with_context(chain, accounts))
}

pub(super) fn of_program(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let program_id: Address = params.base58(0, "a program's address")?;
    let options = params.options(1)?;
    let format = AccountFormat::from_options(options.map())?;
    let filters = Filter::from_options(&options)?;
    let mut accounts = chain.ledger.shared_program_accounts(&program_id);
    accounts.retain(|(_, account)| filters.iter().all(|filter| filter.fits(account)));
    let accounts = list(chain, format, &accounts)?;
    Ok(if options.flag("withContext")? { with_context(chain, accounts) } else { accounts })
}

pub(super) fn largest(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let faucet = chain.genesis.faucet.pubkey();
    let mut accounts: Vec<_> = chain.ledger.accounts();
    // What lies in the faucet does not circulate.
    match params.options(0)?.text("filter")? {
        None => {}
        Some("circulating") => accounts.retain(|(address, _)| *address != faucet),
        Some("nonCirculating") => accounts.retain(|(address, _)| *address == faucet),
        Some(other) => return Err(RpcError::invalid(format!("unknown filter \"{other}\""))),
    }
    accounts.sort_by_key(|(_, account)| std::cmp::Reverse(account.lamports));
    let largest = accounts.iter().take(LARGEST);
    let value =
        largest.map(|(address, account)| json!({ "address": address.to_string(), "lamports": account.lamports }));
    Ok(with_context(chain, value.collect()))
}

pub(super) fn minimum_balance(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let bytes = params.number(0, "the size of the data")?;
    match usize::try_from(bytes) {
        Ok(size) if bytes <= MAX_DATA_BYTES => Ok(chain.ledger.minimum_balance(size).into()),
        _ => Err(RpcError::invalid_request(format!("no account holds more than {MAX_DATA_BYTES} bytes"))),
    }
}

/// Refuses what Agave refuses of the accounts that a simulation is asked for: more than the transaction names, and base58.
pub(super) fn check_wanted(accounts: &Value, account_count: usize) -> Result<(), RpcError> {
    let addresses = accounts["addresses"].as_array().map_or(0, Vec::len);
    if addresses > account_count {
        return Err(RpcError::invalid(format!("Too many accounts provided; max {account_count}")));
    }
    match accounts["encoding"].as_str() {
        Some("binary" | "base58") => Err(RpcError::invalid("base58 encoding not supported")),
        _ => Ok(()),
    }
}

/// The accounts that a simulation is asked for: as they would be, or as they are.
pub(super) fn after(
    chain: &Chain,
    accounts: &Value,
    changed: &[(Address, AccountSharedData)],
) -> Result<Value, RpcError> {
    let wrong = || RpcError::invalid("\"accounts\" needs a list of \"addresses\"");
    let addresses = accounts["addresses"].as_array().ok_or_else(wrong)?;
    let mut options = accounts.as_object().ok_or_else(wrong)?.clone();
    options.entry("encoding").or_insert_with(|| "base64".into());
    let format = AccountFormat::from_options(&options)?;
    let mut writer = Writer::new(chain, format);
    let account = |address: &Value| {
        let address: Address = parse(address.as_str().unwrap_or_default(), "address")?;
        match changed.iter().find(|(changed, _)| *changed == address) {
            Some((_, account)) if account.lamports() == 0 => Ok(Value::Null),
            Some((_, account)) => writer.account(&address, account),
            None => writer.at(&address),
        }
    };
    addresses.iter().map(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use solana_account::Account;

    fn filters(json: Value) -> Result<Vec<Filter>, RpcError> {
        let params = json!([{ "filters": json }]);
        Filter::from_options(&Params::new(Some(&params)).unwrap().options(0).unwrap())
    }

    #[test]
    fn filters_compare_in_every_encoding_and_never_beyond_the_data() {
        let account = AccountSharedData::from(Account { data: vec![1, 2, 3, 4], ..Account::default() });
        for (bytes, offset, fits) in [
            (json!({ "bytes": bs58::encode([2, 3]).into_string(), "offset": 1 }), 1, true),
            (json!({ "bytes": BASE64.encode([2, 3]), "encoding": "base64", "offset": 1 }), 1, true),
            (json!({ "bytes": [3, 4], "offset": 2 }), 2, true),
            (json!({ "bytes": [3, 4, 5], "offset": 2 }), 2, false),
            (json!({ "bytes": [1], "offset": u64::MAX }), 0, false),
            (json!({ "bytes": "", "offset": 4 }), 4, true),
        ] {
            let filters = filters(json!([{ "memcmp": bytes }])).unwrap();
            assert_eq!(filters[0].fits(&account), fits, "{bytes} at {offset}");
        }
        assert!(filters(json!([{ "dataSize": 4 }])).unwrap()[0].fits(&account));
        assert!(!filters(json!([{ "dataSize": 5 }])).unwrap()[0].fits(&account));
        assert!(!filters(json!(["tokenAccountState"])).unwrap()[0].fits(&account));
    }

    #[test]
    fn wrong_filters_are_invalid_parameters() {
        for wrong in [
            json!(5),
            json!([{}]),
            json!([{ "dataSize": -1 }]),
            json!([{ "memcmp": { "bytes": "0OIl", "offset": 0 } }]),
            json!([{ "memcmp": { "bytes": "1", "offset": -1 } }]),
            json!([{ "memcmp": { "bytes": "1" } }]),
            json!([{ "memcmp": { "bytes": [300], "offset": 0 } }]),
            json!([{ "memcmp": { "bytes": "1".repeat(129), "offset": 0 } }]),
            json!([{ "memcmp": { "bytes": "1".repeat(1_000_000), "offset": 0 } }]),
            json!([{ "memcmp": { "bytes": "AQ==", "encoding": "base63", "offset": 0 } }]),
            json!(vec![json!({ "dataSize": 1 }); 5]),
        ] {
            assert_eq!(filters(wrong.clone()).unwrap_err().code, -32602, "{wrong}");
        }
    }
}
