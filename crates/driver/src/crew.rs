//! Threads that compute and fetch while the driver reads the chain and sends.
//!
//! One thread computes, one thing at a time. What has a clock comes before what has not: a move in court stops a replay, and a replay stops training,
//! between two steps; what was done of it is kept, and goes on later. States are fetched and handed out on threads that end with it.

use anyhow::Result;
use sip_manifest::stop::Stop;
use sip_roles::{Event, Fact, Known, Shelf, View, Work};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::bench::{Compute, Position};
use crate::hands::{Found, Hands};
use crate::is_stop;
use crate::states::{Root, States, Wanted};

/// States that come in at once. What somebody withholds comes in from nobody, and takes no place of what others give.
const FETCHES: usize = 3;
/// States that are sought at once, with those that nobody gives.
const MOST_FETCHES: usize = 32;
/// After how long a state is looked for again that nobody had.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// For so long what is less urgent waits for what it was stopped for.
const URGENT_FOR: Duration = Duration::from_secs(10);
/// After how long work is tried again that failed.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Something to compute, on a thread.
struct Order {
    view: View,
    known: Known,
    work: Work,
}

/// What a thread has to say.
enum Report {
    Computed { work: Box<Work>, outcome: Box<Result<(Fact, Option<Event>)>> },
    Fetched { root: Root, outcome: Result<bool> },
    HandedOut { root: Root, outcome: Result<()> },
}

/// What came of work.
pub enum Came {
    /// A fact, and what is to be said of it.
    Fact(Box<Fact>, Option<Event>),
    /// A state came, or did not, or there is room for other work: the next step may do more.
    News,
    /// Something failed; it is tried again.
    Failed(Event),
}

/// Threads that compute and fetch.
pub struct Crew {
    orders: Option<Sender<Order>>,
    reports: Receiver<Report>,
    sender: Sender<Report>,
    thread: Option<JoinHandle<()>>,
    states: Arc<dyn States>,
    threads: Arc<sip_kernels::Threads>,
    /// Asks the thread to stop computing.
    stop: Stop,
    current: Option<(Work, Instant)>,
    /// The rank of what the last work was stopped for, and when.
    urgent: Option<(u8, Instant)>,
    fetching: BTreeMap<Root, Sought>,
    stop_fetching: Arc<AtomicBool>,
    missing: BTreeMap<Root, Instant>,
    handed_out: BTreeSet<Root>,
    /// Work that failed, and when.
    failed: Vec<(Work, Instant)>,
    /// After how long a state is looked for again, and work is tried again.
    patience: [Duration; 2],
}

/// A state that is being fetched.
struct Sought {
    /// Bytes of it that are here.
    bytes: u64,
    /// When that was more than before, or it was begun.
    moved: Instant,
}

/// What work is called.
fn name(work: &Work) -> &'static str {
    match work {
        Work::Move { .. } => "play a move",
        Work::Answer { .. } => "answer a demand",
        Work::Replay { .. } => "replay a segment",
        Work::Base { .. } => "compute the next base",
        Work::Score { .. } => "score a base",
        Work::Train { .. } => "train",
    }
}

impl Crew {
    /// Starts the thread that computes. `make` is called on it, since a bench may not change threads.
    pub fn start<C: Compute>(
        states: Arc<dyn States>,
        threads: Arc<sip_kernels::Threads>,
        stop: Stop,
        make: impl FnOnce() -> C + Send + 'static,
    ) -> Crew {
        let (orders, waiting) = channel::<Order>();
        let (sender, reports) = channel();
        let to = sender.clone();
        let thread = std::thread::spawn(move || {
            let mut bench = make();
            for Order { view, known, work } in waiting {
                let outcome = caught(|| bench.compute(Position { view: &view, known: &known }, &work));
                if outcome.as_ref().is_err_and(|error| error.is::<Panicked>()) {
                    bench.begin_anew();
                }
                if to.send(Report::Computed { work: Box::new(work), outcome: Box::new(outcome) }).is_err() {
                    break;
                }
            }
        });
        let (fetching, missing, handed_out) = Default::default();
        let stop_fetching = Arc::default();
        Crew {
            orders: Some(orders),
            reports,
            sender,
            thread: Some(thread),
            states,
            threads,
            stop,
            current: None,
            urgent: None,
            fetching,
            stop_fetching,
            missing,
            handed_out,
            failed: Vec::new(),
            patience: [LOOK_AGAIN, TRY_AGAIN],
        }
    }

    /// The same crew that looks for a state again after the first time, and tries work again after the second.
    #[must_use]
    pub fn with_patience(mut self, look_again: Duration, try_again: Duration) -> Crew {
        self.patience = [look_again, try_again];
        self
    }

    /// What is computed now, and since when.
    pub fn current(&self) -> Option<(&'static str, Duration)> {
        self.current.as_ref().map(|(work, since)| (name(work), since.elapsed()))
    }

    /// States that are being fetched.
    pub fn fetching(&self) -> usize {
        self.fetching.len()
    }

    /// The same by root, and for how long nothing came of each.
    pub fn sought(&self) -> Vec<(Root, Duration)> {
        self.fetching.iter().map(|(root, sought)| (*root, sought.moved.elapsed())).collect()
    }

    /// Whether nothing is computed or fetched now.
    pub fn is_idle(&self) -> bool {
        self.current.is_none() && self.fetching.is_empty()
    }

    /// The next thing that came, if one does within a time.
    pub fn next(&mut self, wait: Duration) -> Option<Came> {
        let report = match self.reports.recv_timeout(wait) {
            Ok(report) => report,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        };
        Some(match report {
            Report::Computed { work, outcome } => {
                self.current = None;
                self.stop.take_back();
                match *outcome {
                    Ok((fact, tell)) => Came::Fact(Box::new(fact), tell),
                    Err(error) if is_stop(&error) => Came::News,
                    Err(error) => {
                        let what = name(&work).to_owned();
                        self.failed.push((*work, Instant::now()));
                        Came::Failed(hindered(what, &error))
                    }
                }
            }
            Report::Fetched { root, outcome } => {
                self.fetching.remove(&root);
                match outcome {
                    Ok(true) => drop(self.missing.remove(&root)),
                    Ok(false) => drop(self.missing.insert(root, Instant::now())),
                    Err(error) => {
                        self.missing.insert(root, Instant::now());
                        return Some(Came::Failed(hindered("get a state".into(), &error)));
                    }
                }
                Came::News
            }
            Report::HandedOut { root, outcome } => match outcome {
                Ok(()) => Came::News,
                Err(error) => {
                    self.handed_out.remove(&root);
                    Came::Failed(hindered("hand a state out".into(), &error))
                }
            },
        })
    }
}

impl Crew {
    /// Whether work is begun now. What is less urgent is stopped for it, and not begun again before it, though it is asked for first.
    fn takes(&mut self, work: &Work) -> bool {
        let try_again = self.patience[1];
        self.failed.retain(|(_, at)| at.elapsed() < try_again);
        if self.failed.iter().any(|(other, _)| other == work) {
            return false;
        }
        if let Some((current, _)) = &self.current {
            if work.rank() > current.rank() {
                self.stop.ask();
                self.urgent = Some((work.rank(), Instant::now()));
            }
            return false;
        }
        // What it was stopped for may have come to nothing meanwhile.
        let urgent = self.urgent.filter(|(_, at)| at.elapsed() < URGENT_FOR);
        if urgent.is_some_and(|(least, _)| work.rank() < least) {
            return false;
        }
        self.urgent = None;
        true
    }

    /// Whether as much is fetched as may be: what has brought nothing for a while is sought on, and counts no more among what comes in.
    fn has_enough_fetches(&mut self) -> bool {
        let patience = self.patience[0];
        let mut coming = 0;
        for (root, sought) in &mut self.fetching {
            let bytes = self.states.bytes_of(root);
            if bytes > sought.bytes {
                *sought = Sought { bytes, moved: Instant::now() };
            }
            coming += usize::from(sought.moved.elapsed() < patience);
        }
        coming >= FETCHES || self.fetching.len() >= MOST_FETCHES
    }
}

/// A fault of the program that a thread met: what it was at is tried again.
#[derive(Debug, thiserror::Error)]
#[error("a fault of this program: {0}")]
struct Panicked(String);

/// What comes of something; an error where it panics, so that nobody waits for a thread that is gone.
fn caught<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        Err(Panicked(text.unwrap_or("it says nothing").to_owned()).into())
    })
}

/// Something that failed here, in words.
fn hindered(what: String, error: &anyhow::Error) -> Event {
    Event::Hindered { what, reason: format!("{error:#}"), seconds: TRY_AGAIN.as_secs() }
}

impl Hands for Crew {
    fn compute(&mut self, at: Position<'_>, work: &Work) -> Result<Option<(Fact, Option<Event>)>> {
        if !self.takes(work) {
            return Ok(None);
        }
        let order = Order { view: at.view.clone(), known: at.known.clone(), work: work.clone() };
        let is_taken = self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok());
        anyhow::ensure!(is_taken, "the thread that computes has ended");
        self.current = Some((work.clone(), Instant::now()));
        Ok(None)
    }

    fn fetch(&mut self, wanted: Wanted) -> Result<Found> {
        if self.fetching.contains_key(&wanted.root) || self.has_enough_fetches() {
            return Ok(Found::Awaited);
        }
        let root = wanted.root;
        self.fetching.insert(root, Sought { bytes: self.states.bytes_of(&root), moved: Instant::now() });
        let (states, threads, stop) = (self.states.clone(), self.threads.clone(), self.stop_fetching.clone());
        let to = self.sender.clone();
        std::thread::spawn(move || {
            let outcome = caught(|| states.fetch(&wanted, &threads, &stop));
            let _ = to.send(Report::Fetched { root, outcome });
        });
        Ok(Found::Awaited)
    }

    fn hand_out(&mut self, root: Root) -> Result<()> {
        if !self.handed_out.insert(root) {
            return Ok(());
        }
        let (states, threads, to) = (self.states.clone(), self.threads.clone(), self.sender.clone());
        std::thread::spawn(move || {
            let outcome = caught(|| states.hand_out(&root, &threads));
            let _ = to.send(Report::HandedOut { root, outcome });
        });
        Ok(())
    }

    fn states(&self) -> &dyn States {
        &*self.states
    }

    fn note(&self, shelf: &mut Shelf) {
        shelf.awaited.extend(self.fetching.keys());
        let lately = self.missing.iter().filter(|(_, at)| at.elapsed() < self.patience[0]).map(|(root, _)| *root);
        shelf.missing.extend(lately);
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.stop_fetching.store(true, Ordering::Relaxed);
        self.orders = None;
        // Asked until the thread has ended: it takes a wish back between two works.
        if let Some(thread) = self.thread.take() {
            while !thread.is_finished() {
                self.stop.ask();
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod with_bench;

#[cfg(test)]
mod tests {
    use super::*;
    use sip_kernels::Threads;
    use sip_node::State;

    /// States of which the first byte says whether somebody gives them.
    struct Given;

    impl States for Given {
        fn roots(&self) -> BTreeSet<Root> {
            BTreeSet::new()
        }

        fn load(&self, _: &Root, _: &Threads) -> Result<Option<Arc<State>>> {
            Ok(None)
        }

        fn save(&self, _: &State) -> Result<()> {
            Ok(())
        }

        fn forget(&self, _: &Root) {}

        fn hand_out(&self, _: &Root, _: &Threads) -> Result<()> {
            Ok(())
        }

        fn fetch(&self, wanted: &Wanted, _: &Threads, stop: &AtomicBool) -> Result<bool> {
            assert!(wanted.root[0] != 9, "this one is too much");
            while wanted.root[0] == 0 && !stop.load(Ordering::Relaxed) && Instant::now() < wanted.by {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(wanted.root[0] != 0)
        }
    }

    /// A crew whose thread is this test: what it would compute comes out of the receiver.
    fn crew() -> (Crew, Receiver<Order>) {
        let (orders, waiting) = channel();
        let (sender, reports) = channel();
        let crew = Crew {
            orders: Some(orders),
            reports,
            sender,
            thread: None,
            states: Arc::new(Given),
            threads: Arc::new(Threads::new(1)),
            stop: Stop::default(),
            current: None,
            urgent: None,
            fetching: BTreeMap::new(),
            stop_fetching: Arc::default(),
            missing: BTreeMap::new(),
            handed_out: BTreeSet::new(),
            failed: Vec::new(),
            patience: [Duration::from_millis(50); 2],
        };
        (crew, waiting)
    }

    #[test]
    fn what_is_urgent_is_done_before_what_was_stopped_for_it_though_that_is_asked_for_first() {
        let (mut crew, _waiting) = crew();
        let train = Work::Train { round: 1, place: 0, previous: None, cheat: None };
        let score = Work::Score { base: [1; 32], cheat: None };
        assert!(crew.takes(&train));
        crew.current = Some((train.clone(), Instant::now()));
        assert!(!crew.takes(&train) && !crew.stop.requested());
        assert!(!crew.takes(&score) && crew.stop.requested(), "training stops for what has a clock");
        let stopped = |work: &Work| Report::Computed {
            work: Box::new(work.clone()),
            outcome: Box::new(Err(sip_node::WorkError::Stopped.into())),
        };
        crew.sender.send(stopped(&train)).unwrap();
        assert!(matches!(crew.next(Duration::ZERO), Some(Came::News)));
        // A trainer asks for its own segment first, in every step.
        assert!(!crew.takes(&train), "it would be stopped again after a step, and so on");
        assert!(crew.takes(&score));
        crew.current = Some((score.clone(), Instant::now()));
        let failed =
            Report::Computed { work: Box::new(score.clone()), outcome: Box::new(Err(anyhow::anyhow!("a full disk"))) };
        crew.sender.send(failed).unwrap();
        assert!(matches!(crew.next(Duration::ZERO), Some(Came::Failed(_))));
        // What failed a moment ago stops nothing.
        assert!(crew.takes(&train));
        crew.current = Some((train.clone(), Instant::now()));
        assert!(!crew.takes(&score) && !crew.stop.requested());
    }

    #[test]
    fn a_fetch_that_panics_is_said_and_tried_again() {
        let (mut crew, _waiting) = crew();
        for _ in 0..2 {
            let by = Instant::now() + Duration::from_secs(5);
            crew.fetch(Wanted { root: [9; 32], elements: Vec::new(), peers: Vec::new(), by }).unwrap();
            let Some(Came::Failed(event)) = crew.next(Duration::from_secs(5)) else { panic!("it is waited for") };
            assert!(event.to_string().contains("this one is too much") && crew.is_idle(), "{event}");
        }
    }

    #[test]
    fn those_who_withhold_their_states_keep_nobody_from_those_of_others() {
        let (mut crew, _waiting) = crew();
        let begun = Instant::now();
        let by = begun + Duration::from_secs(20);
        // Six of them, in places before those who give.
        let withheld: Vec<Root> =
            (0..6).map(|number| std::array::from_fn(|at| if at == 1 { number } else { 0 })).collect();
        let given: [Root; 2] = [[1; 32], [2; 32]];
        let (mut asked, mut came) = (BTreeSet::new(), BTreeSet::new());
        while came.len() < given.len() {
            assert!(begun.elapsed() < Duration::from_secs(5), "they hold it up: {came:?}");
            for root in withheld.iter().chain(&given).filter(|root| !came.contains(*root)) {
                crew.fetch(Wanted { root: *root, elements: Vec::new(), peers: Vec::new(), by }).unwrap();
            }
            asked.extend(given.iter().filter(|root| crew.fetching.contains_key(*root)).copied());
            crew.next(Duration::from_millis(5));
            came.extend(asked.iter().filter(|root| !crew.fetching.contains_key(*root)).copied());
        }
        assert!(
            withheld.iter().all(|root| crew.fetching.contains_key(root)),
            "they are sought on until their time is over"
        );
    }
}
