//! What audits deter, in tables and for programs.

use anyhow::Result;
use serde_json::json;
use sip_report::odds::{self, LIES};
use std::fmt::Write as _;

use super::{Measured, Outcome, Setting, Survivors, survivors};

/// The job with every number of auditors that keep silent.
fn by_collusion(setting: &Setting) -> impl Iterator<Item = Setting> + '_ {
    (0..=setting.auditors).map(|colluding| Setting { colluding, ..*setting })
}

/// JSON has no infinity: null.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// All of it for programs.
///
/// # Errors
/// A value that JSON has no form for.
pub fn json_text(setting: &Setting, played: (&Outcome, &Survivors), (trials, seed): (u32, u64)) -> Result<String> {
    let collusion: Vec<_> = by_collusion(setting)
        .map(|setting| {
            json!({
                "colluding": setting.colluding,
                "detection": setting.detection(),
                "survival": setting.survival(),
                "survival_of_a_rational_liar": setting.survival_of_a_rational_liar(),
                "bribe": finite(setting.bribe()),
                "least_stake": finite(setting.least_stake()),
                "least_stake_with_accomplice": finite(setting.least_stake_with_accomplice()),
                "expected_profit": setting.expected_profit(),
            })
        })
        .collect();
    let value = json!({
        "audit_rate": setting.audit_rate, "second_rate": setting.second_rate, "auditors": setting.auditors, "colluding": setting.colluding,
        "stake": setting.stake, "bounty": setting.bounty(), "gain": setting.gain, "rounds": setting.rounds,
        "trials": trials, "seed": seed,
        "formula": {
            "detection": setting.detection(),
            "survival": setting.survival(),
            "replays": setting.replays(),
            "detection_over_the_job": setting.detection_over_the_job(),
            "expected_profit": setting.expected_profit(),
            "expected_profit_with_accomplice": setting.expected_profit_with_accomplice(),
            "least_stake": finite(setting.least_stake()),
            "least_stake_with_accomplice": finite(setting.least_stake_with_accomplice()),
        },
        "measured": played.0,
        "lies": played.1,
        "odds": setting.odds(seed),
        "by_colluding_auditors": collusion,
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// What was played beside the formula, and the least bond that deters.
pub fn table(setting: &Setting, outcome: &Outcome, trials: u32) -> String {
    let mut text = format!(
        "{} auditors, of whom {} keep silent; each draws {:.2} % of the segments, and again {:.2} % of what it did not draw. The cheat has bonded {} SIP, gains {} SIP from each false segment that counts, and commits one in each of {} rounds until it is convicted.\n\n\
         {:<48}{:>10} {:>20}\n",
        setting.auditors,
        setting.colluding,
        setting.audit_rate * 100.0,
        setting.second_rate * 100.0,
        setting.stake,
        setting.gain,
        setting.rounds,
        "",
        "formula",
        format!("{} jobs played", trials),
    );
    let percent = |Measured { mean, error }| Measured { mean: mean * 100.0, error: error * 100.0 };
    let rows = [
        ("a false segment is found, percent", setting.detection() * 100.0, percent(outcome.detection)),
        (
            "the cheat is convicted within the job, percent",
            setting.detection_over_the_job() * 100.0,
            percent(outcome.detection_over_the_job),
        ),
        ("expected profit, SIP", setting.expected_profit(), outcome.expected_profit),
        (
            "the same if an accomplice takes the bounty, SIP",
            setting.expected_profit_with_accomplice(),
            outcome.expected_profit_with_accomplice,
        ),
    ];
    for (name, formula, Measured { mean, error }) in rows {
        let _ = writeln!(text, "{name:<48}{formula:>10.3} {:>20}", format!("{mean:.3} ± {error:.3}"));
    }
    text += "\nLeast own bond that deters, in SIP\n  silent auditors    found  against a stranger  against an accomplice profit now\n";
    for setting in by_collusion(setting) {
        let _ = writeln!(
            text,
            "  {:>15} {:>6.2} %  {:>18}  {:>21} {:>10.1}",
            setting.colluding,
            setting.detection() * 100.0,
            amount(setting.least_stake()),
            amount(setting.least_stake_with_accomplice()),
            setting.expected_profit(),
        );
    }
    text
}

/// What survives of lies, with none and one of the auditors on the liar's side, and what looking costs.
pub fn survival_table(setting: &Setting, seed: u64) -> String {
    let mut text = format!(
        "\nA lie that survives\n  {:<9} {:>9} {:>24} {:>11} {:>20}\n",
        "colluding",
        "formula",
        format!("99 % bound, {LIES} seeds"),
        "if rational",
        "bribe that would do"
    );
    for odds in setting.odds(seed) {
        let _ = writeln!(
            text,
            "  {:<9} {:>9} {:>24} {:>11} {:>20}",
            if odds.colluding == 0 { "none" } else { "one" },
            odds::percent(odds.survival),
            format!("{} ({} of {LIES})", odds::percent(odds.at_most), odds.survived),
            odds::percent(odds.rational),
            match odds.bribe {
                None if odds.survival > 0.0 => "more than the supply".into(),
                bribe => amount(bribe.unwrap_or(f64::INFINITY)),
            }
        );
    }
    let _ = writeln!(
        text,
        "Replays for a segment: {:.3} by formula, {:.3} over these seeds",
        setting.replays(),
        survivors(setting, LIES, seed).replays
    );
    text
}

fn amount(sip: f64) -> String {
    if sip.is_finite() { format!("{sip:.1}") } else { "none does".into() }
}
