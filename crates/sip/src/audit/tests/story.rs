//! Whole rounds with liars in every role: the watchtower, started anew after every transaction, convicts all of them, does an
//! auditor's work meanwhile, and is paid.

use super::*;
use sip_client::{AttestationAccusation, NewPool, VoteAccusation};
use sip_data::Mixture;
use sip_demo::Committed;
use sip_demo::{dataset_addresses, job_address};
use sip_driver::{Found, Hands, NetStates, Position, Root, States, Wanted};
use sip_manifest::roles::{AUDITOR, EVALUATOR, PATRON};
use sip_model::init_graph;
use sip_node::dispute::{Challenger, DisputeError, Evidence, GraphEvidence, Move};
use sip_node::{Cheat, Computation, SegmentTask, State, scoring};
use sip_proof::{HostSha256, Sha256 as _, roots_tree};
use sip_protocol::Account as _;
use sip_protocol::ground::escrow::REVEAL_SLOTS;
use sip_protocol::ground::units::TOKEN;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::attestation::{Shown, attested_leaf};
use sip_protocol::training::evaluation;
use sip_protocol::training::job::{JobSpec, bit};
use sip_protocol::training::round::{self, QUALITY_ONE};
use sip_roles::Work;
use sip_roles::commitment;
use solana_instruction::Instruction;
use std::time::Duration;

/// What is said where somebody was killed.
const KILLED: &str = "killed";

/// A bench whose process is killed when something is computed.
struct Dying(Bench);

impl Hands for Dying {
    fn compute(&mut self, at: Position<'_>, work: &Work) -> Result<Option<(sip_roles::Fact, Option<Event>)>> {
        Hands::compute(&mut self.0, at, work)?;
        anyhow::bail!(KILLED)
    }

    fn fetch(&mut self, wanted: Wanted) -> Result<Found> {
        self.0.fetch(wanted)
    }

    fn hand_out(&mut self, root: Root) -> Result<()> {
        self.0.hand_out(root)
    }

    fn states(&self) -> &dyn States {
        Hands::states(&self.0)
    }
}

/// A watchtower that remembers nothing between two steps but what is on disk.
struct Tower {
    person: usize,
    folder: PathBuf,
    operator: bool,
    drawn: bool,
    /// Whether it trains, and does nothing else.
    trains: bool,
    /// Whether its states lie on a shelf that a network serves, and not as files.
    is_on_network: bool,
    /// Whether it is killed whenever something is computed, before it hears of it.
    dies_computing: bool,
    /// Whether it is killed after every transaction, also between those of one move; and how often it then had more to send.
    is_cut: bool,
    cuts: u32,
    /// Whether its verdicts are refused where they come with a move.
    is_spoiled: bool,
    events: Vec<Event>,
}

mod past;
mod second;
mod twins;
mod updates;

impl Tower {
    fn new(run: &Run, person: usize, operator: bool) -> Tower {
        let folder = run.store.root().join(format!("audit of {person}"));
        let (drawn, trains, is_on_network, dies_computing, is_cut, is_spoiled) = Default::default();
        let (cuts, events) = Default::default();
        Tower {
            person,
            folder,
            operator,
            drawn,
            trains,
            is_on_network,
            dies_computing,
            is_cut,
            cuts,
            is_spoiled,
            events,
        }
    }

    /// Does one thing, as a new process would.
    fn step(&mut self, run: &mut Run, source: &Arc<Source>, job: Address) -> bool {
        let key = run.world.people[self.person].keypair.insecure_clone();
        let program = run.world.program;
        let roles = match self.trains {
            true => Roles { trainer: true, ..Roles::default() },
            false => roles(self.operator, self.drawn),
        };
        let node = Node { me: Me::new(key.to_bytes()), roles, cheating: None };
        let record = Record::open(self.folder.join(job.to_string())).unwrap();
        let states = self.states(source, &record);
        let mut books = Books::open(&record, 0).unwrap();
        let mut bench = Bench::new(Arc::clone(source), run.machine.clone(), record.clone(), states, Stop::default());
        let mut dying;
        let hands: &mut dyn Hands = match self.dies_computing {
            true => {
                dying = Dying(bench);
                &mut dying
            }
            false => &mut bench,
        };
        let transactions = self.is_cut.then_some(1);
        let mut ledger =
            Flaky { ledger: &mut run.world.ledger, failures: 0.into(), transactions, spoils_verdicts: self.is_spoiled };
        let mut live = Live {
            ledger: &mut ledger,
            program,
            key: &key,
            job,
            node: &node,
            source,
            record,
            hands,
            holders: &no_holders,
            holds_opening: &|_| false,
            books: &mut books,
            slot: SLOT,
            turn_slots: None,
            memory: &mut Memory::default(),
            report: &mut |event| self.events.push(event.clone()),
        };
        let acted = match live.step() {
            Err(error) if is_lost(&error) => {
                self.cuts += 1;
                true
            }
            Err(error) if error.to_string() == KILLED => true,
            acted => acted.unwrap(),
        };
        run.world.ledger.advance_slots(1).unwrap();
        acted
    }

    /// Where states lie, as a new process finds them.
    fn states(&self, source: &Source, record: &Record) -> Arc<dyn States> {
        if !self.is_on_network {
            return Arc::new(FolderStates::new(record.folder(), None, source.published(), source.shapes()));
        }
        let shelf = sip_net::Shelf::open(&self.folder.join("shelf")).unwrap();
        let bans = Arc::new(sip_net::Bans::new(Duration::from_secs(60)));
        let network = Arc::new(sip_net::InProcess::new());
        let fetcher = sip_net::Fetcher::new(network, shelf.clone(), bans, sip_net::FetchLimits::default());
        let own = source.given().map(|state| state.root()).collect();
        let states = NetStates::new(shelf, fetcher, source.shapes(), own, Arc::new(|_, _| ()));
        source.given().for_each(|state| states.save(state).unwrap());
        Arc::new(states)
    }

    /// Does all that can be done now.
    fn work(&mut self, run: &mut Run, source: &Arc<Source>, job: Address) {
        for _ in 0..400 {
            if !self.step(run, source, job) {
                return;
            }
        }
        panic!("there is no end of it: {:?}", self.events.iter().rev().take(8).collect::<Vec<_>>());
    }

    fn convicted(&self) -> Vec<Claim> {
        let convicted = self.events.iter().filter_map(|event| match event {
            Event::Decided { claim, convicted: true, .. } => Some(*claim),
            _ => None,
        });
        convicted.collect()
    }

    fn has_said(&self, what: &str) -> bool {
        self.events.iter().any(|event| event.to_string().contains(what))
    }

    /// That the program refused nothing that it sent.
    fn assert_unrefused(&self) {
        let refused = self.events.iter().find(|event| matches!(event, Event::Refused { .. }));
        assert!(refused.is_none(), "{refused:?}");
    }
}

/// The next move from a position; none where there is nothing to say.
type Brain = Box<dyn FnMut(&sip_protocol::court::Game) -> Option<Move>>;

/// Somebody in a dispute who plays from this evidence.
struct Party {
    person: usize,
    side: Side,
    dispute: Address,
    next: Brain,
}

impl Party {
    fn new<R>(person: usize, side: Side, dispute: Address, graph: GraphEvidence, evidence: R) -> Party
    where
        R: Evidence + 'static,
        R::Error: std::fmt::Debug,
    {
        fn said<E: std::fmt::Debug>(next: Result<Option<Move>, DisputeError<E>>) -> Option<Move> {
            match next {
                Err(DisputeError::Missing(_)) => None,
                next => next.unwrap(),
            }
        }
        let graph = Arc::new(graph);
        let next: Brain = match side {
            Side::Trainer => {
                let mut defender = Defender::new(graph, evidence);
                Box::new(move |game| said(defender.next(game)))
            }
            Side::Challenger => {
                let mut challenger = Challenger::new(graph, evidence);
                Box::new(move |game| said(challenger.next(game)))
            }
        };
        Party { person, side, dispute, next }
    }

    /// Plays, if it is its turn; who has nothing to say is silent until its clock has run out.
    fn play(&mut self, run: &mut Run) -> bool {
        let Some(account) = run.world.ledger.account(&self.dispute) else { return false };
        let state = Dispute::decode(&account.data).unwrap();
        if state.resolved != 0 || state.game.on_move() != Ok(self.side) {
            return false;
        }
        let wallet = run.world.people[self.person].wallet();
        let Some(next) = (self.next)(&state.game) else {
            run.world.ledger.advance_slots(state.game.clock_slots[self.side as usize] + 1).unwrap();
            return true;
        };
        let moves = run.world.program.moves(&wallet, &self.dispute, next.kind, &next.payload);
        if run.world.attempt_all(self.person, moves).unwrap().is_none() {
            run.world.ledger.advance_slots(state.game.clock_slots[self.side as usize] + 1).unwrap();
        }
        true
    }
}

/// The tower works and the others answer, until nobody has anything to do.
fn play_out(run: &mut Run, source: &Arc<Source>, job: Address, tower: &mut Tower, parties: &mut [Party]) {
    loop {
        tower.work(run, source, job);
        let mut has_played = false;
        for party in parties.iter_mut() {
            has_played |= party.play(run);
        }
        if !has_played {
            return;
        }
    }
}

/// A stage for a story: a run with one more auditor, who is a watchtower.
fn stage(folder: &Path, cheats: Vec<Fraud>, audit_rate: f64) -> (Run, Arc<Source>, Address, usize) {
    stage_with(folder, Settings { rounds: 4, audit_rate, ..settings(cheats) })
}

fn stage_with(folder: &Path, mut settings: Settings) -> (Run, Arc<Source>, Address, usize) {
    let store = Store::new(folder);
    prepare::tokenize(&mut settings, &[], 60_000, &store, &|_| ()).unwrap();
    let mut run = Run::begin(settings, store.clone(), Progress::new(true), Stop::default()).unwrap();
    let source = Arc::new(Source::open(store, &run.machine).unwrap());
    let job = job_address(&run.world);
    let (program, creator) = (run.world.program, run.world.people[0].wallet());
    let keypair = Keypair::new_from_array([77; 32]);
    let wallet = keypair.pubkey();
    let pool = program.pool(PoolKind::Auditor, &wallet, 0);
    let (name, pool_kind) = ("watchtower".to_owned(), Some((PoolKind::Auditor, pool)));
    run.world.people.push(Person { name, role: "watchtower", keypair, pool: pool_kind, place: 2 });
    let person = run.world.people.len() - 1;
    run.world.ledger.airdrop(&wallet, 1_000_000_000_000).unwrap();
    run.world.send(0, program.create_token_account(&creator, &wallet)).unwrap();
    run.world.send(0, program.distribute(&creator, &wallet, 90_000 * TOKEN)).unwrap();
    let secret = crate::chain::pool::draw_secret(&run.world.people[person].keypair, 0);
    let chain_tip = sip_roles::HashChain::from_secret(secret, 65).tip();
    let new = NewPool { index: 0, self_bond: 20_000 * TOKEN, commission_bps: 0, chain_tip };
    run.world.send(person, program.create_pool(&wallet, PoolKind::Auditor, &new)).unwrap();
    run.world.send(person, program.join_job(&wallet, &job, &pool)).unwrap();
    (run, source, job, person)
}

fn round_state(run: &Run, job: &Address, index: u32) -> Box<Round> {
    Box::new(run.world.read(&run.world.program.round(job, index)).unwrap())
}

/// Opens a round, and every trainer commits what its fraud makes of it.
fn commit_all(run: &mut Run, job: &Address) -> (u32, Vec<Committed>) {
    let (index, committed) = train_all(run, job);
    for segment in &committed {
        run.commit(segment, job, &run.world.program.round(job, index)).unwrap();
    }
    (index, committed)
}

/// Opens a round, and every trainer computes what its fraud makes of it.
fn train_all(run: &mut Run, job: &Address) -> (u32, Vec<Committed>) {
    let (program, creator) = (run.world.program, run.world.people[0].wallet());
    let state: Job = run.world.read(job).unwrap();
    let index = state.next_round;
    run.world.send(0, program.open_next_round(&creator, job, &state)).unwrap();
    let round = round_state(run, job, index);
    let mixture = Mixture::new(&round.mixture_bps[..usize::from(state.spec.domain_count)]).unwrap();
    // So late in the run every staged fraud is due.
    let number = run.settings.rounds;
    (index, run.train(&round, &mixture, number).unwrap())
}

/// What an auditor of the run attests a segment with: the trace root of an honest replay, or of one with a lie in the attested step.
fn trace_root(run: &Run, segment: &Committed, draw: &[u8; 32], lies: bool) -> ([u8; 32], Replay, u32) {
    let task = run.prepared.task.clone();
    let leaves = task.leaves().count() as u32;
    let step = attested_leaf::<HostSha256>(draw, &segment.work.accumulator_root(), leaves) * task.leaf_interval;
    let node = task.graph.state_outputs()[1];
    let cheat = lies.then_some(Cheat::FlipBit { step, node, element: 3, bit: 20 });
    let worker = Worker::new(task, Arc::clone(&run.machine.threads), run.machine.simd);
    let mut replay = Replay::new(worker, segment.task.clone(), cheat, segment.work.leaves.clone());
    let roots = replay.trace_roots(step).unwrap();
    (roots_tree(&roots).root(), replay, step)
}

/// Evaluators commit and reveal; some of them with a lie.
fn evaluate(run: &mut Run, job: &Address, index: u32, base: &Arc<State>, liar: Option<(usize, Cheat)>) {
    let program = run.world.program;
    let round = program.round(job, index);
    let spec: JobSpec = run.world.read::<Job>(job).unwrap().spec;
    let task = SegmentTask::scoring(base, &run.machine.threads).unwrap();
    let mut reveals = Vec::new();
    for (number, evaluator) in run.world.with_role(EVALUATOR).into_iter().enumerate() {
        let lie = liar.as_ref().filter(|(who, _)| *who == number).map(|(_, lie)| lie);
        let work = run.scorer.train(&task, lie, &mut |_| true).unwrap();
        let (sums, leaves) = (scoring::sums(&work.end), work.accumulator_root());
        let seat = run.world.people[evaluator].seat().unwrap();
        let claim = evaluation::claim::<HostSha256>(&spec, &sums, &leaves, seat.place);
        let commitment = evaluation::commitment::<HostSha256>(&claim, &[7; 32], seat.pool.as_array(), round.as_array());
        // Who was convicted has no bond any more.
        if run
            .world
            .attempt_all(evaluator, vec![program.commit_score(&seat, job, &round, &commitment)])
            .unwrap()
            .is_some()
        {
            reveals.push((evaluator, seat, sums, leaves));
        }
    }
    if reveals.len() < run.world.with_role(EVALUATOR).len() {
        let deadline = round_state(run, job, index).score_deadline_slot;
        pass_slots_to(run, deadline);
    }
    for (evaluator, seat, sums, leaves) in &reveals {
        let reveal = program.reveal_score(seat, job, &round, (sums, leaves), &[7; 32]);
        run.world.send(*evaluator, reveal).unwrap();
    }
}

/// An auditor of the run votes, with the link of its chain that is next.
fn cast_vote(run: &mut Run, auditor: usize, (job, round): (&Address, &Address), root: &[u8; 32]) {
    let person = run.world.with_role(AUDITOR)[auditor];
    let seat = run.world.people[person].seat().unwrap();
    let vote = run.world.program.vote_base(&seat, job, round, root, &next_draw(run, person));
    run.world.send(person, vote).unwrap();
}

/// The link of an auditor's chain that is next.
fn next_draw(run: &Run, person: usize) -> [u8; 32] {
    let tip = run.world.read::<Pool>(&run.world.people[person].pool().unwrap()).unwrap().chain_tip;
    let chain = sip_demo::chain(&run.settings, &run.world.people[person].name);
    (0..).map_while(|number| chain.draw(number)).find(|link| HostSha256::hashv(&[link]) == tip).unwrap()
}

fn pass_slots_to(run: &mut Run, slot: u64) {
    let now = run.world.ledger.slot();
    run.world.ledger.advance_slots(slot.saturating_sub(now)).unwrap();
}

/// The graph of a round's mean, with a lie in it or without.
fn mean(run: &Run, ends: &[Arc<State>], lies: bool) -> Computation {
    let graph = Arc::new(run.prepared.aggregates.graph(ends.len()).unwrap());
    let node = graph.state_outputs()[0];
    let cheat = lies.then_some(Cheat::FlipBit { step: 0, node, element: 5, bit: 20 });
    Computation::new(graph, ends.to_vec(), cheat, &run.machine.threads, run.machine.simd)
}

#[test]
fn liars_of_every_kind_are_convicted_by_a_watchtower_that_audits_and_is_paid() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, source, job, person) = stage(folder.path(), vec![Fraud::FlipBit], 1.0);
    let program = run.world.program;
    let mut tower = Tower { is_cut: true, ..Tower::new(&run, person, true) };
    let wallet = run.world.people[person].wallet();
    let pool = run.world.people[person].pool().unwrap();
    let auditors = run.world.with_role(AUDITOR);

    // A first round in which a trainer lies, an auditor votes for a false base, and another attests without having looked.
    let (index, committed) = commit_all(&mut run, &job);
    let round = program.round(&job, index);
    let liar = committed.iter().position(|segment| segment.cheat.is_some()).unwrap();
    tower.work(&mut run, &source, job);
    assert_eq!(round_state(&run, &job, index).status, round::COMMITS_CLOSED, "the tower closed the commits");
    let (mut attested, mut last) = (Vec::new(), None);
    for (position, auditor) in auditors.iter().copied().enumerate() {
        let seat = run.world.people[auditor].seat().unwrap();
        let chain = sip_demo::chain(&run.settings, &run.world.people[auditor].name);
        let draw = chain.draw(0).unwrap();
        run.world.send(auditor, program.reveal_draw(&seat, &job, &round, &draw)).unwrap();
        for (number, segment) in committed.iter().enumerate().filter(|(number, _)| *number != liar) {
            let lies = position == 1 && number == (liar + 1) % committed.len();
            let (root, replay, _) = trace_root(&run, segment, &draw, lies);
            let salt = [number as u8 + 1; 32];
            let digest = commitment(&seat.pool, &segment.address, &salt, &root);
            last = Some((auditor, program.attest(&seat, &job, &round, &segment.address, &digest)));
            attested.push((auditor, seat, segment.address, salt, root, lies.then_some(replay)));
            // The very last attestation keeps the audit open until the verdict: a lie that counts undoes its round.
            if attested.len() < auditors.len() * (committed.len() - 1) {
                let (auditor, attest) = last.take().unwrap();
                run.world.send(auditor, attest).unwrap();
            }
        }
    }
    let graph = || run_graph(&source);
    let defence = {
        let segment = &committed[liar];
        let task = run.prepared.task.clone();
        let worker = Worker::new(task, Arc::clone(&run.machine.threads), run.machine.simd);
        Replay::new(worker, segment.task.clone(), segment.cheat.clone(), segment.work.leaves.clone())
    };
    let dispute = program.dispute(&committed[liar].address, &wallet);
    let mut parties = vec![Party::new(committed[liar].trainer, Side::Trainer, dispute, graph(), defence)];
    play_out(&mut run, &source, job, &mut tower, &mut parties);
    let place = committed[liar].task.place;
    assert_eq!(tower.convicted(), [Claim::Segment { round: index, place }]);
    let (auditor, attest) = last.unwrap();
    run.world.send(auditor, attest).unwrap();
    tower.work(&mut run, &source, job);
    let closed = round_state(&run, &job, index);
    assert_eq!(closed.status, round::CLOSED, "the tower attested what it drew and closed the round");
    assert_eq!((closed.accepted, closed.accepted & bit(place)), (0b111 & !bit(place), 0));

    // Attestations are shown, and the vote begins.
    for (auditor, seat, segment, salt, trace_root, _) in &attested {
        let shown = Shown { salt, trace_root };
        run.world.send(*auditor, program.reveal_attestation(seat, &job, &round, segment, &shown)).unwrap();
    }
    let honest = committed.iter().enumerate().filter(|(number, _)| *number != liar);
    let ends: Vec<Arc<State>> = honest.map(|(_, segment)| Arc::clone(&segment.work.end)).collect();
    let mut lie = mean(&run, &ends, true);
    let seats = [0, 1].map(|auditor| run.world.people[auditors[auditor]].seat().unwrap());
    let false_root = lie.root().unwrap();
    cast_vote(&mut run, 0, (&job, &round), &false_root);
    let vote = program.auditor_dispute(&round, &wallet, seats[0].place);
    let graph_of_mean = lie.graph_evidence();
    parties.push(Party::new(auditors[0], Side::Trainer, vote, graph_of_mean, lie));
    let (_, _, segment, _, _, replay) = attested.iter_mut().find(|attested| attested.5.is_some()).unwrap();
    let attestation = program.auditor_dispute(segment, &wallet, seats[1].place);
    let (segment, replay) = (*segment, replay.take().unwrap());
    parties.push(Party::new(auditors[1], Side::Trainer, attestation, graph(), replay));
    tower.work(&mut run, &source, job);
    let next = Arc::new(sip_node::aggregate(&ends, &run.machine.threads, run.machine.simd).unwrap());
    assert_eq!(round_state(&run, &job, index).auditors[2].vote, next.root(), "the tower voted for what it computed");
    cast_vote(&mut run, 1, (&job, &round), &next.root());
    play_out(&mut run, &source, job, &mut tower, &mut parties);
    let attested_place = committed.iter().find(|committed| committed.address == segment).unwrap().task.place;
    let lies = [
        Claim::Vote { round: index, place: seats[0].place },
        Claim::Attestation { round: index, place: attested_place, auditor: seats[1].place },
    ];
    assert!(lies.iter().all(|lie| tower.convicted().contains(lie)), "{:?}", tower.convicted());
    assert_eq!(round_state(&run, &job, index).struck_auditors, 0b011);

    // An evaluator lies.
    let sum = run.prepared.scoring.graph.state_outputs()[0];
    let cheat = Cheat::FlipBit { step: 1, node: sum, element: 0, bit: 16 };
    evaluate(&mut run, &job, index, &next, Some((1, cheat.clone())));
    let evaluator = run.world.with_role(EVALUATOR)[1];
    let run_address = program.run(&round, &run.world.people[evaluator].pool().unwrap());
    let task = SegmentTask::scoring(&next, &run.machine.threads).unwrap();
    let leaves = run.scorer.train(&task, Some(&cheat), &mut |_| true).unwrap().leaves;
    let worker = Worker::new(run.prepared.scoring.clone(), Arc::clone(&run.machine.threads), run.machine.simd);
    let evidence = Replay::new(worker, task, Some(cheat), leaves);
    let dispute = program.dispute(&run_address, &wallet);
    let scoring_graph = run.prepared.scoring.graph_evidence();
    parties.push(Party::new(evaluator, Side::Trainer, dispute, scoring_graph, evidence));
    play_out(&mut run, &source, job, &mut tower, &mut parties);
    assert!(tower.convicted().contains(&Claim::Run { round: index, place: 1 }), "{:?}", tower.convicted());
    assert_eq!(tower.convicted().len(), 4);
    assert_eq!(round_state(&run, &job, index).status, round::SCORED, "the tower tallied the scores");

    // All is paid: the bounties, and the audit of the round.
    let end_slot = round_state(&run, &job, index).final_slot();
    pass_slots_to(&mut run, end_slot);
    let held = run.world.read::<Pool>(&pool).unwrap().held().unwrap();
    let later = run.world.ledger.slot() + REVEAL_SLOTS;
    pass_slots_to(&mut run, later);
    tower.work(&mut run, &source, job);
    let end = round_state(&run, &job, index);
    assert_eq!((end.status, end.auditors[2].settled, end.auditors[2].shown), (round::FINAL, 1, end.auditors[2].drawn));
    assert!(run.world.read::<Pool>(&pool).unwrap().held().unwrap() > held, "the audit is paid");
    let segment: Segment = run.world.read(&committed[liar].address).unwrap();
    let scoring: evaluation::ScoringRun = run.world.read(&run_address).unwrap();
    for escrow in [segment.escrow, scoring.escrow] {
        assert_eq!((escrow.bounty, Address::new_from_array(escrow.challenger)), (0, wallet));
    }
    assert!(run.world.is_conserved().unwrap());

    // A second round in which the tower is the only auditor left, and is itself accused: of its vote, and of an attestation.
    run.base = next;
    let (index, committed) = commit_all(&mut run, &job);
    let round = program.round(&job, index);
    tower.work(&mut run, &source, job);
    let closed = round_state(&run, &job, index);
    assert_eq!((closed.status, closed.accepted.count_ones()), (round::AGGREGATED, 2));
    let accuser = run.world.with_role(PATRON)[0];
    let seat = run.world.people[person].seat().unwrap();
    let bond_before = run.world.read::<Pool>(&pool).unwrap().self_bond;
    let ends: Vec<Arc<State>> = committed.iter().map(|segment| Arc::clone(&segment.work.end)).collect();
    let addresses: Vec<Address> = committed.iter().map(|segment| segment.address).collect();
    let accusations = accuse_tower(&run, &job, &round, accuser, &seat, &addresses);
    for instruction in accusations {
        run.world.send(accuser, instruction).unwrap();
    }
    let accuser_wallet = run.world.people[accuser].wallet();
    let lie = mean(&run, &ends, true);
    let vote = program.auditor_dispute(&round, &accuser_wallet, seat.place);
    let (_, replay, _) = trace_root(&run, &committed[0], &closed.auditors[2].preimage, true);
    let attestation = program.auditor_dispute(&committed[0].address, &accuser_wallet, seat.place);
    let graph_of_mean = lie.graph_evidence();
    let mut parties = vec![
        Party::new(accuser, Side::Challenger, vote, graph_of_mean, lie),
        Party::new(accuser, Side::Challenger, attestation, graph(), replay),
    ];
    play_out(&mut run, &source, job, &mut tower, &mut parties);
    for dispute in [vote, attestation] {
        let state: Dispute = run.world.read(&dispute).unwrap();
        assert_eq!((state.game.outcome(), state.resolved), (Ok(sip_protocol::court::Outcome::Acquitted), 1));
        assert!(state.moves > 4, "{}", state.moves);
    }
    let next = Arc::new(sip_node::aggregate(&ends, &run.machine.threads, run.machine.simd).unwrap());
    evaluate(&mut run, &job, index, &next, None);
    tower.work(&mut run, &source, job);
    let scored = round_state(&run, &job, index);
    assert_eq!((scored.status, scored.quality <= QUALITY_ONE), (round::SCORED, true));
    pass_slots_to(&mut run, scored.final_slot());
    tower.work(&mut run, &source, job);
    let end = round_state(&run, &job, index);
    assert_eq!((end.status, end.auditors[2].settled), (round::FINAL, 1));
    let state: Pool = run.world.read(&pool).unwrap();
    assert_eq!((state.self_bond, state.claims_convicted, state.audits_missed), (bond_before, 0, 0));
    assert_eq!(state.audits_attested, 4);
    assert!(run.world.is_conserved().unwrap());
    tower.assert_unrefused();
    assert!(tower.cuts > 0, "no move took more than one transaction");
}

fn run_graph(source: &Arc<Source>) -> GraphEvidence {
    source.prepared.task.graph_evidence()
}

/// The instructions that accuse the tower of its vote and of its attestation of the first segment.
fn accuse_tower(
    run: &Run,
    job: &Address,
    round: &Address,
    accuser: usize,
    seat: &sip_client::Seat,
    segments: &[Address],
) -> Vec<Instruction> {
    let (program, challenger) = (run.world.program, run.world.people[accuser].wallet());
    let (graph, path) = run.prepared.aggregates.opening(segments.len()).unwrap();
    let datasets = dataset_addresses(&run.world, &run.prepared).unwrap();
    let (challenger, salt, auditor) = (&challenger, &[5; 32], seat);
    let vote = VoteAccusation { challenger, job, round, auditor, graph: &graph, path: &path, segments, salt };
    let (segment, datasets) = (&segments[0], &datasets);
    let attestation = AttestationAccusation { challenger, job, round, segment, auditor, datasets, salt };
    vec![
        program.commit_hidden(&vote.hidden()),
        program.commit_hidden(&attestation.hidden()),
        program.open_vote_dispute(&vote),
        program.open_attestation_dispute(&attestation),
    ]
}

#[test]
fn a_false_genesis_state_is_convicted_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, source, job, person) = stage(folder.path(), Vec::new(), 1.0);
    let program = run.world.program;
    let creator = run.world.people[0].wallet();
    let graph = Arc::new(init_graph(&run.settings.model, run.settings.seed).unwrap());
    let cheat = Cheat::FlipBit { step: 0, node: graph.state_outputs()[0], element: 7, bit: 22 };
    let mut lie = Computation::new(graph, Vec::new(), Some(cheat), &run.machine.threads, run.machine.simd);
    let honest: Job = run.world.read(&job).unwrap();
    let spec = JobSpec { genesis_root: lie.root().unwrap(), ..honest.spec };
    let datasets = dataset_addresses(&run.world, &run.prepared).unwrap();
    run.world.send(0, program.create_job(&creator, 1, &spec, &datasets)).unwrap();
    let false_job = program.job(&creator, 1);

    let mut tower = Tower::new(&run, person, false);
    tower.work(&mut run, &source, job);
    assert!(tower.convicted().is_empty(), "the honest job stands");
    let wallet = run.world.people[person].wallet();
    let tokens = |run: &Run| run.world.ledger.token_balance(&program.token_account(&wallet)).unwrap();
    let before = tokens(&run);
    let dispute = program.dispute(&false_job, &wallet);
    let graph = lie.graph_evidence();
    let mut parties = vec![Party::new(0, Side::Trainer, dispute, graph, lie)];
    play_out(&mut run, &source, false_job, &mut tower, &mut parties);
    let later = run.world.ledger.slot() + REVEAL_SLOTS + 1;
    pass_slots_to(&mut run, later);
    tower.work(&mut run, &source, false_job);
    assert_eq!(tower.convicted(), [Claim::Genesis]);
    let state: Job = run.world.read(&false_job).unwrap();
    assert_eq!((state.closed, state.genesis_bond), (1, 0));
    assert!(tokens(&run) > before, "the bounty is paid");
    assert!(run.world.ledger.account(&dispute).is_none(), "the dispute is closed");
    assert!(run.world.is_conserved().unwrap());
    tower.assert_unrefused();
}

#[test]
fn of_three_watchtowers_the_first_has_the_bounty_and_the_others_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, source, job, _) = stage(folder.path(), vec![Fraud::Lazy], 1.0);
    let program = run.world.program;
    let (index, committed) = commit_all(&mut run, &job);
    run.world.send(0, program.close_commits(&job, &program.round(&job, index))).unwrap();
    let patrons = run.world.with_role(PATRON);
    let wallets: Vec<Address> = patrons.iter().map(|person| run.world.people[*person].wallet()).collect();
    let tokens = |run: &Run| -> Vec<u64> {
        let balance = |wallet| run.world.ledger.token_balance(&program.token_account(wallet)).unwrap();
        wallets.iter().map(balance).collect()
    };
    let before = tokens(&run);
    let mut towers: Vec<Tower> = patrons.iter().take(3).map(|person| Tower::new(&run, *person, false)).collect();
    let liar = committed.iter().find(|segment| segment.cheat.is_some()).unwrap();
    // All three find out and commit themselves, one after the other; the third then sleeps.
    for tower in &mut towers {
        while !tower.has_said("an accusation is committed") {
            assert!(tower.step(&mut run, &source, job));
        }
    }
    let evidence = |run: &Run| {
        let worker = Worker::new(run.prepared.task.clone(), Arc::clone(&run.machine.threads), run.machine.simd);
        Replay::new(worker, liar.task.clone(), liar.cheat.clone(), liar.work.leaves.clone())
    };
    let mut parties: Vec<Party> = wallets[..2]
        .iter()
        .map(|wallet| {
            let dispute = program.dispute(&liar.address, wallet);
            Party::new(liar.trainer, Side::Trainer, dispute, run_graph(&source), evidence(&run))
        })
        .collect();
    let mut rest = 0;
    while rest < 3 {
        let mut has_acted = false;
        for tower in &mut towers[..2] {
            has_acted |= tower.step(&mut run, &source, job);
        }
        for party in &mut parties {
            has_acted |= party.play(&mut run);
        }
        rest = if has_acted { 0 } else { rest + 1 };
    }
    let state: Segment = run.world.read(&liar.address).unwrap();
    assert_eq!((state.status, Address::new_from_array(state.escrow.challenger)), (segment::CONVICTED, wallets[0]));
    towers[2].work(&mut run, &source, job);
    assert!(towers[2].has_said("the accusation is taken back"), "{:?}", towers[2].events);
    let later = run.world.ledger.slot() + REVEAL_SLOTS + 1;
    pass_slots_to(&mut run, later);
    let bounty = run.world.read::<Segment>(&liar.address).unwrap().escrow.bounty;
    for tower in &mut towers {
        tower.work(&mut run, &source, job);
        tower.assert_unrefused();
    }
    let expected = [before[0] + bounty, before[1], before[2]];
    assert!(bounty > 0);
    assert_eq!(tokens(&run)[..3], expected);
    assert!(run.world.is_conserved().unwrap());
}

#[test]
fn withheld_ends_and_tokens_are_demanded_on_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, source, job, person) = stage(folder.path(), Vec::new(), 0.0);
    let program = run.world.program;
    let mut tower = Tower { drawn: true, ..Tower::new(&run, person, true) };
    // Nothing is drawn, so the ends come from what trainers publish: one does not, and one publishes something else.
    let (index, committed) = commit_all(&mut run, &job);
    let round = program.round(&job, index);
    std::fs::create_dir_all(run.store.states()).unwrap();
    let publish = |run: &Run, segment: &Committed, name: &str| {
        segment.work.end.save(&run.store.states().join(name)).unwrap();
    };
    publish(&run, &committed[0], "0.state");
    publish(&run, &committed[2], "2.state");
    let damaged = run.store.states().join("2.state");
    let mut bytes = std::fs::read(&damaged).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    for auditor in run.world.with_role(AUDITOR) {
        let seat = run.world.people[auditor].seat().unwrap();
        let chain = sip_demo::chain(&run.settings, &run.world.people[auditor].name);
        run.world.send(0, program.close_commits(&job, &round)).ok();
        run.world.send(auditor, program.reveal_draw(&seat, &job, &round, &chain.draw(0).unwrap())).unwrap();
    }
    tower.work(&mut run, &source, job);
    let demanded: Vec<u8> = tower
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Demanded { round: Some(_), place, .. } => Some(*place),
            _ => None,
        })
        .collect();
    assert_eq!(demanded, [1, 2], "{:?}", tower.events);
    // One answers, the other stays silent and is convicted.
    let wallet = run.world.people[person].wallet();
    let answered = &committed[1];
    let asked = Record::open(tower.folder.join(job.to_string())).unwrap().asked("round-0-demand-1").unwrap().unwrap();
    let entries = answered.work.end.entries();
    let roots: Vec<[u8; 32]> = entries.iter().map(|entry| sip_proof::tensor_root(entry)).collect();
    let blob = sip_proof::tensor_bytes(&entries[asked.entry as usize]);
    let answer = sip_node::availability::state_answer(&roots, asked.entry, &blob, asked.chunk).unwrap();
    let demand = program.demand(&answered.address, &wallet, asked.entry, asked.chunk);
    let pool = run.world.people[answered.trainer].pool().unwrap();
    let trainer = run.world.people[answered.trainer].wallet();
    for instruction in program.answer_state(&trainer, &demand, &round, &pool, &answer) {
        run.world.send(answered.trainer, instruction).unwrap();
    }
    tower.work(&mut run, &source, job);
    assert!(tower.has_said("the demand was answered"), "{:?}", tower.events);
    let clock_slots = run.world.config().unwrap().parameters.clock_slots;
    run.world.ledger.advance_slots(clock_slots + 1).unwrap();
    tower.work(&mut run, &source, job);
    let status = |segment: &Committed| run.world.read::<Segment>(&segment.address).unwrap().status;
    assert_eq!(status(&committed[2]), segment::CONVICTED, "{:?}", tower.events);
    assert_ne!(status(&committed[1]), segment::CONVICTED);
    assert!(run.world.is_conserved().unwrap());

    // Tokens that are not what the job names.
    let path = run.store.tokens(0, "train");
    std::fs::write(&path, b"nothing").unwrap();
    run.world.ledger.snapshot(&run.store.ledger(0)).unwrap();
    let key = run.world.people[person].keypair.insecure_clone();
    let mut said = Vec::new();
    let mut follow_with = |demand_data: bool| {
        let arguments = Arguments { demand_data, ..arguments(folder.path()) };
        let report = &mut |event: &Event| said.push(event.to_string());
        follow(&run.store, &arguments, &key, report, &mut || true).unwrap_err().to_string()
    };
    // A fault of the disk here is no reason to demand anything of anybody.
    let error = follow_with(false);
    assert!(error.contains("0.train.tokens is missing or damaged (7 bytes, expected root "), "{error}");
    assert!(error.contains("nothing is demanded on chain"), "{error}");
    let error = follow_with(true);
    assert!(error.contains("a chunk of each is demanded on chain"), "{error}");
    let demanded = said.iter().filter(|line| line.contains("a chunk of them is demanded now")).count();
    assert_eq!(demanded, 1, "{said:?}");
    Folder::open(&run.store).unwrap().advance_slots(clock_slots + 1).unwrap();
    let _ =
        follow(&run.store, &arguments(folder.path()), &key, &mut |event| said.push(event.to_string()), &mut || true);
    assert!(said.iter().any(|line| line.contains("its provider is charged")), "{said:?}");
}

/// The ends of a round's segments as their trainers publish them, the draws of its other auditors, and a base that one of them and the
/// tower vote for, who both look at nothing; its scores.
fn unseen_round(run: &mut Run, source: &Arc<Source>, job: Address, tower: &mut Tower) -> (u32, Vec<Committed>) {
    let program = run.world.program;
    let (index, committed) = commit_all(run, &job);
    let round = program.round(&job, index);
    std::fs::create_dir_all(run.store.states()).unwrap();
    for (number, segment) in committed.iter().enumerate() {
        segment.work.end.save(&run.store.states().join(format!("{index}-{number}.state"))).unwrap();
    }
    run.world.send(0, program.close_commits(&job, &round)).unwrap();
    let auditors = run.world.with_role(AUDITOR);
    for auditor in &auditors {
        let seat = run.world.people[*auditor].seat().unwrap();
        let draw = next_draw(run, *auditor);
        run.world.send(*auditor, program.reveal_draw(&seat, &job, &round, &draw)).unwrap();
    }
    tower.work(run, source, job);
    (index, committed)
}

#[test]
fn after_a_conviction_an_auditor_opens_the_liars_past_that_nobody_drew() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, source, job, person) = stage(folder.path(), vec![Fraud::FlipBit], 0.0);
    let program = run.world.program;
    let mut tower = Tower { drawn: true, ..Tower::new(&run, person, true) };
    let auditor = run.world.with_role(AUDITOR)[0];

    // The first lie is in a base that two of three auditors vote for.
    let (index, first) = unseen_round(&mut run, &source, job, &mut tower);
    let ends: Vec<Arc<State>> = first.iter().map(|segment| Arc::clone(&segment.work.end)).collect();
    let base = run.prepared.next_base(&run.base, &ends, &run.machine).unwrap();
    cast_vote(&mut run, 0, (&job, &program.round(&job, index)), &base.root());
    tower.work(&mut run, &source, job);
    evaluate(&mut run, &job, index, &base, None);
    let due = round_state(&run, &job, index).seed_slots[1] + 1;
    pass_slots_to(&mut run, due);
    tower.work(&mut run, &source, job);
    assert_eq!(round_state(&run, &job, index).status, round::SCORED);
    run.base = base;
    let past = first.iter().find(|segment| segment.cheat.is_some()).unwrap();
    assert!(tower.convicted().is_empty() && !tower.has_said("false"), "nobody drew it: {:?}", tower.events);

    // Another auditor convicts its trainer of the second one.
    let (index, second) = unseen_round(&mut run, &source, job, &mut tower);
    let lie = second.iter().find(|segment| segment.cheat.is_some()).unwrap();
    let account: Segment = run.world.read(&lie.address).unwrap();
    let committed = (&lie.work.leaves[..], &account.claim.end_root);
    let audit = run.worker.audit(&lie.task, committed, &[], &mut |_| true).unwrap();
    let view = sip_demo::View { cheat: None, leaves: audit.replayed.leaves, fault: audit.fault };
    run.dispute_segment(auditor, lie, view, &job, &program.round(&job, index), 1).unwrap();

    // Then the tower replays what that trainer did before, accuses it, and wins against its silence.
    tower.work(&mut run, &source, job);
    let dispute = program.dispute(&past.address, &run.world.people[person].wallet());
    let clock_slots = run.world.read::<Dispute>(&dispute).unwrap().game.clock_slots;
    run.world.ledger.advance_slots(clock_slots[0].max(clock_slots[1]) + 1).unwrap();
    tower.work(&mut run, &source, job);
    let state: Segment = run.world.read(&past.address).unwrap();
    assert_eq!(state.status, segment::CONVICTED, "{:?}", tower.events);
    let undone = round_state(&run, &job, 0);
    assert_eq!((undone.status, undone.is_undone), (round::VOID, 1));
    assert_eq!(run.world.read::<Job>(&job).unwrap().base_root, run.prepared.genesis.root());
    // Of the others it still replays nothing.
    let judged =
        tower.events.iter().filter(|event| matches!(event, Event::Judged { claim: Claim::Segment { .. }, .. }));
    assert!(judged.count() <= 2, "{:?}", tower.events);
}
