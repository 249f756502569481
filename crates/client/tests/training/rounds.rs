//! Rounds from opening to closing: mixture, segments, audit, vote.

use sip_proof::{HostSha256, Sha256};
use sip_protocol::{
    Error,
    ground::units::TOKEN,
    stake::pool::{Pool, PoolKind, RETIRED},
    training::{
        job::{Job, JobSpec},
        mixture::Mode,
        round::{self, Round},
        seats::AWAKE,
        segment::{self, Segment, SegmentClaim},
    },
};
use sip_testing::{BOND_TOKENS, Cast, Scene, named, scores};
use solana_signer::Signer;

fn spec(change: impl FnOnce(&mut JobSpec)) -> Cast {
    let mut cast = Cast::default();
    change(&mut cast.spec);
    cast
}

#[test]
fn the_mixture_follows_stake_over_time() {
    let mut scene = Scene::new();
    scene.world.advance(10);
    scene.open_round();
    assert_eq!(scene.round_state().mixture_bps[..4], [3_334, 3_333, 3_333, 0]);

    // A third of the time between two rounds at 1 : 1 : 1, a third at 0 : 1 : 1 while the moved stake becomes active, a
    // third at 0 : 2 : 1.
    let mut scene = Scene::new();
    scene.whole_round(&scores(5_000_000));
    let program = scene.world.program;
    let (from, to) = (program.attention_pool(&scene.job, 0), program.attention_pool(&scene.job, 1));
    let patron = scene.patrons[0].insecure_clone();
    let slots = scene.world.config().parameters.activation_slots;
    scene.world.advance(slots);
    scene.world.send(&[program.move_attention(&patron.pubkey(), &from, &to, 1_000 * TOKEN, 0)], &[&patron]);
    scene.world.activate(&[(to, patron.pubkey())]);
    scene.world.advance(slots);
    scene.open_round();
    assert_eq!(scene.round_state().mixture_bps[..3], [1_250, 5_000, 3_750]);
    let pool: Pool = scene.pool_state(&to);
    assert_eq!((pool.snapshot_slot, pool.snapshot), (pool.integral_slot, pool.integral));
}

#[test]
fn stake_that_comes_at_the_last_moment_moves_nothing() {
    let mut scene = Scene::new();
    scene.world.advance(1_000);
    let program = scene.world.program;
    let whale = scene.world.wallet("whale");
    let pool = program.attention_pool(&scene.job, 2);
    scene.world.send(&[program.deposit(&whale.pubkey(), &pool, 90_000 * TOKEN, 0)], &[&whale]);
    scene.open_round();
    assert_eq!(scene.round_state().mixture_bps[..3], [3_334, 3_333, 3_333]);
}

#[test]
fn square_roots_temper_large_stake() {
    let mut scene = Scene::with(&spec(|spec| spec.mixture_mode = Mode::SquareRoot as u8));
    let patron = scene.patrons[2].insecure_clone();
    let pool = scene.world.program.attention_pool(&scene.job, 2);
    scene.world.stake(&patron, &pool, 3_000 * TOKEN);
    scene.whole_round(&scores(5_000_000));
    scene.open_round();
    assert_eq!(scene.round_state().mixture_bps[..3], [2_500, 2_500, 5_000], "1 : 1 : 4 in stake");
}

#[test]
fn no_stake_is_a_uniform_mixture_and_bounds_hold() {
    let mut scene = Scene::with(&spec(|spec| spec.mixture_floor_bps = 1_000));
    let program = scene.world.program;
    for domain in [0, 1] {
        let patron = scene.patrons[domain].insecure_clone();
        let pool = program.attention_pool(&scene.job, domain as u32);
        scene.world.send(&[program.request_exit(&patron.pubkey(), &pool, 0, 1_000 * TOKEN)], &[&patron]);
    }
    scene.whole_round(&scores(5_000_000));
    scene.world.advance(100);
    scene.open_round();
    assert_eq!(scene.round_state().mixture_bps[..3], [1_000, 1_000, 8_000]);
}

#[test]
fn rounds_follow_one_another_from_the_voted_base_and_a_seed_nobody_chose() {
    let mut scene = Scene::with(&spec(|spec| spec.rounds = 2));
    let spec = scene.job_state().spec;
    scene.open_round();
    let first = scene.round_state();
    assert_eq!((first.seed, first.base_root), (spec.seed, spec.genesis_root));
    let authority = scene.world.authority.insecure_clone();
    let program = scene.world.program;
    let open = |index| program.open_round(&authority.pubkey(), &scene.job, index, 3);
    let (second, third) = (open(1), open(2));
    scene.world.refused(std::slice::from_ref(&second), &[&authority], Error::RoundNotFinished);
    for trainer in 0..3 {
        scene.commit(trainer);
    }
    scene.close_commits();
    scene.to_closed();
    scene.world.refused(std::slice::from_ref(&second), &[&authority], Error::RoundNotFinished);
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.world.refused(std::slice::from_ref(&second), &[&authority], Error::SeedPending);
    scene.capture_seed();
    let first = scene.round_state();
    scene.world.send(&[second], &[&authority]);
    let round = scene.round_state();
    let preimages: Vec<[u8; 32]> = first.auditors.iter().map(|seat| seat.preimage).collect();
    let parts: Vec<&[u8]> = preimages.iter().map(|preimage| preimage.as_slice()).collect();
    assert_eq!(first.reveals, HostSha256::hashv(&parts));
    let hashes = first.seed_hashes;
    assert_eq!(round.seed, HostSha256::hashv(&[&first.seed, &first.reveals, &hashes[0], &hashes[1]]));
    assert_eq!(round.base_root, first.next_base);
    for trainer in 0..3 {
        scene.commit(trainer);
    }
    scene.close_commits();
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(4_900_000); 3]);
    scene.world.refused(&[third], &[&authority], Error::JobFinished);
}

#[test]
fn a_round_needs_trainers_auditors_and_evaluators() {
    for cast in [
        Cast { trainers: 0, ..Cast::default() },
        Cast { auditors: 0, ..Cast::default() },
        Cast { evaluators: 0, ..Cast::default() },
    ] {
        let mut scene = Scene::with(&cast);
        let authority = scene.world.authority.insecure_clone();
        let open = scene.world.program.open_round(&authority.pubkey(), &scene.job, 0, 3);
        scene.world.refused(&[open], &[&authority], Error::AuditorsMissing);
        let open = scene.world.program.open_round(&authority.pubkey(), &scene.job, 0, 2);
        scene.world.refused(&[open], &[&authority], Error::MissingAccount);
    }
}

#[test]
fn a_segment_outside_the_rules_is_refused() {
    let mut scene = Scene::new();
    scene.open_round();
    let key = scene.trainers[0].key.insecure_clone();
    let good = scene.claim(0);
    for (bad, expected) in [
        (SegmentClaim { start_root: named("elsewhere"), ..good }, Error::WrongStartRoot),
        (SegmentClaim { leaf_count: good.leaf_count + 1, ..good }, Error::WrongLeafCount),
        (SegmentClaim { leaf_count: 0, ..good }, Error::WrongLeafCount),
        (SegmentClaim { reserved: [1, 0, 0], ..good }, Error::WrongLeafCount),
        (SegmentClaim { place: 1, ..good }, Error::WrongPlace),
        (SegmentClaim { place: 3, ..good }, Error::WrongPlace),
        (SegmentClaim { place: 255, ..good }, Error::WrongPlace),
    ] {
        let commit = scene.commit_instruction(0, &bad);
        scene.world.refused(&[commit], &[&key], expected);
    }
    let commit = scene.commit_instruction(0, &good);
    let pool = scene.trainers[0].seat.pool;
    let state = scene.pool_state(&pool);
    scene.world.overwrite(&pool, &Pool { status: RETIRED, ..state });
    scene.world.refused(std::slice::from_ref(&commit), &[&key], Error::PoolRetired);
    scene.world.overwrite(&pool, &state);
    let (address, before) = (scene.job, scene.job_state());
    scene.world.overwrite(&address, &Job { spec: JobSpec { slice: 5_000 * TOKEN, ..before.spec }, ..before });
    scene.world.refused(std::slice::from_ref(&commit), &[&key], Error::SelfBondTooSmall);
    scene.world.overwrite(&address, &before);
    let job: Job = scene.job_state();
    scene.world.overwrite(&scene.job, &Job { struck_trainers: 1, ..job });
    scene.world.refused(std::slice::from_ref(&commit), &[&key], Error::Excluded);
    scene.world.overwrite(&scene.job, &job);
    // Someone who joins while the round runs takes part from the next one.
    let late = scene.join("late", PoolKind::Trainer, 3);
    scene.trainers.push(late);
    let commit_late = scene.commit_instruction(3, &scene.claim(3));
    let late = scene.trainers[3].key.insecure_clone();
    scene.world.refused(&[commit_late], &[&late], Error::WrongPlace);
    // The round remembers who has committed even if the segment's account were gone.
    let (round, state) = (scene.round(), scene.round_state());
    scene.world.overwrite(&round, &Round { committed: 1, ..state });
    scene.world.refused(std::slice::from_ref(&commit), &[&key], Error::AlreadyCommitted);
    scene.world.overwrite(&round, &Round { status: round::COMMITS_CLOSED, ..state });
    scene.world.refused(std::slice::from_ref(&commit), &[&key], Error::WrongRoundStatus);
    scene.world.overwrite(&round, &state);
    scene.world.send(&[commit], &[&key]);
    let state = scene.segment_state(0);
    assert_eq!((state.claim, state.status, state.late), (good, segment::COMMITTED, 0));
    assert_eq!(state.stake, scene.pool_state(&pool).stake().unwrap());
}

#[test]
fn commits_end_when_all_are_in_or_time_is_up_and_late_ones_say_so() {
    let mut scene = Scene::new();
    scene.open_round();
    scene.commit(0);
    let close = scene.world.program.close_commits(&scene.job, &scene.round());
    scene.crank_refused(close.clone(), Error::TooEarly);
    let slots = scene.job_state().spec.commit_slots as u64;
    scene.world.advance(slots);
    scene.commit(1);
    assert_eq!(scene.segment_state(1).late, 0, "the deadline itself is in time");
    scene.world.advance(1);
    scene.commit(2);
    assert_eq!(scene.segment_state(2).late, 1);
    scene.crank(close.clone());
    scene.crank_refused(close, Error::WrongRoundStatus);
}

#[test]
fn draws_are_revealed_once_and_in_time() {
    let mut scene = Scene::new();
    scene.open_round();
    let (job, round) = (scene.job, scene.round());
    let program = scene.world.program;
    let key = scene.auditors[0].key.insecure_clone();
    let seat = scene.auditors[0].seat;
    let preimage = scene.next_draw(0);
    let reveal = program.reveal_draw(&seat, &job, &round, &preimage);
    scene.world.refused(std::slice::from_ref(&reveal), &[&key], Error::WrongRoundStatus);
    for trainer in 0..3 {
        scene.commit(trainer);
    }
    scene.close_commits();
    let wrong = program.reveal_draw(&seat, &job, &round, &named("another"));
    scene.world.refused(&[wrong], &[&key], Error::WrongPreimage);
    let mut elsewhere = seat;
    elsewhere.place = 1;
    let wrong = program.reveal_draw(&elsewhere, &job, &round, &preimage);
    scene.world.refused(&[wrong], &[&key], Error::WrongPlace);
    let pool = scene.pool_state(&seat.pool);
    scene.world.overwrite(&seat.pool, &Pool { status: RETIRED, ..pool });
    scene.world.refused(std::slice::from_ref(&reveal), &[&key], Error::PoolRetired);
    // Who was convicted in another job has no draw left in this one: its stake is no longer its word.
    scene.world.overwrite(&seat.pool, &Pool { claims_convicted: 1, ..pool });
    scene.world.refused(std::slice::from_ref(&reveal), &[&key], Error::PoolConvicted);
    scene.world.overwrite(&seat.pool, &pool);
    // An auditor that joined after the round was opened takes part from the next one.
    let late = scene.join("late", PoolKind::Auditor, 2);
    let wrong = program.reveal_draw(&late.seat, &job, &round, late.chain.last().unwrap());
    scene.world.refused(&[wrong], &[&late.key], Error::WrongPlace);
    scene.reveal(0);
    assert_eq!(scene.pool_state(&seat.pool).chain_tip, preimage);
    let next = program.reveal_draw(&seat, &job, &round, &scene.next_draw(0));
    scene.world.refused(&[next], &[&key], Error::AlreadyRevealed);
    scene.world.advance(200);
    let other = scene.auditors[1].key.insecure_clone();
    let late = program.reveal_draw(&scene.auditors[1].seat, &job, &round, &scene.next_draw(1));
    scene.world.refused(&[late], &[&other], Error::WrongRoundStatus);
}

#[test]
fn only_drawn_segments_of_others_are_attested_and_once() {
    let mut scene = Scene::new();
    scene.to_committed();
    let (job, round, program) = (scene.job, scene.round(), scene.world.program);
    let (seat, key) = (scene.auditors[0].seat, scene.auditors[0].key.insecure_clone());
    let address = scene.segment(0);
    let attest = program.attest(&seat, &job, &round, &address, &named("digest"));
    scene.world.refused(std::slice::from_ref(&attest), &[&key], Error::NotRevealed);
    scene.reveal(0);
    let empty = program.attest(&seat, &job, &round, &address, &[0; 32]);
    scene.world.refused(&[empty], &[&key], Error::EmptyDigest);
    let state = scene.segment_state(0);
    scene.world.overwrite(&address, &Segment { status: segment::CONVICTED, ..state });
    scene.world.refused(std::slice::from_ref(&attest), &[&key], Error::SegmentNotOpen);
    scene.world.overwrite(&address, &Segment { operator: seat.operator.to_bytes(), ..state });
    scene.world.refused(std::slice::from_ref(&attest), &[&key], Error::OwnSegment);
    scene.world.overwrite(&address, &state);
    scene.world.send(std::slice::from_ref(&attest), &[&key]);
    scene.world.refused(std::slice::from_ref(&attest), &[&key], Error::AlreadyAttested);
    let state = scene.segment_state(0);
    assert_eq!((state.attested, state.attestations[0]), (1, named("digest")));
    scene.world.advance(200);
    let late = program.attest(&seat, &job, &round, &scene.segment(1), &named("digest"));
    scene.world.refused(&[late], &[&key], Error::WrongRoundStatus);

    let mut scene = Scene::with(&spec(|spec| spec.audit_rate = 0));
    scene.to_committed();
    scene.reveal(0);
    let (seat, key) = (scene.auditors[0].seat, scene.auditors[0].key.insecure_clone());
    let attest = program.attest(&seat, &scene.job, &scene.round(), &scene.segment(0), &named("digest"));
    scene.world.refused(&[attest], &[&key], Error::NotDrawn);
}

#[test]
fn the_draw_is_a_hash_below_the_rate() {
    let mut scene = Scene::with(&spec(|spec| spec.audit_rate = 1 << 31));
    let (mut drawn, mut spared) = (0, 0);
    for _ in 0..4 {
        scene.to_committed();
        for auditor in 0..2 {
            scene.reveal(auditor);
        }
        for auditor in 0..2 {
            let seat = scene.auditors[auditor].seat;
            let key = scene.auditors[auditor].key.insecure_clone();
            let preimage = scene.round_state().auditors[auditor].preimage;
            for trainer in 0..3 {
                let (address, state) = (scene.segment(trainer), scene.segment_state(trainer));
                let hash = HostSha256::hashv(&[&preimage, address.as_array(), &state.claim.accumulator_root]);
                let attest = scene.world.program.attest(&seat, &scene.job, &scene.round(), &address, &named("digest"));
                if u32::from_le_bytes(hash[..4].try_into().unwrap()) < 1 << 31 {
                    scene.world.send(&[attest], &[&key]);
                    drawn += 1;
                } else {
                    scene.world.refused(&[attest], &[&key], Error::NotDrawn);
                    spared += 1;
                }
            }
        }
        scene.close_round();
        scene.to_aggregated();
        scene.to_scored(&[scores(5_000_000); 3]);
    }
    assert!(drawn > 3 && spared > 3, "{drawn} drawn, {spared} spared");
}

#[test]
fn a_round_closes_over_exactly_its_segments_whatever_is_disputed() {
    let mut scene = Scene::new();
    scene.open_round();
    let close = scene.close_instruction(&[0, 1, 2]);
    for trainer in 0..3 {
        scene.commit(trainer);
    }
    scene.crank_refused(close.clone(), Error::WrongRoundStatus);
    scene.close_commits();
    scene.crank_refused(close.clone(), Error::TooEarly);
    for auditor in 0..2 {
        scene.reveal(auditor);
    }
    scene.crank_refused(close.clone(), Error::TooEarly);
    for auditor in 0..2 {
        for trainer in 0..3 {
            if (auditor, trainer) != (1, 2) {
                scene.attest(auditor, trainer);
            }
        }
    }
    scene.crank_refused(close.clone(), Error::TooEarly);
    scene.attest(1, 2);
    for trainers in [vec![0, 1], vec![0, 1, 1], vec![0, 1, 2, 2], vec![]] {
        let wrong = scene.close_instruction(&trainers);
        scene.crank_refused(wrong, Error::WrongSegments);
    }
    let (address, state) = (scene.segment(1), scene.segment_state(1));
    // All who drew it attest it: an accusation ejects nobody and delays nothing.
    scene.world.overwrite(&address, &Segment { open_disputes: 1, ..state });
    scene.crank(close.clone());
    let round = scene.round_state();
    assert_eq!((round.status, round.accepted), (round::CLOSED, 0b111));
    assert_eq!(round.accepted_stake, (0..3).map(|trainer| scene.segment_state(trainer).stake).sum::<u64>());
    scene.crank_refused(close, Error::WrongRoundStatus);
}

#[test]
fn a_convicted_segment_does_not_count_and_needs_no_attestation() {
    let mut scene = Scene::new();
    scene.to_committed();
    for auditor in 0..2 {
        scene.reveal(auditor);
        scene.attest(auditor, 0);
        scene.attest(auditor, 2);
    }
    let (address, state) = (scene.segment(1), scene.segment_state(1));
    scene.world.overwrite(&address, &Segment { status: segment::CONVICTED, ..state });
    scene.close_round();
    assert_eq!(scene.round_state().accepted, 0b101);
    assert_eq!(scene.segment_state(1).status, segment::CONVICTED);
}

#[test]
fn the_deadline_closes_without_missing_auditors() {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.reveal(0);
    scene.attest(0, 0);
    scene.world.advance(200);
    scene.close_round();
    let round = scene.round_state();
    assert_eq!((round.status, round.accepted), (round::CLOSED, 0b111));
    assert_eq!((round.auditors[0].drawn, round.auditors[0].attested, round.auditors[1].revealed), (3, 1, 0));
    assert_eq!(round.auditor_stake, round.auditors[0].stake);
}

#[test]
fn a_round_without_segments_or_without_auditors_is_void_and_repeated() {
    let mut scene = Scene::new();
    scene.open_round();
    scene.world.advance(100);
    scene.close_commits();
    scene.reveal(0);
    scene.reveal(1);
    scene.close_round();
    assert_eq!(scene.round_state().status, round::VOID);
    let seed = scene.round_state().seed;

    scene.to_committed();
    assert_eq!(scene.round_state().base_root, scene.job_state().spec.genesis_root);
    assert_ne!(scene.round_state().seed, seed);
    scene.world.advance(200);
    scene.close_round();
    assert_eq!(scene.round_state().status, round::VOID);
    let void = scene.round();
    scene.whole_round(&scores(5_000_000));
    assert_eq!((scene.job_state().rounds_scored, scene.round_state().index), (1, 2));
    // Nobody is paid for it; who did not reveal its draw is charged, once no segment of it can be convicted any more.
    let state = scene.world.state::<sip_protocol::training::round::Round>(&void);
    scene.advance_to(state.final_slot());
    scene.settle_round(&void);
    // Each a half of what the round could have drawn, for lack of both.
    assert_eq!(scene.world.state::<sip_protocol::training::round::Round>(&void).paid, 0);
    let bond = (BOND_TOKENS * TOKEN).saturating_sub(state.expected_reward / 2);
    for auditor in 0..2 {
        let pool = scene.pool_state(&scene.auditors[auditor].seat.pool);
        assert_eq!((pool.self_bond, pool.audits_missed), (bond, 1));
    }
    let trainer = scene.pool_state(&scene.trainers[0].seat.pool);
    assert_eq!((trainer.self_bond, trainer.segments_accepted), (BOND_TOKENS * TOKEN, 0));
}

#[test]
fn more_than_half_of_the_auditors_stake_makes_the_next_base() {
    let mut scene = Scene::new();
    scene.to_committed();
    let (job, round, program) = (scene.job, scene.round(), scene.world.program);
    let (seat, key) = (scene.auditors[0].seat, scene.auditors[0].key.insecure_clone());
    let early = scene.vote_instruction(0, &named("a"));
    scene.world.refused(&[early], &[&key], Error::WrongRoundStatus);
    scene.to_closed();
    let vote = scene.vote_instruction(0, &named("a"));
    let empty = scene.vote_instruction(0, &[0; 32]);
    scene.world.refused(&[empty], &[&key], Error::EmptyDigest);
    let unknown = program.vote_base(&seat, &job, &round, &named("a"), &named("no link"));
    scene.world.refused(&[unknown], &[&key], Error::WrongPreimage);
    let void = program.void_round(&job, &round);
    scene.crank_refused(void.clone(), Error::NoMajorityYet);
    scene.world.send(std::slice::from_ref(&vote), &[&key]);
    scene.world.refused(&[vote], &[&key], Error::AlreadyVoted);
    assert_eq!(scene.round_state().status, round::CLOSED, "half is not more than half");
    scene.vote(1, &named("b"));
    assert_eq!(scene.round_state().status, round::CLOSED);
    scene.vote(0, &named("b"));
    let state = scene.round_state();
    assert_eq!((state.status, state.next_base), (round::AGGREGATED, named("b")));
    assert_eq!(scene.job_state().base_root, named("b"));
    scene.crank_refused(void, Error::WrongRoundStatus);
}

/// The other auditor was convicted of something in an earlier round meanwhile, so that no verdict counts this round's votes again.
#[test]
fn a_vote_is_repeated_once_a_conviction_makes_it_the_majority() {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    scene.vote(0, &named("a"));
    scene.vote(1, &named("b"));
    let key = scene.auditors[0].key.insecure_clone();
    let vote = scene.vote_instruction(0, &named("a"));
    scene.world.refused(std::slice::from_ref(&vote), &[&key], Error::AlreadyVoted);
    let job = scene.job_state();
    scene.world.overwrite(&scene.job, &Job { struck_auditors: 0b10, ..job });
    let voted_slot = scene.round_state().auditors[0].voted_slot;
    scene.world.advance(1);
    scene.world.send(&[vote], &[&key]);
    let round = scene.round_state();
    assert_eq!((round.status, round.next_base), (round::AGGREGATED, named("a")));
    assert_eq!(round.auditors[0].voted_slot, voted_slot, "it is the same vote");
}

#[test]
fn an_auditor_that_did_not_reveal_has_no_vote() {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.reveal(0);
    scene.world.advance(200);
    scene.close_round();
    let key = scene.auditors[1].key.insecure_clone();
    let vote = scene.vote_instruction(1, &named("a"));
    scene.world.refused(&[vote], &[&key], Error::NotRevealed);
    scene.vote(0, &named("a"));
    assert_eq!(scene.round_state().status, round::AGGREGATED);
}

#[test]
fn a_vote_without_a_majority_voids_the_round_after_its_deadline() {
    let mut scene = Scene::new();
    scene.to_committed();
    scene.to_closed();
    scene.vote(0, &named("a"));
    scene.vote(1, &named("b"));
    scene.world.advance(50);
    let void = scene.world.program.void_round(&scene.job, &scene.round());
    scene.crank(void);
    let (address, state) = (scene.round(), scene.round_state());
    assert_eq!(state.status, round::VOID);
    scene.open_round();
    assert_eq!(scene.round_state().base_root, scene.job_state().spec.genesis_root);
    // Both voted: that nobody agreed is no absence of theirs.
    scene.advance_to(state.final_slot());
    scene.settle_round(&address);
    for (place, auditor) in scene.auditors.iter().enumerate() {
        let (seat, pool) = (scene.job_state().auditors[place], scene.pool_state(&auditor.seat.pool));
        assert_eq!((seat.state, seat.missed, pool.self_bond), (AWAKE, 0, BOND_TOKENS * TOKEN), "{place}");
    }
}
