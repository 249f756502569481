//! Tests of the tokenizer as a whole.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;
use sip_data::{Corpus, TokenBlob};

use super::*;

/// Text with words, numbers, punctuation, line ends and characters of two to four bytes.
fn prose(sentences: usize) -> String {
    let sentence =
        |at: usize| format!("The {at}th ship's crew don't sail — naïve, {}% of 渡り鳥 🦆!  \n\n\tEnd", at * 7 % 100);
    let text: Vec<String> = (0..sentences).map(sentence).collect();
    text.join(if sentences.is_multiple_of(2) { "<|document|>" } else { " " })
}

#[test]
fn training_gives_the_same_bytes_on_every_run_and_thread_count() {
    let (first, second) = (prose(3000), prose(1001));
    let train = |threads| Tokenizer::train_on(&[&first, &second], 600, threads).unwrap().to_json().unwrap();
    let expected = train(1);
    for threads in [1, 2, 3, 8] {
        assert_eq!(train(threads), expected, "{threads} threads");
    }
}

#[test]
fn training_on_the_built_in_texts_is_the_same_on_every_machine() {
    let corpus = Corpus::shipped(200_000).unwrap();
    let texts: Vec<&str> = corpus.domains().iter().map(|domain| domain.text.as_str()).collect();
    let tokenizer = Tokenizer::train(&texts, VOCAB_SIZE_DEFAULT).unwrap();
    assert_eq!(tokenizer.vocab_size(), VOCAB_SIZE_DEFAULT);
    let ids: Vec<u32> = texts.iter().flat_map(|text| tokenizer.encode(text).unwrap()).collect();
    let roots = [blake3::hash(tokenizer.to_json().unwrap().as_bytes()), TokenBlob::new(ids).root().into()];
    assert_eq!(
        roots.map(|root| root.to_hex().to_string()),
        [
            "9665e9d0854815e088de9b9037a5270083e1667a397ad26575627ca652a09bba",
            "b8f4db197fc0c6ddf5cfd80e6c48e95fb84786786fefa6d16e8695e2b5284189"
        ]
    );
}

#[test]
fn parts_of_a_text_encode_as_the_whole() {
    let text = prose(6000);
    let tokenizer = Tokenizer::train(&[&text], 400).unwrap();
    assert!(parts(&text).count() > 8);
    assert_eq!(parts(&text).collect::<String>(), text);
    let whole = tokenizer.inner.encode_fast(text.as_str(), false).unwrap();
    for threads in [1, 2, 7] {
        assert_eq!(tokenizer.encode_on(&text, threads).unwrap(), whole.get_ids());
    }
    assert_eq!(tokenizer.decode(whole.get_ids()).unwrap(), text);
}

#[test]
fn the_document_token_is_one_token_and_never_part_of_another() {
    let tokenizer = Tokenizer::train(&["<|document|>".repeat(1000).as_str(), &prose(500)], 300).unwrap();
    let ids = tokenizer.encode("a<|document|> b").unwrap();
    assert_eq!(ids.iter().filter(|&&id| id == DOCUMENT_ID).count(), 1);
    assert_eq!(tokenizer.decode(&ids).unwrap(), "a<|document|> b");
    let json: serde_json::Value = serde_json::from_str(&tokenizer.to_json().unwrap()).unwrap();
    let vocab = json["model"]["vocab"].as_object().unwrap();
    assert!(vocab.keys().all(|token| token == DOCUMENT_TOKEN || !token.contains("document|")), "{vocab:?}");
}

#[test]
fn a_saved_tokenizer_loads_and_saves_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = Tokenizer::train(&[&prose(500)], 400).unwrap();
    tokenizer.save(folder.path(), 128).unwrap();
    let loaded = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(loaded.vocab_size(), tokenizer.vocab_size());
    assert_eq!(loaded.to_json().unwrap(), tokenizer.to_json().unwrap());
    assert_eq!(loaded.encode("The ship's").unwrap(), tokenizer.encode("The ship's").unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn short_texts_give_a_smaller_vocabulary() {
    assert_eq!(Tokenizer::train(&["", "a"], 2048).unwrap().vocab_size(), VOCAB_SIZE_MIN);
    assert_eq!(Tokenizer::train(&[], 2048).unwrap().vocab_size(), VOCAB_SIZE_MIN);
    let tokenizer = Tokenizer::train(&["abab abab"], 2048).unwrap();
    assert!(tokenizer.encode("").unwrap().is_empty());
    assert_eq!(tokenizer.encode("abab").unwrap().len(), 1);
}

#[test]
fn vocabulary_sizes_out_of_range_are_refused() {
    for size in [0, VOCAB_SIZE_MIN - 1, VOCAB_SIZE_MAX + 1] {
        assert!(matches!(Tokenizer::train(&["text"], size), Err(TokenizerError::VocabSize(found)) if found == size));
    }
}

#[test]
fn ids_outside_the_vocabulary_are_refused() {
    let tokenizer = Tokenizer::train(&[], 257).unwrap();
    assert!(matches!(tokenizer.decode(&[5, 257]), Err(TokenizerError::UnknownId { id: 257, vocab_size: 257 })));
}

#[test]
fn damaged_tokenizer_files_are_refused() {
    let json = Tokenizer::train(&[&prose(50)], 300).unwrap().to_json().unwrap();
    for bad in ["", "{}", "null", &json[..json.len() / 2]] {
        let error = Tokenizer::from_json(bad.as_bytes()).unwrap_err();
        assert!(matches!(error, TokenizerError::Format(_)), "{error}");
    }
    let error = Tokenizer::from_json(json.replace("\"!\": 1,", "\"!\": 4000000000,").as_bytes()).unwrap_err();
    assert!(matches!(error, TokenizerError::VocabSize(4_000_000_001)), "{error}");
    assert!(matches!(Tokenizer::load(Path::new("no/such/folder")), Err(TokenizerError::Io { .. })));
}

/// A tokenizer trained here with parts replaced as in models from elsewhere.
fn foreign(changes: &[(&str, serde_json::Value)]) -> Result<Tokenizer, TokenizerError> {
    let json = Tokenizer::train(&[&prose(300)], 500).unwrap().to_json().unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (pointer, value) in changes {
        *json.pointer_mut(pointer).unwrap() = value.clone();
    }
    Tokenizer::from_json(json.to_string().as_bytes())
}

#[test]
fn tokenizers_from_elsewhere_are_read() {
    let sequence = |parts: serde_json::Value| json!({ "type": "Sequence", "pretokenizers": parts });
    let byte_level = |use_regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex });
    let digits = json!({ "type": "Digits", "individual_digits": true });
    let split =
        json!({ "type": "Split", "pattern": { "Regex": "[a-z]+[\\s]*|." }, "behavior": "Isolated", "invert": false });
    let smollm = foreign(&[("/pre_tokenizer", sequence(json!([digits, byte_level(true)])))]).unwrap();
    assert!(smollm.divisible);
    assert!(smollm.encode("1234").unwrap().len() == 4 && smollm.has_documents());
    // A piece may hold whitespace behind letters: such texts are not cut.
    let other = foreign(&[("/pre_tokenizer", sequence(json!([split, byte_level(false)])))]).unwrap();
    assert!(!other.divisible);
    let text = prose(3000);
    for tokenizer in [smollm, other] {
        let whole = tokenizer.inner.encode_fast(text.as_str(), false).unwrap();
        assert_eq!(tokenizer.encode_on(&text, 3).unwrap(), whole.get_ids());
        assert_eq!(tokenizer.decode(whole.get_ids()).unwrap(), text);
    }
    let padded = json!({
        "strategy": { "Fixed": 64 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0,
        "pad_token": DOCUMENT_TOKEN,
    });
    assert!(foreign(&[("/padding", padded)]).unwrap().encode("a").unwrap().len() == 1);
    assert!(!foreign(&[("/added_tokens/0/rstrip", true.into())]).unwrap().divisible);
}

fn replace(pattern: serde_json::Value, content: &str) -> serde_json::Value {
    json!({ "type": "Replace", "pattern": pattern, "content": content })
}

fn normalizers(members: Vec<serde_json::Value>) -> serde_json::Value {
    json!({ "type": "Sequence", "normalizers": members })
}

#[test]
fn the_normalizer_of_llama_is_read_and_what_stands_behind_a_text_is_no_beginning() {
    let prepend = json!({ "type": "Prepend", "prepend": "▁" });
    let llama = normalizers(vec![prepend, replace(json!({ "String": " " }), "▁")]);
    let tokenizer = foreign(&[("/normalizer", llama)]).unwrap();
    assert_eq!(tokenizer.encode("a b").unwrap(), tokenizer.encode("a▁b").unwrap());
    let template = |parts: &[&str]| {
        let part = |&part: &&str| match part {
            "A" => json!({ "Sequence": { "id": "A", "type_id": 0 } }),
            token => json!({ "SpecialToken": { "id": token, "type_id": 0 } }),
        };
        let single: Vec<_> = parts.iter().map(part).collect();
        let value = json!({
            "type": "TemplateProcessing", "single": single, "pair": single,
            "special_tokens": { "begin": { "id": "begin", "ids": [7], "tokens": ["x"] }, "end": { "id": "end", "ids": [9], "tokens": ["x"] } },
        });
        foreign(&[("/post_processor", value)]).unwrap().begin().unwrap()
    };
    assert_eq!(template(&["A"]), None);
    assert_eq!(template(&["A", "end"]), None);
    assert_eq!(template(&["begin", "A"]), Some(7));
    assert_eq!(template(&["begin", "A", "end"]), Some(7));
}

#[test]
fn parts_that_are_not_supported_are_refused_by_name() {
    for (expected, pointer, value) in [
        ("its model is WordPiece", "/model/type", json!("WordPiece")),
        ("expected a list", "/model/type", json!("Unigram")),
        ("dropout", "/model/dropout", json!(0.1)),
        ("continuing_subword_prefix", "/model/continuing_subword_prefix", json!("##")),
        ("end_of_word_suffix", "/model/end_of_word_suffix", json!("</w>")),
        ("its normalizer is BertNormalizer", "/normalizer", json!({ "type": "BertNormalizer" })),
        ("its pre_tokenizer is BertPreTokenizer", "/pre_tokenizer", json!({ "type": "BertPreTokenizer" })),
        ("its decoder is CTC", "/decoder", json!({ "type": "Sequence", "decoders": [{ "type": "CTC" }] })),
        ("its post_processor is unnamed", "/post_processor", json!(5)),
        ("empty text", "/added_tokens/0/content", json!("")),
        ("has 513 bytes, expected at most 512", "/added_tokens/0/content", json!("x".repeat(513))),
        ("Prepend in its normalizer sets 0 bytes", "/normalizer", json!({ "type": "Prepend", "prepend": "" })),
        ("sets 17 bytes", "/normalizer", json!({ "type": "Prepend", "prepend": "x".repeat(17) })),
        ("Replace in its normalizer has another pattern", "/normalizer", replace(json!({ "String": "" }), "b")),
        ("17 times as long", "/normalizer", replace(json!({ "Regex": "x+" }), &"b".repeat(17))),
        (
            "Replace in its normalizer has a pattern that may match nothing",
            "/normalizer",
            replace(json!({ "Regex": "x*" }), "b"),
        ),
        ("has another pattern", "/normalizer", replace(json!({ "Regex": 5 }), "b")),
        ("is no base64", "/normalizer", json!({ "type": "Precompiled", "precompiled_charsmap": "?" })),
        ("is cut short", "/normalizer", json!({ "type": "Precompiled", "precompiled_charsmap": "AAQAAA==" })),
        ("has another pattern", "/decoder", replace(json!({ "Regex": "x*" }), "b")),
        ("can make a text 17 times as long", "/normalizer", replace(json!({ "String": "." }), &"a".repeat(17))),
        ("100 times as long", "/normalizer", normalizers(vec![replace(json!({ "String": "." }), &"a".repeat(10)); 2])),
        ("has 9 members", "/normalizer", normalizers(vec![json!({ "type": "NFC" }); 9])),
        ("Strip in its decoder", "/decoder", json!({ "type": "Strip", "content": " ", "start": 0, "stop": 1 })),
    ] {
        let error = foreign(&[(pointer, value)]).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

proptest! {
    #[test]
    fn files_with_any_bytes_changed_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), head_only: bool,
    ) {
        let mut json = Tokenizer::train(&[], 257).unwrap().to_json().unwrap().into_bytes();
        let end = if head_only { 1200 } else { json.len() };
        for (at, byte) in changes {
            json[at.index(end)] = byte;
        }
        if let Ok(tokenizer) = Tokenizer::from_json(&json) {
            let _ = tokenizer.encode("It's the 12th\n").and_then(|ids| tokenizer.decode(&ids));
        }
    }

    #[test]
    fn every_text_comes_back(text in any::<String>()) {
        let tokenizer = Tokenizer::train(&[], 257).unwrap();
        let ids = tokenizer.encode(&text).unwrap();
        prop_assert_eq!(ids.len(), text.len() - (DOCUMENT_TOKEN.len() - 1) * text.matches(DOCUMENT_TOKEN).count());
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
}

/// `cargo test --release -p sip-model built_in_texts_in_full -- --ignored --nocapture`
#[test]
#[ignore = "a measurement of some seconds"]
fn built_in_texts_in_full() {
    let corpus = Corpus::shipped(sip_data::corpus::MAX_BYTES_DEFAULT).unwrap();
    let texts: Vec<&str> = corpus.domains().iter().map(|domain| domain.text.as_str()).collect();
    let start = std::time::Instant::now();
    let tokenizer = Tokenizer::train(&texts, VOCAB_SIZE_DEFAULT).unwrap();
    println!("train: {:.2?}", start.elapsed());
    for domain in corpus.domains() {
        let start = std::time::Instant::now();
        let ids = tokenizer.encode(&domain.text).unwrap();
        let (seconds, per_token) = (start.elapsed(), domain.text.chars().count() as f64 / ids.len() as f64);
        println!("{}: {} tokens, {per_token:.3} characters each, {seconds:.2?}", domain.name, ids.len());
        assert_eq!(tokenizer.decode(&ids).unwrap(), domain.text);
    }
}
