//! Attacks through the token program: balances read too early, extensions, fees.

use crate::TOKEN_2022;
use crate::table::{After, Case, Findings, simulate, table};
use sip_client::{ASSOCIATED_TOKEN_PROGRAM, NewPool, TOKEN_PROGRAM, liabilities};
use sip_ledger::token_amount;
use sip_protocol::{
    Account, Error,
    admin::config::{Config, Parameters},
    ground::units::{CAP, TOKEN},
    stake::pool::PoolKind,
};
use sip_testing::World;
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_signer::Signer;
use std::collections::BTreeMap;

/// Whether, after a transaction that writes these accounts, the vault holds what all accounts owe and what is not burned exists.
pub(crate) fn is_balanced(case: &Case, after: &After) -> bool {
    let (program, ledger) = (case.program(), &case.ledger);
    let mut accounts: BTreeMap<Address, AccountSharedData> =
        ledger.shared_program_accounts(&program.id).into_iter().collect();
    let mut tokens = [program.vault(), program.mint()].map(|address| ledger.shared_account(&address));
    for (address, state) in after {
        if case.is_state(state) {
            accounts.insert(*address, state.clone());
        } else {
            accounts.remove(address);
        }
        if let Some(place) = [program.vault(), program.mint()].iter().position(|token| token == address) {
            tokens[place] = Some(state.clone());
        }
    }
    let [Some(vault), Some(mint)] = tokens else { return true };
    let Some(config) = accounts.get(&program.config()) else { return true };
    let Ok(owed) = liabilities(accounts.values().map(ReadableAccount::data)) else { return false };
    let config = Config::decode(config.data()).expect("the configuration");
    let supply = u64::from_le_bytes(mint.data()[36..44].try_into().expect("8 bytes"));
    token_amount(&vault.into()) == Some(owed) && supply == CAP - config.burned
}

/// Attack: several calls of the token program in one transaction, each of which must see what the one before has done.
#[test]
fn stale_data_after_cpi() {
    let mut findings = Findings::default();
    for case in table().iter() {
        let (program, ledger) = (case.program(), &case.ledger);
        let vault = program.vault();
        if case.places().all(|(_, meta, _)| meta.pubkey != vault) || ledger.account(&vault).is_none() {
            continue;
        }
        for times in 1..=3 {
            let Ok(after) = simulate(ledger, &vec![case.instruction.clone(); times]) else { continue };
            findings.expect(case, is_balanced(case, &after), || format!("{times} times: the books do not balance"));
        }
    }
    findings.check(40);
}

/// Attack: a token account under Token-2022 whose extension takes a fee, calls a hook, or withholds what was sent.
#[test]
fn token_2022_extensions_and_transfer_fees() {
    let mut world = World::uninitialised();
    let program = world.program;
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let mint = program.mint();
    let seeds: [&[u8]; 3] = [key.as_ref(), TOKEN_2022.as_ref(), mint.as_ref()];
    let own = Address::find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM).0;
    let under_2022 = |mut instruction: Instruction| {
        for account in &mut instruction.accounts {
            if account.pubkey == TOKEN_PROGRAM {
                account.pubkey = TOKEN_2022;
            } else if account.pubkey == program.token_account(&key) {
                account.pubkey = own;
            }
        }
        instruction
    };
    let pool = program.pool(PoolKind::Data, &key, 0);
    let new = NewPool { self_bond: Parameters::DEFAULT.minimum_self_bond, ..NewPool::default() };
    for instruction in [
        program.initialize(&key, &Parameters::DEFAULT),
        program.create_token_account(&key, &key),
        program.distribute(&key, &key, 10_000 * TOKEN),
        program.create_pool(&key, PoolKind::Data, &new),
    ] {
        world.send(&[under_2022(instruction)], &[&authority]);
    }
    // The mint is as short as a mint can be: nothing in it takes fees, calls hooks or freezes.
    let mint = world.ledger.account(&mint).expect("the mint");
    assert_eq!((mint.owner, mint.data.len(), &mint.data[46..50]), (TOKEN_2022, 82, [0; 4].as_slice()));
    let account = world.ledger.account(&own).expect("the wallet's account");
    let (deposit, pay) =
        (under_2022(program.deposit(&key, &pool, TOKEN, 0)), under_2022(program.distribute(&key, &key, TOKEN)));
    const IMMUTABLE_OWNER: u16 = 7;
    for extension in (1..=64).chain([255, 256, u16::MAX]) {
        for length in [0u16, 8] {
            let mut changed = account.clone();
            changed.data.truncate(166);
            changed.data.extend([extension.to_le_bytes(), length.to_le_bytes()].concat());
            changed.data.resize(170 + length as usize, 1);
            world.ledger.set_account(own, changed).expect("no account of the runtime");
            if extension != IMMUTABLE_OWNER {
                world.refused(std::slice::from_ref(&deposit), &[&authority], Error::WrongExtension);
                world.refused(std::slice::from_ref(&pay), &[&authority], Error::WrongExtension);
            }
        }
    }
    // An entry that is longer than the account, and one behind an allowed one.
    for (entries, expected) in [
        (vec![7, 0, 255, 255], Error::WrongTokenAccount),
        (vec![7, 0, 0, 0, 2, 0, 8, 0, 1, 1, 1, 1, 1, 1, 1, 1], Error::WrongExtension),
        (vec![7, 0, 0], Error::WrongTokenAccount),
    ] {
        let mut changed = account.clone();
        changed.data.truncate(166);
        changed.data.extend(entries);
        world.ledger.set_account(own, changed).expect("no account of the runtime");
        world.refused(std::slice::from_ref(&deposit), &[&authority], expected);
    }
    world.ledger.set_account(own, account).expect("no account of the runtime");
    world.send(&[deposit], &[&authority]);
    world.send(&[pay], &[&authority]);
}
