//! Compressed updates through the compiled program: what a trainer may name as its previous update, and the start states, updates and
//! bases that are false, each from its claim to the verdict.

use crate::common::send_guarded;
use crate::court::chamber::{Chamber, Claimed};
use sip_client::{Accusation, StateDemand};
use sip_node::availability::state_answer;
use sip_node::{Cheat, Computation};
use sip_ops::Kind;
use sip_proof::tensor_bytes;
use sip_protocol::court::availability::{ANSWERED, Demand};
use sip_protocol::ground::units::TOKEN;
use sip_protocol::training::segment::{self, SegmentClaim};
use sip_protocol::{Error, training::round};
use sip_protocol::{
    court::{MoveKind, Outcome},
    ground::case::CaseKind,
};
use sip_testing::Random;
use sip_testing::compressed::{self, Work, entry, flipped};
use sip_testing::{BOND_TOKENS, Cast, Scene, named, scores};
use solana_signer::Signer;
use std::sync::Arc;

/// The trainer that lies.
const LIAR: usize = 1;

/// A bit of an element of a node's output.
fn flip(node: u32, element: u32, bit: u32) -> Option<Cheat> {
    Some(Cheat::FlipBit { step: 0, node, element, bit })
}

/// The node that gives an entry of a computation's outcome.
fn output(computation: &Computation, entry: usize) -> u32 {
    computation.graph_evidence().output(entry).unwrap()
}

impl Chamber {
    fn start(&self) -> Computation {
        self.works[LIAR].start_evidence(&self.updates)
    }

    fn update(&self) -> Computation {
        self.works[LIAR].update_evidence(&self.updates)
    }

    fn next_base(&self) -> Computation {
        compressed::base_evidence(&self.updates, &self.base, &self.accepted())
    }

    /// The liar's account claims what the evidence gives; the moves until it is convicted.
    fn convicts(&mut self, case: CaseKind, mut claimed: Claimed) -> Vec<MoveKind> {
        let (root, honest) = (claimed.root(), self.honest(LIAR));
        let (forged, truth) = match case {
            CaseKind::Start => (SegmentClaim { start_root: root, ..honest }, self.start()),
            _ => (SegmentClaim { update_root: root, ..honest }, self.update()),
        };
        assert_ne!(forged, honest, "the claim is true");
        self.forge(LIAR, &forged);
        let (outcome, moves, _) = self.dispute_graph((LIAR, case), claimed, truth);
        assert_eq!(outcome, Outcome::Convicted, "{moves:?}");
        moves
    }
}

#[test]
fn true_start_states_updates_and_bases_are_acquitted() {
    let mut chamber = Chamber::committed();
    assert_ne!(chamber.works[LIAR].previous.root(), chamber.updates.reset.root());
    for (case, truth) in [(CaseKind::Start, Chamber::start as fn(&Chamber) -> _), (CaseKind::Update, Chamber::update)] {
        let (claimed, truth) = (truth(&chamber).into(), truth(&chamber));
        let (outcome, moves, challenger) = chamber.dispute_graph((LIAR, case), claimed, truth);
        assert_eq!((outcome, &moves[..]), (Outcome::Acquitted, &[MoveKind::PostTrace, MoveKind::Concede][..]));
        chamber.resolve(LIAR, &challenger);
    }
    let run = chamber.works[LIAR].run.clone();
    let (outcome, moves, challenger) =
        chamber.dispute((LIAR, CaseKind::Segment), &run.graph(), run.clone(), run.clone());
    assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Acquitted, MoveKind::Concede));
    chamber.resolve(LIAR, &challenger);
    let segment = chamber.scene.segment_state(LIAR);
    assert_eq!((segment.status, segment.open_disputes), (segment::COMMITTED, 0));
    assert_eq!(chamber.scene.round_state().open_challenges, 0);

    chamber.scene.to_closed();
    let claimed = chamber.next_base().into();
    let (outcome, moves) = chamber.dispute_vote(2, claimed);
    assert_eq!((outcome, &moves[..]), (Outcome::Acquitted, &[MoveKind::PostTrace, MoveKind::Concede][..]));
}

#[test]
fn false_start_states_are_convicted() {
    let mut chamber = Chamber::committed();
    let work = chamber.works[LIAR].clone();
    let halved = output(&chamber.start(), 4);
    let moves = chamber.convicts(CaseKind::Start, chamber.start().cheating(flip(halved, 7, 12)).into());
    assert_eq!(*moves.last().unwrap(), MoveKind::PostValues);
    // A moment that is not the previous update's, to the bit.
    let previous = flipped(&work.previous, entry::FIRST_MOMENT, 31, 3);
    let swapped = Work { previous, ..work.clone() }.start_evidence(&chamber.updates);
    assert_eq!(*chamber.convicts(CaseKind::Start, swapped.into()).last().unwrap(), MoveKind::ProveInput);
    // A weight that is not the base's; the whole base of the round before.
    let base = flipped(&work.base, 0, 12_345, 20);
    let swapped = Work { base, ..work.clone() }.start_evidence(&chamber.updates);
    assert_eq!(*chamber.convicts(CaseKind::Start, swapped.into()).last().unwrap(), MoveKind::ProveInput);
    let stale = Chamber::new().base;
    let swapped = Work { base: stale, ..work.clone() }.start_evidence(&chamber.updates);
    assert_eq!(*chamber.convicts(CaseKind::Start, swapped.into()).last().unwrap(), MoveKind::ProveInput);
    // The moments of a reset, although there is a previous update.
    let previous = chamber.updates.reset.clone();
    let swapped = Work { previous, ..work }.start_evidence(&chamber.updates);
    assert_eq!(*chamber.convicts(CaseKind::Start, swapped.into()).last().unwrap(), MoveKind::ProveInput);
    // Right trace, other state.
    for entry in [0, 2, 4] {
        let moves = chamber.convicts(CaseKind::Start, Claimed::forging(chamber.start(), entry));
        assert_eq!((moves[1], *moves.last().unwrap()), (MoveKind::DisputeState, MoveKind::ProveOutput));
    }
}

#[test]
fn false_updates_are_convicted() {
    let mut chamber = Chamber::committed();
    let work = chamber.works[LIAR].clone();
    for (entry, element, bit) in
        [(entry::CODES, 7_000, 0), (entry::RESIDUAL, 23_999, 1), (entry::SCALES, 39, 22), (entry::BIAS_STEPS, 0, 4)]
    {
        let lie = chamber.update().cheating(flip(output(&chamber.update(), entry), element, bit));
        assert_eq!(*chamber.convicts(CaseKind::Update, lie.into()).last().unwrap(), MoveKind::PostValues);
    }
    let lie = chamber.update().cheating(flip(output(&chamber.update(), entry::AGE), 0, 31));
    chamber.convicts(CaseKind::Update, lie.into());
    // Moments that the segment's end state does not have.
    for (state_entry, element) in [(2, 99), (3, 11)] {
        let end = flipped(&work.end, state_entry, element, 30);
        let swapped = Work { end, ..work.clone() }.update_evidence(&chamber.updates);
        assert_eq!(*chamber.convicts(CaseKind::Update, swapped.into()).last().unwrap(), MoveKind::ProveInput);
    }
    // A residual that drops what the previous update left; a start that is another's.
    let previous = chamber.updates.reset.clone();
    let swapped = Work { previous, ..work.clone() }.update_evidence(&chamber.updates);
    assert_eq!(*chamber.convicts(CaseKind::Update, swapped.into()).last().unwrap(), MoveKind::ProveInput);
    let start = chamber.works[0].end.clone();
    let swapped = Work { start, ..work }.update_evidence(&chamber.updates);
    assert_eq!(*chamber.convicts(CaseKind::Update, swapped.into()).last().unwrap(), MoveKind::ProveInput);
    for entry in [entry::CODES, entry::FIRST_MOMENT, entry::RESIDUAL, entry::AGE] {
        let moves = chamber.convicts(CaseKind::Update, Claimed::forging(chamber.update(), entry));
        assert_eq!((moves[1], *moves.last().unwrap()), (MoveKind::DisputeState, MoveKind::ProveOutput));
    }
}

#[test]
fn false_bases_of_updates_are_convicted() {
    let mut chamber = Chamber::committed();
    chamber.scene.to_closed();
    let (updates, base) = (chamber.accepted(), chamber.base.clone());
    let evidence = |base: &Arc<_>, of: &[Arc<_>]| compressed::base_evidence(&chamber.updates, base, of).into();
    let stale = [updates[0].clone(), chamber.previous[1].clone()];
    let swapped = [updates[1].clone(), updates[0].clone()];
    let cases: Vec<(Claimed, MoveKind)> = vec![
        (chamber.next_base().cheating(flip(output(&chamber.next_base(), 0), 11_111, 9)).into(), MoveKind::PostValues),
        (evidence(&flipped(&base, 1, 5, 2), &updates), MoveKind::ProveInput),
        (evidence(&Chamber::new().base, &updates), MoveKind::ProveInput),
        (evidence(&base, &stale), MoveKind::ProveInput),
        (evidence(&base, &swapped), MoveKind::ProveInput),
        (Claimed::forging(chamber.next_base(), 1), MoveKind::ProveOutput),
    ];
    for (claimed, last) in cases {
        let (outcome, moves) = chamber.dispute_vote(2, claimed);
        assert_eq!((outcome, *moves.last().unwrap()), (Outcome::Convicted, last));
    }
}

#[test]
fn a_false_start_and_a_false_update_cost_the_bond_and_undo_the_round() {
    for case in [CaseKind::Start, CaseKind::Update] {
        let mut chamber = Chamber::second();
        let (base, honest) = (chamber.scene.round_state().base_root, chamber.works[LIAR].clone());
        // A trainer that starts from a false moment trains on honestly, and hands over what follows from it.
        let (claimed, lie) = if case == CaseKind::Start {
            let previous = flipped(&honest.previous, entry::SECOND_MOMENT, 3, 22);
            let run = |start: &_| chamber.run(LIAR, start);
            let lie = Work::honest(&chamber.updates, &chamber.base, &previous, run);
            let claimed = lie.start_evidence(&chamber.updates);
            (claimed, Work { previous: honest.previous.clone(), ..lie })
        } else {
            let update = flipped(&honest.update, entry::CODES, 4_000, 6);
            let claimed = chamber.update().cheating(flip(output(&chamber.update(), entry::CODES), 4_000, 6));
            (claimed, Work { update, ..honest.clone() })
        };
        let first = chamber.honest(0);
        chamber.scene.commit_claim(0, &first);
        let claim = chamber.claim(LIAR, &lie);
        chamber.scene.commit_claim(LIAR, &claim);
        chamber.works[LIAR] = lie;
        chamber.scene.close_commits();
        chamber.scene.to_closed();
        chamber.finish_closed();
        assert_eq!(chamber.scene.round_state().status, round::SCORED);

        let truth = match case {
            CaseKind::Start => honest.start_evidence(&chamber.updates),
            _ => honest.update_evidence(&chamber.updates),
        };
        let (outcome, _, challenger) = chamber.dispute_graph((LIAR, case), claimed.into(), truth);
        assert_eq!(outcome, Outcome::Convicted);
        chamber.resolve(LIAR, &challenger);
        let (job, state) = (chamber.scene.job_state(), chamber.scene.round_state());
        assert_eq!((state.status, state.is_undone, job.base_root), (round::VOID, 1, base));
        assert!(job.is_excluded(LIAR as u8) && !job.is_excluded(0));
        let pool = chamber.scene.pool_state(&chamber.scene.trainers[LIAR].seat.pool);
        assert_eq!((pool.segments_convicted, pool.open_disputes), (1, 0));
        assert!(pool.self_bond < BOND_TOKENS * TOKEN);
        assert!(chamber.scene.segment_state(LIAR).escrow.bounty > 0);
        // The other goes on from its update of the first round, on which the next one builds again.
        let first_update = chamber.works[0].previous.root();
        chamber.scene.open_round();
        assert_eq!((chamber.scene.round_state().parent, chamber.scene.claim(0).previous_root), (0, first_update));
        chamber.scene.commit(0);
    }
}

#[test]
fn a_segment_names_the_update_that_was_applied_or_the_reset() {
    let mut chamber = Chamber::new();
    let reset = chamber.updates.reset.root();
    let key = chamber.scene.trainers[LIAR].key.insecure_clone();
    let refused = |chamber: &mut Chamber, claim: SegmentClaim, expected| {
        let commit = chamber.scene.commit_instruction(LIAR, &claim);
        chamber.scene.world.refused(&[commit], &[&key], expected);
    };
    // Nobody has a previous update in the first round.
    let honest = chamber.honest(LIAR);
    assert_eq!(honest.previous_root, reset);
    refused(&mut chamber, SegmentClaim { previous_root: named("made up"), ..honest }, Error::WrongPreviousUpdate);
    refused(&mut chamber, SegmentClaim { previous_root: [0; 32], ..honest }, Error::WrongPreviousUpdate);
    refused(&mut chamber, SegmentClaim { update_root: [0; 32], ..honest }, Error::WrongUpdate);
    chamber.commit_all();
    chamber.finish_round();

    // In the second it is the one that was applied, neither the reset nor anybody else's.
    chamber.open_round();
    let (honest, other) = (chamber.honest(LIAR), chamber.works[0].previous.root());
    refused(&mut chamber, SegmentClaim { previous_root: reset, ..honest }, Error::WrongPreviousUpdate);
    refused(&mut chamber, SegmentClaim { previous_root: other, ..honest }, Error::WrongPreviousUpdate);
    let mut commit = chamber.scene.commit_instruction(LIAR, &honest);
    commit.accounts[6].pubkey = named("where nothing is").into();
    chamber.scene.world.refused(&[commit.clone()], &[&key], Error::WrongAddress);
    let foreign = chamber.scene.trainers[0].seat.pool;
    commit.accounts[6].pubkey = chamber.scene.world.program.previous_segment(&chamber.scene.job, 0, &foreign);
    chamber.scene.world.refused(&[commit.clone()], &[&key], Error::WrongAccount);
    commit.accounts.pop();
    chamber.scene.world.refused(&[commit], &[&key], Error::MissingAccount);
    // It sits this round out.
    let claim = chamber.honest(0);
    chamber.scene.commit_claim(0, &claim);
    chamber.scene.advance_to(chamber.scene.round_state().commit_deadline_slot);
    chamber.finish_round();

    // In the third it starts anew: its update of the first round is stale.
    let stale = honest.previous_root;
    chamber.open_round();
    let honest = chamber.honest(LIAR);
    assert_eq!((honest.previous_root, chamber.scene.round_state().parent), (reset, 1));
    refused(&mut chamber, SegmentClaim { previous_root: stale, ..honest }, Error::WrongPreviousUpdate);
    let mut commit = chamber.scene.commit_instruction(LIAR, &SegmentClaim { previous_root: stale, ..honest });
    let seat = chamber.scene.trainers[LIAR].seat;
    commit.accounts[6].pubkey = chamber.scene.world.program.previous_segment(&chamber.scene.job, 0, &seat.pool);
    chamber.scene.world.refused(&[commit], &[&key], Error::WrongAccount);
    chamber.scene.commit_claim(LIAR, &honest);
    assert_eq!(chamber.scene.segment_state(LIAR).claim, honest);
}

#[test]
fn commitments_and_amendments_of_updates_are_guarded() {
    let mut chamber = Chamber::new();
    let program = chamber.scene.world.program;
    for round in 0..2 {
        let round_address = chamber.scene.round();
        for trainer in 0..2 {
            let (seat, key) =
                (chamber.scene.trainers[trainer].seat, chamber.scene.trainers[trainer].key.insecure_clone());
            let commit = chamber.scene.commit_instruction(trainer, &chamber.scene.claim(trainer));
            send_guarded(&mut chamber.scene.world, commit, &key, &[]);
            let add = program.add_bond(&seat.operator, &seat.pool, 100 * TOKEN);
            chamber.scene.world.send(&[add], &[&key]);
            let (claim, previous) = (chamber.honest(trainer), chamber.scene.previous_segment(trainer));
            let amend = |claim: &SegmentClaim| {
                program.amend_update(&seat.operator, &chamber.scene.job, &round_address, &seat.pool, claim, &previous)
            };
            let stale = amend(&SegmentClaim { previous_root: named("made up"), ..claim });
            let amend = amend(&claim);
            chamber.scene.world.refused(&[stale], &[&key], Error::WrongPreviousUpdate);
            send_guarded(&mut chamber.scene.world, amend, &key, &[]);
            assert_eq!(chamber.scene.segment_state(trainer).claim, claim);
        }
        if round == 0 {
            chamber.finish_round();
            chamber.open_round();
        }
    }
}

#[test]
fn start_and_update_are_cases_of_trainers_segments_in_jobs_that_have_them() {
    let mut chamber = Chamber::committed();
    let key = chamber.challenger();
    let [commit, open] = chamber.accusation(&key.pubkey(), LIAR, CaseKind::Update);
    chamber.scene.world.send(&[commit], &[&key]);
    chamber.scene.world.advance(1);
    for case in [1u32, 2, 3, 4, 7, u32::MAX] {
        let mut wrong = open.clone();
        wrong.data.truncate(wrong.data.len() - 4);
        wrong.data.extend(case.to_le_bytes());
        chamber.scene.world.refused(&[wrong], &[&key], Error::WrongCase);
    }
    // Neither graph stands for the other, and no other graph for either.
    for place in [33, 65, 97, 129] {
        let mut wrong = open.clone();
        wrong.data[place] ^= 1;
        chamber.scene.world.refused(&[wrong], &[&key], Error::HashMismatch);
    }
    let mut other = open.clone();
    let last = other.data.len() - 4;
    other.data[last] = CaseKind::Start as u8;
    chamber.scene.world.refused(&[other], &[&key], Error::HashMismatch);
    send_guarded(&mut chamber.scene.world, open, &key, &[]);

    // A job without updates has neither.
    let mut scene = Scene::with(&Cast { trainers: 1, auditors: 1, evaluators: 1, ..Cast::default() });
    scene.open_round();
    let plain = scene.claim(0);
    let trainer = scene.trainers[0].key.insecure_clone();
    for (claim, expected) in [
        (SegmentClaim { previous_root: named("previous"), ..plain }, Error::WrongPreviousUpdate),
        (SegmentClaim { update_root: named("update"), ..plain }, Error::WrongUpdate),
    ] {
        let commit = scene.commit_instruction(0, &claim);
        scene.world.refused(&[commit], &[&trainer], expected);
    }
    scene.commit(0);
    scene.close_commits();
    let key = scene.world.wallet("challenger");
    let accusation = Accusation {
        challenger: &key.pubkey(),
        job: &scene.job,
        round: &scene.round(),
        pool: &scene.trainers[0].seat.pool,
        datasets: &scene.datasets,
        salt: &named("salt"),
    };
    let program = scene.world.program;
    scene.world.send(&[program.commit_accusation(&accusation)], &[&key]);
    scene.world.advance(1);
    for case in [CaseKind::Start, CaseKind::Update] {
        let open = program.open_update_dispute(&accusation, &chamber.graph(case).unwrap());
        scene.world.refused(&[open], &[&key], Error::WrongCase);
    }
    scene.world.send(&[program.open_dispute(&accusation)], &[&key]);
}

#[test]
fn a_scoring_run_has_no_start_and_no_update() {
    let mut chamber = Chamber::committed();
    chamber.scene.to_closed();
    let next = compressed::next_base(&chamber.updates, &chamber.base, &chamber.accepted());
    (0..2).for_each(|auditor| chamber.scene.vote(auditor, &next.root()));
    chamber.scene.commit_score(0, &scores(5_000_000));
    chamber.scene.reveal_score(0, &scores(5_000_000));
    let key = chamber.challenger();
    let accusation = Accusation {
        challenger: &key.pubkey(),
        job: &chamber.scene.job,
        round: &chamber.scene.round(),
        pool: &chamber.scene.evaluators[0].seat.pool,
        datasets: &chamber.scene.datasets,
        salt: &named("salt"),
    };
    let program = chamber.scene.world.program;
    let run = program.run(&chamber.scene.round(), &chamber.scene.evaluators[0].seat.pool);
    let opened = [CaseKind::Start, CaseKind::Update].map(|case| chamber.graph(case).unwrap());
    let opened = opened.map(|graph| {
        let mut open = program.open_update_dispute(&accusation, &graph);
        open.accounts[3].pubkey = run;
        open
    });
    let world = &mut chamber.scene.world;
    world.send(&[program.commit_run_accusation(&accusation)], &[&key]);
    world.advance(1);
    for open in opened {
        world.refused(&[open], &[&key], Error::WrongKind);
    }
    world.send(&[program.open_run_dispute(&accusation)], &[&key]);
    let ground = chamber.state(&program.dispute(&run, &key.pubkey())).game.ground;
    assert_eq!((ground.case(), ground.base_entries), (Ok(CaseKind::Score), compressed::BASE_ENTRIES as u32));
    assert_eq!((ground.bases[0], ground.base_count), (next.root(), 1));
}

#[test]
fn updates_and_the_updates_before_them_are_shown_on_demand() {
    let mut chamber = Chamber::committed();
    let (work, program) = (chamber.works[LIAR].clone(), chamber.scene.world.program);
    let (seat, key) = (chamber.scene.trainers[LIAR].seat, chamber.scene.trainers[LIAR].key.insecure_clone());
    let (job, round, reader) = (chamber.scene.job, chamber.scene.round(), chamber.challenger());
    let wallet = reader.pubkey();
    let entries = work.update.entries().len() as u32;
    let demand =
        |entry, chunk| StateDemand { demander: &wallet, job: &job, round: &round, pool: &seat.pool, entry, chunk };
    let world = &mut chamber.scene.world;
    world.refused(&[program.demand_state(&demand(2 * entries, 0))], &[&reader], Error::NothingThere);
    for (tree, state) in [&work.update, &work.previous].into_iter().enumerate() {
        for (entry, chunk) in [(entry::CODES, 5), (entry::RESIDUAL, 93), (entry::AGE, 0)] {
            let asked = tree as u32 * entries + entry as u32;
            world.send(&[program.demand_state(&demand(asked, chunk))], &[&reader]);
            let address = program.demand(&program.segment(&round, &seat.pool), &wallet, asked, chunk);
            let opened: Demand = world.state(&address);
            assert_eq!((opened.root, opened.entry, opened.entry_count), (state.root(), entry as u32, entries));
            let roots: Vec<_> = state.entries().iter().map(|entry| sip_proof::tensor_root(entry)).collect();
            let blob = tensor_bytes(&state.entries()[entry]);
            let answer = state_answer(&roots, entry as u32, &blob, chunk).unwrap();
            for part in program.answer_state(&seat.operator, &address, &round, &seat.pool, &answer) {
                world.send(&[part], &[&key]);
            }
            let answered: Demand = world.state(&address);
            let start = chunk as usize * 1024;
            assert_eq!(answered.status, ANSWERED);
            assert_eq!(answered.chunk_answered().unwrap(), &blob[start..(start + 1024).min(blob.len())]);
        }
    }
}

/// Any bit of anything that the three graphs compute or read: the one who claims what follows from it is convicted.
///
/// `SIP_SWEEP_SEED` and `SIP_SWEEP_CASES` choose others than these.
#[test]
fn any_flipped_bit_in_a_start_an_update_or_a_base_is_convicted() {
    let number = |name: &str, otherwise: u64| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (first, cases) = (number("SIP_SWEEP_SEED", 1), number("SIP_SWEEP_CASES", 24));
    let mut chamber = Chamber::committed();
    chamber.scene.to_closed();
    let mut last_moves = Vec::new();
    for seed in first..first + cases {
        println!("seed {seed}");
        let mut random = Random::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let case = [CaseKind::Start, CaseKind::Update, CaseKind::Aggregate][random.below(3) as usize];
        let honest = |chamber: &Chamber| match case {
            CaseKind::Start => chamber.start(),
            CaseKind::Update => chamber.update(),
            _ => chamber.next_base(),
        };
        let truth = honest(&chamber).root().unwrap();
        let claimed = loop {
            let mut claimed: Claimed = match random.below(3) {
                0 => flipped_input(&chamber, case, &mut random).into(),
                1 => {
                    let entries = match case {
                        CaseKind::Start => 5,
                        CaseKind::Update => 7,
                        _ => 2,
                    };
                    Claimed::forging(honest(&chamber), random.below(entries) as usize)
                }
                _ => flipped_node(honest(&chamber), case, &chamber, &mut random).into(),
            };
            if claimed.root() != truth {
                break claimed;
            }
        };
        let moves = if case == CaseKind::Aggregate {
            let (outcome, moves) = chamber.dispute_vote(2, claimed);
            assert_eq!(outcome, Outcome::Convicted);
            moves
        } else {
            chamber.convicts(case, claimed)
        };
        last_moves.push(*moves.last().unwrap());
    }
    if cases >= 24 {
        for kind in [MoveKind::PostValues, MoveKind::ProveInput, MoveKind::ProveOutput] {
            assert!(last_moves.contains(&kind), "no case ends with {kind:?}: {last_moves:?}");
        }
    }
}

/// What follows from one false bit of a state that is read.
fn flipped_input(chamber: &Chamber, case: CaseKind, random: &mut Random) -> Computation {
    let mut bit = |state: &Arc<sip_node::State>| {
        let entry = random.below(state.entries().len() as u64) as usize;
        let element = random.below(state.entries()[entry].len() as u64) as usize;
        // Low bits, so that everything stays finite.
        flipped(state, entry, element, random.below(23) as u32)
    };
    let mut work = chamber.works[LIAR].clone();
    match case {
        CaseKind::Start => {
            (work.base, work.previous) = (bit(&work.base), bit(&work.previous));
            work.start_evidence(&chamber.updates)
        }
        CaseKind::Update => {
            (work.start, work.end, work.previous) = (bit(&work.start), bit(&work.end), bit(&work.previous));
            work.update_evidence(&chamber.updates)
        }
        _ => {
            let mut updates = chamber.accepted();
            updates[0] = bit(&updates[0]);
            compressed::base_evidence(&chamber.updates, &bit(&chamber.base), &updates)
        }
    }
}

/// The same computation with a false bit in what one of its nodes gives.
fn flipped_node(honest: Computation, case: CaseKind, chamber: &Chamber, random: &mut Random) -> Computation {
    let aggregate;
    let graph = match case {
        CaseKind::Start => &*chamber.updates.start,
        CaseKind::Update => &*chamber.updates.update,
        _ => {
            aggregate = chamber.updates.aggregates.graph(chamber.accepted().len()).unwrap();
            &aggregate
        }
    };
    let computed: Vec<usize> =
        (0..graph.nodes().len()).filter(|node| graph.nodes()[*node].kind != Kind::Input).collect();
    let node = computed[random.below(computed.len() as u64) as usize];
    let element = random.below(graph.nodes()[node].len() as u64) as u32;
    honest.cheating(flip(node as u32, element, random.below(23) as u32))
}
