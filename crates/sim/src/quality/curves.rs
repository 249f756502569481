//! Curves of the held-out loss on which quality is played: what full work gives, how it scatters, and what changes on the way.

/// A smooth curve over rounds of full work, in nats: from 7 down towards 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A power of the work done: exponent, and rounds that were worked before.
    Power(f64, f64),
    /// Each improvement this part of the one before.
    Decay(f64),
}

/// What is played, at the usual paces of training and beyond.
pub(crate) const SHAPES: [Shape; 13] = [
    Shape::Power(0.1, 0.0),
    Shape::Power(0.3, 0.0),
    Shape::Power(0.5, 0.0),
    Shape::Power(1.0, 0.0),
    Shape::Power(0.1, 5.0),
    Shape::Power(0.5, 5.0),
    Shape::Power(1.0, 5.0),
    Shape::Decay(0.6),
    Shape::Decay(0.75),
    Shape::Decay(0.8),
    Shape::Decay(0.9),
    Shape::Decay(0.95),
    Shape::Decay(0.99),
];

impl Shape {
    /// Loss after so many rounds of full work.
    fn loss(self, work: f64) -> f64 {
        match self {
            Shape::Power(exponent, before) => 1.0 + 6.0 * ((work + 1.0 + before) / (1.0 + before)).powf(-exponent),
            Shape::Decay(part) => 1.0 + 6.0 * part.powf(work),
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Shape::Power(exponent, 0.0) => format!("power {exponent}"),
            Shape::Power(exponent, before) => format!("power {exponent} after {before} rounds"),
            Shape::Decay(part) => format!("decay {part}"),
        }
    }
}

/// Nats of a round's full work below which a curve counts as flat: the scores' last digits would be parts of it that count.
const FLAT: f64 = 200e-6;

/// What patrons change on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change {
    Nothing,
    /// Every six rounds the mixture, and with it how much of the improvement counts.
    Mixture,
    /// Every eight rounds the learning rate, and with it how far a round's work gets.
    Rate,
}

impl Change {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Change::Nothing => "nothing",
            Change::Mixture => "the mixture",
            Change::Rate => "the learning rate",
        }
    }
}

/// Numbers that look random, the same on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    fn part(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of several.
    pub(crate) fn choose<T: Copy>(&mut self, among: &[T]) -> T {
        among[(self.part() * among.len() as f64) as usize]
    }

    /// Of a normal distribution with mean 0 and variance 1.
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.part()).ln()).sqrt() * (std::f64::consts::TAU * self.part()).cos()
    }
}

/// Where and how a job is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) shape: Shape,
    pub(crate) change: Change,
    /// Standard deviation of an improvement, as a part of it. It lies in the scores: what a round gains by chance the next one lacks.
    pub(crate) scatter: f64,
    /// Improvements of the job: its scored rounds less the first.
    pub(crate) rounds: usize,
}

/// How much of the work that could be in the model a coalition puts there, round by round.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work<'a> {
    /// All of it.
    Honest,
    /// A part of what is outstanding, this round's work and all that was held back; below 0 the model gets worse.
    HeldBack(&'a [f64]),
    /// A part of the round's work; the rest is never done.
    Idle(&'a [f64]),
}

impl Work<'_> {
    /// Work in the model after a round: what was there, what this round's work is, and what there would be of honest work.
    fn after(self, round: usize, before: f64, step: f64, full: f64) -> f64 {
        let work = match self {
            Work::Honest => full,
            Work::HeldBack(parts) => before + parts[round] * (full - before),
            Work::Idle(parts) => before + parts[round] * step,
        };
        work.max(0.0)
    }
}

impl World {
    /// Improvements of a job in micro-nats, as its scores tell them, until its curve is flat.
    pub(crate) fn improvements(&self, work: Work, seed: u64) -> Vec<u32> {
        let mut random = Random::new(seed);
        let (mut speed, mut seen, mut done, mut full, mut chance) = (1.0f64, 1.0, 0.0, 0.0, 0.0);
        let mut improvements = Vec::with_capacity(self.rounds);
        for round in 0..self.rounds {
            match self.change {
                Change::Mixture if round % 6 == 5 => seen = random.choose(&[0.7, 0.85, 1.2, 1.4]),
                Change::Rate if round % 8 == 5 => speed = (speed * random.choose(&[0.75, 4.0 / 3.0])).clamp(0.5, 2.0),
                _ => {}
            }
            full += speed;
            let after = work.after(round, done, speed, full);
            let full_step = self.shape.loss(done) - self.shape.loss(done + speed);
            if full_step < FLAT {
                break;
            }
            let next_chance = random.normal() * self.scatter / std::f64::consts::SQRT_2 * full_step;
            let nats = seen * (self.shape.loss(done) - self.shape.loss(after) + chance - next_chance);
            (done, chance) = (after, next_chance);
            improvements.push((nats * 1e6).clamp(0.0, f64::from(u32::MAX)) as u32);
        }
        improvements
    }
}
