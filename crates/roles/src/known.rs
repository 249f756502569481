//! What was computed and found. All of it can be computed again; what is on disk is never contradicted by what is signed later.

use serde::{Deserialize, Serialize};
use sip_data::{hex, unhex};
use sip_node::dispute::{FaultPlace, Move};
use sip_node::{Cheat, Task};
use sip_proof::Leaf;
use sip_protocol::training::job::MAX_DOMAINS;
use sip_protocol::training::segment::SegmentClaim;
use solana_address::Address;
use std::collections::BTreeMap;

use crate::{Claim, Part};

/// The leaves behind a committed segment, which auditors compare with their replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Index of the round on chain.
    pub round: u32,
    /// The trainer's place.
    pub place: u8,
    /// Start root, batches root and end root of each leaf, in hexadecimal digits.
    pub leaves: Vec<[String; 3]>,
}

impl Published {
    /// As a trainer publishes it.
    pub fn new(round: u32, place: u8, leaves: &[Leaf]) -> Published {
        let roots = |leaf: &Leaf| [hex(&leaf.start_root), hex(&leaf.batches_root), hex(&leaf.end_root)];
        Published { round, place, leaves: leaves.iter().map(roots).collect() }
    }

    /// The leaves of a task, if the hexadecimal digits are complete.
    pub fn leaves(&self, task: &Task) -> Option<Vec<Leaf>> {
        let leaf = |(roots, (first_step, count)): (&[String; 3], (u32, u32))| {
            Some(Leaf {
                first_step,
                count,
                start_root: unhex(&roots[0])?,
                batches_root: unhex(&roots[1])?,
                end_root: unhex(&roots[2])?,
            })
        };
        self.leaves.iter().zip(task.leaves()).map(leaf).collect()
    }
}

/// What was found of a claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What was claimed when it was judged; a claim that changes is judged anew.
    pub claimed: String,
    /// Whether it is what it should be.
    pub is_true: bool,
    /// The replay's leaves, of a segment or a scoring run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<Published>,
    /// Step, node and element where it stops, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<[u32; 3]>,
    /// Root of the state at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Of a segment, by leaf: the trace root that an attestation of it should show.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traces: BTreeMap<u32, String>,
    /// Whether our dispute convicted it. Nobody is accused twice of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convicted: Option<bool>,
    /// Of a false segment, which part of it is accused; its steps where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

impl Finding {
    /// The replay's leaves and where they stop; nothing where the record is damaged.
    pub fn evidence(&self, task: &Task) -> Option<(Vec<Leaf>, Option<FaultPlace>)> {
        let leaves = self.leaves.as_ref()?.leaves(task)?;
        Some((leaves, self.fault.map(|[step, node, element]| FaultPlace { step, node, element })))
    }

    /// Root of the state at its end.
    pub fn end(&self) -> Option<[u8; 32]> {
        self.end.as_deref().and_then(unhex)
    }

    /// The trace root of a leaf's first step.
    pub fn trace(&self, leaf: u32) -> Option<[u8; 32]> {
        self.traces.get(&leaf).and_then(|root| unhex(root))
    }
}

/// A chunk that was demanded of what somebody committed and did not publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Entry of the state or update, or beyond its entries of the previous update; 0 of data.
    pub entry: u32,
    /// Chunk of the entry.
    pub chunk: u32,
    /// Whether it was answered, or left unanswered in time.
    pub ended: bool,
}

/// The own segment of a round, as it is committed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worked {
    /// Roots of start, end, leaves, previous update and update, in hexadecimal digits; zeros where there is none.
    pub roots: [String; 5],
    /// The leaves, which a defence opens.
    pub leaves: Published,
    /// Mean training loss, nats per token.
    pub mean_loss: f32,
}

impl Worked {
    /// What is committed; nothing where the record is damaged.
    pub fn claim(&self) -> Option<SegmentClaim> {
        let [start_root, end_root, accumulator_root, previous_root, update_root] =
            self.roots.each_ref().map(|root| unhex(root));
        Some(SegmentClaim {
            start_root: start_root?,
            end_root: end_root?,
            accumulator_root: accumulator_root?,
            previous_root: previous_root?,
            update_root: update_root?,
            leaf_count: self.leaves.leaves.len() as u32,
            place: self.leaves.place,
            ..SegmentClaim::default()
        })
    }
}

/// The scoring run of a base.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Sums by domain, in micro-nats.
    pub sums: [u64; MAX_DOMAINS],
    /// Root over the leaves.
    pub accumulator_root: [u8; 32],
    /// The leaves.
    pub leaves: Published,
    /// Step, node and element where it stops, if it does.
    pub fault: Option<[u32; 3]>,
    /// What was done instead of it.
    pub cheat: Option<Cheat>,
    /// How long it took, for those who are told.
    pub seconds: f64,
}

/// The next move from a position.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// Moves before it.
    pub moves: u32,
    /// The move; none where there is nothing to say.
    pub next: Option<Move>,
}

/// Something that was computed, or found, or noted.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// What was found of a claim.
    Found {
        /// The claim.
        claim: Claim,
        /// What.
        finding: Finding,
    },
    /// The next base from the segments that a round accepted.
    Base {
        /// Index of the round.
        round: u32,
        /// Which were accepted, by place.
        accepted: u16,
        /// Its root; zeros if it has a value that is not finite, so that there is none.
        root: [u8; 32],
    },
    /// What is demanded under a name.
    Asked {
        /// The name.
        name: String,
        /// What.
        asked: Asked,
    },
    /// Rounds that nothing is left to do about.
    RoundsDone(u32),
    /// An own segment of a round: of one place, since a wallet may have several.
    Worked {
        /// Index of the round.
        round: u32,
        /// What it came to, and at which place.
        worked: Worked,
    },
    /// The scoring run of a base.
    Scored {
        /// Root of the base.
        base: [u8; 32],
        /// What it came to.
        scored: Scored,
    },
    /// The next move in a dispute.
    Played {
        /// The dispute.
        dispute: Address,
        /// The move.
        played: Played,
    },
    /// What answers a demand; nothing where there is no such chunk.
    Answered {
        /// The demand.
        demand: Address,
        /// The answer.
        answer: Option<Vec<u8>>,
    },
    /// Until this slot no account is looked at for what may be closed.
    SurveyAgain(u64),
}

impl Fact {
    /// Whether it has to be on disk before anything that follows from it is sent; what has not, a restart computes again.
    pub fn is_durable(&self) -> bool {
        matches!(
            self,
            Fact::Found { .. } | Fact::Base { .. } | Fact::Asked { .. } | Fact::RoundsDone(_) | Fact::Worked { .. }
        )
    }
}

/// All that was computed and found in a job, as far as it is not over.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Rounds that nothing is left to do about.
    pub rounds_done: u32,
    /// What was found of each claim.
    pub findings: BTreeMap<Claim, Finding>,
    /// By round: which segments were accepted, and the next base from them.
    pub bases: BTreeMap<u32, (u16, [u8; 32])>,
    /// Chunks that were demanded, by the name of the demand.
    pub asked: BTreeMap<String, Asked>,
    /// Own segments by round and place.
    pub worked: BTreeMap<(u32, u8), Worked>,
    /// Scoring runs by root of the base.
    pub scored: BTreeMap<[u8; 32], Scored>,
    /// Next moves by dispute.
    pub played: BTreeMap<Address, Played>,
    /// Answers by demand.
    pub answered: BTreeMap<Address, Option<Vec<u8>>>,
    /// Until this slot no account is looked at for what may be closed.
    pub survey_slot: u64,
    /// Whether a keeper waits with the first round: for seats that it would await, and that are not ready.
    pub holds_opening: bool,
}

/// Puts a value in its place; whether another was there.
fn put<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: V) -> bool {
    let is_news = map.get(&key) != Some(&value);
    map.insert(key, value);
    is_news
}

impl Known {
    /// Notes a fact; whether it is news.
    pub fn note(&mut self, fact: Fact) -> bool {
        match fact {
            Fact::Found { claim, finding } => put(&mut self.findings, claim, finding),
            Fact::Base { round, accepted, root } => put(&mut self.bases, round, (accepted, root)),
            Fact::Asked { name, asked } => put(&mut self.asked, name, asked),
            Fact::RoundsDone(done) => std::mem::replace(&mut self.rounds_done, done) != done,
            Fact::Worked { round, worked } => put(&mut self.worked, (round, worked.leaves.place), worked),
            Fact::Scored { base, scored } => put(&mut self.scored, base, scored),
            Fact::Played { dispute, played } => put(&mut self.played, dispute, played),
            Fact::Answered { demand, answer } => put(&mut self.answered, demand, answer),
            Fact::SurveyAgain(slot) => std::mem::replace(&mut self.survey_slot, slot) != slot,
        }
    }

    /// Root of the next base from the segments that a round accepted, if it was computed; zeros if there is none.
    pub fn base(&self, round: u32, accepted: u16) -> Option<[u8; 32]> {
        self.bases.get(&round).filter(|(from, _)| *from == accepted).map(|(_, root)| *root)
    }
}
