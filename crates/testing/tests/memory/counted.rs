//! What a function takes of memory, and texts that are small on the disk and large in memory. For tests of every crate that reads JSON.
#![allow(missing_docs, unreachable_pub)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The system's memory, with what is in use and was at most.
struct Counted;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Relaxed);
    PEAK.fetch_max(IN_USE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new are there together while one is copied into the other.
        taken(size);
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Tests run one after the other, so that nobody else's memory is measured.
static ONE: Mutex<()> = Mutex::new(());

pub fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a function takes at most beyond what was in use before it.
pub fn peak_bytes<T>(function: impl FnOnce() -> T) -> (T, usize) {
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = function();
    (result, PEAK.load(Relaxed) - before)
}

/// How often memory was asked for so far.
pub fn allocations() -> usize {
    ALLOCATIONS.load(Relaxed)
}

/// Bytes of memory a byte of file, the file's own bytes among them.
pub const FACTOR: usize = 4;
/// Length of the texts.
pub const LARGE: usize = 2_000_000;

/// A list of the same elements, of about so many bytes.
pub fn list(element: &str, bytes: usize) -> String {
    let count = bytes / (element.len() + 1) + 1;
    format!("[{}]", vec![element; count].join(","))
}

/// An object of short keys.
pub fn object(value: impl Fn(usize) -> String, count: usize) -> String {
    let members: Vec<String> = (0..count).map(|at| format!("\"{at:x}\":{}", value(at))).collect();
    format!("{{{}}}", members.join(","))
}

/// Values that are small on the disk and large in memory.
pub fn hostile_values() -> Vec<String> {
    vec![
        list("[]", LARGE),
        list("{}", LARGE),
        list("{\"a\":{}}", LARGE),
        list("0", LARGE),
        list("\"\"", LARGE),
        "[".repeat(LARGE),
        "[".repeat(LARGE / 2) + &"]".repeat(LARGE / 2),
        "{\"a\":".repeat(LARGE / 6) + "0" + &"}".repeat(LARGE / 6),
        "{}".repeat(LARGE / 2),
        "9".repeat(LARGE),
        format!("\"{}\"", "\\n".repeat(LARGE / 2)),
        format!("\"{}\"", "\\u0001".repeat(LARGE / 6)),
        object(|_| "0".to_owned(), LARGE / 10),
        object(|_| "\"\"".to_owned(), LARGE / 10),
        object(|_| "{\"content\":\"a\"}".to_owned(), LARGE / 20),
    ]
}

/// Lines that are small on the disk and large in memory, `members` being what a line of the kind has to hold, such as `"text":"a"`, with
/// a text at the end.
pub fn hostile_lines(members: &str) -> Vec<(String, String)> {
    let shown = |value: &str| value.chars().take(12).collect::<String>();
    let line = |more: &str| format!("{{\"x\":{more},{members}}}\n");
    let short = |count: usize| format!("{{{members}}}\n").repeat(count);
    let mut texts = vec![
        ("many tiny lines".to_owned(), short(LARGE / (members.len() + 3))),
        ("empty objects".to_owned(), "{}\n".repeat(LARGE / 3)),
        ("a list of tiny records".to_owned(), list(&format!("{{{members}}}"), LARGE)),
        ("empty lines".to_owned(), short(1) + &"\n".repeat(LARGE)),
        ("line ends of Windows".to_owned(), short(1) + &"\r\n".repeat(LARGE / 2)),
    ];
    let start = members.strip_suffix('"').unwrap_or(members);
    for (name, part) in
        [("letters", "abcdefgh"), ("line ends", "\\n"), ("escapes", "\\u00e9"), ("characters", "\u{20ac}")]
    {
        let giant = format!("{{{start}{}\"}}\n", part.repeat(LARGE / part.len()));
        texts.push((format!("one giant text of {name}"), giant));
    }
    for value in hostile_values() {
        texts.push((format!("one giant line {}", shown(&value)), line(&value)));
        texts.push((format!("one giant list {}", shown(&value)), format!("[{}]", line(&value))));
        texts.push((format!("alone {}", shown(&value)), value));
    }
    for value in [
        list("[]", 3000),
        list("0", 3000),
        object(|_| "0".to_owned(), 300),
        "{\"a\":".repeat(100) + "0" + &"}".repeat(100),
    ] {
        let line = line(&value);
        texts.push((format!("many lines {}", shown(&value)), line.repeat(LARGE / line.len())));
    }
    texts
}

/// Says what a text took, and fails where that is more than four bytes a byte and a floor.
pub fn assert_bounded(name: &str, bytes: usize, peak: usize, floor_bytes: usize, said: &str) {
    let said: String = said.chars().take(60).collect();
    println!("{name}: {bytes} bytes, {:.2} bytes of memory each: {said}", peak as f64 / bytes as f64);
    assert!(peak <= FACTOR * bytes + floor_bytes, "{name}: {peak} bytes of {bytes}: {said}");
}
