//! What a step asks for.

use sip_node::Cheat;
use sip_protocol::court::Side;
use solana_address::Address;
use solana_instruction::Instruction;
use std::collections::BTreeSet;

use crate::{Claim, Event, Fact};

/// Something for a driver to do, in the order in which it stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// To be sent, unless something before it has changed the chain.
    Send(Send),
    /// To be computed.
    Compute(Work),
    /// A state of this root is needed, and not at hand.
    Fetch {
        /// The state's.
        root: [u8; 32],
    },
    /// A state of this root is to be handed to those who ask, for as long as it stands here.
    Publish {
        /// The state's.
        root: [u8; 32],
    },
    /// To be on disk before anything after it is done.
    Keep {
        /// What.
        fact: Fact,
        /// What is said of it, if it was not known before.
        tell: Option<Event>,
    },
    /// The bytes of an account, to be kept for those who come once it is closed.
    Archive {
        /// The account's.
        address: Address,
        /// Its data.
        data: Vec<u8>,
    },
    /// A state that nothing needs any more.
    Forget {
        /// The state's.
        root: [u8; 32],
    },
    /// All accounts of the job are to be read, for [`View::survey`](crate::View::survey).
    Survey,
    /// There is something to do in this slot.
    Wake {
        /// The slot.
        slot: u64,
    },
    /// To be said once.
    Tell(Event),
}

/// Instructions that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    /// What they do, in words.
    pub what: &'static str,
    /// In order; each transaction takes as many as fit.
    pub instructions: Vec<Instruction>,
    /// Last slot in which they count, if there is one.
    pub needed_by_slot: Option<u64>,
    /// Whether it shows what cannot be taken back: a draw, a salt, an accusation. A driver sends it only once the same step follows from the chain
    /// as it is final, so that nobody who saw it on a fork that was dropped can still change what it answers.
    pub is_revealing: bool,
    /// Whether anybody may do it, and one is enough: a driver may leave it to others for a while.
    pub is_anyones: bool,
    /// What is said once all are accepted.
    pub tell: Vec<Event>,
}

/// Something to compute; what comes out is a [`Fact`].
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A segment of a trainer replayed, with the traces of the first steps of these leaves: [`Fact::Found`].
    Replay {
        /// The segment.
        claim: Claim,
        /// Leaves that auditors attest.
        leaves: Vec<u32>,
    },
    /// The next base from what a round accepted: [`Fact::Base`].
    Base {
        /// Index of the round.
        round: u32,
    },
    /// The scoring run of a base: [`Fact::Scored`].
    Score {
        /// Root of the base.
        base: [u8; 32],
        /// What is done instead of it.
        cheat: Option<Cheat>,
    },
    /// The own segment of a round: [`Fact::Worked`].
    Train {
        /// Index of the round.
        round: u32,
        /// Place of the trainer.
        place: u8,
        /// The update that it goes on from, with compressed updates.
        previous: Option<[u8; 32]>,
        /// What is done instead of it.
        cheat: Option<Cheat>,
    },
    /// The next move of a side in a dispute: [`Fact::Played`].
    Move {
        /// What is disputed.
        claim: Claim,
        /// The dispute.
        dispute: Address,
        /// Whose move.
        side: Side,
        /// What was done instead of the work, where the side is its maker.
        cheat: Option<Cheat>,
    },
    /// What answers a demand: [`Fact::Answered`].
    Answer {
        /// The demand.
        demand: Address,
    },
}

impl Work {
    /// How urgent it is: what has a clock comes before what has not. Who does one thing at a time stops what is lower for what is higher.
    pub fn rank(&self) -> u8 {
        match self {
            Work::Move { .. } | Work::Answer { .. } => 2,
            Work::Replay { .. } | Work::Base { .. } | Work::Score { .. } => 1,
            Work::Train { .. } => 0,
        }
    }

    /// Puts what is computed in the order of its rank, in the places that it has among the others: who does one thing at a time begins with the
    /// most urgent, and does not stop the others after it has begun them.
    pub(crate) fn in_order(actions: &mut [Action]) {
        let works =
            actions.iter().filter_map(|action| if let Action::Compute(work) = action { Some(work) } else { None });
        let mut works: Vec<Work> = works.cloned().collect();
        works.sort_by_key(|work| std::cmp::Reverse(work.rank()));
        let mut works = works.into_iter();
        for action in actions {
            if let Action::Compute(work) = action
                && let Some(next) = works.next()
            {
                *work = next;
            }
        }
    }
}

/// Which states are at hand, by root. What stands in no set nobody has looked for yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shelf {
    /// They are, whole and true.
    pub whole: BTreeSet<[u8; 32]>,
    /// Nobody has them, at present.
    pub missing: BTreeSet<[u8; 32]>,
    /// They are being fetched: nobody knows yet.
    pub awaited: BTreeSet<[u8; 32]>,
}

impl Shelf {
    /// Notes whether a state was got.
    pub fn note(&mut self, root: [u8; 32], is_whole: bool) {
        if is_whole { &mut self.whole } else { &mut self.missing }.insert(root);
    }
}
