//! After the last round: model, summary, report.

use anyhow::{Context, Result};
use sip_model::export::{TensorRef, save_pretrained};
use sip_model::{Generator, Sampler, Sampling, params};
use sip_protocol::config::{CAP, TOKEN};
use std::sync::Arc;

use super::Run;
use super::prepare::hex;
use super::settings::STEERED;
use super::setup::PROVIDER;
use crate::report;
use crate::setting;
use crate::store::{write_json, write_text};
use crate::summary::{DomainSummary, InstructionSummary, ModelSummary, Sample, SettingSummary, Summary};

/// Tokens of a prompt and of what the model writes after it.
const PROMPT_TOKENS: usize = 8;
const SAMPLE_TOKENS: usize = 60;

impl Run {
    /// Writes the model, the summary and the report.
    pub(crate) fn finish(&mut self) -> Result<Summary> {
        let weights = params(&self.settings.model).len();
        self.export_model(weights)?;
        let mut summary = self.journal.summary.clone();
        summary.version = env!("CARGO_PKG_VERSION").into();
        summary.seed = self.settings.seed;
        summary.cheats = self.settings.cheats.iter().map(|fraud| fraud.name().to_string()).collect();
        summary.model = self.model_summary();
        let providers = self.world.with_role(PROVIDER);
        summary.domains = (self.settings.domains.iter().zip(providers).enumerate())
            .map(|(number, (domain, provider))| DomainSummary {
                name: domain.name.clone(),
                provider: self.world.people[provider].name.clone(),
                train_tokens: self.prepared.task.domains[number].token_count(),
                heldout_tokens: self.prepared.heldout[number].token_count(),
                root: domain.train_root.clone(),
            })
            .collect();
        summary.settings = STEERED
            .iter()
            .map(|setting| SettingSummary {
                name: setting::name(setting),
                lower: setting::scale(setting.lower),
                default: setting::scale(setting.default),
                upper: setting::scale(setting.upper),
            })
            .collect();
        summary.participants = self.journal.participants(&self.world);
        self.chain_summary(&mut summary)?;
        summary.model_root = hex(&self.base.root());
        summary.samples = self.samples(weights)?;
        let timings = &mut summary.timings;
        timings.total_seconds = self.seconds();
        timings.tokens_per_second =
            summary.work.trained_tokens as f64 / (timings.training_seconds + timings.commitment_seconds).max(1e-9);
        timings.commitment_share = timings.commitment_seconds / timings.training_seconds.max(1e-9);
        timings.simd = self.machine.simd.to_string();
        timings.threads = self.machine.threads.count() as u32;
        write_json(&self.store.summary(), &summary)?;
        write_text(&self.store.report(), &report::page(&summary))?;
        Ok(summary)
    }

    fn model_summary(&self) -> ModelSummary {
        let settings = &self.settings;
        ModelSummary {
            name: settings.preset.clone(),
            parameters: params(&settings.model).iter().map(|param| param.len() as u64).sum(),
            vocabulary: settings.model.vocab_size as u32,
            layers: settings.model.num_layers as u32,
            hidden: settings.model.hidden_size as u32,
            sequence: settings.sequence_length(),
            batch: settings.batch,
            inner_steps: settings.inner_steps,
            leaf_interval: settings.leaf_interval,
            graph_nodes: self.prepared.task.graph.nodes().len() as u32,
            graph_root: hex(&self.prepared.task.roots.root::<sip_proof::HostSha256>()),
        }
    }

    fn chain_summary(&self, summary: &mut Summary) -> Result<()> {
        let statistics = self.world.ledger.statistics();
        let chain = &mut summary.chain;
        chain.transactions = statistics.transactions;
        chain.compute_units = statistics.compute_units;
        chain.transaction_bytes = statistics.transaction_bytes;
        chain.commitment_bytes_per_step =
            self.journal.commitment_bytes as f64 / summary.work.trained_steps.max(1) as f64;
        let burned = self.world.config()?.burned;
        chain.burned = burned as f64 / TOKEN as f64;
        chain.supply = (CAP - burned) as f64 / TOKEN as f64;
        chain.instructions = (self.world.log.iter())
            .map(|(name, units)| {
                let mut sorted = units.clone();
                sorted.sort_unstable();
                let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
                InstructionSummary { name: name.clone(), count: units.len() as u64, compute_units: median }
            })
            .collect();
        Ok(())
    }

    fn export_model(&self, weights: usize) -> Result<()> {
        self.prepared.tokenizer.save(&self.store.model(), self.settings.model.max_seq_len)?;
        let params = params(&self.settings.model);
        let data: Vec<Vec<f32>> = self.base.entries()[..weights].iter().map(|entry| entry.to_f32()).collect();
        let tensors: Vec<TensorRef<'_>> = params
            .iter()
            .zip(&data)
            .map(|(param, data)| TensorRef { name: &param.name, shape: &param.shape, data })
            .collect();
        save_pretrained(&self.store.model(), &self.settings.model, &tensors)
            .with_context(|| format!("cannot save the model to {}", self.store.model().display()))
    }

    /// What the model makes of the first words of the held-out text of each domain.
    fn samples(&self, weights: usize) -> Result<Vec<Sample>> {
        let weights = self.base.entries()[..weights].to_vec();
        let mut generator = Generator::new(&self.settings.model, weights, Arc::clone(&self.machine.threads))?;
        let sampling = Sampling { top_k: 40, ..Sampling::default() };
        let mut samples = Vec::new();
        for (number, heldout) in self.prepared.heldout.iter().enumerate() {
            let start = heldout.tokens().len() / 2;
            let prompt = heldout.tokens()[start..].iter().take(PROMPT_TOKENS).copied().collect::<Vec<_>>();
            let mut sampler = Sampler::new(sampling, self.settings.seed.wrapping_add(number as u64));
            let written = generator.generate(&prompt, SAMPLE_TOKENS, &mut sampler, &mut |_| true)?;
            let tokenizer = &self.prepared.tokenizer;
            samples.push(Sample { prompt: tokenizer.decode(&prompt)?, text: tokenizer.decode(&written)? });
        }
        Ok(samples)
    }
}
