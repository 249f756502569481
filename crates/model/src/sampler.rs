//! Drawing tokens from logits: the same seed and logits give the same tokens on every machine.
//!
//! Only exact comparisons and IEEE operations in a fixed order decide; the exponential is the operators' own.

use crate::init::next_random;
use sip_arith::{Native, order_key};
use std::cmp::Reverse;

/// How the next token is drawn. The steps follow each other in this order, as in `transformers`: repetition penalty, temperature,
/// `top_k`, `top_p`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f32,
    /// Only the likeliest `top_k` tokens count; 0 for all.
    pub top_k: usize,
    /// Only the likeliest tokens that together reach this probability count, at least one; 1 for all.
    pub top_p: f32,
    /// Makes tokens that are in the text already less likely: divides their logits where positive and multiplies them where
    /// negative (Keskar et al. 2019); 1 changes nothing.
    pub repetition_penalty: f32,
}

impl Default for Sampling {
    /// What `sip generate` does unless it is told otherwise.
    fn default() -> Sampling {
        Sampling { temperature: 0.8, top_k: 40, top_p: 0.95, repetition_penalty: 1.0 }
    }
}

impl Sampling {
    /// Always the likeliest token.
    pub const GREEDY: Sampling = Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0 };

    /// What is out of range, if anything is: which value, and what it may be.
    pub fn problem(&self) -> Option<String> {
        let Sampling { temperature, top_p, repetition_penalty, .. } = *self;
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return Some(format!("the temperature is {temperature}, expected 0 or more"));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Some(format!("top-p is {top_p}, expected a number above 0 and at most 1"));
        }
        if !(repetition_penalty > 0.0 && repetition_penalty.is_finite()) {
            return Some(format!("the repetition penalty is {repetition_penalty}, expected a number above 0"));
        }
        None
    }
}

/// Draws tokens and remembers the text, which the repetition penalty asks for.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: u64,
    /// Whether a token is in the text.
    seen: Vec<bool>,
    /// Logits after the penalty.
    logits: Vec<f32>,
    /// Tokens by rank, as far as they are ordered, and the weights of the first of them.
    ids: Vec<u32>,
    weights: Vec<f64>,
}

/// Tokens that are put in order at first when all of them count; as many again as long as these do not reach `top_p`.
const RANKED_AT_FIRST: usize = 256;

impl Sampler {
    /// Starts from a seed.
    pub fn new(sampling: Sampling, seed: u64) -> Sampler {
        let (seen, logits, ids, weights) = Default::default();
        Sampler { sampling, random: seed, seen, logits, ids, weights }
    }

    /// Starts a text with a prompt; the random numbers go on.
    pub fn start(&mut self, prompt: &[u32]) {
        self.seen.fill(false);
        prompt.iter().for_each(|&token| self.see(token));
    }

    fn see(&mut self, token: u32) {
        // Without a penalty nothing is remembered.
        if self.sampling.repetition_penalty != 1.0 {
            let at = token as usize;
            if at >= self.seen.len() {
                self.seen.resize(at + 1, false);
            }
            self.seen[at] = true;
        }
    }

    /// Draws a token from logits (finite f32 bits) and adds it to the text; ties go to the lowest id.
    pub fn draw(&mut self, logits: &[u32]) -> u32 {
        self.penalize(logits);
        let token = if self.sampling.temperature <= 0.0 { self.likeliest() } else { self.sample() };
        self.see(token);
        token
    }

    fn penalize(&mut self, logits: &[u32]) {
        self.logits.clear();
        self.logits.extend(logits.iter().map(|&bits| f32::from_bits(bits)));
        let penalty = self.sampling.repetition_penalty;
        for (logit, _) in self.logits.iter_mut().zip(&self.seen).filter(|(_, seen)| **seen) {
            let changed = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            *logit = changed.clamp(f32::MIN, f32::MAX);
        }
    }

    fn likeliest(&self) -> u32 {
        let best = self.logits.iter().enumerate().min_by_key(|&(id, logit)| (Reverse(order_key(logit.to_bits())), id));
        best.map_or(0, |(id, _)| id as u32)
    }

    fn sample(&mut self) -> u32 {
        let Sampling { temperature, top_k, top_p, .. } = self.sampling;
        let logits = &self.logits;
        let highest = self.likeliest();
        let Some(&greatest) = logits.get(highest as usize) else { return 0 };
        let weight = |id: u32| {
            let difference = (logits[id as usize] - greatest) / temperature;
            f64::from(f32::from_bits(sip_ops::exp::<Native>(difference.to_bits())))
        };
        let candidates = if top_k > 0 { top_k.min(logits.len()) } else { logits.len() };
        self.ids.clear();
        self.ids.extend(0..logits.len() as u32);
        let mut ranked = rank(&mut self.ids, 0, if top_k > 0 { candidates } else { RANKED_AT_FIRST }, logits);
        // The share that counts is of all candidates: with `top_k` by rank, else by id.
        let total: f64 = match top_k {
            0 => (0..logits.len() as u32).map(weight).sum(),
            _ => self.ids[..candidates].iter().map(|&id| weight(id)).sum(),
        };
        let limit = total * f64::from(top_p);
        self.weights.clear();
        let mut kept = 0.0;
        while self.weights.len() < candidates && (self.weights.is_empty() || kept < limit) {
            if self.weights.len() == ranked {
                ranked = rank(&mut self.ids, ranked, 2 * ranked, logits);
            }
            let next = weight(self.ids[self.weights.len()]);
            // What can no longer be drawn ends the ranking.
            if next == 0.0 {
                break;
            }
            kept += next;
            self.weights.push(next);
        }
        let mut point = (next_random(&mut self.random) >> 11) as f64 / (1u64 << 53) as f64 * kept;
        for (&id, weight) in self.ids.iter().zip(&self.weights) {
            point -= weight;
            if point < 0.0 {
                return id;
            }
        }
        self.ids[self.weights.len().saturating_sub(1)]
    }
}

/// Orders `ids` so that the first `count` are the likeliest in order, where the first `ranked` are so already; the new count.
fn rank(ids: &mut [u32], ranked: usize, count: usize, logits: &[f32]) -> usize {
    let key = |&id: &u32| (Reverse(order_key(logits[id as usize].to_bits())), id);
    let rest = &mut ids[ranked..];
    let wanted = count.saturating_sub(ranked).min(rest.len());
    if wanted > 0 && wanted < rest.len() {
        rest.select_nth_unstable_by_key(wanted - 1, key);
    }
    rest[..wanted].sort_unstable_by_key(key);
    ranked + wanted
}
