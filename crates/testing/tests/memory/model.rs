//! No file of JSON takes more than four bytes of memory a byte, and a floor, whatever is in it: measured.

use std::fmt::Write as _;
use std::fs;

use crate::counted::*;
use sip_model::tokenizer::Tokenizer;
use sip_model::{LlamaConfig, LoadedModel};

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
    let unigram = |vocab: String, normalizer: &str| {
        let normalizer = format!(r#""normalizer":{normalizer}"#);
        let head = r#"{"version":"1.0","model":{"type":"Unigram","unk_id":0,"byte_fallback":false,"vocab":"#;
        format!("{head}{vocab}}},{normalizer}}}").into_bytes()
    };
    let scored = |count: usize, entry: &dyn Fn(usize) -> String| {
        format!("[{}]", (0..count).map(entry).collect::<Vec<_>>().join(","))
    };
    let common = |at: usize| format!(r#"["\u2581word{at}",-{}.{}]"#, at % 19, at * 7919 % 100_000);
    // A table of characters with 180,224 places that all are free.
    let table = format!("AAAL{}", "AAAA".repeat(240_299));
    let table = format!(r#"{{"type":"Precompiled","precompiled_charsmap":"{table}"}}"#);
    files.push(("a Unigram vocabulary", unigram(scored(60_000, &common), "null"), true));
    files.push(("a Unigram vocabulary with a table of characters", unigram(scored(60_000, &common), &table), true));
    files.push(("a large table of characters", unigram(scored(300, &common), &table), true));
    files.push(("short Unigram tokens", unigram(scored(900_000, &|at| format!(r#"["{at:x}",0]"#)), "null"), false));
    files.push(("Unigram tokens that are empty lists", unigram(list("[]", LARGE), "null"), false));
    files.push(("Unigram tokens that are texts", unigram(list("\"\"", LARGE), "null"), false));
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

/// A GGUF file in parts: metadata of a small model, and what a test adds.
struct Gguf {
    keys: Vec<Vec<u8>>,
    rows: usize,
}

fn length_and(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text].concat()
}

impl Gguf {
    fn new(kind: &str) -> Gguf {
        let mut file = Gguf { keys: Vec::new(), rows: 257 };
        file.text("general.architecture", "llama");
        file.text("tokenizer.ggml.model", kind);
        file.text("tokenizer.ggml.pre", "gpt-2");
        let sizes = [
            ("context_length", 16),
            ("embedding_length", 8),
            ("feed_forward_length", 12),
            ("block_count", 1),
            ("attention.head_count", 2),
        ];
        for (key, size) in sizes {
            file.key(&format!("llama.{key}"), 4, &u32::to_le_bytes(size));
        }
        file.key("llama.attention.layer_norm_rms_epsilon", 6, &1e-5f32.to_le_bytes());
        file
    }

    fn key(&mut self, name: &str, kind: u32, value: &[u8]) {
        self.keys.push([&length_and(name.as_bytes())[..], &kind.to_le_bytes(), value].concat());
    }

    fn text(&mut self, name: &str, text: &str) {
        self.key(name, 8, &length_and(text.as_bytes()));
    }

    fn array(&mut self, name: &str, kind: u32, elements: impl ExactSizeIterator<Item = Vec<u8>>) {
        let mut value = [&kind.to_le_bytes()[..], &(elements.len() as u64).to_le_bytes()].concat();
        elements.for_each(|element| value.extend(element));
        self.key(name, 9, &value);
    }

    fn tokens(&mut self, tokens: &[String]) -> &mut Gguf {
        self.rows = tokens.len();
        self.array("tokenizer.ggml.tokens", 8, tokens.iter().map(|token| length_and(token.as_bytes())));
        self.array("tokenizer.ggml.token_type", 5, tokens.iter().map(|_| 1u32.to_le_bytes().to_vec()));
        self
    }

    fn scores(&mut self, score: impl Fn(usize) -> f32) -> &mut Gguf {
        self.array("tokenizer.ggml.scores", 6, (0..self.rows).map(|id| score(id).to_le_bytes().to_vec()));
        self
    }

    fn merges(&mut self, merges: &[String]) -> &mut Gguf {
        self.array("tokenizer.ggml.merges", 8, merges.iter().map(|merge| length_and(merge.as_bytes())));
        self
    }

    /// The tables; behind them is room for a tensor.
    fn tables(&self) -> Vec<u8> {
        let mut bytes = [&b"GGUF"[..], &3u32.to_le_bytes(), &1u64.to_le_bytes()].concat();
        bytes.extend((self.keys.len() as u64).to_le_bytes());
        bytes.extend(self.keys.concat());
        bytes.extend(length_and(b"token_embd.weight"));
        bytes.extend(2u32.to_le_bytes());
        bytes.extend([8, self.rows as u64].iter().flat_map(|side| side.to_le_bytes()));
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(0u64.to_le_bytes());
        bytes
    }
}

fn gguf_files() -> Vec<(&'static str, Gguf, bool)> {
    let mut files = Vec::new();
    let letters: Vec<String> =
        ('!'..='~').chain('\u{a1}'..='\u{ac}').chain('\u{ae}'..='\u{143}').map(String::from).collect();
    let numbered = |count: usize, token: &dyn Fn(usize) -> String| -> Vec<String> {
        letters.iter().cloned().chain((0..count).map(|at| format!("\u{160}{}", token(at)))).collect()
    };
    let with = |kind: &str, tokens: &[String]| {
        let mut file = Gguf::new(kind);
        file.tokens(tokens).scores(|id| -(id as f32));
        if kind == "gpt2" {
            file.merges(&[]);
        }
        file
    };
    let (tokens, merges) = vocabulary(30_000);
    let mut honest = Gguf::new("gpt2");
    let merges: Vec<String> = merges.iter().map(|[left, right]| format!("{left} {right}")).collect();
    honest.tokens(&tokens).merges(&merges);
    files.push(("a large vocabulary with its merges", honest, true));
    // Tokens that spell each other in two ways, as those of models do.
    let mut spelled: Vec<String> = letters.clone();
    let pairs = letters.iter().flat_map(|left| letters.iter().map(move |right| format!("{left}{right}")));
    spelled.extend(pairs.take(30_000));
    let thirds: Vec<String> = spelled[letters.len()..].iter().map(|pair| format!("{pair}e")).take(30_000).collect();
    spelled.extend(thirds);
    spelled.sort_unstable();
    spelled.dedup();
    files.push(("a large vocabulary with scores", with("llama", &spelled), true));
    let growing = |count: usize| -> Vec<String> { (1..=count).map(|length| "a".repeat(length)).collect() };
    files.push(("tokens that spell each other in every way", with("llama", &growing(512)), true));
    let many = numbered(8000, &|at| format!("{}{}", "ab".repeat(at % 200), "a".repeat(at / 200)));
    let mut many: Vec<String> = many.into_iter().collect();
    many.sort_unstable();
    many.dedup();
    files.push(("tokens that spell each other in many ways", with("llama", &many), false));
    files.push(("a token without an end", with("llama", &numbered(1, &|_| "a".repeat(LARGE))), false));
    files.push((
        "tokens of control characters",
        with("llama", &numbered(20_000, &|at| format!("{at}{}", "\u{1}".repeat(100)))),
        false,
    ));
    for kind in ["gpt2", "llama"] {
        files.push(("short tokens", with(kind, &numbered(150_000, &|at| format!("{at:x}"))), false));
        let mut added = with(kind, &numbered(50_000, &|at| format!("{at:x}")));
        let kinds = added.keys.iter().position(|key| key[8..].starts_with(b"tokenizer.ggml.token_type")).unwrap();
        added.keys.remove(kinds);
        added.array("tokenizer.ggml.token_type", 5, (0..added.rows).map(|_| 3u32.to_le_bytes().to_vec()));
        files.push(("every token an added one", added, false));
    }
    let mut file = Gguf::new("gpt2");
    file.tokens(&letters).merges(&vec!["! !".to_owned(); LARGE / 11]);
    files.push(("merges that repeat", file, false));
    let mut file = Gguf::new("gpt2");
    file.tokens(&letters).merges(&vec![String::new(); LARGE / 8]);
    files.push(("empty merges", file, false));
    let mut file = Gguf::new("gpt2");
    file.tokens(&vec![String::new(); LARGE / 12]).merges(&[]);
    files.push(("empty tokens", file, false));
    for (name, text) in [("a long template", "a".repeat(LARGE)), ("a template of escapes", "\u{1}".repeat(200 << 10))] {
        let mut file = with("gpt2", &numbered(2000, &|at| format!("{at:x}")));
        file.text("tokenizer.chat_template", &text);
        files.push((name, file, false));
    }
    let mut file = with("gpt2", &numbered(200, &|at| format!("{at:x}")));
    (0..4000).for_each(|at| file.key(&format!("{at:x}"), 0, &[0]));
    files.push(("many keys", file, true));
    files
}

#[test]
fn a_vocabulary_in_a_gguf_file_takes_at_most_four_bytes_of_memory_a_byte_of_the_tables() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    for (name, file, is_fine) in gguf_files() {
        let tables = file.tables();
        let bytes = tables.len();
        fs::write(&path, tables).unwrap();
        let tensor_bytes = (file.rows * 8 * 4 + 64) as u64;
        fs::File::options().write(true).open(&path).unwrap().set_len(bytes as u64 + tensor_bytes).unwrap();
        let (result, peak) = peak_bytes(|| LoadedModel::open_tokenizer(&path).map(|_| ()));
        let said = result.as_ref().map_or_else(ToString::to_string, |()| "read".to_owned());
        let said = said.rsplit(": ").next().unwrap_or_default();
        assert_bounded(name, bytes, peak, FLOOR_BYTES, said);
        assert!(result.is_ok() || !is_fine, "{name}: {said}");
    }
}
