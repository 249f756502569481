//! `sip audit`: a watchtower that follows a job, replays every segment and convicts whoever lied.

mod watch;

use anyhow::{Context, Result, ensure};
use sip_client::Program;
use sip_ledger::{Embedded, Ledger, LedgerError, Receipt, Rpc, Statistics};
use sip_localnet::read_key;
use solana_account::Account;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::run::Stop;
use crate::run::prepare::{Machine, prepare};
use crate::run::settings::Settings;
use crate::run::setup::people;
use crate::run::world::PROGRAM_ELF;
use crate::store::{Store, read_json};
use watch::{Event, Watch};

/// Slots between two looks at a chain on which nothing is to be done.
const PAUSE_SLOTS: u64 = 4;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of a run: settings and tokens of the job, and its ledger unless --url is given
    #[arg(long, value_name = "FOLDER", default_value = "sip-out")]
    run: PathBuf,
    /// Chain to follow the job on
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The job; the one of the run's creator unless given
    #[arg(long, value_name = "ADDRESS")]
    job: Option<Address>,
    /// Key of the wallet that accuses and puts up bonds, as `solana-keygen` writes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Folder for what was found; "audit" in the run's folder unless given
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
    let stop = Stop::on_interrupt()?;
    let key = read_key(&arguments.key)?;
    let json = arguments.json;
    let mut report = |event: &Event| print(event, json);
    let store = Store::new(&arguments.run);
    match &arguments.url {
        Some(url) => {
            let ledger = Rpc::connect(url)?;
            follow(ledger, &store, arguments, key, &mut report, &mut || !stop.requested(), arguments.once)?;
        }
        None => {
            let ledger = Folder::open(&store)?;
            follow(ledger, &store, arguments, key, &mut report, &mut || !stop.requested(), true)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn follow<L: Ledger>(
    ledger: L,
    store: &Store,
    arguments: &Arguments,
    key: Keypair,
    report: &mut dyn FnMut(&Event),
    goes_on: &mut dyn FnMut() -> bool,
    once: bool,
) -> Result<()> {
    let settings: Settings = read_json(&store.settings())?;
    let machine = Machine::from_environment()?;
    let prepared = prepare(&settings, store, &machine)?;
    ensure!(
        prepared.updates.is_none(),
        "the run in {} exchanges compressed updates, which the watchtower does not follow yet; \"sip verify\" replays them",
        store.root().display()
    );
    let program = Program::default();
    let creator = people(&settings).first().map(|person| person.wallet()).context("the run has no creator")?;
    let job = arguments.job.unwrap_or_else(|| program.job(&creator, 0));
    let folder = arguments.state.clone().unwrap_or_else(|| store.root().join("audit"));
    let mut watch = Watch { ledger, program, key, job, prepared: &prepared, machine: &machine, folder, report };
    while goes_on() {
        if !watch.pass(goes_on)? {
            if once {
                break;
            }
            watch.ledger.advance_slots(PAUSE_SLOTS)?;
        }
    }
    Ok(())
}

fn print(event: &Event, json: bool) {
    let (text, object) = match event {
        Event::Replayed { round, place, is_true } => (
            format!(
                "round {}, trainer {}: the segment is {}what the replay gives",
                round + 1,
                place + 1,
                if *is_true { "" } else { "not " }
            ),
            serde_json::json!({ "event": "replayed", "round": round, "place": place, "true": is_true }),
        ),
        Event::Accused { round, place, dispute } => (
            format!("round {}, trainer {}: accused in {dispute}", round + 1, place + 1),
            serde_json::json!({ "event": "accused", "round": round, "place": place, "dispute": dispute.to_string() }),
        ),
        Event::Moved { dispute, kind, moves } => (
            format!("{dispute}: move {moves}, {kind:?}"),
            serde_json::json!({
                "event": "moved", "dispute": dispute.to_string(), "move": format!("{kind:?}"), "moves": moves,
            }),
        ),
        Event::Refused { dispute, reason } => (
            format!("{dispute}: the program refused: {reason}"),
            serde_json::json!({ "event": "refused", "dispute": dispute.to_string(), "reason": reason }),
        ),
        Event::Decided { dispute, convicted } => (
            format!("{dispute}: {}", if *convicted { "convicted" } else { "acquitted" }),
            serde_json::json!({ "event": "decided", "dispute": dispute.to_string(), "convicted": convicted }),
        ),
        Event::Scored { round, place, is_true } => (
            format!(
                "round {}, evaluator {}: the scoring run is {}what the replay gives",
                round + 1,
                place + 1,
                if *is_true { "" } else { "not " }
            ),
            serde_json::json!({ "event": "scored", "round": round, "place": place, "true": is_true }),
        ),
        Event::WrongBase { round } => (
            format!("round {}: the base that was voted is not the mean of the accepted segments", round + 1),
            serde_json::json!({ "event": "wrong-base", "round": round }),
        ),
    };
    let mut out = std::io::stdout().lock();
    // Whoever no longer reads needs no line.
    let _ = if json { writeln!(out, "{object}") } else { writeln!(out, "{text}") };
}

/// The ledger of a run in its folder, saved after every transaction.
struct Folder {
    ledger: Embedded,
    path: PathBuf,
}

impl Folder {
    fn open(store: &Store) -> Result<Folder> {
        let path = store.ledger(store.latest()?);
        Ok(Folder { ledger: restore(&path)?, path })
    }

    fn save(&self) -> Result<(), LedgerError> {
        Ok(self.ledger.snapshot(&self.path)?)
    }
}

fn restore(path: &Path) -> Result<Embedded, LedgerError> {
    Embedded::restore(path, Program::default().id, PROGRAM_ELF)
}

impl Ledger for Folder {
    fn send(
        &mut self,
        instructions: &[Instruction],
        payer: &Keypair,
        signers: &[&Keypair],
    ) -> Result<Receipt, LedgerError> {
        let receipt = self.ledger.send(instructions, payer, signers)?;
        self.ledger.advance_slots(1)?;
        self.save()?;
        Ok(receipt)
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, LedgerError> {
        Ok(self.ledger.account(address))
    }

    fn program_accounts(&self, program_id: &Address) -> Result<Vec<(Address, Account)>, LedgerError> {
        Ok(self.ledger.program_accounts(program_id))
    }

    fn slot(&self) -> Result<u64, LedgerError> {
        Ok(self.ledger.slot())
    }

    fn advance_slots(&mut self, slots: u64) -> Result<(), LedgerError> {
        self.ledger.advance_slots(slots)?;
        self.save()
    }

    fn minimum_balance(&self, data_bytes: usize) -> Result<u64, LedgerError> {
        Ok(self.ledger.minimum_balance(data_bytes))
    }

    fn statistics(&self) -> Statistics {
        self.ledger.statistics()
    }
}

#[cfg(test)]
mod tests;
