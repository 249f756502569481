//! A folder of weights from any bytes: no panic, no memory beyond the files, and what is read is finite and fits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_fuzz::{Folder, edited};
use sip_model::export::{INDEX_FILE, WEIGHTS_FILE, load_pretrained, save_pretrained};
use sip_model::{LlamaConfig, params};
use std::sync::LazyLock;

/// A folder with a small model, and the bytes of its weights.
static MODEL: LazyLock<(Folder, Vec<u8>)> = LazyLock::new(|| {
    let folder = Folder::new();
    let config = LlamaConfig {
        vocab_size: 3,
        hidden_size: 4,
        intermediate_size: 3,
        num_layers: 1,
        num_heads: 2,
        num_kv_heads: 1,
        ..LlamaConfig::preset("tiny").expect("preset")
    };
    let params = params(&config);
    let data: Vec<Vec<f32>> = params.iter().map(|param| vec![0.5; param.len()]).collect();
    let tensors: Vec<_> = params
        .iter()
        .zip(&data)
        .map(|(param, data)| sip_model::export::TensorRef { name: &param.name, shape: &param.shape, data })
        .collect();
    save_pretrained(folder.path(), &config, &tensors).expect("saved");
    let bytes = std::fs::read(folder.path().join(WEIGHTS_FILE)).expect("read");
    (folder, bytes)
});

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let (folder, whole) = &*MODEL;
    let (weights, index) = (folder.path().join(WEIGHTS_FILE), folder.path().join(INDEX_FILE));
    match first % 3 {
        // Any bytes, a changed file, or an index.
        0 => std::fs::write(&weights, rest).expect("written"),
        1 => std::fs::write(&weights, edited(whole, rest)).expect("written"),
        _ => {
            let _ = std::fs::remove_file(&weights);
            std::fs::write(folder.path().join("a.safetensors"), whole).expect("written");
            std::fs::write(&index, rest).expect("written");
        }
    }
    if let Ok((config, tensors)) = load_pretrained(folder.path()) {
        for ((name, shape), tensor) in config.parameters().into_iter().zip(&tensors) {
            assert_eq!((&name, &shape, shape.iter().product()), (&tensor.name, &tensor.shape, tensor.data.len()));
            assert!(tensor.data.iter().all(|value| value.is_finite()));
        }
    }
    let _ = std::fs::remove_file(&index);
});
