//! How wide a line may be, and texts that keep to it.

use std::io::IsTerminal as _;

/// A file that may be a terminal.
#[derive(Clone, Copy)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// The narrowest line that texts are laid out for.
const LEAST_COLUMNS: usize = 20;

/// What a terminal has that does not say its size.
const USUAL_COLUMNS: usize = 80;

/// Columns of the terminal that a stream goes to, or what the variable `COLUMNS` says; nothing where it goes to a file.
pub fn columns(stream: Stream) -> Option<usize> {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|columns| *columns > 0);
    let (size, is_terminal) = match stream {
        Stream::Output => (terminal_size::terminal_size_of(std::io::stdout()), std::io::stdout().is_terminal()),
        Stream::Error => (terminal_size::terminal_size_of(std::io::stderr()), std::io::stderr().is_terminal()),
    };
    let found = size.map(|(width, _)| usize::from(width.0)).filter(|columns| *columns > 0);
    let found = told.or(found).or(is_terminal.then_some(USUAL_COLUMNS));
    found.map(|columns| columns.max(LEAST_COLUMNS))
}

/// A text in lines of at most so many columns; all but the first begin with an indent. Words longer than a line stay whole.
pub fn wrap(text: &str, columns: usize, indent: usize) -> String {
    let mut lines = String::new();
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            lines.push('\n');
        }
        let lead = line.chars().take_while(|char| *char == ' ').count();
        let mut width = lead;
        lines.extend(std::iter::repeat_n(' ', lead));
        let mut is_first = true;
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            let length = word.chars().count();
            if !is_first && width + 1 + length > columns {
                lines.push('\n');
                lines.extend(std::iter::repeat_n(' ', lead + indent));
                width = lead + indent;
            } else if !is_first {
                lines.push(' ');
                width += 1;
            }
            lines += word;
            width += length;
            is_first = false;
        }
    }
    lines
}

/// A text as it is shown on a stream: wrapped where that is a terminal.
pub fn fitted(text: &str, stream: Stream, indent: usize) -> String {
    columns(stream).map_or_else(|| text.to_owned(), |columns| wrap(text, columns, indent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_lines_keep_to_the_width() {
        assert_eq!(wrap("one two three", 7, 2), "one two\n  three");
        assert_eq!(wrap("  one two three", 7, 2), "  one\n    two\n    three");
        assert_eq!(wrap("abcdefgh ij\n\nk", 4, 0), "abcdefgh\nij\n\nk");
        assert_eq!(wrap("", 4, 0), "");
        for columns in 4..40 {
            let text = wrap("a text of many short words that go on for a while, all of them short", columns.max(8), 1);
            assert!(text.lines().all(|line| line.chars().count() <= columns.max(8)), "{columns}: {text}");
        }
    }
}
