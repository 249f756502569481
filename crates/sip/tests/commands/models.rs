//! Models and texts from elsewhere through the binary, with the values of `transformers` and `trl` (`models/README.md`).

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ONE_STEP: [&str; 7] = ["finetune", "--model", "model", "--steps", "1", "--out", "out"];
const AS_GIVEN: [&str; 9] =
    ["--data", "answers.jsonl", "--batch", "4", "--warmup", "0", "--eval-every", "0", "--overwrite"];

fn sip(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sip"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn succeed(folder: &Path, arguments: &[&str]) -> Output {
    let output = sip(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn found(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_slice(&succeed(folder, &[arguments, &["--json"]].concat()).stdout).unwrap()
}

/// What a command says on its way.
fn progress(folder: &Path, arguments: &[&str]) -> String {
    String::from_utf8(succeed(folder, arguments).stderr).unwrap()
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = sip(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands/models").join(name)
}

/// A folder with `model`, a copy of a model with what another has beside it.
fn with_model(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    let own = shipped(name);
    if !own.join("tokenizer.json").exists() {
        fs::copy(shipped("bytes").join("tokenizer.json"), model.join("tokenizer.json")).unwrap();
    }
    for file in fs::read_dir(own).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), model.join(file.file_name())).unwrap();
    }
    folder
}

fn read(folder: &Path, file: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join(file)).unwrap()).unwrap()
}

fn set(folder: &Path, file: &str, key: &str, value: Value) {
    let mut all = read(folder, file);
    all[key] = value;
    fs::write(folder.join(file), all.to_string()).unwrap();
}

fn write_answers(folder: &Path, prompt: &str, response: &str) {
    let line = json!({ "prompt": prompt, "response": response }).to_string() + "\n";
    fs::write(folder.join("answers.jsonl"), line.repeat(4)).unwrap();
}

/// The loss before the only step over the answers.
fn first_loss(folder: &Path, sequence: &str, more: &[&str]) -> f64 {
    let all = [&ONE_STEP[..], &AS_GIVEN, &["--sequence", sequence], more].concat();
    found(folder, &all)["first_loss"].as_f64().unwrap()
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 2e-6, "{found}, expected {expected}");
}

#[test]
fn documents_are_joined_by_the_end_token_and_not_by_letters() {
    let folder = with_model("bytes");
    let docs = folder.path().join("docs");
    fs::create_dir(&docs).unwrap();
    let text = |number: usize| format!("Document number {number} says that the river took mill {}. ", number * 7);
    (0..40).for_each(|number| fs::write(docs.join(format!("{number:02}.txt")), text(number)).unwrap());
    let said = progress(folder.path(), &[&ONE_STEP[..], &["--data", "docs", "--sequence", "16"]].concat());
    assert!(said.contains("1150 tokens to train on,     272 held out"), "{said}");
}

#[test]
fn json_of_whatever_form_is_learned_as_its_texts_or_refused_and_never_as_letters() {
    let folder = with_model("bytes");
    let text = |number: usize| format!("Document number {number} says that the river took mill {}. ", number * 7);
    let texts: Vec<Value> = (0..40).map(|number| text(number).into()).collect();
    let objects: Vec<Value> = texts.iter().map(|text| json!({ "text": text })).collect();
    let pretty = |object: &Value| format!("{object:#}\n");
    let lists = [
        Value::from(objects.clone()).to_string(),
        Value::from(texts).to_string(),
        format!("{:#}", Value::from(objects.clone())),
    ];
    let streams = [
        objects.iter().map(pretty).collect(),
        "// by hand\n".to_owned() + &objects.iter().map(pretty).collect::<String>(),
    ];
    for data in lists.iter().chain(&streams) {
        for name in ["data.json", "data.txt"] {
            fs::write(folder.path().join(name), data).unwrap();
            let said = progress(
                folder.path(),
                &[&ONE_STEP[..], &["--data", name, "--sequence", "16", "--overwrite"]].concat(),
            );
            assert!(said.contains("1150 tokens to train on,     272 held out"), "{name}: {data}: {said}");
            // One quote less, and one bracket.
            fs::write(folder.path().join(name), data.replacen("7.", "7.\"", 1)).unwrap();
            let said = refused(folder.path(), &[&ONE_STEP[..], &["--data", name, "--overwrite"]].concat());
            assert!(said.contains(name) && said.contains("line "), "{said}");
        }
    }
}

#[test]
fn answers_are_learned_in_the_models_own_template_up_to_its_end_token() {
    let folder = with_model("own_template");
    write_answers(folder.path(), "a b", "c d");
    close(first_loss(folder.path(), "40", &[]), 6.457409);
    // What training does not change is as it was.
    for file in ["tokenizer_config.json", "generation_config.json", "config.json", "tokenizer.json"] {
        assert_eq!(
            read(folder.path(), &format!("out/model/{file}")),
            read(folder.path(), &format!("model/{file}")),
            "{file}"
        );
    }
    let template = "{% for m in messages %}{{ strftime_now('%Y') }}{% endfor %}";
    set(folder.path(), "model/tokenizer_config.json", "chat_template", template.into());
    let said = refused(folder.path(), &[&ONE_STEP[..], &AS_GIVEN].concat());
    assert!(
        said.contains("answers.jsonl, line 1: the model's chat template cannot be run: unknown function: strftime_now"),
        "{said}"
    );
}

#[test]
fn an_answer_ends_by_the_tokenizers_word() {
    let folder = with_model("bytes");
    write_answers(folder.path(), "a b", "c d");
    set(folder.path(), "model/config.json", "eos_token_id", json!([0, 3]));
    close(first_loss(folder.path(), "40", &["--plain"]), 6.565363);
    set(folder.path(), "model/tokenizer_config.json", "eos_token", "<|im_end|>".into());
    close(first_loss(folder.path(), "40", &["--plain"]), 6.017262);
}

#[test]
fn prompt_and_answer_are_encoded_together() {
    let folder = with_model("sentence_pieces");
    write_answers(folder.path(), "def f(", "x): return x");
    close(first_loss(folder.path(), "40", &[]), 7.192182);
}

#[test]
fn lines_of_json_are_answers_under_every_name_and_behind_a_byte_order_mark() {
    let folder = with_model("bytes");
    let line =
        |n: usize| json!({ "prompt": format!("What is {n}?"), "response": format!("It is {}.", n * n) }).to_string();
    let lines: String = (0..120).map(|n| line(n) + "\n").collect();
    let marked = format!("\u{FEFF}{}", lines.replace('\n', "\r\n"));
    for (name, content) in [
        ("answers.jsonl", &lines),
        ("answers.json", &lines),
        ("answers.ndjson", &lines),
        ("answers.jsonl.txt", &lines),
        ("marked.jsonl", &marked),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
        let all = [&ONE_STEP[..], &["--data", name, "--sequence", "16", "--overwrite"]].concat();
        let said = progress(folder.path(), &all);
        assert!(said.contains("114 answers to learn from, 6 held out"), "{name}: {said}");
    }
}

#[test]
fn marks_before_texts_and_questions_and_keys_that_are_not_asked_for_change_nothing() {
    let folder = with_model("bytes");
    let text = "The river took the mill.\n";
    fs::write(folder.path().join("plain.txt"), text).unwrap();
    fs::write(folder.path().join("marked.txt"), format!("\u{FEFF}{text}")).unwrap();
    let scores = found(folder.path(), &["eval", "plain.txt", "marked.txt", "--model", "model"]);
    for score in scores["texts"].as_array().unwrap() {
        assert_eq!(score["tokens"], 11);
        close(score["loss"].as_f64().unwrap(), 6.302153);
    }
    let question = json!({ "id": 7, "context": "a", "choices": ["b", "c"], "answer": 0 });
    fs::write(folder.path().join("questions.jsonl"), format!("\u{FEFF}{question}\n")).unwrap();
    let scores = found(folder.path(), &["eval", "--choices", "questions.jsonl", "--model", "model"]);
    assert_eq!(scores["choices"][0]["questions"], 1);
}

#[test]
fn answers_that_are_there_twice_under_two_names_are_refused() {
    let folder = with_model("bytes");
    let line = json!({ "prompt": "a", "response": "b", "completion": "c" });
    fs::write(folder.path().join("answers.jsonl"), line.to_string()).unwrap();
    let said = refused(folder.path(), &[&ONE_STEP[..], &AS_GIVEN].concat());
    assert!(said.contains("line 1: it has both a response and a completion"), "{said}");
}

#[test]
fn a_prompt_may_begin_with_a_hyphen() {
    let folder = with_model("bytes");
    let said = found(folder.path(), &["generate", "--prompt", "-5 + 3 =", "--model", "model", "--max-tokens", "1"]);
    assert_eq!(said["prompt"], "-5 + 3 =");
}

#[test]
fn standard_input_has_the_line_ends_of_a_file() {
    use std::io::Write;
    let folder = with_model("bytes");
    let ids = |text: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sip"));
        command.args(["tokenize", "-", "--model", "model", "--json"]).current_dir(folder.path());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["ids"].clone()
    };
    assert_eq!(ids("a\r\nb\rc\r\n"), ids("a\nb\rc\n"));
}

#[test]
fn no_begin_token_stands_before_a_chat_whose_template_writes_none() {
    let folder = with_model("chat");
    let chat = ["generate", "a b", "--chat", "--model", "model", "--max-tokens", "1"];
    assert_eq!(found(folder.path(), &chat)["prompt_tokens"], 25);
    write_answers(folder.path(), "a b", "c d");
    close(first_loss(folder.path(), "60", &[]), 6.873618);
}
