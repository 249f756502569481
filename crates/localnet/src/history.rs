//! Where every transaction of the log lies, by signature, slot and address.

use crate::log::Span;
use solana_address::Address;
use solana_signature::Signature;
use std::collections::{HashMap, VecDeque};

/// A transaction that was executed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) signature: Signature,
    pub(crate) slot: u64,
    pub(crate) unix_seconds: i64,
    /// Its error as JSON, where it failed.
    pub(crate) error: Option<Box<str>>,
    /// What its memos say.
    pub(crate) memo: Option<Box<str>>,
    /// First transaction of the segment that it lies in.
    pub(crate) segment: u64,
    pub(crate) span: Span,
    /// How many bytes this process had logged with it; 0 where an earlier process wrote it.
    pub(crate) position: u64,
}

/// All transactions that the log still holds.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Number of the first entry.
    first: u64,
    entries: VecDeque<Entry>,
    by_signature: HashMap<Signature, u64>,
    /// Ascending numbers.
    by_address: HashMap<Address, VecDeque<u64>>,
}

impl History {
    pub(crate) fn starting_at(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    /// Number of the next transaction.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(crate) fn add<'a>(&mut self, entry: Entry, addresses: impl IntoIterator<Item = &'a Address>) {
        let number = self.next();
        self.by_signature.insert(entry.signature, number);
        for address in addresses {
            let numbers = self.by_address.entry(*address).or_default();
            if numbers.back() != Some(&number) {
                numbers.push_back(number);
            }
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    pub(crate) fn number(&self, signature: &Signature) -> Option<u64> {
        self.by_signature.get(signature).copied()
    }

    pub(crate) fn find(&self, signature: &Signature) -> Option<&Entry> {
        self.get(self.number(signature)?)
    }

    /// Numbers of the transactions that name an address, newest first.
    pub(crate) fn of_address(&self, address: &Address) -> impl Iterator<Item = u64> {
        self.by_address.get(address).into_iter().flat_map(|numbers| numbers.iter().rev().copied())
    }

    /// Transactions in slots from `first` to `last`, in order.
    pub(crate) fn in_slots(&self, first: u64, last: u64) -> impl Iterator<Item = &Entry> {
        let start = self.entries.partition_point(|entry| entry.slot < first);
        self.entries.range(start..).take_while(move |entry| entry.slot <= last)
    }

    /// How many transactions stand before one in its slot.
    pub(crate) fn index_in_slot(&self, number: u64) -> Option<u64> {
        let slot = self.get(number)?.slot;
        let start = self.entries.partition_point(|entry| entry.slot < slot) as u64;
        number.checked_sub(self.first)?.checked_sub(start)
    }

    /// The oldest transaction that is still known.
    pub(crate) fn oldest(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// Forgets all transactions before a number.
    pub(crate) fn forget_before(&mut self, number: u64) {
        while self.first < number
            && let Some(entry) = self.entries.pop_front()
        {
            self.by_signature.remove(&entry.signature);
            self.first += 1;
        }
        self.by_address.retain(|_, numbers| {
            while numbers.front().is_some_and(|&first| first < number) {
                numbers.pop_front();
            }
            !numbers.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_found_by_signature_slot_and_address_until_they_are_forgotten() {
        let address = |byte| Address::new_from_array([byte; 32]);
        let signature = |number: u64| Signature::from([number as u8; 64]);
        let mut history = History::starting_at(10);
        for number in 10..20 {
            let entry = Entry {
                signature: signature(number),
                slot: number / 2,
                unix_seconds: 0,
                error: None,
                memo: None,
                segment: 10,
                span: Span { offset: 0, bytes: 0 },
                position: 0,
            };
            let odd = address((number % 2) as u8);
            history.add(entry, [&odd, &odd, &address(7)]);
        }
        assert_eq!(history.number(&signature(13)), Some(13));
        assert_eq!(history.of_address(&address(1)).collect::<Vec<_>>(), [19, 17, 15, 13, 11]);
        assert_eq!(history.in_slots(6, 7).map(|entry| entry.slot).collect::<Vec<_>>(), [6, 6, 7, 7]);
        history.forget_before(16);
        assert_eq!((history.next(), history.number(&signature(13))), (20, None));
        assert_eq!(history.of_address(&address(1)).collect::<Vec<_>>(), [19, 17]);
        assert_eq!(history.oldest().unwrap().signature, signature(16));
        history.forget_before(30);
        assert!(history.oldest().is_none() && history.of_address(&address(7)).next().is_none());
    }
}
