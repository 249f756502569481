//! The instructions of a case, of every kind: how it is committed, opened, taken back, resolved and closed. The one place where they are chosen.

use sip_client::{
    Accusation, AttestationAccusation, GenesisAccusation, Hidden, Program, Seat, UpdateGraph, VoteAccusation,
};
use sip_proof::GraphRoots;
use sip_protocol::court::accusation::NO_PLACE;
use solana_address::Address;
use solana_instruction::Instruction;

/// What is said to be false, with the accounts that it stands in.
#[derive(Clone, Debug)]
pub enum Charged {
    /// The state that a job starts from.
    Genesis,
    /// A trainer's segment: its steps, or with compressed updates what it starts from or hands over.
    Segment {
        /// The round.
        round: Address,
        /// The trainer's pool.
        pool: Address,
        /// The graph of the part that is accused; its steps where there is none.
        part: Option<UpdateGraph>,
    },
    /// An evaluator's scoring run.
    Run {
        /// The round.
        round: Address,
        /// The evaluator's pool.
        pool: Address,
    },
    /// An auditor's vote for the next base.
    Vote {
        /// The round.
        round: Address,
        /// The auditor's pool.
        pool: Address,
        /// The auditor's place.
        place: u8,
        /// The accepted segments in order of place.
        segments: Vec<Address>,
        /// The graph that averages so many, and its path in the job's tree; needed to open the case.
        graph: Option<(GraphRoots, [[u8; 32]; 4])>,
    },
    /// An auditor's attestation of a segment.
    Attestation {
        /// The round.
        round: Address,
        /// The segment.
        segment: Address,
        /// The auditor's pool.
        pool: Address,
        /// The auditor's place.
        place: u8,
    },
}

/// An accusation: who accuses, in which job, of what.
#[derive(Clone, Debug)]
pub struct Charge<'a> {
    /// The deployment.
    pub program: &'a Program,
    /// Wallet that accuses.
    pub challenger: Address,
    /// The job.
    pub job: Address,
    /// The job's datasets by domain; needed to open a case about steps.
    pub datasets: Vec<Address>,
    /// What is accused.
    pub charged: Charged,
    /// Hides the claim until the case is opened.
    pub salt: [u8; 32],
}

impl Charge<'_> {
    /// The account that the claim stands in: a segment's, for a vote the round's, for a genesis state the job's.
    pub fn subject(&self) -> Address {
        match &self.charged {
            Charged::Genesis => self.job,
            Charged::Segment { round, pool, .. } => self.program.segment(round, pool),
            Charged::Run { round, pool } => self.program.run(round, pool),
            Charged::Vote { round, .. } => *round,
            Charged::Attestation { segment, .. } => *segment,
        }
    }

    /// The auditor's place, as an accusation names it.
    fn place(&self) -> u8 {
        match self.charged {
            Charged::Vote { place, .. } | Charged::Attestation { place, .. } => place,
            _ => NO_PLACE,
        }
    }

    /// The round of the claim; none of a genesis state.
    fn round(&self) -> Option<&Address> {
        match &self.charged {
            Charged::Genesis => None,
            Charged::Segment { round, .. }
            | Charged::Run { round, .. }
            | Charged::Vote { round, .. }
            | Charged::Attestation { round, .. } => Some(round),
        }
    }

    /// The challenger's dispute on the claim.
    pub fn dispute(&self) -> Address {
        let subject = self.subject();
        match self.place() {
            NO_PLACE => self.program.dispute(&subject, &self.challenger),
            place => self.program.auditor_dispute(&subject, &self.challenger, place),
        }
    }

    /// Lets something be made of the accusation before it is opened.
    fn with_hidden<T>(&self, make: impl FnOnce(&Hidden<'_>) -> T) -> T {
        let (challenger, job, subject) = (&self.challenger, &self.job, self.subject());
        make(&Hidden { challenger, job, subject: &subject, place: self.place(), salt: &self.salt })
    }

    /// The account that the accusation waits in until it is opened.
    pub fn hidden(&self) -> Address {
        self.with_hidden(|hidden| self.program.accusation(&self.challenger, &hidden.hash()))
    }

    /// Commits the accusation as a hash.
    pub fn commit(&self) -> Instruction {
        self.with_hidden(|hidden| self.program.commit_hidden(hidden))
    }

    /// Takes it back.
    pub fn withdraw(&self) -> Instruction {
        let auditor = match &self.charged {
            Charged::Vote { pool, .. } | Charged::Attestation { pool, .. } => Some(pool),
            _ => None,
        };
        self.with_hidden(|hidden| self.program.withdraw_hidden(hidden, self.round(), auditor))
    }

    /// Ends one that was not opened in time.
    pub fn expire(&self) -> Instruction {
        self.with_hidden(|hidden| self.program.expire_accusation(&self.challenger, &self.job, &hidden.hash()))
    }

    /// Opens it: from here on there is a dispute. Nothing of a vote whose graph is not known.
    pub fn open(&self) -> Option<Instruction> {
        let Charge { program, challenger, job, datasets, salt, .. } = self;
        // Of an auditor's seat only place and pool are named.
        let seat = |pool: &Address, place: u8| Seat { operator: *challenger, pool: *pool, place };
        Some(match &self.charged {
            Charged::Genesis => program.open_genesis_dispute(&GenesisAccusation { challenger, job, salt }),
            Charged::Segment { round, pool, part } => {
                let accusation = Accusation { challenger, job, round, pool, datasets, salt };
                match part {
                    None => program.open_dispute(&accusation),
                    Some(graph) => program.open_update_dispute(&accusation, graph),
                }
            }
            Charged::Run { round, pool } => {
                program.open_run_dispute(&Accusation { challenger, job, round, pool, datasets, salt })
            }
            Charged::Vote { round, pool, place, segments, graph } => {
                let ((graph, path), auditor) = (graph.as_ref()?, &seat(pool, *place));
                let accusation = VoteAccusation { challenger, job, round, auditor, graph, path, segments, salt };
                program.open_vote_dispute(&accusation)
            }
            Charged::Attestation { round, segment, pool, place } => {
                let auditor = &seat(pool, *place);
                let accusation = AttestationAccusation { challenger, job, round, segment, auditor, datasets, salt };
                program.open_attestation_dispute(&accusation)
            }
        })
    }

    /// Applies the verdict.
    pub fn resolve(&self) -> Instruction {
        let Charge { program, challenger, job, .. } = self;
        match &self.charged {
            Charged::Genesis => program.resolve_genesis_dispute(challenger, job),
            Charged::Segment { round, pool, .. } => program.resolve_dispute(challenger, job, round, pool),
            Charged::Run { round, pool } => program.resolve_run_dispute(challenger, job, round, pool),
            Charged::Vote { round, pool, .. } | Charged::Attestation { round, pool, .. } => {
                program.resolve_auditor_dispute(challenger, &self.dispute(), job, round, pool)
            }
        }
    }

    /// Closes the dispute, by its challenger.
    pub fn close(&self) -> Instruction {
        self.program.close_dispute(&self.challenger, &self.dispute())
    }
}
