//! The two kinds of models that tokenizers have here, as one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tokenizers::models::bpe::BpeTrainer;
use tokenizers::{Model, Token};

use super::bpe::{Bpe, Tables};
use super::table::Vocabulary;
use super::unigram::{Scored, Unigram};

/// What a file says of a model, before it is one.
pub(crate) enum Pieces {
    /// Neighbours are merged.
    Merged(Tables),
    /// The likeliest tokens are chosen.
    Scored(Scored),
}

/// How a piece of a text becomes tokens.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum AnyModel {
    Bpe(Bpe),
    Unigram(Unigram),
}

impl From<Pieces> for AnyModel {
    fn from(pieces: Pieces) -> AnyModel {
        match pieces {
            Pieces::Merged(tables) => AnyModel::Bpe(Bpe::new(tables)),
            Pieces::Scored(scored) => AnyModel::Unigram(Unigram::new(scored)),
        }
    }
}

impl AnyModel {
    pub(super) fn vocabulary(&self) -> &Vocabulary {
        match self {
            AnyModel::Bpe(model) => model.vocabulary(),
            AnyModel::Unigram(model) => model.vocabulary(),
        }
    }
}

impl Model for AnyModel {
    type Trainer = BpeTrainer;

    fn tokenize(&self, piece: &str) -> tokenizers::Result<Vec<Token>> {
        match self {
            AnyModel::Bpe(model) => model.tokenize(piece),
            AnyModel::Unigram(model) => model.tokenize(piece),
        }
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.vocabulary().id(token)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.vocabulary().token(id).map(str::to_owned)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.vocabulary().iter().map(|(token, id)| (token.to_owned(), id)).collect()
    }

    fn get_vocab_size(&self) -> usize {
        self.vocabulary().len()
    }

    fn save(&self, _: &Path, _: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        Err("a vocabulary is saved within tokenizer.json".into())
    }

    fn get_trainer(&self) -> BpeTrainer {
        BpeTrainer::default()
    }
}
