//! The bottom line of a terminal: a bar may stand there, and lines are written above it.
//!
//! A writer takes the bar off, writes, and puts it back, all under one lock and in one piece of bytes. Nothing is called back under the
//! lock, and no thread draws by itself, so that no writer waits for another.

use std::io::{IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::terminal::{Stream, columns};

/// To the beginning of the line, and nothing in it.
const CLEAR: &str = "\r\x1b[K";
/// A bar is not drawn more often.
const REDRAW: Duration = Duration::from_millis(100);
/// Columns from which on a bar says all that it can, and from which on it says when it will be full.
const WIDE: usize = 100;
const NARROW: usize = 60;

/// What stands at the bottom of standard error.
static BOTTOM: Mutex<Option<String>> = Mutex::new(None);

fn bottom() -> MutexGuard<'static, Option<String>> {
    BOTTOM.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes that write lines where a bar may stand.
fn above(bar: Option<&str>, text: &str) -> String {
    match bar {
        Some(bar) => format!("{CLEAR}{text}\n{bar}"),
        None => format!("{text}\n"),
    }
}

/// Writes a text in one piece. A reader that is gone needs none: a run goes on without one.
fn put(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to standard error, above the bar that stands there.
pub fn say(text: &str) {
    let bottom = bottom();
    put(&above(bottom.as_deref(), text));
}

/// A bar over units of work on standard error; it vanishes when it is dropped. Shown on terminals alone.
#[derive(Debug)]
pub struct Bar(Option<Mutex<Work>>);

#[derive(Debug)]
struct Work {
    message: String,
    position: u64,
    length: u64,
    /// From when and where the pace is measured.
    started: (Instant, u64),
    drawn: Option<Instant>,
}

impl Bar {
    /// A bar that is never shown.
    pub fn hidden() -> Bar {
        Bar(None)
    }

    pub(crate) fn new(length: u64, message: &str) -> Bar {
        let is_shown = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        if !is_shown {
            return Bar(None);
        }
        let started = (Instant::now(), 0);
        let bar =
            Bar(Some(Mutex::new(Work { message: message.to_owned(), position: 0, length, started, drawn: None })));
        bar.change(true, |_| {});
        bar
    }

    fn change(&self, at_once: bool, change: impl FnOnce(&mut Work)) {
        let Some(work) = &self.0 else { return };
        let mut work = work.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut work);
        let now = Instant::now();
        if at_once || work.drawn.is_none_or(|drawn| now.duration_since(drawn) >= REDRAW) {
            work.drawn = Some(now);
            // The last column stays free: some terminals go on to the next line once it is written.
            let line = work.line(columns(Stream::Error).unwrap_or(WIDE).saturating_sub(1), now);
            let mut bottom = bottom();
            put(&format!("{CLEAR}{line}"));
            *bottom = Some(line);
        }
    }

    /// So many units more are done.
    pub fn inc(&self, units: u64) {
        self.change(false, |work| work.position = work.position.saturating_add(units));
    }

    /// So many units are done.
    pub fn set_position(&self, units: u64) {
        self.change(false, |work| work.position = units);
    }

    /// So many units were done before the work began, of which the pace knows nothing.
    pub fn begin_at(&self, units: u64) {
        self.change(true, |work| {
            work.position = units;
            work.started = (Instant::now(), units);
        });
    }

    /// There are so many units.
    pub fn set_length(&self, units: u64) {
        self.change(false, |work| work.length = units);
    }

    /// What the work is, or how far it is.
    pub fn set_message(&self, message: impl Into<String>) {
        let message = message.into();
        self.change(false, |work| work.message = message);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.0.is_some() && bottom().take().is_some() {
            put(CLEAR);
        }
    }
}

impl Work {
    /// The bar in so many columns.
    fn line(&self, columns: usize, now: Instant) -> String {
        let elapsed = now.saturating_duration_since(self.started.0);
        let done = self.position.saturating_sub(self.started.1);
        let left = (done > 0).then(|| elapsed.mul_f64(self.length.saturating_sub(self.position) as f64 / done as f64));
        let left = left.map_or("?".into(), span);
        let counted = format!("{}/{}", self.position, self.length);
        let (message, bar, end) = match columns + 1 {
            WIDE.. => (34, 28, format!(" {counted} {} left {left}", span(elapsed))),
            NARROW.. => (24, 0, format!(" {counted} left {left}")),
            _ => (12, 0, format!(" {counted}")),
        };
        let name: String = self.message.chars().take(message).collect();
        let frame = 2 + message + 3 + end.chars().count();
        let bar = if bar > 0 { bar } else { columns.saturating_sub(frame) };
        let filled = (bar as f64 * (self.position as f64 / self.length.max(1) as f64).clamp(0.0, 1.0)) as usize;
        let tip = usize::from(filled < bar);
        let drawn = "=".repeat(filled) + &">".repeat(tip) + &" ".repeat(bar.saturating_sub(filled + tip));
        let line = format!("  {name:message$} [{drawn}]{end}");
        line.chars().take(columns).collect()
    }
}

/// "5s", "3m 20s", "2h 5m".
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        seconds => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_the_place_of_the_bar_and_the_bar_comes_below_it() {
        assert_eq!(above(None, "a line"), "a line\n");
        assert_eq!(above(Some("[=> ] 1/2"), "a line\nand another"), "\r\x1b[Ka line\nand another\n[=> ] 1/2");
    }

    #[test]
    fn a_bar_is_one_line_of_every_terminal() {
        let now = Instant::now();
        let started = (now.checked_sub(Duration::from_secs(60)).unwrap(), 10);
        for (position, length) in [(10, 40), (25, 40), (40, 40), (41, 40), (0, 0), (u64::MAX, 1)] {
            let message = "training a model of a very long name, and more".to_owned();
            let work = Work { message, position, length, started, drawn: None };
            for columns in [19, 39, 59, 79, 98, 99, 150] {
                let line = work.line(columns, now);
                assert!(line.chars().count() <= columns && !line.contains('\n'), "{columns}: {line}");
            }
        }
        let work = Work { message: "training".into(), position: 25, length: 40, started, drawn: None };
        let line = work.line(79, now);
        assert!(line.starts_with("  training ") && line.ends_with("] 25/40 left 1m 0s"), "{line}");
        assert!(work.line(120, now).contains(" 25/40 1m 0s left 1m 0s"));
        assert_eq!([59, 3725].map(|seconds| span(Duration::from_secs(seconds))), ["59s", "1h 2m"]);
    }

    #[test]
    fn many_threads_write_and_draw_without_waiting_for_each_other() {
        let bar = Bar(Some(Mutex::new(Work {
            message: String::new(),
            position: 0,
            length: 100,
            started: (Instant::now(), 0),
            drawn: Some(Instant::now()),
        })));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| bar.inc(1)));
                scope.spawn(|| (0..3).for_each(|_| say("")));
            }
        });
        assert_eq!(bar.0.as_ref().unwrap().lock().unwrap().position, 400);
    }
}
