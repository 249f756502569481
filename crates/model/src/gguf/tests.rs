//! GGUF files written here, right and wrong, and blocks against the package that belongs to the format.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::*;
use crate::chat::{ChatError, Message, Role};

const U32: u32 = 4;
const F32_KIND: u32 = 6;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// A file in parts.
#[derive(Clone)]
struct Parts {
    version: u32,
    /// Key, number of the type, bytes.
    metadata: Vec<(String, u32, Vec<u8>)>,
    /// Name, sides innermost first, number of the type, bytes.
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn array(kind: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(elements.len() as u64).to_le_bytes(), &elements.concat()].concat()
}

impl Parts {
    fn set(&mut self, key: &str, kind: u32, bytes: impl Into<Vec<u8>>) {
        self.metadata.retain(|(found, ..)| found != key);
        self.metadata.push((key.to_owned(), kind, bytes.into()));
    }

    fn remove(&mut self, key: &str) {
        self.metadata.retain(|(found, ..)| found != key);
    }

    fn tensor(&mut self, name: &str) -> &mut (String, Vec<u64>, u32, Vec<u8>) {
        self.tensors.iter_mut().find(|(found, ..)| found == name).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.metadata {
            bytes.extend(text(key));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(value);
        }
        let mut offset = 0;
        for (name, sides, kind, data) in &self.tensors {
            bytes.extend(text(name));
            bytes.extend((sides.len() as u32).to_le_bytes());
            bytes.extend(sides.iter().flat_map(|side| side.to_le_bytes()));
            bytes.extend(kind.to_le_bytes());
            bytes.extend((offset as u64).to_le_bytes());
            offset += data.len().next_multiple_of(32);
        }
        for (.., data) in &self.tensors {
            bytes.resize(bytes.len().next_multiple_of(32), 0);
            bytes.extend(data);
        }
        bytes
    }

    fn open(&self) -> Result<LoadedModel, LoadError> {
        open_bytes(&self.bytes())
    }

    fn refusal(&self) -> String {
        self.open().unwrap_err().to_string()
    }
}

fn open_bytes(bytes: &[u8]) -> Result<LoadedModel, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("model.gguf");
    fs::write(&path, bytes).unwrap();
    LoadedModel::open(&path)
}

fn config() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 262,
        hidden_size: 32,
        intermediate_size: 64,
        num_layers: 2,
        num_heads: 4,
        num_kv_heads: 2,
        head_dim: None,
        max_seq_len: 64,
        rms_norm_eps: 1e-5,
        rope_theta: 500.0,
        rope_scaling: None,
        tie_embeddings: false,
        variant: crate::config::Variant::default(),
    }
}

/// The value of element `index` of parameter `number`.
fn value(number: usize, index: usize) -> f32 {
    (number * 1000 + index) as f32 / 1024.0 - 3.0
}

/// A whole model in f32.
fn model() -> Parts {
    let config = config();
    let mut parts = Parts { version: 3, metadata: Vec::new(), tensors: Vec::new() };
    parts.set("general.architecture", TEXT, text("llama"));
    for (key, size) in [
        ("llama.context_length", config.max_seq_len),
        ("llama.embedding_length", config.hidden_size),
        ("llama.feed_forward_length", config.intermediate_size),
        ("llama.block_count", config.num_layers),
        ("llama.attention.head_count", config.num_heads),
        ("llama.attention.head_count_kv", config.num_kv_heads),
        ("llama.rope.dimension_count", config.head_dim()),
        ("tokenizer.ggml.bos_token_id", 0),
        ("tokenizer.ggml.eos_token_id", 1),
    ] {
        parts.set(key, U32, (size as u32).to_le_bytes());
    }
    parts.set("llama.rope.freq_base", F32_KIND, config.rope_theta.to_le_bytes());
    parts.set("llama.attention.layer_norm_rms_epsilon", F32_KIND, config.rms_norm_eps.to_le_bytes());
    parts.set("tokenizer.ggml.model", TEXT, text("gpt2"));
    parts.set("tokenizer.ggml.pre", TEXT, text("smollm"));
    parts.set("tokenizer.chat_template", TEXT, text("{{ bos_token }}{{ messages[0].content }}"));

    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let mut tokens = vec!["<|im_start|>".to_owned(), "<|im_end|>".to_owned()];
    tokens.extend(alphabet.iter().map(char::to_string));
    tokens.extend(["th", "Ġth", "Ġthe", "12"].map(str::to_owned));
    assert_eq!(tokens.len(), config.vocab_size);
    let types = (0..tokens.len()).map(|id| (if id < 2 { CONTROL } else { 1u32 }).to_le_bytes().to_vec());
    parts.set("tokenizer.ggml.token_type", ARRAY, array(5, &types.collect::<Vec<_>>()));
    parts.set("tokenizer.ggml.tokens", ARRAY, array(TEXT, &tokens.iter().map(|token| text(token)).collect::<Vec<_>>()));
    let merges = ["t h", "Ġ th", "Ġth e", "1 2"].map(text);
    parts.set("tokenizer.ggml.merges", ARRAY, array(TEXT, &merges));

    let head_dim = config.head_dim();
    for (number, (name, shape)) in config.parameters().into_iter().enumerate() {
        let width = *shape.last().unwrap();
        let rotated = name.contains("q_proj") || name.contains("k_proj");
        let count: usize = shape.iter().product();
        let bytes = (0..count).flat_map(|index| {
            let (row, column) = (index / width, index % width);
            // Rows 2i and 2i + 1 of a head are its rows i and i + half.
            let (head, within) = (row / head_dim, row % head_dim);
            let from = if rotated { head * head_dim + within / 2 + within % 2 * (head_dim / 2) } else { row };
            value(number, from * width + column).to_le_bytes()
        });
        let sides = shape.iter().rev().map(|&side| side as u64).collect();
        parts.tensors.push((gguf_name(&name), sides, 0, bytes.collect()));
    }
    parts
}

const CONTROL: u32 = 3;

#[test]
fn a_whole_model_is_read_in_the_order_of_the_hugging_face_layout() {
    for version in [2, 3] {
        let loaded = Parts { version, ..model() }.open().unwrap();
        assert_eq!(loaded.config, config());
        for (number, weights) in loaded.weights.iter().enumerate() {
            for (index, &bits) in weights.iter().enumerate() {
                assert_eq!(f32::from_bits(bits), value(number, index), "parameter {number} at {index}");
            }
        }
        assert_eq!(loaded.special, SpecialTokens { begin: None, bos: Some(0), end: vec![1] });
        let said = loaded.chat.get(None).unwrap().render(&[Message::new(Role::User, "a")], true);
        assert_eq!(said.as_deref(), Ok("<|im_start|>a"));
        let ids = loaded.tokenizer.encode("<|im_start|>in the12\n").unwrap();
        // The pieces are "in", " the", "1", "2" and the line end: digits stand alone.
        assert_eq!(ids.len(), 1 + 2 + 1 + 2 + 1);
        assert_eq!(loaded.tokenizer.decode(&ids).unwrap(), "<|im_start|>in the12\n");
    }
}

#[test]
fn what_the_metadata_says_of_the_tokenizer_counts() {
    let mut parts = model();
    parts.set("tokenizer.ggml.pre", TEXT, text("gpt-2"));
    parts.set("tokenizer.ggml.add_bos_token", 7, [1]);
    let loaded = parts.open().unwrap();
    assert_eq!(loaded.special.begin, Some(0));
    assert_eq!(loaded.tokenizer.encode("12").unwrap(), [261]);
    for pre in ["llama-bpe", "qwen2", "default"] {
        parts.set("tokenizer.ggml.pre", TEXT, text(pre));
        let tokenizer = parts.open().unwrap().tokenizer;
        let text = "It's the 1,234th — naïve\n\n  end!";
        assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()).unwrap(), text);
    }
    parts.remove("tokenizer.chat_template");
    assert_eq!(parts.open().unwrap().chat.get(None).err(), Some(ChatError::Missing));
}

#[test]
fn rope_scaling_is_read_from_the_metadata_or_from_the_divisors_of_llama_3() {
    let mut parts = model();
    parts.set("llama.rope.scaling.factor", F32_KIND, 4f32.to_le_bytes());
    parts.set("llama.rope.scaling.type", TEXT, text("linear"));
    assert_eq!(parts.open().unwrap().config.rope_scaling, Some(RopeScaling::Linear { factor: 4.0 }));
    parts.set("llama.rope.scaling.type", TEXT, text("yarn"));
    parts.set("llama.rope.scaling.original_context_length", U32, 16u32.to_le_bytes());
    let found = parts.open().unwrap().config.rope_scaling;
    let yarn = |fast: f32, slow: f32| RopeScaling::Yarn {
        factor: 4.0,
        attention_factor: yarn_attention_factor(4.0, [None, None]),
        beta_fast: fast,
        beta_slow: slow,
        original_max_seq_len: 16,
        truncate: true,
    };
    assert_eq!(found, Some(yarn(32.0, 1.0)));
    parts.set("llama.rope.scaling.yarn_beta_fast", F32_KIND, 16f32.to_le_bytes());
    parts.set("llama.rope.scaling.yarn_beta_slow", F32_KIND, 2f32.to_le_bytes());
    assert_eq!(parts.open().unwrap().config.rope_scaling, Some(yarn(16.0, 2.0)));
    parts.set("llama.rope.scaling.type", TEXT, text("longrope"));
    assert!(parts.refusal().contains("llama.rope.scaling.type is longrope"));

    let of = |factor, high_freq_factor, original_max_seq_len| RopeScaling::Llama3 {
        factor,
        low_freq_factor: 1.0,
        high_freq_factor,
        original_max_seq_len,
    };
    let divided = |scaling: RopeScaling, theta: f32| {
        let plain = LlamaConfig { rope_theta: theta, ..config() };
        let scaled = LlamaConfig { rope_scaling: Some(scaling), ..plain.clone() };
        let frequencies = rotary_frequencies(&plain).0.into_iter().zip(rotary_frequencies(&scaled).0);
        frequencies.map(|(plain, scaled)| plain / scaled).collect::<Vec<f64>>()
    };
    let with = |scaling: RopeScaling, theta: f32| {
        let mut parts = model();
        parts.set("llama.rope.freq_base", F32_KIND, theta.to_le_bytes());
        let bytes = divided(scaling, theta).into_iter().flat_map(|divisor| (divisor as f32).to_le_bytes()).collect();
        parts.tensors.push((ROPE_FACTORS.to_owned(), vec![4], 0, bytes));
        parts
    };
    let scaling = of(32.0, 4.0, 8192);
    assert_eq!(with(scaling, 500_000.0).open().unwrap().config.rope_scaling, Some(scaling));
    // Of other models: the same divisors, whatever numbers they follow from.
    for (scaling, theta) in [
        (of(8.0, 4.0, 64), 1e4),
        (of(5.0, 3.0, 100), 500_000.0),
        (of(6.0, 20.0, 100), 300.0),
        (of(64.0, 4.0, 1 << 17), 1e6),
    ] {
        let found = with(scaling, theta).open().unwrap().config.rope_scaling.unwrap();
        for (found, expected) in divided(found, theta).into_iter().zip(divided(scaling, theta)) {
            assert!((found - expected).abs() < 1e-4 * expected, "{scaling:?}: {found}, expected {expected}");
        }
    }
    let mut parts = with(scaling, 500_000.0);
    parts.tensor(ROPE_FACTORS).3[..4].copy_from_slice(&1.5f32.to_le_bytes());
    assert!(parts.refusal().contains("rope scaling of Llama 3.1"));
}

#[test]
fn models_and_tokenizers_of_other_kinds_are_refused_by_name() {
    type Change = fn(&mut Parts);
    let cases: [(&str, Change); 16] = [
        ("version 1", |parts| parts.version = 1),
        ("big-endian", |parts| parts.version = 3u32.swap_bytes()),
        ("version 9", |parts| parts.version = 9),
        ("general.architecture is gemma", |parts| parts.set("general.architecture", TEXT, text("gemma"))),
        ("llama.expert_count is 8", |parts| parts.set("llama.expert_count", U32, 8u32.to_le_bytes())),
        ("lacks llama.block_count", |parts| parts.remove("llama.block_count")),
        ("llama.block_count is \"two\"", |parts| parts.set("llama.block_count", TEXT, text("two"))),
        ("llama.rope.dimension_count is 4", |parts| {
            parts.set("llama.rope.dimension_count", U32, 4u32.to_le_bytes());
        }),
        ("num_kv_heads 3", |parts| parts.set("llama.attention.head_count_kv", U32, 3u32.to_le_bytes())),
        ("general.alignment is 3", |parts| parts.set("general.alignment", U32, 3u32.to_le_bytes())),
        ("tokenizer.ggml.model is bert", |parts| parts.set("tokenizer.ggml.model", TEXT, text("bert"))),
        ("tokenizer.ggml.pre is new", |parts| parts.set("tokenizer.ggml.pre", TEXT, text("new"))),
        ("tokenizer.ggml.merges is missing", |parts| parts.remove("tokenizer.ggml.merges")),
        ("token \"x\" is there twice", |parts| {
            parts.set("tokenizer.ggml.tokens", ARRAY, array(TEXT, &[text("x"), text("x")]));
            parts.remove("tokenizer.ggml.token_type");
        }),
        ("expected 262 numbers", |parts| parts.set("tokenizer.ggml.token_type", ARRAY, array(5, &[vec![0; 4]]))),
        ("a space between", |parts| parts.set("tokenizer.ggml.merges", ARRAY, array(TEXT, &[text("th")]))),
    ];
    for (expected, change) in cases {
        let mut parts = model();
        change(&mut parts);
        let refusal = parts.refusal();
        assert!(refusal.contains(expected), "{expected}: {refusal}");
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    type Change = fn(&mut Parts);
    const NAME: &str = "blk.1.ffn_up.weight";
    let cases: [(&str, Change); 11] = [
        ("blk.1.ffn_up.weight with shape [64, 32] is missing", |parts| parts.tensors.retain(|(name, ..)| name != NAME)),
        ("blk.0.attn_q.extra is unexpected", |parts| {
            parts.tensors.push(("blk.0.attn_q.extra".to_owned(), vec![32], 0, vec![0; 128]));
        }),
        ("has shape [32, 64], expected [64, 32]", |parts| parts.tensor(NAME).1.reverse()),
        ("tensor blk.1.ffn_up.weight is there twice", |parts| {
            let twin = parts.tensor(NAME).clone();
            parts.tensors.push(twin);
        }),
        ("has 0 sides", |parts| parts.tensor(NAME).1.clear()),
        ("has 5 sides", |parts| parts.tensor(NAME).1 = vec![1; 5]),
        ("sides are zero", |parts| parts.tensor(NAME).1 = vec![0, 4]),
        ("product is too large", |parts| parts.tensor(NAME).1 = vec![1 << 40, 1 << 40]),
        ("cut short", |parts| parts.tensor(NAME).1 = vec![1 << 20, 1 << 20]),
        ("type number 99, expected F32", |parts| parts.tensor(NAME).2 = 99),
        ("holds NaN at flat index 3", |parts| parts.tensor(NAME).3[12..16].copy_from_slice(&f32::NAN.to_le_bytes())),
    ];
    for (expected, change) in cases {
        let mut parts = model();
        change(&mut parts);
        let refusal = parts.refusal();
        assert!(refusal.contains(expected), "{expected}: {refusal}");
    }
    let mut parts = model();
    parts.tensor("token_embd.weight").1 = vec![16, 524];
    parts.tensor("token_embd.weight").2 = 8;
    assert!(parts.refusal().contains("rows of 16, expected a multiple of 32"));
}

#[test]
fn tensors_that_share_bytes_are_refused() {
    let bytes = model().bytes();
    let at = |name: &str| {
        let name = text(name);
        let place = bytes.windows(name.len()).position(|part| part == name).unwrap();
        // Behind the name: the number of sides, two sides, the type.
        place + name.len() + 4 + 16 + 4
    };
    let (first, second) = (at("blk.0.ffn_up.weight"), at("blk.1.ffn_up.weight"));
    for shift in [0u64, 32] {
        let mut bytes = bytes.clone();
        let offset = u64::from_le_bytes(bytes[first..first + 8].try_into().unwrap()) + shift;
        bytes[second..second + 8].copy_from_slice(&offset.to_le_bytes());
        let refusal = open_bytes(&bytes).unwrap_err().to_string();
        assert!(refusal.contains("within the tensor before it"), "{refusal}");
    }
}

#[test]
fn what_an_error_quotes_of_a_file_is_short_and_commands_no_terminal() {
    let mut parts = model();
    parts.set("general.architecture", TEXT, text(&("\u{1b}[2J".to_owned() + &"x".repeat(1 << 20))));
    let refusal = parts.refusal();
    assert!(refusal.contains("\\u{1b}[2Jxxx") && refusal.len() < 400, "{} bytes", refusal.len());
    let mut parts = model();
    parts.tensors.push(("\u{1b}".repeat(60_000), vec![32], 0, vec![0; 128]));
    assert!(parts.refusal().len() < 800);
}

#[test]
fn files_cut_anywhere_are_refused() {
    let mut parts = model();
    let whole = parts.bytes();
    let tables = whole.len() - parts.tensors.iter().map(|tensor| tensor.3.len()).sum::<usize>();
    for length in (5..tables).step_by(5).chain([whole.len() - 1]) {
        let error = open_bytes(&whole[..length]).unwrap_err();
        assert!(matches!(error, LoadError::Weights(ExportError::Format { .. })), "{length}: {error}");
    }
    parts.tensors.clear();
    assert!(parts.refusal().contains("lacks the tensor token_embd.weight"));
}

#[test]
fn lengths_that_lie_cost_no_memory() {
    let huge = u64::MAX.to_le_bytes();
    let start = |counts: [[u8; 8]; 2]| [b"GGUF", &3u32.to_le_bytes()[..], &counts[0], &counts[1]].concat();
    let one = 1u64.to_le_bytes();
    let key = [start([one, one]), text("key")].concat();
    let of = |kind: u32, value: &[u8]| [&key[..], &kind.to_le_bytes(), value].concat();
    let nested = (0..100).flat_map(|_| [ARRAY.to_le_bytes().to_vec(), 1u64.to_le_bytes().to_vec()].concat());
    for (expected, bytes) in [
        ("expected at most 32768", start([huge, one])),
        ("expected at most 4096", start([one, huge])),
        ("cut short", start([one, one])),
        ("at most 65535", [start([one, one]), huge.to_vec()].concat()),
        ("expected at most", of(TEXT, &huge)),
        ("longer than any file", of(ARRAY, &[&10u32.to_le_bytes()[..], &huge].concat())),
        ("cut short", of(ARRAY, &[&0u32.to_le_bytes()[..], &huge].concat())),
        ("cut short", of(ARRAY, &[&TEXT.to_le_bytes()[..], &huge].concat())),
        ("cut short", of(ARRAY, &[&U32.to_le_bytes()[..], &huge].concat())),
        ("deep within each other", of(ARRAY, &nested.collect::<Vec<u8>>())),
        ("type is number 13", of(13, &[])),
        ("truth value is 2", of(7, &[2])),
        ("not UTF-8", of(TEXT, &[&one[..], &[0xff]].concat())),
    ] {
        let error = open_bytes(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn blocks_are_dequantised_to_the_bits_of_the_reference() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../../tests/golden/blocks.json")).unwrap();
    let hex = |value: &serde_json::Value| -> Vec<u8> {
        let text = value.as_str().unwrap();
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    for (name, id) in [
        ("F16", 1),
        ("Q4_0", 2),
        ("Q4_1", 3),
        ("Q5_0", 6),
        ("Q5_1", 7),
        ("Q8_0", 8),
        ("Q4_K", 12),
        ("Q5_K", 13),
        ("Q6_K", 14),
        ("BF16", 30),
    ] {
        let bytes = hex(&golden[name]["bytes"]);
        let expected: Vec<u32> =
            hex(&golden[name]["f32"]).as_chunks().0.iter().map(|&word| u32::from_be_bytes(word)).collect();
        let block = BlockType::from_id(id).unwrap();
        let mut found = vec![0; expected.len()];
        assert_eq!(bytes.len() / block.size_bytes() * block.len(), expected.len());
        block.dequantise(&bytes, &mut found);
        assert_eq!(found, expected, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn files_with_any_bytes_changed_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let parts = model();
        let mut bytes = parts.bytes();
        let tables = bytes.len() - parts.tensors.iter().map(|tensor| tensor.3.len()).sum::<usize>();
        for (at, byte) in changes {
            bytes[at.index(tables)] = byte;
        }
        if let Ok(model) = open_bytes(&bytes) {
            let _ = model.tokenizer.encode("It's the 12th\n").and_then(|ids| model.tokenizer.decode(&ids));
        }
    }
}

#[test]
fn blocks_of_few_bits_are_dequantised_to_the_bits_of_the_reference() {
    // Bytes of a linear congruential generator, and what the package gguf 0.17 makes of them, as a polynomial of its bits.
    for (id, halves, expected) in [
        (10, &[80, 82][..], 0x34e2_5ff9_ce0c_ec91u64),
        (11, &[108], 0x238a_e380_1220_8bc0),
        (20, &[0], 0xad1c_30a6_9b49_bcc0),
        (23, &[0], 0x845d_fe1d_4d31_45bc),
        (39, &[], 0xe7bb_3ad3_b060_0000),
    ] {
        let block = BlockType::from_id(id).unwrap();
        let mut state = block.size_bytes() as u64;
        let mut bytes: Vec<u8> = (0..16 * block.size_bytes())
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        for block in bytes.chunks_mut(block.size_bytes()) {
            halves.iter().for_each(|&at| block[at + 1] &= 0xBB);
        }
        let mut out = vec![0u32; 16 * block.len()];
        block.dequantise(&bytes, &mut out);
        let found = out.iter().fold(0u64, |sum, &bits| sum.wrapping_mul(1_099_511_628_211).wrapping_add(bits.into()));
        assert_eq!(found, expected, "type {id}");
    }
    assert_eq!(BlockType::name_of(16), "IQ2_XXS");
}

#[test]
fn a_model_in_parts_is_read_from_any_of_them_and_what_is_missing_is_named() {
    let whole = model();
    let folder = tempfile::tempdir().unwrap();
    let path = |no: u32| folder.path().join(format!("model-{:05}-of-00003.gguf", no + 1));
    for no in 0..3u32 {
        let mut part = if no == 0 { whole.clone() } else { Parts { metadata: Vec::new(), ..whole.clone() } };
        part.tensors = whole.tensors.iter().skip(no as usize).step_by(3).cloned().collect();
        part.set("split.count", 2, 3u16.to_le_bytes());
        part.set("split.no", 2, (no as u16).to_le_bytes());
        fs::write(path(no), part.bytes()).unwrap();
    }
    let expected = whole.open().unwrap().weights;
    for no in 0..3 {
        assert!(LoadedModel::open(&path(no)).unwrap().weights == expected, "{no}");
    }
    fs::copy(path(1), path(2)).unwrap();
    assert!(LoadedModel::open(&path(0)).unwrap_err().to_string().contains("not part 3 of 3"));
    fs::remove_file(path(2)).unwrap();
    let said = LoadedModel::open(&path(0)).unwrap_err().to_string();
    assert!(said.contains("part 1 of 3") && said.contains("model-00003-of-00003.gguf"), "{said}");
    let other = folder.path().join("x.gguf");
    fs::rename(path(0), &other).unwrap();
    assert!(LoadedModel::open(&other).unwrap_err().to_string().contains("rename it"));
}

#[test]
fn a_sentence_piece_tokenizer_merges_the_likeliest_neighbours_first() {
    let mut parts = model();
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).into();
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    let pieces = [("▁", -9.0), ("a", -8.0), ("b", -7.0), ("ab", -2.0), ("▁a", -1.0), ("▁ab", -5.0)];
    tokens.extend(pieces.iter().map(|(piece, _)| (*piece).to_owned()));
    let rows = tokens.len();
    let scores =
        tokens.iter().map(|token| pieces.iter().find(|(piece, _)| piece == token).map_or(0f32, |&(_, score)| score));
    let scores: Vec<Vec<u8>> = scores.map(|score| score.to_le_bytes().to_vec()).collect();
    let kind = |id: usize| match id {
        0 => 2u32,
        1 | 2 => 3,
        3..259 => 6,
        _ => 1,
    };
    parts.set("tokenizer.ggml.model", TEXT, text("llama"));
    parts.set("tokenizer.ggml.scores", ARRAY, array(F32_KIND, &scores));
    parts.set(
        "tokenizer.ggml.token_type",
        ARRAY,
        array(5, &(0..rows).map(|id| kind(id).to_le_bytes().to_vec()).collect::<Vec<_>>()),
    );
    parts.set("tokenizer.ggml.tokens", ARRAY, array(TEXT, &tokens.iter().map(|token| text(token)).collect::<Vec<_>>()));
    parts.set("tokenizer.ggml.bos_token_id", U32, 1u32.to_le_bytes());
    parts.set("tokenizer.ggml.eos_token_id", U32, 2u32.to_le_bytes());
    for name in ["token_embd.weight", "output.weight"] {
        if let Some(tensor) = parts.tensors.iter_mut().find(|(found, ..)| found == name) {
            tensor.1[1] = rows as u64;
            tensor.3 = vec![0; rows * tensor.1[0] as usize * 4];
        }
    }
    let loaded = parts.open().unwrap();
    let pieces = |text: &str| -> Vec<String> {
        loaded.tokenizer.encode(text).unwrap().into_iter().map(|id| loaded.tokenizer.token(id).unwrap()).collect()
    };
    // "▁a" is likelier than "ab", and then they make "▁ab".
    assert_eq!(pieces("ab"), ["▁ab"]);
    assert_eq!(pieces("a bab"), ["▁a", "▁", "b", "ab"]);
    assert_eq!(pieces("é"), ["▁", "<0xC3>", "<0xA9>"]);
    assert_eq!(pieces("</s>a"), ["</s>", "▁a"]);
    assert_eq!(loaded.tokenizer.decode(&loaded.tokenizer.encode("a bé ab").unwrap()).unwrap(), "a bé ab");
    assert_eq!(loaded.special, SpecialTokens { begin: Some(1), bos: Some(1), end: vec![2] });
}

#[test]
fn a_sentence_piece_tokenizer_without_scores_is_read() {
    // As writers of few keys leave it: no scores, no merges, no tokens for bytes.
    let mut parts = model();
    parts.set("tokenizer.ggml.model", TEXT, text("llama"));
    parts.remove("tokenizer.ggml.merges");
    parts.remove("tokenizer.ggml.scores");
    let loaded = parts.open().unwrap();
    let a = loaded.tokenizer.id("a").unwrap();
    assert_eq!(loaded.tokenizer.encode("a").unwrap().last(), Some(&a));
    parts.set("tokenizer.ggml.scores", ARRAY, array(F32_KIND, &[1f32.to_le_bytes().to_vec()]));
    assert!(
        parts.refusal().contains("tokenizer.ggml.scores is an array of 1 numbers, expected 262"),
        "{}",
        parts.refusal()
    );
}

#[test]
fn a_unigram_tokenizer_takes_the_likeliest_tokens() {
    let mut parts = model();
    let mut tokens: Vec<String> = ["<pad>", "</s>", "<unk>"].map(str::to_owned).into();
    let pieces = [("▁", -9f32), ("a", -8.0), ("b", -7.0), ("ab", -2.0), ("▁a", -1.0), ("▁ab", -5.0)];
    tokens.extend(pieces.iter().map(|(piece, _)| (*piece).to_owned()));
    tokens.extend((0x4E00..).filter_map(char::from_u32).map(String::from).take(262 - tokens.len()));
    let score = |token: &String| pieces.iter().find(|(piece, _)| piece == token).map_or(-30f32, |&(_, score)| score);
    let scores: Vec<Vec<u8>> = tokens.iter().map(|token| score(token).to_le_bytes().to_vec()).collect();
    let kinds = (0..tokens.len()).map(|id| [3u32, 3, 2, 1][id.min(3)].to_le_bytes().to_vec());
    parts.set("tokenizer.ggml.model", TEXT, text("t5"));
    parts.set("tokenizer.ggml.scores", ARRAY, array(F32_KIND, &scores));
    parts.set("tokenizer.ggml.token_type", ARRAY, array(5, &kinds.collect::<Vec<_>>()));
    parts.set("tokenizer.ggml.tokens", ARRAY, array(TEXT, &tokens.iter().map(|token| text(token)).collect::<Vec<_>>()));
    parts.set("tokenizer.ggml.remove_extra_whitespaces", 7, [1]);
    let loaded = parts.open().unwrap();
    let pieces = |text: &str| -> Vec<String> {
        loaded.tokenizer.encode(text).unwrap().into_iter().map(|id| loaded.tokenizer.token(id).unwrap()).collect()
    };
    // −5 is likelier than −1 − 7 and than −9 − 2.
    assert_eq!(pieces("ab"), ["▁ab"]);
    assert_eq!(pieces("  ab   aab "), ["▁ab", "▁a", "ab"]);
    assert_eq!(pieces("axyb"), ["▁a", "<unk>", "b"]);
    parts.set("tokenizer.ggml.precompiled_charsmap", ARRAY, array(0, &[vec![9], vec![0], vec![0], vec![0]]));
    assert!(parts.refusal().contains("Precompiled in its normalizer is cut short"), "{}", parts.refusal());
    parts.remove("tokenizer.ggml.scores");
    assert!(parts.refusal().contains("tokenizer.ggml.scores is missing"), "{}", parts.refusal());
}
