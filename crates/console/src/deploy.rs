//! `sip protocol deploy`, `upgrade`, `freeze` and `abandon`: this build's program on a chain, through loader v3.

use anyhow::{Result, bail, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};
use sip_client::Program;
use sip_ledger::loader::{Deployed, Missing, Upload, make_room, set_authority};
use sip_ledger::{Ledger, LedgerError, read_key};
use sip_protocol::admin::config::Config;
use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Desk;
use crate::failure::{Code, fault};
use crate::table::Cell;
use crate::tokens::{grouped, sol};
use crate::{Tried, explain};
use sip_data::hex;
use sip_report::terminal::{Stream, fitted};
use sip_report::{Progress, count, say};

/// Signatures of the transaction that makes the buffer a program: the wallet's and the program's.
const LAMPORTS_OF_LAST: u64 = 10_000;

/// What is done with a program's code.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Put this build's program on a chain, at an address of the wallet's; an upload that was cut off goes on
    Deploy {
        /// Key file of the program's address [default: one that follows from the wallet's key]
        #[arg(long, value_name = "FILE")]
        program_key: Option<PathBuf>,
    },
    /// Give a program that the wallet may upgrade this build's code
    Upgrade,
    /// Make the program immutable, once the protocol is begun
    Freeze,
    /// Show a program's code: its SHA-256, whether it is this build's, and who may upgrade it
    Code,
    /// Give up an upload that was not finished, and take the rent of its buffer back
    Abandon,
}

/// Does it with this code.
///
/// # Errors
/// The chain's; what stands against it.
pub fn run(desk: &mut Desk, command: &Command, elf: &[u8]) -> Result<ExitCode> {
    match command {
        Command::Deploy { program_key } => deploy(desk, program_key.as_deref(), elf),
        Command::Upgrade => upgrade(desk, elf),
        Command::Freeze => freeze(desk, elf),
        Command::Code => code(desk, elf),
        Command::Abandon => abandon(desk, elf),
    }
}

/// A key that only the holder of another can have.
fn derived(key: &Keypair, purpose: &str, of: &[u8]) -> Keypair {
    let secret = Sha256::new().chain_update(purpose).chain_update(key.to_bytes()).chain_update(of).finalize();
    Keypair::new_from_array(secret.into())
}

/// The buffer of a wallet for this build's code: the same one whenever the upload goes on.
fn buffer(key: &Keypair, elf: &[u8]) -> Keypair {
    derived(key, "sip.buffer.1", &Sha256::digest(elf))
}

fn sha256(code: &[u8]) -> String {
    hex(&Sha256::digest(code))
}

/// The hash of code without the room behind it.
fn hash_of(deployed: &Deployed, elf: &[u8]) -> String {
    let end = deployed.code.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    // The code may end with zeros of its own.
    let end = if deployed.is(elf) { elf.len() } else { end };
    sha256(&deployed.code[..end])
}

/// What is about to happen, and what it takes.
struct Plan<'a> {
    elf: &'a [u8],
    action: &'static str,
    program_id: Address,
    before: Option<String>,
    buffer: Address,
    missing: &'a Missing,
    pieces: usize,
    fee: u64,
    /// Stays in the program's accounts.
    rent: u64,
    /// What the wallet needs at once.
    at_once: u64,
}

impl Plan<'_> {
    fn lines(&self) -> Vec<String> {
        let there = self.pieces - self.missing.pieces.len();
        let transactions = self.missing.cost().0 + 1;
        let mut lines = vec![
            format!("{} the program {}", self.action, self.program_id),
            format!("  code     {} bytes, SHA-256 {}", grouped(self.elf.len() as u64), sha256(self.elf)),
        ];
        lines.extend(self.before.as_ref().map(|before| format!("  instead  SHA-256 {before}")));
        lines.push(format!(
            "  cost     rent {} (stays as long as the program does), fee {} of {}; the wallet needs {} at once",
            sol(self.rent),
            sol(self.fee),
            count(transactions, "transaction"),
            sol(self.at_once)
        ));
        if there > 0 {
            lines.push(format!(
                "  upload   goes on: {there} of {} pieces are in the buffer {}",
                self.pieces, self.buffer
            ));
        }
        lines
    }

    fn tell(&self, desk: &Desk, signature: Option<String>) -> Result<()> {
        let mut out = std::io::stdout();
        if desk.json {
            let told = json!({
                "action": self.action,
                "sent": signature.is_some(),
                "signature": signature,
                "program": self.program_id.to_string(),
                "codeSha256": sha256(self.elf),
                "codeSha256Before": self.before,
                "buffer": self.buffer.to_string(),
                "piecesSent": self.missing.pieces.len(),
                "pieces": self.pieces,
                "cost": {
                    "feeLamports": self.fee.to_string(),
                    "rentLamports": self.rent.to_string(),
                    "atOnceLamports": self.at_once.to_string(),
                },
            });
            writeln!(out, "{told}")?;
        } else if signature.is_none() {
            for line in self.lines() {
                writeln!(out, "{}", fitted(&line, Stream::Output, 9))?;
            }
        }
        Ok(())
    }
}

/// Puts the program at a new address.
fn deploy(desk: &mut Desk, program_key: Option<&Path>, elf: &[u8]) -> Result<ExitCode> {
    let key = desk.key()?.insecure_clone();
    let program = match program_key {
        Some(path) => read_key(path)?,
        None => derived(&key, "sip.program.1", &[]),
    };
    let program_id = program.pubkey();
    if desk.ledger.account(&program_id)?.is_some() {
        bail!(
            "there is a program at {program_id} already; \"sip protocol upgrade --program {program_id}\" gives it this build's code"
        );
    }
    let buffer = buffer(&key, elf);
    let upload = Upload { program_elf: elf, authority: &key, buffer: &buffer };
    let missing = upload.missing(&desk.ledger)?;
    let (fee, rent) = (missing.cost().1 + LAMPORTS_OF_LAST, upload.program_rent(&desk.ledger)?);
    let paid = if missing.is_new { 0 } else { upload.buffer_rent(&desk.ledger)? };
    let plan = Plan {
        elf,
        action: "deploy",
        program_id,
        before: None,
        buffer: buffer.pubkey(),
        missing: &missing,
        pieces: pieces(elf),
        fee,
        rent,
        at_once: (rent + fee).saturating_sub(paid),
    };
    if !begin(desk, &plan, "Deploy it?")? {
        return Ok(ExitCode::SUCCESS);
    }
    write(desk, &upload, &plan)?;
    let last = upload.deploy(&desk.ledger, &program_id)?;
    let receipt = desk.ledger.send(&last, &key, &[&program]).map_err(|error| refused(error, desk, &plan))?;
    finish(desk, &plan, receipt.signature.to_string(), |out| {
        let option =
            if program_id == Program::default().id { String::new() } else { format!(" --program {program_id}") };
        writeln!(out, "Next: sip protocol init{option}, before anything makes the program immutable")
    })
}

/// Gives a program this build's code.
fn upgrade(desk: &mut Desk, elf: &[u8]) -> Result<ExitCode> {
    let key = desk.key()?.insecure_clone();
    let program_id = desk.program.id;
    let deployed = upgradeable(desk, &key.pubkey())?;
    ensure!(!deployed.is(elf), "the program {program_id} has this build's code already, SHA-256 {}", sha256(elf));
    let buffer = buffer(&key, elf);
    let upload = Upload { program_elf: elf, authority: &key, buffer: &buffer };
    let missing = upload.missing(&desk.ledger)?;
    let more = elf.len().saturating_sub(deployed.code.len());
    let rent = if more == 0 {
        0
    } else {
        let room = |code: usize| desk.ledger.minimum_balance(code);
        room(elf.len())? - room(deployed.code.len())?
    };
    let fee = missing.cost().1 + LAMPORTS_OF_LAST;
    let lent = if missing.is_new { upload.buffer_rent(&desk.ledger)? } else { 0 };
    let plan = Plan {
        elf,
        action: "upgrade",
        program_id,
        before: Some(hash_of(&deployed, elf)),
        buffer: buffer.pubkey(),
        missing: &missing,
        pieces: pieces(elf),
        fee,
        rent,
        at_once: rent + fee + lent,
    };
    if !begin(desk, &plan, "Upgrade it?")? {
        return Ok(ExitCode::SUCCESS);
    }
    write(desk, &upload, &plan)?;
    make_room(&mut desk.ledger, elf, &key, &program_id)?;
    let receipt =
        (desk.ledger.send(&[upload.upgrade(&program_id)], &key, &[])).map_err(|error| refused(error, desk, &plan))?;
    finish(desk, &plan, receipt.signature.to_string(), |out| {
        writeln!(out, "the rent of the buffer, {}, is back in the wallet", sol(lent.max(1)))
    })
}

/// Makes a program immutable.
fn freeze(desk: &mut Desk, elf: &[u8]) -> Result<ExitCode> {
    let key = desk.key()?.insecure_clone();
    let program_id = desk.program.id;
    let deployed = upgradeable(desk, &key.pubkey())?;
    if desk.find::<Config>(&desk.program.config())?.is_none() {
        bail!(
            "the protocol is not begun, and only who may upgrade the program can begin it; \"sip protocol init\" first"
        );
    }
    let build = if deployed.is(elf) { "this build's" } else { "not this build's" };
    let told = format!(
        "{program_id} keeps its code for good, SHA-256 {} ({build}), and no fault in it can ever be mended",
        hash_of(&deployed, elf)
    );
    desk.confirm(&told, "Freeze it?")?;
    let instruction = set_authority(&program_id, &key.pubkey(), None);
    desk.act_and_tell(&format!("freeze the program {program_id}"), &[instruction], &[], &[told])
}

/// What is on the chain, to compare with a release.
fn code(desk: &Desk, elf: &[u8]) -> Result<ExitCode> {
    let id = desk.program.id;
    let deployed = Deployed::read(&desk.ledger, &id)?.ok_or_else(|| no_program(&id))?;
    let authority = deployed.authority.map_or_else(|| Cell::text("nobody: it is immutable"), Cell::text);
    desk.card(&vec![
        ("program", Cell::text(id)),
        ("code sha256", Cell::Text(hash_of(&deployed, elf))),
        ("this build", Cell::Truth(deployed.is(elf))),
        ("this build sha256", Cell::Text(sha256(elf))),
        ("room", Cell::Number(deployed.code.len() as u64)),
        ("upgrade authority", authority),
    ])
}

fn no_program(id: &Address) -> anyhow::Error {
    let said = format!(
        "there is no program of loader v3 at {id}; \"sip protocol deploy\" brings one, --program names another"
    );
    fault(Code::NoProgram, said)
}

/// Gives up an upload that was not finished.
fn abandon(desk: &mut Desk, elf: &[u8]) -> Result<ExitCode> {
    let key = desk.key()?.insecure_clone();
    let buffer = buffer(&key, elf);
    ensure!(
        desk.ledger.account(&buffer.pubkey())?.is_some(),
        "no upload of this build's code is under way; its buffer would be {}",
        buffer.pubkey()
    );
    let upload = Upload { program_elf: elf, authority: &key, buffer: &buffer };
    desk.act(&format!("give up the buffer {}", buffer.pubkey()), &[upload.close()], &[])
}

fn pieces(elf: &[u8]) -> usize {
    elf.len().div_ceil(sip_ledger::loader::PIECE_BYTES)
}

/// A program that the wallet may upgrade.
fn upgradeable(desk: &Desk, wallet: &Address) -> Result<Deployed> {
    let id = desk.program.id;
    let deployed = Deployed::read(&desk.ledger, &id)?.ok_or_else(|| no_program(&id))?;
    match deployed.authority {
        None => bail!("the program {id} is immutable"),
        Some(authority) if authority != *wallet => {
            bail!("the program {id} is upgraded by {authority}, not by the wallet {wallet}")
        }
        Some(_) => Ok(deployed),
    }
}

/// Shows the plan and asks; `false` where it is only tried.
fn begin(desk: &Desk, plan: &Plan<'_>, question: &str) -> Result<bool> {
    let held = desk.ledger.account(&desk.wallet()?)?.map_or(0, |account| account.lamports);
    if desk.is_dry_run() {
        plan.tell(desk, None)?;
        if held < plan.at_once {
            desk.note(&format!("the wallet has {}", sol(held)));
        }
        return Ok(false);
    }
    if held < plan.at_once {
        let said = format!("it takes {} at once, and the wallet has {}", sol(plan.at_once), sol(held));
        return Err(fault(Code::TooFewLamports, said));
    }
    if !desk.json {
        plan.lines().iter().for_each(|line| say(&fitted(line, Stream::Error, 9)));
    }
    let told = format!("{} {} for {}", plan.action, plan.program_id, sol(plan.rent + plan.fee));
    desk.confirm(&told, question)?;
    Ok(true)
}

/// Writes what is missing into the buffer.
fn write(desk: &mut Desk, upload: &Upload<'_>, plan: &Plan<'_>) -> Result<()> {
    let stop = crate::stop_on_interrupt()?;
    let bar = Progress::new(desk.json).bar(plan.pieces as u64, "upload");
    let pieces = plan.pieces;
    let written = upload.write(&mut desk.ledger, |missing| {
        bar.set_position(pieces.saturating_sub(missing) as u64);
        !stop.requested()
    });
    drop(bar);
    match written.map_err(|error| refused(error, desk, plan))? {
        true => Ok(()),
        false if stop.requested() => {
            Err(fault(Code::Interrupted, "stopped; what is uploaded is kept, and the same command goes on from there"))
        }
        false => Err(fault(
            Code::Unreachable,
            "the chain takes no more pieces now; the same command goes on from what is uploaded",
        )),
    }
}

fn refused(error: LedgerError, desk: &Desk, plan: &Plan<'_>) -> anyhow::Error {
    let logs: Vec<String> = error.logs().iter().filter(|log| !log.starts_with("Program ")).cloned().collect();
    let wallet = desk.wallet().ok().and_then(|wallet| desk.ledger.account(&wallet).ok().flatten());
    let lamports = wallet.map_or(0, |wallet| wallet.lamports);
    let tried = Tried {
        program: &desk.program,
        what: plan.action,
        instructions: &[],
        lamports,
        tokens: None,
        is_authority: false,
    };
    let error = explain(error, &tried);
    if logs.is_empty() {
        error
    } else {
        error.context(format!("{}: the loader says: {}", plan.action, logs.join("; ")))
    }
}

fn finish(
    desk: &mut Desk,
    plan: &Plan<'_>,
    signature: String,
    next: impl FnOnce(&mut std::io::Stdout) -> std::io::Result<()>,
) -> Result<ExitCode> {
    // A program is usable from the slot after.
    desk.ledger.advance_slots(1)?;
    let deployed = Deployed::read(&desk.ledger, &plan.program_id)?;
    ensure!(
        deployed.is_some_and(|deployed| deployed.is(plan.elf)),
        "the chain has other code at {} than was sent",
        plan.program_id
    );
    plan.tell(desk, Some(signature.clone()))?;
    if !desk.json {
        let mut out = std::io::stdout();
        writeln!(
            out,
            "{}",
            fitted(&format!("{} is on the chain, SHA-256 {}", plan.program_id, sha256(plan.elf)), Stream::Output, 2)
        )?;
        writeln!(out, "{}", fitted(&format!("transaction {signature}"), Stream::Output, 2))?;
        next(&mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}
