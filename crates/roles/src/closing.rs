//! What is over for long is closed, and its rent goes back to the wallet that paid it. Before a watchtower closes anything, it keeps a copy in the
//! run's folder, from which `sip verify` reads what has left the chain.

use anyhow::Result;
use sip_ledger::Ledger;
use sip_protocol::court::Dispute;
use sip_protocol::court::availability::Demand;
use sip_protocol::training::closing::Rest;
use sip_protocol::training::evaluation::ScoringRun;
use sip_protocol::training::round::Round;
use sip_protocol::training::segment::Segment;
use sip_protocol::{Account as _, AccountKind};
use solana_account::Account;
use solana_address::Address;
use solana_instruction::Instruction;
use std::collections::BTreeMap;

use super::here::Here;
use super::watch::Watch;
use crate::archive::Archive;

/// Slots between two looks at all accounts for what may be closed, where nothing was.
const LOOK_SLOTS: u64 = 1_000;

/// All accounts of the program by address.
type Accounts = Vec<(Address, Account)>;

impl<L: Ledger> Watch<'_, L> {
    /// Closes one account that is over for long.
    pub(super) fn close_old(&mut self, here: &Here) -> Result<bool> {
        if here.slot < self.memory.closing_slot {
            return Ok(false);
        }
        let accounts = self.ledger.program_accounts(&self.program.id)?;
        let mut due = self.old_claims(here, &accounts);
        due.extend(accounts.iter().filter_map(|(address, account)| {
            let close = self.old_quarrel(here, address, &account.data)?;
            Some((*address, close))
        }));
        let archive = Archive::of(&self.source.store);
        for (address, close) in due {
            if let Some((_, account)) = accounts.iter().find(|(other, _)| *other == address) {
                archive.keep(&address, &account.data)?;
            }
            if self.send("give back the rent of what is over", close)? {
                return Ok(true);
            }
        }
        self.memory.closing_slot = here.slot + LOOK_SLOTS;
        Ok(false)
    }

    /// The job's rounds, segments and scoring runs that may be closed, each with what closes it.
    fn old_claims(&self, here: &Here, accounts: &Accounts) -> Vec<(Address, Instruction)> {
        let is_kind = |account: &Account, kind: AccountKind| account.data.first() == Some(&(kind as u8));
        let rounds: BTreeMap<Address, Round> = accounts
            .iter()
            .filter(|(_, account)| is_kind(account, AccountKind::Round))
            .filter_map(|(address, account)| Some((*address, Round::decode(&account.data).ok()?)))
            .filter(|(_, round)| round.job == self.job.to_bytes())
            .collect();
        let mut due = Vec::new();
        for (address, round) in &rounds {
            if round.release(&here.job, here.slot).is_ok() {
                let payer = Address::new_from_array(round.payer);
                due.push((*address, self.program.reclaim_round(&self.job, address, &payer)));
            }
        }
        for (address, account) in accounts {
            let claim = if is_kind(account, AccountKind::Segment) {
                Segment::decode(&account.data).ok().and_then(|segment| {
                    let round = Address::new_from_array(segment.round);
                    let may = { *rounds.get(&round)? }.release_segment(&here.job, &segment, here.slot).is_ok();
                    may.then_some((round, segment.operator))
                })
            } else if is_kind(account, AccountKind::ScoringRun) {
                ScoringRun::decode(&account.data).ok().and_then(|run| {
                    let round = Address::new_from_array(run.round);
                    let may = { *rounds.get(&round)? }.release_run(&here.job, &run, here.slot).is_ok();
                    may.then_some((round, run.operator))
                })
            } else {
                None
            };
            if let Some((round, operator)) = claim {
                let operator = Address::new_from_array(operator);
                due.push((*address, self.program.reclaim_claim(&self.job, &round, address, &operator)));
            }
        }
        due
    }

    /// What closes a dispute of the job, or a demand, if it may be closed.
    fn old_quarrel(&self, here: &Here, address: &Address, data: &[u8]) -> Option<Instruction> {
        if data.first() == Some(&(AccountKind::Dispute as u8)) {
            let dispute = Dispute::decode(data).ok().filter(|dispute| dispute.job == self.job.to_bytes())?;
            let rest = Rest::of(&here.job, here.slot);
            dispute.require_old(&dispute.challenger, &rest).ok()?;
            let challenger = Address::new_from_array(dispute.challenger);
            return Some(self.program.close_old_dispute(&self.job, &challenger, address));
        }
        if data.first() == Some(&(AccountKind::Demand as u8)) {
            let demand = Demand::decode(data).ok()?;
            let rest = Rest { unbonding_slots: here.config.parameters.unbonding_slots, slot: here.slot };
            demand.require_old(&demand.demander, &rest).ok()?;
            let demander = Address::new_from_array(demand.demander);
            return Some(self.program.close_old_demand(&demander, address));
        }
        None
    }
}
