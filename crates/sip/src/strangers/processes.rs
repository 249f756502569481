//! Whole nodes on the ledger: what a process says of itself there, and what it reads of others.

use sip_client::{NewPool, Program};
use sip_driver::node::{Ended, Runner, SEATS_PATIENCE, Setup, Status, status_path};
use sip_driver::{Bench, Compute, Position, Record, is_stop};
use sip_ledger::Ledger as _;
use sip_manifest::settings::Exchange;
use sip_manifest::stop::Stop;
use sip_net::Reach;
use sip_node::State;
use sip_protocol::ground::units::TOKEN;
use sip_protocol::network::peer::{Contact, Peer};
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::job::Job;
use sip_protocol::training::segment::Segment;
use sip_roles::{Event, Fact, Known, Me, Node, Roles, Scored, Work};
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::network::Network;

/// A node of a wallet in a folder, which serves on this machine and looks at the records of others at every turn.
fn setup(job: Address, key: &Keypair, roles: Roles, folder: PathBuf) -> Setup {
    Setup {
        program: Program::default(),
        job,
        node: Node { me: Me::new(key.to_bytes()), roles, cheating: None },
        roles: Vec::new(),
        folder,
        listen: Some("127.0.0.1:0".parse().unwrap()),
        announce: None,
        peers: Vec::new(),
        shared: None,
        manifest: None,
        texts: Vec::new(),
        max_bid_lamports: 0,
        disk_bytes: 0,
        once: false,
        stays: false,
        reach: Reach::Machine,
        seats_patience: SEATS_PATIENCE,
        join: Vec::new(),
        cheat: None,
        peers_every: Duration::ZERO,
        page: None,
        stop: Stop::default(),
    }
}

/// Another folder with all that a node computes with.
fn copy_of(folder: &Path, name: &str) -> PathBuf {
    let copy = folder.with_file_name(name);
    std::fs::create_dir_all(copy.join("run/data")).unwrap();
    for part in ["run", "run/data"] {
        let files = std::fs::read_dir(folder.join(part)).unwrap().flatten().filter(|file| file.path().is_file());
        for file in files {
            std::fs::copy(file.path(), copy.join(part).join(file.file_name())).unwrap();
        }
    }
    copy
}

/// Whether a node has begun its work.
fn begins(event: &Event) -> bool {
    matches!(event, Event::Follows { .. })
}

#[test]
fn two_processes_with_one_key_the_one_that_was_overtaken_ends() {
    overtaken("127.0.0.1:0".parse().ok());
}

#[test]
fn two_processes_with_one_key_that_serve_nobody_do_the_same() {
    overtaken(None);
}

fn overtaken(listen: Option<SocketAddr>) {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), Exchange::Whole, 1);
    let key = network.stranger("trainer 1").key.insecure_clone();
    let (job, roles) = (network.job, Roles { trainer: true, ..Roles::default() });
    let first = folder.path().join("trainer 1");
    let second = copy_of(&first, "the other machine of trainer 1");
    let mut ledger = network.ledger.counted();
    let (sent, mut sent_before, mut has_committed) = (ledger.sent.clone(), None, None);
    let setup_of_first = Setup { listen, ..setup(job, &key, roles, first) };
    let ended = Runner::new(&mut ledger, &key, setup_of_first, &mut |event| {
        if !begins(event) || sent_before.is_some() {
            return;
        }
        sent_before = Some(sent.get());
        // A round begins, and another machine with the same key does what both would do now.
        let mut shared = network.ledger.clone();
        assert!(network.stranger("creator").step(&mut shared, job), "the round is opened");
        let mut other = network.ledger.counted();
        let setup = Setup { once: true, listen, ..setup(job, &key, roles, second.clone()) };
        let ended = Runner::new(&mut other, &key, setup, &mut |_| ()).run().unwrap();
        assert_eq!(ended, Ended::Idle);
        let pool = Program::default().pool(PoolKind::Trainer, &key.pubkey(), 0);
        let segment: Segment = network.read(&Program::default().segment(&Program::default().round(&job, 0), &pool));
        has_committed = Some(segment.pool == pool.to_bytes());
    })
    .run();
    assert_eq!(has_committed, Some(true), "the later one works");
    let said = format!("{:#}", ended.expect_err("the one that was overtaken goes on"));
    assert!(said.contains("another process of this key has announced itself"), "{said}");
    assert_eq!(Some(sent.get()), sent_before, "it signs nothing after that");
}

#[test]
fn announcements_of_a_seat_taken_later_reach_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), Exchange::Whole, 1);
    let (job, program) = (network.job, Program::default());
    let newcomer = network.run.world.people.iter().find(|person| person.name == "patron 1").expect("a patron");
    let (key, wallet) = (newcomer.keypair.insecure_clone(), newcomer.wallet());
    let pool = program.pool(PoolKind::Evaluator, &wallet, 0);
    let trainer = network.stranger("trainer 1").key.insecure_clone();
    let has_all = copy_of(&folder.path().join("trainer 1"), "newcomer");
    let empty = folder.path().join("empty");
    let setup_of_newcomer = setup(job, &key, Roles { evaluator: true, ..Roles::default() }, has_all);
    let stop = setup_of_newcomer.stop.clone();
    let (mut is_seated, mut status) = (false, None);
    let mut ledger = network.ledger.clone();
    let ended = Runner::new(&mut ledger, &key, setup_of_newcomer, &mut |event| {
        let record = || network.ledger.ledger.borrow().account(&program.peer(&pool));
        if begins(event) && !is_seated {
            // It has no seat, and nothing to announce; then it takes one.
            assert!(record().is_none());
            let new = NewPool { index: 0, self_bond: 20_000 * TOKEN, commission_bps: 0, chain_tip: [0; 32] };
            let make = program.create_pool(&wallet, PoolKind::Evaluator, &new);
            let mut shared = network.ledger.clone();
            shared.send(&[make], &key, &[&key]).unwrap();
            shared.send(&[program.join_job(&wallet, &job, &pool)], &key, &[&key]).unwrap();
            is_seated = true;
        }
        let is_announced =
            matches!(event, Event::Prepares { what } if what.contains("is announced at") && what.contains(&pool.to_string()));
        if is_announced && status.is_none() {
            let record: Peer = network.read(&program.peer(&pool));
            assert!(record.contact.serves() && record.contact.url().starts_with("http://127.0.0.1:"));
            // Somebody who has nothing and was told of nobody gets manifest and tokens from it.
            let setup = Setup { once: true, ..setup(job, &trainer, Roles::default(), empty.clone()) };
            let mut other = network.ledger.clone();
            assert_eq!(Runner::new(&mut other, &trainer, setup, &mut |_| ()).run().unwrap(), Ended::Idle);
            status = std::fs::read_to_string(status_path(&empty)).ok();
            stop.ask();
        }
    })
    .run()
    .unwrap();
    assert_eq!((ended, is_seated), (Ended::Stopped, true));
    let status: Status = sip_json::from_str(&status.expect("a seat that was taken later is announced")).unwrap();
    assert!(status.peers >= 1, "{status:?}");
    assert!(folder.path().join("empty/run/data/0.train.tokens").exists());
    let job: Job = network.read(&job);
    assert!(job.evaluators.iter().any(|seat| seat.pool == pool.to_bytes()));
}

/// A disk of 48 MiB in memory, where this user may mount one; dropping it lets go of it.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().ok()?;
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m", "none"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(SmallDisk(folder))
    }

    /// Takes all that is left, as another program would.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("others");
        let mut file = std::fs::File::create(&path).unwrap();
        while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(self.0.path()).output();
    }
}

#[test]
fn a_node_on_a_disk_that_others_have_filled_says_so_and_commits_what_it_can_keep_once_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), Exchange::Whole, 1);
    let (job, key) = (network.job, network.stranger("trainer 1").key.insecure_clone());
    let on_disk = copy_of(&folder.path().join("trainer 1"), "copy");
    let small = disk.0.path().join("node");
    assert!(Command::new("cp").arg("-r").args([&on_disk, &small]).status().unwrap().success());
    let setup_of_it = setup(job, &key, Roles { trainer: true, ..Roles::default() }, small);
    let stop = setup_of_it.stop.clone();
    let (ended, watch) = (std::sync::mpsc::channel::<()>(), stop.clone());
    std::thread::spawn(move || {
        // It ends by itself long before.
        let _ = ended.1.recv_timeout(Duration::from_secs(90));
        watch.ask();
    });
    let (mut others, mut hindered, mut has_committed) = (None, 0, false);
    let mut ledger = network.ledger.clone();
    let outcome = Runner::new(&mut ledger, &key, setup_of_it, &mut |event| match event {
        Event::Follows { .. } => {
            others = Some(disk.fill());
            let mut shared = network.ledger.clone();
            assert!(network.stranger("creator").step(&mut shared, job), "a round is opened");
        }
        Event::Hindered { reason, .. } => {
            assert!(!has_committed, "it commits what it could not keep");
            hindered += 1;
            assert!(hindered < 200 && !reason.is_empty());
            if hindered == 3 {
                others.iter().for_each(|path| std::fs::remove_file(path).unwrap());
            }
        }
        Event::Acted { what: "segment committed", .. } => {
            has_committed = true;
            stop.ask();
        }
        _ => {}
    })
    .run()
    .unwrap();
    drop(ended.0);
    assert_eq!((outcome, has_committed), (Ended::Stopped, true));
    assert!(hindered >= 3, "{hindered}");
}

#[test]
fn a_node_whose_chain_is_away_says_so_waits_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), Exchange::Whole, 1);
    let (job, key) = (network.job, network.stranger("trainer 1").key.insecure_clone());
    let setup_of_it = setup(job, &key, Roles { trainer: true, ..Roles::default() }, folder.path().join("trainer 1"));
    let (stop, faults) = (setup_of_it.stop.clone(), network.ledger.faults.clone());
    let mut ledger = network.ledger.clone();
    let (mut lost, mut has_begun) = (0, false);
    // Before it has begun, and then again in the middle of a round.
    faults.is_away.set(true);
    let ended = Runner::new(&mut ledger, &key, setup_of_it, &mut |event| match event {
        Event::Lost { reason, .. } => {
            assert!(reason.contains("it is away"), "{reason}");
            lost += 1;
            faults.is_away.set(lost != 1 && lost < 3);
        }
        Event::Follows { .. } => {
            assert_eq!(lost, 1);
            let mut shared = network.ledger.clone();
            assert!(network.stranger("creator").step(&mut shared, job), "a round is opened");
            has_begun = true;
            faults.is_away.set(true);
        }
        Event::Acted { what: "segment committed", .. } => {
            stop.ask();
        }
        _ => {}
    })
    .run()
    .unwrap();
    assert_eq!((ended, has_begun, lost), (Ended::Stopped, true, 3));
    assert_eq!(network.round(0).committed, 1);
}

#[test]
fn the_first_round_waits_for_those_who_have_seats_until_they_are_ready_or_its_patience_is_over() {
    for patience in [SEATS_PATIENCE, Duration::ZERO] {
        let folder = tempfile::tempdir().unwrap();
        let mut network = Network::new(folder.path(), Exchange::Whole, 1);
        let (job, key) = (network.job, network.stranger("creator").key.insecure_clone());
        let keeper = Roles { keeper: true, ..Roles::default() };
        let setup_of_it = setup(job, &key, keeper, folder.path().join("creator"));
        let stop = setup_of_it.stop.clone();
        let others: Vec<Keypair> = network.strangers.iter().map(|stranger| stranger.key.insecure_clone()).collect();
        let mut ledger = network.ledger.clone();
        let (mut are_ready, mut is_open) = (false, false);
        let setup_of_it = Setup { seats_patience: patience, ..setup_of_it };
        let status = status_path(&setup_of_it.folder);
        let ended = Runner::new(&mut ledger, &key, setup_of_it, &mut |event| match event {
            Event::Prepares { what } if what.starts_with("the first round waits for trainer 1, trainer 2") => {
                assert!(!is_open);
                network.pass(50);
                let state: Job = network.read(&job);
                assert_eq!(state.next_round, 0);
                are_ready = true;
                let mut shared = network.ledger.clone();
                for key in &others {
                    say_ready(&mut shared, &network, key);
                }
            }
            Event::Turned { what: "open the round", .. } => {
                let status: Status = sip_json::from_str(&std::fs::read_to_string(&status).unwrap()).unwrap();
                let waits = status.waits_for.unwrap_or_default();
                assert_eq!(waits.contains("to be ready, who have seats"), are_ready, "{waits}");
                is_open = true;
                stop.ask();
            }
            _ => {}
        })
        .run()
        .unwrap();
        assert_eq!((ended, is_open, are_ready), (Ended::Stopped, true, patience == SEATS_PATIENCE));
    }
}

/// Announces every pool of a wallet as one whose process is ready and serves nobody.
fn say_ready(ledger: &mut super::ledger::Shared, network: &Network, key: &Keypair) {
    let program = Program::default();
    for kind in [PoolKind::Trainer, PoolKind::Auditor, PoolKind::Evaluator] {
        let pool = program.pool(kind, &key.pubkey(), 0);
        if network.ledger.ledger.borrow().account(&pool).is_some() {
            let ready = Contact::NOWHERE.once_ready();
            let announce = program.announce_peer(&key.pubkey(), &pool, None, 9, &ready);
            ledger.send(&[announce], key, &[key]).unwrap();
        }
    }
}

#[test]
fn a_scoring_run_that_is_stopped_or_killed_goes_on_from_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), Exchange::Whole, 1);
    let (job, mut ledger) = (network.job, network.ledger.clone());
    let evaluator = network.stranger("evaluator 1");
    evaluator.step(&mut ledger, job);
    let view = evaluator.memory.view().expect("it has looked").clone();
    let known = Known::default();
    let Bench { source, machine, states, .. } = &evaluator.bench;
    // Another base of the job, a bit away.
    let mut entries = source.prepared.genesis.entries().to_vec();
    entries[0][0] ^= 1 << 20;
    let other = State::new(entries, &machine.threads);
    states.save(&other).unwrap();
    let genesis = source.prepared.genesis.root();
    // A machine of its own each time, as after a kill: what is left is on the disk.
    let score_of = |base: [u8; 32], name: &str, is_stopped: bool| {
        let work = Work::Score { base, cheat: None };
        let record = Record::open(folder.path().join(name)).unwrap();
        let (at, stop) = (Position { view: &view, known: &known }, Stop::default());
        if is_stopped {
            stop.ask();
        }
        let mut bench = Bench::new(source.clone(), machine.clone(), record, states.clone(), stop);
        Compute::compute(&mut bench, at, &work).map(|(fact, _)| match fact {
            Fact::Scored { scored, .. } => Scored { seconds: 0.0, ..scored },
            other => panic!("{other:?}"),
        })
    };
    let score = |name: &str, is_stopped: bool| score_of(genesis, name, is_stopped);
    let at_once = score("at once", false).unwrap();
    let step = || -> u64 {
        let text = std::fs::read_to_string(folder.path().join("stopped/paused-score.json")).unwrap();
        sip_json::from_str::<serde_json::Value>(&text).unwrap()["next_step"].as_u64().unwrap()
    };
    for expected in 1..3 {
        assert!(is_stop(&score("stopped", true).unwrap_err()));
        assert_eq!(step(), expected, "it goes on, a step at a time");
    }
    // The run of another base begins anew, and what was left of the first is none of it.
    let of_other = score_of(other.root(), "another", false).unwrap();
    assert_ne!(of_other, at_once);
    assert_eq!(score_of(other.root(), "stopped", false).unwrap(), of_other);
    assert_eq!(score("stopped", false).unwrap(), at_once);
}
