//! A watchtower that is killed between any two moves convicts all the same.

mod closed;
mod story;

use super::*;
use sip_client::Program;
use sip_data::Mixture;
use sip_demo::Person;
use sip_demo::Run;
use sip_demo::people;
use sip_demo::restore;
use sip_driver::{Bench, Books, FolderStates, Live, Memory, Record, SLOT, Source, is_lost, no_holders};
use sip_ledger::{Ledger, LedgerError, Receipt, RemoteError, Statistics};
use sip_localnet::{Config, Localnet};
use sip_manifest::folder::read_json;
use sip_manifest::prepare;
use sip_manifest::settings::{Fraud, MixtureRule, Settings};
use sip_model::LlamaConfig;
use sip_node::dispute::Defender;
use sip_node::{Replay, Worker};
use sip_proof::{HostSha256, Sha256 as _};
use sip_protocol::Account as _;
use sip_protocol::court::{Dispute, Side};
use sip_protocol::ground::declare::Args as _;
use sip_protocol::instructions::{PlayMove, ResolveDispute};
use sip_protocol::training::job::Job;
use sip_protocol::training::round::Round;
use sip_protocol::training::segment::{self, Segment};
use sip_report::Progress;
use sip_roles::Claim;
use sip_rpc::Rpc;
use sip_svm::PROGRAM_ELF;
use solana_account::Account;
use solana_instruction::Instruction;
use solana_signer::Signer;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Says in the child process where the run is.
const FOLDER: &str = "SIP_TEST_AUDIT_FOLDER";

fn settings(cheats: Vec<Fraud>) -> Settings {
    Settings {
        seed: 3,
        preset: "tiny".into(),
        model: LlamaConfig::preset("tiny").unwrap(),
        batch: 2,
        inner_steps: 6,
        leaf_interval: 4,
        rounds: 1,
        learning_rate: 2e-3,
        audit_rate: 0.0,
        second_audit_rate: 0.0,
        windows: 2,
        cheats,
        mixture: MixtureRule::default(),
        domains: Vec::new(),
        updates: Default::default(),
    }
}

/// A run whose first round is in its audit, saved; also gives what each trainer committed.
fn in_audit(folder: &Path, cheats: Vec<Fraud>) -> (Run, Vec<sip_demo::Committed>) {
    let store = Store::new(folder);
    let mut settings = settings(cheats);
    prepare::tokenize(&mut settings, &[], 60_000, &store, &|_| ()).unwrap();
    let mut run = Run::begin(settings, store, Progress::new(true), Stop::default()).unwrap();
    let (program, creator) = (run.world.program, run.world.people[0].wallet());
    let address = program.job(&creator, 0);
    let job: Job = run.world.read(&address).unwrap();
    run.world.send(0, program.open_next_round(&creator, &address, &job)).unwrap();
    let round_address = program.round(&address, 0);
    let round: Round = run.world.read(&round_address).unwrap();
    let mixture = Mixture::new(&round.mixture_bps[..job.spec.domain_count as usize]).unwrap();
    let committed = run.train(&round, &mixture, 0).unwrap();
    for segment in &committed {
        run.commit(segment, &address, &round_address).unwrap();
    }
    run.world.send(0, program.close_commits(&address, &round_address)).unwrap();
    run.world.ledger.snapshot(&run.store.ledger(0)).unwrap();
    (run, committed)
}

/// What a watchtower of one run is asked for.
fn arguments(folder: &Path) -> Arguments {
    Arguments {
        manifest: Vec::new(),
        run: vec![folder.into()],
        url: None,
        job: Vec::new(),
        key: None,
        program: None,
        operator: false,
        served: Vec::new(),
        chain: None,
        drawn: false,
        demand_data: false,
        state: None,
        once: true,
        json: true,
    }
}

/// Follows the jobs on a run's ledger.
fn follow(
    store: &Store,
    arguments: &Arguments,
    key: &Keypair,
    report: &mut dyn FnMut(&Event),
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<()> {
    let stop = Stop::default();
    let mut patrol = Patrol { once: true, ..patrol(arguments, key, &stop, report, goes_on)? };
    patrol.follow(&mut Folder::open(store)?, std::slice::from_ref(store))
}

fn auditor(people: &[Person]) -> Keypair {
    people.iter().find(|person| person.name == "auditor 1").unwrap().keypair.insecure_clone()
}

/// What the child process does: it follows the job, and after every transaction waits to be killed.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = Store::new(Path::new(&folder));
    let settings: Settings = read_json(&store.settings()).unwrap();
    let key = auditor(&people(&settings));
    let arguments = arguments(Path::new(&folder));
    let mut wait = {
        let mut calls = 0;
        move || {
            calls += 1;
            if calls > 1 {
                println!("ACTED");
                std::thread::sleep(std::time::Duration::from_secs(600));
            }
            true
        }
    };
    follow(&store, &arguments, &key, &mut |event| print(event, true), &mut wait).unwrap();
    println!("IDLE");
}

/// Runs the child until it has acted, and kills it; or until it finds nothing to do. Returns whether it acted.
fn run_and_kill(folder: &Path) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "audit::tests::child", "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acted = lines.map_while(Result::ok).find_map(|line| match line {
        line if line.ends_with("ACTED") => Some(true),
        line if line.ends_with("IDLE") => Some(false),
        _ => None,
    });
    child.kill().unwrap();
    child.wait().unwrap();
    acted.expect("the watchtower stopped by itself")
}

#[test]
fn a_watchtower_killed_between_moves_convicts_the_liar_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (run, committed) = in_audit(folder.path(), vec![Fraud::FlipBit]);
    let liar = committed.iter().find(|segment| segment.cheat.is_some()).unwrap();
    let key = run.world.people[liar.trainer].keypair.insecure_clone();
    let task = run.prepared.task.clone();
    let worker = Worker::new(task.clone(), Arc::clone(&run.machine.threads), run.machine.simd);
    let replay = Replay::new(worker, liar.task.clone(), liar.cheat.clone(), liar.work.leaves.clone());
    let mut defender = Defender::new(Arc::new(task.graph_evidence()), replay);
    let program = Program::default();
    let challenger = auditor(&run.world.people);
    let dispute = program.dispute(&liar.address, &challenger.pubkey());
    let (mut kills, mut replies) = (0, 0);
    loop {
        if run_and_kill(folder.path()) {
            kills += 1;
            assert!(kills < 60, "the dispute does not end");
        } else {
            // Nothing to do for the watchtower: it is the trainer's turn, or all is over.
            let mut ledger = Folder::open(&run.store).unwrap();
            let Some(account) = ledger.ledger.account(&dispute) else { break };
            let state = Dispute::decode(&account.data).unwrap();
            assert_eq!(state.game.on_move(), Ok(Side::Trainer));
            let next = defender.next(&state.game).unwrap().unwrap();
            for instruction in program.moves(&key.pubkey(), &dispute, next.kind, &next.payload) {
                ledger.send(&[instruction], &key, &[&key]).unwrap();
            }
            replies += 1;
        }
    }
    assert!(kills > 8 && replies > 5, "{kills} kills, {replies} replies");
    let ledger = restore(&run.store.ledger(0)).unwrap();
    for segment in &committed {
        let account = ledger.account(&segment.address).unwrap();
        let state = Segment::decode(&account.data).unwrap();
        let expected = if segment.address == liar.address { segment::CONVICTED } else { segment::COMMITTED };
        assert_eq!((state.status, state.open_disputes), (expected, 0));
    }
}

#[test]
fn a_whole_run_is_followed_from_base_to_base_and_a_false_score_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let mut settings = Settings { rounds: 2, audit_rate: 1.0, ..settings(vec![Fraud::LyingEvaluator]) };
    prepare::tokenize(&mut settings, &[], 60_000, &store, &|_| ()).unwrap();
    let mut run = Run::begin(settings, store, Progress::new(true), Stop::default()).unwrap();
    run.play().unwrap();
    let arguments = arguments(folder.path());
    let (mut segments, mut scores, mut late) = (0, Vec::new(), 0);
    for _ in 0..2 {
        let mut note = |event: &Event| match event {
            Event::Judged { claim: Claim::Segment { .. }, is_true: true, .. } => segments += 1,
            Event::Judged { claim: Claim::Run { round, place }, is_true, .. } => {
                scores.push((*round, *place, *is_true));
            }
            Event::Judged { is_true: true, .. } => {}
            Event::Follows { .. } => {}
            Event::Late { claim: Claim::Run { round: 1, place: 2 }, convicted: false } => late += 1,
            _ => panic!("nobody lied about a segment or a base"),
        };
        let key = auditor(&run.world.people);
        follow(&run.store, &arguments, &key, &mut note, &mut || true).unwrap();
    }
    assert_eq!((segments, late), (6, 1), "nobody can accuse the scoring run any more");
    let expected = [(0, 0, true), (0, 1, true), (0, 2, true), (1, 0, true), (1, 1, true), (1, 2, false)];
    assert_eq!(scores, expected);
}

#[test]
fn a_silent_liar_is_convicted_by_its_clock_and_an_honest_round_is_left_alone() {
    for (cheats, convicted) in [(vec![Fraud::Lazy], 1), (Vec::new(), 0)] {
        let folder = tempfile::tempdir().unwrap();
        let (run, committed) = in_audit(folder.path(), cheats);
        let arguments = arguments(folder.path());
        let mut events = Vec::new();
        for _ in 0..3 {
            let key = auditor(&run.world.people);
            let mut note = |event: &Event| match event {
                Event::Judged { claim: Claim::Segment { .. }, is_true, .. } => {
                    events.push(if *is_true { "true" } else { "false" });
                }
                Event::Follows { .. } | Event::Judged { claim: Claim::Genesis, .. } => {}
                Event::Committed { .. } => events.push("committed"),
                Event::Bounty { .. } => events.push("paid"),
                Event::Accused { .. } => events.push("accused"),
                Event::Decided { convicted: true, .. } => events.push("convicted"),
                _ => events.push("other"),
            };
            follow(&run.store, &arguments, &key, &mut note, &mut || true).unwrap();
            Folder::open(&run.store).unwrap().advance_slots(1_000_000).unwrap();
        }
        let count = |name: &str| events.iter().filter(|event| **event == name).count();
        assert_eq!((count("true"), count("false")), (committed.len() - convicted, convicted), "{events:?}");
        let names = ["committed", "accused", "convicted", "paid", "other"];
        assert_eq!(names.map(count), [convicted, convicted, convicted, convicted, 0], "{events:?}");
    }
}

/// A ledger that is out of reach for a while.
struct Flaky<'a, L> {
    ledger: &'a mut L,
    /// How often it is asked for its slot in vain.
    failures: std::cell::Cell<u32>,
    /// How many transactions it takes before it is out of reach for good.
    transactions: Option<u32>,
    /// Whether it sees to it that the program refuses a transaction with a move and a verdict.
    spoils_verdicts: bool,
}

fn unreachable() -> LedgerError {
    let (url, reason) = ("http://127.0.0.1:1".into(), "connection refused".into());
    RemoteError::Unreachable { url, attempts: 5, reason }.into()
}

impl<L: Ledger> Ledger for Flaky<'_, L> {
    fn send(
        &mut self,
        instructions: &[Instruction],
        payer: &Keypair,
        signers: &[&Keypair],
    ) -> Result<Receipt, LedgerError> {
        match &mut self.transactions {
            Some(0) => return Err(unreachable()),
            Some(left) => *left -= 1,
            None => {}
        }
        let with_tag = |tag: u8| instructions.iter().find(|instruction| instruction.data.first() == Some(&tag));
        match (with_tag(PlayMove::TAG), with_tag(ResolveDispute::TAG)) {
            // After the last move there is none.
            (Some(play), Some(_)) if self.spoils_verdicts => {
                self.ledger.send(&[instructions, std::slice::from_ref(play)].concat(), payer, signers)
            }
            _ => self.ledger.send(instructions, payer, signers),
        }
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, LedgerError> {
        self.ledger.account(address)
    }

    fn program_accounts(&self, program_id: &Address) -> Result<Vec<(Address, Account)>, LedgerError> {
        self.ledger.program_accounts(program_id)
    }

    fn slot(&self) -> Result<u64, LedgerError> {
        if self.failures.get() > 0 {
            self.failures.set(self.failures.get() - 1);
            return Err(unreachable());
        }
        self.ledger.slot()
    }

    fn advance_slots(&mut self, slots: u64) -> Result<(), LedgerError> {
        self.ledger.advance_slots(slots)
    }

    fn minimum_balance(&self, data_bytes: usize) -> Result<u64, LedgerError> {
        self.ledger.minimum_balance(data_bytes)
    }

    fn statistics(&self) -> Statistics {
        self.ledger.statistics()
    }
}

#[test]
fn a_chain_that_does_not_answer_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _) = in_audit(folder.path(), Vec::new());
    let (arguments, key, stop) = (arguments(folder.path()), auditor(&run.world.people), Stop::default());
    for once in [false, true] {
        let mut folder = Folder::open(&run.store).unwrap();
        let mut ledger = Flaky { ledger: &mut folder, failures: 1.into(), transactions: None, spoils_verdicts: false };
        let events = std::cell::RefCell::new(Vec::new());
        let mut report = |event: &Event| events.borrow_mut().push(event.clone());
        // Once it answers, that is enough.
        let mut goes_on = || !events.borrow().iter().any(|event| matches!(event, Event::Judged { .. }));
        let mut patrol = Patrol { once, ..patrol(&arguments, &key, &stop, &mut report, &mut goes_on).unwrap() };
        let followed = patrol.follow(&mut ledger, std::slice::from_ref(&run.store));
        let is_lost = |event: &Event| matches!(event, Event::Lost { seconds: 1, .. });
        let lost = events.borrow().iter().filter(|event| is_lost(event)).count();
        assert_eq!((followed.is_err(), lost), (once, usize::from(!once)), "{:?}", events.borrow());
    }
}

/// A local chain that goes on where the ledger of a run stands.
fn localnet(data: &Path, store: &Store) -> Localnet {
    let config = || {
        let mut config = Config::new(data.into(), (Program::default().id, PROGRAM_ELF.to_vec()));
        (config.port, config.slot) = (0, Some(std::time::Duration::from_millis(10)));
        config
    };
    Localnet::start(config()).unwrap().shut_down().unwrap();
    std::fs::copy(store.ledger(0), data.join("snapshot")).unwrap();
    // Its log begins after the transactions of the run: the header of a segment names the first one, then genesis and key, and the hash
    // of all that.
    let statistics = restore(&store.ledger(0)).unwrap().statistics();
    let first = statistics.transactions + statistics.failed_transactions;
    let empty = data.join(format!("log-{:016x}", 0));
    let mut header = std::fs::read(&empty).unwrap();
    header[12..20].copy_from_slice(&first.to_le_bytes());
    let checksum = HostSha256::hashv(&[&header[..84]]);
    header[84..100].copy_from_slice(&checksum[..16]);
    std::fs::remove_file(empty).unwrap();
    std::fs::write(data.join(format!("log-{first:016x}")), header).unwrap();
    Localnet::start(config()).unwrap()
}

#[test]
fn a_job_on_a_chain_elsewhere_is_followed_through_its_url() {
    let folder = tempfile::tempdir().unwrap();
    let (run, committed) = in_audit(folder.path(), vec![Fraud::Lazy]);
    let localnet = localnet(&folder.path().join("chain"), &run.store);
    let arguments = arguments(folder.path());
    let (key, stop) = (auditor(&run.world.people), Stop::default());
    let mut ledger = Rpc::connect(&localnet.url()).unwrap();
    let mut events = Vec::new();
    // Until the dispute waits for its trainer; and once more, when its time is over.
    for _ in 0..2 {
        let mut note = |event: &Event| events.push(event.clone());
        let mut goes_on = || true;
        let mut patrol = Patrol { once: true, ..patrol(&arguments, &key, &stop, &mut note, &mut goes_on).unwrap() };
        patrol.follow(&mut ledger, std::slice::from_ref(&run.store)).unwrap();
        let job: Job = run.world.read(&run.world.program.job(&run.world.people[0].wallet(), 0)).unwrap();
        ledger.advance_slots(job.spec.clock_slots(&job.parameters) + 1).unwrap();
    }
    let judged = |expected: bool| {
        let is = |event: &&Event| matches!(event, Event::Judged { claim: Claim::Segment { .. }, is_true, .. } if *is_true == expected);
        events.iter().filter(is).count()
    };
    assert_eq!((judged(true), judged(false)), (committed.len() - 1, 1), "{events:?}");
    let liar = committed.iter().find(|segment| segment.cheat.is_some()).unwrap();
    let account = ledger.account(&liar.address).unwrap().unwrap();
    assert_eq!(Segment::decode(&account.data).unwrap().status, segment::CONVICTED, "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Refused { .. })), "{events:?}");
    drop(ledger);
    localnet.shut_down().unwrap();
}

/// A chain elsewhere may answer anything: places that do not exist are an error, for a watchtower and for an operator, and no panic.
#[test]
fn a_chain_that_makes_up_places_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, _) = in_audit(folder.path(), Vec::new());
    let key = auditor(&run.world.people);
    let program = run.world.program;
    let job = program.job(&run.world.people[0].wallet(), 0);
    let round = program.round(&job, 0);
    let honest = run.store.ledger(0);
    type Change<'a> = &'a dyn Fn(&mut Job, &mut Round);
    let forge = |run: &mut Run, address: &Address, change: Change<'_>| {
        let (mut forged_job, mut forged_round): (Job, Round) =
            (run.world.read(&job).unwrap(), run.world.read(&round).unwrap());
        change(&mut forged_job, &mut forged_round);
        let mut account = run.world.ledger.account(address).unwrap();
        let bytes = if *address == job { bytemuck::bytes_of(&forged_job) } else { bytemuck::bytes_of(&forged_round) };
        let original = std::mem::replace(&mut account.data, bytes.to_vec());
        run.world.ledger.set_account(*address, account.clone()).unwrap();
        run.world.ledger.snapshot(&honest).unwrap();
        run.world.ledger.set_account(*address, solana_account::Account { data: original, ..account }).unwrap();
    };
    let changes: [(Address, Change<'_>); 2] =
        [(round, &|_, round| round.auditor_count = 17), (round, &|_, round| round.evaluator_count = 99)];
    for (address, change) in changes {
        forge(&mut run, &address, change);
        for operator in [false, true] {
            let arguments = Arguments { operator, ..arguments(folder.path()) };
            let outcome = follow(&run.store, &arguments, &key, &mut |_| (), &mut || true);
            let error = outcome.expect_err("places that do not exist").to_string();
            assert!(error.contains("more than 16 places"), "{error}");
        }
    }
}

#[test]
fn nothing_is_sent_that_the_disk_cannot_remember() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _) = in_audit(folder.path(), vec![Fraud::Lazy]);
    let before = std::fs::read(run.store.ledger(0)).unwrap();
    // As on a full disk, no file can grow.
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" --exact audit::tests::child --nocapture --test-threads 1";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("nothing is sent that could not be remembered"), "{said}");
    assert_eq!(std::fs::read(run.store.ledger(0)).unwrap(), before);
}
