//! Answering demands for what one committed: the end state of a segment, and the tokens of a dataset. Who is silent is convicted, or charged.

use sip_protocol::court::availability::{Demand, OPEN};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::node::Step;
use crate::{Event, Work};

impl Step<'_> {
    /// Answers what is demanded of this wallet, or of a pool whose session key it is.
    pub(crate) fn answers(&self) {
        let wallet = self.wallet();
        for (address, demand) in &self.view.demands {
            let is_due = demand.status == OPEN && self.view.slot <= demand.deadline_slot;
            if !is_due || !self.view.may_answer(&wallet, &demand.answerer, &demand.pool) {
                continue;
            }
            let is_of_data = self.view.datasets.contains_key(&Address::new_from_array(demand.subject));
            match self.known.answered.get(address) {
                Some(Some(answer)) => self.answer(address, demand, answer),
                // There is no such chunk.
                Some(None) => {}
                // What was lost here others may have, as long as there is time.
                None if is_of_data || self.knows(&demand.root) => self.compute(Work::Answer { demand: *address }),
                None => {}
            }
        }
    }

    fn answer(&self, address: &Address, demand: &Demand, answer: &[u8]) {
        let (program, wallet) = (self.program(), self.wallet());
        let [subject, pool] = [demand.subject, demand.pool].map(Address::new_from_array);
        let segment = |seen: &&crate::Seen| seen.segments.iter().any(|stands| stands.address == subject);
        let round = self.view.rounds.iter().find(segment);
        let (number, place): (Option<u32>, u8);
        let instructions: Vec<Instruction> = if let Some(seen) = round {
            let stands = seen.segments.iter().find(|stands| stands.address == subject);
            (number, place) = (Some(seen.index()), stands.map_or(0, |stands| stands.place));
            program.answer_state(&wallet, address, &seen.address, &pool, answer)
        } else if self.view.datasets.contains_key(&subject) {
            let domain = self.view.datasets().iter().position(|dataset| *dataset == subject);
            (number, place) = (None, domain.unwrap_or(0) as u8);
            program.answer_data(&wallet, address, &subject, &pool, answer)
        } else {
            return;
        };
        let what = "a demand is answered";
        let tell = vec![Event::Demanded { round: number, place, demand: address.to_string(), what }];
        self.send("answer a demand", instructions, tell);
    }
}
