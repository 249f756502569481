//! Machines that run by a hot key: the session key of pools whose operators are nowhere near.

use super::*;
use sip_protocol::court::Dispute;
use sip_protocol::ground::case::CaseKind;

const HOT: u8 = 40;
const UNTIL: u64 = 150;

/// The hot key in all roles.
fn hot() -> Node {
    node(HOT, Roles { trainer: true, auditor: true, watchtower: true, evaluator: true, ..Roles::default() })
}

/// The same view where all pools have named the hot key, whose chain of draws they have, and it was told to serve them.
fn named(mut view: View) -> View {
    let tip = HostSha256::hashv(&[&HostSha256::hashv(&[&draw_secret(&key(HOT), 0)])]);
    for pool in view.pools.values_mut() {
        (pool.session_key, pool.session_until_slot, pool.chain_tip) = ([HOT; 32], UNTIL, tip);
    }
    view.served = view.pools.keys().copied().collect();
    view
}

fn signers(actions: &[Action]) -> Vec<[u8; 32]> {
    let sends = actions.iter().filter_map(|action| if let Action::Send(send) = action { Some(send) } else { None });
    let metas = sends.flat_map(|send| &send.instructions).flat_map(|instruction| &instruction.accounts);
    metas.filter(|meta| meta.is_signer).map(|meta| meta.pubkey.to_bytes()).collect()
}

#[test]
fn a_session_key_trains_audits_and_scores_for_pools_of_others_and_signs_with_itself() {
    let (node, shelf) = (hot(), whole(&[BASE, NEXT]));
    let known = Known { worked: [((0, 0), worked())].into(), ..Known::default() };
    let actions = step(&node, &named(view()), &shelf, &known);
    assert_eq!((sent(&actions), signers(&actions)), (vec!["commit a segment"], vec![[HOT; 32]]));
    let actions = step(&node, &named(in_audit()), &shelf, &Known::default());
    assert_eq!((sent(&actions), signers(&actions)), (vec!["reveal a draw"], vec![[HOT; 32]]));
    let mut known = Known::default();
    known.note(Fact::Scored { base: NEXT, scored: scored() });
    let actions = step(&node, &named(in_evaluation()), &shelf, &known);
    assert!(sent(&actions).contains(&"commit a score"), "{actions:?}");
    assert!(signers(&actions).iter().all(|signer| *signer == [HOT; 32]));
    // Nobody has named another key, and it does nothing.
    assert_eq!(sent(&step(&node, &view(), &shelf, &known)), [""; 0]);
}

#[test]
fn a_session_key_signs_nothing_more_from_its_last_slot_on_and_goes_on_where_it_is_renewed() {
    let (node, shelf) = (hot(), whole(&[BASE]));
    let known = Known { worked: [((0, 0), worked())].into(), ..Known::default() };
    let mut view = named(view());
    view.pools.values_mut().for_each(|pool| pool.session_until_slot = view.slot + 1);
    assert_eq!(sent(&step(&node, &view, &shelf, &known)), ["commit a segment"]);
    view.slot += 1;
    assert_eq!(step(&node, &view, &shelf, &known), []);
    assert_eq!(step(&node, &view, &shelf, &Known::default()), [], "nor does it compute what it could not commit");
    view.pools.values_mut().for_each(|pool| pool.session_until_slot = UNTIL);
    assert_eq!(sent(&step(&node, &view, &shelf, &known)), ["commit a segment"]);
    // What anybody may do for the pool it goes on doing, and what it has handed out stays.
    let mut over = named(in_audit());
    over.slot = UNTIL;
    let actions = step(&node, &over, &shelf, &known);
    assert!(
        actions.contains(&Action::Publish { root: [9; 32] })
            && signers(&actions).iter().all(|signer| *signer == [HOT; 32]),
        "{actions:?}"
    );
}

#[test]
fn a_session_key_answers_what_is_demanded_of_its_pool_while_it_holds() {
    let (node, mut view, known) = (hot(), named(in_audit()), Known::default());
    let mut demand: Box<Demand> = Box::new(Demand::zeroed());
    (demand.status, demand.deadline_slot, demand.answerer) = (availability::OPEN, 1_000, [TRAINER; 32]);
    (demand.subject, demand.root) = (view.rounds[0].segments[0].address.to_bytes(), [9; 32]);
    (demand.header, demand.pool) = (Header::new(AccountKind::Demand, 0), [TRAINER + 100; 32]);
    view.demands.insert(address(60), demand);
    let shelf = whole(&[BASE, [9; 32]]);
    let answer = Work::Answer { demand: address(60) };
    assert!(computed(&step(&node, &view, &shelf, &known)).contains(&&answer));
    assert!(!computed(&step(&auditor(), &view, &shelf, &known)).contains(&&answer), "it is asked of another");
    view.slot = UNTIL;
    assert!(!computed(&step(&node, &view, &shelf, &known)).contains(&&answer));
}

/// A dispute of somebody on the trainer's segment, in which the trainer is on move.
fn accused(view: &mut View) -> Address {
    let mut dispute: Box<Dispute> = Box::new(Dispute::zeroed());
    (dispute.header, dispute.job) = (Header::new(AccountKind::Dispute, 0), view.address.to_bytes());
    let seen = &view.rounds[0];
    (dispute.round, dispute.subject) = (seen.address.to_bytes(), seen.segments[0].address.to_bytes());
    (dispute.pool, dispute.defendant, dispute.challenger) = ([TRAINER + 100; 32], [TRAINER; 32], [50; 32]);
    (dispute.opened_slot, dispute.full_clock_slots) = (view.slot, 100);
    (dispute.game.clock_slots, dispute.game.moved_slot) = ([100; 2], view.slot);
    dispute.game.ground.case = CaseKind::Segment as u32;
    let charge = Charge {
        program: &view.program,
        challenger: address(50),
        job: view.address,
        datasets: Vec::new(),
        charged: Charged::Segment { round: seen.address, pool: address(TRAINER + 100), part: None },
        salt: [0; 32],
    };
    let address = charge.dispute();
    view.disputes.insert(address, dispute);
    address
}

#[test]
fn a_session_key_computes_its_defence_at_once_and_moves_from_half_a_clock_on() {
    let (node, mut view) = (node(HOT, Roles { trainer: true, ..Roles::default() }), named(in_audit()));
    let (shelf, dispute) = (whole(&[BASE, [9; 32]]), accused(&mut view));
    assert_eq!(view.disputes[&dispute].game.on_move(), Ok(court::Side::Trainer));
    let asked = step(&node, &view, &shelf, &Known::default());
    assert!(matches!(computed(&asked)[..], [Work::Move { side: court::Side::Trainer, .. }]), "{asked:?}");
    let next = Some(sip_node::dispute::Move::new(court::MoveKind::Reveal, vec![1; 3_000]));
    let known = Known { played: [(dispute, Played { moves: 0, next })].into(), ..Known::default() };
    let from_slot = view.slot + 50;
    let told = |view: &View| {
        let actions = node.step(view, &shelf, &known, &Terms::default());
        actions.contains(&Action::Tell(Event::Defends { dispute: dispute.to_string(), from_slot }))
    };
    let actions = step(&node, &view, &shelf, &known);
    assert!(actions.contains(&Action::Wake { slot: from_slot }) && sent(&actions).is_empty(), "{actions:?}");
    assert!(told(&view));
    assert_eq!(view.waiting_defences(&node.me.wallet), [Waiting { dispute, from_slot }]);
    view.slot = from_slot;
    let actions = step(&node, &view, &shelf, &known);
    assert_eq!(sent(&actions), ["play a move"]);
    assert!(signers(&actions).iter().all(|signer| *signer == [HOT; 32]) && !told(&view));
    assert!(view.waiting_defences(&node.me.wallet).is_empty());
    // Where a part of the move is there already, the rest follows: parts are as long as one transaction of a session key carries.
    let Some(Action::Send(whole_move)) = actions.iter().find(|action| matches!(action, Action::Send(_))) else {
        panic!()
    };
    let part = sip_client::Party { wallet: node.me.wallet, pool: Some(address(TRAINER + 100)) }.part_bytes();
    let state = view.disputes.get_mut(&dispute).unwrap();
    state.buffer[..part].fill(1);
    let actions = step(&node, &view, &shelf, &known);
    let Some(Action::Send(rest)) = actions.iter().find(|action| matches!(action, Action::Send(_))) else { panic!() };
    assert_eq!(rest.instructions[..], whole_move.instructions[1..]);
    // The operator itself waits for nothing, and nobody else defends.
    let mut at_once = view.clone();
    at_once.slot = from_slot - 50;
    assert_eq!(sent(&step(&trainer(), &at_once, &shelf, &known)), ["play a move"]);
    view.pools.values_mut().for_each(|pool| pool.session_key = [41; 32]);
    assert_eq!(sent(&step(&node, &view, &shelf, &known)), [""; 0]);
}

#[test]
fn a_session_key_accuses_no_claim_of_a_pool_that_it_serves() {
    let (node, mut view) = (hot(), named(in_audit()));
    view.rounds[0].round.auditors[0].revealed = 1;
    let claim = Claim::Segment { round: 0, place: 0 };
    let finding = Finding { claimed: view.claimed(claim).unwrap(), ..Finding::default() };
    let known = Known { findings: [(claim, finding)].into(), ..Known::default() };
    assert!(!sent(&step(&node, &view, &whole(&[BASE]), &known)).contains(&"commit an accusation"));
    view.pools.values_mut().for_each(|pool| pool.session_key = [41; 32]);
    assert!(sent(&step(&node, &view, &whole(&[BASE]), &known)).contains(&"commit an accusation"));
}

/// The same view where a stranger's pool has named somebody's key, who was told nothing of it.
fn named_by_a_stranger(mut view: View, pool: u8, key: u8) -> View {
    let pool = view.pools.get_mut(&address(pool)).expect("the pool of somebody in the view");
    (pool.session_key, pool.session_until_slot) = ([key; 32], UNTIL);
    view
}

#[test]
fn a_watcher_whom_a_liars_pool_has_named_accuses_it_all_the_same_and_plays_its_own_disputes() {
    let (watcher, mut view) = (auditor(), in_audit());
    view.rounds[0].round.auditors[0].revealed = 1;
    let claim = Claim::Segment { round: 0, place: 0 };
    let finding = Finding { claimed: view.claimed(claim).unwrap(), ..Finding::default() };
    let known = Known { findings: [(claim, finding)].into(), ..Known::default() };
    let view = named_by_a_stranger(view, TRAINER + 100, AUDITOR);
    assert!(sent(&step(&watcher, &view, &whole(&[BASE]), &known)).contains(&"commit an accusation"));
    // Even of a pool that it was told to serve, for what it has opened already.
    let mut told = view.clone();
    told.served = [address(TRAINER + 100)].into();
    assert!(!sent(&step(&watcher, &told, &whole(&[BASE]), &known)).contains(&"commit an accusation"));
    let dispute = accused(&mut told);
    let (me, terms) = (&watcher.me, &Terms::default());
    let own = crate::case::Case { me, view: &told, terms, claim }.dispute().expect("an address follows from the claim");
    let mut state = told.disputes.remove(&dispute).unwrap();
    state.challenger = watcher.me.wallet.to_bytes();
    // The defendant is silent beyond its clock, and the session is over: it is as the accuser alone that somebody moves.
    told.slot = state.opened_slot + 101;
    told.pools.get_mut(&address(TRAINER + 100)).unwrap().session_until_slot = told.slot;
    told.disputes.insert(own, state);
    let actions = step(&watcher, &told, &whole(&[BASE, [9; 32]]), &known);
    assert!(sent(&actions).contains(&"end a dispute by the clock"), "{actions:?}");
}

#[test]
fn a_key_that_strangers_have_named_works_for_its_own_pools_alone() {
    // Their seats are in lower places than the own ones.
    let known = Known { worked: [((0, 0), worked())].into(), ..Known::default() };
    let view = named_by_a_stranger(view(), TRAINER + 100, HOT);
    assert_eq!(step(&hot(), &view, &whole(&[BASE]), &known), []);
    assert_eq!(view.unserved(&hot().me.wallet).map(|(pool, _)| *pool).collect::<Vec<_>>(), [address(TRAINER + 100)]);
    let view = named_by_a_stranger(in_audit(), AUDITOR + 100, HOT);
    assert_eq!(sent(&step(&hot(), &view, &whole(&[BASE]), &Known::default())), [""; 0]);
}
