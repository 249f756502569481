//! What exit codes and error codes say.

/// What was checked is not what was claimed.
pub(crate) const NOT_VERIFIED: u8 = 3;
