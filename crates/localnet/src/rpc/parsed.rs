//! Instructions in words, as Solana's "jsonParsed" has them: of the system program, the token programs, associated token accounts and memos.

use crate::meta::MEMO_PROGRAMS;
use crate::token::{amount, program_name};
use serde_json::{Value, json};
use solana_address::Address;

const SYSTEM: Address = Address::from_str_const("11111111111111111111111111111111");
const ASSOCIATED_TOKEN: Address = Address::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");

/// An instruction with the names of its accounts. What is not understood keeps its data.
pub(super) fn instruction(program: &str, accounts: &[String], data: &[u8], stack_height: Option<u32>) -> Value {
    let program_id: Option<Address> = program.parse().ok();
    match program_id.and_then(|program_id| words(&program_id, accounts, data)) {
        Some((name, parsed)) => {
            json!({ "program": name, "programId": program, "parsed": parsed, "stackHeight": stack_height })
        }
        None => json!({
            "programId": program,
            "accounts": accounts,
            "data": bs58::encode(data).into_string(),
            "stackHeight": stack_height,
        }),
    }
}

fn words(program_id: &Address, accounts: &[String], data: &[u8]) -> Option<(&'static str, Value)> {
    if MEMO_PROGRAMS.contains(program_id) {
        return Some(("spl-memo", std::str::from_utf8(data).ok()?.into()));
    }
    let (name, (kind, info)) = if *program_id == SYSTEM {
        ("system", system(accounts, data)?)
    } else if *program_id == ASSOCIATED_TOKEN {
        ("spl-associated-token-account", associated(accounts, data)?)
    } else if program_name(program_id).is_some() {
        // Both token programs go by one name here.
        ("spl-token", token(accounts, data)?)
    } else {
        return None;
    };
    Some((name, json!({ "type": kind, "info": info })))
}

fn number(data: &[u8], offset: usize) -> Option<u64> {
    data.get(offset..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

fn address(data: &[u8], offset: usize) -> Option<String> {
    data.get(offset..)?.first_chunk().map(|bytes| Address::new_from_array(*bytes).to_string())
}

fn system(accounts: &[String], data: &[u8]) -> Option<(&'static str, Value)> {
    let (tag, rest) = data.split_first_chunk().map(|(tag, rest)| (u32::from_le_bytes(*tag), rest))?;
    let at = |index: usize| accounts.get(index);
    Some(match tag {
        0 => (
            "createAccount",
            json!({
                "source": at(0)?,
                "newAccount": at(1)?,
                "lamports": number(rest, 0)?,
                "space": number(rest, 8)?,
                "owner": address(rest, 16)?,
            }),
        ),
        1 => ("assign", json!({ "account": at(0)?, "owner": address(rest, 0)? })),
        2 => ("transfer", json!({ "source": at(0)?, "destination": at(1)?, "lamports": number(rest, 0)? })),
        8 => ("allocate", json!({ "account": at(0)?, "space": number(rest, 0)? })),
        _ => return None,
    })
}

fn associated(accounts: &[String], data: &[u8]) -> Option<(&'static str, Value)> {
    let kind = match data {
        [] | [0] => "create",
        [1] => "createIdempotent",
        _ => return None,
    };
    let [source, account, wallet, mint, system, token, ..] = accounts else { return None };
    let info = json!({
        "source": source,
        "account": account,
        "wallet": wallet,
        "mint": mint,
        "systemProgram": system,
        "tokenProgram": token,
    });
    Some((kind, info))
}

/// Notes who signs: the account at `index`, or the members of a multisig there.
fn signed(mut info: Value, accounts: &[String], index: usize, one: &str, many: &str) -> Option<Value> {
    let holder = accounts.get(index)?;
    let members = accounts.get(index + 1..)?;
    if members.is_empty() {
        info[one] = holder.as_str().into();
    } else {
        info[many] = holder.as_str().into();
        info["signers"] = json!(members);
    }
    Some(info)
}

fn token(accounts: &[String], data: &[u8]) -> Option<(&'static str, Value)> {
    let (&tag, rest) = data.split_first()?;
    let at = |index: usize| accounts.get(index);
    let plain = || number(rest, 0).map(|units| units.to_string());
    let checked = || Some(amount(number(rest, 0)?, *rest.get(8)?));
    let signed = |info, index, one: &str, many: &str| signed(info, accounts, index, one, many);
    let (authority, multisig) = ("authority", "multisigAuthority");
    let (owner, owners) = ("owner", "multisigOwner");
    let (minter, minters) = ("mintAuthority", "multisigMintAuthority");
    Some(match tag {
        1 => ("initializeAccount", json!({ "account": at(0)?, "mint": at(1)?, "owner": at(2)?, "rentSysvar": at(3)? })),
        3 => {
            let info = json!({ "source": at(0)?, "destination": at(1)?, "amount": plain()? });
            ("transfer", signed(info, 2, authority, multisig)?)
        }
        4 => {
            let info = json!({ "source": at(0)?, "delegate": at(1)?, "amount": plain()? });
            ("approve", signed(info, 2, owner, owners)?)
        }
        5 => ("revoke", signed(json!({ "source": at(0)? }), 1, owner, owners)?),
        7 => {
            let info = json!({ "mint": at(0)?, "account": at(1)?, "amount": plain()? });
            ("mintTo", signed(info, 2, minter, minters)?)
        }
        8 => {
            let info = json!({ "account": at(0)?, "mint": at(1)?, "amount": plain()? });
            ("burn", signed(info, 2, authority, multisig)?)
        }
        9 => {
            let info = json!({ "account": at(0)?, "destination": at(1)? });
            ("closeAccount", signed(info, 2, owner, owners)?)
        }
        12 => {
            let info = json!({ "source": at(0)?, "mint": at(1)?, "destination": at(2)?, "tokenAmount": checked()? });
            ("transferChecked", signed(info, 3, authority, multisig)?)
        }
        14 => {
            let info = json!({ "mint": at(0)?, "account": at(1)?, "tokenAmount": checked()? });
            ("mintToChecked", signed(info, 2, minter, minters)?)
        }
        15 => {
            let info = json!({ "account": at(0)?, "mint": at(1)?, "tokenAmount": checked()? });
            ("burnChecked", signed(info, 2, authority, multisig)?)
        }
        17 => ("syncNative", json!({ "account": at(0)? })),
        18 => ("initializeAccount3", json!({ "account": at(0)?, "mint": at(1)?, "owner": address(rest, 0)? })),
        22 => ("initializeImmutableOwner", json!({ "account": at(0)? })),
        _ => return None,
    })
}
