//! `sip node plan`: what a seat in a job costs and may bring, and what it takes of disk and network.

use anyhow::Result;
use serde_json::json;
use sip_driver::Source;
use sip_ledger::Ledger;
use sip_manifest::folder::Store;
use sip_manifest::machine::Machine;
use sip_protocol::ground::schedule::NODES;
use sip_protocol::money::epoch::EmissionAccount;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::data::Dataset;
use sip_protocol::training::evaluation::ScoringRun;
use sip_protocol::training::job::Job;
use sip_protocol::training::seats::FREE;
use sip_protocol::training::segment::Segment;
use solana_address::Address;
use std::process::ExitCode;

use super::Folder;
use sip_console::table::{Cell, Row};
use sip_console::{AddressText, Connection, Desk};
use sip_view::session::signs_as;

/// What Solana takes for a signature.
const LAMPORTS_PER_SIGNATURE: u64 = 5_000;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: AddressText,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(arguments: &Arguments, connection: &Connection) -> Result<ExitCode> {
    let desk = Desk::open(connection)?;
    let address = desk.locate_job(&arguments.job)?;
    let job: Job = desk.read(&address)?;
    let mut row: Row = vec![("job", Cell::text(address))];
    let count = |kind| u64::from(job.awake(kind).count_ones());
    let [trainers, auditors, evaluators] = [PoolKind::Trainer, PoolKind::Auditor, PoolKind::Evaluator].map(count);
    row.push(("rounds left", Cell::Number(u64::from(job.spec.rounds.saturating_sub(job.rounds_scored)))));
    let taken = format!("{trainers} trainers, {auditors} auditors, {evaluators} evaluators");
    let seats = json!({ "trainers": trainers, "auditors": auditors, "evaluators": evaluators });
    row.push(("seats taken", Cell::Told(taken, seats)));
    row.push(("most of a round", Cell::Tokens(job.spec.round_reward)));
    row.push(("slice of a bond", Cell::Tokens(job.spec.slice)));
    let (income, waits) = (income(&job, [trainers, auditors, evaluators]), waiting(&desk)?);
    row.extend(income);
    row.push(("waiting for nodes", Cell::Tokens(waits)));
    match (job.rewarded, waits) {
        (0, _) => desk.note("only a job of the protocol's authority is paid out of the emission: this one pays nothing"),
        (_, 0) => desk.note("nothing of the emission waits for nodes now: a round pays nothing until \"sip emission turn\" has ended an epoch"),
        _ => {}
    }
    row.extend(seats_here(&desk, &job)?);
    // A trainer commits and is settled; an auditor reveals, attests, shows, votes and is settled; an evaluator commits, reveals, is settled.
    let fees = |transactions: u64| transactions * LAMPORTS_PER_SIGNATURE;
    let rent = |bytes: usize| desk.ledger.minimum_balance(bytes);
    let (segment, scoring) = (rent(size_of::<Segment>())?, rent(size_of::<ScoringRun>())?);
    row.push(("trainer a round", costs(fees(2), segment)));
    row.push(("auditor a round", costs(fees(3 + 2 * trainers), 0)));
    row.push(("evaluator a round", costs(fees(3), scoring)));
    for (name, slots) in [
        ("training time", job.spec.commit_slots),
        ("audit time", job.spec.audit_slots),
        ("vote time", job.spec.vote_slots),
        ("evaluation time", job.spec.evaluation_slots),
    ] {
        row.push((name, Cell::Slots(slots.into())));
    }
    let datasets = job.datasets.iter().filter(|dataset| **dataset != [0; 32]);
    let mut tokens = 0;
    for dataset in datasets {
        let dataset: Dataset = desk.read(&Address::new_from_array(*dataset))?;
        tokens += dataset.train_tokens + dataset.held_out_tokens;
    }
    let first = job.card.manifest_bytes + tokens * 4;
    row.push(("fetched at first", Cell::Bytes(first)));
    let store = Store::new(&arguments.folder.data);
    if store.manifest().exists() {
        let machine = Machine::from_environment()?;
        let source = Source::open(store, &machine)?;
        let step = sip_driver::node::timed_step(&source, &machine, &job)?.as_secs_f64();
        let segment = step * f64::from(job.spec.inner_steps);
        let here = json!({ "stepSeconds": step, "segmentSeconds": segment });
        row.push(("a step here", Cell::Told(format!("{step:.3} s, a segment {segment:.1} s"), here)));
        row.push(("disk", Cell::Bytes(source.disk_bytes(&job, 0) + first)));
        let handed: u64 = source.handed().iter().map(|len| *len as u64 * 4).sum();
        row.push(("each auditor gets of a trainer a round", Cell::Bytes(handed)));
        row.push(("auditor fetches a round", Cell::Bytes(handed * trainers)));
    } else {
        row.push(("disk", Cell::No(Cell::Bytes)));
        desk.note(
            "what a step takes here, disk and network are known once the manifest is in the folder: \"sip node run\" gets it, and joins nothing without --join",
        );
    }
    desk.card(&row)
}

/// What one more seat of a role draws of a round at most, where all have the same stake: a round of the best quality, in which everybody does his part.
fn income(job: &Job, taken: [u64; 3]) -> Row {
    let parameters = &job.parameters;
    let shares = [parameters.trainers_bps, parameters.auditors_bps, parameters.evaluators_bps];
    let names = ["trainer earns a round at most", "auditor earns a round at most", "evaluator earns a round at most"];
    let earns = |share: u16, taken: u64| match job.rewarded {
        0 => 0,
        _ => (u128::from(job.spec.round_reward) * u128::from(share) / 10_000 / u128::from(taken + 1)) as u64,
    };
    (names.iter().zip(shares).zip(taken))
        .map(|((name, share), taken)| (*name, Cell::Tokens(earns(share, taken))))
        .collect()
}

/// Seats that the wallet works in, and by which right; what to do where there is none.
fn seats_here(desk: &Desk, job: &Job) -> Result<Row> {
    let Ok(wallet) = desk.wallet() else { return Ok(Row::new()) };
    let (slot, mut lines) = (desk.slot()?, Vec::new());
    for (kind, name) in
        [(PoolKind::Trainer, "trainer"), (PoolKind::Auditor, "auditor"), (PoolKind::Evaluator, "evaluator")]
    {
        let seats = (1..).zip(job.seats(kind)?).filter(|(_, seat)| seat.state != FREE);
        for (number, seat) in seats {
            // The pool of a seat may be gone.
            let pool = desk.find::<Pool>(&Address::new_from_array(seat.pool))?;
            let how = pool.and_then(|pool| signs_as(&pool, &wallet, slot));
            lines.extend(how.map(|how| format!("{name} {number} {how}")));
        }
    }
    if lines.is_empty() {
        lines.push("none: the wallet that operates a pool takes one, \"sip job join JOB POOL\"; a session key then works in it".into());
    }
    Ok(vec![("own seats", Cell::text(lines.join("; ")))])
}

/// What the emission has released for nodes and no round has drawn, base units.
fn waiting(desk: &Desk) -> Result<u64> {
    let EmissionAccount { emission, .. } = desk.read(&desk.program.emission())?;
    Ok(emission.streams[NODES].available()?)
}

fn costs(fees: u64, rent: u64) -> Cell {
    let sol = |lamports: u64| lamports as f64 / 1e9;
    let told = match rent {
        0 => format!("{:.6} SOL of fees", sol(fees)),
        rent => format!("{:.6} SOL of fees, {:.6} SOL of rent, which comes back", sol(fees), sol(rent)),
    };
    Cell::Told(told, json!({ "feeLamports": fees.to_string(), "rentLamports": rent.to_string() }))
}
