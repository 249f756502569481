//! Words that are wrong, and files that are not there: what is said, with which code and exit code, before anything is read or written.

use crate::snapshot::compare;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A command in an empty folder, where no variable of ours is set and no chain answers.
fn sip(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sip"));
    for variable in ["SIP_KEY", "SIP_PROGRAM", "COLUMNS"] {
        command.env_remove(variable);
    }
    command.env("SIP_URL", "http://127.0.0.1:1").env("SIP_NAMES", folder.join("names.json"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

/// The error object of a command, whose exit code is checked; it has written nothing.
fn error(folder: &Path, arguments: &[&str]) -> Value {
    let output = sip(folder, &[arguments, &["--json"]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    let object: Value = serde_json::from_str(said.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("{arguments:?}: {said}"));
    let error = object["error"].clone();
    assert_eq!(error["exitCode"].as_i64(), output.status.code().map(i64::from), "{arguments:?}: {error}");
    error
}

#[test]
fn wrong_words_are_refused_with_exit_code_2_before_anything_is_read() {
    let (folder, mut kept) = (tempfile::tempdir().unwrap(), String::new());
    for line in [
        "emission --years 0",
        "emission --years 51",
        "emission --staked 91",
        "quality --jobs 0",
        "quality --beginnings 101",
        "security --audit-rate 101",
        "security --audit-rate -1",
        "security --audit-rate NaN",
        "security --second-rate 100.5",
        "security --bounty -3",
        "security --stake 0",
        "security --bounty-cap inf",
        "security --gain 1e10",
        "security --auditors 0",
        "security --auditors 17",
        "security --auditors 2 --colluding 3",
        "security --rounds 0",
        "security --trials 1000001",
        "demo --cheat foo",
        "demo --cheat lazy,poison,flip-bit",
        "demo --cheat update",
        "demo --cheat late --updates compressed",
        "demo --rounds 0",
        "demo --steps -1",
        "demo --model huge",
        "demo --resume --quick",
        "eval",
        "eval text.txt --context 0",
        "eval text.txt --stride 0",
        "generate The --top-p 2",
        "generate The --top-p 0",
        "generate The --temperature -1",
        "generate The --temperature nan",
        "generate The --repetition-penalty 0",
        "generate The --max-tokens -1",
        "generate The --threads 0",
        "generate",
        "graph show --batch 0",
        "graph show --sequence 0",
        "graph show --sequence 99999",
        "graph show --model tiny --batch 32768 --sequence 128",
        "train",
        "train --resume run --out other",
        "finetune --model m --data d --rank 0 --lora",
        "finetune --model m --data d --rank 4",
        "finetune --model m --data d --lora --alpha 0",
        "finetune --model m --data d --lora --targets q,x",
        "finetune --model m --data d --learning-rate 0",
        "finetune --model m --data d --learning-rate -1e-3",
        "finetune --model m --data d --warmup 200",
        "finetune --model m --data d --weight-decay 11",
        "finetune --model m --data d --beta 0",
        "finetune --model m --data d --sequence 0",
        "finetune --model m --data d --max-bytes 0",
        "finetune --model m --data d --steps 0",
        "finetune --model m",
        "localnet --port 70000",
        "localnet --authority nobody",
        "localnet --program nobody=x",
        "wallet airdrop 0",
        "wallet airdrop -3",
        "wallet send bob",
        "wallet send bob 1e3",
        "wallet history --limit 0",
        "wallet name all 11111111111111111111111111111111",
        "wallet show --program foo",
        "wallet show --url ftp:",
        "pool create --kind trainer --bond -5",
        "pool create --kind miner --bond 5000",
        "stake deposit trainer 1 --slippage-bps 10001",
        "lock create JOB novels 5 --months 49",
        "lock extend JOB novels",
        "fee pay MODEL 5 SERVER --receipt xyz",
        "protocol distribute WALLET -5",
        "tokenize",
        "completions tcsh",
        "dispute show",
        "job create",
        "job create --config job.toml --example",
        "data publish",
        "data publish text.txt --domain novels",
        "data publish text.txt --domain novels --licence CC0-1.0 --vocabulary 10",
        "data publish text.txt --domain novels --licence CC0-1.0 --sequence 0",
        "network up --trainers 0",
        "network up --trainers 17",
        "network up --rounds 0",
        "network up --slot-ms 1",
        "network up --model large",
        "network up --cheat foo",
        "network up --trainers 1",
        "verify sip-out --peer 127.0.0.1:9000",
        "nonsense",
        "",
    ] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let error = error(folder.path(), &arguments);
        assert_eq!((error["code"].as_str(), error["exitCode"].as_i64()), (Some("usage"), Some(2)), "{line}: {error}");
        let said = error["message"].as_str().unwrap();
        assert!(!said.contains("tip:") && !said.contains("'-- -"), "{line}: {said}");
        kept += &format!("sip {line}\n  {said}\n");
    }
    compare("wrong-words.txt", &kept);
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[test]
fn what_is_not_there_is_told_as_that() {
    let (folder, mut kept) = (tempfile::tempdir().unwrap(), String::new());
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    for (line, words) in [
        ("verify nope", "there is no folder nope"),
        ("verify empty", "empty holds no run"),
        ("generate The", "there is no model in sip-out/model"),
        ("generate The --model nope", "there is no model in nope"),
        ("tokenize The --model nope", "there is no model in nope"),
        ("eval nope.txt", "nope.txt: there is no such file or folder"),
        ("eval --choices nope.jsonl", "nope.jsonl"),
        ("demo --data nope.txt", "nope.txt: there is no such file or folder"),
        ("demo --data nope.txt nor.txt", "nor.txt"),
        ("demo --resume --out nope", "there is no folder nope"),
        ("train --config nope.toml", "there is no file nope.toml; \"sip train --example\" prints one"),
        ("train --resume nope", "nope"),
        ("finetune --model nope --data nope.txt", "nope"),
        ("finetune --resume nope", "nope"),
        ("graph show --model nope", "nope is neither a preset"),
        ("dispute list --run nope", "there is no folder nope"),
        ("wallet address --key nope.json", "nope.json"),
        ("protocol init --parameters nope.toml", "nope.toml"),
        ("job create --config nope.toml", "there is no file nope.toml; \"sip job create --example\" prints one"),
        ("data publish nope.txt --domain novels --licence CC0-1.0", "nope.txt: there is no such file or folder"),
        ("network down", "there is no network in sip-network"),
        ("network status --folder nope", "there is no network in nope"),
        ("localnet --faucet nope.json", "nope.json"),
        ("localnet --program 11111111111111111111111111111112=nope.so", "nope.so"),
    ] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let error = error(folder.path(), &arguments);
        let said = error["message"].as_str().unwrap();
        assert_eq!(
            (error["code"].as_str(), error["exitCode"].as_i64()),
            (Some("not-found"), Some(1)),
            "{line}: {error}"
        );
        assert!(said.contains(words) && !said.contains("os error"), "{line}: {said}");
        kept += &format!("sip {line}\n  {said}\n");
    }
    compare("not-there.txt", &kept);
}

#[test]
fn advice_is_for_what_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.txt"), "").unwrap();
    std::fs::create_dir_all(folder.path().join("cut off/run")).unwrap();
    std::fs::write(folder.path().join("cut off/run/journal-2.json"), "{}").unwrap();
    let said = |arguments: &[&str]| error(folder.path(), arguments)["message"].as_str().unwrap().to_owned();
    assert!(said(&["generate", "The", "--temperature", "-1"]).contains("expected 0 or more"));
    assert!(said(&["wallet", "show", "--program", "foo"]).contains("no address: one is 32 bytes in base58"));
    assert!(said(&["demo", "--resume", "--quick"]).contains("keeps the settings that it began with"));
    assert!(said(&["eval", "empty.txt"]).ends_with("empty.txt is empty: give a file that has text"));
    let unfinished = said(&["generate", "The", "--model", "cut off/model"]);
    assert!(
        unfinished.contains("not finished") && unfinished.contains("sip demo --resume --out 'cut off'"),
        "{unfinished}"
    );
    let down = said(&["wallet", "show", "11111111111111111111111111111111"]);
    assert!(down.contains("is the chain running?") && !down.contains("check the address"), "{down}");
}

#[test]
fn a_port_that_is_taken_costs_no_chain() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let start =
        |more: &[&str]| error(folder.path(), &[&["localnet", "--port", &port, "--data", "chain"], more].concat());
    assert_eq!(start(&[])["exitCode"], 1);
    assert!(!folder.path().join("chain").exists());
    // Nor is one removed.
    std::fs::create_dir(folder.path().join("chain")).unwrap();
    std::fs::write(folder.path().join("chain/genesis.json"), "{}").unwrap();
    start(&["--reset"]);
    assert!(folder.path().join("chain/genesis.json").exists());
}
