//! The path of a dispute as a picture: each level is a strip, and what was picked of it opens into the next one.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 30.0;
const STRIP: f64 = 14.0;
const STEP: f64 = 92.0;
const HEADER: f64 = 96.0;
/// What was picked is at least so wide.
const LEAST_WIDTH: f64 = 3.0;

/// One level of the path.
pub struct Level {
    /// What it is: segment, leaf, step, …
    pub name: &'static str,
    /// Which one, in words.
    pub what: String,
    /// Which of how many on this level, counted from 0; nothing where there is no choice.
    pub place: Option<(u64, u64)>,
    /// What the accused side claims of it.
    pub claimed: Option<String>,
    /// What follows from the values on the table.
    pub recomputed: Option<String>,
}

impl Level {
    /// A level of this name, and which one.
    pub fn new(name: &'static str, what: String) -> Level {
        Level { name, what, place: None, claimed: None, recomputed: None }
    }

    /// Which of how many.
    #[must_use]
    pub fn at(mut self, index: u64, count: u64) -> Level {
        self.place = Some((index, count));
        self
    }

    /// What the accused side claims of it.
    #[must_use]
    pub fn claims(mut self, claimed: impl Into<String>) -> Level {
        self.claimed = Some(claimed.into());
        self
    }
}

/// The picture, as a document of its own; `lines` stand above it.
pub fn svg(title: &str, lines: &[String], levels: &[Level]) -> String {
    let height = HEADER + STEP * levels.len() as f64 + MARGIN;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"13\"><title>{0}</title><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\
         <text x=\"{MARGIN}\" y=\"34\" font-size=\"17\" font-weight=\"600\">{0}</text>",
        escape(title)
    );
    for (number, line) in lines.iter().enumerate() {
        let y = 56.0 + 17.0 * number as f64;
        let _ = write!(out, "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"#495057\">{}</text>", escape(line));
    }
    let inner = WIDTH - 2.0 * MARGIN;
    for (number, level) in levels.iter().enumerate() {
        let top = HEADER + STEP * number as f64;
        let is_last = number + 1 == levels.len();
        let _ = write!(
            out,
            "<text x=\"{MARGIN}\" y=\"{}\"><tspan font-weight=\"600\">{}</tspan> {}</text>",
            top + 14.0,
            level.name,
            escape(&level.what)
        );
        let values = [("claimed", &level.claimed), ("recomputed", &level.recomputed)];
        let values: Vec<String> =
            values.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}: {value}"))).collect();
        let _ = write!(
            out,
            "<text x=\"{MARGIN}\" y=\"{}\" font-size=\"12\" fill=\"#868e96\">{}</text>",
            top + 31.0,
            escape(&values.join("    "))
        );
        let y = top + 38.0;
        let _ = write!(
            out,
            "<rect x=\"{MARGIN}\" y=\"{y}\" width=\"{inner}\" height=\"{STRIP}\" rx=\"2\" fill=\"#e9ecef\"/>"
        );
        // The strip of a level is what the level above was narrowed to; its highlight is what the next level shows.
        let next = levels.get(number + 1).and_then(|next| next.place);
        let (begin, width) = match next {
            Some((index, count)) => {
                let count = count.max(1) as f64;
                let width = (inner / count).max(LEAST_WIDTH);
                ((index as f64 / count * inner).min(inner - width), width)
            }
            None => (0.0, inner),
        };
        let fill = if is_last { "#e8590c" } else { "#3b6fc9" };
        let x = MARGIN + begin;
        let _ = write!(
            out,
            "<rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"{STRIP}\" rx=\"2\" fill=\"{fill}\"/>"
        );
        if !is_last {
            let (low, below) = (y + STRIP, top + STEP + 38.0);
            let _ = write!(
                out,
                "<path d=\"M{x:.2} {low} L{:.2} {low} L{} {below} L{MARGIN} {below} Z\" fill=\"#3b6fc9\" opacity=\"0.07\"/>",
                x + width,
                MARGIN + inner
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
