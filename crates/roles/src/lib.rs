//! Who does what when in a job, as pure steps: without a clock, a thread, a file, a socket or a ledger.
//!
//! [`Node::step`] is given the chain as it stands ([`View`]), which states are at hand ([`Shelf`]), what was computed and found ([`Known`]), and the
//! job's numbers that follow from its manifest ([`Terms`]). It gives what to do next, most urgent first ([`Action`]). The same inputs give the same
//! actions. Whatever would be drawn by chance follows from the key. That something was sent is never remembered: the next view shows whether
//! it is there, so that sending twice does no harm, and a crash between two steps is invisible.
//!
//! A driver reads accounts ([`Look`]), calls the step, and does what it says, in order, until something has changed; then it looks again:
//!
//! | action | a driver |
//! |---|---|
//! | [`Action::Keep`] | has it on disk before it does anything that comes later |
//! | [`Action::Send`] | signs and sends; refused, it goes on with the next action, and else it looks again |
//! | [`Action::Compute`] | computes, keeps the [`Fact`] that comes out, and takes another step |
//! | [`Action::Fetch`], [`Action::Survey`] | notes in the shelf, or in the view, what it got, and takes another step |
//! | [`Action::Publish`], [`Action::Archive`], [`Action::Forget`], [`Action::Tell`] | does it |
//! | [`Action::Wake`] | looks again no later than in that slot |
//!
//! | machine | decides |
//! |---|---|
//! | `trainer` | when a segment is computed, committed, handed out and settled |
//! | `auditor` | draws, attestations, votes, pay |
//! | `evaluator` | scores: computed, committed, revealed, settled |
//! | `judge` | which claim is replayed next, and what it should be |
//! | `court` | whom to accuse, and every move of both sides of a dispute |
//! | `demands` | what to demand of those who committed and do not publish |
//! | `answers` | what to answer to a demand, of a trainer and of a provider |
//! | `turner` | what anyone may turn: closings, seeds, tallies, finality, clocks that ran out |
//! | `keeper` | what a job needs somebody to pay for: the next round, seats in order, the newest model |
//! | `settling` | whom of a round a keeper settles, who does not do so itself |
//! | `closing` | which accounts are over for long |
//! | `standing` | for whom a wallet acts: its own pools, and those whose session key it is |
//! | `finish` | which rounds nothing is left to do about |

mod action;
mod answers;
mod auditor;
mod bond;
mod case;
mod charge;
mod claim;
mod closing;
mod court;
mod demands;
mod evaluator;
mod event;
mod finish;
mod judge;
mod keeper;
mod known;
mod look;
mod node;
mod settling;
mod standing;
mod terms;
mod trainer;
mod turner;
mod view;

pub use action::{Action, Send, Shelf, Work};
pub use auditor::{HashChain, commitment, draw_secret};
pub use charge::{Charge, Charged};
pub use claim::{Claim, Part};
pub use court::claim_of;
pub use demands::{AfterDemand, after_demand};
pub use event::{Event, phase_words};
pub use known::{Asked, Fact, Finding, Known, Played, Published, Scored, Worked};
pub use look::{Accounts, Look, LookError, Query};
pub use node::{Cheating, Me, Node, Roles};
pub use standing::{Waiting, is_named_in};
pub use terms::Terms;
pub use view::{DueBounty, Seen, Stands, View, commits_scores};

#[cfg(test)]
mod tests;
