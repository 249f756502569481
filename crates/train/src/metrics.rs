//! What is measured on the way: a line of JSON per step, TensorBoard's events, and a picture.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::folder::Folder;
use crate::tensorboard;
use sip_manifest::folder::write_text;
use sip_report::chart::{Series, lines_over};
use sip_report::{close_page, open_page};

/// A file of rows has at most so many bytes: those of a million steps.
const LIMIT_BYTES: usize = 256 << 20;
/// What rows may take in memory beyond three bytes a byte of their file; a row that names what was held out takes about so many.
const FLOOR_BYTES: usize = 8 << 20;

/// Points of a line in the picture at most.
const POINTS: usize = 120;

/// The measures of preferences on held-out pairs, by name.
pub(crate) const PREFERENCE_LOSS: &str = "preference loss";
pub(crate) const PREFERRED_SHARE: &str = "preferred share";
pub(crate) const PREFERENCE_MARGIN: &str = "margin in nats";

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Steps done, this one included; 0 for what was measured before the first.
    pub step: u64,
    /// The loss of the step's batch before its update; none at step 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f32>,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Speed of the step alone.
    pub tokens_per_second: f64,
    /// Time of the measurement, in seconds since 1970.
    pub unix_seconds: f64,
    /// What was measured on held-out data after the step, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held_out: BTreeMap<String, f64>,
}

impl Row {
    /// What the names take, at most: a map's first node has 11 places, and later ones are half full.
    fn held_bytes(&self) -> usize {
        const PLACE_BYTES: usize = size_of::<(String, f64)>();
        let names = self.held_out.keys().map(String::len).sum::<usize>();
        names + self.held_out.len() * 2 * PLACE_BYTES + usize::from(!self.held_out.is_empty()) * 12 * PLACE_BYTES
    }
}

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// The files that rows go to.
pub(crate) struct Metrics {
    rows: Vec<Row>,
    lines: File,
    events: File,
    folder: Folder,
}

impl Metrics {
    /// Opens the files of a run; rows after `step` belong to work that is done again, and go.
    pub(crate) fn open(folder: &Folder, step: u64) -> Result<Metrics> {
        let path = folder.metrics();
        let text = if path.exists() {
            sip_json::read_text(&path, LIMIT_BYTES).with_context(|| format!("cannot read {}", path.display()))?
        } else {
            String::new()
        };
        // A line that a crash cut short is no row.
        let mut rows = sip_json::lines(&text, FLOOR_BYTES, Row::held_bytes)
            .with_context(|| format!("cannot read {}", path.display()))?;
        rows.retain(|row: &Row| row.step <= step);
        let mut kept = String::new();
        let mut records = tensorboard::first_record(rows.first().map_or_else(unix_seconds, |row| row.unix_seconds));
        for row in &rows {
            kept += &(serde_json::to_string(row)? + "\n");
            records.extend(record(row));
        }
        write_text(&path, &kept)?;
        let events = folder.events();
        fs::write(&events, records).with_context(|| format!("cannot write {}", events.display()))?;
        let append = |path: &std::path::Path| {
            File::options().append(true).open(path).with_context(|| format!("cannot write {}", path.display()))
        };
        Ok(Metrics { rows, lines: append(&path)?, events: append(&events)?, folder: folder.clone() })
    }

    /// Adds a row to both files.
    pub(crate) fn add(&mut self, row: Row) -> Result<()> {
        let line = serde_json::to_string(&row)? + "\n";
        let cannot = |path: std::path::PathBuf| format!("cannot write {}", path.display());
        self.lines.write_all(line.as_bytes()).with_context(|| cannot(self.folder.metrics()))?;
        self.events.write_all(&record(&row)).with_context(|| cannot(self.folder.events()))?;
        self.rows.push(row);
        Ok(())
    }

    /// All rows of the run.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Draws the run; `unit` is that of the training loss.
    pub(crate) fn plot(&self, title: &str, unit: &str) -> Result<()> {
        write_text(&self.folder.plot(), &page(title, unit, &self.rows))
    }
}

fn record(row: &Row) -> Vec<u8> {
    let mut scalars = Vec::new();
    if let Some(loss) = row.loss {
        scalars.extend([("training/loss", loss), ("training/learning_rate", row.learning_rate as f32)]);
        scalars.push(("training/tokens_per_second", row.tokens_per_second as f32));
    }
    let tags: Vec<(String, f32)> =
        row.held_out.iter().map(|(name, value)| (format!("held_out/{name}"), *value as f32)).collect();
    scalars.extend(tags.iter().map(|(tag, value)| (tag.as_str(), *value)));
    tensorboard::scalars_record(row.unix_seconds, row.step, &scalars)
}

/// The unit of what is measured under a name: preferences have measures of their own.
fn unit_of(name: &str) -> &str {
    match name {
        PREFERENCE_LOSS => "nats per pair",
        PREFERRED_SHARE => "share of pairs",
        PREFERENCE_MARGIN => "margin in nats",
        _ => "nats per token",
    }
}

fn page(title: &str, unit: &str, rows: &[Row]) -> String {
    let losses: Vec<f64> = rows.iter().filter_map(|row| row.loss).map(f64::from).collect();
    let block = losses.len().div_ceil(POINTS).max(1);
    let means: Vec<f64> = losses.chunks(block).map(|block| block.iter().sum::<f64>() / block.len() as f64).collect();
    let step = if block == 1 { "step".to_string() } else { format!("block of {block} steps") };
    let mut html = open_page(title) + "<h1>" + &sip_report::chart::escape(title) + "</h1>";
    html += &format!("<div class=\"card\"><h2>Training loss, {unit}, by {step}</h2>");
    html += &lines_over(&step, "Training loss", &[Series { name: "training", values: means }], 1);
    html += "</div>";
    let measured: Vec<&Row> = rows.iter().filter(|row| !row.held_out.is_empty()).collect();
    if let Some(first) = measured.first() {
        let steps: Vec<String> = measured.iter().map(|row| row.step.to_string()).collect();
        // What has not the same unit does not share an axis.
        let units: BTreeSet<&str> = first.held_out.keys().map(|name| unit_of(name)).collect();
        for unit in units {
            let series: Vec<Series<'_>> = first
                .held_out
                .keys()
                .filter(|name| unit_of(name) == unit)
                .map(|name| {
                    let values = measured.iter().filter_map(|row| row.held_out.get(name).copied()).collect();
                    Series { name, values }
                })
                .collect();
            html += &format!(
                "<div class=\"card\"><h2>On held-out data, {unit}, after {} steps</h2>{}</div>",
                steps.join(", "),
                lines_over("measurement", "Held-out data", &series, 0)
            );
        }
    }
    close_page(&html)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64) -> Row {
        let held_out = if step.is_multiple_of(2) { BTreeMap::from([("a".to_string(), 2.0)]) } else { BTreeMap::new() };
        let loss = (step > 0).then_some(3.0);
        Row { step, loss, learning_rate: 1e-3, tokens_per_second: 10.0, unix_seconds: 5.5, held_out }
    }

    #[test]
    fn rows_after_the_checkpoint_and_half_lines_go_when_a_run_goes_on() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::new(scratch.path());
        folder.begin().unwrap();
        let mut metrics = Metrics::open(&folder, 0).unwrap();
        (0..6).for_each(|step| metrics.add(row(step)).unwrap());
        let events = folder.tensorboard().join("events.out.tfevents.0.sip");
        let whole = fs::read(&events).unwrap();
        drop(metrics);
        File::options().append(true).open(folder.metrics()).unwrap().write_all(b"{\"step\":6,\"lo").unwrap();
        let mut metrics = Metrics::open(&folder, 3).unwrap();
        assert_eq!(metrics.rows(), (0..4).map(row).collect::<Vec<_>>());
        (4..6).for_each(|step| metrics.add(row(step)).unwrap());
        let lines = fs::read_to_string(folder.metrics()).unwrap();
        assert_eq!(lines.lines().count(), 6);
        let again = fs::read(&events).unwrap();
        assert_eq!(again.len(), whole.len());
        assert_eq!(again[60..], whole[60..]);
        metrics.plot("a run", "nats per token").unwrap();
        assert!(fs::read_to_string(folder.plot()).unwrap().contains("nats per token, after 0, 2, 4 steps"));
    }

    #[test]
    fn measures_of_preferences_have_units_and_axes_of_their_own() {
        let mut row = row(2);
        row.held_out = [PREFERENCE_LOSS, PREFERRED_SHARE, PREFERENCE_MARGIN].map(|name| (name.to_string(), 0.5)).into();
        let page = page("a run", "nats per pair", &[row]);
        assert_eq!(page.matches("<h2>On held-out data").count(), 3);
        assert!(
            page.contains("<h2>Training loss, nats per pair, by step</h2>") && !page.contains("per token"),
            "{page}"
        );
    }
}
