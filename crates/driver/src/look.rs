//! Reading the chain.

use anyhow::{Result, bail};
use sip_ledger::Ledger;
use sip_roles::{Accounts, Known, Look, Query, Shelf, View};
use solana_account::Account;
use solana_address::Address;

use crate::source::Match;
use crate::{Live, Under};

impl<L: Ledger> Live<'_, L> {
    /// The data of accounts, of those that are the program's.
    fn read(&self, ledger: &dyn Ledger, addresses: &[Address]) -> Result<Vec<Option<Vec<u8>>>> {
        let own = |account: Option<Account>| {
            account.filter(|account| account.owner == self.program.id).map(|account| account.data)
        };
        Ok(ledger.accounts(addresses)?.into_iter().map(own).collect())
    }

    fn find(&self, ledger: &dyn Ledger, query: &Query) -> Result<Vec<(Address, Vec<u8>)>> {
        let kind = [query.kind as u8];
        let with = query.with.as_ref().map(|(offset, bytes)| (*offset, &bytes[..]));
        let parts: Vec<(usize, &[u8])> = std::iter::once((0, &kind[..])).chain(with).collect();
        let found = ledger.program_accounts_with(&self.program.id, &parts)?;
        Ok(found.into_iter().map(|(address, account)| (address, account.data)).collect())
    }

    pub(crate) fn survey(&self) -> Result<Vec<(Address, Vec<u8>)>> {
        let mut found = Vec::new();
        for query in Query::survey(&self.job) {
            found.extend(self.find(&*self.ledger, &query)?);
        }
        Ok(found)
    }

    /// The job and its rounds as a ledger has them.
    fn job_of(&self, ledger: &dyn Ledger, first_round: u32) -> Result<View> {
        let look = Look { program: self.program, job: self.job, first_round };
        // Before the accounts: what is read later is no older than this.
        let slot = ledger.slot()?;
        let mut accounts = Accounts::new();
        loop {
            let wanted = look.wanted(&accounts)?;
            if wanted.is_empty() {
                break;
            }
            let data = self.read(ledger, &wanted)?;
            accounts.extend(wanted.into_iter().zip(data));
        }
        Ok(View { served: self.node.me.served.clone(), ..look.view(&accounts, slot)? })
    }

    /// Adds what else matters for the wallet.
    fn add_others(&self, ledger: &dyn Ledger, view: &mut View, known: &Known) -> Result<()> {
        let watched = self.node.watched(view, known, &self.source.terms(&view.job));
        for (address, data) in watched.iter().zip(self.read(ledger, &watched)?) {
            data.iter().for_each(|data| view.add(*address, data));
        }
        for query in self.node.queries(view) {
            self.find(ledger, &query)?.iter().for_each(|(address, data)| view.add(*address, data));
        }
        Ok(())
    }

    /// The chain as it stands, with what is known and at hand.
    pub(crate) fn look(&mut self) -> Result<Under> {
        let rounds_done = self.record.rounds_done()?;
        let mut view = self.job_of(&*self.ledger, rounds_done)?;
        let datasets: Vec<_> = view.datasets().iter().map(|address| view.datasets.get(address)).collect();
        if self.source.describes(&view.job, &datasets) == Match::No {
            let folder = self.source.store.root().display();
            bail!("the job at {} is not the one that the settings and data in {folder} describe", self.job);
        }
        let mut known = self.record.known(rounds_done)?;
        for fact in &self.memory.facts {
            known.note(fact.clone());
        }
        known.holds_opening = (self.holds_opening)(&view);
        self.add_others(&*self.ledger, &mut view, &known)?;
        let mut shelf = Shelf { whole: self.hands.states().roots(), ..Shelf::default() };
        self.hands.note(&mut shelf);
        Ok(Under { view, known, shelf, last: None, is_changed: false, wake_slot: None })
    }

    /// The chain as far as nobody can drop it; nothing where all of it is so.
    pub(crate) fn look_at_final(&self, known: &Known) -> Result<Option<View>> {
        let Some(ledger) = self.ledger.finalized() else { return Ok(None) };
        let mut view = self.job_of(&*ledger, known.rounds_done)?;
        self.add_others(&*ledger, &mut view, known)?;
        Ok(Some(view))
    }
}
