//! Slots as time: as long as the chain says that they last, and by the clock.

use super::tokens::grouped;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How long a slot lasts; 0 where slots pass only when a client asks.
static SLOT_MICROSECONDS: AtomicU64 = AtomicU64::new(400_000);

const DAY_SECONDS: f64 = 86_400.0;

/// From now on slots are this long.
pub fn measure(microseconds: u64) {
    SLOT_MICROSECONDS.store(microseconds, Ordering::Relaxed);
}

fn seconds(slots: u64) -> Option<f64> {
    let micros = SLOT_MICROSECONDS.load(Ordering::Relaxed);
    (micros > 0).then(|| slots as f64 * micros as f64 / 1e6)
}

/// Slots of so many days; of a chain whose slots pass when a client asks, as many as if one took 0.4 seconds.
pub fn slots_of_days(days: f64) -> u64 {
    let micros = match SLOT_MICROSECONDS.load(Ordering::Relaxed) {
        0 => 400_000,
        micros => micros,
    };
    (days * DAY_SECONDS * 1e6 / micros as f64).ceil() as u64
}

/// A span of time: "1.5 days".
pub fn span(slots: u64) -> String {
    seconds(slots).map_or_else(|| format!("{} slots, which pass when a client asks", grouped(slots)), told)
}

/// From now to a slot: "about 1.5 days".
pub fn about(slots: u64) -> String {
    match seconds(slots) {
        Some(seconds) => format!("about {}", told(seconds)),
        None => format!("{} slots, which pass when a client asks", grouped(slots)),
    }
}

/// Seconds in words: "5 minutes".
pub fn told(seconds: f64) -> String {
    let decimals = |value: f64, places: i32| {
        let scale = 10f64.powi(places);
        let scaled = (value * scale).round() as u64;
        let text =
            format!("{}.{:0width$}", grouped(scaled / scale as u64), scaled % scale as u64, width = places as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let counted = |text: String, unit: &str| if text == "1" { format!("1 {unit}") } else { format!("{text} {unit}s") };
    // A span that rounds to the next unit is told in that.
    if seconds == 0.0 {
        "no time".into()
    } else if seconds < 0.95 {
        "a second".into()
    } else if seconds < 59.5 {
        counted(decimals(seconds, 0), "second")
    } else if seconds < 3_570.0 {
        counted(decimals(seconds / 60.0, 0), "minute")
    } else if seconds < DAY_SECONDS - 180.0 {
        counted(decimals(seconds / 3_600.0, 1), "hour")
    } else {
        counted(decimals(seconds / DAY_SECONDS, 2), "day")
    }
}

/// When that many slots will have passed: "2026-12-01 16:05 UTC"; nothing where nobody knows.
pub fn clock(slots: u64) -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    let then = now + seconds(slots)?;
    // Further away a date says nothing.
    (then < 253_402_300_800.0).then(|| utc(then as u64))
}

/// A point of Unix time: "2026-12-01 16:05 UTC".
pub fn utc(unix_seconds: u64) -> String {
    let (day, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Days from the first of March of year 0, in eras of 400 years.
    let from_march = day + 719_468;
    let (era, day_of_era) = (from_march / 146_097, from_march % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day_of_month:02} {:02}:{:02} UTC", second / 3_600, second / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        for (slots, text) in [
            (0, "no time"),
            (1, "a second"),
            (3, "1 second"),
            (100, "40 seconds"),
            (150, "1 minute"),
            (2_160, "14 minutes"),
            (9_000, "1 hour"),
            (54_000, "6 hours"),
            (215_900, "1 day"),
            (216_000, "1 day"),
            (324_000, "1.5 days"),
            (432_000_000, "2,000 days"),
        ] {
            assert_eq!(span(slots), text, "{slots}");
        }
    }

    #[test]
    fn points_of_time_are_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_796_083_559, "2026-12-01 00:05 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
