//! Models as other tools leave them: what their files say, in whichever file, is what counts.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sip_graph::Buffer;
use sip_model::export::{SaveOptions, TensorRef, load_pretrained, save_pretrained};
use sip_model::tokenizer::{SpecialTokens, Tokenizer};
use sip_model::{ChatTemplates, LlamaConfig, LoadedModel, Message, Role, SideFiles};

const ROWS: usize = 260;

fn config() -> LlamaConfig {
    LlamaConfig {
        vocab_size: ROWS,
        hidden_size: 8,
        intermediate_size: 12,
        num_layers: 1,
        num_heads: 2,
        num_kv_heads: 1,
        head_dim: None,
        max_seq_len: 64,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        tie_embeddings: false,
        variant: sip_model::Variant::default(),
    }
}

/// Values that differ from tensor to tensor and from place to place.
fn weights(config: &LlamaConfig) -> Vec<Buffer> {
    let tensor = |(number, (_, shape)): (usize, (String, Vec<usize>))| {
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|at: usize| ((at * 31 + number * 7) % 97) as f32 / 97.0 - 0.5).collect();
        Buffer::from(&values[..])
    };
    config.parameters().into_iter().enumerate().map(tensor).collect()
}

/// A folder as `transformers` would leave it, with a byte-level tokenizer whose token 0 is `<|endoftext|>`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (tokenizer, special) = (Tokenizer::train(&[], 257).unwrap(), SpecialTokens::document());
    let (chat, side) = (ChatTemplates::default(), SideFiles::default());
    let model = LoadedModel { config: config(), weights: weights(&config()), tokenizer, special, chat, side };
    model.save(folder.path(), SaveOptions::default()).unwrap();
    let path = folder.path().join("tokenizer.json");
    let text = fs::read_to_string(&path).unwrap().replace("<|document|>", "<|endoftext|>");
    fs::write(&path, text).unwrap();
    fs::remove_file(folder.path().join("special_tokens_map.json")).unwrap();
    write(
        folder.path(),
        "tokenizer_config.json",
        &json!({ "eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>" }),
    );
    folder
}

fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn write(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(name), value.to_string()).unwrap();
}

fn set(folder: &Path, name: &str, key: &str, value: Value) {
    let mut file = read(folder, name);
    file[key] = value;
    write(folder, name, &file);
}

fn open(folder: &Path) -> LoadedModel {
    LoadedModel::open(folder).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(folder: &Path) -> String {
    LoadedModel::open(folder).unwrap_err().to_string()
}

#[test]
fn added_tokens_are_found_in_whichever_file_a_tool_wrote_them() {
    let token = json!({ "content": "<|tool|>", "special": true, "lstrip": false, "rstrip": false, "normalized": false, "single_word": false });
    for (name, key, value) in [
        ("tokenizer_config.json", "added_tokens_decoder", json!({ "257": token })),
        ("added_tokens.json", "<|tool|>", 257.into()),
        ("tokenizer_config.json", "pad_token", "<|tool|>".into()),
        ("tokenizer_config.json", "pad_token", token.clone()),
        ("tokenizer_config.json", "additional_special_tokens", json!(["<|tool|>"])),
        ("tokenizer_config.json", "extra_special_tokens", json!({ "tool": "<|tool|>" })),
        ("special_tokens_map.json", "additional_special_tokens", json!([token])),
        // Any other name that ends so, with a text, or a token that says that it is one.
        ("tokenizer_config.json", "image_token", "<|tool|>".into()),
        (
            "tokenizer_config.json",
            "tool_token",
            json!({ "__type": "AddedToken", "content": "<|tool|>", "lstrip": false }),
        ),
        ("special_tokens_map.json", "boi_token", "<|tool|>".into()),
    ] {
        let folder = folder();
        if !folder.path().join(name).exists() {
            write(folder.path(), name, &json!({}));
        }
        set(folder.path(), name, key, value);
        let model = open(folder.path());
        let ids = model.tokenizer.encode("x<|tool|>y").unwrap();
        assert_eq!((ids.len(), ids[1]), (3, 257), "{name} {key}");
        // Again after it was written and read.
        let copy = tempfile::tempdir().unwrap();
        model.save(copy.path(), SaveOptions::default()).unwrap();
        assert_eq!(open(copy.path()).tokenizer.encode("x<|tool|>y").unwrap(), ids, "{name} {key}");
    }
    let folder = folder();
    for value in [json!(true), json!(257), json!(null), json!({ "content": "<|tool|>" }), json!(["<|tool|>"])] {
        set(folder.path(), "tokenizer_config.json", "image_token", value);
        assert!(open(folder.path()).tokenizer.encode("<|tool|>").unwrap().len() > 1);
    }
    // Ids follow the roles, other names, and lists.
    set(folder.path(), "tokenizer_config.json", "additional_special_tokens", json!(["<|list|>"]));
    set(folder.path(), "tokenizer_config.json", "image_token", "<|image|>".into());
    set(folder.path(), "tokenizer_config.json", "chat_template", "{{ image_token }}".into());
    let model = open(folder.path());
    assert_eq!(model.tokenizer.encode("<|image|><|list|>").unwrap(), [257, 258]);
    let text = model.chat.get(None).unwrap().render(&[Message::new(Role::User, "a")], true).unwrap();
    assert_eq!(text, "<|image|>");
    let folder = self::folder();
    set(folder.path(), "tokenizer_config.json", "added_tokens_decoder", json!({ "259": token }));
    assert!(refused(folder.path()).contains("says that <|tool|> has id 259, but in this vocabulary it has id 257"));
}

#[test]
fn a_token_without_a_row_is_an_error_of_texts_that_hold_it_and_of_no_other() {
    let folder = folder();
    set(folder.path(), "tokenizer_config.json", "additional_special_tokens", json!(["<a>", "<b>", "<c>", "[PAD]"]));
    let model = open(folder.path());
    assert_eq!(model.tokenizer.encode("a<c>b").unwrap().len(), 3);
    let said = model.tokenizer.encode("a[PAD]b").unwrap_err().to_string();
    assert!(said.contains("[PAD] (id 260), for which the model has no row: it has 260"), "{said}");
}

#[test]
fn the_tokenizer_says_first_what_ends_a_text() {
    let folder = folder();
    set(folder.path(), "tokenizer_config.json", "additional_special_tokens", json!(["<|im_end|>"]));
    set(folder.path(), "config.json", "eos_token_id", json!([0, 257]));
    assert_eq!(open(folder.path()).special.end, [0, 257]);
    set(folder.path(), "tokenizer_config.json", "eos_token", "<|im_end|>".into());
    assert_eq!(open(folder.path()).special.end, [257, 0]);
    fs::write(folder.path().join("tokenizer_config.json"), "{}").unwrap();
    write(folder.path(), "special_tokens_map.json", &json!({ "eos_token": { "content": "<|im_end|>" } }));
    assert_eq!(open(folder.path()).special.end, [257, 0]);
}

#[test]
fn a_begin_token_stands_before_texts_where_the_tokenizers_file_sets_it() {
    let folder = folder();
    assert_eq!(open(folder.path()).special.begin, None);
    // transformers 5.24 leaves this key out where there is a tokenizer.json.
    set(folder.path(), "tokenizer_config.json", "add_bos_token", true.into());
    assert_eq!(open(folder.path()).special.begin, None);
    let template = json!({
        "type": "TemplateProcessing",
        "single": [{ "SpecialToken": { "id": "<|endoftext|>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
        "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 0 } }],
        "special_tokens": { "<|endoftext|>": { "id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"] } },
    });
    set(folder.path(), "tokenizer.json", "post_processor", template);
    set(folder.path(), "tokenizer_config.json", "add_bos_token", Value::Null);
    assert_eq!(open(folder.path()).special.begin, Some(0));
    set(folder.path(), "tokenizer_config.json", "add_bos_token", false.into());
    assert_eq!(open(folder.path()).special.begin, Some(0));
}

#[test]
fn a_byte_order_mark_before_a_file_of_json_is_no_part_of_it() {
    let folder = folder();
    let expected = open(folder.path());
    for name in ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"] {
        let path = folder.path().join(name);
        let text = fs::read(&path).unwrap_or_else(|_| b"{}".to_vec());
        fs::write(path, [b"\xef\xbb\xbf", &text[..]].concat()).unwrap();
    }
    let found = open(folder.path());
    assert_eq!(found.config, expected.config);
    assert_eq!(found.tokenizer.to_json().unwrap(), expected.tokenizer.to_json().unwrap());
}

#[test]
fn what_training_does_not_change_survives_a_save() {
    let folder = folder();
    let path = folder.path();
    for (name, key, value) in [
        ("tokenizer_config.json", "chat_template", "{{ messages[0].content }}".into()),
        ("tokenizer_config.json", "pad_token", "<|pad|>".into()),
        ("tokenizer_config.json", "unheard_of", json!([1, { "a": null }])),
        ("generation_config.json", "pad_token_id", 257.into()),
        ("generation_config.json", "temperature", json!(0.6)),
        ("config.json", "unheard_of", json!({ "b": [2] })),
        ("config.json", "rope_parameters", json!({ "rope_theta": 10000.0, "rope_type": "default" })),
        ("config.json", "torch_dtype", "bfloat16".into()),
    ] {
        set(path, name, key, value);
    }
    fs::create_dir(path.join("additional_chat_templates")).unwrap();
    fs::write(path.join("additional_chat_templates/tool_use.jinja"), "tools").unwrap();
    let carried = [
        "LICENSE",
        "LICENCE",
        "Notice",
        "merges.txt",
        "tokenizer.model",
        "vocab.txt",
        "sentencepiece.bpe.model",
        "README.md",
        "processor_config.json",
        "modeling_own.py",
        ".gitattributes",
        "a note of ours",
        "chat_template.json5",
    ];
    let left = [
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "model.gguf",
        "adapter_config.json",
        "training_args.bin",
        "sip.json",
        "manifest.sip",
        "base.state",
        "flax_model.msgpack",
        "consolidated.00.pth",
    ];
    for name in carried.iter().chain(&left) {
        fs::write(path.join(name), name).unwrap();
    }
    fs::create_dir(path.join("figures")).unwrap();
    fs::File::create(path.join("large.dat")).unwrap().set_len((16 << 20) + 1).unwrap();
    let mut model = open(path);
    model.weights[0][0] = 1f32.to_bits();
    let copy = tempfile::tempdir().unwrap();
    // An older model lies there.
    fs::write(copy.path().join("added_tokens.json"), "{\"<old>\": 300}").unwrap();
    fs::write(copy.path().join("chat_template.jinja"), "old").unwrap();
    model.save(copy.path(), SaveOptions::default()).unwrap();
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "additional_chat_templates/tool_use.jinja",
    ]
    .into_iter()
    .chain(carried)
    {
        assert_eq!(fs::read(path.join(name)).unwrap(), fs::read(copy.path().join(name)).unwrap(), "{name}");
    }
    for name in left.into_iter().chain(["figures", "large.dat"]) {
        assert!(!copy.path().join(name).exists(), "{name}");
    }
    let (mut before, after) = (read(path, "config.json"), read(copy.path(), "config.json"));
    before["torch_dtype"] = "float32".into();
    assert_eq!(before, after);
    assert!(!copy.path().join("added_tokens.json").exists() && !copy.path().join("chat_template.jinja").exists());
    let again = open(copy.path());
    assert!(again.weights == model.weights);
    assert_eq!((again.special, &again.chat, again.config), (model.special, &model.chat, model.config));
    let text = |name| again.chat.get(name).unwrap().render(&[Message::new(Role::User, "a")], true).unwrap();
    assert_eq!((text(None), text(Some("tool_use"))), ("a".to_owned(), "tools".to_owned()));
}

/// Writes weights under other names.
fn rename(folder: &Path, name: impl Fn(&str) -> String) {
    let (config, tensors) = load_pretrained(folder).unwrap();
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|t| (name(&t.name), t.shape.clone(), t.data.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, shape, data)| {
        (name.clone(), safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
    });
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors")).unwrap();
    assert_eq!(config.vocab_size, ROWS);
}

#[test]
fn weights_are_found_with_and_without_the_prefixes_that_wrappers_set() {
    let expected = weights(&config());
    for prefix in ["_orig_mod.model.", "module.model.", "base_model.model.model.", ""] {
        let folder = folder();
        rename(folder.path(), |name| match name.strip_prefix("model.") {
            Some(bare) => format!("{prefix}{bare}"),
            None => name.to_owned(),
        });
        assert!(open(folder.path()).weights == expected, "{prefix}");
    }
    let folder = folder();
    rename(folder.path(), |name| format!("visual.{name}"));
    assert!(refused(folder.path()).contains("tensor visual.lm_head.weight is unexpected"));
}

#[test]
fn a_model_with_an_output_layer_of_its_own_is_not_tied_whatever_the_flag_says() {
    let folder = folder();
    set(folder.path(), "config.json", "tie_word_embeddings", true.into());
    let model = open(folder.path());
    assert!(!model.config.tie_embeddings);
    assert!(model.weights == weights(&config()));
    let copy = tempfile::tempdir().unwrap();
    model.save(copy.path(), SaveOptions::default()).unwrap();
    assert_eq!(read(copy.path(), "config.json")["tie_word_embeddings"], false);
    // The same numbers twice are one layer.
    let (config, mut tensors) = load_pretrained(copy.path()).unwrap();
    let last = tensors.len() - 1;
    tensors[last].data = tensors[0].data.clone();
    let all: Vec<TensorRef<'_>> = tensors.iter().map(|tensor| tensor.as_ref()).collect();
    save_pretrained(copy.path(), &config, &all).unwrap();
    set(copy.path(), "config.json", "tie_word_embeddings", true.into());
    let model = open(copy.path());
    assert!(model.config.tie_embeddings);
    assert_eq!(model.weights.len(), last);
}

#[test]
fn files_that_are_something_else_are_named_with_a_remedy() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
    for name in ["model.safetensors", "config.json", "tokenizer.json"] {
        let folder = folder();
        fs::write(folder.path().join(name), pointer).unwrap();
        let said = refused(folder.path());
        assert!(said.contains(name) && said.contains("git lfs pull"), "{said}");
    }
    for (remove, add, words) in [
        ("model.safetensors", "pytorch_model.bin", "pickle"),
        ("model.safetensors", "model-00001-of-00002.safetensors", "fetch that file as well"),
        ("model.safetensors", "model.gguf", "GGUF"),
        ("config.json", "params.json", "params.json"),
        ("config.json", "x", "no config.json"),
        ("tokenizer.json", "tokenizer.model", "save_pretrained"),
        ("tokenizer.json", "x", "missing"),
    ] {
        let folder = folder();
        fs::remove_file(folder.path().join(remove)).unwrap();
        fs::write(folder.path().join(add), "x").unwrap();
        let said = refused(folder.path());
        assert!(said.contains(words), "{words}: {said}");
    }
    let around = tempfile::tempdir().unwrap();
    fs::rename(folder().keep(), around.path().join("model")).unwrap();
    assert!(refused(around.path()).contains("a folder around a model"));
    assert!(refused(&around.path().join("model/model.safetensors")).contains("name the folder around it"));
}

/// An adapter on the queries, of rank 2.
fn adapter(folder: &Path, settings: &Value, more: &[(&str, Vec<usize>, Vec<f32>)]) {
    fs::create_dir_all(folder).unwrap();
    let mut config = json!({ "peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": ["q_proj"], "base_model_name_or_path": "../model" });
    for (key, value) in settings.as_object().unwrap() {
        config[key] = value.clone();
    }
    write(folder, "adapter_config.json", &config);
    let module = "base_model.model.model.layers.0.self_attn.q_proj";
    let (a, b) = (format!("{module}.lora_A.weight"), format!("{module}.lora_B.weight"));
    let mut all: Vec<(&str, Vec<usize>, Vec<f32>)> = vec![
        (&a, vec![2, 8], (0..16).map(|at| at as f32 / 16.0).collect()),
        (&b, vec![8, 2], (0..16).map(|at| 0.5 - at as f32 / 8.0).collect()),
    ];
    all.extend(more.iter().cloned());
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = all
        .into_iter()
        .map(|(name, shape, data)| {
            (name.to_owned(), shape, data.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, data)| {
        (name.clone(), safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
    });
    safetensors::serialize_to_file(views, None, &folder.join("adapter_model.safetensors")).unwrap();
}

/// W + scale · B A of the queries.
fn merged(scale: f64) -> Vec<f64> {
    let (a, b) = (
        |k: usize, column: usize| (k * 8 + column) as f64 / 16.0,
        |row: usize, k: usize| 0.5 - (row * 2 + k) as f64 / 8.0,
    );
    let base = weights(&config())[2].to_f32();
    let value = |at: usize| (0..2).map(|k| b(at / 8, k) * a(k, at % 8)).sum::<f64>() * scale + f64::from(base[at]);
    (0..64).map(value).collect()
}

fn close(found: &Buffer, expected: &[f64]) {
    for (found, expected) in found.to_f32().iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn adapters_of_peft_are_merged_into_their_model() {
    let root = tempfile::tempdir().unwrap();
    fs::rename(folder().keep(), root.path().join("model")).unwrap();
    let path = root.path().join("adapter");
    for (settings, scale) in [
        (json!({}), 3.0),
        (json!({ "use_rslora": true }), 6.0 / 2f64.sqrt()),
        (json!({ "alpha_pattern": { "self_attn.q_proj": 1 } }), 0.5),
    ] {
        adapter(&path, &settings, &[]);
        let model = open(&path);
        close(&model.weights[2], &merged(scale));
        assert!(model.weights[3] == weights(&config())[3]);
        let other = LoadedModel::open_with(&root.path().join("model"), Some(&path)).unwrap();
        assert!(other.weights == model.weights);
    }
    // DoRA: every row gets a length of its own.
    let magnitude = ("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", vec![8], vec![2.0; 8]);
    adapter(&path, &json!({ "use_dora": true }), &[magnitude]);
    let expected: Vec<f64> = merged(3.0)
        .chunks(8)
        .flat_map(|row| {
            let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
            row.iter().map(move |value| value * 2.0 / length)
        })
        .collect();
    close(&open(&path).weights[2], &expected);
    // A module that was trained whole.
    let norm = ("base_model.model.model.norm.weight", vec![8], vec![0.25; 8]);
    adapter(&path, &json!({}), &[norm]);
    assert_eq!(open(&path).weights[10].to_f32(), [0.25; 8]);
    // An output layer with its own weights below its adapter, as peft saves it.
    let rows = config().vocab_size;
    let name = |end: &str| format!("base_model.model.lm_head.{end}");
    let names = [name("base_layer.weight"), name("lora_A.weight"), name("lora_B.weight")];
    let head = [
        (&*names[0], vec![rows, 8], vec![0.5; rows * 8]),
        (&*names[1], vec![2, 8], vec![0.25; 16]),
        (&*names[2], vec![rows, 2], vec![0.125; rows * 2]),
    ];
    adapter(&path, &json!({ "target_modules": ["q_proj", "lm_head"] }), &head);
    let last = open(&path).weights.pop().unwrap();
    close(&last, &vec![0.5 + 3.0 * 2.0 * 0.125 * 0.25; rows * 8]);
}

#[test]
fn adapters_of_other_kinds_and_of_other_models_are_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    fs::rename(folder().keep(), root.path().join("model")).unwrap();
    let path = root.path().join("adapter");
    for (settings, words) in [
        (json!({ "peft_type": "IA3" }), "peft_type \"IA3\""),
        (json!({ "bias": "all" }), "bias \"all\""),
        (json!({ "init_lora_weights": "pissa_niter_4" }), "init_lora_weights"),
        (json!({ "fan_in_fan_out": true }), "fan_in_fan_out"),
        (json!({ "rank_pattern": { "^q.*": 4 } }), "rank_pattern with the pattern ^q.*"),
        (json!({ "r": 4 }), "has rank 2, but adapter_config.json says 4"),
        (json!({ "use_dora": true }), "has no lora_magnitude_vector"),
        (
            json!({ "base_model_name_or_path": "org/name" }),
            "is an adapter for the model org/name, which is no folder here",
        ),
    ] {
        adapter(&path, &settings, &[]);
        let said = refused(&path);
        assert!(said.contains(words), "{words}: {said}");
    }
    let strange = ("base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight", vec![2, 8], vec![0.0; 16]);
    adapter(&path, &json!({}), &[strange]);
    assert!(refused(&path).contains("belongs to no weight of the model"));
    fs::remove_file(path.join("adapter_model.safetensors")).unwrap();
    fs::write(path.join("adapter_model.bin"), b"PK\x03\x04x").unwrap();
    assert!(refused(&path).contains("pickle"));
}
