//! A crew whose bench does what it is told.

use super::*;
use crate::bench::Compute;
use bytemuck::Zeroable;
use sip_kernels::Threads;
use sip_node::{State, WorkError};
use sip_roles::Claim;
use std::sync::Mutex;

/// No states.
struct Nothing;

impl States for Nothing {
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
        panic!("nothing is handed out here")
    }

    fn fetch(&self, _: &Wanted, _: &Threads, _: &AtomicBool) -> Result<bool> {
        Ok(false)
    }
}

/// What the bench of a test does about work.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    /// It is done at once.
    Ends,
    /// It goes on until it is asked to stop, as often as it is begun.
    Lasts,
    Fails,
    Panics,
}

type Begun = Arc<Mutex<Vec<&'static str>>>;

/// A bench that notes what it begins.
struct Fake {
    does: fn(&Work) -> Does,
    stop: Stop,
    begun: Begun,
}

impl Compute for Fake {
    fn compute(&mut self, _: Position<'_>, work: &Work) -> Result<(Fact, Option<Event>)> {
        self.begun.lock().unwrap().push(name(work));
        match (self.does)(work) {
            Does::Ends => Ok((Fact::RoundsDone(work.rank().into()), None)),
            Does::Lasts => {
                while !self.stop.requested() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(WorkError::Stopped.into())
            }
            Does::Fails => anyhow::bail!("the record of it is damaged"),
            Does::Panics => panic!("index out of bounds"),
        }
    }

    fn begin_anew(&mut self) {
        self.begun.lock().unwrap().push("begin anew");
    }
}

fn crew(patience: Duration, does: fn(&Work) -> Does) -> (Crew, Begun) {
    let (stop, begun) = (Stop::default(), Begun::default());
    let bench = Fake { does, stop: stop.clone(), begun: Arc::clone(&begun) };
    let crew = Crew::start(Arc::new(Nothing), Arc::new(Threads::new(1)), stop, move || bench);
    (crew.with_patience(patience, patience), begun)
}

fn view() -> View {
    View {
        program: Default::default(),
        address: Default::default(),
        slot: 1,
        config: Box::new(Zeroable::zeroed()),
        job: Box::new(Zeroable::zeroed()),
        pools: Default::default(),
        datasets: Default::default(),
        looked: 0..0,
        rounds: Vec::new(),
        disputes: Default::default(),
        accusations: Default::default(),
        demands: Default::default(),
        served: Default::default(),
        survey: None,
    }
}

fn train() -> Work {
    Work::Train { round: 1, place: 0, previous: None, cheat: None }
}

fn replay(place: u8) -> Work {
    Work::Replay { claim: Claim::Segment { round: 0, place }, leaves: Vec::new() }
}

/// A look: all of this is asked for, in order; then what came is waited for.
fn look(crew: &mut Crew, works: &[Work]) -> Option<Came> {
    let (view, known) = (view(), Known::default());
    for work in works {
        crew.compute(Position { view: &view, known: &known }, work).unwrap();
    }
    crew.next(Duration::from_millis(100))
}

#[test]
fn what_stops_other_work_is_done_next_and_the_other_goes_on_after_it() {
    let lasts = |work: &Work| if *work == train() { Does::Lasts } else { Does::Ends };
    let (mut crew, begun) = crew(Duration::from_secs(10), lasts);
    assert!(look(&mut crew, &[train()]).is_none(), "it lasts");
    // A step asks for the most urgent first.
    assert!(matches!(look(&mut crew, &[replay(0), train()]), Some(Came::News)), "it was stopped");
    assert!(matches!(look(&mut crew, &[replay(0), train()]), Some(Came::Fact(..))));
    assert!(look(&mut crew, &[train()]).is_none());
    assert_eq!(*begun.lock().unwrap(), ["train", "replay a segment", "train"]);
}

#[test]
fn work_that_failed_stops_nothing_before_it_is_tried_again() {
    let does = |work: &Work| match work {
        Work::Train { .. } => Does::Lasts,
        work if *work == replay(0) => Does::Fails,
        _ => Does::Ends,
    };
    let (mut crew, begun) = crew(Duration::from_secs(2), does);
    assert!(matches!(look(&mut crew, &[replay(0), train()]), Some(Came::Failed(_))));
    let failed = Instant::now();
    // What comes after it is not kept back by it, and training goes on undisturbed.
    assert!(matches!(look(&mut crew, &[replay(0), replay(1), train()]), Some(Came::Fact(..))));
    assert!(look(&mut crew, &[replay(0), train()]).is_none());
    assert!(look(&mut crew, &[replay(0), train()]).is_none());
    assert_eq!(*begun.lock().unwrap(), ["replay a segment", "replay a segment", "train"]);
    std::thread::sleep(Duration::from_millis(2_050).saturating_sub(failed.elapsed()));
    assert!(matches!(look(&mut crew, &[replay(0), train()]), Some(Came::News)));
    assert!(matches!(look(&mut crew, &[replay(0), train()]), Some(Came::Failed(_))), "then it is tried again");
}

#[test]
fn a_panic_while_something_is_computed_is_said_and_all_else_goes_on() {
    let does = |work: &Work| if *work == replay(0) { Does::Panics } else { Does::Ends };
    let (mut crew, begun) = crew(Duration::from_secs(10), does);
    let came = look(&mut crew, &[replay(0), train()]);
    let Some(Came::Failed(event)) = came else { panic!("it is silent") };
    assert!(event.to_string().contains("index out of bounds"), "{event}");
    assert!(crew.current().is_none());
    assert!(matches!(look(&mut crew, &[replay(0), train()]), Some(Came::Fact(..))));
    assert_eq!(*begun.lock().unwrap(), ["replay a segment", "begin anew", "train"]);
}

#[test]
fn a_panic_while_a_state_is_handed_out_is_said() {
    let (mut crew, _) = crew(Duration::from_secs(10), |_| Does::Ends);
    crew.hand_out([1; 32]).unwrap();
    let Some(Came::Failed(event)) = crew.next(Duration::from_secs(5)) else { panic!("it is silent") };
    assert!(event.to_string().contains("nothing is handed out here"), "{event}");
}
