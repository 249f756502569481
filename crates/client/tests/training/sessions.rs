//! A hot key works for a pool whose operator's wallet stays away, and its records say where it is.

use sip_client::Seat;
use sip_protocol::{
    Error,
    instructions::AnnouncePeer,
    network::peer::{Contact, Peer},
    training::seats::{AWAKE, DORMANT},
};
use sip_testing::{Scene, named, scores};
use solana_account::ReadableAccount;
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// Names a session key for a seat's pool; returns the seat as that key signs for it.
fn session(scene: &mut Scene, seat: Seat, operator: &Keypair, hot: &Keypair) -> Seat {
    let set = scene.world.program.set_session(&seat.operator, &seat.pool, &hot.pubkey(), u64::MAX);
    scene.world.send(&[set], &[operator]);
    Seat { operator: hot.pubkey(), ..seat }
}

#[test]
fn a_round_is_done_by_session_keys_alone_and_who_paid_the_rent_has_it_back() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let hot = scene.world.wallet("hot");
    let cold: Vec<_> = [&scene.trainers, &scene.auditors, &scene.evaluators]
        .map(|all| all.iter().map(|operator| (operator.seat, operator.key.insecure_clone())).collect::<Vec<_>>())
        .into_iter()
        .flatten()
        .collect();
    for (seat, key) in &cold {
        session(&mut scene, *seat, key, &hot);
    }
    for all in [&mut scene.trainers, &mut scene.auditors, &mut scene.evaluators] {
        for operator in all.iter_mut() {
            (operator.seat.operator, operator.key) = (hot.pubkey(), hot.insecure_clone());
        }
    }
    scene.whole_round(&scores(5_000_000));
    let round = scene.round();
    let segment: sip_protocol::training::segment::Segment = scene.world.state(&scene.segment(0));
    assert_eq!(segment.payer, hot.pubkey().to_bytes());
    assert_eq!(segment.operator, cold[0].0.operator.to_bytes());
    let run: sip_protocol::training::evaluation::ScoringRun =
        scene.world.state(&program.run(&round, &scene.evaluators[0].seat.pool));
    assert_eq!((run.payer, run.operator == run.payer), (hot.pubkey().to_bytes(), false));
}

#[test]
fn a_session_ends_at_once_by_the_operators_signature() {
    let mut scene = Scene::new();
    let (program, job) = (scene.world.program, scene.job);
    let (seat, key) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let hot = scene.world.wallet("hot");
    scene.open_round();
    let as_hot = session(&mut scene, seat, &key, &hot);
    let end = program.set_session(&seat.operator, &seat.pool, &Default::default(), 0);
    let again = program.set_session(&hot.pubkey(), &seat.pool, &hot.pubkey(), u64::MAX);
    scene.world.refused(&[again], &[&hot], Error::NotAuthority);
    scene.world.send(&[end], &[&key]);
    let claim = scene.claim(0);
    let commit = program.commit_segment(&as_hot.operator, &job, &scene.round(), &seat.pool, &claim);
    scene.world.refused(&[commit], &[&hot], Error::NotAuthority);
}

#[test]
fn a_session_key_wakes_a_seat_with_the_part_that_it_has_and_joins_none() {
    let mut scene = Scene::new();
    let (program, job) = (scene.world.program, scene.job);
    let (seat, key) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let hot = scene.world.wallet("hot");
    let as_hot = session(&mut scene, seat, &key, &hot);
    let wake = program.wake_seat(&as_hot, &job);
    scene.world.refused(std::slice::from_ref(&wake), &[&hot], Error::SeatInOrder);
    let mut state = scene.job_state();
    state.trainers[0].state = DORMANT;
    scene.world.overwrite(&job, &state);
    let join = program.join_job_with(&hot.pubkey(), &job, &seat.pool, 0);
    scene.world.refused(&[join], &[&hot], Error::NotAuthority);
    let other = Seat { place: 1, ..as_hot };
    scene.world.refused(&[program.wake_seat(&other, &job)], &[&hot], Error::WrongPlace);
    scene.world.send(&[wake], &[&hot]);
    let woken = scene.job_state().trainers[0];
    assert_eq!((woken.state, woken.allotted_bps, woken.missed), (AWAKE, state.trainers[0].allotted_bps, 0));
}

/// Attack: two machines with one key, each of which believes that it is the only one.
#[test]
fn two_processes_with_one_key_see_each_other_in_their_record() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let (seat, key) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let hot = scene.world.wallet("hot");
    session(&mut scene, seat, &key, &hot);
    let contact = Contact::NOWHERE.serving_at("http://192.0.2.1:7000").unwrap();
    let at = program.peer(&seat.pool);
    let write =
        |record: Option<&Peer>, process| program.announce_peer(&hot.pubkey(), &seat.pool, record, process, &contact);
    scene.world.send(&[write(None, 1)], &[&hot]);
    let first: Peer = scene.world.state(&at);
    // So that an operator's process tells another of its own key from one of the session's.
    assert_eq!(first.signer, hot.pubkey().to_bytes());
    scene.world.advance(1);
    // The second one takes over from what it reads; the first one's next write follows a write that is not the last.
    scene.world.send(&[write(Some(&first), 2)], &[&hot]);
    let second: Peer = scene.world.state(&at);
    assert!(second.sequence > first.sequence && second.process == 2);
    scene.world.advance(1);
    scene.world.refused(&[write(Some(&first), 1)], &[&hot], Error::StalePeer);
    scene.world.refused(&[write(None, 1)], &[&hot], Error::StalePeer);
    // Closed and opened again, numbers rise; the rent is that of who paid it.
    let thief = scene.world.wallet("thief");
    let close = program.close_peer(&hot.pubkey(), &seat.pool, &thief.pubkey());
    scene.world.refused(&[close], &[&hot], Error::WrongAccount);
    scene.world.send(&[program.close_peer(&seat.operator, &seat.pool, &hot.pubkey())], &[&key]);
    scene.world.send(&[write(None, 3)], &[&hot]);
    let third: Peer = scene.world.state(&at);
    assert!(third.sequence > second.sequence);
    scene.world.send(&[program.announce_peer(&seat.operator, &seat.pool, Some(&third), 4, &contact)], &[&key]);
    let fourth: Peer = scene.world.state(&at);
    assert_eq!((fourth.signer, fourth.payer), (seat.operator.to_bytes(), hot.pubkey().to_bytes()));
}

/// Who paid the rent may be nobody's worker any more, and the pool's operator may leave the record where it is.
#[test]
fn anyone_closes_a_record_that_is_old_or_of_a_retired_pool_and_the_rent_goes_to_who_paid_it() {
    let mut scene = Scene::new();
    let (program, job) = (scene.world.program, scene.job);
    let (seat, key) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let hot = scene.world.wallet("hot");
    session(&mut scene, seat, &key, &hot);
    let at = program.peer(&seat.pool);
    let lamports = |scene: &Scene, address: &Address| scene.world.ledger.account(address).map_or(0, |it| it.lamports());
    let contact = Contact::NOWHERE;
    scene.world.send(&[program.announce_peer(&hot.pubkey(), &seat.pool, None, 1, &contact)], &[&hot]);
    let end = program.set_session(&seat.operator, &seat.pool, &Default::default(), 0);
    scene.world.send(&[end], &[&key]);
    scene.world.advance(1);
    let close = program.close_peer(&hot.pubkey(), &seat.pool, &hot.pubkey());
    scene.world.refused(&[close], &[&hot], Error::NotAuthority);
    let unbonding_slots = scene.world.config().parameters.unbonding_slots;
    let reclaim = program.reclaim_peer(&seat.pool, &hot.pubkey());
    scene.crank_refused(reclaim.clone(), Error::StillResting);
    scene.world.advance(unbonding_slots - 2);
    scene.crank_refused(reclaim.clone(), Error::StillResting);
    scene.world.advance(1);
    scene.crank_refused(program.reclaim_peer(&seat.pool, &seat.operator), Error::WrongAccount);
    let (rent, before) = (lamports(&scene, &at), lamports(&scene, &hot.pubkey()));
    scene.crank(reclaim);
    assert_eq!((lamports(&scene, &at), lamports(&scene, &hot.pubkey())), (0, before + rent));

    // Of a pool that is retired the record is nobody's way to anyone; a job's has its time.
    scene.world.send(&[program.announce_peer(&seat.operator, &seat.pool, None, 1, &contact)], &[&key]);
    scene.world.send(&[program.leave_job(&seat, &job)], &[&key]);
    let reclaim = program.reclaim_peer(&seat.pool, &seat.operator);
    scene.world.advance(1);
    scene.crank_refused(reclaim.clone(), Error::StillResting);
    scene.world.send(&[program.retire_pool(&seat.operator, &seat.pool)], &[&key]);
    scene.crank(reclaim);
    assert_eq!(lamports(&scene, &at), 0);
    let creator = scene.world.authority.insecure_clone();
    scene.world.send(&[program.announce_peer(&creator.pubkey(), &job, None, 1, &contact)], &[&creator]);
    let reclaim = program.reclaim_peer(&job, &creator.pubkey());
    scene.world.advance(unbonding_slots - 1);
    scene.crank_refused(reclaim.clone(), Error::StillResting);
    scene.world.advance(1);
    scene.crank(reclaim);
}

/// Attack: write the record of another's pool or job, or hand a job's record on to a key of one's own.
#[test]
fn a_jobs_record_is_its_creators_and_that_of_the_key_it_names() {
    let mut scene = Scene::new();
    let (program, job) = (scene.world.program, scene.job);
    let creator = scene.world.authority.insecure_clone();
    let [writer, stranger] = ["writer", "somebody"].map(|name| scene.world.wallet(name));
    let contact = Contact::NOWHERE;
    let named_writer = writer.pubkey().to_bytes();
    let write = |wallet: &Keypair, after, writer| {
        let announcement = AnnouncePeer { after, process: 5, writer, contact };
        program.announce_peer_with(&wallet.pubkey(), &job, &announcement)
    };
    scene.world.refused(&[write(&stranger, 0, [0; 32])], &[&stranger], Error::NotAuthority);
    scene.world.refused(&[write(&writer, 0, named_writer)], &[&writer], Error::NotAuthority);
    scene.world.send(&[write(&creator, 0, named_writer)], &[&creator]);
    let last = |scene: &Scene| scene.world.state::<Peer>(&program.peer(&job)).sequence;
    let after = last(&scene);
    scene.world.refused(&[write(&stranger, after, named_writer)], &[&stranger], Error::NotAuthority);
    let taken = write(&writer, after, stranger.pubkey().to_bytes());
    scene.world.refused(&[taken], &[&writer], Error::WrongAccount);
    scene.world.send(&[write(&writer, after, named_writer)], &[&writer]);
    assert_eq!(scene.world.state::<Peer>(&program.peer(&job)).signer, named_writer);
    let after = last(&scene);
    scene.world.send(&[write(&creator, after, [0; 32])], &[&creator]);
    let after = last(&scene);
    scene.world.refused(&[write(&writer, after, [0; 32])], &[&writer], Error::NotAuthority);
    // A pool's record has no writer.
    let (seat, key) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let announcement = AnnouncePeer { after: 0, process: 5, writer: named("writer"), contact };
    let announce = program.announce_peer_with(&seat.operator, &seat.pool, &announcement);
    scene.world.refused(&[announce], &[&key], Error::WrongAccount);
    let bad = AnnouncePeer { writer: [0; 32], contact: Contact { flags: 4, ..contact }, ..announcement };
    let announce = program.announce_peer_with(&seat.operator, &seat.pool, &bad);
    scene.world.refused(&[announce], &[&key], Error::WrongContact);
}
