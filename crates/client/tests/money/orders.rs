//! Transactions that land in the same slot, in every order: what order decides, and that none pays an attacker more or convicts anybody else.
//! Each story is brought to one slot, sent in every permutation ([`ordered`]), and played to its end.

use crate::accuser::Accuser;
use crate::ordered::{Sent, play, sent};
use sip_client::StateDemand;
use sip_ledger::Ledger;
use sip_node::availability::state_answer;
use sip_proof::{BlobTree, merkle::MerkleTree};
use sip_protocol::{
    court::MoveKind,
    ground::{escrow::REVEAL_SLOTS, units::TOKEN},
    stake::pool::PoolKind,
    training::{
        round::{self, Round},
        seats::FREE,
        segment::{ACCEPTED, CONVICTED, SegmentClaim},
    },
};
use sip_testing::{BOND_TOKENS, Cast, SLICE, Scene, WALLET_TOKENS, named, scores};
use solana_address::Address;
use solana_signer::Signer;
use std::collections::{BTreeMap, BTreeSet};

const FULL: u64 = WALLET_TOKENS * TOKEN;
const BOND: u64 = BOND_TOKENS * TOKEN;

/// The end of a round that is over: settled, if it is not settled yet.
fn settle(scene: &mut Scene, round: &Address) {
    let state: Round = scene.world.state(round);
    scene.advance_to(state.final_slot());
    if scene.world.state::<Round>(round).status == round::SCORED {
        scene.finalise_oldest();
    }
    scene.settle_round(round);
}

/// A conviction and the closing of its round: in whatever order they attest, dispute, concede and close, the liar alone is convicted, for its
/// slice, the round goes on without it or is undone, and liar and friend together lose at least the half of it.
#[test]
fn whatever_order_a_lie_is_attested_closed_and_conceded_in_its_liar_alone_pays_for_it() {
    let mut scene = Scene::new();
    scene.to_committed();
    let round = scene.round();
    let friend = Accuser::new(&mut scene, "friend", &round, 1);
    friend.commit(&mut scene);
    (0..2).for_each(|auditor| {
        scene.reveal(auditor);
        scene.attest(auditor, 0);
        scene.attest(auditor, 2);
    });
    scene.attest(1, 1);
    let (program, job, authority) = (scene.world.program, scene.job, scene.world.authority.insecure_clone());
    let liar = scene.trainers[1].key.insecure_clone();
    let dispute = program.dispute(&friend.segment(&scene), &friend.key.pubkey());
    let pool = scene.trainers[1].seat.pool;
    let attest = program.attest(&scene.auditors[0].seat, &job, &round, &scene.segment(1), &named("an accomplice"));
    let all = [
        sent("attest", attest, &scene.auditors[0].key),
        sent("open", friend.open_instruction(&scene), &friend.key),
        sent("concede", program.play_move(&liar.pubkey(), &dispute, MoveKind::Concede, 0, &[]), &liar),
        sent("resolve", program.resolve_dispute(&friend.key.pubkey(), &job, &round, &pool), &authority),
        sent("close", scene.close_instruction(&[0, 1, 2]), &authority),
    ];
    let mut losses = BTreeSet::new();
    play(&scene, &all, |mut end| {
        let state = end.scene.round_state();
        assert_eq!(end.scene.segment_state(1).status, CONVICTED, "{:?}", end.order);
        assert!([0, 2].iter().all(|honest| end.scene.segment_state(*honest).status == ACCEPTED), "{:?}", end.order);
        // Order decides whether a lie that was closed upon undoes its round, or never counted.
        let is_undone = end.is_before("close", "resolve");
        assert_eq!((state.status == round::VOID, state.is_undone == 1), (is_undone, is_undone), "{:?}", end.order);
        end.scene.world.advance(REVEAL_SLOTS + 1);
        end.scene.crank(friend.claim_instruction(&end.scene));
        let together = end.bond(&end.scene.trainers[1]) + friend.tokens(&end.scene);
        losses.insert(BOND + FULL - together);
        let bonds = end.scene.trainers.iter().chain(&end.scene.auditors).filter(|it| it.seat.pool != pool);
        assert!(bonds.map(|it| end.bond(it)).all(|bond| bond == BOND), "{:?}", end.order);
    });
    assert_eq!(losses, BTreeSet::from([SLICE / 2]), "the same in every order");
}

/// Two accusers whose accusations are of one slot, and the demand of a third: the liar pays one slice in every order; the bounty is of
/// whichever accusation convicts first. More than that order does not decide.
#[test]
fn of_two_accusations_of_one_slot_order_decides_whose_the_bounty_is_and_nothing_else() {
    let mut cast = Cast::default();
    cast.spec.challenge_slots = 20_000;
    let mut scene = Scene::with(&cast);
    scene.whole_round(&scores(5_000_000));
    let round = scene.round();
    let [honest, friend] = ["honest", "friend"].map(|name| Accuser::new(&mut scene, name, &round, 1));
    for accuser in [&honest, &friend] {
        let commit = accuser.commit_instruction(&scene);
        scene.world.send(&[commit], &[&accuser.key]);
    }
    scene.world.advance(1);
    let (program, job, authority) = (scene.world.program, scene.job, scene.world.authority.insecure_clone());
    let (pool, liar) = (scene.trainers[1].seat.pool, scene.trainers[1].key.insecure_clone());
    let reader = scene.world.wallet("reader");
    let wallet = reader.pubkey();
    let demand = StateDemand { demander: &wallet, job: &job, round: &round, pool: &pool, entry: 3, chunk: 0 };
    let both = |accuser: &Accuser, scene: &Scene| {
        let dispute = program.dispute(&accuser.segment(scene), &accuser.key.pubkey());
        let concede = program.play_move(&liar.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
        vec![concede, program.resolve_dispute(&accuser.key.pubkey(), &job, &round, &pool)]
    };
    let all = [
        sent("honest opens", honest.open_instruction(&scene), &honest.key),
        sent("friend opens", friend.open_instruction(&scene), &friend.key),
        Sent { name: "honest wins", instructions: both(&honest, &scene), signer: liar.insecure_clone() },
        Sent { name: "friend wins", instructions: both(&friend, &scene), signer: liar.insecure_clone() },
        sent("ask", program.demand_state(&demand), &reader),
        sent("undo", scene.undo_round(&round), &authority),
    ];
    play(&scene, &all, |mut end| {
        let segment: sip_protocol::training::segment::Segment = end.scene.world.state(&honest.segment(&end.scene));
        assert_eq!(segment.status, CONVICTED);
        // The one that convicts first, if both do; a convicted claim is accused no more by an accusation of the same slot.
        let is_honest = segment.escrow.challenger == honest.key.pubkey().to_bytes();
        let is_first = match [end.has("honest wins"), end.has("friend wins")] {
            [true, true] => end.is_before("honest wins", "friend wins"),
            [honest_wins, _] => honest_wins,
        };
        assert_eq!(is_honest, is_first, "{:?}", end.order);
        assert_eq!((segment.escrow.bounty, end.bond(&end.scene.trainers[1])), (SLICE / 2, BOND - SLICE));
        // Who came too late to open has all back.
        for accuser in [&honest, &friend] {
            let back = accuser.withdraw_instruction(&end.scene);
            let authority = end.scene.world.authority.insecure_clone();
            let _ = end.scene.world.ledger.send(&[back], &authority, &[&authority, &accuser.key]);
            assert_eq!(accuser.tokens(&end.scene), FULL, "{:?}", end.order);
        }
    });
}

/// The last slots of the phases of commitments, votes and scores: honest work that lands in a deadline's slot.
#[test]
fn in_the_slot_of_the_deadline_order_decides_whether_a_segment_counts() {
    let mut scene = Scene::new();
    scene.open_round();
    let round = scene.round();
    scene.commit(0);
    let deadline = scene.round_state().commit_deadline_slot;
    let (program, job, authority) = (scene.world.program, scene.job, scene.world.authority.insecure_clone());
    let amended = SegmentClaim { end_root: named("amended"), ..scene.claim(0) };
    let seat = scene.trainers[0].seat;
    let all = |scene: &Scene| {
        [
            sent("commit 1", scene.commit_instruction(1, &scene.claim(1)), &scene.trainers[1].key),
            sent("commit 2", scene.commit_instruction(2, &scene.claim(2)), &scene.trainers[2].key),
            sent(
                "amend",
                program.amend_segment(&seat.operator, &job, &round, &seat.pool, &amended),
                &scene.trainers[0].key,
            ),
            sent("leave 2", program.leave_job(&scene.trainers[2].seat, &job), &scene.trainers[2].key),
            sent("close", program.close_commits(&job, &round), &authority),
        ]
    };
    // A slot before, nobody is shut out by any order: the phase ends when all are in.
    scene.advance_to(deadline - 1);
    play(&scene, &all(&scene), |end| {
        assert_eq!(end.scene.round_state().committed, 0b111, "{:?}", end.order);
    });
    scene.advance_to(deadline);
    play(&scene, &all(&scene), |end| {
        let state = end.scene.round_state();
        for (place, name) in [(1u16, "commit 1"), (2, "commit 2")] {
            let is_in = end.has(name);
            assert_eq!(state.committed >> place & 1 == 1, is_in);
            assert!(is_in || !end.is_before(name, "close"), "{:?}", end.order);
        }
        // The one that left answers for the segment that it committed, with its slice.
        let pool = end.scene.pool_state(&end.scene.trainers[2].seat.pool);
        assert_eq!(pool.frozen_bond, SLICE * u64::from(state.committed >> 2 & 1), "{:?}", end.order);
    });
}

/// An opening, and operators that leave, come, or weigh their stake otherwise in its slot: no stake counts twice, and the round awaits whom the
/// job had when it opened.
#[test]
fn whoever_leaves_and_comes_in_the_slot_of_an_opening_holds_one_place_and_one_stake() {
    let mut scene = Scene::new();
    let mut newcomer = scene.world.operator("newcomer", PoolKind::Evaluator);
    newcomer.seat.place = 2;
    let (program, job, authority) = (scene.world.program, scene.job, scene.world.authority.insecure_clone());
    let here = scene.evaluators[2].seat;
    let all = [
        sent("open", program.open_round(&authority.pubkey(), &job, 0, 3), &authority),
        sent("leave", program.leave_job(&here, &job), &scene.evaluators[2].key),
        sent("come", program.join_job(&newcomer.seat.operator, &job, &newcomer.seat.pool), &newcomer.key),
        sent("come back", program.join_job(&here.operator, &job, &here.pool), &scene.evaluators[2].key),
        sent("weigh", program.allot_stake(&here, &job, 2_000), &scene.evaluators[2].key),
    ];
    play(&scene, &all, |end| {
        let (state, job) = (end.scene.round_state(), end.scene.job_state());
        for pool in [here.pool, newcomer.seat.pool] {
            let held: Vec<u16> = job
                .evaluators
                .iter()
                .filter(|seat| seat.state != FREE && seat.pool == pool.to_bytes())
                .map(|seat| seat.allotted_bps)
                .collect();
            let awaited = state.evaluators.iter().filter(|seat| seat.pool == pool.to_bytes()).count();
            assert!(held.len() <= 1 && awaited <= 1, "{:?}", end.order);
            let allotted = end.scene.pool_state(&pool).allotted_bps;
            assert_eq!(held.iter().sum::<u16>(), allotted, "{:?}", end.order);
        }
        let is_awaited = state.evaluators.iter().any(|seat| seat.pool == here.pool.to_bytes());
        assert!(is_awaited || !end.is_before("open", "leave"), "who leaves after the opening owes the round");
    });
}

/// The last slot of a demand's clock, and the first after it.
#[test]
fn no_order_convicts_who_answers_in_the_last_slot_of_its_clock() {
    let entries: Vec<Vec<u8>> = (0..9u8).map(|entry| vec![entry; 40]).collect();
    let roots: Vec<[u8; 32]> = entries.iter().map(|entry| BlobTree::new(entry).root()).collect();
    let mut scene = Scene::new();
    scene.open_round();
    let claim = SegmentClaim { end_root: MerkleTree::new(&roots).root(), ..scene.claim(0) };
    scene.commit_claim(0, &claim);
    (1..3).for_each(|trainer| {
        scene.commit(trainer);
    });
    scene.close_commits();
    let (program, job, round, authority) =
        (scene.world.program, scene.job, scene.round(), scene.world.authority.insecure_clone());
    let reader = scene.world.wallet("reader");
    let (wallet, seat, key) = (reader.pubkey(), scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let demand = |entry| StateDemand { demander: &wallet, job: &job, round: &round, pool: &seat.pool, entry, chunk: 0 };
    scene.world.send(&[program.demand_state(&demand(3))], &[&reader]);
    let address = program.demand(&scene.segment(0), &wallet, 3, 0);
    let answer = state_answer(&roots, 3, &entries[3], 0).unwrap();
    let answers = program.answer_state(&seat.operator, &address, &round, &seat.pool, &answer);
    let all = [
        Sent { name: "answer", instructions: answers, signer: key },
        sent("fail", program.fail_state(&demand(3)), &authority),
        sent("ask again", program.demand_state(&demand(4)), &reader),
        sent("take back", program.close_demand(&wallet, &address), &reader),
    ];
    let clock = scene.world.config().parameters.clock_slots;
    scene.world.advance(clock);
    play(&scene, &all, |end| {
        assert_eq!(end.bond(&end.scene.trainers[0]), BOND, "{:?}", end.order);
        assert!(end.has("answer") && !end.has("fail"));
    });
    scene.world.advance(1);
    play(&scene, &all, |end| {
        assert!(end.has("fail") && !end.has("answer"), "{:?}", end.order);
        assert_eq!(end.scene.segment_state(0).status, CONVICTED);
    });
}

/// Stake that comes, moves, becomes active and steers in the slot of an opening.
#[test]
fn no_order_of_stake_in_the_slot_of_an_opening_moves_its_mixture() {
    let mut scene = Scene::new();
    let (program, job, authority) = (scene.world.program, scene.job, scene.world.authority.insecure_clone());
    let pool = |domain| program.attention_pool(&job, domain);
    let rich = scene.world.wallet("rich");
    scene.world.send(&[program.deposit(&rich.pubkey(), &pool(2), 50_000 * TOKEN, 0)], &[&rich]);
    let slots = scene.world.config().parameters.activation_slots;
    scene.world.advance(slots);
    let patron = scene.patrons[0].insecure_clone();
    let all = [
        sent("open", program.open_round(&authority.pubkey(), &job, 0, 3), &authority),
        sent("deposit", program.deposit(&rich.pubkey(), &pool(1), 40_000 * TOKEN, 0), &rich),
        sent("activate", program.activate(&pool(2), &rich.pubkey()), &rich),
        sent("exit", program.request_exit(&patron.pubkey(), &pool(0), 1, 900 * TOKEN), &patron),
        sent("move", program.move_attention(&rich.pubkey(), &pool(2), &pool(0), 100 * TOKEN, 0), &rich),
    ];
    let mut mixtures = BTreeSet::new();
    play(&scene, &all, |end| {
        mixtures.insert(end.scene.round_state().mixture_bps);
    });
    assert_eq!(mixtures.len(), 1, "{mixtures:?}");
}

/// The slot in which a round is final: accusations, settlements, closings.
#[test]
fn no_order_opens_a_dispute_of_a_round_that_becomes_final_in_its_slot() {
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    let round = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &round, 1);
    let last = scene.round_state().disputable_until();
    scene.advance_to(last - REVEAL_SLOTS);
    accuser.commit(&mut scene);
    let (program, job, authority) = (scene.world.program, scene.job, scene.world.authority.insecure_clone());
    let pool = scene.trainers[1].seat.pool;
    let all = [
        sent("open", accuser.open_instruction(&scene), &accuser.key),
        sent("finalise", program.finalize_round(&job, &round), &authority),
        sent("settle", program.settle_segment(&job, &round, &pool), &authority),
        sent("expire", accuser.expire_instruction(&scene), &accuser.key),
        sent("take back", accuser.withdraw_instruction(&scene), &accuser.key),
    ];
    scene.advance_to(last);
    play(&scene, &all, |end| {
        assert!(end.accepted == ["open"], "{:?}", end.accepted);
    });
    scene.advance_to(last + 1);
    play(&scene, &all, |end| {
        assert!(!end.has("open") && end.has("finalise"), "{:?}", end.accepted);
        assert!(end.has("settle") && end.bond(&end.scene.trainers[1]) == BOND);
        assert_eq!(accuser.tokens(&end.scene), FULL - TOKEN * 25, "{:?}", end.order);
    });
}

/// Two lies of one trainer and the settlement of its honest work in an undone round: order decides whether it was convicted when that
/// was settled, which is what it is paid of a round that another undid. Its slices are gone in every order, and delegators pay once.
#[test]
fn in_whatever_order_two_lies_are_convicted_each_takes_its_slice_and_delegators_pay_once() {
    let mut cast = Cast::default();
    (cast.spec.lookahead, cast.spec.challenge_slots) = (3, 20_000);
    let mut scene = Scene::with(&cast);
    let pool = scene.trainers[1].seat.pool;
    let delegator = scene.world.wallet("delegator");
    scene.world.stake(&delegator, &pool, 10_000 * TOKEN);
    scene.whole_round(&scores(5_000_000));
    let first = scene.round();
    scene.whole_round(&scores(4_900_000));
    let second = scene.round();
    let accusers = [("one", first), ("two", second)].map(|(name, round)| Accuser::new(&mut scene, name, &round, 1));
    for accuser in &accusers {
        accuser.commit(&mut scene);
        accuser.open(&mut scene);
    }
    let (program, job, authority) = (scene.world.program, scene.job, scene.world.authority.insecure_clone());
    let liar = scene.trainers[1].key.insecure_clone();
    let win = |accuser: &Accuser, round: &Address| {
        let dispute = program.dispute(&accuser.segment(&scene), &accuser.key.pubkey());
        let concede = program.play_move(&liar.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
        vec![concede, program.resolve_dispute(&accuser.key.pubkey(), &job, round, &pool)]
    };
    let all = [
        Sent { name: "first", instructions: win(&accusers[0], &first), signer: liar.insecure_clone() },
        Sent { name: "second", instructions: win(&accusers[1], &second), signer: liar.insecure_clone() },
        sent("undo", scene.undo_round(&second), &authority),
        sent("exit", program.request_exit(&delegator.pubkey(), &pool, 1, 5_000 * TOKEN), &delegator),
        sent("bond", program.add_bond(&liar.pubkey(), &pool, 500 * TOKEN), &liar),
    ];
    let mut held: BTreeMap<u64, Vec<&'static str>> = BTreeMap::new();
    play(&scene, &all, |mut end| {
        let state = end.scene.pool_state(&pool);
        let bond = BOND - 2 * SLICE + 500 * TOKEN * u64::from(state.self_bond > BOND);
        assert!(state.self_bond.abs_diff(bond) < 10, "{:?}: {}", end.order, state.self_bond);
        held.insert((state.assets + state.unbonding_assets) / 1_000_000, end.order.clone());
        for round in [first, second] {
            settle(&mut end.scene, &round);
        }
        let state = end.scene.pool_state(&pool);
        assert_eq!((state.frozen_bond, state.commission_owed), (0, 0), "{:?}", end.order);
    });
    assert_eq!(held.len(), 1, "delegators lose the same in every order: {held:?}");
}
