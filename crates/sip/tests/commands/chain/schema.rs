//! What commands about nodes and jobs print with `--json`, against the schema; and what a node refuses before it sends anything.

use super::first_hour::error;
use super::post::{begun_with_tokens, job_file, own, served, text};
use super::*;
use crate::law::keeps;
use sip_protocol::network::peer::{Contact, Peer};

/// A job with the creator's folder.
fn posted(chain: &Chain) -> (String, String) {
    let fox = text(chain, "fox.txt", "A brown fox jumps over the lazy dog, again and again. ");
    let (file, folder) = (job_file(chain, "job.toml", &own(&fox)), chain.key("job").to_str().unwrap().to_owned());
    let create = ["job", "create", "--config", &file, "--out", &folder];
    keeps("job create --dry-run", &chain.json("authority", &[&create[..], &["--dry-run"]].concat()));
    let made = chain.lines("authority", &[&create[..], &["--yes"]].concat());
    made.iter().for_each(|line| keeps("job create", line));
    (made.last().unwrap()["job"].as_str().unwrap().to_owned(), folder)
}

#[test]
fn every_object_of_node_and_job_commands_keeps_to_one_schema() {
    let chain = begun_with_tokens();
    let (job, folder) = posted(&chain);
    for kind in ["trainer", "auditor", "evaluator"] {
        chain.json("authority", &["pool", "create", "--kind", kind, "--bond", "5000"]);
        keeps("job join", &chain.json("authority", &["job", "join", &job, kind]));
    }
    // The creator's process opens a round, since everybody has a seat of this wallet, and is not awaited.
    let run = ["node", "run", &job, "--role", "keeper,turner", "--data", &folder, "--once", "--patience", "0"];
    let events = chain.lines("authority", &run);
    assert!(events.iter().any(|event| event["event"] == "turned"), "{events:?}");
    events.iter().for_each(|event| keeps("node run", event));
    let status = chain.json("authority", &["node", "status", "--data", &folder]);
    assert_eq!(
        (&status["state"], &status["round"], &status["phase"]),
        (&"stopped".into(), &1.into(), &"training".into())
    );
    assert!(status["walletLamports"].is_string() && status["total"]["feeLamports"].is_string(), "{status}");
    keeps("node status", &status);
    let check = ["node", "check", "--data", chain.key("check").to_str().unwrap(), "--listen", "127.0.0.1:0", "--json"]
        .map(str::to_owned);
    let check: Vec<&str> = check.iter().map(String::as_str).collect();
    let checked = String::from_utf8(chain.output("authority", &check).stdout).unwrap();
    let checked: Vec<Value> = checked.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(checked.len(), 8, "{checked:?}");
    checked.iter().for_each(|line| keeps("node check", line));
    for words in [
        &["job", "list"][..],
        &["job", "show", &job],
        &["job", "rounds", &job],
        &["job", "seats", &job],
        &["node", "plan", &job],
        &["node", "plan", &job, "--data", &folder],
        &["data", "list"],
        &["job", "leave", &job, "evaluator", "--dry-run"],
    ] {
        keeps(&words.join(" "), &chain.json("authority", words));
    }
    // Nobody serves the manifest here, so that nobody knows what a segment takes; what is paid is known.
    let fit = chain.row("authority", &["job", "list", "--fit"]);
    keeps("job list --fit", &fit);
    assert!(fit["fits"].is_null() && fit["aSegmentHereSeconds"].is_null() && fit["mostOfARoundBaseUnits"].is_string());
    let server = served(Path::new(&folder), &chain.key("shelf"));
    let (key, address) = (wallet(&chain.key("authority")), job.parse().unwrap());
    let contact = Contact::NOWHERE.serving_at(&format!("http://{}", server.address())).unwrap();
    let record = Rpc::connect(&chain.url).unwrap().account(&Program::default().peer(&address)).unwrap();
    let before = record.map(|account| Peer::decode(&account.data).unwrap());
    let announce = Program::default().announce_peer(&key.pubkey(), &address, before.as_ref(), 7, &contact);
    Rpc::connect(&chain.url).unwrap().send(&[announce], &key, &[&key]).unwrap();
    let fit = chain.row("authority", &["job", "list", "--fit"]);
    keeps("job list --fit", &fit);
    let segment = fit["aSegmentHereSeconds"].as_f64().unwrap();
    let fits = segment * 1.25 <= fit["timeForASegmentSeconds"].as_f64().unwrap();
    assert_eq!((segment > 0.0, &fit["fits"]), (true, &fits.into()), "{fit}");
    let plan = chain.json("authority", &["node", "plan", &job]);
    // A trainer has a seat, and one more would have half of the trainers' share at most.
    let (whole, half) = (plan["mostOfARoundBaseUnits"].amount(), plan["trainerEarnsARoundAtMostBaseUnits"].amount());
    assert_eq!(half, (u128::from(whole) * 5_500 / 10_000 / 2) as u64, "{plan}");
    let listed = chain.row("authority", &["job", "list"]);
    assert_eq!((&listed["rounds"], &listed["roundsScored"], &listed["rewarded"]), (&2.into(), &0.into(), &true.into()));
    // A key is the same whether there is something to say or not.
    let round = chain.row("authority", &["job", "rounds", &job]);
    assert!(
        round.as_object().unwrap().contains_key("qualityBillionths") && round["scoreMicroNats"].is_null(),
        "{round}"
    );
    assert_eq!(chain.json("authority", &["job", "show", &job])["secondAuditRateBillionths"], 950_000_000);
}

#[test]
fn a_node_is_refused_what_its_wallet_has_not_and_says_who_is_missing() {
    let chain = begun_with_tokens();
    let (job, _) = posted(&chain);
    let bob = chain.person("bob");
    chain.json("authority", &["protocol", "distribute", &bob, "9000"]);
    let (refused, _) = error(&chain, "bob", &["job", "join", &job, "auditor"]);
    assert!(refused["message"].as_str().unwrap().contains("\"sip pool create --kind auditor\" makes one"), "{refused}");
    let made = chain.json("bob", &["pool", "create", "--kind", "trainer", "--bond", "5000"]);
    chain.json("bob", &["job", "join", &job, "trainer"]);
    let data = chain.key("node").to_str().unwrap().to_owned();
    let run = |role: &'static str| ["node", "run", &job, "--role", role, "--data", &data, "--once"].map(str::to_owned);
    // Another role than its seat's is refused, and nothing is sent.
    let words = run("auditor");
    let (refused, code) = error(&chain, "bob", &words.iter().map(String::as_str).collect::<Vec<_>>());
    let said = refused["message"].as_str().unwrap();
    assert!(code == 2 && said.contains("a seat as trainer in this job, and none as auditor"), "{said}");
    let pool = Program::default().pool(PoolKind::Trainer, &bob.parse().unwrap(), 0);
    let record = || Rpc::connect(&chain.url).unwrap().account(&Program::default().peer(&pool)).unwrap();
    assert!(record().is_none() && made["sent"] == true);
    // Where nobody serves what it needs, it ends and says who should.
    let words = run("trainer");
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["--json"]).collect();
    let output = chain.output("bob", &words);
    let refused: Value = serde_json::from_slice(&output.stderr).unwrap();
    keeps("node run", &refused);
    let (refused, code) = (&refused["error"], output.status.code().unwrap());
    let said = refused["message"].as_str().unwrap();
    assert!(code == 4 && refused["code"] == "nobody-has-it" && said.contains("--role keeper"), "{said}");
    // A wallet is no job.
    let export = ["job", "export", &bob, "--out", chain.key("model").to_str().unwrap()].map(str::to_owned);
    let (refused, _) = error(&chain, "bob", &export.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((&refused["code"], &refused["message"]), (&"wrong-account".into(), &format!("{bob} is no job").into()));
    // A key file is never written over, and says whose it is.
    let kept = chain.refused("bob", &["wallet", "new", chain.key("bob").to_str().unwrap()]);
    assert!(kept.contains(&format!("holds the wallet {bob}, and is left as it is")), "{kept}");
}
