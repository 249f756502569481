//! What governance may set, by name: the parameters and the schedule of emission.

use anyhow::{Result, anyhow};
use sip_protocol::admin::config::Parameters;
use sip_protocol::ground::schedule::{NODES, STAKING, Schedule};

use super::figures::Unit;
use super::tokens::{self, Amount};
use crate::words::wrong;

/// Where a setting is kept.
enum Field<'a> {
    Tokens(&'a mut u64),
    Slots(&'a mut u64),
    Count(&'a mut u64),
    Billionths(&'a mut u64),
    Millionths(&'a mut u32),
    BasisPoints(&'a mut u16),
}

/// One thing that governance may set.
pub struct Setting<T> {
    /// As lists say it; on the command line with dashes.
    pub name: &'static str,
    field: fn(&mut T) -> Field<'_>,
}

const fn setting<T>(name: &'static str, field: fn(&mut T) -> Field<'_>) -> Setting<T> {
    Setting { name, field }
}

/// All parameters.
pub const PARAMETERS: [Setting<Parameters>; 48] = [
    setting("round reward", |p| Field::Tokens(&mut p.round_reward)),
    setting("dispute bond", |p| Field::Tokens(&mut p.dispute_bond)),
    setting("minimum own bond", |p| Field::Tokens(&mut p.minimum_self_bond)),
    setting("genesis bond", |p| Field::Tokens(&mut p.genesis_bond)),
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
    // What each offence costs: tokens; parts of the own bond, and of what is delegated; parts of a bond at stake.
    setting("late segment", |p| Field::Tokens(&mut p.penalties.late_segment)),
    setting("missed segment", |p| Field::Tokens(&mut p.penalties.missed_segment)),
    setting("missed draw", |p| Field::Tokens(&mut p.penalties.missed_draw)),
    setting("missed vote", |p| Field::Tokens(&mut p.penalties.missed_vote)),
    setting("missed score", |p| Field::Tokens(&mut p.penalties.missed_score)),
    setting("missed attestation", |p| Field::Tokens(&mut p.penalties.missed_attestation)),
    setting("misattested segment", |p| Field::Tokens(&mut p.penalties.misattested_segment)),
    setting("amended segment", |p| Field::Tokens(&mut p.penalties.amended_segment)),
    setting("false score", |p| Field::BasisPoints(&mut p.penalties.false_score.bond_bps)),
    setting("false score delegated", |p| Field::BasisPoints(&mut p.penalties.false_score.delegated_bps)),
    setting("convicted segment", |p| Field::BasisPoints(&mut p.penalties.convicted_segment.bond_bps)),
    setting("convicted segment delegated", |p| Field::BasisPoints(&mut p.penalties.convicted_segment.delegated_bps)),
    setting("convicted run", |p| Field::BasisPoints(&mut p.penalties.convicted_run.bond_bps)),
    setting("convicted run delegated", |p| Field::BasisPoints(&mut p.penalties.convicted_run.delegated_bps)),
    setting("convicted vote", |p| Field::BasisPoints(&mut p.penalties.convicted_vote.bond_bps)),
    setting("convicted vote delegated", |p| Field::BasisPoints(&mut p.penalties.convicted_vote.delegated_bps)),
    setting("convicted attestation", |p| Field::BasisPoints(&mut p.penalties.convicted_attestation.bond_bps)),
    setting("convicted attestation delegated", |p| {
        Field::BasisPoints(&mut p.penalties.convicted_attestation.delegated_bps)
    }),
    setting("unavailable state", |p| Field::BasisPoints(&mut p.penalties.unavailable_state.bond_bps)),
    setting("unavailable state delegated", |p| Field::BasisPoints(&mut p.penalties.unavailable_state.delegated_bps)),
    setting("unavailable data", |p| Field::BasisPoints(&mut p.penalties.unavailable_data.bond_bps)),
    setting("unavailable data delegated", |p| Field::BasisPoints(&mut p.penalties.unavailable_data.delegated_bps)),
    setting("false genesis", |p| Field::BasisPoints(&mut p.penalties.false_genesis_bps)),
    setting("expired accusation", |p| Field::BasisPoints(&mut p.penalties.expired_accusation_bps)),
    setting("lost accusation burned", |p| Field::BasisPoints(&mut p.penalties.lost_accusation_burn_bps)),
    setting("bounty", |p| Field::BasisPoints(&mut p.penalties.bounty_bps)),
    setting("conviction burned", |p| Field::BasisPoints(&mut p.penalties.burn_bps)),
    setting("bounty cap", |p| Field::Tokens(&mut p.penalties.bounty_cap)),
];

/// The schedule of emission.
pub const SCHEDULE: [Setting<Schedule>; 13] = [
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

/// State that governance sets, with the hard bounds of each value.
pub trait Bounded: Copy + 'static {
    /// All that can be set.
    const SETTINGS: &'static [Setting<Self>];

    /// Tells each bounded value: name, value, least, most.
    fn each_bound(&self, each: &mut dyn FnMut(&'static str, u64, u64, u64));

    /// What must hold between the values.
    fn check_whole(&self) -> sip_protocol::Result<()>;
}

impl Bounded for Parameters {
    const SETTINGS: &'static [Setting<Self>] = &PARAMETERS;

    fn each_bound(&self, each: &mut dyn FnMut(&'static str, u64, u64, u64)) {
        self.bounds(&mut |name, value, least, most| each(name, value, least, most));
    }

    fn check_whole(&self) -> sip_protocol::Result<()> {
        self.check()
    }
}

impl Bounded for Schedule {
    const SETTINGS: &'static [Setting<Self>] = &SCHEDULE;

    fn each_bound(&self, each: &mut dyn FnMut(&'static str, u64, u64, u64)) {
        self.bounds(&mut |name, value, least, most| each(name, value, least, most));
    }

    fn check_whole(&self) -> sip_protocol::Result<()> {
        self.check()
    }
}

/// Checks values against their hard bounds; says which one lies outside, and where it may lie.
pub fn check<T: Bounded>(state: &T) -> Result<()> {
    let mut outside = Vec::new();
    state.each_bound(&mut |name, value, least, most| {
        if !(least..=most).contains(&value) {
            let unit = T::SETTINGS.iter().find(|setting| setting.name == name).map(|setting| setting.read(state).1);
            let [value, least, most] =
                [value, least, most].map(|value| unit.unwrap_or(Unit::Plain).cell(value, 0).show());
            outside.push(format!("{} is {value}, expected {least} to {most}", name.replace(' ', "-")));
        }
    });
    if !outside.is_empty() {
        return Err(wrong(outside.join("; ")));
    }
    state.check_whole().map_err(|error| match error {
        sip_protocol::Error::ParameterOutOfBounds => {
            anyhow!("target-for-stake and target-for-nodes together exceed nine tenths of demand-reference")
        }
        sip_protocol::Error::SplitNotWhole => anyhow!(
            "trainers, auditors, evaluators, data and patrons must add up to 100 %, and so must the six parts of a fee"
        ),
        error => anyhow!("{error}: unbonding-slots must be more than four times clock-slots and 7,200 slots"),
    })
}

impl<T: Copy> Setting<T> {
    /// Its value and what that counts.
    pub fn read(&self, state: &T) -> (u64, Unit) {
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
pub fn assign<T: Copy>(settings: &[Setting<T>], state: &mut T, assignment: &str) -> Result<()> {
    let Some((name, value)) = assignment.split_once('=') else {
        return Err(wrong(format!("\"{assignment}\" is no change; expected NAME=VALUE")));
    };
    let wanted = name.replace('-', " ");
    let Some(setting) = settings.iter().find(|setting| setting.name == wanted) else {
        let names: Vec<String> = settings.iter().map(|setting| setting.name.replace(' ', "-")).collect();
        return Err(wrong(format!("there is no \"{name}\" to set; there are {}", names.join(", "))));
    };
    setting.write(state, value).map_err(|error| wrong(format!("{name}: {error}")))
}

/// What differs, in words: "round reward 10,000 SIP → 5,000 SIP, …".
pub fn differences<T: Copy>(settings: &[Setting<T>], before: &T, after: &T) -> String {
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
    use sip_protocol::ground::units::TOKEN;

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
            ("bounty", "expected NAME=VALUE"),
            ("bonty=3", "there is no \"bonty\" to set; there are round-reward"),
            ("bounty=3.125%", "at most 2 decimals"),
            ("bounty=70000%", "too large"),
            ("clock-slots=-3", "whole number"),
            ("round-reward=1,5", "no amount of tokens"),
        ] {
            let error = assign(&PARAMETERS, &mut after, text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!(differences(&PARAMETERS, &Parameters::DEFAULT, &after), "no change");
        assign(&PARAMETERS, &mut after, "convicted-segment-delegated=12.5%").unwrap();
        assign(&PARAMETERS, &mut after, "activation-slots=432_000").unwrap();
        let told = "activation slots 216,000 (about 1 day) → 432,000 (about 2 days), convicted segment delegated 30.00 % → 12.50 %";
        assert_eq!(differences(&PARAMETERS, &Parameters::DEFAULT, &after), told);
    }

    #[test]
    fn a_value_outside_of_its_bounds_is_named_with_them() {
        let refusal = |change: &str| {
            let (mut parameters, mut schedule) = (Parameters::DEFAULT, Schedule::DEFAULT);
            match assign(&PARAMETERS, &mut parameters, change) {
                Ok(()) => check(&parameters),
                Err(_) => assign(&SCHEDULE, &mut schedule, change).and_then(|()| check(&schedule)),
            }
            .unwrap_err()
            .to_string()
        };
        for (change, expected) in [
            ("late-segment=1000.5", "late-segment is 1,000.5 SIP, expected 0 SIP to 1,000 SIP"),
            ("convicted-vote=49.99%", "convicted-vote is 49.99 %, expected 50.00 % to 100.00 %"),
            ("burned-fee=51%", "burned-fee is 51.00 %, expected 5.00 % to 50.00 %"),
            ("trainers=56%", "must add up to 100 %"),
            ("unbonding-slots=43200", "unbonding-slots must be more than four times clock-slots and 7,200 slots"),
            ("target-for-nodes=900000", "nine tenths of demand-reference"),
            ("nodes-reference=0", "nodes-reference is 0, expected 1 to 4,294,967,296"),
        ] {
            let error = refusal(change);
            assert!(error.contains(expected), "{change}: {error}");
        }
    }

    #[test]
    fn every_bound_is_of_something_that_can_be_set() {
        fn names<T: Bounded>(state: &T) -> Vec<&'static str> {
            let mut names = Vec::new();
            state.each_bound(&mut |name, _, _, _| names.push(name));
            assert!(names.iter().all(|name| T::SETTINGS.iter().any(|setting| setting.name == *name)), "{names:?}");
            names
        }
        assert_eq!(names(&Schedule::DEFAULT).len(), SCHEDULE.len());
        // Parts of a whole are bounded by their sum: five roles, and four of the six parts of a fee.
        assert_eq!(names(&Parameters::DEFAULT).len(), PARAMETERS.len() - 9);
        check(&Parameters::DEFAULT).unwrap();
        check(&Schedule::DEFAULT).unwrap();
    }
}
