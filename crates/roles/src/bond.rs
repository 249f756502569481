//! The own bond: what is frozen behind rounds that came to nothing is thawed where the next claim needs it.

use sip_client::Seat;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::round;
use solana_instruction::Instruction;

use crate::auditor::acted;
use crate::node::Step;
use crate::view::Seen;

impl Step<'_> {
    /// Lets the slices of this wallet's claims in void rounds stand behind what it claims next, where nothing else is free.
    pub(crate) fn thaw(&self) {
        for kind in [PoolKind::Trainer, PoolKind::Auditor, PoolKind::Evaluator] {
            let Ok(needed) = self.view.job.round_bond(kind) else { continue };
            for seat in self.view.seats(kind, &self.wallet()) {
                let Some(pool) = self.view.pools.get(&seat.pool) else { continue };
                if !pool.is_mixed() && is_short(pool, needed) {
                    self.view.rounds.iter().for_each(|seen| self.thaw_in(seen, kind, &seat));
                }
            }
        }
    }

    fn thaw_in(&self, seen: &Seen, kind: PoolKind, seat: &Seat) {
        if seen.round.status != round::VOID {
            return;
        }
        if let Some(instruction) = self.frozen_in(seen, kind, seat) {
            self.send("thaw a slice", vec![instruction], vec![acted(seen, "slice thawed", None)]);
        }
    }

    /// What thaws the slice that is frozen behind the seat's claim of a round, if there is one.
    fn frozen_in(&self, seen: &Seen, kind: PoolKind, seat: &Seat) -> Option<Instruction> {
        let (round, pool) = (&seen.round, seat.pool.to_bytes());
        let place = usize::from(seat.place);
        let seat_in = |slices: u64, is_thawed: u8| {
            (slices != 0 && is_thawed == 0).then(|| self.program().thaw_seat(&seen.address, &seat.pool, seat.place))
        };
        match kind {
            PoolKind::Trainer => {
                let stands = seen.segments.iter().find(|stands| stands.state.pool == pool)?;
                let is_frozen = stands.state.slice != 0 && stands.state.is_thawed == 0;
                is_frozen.then(|| self.program().thaw_segment(&seen.address, &seat.pool))
            }
            PoolKind::Auditor => {
                let part = round.auditors.get(place).filter(|part| part.pool == pool)?;
                seat_in(part.vote_slice | part.attestation_slice, part.is_thawed)
            }
            _ => {
                let part = round.evaluators.get(place).filter(|part| part.pool == pool)?;
                seat_in(part.slice, part.is_thawed)
            }
        }
    }
}

/// Whether a pool has no free slice for another claim, though its bond is as much.
fn is_short(pool: &Pool, needed: u64) -> bool {
    pool.self_bond >= needed && pool.self_bond < pool.frozen_bond.saturating_add(pool.owed_bond).saturating_add(needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bond_is_short_if_it_is_frozen_and_not_if_it_is_too_small() {
        let pool = |self_bond, frozen_bond| Pool { self_bond, frozen_bond, ..bytemuck::Zeroable::zeroed() };
        assert!(!is_short(&pool(20, 10), 10));
        assert!(is_short(&pool(20, 11), 10));
        assert!(!is_short(&pool(9, 0), 10), "no thaw helps");
        assert!(is_short(&pool(20, u64::MAX), 10));
    }
}
