//! Token ids under their content address.

use std::fs;
use std::path::Path;

use crate::DataError;
use crate::files::write_atomically;

/// Token ids, named by the BLAKE3 hash of their little-endian `u32` bytes.
///
/// The file of a blob is exactly those bytes, so the root addresses the file as well, and one token of it can be
/// opened by a BLAKE3 path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBlob {
    tokens: Vec<u32>,
    root: blake3::Hash,
}

impl TokenBlob {
    /// Names the tokens.
    pub fn new(tokens: Vec<u32>) -> Self {
        let root = blake3::hash(&little_endian(&tokens));
        TokenBlob { tokens, root }
    }

    /// BLAKE3 of the tokens' bytes.
    pub fn root(&self) -> [u8; 32] {
        *self.root.as_bytes()
    }

    /// The token ids.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Number of tokens, as committed on chain.
    pub fn token_count(&self) -> u64 {
        self.tokens.len() as u64
    }

    /// Writes the tokens to `path`, whole or not at all.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), DataError> {
        write_atomically(path, |temporary| fs::write(temporary, little_endian(&self.tokens)))
            .map_err(|source| DataError::Io { path: path.to_owned(), source })
    }

    /// Reads the tokens at `path`, which must be those of `root`.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::BlobLength`] and [`DataError::BlobRoot`].
    pub fn load(path: &Path, root: &[u8; 32]) -> Result<Self, DataError> {
        let bytes = fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
        let (words, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(DataError::BlobLength { path: path.to_owned(), bytes: bytes.len() });
        }
        let (found, expected) = (blake3::hash(&bytes), blake3::Hash::from_bytes(*root));
        if found != expected {
            return Err(DataError::BlobRoot { path: path.to_owned(), found, expected });
        }
        Ok(TokenBlob { tokens: words.iter().map(|&word| u32::from_le_bytes(word)).collect(), root: found })
    }
}

/// The bytes that a root is taken of.
pub(crate) fn little_endian(tokens: &[u32]) -> Vec<u8> {
    tokens.iter().flat_map(|token| token.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_blake3_of_the_little_endian_bytes() {
        let blob = TokenBlob::new(vec![1, 0x0203_0405]);
        assert_eq!(blob.root(), *blake3::hash(&[1, 0, 0, 0, 5, 4, 3, 2]).as_bytes());
        assert_eq!(blob.token_count(), 2);
        assert_eq!(TokenBlob::new(Vec::new()).root(), *blake3::hash(&[]).as_bytes());
    }

    #[test]
    fn a_blob_comes_back_from_disk_only_under_its_own_root() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.bin");
        let blob = TokenBlob::new((0..1000).map(|index| index * index).collect());
        blob.save(&path).unwrap();
        assert_eq!(TokenBlob::load(&path, &blob.root()).unwrap(), blob);
        assert!(matches!(TokenBlob::load(&path, &[7; 32]), Err(DataError::BlobRoot { .. })));

        let mut bytes = fs::read(&path).unwrap();
        bytes[17] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(TokenBlob::load(&path, &blob.root()), Err(DataError::BlobRoot { .. })));
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = TokenBlob::load(&path, &blob.root()).unwrap_err();
        assert!(matches!(error, DataError::BlobLength { bytes: 3999, .. }), "{error}");
        assert!(matches!(TokenBlob::load(folder.path(), &blob.root()), Err(DataError::Io { .. })));
    }
}
