//! `sip localnet`: a Solana chain on this machine, with the program on it.

use anyhow::{Context, Result, bail};
use sip_client::Program;
use sip_data::shown_path;
use sip_ledger::read_key;
use sip_localnet::{Config, Localnet};
use solana_address::Address;
use solana_signer::Signer;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::Duration;

use sip_console::address::in_full;
use sip_report::terminal::output;
use sip_svm::PROGRAM_ELF;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Data directory; the chain in it goes on, or begins where there is none
    #[arg(long, value_name = "DIR", default_value = "sip-localnet")]
    data: PathBuf,
    /// Port for JSON-RPC; the next one is for WebSocket
    #[arg(long, value_name = "PORT", default_value_t = 8899)]
    port: u16,
    /// Address to listen on; this machine alone unless told otherwise
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// Milliseconds that a slot lasts; 0 lets slots pass only when a client asks
    #[arg(long, value_name = "MS", default_value_t = 400)]
    slot_ms: u64,
    /// Remove the chain in the data directory and begin another
    #[arg(long)]
    reset: bool,
    /// Load one more program (may be repeated)
    #[arg(long, value_name = "ADDRESS=FILE", value_parser = parse_program)]
    program: Vec<(Address, PathBuf)>,
    /// Key file of the faucet of a new chain; a new key where none is given
    #[arg(long, value_name = "FILE")]
    faucet: Option<PathBuf>,
    /// Who has deployed the program of a new chain: the key that "sip protocol init" is signed with; the faucet's where none is given
    #[arg(long, value_name = "ADDRESS", value_parser = in_full)]
    authority: Option<Address>,
    /// Let web pages from elsewhere speak to the chain; pages of this machine and extensions of the browser always may
    #[arg(long)]
    allow_web_pages: bool,
    /// Print one JSON object when the chain answers, instead of lines
    #[arg(long)]
    json: bool,
}

fn parse_program(text: &str) -> Result<(Address, PathBuf), String> {
    let (address, file) = text.split_once('=').ok_or("expected ADDRESS=FILE")?;
    let address = address.parse().map_err(|_| format!("\"{address}\" is no address"))?;
    Ok((address, file.into()))
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (stop, stopped) = channel();
    ctrlc::set_handler(move || {
        // Nobody listens any more once the chain has ended.
        let _ = stop.send(());
    })
    .context("cannot listen for Ctrl-C")?;

    let mut config = Config::new(arguments.data.clone(), (Program::default().id, PROGRAM_ELF.to_vec()));
    config.host = arguments.host;
    config.port = arguments.port;
    config.slot = (arguments.slot_ms > 0).then(|| Duration::from_millis(arguments.slot_ms));
    config.reset = arguments.reset;
    config.allow_web_pages = arguments.allow_web_pages;
    config.faucet = arguments.faucet.as_deref().map(read_key).transpose()?;
    config.authority = arguments.authority;
    for (address, file) in &arguments.program {
        let elf = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        config.more_programs.push((*address, elf));
    }
    let faucet = config.faucet.as_ref().map(Signer::pubkey);
    let localnet = Localnet::start(config)?;
    // An older chain goes on with what it began with.
    let mismatch =
        [("--authority", arguments.authority, localnet.authority()), ("--faucet", faucet, Some(localnet.faucet()))];
    for (option, wanted, found) in mismatch {
        if wanted.is_some() && wanted != found {
            localnet.shut_down()?;
            let found = found.map_or("nobody".into(), |address| address.to_string());
            bail!(
                "{option}: the chain in {} has {found} there, and only a new chain takes another; --reset begins one anew, --data names another",
                shown_path(&arguments.data)
            );
        }
    }
    report(arguments, &localnet)?;
    // The handler lives as long as the process, so the channel ends only with a signal.
    let _ = stopped.recv();
    let (slot, transactions) = localnet.progress();
    localnet.shut_down()?;
    if !arguments.json {
        let mut out = output();
        writeln!(out, "stopped at slot {slot} after {transactions} transactions; the same command goes on from here")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn report(arguments: &Arguments, localnet: &Localnet) -> Result<()> {
    let (slot, transactions) = localnet.progress();
    if arguments.json {
        let status = serde_json::json!({
            "url": localnet.url(),
            "websocketUrl": localnet.websocket_url(),
            "programId": localnet.program_id().to_string(),
            "faucet": localnet.faucet().to_string(),
            "authority": localnet.authority().map(|address| address.to_string()),
            "data": arguments.data,
            "slot": slot,
            "transactions": transactions,
            "runsOtherProgram": localnet.runs_other_program(),
        });
        writeln!(std::io::stdout(), "{status}")?;
        return Ok(());
    }
    let mut out = output();
    writeln!(out, "JSON-RPC   {}", localnet.url())?;
    writeln!(out, "WebSocket  {}", localnet.websocket_url())?;
    writeln!(out, "program    {}", localnet.program_id())?;
    writeln!(out, "faucet     {}", localnet.faucet())?;
    let authority = localnet.authority().map_or("nobody: the program is immutable".into(), |a| a.to_string());
    writeln!(out, "authority  {authority}")?;
    writeln!(out, "data       {}, at slot {slot} after {transactions} transactions", arguments.data.display())?;
    if localnet.runs_other_program() {
        writeln!(
            out,
            "note       the chain runs the program that it began with, not this build's; --reset begins anew"
        )?;
    }
    writeln!(out, "Ctrl-C saves and stops.")?;
    Ok(())
}
