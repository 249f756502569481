//! What leaves in the Hugging Face layout comes back, and nothing else gets in.

use std::io::Write;

use ::safetensors::Dtype;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::RopeScaling;
use crate::tokenizer::SpecialTokens;

fn small(tie_embeddings: bool) -> LlamaConfig {
    LlamaConfig {
        vocab_size: 11,
        hidden_size: 8,
        intermediate_size: 12,
        num_layers: 2,
        num_heads: 4,
        num_kv_heads: 2,
        head_dim: None,
        max_seq_len: 16,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        tie_embeddings,
        variant: crate::config::Variant::default(),
    }
}

fn weights(config: &LlamaConfig) -> Vec<Tensor> {
    let mut next = -3.0;
    let mut value = || {
        next += 0.001;
        next
    };
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let data = (0..shape.iter().product()).map(|_| value()).collect();
        Tensor { name, shape, data }
    };
    config.parameters().into_iter().map(tensor).collect()
}

fn save(folder: &Path, config: &LlamaConfig, tensors: &[Tensor]) -> Result<(), ExportError> {
    save_pretrained(folder, config, &tensors.iter().map(Tensor::as_ref).collect::<Vec<_>>())
}

/// A saved model, and what loading says after `change`.
fn load_after(change: impl FnOnce(&Path)) -> ExportError {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &small(false), &weights(&small(false))).unwrap();
    change(folder.path());
    load_pretrained(folder.path()).unwrap_err()
}

/// Replaces a key of `config.json`, or adds it.
fn set_key(folder: &Path, key: &str, value: serde_json::Value) {
    let path = folder.join(CONFIG_FILE);
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[key] = value;
    fs::write(path, config.to_string()).unwrap();
}

fn set_weights(folder: &Path, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) {
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (*name, ::safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    fs::write(folder.join(WEIGHTS_FILE), ::safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn a_saved_model_loads_bit_for_bit_and_saves_to_the_same_bytes() {
    for tied in [true, false] {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (config, mut tensors) = (small(tied), weights(&small(tied)));
        tensors[0].data[0] = -0.0;
        tensors[0].data[1] = f32::from_bits(1);
        save(first.path(), &config, &tensors).unwrap();
        let (loaded_config, loaded) = load_pretrained(first.path()).unwrap();
        assert_eq!(loaded_config, config);
        assert_eq!(loaded, tensors);
        assert_eq!(loaded[0].data[0].to_bits(), (-0.0f32).to_bits());

        tensors.reverse();
        save(second.path(), &config, &tensors).unwrap();
        for file in [CONFIG_FILE, GENERATION_CONFIG_FILE, WEIGHTS_FILE] {
            assert_eq!(fs::read(first.path().join(file)).unwrap(), fs::read(second.path().join(file)).unwrap());
        }
        assert_eq!(fs::read_dir(first.path()).unwrap().count(), 3);
    }
}

#[test]
fn parameters_have_the_names_and_shapes_of_a_llama() {
    let all = small(false).parameters();
    assert_eq!(all.len(), 3 + 2 * 9);
    assert_eq!(all[0], ("model.embed_tokens.weight".to_owned(), vec![11, 8]));
    assert!(all.contains(&("model.layers.1.self_attn.k_proj.weight".to_owned(), vec![4, 8])));
    assert!(all.contains(&("model.layers.0.mlp.down_proj.weight".to_owned(), vec![8, 12])));
    assert!(all.contains(&("lm_head.weight".to_owned(), vec![11, 8])));
    assert!(small(true).parameters().iter().all(|(name, _)| name != "lm_head.weight"));
    assert_eq!(small(true).parameter_count(), 11 * 8 + 2 * (2 * 64 + 2 * 32 + 3 * 96 + 16) + 8);
}

#[test]
fn shapes_that_are_no_model_are_refused() {
    type Change = fn(&mut LlamaConfig);
    let broken: [(&str, Change); 13] = [
        ("vocab_size", |config| config.vocab_size = 0),
        ("num_layers", |config| config.num_layers = usize::MAX),
        ("hidden_size", |config| config.hidden_size = 9),
        ("hidden_size", |config| config.num_heads = 8),
        ("num_heads", |config| config.num_kv_heads = 3),
        ("max_seq_len", |config| config.max_seq_len = 0),
        ("rms_norm_eps", |config| config.rms_norm_eps = 0.0),
        ("rms_norm_eps", |config| config.rms_norm_eps = f32::NAN),
        ("rope_theta", |config| config.rope_theta = f32::INFINITY),
        ("head_dim", |config| config.head_dim = Some(3)),
        ("head_dim", |config| config.head_dim = Some(1 << 20)),
        ("rope_scaling", |config| config.rope_scaling = Some(RopeScaling::Linear { factor: f32::NAN })),
        ("rope_scaling", |config| {
            config.rope_scaling = Some(RopeScaling::Llama3 {
                factor: 8.0,
                low_freq_factor: 4.0,
                high_freq_factor: 4.0,
                original_max_seq_len: 8,
            });
        }),
    ];
    for (expected, change) in broken {
        let mut config = small(true);
        change(&mut config);
        let error = config.validate().unwrap_err();
        assert!(matches!(&error, ExportError::Config { field, .. } if field == expected), "{error}");
    }
}

#[test]
fn a_model_that_is_not_in_order_is_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |change: fn(&mut Vec<Tensor>)| {
        let mut tensors = weights(&small(true));
        change(&mut tensors);
        save(folder.path(), &small(true), &tensors).unwrap_err()
    };
    assert!(matches!(refused(|all| drop(all.pop())), ExportError::Missing { name, .. } if name == "model.norm.weight"));
    assert!(matches!(refused(|all| all.push(all[0].clone())), ExportError::Unexpected { .. }));
    assert!(matches!(refused(|all| all[3].name.push('x')), ExportError::Missing { .. }));
    assert!(matches!(refused(|all| all[0].shape = vec![8, 11]), ExportError::Shape { .. }));
    assert!(matches!(refused(|all| all[0].data.truncate(87)), ExportError::Length { found: 87, expected: 88, .. }));
    assert!(matches!(refused(|all| all[1].data[5] = f32::NAN), ExportError::NotFinite { index: 5, .. }));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn weights_that_do_not_fit_the_configuration_are_named() {
    let error = load_after(|folder| set_key(folder, "intermediate_size", 16.into()));
    let text = error.to_string();
    assert!(
        text.contains(WEIGHTS_FILE) && text.contains("mlp.gate_proj.weight has shape [12, 8], expected [16, 8]"),
        "{text}"
    );
    let error = load_after(|folder| set_key(folder, "num_hidden_layers", 3.into()));
    assert!(matches!(&error, ExportError::Missing { name, .. } if name.starts_with("model.layers.2.")), "{error}");
    let error = load_after(|folder| set_key(folder, "num_hidden_layers", 1.into()));
    assert!(matches!(&error, ExportError::Unexpected { name, .. } if name.starts_with("model.layers.1.")), "{error}");
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    for bits in [f32::NAN.to_bits(), f32::INFINITY.to_bits(), f32::NEG_INFINITY.to_bits()] {
        let error = load_after(|folder| {
            let path = folder.join(WEIGHTS_FILE);
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len();
            bytes[end - 4..].copy_from_slice(&bits.to_le_bytes());
            fs::write(path, bytes).unwrap();
        });
        assert!(matches!(error, ExportError::NotFinite { .. }), "{error}");
    }
}

#[test]
fn files_cut_anywhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &small(true), &weights(&small(true))).unwrap();
    for file in [CONFIG_FILE, WEIGHTS_FILE] {
        let path = folder.path().join(file);
        let whole = fs::read(&path).unwrap();
        // The last byte of the configuration is a line end.
        for length in 0..whole.len() - 1 {
            fs::write(&path, &whole[..length]).unwrap();
            let error = load_pretrained(folder.path()).unwrap_err();
            match &error {
                ExportError::SomethingElse { .. } if length == 0 => {
                    assert!(error.to_string().contains("is empty"), "{error}")
                }
                _ => assert!(matches!(&error, ExportError::Format { path: found, .. } if *found == path), "{error}"),
            }
        }
        fs::remove_file(&path).unwrap();
        let gone = load_pretrained(folder.path());
        assert!(matches!(gone, Err(ExportError::Io { .. } | ExportError::Unfinished { .. })), "{gone:?}");
        fs::write(&path, whole).unwrap();
    }
    load_pretrained(folder.path()).unwrap();
}

#[test]
fn oversized_files_are_refused_unread() {
    let grow = |folder: &Path, file: &str, size_bytes| {
        fs::File::options().write(true).open(folder.join(file)).unwrap().set_len(size_bytes).unwrap();
    };
    let error = load_after(|folder| grow(folder, CONFIG_FILE, 1 << 25));
    assert!(matches!(error, ExportError::TooLarge { limit_bytes: JSON_LIMIT_BYTES, .. }), "{error}");
    // A file with holes: nothing is stored on the disk.
    let error = load_after(|folder| grow(folder, WEIGHTS_FILE, 1 << 33));
    assert!(matches!(error, ExportError::Format { .. }), "{error}");
}

#[test]
fn models_that_are_no_plain_llama_are_refused() {
    let cases = [
        ("model_type", "gemma".into()),
        ("hidden_act", "gelu".into()),
        ("quantization_config", json!({ "bits": 4 })),
        ("rope_scaling", json!({ "type": "dynamic", "factor": 2.0 })),
        ("rope_scaling", json!({ "rope_type": "llama3", "factor": 8.0 })),
        ("rope_scaling", json!({ "type": "linear" })),
        ("rope_parameters", json!({ "rope_type": "longrope", "rope_theta": 10000.0 })),
        ("rope_parameters", json!({ "rope_type": "default", "partial_rotary_factor": 0.5 })),
        ("rope_parameters", json!({ "rope_theta": 10000.0, "partial_rotary_factor": 0.5 })),
        ("rope_parameters", json!({ "original_max_position_embeddings": 8, "high_freq_factor": 3 })),
        ("partial_rotary_factor", 0.25.into()),
    ];
    for (expected, value) in cases {
        let error = load_after(|folder| set_key(folder, expected, value));
        assert!(error.to_string().contains(&format!(": {expected}")), "{error}");
    }
    for (key, value) in [("vocab_size", "many".into()), ("hidden_size", (-8).into()), ("rms_norm_eps", false.into())] {
        let error = load_after(|folder| set_key(folder, key, value));
        assert!(matches!(error, ExportError::Format { .. }), "{error}");
    }
}

#[test]
fn rope_theta_is_found_where_newer_files_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &small(true), &weights(&small(true))).unwrap();
    set_key(folder.path(), "rope_theta", serde_json::Value::Null);
    assert_eq!(load_config(folder.path()).unwrap().rope_theta, 10_000.0);
    set_key(folder.path(), "rope_parameters", json!({ "rope_type": "default", "rope_theta": 500000.0 }));
    assert_eq!(load_config(folder.path()).unwrap().rope_theta, 500_000.0);
}

#[test]
fn rope_scaling_is_read_in_every_spelling_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &small(true), &weights(&small(true))).unwrap();
    let linear = RopeScaling::Linear { factor: 2.0 };
    let llama3 =
        RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max_seq_len: 8 };
    let yarn = RopeScaling::Yarn {
        factor: 4.0,
        attention_factor: 1.138_629_4,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_max_seq_len: 16,
        truncate: true,
    };
    let cases = [
        ("rope_scaling", json!({ "type": "linear", "factor": 2 }), Some(linear)),
        ("rope_scaling", json!({ "rope_type": "linear", "factor": 2.0 }), Some(linear)),
        ("rope_parameters", json!({ "rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0 }), Some(linear)),
        ("rope_parameters", json!({ "rope_theta": 10000.0 }), None),
        (
            "rope_scaling",
            json!({
                "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8,
            }),
            Some(llama3),
        ),
        ("rope_scaling", json!({ "rope_type": "yarn", "factor": 4.0 }), Some(yarn)),
    ];
    for (key, value, expected) in cases {
        for other in ["rope_scaling", "rope_parameters"] {
            set_key(folder.path(), other, serde_json::Value::Null);
        }
        set_key(folder.path(), key, value.clone());
        let config = load_config(folder.path()).unwrap();
        assert_eq!(config.rope_scaling, expected, "{value}");
        let again = tempfile::tempdir().unwrap();
        save(again.path(), &config, &weights(&config)).unwrap();
        assert_eq!(load_config(again.path()).unwrap(), config);
    }
}

#[test]
fn a_head_of_another_width_changes_the_shapes_of_attention_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = LlamaConfig { head_dim: Some(6), ..small(true) };
    assert!(config.parameters().contains(&("model.layers.0.self_attn.q_proj.weight".to_owned(), vec![24, 8])));
    assert!(config.parameters().contains(&("model.layers.0.self_attn.o_proj.weight".to_owned(), vec![8, 24])));
    save(folder.path(), &config, &weights(&config)).unwrap();
    assert_eq!(
        load_pretrained(folder.path()).unwrap(),
        (config, weights(&LlamaConfig { head_dim: Some(6), ..small(true) }))
    );
    set_key(folder.path(), "head_dim", 2.into());
    assert_eq!(load_config(folder.path()).unwrap(), small(true));
}

#[test]
fn halves_are_widened_and_other_kinds_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = small(true);
    save(folder.path(), &config, &weights(&config)).unwrap();
    let named = config.parameters();
    let all = |dtype: Dtype, bytes: &[u8]| -> Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> {
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        named.iter().map(|(name, shape)| (name.as_str(), dtype, shape.clone(), bytes.repeat(size(shape)))).collect()
    };
    for (dtype, bytes, expected) in [
        (Dtype::BF16, [0xc0, 0xbf], -1.5),
        (Dtype::F16, [0x00, 0xbe], -1.5),
        // The least and the greatest subnormal, and the greatest number.
        (Dtype::F16, [0x01, 0x00], 2f32.powi(-24)),
        (Dtype::F16, [0xff, 0x83], -1023.0 * 2f32.powi(-24)),
        (Dtype::F16, [0xff, 0x7b], 65504.0),
    ] {
        set_weights(folder.path(), &all(dtype, &bytes));
        let (_, loaded) = load_pretrained(folder.path()).unwrap();
        assert!(loaded.iter().all(|tensor| tensor.data.iter().all(|&value| value == expected)));
    }
    set_weights(folder.path(), &all(Dtype::F16, &[0x00, 0x7c]));
    let error = load_pretrained(folder.path()).unwrap_err();
    assert!(matches!(&error, ExportError::NotFinite { index: 0, value: f32::INFINITY, .. }), "{error}");
    set_weights(folder.path(), &all(Dtype::F64, &[0; 8]));
    let error = load_pretrained(folder.path()).unwrap_err();
    assert!(matches!(&error, ExportError::ElementType { found, .. } if found == "F64"), "{error}");
}

#[test]
fn bfloat16_is_written_to_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let config = small(true);
    let special = SpecialTokens { begin: None, bos: Some(1), end: vec![2, 3] };
    let options = SaveOptions { element: ElementType::Bf16, ..SaveOptions::default() };
    let save = |tensors: &[Tensor]| {
        let tensors: Vec<TensorRef<'_>> = tensors.iter().map(Tensor::as_ref).collect();
        save_pretrained_with(folder.path(), &config, &special, &tensors, options)
    };
    let mut tensors = weights(&config);
    save(&tensors).unwrap();
    let (_, loaded) = load_pretrained(folder.path()).unwrap();
    for (loaded, saved) in loaded.iter().flat_map(|t| &t.data).zip(tensors.iter().flat_map(|t| &t.data)) {
        assert!((loaded - saved).abs() <= saved.abs() / 256.0, "{loaded} for {saved}");
    }
    let text = fs::read_to_string(folder.path().join(GENERATION_CONFIG_FILE)).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["eos_token_id"], json!([2, 3]));
    // The greatest f32 is nearer to the infinity of bfloat16 than to its greatest number.
    tensors[2].data[7] = f32::MAX;
    assert!(matches!(save(&tensors), Err(ExportError::NotFinite { index: 7, .. })));
}

/// Saves as several files.
fn save_split(folder: &Path, file_bytes_max: u64) -> Vec<Tensor> {
    let tensors = weights(&small(false));
    let all: Vec<TensorRef<'_>> = tensors.iter().map(Tensor::as_ref).collect();
    let options = SaveOptions { file_bytes_max, ..SaveOptions::default() };
    save_pretrained_with(folder, &small(false), &SpecialTokens::document(), &all, options).unwrap();
    tensors
}

#[test]
fn weights_in_several_files_come_back() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &small(true), &weights(&small(true))).unwrap();
    for (limit, files) in [(1, 21), (1000, 6), (1 << 20, 1)] {
        let tensors = save_split(folder.path(), limit);
        assert_eq!(load_pretrained(folder.path()).unwrap(), (small(false), tensors));
        assert_eq!(folder.path().join(INDEX_FILE).exists(), files > 1);
        assert_eq!(folder.path().join(WEIGHTS_FILE).exists(), files == 1);
        let name = format!("model-00001-of-{files:05}.safetensors");
        assert!(files == 1 || folder.path().join(&name).exists(), "{name}");
    }
}

#[test]
fn a_save_that_is_cut_off_leaves_no_model_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &small(false), &weights(&small(false))).unwrap();
    // A folder in the way of the index: the save stops between its names, as a kill would.
    fs::create_dir_all(folder.path().join(INDEX_FILE).join("inside")).unwrap();
    let tensors = weights(&small(false));
    let all: Vec<TensorRef<'_>> = tensors.iter().map(Tensor::as_ref).collect();
    let options = SaveOptions { file_bytes_max: 1000, ..SaveOptions::default() };
    save_pretrained_with(folder.path(), &small(false), &SpecialTokens::document(), &all, options).unwrap_err();
    // The old weights, which would be read before the new ones, are gone before a name is given.
    assert!(!folder.path().join(WEIGHTS_FILE).exists() && !folder.path().join(CONFIG_FILE).exists());
    assert!(matches!(load_pretrained(folder.path()), Err(ExportError::Unfinished { .. })));
    assert!(matches!(load_config(&folder.path().join("none")), Err(ExportError::Io { .. })));
}

#[test]
fn the_names_of_a_models_files_are_known() {
    for name in ["config.json", "tokenizer.json", "model.safetensors", "model-00002-of-00010.safetensors"] {
        assert!(is_file_of_model(name), "{name}");
    }
    for name in ["notes.txt", "model-a-of-b.safetensors", "model-00001-of-00002.bin", "my.safetensors"] {
        assert!(!is_file_of_model(name), "{name}");
    }
}

#[test]
fn an_index_that_is_wrong_is_refused() {
    let change = |change: &dyn Fn(&mut serde_json::Value)| {
        let folder = tempfile::tempdir().unwrap();
        save_split(folder.path(), 1000);
        let path = folder.path().join(INDEX_FILE);
        let mut index: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut index["weight_map"]);
        fs::write(&path, index.to_string()).unwrap();
        load_pretrained(folder.path()).unwrap_err()
    };
    let first = "model-00001-of-00006.safetensors";
    for name in ["/etc/passwd.safetensors", "../model.safetensors", ".safetensors", "model.bin", ""] {
        let error = change(&|map| map["model.norm.weight"] = name.into());
        assert!(matches!(&error, ExportError::Format { reason, .. } if reason.contains(name)), "{error}");
    }
    let error = change(&|map| map["model.norm.weight"] = first.into());
    assert!(matches!(&error, ExportError::Format { reason, .. } if reason.contains("model.norm.weight")), "{error}");
    let error = change(&|map| drop(map.as_object_mut().unwrap().remove("model.norm.weight")));
    assert!(matches!(&error, ExportError::Format { .. }), "{error}");
    let error = change(&|map| map["model.norm.weight"] = "gone.safetensors".into());
    assert!(error.to_string().contains("in 7 parts, of which 1 are missing (gone.safetensors"), "{error}");
    let error = change(&|map| *map = json!({}));
    assert!(matches!(&error, ExportError::Missing { .. }), "{error}");
}

#[test]
fn what_is_written_is_what_the_safetensors_crate_reads_and_the_other_way_round() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = weights(&small(true));
    save(folder.path(), &small(true), &tensors).unwrap();
    let bytes = fs::read(folder.path().join(WEIGHTS_FILE)).unwrap();
    let file = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), tensors.len());
    for tensor in &tensors {
        let view = file.tensor(&tensor.name).unwrap();
        let values: Vec<f32> = view.data().as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
        assert_eq!((view.shape(), values), (&tensor.shape[..], tensor.data.clone()));
        assert!((view.data().as_ptr() as usize - bytes.as_ptr() as usize).is_multiple_of(4));
    }
    let all: Vec<_> = tensors
        .iter()
        .map(|tensor| {
            let bytes = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
            (tensor.name.as_str(), Dtype::F32, tensor.shape.clone(), bytes)
        })
        .collect();
    set_weights(folder.path(), &all);
    assert_eq!(load_pretrained(folder.path()).unwrap().1, tensors);
}

/// A file of weights from the text of its table and its bytes.
fn weights_file(table: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (table.len() as u64).to_le_bytes().to_vec();
    bytes.extend(table.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn tables_that_lie_are_refused() {
    let one = r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let at = |place: &str| format!(r#"{{{one},"b":{{"dtype":"F32","shape":[1],"data_offsets":{place}}}}}"#);
    let cases = [
        (format!("{{{one},{one}}}"), "named twice"),
        (at("[0,4]"), "expected to begin at 4"),
        (at("[5,9]"), "expected to begin at 4"),
        (at("[4,2]"), "expected to begin at 4"),
        (at("[4,9]"), "has 5 bytes"),
        (at("[4,18446744073709551615]"), "bytes"),
        (format!("{{{one}}}"), "describes 4 bytes"),
        (r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#.to_owned(), "has 8 bytes"),
        ("[]".to_owned(), "table is wrong"),
        ("{".to_owned(), "table is wrong"),
        (r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}"#.to_owned(), "table is wrong"),
    ];
    for (table, expected) in cases {
        let bytes = weights_file(&table, &[0; 8]);
        let reason = safetensors::Table::read(&bytes[..], bytes.len() as u64).unwrap_err();
        assert!(reason.contains(expected), "{table}: {reason}");
    }
    let good = weights_file(&at("[4,8]"), &[0; 8]);
    assert_eq!(safetensors::Table::read(&good[..], good.len() as u64).unwrap().entries.len(), 2);
    let long = u64::MAX.to_le_bytes();
    assert!(safetensors::Table::read(&long[..], 8).unwrap_err().contains("expected at most 0"));
}

#[test]
fn a_full_disk_leaves_the_old_model_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &small(true), &weights(&small(true))).unwrap();
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = (names(folder.path()), load_pretrained(folder.path()).unwrap());
    let path = folder.path().join(WEIGHTS_FILE);
    let tensors = weights(&small(true));
    let all: Vec<TensorRef<'_>> = tensors.iter().map(Tensor::as_ref).collect();
    let error = hugging_face::stage(&path, |file| {
        // The file for which there is no space: what it takes is only known when it is flushed.
        let mut full = io::BufWriter::new(fs::File::create("/dev/full")?);
        safetensors::write(&mut full, &all, ElementType::F32)?;
        file.write_all(b"never reached")
    });
    let text = error.map(drop).unwrap_err().to_string();
    assert!(text.contains(WEIGHTS_FILE) && text.contains("No space left"), "{text}");
    assert_eq!((names(folder.path()), load_pretrained(folder.path()).unwrap()), before);
}

proptest! {
    #[test]
    fn weight_files_with_any_bytes_changed_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), header_only: bool,
    ) {
        let config = small(true);
        let tensors = weights(&config);
        let all: Vec<TensorRef<'_>> = tensors.iter().map(Tensor::as_ref).collect();
        let mut bytes = Vec::new();
        safetensors::write(&mut bytes, &all, ElementType::F32).unwrap();
        let end = if header_only { 300 } else { bytes.len() };
        for (at, byte) in changes {
            bytes[at.index(end)] = byte;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(WEIGHTS_FILE), bytes).unwrap();
        let _ = read_weights(folder.path(), &mut config.clone());
    }

    #[test]
    fn every_f32_in_a_configuration_comes_back(eps in 1e-30f32..0.5, theta in 1.5f32..1e30) {
        let config = LlamaConfig { rms_norm_eps: eps, rope_theta: theta, ..small(true) };
        let file = ConfigFile::new(&config, &SpecialTokens::document(), ElementType::F32);
        let file: ConfigFile = serde_json::from_str(&serde_json::to_string(&file).unwrap()).unwrap();
        prop_assert_eq!(file.into_config(Path::new("config")).unwrap(), config);
    }

    #[test]
    fn configurations_with_any_value_changed_never_panic(
        key in any::<prop::sample::Index>(), number in any::<f64>(), whole in any::<i64>(), kind in 0..6,
    ) {
        let file = ConfigFile::new(&small(true), &SpecialTokens::document(), ElementType::F32);
        let mut file = serde_json::to_value(file).unwrap();
        let keys: Vec<String> = file.as_object().unwrap().keys().cloned().collect();
        file[key.get(&keys)] = match kind {
            0 => json!(number),
            1 => json!(whole),
            2 => json!(whole.unsigned_abs() % 64),
            3 => json!([whole, number]),
            4 => json!({ "rope_type": "llama3", "factor": number, "low_freq_factor": 1.0, "high_freq_factor": number }),
            _ => json!({ "rope_type": "yarn", "factor": number, "original_max_position_embeddings": whole }),
        };
        if let Ok(file) = serde_json::from_value::<ConfigFile>(file)
            && let Ok(config) = file.into_config(Path::new("config"))
        {
            // What is accepted can be counted and has tables.
            prop_assert!(config.parameter_count() > 0);
            let tables = crate::tables::inference_tables(&config, 1);
            prop_assert!(tables.iter().flat_map(|table| table.iter()).all(|&bits| f32::from_bits(bits).is_finite()));
        }
    }
}
