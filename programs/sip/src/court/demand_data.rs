//! Demands a chunk of a dataset's training tokens.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    court::availability::{Asking, Demand},
    ground::account::seed,
    instructions::DemandData,
    stake::pool::Pool,
    training::data::Dataset,
};

use crate::{
    guard::{self, Creation},
    token::Vault,
};

/// Implements [`DemandData`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let args: DemandData = guard::args(data)?;
    let [demander, config_view, dataset, pool, demand, source, vault, token_program, _system, ..] = accounts else {
        return Err(Error::MissingAccount);
    };
    guard::signer(demander)?;
    let config = guard::load::<Config>(program, config_view)?;
    let mut dataset = guard::load_mut::<Dataset>(program, dataset)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(dataset.pool == pool.address)?;
    let subject = dataset.address;
    let place = [args.part, args.chunk];
    let seeds: [&[u8]; 4] = [seed::DEMAND, &subject, guard::key(demander), bytemuck::bytes_of(&place)];
    let mut demand = Creation { program, payer: demander }.create::<Demand>(demand, &seeds)?;
    let asking = Asking {
        subject: &subject,
        demander: guard::key(demander),
        parameters: &config.parameters,
        entry: args.part,
        chunk: args.chunk,
        slot: guard::slot()?,
    };
    demand.of_data(&asking, &mut dataset, &mut pool)?;
    Vault::new(&config, config_view, vault, token_program)?.deposit(demander, source, demand.fee)
}
