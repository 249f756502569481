//! A GGUF file from any bytes: no panic, no memory beyond the file, and what is opened is whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_fuzz::{Folder, edited, gguf_bytes};
use sip_model::LoadedModel;
use sip_model::gguf::Container;
use std::sync::LazyLock;

static MODEL: LazyLock<(Folder, Vec<u8>)> = LazyLock::new(|| (Folder::new(), gguf_bytes()));

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let (folder, whole) = &*MODEL;
    let bytes = if first & 1 == 0 { rest.to_vec() } else { edited(whole, rest) };
    if Container::read(&bytes[..], bytes.len() as u64).is_err() {
        return;
    }
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, &bytes).expect("written");
    let Ok(model) = LoadedModel::open(&path) else { return };
    for ((_, shape), weights) in model.config.parameters().into_iter().zip(&model.weights) {
        assert_eq!(shape.iter().product::<usize>(), weights.len());
        assert!(weights.iter().all(|&bits| f32::from_bits(bits).is_finite()));
    }
    if let Ok(ids) = model.tokenizer.encode("It's the 12th — naïve\n\n") {
        assert!(ids.iter().all(|&id| (id as usize) < model.config.vocab_size));
        let _ = model.tokenizer.decode(&ids);
    }
});
