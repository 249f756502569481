//! Accusations before they are disputes, and their bounties. What each checks and changes: [`sip_protocol::instructions`].

use sip_protocol::{ground::case::CaseKind, instructions::*};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::build::{build, payer, readable, writable};
use crate::{Accusation, Hidden, Program, SYSTEM_PROGRAM};

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
        let hash = hidden.hash();
        build(
            self,
            &CommitAccusation { hash },
            vec![
                payer(hidden.challenger),
                readable(self.config()),
                writable(self.accusation(hidden.challenger, &hash)),
                writable(self.token_account(hidden.challenger)),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
                writable(*hidden.job),
            ],
        )
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
        let mut accounts = vec![
            payer(hidden.challenger),
            writable(self.config()),
            writable(self.accusation(hidden.challenger, &hidden.hash())),
            writable(self.token_account(hidden.challenger)),
            writable(self.vault()),
            readable(self.token_program),
            writable(*hidden.job),
        ];
        if let Some(round) = round {
            accounts.extend([readable(*hidden.subject), readable(*round)]);
        }
        accounts.extend(auditor.map(|pool| readable(*pool)));
        build(self, &WithdrawAccusation { salt: *hidden.salt, place: hidden.place }, accounts)
    }

    /// [`ExpireAccusation`] of a wallet's accusation in a job by its hash.
    pub fn expire_accusation(&self, challenger: &Address, job: &Address, hash: &[u8; 32]) -> Instruction {
        build(
            self,
            &ExpireAccusation {},
            vec![
                writable(self.config()),
                writable(self.accusation(challenger, hash)),
                writable(*challenger),
                writable(self.token_account(challenger)),
                writable(self.vault()),
                readable(self.token_program),
                writable(*job),
            ],
        )
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
        build(
            self,
            args,
            vec![
                readable(self.config()),
                writable(*holder),
                writable(self.token_account(challenger)),
                writable(self.vault()),
                readable(self.token_program),
            ],
        )
    }

    /// [`ReleaseBounty`] of a segment that silence convicted.
    pub fn release_bounty(&self, round: &Address, segment: &Address) -> Instruction {
        build(self, &ReleaseBounty {}, vec![writable(self.config()), readable(*round), writable(*segment)])
    }
}
