//! The commands that act on a chain, against a local chain as a process of its own.

use serde_json::Value;
use sip_client::{NewPool, Program};
use sip_ledger::{Ledger, Rpc};
use sip_localnet::read_key;
use sip_protocol::config::TOKEN;
use sip_protocol::instruction::RegisterDataset;
use sip_protocol::job::JobSpec;
use sip_protocol::pool::PoolKind;
use solana_signer::Signer;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

struct Chain {
    process: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for Chain {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Chain {
    fn start() -> Chain {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_sip"))
            .args(["localnet", "--port", "0", "--slot-ms", "10", "--json", "--data"])
            .arg(folder.path().join("chain"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let status: Value = serde_json::from_str(&line).unwrap();
        Chain { process, url: status["url"].as_str().unwrap().into(), folder }
    }

    fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn output(&self, who: &str, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sip"))
            .args(arguments)
            .args(["--url", &self.url, "--key"])
            .arg(self.key(who))
            .env_remove("SIP_KEY")
            .output()
            .unwrap()
    }

    /// What a command prints with `--json`.
    fn json(&self, who: &str, arguments: &[&str]) -> Value {
        let output = self.output(who, &[arguments, &["--json"]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn text(&self, who: &str, arguments: &[&str]) -> String {
        let output = self.output(who, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Why a command fails.
    fn refused(&self, who: &str, arguments: &[&str]) -> String {
        let output = self.output(who, arguments);
        assert!(!output.status.success(), "{arguments:?} should fail");
        String::from_utf8(output.stderr).unwrap()
    }

    fn tokens(&self, who: &str) -> u64 {
        self.json(who, &["wallet", "show"])["tokens"].as_u64().unwrap()
    }

    /// A wallet with SOL, and tokens where the protocol has begun.
    fn person(&self, name: &str) -> String {
        let made = self.json("-", &["wallet", "new", self.key(name).to_str().unwrap()]);
        self.json(name, &["wallet", "airdrop", "100"]);
        made["address"].as_str().unwrap().into()
    }
}

fn wallet(path: &Path) -> solana_keypair::Keypair {
    read_key(path).unwrap()
}

#[test]
fn stake_goes_in_earns_leaves_and_comes_back() {
    let chain = Chain::start();
    chain.person("authority");
    let alice = chain.person("alice");
    chain.person("operator");
    let operator = wallet(&chain.key("operator")).pubkey().to_string();

    assert!(chain.refused("authority", &["protocol", "show"]).contains("there is no account"));
    chain.json("authority", &["protocol", "init"]);
    assert!(chain.refused("authority", &["protocol", "init"]).contains("begun on this chain already"));
    assert!(chain.refused("alice", &["protocol", "distribute", &alice, "1"]).contains("refused"));
    for wallet in [&alice, &operator] {
        let outcome = chain.json("authority", &["protocol", "distribute", wallet, "10_000.5"]);
        assert_eq!(outcome["changes"][0]["after"], 10_000 * TOKEN + TOKEN / 2);
    }

    let created =
        chain.json("operator", &["pool", "create", "--kind", "auditor", "--bond", "5000", "--commission", "7.5"]);
    assert_eq!(created["sent"], true);
    let poor = chain.refused("alice", &["pool", "create", "--kind", "trainer", "--bond", "20_000"]);
    assert!(poor.contains("does not hold that many tokens"), "{poor}");
    let pools = chain.json("alice", &["pool", "list", "--kind", "auditor"]);
    let pool = pools[0]["pool"].as_str().unwrap().to_owned();
    assert_eq!((&pools[0]["ownBond"], &pools[0]["commissionBps"]), (&(5_000 * TOKEN).into(), &750.into()));
    assert!(chain.text("alice", &["pool", "list"]).contains("5,000 SIP"));
    assert_eq!(chain.json("alice", &["pool", "list", "--kind", "data"]), Value::Array(vec![]));

    // A dry run says what would happen, and nothing happens.
    let before = chain.tokens("alice");
    let would = chain.json("alice", &["stake", "deposit", &pool, "1000", "--dry-run"]);
    let change = |outcome: &Value, figure: &str| {
        let changes = outcome["changes"].as_array().unwrap().clone();
        let found = changes.iter().find(|change| change["figure"] == figure).unwrap_or_else(|| panic!("{outcome}"));
        found["after"].as_u64().unwrap()
    };
    assert_eq!(would["sent"], false);
    assert_eq!(change(&would, "tokens"), before - 1_000 * TOKEN);
    assert_eq!(chain.tokens("alice"), before);
    assert_eq!(chain.json("alice", &["stake", "list"]), Value::Array(vec![]));
    let done = chain.json("alice", &["stake", "deposit", &pool, "1000"]);
    assert_eq!((&done["sent"], &done["computeUnits"]), (&true.into(), &would["computeUnits"]));
    assert_eq!(chain.tokens("alice"), before - 1_000 * TOKEN);
    let held = chain.json("alice", &["stake", "list"]);
    assert_eq!((&held[0]["pool"], &held[0]["worth"]), (&pool.clone().into(), &(1_000 * TOKEN).into()));

    // Out in two parts, one of which comes back.
    chain.json("alice", &["exit", "request", &pool, "400"]);
    chain.json("alice", &["exit", "request", &pool, "all"]);
    let exits = chain.json("alice", &["exit", "list"]);
    assert_eq!(exits.as_array().unwrap().len(), 2);
    chain.json("alice", &["exit", "cancel", &pool, "1"]);
    assert_eq!(chain.json("alice", &["stake", "list"])[0]["worth"], 600 * TOKEN);
    let refusal = chain.refused("alice", &["exit", "claim", &pool, "0"]);
    assert!(refusal.contains("refused") && refusal.contains("matur"), "{refusal}");
    let mut ledger = Rpc::connect(&chain.url).unwrap();
    ledger.advance_slots(440_000).unwrap();
    chain.json("alice", &["exit", "claim", &pool, "0"]);
    assert_eq!(chain.tokens("alice"), before - 600 * TOKEN);
    assert_eq!(chain.json("alice", &["exit", "list"]), Value::Array(vec![]));

    chain.json("operator", &["pool", "bond", &pool, "100"]);
    assert!(chain.refused("alice", &["pool", "retire", &pool]).contains("refused"));
    chain.json("operator", &["pool", "retire", &pool]);
    assert!(chain.text("alice", &["pool", "show", &pool]).contains("retired"));
    assert!(chain.refused("alice", &["stake", "deposit", &pool, "1"]).contains("refused"));
}

#[test]
fn attention_steers_and_moves() {
    let chain = Chain::start();
    chain.person("authority");
    let alice = chain.person("alice");
    chain.json("authority", &["protocol", "init"]);
    let authority = wallet(&chain.key("authority"));
    let me = authority.pubkey();
    chain.json("authority", &["protocol", "distribute", &me.to_string(), "20000"]);
    chain.json("authority", &["protocol", "distribute", &alice, "500"]);

    let mut ledger = Rpc::connect(&chain.url).unwrap();
    let program = Program::default();
    let mut send = |instruction| ledger.send(&[instruction], &authority, &[]).unwrap();
    let new = NewPool { index: 0, self_bond: 5_000 * TOKEN, commission_bps: 0, chain_tip: [0; 32] };
    send(program.create_pool(&me, PoolKind::Data, &new));
    let data_pool = program.pool(PoolKind::Data, &me, 0);
    let mut datasets = Vec::new();
    for (name, root) in [(*b"letters", 1u8), (*b"ballads", 2)] {
        let mut domain = [0; 32];
        domain[..7].copy_from_slice(&name);
        let mut licence = [0; 32];
        licence[..3].copy_from_slice(b"CC0");
        let dataset = RegisterDataset {
            domain,
            train_root: [root; 32],
            held_out_root: [root + 10; 32],
            train_tokens: 1_000,
            held_out_tokens: 100,
            licence,
        };
        send(program.register_dataset(&me, &data_pool, &dataset));
        datasets.push(program.dataset(&dataset.train_root));
    }
    let spec = JobSpec {
        node_count: 1,
        state_count: 1,
        inner_steps: 1,
        leaf_interval: 1,
        batch: 1,
        sequence_length: 8,
        rounds: 1,
        domain_count: 2,
        mixture_floor_bps: 1_000,
        mixture_cap_bps: 9_000,
        commit_slots: 10,
        audit_slots: 10,
        vote_slots: 10,
        evaluation_slots: 10,
        ..JobSpec::default()
    };
    send(program.create_job(&me, 0, &spec, &datasets));

    let job = chain.json("alice", &["steer", "jobs"])[0]["job"].as_str().unwrap().to_owned();
    let mixture = |chain: &Chain| {
        let shown = chain.json("alice", &["steer", "show", &job]);
        [0, 1].map(|domain: usize| shown[domain]["mixtureBps"].as_u64().unwrap())
    };
    assert_eq!(mixture(&chain), [5_000, 5_000]);
    chain.json("alice", &["steer", "add", &job, "ballads", "300"]);
    ledger.advance_slots(10).unwrap();
    assert_eq!(mixture(&chain), [1_000, 9_000], "all attention on one domain, as far as the cap admits");
    chain.json("alice", &["steer", "add", &job, "0", "100"]);
    chain.json("alice", &["steer", "move", &job, "ballads", "letters", "all"]);
    ledger.advance_slots(1_000_000).unwrap();
    let [letters, ballads] = mixture(&chain);
    assert!(letters > 8_000 && ballads == 10_000 - letters, "{letters}");
    assert!(chain.refused("alice", &["steer", "add", &job, "sermons", "1"]).contains("letters, ballads"));
    assert!(chain.text("alice", &["steer", "history", &job]).contains("no round"));
}

#[test]
fn what_cannot_be_is_said_in_one_sentence() {
    let chain = Chain::start();
    chain.person("authority");
    chain.json("authority", &["protocol", "init"]);
    chain.person("poor");
    let nobody = "11111111111111111111111111111111";
    for (arguments, expected) in [
        (&["stake", "deposit", nobody, "1"][..], "is no account of the program"),
        (&["stake", "deposit", nobody, "1,5"], "is no amount of tokens"),
        (&["stake", "deposit", nobody, "0.0000000001"], "more than 9 decimals"),
        (&["pool", "create", "--kind", "trainer", "--bond", "2000"], "the wallet has no token account yet"),
        (&["pool", "create", "--kind", "attention", "--bond", "1"], "belong to a job's domain"),
        (&["pool", "create", "--kind", "trainer", "--bond", "1", "--commission", "101"], "is no percentage"),
        (&["rewards", "claim"], "nothing is claimable"),
        (&["steer", "show", nobody], "is no account of the program"),
    ] {
        let error = chain.refused("poor", arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let file = chain.key("poor");
    let again = chain.refused("poor", &["wallet", "new", file.to_str().unwrap()]);
    assert!(again.contains("exists"), "a key is never overwritten: {again}");
    let lost =
        Command::new(env!("CARGO_BIN_EXE_sip")).args(["pool", "list", "--url", "http://127.0.0.1:1"]).output().unwrap();
    let lost = String::from_utf8(lost.stderr).unwrap();
    assert!(lost.contains("is the chain running?"), "{lost}");
    let keyless = Command::new(env!("CARGO_BIN_EXE_sip"))
        .args(["rewards", "list", "--url", &chain.url])
        .env_remove("SIP_KEY")
        .output()
        .unwrap();
    assert!(String::from_utf8(keyless.stderr).unwrap().contains("sip wallet new"));
}
