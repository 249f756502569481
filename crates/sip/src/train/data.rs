//! From texts to tokens by domain.

use anyhow::{Context, Result, bail, ensure};
use sip_data::corpus::{texts_in, unique_name};
use sip_data::{Corpus, DOMAINS_MAX, Domain, DomainTokens, Mixture, TokenBlob, sampler};
use sip_model::tokenizer::DOCUMENT_TOKEN;
use sip_proof::Hash;
use std::path::{Path, PathBuf};

use crate::progress::Progress;

/// The built-in texts with these names, then the files; a folder is one text, its `.txt` files in the order of their names
/// with the document token between them.
pub(crate) fn texts(builtin: &[&str], files: &[PathBuf], max_bytes: usize) -> Result<Vec<Domain>> {
    let mut texts: Vec<Domain> = Vec::new();
    if !builtin.is_empty() {
        let corpus = Corpus::shipped(max_bytes)?;
        for name in builtin {
            let domain = corpus.domains().iter().find(|domain| domain.name == *name);
            let domain = domain.with_context(|| format!("there is no built-in text {name}"))?;
            texts.push(domain.clone());
        }
    }
    for path in files {
        let text = if path.is_dir() { folder(path, max_bytes)? } else { file(path, max_bytes)? };
        let name = unique_name(path, &|name| texts.iter().any(|text| text.name == name));
        texts.push(Domain { name, text });
    }
    ensure!(!texts.is_empty(), "there is no text to train on");
    ensure!(
        texts.len() <= DOMAINS_MAX,
        "there are {} texts, expected at most {DOMAINS_MAX}: put files that belong together into one folder, which is one text",
        texts.len()
    );
    Ok(texts)
}

fn file(path: &Path, max_bytes: usize) -> Result<String> {
    let corpus = Corpus::read(&[path.to_owned()], max_bytes)?;
    Ok(corpus.domains().iter().map(|domain| domain.text.as_str()).collect())
}

fn folder(path: &Path, max_bytes: usize) -> Result<String> {
    let mut text = String::new();
    for path in texts_in(path)? {
        let room = max_bytes.saturating_sub(text.len());
        if room == 0 {
            break;
        }
        if !text.is_empty() {
            text += DOCUMENT_TOKEN;
        }
        text += &file(&path, room)?;
    }
    Ok(text)
}

/// Encodes texts and sets the end of each aside.
pub(crate) fn tokens(
    texts: Vec<Domain>,
    encode: &dyn Fn(&str) -> Result<Vec<u32>>,
    sequence: usize,
    progress: Progress,
) -> Result<Vec<DomainTokens>> {
    let mut domains = Vec::new();
    for Domain { name, text } in texts {
        let parts = DomainTokens::split(&name, encode(&text)?, sequence)?;
        let (train, held_out) = (parts.train.token_count(), parts.heldout.token_count());
        progress.line(&format!(
            "{name:<12} {train:>9} tokens to train on, {held_out:>7} held out, {:.2} characters per token",
            text.chars().count() as f64 / (train + held_out) as f64
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
        let names: Vec<String> = texts(&[], &files, 100).unwrap().into_iter().map(|text| text.name).collect();
        assert_eq!(names, ["a", "a-2", "a-3", "a-2-2"]);
    }

    #[test]
    fn a_folder_is_one_text_and_too_many_texts_are_refused() {
        let scratch = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a.txt", "c.md"] {
            std::fs::write(scratch.path().join(name), name).unwrap();
        }
        let found = texts(&[], &[scratch.path().to_owned()], 1000).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "a.txt<|document|>b.txt");
        let many = vec![scratch.path().join("a.txt"); 9];
        assert!(
            texts(&[], &many, 1000).err().unwrap().to_string().starts_with("there are 9 texts, expected at most 8")
        );
        assert!(texts(&[], &[scratch.path().join("none.txt")], 1000).is_err());
        let empty = scratch.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        assert!(texts(&[], &[empty], 1000).err().unwrap().to_string().ends_with("holds no .txt file"));
    }
}
