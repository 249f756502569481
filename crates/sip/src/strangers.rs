//! Strangers train a job: each is a driver of its own with its own key and folder, and they share a ledger and a shelf of states by their roots.
//! Nobody is told what comes next.

use crate::audit::folder::restore;
use crate::run::Run;
use crate::run::setup::{Chain, job_address};
use crate::run::staged::stage;
use crate::run::world::Person;
use sip_client::Program;
use sip_driver::{Bench, Books, FolderStates, Live, Memory, Record, SLOT, Source, no_holders};
use sip_ledger::{Ledger, LedgerError, Receipt, Statistics};
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
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// The one ledger, as each of them reaches it.
#[derive(Clone)]
struct Shared(Rc<RefCell<Embedded>>);

impl Ledger for Shared {
    fn send(
        &mut self,
        instructions: &[Instruction],
        payer: &Keypair,
        signers: &[&Keypair],
    ) -> Result<Receipt, LedgerError> {
        let mut ledger = self.0.borrow_mut();
        let receipt = ledger.send(instructions, payer, signers)?;
        ledger.advance_slots(1)?;
        Ok(receipt)
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, LedgerError> {
        Ok(self.0.borrow().account(address))
    }

    fn program_accounts(&self, program_id: &Address) -> Result<Vec<(Address, Account)>, LedgerError> {
        Ok(self.0.borrow().program_accounts(program_id))
    }

    fn slot(&self) -> Result<u64, LedgerError> {
        Ok(self.0.borrow().slot())
    }

    fn advance_slots(&mut self, slots: u64) -> Result<(), LedgerError> {
        self.0.borrow_mut().advance_slots(slots)
    }

    fn minimum_balance(&self, data_bytes: usize) -> Result<u64, LedgerError> {
        Ok(self.0.borrow().minimum_balance(data_bytes))
    }

    fn statistics(&self) -> Statistics {
        self.0.borrow().statistics()
    }
}

/// Somebody with a machine of its own.
struct Stranger {
    name: String,
    key: Keypair,
    node: Node,
    bench: Bench,
    books: Books,
    memory: Memory,
    /// Whether it is killed after every step, and remembers nothing but what is on its disk.
    forgets: bool,
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
        let mut live = Live {
            ledger,
            program: Program::default(),
            key: &self.key,
            job,
            node: &self.node,
            source: &source,
            record: self.bench.record.clone(),
            hands: &mut self.bench,
            holders: &no_holders,
            books: &mut self.books,
            slot: SLOT,
            turn_slots: None,
            memory: &mut self.memory,
            report: &mut |event| self.events.push(event.clone()),
        };
        live.step().unwrap_or_else(|error| panic!("{}: {error:#}", self.name))
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
        let ledger = Shared(Rc::new(RefCell::new(restore(&run.store.ledger(0)).unwrap())));
        let (job, shelf) = (job_address(&run.world), folder.join("shelf"));
        std::fs::create_dir_all(&shelf).unwrap();
        let strangers =
            run.world.people.iter().filter_map(|person| stranger(&run, person, (folder, &shelf), lies_from)).collect();
        Network { ledger, job, shelf, strangers, run, said: Vec::new() }
    }

    fn read<T: sip_protocol::Account>(&self, address: &Address) -> T {
        let account = self.ledger.0.borrow().account(address).expect("the account is there");
        T::decode(&account.data).unwrap()
    }

    fn round(&self, index: u32) -> Round {
        self.read(&self.run.world.program.round(&self.job, index))
    }

    /// Everybody acts, in turn, until the job's rounds are final and nobody has anything left to do.
    fn play(&mut self) {
        let mut idle_slots = 1;
        for _ in 0..4_000 {
            let mut has_acted = false;
            for stranger in &mut self.strangers {
                let (slot, before) = (self.ledger.0.borrow().slot(), stranger.events.len());
                has_acted |= stranger.step(&mut self.ledger, self.job);
                let events = stranger.events[before..].iter().filter(|event| !matches!(event, Event::Follows { .. }));
                self.said.extend(events.map(|event| format!("slot {slot}, {}: {event}", stranger.name)));
            }
            if has_acted {
                idle_slots = 1;
                continue;
            }
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
        books,
        memory: Memory::default(),
        forgets: person.place == 1,
        events: Vec::new(),
    })
}

fn strangers_train_a_job(updates: Exchange) {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), updates, 1);
    network.play();
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
    run.world.ledger = Rc::into_inner(ledger.0).expect("nobody else has the ledger").into_inner();
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
