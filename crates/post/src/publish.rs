//! `sip data`: texts that somebody publishes for others to train on.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sip_data::{Domain as Words, hex, shown_path};
use sip_manifest::folder::{Store, read_values, write_text};
use sip_manifest::place::{foreign, hold, keep_apart, quoted};
use sip_manifest::prepare::split;
use sip_manifest::tokenizer::PUBLISHED;
use sip_manifest::value::Domain;
use sip_model::tokenizer::Tokenizer;
use sip_protocol::AccountKind;
use sip_protocol::admin::config::Config;
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::data::Dataset;
use solana_address::Address;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::create::{data_pool, registration};
use super::plan::{Plan, command, say};
use super::texts::{require_licence, require_name, save_tokenizer, shown_name};
use sip_console::table::{Cell, Row};
use sip_console::{Connection, Desk};
use sip_manifest::tokenizer;

/// What a folder of texts says of the dataset that it holds.
pub const DATASET: &str = "dataset.json";

/// Publish texts for others to train on
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Register texts as a dataset that the wallet answers for, and leave the folder that it is served from
    Publish(Publish),
    /// List datasets: domain, licence, tokens, and who answers for them
    List,
}

#[derive(clap::Args)]
struct Publish {
    /// Text files (also packed, or with {"text": …} on every line) and folders of them; together they are one domain
    #[arg(value_name = "FILES", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Name of the domain
    #[arg(long, value_name = "NAME")]
    domain: String,
    /// Licence of the texts, as an SPDX identifier
    #[arg(long, value_name = "SPDX")]
    licence: String,
    /// Folder with the tokenizer.json that the texts become tokens of: of a model, or of a dataset (sip-data/NAME, or NAME), so that a job can train on them beside others [default: one that is
    /// learned from the texts]
    #[arg(long, value_name = "FOLDER", conflicts_with = "vocabulary")]
    tokenizer: Option<PathBuf>,
    /// Tokens of the tokenizer that is learned
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = sip_console::words::count(300..=1 << 20))]
    vocabulary: usize,
    /// Longest sequence of a job that is to train on them: as many as sixteen of them are held out at least
    #[arg(long, value_name = "TOKENS", default_value_t = 128, value_parser = sip_console::words::count(8..=1 << 16))]
    sequence: usize,
    /// Bytes of the texts that are used, from their beginning
    #[arg(long, value_name = "N", default_value_t = 100_000_000, value_parser = sip_console::words::count(1..=1 << 40))]
    max_bytes: usize,
    /// Folder for tokens and tokenizer [default: sip-data/NAME]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Publishes texts.
///
/// # Errors
/// The chain's and the file system's; texts that cannot be used.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.command {
        Command::Publish(publish) => publish.run(&arguments.connection),
        Command::List => {
            let desk = Desk::open(&arguments.connection)?;
            let rows: Vec<Row> =
                desk.all::<Dataset>(AccountKind::Dataset)?.iter().map(|(address, state)| row(address, state)).collect();
            desk.list(&rows, "there is no dataset on this chain; \"sip data publish\" registers one")
        }
    }
}

fn row(address: &Address, state: &Dataset) -> Row {
    let text = |bytes: &[u8; 32]| Cell::text(shown_name(bytes));
    vec![
        ("dataset", Cell::text(address)),
        ("domain", text(&state.domain)),
        ("licence", text(&state.licence)),
        ("training tokens", Cell::Number(state.train_tokens)),
        ("held-out tokens", Cell::Number(state.held_out_tokens)),
        ("pool", Cell::text(Address::new_from_array(state.pool))),
        ("offered", Cell::Truth(state.require_offered().is_ok())),
    ]
}

/// Refuses texts that the wallet has registered under another name or licence.
pub(super) fn require_as_registered(desk: &Desk, dataset: &Address, domain: &Domain) -> Result<()> {
    if let Some(state) = desk.find::<Dataset>(dataset)? {
        let (name, licence) = (shown_name(&state.domain), shown_name(&state.licence));
        ensure!(
            name == domain.name && licence == domain.licence,
            "the wallet has registered these texts already, as \"{name}\" under {licence}: {dataset}; name and licence of a dataset are for good"
        );
    }
    Ok(())
}

/// Refuses to register texts again under another name or licence, which would change nothing, and to put them over others that somebody answers for.
fn require_new(desk: &Desk, out: &Path, dataset: &Address, domain: &Domain) -> Result<()> {
    require_as_registered(desk, dataset, domain)?;
    let path = out.join(DATASET);
    if path.exists() {
        let before: Value = read_values(&path)?;
        // What was never sent is nobody's.
        if before["sent"] == false {
            return Ok(());
        }
        let before = before["dataset"].as_str().unwrap_or("another");
        ensure!(
            before == dataset.to_string(),
            "{} holds the tokens of the dataset {before}, which are others; choose another folder with --out",
            shown_path(out)
        );
    }
    Ok(())
}

/// The folder of a dataset, where it was published from the folder in which the program is started.
pub(super) fn folder_of(dataset: &str) -> Option<PathBuf> {
    let folders = std::fs::read_dir(PUBLISHED).ok()?.flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = folders.filter(|folder| folder.join(DATASET).exists()).collect();
    folders.sort();
    let is_it =
        |folder: &PathBuf| read_values::<Value>(&folder.join(DATASET)).is_ok_and(|found| found["dataset"] == dataset);
    folders.into_iter().find(is_it)
}

impl Publish {
    fn out(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            let plain = |letter: char| if letter.is_alphanumeric() { letter } else { '-' };
            PathBuf::from(PUBLISHED).join(self.domain.chars().map(plain).collect::<String>())
        })
    }

    fn run(&self, connection: &Connection) -> Result<ExitCode> {
        let out = self.out();
        keep_apart(&out, self.files.iter().map(|file| ("FILES", file.as_path())))?;
        require_name("--domain", &self.domain)?;
        require_licence("--licence", &self.licence)?;
        let known = ["run", DATASET];
        if let Some(found) = foreign(&out, &|name| known.contains(&name)) {
            anyhow::bail!("{} holds {found}; choose another folder with --out", shown_path(&out));
        }
        let is_quiet = connection.json;
        let told = move |line: &str| {
            if !is_quiet {
                // A reader that is gone needs no line.
                let _ = say(line);
            }
        };
        // Texts are read before a chain is asked.
        let (words, notes) = Words::gather(&self.domain, &self.files, self.max_bytes)?;
        notes.iter().for_each(|note| told(note));
        let desk = &mut Desk::open(connection)?;
        let tokenizer = match &self.tokenizer {
            Some(folder) => tokenizer::open(folder)?,
            None => Tokenizer::train(&[words.text.as_str()], self.vocabulary)?,
        };
        let part = split(std::slice::from_ref(&words), &tokenizer, self.sequence, &told)?;
        let part = part.into_iter().next().context("a text was lost")?;
        let domain = Domain::of(&part, &self.licence);
        let (program, wallet) = (desk.program, desk.wallet()?);
        let config: Config = desk.read(&program.config())?;
        let pool = program.pool(PoolKind::Data, &wallet, 0);
        let dataset = program.dataset(&pool, &domain.train_root, &domain.heldout_root);
        require_new(desk, &out, &dataset, &domain)?;
        let makings = vec![data_pool(desk, &config, &pool)?, registration(desk, &domain, &pool)?];
        let plan = Plan::new(desk, makings)?;
        told(&format!("dataset {dataset}"));
        plan.told(desk)?.iter().for_each(|line| told(&format!("  {line}")));
        let mut outcome = self.outcome(&domain, &dataset, &pool);
        if desk.is_dry_run() {
            outcome["cost"] = plan.to_json(desk)?;
            match desk.json {
                true => writeln!(std::io::stdout(), "{outcome}")?,
                false => say("nothing was sent")?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        if !plan.is_done() {
            plan.require_means(desk)?;
            let told = "who publishes answers for every token until an unbonding time after a notice";
            desk.confirm(told, "Publish them?")?;
        }
        let _held = hold(&out, "data publish")?;
        let store = Store::new(&out);
        save_tokenizer(&tokenizer, &store, self.sequence)?;
        part.train.save(&store.tokens(0, "train"))?;
        part.heldout.save(&store.tokens(0, "heldout"))?;
        outcome["sent"] = true.into();
        write_text(&out.join(DATASET), &format!("{outcome:#}\n"))?;
        let made = plan.carry_out(desk);
        if made.is_err() && !plan.is_begun(desk).unwrap_or(true) {
            // A refusal binds the folder to nothing.
            outcome["sent"] = false.into();
            write_text(&out.join(DATASET), &format!("{outcome:#}\n"))?;
        }
        made?;
        if desk.json {
            writeln!(std::io::stdout(), "{outcome}")?;
        } else {
            let shown = quoted(&out);
            say(&format!(
                "tokens and tokenizer are in {shown}; a job of yours names them so: model.tokenizer = \"{shown}\""
            ))?;
            say(&format!(
                "next: tell {dataset} to those who make jobs, and serve it for each of theirs; HOST is how others reach this machine"
            ))?;
            command(&format!(
                "sip node run JOB --role provider --texts {shown} --stay --listen 0.0.0.0:9000 --announce http://HOST:9000"
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn outcome(&self, domain: &Domain, dataset: &Address, pool: &Address) -> Value {
        json!({
            "action": "publish a dataset",
            "sent": false,
            "dataset": dataset.to_string(),
            "pool": pool.to_string(),
            "domain": domain.name,
            "licence": domain.licence,
            "trainRoot": hex(&domain.train_root),
            "heldOutRoot": hex(&domain.heldout_root),
            "trainTokens": domain.train_tokens,
            "heldOutTokens": domain.heldout_tokens,
            "folder": self.out(),
        })
    }
}
