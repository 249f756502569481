//! Attack: governance changes a parameter while a round of a job runs. Every parameter in turn, to either end of its bounds: all who work,
//! lie, accuse, ask or are away in that job end with exactly what they would have had without the change.

use crate::accuser::Accuser;
use sip_client::StateDemand;
use sip_protocol::{
    admin::config::Parameters,
    ground::escrow::REVEAL_SLOTS,
    training::round::{self, Round},
};
use sip_testing::{Cast, PARAMETERS, Scene, scores};
use solana_signer::Signer;
use std::collections::BTreeMap;

/// The parameters by name, as [`Parameters::bounds`] tells them: value, least, most.
fn bounds(parameters: &Parameters) -> BTreeMap<&'static str, [u64; 3]> {
    let mut all = BTreeMap::new();
    parameters.bounds(&mut |name, value, least, most| {
        all.insert(name, [value, least, most]);
    });
    all
}

fn with_bytes(offset: usize, bytes: &[u8]) -> Parameters {
    let mut changed = PARAMETERS;
    bytemuck::bytes_of_mut(&mut changed)[offset..offset + bytes.len()].copy_from_slice(bytes);
    changed
}

/// Every parameter at the ends of its bounds, or as near to them as all others let it.
fn changes() -> Vec<(&'static str, Parameters)> {
    let before = bounds(&PARAMETERS);
    let mut all = Vec::new();
    for (width, step) in [(8, 8), (4, 4), (2, 2)] {
        for offset in (0..size_of::<Parameters>() - width + 1).step_by(step) {
            let number = |value: u64| with_bytes(offset, &value.to_le_bytes()[..width]);
            // The one value that these bytes are.
            let probes = [11u64, 13].map(|probe| bounds(&number(probe)));
            let names: Vec<&'static str> =
                before.keys().copied().filter(|name| probes[0][name][0] == 11 && probes[1][name][0] == 13).collect();
            let [name] = names[..] else { continue };
            let [value, least, most] = before[name];
            for end in [least, most] {
                let near = (0..40).map(|shift| match end > value {
                    true => value + ((end - value) >> shift),
                    false => value - ((value - end) >> shift),
                });
                let found = near.map(number).find(|changed| changed.check().is_ok());
                if let Some(changed) = found.filter(|changed| bounds(changed)[name][0] != value) {
                    all.push((name, changed));
                }
            }
        }
    }
    // The parts of a round's pay and of a fee add up, so that they change in pairs.
    let swapped =
        Parameters { trainers_bps: PARAMETERS.auditors_bps, auditors_bps: PARAMETERS.trainers_bps, ..PARAMETERS };
    all.push(("trainers and auditors", swapped));
    let swapped = Parameters { evaluators_bps: PARAMETERS.data_bps, data_bps: PARAMETERS.evaluators_bps, ..PARAMETERS };
    all.push(("evaluators and data", swapped));
    all.retain(|(_, changed)| changed.check().is_ok());
    all
}

/// Two rounds of a job: work, a score off the median, a lie that is convicted, accusations that expire and are taken back, a state that is
/// withheld, an evaluator that is away. Returns what everybody has in the end.
fn story(changed: Option<&Parameters>) -> BTreeMap<String, u64> {
    let mut cast = Cast::default();
    (cast.spec.challenge_slots, cast.spec.lookahead) = (20_000, 2);
    let mut scene = Scene::with(&cast);
    scene.to_committed();
    if let Some(changed) = changed {
        scene.world.set_parameters(changed);
    }
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(5_000_000), scores(5_000_000), scores(5_900_000)]);
    let first = scene.round();
    scene.to_committed();
    scene.to_closed();
    scene.to_aggregated();
    scene.to_scored(&[scores(4_900_000), scores(4_900_000)]);
    let second = scene.round();
    let [finder, late, lazy] = ["finder", "late", "lazy"].map(|name| Accuser::new(&mut scene, name, &second, 1));
    [&finder, &late, &lazy].into_iter().for_each(|accuser| accuser.commit(&mut scene));
    finder.open(&mut scene);
    finder.win(&mut scene);
    let back = late.withdraw_instruction(&scene);
    scene.world.send(&[back], &[&late.key]);
    let reader = scene.world.wallet("reader");
    let (program, wallet, pool) = (scene.world.program, reader.pubkey(), scene.trainers[2].seat.pool);
    let job = scene.job;
    let demand = StateDemand { demander: &wallet, job: &job, round: &second, pool: &pool, entry: 0, chunk: 0 };
    scene.world.send(&[program.demand_state(&demand)], &[&reader]);
    let clock = PARAMETERS.clock_slots.max(scene.world.config().parameters.clock_slots).max(REVEAL_SLOTS);
    scene.world.advance(clock + 1);
    scene.crank(program.fail_state(&demand));
    scene.crank(lazy.expire_instruction(&scene));
    scene.crank(finder.claim_instruction(&scene));
    scene.finalise_all();
    for address in [first, second] {
        let state: Round = scene.world.state(&address);
        assert!(state.status == round::FINAL || state.status == round::VOID);
        scene.advance_to(state.final_slot());
        scene.settle_round(&address);
    }
    let mut ends = BTreeMap::new();
    for (name, key) in [("finder", &finder.key), ("late", &late.key), ("lazy", &lazy.key), ("reader", &reader)] {
        ends.insert(name.to_string(), scene.world.tokens(&key.pubkey()));
    }
    let operators = scene.trainers.iter().chain(&scene.auditors).chain(&scene.evaluators).chain(&scene.providers);
    for (number, operator) in operators.enumerate() {
        ends.insert(format!("operator {number}"), scene.pool_state(&operator.seat.pool).held().unwrap());
    }
    for domain in 0..3 {
        let pool = program.attention_pool(&job, domain);
        ends.insert(format!("patrons {domain}"), scene.pool_state(&pool).held().unwrap());
    }
    let config = scene.world.config();
    ends.insert("insurance".into(), config.buckets.insurance);
    ends.insert("to be burned".into(), config.condemned + config.burned);
    ends
}

#[test]
fn a_parameter_that_changes_while_a_round_runs_changes_nobodys_end() {
    let plain = story(None);
    let changes = changes();
    let mut found = BTreeMap::new();
    for (name, changed) in &changes {
        let end = story(Some(changed));
        let differ: Vec<String> = end
            .iter()
            .filter(|(who, has)| plain[*who] != **has)
            .map(|(who, has)| format!("{who}: {} {has}", plain[who]))
            .collect();
        if !differ.is_empty() {
            found.insert(*name, differ);
        }
    }
    println!("{} changes: {:?}", changes.len(), changes.iter().map(|change| change.0).collect::<Vec<_>>());
    assert!(found.is_empty(), "{found:#?}");
    assert!(changes.len() > 50, "{}", changes.len());
}
