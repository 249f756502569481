//! A `tokenizer.json` from any bytes: no panic when it is read, and none when it is used.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_fuzz::edited;
use sip_model::ChatTemplate;
use sip_model::tokenizer::Tokenizer;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Normalizers as files have them, each in a file of its own.
const NORMALIZERS: [&str; 4] = [
    "null",
    r#"{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}"#,
    r#"{"type":"Replace","pattern":{"Regex":"x+|n|."},"content":"y"}"#,
    r#"{"type":"Sequence","normalizers":[{"type":"NFKD"},{"type":"Replace","pattern":{"String":"."},"content":"aaaaaaaaaa"}]}"#,
];

static WHOLE: LazyLock<[String; NORMALIZERS.len()]> = LazyLock::new(|| {
    let tokenizer = Tokenizer::train(&["the then the then"], 260).expect("trained");
    let json = tokenizer.to_json().expect("json");
    // Without line ends more of the file is what counts; the vocabulary stands last.
    let parts = json.lines().map(str::trim_start).collect::<String>();
    assert!(Tokenizer::from_json(parts.as_bytes()).is_ok());
    let plain = r#""normalizer": null"#;
    assert!(parts.contains(plain));
    NORMALIZERS.map(|normalizer| parts.replacen(plain, &format!(r#""normalizer":{normalizer}"#), 1))
});

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let json = if first & 1 == 0 {
        rest.to_vec()
    } else {
        edited(WHOLE[(first >> 1) as usize % WHOLE.len()].as_bytes(), rest)
    };
    let _ = ChatTemplate::new(&String::from_utf8_lossy(rest), BTreeMap::new());
    let Ok(tokenizer) = Tokenizer::from_json(&json) else { return };
    for text in ["", "It's the 12th — naïve\n\n  <|document|> then", &String::from_utf8_lossy(rest)] {
        if let Ok(ids) = tokenizer.encode(text) {
            assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
            let _ = tokenizer.decode(&ids);
        }
    }
});
