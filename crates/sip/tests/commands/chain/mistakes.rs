//! Mistakes with money: too much, to the wrong address, by the wrong name.

use super::first_hour::{error, in_terminal};
use super::*;
use solana_keypair::Keypair;

const SOL: u64 = 1_000_000_000;

/// A wallet whose address without its last letters is an address too.
fn with_a_beginning() -> (String, String) {
    loop {
        let address = Keypair::new().pubkey().to_string();
        let beginning = &address[..address.len() - 1];
        if beginning.parse::<Address>().is_ok() {
            return (beginning.to_owned(), address);
        }
    }
}

#[test]
fn more_sol_than_there_is_is_refused_with_the_balance() {
    let (chain, _) = begun();
    let bob = chain.person("bob");
    let (refused, exit) = error(&chain, "alice", &["wallet", "send", &bob, "5000", "--sol"]);
    assert_eq!((refused["code"].as_str(), exit), (Some("too-few-lamports"), 5), "{refused}");
    let said = refused["message"].as_str().unwrap();
    assert!(said.contains("the wallet holds 100 SOL") && said.contains("less than 5,000 SOL"), "{said}");
    // A new account's rent is too much as well: the system program says so, and not SIP.
    let all_but_a_fee = chain.json("alice", &["wallet", "show"])["balanceLamports"].amount() - 6_000_000;
    let all_but_a_fee = format!("{}.{:09}", all_but_a_fee / SOL, all_but_a_fee % SOL);
    chain.json("alice", &["wallet", "send", &bob, &all_but_a_fee, "--sol"]);
    let (refused, _) = error(&chain, "alice", &["pool", "create", "--kind", "trainer", "--bond", "1000"]);
    assert_eq!(refused["code"], "too-few-lamports", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("the wallet holds 0.00"), "{refused}");
}

#[test]
fn sol_that_is_sent_changes_two_balances_and_is_no_cost() {
    let (chain, _) = begun();
    let bob = chain.person("bob");
    let (_, fresh) = with_a_beginning();
    for (receiver, before) in [(&bob, 100 * SOL), (&fresh, 0)] {
        let sent = chain.json("alice", &["wallet", "send", receiver, "1.5", "--sol", "--anyway"]);
        let of = |account: &str| {
            let changes = sent["changes"].as_array().unwrap();
            let found = changes.iter().find(|change| change["account"] == account && change["figure"] == "SOL");
            let found = found.unwrap_or_else(|| panic!("{sent}"));
            assert_eq!(found["unit"], "lamports");
            (found["before"].amount(), found["after"].amount())
        };
        assert_eq!(of("receiver"), (before, before + 3 * SOL / 2));
        let (had, has) = of("wallet");
        assert_eq!(had - has, 3 * SOL / 2 + sent["cost"]["feeLamports"].amount());
        assert_eq!((sent["cost"]["rentLamports"].amount(), sent["cost"]["rents"].as_array().unwrap().len()), (0, 0));
    }
    let text = chain.text("alice", &["wallet", "send", &bob, "1", "--sol"]);
    assert!(text.contains("receiver, SOL") && text.contains("101.5 SOL → 102.5 SOL"), "{text}");
    assert!(!text.contains("rent"), "{text}");
}

#[test]
fn the_beginning_of_an_address_and_one_that_was_never_used_are_not_paid_by_mistake() {
    let (chain, alice) = begun();
    let (beginning, address) = with_a_beginning();
    let (refused, exit) = error(&chain, "alice", &["wallet", "send", &address, "1"]);
    assert_eq!((refused["code"].as_str(), exit), (Some("needs-yes"), 1), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("nothing on this chain has ever used"), "{refused}");
    let asked = in_terminal(&chain, 80, &format!("wallet send {address} 1 < /dev/null"));
    assert!(
        asked.split_whitespace().collect::<Vec<_>>().join(" ").contains("--anyway does it without a question"),
        "{asked}"
    );
    let sent = chain.json("alice", &["wallet", "send", &address, "1", "--anyway"]);
    assert!(sent["notes"][0].as_str().unwrap().contains("compare its letters"), "{sent}");
    // From now on it is known, and what lacks its last letter is no other.
    chain.json("alice", &["wallet", "send", &address, "1"]);
    for arguments in [
        &["wallet", "send", &beginning, "1"][..],
        &["wallet", "send", &beginning, "1", "--sol"],
        &["wallet", "send", &beginning, "1", "--dry-run"],
        &["protocol", "distribute", &beginning, "1"],
        &["protocol", "nominate", &beginning],
        &["protocol", "propose-spending", "treasury", &beginning, "1"],
    ] {
        let (refused, _) = error(&chain, "authority", arguments);
        let said = refused["message"].as_str().unwrap();
        assert!(refused["code"] == "not-an-address" && said.contains("with letters missing"), "{arguments:?}: {said}");
    }
    let dry = chain.json("alice", &["wallet", "send", "--dry-run", &with_a_beginning().1, "1"]);
    assert_eq!((&dry["sent"], dry["notes"].as_array().unwrap().len()), (&false.into(), 1), "{dry}");
    // Who holds tokens here is known by the first letters.
    assert_eq!(chain.json("authority", &["wallet", "show", &address[..8]])["wallet"], address);
    assert_eq!(chain.json("authority", &["wallet", "show", "--owner", &alice[..8]])["wallet"], alice);
}

#[test]
fn a_name_stays_with_its_address() {
    let (chain, alice) = begun();
    let bob = chain.person("bob");
    assert_eq!(chain.text("alice", &["wallet", "name", "friend", &alice]), format!("friend is {alice}\n"));
    let said = chain.refused("alice", &["wallet", "name", "friend", &bob]);
    assert!(said.contains(&alice) && said.contains("sip wallet forget friend"), "{said}");
    assert_eq!(chain.json("bob", &["wallet", "show", "friend"])["wallet"], alice);
    chain.text("alice", &["wallet", "name", "friend", &alice]);
    assert!(chain.text("alice", &["wallet", "forget", "friend"]).contains(&alice));
    // A name is given to what any command takes as an address.
    for text in [chain.key("bob").to_str().unwrap(), &bob] {
        assert_eq!(chain.json("alice", &["wallet", "name", "friend", text])["address"], bob);
    }
    chain.json("alice", &["wallet", "name", "beginning", &alice[..10]]);
    assert_eq!(chain.json("bob", &["wallet", "show", "beginning"])["wallet"], alice);
}
