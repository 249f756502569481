//! The instructions of accusations, finality, seeds and availability: tags 80 to 99. See [`crate::instruction`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::instruction::{Args, instructions};
use crate::segment::SegmentClaim;

instructions! {
    /// Commits an accusation: its bond and a hash that does not tell whom it accuses.
    ///
    /// Accounts: [signer, writable] challenger and payer · config · [writable] accusation (created) · [writable] challenger's token account ·
    /// [writable] vault · token program · system program · [writable] job of the claim.
    ///
    /// - one account per challenger and hash; the bond moves into the vault: one more for each accusation that is open in the job, 16 at most
    CommitAccusation = 80 {
        /// See [`super::accusation::hash`].
        hash: [u8; 32],
    }

    /// Takes an accusation back whole that has nothing left to accuse.
    ///
    /// Accounts: [signer, writable] challenger · config · [writable] accusation · [writable] a token account of the challenger ·
    /// [writable] vault · token program · [writable] job · and unless it is of the genesis state: the subject: segment, scoring run, of a vote
    /// the round · its round · and of an auditor's claim its pool.
    ///
    /// - the accusation is the signer's, of this claim, and was committed in its job
    /// - the claim is convicted and its bounty another's who committed earlier; or it was made after the accusation
    /// - the account is closed to the challenger
    WithdrawAccusation = 81 {
        /// The salt.
        salt: [u8; 32],
        /// The auditor's place, or [`super::accusation::NO_PLACE`].
        place: u8,
    }

    /// Ends an accusation that was not opened in time.
    ///
    /// Accounts: [writable] config · [writable] accusation · [writable] challenger · [writable] a token account of the challenger · [writable]
    /// vault · token program · [writable] job.
    ///
    /// - anyone may; 1 500 slots have passed; the penalties' part of the bond is insured, the rest goes back
    /// - the account is closed to the challenger
    ExpireAccusation = 82 {}

    /// Pays the bounty of a conviction.
    ///
    /// Accounts: config · [writable] segment or scoring run, of an auditor's claim its round, of a genesis state the job · [writable] a token account of
    /// who has the bounty · [writable] vault · token program.
    ///
    /// - anyone may; no dispute on the claim is open (of attestations: none in the round), and no accusation that was committed earlier can
    ///   still be opened; a bounty that silence left is nobody's, and waits
    ClaimBounty = 83 {
        /// Place of the auditor; 0 for another's claim.
        place: u8,
        /// A [`CaseKind`](crate::case::CaseKind): aggregate for a vote, attestation; 0 for another's claim.
        case: u8,
    }

    /// Makes a round final.
    ///
    /// Accounts: [writable] job · [writable] round.
    ///
    /// - anyone may; the round is scored and the oldest that is not final; the last slot for opening a dispute on any of its claims is over
    ///   ([`super::window`]); no dispute (on segments, votes or scoring runs) and no demand is open
    FinalizeRound = 84 {}

    /// Undoes a round that builds on one that was undone.
    ///
    /// Accounts: [writable] job · [writable] round.
    ///
    /// - anyone may; the round, or what it builds on, is no longer on the job's chain
    UndoRound = 85 {}

    /// Replaces a committed segment, for a fee.
    ///
    /// Accounts: [signer] trainer · [writable] config · job · round · [writable] pool · [writable] segment · with compressed updates the
    /// trainer's segment of the round's parent.
    ///
    /// - the round is open, so that no draw is known; the signer operates the pool, whose segment it is
    /// - the claim passes what a commitment must, and differs; after the deadline it is late
    /// - what an amended segment costs is charged to the pool and insured; what is left of the own bond still covers the job
    AmendSegment = 86 {
        /// The claim.
        claim: SegmentClaim,
    }

    /// Demands a chunk of an entry of what a segment hands over: its end state, or with compressed updates its update, and after the
    /// update's entries those of the previous update, from which it goes on.
    ///
    /// Accounts: [signer, writable] who demands and pays · config · job · [writable] round · [writable] segment · [writable] trainer's pool ·
    /// [writable] demand (created) · [writable] token account · [writable] vault · token program · system program.
    ///
    /// - the segment can be challenged and is not convicted; the entry exists; fewer than 64 demands on the segment are open
    /// - the fee moves into the vault; the pool is frozen; the clock runs
    DemandState = 87 {
        /// Entry of the state or update; from the number of an update's entries on, of the previous update.
        entry: u32,
        /// Chunk of the entry.
        chunk: u32,
    }

    /// Demands a chunk of a dataset's training tokens.
    ///
    /// Accounts: [signer, writable] who demands and pays · config · [writable] dataset · [writable] provider's pool · [writable] demand
    /// (created) · [writable] token account · [writable] vault · token program · system program.
    ///
    /// - the chunk exists; fewer than 64 demands on the dataset are open; neither the dataset's notice nor its pool's has run out
    /// - the fee moves into the vault; the pool is frozen; the clock runs
    DemandData = 88 {
        /// The chunk.
        chunk: u32,
    }

    /// Writes a part of an answer into the demand's buffer: the bytes after the arguments.
    ///
    /// Accounts: [signer] who must answer · [writable] demand.
    ///
    /// - the signer must answer and has time left; the bytes end within the buffer
    UploadAnswer = 89 {
        /// Where the bytes go.
        offset: u32,
    }

    /// Answers a demand on a segment with what the buffer holds before `offset`, followed by the bytes after the arguments.
    ///
    /// Accounts: [signer] trainer · [writable] demand · [writable] config · [writable] round · [writable] segment · [writable] trainer's
    /// pool.
    ///
    /// - as for `UploadAnswer`; the opening proves the chunk, or that the entry ends before it
    /// - half of the fee goes to the pool, which is unfrozen, half is insured
    AnswerState = 90 {
        /// Where the bytes go.
        offset: u32,
    }

    /// Answers a demand on a dataset.
    ///
    /// Accounts: [signer] provider · [writable] demand · [writable] config · [writable] dataset · [writable] provider's pool.
    ///
    /// - as for `AnswerState`
    AnswerData = 91 {
        /// Where the bytes go.
        offset: u32,
    }

    /// Convicts a segment whose trainer left a demand unanswered.
    ///
    /// Accounts: [writable] config · [writable] job · [writable] round · [writable] segment · [writable] trainer's pool · [writable] demand ·
    /// [writable] a token account of who demanded · [writable] vault · token program.
    ///
    /// - anyone may; the demand is open and its clock has run out
    /// - as for a conviction in a dispute, but what would be the bounty waits for an accusation; the fee goes back, and if the segment
    ///   was not convicted before, five fees out of the own bond's slash
    FailState = 92 {}

    /// Charges a provider that left a demand unanswered.
    ///
    /// Accounts: [writable] config · [writable] dataset · [writable] provider's pool · [writable] demand · [writable] a token account of who
    /// demanded · [writable] vault · token program.
    ///
    /// - anyone may; the demand is open and its clock has run out
    /// - if the demand was made after the last absence that was charged to the pool: what the penalties take of own bond and delegated
    ///   stake is insured, and half of the fee burned; the rest of the fee goes back
    FailData = 93 {}

    /// Closes a demand that is over and returns its rent.
    ///
    /// Accounts: [signer, writable] who demanded · [writable] demand · without the signature the config.
    ///
    /// - anyone may, without the signature, an unbonding time after the end of the demand's clock
    CloseDemand = 94 {}

    /// Settles the next round's seed.
    ///
    /// Accounts: [writable] job · [writable] round · the ledger's slot hashes.
    ///
    /// - anyone may; the round is closed and its seed is not settled; both of its slots have passed
    /// - mixes the hashes of both slots, or zeros if the ledger's window has left one behind: then the next round is audited whole
    CaptureSeed = 95 {}

    /// Gives notice that a dataset will not be answered for any more.
    ///
    /// Accounts: [signer] provider · config · [writable] dataset · provider's pool.
    ///
    /// - the signer operates the pool, or the pool is retired; no notice was given before
    /// - no job that is created from now on trains on it; an unbonding time from now no demand for it can be made any more, and no round
    ///   that is opened later pays for it
    RetireDataset = 96 {}

    /// Insures a bounty that silence left and that no accusation can have any more.
    ///
    /// Accounts: [writable] config · round · [writable] segment.
    ///
    /// - anyone may; the bounty is nobody's; no dispute on the segment is open, and none can be opened
    ReleaseBounty = 97 {}

    /// Closes a segment or a scoring run and returns its rent.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] segment or scoring run · [writable] its operator, who paid.
    ///
    /// - anyone may; the round is final or void, not the last final one, and everything of it that was settled is so for an unbonding time
    /// - what closes is settled; no dispute or demand on it is open or can be opened, and it holds no bounty; other money goes to the insurance
    ReclaimClaim = 98 {}

    /// Closes a round and returns its rent.
    ///
    /// Accounts: [writable] config · job · [writable] round · [writable] who paid for it.
    ///
    /// - anyone may; as for `ReclaimClaim`; everyone of it is settled; its segments and scoring runs are closed, its disputes resolved
    ReclaimRound = 99 {}
}
