//! What stake makes of a job, before and after somebody changes it.

use anyhow::Result;
use sip_protocol::stake::pool::{Pool, SEED_SHARES};
use sip_protocol::training::job::Job;
use sip_protocol::training::setting::{MAX_ATTENTION_POOLS, Snapshot};
use solana_address::Address;

use sip_console::Desk;
use sip_console::attention;
use sip_manifest::steered;

/// The stake that steers a job, as it stands once all that is pending counts.
pub(super) struct Steering {
    job: Job,
    domains: Vec<String>,
    weights: [u64; MAX_ATTENTION_POOLS],
    before: [u64; MAX_ATTENTION_POOLS],
}

impl Steering {
    pub(super) fn read(desk: &Desk, address: &Address, job: &Job) -> Result<Steering> {
        let mut weights = [0; MAX_ATTENTION_POOLS];
        for number in job.spec.attention_numbers() {
            if let Some(pool) = desk.find::<Pool>(&desk.program.attention_pool(address, number))? {
                let counted =
                    [pool.assets.saturating_sub(SEED_SHARES), pool.pending_assets, pool.steered, pool.boost.value];
                weights[number as usize] = counted.iter().fold(0, |sum: u64, part| sum.saturating_add(*part));
            }
        }
        Ok(Steering { job: *job, domains: attention::domains(desk, job)?, weights, before: weights })
    }

    /// Base units more for a domain or a side of a setting.
    pub(super) fn add(&mut self, number: u32, amount: u64) {
        let weight = &mut self.weights[number as usize];
        *weight = weight.saturating_add(amount);
    }

    /// Base units less.
    pub(super) fn take(&mut self, number: u32, amount: u64) {
        let weight = &mut self.weights[number as usize];
        *weight = weight.saturating_sub(amount);
    }

    /// The mixture and the settings before and after, in words: lines of what differs and of what stays beside it.
    pub(super) fn told(&self) -> Result<Vec<String>> {
        let [before, after]: [Snapshot; 2] =
            [self.job.spec.snapshot(&self.before)?, self.job.spec.snapshot(&self.weights)?];
        let mut parts = Vec::new();
        let percent = |bps: u16| format!("{}.{:02} %", bps / 100, bps % 100);
        if before.mixture_bps != after.mixture_bps {
            for ((name, was), is) in self.domains.iter().zip(before.mixture_bps).zip(after.mixture_bps) {
                parts.push(format!("{name} {} → {}", percent(was), percent(is)));
            }
        }
        let settings = self.job.spec.settings.iter().take(self.job.spec.setting_count());
        for ((setting, was), is) in settings.zip(before.settings).zip(after.settings).filter(|((_, was), is)| was != is)
        {
            parts.push(format!("{} {} → {}", steered::name(setting), steered::show(was), steered::show(is)));
        }
        if parts.is_empty() {
            return Ok(vec!["mixture and settings stay as they are".into()]);
        }
        Ok(vec![
            format!("steers: {}", parts.join(", ")),
            "that is once all of it is active; a round takes the average since the one before".into(),
        ])
    }
}
