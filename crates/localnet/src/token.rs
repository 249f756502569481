//! The accounts of the SPL token programs.

use serde_json::Value;
use sip_ledger::{TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use sip_svm::Embedded;
use solana_account::ReadableAccount;
use solana_account_decoder::parse_account_data::SplTokenAdditionalDataV2;
use solana_account_decoder::parse_token::token_amount_to_ui_amount_v3;
use solana_address::Address;
use spl_token_2022_interface::extension::interest_bearing_mint::InterestBearingConfig;
use spl_token_2022_interface::extension::scaled_ui_amount::ScaledUiAmountConfig;
use spl_token_2022_interface::extension::{BaseStateWithExtensions, StateWithExtensions};
use spl_token_2022_interface::state;

/// Whether it is one of the token programs.
pub(crate) fn is_token_program(program_id: &Address) -> bool {
    [TOKEN_PROGRAM, TOKEN_2022_PROGRAM].contains(program_id)
}

/// What someone holds of a mint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) mint: Address,
    pub(crate) owner: Address,
    pub(crate) amount: u64,
    pub(crate) delegate: Option<Address>,
}

impl Account {
    /// `None` where the account is not an initialized one of a token program.
    pub(crate) fn decode(program_id: &Address, data: &[u8]) -> Option<Self> {
        let state =
            is_token_program(program_id).then(|| StateWithExtensions::<state::Account>::unpack(data).ok())??;
        let state::Account { mint, owner, amount, delegate, .. } = state.base;
        Some(Self { mint, owner, amount, delegate: delegate.into() })
    }
}

/// How amounts of a mint are shown: its decimals, its interest or its factor, as they are now.
#[derive(Clone, Copy)]
pub(crate) struct Scale(pub(crate) SplTokenAdditionalDataV2);

/// A token.
#[derive(Clone, Copy)]
pub(crate) struct Mint {
    pub(crate) supply: u64,
    pub(crate) scale: Scale,
}

impl Mint {
    /// `None` where the account is not an initialized mint of a token program.
    pub(crate) fn decode(program_id: &Address, data: &[u8], unix_seconds: i64) -> Option<Self> {
        let state = is_token_program(program_id).then(|| StateWithExtensions::<state::Mint>::unpack(data).ok())??;
        let scale = SplTokenAdditionalDataV2 {
            decimals: state.base.decimals,
            interest_bearing_config: state
                .get_extension::<InterestBearingConfig>()
                .ok()
                .map(|config| (*config, unix_seconds)),
            scaled_ui_amount_config: state
                .get_extension::<ScaledUiAmountConfig>()
                .ok()
                .map(|config| (*config, unix_seconds)),
        };
        Some(Self { supply: state.base.supply, scale: Scale(scale) })
    }
}

impl Scale {
    /// That of the mint at an address.
    pub(crate) fn of_mint(ledger: &Embedded, mint: &Address) -> Option<Self> {
        let account = ledger.shared_account(mint)?;
        Mint::decode(account.owner(), account.data(), ledger.unix_seconds()).map(|mint| mint.scale)
    }

    /// An amount in base units as JSON has it: exact as text, and rounded as a number.
    pub(crate) fn amount(&self, base_units: u64) -> Value {
        // A struct of numbers and texts always has JSON.
        serde_json::to_value(token_amount_to_ui_amount_v3(base_units, &self.0)).unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_panic_and_uninitialized_accounts_are_none() {
        for length in 0..300 {
            for fill in [0, 1, 2, 255] {
                let data = vec![fill; length];
                for program_id in [TOKEN_PROGRAM, TOKEN_2022_PROGRAM] {
                    let _ = (Account::decode(&program_id, &data), Mint::decode(&program_id, &data, 0));
                }
            }
        }
        assert_eq!(Account::decode(&TOKEN_PROGRAM, &[0; 165]), None);
        assert!(Mint::decode(&TOKEN_PROGRAM, &[0; 82], 0).is_none());
    }
}
