//! What Agave answers where clients look, asked of the local chain.

mod common;

use common::*;
use serde_json::{Value, json};
use sip_localnet::{Limits, Localnet};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::time::Duration;

const MEMO: Address = Address::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
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
    // Nothing asked for is finalized; the open slot is for whoever asks for it.
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
