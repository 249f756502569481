//! A job and its rounds as they stood at one moment: a replay takes hours, and the chain goes on.

use anyhow::{Context, Result, bail};
use sip_client::Program;
use sip_ledger::Ledger;
use sip_protocol::Account;
use sip_protocol::training::job::{Job, MAX_TRAINERS, bit};
use sip_protocol::training::round::Round;
use sip_protocol::training::segment::Segment;
use solana_address::Address;
use std::collections::BTreeMap;
use std::time::Duration;

/// So often a job is read that changes while it is read; a look takes as long as a few questions.
const TRIES: u32 = 40;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(150);

/// What the chain said of a job at one moment.
pub(crate) struct Snapshot {
    pub job: Box<Job>,
    /// By index; nothing where the account is closed.
    pub rounds: Vec<Option<Box<Round>>>,
    /// By the index of the round and the place.
    segments: BTreeMap<(u32, u8), Box<Segment>>,
}

impl Snapshot {
    /// Reads job, rounds and segments until the job was the same before and after, as far as bases and rounds go.
    ///
    /// # Errors
    /// The ledger's; an account of another layout; a job that never holds still.
    pub(crate) fn take(ledger: &dyn Ledger, program: &Program, address: &Address) -> Result<Snapshot> {
        let mut before = job(ledger, program, address)?;
        for _ in 0..TRIES {
            let rounds = rounds(ledger, program, address, before.next_round)?;
            let segments = segments(ledger, program, address, &rounds)?;
            let after = job(ledger, program, address)?;
            if is_same(&before, &after) {
                return Ok(Snapshot { job: after, rounds, segments });
            }
            before = after;
            std::thread::sleep(PAUSE);
        }
        bail!("the job {address} goes on faster than it can be read; try again, or name a nearer endpoint with --url")
    }

    /// What was committed in a place of a round; nothing where the account is closed.
    pub(crate) fn segment(&self, round: u32, place: u8) -> Option<&Segment> {
        self.segments.get(&(round, place)).map(Box::as_ref)
    }
}

/// Whether nothing has happened between two looks that a round, or what stands of it, depends on.
fn is_same(before: &Job, after: &Job) -> bool {
    before.next_round == after.next_round
        && before.round_live == after.round_live
        && before.base_root == after.base_root
        && before.rounds_scored == after.rounds_scored
        && before.chain == after.chain
}

fn job(ledger: &dyn Ledger, program: &Program, address: &Address) -> Result<Box<Job>> {
    let found = ledger.account(address)?.filter(|account| account.owner == program.id);
    let account = found.with_context(|| format!("there is no account at {address}"))?;
    decoded(address, &account.data)
}

fn decoded<T: Account>(address: &Address, data: &[u8]) -> Result<Box<T>> {
    T::decode(data).map(Box::new).map_err(|error| anyhow::anyhow!("account {address}: {error}"))
}

/// Accounts of a kind at these addresses.
fn all<T: Account>(ledger: &dyn Ledger, program: &Program, addresses: &[Address]) -> Result<Vec<Option<Box<T>>>> {
    let found = ledger.accounts(addresses)?;
    let read = |(address, account): (&Address, Option<solana_account::Account>)| {
        let account = account.filter(|account| account.owner == program.id);
        account.map(|account| decoded(address, &account.data)).transpose()
    };
    addresses.iter().zip(found).map(read).collect()
}

fn rounds(ledger: &dyn Ledger, program: &Program, job: &Address, count: u32) -> Result<Vec<Option<Box<Round>>>> {
    let addresses: Vec<Address> = (0..count).map(|index| program.round(job, index)).collect();
    all(ledger, program, &addresses)
}

fn segments(
    ledger: &dyn Ledger,
    program: &Program,
    job: &Address,
    rounds: &[Option<Box<Round>>],
) -> Result<BTreeMap<(u32, u8), Box<Segment>>> {
    let mut keys = Vec::new();
    let mut addresses = Vec::new();
    for round in rounds.iter().flatten() {
        let account = program.round(job, round.index);
        for place in (0..MAX_TRAINERS as u8).filter(|place| round.committed & bit(*place) != 0) {
            let pool = Address::new_from_array(round.trainers[usize::from(place)]);
            keys.push((round.index, place));
            addresses.push(program.segment(&account, &pool));
        }
    }
    let found = all(ledger, program, &addresses)?;
    Ok(keys.into_iter().zip(found).filter_map(|(key, segment)| Some((key, segment?))).collect())
}
