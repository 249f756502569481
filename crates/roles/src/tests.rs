//! Machines on views made by hand: what each asks for, and when it is silent.

use super::*;
use bytemuck::Zeroable;
use sip_node::Cheat;
use sip_proof::{HostSha256, Sha256 as _};
use sip_protocol::admin::config::{Config, Parameters};
use sip_protocol::court::availability::{self, Demand};
use sip_protocol::ground::case::CaseKind;
use sip_protocol::ground::escrow::REVEAL_SLOTS;
use sip_protocol::ground::schedule::{NODES, Schedule};
use sip_protocol::ground::units::TOKEN;
use sip_protocol::money::emission::Emission;
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::evaluation;
use sip_protocol::training::finality::{Chain, NO_ROUND};
use sip_protocol::training::job::Job;
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::seats::{AWAKE, Seat};
use sip_protocol::training::segment::{self, Segment, SegmentClaim};
use sip_protocol::{AccountKind, Header, court};
use solana_address::Address;

mod others;

const TRAINER: u8 = 20;
const AUDITOR: u8 = 21;
const EVALUATOR: u8 = 22;
const BASE: [u8; 32] = [7; 32];
const NEXT: [u8; 32] = [8; 32];

fn key(seed: u8) -> [u8; 64] {
    let mut key = [seed; 64];
    key[..32].fill(seed ^ 0xff);
    key
}

fn address(seed: u8) -> Address {
    Address::new_from_array([seed; 32])
}

fn node(seed: u8, roles: Roles) -> Node {
    Node { me: Me::new(key(seed)), roles, cheating: None }
}

fn trainer() -> Node {
    node(TRAINER, Roles { trainer: true, ..Roles::default() })
}

fn auditor() -> Node {
    node(AUDITOR, Roles { auditor: true, watchtower: true, ..Roles::default() })
}

fn evaluator() -> Node {
    node(EVALUATOR, Roles { evaluator: true, ..Roles::default() })
}

/// A job with one trainer, one auditor and one evaluator, whose pools have the address of their seed plus 100.
fn job() -> Box<Job> {
    let mut job: Box<Job> = Box::new(Job::zeroed());
    job.header = Header::new(AccountKind::Job, 0);
    let seat = |seed: u8| Seat { pool: [seed + 100; 32], state: AWAKE, allotted_bps: 10_000, ..Seat::default() };
    (job.trainers[0], job.auditors[0], job.evaluators[0]) = (seat(TRAINER), seat(AUDITOR), seat(EVALUATOR));
    job.base_root = BASE;
    (job.chain.last_final, job.spec.rounds, job.spec.lookahead) = (NO_ROUND, 4, 2);
    (job.spec.inner_steps, job.spec.leaf_interval, job.spec.domain_count) = (6, 4, 1);
    (job.spec.commit_slots, job.spec.audit_slots, job.spec.vote_slots) = (100, 100, 100);
    (job.spec.score_windows, job.spec.sequence_length, job.spec.score_rows) = (2, 16, 2);
    job.spec.score_leaf_interval = 1;
    job
}

/// The first round of the job, opened in slot 10, as it stands in slot 20.
fn view() -> View {
    view_of(job())
}

/// The same, of another job.
fn view_of(mut job: Box<Job>) -> View {
    let program = sip_client::Program::default();
    let mut opened: Box<Round> = Box::new(Round::zeroed());
    let snapshot =
        sip_protocol::training::setting::Snapshot { mixture_bps: [0; 8], settings: [0; 4], patron_domains: 0 };
    opened.open(&[1; 32], &mut job, &snapshot, 10).unwrap();
    let seeds = [TRAINER, AUDITOR, EVALUATOR];
    let pool = |seed: u8| {
        let mut pool: Box<Pool> = Box::new(Pool::zeroed());
        (pool.scope, pool.status, pool.self_bond) = ([seed; 32], 1, 1_000_000);
        let link = draw_secret(&key(seed), 0);
        pool.chain_tip = HostSha256::hashv(&[&HostSha256::hashv(&[&link])]);
        (address(seed + 100), pool)
    };
    let seen = Seen { address: program.round(&address(1), 0), round: opened, segments: Vec::new(), runs: Vec::new() };
    View {
        program,
        address: address(1),
        slot: 20,
        config: Box::new(Config::zeroed()),
        emission: None,
        job,
        pools: seeds.into_iter().map(pool).collect(),
        datasets: Default::default(),
        looked: 0..0,
        rounds: vec![seen],
        disputes: Default::default(),
        accusations: Default::default(),
        demands: Default::default(),
        served: Default::default(),
        survey: None,
    }
}

/// The same after the trainer has committed and the commitments are closed.
fn in_audit() -> View {
    let mut view = view();
    let seen = &mut view.rounds[0];
    let pool = address(TRAINER + 100);
    let mut state: Box<Segment> = Box::new(Segment::zeroed());
    (state.pool, state.operator, state.status) = (pool.to_bytes(), [TRAINER; 32], segment::COMMITTED);
    (state.round, state.committed_slot) = (seen.address.to_bytes(), 15);
    state.claim = SegmentClaim { start_root: BASE, end_root: [9; 32], ..SegmentClaim::default() };
    seen.round.committed = 1;
    seen.round.audit_rate = u32::MAX;
    seen.segments.push(Stands { address: view.program.segment(&seen.address, &pool), place: 0, state });
    seen.round.close_commits(&view.job, 18).unwrap();
    view
}

/// The same when the base is voted and waits for its scores.
fn in_evaluation() -> View {
    let mut view = in_audit();
    let round = &mut view.rounds[0].round;
    (round.status, round.next_base) = (round::AGGREGATED, NEXT);
    (round.score_deadline_slot, round.reveal_deadline_slot) = (100, 200);
    (view.job.chain.open[0], view.job.chain.open_count) = (0, 1);
    view
}

fn whole(roots: &[[u8; 32]]) -> Shelf {
    Shelf { whole: roots.iter().copied().collect(), ..Shelf::default() }
}

fn step(node: &Node, view: &View, shelf: &Shelf, known: &Known) -> Vec<Action> {
    let terms = Terms { result_lengths: vec![1_000, 3_000], is_genesis_true: true, ..Terms::default() };
    let actions = node.step(view, shelf, known, &terms);
    assert_eq!(actions, node.step(view, shelf, known, &terms), "the same inputs give the same actions");
    actions.into_iter().filter(|action| !matches!(action, Action::Tell(_) | Action::Survey)).collect()
}

/// What is sent, in words.
fn sent(actions: &[Action]) -> Vec<&'static str> {
    actions.iter().filter_map(|action| if let Action::Send(send) = action { Some(send.what) } else { None }).collect()
}

fn computed(actions: &[Action]) -> Vec<&Work> {
    actions.iter().filter_map(|action| if let Action::Compute(work) = action { Some(work) } else { None }).collect()
}

fn scored() -> Scored {
    let (sums, accumulator_root, leaves) = ([3; 8], [4; 32], Published::default());
    Scored { sums, accumulator_root, leaves, fault: None, cheat: None, seconds: 0.0 }
}

fn worked() -> Worked {
    let roots = [BASE, [9; 32], [4; 32], [0; 32], [0; 32]].map(|root| sip_data::hex(&root));
    let leaves = Published { leaves: vec![Default::default(); 2], ..Published::default() };
    Worked { roots, leaves, mean_loss: 1.0 }
}

#[test]
fn a_trainer_fetches_computes_commits_and_hands_out() {
    let (node, mut view, mut known) = (trainer(), view(), Known::default());
    assert_eq!(step(&node, &view, &Shelf::default(), &known), [Action::Fetch { root: BASE }]);
    let missing = Shelf { missing: [BASE].into(), ..Shelf::default() };
    assert_eq!(step(&node, &view, &missing, &known), [], "without the base there is nothing to compute");
    let train = Work::Train { round: 0, place: 0, previous: None, cheat: None };
    assert_eq!(step(&node, &view, &whole(&[BASE]), &known), [Action::Compute(train)]);
    assert!(known.note(Fact::Worked { round: 0, worked: worked() }));
    assert_eq!(sent(&step(&node, &view, &whole(&[BASE]), &known)), ["commit a segment"]);
    // Whether it was sent only the chain says: the next step sends it again, until it is there.
    assert_eq!(sent(&step(&node, &view, &whole(&[BASE]), &known)), ["commit a segment"]);
    view.rounds = in_audit().rounds;
    assert_eq!(step(&node, &view, &whole(&[BASE]), &known), [Action::Publish { root: [9; 32] }]);
}

#[test]
fn a_wallet_with_two_seats_trains_and_commits_each_of_its_segments_once() {
    let mut job = job();
    job.trainers[1] = Seat { pool: [TRAINER + 50; 32], ..job.trainers[0] };
    let mut view = view_of(job);
    let pool = view.pools[&address(TRAINER + 100)].clone();
    view.pools.insert(address(TRAINER + 50), pool);
    let (node, shelf, mut known) = (trainer(), whole(&[BASE]), Known::default());
    let train = |place| Work::Train { round: 0, place, previous: None, cheat: None };
    assert_eq!(computed(&step(&node, &view, &shelf, &known)), [&train(0), &train(1)]);
    for place in [0, 1] {
        let leaves = Published { place, ..worked().leaves };
        assert!(known.note(Fact::Worked { round: 0, worked: Worked { leaves, ..worked() } }));
    }
    let actions = step(&node, &view, &shelf, &known);
    assert!(computed(&actions).is_empty(), "what was trained is not trained again: {actions:?}");
    assert_eq!(sent(&actions), ["commit a segment"; 2]);
}

#[test]
fn what_others_wait_for_is_computed_before_the_own_segment() {
    let roles = Roles { trainer: true, watchtower: true, ..Roles::default() };
    let (node, mut view) = (node(TRAINER, roles), view());
    let mut judged = in_audit().rounds.remove(0);
    judged.segments[0].state.operator = [1; 32];
    // Another's segment of a round that is in its audit, and the own one of the round after it.
    let mut next = std::mem::replace(&mut view.rounds[0], judged);
    (next.round.index, next.address) = (1, view.program.round(&view.address, 1));
    view.rounds.push(next);
    let mut second = view.rounds[0].segments[0].clone();
    (second.place, second.state.pool) = (1, [3; 32]);
    view.rounds[0].segments.push(second);
    let actions = step(&node, &view, &whole(&[BASE]), &Known::default());
    let replay = |place| Work::Replay { claim: Claim::Segment { round: 0, place }, leaves: Vec::new() };
    let train = Work::Train { round: 1, place: 0, previous: None, cheat: None };
    assert_eq!(computed(&actions), [&replay(0), &replay(1), &train]);
}

#[test]
fn what_is_demanded_and_was_lost_here_is_looked_for_and_then_answered() {
    let (node, mut view, known) = (trainer(), in_audit(), Known::default());
    let mut demand: Box<Demand> = Box::new(Demand::zeroed());
    (demand.status, demand.deadline_slot, demand.answerer) = (availability::OPEN, 1_000, [TRAINER; 32]);
    (demand.subject, demand.root) = (view.rounds[0].segments[0].address.to_bytes(), [9; 32]);
    demand.header = Header::new(AccountKind::Demand, 0);
    view.demands.insert(address(60), demand);
    let fetch = Action::Fetch { root: [9; 32] };
    assert_eq!(step(&node, &view, &whole(&[BASE]), &known), std::slice::from_ref(&fetch));
    let missing = Shelf { whole: [BASE].into(), missing: [[9; 32]].into(), ..Shelf::default() };
    assert_eq!(step(&node, &view, &missing, &known), [], "nobody has it at present");
    assert_eq!(step(&node, &view, &whole(&[BASE]), &known), [fetch], "later it is looked for again");
    let answer = Work::Answer { demand: address(60) };
    assert_eq!(computed(&step(&node, &view, &whole(&[BASE, [9; 32]]), &known)), [&answer]);
}

#[test]
fn a_trainer_commits_nothing_to_a_round_that_does_not_await_it() {
    let (node, shelf) = (trainer(), whole(&[BASE]));
    let known = Known { worked: [((0, 0), worked())].into(), ..Known::default() };
    let mut changed = view();
    changed.rounds[0].round.parent = 3;
    assert_eq!(step(&node, &changed, &shelf, &known), [], "its round is on no chain");
    let mut changed = view();
    changed.rounds[0].round.trainers[0] = [0; 32];
    assert_eq!(step(&node, &changed, &shelf, &known), [], "it held no place when the round was opened");
    let mut changed = view();
    changed.job.struck_trainers = 1;
    assert_eq!(step(&node, &changed, &shelf, &known), [], "it was convicted meanwhile");
}

#[test]
fn a_liar_is_a_trainer_whose_work_is_asked_for_with_a_lie_in_it() {
    let cheating = |from_round| Some(Cheating { cheat: Cheat::Lazy, from_round });
    let lie = |cheat| Work::Train { round: 0, place: 0, previous: None, cheat };
    for (from_round, expected) in [(0, Some(Cheat::Lazy)), (1, None)] {
        let node = Node { cheating: cheating(from_round), ..trainer() };
        let actions = step(&node, &view(), &whole(&[BASE]), &Known::default());
        assert_eq!(computed(&actions), [&lie(expected)]);
    }
}

#[test]
fn an_auditor_reveals_the_draw_of_its_chain_once_and_in_time() {
    let (node, view, known) = (auditor(), in_audit(), Known::default());
    let actions = step(&node, &view, &whole(&[BASE]), &known);
    assert_eq!(sent(&actions), ["reveal a draw"]);
    let Some(Action::Send(send)) = actions.iter().find(|action| matches!(action, Action::Send(_))) else { panic!() };
    let draw = HostSha256::hashv(&[&draw_secret(&key(AUDITOR), 0)]);
    assert!(send.instructions[0].data.windows(32).any(|bytes| bytes == draw), "the link whose hash is the tip");
    assert_eq!(send.needed_by_slot, Some(view.rounds[0].round.audit_deadline_slot));
    let mut late = view.clone();
    late.slot = late.rounds[0].round.audit_deadline_slot;
    assert!(!sent(&step(&node, &late, &whole(&[BASE]), &known)).contains(&"reveal a draw"));
    let mut done = view.clone();
    done.rounds[0].round.auditors[0].revealed = 1;
    assert!(sent(&step(&node, &done, &whole(&[BASE]), &known)).is_empty());
    // A chain of another secret has no such link; nothing is guessed.
    let other = Node { me: Me::new(key(AUDITOR)).with_chain(Some([3; 32])), ..node };
    let mut short = view;
    short.pools.get_mut(&address(AUDITOR + 100)).unwrap().chain_tip = HostSha256::hashv(&[&[3; 32]]);
    assert_eq!(sent(&step(&other, &short, &whole(&[BASE]), &known)), ["reveal a draw"]);
}

#[test]
fn an_auditor_attests_only_what_it_drew_and_found_true() {
    let (node, mut view) = (auditor(), in_audit());
    view.rounds[0].round.auditors[0].revealed = 1;
    let claim = Claim::Segment { round: 0, place: 0 };
    let replay = step(&node, &view, &whole(&[BASE]), &Known::default());
    let leaf = view.leaf(&view.rounds[0], &view.rounds[0].segments[0], 0);
    assert_eq!(computed(&replay), [&Work::Replay { claim, leaves: vec![leaf] }]);
    let claimed = view.claimed(claim).unwrap();
    let traces = [(leaf, sip_data::hex(&[5; 32]))].into();
    let finding = Finding { claimed, is_true: true, traces, ..Finding::default() };
    let known = |finding: Finding| Known { findings: [(claim, finding)].into(), ..Known::default() };
    assert_eq!(sent(&step(&node, &view, &whole(&[BASE]), &known(finding.clone()))), ["attest a segment"]);
    let lie = Finding { is_true: false, ..finding.clone() };
    assert!(!sent(&step(&node, &view, &whole(&[BASE]), &known(lie))).contains(&"attest a segment"));
    // What was found of another claim says nothing of this one.
    let stale = Finding { claimed: "other".into(), ..finding };
    assert!(sent(&step(&node, &view, &whole(&[BASE]), &known(stale))).is_empty());
}

#[test]
fn an_auditor_that_replays_before_its_draw_is_final_attests_what_it_draws() {
    let (node, mut view) = (auditor(), in_audit());
    let claim = Claim::Segment { round: 0, place: 0 };
    // The draw is sent once what it answers is final; the replay begins before, with the leaf that the draw will ask for.
    let actions = step(&node, &view, &whole(&[BASE]), &Known::default());
    let draw = HostSha256::hashv(&[&draw_secret(&key(AUDITOR), 0)]);
    let revealed = |view: &mut View, draw| {
        let seat = &mut view.rounds[0].round.auditors[0];
        (seat.revealed, seat.preimage) = (1, draw);
    };
    let mut later = view.clone();
    revealed(&mut later, draw);
    let leaf = later.leaf(&later.rounds[0], &later.rounds[0].segments[0], 0);
    assert_eq!(sent(&actions), ["reveal a draw"]);
    assert_eq!(computed(&actions), [&Work::Replay { claim, leaves: vec![leaf] }]);
    let found = |traces| {
        let finding = Finding { claimed: view.claimed(claim).unwrap(), is_true: true, traces, ..Finding::default() };
        Known { findings: [(claim, finding)].into(), ..Known::default() }
    };
    let known = found([(leaf, sip_data::hex(&[5; 32]))].into());
    assert_eq!(sent(&step(&node, &later, &whole(&[BASE]), &known)), ["attest a segment"]);
    // Where that leaf was not among those of the replay, it is replayed once more, and only that.
    let actions = step(&node, &later, &whole(&[BASE]), &found([].into()));
    assert_eq!((sent(&actions), computed(&actions)), (vec![], vec![&Work::Replay { claim, leaves: vec![leaf] }]));
    // A draw that selects nothing asks for nothing.
    view.rounds[0].round.audit_rate = 0;
    let actions = step(&node, &view, &whole(&[BASE]), &Known::default());
    assert_eq!(computed(&actions), [&Work::Replay { claim, leaves: vec![] }]);
}

#[test]
fn an_evaluator_reveals_what_it_committed_once_nobody_can_commit_any_more() {
    let (node, mut view) = (evaluator(), in_evaluation());
    let score = Work::Score { base: NEXT, cheat: None };
    assert_eq!(computed(&step(&node, &view, &whole(&[NEXT]), &Known::default())), [&score]);
    let mut known = Known::default();
    known.note(Fact::Scored { base: NEXT, scored: scored() });
    let actions = step(&node, &view, &Shelf::default(), &known);
    assert_eq!(sent(&actions), ["commit a score"]);
    let Some(Action::Send(send)) = actions.first() else { panic!() };
    let commitment: [u8; 32] = send.instructions[0].data[1..33].try_into().unwrap();
    let round = &mut view.rounds[0].round;
    (round.evaluators[0].status, round.evaluators[0].commitment) = (evaluation::COMMITTED, commitment);
    round.awaited_evaluators = 0b11;
    round.committed_scores = 0b01;
    assert!(step(&node, &view, &Shelf::default(), &known).is_empty(), "another may still commit");
    view.rounds[0].round.committed_scores = 0b11;
    assert_eq!(sent(&step(&node, &view, &Shelf::default(), &known)), ["reveal a score"]);
    view.rounds[0].round.committed_scores = 0b01;
    view.slot = 100;
    assert_eq!(sent(&step(&node, &view, &Shelf::default(), &known)), ["reveal a score"]);
    view.rounds[0].round.evaluators[0].commitment = [1; 32];
    assert!(step(&node, &view, &Shelf::default(), &known).is_empty(), "it was committed with another key");
    view.slot = 200;
    assert!(step(&node, &view, &Shelf::default(), &known).is_empty(), "it is too late");
}

#[test]
fn an_accusation_is_committed_then_opened_a_slot_later_and_played() {
    let (node, mut view) = (auditor(), in_audit());
    view.rounds[0].round.auditors[0].revealed = 1;
    let claim = Claim::Segment { round: 0, place: 0 };
    let claimed = view.claimed(claim).unwrap();
    let known = Known { findings: [(claim, Finding { claimed, ..Finding::default() })].into(), ..Known::default() };
    let act = |view: &View, known: &Known| step(&node, view, &whole(&[BASE]), known);
    assert_eq!(sent(&act(&view, &known)), ["commit an accusation"]);
    // The chain shows it, in the account that the node watches.
    let watched = node.watched(&view, &known, &Terms::default());
    let [dispute, hidden] = watched[..] else { panic!("{watched:?}") };
    let mut waiting = court::accusation::Accusation::zeroed();
    (waiting.header, waiting.committed_slot) = (Header::new(AccountKind::Accusation, 0), view.slot);
    view.add(hidden, bytemuck::bytes_of(&waiting));
    assert_eq!(act(&view, &known), [Action::Wake { slot: view.slot + 1 }], "not in the same slot");
    view.slot += 1;
    assert_eq!(sent(&act(&view, &known)), ["open a dispute"]);
    let mut late = view.clone();
    late.slot += REVEAL_SLOTS;
    assert_eq!(sent(&act(&late, &known)), ["end an accusation that was not opened in time"]);
    // A dispute of ours runs, and it is our move: it is computed, then sent, and sent again as long as it is not there.
    let mut state: Box<court::Dispute> = Box::new(court::Dispute::zeroed());
    (state.header, state.job) = (Header::new(AccountKind::Dispute, 0), view.address.to_bytes());
    state.challenger = node.me.wallet.to_bytes();
    (state.game.clock_slots, state.game.moved_slot) = ([1_000; 2], view.slot);
    view.accusations.clear();
    view.add(dispute, bytemuck::bytes_of(&*state));
    let side = view.disputes[&dispute].game.on_move();
    let asked = act(&view, &known);
    if side == Ok(court::Side::Challenger) {
        assert!(matches!(computed(&asked)[..], [Work::Move { .. }]), "{asked:?}");
    } else {
        assert!(asked.is_empty(), "it is the other's move: {asked:?}");
    }
    // Nobody accuses itself.
    let own = Node { me: Me::new(key(TRAINER)), ..node.clone() };
    view.disputes.clear();
    assert!(!sent(&step(&own, &view, &whole(&[BASE]), &known)).contains(&"commit an accusation"));
}

/// A dispute of somebody about a claim in its first round, whose maker is to move.
fn accused(view: &mut View, case: CaseKind, subject: Address, defendant: u8) {
    let mut state: Box<court::Dispute> = Box::new(court::Dispute::zeroed());
    (state.header, state.job) = (Header::new(AccountKind::Dispute, 0), view.address.to_bytes());
    (state.round, state.subject) = (view.rounds[0].address.to_bytes(), subject.to_bytes());
    (state.challenger, state.defendant) = ([3; 32], [defendant; 32]);
    state.game.ground.case = case as u32;
    (state.game.clock_slots, state.game.moved_slot) = ([1_000; 2], view.slot);
    assert_eq!(state.game.on_move(), Ok(court::Side::Trainer));
    view.add(address(70), bytemuck::bytes_of(&*state));
}

#[test]
fn who_is_accused_and_lost_what_it_takes_gets_it_back_and_then_defends_itself() {
    let mut votes = in_audit();
    votes.rounds[0].round.accepted = 1;
    accused(&mut votes, CaseKind::Aggregate, Address::default(), AUDITOR);
    let mut scores = in_evaluation();
    let mut run: Box<evaluation::ScoringRun> = Box::new(evaluation::ScoringRun::zeroed());
    run.operator = [EVALUATOR; 32];
    scores.rounds[0].runs.push(Stands { address: address(61), place: 0, state: run });
    accused(&mut scores, CaseKind::Score, address(61), EVALUATOR);
    let mut segments = in_audit();
    let subject = segments.rounds[0].segments[0].address;
    accused(&mut segments, CaseKind::Segment, subject, TRAINER);
    let known = Known::default();
    // No role is asked for: what was claimed is answered for.
    for (seed, view, roots) in
        [(AUDITOR, votes, &[[9; 32], BASE][..]), (EVALUATOR, scores, &[NEXT][..]), (TRAINER, segments, &[BASE][..])]
    {
        let node = node(seed, Roles::default());
        let fetches: Vec<Action> = roots.iter().map(|root| Action::Fetch { root: *root }).collect();
        let actions = step(&node, &view, &Shelf::default(), &known);
        assert_eq!(actions, fetches, "{seed}: what it takes is not here");
        let missing = Shelf { missing: roots.iter().copied().collect(), ..Shelf::default() };
        assert_eq!(step(&node, &view, &missing, &known), [], "{seed}: nobody has it at present");
        let actions = step(&node, &view, &whole(roots), &known);
        let [Work::Move { dispute, .. }] = computed(&actions)[..] else { panic!("{seed}: {actions:?}") };
        // Who has played before plays on, whatever lies on its shelf.
        let mut played = Known::default();
        played.note(Fact::Played { dispute: *dispute, played: Played { moves: 7, next: None } });
        let actions = step(&node, &view, &missing, &played);
        assert!(matches!(computed(&actions)[..], [Work::Move { .. }]), "{seed}: {actions:?}");
    }
}

#[test]
fn what_an_undone_round_led_to_and_the_own_end_of_a_segment_are_forgotten_with_their_round() {
    let (own_end, update, computed) = ([9; 32], [11; 32], [12; 32]);
    let mut view = in_audit();
    view.job.spec.update_entries = 1;
    assert!(view.job.spec.is_compressed());
    let seen = &mut view.rounds[0];
    (seen.round.status, seen.round.next_base) = (round::VOID, NEXT);
    seen.segments[0].state.claim.update_root = update;
    seen.segments[0].state.settled = 1;
    view.slot = seen.round.final_slot();
    let mut known = Known { bases: [(0, (1, computed))].into(), ..Known::default() };
    let roots = [BASE, own_end, [4; 32], [0; 32], update].map(|root| sip_data::hex(&root));
    known.note(Fact::Worked { round: 0, worked: Worked { roots, ..worked() } });
    let actions = step(&trainer(), &view, &Shelf::default(), &known);
    let forgotten = |actions: &[Action]| -> Vec<[u8; 32]> {
        actions
            .iter()
            .filter_map(|action| if let Action::Forget { root } = action { Some(*root) } else { None })
            .collect()
    };
    assert_eq!(forgotten(&actions), [NEXT, own_end, update, computed]);
    // That the round is done is noted after that, so that a kill in between forgets none.
    assert!(matches!(actions.last(), Some(Action::Keep { fact: Fact::RoundsDone(1), .. })), "{actions:?}");
    // What a later round starts from stays.
    let mut later = view.rounds[0].clone();
    later.round.index = 1;
    (later.round.status, later.round.base_root) = (round::OPEN, NEXT);
    view.rounds.push(later);
    assert_eq!(forgotten(&step(&trainer(), &view, &whole(&[NEXT]), &known)), [own_end, update, computed]);
}

#[test]
fn a_chunk_is_demanded_of_what_is_needed_and_not_there() {
    let roles = Roles { auditor: true, watchtower: true, is_drawn_only: true, ..Roles::default() };
    let (node, mut view) = (node(AUDITOR, roles), in_audit());
    view.rounds[0].round.audit_rate = 0;
    view.rounds[0].round.auditors[0].revealed = 1;
    let shelf = Shelf { whole: [BASE].into(), missing: [[9; 32]].into(), ..Shelf::default() };
    let actions = step(&node, &view, &shelf, &Known::default());
    let [Action::Keep { fact: Fact::Asked { asked, name }, .. }, Action::Send(send)] = &actions[..2] else {
        panic!("{actions:?}")
    };
    assert_eq!((&name[..], send.what), ("round-0-demand-0", "demand a chunk of a state"));
    assert!(asked.entry < 2 && asked.chunk < 12, "{asked:?}");
    // What is being fetched is not demanded, and not asked for again.
    let shelf = Shelf { whole: [BASE].into(), awaited: [[9; 32]].into(), ..Shelf::default() };
    assert_eq!(step(&node, &view, &shelf, &Known::default()), []);
    // What is there is not demanded.
    let shelf = whole(&[BASE, [9; 32]]);
    assert!(sent(&step(&node, &view, &shelf, &Known::default())).is_empty());
}

#[test]
fn what_somebody_claims_who_was_convicted_in_whatever_job_is_replayed() {
    let roles = Roles { auditor: true, watchtower: true, is_drawn_only: true, ..Roles::default() };
    let (node, mut view) = (node(AUDITOR, roles), in_audit());
    view.rounds[0].round.audit_rate = 0;
    view.rounds[0].round.auditors[0].revealed = 1;
    let shelf = whole(&[BASE, [9; 32]]);
    let act = |view: &View| step(&node, view, &shelf, &Known::default());
    assert!(computed(&act(&view)).is_empty(), "it was not drawn");
    let mut elsewhere = view.clone();
    elsewhere.pools.get_mut(&address(TRAINER + 100)).unwrap().claims_convicted = 1;
    let claim = Claim::Segment { round: 0, place: 0 };
    assert_eq!(computed(&act(&elsewhere)), [&Work::Replay { claim, leaves: Vec::new() }]);
    // Of a claim that was convicted itself nothing more is to be found.
    elsewhere.rounds[0].segments[0].state.status = segment::CONVICTED;
    assert!(computed(&act(&elsewhere)).is_empty());
}

#[test]
fn a_keeper_opens_the_next_round_when_the_rule_allows_it() {
    let keeper = node(99, Roles { keeper: true, ..Roles::default() });
    let mut view = view();
    assert!(step(&keeper, &view, &Shelf::default(), &Known::default()).is_empty(), "a round is live");
    view.rounds.clear();
    view.job = job();
    assert_eq!(sent(&step(&keeper, &view, &Shelf::default(), &Known::default())), ["open the round"]);
    view.job.rounds_scored = view.job.spec.rounds;
    assert!(sent(&step(&keeper, &view, &Shelf::default(), &Known::default())).is_empty(), "the job is done");
}

#[test]
fn scores_are_committed_in_the_first_half_of_an_evaluation_or_until_all_have() {
    let mut view = in_evaluation();
    let round = &mut view.rounds[0].round;
    round.awaited_evaluators = 1;
    assert!(commits_scores(round, 99) && !commits_scores(round, 100));
    round.committed_scores = 1;
    assert!(!commits_scores(round, 20));
}

#[test]
fn a_keeper_has_the_newest_final_base_and_the_one_that_will_be_final() {
    let keeper = node(99, Roles { keeper: true, ..Roles::default() });
    let fetched = |view: &View, shelf: &Shelf| -> Vec<[u8; 32]> {
        let root = |action: Action| if let Action::Fetch { root } = action { Some(root) } else { None };
        step(&keeper, view, shelf, &Known::default()).into_iter().filter_map(root).collect()
    };
    let mut view = view();
    (view.job.base_root, view.job.rounds_scored) = ([8; 32], 1);
    view.job.chain = Chain::GENESIS;
    view.job.chain.push(0).unwrap();
    assert_eq!(fetched(&view, &Shelf::default()), [] as [[u8; 32]; 0], "no base is final yet");
    // The round that runs builds on a final one, and ends with a base of its own.
    view.job.chain = Chain { last_final: 7, final_count: 1, ..Chain::GENESIS };
    view.job.chain.push(0).unwrap();
    assert_eq!(fetched(&view, &Shelf::default()), [BASE, [8; 32]]);
    assert_eq!(fetched(&view, &whole(&[BASE])), [[8; 32]]);
    let actions = keeper.step(&view, &whole(&[BASE]), &Known::default(), &Terms::default());
    let keeps = Event::Keeps { round: 7, root: sip_data::hex(&BASE) };
    assert!(actions.contains(&Action::Tell(keeps)), "{actions:?}");
}

#[test]
fn a_turner_closes_what_is_due_and_others_leave_it() {
    let turner = node(99, Roles { turner: true, ..Roles::default() });
    let mut view = in_audit();
    view.rounds[0].round.status = round::OPEN;
    let known = Known::default();
    assert_eq!(sent(&step(&turner, &view, &Shelf::default(), &known)), ["close the commits"]);
    let mere = node(99, Roles::default());
    assert!(step(&mere, &view, &Shelf::default(), &known).is_empty());
    // Its own look at everything old comes every so many slots.
    let actions = turner.step(&view, &Shelf::default(), &known, &Terms::default());
    assert!(actions.contains(&Action::Survey));
    let later = Known { survey_slot: view.slot + 1, ..Known::default() };
    assert!(!turner.step(&view, &Shelf::default(), &later, &Terms::default()).contains(&Action::Survey));
}

/// A rival's round has emptied the stream since the tally: were the round made final now, it would draw nothing, for good.
#[test]
fn a_turner_waits_an_epoch_at_most_for_what_a_round_would_draw_once_it_has_turned() {
    let turner = node(99, Roles { turner: true, ..Roles::default() });
    let mut view = in_evaluation();
    view.config.genesis(&[1; 32], &Parameters::DEFAULT).unwrap();
    let round = &mut view.rounds[0].round;
    (round.status, round.reward, round.challenge_deadline_slot) = (round::SCORED, TOKEN, 300);
    let final_slot = round.final_slot();
    let mut emission = Box::new(Emission::default());
    emission.initialise(&Schedule::DEFAULT, final_slot - 1_000).unwrap();
    let (end_slot, epoch_slots) = (emission.end_slot, emission.schedule.epoch_slots);
    view.emission = Some(emission);
    let asked_of = |node: &Node, view: &View, slot: u64| {
        let view = View { slot, ..view.clone() };
        let all = sent(&step(node, &view, &whole(&[BASE, NEXT]), &Known::default()));
        all.into_iter().filter(|what| what.contains("final") || what.contains("epoch")).collect::<Vec<_>>()
    };
    let asked = |view: &View, slot: u64| asked_of(&turner, view, slot);
    let finalises = ["make the round final"];
    let keeper = node(98, Roles { turner: true, keeper: true, ..Roles::default() });
    let mut full = view.clone();
    (full.job.spec.lookahead, full.job.round_live, full.job.chain.is_seed_pending) = (1, 0, 0);
    assert_eq!(full.next_opens(), Err(sip_protocol::Error::TooFarAhead));
    assert_eq!(asked_of(&keeper, &full, final_slot), finalises, "its job would stand still");
    assert!(asked_of(&turner, &full, final_slot).is_empty() && asked_of(&keeper, &view, final_slot).is_empty());
    assert!(asked(&view, final_slot).is_empty() && asked(&view, end_slot - 1).is_empty(), "the stream is empty");
    assert_eq!(asked(&view, end_slot), ["turn the epoch"], "who waits for it turns it");
    assert_eq!(asked(&view, final_slot + epoch_slots), finalises, "one epoch was waited");
    let mut poor = view.clone();
    poor.config.buckets.operator_rewards = 0;
    assert_eq!(asked(&poor, final_slot), finalises, "no turn brings more");
    assert_eq!(asked(&View { emission: None, ..view.clone() }, final_slot), finalises, "a job that pays nothing");
    view.emission.as_mut().unwrap().streams[NODES].released[0] = TOKEN;
    assert_eq!(asked(&view, final_slot), finalises, "what it was told is there");
}

#[test]
fn claims_have_names_that_lead_back_to_them() {
    let claims = [
        Claim::Genesis,
        Claim::Segment { round: 3, place: 1 },
        Claim::Run { round: 0, place: 15 },
        Claim::Vote { round: 12, place: 0 },
        Claim::Attestation { round: 1, place: 2, auditor: 3 },
    ];
    for claim in claims {
        assert_eq!(Claim::named(&claim.file()), Some(claim));
    }
    for other in ["", "round-0-base", "round-0-work", "round-01-run-2", "round-1-segment-300", "data-00"] {
        assert_eq!(Claim::named(other), None, "{other}");
    }
}

#[test]
fn what_is_read_of_a_chain_follows_from_the_job() {
    let (mut view, program) = (in_audit(), sip_client::Program::default());
    let look = Look { program, job: view.address, first_round: 0 };
    let mut accounts = Accounts::new();
    assert_eq!(look.wanted(&accounts).unwrap().len(), 2, "configuration and job");
    view.config.header = Header::new(AccountKind::Config, 0);
    accounts.insert(program.config(), Some(bytemuck::bytes_of(&*view.config).to_vec()));
    accounts.insert(view.address, Some(bytemuck::bytes_of(&*view.job).to_vec()));
    let wanted = look.wanted(&accounts).unwrap();
    assert!(wanted.contains(&program.round(&view.address, 0)));
    for seed in [TRAINER, AUDITOR, EVALUATOR] {
        assert!(wanted.contains(&address(seed + 100)));
    }
    let round = &mut view.rounds[0].round;
    round.header = Header::new(AccountKind::Round, 0);
    accounts.extend(wanted.into_iter().map(|address| (address, None)));
    accounts.insert(program.round(&view.address, 0), Some(bytemuck::bytes_of(&**round).to_vec()));
    assert_eq!(look.wanted(&accounts).unwrap(), [view.rounds[0].segments[0].address]);
    accounts.insert(view.rounds[0].segments[0].address, None);
    assert!(look.wanted(&accounts).unwrap().is_empty());
    let seen = look.view(&accounts, 30).unwrap();
    assert_eq!((seen.rounds.len(), seen.slot, seen.rounds[0].segments.len()), (1, 30, 0));
    // A chain may make up places.
    view.rounds[0].round.auditor_count = 17;
    let forged = bytemuck::bytes_of(&*view.rounds[0].round).to_vec();
    accounts.insert(program.round(&view.address, 0), Some(forged));
    assert!(matches!(look.wanted(&accounts), Err(LookError::Places(..))));
}

mod sessions;
