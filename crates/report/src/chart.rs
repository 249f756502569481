//! Charts as inline SVG: no script, no font, no request.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;

/// A named series of values, one per round.
pub struct Series<'a> {
    /// Its name.
    pub name: &'a str,
    /// A value for each round.
    pub values: Vec<f64>,
}

/// Text that is safe inside HTML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
}

/// Ticks at round numbers that cover a range.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let raw = (high - low).max(1e-9) / 4.0;
    let magnitude = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * magnitude).find(|s| *s >= raw).unwrap_or(raw);
    let first = (low / step).ceil();
    (0..8).map(|i| (first + i as f64) * step).take_while(|t| *t <= high + step * 1e-6).collect()
}

struct Frame {
    low: f64,
    high: f64,
    last: f64,
    /// Where a round's label stands, from the left end of its place.
    label_at: f64,
}

impl Frame {
    fn x(&self, index: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * index / self.last.max(1.0)
    }
    fn y(&self, value: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low).max(1e-9)
    }
    fn open(&self, title: &str, x_first: i64, format: &dyn Fn(f64) -> String) -> String {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\"><title>{0}</title>",
            escape(title)
        );
        for tick in ticks(self.low, self.high) {
            let y = self.y(tick);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                format(tick)
            );
        }
        let every = ((self.last / 8.0).ceil() as i64).max(1);
        let labels = self.last as i64 + i64::from(self.label_at == 0.0);
        for index in (0..labels).step_by(every as usize) {
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                self.x(index as f64 + self.label_at),
                HEIGHT - 10.0,
                index + x_first
            );
        }
        svg
    }
}

fn legend(series: &[Series<'_>]) -> String {
    let mut out = String::from("<p class=\"legend\">");
    for (index, s) in series.iter().enumerate() {
        let _ = write!(out, "<span><i class=\"c{}\"></i>{}</span>", index % 8, escape(s.name));
    }
    out + "</p>"
}

/// Lines over rounds; the first value belongs to round `x_first`.
pub fn lines(title: &str, series: &[Series<'_>], x_first: i64) -> String {
    lines_over("round", title, series, x_first)
}

/// Lines over something counted in `unit`; the first value belongs to `x_first`.
pub fn lines_over(unit: &str, title: &str, series: &[Series<'_>], x_first: i64) -> String {
    let all = || series.iter().flat_map(|s| s.values.iter().copied()).filter(|v| v.is_finite());
    let (low, high) = all().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return String::from("<p>Nothing to draw yet.</p>");
    }
    let margin = ((high - low) * 0.06).max(0.01);
    let count = series.iter().map(|s| s.values.len()).max().unwrap_or(1);
    let frame = Frame { low: low - margin, high: high + margin, last: (count - 1) as f64, label_at: 0.0 };
    let mut svg = frame.open(title, x_first, &|t| format!("{t:.2}"));
    for (number, s) in series.iter().enumerate() {
        let mut path = String::new();
        for (index, value) in s.values.iter().enumerate() {
            let _ = write!(
                path,
                "{}{:.1} {:.1} ",
                if index == 0 { "M" } else { "L" },
                frame.x(index as f64),
                frame.y(*value)
            );
        }
        let _ = write!(svg, "<path class=\"line s{}\" d=\"{}\"/>", number % 8, path.trim_end());
        for (index, value) in s.values.iter().enumerate() {
            let _ = write!(
                svg,
                "<circle class=\"f{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.6\"><title>{}, {} {}: {:.4}</title></circle>",
                number % 8,
                frame.x(index as f64),
                frame.y(*value),
                escape(s.name),
                escape(unit),
                index as i64 + x_first,
                value
            );
        }
    }
    legend(series) + &svg + "</svg>"
}

/// Shares that add up to one, stacked, over rounds.
pub fn stacked(title: &str, series: &[Series<'_>], x_first: i64) -> String {
    let count = series.iter().map(|s| s.values.len()).max().unwrap_or(0);
    if count == 0 {
        return String::from("<p>Nothing to draw yet.</p>");
    }
    let frame = Frame { low: 0.0, high: 1.0, last: count as f64, label_at: 0.5 };
    let mut svg = frame.open(title, x_first, &|t| format!("{:.0} %", t * 100.0));
    for index in 0..count {
        let mut base = 0.0;
        for (number, s) in series.iter().enumerate() {
            let share = s.values.get(index).copied().unwrap_or(0.0);
            let (top, bottom) = (frame.y(base + share), frame.y(base));
            let (x, next) = (frame.x(index as f64), frame.x(index as f64 + 1.0));
            let _ = write!(
                svg,
                "<rect class=\"f{}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}, round {}: {:.1} %</title></rect>",
                number % 8,
                x + 1.0,
                (next - x - 2.0).max(1.0),
                (bottom - top).max(0.0),
                escape(s.name),
                index as i64 + x_first,
                share * 100.0
            );
            base += share;
        }
    }
    legend(series) + &svg + "</svg>"
}

/// One bar to the right for what was gained and one to the left for what was lost, per name.
pub fn gains_and_losses(title: &str, rows: &[(String, f64, f64)]) -> String {
    let (height, row) = (rows.len() as f64 * 24.0 + 8.0, 24.0);
    let scale = rows.iter().flat_map(|r| [r.1, r.2]).fold(1e-9, f64::max);
    let (middle, half) = (WIDTH * 0.60, WIDTH * 0.22);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\"><title>{0}</title>",
        escape(title)
    );
    for (index, (name, gained, lost)) in rows.iter().enumerate() {
        let y = 4.0 + index as f64 * row;
        let (g, l) = (gained / scale * half, lost / scale * half);
        let _ = write!(
            svg,
            "<text class=\"name\" x=\"4\" y=\"{:.1}\">{}</text>\
             <rect class=\"gain\" x=\"{middle}\" y=\"{:.1}\" width=\"{g:.1}\" height=\"14\"/>\
             <rect class=\"loss\" x=\"{:.1}\" y=\"{:.1}\" width=\"{l:.1}\" height=\"14\"/>",
            y + 15.0,
            escape(name),
            y + 4.0,
            middle - l,
            y + 4.0
        );
        if *gained > 0.0 {
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">+{gained:.0}</text>",
                middle + g + 4.0,
                y + 15.0
            );
        }
        if *lost > 0.0 {
            let _ = write!(
                svg,
                "<text class=\"tick\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">−{lost:.0}</text>",
                middle - l - 4.0,
                y + 15.0
            );
        }
    }
    let _ = write!(svg, "<line class=\"axis\" x1=\"{middle}\" x2=\"{middle}\" y1=\"0\" y2=\"{height}\"/></svg>");
    svg
}

/// One bar per name.
pub fn bars(title: &str, rows: &[(String, f64)]) -> String {
    let (height, row) = (rows.len() as f64 * 24.0 + 8.0, 24.0);
    let scale = rows.iter().map(|r| r.1).fold(1e-9, f64::max);
    let (left, width) = (WIDTH * 0.36, WIDTH * 0.50);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\"><title>{0}</title>",
        escape(title)
    );
    for (index, (name, value)) in rows.iter().enumerate() {
        let y = 4.0 + index as f64 * row;
        let length = value / scale * width;
        let _ = write!(
            svg,
            "<text class=\"name\" x=\"4\" y=\"{:.1}\">{}</text>\
             <rect class=\"stake\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"14\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{value:.0}</text>",
            y + 15.0,
            escape(name),
            y + 4.0,
            left + length + 4.0,
            y + 15.0
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_lie_within_the_range() {
        for (low, high) in [(0.0, 1.0), (4.9, 7.7), (-3.0, 3.0), (0.0, 0.0)] {
            assert!(ticks(low, high).iter().all(|t| *t >= low - 1e-9 && *t <= high + 1e-6));
        }
    }

    #[test]
    fn names_cannot_inject_markup() {
        let chart = lines("t", &[Series { name: "<script>", values: vec![1.0, 2.0] }], 0);
        assert!(!chart.contains("<script>"));
    }
}
