//! `sip fee`: paying for a model's service, and what of it waits for data and patrons.

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use sip_client::Service;
use sip_protocol::money::fees::{Fees, MAXIMUM_ANCESTORS};
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::Job;
use sip_protocol::training::round::Round;
use solana_address::Address;
use std::process::ExitCode;

use super::pool::Hash;
use sip_console::attention;
use sip_console::table::{Cell, Row};
use sip_console::tokens::{self, Amount};
use sip_console::words::wrong;
use sip_console::{AddressText, Connection, Desk};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Pay for a model's service: split over server, model and ancestors, data, patrons and treasury; a part is burned
    Pay {
        /// The model's pool
        #[arg(value_name = "MODEL")]
        model: AddressText,
        /// Tokens
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Amount,
        /// Pool of the server that serves it
        #[arg(long, value_name = "POOL")]
        server: AddressText,
        /// What the payment is for, such as an invoice's number; its SHA-256 goes on chain
        #[arg(long = "for", value_name = "TEXT", conflicts_with = "receipt")]
        purpose: Option<String>,
        /// Hash of what the payment is for, 64 hexadecimal digits
        #[arg(long, value_name = "HEX")]
        receipt: Option<Hash>,
    },
    /// Show what fees wait for the data and the patrons of a job's domains
    Show {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
    },
    /// Pay a domain's data pool and attention pool what waits for them
    Settle {
        /// The job
        #[arg(value_name = "JOB")]
        job: AddressText,
        /// Its name or number
        #[arg(value_name = "DOMAIN")]
        domain: String,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut desk = Desk::open(&arguments.connection)?;
    match &arguments.command {
        Command::Pay { model, amount, server, purpose, receipt } => {
            let model = &desk.locate_pool(model)?;
            let server = &desk.locate_pool(server)?;
            let receipt = match (purpose, receipt) {
                (Some(text), _) => Sha256::digest(text).into(),
                (None, Some(Hash(receipt))) => *receipt,
                (None, None) => {
                    return Err(wrong(
                        "say what the payment is for, with --for or --receipt, so that the server finds it",
                    ));
                }
            };
            pay(&mut desk, model, server, amount.0, &receipt)
        }
        Command::Show { job } => {
            let job = &desk.locate_job(job)?;
            show(&desk, job)
        }
        Command::Settle { job, domain } => {
            let job = &desk.locate_job(job)?;
            settle(&mut desk, job, domain)
        }
    }
}

fn pay(desk: &mut Desk, model: &Address, server: &Address, amount: u64, receipt: &[u8; 32]) -> Result<ExitCode> {
    let (wallet, program) = (desk.wallet()?, desk.program);
    let mut models = vec![*model];
    let mut pool: Pool = desk.read(model)?;
    ensure!(
        pool.kind == PoolKind::Model as u8,
        "{model} is no model's pool; \"sip pool list --kind model\" lists them"
    );
    let job = Address::new_from_array(pool.chain_job);
    while pool.parent != [0; 32] && models.len() <= MAXIMUM_ANCESTORS {
        let parent = Address::new_from_array(pool.parent);
        pool = desk.read(&parent)?;
        models.push(parent);
    }
    let state: Job = desk.read(&job)?;
    let Some(last) = state.next_round.checked_sub(1) else {
        bail!("the job {job} that trains the model has not begun a round, so there is nothing to pay for yet");
    };
    // By the mixture of the round that was opened last, or of the one that was final last where that is closed.
    let latest = program.round(&job, last);
    let round = match desk.read::<Round>(&latest) {
        Ok(_) => latest,
        Err(_) => program.round(&job, state.chain.last_final),
    };
    let service = Service { job: &job, round: &round, server, models: &models };
    let mut accounts = vec![("server", *server), ("model", *model)];
    accounts.extend(models[1..].iter().map(|ancestor| ("ancestor", *ancestor)));
    accounts.extend([("fees", program.fees(&job)), ("protocol", program.config()), ("emission", program.emission())]);
    let what = format!("pay {} for the service of {model}", tokens::show(amount));
    desk.act(&what, &[program.pay_fee(&wallet, &service, receipt, amount)], &accounts)
}

fn show(desk: &Desk, job: &Address) -> Result<ExitCode> {
    let state: Job = desk.read(job)?;
    let fees: Option<Fees> = desk.find(&desk.program.fees(job))?;
    let mut rows: Vec<Row> = Vec::new();
    if let Some(fees) = fees {
        let parts = fees.data.iter().zip(&fees.attention);
        for (number, (name, (data, attention))) in attention::domains(desk, &state)?.into_iter().zip(parts).enumerate()
        {
            rows.push(vec![
                ("domain", Cell::Number(number as u64)),
                ("name", Cell::text(name)),
                ("waits for data", Cell::Tokens(*data)),
                ("waits for patrons", Cell::Tokens(*attention)),
            ]);
        }
    }
    desk.list(&rows, "nobody has paid for a model of this job")
}

fn settle(desk: &mut Desk, job: &Address, domain: &str) -> Result<ExitCode> {
    let program = desk.program;
    let state: Job = desk.read(job)?;
    let domain = attention::find_domain(desk, &state, domain)?;
    let dataset = state.datasets.get(domain as usize).context("the job has no such domain")?;
    let dataset = Address::new_from_array(*dataset);
    let data_pool = Address::new_from_array(desk.read::<Dataset>(&dataset)?.pool);
    let attention = program.attention_pool(job, domain);
    if desk.find::<Pool>(&attention)?.is_none() {
        bail!("domain {domain} has no attention pool yet; \"sip steer add\" begins one");
    }
    let instruction = program.settle_fees(job, u8::try_from(domain)?, &dataset, &data_pool);
    let accounts = [("fees", program.fees(job)), ("data", data_pool), ("patrons", attention)];
    desk.act(&format!("pay out the fees of {}", attention::title(desk, &state, domain)?), &[instruction], &accounts)
}
