//! Whether an instruction needs each of its accounts: one that it does not need costs every caller bytes and compute units.

use crate::table::{After, Case, Refusal, simulate, table, yes_man};
use sip_client::SLOT_HASHES;
use sip_protocol::{Header, instructions::all};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;
use std::collections::BTreeMap;

/// Where nothing of the protocol is.
const ELSEWHERE: Address = Address::new_from_array([8; 32]);

/// Accounts that are written only where somebody left money behind, which nobody did in the stories here; that it goes to the insurance,
/// `compensation_that_nobody_collects_is_insured_when_its_round_closes` says.
const WRITTEN_IN_OTHER_TESTS: [(&str, &str); 2] = [("ReclaimClaim", "config"), ("ReclaimRound", "config")];

/// Accounts of rare cases, which no transaction of the table looks at. Tests of their own pass wrong ones: those of seats, of compressed
/// updates, of accused claims, of verdicts that burn a lost bond, and of what is closed by anyone.
const TRIED_IN_OTHER_TESTS: [(&str, &str); 9] = [
    ("DetokenizeShares", "system_program"),
    ("JoinJob", "displaced"),
    ("CommitSegment", "previous"),
    ("AmendSegment", "previous"),
    ("WithdrawAccusation", "auditor"),
    ("ResolveDispute", "mint"),
    ("ResolveGenesisDispute", "mint"),
    ("ResolveRunDispute", "mint"),
    ("CloseDispute", "job"),
];

/// Attack: let callers carry an account that no rule reads. In at least one valid transaction of each instruction, each of its
/// accounts signs, is written, has to be at its address, is called, or holds a word on which the outcome depends.
#[test]
fn every_account_of_an_instruction_is_needed() {
    let mut needed: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for case in table().iter() {
        for (place, meta, before) in case.places() {
            let is_needed = needed.entry((case.name, case.account_name(place))).or_default();
            *is_needed = *is_needed || meta.is_signer || Place { case, place, before }.is_needed();
        }
    }
    let useless: Vec<_> = needed.iter().filter(|(_, is_needed)| !**is_needed).map(|(key, _)| *key).collect();
    assert_eq!(useless, WRITTEN_IN_OTHER_TESTS, "accounts that no rule needs");
    let declared = all().flat_map(|spec| spec.accounts.iter().map(|account| (spec.name, account.name)));
    let untried: Vec<_> = declared.filter(|account| !needed.contains_key(account)).collect();
    assert_eq!(untried, TRIED_IN_OTHER_TESTS, "accounts that no valid transaction of the table looks at");
}

/// An account of a valid transaction, as it is before it.
struct Place<'a> {
    case: &'a Case,
    place: usize,
    before: Option<AccountSharedData>,
}

impl Place<'_> {
    fn is_needed(&self) -> bool {
        self.is_written() || self.is_bound_to_its_address() || self.is_read()
    }

    fn address(&self) -> Address {
        self.case.instruction.accounts[self.place].pubkey
    }

    fn is_written(&self) -> bool {
        let after = self.case.after.iter().find(|(address, _)| *address == self.address());
        after.is_some_and(|(_, after)| self.before.as_ref() != Some(after))
    }

    /// Whether a copy somewhere else, or another program, changes what happens.
    fn is_bound_to_its_address(&self) -> bool {
        let is_program = self.before.as_ref().is_some_and(|before| before.executable());
        let elsewhere = if is_program { yes_man() } else { ELSEWHERE };
        // Of what the runtime keeps there can be no copy.
        let is_copied = !is_program && ![SLOT_HASHES, self.case.program().program_data()].contains(&self.address());
        let copy = self.before.iter().filter(|_| is_copied).map(|before| (elsewhere, before.clone()));
        let moved = self.case.changed(|changed| changed.accounts[self.place].pubkey = elsewhere);
        self.is_noticed(simulate(&self.case.chain_with(copy), &[moved]))
    }

    /// Whether the outcome depends on a word of the account's state after its header.
    fn is_read(&self) -> bool {
        let Some(before) = self.before.as_ref().filter(|before| self.case.is_state(before)) else { return false };
        let words = before.data().len() / size_of::<u64>();
        let changes = |word: usize, value: u8| {
            let mut data = before.data().to_vec();
            data[word * size_of::<u64>()..][..size_of::<u64>()].fill(value);
            let mut changed = before.clone();
            changed.set_data_from_slice(&data);
            let chain = self.case.chain_with([(self.address(), changed)]);
            self.is_noticed(simulate(&chain, std::slice::from_ref(&self.case.instruction)))
        };
        (size_of::<Header>() / size_of::<u64>()..words).any(|word| changes(word, 0xFF) || changes(word, 0))
    }

    /// Whether an outcome differs from the valid transaction's in anything but the account itself.
    fn is_noticed(&self, outcome: Result<After, Refusal>) -> bool {
        let others = |after: &After| -> BTreeMap<Address, AccountSharedData> {
            let is_itself = |address: &Address| *address == self.address() || *address == ELSEWHERE;
            after.iter().filter(|(address, _)| !is_itself(address)).cloned().collect()
        };
        outcome.map_or(true, |after| others(&after) != others(&self.case.after))
    }
}
