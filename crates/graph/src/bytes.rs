//! A graph as bytes, for those who get it from somebody else.
//!
//! ```text
//! nodes u32, then per node:            length u32 · the node's canonical bytes (`sip_ops::Node`)
//! state outputs u32, then per entry:   node u32
//! results u32, then per result:        name length u8 · name (UTF-8) · node u32
//! ```
//! All integers are little-endian. The bytes are the only ones for their graph.

use crate::graph::{Graph, GraphError, MAX_NODES};
use sip_ops::NodeSpec;

/// What is left of the bytes, and where that starts.
struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, reason: String) -> Result<T, GraphError> {
        Err(GraphError::Bytes { at: self.at, reason })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], GraphError> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return self.fail(format!("{len} bytes should follow, but {} do", self.rest.len()));
        };
        (self.rest, self.at) = (rest, self.at + len);
        Ok(taken)
    }

    fn word(&mut self) -> Result<u32, GraphError> {
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(word))
    }

    /// A number of things of at least `least` bytes each, so that there is never room for more than there are bytes.
    fn count(&mut self, what: &str, least: usize) -> Result<usize, GraphError> {
        let at = self.at;
        let count = self.word()? as usize;
        if count > self.rest.len() / least {
            let reason = format!("{count} {what} do not fit into {} bytes", self.rest.len());
            return Err(GraphError::Bytes { at, reason });
        }
        Ok(count)
    }
}

impl Graph {
    /// The bytes, from which [`Graph::from_bytes`] reads the graph.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let word = |bytes: &mut Vec<u8>, value: usize| bytes.extend((value as u32).to_le_bytes());
        word(&mut bytes, self.nodes().len());
        for spec in self.nodes() {
            let node = spec.encode();
            word(&mut bytes, node.len());
            bytes.extend(node);
        }
        word(&mut bytes, self.state_outputs().len());
        for &node in self.state_outputs() {
            word(&mut bytes, node as usize);
        }
        word(&mut bytes, self.results().len());
        for (name, node) in self.results() {
            // At most 255, as `Graph::new` checks.
            bytes.push(name.len() as u8);
            bytes.extend(name.as_bytes());
            word(&mut bytes, *node as usize);
        }
        bytes
    }

    /// Reads a graph that anybody may have written, and checks it as [`Graph::new`] does.
    ///
    /// # Errors
    /// [`GraphError::Bytes`] where the bytes are no graph, and whatever [`Graph::new`] finds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Graph, GraphError> {
        let mut reader = Reader { rest: bytes, at: 0 };
        // A node has at least its length and its header.
        let mut nodes = Vec::new();
        let count = reader.count("nodes", 20)?;
        if count > MAX_NODES {
            return Err(GraphError::Size { nodes: count });
        }
        for _ in 0..count {
            let len = reader.word()? as usize;
            let at = reader.at;
            let node = NodeSpec::decode(reader.take(len)?);
            nodes.push(node.map_err(|error| GraphError::Bytes { at, reason: error.0.into() })?);
        }
        let entries = reader.count("state outputs", 4)?;
        let state_outputs = (0..entries).map(|_| reader.word()).collect::<Result<Vec<u32>, GraphError>>()?;
        let mut results = Vec::new();
        for _ in 0..reader.count("results", 5)? {
            let len = reader.take(1)?[0] as usize;
            let at = reader.at;
            let Ok(name) = std::str::from_utf8(reader.take(len)?) else {
                return Err(GraphError::Bytes { at, reason: "a name is not UTF-8".into() });
            };
            results.push((name.to_string(), reader.word()?));
        }
        if !reader.rest.is_empty() {
            return reader.fail(format!("{} bytes follow the graph", reader.rest.len()));
        }
        Graph::new(nodes, state_outputs, results)
    }
}
