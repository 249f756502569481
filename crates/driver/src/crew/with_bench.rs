//! A crew whose bench does what it is told, and whose states come from nobody.

use super::*;
use crate::bench::Compute;
use sip_kernels::Threads;
use sip_node::{State, WorkError};
use sip_roles::Claim;
use std::sync::Mutex;

/// States of which the first byte says what becomes of looking for them: nobody gives them, a panic, or they come.
struct Given;

const WITHHELD: u8 = 0;
const BROKEN: u8 = 255;

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
        panic!("nothing is handed out here")
    }

    fn fetch(&self, wanted: &Wanted, _: &Threads, stop: &AtomicBool) -> Result<bool> {
        assert!(wanted.root[0] != BROKEN, "a fetch that panics");
        while wanted.root[0] == WITHHELD && !stop.load(Ordering::Relaxed) && Instant::now() < wanted.by {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(wanted.root[0] != WITHHELD)
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
    let crew = Crew::start(Arc::new(Given), Arc::new(Threads::new(1)), stop, move || bench);
    (crew.with_patience(patience, patience), begun)
}

fn view() -> View {
    View {
        program: Default::default(),
        address: Default::default(),
        slot: 1,
        config: bytemuck::allocation::zeroed_box(),
        job: bytemuck::allocation::zeroed_box(),
        pools: Default::default(),
        datasets: Default::default(),
        looked: 0..0,
        rounds: Vec::new(),
        disputes: Default::default(),
        accusations: Default::default(),
        demands: Default::default(),
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
fn a_panic_while_a_state_is_fetched_or_handed_out_is_said_and_leaves_its_place_to_others() {
    let (mut crew, _) = crew(Duration::from_secs(10), |_| Does::Ends);
    let by = Instant::now() + Duration::from_secs(20);
    for number in 0..FETCHES as u8 {
        let mut root = [number; 32];
        root[0] = BROKEN;
        crew.fetch(Wanted { root, elements: Vec::new(), peers: Vec::new(), by }).unwrap();
    }
    for _ in 0..FETCHES {
        let Some(Came::Failed(event)) = crew.next(Duration::from_secs(5)) else { panic!("it is silent") };
        assert!(event.to_string().contains("a fetch that panics"), "{event}");
    }
    assert!(crew.is_idle());
    crew.hand_out([1; 32]).unwrap();
    assert!(matches!(crew.next(Duration::from_secs(5)), Some(Came::Failed(_))));
}

#[test]
fn those_who_withhold_their_states_keep_nobody_from_those_of_others() {
    let (mut crew, _) = crew(Duration::from_millis(50), |_| Does::Ends);
    let begun = Instant::now();
    let by = begun + Duration::from_secs(20);
    // Six of them, in places before those who give.
    let withheld: Vec<Root> = (0..6).map(|number| std::array::from_fn(|at| if at == 1 { number } else { 0 })).collect();
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
