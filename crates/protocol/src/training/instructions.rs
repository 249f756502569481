//! The instructions of data, jobs, rounds, audits, scores and finality. Tags 0x40 to 0x5F. See [`crate::ground::declare`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::{
    ground::declare::{arguments, specs},
    training::job::Card,
    training::job::JobSpec,
    training::job::MAX_DOMAINS,
    training::segment::SegmentClaim,
};

/// Hands the table to a reader.
#[macro_export]
macro_rules! training_instructions {
    ($($reader:tt)*) => { $($reader)*! {
        /// Registers a dataset.
        ///
        /// - the signer operates the pool, which is a data pool in good standing
        /// - both parts have tokens, at most 2³⁹; domain and licence are named; a provider registers the same two parts once
        RegisterDataset = 0x40 {
            args {
                /// Name of the domain, UTF-8 padded with zeros.
                domain: [u8; 32],
                /// BLAKE3 root of the tokens to train on.
                train_root: [u8; 32],
                /// BLAKE3 root of the tokens held out.
                held_out_root: [u8; 32],
                /// Tokens to train on.
                train_tokens: u64,
                /// Tokens held out.
                held_out_tokens: u64,
                /// SPDX identifier, padded with zeros.
                licence: [u8; 32],
            }
            accounts {
                provider: payer,
                config: reads(Config),
                pool: reads(Pool),
                dataset: opens(Dataset) at dataset(pool, args.train_root, args.held_out_root),
                system_program: calls(SystemProgram),
            }
            budget { 10_000 }
        }

        /// Gives notice that a dataset will not be answered for any more.
        ///
        /// - the signer operates the pool, or the pool is retired; no notice was given before
        /// - no job that is created from now on trains on it; an unbonding time from now no demand for it can be made any more, and no round
        ///   that is opened later pays for it
        RetireDataset = 0x41 {
            args {}
            accounts {
                /// The provider; anyone where its pool is retired.
                provider: signer,
                config: reads(Config),
                dataset: writes(Dataset),
                pool: reads(Pool),
            }
            budget { 600 }
        }

        /// Creates a job.
        ///
        /// - all sizes within limits; floor and cap admit a mixture; settings in order ([`crate::training::setting`]); one different dataset per domain,
        ///   none shorter than a sequence and its target
        /// - all phases of a round, challenges included, and the longest disputes together end before an exit that began with them matures
        /// - unless the genesis state is an import, its bond moves into the vault
        /// - one job per creator and nonce; its rounds are rewarded if the creator is the configuration's authority
        CreateJob = 0x42 {
            args {
                /// What is fixed for good.
                spec: JobSpec,
                /// Third seed of the address.
                nonce: u32,
                /// Always 0.
                reserved: u32,
            }
            accounts {
                creator: payer,
                config: reads(Config),
                job: opens(Job) at job(creator, args.nonce),
                source: writes(Tokens) of creator,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
                /// One for each domain, in order.
                datasets: each reads(Dataset),
            }
            budget { 9_000 "3 domains", 15_000 "8 domains, 4 settings" }
        }

        /// Says where what a job computes with is found, and which programs can follow it.
        ///
        /// - the signer created the job; once, and for good: nobody takes a place of the job before
        /// - the card names a manifest of 1 to 2²⁷ bytes, and a version that is not 0
        DescribeJob = 0x5D {
            args {
                /// What is said.
                card: Card,
            }
            accounts {
                creator: signer,
                job: writes(Job),
            }
            budget { 400 }
        }

        /// Returns the bond that a creator put up for a genesis state.
        ///
        /// - the signer created the job; an unbonding time has passed since; no dispute on the genesis state is open; the bond is there
        ReclaimGenesisBond = 0x43 {
            args {}
            accounts {
                creator: signer,
                config: reads(Config),
                job: writes(Job),
                vault: writes(Vault),
                destination: writes(Tokens) of creator,
                token_program: calls(TokenProgram),
            }
            budget { 2_000 }
        }

        /// Takes a place of a job for a trainer's, auditor's or evaluator's pool, or wakes the seat that the pool holds: see [`crate::training::seats`].
        ///
        /// - the signer operates the pool, which is in good standing, was never convicted, and holds no awake seat of the job; the protocol is not paused
        /// - the job is described; a place is free, or dormant long enough, or its holder was convicted; the first such place is taken, a free one before others
        /// - an auditor's chain serves one job only: it is tied to the job
        /// - its own bond covers the rounds that the job builds ahead: a slice each, and of an auditor the least own bond beside it
        /// - the part of its stake that counts in the place is free: all its places have the whole at most
        /// - the rounds that are opened from now on await it
        JoinJob = 0x44 {
            args {
                /// Part of the pool's stake that counts in this place.
                allotted_bps: u16,
            }
            accounts {
                operator: signer,
                config: reads(Config),
                job: writes(Job),
                pool: writes(Pool),
                /// The pool that loses the place, where one does.
                displaced: maybe writes(Pool),
            }
            budget { 650 }
        }

        /// Wakes the seat that a pool holds, with the part of its stake that it has there.
        ///
        /// - the pool holds the place, which is dormant; the pool is in good standing, was never convicted, and its own bond covers the place; the protocol is not paused
        /// - the rounds that are opened from now on await it
        WakeSeat = 0x5E {
            args {
                /// The place.
                place: u8,
            }
            accounts {
                operator: worker,
                config: reads(Config),
                job: writes(Job),
                pool: reads(Pool),
            }
            budget { 700 }
        }

        /// Leaves a place of a job, at any time and without anybody's help.
        ///
        /// - the signer operates the pool, which holds the place
        /// - the place is free for the rounds that are opened from now on; what the pool owes the running one it still owes, and has no weight
        ///   any more in what it has not done yet; its slices stay frozen until their claims are settled, and its bond as long as they can cost it
        /// - what was allotted to the place counts elsewhere once no claim of the pool is open
        LeaveJob = 0x45 {
            args {
                /// The place.
                place: u8,
            }
            accounts {
                operator: signer,
                job: writes(Job),
                pool: writes(Pool),
            }
            budget { 260 }
        }

        /// Changes the part of a pool's stake that counts in its place of a job.
        ///
        /// - the signer operates the pool, which holds the place; all its places have the whole of its stake at most
        /// - less than before only while no claim of the pool is open: what was made with the stake is settled
        AllotStake = 0x46 {
            args {
                /// The place.
                place: u16,
                /// Part of the pool's stake that counts in it from now on.
                allotted_bps: u16,
            }
            accounts {
                operator: signer,
                job: writes(Job),
                pool: writes(Pool),
            }
            budget { 320 }
        }

        /// Brings a seat in line with the pool that holds it: see [`crate::training::seats`].
        ///
        /// - the pool holds the place; anybody may call it
        /// - a seat whose pool was convicted or is retired is awaited no more; where the own bond is below what the place needs the first call
        ///   begins the time to cure, and one after it puts the seat to sleep; a bond that was topped up ends it; else there is nothing to do
        CheckSeat = 0x47 {
            args {
                /// The place.
                place: u8,
            }
            accounts {
                job: writes(Job),
                pool: reads(Pool),
            }
            budget { 400 }
        }

        /// Opens the next round.
        ///
        /// - the protocol is not paused
        /// - the previous round is over and the job is not finished; there are trainers, auditors and evaluators
        /// - fewer rounds than the job's lookahead have a result that is not final; the seed is settled
        /// - the mixture is the water-filling of the time-weighted attention since the last round, which starts anew
        /// - each setting is the mean of its bounds and its default, weighted by the same stake ([`crate::training::setting`])
        /// - the seed is the one that follows the previous round's ([`crate::training::seed`]), at first the job's
        OpenRound = 0x48 {
            args {}
            accounts {
                payer: payer,
                config: reads(Config),
                job: writes(Job),
                round: opens(Round) from round(job, job.next_round),
                system_program: calls(SystemProgram),
                /// The attention pool of each domain in order, then of each setting those of its sides: down, up.
                attention_pools: each writes(Pool),
            }
            budget { 9_500 "3 domains", 40_000 "8 domains, 4 settings" }
        }

        /// Commits a trainer's segment.
        ///
        /// - the round is open and of this job; the signer operates the pool, which holds the place and is not excluded, and whose own
        ///   bond covers the rounds that the job builds ahead
        /// - the segment starts at the round's base and has the job's number of leaves; one per trainer and round
        /// - with compressed updates its previous one is the passed segment's, if that counts in its round, else the job's reset; the start state
        ///   is not checked here but in court; there is an update
        /// - after the deadline it is late
        CommitSegment = 0x49 {
            args {
                /// The claim.
                claim: SegmentClaim,
            }
            accounts {
                trainer: paying_worker,
                job: reads(Job),
                round: writes(Round),
                pool: writes(Pool),
                segment: opens(Segment) at segment(round, pool),
                system_program: calls(SystemProgram),
                /// With compressed updates where the trainer's segment of the round's parent is, or would be.
                previous: maybe reads(Segment),
            }
            budget { 12_000, 18_000 "reset", 18_000 "update" }
        }

        /// Replaces a committed segment, for a fee.
        ///
        /// - the round is open, so that no draw is known; the signer operates the pool, whose segment it is
        /// - the claim passes what a commitment must, and differs; after the deadline it is late
        /// - what an amended segment costs is charged to the pool and insured; what is left of the own bond still covers the job
        AmendSegment = 0x4A {
            args {
                /// The claim.
                claim: SegmentClaim,
            }
            accounts {
                trainer: signer,
                config: writes(Config),
                job: reads(Job),
                round: reads(Round),
                pool: writes(Pool),
                segment: writes(Segment) at segment(round, pool),
                /// With compressed updates where the trainer's segment of the round's parent is, or would be.
                previous: maybe reads(Segment),
            }
            budget { 1_300, 8_000 "reset", 8_000 "update" }
        }

        /// Ends the commitments.
        ///
        /// - the round is open and of this job; every eligible trainer has committed or the deadline is reached
        CloseCommits = 0x4B {
            args {}
            accounts {
                job: reads(Job),
                round: writes(Round),
            }
            budget { 400 }
        }

        /// Reveals an auditor's draw.
        ///
        /// - the commits are closed and the audit's deadline is not reached; the signer operates the pool, which holds the place of the round and
        ///   is in good standing
        /// - the preimage hashes to the pool's chain tip, which it replaces; once per round
        RevealDraw = 0x4C {
            args {
                /// Preimage of the chain tip.
                preimage: [u8; 32],
                /// The auditor's place.
                place: u8,
            }
            accounts {
                auditor: worker,
                job: reads(Job),
                round: writes(Round),
                pool: writes(Pool),
            }
            budget { 900 }
        }

        /// Attests a drawn segment.
        ///
        /// - as for `RevealDraw`; the draw was revealed and selects the segment, which is another operator's, of this round and not
        ///   convicted; once per auditor; the digest is not zero
        Attest = 0x4D {
            args {
                /// The commitment that [`RevealAttestation`] opens.
                digest: [u8; 32],
                /// The auditor's place.
                place: u8,
            }
            accounts {
                auditor: worker,
                job: reads(Job),
                round: reads(Round),
                pool: reads(Pool),
                segment: writes(Segment) from segment(round, segment.pool),
            }
            budget { 900 }
        }

        /// Freezes which segments count.
        ///
        /// - the commits are closed; before the audit's deadline: all auditors have revealed and all drawn segments are attested
        /// - segments that were not convicted are accepted, provisionally, disputed or not; without any, or without an auditor, the round is
        ///   void
        /// - the draws are fixed, and two slots to come whose hashes the next seed waits for
        CloseRound = 0x4E {
            args {}
            accounts {
                job: writes(Job),
                round: writes(Round),
                /// Every committed segment of the round, each once.
                segments: each writes(Segment),
            }
            budget { 3_200 "3 segments" }
        }

        /// Ends a round whose vote found no majority.
        ///
        /// - the round is closed and the vote's deadline reached
        VoidRound = 0x4F {
            args {}
            accounts {
                job: writes(Job),
                round: writes(Round),
            }
            budget { 900 }
        }

        /// Shows the trace root behind an attestation.
        ///
        /// - round, segment and job belong together; the signer operates the pool, which holds the place and was not convicted
        /// - the round is closed and the vote's deadline not reached; the segment is accepted and attested by the place; once
        /// - the attestation is sha256("sip.attestation.1" ‖ pool ‖ segment ‖ salt ‖ trace root); one that is not shown is a missing one
        RevealAttestation = 0x50 {
            args {
                /// Salt of the commitment.
                salt: [u8; 32],
                /// Root of the trace of the first step of the leaf that the auditor's draw picks: see [`crate::training::attestation`].
                trace_root: [u8; 32],
                /// The auditor's place.
                place: u8,
            }
            accounts {
                auditor: worker,
                job: reads(Job),
                round: writes(Round),
                pool: reads(Pool),
                segment: writes(Segment) from segment(round, segment.pool),
            }
            budget { 1_000 }
        }

        /// Votes for the aggregate of the accepted segments.
        ///
        /// - the round is closed, not void and on the job's chain, and the vote's deadline not reached; the signer operates the pool, which holds the place and revealed its draw; the root is not zero
        /// - with the first vote the preimage hashes to the pool's tip and becomes it; any other vote brings the same preimage
        /// - once a base was made nobody changes a vote, and who has not voted yet still may
        /// - more than half of the stake of the auditors that revealed and were not convicted makes a root the next base, unless a convicted
        ///   vote named it; a vote that changes nothing is refused
        VoteBase = 0x51 {
            args {
                /// State root.
                root: [u8; 32],
                /// The auditor's second draw in the round: the next preimage of its hash chain.
                preimage: [u8; 32],
                /// The auditor's place.
                place: u8,
            }
            accounts {
                auditor: worker,
                job: writes(Job),
                round: writes(Round),
                pool: writes(Pool),
            }
            budget { 1_500, 2_100 "3 segments" }
        }

        /// Attests openly a segment that an auditor's second draw selects.
        ///
        /// - round, segment and job belong together; the signer operates the pool, which holds the place and was not convicted
        /// - the round is closed and not void; the end of the second draw's attestations, `audit_slots` after the vote's deadline, is not reached
        /// - the segment is accepted, the second draw that came with the auditor's vote selects it, and it is not attested by the place; the
        ///   trace root is not zero
        AttestSecond = 0x52 {
            args {
                /// Root of the trace of the first step of the leaf that the second draw picks: see [`crate::training::attestation`].
                trace_root: [u8; 32],
                /// The auditor's place.
                place: u8,
            }
            accounts {
                auditor: worker,
                job: reads(Job),
                round: writes(Round),
                pool: reads(Pool),
                segment: writes(Segment) from segment(round, segment.pool),
            }
            budget { 1_000 }
        }

        /// Commits an evaluator's scores of the next base.
        ///
        /// - the round is aggregated and the deadline not reached; the signer operates the pool, which holds the place of the round and is in
        ///   good standing; once; not zero
        CommitScore = 0x53 {
            args {
                /// [`crate::training::evaluation::commitment`].
                commitment: [u8; 32],
                /// The evaluator's place.
                place: u8,
            }
            accounts {
                evaluator: worker,
                job: reads(Job),
                round: writes(Round),
                pool: writes(Pool),
            }
            budget { 720 }
        }

        /// Reveals a committed scoring run: the sums in its last state, from which the scores follow.
        ///
        /// - every evaluator has committed or the commitments' deadline is reached; the reveals' deadline is not reached
        /// - the state root of the sums, the accumulator root and the salt hash to the commitment; once
        /// - sums are of domains of the job and give scores of 32 bits
        /// - the run stands from now on at its address of round and pool ([`crate::training::evaluation::ScoringRun`]): it starts at the state of zero sums
        RevealScore = 0x54 {
            args {
                /// Micro-nats over all held-out tokens by domain; 0 for missing domains.
                sums: [u64; MAX_DOMAINS],
                /// Root over the run's step leaves.
                accumulator_root: [u8; 32],
                /// Salt of the commitment.
                salt: [u8; 32],
                /// The evaluator's place.
                place: u8,
                /// Always 0.
                reserved: [u8; 7],
            }
            accounts {
                evaluator: paying_worker,
                job: reads(Job),
                round: writes(Round),
                pool: reads(Pool),
                run: opens(ScoringRun) at run(round, pool),
                system_program: calls(SystemProgram),
            }
            budget { 24_000 }
        }

        /// Counts the scores.
        ///
        /// - the round is aggregated; all commitments are revealed and no more can come, or the reveals' deadline is reached
        /// - sets medians, score, who was within the tolerance and quality; of a rewarded job's round what it may draw of what the
        ///   emission has released for nodes; what came out of the round extends the history of the job's chain
        Tally = 0x55 {
            args {}
            accounts {
                config: reads(Config),
                job: writes(Job),
                round: writes(Round),
                emission: reads(Emission),
            }
            budget { 4_400, 5_000 "8 improvements" }
        }

        /// Settles the next round's seed.
        ///
        /// - anyone may; the round is closed and its seed is not settled; both of its slots have passed
        /// - mixes the hashes of both slots, or zeros if the ledger's window has left one behind: then the next round is audited whole
        CaptureSeed = 0x56 {
            args {}
            accounts {
                job: writes(Job),
                round: writes(Round),
                slot_hashes: reads(SlotHashes),
            }
            budget { 1_100 }
        }

        /// Makes a round final.
        ///
        /// - anyone may; the round is scored and the oldest that is not final; the last slot for opening a dispute on any of its claims is over
        ///   ([`super::window`]); no dispute (on segments, votes or scoring runs) and no demand is open
        /// - a rewarded job's round draws its reward out of what the emission has released for nodes, as far as that goes
        FinalizeRound = 0x57 {
            args {}
            accounts {
                job: writes(Job),
                round: writes(Round),
                config: writes(Config),
                emission: writes(Emission),
            }
            budget { 650 }
        }

        /// Undoes a round that builds on one that was undone.
        ///
        /// - anyone may; the round, or what it builds on, is no longer on the job's chain; what it builds on was undone before, unless the round had come to nothing
        /// - it takes its part of what the parent keeps for the rounds that were undone with it, and keeps the rest for those that build on it
        UndoRound = 0x58 {
            args {}
            accounts {
                job: writes(Job),
                round: writes(Round),
                /// The round that it builds on; not read if the round had come to nothing by itself.
                parent: writes(Round),
            }
            budget { 720 }
        }

        /// Closes a segment or a scoring run and returns its rent.
        ///
        /// - anyone may; the round is final or void, not the last final one, and everything of it that was settled is so for an unbonding time
        /// - what closes is settled; no dispute or demand on it is open or can be opened, and it holds no bounty; other money goes to the insurance
        ReclaimClaim = 0x59 {
            args {}
            accounts {
                config: writes(Config),
                job: reads(Job),
                round: writes(Round),
                /// A segment, or a scoring run.
                claim: closes(Segment | ScoringRun),
                /// Its operator, who paid for it.
                operator: wallet,
            }
            budget { 900 }
        }

        /// Closes a round and returns its rent.
        ///
        /// - anyone may; as for `ReclaimClaim`; everyone of it is settled; its segments and scoring runs are closed, its disputes resolved
        ReclaimRound = 0x5A {
            args {}
            accounts {
                config: writes(Config),
                job: reads(Job),
                round: closes(Round),
                /// Who paid for it.
                payer: wallet,
            }
            budget { 900 }
        }

        /// Lets the slice behind a segment of a round that came to nothing stand behind another claim as well.
        ///
        /// - anyone may, once; a verdict on the segment still takes the slice ([`crate::training::thaw`])
        ThawSegment = 0x5B {
            args {}
            accounts {
                round: reads(Round),
                segment: writes(Segment),
                pool: writes(Pool),
            }
            budget { 500 }
        }

        /// Lets the slices of an auditor or an evaluator in a round that came to nothing stand behind other claims as well.
        ///
        /// - as for `ThawSegment`; the pool held the place in the round
        ThawSeat = 0x5C {
            args {
                /// The place.
                place: u8,
            }
            accounts {
                round: writes(Round),
                pool: writes(Pool),
            }
            budget { 500 }
        }
    } };
}

training_instructions!(arguments);
training_instructions!(specs);
