//! The main job in miniature, through the binary: every cheat, the honest run, interruptions, and bad input.

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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeed(output: Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn demo(folder: &Path, seed: &str, cheat: &str) -> Value {
    let arguments = ["demo", "--quick", "--json", "--seed", seed, "--cheat", cheat, "--out", path(folder)];
    serde_json::from_str(&succeed(sip(&arguments).output().unwrap())).unwrap()
}

/// A summary without what depends on the machine.
fn lasting(mut summary: Value) -> Value {
    summary.as_object_mut().unwrap().remove("timings");
    summary
}

fn participant<'a>(summary: &'a Value, name: &str) -> &'a Value {
    summary["participants"].as_array().unwrap().iter().find(|p| p["name"] == name).unwrap()
}

/// An amount in base units, which JSON has as a text, in tokens.
fn sip_of(amount: &Value) -> f64 {
    amount.as_str().unwrap_or_else(|| panic!("{amount}")).parse::<u64>().unwrap() as f64 / 1e9
}

fn lost(summary: &Value, name: &str) -> f64 {
    sip_of(&participant(summary, name)["lost_base_units"])
}

fn a_cheating_trainer_is_convicted(cheat: &str, seed: &str) {
    let folder = tempfile::tempdir().unwrap();
    let summary = demo(folder.path(), seed, cheat);
    let disputes = summary["disputes"].as_array().unwrap();
    assert_eq!(disputes.len(), 1, "{disputes:?}");
    assert_eq!(disputes[0]["outcome"], "convicted");
    assert_eq!(disputes[0]["defendant"], "trainer 3");
    assert!(disputes[0]["defendant_transactions"].as_u64().unwrap() <= 24);
    // The slice behind the segment is gone, and delegators lose with their operator; the accuser earns.
    assert!(lost(&summary, "trainer 3") >= 8_500.0);
    assert!(lost(&summary, "patron 1") > 0.0);
    let challenger = disputes[0]["challenger"].as_str().unwrap();
    let reasons = participant(&summary, challenger)["reasons"].to_string();
    assert!(reasons.contains("bounty for convicting trainer 3"), "{reasons}");
    // The segment is left out of the aggregate, and its trainer of later rounds.
    let rounds = summary["rounds"].as_array().unwrap();
    assert_eq!(rounds[2]["segments"][2]["status"], "convicted");
    assert_eq!(rounds[3]["segments"].as_array().unwrap().len(), 2);
    assert_eq!(summary["chain"]["conserved"], true);
    let verified = sip(&["verify", path(folder.path()), "--json"]).output().unwrap();
    let finding: Value = serde_json::from_str(&succeed(verified)).unwrap();
    assert_eq!((&finding["verified"], &finding["convicted_segments"]), (&Value::Bool(true), &Value::from(1)));
}

#[test]
fn a_flipped_bit_is_convicted() {
    a_cheating_trainer_is_convicted("flip-bit", "1");
    a_cheating_trainer_is_convicted("flip-bit", "2");
}

#[test]
fn a_lazy_copy_is_convicted() {
    a_cheating_trainer_is_convicted("lazy", "3");
}

#[test]
fn a_poisoned_gradient_is_convicted() {
    a_cheating_trainer_is_convicted("poison", "4");
}

#[test]
fn wrong_data_are_convicted() {
    a_cheating_trainer_is_convicted("wrong-data", "5");
}

#[test]
fn another_learning_rate_than_stake_set_is_convicted() {
    a_cheating_trainer_is_convicted("wrong-setting", "9");
}

#[test]
fn a_false_accuser_loses_its_bond_and_its_victim_stays() {
    let folder = tempfile::tempdir().unwrap();
    let summary = demo(folder.path(), "6", "false-accusation");
    let disputes = summary["disputes"].as_array().unwrap();
    assert_eq!(disputes.len(), 1);
    assert_eq!(disputes[0]["outcome"], "acquitted");
    assert!(disputes[0]["path"].as_array().unwrap().len() > 6, "the accuser gave up before the bottom");
    assert!(lost(&summary, "auditor 2") >= 100.0);
    assert_eq!(lost(&summary, "trainer 1"), 0.0);
    assert_eq!(summary["rounds"][3]["segments"].as_array().unwrap().len(), 3);
    assert_eq!(sip_of(&summary["chain"]["burned_base_units"]), 50.0);
}

#[test]
fn a_lying_evaluator_is_slashed_and_moves_no_score() {
    let folder = tempfile::tempdir().unwrap();
    let lied = demo(&folder.path().join("lied"), "7", "lying-evaluator");
    let honest = demo(&folder.path().join("honest"), "7", "none");
    assert!(lost(&lied, "evaluator 3") > 0.0);
    assert_eq!(lost(&lied, "evaluator 1"), 0.0);
    for round in 0..4 {
        assert_eq!(lied["rounds"][round]["loss"], honest["rounds"][round]["loss"]);
    }
}

/// In a run of every fourth seed nobody draws the first lie in the audit of the third round. Before the round is final an auditor draws it
/// again, and the model that comes out carries none of it.
#[test]
fn a_lie_that_no_first_draw_selects_is_found_before_its_round_is_final() {
    let runs = (3..27).map(|seed: u32| {
        let (folder, seed) = (tempfile::tempdir().unwrap(), seed.to_string());
        let run = ["demo", "--quick", "--json", "--rounds", "6", "--steps", "6", "--cheat", "flip-bit"];
        let arguments = [&run[..], &["--seed", &seed, "--out", path(folder.path())]].concat();
        let summary: Value = serde_json::from_str(&succeed(sip(&arguments).output().unwrap())).unwrap();
        assert_eq!(summary["checked"]["false_segments"], 0, "seed {seed}");
        (folder, summary)
    });
    let mut runs = runs.skip_while(|(_, summary)| summary["undone"].as_array().unwrap().is_empty());
    let (folder, summary) = runs.next().expect("one of 24 seeds in which nobody draws the first lie");
    let undone = summary["undone"].as_array().unwrap();
    assert_eq!((undone.len(), &undone[0]["round"]), (1, &Value::from(3)));
    let liar = &undone[0]["segments"][2];
    assert_eq!((&liar["trainer"], &liar["status"]), (&Value::from("trainer 3"), &Value::from("convicted")));
    assert_eq!(undone[0]["segments"][0]["status"], "accepted", "the round was closed with the lie in it");
    assert!(sip_of(&undone[0]["segments"][0]["reward_base_units"]) > 0.0, "honest work is paid");
    assert!(lost(&summary, "trainer 3") >= 8_500.0);
    assert_eq!(summary["rounds"][2]["segments"].as_array().unwrap().len(), 2, "it is played again without the liar");
    for auditor in ["auditor 1", "auditor 2"] {
        let reasons = participant(&summary, auditor)["reasons"].to_string();
        assert!(!reasons.contains("missed"), "{reasons}");
    }
    // What is in the model was checked, and the run says by whom, and what it is worth.
    let checked = &summary["checked"];
    assert_eq!(checked["false_segments"], 0);
    assert!((checked["replays_per_segment"].as_f64().unwrap() - 1.95).abs() < 1e-6);
    let odds = checked["odds"].as_array().unwrap();
    assert_eq!((odds.len(), &odds[1]["colluding"]), (2, &Value::from(1)));
    assert!(odds[0]["survival"].as_f64().unwrap() <= 0.01 && odds[0]["at_most"].as_f64().unwrap() <= 0.01);
    let sentence = checked["sentence"].as_str().unwrap();
    assert!(sentence.contains("with a chance of 0.0625 % if no auditor colluded, of 2.5 % if one did"), "{sentence}");
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(
        page.contains("1.950 replays for a segment") && page.contains("If one auditor colludes a single lie"),
        "{sentence}"
    );
    let verified = succeed(sip(&["verify", path(folder.path()), "--json"]).output().unwrap());
    let finding: Value = serde_json::from_str(&verified).unwrap();
    assert_eq!(finding["verified"], Value::Bool(true));
}

/// One run with everything that is not a trainer's false steps: all of it is punished, and honest work of undone rounds is paid.
#[test]
fn every_other_fraud_is_punished_and_what_was_built_on_one_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let cheats = "late,withhold,vote,attest,score,genesis,false-accusation";
    let summary = demo(folder.path(), "1", cheats);
    let disputes = summary["disputes"].as_array().unwrap();
    let of = |subject: &str| -> Vec<(&str, &str)> {
        let chosen = disputes.iter().filter(|dispute| dispute["subject"] == subject);
        chosen.map(|d| (d["defendant"].as_str().unwrap(), d["outcome"].as_str().unwrap())).collect()
    };
    assert_eq!(of("genesis state"), [("creator", "convicted")]);
    assert_eq!(of("vote"), [("auditor 4", "convicted")]);
    assert_eq!(of("attestation"), [("auditor 3", "convicted")]);
    assert_eq!(of("scoring run"), [("evaluator 4", "convicted")]);
    // The late one lies again, is convicted of that, and then of what it did before.
    let segments = [("trainer 1", "acquitted"), ("trainer 3", "convicted"), ("trainer 3", "convicted")];
    assert_eq!(of("segment"), segments);
    // What cannot undo a round stands on the least bond, everything else on a slice.
    assert!(lost(&summary, "auditor 3") >= 1_000.0);
    for name in ["auditor 4", "evaluator 4", "trainer 2", "trainer 3"] {
        assert!(lost(&summary, name) >= 8_500.0, "{name}");
    }
    for name in ["auditor 1", "evaluator 1", "evaluator 2", "evaluator 3", "trainer 1"] {
        assert_eq!(lost(&summary, name), 0.0, "{name}");
    }
    // A demand on chain, and silence.
    let demands = summary["demands"].as_array().unwrap();
    assert_eq!((demands.len(), &demands[0]["defendant"]), (1, &Value::from("trainer 2")));
    // The fraud's round and the one built on it are undone, and played again; honest work is paid, the liar's is not.
    let undone = summary["undone"].as_array().unwrap();
    let rewards = |round: usize| -> Vec<f64> {
        let segments = undone[round]["segments"].as_array().unwrap();
        segments.iter().map(|segment| sip_of(&segment["reward_base_units"])).collect()
    };
    assert_eq!(undone.len(), 2);
    // The liar's slice pays for both, the round that its lie was in and the one that was built on it.
    for paid in [0, 1].map(rewards) {
        assert!(paid[0] > 0.0 && paid[1] > 0.0 && paid[2] == 0.0, "{paid:?}");
    }
    assert_eq!(summary["rounds"].as_array().unwrap().len(), 4);
    assert_eq!(summary["chain"]["conserved"], true);
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    for text in ["undone and played again", "Demands for what was committed", "#of-auditor-4\">auditor 4</a>, vote"] {
        assert!(page.contains(text), "{text}");
    }
    // The replay names the cause, and whom it took along.
    let verified = succeed(sip(&["verify", path(folder.path()), "--json"]).output().unwrap());
    let finding: Value = serde_json::from_str(&verified).unwrap();
    assert_eq!((&finding["verified"], &finding["convicted_segments"]), (&Value::Bool(true), &Value::from(3)));
    assert!(finding["false_attestations"].as_u64().unwrap() > 0);
    let segments = finding["undone_segments"].as_array().unwrap();
    let is_false: Vec<bool> = segments.iter().map(|segment| segment["false"].as_bool().unwrap()).collect();
    assert_eq!(is_false, [false, false, true, false, false, true]);
    assert!(segments[3]["finding"].as_str().unwrap().contains("built on"));
    // The base that is no more is needed for that, and must be the one that was built on.
    let index = undone[0]["index"].as_u64().unwrap();
    let file = folder.path().join(format!("run/undone-{index}.state"));
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let output = sip(&["verify", path(folder.path())]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("undone-"), "{}", text(&output.stdout));
    // Changed files make no honest segment of an undone round a false one.
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let file = folder.path().join("run/journal-4.json");
    let mut journal: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let published = journal["published"].as_array_mut().unwrap();
    let honest = published.iter_mut().find(|p| p["round"] == index && p["place"] == 0).unwrap();
    honest["leaves"][0][2] = Value::from("0".repeat(64));
    std::fs::write(&file, journal.to_string()).unwrap();
    let output = sip(&["verify", path(folder.path())]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("published leaves"), "{}", text(&output.stdout));
}

#[test]
fn an_honest_run_learns_pays_everyone_and_is_the_same_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let summary = demo(&first, "8", "none");
    for p in summary["participants"].as_array().unwrap() {
        assert_eq!(sip_of(&p["lost_base_units"]), 0.0, "{p}");
        assert!(sip_of(&p["earned_base_units"]) > 0.0, "{p}");
    }
    for domain in 0..3 {
        let before = summary["initial_loss"][domain].as_f64().unwrap();
        let after = summary["rounds"][3]["loss"][domain].as_f64().unwrap();
        assert!(after < before - 0.3, "domain {domain}: {before} to {after}");
    }
    // A patron leans on the learning rate in the first round, half as much as the default weighs; it counts for nearly all of the next.
    let setting = &summary["settings"][0];
    assert_eq!(
        (&setting["name"], &setting["lower"], &setting["upper"]),
        (&"learning-rate".into(), &0.5.into(), &2.0.into())
    );
    let values: Vec<f64> = (0..4).map(|round| summary["rounds"][round]["settings"][0].as_f64().unwrap()).collect();
    assert!(values[0] == 1.0 && values[1..].iter().all(|value| (1.3..=4.0 / 3.0).contains(value)), "{values:?}");
    // One thread and no vector instructions: not one bit differs.
    let arguments = ["demo", "--quick", "--json", "--seed", "8", "--cheat", "none", "--out", path(&second)];
    let again = sip(&arguments).env("SIP_THREADS", "1").env("SIP_SIMD", "scalar").output().unwrap();
    assert_eq!(lasting(serde_json::from_str(&succeed(again)).unwrap()), lasting(summary));
    let page = std::fs::read_to_string(first.join("report.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("src=") && !page.contains("href="));
    let written =
        succeed(sip(&["generate", "--model", path(&first.join("model")), "The", "--tokens", "8"]).output().unwrap());
    assert!(written.starts_with("The") && written.trim_end().len() > 3, "{written}");
}

#[test]
fn what_a_run_disputed_is_looked_into_and_audited_after_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let run = path(folder.path());
    let told = succeed(sip(&["demo", "--quick", "--cheat", "flip-bit", "--seed", "1", "--out", run]).output().unwrap());
    // Each of the commands that it names does something.
    let next: Vec<&str> = told.split("\nNext:\n").nth(1).unwrap().lines().map(str::trim).collect();
    assert_eq!(next.len(), 4, "{next:?}");
    for line in next {
        let words: Vec<&str> = line.split(' ').skip(1).map(|word| word.trim_matches('"')).collect();
        assert!(!succeed(sip(&words).output().unwrap()).is_empty(), "{line}");
    }
    let summary: Value = serde_json::from_slice(&std::fs::read(folder.path().join("summary.json")).unwrap()).unwrap();
    let address = summary["disputes"][0]["address"].as_str().unwrap();
    let listed = succeed(sip(&["dispute", "list", "--run", run, "--json"]).output().unwrap());
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["dispute"], &listed[0]["of"]), (&address.into(), &"segment".into()));
    let shown = succeed(sip(&["dispute", "show", &address[..6], "--run", run]).output().unwrap());
    assert!(shown.contains("Decided: convicted") && shown.contains("piece"), "{shown}");
    let missing = sip(&["dispute", "show", "Nowhere", "--run", run]).output().unwrap();
    assert!(text(&missing.stderr).contains("first 4 letters or more of a dispute"), "{}", text(&missing.stderr));
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains(address) && page.contains("href=\"#of-trainer-3\"") && page.contains("id=\"of-trainer-3\""));

    // An auditor says at its end what it came to, and of a lie that somebody was convicted of it.
    let key = folder.path().join("key.json");
    succeed(sip(&["wallet", "new", path(&key)]).output().unwrap());
    let audit = || sip(&["audit", "--run", run]).env("SIP_KEY", &key).output().unwrap();
    let first = succeed(audit());
    let last = |told: &str| told.lines().last().unwrap().to_owned();
    assert!(first.contains("it is false, and convicted already"), "{first}");
    assert!(last(&first).contains("1 not what they should be, and none of them convicted by this wallet"), "{first}");
    let again = succeed(audit());
    assert!(last(&again).contains("judged, 0 of them now: 1 not"), "{again}");
    // Two at once would write over each other.
    let lock = std::fs::File::options().write(true).open(folder.path().join("audit/.lock")).unwrap();
    lock.try_lock().unwrap();
    let refused = audit();
    assert!(!refused.status.success() && text(&refused.stderr).contains("choose another folder with --state"));
    let keyless = sip(&["audit", "--run", run, "--json"]).env_remove("SIP_KEY").output().unwrap();
    assert!(text(&keyless.stderr).contains("\"code\":\"no-wallet\""));
}

/// Starts a run, waits until a round is saved, and ends it with a signal.
fn interrupt(folder: &Path, signal: &str) -> Output {
    let arguments = ["demo", "--quick", "--json", "--rounds", "5", "--seed", "9", "--out", path(folder)];
    let mut child = sip(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let saved = |round: u32| folder.join(format!("run/journal-{round}.json")).exists();
    for _ in 0..6000 {
        if (1..5).any(saved) || child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_killed_run_goes_on_and_ends_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let arguments = ["demo", "--quick", "--json", "--rounds", "5", "--seed", "9", "--out", path(&whole)];
    let expected: Value = serde_json::from_str(&succeed(sip(&arguments).output().unwrap())).unwrap();
    for signal in ["-KILL", "-INT"] {
        let broken = folder.path().join(signal);
        let stopped = interrupt(&broken, signal);
        if !stopped.status.success() {
            if signal == "-INT" {
                let said = text(&stopped.stderr);
                assert!(stopped.status.code() == Some(130) && said.contains("--resume"), "{said}");
            }
            let again = refused(&["demo", "--quick", "--out", path(&broken)]);
            assert!(again.contains("not finished"), "{again}");
            let verified = succeed(sip(&["verify", path(&broken), "--json"]).output().unwrap());
            let finding: Value = serde_json::from_str(&verified).unwrap();
            assert_eq!((&finding["verified"], &finding["finished"]), (&Value::Bool(true), &Value::Bool(false)));
        }
        let resumed = sip(&["demo", "--resume", "--json", "--out", path(&broken)]).output().unwrap();
        let resumed: Value = serde_json::from_str(&succeed(resumed)).unwrap();
        assert_eq!(lasting(resumed), lasting(expected.clone()), "after {signal}");
        succeed(sip(&["verify", path(&broken)]).output().unwrap());
    }
}

#[test]
fn verification_names_what_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    demo(out, "10", "none");
    let change = |file: &str, edit: &dyn Fn(&mut Vec<u8>)| {
        let file = out.join(file);
        let whole = std::fs::read(&file).unwrap();
        let mut bytes = whole.clone();
        edit(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
        let output = sip(&["verify", path(out)]).output().unwrap();
        std::fs::write(&file, whole).unwrap();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, said) = change("model/model.safetensors", &|bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("exported tensor model.norm.weight"), "{said}");
    // A text is another with another tokenizer, and a model with another shape.
    for (file, from, to) in [
        ("model/tokenizer.json", "\"vocab\"", "\"vocab \""),
        ("model/tokenizer_config.json", "false", "true"),
        ("model/special_tokens_map.json", "eos_token", "pad_token"),
        ("model/config.json", "\"rope_theta\": 1", "\"rope_theta\": 2"),
        ("model/generation_config.json", "eos_token_id", "pad_token_id"),
    ] {
        let (code, said) = change(file, &|bytes| {
            let changed = text(bytes).replace(from, to);
            assert_ne!(changed, text(bytes), "{file}: {from}");
            *bytes = changed.into_bytes();
        });
        let name = file.strip_prefix("model/").unwrap();
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(&format!("Not verified. First difference: {name} of the exported model")), "{said}");
        let whole = std::fs::read(out.join(file)).unwrap();
        std::fs::remove_file(out.join(file)).unwrap();
        let gone = sip(&["verify", path(out), "--json"]).output().unwrap();
        std::fs::write(out.join(file), whole).unwrap();
        let finding: Value = serde_json::from_slice(&gone.stdout).unwrap();
        assert_eq!((gone.status.code(), &finding["verified"]), (Some(3), &Value::Bool(false)), "{finding}");
        assert!(finding["difference"].as_str().unwrap().contains(name), "{finding}");
    }
    for more in ["added_tokens.json", "chat_template.jinja", "adapter_config.json", "model.safetensors.index.json"] {
        std::fs::write(out.join("model").join(more), "{}").unwrap();
        let output = sip(&["verify", path(out)]).output().unwrap();
        std::fs::remove_file(out.join("model").join(more)).unwrap();
        assert_eq!(output.status.code(), Some(3), "{more}: {}", text(&output.stdout));
    }
    let (code, said) = change("run/ledger-4.bin", &|bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    assert_eq!(code, Some(3), "{said}");
    let (code, said) = change("run/data/1.train.tokens", &|bytes| bytes[100] ^= 1);
    assert_eq!(code, Some(3), "{said}");
    let (code, said) = change("run/journal-4.json", &|bytes| {
        // One digit of one published leaf.
        let start = text(bytes).find("\"leaves\"").unwrap() + 40;
        bytes[start] = if bytes[start] == b'0' { b'1' } else { b'0' };
    });
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("leaves"), "{said}");
    let (code, said) = change("run/journal-4.json", &|bytes| {
        let mut journal: Value = serde_json::from_slice(bytes).unwrap();
        journal["flows"] = Value::Array(Vec::new());
        *bytes = journal.to_string().into_bytes();
    });
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("damaged"), "{said}");
    let (code, said) = change("summary.json", &|bytes| {
        let mut summary: Value = serde_json::from_slice(bytes).unwrap();
        summary["participants"][0]["earned_base_units"] = Value::from("999999");
        *bytes = summary.to_string().into_bytes();
    });
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("summary.json"), "{said}");
    let (code, said) = change("summary.json", &|bytes| {
        let mut summary: Value = serde_json::from_slice(bytes).unwrap();
        summary["chain"]["compute_units"] = Value::from(1);
        *bytes = summary.to_string().into_bytes();
    });
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("summary.json says of chain"), "{said}");
    let (code, said) = change("run/journal-4.json", &|bytes| {
        let mut journal: Value = serde_json::from_slice(bytes).unwrap();
        journal["summary"]["rounds"][1]["loss"][0] = Value::from(0.5);
        *bytes = journal.to_string().into_bytes();
    });
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("round 2: the run's journal has another outcome"), "{said}");
    for (from, to, expected) in [
        ("\"seed\": 10", "\"seed\": 11", ""),
        ("\"audit_rate\": 1.0", "\"audit_rate\": 0.25", "other terms"),
        ("\"second_audit_rate\": 0.95", "\"second_audit_rate\": 0.25", "other terms"),
        ("\"num_layers\": 2", "\"num_layers\": 4096", "another model"),
        ("\"leaf_interval\": 5", "\"leaf_interval\": 0", "steps a leaf"),
        ("\"rounds\": 4", "\"rounds\": 0", "rounds of"),
    ] {
        let (code, said) = change("run/settings.json", &|bytes| {
            let changed = text(bytes).replace(from, to);
            assert_ne!(changed, text(bytes), "{from}");
            *bytes = changed.into_bytes();
        });
        assert!(code == Some(1) || code == Some(3), "{to}: {said}");
        assert!(said.contains(expected), "{to}: {said}");
    }
    let (code, said) = change("run/manifest.sip", &|bytes| bytes[0] ^= 1);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("does not begin with sip.manifest.1"), "{said}");
    // Steps of a leaf, and the root of the first tokens.
    for (byte, expected) in [(36, "the sizes of steps and rounds: the job committed something else"), (272, "has root")]
    {
        let (code, said) = change("run/manifest.sip", &|bytes| bytes[byte] ^= 1);
        assert!(code == Some(1) || code == Some(3), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    // A run that is said to be unfinished needs its model all the same.
    for (kind, end) in [("journal", "json"), ("ledger", "bin"), ("base", "state")] {
        std::fs::rename(out.join(format!("run/{kind}-4.{end}")), out.join(format!("run/{kind}-3.{end}"))).unwrap();
    }
    let (code, said) = change("run/journal-3.json", &|bytes| {
        let mut journal: Value = serde_json::from_slice(bytes).unwrap();
        journal["rounds_done"] = Value::from(3);
        journal["summary"]["rounds"].as_array_mut().unwrap().pop();
        *bytes = journal.to_string().into_bytes();
    });
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("different rounds"), "{said}");
}

#[test]
fn own_texts_are_domains() {
    let folder = tempfile::tempdir().unwrap();
    let texts = folder.path().join("texts");
    std::fs::create_dir(&texts).unwrap();
    for (name, word) in [("sea", "wave"), ("land", "hill")] {
        let lines: String = (0..4000).map(|i| format!("the {word} number {i} is a {word}\n")).collect();
        std::fs::write(texts.join(format!("{name}.txt")), lines).unwrap();
    }
    let out = folder.path().join("out");
    let arguments =
        ["demo", "--quick", "--json", "--rounds", "2", "--cheat", "none", "--out", path(&out), "--data", path(&texts)];
    let summary: Value = serde_json::from_str(&succeed(sip(&arguments).output().unwrap())).unwrap();
    let names: Vec<&Value> = summary["domains"].as_array().unwrap().iter().map(|d| &d["name"]).collect();
    assert_eq!(names, ["land", "sea"]);
    // One text twice is refused, and the run before it is untouched; one text is one domain.
    let sea = texts.join("sea.txt");
    let copy = folder.path().join("copy.txt");
    std::fs::copy(&sea, &copy).unwrap();
    let finished = refused(&["demo", "--quick", "--out", path(&out), "--data", path(&sea)]);
    assert!(finished.contains("holds a run already; begin anew with --overwrite"), "{finished}");
    let again = ["demo", "--quick", "--overwrite", "--out", path(&out)];
    let twice = refused(&[&again[..], &["--data", path(&sea), path(&copy)]].concat());
    assert!(twice.contains("same text"), "{twice}");
    succeed(sip(&["verify", path(&out)]).output().unwrap());
    let lonely = refused(&[&again[..], &["--cheat", "wrong-data", "--data", path(&sea)]].concat());
    assert!(lonely.contains("two domains"), "{lonely}");
    let single = folder.path().join("single");
    let arguments = ["demo", "--quick", "--rounds", "1", "--steps", "1", "--out", path(&single), "--data", path(&sea)];
    succeed(sip(&arguments).output().unwrap());
    // What is the user's stays when the run is replaced.
    std::fs::write(single.join("model/notes.txt"), "mine").unwrap();
    succeed(sip(&[&arguments[..], &["--overwrite"]].concat()).output().unwrap());
    assert!(single.join("model/notes.txt").exists());
    for (file, found) in
        [("model/mine.txt", "model"), ("run.json", "run.json"), ("run/x", "run/x"), ("summary.json", "summary.json")]
    {
        let out = folder.path().join(found);
        std::fs::create_dir_all(out.join(file).parent().unwrap()).unwrap();
        std::fs::write(out.join(file), "{}").unwrap();
        let said = refused(&["demo", "--quick", "--overwrite", "--out", path(&out)]);
        assert!(said.contains(&format!("holds {found}, which no \"sip demo\" wrote")), "{said}");
        assert!(out.join(file).exists());
    }
}

/// What a refused call says; it must be one sentence on one line, and touch nothing.
fn refused(arguments: &[&str]) -> String {
    let output = sip(arguments).output().unwrap();
    assert!(!output.status.success(), "{arguments:?} succeeded");
    let said = text(&output.stderr);
    let last = said.lines().rfind(|line| line.starts_with("error")).unwrap_or_else(|| panic!("no error in {said}"));
    assert!(!said.contains("panicked"), "{said}");
    last.to_string()
}

#[test]
fn bad_input_gives_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_string()
    };
    let out = folder.path().join("out");
    let out = path(&out);
    let missing = refused(&["demo", "--out", out, "--data", "/nowhere/at/all.txt"]);
    assert!(missing.contains("/nowhere/at/all.txt"), "{missing}");
    let empty = refused(&["demo", "--out", out, "--data", &file("empty.txt", b"")]);
    assert!(empty.contains("empty"), "{empty}");
    let binary = refused(&["demo", "--out", out, "--data", &file("binary.txt", b"good \xff\xfe bad")]);
    assert!(binary.contains("UTF-8"), "{binary}");
    let short = refused(&["demo", "--out", out, "--data", &file("short.txt", b"too short to learn from")]);
    assert!(short.contains("short"), "{short}");
    let cheat = refused(&["demo", "--out", out, "--cheat", "theft"]);
    assert!(cheat.contains("theft") && cheat.contains("flip-bit"), "{cheat}");
    let crowd = refused(&["demo", "--out", out, "--cheat", "lazy,poison,flip-bit"]);
    assert!(crowd.contains("honest"), "{crowd}");
    let option = refused(&["demo", "--colour", "red"]);
    assert!(option.contains("--colour"), "{option}");
    let nothing = refused(&["demo", "--resume", "--out", out]);
    assert!(nothing.contains("there is no folder"), "{nothing}");
    let unverifiable = refused(&["verify", out]);
    assert!(unverifiable.contains("there is no folder"), "{unverifiable}");
    let no_model = refused(&["generate", "--model", out, "The"]);
    assert!(no_model.contains("model"), "{no_model}");
    let blocked = refused(&["demo", "--quick", "--out", &file("file", b"in the way")]);
    assert!(blocked.contains("folder"), "{blocked}");
    assert!(!Path::new(out).exists(), "a refused run left files behind");
}
