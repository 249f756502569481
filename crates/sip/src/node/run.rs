//! `sip node run`.

use anyhow::{Result, bail};
use sip_data::{Missing, shown_path};
use sip_driver::Source;
use sip_driver::node::{Ended, Lacking, MakeCheat, PEERS_EVERY, Runner, SEATS_PATIENCE, Setup, unreachable};
use sip_manifest::folder::Store;
use sip_manifest::place::{hold_of, quoted};
use sip_manifest::settings::Fraud;
use sip_manifest::staged;
use sip_net::Reach;
use sip_report::terminal;
use sip_roles::{Event, Me, Roles};
use solana_address::Address;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{Folder, fit};
use crate::audit::read_chain;
use sip_console::failure::{Code, fault};
use sip_console::stop_on_interrupt;
use sip_console::words::wrong;
use sip_console::{AddressText, Connection, Desk};
use sip_post::DATASET;

/// What somebody does in a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// Train segments, for all seats of the wallet
    Trainer,
    /// Draw, replay, attest and vote, for the wallet's seat
    Auditor,
    /// Score bases, for all seats of the wallet
    Evaluator,
    /// Answer demands for data
    Provider,
    /// Turn what anyone may turn: closings, seeds, finality
    Turner,
    /// Open rounds, and have those paid who ask for nothing
    Keeper,
    /// Replay every claim, and convict who lies
    Watchtower,
}

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: AddressText,
    /// What to do in it, separated by commas
    #[arg(long, value_name = "ROLE", value_delimiter = ',', required = true)]
    role: Vec<Role>,
    #[command(flatten)]
    folder: Folder,
    /// Serve manifest, tokens and states to others on this address
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Address that others reach it by, written on chain [default: that of --listen]
    #[arg(long, value_name = "URL", requires = "listen")]
    announce: Option<String>,
    /// Peer to ask, beside those that stand on chain; may be repeated
    #[arg(long, value_name = "URL")]
    peer: Vec<String>,
    /// Folder of texts to serve, as "sip data publish" and "sip job create" leave them; may be repeated
    #[arg(long, value_name = "FOLDER")]
    texts: Vec<PathBuf>,
    /// Take a seat with this pool once all is at hand, agrees with the chain, and a timed step says that the work fits; may be repeated
    #[arg(long, value_name = "POOL")]
    join: Vec<AddressText>,
    /// Work for this pool of another wallet, which names this one as its session key; may be repeated
    #[arg(long = "for", value_name = "POOL")]
    served: Vec<AddressText>,
    /// File of what the job computes with [default: run/manifest.sip in the folder, or by the job's card from peers]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Folder of states that several people share, in place of a network
    #[arg(long, value_name = "FOLDER", conflicts_with = "listen")]
    shelf: Option<PathBuf>,
    /// File with the secret of the auditor's hash chain, 64 hexadecimal digits [default: the one that follows from the key]
    #[arg(long, value_name = "FILE")]
    draws: Option<PathBuf>,
    /// Of an auditor: replay only what it draws
    #[arg(long)]
    drawn: bool,
    /// Page, health and metrics on this address of this machine, such as 127.0.0.1:9464
    #[arg(long, value_name = "IP:PORT")]
    page: Option<SocketAddr>,
    /// Most that bids for a place in blocks may cost in a round, beside the fees for signatures
    #[arg(long, value_name = "SOL", default_value = "0.01", value_parser = lamports)]
    max_fee: u64,
    /// Most MiB that states and tokens may take [default: what the job may need at once]
    #[arg(long, value_name = "MIB")]
    disk: Option<u64>,
    /// Go on serving when the job is over
    #[arg(long)]
    stay: bool,
    /// Of a keeper: open the first round after so many seconds though somebody who has a seat is not ready
    #[arg(long, value_name = "SECONDS", default_value_t = SEATS_PATIENCE.as_secs())]
    patience: u64,
    /// Stop as soon as nothing is to be done now, or where nobody serves what is needed to begin
    #[arg(long)]
    once: bool,
    /// Lie in training, for tests
    #[arg(long, value_name = "FRAUD", hide = true)]
    cheat: Option<Fraud>,
    /// From this round on, counted from 0
    #[arg(long, value_name = "ROUND", default_value_t = 0, hide = true)]
    cheat_from: u32,
}

/// SOL as lamports.
fn lamports(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is no amount of SOL; write a number such as 0.01");
    let sol: f64 = text.parse().map_err(|_| wrong())?;
    if (0.0..1e9).contains(&sol) { Ok((sol * 1e9).round() as u64) } else { Err(wrong()) }
}

fn roles(arguments: &Arguments) -> Roles {
    let has = |role| arguments.role.contains(&role);
    Roles {
        watchtower: has(Role::Watchtower),
        auditor: has(Role::Auditor),
        is_drawn_only: arguments.drawn,
        turner: has(Role::Turner),
        is_patient: has(Role::Auditor) || has(Role::Watchtower),
        keeper: has(Role::Keeper),
        trainer: has(Role::Trainer),
        evaluator: has(Role::Evaluator),
        provider: has(Role::Provider),
    }
}

fn name(role: Role) -> String {
    use clap::ValueEnum as _;
    role.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

pub(super) fn run(arguments: &Arguments, connection: &Connection) -> Result<ExitCode> {
    let stop = stop_on_interrupt()?;
    require_folders(arguments)?;
    // Two processes of one folder would sign the same in two ways.
    let _held = hold_of(&arguments.folder.data, "node run", "--data")?;
    let mut desk = Desk::open(connection)?;
    desk.require_no_dry_run()?;
    let url = arguments.announce.clone().or_else(|| arguments.listen.map(|address| format!("http://{address}")));
    if let Some((url, why)) = url.and_then(|url| unreachable(&url, Reach::of(desk.ledger.url())).map(|why| (url, why)))
    {
        return Err(fault(
            Code::Usage,
            format!("{url} would be written on chain as where this node is; {why}, with --announce"),
        ));
    }
    let key = desk.key()?.insecure_clone();
    let job = desk.locate_job(&arguments.job)?;
    let join: Vec<Address> = arguments.join.iter().map(|pool| desk.locate_pool(pool)).collect::<Result<_>>()?;
    let served = arguments.served.iter().map(|pool| desk.locate_pool(pool)).collect::<Result<BTreeSet<Address>>>()?;
    fit::require_seat(&desk, &job, &roles(arguments), &join, &served)?;
    let chain = arguments.draws.as_deref().map(read_chain).transpose()?;
    let fraud = arguments.cheat;
    let make = |fraud: Fraud| -> MakeCheat {
        Box::new(move |source: &Source| {
            let task = &source.prepared.task;
            staged::cheat(fraud, &task.graph, (0, task.inner_steps), (0, 0))
        })
    };
    let setup = Setup {
        program: desk.program,
        job,
        node: sip_roles::Node {
            me: Me::new(key.to_bytes()).with_chain(chain).serving(served),
            roles: roles(arguments),
            cheating: None,
        },
        roles: arguments.role.iter().copied().map(name).collect(),
        folder: arguments.folder.data.clone(),
        listen: arguments.listen,
        announce: arguments.announce.clone(),
        peers: arguments.peer.clone(),
        texts: arguments.texts.clone(),
        shared: arguments.shelf.clone(),
        manifest: arguments.manifest.clone(),
        max_bid_lamports: arguments.max_fee,
        disk_bytes: arguments.disk.unwrap_or(0) << 20,
        once: arguments.once,
        stays: arguments.stay,
        reach: Reach::of(desk.ledger.url()),
        seats_patience: Duration::from_secs(arguments.patience),
        join,
        cheat: fraud.map(|fraud| (arguments.cheat_from, make(fraud))),
        peers_every: PEERS_EVERY,
        page: arguments.page,
        stop,
    };
    if let (Some(Fraud::FalseAccusation | Fraud::Vote | Fraud::Attest | Fraud::Genesis), _) = (fraud, ()) {
        bail!("--cheat: a node lies in its training only");
    }
    let json = connection.json;
    let mut report = |event: &Event| print(event, json);
    let ended = Runner::new(&mut desk.ledger, &key, setup, &mut report).run();
    let ended = ended.map_err(|error| match error.downcast_ref::<Lacking>() {
        Some(lacking) => fault(Code::NobodyHas, lacking.to_string()),
        None => error,
    })?;
    let said = match ended {
        Ended::Stopped => "stopped; the same command goes on from here",
        Ended::Over => "the job is over, and nothing is owed",
        Ended::Idle => "there is nothing to be done now",
    };
    print(&Event::Prepares { what: said.into() }, json);
    Ok(ExitCode::SUCCESS)
}

/// Refuses a node's folder that is a dataset's, into which a job's files would be written, and a folder of texts that has none.
fn require_folders(arguments: &Arguments) -> Result<()> {
    let data = &arguments.folder.data;
    if data.join(DATASET).exists() {
        let shown = quoted(data);
        return Err(wrong(format!(
            "--data {shown} is the folder of a dataset, which may serve many jobs; serve it with --texts {shown}, and name another folder with --data"
        )));
    }
    for folder in &arguments.texts {
        let files = std::fs::read_dir(Store::new(folder).data()).into_iter().flatten().flatten();
        if !files.into_iter().any(|file| file.path().extension().is_some_and(|end| end == "tokens")) {
            return Err(Missing(format!(
                "there are no tokens in --texts {}; \"sip data publish\" leaves a folder with some",
                shown_path(folder)
            ))
            .into());
        }
    }
    Ok(())
}

fn print(event: &Event, json: bool) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone needs no line.
    let _ = match serde_json::to_string(event) {
        Ok(object) if json => writeln!(out, "{object}"),
        _ => writeln!(out, "{}", terminal::fitted(&event.to_string(), terminal::Stream::Output, 2)),
    };
}
