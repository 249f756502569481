//! What a newcomer meets in the first hour: errors for programs, costs, names, narrow terminals, questions before what cannot be undone.

use super::*;

/// The error object of a command that fails with `--json`, and its exit code.
pub(super) fn error(chain: &Chain, who: &str, arguments: &[&str]) -> (Value, i32) {
    let output = chain.output(who, &[arguments, &["--json"]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty() && said.lines().count() == 1, "{arguments:?}: {said}");
    let object: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{arguments:?}: {said}"));
    let error = object["error"].clone();
    assert_eq!(error["exitCode"].as_i64(), output.status.code().map(i64::from), "{error}");
    (error, output.status.code().unwrap())
}

#[test]
fn errors_are_objects_with_stable_codes_and_exit_codes() {
    let chain = Chain::start();
    chain.person("authority");
    chain.person("poor");
    let nobody = "11111111111111111111111111111111";
    assert_eq!(error(&chain, "poor", &["protocol", "show"]).0["code"], "not-begun");
    assert_eq!(error(&chain, "poor", &["stake", "deposit", "SIP", "1"]).0["code"], "not-an-address");
    chain.json("authority", &["protocol", "init"]);
    for (arguments, code, exit) in [
        (&["pool", "lst"][..], "usage", 2),
        (&["pool", "list", "--dry-run"], "usage", 2),
        (&["pool", "create", "--kind", "trainer", "--bond", "-5"], "usage", 2),
        (&["pool", "show", "nobody"], "not-an-address", 1),
        (&["pool", "show", nobody], "wrong-account", 1),
        (&["pool", "create", "--kind", "trainer", "--bond", "2000"], "too-few-tokens", 5),
        (&["protocol", "pause"], "program-refused", 5),
        (&["protocol", "init", "--parameters", "nowhere"], "not-found", 1),
        (&["wallet", "send", nobody, "1", "--anyway"], "too-few-tokens", 5),
        (&["pool", "list", "--program", "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"], "no-program", 1),
    ] {
        let (error, code_of_exit) = error(&chain, "poor", arguments);
        assert_eq!((error["code"].as_str(), code_of_exit), (Some(code), exit), "{arguments:?}: {error}");
        assert_eq!(error["retryable"], false);
    }
    let (refused, _) = error(&chain, "poor", &["protocol", "pause"]);
    assert_eq!(refused["programError"]["name"], "NotAuthority", "{refused}");
    let lost = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sip")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = lost(&["pool", "list", "--json", "--url", "http://127.0.0.1:1"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["error"]["retryable"]), (Some(4), &true.into()), "{said}");
    assert!(said["error"]["hint"].as_str().unwrap().contains("sip localnet"), "{said}");
    let (code, said) = lost(&["pool", "list", "--url", "nowhere"]);
    assert!(code == Some(2) && said.contains("localhost, devnet, testnet or mainnet"), "{code:?} {said}");
    let (_, said) = lost(&["--help"]);
    assert!(said.is_empty());
}

#[test]
fn an_old_chain_takes_no_other_authority() {
    let mut chain = Chain::start();
    let stopped = Command::new("kill").args(["-INT", &chain.process.id().to_string()]).status().unwrap();
    assert!(stopped.success() && chain.process.wait().unwrap().success());
    let folder = chain.key("chain");
    for option in ["--authority", "--faucet"] {
        let other = chain.key("other");
        let _ = std::fs::remove_file(&other);
        let made = chain.json("-", &["wallet", "new", other.to_str().unwrap()]);
        let value = if option == "--faucet" { other.to_str().unwrap() } else { made["address"].as_str().unwrap() };
        let start = ["localnet", "--port", "0", "--data", folder.to_str().unwrap(), option, value];
        let output = Command::new(env!("CARGO_BIN_EXE_sip")).args(start).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("only a new chain takes another"), "{option}: {said}");
    }
}

#[test]
fn a_job_says_what_it_is_trained_on() {
    let (chain, _) = begun();
    let job = job(&chain).to_string();
    let card = chain.json("alice", &["job", "show", &job]);
    let trained_on = card["trainedOn"].as_array().unwrap().iter();
    let trained_on: Vec<_> =
        trained_on.map(|of| (of["domain"].as_str().unwrap(), of["trainingTokens"].as_u64())).collect();
    assert_eq!(trained_on, [("letters", Some(1_000)), ("ballads", Some(1_000))]);
    assert_eq!(card["steered"][0]["setting"], "learning-rate");
    let told = chain.text("alice", &["job", "show", &job.to_string()]);
    assert!(told.contains("learning-rate 0.5000 to 2.0000, 1.0000 without stake"), "{told}");
    // A simulation writes no page where nobody asked for one.
    let folder = tempfile::tempdir().unwrap();
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_sip"));
    let output = simulate.current_dir(folder.path()).args(["emission", "--years", "1", "--json"]).output().unwrap();
    assert!(output.status.success() && std::fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[test]
fn a_cost_is_fee_and_rent_and_says_what_comes_back() {
    let (chain, _) = begun();
    let lamports = || chain.json("alice", &["wallet", "show"])["balanceLamports"].amount();
    let create = ["pool", "create", "--kind", "trainer", "--bond", "1000"];
    let before = lamports();
    let would = chain.json("alice", &[&create[..], &["--dry-run"]].concat());
    let made = chain.json("alice", &create);
    let cost = |outcome: &Value| {
        let part = |name: &str| outcome["cost"][name].amount();
        part("feeLamports") + part("rentLamports") - part("returnedLamports")
    };
    assert_eq!(cost(&made), before - lamports());
    assert_eq!(would["cost"], made["cost"]);
    assert!(made["cost"]["comesBackLamports"].amount() == 0 && cost(&made) > 5_000_000, "{made}");
    chain.json("alice", &["stake", "deposit", "trainer", "10"]);
    chain.advance(ACTIVATION_SLOTS);
    let exit = chain.json("alice", &["exit", "request", "trainer", "all"]);
    assert!(exit["cost"]["comesBackLamports"].amount() > 1_000_000, "{exit}");
    let back = chain.json("alice", &["exit", "cancel", "trainer", "0"]);
    assert_eq!(back["cost"]["returnedLamports"], exit["cost"]["comesBackLamports"]);
    let text = chain.text("alice", &["exit", "request", "trainer", "all"]);
    assert!(text.contains("SOL of the exit (comes back when the exit is claimed or cancelled)"), "{text}");
}

#[test]
fn all_takes_what_is_pending_along() {
    let (chain, _) = begun();
    chain.json("authority", &["pool", "create", "--kind", "trainer", "--bond", "1000"]);
    let pool = chain.row("alice", &["pool", "list"])["pool"].as_str().unwrap().to_owned();
    chain.json("alice", &["stake", "deposit", &pool, "1000"]);
    chain.advance(ACTIVATION_SLOTS / 2);
    chain.json("alice", &["stake", "activate", &pool]);
    chain.json("alice", &["exit", "request", &pool, "all"]);
    let exits = chain.json("alice", &["exit", "list"]);
    let leaving: u64 = exits.as_array().unwrap().iter().map(|exit| exit["tokensBaseUnits"].amount()).sum();
    assert_eq!((exits.as_array().unwrap().len(), leaving), (2, 1_000 * TOKEN), "{exits}");
    let left = chain.row("alice", &["stake", "list"]);
    assert_eq!((left["worthBaseUnits"].amount(), left["pendingBaseUnits"].amount()), (0, 0));
}

#[test]
fn addresses_have_beginnings_and_names() {
    let (chain, alice) = begun();
    let job = job(&chain).to_string();
    let said = chain.refused("alice", &["job", "show", &job[..3]]);
    assert!(said.contains("the first 4 letters or more of a job"), "{said}");
    assert_eq!(chain.json("alice", &["job", "show", &job[..8]])["job"], job);
    chain.json("authority", &["pool", "create", "--kind", "trainer", "--bond", "1000"]);
    let pool = chain.row("alice", &["pool", "list", "--kind", "trainer"])["pool"].as_str().unwrap().to_owned();
    assert_eq!(chain.json("authority", &["pool", "show", "trainer"])["pool"], pool);
    assert_eq!(chain.json("alice", &["pool", "show", &pool[..6]])["pool"], pool);
    chain.json("alice", &["stake", "deposit", &pool[..6], "10"]);
    chain.json(
        "alice",
        &["steer", "add", &job[..8], "novels-or-not", "1"]
            .map(|word| if word == "novels-or-not" { "ballads" } else { word }),
    );
    let attention = format!("{}/ballads", &job[..8]);
    assert_eq!(chain.json("alice", &["pool", "show", &attention])["kind"], "attention");
    let key = chain.key("alice");
    for owner in [&alice[..8], key.to_str().unwrap()] {
        assert_eq!(chain.json("authority", &["stake", "list", "--owner", owner]).as_array().unwrap().len(), 2);
    }
    assert!(chain.text("alice", &["stake", "list"]).contains("ballads of job"), "one sees what attention is for");

    chain.text("alice", &["wallet", "name", "best", &pool]);
    assert_eq!(chain.json("alice", &["pool", "show", "best"])["pool"], pool);
    assert!(chain.text("alice", &["pool", "list"]).contains("\nbest "));
    assert!(chain.text("alice", &["pool", "show", "best"]).contains(&format!("{pool} (best)")));
    assert_eq!(chain.row("alice", &["wallet", "names"])["name"], "best");
    assert!(chain.refused("alice", &["wallet", "name", "all", &pool]).contains("choose another name"));
    chain.text("alice", &["wallet", "forget", "best"]);
    assert!(chain.refused("alice", &["pool", "show", "best"]).contains("is no address"));
    let mistyped = format!("{}0", &pool[..pool.len() - 1]);
    assert!(chain.refused("alice", &["pool", "show", &mistyped]).contains("a letter of this is wrong or missing"));
}

#[test]
fn tokens_and_sol_are_sent_and_found_again() {
    let (chain, alice) = begun();
    let bob = chain.person("bob");
    assert_eq!(chain.json("alice", &["wallet", "address"])["address"], alice);
    let before = chain.tokens("alice");
    let sent = chain.json("alice", &["wallet", "send", &bob, "1,234.5"]);
    assert_eq!(change(&sent, "tokens"), before - 1_234 * TOKEN - TOKEN / 2);
    assert_eq!(chain.tokens("bob"), 1_234 * TOKEN + TOKEN / 2);
    chain.json("bob", &["wallet", "send", "--sol", &alice, "1.5"]);
    chain.json("bob", &["wallet", "send", &alice, "all"]);
    assert_eq!((chain.tokens("bob"), chain.tokens("alice")), (0, before));
    assert!(chain.refused("bob", &["wallet", "send", &alice, "1"]).contains("holds 0 SIP, less than 1 SIP"));
    let vault = chain.json("alice", &["protocol", "show"])["vault"].as_str().unwrap().to_owned();
    assert!(chain.refused("alice", &["wallet", "send", &vault, "1"]).contains("is no wallet"));
    let history = chain.json("bob", &["wallet", "history"]);
    let changes: Vec<(&str, &str)> = (history.as_array().unwrap().iter())
        .map(|row| (row["tokensBaseUnits"].as_str().unwrap(), row["balanceLamports"].as_str().unwrap()))
        .collect();
    assert_eq!(changes[0], ("-1234500000000", "-5000"));
    assert!(changes.contains(&("1234500000000", "0")) && changes.contains(&("0", "100000000000")), "{changes:?}");
    assert!(changes.contains(&("0", "-1500005000")), "{changes:?}");
    assert!(chain.text("bob", &["wallet", "history", "--limit", "2"]).contains("-1,234.5 SIP"));
}

#[test]
fn steering_and_locking_say_what_they_make_of_the_mixture() {
    let (chain, _) = begun();
    let job = job(&chain).to_string();
    let notes = |arguments: &[&str]| chain.json("alice", arguments)["notes"].to_string();
    let told = notes(&["steer", "add", &job, "ballads", "300", "--dry-run"]);
    assert!(told.contains("letters 50.00 % → 10.00 %, ballads 50.00 % → 90.00 %"), "{told}");
    notes(&["steer", "add", &job, "ballads", "300"]);
    notes(&["steer", "add", &job, "letters", "300"]);
    let told = notes(&["steer", "add", &job, "learning-rate:up", "1000"]);
    assert!(told.contains("learning-rate 1.0000 → 1.5000") && !told.contains("letters"), "{told}");
    chain.advance(ACTIVATION_SLOTS);
    let due = chain.output("alice", &["stake", "list"]);
    assert!(String::from_utf8(due.stderr).unwrap().contains("1,600 SIP are due, and count from"));
    assert_eq!(chain.json("alice", &["stake", "activate"])["changes"].as_array().unwrap().len() % 2, 0);
    assert!(chain.refused("alice", &["stake", "activate"]).contains("no pending stake is due"));
    // Nobody has staked on the other side: the pool is made on the way.
    let told = notes(&["steer", "move", &job, "learning-rate:up", "learning-rate:down", "all"]);
    assert!(told.contains("learning-rate 1.5000 → 0.7500"), "{told}");
    let asked = chain.refused("alice", &["lock", "create", &job, "ballads", "100", "--months", "48"]);
    for part in
        ["100 SIP on ballads stay locked until slot", "UTC", "nothing takes that back", "the lock adds 1", "--yes"]
    {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    let told = notes(&["lock", "create", &job, "ballads", "100", "--months", "48", "--dry-run"]);
    assert!(told.contains("ballads 50.00 % → 59.99"), "{told}");
}

/// What a command shows in a pseudo-terminal of so many columns.
pub(super) fn in_terminal(chain: &Chain, columns: u32, command: &str) -> String {
    let line = format!("stty rows 24 cols {columns}; {} {command}", env!("CARGO_BIN_EXE_sip"));
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).env_remove("COLUMNS");
    let output = script.env("SIP_URL", &chain.url).env("SIP_KEY", chain.key("alice")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
}

#[test]
fn a_terminal_of_eighty_columns_shows_whole_lines() {
    let (chain, _) = begun();
    let job = job(&chain).to_string();
    for command in [format!("steer show {job}"), "pool list".into(), "protocol show".into(), "--help".into()] {
        let wide = in_terminal(&chain, 200, &command);
        let narrow = in_terminal(&chain, 80, &command);
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{command}: {narrow}");
        assert!(narrow.lines().count() >= wide.lines().count() && wide.lines().count() > 1, "{command}: {wide}");
    }
    // Where somebody can be asked, a question stands before what cannot be undone; silence is no.
    chain.json("alice", &["pool", "create", "--kind", "trainer", "--bond", "1000"]);
    let asked = in_terminal(&chain, 80, "pool retire trainer < /dev/null");
    let asked = asked.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(asked.contains("--yes does it without a question"), "{asked}");
}

#[test]
fn lists_keep_to_eighty_columns() {
    let (chain, _) = begun();
    let job = job(&chain).to_string();
    chain.json("alice", &["steer", "add", &job, "ballads", "300"]);
    chain.json("authority", &["pool", "create", "--kind", "trainer", "--bond", "1000"]);
    for columns in ["40", "60", "80"] {
        for arguments in [
            &["steer", "show", &job][..],
            &["job", "list"],
            &["job", "show", &job],
            &["job", "seats", &job],
            &["pool", "list"],
            &["stake", "list"],
            &["protocol", "show"],
            &["wallet", "history"],
            &["stake", "deposit", "trainer", "1", "--dry-run"],
            &["pool", "--help"],
            &["--help"],
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sip"));
            command
                .args(arguments)
                .env("COLUMNS", columns)
                .env("SIP_URL", &chain.url)
                .env("SIP_KEY", chain.key("authority"));
            let output = command.output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            // Addresses and signatures stay whole: they are copied.
            let limit = columns.parse::<usize>().unwrap().max(49);
            let wide =
                text.lines().find(|line| line.chars().count() > limit && line.split(' ').all(|word| word.len() < 80));
            assert!(output.status.success() && wide.is_none(), "{columns} {arguments:?}: {wide:?}\n{text}");
        }
    }
}
