//! The numbers of `docs/economics.md`, read out of the chapter and computed anew: text and rules cannot drift apart.

use bytemuck::Zeroable;
use sip_protocol::{
    Error,
    admin::{
        administration::{DEFAULT_TIMELOCK_SLOTS, PAUSE_REST_SLOTS, PAUSE_SLOTS},
        config::{Config, MINIMUM_ACTIVATION_SLOTS, Parameters},
    },
    ground::{
        schedule::{NODES, ONE, STAKING, Schedule, YEAR_SLOTS, vested},
        units::{CAP, TOKEN},
    },
    money::{
        emission::{Emission, VINTAGES},
        fees::split,
        settlement::Settlement,
    },
    stake::{
        lock::{MAXIMUM_TICKS, PERIOD_TICKS, TICK_SLOTS},
        pool::{Pool, PoolKind},
        position::Position,
    },
    training::{
        job::Job,
        round::{self, QUALITY_ONE, Round},
        segment::{ACCEPTED, Segment},
    },
};

/// Slots of a day, at 0.4 seconds.
const DAY_SLOTS: u64 = 216_000;

/// The chapter in one line, so that its line breaks do not matter.
fn chapter() -> String {
    include_str!("../../../../docs/economics.md").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The number that follows `words` in the chapter, in billionths.
///
/// # Panics
/// Where the chapter does not say `words`, or no number follows.
fn billionths_after(words: &str) -> u64 {
    let text = chapter();
    let (_, rest) = text.split_once(words).unwrap_or_else(|| panic!("the chapter no longer says \"{words}\""));
    let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || [',', '.'].contains(c)).collect();
    let number = number.trim_end_matches([',', '.']).replace(',', "");
    let (whole, part) = number.split_once('.').unwrap_or((&number, ""));
    let digits = format!("{whole}{part:0<9}");
    digits.parse().unwrap_or_else(|_| panic!("after \"{words}\" stands no number with nine decimals or fewer"))
}

/// The whole number that follows `words` in the chapter.
fn number_after(words: &str) -> u64 {
    let billionths = billionths_after(words);
    assert!(billionths.is_multiple_of(1_000_000_000), "after \"{words}\" stands no whole number");
    billionths / 1_000_000_000
}

/// Checks a number of tokens in the chapter that is cut down to as many decimals as it shows.
fn assert_tokens(words: &str, base_units: u64, decimals: u32) {
    let unit = 10u64.pow(9 - decimals);
    let said = billionths_after(words);
    assert!(said.abs_diff(base_units) <= unit, "after \"{words}\": the chapter says {said}, the rules {base_units}");
}

#[test]
fn genesis_is_split_as_the_chapter_says() {
    let mut config = Config::zeroed();
    config.genesis(&[1; 32], &Parameters::DEFAULT).unwrap();
    let buckets = config.buckets;
    for (words, bucket) in [
        ("staking rewards ", buckets.staking_rewards),
        ("node rewards ", buckets.operator_rewards),
        ("public ", buckets.public),
        ("team ", buckets.team),
        ("treasury ", buckets.treasury),
        ("reserve ", buckets.reserve),
    ] {
        assert_eq!(bucket, CAP / 100 * number_after(words), "{words}");
    }
    assert_eq!(CAP, 1_000_000_000 * TOKEN);
    // Nothing for a year, then evenly over four.
    for (years, quarters) in [(1, 0), (2, 1), (3, 2), (5, 4), (9, 4)] {
        assert_eq!(vested(buckets.team, years * YEAR_SLOTS), Ok(buckets.team / 4 * quarters));
    }
}

#[test]
fn the_worked_example_of_emission_is_computed_anew() {
    let schedule = Schedule::DEFAULT;
    let mut config = Config::zeroed();
    config.genesis(&[1; 32], &Parameters::DEFAULT).unwrap();
    let mut emission = Emission::default();
    emission.initialise(&schedule, 0).unwrap();
    emission.total_stake = 10_000_000 * TOKEN;
    let mut released = [0; 2];
    for _ in 0..8 {
        emission.record_burn(schedule.demand_reference / 2).unwrap();
        emission.record_round(schedule.nodes_reference, schedule.power_reference * schedule.nodes_reference);
        let slot = emission.end_slot;
        released = emission.turn(&mut config, slot).unwrap().released;
    }
    assert_eq!(emission.utilisation, billionths_after("so u = "));
    let target: u64 = schedule.targets.iter().sum();
    assert_eq!(target, TOKEN * number_after("Gross: u · "));
    assert_tokens("Gross: u · 900,000 = ", emission.gross, 2);
    assert_eq!(schedule.demand_reference / 2, TOKEN * number_after("Offset: ½ · "));
    assert_eq!(emission.offset, TOKEN * number_after("Offset: ½ · 500,000 = "));
    assert_tokens("Net: ", released[STAKING] + released[NODES], 2);
    assert_tokens("154,949.19 tokens, ", released[STAKING], 2);
    let most = (emission.total_stake as u128 * schedule.maximum_yield as u128 / ONE as u128) as u64;
    assert_eq!(most.min(released[STAKING]), TOKEN * number_after("of which the bound of 0.2 % pays out "));
    assert_eq!(schedule.maximum_yield, billionths_after("of which the bound of ") / 100);
    let drawn = emission.draw(&config, 1).unwrap();
    assert_tokens("A unit of verified work earns u · (10⁷ / 10⁹) · 100 = ", drawn, 7);
    assert_eq!(schedule.unit_reward, 100 * TOKEN);
}

#[test]
fn the_bounds_of_emission_are_those_of_the_chapter() {
    let schedule = Schedule::DEFAULT;
    let part = billionths_after("Σ targets ≤ ");
    let most = (schedule.demand_reference as u128 * part as u128 / ONE as u128) as u64;
    let with = |node_target| Schedule { targets: [schedule.targets[0], node_target], ..schedule };
    assert_eq!(with(most - schedule.targets[0]).check(), Ok(()));
    assert_eq!(with(most - schedule.targets[0] + 1).check(), Err(Error::ParameterOutOfBounds));
    assert_eq!((VINTAGES, schedule.epoch_slots), (4, 2 * DAY_SLOTS), "four epochs of two days");
    assert!(chapter().contains("that nobody earned within four epochs go to the reserve"));
    assert!(chapter().contains("exponential average in which a new epoch weighs one quarter"));
    // One epoch of demand from nothing: a quarter of it, whatever the floor.
    let mut config = Config::zeroed();
    config.genesis(&[1; 32], &Parameters::DEFAULT).unwrap();
    let mut emission = Emission::default();
    emission.initialise(&Schedule { utilisation_floor: 0, ..schedule }, 0).unwrap();
    emission.record_burn(schedule.demand_reference).unwrap();
    emission.record_round(schedule.nodes_reference, schedule.power_reference * schedule.nodes_reference);
    let slot = emission.end_slot;
    emission.turn(&mut config, slot).unwrap();
    assert_eq!(emission.utilisation, ONE / 4);
}

#[test]
fn the_reward_of_a_round_follows_its_formula() {
    assert!(chapter().contains("reward_i = (S_i / S_total) · R_role · Q_i − P_i"));
    let parameters = Parameters::DEFAULT;
    for (stake, whole, quality, late) in
        [(3_000, 10_000, QUALITY_ONE / 2, 0), (1, 3, QUALITY_ONE, 1), (1, 1_000_000, QUALITY_ONE, 1)]
    {
        let mut config = Config::zeroed();
        config.genesis(&[1; 32], &parameters).unwrap();
        let (mut round, mut pool, mut segment) = (Round::zeroed(), Pool::zeroed(), Segment::zeroed());
        pool.initialise(PoolKind::Trainer, &[2; 32], 0, 0);
        pool.self_bond = 1_000 * TOKEN;
        (round.status, round.drawn, round.accepted_stake, round.quality) =
            (round::FINAL, 1_000 * TOKEN, whole, quality);
        (segment.status, segment.stake, segment.late) = (ACCEPTED, stake, late);
        segment.own_stake = stake;
        let mut job = Job::zeroed();
        job.parameters = parameters;
        let mut settlement = Settlement { config: &mut config, job: &job, round: &mut round, pool: &mut pool, slot: 1 };
        let settled = settlement.segment(&mut segment).unwrap();
        let role = 1_000 * TOKEN / 10_000 * parameters.trainers_bps as u64;
        let share = (role as u128 * stake as u128 / whole as u128) as u64;
        let earned = (share as u128 * quality as u128 / QUALITY_ONE as u128) as i128;
        let charged_or_paid = earned - if late != 0 { 10 * TOKEN as i128 } else { 0 };
        assert_eq!(settled.paid as i128 - settled.charged as i128, charged_or_paid);
    }
}

#[test]
fn stake_becomes_active_on_the_line_of_the_chapter() {
    assert_eq!(MINIMUM_ACTIVATION_SLOTS, number_after("(a day by default, at least "));
    assert_eq!(Parameters::DEFAULT.activation_slots, DAY_SLOTS);
    assert!(chapter().contains("due(t) = pending · (t − start) / (end − start), rounded down"));
    let (mut pool, mut position) = (Pool::zeroed(), Position::zeroed());
    pool.initialise(PoolKind::Trainer, &[2; 32], 0, 0);
    position.initialise(&[9; 32], &pool, &[2; 32]);
    let pending = 1_000 * TOKEN + 7;
    position.deposit(&mut pool, pending, 0, 1_000, DAY_SLOTS).unwrap();
    // Each bit that is due begins a line over what is left, which is the same line but for rounding.
    let mut active = 0;
    for slot in [1_001, 50_000, 123_457, 216_999] {
        active += position.activate(&mut pool, slot).unwrap();
        let due = (pending as u128 * (slot - 1_000) as u128 / DAY_SLOTS as u128) as u64;
        assert!(active <= due && due - active < 5, "slot {slot}: {active} active, {due} due");
    }
    active += position.activate(&mut pool, 1_000 + DAY_SLOTS).unwrap();
    assert_eq!((active, position.pending), (pending, 0));

    // Two amounts blend.
    let (left, new) = (number_after("times slots add up: "), number_after("with half of the time to go and "));
    let sum = number_after(&format!("half of the time to go and {new} new ones are "));
    assert!(chapter().contains(&format!("are {sum} tokens with three quarters of it")));
    let (mut pool, mut position) = (Pool::zeroed(), Position::zeroed());
    pool.initialise(PoolKind::Trainer, &[2; 32], 0, 0);
    position.initialise(&[9; 32], &pool, &[2; 32]);
    position.deposit(&mut pool, 2 * left * TOKEN, 0, 0, DAY_SLOTS).unwrap();
    position.activate(&mut pool, DAY_SLOTS / 2).unwrap();
    assert_eq!(position.pending, left * TOKEN);
    position.deposit(&mut pool, new * TOKEN, 0, DAY_SLOTS / 2, DAY_SLOTS).unwrap();
    assert_eq!(position.pending, sum * TOKEN);
    assert_eq!(position.ramp_end_slot - position.ramp_slot, DAY_SLOTS / 4 * 3);
}

#[test]
fn locks_weigh_what_the_chapter_says() {
    assert_eq!(MAXIMUM_TICKS, number_after("attention pool with R of "));
    assert_eq!(TICK_SLOTS, number_after("R of 308,160 ticks ("));
    assert_eq!(MAXIMUM_TICKS, number_after("boost = floor(L · 3 / (2 · "));
    let (mut pool, mut position) = (Pool::zeroed(), Position::zeroed());
    pool.initialise(PoolKind::Attention, &[2; 32], 0, 0);
    position.initialise(&[9; 32], &pool, &[2; 32]);
    let shares = 1_000_000 * TOKEN;
    position.deposit(&mut pool, shares, 0, 0, 0).unwrap();
    position.lock(&mut pool, shares, 48, 0).unwrap();
    for (words, years_passed) in
        [("steering weight: ", 0), ("the stake at four years, ", 1), ("after one, ", 2), ("after two, ", 4)]
    {
        let slot = years_passed * 12 * PERIOD_TICKS * TICK_SLOTS;
        let remaining = MAXIMUM_TICKS - slot / TICK_SLOTS;
        let boost = (shares as u128 * 3 / (2 * MAXIMUM_TICKS as u128)) as u64 * remaining;
        assert_eq!(position.boost(slot), boost, "the formula");
        let weight = ((shares + boost) as u128 * ONE as u128 / shares as u128) as u64;
        let said = billionths_after(words);
        assert!(said.abs_diff(weight) < 1_000_000, "after \"{words}\": {said}, not {weight}");
    }
}

#[test]
fn fees_are_split_as_the_table_says() {
    let parameters = Parameters::DEFAULT;
    for (row, bps) in [
        ("| server | ", parameters.server_fee_bps),
        ("| model | ", parameters.model_fee_bps),
        ("| data | ", parameters.data_fee_bps),
        ("| patrons | ", parameters.attention_fee_bps),
        ("| treasury | ", parameters.treasury_fee_bps),
        ("| burn | ", parameters.burn_fee_bps),
    ] {
        assert_eq!(bps as u64, 100 * number_after(row), "{row}");
    }
    // The bounds of the table, and one more.
    let with = |treasury_fee_bps: u64, burn_fee_bps: u64| {
        let (treasury_fee_bps, burn_fee_bps) = (treasury_fee_bps as u16, burn_fee_bps as u16);
        let model_fee_bps = 10_000 - 3_000 - treasury_fee_bps - burn_fee_bps;
        Parameters { server_fee_bps: 1_500, model_fee_bps, treasury_fee_bps, burn_fee_bps, ..parameters }.check()
    };
    let treasury = 100 * number_after("| treasury | 5 % | at most ");
    let (least, most) = (100 * number_after("| burn | 15 % | "), 100 * number_after("| burn | 15 % | 5 % to "));
    for (treasury, burn, is_allowed) in [
        (treasury, least, true),
        (treasury + 1, least, false),
        (0, most, true),
        (0, most + 1, false),
        (0, least - 1, false),
    ] {
        assert_eq!(with(treasury, burn).is_ok(), is_allowed, "treasury {treasury}, burn {burn}");
    }
    let paid = number_after(
        "the treasury, with what rounding leaves | | burn | 15 % | 5 % to 50 % | nobody: this, and only this, is demand D | **Worked example.** ",
    );
    let parts = split(&parameters, paid * TOKEN).unwrap();
    for (words, part) in [
        ("1,000 tokens: ", parts.server),
        ("450 to the server, ", parts.model),
        ("200 to the model, ", parts.data),
        ("100 to data, ", parts.attention),
        ("50 to patrons, ", parts.treasury),
        ("50 to the treasury, ", parts.burned),
    ] {
        assert_eq!(part, TOKEN * number_after(words), "{words}");
    }
    // A royalty of a quarter along two edges.
    let mut part = parts.model;
    for (number, words) in ["the model keeps ", "its parent ", "its grandparent "].into_iter().enumerate() {
        let mut model = Pool::zeroed();
        model.initialise(PoolKind::Model, &[3; 32], number as u32, 0);
        model.self_bond = TOKEN;
        model.royalty_bps = 2_500;
        model.parent = if number < 2 { [4; 32] } else { [0; 32] };
        let up = model.earn_royalty(part, false).unwrap();
        assert_eq!(part - up, billionths_after(words), "{words}");
        part = up;
    }
}

#[test]
fn changes_wait_and_pauses_end_as_the_chapter_says() {
    let text = chapter();
    assert!(
        text.contains("take effect three days after they were proposed") && DEFAULT_TIMELOCK_SLOTS == 3 * DAY_SLOTS
    );
    assert!(text.contains("A pause lasts three days at most and leaves a week until the next"));
    assert_eq!((PAUSE_SLOTS, PAUSE_REST_SLOTS), (3 * DAY_SLOTS, 7 * DAY_SLOTS));
}
