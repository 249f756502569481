//! What a run knows beyond the chain: the summary so far, and who gained or lost what for which reason.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use sip_protocol::ground::units::TOKEN;
use std::collections::BTreeMap;

use super::world::{Person, World};
use sip_manifest::roles::AUDITOR;
use sip_report::summary::{BaseUnits, Participant, Summary};

pub(crate) use sip_roles::Published;

/// What is saved after every round, beside ledger and state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// Rounds done.
    pub rounds_done: u32,
    /// Draws that each auditor has revealed.
    pub draws_used: Vec<u32>,
    /// Names of who was convicted.
    pub convicted: Vec<String>,
    /// What was found out so far.
    pub summary: Summary,
    /// Compute units per instruction.
    pub log: BTreeMap<String, Vec<u64>>,
    /// Gains and losses in base units, per person and reason, in the order in which the reasons came up.
    pub flows: Vec<Vec<(String, i64)>>,
    /// What everyone owned after the last event.
    pub wealth: Vec<u64>,
    /// What everyone had staked before the first round.
    pub staked: Vec<u64>,
    /// The leaves that trainers published behind their commitments.
    pub published: Vec<Published>,
    /// Bytes of the transactions that committed segments.
    pub commitment_bytes: u64,
    /// Whether the patron has moved its attention.
    pub attention_moved: bool,
    /// Whether the patron has leaned on the setting.
    pub setting_leaned_on: bool,
    /// Seconds of earlier parts of a run that was stopped.
    pub seconds_before: f64,
    /// Trainers by place whose update the last round applied.
    #[serde(default)]
    pub applied: Vec<u8>,
}

impl Journal {
    /// Starts to follow everyone's wealth.
    pub(crate) fn begin(&mut self, world: &World) -> Result<()> {
        self.wealth = world.wealth()?;
        let wallets = world.people.iter().map(|person| world.program.token_account(&person.wallet()));
        let liquid = wallets.map(|account| world.ledger.token_balance(&account).unwrap_or(0));
        self.staked = self.wealth.iter().zip(liquid).map(|(all, liquid)| all.saturating_sub(liquid)).collect();
        self.flows = vec![Vec::new(); world.people.len()];
        Ok(())
    }

    /// Whether the journal is of these people and this round; a file that was changed by hand may be of neither.
    pub(crate) fn check(&self, world: &World, rounds: u32) -> Result<()> {
        let people = world.people.len();
        ensure!(
            [self.flows.len(), self.wealth.len(), self.staked.len()] == [people; 3]
                && self.draws_used.len() == world.with_role(AUDITOR).len()
                && self.rounds_done == rounds
                && self.summary.rounds.len() == rounds as usize,
            "journal-{rounds}.json is damaged; restore it from a copy, or begin anew with --overwrite"
        );
        Ok(())
    }

    /// Books what changed since the last call, gains under one reason and losses under the other.
    pub(crate) fn book(&mut self, world: &World, gain: &str, loss: &str) -> Result<()> {
        self.book_by(world, &|_| [gain.to_string(), loss.to_string()])
    }

    /// Books what changed since the last call; `reasons` gives a person's for a gain and for a loss.
    pub(crate) fn book_by(&mut self, world: &World, reasons: &dyn Fn(&Person) -> [String; 2]) -> Result<()> {
        let now = world.wealth()?;
        for (((flows, before), after), person) in self.flows.iter_mut().zip(&self.wealth).zip(&now).zip(&world.people) {
            let change = *after as i64 - *before as i64;
            if change == 0 {
                continue;
            }
            let [gain, loss] = reasons(person);
            let reason = if change > 0 { gain } else { loss };
            match flows.iter_mut().find(|(known, sum)| *known == reason && (*sum > 0) == (change > 0)) {
                Some((_, sum)) => *sum += change,
                None => flows.push((reason, change)),
            }
        }
        self.wealth = now;
        Ok(())
    }

    /// Everyone's result in words.
    pub(crate) fn participants(&self, world: &World) -> Vec<Participant> {
        let row = |(index, person): (usize, &Person)| {
            let flows = &self.flows[index];
            let sum = |is_counted: fn(i64) -> bool| {
                let counted = flows.iter().map(|(_, sum)| *sum).filter(|sum| is_counted(*sum));
                BaseUnits(counted.map(i64::unsigned_abs).sum())
            };
            let reasons = flows
                .iter()
                .filter(|(_, sum)| sum.unsigned_abs() >= TOKEN / 100)
                .map(|(reason, sum)| format!("{reason} {:+.2}", *sum as f64 / TOKEN as f64))
                .collect();
            Participant {
                name: person.name.clone(),
                role: person.role.to_string(),
                staked: BaseUnits(self.staked[index]),
                earned: sum(|sum| sum > 0),
                lost: sum(|sum| sum < 0),
                reasons,
                wallet: person.wallet().to_string(),
                pool: person.pool().ok().map(|pool| pool.to_string()),
            }
        };
        world.people.iter().enumerate().filter(|(_, person)| person.role != "creator").map(row).collect()
    }
}
