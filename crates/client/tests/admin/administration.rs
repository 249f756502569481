//! Timelock, pause, handover of authority, vesting, and exits taken back.

use sip_protocol::{
    Error,
    admin::{
        administration::{DEFAULT_TIMELOCK_SLOTS, LIFETIME_SLOTS, PAUSE_REST_SLOTS, PAUSE_SLOTS, ProposalKind},
        config::Parameters,
    },
    ground::{
        schedule::YEAR_SLOTS,
        units::{CAP, TOKEN},
    },
    stake::{
        pool::{Pool, PoolKind},
        position::Position,
    },
};
use sip_testing::{Scene, World, scores};
use solana_signer::Signer;

#[test]
fn parameters_change_a_day_after_they_were_proposed() {
    let mut world = World::new();
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let program = world.program;
    world.refused(&[program.apply_parameters()], &[&authority], Error::NoProposal);
    let changed = Parameters { round_reward: TOKEN, ..Parameters::DEFAULT };
    world.send(&[program.propose_parameters(&key, &changed)], &[&authority]);
    world.advance(DEFAULT_TIMELOCK_SLOTS - 1);
    world.refused(&[program.apply_parameters()], &[&authority], Error::ProposalNotReady);
    world.advance(1);
    // Anyone may turn the key.
    let anyone = world.wallet("anyone");
    world.send(&[program.apply_parameters()], &[&anyone]);
    assert_eq!(world.config().parameters, changed);
    world.refused(&[program.apply_parameters()], &[&anyone], Error::NoProposal);

    world.send(&[program.propose_parameters(&key, &Parameters::DEFAULT)], &[&authority]);
    world.advance(DEFAULT_TIMELOCK_SLOTS + LIFETIME_SLOTS + 1);
    world.refused(&[program.apply_parameters()], &[&anyone], Error::ProposalExpired);
    world.refused(&[program.cancel_proposal(&anyone.pubkey())], &[&anyone], Error::NotAuthority);
    world.send(&[program.cancel_proposal(&key)], &[&authority]);
    world.refused(&[program.cancel_proposal(&key)], &[&authority], Error::NoProposal);
}

#[test]
fn the_treasury_pays_what_was_proposed_to_whom_it_was_proposed() {
    let mut world = World::new();
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let program = world.program;
    let (grantee, thief) = (world.wallet("grantee"), world.wallet("thief"));
    let before = world.tokens(&grantee.pubkey());
    let grant = program.propose_spending(&key, ProposalKind::Treasury, &grantee.pubkey(), 70 * TOKEN);
    world.send(&[grant], &[&authority]);
    world.refused(&[program.apply_spending(&grantee.pubkey())], &[&grantee], Error::ProposalNotReady);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    world.refused(&[program.apply_spending(&thief.pubkey())], &[&thief], Error::WrongTokenAccount);
    world.refused(&[program.apply_parameters()], &[&thief], Error::WrongProposal);
    world.send(&[program.apply_spending(&grantee.pubkey())], &[&grantee]);
    assert_eq!(world.tokens(&grantee.pubkey()), before + 70 * TOKEN);
    assert_eq!(world.config().buckets.treasury, CAP / 10 - 70 * TOKEN);

    let zero = program.propose_spending(&key, ProposalKind::Reserve, &grantee.pubkey(), 0);
    world.refused(&[zero], &[&authority], Error::ZeroAmount);
    let wrong = program.propose_spending(&key, ProposalKind::Parameters, &grantee.pubkey(), 1);
    world.refused(&[wrong], &[&authority], Error::WrongProposal);
    let all = program.propose_spending(&key, ProposalKind::Insurance, &grantee.pubkey(), 1);
    world.send(&[all], &[&authority]);
    world.advance(DEFAULT_TIMELOCK_SLOTS);
    world.refused(&[program.apply_spending(&grantee.pubkey())], &[&grantee], Error::BucketEmpty);
}

#[test]
fn authority_is_handed_over_in_two_steps() {
    let mut world = World::new();
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let program = world.program;
    let (next, stranger) = (world.wallet("next"), world.wallet("stranger"));
    world.refused(
        &[program.nominate_authority(&stranger.pubkey(), &stranger.pubkey())],
        &[&stranger],
        Error::NotAuthority,
    );
    world.send(&[program.propose_parameters(&key, &Parameters::DEFAULT)], &[&authority]);
    world.send(&[program.nominate_authority(&key, &next.pubkey())], &[&authority]);
    world.refused(&[program.accept_authority(&stranger.pubkey())], &[&stranger], Error::NotNominated);
    assert_eq!(world.config().authority, key.to_bytes(), "nothing has changed yet");
    world.send(&[program.accept_authority(&next.pubkey())], &[&next]);
    assert_eq!(world.config().authority, next.pubkey().to_bytes());
    assert_eq!(world.config().administration.proposal.kind, 0, "the predecessor's proposal is gone");
    world.refused(&[program.pause(&key)], &[&authority], Error::NotAuthority);
    world.refused(&[program.accept_authority(&next.pubkey())], &[&next], Error::NotNominated);
}

#[test]
fn the_team_waits_for_its_cliff() {
    let mut world = World::new();
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let program = world.program;
    let claim = program.claim_vested(&key, &key);
    world.refused(std::slice::from_ref(&claim), &[&authority], Error::NothingToClaim);
    world.advance(YEAR_SLOTS);
    world.advance(2 * YEAR_SLOTS);
    let before = world.tokens(&key);
    world.send(std::slice::from_ref(&claim), &[&authority]);
    let paid = world.tokens(&key) - before;
    let half = CAP / 100 * 15 / 2;
    assert!((half..half + TOKEN).contains(&paid), "{paid}");
    let stranger = world.wallet("stranger");
    world.refused(&[program.claim_vested(&stranger.pubkey(), &stranger.pubkey())], &[&stranger], Error::NotAuthority);
}

#[test]
fn exits_and_claims_go_on_under_pause() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let operator = scene.world.operator("stops", PoolKind::Trainer);
    let patron = scene.world.wallet("leaves");
    let (owner, pool) = (patron.pubkey(), operator.seat.pool);
    scene.world.stake(&patron, &pool, 500 * TOKEN);
    scene.whole_round(&scores(5_000_000));
    let round = scene.round();
    let world = &mut scene.world;
    world.send(&[program.pause(&authority.pubkey())], &[&authority]);

    // Nothing new …
    world.refused(&[program.deposit(&owner, &pool, TOKEN, 0)], &[&patron], Error::Paused);
    let key = authority.pubkey();
    world.refused(&[program.distribute(&key, &key, TOKEN)], &[&authority], Error::Paused);

    // … but who must cure its bond can: that clock runs on.
    world.send(&[program.add_bond(&operator.seat.operator, &pool, TOKEN)], &[&operator.key]);
    // Everyone can leave, and what was earned is settled and paid.
    world.send(&[program.request_exit(&owner, &pool, 0, 100 * TOKEN)], &[&patron]);
    world.refused(&[program.rebond(&owner, &pool, 0, 0)], &[&patron], Error::Paused);
    world.send(&[program.retire_pool(&operator.seat.operator, &pool)], &[&operator.key]);
    scene.finalise_all();
    let world = &mut scene.world;
    let trainer = scene.trainers[0].seat;
    world.send(&[program.settle_segment(&scene.job, &round, &trainer.pool)], &[&authority]);
    world.send(&[program.settle_patrons(&scene.job, &round, 0)], &[&authority]);
    world.send(&[program.claim_commission(&trainer.operator, &trainer.pool)], &[&scene.trainers[0].key]);
    let attention = program.attention_pool(&scene.job, 0);
    let holder = scene.patrons[0].insecure_clone();
    world.send(&[program.claim_rewards(&holder.pubkey(), &attention)], &[&holder]);
    let slots = world.config().parameters.unbonding_slots;
    world.advance(slots);
    assert!(slots < PAUSE_SLOTS, "still paused");
    world.refused(&[program.deposit(&holder.pubkey(), &attention, TOKEN, 0)], &[&holder], Error::Paused);
    world.send(&[program.claim_exit(&owner, &pool, 0)], &[&patron]);
    world.send(&[program.withdraw_bond(&operator.seat.operator, &pool)], &[&operator.key]);

    // The pause ends by itself, and the next one has to wait.
    world.advance(PAUSE_SLOTS - slots);
    world.refused(&[program.unpause(&key)], &[&authority], Error::NotPaused);
    world.send(&[program.deposit(&holder.pubkey(), &attention, TOKEN, 0)], &[&holder]);
    world.refused(&[program.pause(&key)], &[&authority], Error::PauseTooSoon);
    world.advance(PAUSE_REST_SLOTS);
    world.send(&[program.pause(&key)], &[&authority]);
    world.send(&[program.unpause(&key)], &[&authority]);
    world.send(&[program.deposit(&holder.pubkey(), &attention, TOKEN, 0)], &[&holder]);
}

#[test]
fn an_exit_taken_back_is_worth_what_it_would_have_paid() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let operator = scene.world.operator("operator", PoolKind::Trainer);
    let patron = scene.world.wallet("patron");
    let stranger = scene.world.wallet("stranger");
    let (owner, pool) = (patron.pubkey(), operator.seat.pool);
    let world = &mut scene.world;
    world.stake(&patron, &pool, 500 * TOKEN);
    world.send(&[program.request_exit(&owner, &pool, 0, 200 * TOKEN)], &[&patron]);
    world.send(&[program.request_exit(&owner, &pool, 1, 100 * TOKEN)], &[&patron]);
    world.send(&[program.deposit(&stranger.pubkey(), &pool, TOKEN, 0)], &[&stranger]);

    // A ticket of somebody else's, or into somebody else's position, is refused.
    let mut theft = program.rebond(&owner, &pool, 0, 0);
    theft.accounts[0] = solana_instruction::AccountMeta::new(stranger.pubkey(), true);
    theft.accounts[3].pubkey = program.position(&pool, &stranger.pubkey());
    world.refused(&[theft], &[&stranger], Error::WrongAccount);
    world.refused(&[program.rebond(&owner, &pool, 0, 200 * TOKEN + 1)], &[&patron], Error::SlippageExceeded);

    let lamports = |world: &World| world.ledger.account(&owner).map_or(0, |account| account.lamports);
    let before = lamports(world);
    world.send(&[program.rebond(&owner, &pool, 0, 200 * TOKEN)], &[&patron]);
    assert!(lamports(world) > before, "the ticket's rent comes back");
    let position: Position = world.state(&program.position(&pool, &owner));
    assert_eq!((position.shares, position.pending), (200 * TOKEN, 200 * TOKEN), "it becomes active anew");
    let state: Pool = world.state(&pool);
    assert_eq!(state.unbonding_assets, 100 * TOKEN, "the other ticket is untouched");
    world.fails(&[program.rebond(&owner, &pool, 0, 0)], &[&patron]);

    // Nobody slips back into a pool whose operator is in dispute, or that has stopped.
    let mut frozen = state;
    frozen.open_disputes = 1;
    world.overwrite(&pool, &frozen);
    world.refused(&[program.rebond(&owner, &pool, 1, 0)], &[&patron], Error::PoolFrozen);
    world.overwrite(&pool, &state);
    world.send(&[program.retire_pool(&operator.seat.operator, &pool)], &[&operator.key]);
    world.refused(&[program.rebond(&owner, &pool, 1, 0)], &[&patron], Error::PoolRetired);
}
