//! What a node paid and got, by round.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::Record;

/// The file of the books.
const FILE: &str = "books.json";
/// What Solana takes for a signature; what a transaction costs beyond it is a bid.
const LAMPORTS_PER_SIGNATURE: u64 = 5_000;

/// What a round cost and brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Transactions.
    pub transactions: u64,
    /// Fees, lamports, bids among them.
    pub fee_lamports: u64,
    /// Bids beyond the fees for signatures, lamports.
    pub bid_lamports: u64,
    /// Rent that went into accounts, lamports.
    pub rent_out_lamports: u64,
    /// Rent that came back, lamports.
    pub rent_back_lamports: u64,
    /// Tokens that came into the wallet and its pools' own bonds, less what went out, base units.
    pub tokens: i64,
}

/// The books, by round.
#[derive(Clone, Debug, Default)]
pub struct Books {
    pages: BTreeMap<u32, Page>,
    /// Lamports that bids of a round may take.
    max_bid_lamports: u64,
    /// Lamports and tokens at the last balance, and fees since.
    balance: Option<(u64, u64)>,
    fees_since: u64,
    is_changed: bool,
}

impl Books {
    /// The books of a folder; bids of a round may take so many lamports.
    ///
    /// # Errors
    /// Where the file is damaged.
    pub fn open(record: &Record, max_bid_lamports: u64) -> Result<Books> {
        let pages = record.read::<BTreeMap<u32, Page>>(FILE)?.unwrap_or_default();
        Ok(Books { pages, max_bid_lamports, ..Books::default() })
    }

    /// Writes them, if something came.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn save(&mut self, record: &Record) -> Result<()> {
        if self.is_changed {
            record.write(FILE, &self.pages)?;
            self.is_changed = false;
        }
        Ok(())
    }

    /// Pages by round.
    pub fn pages(&self) -> &BTreeMap<u32, Page> {
        &self.pages
    }

    /// The sum of all pages.
    pub fn total(&self) -> Page {
        self.pages.values().fold(Page::default(), |sum, page| Page {
            transactions: sum.transactions + page.transactions,
            fee_lamports: sum.fee_lamports + page.fee_lamports,
            bid_lamports: sum.bid_lamports + page.bid_lamports,
            rent_out_lamports: sum.rent_out_lamports + page.rent_out_lamports,
            rent_back_lamports: sum.rent_back_lamports + page.rent_back_lamports,
            tokens: sum.tokens + page.tokens,
        })
    }

    /// Notes the fee of a transaction in a round.
    pub(crate) fn paid(&mut self, round: u32, fee_lamports: u64) {
        let page = self.pages.entry(round).or_default();
        page.transactions += 1;
        page.fee_lamports += fee_lamports;
        page.bid_lamports += fee_lamports.saturating_sub(LAMPORTS_PER_SIGNATURE);
        self.fees_since += fee_lamports;
        self.is_changed = true;
    }

    /// Lamports that bids of a round may still take.
    pub(crate) fn left(&self, round: u32) -> u64 {
        let bid = self.pages.get(&round).map_or(0, |page| page.bid_lamports);
        self.max_bid_lamports.saturating_sub(bid)
    }

    /// Notes a balance in a round: lamports of the wallet, and tokens that are its own. What changed beside fees is rent, as long as nobody sends the
    /// wallet anything.
    pub fn balance(&mut self, round: u32, lamports: u64, tokens: u64) {
        let before = self.balance.replace((lamports, tokens));
        let fees = std::mem::take(&mut self.fees_since);
        let Some((lamports_before, tokens_before)) = before else { return };
        let expected = lamports_before.saturating_sub(fees);
        let (out, back) = (expected.saturating_sub(lamports), lamports.saturating_sub(expected));
        let earned = tokens as i64 - tokens_before as i64;
        if (out, back, earned) != (0, 0, 0) {
            let page = self.pages.entry(round).or_default();
            page.rent_out_lamports += out;
            page.rent_back_lamports += back;
            page.tokens += earned;
            self.is_changed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_beside_fees_is_rent_and_bids_keep_to_their_bound() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::open(folder.path().to_owned()).unwrap();
        let mut books = Books::open(&record, 10_000).unwrap();
        books.balance(0, 1_000_000, 50);
        books.paid(0, 5_000);
        books.paid(0, 9_000);
        books.balance(0, 1_000_000 - 14_000 - 300, 50);
        books.balance(1, 1_000_000 - 14_000, 70);
        let expected = Page {
            transactions: 2,
            fee_lamports: 14_000,
            bid_lamports: 4_000,
            rent_out_lamports: 300,
            ..Page::default()
        };
        assert_eq!(books.pages()[&0], expected);
        assert_eq!(books.pages()[&1], Page { rent_back_lamports: 300, tokens: 20, ..Page::default() });
        assert_eq!((books.left(0), books.left(1)), (6_000, 10_000));
        books.save(&record).unwrap();
        assert_eq!(Books::open(&record, 0).unwrap().total(), books.total());
    }
}
