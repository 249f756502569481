//! What of a job's lies survives, in words.

use serde::{Deserialize, Serialize};

/// Seeds that tell one lie each.
pub const LIES: u32 = 1_000;

/// Chances of lies, 0 to 1, where so many auditors are the liar's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Odds {
    /// Auditors that say nothing about the liar.
    pub colluding: u32,
    /// Chance that a single lie survives, by formula.
    pub survival: f64,
    /// Of the lies of [`LIES`] seeds, by the protocol's own draws, those that survived.
    pub survived: u32,
    /// With 99 % confidence the chance is at most this: the exact bound.
    pub at_most: f64,
    /// Chance that a lie of a rational liar is in the model, who lies only where that pays on average.
    pub rational: f64,
    /// What a rational liar must get from elsewhere for a lie to pay, SIP; none where all that there is would not do.
    pub bribe: Option<f64>,
}

impl Odds {
    /// In one line.
    pub fn line(&self) -> String {
        let bribe = match self.bribe {
            Some(0.0) => "lying pays".into(),
            Some(sip) => format!("lying pays from a bribe of {sip:.0} SIP on"),
            None if self.survival == 0.0 => "no bribe makes lying pay".into(),
            None => "no bribe within the supply makes lying pay".into(),
        };
        format!(
            "{} a single lie survives with {}, at most {} ({} of {LIES} seeds, 99 % confidence); a rational liar's with {}: {bribe}",
            if self.colluding == 0 { "if no auditor colludes" } else { "if one auditor colludes" },
            percent(self.survival),
            percent(self.at_most),
            self.survived,
            percent(self.rational),
        )
    }
}

/// A part of one in percent, with four decimals at most. What is not nothing is not said to be nothing, nor what is not all to be all.
pub fn percent(part: f64) -> String {
    let text = format!("{:.4}", part * 100.0);
    match text.as_str() {
        "0.0000" if part > 0.0 => return "< 0.0001 %".into(),
        "100.0000" if part < 1.0 => return "> 99.9999 %".into(),
        _ => {}
    }
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_in_percent() {
        assert_eq!((percent(0.0), percent(1.0), percent(0.000625)), ("0 %".into(), "100 %".into(), "0.0625 %".into()));
        assert_eq!(
            (percent(0.1), percent(0.00000051), percent(0.5)),
            ("10 %".into(), "0.0001 %".into(), "50 %".into())
        );
    }
}
