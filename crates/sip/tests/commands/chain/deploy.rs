//! This build's program comes onto a chain, is upgraded and frozen, by commands.

use super::*;
use sip_ledger::loader::{Deployed, Upload};

fn program(outcome: &Value) -> String {
    outcome["program"].as_str().unwrap().to_owned()
}

/// The program that a wallet deploys, and the protocol on it.
#[test]
fn a_program_is_deployed_begun_and_frozen() {
    let chain = Chain::start();
    let deployer = chain.person("deployer");
    let said = chain.refused("deployer", &["protocol", "deploy"]);
    assert!(said.contains("SHA-256") && said.contains("cost     rent") && said.contains("--yes"), "{said}");
    let would = chain.json("deployer", &["protocol", "deploy", "--dry-run"]);
    let address = program(&would);
    assert_eq!((&would["sent"], &would["signature"]), (&false.into(), &Value::Null));
    assert!(chain.refused("deployer", &["pool", "list", "--program", &address]).contains("sip protocol deploy"));

    let lamports = || chain.json("deployer", &["wallet", "show"])["balanceLamports"].amount();
    let before = lamports();
    let done = chain.json("deployer", &["protocol", "deploy", "--yes"]);
    assert_eq!(
        (program(&done), &done["cost"], &done["codeSha256"]),
        (address.clone(), &would["cost"], &would["codeSha256"])
    );
    let cost = done["cost"]["feeLamports"].amount() + done["cost"]["rentLamports"].amount();
    assert_eq!(before - lamports(), cost, "what was said beforehand is what it took");
    let said = chain.refused("deployer", &["protocol", "deploy", "--yes"]);
    assert!(said.contains("sip protocol upgrade"), "{said}");

    fn with<'a>(arguments: &[&'a str], address: &'a str) -> Vec<&'a str> {
        [&["protocol"], arguments, &["--program", address]].concat()
    }
    let on = |arguments: &[&'static str]| with(arguments, &address);
    let code = chain.json("deployer", &on(&["code"]));
    assert_eq!((&code["codeSha256"], &code["thisBuild"]), (&done["codeSha256"], &true.into()));
    assert_eq!(code["upgradeAuthority"], deployer);
    assert!(chain.refused("deployer", &on(&["upgrade", "--yes"])).contains("has this build's code already"));
    assert!(chain.refused("deployer", &on(&["freeze", "--yes"])).contains("sip protocol init"));
    chain.person("stranger");
    assert!(chain.refused("stranger", &on(&["init"])).contains("refused"));
    chain.json("deployer", &on(&["init"]));
    assert_eq!(chain.json("deployer", &on(&["show"]))["authority"], deployer);
    assert!(chain.refused("stranger", &on(&["freeze", "--yes"])).contains("is upgraded by"));
    let asked = chain.refused("deployer", &on(&["freeze"]));
    assert!(asked.contains("this build's") && asked.contains("can ever be mended"), "{asked}");
    chain.json("deployer", &on(&["freeze", "--yes"]));
    assert!(chain.refused("deployer", &on(&["upgrade", "--yes"])).contains("is immutable"));
    assert!(chain.text("deployer", &on(&["code"])).contains("nobody: it is immutable"));
    assert!(
        chain.refused("deployer", &["protocol", "abandon"]).contains("no upload of this build's code is under way")
    );
}

#[test]
fn an_upload_goes_on_where_it_was_cut_off_and_other_code_is_upgraded() {
    let chain = Chain::start();
    chain.person("deployer");
    let key = wallet(&chain.key("deployer"));
    let elf = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs/sip/sip.so")).unwrap();
    let mut ledger = Rpc::connect(&chain.url).unwrap();
    // Killed in the middle of its upload.
    let mut process = Command::new(env!("CARGO_BIN_EXE_sip"))
        .args(["protocol", "deploy", "--yes", "--url", &chain.url, "--key"])
        .arg(chain.key("deployer"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let buffer: Address =
        chain.json("deployer", &["protocol", "deploy", "--dry-run"])["buffer"].as_str().unwrap().parse().unwrap();
    let written = |ledger: &Rpc| {
        let account = ledger.account(&buffer).unwrap();
        account.map_or(0, |account| account.data.iter().filter(|byte| **byte != 0).count())
    };
    while written(&ledger) < 10_000 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(process.try_wait().unwrap().is_none(), "it was faster than it was looked at");
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let text = chain.text("deployer", &["protocol", "deploy", "--dry-run"]);
    assert!(text.contains("upload   goes on: "), "{text}");
    let done = chain.json("deployer", &["protocol", "deploy", "--yes"]);
    assert!(done["piecesSent"].as_u64().unwrap() < done["pieces"].as_u64().unwrap(), "{done}");
    let address = program(&done);

    // The same at an address whose key is given.
    let other = solana_keypair::Keypair::new();
    let program_key = chain.key("program");
    std::fs::write(&program_key, serde_json::to_string(&other.to_bytes().to_vec()).unwrap()).unwrap();
    chain.json("deployer", &["protocol", "deploy", "--yes", "--program-key", program_key.to_str().unwrap()]);
    let deployed = Deployed::read(&ledger, &other.pubkey()).unwrap().unwrap();
    assert!(deployed.is(&elf) && deployed.authority == Some(key.pubkey()));

    // A buffer with another content is refused, and given up by name.
    let foreign: Vec<u8> = elf.iter().map(|byte| !byte).collect();
    let buffer_key = solana_keypair::Keypair::new();
    let upload = |code| Upload { program_elf: code, authority: &key, buffer: &buffer_key };
    let mut pieces = 0;
    let whole = upload(&foreign).write(&mut ledger, |_| {
        pieces += 1;
        pieces < 2
    });
    assert!(!whole.unwrap());
    let refused = upload(&elf).missing(&ledger).unwrap_err().to_string();
    assert!(refused.contains("holds other code from byte 0 on"), "{refused}");
    let refused = upload(&elf[1..]).missing(&ledger).unwrap_err().to_string();
    assert!(refused.contains("expected"), "{refused}");
    assert!(Deployed::read(&ledger, &address.parse().unwrap()).unwrap().unwrap().is(&elf));
}

#[test]
fn other_code_is_upgraded_to_this_builds() {
    let chain = Chain::start();
    chain.person("deployer");
    let key = wallet(&chain.key("deployer"));
    let mut older = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs/sip/sip.so")).unwrap();
    // Another word in the read-only data verifies as well.
    let tag = older.windows(8).position(|part| part == b"sip.leaf").unwrap();
    older[tag] ^= 1;
    let mut ledger = Rpc::connect(&chain.url).unwrap();
    let [program, buffer] = [(); 2].map(|()| solana_keypair::Keypair::new());
    sip_ledger::loader::deploy(&mut ledger, &older, &key, &program, &buffer).unwrap();
    let address = program.pubkey().to_string();
    let run =
        |arguments: &[&str]| chain.json("deployer", &[&["protocol"], arguments, &["--program", &address]].concat());
    let before = run(&["code"]);
    assert_eq!(before["thisBuild"], false);
    let would = run(&["upgrade", "--dry-run"]);
    assert_eq!((&would["codeSha256Before"], &would["sent"]), (&before["codeSha256"], &false.into()));
    assert_eq!((would["cost"]["rentLamports"].amount(), &run(&["code"])), (0, &before));
    let lamports = || chain.json("deployer", &["wallet", "show"])["balanceLamports"].amount();
    let held = lamports();
    let done = run(&["upgrade", "--yes"]);
    assert!(held - lamports() <= done["cost"]["feeLamports"].amount(), "the rent of the buffer is back");
    let after = run(&["code"]);
    assert_eq!((&after["thisBuild"], &after["codeSha256"]), (&true.into(), &would["codeSha256"]));
}
