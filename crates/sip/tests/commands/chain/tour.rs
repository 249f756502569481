//! The five persons of the README go through their first hour in a terminal of 80 columns, and what they see is kept.

use super::*;
use crate::snapshot::{compare, screen, shape};
use solana_keypair::Keypair;
use std::io::Write as _;

const COLUMNS: usize = 80;

/// A chain whose slots pass only when asked, and keys that are the same every time.
fn begun_alike() -> Chain {
    let folder = tempfile::tempdir().unwrap();
    for (number, name) in ["authority", "alice", "bob", "faucet"].iter().enumerate() {
        let key = Keypair::new_from_array([number as u8 + 1; 32]);
        std::fs::write(folder.path().join(name), format!("{:?}", key.to_bytes())).unwrap();
    }
    let text = "A brown fox jumps over the lazy dog, again and again, until the dog gets up and walks away. ";
    std::fs::create_dir(folder.path().join("texts")).unwrap();
    std::fs::write(folder.path().join("texts/fox.txt"), text.repeat(400)).unwrap();
    std::fs::write(folder.path().join("texts/dog.md"), text.to_uppercase().repeat(400)).unwrap();
    Chain::start_with(folder, &["--slot-ms", "0"])
}

/// What somebody sees: every command as it was typed, and what stood on the terminal then.
struct Session<'a> {
    chain: &'a Chain,
    who: &'a str,
    seen: String,
}

impl<'a> Session<'a> {
    fn of(chain: &'a Chain, who: &'a str) -> Session<'a> {
        Session { chain, who, seen: String::new() }
    }

    /// Types a line, and an answer where a question comes.
    fn types(&mut self, line: &str, answer: &str) {
        let words = line.replacen("sip", env!("CARGO_BIN_EXE_sip"), 1);
        let mut script = Command::new("script");
        script.args(["-qec", &format!("stty rows 24 cols {COLUMNS} -echo; {words}"), "/dev/null"]);
        for variable in ["COLUMNS", "SIP_PROGRAM", "SIP_SIMD"] {
            script.env_remove(variable);
        }
        script
            .current_dir(self.chain.folder.path())
            .env("TERM", "xterm")
            .env("SIP_URL", &self.chain.url)
            .env("SIP_KEY", self.who)
            .env("SIP_NAMES", "names.json")
            .env("SIP_THREADS", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut running = script.spawn().unwrap();
        running.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        let output = running.wait_with_output().unwrap();
        // The answer is not echoed, nor is the end of its line.
        let lines = screen(&String::from_utf8(output.stdout).unwrap().replace("[y/N] ", "[y/N]\n"));
        for shown in &lines {
            let has_long_word = shown.split_whitespace().any(|word| word.chars().count() > COLUMNS / 2);
            assert!(shown.chars().count() <= COLUMNS || has_long_word, "{line}: {shown}");
            assert!(!shown.contains("[=") && !shown.contains("[>"), "{line}: a bar is left: {shown}");
        }
        // What is typed before it is asked for is echoed, or not, at the top.
        let is_echo = |shown: &&String| !answer.is_empty() && **shown == answer.trim_end();
        let text = lines.iter().filter(|shown| !is_echo(shown)).cloned().collect::<Vec<String>>().join("\n");
        self.seen += &format!("$ {line}\n{}\n", normal(text.trim_end()));
        if !output.status.success() {
            self.seen += &format!("(exit code {})\n", output.status.code().unwrap_or(-1));
        }
        self.seen.push('\n');
    }

    fn goes_on(&mut self, lines: &[&str]) {
        lines.iter().for_each(|line| self.types(line, ""));
    }

    fn keep(self, name: &str) {
        compare(&format!("tour/{name}.txt"), &self.seen);
    }
}

/// A text without what is another every time: signatures, dates, ports, paces, and compute units.
fn normal(text: &str) -> String {
    let word = |word: &str| -> String {
        let (start, rest) = word.split_at(word.len() - word.trim_start_matches(['(', '"']).len());
        let core = rest.trim_end_matches([')', ',', '.', ';', '"', ':']);
        let end = &rest[core.len()..];
        let is_base58 = |text: &str| text.chars().all(|char| char.is_ascii_alphanumeric());
        let digits = |text: &str| !text.is_empty() && text.chars().all(|char| char.is_ascii_digit());
        let is_date = core.split('-').count() == 3 && core.split('-').all(digits);
        let is_time = core.split(':').count() >= 2 && core.split(':').all(digits);
        let told = match core {
            _ if core.len() >= 80 && is_base58(core) => "SIGNATURE",
            _ if core.starts_with("http://127.0.0.1:") => "http://127.0.0.1:PORT",
            _ if is_date => "DATE",
            _ if is_time => "TIME",
            _ => core,
        };
        format!("{start}{told}{end}")
    };
    let line = |line: &str| -> String {
        let words: Vec<String> = line.split(' ').map(word).collect();
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        for index in 0..words.len() {
            let after = |more: usize| words.get(index + more).copied().unwrap_or_default();
            let is_pace = after(1).starts_with("tokens") && after(2) == "per" && after(3).starts_with("second");
            let is_units = after(1) == "compute" && after(2).starts_with("units");
            let number = words[index].trim_start_matches('(');
            let is_time = after(1).trim_end_matches(['.', ',', ')', ';']) == "s" && number.parse::<f64>().is_ok();
            let is_engine = words[index].starts_with("(avx")
                || words[index].starts_with("(scalar")
                || words[index].starts_with("(neon");
            let is_part = after(1) == "%" && after(2) == "of" && after(3) == "it";
            // Rents and sizes follow from layouts, which are kept elsewhere.
            let is_rent = after(1).starts_with("SOL") && words[index].contains('.');
            let is_size = after(1).starts_with("bytes") && words[index].parse::<u32>().is_ok();
            if is_pace || is_units || is_time || is_part || is_rent || is_size {
                words[index] = "N";
            }
            if is_engine {
                words[index] = "(SIMD)";
            }
        }
        // How long something took is told only where it took long.
        words.join(" ").replace("should be N s)", "should be")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn five_persons_see_what_they_are_told() {
    let chain = begun_alike();
    let mut worker = Session::of(&chain, "authority");
    worker.goes_on(&[
        "sip wallet address",
        "sip wallet show",
        "sip wallet airdrop 20",
        "sip protocol show",
        "sip protocol init",
    ]);
    worker.goes_on(&["sip pool create --kind trainer --bond 5000"]);
    let [authority, alice, bob] =
        ["authority", "alice", "bob"].map(|name| wallet(&chain.key(name)).pubkey().to_string());
    worker.types(&format!("sip protocol distribute {authority} 100000"), "");
    worker.types(&format!("sip protocol distribute {alice} 5000"), "y\n");
    worker.goes_on(&[
        "sip pool create --kind trainer --bond 500",
        "sip pool create --kind trainer --bond 5000 --dry-run",
        "sip pool create --kind trainer --bond 5000",
        "sip pool list",
        "sip pool show trainer",
        "sip job list",
        "sip wallet history --limit 3",
        "sip wallet send bob 5000 --sol",
        "sip stake deposit trainer 99999999",
        "sip pool retire trainer",
    ]);
    worker.keep("worker");

    let job = job(&chain).to_string();
    let mut patron = Session::of(&chain, "alice");
    patron.goes_on(&["sip wallet airdrop", "sip wallet name", "sip stake deposit trainer 1"]);
    patron.types(&format!("sip wallet name job {job}"), "");
    patron.types(&format!("sip wallet send {bob} 5"), "n\n");
    patron.types(&format!("sip wallet send {bob} 5"), "y\n");
    patron.goes_on(&[
        "sip job list",
        "sip job show job",
        "sip steer show job",
        "sip steer add job ballads 300 --dry-run",
        "sip steer add job ballads 300",
        "sip steer add job poems 300",
        "sip steer add job learning-rate:up 1,000",
        "sip stake list",
    ]);
    chain.advance(ACTIVATION_SLOTS);
    patron.goes_on(&["sip stake list", "sip stake activate", "sip steer show job"]);
    patron.types("sip lock create job ballads 100 --months 48", "n\n");
    patron.types("sip lock create job ballads 100 --months 48", "y\n");
    patron.goes_on(&[
        "sip exit request job/ballads all",
        "sip exit request job/learning-rate:up all",
        "sip exit list",
        "sip rewards claim",
        "sip wallet show",
    ]);
    patron.keep("patron");

    let mut designer = Session::of(&chain, "authority");
    designer.goes_on(&[
        "sip protocol show",
        "sip protocol propose-parameters bounty=400% --dry-run",
        "sip protocol propose-parameters bonty=40% --dry-run",
        "sip protocol propose-parameters bounty=40%",
        "sip protocol apply",
        "sip emission show",
        "sip emission turn",
        "sip emission --years 3 --out emission.html",
        "sip security --trials 500",
        "sip quality --jobs 3 --beginnings 1 --out quality.html",
    ]);
    designer.keep("designer");
    shapes(&chain, &job);
}

/// What programs get, by keys and kinds.
fn shapes(chain: &Chain, job: &str) {
    let mut kept = String::new();
    for line in [
        "wallet address",
        "wallet show",
        "wallet history --limit 1",
        "wallet names",
        "protocol show",
        "protocol code",
        "protocol propose-parameters bounty=30% --dry-run",
        "pool list",
        "pool show trainer",
        "job list",
        "job show JOB",
        "job seats JOB",
        "job rounds JOB",
        "steer show JOB",
        "steer add JOB letters 1 --dry-run",
        "steer votes",
        "stake list --owner alice",
        "exit list --owner alice",
        "lock show JOB ballads",
        "fee show JOB",
        "emission show",
        "emission --years 1",
        "wallet send alice 999999999",
        "pool show nobody",
        "generate The --model nope",
    ] {
        let words: Vec<&str> = line.split(' ').map(|word| if word == "JOB" { job } else { word }).collect();
        let words: Vec<String> =
            (words.iter())
                .map(|word| {
                    if *word == "alice" { chain.key("alice").to_str().unwrap().to_owned() } else { (*word).to_owned() }
                })
                .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let takes_chain = !(line.starts_with("emission --") || line.starts_with("generate"));
        let output = match takes_chain {
            true => chain.output("authority", &[&words[..], &["--json"]].concat()),
            false => Command::new(env!("CARGO_BIN_EXE_sip")).args(&words).arg("--json").output().unwrap(),
        };
        let bytes = if output.status.success() { &output.stdout } else { &output.stderr };
        let value =
            serde_json::from_slice(bytes).unwrap_or_else(|_| panic!("{line}: {}", String::from_utf8_lossy(bytes)));
        kept += &format!("sip {line}\n  {}\n", shape(&value));
    }
    compare("shapes.txt", &kept);
}

#[test]
fn a_researcher_and_an_auditor_see_what_they_are_told() {
    let chain = begun_alike();
    let mut researcher = Session::of(&chain, "alice");
    researcher.goes_on(&[
        "sip demo --quick --data texts --out own",
        "sip verify own",
        "sip dispute list --run own",
        "sip eval texts/fox.txt --model own/model",
        "sip tokenize 'A brown fox' --model own/model",
        "sip demo --quick --out texts",
        "sip demo --quick --out own",
        "sip demo --resume --quick --out own",
        "sip demo --data nothing",
        "sip generate The --top-p 2",
        "sip generate The",
    ]);
    researcher.keep("researcher");
    // Of these the width alone is looked at: they are long.
    Session::of(&chain, "alice").goes_on(&["sip graph show --model tiny", "sip --help", "sip localnet --help"]);
    let mut auditor = Session::of(&chain, "bob");
    auditor.goes_on(&["sip audit --run own", "sip audit --run own"]);
    auditor.keep("auditor");
}
