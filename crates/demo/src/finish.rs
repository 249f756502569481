//! After the last round: model, summary, report.

use anyhow::{Context, Result};
use sip_model::export::{TensorRef, save_pretrained};
use sip_model::{Generator, Sampler, Sampling, params};
use sip_node::State;
use sip_protocol::ground::units::CAP;
use std::sync::Arc;

use super::Run;
use super::checked::checked;
use super::journal::Journal;
use super::setup::{job_spec, parameters};
use super::world::World;
use sip_data::hex;
use sip_manifest::folder::{write_json, write_text};
use sip_manifest::machine::Machine;
use sip_manifest::prepare::Prepared;
use sip_manifest::roles::PROVIDER;
use sip_manifest::settings::{STEERED, Settings};
use sip_manifest::steered;
use sip_report::summary::{
    BaseUnits, ChainSummary, DomainSummary, InstructionSummary, ModelSummary, Sample, SettingSummary, Summary,
};

/// Tokens of a prompt and of what the model writes after it.
const PROMPT_TOKENS: usize = 8;
const SAMPLE_TOKENS: usize = 60;

impl Run {
    /// Writes the model, the summary and the report.
    ///
    /// # Errors
    /// The file system's.
    pub fn finish(&mut self) -> Result<Summary> {
        self.export_model(params(&self.settings.model).len())?;
        let mut summary =
            summarise(&self.settings, &self.prepared, &self.machine, &self.world, &self.journal, &self.base)?;
        let timings = &mut summary.timings;
        timings.total_seconds = self.seconds();
        timings.tokens_per_second =
            summary.work.trained_tokens as f64 / (timings.training_seconds + timings.commitment_seconds).max(1e-9);
        timings.commitment_share = timings.commitment_seconds / timings.training_seconds.max(1e-9);
        timings.simd = self.machine.simd.to_string();
        timings.threads = self.machine.threads.count() as u32;
        write_json(&self.store.summary(), &summary)?;
        write_text(&self.store.report(), &sip_report::page(&summary))?;
        Ok(summary)
    }

    fn export_model(&self, weights: usize) -> Result<()> {
        self.prepared.tokenizer()?.save(&self.store.model(), self.settings.model.max_seq_len)?;
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
}

/// A finished run's summary by its files alone, so that a verifier of the run makes the same; of the timings what the journal has.
pub(crate) fn summarise(
    settings: &Settings,
    prepared: &Prepared,
    machine: &Machine,
    world: &World,
    journal: &Journal,
    base: &State,
) -> Result<Summary> {
    let providers = world.with_role(PROVIDER);
    let domains = (settings.domains.iter().zip(providers).enumerate())
        .map(|(number, (domain, provider))| DomainSummary {
            name: domain.name.clone(),
            provider: world.people[provider].name.clone(),
            train_tokens: prepared.task.domains[number].token_count(),
            heldout_tokens: prepared.heldout[number].token_count(),
            root: domain.train_root.clone(),
        })
        .collect();
    let steered = STEERED
        .iter()
        .map(|setting| SettingSummary {
            name: steered::name(setting),
            lower: steered::scale(setting.lower),
            default: steered::scale(setting.default),
            upper: steered::scale(setting.upper),
        })
        .collect();
    Ok(Summary {
        version: env!("CARGO_PKG_VERSION").into(),
        seed: settings.seed,
        cheats: settings.cheats.iter().map(|fraud| fraud.name().to_string()).collect(),
        model: model_summary(settings, prepared),
        updates: settings.updates.name().into(),
        domains,
        settings: steered,
        participants: journal.participants(world),
        checked: checked(settings, journal, &job_spec(settings, prepared), &parameters()),
        chain: chain_summary(world, journal)?,
        model_root: hex(&base.root()),
        manifest: hex(&prepared.hash),
        samples: samples(settings, prepared, machine, base)?,
        ..journal.summary.clone()
    })
}

fn model_summary(settings: &Settings, prepared: &Prepared) -> ModelSummary {
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
        graph_nodes: prepared.task.graph.nodes().len() as u32,
        graph_root: hex(&prepared.task.roots.root::<sip_proof::HostSha256>()),
    }
}

fn chain_summary(world: &World, journal: &Journal) -> Result<ChainSummary> {
    let statistics = world.ledger.statistics();
    let burned = world.config()?.burned;
    let instructions = (world.log.iter())
        .map(|(name, units)| {
            let mut sorted = units.clone();
            sorted.sort_unstable();
            let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
            InstructionSummary { name: name.clone(), count: units.len() as u64, compute_units: median }
        })
        .collect();
    Ok(ChainSummary {
        transactions: statistics.transactions,
        compute_units: statistics.compute_units,
        transaction_bytes: statistics.transaction_bytes,
        commitment_bytes_per_step: journal.commitment_bytes as f64 / journal.summary.work.trained_steps.max(1) as f64,
        instructions,
        supply: BaseUnits(CAP.saturating_sub(burned)),
        burned: BaseUnits(burned),
        conserved: journal.summary.chain.conserved,
    })
}

/// What the model makes of the first words of the held-out text of each domain.
fn samples(settings: &Settings, prepared: &Prepared, machine: &Machine, base: &State) -> Result<Vec<Sample>> {
    let weights = base.entries()[..params(&settings.model).len()].to_vec();
    let mut generator = Generator::new(&settings.model, weights, Arc::clone(&machine.threads))?;
    let sampling = Sampling { top_k: 40, ..Sampling::default() };
    let mut samples = Vec::new();
    for (number, heldout) in prepared.heldout.iter().enumerate() {
        let start = heldout.tokens().len() / 2;
        let prompt = heldout.tokens()[start..].iter().take(PROMPT_TOKENS).copied().collect::<Vec<_>>();
        let mut sampler = Sampler::new(sampling, settings.seed.wrapping_add(number as u64));
        let written = generator.generate(&prompt, SAMPLE_TOKENS, &mut sampler, &mut |_| true)?;
        let tokenizer = prepared.tokenizer()?;
        samples.push(Sample { prompt: tokenizer.decode(&prompt)?, text: tokenizer.decode(&written)? });
    }
    Ok(samples)
}
