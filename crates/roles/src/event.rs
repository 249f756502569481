//! What a watchtower tells: a line for people, an object for programs.

use serde::Serialize;
use sip_protocol::ground::units::TOKEN;
use std::fmt;

use crate::Claim;

/// Something that happened. Addresses are in base 58, rounds and places count from 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the sentence above each event names its fields")]
pub enum Event {
    /// The watchtower begins to follow a job.
    Follows { job: String, round: u32, rounds: u32 },
    /// A claim was compared with what it should be.
    Judged {
        #[serde(flatten)]
        claim: Claim,
        #[serde(rename = "true")]
        is_true: bool,
        seconds: f64,
    },
    /// An accusation was committed as a hash.
    Committed {
        #[serde(flatten)]
        claim: Claim,
    },
    /// An accusation was opened: a dispute runs.
    Accused {
        #[serde(flatten)]
        claim: Claim,
        dispute: String,
    },
    /// An accusation was taken back: another convicts, or has convicted.
    Withdrawn {
        #[serde(flatten)]
        claim: Claim,
    },
    /// A claim is false, and nobody can accuse it any more: somebody was convicted of it, or the time is over.
    Late {
        #[serde(flatten)]
        claim: Claim,
        convicted: bool,
    },
    /// A move was played, for the accusation or the defence.
    Moved { dispute: String, side: &'static str, kind: String, moves: u32 },
    /// A dispute ended.
    Decided {
        #[serde(flatten)]
        claim: Claim,
        dispute: String,
        convicted: bool,
    },
    /// A bounty was paid that waited in a segment, an auditor's pool, or the job.
    Bounty {
        holder: String,
        #[serde(serialize_with = "digits")]
        base_units: u64,
    },
    /// The operator did its part in a round: reveals its draw, attests, shows an attestation, votes, is settled.
    Acted { round: u32, what: &'static str, place: Option<u8> },
    /// A round was moved on, as anyone may.
    Turned { round: u32, what: &'static str },
    /// Data that should be there was demanded, or a demand came to its end.
    Demanded { round: Option<u32>, place: u8, demand: String, what: &'static str },
    /// A round is closed on chain: nobody can accuse anything of it, and what it was an archive tells.
    Closed { round: u32 },
    /// The program refused a transaction. It is tried again where it may succeed later.
    Refused { what: String, reason: String },
    /// The base that the last final round came to is here, for those who want the model.
    Keeps { round: u32, root: String },
    /// A session key is accused in its pool's name, and has to wait before it defends.
    Defends {
        /// The dispute's address.
        dispute: String,
        /// The slot from which on it moves.
        from_slot: u64,
    },
    /// How a session of the wallet stands: that it begins, ends soon, has ended or was taken away.
    Session { what: String },
    /// How a seat of the wallet stands, where that keeps it from its work.
    Seat { what: String },
    /// A state that is needed, and that nobody has given anything of for a while.
    Sought { root: String, what: String },
    /// What a node does before it can begin.
    Prepares { what: String },
    /// A round came into another phase. Slots by the clock, as measured.
    Phase { round: u32, phase: String, until_slot: Option<u64>, seconds: Option<u64> },
    /// Something could not be done here, for a reason that may pass: a disk that is full. It is tried again; what is owed goes on.
    Hindered { what: String, reason: String, seconds: u64 },
    /// A round cannot be replayed: the state that it starts from is not known.
    Unknown { round: u32, root: String },
    /// All that could be done is done: claims that are judged, those of them that were judged now, that are not what they should be, and
    /// that this wallet convicted.
    Ended { claims: u32, judged: u32, not_true: u32, convicted: u32 },
    /// The chain does not answer.
    Lost { reason: String, seconds: u64 },
}

/// An amount may be more than 2⁵³.
fn digits<S: serde::Serializer>(amount: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

/// A phase of a round, for people.
pub fn phase_words(phase: &str) -> &str {
    match phase {
        "reveal" => "evaluation, scores are revealed",
        "scored" => "scored, and can be challenged",
        "between-rounds" => "between rounds",
        phase => phase,
    }
}

/// A number of things.
fn counted(number: u32, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Base units as tokens, thousands apart: "1,234.5 SIP".
fn tokens(units: u64) -> String {
    let mut whole = (units / TOKEN).to_string();
    let mut at = whole.len();
    while at > 3 {
        at -= 3;
        whole.insert(at, ',');
    }
    let fraction = format!("{:09}", units % TOKEN);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{whole}{point}{fraction} SIP")
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Follows { job, round, rounds } => {
                let opened = match round {
                    0 => "none is open yet".into(),
                    round => format!("round {round} is the newest"),
                };
                write!(f, "following job {job}: it trains until {} count, {opened}", counted(*rounds, "round"))
            }
            Event::Judged { claim, is_true, seconds } => {
                let is = if *is_true { "is" } else { "is not" };
                write!(f, "{claim} {is} what it should be")?;
                if *seconds >= 0.05 { write!(f, " ({seconds:.1} s)") } else { Ok(()) }
            }
            Event::Committed { claim } => write!(f, "{claim}: an accusation is committed"),
            Event::Accused { claim, dispute } => write!(f, "{claim}: accused in {dispute}"),
            Event::Withdrawn { claim } => write!(f, "{claim}: another convicts; the accusation is taken back"),
            Event::Late { claim, convicted: true } => write!(f, "{claim}: it is false, and convicted already"),
            Event::Late { claim, convicted: false } => {
                write!(f, "{claim}: it is false, and it is too late: nobody can accuse it any more")
            }
            Event::Ended { claims, judged, not_true, convicted } => {
                write!(f, "{} judged, {judged} of them now: ", counted(*claims, "claim"))?;
                match (not_true, convicted) {
                    (0, _) => write!(f, "all are what they should be"),
                    (not_true, 0) => {
                        write!(f, "{not_true} not what they should be, and none of them convicted by this wallet")
                    }
                    (not_true, convicted) => {
                        write!(
                            f,
                            "{not_true} not what they should be, and {convicted} of them convicted by this wallet"
                        )
                    }
                }
            }
            Event::Moved { dispute, side, kind, moves } => write!(f, "{dispute}: {side}'s move {moves}, {kind}"),
            Event::Decided { claim, dispute, convicted } => {
                write!(f, "{claim}: {} in {dispute}", if *convicted { "convicted" } else { "acquitted" })
            }
            Event::Bounty { holder, base_units } => {
                write!(f, "bounty of {} paid, which waited in {holder}", tokens(*base_units))
            }
            Event::Acted { round, what, place: None } => write!(f, "round {}: {what}", round + 1),
            Event::Acted { round, what, place: Some(place) } => {
                write!(f, "round {}, trainer {}: {what}", round + 1, u32::from(*place) + 1)
            }
            Event::Turned { round, what } => write!(f, "round {}: {what}", round + 1),
            Event::Demanded { round: Some(round), place, demand, what } => {
                write!(f, "round {}, trainer {}: {what} in {demand}", round + 1, u32::from(*place) + 1)
            }
            Event::Demanded { round: None, place, demand, what } => {
                write!(f, "data of domain {}: {what} in {demand}", u32::from(*place) + 1)
            }
            Event::Closed { round } => {
                write!(f, "round {}: its account is closed on chain, and nothing of it is judged any more", round + 1)
            }
            Event::Refused { what, reason } => write!(f, "{what}: the program refused: {reason}"),
            Event::Unknown { round, root } => {
                write!(
                    f,
                    "round {}: the state {root} that it starts from is not known; it cannot be replayed",
                    round + 1
                )
            }
            Event::Keeps { round, root } => {
                write!(
                    f,
                    "keeps the model of round {}, {}…, for those who export it",
                    round + 1,
                    root.get(..8).unwrap_or(root)
                )
            }
            Event::Seat { what } => write!(f, "seat: {what}"),
            Event::Session { what } => write!(f, "session: {what}"),
            Event::Defends { dispute, from_slot } => {
                write!(
                    f,
                    "accused in {dispute}: the session key defends from slot {from_slot} on, half a clock after the opening; the operator may at once"
                )
            }
            Event::Sought { what, .. } => write!(f, "nobody gives {what}; asks on"),
            Event::Prepares { what } => write!(f, "{what}"),
            Event::Phase { round, phase, until_slot: Some(slot), seconds: Some(seconds) } => {
                let latest = if phase == "scored" { "" } else { " at the latest" };
                let phase = phase_words(phase);
                write!(f, "round {}: {phase}, until slot {slot}{latest}, in {seconds} s", round + 1)
            }
            Event::Phase { round, phase, .. } => write!(f, "round {}: {}", round + 1, phase_words(phase)),
            Event::Hindered { what, reason, seconds } => write!(f, "{what}: {reason}; trying again in {seconds} s"),
            Event::Lost { reason, seconds } => write!(f, "{reason}; trying again in {seconds} s"),
        }
    }
}
