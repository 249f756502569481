//! Accounts as Solana's JSON has them.

use crate::rpc::error::RpcError;
use crate::token;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use sip_svm::Embedded;
use solana_account::{AccountSharedData, ReadableAccount};
use solana_account_decoder::parse_account_data::{AccountAdditionalDataV3, parse_account_data_v3};
use solana_address::Address;
use solana_sdk_ids::{bpf_loader, bpf_loader_deprecated, bpf_loader_upgradeable, loader_v4};

/// Base58 takes time that grows with the square, so only this many bytes are encoded.
const MAX_BASE58_BYTES: usize = 128;

/// Owners of programs that were deployed.
const LOADERS: [Address; 4] = [bpf_loader::ID, bpf_loader_deprecated::ID, bpf_loader_upgradeable::ID, loader_v4::ID];

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
    pub(crate) fn account(
        &self,
        ledger: &Embedded,
        address: &Address,
        account: &AccountSharedData,
    ) -> Result<Value, RpcError> {
        Ok(json!({
            "lamports": account.lamports(),
            "owner": account.owner().to_string(),
            "executable": account.executable(),
            // Programs that were not compiled in are rent-exempt as everything else is.
            "rentEpoch": if LOADERS.contains(account.owner()) { u64::MAX } else { account.rent_epoch() },
            "space": account.data().len(),
            "data": self.data(ledger, address, account)?,
        }))
    }

    fn data(&self, ledger: &Embedded, address: &Address, account: &AccountSharedData) -> Result<Value, RpcError> {
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
            Encoding::JsonParsed => {
                parsed(ledger, address, account).unwrap_or_else(|| json!([BASE64.encode(data), "base64"]))
            }
        })
    }
}

/// What Agave can parse of an account, with what its mint says where it is one of tokens.
fn parsed(ledger: &Embedded, address: &Address, account: &AccountSharedData) -> Option<Value> {
    let data = account.data();
    let mint = token::Account::decode(account.owner(), data).map(|token| token.mint);
    let spl_token_additional_data = mint.and_then(|mint| token::Scale::of_mint(ledger, &mint)).map(|scale| scale.0);
    let known = AccountAdditionalDataV3 { spl_token_additional_data };
    let parsed = parse_account_data_v3(address, account.owner(), data, Some(known)).ok()?;
    serde_json::to_value(parsed).ok()
}
