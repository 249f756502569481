//! How a room declares its instructions: one byte that names each, then its arguments as a plain struct, little endian.
//!
//! Each doc comment is the specification: accounts in order, then what is checked, then what changes. "Writable" accounts that must differ
//! are refused when they are one.

use bytemuck::Pod;

/// Arguments of one instruction.
pub trait Args: Pod {
    /// The first byte of the instruction's data.
    const TAG: u8;
    /// The instruction's name.
    const NAME: &'static str;
}

/// Defines the arguments of a room's instructions, and its list `NAMES`, which belongs into [`crate::instructions::ROOMS`].
macro_rules! instructions {
    ($($(#[$doc:meta])* $name:ident = $tag:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
            #[repr(C)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

            impl Args for $name {
                const TAG: u8 = $tag;
                const NAME: &'static str = stringify!($name);
            }
        )*

        /// Tag and name of every instruction here; [`name`](crate::instructions::name) looks through all rooms.
        pub(crate) const NAMES: &[(u8, &str)] = &[$(($tag, stringify!($name)),)*];
    };
}

pub(crate) use instructions;
