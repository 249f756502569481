//! What leaves in the Hugging Face layout comes back, and nothing else gets in.

use proptest::prelude::*;

use super::*;

fn small(tie_embeddings: bool) -> LlamaConfig {
    LlamaConfig {
        vocab_size: 11,
        hidden_size: 8,
        intermediate_size: 12,
        num_layers: 2,
        num_heads: 4,
        num_kv_heads: 2,
        max_seq_len: 16,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_embeddings,
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
        (*name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    fs::write(folder.join(WEIGHTS_FILE), safetensors::serialize(views, None).unwrap()).unwrap();
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
    let broken: [(&str, Change); 9] = [
        ("vocab_size", |config| config.vocab_size = 0),
        ("num_layers", |config| config.num_layers = usize::MAX),
        ("hidden_size", |config| config.hidden_size = 9),
        ("hidden_size", |config| config.num_heads = 8),
        ("num_heads", |config| config.num_kv_heads = 3),
        ("max_seq_len", |config| config.max_seq_len = 0),
        ("rms_norm_eps", |config| config.rms_norm_eps = 0.0),
        ("rms_norm_eps", |config| config.rms_norm_eps = f32::NAN),
        ("rope_theta", |config| config.rope_theta = f32::INFINITY),
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
            assert!(matches!(&error, ExportError::Format { path: found, .. } if *found == path), "{error}");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(load_pretrained(folder.path()), Err(ExportError::Io { .. })));
        fs::write(&path, whole).unwrap();
    }
    load_pretrained(folder.path()).unwrap();
}

#[test]
fn oversized_files_are_refused_unread() {
    let grow = |folder: &Path, file: &str, size_bytes| {
        fs::File::options().write(true).open(folder.join(file)).unwrap().set_len(size_bytes).unwrap();
    };
    let error = load_after(|folder| grow(folder, CONFIG_FILE, 1 << 21));
    assert!(matches!(error, ExportError::TooLarge { limit_bytes: CONFIG_LIMIT_BYTES, .. }), "{error}");
    // A file with holes: nothing is stored on the disk.
    let error = load_after(|folder| grow(folder, WEIGHTS_FILE, 1 << 33));
    assert!(matches!(error, ExportError::TooLarge { .. }), "{error}");
}

#[test]
fn models_that_are_no_plain_llama_are_refused() {
    let cases = [
        ("model_type", "mistral".into()),
        ("hidden_act", "gelu".into()),
        ("attention_bias", true.into()),
        ("mlp_bias", true.into()),
        ("head_dim", 4.into()),
        ("rope_scaling", serde_json::json!({ "rope_type": "llama3", "factor": 8.0 })),
        ("rope_parameters", serde_json::json!({ "rope_type": "yarn", "rope_theta": 10000.0 })),
    ];
    for (expected, value) in cases {
        let error = load_after(|folder| set_key(folder, expected, value));
        assert!(matches!(error, ExportError::Unsupported { key, .. } if key == expected), "{error}");
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
    set_key(folder.path(), "rope_parameters", serde_json::json!({ "rope_type": "default", "rope_theta": 500000.0 }));
    assert_eq!(load_config(folder.path()).unwrap().rope_theta, 500_000.0);
}

#[test]
fn bfloat16_weights_are_widened_and_other_kinds_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = small(true);
    save(folder.path(), &config, &weights(&config)).unwrap();
    let named = config.parameters();
    let all = |dtype: Dtype, bytes: &[u8]| -> Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> {
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        named.iter().map(|(name, shape)| (name.as_str(), dtype, shape.clone(), bytes.repeat(size(shape)))).collect()
    };
    set_weights(folder.path(), &all(Dtype::BF16, &[0xc0, 0xbf]));
    let (_, loaded) = load_pretrained(folder.path()).unwrap();
    assert!(loaded.iter().all(|tensor| tensor.data.iter().all(|&value| value == -1.5)));
    set_weights(folder.path(), &all(Dtype::F16, &[0, 0]));
    let error = load_pretrained(folder.path()).unwrap_err();
    assert!(matches!(&error, ExportError::ElementType { found, .. } if found == "F16"), "{error}");
}

proptest! {
    #[test]
    fn weight_files_with_any_bytes_changed_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), header_only: bool,
    ) {
        let config = small(true);
        let tensors = weights(&config);
        let views = tensors.iter().map(|tensor| (tensor.name.as_str(), SavedTensor(tensor.as_ref())));
        let mut bytes = safetensors::serialize(views, None).unwrap();
        let end = if header_only { 300 } else { bytes.len() };
        for (at, byte) in changes {
            bytes[at.index(end)] = byte;
        }
        let _ = parse_weights(Path::new("weights"), &config, &bytes);
    }

    #[test]
    fn every_f32_in_a_configuration_comes_back(eps in 1e-30f32..0.5, theta in 1.5f32..1e30) {
        let config = LlamaConfig { rms_norm_eps: eps, rope_theta: theta, ..small(true) };
        let text = serde_json::to_string(&ConfigFile::from(&config)).unwrap();
        let file: ConfigFile = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(file.into_config(Path::new("config")).unwrap(), config);
    }
}
