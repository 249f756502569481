//! A small pool of threads for many short parallel loops.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;

/// `SIP_THREADS` is not a positive number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SIP_THREADS is {0:?}, expected a number from 1 to {MAX_THREADS}; unset it to use all cores")]
pub struct ThreadsError(pub String);

/// Most threads of a pool.
pub const MAX_THREADS: usize = 1024;

/// How often an idle worker looks for work before it sleeps: some tens of microseconds, about as long as waking it up would take.
const SPINS: u32 = 1 << 11;

/// Set while the gate admits workers to the current loop.
const OPEN: u64 = 1 << 15;
/// Bits below `OPEN` count the workers inside.
const JOINED: u64 = OPEN - 1;
/// Bits above `OPEN` number the loops.
const GENERATION: u64 = OPEN << 1;

type Body = dyn Fn(usize) + Sync;

struct Shared {
    /// generation · open · joined, see the constants.
    gate: AtomicU64,
    /// The body of the current loop; written only while the gate is closed and nobody is inside.
    body: UnsafeCell<*const Body>,
    tasks: AtomicUsize,
    next: AtomicUsize,
    /// Workers that have left the current loop.
    left: AtomicUsize,
    panicked: AtomicBool,
    stop: AtomicBool,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `body` is the only part that is not Send and Sync by itself. It points to a `Sync` closure, it is written by the one
// thread that holds `Threads::running` while the gate is closed and no worker is inside, and read by workers inside only.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// A pool of threads that run the tasks of one parallel loop at a time.
///
/// The calling thread takes part, and does not wait for workers that have not yet woken up: a loop on a busy machine is at worst as slow
/// as on one thread.
pub struct Threads {
    shared: Arc<Shared>,
    running: Mutex<()>,
    workers: Vec<JoinHandle<()>>,
}

impl Threads {
    /// A pool of `count` threads in total, the caller's included (at least 1, at most [`MAX_THREADS`]). Where the system refuses
    /// to start a thread, the pool is smaller.
    pub fn new(count: usize) -> Threads {
        fn nothing(_: usize) {}
        let body: *const Body = &nothing as &Body as *const Body;
        let shared = Arc::new(Shared {
            gate: AtomicU64::new(0),
            body: UnsafeCell::new(body),
            tasks: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        });
        let mut workers = Vec::new();
        for _ in 1..count.clamp(1, MAX_THREADS) {
            let shared = shared.clone();
            match std::thread::Builder::new().name("kernel".into()).spawn(move || shared.work()) {
                Ok(worker) => workers.push(worker),
                Err(_) => break,
            }
        }
        Threads { shared, running: Mutex::new(()), workers }
    }

    /// One thread per core, or as many as the environment variable `SIP_THREADS` says.
    pub fn from_environment() -> Result<Threads, ThreadsError> {
        let count = match std::env::var("SIP_THREADS") {
            Ok(text) => match text.parse() {
                Ok(count) if (1..=MAX_THREADS).contains(&count) => count,
                _ => return Err(ThreadsError(text)),
            },
            Err(_) => std::thread::available_parallelism().map_or(1, |count| count.get()),
        };
        Ok(Threads::new(count))
    }

    /// Number of threads, the caller's included.
    pub fn count(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `body(task)` once for every task below `tasks`, in any order and on any thread, and returns when all calls have
    /// returned. A call from within a task, or while another thread runs a loop, runs on the calling thread alone.
    pub fn run(&self, tasks: usize, body: &(dyn Fn(usize) + Sync)) {
        let guard = if tasks > 1 && !self.workers.is_empty() {
            match self.running.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        } else {
            None
        };
        let Some(guard) = guard else {
            (0..tasks).for_each(body);
            return;
        };
        let shared = &*self.shared;
        // SAFETY: extends the lifetime of `body` for the workers' use only; this function does not return or unwind before
        // the gate is closed and every worker that entered has left.
        let erased = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static Body>(body) };
        // SAFETY: `running` is held, the gate is closed and nobody is inside, so nobody else touches the cell.
        unsafe { *shared.body.get() = erased };
        shared.tasks.store(tasks, Ordering::Relaxed);
        shared.next.store(0, Ordering::Relaxed);
        shared.left.store(0, Ordering::Relaxed);
        let generation = (shared.gate.load(Ordering::Relaxed) & !(OPEN | JOINED)).wrapping_add(GENERATION);
        shared.gate.store(generation | OPEN, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            let _asleep = shared.sleep.lock().unwrap_or_else(PoisonError::into_inner);
            shared.wake.notify_all();
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| shared.take_tasks(body)));
        if outcome.is_err() {
            shared.next.store(tasks, Ordering::Relaxed);
        }
        let joined = (shared.gate.fetch_and(!OPEN, Ordering::AcqRel) & JOINED) as usize;
        let mut spins = 0u32;
        while shared.left.load(Ordering::Acquire) < joined {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let panicked = shared.panicked.swap(false, Ordering::Relaxed);
        drop(guard);
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
        assert!(!panicked, "a task panicked on a worker thread");
    }
}

impl Shared {
    fn take_tasks(&self, body: &(dyn Fn(usize) + Sync)) {
        let tasks = self.tasks.load(Ordering::Relaxed);
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            body(task);
        }
    }

    fn work(&self) {
        // Settings of the floating point unit come from the thread that started this one, and stay. With wrong ones it takes no task.
        if !sip_arith::is_exact_here() {
            return;
        }
        let mut seen = 0;
        loop {
            let Some(gate) = self.wait(seen) else { return };
            // A closed or changed gate means that this loop is over or fuller: look again.
            if self.gate.compare_exchange(gate, gate + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            seen = gate & !(OPEN | JOINED);
            // SAFETY: this worker has joined through the open gate, so the caller keeps the body alive and unchanged until
            // `left` counts this worker.
            let body = unsafe { &**self.body.get() };
            if catch_unwind(AssertUnwindSafe(|| self.take_tasks(body))).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
                self.next.store(self.tasks.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            self.left.fetch_add(1, Ordering::Release);
        }
    }

    /// The gate, open for a loop other than `seen`; `None` when the pool ends.
    fn wait(&self, seen: u64) -> Option<u64> {
        let news = |gate: u64| gate & OPEN != 0 && gate & !(OPEN | JOINED) != seen;
        for _ in 0..SPINS {
            let gate = self.gate.load(Ordering::Acquire);
            if news(gate) {
                return Some(gate);
            }
            std::hint::spin_loop();
        }
        let mut asleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let gate = loop {
            if self.stop.load(Ordering::SeqCst) {
                break None;
            }
            let gate = self.gate.load(Ordering::SeqCst);
            if news(gate) {
                break Some(gate);
            }
            asleep = self.wake.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        };
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        gate
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        {
            let _asleep = self.shared.sleep.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.wake.notify_all();
        }
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its tasks, so joining cannot fail in a way that matters here.
            let _ = worker.join();
        }
    }
}
