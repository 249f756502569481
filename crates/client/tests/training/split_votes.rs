//! Attack: an auditor with half of what the auditors have at stake votes for anything, so that the round comes to nothing and everybody was there. It could do so round after
//! round until its first verdict, on slices that thaw each time.

use sip_client::VoteAccusation;
use sip_protocol::{
    Error,
    court::MoveKind,
    ground::units::TOKEN,
    training::{
        job::SABOTAGE_RATIO,
        round::{self, Round},
        seats::AWAKE,
    },
};
use sip_testing::{BOND_TOKENS, Cast, PARAMETERS, Scene, named, scores, staged};
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// The auditor whose votes are false.
const LIAR: usize = 1;

/// A job of two trainers and two auditors with the same stake, whose bonds are as large as they must be.
fn scene(lookahead: u8, round_reward: u64) -> Scene {
    scene_of(2, lookahead, round_reward)
}

/// The same, of so many auditors.
fn scene_of(auditors: usize, lookahead: u8, round_reward: u64) -> Scene {
    let mut cast = Cast { trainers: 2, auditors, evaluators: 1, ..Cast::default() };
    cast.spec.lookahead = lookahead;
    cast.spec.slice = BOND_TOKENS * TOKEN / u64::from(lookahead) - PARAMETERS.minimum_self_bond;
    cast.spec.round_reward = round_reward;
    cast.spec.aggregates_root = staged::aggregates(&states()).root();
    Scene::with(&cast)
}

fn states() -> std::sync::Arc<sip_node::State> {
    staged::state(&(0..9).map(|entry| vec![entry; 4]).collect::<Vec<_>>())
}

/// One who accuses a false vote of a round.
struct Finder {
    key: Keypair,
    round: Address,
}

impl Finder {
    fn with<T>(&self, scene: &Scene, make: impl FnOnce(&VoteAccusation<'_>) -> T) -> T {
        let aggregates = staged::aggregates(&states());
        let (graph, path) = aggregates.opening(2).expect("two states");
        let program = scene.world.program;
        let segments = [0, 1].map(|trainer: usize| program.segment(&self.round, &scene.trainers[trainer].seat.pool));
        make(&VoteAccusation {
            challenger: &self.key.pubkey(),
            job: &scene.job,
            round: &self.round,
            auditor: &scene.auditors[LIAR].seat,
            graph: &graph,
            path: &path,
            segments: &segments,
            salt: &named("salt"),
        })
    }

    fn commit(&self, scene: &mut Scene) {
        let commit = self.with(scene, |it| scene.world.program.commit_hidden(&it.hidden()));
        scene.world.send(&[commit], &[&self.key]);
    }

    fn open(&self, scene: &mut Scene) {
        let open = self.with(scene, |it| scene.world.program.open_vote_dispute(it));
        scene.world.send(&[open], &[&self.key]);
    }

    fn dispute(&self, scene: &Scene) -> Address {
        scene.world.program.auditor_dispute(&self.round, &self.key.pubkey(), LIAR as u8)
    }

    /// Ends the dispute, on whose clock the liar was silent.
    fn win(&self, scene: &mut Scene) {
        let dispute = self.dispute(scene);
        scene.crank(scene.world.program.time_out(&dispute));
        self.resolve(scene);
    }

    /// Ends the dispute, which the liar concedes.
    fn be_conceded(&self, scene: &mut Scene) {
        let (dispute, key) = (self.dispute(scene), scene.auditors[LIAR].key.insecure_clone());
        let concede = scene.world.program.play_move(&key.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
        scene.world.send(&[concede], &[&key]);
        self.resolve(scene);
    }

    fn resolve(&self, scene: &mut Scene) {
        let (program, dispute, pool) = (scene.world.program, self.dispute(scene), scene.auditors[LIAR].seat.pool);
        scene.crank(program.resolve_auditor_dispute(&self.key.pubkey(), &dispute, &scene.job, &self.round, &pool));
    }
}

/// A round whose two votes do not agree, to its end; what was frozen in it is thawed, and its false vote accused.
fn split(scene: &mut Scene, number: usize) -> Finder {
    scene.to_committed();
    scene.to_closed();
    let round = scene.round();
    scene.vote(0, &named("base"));
    scene.vote(LIAR, &named("anything"));
    let finder = Finder { key: scene.world.wallet(&format!("finder {number}")), round };
    finder.commit(scene);
    let deadline = scene.round_state().vote_deadline_slot;
    scene.advance_to(deadline);
    let program = scene.world.program;
    scene.crank(program.void_round(&scene.job, &round));
    for auditor in 0..2 {
        let seat = scene.auditors[auditor].seat;
        scene.crank(program.thaw_seat(&round, &seat.pool, seat.place));
        scene.crank(program.thaw_segment(&round, &scene.trainers[auditor].seat.pool));
    }
    finder.open(scene);
    finder
}

fn open_refused(scene: &mut Scene) {
    scene.capture_seed();
    let key = scene.world.authority.insecure_clone();
    let open = scene.world.program.open_next_round(&key.pubkey(), &scene.job, &scene.job_state());
    scene.world.refused(&[open], &[&key], Error::TooFarAhead);
}

#[test]
fn attack_an_auditor_that_votes_for_anything_destroys_no_more_rounds_than_its_bond_has_slices_and_pays_for_them() {
    for lookahead in 1..=3u8 {
        let mut scene = scene(lookahead, PARAMETERS.round_reward);
        let liar = scene.auditors[LIAR].seat.pool;
        let before = scene.pool_state(&liar).self_bond;
        let finders: Vec<Finder> = (0..lookahead.into()).map(|number| split(&mut scene, number)).collect();
        assert_eq!(scene.job_state().auditors[LIAR].state, AWAKE, "it was there");
        open_refused(&mut scene);
        // The first verdict lets the others go on.
        let clock = scene.job_state().spec.clock_slots(&scene.job_state().parameters);
        scene.world.advance(clock + 1);
        open_refused(&mut scene);
        finders[0].win(&mut scene);
        scene.whole_round(&scores(5_000_000));
        assert_eq!(scene.round_state().status, round::SCORED);
        finders[1..].iter().for_each(|finder| finder.win(&mut scene));
        let mut destroyed = 0;
        for Finder { round, .. } in &finders {
            let state: Round = scene.world.state(round);
            scene.advance_to(state.final_slot());
            scene.settle_round(round);
            assert_eq!(state.is_undone, 0);
            destroyed += state.expected_reward;
        }
        let lost = before - scene.pool_state(&liar).self_bond;
        assert!(destroyed > 0 && destroyed <= SABOTAGE_RATIO * lost, "{lookahead}: {lost} of {destroyed}");
        // And nobody else pays.
        assert_eq!(scene.pool_state(&scene.auditors[0].seat.pool).self_bond, before);
        scene.world.check_conservation();
    }
}

/// Who is convicted of its vote has not voted: it owes what is missing, and not another who missed one vote beside it.
#[test]
fn a_false_vote_that_destroyed_a_round_is_charged_as_none() {
    let mut scene = scene(1, 40 * TOKEN);
    let finder = split(&mut scene, 0);
    let clock = scene.job_state().spec.clock_slots(&scene.job_state().parameters);
    scene.world.advance(clock + 1);
    finder.win(&mut scene);
    let state: Round = scene.world.state(&finder.round);
    scene.advance_to(state.final_slot());
    let seat = scene.auditors[LIAR].seat;
    let before = scene.pool_state(&seat.pool).self_bond;
    scene.crank(scene.world.program.settle_audit(&scene.job, &finder.round, &seat.pool, seat.place));
    let charged = before - scene.pool_state(&seat.pool).self_bond;
    assert_eq!((charged, state.expected_reward), (40 * TOKEN, 40 * TOKEN));
}

/// Where nobody accuses anything, the job waits until nobody can any more, and no longer.
#[test]
fn a_job_whose_votes_did_not_agree_goes_on_once_no_verdict_can_come() {
    let mut scene = scene(1, 40 * TOKEN);
    let finder = split(&mut scene, 0);
    let (state, job): (Round, _) = (scene.world.state(&finder.round), scene.job_state());
    let until = job.chain.split_until_slot;
    let longest = job.spec.longest_dispute_slots(&job.parameters);
    let accused = state.vote_deadline_slot + u64::from(job.spec.audit_slots);
    assert_eq!(until, accused + sip_protocol::ground::escrow::REVEAL_SLOTS + longest);
    scene.advance_to(until - 1);
    open_refused(&mut scene);
    scene.advance_to(until);
    scene.open_round();
}

/// Votes that are missing are no votes that do not agree: who keeps silent falls asleep, and the job waits for nobody.
#[test]
fn a_round_whose_votes_were_missing_is_repeated_at_once() {
    let mut scene = scene(1, 40 * TOKEN);
    scene.to_committed();
    scene.to_closed();
    scene.vote(0, &named("base"));
    let deadline = scene.round_state().vote_deadline_slot;
    scene.advance_to(deadline);
    let program = scene.world.program;
    scene.crank(program.void_round(&scene.job, &scene.round()));
    assert_eq!(scene.job_state().chain.split_until_slot, 0);
    scene.open_round();
}

/// Attack: an auditor with next to no stake votes for the true root and concedes that to a friend. The others agree on that root, which makes no base any
/// more: they did not split, and the round is repeated at once.
#[test]
fn attack_a_true_vote_that_is_conceded_makes_no_job_wait() {
    let mut scene = scene_of(3, 1, 40 * TOKEN);
    scene.to_committed();
    scene.to_closed();
    let (round, root) = (scene.round(), named("base"));
    scene.vote(LIAR, &root);
    let friend = Finder { key: scene.world.wallet("friend"), round };
    friend.commit(&mut scene);
    scene.world.advance(1);
    friend.open(&mut scene);
    friend.be_conceded(&mut scene);
    scene.vote(0, &root);
    scene.vote(2, &root);
    let state = scene.round_state();
    assert_eq!(state.status, round::CLOSED, "what a convicted vote named makes no base");
    scene.advance_to(state.vote_deadline_slot);
    scene.crank(scene.world.program.void_round(&scene.job, &round));
    let chain = scene.job_state().chain;
    assert_eq!((chain.split_count, chain.split_until_slot), (0, 0));
    scene.open_round();
}

/// Two who do not agree beside a vote that was convicted: both count, and the job waits.
#[test]
fn votes_that_do_not_agree_make_a_job_wait_beside_a_convicted_one_as_well() {
    let mut scene = scene_of(4, 1, 40 * TOKEN);
    scene.to_committed();
    scene.to_closed();
    let round = scene.round();
    scene.vote(LIAR, &named("conceded"));
    let friend = Finder { key: scene.world.wallet("friend"), round };
    friend.commit(&mut scene);
    scene.world.advance(1);
    friend.open(&mut scene);
    friend.be_conceded(&mut scene);
    scene.vote(0, &named("base"));
    scene.vote(2, &named("anything"));
    scene.vote(3, &named("conceded"));
    let state = scene.round_state();
    scene.advance_to(state.vote_deadline_slot);
    scene.crank(scene.world.program.void_round(&scene.job, &round));
    assert_eq!(scene.job_state().chain.split_count, 1, "two thirds of those who are left did not agree");
    open_refused(&mut scene);
}
