//! `sip verify`: replays what a run, or a job on a chain, committed, and confirms it or names the first difference.

use anyhow::Result;
use sip_console::address::locate;
use sip_console::failure::{DISPUTABLE, NOT_VERIFIED, false_content};
use sip_console::names::Names;
use sip_console::words::count as whole;
use sip_console::{named_program, reach, scratch};
use sip_demo::Replayed;
use sip_protocol::AccountKind;
use sip_remote::Remote;
use sip_report::terminal::output;
use sip_report::{Progress, count, grouped};
use solana_address::Address;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of a run; with --url a job on that chain, by its address or the first letters of it
    #[arg(value_name = "FOLDER|JOB", default_value = "sip-out")]
    folder: PathBuf,
    /// File of what the job computes with [default: run/manifest.sip in the folder; with --url the one that the chain names, from its people]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Replay a job of this chain, from the chain and its people alone: a JSON-RPC address, or localhost, devnet, testnet or mainnet
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Address of the on-chain program, with --url [default: $SIP_PROGRAM, or this build's]
    #[arg(long, value_name = "ADDRESS", requires = "url", value_parser = sip_console::address::in_full)]
    program: Option<Address>,
    /// Somebody who serves what the job computes with, as HOST:PORT, beside those who say so on chain; may be repeated
    #[arg(long, value_name = "HOST:PORT", requires = "url")]
    peer: Vec<String>,
    /// Folder where what is fetched is kept, and looked for first [default: one that is removed]
    #[arg(long, value_name = "FOLDER", requires = "url")]
    keep: Option<PathBuf>,
    /// With --keep: keep the model that this round ended with as well, for "sip job export --round N --keep FOLDER"
    #[arg(long, value_name = "N", requires = "keep", value_parser = whole(1..=1_000_000))]
    round: Option<usize>,
    /// Print the finding as JSON, and no progress
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let progress = Progress::new(arguments.json);
    if let Some(url) = &arguments.url {
        return on_chain_alone(arguments, url, progress);
    }
    let mut replayed = Replayed::default();
    let difference = difference(arguments, progress, &mut replayed)?.or_else(|| {
        (replayed.rounds == 0).then(|| "no round of the run is finished yet, so there is nothing to verify".to_owned())
    });
    if arguments.json {
        let finding = serde_json::json!({
            "verified": difference.is_none(),
            "difference": difference,
            "finished": replayed.is_finished,
            "rounds": replayed.rounds,
            "segments": replayed.segments,
            "convicted_segments": replayed.convicted,
            "attestations": replayed.attestations,
            "false_attestations": replayed.false_attestations,
            "steps": replayed.steps,
            "closed_accounts": replayed.closed,
            "undone_segments": replayed.undone.iter().map(|undone| serde_json::json!({
                "round": undone.round, "trainer": undone.trainer, "false": undone.is_false, "finding": undone.finding(),
            })).collect::<Vec<_>>(),
        });
        writeln!(std::io::stdout(), "{finding:#}")?;
    } else {
        let mut out = output();
        writeln!(
            out,
            "Replayed {}, {} ({} convicted), {}, {}.",
            count(replayed.rounds, "round"),
            count(replayed.segments, "segment"),
            replayed.convicted,
            count(replayed.steps, "step"),
            count(replayed.attestations, "attestation")
        )?;
        if replayed.closed > 0 {
            writeln!(
                out,
                "{} closed on chain: copies in run/archive were read instead, and those of final rounds compared with the job's history there.",
                match replayed.closed {
                    1 => "1 account is".into(),
                    many => format!("{many} accounts are"),
                }
            )?;
        }
        for undone in &replayed.undone {
            writeln!(out, "Undone round {}, {}: {}.", undone.round, undone.trainer, undone.finding())?;
        }
        match &difference {
            None if !replayed.is_finished => writeln!(
                out,
                "Verified as far as the run goes: graph, data, seeds, every segment, aggregate, score and attestation are what was committed. It has no model yet."
            )?,
            None => writeln!(
                out,
                "Verified: graph, data, seeds, every segment, aggregate, score and attestation, and the model are what was committed."
            )?,
            Some(difference) => writeln!(out, "Not verified. First difference: {difference}")?,
        }
    }
    Ok(if difference.is_none() { ExitCode::SUCCESS } else { ExitCode::from(NOT_VERIFIED) })
}

/// Replays a job of a chain.
fn on_chain_alone(arguments: &Arguments, url: &str, progress: Progress) -> Result<ExitCode> {
    let (ledger, program) = (reach(url)?, named_program(arguments.program)?);
    let text = arguments.folder.to_string_lossy();
    let job = locate(&ledger, &program, AccountKind::Job, &text, &Names::read()?)?;
    let scratch = scratch()?;
    let folder = arguments.keep.clone().unwrap_or_else(|| scratch.path().to_owned());
    let (peers, manifest) = (arguments.peer.clone(), arguments.manifest.clone());
    let is_kept = arguments.keep.is_some();
    let request = Remote { ledger, program, job, peers, folder, is_kept, manifest };
    let mut replayed = sip_remote::Replayed::default();
    let difference = sip_remote::verify(&request, arguments.round.map(|round| round as u32), progress, &mut replayed)?;
    let base = replayed.base.map(|root| sip_data::hex(&root));
    let mut out = output();
    if arguments.json {
        let finding = serde_json::json!({
            "verified": difference.is_none(),
            "difference": difference,
            "disputableRound": replayed.disputable_round,
            "final": replayed.is_final,
            "job": job.to_string(),
            "baseRoot": base,
            "rounds": replayed.rounds,
            "scoredRounds": replayed.scored,
            "segments": replayed.segments,
            "convictedSegments": replayed.convicted,
            "steps": replayed.steps,
            "fetchedBytes": replayed.bytes,
            "notes": replayed.notes,
        });
        writeln!(std::io::stdout(), "{finding:#}")?;
    } else {
        writeln!(
            out,
            "Replayed {}, {} ({} convicted), {}; {} bytes came from its people.",
            count(replayed.rounds, "round"),
            count(replayed.segments, "segment"),
            replayed.convicted,
            count(replayed.steps, "step"),
            grouped(replayed.bytes)
        )?;
        replayed.notes.iter().try_for_each(|note| writeln!(out, "Note: {note}."))?;
        let base = base.unwrap_or_default();
        match (&difference, replayed.is_final) {
            (Some(difference), _) => {
                writeln!(out, "Not verified. First difference: {difference}")?;
                if let Some(round) = replayed.disputable_round {
                    writeln!(
                        out,
                        "Round {round} is not final: a conviction undoes it. The job's auditors and watchtowers accuse; \"sip dispute list\" shows what is accused."
                    )?;
                }
            }
            (None, true) => {
                writeln!(out, "Verified: the job's last base is {base}, and nothing can change it any more.")?
            }
            (None, false) => writeln!(out, "Verified as far as the job is: its base is {base}, and is not final yet.")?,
        }
    }
    Ok(match (difference, replayed.disputable_round) {
        (None, _) => ExitCode::SUCCESS,
        (Some(_), None) => ExitCode::from(NOT_VERIFIED),
        (Some(_), Some(_)) => ExitCode::from(DISPUTABLE),
    })
}

/// The first difference. A file that is not what another names is one as well, and not an error: the answer is that the run is false.
fn difference(arguments: &Arguments, progress: Progress, replayed: &mut Replayed) -> Result<Difference> {
    let found = sip_demo::verify(&arguments.folder, arguments.manifest.as_deref(), progress, replayed)?;
    found.or_else(|error| false_content(error).map(Some))
}

/// The first difference, in words; `None` while there is none.
type Difference = Option<String>;

/// What `sip verify` finds of a folder: accounts that it took from the archive, and the first difference.
#[cfg(test)]
pub(crate) fn finding(folder: &std::path::Path) -> Result<(u32, Option<String>)> {
    let (peer, folder) = (Vec::new(), folder.into());
    let arguments =
        Arguments { folder, manifest: None, url: None, program: None, peer, keep: None, round: None, json: true };
    let mut replayed = Replayed::default();
    let difference = difference(&arguments, Progress::new(true), &mut replayed)?;
    Ok((replayed.closed, difference))
}
