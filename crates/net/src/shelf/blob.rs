//! A blob that lies on a shelf, whole or in part, as what it is opened and read from.

use super::{Part, Shelf, ShelfError};
use crate::Hash;
use crate::files::read_at;
use crate::tree::{Geometry, Node};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Where bytes and values of a blob are read.
#[derive(Debug)]
pub(crate) struct Source {
    pub root: Hash,
    pub geometry: Geometry,
    files: Files,
}

#[derive(Debug)]
enum Files {
    Whole { data: File, tree: Option<File> },
    Part(Arc<Part>, Arc<super::part::Files>),
}

impl Shelf {
    /// A blob, if anything of it is here. It stays readable when it is forgotten meanwhile.
    pub(crate) fn source(&self, root: &Hash) -> Result<Option<Source>, ShelfError> {
        let state = self.state();
        if let Some(part) = state.parts.get(root) {
            let files = part.files().map_err(self.io())?;
            return Ok(Some(Source { root: *root, geometry: part.geometry, files: Files::Part(part.clone(), files) }));
        }
        let Some(geometry) = state.blobs.get(root).and_then(|bytes| Geometry::new(*bytes)) else { return Ok(None) };
        let path = self.file("blobs", root);
        let data = File::open(&path).map_err(ShelfError::io(&path))?;
        let path = path.with_extension("tree");
        let tree = match geometry.groups {
            1 => None,
            _ => Some(File::open(&path).map_err(ShelfError::io(&path))?),
        };
        Ok(Some(Source { root: *root, geometry, files: Files::Whole { data, tree } }))
    }
}

impl Source {
    /// Whether all of these groups are here.
    pub(crate) fn has(&self, range: &Range<u32>) -> bool {
        match &self.files {
            Files::Whole { .. } => range.end <= self.geometry.groups,
            Files::Part(part, _) => range.end <= self.geometry.groups && part.has(range),
        }
    }

    /// Values in the tree's file from the first on.
    fn values(&self, first: u64, values: &mut [Hash]) -> io::Result<()> {
        match &self.files {
            Files::Whole { tree: Some(tree), .. } => read_at(tree, values.as_flattened_mut(), first * 32),
            Files::Whole { tree: None, .. } => Ok(()),
            Files::Part(_, files) => files.values(first, values),
        }
    }

    pub(crate) fn read(&self, content: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.files {
            Files::Whole { data, .. } => read_at(data, content, offset),
            Files::Part(_, files) => files.read(content, offset),
        }
    }

    /// What opens a frame, one value after the other; `None` where the values that lie here do not add up to the root.
    pub(crate) fn opening(&self, frame: &Range<u32>) -> io::Result<Option<Vec<u8>>> {
        if self.geometry.groups == 1 {
            return Ok(Some(Vec::new()));
        }
        let mut values = vec![[0; 32]; frame.len()];
        self.values(self.geometry.place(Node { start: frame.start, len: 1 }), &mut values)?;
        let mut around = Vec::new();
        let mut failure = None;
        let mut outside = |node: Node| {
            let mut value = [[0; 32]];
            match self.values(self.geometry.place(node), &mut value) {
                Ok(()) => around.extend_from_slice(&value[0]),
                Err(error) => failure = Some(error),
            }
            Some(value[0])
        };
        let root = self.geometry.fold(frame, &values, &mut outside, &mut |_, _| {});
        match failure {
            Some(error) => Err(error),
            None => Ok((root == Some(self.root)).then_some(around)),
        }
    }

    /// Values of all groups as they were written; `None` if they do not add up to the root.
    pub(crate) fn written_groups(&self) -> io::Result<Option<Vec<Hash>>> {
        let mut values = vec![[0; 32]; self.geometry.groups as usize];
        self.values(0, &mut values)?;
        let root = self.geometry.fold(&self.geometry.all(), &values, &mut |_| None, &mut |_, _| {});
        Ok((root == Some(self.root)).then_some(values))
    }
}
