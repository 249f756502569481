//! Emission, yield and fees over years of assumed demand.

use anyhow::Result;
use serde::Serialize;
use sip_protocol::{
    admin::config::{Config, Parameters},
    ground::units::{CAP, TOKEN},
};
use sip_protocol::{
    ground::schedule::{NODES, ONE, STAKING, Schedule, YEAR_SLOTS, vested},
    money::emission::{Emission, Phase, Standing},
    stake::yield_share::YieldShare,
};
use sip_report::chart::{Series, escape, lines_over};
use sip_report::{close_page, open_page};
use std::fmt::Write as _;

/// Demand for one assumed future: fees burned per epoch, of D_ref, by the year.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    demand: fn(f64) -> f64,
}

/// The futures.
pub const SCENARIOS: [Scenario; 3] = [
    Scenario { name: "little demand", demand: |year| 0.03 * (year / 2.0).min(1.0) },
    Scenario { name: "steady growth", demand: |year| 0.5 / (1.0 + (-(year - 4.0)).exp()) },
    Scenario {
        name: "boom and bust",
        demand: |year| match year {
            y if y < 3.0 => 0.2 * y,
            y if y < 4.0 => 0.6 - 0.55 * (y - 3.0),
            y => 0.05 + 0.03 * (y - 4.0),
        },
    },
];

/// Sums of one year; tokens unless it says otherwise.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Year {
    /// From 1.
    pub year: u32,
    /// Released to the stream for stake.
    pub released_staking: f64,
    /// Released to the stream for nodes.
    pub released_nodes: f64,
    /// Earned by stake.
    pub paid_to_stake: f64,
    /// Earned by nodes.
    pub paid_to_nodes: f64,
    /// Burned out of fees.
    pub fees_burned: f64,
    /// What expired.
    pub returned_to_reserve: f64,
    /// What a staked token earned in the year, in percent.
    pub yield_percent: f64,
    /// Mean over the year's epochs, in percent.
    pub utilisation_percent: f64,
    /// At the end of the year: minted less burned.
    pub supply: f64,
    /// Vested of the bucket of the team.
    pub team_vested: f64,
    /// The phase at the end of the year.
    pub phase: &'static str,
}

/// What became of a future.
#[derive(Serialize)]
pub struct Outcome {
    /// Its name.
    pub scenario: &'static str,
    /// Year by year.
    pub years: Vec<Year>,
}

/// What a phase is called.
pub fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::LowDemand => "low demand",
        Phase::Growing => "growing",
        Phase::HighEfficiency => "high efficiency",
        Phase::FeeDominated => "fee-dominated",
    }
}

fn tokens(amount: u64) -> f64 {
    amount as f64 / TOKEN as f64
}

/// Plays a future over years, with so many percent of the supply staked.
///
/// # Errors
/// Where the rules refuse a step, which they do for no share of 1 to 90 percent.
pub fn simulate(scenario: &Scenario, years: u32, staked_percent: u64) -> Result<Outcome> {
    let schedule = Schedule::DEFAULT;
    let mut config: Config = bytemuck::Zeroable::zeroed();
    config.genesis(&[0; 32], &Parameters::DEFAULT)?;
    let team = config.buckets.team;
    let mut emission = Emission::default();
    emission.initialise(&schedule, 0)?;
    let mut share = YieldShare::default();
    let mut present = Standing { stake: CAP / 100 * staked_percent, ..Standing::default() };
    emission.settle(&mut share, &present)?;
    let mut sums = vec![Year::default(); years as usize];
    let mut counts = vec![0.0; years as usize];
    loop {
        let slot = emission.end_slot;
        let at = (slot / YEAR_SLOTS) as usize;
        let Some(year) = sums.get_mut(at) else { break };
        let demand = (scenario.demand)(slot as f64 / YEAR_SLOTS as f64).max(0.0);
        // What is burned has to exist: never more than a thousandth of the supply in an epoch.
        let fees = ((demand * schedule.demand_reference as f64) as u64).min((CAP - config.burned) / 1_000);
        config.record_burn(fees)?;
        emission.record_burn(fees)?;
        // Nodes follow demand, each with the reference's work.
        let nodes = ((schedule.nodes_reference as f64 * demand.clamp(0.05, 10.0)) as u64).max(1);
        let work = nodes * schedule.power_reference;
        emission.record_round(nodes, work);
        let turned = emission.turn(&mut config, slot)?;
        let paid = emission.draw(&config, work)?;
        let stake = (CAP - config.burned) / 100 * staked_percent;
        present.integral.accumulate(present.stake, slot - present.slot)?;
        present = Standing { stake, slot, ..present };
        let earned = emission.settle(&mut share, &present)?;
        year.released_staking += tokens(turned.released[STAKING]);
        year.released_nodes += tokens(turned.released[NODES]);
        year.paid_to_stake += tokens(earned);
        year.paid_to_nodes += tokens(paid);
        year.fees_burned += tokens(fees);
        year.returned_to_reserve += tokens(turned.expired);
        year.yield_percent += 100.0 * earned as f64 / stake as f64;
        year.utilisation_percent += 100.0 * emission.utilisation as f64 / ONE as f64;
        year.supply = tokens(CAP - config.burned);
        year.team_vested = tokens(vested(team, slot)?);
        year.phase = phase_name(emission.phase());
        counts[at] += 1.0;
    }
    for (number, (year, count)) in sums.iter_mut().zip(counts).enumerate() {
        year.year = number as u32 + 1;
        year.utilisation_percent /= f64::max(count, 1.0);
    }
    Ok(Outcome { scenario: scenario.name, years: sums })
}

/// The plots as a page.
pub fn page(outcomes: &[Outcome], staked: u64) -> String {
    let mut html = open_page("SIP emission");
    let _ = write!(
        html,
        "<h1>Emission, yield and fees</h1><p class=\"soft\">Computed by the protocol's own transitions with the default schedule; {staked} % of the supply is \
         staked. Each line is an assumed future of demand, not a forecast.</p>"
    );
    type Column = fn(&Year) -> f64;
    let columns: [(&str, Column); 6] = [
        ("Released per year, million tokens", |y| (y.released_staking + y.released_nodes) / 1e6),
        ("Fees burned per year, million tokens", |y| y.fees_burned / 1e6),
        ("Yield of stake per year, percent", |y| y.yield_percent),
        ("Paid to nodes per year, million tokens", |y| y.paid_to_nodes / 1e6),
        ("Utilisation, percent", |y| y.utilisation_percent),
        ("Supply, million tokens", |y| y.supply / 1e6),
    ];
    html.push_str("<div class=\"grid2\">");
    for (title, column) in columns {
        let series: Vec<Series<'_>> = outcomes
            .iter()
            .map(|o| Series { name: o.scenario, values: o.years.iter().map(column).collect() })
            .collect();
        let _ = write!(
            html,
            "<div class=\"card\"><h2>{}</h2>{}</div>",
            escape(title),
            lines_over("year", title, &series, 1)
        );
    }
    close_page(&(html + "</div>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_futures_differ_as_the_rules_say() {
        let outcomes: Vec<Outcome> = SCENARIOS.iter().map(|s| simulate(s, 10, 30).unwrap()).collect();
        let [little, growth, bust] = &outcomes[..] else { panic!("three scenarios") };
        assert!(little.years[..8].iter().all(|y| y.phase == "low demand"));
        assert_eq!(growth.years[9].phase, "fee-dominated");
        assert!(growth.years[9].released_nodes < growth.years[4].released_nodes / 4.0, "emission gives way to fees");
        assert!(bust.years[4].utilisation_percent < bust.years[2].utilisation_percent / 3.0);
        let released: f64 = growth.years.iter().map(|y| y.released_staking + y.released_nodes).sum();
        assert!(released <= tokens(CAP) / 2.0);
        assert_eq!(growth.years[9].team_vested, tokens(CAP / 100 * 15));
    }
}
