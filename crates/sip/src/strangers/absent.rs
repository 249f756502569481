//! What becomes of a round to which nobody comes.

use sip_client::Program;
use sip_manifest::settings::Exchange;
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::job::Job;
use sip_protocol::training::round::{self, Round};
use sip_roles::{Event, Roles};
use solana_address::Address;

use super::network::Network;

/// The creator's process acts alone until something is so.
fn until(network: &mut Network, is_so: impl Fn(&Network) -> bool) {
    let (job, mut ledger) = (network.job, network.ledger.clone());
    let mut idle_slots = 1;
    for _ in 0..5_000 {
        if is_so(network) {
            return;
        }
        if network.stranger("creator").step(&mut ledger, job) {
            idle_slots = 1;
            continue;
        }
        network.pass(idle_slots);
        idle_slots = (idle_slots * 2).min(400);
    }
    let events: Vec<String> = network.events().map(|(_, event)| event.to_string()).collect();
    panic!("it never comes: {:#?}", events.iter().rev().take(30).collect::<Vec<_>>());
}

/// What the pools of a round's trainers have at stake of their own, base units.
fn bonds(network: &Network, round: &Round) -> u64 {
    let held = round.trainers.iter().filter(|pool| **pool != [0; 32]);
    held.map(|pool| network.read::<Pool>(&Address::new_from_array(*pool)).self_bond).sum()
}

#[test]
fn a_round_to_which_nobody_came_is_charged_settled_and_closed_by_nodes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new(folder.path(), Exchange::Whole, 9);
    network.stranger("creator").node.roles = Roles { keeper: true, turner: true, ..Roles::default() };
    let first = Program::default().round(&network.job, 0);
    let is_there = move |network: &Network| network.ledger.ledger.borrow().account(&first).is_some();

    until(&mut network, is_there);
    let opened = network.round(0);
    let before = bonds(&network, &opened);
    until(&mut network, |network| network.round(0).is_settled());
    let settled = network.round(0);
    assert_eq!((settled.status, settled.committed, settled.settled_absent), (round::VOID, 0, settled.eligible));
    let job: Job = network.read(&network.job);
    assert!(job.rewarded != 0 && bonds(&network, &opened) < before, "who was away pays");

    network.pass(job.parameters.unbonding_slots);
    until(&mut network, |network| !is_there(network));
    assert!(!network.has_told("creator", |event| matches!(event, Event::Refused { .. })));
}
