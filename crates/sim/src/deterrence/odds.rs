//! What of a job's lies survives, for no and for one colluding auditor, and what looking costs: what a job's page, `sip security` and a
//! run's report state.

use sip_protocol::training::job::JobSpec;
use sip_protocol::{
    admin::config::Parameters,
    ground::units::{CAP, TOKEN},
};
use sip_report::odds::{LIES, Odds};

use super::formulas::Setting;
use super::trials::survivors;

/// All SIP that there can be: no bribe is more.
const ALL_SIP: f64 = (CAP / TOKEN) as f64;

/// The first of these seeds on a job's page and in a run's report, so that both say the same.
pub const ODDS_SEED: u64 = 1;

impl Setting {
    /// A job of so many trainers and auditors by what stands on its page. A false segment brings at most what an equal part of a round's
    /// reward for trainers is.
    pub fn of_job(spec: &JobSpec, parameters: &Parameters, trainers: u32, auditors: u32) -> Setting {
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
    pub fn odds(&self, seed: u64) -> Vec<Odds> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use sip_report::odds::percent;

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
