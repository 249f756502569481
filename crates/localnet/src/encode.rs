//! Accounts as Solana's JSON has them.

use crate::rpc::error::RpcError;
use crate::token::{Mint, TokenAccount, program_name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use sip_svm::Embedded;
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;

/// Base58 takes time that grows with the square, so only this many bytes are encoded.
const MAX_BASE58_BYTES: usize = 128;

/// How the data of an account is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Base58, not in a list: what Solana gives where nothing is asked for.
    Binary,
    Base58,
    Base64,
    Base64Zstd,
    JsonParsed,
}

/// How an account is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccountFormat {
    pub(crate) encoding: Encoding,
    /// Offset and length of the part of the data that is wanted.
    slice: Option<(usize, usize)>,
}

impl AccountFormat {
    /// From the options of a request.
    pub(crate) fn from_options(options: &Map<String, Value>) -> Result<Self, RpcError> {
        let encoding = match options.get("encoding").unwrap_or(&Value::Null) {
            Value::Null => Encoding::Binary,
            name => match name.as_str() {
                Some("binary") => Encoding::Binary,
                Some("base58") => Encoding::Base58,
                Some("base64") => Encoding::Base64,
                Some("base64+zstd") => Encoding::Base64Zstd,
                Some("jsonParsed") => Encoding::JsonParsed,
                _ => return Err(RpcError::invalid(format!("unknown encoding {name}"))),
            },
        };
        let slice = match options.get("dataSlice").unwrap_or(&Value::Null) {
            Value::Null => None,
            slice => {
                let number = |name| slice[name].as_u64().and_then(|number| usize::try_from(number).ok());
                let wrong = || RpcError::invalid("dataSlice needs the numbers \"offset\" and \"length\"");
                Some((number("offset").ok_or_else(wrong)?, number("length").ok_or_else(wrong)?))
            }
        };
        Ok(Self { encoding, slice })
    }

    /// The account as JSON.
    pub(crate) fn account(&self, ledger: &Embedded, account: &AccountSharedData) -> Result<Value, RpcError> {
        Ok(json!({
            "lamports": account.lamports(),
            "owner": account.owner().to_string(),
            "executable": account.executable(),
            "rentEpoch": account.rent_epoch(),
            "space": account.data().len(),
            "data": self.data(ledger, account)?,
        }))
    }

    fn data(&self, ledger: &Embedded, account: &AccountSharedData) -> Result<Value, RpcError> {
        let data = match self.slice {
            None => account.data(),
            Some((offset, length)) => {
                let rest = account.data().get(offset..).unwrap_or(&[]);
                &rest[..rest.len().min(length)]
            }
        };
        let base58 = || {
            if data.len() > MAX_BASE58_BYTES {
                return Err(RpcError::invalid_request(
                    "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.",
                ));
            }
            Ok(bs58::encode(data).into_string())
        };
        Ok(match self.encoding {
            Encoding::Binary => base58()?.into(),
            Encoding::Base58 => json!([base58()?, "base58"]),
            Encoding::Base64 => json!([BASE64.encode(data), "base64"]),
            Encoding::Base64Zstd => {
                // Compression of a slice in memory does not fail.
                let compressed =
                    zstd::bulk::compress(data, 0).map_err(|error| RpcError::internal(error.to_string()))?;
                json!([BASE64.encode(compressed), "base64+zstd"])
            }
            // What cannot be parsed is given as base64, as Solana does.
            Encoding::JsonParsed => parsed(ledger, account).unwrap_or_else(|| json!([BASE64.encode(data), "base64"])),
        })
    }
}

const SYSTEM: Address = Address::from_str_const("11111111111111111111111111111111");
const UPGRADEABLE_LOADER: Address = Address::from_str_const("BPFLoaderUpgradeab1e11111111111111111111111");
const NONCE_BYTES: usize = 80;
/// The state of a nonce account that is in use, after the number of the newest version.
const NONCE_IN_USE: [u8; 8] = [1, 0, 0, 0, 1, 0, 0, 0];
const LOADER_PROGRAM_BYTES: usize = 36;
const LOADER_PROGRAM: [u8; 4] = [2, 0, 0, 0];

/// Token accounts and mints, nonces, and programs of the upgradeable loader in words.
fn parsed(ledger: &Embedded, account: &AccountSharedData) -> Option<Value> {
    let data = account.data();
    let address =
        |offset: usize| data.get(offset..)?.first_chunk().map(|bytes| Address::new_from_array(*bytes).to_string());
    if *account.owner() == SYSTEM && data.len() == NONCE_BYTES && data.starts_with(&NONCE_IN_USE) {
        let fee = data.last_chunk().map(|bytes| u64::from_le_bytes(*bytes).to_string())?;
        let fee = json!({ "lamportsPerSignature": fee });
        let info = json!({ "authority": address(8)?, "blockhash": address(40)?, "feeCalculator": fee });
        return Some(
            json!({ "program": "nonce", "parsed": { "info": info, "type": "initialized" }, "space": data.len() }),
        );
    }
    if *account.owner() == UPGRADEABLE_LOADER && data.len() == LOADER_PROGRAM_BYTES && data.starts_with(&LOADER_PROGRAM)
    {
        let parsed = json!({ "info": { "programData": address(4)? }, "type": "program" });
        return Some(json!({ "program": "bpf-upgradeable-loader", "parsed": parsed, "space": data.len() }));
    }
    let program = program_name(account.owner())?;
    let (kind, info) = if let Some(token) = TokenAccount::decode(data) {
        let mint = Mint::decode(ledger.shared_account(&token.mint)?.data())?;
        ("account", token.info(mint.decimals))
    } else {
        ("mint", Mint::decode(data)?.info())
    };
    Some(json!({ "program": program, "parsed": { "info": info, "type": kind }, "space": data.len() }))
}
