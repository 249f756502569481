//! What Agave answers where clients look, asked of the local chain.

use crate::common::*;
use serde_json::{Value, json};
use sip_localnet::{Limits, Localnet};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::time::Duration;

const MEMO: Address = Address::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
const BLOCKHASHES: &str = "SysvarRecentB1ockHashes11111111111111111111";
const RENT: &str = "SysvarRent111111111111111111111111111111111";
const LOOKUP_TABLES: Address = Address::from_str_const("AddressLookupTab1e1111111111111111111111111");
const TOKEN_2022: Address = Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
const NATIVE_MINT: Address = Address::from_str_const("So11111111111111111111111111111111111111112");
const NATIVE_MINT_2022: Address = Address::from_str_const("9pan9bMn5HatX4EJdBwg9VgCa7Uz5HL8N1m5D3NdXejP");

/// Slots long enough that a question is asked and answered within one.
fn start_slow(folder: &std::path::Path) -> Localnet {
    let mut config = config(folder);
    config.slot = Some(Duration::from_millis(300));
    Localnet::start(config).unwrap()
}

fn wait_for_status(url: &str, signature: &str, wanted: &str) -> Value {
    let mut status = Value::Null;
    wait_until(wanted, || {
        status = get(url, "getSignatureStatuses", json!([[signature]]))["value"][0].clone();
        status["confirmationStatus"] == wanted
    });
    status
}

fn create_lookup_table(payer: &Keypair, slot: u64) -> Instruction {
    let key = payer.pubkey();
    let (table, bump) = Address::find_program_address(&[key.as_array(), &slot.to_le_bytes()], &LOOKUP_TABLES);
    let data = [&0u32.to_le_bytes()[..], &slot.to_le_bytes(), &[bump]].concat();
    let accounts = vec![
        AccountMeta::new(table, false),
        AccountMeta::new_readonly(key, true),
        AccountMeta::new(key, true),
        AccountMeta::new_readonly(solana_system_interface::program::ID, false),
    ];
    Instruction { program_id: LOOKUP_TABLES, accounts, data }
}

#[test]
fn every_slot_that_is_called_confirmed_or_finalized_has_a_block_and_serves_a_lookup_table() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_slow(folder.path());
    let url = &chain.url();
    let alice = funded(url);
    let key = alice.pubkey().to_string();
    for (commitment, lamports) in [("confirmed", 1), ("finalized", 2)] {
        let options = json!({ "commitment": commitment });
        let of = |method: &str, params: Value, field: &str| {
            get(url, method, params).pointer(field).unwrap().as_u64().unwrap()
        };
        for slot in [
            of("getSlot", json!([options]), ""),
            of("getBlockHeight", json!([options]), ""),
            of("getEpochInfo", json!([options]), "/absoluteSlot"),
            of("getBalance", json!([key, options]), "/context/slot"),
            of("getLatestBlockhash", json!([options]), "/context/slot"),
        ] {
            let block = json!([slot, { "commitment": commitment, "transactionDetails": "none", "rewards": false }]);
            assert_eq!(get(url, "getBlock", block)["blockHeight"], slot);
        }
        let slot = of("getSlot", json!([options]), "");
        send(
            url,
            &sign(url, &[create_lookup_table(&alice, slot), transfer(&alice, &alice.pubkey(), lamports)], &[&alice]),
        )
        .unwrap();
    }
    // Nothing asked for is finalized; the open slot is for those who ask for it.
    let [processed, finalized] = [json!([{ "commitment": "processed" }]), json!([])].map(|options| {
        let slot = get(url, "getSlot", options);
        slot.as_u64().unwrap()
    });
    assert!(processed.abs_diff(finalized) <= 1);
    let error = ask(url, "getBlock", json!([finalized + 100])).unwrap_err();
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!(-32004), &json!(format!("Block not available for slot {}", finalized + 100)))
    );
}

#[test]
fn a_transaction_is_processed_until_its_slot_closes_and_then_stands_in_its_block() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_slow(folder.path());
    let url = &chain.url();
    let alice = funded(url);
    for lamports in 1..=3 {
        let signature = send(url, &sign(url, &[transfer(&alice, &alice.pubkey(), lamports)], &[&alice])).unwrap();
        let status = wait_for_status(url, &signature, "finalized");
        let block = get(url, "getBlock", json!([status["slot"], { "transactionDetails": "signatures" }]));
        assert!(block["signatures"].as_array().unwrap().contains(&json!(signature)));
        assert_eq!(get(url, "getTransaction", json!([signature, "json"]))["slot"], status["slot"]);
    }
}

#[test]
fn blocks_are_not_told_below_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let processed = json!({ "commitment": "processed" });
    let signature = Keypair::new().sign_message(b"unknown").to_string();
    for (method, params) in [
        ("getBlock", json!([500, processed])),
        ("getBlocks", json!([500, 501, processed])),
        ("getBlocksWithLimit", json!([500, 2, processed])),
        ("getSignaturesForAddress", json!([PROGRAM.to_string(), processed])),
        ("getTransaction", json!([signature, processed])),
    ] {
        let error = ask(url, method, params).unwrap_err();
        assert_eq!(error["code"], -32602, "{method}");
        assert_eq!(error["message"], "Method does not support commitment below `confirmed`", "{method}");
    }
}

#[test]
fn a_page_that_begins_or_ends_at_an_unknown_signature_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let alice = funded(url);
    let key = alice.pubkey().to_string();
    let unknown = Keypair::new().sign_message(b"unknown").to_string();
    for option in ["before", "until"] {
        let mut options = json!({});
        options[option] = json!(unknown);
        let error = ask(url, "getSignaturesForAddress", json!([key, options])).unwrap_err();
        assert_eq!(error, json!({ "code": -32020, "message": format!("Transaction {unknown} not found") }));
    }
}

#[test]
fn signatures_of_an_address_tell_memos_and_places_in_the_block() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let check = |url: &str, key: &str| {
        let told = get(url, "getSignaturesForAddress", json!([key]));
        let memos: Vec<&Value> = told.as_array().unwrap().iter().map(|told| &told["memo"]).collect();
        assert_eq!(memos, [&json!("[10] invoice 42; [2] (unparseable)"), &json!(null), &json!(null)]);
        let places: Vec<&Value> = told.as_array().unwrap().iter().map(|told| &told["transactionIndex"]).collect();
        assert_eq!(places, [2, 1, 0]);
    };
    let key = {
        let chain = start_still(data, Limits::default());
        let url = &chain.url();
        let alice = funded(url);
        send(url, &sign(url, &[transfer(&alice, &alice.pubkey(), 1)], &[&alice])).unwrap();
        let memo = |text: &[u8]| Instruction { program_id: MEMO, accounts: vec![], data: text.to_vec() };
        let transaction = sign(url, &[memo(b"invoice 42"), memo(&[0xff, 0xfe])], &[&alice]);
        ask(url, "sendTransaction", json!([wire(&transaction), { "encoding": "base64", "skipPreflight": true }]))
            .unwrap();
        let key = alice.pubkey().to_string();
        check(url, &key);
        key
    };
    // The log knows them too.
    check(&start_still(data, Limits::default()).url(), &key);
}

#[test]
fn a_batch_is_bounded_by_its_bytes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let batch = |count: u64, padding: usize| {
        let pad = "x".repeat(padding);
        let request = |id| json!({ "jsonrpc": "2.0", "id": id, "method": "getSlot", "params": [], "pad": pad });
        Value::from((0..count).map(request).collect::<Vec<_>>()).to_string()
    };
    for count in [100, 101, 300] {
        let answers = try_post(url, &batch(count, 0)).unwrap();
        let ids: Vec<u64> = answers.as_array().unwrap().iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, (0..count).collect::<Vec<_>>());
    }
    let large = batch(1, 50 << 10);
    let request = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{large}", large.len());
    assert!(raw(url, request.as_bytes()).unwrap().starts_with("HTTP/1.1 413 "));
}

#[test]
fn the_methods_of_one_node_clusters_answer_with_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    get(url, "sip_advanceToSlot", json!([1_000]));
    let name = get(url, "getIdentity", json!([]))["identity"].as_str().unwrap().to_owned();

    let production = &get(url, "getBlockProduction", json!([]))["value"];
    let range = &production["range"];
    let count = range["lastSlot"].as_u64().unwrap() - range["firstSlot"].as_u64().unwrap() + 1;
    assert_eq!(range["lastSlot"], 1_000);
    assert_eq!(production["byIdentity"][&name], json!([count, count]));
    let part = json!([{ "range": { "firstSlot": 600, "lastSlot": 603 }, "identity": name }]);
    assert_eq!(get(url, "getBlockProduction", part)["value"]["byIdentity"][&name], json!([4, 4]));
    let backwards = json!([{ "range": { "firstSlot": 603, "lastSlot": 600 } }]);
    assert_eq!(ask(url, "getBlockProduction", backwards).unwrap_err()["code"], -32602);

    assert_eq!(get(url, "getBlockCommitment", json!([5]))["commitment"], json!(null));
    assert_eq!(
        ask(url, "getHighestSnapshotSlot", json!([])).unwrap_err(),
        json!({ "code": -32008, "message": "No snapshot" })
    );
    assert_eq!(get(url, "getStakeMinimumDelegation", json!([]))["value"], 1);

    let epoch = get(url, "getEpochInfo", json!([]));
    for params in [json!([]), json!([null, { "identity": name }]), json!([1_000, { "commitment": "finalized" }])] {
        let schedule = get(url, "getLeaderSchedule", params);
        let slots = schedule[&name].as_array().unwrap();
        assert_eq!((json!(slots.len()), &slots[0]), (epoch["slotsInEpoch"].clone(), &json!(0)));
    }
    assert_eq!(get(url, "getLeaderSchedule", json!([1_u64 << 40])), json!(null));
    assert_eq!(get(url, "getLeaderSchedule", json!([null, { "identity": PROGRAM.to_string() }])), json!({}));

    let samples = get(url, "getRecentPerformanceSamples", json!([1]));
    assert_eq!(samples[0]["slot"], 900);
    assert_eq!((&samples[0]["numSlots"], &samples[0]["samplePeriodSecs"]), (&json!(150), &json!(60)));
    let error = ask(url, "getRecentPerformanceSamples", json!([721])).unwrap_err();
    assert_eq!(error, json!({ "code": -32602, "message": "Invalid limit; max 720" }));
}

#[test]
fn sol_is_wrapped_by_both_token_programs() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let alice = funded(url);
    for (program, mint) in [(sip_ledger::TOKEN_PROGRAM, NATIVE_MINT), (TOKEN_2022, NATIVE_MINT_2022)] {
        let parsed = get(url, "getAccountInfo", json!([mint.to_string(), { "encoding": "jsonParsed" }]));
        let info = &parsed["value"]["data"]["parsed"]["info"];
        assert_eq!((&info["decimals"], &info["mintAuthority"]), (&json!(9), &json!(null)));
        let account = Keypair::new();
        let rent = get(url, "getMinimumBalanceForRentExemption", json!([165])).as_u64().unwrap();
        let create = solana_system_interface::instruction::create_account(
            &alice.pubkey(),
            &account.pubkey(),
            rent + SOL / 10,
            165,
            &program,
        );
        let accounts = vec![AccountMeta::new(account.pubkey(), false), AccountMeta::new_readonly(mint, false)];
        let data = [&[18][..], alice.pubkey().as_array()].concat();
        let initialize = Instruction { program_id: program, accounts, data };
        send(url, &sign(url, &[create, initialize], &[&alice, &account])).unwrap();
        let wrapped = get(url, "getTokenAccountBalance", json!([account.pubkey().to_string()]));
        assert_eq!(wrapped["value"]["amount"], "100000000", "{program}: {wrapped}");
    }
}

#[test]
fn transactions_are_told_in_words_where_they_are_asked_for_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let alice = funded(url);
    let (key, bob) = (alice.pubkey(), Keypair::new().pubkey());
    let associated = Address::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
    let token = sip_ledger::TOKEN_PROGRAM;
    let (account, _) =
        Address::find_program_address(&[key.as_array(), token.as_array(), NATIVE_MINT.as_array()], &associated);
    let create = Instruction {
        program_id: associated,
        accounts: vec![
            AccountMeta::new(key, true),
            AccountMeta::new(account, false),
            AccountMeta::new_readonly(key, false),
            AccountMeta::new_readonly(NATIVE_MINT, false),
            AccountMeta::new_readonly(solana_system_interface::program::ID, false),
            AccountMeta::new_readonly(token, false),
        ],
        data: vec![],
    };
    let move_none = |data: Vec<u8>, mint: Option<Address>| {
        let accounts = [Some(account), mint, Some(account)].into_iter().flatten();
        let mut accounts: Vec<AccountMeta> = accounts.map(|address| AccountMeta::new(address, false)).collect();
        accounts.push(AccountMeta::new_readonly(key, true));
        Instruction { program_id: token, accounts, data }
    };
    let plain = move_none([&[3][..], &0u64.to_le_bytes()].concat(), None);
    let checked = move_none([&[12][..], &0u64.to_le_bytes(), &[9]].concat(), Some(NATIVE_MINT));
    let memo = Instruction { program_id: MEMO, accounts: vec![], data: b"invoice 42".to_vec() };
    let transaction = sign(url, &[transfer(&alice, &bob, SOL), memo, create, plain, checked], &[&alice]);
    let signature = send(url, &transaction).unwrap();
    let options = json!({ "encoding": "jsonParsed", "maxSupportedTransactionVersion": 0 });
    let told = get(url, "getTransaction", json!([signature, options]));
    let [key, account, mint] = [key, account, NATIVE_MINT].map(|address| address.to_string());
    let system = solana_system_interface::program::ID.to_string();
    let none = json!({ "amount": "0", "decimals": 9, "uiAmount": 0.0, "uiAmountString": "0" });
    let info = json!({
        "source": key, "account": account, "wallet": key, "mint": mint, "systemProgram": system, "tokenProgram": token.to_string(),
    });
    let expected = [
        (
            "system",
            json!({ "type": "transfer", "info": { "source": key, "destination": bob.to_string(), "lamports": SOL } }),
        ),
        ("spl-memo", json!("invoice 42")),
        ("spl-associated-token-account", json!({ "type": "create", "info": info })),
        (
            "spl-token",
            json!({ "type": "transfer", "info": { "source": account, "destination": account, "amount": "0", "authority": key } }),
        ),
        (
            "spl-token",
            json!({ "type": "transferChecked", "info": {
                "source": account, "mint": mint, "destination": account, "tokenAmount": none, "authority": key,
            } }),
        ),
    ];
    let instructions = told["transaction"]["message"]["instructions"].as_array().unwrap();
    assert_eq!(instructions.len(), expected.len());
    for (instruction, (program, parsed)) in instructions.iter().zip(expected) {
        assert_eq!((&instruction["program"], &instruction["parsed"]), (&json!(program), &parsed));
        assert_eq!(instruction["stackHeight"], 1);
    }
    let inner = told["meta"]["innerInstructions"][0]["instructions"].as_array().unwrap();
    assert!(
        inner.iter().any(|inner| inner["parsed"]["type"] == "initializeAccount3" && inner["stackHeight"] == 2),
        "{inner:?}"
    );
}

/// What makes a nonce account of a wallet.
fn create_nonce(url: &str, owner: &Address, nonce: &Address) -> [Instruction; 2] {
    let rent = get(url, "getMinimumBalanceForRentExemption", json!([80])).as_u64().unwrap();
    let system = solana_system_interface::program::ID;
    let create = solana_system_interface::instruction::create_account(owner, nonce, rent, 80, &system);
    let initialize = Instruction {
        program_id: system,
        accounts: vec![AccountMeta::new(*nonce, false), sysvar(BLOCKHASHES), sysvar(RENT)],
        data: [&6u32.to_le_bytes()[..], owner.as_array()].concat(),
    };
    [create, initialize]
}

fn sysvar(name: &str) -> AccountMeta {
    AccountMeta::new_readonly(name.parse().unwrap(), false)
}

/// What takes the next value of a nonce.
fn advance_nonce(owner: &Address, nonce: &Address) -> Instruction {
    let accounts = vec![AccountMeta::new(*nonce, false), sysvar(BLOCKHASHES), AccountMeta::new_readonly(*owner, true)];
    let data = 4u32.to_le_bytes().to_vec();
    Instruction { program_id: solana_system_interface::program::ID, accounts, data }
}

fn nonce_value(url: &str, nonce: &Address) -> solana_hash::Hash {
    let told = get(url, "getAccountInfo", json!([nonce.to_string(), { "encoding": "jsonParsed" }]));
    told.pointer("/value/data/parsed/info/blockhash").unwrap().as_str().unwrap().parse().unwrap()
}

#[test]
fn a_transaction_with_a_durable_nonce_is_executed_once_however_old_it_is_and_whether_or_not_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let (alice, nonce, late, value) = {
        let chain = start_still(data, Limits::default());
        let url = &chain.url();
        let alice = funded(url);
        let (key, nonce) = (alice.pubkey(), Keypair::new());
        send(url, &sign(url, &create_nonce(url, &key, &nonce.pubkey()), &[&alice, &nonce])).unwrap();
        let bob = Keypair::new().pubkey();
        let paying = |lamports| [advance_nonce(&key, &nonce.pubkey()), transfer(&alice, &bob, lamports)];
        let first = nonce_value(url, &nonce.pubkey());
        let good = sign_with(first, &paying(SOL), &[&alice]);
        // Long after every block hash of before.
        get(url, "sip_advanceToSlot", json!([5_000]));
        let wrong = sign_with(Keypair::new().pubkey().to_bytes().into(), &paying(SOL), &[&alice]);
        assert_eq!(send(url, &wrong).unwrap_err()["data"]["err"], "BlockhashNotFound");
        // Not by somebody else, not where it does not stand first, not where it is read only.
        let eve = funded(url);
        let stolen =
            sign_with(first, &[advance_nonce(&eve.pubkey(), &nonce.pubkey()), transfer(&eve, &bob, 1)], &[&eve]);
        assert_eq!(send(url, &stolen).unwrap_err()["data"]["err"], "BlockhashNotFound");
        let [advance, pay] = paying(SOL);
        let second = sign_with(first, &[pay.clone(), advance.clone()], &[&alice]);
        assert_eq!(send(url, &second).unwrap_err()["data"]["err"], "BlockhashNotFound");
        let mut shut = advance;
        shut.accounts[0].is_writable = false;
        let shut = sign_with(first, &[shut, pay], &[&alice]);
        assert_eq!(send(url, &shut).unwrap_err()["data"]["err"], "BlockhashNotFound");

        send(url, &good).unwrap();
        assert_eq!(balance(url, &bob), SOL);
        let value = nonce_value(url, &nonce.pubkey());
        assert_ne!(value, first);
        assert_eq!(send(url, &good).unwrap_err()["data"]["err"], "BlockhashNotFound");

        // One that fails has used its nonce up, and paid its fee.
        let before = balance(url, &key);
        let failing = sign_with(value, &paying(100_000 * SOL), &[&alice]);
        let options = json!({ "encoding": "base64", "skipPreflight": true });
        ask(url, "sendTransaction", json!([wire(&failing), options])).unwrap();
        assert_eq!((balance(url, &key), balance(url, &bob)), (before - 5_000, SOL));
        let next = nonce_value(url, &nonce.pubkey());
        assert_ne!(next, value);
        assert_eq!(send(url, &failing).unwrap_err()["data"]["err"], "BlockhashNotFound");
        let late = sign_with(next, &[advance_nonce(&key, &nonce.pubkey())], &[&alice]);
        (alice, nonce, late, next)
    };
    // The log plays them again.
    let chain = start_still(data, Limits::default());
    let url = &chain.url();
    assert_eq!(nonce_value(url, &nonce.pubkey()), value);
    send(url, &late).unwrap();
    assert!(balance(url, &alice.pubkey()) > 0);
}

#[test]
fn accounts_are_told_in_words_as_agave_tells_them() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let alice = funded(url);
    let data = |address: &str| {
        get(url, "getAccountInfo", json!([address, { "encoding": "jsonParsed" }]))["value"]["data"].clone()
    };
    let clock = data("SysvarC1ock11111111111111111111111111111111");
    assert_eq!((&clock["program"], &clock["parsed"]["type"]), (&json!("sysvar"), &json!("clock")));
    assert_eq!(clock["parsed"]["info"]["slot"], get(url, "getSlot", json!([{ "commitment": "processed" }])));

    let slot = get(url, "getSlot", json!([])).as_u64().unwrap() - 1;
    let create = create_lookup_table(&alice, slot);
    let table = create.accounts[0].pubkey;
    send(url, &sign(url, &[create], &[&alice])).unwrap();
    let told = data(&table.to_string());
    assert_eq!((&told["program"], &told["parsed"]["type"]), (&json!("address-lookup-table"), &json!("lookupTable")));
    assert_eq!(told["parsed"]["info"]["authority"], alice.pubkey().to_string());

    // A mint with an extension, and what is told of it.
    let mint = Keypair::new();
    let size = 165 + 1 + 4 + 32;
    let rent = get(url, "getMinimumBalanceForRentExemption", json!([size])).as_u64().unwrap();
    let (key, address) = (alice.pubkey(), mint.pubkey());
    let create = solana_system_interface::instruction::create_account(&key, &address, rent, size, &TOKEN_2022);
    let only =
        |data: Vec<u8>| Instruction { program_id: TOKEN_2022, accounts: vec![AccountMeta::new(address, false)], data };
    // InitializeMintCloseAuthority, then InitializeMint2 with six decimals.
    let close = only([&[25, 1][..], key.as_array()].concat());
    let begin = only([&[20, 6][..], key.as_array(), &[0]].concat());
    send(url, &sign(url, &[create, close, begin], &[&alice, &mint])).unwrap();
    let told = data(&address.to_string());
    assert_eq!((&told["program"], &told["parsed"]["info"]["decimals"]), (&json!("spl-token-2022"), &json!(6)));
    let extension = json!({ "extension": "mintCloseAuthority", "state": { "closeAuthority": key.to_string() } });
    assert_eq!(told["parsed"]["info"]["extensions"], json!([extension]));
}

#[test]
fn the_programs_of_a_test_validators_genesis_are_there_and_run() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    for program in [
        "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo",
        "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr",
        "Memo4c2pN8afCj432Lb7RMVKi9PbQnnW7ewFFaV3oAH",
        "Config1111111111111111111111111111111111111",
        "Feature111111111111111111111111111111111111",
        "Stake11111111111111111111111111111111111111",
        "Ed25519SigVerify111111111111111111111111111",
        "KeccakSecp256k11111111111111111111111111111",
        "Secp256r1SigVerify1111111111111111111111111",
        "AddressLookupTab1e1111111111111111111111111",
        "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL",
        "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
        "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb",
    ] {
        let account = &get(url, "getAccountInfo", json!([program, { "encoding": "base64" }]))["value"];
        assert_eq!(account["executable"], true, "{program}");
    }
    let alice = funded(url);
    let memo = Instruction {
        program_id: Address::from_str_const("Memo4c2pN8afCj432Lb7RMVKi9PbQnnW7ewFFaV3oAH"),
        accounts: vec![],
        data: b"invoice 43".to_vec(),
    };
    send(url, &sign(url, &[memo], &[&alice])).unwrap();
    let told = get(url, "getSignaturesForAddress", json!([alice.pubkey().to_string()]));
    assert_eq!(told[0]["memo"], "[10] invoice 43");
}

#[test]
fn a_simulation_tells_what_agaves_tells() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let alice = funded(url);
    let bob = Keypair::new().pubkey();
    let simulate = |transaction, mut options: Value| {
        options["encoding"] = json!("base64");
        ask(url, "simulateTransaction", json!([wire(transaction), options])).map(|answer| answer["value"].clone())
    };
    let paying = sign(url, &[transfer(&alice, &bob, SOL)], &[&alice]);
    let has = balance(url, &alice.pubkey());
    let told = simulate(&paying, json!({})).unwrap();
    assert_eq!(told["preBalances"], json!([has, 0, 1]));
    assert_eq!(told["postBalances"], json!([has - SOL - 5_000, SOL, 1]));
    assert_eq!((&told["preTokenBalances"], &told["postTokenBalances"]), (&json!([]), &json!([])));
    assert_eq!(told["loadedAddresses"], json!({ "writable": [], "readonly": [] }));
    // Two accounts that are there, of which the system program has its name as its data.
    assert_eq!(told["loadedAccountsDataSize"], 2 * 64 + "solana_system_program".len());
    let poor = sign(url, &[transfer(&alice, &bob, 100_000 * SOL)], &[&alice]);
    let told = simulate(&poor, json!({})).unwrap();
    assert_eq!(told["postBalances"], json!([has - 5_000, 0, 1]));
    assert!(told["err"].is_object());

    let mut forged = paying.clone();
    forged.signatures[0] = alice.sign_message(b"something else");
    assert_eq!(simulate(&forged, json!({ "sigVerify": true })).unwrap()["err"], "SignatureFailure");
    let (key, one) = (alice.pubkey().to_string(), bob.to_string());
    let error = |accounts: Value| simulate(&paying, json!({ "accounts": accounts })).unwrap_err()["message"].clone();
    assert_eq!(error(json!({ "addresses": [key, one, key, one] })), "Too many accounts provided; max 3");
    assert_eq!(error(json!({ "addresses": [key], "encoding": "base58" })), "base58 encoding not supported");
    let after = simulate(&paying, json!({ "accounts": { "addresses": [one] } })).unwrap();
    assert_eq!((&after["accounts"][0]["lamports"], &after["accounts"][0]["data"][1]), (&json!(SOL), &json!("base64")));
    let limit = |units| solana_compute_budget_interface::ComputeBudgetInstruction::set_compute_unit_limit(units);
    let twice = sign(url, &[limit(5_000), limit(6_000), transfer(&alice, &bob, 1)], &[&alice]);
    for method in ["simulateTransaction", "sendTransaction"] {
        let error = ask(url, method, json!([wire(&twice), { "encoding": "base64" }])).unwrap_err();
        assert_eq!(error["code"], -32602, "{method}: {error}");
    }
}

#[test]
fn bodies_are_read_as_hyper_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"getHealth"}"#;
    let post = |headers: &str, body: &str| {
        raw(url, format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n{body}").as_bytes()).unwrap()
    };
    let length = format!("content-length: {}\r\n", body.len());
    assert!(post(&length, body).starts_with("HTTP/1.1 415 "));
    assert!(post(&format!("{length}content-type: text/plain\r\n"), body).starts_with("HTTP/1.1 415 "));
    let json = "content-type: application/json; charset=utf-8\r\n";
    assert!(post(&format!("{length}{json}"), body).ends_with(r#""result":"ok"}"#));
    let (first, rest) = body.split_at(7);
    let chunks = format!("{:x}\r\n{first}\r\n{:X};a=b\r\n{rest}\r\n0\r\n\r\n", first.len(), rest.len());
    assert!(post(&format!("transfer-encoding: chunked\r\n{json}"), &chunks).ends_with(r#""result":"ok"}"#));
    assert!(post(&format!("transfer-encoding: chunked\r\n{json}"), "zz\r\n").starts_with("HTTP/1.1 400 "));
}

#[test]
fn programs_and_nonces_are_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let alice = funded(url);
    let data = |address: &Address| {
        get(url, "getAccountInfo", json!([address.to_string(), { "encoding": "jsonParsed" }]))["value"]["data"].clone()
    };
    let code = sip_ledger::program_data(&PROGRAM).to_string();
    let parsed = json!({ "type": "program", "info": { "programData": code } });
    assert_eq!(data(&PROGRAM), json!({ "program": "bpf-upgradeable-loader", "parsed": parsed, "space": 36 }));

    let (key, nonce) = (alice.pubkey(), Keypair::new());
    send(url, &sign(url, &create_nonce(url, &key, &nonce.pubkey()), &[&alice, &nonce])).unwrap();
    let told = data(&nonce.pubkey());
    assert_eq!(
        (&told["program"], &told["parsed"]["type"], &told["space"]),
        (&json!("nonce"), &json!("initialized"), &json!(80))
    );
    let info = &told["parsed"]["info"];
    assert_eq!(info["authority"], key.to_string());
    assert_eq!(info["feeCalculator"], json!({ "lamportsPerSignature": "5000" }));
    assert!(info["blockhash"].as_str().unwrap().parse::<solana_hash::Hash>().is_ok());
}
