//! The same job again and again, by the protocol's own transitions: the draw that selects a segment, the slash, the bounty.

use super::formulas::Setting;
use anyhow::{Result, anyhow};
use bytemuck::Zeroable;
use serde::Serialize;
use sip_proof::{Hash, HostSha256, Sha256};
use sip_protocol::ground::offence::{Offence, Penalties};
use sip_protocol::ground::units::TOKEN;
use sip_protocol::stake::pool::{Pool, PoolKind};
use sip_protocol::training::job::Job;
use sip_protocol::training::round::AuditorSeat;
use sip_protocol::training::second_draw;
use sip_protocol::training::segment::{self, Segment};

/// A mean over trials with its standard error.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Measured {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
}

/// Sums for a mean and its error.
#[derive(Default)]
struct Sum {
    count: f64,
    total: f64,
    squares: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.total += value;
        self.squares += value * value;
    }

    fn measured(&self) -> Measured {
        let mean = self.total / self.count;
        let variance = (self.squares / self.count - mean * mean).max(0.0);
        Measured { mean, error: (variance / self.count).sqrt() }
    }
}

/// What the trials gave.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Outcome {
    /// Part of the false segments that were found.
    pub detection: Measured,
    /// Part of the jobs in which the cheat was convicted.
    pub detection_over_the_job: Measured,
    /// What cheating brought, SIP.
    pub expected_profit: Measured,
    /// The same if an accomplice takes the bounty, SIP.
    pub expected_profit_with_accomplice: Measured,
}

/// The threshold of the draw's first four bytes for a rate.
pub fn threshold(audit_rate: f64) -> u32 {
    (audit_rate * 2f64.powi(32)).round().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// Plays the job so many times.
pub fn run(setting: &Setting, penalties: &Penalties, trials: u32, seed: u64) -> Result<Outcome> {
    let [mut drawn, mut convicted, mut profit, mut with_accomplice] = std::array::from_fn(|_| Sum::default());
    for trial in 0..trials {
        let seed = HostSha256::hashv(&[b"sip security", &seed.to_le_bytes(), &trial.to_le_bytes()]);
        let job = play(setting, penalties, &seed).map_err(|error| anyhow!(error.message()))?;
        for segment in 0..job.segments {
            drawn.add(f64::from(u8::from(job.taken.is_some() && segment + 1 == job.segments)));
        }
        convicted.add(f64::from(u8::from(job.taken.is_some())));
        let gained = f64::from(job.segments - u32::from(job.taken.is_some())) * setting.gain;
        let (lost, earned) = job.taken.unwrap_or((0.0, 0.0));
        profit.add(gained - lost);
        with_accomplice.add(gained - lost + earned);
    }
    Ok(Outcome {
        detection: drawn.measured(),
        detection_over_the_job: convicted.measured(),
        expected_profit: profit.measured(),
        expected_profit_with_accomplice: with_accomplice.measured(),
    })
}

/// Lies told once each, one a seed, and how many of them nobody found.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Survivors {
    /// Lies that were told.
    pub lies: u32,
    /// Of them, those that survived.
    pub survived: u32,
    /// With 99 % confidence the chance that a lie survives is at most this.
    pub at_most: f64,
    /// Replays of honest auditors for a segment of honest work, on average.
    pub replays: f64,
}

/// Tells one lie by each of so many seeds.
pub fn survivors(setting: &Setting, lies: u32, seed: u64) -> Survivors {
    let (mut survived, mut replays) = (0, 0);
    for lie in 0..lies {
        let seed = HostSha256::hashv(&[b"sip security lie", &seed.to_le_bytes(), &lie.to_le_bytes()]);
        let mut draws = Draws::new(setting, &seed, 1);
        survived += u32::from(!draws.find(setting, &seed, 0));
        // The same round without a lie and without a liar.
        let honest = Setting { colluding: 0, ..*setting };
        let mut draws = Draws::new(&honest, &seed, 1);
        draws.find(&honest, &seed, 0);
        replays += draws.replays;
    }
    let at_most = upper_bound(survived, lies);
    Survivors { lies, survived, at_most, replays: f64::from(replays) / f64::from(lies.max(1)) }
}

/// The greatest chance at which so few of so many still happen in one of a hundred cases: the exact one-sided bound.
fn upper_bound(happened: u32, of: u32) -> f64 {
    let few = |chance: f64| {
        let (mut term, mut sum) = ((1.0 - chance).powi(of as i32), 0.0);
        for count in 0..=happened {
            sum += term;
            term *= f64::from(of - count) / f64::from(count + 1) * chance / (1.0 - chance);
        }
        sum
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if few(middle) > 0.01 { low = middle } else { high = middle }
    }
    high
}

/// The hash chains of a job's auditors, honest ones first, and what these have replayed.
struct Draws {
    chains: Vec<Vec<Hash>>,
    honest: usize,
    replays: u32,
}

impl Draws {
    /// Chains for so many rounds: two preimages each, the second comes with the vote.
    fn new(setting: &Setting, seed: &Hash, rounds: u32) -> Draws {
        let chain = |auditor: u32| {
            let first = HostSha256::hashv(&[seed, b"auditor", &auditor.to_le_bytes()]);
            std::iter::successors(Some(first), |last| Some(HostSha256::hashv(&[last])))
                .take(2 * rounds as usize)
                .collect()
        };
        let honest = setting.auditors.saturating_sub(setting.colluding) as usize;
        Draws { chains: (0..setting.auditors).map(chain).collect(), honest, replays: 0 }
    }

    /// Whether an honest auditor replays the round's false segment, by its first draw or by its second.
    fn find(&mut self, setting: &Setting, seed: &Hash, round: u32) -> bool {
        let name = |what: &[u8]| HostSha256::hashv(&[seed, what, &round.to_le_bytes()]);
        let (address, round_address) = (name(b"segment"), name(b"round"));
        let mut segment = Segment::zeroed();
        segment.status = segment::COMMITTED;
        segment.claim.accumulator_root = name(b"leaves");
        let mut replays = 0;
        for chain in &mut self.chains[..self.honest] {
            let mut next = || chain.pop().unwrap_or_default();
            let (first, second) = (next(), next());
            let mut seat = AuditorSeat::zeroed();
            (seat.operator, seat.preimage) = ([2; 32], first);
            let is_drawn = segment.is_drawn::<HostSha256>(&address, &seat, threshold(setting.audit_rate));
            let place = segment.claim.place;
            let again =
                second_draw::selects::<HostSha256>(&second, &round_address, place, threshold(setting.second_rate));
            replays += u32::from(is_drawn || again);
        }
        self.replays += replays;
        replays > 0
    }
}

/// How one job went for the cheat.
struct Played {
    /// Segments that it committed.
    segments: u32,
    /// Bond that it lost and bounty of the accuser, SIP.
    taken: Option<(f64, f64)>,
}

fn play(setting: &Setting, penalties: &Penalties, seed: &Hash) -> sip_protocol::Result<Played> {
    let mut job = Job::zeroed();
    job.parameters.penalties = *penalties;
    let mut pool = Pool::zeroed();
    pool.initialise(PoolKind::Trainer, &[1; 32], 0, 0);
    pool.add_bond((setting.stake * TOKEN as f64) as u64, 0, 0)?;
    let mut draws = Draws::new(setting, seed, setting.rounds);
    for round in 0..setting.rounds {
        if draws.find(setting, seed, round) {
            let mut segment = Segment::zeroed();
            segment.status = segment::COMMITTED;
            segment.slice = pool.self_bond;
            let slashed = segment.convict(&mut job, &mut pool, Offence::ConvictedSegment, 0)?;
            let earned = penalties.bounty(slashed.from_bond)?;
            let sip = |amount: u64| amount as f64 / TOKEN as f64;
            return Ok(Played { segments: round + 1, taken: Some((sip(slashed.from_bond), sip(earned))) });
        }
    }
    Ok(Played { segments: setting.rounds, taken: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_demos_rates_one_lie_of_a_hundred_survives_at_most() {
        let demo = Setting {
            audit_rate: 0.5,
            second_rate: 0.95,
            auditors: 2,
            colluding: 0,
            stake: 2_000.0,
            bounty_share: 0.5,
            bounty_cap: 2_000.0,
            gain: 500.0,
            rounds: 12,
        };
        let Survivors { at_most, replays, .. } = survivors(&demo, 1_000, 1);
        assert!(demo.survival() <= 0.01 && at_most <= 0.01, "{at_most}");
        assert!((replays - demo.replays()).abs() < 0.1, "{replays} replays, predicted {}", demo.replays());
        let colluding = Setting { colluding: 1, ..demo };
        let measured = survivors(&colluding, 1_000, 1);
        let predicted = colluding.survival() * 1_000.0;
        // Four standard errors.
        let allowed = 4.0 * predicted.sqrt();
        assert!((f64::from(measured.survived) - predicted).abs() < allowed, "{measured:?}, predicted {predicted}");
    }

    #[test]
    fn the_bound_is_the_exact_one() {
        // Nothing in a thousand: 1 − 0.01^(1/1000).
        assert!((upper_bound(0, 1_000) - (1.0 - 0.01f64.powf(1e-3))).abs() < 1e-9);
        assert!((upper_bound(1, 10) - 0.5044).abs() < 1e-3);
    }

    /// Four standard errors hold in all but 6 of 100,000 cases; the seed is fixed.
    #[test]
    fn the_transitions_do_what_the_formulas_say() {
        let base = Setting {
            audit_rate: 0.5,
            second_rate: 0.0,
            auditors: 2,
            colluding: 0,
            stake: 2_000.0,
            bounty_share: 0.5,
            bounty_cap: 2_000.0,
            gain: 500.0,
            rounds: 12,
        };
        let settings = [
            base,
            Setting { colluding: 1, ..base },
            Setting { audit_rate: 0.2, second_rate: 0.3, ..base },
            Setting { audit_rate: 0.05, second_rate: 0.2, auditors: 8, colluding: 3, gain: 40.0, ..base },
            Setting { audit_rate: 0.1, auditors: 1, rounds: 3, stake: 9_000.0, ..base },
        ];
        for setting in settings {
            let outcome = run(&setting, &Penalties::DEFAULT, 4_000, 7).unwrap();
            let pairs = [
                (outcome.detection, setting.detection()),
                (outcome.detection_over_the_job, setting.detection_over_the_job()),
                (outcome.expected_profit, setting.expected_profit()),
                (outcome.expected_profit_with_accomplice, setting.expected_profit_with_accomplice()),
            ];
            for (measured, predicted) in pairs {
                let difference = (measured.mean - predicted).abs();
                // Where nearly all trials end alike, the error's own estimate is poor: one trial in the sum is allowed for.
                let allowed = 4.0 * measured.error + (setting.stake + setting.gain * 12.0).min(1.0) / 4_000.0;
                assert!(difference <= allowed, "{setting:?}: {measured:?}, predicted {predicted}");
            }
        }
    }
}
