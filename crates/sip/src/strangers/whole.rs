//! What must hold of a job of two rounds among strangers, one of whom lies in the second.

use sip_manifest::settings::Exchange;
use sip_node::State;
use sip_protocol::training::evaluation;
use sip_protocol::training::job::{Job, bit};
use sip_protocol::training::round;
use sip_protocol::training::segment::{self, Segment};
use sip_roles::{Claim, Event};
use solana_address::Address;
use std::rc::Rc;
use std::sync::Arc;

use super::network::Network;

fn strangers_train_a_job(updates: Exchange) {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), updates, 1);
    network.play();
    have_forgotten(&network);
    check(network);
}

/// Nobody keeps what the first round came to, also its maker not: disks would fill.
fn have_forgotten(network: &Network) {
    let (program, round) = (network.run.world.program, network.round(0));
    let address = program.round(&network.job, 0);
    for place in 0..3 {
        let pool = Address::new_from_array(round.trainers[place]);
        let segment: Segment = network.read(&program.segment(&address, &pool));
        let holders = network.strangers.iter().filter(|one| one.bench.states.roots().contains(&segment.claim.end_root));
        let holders: Vec<&str> = holders.map(|one| &one.name[..]).collect();
        assert!(holders.is_empty(), "the end of place {place} is kept by {holders:?}");
    }
}

/// Two rounds were trained, the lie is convicted, and nothing else is.
pub(super) fn check(network: Network) {
    are_settled(&network);
    are_computed(&network);
    is_convicted(&network);
    is_conserved(network);
}

/// Both rounds count, with all that is true of them, and everybody is settled.
pub(super) fn are_settled(network: &Network) {
    let (program, job) = (network.run.world.program, network.read::<Job>(&network.job));
    let said: Vec<String> = network.said.iter().map(ToString::to_string).collect();
    let rounds = (job.rounds_scored, job.chain.final_count, job.next_round);
    assert_eq!(rounds, (2, 2, 2), "a round came to nothing: {said:#?}");

    for index in 0..2 {
        let round = network.round(index);
        let address = program.round(&network.job, index);
        assert_eq!((round.status, round.committed), (round::FINAL, 0b111));
        assert_eq!(round.accepted, if index == 1 { 0b011 } else { 0b111 });
        for place in 0..3u8 {
            let pool = Address::new_from_array(round.trainers[usize::from(place)]);
            let segment: Segment = network.read(&program.segment(&address, &pool));
            let is_lie = (index, place) == (1, 2);
            let expected = if is_lie { segment::CONVICTED } else { segment::ACCEPTED };
            assert_eq!((segment.status, segment.settled, segment.escrow.bounty), (expected, 1, 0));
        }
        for seat in &round.auditors[..usize::from(round.auditor_count)] {
            assert_eq!((seat.revealed, seat.settled, seat.vote), (1, 1, round.next_base));
            assert_eq!((seat.attested, seat.shown), (seat.drawn, seat.drawn));
        }
        for seat in &round.evaluators[..usize::from(round.evaluator_count)] {
            assert_eq!((seat.status, seat.settled), (evaluation::WITHIN, 1));
        }
        let domains = (bit(job.spec.domain_count) - 1) as u8;
        assert_eq!((round.settled_data, round.settled_patrons), (domains, domains));
    }
}

/// What the rounds came to is what one who knows all segments computes.
fn are_computed(network: &Network) {
    let (program, job) = (network.run.world.program, network.read::<Job>(&network.job));
    let (machine, prepared) = (&network.run.machine, &network.run.prepared);
    let mut base = Arc::clone(&prepared.genesis);
    for index in 0..2 {
        let round = network.round(index);
        let address = program.round(&network.job, index);
        let accepted = (0..3u8).filter(|place| round.accepted & bit(*place) != 0);
        let results: Vec<Arc<State>> = accepted
            .map(|place| {
                let pool = Address::new_from_array(round.trainers[usize::from(place)]);
                let segment: Segment = network.read(&program.segment(&address, &pool));
                let root = sip_data::hex(segment.claim.result_root(&job.spec));
                Arc::new(State::load(&network.shelf.join(format!("{root}.state")), &machine.threads).unwrap())
            })
            .collect();
        base = prepared.next_base(&base, &results, machine).unwrap();
        assert_eq!(base.root(), round.next_base);
    }
    assert_eq!(job.base_root, base.root());
}

/// An auditor that nobody told has accused and won; the liar has defended itself; the program refused nobody anything.
pub(super) fn is_convicted(network: &Network) {
    let lie = Claim::Segment { round: 1, place: 2 };
    let decided = |event: &Event| matches!(event, Event::Decided { claim, convicted: true, .. } if *claim == lie);
    assert!(network.events().any(|(name, event)| name.starts_with("auditor") && decided(event)));
    let defended = |event: &Event| matches!(event, Event::Moved { side: "accused", .. });
    assert!(network.events().filter(|(name, event)| *name == "trainer 3" && defended(event)).count() > 3);
    let refused: Vec<String> = network
        .events()
        .filter(|(_, event)| matches!(event, Event::Refused { .. }))
        .map(|(name, event)| format!("{name}: {event}"))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Nothing was made of nothing.
pub(super) fn is_conserved(network: Network) {
    let Network { mut run, ledger, strangers, .. } = network;
    drop(strangers);
    run.world.ledger = Rc::into_inner(ledger.ledger).expect("nobody else has the ledger").into_inner();
    assert!(run.world.is_conserved().unwrap());
}

#[test]
fn strangers_that_share_a_ledger_and_a_shelf_train_two_rounds_and_convict_a_liar() {
    strangers_train_a_job(Exchange::Whole);
}

#[test]
fn strangers_that_hand_over_compressed_updates_do_the_same() {
    strangers_train_a_job(Exchange::Compressed);
}
