//! What governance may set, by name: the parameters and the schedule of emission.

use anyhow::{Result, anyhow, bail};
use sip_protocol::config::Parameters;
use sip_protocol::emission::{NODES, STAKING, Schedule};

use super::figures::Unit;
use super::tokens::{self, Amount};

/// Where a setting is kept.
pub(super) enum Field<'a> {
    Tokens(&'a mut u64),
    Slots(&'a mut u64),
    Count(&'a mut u64),
    Billionths(&'a mut u64),
    Millionths(&'a mut u32),
    BasisPoints(&'a mut u16),
}

/// One thing that governance may set.
pub(super) struct Setting<T> {
    /// As lists say it; on the command line with dashes.
    pub(super) name: &'static str,
    field: fn(&mut T) -> Field<'_>,
}

const fn setting<T>(name: &'static str, field: fn(&mut T) -> Field<'_>) -> Setting<T> {
    Setting { name, field }
}

/// All parameters.
pub(super) const PARAMETERS: [Setting<Parameters>; 24] = [
    setting("round reward", |p| Field::Tokens(&mut p.round_reward)),
    setting("dispute bond", |p| Field::Tokens(&mut p.dispute_bond)),
    setting("minimum own bond", |p| Field::Tokens(&mut p.minimum_self_bond)),
    setting("late penalty", |p| Field::Tokens(&mut p.late_penalty)),
    setting("bounty", |p| Field::BasisPoints(&mut p.bounty_bps)),
    setting("bounty cap", |p| Field::Tokens(&mut p.bounty_cap)),
    setting("slash", |p| Field::BasisPoints(&mut p.slash_bps)),
    setting("evaluator slash", |p| Field::BasisPoints(&mut p.evaluator_slash_bps)),
    setting("score tolerance", |p| Field::Millionths(&mut p.score_tolerance)),
    setting("maximum commission", |p| Field::BasisPoints(&mut p.maximum_commission_bps)),
    setting("clock slots", |p| Field::Slots(&mut p.clock_slots)),
    setting("unbonding slots", |p| Field::Slots(&mut p.unbonding_slots)),
    setting("activation slots", |p| Field::Slots(&mut p.activation_slots)),
    setting("trainers", |p| Field::BasisPoints(&mut p.trainers_bps)),
    setting("auditors", |p| Field::BasisPoints(&mut p.auditors_bps)),
    setting("evaluators", |p| Field::BasisPoints(&mut p.evaluators_bps)),
    setting("data", |p| Field::BasisPoints(&mut p.data_bps)),
    setting("patrons", |p| Field::BasisPoints(&mut p.patrons_bps)),
    setting("server fee", |p| Field::BasisPoints(&mut p.server_fee_bps)),
    setting("model fee", |p| Field::BasisPoints(&mut p.model_fee_bps)),
    setting("data fee", |p| Field::BasisPoints(&mut p.data_fee_bps)),
    setting("attention fee", |p| Field::BasisPoints(&mut p.attention_fee_bps)),
    setting("treasury fee", |p| Field::BasisPoints(&mut p.treasury_fee_bps)),
    setting("burned fee", |p| Field::BasisPoints(&mut p.burn_fee_bps)),
];

/// The schedule of emission.
pub(super) const SCHEDULE: [Setting<Schedule>; 13] = [
    setting("epoch slots", |s| Field::Slots(&mut s.epoch_slots)),
    setting("first cap for stake", |s| Field::Tokens(&mut s.first_caps[STAKING])),
    setting("first cap for nodes", |s| Field::Tokens(&mut s.first_caps[NODES])),
    setting("target for stake", |s| Field::Tokens(&mut s.targets[STAKING])),
    setting("target for nodes", |s| Field::Tokens(&mut s.targets[NODES])),
    setting("decay", |s| Field::Billionths(&mut s.decay)),
    setting("demand reference", |s| Field::Tokens(&mut s.demand_reference)),
    setting("power reference", |s| Field::Count(&mut s.power_reference)),
    setting("nodes reference", |s| Field::Count(&mut s.nodes_reference)),
    setting("utilisation floor", |s| Field::Billionths(&mut s.utilisation_floor)),
    setting("maximum yield", |s| Field::Billionths(&mut s.maximum_yield)),
    setting("unit reward", |s| Field::Tokens(&mut s.unit_reward)),
    setting("fee offset", |s| Field::BasisPoints(&mut s.fee_offset_bps)),
];

impl<T: Copy> Setting<T> {
    /// Its value and what that counts.
    pub(super) fn read(&self, state: &T) -> (u64, Unit) {
        match (self.field)(&mut { *state }) {
            Field::Tokens(value) => (*value, Unit::Tokens),
            Field::Slots(value) => (*value, Unit::Slots),
            Field::Count(value) => (*value, Unit::Plain),
            Field::Billionths(value) => (*value, Unit::Billionths),
            Field::Millionths(value) => (u64::from(*value), Unit::Plain),
            Field::BasisPoints(value) => (u64::from(*value), Unit::BasisPoints),
        }
    }

    fn write(&self, state: &mut T, text: &str) -> Result<(), String> {
        let percent = |decimals| {
            let number = text.strip_suffix('%').unwrap_or(text).trim_end();
            tokens::decimal(number, decimals)
                .ok_or_else(|| format!("\"{text}\" is no percentage with at most {decimals} decimals"))
        };
        let count = || {
            text.replace('_', "").parse::<u64>().map_err(|_| format!("\"{text}\" is no whole number that is 0 or more"))
        };
        let large = |_| format!("\"{text}\" is too large");
        match (self.field)(state) {
            Field::Tokens(value) => *value = text.parse::<Amount>()?.0,
            Field::Slots(value) | Field::Count(value) => *value = count()?,
            Field::Billionths(value) => *value = percent(7)?,
            Field::Millionths(value) => *value = count()?.try_into().map_err(large)?,
            Field::BasisPoints(value) => *value = percent(2)?.try_into().map_err(large)?,
        }
        Ok(())
    }
}

/// Carries out "round-reward=5000", and the like.
pub(super) fn assign<T: Copy>(settings: &[Setting<T>], state: &mut T, assignment: &str) -> Result<()> {
    let Some((name, value)) = assignment.split_once('=') else {
        bail!("\"{assignment}\" is no change; expected NAME=VALUE");
    };
    let wanted = name.replace('-', " ");
    let Some(setting) = settings.iter().find(|setting| setting.name == wanted) else {
        let names: Vec<String> = settings.iter().map(|setting| setting.name.replace(' ', "-")).collect();
        bail!("there is no \"{name}\" to set; there are {}", names.join(", "));
    };
    setting.write(state, value).map_err(|error| anyhow!("{name}: {error}"))
}

/// What differs, in words: "round reward 10,000 SIP → 5,000 SIP, …".
pub(super) fn differences<T: Copy>(settings: &[Setting<T>], before: &T, after: &T) -> String {
    let mut parts = Vec::new();
    for setting in settings {
        let [(old, unit), (new, _)] = [before, after].map(|state| setting.read(state));
        if old != new {
            let [old, new] = [old, new].map(|value| unit.cell(value, 0).show());
            parts.push(format!("{} {old} → {new}", setting.name));
        }
    }
    if parts.is_empty() { "no change".into() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_protocol::config::TOKEN;

    #[test]
    fn every_setting_is_another_and_is_set_by_its_name() {
        let mut parameters = Parameters::DEFAULT;
        for (number, setting) in PARAMETERS.iter().enumerate() {
            let name = setting.name.replace(' ', "-");
            assign(&PARAMETERS, &mut parameters, &format!("{name}={number}")).unwrap();
        }
        for (number, setting) in PARAMETERS.iter().enumerate() {
            let unit = match setting.read(&parameters).1 {
                Unit::Tokens => TOKEN,
                Unit::BasisPoints => 100,
                _ => 1,
            };
            assert_eq!(setting.read(&parameters).0, number as u64 * unit, "{}", setting.name);
        }
        let mut schedule = Schedule::DEFAULT;
        for (number, setting) in SCHEDULE.iter().enumerate() {
            assign(&SCHEDULE, &mut schedule, &format!("{}={number}", setting.name.replace(' ', "-"))).unwrap();
        }
        for (number, setting) in SCHEDULE.iter().enumerate() {
            let unit = match setting.read(&schedule).1 {
                Unit::Tokens => TOKEN,
                Unit::BasisPoints => 100,
                Unit::Billionths => 10_000_000,
                _ => 1,
            };
            assert_eq!(setting.read(&schedule).0, number as u64 * unit, "{}", setting.name);
        }
    }

    #[test]
    fn what_cannot_be_set_is_refused_and_what_can_is_told() {
        let mut after = Parameters::DEFAULT;
        for (text, expected) in [
            ("slash", "expected NAME=VALUE"),
            ("slesh=3", "there is no \"slesh\" to set; there are round-reward"),
            ("slash=3.125%", "at most 2 decimals"),
            ("slash=70000%", "too large"),
            ("clock-slots=-3", "whole number"),
            ("round-reward=1,5", "no amount of tokens"),
        ] {
            let error = assign(&PARAMETERS, &mut after, text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!(differences(&PARAMETERS, &Parameters::DEFAULT, &after), "no change");
        assign(&PARAMETERS, &mut after, "slash=12.5%").unwrap();
        assign(&PARAMETERS, &mut after, "activation-slots=432_000").unwrap();
        let told = "slash 30.00 % → 12.50 %, activation slots 216,000 (about 1 day) → 432,000 (about 2 days)";
        assert_eq!(differences(&PARAMETERS, &Parameters::DEFAULT, &after), told);
    }
}
