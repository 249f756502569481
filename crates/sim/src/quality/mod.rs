//! The rule of quality on loss curves, and what a coalition of trainers could make of it, by the protocol's own transition.

mod curves;
mod strategies;

use curves::{Change, SHAPES, Shape, Work, World};
use serde::Serialize;
use sip_protocol::training::quality::Fit;
use sip_protocol::training::round::QUALITY_ONE;
use sip_report::chart::{Series, lines};
use sip_report::{close_page, open_page};
use std::fmt::Write as _;
use strategies::{Found, on_other_jobs, search};

/// Scatter of improvements that is played; the demo's is 0.2 to 0.3.
const SCATTERS: [f64; 3] = [0.0, 0.1, 0.2];
/// Scored rounds less one of the jobs that are played: as short as the demo, and long.
const ROUNDS: [usize; 2] = [11, 60];
/// Improvements of `sip demo` with seed 1, micro-nats: a liar excluded after three rounds, the learning rate raised
/// in the fifth, the mixture changed in the seventh.
pub const DEMO: [u32; 11] =
    [458_740, 309_705, 169_528, 142_254, 59_561, 141_780, 124_531, 81_904, 68_682, 72_728, 71_860];

/// Honest work under one condition, over all shapes and lengths.
#[derive(Serialize)]
pub struct Honest {
    /// Scatter of improvements.
    pub scatter: f64,
    /// What changes within the job.
    pub change: &'static str,
    /// Mean quality over all curves.
    pub mean: f64,
    /// The least of a curve.
    pub worst: f64,
    /// That curve.
    pub worst_curve: String,
}

/// A strategy against honest work, in rounds that are paid.
#[derive(Serialize)]
pub struct Tried {
    /// The curve.
    pub curve: String,
    /// Scatter of improvements.
    pub scatter: f64,
    /// The strategy.
    pub strategy: String,
    /// Rounds paid to honest work on the same jobs.
    pub honest: f64,
    /// Rounds paid to the strategy.
    pub pay: f64,
    /// Standard error of the difference.
    pub error: f64,
}

impl Tried {
    fn new(world: &World, strategy: &str, found: &Found) -> Tried {
        let Found { honest, pay, error } = *found;
        Tried { curve: world.shape.name(), scatter: world.scatter, strategy: strategy.into(), honest, pay, error }
    }
}

/// Quality of each of a job's improvements.
pub fn qualities(improvements: &[u32]) -> Vec<f64> {
    let mut fit = Fit::default();
    improvements.iter().map(|improvement| fit.judge(*improvement) as f64 / QUALITY_ONE as f64).collect()
}

/// Σ Q over a job's improvements.
fn paid(improvements: &[u32]) -> f64 {
    qualities(improvements).iter().sum()
}

/// Mean quality of honest work over jobs.
fn mean(world: &World, jobs: u64) -> f64 {
    let of_job = |seed| {
        let improvements = world.improvements(Work::Honest, seed);
        paid(&improvements) / improvements.len().max(1) as f64
    };
    (0..jobs).map(of_job).sum::<f64>() / jobs as f64
}

/// Honest work under every condition.
pub fn honest(jobs: u64) -> Vec<Honest> {
    let mut rows = Vec::new();
    for scatter in SCATTERS {
        for change in [Change::Nothing, Change::Mixture, Change::Rate] {
            let mut means = Vec::new();
            for (shape, rounds) in SHAPES.into_iter().flat_map(|shape| ROUNDS.map(|rounds| (shape, rounds))) {
                let world = World { shape, change, scatter, rounds };
                means.push((mean(&world, jobs), world));
            }
            let mean = means.iter().map(|(mean, _)| mean).sum::<f64>() / means.len() as f64;
            let Some((worst, world)) = means.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
            let worst_curve = format!("{}, {} rounds", world.shape.name(), world.rounds + 1);
            rows.push(Honest { scatter, change: change.name(), mean, worst, worst_curve });
        }
    }
    rows
}

/// A strategy: its name, whether the rest of a round's work can be put in later, and which part of it a round gets.
type Strategy = (&'static str, bool, fn(usize) -> f64);

/// Strategies that have a name.
const NAMED: [Strategy; 7] = [
    ("holds a round's work back", true, |round| if round == 10 { 0.0 } else { 1.0 }),
    ("hands its work in every second round", true, |round| (round % 2) as f64),
    ("holds half of what is outstanding back", true, |_| 0.5),
    ("makes the model worse every fourth round", true, |round| if round % 4 == 3 { -0.5 } else { 1.0 }),
    ("is idle in every fourth round", false, |round| if round % 4 == 3 { 0.0 } else { 1.0 }),
    ("works half from the tenth round on", false, |round| if round < 9 { 1.0 } else { 0.5 }),
    ("works 3 % less every round", false, |round| 0.97f64.powi(round as i32)),
];

/// Strategies by name and the best that a search found.
pub fn tried(jobs: u64, beginnings: u64) -> Vec<Tried> {
    let mut rows = Vec::new();
    for shape in [Shape::Power(0.5, 0.0), Shape::Decay(0.9)] {
        for scatter in SCATTERS {
            let world = World { shape, change: Change::Nothing, scatter, rounds: 24 };
            for (name, is_held_back, part) in NAMED {
                let parts: Vec<f64> = (0..world.rounds).map(part).collect();
                rows.push(Tried::new(&world, name, &on_other_jobs(&world, &parts, is_held_back, 0..jobs)));
            }
            rows.push(Tried::new(&world, "the best that a search found", &search(&world, beginnings, jobs)));
        }
    }
    rows
}

/// The rows, for a terminal.
pub fn tables(honest: &[Honest], tried: &[Tried]) -> String {
    let mut text = format!(
        "Honest work: mean quality of {} curves, jobs of {} and {} rounds\n  scatter  changed             mean   worst  on\n",
        SHAPES.len(),
        ROUNDS[0] + 1,
        ROUNDS[1] + 1
    );
    for Honest { scatter, change, mean, worst, worst_curve } in honest {
        let _ = writeln!(text, "  {:>5.0} %  {change:<18} {mean:>5.3}   {worst:>5.3}  {worst_curve}", scatter * 100.0);
    }
    let demo: Vec<String> = qualities(&DEMO).iter().map(|quality| format!("{quality:.2}")).collect();
    let _ = writeln!(text, "  the demo's own curve: {}", demo.join(" "));
    text += "\nA coalition of all trainers over 24 improvements: rounds paid, of honest work on the same jobs, difference\n";
    let mut last = String::new();
    for Tried { curve, scatter, strategy, honest, pay, error } in tried {
        let head = format!("  {curve}, scatter {:.0} %\n", scatter * 100.0);
        if head != last {
            text += &head;
            last = head;
        }
        let _ = writeln!(text, "    {strategy:<42} {pay:>6.2}  {honest:>6.2}  {:>+6.2} ± {error:.2}", pay - honest);
    }
    text
}

/// The plots as a page.
pub fn page() -> String {
    let mut html = open_page("SIP quality")
        + "<h1>Quality against expectation</h1><p class=\"soft\">Computed by the protocol's own rules: what a round improves, what was expected of it, and what is paid for that.</p>";
    let mut fit = Fit::default();
    let mut expected = Vec::new();
    for improvement in DEMO {
        expected.push(f64::from(fit.expected()) / 1e6);
        fit.judge(improvement);
    }
    let seen = DEMO.iter().map(|improvement| f64::from(*improvement) / 1e6).collect();
    let series = [Series { name: "improvement", values: seen }, Series { name: "expected", values: expected }];
    html +=
        &card("The demo's improvements, and what was expected, in nats", &lines("The demo's improvements", &series, 2));
    let shapes = [Shape::Power(0.3, 0.0), Shape::Power(1.0, 0.0), Shape::Decay(0.75), Shape::Decay(0.95)];
    let names: Vec<String> = shapes.iter().map(|shape| shape.name()).collect();
    let series: Vec<Series> = shapes.iter().zip(&names).map(|(shape, name)| mean_quality(*shape, name)).collect();
    html += &card("Mean quality of honest work, scatter 20 %", &lines("Mean quality of honest work", &series, 2));
    let world = World { shape: Shape::Power(0.5, 0.0), change: Change::Nothing, scatter: 0.0, rounds: 24 };
    let series: Vec<Series> = std::iter::once(Series { name: "honest work", values: rising(&world, Work::Honest) })
        .chain(NAMED.iter().map(|(name, is_held_back, part)| {
            let parts: Vec<f64> = (0..world.rounds).map(part).collect();
            let work = if *is_held_back { Work::HeldBack(&parts) } else { Work::Idle(&parts) };
            Series { name, values: rising(&world, work) }
        }))
        .collect();
    let paid = lines("Rounds paid to a coalition", &series, 2);
    close_page(&(html + &card("Rounds paid to a coalition, a power 0.5 without scatter", &paid)))
}

/// A chart under its title.
fn card(title: &str, chart: &str) -> String {
    format!("<div class=\"card\"><h2>{title}</h2>{chart}</div>")
}

/// Mean quality by round over a hundred jobs.
fn mean_quality<'a>(shape: Shape, name: &'a str) -> Series<'a> {
    let world = World { shape, change: Change::Nothing, scatter: 0.2, rounds: 40 };
    let mut values = vec![0.0; world.rounds];
    for seed in 0..100 {
        for (value, quality) in values.iter_mut().zip(qualities(&world.improvements(Work::Honest, seed))) {
            *value += quality / 100.0;
        }
    }
    Series { name, values }
}

/// Rounds paid so far, by round.
fn rising(world: &World, work: Work) -> Vec<f64> {
    let mut sum = 0.0;
    let add = |quality: f64| {
        sum += quality;
        sum
    };
    qualities(&world.improvements(work, 0)).into_iter().map(add).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_work_on_usual_curves_is_paid_fully() {
        for row in honest(10) {
            let condition = format!("{} % scatter, {} changed", row.scatter * 100.0, row.change);
            assert!(row.mean >= 0.97, "{condition}: {}", row.mean);
            assert!(row.worst >= 0.90, "{condition}: {} on {}", row.worst, row.worst_curve);
        }
        assert!(qualities(&DEMO).iter().all(|quality| *quality == 1.0));
    }

    #[test]
    fn without_scatter_honest_work_is_paid_in_every_round_so_that_no_strategy_is_paid_more() {
        for (shape, rounds) in SHAPES.into_iter().flat_map(|shape| ROUNDS.map(|rounds| (shape, rounds))) {
            let world = World { shape, change: Change::Nothing, scatter: 0.0, rounds };
            let paid = qualities(&world.improvements(Work::Honest, 0));
            assert!(paid.iter().all(|quality| *quality == 1.0), "{}: {paid:?}", shape.name());
        }
    }

    /// Holding work back smooths what chance does to improvements. That is all that there is to gain, and it is next to nothing.
    #[test]
    fn no_strategy_that_a_search_finds_is_paid_more_than_honest_work_but_for_a_part_of_what_chance_takes() {
        for row in tried(8, 1) {
            let gain = row.pay - row.honest;
            let allowed = if row.scatter == 0.0 { 1e-9 } else { 0.005 * row.honest + 3.0 * row.error };
            assert!(gain <= allowed, "{} on {}, {}: {gain}", row.strategy, row.curve, row.scatter);
        }
    }
}
