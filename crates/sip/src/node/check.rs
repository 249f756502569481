//! `sip node check`: whether this machine is fit for a node, before anything is at stake.

use anyhow::Result;
use serde_json::{Value, json};
use sip_data::shown_path;
use sip_driver::node::Pace;
use sip_ledger::Ledger;
use sip_net::{Http, Peer, Reach, ServeLimits, Server, Shelf, ask_hello};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sip_console::failure::NOT_VERIFIED;
use sip_console::kind_name;
use sip_console::{Connection, Desk};
use sip_post::speed;
use sip_view::session::{pools_of, signs_as};

/// What a node needs for fees and for the rent of one dispute, at least.
const LEAST_LAMPORTS: u64 = 50_000_000;
/// A clock that differs by more from the chain's is wrong.
const CLOCK_SECONDS: u64 = 30;
/// How long the pace of slots is measured.
const MEASURED: Duration = Duration::from_millis(1_500);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the disk is tried with.
const DISK_BYTES: u64 = 64 << 20;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Folder that the node would have; what is tried with it is removed
    #[arg(long, value_name = "FOLDER", default_value = "sip-node")]
    data: PathBuf,
    /// Address that it would serve on: somebody answers there to a call from this machine
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Address that others would reach it by, to be called from this machine
    #[arg(long, value_name = "URL", requires = "listen")]
    announce: Option<String>,
}

/// One thing that was looked at.
struct Check {
    what: &'static str,
    is_fit: bool,
    said: String,
    /// What was measured, for programs: a key with its unit.
    measured: Option<(&'static str, Value)>,
}

fn check(what: &'static str, is_fit: bool, said: impl Into<String>) -> Check {
    Check { what, is_fit, said: said.into(), measured: None }
}

impl Check {
    fn with(self, key: &'static str, value: impl Into<Value>) -> Check {
        Check { measured: Some((key, value.into())), ..self }
    }

    fn to_json(&self) -> Value {
        let mut object = json!({ "check": self.what, "fit": self.is_fit, "said": self.said });
        if let Some((key, value)) = &self.measured {
            object[*key] = value.clone();
        }
        object
    }
}

pub(super) fn run(arguments: &Arguments, connection: &Connection) -> Result<ExitCode> {
    let desk = Desk::open(connection)?;
    desk.require_no_dry_run()?;
    let mut checks = vec![check("chain", true, format!("{} answers, and the program is there", desk.ledger.url()))];
    checks.push(pace(&desk)?);
    checks.push(clock(&desk)?);
    checks.push(wallet(&desk)?);
    checks.push(signs(&desk)?);
    checks.push(disk(arguments));
    checks.push(speed()?);
    if let Some(address) = arguments.listen {
        checks.push(reach(arguments, address));
    }
    let mut out = std::io::stdout();
    for check in &checks {
        let Check { what, is_fit, said, .. } = check;
        match connection.json {
            true => writeln!(out, "{}", check.to_json())?,
            false => writeln!(out, "{} {what:8} {said}", if *is_fit { "yes" } else { "NO " })?,
        }
    }
    let is_fit = checks.iter().all(|check| check.is_fit);
    Ok(if is_fit { ExitCode::SUCCESS } else { ExitCode::from(NOT_VERIFIED) })
}

fn pace(desk: &Desk) -> Result<Check> {
    let mut pace = Pace::new(Duration::ZERO);
    let begin = Instant::now();
    while begin.elapsed() < MEASURED {
        pace.note(desk.slot()?, Instant::now());
        std::thread::sleep(Duration::from_millis(50));
    }
    let slot = pace.slot();
    Ok(match slot.is_zero() {
        true => check("slots", false, "no slot passed while it was measured; a node acts when slots pass"),
        false => check("slots", true, format!("{:.0} ms each, as measured", slot.as_secs_f64() * 1e3))
            .with("slotMilliseconds", slot.as_secs_f64() * 1e3),
    })
}

fn clock(desk: &Desk) -> Result<Check> {
    // The time in the clock's account: slot, begin of the epoch, epoch, epoch of the next schedule, Unix time.
    let account = Ledger::account(&desk.ledger, &CLOCK)?;
    let time = account.and_then(|account| Some(i64::from_le_bytes(*account.data.get(32..)?.first_chunk()?)));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    Ok(match time.and_then(|time| u64::try_from(time).ok()) {
        None => check("clock", true, "the chain does not say what time it is"),
        Some(time) => {
            let differs = now.abs_diff(time);
            let said = format!("{differs} s from the chain's; times that are told would be wrong by that");
            // A chain on this machine may run at a pace of its own.
            check("clock", differs <= CLOCK_SECONDS || Reach::of(desk.ledger.url()) == Reach::Machine, said)
                .with("apartSeconds", differs)
        }
    })
}

/// The account of the clock.
const CLOCK: solana_address::Address =
    solana_address::Address::from_str_const("SysvarC1ock11111111111111111111111111111111");

fn wallet(desk: &Desk) -> Result<Check> {
    let wallet = desk.wallet()?;
    let lamports = desk.ledger.account(&wallet)?.map_or(0, |account| account.lamports);
    let sol = lamports as f64 / 1e9;
    let need = LEAST_LAMPORTS as f64 / 1e9;
    let said = format!("{sol:.3} SOL for fees and rent; one dispute may take {need} SOL, most of which comes back");
    Ok(check("wallet", lamports >= LEAST_LAMPORTS, said).with("walletLamports", lamports.to_string()))
}

/// For which pools the wallet signs, and as what.
fn signs(desk: &Desk) -> Result<Check> {
    let (wallet, slot) = (desk.wallet()?, desk.slot()?);
    let (mut lines, mut is_fit) = (Vec::new(), true);
    for (address, pool) in pools_of(desk, &wallet)? {
        is_fit &= pool.is_worker(wallet.as_array(), slot);
        let how = signs_as(&pool, &wallet, slot).unwrap_or_default();
        lines.push(format!("for {} {address} {how}", kind_name(pool.kind)));
    }
    let none = format!(
        "for no pool; \"sip pool create\" makes one of its own, or the operator of a pool names this key: \"sip pool session POOL {wallet}\""
    );
    Ok(check("signs", is_fit, if lines.is_empty() { none } else { lines.join("; ") }))
}

/// A folder of its own in the node's, which is gone when this is.
fn own_folder(arguments: &Arguments) -> Result<tempfile::TempDir> {
    std::fs::create_dir_all(&arguments.data)?;
    Ok(tempfile::Builder::new().prefix(".check-").tempdir_in(&arguments.data)?)
}

fn disk(arguments: &Arguments) -> Check {
    let tried = (|| -> Result<f64> {
        let folder = own_folder(arguments)?;
        let path = folder.path().join("bytes");
        let begin = Instant::now();
        let mut file = std::fs::File::create(&path)?;
        let chunk = vec![0x5A; 1 << 20];
        for _ in 0..DISK_BYTES >> 20 {
            file.write_all(&chunk)?;
        }
        file.sync_all()?;
        Ok(DISK_BYTES as f64 / begin.elapsed().as_secs_f64() / (1 << 20) as f64)
    })();
    // Only if nothing else is in it.
    let _ = std::fs::remove_dir(&arguments.data);
    let shown = shown_path(&arguments.data);
    match tried {
        Ok(speed) => check("disk", true, format!("{speed:.0} MiB a second are written to {shown}"))
            .with("writtenMibPerSecond", speed),
        Err(error) => check("disk", false, format!("cannot write to {shown}: {error}")),
    }
}

fn speed() -> Result<Check> {
    let speed = speed::measure()?;
    let said =
        format!("{:.1} GFLOP/s in training; \"sip job list --fit\" compares it with what jobs need", speed / 1e9);
    Ok(check("speed", true, said).with("flopsPerSecond", speed))
}

/// Serves on the address for a moment, and calls it as others would.
fn reach(arguments: &Arguments, address: SocketAddr) -> Check {
    let tried = (|| -> Result<Check> {
        let scratch = own_folder(arguments)?;
        let shelf = Shelf::open(scratch.path())?;
        let server = Server::start(address, &shelf, ServeLimits::default())?;
        let url = arguments.announce.clone().unwrap_or_else(|| format!("http://{}", server.address()));
        let peer = Peer { id: [0; 32], address: url.clone() };
        Ok(match ask_hello(&Http, &peer, PATIENCE) {
            Ok((_, time)) => {
                let said = format!("{url} answers after {:.0} ms, called from here", time.as_secs_f64() * 1e3);
                check("reach", true, said).with("answerMilliseconds", time.as_secs_f64() * 1e3)
            }
            Err(failure) => {
                let said = format!("{url} {failure}; open the port, or name with --announce how others reach it");
                check("reach", false, said)
            }
        })
    })();
    let _ = std::fs::remove_dir(&arguments.data);
    tried.unwrap_or_else(|error| check("reach", false, format!("cannot serve on {address}: {error:#}")))
}
