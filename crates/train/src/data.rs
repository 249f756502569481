//! From texts to tokens by domain.

use anyhow::{Context, Result, bail, ensure};
use sip_data::corpus::unique_name;
use sip_data::read::{Found, read_all};
use sip_data::{Corpus, DOMAINS_MAX, DataError, Documents, DomainTokens, Mixture, TokenBlob, sampler};
use sip_model::tokenizer::{SpecialTokens, Tokenizer};
use sip_proof::Hash;
use std::path::{Path, PathBuf};

use sip_report::Progress;

/// A text to learn from: documents that follow each other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    pub name: String,
    pub documents: Documents,
}

/// The built-in texts with these names, then the files; a folder is one text, the files in it and below it in the order of their paths.
pub(crate) fn texts(builtin: &[&str], files: &[PathBuf], max_bytes: usize, progress: Progress) -> Result<Vec<Text>> {
    let mut texts: Vec<Text> = Vec::new();
    if !builtin.is_empty() {
        let corpus = Corpus::shipped(max_bytes)?;
        for name in builtin {
            let domain = corpus.domains().iter().find(|domain| domain.name == *name);
            let domain = domain.with_context(|| format!("there is no built-in text {name}"))?;
            texts.push(Text { name: domain.name.clone(), documents: Documents::from(domain.text.clone()) });
        }
    }
    let mut found = Vec::new();
    for (path, file) in files.iter().zip(all_of(files, max_bytes, progress)?) {
        let name = unique_name(path, &|name| texts.iter().chain(&found).any(|text: &Text| text.name == name));
        found.push(Text { name, documents: documents(path, file, max_bytes, progress)? });
    }
    texts.extend(found);
    ensure!(!texts.is_empty(), "there is no text to train on");
    ensure!(
        texts.len() <= DOMAINS_MAX,
        "there are {} texts, expected at most {DOMAINS_MAX}: put files that belong together into one folder, which is one text",
        texts.len()
    );
    Ok(texts)
}

/// What is at every path; all that is bad is said at once, and so is what was skipped or cut.
///
/// # Errors
/// All that cannot be read.
pub fn all_of(paths: &[PathBuf], max_bytes: usize, progress: Progress) -> Result<Vec<Found>> {
    let (mut all, mut bad) = (Vec::new(), Vec::new());
    for path in paths {
        match read_all(path, max_bytes) {
            Ok(found) => all.push(found),
            Err(DataError::Several(errors)) => bad.extend(errors),
            Err(error) => bad.push(error),
        }
    }
    match bad.len() {
        0 => {}
        1 => return Err(bad.remove(0).into()),
        _ => return Err(DataError::Several(bad).into()),
    }
    all.iter().flat_map(|found| &found.notes).for_each(|note| progress.line(note));
    Ok(all)
}

/// The documents of a file or folder, the first `max_bytes` of all.
fn documents(path: &Path, found: Found, max_bytes: usize, progress: Progress) -> Result<Documents> {
    let (mut all, mut room, mut is_cut) = (Documents::default(), max_bytes, false);
    for (file, content) in found.files {
        for document in content.documents(&file)?.iter() {
            is_cut |= document.len() > room;
            let document = &document[..document.floor_char_boundary(room)];
            room -= document.len();
            if !document.is_empty() {
                all.push(document);
            }
        }
    }
    if is_cut {
        progress.line(&format!("{} is cut: its first {max_bytes} bytes are used", path.display()));
    }
    ensure!(!all.is_empty(), "{} holds no text", path.display());
    Ok(all)
}

/// Documents as tokens, one behind the other: before each what begins a text, and between them what ends one.
pub(crate) fn joined(tokenizer: &Tokenizer, special: &SpecialTokens, documents: &Documents) -> Result<Vec<u32>> {
    let end = special.end.first();
    ensure!(
        documents.len() < 2 || end.is_some(),
        "the model's files name no token that ends a text, so nothing can stand between documents: give every document as a text of \
         its own, or name an eos_token in tokenizer_config.json"
    );
    let mut tokens: Vec<u32> = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        tokens.extend(end.filter(|_| number > 0));
        // One token may be both.
        tokens.extend(special.begin.filter(|begin| number == 0 || tokens.last() != Some(begin)));
        tokens.extend(tokenizer.encode(document)?);
    }
    Ok(tokens)
}

/// Encodes texts and sets the end of each aside.
pub(crate) fn tokens(
    texts: Vec<Text>,
    tokenizer: &Tokenizer,
    special: &SpecialTokens,
    sequence: usize,
    progress: Progress,
) -> Result<Vec<DomainTokens>> {
    let mut domains = Vec::new();
    for Text { name, documents } in texts {
        let parts = DomainTokens::split(&name, joined(tokenizer, special, &documents)?, sequence)?;
        let (train, held_out) = (parts.train.token_count(), parts.heldout.token_count());
        let characters: usize = documents.iter().map(|document| document.chars().count()).sum();
        progress.line(&format!(
            "{name:<12} {train:>9} tokens to train on, {held_out:>7} held out, {:.2} characters per token",
            characters as f64 / (train + held_out) as f64
        ));
        domains.push(parts);
    }
    Ok(domains)
}

/// Shares as a mixture; equal if there are none.
pub(crate) fn mixture(weights: &[f64], domains: usize) -> Result<Mixture> {
    if weights.is_empty() {
        return Ok(Mixture::uniform(domains)?);
    }
    ensure!(
        weights.len() == domains,
        "data.weights has {} numbers, but there are {domains} texts: give one for each, built-in ones first",
        weights.len()
    );
    let sum: f64 = weights.iter().sum();
    if weights.iter().any(|weight| !(0.0..=1e9).contains(weight)) || sum <= 0.0 {
        bail!("data.weights is {weights:?}, expected numbers of 0 or more, not all 0");
    }
    // Cumulative shares rounded to basis points sum to 10000 exactly.
    let mut before = (0.0, 0u16);
    let mut shares = Vec::new();
    for weight in weights {
        let cumulative = before.0 + weight;
        let points = (cumulative / sum * f64::from(sampler::MIXTURE_SUM_BPS)).round() as u16;
        shares.push(points - before.1);
        before = (cumulative, points);
    }
    Ok(Mixture::new(&shares)?)
}

/// The seed of the sampler.
pub(crate) fn sampler_seed(seed: u64) -> Hash {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

/// Draws windows by the protocol's rule, as the first trainer of a round would.
pub(crate) struct Windows {
    pub seed: u64,
    pub rows: u32,
    pub sequence: u32,
    pub mixture: Mixture,
    pub domains: Vec<TokenBlob>,
}

impl Windows {
    /// The batch of a step: `rows` windows of `sequence` + 1 tokens.
    pub(crate) fn batch(&self, step: u32) -> Result<Vec<u32>> {
        let domains: Vec<&TokenBlob> = self.domains.iter().collect();
        let seed = sampler_seed(self.seed);
        Ok(sampler::batch(&seed, 0, step, self.rows, &self.mixture, &domains, self.sequence)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_become_basis_points_that_sum_to_the_whole() {
        assert_eq!(mixture(&[], 3).unwrap().weights_bps(), [3334, 3333, 3333]);
        assert_eq!(mixture(&[1.0, 1.0, 1.0], 3).unwrap().weights_bps(), [3333, 3334, 3333]);
        assert_eq!(mixture(&[0.0, 2.0], 2).unwrap().weights_bps(), [0, 10_000]);
        for bad in [&[1.0][..], &[0.0, 0.0], &[-1.0, 2.0], &[f64::NAN, 1.0], &[f64::INFINITY, 1.0]] {
            assert!(mixture(bad, 2).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_text_has_a_name_of_its_own() {
        let scratch = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> =
            ["x/a.txt", "y/a.txt", "z/a.txt", "a-2.txt"].map(|name| scratch.path().join(name)).into();
        for file in &files {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "text").unwrap();
        }
        let names: Vec<String> =
            texts(&[], &files, 100, Progress::new(true)).unwrap().into_iter().map(|text| text.name).collect();
        assert_eq!(names, ["a", "a-2", "a-3", "a-2-2"]);
    }

    #[test]
    fn a_folder_is_one_text_and_too_many_texts_are_refused() {
        let scratch = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a.txt", "c.md"] {
            std::fs::write(scratch.path().join(name), name).unwrap();
        }
        let found = texts(&[], &[scratch.path().to_owned()], 1000, Progress::new(true)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].documents.iter().collect::<Vec<_>>(), ["a.txt", "b.txt", "c.md"]);
        let many = vec![scratch.path().join("a.txt"); 9];
        assert!(
            texts(&[], &many, 1000, Progress::new(true))
                .err()
                .unwrap()
                .to_string()
                .starts_with("there are 9 texts, expected at most 8")
        );
        assert!(texts(&[], &[scratch.path().join("none.txt")], 1000, Progress::new(true)).is_err());
        let empty = scratch.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        assert!(texts(&[], &[empty], 1000, Progress::new(true)).err().unwrap().to_string().ends_with("holds no text"));
    }
}
