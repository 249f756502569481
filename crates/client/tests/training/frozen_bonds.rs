//! Attack: rounds come to nothing one after the other, so that the bonds of those who worked in them are frozen and back nothing more.

use crate::accuser::Accuser;
use sip_protocol::{
    Error,
    ground::{escrow::REVEAL_SLOTS, units::TOKEN},
    stake::pool::PoolKind,
    training::{
        job::JobSpec,
        round::{self, Round},
        seats::DORMANT,
        segment::Segment,
    },
};
use sip_testing::{BOND_TOKENS, Cast, Operator, Scene, card, scores};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_signer::Signer;

/// A round of which no auditor reveals anything.
fn silenced(scene: &mut Scene) {
    scene.open_round();
    (0..scene.trainers.len()).for_each(|trainer| {
        scene.commit(trainer);
    });
    scene.close_commits();
    let deadline = scene.round_state().audit_deadline_slot;
    scene.advance_to(deadline);
    scene.close_round();
    assert_eq!(scene.round_state().status, round::VOID);
}

/// The bonds are what places need and no more: one slice for each of two rounds ahead. Auditors that say nothing void two rounds; then no trainer
/// has a free slice until nobody can accuse what it did in the first of them: an audit's length and the time to open after its end,
/// however long a job lets its rounds be challenged.
#[test]
fn a_bond_that_rounds_without_a_result_froze_is_free_an_audits_length_after_their_end() {
    let mut cast = Cast::default();
    (cast.spec.slice, cast.spec.lookahead, cast.spec.challenge_slots) = (BOND_TOKENS * TOKEN / 2, 2, 100_000);
    // An auditor's place needs more.
    cast.auditors = 0;
    cast.evaluators = 1;
    let mut scene = Scene::with(&cast);
    let auditor = {
        let mut auditor = scene.world.operator("auditor", sip_protocol::stake::pool::PoolKind::Auditor);
        auditor.seat.place = 0;
        let program = scene.world.program;
        let bond = program.add_bond(&auditor.seat.operator, &auditor.seat.pool, 1_000 * TOKEN);
        let join = program.join_job(&auditor.seat.operator, &scene.job, &auditor.seat.pool);
        scene.world.send(&[bond, join], &[&auditor.key]);
        auditor
    };
    scene.auditors.push(auditor);
    silenced(&mut scene);
    let (first, ended) = (scene.round(), scene.world.ledger.slot());
    let free = scene.world.state::<Round>(&first).final_slot();
    assert_eq!(free, ended + u64::from(scene.job_state().spec.audit_slots) + REVEAL_SLOTS + 1);
    let settle = scene.world.program.settle_segment(&scene.job, &first, &scene.trainers[0].seat.pool);
    silenced(&mut scene);
    assert_eq!(scene.pool_state(&scene.trainers[0].seat.pool).frozen_bond, BOND_TOKENS * TOKEN);
    scene.crank_refused(settle.clone(), Error::ChallengeOpen);
    scene.advance_to(free);
    scene.crank(settle);
    assert_eq!(scene.pool_state(&scene.trainers[0].seat.pool).frozen_bond, BOND_TOKENS * TOKEN / 2);
}

/// Sends what needs a slice that is not free, thaws it, and sends it again.
fn refused_until_thawed(scene: &mut Scene, place: (PoolKind, usize), work: Instruction, thaw: &[Instruction]) {
    let (kind, number) = place;
    let operator = match kind {
        PoolKind::Trainer => &scene.trainers[number],
        PoolKind::Auditor => &scene.auditors[number],
        _ => &scene.evaluators[number],
    };
    let (key, pool) = (operator.key.insecure_clone(), operator.seat.pool);
    scene.world.refused(std::slice::from_ref(&work), &[&key], Error::SelfBondTooSmall);
    let before = scene.pool_state(&pool);
    for thaw in thaw {
        scene.crank(thaw.clone());
    }
    let after = scene.pool_state(&pool);
    assert!(after.thawed_bond > 0, "{kind:?}");
    assert_eq!(after.frozen_bond + after.thawed_bond, before.frozen_bond, "{kind:?}");
    scene.world.send(&[work], &[&key]);
    for again in thaw {
        scene.crank_refused(again.clone(), Error::NothingFrozen);
    }
}

/// Attack: bonds are what places need and no more. A liar has its own claim convicted, so that two rounds are undone, and the repeat is opened at
/// once: all others are awaited, with bonds that are frozen behind what was undone.
#[test]
fn a_conviction_shuts_nobody_out_of_the_repeat_whose_bond_is_what_its_place_needs() {
    let mut cast = Cast::default();
    (cast.spec.slice, cast.spec.lookahead, cast.spec.challenge_slots) = (900 * TOKEN, 2, 20_000);
    let mut scene = Scene::with(&cast);
    let slice = cast.spec.slice;
    for score in [5_000_000, 4_900_000] {
        scene.whole_round(&scores(score));
    }
    let program = scene.world.program;
    let rounds = [0, 1].map(|index| program.round(&scene.job, index));
    let liar = Accuser::new(&mut scene, "friend", &rounds[0], 2);
    liar.commit(&mut scene);
    liar.open(&mut scene);
    // What stands is not thawed.
    let pools = [0, 1, 2].map(|trainer: usize| scene.trainers[trainer].seat.pool);
    scene.crank_refused(program.thaw_segment(&rounds[0], &pools[0]), Error::WrongRoundStatus);
    liar.win(&mut scene);
    scene.open_round();
    scene.crank(scene.undo_round(&rounds[1]));
    for trainer in [0, 1] {
        let work = scene.commit_instruction(trainer, &scene.claim(trainer));
        let thaw = [program.thaw_segment(&rounds[0], &pools[trainer])];
        refused_until_thawed(&mut scene, (PoolKind::Trainer, trainer), work, &thaw);
    }
    let deadline = scene.round_state().commit_deadline_slot;
    scene.advance_to(deadline);
    scene.close_commits();
    for auditor in [0, 1] {
        let (seat, draw) = (scene.auditors[auditor].seat, scene.next_draw(auditor));
        let work = program.reveal_draw(&seat, &scene.job, &scene.round(), &draw);
        let thaw = rounds.map(|round| program.thaw_seat(&round, &seat.pool, seat.place));
        refused_until_thawed(&mut scene, (PoolKind::Auditor, auditor), work, &thaw);
        scene.auditors[auditor].chain.pop();
        (0..2).for_each(|trainer| scene.attest(auditor, trainer));
    }
    scene.close_round();
    scene.show_all();
    scene.to_aggregated();
    for evaluator in [0, 1, 2] {
        let seat = scene.evaluators[evaluator].seat;
        let work = scene.commit_score_instruction(evaluator, &scores(4_950_000));
        let thaw = [program.thaw_seat(&rounds[1], &seat.pool, seat.place)];
        refused_until_thawed(&mut scene, (PoolKind::Evaluator, evaluator), work, &thaw);
    }
    (0..3).for_each(|evaluator| scene.reveal_score(evaluator, &scores(4_950_000)));
    scene.tally();
    // Nobody is charged, and nobody's bond leaves while anything of it can still be convicted.
    let bond = BOND_TOKENS * TOKEN;
    let state = scene.pool_state(&pools[0]);
    assert_eq!((state.self_bond, state.frozen_bond, state.thawed_bond), (bond, 2 * slice, slice));
    // A verdict on what was undone takes of its slice what nothing that stands has, and the rest as soon as that is free.
    let late = Accuser::new(&mut scene, "late", &rounds[0], 1);
    late.commit(&mut scene);
    late.open(&mut scene);
    late.win(&mut scene);
    let state = scene.pool_state(&pools[1]);
    assert_eq!((state.self_bond, state.frozen_bond, state.thawed_bond), (2 * slice, 2 * slice, 0));
    assert_eq!(state.owed_bond, slice - (bond - 2 * slice));
    // In the end all is free again.
    let end = rounds.map(|round| scene.world.state::<Round>(&round).final_slot()).into_iter().max().unwrap();
    scene.finalise_all();
    scene.advance_to(end);
    rounds.iter().for_each(|round| scene.settle_round(round));
    let last = scene.round();
    scene.settle_round(&last);
    let held = [scene.auditors[0].seat.pool, scene.evaluators[0].seat.pool, pools[0]];
    for pool in held.map(|pool| scene.pool_state(&pool)) {
        assert_eq!((pool.frozen_bond, pool.thawed_bond), (0, 0));
    }
    // The auditor has attested what two trainers conceded, which has its price.
    assert_eq!([held[1], held[2]].map(|pool| scene.pool_state(&pool).self_bond), [bond; 2]);
    let convicted = scene.pool_state(&pools[1]);
    assert_eq!((convicted.self_bond, convicted.frozen_bond, convicted.owed_bond), (bond - slice, 0, 0));
}

#[test]
fn slices_are_thawed_of_their_own_claims_only() {
    let mut scene = Scene::new();
    silenced(&mut scene);
    let (program, round) = (scene.world.program, scene.round());
    let [first, second] = [0, 1].map(|trainer: usize| scene.trainers[trainer].seat.pool);
    let mut foreign = program.thaw_segment(&round, &first);
    foreign.accounts[2].pubkey = second;
    scene.crank_refused(foreign, Error::WrongAccount);
    // A trainer's slice stands in its segment; nobody revealed a draw or committed a score.
    scene.crank_refused(program.thaw_seat(&round, &first, 0), Error::WrongPoolKind);
    let (auditor, evaluator) = (scene.auditors[0].seat, scene.evaluators[0].seat);
    scene.crank_refused(program.thaw_seat(&round, &auditor.pool, 1), Error::WrongPlace);
    scene.crank_refused(program.thaw_seat(&round, &auditor.pool, 0), Error::NothingFrozen);
    scene.crank_refused(program.thaw_seat(&round, &evaluator.pool, 0), Error::NothingFrozen);
    // Nor does a bond leave that stands behind two claims.
    let (key, seat) = (scene.trainers[0].key.insecure_clone(), scene.trainers[0].seat);
    scene.crank(program.thaw_segment(&round, &first));
    let thawed = scene.pool_state(&first);
    assert_eq!((thawed.frozen_bond, thawed.thawed_bond), (0, scene.segment_state(0).slice));
    scene.world.send(&[program.leave_job(&seat, &scene.job), program.retire_pool(&seat.operator, &first)], &[&key]);
    assert_eq!(scene.pool_state(&first).allotted_bps, 10_000, "its stake counts nowhere else until it is settled");
    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots + 1);
    let before = scene.world.tokens(&seat.operator);
    scene.world.send(&[program.withdraw_bond(&seat.operator, &first)], &[&key]);
    assert_eq!(scene.world.tokens(&seat.operator) - before, BOND_TOKENS * TOKEN - thawed.thawed_bond);
}

/// The trainer that lies.
const LIAR: usize = 1;
/// Slice of the job in which it lies: its bond is two of these, and [`SPARE`].
const LIED: u64 = 900 * TOKEN;
/// What its bond has beside, which is the slice of a job of its own.
const SPARE: u64 = BOND_TOKENS * TOKEN - 2 * LIED;

/// A job of the liar's own, which pays nothing, with an auditor and an evaluator of its friend's.
struct OwnJob {
    job: Address,
    trainers: Vec<Operator>,
    auditors: Vec<Operator>,
    evaluators: Vec<Operator>,
    /// Rounds that came to nothing.
    rounds: Vec<Address>,
}

impl OwnJob {
    fn new(scene: &mut Scene) -> OwnJob {
        let (creator, program) = (scene.world.wallet("creator"), scene.world.program);
        let job = program.job(&creator.pubkey(), 0);
        let spec = JobSpec { lookahead: 1, rounds: 100, audit_rate: 0, vote_slots: 1, ..scene.job_state().spec };
        let spec = JobSpec { slice: SPARE, audit_slots: 60_000, challenge_slots: 1, ..spec };
        let spec = JobSpec { init_node_count: 0, init_nodes_root: [0; 32], init_outputs_root: [0; 32], ..spec };
        let datasets = scene.datasets.clone();
        let create = program.create_job(&creator.pubkey(), 0, &spec, &datasets);
        let describe = program.describe_job(&creator.pubkey(), &job, &card("own manifest"));
        scene.world.send(&[create], &[&creator]);
        scene.world.send(&[describe], &[&creator]);
        for number in spec.attention_numbers() {
            scene.world.send(&[program.create_attention_pool(&creator.pubkey(), &job, number)], &[&creator]);
        }
        let liar = &scene.trainers[LIAR];
        let mut liar = Operator { seat: liar.seat, key: liar.key.insecure_clone(), chain: Vec::new() };
        let mut auditor = scene.world.operator("own auditor", PoolKind::Auditor);
        let mut evaluator = scene.world.operator("own evaluator", PoolKind::Evaluator);
        // All of the liar's stake counts in the other job.
        for (operator, allotted_bps) in [(&mut liar, 0), (&mut auditor, 10_000), (&mut evaluator, 10_000)] {
            operator.seat.place = 0;
            let join = program.join_job_with(&operator.seat.operator, &job, &operator.seat.pool, allotted_bps);
            scene.world.send(&[join], &[&operator.key]);
        }
        OwnJob { job, trainers: vec![liar], auditors: vec![auditor], evaluators: vec![evaluator], rounds: Vec::new() }
    }

    /// Makes the scene's job this one, or makes it the scene's again.
    fn exchange(&mut self, scene: &mut Scene) {
        core::mem::swap(&mut self.job, &mut scene.job);
        core::mem::swap(&mut self.trainers, &mut scene.trainers);
        core::mem::swap(&mut self.auditors, &mut scene.auditors);
        core::mem::swap(&mut self.evaluators, &mut scene.evaluators);
    }

    /// Has a round with a segment of the liar's come to nothing, and its slice thawed, or not, where claims of the other job are open.
    fn void(&mut self, scene: &mut Scene, is_alone: bool) {
        self.exchange(scene);
        let program = scene.world.program;
        // Its auditor votes for nothing, falls asleep, and wakes.
        let (seat, key) = (scene.auditors[0].seat, scene.auditors[0].key.insecure_clone());
        if scene.job_state().auditors[0].state == DORMANT {
            scene.world.send(&[program.join_job(&seat.operator, &scene.job, &seat.pool)], &[&key]);
        }
        scene.to_committed();
        scene.to_closed();
        let (round, deadline) = (scene.round(), scene.round_state().vote_deadline_slot);
        scene.advance_to(deadline);
        scene.crank(program.void_round(&scene.job, &round));
        let thaw = program.thaw_segment(&round, &scene.trainers[0].seat.pool);
        if is_alone {
            scene.crank(thaw);
        } else {
            scene.crank_refused(thaw, Error::ClaimsInSeveralJobs);
        }
        scene.crank(program.thaw_seat(&round, &seat.pool, 0));
        self.rounds.push(round);
        self.exchange(scene);
    }

    /// Has the liar convicted of all that, by its friend.
    fn confess(&mut self, scene: &mut Scene) {
        self.exchange(scene);
        let rounds = self.rounds.iter().zip(0..);
        let friends: Vec<Accuser> =
            rounds.map(|(round, number)| Accuser::new(scene, &format!("friend {number}"), round, 0)).collect();
        friends.iter().for_each(|friend| friend.commit(scene));
        for friend in &friends {
            friend.open(scene);
            friend.win(scene);
        }
        self.exchange(scene);
    }
}

/// Attack: rounds of a job of one's own come to nothing for nothing, so that one slice would stand behind as many claims as one likes. A friend has all
/// of them convicted while the finder of a lie elsewhere waits for its verdict, to have half of the bond that stood behind that lie.
#[test]
fn attack_claims_of_a_job_of_ones_own_that_came_to_nothing_take_nothing_that_stands_behind_a_lie() {
    let play = |own_before: usize, own_after: usize| {
        let mut cast = Cast::default();
        (cast.spec.slice, cast.spec.lookahead, cast.spec.challenge_slots) = (LIED, 2, 20_000);
        let mut scene = Scene::with(&cast);
        let mut own = OwnJob::new(&mut scene);
        (0..own_before).for_each(|_| own.void(&mut scene, true));
        let lies = [5_000_000, 4_900_000].map(|score| {
            scene.whole_round(&scores(score));
            scene.round()
        });
        (0..own_after).for_each(|_| own.void(&mut scene, own_before == 1));
        let finder = Accuser::new(&mut scene, "finder", &lies[0], LIAR);
        finder.commit(&mut scene);
        finder.open(&mut scene);
        own.confess(&mut scene);
        finder.win(&mut scene);
        let segment: Segment = scene.world.state(&finder.segment(&scene));
        let [first, second] = lies.map(|lie| scene.world.state::<Round>(&lie));
        let late = Accuser::new(&mut scene, "later finder", &lies[1], LIAR);
        late.commit(&mut scene);
        late.open(&mut scene);
        late.win(&mut scene);
        let later: Segment = scene.world.state(&late.segment(&scene));
        assert_eq!(scene.pool_state(&scene.trainers[LIAR].seat.pool).frozen_bond, 0);
        let left = scene.pool_state(&scene.trainers[LIAR].seat.pool).self_bond;
        (segment.escrow.bounty, later.escrow.bounty, first.compensation + first.to_children + second.compensation, left)
    };
    let (bounty, later, compensation, left) = play(0, 0);
    assert_eq!((bounty, later, left), (LIED / 2, LIED / 2, SPARE));
    for own_rounds in [(1, 0), (0, 1)] {
        assert_eq!(play(own_rounds.0, own_rounds.1), (bounty, later, compensation, 0), "{own_rounds:?}");
    }
}

/// Attack: the same with more rounds than the bond has room for beside the other job's claims. Either those are refused, or the second of its own.
#[test]
fn attack_what_is_thawed_in_one_job_backs_no_claim_of_another() {
    let mut cast = Cast::default();
    (cast.spec.slice, cast.spec.lookahead, cast.spec.challenge_slots) = (LIED, 2, 20_000);
    let mut scene = Scene::with(&cast);
    let mut own = OwnJob::new(&mut scene);
    (0..9).for_each(|_| own.void(&mut scene, true));
    let pool = scene.pool_state(&scene.trainers[LIAR].seat.pool);
    assert_eq!((pool.frozen_bond, pool.thawed_bond), (0, 9 * SPARE));
    scene.open_round();
    let commit = |scene: &mut Scene| {
        let key = scene.trainers[LIAR].key.insecure_clone();
        (scene.commit_instruction(LIAR, &scene.claim(LIAR)), key)
    };
    let (work, key) = commit(&mut scene);
    scene.world.refused(&[work], &[&key], Error::SelfBondTooSmall);

    // Claims of the other job first: they leave room for one slice of its own, and that stays frozen.
    let mut scene = Scene::with(&cast);
    let mut own = OwnJob::new(&mut scene);
    for score in [5_000_000, 4_900_000] {
        scene.whole_round(&scores(score));
    }
    own.void(&mut scene, false);
    own.exchange(&mut scene);
    let (seat, key) = (scene.auditors[0].seat, scene.auditors[0].key.insecure_clone());
    if scene.job_state().auditors[0].state == DORMANT {
        scene.world.send(&[scene.world.program.join_job(&seat.operator, &scene.job, &seat.pool)], &[&key]);
    }
    scene.open_round();
    let key = scene.trainers[0].key.insecure_clone();
    let work = scene.commit_instruction(0, &scene.claim(0));
    scene.world.refused(&[work], &[&key], Error::SelfBondTooSmall);
}

/// The last claim in a job that its operator left is open while claims in the next job begin, of which one is open from then on at any time. Once the
/// first is settled, and those that were made beside it, all are of one job: what comes to nothing there is thawed.
#[test]
fn claims_of_a_job_that_was_left_and_settled_keep_nothing_of_the_next_one_frozen() {
    let mut cast = Cast::default();
    (cast.spec.slice, cast.spec.lookahead, cast.spec.challenge_slots) = (LIED, 2, 20_000);
    let mut scene = Scene::with(&cast);
    let mut own = OwnJob::new(&mut scene);
    own.void(&mut scene, true);
    let (left, key) = (own.trainers[0].seat, own.trainers[0].key.insecure_clone());
    scene.world.send(&[scene.world.program.leave_job(&left, &own.job)], &[&key]);
    scene.whole_round(&scores(5_000_000));
    let first = scene.round();
    // The first job's claim is settled, and the second's that was made beside it only after the next one was made.
    let (program, pool) = (scene.world.program, scene.trainers[LIAR].seat.pool);
    scene.advance_to(scene.world.state::<Round>(&own.rounds[0]).final_slot());
    scene.crank(program.settle_segment(&own.job, &own.rounds[0], &pool));
    scene.whole_round(&scores(4_900_000));
    scene.finalise_all();
    scene.settle_round(&first);
    silenced(&mut scene);
    let thaw = program.thaw_segment(&scene.round(), &pool);
    scene.open_round();
    let (work, key) = (scene.commit_instruction(LIAR, &scene.claim(LIAR)), scene.trainers[LIAR].key.insecure_clone());
    scene.world.refused(std::slice::from_ref(&work), &[&key], Error::SelfBondTooSmall);
    scene.crank(thaw);
    scene.world.send(&[work], &[&key]);
    let state = scene.pool_state(&pool);
    assert_eq!((state.frozen_bond, state.thawed_bond), (2 * LIED, LIED));
}
