//! A whole network on this machine: a process for each person, which shares with the others nothing but the address of a chain.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A network that ends with the test.
struct Network {
    scratch: tempfile::TempDir,
}

impl Drop for Network {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell_logs();
        }
        self.sip(&["network", "down", "--json"]);
    }
}

impl Network {
    fn new() -> Network {
        Network { scratch: tempfile::tempdir().unwrap() }
    }

    fn folder(&self) -> PathBuf {
        self.scratch.path().join("net")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sip"));
        for variable in ["SIP_KEY", "SIP_URL", "SIP_PROGRAM", "COLUMNS"] {
            command.env_remove(variable);
        }
        // Many share few cores here.
        command.env("SIP_THREADS", "1").env("SIP_NAMES", self.scratch.path().join("names.json"));
        command.args(words).current_dir(self.scratch.path());
        if words.first() == Some(&"network") {
            command.arg("--folder").arg(self.folder());
        }
        command
    }

    fn sip(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = self.sip(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{words:?}: {said}"))
    }

    /// What happens until the job is over, and no longer than that.
    fn follow(&self, words: &[&str], most: Duration) -> Vec<Value> {
        let mut following = self.command(words).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(following.stdout.take().unwrap()).lines();
        let (events, begin) = (std::sync::mpsc::channel(), Instant::now());
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(events.0.send(line))));
        let mut seen: Vec<Value> = Vec::new();
        while let Ok(line) = events.1.recv_timeout(most.saturating_sub(begin.elapsed())) {
            let event = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            crate::law::keeps("sip network up", &event);
            seen.push(event);
        }
        let over = following.try_wait().unwrap();
        if over.is_none() && begin.elapsed() >= most {
            following.kill().unwrap();
            panic!("not over after {most:?}: {seen:#?}");
        }
        assert!(following.wait().unwrap().success(), "{seen:#?}");
        seen
    }

    fn tell_logs(&self) {
        for log in logs(&self.folder()) {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("{}:", log.display());
            lines[lines.len().saturating_sub(8)..].iter().for_each(|line| eprintln!("  {line}"));
        }
    }

    /// Processes that run now, by whose they are.
    fn processes(&self) -> Vec<(String, u64)> {
        let status = self.json(&["network", "status", "--json"]);
        let running = status["people"].as_array().unwrap().iter().filter(|row| !row["process"].is_null());
        running.map(|row| (row["who"].as_str().unwrap().to_owned(), row["process"].as_u64().unwrap())).collect()
    }

    /// The chain's process, if it runs.
    fn chain_process(&self) -> Option<u64> {
        let text = std::fs::read_to_string(self.folder().join("network.json")).ok()?;
        let network: Value = serde_json::from_str(&text).ok()?;
        network["chain"]["process"]["pid"].as_u64()
    }
}

fn logs(folder: &Path) -> Vec<PathBuf> {
    let people = std::fs::read_dir(folder.join("people")).into_iter().flatten().flatten();
    people.map(|person| person.path().join("node.log")).chain([folder.join("chain.log")]).collect()
}

/// The events of a kind.
fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

/// What `sip verify` finds of the job, from chain and people alone.
fn verified(network: &Network, events: &[Value]) -> Value {
    let url = of(events, "chain")[0]["url"].as_str().unwrap();
    let over = of(events, "over")[0];
    let found = network.json(&["verify", "--json", "--url", url, over["job"].as_str().unwrap()]);
    assert_eq!((&found["verified"], &found["final"]), (&true.into(), &true.into()), "{found}");
    assert_eq!(found["baseRoot"], over["baseRoot"]);
    found
}

/// The model that anybody takes out of the job once it is over: it is what the chain says and what the replay gave, and it writes.
fn exported(network: &Network, events: &[Value]) {
    let (url, over) = (of(events, "chain")[0]["url"].as_str().unwrap(), of(events, "over")[0]);
    let job = over["job"].as_str().unwrap();
    let export = ["job", "export", job, "--url", url, "--out", "model", "--json"];
    let told = network.json(&export);
    assert_eq!((&told["baseRoot"], &told["final"]), (&over["baseRoot"], &true.into()), "{told}");
    assert_eq!(told["computed"], false, "the creator's process keeps it");
    // The weights are the first entries of the base, by their own hashes, and the base's root is that of the tree over all of them.
    let model = network.scratch.path().join("model");
    let (_, tensors) = sip_model::export::load_pretrained(&model).unwrap();
    let roots: Vec<[u8; 32]> = tensors
        .iter()
        .map(|tensor| {
            let bytes: Vec<u8> = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
            sip_manifest::value::content_hash(&bytes)
        })
        .collect();
    let provenance: Value = serde_json::from_slice(&std::fs::read(model.join("sip.json")).unwrap()).unwrap();
    let named = provenance["entryRoots"].as_array().unwrap().iter().map(|root| sip_data::unhex(root.as_str().unwrap()));
    let named: Vec<[u8; 32]> = named.map(Option::unwrap).collect();
    assert_eq!(named[..roots.len()], roots);
    let root = sip_proof::merkle::MerkleTree::new(named).root();
    assert_eq!(sip_data::hex(&root), over["baseRoot"].as_str().unwrap());
    let written = network.json(&["generate", "--model", "model", "--json", "The people"]);
    assert!(written["text"].as_str().is_some_and(|text| !text.is_empty()), "{written}");
    // The same folder again, and never one with other things in it.
    assert_eq!(network.json(&export)["baseRoot"], over["baseRoot"]);
    std::fs::write(network.scratch.path().join("model/diary.txt"), "x").unwrap();
    let refused = String::from_utf8(network.sip(&export).stderr).unwrap();
    assert!(refused.contains("holds diary.txt, which no \\\"sip job export\\\" wrote"), "{refused}");
}

/// What the way out of a failed export says: computes the model of any round anew, and takes it from there.
fn kept_models(network: &Network, events: &[Value]) {
    let (url, over) = (of(events, "chain")[0]["url"].as_str().unwrap(), of(events, "over")[0]);
    let job = over["job"].as_str().unwrap();
    let of_round = ["--round", "1", "--keep", "cache of models", "--json"];
    let found = network.json(&[&["verify", "--url", url, job][..], &of_round].concat());
    assert_eq!(found["verified"], true, "{found}");
    let out = ["--out", "model of round 1"];
    let told = network.json(&[&["job", "export", job, "--url", url][..], &of_round, &out].concat());
    assert_eq!((&told["round"], &told["computed"]), (&1.into(), &false.into()), "{told}");
    // Of what nobody serves any more it came from the folder: only the tokenizer was fetched.
    assert!(told["fetchedBytes"].as_u64().unwrap() < 100_000, "{told}");
    crate::law::keeps("sip job export", &told);
    crate::law::keeps("sip verify", &found);
    let status = network.json(&["node", "status", "--data", "net/people/creator/node", "--json"]);
    crate::law::keeps("sip node status", &status);
    assert_eq!((&status["state"], &status["roundsScored"]), (&"serving".into(), &2.into()), "{status}");
    for words in [
        &["job", "list"][..],
        &["job", "show", job],
        &["job", "rounds", job],
        &["job", "seats", job],
        &["node", "plan", job],
    ] {
        crate::law::keeps(&words.join(" "), &network.json(&[words, &["--url", url, "--json"]].concat()));
    }
}

/// Verifies the job again and again while it runs, until it is told to stop; gives how often it was found true, and all that was found false.
fn verifies(network: &Network, stop: &AtomicBool) -> (u32, Vec<String>) {
    let (mut found_true, mut found_false) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(1_500));
        let known = std::fs::read(network.folder().join("network.json")).unwrap_or_default();
        let known: Value = serde_json::from_slice(&known).unwrap_or_default();
        let Some(job) = known["job"].as_str() else { continue };
        let url = format!("http://127.0.0.1:{}", known["chain"]["port"]);
        let output = network.sip(&["verify", "--json", "--keep", "cache", "--url", &url, job]);
        match output.status.code() {
            Some(0) => found_true += 1,
            Some(code @ (3 | 6)) => found_false.push(format!("{code}: {}", String::from_utf8_lossy(&output.stdout))),
            // Nobody serves yet, or the chain has ended.
            _ => {}
        }
    }
    (found_true, found_false)
}

#[test]
fn strangers_train_a_model_and_convict_the_liar_among_them() {
    let network = Network::new();
    let stop = AtomicBool::new(false);
    let (events, (found_true, found_false)) = std::thread::scope(|scope| {
        let verifying = scope.spawn(|| verifies(&network, &stop));
        let up = ["network", "up", "--json", "--rounds", "2"];
        let followed = std::panic::catch_unwind(|| network.follow(&up, Duration::from_secs(240)));
        stop.store(true, Ordering::Relaxed);
        let verified = verifying.join().unwrap();
        (followed.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), verified)
    });
    // Whatever phase it is in, the job is called false for the liar's segment alone, as long as that counts, and never as what is final.
    let is_lie = |found: &String| {
        found.starts_with("6: ") && found.contains("its segment counts, and is not what the replay gives")
    };
    assert!(found_true >= 3 && found_false.iter().all(is_lie), "{found_true} {found_false:?}");
    assert_eq!(of(&events, "started").len(), 10);
    let convicted = of(&events, "convicted");
    assert!(!convicted.is_empty() && convicted.iter().all(|event| event["who"] == "trainer 3"), "{events:#?}");
    assert!(of(&events, "scored").len() >= 2, "{events:#?}");
    let found = verified(&network, &events);
    assert!(
        found["convictedSegments"].as_u64().unwrap() >= 1 && found["fetchedBytes"].as_u64().unwrap() > 0,
        "{found}"
    );
    exported(&network, &events);
    let again = network.sip(&["network", "up", "--rounds", "2"]);
    let told = String::from_utf8(again.stdout).unwrap();
    let so_far = "so far: 2 of 2 rounds scored, all of it final; trainer 3 was convicted in round 2";
    assert!(told.contains(so_far) && !told.contains("0:00"), "{told}");
    kept_models(&network, &events);
    let status = network.json(&["network", "status", "--json"]);
    crate::law::keeps("sip network status", &status);
    assert_eq!((&status["job"]["final"], &status["job"]["roundsScored"]), (&true.into(), &2.into()), "{status}");
    assert_eq!(status["chain"]["url"], of(&events, "chain")[0]["url"]);
    let down = network.json(&["network", "down", "--json"]);
    assert!(down["processes"].as_u64().unwrap() >= 1 && network.processes().is_empty(), "{down}");
    // What was brought down is known again.
    assert_eq!(network.json(&["network", "down", "--json"])["processes"], 0);
}

/// The own bonds of all pools, base units.
fn bonds(network: &Network, url: &str) -> std::collections::BTreeMap<String, u64> {
    let pools = network.json(&["pool", "list", "--json", "--url", url]);
    let bond =
        |pool: &Value| Some((pool["pool"].as_str()?.to_owned(), pool["ownBondBaseUnits"].as_str()?.parse().ok()?));
    pools.as_array().unwrap().iter().filter_map(bond).collect()
}

/// Twelve rounds, in which a process that is drawn by chance is killed every 5 to 20 seconds, also the chain's, and started again: run by
/// `cargo test --release -p sip --test commands network::kills -- --ignored --nocapture`.
#[test]
#[ignore = "takes half an hour"]
fn kills_of_any_process_at_any_time_lose_no_round_and_no_honest_bond() {
    let network = Network::new();
    let up = ["network", "up", "--json", "--rounds", "12", "--phase-seconds", "60", "--detach"];
    let began: Vec<Value> = network.follow(&up, Duration::from_secs(300));
    let url = of(&began, "chain")[0]["url"].as_str().unwrap().to_owned();
    let before = bonds(&network, &url);
    let mut killed = 0;
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: u64| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance % below
    };
    let over = AtomicBool::new(false);
    let events = std::thread::scope(|scope| {
        let following = scope.spawn(|| {
            let events = network.follow(&["network", "up", "--json", "--rounds", "12"], Duration::from_secs(5_400));
            over.store(true, Ordering::Relaxed);
            events
        });
        while !over.load(Ordering::Relaxed) && !following.is_finished() {
            std::thread::sleep(Duration::from_secs(5 + next(16)));
            let mut running = network.processes();
            running.extend(network.chain_process().map(|process| ("the chain".to_owned(), process)));
            let Some((who, process)) = running.get(next(running.len().max(1) as u64) as usize) else { continue };
            killed += 1;
            eprintln!("killing {who}");
            let _ = Command::new("kill").args(["-9", &process.to_string()]).status();
            network.sip(&up);
        }
        following.join().unwrap()
    });
    let convicted = of(&events, "convicted");
    assert!(!convicted.is_empty() && convicted.iter().all(|event| event["who"] == "trainer 3"), "{events:#?}");
    // The liar lost its slice, and nobody else anything: no absence, no claim.
    let after = bonds(&network, &url);
    let lost: Vec<&String> = before.iter().filter(|(pool, bond)| after[*pool] < **bond).map(|(pool, _)| pool).collect();
    assert_eq!(lost.len(), 1, "of {before:?} is left {after:?}");
    let all = [began, events].concat();
    let found = verified(&network, &all);
    eprintln!("{killed} kills; {found}");
}
