//! What to read of a chain: which accounts follow from a job and its rounds, one after the other, and never all that the program has.

use sip_client::Program;
use sip_protocol::court::Dispute;
use sip_protocol::court::availability::Demand;
use sip_protocol::training::data::Dataset;
use sip_protocol::training::evaluation::{self, ScoringRun};
use sip_protocol::training::job::{Job, MAX_AUDITORS, MAX_EVALUATORS, MAX_TRAINERS, bit};
use sip_protocol::training::round::Round;
use sip_protocol::training::segment::Segment;
use sip_protocol::{Account, AccountKind};
use solana_address::Address;
use std::collections::BTreeMap;
use std::mem::offset_of;

use crate::view::{Seen, Stands, View};

/// Accounts that were asked for, by address: the data of those that are there and the program's.
pub type Accounts = BTreeMap<Address, Option<Vec<u8>>>;

/// What of a chain cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// An account that has to be there is not.
    #[error("the program has no account at {0}")]
    Missing(Address),
    /// An account is none of this version of the protocol.
    #[error("account {0}: {1}")]
    Decode(Address, sip_protocol::Error),
    /// An account, which a chain elsewhere may have made up, has more places than a role can have.
    #[error("account {0} has more than {1} places of a role; ask a chain that you can trust")]
    Places(Address, usize),
}

/// Accounts of the program of one kind, with the same 32 bytes at some place where that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which kind.
    pub kind: AccountKind,
    /// Where the bytes stand, and which.
    pub with: Option<(usize, [u8; 32])>,
}

impl Query {
    /// The disputes of a job.
    pub fn disputes(job: &Address) -> Query {
        Query { kind: AccountKind::Dispute, with: Some((offset_of!(Dispute, job), job.to_bytes())) }
    }

    /// The demands for what a segment, or a dataset, holds.
    pub fn demands(subject: &Address) -> Query {
        Query { kind: AccountKind::Demand, with: Some((offset_of!(Demand, subject), subject.to_bytes())) }
    }

    /// Everything of a job that may be closed once it is old.
    pub fn survey(job: &Address) -> Vec<Query> {
        let of = |kind, offset| Query { kind, with: Some((offset, job.to_bytes())) };
        vec![
            of(AccountKind::Round, offset_of!(Round, job)),
            of(AccountKind::Segment, offset_of!(Segment, job)),
            of(AccountKind::ScoringRun, offset_of!(ScoringRun, job)),
            Query::disputes(job),
            Query { kind: AccountKind::Demand, with: None },
        ]
    }
}

/// A job, from some round on.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The deployment.
    pub program: Program,
    /// The job.
    pub job: Address,
    /// The first round that is looked at.
    pub first_round: u32,
}

/// Decodes an account that may not be there.
pub(crate) fn find<T: Account>(accounts: &Accounts, address: &Address) -> Result<Option<Box<T>>, LookError> {
    let Some(Some(data)) = accounts.get(address) else { return Ok(None) };
    T::decode(data).map(|state| Some(Box::new(state))).map_err(|error| LookError::Decode(*address, error))
}

fn read<T: Account>(accounts: &Accounts, address: &Address) -> Result<Box<T>, LookError> {
    find(accounts, address)?.ok_or(LookError::Missing(*address))
}

/// Checks that a round has no more places than a role can have.
fn check_places(address: &Address, round: &Round) -> Result<(), LookError> {
    let most = MAX_TRAINERS.min(MAX_AUDITORS).min(MAX_EVALUATORS);
    let is_possible = [round.auditor_count, round.evaluator_count].iter().all(|count| usize::from(*count) <= most);
    if is_possible { Ok(()) } else { Err(LookError::Places(*address, most)) }
}

/// The places whose trainers committed, and whose evaluators revealed.
fn places(round: &Round) -> (impl Iterator<Item = u8> + '_, impl Iterator<Item = u8> + '_) {
    let committed = (0..MAX_TRAINERS as u8).filter(|place| round.committed & bit(*place) != 0);
    let has_revealed = |place: &u8| {
        // Who committed and never revealed is COMMITTED after the tally as well.
        let status = round.evaluators[usize::from(*place)].status;
        status != evaluation::ABSENT && status != evaluation::COMMITTED
    };
    (committed, (0..round.evaluator_count).filter(has_revealed))
}

impl Look {
    fn segment(&self, address: &Address, round: &Round, place: u8) -> Address {
        self.program.segment(address, &Address::new_from_array(round.trainers[usize::from(place)]))
    }

    fn run(&self, address: &Address, round: &Round, place: u8) -> Address {
        self.program.run(address, &Address::new_from_array(round.evaluators[usize::from(place)].pool))
    }

    /// The pools that hold places of the job.
    fn pools_of_job(job: &Job) -> impl Iterator<Item = [u8; 32]> + '_ {
        job.trainers.iter().chain(&job.auditors).chain(&job.evaluators).map(|seat| seat.pool)
    }

    /// The pools that held places when a round was opened.
    fn pools_of_round(round: &Round) -> impl Iterator<Item = [u8; 32]> + '_ {
        let auditors = round.auditors.iter().map(|seat| seat.pool);
        round.trainers.iter().copied().chain(auditors).chain(round.evaluators.iter().map(|seat| seat.pool))
    }

    /// What is to be read next, beside what was read; nothing once there is enough for a view.
    ///
    /// # Errors
    /// An account that is not what its address says.
    pub fn wanted(&self, accounts: &Accounts) -> Result<Vec<Address>, LookError> {
        let config = self.program.config();
        let mut wanted = vec![config, self.job];
        if let Some(job) = find::<Job>(accounts, &self.job)? {
            let pools = Look::pools_of_job(&job).chain(job.datasets).filter(|address| *address != [0; 32]);
            wanted.extend(pools.map(Address::new_from_array));
            for dataset in job.datasets.iter().filter(|address| **address != [0; 32]) {
                let dataset = find::<Dataset>(accounts, &Address::new_from_array(*dataset))?;
                wanted.extend(dataset.map(|dataset| Address::new_from_array(dataset.pool)));
            }
            for index in self.first_round..job.next_round {
                let address = self.program.round(&self.job, index);
                wanted.push(address);
                let Some(round) = find::<Round>(accounts, &address)? else { continue };
                check_places(&address, &round)?;
                let (committed, revealed) = places(&round);
                wanted.extend(committed.map(|place| self.segment(&address, &round, place)));
                wanted.extend(revealed.map(|place| self.run(&address, &round, place)));
                let pools = Look::pools_of_round(&round).filter(|pool| *pool != [0; 32]);
                wanted.extend(pools.map(Address::new_from_array));
            }
        }
        wanted.retain(|address| !accounts.contains_key(address));
        wanted.sort_unstable();
        wanted.dedup();
        Ok(wanted)
    }

    /// The chain as it stands in a slot.
    ///
    /// # Errors
    /// An account that is missing, or is not what its address says.
    pub fn view(&self, accounts: &Accounts, slot: u64) -> Result<View, LookError> {
        let job: Box<Job> = read(accounts, &self.job)?;
        let config = read(accounts, &self.program.config())?;
        let mut rounds = Vec::new();
        let mut first_round = self.first_round;
        for index in self.first_round..job.next_round {
            match self.seen(accounts, index)? {
                Some(seen) => rounds.push(seen),
                None if rounds.is_empty() => first_round = index + 1,
                None => {}
            }
        }
        let of_rounds = rounds.iter().flat_map(|seen| Look::pools_of_round(&seen.round));
        let mut pools = BTreeMap::new();
        for pool in Look::pools_of_job(&job).chain(of_rounds).filter(|pool| *pool != [0; 32]) {
            let address = Address::new_from_array(pool);
            // The pool of a seat may be gone; who needs it looks for it.
            if let Some(pool) = find(accounts, &address)? {
                pools.insert(address, pool);
            }
        }
        let mut datasets = BTreeMap::new();
        for address in job.datasets.iter().filter(|address| **address != [0; 32]).copied() {
            let address = Address::new_from_array(address);
            if let Some(dataset) = find::<Dataset>(accounts, &address)? {
                // Who provides it answers for it.
                let pool = Address::new_from_array(dataset.pool);
                if let Some(state) = find(accounts, &pool)? {
                    pools.insert(pool, state);
                }
                datasets.insert(address, dataset);
            }
        }
        let (program, address) = (self.program, self.job);
        let looked = self.first_round..first_round;
        let (disputes, accusations, demands) = Default::default();
        let survey = None;
        Ok(View {
            program,
            address,
            slot,
            config,
            job,
            pools,
            datasets,
            looked,
            rounds,
            disputes,
            accusations,
            demands,
            served: Default::default(),
            survey,
        })
    }

    /// A round with what stands in it; none if it is closed.
    fn seen(&self, accounts: &Accounts, index: u32) -> Result<Option<Seen>, LookError> {
        let address = self.program.round(&self.job, index);
        let Some(round) = find::<Round>(accounts, &address)? else { return Ok(None) };
        check_places(&address, &round)?;
        let (committed, revealed) = places(&round);
        // What is closed of a round that still stands is over.
        let mut segments = Vec::new();
        for place in committed {
            let address = self.segment(&address, &round, place);
            segments.extend(find(accounts, &address)?.map(|state| Stands { address, place, state }));
        }
        let mut runs = Vec::new();
        for place in revealed {
            let address = self.run(&address, &round, place);
            runs.extend(find(accounts, &address)?.map(|state| Stands { address, place, state }));
        }
        Ok(Some(Seen { address, segments, runs, round }))
    }
}
