//! Strangers train a job: each is a driver of its own with its own key and folder, and they share a ledger and a shelf of states by their roots.
//! Nobody is told what comes next.

use crate::audit::folder::restore;
use crate::run::Run;
use crate::run::setup::{Chain, job_address};
use crate::run::staged::stage;
use crate::run::world::Person;
use sip_client::Program;
use sip_driver::{
    Bench, Books, Came, Crew, FolderStates, Hands, Live, Memory, Record, Root, SLOT, Source, States, Wanted, is_lost,
    no_holders,
};
use sip_ledger::{Ledger, LedgerError, Receipt, RemoteError, Statistics};
use sip_manifest::folder::Store;
use sip_manifest::prepare;
use sip_manifest::roles::{AUDITOR, CREATOR, EVALUATOR, PROVIDER, TRAINER};
use sip_manifest::settings::{Exchange, Fraud, MixtureRule, Settings};
use sip_manifest::stop::Stop;
use sip_model::LlamaConfig;
use sip_node::State;
use sip_protocol::training::evaluation;
use sip_protocol::training::job::{Job, bit};
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::segment::{self, Segment};
use sip_report::Progress;
use sip_roles::{Cheating, Claim, Event, Me, Node, Roles};
use sip_svm::Embedded;
use solana_account::Account;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The one ledger, as each of them reaches it.
#[derive(Clone)]
struct Shared {
    ledger: Rc<RefCell<Embedded>>,
    /// Questions so far; where it is not 0, of so many one is not answered.
    asked: Rc<Cell<u32>>,
    fails_every: u32,
}

impl Shared {
    /// The answer, or none.
    fn ask(&self) -> Result<std::cell::RefMut<'_, Embedded>, LedgerError> {
        self.asked.set(self.asked.get() + 1);
        if self.fails_every != 0 && self.asked.get().is_multiple_of(self.fails_every) {
            let (url, reason) = ("a chain".into(), "it is away".into());
            return Err(RemoteError::Unreachable { url, attempts: 1, reason }.into());
        }
        Ok(self.ledger.borrow_mut())
    }
}

impl Ledger for Shared {
    fn send(
        &mut self,
        instructions: &[Instruction],
        payer: &Keypair,
        signers: &[&Keypair],
    ) -> Result<Receipt, LedgerError> {
        let mut ledger = self.ask()?;
        let receipt = ledger.send(instructions, payer, signers)?;
        ledger.advance_slots(1)?;
        Ok(receipt)
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, LedgerError> {
        Ok(self.ask()?.account(address))
    }

    fn program_accounts(&self, program_id: &Address) -> Result<Vec<(Address, Account)>, LedgerError> {
        Ok(self.ask()?.program_accounts(program_id))
    }

    fn slot(&self) -> Result<u64, LedgerError> {
        Ok(self.ask()?.slot())
    }

    fn advance_slots(&mut self, slots: u64) -> Result<(), LedgerError> {
        self.ask()?.advance_slots(slots)
    }

    fn minimum_balance(&self, data_bytes: usize) -> Result<u64, LedgerError> {
        Ok(self.ask()?.minimum_balance(data_bytes))
    }

    fn statistics(&self) -> Statistics {
        self.ledger.borrow().statistics()
    }
}

/// Whoever is killed is so this often: a replay that is killed begins anew.
const KILLS: u32 = 40;

/// Somebody with a machine of its own.
struct Stranger {
    name: String,
    key: Keypair,
    node: Node,
    bench: Bench,
    /// Threads that compute in place of the bench.
    crew: Option<Crew>,
    books: Books,
    memory: Memory,
    /// Whether it is killed after every step, and remembers nothing but what is on its disk.
    forgets: bool,
    /// How often its threads were ended in the middle of their work.
    kills: u32,
    events: Vec<Event>,
}

impl Stranger {
    fn step(&mut self, ledger: &mut Shared, job: Address) -> bool {
        if self.forgets {
            self.memory = Memory::default();
            let Bench { source, machine, record, states, stop, .. } = &self.bench;
            self.bench = Bench::new(source.clone(), machine.clone(), record.clone(), states.clone(), stop.clone());
        }
        let source = Arc::clone(&self.bench.source);
        let mut came = Vec::new();
        if let Some(crew) = &mut self.crew {
            came.extend(std::iter::from_fn(|| crew.next(Duration::ZERO)));
        }
        let mut live = Live {
            ledger,
            program: Program::default(),
            key: &self.key,
            job,
            node: &self.node,
            source: &source,
            record: self.bench.record.clone(),
            hands: match &mut self.crew {
                Some(crew) => crew as &mut dyn Hands,
                None => &mut self.bench,
            },
            holders: &no_holders,
            books: &mut self.books,
            slot: SLOT,
            turn_slots: None,
            memory: &mut self.memory,
            report: &mut |event| self.events.push(event.clone()),
        };
        for came in came {
            match came {
                Came::Fact(fact, tell) => live.note(fact, tell).unwrap(),
                Came::Failed(event) => (live.report)(&event),
                Came::News => {}
            }
        }
        match live.step() {
            Err(error) if is_lost(&error) => true,
            acted => acted.unwrap_or_else(|error| panic!("{}: {error:#}", self.name)),
        }
    }

    /// Has threads of its own from now on, and no memory of what others did before.
    fn hire(&mut self) {
        let Bench { source, machine, record, states, .. } = &self.bench;
        let (source, machine, record) = (source.clone(), machine.clone(), record.clone());
        let (states, stop) = (states.clone(), Stop::default());
        let (threads, at_work) = (machine.threads.clone(), stop.clone());
        // The old one ends first: it stops where it is.
        self.crew = None;
        self.memory = Memory::default();
        let of_bench = states.clone();
        let crew = Crew::start(states, threads, stop, move || Bench::new(source, machine, record, of_bench, at_work));
        self.crew = Some(crew.with_patience(Duration::from_millis(20), Duration::from_millis(50)));
    }

    fn is_at_work(&self) -> bool {
        self.crew.as_ref().is_some_and(|crew| !crew.is_idle())
    }
}

/// What each does in a job.
fn roles_of(role: &str) -> Option<Roles> {
    let nothing = Roles::default();
    Some(match role {
        CREATOR => Roles { keeper: true, ..nothing },
        TRAINER => Roles { trainer: true, ..nothing },
        AUDITOR => Roles { watchtower: true, auditor: true, turner: true, is_patient: true, ..nothing },
        EVALUATOR => Roles { evaluator: true, ..nothing },
        PROVIDER => Roles { provider: true, ..nothing },
        _ => return None,
    })
}

/// A network of strangers on a job.
struct Network {
    run: Run,
    ledger: Shared,
    job: Address,
    shelf: PathBuf,
    strangers: Vec<Stranger>,
    /// Who acted when, for those who look for what went wrong.
    said: Vec<String>,
}

fn settings(updates: Exchange) -> Settings {
    Settings {
        seed: 5,
        preset: "tiny".into(),
        model: LlamaConfig::preset("tiny").unwrap(),
        batch: 2,
        inner_steps: 6,
        leaf_interval: 4,
        rounds: 2,
        learning_rate: 2e-3,
        audit_rate: 1.0,
        second_audit_rate: 0.0,
        windows: 2,
        cheats: Vec::new(),
        mixture: MixtureRule::default(),
        domains: Vec::new(),
        updates,
    }
}

impl Network {
    /// Everyone has staked and joined; from here on each acts alone. The last trainer lies from this round on.
    fn new(folder: &Path, updates: Exchange, lies_from: u32) -> Network {
        let store = Store::new(&folder.join("creator of the chain"));
        let mut settings = settings(updates);
        prepare::tokenize(&mut settings, &[], 60_000, &store, &|_| ()).unwrap();
        let run = Run::begin(settings, store, Progress::new(true), Stop::default()).unwrap();
        let embedded = Rc::new(RefCell::new(restore(&run.store.ledger(0)).unwrap()));
        let ledger = Shared { ledger: embedded, asked: Rc::default(), fails_every: 0 };
        let (job, shelf) = (job_address(&run.world), folder.join("shelf"));
        std::fs::create_dir_all(&shelf).unwrap();
        let strangers =
            run.world.people.iter().filter_map(|person| stranger(&run, person, (folder, &shelf), lies_from)).collect();
        Network { ledger, job, shelf, strangers, run, said: Vec::new() }
    }

    fn read<T: sip_protocol::Account>(&self, address: &Address) -> T {
        let account = self.ledger.ledger.borrow().account(address).expect("the account is there");
        T::decode(&account.data).unwrap()
    }

    fn round(&self, index: u32) -> Round {
        self.read(&self.run.world.program.round(&self.job, index))
    }

    /// Everybody acts, in turn, until the job's rounds are final and nobody has anything left to do.
    fn play(&mut self) {
        let (mut idle_slots, mut idle_since) = (1, Instant::now());
        let mut turns = 0;
        for _ in 0..200_000 {
            let mut has_acted = false;
            for stranger in &mut self.strangers {
                turns += 1;
                // Whoever forgets is killed at any moment.
                if stranger.crew.is_some() && stranger.forgets && stranger.kills < KILLS && turns % 67 < 8 {
                    stranger.kills += 1;
                    stranger.hire();
                }
                let (slot, before) = (self.ledger.ledger.borrow().slot(), stranger.events.len());
                has_acted |= stranger.step(&mut self.ledger, self.job);
                let events = stranger.events[before..].iter().filter(|event| !matches!(event, Event::Follows { .. }));
                self.said.extend(events.map(|event| format!("slot {slot}, {}: {event}", stranger.name)));
            }
            if has_acted {
                (idle_slots, idle_since) = (1, Instant::now());
                continue;
            }
            // Time passes when nobody is at work, and all have looked again for what was missing.
            let is_at_work = self.strangers.iter().any(Stranger::is_at_work);
            let has_crews = self.strangers.iter().any(|stranger| stranger.crew.is_some());
            if is_at_work || (has_crews && idle_since.elapsed() < Duration::from_millis(60)) {
                if is_at_work {
                    idle_since = Instant::now();
                }
                std::thread::sleep(Duration::from_millis(2));
                continue;
            }
            idle_since = Instant::now();
            let job: Job = self.read(&self.job);
            if job.chain.final_count == job.spec.rounds && idle_slots > 64 {
                return;
            }
            self.ledger.advance_slots(idle_slots).unwrap();
            // A seed is captured within 512 slots.
            idle_slots = (idle_slots * 2).min(400);
        }
        panic!("there is no end of it: {:#?}", self.said.iter().rev().take(30).collect::<Vec<_>>());
    }

    fn events(&self) -> impl Iterator<Item = (&str, &Event)> {
        self.strangers.iter().flat_map(|stranger| stranger.events.iter().map(|event| (&stranger.name[..], event)))
    }
}

/// Somebody, with a folder that has what a job's manifest gives, and nothing of anybody else.
fn stranger(run: &Run, person: &Person, (folder, shelf): (&Path, &Path), lies_from: u32) -> Option<Stranger> {
    let roles = roles_of(person.role)?;
    let folder = folder.join(&person.name);
    let store = Store::new(&folder);
    std::fs::create_dir_all(store.data()).unwrap();
    std::fs::copy(run.store.manifest(), store.manifest()).unwrap();
    for file in std::fs::read_dir(run.store.data()).unwrap().flatten() {
        std::fs::copy(file.path(), store.data().join(file.file_name())).unwrap();
    }
    let chain = (person.role == AUDITOR)
        .then(|| Chain::new(&run.settings, &person.name).draw(run.settings.rounds * 4 + 30).unwrap());
    let is_liar = person.role == TRAINER && person.place == 2;
    let cheat = stage(Fraud::FlipBit, &run.prepared.task.graph, &run.settings, (0, 0)).unwrap();
    let node = Node {
        me: Me::new(person.keypair.to_bytes()).with_chain(chain),
        roles,
        cheating: is_liar.then_some(Cheating { cheat, from_round: lies_from }),
    };
    let source = Arc::new(Source::open(store, &run.machine).unwrap());
    let record = Record::open(folder.join("record")).unwrap();
    let states = FolderStates::new(record.folder(), Some(shelf), Vec::new(), source.shapes());
    let books = Books::open(&record, 0).unwrap();
    Some(Stranger {
        name: person.name.clone(),
        key: person.keypair.insecure_clone(),
        node,
        bench: Bench::new(source, run.machine.clone(), record, Arc::new(states), Stop::default()),
        crew: None,
        books,
        memory: Memory::default(),
        forgets: person.place == 1,
        kills: 0,
        events: Vec::new(),
    })
}

/// A folder whose disk is full for some time.
struct Full {
    states: Arc<dyn States>,
    refusals: AtomicU32,
}

impl States for Full {
    fn roots(&self) -> BTreeSet<Root> {
        self.states.roots()
    }

    fn load(&self, root: &Root, threads: &sip_kernels::Threads) -> anyhow::Result<Option<Arc<State>>> {
        self.states.load(root, threads)
    }

    fn save(&self, state: &State) -> anyhow::Result<()> {
        let left = self.refusals.load(Ordering::SeqCst);
        self.refusals.store(left.saturating_sub(1), Ordering::SeqCst);
        anyhow::ensure!(left == 0, "the disk is full");
        self.states.save(state)
    }

    fn forget(&self, root: &Root) {
        self.states.forget(root);
    }

    fn hand_out(&self, root: &Root, threads: &sip_kernels::Threads) -> anyhow::Result<()> {
        self.states.hand_out(root, threads)
    }

    fn fetch(&self, wanted: &Wanted, threads: &sip_kernels::Threads, stop: &AtomicBool) -> anyhow::Result<bool> {
        self.states.fetch(wanted, threads, stop)
    }
}

fn strangers_train_a_job(updates: Exchange) {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), updates, 1);
    network.play();
    check(network);
}

/// Two rounds were trained, the lie is convicted, and nothing else is.
fn check(network: Network) {
    let (program, job) = (network.run.world.program, network.read::<Job>(&network.job));
    let said: Vec<String> = network.said.iter().map(ToString::to_string).collect();
    let rounds = (job.rounds_scored, job.chain.final_count, job.next_round);
    assert_eq!(rounds, (2, 2, 2), "a round came to nothing: {said:#?}");

    // The lie is convicted, and nothing else is; all others count, and everybody is settled.
    for index in 0..2 {
        let round = network.round(index);
        let address = program.round(&network.job, index);
        assert_eq!((round.status, round.committed), (round::FINAL, 0b111));
        assert_eq!(round.accepted, if index == 1 { 0b011 } else { 0b111 });
        for place in 0..3u8 {
            let pool = Address::new_from_array(round.trainers[usize::from(place)]);
            let segment: Segment = network.read(&program.segment(&address, &pool));
            let is_lie = (index, place) == (1, 2);
            let expected = if is_lie { segment::CONVICTED } else { segment::ACCEPTED };
            assert_eq!((segment.status, segment.settled, segment.escrow.bounty), (expected, 1, 0));
        }
        for seat in &round.auditors[..usize::from(round.auditor_count)] {
            assert_eq!((seat.revealed, seat.settled, seat.vote), (1, 1, round.next_base));
            assert_eq!((seat.attested, seat.shown), (seat.drawn, seat.drawn));
        }
        for seat in &round.evaluators[..usize::from(round.evaluator_count)] {
            assert_eq!((seat.status, seat.settled), (evaluation::WITHIN, 1));
        }
        let domains = (bit(job.spec.domain_count) - 1) as u8;
        assert_eq!((round.settled_data, round.settled_patrons), (domains, domains));
    }
    // What they came to is what one who knows all segments computes.
    let (machine, prepared) = (&network.run.machine, &network.run.prepared);
    let mut base = Arc::clone(&prepared.genesis);
    for index in 0..2 {
        let round = network.round(index);
        let address = program.round(&network.job, index);
        let accepted = (0..3u8).filter(|place| round.accepted & bit(*place) != 0);
        let results: Vec<Arc<State>> = accepted
            .map(|place| {
                let pool = Address::new_from_array(round.trainers[usize::from(place)]);
                let segment: Segment = network.read(&program.segment(&address, &pool));
                let root = sip_data::hex(segment.claim.result_root(&job.spec));
                Arc::new(State::load(&network.shelf.join(format!("{root}.state")), &machine.threads).unwrap())
            })
            .collect();
        base = prepared.next_base(&base, &results, machine).unwrap();
        assert_eq!(base.root(), round.next_base);
    }
    assert_eq!(job.base_root, base.root());

    // An auditor that nobody told has accused and won; the liar has defended itself; the program refused nobody anything.
    let lie = Claim::Segment { round: 1, place: 2 };
    let decided = |event: &Event| matches!(event, Event::Decided { claim, convicted: true, .. } if *claim == lie);
    assert!(network.events().any(|(name, event)| name.starts_with("auditor") && decided(event)));
    let defended = |event: &Event| matches!(event, Event::Moved { side: "accused", .. });
    assert!(network.events().filter(|(name, event)| *name == "trainer 3" && defended(event)).count() > 3);
    let refused: Vec<String> = network
        .events()
        .filter(|(_, event)| matches!(event, Event::Refused { .. }))
        .map(|(name, event)| format!("{name}: {event}"))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let Network { mut run, ledger, strangers, .. } = network;
    drop(strangers);
    run.world.ledger = Rc::into_inner(ledger.ledger).expect("nobody else has the ledger").into_inner();
    assert!(run.world.is_conserved().unwrap());
}

#[test]
fn strangers_that_share_a_ledger_and_a_shelf_train_two_rounds_and_convict_a_liar() {
    strangers_train_a_job(Exchange::Whole);
}

#[test]
fn strangers_that_hand_over_compressed_updates_do_the_same() {
    strangers_train_a_job(Exchange::Compressed);
}

#[test]
fn strangers_with_threads_of_their_own_do_the_same_though_some_are_killed_a_disk_is_full_and_the_chain_is_away_at_times()
 {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), Exchange::Whole, 1);
    network.ledger.fails_every = 97;
    for stranger in &mut network.strangers {
        if stranger.name == "trainer 1" {
            let states = Arc::clone(&stranger.bench.states);
            stranger.bench.states = Arc::new(Full { states, refusals: 3.into() });
        }
        stranger.hire();
    }
    network.play();
    let hindered = |event: &Event| matches!(event, Event::Hindered { what, .. } if what == "train");
    let told = network.events().filter(|(name, event)| *name == "trainer 1" && hindered(event)).count();
    assert!(told > 0, "trainer 1 says that its disk is full");
    network.strangers.iter_mut().for_each(|stranger| stranger.crew = None);
    network.ledger.fails_every = 0;
    check(network);
}
