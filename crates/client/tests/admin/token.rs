//! The token under either token program, and what the binary says of itself.

use sip_client::{ASSOCIATED_TOKEN_PROGRAM, NewPool, SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use sip_ledger::Ledger;
use sip_protocol::{
    Error,
    admin::config::Parameters,
    ground::units::TOKEN,
    stake::pool::{PoolKind, SEED_SHARES},
};
use sip_svm::PROGRAM_ELF;
use sip_testing::{BOND_TOKENS, World};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_signer::Signer;

#[test]
fn the_binary_says_whom_to_tell_of_a_weakness() {
    let find = |mark: &[u8]| PROGRAM_ELF.windows(mark.len()).position(|window| window == mark);
    let start = find(b"=======BEGIN SECURITY.TXT V1=======\0").expect("the text begins");
    let end = find(b"=======END SECURITY.TXT V1=======\0").expect("the text ends");
    let text = String::from_utf8(PROGRAM_ELF[start + 36..end].to_vec()).unwrap();
    let words: Vec<&str> = text.split_terminator('\0').collect();
    assert_eq!(words.len() % 2, 0, "names and values");
    for name in ["name", "project_url", "contacts", "policy"] {
        assert!(words.iter().step_by(2).any(|word| *word == name), "{name} is missing");
    }
    // A contact is a kind that the format knows and where it leads, comma after comma; nothing is made up.
    let contacts = words.chunks(2).find(|pair| pair[0] == "contacts").unwrap()[1];
    for contact in contacts.split(',') {
        let (kind, place) = contact.split_once(':').expect("a kind and a place");
        assert!(["email", "link", "discord", "telegram", "twitter", "other"].contains(&kind) && !place.is_empty());
    }
    assert!(contacts.contains("SECURITY.md"));
    assert!(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../SECURITY.md")).exists());
}

/// The same protocol over Token-2022: wallets' accounts carry an extension of their own, every other extension is refused, and the other
/// token program has no power over the vault.
#[test]
fn the_token_may_live_under_token_2022_without_extensions_that_matter() {
    let (mut world, authority) = under_2022();
    let program = world.program;
    let key = authority.pubkey();
    let new = NewPool { index: 0, self_bond: BOND_TOKENS * TOKEN, ..NewPool::default() };
    let pool = program.pool(PoolKind::Data, &key, 0);
    for instruction in [
        program.create_pool(&key, PoolKind::Data, &new),
        program.deposit(&key, &pool, 1_000 * TOKEN, 0),
        program.cancel_deposit(&key, &pool, 0),
    ] {
        world.send(&[instruction], &[&authority]);
    }
    let own = program.token_account(&key);
    let account = world.ledger.account(&own).unwrap();
    assert!(account.owner == TOKEN_2022_PROGRAM && account.data.len() > 165, "it carries an extension");
    assert_eq!(world.tokens(&key), (10_000 - BOND_TOKENS - 1_000) * TOKEN - SEED_SHARES);
    let slots = world.config().parameters.unbonding_slots;
    world.advance(slots);
    let claim = program.claim_exit(&key, &pool, 0);
    let mut elsewhere = claim.clone();
    elsewhere.accounts.iter_mut().filter(|account| account.pubkey == TOKEN_2022_PROGRAM).for_each(|account| {
        account.pubkey = TOKEN_PROGRAM;
    });
    world.refused(&[elsewhere], &[&authority], Error::WrongProgram);
    // Memo required (8), guarded against calls (11), fees withheld (2), a hook (15).
    for extension in [8u8, 11, 2, 15] {
        let mut changed = account.clone();
        changed.data[166] = extension;
        world.ledger.set_account(own, changed).unwrap();
        world.refused(std::slice::from_ref(&claim), &[&authority], Error::WrongExtension);
    }
    world.ledger.set_account(own, account).unwrap();
    world.send(&[claim], &[&authority]);
    assert_eq!(world.tokens(&key), (10_000 - BOND_TOKENS) * TOKEN - SEED_SHARES);
}

/// The protocol under Token-2022, and its authority with 10,000 tokens.
fn under_2022() -> (World, Keypair) {
    let mut world = World::uninitialised();
    world.program = world.program.under(TOKEN_2022_PROGRAM);
    let (program, authority) = (world.program, world.authority.insecure_clone());
    let key = authority.pubkey();
    for instruction in [
        program.initialize(&key, &Parameters::DEFAULT),
        program.create_token_account(&key, &key),
        program.distribute(&key, &key, 10_000 * TOKEN),
    ] {
        world.send(&[instruction], &[&authority]);
    }
    (world, authority)
}

/// A mint of somebody's own under Token-2022, made by that program: its bytes, and the instruction that makes it special.
fn foreign_mint(world: &mut World, owner: &Keypair, bytes: u64, special: Option<Vec<u8>>, has_freeze: bool) -> Address {
    let mint = Keypair::new();
    let mut create = 0u32.to_le_bytes().to_vec();
    create.extend(100_000_000u64.to_le_bytes());
    create.extend(bytes.to_le_bytes());
    create.extend(TOKEN_2022_PROGRAM.to_bytes());
    let accounts = [owner.pubkey(), mint.pubkey()].map(|address| AccountMeta::new(address, true)).to_vec();
    let mut instructions = vec![Instruction { program_id: SYSTEM_PROGRAM, accounts, data: create }];
    let token = |accounts: Vec<AccountMeta>, data| Instruction { program_id: TOKEN_2022_PROGRAM, accounts, data };
    let it = AccountMeta::new(mint.pubkey(), false);
    instructions.extend(special.map(|data| token(vec![it.clone()], data)));
    // InitializeMint2: decimals, authority, freeze authority.
    let mut begin = vec![20, 9];
    begin.extend(owner.pubkey().to_bytes());
    begin.push(u8::from(has_freeze));
    if has_freeze {
        begin.extend(owner.pubkey().to_bytes());
    }
    instructions.push(token(vec![it.clone()], begin));
    world.ledger.send(&instructions, owner, &[owner, &mint]).unwrap();
    mint.pubkey()
}

/// Attack: tokens of a mint that can take a fee, take them back, freeze them or call a hook, offered in place of the protocol's. No genesis
/// takes such a mint, no deposit its tokens, and nothing is paid into its accounts.
#[test]
fn attack_mints_with_power_over_their_holders_are_refused() {
    let (mut world, authority) = under_2022();
    let (program, key) = (world.program, authority.pubkey());
    let new = NewPool { index: 0, self_bond: BOND_TOKENS * TOKEN, ..NewPool::default() };
    world.send(&[program.create_pool(&key, PoolKind::Data, &new)], &[&authority]);
    let pool = program.pool(PoolKind::Data, &key, 0);
    let fee = [&[26, 0, 0, 0][..], &100u16.to_le_bytes(), &u64::MAX.to_le_bytes()].concat();
    let delegate = [&[35][..], key.as_ref()].concat();
    let hook = [&[36, 0][..], key.as_ref(), program.id.as_ref()].concat();
    for (name, bytes, special, has_freeze, expected) in [
        ("a transfer fee", 278, Some(fee), false, Error::WrongExtension),
        ("a permanent delegate", 202, Some(delegate), false, Error::WrongTokenAccount),
        ("a transfer hook", 234, Some(hook), false, Error::WrongExtension),
        ("a freeze authority", 82, None, true, Error::WrongTokenAccount),
    ] {
        let mint = foreign_mint(&mut world, &authority, bytes, special, has_freeze);
        let account = [key.as_ref(), TOKEN_2022_PROGRAM.as_ref(), mint.as_ref()];
        let account = Address::find_program_address(&account, &ASSOCIATED_TOKEN_PROGRAM).0;
        // The wallet's account of that mint, and ten thousand tokens in it.
        let mut make = program.create_token_account(&key, &key);
        (make.accounts[1].pubkey, make.accounts[3].pubkey) = (account, mint);
        let fill = Instruction {
            program_id: TOKEN_2022_PROGRAM,
            accounts: vec![
                AccountMeta::new(mint, false),
                AccountMeta::new(account, false),
                AccountMeta::new_readonly(key, true),
            ],
            data: [&[7][..], &(10_000 * TOKEN).to_le_bytes()].concat(),
        };
        world.ledger.send(&[make, fill], &authority, &[&authority]).unwrap();
        let held = world.ledger.token_balance(&account);
        assert_eq!(held, Some(10_000 * TOKEN), "{name}");

        let own = program.token_account(&key);
        for honest in [program.deposit(&key, &pool, TOKEN, 0), program.distribute(&key, &key, TOKEN)] {
            let mut swapped = honest;
            swapped.accounts.iter_mut().filter(|meta| meta.pubkey == own).for_each(|meta| meta.pubkey = account);
            world.refused(&[swapped], &[&authority], expected);
        }
        // Nor does a genesis begin with it.
        let mut fresh = World::uninitialised();
        fresh.program = program;
        let founder = fresh.authority.insecure_clone();
        let theirs = foreign_mint(&mut fresh, &founder, 82, None, true);
        let mut begin = program.initialize(&founder.pubkey(), &Parameters::DEFAULT);
        begin.accounts[2].pubkey = theirs;
        fresh.refused(&[begin], &[&founder], Error::WrongAddress);
    }
}
