//! Before the first round: tokens, stake, data, the job.

use anyhow::Result;
use sha2::{Digest, Sha256};
use sip_client::NewPool;
use sip_ledger::Ledger;
use sip_protocol::ground::schedule::{ONE, Schedule};
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::job::{Card, JobSpec};
use sip_protocol::training::setting::{Side, attention_number};
use sip_protocol::{
    admin::config::Parameters,
    ground::units::{CAP, TOKEN},
};
use solana_address::Address;
use solana_keypair::Keypair;

use super::world::{Person, World};
use sip_manifest::prepare::Prepared;
use sip_manifest::roles::{AUDITOR, CREATOR, EVALUATOR, PATRON, PROVIDER, TRAINER};
use sip_manifest::settings::{Fraud, STEERED, Settings};
use sip_report::{Progress, count};
use sip_roles::HashChain;
use sip_sim::deterrence::threshold;

/// Tokens that everyone gets from the public bucket.
const ENDOWMENT: u64 = 200_000 * TOKEN;
const LAMPORTS: u64 = 1_000_000_000_000;
const COMMISSION_BPS: u16 = 1_000;
/// Attention that each patron stakes.
const ATTENTION: u64 = 40_000 * TOKEN;
/// Stake that each patron delegates to each trainer.
const DELEGATION: u64 = 10_000 * TOKEN;

/// Own bond behind each claim that can undo a round: what convictions of one cost others is at most twice what it costs the convicted.
const SLICE: u64 = 8_500 * TOKEN;

/// A secret of a person, from the run's seed.
fn secret(seed: u64, purpose: &str, name: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"sip.demo.1")
        .chain_update(seed.to_le_bytes())
        .chain_update([purpose.len() as u8])
        .chain_update(purpose)
        .chain_update(name)
        .finalize()
        .into()
}

/// Salt of an auditor's attestation of the segment of a place in a round.
pub(crate) fn attestation_salt(seed: u64, name: &str, round: u32, place: u8) -> [u8; 32] {
    secret(seed, &format!("attestation {round} {place}"), name)
}

/// Salt of an evaluator's commitment in a round.
pub(crate) fn salt(seed: u64, name: &str, round: u32) -> [u8; 32] {
    secret(seed, &format!("salt {round}"), name)
}

/// Everyone who takes part; the same people for the same settings.
pub fn people(settings: &Settings) -> Vec<Person> {
    let mut people = Vec::new();
    let mut add = |role: &'static str, count: usize, name: &dyn Fn(usize) -> String| {
        for number in 0..count {
            let name = name(number);
            let keypair = Keypair::new_from_array(secret(settings.seed, "key", &name));
            people.push(Person { name, role, keypair, pool: None, place: number as u8 });
        }
    };
    let domains = settings.domains.len();
    add(CREATOR, 1, &|_| "creator".into());
    add(TRAINER, 3, &|n| format!("trainer {}", n + 1));
    add(AUDITOR, settings.auditors(), &|n| format!("auditor {}", n + 1));
    add(EVALUATOR, settings.evaluators(), &|n| format!("evaluator {}", n + 1));
    add(PROVIDER, domains, &|n| format!("{} archive", settings.domains[n].name));
    add(PATRON, domains + 1, &|n| format!("patron {}", n + 1));
    let program = sip_client::Program::default();
    for person in &mut people {
        let kind = match person.role {
            TRAINER => PoolKind::Trainer,
            AUDITOR => PoolKind::Auditor,
            EVALUATOR => PoolKind::Evaluator,
            PROVIDER => PoolKind::Data,
            _ => continue,
        };
        person.pool = Some((kind, program.pool(kind, &person.wallet(), 0)));
    }
    people
}

/// The hash chain of an auditor of a run.
pub fn chain(settings: &Settings, name: &str) -> HashChain {
    HashChain::from_secret(secret(settings.seed, "chain", name), settings.rounds as usize * 4 + 32)
}

/// The rules of a run.
pub(crate) fn parameters() -> Parameters {
    Parameters { round_reward: 6_000 * TOKEN, activation_slots: 100, ..Parameters::DEFAULT }
}

/// The emission of a run, all of whose rounds draw from what the first epoch released: a small part of the supply that is staked draws the whole
/// reward of a round.
fn schedule() -> Schedule {
    Schedule { utilisation_floor: ONE / 2, unit_reward: CAP / 10, ..Schedule::DEFAULT }
}

/// The job as it is committed.
pub(crate) fn job_spec(settings: &Settings, prepared: &Prepared) -> JobSpec {
    JobSpec {
        seed: secret(settings.seed, "job", ""),
        audit_rate: threshold(settings.audit_rate),
        second_audit_rate: threshold(settings.second_audit_rate),
        mixture_mode: settings.mixture.mode() as u8,
        mixture_floor_bps: 500.min(10_000 / settings.domains.len() as u16),
        mixture_cap_bps: 10_000,
        commit_slots: 10_000,
        audit_slots: 40_000,
        vote_slots: 10_000,
        evaluation_slots: 10_000,
        // A fraud that is found late is found after another round.
        challenge_slots: if settings.cheats.contains(&Fraud::Late) { 60_000 } else { 10_000 },
        lookahead: 2,
        slice: SLICE,
        round_reward: parameters().round_reward,
        settings: std::array::from_fn(|number| STEERED.get(number).copied().unwrap_or_default()),
        ..prepared.commits
    }
}

/// The job's address.
pub fn job_address(world: &World) -> Address {
    world.program.job(&world.people[0].wallet(), 0)
}

/// The addresses of the run's datasets by domain.
///
/// # Errors
/// Where a provider operates no pool.
pub fn dataset_addresses(world: &World, prepared: &Prepared) -> Result<Vec<Address>> {
    let texts = prepared.task.domains.iter().zip(&prepared.heldout);
    let providers = world.with_role(PROVIDER).into_iter().zip(texts);
    providers
        .map(|(provider, (train, held_out))| {
            Ok(world.program.dataset(&world.people[provider].pool()?, &train.root(), &held_out.root()))
        })
        .collect()
}

/// Creates mint, pools, stake, datasets and the job.
pub(crate) fn build(world: &mut World, settings: &Settings, prepared: &Prepared, progress: Progress) -> Result<()> {
    let program = world.program;
    let creator = world.people[0].wallet();
    for person in 0..world.people.len() {
        let wallet = world.people[person].wallet();
        world.ledger.airdrop(&wallet, LAMPORTS)?;
    }
    world.send(0, program.initialize_with(&creator, &parameters(), &schedule()))?;
    for person in 0..world.people.len() {
        let wallet = world.people[person].wallet();
        world.send(0, program.create_token_account(&creator, &wallet))?;
        world.send(0, program.distribute(&creator, &wallet, ENDOWMENT))?;
    }
    progress.line(&format!(
        "mint of 1,000,000,000 SIP; {} people funded with {} each",
        world.people.len(),
        ENDOWMENT / TOKEN
    ));
    for person in 0..world.people.len() {
        let Some((kind, _)) = world.people[person].pool else { continue };
        let tip = if kind == PoolKind::Auditor { chain(settings, &world.people[person].name).tip() } else { [0; 32] };
        let self_bond = match kind {
            PoolKind::Trainer | PoolKind::Auditor | PoolKind::Evaluator => 20_000 * TOKEN,
            _ => 5_000 * TOKEN,
        };
        let new = NewPool { index: 0, self_bond, commission_bps: COMMISSION_BPS, chain_tip: tip };
        let wallet = world.people[person].wallet();
        world.send(person, program.create_pool(&wallet, kind, &new))?;
    }
    for patron in world.with_role(PATRON) {
        for trainer in world.with_role(TRAINER) {
            let (wallet, pool) = (world.people[patron].wallet(), world.people[trainer].pool()?);
            world.send(patron, program.deposit(&wallet, &pool, DELEGATION, 1))?;
        }
    }
    let mut datasets = Vec::new();
    for (domain, provider) in world.with_role(PROVIDER).into_iter().enumerate() {
        let dataset = prepared.manifest.domains[domain].registration();
        let (wallet, pool) = (world.people[provider].wallet(), world.people[provider].pool()?);
        world.send(provider, program.register_dataset(&wallet, &pool, &dataset))?;
        datasets.push(program.dataset(&pool, &dataset.train_root, &dataset.held_out_root));
    }
    let spec = job_spec(settings, prepared);
    world.send(0, program.create_job(&creator, 0, &spec, &datasets))?;
    let job = job_address(world);
    let card = Card::new(prepared.manifest.hash(), prepared.manifest.to_bytes().len() as u64);
    world.send(0, program.describe_job(&creator, &job, &card))?;
    for role in [TRAINER, AUDITOR, EVALUATOR] {
        for person in world.with_role(role) {
            let (wallet, pool) = (world.people[person].wallet(), world.people[person].pool()?);
            world.send(person, program.join_job(&wallet, &job, &pool))?;
        }
    }
    for number in spec.attention_numbers() {
        world.send(0, program.create_attention_pool(&creator, &job, number))?;
    }
    // One patron for each domain, and one more for the last.
    for (number, patron) in world.with_role(PATRON).into_iter().enumerate() {
        let domain = number.min(settings.domains.len() - 1) as u32;
        let wallet = world.people[patron].wallet();
        world.send(patron, program.deposit(&wallet, &program.attention_pool(&job, domain), ATTENTION, 1))?;
    }
    // The stake becomes active and earns, and the first epoch of the emission ends.
    world.ledger.advance_slots(schedule().epoch_slots)?;
    activate(world, settings, &job)?;
    world.send(0, program.turn_epoch())?;
    for person in 0..world.people.len() {
        if let Some((_, pool)) = world.people[person].pool {
            world.send(0, program.settle_yield(&pool))?;
        }
    }
    // Attention counts by time: let what is active now outweigh the order in which it came.
    world.ledger.advance_slots(1_000)?;
    progress.line(&format!(
        "3 trainers, {} auditors, {} evaluators, {} and {} have staked; the job is open",
        settings.auditors(),
        settings.evaluators(),
        count(settings.domains.len(), "data provider"),
        count(settings.domains.len() + 1, "patron")
    ));
    Ok(())
}

/// Turns everyone's new stake into shares once its time has come.
fn activate(world: &mut World, settings: &Settings, job: &Address) -> Result<()> {
    let program = world.program;
    for (number, patron) in world.with_role(PATRON).into_iter().enumerate() {
        let wallet = world.people[patron].wallet();
        for trainer in world.with_role(TRAINER) {
            let pool = world.people[trainer].pool()?;
            world.send(0, program.activate(&pool, &wallet))?;
        }
        let domain = number.min(settings.domains.len() - 1) as u32;
        world.send(0, program.activate(&program.attention_pool(job, domain), &wallet))?;
    }
    Ok(())
}

/// The last patron moves its attention from the last domain to the one before.
pub(crate) fn move_attention(world: &mut World, settings: &Settings) -> Result<Option<String>> {
    let domains = settings.domains.len() as u32;
    let (Some(patron), true) = (world.with_role(PATRON).pop(), domains > 1) else { return Ok(None) };
    let (program, job, wallet) = (world.program, job_address(world), world.people[patron].wallet());
    let (from, to) = (program.attention_pool(&job, domains - 1), program.attention_pool(&job, domains - 2));
    let position: sip_protocol::stake::position::Position = world.read(&program.position(&from, &wallet))?;
    world.send(patron, program.move_attention(&wallet, &from, &to, position.shares, 1))?;
    world.ledger.advance_slots(parameters().activation_slots)?;
    world.send(patron, program.activate(&to, &wallet))?;
    let name = |domain: u32| settings.domains[domain as usize].name.clone();
    Ok(Some(format!(
        "{} moves {} SIP of attention from {} to {}, which counts from the next round on",
        world.people[patron].name,
        ATTENTION / TOKEN,
        name(domains - 1),
        name(domains - 2)
    )))
}

/// The first patron leans on the first setting: it stakes attention on going up.
pub(crate) fn lean(world: &mut World) -> Result<Option<String>> {
    let Some(patron) = world.with_role(PATRON).first().copied() else { return Ok(None) };
    let (program, wallet) = (world.program, world.people[patron].wallet());
    let pool = program.attention_pool(&job_address(world), attention_number(0, Side::Up));
    world.send(patron, program.deposit(&wallet, &pool, ATTENTION, 1))?;
    world.ledger.advance_slots(parameters().activation_slots)?;
    world.send(patron, program.activate(&pool, &wallet))?;
    Ok(Some(format!(
        "{} stakes {} SIP on a higher learning rate, which counts from the next round on",
        world.people[patron].name,
        ATTENTION / TOKEN
    )))
}
