//! Evaluators in court: one honest one against a lying majority.

use super::*;
use sip_client::Accusation;
use sip_manifest::folder::Store;
use sip_manifest::prepare;
use sip_manifest::roles::PATRON;
use sip_manifest::settings::{MixtureRule, Settings};
use sip_manifest::stop::Stop;
use sip_model::LlamaConfig;
use sip_node::dispute::{Challenger, Defender};
use sip_node::{Replay, Worker, scoring};
use sip_ops::Kind;
use sip_protocol::training::job::MAX_DOMAINS;
use sip_protocol::{
    court::{Dispute, Outcome, Side},
    ground::case::CaseKind,
};
use sip_report::Progress;

/// A run at the end of its first round's vote, with the base to be scored.
fn aggregated(folder: &std::path::Path) -> (Run, Address, Address, Arc<State>) {
    let store = Store::new(folder);
    let mut settings = Settings {
        seed: 5,
        preset: "tiny".into(),
        model: LlamaConfig::preset("tiny").unwrap(),
        batch: 2,
        inner_steps: 4,
        leaf_interval: 4,
        rounds: 1,
        learning_rate: 2e-3,
        audit_rate: 1.0,
        second_audit_rate: 0.0,
        windows: 4,
        cheats: Vec::new(),
        mixture: MixtureRule::default(),
        domains: Vec::new(),
        updates: Default::default(),
    };
    prepare::tokenize(&mut settings, &[], 60_000, &store, &|_| ()).unwrap();
    let mut run = Run::begin(settings, store, Progress::new(true), Stop::default()).unwrap();
    let (program, job) = (run.world.program, job_address(&run.world));
    let state: Job = run.world.read(&job).unwrap();
    let creator = run.world.people[0].wallet();
    run.world.send(0, program.open_next_round(&creator, &job, &state)).unwrap();
    let round = program.round(&job, 0);
    let opened: Round = run.world.read(&round).unwrap();
    let mixture = Mixture::new(&opened.mixture_bps[..state.spec.domain_count as usize]).unwrap();
    let mut committed = run.train(&opened, &mixture, 0).unwrap();
    for segment in &committed {
        run.commit(segment, &job, &round).unwrap();
    }
    run.world.send(0, program.close_commits(&job, &round)).unwrap();
    run.audit(&mut committed, &job, &round, 0).unwrap();
    let segments: Vec<Address> = committed.iter().map(|segment| segment.address).collect();
    run.world.send(0, program.close_round(&job, &round, &segments)).unwrap();
    let next = run.next_base(&committed, &job, &round, 0).unwrap();
    (run, job, round, next)
}

/// Plays a dispute on an evaluator's run to its verdict; `lies` are what each of the two sides computes with.
fn fight(
    run: &mut Run,
    places: (Address, Address),
    base: &Arc<State>,
    people: (usize, usize),
    lies: (Option<Cheat>, Option<Cheat>),
) -> Outcome {
    let (job, round) = places;
    let (accused, accuser) = people;
    let program = run.world.program;
    let pool = run.world.people[accused].pool().unwrap();
    let wallet = run.world.people[accuser].wallet();
    let datasets = setup::dataset_addresses(&run.world, &run.prepared).unwrap();
    let salt = [accused as u8; 32];
    let accusation =
        Accusation { challenger: &wallet, job: &job, round: &round, pool: &pool, datasets: &datasets, salt: &salt };
    run.world.send(accuser, program.commit_run_accusation(&accusation)).unwrap();
    run.world.send(accuser, program.open_run_dispute(&accusation)).unwrap();
    let address = program.dispute(&program.run(&round, &pool), &wallet);
    let task = SegmentTask::scoring(base, &run.machine.threads).unwrap();
    let graph = Arc::new(run.prepared.scoring.graph_evidence());
    let replay = |cheat: Option<Cheat>| {
        let worker = || Worker::new(run.prepared.scoring.clone(), Arc::clone(&run.machine.threads), run.machine.simd);
        let leaves = worker().train(&task, cheat.as_ref(), &mut |_| true).unwrap().leaves;
        Replay::new(worker(), task.clone(), cheat, leaves)
    };
    let mut defender = Defender::new(Arc::clone(&graph), replay(lies.0));
    let mut challenger = Challenger::new(graph, replay(lies.1));
    let outcome = loop {
        let state: Dispute = run.world.read(&address).unwrap();
        assert_eq!(state.game.ground.case(), Ok(CaseKind::Score));
        let outcome = state.game.outcome().unwrap();
        if outcome != Outcome::Open {
            break outcome;
        }
        let (person, next) = match state.game.on_move().unwrap() {
            Side::Trainer => (accused, defender.next(&state.game).unwrap().unwrap()),
            Side::Challenger => (accuser, challenger.next(&state.game).unwrap().unwrap()),
        };
        let mover = run.world.people[person].wallet();
        for instruction in program.moves(&mover, &address, next.kind, &next.payload) {
            run.world.send(person, instruction).unwrap();
        }
    };
    run.world.send(accuser, program.resolve_run_dispute(&wallet, &job, &round, &pool)).unwrap();
    run.world.send(accuser, program.close_dispute(&wallet, &address)).unwrap();
    assert!(run.world.is_conserved().unwrap());
    outcome
}

/// The evaluators compute with these lies, commit and reveal; returns the sums.
fn reveal_all(
    run: &mut Run,
    (job, round): (Address, Address),
    base: &Arc<State>,
    lies: &[Option<Cheat>],
) -> Vec<[u64; MAX_DOMAINS]> {
    let (program, spec) = (run.world.program, run.world.read::<Job>(&job).unwrap().spec);
    let task = SegmentTask::scoring(base, &run.machine.threads).unwrap();
    let mut reveals = Vec::new();
    for (evaluator, lie) in run.world.with_role(EVALUATOR).into_iter().zip(lies) {
        let work = run.scorer.train(&task, lie.as_ref(), &mut |_| true).unwrap();
        let (sums, leaves) = (scoring::sums(&work.end), work.accumulator_root());
        let seat = run.world.people[evaluator].seat().unwrap();
        let claim = evaluation::claim::<HostSha256>(&spec, &sums, &leaves, seat.place);
        assert_eq!(claim.end_root, work.end.root());
        let commitment = evaluation::commitment::<HostSha256>(&claim, &[7; 32], seat.pool.as_array(), round.as_array());
        run.world.send(evaluator, program.commit_score(&seat, &job, &round, &commitment)).unwrap();
        reveals.push((evaluator, seat, sums, leaves));
    }
    for (evaluator, seat, sums, leaves) in &reveals {
        let reveal = program.reveal_score(seat, &job, &round, (sums, leaves), &[7; 32]);
        run.world.send(*evaluator, reveal).unwrap();
    }
    reveals.into_iter().map(|(_, _, sums, _)| sums).collect()
}

#[test]
fn one_honest_evaluator_wins_against_a_lying_majority() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, job, round, base) = aggregated(folder.path());
    let (program, spec) = (run.world.program, run.world.read::<Job>(&job).unwrap().spec);
    let evaluators = run.world.with_role(EVALUATOR);
    let graph = Arc::clone(&run.prepared.scoring.graph);
    // One liar changes what the model computes, the other what it read of a weight.
    let product = graph.nodes().iter().position(|node| node.kind == Kind::Contract).unwrap() as u32;
    let sum = graph.state_outputs()[0];
    let lies = [
        None,
        Some(Cheat::FlipBit { step: 3, node: product, element: 5, bit: 22 }),
        Some(Cheat::FlipBit { step: 1, node: sum, element: 0, bit: 16 }),
    ];
    let reveals = reveal_all(&mut run, (job, round), &base, &lies);
    assert!(run.world.attempt_all(0, vec![program.tally(&job, &round)]).unwrap().is_none(), "runs differ");
    let places = (job, round);
    // A liar's own accusation of the honest run fails.
    let accused = (evaluators[0], evaluators[1]);
    assert_eq!(fight(&mut run, places, &base, accused, (None, lies[1].clone())), Outcome::Acquitted);
    for liar in [1, 2] {
        let people = (evaluators[liar], evaluators[0]);
        assert_eq!(fight(&mut run, places, &base, people, (lies[liar].clone(), None)), Outcome::Convicted);
    }
    run.world.send(0, program.tally(&job, &round)).unwrap();
    let scored: Round = run.world.read(&round).unwrap();
    let honest = evaluation::scores(&spec, &reveals[0]).unwrap();
    assert_eq!((scored.status, scored.scores), (round::SCORED, honest));
    let statuses: Vec<u8> = scored.evaluators[..3].iter().map(|seat| seat.status).collect();
    assert_eq!(statuses, [evaluation::WITHIN, evaluation::CONVICTED, evaluation::CONVICTED]);
    assert!(run.world.is_conserved().unwrap());
}

#[test]
fn scores_that_everyone_made_up_are_found_out_after_the_tally() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, job, round, base) = aggregated(folder.path());
    let program = run.world.program;
    let sum = run.prepared.scoring.graph.state_outputs()[0];
    let lie = Some(Cheat::FlipBit { step: 1, node: sum, element: 0, bit: 16 });
    let evaluators = run.world.with_role(EVALUATOR);
    reveal_all(&mut run, (job, round), &base, &[lie.clone(), lie.clone(), lie.clone()]);
    // They agree, so nothing waits for them.
    run.world.send(0, program.tally(&job, &round)).unwrap();
    let people = (evaluators[0], run.world.with_role(PATRON)[0]);
    assert_eq!(fight(&mut run, (job, round), &base, people, (lie.clone(), None)), Outcome::Convicted);
    // Two others found the same: the median stands on them until they are convicted as well.
    assert_eq!(run.world.read::<Round>(&round).unwrap().status, round::SCORED);
    for liar in [1, 2] {
        let people = (evaluators[liar], people.1);
        assert_eq!(fight(&mut run, (job, round), &base, people, (lie.clone(), None)), Outcome::Convicted);
    }
    let state: Round = run.world.read(&round).unwrap();
    assert_eq!((state.status, state.is_undone, state.run_disputes), (round::VOID, 2, 0));
    assert_eq!(run.world.read::<Job>(&job).unwrap().base_root, run.prepared.genesis.root());
}
