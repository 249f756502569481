//! Every number of every instruction at its extremes: whatever comes, the program ends with a result of its own, and nothing is made or lost.

use crate::table::{Case, Findings, simulate, table};
use crate::tokens::is_balanced;

/// What a number of so many bytes is tried as: 0, 1, one less than the most, the most, and the signs' edge.
fn extremes(width: usize) -> [Vec<u8>; 5] {
    let number = |first: u8, middle: u8, last: u8| {
        let mut bytes = vec![middle; width];
        bytes[width - 1] = last;
        if width > 1 || first != middle {
            bytes[0] = first;
        }
        bytes
    };
    [
        number(0, 0, 0),
        number(1, 0, if width == 1 { 1 } else { 0 }),
        number(254, 255, 255),
        number(255, 255, 255),
        number(0, 0, 128),
    ]
}

/// Attack: arguments at the ends of what their bytes can say, wherever a number of 1, 2, 4, 8 or 16 bytes may lie.
#[test]
fn no_argument_at_its_extreme_ends_the_program_or_makes_money() {
    let mut findings = Findings::default();
    for case in table().iter() {
        for width in [1usize, 2, 4, 8, 16] {
            let mut offset = 1;
            while offset + width <= case.instruction.data.len() {
                for bytes in extremes(width) {
                    let changed = case.changed(|changed| changed.data[offset..offset + width].copy_from_slice(&bytes));
                    judge(&mut findings, case, simulate(&case.ledger, &[changed]), || format!("{bytes:?} at {offset}"));
                }
                offset += width;
            }
        }
    }
    findings.check(20_000);
}

fn judge(
    findings: &mut Findings,
    case: &Case,
    result: Result<crate::table::After, crate::table::Refusal>,
    what: impl FnOnce() -> String,
) {
    match result {
        Ok(after) => findings.expect(case, is_balanced(case, &after), || format!("unbalanced: {}", what())),
        Err(refusal) => findings.expect(case, !refusal.is_abort, || format!("aborted: {}", what())),
    }
}
