//! A `config.json` from any bytes: no panic, and what is accepted can be counted, has finite tables and comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_fuzz::{Folder, edited};
use sip_model::export::{CONFIG_FILE, load_config};
use sip_model::tables::inference_tables;
use std::sync::LazyLock;

const WHOLE: &str = r#"{"model_type":"llama","vocab_size":8,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":2,
"num_attention_heads":4,"num_key_value_heads":2,"head_dim":6,"max_position_embeddings":16,"rms_norm_eps":1e-05,
"rope_theta":10000.0,"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
"original_max_position_embeddings":8},"rope_parameters":{"rope_type":"yarn","factor":4.0,"beta_fast":32.0,
"truncate":false},"tie_word_embeddings":true,"hidden_act":"silu","attention_bias":false,"mlp_bias":false,
"bos_token_id":1,"eos_token_id":[2,3]}"#;

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::new);

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let text = if first & 1 == 0 { rest.to_vec() } else { edited(WHOLE.as_bytes(), rest) };
    std::fs::write(FOLDER.path().join(CONFIG_FILE), text).expect("written");
    let Ok(config) = load_config(FOLDER.path()) else { return };
    config.validate().expect("what is loaded is valid");
    if config.num_layers < 100 && config.head_dim() < 1 << 12 {
        assert!(config.parameter_count() > 0);
        let tables = inference_tables(&config, 2);
        assert!(tables.iter().flat_map(|table| table.iter()).all(|&bits| f32::from_bits(bits).is_finite()));
    }
});
