//! Instructions of disputes. What each checks and changes: [`sip_protocol::dispute::instruction`].

use sip_proof::{GraphRoots, HostSha256};
use sip_protocol::{
    account::seed,
    dispute::{CaseKind, MoveKind, instruction::*},
    finality::accusation,
    instruction::Args,
};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::{Program, SYSTEM_PROGRAM, Seat, TOKEN_PROGRAM, build};

/// Bytes of a payload that one transaction carries, with room for a fee payer of its own and a compute budget.
pub const MOVE_PART_BYTES: usize = 880;

/// The accounts of an accusation.
#[derive(Clone, Copy, Debug)]
pub struct Accusation<'a> {
    /// Wallet that accuses.
    pub challenger: &'a Address,
    /// The job.
    pub job: &'a Address,
    /// The round.
    pub round: &'a Address,
    /// The trainer's pool.
    pub pool: &'a Address,
    /// The job's datasets by domain.
    pub datasets: &'a [Address],
    /// Hides the segment until the dispute is opened.
    pub salt: &'a [u8; 32],
}

impl Accusation<'_> {
    /// What is committed before the dispute is opened.
    pub fn hash(&self, segment: &Address) -> [u8; 32] {
        self.hidden(segment).hash()
    }

    /// What it hides: the segment, whose address follows from round and pool.
    pub fn hidden<'a>(&'a self, segment: &'a Address) -> Hidden<'a> {
        Hidden { challenger: self.challenger, subject: segment, place: accusation::NO_PLACE, salt: self.salt }
    }
}

/// What an accusation hides until it is opened.
#[derive(Clone, Copy, Debug)]
pub struct Hidden<'a> {
    /// Wallet that accuses.
    pub challenger: &'a Address,
    /// The segment that is accused or was attested; of a vote the round, of a genesis state the job.
    pub subject: &'a Address,
    /// The auditor's place, or [`accusation::NO_PLACE`].
    pub place: u8,
    /// Hides all this.
    pub salt: &'a [u8; 32],
}

impl Hidden<'_> {
    /// What is committed before the dispute is opened.
    pub fn hash(&self) -> [u8; 32] {
        let Hidden { challenger, subject, place, salt } = *self;
        accusation::hash::<HostSha256>(subject.as_array(), place, challenger.as_array(), salt)
    }
}

/// The accounts of an accusation of an auditor's vote.
#[derive(Clone, Copy, Debug)]
pub struct VoteAccusation<'a> {
    /// Wallet that accuses.
    pub challenger: &'a Address,
    /// The job.
    pub job: &'a Address,
    /// The round.
    pub round: &'a Address,
    /// The auditor.
    pub auditor: &'a Seat,
    /// The graph that averages as many states as segments were accepted.
    pub graph: &'a GraphRoots,
    /// Its path in the job's tree of averages.
    pub path: &'a [[u8; 32]; 4],
    /// The accepted segments in order of place.
    pub segments: &'a [Address],
    /// Hides the vote until the dispute is opened.
    pub salt: &'a [u8; 32],
}

impl VoteAccusation<'_> {
    /// What is committed before.
    pub fn hidden(&self) -> Hidden<'_> {
        Hidden { challenger: self.challenger, subject: self.round, place: self.auditor.place, salt: self.salt }
    }
}

/// The accounts of an accusation of an attestation.
#[derive(Clone, Copy, Debug)]
pub struct AttestationAccusation<'a> {
    /// Wallet that accuses.
    pub challenger: &'a Address,
    /// The job.
    pub job: &'a Address,
    /// The round.
    pub round: &'a Address,
    /// The segment.
    pub segment: &'a Address,
    /// The auditor.
    pub auditor: &'a Seat,
    /// The job's datasets by domain.
    pub datasets: &'a [Address],
    /// Hides the attestation until the dispute is opened.
    pub salt: &'a [u8; 32],
}

impl AttestationAccusation<'_> {
    /// What is committed before.
    pub fn hidden(&self) -> Hidden<'_> {
        Hidden { challenger: self.challenger, subject: self.segment, place: self.auditor.place, salt: self.salt }
    }
}

/// The accounts of an accusation of a genesis state.
#[derive(Clone, Copy, Debug)]
pub struct GenesisAccusation<'a> {
    /// Wallet that accuses.
    pub challenger: &'a Address,
    /// The job.
    pub job: &'a Address,
    /// Hides the job until the dispute is opened.
    pub salt: &'a [u8; 32],
}

impl GenesisAccusation<'_> {
    /// What is committed before.
    pub fn hidden(&self) -> Hidden<'_> {
        Hidden { challenger: self.challenger, subject: self.job, place: accusation::NO_PLACE, salt: self.salt }
    }
}

/// Disputes.
impl Program {
    /// The dispute that a wallet opened on a segment, or on the genesis state of a job.
    pub fn dispute(&self, subject: &Address, challenger: &Address) -> Address {
        self.derive(&[seed::DISPUTE, subject.as_ref(), challenger.as_ref()])
    }

    /// The dispute that a wallet opened on the claim of the auditor in this place: its vote in a round, or its attestation of a
    /// segment.
    pub fn auditor_dispute(&self, subject: &Address, challenger: &Address, place: u8) -> Address {
        self.derive(&[seed::DISPUTE, subject.as_ref(), challenger.as_ref(), &[place]])
    }

    /// [`OpenDispute`] of a segment's steps, or of a scoring run.
    pub fn open_dispute(&self, accusation: &Accusation<'_>) -> Instruction {
        self.open_dispute_of(accusation, CaseKind::Segment)
    }

    /// [`OpenDispute`] of one of a segment's claims: its steps, the state that it starts from, or its update.
    pub fn open_dispute_of(&self, accusation: &Accusation<'_>, case: CaseKind) -> Instruction {
        let Accusation { challenger, job, round, pool, datasets, salt } = *accusation;
        let segment = self.segment(round, pool);
        let mut accounts = vec![
            AccountMeta::new(*challenger, true),
            AccountMeta::new_readonly(self.config(), false),
            AccountMeta::new_readonly(*job, false),
            AccountMeta::new(*round, false),
            AccountMeta::new(segment, false),
            AccountMeta::new(*pool, false),
            AccountMeta::new(self.dispute(&segment, challenger), false),
            AccountMeta::new(self.accusation(challenger, &accusation.hash(&segment)), false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
        ];
        accounts.extend(datasets.iter().map(|dataset| AccountMeta::new_readonly(*dataset, false)));
        build(self, &OpenDispute { salt: *salt, case: case as u32 }, accounts)
    }

    /// [`Upload`].
    pub fn upload(&self, party: &Address, dispute: &Address, offset: u32, bytes: &[u8]) -> Instruction {
        self.move_part(party, dispute, &Upload { offset }, bytes)
    }

    /// [`PlayMove`], with the last bytes of a payload.
    pub fn play_move(
        &self,
        party: &Address,
        dispute: &Address,
        kind: MoveKind,
        offset: u32,
        bytes: &[u8],
    ) -> Instruction {
        self.move_part(party, dispute, &PlayMove { kind: kind as u32, offset }, bytes)
    }

    /// A whole move: each instruction goes into a transaction of its own, in any order but for the last.
    pub fn moves(&self, party: &Address, dispute: &Address, kind: MoveKind, payload: &[u8]) -> Vec<Instruction> {
        let last = payload.len().saturating_sub(1) / MOVE_PART_BYTES * MOVE_PART_BYTES;
        let (uploaded, played) = payload.split_at(last);
        let part =
            |(number, bytes): (usize, &[u8])| self.upload(party, dispute, (number * MOVE_PART_BYTES) as u32, bytes);
        let mut instructions: Vec<Instruction> = uploaded.chunks(MOVE_PART_BYTES).enumerate().map(part).collect();
        instructions.push(self.play_move(party, dispute, kind, last as u32, played));
        instructions
    }

    fn move_part<A: Args>(&self, party: &Address, dispute: &Address, args: &A, bytes: &[u8]) -> Instruction {
        let accounts = vec![AccountMeta::new_readonly(*party, true), AccountMeta::new(*dispute, false)];
        let mut instruction = build(self, args, accounts);
        instruction.data.extend_from_slice(bytes);
        instruction
    }

    /// [`TimeOut`].
    pub fn time_out(&self, dispute: &Address) -> Instruction {
        build(self, &TimeOut {}, vec![AccountMeta::new(*dispute, false)])
    }

    /// [`ResolveDispute`].
    pub fn resolve_dispute(&self, challenger: &Address, job: &Address, round: &Address, pool: &Address) -> Instruction {
        let segment = self.segment(round, pool);
        build(
            self,
            &ResolveDispute {},
            vec![
                AccountMeta::new(self.config(), false),
                AccountMeta::new(*job, false),
                AccountMeta::new(segment, false),
                AccountMeta::new(*pool, false),
                AccountMeta::new(self.dispute(&segment, challenger), false),
                AccountMeta::new(self.token_account(challenger), false),
                AccountMeta::new(self.vault(), false),
                AccountMeta::new(self.mint(), false),
                AccountMeta::new_readonly(TOKEN_PROGRAM, false),
                AccountMeta::new(*round, false),
            ],
        )
    }

    /// [`OpenVoteDispute`].
    pub fn open_vote_dispute(&self, accusation: &VoteAccusation<'_>) -> Instruction {
        let VoteAccusation { challenger, job, round, auditor, graph, path, segments, salt } = *accusation;
        let mut accounts = vec![
            AccountMeta::new(*challenger, true),
            AccountMeta::new_readonly(self.config(), false),
            AccountMeta::new_readonly(*job, false),
            AccountMeta::new(*round, false),
            AccountMeta::new(auditor.pool, false),
            AccountMeta::new(self.auditor_dispute(round, challenger, auditor.place), false),
            AccountMeta::new(self.accusation(challenger, &accusation.hidden().hash()), false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
        ];
        accounts.extend(segments.iter().map(|segment| AccountMeta::new_readonly(*segment, false)));
        let args = OpenVoteDispute {
            salt: *salt,
            nodes_root: graph.nodes_root,
            outputs_root: graph.outputs_root,
            path: *path,
            node_count: graph.node_count,
            place: auditor.place as u32,
        };
        build(self, &args, accounts)
    }

    /// [`OpenAttestationDispute`].
    pub fn open_attestation_dispute(&self, accusation: &AttestationAccusation<'_>) -> Instruction {
        let AttestationAccusation { challenger, job, round, segment, auditor, datasets, salt } = *accusation;
        let mut accounts = vec![
            AccountMeta::new(*challenger, true),
            AccountMeta::new_readonly(self.config(), false),
            AccountMeta::new_readonly(*job, false),
            AccountMeta::new_readonly(*round, false),
            AccountMeta::new_readonly(*segment, false),
            AccountMeta::new(auditor.pool, false),
            AccountMeta::new(self.auditor_dispute(segment, challenger, auditor.place), false),
            AccountMeta::new(self.accusation(challenger, &accusation.hidden().hash()), false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
        ];
        accounts.extend(datasets.iter().map(|dataset| AccountMeta::new_readonly(*dataset, false)));
        build(self, &OpenAttestationDispute { salt: *salt, place: auditor.place as u32 }, accounts)
    }

    /// [`OpenGenesisDispute`].
    pub fn open_genesis_dispute(&self, accusation: &GenesisAccusation<'_>) -> Instruction {
        let GenesisAccusation { challenger, job, salt } = *accusation;
        build(
            self,
            &OpenGenesisDispute { salt: *salt },
            vec![
                AccountMeta::new(*challenger, true),
                AccountMeta::new_readonly(self.config(), false),
                AccountMeta::new(*job, false),
                AccountMeta::new(self.dispute(job, challenger), false),
                AccountMeta::new(self.accusation(challenger, &accusation.hidden().hash()), false),
                AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
            ],
        )
    }

    /// [`ResolveAuditorDispute`]; `dispute` is a vote's or an attestation's.
    pub fn resolve_auditor_dispute(
        &self,
        challenger: &Address,
        dispute: &Address,
        job: &Address,
        round: &Address,
        pool: &Address,
    ) -> Instruction {
        build(
            self,
            &ResolveAuditorDispute {},
            vec![
                AccountMeta::new(self.config(), false),
                AccountMeta::new(*job, false),
                AccountMeta::new(*round, false),
                AccountMeta::new(*pool, false),
                AccountMeta::new(*dispute, false),
                AccountMeta::new(self.token_account(challenger), false),
                AccountMeta::new(self.vault(), false),
                AccountMeta::new(self.mint(), false),
                AccountMeta::new_readonly(TOKEN_PROGRAM, false),
            ],
        )
    }

    /// [`ResolveGenesisDispute`].
    pub fn resolve_genesis_dispute(&self, challenger: &Address, job: &Address) -> Instruction {
        build(
            self,
            &ResolveGenesisDispute {},
            vec![
                AccountMeta::new(self.config(), false),
                AccountMeta::new(*job, false),
                AccountMeta::new(self.dispute(job, challenger), false),
                AccountMeta::new(self.token_account(challenger), false),
                AccountMeta::new(self.vault(), false),
                AccountMeta::new(self.mint(), false),
                AccountMeta::new_readonly(TOKEN_PROGRAM, false),
            ],
        )
    }

    /// [`CloseDispute`].
    pub fn close_dispute(&self, challenger: &Address, dispute: &Address) -> Instruction {
        let accounts = vec![AccountMeta::new(*challenger, true), AccountMeta::new(*dispute, false)];
        build(self, &CloseDispute {}, accounts)
    }
}
