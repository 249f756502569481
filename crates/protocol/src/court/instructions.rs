//! The instructions of accusations, demands and disputes. Tags 0x60 to 0x7F. See [`crate::ground::declare`] for the form.

use bytemuck::{Pod, Zeroable};

use crate::ground::declare::{arguments, specs};

/// Hands the table to a reader.
#[macro_export]
macro_rules! court_instructions {
    ($($reader:tt)*) => { $($reader)*! {
        /// Commits an accusation: its bond and a hash that does not tell whom it accuses.
        ///
        /// - one account per challenger and hash; the bond moves into the vault: one more for each accusation that is open in the job, 16 at most
        CommitAccusation = 0x60 {
            args {
                /// See [`super::accusation::hash`].
                hash: [u8; 32],
            }
            accounts {
                challenger: payer,
                config: reads(Config),
                /// The job of the claim.
                job: writes(Job),
                accusation: opens(Accusation) at accusation(challenger, args.hash),
                source: writes(Tokens) of challenger,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
            }
            budget { 11_000 }
        }

        /// Takes an accusation back that has nothing left to accuse: whole, or less a part of what it should not have cost others.
        ///
        /// - the accusation is the signer's, of this claim, and was committed in its job
        /// - the claim is convicted and its bounty another's who committed earlier; or it was made after the accusation
        /// - the account is closed to the challenger
        WithdrawAccusation = 0x61 {
            args {
                /// The salt.
                salt: [u8; 32],
                /// The auditor's place, or [`super::accusation::NO_PLACE`].
                place: u8,
            }
            accounts {
                challenger: payer,
                config: writes(Config),
                job: writes(Job),
                accusation: closes(Accusation) from accusation(challenger, accusation.hash),
                destination: writes(Tokens) of challenger,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
                /// Unless it accuses the genesis state: the segment or scoring run, of a vote the round.
                subject: maybe reads(Segment | ScoringRun | Round),
                /// Unless it accuses the genesis state: the subject's round.
                round: maybe reads(Round),
                /// Where it accuses an auditor: its pool.
                auditor: maybe reads(Pool),
            }
            budget { 2_400 }
        }

        /// Ends an accusation that was not opened in time.
        ///
        /// - anyone may; 1 500 slots have passed; the penalties' part of the bond is insured, the rest goes back
        /// - the account is closed to the challenger
        ExpireAccusation = 0x62 {
            args {}
            accounts {
                config: writes(Config),
                job: writes(Job),
                accusation: closes(Accusation) from accusation(challenger, accusation.hash),
                challenger: wallet,
                destination: writes(Tokens) of challenger,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
            }
            budget { 2_100 }
        }

        /// Pays the bounty of a conviction.
        ///
        /// - anyone may; no dispute on the claim is open (of attestations: none in the round), and no accusation that was committed earlier can
        ///   still be opened; a bounty that silence left is nobody's, and waits
        ClaimBounty = 0x63 {
            args {
                /// Place of the auditor; 0 for another's claim.
                place: u8,
                /// A [`CaseKind`](crate::ground::case::CaseKind): aggregate for a vote, attestation; 0 for another's claim.
                case: u8,
            }
            accounts {
                config: reads(Config),
                /// Where the bounty waits: the segment or scoring run, of an auditor's claim its round, of a genesis state the job.
                holder: writes(Segment | ScoringRun | Round | Job),
                /// Of the wallet that has the bounty.
                destination: writes(Tokens),
                vault: writes(Vault),
                token_program: calls(TokenProgram),
            }
            budget { 2_000 }
        }

        /// Insures a bounty that silence left and that no accusation can have any more.
        ///
        /// - anyone may; the bounty is nobody's; no dispute on the segment is open, and none can be opened
        ReleaseBounty = 0x64 {
            args {}
            accounts {
                config: writes(Config),
                round: reads(Round),
                segment: writes(Segment) from segment(round, segment.pool),
            }
            budget { 600 }
        }

        /// Demands a chunk of an entry of what a segment hands over: its end state, or with compressed updates its update, and after the
        /// update's entries those of the previous update, from which it goes on.
        ///
        /// - the segment can be challenged and is not convicted; the entry exists; fewer than 64 demands on the segment are open
        /// - the fee moves into the vault; the pool is frozen; the clock runs
        DemandState = 0x65 {
            args {
                /// Entry of the state or update; from the number of an update's entries on, of the previous update.
                entry: u32,
                /// Chunk of the entry.
                chunk: u32,
            }
            accounts {
                demander: payer,
                config: reads(Config),
                job: reads(Job),
                round: writes(Round),
                segment: writes(Segment) at segment(round, pool),
                /// The trainer's pool.
                pool: writes(Pool),
                demand: opens(Demand) at demand(segment, demander, args.entry, args.chunk),
                source: writes(Tokens) of demander,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
            }
            budget { 13_000 }
        }

        /// Demands a chunk of a dataset's tokens, of those to train on or of those held out, without which nobody replays a score.
        ///
        /// - the part and the chunk exist; fewer than 64 demands on the dataset are open; neither the dataset's notice nor its pool's has run out
        /// - the fee moves into the vault; the pool is frozen; the clock runs
        DemandData = 0x66 {
            args {
                /// Of the tokens to train on (0), or of those held out (1).
                part: u32,
                /// The chunk.
                chunk: u32,
            }
            accounts {
                demander: payer,
                config: reads(Config),
                dataset: writes(Dataset),
                /// The provider's pool.
                pool: writes(Pool),
                demand: opens(Demand) at demand(dataset, demander, args.part, args.chunk),
                source: writes(Tokens) of demander,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
                system_program: calls(SystemProgram),
            }
            budget { 12_000 }
        }

        /// Writes a part of an answer into the demand's buffer: the bytes after the arguments.
        ///
        /// - the signer must answer and has time left; the bytes end within the buffer
        UploadAnswer = 0x67 {
            args {
                /// Where the bytes go.
                offset: u32,
            } then bytes
            accounts {
                /// Who must answer.
                answerer: worker,
                demand: writes(Demand),
                /// The demand's.
                pool: reads(Pool),
            }
            budget { 1_000 }
        }

        /// Answers a demand on a segment with what the buffer holds before `offset`, followed by the bytes after the arguments.
        ///
        /// - as for `UploadAnswer`; the opening proves the chunk, or that the entry ends before it
        /// - half of the fee goes to the pool, which is unfrozen, half is insured
        AnswerState = 0x68 {
            args {
                /// Where the bytes go.
                offset: u32,
            } then bytes
            accounts {
                trainer: worker,
                config: writes(Config),
                round: writes(Round),
                segment: writes(Segment) at segment(round, pool),
                /// The trainer's pool.
                pool: writes(Pool),
                demand: writes(Demand) from demand(segment, demand.demander, demand.entry, demand.chunk),
            }
            budget { 63_000 }
        }

        /// Answers a demand on a dataset.
        ///
        /// - as for `AnswerState`
        AnswerData = 0x69 {
            args {
                /// Where the bytes go.
                offset: u32,
            } then bytes
            accounts {
                provider: worker,
                config: writes(Config),
                dataset: writes(Dataset),
                /// The provider's pool.
                pool: writes(Pool),
                demand: writes(Demand) from demand(dataset, demand.demander, demand.entry, demand.chunk),
            }
            budget { 81_000 }
        }

        /// Convicts a segment whose trainer left a demand unanswered.
        ///
        /// - anyone may; the demand is open and its clock has run out
        /// - as for a conviction in a dispute, but what would be the bounty waits for an accusation; the fee goes back, and if the segment
        ///   was not convicted before, five fees out of the own bond's slash
        FailState = 0x6A {
            args {}
            accounts {
                config: writes(Config),
                job: writes(Job),
                round: writes(Round),
                segment: writes(Segment) at segment(round, pool),
                /// The trainer's pool.
                pool: writes(Pool),
                demand: writes(Demand) from demand(segment, demand.demander, demand.entry, demand.chunk),
                destination: writes(Tokens) of demand.demander,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
            }
            budget { 3_600 }
        }

        /// Charges a provider that left a demand unanswered.
        ///
        /// - anyone may; the demand is open and its clock has run out
        /// - if the demand was made after the last absence that was charged to the pool: what the penalties take of own bond and delegated
        ///   stake is insured, and half of the fee burned; the rest of the fee goes back
        FailData = 0x6B {
            args {}
            accounts {
                config: writes(Config),
                dataset: writes(Dataset),
                /// The provider's pool.
                pool: writes(Pool),
                demand: writes(Demand) from demand(dataset, demand.demander, demand.entry, demand.chunk),
                destination: writes(Tokens) of demand.demander,
                vault: writes(Vault),
                token_program: calls(TokenProgram),
            }
            budget { 2_800 }
        }

        /// Closes a demand that is over and returns its rent.
        ///
        /// - anyone may, without the signature, an unbonding time after the end of the demand's clock
        CloseDemand = 0x6C {
            args {}
            accounts {
                /// Who made the demand.
                demander: closer,
                demand: closes(Demand) from demand(demand.subject, demander, demand.entry, demand.chunk),
                /// Without the signature.
                config: maybe reads(Config),
            }
            budget { 220 }
        }

        /// Accuses a segment.
        ///
        /// - the accusation was in time (see `training::window`); round, segment, pool and job belong together
        /// - the accusation is the signer's, of this segment, and was committed no earlier than the segment, one to 1 500 slots ago; it is closed
        /// - the segment is not convicted, or by somebody who committed later and has not got the bounty; the challenger is not its trainer
        ///   and has no other dispute on it; once its dispute is closed it may accuse anew, for another bond
        /// - every dataset is the job's; the graph of a start state or an update opens in the job's tree of the two; a case without one names none
        /// - the bond moves from the accusation; the pool is frozen; both clocks are filled and the trainer's runs
        OpenDispute = 0x6D {
            args {
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
            accounts {
                challenger: payer,
                job: reads(Job),
                round: writes(Round),
                segment: writes(Segment) at segment(round, pool),
                /// The trainer's pool.
                pool: writes(Pool),
                dispute: opens(Dispute) at dispute(segment, challenger),
                accusation: closes(Accusation) from accusation(challenger, accusation.hash),
                system_program: calls(SystemProgram),
                /// The job's, in order.
                datasets: each reads(Dataset),
            }
            budget { 11_000 "2 datasets", 12_000 "start", 12_000 "update" }
        }

        /// Accuses an auditor's vote for the next base.
        ///
        /// - the round is closed, and the accusation was in time (see `training::window`)
        /// - as for [`OpenDispute`], the accusation is of this vote, and was committed after it; the pool holds the place and has voted; the
        ///   challenger is not its operator and has no other dispute on this vote
        /// - the graph opens in the job's tree of averages at the number of accepted segments, all of which are passed
        /// - the bond moves from the accusation; the pool is frozen, the round is not final before the verdict, and the vote stands until
        ///   then; the game begins with the trace
        OpenVoteDispute = 0x6E {
            args {
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
            accounts {
                challenger: payer,
                job: reads(Job),
                round: writes(Round),
                /// The auditor's pool.
                pool: writes(Pool),
                dispute: opens(Dispute) at auditor_dispute(round, challenger, args.place),
                accusation: closes(Accusation) from accusation(challenger, accusation.hash),
                system_program: calls(SystemProgram),
                /// The round's accepted segments in order of place.
                segments: each reads(Segment),
            }
            budget { 15_000 "2 segments" }
        }

        /// Accuses an attestation that was shown.
        ///
        /// - round, segment and job belong together; the pool holds the place and has shown its attestation of the segment; the time to
        ///   show attestations ended less than an audit's length ago
        /// - as for [`OpenDispute`], the accusation is of this attestation, and was committed after the round's closing; the challenger is
        ///   not the pool's operator and has no other dispute on this attestation; every dataset is the job's
        /// - the bond moves from the accusation; the pool is frozen; the trace root is pinned; the challenger is on move and opens the leaf
        OpenAttestationDispute = 0x6F {
            args {
                /// The accusation's salt.
                salt: [u8; 32],
                /// The auditor's place.
                place: u32,
            }
            accounts {
                challenger: payer,
                job: reads(Job),
                round: writes(Round),
                segment: reads(Segment) from segment(round, segment.pool),
                /// The auditor's pool.
                pool: writes(Pool),
                dispute: opens(Dispute) at auditor_dispute(segment, challenger, args.place),
                accusation: closes(Accusation) from accusation(challenger, accusation.hash),
                system_program: calls(SystemProgram),
                /// The job's, in order.
                datasets: each reads(Dataset),
            }
            budget { 16_000 }
        }

        /// Accuses a job's genesis state.
        ///
        /// - as for [`OpenDispute`], the accusation is of this genesis state, whose bond was not returned; the challenger is not the creator
        ///   and has no other dispute on it
        /// - the bond moves from the accusation; the genesis bond is locked; the game begins with the trace
        OpenGenesisDispute = 0x70 {
            args {
                /// The accusation's salt.
                salt: [u8; 32],
            }
            accounts {
                challenger: payer,
                job: writes(Job),
                dispute: opens(Dispute) at dispute(job, challenger),
                accusation: closes(Accusation) from accusation(challenger, accusation.hash),
                system_program: calls(SystemProgram),
            }
            budget { 12_000 }
        }

        /// Accuses a scoring run.
        ///
        /// - round, run, pool and job belong together; the pool held the place when the round was opened; before the tally the time to dispute
        ///   scores is not over, after it the round cannot be final yet
        /// - as for [`OpenDispute`], the accusation is of this run, and was committed after it was revealed; the challenger is not its
        ///   evaluator and has no other dispute on it; every dataset is the job's
        /// - the bond moves from the accusation; the pool is frozen; both clocks are filled and the evaluator's runs
        OpenRunDispute = 0x71 {
            args {
                /// The accusation's salt.
                salt: [u8; 32],
            }
            accounts {
                challenger: payer,
                job: reads(Job),
                round: writes(Round),
                run: writes(ScoringRun) at run(round, pool),
                /// The evaluator's pool.
                pool: writes(Pool),
                dispute: opens(Dispute) at dispute(run, challenger),
                accusation: closes(Accusation) from accusation(challenger, accusation.hash),
                system_program: calls(SystemProgram),
                /// The job's, in order.
                datasets: each reads(Dataset),
            }
            budget { 12_000 "3 datasets" }
        }

        /// Writes a part of a large payload into the dispute's buffer: the bytes after the arguments.
        ///
        /// - the signer is the party on move; the bytes end within the buffer
        /// - a session key signs from half a clock after the opening on
        Upload = 0x72 {
            args {
                /// Where the bytes go, little-endian.
                offset: [u8; 2],
            } then bytes
            accounts {
                /// The party on move.
                party: worker,
                dispute: writes(Dispute),
                /// The defendant's, where its session key signs.
                pool: maybe reads(Pool),
            }
            budget { 1_000 }
        }

        /// Plays a move. Its payload is what the buffer holds before `offset`, followed by the bytes after the arguments.
        ///
        /// - the signer is the party on move and has time left; the move is one of the phase; see [`super::MoveKind`]
        /// - a session key plays every move but `Concede`, from half a clock after the opening on
        PlayMove = 0x73 {
            args {
                /// A [`super::MoveKind`].
                kind: u8,
                /// Where the bytes go, little-endian.
                offset: [u8; 2],
            } then bytes
            accounts {
                /// The party on move.
                party: worker,
                dispute: writes(Dispute),
                /// The defendant's, where its session key signs.
                pool: maybe reads(Pool),
            }
            budget {
                500 "Concede", 91_000 "Reveal", 2_600 "OpenLeaf", 9_100 "PostSteps",
                5_200 "PostTrace", 700 "OpenEntry", 6_700 "OpenNode", 53_000 "PostChunk",
                900 "PostPartials", 14_200 "PostValues", 1_000 "Pick", 600 "DisputeState",
                2_700 "ProveOutput", 1_800 "ProveInput", 64_000 "ProveToken", 76_000 "ProveOperand",
                2_700 "ShowLeaf", 3_200 "ProveBeyond",
            }
        }

        /// Ends a dispute against the party whose clock has run out.
        ///
        /// - the dispute is not over; the clock of the party on move has run out
        TimeOut = 0x74 {
            args {}
            accounts {
                dispute: writes(Dispute),
            }
            budget { 300 }
        }

        /// Applies the verdict.
        ///
        /// - the dispute is over and not resolved yet; all accounts are the dispute's
        /// - convicted: the segment counts no more, its trainer takes no further part, the pool is slashed; the challenger gets its bond
        ///   back, and a bounty out of the trainer's own bond waits for the first accuser; the rest is insured; if the segment had
        ///   counted, the round is undone
        /// - acquitted: the penalties' part of the challenger's bond is burned, the rest goes to the trainer's pool
        /// - either way the pool has one dispute less
        ResolveDispute = 0x75 {
            args {}
            accounts {
                config: writes(Config),
                job: writes(Job),
                round: writes(Round),
                segment: writes(Segment) at segment(round, pool),
                /// The trainer's pool.
                pool: writes(Pool),
                dispute: writes(Dispute) from dispute(segment, dispute.challenger),
                destination: writes(Tokens) of dispute.challenger,
                vault: writes(Vault),
                mint: writes(Mint),
                token_program: calls(TokenProgram),
            }
            budget { 3_500 }
        }

        /// Applies the verdict of a dispute on a vote or an attestation.
        ///
        /// - the dispute is over, not resolved yet and of this kind; all accounts are the dispute's
        /// - convicted: the pool is slashed, once in a job, and the bounty waits in it for the first accuser; its vote and its stake do
        ///   not count in the round, which pays it nothing; it takes no further part in the job; a base that the vote made is taken back:
        ///   the round is undone; while the round is in its vote, the other votes are counted again
        /// - the bonds go as with [`ResolveDispute`]; the pool has one dispute less
        ResolveAuditorDispute = 0x76 {
            args {}
            accounts {
                config: writes(Config),
                job: writes(Job),
                round: writes(Round),
                /// The auditor's pool.
                pool: writes(Pool),
                dispute: writes(Dispute) from auditor_dispute(dispute.subject, dispute.challenger, dispute.place),
                destination: writes(Tokens) of dispute.challenger,
                vault: writes(Vault),
                mint: writes(Mint),
                token_program: calls(TokenProgram),
            }
            budget { 3_800 }
        }

        /// Applies the verdict of a dispute on a genesis state.
        ///
        /// - the dispute is over, not resolved yet and of this kind; all accounts are the dispute's
        /// - convicted: no further round of the job is opened; the challenger gets its bond back, the bounty out of the genesis bond waits
        ///   in the job for the first accuser, the rest is insured
        /// - acquitted: the penalties' part of the challenger's bond is burned, the rest is added to the genesis bond, or insured if the job
        ///   is closed
        ResolveGenesisDispute = 0x77 {
            args {}
            accounts {
                config: writes(Config),
                job: writes(Job),
                dispute: writes(Dispute) from dispute(job, dispute.challenger),
                destination: writes(Tokens) of dispute.challenger,
                vault: writes(Vault),
                mint: writes(Mint),
                token_program: calls(TokenProgram),
            }
            budget { 2_200 }
        }

        /// Applies the verdict of a dispute on a scoring run.
        ///
        /// - the dispute is over, not resolved yet and of this kind; all accounts are the dispute's
        /// - convicted: the run's scores do not count, the pool is slashed, once for a run, and the bounty waits in the run for the first
        ///   accuser; if the round was scored by it, the round is undone; the evaluator's seat in the job ends
        /// - the bonds go as with [`ResolveDispute`]; the pool has one dispute less
        ResolveRunDispute = 0x78 {
            args {}
            accounts {
                config: writes(Config),
                job: writes(Job),
                round: writes(Round),
                run: writes(ScoringRun) at run(round, pool),
                /// The evaluator's pool.
                pool: writes(Pool),
                dispute: writes(Dispute) from dispute(run, dispute.challenger),
                destination: writes(Tokens) of dispute.challenger,
                vault: writes(Vault),
                mint: writes(Mint),
                token_program: calls(TokenProgram),
            }
            budget { 3_300 }
        }

        /// Closes a resolved dispute and returns its rent.
        ///
        /// - the signer is its challenger; the dispute is resolved
        /// - anyone may, without the signature, an unbonding time after the longest game from its opening would have ended
        CloseDispute = 0x79 {
            args {}
            accounts {
                /// Who opened the dispute.
                challenger: closer,
                dispute: closes(Dispute),
                /// Without the signature.
                job: maybe reads(Job),
            }
            budget { 220 }
        }
    } };
}

court_instructions!(arguments);
court_instructions!(specs);

impl OpenDispute {
    /// Whether everything that names a graph is 0, as it is where the case has none.
    pub(super) fn names_no_graph(&self) -> bool {
        [self.nodes_root, self.outputs_root, self.sibling] == [[0; 32]; 3] && self.node_count == 0
    }
}
