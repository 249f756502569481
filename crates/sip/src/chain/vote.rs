//! Votes: stake in an operator's pool that steers a domain or a setting of its owner's choice.

use anyhow::{Context, Result, ensure};
use sip_protocol::stake::pool::Pool;
use sip_protocol::stake::steering::Vote;
use sip_protocol::training::job::Job;
use solana_address::Address;
use std::process::ExitCode;

use sip_console::Desk;
use sip_console::attention;
use sip_console::tokens::Part;
use sip_view::stake;
use sip_view::stake::Active;
use sip_view::steering::Steering;

/// Votes with active stake for a domain, whose attention pool is created if it is missing.
pub(super) fn cast(desk: &mut Desk, pool: &Address, job: &Address, domain: &str, amount: Part) -> Result<ExitCode> {
    let (owner, program) = (desk.wallet()?, desk.program);
    let steered: Job = desk.read(job)?;
    let domain = attention::find(desk, &steered, domain)?;
    let target = program.attention_pool(job, domain);
    let (position, _, state) = stake::holding(desk, pool, &owner)?;
    ensure!(
        state.steering_shares == 0,
        "the wallet's stake on {pool} steers already; \"sip steer withdraw {pool}\" first"
    );
    let active = Active::read(desk, pool, &owner)?;
    let shares = active.shares(amount)?;
    let mut steering = Steering::read(desk, job, &steered)?;
    steering.add(domain, active.worth(shares));
    let mut notes = steering.told()?;
    notes.extend(if amount == Part::All { active.staying(true) } else { Vec::new() });
    let mut instructions = Vec::new();
    if desk.find::<Pool>(&target)?.is_none() {
        instructions.push(program.create_attention_pool(&owner, job, domain));
    }
    instructions.push(program.steer(&owner, pool, &target, shares));
    let accounts = [("position", position), ("domain", target), ("vote", program.vote(&position))];
    let what = format!("steer {} with stake on {pool}", attention::title(desk, &steered, domain)?);
    desk.act_and_tell(&what, &instructions, &accounts, &notes)
}

/// The vote of an owner's stake in a pool: its address, and it.
fn find(desk: &Desk, pool: &Address, owner: &Address) -> Result<(Address, Vote)> {
    let address = desk.program.vote(&desk.program.position(pool, owner));
    let vote = desk.find(&address)?.with_context(|| format!("the stake on {pool} steers nothing"))?;
    Ok((address, vote))
}

/// Withdraws a vote.
pub(super) fn withdraw(desk: &mut Desk, pool: &Address) -> Result<ExitCode> {
    let (owner, program) = (desk.wallet()?, desk.program);
    let (address, vote) = find(desk, pool, &owner)?;
    let target = Address::new_from_array(vote.target);
    let accounts = [("position", program.position(pool, &owner)), ("domain", target), ("vote", address)];
    let steered: Pool = desk.read(&target)?;
    let job_address = Address::new_from_array(steered.scope);
    let mut steering = Steering::read(desk, &job_address, &desk.read::<Job>(&job_address)?)?;
    steering.take(steered.index, vote.weight);
    let notes = steering.told()?;
    desk.act_and_tell("withdraw the vote", &[program.unsteer(&owner, pool, &target)], &accounts, &notes)
}

/// Counts a vote at the present price.
pub(super) fn refresh(desk: &mut Desk, pool: &Address, owner: &Address) -> Result<ExitCode> {
    let (address, vote) = find(desk, pool, owner)?;
    let target = Address::new_from_array(vote.target);
    let instruction = desk.program.refresh_vote(owner, pool, &target);
    desk.act("count the vote at the present price", &[instruction], &[("domain", target), ("vote", address)])
}
