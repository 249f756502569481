//! Proposals: what governance changes, a day after everyone could leave.

use anyhow::{Context, Result, bail, ensure};
use sip_protocol::admin::administration::{LIFETIME_SLOTS, Proposal, ProposalKind};
use sip_protocol::admin::config::Config;
use sip_protocol::ground::schedule::Schedule;
use sip_protocol::money::epoch::EmissionAccount;
use solana_address::Address;
use std::process::ExitCode;

use sip_console::settings::{PARAMETERS, SCHEDULE, assign, check, differences};
use sip_console::table::Cell;
use sip_console::{Desk, tokens};

/// What a proposal can spend.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Purse {
    Treasury,
    Reserve,
    Insurance,
}

/// Proposes to change parameters.
pub(super) fn propose_parameters(desk: &mut Desk, changes: &[String]) -> Result<ExitCode> {
    let config: Config = desk.read(&desk.program.config())?;
    let mut parameters = config.parameters;
    for change in changes {
        assign(&PARAMETERS, &mut parameters, change)?;
    }
    check(&parameters).context("these parameters cannot be")?;
    let told = differences(&PARAMETERS, &config.parameters, &parameters);
    ensure!(parameters != config.parameters, "these are the parameters already");
    let instruction = desk.program.propose_parameters(&desk.wallet()?, &parameters);
    propose(desk, &told, vec![instruction])
}

/// Proposes to change the schedule of emission.
pub(super) fn propose_schedule(desk: &mut Desk, changes: &[String]) -> Result<ExitCode> {
    let now = schedule(desk)?;
    let mut after = now;
    for change in changes {
        assign(&SCHEDULE, &mut after, change)?;
    }
    check(&after).context("this schedule cannot be")?;
    ensure!(after != now, "this is the schedule already");
    let told = differences(&SCHEDULE, &now, &after);
    let instruction = desk.program.propose_schedule(&desk.wallet()?, &after);
    propose(desk, &told, vec![instruction])
}

/// Proposes to pay a wallet.
pub(super) fn propose_spending(desk: &mut Desk, purse: Purse, receiver: &Address, amount: u64) -> Result<ExitCode> {
    let authority = desk.wallet()?;
    let (kind, name) = match purse {
        Purse::Treasury => (ProposalKind::Treasury, "treasury"),
        Purse::Reserve => (ProposalKind::Reserve, "reserve"),
        Purse::Insurance => (ProposalKind::Insurance, "insurance"),
    };
    // The token account says whose it is when the proposal is carried out.
    let mut instructions = desk.token_account_of(receiver)?;
    instructions.push(desk.program.propose_spending(&authority, kind, receiver, amount));
    propose(desk, &format!("pay {receiver} {} out of the {name}", tokens::show(amount)), instructions)
}

fn propose(desk: &mut Desk, told: &str, instructions: Vec<solana_instruction::Instruction>) -> Result<ExitCode> {
    desk.act(&format!("propose: {told}"), &instructions, &[("protocol", desk.program.config())])
}

fn schedule(desk: &Desk) -> Result<Schedule> {
    Ok(desk.read::<EmissionAccount>(&desk.program.emission())?.emission.schedule)
}

/// Puts what is proposed into effect.
pub(super) fn apply(desk: &mut Desk) -> Result<ExitCode> {
    let program = desk.program;
    let config: Config = desk.read(&program.config())?;
    let proposal: Proposal = config.administration.proposal;
    let kind = ProposalKind::from_byte(proposal.kind).context("nothing is proposed")?;
    let now = desk.slot()?;
    let ready = Cell::Slot { at: proposal.ready_slot, now }.show_in_full();
    ensure!(now >= proposal.ready_slot, "the proposal can take effect from slot {ready} on");
    if now - proposal.ready_slot > LIFETIME_SLOTS {
        bail!("the proposal could take effect until slot {}; propose it again", proposal.ready_slot + LIFETIME_SLOTS);
    }
    let mut accounts = vec![("protocol", program.config())];
    let instruction = match kind {
        ProposalKind::Parameters => program.apply_parameters(),
        ProposalKind::Schedule => {
            accounts.push(("emission", program.emission()));
            program.apply_schedule()
        }
        ProposalKind::Treasury | ProposalKind::Reserve | ProposalKind::Insurance => {
            let destination = Address::new_from_array(proposal.destination);
            accounts.push(("receiver", destination));
            program.apply_spending(&holder(desk, &destination)?)
        }
    };
    desk.act("put the proposal into effect", &[instruction], &accounts)
}

/// The wallet whose token account an account is.
fn holder(desk: &Desk, account: &Address) -> Result<Address> {
    /// Where a token account's owner stands, after the mint.
    const OWNER: std::ops::Range<usize> = 32..64;
    let state = desk.ledger.account(account)?;
    let owner = state.as_ref().and_then(|state| state.data.get(OWNER)?.try_into().ok());
    let wallet = owner.map(Address::new_from_array).with_context(|| format!("{account} is no token account"))?;
    ensure!(desk.program.token_account(&wallet) == *account, "{account} is not the token account of {wallet}");
    Ok(wallet)
}
