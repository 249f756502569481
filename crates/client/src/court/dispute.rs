//! Instructions of disputes. What each checks and changes: [`sip_protocol::instructions`].

use bytemuck::Zeroable;
use sip_arith::Soft;
use sip_proof::{GraphRoots, HostSha256};
use sip_protocol::{
    court::{Dispute, MoveKind, Play, Side, accusation},
    ground::{account::seed, case::CaseKind, declare::Args},
    instructions::*,
};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::{Program, SYSTEM_PROGRAM, Seat, build::build};

/// Bytes of a payload that one transaction carries whose only signer plays and pays, beside nothing else: 1232 in all.
pub const MOVE_PART_BYTES: usize = 1024;

/// The accounts of an accusation of a segment or a scoring run.
#[derive(Clone, Copy, Debug)]
pub struct Accusation<'a> {
    /// Wallet that accuses.
    pub challenger: &'a Address,
    /// The job.
    pub job: &'a Address,
    /// The round.
    pub round: &'a Address,
    /// The trainer's or evaluator's pool.
    pub pool: &'a Address,
    /// The job's datasets by domain.
    pub datasets: &'a [Address],
    /// Hides the claim until the dispute is opened.
    pub salt: &'a [u8; 32],
}

/// A graph of a job with compressed updates, as the job's tree of the two opens it.
#[derive(Clone, Copy, Debug)]
pub struct UpdateGraph {
    /// [`CaseKind::Start`] or [`CaseKind::Update`].
    pub case: CaseKind,
    /// The graph.
    pub roots: GraphRoots,
    /// The other graph's node in the tree.
    pub sibling: [u8; 32],
}

impl Accusation<'_> {
    /// What is committed before the dispute on the segment or the run is opened.
    pub fn hash(&self, segment: &Address) -> [u8; 32] {
        self.hidden(segment).hash()
    }

    /// What it hides: the segment or the run, whose address follows from round and pool.
    pub fn hidden<'a>(&'a self, segment: &'a Address) -> Hidden<'a> {
        let (challenger, job) = (self.challenger, self.job);
        Hidden { challenger, job, subject: segment, place: accusation::NO_PLACE, salt: self.salt }
    }
}

/// What an accusation hides until it is opened.
#[derive(Clone, Copy, Debug)]
pub struct Hidden<'a> {
    /// Wallet that accuses.
    pub challenger: &'a Address,
    /// The job, which is no secret.
    pub job: &'a Address,
    /// The segment that is accused or was attested; the scoring run; of a vote the round, of a genesis state the job.
    pub subject: &'a Address,
    /// The auditor's place, or [`accusation::NO_PLACE`].
    pub place: u8,
    /// Hides all this.
    pub salt: &'a [u8; 32],
}

impl Hidden<'_> {
    /// What is committed before the dispute is opened.
    pub fn hash(&self) -> [u8; 32] {
        let Hidden { challenger, subject, place, salt, .. } = *self;
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
        let VoteAccusation { challenger, job, round, auditor, salt, .. } = *self;
        Hidden { challenger, job, subject: round, place: auditor.place, salt }
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
        let AttestationAccusation { challenger, job, segment, auditor, salt, .. } = *self;
        Hidden { challenger, job, subject: segment, place: auditor.place, salt }
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
        let GenesisAccusation { challenger, job, salt } = *self;
        Hidden { challenger, job, subject: job, place: accusation::NO_PLACE, salt }
    }
}

/// The dispute after a move that is played in this slot, by the program's own rules: so that the side that makes the last move knows that it is
/// the last.
///
/// # Errors
/// What the program would refuse the move for.
pub fn after_move(
    dispute: &Dispute,
    side: Side,
    kind: MoveKind,
    payload: &[u8],
    slot: u64,
) -> sip_protocol::Result<Dispute> {
    let mut after = *dispute;
    after.play::<HostSha256, Soft>(&Play { side, kind: kind as u32, offset: 0, bytes: payload, slot })?;
    Ok(after)
}

/// Disputes.
impl Program {
    /// The dispute that a wallet opened on a segment, a scoring run, or the genesis state of a job.
    pub fn dispute(&self, subject: &Address, challenger: &Address) -> Address {
        self.derive(&[seed::DISPUTE, subject.as_ref(), challenger.as_ref()])
    }

    /// The dispute that a wallet opened on the claim of the auditor in this place: its vote in a round, or its attestation of a
    /// segment.
    pub fn auditor_dispute(&self, subject: &Address, challenger: &Address, place: u8) -> Address {
        self.derive(&[seed::DISPUTE, subject.as_ref(), challenger.as_ref(), &[place]])
    }

    /// [`OpenDispute`] of a segment's steps.
    pub fn open_dispute(&self, accusation: &Accusation<'_>) -> Instruction {
        self.open_segment(accusation, OpenDispute { case: CaseKind::Segment as u32, ..OpenDispute::zeroed() })
    }

    /// [`OpenDispute`] of the state that a segment starts from, or of its update.
    pub fn open_update_dispute(&self, accusation: &Accusation<'_>, graph: &UpdateGraph) -> Instruction {
        let UpdateGraph { case, roots, sibling } = graph;
        let (nodes_root, outputs_root, node_count) = (roots.nodes_root, roots.outputs_root, roots.node_count);
        let case = *case as u32;
        let args =
            OpenDispute { nodes_root, outputs_root, sibling: *sibling, node_count, case, ..OpenDispute::zeroed() };
        self.open_segment(accusation, args)
    }

    fn open_segment(&self, accusation: &Accusation<'_>, args: OpenDispute) -> Instruction {
        let segment = self.segment(accusation.round, accusation.pool);
        self.open_replay(accusation, &segment, &OpenDispute { salt: *accusation.salt, ..args })
    }

    /// [`OpenRunDispute`].
    pub fn open_run_dispute(&self, accusation: &Accusation<'_>) -> Instruction {
        let run = self.run(accusation.round, accusation.pool);
        self.open_replay(accusation, &run, &OpenRunDispute { salt: *accusation.salt })
    }

    fn open_replay<A: Args>(&self, accusation: &Accusation<'_>, subject: &Address, args: &A) -> Instruction {
        let Accusation { challenger, job, round, pool, datasets, .. } = *accusation;
        let mut accounts = vec![
            AccountMeta::new(*challenger, true),
            AccountMeta::new_readonly(*job, false),
            AccountMeta::new(*round, false),
            AccountMeta::new(*subject, false),
            AccountMeta::new(*pool, false),
            AccountMeta::new(self.dispute(subject, challenger), false),
            AccountMeta::new(self.accusation(challenger, &accusation.hash(subject)), false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
        ];
        accounts.extend(datasets.iter().map(|dataset| AccountMeta::new_readonly(*dataset, false)));
        build(self, args, accounts)
    }

    /// [`Upload`].
    pub fn upload(&self, party: &Address, dispute: &Address, offset: u16, bytes: &[u8]) -> Instruction {
        self.move_part(party, dispute, &Upload { offset: offset.to_le_bytes() }, bytes)
    }

    /// [`PlayMove`], with the last bytes of a payload.
    pub fn play_move(
        &self,
        party: &Address,
        dispute: &Address,
        kind: MoveKind,
        offset: u16,
        bytes: &[u8],
    ) -> Instruction {
        self.move_part(party, dispute, &PlayMove { kind: kind as u8, offset: offset.to_le_bytes() }, bytes)
    }

    /// A whole move, for a payload of at most [`sip_protocol::court::MAX_PAYLOAD`] bytes: all but the last instruction fill a
    /// transaction each.
    pub fn moves(&self, party: &Address, dispute: &Address, kind: MoveKind, payload: &[u8]) -> Vec<Instruction> {
        self.moves_in_parts(party, dispute, kind, payload, MOVE_PART_BYTES)
    }

    /// [`Program::moves`] with so many bytes of the payload in each at most: 880 leave room for a fee payer of its own and for a priority
    /// fee.
    pub fn moves_in_parts(
        &self,
        party: &Address,
        dispute: &Address,
        kind: MoveKind,
        payload: &[u8],
        part_bytes: usize,
    ) -> Vec<Instruction> {
        let part_bytes = part_bytes.max(1);
        let last = payload.len().saturating_sub(1) / part_bytes * part_bytes;
        let (uploaded, played) = payload.split_at(last);
        let part = |(number, bytes): (usize, &[u8])| self.upload(party, dispute, (number * part_bytes) as u16, bytes);
        let mut instructions: Vec<Instruction> = uploaded.chunks(part_bytes).enumerate().map(part).collect();
        instructions.push(self.play_move(party, dispute, kind, last as u16, played));
        instructions
    }

    fn move_part<A: Args>(&self, party: &Address, dispute: &Address, args: &A, bytes: &[u8]) -> Instruction {
        let accounts = vec![AccountMeta::new_readonly(*party, true), AccountMeta::new(*dispute, false)];
        let mut instruction = build(self, args, accounts);
        instruction.data.extend_from_slice(bytes);
        instruction
    }

    /// Applies the verdict on a segment and closes the dispute, signed by its challenger.
    pub fn conclude_dispute(
        &self,
        challenger: &Address,
        job: &Address,
        round: &Address,
        pool: &Address,
    ) -> [Instruction; 2] {
        let dispute = self.dispute(&self.segment(round, pool), challenger);
        [self.resolve_dispute(challenger, job, round, pool), self.close_dispute(challenger, &dispute)]
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
                AccountMeta::new_readonly(self.token_program, false),
                AccountMeta::new(*round, false),
            ],
        )
    }

    /// [`ResolveRunDispute`] of the run of an evaluator's pool.
    pub fn resolve_run_dispute(
        &self,
        challenger: &Address,
        job: &Address,
        round: &Address,
        pool: &Address,
    ) -> Instruction {
        let run = self.run(round, pool);
        build(
            self,
            &ResolveRunDispute {},
            vec![
                AccountMeta::new(self.config(), false),
                AccountMeta::new(*job, false),
                AccountMeta::new(*round, false),
                AccountMeta::new(run, false),
                AccountMeta::new(*pool, false),
                AccountMeta::new(self.dispute(&run, challenger), false),
                AccountMeta::new(self.token_account(challenger), false),
                AccountMeta::new(self.vault(), false),
                AccountMeta::new(self.mint(), false),
                AccountMeta::new_readonly(self.token_program, false),
            ],
        )
    }

    /// [`OpenVoteDispute`].
    pub fn open_vote_dispute(&self, accusation: &VoteAccusation<'_>) -> Instruction {
        let VoteAccusation { challenger, job, round, auditor, graph, path, segments, salt } = *accusation;
        let mut accounts = vec![
            AccountMeta::new(*challenger, true),
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
            AccountMeta::new_readonly(*job, false),
            AccountMeta::new(*round, false),
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
                AccountMeta::new_readonly(self.token_program, false),
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
                AccountMeta::new_readonly(self.token_program, false),
            ],
        )
    }

    /// [`CloseDispute`] by its challenger.
    pub fn close_dispute(&self, challenger: &Address, dispute: &Address) -> Instruction {
        build(self, &CloseDispute {}, vec![AccountMeta::new(*challenger, true), AccountMeta::new(*dispute, false)])
    }

    /// [`CloseDispute`] by anyone, once it is old.
    pub fn close_old_dispute(&self, job: &Address, challenger: &Address, dispute: &Address) -> Instruction {
        let accounts = vec![
            AccountMeta::new(*challenger, false),
            AccountMeta::new(*dispute, false),
            AccountMeta::new_readonly(*job, false),
        ];
        build(self, &CloseDispute {}, accounts)
    }
}
