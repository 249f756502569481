//! What a job leaves on chain: accounts that are over close, their rent goes back, and a hash tells archives what there was.

use crate::accuser::Accuser;
use sip_client::{HistoryError, StateDemand, check_history};
use sip_protocol::{
    Error,
    ground::{clock::longest_dispute_slots, escrow::REVEAL_SLOTS},
    training::{evaluation::ScoringRun, job::Job, round::Round, segment::Segment},
};
use sip_testing::{Cast, Scene, scores};
use solana_address::Address;
use solana_signer::Signer;

/// One trainer, auditor, evaluator and domain.
fn small(rounds: u32) -> Scene {
    let mut cast = Cast { trainers: 1, auditors: 1, evaluators: 1, ..Cast::default() };
    (cast.spec.domain_count, cast.spec.rounds) = (1, rounds + 10);
    (cast.spec.mixture_cap_bps, cast.spec.score_leaf_interval) = (10_000, 8);
    Scene::with(&cast)
}

/// Bytes of all accounts of the protocol.
fn bytes(scene: &Scene) -> usize {
    let accounts = scene.world.ledger.program_accounts(&scene.world.program.id);
    accounts.iter().map(|(_, account)| account.data.len()).sum()
}

fn lamports(scene: &Scene, address: &Address) -> u64 {
    scene.world.ledger.account(address).map_or(0, |account| account.lamports)
}

/// Plays so many rounds, each settled, archives them and closes what is over; returns the bytes that are left.
fn play(scene: &mut Scene, archive: &mut Vec<Round>, rounds: u32) -> usize {
    let mut open: Vec<Address> = Vec::new();
    for number in 0..rounds {
        scene.whole_round(&scores(5_000_000 - number * 1_000));
        scene.finalise_all();
        let round = scene.round();
        scene.settle_round(&round);
        archive.push(scene.world.state(&round));
        open.push(round);
        if open.len() == 64 || number + 1 == rounds {
            let slots = scene.world.config().parameters.unbonding_slots;
            scene.world.advance(slots);
            let last = open.pop().expect("a round");
            for round in open.drain(..) {
                for instruction in scene.reclaim_instructions(&round) {
                    scene.crank(instruction);
                }
            }
            open.push(last);
        }
    }
    assert_eq!(check_history(&scene.job_state(), archive), Ok(()));
    bytes(scene)
}

#[test]
fn twelve_rounds_leave_as_many_bytes_as_one() {
    let mut scene = small(20);
    let begin = bytes(&scene);
    let mut archive = Vec::new();
    let one = play(&mut scene, &mut archive, 1);
    let twelve = play(&mut scene, &mut archive, 12);
    assert!(one > begin);
    // The second call's first round closes what the first call left last; that is one round too much.
    let round = scene.world.program.round(&scene.job, 0);
    for instruction in scene.reclaim_instructions(&round) {
        scene.crank(instruction);
    }
    assert_eq!(bytes(&scene), one, "{twelve}");
    // One round of one trainer, auditor and evaluator.
    assert_eq!(one - begin, size_of::<Round>() + size_of::<Segment>() + size_of::<ScoringRun>());
}

#[test]
fn an_archive_is_checked_against_the_jobs_history_and_no_false_one_passes() {
    let mut scene = small(8);
    let mut archive = Vec::new();
    play(&mut scene, &mut archive, 4);
    let job = scene.job_state();
    let with = |change: &dyn Fn(&mut Vec<Round>)| {
        let mut changed = archive.clone();
        change(&mut changed);
        check_history(&job, &changed)
    };
    assert_eq!(with(&|rounds| rounds.truncate(3)), Err(HistoryError::Count { expected: 4, given: 3 }));
    assert_eq!(with(&|rounds| rounds.swap(1, 2)), Err(HistoryError::Order { index: 2 }));
    assert_eq!(with(&|rounds| rounds[2] = rounds[1]), Err(HistoryError::Order { index: 1 }));
    assert_eq!(with(&|rounds| rounds[3].next_base[0] ^= 1), Err(HistoryError::Hash));
    assert_eq!(with(&|rounds| rounds[0].quality -= 1), Err(HistoryError::Hash));
    // What was settled since is nobody's history.
    assert_eq!(with(&|rounds| rounds[0].settled_slot = 0), Ok(()));
}

#[test]
#[ignore = "half a minute"]
fn a_thousand_rounds_leave_as_many_bytes_as_one() {
    let mut scene = small(1_000);
    let begin = bytes(&scene);
    let left = play(&mut scene, &mut Vec::new(), 1_000) - begin;
    println!("a thousand rounds leave {left} bytes");
    let told = format!("{} {:03} bytes left after a thousand rounds", left / 1_000, left % 1_000);
    assert!(include_str!("../../../../docs/spec/costs.md").contains(&told), "docs/spec/costs.md: {told}");
    assert_eq!(left, size_of::<Round>() + size_of::<Segment>() + size_of::<ScoringRun>());
}

#[test]
fn rent_goes_back_to_whoever_paid_it_an_unbonding_time_after_the_last_settlement() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    scene.whole_round(&scores(5_000_000));
    scene.finalise_all();
    let first = scene.round();
    scene.settle_round(&first);
    let instructions = scene.reclaim_instructions(&first);
    let slots = scene.world.config().parameters.unbonding_slots;
    scene.world.advance(slots);
    // The last final round stays: the next one's segments may go on from its own.
    scene.crank_refused(instructions[0].clone(), Error::StillNeeded);
    scene.whole_round(&scores(4_000_000));
    scene.finalise_all();
    // What was committed closes before its round, and each gives its rent to who paid it.
    scene.crank_refused(instructions.last().unwrap().clone(), Error::StillNeeded);
    let authority = scene.world.authority.pubkey();
    let stranger = scene.world.wallet("stranger");
    for (number, instruction) in instructions.iter().enumerate() {
        let is_round = number + 1 == instructions.len();
        let place = if is_round { 3 } else { 4 };
        let (closed, payer) = (instruction.accounts[place - 1].pubkey, instruction.accounts[place].pubkey);
        let mut theirs = instruction.clone();
        theirs.accounts[place].pubkey = stranger.pubkey();
        scene.crank_refused(theirs, Error::WrongAccount);
        let (rent, before) = (lamports(&scene, &closed), lamports(&scene, &payer));
        let receipt = scene.crank(instruction.clone());
        let fee = if payer == authority { receipt.fee_lamports } else { 0 };
        assert_eq!(lamports(&scene, &payer), before + rent - fee);
        assert!(scene.world.ledger.account(&closed).is_none());
    }
    // The second round was never settled: it stays, and so does what was committed in it.
    scene.whole_round(&scores(3_000_000));
    scene.finalise_all();
    let second = program.round(&scene.job, 1);
    scene.world.advance(2 * slots);
    let claims = scene.reclaim_instructions(&second);
    scene.crank_refused(claims[0].clone(), Error::StillResting);
    scene.settle_round(&second);
    scene.world.advance(slots - 1);
    scene.crank_refused(claims[0].clone(), Error::StillResting);
    scene.world.advance(1);
    for instruction in claims {
        scene.crank(instruction);
    }
    assert!(scene.world.ledger.account(&second).is_none());
}

#[test]
fn what_was_undone_leaves_no_trace_in_the_history() {
    let mut cast = Cast::default();
    (cast.spec.lookahead, cast.spec.challenge_slots) = (4, 5_000);
    let mut scene = Scene::with(&cast);
    for score in [5_000_000, 4_900_000, 4_850_000] {
        scene.whole_round(&scores(score));
    }
    let [kept, undone] = [0, 1].map(|index| scene.world.program.round(&scene.job, index));
    let history = scene.world.state::<Round>(&kept).history;
    assert_ne!(scene.job_state().head_history, history);
    let accuser = Accuser::new(&mut scene, "accuser", &undone, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    accuser.win(&mut scene);
    assert_eq!((scene.job_state().head_history, scene.job_state().history), (history, [0; 32]));
    scene.whole_round(&scores(4_800_000));
    let last = scene.round();
    scene.finalise_all();
    let archive = [kept, last].map(|address| scene.world.state::<Round>(&address));
    let job = scene.job_state();
    assert_eq!((check_history(&job, &archive), job.head_history), (Ok(()), job.history));
}

#[test]
fn an_undone_round_closes_when_its_bounty_is_paid_and_its_disputes_when_they_are_old() {
    let mut cast = Cast::default();
    cast.spec.challenge_slots = 20_000;
    let mut scene = Scene::with(&cast);
    let program = scene.world.program;
    scene.to_committed();
    let round = scene.round();
    let reader = scene.world.wallet("reader");
    let (job, pool) = (scene.job, scene.trainers[0].seat.pool);
    let demand = StateDemand { demander: &reader.pubkey(), job: &job, round: &round, pool: &pool, entry: 3, chunk: 0 };
    scene.world.send(&[program.demand_state(&demand)], &[&reader]);
    let accuser = Accuser::new(&mut scene, "accuser", &round, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    scene.to_closed();
    scene.to_aggregated();
    accuser.win(&mut scene);
    let slots = scene.world.config().parameters.unbonding_slots;
    let clock = scene.world.config().parameters.clock_slots;
    scene.world.advance(clock + 1);
    scene.crank(program.fail_state(&demand));
    scene.capture_seed();
    scene.advance_to(scene.round_state().challenge_deadline_slot + REVEAL_SLOTS + 1);
    scene.settle_round(&round);
    let (first, second) = (program.segment(&round, &pool), accuser.segment(&scene));
    let dispute = program.dispute(&second, &accuser.key.pubkey());
    let asked = program.demand(&first, &reader.pubkey(), 3, 0);
    let closes = [
        program.close_old_dispute(&job, &accuser.key.pubkey(), &dispute),
        program.close_old_demand(&reader.pubkey(), &asked),
    ];
    for close in &closes {
        scene.crank_refused(close.clone(), Error::MissingSigner);
    }
    scene.world.advance(slots + longest_dispute_slots(clock));
    for close in closes {
        scene.crank(close);
    }
    let instructions = scene.reclaim_instructions(&round);
    // Silence left a bounty in the first segment, an accusation in the second.
    scene.crank_refused(instructions[0].clone(), Error::StillNeeded);
    scene.crank_refused(instructions[1].clone(), Error::StillNeeded);
    scene.crank(program.release_bounty(&round, &first));
    scene.crank(accuser.claim_instruction(&scene));
    for instruction in instructions {
        scene.crank(instruction);
    }
    assert!(scene.world.ledger.account(&round).is_none());
    assert_eq!(scene.world.state::<Job>(&scene.job).history, [0; 32]);
}
