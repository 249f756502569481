//! Stories that bring the instructions of peers and session keys into the table.

use crate::table::{send_guarded, send_unread};
use sip_protocol::{
    instructions::AnnouncePeer,
    network::peer::{Contact, Peer},
    training::seats::DORMANT,
};
use sip_testing::{Scene, named};
use solana_address::Address;
use solana_signer::Signer;

pub(crate) fn peers_are_announced() {
    let mut scene = Scene::new();
    let (program, job) = (scene.world.program, scene.job);
    let (seat, trainer) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let creator = scene.world.authority.insecure_clone();
    let contact = Contact::NOWHERE.serving_at("http://peer.example:8080").expect("a contact");
    let first = program.announce_peer(&seat.operator, &seat.pool, None, 7, &contact);
    send_guarded(&mut scene.world, first, &trainer, &[]);
    scene.world.advance(5);
    let record: Peer = scene.world.state(&program.peer(&seat.pool));
    // The second write creates nothing and needs no system program.
    let second = program.announce_peer(&seat.operator, &seat.pool, Some(&record), 8, &Contact::NOWHERE);
    send_unread(&mut scene.world, second, &trainer, &[], &[3]);
    let writer = scene.world.wallet("writer");
    let announcement = AnnouncePeer { after: 0, process: 1, writer: writer.pubkey().to_bytes(), contact };
    let announce = program.announce_peer_with(&creator.pubkey(), &job, &announcement);
    send_guarded(&mut scene.world, announce, &creator, &[]);
    let record: Peer = scene.world.state(&program.peer(&job));
    let rewrite = program.announce_peer(&writer.pubkey(), &job, Some(&record), 2, &contact);
    send_unread(&mut scene.world, rewrite, &writer, &[], &[3]);
    scene.world.advance(5);
    let close = program.close_peer(&seat.operator, &seat.pool, &seat.operator);
    send_guarded(&mut scene.world, close, &trainer, &[]);
    let close = program.close_peer(&writer.pubkey(), &job, &creator.pubkey());
    // The creator, who paid the rent, may as well.
    send_guarded(&mut scene.world, close, &writer, &[0]);
}

pub(crate) fn old_records_of_peers_are_closed_by_anyone() {
    let mut scene = Scene::new();
    let (program, job) = (scene.world.program, scene.job);
    let (seat, trainer) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let announce = program.announce_peer(&seat.operator, &seat.pool, None, 7, &Contact::NOWHERE);
    scene.world.send(std::slice::from_ref(&announce), &[&trainer]);
    let anyone = scene.world.wallet("anyone");
    scene.world.advance(scene.world.config().parameters.unbonding_slots);
    send_guarded(&mut scene.world, program.reclaim_peer(&seat.pool, &seat.operator), &anyone, &[]);
    // Of a pool that is retired at once.
    scene.world.send(&[announce, program.leave_job(&seat, &job)], &[&trainer]);
    scene.world.send(&[program.retire_pool(&seat.operator, &seat.pool)], &[&trainer]);
    scene.world.advance(1);
    send_guarded(&mut scene.world, program.reclaim_peer(&seat.pool, &seat.operator), &anyone, &[]);
}

pub(crate) fn a_session_is_set_and_a_seat_woken() {
    let mut scene = Scene::new();
    let (program, job) = (scene.world.program, scene.job);
    let (seat, trainer) = (scene.trainers[0].seat, scene.trainers[0].key.insecure_clone());
    let key = Address::new_from_array(named("session"));
    let until_slot = scene.world.ledger.slot() + 1_000;
    let set = program.set_session(&seat.operator, &seat.pool, &key, until_slot);
    send_guarded(&mut scene.world, set, &trainer, &[]);
    let mut state = scene.job_state();
    state.trainers[0].state = DORMANT;
    scene.world.overwrite(&job, &state);
    send_guarded(&mut scene.world, program.wake_seat(&seat, &job), &trainer, &[]);
}
