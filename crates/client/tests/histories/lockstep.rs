//! Random histories of money on the compiled program, in lock-step with the pure transitions.
//!
//! Several people send instructions of all kinds in any order. The program and [`Books`] must say the same to each: accepted, or refused
//! for the same reason; and after each, every account has the same bytes, every balance the same tokens, and the vault holds what is owed.

mod books;

use books::Books;
use sip_client::{NewModel, NewPool, Service, accounts, instruction_name, liabilities, refusal};
use sip_ledger::Ledger;
use sip_protocol::{
    Error,
    admin::{administration::ProposalKind, config::Config},
    ground::units::{CAP, TOKEN},
    instructions::CommitAccusation,
    stake::{
        pool::{ACTIVE, Pool, PoolKind},
        position::Position,
        steering::Vote,
    },
};
use sip_testing::{BOND_TOKENS, Scene, named, scores};
use solana_account::ReadableAccount;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::collections::BTreeMap;

/// Numbers that follow from a seed.
struct Random(sip_testing::Random);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.share(limit)
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// An amount of any magnitude up to a limit.
    fn amount(&mut self, limit: u64) -> u64 {
        match self.below(6) {
            0 => self.below(limit.min(5_000) + 1),
            1 => limit,
            2 => limit.saturating_add(1),
            _ => {
                let shift = self.below(32);
                self.below((limit >> shift) + 1)
            }
        }
    }
}

/// Everyone who takes part, and both ledgers.
struct Play {
    scene: Scene,
    books: Books,
    owners: Vec<Keypair>,
    pools: Vec<(Address, Keypair)>,
    attention: Vec<Address>,
    server: Address,
    models: [Address; 2],
    done: BTreeMap<&'static str, (u64, u64)>,
    hashes: Vec<(usize, [u8; 32])>,
    chunk: u32,
}

impl Play {
    fn new() -> Play {
        let mut scene = Scene::new();
        scene.whole_round(&scores(5_000_000));
        scene.finalise_all();
        let program = scene.world.program;
        let creator = scene.world.authority.insecure_clone();
        let wallet = creator.pubkey();
        let server = program.pool(PoolKind::Server, &wallet, 0);
        let models = [1, 0].map(|index| program.pool(PoolKind::Model, &wallet, index));
        let new = NewPool { self_bond: BOND_TOKENS * TOKEN, commission_bps: 700, ..NewPool::default() };
        let ancestor = NewModel { self_bond: BOND_TOKENS * TOKEN, compounding: true, ..NewModel::default() };
        let model = NewModel { index: 1, parent: Some((models[1], 2_500)), compounding: false, ..ancestor };
        for instruction in [
            program.create_compounding_pool(&wallet, PoolKind::Server, &new),
            program.create_model_pool(&wallet, &scene.job, &ancestor),
            program.create_model_pool(&wallet, &scene.job, &model),
            program.open_share_mint(&wallet, &server),
            program.open_share_mint(&wallet, &models[1]),
        ] {
            scene.world.send(&[instruction], &[&creator]);
        }
        let owners: Vec<Keypair> = (0..4).map(|owner| scene.world.wallet(&format!("owner {owner}"))).collect();
        for owner in &owners {
            for pool in [&server, &models[1]] {
                let create = program.create_share_account(&owner.pubkey(), &owner.pubkey(), pool);
                scene.world.send(&[create], &[owner]);
            }
        }
        let mut pools: Vec<(Address, Keypair)> =
            [server, models[0], models[1]].map(|pool| (pool, creator.insecure_clone())).into();
        let operators = [&scene.trainers[0], &scene.evaluators[0], &scene.providers[0], &scene.providers[1]];
        pools.extend(operators.map(|operator| (operator.seat.pool, operator.key.insecure_clone())));
        let attention = (0..3).map(|domain| program.attention_pool(&scene.job, domain)).collect();
        let books = Books { program, states: BTreeMap::new(), tokens: BTreeMap::new() };
        let (done, hashes) = (BTreeMap::new(), Vec::new());
        let mut play = Play { scene, books, owners, pools, attention, server, models, done, hashes, chunk: 0 };
        play.take_over();
        play
    }

    /// Takes the chain as it stands into the books.
    fn take_over(&mut self) {
        let (program, ledger) = (self.scene.world.program, &self.scene.world.ledger);
        let accounts = ledger.shared_program_accounts(&program.id);
        self.books.states = accounts.iter().map(|(address, account)| (*address, account.data().to_vec())).collect();
        let mut places = vec![program.vault()];
        for key in self.owners.iter().chain(self.pools.iter().map(|(_, key)| key)) {
            places.push(program.token_account(&key.pubkey()));
            places.extend([self.server, self.models[1]].map(|pool| program.share_account(&key.pubkey(), &pool)));
        }
        self.books.tokens = places.iter().filter_map(|place| Some((*place, ledger.token_balance(place)?))).collect();
    }

    /// Compares everything.
    fn compare(&self, what: &str) {
        let (program, ledger) = (self.scene.world.program, &self.scene.world.ledger);
        let accounts = ledger.shared_program_accounts(&program.id);
        assert!(
            accounts.len() == self.books.states.len(),
            "{what}: {} accounts, {} in the books",
            accounts.len(),
            self.books.states.len()
        );
        for ((address, account), (expected, state)) in accounts.iter().zip(&self.books.states) {
            assert!(address == expected && account.data() == state, "{what}: the account {address} differs");
        }
        for (place, expected) in &self.books.tokens {
            assert_eq!(ledger.token_balance(place), Some(*expected), "{what}: the balance of {place}");
        }
        let owed = liabilities(self.books.states.values().map(Vec::as_slice)).expect("accounts decode");
        assert_eq!(self.books.tokens[&program.vault()], owed, "{what}: the vault holds what is owed");
        let config: Config = self.books.read(&program.config()).expect("the configuration");
        let mint = ledger.account(&program.mint()).expect("the mint");
        let supply = u64::from_le_bytes(mint.data[36..44].try_into().expect("8 bytes"));
        assert_eq!(supply, CAP - config.burned, "{what}: the supply");
    }

    /// Sends an instruction to both ledgers.
    fn send(&mut self, instruction: Instruction, signer: &Keypair) {
        let name = instruction_name(instruction.data[0]).expect("a known instruction");
        let slot = self.scene.world.ledger.slot();
        let expected = self.books.execute(&instruction, slot);
        let payer = self.scene.world.authority.insecure_clone();
        let found = match self.scene.world.ledger.send(&[instruction], &payer, &[&payer, signer]) {
            Ok(_) => Ok(()),
            // What the token program refuses ends the transaction with a code of its own.
            Err(_) if expected == Err(Error::CallFailed) => expected,
            Err(error) => Err(error.custom_code().and_then(refusal).unwrap_or_else(|| panic!("{name}: {error}"))),
        };
        assert_eq!(found, expected, "{name} in slot {slot}");
        let count = self.done.entry(name).or_default();
        if found.is_ok() {
            count.0 += 1;
            self.compare(name);
        } else {
            count.1 += 1;
        }
    }

    /// What an owner holds in a pool.
    fn position(&self, pool: &Address, owner: &Address) -> Option<Position> {
        self.books.read(&self.scene.world.program.position(pool, owner)).ok()
    }

    /// One step of any kind by anyone.
    fn step(&mut self, random: &mut Random) {
        let owner = self.owners[random.below(4) as usize].insecure_clone();
        let wallet = owner.pubkey();
        let (pool, operator) = {
            let (pool, operator) = &self.pools[random.below(self.pools.len() as u64) as usize];
            (*pool, operator.insecure_clone())
        };
        let any = if random.below(3) == 0 { random.pick(&self.attention) } else { pool };
        let program = self.scene.world.program;
        let balance = self.books.tokens[&program.token_account(&wallet)];
        let held = self.position(&any, &wallet);
        let (shares, tickets) = held.map_or((0, 0), |held| (held.shares, held.tickets));
        let instruction = match random.below(20) {
            0 | 1 => {
                let amount = random.amount(balance / 2);
                program.deposit(&wallet, &any, amount, if random.below(9) == 0 { amount } else { 0 })
            }
            2 | 3 if held.is_some() => program.activate(&any, &wallet),
            4 if held.is_some() => program.cancel_deposit(&wallet, &any, tickets),
            5 | 6 if held.is_some() => program.request_exit(&wallet, &any, tickets, random.amount(shares)),
            7 | 8 if tickets > 0 => {
                let nonce = random.below(tickets as u64) as u32;
                if random.below(4) == 0 {
                    program.rebond(&wallet, &any, nonce, 0)
                } else {
                    program.claim_exit(&wallet, &any, nonce)
                }
            }
            9 | 10 if held.is_some() => program.claim_rewards(&wallet, &any),
            11 => {
                let [from, to] = [0; 2].map(|_| random.pick(&self.attention));
                let Some(position) = self.position(&from, &wallet) else { return };
                program.move_attention(&wallet, &from, &to, random.amount(position.shares), 0)
            }
            12 => return self.step_with_tokens(random, &owner),
            13 => {
                let target = random.pick(&self.attention);
                let Some(position) = self.position(&target, &wallet) else { return };
                program.lock_shares(&wallet, &target, random.amount(position.shares), random.below(50))
            }
            14 => return self.step_with_a_vote(random, &owner),
            15 => {
                let instruction = match random.below(8) {
                    0..3 => program.claim_commission(&operator.pubkey(), &pool),
                    3..6 => program.add_bond(&operator.pubkey(), &pool, random.amount(100 * TOKEN)),
                    6 if random.below(12) == 0 => program.retire_pool(&operator.pubkey(), &pool),
                    _ => program.withdraw_bond(&operator.pubkey(), &pool),
                };
                return self.send(instruction, &operator);
            }
            16 => return self.step_of_money(random, &owner, &any),
            17 => return self.step_of_a_challenge(random, &owner),
            18 => return self.step_of_the_authority(random, &wallet),
            19 => return self.pass(random),
            _ => return,
        };
        self.send(instruction, &owner);
    }

    fn step_with_tokens(&mut self, random: &mut Random, owner: &Keypair) {
        let (program, wallet) = (self.scene.world.program, owner.pubkey());
        let pool = random.pick(&[self.server, self.models[1]]);
        let account = program.share_account(&wallet, &pool);
        let instruction = if random.below(2) == 0 {
            let Some(position) = self.position(&pool, &wallet) else { return };
            program.tokenize_shares(&wallet, &pool, &account, random.amount(position.shares))
        } else {
            program.detokenize_shares(&wallet, &pool, &account, random.amount(self.books.tokens[&account]))
        };
        self.send(instruction, owner);
    }

    fn step_with_a_vote(&mut self, random: &mut Random, owner: &Keypair) {
        let (program, wallet) = (self.scene.world.program, owner.pubkey());
        let (pool, target) = (self.pools[random.below(4) as usize].0, random.pick(&self.attention));
        let Some(position) = self.position(&pool, &wallet) else { return };
        let vote = self.books.read::<Vote>(&program.vote(&program.position(&pool, &wallet)));
        let steered = vote.map_or(target, |vote| Address::new_from_array(vote.target));
        let instruction = match random.below(4) {
            0 | 1 => program.steer(&wallet, &pool, &target, random.amount(position.shares)),
            _ if vote.is_err() => return,
            2 => program.refresh_vote(&wallet, &pool, &random.pick(&[target, steered])),
            _ => program.unsteer(&wallet, &pool, &random.pick(&[target, steered])),
        };
        self.send(instruction, owner);
    }

    fn step_of_money(&mut self, random: &mut Random, owner: &Keypair, pool: &Address) {
        let program = self.scene.world.program;
        let (job, round) = (self.scene.job, self.scene.round());
        let domain = random.below(2) as u8;
        let (dataset, provider) =
            (self.scene.datasets[domain as usize], self.scene.providers[domain as usize].seat.pool);
        let place = random.below(3) as usize;
        let instruction = match random.below(11) {
            0 | 1 => {
                let service = Service { job: &job, round: &round, server: &self.server, models: &self.models };
                program.pay_fee(&owner.pubkey(), &service, &named("receipt"), random.amount(500 * TOKEN))
            }
            2 if self.books.states.contains_key(&program.fees(&job)) => {
                program.settle_fees(&job, domain, &dataset, &provider)
            }
            3 | 4 => program.turn_epoch(),
            5 | 6 => program.settle_yield(pool),
            7 => program.settle_segment(&job, &round, &self.scene.trainers[place].seat.pool),
            8 => program.settle_evaluation(&job, &round, &self.scene.evaluators[place].seat.pool, place as u8),
            9 => program.settle_audit(&job, &round, &self.scene.auditors[place % 2].seat.pool, (place % 2) as u8),
            10 if random.below(2) == 0 => program.settle_data(&job, &round, domain, &dataset, &provider),
            10 => program.settle_patrons(&job, &round, domain),
            _ => return,
        };
        self.send(instruction, owner);
    }

    fn step_of_a_challenge(&mut self, random: &mut Random, owner: &Keypair) {
        let (program, wallet) = (self.scene.world.program, owner.pubkey());
        let domain = random.below(2) as usize;
        let (dataset, pool) = (self.scene.datasets[domain], self.scene.providers[domain].seat.pool);
        let chunk = random.below(self.chunk as u64 + 1) as u32;
        let address = program.demand(&dataset, &wallet, 0, chunk);
        let is_there = self.books.states.contains_key(&address);
        let instruction = match random.below(6) {
            0 => {
                self.chunk = (self.chunk + 1) % 6;
                program.demand_data(&wallet, &dataset, &pool, chunk)
            }
            1 | 2 if is_there => program.fail_data(&wallet, &dataset, &pool, chunk),
            3 if is_there => program.close_demand(&wallet, &address),
            4 => {
                let hash = named(&format!("hash {}", random.below(1_000_000)));
                self.hashes.push((self.owners.iter().position(|key| key.pubkey() == wallet).expect("an owner"), hash));
                let accounts = accounts::CommitAccusation { challenger: wallet, job: self.scene.job };
                program.instruction(&CommitAccusation { hash }, &accounts)
            }
            5 if !self.hashes.is_empty() => {
                let (number, hash) = random.pick(&self.hashes);
                let challenger = self.owners[number].pubkey();
                if !self.books.states.contains_key(&program.accusation(&challenger, &hash)) {
                    return;
                }
                program.expire_accusation(&challenger, &self.scene.job, &hash)
            }
            _ => return,
        };
        self.send(instruction, owner);
    }

    fn step_of_the_authority(&mut self, random: &mut Random, wallet: &Address) {
        let program = self.scene.world.program;
        let authority = self.scene.world.authority.insecure_clone();
        let key = authority.pubkey();
        let instruction = match random.below(10) {
            0 | 1 => program.distribute(&key, wallet, random.amount(1_000 * TOKEN)),
            2 => program.claim_vested(&key, &key),
            3 => program.pause(&key),
            4 | 5 => program.unpause(&key),
            6 => {
                let kind = random.pick(&[ProposalKind::Treasury, ProposalKind::Reserve, ProposalKind::Insurance]);
                program.propose_spending(&key, kind, wallet, random.amount(500 * TOKEN))
            }
            7 | 8 => {
                let config: Config = self.books.read(&program.config()).expect("the configuration");
                let paid = Address::new_from_array(config.administration.proposal.destination);
                let mut apply = program.apply_spending(wallet);
                if self.books.tokens.contains_key(&paid) {
                    apply.accounts[2].pubkey = paid;
                }
                apply
            }
            _ if random.below(3) == 0 => program.cancel_proposal(&key),
            _ => {
                let new = NewPool {
                    index: 1 + random.below(4) as u32,
                    self_bond: random.pick(&[BOND_TOKENS * TOKEN, 1]),
                    commission_bps: random.below(3_000) as u16,
                    ..NewPool::default()
                };
                program.create_pool(&key, PoolKind::Trainer, &new)
            }
        };
        self.send(instruction, &authority);
    }

    /// Time passes; now and then half a year, and now and then there is a round.
    fn pass(&mut self, random: &mut Random) {
        let slots = match random.below(40) {
            0 => 40_000_000,
            1..8 => 400_000,
            _ => random.below(40_000),
        };
        self.scene.world.advance(slots);
        let is_over = self.scene.job_state().next_round >= self.scene.job_state().spec.rounds;
        let operators = [&self.scene.trainers[0], &self.scene.evaluators[0]];
        let all_active = operators.iter().all(|operator| self.scene.pool_state(&operator.seat.pool).status == ACTIVE);
        let is_running = self.scene.world.config().require_running(self.scene.world.ledger.slot()).is_ok();
        if random.below(12) == 0 && !is_over && all_active && is_running {
            // What a round does is tested elsewhere; its rewards are settled here.
            self.scene.whole_round(&scores(5_000_000));
            self.scene.finalise_all();
            self.take_over();
        }
    }
}

/// What the histories must contain, each at least so many times with success.
const COVERED: [&str; 36] = [
    "Distribute",
    "CreatePool",
    "AddBond",
    "RetirePool",
    "WithdrawBond",
    "Deposit",
    "RequestExit",
    "ClaimExit",
    "ClaimRewards",
    "ClaimCommission",
    "MoveAttention",
    "SettleSegment",
    "SettleAudit",
    "SettleEvaluation",
    "SettleData",
    "SettlePatrons",
    "ProposeSpending",
    "ApplySpending",
    "CancelProposal",
    "Pause",
    "Unpause",
    "ClaimVested",
    "Rebond",
    "Activate",
    "CancelDeposit",
    "TurnEpoch",
    "SettleYield",
    "PayFee",
    "SettleFees",
    "TokenizeShares",
    "DetokenizeShares",
    "LockShares",
    "Steer",
    "Unsteer",
    "RefreshVote",
    "DemandData",
];
/// What happens too rarely to be asked of a short history.
const RARE: [&str; 4] = ["FailData", "CloseDemand", "CommitAccusation", "ExpireAccusation"];

fn histories(seeds: std::ops::Range<u64>, steps: usize) -> BTreeMap<&'static str, (u64, u64)> {
    let mut done: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
    for seed in seeds {
        let mut random = Random(sip_testing::Random::new(seed));
        let mut play = Play::new();
        for _ in 0..steps {
            play.step(&mut random);
        }
        // Whatever it was, it was conserved; and a share of every pool still has a price.
        play.scene.world.check_conservation();
        for (pool, _) in &play.pools {
            let state: Pool = play.books.read(pool).expect("the pool");
            assert!(state.shares >= sip_protocol::stake::pool::SEED_SHARES);
        }
        for (name, (accepted, refused)) in play.done {
            let sum = done.entry(name).or_default();
            *sum = (sum.0 + accepted, sum.1 + refused);
        }
    }
    for (name, (accepted, refused)) in &done {
        println!("{name:<20} {accepted:>8} {refused:>8}");
    }
    done
}

#[test]
fn the_program_does_what_the_transitions_say_in_any_order_of_instructions() {
    let done = histories(0..4, 1_500);
    for name in COVERED.iter().chain(&RARE) {
        let accepted = done.get(name).map_or(0, |count| count.0);
        assert!(accepted > 0, "no history reaches a {name} that is accepted");
    }
}

#[test]
#[ignore = "minutes"]
fn the_program_does_what_the_transitions_say_over_a_hundred_thousand_steps() {
    histories(1_000..1_020, 5_000);
}
