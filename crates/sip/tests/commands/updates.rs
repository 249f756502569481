//! The main job with compressed updates, through the binary.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn sip(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sip"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn path(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn summary(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn demo(updates: &str, cheat: &str, folder: &Path) -> Command {
    sip(&["demo", "--quick", "--json", "--seed", "6", "--updates", updates, "--cheat", cheat, "--out", path(folder)])
}

/// A summary without what depends on the machine.
fn lasting(mut summary: Value) -> Value {
    summary.as_object_mut().unwrap().remove("timings");
    summary
}

/// Bytes that the segments of the first round handed over.
fn exchanged(summary: &Value) -> u64 {
    summary["rounds"][0]["exchanged_bytes"].as_u64().unwrap()
}

/// Held-out loss after the last round, added up over the domains.
fn loss(summary: &Value) -> f64 {
    let last = summary["rounds"].as_array().unwrap().last().unwrap();
    last["loss"].as_array().unwrap().iter().map(|loss| loss.as_f64().unwrap()).sum()
}

#[test]
fn updates_are_exchanged_learned_from_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second, whole) = (folder.path().join("1"), folder.path().join("2"), folder.path().join("whole"));
    let compressed = summary(&demo("compressed", "none", &first).output().unwrap());
    let whole = summary(&demo("whole", "none", &whole).output().unwrap());
    assert_eq!(exchanged(&whole), 3 * 12 * whole["model"]["parameters"].as_u64().unwrap());
    assert!(exchanged(&compressed) * 18 < exchanged(&whole), "{} of {}", exchanged(&compressed), exchanged(&whole));
    let (of_compressed, of_whole) = (loss(&compressed), loss(&whole));
    assert!(of_compressed < 1.03 * of_whole, "{of_compressed} against {of_whole}");
    // One thread and no vector instructions: not one bit differs.
    let again = demo("compressed", "none", &second).env("SIP_THREADS", "1").env("SIP_SIMD", "scalar").output().unwrap();
    assert_eq!(lasting(summary(&again)), lasting(compressed));
    let verified = summary(&sip(&["verify", "--json", path(&first)]).output().unwrap());
    assert_eq!((&verified["verified"], &verified["segments"]), (&Value::Bool(true), &Value::from(12)));
    // One who takes the job for one of whole states is told so.
    let settings = first.join("run/settings.json");
    let text = std::fs::read_to_string(&settings).unwrap().replace("\"compressed\"", "\"whole\"");
    std::fs::write(&settings, text).unwrap();
    let refused = sip(&["verify", path(&first)]).output().unwrap();
    assert!(
        refused.status.code() == Some(3) && said(&refused).contains("the job committed other graphs"),
        "{}",
        said(&refused)
    );
}

#[test]
fn a_cheat_is_convicted_and_left_out_and_the_run_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let cheated = summary(&demo("compressed", "flip-bit", folder.path()).output().unwrap());
    assert_eq!(
        (&cheated["disputes"][0]["outcome"], &cheated["disputes"][0]["defendant"]),
        (&"convicted".into(), &"trainer 3".into())
    );
    assert_eq!(cheated["rounds"][3]["segments"].as_array().unwrap().len(), 2);
    let verified = summary(&sip(&["verify", "--json", path(folder.path())]).output().unwrap());
    assert_eq!((&verified["verified"], &verified["convicted_segments"]), (&Value::Bool(true), &Value::from(1)));
}

#[test]
fn a_false_update_is_convicted_by_its_graph_and_a_false_vote_by_that_of_the_base() {
    let folder = tempfile::tempdir().unwrap();
    let cheated = summary(&demo("compressed", "update,vote", folder.path()).output().unwrap());
    let disputes = cheated["disputes"].as_array().unwrap();
    for (subject, defendant) in [("update", "trainer 3"), ("vote", "auditor 3")] {
        let dispute = disputes.iter().find(|dispute| dispute["subject"] == subject).unwrap();
        assert_eq!((&dispute["outcome"], &dispute["defendant"]), (&"convicted".into(), &defendant.into()));
        assert!(dispute["verdict"].as_str().unwrap().contains("the program ran 1 term"), "{dispute}");
    }
    let verified = summary(&sip(&["verify", "--json", path(folder.path())]).output().unwrap());
    assert_eq!((&verified["verified"], &verified["convicted_segments"]), (&Value::Bool(true), &Value::from(1)));
    let refused = demo("whole", "update", &folder.path().join("whole")).output().unwrap();
    assert!(!refused.status.success() && said(&refused).contains("--updates whole"), "{}", said(&refused));
}

#[test]
fn a_killed_run_goes_on_from_the_updates_that_were_applied() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let expected = summary(&demo("compressed", "none", &whole).output().unwrap());
    let mut child = demo("compressed", "none", &broken).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let saved = |round: u32| broken.join(format!("run/journal-{round}.json")).exists();
    while !(2..5).any(saved) && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    // A run that is done already needs no end; it is resumed all the same.
    let _ = child.kill();
    child.wait().unwrap();
    let resumed = summary(&sip(&["demo", "--resume", "--json", "--out", path(&broken)]).output().unwrap());
    assert_eq!(lasting(resumed), lasting(expected));
}
