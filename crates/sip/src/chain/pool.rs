//! `sip pool`: what operators put up, and what others may stake on.

use anyhow::{Result, bail, ensure};
use sip_client::{NewModel, NewPool};
use sip_protocol::AccountKind;
use sip_protocol::admin::config::Config;
use sip_protocol::stake::pool::{Pool, PoolKind};
use solana_address::Address;
use std::process::ExitCode;

use super::session;
use sip_console::Unit;
use sip_console::table::Row;
use sip_console::tokens::{Amount, Part, Percent, show};
use sip_console::words::wrong;
use sip_console::{AddressText, Connection, Desk};
use sip_roles::HashChain;
use sip_view::pool::{self as view, Namer};

/// Rounds that an auditor's chain lasts for.
const DRAWS: usize = 4_096;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Trainer,
    Auditor,
    Evaluator,
    Data,
    Model,
    Server,
    Attention,
}

impl Kind {
    fn of_protocol(self) -> PoolKind {
        match self {
            Kind::Trainer => PoolKind::Trainer,
            Kind::Auditor => PoolKind::Auditor,
            Kind::Evaluator => PoolKind::Evaluator,
            Kind::Data => PoolKind::Data,
            Kind::Model => PoolKind::Model,
            Kind::Server => PoolKind::Server,
            Kind::Attention => PoolKind::Attention,
        }
    }
}

#[derive(clap::Subcommand)]
enum Command {
    /// List pools: kind, stake, price of a share, record
    List {
        /// Only pools of this kind
        #[arg(long, value_name = "KIND")]
        kind: Option<Kind>,
        /// Only pools that the wallet operates
        #[arg(long)]
        mine: bool,
    },
    /// Show one pool in full
    Show {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
    },
    /// Create a pool that the wallet operates; its own bond is what a lie costs first
    Create {
        /// What the pool stakes on
        #[arg(long, value_name = "KIND")]
        kind: Kind,
        /// Own bond, tokens
        #[arg(long, value_name = "TOKENS", allow_negative_numbers = true)]
        bond: Amount,
        /// The operator's part of what delegators earn, percent
        #[arg(long, value_name = "PERCENT", allow_negative_numbers = true, default_value = "5")]
        commission: Percent,
        /// Which of the wallet's pools of this kind
        #[arg(long, value_name = "N", default_value_t = 0)]
        index: u32,
        /// Auditors: the tip of the hash chain of their draws, 64 hexadecimal digits [default: of a chain of 4,096 draws that
        /// follows from the key]
        #[arg(long, value_name = "HEX")]
        chain_tip: Option<Hash>,
        /// Rewards raise the price of a share, and shares can be tokens, instead of being claimed
        #[arg(long)]
        compounding: bool,
        /// Models: the job that trains the model, which the wallet created
        #[arg(long, value_name = "JOB")]
        job: Option<AddressText>,
        /// Models: pool of the model that it descends from, which gets the royalty
        #[arg(long, value_name = "POOL", requires = "royalty")]
        parent: Option<AddressText>,
        /// Models: the parent's part of the model's fees, percent
        #[arg(long, value_name = "PERCENT", allow_negative_numbers = true, requires = "parent")]
        royalty: Option<Percent>,
    },
    /// Add to the own bond
    Bond {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
        /// Tokens, or "all" that the wallet holds
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Part,
    },
    /// Show the session key, which does the pool's work in the operator's place; or let a key do it, for longer, or no more
    Session(session::Arguments),
    /// Print the tip of the chain of draws that follows from the key, for "sip pool create --kind auditor --chain-tip"
    Draws(session::Draws),
    /// Take no stake any more; the own bond is free after the unbonding time
    Retire {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
    },
    /// Take the own bond of a retired pool
    WithdrawBond {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
    },
    /// Take what the pool owes its operator
    Commission {
        /// The pool
        #[arg(value_name = "POOL")]
        pool: AddressText,
    },
}

/// A hash in hexadecimal digits.
#[derive(Clone, Copy)]
pub(super) struct Hash(pub(super) [u8; 32]);

impl std::str::FromStr for Hash {
    type Err = String;

    fn from_str(text: &str) -> Result<Hash, String> {
        let wrong = || format!("\"{text}\" is no hash; expected 64 hexadecimal digits");
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Hash(bytes))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut desk = Desk::open(&arguments.connection)?;
    let program = desk.program;
    match &arguments.command {
        Command::List { kind, mine } => {
            let scope = mine.then(|| desk.wallet()).transpose()?;
            let pools = desk.all::<Pool>(AccountKind::Pool)?;
            let mut namer = Namer::new(&desk);
            let rows = pools
                .iter()
                .filter(|(_, pool)| kind.is_none_or(|kind| pool.kind == kind.of_protocol() as u8))
                .filter(|(_, pool)| scope.is_none_or(|wallet| pool.scope == wallet.to_bytes()))
                .map(|(address, pool)| view::summary(&mut namer, address, pool))
                .collect::<Result<Vec<Row>>>()?;
            desk.list(&rows, "there is no such pool; \"sip pool create\" makes one")
        }
        Command::Show { pool } => {
            let pool = &desk.locate_pool(pool)?;
            let state: Pool = desk.read(pool)?;
            let row = view::full(&mut Namer::new(&desk), pool, &state, desk.slot()?)?;
            desk.card(&row)
        }
        Command::Create { kind, bond, commission, index, chain_tip, compounding, job, parent, royalty } => {
            let operator = desk.wallet()?;
            let kind = kind.of_protocol();
            if kind == PoolKind::Attention {
                return Err(wrong("attention pools belong to a job's domain; \"sip steer add\" creates them"));
            }
            let chain_tip = match (kind, chain_tip) {
                (PoolKind::Auditor, Some(Hash(tip))) => *tip,
                (PoolKind::Auditor, None) => draws(&desk, *index)?.tip(),
                (_, Some(_)) => return Err(wrong("--chain-tip is for auditors")),
                (_, None) => [0; 32],
            };
            let pool = program.pool(kind, &operator, *index);
            if desk.find::<Pool>(&pool)?.is_some() {
                bail!(
                    "the wallet has this pool already: {pool}; another of its kind is created with --index {}",
                    index + 1
                );
            }
            if let Some(config) = desk.find::<Config>(&program.config())? {
                let least = config.parameters.minimum_self_bond;
                ensure!(bond.0 >= least, "the own bond is {}, expected at least {}", show(bond.0), show(least));
            }
            let (index, self_bond, commission_bps) = (*index, bond.0, commission.0);
            let new = NewPool { index, self_bond, commission_bps, chain_tip };
            let instruction = match (kind, job) {
                (PoolKind::Model, Some(job)) => {
                    let parent = parent.as_ref().map(|parent| desk.locate_pool(parent)).transpose()?;
                    let parent = parent.zip(*royalty).map(|(parent, Percent(royalty_bps))| (parent, royalty_bps));
                    let compounding = *compounding;
                    let new = NewModel { index, self_bond, commission_bps, parent, compounding };
                    program.create_model_pool(&operator, &desk.locate_job(job)?, &new)
                }
                (PoolKind::Model, None) => {
                    return Err(wrong("a model's pool needs --job, the job that trains the model"));
                }
                _ if job.is_some() || parent.is_some() => {
                    return Err(wrong("--job, --parent and --royalty are for models"));
                }
                _ if *compounding => program.create_compounding_pool(&operator, kind, &new),
                _ => program.create_pool(&operator, kind, &new),
            };
            desk.act(&format!("create the pool {pool}"), &[instruction], &[("pool", pool)])
        }
        Command::Bond { pool, amount } => {
            let pool = &desk.locate_pool(pool)?;
            let (operator, amount) = (desk.wallet()?, desk.of_wallet(*amount)?);
            desk.act("add to the own bond", &[program.add_bond(&operator, pool, amount)], &[("pool", *pool)])
        }
        Command::Session(session) => session::run(&mut desk, session),
        Command::Draws(draws) => session::show_draws(&desk, draws),
        Command::Retire { pool } => {
            let pool = &desk.locate_pool(pool)?;
            let operator = desk.wallet()?;
            confirm_retirement(&desk, pool)?;
            desk.act("retire the pool", &[program.retire_pool(&operator, pool)], &[("pool", *pool)])
        }
        Command::WithdrawBond { pool } => {
            let pool = &desk.locate_pool(pool)?;
            let operator = desk.wallet()?;
            desk.act("take the own bond", &[program.withdraw_bond(&operator, pool)], &[("pool", *pool)])
        }
        Command::Commission { pool } => {
            let pool = &desk.locate_pool(pool)?;
            let operator = desk.wallet()?;
            desk.act("take the commission", &[program.claim_commission(&operator, pool)], &[("pool", *pool)])
        }
    }
}

/// Asks before a pool is retired, which cannot be taken back.
fn confirm_retirement(desk: &Desk, pool: &Address) -> Result<()> {
    let state: Pool = desk.read(pool)?;
    let config: Config = desk.read(&desk.program.config())?;
    let slot = desk.slot()?;
    let free = slot.saturating_add(state.exit_slots(config.parameters.unbonding_slots));
    let told = format!(
        "{pool} takes no stake any more, and nothing takes that back; its bond of {} is free at slot {}",
        show(state.self_bond),
        Unit::Slot.cell(free, slot).show_in_full()
    );
    desk.confirm(&told, "Retire it?")
}

/// The draws of the wallet's auditor pool of a number, which nobody without the key foresees.
pub(crate) fn draws(desk: &Desk, index: u32) -> Result<HashChain> {
    Ok(HashChain::from_secret(draw_secret(desk.key()?, index), DRAWS + 1))
}

/// The secret that the hash chain of a key's auditor pool of a number begins with.
pub(crate) fn draw_secret(key: &solana_keypair::Keypair, index: u32) -> [u8; 32] {
    sip_roles::draw_secret(&key.to_bytes(), index)
}
