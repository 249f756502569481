//! The beginning of a network: chain, wallets, texts, job, pools and seats, each by the command that a stranger types; then everyone's process.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sip_client::Program;
use sip_data::Corpus;
use sip_ledger::{Ledger, read_key};
use sip_manifest::folder::write_text;
use sip_protocol::Account as _;
use sip_protocol::ground::units::TOKEN;
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::job::Job;
use sip_rpc::Rpc;
use solana_address::Address;
use solana_signer::Signer;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::Teller;
use super::network::{CREATOR, Network, PROVIDER, Person};
use super::process::Process;

/// Bytes of each text.
const TEXT_BYTES: usize = 400_000;
/// How long the chain may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tokens beside its bond that somebody has for accusations.
const SPARE: u64 = 2_000;

/// Starts the chain, begins what has not begun, and starts everyone.
pub fn begin(network: &mut Network, teller: &Teller) -> Result<()> {
    let is_new = network.people.iter().all(|person| !person.runs());
    wallets(network)?;
    start_chain(network)?;
    let url = network.url()?;
    teller.tell(
        &format!("chain    {url}, a slot every {} ms", network.wanted.slot_ms),
        &json!({ "event": "chain", "url": url, "slotMilliseconds": network.wanted.slot_ms }),
    )?;
    let begun = set_up(network, teller).and_then(|()| start_people(network, teller));
    if let Err(error) = begun {
        if !is_new {
            return Err(error);
        }
        // Nobody is left behind by a beginning that failed.
        let ended = network.end();
        return Err(ended.err().map_or(error, |more| anyhow::anyhow!("{more:#}")));
    }
    Ok(())
}

fn wallets(network: &mut Network) -> Result<()> {
    let url = network.url()?;
    for person in &mut network.people {
        std::fs::create_dir_all(&person.folder).with_context(|| format!("cannot make {}", person.folder.display()))?;
        if !person.key().exists() {
            run(person, &url, &["wallet", "new", "key.json"])?;
        }
        person.wallet = read_key(&person.key())?.pubkey().to_string();
    }
    network.keep()
}

fn start_chain(network: &mut Network) -> Result<()> {
    if network.chain.process.as_ref().is_some_and(Process::runs) {
        return Ok(());
    }
    let creator = network.person(CREATOR)?.wallet.clone();
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command.args(["localnet", "--json", "--port", &network.chain.port.to_string()]);
    command.args(["--slot-ms", &network.wanted.slot_ms.to_string(), "--authority", &creator]);
    command.arg("--data").arg(network.root.join("chain"));
    let log = network.root.join("chain.log");
    let process = Process::start(command, &log)?;
    network.chain.process = Some(process.clone());
    network.keep()?;
    let begin = Instant::now();
    let url = network.url()?;
    while Rpc::connect(&url).is_err() {
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        if !process.runs() || begin.elapsed() > PATIENCE {
            bail!("the chain does not start: {}", said().trim());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Runs a command of somebody, and gives the objects that it printed.
fn run(person: &Person, url: &str, words: &[&str]) -> Result<Vec<Value>> {
    let mut command = person.types(url, words)?;
    let output = command.arg("--json").output().context("cannot start a process")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Option<Value> = said.lines().last().and_then(|line| sip_json::from_str(line).ok());
        let why = said.and_then(|said| said["error"]["message"].as_str().map(str::to_owned));
        let why = why.unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).trim().to_owned());
        bail!("\"sip {}\" of the {}: {why}", words.join(" "), person.name);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // An object, or one on each line.
    let values = match sip_json::from_str(&text) {
        Ok(value) => Ok(vec![value]),
        Err(_) => text.lines().map(sip_json::from_str).collect::<Result<_, _>>(),
    };
    values.with_context(|| format!("\"sip {}\" printed no JSON", words.join(" ")))
}

/// What is missing of wallets' means, protocol, datasets, job, pools and seats.
fn set_up(network: &mut Network, teller: &Teller) -> Result<()> {
    let url = network.url()?;
    let ledger = Rpc::connect(&url)?;
    let program = Program::default();
    let creator = network.person(CREATOR)?.clone();
    for person in &network.people {
        let wallet: Address = person.wallet.parse().context("a wallet is no address")?;
        if Ledger::account(&ledger, &wallet)?.is_none() {
            run(person, &url, &["wallet", "airdrop", "100"])?;
        }
    }
    if Ledger::account(&ledger, &program.config())?.is_none() {
        let parameters = "[parameters]\nactivation-slots = \"100\"\n";
        write_text(&creator.folder.join("parameters.toml"), parameters)?;
        run(&creator, &url, &["protocol", "init", "--parameters", "parameters.toml"])?;
    }
    let provider = network.person(PROVIDER)?.clone();
    fund(&creator, &ledger, &url, &creator, 10_000)?;
    fund(&creator, &ledger, &url, &provider, 10_000)?;
    if network.job.is_none() {
        teller.say("the provider publishes three texts, and the creator makes a job of them")?;
        let datasets = publish(&provider, &url)?;
        network.job = Some(make_job(network, &creator, &provider, &datasets)?);
        network.keep()?;
    }
    let job_text = network.job.clone().unwrap_or_default();
    let job: Address = job_text.parse().context("the job is no address")?;
    let account = Ledger::account(&ledger, &job)?.context("the job is not on the chain")?;
    let state = Job::decode(&account.data).map(Box::new).map_err(|error| anyhow::anyhow!("the job: {error}"))?;
    for person in &mut network.people {
        let kind = match person.role.as_str() {
            "trainer" => PoolKind::Trainer,
            "auditor" => PoolKind::Auditor,
            "evaluator" => PoolKind::Evaluator,
            _ => continue,
        };
        let wallet = person.wallet.parse().context("a wallet is no address")?;
        let pool = program.pool(kind, &wallet, 0);
        let bond = state.place_bond(kind).map_err(|error| anyhow::anyhow!("{error}"))?.div_ceil(TOKEN);
        if Ledger::account(&ledger, &pool)?.is_none() {
            fund(&creator, &ledger, &url, person, bond + SPARE)?;
            run(person, &url, &["pool", "create", "--kind", &person.role, "--bond", &bond.to_string()])?;
        }
        person.pool = Some(pool.to_string());
        let seats = state.seats(kind).map_err(|error| anyhow::anyhow!("{error}"))?;
        if !seats.iter().any(|seat| seat.pool == pool.to_bytes()) {
            run(person, &url, &["job", "join", &job_text, &person.role])?;
        }
    }
    network.keep()
}

/// Sees to it that somebody has tokens.
fn fund(authority: &Person, ledger: &Rpc, url: &str, person: &Person, tokens: u64) -> Result<()> {
    let wallet = person.wallet.parse().context("a wallet is no address")?;
    let account = Program::default().token_account(&wallet);
    if Ledger::account(ledger, &account)?.is_none() || person.name == CREATOR {
        let held = ledger.token_balance(&account)?.unwrap_or(0);
        if held == 0 {
            run(authority, url, &["protocol", "distribute", &person.wallet, &tokens.to_string()])?;
        }
    }
    Ok(())
}

/// The provider publishes the texts that are built in; the tokenizer is learned from the first.
fn publish(provider: &Person, url: &str) -> Result<Vec<(String, String)>> {
    let mut datasets = Vec::new();
    let mut tokenizer: Option<String> = None;
    for domain in Corpus::shipped(TEXT_BYTES)?.domains() {
        let file = format!("texts/{}.txt", domain.name);
        std::fs::create_dir_all(provider.folder.join("texts")).context("cannot make a folder for texts")?;
        write_text(&provider.folder.join(&file), &domain.text)?;
        let out = format!("data/{}", domain.name);
        let mut words = vec!["data", "publish", &file, "--domain", &domain.name, "--licence", licence(&domain.name)];
        words.extend(["--out", &out, "--yes"]);
        match &tokenizer {
            Some(folder) => words.extend(["--tokenizer", folder]),
            None => words.extend(["--vocabulary", "512"]),
        }
        let printed = run(provider, url, &words)?;
        let dataset = printed.last().and_then(|made| made["dataset"].as_str()).context("no dataset was made")?;
        datasets.push((domain.name.clone(), dataset.to_owned()));
        tokenizer.get_or_insert(format!("{out}/run/data"));
    }
    Ok(datasets)
}

/// `data/README.md` says where the texts come from.
fn licence(name: &str) -> &'static str {
    if name == "addresses" { "CC0-1.0" } else { "LicenseRef-Public-Domain" }
}

/// The creator makes the job of what was published, with the tokenizer that the provider has handed over.
fn make_job(network: &Network, creator: &Person, provider: &Person, datasets: &[(String, String)]) -> Result<String> {
    let first = datasets.first().map(|(name, _)| name.as_str()).unwrap_or_default();
    copy(
        &provider.folder.join(format!("data/{first}/run/data/tokenizer.json")),
        &creator.folder.join("tokenizer.json"),
    )?;
    write_text(&creator.folder.join("job.toml"), &job_file(network, datasets))?;
    let words = ["job", "create", "--config", "job.toml", "--out", "node", "--yes"];
    let printed = run(creator, &network.url()?, &words)?;
    let job = printed.last().and_then(|made| made["job"].as_str()).context("no job was made")?.to_owned();
    Ok(job)
}

fn job_file(network: &Network, datasets: &[(String, String)]) -> String {
    let wanted = &network.wanted;
    let mut text = format!("[model]\npreset = \"{}\"\ntokenizer = \".\"\n", wanted.model);
    for (_, dataset) in datasets {
        let _ = writeln!(text, "\n[[domain]]\ndataset = \"{dataset}\"");
    }
    // Few rounds give a draw few chances.
    let first = if wanted.rounds < 6 { 100 } else { 50 };
    let _ = writeln!(
        text,
        "\n[training]\nrounds = {}\nsteps = {}\nleaf_steps = {}\nheld_out_windows = 8\n\n[audit]\nfirst_percent = {first}\n\n[steer]\n\
         learning_rate = {{ least = 0.5, most = 2.0, stake_tokens = 80000 }}\n\n[expected]\ntrainers = {}\nslower = 8",
        wanted.rounds,
        wanted.steps,
        5.min(wanted.steps),
        wanted.trainers
    );
    // Everyone computes on this one machine, each a part of it: nobody is late who only waits for its turn.
    let slots = (wanted.phase_seconds * 1_000 / wanted.slot_ms).max(150);
    let _ = writeln!(
        text,
        "\n[phases]\ncommit_slots = {slots}\naudit_slots = {slots}\nvote_slots = {slots}\nevaluation_slots = {slots}\nchallenge_slots = {slots}"
    );
    text
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Folders of what somebody has published.
fn texts(person: &Person) -> Vec<String> {
    let folders = std::fs::read_dir(person.folder.join("data")).into_iter().flatten().flatten();
    let mut folders: Vec<String> =
        folders.map(|folder| format!("data/{}", folder.file_name().to_string_lossy())).collect();
    folders.sort();
    folders
}

/// What a process of somebody does in a job, by whose it is: as `sip node run --role` takes it.
fn roles_of(person: &str) -> &'static str {
    match person {
        "creator" => "keeper,turner",
        "provider" => "provider",
        "auditor" => "auditor,watchtower,turner",
        "evaluator" => "evaluator",
        _ => "trainer,turner",
    }
}

/// Starts everyone's process.
fn start_people(network: &mut Network, teller: &Teller) -> Result<()> {
    let (url, job) = (network.url()?, network.job.clone().unwrap_or_default());
    // In the second round, so that the first shows what honest work looks like.
    let from = 1.min(network.wanted.rounds.saturating_sub(1)).to_string();
    for number in 0..network.people.len() {
        let person = &mut network.people[number];
        if person.runs() {
            continue;
        }
        let address = person.address();
        let mut words =
            vec!["node", "run", &job, "--role", roles_of(&person.role), "--data", "node", "--listen", &address];
        let texts = texts(person);
        texts.iter().for_each(|folder| words.extend(["--texts", folder]));
        if matches!(person.role.as_str(), CREATOR | PROVIDER) {
            // Others verify the job when it is over, with what these two have.
            words.push("--stay");
        }
        if let Some(cheat) = &person.cheat {
            words.extend(["--cheat", cheat, "--cheat-from", &from]);
        }
        let command = person.types(&url, &words)?;
        let process = Process::start(command, &person.folder.join("node.log"))?;
        person.process = Some(process.clone());
        // A start that is cut off later leaves nobody whom "network down" does not know.
        network.keep()?;
        let person = &network.people[number];
        let lies = person.cheat.as_ref().map_or(String::new(), |cheat| format!(", will lie: {cheat}"));
        teller.tell(
            &format!("{:<12} process {}, serves at {address}{lies}", person.name, process.pid),
            &json!({
                "event": "started", "who": person.name, "process": process.pid, "address": address,
                "wallet": person.wallet, "folder": person.folder, "lies": person.cheat,
            }),
        )?;
    }
    Ok(())
}
