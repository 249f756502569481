//! What is over for long is closed, and its rent goes back to the wallet that paid it. Before anything is closed, a copy of it is kept, from
//! which `sip verify` reads what has left the chain.

use sip_protocol::court::Dispute;
use sip_protocol::court::availability::Demand;
use sip_protocol::training::closing::Rest;
use sip_protocol::training::evaluation::ScoringRun;
use sip_protocol::training::round::Round;
use sip_protocol::training::segment::Segment;
use sip_protocol::{Account, AccountKind};
use solana_address::Address;
use solana_instruction::Instruction;
use std::collections::BTreeMap;

use crate::node::Step;
use crate::{Action, Fact};

/// Slots between two looks at all accounts for what may be closed, where nothing was.
const LOOK_SLOTS: u64 = 1_000;

/// Accounts by address.
type Found = [(Address, Vec<u8>)];

/// An account of this kind.
fn read<T: Account>(data: &[u8]) -> Option<T> {
    let is_kind = data.first() == Some(&(T::KIND as u8));
    if is_kind { T::decode(data).ok() } else { None }
}

impl Step<'_> {
    /// Closes accounts that are over for long.
    pub(crate) fn close_old(&self) {
        if self.view.slot < self.known.survey_slot {
            return;
        }
        let Some(found) = &self.view.survey else { return self.push(Action::Survey) };
        let mut due = self.old_claims(found);
        due.extend(found.iter().filter_map(|(address, data)| Some((*address, self.old_quarrel(address, data)?))));
        for (address, close) in due {
            if let Some((_, data)) = found.iter().find(|(other, _)| *other == address) {
                self.push(Action::Archive { address, data: data.clone() });
            }
            self.send("give back the rent of what is over", vec![close], Vec::new());
        }
        self.keep(Fact::SurveyAgain(self.view.slot + LOOK_SLOTS));
    }

    /// The job's rounds, segments and scoring runs that may be closed, each with what closes it.
    fn old_claims(&self, found: &Found) -> Vec<(Address, Instruction)> {
        let (view, program, slot) = (self.view, self.program(), self.view.slot);
        let rounds: BTreeMap<Address, Box<Round>> = found
            .iter()
            .filter_map(|(address, data)| Some((*address, Box::new(read::<Round>(data)?))))
            .filter(|(_, round)| round.job == view.address.to_bytes())
            .collect();
        let mut due = Vec::new();
        for (address, round) in &rounds {
            if round.release(&view.job, slot).is_ok() {
                let payer = Address::new_from_array(round.payer);
                due.push((*address, program.reclaim_round(&view.address, address, &payer)));
            }
        }
        for (address, data) in found {
            let (round, operator, may) = if let Some(segment) = read::<Segment>(data) {
                let round = Address::new_from_array(segment.round);
                let Some(mut state) = rounds.get(&round).cloned() else { continue };
                (round, segment.payer, state.release_segment(&view.job, &segment, slot).is_ok())
            } else if let Some(run) = read::<ScoringRun>(data) {
                let round = Address::new_from_array(run.round);
                let Some(mut state) = rounds.get(&round).cloned() else { continue };
                (round, run.payer, state.release_run(&view.job, &run, slot).is_ok())
            } else {
                continue;
            };
            if may {
                let operator = Address::new_from_array(operator);
                due.push((*address, program.reclaim_claim(&view.address, &round, address, &operator)));
            }
        }
        due
    }

    /// What closes a dispute of the job, or a demand, if it may be closed.
    fn old_quarrel(&self, address: &Address, data: &[u8]) -> Option<Instruction> {
        let (view, slot) = (self.view, self.view.slot);
        if data.first() == Some(&(AccountKind::Dispute as u8)) {
            let dispute = read::<Dispute>(data).filter(|dispute| dispute.job == view.address.to_bytes())?;
            dispute.require_old(&dispute.challenger, &Rest::of(&view.job, slot)).ok()?;
            let challenger = Address::new_from_array(dispute.challenger);
            return Some(self.program().close_old_dispute(&view.address, &challenger, address));
        }
        let demand = read::<Demand>(data)?;
        let rest = Rest { unbonding_slots: view.config.parameters.unbonding_slots, slot };
        demand.require_old(&demand.demander, &rest).ok()?;
        Some(self.program().close_old_demand(&Address::new_from_array(demand.demander), address))
    }
}
