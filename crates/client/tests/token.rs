//! The token under either token program, and what the binary says of itself.

use sip_client::{
    ASSOCIATED_TOKEN_PROGRAM, NewPool, TOKEN_PROGRAM,
    testing::{BOND_TOKENS, World},
};
use sip_protocol::{
    Error,
    config::{Parameters, TOKEN},
    pool::{PoolKind, SEED_SHARES},
};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_signer::Signer;

#[test]
fn the_binary_says_whom_to_tell_of_a_weakness() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../programs/sip/sip.so");
    let binary = std::fs::read(path).unwrap();
    let find = |mark: &[u8]| binary.windows(mark.len()).position(|window| window == mark);
    let start = find(b"=======BEGIN SECURITY.TXT V1=======\0").expect("the text begins");
    let end = find(b"=======END SECURITY.TXT V1=======\0").expect("the text ends");
    let text = String::from_utf8(binary[start + 36..end].to_vec()).unwrap();
    let words: Vec<&str> = text.split_terminator('\0').collect();
    assert_eq!(words.len() % 2, 0, "names and values");
    for name in ["name", "project_url", "contacts", "policy"] {
        assert!(words.iter().step_by(2).any(|word| *word == name), "{name} is missing");
    }
}

/// Token-2022.
const TOKEN_2022: Address = Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");

/// A wallet's account under Token-2022.
fn account_2022(world: &World, wallet: &Address) -> Address {
    let mint = world.program.mint();
    let seeds: [&[u8]; 3] = [wallet.as_ref(), TOKEN_2022.as_ref(), mint.as_ref()];
    Address::find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM).0
}

/// An instruction as it is under Token-2022.
fn under_2022(world: &World, wallet: &Address, mut instruction: Instruction) -> Instruction {
    for account in &mut instruction.accounts {
        if account.pubkey == TOKEN_PROGRAM {
            account.pubkey = TOKEN_2022;
        } else if account.pubkey == world.program.token_account(wallet) {
            account.pubkey = account_2022(world, wallet);
        }
    }
    instruction
}

/// The same protocol over Token-2022: wallets' accounts carry an extension of their own, every other extension is refused, and the other
/// token program has no power over the vault.
#[test]
fn the_token_may_live_under_token_2022_without_extensions_that_matter() {
    let mut world = World::uninitialised();
    let program = world.program;
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let new = NewPool { index: 0, self_bond: BOND_TOKENS * TOKEN, ..NewPool::default() };
    let pool = program.pool(PoolKind::Data, &key, 0);
    for instruction in [
        program.initialize(&key, &Parameters::DEFAULT),
        program.create_token_account(&key, &key),
        program.distribute(&key, &key, 10_000 * TOKEN),
        program.create_pool(&key, PoolKind::Data, &new),
        program.deposit(&key, &pool, 1_000 * TOKEN, 0),
        program.cancel_deposit(&key, &pool, 0),
    ] {
        let instruction = under_2022(&world, &key, instruction);
        world.send(&[instruction], &[&authority]);
    }
    let own = account_2022(&world, &key);
    let account = world.ledger.account(&own).unwrap();
    assert!(account.owner == TOKEN_2022 && account.data.len() > 165, "it carries an extension");
    let tokens =
        |world: &World| u64::from_le_bytes(world.ledger.account(&own).unwrap().data[64..72].try_into().unwrap());
    assert_eq!(tokens(&world), (10_000 - BOND_TOKENS - 1_000) * TOKEN - SEED_SHARES);
    let slots = world.config().parameters.unbonding_slots;
    world.advance(slots);
    let claim = program.claim_exit(&key, &pool, 0);
    world.refused(std::slice::from_ref(&claim), &[&authority], Error::WrongProgram);
    let claim = under_2022(&world, &key, claim);
    // Memo required (8), guarded against calls (11), fees withheld (2), a hook (15).
    for extension in [8u8, 11, 2, 15] {
        let mut changed = account.clone();
        changed.data[166] = extension;
        world.ledger.set_account(own, changed).unwrap();
        world.refused(std::slice::from_ref(&claim), &[&authority], Error::WrongExtension);
    }
    world.ledger.set_account(own, account).unwrap();
    world.send(&[claim], &[&authority]);
    assert_eq!(tokens(&world), (10_000 - BOND_TOKENS) * TOKEN - SEED_SHARES);
}
