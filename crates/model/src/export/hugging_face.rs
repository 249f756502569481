//! The Hugging Face layout: a folder with `config.json`, `generation_config.json` and weights in one file or several.
//!
//! A folder written here loads with `transformers.AutoModelForCausalLM.from_pretrained(folder)`; a Llama folder from
//! elsewhere loads here when it is a plain Llama (no biases).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::Error as _;
use sip_data::files::{Staged, commit_together};
use sip_data::shown;
use sip_graph::Buffer;
use sip_json::{Budget, FLOOR_BYTES, MemberError, members};

use super::elements::f32_to_bf16;
use super::other_files::instead_of_model;
use super::safetensors::{WeightsFile, write};
use super::{
    CHAT_TEMPLATE_FILE, CONFIG_FILE, ConfigFile, ElementType, ExportError, GENERATION_CONFIG_FILE,
    GenerationConfigFile, INDEX_FILE, JSON_LIMIT_BYTES, LlamaConfig, Tensor, TensorRef, WEIGHTS_FILE, Widened,
    check_finite, load_config, read_json,
};
use crate::side::{ADDED_TOKENS_FILE, MORE_TEMPLATES_FOLDER, SideFiles};
use crate::tokenizer::{SPECIAL_TOKENS_FILE, SpecialTokens, TOKENIZER_FILE};

/// How weights are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveOptions {
    /// Element type; F16 is not written.
    pub element: ElementType,
    /// Weights of more bytes than this are split into several files; a larger tensor has a file of its own.
    pub file_bytes_max: u64,
}

impl Default for SaveOptions {
    /// f32, and the size at which `transformers` splits.
    fn default() -> SaveOptions {
        SaveOptions { element: ElementType::F32, file_bytes_max: 5_000_000_000 }
    }
}

/// Which file holds which weight.
#[derive(Serialize)]
struct Index {
    metadata: IndexMetadata,
    weight_map: BTreeMap<String, String>,
}

#[derive(Default, Serialize)]
struct IndexMetadata {
    total_size: serde_json::Value,
}

/// Writes a model whose texts begin and end with [`crate::tokenizer::DOCUMENT_TOKEN`] as f32; as
/// [`save_pretrained_with`].
///
/// # Errors
/// As [`save_pretrained_with`].
pub fn save_pretrained(folder: &Path, config: &LlamaConfig, tensors: &[TensorRef<'_>]) -> Result<(), ExportError> {
    save_pretrained_with(folder, config, &SpecialTokens::document(), tensors, SaveOptions::default())
}

/// The files beside the weights that [`save_pretrained`] writes of a model, by name.
///
/// # Errors
/// A configuration that is not valid.
pub fn files_beside_weights(config: &LlamaConfig) -> Result<[(&'static str, Vec<u8>); 2], ExportError> {
    config.validate()?;
    let special = SpecialTokens::document();
    let file = ConfigFile::new(config, &special, ElementType::F32).over(None)?;
    let generation = GenerationConfigFile::new(&special);
    Ok([
        (CONFIG_FILE, json_bytes(CONFIG_FILE, &file)?),
        (GENERATION_CONFIG_FILE, json_bytes(GENERATION_CONFIG_FILE, &generation)?),
    ])
}

/// Writes the model into `folder` (created when missing): weights, `config.json` and `generation_config.json`.
///
/// `tensors` are the parameters of [`LlamaConfig::parameters`] in any order. The bytes depend on the arguments alone.
/// Every file is on the disk in full before the first takes its name, so a disk that is full leaves what was there; and
/// a process that is stopped between two names leaves a folder without `config.json`, which nobody takes for a model.
///
/// # Errors
/// A configuration that is not valid, a tensor that is missing, unexpected, of another shape, not finite or beyond the
/// element type, and what the file system refuses. Nothing is written unless all tensors are in order.
pub fn save_pretrained_with(
    folder: &Path,
    config: &LlamaConfig,
    special: &SpecialTokens,
    tensors: &[TensorRef<'_>],
    options: SaveOptions,
) -> Result<(), ExportError> {
    commit_model(folder, stage_model(folder, config, special, tensors, options, &SideFiles::default())?)
}

/// The files of a model, on the disk but without their names; `config.json` is the last.
pub(crate) fn stage_model(
    folder: &Path,
    config: &LlamaConfig,
    special: &SpecialTokens,
    tensors: &[TensorRef<'_>],
    options: SaveOptions,
    side: &SideFiles,
) -> Result<Vec<Staged>, ExportError> {
    config.validate()?;
    let ordered = check_tensors(config, tensors, options.element)?;
    fs::create_dir_all(folder).map_err(|source| ExportError::Io { path: folder.to_owned(), source })?;

    let files = split(&ordered, options);
    let mut staged = Vec::new();
    let mut index = Index { metadata: IndexMetadata::default(), weight_map: BTreeMap::new() };
    let mut total_bytes = 0;
    for (number, part) in files.iter().enumerate() {
        let name = file_name(number, files.len());
        staged.push(stage(&folder.join(&name), |out| write(out, part, options.element))?);
        for tensor in *part {
            index.weight_map.insert(tensor.name.to_owned(), name.clone());
            total_bytes += tensor_bytes(tensor, options.element);
        }
    }
    if files.len() > 1 {
        index.metadata.total_size = total_bytes.into();
        staged.push(stage_json(&folder.join(INDEX_FILE), &index)?);
    }
    if side.get(GENERATION_CONFIG_FILE).is_none() {
        let generation = GenerationConfigFile::new(special);
        staged.push(stage_json(&folder.join(GENERATION_CONFIG_FILE), &generation)?);
    }
    let file = ConfigFile::new(config, special, options.element);
    staged.push(stage_json(&folder.join(CONFIG_FILE), &file.over(side.config.as_ref())?)?);
    Ok(staged)
}

/// Gives the files of [`stage_model`], and others before them, their names; what an earlier model left and would be read in
/// place of one of them goes.
pub(crate) fn commit_model(folder: &Path, staged: Vec<Staged>) -> Result<(), ExportError> {
    let is_written = |name: &str| staged.iter().any(|file| file.path() == folder.join(name));
    let mut stale = vec![if is_written(INDEX_FILE) { WEIGHTS_FILE } else { INDEX_FILE }.to_owned()];
    if is_written(TOKENIZER_FILE) {
        let beside = [CHAT_TEMPLATE_FILE, ADDED_TOKENS_FILE, SPECIAL_TOKENS_FILE, "chat_template.json"];
        stale.extend(beside.into_iter().filter(|name| !is_written(name)).map(str::to_owned));
        let more = fs::read_dir(folder.join(MORE_TEMPLATES_FOLDER)).into_iter().flatten().flatten();
        let names = more.filter_map(|entry| entry.file_name().into_string().ok());
        let paths = names.filter(|name| name.ends_with(".jinja")).map(|name| format!("{MORE_TEMPLATES_FOLDER}/{name}"));
        stale.extend(paths.filter(|path| !is_written(path)));
    }
    let stale: Vec<PathBuf> = stale.into_iter().map(|name| folder.join(name)).collect();
    commit_together(&stale, staged).map_err(|(path, source)| ExportError::Io { path, source })
}

/// Reads the model in `folder`: its shape, and its parameters in the order of [`LlamaConfig::parameters`].
///
/// F16 and BF16 weights are widened to f32, which is exact.
///
/// # Errors
/// Every variant of [`ExportError`] but `Length`; a hostile file costs at most the memory of the weights that it holds.
pub fn load_pretrained(folder: &Path) -> Result<(LlamaConfig, Vec<Tensor>), ExportError> {
    let mut config = load_config(folder)?;
    let weights = read_weights(folder, &mut config)?;
    let tensors = config.parameters().into_iter().zip(weights);
    let tensors = tensors.map(|((name, shape), bits)| Tensor { name, shape, data: bits.to_f32() }).collect();
    Ok((config, tensors))
}

/// Reads the parameters in `folder`, in the order of [`LlamaConfig::parameters`].
///
/// A model whose configuration ties the output layer to the embedding, but whose files hold another output layer, has that one: the
/// configuration is put right.
pub(crate) fn read_weights(folder: &Path, config: &mut LlamaConfig) -> Result<Vec<Buffer>, ExportError> {
    let (origin, mut files) = open_weights(folder)?;
    let parameters = config.parameters();

    // Everything is looked up before memory is asked for.
    let known: BTreeSet<&str> = parameters.iter().map(|(name, _)| name.as_str()).chain([HEAD]).collect();
    let mut places = BTreeMap::new();
    for (number, file) in files.iter().enumerate() {
        for (name, entry) in &file.table.entries {
            let origin = || file.path.display().to_string();
            let Some(parameter) = canonical(name, &known) else {
                if name.ends_with(".rotary_emb.inv_freq") {
                    continue;
                }
                return Err(ExportError::Unexpected { origin: origin(), name: name.clone() });
            };
            if places.insert(parameter, (number, name.clone(), entry.clone())).is_some() {
                return Err(ExportError::Unexpected { origin: origin(), name: name.clone() });
            }
            if ElementType::from_name(&entry.dtype).is_none() {
                return Err(file.element_error(name, entry));
            }
        }
    }
    let head = (HEAD.to_owned(), parameters[0].1.clone());
    let has_own_head = config.tie_embeddings && places.contains_key(HEAD);
    let wanted: Vec<&(String, Vec<usize>)> = parameters.iter().chain(has_own_head.then_some(&head)).collect();
    for (name, expected) in &wanted {
        match places.get(name.as_str()) {
            None => {
                let (name, expected) = (name.clone(), expected.clone());
                return Err(ExportError::Missing { origin: origin.display().to_string(), name, expected });
            }
            Some((number, _, entry)) if entry.shape != *expected => {
                return Err(ExportError::Shape {
                    origin: files[*number].path.display().to_string(),
                    name: name.clone(),
                    found: entry.shape.clone(),
                    expected: expected.clone(),
                });
            }
            Some(_) => {}
        }
    }
    let mut weights = Vec::with_capacity(wanted.len());
    for (name, shape) in wanted {
        let mut bits = Buffer::new(shape.iter().product());
        if let Some((number, stored, entry)) = places.get(name.as_str()) {
            files[*number].read(stored, entry, &mut bits)?;
        }
        weights.push(bits);
    }
    if has_own_head {
        // The same numbers again, or an output layer of its own.
        match weights.last().map(|head| head[..] == weights[0][..]) {
            Some(false) => config.tie_embeddings = false,
            _ => drop(weights.pop()),
        }
    }
    Ok(weights)
}

/// The output layer.
const HEAD: &str = "lm_head.weight";
/// Memory of a tensor in an index, but for its name.
const PLACE_BYTES: usize = 80;
/// Memory of the name of a file.
const NAME_BYTES: usize = 128;
/// What wrappers set before the names of a model's tensors.
const WRAPPERS: [&str; 3] = ["_orig_mod.", "module.", "base_model.model."];

/// The parameter that a tensor of this name is: files of base models leave out `model.` before it, and wrappers set something before it.
pub(crate) fn canonical(name: &str, known: &BTreeSet<&str>) -> Option<String> {
    let mut bare = name;
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| bare.strip_prefix(wrapper)) {
        bare = rest;
    }
    let within = format!("model.{bare}");
    [bare, within.as_str()].into_iter().find(|name| known.contains(name)).map(str::to_owned)
}

/// Which file holds which tensor, by an index.
struct Places {
    files: Vec<String>,
    /// By tensor, the number of its file among `files`.
    tensors: BTreeMap<String, usize>,
}

impl Places {
    fn read(index: &[u8]) -> Result<Places, MemberError> {
        let mut map = None;
        members::<MemberError>(index, |key, value| {
            map = if key == "weight_map" { Some(value) } else { map };
            Ok(key == "weight_map")
        })?;
        let map = map.ok_or_else(|| serde_json::Error::custom("missing field `weight_map`"))?;
        let mut budget = Budget::new(index.len(), FLOOR_BYTES);
        let mut files = BTreeSet::new();
        members::<MemberError>(map, |_, name| {
            let name = sip_json::text(name)?;
            if !files.contains(&*name) {
                budget.take(NAME_BYTES + name.len())?;
                files.insert(name.into_owned());
            }
            Ok(true)
        })?;
        let files: Vec<String> = files.into_iter().collect();
        let mut tensors = BTreeMap::new();
        members::<MemberError>(map, |tensor, name| {
            budget.take(PLACE_BYTES + tensor.len())?;
            let name = sip_json::text(name)?;
            tensors.extend(
                files
                    .binary_search_by(|file| file.as_str().cmp(&name))
                    .ok()
                    .map(|number| (tensor.into_owned(), number)),
            );
            Ok(true)
        })?;
        Ok(Places { files, tensors })
    }
}

/// The files of weights in a folder, and the file that speaks for all of them.
fn open_weights(folder: &Path) -> Result<(PathBuf, Vec<WeightsFile>), ExportError> {
    let (single, path) = (folder.join(WEIGHTS_FILE), folder.join(INDEX_FILE));
    if let Some(error) = instead_of_model(folder) {
        return Err(error);
    }
    if single.exists() || !path.exists() {
        let file = WeightsFile::open(&single)?;
        return Ok((single, vec![file]));
    }
    let format_error = |reason: String| ExportError::Format { path: path.clone(), reason };
    let places = Places::read(&read_json(&path, JSON_LIMIT_BYTES)?).map_err(|error| format_error(error.to_string()))?;
    let names: Vec<&str> = places.files.iter().map(String::as_str).collect();
    // Files beside the index, and none elsewhere on the disk.
    let plain = |name: &str| name.ends_with(".safetensors") && !name.contains(['/', '\\']) && !name.starts_with('.');
    if let Some(name) = names.iter().find(|name| !plain(name)) {
        return Err(format_error(format!(
            "\"{}\" is not the name of a .safetensors file in the same folder",
            shown(name)
        )));
    }
    let mut files = Vec::with_capacity(names.len());
    let missing: Vec<&str> = names.iter().copied().filter(|name| !folder.join(name).exists()).collect();
    if let Some(first) = missing.first() {
        let (count, all) = (missing.len(), names.len());
        let what =
            format!("a model in {all} parts, of which {count} are missing ({first} is the first): fetch them as well");
        return Err(ExportError::SomethingElse { path: folder.to_owned(), what });
    }
    for (number, name) in names.into_iter().enumerate() {
        let file = WeightsFile::open(&folder.join(name))?;
        let placed = |tensor: &String| places.tensors.get(tensor) == Some(&number);
        if let Some(tensor) = file.table.entries.keys().find(|tensor| !placed(tensor)) {
            return Err(format_error(format!("it does not say that tensor {} is in {name}, but it is", shown(tensor))));
        }
        files.push(file);
    }
    Ok((path, files))
}

/// The tensors in the order of the forward pass, if they are the parameters of the model.
fn check_tensors<'a>(
    config: &LlamaConfig,
    tensors: &[TensorRef<'a>],
    element: ElementType,
) -> Result<Vec<TensorRef<'a>>, ExportError> {
    if element == ElementType::F16 {
        return Err(crate::config::config_error(
            "element",
            "is F16, but weights are written as F32 or BF16".to_owned(),
        ));
    }
    let origin = || "model".to_owned();
    let mut given = BTreeMap::new();
    for tensor in tensors {
        if given.insert(tensor.name, *tensor).is_some() {
            return Err(ExportError::Unexpected { origin: origin(), name: tensor.name.to_owned() });
        }
    }
    let mut ordered = Vec::with_capacity(tensors.len());
    for (name, expected) in config.parameters() {
        let Some(tensor) = given.remove(name.as_str()) else {
            return Err(ExportError::Missing { origin: origin(), name, expected });
        };
        if tensor.shape != expected {
            return Err(ExportError::Shape { origin: origin(), name, found: tensor.shape.to_vec(), expected });
        }
        let length = expected.iter().product();
        if tensor.data.len() != length {
            return Err(ExportError::Length { name, shape: expected, found: tensor.data.len(), expected: length });
        }
        let part = Widened { origin: "model", name: &name, range: 0..length };
        match element {
            // A value beyond the largest bfloat16 would become infinite.
            ElementType::Bf16 => {
                check_finite(&part, tensor.data.iter().map(|&value| u32::from(f32_to_bf16(value)) << 16))?;
            }
            _ => check_finite(&part, tensor.data.iter().map(|value| value.to_bits()))?,
        }
        ordered.push(tensor);
    }
    match given.into_keys().next() {
        Some(name) => Err(ExportError::Unexpected { origin: origin(), name: name.to_owned() }),
        None => Ok(ordered),
    }
}

fn tensor_bytes(tensor: &TensorRef<'_>, element: ElementType) -> u64 {
    (tensor.data.len() * element.size_bytes()) as u64
}

/// Consecutive tensors, as many to a file as fit.
fn split<'a, 'b>(tensors: &'b [TensorRef<'a>], options: SaveOptions) -> Vec<&'b [TensorRef<'a>]> {
    let mut files = Vec::new();
    let (mut start, mut bytes) = (0, 0u64);
    for (at, tensor) in tensors.iter().enumerate() {
        let more = tensor_bytes(tensor, options.element);
        if at > start && bytes + more > options.file_bytes_max {
            files.push(&tensors[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += more;
    }
    files.push(&tensors[start..]);
    files
}

fn file_name(number: usize, count: usize) -> String {
    match count {
        1 => WEIGHTS_FILE.to_owned(),
        _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
    }
}

/// Whether a name is one that [`file_name`] gives to a file of several.
pub(super) fn is_part(name: &str) -> bool {
    let numbers = name.strip_prefix("model-").and_then(|rest| rest.strip_suffix(".safetensors")?.split_once("-of-"));
    let is_number = |text: &str| text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(number, count)| is_number(number) && is_number(count))
}

/// Writes a file that does not have its name yet.
pub(super) fn stage(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<Staged, ExportError> {
    let staged = Staged::write(path, |temporary| {
        let mut out = BufWriter::new(File::create(temporary)?);
        write(&mut out)?;
        out.flush()
    });
    staged.map_err(|source| ExportError::Io { path: path.to_owned(), source })
}

fn stage_json(path: &Path, value: &impl Serialize) -> Result<Staged, ExportError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bytes = json_bytes(&name, value)?;
    stage(path, |out| out.write_all(&bytes))
}

fn json_bytes(name: &str, value: &impl Serialize) -> Result<Vec<u8>, ExportError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| ExportError::Format { path: name.into(), reason: error.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}
