//! Jobs and datasets that somebody begins: from a file and texts to accounts on the chain and a folder that is served.

use super::first_hour::error;
use super::*;
use sip_protocol::network::peer::Contact;
use sip_protocol::training::data::Dataset;

/// A text of one sentence, over and over.
pub(super) fn text(chain: &Chain, name: &str, sentence: &str) -> PathBuf {
    let path = chain.key(name);
    std::fs::write(&path, sentence.repeat(600)).unwrap();
    path
}

/// A job of two rounds of a tiny model on texts.
pub(super) fn job_file(chain: &Chain, name: &str, domains: &str) -> String {
    let path = chain.key(name);
    let rest = "[training]\nrounds = 2\nsteps = 6\nheld_out_windows = 8\n[phases]\ncommit_slots = 400\n";
    let steered = "[steer]\nlearning_rate = { least = 0.5, most = 2.0, stake_tokens = 80000 }\n";
    std::fs::write(&path, format!("{domains}{rest}{steered}")).unwrap();
    path.to_str().unwrap().to_owned()
}

pub(super) fn own(path: &Path) -> String {
    format!(
        "[model]\npreset = \"tiny\"\n[[domain]]\nname = \"foxes\"\nfiles = [\"{}\"]\nlicence = \"CC0-1.0\"\n",
        path.display()
    )
}

pub(super) fn begun_with_tokens() -> Chain {
    let chain = Chain::start();
    let address = chain.person("authority");
    chain.json("authority", &["protocol", "init"]);
    chain.json("authority", &["protocol", "distribute", &address, "50000"]);
    chain
}

#[test]
fn a_job_is_made_of_a_file_and_texts_and_begun_again_where_it_was_cut_off() {
    let chain = begun_with_tokens();
    let fox = text(&chain, "fox.txt", "A brown fox jumps over the lazy dog, again and again. ");
    let file = job_file(&chain, "job.toml", &own(&fox));
    let folder = chain.key("job");
    let out = folder.to_str().unwrap().to_owned();
    let create = ["job", "create", "--config", &file, "--out", &out];
    let would = chain.json("authority", &[&create[..], &["--dry-run"]].concat());
    assert!(!folder.exists() && would["sent"] == false, "{would}");
    assert_eq!(would["cost"]["bondBaseUnits"], digits(2_000 * TOKEN));
    assert_eq!(would["phases"][0]["why"], "as the file says");
    assert!(would["phases"][1]["why"].as_str().unwrap().starts_with("twice "), "{would}");
    // Nobody can be asked here, and nothing is sent.
    assert_eq!(error(&chain, "authority", &create).0["code"], "needs-yes");
    assert!(chain.json("authority", &["pool", "list"]).as_array().unwrap().is_empty());

    let mut cut_off = Command::new(env!("CARGO_BIN_EXE_sip"))
        .args(create)
        .args(["--yes", "--json", "--url", &chain.url, "--key"])
        .arg(chain.key("authority"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(cut_off.stdout.take().unwrap()).read_line(&mut first).unwrap();
    cut_off.kill().unwrap();
    cut_off.wait().unwrap();
    assert!(first.contains("pool for data"), "{first}");
    let made = chain.lines("authority", &[&create[..], &["--yes"]].concat());
    let made = made.last().unwrap();
    assert_eq!(made["job"], would["job"]);
    // A third time there is nothing left to do.
    assert_eq!(chain.lines("authority", &[&create[..], &["--yes"]].concat()).len(), 1);

    let job = made["job"].as_str().unwrap();
    let card = chain.json("authority", &["job", "show", job]);
    assert_eq!((&card["commitTime"], &card["state"]), (&400.into(), &"between-rounds".into()), "{card}");
    assert_eq!(card["trainedOn"][0]["domain"], "foxes", "{card}");
    let steered = &card["steered"][0];
    assert_eq!(
        (&steered["setting"], &steered["least"], &steered["most"]),
        (&"learning-rate".into(), &0.5.into(), &2.0.into())
    );
    // Everything that a round needs is there: it is opened as soon as somebody has taken the places.
    for kind in ["trainer", "auditor", "evaluator"] {
        chain.json("authority", &["pool", "create", "--kind", kind, "--bond", "5000"]);
        chain.json("authority", &["job", "join", job, kind]);
    }
    let ledger = Rpc::connect(&chain.url).unwrap();
    let (address, program) = (job.parse().unwrap(), Program::default());
    let state = Job::decode(&ledger.account(&address).unwrap().unwrap().data).unwrap();
    let key = wallet(&chain.key("authority"));
    let open = program.open_next_round(&key.pubkey(), &address, &state);
    let mut ledger = ledger;
    ledger.send(&[open], &key, &[&key]).unwrap();
    for file in ["run/manifest.sip", "run/data/tokenizer.json", "run/data/0.train.tokens", "run/data/0.heldout.tokens"]
    {
        assert!(folder.join(file).exists(), "{file}");
    }
    let (other, _) = error(
        &chain,
        "authority",
        &[
            "job",
            "create",
            "--config",
            &job_file(&chain, "other.toml", &own(&fox).replace("foxes", "dogs")),
            "--out",
            &out,
        ],
    );
    assert!(other["message"].as_str().unwrap().contains("made of another file"), "{other}");
}

#[test]
fn a_folder_that_was_filled_and_not_sent_never_takes_a_later_job_for_its_own() {
    let chain = begun_with_tokens();
    let fox = text(&chain, "fox.txt", "A brown fox jumps over the lazy dog, again and again. ");
    let dog = text(&chain, "dog.txt", "A lazy dog lies below the old tree, night after night. ");
    let files = [("foxes", &fox), ("dogs", &dog)];
    let files = files.map(|(name, text)| job_file(&chain, name, &own(text).replace("foxes", name)));
    let outs = ["first", "second"].map(|name| chain.key(name).to_str().unwrap().to_owned());
    let create = |at: usize| ["job", "create", "--config", &files[at], "--out", &outs[at]];
    // The first is filled, and nobody says yes; the second is made, under the number that the first would have had.
    assert_eq!(error(&chain, "authority", &create(0)).0["code"], "needs-yes");
    let second = chain.lines("authority", &[&create(1)[..], &["--yes"]].concat());
    let first = chain.lines("authority", &[&create(0)[..], &["--yes"]].concat());
    let [first, second] = [first, second].map(|lines| lines.last().unwrap()["job"].as_str().unwrap().to_owned());
    assert_ne!(first, second, "it is filled anew");
    let trained_on = |job: &str| chain.json("authority", &["job", "show", job])["trainedOn"][0]["domain"].clone();
    assert_eq!((trained_on(&first), trained_on(&second)), ("foxes".into(), "dogs".into()));
    // What nobody said yes to binds a folder to nothing.
    let out = chain.key("third").to_str().unwrap().to_owned();
    let third = |at: usize| ["job", "create", "--config", &files[at], "--out", &out];
    assert_eq!(error(&chain, "authority", &third(0)).0["code"], "needs-yes");
    let made = chain.lines("authority", &[&third(1)[..], &["--yes"]].concat());
    assert_eq!(trained_on(made.last().unwrap()["job"].as_str().unwrap()), "dogs");
}

#[test]
fn a_published_dataset_is_answered_for_and_trained_on_without_its_texts() {
    let chain = begun_with_tokens();
    let fox = text(&chain, "fox.txt", "A brown fox jumps over the lazy dog, again and again. ");
    let folder = chain.key("data");
    let publish =
        ["data", "publish", fox.to_str().unwrap(), "--domain", "foxes", "--licence", "CC0-1.0", "--vocabulary", "400"];
    let publish = [&publish[..], &["--out", folder.to_str().unwrap(), "--yes"]].concat();
    let made = chain.lines("authority", &publish);
    let dataset = made.last().unwrap()["dataset"].as_str().unwrap().to_owned();
    let ledger = Rpc::connect(&chain.url).unwrap();
    let state = Dataset::decode(&ledger.account(&dataset.parse().unwrap()).unwrap().unwrap().data).unwrap();
    assert_eq!(made.last().unwrap()["trainTokens"], state.train_tokens);
    assert_eq!(chain.row("authority", &["data", "list"])["domain"], "foxes");

    // A second time nothing is left to do; another name or licence would change nothing, and is refused.
    assert_eq!(chain.lines("authority", &publish).len(), 1);
    for (option, other) in [(3, "wolves"), (5, "MIT")] {
        let mut again = publish.clone();
        again[option + 1] = other;
        let (refused, _) = error(&chain, "authority", &again);
        assert!(refused["message"].as_str().unwrap().contains("as \"foxes\" under CC0-1.0"), "{refused}");
    }
    // Other texts never take the place of what somebody answers for.
    let kept = std::fs::read(folder.join("run/data/0.train.tokens")).unwrap();
    let owl = text(&chain, "owl.txt", "A grey owl sits in the old tree, night after night. ");
    let mut over = publish.clone();
    over[2] = owl.to_str().unwrap();
    let (refused, _) = error(&chain, "authority", &over);
    assert!(refused["message"].as_str().unwrap().contains(&format!("tokens of the dataset {dataset}")), "{refused}");
    assert_eq!(std::fs::read(folder.join("run/data/0.train.tokens")).unwrap(), kept);
    for (option, wrong) in [(3, "../evil"), (5, "my own")] {
        let mut again = publish.clone();
        again[option + 1] = wrong;
        assert_eq!(error(&chain, "authority", &again).0["code"], "usage");
    }
    // A folder of texts serves many jobs, and no job's files come into it.
    let (refused, _) = error(
        &chain,
        "authority",
        &["node", "run", &dataset, "--role", "provider", "--data", folder.to_str().unwrap()],
    );
    assert!(refused["message"].as_str().unwrap().contains("serve it with --texts"), "{refused}");

    // What was refused leaves nothing behind, and all that is missing is said at once.
    chain.json("-", &["wallet", "new", chain.key("poor").to_str().unwrap()]);
    let of_poor = chain.key("data of the poor");
    let mut poor = publish.clone();
    poor[10] = of_poor.to_str().unwrap();
    let (refused, code) = error(&chain, "poor", &poor);
    let said = refused["message"].as_str().unwrap();
    assert!(code == 5 && said.contains("of fees and rent; it holds 0 SIP, and this takes 1,000.000001 SIP"), "{said}");
    assert!(!of_poor.exists());

    // Its tokens are of its tokenizer, which a job has to name.
    let bare = format!("[model]\npreset = \"tiny\"\n[[domain]]\ndataset = \"{dataset}\"\n");
    let file = job_file(&chain, "bare.toml", &bare);
    let out = chain.key("job");
    let create = ["job", "create", "--yes", "--out", out.to_str().unwrap(), "--config"];
    let (refused, _) = error(&chain, "authority", &[&create[..], &[&file]].concat());
    assert!(
        refused["code"] == "usage" && refused["message"].as_str().unwrap().contains("model.tokenizer"),
        "{refused}"
    );
    let tokenizer = &folder;
    // Its address may be cut, as everywhere.
    let bare = bare.replace(&dataset, &dataset[..6]);
    let twice = format!("{bare}[[domain]]\nname = \"foxes\"\nbuiltin = \"novels\"\nmax_bytes = 100000\n");
    let named = twice.replacen("\"tiny\"\n", &format!("\"tiny\"\ntokenizer = \"{}\"\n", tokenizer.display()), 1);
    let (refused, _) = error(&chain, "authority", &[&create[..], &[&job_file(&chain, "twice.toml", &named)]].concat());
    assert!(refused["message"].as_str().unwrap().contains("two domains are called \"foxes\""), "{refused}");
    let named = bare.replacen("\"tiny\"\n", &format!("\"tiny\"\ntokenizer = \"{}\"\n", tokenizer.display()), 1);
    // Its own dataset is found by what it is called; anybody may call one so, and those of others are told by their addresses.
    let called = named.replace(&dataset[..6], "foxes");
    let file = job_file(&chain, "named.toml", &called);
    let bob = chain.person("bob");
    chain.json("authority", &["protocol", "distribute", &bob, "9000"]);
    let (refused, _) = error(&chain, "bob", &[&create[..], &[&file]].concat());
    let said = refused["message"].as_str().unwrap();
    assert!(said.contains(&format!("name it by its address: {dataset} (somebody else's, CC0-1.0")), "{said}");
    let lost = named.replace(folder.to_str().unwrap(), "no-such-folder");
    let (refused, _) = error(&chain, "authority", &[&create[..], &[&job_file(&chain, "lost.toml", &lost)]].concat());
    let said = refused["message"].as_str().unwrap();
    assert!(said.contains("there is no tokenizer.json in no-such-folder, nor in no-such-folder/run/data"), "{said}");
    let made = chain.lines("authority", &[&create[..], &[&file]].concat());
    let made = made.last().unwrap();
    assert_eq!((&made["datasets"][0], &made["pool"]), (&dataset.as_str().into(), &Value::Null));
    assert!(out.join("run/manifest.sip").exists() && !out.join("run/data/0.train.tokens").exists());
}

/// Somebody who serves what lies in a folder of a job.
pub(super) fn served(folder: &Path, scratch: &Path) -> sip_net::Server {
    let shelf = sip_net::Shelf::open(scratch).unwrap();
    for file in ["run/manifest.sip", "run/data/0.train.tokens", "run/data/0.heldout.tokens"] {
        shelf.put_file(&folder.join(file)).unwrap();
    }
    let address = ([127, 0, 0, 1], 0).into();
    sip_net::Server::start(address, &shelf, sip_net::ServeLimits::default()).unwrap()
}

#[test]
fn a_job_is_verified_from_its_chain_and_one_who_serves_it() {
    let chain = begun_with_tokens();
    let fox = text(&chain, "fox.txt", "A brown fox jumps over the lazy dog, again and again. ");
    let (file, folder) = (job_file(&chain, "job.toml", &own(&fox)), chain.key("job"));
    let create = ["job", "create", "--yes", "--config", &file, "--out", folder.to_str().unwrap()];
    let job = chain.lines("authority", &create).last().unwrap()["job"].as_str().unwrap().to_owned();
    let verify = |more: &[&str]| {
        let line = [&["verify", "--url", &chain.url, "--json", &job][..], more].concat();
        Command::new(env!("CARGO_BIN_EXE_sip")).args(line).env("SIP_NAMES", chain.key("names.json")).output().unwrap()
    };
    let said = String::from_utf8(verify(&[]).stderr).unwrap();
    assert!(said.contains("--peer names somebody"), "{said}");
    let server = served(&folder, &chain.key("shelf"));
    let output = verify(&["--peer", &server.address().to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Nobody has to be named whose record is on the chain.
    let (key, address) = (wallet(&chain.key("authority")), job.parse().unwrap());
    let contact = Contact::NOWHERE.serving_at(&format!("http://{}", server.address())).unwrap();
    let announce = Program::default().announce_peer(&key.pubkey(), &address, None, 7, &contact);
    Rpc::connect(&chain.url).unwrap().send(&[announce], &key, &[&key]).unwrap();
    let output = verify(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!((&found["verified"], &found["final"]), (&true.into(), &false.into()), "{found}");
    assert_eq!(found["baseRoot"], chain.json("authority", &["job", "show", &job])["genesisRoot"]);
    assert!(found["fetchedBytes"].as_u64().unwrap() > 100_000, "{found}");
}
