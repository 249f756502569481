//! Integers that move money: every operation either gives the exact result, rounded as asked, or a
//! [`MathError`]. Nothing wraps and nothing panics.
//!
//! Wide values are two `u64` words and products are built from 32-bit halves, because the Solana
//! compiler has neither 128-bit multiplication and division nor checked 64-bit multiplication.
//! `wrapping_mul` appears only where the operands are bounded so that it cannot wrap.

use bytemuck::{Pod, Zeroable};

/// Why an amount could not be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MathError {
    /// The result is greater than its type can hold.
    Overflow = 1,
    /// The result is below zero.
    Underflow = 2,
    /// The divisor (total shares, total assets, elapsed slots) is zero.
    DivisionByZero = 3,
}

impl core::fmt::Display for MathError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            MathError::Overflow => "result is too large for its integer type; use smaller amounts",
            MathError::Underflow => "result would be below zero; subtract at most what is there",
            MathError::DivisionByZero => "divisor is zero; there must be shares, assets or slots to divide by",
        })
    }
}

impl core::error::Error for MathError {}

/// Which way an inexact quotient goes. Rounding always favours the pool, never the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// To the next lower integer: what is paid out.
    Down,
    /// To the next higher integer: what is charged.
    Up,
}

/// One whole in basis points.
pub const BPS_ONE: u16 = 10_000;

const LOW: u64 = 0xFFFF_FFFF;

/// a + b
#[inline(always)]
pub const fn add(a: u64, b: u64) -> Result<u64, MathError> {
    match a.checked_add(b) {
        Some(sum) => Ok(sum),
        None => Err(MathError::Overflow),
    }
}

/// a − b
#[inline(always)]
pub const fn sub(a: u64, b: u64) -> Result<u64, MathError> {
    match a.checked_sub(b) {
        Some(difference) => Ok(difference),
        None => Err(MathError::Underflow),
    }
}

/// a · b
#[inline]
pub fn mul(a: u64, b: u64) -> Result<u64, MathError> {
    // What is multiplied is mostly an amount and a count, whose product fits.
    if (a >> 48) | (b >> 16) == 0 {
        return Ok(a.wrapping_mul(b));
    }
    match widening_mul(a, b) {
        (0, product) => Ok(product),
        _ => Err(MathError::Overflow),
    }
}

/// The exact product as (upper, lower) words.
#[inline(always)]
pub fn widening_mul(a: u64, b: u64) -> (u64, u64) {
    let (a1, a0, b1, b0) = (a >> 32, a & LOW, b >> 32, b & LOW);
    // Each product of 32-bit halves is at most (2³² − 1)², which leaves room for two more 32-bit addends.
    let low = a0.wrapping_mul(b0);
    let middle = a1.wrapping_mul(b0).wrapping_add(low >> 32);
    let cross = opaque(a0.wrapping_mul(b1).wrapping_add(middle & LOW));
    let high = a1.wrapping_mul(b1).wrapping_add(middle >> 32).wrapping_add(cross >> 32);
    (high, (cross << 32) | (low & LOW))
}

/// Hides a value from the optimiser, which otherwise recognises [`widening_mul`] and folds it into the 128-bit
/// multiplication that the Solana target does not have.
#[inline(always)]
fn opaque(value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let mut value = value;
        // SAFETY: no instruction at all; the register keeps its value.
        unsafe { core::arch::asm!("/* {0} */", inout(reg) value, options(pure, nomem, nostack, preserves_flags)) };
        value
    }
    #[cfg(not(target_arch = "bpf"))]
    value
}

/// (high · 2⁶⁴ + low) / divisor as (quotient, remainder); `None` if the quotient does not fit, which includes a
/// divisor of 0.
pub fn wide_div(high: u64, low: u64, divisor: u64) -> Option<(u64, u64)> {
    if high >= divisor {
        return None;
    }
    if high == 0 {
        return Some((low / divisor, low % divisor));
    }
    // Knuth's algorithm D with two 32-bit digits, after shifting until the divisor's top bit is set.
    let mut shift = 0u32;
    let mut scaled = divisor;
    let mut step = 32u32;
    while step > 0 {
        if scaled >> (64 - step) == 0 {
            scaled <<= step;
            shift += step;
        }
        step >>= 1;
    }
    let numerator = if shift == 0 { high } else { (high << shift) | (low >> (64 - shift)) };
    let low = low << shift;
    let (first, rest) = digit(numerator, low >> 32, scaled);
    let (second, rest) = digit(rest, low & LOW, scaled);
    Some(((first << 32) | second, rest >> shift))
}

/// One digit of the division: (numerator · 2³² + next) / divisor, where numerator < divisor, the divisor's
/// top bit is set and next < 2³².
#[inline(always)]
fn digit(numerator: u64, next: u64, divisor: u64) -> (u64, u64) {
    let (d1, d0) = (divisor >> 32, divisor & LOW);
    let mut quotient = numerator / d1;
    let mut rest = numerator % d1;
    // The estimate from the divisor's upper half is at most 2 too great. It is at most 2³² + 1, so that its
    // product with the lower half fits.
    while quotient > LOW || quotient.wrapping_mul(d0) > (rest << 32 | next) {
        quotient -= 1;
        rest += d1;
        if rest > LOW {
            break;
        }
    }
    // The true remainder is below the divisor, so that arithmetic mod 2⁶⁴ finds it.
    let remainder = (numerator << 32 | next).wrapping_sub(quotient.wrapping_mul(divisor));
    (quotient, remainder)
}

/// a · b / divisor, exact up to the one rounding.
pub fn mul_div(a: u64, b: u64, divisor: u64, rounding: Rounding) -> Result<u64, MathError> {
    if divisor == 0 {
        return Err(MathError::DivisionByZero);
    }
    let whole = a / divisor;
    if (whole | b | divisor) >> 32 == 0 {
        // The divisors that are whole in a and the rest apart: each product has two factors below 2³², and their sum fits too.
        let of_rest = (a - whole.wrapping_mul(divisor)).wrapping_mul(b);
        let up = if rounding == Rounding::Up && !of_rest.is_multiple_of(divisor) { 1 } else { 0 };
        return Ok(whole.wrapping_mul(b).wrapping_add(of_rest / divisor).wrapping_add(up));
    }
    let (high, low) = widening_mul(a, b);
    let (quotient, remainder) = wide_div(high, low, divisor).ok_or(MathError::Overflow)?;
    if rounding == Rounding::Up && remainder != 0 { add(quotient, 1) } else { Ok(quotient) }
}

/// `bps` ten-thousandths of an amount; more than [`BPS_ONE`] is more than the whole.
pub fn bps(amount: u64, bps: u16, rounding: Rounding) -> Result<u64, MathError> {
    if bps > BPS_ONE {
        return mul_div(amount, bps as u64, BPS_ONE as u64, rounding);
    }
    // Whole ten-thousands and the rest apart: neither product is greater than its 64-bit word, nor the sum than the amount.
    let (whole, one) = (amount / BPS_ONE as u64, BPS_ONE as u64);
    let of_rest = (amount - whole.wrapping_mul(one)).wrapping_mul(bps as u64);
    let up = if rounding == Rounding::Up { one - 1 } else { 0 };
    Ok(whole.wrapping_mul(bps as u64).wrapping_add((of_rest + up) / one))
}

/// The greatest integer whose square is at most `value`.
pub const fn isqrt_u64(value: u64) -> u32 {
    let (mut rest, mut root, mut bit) = (value, 0u64, 1u64 << 62);
    while bit != 0 {
        let trial = root | bit;
        root >>= 1;
        if rest >= trial {
            rest -= trial;
            root |= bit;
        }
        bit >>= 2;
    }
    root as u32
}

/// The greatest integer whose square is at most high · 2⁶⁴ + low.
pub const fn isqrt_u128(high: u64, low: u64) -> u64 {
    // The same digit by digit method on 128-bit words: additions, comparisons and constant shifts only.
    let (mut rest, mut root, mut bit) = ((high as u128) << 64 | low as u128, 0u128, 1u128 << 126);
    while bit != 0 {
        let trial = root | bit;
        root >>= 1;
        if rest >= trial {
            rest -= trial;
            root |= bit;
        }
        bit >>= 2;
    }
    root as u64
}

/// Shares that a deposit of `assets` buys, rounded down. The totals are those before the deposit, plus whatever
/// virtual shares and assets the pool adds against donation inflation; zero shares are the caller's to refuse.
pub fn shares_for_deposit(assets: u64, total_shares: u64, total_assets: u64) -> Result<u64, MathError> {
    mul_div(assets, total_shares, total_assets, Rounding::Down)
}

/// Assets that `shares` are worth, rounded down. The totals are as in [`shares_for_deposit`].
pub fn assets_for_shares(shares: u64, total_shares: u64, total_assets: u64) -> Result<u64, MathError> {
    mul_div(shares, total_assets, total_shares, Rounding::Down)
}

/// Adds two words to two words.
#[inline(always)]
fn wide_add(a: (u64, u64), b: (u64, u64)) -> Result<(u64, u64), MathError> {
    let (low, carry) = a.1.overflowing_add(b.1);
    Ok((add(add(a.0, b.0)?, carry as u64)?, low))
}

/// Subtracts two words from two words.
#[inline(always)]
fn wide_sub(a: (u64, u64), b: (u64, u64)) -> Result<(u64, u64), MathError> {
    let (low, borrow) = a.1.overflowing_sub(b.1);
    Ok((sub(sub(a.0, b.0)?, borrow as u64)?, low))
}

/// Reward per share since a pool began, in base units: `high` whole units and `low` · 2⁻⁶⁴.
///
/// A position remembers the index at its last settlement; what it is owed since is the growth of the index
/// times its shares. No loop over positions exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct RewardIndex {
    /// Whole base units per share.
    pub high: u64,
    /// 2⁻⁶⁴ base units per share.
    pub low: u64,
}

impl RewardIndex {
    /// Spreads `amount` base units over `shares`. What does not divide evenly, less than one 2⁻⁶⁴ unit per share,
    /// is kept in `remainder` (in 2⁻⁶⁴ base units, 0 for a new pool) for the next call, which may have
    /// another number of shares: always Σ amounts = Σ growth · shares + remainder.
    ///
    /// Fails without shares: the caller holds the amount until there are some. Nothing changes on failure.
    pub fn add(&mut self, amount: u64, shares: u64, remainder: &mut u64) -> Result<(), MathError> {
        if shares == 0 {
            return Err(MathError::DivisionByZero);
        }
        let (whole, rest) = (amount / shares, amount % shares);
        let (fraction, left) = wide_div(rest, *remainder, shares).ok_or(MathError::Overflow)?;
        let (high, low) = wide_add((self.high, self.low), (whole, fraction))?;
        *self = RewardIndex { high, low };
        *remainder = left;
        Ok(())
    }

    /// Adds the growth of another index. Nothing changes on failure.
    pub fn grow(&mut self, growth: RewardIndex) -> Result<(), MathError> {
        let (high, low) = wide_add((self.high, self.low), (growth.high, growth.low))?;
        *self = RewardIndex { high, low };
        Ok(())
    }

    /// Base units that `shares` have earned since the index stood at `since`, rounded down.
    pub fn owed(&self, shares: u64, since: RewardIndex) -> Result<u64, MathError> {
        let (high, low) = wide_sub((self.high, self.low), (since.high, since.low))?;
        add(mul(shares, high)?, widening_mul(shares, low).0)
    }
}

/// The integral of a value over time: Σ value · slots, in two words.
///
/// Its growth over a span divided by the span is the value's time-weighted average, which nobody can move by
/// acting at the right moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct TimeIntegral {
    /// Upper word.
    pub high: u64,
    /// Lower word.
    pub low: u64,
}

impl TimeIntegral {
    /// Adds `slots` slots during which the value stood at `value`. Nothing changes on failure.
    pub fn accumulate(&mut self, value: u64, slots: u64) -> Result<(), MathError> {
        let (high, low) = wide_add((self.high, self.low), widening_mul(value, slots))?;
        *self = TimeIntegral { high, low };
        Ok(())
    }

    /// The average of the value over the `slots` slots since the integral stood at `since`, rounded down.
    pub fn average(&self, since: TimeIntegral, slots: u64) -> Result<u64, MathError> {
        if slots == 0 {
            return Err(MathError::DivisionByZero);
        }
        let (high, low) = wide_sub((self.high, self.low), (since.high, since.low))?;
        wide_div(high, low, slots).map(|(quotient, _)| quotient).ok_or(MathError::Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// 0, 1, MAX, powers of two and their neighbours, and repeated patterns.
    fn adversarial() -> Vec<u64> {
        let mut values: Vec<u64> = std::vec![3, 7, 10_000, 1_000_000_000, 0x5555_5555_5555_5555, 0xFFFF_FFFF_0000_0001];
        for power in 0..64 {
            let value = 1u64 << power;
            values.extend([value.wrapping_sub(1), value, value + 1, value.wrapping_neg()]);
        }
        values.sort_unstable();
        values.dedup();
        values
    }

    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            (any::<u64>(), 0u32..64).prop_map(|(value, shift)| value >> shift),
            prop::sample::select(adversarial()),
        ]
    }

    fn check_mul_div(a: u64, b: u64, divisor: u64) {
        for rounding in [Rounding::Down, Rounding::Up] {
            let expected = if divisor == 0 {
                Err(MathError::DivisionByZero)
            } else {
                let product = a as u128 * b as u128;
                let quotient = match rounding {
                    Rounding::Down => product / divisor as u128,
                    Rounding::Up => product.div_ceil(divisor as u128),
                };
                u64::try_from(quotient).map_err(|_| MathError::Overflow)
            };
            assert_eq!(mul_div(a, b, divisor, rounding), expected, "{a} · {b} / {divisor} {rounding:?}");
        }
    }

    fn check_wide_div(high: u64, low: u64, divisor: u64) {
        let value = (high as u128) << 64 | low as u128;
        let expected = (high < divisor).then(|| {
            let divisor = divisor as u128;
            ((value / divisor) as u64, (value % divisor) as u64)
        });
        assert_eq!(wide_div(high, low, divisor), expected, "{high} {low} / {divisor}");
    }

    #[test]
    fn products_and_quotients_equal_128_bit_arithmetic_on_adversarial_words() {
        let values = adversarial();
        for &a in &values {
            for &b in &values {
                let product = a as u128 * b as u128;
                assert_eq!(widening_mul(a, b), ((product >> 64) as u64, product as u64));
                assert_eq!(mul(a, b).ok(), a.checked_mul(b));
                assert_eq!(add(a, b).ok(), a.checked_add(b));
                assert_eq!(sub(a, b).ok(), a.checked_sub(b));
                for &c in values.iter().step_by(5) {
                    check_mul_div(a, b, c);
                    check_wide_div(a, b, c);
                }
            }
        }
    }

    #[test]
    fn square_roots_are_the_floor() {
        let values = adversarial();
        for &value in &values {
            assert_eq!(isqrt_u64(value) as u64, value.isqrt());
            for &low in &values {
                let wide = (value as u128) << 64 | low as u128;
                assert_eq!(isqrt_u128(value, low) as u128, wide.isqrt());
            }
        }
    }

    #[test]
    fn basis_points_round_as_asked() {
        assert_eq!(bps(9_999, 1, Rounding::Down), Ok(0));
        assert_eq!(bps(9_999, 1, Rounding::Up), Ok(1));
        assert_eq!(bps(u64::MAX, BPS_ONE, Rounding::Up), Ok(u64::MAX));
        assert_eq!(bps(u64::MAX, BPS_ONE + 1, Rounding::Down), Err(MathError::Overflow));
    }

    #[test]
    fn an_index_refuses_missing_shares_and_running_backwards_and_keeps_its_state() {
        let mut index = RewardIndex { high: u64::MAX, low: 5 };
        let mut remainder = 9;
        assert_eq!(index.add(1, 0, &mut remainder), Err(MathError::DivisionByZero));
        assert_eq!(index.add(1, 1, &mut remainder), Err(MathError::Overflow));
        assert_eq!((index, remainder), (RewardIndex { high: u64::MAX, low: 5 }, 9));
        assert_eq!(RewardIndex::default().owed(1, index), Err(MathError::Underflow));
        assert_eq!(index.owed(2, RewardIndex::default()), Err(MathError::Overflow));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn division_equals_128_bit_arithmetic(a in word(), b in word(), c in word()) {
            check_mul_div(a, b, c);
            check_wide_div(a, b, c);
        }

        #[test]
        fn roots_equal_128_bit_arithmetic(high in word(), low in word()) {
            prop_assert_eq!(isqrt_u64(high) as u64, high.isqrt());
            prop_assert_eq!(isqrt_u128(high, low) as u128, ((high as u128) << 64 | low as u128).isqrt());
        }

        #[test]
        fn deposits_and_withdrawals_never_favour_the_user(
            assets in 1u64..1 << 60, shares in 1u64..1 << 60, deposit in 0u64..1 << 40,
        ) {
            if let Ok(minted) = shares_for_deposit(deposit, shares, assets)
                && let (Ok(total_shares), Ok(total_assets)) = (add(shares, minted), add(assets, deposit)) {
                prop_assert!(assets_for_shares(minted, total_shares, total_assets).unwrap() <= deposit);
            }
        }

        /// Over changing share counts, with every payout settled before each change, nothing is created, and what is
        /// not yet paid is less than one unit per settlement and the carried remainder.
        #[test]
        fn rewards_are_conserved(
            steps in prop::collection::vec((0u64..1 << 50, prop::collection::vec(0u64..1 << 50, 1..5)), 1..20),
        ) {
            let (mut index, mut remainder) = (RewardIndex::default(), 0u64);
            let (mut funded, mut exact, mut paid, mut settlements) = (0u128, 0u128, 0u128, 0u128);
            for (amount, positions) in steps {
                let shares: u64 = positions.iter().sum();
                let since = index;
                if index.add(amount, shares, &mut remainder).is_err() {
                    prop_assert_eq!(shares, 0);
                    continue;
                }
                funded += amount as u128;
                let growth = ((index.high as u128) << 64 | index.low as u128)
                    - ((since.high as u128) << 64 | since.low as u128);
                exact += growth * shares as u128;
                prop_assert_eq!(exact + remainder as u128, funded << 64);
                for position in positions {
                    paid += index.owed(position, since).unwrap() as u128;
                    settlements += 1;
                }
            }
            prop_assert!(paid <= funded);
            prop_assert!(funded - paid <= settlements + 1);
        }

        #[test]
        fn basis_points_are_the_exact_quotient(amount in word(), part in 0..=u16::MAX) {
            for rounding in [Rounding::Down, Rounding::Up] {
                for part in [part, part % (BPS_ONE + 1)] {
                    let exact = mul_div(amount, part as u64, BPS_ONE as u64, rounding);
                    prop_assert_eq!(bps(amount, part, rounding), exact);
                }
            }
        }

        #[test]
        fn an_average_is_the_integral_over_the_span(steps in prop::collection::vec((word(), 0u64..1 << 40), 1..9)) {
            let start = TimeIntegral { high: 7, low: u64::MAX - 3 };
            let (mut integral, mut sum, mut span) = (start, 0u128, 0u64);
            for (value, slots) in steps {
                integral.accumulate(value, slots).unwrap();
                sum += value as u128 * slots as u128;
                span += slots;
            }
            let expected = if span == 0 { Err(MathError::DivisionByZero) } else { Ok((sum / span as u128) as u64) };
            prop_assert_eq!(integral.average(start, span), expected);
            if integral != start {
                prop_assert_eq!(start.average(integral, 1), Err(MathError::Underflow));
            }
        }
    }
}
