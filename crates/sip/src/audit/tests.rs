//! A watchtower that is killed between any two moves convicts all the same.

use super::*;
use crate::progress::Progress;
use crate::run::settings::{Fraud, MixtureRule};
use crate::run::world::Person;
use crate::run::{Run, prepare};
use sip_data::Mixture;
use sip_model::LlamaConfig;
use sip_node::dispute::Defender;
use sip_node::{Replay, Worker};
use sip_protocol::Account as _;
use sip_protocol::dispute::{Dispute, Side};
use sip_protocol::job::Job;
use sip_protocol::round::Round;
use sip_protocol::segment::{self, Segment};
use solana_signer::Signer;
use std::io::{BufRead, BufReader};
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
        windows: 2,
        cheats,
        mixture: MixtureRule::default(),
        domains: Vec::new(),
    }
}

/// A run whose first round is in its audit, saved; also gives what each trainer committed.
fn in_audit(folder: &Path, cheats: Vec<Fraud>) -> (Run, Vec<crate::run::round::Committed>) {
    let store = Store::new(folder);
    let mut settings = settings(cheats);
    prepare::tokenize(&mut settings, &[], 60_000, &store, Progress::new(true)).unwrap();
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
    let arguments = Arguments {
        run: folder.clone().into(),
        url: None,
        job: None,
        key: PathBuf::new(),
        state: None,
        once: true,
        json: true,
    };
    let ledger = Folder::open(&store).unwrap();
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
    follow(ledger, &store, &arguments, key, &mut |event| print(event, true), &mut wait, true).unwrap();
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
    prepare::tokenize(&mut settings, &[], 60_000, &store, Progress::new(true)).unwrap();
    let mut run = Run::begin(settings, store, Progress::new(true), Stop::default()).unwrap();
    run.play().unwrap();
    let arguments = Arguments {
        run: folder.path().into(),
        url: None,
        job: None,
        key: PathBuf::new(),
        state: None,
        once: true,
        json: true,
    };
    let (mut segments, mut scores) = (0, Vec::new());
    for _ in 0..2 {
        let mut note = |event: &Event| match event {
            Event::Replayed { is_true: true, .. } => segments += 1,
            Event::Scored { round, place, is_true } => scores.push((*round, *place, *is_true)),
            _ => panic!("nobody lied about a segment or a base"),
        };
        let (ledger, key) = (Folder::open(&run.store).unwrap(), auditor(&run.world.people));
        follow(ledger, &run.store, &arguments, key, &mut note, &mut || true, true).unwrap();
    }
    assert_eq!(segments, 6);
    let expected = [(0, 0, true), (0, 1, true), (0, 2, true), (1, 0, true), (1, 1, true), (1, 2, false)];
    assert_eq!(scores, expected);
}

#[test]
fn a_silent_liar_is_convicted_by_its_clock_and_an_honest_round_is_left_alone() {
    for (cheats, convicted) in [(vec![Fraud::Lazy], 1), (Vec::new(), 0)] {
        let folder = tempfile::tempdir().unwrap();
        let (run, committed) = in_audit(folder.path(), cheats);
        let arguments = Arguments {
            run: folder.path().into(),
            url: None,
            job: None,
            key: PathBuf::new(),
            state: None,
            once: true,
            json: true,
        };
        let mut events = Vec::new();
        for _ in 0..3 {
            let ledger = Folder::open(&run.store).unwrap();
            let key = auditor(&run.world.people);
            let mut note = |event: &Event| match event {
                Event::Replayed { is_true, .. } => events.push(if *is_true { "true" } else { "false" }),
                Event::Accused { .. } => events.push("accused"),
                Event::Decided { convicted: true, .. } => events.push("convicted"),
                _ => events.push("other"),
            };
            follow(ledger, &run.store, &arguments, key, &mut note, &mut || true, true).unwrap();
            Folder::open(&run.store).unwrap().advance_slots(1_000_000).unwrap();
        }
        let count = |name: &str| events.iter().filter(|event| **event == name).count();
        assert_eq!((count("true"), count("false")), (committed.len() - convicted, convicted), "{events:?}");
        assert_eq!((count("accused"), count("convicted"), count("other")), (convicted, convicted, 0), "{events:?}");
    }
}
