//! What of a job's lies survives, for no and for one colluding auditor, and what looking costs: what a job's page, `sip security` and a
//! run's report state.

use serde::{Deserialize, Serialize};
use sip_protocol::training::job::JobSpec;
use sip_protocol::{
    admin::config::Parameters,
    ground::units::{CAP, TOKEN},
};

use super::formulas::Setting;
use super::trials::survivors;

/// Seeds that tell one lie each.
pub(crate) const LIES: u32 = 1_000;

/// All SIP that there can be: no bribe is more.
const ALL_SIP: f64 = (CAP / TOKEN) as f64;

/// The first of these seeds on a job's page and in a run's report, so that both say the same.
pub(crate) const ODDS_SEED: u64 = 1;

/// Chances of lies, 0 to 1, where so many auditors are the liar's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Odds {
    /// Auditors that say nothing about the liar.
    pub(crate) colluding: u32,
    /// Chance that a single lie survives, by formula.
    pub(crate) survival: f64,
    /// Of the lies of [`LIES`] seeds, by the protocol's own draws, those that survived.
    pub(crate) survived: u32,
    /// With 99 % confidence the chance is at most this: the exact bound.
    pub(crate) at_most: f64,
    /// Chance that a lie of a rational liar is in the model, who lies only where that pays on average.
    pub(crate) rational: f64,
    /// What a rational liar must get from elsewhere for a lie to pay, SIP; none where all that there is would not do.
    pub(crate) bribe: Option<f64>,
}

impl Setting {
    /// A job of so many trainers and auditors by what stands on its page. A false segment brings at most what an equal part of a round's
    /// reward for trainers is.
    pub(crate) fn of_job(spec: &JobSpec, parameters: &Parameters, trainers: u32, auditors: u32) -> Setting {
        let sip = |base_units: u64| base_units as f64 / TOKEN as f64;
        let part = |of_two_to_the_32: u32| f64::from(of_two_to_the_32) / 2f64.powi(32);
        let penalties = &parameters.penalties;
        let taken = f64::from(penalties.convicted_segment.bond_bps) / 1e4;
        Setting {
            audit_rate: part(spec.audit_rate),
            second_rate: part(spec.second_audit_rate),
            auditors,
            colluding: 0,
            stake: sip(spec.slice) * taken,
            bounty_share: f64::from(penalties.bounty_bps) / 1e4,
            bounty_cap: sip(penalties.bounty_cap),
            gain: sip(spec.round_reward) * f64::from(parameters.trainers_bps) / 1e4 / f64::from(trainers.max(1)),
            rounds: spec.rounds,
        }
    }

    /// The odds with no and with one colluding auditor.
    pub(crate) fn odds(&self, seed: u64) -> Vec<Odds> {
        let of = |colluding| {
            let setting = Setting { colluding, ..*self };
            let lies = survivors(&setting, LIES, seed);
            let bribe = setting.bribe();
            Odds {
                colluding,
                survival: setting.survival(),
                survived: lies.survived,
                at_most: lies.at_most,
                rational: setting.survival_of_a_rational_liar(),
                bribe: (bribe <= ALL_SIP).then_some(bribe),
            }
        };
        (0..=self.auditors.min(1)).map(of).collect()
    }
}

impl Odds {
    /// In one line.
    pub(crate) fn line(&self) -> String {
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
pub(crate) fn percent(part: f64) -> String {
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
    fn a_jobs_page_gives_the_setting_that_its_numbers_are_of() {
        let spec = JobSpec {
            audit_rate: 1 << 31,
            second_audit_rate: 1 << 30,
            slice: 8_500 * TOKEN,
            round_reward: 6_000 * TOKEN,
            rounds: 12,
            ..JobSpec::default()
        };
        let setting = Setting::of_job(&spec, &Parameters::DEFAULT, 3, 2);
        assert_eq!((setting.audit_rate, setting.second_rate, setting.stake), (0.5, 0.25, 8_500.0));
        assert_eq!(setting.gain, 2_000.0 * f64::from(Parameters::DEFAULT.trainers_bps) / 1e4);
        let odds = setting.odds(1);
        assert_eq!(odds.iter().map(|odds| odds.colluding).collect::<Vec<_>>(), [0, 1]);
        assert!((odds[0].survival - 0.375f64.powi(2)).abs() < 1e-12 && (odds[1].survival - 0.375).abs() < 1e-12);
        for odds in odds {
            assert!(odds.at_most > odds.survival && f64::from(odds.survived) / f64::from(LIES) < odds.at_most);
            assert_eq!(odds.rational, 0.0, "a bond of 8,500 outweighs the pay of a round");
            assert!(odds.line().contains("lying pays from a bribe of"), "{}", odds.line());
        }
    }

    #[test]
    fn parts_are_told_in_percent() {
        assert_eq!((percent(0.0), percent(1.0), percent(0.000625)), ("0 %".into(), "100 %".into(), "0.0625 %".into()));
        assert_eq!(
            (percent(0.1), percent(0.00000051), percent(0.5)),
            ("10 %".into(), "0.0001 %".into(), "50 %".into())
        );
    }

    /// Eight auditors with the demo's rates: a lie survives with less than what is printed, and only more than the supply would make it pay.
    #[test]
    fn what_hardly_ever_survives_is_not_said_to_survive_never() {
        assert_eq!((percent(1e-9), percent(1.0 - 1e-9)), ("< 0.0001 %".into(), "> 99.9999 %".into()));
        let setting = Setting {
            audit_rate: 0.5,
            second_rate: 0.95,
            auditors: 8,
            colluding: 0,
            stake: 2_000.0,
            bounty_share: 0.5,
            bounty_cap: 2_000.0,
            gain: 500.0,
            rounds: 12,
        };
        let odds = &setting.odds(1)[0];
        assert!(odds.survival > 0.0 && odds.bribe.is_none() && setting.bribe().is_finite());
        let line = odds.line();
        assert!(
            line.contains("survives with < 0.0001 %") && line.ends_with("no bribe within the supply makes lying pay"),
            "{line}"
        );
        let all = Setting { audit_rate: 1.0, ..setting }.odds(1)[0].line();
        assert!(all.contains("survives with 0 %") && all.ends_with(": no bribe makes lying pay"), "{all}");
    }
}
