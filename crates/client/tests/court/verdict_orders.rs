//! Votes, verdicts, leavers and settlements that land in the same slot, in every order: what order decides, and what it does not.

use crate::accuser::Accuser;
use crate::ordered::{Sent, play, sent};
use sip_client::VoteAccusation;
use sip_proof::{GraphRoots, merkle::MerkleTree};
use sip_protocol::{
    court::MoveKind,
    ground::units::TOKEN,
    stake::pool::PoolKind,
    training::{
        round::{self, Round},
        seats::{AWAKE, FREE},
    },
};
use sip_testing::{BOND_TOKENS, Cast, SLICE, Scene, WALLET_TOKENS, named, scores};
use solana_address::Address;
use solana_signer::Signer;
use std::collections::BTreeSet;

const FULL: u64 = WALLET_TOKENS * TOKEN;
const BOND: u64 = BOND_TOKENS * TOKEN;

fn average() -> GraphRoots {
    GraphRoots {
        nodes_root: named("average"),
        outputs_root: named("average's outputs"),
        node_count: 3,
        state_count: 9,
        tables_root: named("tables"),
        table_count: 2,
    }
}

/// A false vote, its change, its accusation, and the true votes: an auditor that changes its vote before the accusation is opened pays nothing, and
/// the accuser has its bond back; the true base is made in every order.
#[test]
fn order_decides_whether_a_vote_that_is_changed_in_the_slot_of_its_dispute_is_convicted() {
    let graph = average();
    let leaf = GraphRoots::leaf_of_aggregate(&graph.nodes_root, &graph.outputs_root, graph.node_count);
    let tree = MerkleTree::new([leaf; 16]);
    let mut cast = Cast { auditors: 3, ..Cast::default() };
    cast.spec.aggregates_root = tree.root();
    let mut scene = Scene::with(&cast);
    scene.to_committed();
    scene.to_closed();
    scene.vote(2, &named("false"));
    let (program, job, round) = (scene.world.program, scene.job, scene.round());
    let segments: Vec<Address> = (0..3).map(|trainer| scene.segment(trainer)).collect();
    let path: [[u8; 32]; 4] = tree.path(2).as_chunks().0.try_into().expect("sixteen leaves");
    let accuser = scene.world.wallet("accuser");
    let (challenger, salt, seat) = (accuser.pubkey(), named("salt"), scene.auditors[2].seat);
    let accusation = VoteAccusation {
        challenger: &challenger,
        job: &job,
        round: &round,
        auditor: &seat,
        graph: &graph,
        path: &path,
        segments: &segments,
        salt: &salt,
    };
    scene.world.advance(1);
    scene.world.send(&[program.commit_hidden(&accusation.hidden())], &[&accuser]);
    scene.world.advance(1);
    let liar = scene.auditors[2].key.insecure_clone();
    let dispute = program.auditor_dispute(&round, &challenger, 2);
    let back = program.withdraw_hidden(&accusation.hidden(), Some(&round), Some(&seat.pool));
    let all = [
        sent("change", scene.vote_instruction(2, &named("true")), &liar),
        sent("open", program.open_vote_dispute(&accusation), &accuser),
        Sent {
            name: "verdict",
            instructions: vec![
                program.play_move(&liar.pubkey(), &dispute, MoveKind::Concede, 0, &[]),
                program.resolve_auditor_dispute(&challenger, &dispute, &job, &round, &seat.pool),
            ],
            signer: liar.insecure_clone(),
        },
        sent("first", scene.vote_instruction(0, &named("true")), &scene.auditors[0].key),
        sent("second", scene.vote_instruction(1, &named("true")), &scene.auditors[1].key),
        sent("take back", back, &accuser),
    ];
    play(&scene, &all, |end| {
        let state = end.scene.round_state();
        assert_eq!((state.status, state.next_base), (round::AGGREGATED, named("true")), "{:?}", end.order);
        // A vote is changed only before it is disputed and before a base was made.
        let is_changed = end.has("change");
        assert!(!is_changed || !end.is_before("open", "change"), "{:?}", end.order);
        let lost = BOND - end.bond(&end.scene.auditors[2]);
        assert_eq!(lost, if is_changed { 0 } else { SLICE }, "{:?}", end.accepted);
        assert_eq!(end.scene.world.tokens(&challenger), FULL, "{:?}", end.accepted);
        assert!([0, 1].iter().all(|honest| end.bond(&end.scene.auditors[*honest]) == BOND));
    });
}

/// A verdict on one that leaves in the same slot, another that takes its place, and the opening of the next round: the newcomer is kept out of nothing
/// and answers for nothing, and the liar pays its slice.
#[test]
fn no_order_of_leaving_coming_and_a_verdict_convicts_the_newcomer_or_spares_the_leaver() {
    let mut cast = Cast::default();
    cast.spec.challenge_slots = 20_000;
    let mut scene = Scene::with(&cast);
    scene.whole_round(&scores(5_000_000));
    scene.capture_seed();
    let round = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &round, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    let mut newcomer = scene.world.operator("newcomer", PoolKind::Trainer);
    newcomer.seat.place = 1;
    let (program, job, authority) = (scene.world.program, scene.job, scene.world.authority.insecure_clone());
    let (seat, liar) = (scene.trainers[1].seat, scene.trainers[1].key.insecure_clone());
    let dispute = program.dispute(&accuser.segment(&scene), &accuser.key.pubkey());
    let open = program.open_next_round(&authority.pubkey(), &job, &scene.job_state());
    let join = match scene.job_state().trainers[1].state {
        FREE => program.join_job(&newcomer.seat.operator, &job, &newcomer.seat.pool),
        _ => program.take_seat(&newcomer.seat.operator, &job, &newcomer.seat.pool, &seat.pool, 10_000),
    };
    let all = [
        sent("leave", program.leave_job(&seat, &job), &liar),
        sent("come", join, &newcomer.key),
        Sent {
            name: "verdict",
            instructions: vec![
                program.play_move(&liar.pubkey(), &dispute, MoveKind::Concede, 0, &[]),
                program.resolve_dispute(&accuser.key.pubkey(), &job, &round, &seat.pool),
            ],
            signer: liar.insecure_clone(),
        },
        sent("open", open, &authority),
        sent("check", program.check_seat(&job, &seat.pool, 1), &authority),
    ];
    play(&scene, &all, |end| {
        let job = end.scene.job_state();
        let theirs = job.trainers.iter().find(|it| it.pool == newcomer.seat.pool.to_bytes());
        assert!(end.has("come") && theirs.is_some_and(|it| it.state == AWAKE), "{:?}", end.order);
        assert_eq!(end.bond(&end.scene.trainers[1]), BOND - SLICE, "{:?}", end.order);
        assert_eq!(end.scene.pool_state(&newcomer.seat.pool).self_bond, BOND);
        let last = end.scene.round_state();
        // Who is convicted commits nothing in a round that opened before and awaits it, unless its place is the newcomer's since.
        let is_awaited = last.index == 1 && last.trainers[1] == seat.pool.to_bytes();
        let is_replaced = job.trainers[1].pool == newcomer.seat.pool.to_bytes();
        assert!(!is_awaited || last.is_trainer_excluded(&job, 1) || is_replaced, "{:?}", end.order);
    });
}

/// The settlement of honest work in a round that somebody else's lie undid, and a verdict on another lie of who did that work: order decides
/// whether it is paid for the one, never more than that, and the slice of the other is taken in every order.
#[test]
fn order_decides_at_most_the_pay_of_an_undone_round_where_a_verdict_and_a_settlement_meet() {
    let mut cast = Cast::default();
    (cast.spec.lookahead, cast.spec.challenge_slots) = (3, 6_000);
    let mut scene = Scene::with(&cast);
    scene.whole_round(&scores(5_000_000));
    let first = scene.round();
    let finder = Accuser::new(&mut scene, "finder", &first, 0);
    finder.commit(&mut scene);
    finder.open(&mut scene);
    finder.win(&mut scene);
    // The repeat, in which the second trainer lies; the first round is settled when its windows are over.
    let repeat = {
        let end = scene.world.state::<Round>(&first).final_slot();
        scene.advance_to(end - 200);
        scene.open_round();
        [1, 2].iter().for_each(|trainer| {
            scene.commit(*trainer);
        });
        scene.close_commits();
        scene.to_closed();
        scene.to_aggregated();
        scene.to_scored(&[scores(5_000_000); 3]);
        scene.round()
    };
    let accuser = Accuser::new(&mut scene, "accuser", &repeat, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    let end = scene.world.state::<Round>(&first).final_slot();
    scene.advance_to(end);
    let (program, job, authority) = (scene.world.program, scene.job, scene.world.authority.insecure_clone());
    let (pool, liar) = (scene.trainers[1].seat.pool, scene.trainers[1].key.insecure_clone());
    let dispute = program.dispute(&accuser.segment(&scene), &accuser.key.pubkey());
    let all = [
        sent("settle", program.settle_segment(&job, &first, &pool), &authority),
        Sent {
            name: "verdict",
            instructions: vec![
                program.play_move(&liar.pubkey(), &dispute, MoveKind::Concede, 0, &[]),
                program.resolve_dispute(&accuser.key.pubkey(), &job, &repeat, &pool),
            ],
            signer: liar.insecure_clone(),
        },
        sent("other", program.settle_segment(&job, &first, &scene.trainers[2].seat.pool), &authority),
        sent("bond", program.add_bond(&liar.pubkey(), &pool, TOKEN), &liar),
    ];
    let mut pays = BTreeSet::new();
    play(&scene, &all, |end| {
        let (state, other) = (end.scene.pool_state(&pool), end.scene.pool_state(&end.scene.trainers[2].seat.pool));
        assert!(state.self_bond.abs_diff(BOND + TOKEN - SLICE) < 10, "{:?}", end.order);
        assert!(other.commission_owed > 0, "{:?}", end.order);
        let is_paid = state.commission_owed > 0;
        assert_eq!(is_paid, end.is_before("settle", "verdict"), "{:?}", end.order);
        pays.insert((state.commission_owed, other.commission_owed));
    });
    assert!(pays.len() == 2 && pays.iter().map(|pay| pay.1).collect::<BTreeSet<_>>().len() == 1, "{pays:?}");
}
