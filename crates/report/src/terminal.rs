//! How wide a line may be, and texts that keep to it.

use std::io::{IsTerminal as _, Write};

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

/// A text in lines of at most so many columns; what a line goes on with begins with an indent more than it. Lines that fit stay as they are,
/// with the blanks inside of them; words longer than a line stay whole.
pub fn wrap(text: &str, columns: usize, indent: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| wrap_line(line, columns, indent)).collect();
    lines.join("\n")
}

fn wrap_line(line: &str, columns: usize, indent: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    let lead = line.chars().take_while(|char| *char == ' ').count();
    let mut wrapped = " ".repeat(lead);
    let (mut width, mut gap, mut is_first) = (lead, 0, true);
    for word in line[lead..].split(' ') {
        if word.is_empty() {
            gap += 1;
            continue;
        }
        let length = word.chars().count();
        if is_first {
            gap = 0;
        } else if width + gap + length > columns {
            wrapped.push('\n');
            width = lead + indent;
            gap = 0;
            wrapped += &" ".repeat(width);
        }
        wrapped += &" ".repeat(gap);
        wrapped += word;
        width += gap + length;
        (gap, is_first) = (1, false);
    }
    wrapped
}

/// A writer whose lines keep to the terminal, where one is at its end.
pub struct Fitted<W: Write> {
    inner: W,
    columns: Option<usize>,
    line: Vec<u8>,
}

/// How far what a long line goes on with is set in.
const INDENT: usize = 4;

/// Standard output for people, line by line.
pub fn output() -> Fitted<std::io::Stdout> {
    Fitted::new(std::io::stdout(), columns(Stream::Output))
}

impl<W: Write> Fitted<W> {
    fn new(inner: W, columns: Option<usize>) -> Fitted<W> {
        Fitted { inner, columns, line: Vec::new() }
    }

    fn put(&mut self, line: &[u8]) -> std::io::Result<()> {
        match self.columns {
            Some(columns) => {
                let text = wrap(&String::from_utf8_lossy(line), columns, INDENT);
                self.inner.write_all(text.as_bytes())
            }
            None => self.inner.write_all(line),
        }
    }
}

impl<W: Write> Write for Fitted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.put(&line)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.put(&line)?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for Fitted<W> {
    fn drop(&mut self) {
        // Who wants to know flushes.
        let _ = self.flush();
    }
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
        assert_eq!(wrap("  a    1.5    of a row", 15, 4), "  a    1.5\n      of a row");
        assert_eq!(wrap("a   b", 5, 0), "a   b");
        for columns in 4..40 {
            let text = wrap("a text of many short words that go on for a while, all of them short", columns.max(8), 1);
            assert!(text.lines().all(|line| line.chars().count() <= columns.max(8)), "{columns}: {text}");
        }
    }

    #[test]
    fn lines_are_fitted_as_they_are_written_and_others_are_not_touched() {
        let written = |columns| {
            let mut out = Vec::new();
            let mut fitted = Fitted::new(&mut out, columns);
            write!(fitted, "one two").unwrap();
            write!(fitted, " three\nfour\nfi").unwrap();
            write!(fitted, "ve").unwrap();
            drop(fitted);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(None), "one two three\nfour\nfive");
        assert_eq!(written(Some(8)), "one two\n    three\nfour\nfive");
    }
}
