//! Whether the files of a run are what its ledger committed.

use anyhow::Result;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::Job;
use sip_protocol::training::job::JobSpec;

use crate::prepare::Prepared;
use crate::settings::{STEERED, Settings};

/// Graph, tables, genesis state and data against the job on chain: the first difference, in words. `terms` are the job's terms as its
/// creator's settings give them; `dataset` reads a registered dataset by its address.
///
/// # Errors
/// Those of `dataset`.
pub fn job(
    job: &Job,
    settings: &Settings,
    prepared: &Prepared,
    terms: &JobSpec,
    dataset: &dyn Fn(&[u8; 32]) -> Result<Dataset>,
) -> Result<Option<String>> {
    let (spec, roots) = (&job.spec, &prepared.task.roots);
    for (what, on_chain, rebuilt) in [
        ("the graph's nodes", spec.nodes_root, roots.nodes_root),
        ("the graph's outputs", spec.outputs_root, roots.outputs_root),
        ("the tables", spec.tables_root, roots.tables_root),
        ("the scoring graph's nodes", spec.score_nodes_root, prepared.scoring.roots.nodes_root),
        ("the scoring graph's outputs", spec.score_outputs_root, prepared.scoring.roots.outputs_root),
        ("the genesis state", spec.genesis_root, prepared.genesis.root()),
        ("the graphs that average", spec.aggregates_root, prepared.aggregates.root()),
        ("the nodes of the genesis graph", spec.init_nodes_root, prepared.init.nodes_root),
        ("the outputs of the genesis graph", spec.init_outputs_root, prepared.init.outputs_root),
    ] {
        if on_chain != rebuilt {
            return Ok(Some(format!("{what}: the job committed another root than its settings give")));
        }
    }
    let mut expected = *spec;
    if let Some(updates) = &prepared.updates {
        updates.specify(&mut expected);
    }
    if expected != *spec || spec.is_compressed() != prepared.updates.is_some() {
        return Ok(Some("the job exchanges updates by other graphs than its settings give".into()));
    }
    let sizes = [spec.inner_steps, spec.leaf_interval, spec.batch, spec.sequence_length, spec.rounds];
    let asked =
        [settings.inner_steps, settings.leaf_interval, settings.batch, settings.sequence_length(), settings.rounds];
    if Some(spec.held_out()) != prepared.scoring.held_out || spec.score_leaf_interval != prepared.scoring.leaf_interval
    {
        return Ok(Some("the job on chain is scored on other windows than the run's settings say".into()));
    }
    if sizes != asked || usize::from(spec.domain_count) != settings.domains.len() {
        return Ok(Some("the job on chain has other sizes than the run's settings".into()));
    }
    if spec.settings[..STEERED.len()] != STEERED || spec.mixture_mode != settings.mixture.mode() as u8 {
        return Ok(Some("the job on chain is steered by other rules than the run's settings say".into()));
    }
    if spec != terms {
        return Ok(Some("the job on chain has other terms than the run's settings give".into()));
    }
    for (number, domain) in settings.domains.iter().enumerate() {
        let dataset = dataset(&job.datasets[number])?;
        let known = (dataset.train_root, dataset.held_out_root);
        if known != (prepared.task.domains[number].root(), prepared.heldout[number].root()) {
            return Ok(Some(format!("the data of {} are not what its provider registered", domain.name)));
        }
    }
    Ok(None)
}
