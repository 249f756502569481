//! What clients ask over HTTP, and what they are told.

use crate::common::*;
use serde_json::json;
use sip_localnet::Limits;
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_signer::Signer;

const TOKEN_2022: Address = Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");

#[test]
fn a_transfer_is_simulated_executed_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start(folder.path());
    let url = &chain.url();
    let (alice, bob) = (funded(url), Keypair::new().pubkey());
    let transaction = sign(url, &[transfer(&alice, &bob, SOL)], &[&alice]);

    let options = json!({ "encoding": "base64", "accounts": { "encoding": "base64", "addresses": [bob.to_string()] } });
    let simulation = &get(url, "simulateTransaction", json!([wire(&transaction), options]))["value"];
    assert_eq!((&simulation["err"], &simulation["accounts"][0]["lamports"]), (&json!(null), &json!(SOL)));
    assert_eq!(balance(url, &bob), 0);

    let signature = send(url, &transaction).unwrap();
    assert_eq!(signature, transaction.signatures[0].to_string());
    assert_eq!(balance(url, &bob), SOL);
    assert_eq!(balance(url, &alice.pubkey()), 99 * SOL - 5_000);

    let is_final =
        || get(url, "getSignatureStatuses", json!([[signature]]))["value"][0]["confirmationStatus"] == "finalized";
    wait_until("the slot closes", is_final);
    let status =
        &get(url, "getSignatureStatuses", json!([[signature, Keypair::new().sign_message(b"").to_string()]]))["value"];
    assert_eq!((&status[0]["confirmationStatus"], &status[0]["err"]), (&json!("finalized"), &json!(null)));
    assert_eq!(status[1], json!(null));

    let found =
        get(url, "getTransaction", json!([signature, { "encoding": "json", "maxSupportedTransactionVersion": 0 }]));
    assert_eq!(found["version"], "legacy");
    assert_eq!(found["meta"]["fee"], 5_000);
    assert_eq!(found["meta"]["preBalances"][0], 100 * SOL);
    assert_eq!(found["meta"]["postBalances"][1], SOL);
    assert_eq!(found["transaction"]["message"]["accountKeys"][1], bob.to_string());
    let encoded = get(url, "getTransaction", json!([signature, { "encoding": "base64" }]));
    assert_eq!(encoded["transaction"], json!([wire(&transaction), "base64"]));
    let parsed = get(url, "getTransaction", json!([signature, "jsonParsed"]));
    assert_eq!(parsed["transaction"]["message"]["accountKeys"][0]["signer"], true);

    let of_bob = get(url, "getSignaturesForAddress", json!([bob.to_string()]));
    assert_eq!((of_bob.as_array().unwrap().len(), &of_bob[0]["signature"]), (1, &json!(signature)));
    let slot = found["slot"].as_u64().unwrap();
    wait_until("the slot is a block", || get(url, "getSlot", json!([])).as_u64().unwrap() > slot);
    let block = get(url, "getBlock", json!([slot, { "transactionDetails": "signatures" }]));
    assert!(block["signatures"].as_array().unwrap().contains(&json!(signature)));
}

#[test]
fn refusals_have_the_numbers_and_the_data_that_clients_know() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let (alice, bob) = (funded(url), Keypair::new().pubkey());

    let poor = sign(url, &[transfer(&alice, &bob, 1_000 * SOL)], &[&alice]);
    let error = send(url, &poor).unwrap_err();
    assert_eq!(error["code"], -32002);
    assert_eq!(error["data"]["err"], json!({ "InstructionError": [0, { "Custom": 1 }] }));
    assert!(error["data"]["logs"].as_array().unwrap().iter().any(|log| log.as_str().unwrap().contains("insufficient")));
    assert_eq!(
        error["message"],
        "Transaction simulation failed: Error processing Instruction 0: custom program error: 0x1"
    );

    let mut forged = sign(url, &[transfer(&alice, &bob, SOL)], &[&alice]);
    forged.signatures[0] = Keypair::new().sign_message(b"something else");
    assert_eq!(send(url, &forged).unwrap_err()["data"]["err"], "SignatureFailure");

    let transaction = sign(url, &[transfer(&alice, &bob, SOL)], &[&alice]);
    send(url, &transaction).unwrap();
    let twice = send(url, &transaction).unwrap_err();
    assert_eq!((&twice["code"], &twice["data"]["err"]), (&json!(-32002), &json!("AlreadyProcessed")));
    let again =
        ask(url, "sendTransaction", json!([wire(&transaction), { "encoding": "base64", "skipPreflight": true }]));
    assert_eq!(again.unwrap(), transaction.signatures[0].to_string());
    assert_eq!(balance(url, &bob), SOL);

    let skipped = sign(url, &[transfer(&alice, &bob, 2_000 * SOL)], &[&alice]);
    let paid = balance(url, &alice.pubkey());
    let signature =
        ask(url, "sendTransaction", json!([wire(&skipped), { "encoding": "base64", "skipPreflight": true }]));
    let status = &get(url, "getSignatureStatuses", json!([[signature.unwrap()]]))["value"][0];
    assert_eq!(status["err"], json!({ "InstructionError": [0, { "Custom": 1 }] }));
    assert_eq!(balance(url, &alice.pubkey()), paid - 5_000);

    for (method, params, code) in [
        ("getNothing", json!([]), -32601),
        ("getBalance", json!([]), -32602),
        ("getBalance", json!(["0"]), -32602),
        ("getBalance", json!(["1".repeat(1_000)]), -32602),
        ("getBalance", json!([bob.to_string(), { "commitment": "soon" }]), -32602),
        ("getBalance", json!([bob.to_string(), { "minContextSlot": 1_u64 << 50 }]), -32016),
        ("getAccountInfo", json!([bob.to_string(), { "encoding": "hex" }]), -32602),
        ("getMultipleAccounts", json!([vec![bob.to_string(); 101]]), -32602),
        ("getMinimumBalanceForRentExemption", json!([u64::MAX]), -32600),
        ("getBlockTime", json!([u64::MAX]), -32004),
        ("getBlock", json!([0]), -32001),
        ("getBlocks", json!([0, u64::MAX]), 0),
        ("sendTransaction", json!(["!"]), -32602),
        ("sendTransaction", json!(["AQ==", { "encoding": "base64" }]), -32602),
        ("sendTransaction", json!(["A".repeat(4_000), { "encoding": "base64" }]), -32602),
        ("requestAirdrop", json!([bob.to_string(), u64::MAX]), -32002),
        ("getTokenAccountBalance", json!([bob.to_string()]), -32602),
        ("getTokenAccountsByOwner", json!([bob.to_string(), {}]), -32602),
        ("sip_advanceToSlot", json!([u64::MAX]), -32602),
    ] {
        match ask(url, method, params.clone()) {
            Ok(_) => assert_eq!(code, 0, "{method} {params}"),
            Err(error) => assert_eq!(error["code"], code, "{method} {params}: {error}"),
        }
    }
}

#[test]
fn a_block_hash_is_recent_for_150_slots_and_not_one_more() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let alice = funded(url);
    let bob = Keypair::new().pubkey();
    let latest = get(url, "getLatestBlockhash", json!([]))["value"].clone();
    let last = latest["lastValidBlockHeight"].as_u64().unwrap();
    let early = sign(url, &[transfer(&alice, &bob, SOL)], &[&alice]);
    let late = sign(url, &[transfer(&alice, &bob, 2 * SOL)], &[&alice]);

    get(url, "sip_advanceToSlot", json!([last]));
    assert_eq!(get(url, "isBlockhashValid", json!([latest["blockhash"]]))["value"], true);
    send(url, &early).unwrap();
    get(url, "sip_advanceToSlot", json!([last + 1]));
    assert_eq!(get(url, "isBlockhashValid", json!([latest["blockhash"]]))["value"], false);
    assert_eq!(send(url, &late).unwrap_err()["data"]["err"], "BlockhashNotFound");
    let options = json!({ "encoding": "base64", "replaceRecentBlockhash": true });
    let simulation = &get(url, "simulateTransaction", json!([wire(&late), options]))["value"];
    assert_eq!(simulation["err"], json!(null));
    assert!(simulation["replacementBlockhash"]["blockhash"].is_string());
}

#[test]
fn fees_of_messages_count_signatures_and_priority() {
    use base64::Engine;
    let folder = tempfile::tempdir().unwrap();
    let chain = start(folder.path());
    let url = &chain.url();
    let alice = funded(url);
    let price = solana_compute_budget_interface::ComputeBudgetInstruction::set_compute_unit_price(1_000_000);
    let limit = solana_compute_budget_interface::ComputeBudgetInstruction::set_compute_unit_limit(7);
    let fee = |instructions: &[Instruction]| {
        let message = sign(url, instructions, &[&alice]).message.serialize();
        let message = base64::engine::general_purpose::STANDARD.encode(message);
        get(url, "getFeeForMessage", json!([message]))["value"].clone()
    };
    assert_eq!(fee(&[transfer(&alice, &PROGRAM, 1)]), 5_000);
    assert_eq!(fee(&[limit, price, transfer(&alice, &PROGRAM, 1)]), 5_007);
}

/// A mint of a token program with `decimals`, and an account of `owner` with tokens, with raw instructions.
fn mint_tokens(url: &str, payer: &Keypair, program: Address, decimals: u8, base_units: u64) -> (Address, Address) {
    let (mint, account) = (Keypair::new(), Keypair::new());
    let create = |keypair: &Keypair, bytes: u64| {
        let rent = get(url, "getMinimumBalanceForRentExemption", json!([bytes])).as_u64().unwrap();
        solana_system_interface::instruction::create_account(&payer.pubkey(), &keypair.pubkey(), rent, bytes, &program)
    };
    let instruction = |accounts: Vec<AccountMeta>, data: Vec<u8>| Instruction { program_id: program, accounts, data };
    let initialize_mint = [&[20, decimals][..], payer.pubkey().as_array(), &[0]].concat();
    let initialize_account = [&[18][..], payer.pubkey().as_array()].concat();
    let mint_to = [&[7][..], &base_units.to_le_bytes()].concat();
    let instructions = [
        create(&mint, 82),
        instruction(vec![AccountMeta::new(mint.pubkey(), false)], initialize_mint),
        create(&account, 165),
        instruction(
            vec![AccountMeta::new(account.pubkey(), false), AccountMeta::new_readonly(mint.pubkey(), false)],
            initialize_account,
        ),
        instruction(
            vec![
                AccountMeta::new(mint.pubkey(), false),
                AccountMeta::new(account.pubkey(), false),
                AccountMeta::new_readonly(payer.pubkey(), true),
            ],
            mint_to,
        ),
    ];
    send(url, &sign(url, &instructions, &[payer, &mint, &account])).unwrap();
    (mint.pubkey(), account.pubkey())
}

#[test]
fn tokens_of_both_programs_are_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start(folder.path());
    let url = &chain.url();
    let alice = funded(url);
    for (program, name) in [(sip_ledger::TOKEN_PROGRAM, "spl-token"), (TOKEN_2022, "spl-token-2022")] {
        let (mint, account) = mint_tokens(url, &alice, program, 6, 1_500_000);
        let balance = &get(url, "getTokenAccountBalance", json!([account.to_string()]))["value"];
        assert_eq!(balance, &json!({ "amount": "1500000", "decimals": 6, "uiAmount": 1.5, "uiAmountString": "1.5" }));
        assert_eq!(&get(url, "getTokenSupply", json!([mint.to_string()]))["value"], balance);
        let largest = &get(url, "getTokenLargestAccounts", json!([mint.to_string()]))["value"];
        assert_eq!((&largest[0]["address"], &largest[0]["amount"]), (&json!(account.to_string()), &json!("1500000")));

        let parsed = &get(url, "getAccountInfo", json!([account.to_string(), { "encoding": "jsonParsed" }]))["value"];
        assert_eq!(parsed["data"]["program"], name);
        assert_eq!(parsed["data"]["parsed"]["info"]["owner"], alice.pubkey().to_string());
        assert_eq!(parsed["data"]["parsed"]["info"]["tokenAmount"], *balance);
        let parsed = &get(url, "getAccountInfo", json!([mint.to_string(), { "encoding": "jsonParsed" }]))["value"];
        assert_eq!(parsed["data"]["parsed"]["info"]["mintAuthority"], alice.pubkey().to_string());

        for selector in [json!({ "mint": mint.to_string() }), json!({ "programId": program.to_string() })] {
            let params = json!([alice.pubkey().to_string(), selector, { "encoding": "base64" }]);
            let mine = &get(url, "getTokenAccountsByOwner", params)["value"];
            assert_eq!(mine.as_array().unwrap().len(), 1);
            assert_eq!(mine[0]["pubkey"], account.to_string());
        }
        let filters = json!([
            { "dataSize": 165 },
            { "memcmp": { "offset": 0, "bytes": mint.to_string() } },
            { "memcmp": { "offset": 32, "bytes": alice.pubkey().to_string(), "encoding": "base58" } },
        ]);
        let options = json!({
            "encoding": "base64", "filters": filters, "withContext": true, "dataSlice": { "offset": 64, "length": 8 },
        });
        let found = &get(url, "getProgramAccounts", json!([program.to_string(), options]))["value"];
        assert_eq!(found.as_array().unwrap().len(), 1);
        assert_eq!(found[0]["account"]["data"], json!(["YOMWAAAAAAA=", "base64"]));
        let of_mint = || get(url, "getSignaturesForAddress", json!([mint.to_string()]));
        wait_until("the slot closes", || of_mint()[0].is_object());
        let signature = &of_mint()[0]["signature"];
        let meta = &get(url, "getTransaction", json!([signature]))["meta"];
        assert_eq!(meta["postTokenBalances"][0]["uiTokenAmount"], *balance);
        assert_eq!(meta["preTokenBalances"], json!([]));
    }
}

#[test]
fn every_encoding_of_an_account_says_the_same() {
    use base64::Engine;
    let folder = tempfile::tempdir().unwrap();
    let chain = start(folder.path());
    let url = &chain.url();
    let alice = funded(url);
    let (mint, _) = mint_tokens(url, &alice, sip_ledger::TOKEN_PROGRAM, 2, 5);
    let data = |encoding: &str| {
        get(url, "getAccountInfo", json!([mint.to_string(), { "encoding": encoding }]))["value"]["data"].clone()
    };
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let expected = base64(data("base64")[0].as_str().unwrap());
    assert_eq!(expected.len(), 82);
    assert_eq!(bs58::decode(data("base58")[0].as_str().unwrap()).into_vec().unwrap(), expected);
    assert_eq!(bs58::decode(data("binary").as_str().unwrap()).into_vec().unwrap(), expected);
    let compressed = base64(data("base64+zstd")[0].as_str().unwrap());
    assert_eq!(zstd::bulk::decompress(&compressed, 1_000).unwrap(), expected);
    let program = json!([chain.program_id().to_string(), { "encoding": "base58" }]);
    assert!(get(url, "getAccountInfo", program)["value"]["executable"].as_bool().unwrap());
    // Too large for base58.
    let (_, account) = mint_tokens(url, &alice, sip_ledger::TOKEN_PROGRAM, 2, 5);
    let error = ask(url, "getAccountInfo", json!([account.to_string(), { "encoding": "base58" }])).unwrap_err();
    assert_eq!(error["code"], -32600);
}

#[test]
fn the_cluster_is_told_in_the_shapes_that_clients_expect() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start(folder.path());
    let url = &chain.url();
    for (method, params) in [
        ("getHealth", json!([])),
        ("getVersion", json!([])),
        ("getIdentity", json!([])),
        ("getGenesisHash", json!([])),
        ("getSlot", json!([{ "commitment": "confirmed" }])),
        ("getBlockHeight", json!([])),
        ("getEpochSchedule", json!([])),
        ("getRecentPrioritizationFees", json!([[]])),
        ("getTransactionCount", json!([])),
        ("getSupply", json!([])),
        ("getLargestAccounts", json!([])),
        ("getClusterNodes", json!([])),
        ("getVoteAccounts", json!([])),
        ("getInflationGovernor", json!([])),
        ("getInflationRate", json!([])),
        ("getInflationReward", json!([[PROGRAM.to_string()]])),
        ("minimumLedgerSlot", json!([])),
        ("getFirstAvailableBlock", json!([])),
        ("getBlockTime", json!([600 - 100])),
        ("getBlocks", json!([500, 505])),
        ("getBlocksWithLimit", json!([500, 3])),
        ("getSlotLeader", json!([])),
    ] {
        get(url, method, params);
    }
    let info = get(url, "getEpochInfo", json!([]));
    assert!(info["absoluteSlot"].as_u64().unwrap() >= 512);
    assert_eq!(get(url, "getBlocks", json!([500, 503])), json!([500, 501, 502, 503]));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let time = get(url, "getBlockTime", json!([info["absoluteSlot"]])).as_u64().unwrap();
    assert!(now.abs_diff(time) < 60, "{now} {time}");
    let supply = &get(url, "getSupply", json!([]))["value"];
    // What the two mints of wrapped SOL hold.
    assert_eq!(supply["circulating"], 2 * SOL);
}

#[test]
fn a_program_that_does_not_load_leaves_no_chain_and_removes_none() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("chain");
    let broken = |reset: bool| {
        let mut config = config(&data);
        config.reset = reset;
        config.more_programs = vec![(Address::new_unique(), b"no program".to_vec())];
        sip_localnet::Localnet::start(config).map(drop).unwrap_err()
    };
    assert!(matches!(broken(false), sip_localnet::LocalnetError::Ledger(_)), "{}", broken(false));
    assert!(!data.exists());
    start(&data).shut_down().unwrap();
    let files = || std::fs::read_dir(&data).unwrap().count();
    let before = files();
    broken(true);
    assert_eq!(files(), before);
}

#[test]
fn an_answer_that_would_be_too_large_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    let data_address = {
        let program = get(url, "getAccountInfo", json!([PROGRAM.to_string(), { "encoding": "base64" }]));
        let owned = get(
            url,
            "getProgramAccounts",
            json!([program["value"]["owner"], { "dataSlice": { "offset": 0, "length": 0 }, "encoding": "base64" }]),
        );
        let largest = owned.as_array().unwrap().iter().max_by_key(|entry| entry["account"]["space"].as_u64()).unwrap();
        largest["pubkey"].as_str().unwrap().to_owned()
    };
    let ask = |count: usize, requests: usize| {
        let params = json!([vec![&data_address; count], { "encoding": "base64" }]);
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "getMultipleAccounts", "params": params });
        let batch = serde_json::Value::from(vec![request; requests]).to_string();
        try_post(url, &batch).unwrap().as_array().unwrap().clone()
    };
    let error = |answer: &serde_json::Value| answer["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(error(&ask(100, 1)[0]).contains("ask for fewer accounts"));
    let answers = ask(50, 20);
    assert!(error(&answers[0]).is_empty(), "{}", error(&answers[0]));
    assert!(error(&answers[19]).contains("send smaller batches"), "{}", error(&answers[19]));
    assert_eq!(get(url, "getHealth", json!([])), json!("ok"));
}
