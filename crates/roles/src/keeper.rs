//! What a job needs somebody to see to: that its next round is opened, that those are paid who ask for nothing, and that its model is kept.

use sip_data::hex;
use sip_protocol::training::job::bit;
use sip_protocol::training::round;
use solana_address::Address;

use crate::Event;
use crate::auditor::acted;
use crate::node::Step;
use crate::view::Seen;

impl Step<'_> {
    /// What is due, by the first who comes.
    pub(crate) fn keep_job(&self) {
        for seen in &self.view.rounds {
            self.pay_others(seen);
        }
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

    /// Domains whose provider or patrons have not had their pay for a round, and trainers whose absence was not charged.
    fn unpaid(&self, seen: &Seen) -> (u8, u8, u16) {
        let round = &seen.round;
        let domains = ((1u16 << round.domain_count.min(8)) - 1) as u8;
        let is_final = round.status == round::FINAL;
        let of = |settled: u8| if is_final { domains & !settled } else { 0 };
        let absent = if is_final { round.eligible & !round.committed & !round.settled_absent } else { 0 };
        (of(round.settled_data), of(round.settled_patrons), absent)
    }

    /// Whether a keeper has somebody to pay for a round.
    pub(crate) fn is_to_be_paid_by_keepers(&self, seen: &Seen) -> bool {
        let (data, patrons, _) = self.unpaid(seen);
        data != 0 || patrons != 0
    }

    /// Has data providers and patrons paid, and absences charged.
    fn pay_others(&self, seen: &Seen) {
        let view = self.view;
        if !seen.is_over() || seen.round.require_settleable(&view.job, view.slot).is_err() {
            return;
        }
        let (data, patrons, absent) = self.unpaid(seen);
        let (program, job, address) = (self.program(), &view.address, &seen.address);
        for (domain, dataset) in (0u8..).zip(view.datasets()) {
            let provider = view.datasets.get(&dataset).map(|dataset| Address::new_from_array(dataset.pool));
            if let Some(pool) = provider.filter(|_| data & (1 << domain) != 0) {
                let settle = program.settle_data(job, address, domain, &dataset, &pool);
                self.turn_over("pay for data", vec![settle], vec![acted(seen, "data paid", None)]);
            }
            if patrons & (1 << domain) != 0 {
                let settle = program.settle_patrons(job, address, domain);
                self.turn_over("pay patrons", vec![settle], vec![acted(seen, "patrons paid", None)]);
            }
        }
        for (place, pool) in (0u8..).zip(&seen.round.trainers).filter(|(place, _)| absent & bit(*place) != 0) {
            let pool = Address::new_from_array(*pool);
            let is_due = self.would_settle(seen, &pool, |mut trial| trial.absent(place).is_ok());
            if is_due {
                let settle = program.settle_absent(job, address, &pool, place);
                self.turn_over("charge an absence", vec![settle], vec![acted(seen, "absence charged", Some(place))]);
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
