//! Text to tokens to committed shards, and the deterministic sampler of batches.
//!
//! The way of the text: [`corpus`] reads one text per domain, a tokenizer (of another crate) turns each text into
//! token ids, [`blob`] names ids by their BLAKE3 root and [`split`] sets the end of each text aside as held-out,
//! [`sampler`] says for every round seed, trainer, step and row which window of which domain is trained on.
//! [`files`] keeps what is on disk whole.

pub mod blob;
pub mod corpus;
mod error;
pub mod files;
pub mod sampler;
pub mod split;

pub use blob::TokenBlob;
pub use corpus::{Corpus, Domain};
pub use error::DataError;
pub use sampler::{Location, Mixture, batch, batch_root, locate};
pub use split::{DomainTokens, heldout_batch, heldout_batches};

/// Domains of a job at most: the mixture of a round has this many places.
pub const DOMAINS_MAX: usize = 8;
