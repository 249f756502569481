//! The table of `docs/spec/costs.md`: what each instruction costs, and what it did before rules were stricter.
//!
//! `SIP_WRITE=1 cargo test -p sip-client --test compute_units` writes it.

use crate::before::{BEFORE, EXCEPTIONS, MOST_HUNDREDTHS, REASON_HUNDREDTHS, REASONS};

/// The head of the table.
const HEAD: &str = "| instruction | before | since | ratio | why |\n|---|---|---|---|---|\n";
/// How far what the page says may be from what is measured, compute units: a hundredth, or this where that is more.
const NEAR_UNITS: u64 = 25;

/// A line of the table.
pub(crate) struct Line {
    name: String,
    before: Option<u64>,
    since: u64,
}

impl Line {
    /// What an instruction costs, in compute units, beside what it did.
    pub(crate) fn of(name: String, since: u64) -> Line {
        Line { before: find(&BEFORE, &name), name, since }
    }

    /// Refuses what costs more than it may, or a tenth more than it did for no reason.
    pub(crate) fn require_within(&self) {
        let Line { name, before: Some(before), since } = self else { return };
        let (exception, hundredths) = (find(&EXCEPTIONS, name), since * 100 / before);
        let most = exception.unwrap_or(MOST_HUNDREDTHS);
        assert!(since * 100 <= before * most, "{name} takes {since} compute units; it took {before}");
        assert!(
            exception.is_none() || hundredths > MOST_HUNDREDTHS,
            "{name} takes {since}: it is no exception any more"
        );
        assert!(
            hundredths < REASON_HUNDREDTHS || !self.reason().is_empty(),
            "{name} takes {since}, not {before}: why?"
        );
        assert!(since > before || self.reason().is_empty(), "{name} takes {since}, not {before}: it needs no reason");
    }

    fn reason(&self) -> &'static str {
        find(&REASONS, &self.name).unwrap_or_default()
    }

    fn ratio(&self) -> String {
        self.before.map_or("–".into(), |before| format!("{:.2}", self.since as f64 / before as f64))
    }

    fn text(&self) -> String {
        let before = self.before.map_or("–".into(), grouped);
        format!("| {} | {before} | {} | {} | {} |", self.name, grouped(self.since), self.ratio(), self.reason())
    }

    /// The line as it would stand with the compute units that the page gives, if they are near enough to those measured.
    fn as_told(&self, told: &str) -> Option<String> {
        let since = told.split('|').nth(3)?.replace(' ', "").parse().ok()?;
        let is_near = self.since.abs_diff(since) <= NEAR_UNITS.max(self.since / 100);
        is_near.then(|| Line { name: self.name.clone(), since, ..*self }.text())
    }
}

/// All that there was before is measured still, under its name: so what is compared with nothing is new.
pub(crate) fn require_all_compared(lines: &[Line]) {
    let names = BEFORE.iter().chain(&EXCEPTIONS).map(|(name, _)| name);
    for name in names.chain(REASONS.iter().map(|(name, _)| name)) {
        assert!(lines.iter().any(|line| line.name == *name), "no scenario measures {name}");
    }
    let compared = lines.iter().filter(|line| line.before.is_some()).count();
    assert_eq!(compared, BEFORE.len(), "something is there twice");
}

/// Compares with the page, line by line, or writes the page's table where the variable `SIP_WRITE` is set.
pub(crate) fn compare(lines: &[Line]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec/costs.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let (before, rest) = page.split_once(HEAD).expect("the table");
    let (table, after) = rest.split_once("\n\n").expect("text after the table");
    if std::env::var_os("SIP_WRITE").is_some() {
        let table: Vec<String> = lines.iter().map(Line::text).collect();
        return std::fs::write(path, [before, HEAD, &table.join("\n"), "\n\n", after].concat()).expect("the page");
    }
    let told: Vec<&str> = table.lines().collect();
    for (line, told) in lines.iter().zip(&told) {
        let is_so = line.as_told(told).is_some_and(|line| line == *told);
        assert!(is_so, "docs/spec/costs.md says\n{told}\nand measured is\n{}\nSIP_WRITE=1 writes it", line.text());
    }
    assert_eq!(told.len(), lines.len(), "lines of the table in docs/spec/costs.md");
}

fn find<T: Copy>(all: &[(&str, T)], name: &str) -> Option<T> {
    all.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
}

/// A number, its thousands apart.
fn grouped(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{} {:03}", grouped(number / 1_000), number % 1_000),
    }
}
