//! The instructions: one byte that names it, then its arguments as a plain struct, little endian.
//!
//! Each doc comment is the specification: accounts in order, then what is checked, then what changes. Tags 64 to 79 belong to
//! [`crate::dispute`], 80 to 95 to [`crate::finality`], 100 to 139 to [`crate::money`]. "Writable" accounts that must differ are refused
//! when they are one.

use bytemuck::{Pod, Zeroable};

use crate::{
    config::Parameters,
    job::{JobSpec, MAX_DOMAINS},
    schedule::Schedule,
    segment::SegmentClaim,
};

/// Arguments of one instruction.
pub trait Args: Pod {
    /// The first byte of the instruction's data.
    const TAG: u8;
    /// The instruction's name.
    const NAME: &'static str;
}

/// Defines the arguments of a room's instructions, and its list `NAMES`, which belongs into [`ROOMS`].
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

        /// Tag and name of every instruction here; [`name`](crate::instruction::name) looks through all rooms.
        pub(crate) const NAMES: &[(u8, &str)] = &[$(($tag, stringify!($name)),)*];
    };
}

pub(crate) use instructions;

/// The instructions by room.
const ROOMS: [&[(u8, &str)]; 4] =
    [NAMES, crate::dispute::instruction::NAMES, crate::finality::instruction::NAMES, crate::money::NAMES];

/// Name of the instruction of a tag, whichever room it belongs to.
pub fn name(tag: u8) -> Option<&'static str> {
    ROOMS.iter().copied().flatten().find(|named| named.0 == tag).map(|named| named.1)
}

instructions! {
    /// Creates the configuration, the emission, the mint and the vault, and mints the cap into the vault.
    ///
    /// Accounts: [signer, writable] authority and payer · [writable] config · [writable] mint · [writable] vault · token program ·
    /// system program · [writable] emission · the program's data account.
    ///
    /// - the authority may upgrade the program: the data account, at the address that loader v3 derives from the program's, names it
    /// - once only; all four at their canonical addresses, even if someone sent lamports there first
    /// - parameters and schedule within their hard bounds
    /// - the token program is SPL Token or Token-2022; the mint has 9 decimals, the config account as authority, no freeze authority
    ///   and no extension
    /// - 10⁹ tokens are minted into the vault and split over the buckets
    Initialize = 0 {
        /// First parameters.
        parameters: Parameters,
        /// First schedule of emission.
        schedule: Schedule,
    }

    /// Proposes new parameters, which take effect a day after whoever asks to leave now has left, at the earliest.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority
    /// - parameters within their hard bounds; what was proposed before is withdrawn
    ProposeParameters = 1 {
        /// New parameters.
        parameters: Parameters,
    }

    /// Pays out of the public bucket.
    ///
    /// Accounts: [signer] authority · [writable] config · [writable] vault · [writable] destination token account · token program.
    ///
    /// - the signer is the configuration's authority
    /// - the amount is not zero and within the public bucket
    Distribute = 2 {
        /// Base units.
        amount: u64,
    }

    /// Creates an operator's or a data provider's pool.
    ///
    /// Accounts: [signer, writable] operator and payer · config · [writable] pool · [writable] operator's token account ·
    /// [writable] vault · token program · system program.
    ///
    /// - kind is trainer, auditor, evaluator, data or server; one pool per kind, operator and index
    /// - own bond at least the minimum, commission at most the maximum
    /// - an auditor gives the tip of its hash chain, nobody else does
    /// - own bond and the seed of the shares move into the vault
    CreatePool = 3 {
        /// sha256 chain tip of an auditor, else zero.
        chain_tip: [u8; 32],
        /// Own bond, base units.
        self_bond: u64,
        /// Third seed of the address.
        index: u32,
        /// The operator's part of what delegators earn.
        commission_bps: u16,
        /// A [`crate::pool::PoolKind`].
        kind: u8,
        /// 1 if rewards compound, so that shares can be tokens, else 0.
        compounding: u8,
    }

    /// Creates the attention pool of a job's domain, or of a side of one of its settings.
    ///
    /// Accounts: [signer, writable] payer · config · job · [writable] pool · [writable] payer's token account · [writable] vault ·
    /// token program · system program.
    ///
    /// - the domain or the setting exists; one pool per job and number
    /// - the seed of the shares moves into the vault
    CreateAttentionPool = 4 {
        /// The domain's number in the job, or [`attention_number`](crate::setting::attention_number) of a setting's side.
        domain: u32,
    }

    /// Adds to an operator's own bond.
    ///
    /// Accounts: [signer] operator · config · [writable] pool · [writable] operator's token account · [writable] vault · token program.
    ///
    /// - the signer operates the pool; the pool is active; the amount is not zero
    AddBond = 5 {
        /// Base units.
        amount: u64,
    }

    /// Stops a pool for good.
    ///
    /// Accounts: [signer] operator · config · [writable] pool.
    ///
    /// - the signer operates the pool; it was not stopped before
    /// - the bond stays first-loss and is released after the unbonding time
    RetirePool = 6 {}

    /// Pays a retired operator's remaining bond.
    ///
    /// Accounts: [signer] operator · config · [writable] pool · [writable] vault · [writable] destination token account · token program.
    ///
    /// - the signer operates the pool; it is retired; the release slot is reached; no dispute is open; something is left
    WithdrawBond = 7 {}

    /// Stakes into a pool; into an attention pool this is stake attention.
    ///
    /// Accounts: [signer, writable] owner and payer · config · [writable] pool · [writable] position (created if missing) · [writable]
    /// owner's token account · [writable] vault · token program · system program.
    ///
    /// - the pool is active and not frozen; the position is the owner's in this pool
    /// - the amount buys at least one share and at least the minimum asked for, at the present price
    /// - the stake is pending and becomes active over the activation time; see [`crate::position`]
    Deposit = 8 {
        /// Base units.
        amount: u64,
        /// Least number of shares to accept.
        minimum_shares: u64,
    }

    /// Starts an exit: turns shares into a ticket.
    ///
    /// Accounts: [signer, writable] owner and payer · config · [writable] pool · [writable] position · [writable] ticket (created) ·
    /// system program.
    ///
    /// - the position is the signer's in this pool and holds the shares; they are worth at least one base unit
    /// - the ticket is slashed with the pool, earns nothing, and matures after the unbonding time; other tickets are untouched
    /// - works while the pool is frozen or retired
    RequestExit = 9 {
        /// Shares to sell.
        shares: u64,
    }

    /// Pays a mature ticket and closes it.
    ///
    /// Accounts: [signer, writable] owner · config · [writable] pool · [writable] ticket · [writable] vault · [writable] destination
    /// token account · token program.
    ///
    /// - the ticket is the signer's and of this pool; its slot is reached
    /// - the ticket's account is closed to the owner
    ClaimExit = 10 {}

    /// Pays what a position has earned.
    ///
    /// Accounts: [signer] owner · config · [writable] pool · [writable] position · [writable] vault · [writable] destination token account ·
    /// token program.
    ///
    /// - the position is the signer's in this pool; something is claimable
    ClaimRewards = 11 {}

    /// Pays what an operator has earned.
    ///
    /// Accounts: [signer] operator · config · [writable] pool · [writable] vault · [writable] destination token account · token program.
    ///
    /// - the signer operates the pool; something is owed
    ClaimCommission = 12 {}

    /// Moves attention from one domain of a job to another, where it is new stake.
    ///
    /// Accounts: [signer, writable] owner and payer · [writable] from pool · [writable] from position · [writable] to pool · [writable] to
    /// position (created if missing) · system program · config.
    ///
    /// - both pools are attention pools of one job, and differ; locked shares stay
    /// - the position is the signer's and holds the shares; they buy at least the minimum asked for
    MoveAttention = 13 {
        /// Shares to sell in the first pool.
        shares: u64,
        /// Least number of shares to accept in the second.
        minimum_shares: u64,
    }

    /// Registers a dataset.
    ///
    /// Accounts: [signer, writable] provider and payer · config · data pool · [writable] dataset · system program.
    ///
    /// - the signer operates the pool, which is a data pool in good standing
    /// - both parts have tokens, at most 2³⁹; domain and licence are named; each train root is registered once
    RegisterDataset = 14 {
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

    /// Creates a job.
    ///
    /// Accounts: [signer, writable] creator and payer · config · [writable] job · system program · [writable] creator's token account ·
    /// [writable] vault · token program · one dataset per domain.
    ///
    /// - all sizes within limits; floor and cap admit a mixture; settings in order ([`crate::setting`]); one different dataset per domain,
    ///   none shorter than a sequence and its target
    /// - all phases of a round, challenges included, and the longest disputes together end before an exit that began with them matures
    /// - unless the genesis state is an import, its bond moves into the vault
    /// - one job per creator and nonce; its rounds are rewarded if the creator is the configuration's authority
    CreateJob = 15 {
        /// What is fixed for good.
        spec: JobSpec,
        /// Third seed of the address.
        nonce: u32,
        /// Always 0.
        reserved: u32,
    }

    /// Takes a place of a job for a trainer's, auditor's or evaluator's pool, or wakes the seat that the pool holds: see [`crate::seats`].
    ///
    /// Accounts: [signer] operator · config · [writable] job · [writable] pool · where somebody loses the place, [writable] that pool.
    ///
    /// - the signer operates the pool, which is in good standing, was never convicted, and holds no awake seat of the job; the protocol is not paused
    /// - a place is free, or dormant long enough, or its holder was convicted; the first such place is taken, a free one before others
    /// - an auditor's chain serves one job only: it is tied to the job
    /// - its own bond covers as many rounds as the job builds ahead: a slice each, and of an auditor the least own bond beside it
    /// - the part of its stake that counts in the place is free: all its places have the whole at most
    /// - the rounds that are opened from now on await it
    JoinJob = 16 {
        /// Part of the pool's stake that counts in this place.
        allotted_bps: u16,
    }

    /// Leaves a place of a job, at any time and without anybody's help.
    ///
    /// Accounts: [signer] operator · [writable] job · [writable] pool.
    ///
    /// - the signer operates the pool, which holds the place
    /// - the place is free for the rounds that are opened from now on; what the pool owes the running one it still owes, and has no weight
    ///   any more in what it has not done yet; its slices stay frozen until their claims are settled, and its bond as long as they can cost it
    /// - what was allotted to the place counts elsewhere once no claim of the pool is open
    LeaveJob = 118 {
        /// The place.
        place: u8,
    }

    /// Brings a seat in line with the pool that holds it: see [`crate::seats`].
    ///
    /// Accounts: [writable] job · pool.
    ///
    /// - the pool holds the place; anybody may call it
    /// - a seat whose pool was convicted or is retired is awaited no more; where the own bond is below what the place needs the first call
    ///   begins the time to cure, and one after it puts the seat to sleep; a bond that was topped up ends it; else there is nothing to do
    CheckSeat = 119 {
        /// The place.
        place: u8,
    }

    /// Changes the part of a pool's stake that counts in its place of a job.
    ///
    /// Accounts: [signer] operator · [writable] job · [writable] pool.
    ///
    /// - the signer operates the pool, which holds the place; all its places have the whole of its stake at most
    /// - less than before only while no claim of the pool is open: what was made with the stake is settled
    AllotStake = 117 {
        /// The place.
        place: u16,
        /// Part of the pool's stake that counts in it from now on.
        allotted_bps: u16,
    }

    /// Opens the next round.
    ///
    /// Accounts: [signer, writable] payer · config · [writable] job · [writable] round (created) · system program · [writable] the attention pool of each domain
    /// in order · [writable] of each setting the attention pools of its sides: down, up.
    ///
    /// - the protocol is not paused
    /// - the previous round is over and the job is not finished; there are trainers, auditors and evaluators
    /// - fewer rounds than the job's lookahead have a result that is not final; the seed is settled
    /// - the mixture is the water-filling of the time-weighted attention since the last round, which starts anew
    /// - each setting is the mean of its bounds and its default, weighted by the same stake ([`crate::setting`])
    /// - the seed is the one that follows the previous round's ([`crate::finality::seed`]), at first the job's
    OpenRound = 17 {}

    /// Commits a trainer's segment.
    ///
    /// Accounts: [signer, writable] trainer and payer · job · [writable] round · [writable] pool · [writable] segment (created) · system program ·
    /// with compressed updates the trainer's segment of the round's parent, whether it exists or not.
    ///
    /// - the round is open and of this job; the signer operates the pool, which holds the place and is not excluded, and whose own
    ///   bond covers as many rounds as the job builds ahead
    /// - the segment starts at the round's base and has the job's number of leaves; one per trainer and round
    /// - with compressed updates its previous one is the passed segment's, if that counts in its round, else the job's reset; the start state
    ///   is not checked here but in court; there is an update
    /// - after the deadline it is late
    CommitSegment = 18 {
        /// The claim.
        claim: SegmentClaim,
    }

    /// Ends the commitments.
    ///
    /// Accounts: job · [writable] round.
    ///
    /// - the round is open and of this job; every eligible trainer has committed or the deadline is reached
    CloseCommits = 19 {}

    /// Reveals an auditor's draw.
    ///
    /// Accounts: [signer] auditor · job · [writable] round · [writable] pool.
    ///
    /// - the commits are closed and the audit's deadline is not reached; the signer operates the pool, which holds the place of the round and
    ///   is in good standing
    /// - the preimage hashes to the pool's chain tip, which it replaces; once per round
    RevealDraw = 20 {
        /// Preimage of the chain tip.
        preimage: [u8; 32],
        /// The auditor's place.
        place: u8,
    }

    /// Attests a drawn segment.
    ///
    /// Accounts: [signer] auditor · job · round · pool · [writable] segment.
    ///
    /// - as for `RevealDraw`; the draw was revealed and selects the segment, which is another operator's, of this round and not
    ///   convicted; once per auditor; the digest is not zero
    Attest = 21 {
        /// The commitment that [`RevealAttestation`] opens.
        digest: [u8; 32],
        /// The auditor's place.
        place: u8,
    }

    /// Freezes which segments count.
    ///
    /// Accounts: [writable] job · [writable] round · [writable] every committed segment of the round, each once.
    ///
    /// - the commits are closed; before the audit's deadline: all auditors have revealed and all drawn segments are attested
    /// - segments that were not convicted are accepted, provisionally, disputed or not; without any, or without an auditor, the round is
    ///   void
    /// - the draws are fixed, and two slots to come whose hashes the next seed waits for
    CloseRound = 22 {}

    /// Votes for the aggregate of the accepted segments.
    ///
    /// Accounts: [signer] auditor · [writable] job · [writable] round · [writable] pool.
    ///
    /// - the round is closed, not void and on the job's chain, and the vote's deadline not reached; the signer operates the pool, which holds the place and revealed its draw; the root is not zero
    /// - with the first vote the preimage hashes to the pool's tip and becomes it; any other vote brings the same preimage
    /// - once a base was made nobody changes a vote, and who has not voted yet still may
    /// - more than half of the stake of the auditors that revealed and were not convicted makes a root the next base, unless a convicted
    ///   vote named it; a vote that changes nothing is refused
    VoteBase = 23 {
        /// State root.
        root: [u8; 32],
        /// The auditor's second draw in the round: the next preimage of its hash chain.
        preimage: [u8; 32],
        /// The auditor's place.
        place: u8,
    }

    /// Ends a round whose vote found no majority.
    ///
    /// Accounts: [writable] job · [writable] round.
    ///
    /// - the round is closed and the vote's deadline reached
    VoidRound = 24 {}

    /// Commits an evaluator's scores of the next base.
    ///
    /// Accounts: [signer] evaluator · job · [writable] round · [writable] pool.
    ///
    /// - the round is aggregated and the deadline not reached; the signer operates the pool, which holds the place of the round and is in
    ///   good standing; once; not zero
    CommitScore = 25 {
        /// [`crate::evaluation::commitment`].
        commitment: [u8; 32],
        /// The evaluator's place.
        place: u8,
    }

    /// Reveals a committed scoring run: the sums in its last state, from which the scores follow.
    ///
    /// Accounts: [signer, writable] evaluator and payer · job · [writable] round · pool · [writable] scoring run (created) · system program.
    ///
    /// - every evaluator has committed or the commitments' deadline is reached; the reveals' deadline is not reached
    /// - the state root of the sums, the accumulator root and the salt hash to the commitment; once
    /// - sums are of domains of the job and give scores of 32 bits
    /// - the run stands from now on at its address of round and pool ([`crate::evaluation::ScoringRun`]): it starts at the state of zero sums
    RevealScore = 26 {
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

    /// Counts the scores.
    ///
    /// Accounts: [writable] config · [writable] job · [writable] round · [writable] emission.
    ///
    /// - the round is aggregated; all commitments are revealed and no more can come, or the reveals' deadline is reached
    /// - sets medians, score, who was within the tolerance and quality; a rewarded job's round draws its reward out of what the
    ///   emission has released for nodes; what came out of the round extends the history of the job's chain
    Tally = 27 {}

    /// Settles a segment.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] segment · [writable] trainer's pool.
    ///
    /// - the round is final or void; segment, round, job and pool belong together; once
    SettleSegment = 28 {}

    /// Charges a trainer that the round awaited and that committed nothing.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] pool.
    ///
    /// - the round is final or void and beyond challenge, and of this job; the pool held the place when it was opened; once
    /// - it costs the row `missed_segment`, and no less than the seat's part of what the round could expect ([`crate::attendance`])
    SettleAbsent = 120 {
        /// The trainer's place.
        place: u8,
    }

    /// Settles an auditor's part in a round.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] auditor's pool.
    ///
    /// - the round is final or void; the pool holds the place of the round; once
    /// - no segment of the round can be convicted any more, and no dispute on a claim of the auditor is open
    SettleAudit = 29 {
        /// The auditor's place.
        place: u8,
    }

    /// Settles an evaluator's part in a round.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] evaluator's pool.
    ///
    /// - the round is final or void; the pool holds the place of the round; once
    SettleEvaluation = 30 {
        /// The evaluator's place.
        place: u8,
    }

    /// Settles a domain's data provider.
    ///
    /// Accounts: [writable] config · job · [writable] round · dataset · [writable] provider's pool.
    ///
    /// - the round is final or void; the dataset is the domain's and the pool is the dataset's; once
    SettleData = 31 {
        /// The domain.
        domain: u8,
    }

    /// Settles a domain's patrons.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] the domain's attention pool.
    ///
    /// - the round is final or void; the pool is the attention pool of this job and domain; once
    SettlePatrons = 32 {
        /// The domain.
        domain: u8,
    }

    /// Proposes to pay out of the treasury, the reserve or the insurance, a day after whoever asks to leave now has left, at the earliest.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority
    /// - the kind pays, the amount is not zero; what was proposed before is withdrawn
    ProposeSpending = 33 {
        /// Base units.
        amount: u64,
        /// The token account that is paid.
        destination: [u8; 32],
        /// A [`crate::administration::ProposalKind`].
        kind: u8,
        /// Always 0.
        reserved: [u8; 7],
    }

    /// Puts proposed parameters into effect.
    ///
    /// Accounts: [writable] config.
    ///
    /// - anyone may; the proposal is one of parameters, its slot is reached and not a week past
    ApplyParameters = 34 {}

    /// Pays what was proposed.
    ///
    /// Accounts: [writable] config · [writable] vault · [writable] the proposed token account · token program.
    ///
    /// - anyone may; the proposal is one of spending, its slot is reached and not a week past; the bucket holds the amount
    ApplySpending = 35 {}

    /// Withdraws the proposal.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority; there is a proposal
    CancelProposal = 36 {}

    /// Nominates the next authority.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority; nothing changes until the nominated wallet accepts
    NominateAuthority = 37 {
        /// The wallet, or zero to nominate nobody.
        wallet: [u8; 32],
    }

    /// Becomes the authority.
    ///
    /// Accounts: [signer] nominated wallet · [writable] config.
    ///
    /// - the signer is nominated; what is proposed is withdrawn
    AcceptAuthority = 38 {}

    /// Pauses: for three days no new stake, bonds, pools, datasets, jobs, places or distributions. Exits, claims, rounds, disputes
    /// and settlements go on.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority; the last pause ended a week ago
    Pause = 39 {}

    /// Ends a pause.
    ///
    /// Accounts: [signer] authority · [writable] config.
    ///
    /// - the signer is the configuration's authority; the protocol is paused
    Unpause = 40 {}

    /// Pays what has vested of the team's part: nothing for a year, then evenly over four.
    ///
    /// Accounts: [signer] authority · [writable] config · [writable] vault · [writable] destination token account · token program.
    ///
    /// - the signer is the configuration's authority; something has vested that was not paid
    ClaimVested = 41 {}

    /// Takes an exit back: its base units, less the slashes since, are new stake.
    ///
    /// Accounts: [signer, writable] owner · config · [writable] pool · [writable] position · [writable] ticket.
    ///
    /// - ticket and position are the signer's and of this pool; the pool is active and not frozen; the protocol is not paused
    /// - at least the minimum of shares would be bought at the present price; the ticket's account is closed to the owner; other tickets are untouched
    Rebond = 42 {
        /// Least number of shares to accept.
        minimum_shares: u64,
    }

    /// Shows the trace root behind an attestation.
    ///
    /// Accounts: [signer] auditor · job · [writable] round · pool · [writable] segment.
    ///
    /// - round, segment and job belong together; the signer operates the pool, which holds the place and was not convicted
    /// - the round is closed and the vote's deadline not reached; the segment is accepted and attested by the place; once
    /// - the attestation is sha256("sip.attestation.1" ‖ pool ‖ segment ‖ salt ‖ trace root); one that is not shown is a missing one
    RevealAttestation = 75 {
        /// Salt of the commitment.
        salt: [u8; 32],
        /// Root of the trace of the first step of the leaf that the auditor's draw picks: see [`crate::attestation`].
        trace_root: [u8; 32],
        /// The auditor's place.
        place: u8,
    }

    /// Returns the bond that a creator put up for a genesis state.
    ///
    /// Accounts: [signer] creator · config · [writable] job · [writable] vault · [writable] destination token account · token program.
    ///
    /// - the signer created the job; an unbonding time has passed since; no dispute on the genesis state is open; the bond is there
    ReclaimGenesisBond = 76 {}

    /// Attests openly a segment that an auditor's second draw selects.
    ///
    /// Accounts: [signer] auditor · job · [writable] round · pool · [writable] segment.
    ///
    /// - round, segment and job belong together; the signer operates the pool, which holds the place and was not convicted
    /// - the round is closed and not void; the end of the second draw's attestations, `audit_slots` after the vote's deadline, is not reached
    /// - the segment is accepted, the second draw that came with the auditor's vote selects it, and it is not attested by the place; the
    ///   trace root is not zero
    AttestSecond = 79 {
        /// Root of the trace of the first step of the leaf that the second draw picks: see [`crate::attestation`].
        trace_root: [u8; 32],
        /// The auditor's place.
        place: u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_names_one_instruction() {
        let mut tags: Vec<u8> = ROOMS.iter().copied().flatten().map(|named| named.0).collect();
        let count = tags.len();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), count, "a tag is used twice");
        for (tag, named) in ROOMS.iter().copied().flatten() {
            assert_eq!(name(*tag), Some(*named));
        }
        assert_eq!(name(u8::MAX), None);
        let some = [(Initialize::TAG, Initialize::NAME), (crate::money::PayFee::TAG, crate::money::PayFee::NAME)];
        assert!(some.iter().all(|(tag, named)| name(*tag) == Some(*named)));
    }
}
