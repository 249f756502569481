//! The accounts of the SPL token programs: what stands where, and how JSON names it.

use serde_json::{Value, json};
use sip_ledger::{TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use solana_address::Address;

const ACCOUNT_BYTES: usize = 165;
const MINT_BYTES: usize = 82;
/// With extensions a byte after the first 165 says what the account is.
const KIND_MINT: u8 = 1;
const KIND_ACCOUNT: u8 = 2;

/// How JSON names a token program, if it is one.
pub(crate) fn program_name(program_id: &Address) -> Option<&'static str> {
    match *program_id {
        TOKEN_PROGRAM => Some("spl-token"),
        TOKEN_2022_PROGRAM => Some("spl-token-2022"),
        _ => None,
    }
}

/// What someone holds of a mint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TokenAccount {
    pub(crate) mint: Address,
    pub(crate) owner: Address,
    pub(crate) amount: u64,
    pub(crate) delegate: Option<Address>,
    state: &'static str,
    /// Lamports that stay below wrapped SOL.
    native_reserve: Option<u64>,
    delegated_amount: u64,
    close_authority: Option<Address>,
}

/// A token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mint {
    mint_authority: Option<Address>,
    pub(crate) supply: u64,
    pub(crate) decimals: u8,
    freeze_authority: Option<Address>,
}

fn address(data: &[u8], offset: usize) -> Option<Address> {
    data.get(offset..)?.first_chunk().map(|bytes| Address::new_from_array(*bytes))
}

fn number(data: &[u8], offset: usize) -> Option<u64> {
    data.get(offset..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Four bytes that say whether a value follows. The outer `None` is for bytes that say neither.
fn option<T>(data: &[u8], offset: usize, value: Option<T>) -> Option<Option<T>> {
    match data.get(offset..)?.first_chunk::<4>()? {
        [0, 0, 0, 0] => Some(None),
        [1, 0, 0, 0] => Some(Some(value?)),
        _ => None,
    }
}

impl TokenAccount {
    /// `None` where the data is not that of an initialized token account.
    pub(crate) fn decode(data: &[u8]) -> Option<Self> {
        let is_account = data.len() == ACCOUNT_BYTES || data.get(ACCOUNT_BYTES) == Some(&KIND_ACCOUNT);
        let state = match data.get(108).filter(|_| is_account)? {
            1 => "initialized",
            2 => "frozen",
            _ => return None,
        };
        Some(Self {
            mint: address(data, 0)?,
            owner: address(data, 32)?,
            amount: number(data, 64)?,
            delegate: option(data, 72, address(data, 76))?,
            state,
            native_reserve: option(data, 109, number(data, 113))?,
            delegated_amount: number(data, 121)?,
            close_authority: option(data, 129, address(data, 133))?,
        })
    }

    /// As `jsonParsed` has it.
    pub(crate) fn info(&self, decimals: u8) -> Value {
        let mut info = json!({
            "mint": self.mint.to_string(),
            "owner": self.owner.to_string(),
            "tokenAmount": amount(self.amount, decimals),
            "state": self.state,
            "isNative": self.native_reserve.is_some(),
        });
        if let Some(delegate) = self.delegate {
            info["delegate"] = delegate.to_string().into();
            info["delegatedAmount"] = amount(self.delegated_amount, decimals);
        }
        if let Some(reserve) = self.native_reserve {
            info["rentExemptReserve"] = amount(reserve, decimals);
        }
        if let Some(authority) = self.close_authority {
            info["closeAuthority"] = authority.to_string().into();
        }
        info
    }
}

impl Mint {
    /// `None` where the data is not that of an initialized mint.
    pub(crate) fn decode(data: &[u8]) -> Option<Self> {
        let is_mint = data.len() == MINT_BYTES || data.get(ACCOUNT_BYTES) == Some(&KIND_MINT);
        if !is_mint || data.get(45) != Some(&1) {
            return None;
        }
        Some(Self {
            mint_authority: option(data, 0, address(data, 4))?,
            supply: number(data, 36)?,
            decimals: *data.get(44)?,
            freeze_authority: option(data, 46, address(data, 50))?,
        })
    }

    /// As `jsonParsed` has it.
    pub(crate) fn info(&self) -> Value {
        json!({
            "mintAuthority": self.mint_authority.map(|address| address.to_string()),
            "supply": self.supply.to_string(),
            "decimals": self.decimals,
            "isInitialized": true,
            "freezeAuthority": self.freeze_authority.map(|address| address.to_string()),
        })
    }
}

/// An amount in base units as JSON has it: exact as text, and rounded as a number.
pub(crate) fn amount(base_units: u64, decimals: u8) -> Value {
    let text = decimal(base_units, decimals);
    json!({
        "amount": base_units.to_string(),
        "decimals": decimals,
        // The nearest number to the exact text; wallets show it, nobody reckons with it.
        "uiAmount": text.parse::<f64>().ok(),
        "uiAmountString": text,
    })
}

/// An amount in whole tokens, exact, without zeros at the end.
fn decimal(base_units: u64, decimals: u8) -> String {
    let decimals = usize::from(decimals);
    if decimals == 0 {
        return base_units.to_string();
    }
    let digits = format!("{base_units:0width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.into() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_for_every_number_of_decimals() {
        for (base_units, decimals, text) in [
            (0, 0, "0"),
            (0, 9, "0"),
            (1, 9, "0.000000001"),
            (1_500_000_000, 9, "1.5"),
            (10, 0, "10"),
            (100, 2, "1"),
            (u64::MAX, 6, "18446744073709.551615"),
        ] {
            assert_eq!(decimal(base_units, decimals), text);
        }
        assert_eq!(decimal(1, 255).len(), 257);
    }

    #[test]
    fn no_bytes_panic_and_uninitialized_accounts_are_none() {
        for length in 0..300 {
            for fill in [0, 1, 2, 255] {
                let data = vec![fill; length];
                let _ = (TokenAccount::decode(&data), Mint::decode(&data));
            }
        }
        assert_eq!(TokenAccount::decode(&[0; ACCOUNT_BYTES]), None);
        assert_eq!(Mint::decode(&[0; MINT_BYTES]), None);
    }
}
