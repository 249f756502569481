//! What a run's auditors checked of what is in the model, and what they did not.

use std::collections::BTreeMap;

use sip_protocol::admin::config::Parameters;
use sip_protocol::training::job::JobSpec;

use super::journal::Journal;
use sip_manifest::settings::Settings;
use sip_report::count;
use sip_report::odds::percent;
use sip_report::summary::CheckedSummary;
use sip_sim::deterrence::ODDS_SEED;
use sip_sim::deterrence::Setting;

/// Counts what was replayed of the segments that are in the model, and says it. The job and its parameters say what escapes.
pub(crate) fn checked(
    settings: &Settings,
    journal: &Journal,
    spec: &JobSpec,
    parameters: &Parameters,
) -> CheckedSummary {
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
    let setting = Setting::of_job(spec, parameters, TRAINERS, settings.auditors() as u32);
    let odds = setting.odds(ODDS_SEED);
    let mut lines = vec![format!(
        "Each of {} auditors replays {} of the segments by its first draw, {} of the others by its second: {:.3} replays for a segment",
        setting.auditors,
        percent(setting.audit_rate),
        percent(setting.second_rate),
        setting.replays()
    )];
    lines.extend(odds.iter().map(|odds| {
        let line = odds.line();
        line[..1].to_uppercase() + &line[1..]
    }));
    let mut checked = CheckedSummary {
        segments,
        replayed,
        by_auditor,
        false_segments,
        odds,
        replays_per_segment: setting.replays(),
        lines,
        sentence: String::new(),
    };
    checked.sentence = sentence(&checked);
    checked
}

/// Trainers of a run.
const TRAINERS: u32 = 3;

fn sentence(checked: &CheckedSummary) -> String {
    let CheckedSummary { segments, replayed, by_auditor, odds, .. } = checked;
    let chance = |colluding: usize| percent(odds.get(colluding).map_or(1.0, |odds| odds.survival));
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
        chance(0),
        chance(1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_report::odds::Odds;

    #[test]
    fn the_sentence_says_who_checked_what_and_what_nobody_did() {
        let by_auditor = [("auditor 1".to_string(), 3), ("auditor 2".to_string(), 2)].into();
        let checked = CheckedSummary {
            segments: 6,
            replayed: 4,
            by_auditor,
            odds: [0.000625, 0.025].map(|survival| Odds { survival, ..Odds::default() }).into(),
            ..CheckedSummary::default()
        };
        assert_eq!(
            sentence(&checked),
            "Of 6 segments in the model, auditors replayed 4 (auditor 1 3, auditor 2 2) and 2 were replayed by nobody; a single lie \
             survived with a chance of 0.0625 % if no auditor colluded, of 2.5 % if one did."
        );
    }
}
