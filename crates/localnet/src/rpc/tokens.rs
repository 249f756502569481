//! Methods about SPL tokens, of both token programs.

use super::accounts::list;
use super::error::RpcError;
use super::params::{Params, parse};
use super::with_context;
use crate::chain::Chain;
use crate::encode::AccountFormat;
use crate::token::{Account, Mint};
use serde_json::{Value, json};
use sip_ledger::{TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;

/// How many of the largest accounts are told.
const LARGEST: usize = 20;

fn token_account(chain: &Chain, address: &Address) -> Result<Account, RpcError> {
    let missing = || RpcError::invalid("Invalid param: could not find account");
    let account = chain.ledger.shared_account(address).ok_or_else(missing)?;
    let token = Account::decode(account.owner(), account.data());
    token.ok_or_else(|| RpcError::invalid("Invalid param: not a Token account"))
}

/// A mint and the program that it belongs to.
fn mint(chain: &Chain, address: &Address) -> Result<(Mint, Address), RpcError> {
    let missing = || RpcError::invalid("Invalid param: could not find mint");
    let account = chain.ledger.shared_account(address).ok_or_else(missing)?;
    let mint = Mint::decode(account.owner(), account.data(), chain.ledger.unix_seconds());
    let mint = mint.ok_or_else(|| RpcError::invalid("Invalid param: not a Token mint"))?;
    Ok((mint, *account.owner()))
}

fn accounts_of(
    chain: &Chain,
    program_id: &Address,
    wanted: impl Fn(&Account) -> bool,
) -> Vec<(Address, AccountSharedData)> {
    let mut accounts = chain.ledger.shared_program_accounts(program_id);
    accounts
        .retain(|(_, account)| Account::decode(account.owner(), account.data()).is_some_and(|token| wanted(&token)));
    accounts
}

pub(super) fn balance(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let token = token_account(chain, &params.base58(0, "a token account's address")?)?;
    params.options(1)?;
    let (mint, _) = mint(chain, &token.mint)?;
    Ok(with_context(chain, mint.scale.amount(token.amount)))
}

pub(super) fn supply(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let (mint, _) = mint(chain, &params.base58(0, "a mint's address")?)?;
    params.options(1)?;
    Ok(with_context(chain, mint.scale.amount(mint.supply)))
}

pub(super) fn by_owner(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let owner: Address = params.base58(0, "an owner's address")?;
    selected(chain, params, |token| token.owner == owner)
}

pub(super) fn by_delegate(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let delegate: Address = params.base58(0, "a delegate's address")?;
    selected(chain, params, |token| token.delegate == Some(delegate))
}

/// The second parameter names a mint or a token program.
fn selected(chain: &Chain, params: Params<'_>, wanted: impl Fn(&Account) -> bool) -> Result<Value, RpcError> {
    let format = AccountFormat::from_options(params.options(2)?.map())?;
    let selector = params.options(1)?;
    let accounts = match (selector.text("mint")?, selector.text("programId")?) {
        (Some(_), Some(_)) => return Err(RpcError::invalid("name a \"mint\" or a \"programId\", and not both")),
        (Some(text), None) => {
            let address: Address = parse(text, "mint")?;
            let (_, program_id) = mint(chain, &address)?;
            accounts_of(chain, &program_id, |token| token.mint == address && wanted(token))
        }
        (None, Some(text)) => {
            let program_id: Address = parse(text, "programId")?;
            if ![TOKEN_PROGRAM, TOKEN_2022_PROGRAM].contains(&program_id) {
                return Err(RpcError::invalid("Invalid param: unrecognized Token program id"));
            }
            accounts_of(chain, &program_id, wanted)
        }
        (None, None) => return Err(RpcError::invalid("name a \"mint\" or a \"programId\"")),
    };
    Ok(with_context(chain, list(chain, format, &accounts)?))
}

pub(super) fn largest(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let address: Address = params.base58(0, "a mint's address")?;
    params.options(1)?;
    let (mint, program_id) = mint(chain, &address)?;
    let mut tokens: Vec<(Address, u64)> = accounts_of(chain, &program_id, |token| token.mint == address)
        .iter()
        .filter_map(|(address, account)| Some((*address, Account::decode(account.owner(), account.data())?.amount)))
        .collect();
    tokens.sort_by_key(|(_, amount)| std::cmp::Reverse(*amount));
    let value = tokens.iter().take(LARGEST).map(|(address, base_units)| {
        let mut entry = mint.scale.amount(*base_units);
        entry["address"] = json!(address.to_string());
        entry
    });
    Ok(with_context(chain, value.collect()))
}
