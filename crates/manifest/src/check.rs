//! Whether the files of a run are what its ledger committed.

use anyhow::Result;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::Job;
use sip_protocol::training::job::JobSpec;

use crate::commits::{difference, other_data};
use crate::prepare::Prepared;
use crate::settings::{Exchange, STEERED, Settings};

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
    let spec = &job.spec;
    if let Some(difference) = difference(&prepared.commits, spec) {
        return Ok(Some(prepared.manifest.words(difference)));
    }
    if prepared.manifest.is_compressed() != (settings.updates == Exchange::Compressed)
        || prepared.manifest.model.as_ref() != Some(&settings.model)
    {
        return Ok(Some("model and updates: the job committed other graphs than the run's settings ask for".into()));
    }
    let sizes = [spec.inner_steps, spec.leaf_interval, spec.batch, spec.sequence_length, spec.rounds];
    let asked =
        [settings.inner_steps, settings.leaf_interval, settings.batch, settings.sequence_length(), settings.rounds];
    if sizes != asked || usize::from(spec.domain_count) != settings.domains.len() {
        return Ok(Some("the job on chain has other sizes than the run's settings".into()));
    }
    if spec.settings[..STEERED.len()] != STEERED || spec.mixture_mode != settings.mixture.mode() as u8 {
        return Ok(Some("the job on chain is steered by other rules than the run's settings say".into()));
    }
    if spec != terms {
        return Ok(Some("the job on chain has other terms than the run's settings give".into()));
    }
    let addresses = job.datasets.iter().take(settings.domains.len());
    let datasets = addresses.map(|address| dataset(address).map(Box::new).map(Some)).collect::<Result<Vec<_>>>()?;
    Ok(other_data(&prepared.manifest.domains, &datasets).map(|difference| prepared.manifest.words(difference)))
}
