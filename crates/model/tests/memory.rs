//! No file of JSON takes more than four bytes of memory a byte, and a floor, whatever is in it: measured.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sip_model::tokenizer::Tokenizer;
use sip_model::{LlamaConfig, LoadedModel};

/// The system's memory, with what is in use and was at most.
struct Counted;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    PEAK.fetch_max(IN_USE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new are there together while one is copied into the other.
        taken(size);
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Tests run one after the other, so that nobody else's memory is measured.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a function takes at most beyond what was in use before it.
fn peak_bytes<T>(function: impl FnOnce() -> T) -> (T, usize) {
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = function();
    (result, PEAK.load(Relaxed) - before)
}

/// Bytes of memory a byte of file, the file's own bytes among them.
const FACTOR: usize = 4;
/// What a reader may take beyond that.
const FLOOR_BYTES: usize = 8 << 20;

/// A byte-level vocabulary of `words` words of letters with the merges that make them.
fn vocabulary(words: usize) -> (Vec<String>, Vec<[String; 2]>) {
    let letters: Vec<String> =
        ('!'..='~').chain('\u{a1}'..='\u{ac}').chain('\u{ae}'..='\u{143}').map(String::from).collect();
    let mut tokens = letters.clone();
    let mut merges = Vec::new();
    let mut at = 0;
    while merges.len() < words {
        let (left, right) = (tokens[at % tokens.len()].clone(), letters[(at / 7) % letters.len()].clone());
        at += 1;
        let whole = format!("{left}{right}");
        if !tokens.contains(&whole) || tokens.len() > 5000 {
            tokens.push(format!("{whole}{at}"));
            tokens.push(whole);
            merges.push([left, right]);
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    (tokens, merges)
}

struct File {
    added: String,
    vocab: String,
    merges: String,
    more: String,
}

impl File {
    fn honest(words: usize) -> File {
        let (tokens, merges) = vocabulary(words);
        let pairs = tokens.iter().enumerate().map(|(id, token)| (token, id));
        let vocab: serde_json::Map<_, _> = pairs.map(|(token, id)| (token.clone(), id.into())).collect();
        File {
            added: "[]".to_owned(),
            vocab: serde_json::Value::Object(vocab).to_string(),
            merges: serde_json::to_string(&merges).unwrap(),
            more: String::new(),
        }
    }

    fn text(&self) -> Vec<u8> {
        let File { added, vocab, merges, more } = self;
        format!(
            r#"{{"version":"1.0","added_tokens":{added},"normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":null{more},"model":{{"type":"BPE","vocab":{vocab},"merges":{merges}}}}}"#
        )
        .into_bytes()
    }
}

fn added(count: usize, content: impl Fn(usize) -> String) -> String {
    let mut list = String::from("[");
    for id in 0..count {
        let comma = if id == 0 { "" } else { "," };
        write!(
            list,
            r#"{comma}{{"id":{id},"content":{},"single_word":false,"lstrip":false,"rstrip":false,"normalized":{},"special":true}}"#,
            serde_json::Value::from(content(id)),
            id % 2 == 0,
        )
        .unwrap();
    }
    list + "]"
}

/// A list of the same elements, of about so many bytes.
fn list(element: &str, bytes: usize) -> String {
    let count = bytes / (element.len() + 1) + 1;
    format!("[{}]", vec![element; count].join(","))
}

fn object(value: impl Fn(usize) -> String, count: usize) -> String {
    let members: Vec<String> = (0..count).map(|at| format!("\"{at:x}\":{}", value(at))).collect();
    format!("{{{}}}", members.join(","))
}

const LARGE: usize = 3_000_000;

/// Files of many kinds by name.
fn tokenizer_files() -> Vec<(&'static str, Vec<u8>, bool)> {
    let honest = || File::honest(2000);
    let large = File::honest(30_000);
    let pretty: serde_json::Value = serde_json::from_slice(&large.text()).unwrap();
    let mut files = vec![
        ("a large vocabulary", large.text(), true),
        ("a large vocabulary, pretty", format!("{pretty:#}").into_bytes(), true),
        (
            "many added tokens",
            File { added: added(10_000, |at| format!("<|custom_token_{at}|>")), ..File::honest(30_000) }.text(),
            true,
        ),
    ];
    let mut hostile = |name, file: File| files.push((name, file.text(), false));
    hostile("a million added tokens", File { added: added(100_000, |at| format!("{at:x}")), ..honest() });
    hostile(
        "added tokens of different beginnings",
        File { added: added(9000, |at| format!("{:x}", at * 997 % 65536)), ..honest() },
    );
    hostile(
        "a hundred long added tokens",
        File { added: added(100, |at| format!("{at}{}", "\u{e4}\u{f0}\u{100}xyz".repeat(50))), ..honest() },
    );
    hostile(
        "two hundred long added tokens",
        File { added: added(200, |at| format!("{at}{}", ('!'..='\u{100}').collect::<String>())), ..honest() },
    );
    hostile("tiny added tokens", File { added: list("{}", LARGE), ..honest() });
    hostile("a vocabulary of many short tokens", File { vocab: object(|at| at.to_string(), 200_000), ..honest() });
    hostile("a vocabulary of empty lists", File { vocab: object(|_| "[]".to_owned(), 200_000), ..honest() });
    hostile("merges that repeat", File { merges: list("\"! !\"", LARGE), ..honest() });
    hostile("merges of two that repeat", File { merges: list("[\"!\",\"!\"]", LARGE), ..honest() });
    hostile("merges that are empty lists", File { merges: list("[]", LARGE), ..honest() });
    hostile("merges that are numbers", File { merges: list("0", LARGE), ..honest() });
    for (name, value) in [
        ("empty lists", list("[]", LARGE)),
        ("empty objects", list("{}", LARGE)),
        ("zeros", list("0", LARGE)),
        ("short texts", list("\"\"", LARGE)),
        ("a huge number", "9".repeat(LARGE)),
        ("nested lists", "[".repeat(LARGE / 2) + &"]".repeat(LARGE / 2)),
        ("nested objects", "{\"a\":".repeat(LARGE / 6) + "0" + &"}".repeat(LARGE / 6)),
        ("an escaped text", format!("\"{}\"", "\\n".repeat(LARGE / 2))),
        ("many keys", object(|_| "0".to_owned(), 250_000)),
    ] {
        let honest = String::from_utf8(honest().text()).unwrap();
        for (from, to) in [
            ("\"normalizer\":null", format!("\"normalizer\":{value}")),
            ("\"post_processor\":null", format!("\"post_processor\":{value}")),
            ("\"version\"", format!("\"other\":{value},\"version\"")),
            ("\"BPE\"", format!("\"BPE\",\"unk_token\":{value}")),
        ] {
            files.push((name, honest.replacen(from, &to, 1).into_bytes(), false));
        }
    }
    for (name, pattern) in [
        ("a pattern of many classes", r"\p{L}".repeat(9000)),
        ("a pattern that looks ahead", r"(?=\p{L}\p{N})".repeat(3000)),
        ("a pattern that repeats a class", r"\p{L}{1000}".to_owned()),
        ("a pattern that repeats repetitions", r"(?=((a{100}){100}){100})".to_owned()),
        ("a pattern that looks at repetitions", r"(?=\p{L}{40})".repeat(200)),
    ] {
        let split = serde_json::json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false });
        let honest = String::from_utf8(honest().text()).unwrap();
        let text = honest.replacen("\"pre_tokenizer\":null", &format!("\"pre_tokenizer\":{split}"), 1);
        files.push((name, text.into_bytes(), false));
    }
    files
}

#[test]
fn a_tokenizer_takes_at_most_four_bytes_of_memory_a_byte_of_its_file() {
    let _alone = alone();
    for (name, text, is_fine) in tokenizer_files() {
        let (result, peak) = peak_bytes(|| Tokenizer::from_json(&text));
        // The text itself is the first byte.
        let allowed = (FACTOR - 1) * text.len() + FLOOR_BYTES;
        let said = result.as_ref().map_or_else(|error| error.to_string(), |_| "read".to_owned());
        println!(
            "{name}: {} bytes, {:.2} bytes of memory each: {said}",
            text.len(),
            1.0 + peak as f64 / text.len() as f64
        );
        assert!(peak <= allowed, "{name}: {peak} bytes, allowed {allowed}: {said}");
        assert!(result.is_ok() || !is_fine, "{name}: {said}");
    }
}

/// Values that are small on the disk and large in memory.
fn hostile_values() -> Vec<String> {
    vec![
        list("[]", LARGE),
        list("{}", LARGE),
        list("{\"a\":{}}", LARGE),
        list("0", LARGE),
        list("\"\"", LARGE),
        "[".repeat(LARGE / 2) + &"]".repeat(LARGE / 2),
        "9".repeat(LARGE),
        format!("\"{}\"", "\\n".repeat(LARGE / 2)),
        object(|_| "0".to_owned(), LARGE / 10),
        object(|_| "\"\"".to_owned(), LARGE / 10),
        object(|_| "{\"content\":\"a\"}".to_owned(), LARGE / 20),
    ]
}

#[test]
fn no_file_beside_the_weights_takes_more() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    Tokenizer::train(&[], 257).unwrap().save(folder.path(), 16).unwrap();
    let config = r#"{"model_type":"llama","vocab_size":257,"hidden_size":8,"intermediate_size":12,"num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":16,"rms_norm_eps":1e-5}"#;
    fs::write(folder.path().join("config.json"), config).unwrap();
    let keys = [
        ("tokenizer_config.json", "added_tokens_decoder"),
        ("tokenizer_config.json", "chat_template"),
        ("tokenizer_config.json", "extra_special_tokens"),
        ("special_tokens_map.json", "additional_special_tokens"),
        ("added_tokens.json", "a"),
        ("chat_template.json", "chat_template"),
        ("config.json", "rope_scaling"),
        ("generation_config.json", "eos_token_id"),
        ("model.safetensors.index.json", "weight_map"),
    ];
    for (name, key) in keys {
        for value in hostile_values() {
            for text in [format!("{{\"{key}\":{value}}}"), value] {
                let path = folder.path().join(name);
                let before = fs::read(&path).ok();
                fs::write(&path, &text).unwrap();
                let (result, peak) = peak_bytes(|| match name {
                    "model.safetensors.index.json" | "config.json" => LoadedModel::open(folder.path()).map(|_| ()),
                    "generation_config.json" => LoadedModel::open(folder.path()).map(|_| ()),
                    _ => LoadedModel::open_tokenizer(folder.path()).map(|_| ()),
                });
                let allowed = FACTOR * text.len() + FLOOR_BYTES;
                let said = result.map_or_else(|error| error.to_string(), |()| "read".to_owned());
                let start: String = text.chars().take(30).collect();
                assert!(peak <= allowed, "{name} {start}: {peak} bytes, allowed {allowed}: {said}");
                match before {
                    Some(bytes) => fs::write(&path, bytes).unwrap(),
                    None => fs::remove_file(&path).unwrap(),
                }
            }
        }
    }
}

#[test]
fn many_added_tokens_beside_a_tokenizer_are_read() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    Tokenizer::train(&[], 257).unwrap().save(folder.path(), 16).unwrap();
    let token = |at: usize| {
        format!(
            "\n      \"{}\": {{\n        \"content\": \"<unused{at}>\",\n        \"lstrip\": false,\n        \"normalized\": false,\n        \"rstrip\": false,\n        \"single_word\": false,\n        \"special\": true\n      }}",
            at + 257
        )
    };
    let tokens: Vec<String> = (0..6400).map(token).collect();
    let text = format!("{{ \"bos_token\": \"<|document|>\", \"added_tokens_decoder\": {{{}\n  }} }}", tokens.join(","));
    fs::write(folder.path().join("tokenizer_config.json"), &text).unwrap();
    let (read, peak) = peak_bytes(|| LoadedModel::open_tokenizer(folder.path()).unwrap());
    assert!(peak <= FACTOR * text.len() + FLOOR_BYTES, "{peak} of {}", text.len());
    assert_eq!(read.tokenizer.vocab_size(), 257 + 6400);
    assert_eq!(read.tokenizer.encode("<unused6399>").unwrap(), [257 + 6399]);
}

#[test]
fn no_table_of_weights_takes_more() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let entry = |_: usize| "{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}".to_owned();
    let ones = format!("{{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,0]}}", list("1", LARGE));
    let mut tables = hostile_values();
    tables.push(object(entry, 60_000));
    tables.push(format!("{{\"a\":{ones}}}"));
    for table in tables {
        let path = folder.path().join("adapter_model.safetensors");
        let file = [&(table.len() as u64).to_le_bytes()[..], table.as_bytes()].concat();
        fs::write(&path, &file).unwrap();
        fs::write(folder.path().join("adapter_config.json"), "{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":1}")
            .unwrap();
        let config = LlamaConfig::preset("small").unwrap();
        let mut weights = Vec::new();
        let (result, peak) = peak_bytes(|| sip_model::adapter::merge(folder.path(), &config, &mut weights));
        let said = result.map_or_else(|error| error.to_string(), |()| "read".to_owned());
        let start: String = table.chars().take(30).collect();
        assert!(peak <= FACTOR * file.len() + FLOOR_BYTES, "{start}: {peak} bytes of {}: {said}", file.len());
    }
}
