//! The instructions of parameters, proposals, spending and migration. Tags 0x20 to 0x3F. See [`crate::ground::declare`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::{
    Address,
    admin::config::Parameters,
    ground::declare::{arguments, specs},
    ground::schedule::Schedule,
};

/// Hands the table to a reader.
#[macro_export]
macro_rules! admin_instructions {
    ($($reader:tt)*) => { $($reader)*! {
        /// Creates the configuration, the emission, the mint and the vault, and mints the cap into the vault.
        ///
        /// - the authority may upgrade the program: the data account, at the address that loader v3 derives from the program's, names it
        /// - once only; all four at their canonical addresses, even if someone sent lamports there first
        /// - parameters and schedule within their hard bounds
        /// - the token program is SPL Token or Token-2022; the mint has 9 decimals, the config account as authority, no freeze authority
        ///   and no extension
        /// - 10⁹ tokens are minted into the vault and split over the buckets
        Initialize = 0x20 {
            args {
                /// First parameters.
                parameters: Parameters,
                /// First schedule of emission.
                schedule: Schedule,
            }
            accounts {
                authority: payer,
                config: opens(Config),
                mint: opens(Mint),
                vault: opens(Vault),
                emission: opens(Emission),
                program_data: reads(ProgramData),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
            }
            budget { 24_500 }
        }

        /// Proposes new parameters, which take effect a day after those who ask to leave now have left, at the earliest.
        ///
        /// - the signer is the configuration's authority
        /// - parameters within their hard bounds; what was proposed before is withdrawn
        ProposeParameters = 0x21 {
            args {
                /// New parameters.
                parameters: Parameters,
            }
            accounts {
                authority: signer,
                config: writes(Config),
            }
            budget { 700 }
        }

        /// Puts proposed parameters into effect.
        ///
        /// - anyone may; the proposal is one of parameters, its slot is reached and not a week past
        ApplyParameters = 0x22 {
            args {}
            accounts {
                config: writes(Config),
            }
            budget { 1_000 }
        }

        /// Proposes another schedule of emission, which takes effect a day after those who ask to leave now have left, at the earliest.
        ///
        /// - the signer is the configuration's authority
        /// - within its hard bounds; what was proposed before is withdrawn
        ProposeSchedule = 0x23 {
            args {
                /// The schedule.
                schedule: Schedule,
            }
            accounts {
                authority: signer,
                config: writes(Config),
            }
            budget { 500 }
        }

        /// Puts a proposed schedule into effect from the next epoch on; caps never rise again.
        ///
        /// - anyone may; the proposal is one of a schedule, its slot is reached and not a week past
        ApplySchedule = 0x24 {
            args {}
            accounts {
                config: writes(Config),
                emission: writes(Emission),
            }
            budget { 1_300 }
        }

        /// Proposes to pay out of the treasury, the reserve or the insurance, a day after those who ask to leave now have left, at the earliest.
        ///
        /// - the signer is the configuration's authority
        /// - the kind pays, the amount is not zero; what was proposed before is withdrawn
        ProposeSpending = 0x25 {
            args {
                /// Base units.
                amount: u64,
                /// The token account that is paid.
                destination: Address,
                /// A [`crate::admin::administration::ProposalKind`].
                kind: u8,
                /// Always 0.
                reserved: [u8; 7],
            }
            accounts {
                authority: signer,
                config: writes(Config),
            }
            budget { 400 }
        }

        /// Pays what was proposed.
        ///
        /// - anyone may; the proposal is one of spending, its slot is reached and not a week past; the bucket holds the amount
        ApplySpending = 0x26 {
            args {}
            accounts {
                config: writes(Config),
                vault: writes(Vault),
                /// The token account that was proposed.
                destination: writes(Tokens),
                token_program: calls(TokenProgram),
            }
            budget { 2_000 }
        }

        /// Withdraws the proposal.
        ///
        /// - the signer is the configuration's authority; there is a proposal
        CancelProposal = 0x27 {
            args {}
            accounts {
                authority: signer,
                config: writes(Config),
            }
            budget { 200 }
        }

        /// Nominates the next authority.
        ///
        /// - the signer is the configuration's authority; nothing changes until the nominated wallet accepts
        NominateAuthority = 0x28 {
            args {
                /// The wallet, or zero to nominate nobody.
                wallet: Address,
            }
            accounts {
                authority: signer,
                config: writes(Config),
            }
            budget { 200 }
        }

        /// Becomes the authority.
        ///
        /// - the signer is nominated; what is proposed is withdrawn
        AcceptAuthority = 0x29 {
            args {}
            accounts {
                /// The wallet that is nominated.
                nominated: signer,
                config: writes(Config),
            }
            budget { 300 }
        }

        /// Pauses for three days: no deposits, bonds, exits taken back or shares made tokens; no new pools, datasets, jobs, places or rounds;
        /// no fees and no distributions. Exits, claims, rounds that run, disputes and settlements go on.
        ///
        /// - the signer is the configuration's authority; the last pause ended a week ago
        Pause = 0x2A {
            args {}
            accounts {
                authority: signer,
                config: writes(Config),
            }
            budget { 300 }
        }

        /// Ends a pause.
        ///
        /// - the signer is the configuration's authority; the protocol is paused
        Unpause = 0x2B {
            args {}
            accounts {
                authority: signer,
                config: writes(Config),
            }
            budget { 300 }
        }

        /// Pays what has vested of the team's part: nothing for a year, then evenly over four.
        ///
        /// - the signer is the configuration's authority; something has vested that was not paid
        ClaimVested = 0x2C {
            args {}
            accounts {
                authority: signer,
                config: writes(Config),
                vault: writes(Vault),
                destination: writes(Tokens),
                token_program: calls(TokenProgram),
            }
            budget { 2_300 }
        }

        /// Pays out of the public bucket.
        ///
        /// - the signer is the configuration's authority
        /// - the amount is not zero and within the public bucket
        Distribute = 0x2D {
            args {
                /// Base units.
                amount: u64,
            }
            accounts {
                authority: signer,
                config: writes(Config),
                vault: writes(Vault),
                destination: writes(Tokens),
                token_program: calls(TokenProgram),
            }
            budget { 1_900 }
        }

        /// Lengthens an account of an older layout to the present one.
        ///
        /// - anyone may; the account is a configuration, pool or position of the layout before; new fields are zero
        MigrateAccount = 0x2E {
            args {}
            accounts {
                payer: payer,
                account: writes(Config | Pool | Position),
                system_program: calls(SystemProgram),
            }
            budget { 360 }
        }
    } };
}

admin_instructions!(arguments);
admin_instructions!(specs);
