//! Lists: a table for people, an array of objects for programs.

use super::tokens;
use serde_json::{Value, json};

/// One thing that a list says of an account.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    Number(u64),
    /// Base units.
    Tokens(u64),
    /// Parts of ten thousand.
    BasisPoints(u64),
    /// Parts of a thousand million.
    Billionths(u64),
    /// A span of time.
    Slots(u64),
    /// A point of time, and the present one.
    Slot {
        at: u64,
        now: u64,
    },
    Nothing,
}

/// What a list says of one account, by name.
pub(crate) type Row = Vec<(&'static str, Cell)>;

impl Cell {
    pub(crate) fn text(text: impl ToString) -> Cell {
        Cell::Text(text.to_string())
    }

    /// Whether the point of time has come.
    pub(super) fn is_reached(&self) -> bool {
        !matches!(self, Cell::Slot { at, now } if at > now)
    }

    /// As people read it.
    pub(super) fn show(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Number(number) => tokens::grouped(*number),
            Cell::Tokens(units) => tokens::show(*units),
            Cell::BasisPoints(parts) => format!("{}.{:02} %", parts / 100, parts % 100),
            Cell::Billionths(parts) => {
                let text = format!("{}.{:07}", parts / 10_000_000, parts % 10_000_000);
                format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
            }
            Cell::Slots(slots) => format!("{} (about {})", tokens::grouped(*slots), tokens::days(*slots)),
            Cell::Slot { at, now } if at > now => {
                format!("{} (in about {})", tokens::grouped(*at), tokens::days(at - now))
            }
            Cell::Slot { at, .. } => format!("{} (reached)", tokens::grouped(*at)),
            Cell::Nothing => "–".into(),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Cell::Text(text) => json!(text),
            Cell::Number(number)
            | Cell::Tokens(number)
            | Cell::BasisPoints(number)
            | Cell::Billionths(number)
            | Cell::Slots(number)
            | Cell::Slot { at: number, .. } => json!(number),
            Cell::Nothing => Value::Null,
        }
    }
}

/// As an object: "own bond" is `ownBond`, in base units; parts of ten thousand end in `Bps`, parts of a thousand million in `Billionths`.
pub(crate) fn object(row: &Row) -> Value {
    let fields = row.iter().map(|(name, cell)| {
        let mut key = String::new();
        for (index, word) in name.split(' ').enumerate() {
            let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
            key += &if index == 0 { word.to_owned() } else { first.to_uppercase() + rest };
        }
        match cell {
            Cell::BasisPoints(_) => key += "Bps",
            Cell::Billionths(_) => key += "Billionths",
            _ => {}
        }
        (key, cell.to_json())
    });
    Value::Object(fields.collect())
}

/// One line per row under a line of the names; numbers to the right.
pub(crate) fn table(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let mut text = String::new();
    let columns: Vec<(Vec<String>, bool)> = (0..first.len())
        .map(|column| {
            let name = first[column].0.to_owned();
            let cells = rows.iter().filter_map(|row| row.get(column));
            let right = cells.clone().all(|(_, cell)| !matches!(cell, Cell::Text(_)));
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

/// One thing in full: a line for each name.
pub(crate) fn card(row: &Row) -> String {
    let width = row.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    row.iter().map(|(name, cell)| format!("{name:width$}  {}\n", cell.show())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_keys_are_camel_case() {
        let row = |name: &str, units| vec![("pool", Cell::text(name)), ("own bond", Cell::Tokens(units))];
        let rows = [row("a", 1_500_000_000), row("longer", 12_000_000_000_000)];
        assert_eq!(table(&rows), "pool      own bond\na          1.5 SIP\nlonger  12,000 SIP\n");
        assert_eq!(object(&rows[0]).to_string(), r#"{"ownBond":1500000000,"pool":"a"}"#);
        assert_eq!(card(&rows[0]), "pool      a\nown bond  1.5 SIP\n");
        let times = [Cell::Slot { at: 324_000, now: 0 }, Cell::Slot { at: 5, now: 5 }, Cell::Billionths(1_896_000)];
        let texts = times.map(|cell| cell.show());
        assert_eq!(texts, ["324,000 (in about 1.5 days)", "5 (reached)", "0.1896 %"]);
    }
}
