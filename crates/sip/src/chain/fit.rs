//! `sip job list --fit`: what jobs pay and need, and whether this machine trains their segments in time.

use anyhow::Result;
use sip_client::Program;
use sip_graph::show::totals;
use sip_manifest::value::{Manifest, Part};
use sip_protocol::AccountKind;
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::Job;
use sip_report::Progress;
use solana_address::Address;
use std::process::ExitCode;
use std::time::Duration;

use sip_console::scratch;
use sip_console::table::{Cell, Row};
use sip_console::{Desk, NO_JOB, reach};
use sip_post::speed;
use sip_remote::Remote;
use sip_view::job::summary;

/// How long a job's manifest may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// A phase has to be so many times as long as the work in it: a node that takes a seat asks for the same.
const REMAINS: f64 = 1.25;
/// Where a chain does not say how long its slots last.
const SLOT_SECONDS: f64 = 0.4;

/// Lists all jobs so.
pub(crate) fn list_fit(desk: &Desk) -> Result<ExitCode> {
    desk.require_no_dry_run()?;
    let flops_per_second = speed::known()?;
    let slot = desk.ledger.slot_microseconds()?.map_or(SLOT_SECONDS, |micros| micros as f64 / 1e6);
    let mut rows = Vec::new();
    for (address, job) in desk.all::<Job>(AccountKind::Job)? {
        let segment = segment_flops(desk, &address, &job).map(|flops| flops / flops_per_second);
        rows.push(row(desk, (&address, &job), segment, slot)?);
    }
    desk.list(&rows, NO_JOB)
}

/// Floating-point operations of a segment; nothing where nobody gives the manifest now.
fn segment_flops(desk: &Desk, address: &Address, job: &Job) -> Option<f64> {
    let manifest = manifest(desk.ledger.url(), desk.program, address, job).ok()?;
    let step = totals(&manifest.graph(Part::Step).ok()?).flops;
    Some(step as f64 * f64::from(job.spec.inner_steps))
}

fn manifest(url: &str, program: Program, address: &Address, job: &Job) -> Result<Manifest> {
    let scratch = scratch()?;
    let remote = Remote {
        ledger: reach(url)?,
        program,
        job: *address,
        peers: Vec::new(),
        folder: scratch.path().to_owned(),
        is_kept: false,
        manifest: None,
    };
    let mut supply = remote.supply(job, Progress::new(true))?.within(PATIENCE);
    remote.manifest(job, &mut supply)
}

fn row(desk: &Desk, (address, job): (&Address, &Job), segment_seconds: Option<f64>, slot_seconds: f64) -> Result<Row> {
    let mut tokens = 0;
    for dataset in job.datasets.iter().filter(|dataset| **dataset != [0; 32]) {
        let dataset: Dataset = desk.read(&Address::new_from_array(*dataset))?;
        tokens += dataset.train_tokens + dataset.held_out_tokens;
    }
    let commit_seconds = f64::from(job.spec.commit_slots) * slot_seconds;
    let fits = segment_seconds.map(|seconds| seconds * REMAINS <= commit_seconds);
    let told = fits.map_or("not known", |fits| if fits { "yes" } else { "no" });
    let mut row = summary(address, job);
    row.extend([
        ("most of a round", Cell::Tokens(job.spec.round_reward)),
        ("bond of a trainer", job.place_bond(PoolKind::Trainer).map_or(Cell::No(Cell::Tokens), Cell::Tokens)),
        ("fetched at first", Cell::Bytes(job.card.manifest_bytes + tokens * 4)),
        ("a segment here", segment_seconds.map_or(Cell::NoSeconds, Cell::Seconds)),
        ("time for a segment", Cell::Seconds(commit_seconds)),
        ("fits", Cell::Told(told.to_owned(), fits.into())),
    ]);
    Ok(row)
}
