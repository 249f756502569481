//! The units of amounts.

/// Decimals of the token.
pub const DECIMALS: u8 = 9;
/// Base units of one token.
pub const TOKEN: u64 = 1_000_000_000;
/// Base units that are minted, once: 10⁹ tokens.
pub const CAP: u64 = 1_000_000_000 * TOKEN;
