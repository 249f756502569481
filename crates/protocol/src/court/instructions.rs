//! The instructions of accusations, demands and disputes. Tags 0x60 to 0x7F. See [`crate::ground::declare`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::ground::declare::{Args, instructions};

instructions! {
    /// Commits an accusation: its bond and a hash that does not tell whom it accuses.
    ///
    /// Accounts: [signer, writable] challenger and payer · config · [writable] accusation (created) · [writable] challenger's token account ·
    /// [writable] vault · token program · system program · [writable] job of the claim.
    ///
    /// - one account per challenger and hash; the bond moves into the vault: one more for each accusation that is open in the job, 16 at most
    CommitAccusation = 0x60 {
        /// See [`super::accusation::hash`].
        hash: [u8; 32],
    }

    /// Takes an accusation back that has nothing left to accuse: whole, or less a part of what it should not have cost others.
    ///
    /// Accounts: [signer, writable] challenger · config · [writable] accusation · [writable] a token account of the challenger ·
    /// [writable] vault · token program · [writable] job · and unless it is of the genesis state: the subject: segment, scoring run, of a vote
    /// the round · its round · and of an auditor's claim its pool.
    ///
    /// - the accusation is the signer's, of this claim, and was committed in its job
    /// - the claim is convicted and its bounty another's who committed earlier; or it was made after the accusation
    /// - the account is closed to the challenger
    WithdrawAccusation = 0x61 {
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
    ExpireAccusation = 0x62 {}

    /// Pays the bounty of a conviction.
    ///
    /// Accounts: config · [writable] segment or scoring run, of an auditor's claim its round, of a genesis state the job · [writable] a token account of
    /// who has the bounty · [writable] vault · token program.
    ///
    /// - anyone may; no dispute on the claim is open (of attestations: none in the round), and no accusation that was committed earlier can
    ///   still be opened; a bounty that silence left is nobody's, and waits
    ClaimBounty = 0x63 {
        /// Place of the auditor; 0 for another's claim.
        place: u8,
        /// A [`CaseKind`](crate::ground::case::CaseKind): aggregate for a vote, attestation; 0 for another's claim.
        case: u8,
    }

    /// Insures a bounty that silence left and that no accusation can have any more.
    ///
    /// Accounts: [writable] config · round · [writable] segment.
    ///
    /// - anyone may; the bounty is nobody's; no dispute on the segment is open, and none can be opened
    ReleaseBounty = 0x64 {}

    /// Demands a chunk of an entry of what a segment hands over: its end state, or with compressed updates its update, and after the
    /// update's entries those of the previous update, from which it goes on.
    ///
    /// Accounts: [signer, writable] who demands and pays · config · job · [writable] round · [writable] segment · [writable] trainer's pool ·
    /// [writable] demand (created) · [writable] token account · [writable] vault · token program · system program.
    ///
    /// - the segment can be challenged and is not convicted; the entry exists; fewer than 64 demands on the segment are open
    /// - the fee moves into the vault; the pool is frozen; the clock runs
    DemandState = 0x65 {
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
    DemandData = 0x66 {
        /// The chunk.
        chunk: u32,
    }

    /// Writes a part of an answer into the demand's buffer: the bytes after the arguments.
    ///
    /// Accounts: [signer] who must answer · [writable] demand.
    ///
    /// - the signer must answer and has time left; the bytes end within the buffer
    UploadAnswer = 0x67 {
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
    AnswerState = 0x68 {
        /// Where the bytes go.
        offset: u32,
    }

    /// Answers a demand on a dataset.
    ///
    /// Accounts: [signer] provider · [writable] demand · [writable] config · [writable] dataset · [writable] provider's pool.
    ///
    /// - as for `AnswerState`
    AnswerData = 0x69 {
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
    FailState = 0x6A {}

    /// Charges a provider that left a demand unanswered.
    ///
    /// Accounts: [writable] config · [writable] dataset · [writable] provider's pool · [writable] demand · [writable] a token account of who
    /// demanded · [writable] vault · token program.
    ///
    /// - anyone may; the demand is open and its clock has run out
    /// - if the demand was made after the last absence that was charged to the pool: what the penalties take of own bond and delegated
    ///   stake is insured, and half of the fee burned; the rest of the fee goes back
    FailData = 0x6B {}

    /// Closes a demand that is over and returns its rent.
    ///
    /// Accounts: [signer, writable] who demanded · [writable] demand · without the signature the config.
    ///
    /// - anyone may, without the signature, an unbonding time after the end of the demand's clock
    CloseDemand = 0x6C {}

    /// Accuses a segment.
    ///
    /// Accounts: [signer, writable] challenger and payer · job · [writable] round · [writable] segment · [writable] trainer's
    /// pool · [writable] dispute · [writable] accusation · system program · the job's datasets in order.
    ///
    /// - the commits are closed and the challenge deadline is not reached; round, segment, pool and job belong together
    /// - the accusation is the signer's, of this segment, and was committed after the segment, one to 1 500 slots ago; it is closed
    /// - the segment is not convicted, or by somebody who committed later and has not got the bounty; the challenger is not its trainer
    ///   and has no other dispute on it; once its dispute is closed it may accuse anew, for another bond
    /// - every dataset is the job's; the graph of a start state or an update opens in the job's tree of the two; a case without one names none
    /// - the bond moves from the accusation; the pool is frozen; both clocks are filled and the trainer's runs
    OpenDispute = 0x6D {
        /// The accusation's salt.
        salt: [u8; 32],
        /// Nodes root of the start or update graph; 0 for a segment's steps, like all that follows but the case.
        nodes_root: [u8; 32],
        /// Outputs root of the graph.
        outputs_root: [u8; 32],
        /// The other graph's node in the job's tree of the two.
        sibling: [u8; 32],
        /// Nodes of the graph.
        node_count: u32,
        /// Which of the segment's claims is false, a [`super::CaseKind`]: its steps (0), or in a job with compressed updates the
        /// state that it starts from (5), or its update (6).
        case: u32,
    }

    /// Accuses an auditor's vote for the next base.
    ///
    /// Accounts: [signer, writable] challenger and payer · job · [writable] round · [writable] auditor's pool · [writable]
    /// dispute · [writable] accusation · system program · the round's accepted segments in order of place.
    ///
    /// - the round is closed; once its base is voted, the time for revealing scores of it is not over
    /// - as for [`OpenDispute`], the accusation is of this vote, and was committed after it; the pool holds the place and has voted; the
    ///   challenger is not its operator and has no other dispute on this vote
    /// - the graph opens in the job's tree of averages at the number of accepted segments, all of which are passed
    /// - the bond moves from the accusation; the pool is frozen, the round is not final before the verdict, and the vote stands until
    ///   then; the game begins with the trace
    OpenVoteDispute = 0x6E {
        /// The accusation's salt.
        salt: [u8; 32],
        /// Nodes root of the graph.
        nodes_root: [u8; 32],
        /// Outputs root of the graph.
        outputs_root: [u8; 32],
        /// Siblings in the job's tree of averages, from the leaf upward.
        path: [[u8; 32]; 4],
        /// Nodes of the graph.
        node_count: u32,
        /// The auditor's place.
        place: u32,
    }

    /// Accuses an attestation that was shown.
    ///
    /// Accounts: [signer, writable] challenger and payer · job · [writable] round · segment · [writable] auditor's pool · [writable]
    /// dispute · [writable] accusation · system program · the job's datasets in order.
    ///
    /// - round, segment and job belong together; the pool holds the place and has shown its attestation of the segment; the time to
    ///   show attestations ended less than an audit's length ago
    /// - as for [`OpenDispute`], the accusation is of this attestation, and was committed after the round's closing; the challenger is
    ///   not the pool's operator and has no other dispute on this attestation; every dataset is the job's
    /// - the bond moves from the accusation; the pool is frozen; the trace root is pinned; the challenger is on move and opens the leaf
    OpenAttestationDispute = 0x6F {
        /// The accusation's salt.
        salt: [u8; 32],
        /// The auditor's place.
        place: u32,
    }

    /// Accuses a job's genesis state.
    ///
    /// Accounts: [signer, writable] challenger and payer · [writable] job · [writable] dispute · [writable] accusation · system
    /// program.
    ///
    /// - as for [`OpenDispute`], the accusation is of this genesis state, whose bond was not returned; the challenger is not the creator
    ///   and has no other dispute on it
    /// - the bond moves from the accusation; the genesis bond is locked; the game begins with the trace
    OpenGenesisDispute = 0x70 {
        /// The accusation's salt.
        salt: [u8; 32],
    }

    /// Accuses a scoring run.
    ///
    /// Accounts: [signer, writable] challenger and payer · job · [writable] round · [writable] scoring run · [writable]
    /// evaluator's pool · [writable] dispute · [writable] accusation · system program · the job's datasets in order.
    ///
    /// - round, run, pool and job belong together; the pool held the place when the round was opened; before the tally the time to dispute
    ///   scores is not over, after it the round cannot be final yet
    /// - as for [`OpenDispute`], the accusation is of this run, and was committed after it was revealed; the challenger is not its
    ///   evaluator and has no other dispute on it; every dataset is the job's
    /// - the bond moves from the accusation; the pool is frozen; both clocks are filled and the evaluator's runs
    OpenRunDispute = 0x71 {
        /// The accusation's salt.
        salt: [u8; 32],
    }

    /// Writes a part of a large payload into the dispute's buffer: the bytes after the arguments.
    ///
    /// Accounts: [signer] party on move · [writable] dispute.
    ///
    /// - the signer is the party on move; the bytes end within the buffer
    Upload = 0x72 {
        /// Where the bytes go, little-endian.
        offset: [u8; 2],
    }

    /// Plays a move. Its payload is what the buffer holds before `offset`, followed by the bytes after the arguments.
    ///
    /// Accounts: [signer] party on move · [writable] dispute.
    ///
    /// - the signer is the party on move and has time left; the move is one of the phase; see [`super::MoveKind`]
    PlayMove = 0x73 {
        /// A [`super::MoveKind`].
        kind: u8,
        /// Where the bytes go, little-endian.
        offset: [u8; 2],
    }

    /// Ends a dispute against the party whose clock has run out.
    ///
    /// Accounts: [writable] dispute.
    ///
    /// - the dispute is not over; the clock of the party on move has run out
    TimeOut = 0x74 {}

    /// Applies the verdict.
    ///
    /// Accounts: [writable] config · [writable] job · [writable] segment · [writable] trainer's pool · [writable] dispute ·
    /// [writable] a token account of the challenger · [writable] vault · [writable] mint · token program · [writable] round.
    ///
    /// - the dispute is over and not resolved yet; all accounts are the dispute's
    /// - convicted: the segment counts no more, its trainer takes no further part, the pool is slashed; the challenger gets its bond
    ///   back, and a bounty out of the trainer's own bond waits for whoever accused first; the rest is insured; if the segment had
    ///   counted, the round is undone
    /// - acquitted: the penalties' part of the challenger's bond is burned, the rest goes to the trainer's pool
    /// - either way the pool has one dispute less
    ResolveDispute = 0x75 {}

    /// Applies the verdict of a dispute on a vote or an attestation.
    ///
    /// Accounts: [writable] config · [writable] job · [writable] round · [writable] auditor's pool · [writable] dispute · [writable] a
    /// token account of the challenger · [writable] vault · [writable] mint · token program.
    ///
    /// - the dispute is over, not resolved yet and of this kind; all accounts are the dispute's
    /// - convicted: the pool is slashed, once in a job, and the bounty waits in it for whoever accused first; its vote and its stake do
    ///   not count in the round, which pays it nothing; it takes no further part in the job; a base that the vote made is taken back:
    ///   the round is undone; while the round is in its vote, the other votes are counted again
    /// - the bonds go as with [`ResolveDispute`]; the pool has one dispute less
    ResolveAuditorDispute = 0x76 {}

    /// Applies the verdict of a dispute on a genesis state.
    ///
    /// Accounts: [writable] config · [writable] job · [writable] dispute · [writable] a token account of the challenger · [writable]
    /// vault · [writable] mint · token program.
    ///
    /// - the dispute is over, not resolved yet and of this kind; all accounts are the dispute's
    /// - convicted: no further round of the job is opened; the challenger gets its bond back, the bounty out of the genesis bond waits
    ///   in the job for whoever accused first, the rest is insured
    /// - acquitted: the penalties' part of the challenger's bond is burned, the rest is added to the genesis bond, or insured if the job
    ///   is closed
    ResolveGenesisDispute = 0x77 {}

    /// Applies the verdict of a dispute on a scoring run.
    ///
    /// Accounts: [writable] config · [writable] job · [writable] round · [writable] scoring run · [writable] evaluator's pool ·
    /// [writable] dispute · [writable] a token account of the challenger · [writable] vault · [writable] mint · token program.
    ///
    /// - the dispute is over, not resolved yet and of this kind; all accounts are the dispute's
    /// - convicted: the run's scores do not count, the pool is slashed, once for a run, and the bounty waits in the run for whoever
    ///   accused first; if the round was scored by it, the round is undone; the evaluator's seat in the job ends
    /// - the bonds go as with [`ResolveDispute`]; the pool has one dispute less
    ResolveRunDispute = 0x78 {}

    /// Closes a resolved dispute and returns its rent.
    ///
    /// Accounts: [signer, writable] challenger · [writable] dispute · without the signature its job.
    ///
    /// - the signer is its challenger; the dispute is resolved
    /// - anyone may, without the signature, an unbonding time after the longest game from its opening would have ended
    CloseDispute = 0x79 {}
}

impl OpenDispute {
    /// Whether everything that tells of a graph is 0, as it is where the case has none.
    pub(super) fn names_no_graph(&self) -> bool {
        [self.nodes_root, self.outputs_root, self.sibling] == [[0; 32]; 3] && self.node_count == 0
    }
}
