//! `sip audit`: a watchtower that follows jobs, replays what was claimed, convicts liars, and acts for an auditor.

use anyhow::{Context, Result};
use sip_driver::{Patrol, Tally};
use sip_report::terminal;
use solana_address::Address;
use solana_keypair::Keypair;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use sip_console::{named_program, no_wallet, reach, variable, wallet_key};
use sip_data::unhex;
use sip_demo::Folder;
use sip_manifest::folder::Store;
use sip_manifest::place::hold_of;
use sip_manifest::stop::Stop;
use sip_roles::{Event, Me, Node, Roles};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of a run: manifest and tokens of a job, and its ledger unless --url is given; may be repeated
    #[arg(long, value_name = "FOLDER", default_value = "sip-out")]
    run: Vec<PathBuf>,
    /// File of what a job computes with; may be repeated, in the order of --run [default: run/manifest.sip in the folder]
    #[arg(long, value_name = "FILE")]
    manifest: Vec<PathBuf>,
    /// Chain to follow the jobs on: its JSON-RPC address, or localhost, devnet, testnet or mainnet [default: the ledger in the folder, or
    /// $SIP_URL where there is none]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A job to follow, in full or its first letters; may be repeated [default: all jobs of the chain that the folders describe]
    #[arg(long, value_name = "ADDRESS")]
    job: Vec<String>,
    /// Key of the wallet that accuses, puts up bonds and has the bounties, as `solana-keygen` writes it [default: $SIP_KEY]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Address of the on-chain program [default: $SIP_PROGRAM, or this build's]
    #[arg(long, value_name = "ADDRESS", value_parser = sip_console::address::in_full)]
    program: Option<Address>,
    /// Also act as the auditor of the job that the wallet is: reveal draws, attest, vote, defend both, move rounds on that are due,
    /// take the pay
    #[arg(long)]
    operator: bool,
    /// With --operator: work for this pool of another wallet, which names this one as its session key; may be repeated
    #[arg(long = "for", value_name = "POOL", requires = "operator", value_parser = sip_console::address::in_full)]
    served: Vec<Address>,
    /// File with the secret of the auditor's hash chain, 64 hexadecimal digits [default: the one that follows from the key]
    #[arg(long, value_name = "FILE", requires = "operator")]
    chain: Option<PathBuf>,
    /// Replay only what the auditor draws; take the ends of other segments from run/states in the run's folder, where they are
    /// missing or false demand them on chain
    #[arg(long, requires = "operator")]
    drawn: bool,
    /// Where nobody hands over tokens of a job's data: demand a chunk of them on chain, which charges a provider that is silent.
    /// Without this nothing is demanded for a file that is missing or damaged here
    #[arg(long)]
    demand_data: bool,
    /// Folder for what was found [default: "audit" in the run's folder, with --url in that of the first run]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Stop when there is nothing to be done now; always so on a ledger in a folder
    #[arg(long)]
    once: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let stop = sip_console::stop_on_interrupt()?;
    let key = wallet_key(arguments.key.as_deref())?.ok_or_else(no_wallet)?;
    let json = arguments.json;
    let mut report = |event: &Event| print(event, json);
    let manifests = arguments.manifest.iter().map(|file| Some(file.as_path())).chain(std::iter::repeat(None));
    let stores: Vec<Store> =
        (arguments.run.iter().zip(manifests)).map(|(folder, file)| Store::new(folder).with_manifest(file)).collect();
    // The variable names a chain for folders that have no ledger of their own.
    let has_ledgers = stores.iter().all(|store| store.latest().is_ok());
    let url = arguments.url.clone().or_else(|| variable("SIP_URL").filter(|_| !has_ledgers));
    let folders: Vec<PathBuf> = match (&arguments.state, &url) {
        (Some(folder), _) => vec![folder.clone()],
        (None, Some(_)) => stores.iter().take(1).map(|store| store.root().join("audit")).collect(),
        (None, None) => stores.iter().map(|store| store.root().join("audit")).collect(),
    };
    // No folder is made for a run that is not there, which is told below.
    let is_there = stores.iter().all(|store| store.settings().exists());
    let held = folders.iter().filter(|_| is_there).map(|folder| hold_of(folder, "audit", "--state"));
    let _held = held.collect::<Result<Vec<_>>>()?;
    let known = Tally::of(&folders);
    let mut goes_on = || !stop.requested();
    let mut patrol = patrol(arguments, &key, &stop, &mut report, &mut goes_on)?;
    match &url {
        Some(url) => patrol.follow(&mut reach(url)?, &stores)?,
        None => {
            patrol.once = true;
            for store in &stores {
                patrol.follow(&mut Folder::open(store)?, std::slice::from_ref(store))?;
            }
        }
    }
    print(&Tally::of(&folders).since(&known), json);
    Ok(ExitCode::SUCCESS)
}

fn print(event: &Event, json: bool) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone needs no line.
    let _ = match serde_json::to_string(event) {
        Ok(object) if json => writeln!(out, "{object}"),
        _ => writeln!(out, "{}", terminal::fitted(&event.to_string(), terminal::Stream::Output, 2)),
    };
}

/// Who follows jobs, how, and for how long.
fn patrol<'a>(
    arguments: &'a Arguments,
    key: &'a Keypair,
    stop: &'a Stop,
    report: &'a mut dyn FnMut(&Event),
    goes_on: &'a mut dyn FnMut() -> bool,
) -> Result<Patrol<'a>> {
    let chain = arguments.chain.as_deref().map(read_chain).transpose()?;
    let me = Me::new(key.to_bytes()).with_chain(chain).serving(arguments.served.iter().copied().collect());
    Ok(Patrol {
        program: named_program(arguments.program)?,
        key,
        node: Node { me, roles: roles(arguments.operator, arguments.drawn), cheating: None },
        jobs: &arguments.job,
        state: arguments.state.as_deref(),
        demands_data: arguments.demand_data,
        stop,
        once: arguments.once,
        report,
        goes_on,
    })
}

/// The secret of a hash chain in a file: 64 hexadecimal digits.
pub(crate) fn read_chain(path: &std::path::Path) -> Result<[u8; 32]> {
    let text = sip_json::read_text(path, 1024)
        .with_context(|| format!("cannot read {}; expected 64 hexadecimal digits", path.display()))?;
    unhex(text.trim()).with_context(|| format!("{} does not hold 64 hexadecimal digits", path.display()))
}

/// What a watchtower does, and an auditor beside it.
fn roles(is_operator: bool, is_drawn_only: bool) -> Roles {
    Roles { watchtower: true, auditor: is_operator, turner: is_operator, is_drawn_only, ..Roles::default() }
}

#[cfg(test)]
mod tests;
