//! Attacks by wallets without number that found their way through no single rule: orders of convictions, accounts that cannot be paid,
//! places that are taken so that nobody else has them, a table that changes under way. What each costs stands with it.

use crate::accuser::Accuser;
use sip_client::StateDemand;
use sip_protocol::{
    Error,
    admin::config::Parameters,
    court::{MoveKind, availability::MAX_OPEN_DEMANDS},
    ground::{escrow::REVEAL_SLOTS, offence::Penalties, units::TOKEN},
    money::token::ACCOUNT_BYTES,
    stake::pool::PoolKind,
    training::{
        job::{Job, MAX_BONDS},
        round::Round,
        segment::{CONVICTED, Segment, SegmentClaim},
    },
};
use sip_testing::{Cast, PARAMETERS, SLICE, Scene, WALLET_TOKENS, card, named, scores};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_signer::Signer;

const FULL: u64 = WALLET_TOKENS * TOKEN;
const BOND: u64 = Parameters::DEFAULT.dispute_bond;
const SYSTEM_PROGRAM: Address = Address::new_from_array([0; 32]);

/// A job whose segments can be accused for long, of rounds that are built ahead.
fn long() -> Scene {
    let mut cast = Cast::default();
    (cast.spec.lookahead, cast.spec.challenge_slots) = (4, 20_000);
    Scene::with(&cast)
}

/// Accuses the segment of a trainer, who concedes.
fn convict(scene: &mut Scene, name: &str, round: &Address, trainer: usize) -> Accuser {
    let accuser = Accuser::new(scene, name, round, trainer);
    accuser.commit(scene);
    accuser.open(scene);
    accuser.win(scene);
    accuser
}

/// Another job, which trainer 1 alone trains, with its first round open.
fn second_job(scene: &mut Scene) -> (Address, Address) {
    let program = scene.world.program;
    let authority = scene.world.authority.insecure_clone();
    let key = authority.pubkey();
    let spec = scene.job_state().spec;
    let job = program.job(&key, 1);
    scene.world.send(&[program.create_job(&key, 1, &spec, &scene.datasets.clone())], &[&authority]);
    scene.world.send(&[program.describe_job(&key, &job, &card("another manifest"))], &[&authority]);
    for number in spec.attention_numbers() {
        scene.world.send(&[program.create_attention_pool(&key, &job, number)], &[&authority]);
    }
    let auditor = scene.world.operator("auditor of the second job", PoolKind::Auditor);
    let joining = [&auditor, &scene.evaluators[0], &scene.trainers[1]];
    let joins = joining.map(|operator| {
        let seat = operator.seat;
        (program.join_job_with(&seat.operator, &job, &seat.pool, 0), operator.key.insecure_clone())
    });
    for (join, key) in joins {
        scene.world.send(&[join], &[&key]);
    }
    let state: Job = scene.world.state(&job);
    scene.world.send(&[program.open_next_round(&key, &job, &state)], &[&authority]);
    (job, program.round(&job, 0))
}

/// What commits any segment of trainer 1 in the second job, and the key that signs it.
fn commit_in(scene: &Scene, (job, round): (Address, Address)) -> (Instruction, Keypair) {
    let seat = scene.trainers[1].seat;
    let (state, key): (Round, _) = (scene.world.state(&round), scene.trainers[1].key.insecure_clone());
    let claim = SegmentClaim {
        start_root: state.base_root,
        end_root: named("end"),
        accumulator_root: named("leaves"),
        leaf_count: scene.job_state().spec.leaf_count(),
        place: 0,
        ..SegmentClaim::default()
    };
    (scene.world.program.commit_segment(&seat.operator, &job, &round, &seat.pool, &claim), key)
}

/// Attack: after its first conviction a pool goes on in its other jobs and lies there, so that its delegators, who pay once for all that was claimed before, pay
/// once more for each. It claims nothing new.
#[test]
fn attack_a_pool_that_was_convicted_claims_nothing_new_in_another_job() {
    let mut scene = long();
    let pool = scene.trainers[1].seat.pool;
    let patron = scene.world.wallet("delegator");
    scene.world.stake(&patron, &pool, 10_000 * TOKEN);
    scene.whole_round(&scores(5_000_000));
    scene.whole_round(&scores(4_900_000));
    let second = second_job(&mut scene);
    let rounds = [0, 1].map(|index| scene.world.program.round(&scene.job, index));
    let assets = |scene: &Scene| scene.pool_state(&pool).assets;

    let before = assets(&scene);
    convict(&mut scene, "first", &rounds[0], 1);
    let once = assets(&scene);
    assert!(once.abs_diff(before / 10 * 7) < 1_000, "{once} of {before}");
    scene.world.advance(1);
    let (commit, key) = commit_in(&scene, second);
    scene.world.refused(&[commit], &[&key], Error::PoolConvicted);
    convict(&mut scene, "friend", &rounds[1], 1);
    assert_eq!(assets(&scene), once, "it was open when they paid");
}

/// Attack: one who is due something in a verdict gives its token account away, so that the verdict cannot be executed and the round not
/// become final. Anybody opens another account in its name. Cost to the attacker: its own payment's delay; to others: the rent of an account.
#[test]
fn attack_a_party_without_a_token_account_holds_no_verdict_up() {
    let mut scene = long();
    scene.to_committed();
    let (round, program) = (scene.round(), scene.world.program);
    let accuser = Accuser::new(&mut scene, "accuser", &round, 1);
    accuser.commit(&mut scene);
    accuser.open(&mut scene);
    let wallet = accuser.key.pubkey();
    let account = program.token_account(&wallet);
    // SetAuthority: the owner becomes somebody else. An associated account with this address there never is again.
    let stranger = named("stranger");
    let give_away = Instruction {
        program_id: program.token_program,
        accounts: vec![AccountMeta::new(account, false), AccountMeta::new_readonly(wallet, true)],
        data: [&[6, 2, 1], stranger.as_slice()].concat(),
    };
    scene.world.send(&[give_away], &[&accuser.key]);

    let liar = scene.trainers[1].key.insecure_clone();
    let dispute = program.dispute(&accuser.segment(&scene), &wallet);
    let concede = program.play_move(&liar.pubkey(), &dispute, MoveKind::Concede, 0, &[]);
    scene.world.send(&[concede], &[&liar]);
    let mut resolve = program.resolve_dispute(&wallet, &scene.job, &round, &scene.trainers[1].seat.pool);
    scene.crank_refused(resolve.clone(), Error::WrongTokenAccount);

    // Anybody: an account in the name of the wallet, which does not sign.
    let (anyone, other) = (scene.world.authority.insecure_clone(), Keypair::new_from_array(named("other account")));
    let create = Instruction {
        program_id: SYSTEM_PROGRAM,
        accounts: vec![AccountMeta::new(anyone.pubkey(), true), AccountMeta::new(other.pubkey(), true)],
        data: [
            0u32.to_le_bytes().as_slice(),
            &10_000_000u64.to_le_bytes(),
            &(ACCOUNT_BYTES as u64).to_le_bytes(),
            program.token_program.as_array(),
        ]
        .concat(),
    };
    let begin = Instruction {
        program_id: program.token_program,
        accounts: vec![AccountMeta::new(other.pubkey(), false), AccountMeta::new_readonly(program.mint(), false)],
        data: [&[18], wallet.as_array().as_slice()].concat(),
    };
    scene.world.send(&[create, begin], &[&anyone, &other]);
    resolve.accounts[6].pubkey = other.pubkey();
    scene.crank(resolve);
    assert_eq!(scene.segment_state(1).status, CONVICTED);
    assert_eq!(scene.world.ledger.token_balance(&other.pubkey()), Some(BOND));
}

/// Attack: a liar's friend makes every demand for its state that there can be, so that nobody else can ask for it. It costs half of the fees,
/// 1,040 bonds' hundredths, or the whole slice where the liar does not answer; who replays accuses without asking.
#[test]
fn attack_whoever_takes_every_demand_of_a_segment_pays_for_it_and_stops_no_accusation() {
    let mut scene = long();
    scene.to_committed();
    let (round, program) = (scene.round(), scene.world.program);
    let [friend, reader] = ["friend", "reader"].map(|name| scene.world.wallet(name));
    let (job, pool) = (scene.job, scene.trainers[1].seat.pool);
    let demand = |wallet: &Keypair, chunk| {
        let demander = wallet.pubkey();
        let demand = StateDemand { demander: &demander, job: &job, round: &round, pool: &pool, entry: 0, chunk };
        program.demand_state(&demand)
    };
    for chunk in 0..MAX_OPEN_DEMANDS as u32 {
        scene.world.send(&[demand(&friend, chunk)], &[&friend]);
    }
    scene.world.refused(&[demand(&reader, 0)], &[&reader], Error::TooManyDemands);
    let paid = FULL - scene.world.tokens(&friend.pubkey());
    assert_eq!(paid, BOND / 100 * (1..=MAX_OPEN_DEMANDS as u64).sum::<u64>());
    assert_eq!(paid, 2_080 * TOKEN);
    let accuser = convict(&mut scene, "accuser", &round, 1);
    let segment: Segment = scene.world.state(&accuser.segment(&scene));
    assert_eq!((segment.status, segment.escrow.bounty), (CONVICTED, SLICE / 2));
}

/// Attack: accuse an accomplice's segment before it is there, many times, so that everybody else's accusation needs a dearer bond; once it is
/// there, they are taken back, each less the quarter that an accusation costs which is never opened: 3,000 SIP for fifteen. An honest accuser
/// then locks sixteen bonds instead of one, never more, and has them back.
#[test]
fn attack_accusations_of_what_is_not_there_yet_make_no_bond_dearer_than_sixteen() {
    let mut scene = long();
    let round = scene.open_round();
    let friends: Vec<Accuser> =
        (0..MAX_BONDS + 4).map(|number| Accuser::new(&mut scene, &format!("friend {number}"), &round, 1)).collect();
    let mut locked = 0;
    for friend in &friends {
        friend.commit(&mut scene);
        locked += FULL - friend.tokens(&scene);
    }
    assert_eq!(locked, BOND * ((1..=MAX_BONDS).sum::<u64>() + 4 * MAX_BONDS));
    (0..3).for_each(|trainer| {
        scene.commit(trainer);
    });
    scene.close_commits();
    let honest = Accuser::new(&mut scene, "honest", &round, 1);
    honest.commit(&mut scene);
    assert_eq!(FULL - honest.tokens(&scene), MAX_BONDS * BOND);
    for friend in &friends {
        friend.open_refused(&mut scene, Error::AccusationTooOld);
        let back = friend.withdraw_instruction(&scene);
        scene.world.send(&[back], &[&friend.key]);
    }
    let lost: u64 = friends.iter().map(|friend| FULL - friend.tokens(&scene)).sum();
    assert_eq!(lost, locked / 4);
    // The bond comes down with them for the one who is next, and the honest one has all of it back.
    let next = Accuser::new(&mut scene, "next", &round, 0);
    next.commit(&mut scene);
    assert_eq!(FULL - next.tokens(&scene), 2 * BOND);
    honest.open(&mut scene);
    honest.win(&mut scene);
    assert_eq!(honest.tokens(&scene), FULL);
    assert_eq!(scene.job_state().open_accusations, 1);
}

/// Attack: the same of an accomplice's segment that is there, and is amended afterwards, so that all of it is taken back. It costs the
/// amendment and a quarter of what the bonds were dearer for the others: 2,625 SIP for fifteen.
#[test]
fn attack_accusations_of_what_is_amended_afterwards_cost_a_quarter_of_what_they_raised() {
    let mut scene = long();
    let round = scene.open_round();
    (0..3).for_each(|trainer| {
        scene.commit(trainer);
    });
    let names = (0..MAX_BONDS - 1).map(|number| format!("friend {number}"));
    let friends: Vec<Accuser> = names.map(|name| Accuser::new(&mut scene, &name, &round, 1)).collect();
    friends.iter().for_each(|friend| friend.commit(&mut scene));
    let claim = SegmentClaim { end_root: named("amended"), ..scene.claim(1) };
    let (seat, key) = (scene.trainers[1].seat, scene.trainers[1].key.insecure_clone());
    let amend = scene.world.program.amend_segment(&seat.operator, &scene.job, &round, &seat.pool, &claim);
    scene.world.send(&[amend], &[&key]);
    scene.close_commits();
    for friend in &friends {
        let back = friend.withdraw_instruction(&scene);
        scene.world.send(&[back], &[&friend.key]);
    }
    let lost: u64 = friends.iter().map(|friend| FULL - friend.tokens(&scene)).sum();
    assert_eq!(lost, BOND * (1..MAX_BONDS - 1).sum::<u64>() / 4);
    // Who accuses alone and is deceived so has all back.
    assert_eq!(friends[0].tokens(&scene), FULL);
}

/// Attack: governance makes what expires dearer while accusations of a running job wait. They cost what the job's own table says.
#[test]
fn attack_a_table_that_changes_makes_no_waiting_accusation_dearer() {
    let mut scene = long();
    scene.to_committed();
    let round = scene.round();
    let accuser = Accuser::new(&mut scene, "accuser", &round, 1);
    accuser.commit(&mut scene);
    let penalties = Penalties { expired_accusation_bps: 5_000, ..Penalties::DEFAULT };
    scene.world.set_parameters(&Parameters { penalties, ..PARAMETERS });
    scene.world.advance(REVEAL_SLOTS);
    let expire = accuser.expire_instruction(&scene);
    scene.crank(expire);
    assert_eq!(accuser.tokens(&scene), FULL - BOND / 4);
}
