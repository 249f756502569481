//! Lists: a table for people, or cards where the terminal is narrow; an array of objects for programs.

use super::{pace, tokens};
use serde_json::{Value, json};
use sip_report::terminal::wrap;
use solana_address::Address;

/// One thing that a list says of an account.
#[derive(Clone, Debug)]
pub enum Cell {
    /// As it is.
    Text(String),
    /// One of a few words, which programs get in small letters with hyphens: "in-a-round".
    Word(&'static str),
    /// Yes or no.
    Truth(bool),
    /// For people a text, for programs what it is made of.
    Told(String, Value),
    /// So many are done of all: "2 of 12"; programs get both, the first under the key with this ending.
    Of {
        /// So many are done.
        done: u64,
        /// Of so many.
        all: u64,
        /// What the key of those that are done ends in.
        ending: &'static str,
    },
    /// A number as it is written, with its unit.
    Figure(String),
    /// A number.
    Number(u64),
    /// A number that names something, such as a process.
    Plain(u64),
    /// Base units.
    Tokens(u64),
    /// Parts of a thousand million of a SOL.
    Lamports(u64),
    /// Base units more or less.
    TokenChange(i128),
    /// Lamports more or less.
    LamportChange(i128),
    /// Shares of a pool.
    Shares(u64),
    /// Parts of ten thousand.
    BasisPoints(u64),
    /// Parts of a thousand million.
    Billionths(u64),
    /// Bytes, which people get as MB.
    Bytes(u64),
    /// Seconds.
    Seconds(f64),
    /// Millionths of a nat.
    MicroNats(u64),
    /// A span of time.
    Slots(u64),
    /// A point of time, and the present one.
    Slot {
        /// The point.
        at: u64,
        /// The present slot.
        now: u64,
    },
    /// There is nothing to say.
    Nothing,
    /// Nothing where else stands what this is like: its key is the same.
    No(fn(u64) -> Cell),
    /// Nothing where else stand seconds.
    NoSeconds,
}

/// What a list says of one account, by name.
pub type Row = Vec<(&'static str, Cell)>;

impl Cell {
    /// A text.
    pub fn text(text: impl ToString) -> Cell {
        Cell::Text(text.to_string())
    }

    /// Whether the point of time has come.
    pub fn is_reached(&self) -> bool {
        !matches!(self, Cell::Slot { at, now } if at > now)
    }

    /// As people read it.
    pub fn show(&self) -> String {
        match self {
            Cell::Text(text) | Cell::Figure(text) | Cell::Told(text, _) => text.clone(),
            Cell::Word(word) => (*word).to_owned(),
            Cell::Truth(is_true) => if *is_true { "yes" } else { "no" }.to_owned(),
            Cell::Of { done, all, .. } => format!("{} of {}", tokens::grouped(*done), tokens::grouped(*all)),
            Cell::Seconds(seconds) if *seconds < 0.1 => format!("{:.1} ms", seconds * 1e3),
            Cell::Seconds(seconds) => format!("{seconds:.1} s"),
            Cell::Bytes(bytes) => format!("{:.1} MB", *bytes as f64 / 1e6),
            Cell::MicroNats(nats) => format!("{}.{:06}", nats / 1_000_000, nats % 1_000_000),
            Cell::Number(number) | Cell::Shares(number) => tokens::grouped(*number),
            Cell::Lamports(lamports) => tokens::sol(*lamports),
            Cell::TokenChange(0) | Cell::LamportChange(0) => Cell::Nothing.show(),
            Cell::TokenChange(change) => signed(*change, tokens::show),
            Cell::LamportChange(change) => signed(*change, tokens::sol),
            Cell::Tokens(units) => tokens::show(*units),
            Cell::BasisPoints(parts) => format!("{}.{:02} %", parts / 100, parts % 100),
            Cell::Billionths(parts) => {
                let text = format!("{}.{:07}", parts / 10_000_000, parts % 10_000_000);
                format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
            }
            Cell::Slots(slots) => format!("{} (about {})", tokens::grouped(*slots), pace::span(*slots)),
            Cell::Slot { at, now } if at > now => format!("{} (in {})", tokens::grouped(*at), pace::about(at - now)),
            Cell::Slot { at, .. } => format!("{} (reached)", tokens::grouped(*at)),
            Cell::Plain(number) => number.to_string(),
            Cell::Nothing | Cell::No(_) | Cell::NoSeconds => "–".into(),
        }
    }

    /// As [`Cell::show`], and by the clock when that will be.
    pub fn show_in_full(&self) -> String {
        match self {
            Cell::Slot { at, now } if at > now => {
                let clock = pace::clock(at - now).map(|clock| format!(", {clock}")).unwrap_or_default();
                format!("{} (in {}{clock})", tokens::grouped(*at), pace::about(at - now))
            }
            cell => cell.show(),
        }
    }

    /// What may be more than 2⁵³ is a text of decimal digits.
    fn to_json(&self) -> Value {
        match self {
            Cell::Text(text) | Cell::Figure(text) => json!(text),
            Cell::Word(word) => json!(hyphened(word)),
            Cell::Truth(is_true) => json!(is_true),
            Cell::Told(_, value) => value.clone(),
            Cell::Seconds(seconds) => json!(seconds),
            Cell::Tokens(number) | Cell::Lamports(number) | Cell::Shares(number) => json!(number.to_string()),
            Cell::TokenChange(change) | Cell::LamportChange(change) => json!(change.to_string()),
            Cell::Number(number)
            | Cell::Plain(number)
            | Cell::BasisPoints(number)
            | Cell::Billionths(number)
            | Cell::MicroNats(number)
            | Cell::Bytes(number)
            | Cell::Slots(number)
            | Cell::Of { all: number, .. }
            | Cell::Slot { at: number, .. } => json!(number),
            Cell::Nothing | Cell::No(_) | Cell::NoSeconds => Value::Null,
        }
    }

    /// What its key ends in.
    fn unit(&self) -> &'static str {
        match self {
            Cell::Tokens(_) | Cell::TokenChange(_) => "BaseUnits",
            Cell::Lamports(_) | Cell::LamportChange(_) => "Lamports",
            Cell::BasisPoints(_) => "Bps",
            Cell::Billionths(_) => "Billionths",
            Cell::MicroNats(_) => "MicroNats",
            Cell::Bytes(_) => "Bytes",
            Cell::Seconds(_) | Cell::NoSeconds => "Seconds",
            Cell::No(of) => of(0).unit(),
            _ => "",
        }
    }
}

/// Words in small letters with hyphens between them.
fn hyphened(words: &str) -> String {
    let letters = words.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
    letters.map(str::to_lowercase).collect::<Vec<String>>().join("-")
}

/// "+5 SIP" or "-5 SIP".
fn signed(change: i128, show: fn(u64) -> String) -> String {
    let amount = u64::try_from(change.unsigned_abs()).unwrap_or(u64::MAX);
    format!("{}{}", if change < 0 { '-' } else { '+' }, show(amount))
}

/// As an object, whose keys end in the unit: "own bond" is `ownBondBaseUnits`; parts of ten thousand end in `Bps`, parts of a thousand million
/// in `Billionths`, millionths of a nat in `MicroNats`.
pub fn object(row: &Row) -> Value {
    let fields = row.iter().flat_map(|(name, cell)| {
        let mut key = String::new();
        for (index, word) in name.split([' ', '-']).enumerate() {
            let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
            key += &if index == 0 { word.to_owned() } else { first.to_uppercase() + rest };
        }
        let done = match cell {
            Cell::Of { done, ending, .. } => Some((format!("{key}{ending}"), json!(done))),
            _ => None,
        };
        key += cell.unit();
        [(key, cell.to_json())].into_iter().chain(done)
    });
    Value::Object(fields.collect())
}

/// Letters of an address that stand for it where the terminal is narrow; commands take them as well.
const SHORT_ADDRESS: usize = 8;

/// A list for people: a table where that fits, with short addresses if need be, else a card for each row.
pub fn list(rows: &[Row], columns: Option<usize>) -> String {
    let whole = table(rows);
    let Some(columns) = columns else { return whole };
    let fits = |text: &str| text.lines().all(|line| line.chars().count() <= columns);
    if fits(&whole) {
        return whole;
    }
    let brief = table(&rows.iter().map(|row| row.iter().map(short).collect()).collect::<Vec<Row>>());
    if fits(&brief) {
        return brief;
    }
    rows.iter().map(|row| card(row, Some(columns))).collect::<Vec<_>>().join("\n")
}

fn short((name, cell): &(&'static str, Cell)) -> (&'static str, Cell) {
    match cell {
        Cell::Text(text) if text.parse::<Address>().is_ok() => {
            (*name, Cell::Text(text.chars().take(SHORT_ADDRESS).chain(['…']).collect()))
        }
        cell => (*name, cell.clone()),
    }
}

/// One line per row under a line of the names; numbers to the right.
fn table(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let mut text = String::new();
    let columns: Vec<(Vec<String>, bool)> = (0..first.len())
        .map(|column| {
            let name = first[column].0.to_owned();
            let cells = rows.iter().filter_map(|row| row.get(column));
            let right = cells
                .clone()
                .all(|(_, cell)| !matches!(cell, Cell::Text(_) | Cell::Word(_) | Cell::Truth(_) | Cell::Told(..)));
            ([name].into_iter().chain(cells.map(|(_, cell)| cell.show())).collect(), right)
        })
        .collect();
    for line in 0..=rows.len() {
        let mut out = String::new();
        for (cells, right) in &columns {
            let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
            let cell = cells.get(line).map_or("", String::as_str);
            out += &if *right { format!("{cell:>width$}  ") } else { format!("{cell:width$}  ") };
        }
        text += out.trim_end();
        text.push('\n');
    }
    text
}

/// The narrowest column of a card's values; where less is left they stand under their names.
const VALUE_COLUMNS: usize = 46;

/// One thing in full: a line for each name, wrapped to the columns that there are.
pub fn card(row: &[(&str, Cell)], columns: Option<usize>) -> String {
    let width = row.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, cell) in row {
        let value = cell.show_in_full();
        let left = columns.map(|columns| columns.saturating_sub(width + 2));
        text += &match (left, columns) {
            (Some(left), _) if left >= VALUE_COLUMNS || value.chars().count() <= left => {
                let value = wrap(&value, left, 0).replace('\n', &format!("\n{}", " ".repeat(width + 2)));
                format!("{name:width$}  {value}\n")
            }
            (Some(_), Some(columns)) => {
                let value = wrap(&value, columns.saturating_sub(2), 0).replace('\n', "\n  ");
                format!("{name}\n  {value}\n")
            }
            _ => format!("{name:width$}  {value}\n"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_keys_are_camel_case() {
        let row = |name: &str, units| vec![("pool", Cell::text(name)), ("own bond", Cell::Tokens(units))];
        let rows = [row("a", 1_500_000_000), row("longer", 12_000_000_000_000)];
        assert_eq!(table(&rows), "pool      own bond\na          1.5 SIP\nlonger  12,000 SIP\n");
        assert_eq!(object(&rows[0]).to_string(), r#"{"ownBondBaseUnits":"1500000000","pool":"a"}"#);
        assert_eq!(card(&rows[0], None), "pool      a\nown bond  1.5 SIP\n");
        let times = [Cell::Slot { at: 324_000, now: 0 }, Cell::Slot { at: 5, now: 5 }, Cell::Billionths(1_896_000)];
        let texts = times.map(|cell| cell.show());
        assert_eq!(texts, ["324,000 (in about 1.5 days)", "5 (reached)", "0.1896 %"]);
        let row: Row = vec![
            ("rounds", Cell::Of { done: 2, all: 12, ending: "Scored" }),
            ("rewarded", Cell::Truth(true)),
            ("state", Cell::Word("closed: false genesis")),
            ("quality", Cell::No(Cell::Billionths)),
            ("score", Cell::MicroNats(2_500_000)),
        ];
        assert_eq!(
            object(&row).to_string(),
            r#"{"qualityBillionths":null,"rewarded":true,"rounds":12,"roundsScored":2,"scoreMicroNats":2500000,"state":"closed-false-genesis"}"#
        );
        assert_eq!(
            row.iter().map(|(_, cell)| cell.show()).collect::<Vec<_>>().join("; "),
            "2 of 12; yes; closed: false genesis; –; 2.500000"
        );
    }

    #[test]
    fn a_list_keeps_to_the_terminal() {
        let pool = Address::new_from_array([7; 32]);
        let row: Row = vec![
            ("pool", Cell::text(pool)),
            ("kind", Cell::text("trainer")),
            ("own bond", Cell::Tokens(20_000_000_000_000)),
            ("proposal", Cell::text("round reward 10,000 SIP → 5,000 SIP, bounty 50.00 % → 12.50 %")),
        ];
        let rows = [row.clone(), row];
        let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
        assert_eq!(widest(&list(&rows, None)), widest(&table(&rows)));
        assert!(list(&rows, Some(110)).contains(&format!("\n{}…", &pool.to_string()[..8])));
        for columns in [60, 80] {
            let text = list(&rows, Some(columns));
            assert!(widest(&text) <= columns, "{columns}: {text}");
            assert_eq!(text.matches(&pool.to_string()).count(), 2, "{text}");
        }
    }
}
