//! What attention is staked on, by name: a job's domains, and the sides of its settings.

use anyhow::{Result, bail};
use sip_manifest::steered;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::Job;
use sip_protocol::training::setting::{Side, attention_number};
use solana_address::Address;

use super::Desk;

/// The names of a job's domains.
pub fn domains(desk: &Desk, job: &Job) -> Result<Vec<String>> {
    let count = usize::from(job.spec.domain_count).min(job.datasets.len());
    job.datasets[..count]
        .iter()
        .map(|address| {
            let dataset: Dataset = desk.read(&Address::new_from_array(*address))?;
            Ok(String::from_utf8_lossy(&dataset.domain).trim_end_matches('\0').to_owned())
        })
        .collect()
}

/// The number of a domain, by its name or number.
pub fn find_domain(desk: &Desk, job: &Job, wanted: &str) -> Result<u32> {
    let names = domains(desk, job)?;
    if let Some(number) = names.iter().position(|name| name == wanted) {
        return Ok(number as u32);
    }
    match wanted.parse::<u32>() {
        Ok(number) if (number as usize) < names.len() => Ok(number),
        _ => bail!("the job has no domain \"{wanted}\"; it has {}", names.join(", ")),
    }
}

/// Names of the sides of a setting.
const SIDES: [(Side, &str); 2] = [(Side::Down, "down"), (Side::Up, "up")];

/// The sides of a job's settings: number of the attention pool, and name.
pub fn sides(job: &Job) -> impl Iterator<Item = (u32, String)> {
    let settings = job.spec.settings.iter().take(job.spec.setting_count()).enumerate();
    settings.flat_map(|(number, setting)| {
        SIDES.map(|(side, word)| (attention_number(number as u32, side), format!("{}:{word}", steered::name(setting))))
    })
}

/// The number of the attention pool of a domain, or of a side of a setting.
pub fn find(desk: &Desk, job: &Job, wanted: &str) -> Result<u32> {
    let known = |number: &u32, name: &str| name == wanted || number.to_string() == wanted;
    if let Some((number, _)) = sides(job).find(|(number, name)| known(number, name)) {
        return Ok(number);
    }
    let found = find_domain(desk, job, wanted);
    let sides: Vec<String> = sides(job).map(|(_, name)| name).collect();
    match found {
        Err(error) if !sides.is_empty() => bail!("{error}; stake also steers {}", sides.join(", ")),
        found => found,
    }
}

/// An attention pool in words.
pub fn describe(job: &Job, number: u32) -> String {
    sides(job).find(|(known, _)| *known == number).map_or_else(|| format!("domain {number}"), |(_, name)| name)
}

/// An attention pool by the name of what it steers.
pub fn title(desk: &Desk, job: &Job, number: u32) -> Result<String> {
    Ok(domains(desk, job)?.get(number as usize).cloned().unwrap_or_else(|| describe(job, number)))
}
