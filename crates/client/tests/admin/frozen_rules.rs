//! What a job was created with binds its claims: later parameters neither free a bond sooner nor move a bounty, a share or a clock; and
//! those who disagree with a proposal have left before it takes effect.

use crate::accuser::Accuser;
use sip_protocol::{
    Error,
    admin::{
        administration::{DEFAULT_TIMELOCK_SLOTS, PAUSE_SLOTS, TIMELOCK_SLOTS},
        config::Parameters,
    },
    ground::{escrow::REVEAL_SLOTS, offence::Penalties, units::TOKEN},
    stake::{pool::PoolKind, position::Ticket},
};
use sip_testing::{BOND_TOKENS, Cast, PARAMETERS, SLICE, Scene, World, scores};
use solana_signer::Signer;

/// A job whose segments can be challenged for half of the default's unbonding.
fn long() -> Cast {
    let mut cast = Cast::default();
    cast.spec.challenge_slots = 216_000;
    cast
}

#[test]
fn a_liars_bond_and_its_delegators_stay_until_its_job_can_convict_it_no_more_however_short_unbonding_becomes() {
    let mut scene = Scene::with(&long());
    let program = scene.world.program;
    let patron = scene.world.wallet("delegator");
    let liar = scene.trainers[0].seat;
    scene.world.stake(&patron, &liar.pool, 1_000 * TOKEN);
    scene.to_committed();
    scene.to_closed();
    scene.world.set_parameters(&Parameters { unbonding_slots: 54_001, ..Parameters::DEFAULT });

    let key = scene.trainers[0].key.insecure_clone();
    scene.world.send(&[program.request_exit(&patron.pubkey(), &liar.pool, 0, 400 * TOKEN)], &[&patron]);
    let (leave, retire) = (program.leave_job(&liar, &scene.job), program.retire_pool(&liar.operator, &liar.pool));
    scene.world.send(&[leave, retire], &[&key]);
    scene.world.advance(54_001);
    scene.world.refused(&[program.withdraw_bond(&liar.operator, &liar.pool)], &[&key], Error::BondLocked);
    let claim = program.claim_exit(&patron.pubkey(), &liar.pool, 0);
    scene.world.refused(&[claim], &[&patron], Error::TicketNotMature);

    // The last slots in which the segment can be accused: bond and exit are still there, and pay.
    let round = scene.round();
    let last = scene.round_state().challenge_deadline_slot - 2;
    scene.advance_to(last);
    let accuser = Accuser::new(&mut scene, "accuser", &round, 0);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    accuser.win(&mut scene);
    assert_eq!(scene.pool_state(&liar.pool).self_bond, BOND_TOKENS * TOKEN - SLICE);
    let ticket: Ticket = scene.world.state(&program.ticket(&program.position(&liar.pool, &patron.pubkey()), 0));
    let due = scene.pool_state(&liar.pool).unbonding_assets;
    assert!(ticket.assets > due && due > 0, "the exit was slashed: {} of {}", due, ticket.assets);
}

#[test]
fn bounties_penalties_and_shares_are_those_of_the_jobs_creation() {
    let mut scene = Scene::new();
    let before = scene.job_state().parameters;
    assert_eq!(before, PARAMETERS);
    scene.whole_round(&scores(5_000_000));
    let penalties = Penalties {
        bounty_bps: 0,
        convicted_segment: sip_protocol::ground::offence::Slash { bond_bps: 5_000, delegated_bps: 0 },
        ..Penalties::DEFAULT
    };
    let changed =
        Parameters { trainers_bps: 1_000, auditors_bps: 6_000, penalties, clock_slots: 10, ..Parameters::DEFAULT };
    scene.world.set_parameters(&changed);

    // A conviction of the round that follows takes and pays by the rows that stood when the job was created.
    scene.to_committed();
    let (round, pool) = (scene.round(), scene.trainers[1].seat.pool);
    let accuser = Accuser::new(&mut scene, "accuser", &round, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    accuser.win(&mut scene);
    let segment: sip_protocol::training::segment::Segment = scene.world.state(&accuser.segment(&scene));
    assert_eq!((scene.pool_state(&pool).self_bond, segment.escrow.bounty), (BOND_TOKENS * TOKEN - SLICE, SLICE / 2));

    // And what is final is paid by the split that stood then.
    let first = scene.world.program.round(&scene.job, 0);
    scene.finalise_oldest();
    let reward = scene.world.state::<sip_protocol::training::round::Round>(&first).reward;
    let earner = scene.trainers[0].seat.pool;
    let held = scene.pool_state(&earner).held().expect("it adds up");
    scene.crank(scene.world.program.settle_segment(&scene.job, &first, &earner));
    let paid = scene.pool_state(&earner).held().expect("it adds up") - held;
    assert!(paid.abs_diff(reward / 10_000 * u64::from(Parameters::DEFAULT.trainers_bps) / 3) < 10_000);
}

#[test]
fn an_accusation_that_was_never_opened_costs_what_its_job_was_created_with() {
    let mut scene = Scene::new();
    scene.to_committed();
    let round = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &round, 1);
    let before = accuser.tokens(&scene);
    accuser.commit(&mut scene);
    let penalties = Penalties { expired_accusation_bps: 5_000, ..Penalties::DEFAULT };
    scene.world.set_parameters(&Parameters { penalties, ..Parameters::DEFAULT });
    scene.world.advance(REVEAL_SLOTS + 1);
    let expire = accuser.expire_instruction(&scene);
    scene.world.send(&[expire], &[&accuser.key]);
    let part = u64::from(PARAMETERS.penalties.expired_accusation_bps);
    assert_eq!(before - accuser.tokens(&scene), PARAMETERS.dispute_bond / 10_000 * part);
}

#[test]
fn who_asks_to_leave_when_a_change_is_proposed_has_left_before_it_takes_effect() {
    let mut world = World::new();
    let program = world.program;
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let patron = world.wallet("leaver");
    let pool = world.operator("operator", PoolKind::Trainer).seat.pool;
    world.stake(&patron, &pool, 500 * TOKEN);
    let harsher = Penalties {
        convicted_segment: sip_protocol::ground::offence::Slash { bond_bps: 10_000, delegated_bps: 5_000 },
        ..Penalties::DEFAULT
    };
    let changed = Parameters { penalties: harsher, unbonding_slots: 1_000_000, ..Parameters::DEFAULT };
    world.send(&[program.propose_parameters(&key, &changed)], &[&authority]);
    let proposed = world.ledger.slot();
    world.send(&[program.request_exit(&patron.pubkey(), &pool, 0, 500 * TOKEN)], &[&patron]);

    world.advance(DEFAULT_TIMELOCK_SLOTS);
    world.refused(&[program.apply_parameters()], &[&patron], Error::ProposalNotReady);
    world.send(&[program.claim_exit(&patron.pubkey(), &pool, 0)], &[&patron]);
    let ready = proposed + 1_000_000 + TIMELOCK_SLOTS;
    world.advance(ready - world.ledger.slot());
    world.send(&[program.apply_parameters()], &[&patron]);

    // The longest unbonding that ever was in force counts, shortened or not: an exit may still be as old.
    world.send(&[program.propose_parameters(&key, &Parameters::DEFAULT)], &[&authority]);
    world.advance(1_000_000 + TIMELOCK_SLOTS);
    world.send(&[program.apply_parameters()], &[&patron]);
    world.send(&[program.propose_parameters(&key, &changed)], &[&authority]);
    let proposal = world.config().administration.proposal;
    assert_eq!(proposal.ready_slot, world.ledger.slot() + 1_000_000 + TIMELOCK_SLOTS);
}

#[test]
fn a_fault_in_the_rules_stops_the_opening_of_rounds_at_once_for_a_bounded_time_and_nothing_that_runs() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    scene.whole_round(&scores(5_000_000));
    scene.capture_seed();
    let (round, patron) = (scene.round(), scene.patrons[0].insecure_clone());
    let accuser = Accuser::new(&mut scene, "accuser", &round, 1);
    scene.world.send(&[program.pause(&authority.pubkey())], &[&authority]);
    let open = program.open_round(&authority.pubkey(), &scene.job, 1, 3);
    scene.crank_refused(open.clone(), Error::Paused);
    // What was claimed is disputed, undone or made final, and settled.
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    accuser.win(&mut scene);
    let deadline = scene.round_state().final_slot();
    scene.advance_to(deadline);
    scene.settle_round(&round);
    let domain = program.attention_pool(&scene.job, 0);
    scene.world.send(&[program.request_exit(&patron.pubkey(), &domain, 0, TOKEN)], &[&patron]);
    scene.world.advance(PAUSE_SLOTS);
    scene.crank(open);
}
