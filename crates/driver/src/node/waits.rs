//! What a job waits for, in words: people, clocks, and seats that nobody holds.

use sip_client::Program;
use sip_protocol::Error;
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::seats::{self, Seat};
use sip_roles::{Roles, View};
use solana_address::Address;

use crate::phase_end;
use crate::states::Root;

/// Roles with places, as people call them.
const ROLES: [(PoolKind, &str); 3] =
    [(PoolKind::Trainer, "trainer"), (PoolKind::Auditor, "auditor"), (PoolKind::Evaluator, "evaluator")];
/// Pools for data that one wallet is looked for under.
const DATA_POOLS: u32 = 16;

/// What the newest phase waits for beside those who owe something in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// What, where it is no person's part.
    pub what: Option<String>,
    /// Until which slot: at the latest where people are awaited, else that very slot.
    pub until_slot: Option<u64>,
}

/// What a job waits for.
pub fn wait(view: &View) -> Wait {
    let running =
        view.rounds.last().map(|seen| &seen.round).filter(|round| {
            [round::OPEN, round::COMMITS_CLOSED, round::CLOSED, round::AGGREGATED].contains(&round.status)
        });
    if running.is_some() {
        return Wait { what: None, until_slot: phase_end(view) };
    }
    let said = |what: &str| Wait { what: Some(what.into()), until_slot: None };
    match view.next_opens() {
        Ok(()) => said("a keeper to open the next round"),
        Err(Error::JobFinished) => match view.job.chain.open_rounds().last() {
            Some(last) => challenge(view, *last),
            None => said("nothing: the job is over"),
        },
        Err(Error::TooFarAhead) if view.slot < view.job.chain.split_until_slot => Wait {
            what: Some("a verdict on the votes that did not agree".into()),
            until_slot: Some(view.job.chain.split_until_slot),
        },
        Err(Error::TooFarAhead) => match view.job.chain.open_rounds().first() {
            Some(oldest) => challenge(view, *oldest),
            None => said("the rounds before to be final"),
        },
        Err(Error::SeedPending) => {
            said("the seed of the next round, which anybody may bring once its slots have passed")
        }
        Err(Error::AuditorsMissing) => said(&format!("somebody to take a seat as {}", missing(view).join(" and as "))),
        Err(error) => said(error.message()),
    }
}

/// The end of the time in which a round can be challenged.
fn challenge(view: &View, index: u32) -> Wait {
    let number = index + 1;
    let Some(round) = view.round(index).map(|seen| &seen.round) else {
        return Wait { what: Some(format!("round {number} to be final")), until_slot: None };
    };
    if view.slot < round.final_slot() {
        let what = Some(format!("the end of the challenge time of round {number}"));
        return Wait { what, until_slot: Some(round.final_slot()) };
    }
    let what = match round.is_beyond_challenge(view.slot) {
        true => format!("somebody to make round {number} final"),
        false => format!("the end of the disputes on round {number}"),
    };
    Wait { what: Some(what), until_slot: None }
}

/// Roles of which no seat is awake.
fn missing(view: &View) -> Vec<&'static str> {
    ROLES.iter().filter(|(kind, _)| view.job.awake(*kind) == 0).map(|(_, name)| *name).collect()
}

/// How the wallet's seats stand for what it does in the job: a line each, and those first that keep it from its work.
pub fn seats(view: &View, roles: &Roles, wallet: &Address) -> Vec<OwnSeat> {
    let mut lines = Vec::new();
    let does = [roles.trainer, roles.auditor, roles.evaluator];
    for ((kind, name), _) in ROLES.iter().zip(does).filter(|(_, does)| *does) {
        let held = view.job.seats(*kind).map(|seats| &seats[..]).unwrap_or_default();
        let own = (0u8..).zip(held).filter(|(_, seat)| {
            let pool = view.pools.get(&Address::new_from_array(seat.pool));
            seat.state != seats::FREE && pool.is_some_and(|pool| pool.scope == wallet.to_bytes())
        });
        let own: Vec<OwnSeat> = own.map(|(place, seat)| own_seat(view, name, place, seat)).collect();
        if own.is_empty() {
            let job = view.address;
            lines.push(OwnSeat {
                line: format!(
                    "none as {name}: this wallet does nothing in that role; \"sip job join {job} POOL\" takes one"
                ),
                is_fit: false,
            });
        }
        lines.extend(own);
    }
    if roles.provider && !provides(&view.program, view, wallet) {
        let line = "no dataset of the job is this wallet's: as provider it serves, and answers for nothing".into();
        lines.push(OwnSeat { line, is_fit: false });
    }
    lines.sort_by_key(|seat| seat.is_fit);
    lines
}

/// How a seat of the wallet stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSeat {
    /// For people.
    pub line: String,
    /// Whether rounds await it, and what it does counts.
    pub is_fit: bool,
}

fn own_seat(view: &View, name: &str, place: u8, seat: &Seat) -> OwnSeat {
    let (job, pool, number) = (view.address, Address::new_from_array(seat.pool), u32::from(place) + 1);
    let (said, is_fit) = match (seat.state, seat.allotted_bps, seat.changed_slot) {
        (seats::DORMANT, ..) => (format!("asleep, no round awaits it; \"sip job join {job} {pool}\" wakes it"), false),
        (seats::CONVICTED, ..) => ("convicted, no round awaits it any more".into(), false),
        (_, 0, _) => {
            let said = "awake, but nothing of its pool's stake is allotted to it, so that it has no say";
            (format!("{said}; \"sip job allot {job} {pool} 100\" allots all"), false)
        }
        (_, _, 1..) => (
            format!(
                "awake, but its bond is too small and it will fall asleep; \"sip pool bond {pool} AMOUNT\" adds to it"
            ),
            false,
        ),
        _ => ("awake".into(), true),
    };
    OwnSeat { line: format!("{name} {number}: {said}"), is_fit }
}

/// Whether a dataset of the job is the wallet's.
fn provides(program: &Program, view: &View, wallet: &Address) -> bool {
    let own =
        |pool: &[u8; 32]| (0..DATA_POOLS).any(|index| program.pool(PoolKind::Data, wallet, index).to_bytes() == *pool);
    // Of those that are closed nobody knows whose they were.
    view.datasets.is_empty() || view.datasets.values().any(|dataset| own(&dataset.pool))
}

/// A state that is looked for, and who should have it.
pub fn state_words(view: &View, root: &Root) -> String {
    for seen in &view.rounds {
        let (round, number): (&Round, u32) = (&seen.round, seen.index() + 1);
        for stands in &seen.segments {
            if stands.state.claim.result_root(&view.job.spec) == root {
                return format!("what trainer {} handed over in round {number}", u32::from(stands.place) + 1);
            }
        }
        let voted = (1u32..).zip(&round.auditors).filter(|(_, seat)| seat.vote == *root && seat.vote != [0; 32]);
        let voters: Vec<String> = voted.map(|(place, _)| place.to_string()).collect();
        match voters.len() {
            0 => {}
            1 => return format!("the base of round {number}, which auditor {} voted for", voters[0]),
            _ => return format!("the base of round {number}, which auditors {} voted for", voters.join(", ")),
        }
        if round.base_root == *root {
            return format!("the base that round {number} starts from");
        }
    }
    "a state of an earlier round".into()
}
