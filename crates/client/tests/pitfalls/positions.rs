//! Ten thousand positions: nothing that concerns all of them looks at them.

use crate::accuser::Accuser;
use sip_ledger::Ledger;
use sip_protocol::{
    ground::units::TOKEN,
    stake::{
        pool::{Pool, SEED_SHARES},
        position::Position,
    },
};
use sip_testing::{Scene, named, scores};
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// Positions of the large scene.
const MANY: usize = 10_000;
/// Base units that all positions of a pool hold together, however many they are.
const STAKE: u64 = 60_000 * TOKEN;

/// What each step took, in compute units.
type Costs = Vec<(&'static str, u64)>;

/// A scene in which so many people hold [`STAKE`] in a trainer's pool and as much in an attention pool.
struct Crowd {
    scene: Scene,
    owners: Vec<Keypair>,
    trainer: Address,
    attention: Address,
}

impl Crowd {
    fn new(count: usize) -> Crowd {
        let mut scene = Scene::new();
        let (trainer, attention) = (scene.trainers[0].seat.pool, scene.world.program.attention_pool(&scene.job, 0));
        let mut owners = Vec::new();
        for pool in [trainer, attention] {
            let first = scene.world.wallet(&format!("first of {pool}"));
            scene.world.stake(&first, &pool, STAKE);
            owners = split(&mut scene, &pool, &first, count);
        }
        Crowd { scene, owners, trainer, attention }
    }

    /// The life of a pool: epochs and yield, a round with its settlement, a conviction.
    fn live(&mut self) -> Costs {
        let mut costs = Costs::new();
        let program = self.scene.world.program;
        let slots = self.scene.world.emission().schedule.epoch_slots;
        for _ in 0..2 {
            self.scene.world.advance(slots);
            costs.push(("turn_epoch", self.scene.crank(program.turn_epoch()).compute_units));
            costs.push(("settle_yield", self.scene.crank(program.settle_yield(&self.trainer)).compute_units));
        }
        let open = program.open_round(&self.scene.world.authority.pubkey(), &self.scene.job, 0, 3);
        costs.push(("open_round", self.scene.crank(open).compute_units));
        for trainer in 0..3 {
            self.scene.commit(trainer);
        }
        self.scene.close_commits();
        self.scene.to_closed();
        self.scene.to_aggregated();
        self.scene.to_scored(&[scores(5_000_000); 3]);
        let round = self.scene.round();
        self.scene.finalise_all();
        let settle = program.settle_segment(&self.scene.job, &round, &self.trainer);
        costs.push(("settle_segment", self.scene.crank(settle).compute_units));
        let settle = program.settle_patrons(&self.scene.job, &round, 0);
        costs.push(("settle_patrons", self.scene.crank(settle).compute_units));
        costs
    }

    /// A conviction of the trainer, with its slash.
    fn convict(&mut self) -> u64 {
        self.scene.to_committed();
        let round = self.scene.round();
        let accuser = Accuser::new(&mut self.scene, "accuser", &round, 0);
        accuser.commit(&mut self.scene);
        accuser.open(&mut self.scene);
        let before = self.scene.world.ledger.statistics().compute_units;
        accuser.win(&mut self.scene);
        self.scene.world.ledger.statistics().compute_units - before
    }
}

/// Turns what one person holds into equal positions of many, as if they had staked together.
fn split(scene: &mut Scene, pool: &Address, first: &Keypair, count: usize) -> Vec<Keypair> {
    let program = scene.world.program;
    let whole: Position = scene.world.state(&program.position(pool, &first.pubkey()));
    assert_eq!((whole.shares, whole.pending), (STAKE, 0));
    let mut account = scene.world.ledger.account(&program.position(pool, &first.pubkey())).expect("the position");
    let mut left = whole.shares;
    let owners: Vec<Keypair> =
        (0..count).map(|owner| Keypair::new_from_array(named(&format!("owner {owner}")))).collect();
    for (number, owner) in owners.iter().enumerate() {
        // Different amounts, so that each rounds in its own way.
        let shares = if number + 1 == count { left } else { STAKE / count as u64 - 7 * (number as u64 % 5) };
        left -= shares;
        let (address, bump) = Address::find_program_address(
            &[sip_protocol::ground::account::seed::POSITION, pool.as_ref(), owner.pubkey().as_ref()],
            &program.id,
        );
        let header = sip_protocol::Header { bump, ..whole.header };
        let earning_shares = whole.earning_shares.min(shares);
        let position = Position { header, owner: owner.pubkey().to_bytes(), shares, earning_shares, ..whole };
        account.data = bytemuck::bytes_of(&position).to_vec();
        scene.world.ledger.set_account(address, account.clone()).expect("no account of the runtime");
    }
    scene
        .world
        .overwrite(&program.position(pool, &first.pubkey()), &Position { shares: 0, earning_shares: 0, ..whole });
    owners
}

/// Attack: make so many positions that an epoch, a round or a slash no longer fits into a transaction.
#[test]
fn unbounded_loops() {
    let [mut one, mut many] = [Crowd::new(1), Crowd::new(MANY)];
    let costs = [one.live(), many.live()];
    assert_eq!(costs[0], costs[1], "compute units depend on the number of positions");
    assert!(costs[0].iter().all(|(_, units)| (100..20_000).contains(units)), "{:?}", costs[0]);

    // What drips up to now is passed on, so that a claim pays out and adds nothing.
    for crowd in [&mut one, &mut many] {
        let settle = crowd.scene.world.program.settle_yield(&crowd.trainer);
        crowd.scene.crank(settle);
    }
    // What the pools earned is what their positions may claim, less at most one base unit each for every time that they earned.
    for pool in [many.trainer, many.attention] {
        let state: Pool = many.scene.world.state(&pool);
        let owed = state.rewards_owed;
        assert!(owed > 0 && state.shares >= STAKE + SEED_SHARES);
        let program = many.scene.world.program;
        let payee = many.scene.world.authority.insecure_clone();
        let before = many.scene.world.tokens(&payee.pubkey());
        for owner in &many.owners {
            let mut claim = program.claim_rewards(&owner.pubkey(), &pool);
            // All into one account, which is the owners' choice.
            claim.accounts[5].pubkey = program.token_account(&payee.pubkey());
            many.scene.world.ledger.send(&[claim], &payee, &[&payee, owner]).expect("everyone has earned something");
        }
        let paid = many.scene.world.tokens(&payee.pubkey()) - before;
        let state: Pool = many.scene.world.state(&pool);
        assert_eq!(state.rewards_owed, owed - paid);
        assert!(paid <= owed && owed - paid <= MANY as u64 + patrons_part(&many, &pool), "{paid} of {owed} was paid");
    }
    many.scene.world.check_conservation();

    // On crowds of which nobody has claimed: what is owed and since when counts in a pool's arithmetic.
    let [few_units, many_units] = [1, MANY].map(|count| {
        let mut crowd = Crowd::new(count);
        crowd.live();
        crowd.convict()
    });
    assert_eq!(few_units, many_units, "a slash depends on the number of positions");
}

/// What the pool's patron of the scene, who is none of the crowd, has earned and not claimed.
fn patrons_part(crowd: &Crowd, pool: &Address) -> u64 {
    let patron = crowd.scene.world.program.position(pool, &crowd.scene.patrons[0].pubkey());
    if crowd.scene.world.ledger.account(&patron).is_none() {
        return 0;
    }
    let (mut position, mut pool): (Position, Pool) = (crowd.scene.world.state(&patron), crowd.scene.world.state(pool));
    position.claim(&mut pool).unwrap_or(0)
}
