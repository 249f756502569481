//! Jobs, their rounds and their seats.

use anyhow::Result;
use serde_json::{Value, json};
use sip_console::table::{Cell, Row};
use sip_console::{Desk, tokens};
use sip_data::hex;
use sip_protocol::Account as _;
use sip_protocol::ground::units::TOKEN;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::data::Dataset;
use sip_protocol::training::evaluation;
use sip_protocol::training::finality::Undoing;
use sip_protocol::training::job::{Job, MAX_TRAINERS, bit};
use sip_protocol::training::round::{self, QUALITY_ONE, Round};
use sip_protocol::training::seats;
use sip_protocol::training::segment::{self, Segment};
use sip_protocol::training::setting::SETTING_ONE;
use sip_report::odds::Odds;
use sip_roles::commits_scores;
use sip_sim::deterrence::{ODDS_SEED, Setting};
use solana_address::Address;

fn state_name(job: &Job) -> &'static str {
    match (job.closed, job.rounds_scored >= job.spec.rounds, job.round_live) {
        (1.., ..) => "closed: false genesis",
        (_, true, _) => "finished",
        (_, _, 1..) => "in a round",
        _ => "between rounds",
    }
}

/// The row of a job in a list.
pub fn summary(address: &Address, job: &Job) -> Row {
    vec![
        ("job", Cell::text(address)),
        ("state", Cell::Word(state_name(job))),
        ("rounds", Cell::Of { done: job.rounds_scored.into(), all: job.spec.rounds.into(), ending: "Scored" }),
        ("trainers", Cell::Number(job.awake(PoolKind::Trainer).count_ones().into())),
        ("auditors", Cell::Number(job.awake(PoolKind::Auditor).count_ones().into())),
        ("evaluators", Cell::Number(job.awake(PoolKind::Evaluator).count_ones().into())),
        ("domains", Cell::Number(job.spec.domain_count.into())),
        ("rewarded", Cell::Truth(job.rewarded != 0)),
    ]
}

/// A chance that stands on chain as a part of 2³², to the nearest thousand-millionth: 95 % are not 94.9999999 %.
fn rate(part: u32) -> Cell {
    Cell::Billionths((u64::from(part) * 1_000_000_000 + (1 << 31)) >> 32)
}

/// All that an account says of a job, and what follows from it: how likely a lie survives.
pub fn full(desk: &Desk, address: &Address, job: &Job) -> Result<Row> {
    let spec = &job.spec;
    let root = |root: &[u8; 32]| if *root == [0; 32] { Cell::Nothing } else { Cell::text(hex(root)) };
    let bond = |kind| job.place_bond(kind).map_or(Cell::No(Cell::Tokens), Cell::Tokens);
    let mut row = summary(address, job);
    row.extend([
        ("creator", Cell::text(Address::new_from_array(job.creator))),
        ("genesis bond", Cell::Tokens(job.genesis_bond)),
        ("slice of a bond", Cell::Tokens(spec.slice)),
        ("bond of a trainer", bond(PoolKind::Trainer)),
        ("bond of an auditor", bond(PoolKind::Auditor)),
        ("bond of an evaluator", bond(PoolKind::Evaluator)),
        ("most of a round", Cell::Tokens(spec.round_reward)),
        ("genesis root", root(&spec.genesis_root)),
        ("base root", root(&job.base_root)),
        ("nodes root", root(&spec.nodes_root)),
        ("nodes", Cell::Number(spec.node_count.into())),
        ("outputs root", root(&spec.outputs_root)),
        ("state entries", Cell::Number(spec.state_count.into())),
        ("tables root", root(&spec.tables_root)),
        ("init nodes root", root(&spec.init_nodes_root)),
        ("averages root", root(&spec.aggregates_root)),
        ("scoring nodes root", root(&spec.score_nodes_root)),
        ("steps of a segment", Cell::Number(spec.inner_steps.into())),
        ("steps of a leaf", Cell::Number(spec.leaf_interval.into())),
        ("sequences of a step", Cell::Number(spec.batch.into())),
        ("tokens of a sequence", Cell::Number(spec.sequence_length.into())),
        ("windows scored", Cell::Number(spec.score_windows.into())),
        ("audit rate", rate(spec.audit_rate)),
        ("second audit rate", rate(spec.second_audit_rate)),
        ("least mixture", Cell::BasisPoints(spec.mixture_floor_bps.into())),
        ("most mixture", Cell::BasisPoints(spec.mixture_cap_bps.into())),
        ("rounds ahead", Cell::Number(spec.lookahead.into())),
        ("commit time", Cell::Slots(spec.commit_slots.into())),
        ("audit time", Cell::Slots(spec.audit_slots.into())),
        ("vote time", Cell::Slots(spec.vote_slots.into())),
        ("evaluation time", Cell::Slots(spec.evaluation_slots.into())),
        ("challenge time", Cell::Slots(spec.challenge_slots.into())),
    ]);
    let [trainers, auditors] = [PoolKind::Trainer, PoolKind::Auditor].map(|kind| job.awake(kind).count_ones());
    let setting = Setting::of_job(spec, &job.parameters, trainers, auditors);
    row.push(("replays of a segment", Cell::Billionths((setting.replays() * 1e9) as u64)));
    let names = [
        ["a lie survives", "99 percent bound", "a rational lie survives", "bribe for a lie"],
        [
            "a lie survives with one colluding",
            "99 percent bound with one colluding",
            "a rational lie survives with one colluding",
            "bribe for a lie with one colluding",
        ],
    ];
    for (odds, [single, bound, rational, bribe]) in setting.odds(ODDS_SEED).iter().zip(names) {
        let Odds { survival, at_most, rational: of_rational, .. } = odds;
        let billionths = |part: &f64| Cell::Billionths((part * 1e9) as u64);
        let tokens = |sip: f64| Cell::Tokens((sip * TOKEN as f64) as u64);
        row.extend([(single, billionths(survival)), (bound, billionths(at_most)), (rational, billionths(of_rational))]);
        row.push((bribe, odds.bribe.map_or(Cell::No(Cell::Tokens), tokens)));
    }
    row.push(("trained on", trained_on(desk, job)?));
    row.push(("steered", steered(job)));
    Ok(row)
}

/// The datasets of a job: "letters (1,000 tokens, CC0), ballads (…)".
fn trained_on(desk: &Desk, job: &Job) -> Result<Cell> {
    let count = usize::from(job.spec.domain_count).min(job.datasets.len());
    let text = |bytes: &[u8; 32]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let (mut parts, mut datasets) = (Vec::new(), Vec::new());
    for address in &job.datasets[..count] {
        let dataset: Dataset = desk.read(&Address::new_from_array(*address))?;
        let tokens = tokens::grouped(dataset.train_tokens);
        let (domain, licence) = (text(&dataset.domain), text(&dataset.licence));
        parts.push(format!("{domain} ({tokens} tokens, {licence})"));
        datasets.push(json!({
            "dataset": Address::new_from_array(*address).to_string(),
            "domain": domain,
            "licence": licence,
            "trainingTokens": dataset.train_tokens,
        }));
    }
    Ok(Cell::Told(parts.join(", "), Value::Array(datasets)))
}

/// The settings that stake steers, with their bounds.
fn steered(job: &Job) -> Cell {
    let settings = job.spec.settings.iter().take(job.spec.setting_count());
    let told = settings.map(|setting| {
        let [lower, default, upper] = [setting.lower, setting.default, setting.upper].map(sip_manifest::steered::show);
        format!("{} {lower} to {upper}, {default} without stake", sip_manifest::steered::name(setting))
    });
    let told: Vec<String> = told.collect();
    let part = |value: u32| f64::from(value) / f64::from(SETTING_ONE);
    let settings = job.spec.settings.iter().take(job.spec.setting_count()).map(|setting| {
        json!({
            "setting": sip_manifest::steered::name(setting),
            "least": part(setting.lower),
            "withoutStake": part(setting.default),
            "most": part(setting.upper),
        })
    });
    let told = if told.is_empty() { Cell::Nothing.show() } else { told.join("; ") };
    Cell::Told(told, settings.collect())
}

fn phase_name(round: &Round) -> &'static str {
    match (round.status, round.is_undone) {
        (round::OPEN, _) => "training",
        (round::COMMITS_CLOSED, _) => "audit",
        (round::CLOSED, _) => "vote",
        (round::AGGREGATED, _) => "evaluation",
        (round::SCORED, _) => "scored",
        (round::FINAL, _) => "final",
        (round::VOID, 0) => "void",
        (round::VOID, _) => "undone",
        _ => "unknown",
    }
}

/// When the phase ends, if a slot says so; 0 if none does.
fn end_slot(round: &Round, now: u64) -> u64 {
    match round.status {
        round::OPEN => round.commit_deadline_slot,
        round::COMMITS_CLOSED => round.audit_deadline_slot,
        round::CLOSED => round.vote_deadline_slot,
        round::AGGREGATED if commits_scores(round, now) => round.score_deadline_slot,
        round::AGGREGATED => round.reveal_deadline_slot,
        round::SCORED => round.final_slot(),
        _ => 0,
    }
}

/// What a round was undone for.
fn undone_for(round: &Round) -> Cell {
    match round.is_undone {
        0 => Cell::Nothing,
        why if why == Undoing::Work as u8 => Cell::Word("false work in it"),
        why if why == Undoing::Scores as u8 => Cell::Word("false scores"),
        _ => Cell::Word("the round that it builds on"),
    }
}

/// How many segments of a round were convicted, of those whose accounts are there.
pub fn convicted(desk: &Desk, round: &Round, address: &Address) -> Result<u64> {
    let places = (0..MAX_TRAINERS as u8).filter(|place| round.committed & bit(*place) != 0);
    let pools = places.map(|place| Address::new_from_array(round.trainers[usize::from(place)]));
    let segments: Vec<Address> = pools.map(|pool| desk.program.segment(address, &pool)).collect();
    let found = desk.ledger.accounts(&segments)?.into_iter().flatten();
    let is_convicted = |data: &[u8]| Segment::decode(data).is_ok_and(|state| state.status == segment::CONVICTED);
    Ok(found.filter(|account| is_convicted(&account.data)).count() as u64)
}

/// The row of a round in a list.
pub fn round_row(round: &Round, convicted: u64, now: u64) -> Row {
    let end = end_slot(round, now);
    let is_scored = round.status == round::SCORED || round.status == round::FINAL;
    let disputes = round.open_challenges + u32::from(round.vote_disputes);
    vec![
        // People count rounds from 1.
        ("round", Cell::Number(u64::from(round.index) + 1)),
        ("phase", Cell::Word(phase_name(round))),
        ("undone for", undone_for(round)),
        ("until slot", if end == 0 { Cell::Nothing } else { Cell::Slot { at: end, now } }),
        ("segments", Cell::Number(round.committed.count_ones().into())),
        ("accepted", Cell::Number(round.accepted.count_ones().into())),
        ("open disputes", Cell::Number(disputes.into())),
        ("convicted", Cell::Number(convicted)),
        ("score", if is_scored { Cell::MicroNats(round.score.into()) } else { Cell::No(Cell::MicroNats) }),
        (
            "quality",
            if is_scored {
                Cell::Billionths(round.quality * 1_000_000_000 / QUALITY_ONE)
            } else {
                Cell::No(Cell::Billionths)
            },
        ),
        ("reward", Cell::Tokens(if round.status == round::FINAL { round.drawn } else { round.reward })),
    ]
}

fn seat_name(seat: &seats::Seat) -> &'static str {
    match (seat.state, seat.changed_slot) {
        (seats::AWAKE, 0) => "awake",
        (seats::AWAKE, _) => "awake, bond too small",
        (seats::DORMANT, _) => "dormant",
        (seats::CONVICTED, _) => "convicted",
        _ => "free",
    }
}

fn trainer_did(job: &Job, round: &Round, place: u8) -> &'static str {
    match bit(place) {
        here if round.excluded_trainers(job) & here != 0 => "convicted",
        here if round.accepted & here != 0 => "accepted",
        here if round.committed & here != 0 => "committed",
        here if round.eligible & here != 0 => "not committed",
        _ => "not awaited",
    }
}

fn auditor_did(job: &Job, round: &Round, place: u8) -> &'static str {
    let Some(seat) = round.auditors.get(usize::from(place)).filter(|seat| seat.pool != [0; 32]) else {
        return "not awaited";
    };
    match (round.excluded_auditors(job) & bit(place) != 0, seat.revealed, seat.vote != [0; 32]) {
        (true, ..) => "convicted",
        (_, 0, _) => "not revealed",
        (_, _, false) => "revealed",
        (_, _, true) => "voted",
    }
}

fn evaluator_did(round: &Round, place: u8) -> &'static str {
    let Some(seat) = round.evaluators.get(usize::from(place)).filter(|seat| seat.pool != [0; 32]) else {
        return "not awaited";
    };
    match seat.status {
        evaluation::ABSENT => "not committed",
        evaluation::COMMITTED => "committed",
        evaluation::REVEALED => "revealed",
        evaluation::WITHIN => "within the tolerance",
        evaluation::OFF => "off",
        evaluation::CONVICTED => "convicted",
        _ => "unknown",
    }
}

/// The seats of a job: who sits where, with what behind it, and what was done in the last round.
pub fn seats(desk: &Desk, address: &Address) -> Result<Vec<Row>> {
    let job: Job = desk.read(address)?;
    let last = job.next_round.checked_sub(1);
    let round: Option<Round> = last.map(|index| desk.read(&desk.program.round(address, index))).transpose()?;
    let mut rows = Vec::new();
    let roles = [("trainer", PoolKind::Trainer), ("auditor", PoolKind::Auditor), ("evaluator", PoolKind::Evaluator)];
    for (role, kind) in roles {
        for (place, seat) in (0..).zip(job.seats(kind)?).filter(|(_, seat)| seat.state != seats::FREE) {
            let at = Address::new_from_array(seat.pool);
            let state: Pool = desk.read(&at)?;
            let did = match (role, &round) {
                (_, None) => "",
                ("trainer", Some(round)) => trainer_did(&job, round, place),
                ("auditor", Some(round)) => auditor_did(&job, round, place),
                (_, Some(round)) => evaluator_did(round, place),
            };
            rows.push(vec![
                ("role", Cell::text(role)),
                ("place", Cell::Number(place.into())),
                ("pool", Cell::text(at)),
                ("seat", Cell::Word(seat_name(seat))),
                ("operator", Cell::text(Address::new_from_array(state.scope))),
                ("own bond", Cell::Tokens(state.self_bond)),
                ("delegated", Cell::Tokens(state.assets)),
                ("allotted", Cell::BasisPoints(seat.allotted_bps.into())),
                ("last round", if did.is_empty() { Cell::Nothing } else { Cell::Word(did) }),
            ]);
        }
    }
    Ok(rows)
}
