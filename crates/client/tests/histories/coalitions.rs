//! Coalitions that have their own claims convicted, their rounds undone and repeated, played on the compiled program to the last settlement:
//! none ends richer than by honest work, and nobody pays for what is undone but the liars' own slices.

use sip_client::{Accusation, AttestationAccusation, Hidden, StateDemand, VoteAccusation};
use sip_proof::{GraphRoots, merkle::MerkleTree};
use sip_protocol::{
    court::{Dispute, MoveKind, Outcome, Phase},
    ground::{case::CaseKind, escrow::REVEAL_SLOTS, units::TOKEN},
    stake::pool::PoolKind,
    training::{
        job::SABOTAGE_RATIO,
        round::{self, Round},
    },
};
use sip_testing::{BOND_TOKENS, Cast, Operator, SLICE, Scene, named, scores};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::collections::BTreeMap;

/// The trainer and auditor that lie, by place. Of the evaluators the last one lies.
const LIAR: usize = 0;
/// How many auditors there are.
const AUDITORS: u64 = 2;
/// Everybody's delegated stake, tokens.
const DELEGATED: [u64; 3] = [0, 1_000, 1_000_000];

/// A way in which a member of the coalition has a claim of its own convicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Confession {
    /// A trainer concedes its segment to a friend.
    Segment,
    /// A trainer withholds its state from a friend.
    Silence,
    /// An auditor concedes its vote, true as it is.
    Vote,
    /// An evaluator concedes its scoring run.
    Run,
    /// An auditor concedes an attestation, true as it is, which undoes nothing.
    Attestation,
}

use Confession::{Attestation, Run, Segment, Silence, Vote};

/// What a coalition does: it lets a job build as far ahead as it may, confesses in a round, and goes on honestly.
#[derive(Clone, Debug)]
struct Plot {
    lookahead: u8,
    /// One after the other, all in the same round.
    confessions: Vec<Confession>,
    /// Whether they are of the oldest open round, or of the newest.
    is_oldest: bool,
    /// Whether who would be kept out of later rounds by its confession leaves the job before the first one instead.
    leaves: bool,
}

/// A job that is played.
struct Play {
    scene: Scene,
    friend: Keypair,
    /// An honest evaluator that waits for a place.
    newcomer: Option<Operator>,
}

/// The graph that averages, of which only the commitment matters here: every number of states has the same.
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

/// The score after so many rounds of honest work.
fn score(rounds_scored: u32) -> u32 {
    5_000_000 - 20_000 * rounds_scored
}

impl Play {
    fn new(lookahead: u8, delegated_tokens: u64) -> Play {
        let mut cast = Cast { evaluators: 1, ..Cast::default() };
        (cast.spec.lookahead, cast.spec.rounds) = (lookahead, u32::from(lookahead) + 1);
        cast.spec.round_reward = u64::MAX;
        cast.spec.aggregates_root = averages().root();
        // What the first draw leaves out is drawn by the second.
        (cast.spec.audit_rate, cast.spec.second_audit_rate) = (u32::MAX / 2, u32::MAX);
        let mut scene = Scene::with(&cast);
        let friend = scene.world.wallet("friend");
        let newcomer = Some(scene.world.operator("newcomer", PoolKind::Evaluator));
        let pools: Vec<Address> = Self::operators(&scene).map(|(_, pool)| pool).collect();
        if delegated_tokens > 0 {
            let delegator = scene.world.wallet("delegator");
            let (program, authority) = (scene.world.program, scene.world.authority.insecure_clone());
            let amount = delegated_tokens * pools.len() as u64 * TOKEN;
            scene.world.send(&[program.distribute(&authority.pubkey(), &delegator.pubkey(), amount)], &[&authority]);
            for pool in &pools {
                scene.world.stake(&delegator, pool, delegated_tokens * TOKEN);
            }
        }
        Play { scene, friend, newcomer }
    }

    fn operators(scene: &Scene) -> impl Iterator<Item = (String, Address)> + '_ {
        let named =
            |role: &'static str| move |(place, it): (usize, &Operator)| (format!("{role} {place}"), it.seat.pool);
        let evaluators = scene.evaluators.iter().rev().enumerate().map(named("evaluator"));
        let trainers = scene.trainers.iter().enumerate().map(named("trainer"));
        let auditors = scene.auditors.iter().enumerate().map(named("auditor"));
        trainers.chain(auditors).chain(evaluators)
    }

    fn lying_evaluator(&self) -> &Operator {
        self.scene.evaluators.last().expect("there is one")
    }

    /// The newcomer takes a place of an evaluator; who had one has none any more.
    fn replace_evaluator(&mut self) {
        let Some(mut newcomer) = self.newcomer.take() else { return };
        let job = self.scene.job_state();
        newcomer.seat.place = job.takeable(PoolKind::Evaluator, self.scene.world.ledger.slot()).expect("a place");
        let seat = newcomer.seat;
        let join = self.scene.world.program.join_job(&seat.operator, &self.scene.job, &seat.pool);
        self.scene.world.send(&[join], &[&newcomer.key]);
        self.scene.evaluators.insert(0, newcomer);
    }

    fn round(&self, index: u32) -> (Address, Round) {
        let address = self.scene.world.program.round(&self.scene.job, index);
        (address, self.scene.world.state(&address))
    }

    /// One more scored round.
    fn work(&mut self) {
        let score = score(self.scene.job_state().rounds_scored);
        self.scene.to_committed();
        self.scene.to_closed();
        self.scene.to_aggregated();
        self.scene.attest_all_again();
        let is_awaited = |it: &&Operator| self.scene.is_awaited(PoolKind::Evaluator, it);
        let awaited = self.scene.evaluators.iter().take_while(is_awaited).count();
        self.scene.to_scored(&vec![scores(score); awaited]);
    }

    fn send(&mut self, instruction: Instruction) {
        let friend = self.friend.insecure_clone();
        self.scene.world.send(&[instruction], &[&friend]);
        self.scene.world.advance(1);
    }

    fn concede(&mut self, dispute: &Address, key: &Keypair) {
        let concede = self.scene.world.program.play_move(&key.pubkey(), dispute, MoveKind::Concede, 0, &[]);
        self.scene.world.send(&[concede], &[key]);
    }

    /// Has a claim of its own in a round convicted, through the friend.
    fn confess(&mut self, confession: Confession, round: &Address) {
        let (job, program, friend) = (self.scene.job, self.scene.world.program, self.friend.pubkey());
        let (datasets, salt) = (self.scene.datasets.clone(), named("salt"));
        let operator = match confession {
            Segment | Silence => &self.scene.trainers[LIAR],
            Vote | Attestation => &self.scene.auditors[LIAR],
            Run => self.lying_evaluator(),
        };
        let (seat, key) = (operator.seat, operator.key.insecure_clone());
        let accusation =
            Accusation { challenger: &friend, job: &job, round, pool: &seat.pool, datasets: &datasets, salt: &salt };
        match confession {
            Segment => {
                self.send(program.commit_accusation(&accusation));
                self.send(program.open_dispute(&accusation));
                self.concede(&program.dispute(&program.segment(round, &seat.pool), &friend), &key);
                self.scene.crank(program.resolve_dispute(&friend, &job, round, &seat.pool));
            }
            Run => {
                self.send(program.commit_run_accusation(&accusation));
                self.send(program.open_run_dispute(&accusation));
                self.concede(&program.dispute(&program.run(round, &seat.pool), &friend), &key);
                self.scene.crank(program.resolve_run_dispute(&friend, &job, round, &seat.pool));
            }
            Vote => {
                let state: Round = self.scene.world.state(round);
                let trainers = self.scene.trainers.iter().filter(|it| state.accepted & (1 << it.seat.place) != 0);
                let segments: Vec<_> = trainers.map(|it| program.segment(round, &it.seat.pool)).collect();
                let graph = average();
                let path = averages().path(segments.len() as u32 - 1);
                let path: Vec<[u8; 32]> = path.as_chunks().0.to_vec();
                let path: [[u8; 32]; 4] = path.try_into().expect("sixteen leaves");
                let accusation = VoteAccusation {
                    challenger: &friend,
                    job: &job,
                    round,
                    auditor: &seat,
                    graph: &graph,
                    path: &path,
                    segments: &segments,
                    salt: &salt,
                };
                let hidden: Hidden<'_> = accusation.hidden();
                self.send(program.commit_hidden(&hidden));
                self.send(program.open_vote_dispute(&accusation));
                let dispute = program.auditor_dispute(round, &friend, seat.place);
                self.concede(&dispute, &key);
                self.scene.crank(program.resolve_auditor_dispute(&friend, &dispute, &job, round, &seat.pool));
            }
            Attestation => {
                // Of the segment of the trainer that confesses nothing with it.
                let segment = program.segment(round, &self.scene.trainers[LIAR + 1].seat.pool);
                let accusation = AttestationAccusation {
                    challenger: &friend,
                    job: &job,
                    round,
                    segment: &segment,
                    auditor: &seat,
                    datasets: &datasets,
                    salt: &salt,
                };
                self.send(program.commit_hidden(&accusation.hidden()));
                self.send(program.open_attestation_dispute(&accusation));
                let dispute = program.auditor_dispute(&segment, &friend, seat.place);
                // The accuser shows the leaf first, which nobody trained here; then the auditor would concede.
                let mut state: Dispute = self.scene.world.state(&dispute);
                (state.game.outcome, state.game.phase) = (Outcome::Convicted as u32, Phase::Over as u32);
                self.scene.world.overwrite(&dispute, &state);
                self.scene.crank(program.resolve_auditor_dispute(&friend, &dispute, &job, round, &seat.pool));
            }
            Silence => {
                let demand = StateDemand { demander: &friend, job: &job, round, pool: &seat.pool, entry: 0, chunk: 0 };
                self.send(program.demand_state(&demand));
                let clock_slots = self.scene.world.config().parameters.clock_slots;
                self.scene.world.advance(clock_slots + 1);
                self.scene.crank(program.fail_state(&demand));
            }
        }
    }

    /// Gives up its place instead.
    fn leave(&mut self, confession: Confession) {
        let operator = match confession {
            Segment | Silence => &self.scene.trainers[LIAR],
            Vote | Attestation => &self.scene.auditors[LIAR],
            Run => self.lying_evaluator(),
        };
        let key = operator.key.insecure_clone();
        let leave = self.scene.world.program.leave_job(&operator.seat, &self.scene.job);
        self.scene.world.send(&[leave], &[&key]);
        if confession == Run {
            self.replace_evaluator();
        }
    }

    /// Takes the friend's bounty of what was confessed; what silence left is insured in the end.
    fn collect(&mut self, confession: Confession, round: &Address) {
        let (program, friend) = (self.scene.world.program, self.friend.pubkey());
        let trainer = self.scene.trainers[LIAR].seat.pool;
        let holder = match confession {
            Segment => program.segment(round, &trainer),
            Run => program.run(round, &self.lying_evaluator().seat.pool),
            Vote | Attestation => {
                let case = if confession == Vote { CaseKind::Aggregate } else { CaseKind::Attestation };
                let place = self.scene.auditors[LIAR].seat.place;
                self.scene.crank(program.claim_auditors_bounty(round, place, case, &friend));
                return;
            }
            Silence => {
                self.scene.crank(program.release_bounty(round, &program.segment(round, &trainer)));
                return;
            }
        };
        self.scene.crank(program.claim_bounty(&holder, &friend));
    }

    /// Undoes what builds on nothing any more.
    fn undo_orphans(&mut self) {
        let job = self.scene.job_state();
        for index in 0..job.next_round {
            let (address, state) = self.round(index);
            if state.is_orphan(&job.chain) {
                self.scene.crank(self.scene.undo_round(&address));
            }
        }
    }

    /// Everyone's part in the end, base units: an operator's own, its delegators', the friend's, and of data and domains.
    fn wealth(&self) -> BTreeMap<String, u64> {
        let mut wealth = BTreeMap::from([("friend".into(), self.scene.world.tokens(&self.friend.pubkey()))]);
        let waits = self.newcomer.iter().map(|it| ("evaluator 1".into(), it.seat.pool));
        for (name, pool) in Self::operators(&self.scene).chain(waits) {
            let pool = self.scene.pool_state(&pool);
            let own = pool.self_bond + pool.commission_owed;
            wealth.insert(format!("delegators of {name}"), pool.held().expect("it adds up") - own);
            wealth.insert(name, own);
        }
        for (domain, provider) in self.scene.providers.iter().enumerate() {
            let patrons = self.scene.world.program.attention_pool(&self.scene.job, domain as u32);
            for (name, pool) in [("data", provider.seat.pool), ("patrons", patrons)] {
                let held = self.scene.pool_state(&pool).held().expect("it adds up");
                wealth.insert(format!("{name} {domain}"), held);
            }
        }
        wealth
    }

    /// Plays a plot until the job's last round is final and everyone is settled.
    fn play_to_the_end(&mut self, plot: &Plot) -> BTreeMap<String, u64> {
        if plot.leaves {
            // One operator may confess two claims.
            let once = plot.confessions.iter().filter(|it| **it != Attestation || !plot.confessions.contains(&Vote));
            once.for_each(|confession| self.leave(*confession));
            return self.work_play_to_the_end();
        }
        (0..plot.lookahead).for_each(|_| self.work());
        let index = if plot.is_oldest { 0 } else { u32::from(plot.lookahead) - 1 };
        let (accused, _) = self.round(index);
        let insured = self.scene.world.config().buckets.insurance;
        let bucket = self.scene.world.config().buckets.operator_rewards;
        plot.confessions.iter().for_each(|confession| self.confess(*confession, &accused));
        if plot.confessions.contains(&Run) {
            self.replace_evaluator();
        }
        self.undo_orphans();
        if let [confession] = plot.confessions[..] {
            let job = self.scene.job_state();
            let states = (0..job.next_round).map(|index| self.round(index).1);
            let undone = states.filter(|state| state.is_undone != 0);
            let unpaid: u64 = undone.map(|state| state.reward - state.compensation).sum();
            let attested = job.misattested_segment((1 << AUDITORS) - 1).expect("it adds up");
            let charged = if matches!(confession, Segment | Silence) { attested * AUDITORS } else { 0 };
            // Who confesses loses at least what its friend does not get back of the slice.
            assert!(unpaid + charged <= SABOTAGE_RATIO * (SLICE / 2), "{plot:?}: {unpaid} and {charged}");
        }
        if plot.confessions.iter().any(|confession| *confession != Attestation) {
            let state = self.round(index).1;
            assert_eq!((state.status, state.void_from), (round::VOID, round::SCORED), "{plot:?}");
            assert!(state.compensation <= state.reward && state.compensation > 0);
        }
        self.scene.world.advance(REVEAL_SLOTS + 1);
        // What is undone is settled before anything is repeated, out of its own pot.
        let taken = self.scene.world.config().buckets.insurance;
        // What is final draws, and nothing else.
        let mut drawn = 0;
        for index in 0..self.scene.job_state().next_round {
            let (address, state) = self.round(index);
            if state.status == round::VOID {
                while self.scene.job_state().chain.open_rounds().contains(&state.parent) {
                    let before = self.scene.world.config().buckets.operator_rewards;
                    self.scene.finalise_oldest();
                    drawn += self.scene.world.config().buckets.operator_rewards - before;
                }
                self.scene.advance_to(state.final_slot());
                self.scene.settle_round(&address);
                let state = self.round(index).1;
                assert!(state.paid <= state.compensation, "{plot:?}");
            }
        }
        let config = self.scene.world.config();
        assert!(taken >= insured && config.buckets.insurance >= taken, "the insurance never pays: {plot:?}");
        assert_eq!(config.buckets.operator_rewards, bucket + drawn, "{plot:?}: nor does the bucket");
        plot.confessions.iter().for_each(|confession| self.collect(*confession, &accused));
        self.work_play_to_the_end()
    }

    fn work_play_to_the_end(&mut self) -> BTreeMap<String, u64> {
        while self.scene.job_state().rounds_scored < self.scene.job_state().spec.rounds {
            self.work();
        }
        self.scene.finalise_all();
        let mut finals = 0;
        for index in 0..self.scene.job_state().next_round {
            let (address, state) = self.round(index);
            if state.status == round::FINAL {
                self.scene.settle_round(&address);
                finals += 1;
                assert_eq!((state.quality, state.compensation), (round::QUALITY_ONE, 0));
            }
        }
        assert_eq!(finals, self.scene.job_state().spec.rounds);
        self.wealth()
    }
}

/// What the best of all coalitions gains, base units, that holds everybody who confesses, the friend, and if `with_delegators` those of who
/// confesses: everyone else is in it who is better off. Negative for a loss.
fn best_gain(
    plot: &Plot,
    with_delegators: bool,
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
) -> i128 {
    let confesses = |operator: &str| {
        plot.confessions.iter().any(|confession| match confession {
            Segment | Silence => operator == format!("trainer {LIAR}"),
            Vote | Attestation => operator == format!("auditor {LIAR}"),
            Run => operator == format!("evaluator {LIAR}"),
        })
    };
    let is_needed = |name: &str| {
        let delegators_of = name.strip_prefix("delegators of ");
        name == "friend" || confesses(name) || (with_delegators && delegators_of.is_some_and(confesses))
    };
    let gains = before.iter().map(|(name, before)| (is_needed(name), i128::from(after[name]) - i128::from(*before)));
    gains.map(|(is_needed, gain)| if is_needed { gain } else { gain.max(0) }).sum()
}

/// Every set of roles that confesses in a round, in the order in which the least is lost.
fn confessions() -> Vec<Vec<Confession>> {
    vec![
        vec![Segment],
        vec![Silence],
        vec![Vote],
        vec![Run],
        vec![Segment, Vote],
        vec![Segment, Run],
        vec![Run, Vote],
        vec![Vote, Segment],
        vec![Vote, Run, Silence],
        vec![Vote, Silence],
        vec![Run, Silence],
        vec![Attestation],
        vec![Attestation, Vote],
        vec![Segment, Attestation],
        vec![Attestation, Run, Silence],
        vec![Segment, Vote, Run],
    ]
}

/// Every coalition of {trainers, friend, auditors, evaluators, data, patrons, delegators} of whom some confess, against the same people's
/// honest work. Delegators outside it lose the pay of an operator who is kept out, and others earn that; as they would if it left the job at
/// no cost, so that a coalition without them is compared with one that leaves.
fn no_coalition_gains(lookahead: u8, delegated: &[u64], plots: &[(Vec<Confession>, bool)]) {
    for delegated_tokens in delegated.iter().copied() {
        let play = |plot: &Plot| Play::new(lookahead, delegated_tokens).play_to_the_end(plot);
        let honest = Plot { lookahead, confessions: Vec::new(), is_oldest: true, leaves: false };
        let stayed = play(&honest);
        for (confessions, is_oldest) in plots {
            let plot = Plot { confessions: confessions.clone(), is_oldest: *is_oldest, ..honest.clone() };
            let after = play(&plot);
            let left = play(&Plot { leaves: true, ..plot.clone() });
            // What is burned of each slice, a twentieth, is nobody's any more.
            let least = i128::from(SLICE / 20) * confessions.len() as i128;
            let gains = [best_gain(&plot, true, &stayed, &after), best_gain(&plot, false, &left, &after)];
            assert!(gains.iter().all(|gain| *gain <= 10_000 - least), "{plot:?}, {delegated_tokens}: {gains:?}");
        }
    }
}

#[test]
fn no_coalition_of_roles_that_has_its_round_undone_and_repeated_ends_richer_than_by_honest_work() {
    let plots: Vec<_> = confessions().into_iter().map(|it| (it, true)).collect();
    no_coalition_gains(2, &DELEGATED, &plots);
}

#[test]
fn nor_does_one_where_a_job_builds_one_round_or_many_ahead_or_only_the_last_is_undone() {
    for lookahead in [1, 3, 5] {
        let plots = [Segment, Silence, Vote, Run].map(|it| [(vec![it], true), (vec![it], false)]).concat();
        no_coalition_gains(lookahead, &[1_000], &plots);
    }
}

#[test]
#[ignore = "minutes"]
fn nor_does_one_at_any_lookahead_with_any_stake_delegated() {
    for lookahead in 1..=8 {
        let plots: Vec<_> = confessions().into_iter().flat_map(|it| [(it.clone(), true), (it, false)]).collect();
        no_coalition_gains(lookahead, &DELEGATED, &plots);
    }
}

/// Attack: undo many rounds of others' work by one conceded vote, and have the insurance pay for all of it.
#[test]
fn a_conceded_vote_that_undoes_eight_rounds_takes_nothing_from_the_insurance_and_makes_its_coalition_poorer() {
    let lookahead = 8;
    let plot = |confessions| Plot { lookahead, confessions, is_oldest: true, leaves: false };
    let before = Play::new(lookahead, 0).play_to_the_end(&plot(Vec::new()));
    let mut play = Play::new(lookahead, 0);
    let insured = play.scene.world.config().buckets.insurance;
    let plot = plot(vec![Vote]);
    let after = play.play_to_the_end(&plot);
    assert!(play.scene.world.config().buckets.insurance >= insured);
    // The auditor loses its slice and its pay of the rounds to come, the friend has half of the slice.
    assert!(best_gain(&plot, true, &before, &after) < 0);
    assert_eq!(after["friend"] - before["friend"], SLICE / 2);
    assert_eq!(play.scene.pool_state(&play.scene.auditors[LIAR].seat.pool).self_bond, BOND_TOKENS * TOKEN - SLICE);
    let first = play.round(0).1;
    assert!(first.compensation <= SLICE / 2 && first.paid > 0);
}
