//! What a node paid and got, by round.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{Record, digits};

/// The file of the books.
const FILE: &str = "books.json";
/// What Solana takes for a signature; what a transaction costs beyond it is a bid.
const LAMPORTS_PER_SIGNATURE: u64 = 5_000;

/// What a round cost and brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// Transactions.
    pub transactions: u64,
    /// Fees, lamports, bids among them.
    #[serde(with = "digits")]
    pub fee_lamports: u64,
    /// Bids beyond the fees for signatures, lamports.
    #[serde(with = "digits")]
    pub bid_lamports: u64,
    /// Rent that went into accounts, lamports.
    #[serde(with = "digits")]
    pub rent_out_lamports: u64,
    /// Rent that came back, lamports.
    #[serde(with = "digits")]
    pub rent_back_lamports: u64,
    /// Tokens that came into the wallet and its pools' own bonds, less what went out, base units.
    #[serde(with = "digits", rename = "tokensBaseUnits")]
    pub tokens: i64,
}

/// What a wallet has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Lamports.
    pub lamports: u64,
    /// Tokens in its own account, base units.
    pub tokens: u64,
    /// Own bonds of its pools in the job, base units.
    pub bonds: u64,
}

/// The books, by round.
#[derive(Clone, Debug, Default)]
pub struct Books {
    pages: BTreeMap<u32, Page>,
    /// Lamports that bids of a round may take.
    max_bid_lamports: u64,
    /// The last balance, and fees since.
    balance: Option<Balance>,
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

    /// Notes a balance in a round. Where transactions of the node were paid since the last one, what changed is theirs: beside fees it is rent, and tokens are
    /// earned or lost. Else somebody moved it by hand, which is no business of the job; but bonds change by the job's rules, unless the wallet gave or took as
    /// much, and rent that went out may be brought back by others.
    pub fn balance(&mut self, round: u32, now: Balance) {
        let before = self.balance.replace(now);
        let fees = std::mem::take(&mut self.fees_since);
        let Some(before) = before else { return };
        let expected = before.lamports.saturating_sub(fees);
        let (mut out, mut back) = (expected.saturating_sub(now.lamports), now.lamports.saturating_sub(expected));
        let change = |before: u64, now: u64| now as i64 - before as i64;
        let (bonds, mut wallet) = (change(before.bonds, now.bonds), change(before.tokens, now.tokens));
        if fees == 0 {
            let total = self.total();
            (out, back) = (0, back.min(total.rent_out_lamports.saturating_sub(total.rent_back_lamports)));
            wallet = wallet.clamp((-bonds).min(0), (-bonds).max(0));
        }
        let earned = bonds + wallet;
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
    fn what_is_moved_by_hand_is_not_the_jobs() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::open(folder.path().to_owned()).unwrap();
        let mut books = Books::open(&record, 0).unwrap();
        let balance = |lamports, tokens, bonds| Balance { lamports, tokens, bonds };
        books.balance(0, balance(1_000, 50_000, 2_000));
        // Sent away, an airdrop, added to a bond, and taken out of it.
        books.balance(0, balance(400, 20_000, 2_000));
        books.balance(0, balance(9_000, 20_000, 2_000));
        books.balance(0, balance(9_000, 17_000, 5_000));
        books.balance(0, balance(9_000, 18_000, 4_000));
        assert_eq!(books.total(), Page::default());
        // A slice, while somebody sends tokens; a bond out of which more is missing than the wallet got.
        books.balance(0, balance(9_000, 19_500, 3_000));
        assert_eq!(books.total().tokens, 0, "as much was put back by hand as is missing");
        books.balance(0, balance(9_000, 19_500, 2_000));
        assert_eq!(books.total().tokens, -1_000);
        // What the node itself sends is its own.
        books.paid(1, 5_000);
        books.balance(1, balance(3_000, 20_000, 2_000));
        assert_eq!((books.pages()[&1].tokens, books.pages()[&1].rent_out_lamports), (500, 1_000));
        books.balance(2, balance(9_000, 20_000, 2_000));
        assert_eq!(books.pages()[&2].rent_back_lamports, 1_000, "no more comes back than went out");
    }

    #[test]
    fn what_changes_beside_fees_is_rent_and_bids_keep_to_their_bound() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::open(folder.path().to_owned()).unwrap();
        let mut books = Books::open(&record, 10_000).unwrap();
        let balance = |lamports, tokens, bonds| Balance { lamports, tokens, bonds };
        books.balance(0, balance(1_000_000, 50, 0));
        books.paid(0, 5_000);
        books.paid(0, 9_000);
        books.balance(0, balance(1_000_000 - 14_000 - 300, 50, 0));
        books.balance(1, balance(1_000_000 - 14_000, 50, 20));
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
