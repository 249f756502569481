//! Amounts as people write them.

use sip_arith::int::BPS_ONE;
use sip_protocol::ground::units::{DECIMALS, TOKEN};
use std::str::FromStr;

/// An amount in base units, read from tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(pub u64);

impl FromStr for Amount {
    type Err = String;

    /// "12", "0.5", "1_000.25" or, as amounts are shown, "1,000.25 SIP": tokens with at most nine decimals. Anything else is an error, never
    /// rounded.
    fn from_str(text: &str) -> Result<Amount, String> {
        let wrong = || format!("\"{text}\" is no amount of tokens; expected a number such as 1_000.25");
        let digits = ungrouped(text.strip_suffix(" SIP").unwrap_or(text)).ok_or_else(wrong)?;
        let (whole, decimals) = digits.split_once('.').unwrap_or((&digits, ""));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || (digits.contains('.') && !is_number(decimals)) {
            return Err(wrong());
        }
        if decimals.len() > usize::from(DECIMALS) {
            return Err(format!("\"{text}\" has more than {DECIMALS} decimals, which no token has"));
        }
        let fraction: u64 = format!("{decimals:0<9}").parse().map_err(|_| wrong())?;
        let whole: u64 = whole.parse().map_err(|_| format!("\"{text}\" is more than there can be"))?;
        whole
            .checked_mul(TOKEN)
            .and_then(|units| units.checked_add(fraction))
            .map(Amount)
            .ok_or_else(|| format!("\"{text}\" is more than there can be"))
    }
}

/// A number without what sets its thousands apart; nothing where a comma stands elsewhere.
fn ungrouped(text: &str) -> Option<String> {
    let whole = text.split('.').next().unwrap_or_default();
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default().len();
    let is_grouped = (1..=3).contains(&first) && groups.all(|group| group.len() == 3);
    let commas = text.matches(',').count();
    (commas == 0 || (commas == whole.matches(',').count() && is_grouped && !text.contains('_')))
        .then(|| text.replace(['_', ','], ""))
}

/// An amount of tokens, or everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    All,
    /// Base units.
    Amount(u64),
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Part, String> {
        if text == "all" { Ok(Part::All) } else { text.parse().map(|Amount(units)| Part::Amount(units)) }
    }
}

impl Part {
    /// The shares of a pool that are worth this, rounded up, of those that somebody holds.
    pub fn shares(self, held: u64, pool_shares: u64, pool_assets: u64) -> u64 {
        match self {
            Part::All => held,
            Part::Amount(units) => {
                let product = u128::from(units) * u128::from(pool_shares);
                u64::try_from(product.div_ceil(u128::from(pool_assets.max(1)))).unwrap_or(u64::MAX).min(held)
            }
        }
    }
}

/// A number with at most `decimals` decimals, counted in the last of them: "1.5" with two is 150.
pub fn decimal(text: &str, decimals: usize) -> Option<u64> {
    let digits = text.replace('_', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > decimals {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

/// Base units as tokens: "1,234.5 SIP".
pub fn show(units: u64) -> String {
    let fraction = format!("{:09}", units % TOKEN);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction} SIP", grouped(units / TOKEN))
}

/// Lamports as SOL: "0.00203928 SOL".
pub fn sol(lamports: u64) -> String {
    show(lamports).replace(" SIP", " SOL")
}

pub use sip_report::grouped;

/// The worth of shares in base units, rounded down.
pub fn worth(shares: u64, pool_shares: u64, pool_assets: u64) -> u64 {
    let worth = u128::from(shares) * u128::from(pool_assets) / u128::from(pool_shares.max(1));
    u64::try_from(worth).unwrap_or(u64::MAX)
}

/// A percentage with at most two decimals, in basis points.
#[derive(Clone, Copy)]
pub struct Percent(pub u16);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Percent, String> {
        let wrong = || format!("\"{text}\" is no percentage; expected 0 to 100 with at most two decimals");
        let points = decimal(text, 2).ok_or_else(wrong)?;
        if points > u64::from(BPS_ONE) { Err(wrong()) } else { Ok(Percent(points as u16)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_refused() {
        for (text, units) in [
            ("0", 0),
            ("1", TOKEN),
            ("1_000.25", 1_000 * TOKEN + TOKEN / 4),
            ("0.000000001", 1),
            ("18446744073.709551615", u64::MAX),
            ("1,234,567.5", 1_234_567 * TOKEN + TOKEN / 2),
            ("20,000 SIP", 20_000 * TOKEN),
        ] {
            assert_eq!(text.parse(), Ok(Amount(units)), "{text}");
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "1,00",
            ",100",
            "1,0000",
            "1.5,000",
            "1_0,000",
            "0.0000000001",
            "18446744073.709551616",
            "1.2.3",
            "all",
        ] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
        assert_eq!("all".parse(), Ok(Part::All));
    }

    #[test]
    fn amounts_are_shown_as_they_are_read() {
        for units in [0, 1, TOKEN, 1_234 * TOKEN + 500_000_000, u64::MAX] {
            assert_eq!(show(units).parse(), Ok(Amount(units)));
        }
        assert_eq!(show(1_234 * TOKEN + 500_000_000), "1,234.5 SIP");
    }

    #[test]
    fn decimals_are_read_exactly_or_refused() {
        assert_eq!(
            [decimal("1.5", 2), decimal("1_0", 1), decimal("0.125", 2), decimal("-1", 2)],
            [Some(150), Some(100), None, None]
        );
        assert_eq!(sol(2_039_280), "0.00203928 SOL");
    }

    #[test]
    fn shares_of_an_amount_are_worth_at_least_it() {
        for (units, shares, assets) in [(1, 1_000, 1_000), (10, 7, 13), (999, 1_000_003, 500_001)] {
            let sold = Part::Amount(units).shares(u64::MAX, shares, assets);
            assert!(worth(sold, shares, assets) >= units && worth(sold - 1, shares, assets) < units);
        }
        assert_eq!(Part::Amount(u64::MAX).shares(5, 1, 1), 5);
    }
}
