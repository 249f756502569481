//! Attack: two jobs side by side, of the same creator, with the same datasets, providers, operators, auditors' wallets, voters, evaluators and
//! accusers, in which the same happens in the same slots. Every instruction of the one is sent with every choice of its accounts
//! from the other, and each of its accounts is replaced by every other of its kind: all are refused.

use crate::accuser::Accuser;
use sip_client::{Accusation, AttestationAccusation, Hidden, NewPool, Program, Seat, StateDemand, VoteAccusation};
use sip_proof::{GraphRoots, HostSha256, Sha256, merkle::MerkleTree};
use sip_protocol::{
    ground::spec::{AccountSpec, InstructionSpec, Object},
    ground::{case::CaseKind, escrow::REVEAL_SLOTS, units::TOKEN},
    instructions::{all, spec},
    stake::pool::PoolKind,
    training::{attestation::Shown, round::Round, seats::DORMANT, segment::SegmentClaim},
};
use sip_testing::{BOND_TOKENS, Cast, Operator, Scene, World, card, named, scores};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use std::collections::{BTreeMap, BTreeSet};

/// Accounts that the caller may choose among others of its own, by instruction and place.
const CHOICES: [(&str, &str); 15] = [
    // Anybody settles any final round of the job in which the pool held the place.
    ("SettleAudit", "round"),
    ("SettleEvaluation", "round"),
    ("SettleData", "round"),
    ("SettlePatrons", "round"),
    // Which job is accused in: the accusation opens for no claim of another.
    ("CommitAccusation", "job"),
    // An auditor that draws everything attests any segment.
    ("Attest", "segment"),
    ("AttestSecond", "segment"),
    // Anybody ends whatever clock has run out.
    ("TimeOut", "dispute"),
    // Whatever bounty of the same wallet.
    ("ClaimBounty", "holder"),
    ("ClaimExit", "ticket"),
    ("Rebond", "ticket"),
    // An operator of both takes, leaves and weighs its place in either.
    ("JoinJob", "job"),
    ("LeaveJob", "job"),
    ("AllotStake", "job"),
    // Whatever attention pool a vote is for.
    ("Steer", "target"),
];

/// Two scenes of one chain.
struct Twins {
    scenes: [Scene; 2],
    /// Which of the two holds the chain.
    at: usize,
    tried: usize,
    found: BTreeSet<String>,
    names: BTreeSet<&'static str>,
}

fn average() -> GraphRoots {
    GraphRoots {
        nodes_root: named("average"),
        outputs_root: named("average's outputs"),
        node_count: 3,
        state_count: 9,
        tables_root: named("tables"),
        table_count: 2,
    }
}

fn averages() -> MerkleTree {
    let graph = average();
    let leaf = GraphRoots::leaf_of_aggregate(&graph.nodes_root, &graph.outputs_root, graph.node_count);
    MerkleTree::new([leaf; 16])
}

/// The auditor's wallet with a second pool, whose chain serves the second job.
fn second_auditor(world: &mut World, first: &Operator) -> Operator {
    let mut chain = vec![named(&format!("second {}", first.seat.pool))];
    (0..40).for_each(|link| chain.push(HostSha256::hashv(&[&chain[link]])));
    let new = NewPool {
        index: 1,
        self_bond: BOND_TOKENS * TOKEN,
        commission_bps: 1_000,
        chain_tip: chain.pop().expect("links"),
    };
    let create = world.program.create_pool(&first.key.pubkey(), PoolKind::Auditor, &new);
    world.send(&[create], &[&first.key]);
    let pool = world.program.pool(PoolKind::Auditor, &first.key.pubkey(), 1);
    let seat = Seat { operator: first.key.pubkey(), pool, place: first.seat.place };
    Operator { seat, key: first.key.insecure_clone(), chain }
}

fn same(operator: &Operator) -> Operator {
    Operator { seat: operator.seat, key: operator.key.insecure_clone(), chain: operator.chain.clone() }
}

impl Twins {
    fn new() -> Twins {
        Twins::with(&Cast::default())
    }

    fn with(cast: &Cast) -> Twins {
        let mut cast = cast.clone();
        cast.spec.aggregates_root = averages().root();
        cast.spec.challenge_slots = 12_000;
        let mut first = Scene::with(&cast);
        let (program, job) = (first.world.program, first.job);
        let creator = first.world.authority.insecure_clone();
        let twin = program.job(&creator.pubkey(), 1);
        let spec = first.job_state().spec;
        let create = program.create_job(&creator.pubkey(), 1, &spec, &first.datasets.clone());
        let describe = program.describe_job(&creator.pubkey(), &twin, &card("twin"));
        first.world.send(&[create, describe], &[&creator]);
        for number in spec.attention_numbers() {
            first.world.send(&[program.create_attention_pool(&creator.pubkey(), &twin, number)], &[&creator]);
        }
        let mut people: [Vec<Operator>; 3] = Default::default();
        for trainer in &first.trainers {
            people[0].insert(0, same(trainer));
        }
        for auditor in 0..first.auditors.len() {
            let operator = same(&first.auditors[auditor]);
            people[1].push(second_auditor(&mut first.world, &operator));
        }
        for evaluator in &first.evaluators {
            people[2].insert(0, same(evaluator));
        }
        for operator in &people[1] {
            let join = program.join_job(&operator.seat.operator, &twin, &operator.seat.pool);
            first.world.send(&[join], &[&operator.key]);
        }
        for operator in people[0].iter().chain(&people[2]) {
            let less = program.allot_stake(&operator.seat, &job, 5_000);
            let join = program.join_job_with(&operator.seat.operator, &twin, &operator.seat.pool, 5_000);
            first.world.send(&[less, join], &[&operator.key]);
        }
        // Their places are others there.
        for operators in &mut people {
            (0u8..).zip(operators).for_each(|(place, operator)| operator.seat.place = place);
        }
        for (domain, patron) in first.patrons.iter().map(Keypair::insecure_clone).enumerate() {
            let pool = program.attention_pool(&twin, domain as u32);
            first.world.stake(&patron, &pool, 1_000 * TOKEN);
        }
        let [trainers, auditors, evaluators] = people;
        let world = World { ledger: first.world.ledger.clone(), program, authority: creator };
        let second = Scene {
            world,
            job: twin,
            trainers,
            auditors,
            evaluators,
            providers: first.providers.iter().map(same).collect(),
            datasets: first.datasets.clone(),
            patrons: first.patrons.iter().map(Keypair::insecure_clone).collect(),
        };
        Twins { scenes: [first, second], at: 0, tried: 0, found: BTreeSet::new(), names: BTreeSet::new() }
    }

    /// One of the two jobs, with the chain.
    fn of(&mut self, which: usize) -> &mut Scene {
        if self.at != which {
            let [first, second] = &mut self.scenes;
            std::mem::swap(&mut first.world, &mut second.world);
            self.at = which;
        }
        &mut self.scenes[which]
    }

    fn live(&self) -> &World {
        &self.scenes[self.at].world
    }

    fn is_refused(&self, instruction: &Instruction) -> bool {
        let payer = self.live().authority.pubkey();
        let message = VersionedMessage::Legacy(Message::new(std::slice::from_ref(instruction), Some(&payer)));
        let signatures = vec![Default::default(); message.header().num_required_signatures.into()];
        let transaction = VersionedTransaction { signatures, message };
        self.live().ledger.simulate(transaction, false).result.is_err()
    }

    fn expect_refused(&mut self, instruction: &Instruction, what: impl FnOnce() -> String) {
        self.tried += 1;
        if !self.is_refused(instruction) {
            self.found.insert(what());
        }
    }

    /// Sends the same step of both jobs, after every mixture of the two. The signer is an operator, a patron, or brings its key.
    fn both(&mut self, keys: &[&Keypair], make: impl Fn(&Scene) -> Instruction) {
        let pair = [0, 1].map(|which| make(self.of(which)));
        for which in [0, 1] {
            self.attack(&pair[which], &pair[1 - which]);
        }
        let authority = self.live().authority.insecure_clone();
        let at = self.at;
        for instruction in pair {
            let is_signer = |key: &Keypair| {
                instruction.accounts.iter().any(|meta| meta.is_signer && meta.pubkey == key.pubkey())
                    && key.pubkey() != authority.pubkey()
            };
            let first = &self.scenes[0];
            let operators = first.trainers.iter().chain(&first.auditors).chain(&first.evaluators);
            let known = operators.map(|operator| &operator.key).chain(&first.patrons);
            let signers: Vec<Keypair> =
                known.chain(keys.iter().copied()).filter(|key| is_signer(key)).map(Keypair::insecure_clone).collect();
            let signers: Vec<&Keypair> = std::iter::once(&authority).chain(&signers).collect();
            self.of(at).world.send(std::slice::from_ref(&instruction), &signers);
        }
    }

    /// The instruction with every other choice of accounts, and with every single other account of a kind.
    fn attack(&mut self, instruction: &Instruction, twin: &Instruction) {
        let spec = spec(instruction.data[0]).expect("a known instruction");
        let name = spec.name;
        self.names.insert(name);
        let is_choice = |place| spec.account(place).is_some_and(|(_, account)| CHOICES.contains(&(name, account.name)));
        let mut pairs: BTreeMap<Address, Address> = BTreeMap::new();
        for (place, (one, other)) in instruction.accounts.iter().zip(&twin.accounts).enumerate() {
            if one.pubkey != other.pubkey && !is_choice(place) {
                pairs.insert(one.pubkey, other.pubkey);
            }
        }
        let pairs: Vec<(Address, Address)> = pairs.into_iter().collect();
        assert!(pairs.len() <= 10, "{name}");
        // All together are the twin's own.
        for choice in 1..(1u32 << pairs.len()) - 1 {
            let mut mixed = instruction.clone();
            for meta in &mut mixed.accounts {
                let pair = pairs.iter().position(|(one, _)| *one == meta.pubkey);
                if let Some(pair) = pair.filter(|pair| choice >> pair & 1 != 0) {
                    meta.pubkey = pairs[pair].1;
                }
            }
            self.expect_refused(&mixed, || format!("{name}: mixture {choice:b} of {}", pairs.len()));
        }
        let program = self.live().program.id;
        let all = self.live().ledger.shared_program_accounts(&program);
        for place in 0..instruction.accounts.len() {
            let address = instruction.accounts[place].pubkey;
            let Some(account) = self.state(&address).filter(|_| !is_choice(place)) else { continue };
            for (other, state) in &all {
                if *other != address && state.data().first() == account.data().first() {
                    let mut changed = instruction.clone();
                    changed.accounts[place].pubkey = *other;
                    let what = format!("{name}: account {place} is {other}, not {address}");
                    self.expect_refused(&changed, || what);
                }
            }
        }
    }

    fn state(&self, address: &Address) -> Option<AccountSharedData> {
        let account = self.live().ledger.shared_account(address)?;
        (*account.owner() == self.live().program.id && !account.data().is_empty()).then_some(account)
    }

    fn crank(&mut self, make: impl Fn(&Scene, &Program) -> Instruction) {
        self.both(&[], |scene| make(scene, &scene.world.program));
    }

    fn advance_to(&mut self, slot: impl Fn(&Scene) -> u64) {
        let slot = [0, 1].map(|which| slot(self.of(which))).into_iter().max().unwrap_or_default();
        self.of(0).advance_to(slot);
    }
}

/// The one who accuses in both jobs.
fn accusation<T>(scene: &Scene, key: &Keypair, pool: &Address, make: impl FnOnce(&Accusation<'_>) -> T) -> T {
    let (challenger, round, salt) = (key.pubkey(), scene.round(), named("salt"));
    let (job, datasets) = (&scene.job, &scene.datasets[..]);
    make(&Accusation { challenger: &challenger, job, round: &round, pool, datasets, salt: &salt })
}

fn vote_accusation<T>(scene: &Scene, key: &Keypair, make: impl FnOnce(&VoteAccusation<'_>) -> T) -> T {
    let (challenger, round, salt, graph) = (key.pubkey(), scene.round(), named("salt"), average());
    let state: Round = scene.world.state(&round);
    let trainers = scene.trainers.iter().filter(|it| state.accepted & (1 << it.seat.place) != 0);
    let segments: Vec<Address> = trainers.map(|it| scene.world.program.segment(&round, &it.seat.pool)).collect();
    let path = averages().path(segments.len() as u32 - 1);
    let path: [[u8; 32]; 4] = path.as_chunks().0.try_into().expect("sixteen leaves");
    make(&VoteAccusation {
        challenger: &challenger,
        job: &scene.job,
        round: &round,
        auditor: &scene.auditors[1].seat,
        graph: &graph,
        path: &path,
        segments: &segments,
        salt: &salt,
    })
}

fn attestation_accusation<T>(scene: &Scene, key: &Keypair, make: impl FnOnce(&AttestationAccusation<'_>) -> T) -> T {
    let (challenger, round, salt, segment) = (key.pubkey(), scene.round(), named("salt"), scene.segment(0));
    make(&AttestationAccusation {
        challenger: &challenger,
        job: &scene.job,
        round: &round,
        auditor: &scene.auditors[0].seat,
        segment: &segment,
        datasets: &scene.datasets,
        salt: &salt,
    })
}

/// A round of both jobs up to its scores.
fn work(twins: &mut Twins) {
    twins.crank(|scene, program| {
        program.open_next_round(&scene.world.authority.pubkey(), &scene.job, &scene.job_state())
    });
    for trainer in 0..3 {
        twins.both(&[], |scene| scene.commit_instruction(trainer, &scene.claim(trainer)));
    }
    twins.both(&[], |scene| {
        let claim = SegmentClaim { end_root: named("amended"), ..scene.claim(1) };
        let seat = scene.trainers[1].seat;
        scene.world.program.amend_segment(&seat.operator, &scene.job, &scene.round(), &seat.pool, &claim)
    });
    twins.crank(|scene, program| program.close_commits(&scene.job, &scene.round()));
    for auditor in 0..2 {
        twins.both(&[], |scene| {
            let (seat, preimage) = (scene.auditors[auditor].seat, scene.next_draw(auditor));
            scene.world.program.reveal_draw(&seat, &scene.job, &scene.round(), &preimage)
        });
        for trainer in 0..3 {
            twins.both(&[], |scene| {
                let (seat, segment) = (scene.auditors[auditor].seat, scene.segment(trainer));
                let (salt, trace_root) = (Scene::salt(auditor), Scene::trace_root(auditor, trainer));
                let shown = Shown { salt: &salt, trace_root: &trace_root };
                let commitment = shown.commitment::<HostSha256>(seat.pool.as_array(), segment.as_array());
                scene.world.program.attest(&seat, &scene.job, &scene.round(), &segment, &commitment)
            });
        }
    }
    twins.both(&[], |scene| scene.close_instruction(&[0, 1, 2]));
    for auditor in 0..2 {
        for trainer in 0..3 {
            let root = Scene::trace_root(auditor, trainer);
            twins.both(&[], |scene| scene.show_instruction(auditor, trainer, &root));
        }
        twins.both(&[], |scene| scene.vote_instruction(auditor, &named("base")));
    }
    for evaluator in 0..3 {
        twins.both(&[], |scene| scene.commit_score_instruction(evaluator, &scores(5_000_000)));
    }
    for evaluator in 0..3 {
        twins.both(&[], |scene| scene.reveal_score_instruction(evaluator, &scores(5_000_000)));
    }
    twins.crank(|scene, program| program.tally(&scene.job, &scene.round()));
    twins.advance_to(|scene| scene.round_state().seed_slots[1] + 1);
    twins.crank(|scene, program| program.capture_seed(&scene.job, &scene.round()));
}

fn settle(twins: &mut Twins) {
    for auditor in 0..2usize {
        twins.crank(|scene, program| {
            program.settle_audit(&scene.job, &scene.round(), &scene.auditors[auditor].seat.pool, auditor as u8)
        });
    }
    for place in 0..3usize {
        twins.crank(|scene, program| {
            program.settle_segment(&scene.job, &scene.round(), &scene.trainers[place].seat.pool)
        });
        twins.crank(|scene, program| {
            program.settle_evaluation(&scene.job, &scene.round(), &scene.evaluators[place].seat.pool, place as u8)
        });
    }
    for domain in 0..3usize {
        twins.crank(|scene, program| {
            let (dataset, pool) = (scene.datasets[domain], scene.providers[domain].seat.pool);
            program.settle_data(&scene.job, &scene.round(), domain as u8, &dataset, &pool)
        });
        twins.crank(|scene, program| program.settle_patrons(&scene.job, &scene.round(), domain as u8));
    }
}

/// What a trainer, an auditor and an evaluator of both jobs are convicted of, by the same accusers in the same slots.
fn convict(twins: &mut Twins) {
    let names = ["of a segment", "of a vote", "of a run", "of an attestation", "withdrawn", "expired"];
    let keys = names.map(|name| twins.of(0).world.wallet(&format!("accuser {name}")));
    let [segment, vote, run, attestation, withdrawn, expired] = &keys;
    let trainer = |scene: &Scene| scene.trainers[1].seat.pool;
    let evaluator = |scene: &Scene| scene.evaluators[1].seat.pool;
    for key in [segment, withdrawn, expired] {
        twins.both(&[key], |scene| {
            accusation(scene, key, &trainer(scene), |it| scene.world.program.commit_accusation(it))
        });
    }
    twins.both(&[run], |scene| {
        accusation(scene, run, &evaluator(scene), |it| scene.world.program.commit_run_accusation(it))
    });
    let commit = |scene: &Scene, hidden: &Hidden<'_>| scene.world.program.commit_hidden(hidden);
    twins.both(&[vote], |scene| vote_accusation(scene, vote, |it| commit(scene, &it.hidden())));
    twins.both(&[attestation], |scene| attestation_accusation(scene, attestation, |it| commit(scene, &it.hidden())));
    twins.of(0).world.advance(1);
    twins.both(&[attestation], |scene| {
        attestation_accusation(scene, attestation, |it| scene.world.program.open_attestation_dispute(it))
    });
    twins.both(&[vote], |scene| vote_accusation(scene, vote, |it| scene.world.program.open_vote_dispute(it)));
    twins
        .both(&[run], |scene| accusation(scene, run, &evaluator(scene), |it| scene.world.program.open_run_dispute(it)));
    twins.both(&[segment], |scene| {
        accusation(scene, segment, &trainer(scene), |it| scene.world.program.open_dispute(it))
    });
    twins.of(0).world.advance(sip_protocol::admin::config::Parameters::DEFAULT.clock_slots + 1);
    let disputes = |scene: &Scene| {
        let program = scene.world.program;
        [
            program.auditor_dispute(&scene.segment(0), &attestation.pubkey(), 0),
            program.auditor_dispute(&scene.round(), &vote.pubkey(), 1),
            program.dispute(&program.run(&scene.round(), &evaluator(scene)), &run.pubkey()),
            program.dispute(&scene.segment(1), &segment.pubkey()),
        ]
    };
    // The accuser of the attestation is on move, and loses; the others' defendants are.
    (0..4).for_each(|it| twins.crank(|scene, program| program.time_out(&disputes(scene)[it])));
    twins.crank(|scene, program| {
        let pool = scene.auditors[0].seat.pool;
        program.resolve_auditor_dispute(&attestation.pubkey(), &disputes(scene)[0], &scene.job, &scene.round(), &pool)
    });
    twins.crank(|scene, program| {
        program.resolve_run_dispute(&run.pubkey(), &scene.job, &scene.round(), &evaluator(scene))
    });
    twins.crank(|scene, program| {
        program.resolve_dispute(&segment.pubkey(), &scene.job, &scene.round(), &trainer(scene))
    });
    twins.crank(|scene, program| {
        let pool = scene.auditors[1].seat.pool;
        program.resolve_auditor_dispute(&vote.pubkey(), &disputes(scene)[1], &scene.job, &scene.round(), &pool)
    });
    twins.both(&[withdrawn], |scene| {
        accusation(scene, withdrawn, &trainer(scene), |it| scene.world.program.withdraw_accusation(it))
    });
    twins.crank(|scene, program| {
        let hash = accusation(scene, expired, &trainer(scene), |it| it.hash(&scene.segment(1)));
        program.expire_accusation(&expired.pubkey(), &scene.job, &hash)
    });
    twins.crank(|scene, program| program.claim_bounty(&scene.segment(1), &segment.pubkey()));
    twins.crank(|scene, program| program.claim_bounty(&program.run(&scene.round(), &evaluator(scene)), &run.pubkey()));
    twins.crank(|scene, program| program.claim_auditors_bounty(&scene.round(), 1, CaseKind::Aggregate, &vote.pubkey()));
}

/// What is asked of trainers of both jobs, in vain.
fn demand(twins: &mut Twins) {
    let reader = twins.of(0).world.wallet("reader");
    let wallet = reader.pubkey();
    let demand = |scene: &Scene, make: fn(&Program, &StateDemand<'_>) -> Instruction| {
        let (round, pool) = (scene.round(), scene.trainers[2].seat.pool);
        let demand = StateDemand { demander: &wallet, job: &scene.job, round: &round, pool: &pool, entry: 3, chunk: 0 };
        make(&scene.world.program, &demand)
    };
    twins.both(&[&reader], |scene| demand(scene, |program, demand| program.demand_state(demand)));
    twins.of(0).world.advance(sip_protocol::admin::config::Parameters::DEFAULT.clock_slots + 1);
    twins.both(&[], |scene| demand(scene, |program, demand| program.fail_state(demand)));
}

/// Stake in the attention pools of both jobs, and the places of both.
fn stake(twins: &mut Twins) {
    let owner = twins.scenes[0].patrons[0].pubkey();
    let pool = |scene: &Scene, number: u32| scene.world.program.attention_pool(&scene.job, number);
    twins.both(&[], |scene| scene.world.program.claim_rewards(&owner, &pool(scene, 0)));
    twins.both(&[], |scene| scene.world.program.deposit(&owner, &pool(scene, 0), 2 * TOKEN, 0));
    twins.of(0).world.advance(1_000);
    twins.both(&[], |scene| scene.world.program.activate(&pool(scene, 0), &owner));
    twins.both(&[], |scene| scene.world.program.cancel_deposit(&owner, &pool(scene, 0), 0));
    twins.both(&[], |scene| scene.world.program.move_attention(&owner, &pool(scene, 0), &pool(scene, 1), TOKEN, 0));
    twins.both(&[], |scene| scene.world.program.request_exit(&owner, &pool(scene, 0), 1, TOKEN));
    twins.both(&[], |scene| scene.world.program.request_exit(&owner, &pool(scene, 0), 2, TOKEN));
    twins.both(&[], |scene| scene.world.program.rebond(&owner, &pool(scene, 0), 2, 0));
    let slots = twins.live().config().parameters.unbonding_slots;
    twins.of(0).world.advance(slots);
    twins.both(&[], |scene| scene.world.program.claim_exit(&owner, &pool(scene, 0), 1));
    twins.both(&[], |scene| scene.world.program.allot_stake(&scene.evaluators[2].seat, &scene.job, 4_000));
    twins.both(&[], |scene| scene.world.program.leave_job(&scene.evaluators[2].seat, &scene.job));
    twins.both(&[], |scene| {
        let seat = scene.evaluators[2].seat;
        scene.world.program.join_job_with(&seat.operator, &scene.job, &seat.pool, 3_000)
    });
}

/// Closes the last round of both jobs with a claim, an unbonding time after it is over.
fn reclaim(twins: &mut Twins) {
    let slots = twins.live().config().parameters.unbonding_slots;
    twins.of(0).world.advance(slots);
    twins.crank(|scene, program| {
        let (claim, operator) = (scene.segment(0), scene.trainers[0].seat.operator);
        program.reclaim_claim(&scene.job, &scene.round(), &claim, &operator)
    });
}

/// Stake of a trainer's delegator that steers a domain of each job, and locks on attention in both.
fn steer(twins: &mut Twins) {
    let [patron, voter] = ["patron", "voter"].map(|name| match name {
        "patron" => twins.scenes[0].patrons[0].insecure_clone(),
        _ => twins.of(0).world.wallet(name),
    });
    let attention = |scene: &Scene| scene.world.program.attention_pool(&scene.job, 0);
    // Of different trainers: a position votes for one domain.
    let trainer = |scene: &Scene| scene.trainers[0].seat.pool;
    for which in [0, 1] {
        let pool = trainer(twins.of(which));
        twins.of(which).world.stake(&voter, &pool, 10 * TOKEN);
    }
    let (owner, wallet) = (patron.pubkey(), voter.pubkey());
    twins.both(&[], |scene| scene.world.program.lock_shares(&owner, &attention(scene), TOKEN, 4));
    twins.both(&[&voter], |scene| scene.world.program.steer(&wallet, &trainer(scene), &attention(scene), TOKEN));
    twins.crank(|scene, program| program.refresh_vote(&wallet, &trainer(scene), &attention(scene)));
    twins.both(&[&voter], |scene| scene.world.program.unsteer(&wallet, &trainer(scene), &attention(scene)));
}

/// A round of both jobs in which one trainer is absent and nobody votes, which is void, thawed, settled and closed.
fn void(twins: &mut Twins) {
    for which in [0, 1] {
        let scene = twins.of(which);
        scene.open_round();
        (0..2).for_each(|trainer| {
            scene.commit(trainer);
        });
    }
    twins.advance_to(|scene| scene.round_state().commit_deadline_slot);
    for which in [0, 1] {
        let scene = twins.of(which);
        scene.close_commits();
        (0..2).for_each(|auditor| scene.reveal(auditor));
        for auditor in 0..2 {
            (0..2).for_each(|trainer| scene.attest(auditor, trainer));
        }
        let close = scene.close_instruction(&[0, 1]);
        scene.crank(close);
    }
    twins.advance_to(|scene| scene.round_state().vote_deadline_slot);
    twins.crank(|scene, program| program.void_round(&scene.job, &scene.round()));
    twins.crank(|scene, program| program.thaw_segment(&scene.round(), &scene.trainers[0].seat.pool));
    twins.crank(|scene, program| program.thaw_seat(&scene.round(), &scene.auditors[0].seat.pool, 0));
    twins.advance_to(|scene| scene.round_state().final_slot() + REVEAL_SLOTS);
    twins.crank(|scene, program| {
        let seat = scene.trainers[2].seat;
        program.settle_absent(&scene.job, &scene.round(), &seat.pool, seat.place)
    });
}

/// Seats of both jobs that sleep, and one whose pool is retired.
fn seats(twins: &mut Twins) {
    for which in [0, 1] {
        let scene = twins.of(which);
        let mut job = scene.job_state();
        (0..2).for_each(|place| job.auditors[place].state = DORMANT);
        let address = scene.job;
        scene.world.overwrite(&address, &job);
    }
    twins.both(&[], |scene| scene.world.program.wake_seat(&scene.auditors[0].seat, &scene.job));
    twins.both(&[], |scene| scene.world.program.wake_seat(&scene.auditors[1].seat, &scene.job));
    for which in [0, 1] {
        let scene = twins.of(which);
        let pool = scene.auditors[0].seat.pool;
        // By slashes: one that retires leaves its places first.
        let mut state = scene.pool_state(&pool);
        state.status = sip_protocol::stake::pool::RETIRED;
        scene.world.overwrite(&pool, &state);
    }
    twins.crank(|scene, program| program.check_seat(&scene.job, &scene.auditors[0].seat.pool, 0));
}

/// A round of both jobs that builds on one whose segment is convicted.
fn undo(twins: &mut Twins) {
    for which in [0, 1] {
        let scene = twins.of(which);
        scene.open_round();
    }
    for which in [0, 1] {
        let scene = twins.of(which);
        let running = scene.job_state().next_round;
        let parent = scene.world.program.round(&scene.job, running - 2);
        let trainer = if which == 0 { 1 } else { 0 };
        let accuser = Accuser::new(scene, &format!("accuser {which}"), &parent, trainer);
        accuser.commit(scene);
        accuser.open(scene);
        accuser.win(scene);
    }
    twins.crank(|scene, _| scene.undo_round(&scene.round()));
}

/// What is demanded of two datasets of different providers.
fn demand_data(twins: &mut Twins) {
    let reader = twins.of(0).world.wallet("reader of data");
    let (wallet, first) = (reader.pubkey(), twins.scenes[0].job);
    let data = |scene: &Scene| {
        let domain = usize::from(scene.job != first);
        (scene.datasets[domain], scene.providers[domain].seat.pool)
    };
    twins.both(&[&reader], |scene| {
        let (dataset, pool) = data(scene);
        scene.world.program.demand_part(&wallet, &dataset, &pool, [1, 0])
    });
    twins.of(0).world.advance(sip_protocol::admin::config::Parameters::DEFAULT.clock_slots + 1);
    twins.crank(|scene, program| {
        let (dataset, pool) = data(scene);
        program.fail_part(&wallet, &dataset, &pool, [1, 0])
    });
}

/// Instructions in which several accounts follow from a job or a pool, and that no story here has, with the reason.
const ELSEWHERE: [(&str, &str); 21] = [
    // What is made is at an address that follows from all the others, and is not there yet: `seed_collision`, `right_type_of_another_story`.
    ("CreateAttentionPool", "the pool's address follows from the job"),
    (
        "CreateModelPool",
        "the pool's address follows from the operator; any job and any parent of another operator may be chosen",
    ),
    ("CreateJob", "which datasets it has is its creator's choice"),
    ("RegisterDataset", "the dataset's address follows from the pool"),
    ("OpenGenesisDispute", "the dispute's address follows from the job, the accusation's hash from both"),
    ("AnnouncePeer", "the record's address follows from the subject"),
    ("ClosePeer", "the record's address follows from the subject"),
    ("ReclaimPeer", "the record's address follows from the subject"),
    // Two accounts of which one names the other, so that there is no mixture that is not a single replacement.
    ("TokenizeShares", "pool and position; shares of one pool are no job's"),
    ("DetokenizeShares", "pool and position; shares of one pool are no job's"),
    ("RetireDataset", "dataset and pool"),
    ("ResolveGenesisDispute", "job and dispute"),
    ("CloseDispute", "the job is read for its parameters alone, once the dispute is old"),
    // Who signs for a pool acts in whichever dispute or demand of the pool is named; `a_session_key_does_what_is_declared_as_work_and_nothing_else`.
    ("Upload", "dispute and the pool that it names"),
    ("PlayMove", "dispute and the pool that it names"),
    ("UploadAnswer", "demand and the pool that it names"),
    ("AnswerData", "dataset, pool and demand, of which the demand names the two"),
    ("AnswerState", "the demand names segment and pool, the segment its round"),
    // The stories of tests/pitfalls replace each account of these by every other of its kind.
    ("ReclaimRound", "round and job; nothing of the round is left by then"),
    (
        "PayFee",
        "the round is the job's last, the fees' address follows from the job, the server is the payer's choice, each model names its parent",
    ),
    (
        "SettleFees",
        "the fees name the job, the job its dataset, the dataset its pool, the attention pool's address follows",
    ),
];

/// Shows all that was accepted at once.
fn check(twins: &Twins, least: usize) {
    println!("{} mixtures and replacements of {:?}", twins.tried, twins.names);
    assert!(twins.found.is_empty(), "accepted of {}: {:#?}", twins.tried, twins.found);
    assert!(twins.tried >= least, "only {} were tried", twins.tried);
}

#[test]
fn no_mixture_of_the_accounts_of_two_equal_jobs_is_accepted_from_the_opening_to_the_last_exit() {
    let mut twins = Twins::new();
    work(&mut twins);
    twins.advance_to(|scene| scene.round_state().final_slot());
    twins.crank(|scene, program| program.finalize_round(&scene.job, &scene.round()));
    settle(&mut twins);
    stake(&mut twins);
    steer(&mut twins);
    check(&twins, 2_000);
    assert_covered(&twins, &LIVES);
}

#[test]
fn no_mixture_of_the_accounts_of_two_equal_jobs_is_accepted_in_accusations_disputes_and_verdicts() {
    let mut twins = Twins::new();
    work(&mut twins);
    convict(&mut twins);
    twins.advance_to(|scene| scene.round_state().final_slot());
    settle(&mut twins);
    reclaim(&mut twins);
    check(&twins, 2_000);
    assert_covered(&twins, &VERDICTS);
}

#[test]
fn no_mixture_of_the_accounts_of_two_equal_jobs_is_accepted_in_demands_and_undone_rounds() {
    let mut twins = Twins::new();
    work(&mut twins);
    demand(&mut twins);
    twins.advance_to(|scene| scene.round_state().final_slot() + REVEAL_SLOTS);
    twins.crank(|scene, program| program.release_bounty(&scene.round(), &scene.segment(2)));
    settle(&mut twins);
    demand_data(&mut twins);
    check(&twins, 2_000);
    assert_covered(&twins, &DEMANDS);
}

#[test]
fn no_mixture_of_the_accounts_of_two_equal_jobs_is_accepted_in_void_rounds_and_sleeping_seats() {
    let mut twins = Twins::new();
    void(&mut twins);
    seats(&mut twins);
    check(&twins, 100);
    assert_covered(&twins, &VOIDS);
}

#[test]
fn no_mixture_of_the_accounts_of_two_equal_jobs_is_accepted_where_a_round_falls_with_its_parent() {
    let mut twins = Twins::new();
    work(&mut twins);
    undo(&mut twins);
    check(&twins, 500);
    assert_covered(&twins, &["UndoRound"]);
}

#[test]
fn no_mixture_of_the_accounts_of_two_equal_jobs_is_accepted_in_second_draws() {
    let mut cast = Cast::default();
    (cast.spec.audit_rate, cast.spec.second_audit_rate) = (0, u32::MAX);
    let mut twins = Twins::with(&cast);
    for which in [0, 1] {
        let scene = twins.of(which);
        scene.to_committed();
        scene.to_closed();
        scene.to_aggregated();
    }
    twins.both(&[], |scene| scene.attest_second_instruction(0, 0, &named("replay")));
    check(&twins, 20);
    assert_covered(&twins, &["AttestSecond"]);
}

/// What the stories have, each in the test that plays it.
const LIVES: [&str; 34] = [
    "OpenRound",
    "CommitSegment",
    "AmendSegment",
    "CloseCommits",
    "RevealDraw",
    "Attest",
    "CloseRound",
    "RevealAttestation",
    "VoteBase",
    "CommitScore",
    "RevealScore",
    "Tally",
    "CaptureSeed",
    "FinalizeRound",
    "SettleAudit",
    "SettleSegment",
    "SettleEvaluation",
    "SettleData",
    "SettlePatrons",
    "ClaimRewards",
    "Deposit",
    "Activate",
    "CancelDeposit",
    "MoveAttention",
    "RequestExit",
    "Rebond",
    "ClaimExit",
    "AllotStake",
    "LeaveJob",
    "JoinJob",
    "LockShares",
    "Steer",
    "RefreshVote",
    "Unsteer",
];
const VERDICTS: [&str; 13] = [
    "CommitAccusation",
    "OpenAttestationDispute",
    "OpenVoteDispute",
    "OpenRunDispute",
    "OpenDispute",
    "TimeOut",
    "ResolveAuditorDispute",
    "ResolveRunDispute",
    "ResolveDispute",
    "WithdrawAccusation",
    "ExpireAccusation",
    "ClaimBounty",
    "ReclaimClaim",
];
const DEMANDS: [&str; 5] = ["DemandState", "FailState", "ReleaseBounty", "DemandData", "FailData"];
const VOIDS: [&str; 6] = ["VoidRound", "ThawSegment", "ThawSeat", "SettleAbsent", "WakeSeat", "CheckSeat"];

fn assert_covered(twins: &Twins, names: &[&'static str]) {
    let missing: Vec<_> = names.iter().filter(|name| !twins.names.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?} were not tried");
}

/// Accounts of the protocol that an instruction names and that are not the only one of their kind.
fn named_states(spec: &InstructionSpec) -> usize {
    let is_state = |account: &AccountSpec| {
        account.objects.iter().any(|object| matches!(object, Object::State(_)) && object.single().is_none())
    };
    spec.accounts.iter().filter(|account| is_state(account)).count()
}

/// A new instruction with two accounts that could be mixed is played here, or has its reason.
#[test]
fn every_instruction_whose_accounts_could_be_mixed_is_played_in_two_worlds_or_says_why_not() {
    let played: BTreeSet<&str> = [&LIVES[..], &VERDICTS, &DEMANDS, &VOIDS, &["UndoRound", "AttestSecond"]]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    let reasons: BTreeSet<&str> = ELSEWHERE.iter().map(|(name, _)| *name).collect();
    let left: Vec<&str> = all()
        .filter(|spec| named_states(spec) > 1)
        .map(|spec| spec.name)
        .filter(|name| !played.contains(name) && !reasons.contains(name))
        .collect();
    assert!(left.is_empty(), "{left:?} are neither played nor excused");
    assert!(reasons.iter().all(|name| !played.contains(name)), "played ones need no excuse");
}
