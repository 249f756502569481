//! What the program refuses in a dispute, and why.

use crate::court::Court;
use sip_node::dispute::Move;
use sip_protocol::Error;
use sip_protocol::instructions::{Args, PlayMove};
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::{
    court::{Dispute, MoveKind, Outcome, Side},
    ground::case::CaseKind,
};
use sip_testing::synthetic::{Lie, node};
use solana_instruction::Instruction;
use solana_signer::Signer;

const LIE: Lie = Lie::Output { step: 4, node: node::CONTRACTED, element: 300, bit: 12 };

fn court() -> Court {
    Court::new(10, 3, Some(LIE))
}

/// A court whose dispute is open.
fn opened() -> Court {
    let mut court = court();
    court.open();
    court
}

/// Plays a move that must be refused.
fn refuse(court: &mut Court, side: Side, next: &Move, expected: Error) {
    let key = court.key(side);
    let instructions = court.scene.world.program.moves(&key.pubkey(), &court.dispute(), next.kind, &next.payload);
    let (last, uploads) = instructions.split_last().unwrap();
    for upload in uploads {
        court.scene.world.send(std::slice::from_ref(upload), &[&key]);
    }
    court.scene.world.refused(std::slice::from_ref(last), &[&key], expected);
}

fn changed(next: &Move, place: usize) -> Move {
    let mut wrong = next.clone();
    wrong.payload[place] ^= 1;
    wrong
}

fn number(index: u32) -> Move {
    Move { kind: MoveKind::Pick, payload: index.to_le_bytes().to_vec() }
}

/// The open instruction with one account replaced.
fn open_with(court: &Court, place: usize, account: solana_address::Address) -> Instruction {
    let mut open = court.open_instruction();
    open.accounts[place].pubkey = account;
    open
}

#[test]
fn an_accusation_needs_the_challengers_signature() {
    let mut court = court();
    let mut open = court.open_instruction();
    open.accounts[0].is_signer = false;
    court.scene.crank_refused(open, Error::MissingSigner);
}

#[test]
fn an_accusation_is_made_once_per_challenger() {
    let mut court = opened();
    let (open, key) = (court.open_instruction(), court.challenger_key());
    court.scene.world.refused(std::slice::from_ref(&open), &[&key], Error::NotInitialised);
    court.commit();
    court.scene.world.refused(&[open], &[&key], Error::AlreadyInitialised);
}

#[test]
fn several_challengers_may_accuse_one_segment_and_a_second_conviction_takes_nothing() {
    let mut court = opened();
    let first = court.dispute();
    let (outcome, _) = court.fight();
    assert_eq!(outcome, Outcome::Convicted);
    let second = court.scene.world.operator("second challenger", PoolKind::Auditor);
    let former = std::mem::replace(&mut court.challenger, second);
    let tokens = court.challenger_tokens();
    court.open();
    assert_ne!(court.dispute(), first);
    court.fight();
    court.challenger = former;
    court.resolve();
    let bond = court.scene.world.config().parameters.dispute_bond;
    let insured = court.scene.world.config().buckets.insurance;
    court.challenger = court.scene.world.operator("third", PoolKind::Auditor);
    court.commit();
    let (open, key) = (court.open_instruction(), court.challenger_key());
    // A convicted segment is not accused again, but what was opened before is paid back.
    court.scene.world.refused(&[open], &[&key], Error::ClaimConvicted);
    let second = sip_testing::named("second challenger");
    court.challenger.key = solana_keypair::Keypair::new_from_array(second);
    court.resolve();
    assert_eq!(court.challenger_tokens(), tokens);
    assert_eq!(court.scene.world.config().buckets.insurance, insured);
    assert!(bond > 0);
}

#[test]
fn a_trainer_does_not_accuse_itself() {
    let mut court = court();
    let trainer = court.trainer_key();
    court.challenger.key = court.trainer_key();
    court.commit();
    let open = court.open_instruction();
    court.scene.world.refused(&[open], &[&trainer], Error::OwnSegment);
}

#[test]
fn an_accusation_names_accounts_that_belong_together() {
    let mut court = court();
    court.commit();
    let key = court.challenger_key();
    let (other_pool, other_segment) = (court.scene.trainers[0].seat.pool, court.scene.segment(0));
    let datasets = court.scene.datasets.clone();
    let cases = [
        (1, court.scene.round(), Error::WrongKind),
        (2, other_segment, Error::WrongKind),
        (3, other_segment, Error::WrongAccount),
        (4, other_pool, Error::WrongAccount),
        (5, court.scene.trainers[0].seat.operator, Error::WrongAddress),
        (6, other_segment, Error::WrongKind),
        (8, datasets[1], Error::WrongAccount),
        (9, datasets[0], Error::WrongAccount),
    ];
    for (place, account, expected) in cases {
        let open = open_with(&court, place, account);
        court.scene.world.refused(&[open], &[&key], expected);
    }
    let mut short = court.open_instruction();
    short.accounts.pop();
    court.scene.world.refused(&[short], &[&key], Error::MissingAccount);
    let mut long = court.open_instruction();
    long.data.push(0);
    court.scene.world.refused(&[long], &[&key], Error::WrongArguments);
    let mut unknown = court.open_instruction();
    unknown.data = vec![u8::MAX];
    court.scene.world.refused(&[unknown], &[&key], Error::UnknownInstruction);
}

#[test]
fn an_accusation_is_committed_no_later_than_the_challenge_deadline() {
    let mut court = court();
    let last = court.scene.round_state().accusable_until(CaseKind::Segment);
    court.scene.advance_to(last + 1);
    court.commit();
    let (open, key) = (court.open_instruction(), court.challenger_key());
    court.scene.world.refused(&[open], &[&key], Error::NoClaim);
}

#[test]
fn only_the_party_on_move_uploads_and_plays() {
    let mut court = opened();
    let (_, next) = court.next();
    refuse(&mut court, Side::Challenger, &next, Error::NotOnMove);
    let (program, dispute) = (court.scene.world.program, court.dispute());
    let challenger = court.challenger_key();
    let upload = program.upload(&challenger.pubkey(), &dispute, 0, &[1]);
    court.scene.world.refused(&[upload], &[&challenger], Error::NotOnMove);
    let stranger = court.scene.world.wallet("stranger");
    let upload = program.upload(&stranger.pubkey(), &dispute, 0, &[1]);
    court.scene.world.refused(&[upload], &[&stranger], Error::NotParty);
    let play = program.play_move(&stranger.pubkey(), &dispute, next.kind, 0, &next.payload);
    court.scene.world.refused(&[play], &[&stranger], Error::NotParty);
    let trainer = court.trainer_key();
    let mut unsigned = program.play_move(&trainer.pubkey(), &dispute, next.kind, 0, &next.payload);
    unsigned.accounts[0].is_signer = false;
    court.scene.crank_refused(unsigned, Error::MissingSigner);
    let mut unsigned = program.upload(&trainer.pubkey(), &dispute, 0, &[1]);
    unsigned.accounts[0].is_signer = false;
    court.scene.crank_refused(unsigned, Error::MissingSigner);
    let mut readonly = program.play_move(&trainer.pubkey(), &dispute, next.kind, 0, &next.payload);
    readonly.accounts[1].is_writable = false;
    court.scene.world.refused(&[readonly], &[&trainer], Error::NotWritable);
    let elsewhere = program.play_move(&trainer.pubkey(), &court.pool(), next.kind, 0, &next.payload);
    court.scene.world.refused(&[elsewhere], &[&trainer], Error::WrongKind);
}

#[test]
fn nothing_is_written_past_the_buffer() {
    let mut court = opened();
    let (program, dispute, trainer) = (court.scene.world.program, court.dispute(), court.trainer_key());
    for offset in [3072, 3071, u16::MAX] {
        let upload = program.upload(&trainer.pubkey(), &dispute, offset, &[1, 2]);
        court.scene.world.refused(&[upload], &[&trainer], Error::PastBuffer);
        let play = program.play_move(&trainer.pubkey(), &dispute, MoveKind::Reveal, offset, &[1, 2]);
        court.scene.world.refused(&[play], &[&trainer], Error::PastBuffer);
    }
    let mut short = program.upload(&trainer.pubkey(), &dispute, 0, &[]);
    short.data.pop();
    court.scene.world.refused(&[short], &[&trainer], Error::WrongArguments);
    let mut unknown = program.play_move(&trainer.pubkey(), &dispute, MoveKind::Reveal, 0, &[]);
    unknown.data[1] = 99;
    court.scene.world.refused(&[unknown], &[&trainer], Error::WrongMove);
}

/// At every turn of a game: every other move, every other length and every false hash is refused.
#[test]
fn every_turn_takes_its_own_move_only() {
    let lies = [LIE, Lie::Batch { step: 5 }, Lie::LazyCopy { step: 0 }, Lie::Jump { step: 4 }];
    for lie in lies {
        let mut court = Court::new(10, 3, Some(lie));
        court.open();
        while court.state().game.outcome().unwrap() == Outcome::Open {
            let (side, next) = court.next();
            for &kind in MoveKind::ALL {
                // These are other moves of the same phase: conceding, and leaving the trace for the state.
                let also_right = [MoveKind::Concede, MoveKind::Pick, MoveKind::DisputeState].contains(&kind);
                if kind != next.kind && !also_right {
                    refuse(&mut court, side, &Move { kind, ..next.clone() }, Error::WrongMove);
                }
            }
            let mut longer = next.clone();
            longer.payload.push(0);
            let key = court.key(side);
            let world = &mut court.scene.world;
            let dispute = world.program.dispute(
                &world.program.segment(&world.program.round(&court.scene.job, 0), &court.scene.trainers[1].seat.pool),
                &court.challenger.key.pubkey(),
            );
            for instruction in world.program.moves(&key.pubkey(), &dispute, longer.kind, &longer.payload) {
                let is_play = instruction.data[0] == PlayMove::TAG;
                if is_play {
                    let error = world.fails(&[instruction], &[&key]);
                    assert!(error.custom_code().is_some(), "{error}");
                } else {
                    world.send(&[instruction], &[&key]);
                }
            }
            let hashed = [MoveKind::Reveal, MoveKind::OpenLeaf, MoveKind::PostSteps, MoveKind::OpenNode];
            let opened = [MoveKind::OpenEntry, MoveKind::PostChunk, MoveKind::ProveInput, MoveKind::ProveToken];
            if hashed.contains(&next.kind) || opened.contains(&next.kind) || next.kind == MoveKind::ProveOutput {
                refuse(&mut court, side, &changed(&next, 5), Error::HashMismatch);
            }
            if next.kind == MoveKind::Pick {
                refuse(&mut court, side, &number(100_000), Error::NothingThere);
            }
            court.play(side, &next);
        }
        assert_eq!(court.state().game.outcome().unwrap(), Outcome::Convicted);
        let (side, next) = (Side::Trainer, Move { kind: MoveKind::Concede, payload: vec![] });
        refuse(&mut court, side, &next, Error::DisputeOver);
    }
}

#[test]
fn a_true_opening_proves_nothing_against_an_honest_trainer() {
    let mut court = Court::new(10, 3, None);
    court.open();
    let picks = [Some(0), Some(0), None, Some(node::WEIGHTS)];
    let mut picks = picks.into_iter();
    loop {
        let game = court.state().game;
        if game.on_move().unwrap() == Side::Trainer {
            let (side, next) = court.next();
            court.play(side, &next);
            continue;
        }
        match picks.next() {
            Some(Some(pick)) => {
                court.play(Side::Challenger, &number(pick));
            }
            // The trace is right and so is the state: the entry proves nothing.
            Some(None) => {
                court.play(Side::Challenger, &Move { kind: MoveKind::DisputeState, payload: vec![] });
            }
            None => break,
        }
    }
    let (side, next) = court.next();
    assert_eq!(next.kind, MoveKind::ProveOutput);
    refuse(&mut court, side, &next, Error::NotContradicted);
    let clock_slots = court.scene.world.config().parameters.clock_slots;
    court.scene.world.advance(clock_slots + 1);
    refuse(&mut court, side, &next, Error::ClockRunOut);
    let timeout = court.scene.world.program.time_out(&court.dispute());
    court.scene.crank(timeout.clone());
    assert_eq!(court.state().game.outcome().unwrap(), Outcome::Acquitted);
    court.scene.crank_refused(timeout, Error::DisputeOver);
}

#[test]
fn a_false_operand_value_convicts_by_an_opening_on_chain() {
    let lie = Lie::Output { step: 1, node: node::GATHERED, element: 7, bit: 23 };
    let mut court = Court::new(2, 2, Some(lie));
    court.open();
    let (side, mut values) = court.play_until(MoveKind::PostValues);
    let claim = court.state().game.claim;
    values.payload[4..8].copy_from_slice(&claim.to_le_bytes());
    court.play(side, &values);
    let (side, proof) = court.next();
    assert_eq!(proof.kind, MoveKind::ProveOperand);
    // Another slot is read elsewhere.
    refuse(&mut court, side, &changed(&proof, 0), Error::HashMismatch);
    refuse(&mut court, side, &changed(&proof, 20), Error::HashMismatch);
    let receipts = court.play(side, &proof);
    let costs: Vec<u64> = receipts.iter().map(|receipt| receipt.compute_units).collect();
    println!("ProveOperand: compute units of its transactions {costs:?}");
    assert!(costs.iter().all(|cost| *cost < 200_000));
    assert_eq!(court.state().game.outcome().unwrap(), Outcome::Convicted);
}

#[test]
fn a_verdict_is_applied_once_and_to_the_accounts_of_the_dispute() {
    let mut court = opened();
    let resolve = court.resolve_instruction();
    court.scene.crank_refused(resolve, Error::DisputeNotOver);
    court.play(Side::Trainer, &Move { kind: MoveKind::Concede, payload: vec![] });
    let (other_pool, other_segment) = (court.scene.trainers[0].seat.pool, court.scene.segment(0));
    let program = court.scene.world.program;
    let cases = [
        (0, court.scene.job, Error::WrongKind),
        (3, other_segment, Error::WrongAccount),
        (4, other_pool, Error::WrongAccount),
        (5, other_segment, Error::WrongKind),
        (6, program.token_account(&court.trainer_key().pubkey()), Error::WrongTokenAccount),
        (7, program.token_account(&court.trainer_key().pubkey()), Error::WrongTokenAccount),
        (9, program.id, Error::WrongProgram),
    ];
    for (place, account, expected) in cases {
        let mut resolve = court.resolve_instruction();
        resolve.accounts[place].pubkey = account;
        court.scene.crank_refused(resolve, expected);
    }
    let (close, challenger) =
        (program.close_dispute(&court.challenger.key.pubkey(), &court.dispute()), court.challenger_key());
    court.scene.world.refused(std::slice::from_ref(&close), &[&challenger], Error::DisputeNotOver);
    court.resolve();
    court.scene.world.advance(1);
    let again = court.resolve_instruction();
    court.scene.crank_refused(again, Error::AlreadyResolved);

    let stranger = court.scene.world.wallet("stranger");
    let mut wrong = close.clone();
    wrong.accounts[0].pubkey = stranger.pubkey();
    court.scene.world.refused(&[wrong], &[&stranger], Error::NotParty);
    let (rent, before) = (court.lamports(&court.dispute()), court.lamports(&challenger.pubkey()));
    let receipt = court.scene.world.send(&[close], &[&challenger]);
    assert_eq!(court.lamports(&challenger.pubkey()), before + rent - receipt.fee_lamports);
    assert!(court.scene.world.ledger.account(&court.dispute()).is_none_or(|account| account.data.is_empty()));
    println!("a dispute's account has {} bytes, {rent} lamports of rent", size_of::<Dispute>());
}

#[test]
fn a_burn_of_a_lost_bond_needs_the_mint() {
    let mut court = Court::new(10, 3, None);
    court.open();
    court.fight();
    let mut resolve = court.resolve_instruction();
    resolve.accounts[8].pubkey = court.pool();
    court.scene.crank_refused(resolve, Error::WrongTokenAccount);
    court.resolve();
}
