//! Power cuts, full disks and damaged files.

use crate::common::*;
use serde_json::{Value, json};
use sip_localnet::{Limits, Localnet, LocalnetError};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DATA: &str = "SIP_LOCALNET_TEST_DATA";
const SNAPSHOTS: &str = "SIP_LOCALNET_TEST_SNAPSHOTS";

/// Not a test: the process that the others kill. It serves the folder that the environment names.
#[test]
#[ignore = "a helper process of the other tests"]
fn server_process() {
    let Some(folder) = std::env::var_os(DATA) else { return };
    let mut config = config(Path::new(&folder));
    config.slot = Some(Duration::from_millis(5));
    if let Some(every) = std::env::var(SNAPSHOTS).ok().and_then(|every| every.parse().ok()) {
        config.limits.snapshot_transactions = every;
    }
    let chain = match Localnet::start(config) {
        Ok(chain) => chain,
        Err(error) => {
            println!("failed: {error}");
            return;
        }
    };
    println!("\nserving: {}", chain.url());
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// `prefix` is what a shell does before it becomes the server; `snapshots` says after how many transactions one is due.
    fn start(folder: &Path, prefix: &str, snapshots: Option<u64>) -> Self {
        let script = format!("{prefix} exec \"$0\" --exact crash::server_process --ignored --nocapture");
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .env(DATA, folder)
            .envs(snapshots.map(|every| (SNAPSHOTS, every.to_string())))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.map_while(Result::ok).find(|line| line.starts_with("serving") || line.starts_with("failed"));
        let line = line.expect("the server says how it started");
        let url = line.strip_prefix("serving: ").unwrap_or_else(|| panic!("{line}")).to_string();
        Self { child, url }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Transactions in flight from several threads, until the server dies: what it acknowledged.
fn load(url: &str, alice: &Keypair, acknowledged: &mut BTreeMap<String, u64>, seed: u64) {
    let lists: Vec<Vec<(String, u64)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3u64)
            .map(|thread| {
                scope.spawn(move || {
                    let mut list = Vec::new();
                    for number in 0.. {
                        let amount = 1_000_000 + seed * 1_000_000 + number * 3 + thread;
                        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "getLatestBlockhash" });
                        let Ok(answer) = try_post(url, &request.to_string()) else { break };
                        let blockhash = answer["result"]["value"]["blockhash"].as_str().unwrap().parse().unwrap();
                        let to = Keypair::new().pubkey();
                        let transaction = sign_with(blockhash, &[transfer(alice, &to, amount)], &[alice]);
                        let params = json!([wire(&transaction), { "encoding": "base64" }]);
                        let request =
                            json!({ "jsonrpc": "2.0", "id": 1, "method": "sendTransaction", "params": params });
                        let Ok(answer) = try_post(url, &request.to_string()) else { break };
                        assert_eq!(answer["error"], Value::Null);
                        list.push((answer["result"].as_str().unwrap().to_string(), amount));
                    }
                    list
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    acknowledged.extend(lists.into_iter().flatten());
}

/// Every transaction that was ever acknowledged is there, with its effect.
fn check(url: &str, acknowledged: &BTreeMap<String, u64>, sample: usize) {
    let signatures: Vec<&String> = acknowledged.keys().collect();
    for signatures in signatures.chunks(256) {
        let statuses = get(url, "getSignatureStatuses", json!([signatures, { "searchTransactionHistory": true }]));
        for (signature, status) in signatures.iter().zip(statuses["value"].as_array().unwrap()) {
            assert_eq!(status["confirmationStatus"], "finalized", "{signature} is lost");
            assert_eq!(status["err"], Value::Null);
        }
    }
    for (signature, amount) in acknowledged.iter().step_by(acknowledged.len() / sample + 1) {
        let transaction = get(url, "getTransaction", json!([signature]));
        assert_eq!(transaction["meta"]["postBalances"][1], *amount);
        let to = &transaction["transaction"]["message"]["accountKeys"][1];
        assert_eq!(get(url, "getBalance", json!([to]))["value"], *amount);
    }
}

fn rounds(rounds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let alice = Keypair::new();
    let mut acknowledged = BTreeMap::new();
    let mut last_slot = 0;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..rounds {
        // Snapshots and new log files in the midst of everything.
        let server = Server::start(folder.path(), "", Some(40));
        let url = server.url.clone();
        check(&url, &acknowledged, 20);
        let slot = get(&url, "getSlot", json!([])).as_u64().unwrap();
        assert!(slot >= last_slot, "slots ran back from {last_slot} to {slot}");
        get(&url, "requestAirdrop", json!([alice.pubkey().to_string(), 1_000_000 * SOL]));
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let life = Duration::from_micros(20_000 + random % 600_000);
        let before = acknowledged.len();
        std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let mut last = 0;
                let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "getSlot" }).to_string();
                while let Ok(answer) = try_post(&server.url, &request) {
                    last = answer["result"].as_u64().unwrap();
                }
                last
            });
            scope.spawn(|| load(&url, &alice, &mut acknowledged, round));
            std::thread::sleep(life);
            let mut child = server.child;
            child.kill().unwrap();
            child.wait().unwrap();
            last_slot = watch.join().unwrap();
        });
        println!("round {round}: killed after {life:?}, {} acknowledged", acknowledged.len() - before);
    }
    let server = Server::start(folder.path(), "", None);
    check(&server.url, &acknowledged, 200);
    server.kill();
    assert!(acknowledged.len() as u64 > rounds);
}

#[test]
fn no_acknowledged_transaction_is_lost_in_a_power_cut() {
    rounds(3);
}

#[test]
#[ignore = "a minute; the same in three rounds runs always"]
fn no_acknowledged_transaction_is_lost_in_many_power_cuts() {
    rounds(40);
}

/// A file that may not grow is a disk that is full: the write fails, and the process lives.
#[test]
fn a_full_disk_refuses_transactions_and_serves_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    drop(start(folder.path()));
    // 10,000 blocks of 512 bytes: the log is filled with zeros 4 MiB ahead when it is opened, and once more after 2 MiB.
    let server = Server::start(folder.path(), "ulimit -f 10000; trap '' XFSZ;", None);
    let url = &server.url;
    let alice = funded(url);
    let mut acknowledged = BTreeMap::new();
    let mut number = 0;
    let refusal = loop {
        number += 1;
        // To many at once, so that each takes some kilobytes in the log.
        let transfers: Vec<_> =
            (0..20).map(|_| transfer(&alice, &Keypair::new().pubkey(), 1_000_000 + number)).collect();
        match send(url, &sign(url, &transfers, &[&alice])) {
            Ok(signature) => acknowledged.insert(signature, 1_000_000 + number),
            Err(error) => break error,
        };
        assert!(number < 3_000, "the disk is never full");
    };
    let message = refusal["message"].as_str().unwrap();
    assert!(message.contains("nothing was executed") && message.contains("room"), "{message}");
    let before = balance(url, &alice.pubkey());
    assert!(before > SOL, "{before}");
    let transaction = sign(url, &[transfer(&alice, &Keypair::new().pubkey(), 1_000_000)], &[&alice]);
    assert!(send(url, &transaction).is_err());
    assert_eq!(balance(url, &alice.pubkey()), before);
    let slot = get(url, "getSlot", json!([])).as_u64().unwrap();
    wait_until("slots pass", || get(url, "getSlot", json!([])).as_u64().unwrap() > slot);
    check(url, &acknowledged, 10);
    server.kill();

    let chain = start(folder.path());
    check(&chain.url(), &acknowledged, 10);
    assert_eq!(balance(&chain.url(), &alice.pubkey()), before);
    send(&chain.url(), &sign(&chain.url(), &[transfer(&alice, &Keypair::new().pubkey(), 1_000_000)], &[&alice]))
        .unwrap();
}

/// A chain with some transactions, saved or not, and its log.
fn chain_with_log(folder: &Path) -> (Vec<String>, std::path::PathBuf) {
    let chain = start_still(folder, Limits::default());
    let url = &chain.url();
    let signatures = (0..5)
        .map(|_| get(url, "requestAirdrop", json!([PROGRAM.to_string(), SOL])).as_str().unwrap().to_string())
        .collect();
    drop(chain);
    (signatures, folder.join("log-0000000000000000"))
}

#[test]
fn a_torn_tail_is_cut_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (signatures, log) = chain_with_log(folder.path());
    let bytes = std::fs::read(&log).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    std::fs::write(&log, [&bytes[..end], b"rec\x01 and then the light went out"].concat()).unwrap();
    let chain = start_still(folder.path(), Limits::default());
    let url = &chain.url();
    assert_eq!(balance(url, &PROGRAM.to_string().parse().unwrap()), balance(url, &PROGRAM));
    let statuses = &get(url, "getSignatureStatuses", json!([signatures]))["value"];
    assert!(statuses.as_array().unwrap().iter().all(|status| status["err"].is_null() && status["slot"].is_u64()));
    funded(url);
}

#[test]
fn damage_in_the_middle_of_the_log_is_an_error_that_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let (_, log) = chain_with_log(folder.path());
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[600] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let error = Localnet::start(config(folder.path())).err().unwrap();
    assert!(matches!(error, LocalnetError::Damaged { offset: 1..=600, .. }), "{error}");
    assert!(error.to_string().contains("--reset"), "{error}");
    let mut config = config(folder.path());
    config.reset = true;
    Localnet::start(config).unwrap();
}

#[test]
fn a_missing_log_a_foreign_folder_and_a_second_process_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let (_, log) = chain_with_log(folder.path());
    std::fs::rename(&log, folder.path().join("log-0000000000000009")).unwrap();
    let error = Localnet::start(config(folder.path())).err().unwrap();
    assert!(matches!(error, LocalnetError::Damaged { .. } | LocalnetError::MissingLog { .. }), "{error}");
    std::fs::remove_file(folder.path().join("log-0000000000000009")).unwrap();
    assert!(matches!(Localnet::start(config(folder.path())), Err(LocalnetError::MissingLog { number: 0, .. })));

    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(foreign.path().join("thesis.txt"), "years of work").unwrap();
    let mut reset = config(foreign.path());
    reset.reset = true;
    assert!(matches!(Localnet::start(reset), Err(LocalnetError::Foreign { .. })));
    assert!(foreign.path().join("thesis.txt").exists());

    let folder = tempfile::tempdir().unwrap();
    let _chain = start(folder.path());
    assert!(matches!(Localnet::start(config(folder.path())), Err(LocalnetError::InUse { .. })));
}

#[test]
fn an_orderly_end_goes_on_at_the_very_slot_and_knows_the_past() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { snapshot_transactions: 3, ..Limits::default() };
    let chain = start_still(folder.path(), limits);
    let (url, program_id, faucet) = (chain.url(), chain.program_id(), chain.faucet());
    let signatures: Vec<Value> =
        (0..10).map(|_| get(&url, "requestAirdrop", json!([PROGRAM.to_string(), SOL]))).collect();
    let slot = get(&url, "sip_advanceToSlot", json!([700])).as_u64().unwrap();
    let blockhash = blockhash(&url);
    chain.shut_down().unwrap();

    let chain = start_still(folder.path(), limits);
    let url = chain.url();
    assert_eq!((chain.program_id(), chain.faucet()), (program_id, faucet));
    // One slot begins with the process, and its parent is the last one of the process before.
    assert_eq!(get(&url, "getSlot", json!([])), slot + 1);
    assert_eq!(get(&url, "isBlockhashValid", json!([blockhash.to_string()]))["value"], true);
    assert_eq!(get(&url, "getTransactionCount", json!([])), 10);
    for signature in &signatures {
        assert_eq!(get(&url, "getTransaction", json!([signature]))["transaction"]["signatures"][0], *signature);
    }
}

#[test]
fn history_beyond_its_limit_is_removed_and_the_state_stays() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { snapshot_transactions: 5, history_bytes: 1, ..Limits::default() };
    let chain = start_still(folder.path(), limits);
    let url = &chain.url();
    let airdrop = || get(url, "requestAirdrop", json!([PROGRAM.to_string(), SOL]));
    let first = airdrop();
    for slot in 0..20_u64 {
        get(url, "sip_advanceToSlot", json!([1_000 + slot * 100]));
        airdrop();
    }
    wait_until("the oldest is forgotten", || {
        airdrop();
        get(url, "getSignatureStatuses", json!([[first]]))["value"][0].is_null()
    });
    let count = get(url, "getTransactionCount", json!([])).as_u64().unwrap();
    let lamports = balance(url, &PROGRAM);
    drop(chain);
    let chain = start_still(folder.path(), limits);
    assert_eq!(get(&chain.url(), "getTransactionCount", json!([])), count);
    assert_eq!(balance(&chain.url(), &PROGRAM), lamports);
    assert!(get(&chain.url(), "minimumLedgerSlot", json!([])).as_u64().unwrap() > 600);
}

#[test]
fn programs_can_be_added_and_another_build_does_not_replace_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let other = Keypair::new().pubkey();
    let mut with_program = config(folder.path());
    with_program.more_programs.push((other, PROGRAM_ELF.to_vec()));
    let chain = Localnet::start(with_program).unwrap();
    let info = |chain: &Localnet| {
        let params = json!([other.to_string(), { "encoding": "base64" }]);
        get(&chain.url(), "getAccountInfo", params)["value"]["executable"].clone()
    };
    assert_eq!(info(&chain), true);
    drop(chain);
    let chain = start(folder.path());
    assert_eq!(info(&chain), true);
    assert!(!chain.runs_other_program());
    // It runs: an unknown instruction is the program's own refusal, not the loader's.
    let alice = funded(&chain.url());
    let instruction = solana_instruction::Instruction { program_id: other, accounts: vec![], data: vec![255; 4] };
    let error = send(&chain.url(), &sign(&chain.url(), &[instruction], &[&alice])).unwrap_err();
    assert!(error["data"]["logs"].to_string().contains(&format!("Program {other} invoke")), "{error}");
    drop(chain);
    let mut config = config(folder.path());
    config.program.1.push(0);
    assert!(Localnet::start(config).unwrap().runs_other_program());
}
