//! The files of a tokenizer in a folder.

use std::fs;
use std::path::Path;

use sip_data::files::{Staged, commit_together};

use super::{SPECIAL_TOKENS_FILE, SpecialTokens, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, Tokenizer, TokenizerError};
use crate::export::CHAT_TEMPLATE_FILE;

/// A `tokenizer.json` is read up to this size.
const FILE_LIMIT_BYTES: u64 = 256 << 20;

impl Tokenizer {
    /// Writes the three files that `transformers.AutoTokenizer.from_pretrained(folder)` reads into `folder` (created
    /// when missing). `max_seq_len` is the longest sequence of the model, in tokens.
    ///
    /// # Errors
    /// [`TokenizerError::Io`].
    pub fn save(&self, folder: &Path, max_seq_len: usize) -> Result<(), TokenizerError> {
        self.save_with(folder, max_seq_len, &SpecialTokens::document(), None)
    }

    /// As [`Tokenizer::save`], with the special tokens and the chat template (in Jinja) of a model from elsewhere.
    ///
    /// # Errors
    /// [`TokenizerError::Io`].
    pub fn save_with(
        &self,
        folder: &Path,
        max_seq_len: usize,
        special: &SpecialTokens,
        chat_template: Option<&str>,
    ) -> Result<(), TokenizerError> {
        let staged = self.stage_with(folder, max_seq_len, special, chat_template)?;
        commit_together(&[folder.join(CHAT_TEMPLATE_FILE)], staged)
            .map_err(|(path, source)| TokenizerError::Io { path, source })
    }

    /// The files of [`Tokenizer::save_with`], on the disk but without their names; `tokenizer.json` is the last.
    pub(crate) fn stage_with(
        &self,
        folder: &Path,
        max_seq_len: usize,
        special: &SpecialTokens,
        chat_template: Option<&str>,
    ) -> Result<Vec<Staged>, TokenizerError> {
        fs::create_dir_all(folder).map_err(|source| TokenizerError::Io { path: folder.to_owned(), source })?;
        let mut special_tokens = serde_json::Map::new();
        for (role, id) in [("bos_token", special.bos), ("eos_token", special.end.first().copied())] {
            if let Some(token) = id.and_then(|id| self.token(id)) {
                special_tokens.insert(role.to_owned(), token.into());
            }
        }
        let mut config = special_tokens.clone();
        config.insert("tokenizer_class".to_owned(), "PreTrainedTokenizerFast".into());
        config.insert("model_max_length".to_owned(), max_seq_len.into());
        config.insert("clean_up_tokenization_spaces".to_owned(), false.into());
        if let Some(template) = chat_template {
            config.insert("chat_template".to_owned(), template.into());
        }
        let files = [
            (SPECIAL_TOKENS_FILE, format!("{:#}\n", serde_json::Value::Object(special_tokens))),
            (TOKENIZER_CONFIG_FILE, format!("{:#}\n", serde_json::Value::Object(config))),
            (TOKENIZER_FILE, self.to_json()?),
        ];
        let stage = |(name, text): (&str, String)| {
            let path = folder.join(name);
            Staged::write(&path, |temporary| fs::write(temporary, &text))
                .map_err(|source| TokenizerError::Io { path, source })
        };
        files.into_iter().map(stage).collect()
    }

    /// Reads the tokenizer in `folder`.
    ///
    /// # Errors
    /// [`TokenizerError::Io`], and [`TokenizerError::File`] with those of [`Tokenizer::from_json`].
    pub fn load(folder: &Path) -> Result<Self, TokenizerError> {
        let path = folder.join(TOKENIZER_FILE);
        let io_error = |source| TokenizerError::Io { path: path.clone(), source };
        let file_error = |error| TokenizerError::File { path: path.clone(), source: Box::new(error) };
        let size_bytes = fs::metadata(&path).map_err(io_error)?.len();
        if size_bytes > FILE_LIMIT_BYTES {
            let reason = format!("{size_bytes} bytes, expected at most {FILE_LIMIT_BYTES}");
            return Err(file_error(TokenizerError::Format(reason)));
        }
        Self::from_json(&fs::read(&path).map_err(io_error)?).map_err(file_error)
    }
}
