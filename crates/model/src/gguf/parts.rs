//! Models that are in several `.gguf` files, each with tables of its own: NAME-00001-of-00003.gguf and so on.

use super::*;

/// Files of a model at most.
const PARTS_MAX: u64 = 1 << 10;

impl Gguf<'_> {
    /// Opens a file, and with it the other parts of its model.
    pub(super) fn open(path: &Path) -> Result<Gguf<'_>, ExportError> {
        let (part, container) = open_part(path)?;
        let number = |container: &Container, key: &str| container.metadata.get(key).and_then(Value::as_u64);
        let (count, no) = (number(&container, "split.count").unwrap_or(1), number(&container, "split.no").unwrap_or(0));
        if count <= 1 {
            return Ok(Gguf { path, container, parts: vec![part], places: BTreeMap::new() });
        }
        let other = |what: String| ExportError::SomethingElse { path: path.to_owned(), what };
        let this = format!("part {} of {count}", no + 1);
        if count > PARTS_MAX || no >= count {
            return Err(other(format!("{this}, which cannot be")));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let tail = format!("-{:05}-of-{count:05}.gguf", no + 1);
        let Some(stem) = name.strip_suffix(&tail) else {
            return Err(other(format!(
                "{this} of a model, but its name does not end with {tail}, so the others are not found: rename it"
            )));
        };
        let name_of = |no: u64| format!("{stem}-{:05}-of-{count:05}.gguf", no + 1);
        let missing: Vec<String> =
            (0..count).map(name_of).filter(|name| !path.with_file_name(name).is_file()).collect();
        if !missing.is_empty() {
            let list = missing[..missing.len().min(4)].join(", ");
            return Err(other(format!(
                "{this} of a model; missing beside it: {list}: fetch all parts into one folder"
            )));
        }
        let (mut parts, mut places, mut tensors) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut first = None;
        for no in 0..count {
            let path = path.with_file_name(name_of(no));
            let (part, mut container) = open_part(&path)?;
            if (number(&container, "split.count"), number(&container, "split.no")) != (Some(count), Some(no)) {
                let what = format!("not part {} of {count}, as its name says: the parts are not of one model", no + 1);
                return Err(ExportError::SomethingElse { path, what });
            }
            for (name, info) in std::mem::take(&mut container.tensors) {
                if tensors.insert(name.clone(), info).is_some() {
                    return Err(ExportError::Unexpected { origin: path.display().to_string(), name });
                }
                places.insert(name, parts.len());
            }
            parts.push(part);
            first = first.or(Some(container));
        }
        let mut container = first.unwrap_or(container);
        container.tensors = tensors;
        Ok(Gguf { path, container, parts, places })
    }
}

fn open_part(path: &Path) -> Result<(Part, Container), ExportError> {
    let io_error = |source| ExportError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io_error)?;
    let size_bytes = file.metadata().map_err(io_error)?.len();
    let container = Container::read(BufReader::with_capacity(PART_BYTES, &file), size_bytes)
        .map_err(|reason| ExportError::Format { path: path.to_owned(), reason })?;
    Ok((Part { path: path.to_owned(), file, data_start: container.data_start }, container))
}
