//! What stake makes of a job: now, in past rounds, and before and after somebody changes it.

use anyhow::Result;
use sip_console::attention::{domains, sides};
use sip_console::table::{Cell, Row};
use sip_console::{Desk, tokens};
use sip_manifest::steered;
use sip_protocol::stake::pool::{Pool, PoolKind, SEED_SHARES};
use sip_protocol::training::job::Job;
use sip_protocol::training::mixture::Mode;
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::setting::{MAX_ATTENTION_POOLS, Snapshot};
use solana_address::Address;

/// The stake that steers a job, as it stands once all that is pending counts.
pub struct Steering {
    job: Job,
    domains: Vec<String>,
    weights: [u64; MAX_ATTENTION_POOLS],
    before: [u64; MAX_ATTENTION_POOLS],
}

impl Steering {
    /// As it stands on a chain.
    pub fn read(desk: &Desk, address: &Address, job: &Job) -> Result<Steering> {
        let mut weights = [0; MAX_ATTENTION_POOLS];
        for number in job.spec.attention_numbers() {
            if let Some(pool) = desk.find::<Pool>(&desk.program.attention_pool(address, number))? {
                let counted =
                    [pool.assets.saturating_sub(SEED_SHARES), pool.pending_assets, pool.steered, pool.boost.value];
                weights[number as usize] = counted.iter().fold(0, |sum: u64, part| sum.saturating_add(*part));
            }
        }
        Ok(Steering { job: *job, domains: domains(desk, job)?, weights, before: weights })
    }

    /// Base units more for a domain or a side of a setting.
    pub fn add(&mut self, number: u32, amount: u64) {
        let weight = &mut self.weights[number as usize];
        *weight = weight.saturating_add(amount);
    }

    /// Base units less.
    pub fn take(&mut self, number: u32, amount: u64) {
        let weight = &mut self.weights[number as usize];
        *weight = weight.saturating_sub(amount);
    }

    /// The mixture and the settings before and after, in words: lines of what differs and of what stays beside it.
    pub fn told(&self) -> Result<Vec<String>> {
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

/// The row of a job in a list, as somebody who steers it sees it.
pub fn job_row(address: &Address, job: &Job) -> Row {
    vec![
        ("job", Cell::text(address)),
        ("rounds scored", Cell::Number(job.rounds_scored.into())),
        ("of", Cell::Number(job.spec.rounds.into())),
        ("domains", Cell::Number(job.spec.domain_count.into())),
        ("trainers", Cell::Number(job.awake(PoolKind::Trainer).count_ones().into())),
        ("auditors", Cell::Number(job.awake(PoolKind::Auditor).count_ones().into())),
        ("evaluators", Cell::Number(job.awake(PoolKind::Evaluator).count_ones().into())),
        ("score", Cell::text(nats(job.last_score))),
    ]
}

/// Micro-nats as nats per token.
fn nats(micro: u32) -> String {
    format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

/// A job's domains and settings: attention, and the mixture and the values that the next round would have if it began now.
pub fn shown(desk: &Desk, address: &Address) -> Result<Vec<Row>> {
    let job: Job = desk.read(address)?;
    let slot = desk.slot()?;
    let mut weights = [0; MAX_ATTENTION_POOLS];
    let mut rows: Vec<Row> = Vec::new();
    let domains = domains(desk, &job)?.into_iter().enumerate().map(|(number, name)| (number as u32, name));
    for (number, name) in domains.chain(sides(&job)) {
        let at = desk.program.attention_pool(address, number);
        let pool: Option<Pool> = desk.find(&at)?;
        let (average, boost) = match pool {
            Some(mut pool) => (pool.take_snapshot(slot)?, pool.boost.value),
            None => (0, 0),
        };
        weights[number as usize] = average;
        rows.push(vec![
            ("domain", Cell::Number(number.into())),
            ("name", Cell::text(name)),
            ("attention", Cell::Tokens(pool.map_or(0, |pool| pool.assets))),
            ("pending", Cell::Tokens(pool.map_or(0, |pool| pool.pending_assets))),
            ("votes", Cell::Tokens(pool.map_or(0, |pool| pool.steered))),
            ("locks add", Cell::Tokens(boost)),
            ("average since the last round", Cell::Tokens(average)),
            ("pool", if pool.is_some() { Cell::text(at) } else { Cell::Nothing }),
        ]);
    }
    let snapshot = job.spec.snapshot(&weights)?;
    let (domain_rows, setting_rows) = rows.split_at_mut(job.spec.domain_count.into());
    for (row, part) in domain_rows.iter_mut().zip(snapshot.mixture_bps) {
        let rule = match Mode::from_byte(job.spec.mixture_mode)? {
            Mode::Linear => "linear",
            Mode::SquareRoot => "square root",
        };
        row.insert(2, ("mixture", Cell::BasisPoints(part.into())));
        row.insert(3, ("steered to", Cell::text(format!("{rule} of stake"))));
    }
    for (sides, (setting, value)) in setting_rows.chunks_mut(2).zip(job.spec.settings.iter().zip(snapshot.settings)) {
        for row in sides {
            let (lower, upper) = (steered::show(setting.lower), steered::show(setting.upper));
            let (default, weight) = (steered::show(setting.default), tokens::grouped(setting.default_weight.into()));
            row.insert(2, ("mixture", Cell::No(Cell::BasisPoints)));
            let value = steered::show(value);
            row.insert(
                3,
                ("steered to", Cell::text(format!("{value} of {lower} to {upper}; {default} by {weight} SIP"))),
            );
        }
    }
    Ok(rows)
}

/// The mixture, the settings and the score of each past round.
pub fn history(desk: &Desk, address: &Address) -> Result<Vec<Row>> {
    let job: Job = desk.read(address)?;
    let names = domains(desk, &job)?;
    let mut rows: Vec<Row> = Vec::new();
    for index in 0..job.next_round {
        let round: Round = desk.read(&desk.program.round(address, index))?;
        let parts = names.iter().zip(&round.mixture_bps);
        let mixture: Vec<String> =
            parts.map(|(name, part)| format!("{name} {}.{:02} %", part / 100, part % 100)).collect();
        let steered = job.spec.settings.iter().take(job.spec.setting_count()).zip(round.settings);
        let settings: Vec<String> =
            steered.map(|(setting, value)| format!("{} {}", steered::name(setting), steered::show(value))).collect();
        rows.push(vec![
            ("round", Cell::Number(u64::from(index) + 1)),
            ("opened at slot", Cell::Number(round.opened_slot)),
            ("mixture", Cell::text(mixture.join(", "))),
            ("settings", Cell::text(settings.join(", "))),
            (
                "score",
                if matches!(round.status, round::SCORED | round::FINAL) {
                    Cell::MicroNats(round.score.into())
                } else {
                    Cell::No(Cell::MicroNats)
                },
            ),
        ]);
    }
    Ok(rows)
}
