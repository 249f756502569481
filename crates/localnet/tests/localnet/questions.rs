//! The questionnaire of `interop/questions`: what a real test validator has answered, asked of the local chain.

use crate::common::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(repository(path)).unwrap()).unwrap()
}

/// Without Python it says nothing; the gate has it.
#[test]
fn every_answer_is_agaves_or_differs_for_a_reason_that_is_told() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.slot = Some(Duration::from_millis(50));
    let chain = sip_localnet::Localnet::start(config).unwrap();
    let asked = Command::new("python3")
        .arg(repository("interop/questions/ask.py"))
        .arg(chain.url())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success(), "{told}\n{}", String::from_utf8_lossy(&asked.stderr));
    assert!(json("interop/questions/agave-4.2.2.json")["answers"].as_object().unwrap().len() >= 600);
}

/// The page says each reason, and none besides.
#[test]
fn the_page_for_clients_tells_every_difference() {
    let page = std::fs::read_to_string(repository("docs/clients.md")).unwrap();
    let (_, rest) = page.split_once("<!-- differences -->\n").unwrap();
    let (list, _) = rest.split_once("<!-- end of differences -->").unwrap();
    let told: BTreeSet<&str> = list.lines().filter_map(|line| line.strip_prefix("- ")).collect();
    let file = json("interop/questions/differences.json");
    let meant = file["differences"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap());
    assert_eq!(told, meant.collect());
}
