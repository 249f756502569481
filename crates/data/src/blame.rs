//! Errors that say what is to blame: the words of a command, or a file that is not there.

/// The words of a command are wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongWords(pub String);

/// A file or folder that was named is not there, or does not hold what was looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);
