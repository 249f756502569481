//! A driver for [roles](sip_roles) on a ledger: it reads the chain, computes, keeps what was found in a folder, and sends.
//!
//! A step looks at the chain and at what is on disk, does what the roles ask for until something has changed, and returns. The process may be
//! killed between any two transactions, also those of one step. Who computes and fetches are [`Hands`]: a [`Bench`] in the caller's thread, or a
//! [`Crew`] on threads of its own.

pub mod archive;
mod bench;
mod books;
mod crew;
mod data;
mod digits;
mod hands;
mod look;
pub mod node;
mod patrol;
mod pause;
mod players;
mod record;
mod reveals;
mod send;
mod source;
mod states;
mod work;

pub use bench::{Bench, Compute, Position};
pub use books::{Balance, Books, Page};
pub use crew::{Came, Crew};
pub use hands::{Found, Hands};
pub use patrol::Patrol;
pub use record::{Known as Tally, Record};
pub use reveals::false_reveals;
pub use source::{Match, Source, registered, require_version};
pub use states::{FolderStates, NetStates, Root, States, Tell, Wanted};

use anyhow::Result;
use sip_client::Program;
use sip_ledger::{Ledger, LedgerError};
use sip_net::Peer;
use sip_node::WorkError;
use sip_roles::{Action, Event, Fact, Known, Node, Shelf, View, commits_scores};
use solana_address::Address;
use solana_keypair::Keypair;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Slots between two looks at a chain on which nothing is to be done.
pub const PAUSE_SLOTS: u64 = 4;
/// Scoring runs, moves and answers that are remembered, of each: more than anybody is asked for at once, since what is forgotten while it is
/// still due is computed again and again.
const FACTS_KEPT: usize = 256;
/// Solana's targeted pace.
pub const SLOT: Duration = Duration::from_millis(400);
/// How long a state is looked for where no phase says.
const FETCH_SECONDS: u64 = 60;

/// What only saves time: all of it can be lost.
#[derive(Default)]
pub struct Memory {
    /// What was said and need not be said again.
    said: BTreeSet<String>,
    /// What was computed and is nowhere on disk.
    facts: Vec<Fact>,
    /// The chain as it was seen last.
    view: Option<View>,
    /// What was asked for last and not done yet, in words.
    waits: Vec<&'static str>,
    /// When what anybody may do was first due, by its hash.
    due: BTreeMap<[u8; 32], u64>,
    /// What anybody may do, and in which slot the program refused it first: it may be that another was quicker.
    refused: BTreeMap<[u8; 32], u64>,
}

/// Whether two facts are of the same scoring run, dispute or demand.
fn is_of_the_same(one: &Fact, other: &Fact) -> bool {
    match (one, other) {
        (Fact::Scored { base: one, .. }, Fact::Scored { base: other, .. }) => one == other,
        (Fact::Played { dispute: one, .. }, Fact::Played { dispute: other, .. }) => one == other,
        (Fact::Answered { demand: one, .. }, Fact::Answered { demand: other, .. }) => one == other,
        (Fact::SurveyAgain(_), Fact::SurveyAgain(_)) => true,
        _ => false,
    }
}

impl Memory {
    /// Remembers what is nowhere on disk, in place of what was known of the same before; of each kind the last.
    fn remember(&mut self, fact: Fact) {
        self.facts.retain(|other| !is_of_the_same(other, &fact));
        let is_like = |other: &Fact| std::mem::discriminant(other) == std::mem::discriminant(&fact);
        if self.facts.iter().filter(|other| is_like(other)).count() >= FACTS_KEPT {
            let oldest = self.facts.iter().position(is_like);
            oldest.map(|index| self.facts.remove(index));
        }
        self.facts.push(fact);
    }

    /// Whether the program refuses for the second time what anybody may do. The first time another may have been quicker, which the next look shows, and
    /// nothing is wrong.
    fn is_refused_again(&mut self, what: [u8; 32], slot: u64) -> bool {
        self.refused.retain(|_, first| *first + send::FORGET_DUE_SLOTS > slot);
        *self.refused.entry(what).or_insert(slot) < slot
    }

    /// The chain as it was seen last.
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    /// What waits until the chain has it as final.
    pub fn waits(&self) -> &[&'static str] {
        &self.waits
    }
}

/// Who may have a state, most likely first.
pub type Holders<'a> = dyn Fn(&View, &Root) -> Vec<Peer> + 'a;

/// Nobody, where states come from folders.
pub fn no_holders(_: &View, _: &Root) -> Vec<Peer> {
    Vec::new()
}

/// Somebody in a job, on a ledger.
pub struct Live<'a, L> {
    /// The chain.
    pub ledger: &'a mut L,
    /// The deployment.
    pub program: Program,
    /// Whose transactions these are.
    pub key: &'a Keypair,
    /// The job.
    pub job: Address,
    /// Who decides.
    pub node: &'a Node,
    /// What the job computes with.
    pub source: &'a Source,
    /// What was found.
    pub record: Record,
    /// Who computes and fetches.
    pub hands: &'a mut dyn Hands,
    /// Who may have a state.
    pub holders: &'a Holders<'a>,
    /// Whether the first round is not opened yet, for the sake of seats that are not ready.
    pub holds_opening: &'a dyn Fn(&View) -> bool,
    /// What was paid, and may be.
    pub books: &'a mut Books,
    /// How long a slot lasts.
    pub slot: Duration,
    /// Where slots pass by the clock: how long what anybody may do is left to others. Nothing where slots pass when they are asked for.
    pub turn_slots: Option<u64>,
    /// What only saves time.
    pub memory: &'a mut Memory,
    /// Who is told.
    pub report: &'a mut dyn FnMut(&Event),
}

/// What is to be done after an action.
enum Then {
    /// The next one.
    Next,
    /// Another step, on what is known now.
    Again,
    /// Another look at the chain.
    Look,
}

/// What stands while one step is done.
struct Under {
    view: View,
    known: Known,
    shelf: Shelf,
    /// The chain as far as it is final, once something needs it.
    last: Option<View>,
    /// Whether something was noted that the next step has to see.
    is_changed: bool,
    /// The next slot in which there is something to do.
    wake_slot: Option<u64>,
}

impl<L: Ledger> Live<'_, L> {
    /// Does the next thing that can be done now: sends what belongs together, or computes one thing. False if there is none.
    ///
    /// # Errors
    /// Where the chain does not answer, the work was asked to stop, or nothing can be remembered.
    pub fn step(&mut self) -> Result<bool> {
        self.memory.waits.clear();
        let mut under = self.look()?;
        let is_done = self.act_all(&mut under);
        let wait = under.wake_slot.map(|slot| slot.saturating_sub(under.view.slot));
        self.memory.view = Some(under.view);
        if is_done? || under.is_changed {
            return Ok(true);
        }
        match wait.filter(|slots| *slots <= PAUSE_SLOTS && self.turn_slots.is_none()) {
            Some(slots) => self.ledger.advance_slots(slots).map(|()| true).map_err(Into::into),
            None => Ok(false),
        }
    }

    /// Notes what was computed elsewhere, before the next step.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn note(&mut self, fact: Fact, tell: Option<Event>) -> Result<()> {
        self.remember(fact)?;
        tell.iter().for_each(|event| (self.report)(event));
        Ok(())
    }

    fn act_all(&mut self, under: &mut Under) -> Result<bool> {
        let terms = self.source.terms(&under.view.job);
        'again: loop {
            for action in self.node.step(&under.view, &under.shelf, &under.known, &terms) {
                match self.act(under, action)? {
                    Then::Next => {}
                    Then::Again => continue 'again,
                    Then::Look => return Ok(true),
                }
            }
            return Ok(false);
        }
    }

    fn act(&mut self, under: &mut Under, action: Action) -> Result<Then> {
        match action {
            Action::Send(send) => return self.send(under, send),
            Action::Compute(work) => {
                let at = Position { view: &under.view, known: &under.known };
                if let Some((fact, tell)) = self.hands.compute(at, &work)? {
                    let is_durable = fact.is_durable();
                    self.keep(under, fact, tell)?;
                    return Ok(if is_durable { Then::Look } else { Then::Again });
                }
            }
            Action::Fetch { root } => {
                match self.hands.fetch(self.wanted(&under.view, root))? {
                    Found::Whole => under.shelf.whole.insert(root),
                    Found::Missing => under.shelf.missing.insert(root),
                    Found::Awaited => under.shelf.awaited.insert(root),
                };
                return Ok(Then::Again);
            }
            Action::Survey => {
                under.view.survey = Some(self.survey()?);
                return Ok(Then::Again);
            }
            Action::Keep { fact, tell } => self.keep(under, fact, tell)?,
            Action::Publish { root } => self.hands.hand_out(root)?,
            Action::Archive { address, data } => archive::keep(&self.source.store, &address, &data)?,
            Action::Forget { root } => self.hands.states().forget(&root),
            Action::Wake { slot } => under.wake_slot = Some(under.wake_slot.map_or(slot, |other| other.min(slot))),
            Action::Tell(event) => self.say_once(&event),
        }
        Ok(Then::Next)
    }

    /// A state that is needed, by when, and who may have it.
    fn wanted(&self, view: &View, root: Root) -> Wanted {
        // What has not come after six tenths of what is left of the phase is demanded.
        let seconds = phase_end(view)
            .map_or(FETCH_SECONDS as f64, |end| end.saturating_sub(view.slot) as f64 * self.slot.as_secs_f64() * 0.6);
        let by = Instant::now() + Duration::from_secs_f64(seconds.clamp(2.0, 86_400.0));
        Wanted { root, elements: self.source.elements(view, &root), peers: (self.holders)(view, &root), by }
    }

    /// Says something once.
    fn say_once(&mut self, event: &Event) {
        if self.memory.said.insert(event.to_string()) {
            (self.report)(event);
        }
    }

    /// Notes a fact: on disk, if it has to be there before anything else is done.
    fn keep(&mut self, under: &mut Under, fact: Fact, tell: Option<Event>) -> Result<()> {
        if !under.known.note(fact.clone()) {
            return Ok(());
        }
        under.is_changed |= fact.is_durable();
        self.note(fact, tell)
    }

    fn remember(&mut self, fact: Fact) -> Result<()> {
        if fact.is_durable() {
            return self.record.keep(&fact);
        }
        self.memory.remember(fact);
        Ok(())
    }
}

/// The last slot of the phase that the newest round is in, if it has one.
pub fn phase_end(view: &View) -> Option<u64> {
    use sip_protocol::training::round;
    let round = &view.rounds.last()?.round;
    match round.status {
        round::OPEN => Some(round.commit_deadline_slot),
        round::COMMITS_CLOSED => Some(round.audit_deadline_slot),
        round::CLOSED => Some(round.vote_deadline_slot),
        // Scores are committed in its first half, and revealed once no more can be.
        round::AGGREGATED if commits_scores(round, view.slot) => Some(round.score_deadline_slot),
        round::AGGREGATED => Some(round.reveal_deadline_slot),
        _ => None,
    }
}

/// Whether the work was asked to stop.
pub fn is_stop(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(WorkError::Stopped))
}

/// Whether a chain elsewhere did not do its part, which may pass.
pub fn is_lost(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(LedgerError::Remote(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_second_to_what_anybody_may_do_says_nothing_and_a_refusal_that_stays_is_told() {
        let mut memory = Memory::default();
        assert!(!memory.is_refused_again([1; 32], 50) && !memory.is_refused_again([1; 32], 50));
        assert!(!memory.is_refused_again([2; 32], 51), "that is something else");
        assert!(memory.is_refused_again([1; 32], 51));
        let later = 51 + send::FORGET_DUE_SLOTS;
        assert!(!memory.is_refused_again([1; 32], later), "it is long ago");
    }

    #[test]
    fn many_demands_at_once_are_each_answered_once_and_a_new_answer_takes_the_place_of_the_old_one() {
        let mut memory = Memory::default();
        let answered = |number: u8, answer: u8| Fact::Answered {
            demand: Address::new_from_array([number; 32]),
            answer: Some(vec![answer]),
        };
        (0..100).for_each(|number| memory.remember(answered(number, 1)));
        assert!((0..100).all(|number| memory.facts.contains(&answered(number, 1))));
        memory.remember(answered(5, 2));
        assert_eq!(memory.facts.len(), 100);
        assert!(memory.facts.contains(&answered(5, 2)) && !memory.facts.contains(&answered(5, 1)));
    }
}
