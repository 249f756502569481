//! Patrons are paid for the attention that was there when a round was opened: attacks by those who come, go and come back, on the compiled program.

use sip_protocol::{
    ground::units::TOKEN,
    stake::{pool::SEED_SHARES, position::Position},
};
use sip_testing::{Scene, scores};
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::pay::{ROUNDING, claimable};

/// Plays a round to its end, with something done after its opening and before its pay, and settles the patrons of the first domain.
fn played(scene: &mut Scene, score: u32, meanwhile: impl FnOnce(&mut Scene)) {
    let (program, job) = (scene.world.program, scene.job);
    scene.to_committed();
    meanwhile(scene);
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(score); 3]);
    scene.finalise_all();
    let round = scene.round();
    scene.crank(program.settle_patrons(&job, &round, 0));
}

/// Patrons are paid for the attention that was there when the round was opened: who moves away afterwards keeps its part, and who comes gets none.
#[test]
fn patrons_are_paid_for_what_was_there_when_the_round_was_opened() {
    let mut scene = Scene::new();
    let (program, job) = (scene.world.program, scene.job);
    let [from, to] = [0, 1].map(|domain| program.attention_pool(&job, domain));
    let [leaver, stayer] = [0, 1].map(|number: usize| scene.patrons[number].insecure_clone());
    scene.to_committed();
    let shares = scene.world.state::<Position>(&program.position(&from, &leaver.pubkey())).shares;
    scene.world.send(&[program.move_attention(&leaver.pubkey(), &from, &to, shares, 0)], &[&leaver]);
    let dust = scene.world.wallet("dust");
    scene.world.send(&[program.deposit(&dust.pubkey(), &from, 1, 0)], &[&dust]);
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000); 3]);
    scene.finalise_all();
    let round = scene.round();
    for domain in [0, 1] {
        scene.crank(program.settle_patrons(&job, &round, domain));
    }
    let (left, moved) = (claimable(&scene, &from, &leaver), claimable(&scene, &to, &leaver));
    assert_eq!((moved, claimable(&scene, &from, &dust)), (0, 0));
    let owed = scene.pool_state(&from).rewards_owed;
    assert!(left > 0 && owed - left <= ROUNDING, "{left} of {owed}");
    let (stays, owed) = (claimable(&scene, &to, &stayer), scene.pool_state(&to).rewards_owed);
    assert!(stays > 0 && owed - stays <= ROUNDING, "{stays} of {owed}");
    // It claims what it earned where it has nothing any more.
    scene.world.send(&[program.claim_rewards(&leaver.pubkey(), &from)], &[&leaver]);
}

/// Attack: ninety times the patrons' stake comes after the opening, and a part of it is active when the pay comes. It steers, and earns nothing.
#[test]
fn attack_who_comes_to_a_domain_after_the_opening_takes_nothing_of_the_round() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let pool = program.attention_pool(&scene.job, 0);
    let (whale, loyal) = (scene.world.wallet("whale"), scene.patrons[0].insecure_clone());
    played(&mut scene, 5_000_000, |scene| {
        scene.world.send(&[program.deposit(&whale.pubkey(), &pool, 90_000 * TOKEN, 0)], &[&whale]);
        scene.world.advance(20);
        scene.crank(program.activate(&pool, &whale.pubkey()));
    });
    scene.crank(program.activate(&pool, &whale.pubkey()));
    let state = scene.pool_state(&pool);
    assert!(state.shares - SEED_SHARES > 1_000 * TOKEN, "a part of it steers");
    assert_eq!(claimable(&scene, &pool, &whale), 0);
    let (stays, owed) = (claimable(&scene, &pool, &loyal), state.rewards_owed);
    assert!(stays > 0 && owed - stays <= ROUNDING, "{stays} of {owed}");
    // What came is active after the usual time, and earns as the rest.
    let slots = scene.world.config().parameters.activation_slots;
    scene.world.advance(slots);
    scene.crank(program.activate(&pool, &whale.pubkey()));
    let before = claimable(&scene, &pool, &whale);
    played(&mut scene, 4_000_000, |_| {});
    assert!(claimable(&scene, &pool, &whale) - before > 80 * (claimable(&scene, &pool, &loyal) - stays));
}

/// Attack: stake that comes after the opening leaves as soon as a part of it is active, and comes back, again and again, so that each part counts
/// among those who left since.
#[test]
fn attack_stake_that_leaves_and_comes_back_again_and_again_takes_nothing_of_the_round() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let pool = program.attention_pool(&scene.job, 0);
    let (cycler, loyal) = (scene.world.wallet("cycler"), scene.patrons[0].insecure_clone());
    let owner = cycler.pubkey();
    let shares_of =
        |scene: &Scene, owner: &Address| scene.world.state::<Position>(&program.position(&pool, owner)).shares;
    let mut nonce = 0;
    let mut cycle = |scene: &mut Scene, wallet: &Keypair| {
        let shares = shares_of(scene, &wallet.pubkey());
        let exit = program.request_exit(&wallet.pubkey(), &pool, nonce, shares);
        let rebond = program.rebond(&wallet.pubkey(), &pool, nonce, 0);
        scene.world.send(&[exit, rebond], &[wallet]);
        nonce += 1;
    };
    played(&mut scene, 5_000_000, |scene| {
        scene.world.send(&[program.deposit(&owner, &pool, 90_000 * TOKEN, 0)], &[&cycler]);
        for _ in 0..12 {
            scene.world.advance(2);
            scene.crank(program.activate(&pool, &owner));
            cycle(scene, &cycler);
        }
    });
    scene.crank(program.activate(&pool, &owner));
    let (stays, owed) = (claimable(&scene, &pool, &loyal), scene.pool_state(&pool).rewards_owed);
    assert_eq!(claimable(&scene, &pool, &cycler), 0);
    assert!(stays > 0 && owed - stays <= ROUNDING, "{stays} of {owed}");
}

/// A patron who leaves right after the opening and comes back is paid once for the round.
#[test]
fn who_leaves_a_domain_after_the_opening_and_comes_back_is_paid_once() {
    let mut scene = Scene::new();
    let program = scene.world.program;
    let pool = program.attention_pool(&scene.job, 0);
    let (leaver, stayer) = (scene.patrons[0].insecure_clone(), scene.world.wallet("stayer"));
    scene.world.stake(&stayer, &pool, 1_000 * TOKEN);
    played(&mut scene, 5_000_000, |scene| {
        scene.world.send(&[program.request_exit(&leaver.pubkey(), &pool, 0, 1_000 * TOKEN)], &[&leaver]);
        scene.world.send(&[program.rebond(&leaver.pubkey(), &pool, 0, 0)], &[&leaver]);
        scene.world.advance(20);
        scene.crank(program.activate(&pool, &leaver.pubkey()));
        assert!(scene.world.state::<Position>(&program.position(&pool, &leaver.pubkey())).shares > TOKEN / 100);
    });
    let (left, stays) = (claimable(&scene, &pool, &leaver), claimable(&scene, &pool, &stayer));
    assert!(left > 0 && left.abs_diff(stays) <= ROUNDING, "{left} and {stays}");
}
