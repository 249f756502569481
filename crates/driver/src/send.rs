//! Sending: with a limit of compute units from a simulation, a price by need, and secrets only once what they answer is final.

use anyhow::Result;
use sip_ledger::{
    Ledger, LedgerError, MAX_TRANSACTION_BYTES, compute_unit_limit, compute_unit_price, pack, transaction_bytes,
};
use sip_manifest::value::content_hash;
use sip_roles::{Action, Event, Send};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_signer::Signer;

use crate::{Live, Then, Under};

/// Compute units that a transaction may take.
const COMPUTE_UNITS: u32 = 1_400_000;
/// The limit is this much of what a simulation took, in percent: state may have grown since.
const MARGIN_PERCENT: u64 = 115;
/// Compute units of the instructions that set limit and price.
const BUDGET_UNITS: u64 = 300;
/// With so many slots left, a place in the next block is worth more, and worth a lot.
const NEAR_SLOTS: [u64; 2] = [150, 30];
/// What is bid of what others paid lately, in percent of them that paid less.
const PERCENTILES: [usize; 3] = [50, 75, 95];

/// For so long it is remembered when something was first due.
pub(crate) const FORGET_DUE_SLOTS: u64 = 400;

/// How far a list of transactions came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    All,
    Some,
    Nothing,
}

/// What tells one list of instructions from another.
fn digest(instructions: &[Instruction]) -> [u8; 32] {
    content_hash(format!("{instructions:?}").as_bytes())
}

impl<L: Ledger> Live<'_, L> {
    /// Sends what belongs together, unless it shows a secret and what that answers is not final yet.
    pub(crate) fn send(&mut self, under: &mut Under, send: Send) -> Result<Then> {
        if send.is_revealing && !self.is_final(under, &send)? {
            self.memory.waits.push(send.what);
            return Ok(Then::Next);
        }
        if send.is_anyones && self.leaves_to_others(under.view.slot, &send) {
            return Ok(Then::Next);
        }
        let slots_left = send.needed_by_slot.map(|slot| slot.saturating_sub(under.view.slot));
        let round = under.view.job.next_round.saturating_sub(1);
        match self.send_all(&send, under.view.slot, round, slots_left)? {
            Sent::Nothing => return Ok(Then::Next),
            Sent::Some => {}
            Sent::All => send.tell.iter().for_each(|event| (self.report)(event)),
        }
        Ok(Then::Look)
    }

    /// Whether it is left to others for now, since anybody may do it.
    fn leaves_to_others(&mut self, slot: u64, send: &Send) -> bool {
        let Some(turn_slots) = self.turn_slots else { return false };
        let digest = digest(&send.instructions);
        self.memory.due.retain(|_, first| *first + FORGET_DUE_SLOTS > slot);
        let first = *self.memory.due.entry(digest).or_insert(slot);
        slot < first + turn_slots
    }

    /// Whether the chain, as far as it is final, asks for the same instructions.
    fn is_final(&self, under: &mut Under, send: &Send) -> Result<bool> {
        if under.last.is_none() {
            under.last = self.look_at_final(&under.known)?;
        }
        let Some(last) = &under.last else { return Ok(true) };
        let terms = self.source.terms(&last.job);
        let is_same =
            |action: &Action| matches!(action, Action::Send(other) if other.instructions == send.instructions);
        Ok(self.node.step(last, &under.shelf, &under.known, &terms).iter().any(is_same))
    }

    /// Sends instructions in as few transactions as they fit into; where one is refused, the later ones are not sent.
    fn send_all(&mut self, send: &Send, slot: u64, round: u32, slots_left: Option<u64>) -> Result<Sent> {
        let mut sent = Sent::Nothing;
        for transaction in pack(&self.key.pubkey(), send.instructions.iter().cloned()) {
            let refused_in = send.is_anyones.then_some(slot);
            if !self.transact(send.what, &transaction, refused_in, round, slots_left)? {
                return Ok(sent);
            }
            sent = Sent::Some;
        }
        Ok(Sent::All)
    }

    /// Sends a transaction; false if it was refused. What anybody may do is sent in `anyones_slot`.
    fn transact(
        &mut self,
        what: &str,
        instructions: &[Instruction],
        anyones_slot: Option<u64>,
        round: u32,
        slots_left: Option<u64>,
    ) -> Result<bool> {
        let error = match self.try_transact(instructions, round, slots_left) {
            Ok(()) => return Ok(true),
            Err(error @ (LedgerError::Custom { .. } | LedgerError::Transaction { .. })) => error,
            Err(error) => return Err(error.into()),
        };
        let reason = error.custom_code().and_then(sip_client::refusal).map(|error| error.message().to_string());
        let reason = reason.unwrap_or_else(|| error.to_string());
        if anyones_slot.is_none_or(|slot| self.memory.is_refused_again(digest(instructions), slot)) {
            self.say_once(&Event::Refused { what: what.into(), reason });
        }
        Ok(false)
    }

    fn try_transact(
        &mut self,
        instructions: &[Instruction],
        round: u32,
        slots_left: Option<u64>,
    ) -> Result<(), LedgerError> {
        let limited = |limit: u32, price: u64| {
            let budget =
                std::iter::once(compute_unit_limit(limit)).chain((price > 0).then(|| compute_unit_price(price)));
            let all: Vec<Instruction> = budget.chain(instructions.iter().cloned()).collect();
            // A part of a move may fill its transaction; it takes far less than what each instruction has without a limit.
            let fits = transaction_bytes(&all, &self.key.pubkey()) <= MAX_TRANSACTION_BYTES;
            if fits { all } else { instructions.to_vec() }
        };
        // What is refused is refused here, and costs nothing.
        let limit = match self.ledger.simulated_units(&limited(COMPUTE_UNITS, 0), self.key)? {
            Some(units) => {
                let limit = (units * MARGIN_PERCENT).div_ceil(100) + BUDGET_UNITS;
                u32::try_from(limit).unwrap_or(COMPUTE_UNITS).min(COMPUTE_UNITS)
            }
            None => COMPUTE_UNITS,
        };
        let price = self.price(instructions, limit, round, slots_left)?;
        let transaction = limited(limit, price);
        let sent = self.ledger.send(&transaction, self.key, &[self.key]);
        if let Ok(receipt) = &sent {
            self.books.paid(round, receipt.fee_lamports);
        }
        sent.map(|_| ())
    }

    /// What is bid for a compute unit, in millionths of a lamport: what others pay for these accounts, more as a deadline nears, and within what
    /// the round may still cost.
    fn price(
        &self,
        instructions: &[Instruction],
        limit: u32,
        round: u32,
        slots_left: Option<u64>,
    ) -> Result<u64, LedgerError> {
        let left_lamports = self.books.left(round);
        if left_lamports == 0 {
            return Ok(0);
        }
        let written = instructions.iter().flat_map(|instruction| &instruction.accounts).filter(|meta| meta.is_writable);
        let mut accounts: Vec<Address> = written.map(|meta| meta.pubkey).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let mut prices = self.ledger.recent_prices(&accounts)?;
        prices.sort_unstable();
        let need = NEAR_SLOTS.iter().filter(|near| slots_left.is_some_and(|left| left < **near)).count();
        let at = prices.len() * PERCENTILES[need] / 100;
        let price = prices.get(at.min(prices.len().saturating_sub(1))).copied().unwrap_or(0);
        Ok(price.min(left_lamports.saturating_mul(1_000_000) / u64::from(limit.max(1))))
    }
}
