//! Accusations before they are disputes, and their bounties. What each checks and changes: [`sip_protocol::instructions`].

use sip_protocol::{ground::case::CaseKind, instructions::*};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::{Accusation, Hidden, Program, accounts};

/// Accusations before they are disputes.
impl Program {
    /// [`CommitAccusation`] of a segment: the first half of [`Program::open_dispute`], a slot or more before it.
    pub fn commit_accusation(&self, accusation: &Accusation<'_>) -> Instruction {
        let segment = self.segment(accusation.round, accusation.pool);
        self.commit_hidden(&accusation.hidden(&segment))
    }

    /// [`CommitAccusation`] of a scoring run: the first half of [`Program::open_run_dispute`].
    pub fn commit_run_accusation(&self, accusation: &Accusation<'_>) -> Instruction {
        let run = self.run(accusation.round, accusation.pool);
        self.commit_hidden(&accusation.hidden(&run))
    }

    /// [`CommitAccusation`] of any claim.
    pub fn commit_hidden(&self, hidden: &Hidden<'_>) -> Instruction {
        let accounts = accounts::CommitAccusation { challenger: *hidden.challenger, job: *hidden.job };
        self.instruction(&CommitAccusation { hash: hidden.hash() }, &accounts)
    }

    /// [`WithdrawAccusation`] of a segment.
    pub fn withdraw_accusation(&self, accusation: &Accusation<'_>) -> Instruction {
        let segment = self.segment(accusation.round, accusation.pool);
        self.withdraw_hidden(&accusation.hidden(&segment), Some(accusation.round), None)
    }

    /// [`WithdrawAccusation`] of any claim of a job: with its round, unless it is the genesis state, and of an auditor's claim with its
    /// pool.
    pub fn withdraw_hidden(
        &self,
        hidden: &Hidden<'_>,
        round: Option<&Address>,
        auditor: Option<&Address>,
    ) -> Instruction {
        let accounts = accounts::WithdrawAccusation {
            challenger: *hidden.challenger,
            accusation: self.accusation(hidden.challenger, &hidden.hash()),
            job: *hidden.job,
            subject: round.map(|_| *hidden.subject),
            round: round.copied(),
            auditor: auditor.copied(),
        };
        self.instruction(&WithdrawAccusation { salt: *hidden.salt, place: hidden.place }, &accounts)
    }

    /// [`ExpireAccusation`] of a wallet's accusation in a job by its hash.
    pub fn expire_accusation(&self, challenger: &Address, job: &Address, hash: &[u8; 32]) -> Instruction {
        let accusation = self.accusation(challenger, hash);
        let accounts = accounts::ExpireAccusation { accusation, challenger: *challenger, job: *job };
        self.instruction(&ExpireAccusation {}, &accounts)
    }

    /// [`ClaimBounty`] for the wallet that the account names in which it waits: a segment, a scoring run, or a job.
    pub fn claim_bounty(&self, holder: &Address, challenger: &Address) -> Instruction {
        self.claim_bounty_by(&ClaimBounty { place: 0, case: 0 }, holder, challenger)
    }

    /// [`ClaimBounty`] of a vote or an attestation of a round's auditor for the wallet that its seat names.
    pub fn claim_auditors_bounty(
        &self,
        round: &Address,
        place: u8,
        case: CaseKind,
        challenger: &Address,
    ) -> Instruction {
        self.claim_bounty_by(&ClaimBounty { place, case: case as u8 }, round, challenger)
    }

    fn claim_bounty_by(&self, args: &ClaimBounty, holder: &Address, challenger: &Address) -> Instruction {
        let destination = self.token_account(challenger);
        self.instruction(args, &accounts::ClaimBounty { holder: *holder, destination })
    }

    /// [`ReleaseBounty`] of a segment that silence convicted.
    pub fn release_bounty(&self, round: &Address, segment: &Address) -> Instruction {
        self.instruction(&ReleaseBounty {}, &accounts::ReleaseBounty { round: *round, segment: *segment })
    }
}
