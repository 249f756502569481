//! What nodes do about others: those who were away are settled, seats that nobody stands behind are left, and every lie that has a slice is accused.

use super::*;
use sip_protocol::training::data::Dataset;

/// The job's first round, in which nobody did anything, come to nothing, once nobody can accuse anything of it.
fn came_to_nothing() -> View {
    let mut view = view();
    view.job.datasets[0] = [50; 32];
    let mut dataset: Box<Dataset> = Box::new(Dataset::zeroed());
    dataset.pool = [51; 32];
    view.datasets.insert(address(50), dataset);
    view.job.chain = Chain { last_final: NO_ROUND, ..Chain::GENESIS };
    view.rounds[0].round.status = round::VOID;
    view.slot = 10_000;
    view
}

fn keeper() -> Node {
    node(99, Roles { keeper: true, ..Roles::default() })
}

/// What is sent about a round of the job, in words.
fn settled(node: &Node, view: &View) -> Vec<&'static str> {
    let known = Known { holds_opening: true, ..Known::default() };
    sent(&step(node, view, &whole(&[BASE, NEXT, [9; 32]]), &known))
}

#[test]
fn a_keeper_settles_those_who_were_away_in_a_round_that_came_to_nothing() {
    let mut view = came_to_nothing();
    let all =
        ["pay for data", "pay patrons", "charge an absence", "settle another's audit", "settle another's evaluation"];
    assert_eq!(settled(&keeper(), &view), all);
    assert!(settled(&node(99, Roles::default()), &view).is_empty(), "others leave it to keepers");
    let mut early = view.clone();
    early.slot = early.rounds[0].round.final_slot() - 1;
    assert!(settled(&keeper(), &early).is_empty(), "something of it can still be accused");
    // One who is there settles itself, and no second time as a keeper.
    let both = node(AUDITOR, Roles { auditor: true, keeper: true, ..Roles::default() });
    let asked = settled(&both, &view);
    assert_eq!((asked.len(), asked[0]), (5, "settle an audit"), "{asked:?}");
    let slot = view.slot;
    let round = &mut view.rounds[0].round;
    (round.settled_data, round.settled_patrons, round.settled_absent, round.settled_slot) = (1, 1, 1, slot);
    (round.auditors[0].settled, round.evaluators[0].settled) = (1, 1);
    let actions = step(&keeper(), &view, &Shelf::default(), &Known { holds_opening: true, ..Known::default() });
    assert!(sent(&actions).is_empty());
    assert!(matches!(actions.last(), Some(Action::Keep { fact: Fact::RoundsDone(1), .. })), "{actions:?}");
}

#[test]
fn a_keeper_comes_after_those_who_took_part() {
    let mut view = in_audit();
    view.job.chain = Chain { last_final: NO_ROUND, ..Chain::GENESIS };
    let round = &mut view.rounds[0].round;
    (round.status, round.auditors[0].revealed) = (round::VOID, 1);
    (round.evaluators[0].settled, round.settled_data, round.settled_patrons) = (1, 1, 1);
    view.slot = view.rounds[0].round.final_slot() + 10;
    view.rounds[0].round.settled_slot = view.slot;
    assert!(settled(&keeper(), &view).is_empty(), "they have time to come themselves");
    let trainer = node(TRAINER, Roles { trainer: true, ..Roles::default() });
    assert_eq!(settled(&trainer, &view), ["settle a segment"]);
    view.slot += 150;
    assert_eq!(settled(&keeper(), &view), ["settle another's audit", "settle another's segment"]);
}

#[test]
fn a_keeper_has_the_seat_of_who_was_convicted_in_another_job_awaited_no_more() {
    let mut view = view();
    assert!(settled(&keeper(), &view).is_empty());
    view.pools.get_mut(&address(TRAINER + 100)).unwrap().claims_convicted = 1;
    assert_eq!(settled(&keeper(), &view), ["await a seat no more"]);
    view.job.trainers[0].state = sip_protocol::training::seats::DORMANT;
    assert!(settled(&keeper(), &view).is_empty(), "it is not awaited");
    (view.job.trainers[0].state, view.job.rounds_scored) = (AWAKE, view.job.spec.rounds);
    assert!(settled(&keeper(), &view).is_empty(), "nobody is awaited in a job that is done");
}

#[test]
fn who_was_convicted_of_one_claim_is_accused_of_every_other_that_has_a_slice() {
    let mut view = in_audit();
    let watchtower = node(99, Roles { watchtower: true, ..Roles::default() });
    let round = &mut view.rounds[0].round;
    (round.status, round.next_base, round.accepted) = (round::AGGREGATED, NEXT, 1);
    round.vote_deadline_slot = 300;
    let seat = &mut round.auditors[0];
    (seat.vote, seat.vote_slice, seat.revealed) = ([6; 32], 1_000, 1);
    // It was convicted of an attestation, of this round or of another.
    view.job.struck_auditors = 1;
    let claim = Claim::Vote { round: 0, place: 0 };
    let finding = Finding { claimed: view.claimed(claim).unwrap(), ..Finding::default() };
    let known = Known { findings: [(claim, finding)].into(), ..Known::default() };
    let act = |view: &View| sent(&step(&watchtower, view, &whole(&[BASE, NEXT, [9; 32]]), &known));
    assert!(!view.is_spent(claim) && act(&view).contains(&"commit an accusation"));
    view.rounds[0].round.auditors[0].vote_slice = 0;
    assert!(view.is_spent(claim) && !act(&view).contains(&"commit an accusation"));
    // What makes the base is worth an accusation, even if nobody pays for it.
    view.rounds[0].round.auditors[0].vote = NEXT;
    assert!(!view.is_spent(claim));
    let shown = Claim::Attestation { round: 0, place: 0, auditor: 0 };
    assert!(view.is_spent(shown), "its slice is gone");
    view.rounds[0].round.auditors[0].attestation_slice = 1_000;
    assert!(!view.is_spent(shown));
}

#[test]
fn a_segment_of_a_round_that_was_undone_while_it_was_open_is_replayed_and_accused_in_its_own_window() {
    let mut view = view();
    let watchtower = node(99, Roles { watchtower: true, ..Roles::default() });
    view.rounds[0].segments = in_audit().rounds.remove(0).segments;
    let round = &mut view.rounds[0].round;
    (round.status, round.is_undone, round.audit_slots) = (round::VOID, 1, 100);
    // Long after the chain's first slots, which the deadlines that were never set would say.
    (view.slot, view.rounds[0].segments[0].state.committed_slot) = (10_000, 9_990);
    let claim = Claim::Segment { round: 0, place: 0 };
    let shelf = whole(&[BASE, [9; 32]]);
    let replay = Work::Replay { claim, leaves: Vec::new() };
    assert_eq!(computed(&step(&watchtower, &view, &shelf, &Known::default())), [&replay]);
    let finding = Finding { claimed: view.claimed(claim).unwrap(), ..Finding::default() };
    let known = Known { findings: [(claim, finding)].into(), ..Known::default() };
    view.slot = view.rounds[0].round.segment_accusable_until(&view.rounds[0].segments[0].state);
    assert_eq!(sent(&step(&watchtower, &view, &shelf, &known)), ["commit an accusation"]);
    view.slot += 1;
    let actions = step(&watchtower, &view, &shelf, &known);
    assert!(sent(&actions).is_empty());
    // It stays in view until no accusation of it can be opened.
    let is_left = |actions: &[Action]| {
        actions.iter().any(|action| matches!(action, Action::Keep { fact: Fact::RoundsDone(1), .. }))
    };
    assert!(!is_left(&actions));
    view.slot += REVEAL_SLOTS;
    assert!(is_left(&step(&watchtower, &view, &shelf, &known)));
}

#[test]
fn of_an_auditors_false_attestations_in_a_round_one_is_accused_at_a_time_as_all_stand_on_one_slice() {
    let mut view = in_audit();
    let watchtower = node(99, Roles { watchtower: true, ..Roles::default() });
    (view.rounds[0].round.vote_deadline_slot, view.rounds[0].round.auditors[0].attestation_slice) = (300, 1_000);
    let first = &mut view.rounds[0].segments[0];
    (first.state.shown, first.state.attestations[0]) = (1, [5; 32]);
    let mut second = first.clone();
    (second.address, second.place) = (address(61), 1);
    view.rounds[0].segments.push(second);
    let claims = [0, 1].map(|place| Claim::Attestation { round: 0, place, auditor: 0 });
    let segment = Claim::Segment { round: 0, place: 0 };
    let finding = |claim: Claim| (claim, Finding { claimed: view.claimed(claim).unwrap(), ..Finding::default() });
    let known = Known { findings: claims.into_iter().chain([segment]).map(finding).collect(), ..Known::default() };
    let accused = |view: &View| {
        let actions = step(&watchtower, view, &whole(&[BASE, [9; 32]]), &known);
        let told = |action: &Action| if let Action::Send(send) = action { send.tell.clone() } else { Vec::new() };
        let told = actions.iter().flat_map(told);
        told.filter_map(|event| if let Event::Committed { claim } = event { Some(claim) } else { None }).collect()
    };
    let now: Vec<Claim> = accused(&view);
    assert_eq!(now, [segment, claims[0]]);
    // While that one waits, the other does too.
    let (me, terms) = (&watchtower.me, &Terms { result_lengths: vec![1_000, 3_000], ..Terms::default() });
    let waiting = crate::case::Case { me, view: &view, terms, claim: claims[0] }.hidden().unwrap();
    let mut accusation: Box<court::accusation::Accusation> = Box::new(Zeroable::zeroed());
    (accusation.header, accusation.committed_slot) = (Header::new(AccountKind::Accusation, 0), view.slot);
    view.accusations.insert(waiting, accusation);
    assert_eq!(accused(&view), [segment]);
}

#[test]
fn who_has_a_dataset_of_the_job_answers_for_it_whatever_its_process_is_started_for() {
    let (keeper, mut view) = (node(30, Roles { keeper: true, ..Roles::default() }), view());
    let (dataset, pool) = (address(70), address(130));
    let mut state: Box<sip_protocol::training::data::Dataset> = Box::new(Zeroable::zeroed());
    state.pool = pool.to_bytes();
    (view.job.datasets[0], view.job.spec.domain_count) = (dataset.to_bytes(), 1);
    view.datasets.insert(dataset, state);
    let mut owned: Box<Pool> = Box::new(Pool::zeroed());
    (owned.scope, owned.status) = ([30; 32], 1);
    view.pools.insert(pool, owned);
    assert_eq!(keeper.queries(&view), [Query::demands(&dataset)]);
    assert!(!trainer().queries(&view).contains(&Query::demands(&dataset)), "it is another's");
    let mut demand: Box<Demand> = Box::new(Demand::zeroed());
    (demand.header, demand.status, demand.deadline_slot) =
        (Header::new(AccountKind::Demand, 0), availability::OPEN, 1_000);
    (demand.subject, demand.answerer, demand.pool) = (dataset.to_bytes(), [30; 32], pool.to_bytes());
    view.demands.insert(address(60), demand);
    let mut known = Known::default();
    assert!(computed(&step(&keeper, &view, &whole(&[BASE]), &known)).contains(&&Work::Answer { demand: address(60) }));
    known.answered.insert(address(60), Some(vec![1; 100]));
    assert!(sent(&step(&keeper, &view, &whole(&[BASE]), &known)).contains(&"answer a demand"));
}
