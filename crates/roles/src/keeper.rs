//! What a job needs somebody to see to: that its next round is opened, that who was in a round is settled, that seats are in
//! order, and that its model is kept.

use sip_data::hex;
use sip_protocol::stake::pool::{self, PoolKind};
use solana_address::Address;

use crate::Event;
use crate::node::Step;

impl Step<'_> {
    /// What is due, by the first who comes.
    pub(crate) fn keep_job(&self) {
        for seen in &self.view.rounds {
            self.settle_others(seen);
        }
        self.check_seats();
        self.open_round();
        self.return_genesis_bond();
        self.keep_model();
    }

    /// Has the newest base, and the newest that is final: auditors and evaluators forget them with their rounds and end with the job, and those who want it
    /// come later. Older ones are forgotten as all states are: [`Step::finish`].
    fn keep_model(&self) {
        let job = &self.view.job;
        let Some((round, root)) = self.view.final_base() else { return };
        if job.rounds_scored > 0 && self.knows(&root) {
            self.tell(Event::Keeps { round, root: hex(&root) });
        }
        // It is final later, when those who have it may be gone.
        if job.rounds_scored > 0 && job.base_root != root {
            self.knows(&job.base_root);
        }
    }

    /// Opens the next round, once the program's rule allows it.
    fn open_round(&self) {
        let (view, job) = (self.view, &self.view.job);
        if !self.known.holds_opening && view.next_opens().is_ok() {
            let open = self.program().open_next_round(&self.wallet(), &view.address, job);
            let what = "open the round";
            self.turn_over(what, vec![open], vec![Event::Turned { round: job.next_round, what }]);
        }
    }

    /// Has the seats of pools that were convicted, in whatever job, or are retired, awaited no more: others go on without them, and may take them.
    fn check_seats(&self) {
        let (view, job) = (self.view, &self.view.job);
        if job.closed != 0 || job.rounds_scored >= job.spec.rounds {
            return;
        }
        for (kind, seats) in [
            (PoolKind::Trainer, &job.trainers[..]),
            (PoolKind::Auditor, &job.auditors[..]),
            (PoolKind::Evaluator, &job.evaluators[..]),
        ] {
            for (place, seat) in (0u8..).zip(seats) {
                let address = Address::new_from_array(seat.pool);
                let Some(pool) = view.pools.get(&address) else { continue };
                let is_gone = pool.is_convicted() || pool.status != pool::ACTIVE;
                if is_gone && job.clone().check_seat(kind, place, &seat.pool, pool, view.slot).is_ok() {
                    let check = self.program().check_seat(&view.address, &address, place);
                    self.turn_over("await a seat no more", vec![check], Vec::new());
                }
            }
        }
    }

    /// Takes the bond of a genesis state back that nobody disputed, of an own job.
    fn return_genesis_bond(&self) {
        let (view, wallet) = (self.view, self.wallet());
        let is_own = view.job.creator == wallet.to_bytes();
        if is_own && view.job.clone().reclaim_genesis_bond(view.slot).is_ok() {
            let reclaim = self.program().reclaim_genesis_bond(&wallet, &view.address);
            self.turn_over("take the bond of the genesis state back", vec![reclaim], Vec::new());
        }
    }
}
