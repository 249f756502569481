//! What comes through the door takes no more than four bytes of memory a byte, and a floor, whatever it is: measured.

use crate::counted::*;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a measurement may be off, beside the floor.
const SLACK_BYTES: usize = 64 << 10;

/// A row as files of measurements have it.
#[derive(Deserialize)]
struct Row {
    #[serde(rename = "step")]
    _step: u64,
    #[serde(default)]
    held_out: BTreeMap<String, f64>,
}

/// Records as files of our own have them.
#[derive(Deserialize)]
struct Journal {
    #[serde(default)]
    _numbers: Vec<u64>,
    #[serde(default)]
    _names: Vec<String>,
    #[serde(default)]
    _lists: Vec<Vec<u8>>,
    #[serde(default)]
    _by_name: BTreeMap<String, u64>,
}

fn said<T, E: ToString>(result: Result<T, E>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "read".to_owned())
}

#[test]
fn a_tree_of_values_is_bounded() {
    let _alone = alone();
    for (name, text) in hostile_lines("\"a\":\"b\"") {
        let (result, peak) = peak_bytes(|| sip_json::from_str::<Value>(&text));
        assert_bounded(&name, text.len(), text.len() + peak, sip_json::FLOOR_BYTES + SLACK_BYTES, &said(result));
    }
}

#[test]
fn fields_are_bounded() {
    let _alone = alone();
    for value in hostile_values() {
        let start: String = value.chars().take(12).collect();
        let texts = ["_numbers", "_names", "_lists", "_by_name", "other"].map(|key| format!("{{\"{key}\":{value}}}"));
        for text in texts {
            let (result, peak) = peak_bytes(|| sip_json::records_from_slice::<Journal>(text.as_bytes()));
            let name = format!("{} {start}", &text[..12]);
            assert_bounded(&name, text.len(), text.len() + peak, (8 << 20) + SLACK_BYTES, &said(result));
        }
        let floor = sip_json::FLOOR_BYTES + SLACK_BYTES;
        let (result, peak) = peak_bytes(|| sip_json::fields_from_slice::<Vec<String>>(value.as_bytes()));
        assert_bounded(&format!("a list of texts {start}"), value.len(), value.len() + peak, floor, &said(result));
        let (result, peak) = peak_bytes(|| sip_json::fields_from_slice::<Vec<u8>>(value.as_bytes()));
        assert_bounded(&format!("a key {start}"), value.len(), value.len() + peak, floor, &said(result));
    }
}

#[test]
fn lines_are_bounded_together() {
    let _alone = alone();
    const FLOOR_BYTES: usize = 1 << 20;
    let mut texts = hostile_lines("\"step\":0,\"more\":\"\"");
    let row = "{\"step\":0,\"held_out\":{\"a\":0}}\n";
    texts.push(("rows with a map".to_owned(), row.repeat(LARGE / row.len())));
    let names = object(|_| "0".to_owned(), 2000);
    let row = format!("{{\"step\":0,\"held_out\":{names}}}\n");
    texts.push(("rows with large maps".to_owned(), row.repeat(LARGE / row.len())));
    texts.push((
        "a row with one map".to_owned(),
        format!("{{\"step\":0,\"held_out\":{}}}", object(|_| "0".to_owned(), 300_000)),
    ));
    let held = |row: &Row| {
        let names: usize = row.held_out.keys().map(String::len).sum();
        names + (12 + 2 * row.held_out.len()) * size_of::<(String, f64)>()
    };
    for (name, text) in texts {
        let (result, peak) = peak_bytes(|| sip_json::lines::<Row>(&text, FLOOR_BYTES, held));
        assert_bounded(&name, text.len(), text.len() + peak, FLOOR_BYTES + SLACK_BYTES, &said(result));
    }
}

#[test]
fn what_is_walked_through_takes_its_longest_text_at_most() {
    let _alone = alone();
    for value in hostile_values() {
        let start: String = value.chars().take(12).collect();
        let (result, peak) = peak_bytes(|| sip_json::check(value.as_bytes()));
        assert_bounded(&format!("checked {start}"), value.len(), value.len() + peak, SLACK_BYTES, &said(result));
        let (result, peak) = peak_bytes(|| sip_json::text(value.as_bytes()).map(|text| text.len()));
        assert!(peak <= value.len() + SLACK_BYTES, "{start}: {peak}");
        assert_bounded(&format!("text {start}"), value.len(), value.len() + peak, SLACK_BYTES, &said(result));
        let (result, peak) = peak_bytes(|| sip_json::elements::<sip_json::MemberError>(value.as_bytes(), |_| Ok(())));
        assert_bounded(&format!("elements {start}"), value.len(), value.len() + peak, SLACK_BYTES, &said(result));
    }
}
