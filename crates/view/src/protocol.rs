//! A deployment: its configuration, what is proposed, its emission.

use anyhow::Result;
use sip_client::TOKEN_2022_PROGRAM;
use sip_console::settings::{PARAMETERS, SCHEDULE, differences};
use sip_console::table::{Cell, Row};
use sip_console::{Desk, Unit, tokens};
use sip_protocol::admin::administration::ProposalKind;
use sip_protocol::admin::config::{Config, Parameters};
use sip_protocol::ground::schedule::{NODES, STAKING};
use sip_protocol::ground::units::CAP;
use sip_protocol::money::epoch::EmissionAccount;
use sip_sim::emission::phase_name;
use solana_address::Address;

/// The configuration of a deployment.
pub fn protocol(desk: &Desk) -> Result<Row> {
    let config: Config = desk.read(&desk.program.config())?;
    let buckets = &config.buckets;
    let slot = desk.slot()?;
    let administration = &config.administration;
    let paused = administration.paused_until > slot;
    let nominated = administration.nominated;
    let mut row = vec![
        ("program", Cell::text(desk.program.id)),
        ("authority", Cell::text(Address::new_from_array(config.authority))),
        (
            "nominated",
            if nominated == [0; 32] { Cell::Nothing } else { Cell::text(Address::new_from_array(nominated)) },
        ),
        ("mint", Cell::text(Address::new_from_array(config.mint))),
        ("vault", Cell::text(Address::new_from_array(config.vault))),
        ("token program", Cell::text(token_program_name(&desk.program.token_program))),
        ("supply", Cell::Tokens(CAP.saturating_sub(config.burned))),
        ("burned", Cell::Tokens(config.burned)),
        ("staking rewards", Cell::Tokens(buckets.staking_rewards)),
        ("operator rewards", Cell::Tokens(buckets.operator_rewards)),
        ("public", Cell::Tokens(buckets.public)),
        ("team", Cell::Tokens(buckets.team)),
        ("treasury", Cell::Tokens(buckets.treasury)),
        ("reserve", Cell::Tokens(buckets.reserve)),
        ("insurance", Cell::Tokens(buckets.insurance)),
        ("to be burned", Cell::Tokens(config.condemned)),
    ];
    row.extend(PARAMETERS.iter().map(|setting| {
        let (value, unit) = setting.read(&config.parameters);
        (setting.name, unit.cell(value, slot))
    }));
    row.extend([
        ("proposal", told(desk, &config)?),
        ("proposal ready at slot", Unit::Slot.cell(administration.proposal.ready_slot, slot)),
        ("paused until slot", if paused { Unit::Slot.cell(administration.paused_until, slot) } else { Cell::Nothing }),
        ("slot", Cell::Number(slot)),
    ]);
    Ok(row)
}

/// What a proposal would do, in words.
pub fn told(desk: &Desk, config: &Config) -> Result<Cell> {
    let proposal = &config.administration.proposal;
    let (amount, parameters): (u64, Parameters) = (proposal.amount, proposal.parameters);
    let purse = match ProposalKind::from_byte(proposal.kind) {
        None => return Ok(Cell::Nothing),
        Some(ProposalKind::Parameters) => {
            return Ok(Cell::Text(differences(&PARAMETERS, &config.parameters, &parameters)));
        }
        Some(ProposalKind::Schedule) => {
            return Ok(Cell::Text(differences(
                &SCHEDULE,
                &desk.read::<EmissionAccount>(&desk.program.emission())?.emission.schedule,
                &proposal.schedule,
            )));
        }
        Some(ProposalKind::Treasury) => "treasury",
        Some(ProposalKind::Reserve) => "reserve",
        Some(ProposalKind::Insurance) => "insurance",
    };
    let account = Address::new_from_array(proposal.destination);
    Ok(Cell::Text(format!("pay the token account {account} {} out of the {purse}", tokens::show(amount))))
}

/// How people call a token program.
pub fn token_program_name(address: &Address) -> &'static str {
    if *address == TOKEN_2022_PROGRAM { "Token-2022" } else { "SPL Token" }
}

/// Where emission stands.
pub fn emission(desk: &Desk) -> Result<Row> {
    let EmissionAccount { emission, .. } = desk.read(&desk.program.emission())?;
    let now = desk.slot()?;
    let [stake, nodes] = [STAKING, NODES].map(|number| emission.streams[number]);
    let mut row = vec![
        ("epoch", Cell::Number(emission.epoch)),
        ("epoch ends at slot", Cell::Slot { at: emission.end_slot, now }),
        ("phase", Cell::text(phase_name(emission.phase()))),
        ("utilisation", Cell::Billionths(emission.utilisation)),
        ("fees burned in the epoch", Cell::Tokens(emission.fees_burned)),
        ("work in the epoch", Cell::Number(emission.work)),
        ("rounds in the epoch", Cell::Number(emission.rounds)),
        ("gross of the last epoch", Cell::Tokens(emission.gross)),
        ("replaced by fees", Cell::Tokens(emission.offset)),
        ("waiting for stake", Cell::Tokens(stake.available()?)),
        ("waiting for nodes", Cell::Tokens(nodes.available()?)),
        ("cap for stake", Cell::Tokens(stake.cap)),
        ("cap for nodes", Cell::Tokens(nodes.cap)),
        ("stake that yields", Cell::Tokens(emission.total_stake)),
        ("yield owed to pools", Cell::Tokens(emission.yield_owed)),
        ("yield to spread", Cell::Tokens(emission.yield_left)),
        ("spread until slot", Cell::Slot { at: emission.yield_end_slot, now }),
    ];
    row.extend(SCHEDULE.iter().map(|setting| {
        let (value, unit) = setting.read(&emission.schedule);
        (setting.name, unit.cell(value, now))
    }));
    Ok(row)
}
