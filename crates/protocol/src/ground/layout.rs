//! Where each field of the protocol's structs lies, recorded where they are declared.

/// A struct whose bytes are its state: no field is moved, none is padded.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Its name.
    pub name: &'static str,
    /// Its prose.
    pub docs: &'static [&'static str],
    /// Its size.
    pub bytes: usize,
    /// Its fields in order.
    pub fields: &'static [Field],
}

/// A field of a struct.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its prose.
    pub docs: &'static [&'static str],
    /// Its type as the source spells it: `Address` and `[u8; 32]` are the same bytes, and not the same thing.
    pub spelled: &'static str,
    /// Where it begins.
    pub offset: usize,
    /// Its type.
    pub kind: Type,
}

/// The type of a field; integers are little endian.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// An unsigned integer of so many bytes.
    Integer(usize),
    /// So many of one type.
    Array(&'static Type, usize),
    /// A struct.
    Struct(&'static Layout),
}

impl Type {
    /// Bytes of a value.
    pub const fn bytes(&self) -> usize {
        match self {
            Type::Integer(bytes) => *bytes,
            Type::Array(item, count) => item.bytes() * *count,
            Type::Struct(layout) => layout.bytes,
        }
    }
}

/// What has a [`Type`].
pub trait Described {
    /// The type.
    const TYPE: Type;
}

macro_rules! integers {
    ($($integer:ty),*) => {
        $(impl Described for $integer {
            const TYPE: Type = Type::Integer(size_of::<$integer>());
        })*
    };
}

integers!(u8, u16, u32, u64);

impl<T: Described, const N: usize> Described for [T; N] {
    const TYPE: Type = Type::Array(&T::TYPE, N);
}

/// Declares a struct, and records its layout as `LAYOUT`.
macro_rules! layout {
    (
        $(#[doc = $doc:literal])*
        #[derive($($derived:ident),* $(,)?)]
        #[repr(C)]
        pub struct $name:ident {
            $($(#[doc = $field_doc:literal])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive($($derived),*)]
        #[repr(C)]
        pub struct $name {
            $($(#[doc = $field_doc])* pub $field: $type,)*
        }

        impl $name {
            /// Where each field lies.
            pub const LAYOUT: $crate::ground::layout::Layout = $crate::ground::layout::Layout {
                name: stringify!($name),
                docs: &[$($doc),*],
                bytes: size_of::<$name>(),
                fields: &[$($crate::ground::layout::Field {
                    name: stringify!($field),
                    docs: &[$($field_doc),*],
                    spelled: stringify!($type),
                    offset: core::mem::offset_of!($name, $field),
                    kind: <$type as $crate::ground::layout::Described>::TYPE,
                }),*],
            };
        }

        impl $crate::ground::layout::Described for $name {
            const TYPE: $crate::ground::layout::Type = $crate::ground::layout::Type::Struct(&$name::LAYOUT);
        }
    };
}

pub(crate) use layout;

/// The words of the arithmetic that accounts hold.
mod words {
    use super::{Described, Field, Layout, Type};
    use sip_arith::int::{RewardIndex, TimeIntegral};

    const fn word(name: &'static str, docs: &'static [&'static str], offset: usize) -> Field {
        Field { name, docs, spelled: "u64", offset, kind: u64::TYPE }
    }

    impl Described for RewardIndex {
        const TYPE: Type = Type::Struct(&Layout {
            name: "RewardIndex",
            docs: &[" Reward per share since a pool began, in base units: `high` whole units and `low` · 2⁻⁶⁴."],
            bytes: size_of::<RewardIndex>(),
            fields: &[
                word("high", &[" Whole base units per share."], core::mem::offset_of!(RewardIndex, high)),
                word("low", &[" 2⁻⁶⁴ base units per share."], core::mem::offset_of!(RewardIndex, low)),
            ],
        });
    }

    impl Described for TimeIntegral {
        const TYPE: Type = Type::Struct(&Layout {
            name: "TimeIntegral",
            docs: &[" The integral of a value over time: Σ value · slots, in two words."],
            bytes: size_of::<TimeIntegral>(),
            fields: &[
                word("high", &[" Upper word."], core::mem::offset_of!(TimeIntegral, high)),
                word("low", &[" Lower word."], core::mem::offset_of!(TimeIntegral, low)),
            ],
        });
    }
}
