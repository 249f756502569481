//! Which vector instructions the kernels use. The choice never changes a bit of a result.

use std::fmt;

/// A set of vector instructions, from slowest to fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Simd {
    /// What the compiler's target guarantees.
    Scalar,
    /// aarch64 with NEON.
    Neon,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
}

/// `SIP_SIMD` asks for what cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimdError {
    /// Not a known name.
    #[error("SIP_SIMD is {0:?}, expected scalar, neon, avx2 or avx512; unset it to choose the fastest")]
    Unknown(String),
    /// The processor lacks the instructions.
    #[error("SIP_SIMD is {wanted}, but this processor has only {best}; unset it to choose the fastest")]
    Unsupported {
        /// What was asked for.
        wanted: Simd,
        /// The fastest that works here.
        best: Simd,
    },
}

impl Simd {
    /// All levels, from slowest to fastest.
    pub const ALL: [Simd; 4] = [Simd::Scalar, Simd::Neon, Simd::Avx2, Simd::Avx512];

    /// Whether this processor has the instructions.
    pub fn is_supported(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Simd::Scalar => true,
            Simd::Neon => false,
            Simd::Avx2 => std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma"),
            Simd::Avx512 => {
                Simd::Avx2.is_supported()
                    && std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512bw")
                    && std::is_x86_feature_detected!("avx512dq")
                    && std::is_x86_feature_detected!("avx512vl")
            }
        };
        #[cfg(target_arch = "aarch64")]
        return self <= Simd::Neon;
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        return self == Simd::Scalar;
    }

    /// The fastest level of this processor.
    pub fn detect() -> Simd {
        Simd::Avx512.or_slower()
    }

    /// The fastest level of this processor, or the one that the environment variable `SIP_SIMD` names.
    pub fn from_environment() -> Result<Simd, SimdError> {
        let Ok(name) = std::env::var("SIP_SIMD") else { return Ok(Simd::detect()) };
        let Some(&wanted) = Simd::ALL.iter().find(|simd| simd.to_string() == name) else {
            return Err(SimdError::Unknown(name));
        };
        if !wanted.is_supported() {
            return Err(SimdError::Unsupported { wanted, best: Simd::detect() });
        }
        Ok(wanted)
    }

    /// This level, or the fastest below it that the processor has.
    pub(crate) fn or_slower(self) -> Simd {
        let usable = |simd: &&Simd| **simd <= self && simd.is_supported();
        Simd::ALL.iter().rev().find(usable).copied().unwrap_or(Simd::Scalar)
    }
}

impl fmt::Display for Simd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Simd::Scalar => "scalar",
            Simd::Neon => "neon",
            Simd::Avx2 => "avx2",
            Simd::Avx512 => "avx512",
        })
    }
}

/// Compiles one function body once per level and picks among the copies at run time.
///
/// The body must be `#[inline(always)]` and generic over one [`crate::level::Level`], so that the compiler vectorises each
/// copy for its level. A closure in the body is vectorised only where it is inlined, so loops do not belong into closures that go
/// to functions other than `#[inline(always)]` ones.
macro_rules! per_level {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $body:ident;) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $visibility fn $name(simd: $crate::Simd, $($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $type),*) $(-> $result)? {
                $body::<$crate::level::Avx2>($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($argument: $type),*) $(-> $result)? {
                $body::<$crate::level::Avx512>($($argument),*)
            }
            match simd {
                // Every aarch64 processor has NEON.
                #[cfg(target_arch = "aarch64")]
                $crate::Simd::Neon => $body::<$crate::level::Neon>($($argument),*),
                // SAFETY: `Kernel::new` lowers the level to one that the processor has.
                #[cfg(target_arch = "x86_64")]
                $crate::Simd::Avx2 => unsafe { avx2($($argument),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::Simd::Avx512 => unsafe { avx512($($argument),*) },
                _ => $body::<$crate::level::Portable>($($argument),*),
            }
        }
    };
}
pub(crate) use per_level;
