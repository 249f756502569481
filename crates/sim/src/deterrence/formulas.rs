//! What audits by chance are worth, in closed form. `docs/security.md` derives every line; amounts are in SIP.

/// A job, and someone who cheats in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Part of the segments that one auditor draws, 0 to 1.
    pub audit_rate: f64,
    /// Part of what one auditor did not draw that it draws again, 0 to 1.
    pub second_rate: f64,
    /// Auditors of the job.
    pub auditors: u32,
    /// Auditors among them that say nothing.
    pub colluding: u32,
    /// Own bond of the cheat.
    pub stake: f64,
    /// Part of a convicted bond that the accuser earns, 0 to 1.
    pub bounty_share: f64,
    /// Most that the accuser earns.
    pub bounty_cap: f64,
    /// What a false segment brings that counts: its reward and the work that was saved.
    pub gain: f64,
    /// Rounds of the job, in each of which the cheat commits a false segment until it is convicted.
    pub rounds: u32,
}

/// Probability that one lie survives where so many auditors replay what they draw: ((1 − q) · (1 − q₂))^honest.
pub fn survival(audit_rate: f64, second_rate: f64, honest: u32) -> f64 {
    ((1.0 - audit_rate) * (1.0 - second_rate)).powi(honest as i32)
}

/// Replays that auditors do for one segment of honest work, in segments: A · (q + (1 − q) · q₂).
pub fn replays(audit_rate: f64, second_rate: f64, auditors: u32) -> f64 {
    f64::from(auditors) * (audit_rate + (1.0 - audit_rate) * second_rate)
}

impl Setting {
    /// Probability that one lie, a given false segment, survives: no honest auditor draws it, nor draws it again. What colluding auditors
    /// draw changes nothing: each honest one draws again among what it did not draw itself.
    pub fn survival(&self) -> f64 {
        survival(self.audit_rate, self.second_rate, self.auditors.saturating_sub(self.colluding))
    }

    /// Probability that a given false segment is found by an honest auditor.
    pub fn detection(&self) -> f64 {
        1.0 - self.survival()
    }

    /// Probability that a lie of a rational liar is in the model: it lies only where that pays on average, one at a time, and the first lie
    /// decides, since a conviction ends its work and opens its past.
    pub fn survival_of_a_rational_liar(&self) -> f64 {
        if self.profit_of_a_lie(self.stake - self.bounty()) > 0.0 { self.survival() } else { 0.0 }
    }

    /// What a lie has to bring from elsewhere for it to pay, beside its gain here: SIP; 0 where it pays as it is, infinite where every lie
    /// is found.
    pub fn bribe(&self) -> f64 {
        let lost = -self.profit_of_a_lie(self.stake - self.bounty());
        if lost <= 0.0 { 0.0 } else { lost / self.survival() }
    }

    fn profit_of_a_lie(&self, loss: f64) -> f64 {
        self.survival() * self.gain - self.detection() * loss
    }

    /// Replays for one segment of honest work: [`replays`].
    pub fn replays(&self) -> f64 {
        replays(self.audit_rate, self.second_rate, self.auditors)
    }

    /// Probability that the cheat is convicted before the job ends: 1 − (1 − p)^R.
    pub fn detection_over_the_job(&self) -> f64 {
        1.0 - (1.0 - self.detection()).powi(self.rounds as i32)
    }

    /// What an accuser earns from the cheat's bond: min(β · S, cap).
    pub fn bounty(&self) -> f64 {
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
    pub fn expected_profit(&self) -> f64 {
        self.profit(self.stake)
    }

    /// The same if an accomplice always is the first accuser, and so the bounty stays with the cheat.
    pub fn expected_profit_with_accomplice(&self) -> f64 {
        self.profit(self.stake - self.bounty())
    }

    /// The least own bond with which cheating gains nothing on average: g · (1 − p) / p; infinite where nobody looks.
    pub fn least_stake(&self) -> f64 {
        let detection = self.detection();
        if detection == 0.0 { f64::INFINITY } else { self.gain * (1.0 - detection) / detection }
    }

    /// The same against a cheat whose accomplice takes the bounty: the least S with S − min(β · S, cap) ≥ g · (1 − p) / p.
    pub fn least_stake_with_accomplice(&self) -> f64 {
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
        second_rate: 0.0,
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
    fn a_second_draw_leaves_what_both_miss_and_costs_what_it_replays() {
        let demo = Setting { audit_rate: 0.5, second_rate: 0.95, auditors: 2, colluding: 0, ..SETTING };
        assert!((demo.survival() - 0.025f64.powi(2)).abs() < 1e-15);
        assert!((demo.replays() - 1.95).abs() < 1e-15);
        let colluding = Setting { colluding: 1, ..demo };
        assert!((colluding.survival() - 0.025).abs() < 1e-15, "one that draws and says nothing shields nothing");
        assert_eq!(colluding.replays(), demo.replays(), "nobody knows who colludes");
    }

    #[test]
    fn a_rational_liar_lies_only_where_it_pays() {
        assert_eq!(SETTING.survival_of_a_rational_liar(), 0.0);
        let greedy = Setting { gain: 1e6, ..SETTING };
        assert_eq!((greedy.survival_of_a_rational_liar(), greedy.bribe()), (greedy.survival(), 0.0));
        let bribed = Setting { gain: SETTING.gain + SETTING.bribe() * 1.001, ..SETTING };
        assert!(SETTING.bribe() > 0.0 && bribed.survival_of_a_rational_liar() > 0.0);
        assert_eq!(Setting { audit_rate: 1.0, ..SETTING }.bribe(), f64::INFINITY);
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
