//! The instructions of emission, fees and settlement. Tags 0x80 to 0x9F. See [`crate::ground::declare`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::{
    ground::declare::{arguments, specs},
    stake::pool::PoolKind,
};

/// Hands the table to a reader.
#[macro_export]
macro_rules! money_instructions {
    ($($reader:tt)*) => { $($reader)*! {
        /// Ends an epoch of the emission.
        ///
        /// - anyone may, once the epoch's slots are over; see [`crate::money::emission`]
        TurnEpoch = 0x80 {
            args {}
            accounts {
                config: writes(Config),
                emission: writes(Emission),
            }
            budget { 2_700 }
        }

        /// Pays a pool its part of the staking yield, and counts its active stake from now on.
        ///
        /// - anyone may at any time; see [`crate::money::epoch`]
        SettleYield = 0x81 {
            args {}
            accounts {
                emission: writes(Emission),
                pool: writes(Pool),
            }
            budget { 800 }
        }

        /// Pays for a model's service.
        ///
        /// - the protocol is not paused; job, round, model and ancestors belong together; server and model are active
        /// - the amount is split by the parameters; the burned part is burned, and counts as demand
        PayFee = 0x82 {
            args {
                /// What the payment is for: the hash of a request or an invoice, for the server to find it.
                receipt: [u8; 32],
                /// Base units.
                amount: u64,
            }
            accounts {
                payer: payer,
                config: writes(Config),
                emission: writes(Emission),
                mint: writes(Mint),
                source: writes(Tokens) of payer,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
                /// The job that trains the model.
                job: reads(Job),
                /// The job's last.
                round: reads(Round),
                fees: ensures(Fees) at fees(job),
                /// The server's pool.
                server: writes(Pool),
                /// The model's pool, then those of its ancestors in order, up to four.
                models: each writes(Pool),
            }
            budget { 7_500, 15_000 "first" }
        }

        /// Gives a domain's data pool and attention pool the fees that are owed to them, to be passed on slot by slot.
        ///
        /// - anyone may; all belong to the job and the domain; something is owed
        /// - the part of a provider whose duty is over, and of a domain where nobody earns, is the treasury's
        SettleFees = 0x83 {
            args {
                /// The domain.
                domain: u8,
            }
            accounts {
                config: writes(Config),
                fees: writes(Fees) at fees(job),
                job: reads(Job),
                /// The domain's.
                dataset: reads(Dataset),
                data_pool: writes(Pool),
                attention_pool: writes(Pool) at pool(PoolKind::Attention, job, args.domain),
            }
            budget { 1_400 }
        }

        /// Burns what convictions have left to burn.
        ///
        /// - anyone may; there is something to burn; it counts as no demand
        BurnCondemned = 0x84 {
            args {}
            accounts {
                config: writes(Config),
                mint: writes(Mint),
                vault: writes(Vault),
                token_program: calls(TokenProgram),
            }
            budget { 9_000 }
        }

        /// Settles a segment.
        ///
        /// - the round is final or void; segment, round, job and pool belong together; once
        SettleSegment = 0x85 {
            args {}
            accounts {
                config: writes(Config),
                job: reads(Job),
                round: writes(Round),
                segment: writes(Segment) at segment(round, pool),
                /// The trainer's pool.
                pool: writes(Pool),
            }
            budget { 1_400 }
        }

        /// Charges a trainer that the round awaited and that committed nothing.
        ///
        /// - the round is final or void and beyond challenge, and of this job; the pool held the place when it was opened; once
        /// - it costs the row `missed_segment`, and no less than the seat's part of what the round could expect ([`crate::training::attendance`])
        SettleAbsent = 0x86 {
            args {
                /// The trainer's place.
                place: u8,
            }
            accounts {
                config: writes(Config),
                job: reads(Job),
                round: writes(Round),
                /// The trainer's pool.
                pool: writes(Pool),
            }
            budget { 1_100 }
        }

        /// Settles an auditor's part in a round.
        ///
        /// - the round is final or void; the pool holds the place of the round; once
        /// - no segment of the round can be convicted any more, and no dispute on a claim of the auditor is open
        SettleAudit = 0x87 {
            args {
                /// The auditor's place.
                place: u8,
            }
            accounts {
                config: writes(Config),
                job: reads(Job),
                round: writes(Round),
                /// The auditor's pool.
                pool: writes(Pool),
            }
            budget { 1_600 }
        }

        /// Settles an evaluator's part in a round.
        ///
        /// - the round is final or void; the pool holds the place of the round; once
        SettleEvaluation = 0x88 {
            args {
                /// The evaluator's place.
                place: u8,
            }
            accounts {
                config: writes(Config),
                job: reads(Job),
                round: writes(Round),
                /// The evaluator's pool.
                pool: writes(Pool),
            }
            budget { 1_500 }
        }

        /// Settles a domain's data provider.
        ///
        /// - the round is final or void; the dataset is the domain's and the pool is the dataset's; once
        SettleData = 0x89 {
            args {
                /// The domain.
                domain: u8,
            }
            accounts {
                config: writes(Config),
                job: reads(Job),
                round: writes(Round),
                dataset: reads(Dataset),
                /// The provider's pool.
                pool: writes(Pool),
            }
            budget { 1_400 }
        }

        /// Settles a domain's patrons.
        ///
        /// - the round is final or void; the pool is the attention pool of this job and domain; once
        SettlePatrons = 0x8A {
            args {
                /// The domain.
                domain: u8,
            }
            accounts {
                config: writes(Config),
                job: reads(Job),
                round: writes(Round),
                pool: writes(Pool) at pool(PoolKind::Attention, job, args.domain),
            }
            budget { 1_300 }
        }
    } };
}

money_instructions!(arguments);
money_instructions!(specs);
