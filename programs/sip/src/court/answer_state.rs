//! Answers a demand on a segment.

use pinocchio::{AccountView, Address};
use sip_protocol::{
    Error, Result,
    admin::config::Config,
    court::availability::{Demand, Part},
    instructions::AnswerState,
    stake::pool::Pool,
    training::{round::Round, segment::Segment},
};

use crate::guard::{self, Syscall};

/// Implements [`AnswerState`].
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Result<()> {
    let (args, bytes) = guard::args_and_bytes::<AnswerState>(data)?;
    let [sender, config, round, segment, pool, demand, ..] = accounts else { return Err(Error::MissingAccount) };
    guard::signer(sender)?;
    let mut demand = guard::load_mut::<Demand>(program, demand)?;
    let mut config = guard::load_mut::<Config>(program, config)?;
    let mut round = guard::load_mut::<Round>(program, round)?;
    let mut segment = guard::load_mut::<Segment>(program, segment)?;
    let mut pool = guard::load_mut::<Pool>(program, pool)?;
    guard::related(demand.subject == segment.address && segment.round == round.address)?;
    guard::related(demand.pool == pool.address)?;
    let part = Part { sender: guard::key(sender), offset: args.offset, bytes, slot: guard::slot()? };
    demand.answer_state::<Syscall>(&part, &mut config, &mut round, &mut segment, &mut pool)
}
