//! What the builders write before each instruction's accounts, as it was when every list of accounts was written by hand.

use crate::table::table;
use std::fmt::Write;

/// The accounts of every case in the table: whether they sign and are written, and the first letters of their addresses.
fn written() -> String {
    let mut text = String::new();
    for case in table().iter() {
        let _ = write!(text, "{}", case.name);
        for meta in &case.instruction.accounts {
            let flags = [if meta.is_signer { 's' } else { '-' }, if meta.is_writable { 'w' } else { '-' }];
            let address = meta.pubkey.to_string();
            let _ = write!(text, " {}{}{}", flags[0], flags[1], &address[..6]);
        }
        text.push('\n');
    }
    text
}

#[test]
fn builders_name_the_accounts_that_they_named_when_written_by_hand() {
    let committed = include_str!("metas.txt");
    let written = written();
    if std::env::var_os("SIP_WRITE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pitfalls/metas.txt"), &written).expect("writable");
        return;
    }
    // The hand-written list had a system program that the instruction never called.
    let others = |line: &&str| !line.starts_with("TokenizeShares ");
    let differ: Vec<_> = written
        .lines()
        .filter(others)
        .zip(committed.lines().filter(others))
        .filter(|(now, before)| now != before)
        .collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert_eq!(written.lines().count(), committed.lines().count());
}
