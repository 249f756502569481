//! What a job waits for, in words: people, clocks, and seats that nobody holds.

use serde::{Deserialize, Serialize};
use sip_protocol::Error;
use sip_protocol::stake::pool::PoolKind;
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::seats::{self, Seat};
use sip_roles::{Roles, View};
use solana_address::Address;
use std::time::Duration;

use crate::phase_end;
use crate::states::Root;

/// Roles with places, as people call them.
pub(crate) const ROLES: [(PoolKind, &str); 3] =
    [(PoolKind::Trainer, "trainer"), (PoolKind::Auditor, "auditor"), (PoolKind::Evaluator, "evaluator")];

/// What the newest phase waits for beside those who owe something in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// What, where it is no person's part.
    pub what: Option<String>,
    /// Until which slot: at the latest where people are awaited, else that very slot.
    pub until_slot: Option<u64>,
}

/// What a job waits for. Before its first round: who has a seat and is not ready, and how much longer this keeper waits for them.
pub fn wait(view: &View, unready: &[String], held: Option<Duration>) -> Wait {
    let running =
        view.rounds.last().map(|seen| &seen.round).filter(|round| {
            [round::OPEN, round::COMMITS_CLOSED, round::CLOSED, round::AGGREGATED].contains(&round.status)
        });
    if running.is_some() {
        return Wait { what: None, until_slot: phase_end(view) };
    }
    let said = |what: &str| Wait { what: Some(what.into()), until_slot: None };
    match view.next_opens() {
        Ok(()) => match (unready, held) {
            ([], _) | (_, None) if view.job.next_round > 0 => said("a keeper to open the next round"),
            ([], _) => said("a keeper to open the first round"),
            (who, None) => said(&format!("a keeper to open the first round; not ready yet: {}", who.join(", "))),
            (who, Some(left)) => {
                let (who, left) = (who.join(", "), span(left.as_secs()));
                said(&format!("{who} to be ready, who have seats; in {left} the first round is opened without them"))
            }
        },
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

/// Seconds as a person says them.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{:.1} h", seconds as f64 / 3_600.0),
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

/// How a seat of the wallet stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnSeat {
    /// As what.
    pub role: String,
    /// Its place, from 0; nothing where the wallet has none.
    pub place: Option<u8>,
    /// Its pool.
    pub pool: Option<String>,
    /// "awake", or what keeps it from its work: "asleep", "convicted", "nothing-allotted", "bond-too-small", "none".
    pub state: String,
    /// Whether rounds await it, and what it does counts.
    pub is_fit: bool,
    /// For people.
    #[serde(rename = "said")]
    pub line: String,
}

/// How the wallet's seats stand for what it does in the job: those first that keep it from its work.
pub fn seats(view: &View, roles: &Roles, wallet: &Address) -> Vec<OwnSeat> {
    let mut all = Vec::new();
    let does = [roles.trainer, roles.auditor, roles.evaluator];
    for ((kind, name), _) in ROLES.iter().zip(does).filter(|(_, does)| *does) {
        let own = view.places(*kind).filter(|(_, seat)| view.serves(wallet, &Address::new_from_array(seat.pool)));
        let own: Vec<OwnSeat> = own.map(|(place, seat)| own_seat(view, name, place, seat)).collect();
        if own.is_empty() {
            let job = begin(&view.address);
            let takes = format!(
                "\"sip job join {job} POOL\" takes one, or its operator names this key, \"sip pool session POOL {wallet}\""
            );
            let said = format!("none as {name}: this wallet does nothing in that role; {takes}");
            all.push(none(name, said));
        }
        all.extend(own);
    }
    if roles.provider && !provides(view, wallet) {
        let said = "no dataset of the job is this wallet's: as provider it serves, and answers for nothing";
        all.push(none("provider", said.into()));
    }
    all.sort_by_key(|seat| seat.is_fit);
    all
}

fn none(role: &str, line: String) -> OwnSeat {
    OwnSeat { role: role.into(), state: "none".into(), line, ..OwnSeat::default() }
}

/// Enough letters of an address for a command that fits into a line.
fn begin(address: &Address) -> String {
    address.to_string().chars().take(8).collect()
}

fn own_seat(view: &View, role: &str, place: u8, seat: &Seat) -> OwnSeat {
    let address = Address::new_from_array(seat.pool);
    let (job, pool) = (begin(&view.address), begin(&address));
    let (state, said) = match (seat.state, seat.allotted_bps, seat.changed_slot) {
        (seats::DORMANT, ..) => {
            ("asleep", format!("asleep, no round awaits it; \"sip job join {job} {pool}\" wakes it for the next one"))
        }
        (seats::CONVICTED, ..) => ("convicted", "convicted, no round awaits it any more".into()),
        (_, 0, _) => {
            let said = "awake, but nothing of its pool's stake is allotted to it, so that it has no say";
            ("nothing-allotted", format!("{said}; \"sip job allot {job} {pool} 100\" allots all"))
        }
        (_, _, 1..) => {
            let said = "awake, but its bond is too small and it will fall asleep";
            ("bond-too-small", format!("{said}; \"sip pool bond {pool} AMOUNT\" adds to it"))
        }
        _ => ("awake", "awake".into()),
    };
    OwnSeat {
        role: role.into(),
        place: Some(place),
        pool: Some(address.to_string()),
        state: state.into(),
        is_fit: state == "awake",
        line: format!("{role} {}: {said}", u32::from(place) + 1),
    }
}

/// What is new of the wallet's seats, in lines: what keeps them from their work, and that it does so no more.
pub(crate) fn seat_news(before: &[OwnSeat], now: &[OwnSeat]) -> Vec<String> {
    let was = |seat: &OwnSeat| before.iter().find(|other| (&other.role, other.place) == (&seat.role, seat.place));
    let mut news = Vec::new();
    for seat in now {
        match was(seat) {
            Some(was) if seat.is_fit && !was.is_fit => news.push(format!("{} again", seat.line)),
            None if seat.is_fit && before.iter().any(|other| other.role == seat.role && other.place.is_none()) => {
                news.push(seat.line.clone());
            }
            Some(was) if was.line == seat.line => {}
            _ if seat.is_fit => {}
            _ => news.push(seat.line.clone()),
        }
    }
    news
}

/// Whether the wallet answers for a dataset of the job.
fn provides(view: &View, wallet: &Address) -> bool {
    let own = |pool: &[u8; 32]| view.serves(wallet, &Address::new_from_array(*pool));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_falls_asleep_and_wakes_again_is_told_each_once() {
        let seat = |state: &str, is_fit| OwnSeat {
            role: "trainer".into(),
            place: Some(0),
            state: state.into(),
            is_fit,
            line: format!("trainer 1: {state}"),
            ..OwnSeat::default()
        };
        let (awake, asleep) = ([seat("awake", true)], [seat("asleep", false)]);
        assert!(seat_news(&[], &awake).is_empty());
        assert_eq!(seat_news(&awake, &asleep), ["trainer 1: asleep"]);
        assert_eq!(seat_news(&[], &asleep), ["trainer 1: asleep"]);
        assert!(seat_news(&asleep, &asleep).is_empty());
        assert_eq!(seat_news(&asleep, &awake), ["trainer 1: awake again"]);
        let without = [none("trainer", "none as trainer".into())];
        assert_eq!(seat_news(&without, &awake), ["trainer 1: awake"]);
    }
}
