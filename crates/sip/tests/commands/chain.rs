//! The commands that act on a chain, against a local chain as a process of its own.

mod deploy;
mod first_hour;
mod governance;
mod mistakes;
mod post;
mod schema;
mod tour;

use serde_json::Value;
use sip_client::{NewPool, Program, TOKEN_2022_PROGRAM};
use sip_ledger::{Ledger, LedgerError, read_key};
use sip_protocol::admin::administration::{DEFAULT_TIMELOCK_SLOTS, LIFETIME_SLOTS};
use sip_protocol::ground::schedule::{Schedule, YEAR_SLOTS};
use sip_protocol::instructions::RegisterDataset;
use sip_protocol::stake::lock::{PERIOD_TICKS, TICK_SLOTS};
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::job::{Card, Job, JobSpec};
use sip_protocol::training::setting::{LEARNING_RATE, SETTING_ONE, Setting};
use sip_protocol::{Account, Error};
use sip_protocol::{
    admin::config::Parameters,
    ground::units::{CAP, TOKEN},
};
use sip_rpc::Rpc;
use sip_svm::{Embedded, PROGRAM_ELF};
use solana_address::Address;
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
        Chain::start_in(tempfile::tempdir().unwrap())
    }

    /// The chain in a folder goes on, or begins.
    fn start_in(folder: tempfile::TempDir) -> Chain {
        Chain::start_with(folder, &["--slot-ms", "10"])
    }

    fn start_with(folder: tempfile::TempDir, options: &[&str]) -> Chain {
        // The one who begins the protocol has deployed the program.
        let authority = folder.path().join("authority");
        if !authority.exists() {
            let made =
                Command::new(env!("CARGO_BIN_EXE_sip")).args(["wallet", "new"]).arg(&authority).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        let mut process = Command::new(env!("CARGO_BIN_EXE_sip"))
            .args(["localnet", "--port", "0", "--json"])
            .args(options)
            .arg("--data")
            .arg(folder.path().join("chain"))
            .args(["--authority", &wallet(&authority).pubkey().to_string()])
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
            .env_remove("COLUMNS")
            .env("SIP_NAMES", self.key("names.json"))
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

    /// What a command prints with `--json` that may take several transactions: one line for each.
    fn lines(&self, who: &str, arguments: &[&str]) -> Vec<Value> {
        let text = self.text(who, &[arguments, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
        self.json(who, &["wallet", "show"])["tokensBaseUnits"].amount()
    }

    fn advance(&self, slots: u64) {
        Rpc::connect(&self.url).unwrap().advance_slots(slots).unwrap();
    }

    /// The only row of a list.
    fn row(&self, who: &str, arguments: &[&str]) -> Value {
        let rows = self.json(who, arguments);
        assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
        rows[0].clone()
    }

    /// A wallet with SOL.
    fn person(&self, name: &str) -> String {
        if !self.key(name).exists() {
            self.json("-", &["wallet", "new", self.key(name).to_str().unwrap()]);
        }
        self.json(name, &["wallet", "airdrop", "100"]);
        wallet(&self.key(name)).pubkey().to_string()
    }
}

fn wallet(path: &Path) -> solana_keypair::Keypair {
    read_key(path).unwrap()
}

/// What a figure was changed to.
fn change(outcome: &Value, figure: &str) -> u64 {
    let changes = outcome["changes"].as_array().unwrap();
    let found = changes.iter().find(|change| change["figure"] == figure).unwrap_or_else(|| panic!("{outcome}"));
    found["after"].as_u64().unwrap_or_else(|| found["after"].amount())
}

/// An amount as JSON has it.
fn digits(units: u64) -> Value {
    units.to_string().into()
}

/// An amount in JSON: decimal digits, since it may be more than 2⁵³.
trait Amount {
    fn amount(&self) -> u64;
}

impl Amount for Value {
    fn amount(&self) -> u64 {
        self.as_str().unwrap_or_else(|| panic!("{self} is no text of digits")).parse().unwrap()
    }
}

/// From a deposit until all of it counts.
const ACTIVATION_SLOTS: u64 = Parameters::DEFAULT.activation_slots;

/// A chain on which the protocol has begun; its authority has 50,000 tokens and alice 5,000.
fn begun() -> (Chain, String) {
    let chain = Chain::start();
    let authority = chain.person("authority");
    let alice = chain.person("alice");
    chain.json("authority", &["protocol", "init"]);
    chain.json("authority", &["protocol", "distribute", &authority, "50_000"]);
    chain.json("authority", &["protocol", "distribute", &alice, "5_000"]);
    (chain, alice)
}

/// What stake steers of the job: between half and double; a thousand tokens go half of the way.
const RATE: Setting = Setting::new(LEARNING_RATE, [SETTING_ONE / 2, SETTING_ONE, 2 * SETTING_ONE], 1_000);

/// The authority's job of two domains, "letters" and "ballads", and a steered learning rate.
fn job(chain: &Chain) -> Address {
    job_on(chain, Program::default())
}

/// The same on a deployment of any token program.
fn job_on(chain: &Chain, program: Program) -> Address {
    let authority = wallet(&chain.key("authority"));
    let me = authority.pubkey();
    let mut ledger = Rpc::connect(&chain.url).unwrap();
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
        datasets.push(program.dataset(&data_pool, &dataset.train_root, &dataset.held_out_root));
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
        challenge_slots: 10,
        lookahead: 1,
        score_node_count: 1,
        score_windows: 1,
        score_rows: 1,
        score_leaf_interval: 1,
        slice: Parameters::DEFAULT.minimum_self_bond,
        // What that outweighs.
        round_reward: 490 * TOKEN,
        settings: [RATE, Setting::default(), Setting::default(), Setting::default()],
        ..JobSpec::default()
    };
    send(program.create_job(&me, 0, &spec, &datasets));
    let job = program.job(&me, 0);
    send(program.describe_job(&me, &job, &Card::new([7; 32], 1_000)));
    job
}

#[test]
fn stake_goes_in_earns_leaves_and_comes_back() {
    let chain = Chain::start();
    chain.person("authority");
    let alice = chain.person("alice");
    chain.person("operator");
    let operator = wallet(&chain.key("operator")).pubkey().to_string();

    assert!(chain.refused("authority", &["protocol", "show"]).contains("\"sip protocol init\" begins it"));
    chain.json("authority", &["protocol", "init"]);
    assert!(chain.refused("authority", &["protocol", "init"]).contains("begun on this chain already"));
    assert!(chain.refused("alice", &["protocol", "distribute", &alice, "1"]).contains("refused"));
    for wallet in [&alice, &operator] {
        let outcome = chain.json("authority", &["protocol", "distribute", wallet, "10_000.5"]);
        assert_eq!(change(&outcome, "tokens"), 10_000 * TOKEN + TOKEN / 2);
    }

    // What no wallet has gets nothing.
    let protocol = chain.json("authority", &["protocol", "show"]);
    for (address, why) in [("program", "is a program"), ("vault", "is owned by the program")] {
        let address = protocol[address].as_str().unwrap();
        for arguments in [&["protocol", "distribute", address, "1"][..], &["protocol", "nominate", address]] {
            let said = chain.refused("authority", arguments);
            assert!(said.contains(why) && said.contains("--anyway"), "{said}");
        }
    }
    let said = chain.refused("operator", &["pool", "create", "--kind", "auditor", "--bond", "10"]);
    assert!(said.contains("the own bond is 10 SIP, expected at least 1,000 SIP"), "{said}");
    let said = chain.refused("operator", &["pool", "create", "--kind", "auditor", "--bond", "-5"]);
    assert!(said.contains("\"-5\" is no amount of tokens"), "{said}");
    let created =
        chain.json("operator", &["pool", "create", "--kind", "auditor", "--bond", "5000", "--commission", "7.5"]);
    let said = chain.refused("operator", &["pool", "create", "--kind", "auditor", "--bond", "5000"]);
    assert!(said.contains("created with --index 1"), "{said}");
    assert_eq!(created["sent"], true);
    let poor = chain.refused("alice", &["pool", "create", "--kind", "trainer", "--bond", "20_000"]);
    assert!(poor.contains("does not hold that many tokens"), "{poor}");
    let pools = chain.json("alice", &["pool", "list", "--kind", "auditor"]);
    let pool = pools[0]["pool"].as_str().unwrap().to_owned();
    assert_eq!((&pools[0]["ownBondBaseUnits"], &pools[0]["commissionBps"]), (&digits(5_000 * TOKEN), &750.into()));
    assert!(chain.text("alice", &["pool", "list"]).contains("5,000 SIP"));
    assert_eq!(chain.json("alice", &["pool", "list", "--kind", "data"]), Value::Array(vec![]));

    // A dry run says what would happen, and nothing happens.
    let before = chain.tokens("alice");
    let would = chain.json("alice", &["stake", "deposit", &pool, "1000", "--dry-run"]);
    assert_eq!(would["sent"], false);
    assert_eq!(change(&would, "tokens"), before - 1_000 * TOKEN);
    assert_eq!(chain.tokens("alice"), before);
    assert_eq!(chain.json("alice", &["stake", "list"]), Value::Array(vec![]));
    let done = chain.json("alice", &["stake", "deposit", &pool, "1000"]);
    assert_eq!((&done["sent"], &done["computeUnits"]), (&true.into(), &would["computeUnits"]));
    assert_eq!(chain.tokens("alice"), before - 1_000 * TOKEN);
    let text = chain.text("alice", &["stake", "list"]);
    assert!(text.contains("all active at slot") && text.contains("(in about 36 minutes)"), "{text}");

    // All of it is pending, then half, then nothing.
    let parts = || {
        let row = chain.row("alice", &["stake", "list"]);
        ["worth", "pending", "dueNow"].map(|name| row[&*format!("{name}BaseUnits")].amount())
    };
    let [worth, pending, _] = parts();
    assert_eq!((worth, pending), (0, 1_000 * TOKEN));
    let early = chain.refused("alice", &["exit", "request", &pool, "400"]);
    assert!(early.contains("more is pending until slot") && early.contains("sip stake cancel"), "{early}");
    chain.advance(ACTIVATION_SLOTS / 2);
    chain.json("operator", &["stake", "activate", &pool, "--owner", &alice]);
    let [worth, pending, _] = parts();
    assert_eq!(worth + pending, 1_000 * TOKEN);
    assert!(worth >= 500 * TOKEN && pending > 400 * TOKEN, "{worth}");
    chain.advance(ACTIVATION_SLOTS / 2);
    let [_, pending, due] = parts();
    assert_eq!(pending, due, "all is due and not yet turned into shares");
    chain.json("alice", &["stake", "activate", &pool]);
    assert_eq!(parts(), [1_000 * TOKEN, 0, 0]);
    assert!(chain.refused("alice", &["stake", "activate", &pool]).contains("no pending stake is due"));

    // Out in two parts, one of which comes back as new stake and leaves again.
    assert!(chain.refused("alice", &["exit", "request", &pool, "1001"]).contains("worth 1,000 SIP, less than that"));
    chain.json("alice", &["exit", "request", &pool, "400"]);
    chain.json("alice", &["exit", "request", &pool, "all"]);
    let exits = chain.json("alice", &["exit", "list"]);
    assert_eq!(exits.as_array().unwrap().len(), 2);
    let cancelled = chain.json("alice", &["exit", "cancel", &pool, "1"]);
    assert_eq!(change(&cancelled, "pending"), 600 * TOKEN);
    assert_eq!(parts()[..2], [0, 600 * TOKEN]);
    let refusal = chain.refused("alice", &["exit", "claim", &pool, "0"]);
    assert!(refusal.contains("is mature at slot") && refusal.contains("(in about 1.2 hours"), "{refusal}");
    assert!(chain.refused("alice", &["exit", "claim", &pool, "7"]).contains("no exit number 7"));
    let wrong = chain.refused("alice", &["steer", "show", &pool]);
    assert!(wrong.contains("of kind pool, where one of kind job is expected"), "{wrong}");
    chain.advance(440_000);
    chain.json("alice", &["exit", "claim", &pool, "0"]);
    assert_eq!(chain.tokens("alice"), before - 600 * TOKEN);
    assert_eq!(chain.json("alice", &["exit", "list"]), Value::Array(vec![]));
    chain.json("alice", &["stake", "cancel", &pool]);
    assert_eq!(parts(), [0, 0, 0]);
    assert_eq!(chain.row("alice", &["exit", "list"])["tokensBaseUnits"], digits(600 * TOKEN));
    assert!(chain.refused("alice", &["stake", "cancel", &pool]).contains("no pending stake"));

    // The same again is another transaction, however soon it comes.
    for times in 1..=4 {
        let outcome = chain.json("operator", &["pool", "bond", &pool, "100"]);
        assert_eq!(change(&outcome, "own bond"), (5_000 + times * 100) * TOKEN);
    }
    assert!(chain.refused("alice", &["pool", "retire", &pool, "--yes"]).contains("refused"));
    let said = chain.refused("operator", &["pool", "retire", &pool]);
    assert!(said.contains("is free at slot") && said.contains("--yes does it without a question"), "{said}");
    chain.json("operator", &["pool", "retire", &pool, "--yes"]);
    assert!(chain.text("alice", &["pool", "show", &pool]).contains("retired"));
    assert!(chain.refused("alice", &["stake", "deposit", &pool, "1"]).contains("refused"));
}

#[test]
fn attention_steers_moves_and_is_locked() {
    let (chain, _) = begun();
    let job = job(&chain).to_string();
    assert_eq!(chain.row("alice", &["steer", "jobs"])["job"], job);
    let mixture = || {
        let shown = chain.json("alice", &["steer", "show", &job]);
        [0, 1].map(|domain: usize| shown[domain]["mixtureBps"].as_u64().unwrap())
    };
    let pool_of = |domain: usize| chain.json("alice", &["steer", "show", &job])[domain]["pool"].clone();
    assert_eq!(mixture(), [5_000, 5_000]);
    chain.json("alice", &["steer", "add", &job, "ballads", "300"]);
    let ballads = pool_of(1).as_str().unwrap().to_owned();
    chain.advance(ACTIVATION_SLOTS);
    chain.json("alice", &["stake", "activate", &ballads]);
    chain.advance(10);
    assert_eq!(mixture(), [1_000, 9_000], "all attention on one domain, as far as the cap admits");
    assert!(
        chain.refused("alice", &["lock", "create", &job, "0", "all", "--months", "1", "--yes"]).contains("steer add")
    );
    chain.json("alice", &["steer", "add", &job, "0", "100"]);
    chain.json("alice", &["steer", "move", &job, "ballads", "letters", "all"]);
    let letters = pool_of(0).as_str().unwrap().to_owned();
    chain.advance(ACTIVATION_SLOTS);
    chain.json("alice", &["stake", "activate", &letters]);
    chain.advance(1_000_000);
    assert_eq!(mixture(), [9_000, 1_000]);
    assert!(chain.refused("alice", &["steer", "add", &job, "sermons", "1"]).contains("letters, ballads"));
    assert!(chain.text("alice", &["steer", "history", &job]).contains("no round"));

    // A lock weighs more, holds until its end, and only grows.
    let lock = |arguments: &[&str]| chain.json("alice", &[&["lock"], arguments].concat());
    let refused = |arguments: &[&str]| chain.refused("alice", &[&["lock"], arguments].concat());
    assert_eq!(lock(&["show"]), Value::Array(vec![]));
    assert!(refused(&["extend", &job, "letters", "--months", "3", "--yes"]).contains("no lock is running"));
    assert!(refused(&["create", &job, "letters", "100", "--months", "49", "--yes"]).contains("expected 1 to 48"));
    assert!(refused(&["create", &job, "letters", "401", "--months", "2", "--yes"]).contains("less than that"));
    let would = lock(&["create", &job, "letters", "100", "--months", "12", "--dry-run"]);
    assert_eq!(change(&would, "locked shares"), 100 * TOKEN);
    assert_eq!(lock(&["show"]), Value::Array(vec![]));
    lock(&["create", &job, "letters", "100", "--months", "12", "--yes"]);
    assert!(refused(&["create", &job, "letters", "100", "--months", "12", "--yes"]).contains("sip lock extend"));
    assert!(refused(&["extend", &job, "letters", "--months", "11", "--yes"]).contains("never made shorter"));
    assert!(refused(&["extend", &job, "letters", "--amount", "99", "--yes"]).contains("never made smaller"));
    assert!(refused(&["extend", &job, "letters"]).contains("--months"));
    lock(&["extend", &job, "letters", "--amount", "300", "--yes"]);
    lock(&["extend", &job, "letters", "--months", "48", "--yes"]);
    let shown = chain.row("alice", &["lock", "show"]);
    assert_eq!((&shown["lockedBaseUnits"], &shown["ofBaseUnits"]), (&digits(300 * TOKEN), &digits(400 * TOKEN)));
    let adds = shown["lockAddsBaseUnits"].amount();
    assert!((420 * TOKEN..=450 * TOKEN).contains(&adds), "three halves of it at four years: {adds}");
    let held = chain.refused("alice", &["exit", "request", &letters, "101"]);
    assert!(held.contains("300 SIP") && held.contains("is locked until slot") && held.contains("100 SIP can leave"));
    chain.json("alice", &["exit", "request", &letters, "100"]);
    assert!(
        chain.text("alice", &["lock", "show"]).contains("(in about 3"),
        "four years less at most a month, a slot lasting 10 ms"
    );
    chain.advance(4 * 12 * PERIOD_TICKS * TICK_SLOTS);
    chain.json("alice", &["exit", "request", &letters, "all"]);
}

#[test]
fn settings_are_steered_by_name() {
    let (chain, _) = begun();
    let job_address = job(&chain);
    let job = job_address.to_string();
    let side = |place: usize| chain.json("alice", &["steer", "show", &job])[place].clone();
    let names: Vec<Value> = (0..4).map(|place| side(place)["name"].clone()).collect();
    assert_eq!(names, ["letters", "ballads", "learning-rate:down", "learning-rate:up"]);
    assert_eq!(side(3)["steeredTo"], "1.0000 of 0.5000 to 2.0000; 1.0000 by 1,000 SIP");
    assert_eq!(side(0)["steeredTo"], "linear of stake");
    let wrong = chain.refused("alice", &["steer", "add", &job, "learning-rate:sideways", "1"]);
    assert!(
        wrong.contains("it has letters, ballads; stake also steers learning-rate:down, learning-rate:up"),
        "{wrong}"
    );

    chain.json("alice", &["steer", "add", &job, "learning-rate:up", "300"]);
    let up = side(3)["pool"].as_str().unwrap().to_owned();
    chain.advance(ACTIVATION_SLOTS);
    chain.json("alice", &["stake", "activate", &up]);
    chain.advance(500 * ACTIVATION_SLOTS);
    let value = side(3)["steeredTo"].as_str().unwrap().to_owned();
    assert!(value.starts_with("1.23"), "(1,000 + 600) / 1,300, less the time before it was active: {value}");

    chain.json("authority", &["pool", "create", "--kind", "trainer", "--bond", "1000"]);
    let pool = chain.row("alice", &["pool", "list", "--kind", "trainer"])["pool"].as_str().unwrap().to_owned();
    chain.json("alice", &["stake", "deposit", &pool, "1000"]);
    chain.advance(ACTIVATION_SLOTS);
    chain.json("alice", &["steer", "vote", &pool, &job, "learning-rate:down", "600"]);
    let vote = chain.row("alice", &["steer", "votes"]);
    assert_eq!((&vote["domain"], &vote["steers"]), (&8.into(), &"learning-rate:down".into()));

    chain.json("alice", &["lock", "create", &job, "learning-rate:up", "100", "--months", "12", "--yes"]);
    chain.json("alice", &["steer", "add", &job, "letters", "1"]);
    chain.json("alice", &["steer", "move", &job, "learning-rate:up", "letters", "200"]);
    let trainer = pool.parse().unwrap();
    begin_round(&chain, &job_address, &trainer);
    let history = chain.row("alice", &["steer", "history", &job]);
    let settings = history["settings"].as_str().unwrap();
    assert!(settings.starts_with("learning-rate 1.2"), "the vote of the last moment counts for it alone: {settings}");
    assert_eq!(history["mixture"], "letters 50.00 %, ballads 50.00 %");
}

#[test]
fn delegated_stake_votes_for_a_domain() {
    let (chain, alice) = begun();
    let job = job(&chain).to_string();
    chain.json("authority", &["pool", "create", "--kind", "trainer", "--bond", "1000"]);
    let pool = chain.row("alice", &["pool", "list", "--kind", "trainer"])["pool"].as_str().unwrap().to_owned();
    chain.json("alice", &["stake", "deposit", &pool, "1000"]);
    chain.advance(ACTIVATION_SLOTS);
    assert!(chain.refused("alice", &["steer", "withdraw", &pool]).contains("steers nothing"));
    let cast = chain.json("alice", &["steer", "vote", &pool, &job, "ballads", "600"]);
    assert_eq!(change(&cast, "steered here"), 600 * TOKEN);
    assert!(chain.refused("alice", &["steer", "vote", &pool, &job, "letters", "1"]).contains("steers already"));
    let vote = chain.row("alice", &["steer", "votes"]);
    assert_eq!(
        (&vote["job"], &vote["domain"], &vote["weightBaseUnits"]),
        (&job.clone().into(), &1.into(), &digits(600 * TOKEN))
    );
    chain.advance(1_000);
    let shown = chain.json("alice", &["steer", "show", &job]);
    assert_eq!((&shown[1]["votesBaseUnits"], &shown[1]["mixtureBps"]), (&digits(600 * TOKEN), &9_000.into()));
    chain.json("authority", &["steer", "refresh", &pool, "--owner", &alice]);
    let held = chain.refused("alice", &["exit", "request", &pool, "401"]);
    assert!(held.contains("600 SIP") && held.contains("sip steer withdraw") && held.contains("400 SIP can leave"));
    let left = chain.json("alice", &["exit", "request", &pool, "all"]);
    assert_eq!(change(&left, "tokens at the request"), 400 * TOKEN, "all is what can leave");
    let stays = left["notes"][0].as_str().unwrap();
    assert!(stays.starts_with("600 SIP stay: a vote holds them"), "{stays}");
    chain.json("alice", &["steer", "withdraw", &pool]);
    chain.json("alice", &["exit", "request", &pool, "all"]);
    assert_eq!(chain.json("alice", &["steer", "votes"]), Value::Array(vec![]));
}

#[test]
fn fees_are_paid_split_and_raise_the_price_of_liquid_shares() {
    let (chain, _) = begun();
    let bob = chain.person("bob");
    let job_address = job(&chain);
    let job = job_address.to_string();
    let create = |arguments: &[&str]| {
        let made = chain.json("authority", &[&["pool", "create", "--bond", "1000"], arguments].concat());
        made["action"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    let server = create(&["--kind", "server", "--compounding"]);
    let trainer = create(&["--kind", "trainer"]);
    assert!(chain.refused("authority", &["pool", "create", "--kind", "model", "--bond", "1000"]).contains("--job"));
    let ancestor = create(&["--kind", "model", "--job", &job]);
    let model = create(&["--kind", "model", "--job", &job, "--index", "1", "--parent", &ancestor, "--royalty", "25"]);
    assert_eq!(chain.json("alice", &["pool", "show", &model])["royaltyBps"], 2_500);

    // Stake on the server, a part of it as tokens in another wallet.
    for pool in [&server, &trainer] {
        chain.json("alice", &["stake", "deposit", pool, "1000"]);
    }
    chain.advance(ACTIVATION_SLOTS);
    assert!(chain.refused("alice", &["liquid", "tokenize", &trainer, "1"]).contains("does not compound"));
    let tokens = chain.json("alice", &["liquid", "tokenize", &server, "400", "--to", &bob]);
    assert_eq!(change(&tokens, "share tokens"), 400 * TOKEN);
    let worth = || chain.json("bob", &["liquid", "show", &server])["itsWorthBaseUnits"].amount();
    assert_eq!(worth(), 400 * TOKEN);
    assert!(chain.refused("alice", &["liquid", "detokenize", &server, "1"]).contains("holds no share token"));

    let pay: &[&str] = &["fee", "pay", &model, "100", "--server", &server, "--for", "invoice 7"];
    assert!(chain.refused("alice", &pay[..6]).contains("--for or --receipt"));
    assert!(chain.refused("alice", pay).contains("has not begun a round"));
    assert!(chain.json("alice", &["fee", "show", &job]).as_array().unwrap().is_empty());
    begin_round(&chain, &job_address, &trainer.parse().unwrap());
    let trainers_pool = ["fee", "pay", &trainer, "100", "--server", &server, "--for", "x"];
    assert!(chain.refused("alice", &trainers_pool).contains("no model's pool"));
    let before = chain.tokens("alice");
    let paid = chain.json("alice", pay);
    assert_eq!(chain.tokens("alice"), before - 100 * TOKEN);
    assert_eq!(change(&paid, "burned"), 15 * TOKEN);
    assert_eq!(change(&paid, "fees burned in the epoch"), 15 * TOKEN);
    assert!(worth() > 408 * TOKEN, "two fifths of the delegators' half of 45 tokens, less commission: {}", worth());
    let waits = chain.json("alice", &["fee", "show", &job]);
    assert_eq!(waits[0]["waitsForDataBaseUnits"].amount() + waits[1]["waitsForDataBaseUnits"].amount(), 10 * TOKEN);
    chain.json("alice", &["fee", "settle", &job, "letters"]);
    assert_eq!(chain.json("alice", &["fee", "show", &job])[0]["waitsForPatronsBaseUnits"], digits(0));
    assert!(chain.refused("alice", &["fee", "settle", &job, "letters"]).contains("nothing to claim"));

    let back = chain.json("bob", &["liquid", "detokenize", &server, "all"]);
    assert_eq!(change(&back, "share tokens"), 0);
    assert!(chain.row("bob", &["stake", "list"])["pendingBaseUnits"].amount() > 408 * TOKEN);
}

/// A whole story on a deployment whose token lives under Token-2022: the same commands, none of which is told so.
#[test]
fn everything_works_where_the_token_lives_under_token_2022() {
    let chain = Chain::start();
    let authority = chain.person("authority");
    let alice = chain.person("alice");
    let bob = chain.person("bob");
    let begun = chain.json("authority", &["protocol", "init", "--token-program", "token-2022"]);
    assert!(begun["action"].as_str().unwrap().contains("Token-2022"));
    assert_eq!(chain.json("alice", &["protocol", "show"])["tokenProgram"], "Token-2022");
    for (wallet, tokens) in [(&authority, "50_000"), (&alice, "5_000")] {
        chain.json("authority", &["protocol", "distribute", wallet, tokens]);
    }
    // The accounts are that program's, and no other.
    let rpc = Rpc::connect(&chain.url).unwrap();
    let program = Program::default().under(TOKEN_2022_PROGRAM);
    let owner = |address: &Address| rpc.account(address).unwrap().map(|account| account.owner);
    let alices: Address = alice.parse().unwrap();
    for address in [program.mint(), program.vault(), program.token_account(&alices)] {
        assert_eq!(owner(&address), Some(TOKEN_2022_PROGRAM));
    }
    assert_eq!(owner(&Program::default().token_account(&alices)), None);
    let shown = chain.json("alice", &["wallet", "show"]);
    assert_eq!(
        (&shown["tokensBaseUnits"], &shown["tokenAccount"]),
        (&digits(5_000 * TOKEN), &program.token_account(&alices).to_string().into())
    );

    let job_address = job_on(&chain, program);
    let job = job_address.to_string();
    let create = |arguments: &[&str]| {
        let made = chain.json("authority", &[&["pool", "create", "--bond", "1000"], arguments].concat());
        made["action"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    let server = create(&["--kind", "server", "--compounding"]);
    let trainer = create(&["--kind", "trainer"]);
    let model = create(&["--kind", "model", "--job", &job]);
    chain.json("alice", &["steer", "add", &job, "ballads", "300"]);
    for pool in [&server, &trainer] {
        chain.json("alice", &["stake", "deposit", pool, "1000"]);
    }
    chain.advance(ACTIVATION_SLOTS);
    chain.json("alice", &["stake", "activate", &trainer]);
    chain.json("alice", &["lock", "create", &job, "ballads", "100", "--months", "2", "--yes"]);
    chain.json("alice", &["steer", "add", &job, "letters", "10"]);
    chain.json("alice", &["steer", "move", &job, "ballads", "letters", "50"]);
    chain.json("alice", &["exit", "request", &trainer, "400"]);

    // Share tokens live under the same program, in another wallet.
    let tokens = chain.json("alice", &["liquid", "tokenize", &server, "400", "--to", &bob]);
    assert_eq!(change(&tokens, "share tokens"), 400 * TOKEN);
    let pool: Address = server.parse().unwrap();
    assert_eq!(owner(&program.share_mint(&pool)), Some(TOKEN_2022_PROGRAM));
    assert_eq!(owner(&program.share_account(&bob.parse().unwrap(), &pool)), Some(TOKEN_2022_PROGRAM));
    assert_eq!(chain.json("bob", &["liquid", "show", &server])["itsWorthBaseUnits"], digits(400 * TOKEN));

    begin_round_on(&chain, program, &job_address, &trainer.parse().unwrap());
    let before = chain.tokens("alice");
    let paid = chain.json("alice", &["fee", "pay", &model, "100", "--server", &server, "--for", "invoice 7"]);
    assert_eq!((chain.tokens("alice"), change(&paid, "burned")), (before - 100 * TOKEN, 15 * TOKEN));
    let back = chain.json("bob", &["liquid", "detokenize", &server, "all"]);
    assert_eq!(change(&back, "share tokens"), 0);

    // Out again: a claimed exit, an operator's rewards, and the epoch's yield on the way.
    chain.advance(Schedule::DEFAULT.epoch_slots);
    // There are more pools than one transaction settles.
    assert_eq!(chain.lines("alice", &["emission", "settle"]).len(), 2);
    chain.json("alice", &["emission", "turn"]);
    let before = chain.tokens("alice");
    chain.json("alice", &["exit", "claim", &trainer, "0"]);
    assert_eq!(chain.tokens("alice"), before + 400 * TOKEN);
    let before = chain.tokens("authority");
    chain.json("authority", &["pool", "commission", &server]);
    assert!(chain.tokens("authority") > before, "what the fee brought the operator");
    chain.advance(Schedule::DEFAULT.epoch_slots);
    chain.lines("alice", &["emission", "settle"]);
    chain.advance(2 * Schedule::DEFAULT.epoch_slots);
    let before = chain.tokens("alice");
    chain.lines("alice", &["rewards", "claim"]);
    assert!(chain.tokens("alice") > before, "what the epoch brought her stake");
    // Nothing of the protocol's is given away under the wrong program.
    let me = wallet(&chain.key("alice"));
    let wrong = Program::default().deposit(&alices, &pool, TOKEN, 0);
    let refusal = Rpc::connect(&chain.url).unwrap().send(&[wrong], &me, &[&me]).unwrap_err();
    assert!(matches!(refusal, LedgerError::Custom { code, .. } if code == Error::WrongProgram.code()), "{refusal}");
}

#[test]
fn a_deployment_begins_with_the_values_of_a_file() {
    let chain = Chain::start();
    chain.person("authority");
    let file = |name: &str, text: &str| {
        let path = chain.key(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let example = chain.text("authority", &["protocol", "init", "--example"]);
    let whole = file("example.toml", &example);
    let wrong = file("wrong.toml", "[parameters]\nlate-segment = 2000\nbounty = \"51%\"\n");
    let refusal = chain.refused("authority", &["protocol", "init", "--parameters", &wrong]);
    for part in
        ["late-segment is 2,000 SIP, expected 0 SIP to 1,000 SIP", "bounty is 51.00 %, expected 0.00 % to 50.00 %"]
    {
        assert!(refusal.contains(part), "{refusal}");
    }
    assert!(chain.refused("authority", &["protocol", "init", "--parameters", "nowhere.toml"]).contains("cannot read"));
    chain.json("authority", &["protocol", "init", "--parameters", &whole, "--dry-run"]);
    let other = file(
        "other.json",
        r#"{"parameters": {"late-segment": 2.5, "conviction-burned": "20%"}, "emission": {"nodes-reference": 50}}"#,
    );
    chain.json("authority", &["protocol", "init", "--parameters", &other]);
    let shown = chain.json("authority", &["protocol", "show"]);
    assert_eq!(
        (&shown["lateSegmentBaseUnits"], &shown["convictionBurnedBps"]),
        (&digits(TOKEN * 5 / 2), &2_000.into())
    );
    assert_eq!(shown["tokenProgram"], "SPL Token");
    assert_eq!(chain.json("authority", &["emission", "show"])["nodesReference"], 50);
    assert!(chain.refused("authority", &["protocol", "burn"]).contains("nothing to burn"));
}

/// Opens the first round of the authority's job with the trainer, and an auditor and an evaluator who are made for it.
fn begin_round(chain: &Chain, job: &Address, trainer: &Address) {
    begin_round_on(chain, Program::default(), job, trainer);
}

/// The same on a deployment of any token program.
fn begin_round_on(chain: &Chain, program: Program, job: &Address, trainer: &Address) {
    for kind in ["auditor", "evaluator"] {
        chain.json("authority", &["pool", "create", "--kind", kind, "--bond", "2000"]);
    }
    let authority = wallet(&chain.key("authority"));
    let me = authority.pubkey();
    let mut ledger = Rpc::connect(&chain.url).unwrap();
    let mut instructions = vec![program.join_job(&me, job, trainer)];
    for kind in [PoolKind::Auditor, PoolKind::Evaluator] {
        instructions.push(program.join_job(&me, job, &program.pool(kind, &me, 0)));
    }
    let account = ledger.account(job).unwrap().unwrap();
    let state = Job::decode(&account.data).unwrap();
    let missing = |number: &u32| ledger.account(&program.attention_pool(job, *number)).unwrap().is_none();
    let numbers: Vec<u32> = state.spec.attention_numbers().filter(missing).collect();
    instructions.extend(numbers.into_iter().map(|number| program.create_attention_pool(&me, job, number)));
    instructions.push(program.open_next_round(&me, job, &state));
    for instruction in instructions {
        ledger.send(&[instruction], &authority, &[]).unwrap();
    }
}

#[test]
fn jobs_are_listed_shown_and_joined() {
    let (chain, _) = begun();
    let job = job(&chain);
    let name = job.to_string();
    let row = chain.row("alice", &["job", "list"]);
    assert_eq!((row["job"].as_str(), row["state"].as_str()), (Some(&*name), Some("between-rounds")));
    assert_eq!((&row["roundsScored"], &row["rounds"], &row["auditors"]), (&0.into(), &1.into(), &0.into()));
    let card = chain.json("alice", &["job", "show", &name]);
    assert_eq!((card["stepsOfASegment"].as_u64(), card["auditTime"].as_u64()), (Some(1), Some(10)));
    assert!(chain.text("alice", &["job", "show", &name]).contains("tokens of a sequence"));
    assert!(chain.text("alice", &["job", "seats", &name]).contains("nobody has joined"));
    assert!(chain.text("alice", &["job", "rounds", &name]).contains("no round has begun"));

    chain.json("alice", &["pool", "create", "--kind", "auditor", "--bond", "2000"]);
    let pools = chain.json("alice", &["pool", "list", "--mine"]);
    let pool = pools[0]["pool"].as_str().unwrap();
    let dry = chain.json("alice", &["job", "join", &name, pool, "--dry-run"]);
    assert_eq!((dry["sent"].as_bool(), change(&dry, "auditors")), (Some(false), 1));
    assert!(chain.refused("authority", &["job", "join", &name, pool]).contains("is not the wallet's"));
    assert_eq!(change(&chain.json("alice", &["job", "join", &name, pool]), "auditors"), 1);
    assert!(chain.refused("alice", &["job", "join", &name, pool]).contains("the program refused"));
    let seat = chain.row("alice", &["job", "seats", &name]);
    assert_eq!((&seat["role"], &seat["lastRound"]), (&"auditor".into(), &Value::Null));
    chain.json("alice", &["job", "allot", &name, pool, "25"]);
    assert_eq!(seat["allottedBps"], 10_000);
    assert_eq!(chain.row("alice", &["job", "seats", &name])["allottedBps"], 2_500);
    assert!(chain.refused("authority", &["job", "allot", &name, pool, "50"]).contains("the program refused"));
    assert!(chain.refused("alice", &["job", "allot", &name, pool, "101"]).contains("no percentage"));
    let data = chain.json("authority", &["pool", "list", "--mine"])[0]["pool"].as_str().unwrap().to_owned();
    assert!(chain.refused("authority", &["job", "join", &name, &data]).contains("places for trainers"));

    chain.json("authority", &["pool", "create", "--kind", "trainer", "--bond", "1000"]);
    let pools = chain.json("authority", &["pool", "list", "--kind", "trainer"]);
    begin_round(&chain, &job, &pools[0]["pool"].as_str().unwrap().parse().unwrap());
    let round = chain.row("alice", &["job", "rounds", &name]);
    assert_eq!((round["phase"].as_str(), round["segments"].as_u64()), (Some("training"), Some(0)));
    let seats = chain.json("alice", &["job", "seats", &name]);
    let did: Vec<&str> = seats.as_array().unwrap().iter().map(|seat| seat["lastRound"].as_str().unwrap()).collect();
    assert_eq!(did, ["not-committed", "not-revealed", "not-revealed", "not-committed"]);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let (chain, _) = begun();
    for arguments in [&["protocol", "show"][..], &["stake", "list"], &["protocol", "pause", "--dry-run"]] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sip"))
            .args(arguments)
            .args(["--url", &chain.url, "--key"])
            .arg(chain.key("authority"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(process.stdout.take());
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
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
        (&["stake", "activate", nobody], "is no account of the program"),
        (&["stake", "cancel", nobody], "is no account of the program"),
        (&["lock", "create", nobody, "0", "1", "--months", "1", "--yes"], "is no account of the program"),
        (&["liquid", "tokenize", nobody, "1"], "is no account of the program"),
        (&["liquid", "show", "here"], "\"here\" is no address: expected 32 bytes in base58"),
        (&["fee", "pay", nobody, "1", "--server", nobody, "--receipt", "12"], "64 hexadecimal digits"),
        (&["fee", "settle", nobody, "0"], "is no account of the program"),
        (&["emission", "settle"], "there is no pool whose stake counts"),
        (&["emission", "turn"], "epoch 0 ends at slot"),
        (&["emission", "--years", "3", "show"], "cannot be used with"),
        (&["protocol", "apply"], "nothing is proposed"),
        (&["protocol", "accept"], "the signer is not nominated"),
        (&["protocol", "propose-parameters", "bounty"], "expected NAME=VALUE"),
        (&["protocol", "propose-spending", "pocket", nobody, "1"], "invalid value 'pocket'"),
        (&["pool", "create", "--kind", "model", "--bond", "1000"], "a model's pool needs --job"),
        (&["pool", "create", "--kind", "data", "--bond", "1000", "--job", nobody], "are for models"),
        (&["exit", "claim", nobody, "0"], "there is no exit number 0"),
    ] {
        let error = chain.refused("poor", arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
        // What is wrong with the words of a command is followed by how it is used, all else is one line.
        assert!(error.contains("--help") || error.trim_end().lines().count() == 1, "{arguments:?}: {error}");
    }
    let file = chain.key("poor");
    let again = chain.refused("poor", &["wallet", "new", file.to_str().unwrap()]);
    assert!(again.contains("is left as it is"), "a key is never overwritten: {again}");
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
