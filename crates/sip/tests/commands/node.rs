//! `sip node` where nothing can run: what it says, and that it touches nothing.

use std::fs::File;
use std::process::{Command, Output};

fn sip(folder: &std::path::Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sip"));
    for variable in ["SIP_KEY", "SIP_URL", "SIP_PROGRAM", "COLUMNS"] {
        command.env_remove(variable);
    }
    command.args(words).current_dir(folder).output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_second_process_in_the_folder_of_a_node_is_refused_before_it_does_anything() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::create_dir(scratch.path().join("node")).unwrap();
    let lock = File::create(scratch.path().join("node/.lock")).unwrap();
    lock.lock().unwrap();
    let refused = sip(scratch.path(), &["node", "run", "J", "--role", "turner", "--data", "node"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = error(&refused);
    assert!(said.contains("another process runs \"sip node run\" in node"), "{said}");
    assert!(said.contains("choose another folder with --data"), "{said}");
}

#[test]
fn a_node_that_is_not_there_has_no_status_and_one_that_was_killed_says_so() {
    let scratch = tempfile::tempdir().unwrap();
    let missing = sip(scratch.path(), &["node", "status", "--json"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(error(&missing).contains("there is no node in sip-node"), "{}", error(&missing));
    assert!(!scratch.path().join("sip-node").exists(), "looking makes nothing");
    let folder = scratch.path().join("node");
    std::fs::create_dir(&folder).unwrap();
    let status = sip_driver::node::Status {
        state: sip_driver::node::State::Running,
        job: "J".into(),
        round: 2,
        rounds: 9,
        phase: Some("vote".into()),
        until_slot: Some(70),
        until: Some(1_000),
        written: 940,
        awaited: vec![sip_driver::node::Awaited {
            role: "auditor".into(),
            place: 1,
            pool: "P".into(),
            what: "its vote for the next base".into(),
            is_own: false,
        }],
        ..sip_driver::node::Status::default()
    };
    std::fs::write(folder.join("status.json"), serde_json::to_string(&status).unwrap()).unwrap();
    let shown = sip(scratch.path(), &["node", "status", "--data", "node"]);
    let said = String::from_utf8_lossy(&shown.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("not running; the same command goes on from here"), "{said}");
    let waits = "its vote for the next base of auditor 2, until slot 70 at the latest: 00:16:40 UTC, in 60 s";
    assert!(said.contains(waits), "{said}");
    // Where a clock is waited for, it ends when it says, and the seats are told that keep the wallet from its work.
    let status = sip_driver::node::Status {
        phase: Some("scored".into()),
        awaited: Vec::new(),
        waits_for: Some("the end of the challenge time of round 2".into()),
        seats: vec![sip_driver::node::OwnSeat {
            line: "none as auditor: this wallet does nothing in that role".into(),
            ..Default::default()
        }],
        fetches: vec!["the base of round 2, which auditor 1 voted for, of which nothing came for 20 s".into()],
        ..status.clone()
    };
    std::fs::write(folder.join("status.json"), serde_json::to_string(&status).unwrap()).unwrap();
    let shown = sip(scratch.path(), &["node", "status", "--data", "node"]);
    let said = String::from_utf8_lossy(&shown.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "the end of the challenge time of round 2, until slot 70: 00:16:40 UTC, in 60 s",
        "none as auditor",
        "which auditor 1 voted for, of which nothing came for 20 s",
        "round 2, 0 of 9 scored",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn the_status_of_a_node_is_an_object_for_programs() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("node");
    std::fs::create_dir(&folder).unwrap();
    let awaited = sip_driver::node::Awaited {
        role: "auditor".into(),
        place: 1,
        pool: "P".into(),
        what: "its vote for the next base".into(),
        is_own: false,
    };
    let status = sip_driver::node::Status { phase: Some("vote".into()), awaited: vec![awaited], ..Default::default() };
    std::fs::write(folder.join("status.json"), serde_json::to_string(&status).unwrap()).unwrap();
    let json = sip(scratch.path(), &["node", "status", "--data", "node", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["phase"], &json["awaited"][0]["place"]), (&"vote".into(), &1.into()));
}

#[test]
fn a_page_that_others_could_see_and_a_sum_that_is_none_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let refused = sip(scratch.path(), &["node", "run", "J", "--role", "turner", "--max-fee", "-1"]);
    assert_eq!(refused.status.code(), Some(2));
    let refused = sip(scratch.path(), &["node", "run", "J", "--role", "king"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(error(&refused).contains("trainer, auditor, evaluator, provider, turner, keeper, watchtower"));
}
