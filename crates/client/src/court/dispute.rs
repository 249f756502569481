//! Instructions of disputes. What each checks and changes: [`sip_protocol::instructions`].

use bytemuck::Zeroable;
use sip_arith::Soft;
use sip_proof::{GraphRoots, HostSha256};
use sip_protocol::{
    court::{Dispute, MoveKind, Play, Side, accusation},
    ground::{account::derivation, case::CaseKind},
    instructions::*,
};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::{Closer, Program, Seat, accounts};

/// Bytes of a payload that one transaction carries whose only signer plays and pays, beside nothing else: 1232 in all.
pub const MOVE_PART_BYTES: usize = 1024;

/// What one account more takes of a transaction: its address and its place among the instruction's.
const ACCOUNT_BYTES: usize = 33;

/// Who moves in a dispute: a party's wallet, or the session key of the defendant's pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Who signs.
    pub wallet: Address,
    /// The defendant's pool, where its session key signs.
    pub pool: Option<Address>,
}

impl Party {
    /// Bytes of a payload that one transaction carries which this party plays and pays.
    pub fn part_bytes(&self) -> usize {
        MOVE_PART_BYTES - if self.pool.is_some() { ACCOUNT_BYTES } else { 0 }
    }
}

impl From<&Address> for Party {
    fn from(wallet: &Address) -> Party {
        Party { wallet: *wallet, pool: None }
    }
}

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
        self.derived(&derivation::dispute, &[subject.into(), challenger.into()])
    }

    /// The dispute that a wallet opened on the claim of the auditor in this place: its vote in a round, or its attestation of a
    /// segment.
    pub fn auditor_dispute(&self, subject: &Address, challenger: &Address, place: u8) -> Address {
        self.derived(&derivation::auditor_dispute, &[subject.into(), challenger.into(), place.into()])
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
        let Accusation { challenger, job, round, pool, datasets, salt } = *accusation;
        let hash = accusation.hash(&self.segment(round, pool));
        let accounts = accounts::OpenDispute {
            challenger: *challenger,
            job: *job,
            round: *round,
            pool: *pool,
            accusation: self.accusation(challenger, &hash),
            datasets: datasets.to_vec(),
        };
        self.instruction(&OpenDispute { salt: *salt, ..args }, &accounts)
    }

    /// [`OpenRunDispute`].
    pub fn open_run_dispute(&self, accusation: &Accusation<'_>) -> Instruction {
        let Accusation { challenger, job, round, pool, datasets, salt } = *accusation;
        let hash = accusation.hash(&self.run(round, pool));
        let accounts = accounts::OpenRunDispute {
            challenger: *challenger,
            job: *job,
            round: *round,
            pool: *pool,
            accusation: self.accusation(challenger, &hash),
            datasets: datasets.to_vec(),
        };
        self.instruction(&OpenRunDispute { salt: *salt }, &accounts)
    }

    /// [`Upload`].
    pub fn upload(&self, party: impl Into<Party>, dispute: &Address, offset: u16, bytes: &[u8]) -> Instruction {
        let (args, Party { wallet, pool }) = (Upload { offset: offset.to_le_bytes() }, party.into());
        self.instruction_with(&args, &accounts::Upload { party: wallet, dispute: *dispute, pool }, bytes)
    }

    /// [`PlayMove`], with the last bytes of a payload.
    pub fn play_move(
        &self,
        party: impl Into<Party>,
        dispute: &Address,
        kind: MoveKind,
        offset: u16,
        bytes: &[u8],
    ) -> Instruction {
        let (args, Party { wallet, pool }) =
            (PlayMove { kind: kind as u8, offset: offset.to_le_bytes() }, party.into());
        self.instruction_with(&args, &accounts::PlayMove { party: wallet, dispute: *dispute, pool }, bytes)
    }

    /// A whole move, for a payload of at most [`sip_protocol::court::MAX_PAYLOAD`] bytes: all but the last instruction fill a
    /// transaction each.
    pub fn moves(
        &self,
        party: impl Into<Party>,
        dispute: &Address,
        kind: MoveKind,
        payload: &[u8],
    ) -> Vec<Instruction> {
        let party = party.into();
        self.moves_in_parts(party, dispute, kind, payload, party.part_bytes())
    }

    /// [`Program::moves`] with so many bytes of the payload in each at most: 880 leave room for a fee payer of its own and for a priority
    /// fee.
    pub fn moves_in_parts(
        &self,
        party: impl Into<Party>,
        dispute: &Address,
        kind: MoveKind,
        payload: &[u8],
        part_bytes: usize,
    ) -> Vec<Instruction> {
        let party = party.into();
        let part_bytes = part_bytes.max(1);
        let last = payload.len().saturating_sub(1) / part_bytes * part_bytes;
        let (uploaded, played) = payload.split_at(last);
        let part = |(number, bytes): (usize, &[u8])| self.upload(party, dispute, (number * part_bytes) as u16, bytes);
        let mut instructions: Vec<Instruction> = uploaded.chunks(part_bytes).enumerate().map(part).collect();
        instructions.push(self.play_move(party, dispute, kind, last as u16, played));
        instructions
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
        self.instruction(&TimeOut {}, &accounts::TimeOut { dispute: *dispute })
    }

    /// [`ResolveDispute`].
    pub fn resolve_dispute(&self, challenger: &Address, job: &Address, round: &Address, pool: &Address) -> Instruction {
        let accounts = accounts::ResolveDispute {
            job: *job,
            pool: *pool,
            dispute: self.dispute(&self.segment(round, pool), challenger),
            destination: self.token_account(challenger),
            round: *round,
        };
        self.instruction(&ResolveDispute {}, &accounts)
    }

    /// [`ResolveRunDispute`] of the run of an evaluator's pool.
    pub fn resolve_run_dispute(
        &self,
        challenger: &Address,
        job: &Address,
        round: &Address,
        pool: &Address,
    ) -> Instruction {
        let accounts = accounts::ResolveRunDispute {
            job: *job,
            round: *round,
            pool: *pool,
            dispute: self.dispute(&self.run(round, pool), challenger),
            destination: self.token_account(challenger),
        };
        self.instruction(&ResolveRunDispute {}, &accounts)
    }

    /// [`OpenVoteDispute`].
    pub fn open_vote_dispute(&self, accusation: &VoteAccusation<'_>) -> Instruction {
        let VoteAccusation { challenger, job, round, auditor, graph, path, segments, salt } = *accusation;
        let accounts = accounts::OpenVoteDispute {
            challenger: *challenger,
            job: *job,
            round: *round,
            pool: auditor.pool,
            accusation: self.accusation(challenger, &accusation.hidden().hash()),
            segments: segments.to_vec(),
        };
        let args = OpenVoteDispute {
            salt: *salt,
            nodes_root: graph.nodes_root,
            outputs_root: graph.outputs_root,
            path: *path,
            node_count: graph.node_count,
            place: auditor.place as u32,
        };
        self.instruction(&args, &accounts)
    }

    /// [`OpenAttestationDispute`].
    pub fn open_attestation_dispute(&self, accusation: &AttestationAccusation<'_>) -> Instruction {
        let AttestationAccusation { challenger, job, round, segment, auditor, datasets, salt } = *accusation;
        let accounts = accounts::OpenAttestationDispute {
            challenger: *challenger,
            job: *job,
            round: *round,
            segment: *segment,
            pool: auditor.pool,
            accusation: self.accusation(challenger, &accusation.hidden().hash()),
            datasets: datasets.to_vec(),
        };
        self.instruction(&OpenAttestationDispute { salt: *salt, place: auditor.place as u32 }, &accounts)
    }

    /// [`OpenGenesisDispute`].
    pub fn open_genesis_dispute(&self, accusation: &GenesisAccusation<'_>) -> Instruction {
        let GenesisAccusation { challenger, job, salt } = *accusation;
        let accounts = accounts::OpenGenesisDispute {
            challenger: *challenger,
            job: *job,
            accusation: self.accusation(challenger, &accusation.hidden().hash()),
        };
        self.instruction(&OpenGenesisDispute { salt: *salt }, &accounts)
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
        let accounts = accounts::ResolveAuditorDispute {
            job: *job,
            round: *round,
            pool: *pool,
            dispute: *dispute,
            destination: self.token_account(challenger),
        };
        self.instruction(&ResolveAuditorDispute {}, &accounts)
    }

    /// [`ResolveGenesisDispute`].
    pub fn resolve_genesis_dispute(&self, challenger: &Address, job: &Address) -> Instruction {
        let (dispute, destination) = (self.dispute(job, challenger), self.token_account(challenger));
        self.instruction(
            &ResolveGenesisDispute {},
            &accounts::ResolveGenesisDispute { job: *job, dispute, destination },
        )
    }

    /// [`CloseDispute`] by its challenger.
    pub fn close_dispute(&self, challenger: &Address, dispute: &Address) -> Instruction {
        let challenger = Closer::Wallet(*challenger);
        self.instruction(&CloseDispute {}, &accounts::CloseDispute { challenger, dispute: *dispute, job: None })
    }

    /// [`CloseDispute`] by anyone, once it is old.
    pub fn close_old_dispute(&self, job: &Address, challenger: &Address, dispute: &Address) -> Instruction {
        let (challenger, job) = (Closer::Anyone(*challenger), Some(*job));
        self.instruction(&CloseDispute {}, &accounts::CloseDispute { challenger, dispute: *dispute, job })
    }
}
