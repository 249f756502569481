//! Answers a demand on a dataset.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    court::availability::{Demand, Part},
    instructions::AnswerData,
    stake::pool::Pool,
    training::data::Dataset,
};

use crate::guard::{self, Syscall};

/// Implements [`AnswerData`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let (args, bytes) = guard::args_and_bytes::<AnswerData>(data)?;
    let [sender, config, dataset, pool, demand, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(sender)?;
    let mut demand = guard::load_mut::<Demand>(program, demand)?;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut dataset = guard::load_mut::<Dataset>(program, dataset)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(demand.subject == dataset.address && demand.pool == pool.address)?;
    let part = Part { sender: guard::key(sender), offset: args.offset, bytes, slot: guard::slot()? };
    demand.answer_data::<Syscall>(&part, &mut config, &mut dataset, &mut pool)
}
