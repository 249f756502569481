//! Where a segment's steps are counted from: along the chain, so that rounds which came to nothing use nothing up. And who is judged again when a
//! round was undone.

use sip_client::Accusation;
use sip_protocol::{
    court::{Dispute, MoveKind},
    ground::units::TOKEN,
    training::{evaluation, round},
};
use sip_testing::{BOND_TOKENS, Cast, Scene, named, scores};
use solana_signer::Signer;

/// A round to which no trainer comes.
fn deserted(scene: &mut Scene) {
    scene.open_round();
    scene.advance_to(scene.round_state().commit_deadline_slot);
    scene.close_commits();
    scene.close_round();
    assert_eq!(scene.round_state().status, round::VOID);
}

/// Attack: rounds are brought to nothing until the job's tables have no row left, so that nobody can compute a step and everybody who is awaited pays.
#[test]
fn attack_rounds_that_come_to_nothing_use_up_no_steps() {
    let mut scene = Scene::with(&Cast::default());
    scene.whole_round(&scores(5_000_000));
    deserted(&mut scene);
    scene.finalise_all();
    scene.to_committed();
    scene.to_closed();
    let (round, spec) = (scene.round(), scene.job_state().spec);
    assert_eq!((scene.round_state().index, scene.round_state().first_step(spec.inner_steps)), (2, spec.inner_steps));
    // The court counts the same.
    let key = scene.world.wallet("accuser");
    let challenger = key.pubkey();
    let accusation = Accusation {
        challenger: &challenger,
        job: &scene.job,
        round: &round,
        pool: &scene.trainers[0].seat.pool,
        datasets: &scene.datasets,
        salt: &named("salt"),
    };
    let program = scene.world.program;
    let [commit, open] = [program.commit_accusation(&accusation), program.open_dispute(&accusation)];
    let dispute = program.dispute(&scene.segment(0), &challenger);
    scene.world.send(&[commit], &[&key]);
    scene.world.advance(1);
    scene.world.send(&[open], &[&key]);
    assert_eq!(scene.world.state::<Dispute>(&dispute).game.ground.first_step, spec.inner_steps);
}

/// Attack: two evaluators lie so that the median of their lies and the truth is a lie, and let themselves be convicted one after the other: the first verdict undoes
/// the round, and the one who told the truth was judged by the second liar's score for ever.
#[test]
fn attack_the_truth_is_not_off_because_its_round_was_undone_before_the_last_liar_fell() {
    for order in [[0, 1], [1, 0]] {
        let mut scene = Scene::with(&Cast::default());
        scene.to_committed();
        scene.to_closed();
        scene.to_aggregated();
        scene.to_scored(&[scores(4_900_000), scores(4_800_000), scores(5_100_000)]);
        assert_eq!(scene.round_state().evaluators[2].status, evaluation::OFF);
        let (program, round) = (scene.world.program, scene.round());
        for liar in order {
            let key = scene.world.wallet(&format!("accuser of {liar}"));
            let (challenger, seat) = (key.pubkey(), scene.evaluators[liar].seat);
            let accusation = Accusation {
                challenger: &challenger,
                job: &scene.job,
                round: &round,
                pool: &seat.pool,
                datasets: &scene.datasets,
                salt: &named("salt"),
            };
            let [commit, open] = [program.commit_run_accusation(&accusation), program.open_run_dispute(&accusation)];
            let dispute = program.dispute(&program.run(&round, &seat.pool), &challenger);
            let concede = program.play_move(&seat.operator, &dispute, MoveKind::Concede, 0, &[]);
            let resolve = program.resolve_run_dispute(&challenger, &scene.job, &round, &seat.pool);
            scene.world.send(&[commit], &[&key]);
            scene.world.advance(1);
            scene.world.send(&[open], &[&key]);
            let liars = scene.evaluators[liar].key.insecure_clone();
            scene.world.send(&[concede], &[&liars]);
            scene.crank(resolve);
        }
        let state = scene.round_state();
        assert_eq!((state.status, state.evaluators[2].status), (round::VOID, evaluation::WITHIN), "{order:?}");
        scene.advance_to(state.final_slot());
        scene.settle_round(&round);
        let honest = scene.pool_state(&scene.evaluators[2].seat.pool);
        assert_eq!((honest.self_bond, honest.evaluations_accepted), (BOND_TOKENS * TOKEN, 1), "{order:?}");
    }
}
