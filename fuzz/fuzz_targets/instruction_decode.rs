//! Instructions from any bytes: arguments are exactly the bytes of their struct, and the rules that look at nothing else, and the pure
//! steps of money that they start, never panic.
#![no_main]

use bytemuck::Zeroable;
use libfuzzer_sys::fuzz_target;
use sip_protocol::{court::MoveKind, instructions::*, ground::declare::Args, training::mixture, stake::pool::{Pool, PoolKind}, money::token::check_account};

/// The arguments of one instruction: read from the bytes cut or filled up to their length, and written back the same.
fn read<A: Args>(data: &[u8]) -> A {
    assert_eq!(name(A::TAG), Some(A::NAME));
    let mut args = A::zeroed();
    let bytes = bytemuck::bytes_of_mut(&mut args);
    let len = bytes.len().min(data.len());
    bytes[..len].copy_from_slice(&data[..len]);
    let again: A = bytemuck::pod_read_unaligned(bytemuck::bytes_of(&args));
    assert_eq!(bytemuck::bytes_of(&again), bytemuck::bytes_of(&args));
    args
}

/// A pool with stake in it, on which amounts of the instruction are tried.
fn pool(seed: u64) -> Pool {
    let mut pool = Pool::zeroed();
    pool.initialise(PoolKind::Trainer, &[1; 32], 0, 0);
    pool.self_bond = seed;
    let _ = pool.add_assets(seed >> 1, 1);
    pool
}

/// Reader: reads the arguments of a room's instruction by its tag.
macro_rules! decode {
    ($($(#[$doc:meta])* $name:ident = $number:literal {
        args $args:tt $(then $tail:ident)?
        accounts $accounts:tt
        budget $budget:tt
    })*) => {
        pub(crate) fn decode(tag: u8, data: &[u8]) {
            match tag {
                $($name::TAG => drop(crate::read::<$name>(data)),)*
                _ => {}
            }
        }
    };
}

mod stake {
    use sip_protocol::instructions::*;
    sip_protocol::stake_instructions!(decode);
}

mod admin {
    use sip_protocol::instructions::*;
    sip_protocol::admin_instructions!(decode);
}

mod training {
    use sip_protocol::instructions::*;
    sip_protocol::training_instructions!(decode);
}

mod court {
    use sip_protocol::instructions::*;
    sip_protocol::court_instructions!(decode);
}

mod money {
    use sip_protocol::instructions::*;
    sip_protocol::money_instructions!(decode);
}

fuzz_target!(|data: &[u8]| {
    let Some((&tag, data)) = data.split_first() else { return };
    for decode in [stake::decode, admin::decode, training::decode, court::decode, money::decode] {
        decode(tag, data);
    }
    let seed = data.iter().fold(u64::from(tag), |seed, byte| seed.rotate_left(7) ^ u64::from(*byte));
    let mut pool = pool(seed >> 8);
    match tag {
        Initialize::TAG => {
            let args: Initialize = read(data);
            let _ = (args.parameters.check(), args.schedule.check());
        }
        ProposeParameters::TAG => {
            let _ = read::<ProposeParameters>(data).parameters.check();
        }
        ProposeSchedule::TAG => {
            let _ = read::<ProposeSchedule>(data).schedule.check();
        }
        CreateJob::TAG => {
            let spec = read::<CreateJob>(data).spec;
            if spec.check().is_ok() {
                let _ = (spec.leaf_count(), spec.score_leaf_count());
                let weights = vec![seed; usize::from(spec.domain_count)];
                let mode = mixture::Mode::from_byte(spec.mixture_mode).expect("a specification that was checked");
                let bounds = [spec.mixture_floor_bps, spec.mixture_cap_bps];
                if let Ok(parts) = mixture::fill_by(mode, &weights, bounds) {
                    assert_eq!(parts.iter().map(|part| u32::from(*part)).sum::<u32>(), 10_000);
                }
            }
        }
        AddBond::TAG => {
            let _ = pool.add_bond(read::<AddBond>(data).amount, seed, seed);
        }
        PlayMove::TAG => {
            let _ = MoveKind::from_number(u32::from(read::<PlayMove>(data).kind));
        }
        _ => {
            // A holder's token account, which the program reads byte by byte.
            let _ = check_account(data);
        }
    }
    let _ = pool.held();
});
