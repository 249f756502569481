//! Every reason for which the program refuses, numbered: the number is what a failed transaction carries.

use sip_arith::int::MathError;

/// The result of a transition.
pub type Result<T> = core::result::Result<T, Error>;

macro_rules! errors {
    ($($name:ident = $code:literal, $message:literal;)*) => {
        /// Why an instruction is refused. A room has a hundred: 1 ground, 100 stake, 200 admin, 300 training, 400 court, 500 money.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Error {
            $(#[doc = $message] $name = $code,)*
        }

        impl Error {
            /// All errors in ascending order of their numbers.
            pub const ALL: &'static [Error] = &[$(Error::$name,)*];

            /// One sentence: what happened, what was expected, what to do.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Error::$name => $message,)*
                }
            }

            /// The number that a failed transaction carries.
            pub const fn code(self) -> u32 {
                self as u32
            }

            /// The error of a number.
            pub const fn from_code(code: u32) -> Option<Error> {
                match code {
                    $($code => Some(Error::$name),)*
                    _ => None,
                }
            }
        }
    };
}

errors! {
    // Ground: 1 to 99.
    UnknownInstruction = 1, "unknown instruction; update the client";
    WrongArguments = 2, "instruction data has the wrong length for this instruction; update the client";
    MissingAccount = 3, "an account is missing from the instruction";
    MissingSigner = 4, "an account that must sign did not; add its signature";
    NotWritable = 5, "an account that changes is not marked writable";
    WrongOwner = 6, "an account is not owned by the expected program";
    WrongKind = 7, "an account is of another kind than expected";
    WrongSize = 8, "an account has another size than its kind; it is not an account of this protocol version";
    WrongVersion = 9, "an account has another layout version; update the client";
    NotInitialised = 10, "an account does not exist yet; create it first";
    AlreadyInitialised = 11, "an account exists already; it is created once only";
    WrongAddress = 12, "an account is not at the address that its seeds give";
    WrongProgram = 13, "a program account is not the program that must be called";
    WrongTokenAccount = 14, "a token account does not belong to the expected owner and mint";
    WrongAccount = 15, "an account is of the right kind but belongs to something else";
    DuplicateAccount = 16, "one account is passed twice where two must differ";
    NotAuthority = 17, "the signer is not the authority of this account";
    CallFailed = 18, "a call into the system or the token program failed";
    WrongTransfer = 19, "a transfer into the vault did not bring the whole amount";
    Overflow = 20, "an amount is too large; use smaller amounts";
    Underflow = 21, "an amount would fall below zero; take at most what is there";
    DivisionByZero = 22, "there is nothing to divide by: no shares, assets or slots";

    // Stake: 100 to 199.
    ZeroAmount = 100, "the amount is zero; give at least one base unit";
    SlippageExceeded = 101, "the shares bought are fewer than the minimum asked for; ask again at the present price";
    PoolRetired = 102, "the pool is retired and takes no stake; choose another pool";
    PoolFrozen = 103, "a dispute on the pool's operator is open; wait for its verdict";
    SelfBondTooSmall = 104, "the operator's own bond is below the minimum; add to the bond";
    CommissionTooHigh = 105, "the commission is above the maximum of the configuration";
    NotEnoughShares = 106, "the position holds fewer shares than asked for";
    TicketNotMature = 107, "the ticket is not mature yet; claim after its slot";
    NothingToClaim = 108, "there is nothing to claim";
    WrongPoolKind = 109, "the pool is of a kind that this instruction does not take";
    PoolNotRetired = 110, "the pool is not retired; retire it before taking the bond";
    BondLocked = 111, "the bond is still locked; wait until its slot and until no dispute is open";
    SamePool = 112, "stake moves between two different pools";
    DifferentJobs = 113, "attention moves between pools of one job only";
    PoolNotFrozen = 114, "the pool has no open dispute to end";
    MissingChainTip = 115, "an auditor's pool needs the tip of a hash chain; other pools have none";
    NothingPending = 116, "no pending stake is due; wait until some is";
    SharesLocked = 117, "the shares are locked or steer a domain; wait for the lock's end or withdraw the vote";
    WrongLock = 118, "a lock runs 1 to 48 periods and is only ever made larger or longer";
    NotCompounding = 119, "only shares of a compounding pool can be tokens; others earn to their position";
    WrongExtension = 120, "the token account has an extension that the protocol does not take; use another account";
    WrongRoyalty = 121, "a model with a parent passes on a part of its fees to it, and only such a model does";
    AllotmentTooLarge = 122, "a pool's places have ten thousand basis points of its stake at most; allot less to this one";
    AllotmentInUse = 123, "claims that were made with the stake are still open; settle them before taking it from the place";
    WrongSession = 126, "a session key is another key than the operator's and holds until a later slot; zeros end one";
    SeatsHeld = 125, "the pool still holds places of jobs; leave them with LeaveJob before you retire it";
    ClaimsInSeveralJobs = 127, "claims of the pool are open in several jobs, so its slices stand behind one claim each; settle those of the other jobs first";
    WrongSteering = 124, "delegated stake steers attention pools of jobs, and an attention pool's own stake steers there";

    // Admin: 200 to 299.
    ParameterOutOfBounds = 200, "a parameter is outside its hard bounds";
    SplitNotWhole = 201, "the shares of the roles do not add up to ten thousand basis points";
    UnbondingTooShort = 202, "unbonding must take longer than every dispute can";
    BucketEmpty = 203, "the bucket holds less than the amount asked for";
    NoProposal = 204, "nothing is proposed";
    ProposalNotReady = 205, "the proposal is still locked; wait for its slot";
    ProposalExpired = 206, "the proposal waited too long; propose it again";
    WrongProposal = 207, "the proposal is of another kind than this instruction executes";
    NotNominated = 208, "the signer is not nominated as the next authority";
    Paused = 209, "the protocol is paused and takes nothing new; exits and claims go on";
    NotPaused = 210, "the protocol is not paused";
    PauseTooSoon = 211, "the last pause is not long enough ago";
    NotUpgradeAuthority = 212, "the protocol is begun by the key that may upgrade the program; sign with it, before the program is made immutable";

    // Training: 300 to 399.
    EmptyDataset = 300, "a dataset needs at least one token to train on and one held out";
    MissingName = 301, "a dataset needs a domain name and a licence";
    DatasetTooLarge = 302, "a part of the dataset has more tokens than a dispute can open; split it into several datasets";
    DatasetTooShort = 303, "the dataset is shorter than one sequence of the job and its target; use shorter sequences";
    DatasetRetired = 304, "the dataset's provider has given notice; new jobs train on another one";
    WrongJobShape = 305, "a size of the job is zero or above its limit";
    WrongMixtureBounds = 306, "the mixture's floor and cap admit no mixture over the domains";
    TooManyDomains = 307, "a job has one to eight domains";
    JobFull = 308, "the job has no free place for this role";
    AlreadyJoined = 309, "the pool has joined this job already";
    WrongPlace = 310, "the pool does not hold this place of the job";
    DuplicateDomain = 311, "a text is named twice in one job";
    AuditorsMissing = 312, "a job needs at least one trainer, one auditor and one evaluator before its first round";
    WrongSlice = 313, "the slice of a bond behind one claim is below the least own bond, the round's reward above the configuration's, or the slice too small for what its conviction would undo: raise slice, or lower round_reward or lookahead";
    NothingAllotted = 314, "none of the pool's stake counts in its place, so it has no say in the round; allot some before the round is opened, and leave after your part";
    SeatInOrder = 315, "the seat is as its pool has it; there is nothing to change";
    CureRunning = 316, "the operator still has time to bring its bond up to what the place needs; ask again when it is over";
    PoolConvicted = 317, "a claim of the pool was convicted; it takes no place any more, and claims nothing new";
    JobClosed = 318, "the job's genesis state was convicted; no further round of it is opened";
    RoundNotFinished = 319, "the previous round is not scored yet; finish it first";
    JobFinished = 320, "the job has run all its rounds";
    WrongRoundStatus = 321, "the round is in another phase; wait for the phase of this instruction";
    TooEarly = 322, "not everyone has acted and the deadline is not reached; wait";
    WrongStartRoot = 323, "the segment does not start at the base of the round";
    WrongLeafCount = 324, "the segment has another number of step leaves than the job asks for";
    AlreadyCommitted = 325, "the trainer has committed its segment of this round already";
    Excluded = 326, "the pool was convicted in this job and takes no further part";
    DisputeOpen = 327, "a dispute on a segment of the round is open; wait for its verdict";
    WrongSegments = 328, "the segments passed are not exactly those of the round, each once";
    SegmentNotOpen = 329, "the segment is not open any more";
    NoMajorityYet = 330, "the vote is still running; wait for its deadline";
    TooFarAhead = 331, "no more rounds may wait to be final in this job, or its votes did not agree; finish the oldest first, or wait for the verdicts";
    ParentNotFinal = 332, "what the round builds on is not final yet; finish that round first";
    ChallengeOpen = 333, "the round can still be challenged, or a dispute or demand on it is open; wait for its end";
    NotFinal = 334, "the round is not final yet; nothing is settled before";
    Orphaned = 335, "the round builds on one that was undone; it is undone as well";
    NotOrphaned = 336, "what the round builds on stands; only what builds on an undone round is undone";
    NoSeedPending = 337, "the round waits for no seed: it is not closed, or its seed is settled";
    SeedNotDue = 338, "the slots of the seed have not both passed; wait for the second";
    SeedPending = 339, "the previous round's seed is not settled; capture its slot hashes first";
    NothingAmended = 340, "the new claim is the one that is committed already";
    WrongPreimage = 341, "the preimage does not hash to the auditor's chain tip";
    AlreadyRevealed = 342, "the draw or score was revealed already";
    NotRevealed = 343, "the auditor has not revealed its draw of this round";
    NotDrawn = 344, "the auditor's draw does not select this segment";
    AlreadyAttested = 345, "the auditor has attested this segment already";
    OwnSegment = 346, "an operator does not audit its own segment";
    EmptyDigest = 347, "an attestation needs the digest of a replay";
    ChainInUse = 348, "the auditor's hash chain serves another job; create another pool with a chain of its own";
    NothingAttested = 349, "the auditor has no attestation of this segment left to show";
    WrongAttestation = 350, "the salt and the trace root do not hash to the attestation";
    AlreadyVoted = 351, "this exact vote was cast already";
    WrongReveal = 352, "the revealed scores and salt do not hash to the commitment";
    NothingCommitted = 353, "the evaluator has committed no scores in this round";
    RevealNotOpen = 354, "scores are revealed after all commitments or their deadline";
    EmptyCommitment = 355, "a commitment of zero bytes is no commitment";
    WrongPreviousUpdate = 356, "the segment names another previous update than its trainer's in the round that its round builds on; where that has none, name the job's reset";
    WrongUpdate = 357, "a segment of a job with compressed updates has an update, any other segment has none";
    NothingFrozen = 360, "no slice of the pool's bond is frozen behind this claim, or it is thawed already";
    WrongSetting = 358, "a steered setting is out of order, has no stake on its default, or means what another one means";
    WrongMixtureMode = 359, "a mixture follows stake linearly (0) or by its square root (1)";
    NotDescribed = 362, "the job's creator has not said yet where its manifest is found; wait for DescribeJob before you take a place";
    AlreadyDescribed = 363, "the job was described already, and for good; create another job for another manifest";
    WrongCard = 364, "a job's card names the hash of a manifest, its 1 to 2²⁷ bytes, and a version of the protocol that is not 0";
    ParentNotUndone = 361, "what the round builds on is to be undone as well, and first; undo that round, then this one";

    // Court: 400 to 499.
    NotOnMove = 400, "the other side of the dispute is on move; wait for its move or for its clock to run out";
    WrongMove = 401, "the dispute waits for another move; read its phase";
    WrongPayload = 402, "the move's payload has the wrong length or shape; see the move's layout";
    HashMismatch = 403, "what was opened does not hash to what was committed";
    LeafOutOfPlace = 404, "the segment's first leaf must start and its last leaf must end where the segment does";
    NothingThere = 405, "there is nothing at the place picked; pick one that exists";
    NotContradicted = 406, "what was opened agrees with the trainer's claim and proves nothing against it";
    MalformedNode = 407, "the node is not one that the referee can compute";
    ClockRunOut = 408, "the clock of the side on move has run out; anyone may call the timeout";
    ClockRunning = 409, "the side on move still has time; wait until its clock has run out";
    DisputeOver = 410, "the dispute is decided; resolve it";
    DisputeNotOver = 411, "the dispute is not decided yet; only a decided one is resolved";
    NotParty = 412, "the signer is neither the trainer nor the challenger of this dispute";
    PastBuffer = 413, "the bytes reach past the end of the dispute's buffer; send fewer or start earlier";
    AlreadyResolved = 414, "the dispute was resolved already";
    OwnClaim = 415, "nobody accuses a claim of its own";
    NoClaim = 416, "there is no such claim, or the time to dispute it is over";
    WrongCase = 417, "the dispute is about another kind of claim; use the instruction of its kind";
    WrongAccusation = 418, "challenger, claim and salt do not give the hash that was committed";
    AccusationTooFresh = 419, "an accusation is opened a slot after its commitment at the earliest; wait";
    AccusationExpired = 420, "the accusation was not opened in time; commit another";
    AccusationTooOld = 421, "the claim was made after the accusation; withdraw it and commit another";
    AccusationStands = 422, "there still is something to accuse; open the dispute";
    AccusationRunning = 423, "the accusation may still be opened; wait until its time is over";
    BountyHeld = 424, "an earlier accusation may still convict; the bounty is paid when none can";
    TooManyDemands = 425, "no more demands may be open on it; wait for an answer";
    DemandOver = 426, "the demand is answered or has failed";
    DemandRunning = 427, "the demand is open; wait for the answer or for the end of its clock";
    ClaimConvicted = 428, "the claim is convicted, and an earlier accuser has the bounty; withdraw the accusation";
    ClaimDisputed = 429, "the claim is disputed and stands until the verdict; wait for it";
    DutyOver = 430, "the time for which the provider answers for the dataset is over; ask who has copied it";
    BountyOwned = 431, "the bounty is somebody's, or there is none; it is claimed, not released";
    StillResting = 432, "it is over for less than an unbonding time, or an accusation may still be opened; wait";
    SessionWaits = 434, "the session key of the defendant's pool moves from half a clock after the dispute's opening on; wait, or let the operator sign";
    StillNeeded = 433, "something still refers to it, or it holds or earns money; settle, claim and close that first";

    // Money: 500 to 599.
    EpochNotOver = 500, "the epoch of the emission is not over; turn it after its last slot";
    AlreadySettled = 501, "this was settled already; each is settled once";
    NothingToBurn = 502, "convictions have left nothing to burn";

    // Network: 600 to 699.
    StalePeer = 600, "the record was written since by another process; read it again, and stop if two processes have one key";
    WrongContact = 601, "a contact has a version from 1 on, a URL that begins with http:// or https:// or none, its addresses first, and is reached somewhere if it serves";
    PeerTooFresh = 602, "the record was written in this slot; close it a slot later";
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for Error {}

impl From<MathError> for Error {
    #[inline(always)]
    fn from(error: MathError) -> Self {
        match error {
            MathError::Overflow => Error::Overflow,
            MathError::Underflow => Error::Underflow,
            MathError::DivisionByZero => Error::DivisionByZero,
        }
    }
}
