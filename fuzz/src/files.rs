//! Model files for the targets that read them: a folder in memory, changes to a right file, and a right GGUF file.

use std::path::{Path, PathBuf};

/// A folder of this process for the files of a target; removed when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes the folder, in memory where the system has such a place.
    ///
    /// # Panics
    /// Where no folder can be made.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Folder {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let path = parent.join(format!("sip-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for files");
        Folder(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A right file with changes that the input says: each has a place (two bytes), a kind and a length, then what is put
/// there.
pub fn edited(whole: &[u8], mut input: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    while let Some((&[low, high, kind, length], rest)) = input.split_first_chunk() {
        let place = u16::from_le_bytes([low, high]) as usize % (bytes.len() + 1);
        let length = length as usize % 32;
        let (new, rest) = rest.split_at(length.min(rest.len()));
        input = rest;
        match kind % 4 {
            0 => bytes[place..].iter_mut().zip(new).for_each(|(byte, new)| *byte = *new),
            1 => drop(bytes.splice(place..place, new.iter().copied())),
            2 => drop(bytes.drain(place..(place + length).min(bytes.len()))),
            _ if length == 31 => bytes.truncate(place),
            _ => drop(bytes.splice(place..(place + length).min(bytes.len()), new.iter().copied())),
        }
    }
    bytes
}

/// A model of one layer with a byte-level tokenizer, as a GGUF file.
pub fn gguf_bytes() -> Vec<u8> {
    fn text(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
    }
    fn texts(texts: &[String]) -> Vec<u8> {
        let all: Vec<u8> = texts.iter().flat_map(|one| text(one)).collect();
        [&8u32.to_le_bytes()[..], &(texts.len() as u64).to_le_bytes(), &all].concat()
    }
    // The characters that stand for bytes, and one merge.
    let visible = (33..=126u32).chain(161..=172).chain(174..=255);
    let alphabet = visible.chain((0..68).map(|n| 256 + n)).filter_map(char::from_u32).map(String::from);
    let mut tokens = vec!["<|end|>".to_owned()];
    tokens.extend(alphabet);
    tokens.push("th".to_owned());

    let number = |number: u32| number.to_le_bytes().to_vec();
    let metadata: [(&str, u32, Vec<u8>); 15] = [
        ("general.architecture", 8, text("llama")),
        ("llama.context_length", 4, number(8)),
        ("llama.embedding_length", 4, number(32)),
        ("llama.feed_forward_length", 4, number(1)),
        ("llama.block_count", 4, number(1)),
        ("llama.attention.head_count", 4, number(2)),
        ("llama.attention.head_count_kv", 4, number(1)),
        ("llama.attention.key_length", 4, number(2)),
        ("llama.rope.freq_base", 6, 500f32.to_le_bytes().to_vec()),
        ("llama.attention.layer_norm_rms_epsilon", 6, 1e-5f32.to_le_bytes().to_vec()),
        ("tokenizer.ggml.model", 8, text("gpt2")),
        ("tokenizer.ggml.pre", 8, text("smollm")),
        ("tokenizer.ggml.eos_token_id", 4, number(0)),
        ("tokenizer.ggml.tokens", 9, texts(&tokens)),
        ("tokenizer.ggml.merges", 9, texts(&["t h".to_owned()])),
    ];
    // Sides innermost first; rows of 32 in blocks of Q8_0 or Q4_1, the others in F16.
    let vocabulary = tokens.len() as u64;
    let tensors: [(&str, Vec<u64>, u32); 11] = [
        ("token_embd.weight", vec![32, vocabulary], 8),
        ("blk.0.attn_norm.weight", vec![32], 1),
        ("blk.0.attn_q.weight", vec![32, 4], 3),
        ("blk.0.attn_k.weight", vec![32, 2], 2),
        ("blk.0.attn_v.weight", vec![32, 2], 7),
        ("blk.0.attn_output.weight", vec![4, 32], 1),
        ("blk.0.ffn_norm.weight", vec![32], 1),
        ("blk.0.ffn_gate.weight", vec![32, 1], 6),
        ("blk.0.ffn_up.weight", vec![32, 1], 30),
        ("blk.0.ffn_down.weight", vec![1, 32], 1),
        ("output_norm.weight", vec![32], 1),
    ];
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    for (key, kind, value) in metadata {
        bytes.extend(text(key));
        bytes.extend(number(kind));
        bytes.extend(value);
    }
    let mut offset = 0u64;
    for (name, sides, kind) in tensors {
        bytes.extend(text(name));
        bytes.extend(number(sides.len() as u32));
        bytes.extend(sides.iter().flat_map(|side| side.to_le_bytes()));
        bytes.extend(number(kind));
        bytes.extend(offset.to_le_bytes());
        let values = sides.iter().product::<u64>();
        let size = match kind {
            1 | 30 => values * 2,
            2 => values / 32 * 18,
            3 => values / 32 * 20,
            6 => values / 32 * 22,
            7 => values / 32 * 24,
            _ => values / 32 * 34,
        };
        offset = (offset + size).next_multiple_of(32);
    }
    bytes.resize(bytes.len().next_multiple_of(32) + offset as usize, 0);
    bytes
}
