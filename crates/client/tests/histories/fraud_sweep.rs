//! No lie survives an honest challenger, and no honest trainer loses anything to a dishonest one: by chance, on the
//! compiled program. The short tests run everywhere; the long one is
//!
//!     cargo test --release -p sip-client --test histories fraud_sweep:: -- --ignored --nocapture
//!
//! A case that fails prints its seed; `SIP_SWEEP_SEED=<seed> SIP_SWEEP_CASES=1` and the name of its test play it again.

use crate::claims::{Claims, SUBJECTS};
use crate::sweep::fraud::{Commitment, Fraud};
use crate::sweep::players::{Trainer, garbage};
use crate::sweep::stage::Stage;
use crate::sweep::story::{Claim, Story};
use sip_node::dispute::{Challenger, Defender, Move};
use sip_protocol::court::{Game, MoveKind, Outcome, Phase, Side};
use sip_protocol::training::segment;
use sip_protocol::training::setting::SETTING_ONE;
use sip_testing::Random;
use sip_testing::SLICE;
use solana_instruction::Instruction;
use solana_signer::Signer;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Steps of a segment and of a leaf.
const SHAPES: [(u32, u32); 6] = [(1, 1), (4, 1), (7, 3), (18, 1), (19, 16), (34, 2)];
/// Attempts that a player of garbage makes before it falls silent.
const ATTEMPTS: usize = 40;

/// A chain, the segments on it, and the honest one of them.
struct Bench {
    stage: Stage,
    story: Arc<Story>,
    honest: Claim,
}

impl Bench {
    fn new((inner_steps, steps_per_leaf): (u32, u32)) -> Bench {
        let mut story = Story::new(inner_steps, steps_per_leaf);
        let stage = Stage::new(&story.ground);
        story.ground = stage.ground;
        let story = Arc::new(story);
        Bench { honest: story.run(None, None), story, stage }
    }

    fn game(&self) -> Game {
        self.stage.state().game
    }

    fn outcome(&self) -> Outcome {
        self.game().outcome().expect("an outcome")
    }

    /// A fraud that is seen in what is committed, and the segment that it makes. Where there is one step only, the trace that
    /// the trainer will claim is reached whatever the state, so that any false value will do.
    fn fraud(&self, random: &mut Random) -> (Fraud, Claim) {
        loop {
            let fraud = Fraud::draw(random, &self.story);
            if fraud.is_of_commitment() {
                return (fraud, self.honest.clone());
            }
            let claim = self.story.run(Some(&fraud), Some(&self.honest));
            let is_traced = matches!(fraud, Fraud::Carried { .. }) && self.story.ground.inner_steps == 1;
            let differs = claim.accumulator_root() != self.honest.accumulator_root();
            if differs || is_traced && claim.differs_in_trace(&self.honest) {
                return (fraud, claim);
            }
        }
    }
}

/// Prints what a panic interrupts.
struct OnFailure(String);

impl Drop for OnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text}; it must be a number")))
}

/// Runs so many cases; each has a seed of its own.
fn repeat(test: &str, cases: u64, seed: u64, mut case: impl FnMut(&mut Random, &mut Tally)) -> Tally {
    let seed = from_environment("SIP_SWEEP_SEED").unwrap_or(seed);
    let cases = from_environment("SIP_SWEEP_CASES").unwrap_or(cases);
    let mut tally = Tally::default();
    for number in 0..cases {
        let mut random = Random::new(seed + number);
        let _on_failure = OnFailure(format!(
            "again: SIP_SWEEP_SEED={} SIP_SWEEP_CASES=1 cargo test --release -p sip-client --test histories {test} -- --include-ignored",
            seed + number
        ));
        case(&mut random, &mut tally);
    }
    println!("{test}: {cases} cases from seed {seed}, {} transactions", tally.transactions);
    for (subject, count) in &tally.subjects {
        println!("  {count:>5}  {subject}");
    }
    tally
}

/// Runs so many cases about segments of all shapes.
fn sweep(test: &str, cases: u64, seed: u64, mut case: impl FnMut(&mut Bench, &mut Random, &mut Tally)) -> Tally {
    let mut benches: BTreeMap<usize, Bench> = BTreeMap::new();
    repeat(test, cases, seed, |random, tally| {
        let shape = random.below(SHAPES.len() as u32) as usize;
        let bench = benches.entry(shape).or_insert_with(|| Bench::new(SHAPES[shape]));
        case(bench, random, tally);
    })
}

/// Runs so many cases about votes, attestations, genesis states and scoring runs.
fn sweep_claims(test: &str, cases: u64, seed: u64, is_false: impl Fn(&mut Random) -> bool) -> Tally {
    let mut claims = Claims::new();
    repeat(test, cases, seed, |random, tally| {
        let subject = random.pick(&SUBJECTS);
        let is_false = is_false(random);
        let what = claims.play(subject, is_false, random);
        tally.transactions += claims.transactions(subject);
        tally.count(format!("{what}: {}", if is_false { "convicted" } else { "acquitted" }));
    })
}

/// What the cases were about.
#[derive(Default)]
struct Tally {
    transactions: u64,
    subjects: BTreeMap<String, u32>,
}

impl Tally {
    fn count(&mut self, subject: String) {
        *self.subjects.entry(subject).or_default() += 1;
    }
}

/// Writes anywhere in the buffer, and perhaps plays what it then holds.
fn stray(bench: &Bench, random: &mut Random, side: Side) -> Vec<Instruction> {
    let (program, dispute) = (bench.stage.scene.world.program, bench.stage.dispute());
    let party = bench.stage.key(side).pubkey();
    let len = random.below(880) as usize;
    let (offset, bytes) = (random.below(4_000) as u16, random.bytes(len));
    if random.percent(50) {
        return vec![program.upload(&party, &dispute, offset, &bytes)];
    }
    // Who gives up ends the game; that is no attack.
    let kind = MoveKind::ALL[1 + random.below(MoveKind::ALL.len() as u32 - 1) as usize];
    vec![program.play_move(&party, &dispute, kind, offset, &bytes)]
}

/// A trainer commits a fraud; an honest challenger answers it. `noise` is how often, in percent, the trainer plays garbage
/// instead of what it committed.
fn convict(bench: &mut Bench, random: &mut Random, tally: &mut Tally, noise: u32) {
    let committed = bench.fraud(random);
    convict_of(bench, random, tally, noise, committed);
}

/// The same for this fraud, and the segment that it makes.
fn convict_of(bench: &mut Bench, random: &mut Random, tally: &mut Tally, noise: u32, committed: (Fraud, Claim)) {
    let (fraud, claim) = committed;
    let _on_failure = OnFailure(format!("{fraud:?}"));
    let commitment = Commitment::new(&claim, Some(&fraud));
    bench.stage.accuse(commitment.end_root, commitment.accumulator_root);
    let (bond, tokens) = (bench.stage.pool_state().self_bond, bench.stage.challenger_tokens());
    let graph = bench.story.graph.clone();
    let mut trainer = Trainer::new(claim, commitment, graph.clone(), random.percent(50));
    let mut challenger = Challenger::new(graph, bench.honest.clone());
    let mut last = None;
    let mut garbage_left = ATTEMPTS;
    let mut sent: Vec<Vec<Instruction>> = Vec::new();
    while bench.outcome() == Outcome::Open {
        let game = bench.game();
        if game.on_move().expect("the game is on") == Side::Challenger {
            let next = challenger.next(&game).expect("evidence").expect("the challenger is on move");
            assert_ne!(next.kind, MoveKind::Concede, "the challenger gives up in {:?}", game.phase());
            bench.stage.play(Side::Challenger, &next).expect("an honest challenger's moves are legal");
            last = Some(next.kind);
            continue;
        }
        let sensible = trainer.next(&game);
        if garbage_left > 0 && random.percent(noise) {
            garbage_left -= 1;
            bench.stage.scene.world.advance(random.below(100));
            let key = bench.stage.key(Side::Trainer);
            let instructions = match random.below(10) {
                // What was sent before is sent again.
                0 | 1 if !sent.is_empty() => random.pick(&sent).clone(),
                2 => stray(bench, random, Side::Trainer),
                _ => bench.stage.instructions(&key, &garbage(random, sensible)),
            };
            // Refused or not: what follows is the challenger's to answer.
            let _ = bench.stage.attempt(&key, &instructions);
            sent.push(instructions);
            continue;
        }
        let is_played = sensible.is_some_and(|next| {
            last = Some(next.kind);
            bench.stage.play(Side::Trainer, &next).is_ok()
        });
        if !is_played {
            bench.stage.fall_silent();
            last = None;
        }
    }
    assert_eq!(bench.outcome(), Outcome::Convicted, "{fraud:?}");
    bench.stage.settle();
    let parameters = bench.stage.scene.world.config().parameters;
    let bounty = parameters.penalties.bounty(SLICE).unwrap();
    assert_eq!(bench.stage.segment_status(), segment::CONVICTED);
    assert_eq!(bench.stage.pool_state().self_bond, bond - SLICE);
    assert_eq!(bench.stage.challenger_tokens(), tokens + parameters.dispute_bond + bounty);
    tally.transactions += bench.stage.scene.world.ledger.statistics().transactions;
    tally.count(format!(
        "{}, by {}",
        fraud.subject(&bench.story),
        last.map_or("silence".into(), |kind| format!("{kind:?}"))
    ));
}

/// What a dishonest challenger does on its turn.
fn attack(bench: &mut Bench, random: &mut Random, liar: &mut Challenger<Claim>, sent: &mut Vec<Vec<Instruction>>) {
    let game = bench.game();
    let phase = game.phase().expect("a phase");
    let key = bench.stage.key(Side::Challenger);
    let believed = liar.next(&game).ok().flatten().filter(|next| next.kind != MoveKind::Concede);
    let pick = |index: u32| Move { kind: MoveKind::Pick, payload: index.to_le_bytes().to_vec() };
    let instructions = match random.below(100) {
        // Picks something that is there, and so leads on.
        0..50 => {
            let item_bytes = match phase {
                Phase::PickElement | Phase::PickPiece => 4,
                Phase::PickStep => 64,
                _ => 32,
            };
            let items = (game.table().len() as u32 / item_bytes).max(1);
            bench.stage.instructions(&key, &pick(random.below(items + u32::from(phase == Phase::PickPiece))))
        }
        // What would be right if its own false view were.
        50..65 => match believed {
            Some(next) => bench.stage.instructions(&key, &next),
            None => return,
        },
        65..75 => bench.stage.instructions(&key, &garbage(random, believed)),
        75..80 => bench.stage.instructions(&key, &Move { kind: MoveKind::DisputeState, payload: vec![] }),
        80..84 => bench.stage.instructions(&key, &pick(random.next() as u32)),
        84..90 if !sent.is_empty() => random.pick(sent).clone(),
        90..94 => {
            // Someone else writes into the buffer, or plays.
            let stranger = bench.stage.stranger.insecure_clone();
            let next = garbage(random, believed);
            let foreign = bench.stage.instructions(&stranger, &next);
            bench.stage.attempt(&stranger, &foreign).expect_err("a stranger is no party");
            return;
        }
        94..97 => {
            bench.stage.time_out().expect_err("nobody's time has run out");
            return;
        }
        _ => stray(bench, random, Side::Challenger),
    };
    let _ = bench.stage.attempt(&key, &instructions);
    sent.push(instructions);
}

/// An honest trainer is accused by someone who plays anything at all.
fn acquit(bench: &mut Bench, random: &mut Random, tally: &mut Tally) {
    let (_, false_view) = bench.fraud(random);
    let commitment = Commitment::new(&bench.honest, None);
    bench.stage.accuse(commitment.end_root, commitment.accumulator_root);
    let (pool, tokens) = (bench.stage.pool_state(), bench.stage.challenger_tokens());
    let graph = bench.story.graph.clone();
    let mut defender = Defender::new(graph.clone(), bench.honest.clone());
    let mut liar = Challenger::new(graph, false_view);
    let (mut attempts, mut sent) = (0, Vec::new());
    let mut deepest = Phase::RevealLeaves;
    while bench.outcome() == Outcome::Open {
        let game = bench.game();
        deepest = deepest.max(game.phase().expect("a phase"));
        if game.on_move().expect("the game is on") == Side::Trainer {
            // The challenger tries its hand while it is not on move.
            if random.percent(20) {
                let key = bench.stage.key(Side::Challenger);
                let foreign = bench.stage.instructions(&key, &garbage(random, None));
                bench.stage.attempt(&key, &foreign).expect_err("the challenger is not on move");
            }
            let next = defender.next(&game).expect("evidence").expect("the trainer is on move");
            bench.stage.play(Side::Trainer, &next).expect("an honest trainer's moves are legal");
        } else if attempts < ATTEMPTS {
            attempts += 1;
            if random.percent(10) {
                // It thinks, on its own clock, until the audit is long over.
                bench.stage.scene.world.advance(random.below(200));
            }
            attack(bench, random, &mut liar, &mut sent);
        } else {
            bench.stage.fall_silent();
        }
    }
    assert_eq!(bench.outcome(), Outcome::Acquitted);
    bench.stage.settle();
    let bond = bench.stage.scene.world.config().parameters.dispute_bond;
    let after = bench.stage.pool_state();
    assert_eq!(bench.stage.segment_status(), segment::COMMITTED);
    assert_eq!((after.self_bond, after.open_disputes), (pool.self_bond, 0));
    assert!(after.assets >= pool.assets && after.unbonding_assets == pool.unbonding_assets);
    assert_eq!(after.held().expect("a sum"), pool.held().expect("a sum") + bond / 2);
    assert_eq!(bench.stage.challenger_tokens(), tokens, "the accuser's bond is lost");
    tally.transactions += bench.stage.scene.world.ledger.statistics().transactions;
    tally.count(format!("as far as {deepest:?}"));
}

#[test]
fn frauds_are_convicted() {
    let tally = sweep("frauds_are_convicted", 40, 1, |bench, random, tally| convict(bench, random, tally, 0));
    assert!(tally.transactions > 0);
}

/// A trainer that computes with another value of the steered setting loses as soon as it opens the input, whatever else it plays.
#[test]
fn trainers_that_compute_with_another_setting_are_convicted() {
    let name = "trainers_that_compute_with_another_setting_are_convicted";
    let tally = sweep(name, 8, 4_000_001, |bench, random, tally| {
        let step = random.below(bench.story.ground.inner_steps);
        let value = SETTING_ONE + 1 + random.below(SETTING_ONE);
        let fraud = Fraud::OtherSetting { step, setting: 0, value };
        let claim = bench.story.run(Some(&fraud), Some(&bench.honest));
        convict_of(bench, random, tally, 0, (fraud, claim));
    });
    assert_eq!(tally.subjects.keys().collect::<Vec<_>>(), ["OtherSetting, by OpenNode"]);
}

#[test]
fn frauds_of_trainers_that_play_garbage_are_convicted() {
    let name = "frauds_of_trainers_that_play_garbage_are_convicted";
    let tally = sweep(name, 20, 1_000_001, |bench, random, tally| convict(bench, random, tally, 20));
    assert!(tally.transactions > 0);
}

#[test]
fn honest_trainers_are_acquitted() {
    let tally = sweep("honest_trainers_are_acquitted", 20, 2_000_001, acquit);
    assert!(tally.transactions > 0);
}

#[test]
fn false_claims_of_every_other_case_are_convicted() {
    let tally = sweep_claims("false_claims_of_every_other_case_are_convicted", 60, 4_000_001, |_| true);
    assert!(tally.transactions > 0);
}

#[test]
fn true_claims_of_every_other_case_are_acquitted() {
    let tally = sweep_claims("true_claims_of_every_other_case_are_acquitted", 50, 5_000_001, |_| false);
    assert!(tally.transactions > 0);
}

/// A thousand and a half; minutes.
#[test]
#[ignore = "takes minutes; see the head of the file"]
fn many_claims() {
    let tally = sweep_claims("many_claims", 1_500, 6_000_001, |random| random.percent(60));
    if from_environment("SIP_SWEEP_CASES").is_some() {
        return;
    }
    let operators = ["Contract:", "Map:", "ReduceAdd:", "ReduceMax:", "Gather:"].map(|kind| format!("score, {kind}"));
    let others = ["vote, Map:", "vote, another end:", "genesis, Map:", "attestation, node 6:", "attestation, node 10:"];
    for subject in operators.iter().map(String::as_str).chain(others) {
        assert!(tally.subjects.keys().any(|known| known.starts_with(subject)), "no case of {subject}");
    }
    for subject in SUBJECTS {
        assert!(tally.subjects.contains_key(&format!("{subject}: acquitted")), "no true {subject}");
    }
}

/// About two thousand cases; minutes.
#[test]
#[ignore = "takes minutes; see the head of the file"]
fn many_cases() {
    let tally = sweep("many_cases", 2_100, 3_000_001, |bench, random, tally| match random.below(7) {
        0..3 => convict(bench, random, tally, 0),
        3 => convict(bench, random, tally, 10),
        4 => convict(bench, random, tally, 40),
        _ => acquit(bench, random, tally),
    });
    if from_environment("SIP_SWEEP_CASES").is_some() {
        return;
    }
    let decided_by = |kind: &str| tally.subjects.keys().any(|subject| subject.starts_with(kind));
    let operators = ["Contract,", "ContractI8,", "Map,", "ReduceAdd,", "ReduceMax,", "Gather,", "ScatterAdd,"];
    let inputs = ["State(0)", "Batch", "Step", "Table(0)", "Table(1)", "Setting"];
    let frauds = [
        "Skipped",
        "Lazy",
        "SwappedBatches",
        "UsedOther",
        "CommittedOther",
        "Token",
        "RepeatedRow",
        "OtherSetting",
        "Jump",
        "Entry",
        "EndRoot",
        "AccumulatorRoot",
        "RepeatedLeaf",
        "SwappedLeaves",
        "InnerAsLeaf",
        "LeafAsInner",
        "LeafPadding",
        "StatePadding",
    ];
    for kind in operators.iter().chain(&inputs).chain(&frauds) {
        assert!(decided_by(kind), "no case of {kind}");
    }
    assert!(tally.subjects.keys().any(|subject| subject.ends_with("by ProveOperand")));
}
