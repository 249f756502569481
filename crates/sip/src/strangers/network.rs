//! The people of a job, each with a machine of its own, and the turns in which they act.

use sip_client::Program;
use sip_demo::Person;
use sip_demo::Run;
use sip_demo::restore;
use sip_demo::stage;
use sip_demo::{chain, job_address};
use sip_driver::{Bench, Books, Came, Crew, FolderStates, Hands, Live, Memory, Record, SLOT, Source, is_lost};
use sip_ledger::Ledger as _;
use sip_manifest::folder::Store;
use sip_manifest::prepare;
use sip_manifest::roles::{AUDITOR, CREATOR, EVALUATOR, PROVIDER, TRAINER};
use sip_manifest::settings::{Exchange, Fraud, MixtureRule, Settings};
use sip_manifest::stop::Stop;
use sip_model::LlamaConfig;
use sip_net::Peer;
use sip_protocol::training::job::Job;
use sip_protocol::training::round::Round;
use sip_report::Progress;
use sip_roles::{Cheating, Event, Me, Node, Roles};
use solana_address::Address;
use solana_keypair::Keypair;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ledger::Shared;

/// Those who are killed are so this often: a replay that is killed begins anew.
const KILLS: u32 = 40;
/// After how long a crew looks again for what nobody had, and tries again what failed.
const PATIENCE: [Duration; 2] = [Duration::from_millis(15), Duration::from_millis(30)];
/// For so long nobody has anything to do before time passes.
const REST: Duration = Duration::from_millis(40);

/// Somebody with a machine of its own.
pub(super) struct Stranger {
    pub name: String,
    pub key: Keypair,
    pub node: Node,
    pub bench: Bench,
    /// Threads that compute in place of the bench.
    pub crew: Option<Crew>,
    books: Books,
    pub memory: Memory,
    /// Who may have a state.
    pub peers: Vec<Peer>,
    /// How long it takes a slot to be.
    pub slot: Duration,
    /// Whether it is killed after every step, and remembers nothing but what is on its disk; one with threads is killed in the middle of things too.
    pub forgets: bool,
    /// How often its threads were ended in the middle of their work, and how often it was killed by what it asked of the chain.
    pub kills: [u32; 2],
    pub events: Vec<Event>,
}

impl Stranger {
    /// One step; whether it did anything.
    pub(super) fn step(&mut self, ledger: &mut Shared, job: Address) -> bool {
        let faults = Rc::clone(&ledger.faults);
        faults.kills.set(self.forgets && self.crew.is_some() && self.kills[1] < KILLS);
        let before = ledger.sent.get();
        let outcome = self.try_step(ledger, job);
        faults.kills.set(false);
        if faults.has_killed.take() {
            self.kills[1] += 1;
            self.hire();
        }
        match outcome {
            // The wait for a chain that is away is no deed.
            Err(error) if is_lost(&error) => ledger.sent.get() > before,
            acted => acted.unwrap_or_else(|error| panic!("{}: {error:#}", self.name)),
        }
    }

    fn try_step(&mut self, ledger: &mut Shared, job: Address) -> anyhow::Result<bool> {
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
            holders: &|_, _| self.peers.clone(),
            holds_opening: &|_| false,
            books: &mut self.books,
            slot: self.slot,
            turn_slots: None,
            memory: &mut self.memory,
            report: &mut |event| self.events.push(event.clone()),
        };
        for came in came {
            match came {
                Came::Fact(fact, tell) => live.note(*fact, tell).unwrap(),
                Came::Failed(event) => (live.report)(&event),
                Came::News => {}
            }
        }
        live.step()
    }

    /// Has threads of its own from now on, and no memory of what those before did.
    pub(super) fn hire(&mut self) {
        let Bench { source, machine, record, states, .. } = &self.bench;
        let (source, machine, record) = (source.clone(), machine.clone(), record.clone());
        let (states, stop) = (states.clone(), Stop::default());
        let (threads, at_work) = (machine.threads.clone(), stop.clone());
        // The old one ends first: it stops where it is.
        self.crew = None;
        self.memory = Memory::default();
        self.books = Books::open(&record, 0).unwrap();
        let of_bench = states.clone();
        let crew = Crew::start(states, threads, stop, move || Bench::new(source, machine, record, of_bench, at_work));
        self.crew = Some(crew.with_patience(PATIENCE[0], PATIENCE[1]));
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
pub(super) struct Network {
    pub run: Run,
    pub ledger: Shared,
    pub job: Address,
    pub shelf: PathBuf,
    pub strangers: Vec<Stranger>,
    /// Who acted when, for those who look for what went wrong.
    pub said: Vec<String>,
    /// How long a slot lasts while somebody is at work; nothing where time passes when nobody is.
    pub slot: Option<Duration>,
}

fn settings(updates: Exchange, rounds: u32) -> Settings {
    Settings {
        seed: 5,
        preset: "tiny".into(),
        model: LlamaConfig::preset("tiny").unwrap(),
        batch: 2,
        inner_steps: 6,
        leaf_interval: 4,
        rounds,
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
    pub(super) fn new(folder: &Path, updates: Exchange, lies_from: u32) -> Network {
        Network::of_rounds(folder, updates, lies_from, 2)
    }

    /// The same with so many rounds.
    pub(super) fn of_rounds(folder: &Path, updates: Exchange, lies_from: u32, rounds: u32) -> Network {
        let store = Store::new(&folder.join("creator of the chain"));
        let mut settings = settings(updates, rounds);
        prepare::tokenize(&mut settings, &[], 60_000, &store, &|_| ()).unwrap();
        let run = Run::begin(settings, store, Progress::new(true), Stop::default()).unwrap();
        let ledger = Shared::new(restore(&run.store.ledger(0)).unwrap());
        let (job, shelf) = (job_address(&run.world), folder.join("shelf"));
        std::fs::create_dir_all(&shelf).unwrap();
        let strangers =
            run.world.people.iter().filter_map(|person| stranger(&run, person, (folder, &shelf), lies_from)).collect();
        Network { ledger, job, shelf, strangers, run, said: Vec::new(), slot: None }
    }

    pub(super) fn read<T: sip_protocol::Account>(&self, address: &Address) -> T {
        let account = self.ledger.ledger.borrow().account(address).expect("the account is there");
        T::decode(&account.data).unwrap()
    }

    pub(super) fn round(&self, index: u32) -> Round {
        self.read(&self.run.world.program.round(&self.job, index))
    }

    /// Somebody.
    pub(super) fn stranger(&mut self, name: &str) -> &mut Stranger {
        self.strangers.iter_mut().find(|stranger| stranger.name == name).expect("somebody has that name")
    }

    /// Whether somebody has told something like this.
    pub(super) fn has_told(&self, name: &str, is_it: impl Fn(&Event) -> bool) -> bool {
        self.events().any(|(who, event)| who == name && is_it(event))
    }

    /// Slots pass, whether the chain answers or not.
    pub(super) fn pass(&self, slots: u64) {
        self.ledger.ledger.borrow_mut().advance_slots(slots).unwrap();
    }

    /// Everybody acts, in turn, until the job's rounds are final and nobody has anything left to do.
    pub(super) fn play(&mut self) {
        self.play_and(&mut |_| ());
    }

    /// The same; before each turn something is done to them.
    pub(super) fn play_and(&mut self, meddle: &mut dyn FnMut(&mut Network)) {
        let (mut idle_slots, mut idle_since, mut steps) = (1, Instant::now(), 0);
        let mut passed = Instant::now();
        for _ in 0..60_000 {
            meddle(self);
            let slots = self.slot.map_or(0, |slot| (passed.elapsed().as_nanos() / slot.as_nanos()) as u64);
            if slots > 0 {
                passed = Instant::now();
                self.pass(slots);
            }
            let mut has_acted = false;
            for stranger in &mut self.strangers {
                steps += 1;
                // Those who forget are killed at any moment.
                if stranger.crew.is_some() && stranger.forgets && stranger.kills[0] < KILLS && steps % 67 < 8 {
                    stranger.kills[0] += 1;
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
            if is_at_work || (has_crews && idle_since.elapsed() < REST) {
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
            self.pass(idle_slots);
            // A seed is captured within 512 slots.
            idle_slots = (idle_slots * 2).min(400);
        }
        // What is said again and again is said once.
        self.said.dedup();
        panic!("there is no end of it: {:#?}", self.said.iter().rev().take(120).collect::<Vec<_>>());
    }

    pub(super) fn events(&self) -> impl Iterator<Item = (&str, &Event)> {
        self.strangers.iter().flat_map(|stranger| stranger.events.iter().map(|event| (&stranger.name[..], event)))
    }
}

/// The secret that an auditor's draws follow from, which its pool was created with.
pub(super) fn chain_of(run: &Run, person: &Person) -> Option<[u8; 32]> {
    let draws = || chain(&run.settings, &person.name).draw(run.settings.rounds * 4 + 30).unwrap();
    (person.role == AUDITOR).then(draws)
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
    let chain = chain_of(run, person);
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
        peers: Vec::new(),
        slot: SLOT,
        forgets: person.place == 1,
        kills: [0; 2],
        events: Vec::new(),
    })
}
