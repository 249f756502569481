//! Epochs, proposals, the authority and accounts of an older layout.

use super::*;

#[test]
fn epochs_turn_and_pools_get_their_yield() {
    let (chain, _) = begun();
    chain.json("authority", &["pool", "create", "--kind", "data", "--bond", "1000"]);
    let pool = chain.row("alice", &["pool", "list"])["pool"].as_str().unwrap().to_owned();
    let epoch = || chain.json("alice", &["emission", "show"])["epoch"].as_u64().unwrap();
    let early = chain.refused("alice", &["emission", "turn"]);
    assert!(early.contains("epoch 0 ends at slot") && early.contains("in about"), "{early}");
    chain.json("alice", &["emission", "settle", &pool]);
    chain.advance(Schedule::DEFAULT.epoch_slots);
    let would = chain.json("alice", &["emission", "turn", "--dry-run"]);
    assert_eq!((change(&would, "epoch"), epoch()), (1, 0));
    chain.json("alice", &["emission", "turn"]);
    assert_eq!(epoch(), 1);
    // The yield is spread over the epoch that begins, and the pool passes on what it gets over the same number of slots.
    chain.advance(Schedule::DEFAULT.epoch_slots);
    let settled = chain.json("alice", &["emission", "settle"]);
    assert!(change(&settled, "yield to pass on") > TOKEN, "0.2 % of 1,000 tokens");
    chain.advance(2 * Schedule::DEFAULT.epoch_slots);
    let settled = chain.json("alice", &["emission", "settle"]);
    assert!(change(&settled, "owed to the operator") > TOKEN);
    let text = chain.text("alice", &["emission", "show"]);
    assert!(text.contains("low demand") && text.contains("0.1896 %"), "{text}");

    // Without a chain it simulates, with or without its name.
    let simulate = |arguments: &[&str]| {
        let out = chain.folder.path().join("emission.html");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sip"));
        command.arg("emission").args(arguments).args(["--years", "2", "--json", "--out"]).arg(&out);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    assert!(simulate(&[]) == simulate(&["simulate"]) && simulate(&[]) != simulate(&["--staked", "31"]));
}

#[test]
fn governance_proposes_waits_and_hands_over() {
    let (chain, alice) = begun();
    let show = || chain.json("alice", &["protocol", "show"]);
    let propose = |who: &str, arguments: &[&str]| chain.output(who, &[&["protocol"], arguments].concat());
    let refused = |who: &str, arguments: &[&str]| chain.refused(who, &[&["protocol"], arguments].concat());
    let run = |who: &str, arguments: &[&str]| chain.json(who, &[&["protocol"], arguments].concat());

    assert!(refused("alice", &["apply"]).contains("nothing is proposed"));
    assert!(refused("alice", &["propose-parameters", "bounty=12.5%"]).contains("is not the authority"));
    assert!(refused("authority", &["propose-parameters", "slosh=1"]).contains("there is no \"slosh\" to set"));
    assert!(refused("authority", &["propose-parameters", "trainers=1%"]).contains("these parameters cannot be"));
    assert!(refused("authority", &["propose-parameters", "bounty=50%"]).contains("already"));
    let proposed = propose("authority", &["propose-parameters", "bounty=12.5%", "round-reward=5_000"]);
    let proposed = String::from_utf8(proposed.stdout).unwrap();
    assert!(proposed.contains("round reward 10,000 SIP → 5,000 SIP, bounty 50.00 % → 12.50 %"), "{proposed}");
    assert!(show()["proposal"].as_str().unwrap().contains("bounty 50.00 % → 12.50 %"));
    assert!(refused("alice", &["apply"]).contains("(in about 1.8 hours"));
    chain.advance(DEFAULT_TIMELOCK_SLOTS);
    assert_eq!(change(&run("alice", &["apply"]), "bounty"), 1_250);
    let shown = show();
    assert_eq!((&shown["bountyBps"], &shown["roundRewardBaseUnits"]), (&1_250.into(), &digits(5_000 * TOKEN)));
    assert_eq!(shown["proposal"], Value::Null);

    let before = chain.tokens("alice");
    run("authority", &["propose-spending", "treasury", &alice, "1000"]);
    run("authority", &["cancel"]);
    assert!(refused("authority", &["cancel"]).contains("nothing is proposed"));
    run("authority", &["propose-spending", "treasury", &alice, "700"]);
    chain.advance(DEFAULT_TIMELOCK_SLOTS);
    run("alice", &["apply"]);
    assert_eq!(chain.tokens("alice"), before + 700 * TOKEN);

    run("authority", &["propose-schedule", "decay=0.2%", "nodes-reference=50"]);
    chain.advance(DEFAULT_TIMELOCK_SLOTS);
    run("alice", &["apply"]);
    let emission = chain.json("alice", &["emission", "show"]);
    assert_eq!((&emission["decayBillionths"], &emission["nodesReference"]), (&2_000_000.into(), &50.into()));
    run("authority", &["propose-schedule", "decay=0.3%"]);
    chain.advance(DEFAULT_TIMELOCK_SLOTS + LIFETIME_SLOTS + 1);
    assert!(refused("alice", &["apply"]).contains("propose it again"));

    assert!(refused("authority", &["claim-vested"]).contains("nothing to claim"));
    chain.advance(2 * YEAR_SLOTS);
    let vested = run("authority", &["claim-vested", "--to", &alice]);
    assert!(change(&vested, "tokens") > CAP / 100 * 15 / 4);
    assert!(refused("alice", &["accept"]).contains("is not nominated"));
    assert!(refused("authority", &["nominate", "nobody"]).contains("is no address"));
    run("authority", &["nominate", &alice]);
    assert_eq!(show()["nominated"], alice);
    run("alice", &["accept"]);
    assert_eq!((&show()["authority"], &show()["nominated"]), (&alice.clone().into(), &Value::Null));
    assert!(refused("authority", &["pause"]).contains("is not the authority"));
    assert!(change(&run("alice", &["pause"]), "paused until slot") > 0);
    assert!(refused("alice", &["migrate", &alice]).contains("is no account of the program"));
    let config = Program::default().config().to_string();
    assert!(refused("alice", &["migrate", &config]).contains("not of the layout before"));
}

#[test]
fn an_account_of_an_older_layout_is_named_and_migrated() {
    let (mut chain, _) = begun();
    chain.json("authority", &["pool", "create", "--kind", "data", "--bond", "1000"]);
    let pool = chain.row("alice", &["pool", "list"])["pool"].as_str().unwrap().to_owned();
    // Stop the chain, and leave the pool as the first version's program would have.
    let stopped = Command::new("kill").args(["-INT", &chain.process.id().to_string()]).status().unwrap();
    assert!(stopped.success() && chain.process.wait().unwrap().success());
    let path = chain.folder.path().join("chain/snapshot");
    let mut ledger = Embedded::restore(&path, Program::default().id, PROGRAM_ELF).unwrap();
    let address: Address = pool.parse().unwrap();
    let mut account = ledger.account(&address).unwrap();
    account.data.truncate(288);
    account.data[1] = 1;
    ledger.set_account(address, account).unwrap();
    ledger.snapshot(&path).unwrap();
    let folder = std::mem::replace(&mut chain.folder, tempfile::tempdir().unwrap());
    let chain = Chain::start_in(folder);

    for arguments in [&["pool", "show", &pool][..], &["pool", "list"]] {
        let error = chain.refused("alice", arguments);
        assert!(error.contains("has an older layout") && error.contains("sip protocol migrate"), "{error}");
    }
    chain.json("alice", &["protocol", "migrate", &pool]);
    assert_eq!(chain.row("alice", &["pool", "list"])["ownBondBaseUnits"], digits(1_000 * TOKEN));
    chain.json("alice", &["stake", "deposit", &pool, "1"]);
}
