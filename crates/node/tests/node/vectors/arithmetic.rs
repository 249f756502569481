//! The operations on f32.

use super::Random;
use serde_json::{Map, Value, json};
use sip_arith::{Arith, Native, Soft, less_than, max_total, nearest_integer};
use sip_ops::{exp, log};

/// Zeros, subnormals, the least and greatest numbers, infinities, NaNs, a few plain ones.
pub(crate) const SPECIAL: [u32; 16] = [
    0x0000_0000,
    0x8000_0000,
    0x0000_0001,
    0x8000_0001,
    0x007F_FFFF,
    0x0080_0000,
    0x8080_0000,
    0x3F80_0000,
    0xBF80_0000,
    0x4B00_0001,
    0x7F7F_FFFF,
    0xFF7F_FFFF,
    0x7F80_0000,
    0xFF80_0000,
    0x7FC0_0000,
    0xFFA0_0001,
];

/// Triples whose product is cancelled, or whose sum lies next to half a unit in the last place.
const TRICKY: [[u32; 3]; 10] = [
    [0x3F80_0001, 0x3F80_0001, 0xBF80_0002],
    [0x3F80_0001, 0x3F7F_FFFE, 0xBF80_0000],
    [0x3FFF_FFFF, 0x3FFF_FFFF, 0x3380_0000],
    [0x3F80_0001, 0x3F80_0000, 0x3380_0000],
    [0x3F80_0000, 0x3F80_0000, 0x3380_0001],
    [0x3F80_0003, 0x3F80_0000, 0xB380_0000],
    [0x0080_0001, 0x3F00_0000, 0x0000_0000],
    [0x0080_0001, 0x3F00_0000, 0x0000_0001],
    [0x1F80_0001, 0x1F80_0001, 0x8000_0001],
    [0x7F7F_FFFF, 0x3F80_0000, 0x7280_0000],
];

fn pairs(random: &mut Random) -> Vec<[u32; 2]> {
    let special = SPECIAL.into_iter().flat_map(|a| SPECIAL.map(|b| [a, b]));
    special.chain((0..150).map(|_| [random.float(), random.float()])).collect()
}

fn binary(random: &mut Random, operation: fn(u32, u32) -> u32, soft: fn(u32, u32) -> u32) -> Value {
    let row = |[a, b]: [u32; 2]| {
        assert_eq!(operation(a, b), soft(a, b), "{a:08x} {b:08x}");
        json!([a, b, operation(a, b)])
    };
    pairs(random).into_iter().map(row).collect()
}

fn unary(values: Vec<u32>, operation: impl Fn(u32) -> u32) -> Value {
    values.into_iter().map(|a| json!([a, operation(a)])).collect()
}

pub(crate) fn vectors() -> Map<String, Value> {
    let mut random = Random::new(1);
    let mut file = Map::new();
    file.insert("add".into(), binary(&mut random, Native::add, Soft::add));
    file.insert("sub".into(), binary(&mut random, Native::sub, Soft::sub));
    file.insert("mul".into(), binary(&mut random, Native::mul, Soft::mul));
    file.insert("div".into(), binary(&mut random, Native::div, Soft::div));
    file.insert("max_total".into(), binary(&mut random, max_total, max_total));
    let less = |a, b| less_than(a, b) as u32;
    file.insert("less_than".into(), binary(&mut random, less, less));
    let some = [0, 1, 3, 4, 6, 8, 10, 12, 13, 14].map(|at| SPECIAL[at]);
    let special = some.into_iter().flat_map(|a| some.into_iter().flat_map(move |b| some.map(|c| [a, b, c])));
    let chance: Vec<[u32; 3]> = (0..200).map(|_| std::array::from_fn(|_| random.float())).collect();
    // A product and what almost cancels it.
    let cancelled: Vec<[u32; 3]> = (0..100)
        .map(|_| {
            let (a, b) = (random.float(), random.float());
            [a, b, (Native::mul(a, b) ^ 0x8000_0000).wrapping_add(random.below(3)).wrapping_sub(1)]
        })
        .collect();
    let rows = special.chain(TRICKY).chain(chance).chain(cancelled).map(|[a, b, c]| {
        let result = Native::fma(a, b, c);
        assert_eq!(result, Soft::fma(a, b, c));
        json!([a, b, c, result])
    });
    file.insert("fma".into(), rows.collect());
    let mut values = |extra: &[u32]| -> Vec<u32> {
        let chance = (0..150).map(|_| random.float());
        SPECIAL.into_iter().chain(extra.iter().copied()).chain(chance).collect()
    };
    file.insert("sqrt".into(), unary(values(&[0x4000_0000, 0x4080_0000, 0x3F80_0001]), Native::sqrt));
    // Where the result overflows, underflows and becomes subnormal.
    let edges = [0x42B1_7218, 0x42B1_7219, 0xC2CF_F1B4, 0xC2CF_F1B5, 0xC2AE_AC50, 0xC2AE_AC51, 0x3331_7218];
    file.insert("exp".into(), unary(values(&edges), exp::<Native>));
    file.insert("log".into(), unary(values(&[0x3F35_04F3, 0x3F35_04F2, 0x3F80_0001, 0x3F7F_FFFF]), log::<Native>));
    let halves = [0.5f32, 1.5, 2.5, -0.5, -1.5, 2147483520.0, 2147483648.0, -2147483648.0, -2147483904.0];
    file.insert("nearest_integer".into(), unary(values(&halves.map(f32::to_bits)), nearest_integer));
    let integers =
        [0, 1, 0x00FF_FFFF, 0x0100_0000, 0x0100_0001, 0x0100_0002, 0x0100_0003, 0x7FFF_FFFF, 0x8000_0000, !0];
    file.insert("from_u32".into(), unary(values(&integers), Native::from_u32));
    file
}
