//! What audits by chance are worth, in closed form. `docs/security.md` derives every line; amounts are in SIP.

/// A job, and someone who cheats in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Setting {
    /// Part of the segments that one auditor draws, 0 to 1.
    pub(crate) audit_rate: f64,
    /// Auditors of the job.
    pub(crate) auditors: u32,
    /// Auditors among them that say nothing.
    pub(crate) colluding: u32,
    /// Own bond of the cheat.
    pub(crate) stake: f64,
    /// Part of a convicted bond that the accuser earns, 0 to 1.
    pub(crate) bounty_share: f64,
    /// Most that the accuser earns.
    pub(crate) bounty_cap: f64,
    /// What a false segment brings that counts: its reward and the work that was saved.
    pub(crate) gain: f64,
    /// Rounds of the job, in each of which the cheat commits a false segment until it is convicted.
    pub(crate) rounds: u32,
}

impl Setting {
    /// Probability that an honest auditor draws a given segment: 1 − (1 − q)^(A − C).
    pub(crate) fn detection(&self) -> f64 {
        1.0 - (1.0 - self.audit_rate).powi(self.auditors.saturating_sub(self.colluding) as i32)
    }

    /// Probability that the cheat is convicted before the job ends: 1 − (1 − p)^R.
    pub(crate) fn detection_over_the_job(&self) -> f64 {
        1.0 - (1.0 - self.detection()).powi(self.rounds as i32)
    }

    /// What an accuser earns from the cheat's bond: min(β · S, cap).
    pub(crate) fn bounty(&self) -> f64 {
        (self.bounty_share * self.stake).min(self.bounty_cap)
    }

    /// Rounds in which the cheat takes part, on average: (1 − (1 − p)^R) / p, and R where p is 0.
    fn rounds_played(&self) -> f64 {
        let detection = self.detection();
        if detection == 0.0 { f64::from(self.rounds) } else { self.detection_over_the_job() / detection }
    }

    fn profit(&self, loss: f64) -> f64 {
        let detection = self.detection();
        ((1.0 - detection) * self.gain - detection * loss) * self.rounds_played()
    }

    /// What the cheat gains on average if a stranger convicts it: ((1 − p) · g − p · S) · (rounds played).
    pub(crate) fn expected_profit(&self) -> f64 {
        self.profit(self.stake)
    }

    /// The same if an accomplice always is the first accuser, and so the bounty stays with the cheat.
    pub(crate) fn expected_profit_with_accomplice(&self) -> f64 {
        self.profit(self.stake - self.bounty())
    }

    /// The least own bond with which cheating gains nothing on average: g · (1 − p) / p; infinite where nobody looks.
    pub(crate) fn least_stake(&self) -> f64 {
        let detection = self.detection();
        if detection == 0.0 { f64::INFINITY } else { self.gain * (1.0 - detection) / detection }
    }

    /// The same against a cheat whose accomplice takes the bounty: the least S with S − min(β · S, cap) ≥ g · (1 − p) / p.
    pub(crate) fn least_stake_with_accomplice(&self) -> f64 {
        let lost = self.least_stake();
        let by_share = if self.bounty_share < 1.0 { lost / (1.0 - self.bounty_share) } else { f64::INFINITY };
        by_share.min(lost + self.bounty_cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTING: Setting = Setting {
        audit_rate: 0.25,
        auditors: 4,
        colluding: 1,
        stake: 2_000.0,
        bounty_share: 0.5,
        bounty_cap: 2_000.0,
        gain: 300.0,
        rounds: 12,
    };

    #[test]
    fn detection_is_that_of_independent_draws() {
        assert!((SETTING.detection() - (1.0 - 0.75f64.powi(3))).abs() < 1e-15);
        assert_eq!(Setting { colluding: 4, ..SETTING }.detection(), 0.0);
        assert_eq!(Setting { audit_rate: 1.0, ..SETTING }.detection(), 1.0);
    }

    #[test]
    fn at_the_least_stake_cheating_gains_nothing() {
        for rounds in [1, 2, 50] {
            for audit_rate in [0.01, 0.5, 0.99] {
                let setting = Setting { rounds, audit_rate, ..SETTING };
                let exact = Setting { stake: setting.least_stake(), ..setting };
                assert!(exact.expected_profit().abs() < 1e-6 * exact.stake);
                assert!(Setting { stake: exact.stake * 0.99, ..setting }.expected_profit() > 0.0);
                assert!(Setting { stake: exact.stake * 1.01, ..setting }.expected_profit() < 0.0);
                let exact = Setting { stake: setting.least_stake_with_accomplice(), ..setting };
                assert!(exact.expected_profit_with_accomplice().abs() < 1e-6 * exact.stake);
            }
        }
    }

    #[test]
    fn where_nobody_looks_every_round_pays_and_no_stake_deters() {
        let setting = Setting { colluding: 4, ..SETTING };
        assert_eq!(setting.expected_profit(), 12.0 * 300.0);
        assert_eq!(setting.least_stake(), f64::INFINITY);
    }

    #[test]
    fn who_convicts_itself_loses() {
        assert!(SETTING.stake - SETTING.bounty() >= SETTING.stake / 2.0);
        let rich = Setting { stake: 1e6, ..SETTING };
        assert_eq!(rich.bounty(), 2_000.0);
    }
}
