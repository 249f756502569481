//! Votes, attestations, genesis states and scoring runs on chains to which every case returns: false ones against an honest challenger,
//! true ones against one that plays anything at all.

use crate::court::hall::{Hall, fight};
use crate::sweep::players::garbage;
use sip_client::{Accusation, GenesisAccusation};
use sip_ledger::Ledger;
use sip_node::dispute::{Challenger, Defender, Evidence, Move};
use sip_node::{Cheat, Computation, State, scoring};
use sip_ops::{Kind, NodeSpec};
use sip_proof::HostSha256;
use sip_protocol::court::{Dispute, MoveKind, Outcome, Phase, Side};
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::evaluation;
use sip_protocol::training::job::Job;
use sip_svm::Embedded;
use sip_testing::Random;
use sip_testing::staged::{self, Scoring};
use sip_testing::synthetic::{Lie, Run};
use sip_testing::{Cast, Operator, Scene};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::sync::Arc;

/// Attempts that a dishonest challenger makes before it falls silent.
const ATTEMPTS: usize = 30;
/// Seed of the genesis state.
const GENESIS_SEED: u64 = 7;
const SALT: [u8; 32] = [3; 32];

/// Whose claims a case may be about.
pub(crate) const SUBJECTS: [&str; 4] = ["vote", "attestation", "genesis", "score"];

/// A dispute that was opened.
struct Opened {
    dispute: Address,
    /// Of the defendant and of the challenger.
    keys: [Keypair; 2],
    /// Applies the verdict.
    resolve: Instruction,
}

/// A chain for each kind of claim, with what is true on it.
pub(crate) struct Claims {
    hall: Hall,
    /// Before anybody attested.
    unattested: Embedded,
    /// After the round's closing, with true attestations.
    closed: Embedded,
    genesis: Scene,
    genesis_challenger: Operator,
    new_job: Embedded,
    scores: Scene,
    scores_challenger: Operator,
    aggregated: Embedded,
    scoring: Scoring,
}

/// A bit of a node's output; every kind of operator is as likely.
fn flip(random: &mut Random, nodes: &[NodeSpec], steps: u32) -> (Cheat, Kind) {
    let mut kinds: Vec<Kind> = Vec::new();
    for node in nodes {
        if node.kind != Kind::Input && !kinds.contains(&node.kind) {
            kinds.push(node.kind);
        }
    }
    let kind = *random.pick(&kinds);
    let of_kind: Vec<usize> = (0..nodes.len()).filter(|&node| nodes[node].kind == kind).collect();
    let node = *random.pick(&of_kind);
    let element = random.below(nodes[node].len() as u32);
    (Cheat::FlipBit { step: random.below(steps), node: node as u32, element, bit: random.below(32) }, kind)
}

/// The job of a scoring run, whose base was voted.
fn scored_job(scoring: &Scoring) -> (Scene, Operator) {
    let mut cast = Cast { trainers: 1, auditors: 1, evaluators: 2, ..Cast::default() };
    let roots = &scoring.task.roots;
    cast.spec.tables_root = roots.tables_root;
    cast.spec.table_count = roots.table_count;
    cast.spec.state_count = scoring.base.entries().len() as u32;
    cast.spec.sequence_length = Scoring::SEQUENCE_LENGTH;
    cast.spec.score_nodes_root = roots.nodes_root;
    cast.spec.score_outputs_root = roots.outputs_root;
    cast.spec.score_node_count = roots.node_count;
    cast.spec.score_windows = Scoring::HELD_OUT.windows;
    cast.spec.score_rows = Scoring::HELD_OUT.rows;
    cast.spec.score_leaf_interval = scoring.task.leaf_interval;
    let mut scene = Scene::with(&cast);
    for (address, tokens) in scene.datasets.clone().iter().zip(&scoring.task.domains) {
        let mut dataset: Dataset = scene.world.state(address);
        (dataset.held_out_root, dataset.held_out_tokens) = (tokens.root(), tokens.token_count());
        scene.world.overwrite(address, &dataset);
    }
    let challenger = scene.world.operator("challenger", PoolKind::Auditor);
    scene.to_committed();
    scene.to_closed();
    scene.vote(0, &scoring.base.root());
    (scene, challenger)
}

/// A job over a true genesis state.
fn new_job() -> (Scene, Operator) {
    let mut truth = staged::genesis(GENESIS_SEED, None);
    let roots = truth.graph_evidence().roots();
    let mut cast = Cast { trainers: 1, auditors: 1, evaluators: 1, ..Cast::default() };
    cast.spec.genesis_root = truth.root().expect("a finite state");
    cast.spec.state_count = roots.state_count;
    cast.spec.init_nodes_root = roots.nodes_root;
    cast.spec.init_outputs_root = roots.outputs_root;
    cast.spec.init_node_count = roots.node_count;
    let mut scene = Scene::with(&cast);
    let challenger = scene.world.operator("challenger", PoolKind::Auditor);
    (scene, challenger)
}

impl Claims {
    pub(crate) fn new() -> Claims {
        let mut hall = Hall::new(4, 2);
        let unattested = hall.scene.world.ledger.clone();
        hall.attest(|_, _, root| root);
        hall.scene.close_round();
        let closed = hall.scene.world.ledger.clone();
        let (genesis, genesis_challenger) = new_job();
        let scoring = Scoring::new();
        let (scores, scores_challenger) = scored_job(&scoring);
        Claims {
            unattested,
            closed,
            hall,
            new_job: genesis.world.ledger.clone(),
            genesis,
            genesis_challenger,
            aggregated: scores.world.ledger.clone(),
            scores,
            scores_challenger,
            scoring,
        }
    }

    /// Plays one case about this subject; returns what it was about. A false claim must be convicted, a true one acquitted.
    pub(crate) fn play(&mut self, subject: &str, is_false: bool, random: &mut Random) -> String {
        match subject {
            "vote" => self.vote(is_false, random),
            "attestation" => self.attestation(is_false, random),
            "genesis" => self.genesis(is_false, random),
            _ => self.score(is_false, random),
        }
    }

    /// Transactions of the chain on which the last case about this subject was played.
    pub(crate) fn transactions(&self, subject: &str) -> u64 {
        let scene = match subject {
            "genesis" => &self.genesis,
            "score" => &self.scores,
            _ => &self.hall.scene,
        };
        scene.world.ledger.statistics().transactions
    }

    /// A mean that is not the one of the segments' ends: a bit of an operator, or of an end that is read.
    fn false_mean(&self, random: &mut Random) -> (Computation, String) {
        let ends = self.hall.ends();
        let truth = staged::average(&ends, None).root().expect("finite ends");
        let graph = self.hall.aggregates.graph(ends.len()).expect("1 to 16 states");
        loop {
            let (mut states, mut cheat, mut what) = (ends.clone(), None, "another end".to_string());
            if random.percent(70) {
                let (flipped, kind) = flip(random, graph.nodes(), 1);
                (cheat, what) = (Some(flipped), format!("{kind:?}"));
            } else {
                let place = random.below(states.len() as u32) as usize;
                let mut entries: Vec<Vec<u32>> = states[place].entries().iter().map(|entry| entry.to_vec()).collect();
                let entry = random.below(entries.len() as u32) as usize;
                let element = random.below(entries[entry].len() as u32) as usize;
                entries[entry][element] ^= 1 << random.below(32);
                states[place] = staged::state(&entries);
            }
            let mut computation = staged::average(&states, cheat);
            let root = computation.root();
            if computation.fault().is_ok_and(|fault| fault.is_none()) && root.is_ok_and(|root| root != truth) {
                return (computation, format!("vote, {what}"));
            }
        }
    }

    fn vote(&mut self, is_false: bool, random: &mut Random) -> String {
        self.hall.scene.world.ledger = self.closed.clone();
        let auditor = random.below(3) as usize;
        let ends: Vec<Arc<State>> = self.hall.ends();
        let truth = staged::average(&ends, None);
        let (mut claimed, mut what) = self.false_mean(random);
        let mut view = staged::average(&ends, None);
        if !is_false {
            (claimed, view, what) = (staged::average(&ends, None), claimed, "vote".into());
        }
        let root = claimed.root().expect("no fault");
        self.hall.scene.vote(auditor, &root);
        self.hall.accuse_vote(auditor);
        let dispute = self.hall.vote_dispute(auditor);
        let resolve = self.hall.resolve_instruction(&dispute, auditor);
        let keys = [self.hall.key(auditor), self.hall.challenger.key.insecure_clone()];
        let graph = Arc::new(truth.graph_evidence());
        let (defender, challenger) = (Defender::new(graph.clone(), claimed), Challenger::new(graph, view));
        judge(&mut self.hall.scene, Opened { dispute, keys, resolve }, is_false, random, defender, challenger);
        assert_eq!(
            (self.hall.scene.job_state().auditors[auditor].state == sip_protocol::training::seats::CONVICTED),
            is_false,
            "{what}"
        );
        what
    }

    /// A run of a segment whose trace of this step is another; only what is traced in it is false.
    fn false_trace(&self, trainer: usize, step: u32, random: &mut Random) -> (Run, String) {
        let honest = &self.hall.runs[trainer];
        let graph = honest.graph();
        loop {
            let node = random.below(graph.roots().node_count);
            let (element, bit) = (random.below(12), random.below(32));
            let run = honest.scene().run(Some(Lie::IsolatedOutput { step, node, element: element % width(node), bit }));
            if run.trace_root(step) != honest.trace_root(step) {
                return (run, format!("attestation, node {node}"));
            }
        }
    }

    fn attestation(&mut self, is_false: bool, random: &mut Random) -> String {
        self.hall.scene.world.ledger = self.unattested.clone();
        let (auditor, trainer) = (random.below(3) as usize, random.below(2) as usize);
        let step = self.hall.leaf(auditor, trainer) * self.hall.scene.job_state().spec.leaf_interval;
        let honest = self.hall.runs[trainer].clone();
        let (liar, mut what) = self.false_trace(trainer, step, random);
        let (claimed, view) = if is_false { (liar, honest.clone()) } else { (honest.clone(), liar) };
        if !is_false {
            what = "attestation".into();
        }
        let root = claimed.trace_root(step);
        self.hall.attest(|by, of, truth| if (by, of) == (auditor, trainer) { root } else { truth });
        self.hall.scene.close_round();
        self.hall.show(auditor, trainer, &root);
        self.hall.accuse_attestation(auditor, trainer);
        let dispute = self.hall.attestation_dispute(auditor, trainer);
        let resolve = self.hall.resolve_instruction(&dispute, auditor);
        let keys = [self.hall.key(auditor), self.hall.challenger.key.insecure_clone()];
        let graph = honest.graph();
        let (defender, challenger) = (Defender::new(graph.clone(), claimed), Challenger::new(graph, view));
        judge(&mut self.hall.scene, Opened { dispute, keys, resolve }, is_false, random, defender, challenger);
        assert_eq!(
            (self.hall.scene.job_state().auditors[auditor].state == sip_protocol::training::seats::CONVICTED),
            is_false,
            "{what}"
        );
        what
    }

    fn genesis(&mut self, is_false: bool, random: &mut Random) -> String {
        let scene = &mut self.genesis;
        scene.world.ledger = self.new_job.clone();
        let graph = staged::genesis_graph(GENESIS_SEED);
        let truth = scene.job_state().spec.genesis_root;
        let (liar, kind) = loop {
            let (cheat, kind) = flip(random, graph.nodes(), 1);
            let mut liar = staged::genesis(GENESIS_SEED, Some(cheat));
            let root = liar.root();
            if liar.fault().is_ok_and(|fault| fault.is_none()) && root.is_ok_and(|root| root != truth) {
                break (liar, kind);
            }
        };
        let honest = staged::genesis(GENESIS_SEED, None);
        let (mut claimed, view) = if is_false { (liar, honest) } else { (honest, liar) };
        let mut job: Job = scene.world.state(&scene.job);
        job.spec.genesis_root = claimed.root().expect("no fault");
        let address = scene.job;
        scene.world.overwrite(&address, &job);
        let (program, wallet) = (scene.world.program, self.genesis_challenger.key.pubkey());
        let accusation = GenesisAccusation { challenger: &wallet, job: &address, salt: &SALT };
        let keys = [scene.world.authority.insecure_clone(), self.genesis_challenger.key.insecure_clone()];
        scene.world.send(&[program.commit_hidden(&accusation.hidden())], &[&keys[1]]);
        scene.world.advance(1);
        scene.world.send(&[program.open_genesis_dispute(&accusation)], &[&keys[1]]);
        let dispute = program.dispute(&address, &wallet);
        let resolve = program.resolve_genesis_dispute(&wallet, &address);
        let evidence = Arc::new(claimed.graph_evidence());
        let (defender, challenger) = (Defender::new(evidence.clone(), claimed), Challenger::new(evidence, view));
        judge(scene, Opened { dispute, keys, resolve }, is_false, random, defender, challenger);
        assert_eq!(scene.job_state().closed == 1, is_false);
        if is_false { format!("genesis, {kind:?}") } else { "genesis".into() }
    }

    fn score(&mut self, is_false: bool, random: &mut Random) -> String {
        let scene = &mut self.scores;
        scene.world.ledger = self.aggregated.clone();
        let (job, round, program) = (scene.job, scene.round(), scene.world.program);
        let spec = scene.job_state().spec;
        let (true_evidence, honest) = self.scoring.run(None).expect("finite sums");
        let (false_evidence, liar, kind) = loop {
            let (cheat, kind) = flip(random, self.scoring.task.graph.nodes(), self.scoring.task.inner_steps);
            let Ok((evidence, work)) = self.scoring.run(Some(cheat)) else { continue };
            let is_score = evaluation::scores(&spec, &scoring::sums(&work.end)).is_ok();
            if is_score && work.accumulator_root() != honest.accumulator_root() {
                break (evidence, work, kind);
            }
        };
        let (claimed, defence, view) = if is_false {
            (liar, false_evidence, true_evidence)
        } else {
            (honest.clone(), true_evidence, false_evidence)
        };
        // The other evaluator is honest in any case.
        let runs = [&claimed, &honest].map(|work| (scoring::sums(&work.end), work.accumulator_root()));
        let evaluators: Vec<(Keypair, sip_client::Seat)> =
            scene.evaluators.iter().map(|evaluator| (evaluator.key.insecure_clone(), evaluator.seat)).collect();
        for ((key, seat), (sums, leaves)) in evaluators.iter().zip(&runs) {
            let claim = evaluation::claim::<HostSha256>(&spec, sums, leaves, seat.place);
            let commitment =
                evaluation::commitment::<HostSha256>(&claim, &SALT, seat.pool.as_array(), round.as_array());
            scene.world.send(&[program.commit_score(seat, &job, &round, &commitment)], &[key]);
        }
        for ((key, seat), (sums, leaves)) in evaluators.iter().zip(&runs) {
            scene.world.send(&[program.reveal_score(seat, &job, &round, (sums, leaves), &SALT)], &[key]);
        }
        let (wallet, pool) = (self.scores_challenger.key.pubkey(), evaluators[0].1.pool);
        let datasets = scene.datasets.clone();
        let accusation =
            Accusation { challenger: &wallet, job: &job, round: &round, pool: &pool, datasets: &datasets, salt: &SALT };
        let keys = [evaluators[0].0.insecure_clone(), self.scores_challenger.key.insecure_clone()];
        scene.world.send(&[program.commit_run_accusation(&accusation)], &[&keys[1]]);
        scene.world.advance(1);
        scene.world.send(&[program.open_run_dispute(&accusation)], &[&keys[1]]);
        let dispute = program.dispute(&program.run(&round, &pool), &wallet);
        let resolve = program.resolve_run_dispute(&wallet, &job, &round, &pool);
        let graph = Arc::new(self.scoring.task.graph_evidence());
        let (defender, challenger) = (Defender::new(graph.clone(), defence), Challenger::new(graph, view));
        judge(scene, Opened { dispute, keys, resolve }, is_false, random, defender, challenger);
        let status = scene.round_state().evaluators[0].status;
        assert_eq!(status == evaluation::CONVICTED, is_false);
        if is_false { format!("score, {kind:?}") } else { "score".into() }
    }
}

/// Elements of the small outputs of the synthetic graph; of the others the first twelve do.
fn width(node: u32) -> u32 {
    use sip_testing::synthetic::node::{SETTINGS, STEP};
    match node {
        STEP => 1,
        SETTINGS => 4,
        _ => 12,
    }
}

/// A false claim is fought by an honest challenger, a true one by one that plays anything; then the verdict is applied.
fn judge<D: Evidence, C: Evidence>(
    scene: &mut Scene,
    opened: Opened,
    is_false: bool,
    random: &mut Random,
    defender: Defender<D>,
    challenger: Challenger<C>,
) {
    let Opened { dispute, keys, resolve } = opened;
    let outcome = if is_false {
        fight(scene, &dispute, &keys, defender, challenger).0
    } else {
        harass(scene, &dispute, &keys, random, defender, challenger)
    };
    assert_eq!(outcome, if is_false { Outcome::Convicted } else { Outcome::Acquitted });
    scene.crank(resolve);
    scene.world.check_conservation();
}

/// An honest defendant against a challenger that picks, proves and sends anything.
fn harass<D: Evidence, C: Evidence>(
    scene: &mut Scene,
    dispute: &Address,
    keys: &[Keypair; 2],
    random: &mut Random,
    mut defender: Defender<D>,
    mut liar: Challenger<C>,
) -> Outcome {
    let mut attempts = 0;
    loop {
        let game = scene.world.state::<Dispute>(dispute).game;
        let phase = game.phase().expect("a phase");
        if phase == Phase::Over {
            return game.outcome().expect("an outcome");
        }
        scene.world.advance(1);
        if game.on_move() == Ok(Side::Trainer) {
            let Ok(Some(next)) = defender.next(&game) else { panic!("an honest defendant has a move in {phase:?}") };
            assert!(attempt(scene, dispute, &keys[0], &next), "an honest defendant's moves are legal: {phase:?}");
            continue;
        }
        attempts += 1;
        if attempts > ATTEMPTS {
            scene.world.advance(game.clock_slots[Side::Challenger as usize]);
            let time_out = scene.world.program.time_out(dispute);
            scene.crank(time_out);
            continue;
        }
        let believed = liar.next(&game).ok().flatten().filter(|next| next.kind != MoveKind::Concede);
        let item_bytes = match phase {
            Phase::PickElement | Phase::PickPiece => 4,
            Phase::PickStep => 64,
            _ => 32,
        };
        let items = (game.table().len() as u32 / item_bytes).max(1);
        let pick = |index: u32| Move { kind: MoveKind::Pick, payload: index.to_le_bytes().to_vec() };
        let next = match random.below(100) {
            0..35 => pick(random.below(items + 1)),
            35..75 => believed.unwrap_or_else(|| pick(0)),
            75..80 => Move { kind: MoveKind::DisputeState, payload: Vec::new() },
            _ => garbage(random, believed),
        };
        // Refused or not: what follows is the defendant's to answer.
        attempt(scene, dispute, &keys[1], &next);
    }
}

/// Sends a move, until one of its transactions is refused.
fn attempt(scene: &mut Scene, dispute: &Address, key: &Keypair, next: &Move) -> bool {
    let sent = scene.world.program.moves(&key.pubkey(), dispute, next.kind, &next.payload);
    sent.into_iter().all(|instruction| scene.world.ledger.send(&[instruction], key, &[key]).is_ok())
}
