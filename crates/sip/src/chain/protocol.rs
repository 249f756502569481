//! `sip protocol`: the one configuration of a deployment.

use anyhow::{Context, Result, anyhow, ensure};
use sip_client::Program;
use sip_protocol::admin::config::Config;
use sip_protocol::admin::migration::present_size;
use solana_address::Address;
use std::process::ExitCode;

use super::govern::{self, Purse};
use super::init;
use sip_console::deploy;
use sip_console::tokens::Amount;
use sip_console::{AddressText, Anyway, Connection, Desk};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Code(deploy::Command),
    /// Begin the protocol on a chain: mint the whole supply into its vault, with the wallet as authority
    Init(init::Arguments),
    /// Show supply, buckets, parameters and what is proposed
    Show,
    /// Hand out tokens of the public part (authority)
    Distribute {
        /// Who gets them
        #[arg(value_name = "WALLET")]
        wallet: AddressText,
        /// Tokens
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Amount,
        #[command(flatten)]
        anyway: Anyway,
    },
    /// Stop new stake, pools, datasets, jobs, places, rounds and fees for three days; exits, claims, running rounds and disputes go on
    /// (authority)
    Pause,
    /// End a pause (authority)
    Unpause,
    /// Propose other parameters; they can take effect a day after every exit (authority)
    ProposeParameters {
        /// Changes such as round-reward=5000, bounty=12.5% or activation-slots=432000, by the names that "show" gives
        #[arg(value_name = "NAME=VALUE", required = true)]
        changes: Vec<String>,
    },
    /// Propose another schedule of emission; it can take effect a day after every exit (authority)
    ProposeSchedule {
        /// Changes such as decay=0.2% or target-for-nodes=500000, by the names that "sip emission show" gives
        #[arg(value_name = "NAME=VALUE", required = true)]
        changes: Vec<String>,
    },
    /// Propose to pay a wallet out of treasury, reserve or insurance, a day after every exit (authority)
    ProposeSpending {
        /// Bucket that pays
        #[arg(value_name = "FROM")]
        from: Purse,
        /// The wallet
        #[arg(value_name = "WALLET")]
        wallet: AddressText,
        /// Tokens
        #[arg(value_name = "TOKENS", allow_negative_numbers = true)]
        amount: Amount,
        #[command(flatten)]
        anyway: Anyway,
    },
    /// Put what is proposed into effect, once its slot is reached; anyone may
    Apply,
    /// Withdraw what is proposed (authority)
    Cancel,
    /// Nominate the next authority, who has to accept (authority)
    Nominate {
        /// The wallet, or "none"
        #[arg(value_name = "WALLET")]
        wallet: String,
        #[command(flatten)]
        anyway: Anyway,
    },
    /// Become the authority, as the wallet that is nominated
    Accept,
    /// Take what has vested of the team's part (authority)
    ClaimVested {
        /// Wallet that gets it [default: the authority]
        #[arg(long, value_name = "WALLET")]
        to: Option<AddressText>,
        #[command(flatten)]
        anyway: Anyway,
    },
    /// Burn what convictions have left to burn; anyone may
    Burn,
    /// Bring an account of an older layout to the present one; anyone may
    Migrate {
        /// The account
        #[arg(value_name = "ACCOUNT")]
        account: AddressText,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Command::Init(arguments) = &arguments.command {
        if arguments.example {
            return init::print_example();
        }
        // What is wrong with the file is said before a chain is asked.
        arguments.values()?;
    }
    let mut desk = match &arguments.command {
        // It need not be there yet.
        Command::Code(_) => Desk::connect(&arguments.connection)?,
        _ => Desk::open(&arguments.connection)?,
    };
    let program: Program = desk.program;
    match &arguments.command {
        Command::Code(command) => deploy::run(&mut desk, command, sip_svm::PROGRAM_ELF),
        Command::Init(arguments) => init::run(&mut desk, arguments),
        Command::Show => desk.card(&sip_view::protocol::protocol(&desk)?),
        Command::Distribute { wallet, amount, anyway } => {
            let wallet = &desk.receiver(wallet, *anyway)?;
            let authority = desk.wallet()?;
            let mut instructions = desk.token_account_of(wallet)?;
            instructions.push(program.distribute(&authority, wallet, amount.0));
            desk.act("distribute", &instructions, &[("receiver", program.token_account(wallet))])
        }
        Command::Pause => {
            let authority = desk.wallet()?;
            desk.act("pause", &[program.pause(&authority)], &[("protocol", program.config())])
        }
        Command::Unpause => {
            let authority = desk.wallet()?;
            desk.act("unpause", &[program.unpause(&authority)], &[("protocol", program.config())])
        }
        Command::ProposeParameters { changes } => govern::propose_parameters(&mut desk, changes),
        Command::ProposeSchedule { changes } => govern::propose_schedule(&mut desk, changes),
        Command::ProposeSpending { from, wallet, amount, anyway } => {
            let wallet = &desk.receiver(wallet, *anyway)?;
            govern::propose_spending(&mut desk, *from, wallet, amount.0)
        }
        Command::Apply => govern::apply(&mut desk),
        Command::Cancel => {
            let authority = desk.wallet()?;
            let accounts = [("protocol", program.config())];
            desk.act("withdraw the proposal", &[program.cancel_proposal(&authority)], &accounts)
        }
        Command::Nominate { wallet, anyway } => {
            let authority = desk.wallet()?;
            let (nominated, what) = match wallet.as_str() {
                "none" => (Address::default(), "nominate nobody".to_owned()),
                text => {
                    let wallet =
                        desk.receiver(&text.parse::<AddressText>().map_err(|error| anyhow!(error))?, *anyway)?;
                    (wallet, format!("nominate {wallet} as the next authority"))
                }
            };
            desk.act(&what, &[program.nominate_authority(&authority, &nominated)], &[])
        }
        Command::Accept => {
            let nominated = desk.wallet()?;
            desk.act("become the authority", &[program.accept_authority(&nominated)], &[])
        }
        Command::ClaimVested { to, anyway } => {
            let authority = desk.wallet()?;
            let receiver = match to {
                Some(text) => desk.receiver(text, *anyway)?,
                None => desk.wallet()?,
            };
            let mut instructions = desk.token_account_of(&receiver)?;
            instructions.push(program.claim_vested(&authority, &receiver));
            let accounts = [("receiver", program.token_account(&receiver)), ("protocol", program.config())];
            desk.act("take what has vested of the team's part", &instructions, &accounts)
        }
        Command::Burn => {
            let config: Config = desk.read(&program.config())?;
            ensure!(config.condemned > 0, "convictions have left nothing to burn");
            desk.wallet()?;
            desk.act("burn", &[program.burn_condemned()], &[("protocol", program.config())])
        }
        Command::Migrate { account } => {
            let account = &desk.locate_account(account)?;
            let payer = desk.wallet()?;
            let state = desk.ledger.account(account)?.with_context(|| format!("there is no account at {account}"))?;
            ensure!(state.owner == program.id, "{account} is no account of the program {}", program.id);
            let bytes = present_size(&state.data).map_err(|error| match error {
                sip_protocol::Error::WrongVersion => {
                    anyhow!("{account} is not of the layout before this one; only that is migrated")
                }
                error => anyhow!("{account} cannot be migrated: {error}"),
            })?;
            let what = format!("lengthen {account} from {} to {bytes} bytes", state.data.len());
            desk.act(&what, &[program.migrate_account(&payer, account)], &[("account", *account)])
        }
    }
}
