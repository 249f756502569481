//! The one encoding of a manifest; `docs/spec/manifest.md` has it field by field.
//!
//! Little-endian words in a fixed order, counts before what they count. Whatever reads is given bytes by strangers: each count is compared with the bytes that are left
//! before room is made for it, and what would not be written the same way again is refused.

use sip_graph::{AdamW, Graph, Steered};
use sip_model::{LlamaConfig, Outer, Schedule, UpdateCodec, Variant};
use sip_proof::Hash;
use sip_protocol::training::job::MAX_DOMAINS;
use sip_protocol::training::setting::MAX_SETTINGS;
use std::collections::BTreeMap;

use crate::settings::{MAX_ROUNDS, MAX_STEPS};
use crate::table::{Rotary, Rule, TABLE_ELEMENTS_MAX, Table, shape_of, shape_words};
use crate::value::{Blob, Domain, Manifest, Part, Sizes};

/// First bytes: the format and its version.
pub const MAGIC: [u8; 16] = *b"sip.manifest.1\0\0";
/// A manifest has at most so many bytes.
pub const BYTES_MAX: usize = 128 << 20;
/// Bytes before the domains.
pub const HEAD_BYTES: usize = 272;
/// A tokenizer has at most so many bytes.
pub const TOKENIZER_BYTES_MAX: u64 = 1 << 26;
/// Most tables.
pub const TABLES_MAX: usize = 64;
/// Most bytes of a name or a licence.
pub const NAME_BYTES_MAX: usize = 64;
/// A setting's number that says that none steers.
const UNSTEERED: u32 = u32::MAX;

/// Why bytes are no manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where they stop making sense.
    pub at: usize,
    /// What is wrong.
    pub reason: String,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "byte {} of the manifest: {}", self.at, self.reason)
    }
}

impl std::error::Error for Malformed {}

type Result<T> = std::result::Result<T, Malformed>;

/// What is left of the bytes, and where that starts.
struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(Malformed { at: self.at, reason: reason.into() })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return self.fail(format!("{len} bytes should follow, but {} do", self.rest.len()));
        };
        (self.rest, self.at) = (rest, self.at + len);
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn word(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn long(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn hash(&mut self) -> Result<Hash> {
        self.array()
    }

    /// A finite f32.
    fn float(&mut self) -> Result<f32> {
        let value = f32::from_bits(self.word()?);
        if value.is_finite() { Ok(value) } else { self.fail("a number is not finite") }
    }

    /// A finite f64.
    fn double(&mut self) -> Result<f64> {
        let value = f64::from_bits(self.long()?);
        if value.is_finite() { Ok(value) } else { self.fail("a number is not finite") }
    }

    /// A word within bounds.
    fn within(&mut self, what: &str, least: u32, most: u32) -> Result<u32> {
        let value = self.word()?;
        if !(least..=most).contains(&value) {
            return self.fail(format!("{what} is {value}, expected {least} to {most}"));
        }
        Ok(value)
    }

    /// A text of at most [`NAME_BYTES_MAX`] bytes.
    fn text(&mut self) -> Result<String> {
        let len = self.within("the length of a text", 0, NAME_BYTES_MAX as u32)? as usize;
        match std::str::from_utf8(self.take(len)?) {
            Ok(text) if !text.chars().any(char::is_control) => Ok(text.to_owned()),
            _ => self.fail("a text is not UTF-8 without control characters"),
        }
    }
}

/// Bytes that are written.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn words(&mut self, words: impl IntoIterator<Item = u32>) {
        words.into_iter().for_each(|word| self.0.extend(word.to_le_bytes()));
    }

    fn longs(&mut self, longs: impl IntoIterator<Item = u64>) {
        longs.into_iter().for_each(|long| self.0.extend(long.to_le_bytes()));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.words([bytes.len() as u32]);
        self.0.extend(bytes);
    }
}

impl Manifest {
    /// Its bytes, from which [`Manifest::from_bytes`] reads it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        let sizes = &self.sizes;
        out.words([self.is_compressed().into(), self.model.is_some().into()]);
        out.words([sizes.batch, sizes.sequence_length, sizes.inner_steps, sizes.leaf_interval, sizes.rounds]);
        out.words([sizes.score_windows, sizes.score_rows, sizes.score_leaf_interval]);
        out.longs([self.genesis_seed]);
        [self.genesis_root, self.reset_root, self.tokenizer.root].iter().for_each(|hash| out.0.extend(hash));
        out.longs([self.tokenizer.bytes]);
        out.words(self.model.as_ref().map_or([0; 10], model_words));
        out.words(self.optimizer.as_ref().map_or([0; 8], optimizer_words));
        out.words(self.codec.as_ref().map_or([0; 5], codec_words));
        out.words([self.domains.len() as u32, self.tables.len() as u32, self.graphs.len() as u32]);
        debug_assert_eq!(out.0.len(), HEAD_BYTES);
        for domain in &self.domains {
            out.0.extend(domain.train_root);
            out.0.extend(domain.heldout_root);
            out.longs([domain.train_tokens, domain.heldout_tokens]);
            out.bytes(domain.name.as_bytes());
            out.bytes(domain.licence.as_bytes());
        }
        self.tables.iter().for_each(|table| write_table(table, &mut out));
        for (part, graph) in &self.graphs {
            out.words([part.number()]);
            out.bytes(graph);
        }
        out.0
    }

    /// Reads a manifest that anybody may have written.
    ///
    /// # Errors
    /// Where the bytes are not the only ones of a manifest, or one of its graphs is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Manifest> {
        let mut from = Reader { rest: bytes, at: 0 };
        if bytes.len() > BYTES_MAX {
            return from.fail(format!("{} bytes are more than {BYTES_MAX}", bytes.len()));
        }
        if from.array::<16>()? != MAGIC {
            return Err(Malformed { at: 0, reason: "it does not begin with sip.manifest.1".into() });
        }
        let [is_compressed, has_model] =
            [from.within("the exchange", 0, 1)? == 1, from.within("the family", 0, 1)? == 1];
        let sizes = read_sizes(&mut from)?;
        let genesis_seed = from.long()?;
        let [genesis_root, reset_root] = [from.hash()?, from.hash()?];
        let tokenizer = Blob { root: from.hash()?, bytes: from.long()? };
        if tokenizer.bytes > TOKENIZER_BYTES_MAX {
            return from.fail(format!("a tokenizer of {} bytes is larger than {TOKENIZER_BYTES_MAX}", tokenizer.bytes));
        }
        let model = read_model(&mut from, has_model)?;
        let optimizer = read_optimizer(&mut from)?;
        let codec = read_codec(&mut from)?;
        let domains = from.within("the number of domains", 1, MAX_DOMAINS as u32)?;
        let tables = from.within("the number of tables", 0, TABLES_MAX as u32)?;
        let graphs = from.word()?;
        let domains = (0..domains).map(|_| read_domain(&mut from)).collect::<Result<Vec<Domain>>>()?;
        let tables = (0..tables).map(|_| read_table(&mut from)).collect::<Result<Vec<Table>>>()?;
        let graphs = read_graphs(&mut from, graphs)?;
        if !from.rest.is_empty() {
            return from.fail(format!("{} bytes follow the manifest", from.rest.len()));
        }
        let manifest = Manifest {
            sizes,
            model,
            optimizer,
            codec,
            genesis_seed,
            genesis_root,
            reset_root,
            tokenizer,
            domains,
            tables,
            graphs,
        };
        manifest.check_whole(is_compressed).map_err(|reason| Malformed { at: 0, reason: reason.into() })?;
        if manifest.to_bytes() != bytes {
            return Err(Malformed { at: 0, reason: "it is not written in the only way".into() });
        }
        Ok(manifest)
    }

    /// What must be there together, or not at all.
    fn check_whole(&self, is_compressed: bool) -> std::result::Result<(), &'static str> {
        let has = |part: Part| self.graphs.contains_key(&part);
        if !has(Part::Step) || !has(Part::Scoring) || !Part::averages().all(has) {
            return Err("a graph of the step, of scoring or of an average is missing");
        }
        if has(Part::Start) != is_compressed || has(Part::Update) != is_compressed {
            return Err("graphs of updates are there without compressed updates, or are missing");
        }
        if (self.reset_root != [0; 32]) != is_compressed || (self.codec.is_some() && !is_compressed) {
            return Err("reset and codec belong to compressed updates alone");
        }
        if self.genesis_seed != 0 && !has(Part::Genesis) {
            return Err("a seed belongs to a graph of the genesis state");
        }
        Ok(())
    }
}

fn read_sizes(from: &mut Reader<'_>) -> Result<Sizes> {
    let most = 1 << 24;
    let batch = from.within("the batch", 1, most)?;
    let sequence_length = from.within("the sequence length", 1, most)?;
    let inner_steps = from.within("the steps of a segment", 1, MAX_STEPS)?;
    let leaf_interval = from.within("the steps of a leaf", 1, inner_steps)?;
    let rounds = from.within("the rounds", 1, MAX_ROUNDS)?;
    let score_rows_at = from.at + 4;
    let score_windows = from.within("the windows", 1, most)?;
    let score_rows = from.within("the rows of scoring", 1, score_windows)?;
    if !score_windows.is_multiple_of(score_rows) {
        return Err(Malformed { at: score_rows_at, reason: "the windows are no whole steps".into() });
    }
    let score_leaf_interval = from.within("the steps of a leaf of scoring", 1, most)?;
    Ok(Sizes {
        batch,
        sequence_length,
        inner_steps,
        leaf_interval,
        rounds,
        score_windows,
        score_rows,
        score_leaf_interval,
    })
}

fn model_words(model: &LlamaConfig) -> [u32; 10] {
    let sizes = [
        model.vocab_size,
        model.hidden_size,
        model.intermediate_size,
        model.num_layers,
        model.num_heads,
        model.num_kv_heads,
        model.max_seq_len,
    ];
    let mut words = [0; 10];
    for (word, size) in words.iter_mut().zip(sizes) {
        *word = size as u32;
    }
    words[7..].copy_from_slice(&[
        model.rms_norm_eps.to_bits(),
        model.rope_theta.to_bits(),
        model.tie_embeddings.into(),
    ]);
    words
}

fn read_model(from: &mut Reader<'_>, is_there: bool) -> Result<Option<LlamaConfig>> {
    let at = from.at;
    if !is_there {
        return zeros(from, 10).map(|()| None);
    }
    let mut sizes = [0; 7];
    for size in &mut sizes {
        *size = from.word()? as usize;
    }
    let [vocab_size, hidden_size, intermediate_size, num_layers, num_heads, num_kv_heads, max_seq_len] = sizes;
    let model = LlamaConfig {
        vocab_size,
        hidden_size,
        intermediate_size,
        num_layers,
        num_heads,
        num_kv_heads,
        head_dim: None,
        max_seq_len,
        rms_norm_eps: from.float()?,
        rope_theta: from.float()?,
        rope_scaling: None,
        tie_embeddings: from.within("whether the embedding is tied", 0, 1)? == 1,
        variant: Variant::default(),
    };
    model.validate().map_err(|error| Malformed { at, reason: error.to_string() })?;
    Ok(Some(model))
}

fn optimizer_words(optimizer: &AdamW) -> [u32; 8] {
    let steered = |setting: Option<u8>| setting.map_or(UNSTEERED, u32::from);
    [
        1,
        optimizer.beta1.to_bits(),
        optimizer.beta2.to_bits(),
        optimizer.epsilon.to_bits(),
        optimizer.weight_decay.to_bits(),
        optimizer.clip_norm.to_bits(),
        steered(optimizer.steered.learning_rate),
        steered(optimizer.steered.weight_decay),
    ]
}

fn read_optimizer(from: &mut Reader<'_>) -> Result<Option<AdamW>> {
    if from.within("the optimizer", 0, 1)? == 0 {
        return zeros(from, 7).map(|()| None);
    }
    let (beta1, beta2, epsilon) = (from.float()?, from.float()?, from.float()?);
    let (weight_decay, clip_norm) = (from.float()?, from.float()?);
    let mut steered = || match from.word()? {
        UNSTEERED => Ok(None),
        setting if setting < MAX_SETTINGS as u32 => Ok(Some(setting as u8)),
        setting => from.fail(format!("there is no setting {setting}")),
    };
    let steered = Steered { learning_rate: steered()?, weight_decay: steered()? };
    Ok(Some(AdamW { beta1, beta2, epsilon, weight_decay, clip_norm, steered }))
}

fn codec_words(codec: &UpdateCodec) -> [u32; 5] {
    let (kind, rate, momentum) = match codec.outer {
        Outer::Mean => (1, 0, 0),
        Outer::Nesterov { rate, momentum } => (2, rate.to_bits(), momentum.to_bits()),
    };
    [kind, codec.chunk as u32, codec.keep as u32, rate, momentum]
}

fn read_codec(from: &mut Reader<'_>) -> Result<Option<UpdateCodec>> {
    let kind = from.within("the outer step", 0, 2)?;
    if kind == 0 {
        return zeros(from, 4).map(|()| None);
    }
    let chunk = from.within("the chunk", 8, 256)? as usize;
    let keep = from.within("what is kept of a chunk", 4, 8)? as usize;
    let outer = match (kind, from.float()?, from.float()?) {
        (1, _, _) => Outer::Mean,
        (_, rate, momentum) => Outer::Nesterov { rate, momentum },
    };
    let codec = UpdateCodec { chunk, keep, outer };
    codec.validate().map_err(|error| Malformed { at: from.at, reason: error.to_string() })?;
    Ok(Some(codec))
}

fn read_domain(from: &mut Reader<'_>) -> Result<Domain> {
    let (train_root, heldout_root) = (from.hash()?, from.hash()?);
    let (train_tokens, heldout_tokens) = (from.long()?, from.long()?);
    Ok(Domain { train_root, heldout_root, train_tokens, heldout_tokens, name: from.text()?, licence: from.text()? })
}

fn write_table(table: &Table, out: &mut Writer) {
    let start = |out: &mut Writer, kind: u32| {
        out.words([kind]);
        out.0.extend(table.root);
    };
    match &table.rule {
        Rule::Elements(elements) => {
            start(out, 0);
            out.words([elements.len() as u32]);
            out.words(elements.iter().copied());
        }
        Rule::Steps { schedule, beta1, beta2 } => {
            start(out, 1);
            out.words([schedule.total_steps as u32, schedule.warmup_steps as u32]);
            out.longs([schedule.peak_rate.to_bits(), schedule.final_share.to_bits()]);
            out.words(shape_words(schedule.shape));
            out.words([beta1.to_bits(), beta2.to_bits()]);
        }
        Rule::Cosines(rotary) | Rule::Sines(rotary) => {
            start(out, if matches!(table.rule, Rule::Cosines(_)) { 2 } else { 3 });
            out.words([rotary.pairs, rotary.positions, rotary.theta.to_bits()]);
        }
    }
}

fn read_table(from: &mut Reader<'_>) -> Result<Table> {
    let at = from.at;
    let (kind, root) = (from.within("the rule of a table", 0, 3)?, from.hash()?);
    let rule = match kind {
        0 => {
            let count = from.word()? as usize;
            let bytes = from.take(count.saturating_mul(4))?;
            Rule::Elements(bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
        }
        1 => {
            let (total_steps, warmup_steps) = (from.word()? as usize, from.word()? as usize);
            let (peak_rate, final_share) = (from.double()?, from.double()?);
            let Some(shape) = shape_of([from.word()?, from.word()?]) else {
                return from.fail("a learning rate has no such shape");
            };
            let schedule = Schedule { peak_rate, warmup_steps, total_steps, final_share, shape };
            Rule::Steps { schedule, beta1: from.float()?, beta2: from.float()? }
        }
        _ => {
            let rotary = Rotary { pairs: from.word()?, positions: from.word()?, theta: from.float()? };
            if kind == 2 { Rule::Cosines(rotary) } else { Rule::Sines(rotary) }
        }
    };
    if rule.len() > TABLE_ELEMENTS_MAX {
        return Err(Malformed {
            at,
            reason: format!("a table of {} elements is larger than {TABLE_ELEMENTS_MAX}", rule.len()),
        });
    }
    Ok(Table { root, rule })
}

fn read_graphs(from: &mut Reader<'_>, count: u32) -> Result<BTreeMap<Part, Vec<u8>>> {
    let mut graphs = BTreeMap::new();
    for _ in 0..count {
        let number = from.word()?;
        let Some(part) = Part::from_number(number) else { return from.fail(format!("there is no graph {number}")) };
        if graphs.last_key_value().is_some_and(|(last, _)| *last >= part) {
            return from.fail("the graphs are not in ascending order");
        }
        let len = from.word()? as usize;
        let at = from.at;
        let bytes = from.take(len)?;
        let name = part.name();
        Graph::from_bytes(bytes).map_err(|error| Malformed { at, reason: format!("graph {name}: {error}") })?;
        graphs.insert(part, bytes.to_vec());
    }
    Ok(graphs)
}

/// So many words of zeros, in place of what is not there.
fn zeros(from: &mut Reader<'_>, words: usize) -> Result<()> {
    for _ in 0..words {
        from.within("what is not there", 0, 0)?;
    }
    Ok(())
}
