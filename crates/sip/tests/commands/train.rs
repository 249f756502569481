//! `sip train` and `sip finetune` through the binary: exact resumption, results that load, and what bad input is told.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const CONFIG: &str = "
[model]
preset = \"tiny\"
[data]
files = [\"text.txt\"]
vocabulary = 260
[run]
steps = 30
eval_every = 10
eval_windows = 8
seed = 3
out = \"whole\"
[checkpoints]
every = 5
keep = 2
";

fn sip(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sip"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeed(output: Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// What a run says on failure.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    error(&sip(folder, arguments).output().unwrap())
}

fn error(output: &Output) -> String {
    // 2 where the words of the command are wrong.
    assert!([Some(1), Some(2)].contains(&output.status.code()), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    let object = said.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
    let message = object.and_then(|object| object["error"]["message"].as_str().map(String::from));
    let sentence = said.lines().find_map(|line| line.strip_prefix("error: ")).map(String::from);
    message.or(sentence).expect("an error")
}

fn summary(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed(sip(folder, arguments).output().unwrap())).unwrap()
}

/// A folder with a text, answers, pairs and a file of settings.
fn scratch() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..900).map(|n| format!("The {} of the {} is {}. ", n % 7, n % 11, n % 13)).collect();
    fs::write(folder.path().join("text.txt"), text).unwrap();
    fs::write(folder.path().join("run.toml"), CONFIG).unwrap();
    let lines = |line: &dyn Fn(usize) -> Value| (0..40).map(|n| line(n).to_string() + "\n").collect::<String>();
    let answers = lines(&|n| serde_json::json!({ "prompt": format!("The {n}"), "response": format!(" is {}", n % 5) }));
    fs::write(folder.path().join("answers.jsonl"), answers).unwrap();
    let pairs =
        lines(&|n| serde_json::json!({ "prompt": format!("The {n}"), "chosen": " is good", "rejected": " of" }));
    fs::write(folder.path().join("pairs.jsonl"), pairs).unwrap();
    folder
}

/// `scratch`, and the model of a whole run in `whole/model`.
fn trained() -> (tempfile::TempDir, Value) {
    let folder = scratch();
    let found = summary(folder.path(), &["train", "--config", "run.toml", "--json"]);
    (folder, found)
}

fn lasting(mut summary: Value) -> Value {
    let object = summary.as_object_mut().unwrap();
    object.remove("timings");
    object.remove("folder");
    summary
}

/// Starts a run and waits for its first checkpoint.
fn started(folder: &Path, out: &str, arguments: &[&str]) -> std::process::Child {
    let child = sip(folder, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let checkpoint = folder.join(out).join("checkpoints/step-00000005.safetensors");
    for _ in 0..6000 {
        if checkpoint.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn a_run_that_is_killed_goes_on_to_the_same_bits() {
    let (folder, whole) = trained();
    let folder = folder.path();
    assert!(whole["held_out_after"]["text"].as_f64() < whole["held_out_before"]["text"].as_f64());
    let mut child = started(folder, "killed", &["train", "--config", "run.toml", "--out", "killed"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = summary(folder, &["train", "--resume", "killed", "--json"]);
    assert_eq!(lasting(resumed), lasting(whole.clone()));

    // Every step stands in the metrics once, with the same loss.
    let losses = |run: &str| -> Vec<(u64, Option<f64>)> {
        let lines = fs::read_to_string(folder.join(run).join("metrics.jsonl")).unwrap();
        let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|row| (row["step"].as_u64().unwrap(), row["loss"].as_f64())).collect()
    };
    assert_eq!(losses("whole").len(), 31);
    assert_eq!(losses("killed"), losses("whole"));
    let file = |name: &str| fs::read(folder.join(name)).unwrap();
    assert_eq!(file("killed/model/model.safetensors"), file("whole/model/model.safetensors"));
    let last = "checkpoints/step-00000030.safetensors";
    assert_eq!(file(&format!("killed/{last}")), file(&format!("whole/{last}")));
    assert_eq!(fs::read_dir(folder.join("killed/checkpoints")).unwrap().count(), 2);

    // On other threads and vectors and with less memory, too.
    fs::write(folder.join("less.toml"), CONFIG.replace("[run]", "[batch]\nmicro_batches = 2\nrecompute = true\n[run]"))
        .unwrap();
    let machine = sip(folder, &["train", "--config", "less.toml", "--out", "other", "--json"])
        .env("SIP_THREADS", "1")
        .env("SIP_SIMD", "scalar")
        .output()
        .unwrap();
    let other: Value = serde_json::from_str(&succeed(machine)).unwrap();
    assert_eq!(other["state_root"], whole["state_root"]);
}

#[test]
#[cfg(unix)]
fn ctrl_c_saves_the_step_and_says_how_to_go_on() {
    let folder = scratch();
    let folder = folder.path();
    fs::write(folder.join("run.toml"), CONFIG.replace("steps = 30", "steps = 100000")).unwrap();
    let mut child = started(folder, "long", &["train", "--config", "run.toml", "--out", "long"]);
    let process = child.id().to_string();
    Command::new("kill").args(["-INT", &process]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let metrics = fs::read_to_string(folder.join("long/metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    let name = format!("long/checkpoints/step-{:08}.safetensors", last["step"].as_u64().unwrap());
    assert!(folder.join(&name).exists(), "{name}");

    let said = refused(folder, &["train", "--config", "run.toml", "--out", "long"]);
    assert_eq!(
        said,
        "long holds a run already; go on with \"sip train --resume long\", begin anew with --overwrite, or choose another \
         folder with --out"
    );
    // A damaged checkpoint is never gone on from, and neither is another text.
    let mut bytes = fs::read(folder.join(&name)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(folder.join(&name), bytes).unwrap();
    let said = refused(folder, &["train", "--resume", "long"]);
    assert!(said.contains("does not hash to the state root that it names; delete it to go on from the one"), "{said}");
    let text = fs::read_to_string(folder.join("text.txt")).unwrap();
    fs::write(folder.join("text.txt"), text.replace("The 3", "The 4")).unwrap();
    let said = refused(folder, &["train", "--resume", "long"]);
    assert!(said.contains("cannot go on: its text text is not what it was when the run began"), "{said}");
}

#[test]
fn a_model_learns_answers_texts_and_preferences_further() {
    let (folder, _) = trained();
    let folder = folder.path();
    let base = ["finetune", "--model", "whole/model", "--json", "--steps", "12", "--checkpoint-every", "5"];
    let cases: [(&str, &[&str], &str); 5] = [
        ("answers", &["--data", "answers.jsonl", "--learning-rate", "3e-3"], "answers"),
        ("texts", &["--data", "text.txt", "--learning-rate", "1e-3"], "text"),
        ("adapters", &["--data", "answers.jsonl", "--lora", "--learning-rate", "1e-2"], "answers"),
        ("preferences", &["--dpo", "pairs.jsonl", "--learning-rate", "1e-3"], "preference loss"),
        ("both", &["--dpo", "pairs.jsonl", "--lora", "--rank", "4", "--learning-rate", "1e-2"], "preference loss"),
    ];
    for (name, arguments, measured) in cases {
        let found = summary(folder, &[&base, arguments, &["--out", name]].concat());
        let at = |when: &str| found[when][measured].as_f64().unwrap();
        assert!(at("held_out_after") < at("held_out_before"), "{name}: {found}");
        assert!(found["last_loss"].as_f64() < found["first_loss"].as_f64(), "{name}: {found}");
        if measured == "preference loss" {
            assert_eq!(at("held_out_before"), std::f64::consts::LN_2);
            assert_eq!(found["held_out_after"]["preferred share"], 1.0);
        }
        let lora = arguments.contains(&"--lora");
        assert_eq!(found["trained_parameters"].as_u64() < found["parameters"].as_u64(), lora);
        assert_eq!(folder.join(name).join("adapter/adapter_model.safetensors").exists(), lora);
        // The result is a model like the one it came from.
        let again =
            ["finetune", "--model", &format!("{name}/model"), "--data", "answers.jsonl", "--steps", "1", "--json"];
        summary(folder, &[&again[..], &["--out", "again", "--overwrite"]].concat());
    }

    let killed =
        [&base[..], &["--data", "answers.jsonl", "--lora", "--learning-rate", "1e-2", "--out", "killed"]].concat();
    let mut child = started(folder, "killed", &killed);
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = summary(folder, &["finetune", "--resume", "killed", "--json"]);
    let whole: Value = serde_json::from_slice(&fs::read(folder.join("adapters/summary.json")).unwrap()).unwrap();
    assert_eq!(lasting(resumed), lasting(whole));
    let said = refused(folder, &["train", "--resume", "killed"]);
    assert_eq!(said, "killed holds a run of \"sip finetune\"; go on with \"sip finetune --resume killed\"");
}

#[test]
fn texts_of_one_name_are_told_apart_when_a_run_goes_on() {
    let folder = scratch();
    let folder = folder.path();
    let text = fs::read_to_string(folder.join("text.txt")).unwrap();
    for name in ["x", "y", "z"] {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("a.txt"), format!("{name}{text}")).unwrap();
    }
    let files = CONFIG.replace("\"text.txt\"", "\"x/a.txt\", \"y/a.txt\", \"z/a.txt\"");
    fs::write(folder.join("run.toml"), files).unwrap();
    let whole = summary(folder, &["train", "--config", "run.toml", "--json"]);
    let names: Vec<&String> = whole["held_out_after"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["a", "a-2", "a-3"]);
    fs::write(folder.join("y/a.txt"), format!("Y{text}")).unwrap();
    let said = refused(folder, &["train", "--resume", "whole"]);
    assert!(said.contains("is not what it was when the run began"), "{said}");
}

#[test]
fn what_another_wrote_is_never_removed() {
    let folder = scratch();
    let folder = folder.path();
    let train = |out: &str, more: &[&str]| {
        let mut command = sip(folder, &["train", "--config", "run.toml", "--json", "--out", out]);
        command.args(more);
        command.output().unwrap()
    };
    let write = |path: &str| {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), "{}").unwrap();
    };
    for (out, file, found) in [
        ("demo", "run/settings.json", "run"),
        ("model", "model/config.json", "model"),
        ("summary", "summary.json", "summary.json"),
        ("foreign", "run.json", "run.json"),
        ("checkpoints", "checkpoints/step-00000001.safetensors", "checkpoints"),
    ] {
        write(&format!("{out}/{file}"));
        for more in [&[][..], &["--overwrite"]] {
            let said = error(&train(out, more));
            assert!(said.starts_with(&format!("{out} holds {found}, which no \"sip train\" wrote")), "{said}");
        }
        assert!(folder.join(out).join(file).exists());
    }
    // Of an own run, what is the user's stays, and what a killed process left goes.
    succeed(train("own", &[]));
    let kept = ["own/model/notes.txt", "own/notes.txt", "own/model/.hidden.tmp"];
    let cut_off = ["own/model/.model.safetensors.8909-4.tmp", "own/adapter/.adapter_model.safetensors.1-1.tmp"];
    kept.iter().chain(&cut_off).for_each(|path| write(path));
    succeed(sip(folder, &["train", "--resume", "own", "--json"]).output().unwrap());
    assert!(cut_off.iter().all(|path| !folder.join(path).exists()));
    write(cut_off[0]);
    succeed(train("own", &["--overwrite"]));
    assert!(kept.iter().all(|path| folder.join(path).exists()) && !folder.join(cut_off[0]).exists());
}

#[test]
fn results_never_go_onto_what_they_are_made_of() {
    let (folder, _) = trained();
    let folder = folder.path();
    fs::create_dir(folder.join("texts")).unwrap();
    fs::copy(folder.join("text.txt"), folder.join("texts/a.txt")).unwrap();
    let config = CONFIG.replace("\"text.txt\"", "\"texts\"");
    fs::write(folder.join("texts.toml"), config).unwrap();
    let model = fs::read(folder.join("whole/model/model.safetensors")).unwrap();
    let tune = ["finetune", "--model", "whole/model", "--data", "texts"];
    for (arguments, out, expected) in [
        (&tune[..], "whole", "--out whole holds whole/model, which --model names and the run reads"),
        (&tune, "whole/model", "--out whole/model is whole/model, which --model names"),
        (&tune, "whole/model/new", "--out whole/model/new lies in whole/model, which --model names"),
        (&tune, "texts", "--out texts is texts, which --data names"),
        (&["train", "--config", "texts.toml"], "texts/new", "--out texts/new lies in texts, which data.files names"),
        (&["train", "--config", "texts.toml"], ".", "--out . holds texts.toml, which --config names"),
        (&["demo", "--quick", "--data", "texts/a.txt"], "texts", "--out texts holds texts/a.txt, which --data names"),
        (
            &["graph", "show", "--model", "whole/model/config.json"],
            "whole/model/config.json",
            "--out whole/model/config.json is ",
        ),
    ] {
        for more in [&[][..], &["--overwrite"]] {
            if arguments[0] == "graph" && !more.is_empty() {
                continue;
            }
            let said = refused(folder, &[arguments, &["--out", out], more].concat());
            assert!(said.starts_with(expected), "{said}");
        }
    }
    // A folder of somebody's files is no place for results either, whether they are a model's or not.
    fs::create_dir_all(folder.join("mine")).unwrap();
    fs::write(folder.join("mine/thesis.txt"), "all my work").unwrap();
    fs::rename(folder.join("whole/model"), folder.join("base")).unwrap();
    for (out, found) in [("mine", "thesis.txt"), ("base", "config.json")] {
        for command in [&["train", "--config", "run.toml"][..], &["demo", "--quick"]] {
            let said = refused(folder, &[command, &["--out", out, "--overwrite"]].concat());
            assert!(said.starts_with(&format!("{out} holds {found}")), "{said}");
        }
        assert!(!folder.join(out).join(".lock").exists());
    }
    assert_eq!(fs::read(folder.join("base/model.safetensors")).unwrap(), model);
}

#[test]
fn one_process_at_a_time_writes_into_a_folder() {
    let folder = scratch();
    let folder = folder.path();
    fs::write(folder.join("run.toml"), CONFIG.replace("steps = 30", "steps = 100000")).unwrap();
    let mut child = started(folder, "whole", &["train", "--config", "run.toml"]);
    let others: [&[&str]; 2] = [&["train", "--config", "run.toml", "--overwrite"], &["train", "--resume", "whole"]];
    for arguments in others {
        let said = refused(folder, arguments);
        assert!(said.starts_with("another process runs \"sip train\" in whole; "), "{said}");
    }
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    // Its lock ends with it.
    fs::write(folder.join("run.toml"), CONFIG).unwrap();
    succeed(sip(folder, &["train", "--config", "run.toml", "--overwrite"]).output().unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_nobody_takes_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap());
    for arguments in [&["train", "--example"][..], &["wallet", "new", "key.json"]] {
        let output = sip(folder.path(), arguments).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(text(&output.stderr).starts_with("error: No space left"), "{}", text(&output.stderr));
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = sip(folder.path(), &["train", "--example"]).stdout(writer).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    // A run whose progress nobody reads any more goes on to its end.
    let folder = scratch();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    succeed(sip(folder.path(), &["train", "--config", "run.toml"]).stderr(writer).output().unwrap());
    assert!(folder.path().join("whole/summary.json").exists());
}

#[test]
fn all_that_is_wrong_with_data_is_said_at_once_in_lines_of_its_own() {
    let (folder, _) = trained();
    let folder = folder.path();
    let said = |data: &str| {
        let tune =
            ["finetune", "--model", "whole/model", "--steps", "1", "--out", "tuned", "--overwrite", "--data", data];
        let output = sip(folder, &tune).output().unwrap();
        (output.status.success(), text(&output.stderr))
    };
    let lines: String = (0..14).map(|n| format!("{{\"prompt\": \"a{n}\", \"response\": {n}}}\n")).collect();
    fs::write(folder.join("odd.jsonl"), lines).unwrap();
    let (_, told) = said("odd.jsonl");
    assert!(told.contains("error: 14 records cannot be used:\n  odd.jsonl, line 1: "), "{told}");
    assert!(told.contains("\n  odd.jsonl, line 10: ") && told.ends_with("\n  and 4 more\n"), "{told}");
    // Files of other kinds are left out, and no name commands a terminal.
    fs::create_dir(folder.join("texts")).unwrap();
    fs::copy(folder.join("text.txt"), folder.join("texts/a.txt")).unwrap();
    fs::write(folder.join("texts/package.json"), "{\n  \"name\": \"x\",\n  \"version\": \"1\"\n}\n").unwrap();
    fs::write(folder.join("texts/small.json"), "{\"name\": \"x\"}\n").unwrap();
    fs::write(folder.join("texts/\u{1b}[31m\n.bin"), [0; 8]).unwrap();
    let (succeeded, told) = said("texts");
    assert!(succeeded, "{told}");
    for expected in ["package.json is skipped", "small.json is skipped", "\\u{1b}[31m\\n.bin is skipped"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    fs::write(folder.join("texts/b\u{1b}.txt"), b"\xff\xff").unwrap();
    fs::write(folder.join("texts/c.txt"), b"\xff\xff").unwrap();
    let (_, told) = said("texts");
    assert!(told.contains("error: 2 files cannot be used:\n  texts/b\\u{1b}.txt is not UTF-8"), "{told}");
    assert!(told.contains("\n  texts/c.txt is not UTF-8"), "{told}");
}

#[test]
fn windows_that_are_not_there_are_not_measured() {
    let folder = scratch();
    let many = CONFIG.replace("eval_windows = 8", "eval_windows = 1048576").replace("steps = 30", "steps = 1");
    fs::write(folder.path().join("run.toml"), many).unwrap();
    let found = summary(folder.path(), &["train", "--config", "run.toml", "--json"]);
    assert!(found["held_out_after"]["text"].is_number());
}

#[test]
fn bad_input_is_told_what_was_expected() {
    let folder = scratch();
    let folder = folder.path();
    let with = |toml: &str| {
        fs::write(folder.join("bad.toml"), toml).unwrap();
        refused(folder, &["train", "--config", "bad.toml"])
    };
    let said = with("[batch]\nrow = 3");
    assert_eq!(
        said,
        "bad.toml: there is no key batch.row, did you mean rows?; the keys of [batch] are micro_batches, recompute, rows, sequence"
    );
    assert!(with("[data]\nfiles = [\"none.txt\"]").starts_with("none.txt: "));
    assert!(with("[data]\ntokenizer = \"none\"").starts_with("none/tokenizer.json: "));
    let said = with("[data]\nfiles = [\"text.txt\"]\n[batch]\nrows = 513");
    assert_eq!(said, "batch.rows × batch.sequence is 513 × 128 = 65664, expected at most 65536 tokens in a step");
    fs::create_dir(folder.join("t")).unwrap();
    fs::write(folder.join("t/tokenizer.json"), "{}").unwrap();
    let said = with("[data]\nfiles = [\"text.txt\"]\ntokenizer = \"t\"");
    assert!(said.starts_with("t/tokenizer.json: not a usable tokenizer.json: missing field"), "{said}");
    fs::write(folder.join("none.json"), "").unwrap();
    assert!(refused(folder, &["eval", "--choices", "none.json"]).contains("there is no question, expected"));
    assert!(refused(folder, &["generate", "x"]).contains("make one with \"sip demo\""));
    let output = sip(folder, &["finetune", "--resume", "x", "--steps", "9"]).output().unwrap();
    assert!(text(&output.stderr).contains("'--resume <FOLDER>' cannot be used with"), "{}", text(&output.stderr));
    assert!(with("[run\n").starts_with("bad.toml: line 1: "));
    assert!(with("[data]\nfiles = [\"text.txt\"]\nweights = [1, 2]").contains("but there are 1 texts"));
    assert!(refused(folder, &["train", "--config", "none.toml"]).contains("\"sip train --example\" prints one"));
    assert!(refused(folder, &["train", "--resume", "none"]).starts_with("cannot read none/run.json"));

    succeed(sip(folder, &["train", "--config", "run.toml", "--json"]).output().unwrap());
    let tune = |arguments: &[&str]| refused(folder, &[&["finetune", "--out", "x"], arguments].concat());
    assert!(tune(&["--model", "none", "--data", "text.txt"]).starts_with("cannot load the model none: "));
    let model = ["--model", "whole/model"];
    assert!(tune(&[&model[..], &["--data", "none.jsonl"]].concat()).starts_with("none.jsonl: "));
    fs::write(folder.join("odd.jsonl"), "{\"prompt\": \"a\", \"response\": \"b\"}\n\n{\"prompt\": 5}\n").unwrap();
    let said = tune(&[&model[..], &["--data", "odd.jsonl"]].concat());
    assert!(said.starts_with("odd.jsonl, line 3: expected {\"prompt\": …, \"response\": …}: "), "{said}");
    let said = tune(&[&model[..], &["--data", "answers.jsonl", "--lora", "--targets", "q,dwn"]].concat());
    assert_eq!(said, "--targets does not know \"dwn\", did you mean down?; it knows q, k, v, o, gate, up, down");
    let said = tune(&[&model[..], &["--data", "answers.jsonl", "--lora", "--rank", "99"]].concat());
    assert_eq!(said, "rank is 99, expected 1 to 32, the smaller side of the model's matrices");
    let said = tune(&[&model[..], &["--data", "answers.jsonl", "--sequence", "17"]].concat());
    assert_eq!(said, "seq_len is 17, expected 1 to max_seq_len 16");
    let said = tune(&[&model[..], &["--dpo", "pairs.jsonl", "--batch", "2049"]].concat());
    assert!(said.starts_with("--batch × --sequence is 4098 × 16 = 65568, expected at most 65536 tokens"), "{said}");
    let said = tune(&[&model[..], &["--data", "answers.jsonl", "--warmup", "101"]].concat());
    assert_eq!(said, "--warmup is 101, but the run has 100 steps");
    assert!(!folder.join("x").exists());

    // A tokenizer with more tokens than the model has rows.
    let more = CONFIG.replace("vocabulary = 260", "vocabulary = 270").replace("\"whole\"", "\"more\"");
    fs::write(folder.join("more.toml"), more).unwrap();
    succeed(sip(folder, &["train", "--config", "more.toml", "--json"]).output().unwrap());
    fs::copy(folder.join("more/model/tokenizer.json"), folder.join("whole/model/tokenizer.json")).unwrap();
    let said = tune(&[&model[..], &["--data", "answers.jsonl"]].concat());
    assert!(said.contains("the tokenizer has ids up to 269, but the model has only 260 rows"), "{said}");
}

#[test]
fn the_help_says_what_every_option_does() {
    let folder = tempfile::tempdir().unwrap();
    let help = succeed(sip(folder.path(), &["train", "--help"]).output().unwrap());
    let lines: Vec<&str> = help.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines[0], "Train a model on this machine alone, to the same bits as on every other");
    for expected in [
        "--config <FILE>",
        "File of settings; \"sip train --example\" prints one with every key explained",
        "--resume <FOLDER>",
        "--overwrite",
        "--json",
    ] {
        assert!(help.contains(expected), "{expected}: {help}");
    }
    let help = succeed(sip(folder.path(), &["finetune", "--help"]).output().unwrap());
    for line in help.lines().filter(|line| line.trim_start().starts_with("--")) {
        assert!(!line.trim_end().ends_with('>') || help.contains(line), "{line}");
    }
    for option in
        ["--model", "--data", "--dpo", "--beta", "--lora", "--rank", "--alpha", "--targets", "--plain", "--resume"]
    {
        assert!(help.contains(option), "{option}: {help}");
    }
    // The example is a file of settings.
    let example = succeed(sip(folder.path(), &["train", "--example"]).output().unwrap());
    fs::write(folder.path().join("run.toml"), example.replace("\nsteps = 1000\n", "\nstepz = 1000\n")).unwrap();
    assert!(refused(folder.path(), &["train", "--config", "run.toml"]).contains("run.stepz, did you mean steps?"));
}
