//! What a run's auditors checked of what is in the model, and what they did not.

use std::collections::BTreeMap;

use super::journal::Journal;
use super::settings::Settings;
use crate::progress::count;
use crate::security::formulas::{replays, survival, survival_with_one_colluding};
use crate::summary::CheckedSummary;

/// Counts what was replayed of the segments that are in the model, and says it.
pub(crate) fn checked(settings: &Settings, journal: &Journal) -> CheckedSummary {
    let mut by_auditor: BTreeMap<String, u32> = BTreeMap::new();
    let (mut segments, mut replayed, mut false_segments) = (0, 0, 0);
    let counts = journal.summary.rounds.iter().flat_map(|round| &round.segments);
    for segment in counts.filter(|segment| segment.status.starts_with("accepted")) {
        segments += 1;
        replayed += u32::from(!segment.audited_by.is_empty());
        false_segments += u32::from(segment.status != "accepted");
        for auditor in &segment.audited_by {
            *by_auditor.entry(auditor.clone()).or_default() += 1;
        }
    }
    let auditors = settings.auditors() as u32;
    let mut checked = CheckedSummary {
        segments,
        replayed,
        by_auditor,
        false_segments,
        survival: survival(settings.audit_rate, SECOND_RATE, auditors),
        survival_with_one_colluding: survival_with_one_colluding(settings.audit_rate, auditors),
        replays_per_segment: replays(settings.audit_rate, SECOND_RATE, auditors),
        sentence: String::new(),
    };
    checked.sentence = sentence(&checked);
    checked
}

/// Part of what nobody drew that an auditor draws again.
const SECOND_RATE: f64 = 0.0;

fn sentence(checked: &CheckedSummary) -> String {
    let CheckedSummary { segments, replayed, by_auditor, survival, survival_with_one_colluding, .. } = checked;
    let by: Vec<String> = by_auditor.iter().map(|(name, segments)| format!("{name} {segments}")).collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    let rest = match segments - replayed {
        0 => "none was left unchecked".into(),
        1 => "1 was replayed by nobody".into(),
        left => format!("{left} were replayed by nobody"),
    };
    format!(
        "Of {} in the model, auditors replayed {replayed}{by} and {rest}; a single lie survived with a chance of {} if no auditor colluded, \
         of {} if one did.",
        count(*segments as usize, "segment"),
        percent(*survival),
        percent(*survival_with_one_colluding)
    )
}

fn percent(part: f64) -> String {
    let text = format!("{:.4}", part * 100.0);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_who_checked_what_and_what_nobody_did() {
        let by_auditor = [("auditor 1".to_string(), 3), ("auditor 2".to_string(), 2)].into();
        let checked = CheckedSummary {
            segments: 6,
            replayed: 4,
            by_auditor,
            survival: 0.000625,
            survival_with_one_colluding: 0.5,
            ..CheckedSummary::default()
        };
        assert_eq!(
            sentence(&checked),
            "Of 6 segments in the model, auditors replayed 4 (auditor 1 3, auditor 2 2) and 2 were replayed by nobody; a single lie \
             survived with a chance of 0.0625 % if no auditor colluded, of 50 % if one did."
        );
        assert_eq!((percent(0.0), percent(1.0)), ("0 %".into(), "100 %".into()));
    }
}
