//! The configuration: parameters, proposals, spending, pause and migration. What each checks and changes: [`sip_protocol::instructions`].

use sip_protocol::{
    admin::{administration::ProposalKind, config::Parameters},
    ground::schedule::Schedule,
    instructions::*,
};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::build::{build, payer, readable, signer, writable};
use crate::{ASSOCIATED_TOKEN_PROGRAM, Program, SYSTEM_PROGRAM};

/// The configuration, and tokens.
impl Program {
    /// Creates the token account of a wallet, if it is missing.
    pub fn create_token_account(&self, payer_wallet: &Address, wallet: &Address) -> Instruction {
        Instruction {
            program_id: ASSOCIATED_TOKEN_PROGRAM,
            accounts: vec![
                payer(payer_wallet),
                writable(self.token_account(wallet)),
                readable(*wallet),
                readable(self.mint()),
                readable(SYSTEM_PROGRAM),
                readable(self.token_program),
            ],
            // Idempotent creation.
            data: vec![1],
        }
    }

    /// [`Initialize`] by the key that may upgrade the program, with the default schedule of emission.
    pub fn initialize(&self, authority: &Address, parameters: &Parameters) -> Instruction {
        self.initialize_with(authority, parameters, &Schedule::DEFAULT)
    }

    /// [`Initialize`].
    pub fn initialize_with(&self, authority: &Address, parameters: &Parameters, schedule: &Schedule) -> Instruction {
        build(
            self,
            &Initialize { parameters: *parameters, schedule: *schedule },
            vec![
                payer(authority),
                writable(self.config()),
                writable(self.mint()),
                writable(self.vault()),
                readable(self.token_program),
                readable(SYSTEM_PROGRAM),
                writable(self.emission()),
                readable(self.program_data()),
            ],
        )
    }

    /// [`ProposeParameters`].
    pub fn propose_parameters(&self, authority: &Address, parameters: &Parameters) -> Instruction {
        build(self, &ProposeParameters { parameters: *parameters }, vec![signer(authority), writable(self.config())])
    }

    /// [`ApplyParameters`].
    pub fn apply_parameters(&self) -> Instruction {
        build(self, &ApplyParameters {}, vec![writable(self.config())])
    }

    /// [`ProposeSpending`] to a wallet's token account.
    pub fn propose_spending(
        &self,
        authority: &Address,
        kind: ProposalKind,
        wallet: &Address,
        amount: u64,
    ) -> Instruction {
        let destination = self.token_account(wallet).to_bytes();
        let args = ProposeSpending { amount, destination, kind: kind as u8, reserved: [0; 7] };
        build(self, &args, vec![signer(authority), writable(self.config())])
    }

    /// [`ApplySpending`] to a wallet's token account.
    pub fn apply_spending(&self, wallet: &Address) -> Instruction {
        build(
            self,
            &ApplySpending {},
            vec![
                writable(self.config()),
                writable(self.vault()),
                writable(self.token_account(wallet)),
                readable(self.token_program),
            ],
        )
    }

    /// [`CancelProposal`].
    pub fn cancel_proposal(&self, authority: &Address) -> Instruction {
        build(self, &CancelProposal {}, vec![signer(authority), writable(self.config())])
    }

    /// [`NominateAuthority`].
    pub fn nominate_authority(&self, authority: &Address, wallet: &Address) -> Instruction {
        build(self, &NominateAuthority { wallet: wallet.to_bytes() }, vec![signer(authority), writable(self.config())])
    }

    /// [`AcceptAuthority`].
    pub fn accept_authority(&self, nominated: &Address) -> Instruction {
        build(self, &AcceptAuthority {}, vec![signer(nominated), writable(self.config())])
    }

    /// [`Pause`].
    pub fn pause(&self, authority: &Address) -> Instruction {
        build(self, &Pause {}, vec![signer(authority), writable(self.config())])
    }

    /// [`Unpause`].
    pub fn unpause(&self, authority: &Address) -> Instruction {
        build(self, &Unpause {}, vec![signer(authority), writable(self.config())])
    }

    /// [`ClaimVested`] to a wallet's token account.
    pub fn claim_vested(&self, authority: &Address, wallet: &Address) -> Instruction {
        build(
            self,
            &ClaimVested {},
            vec![
                signer(authority),
                writable(self.config()),
                writable(self.vault()),
                writable(self.token_account(wallet)),
                readable(self.token_program),
            ],
        )
    }

    /// [`Distribute`] to a wallet's token account.
    pub fn distribute(&self, authority: &Address, wallet: &Address, amount: u64) -> Instruction {
        build(
            self,
            &Distribute { amount },
            vec![
                signer(authority),
                writable(self.config()),
                writable(self.vault()),
                writable(self.token_account(wallet)),
                readable(self.token_program),
            ],
        )
    }

    /// [`ProposeSchedule`].
    pub fn propose_schedule(&self, authority: &Address, schedule: &Schedule) -> Instruction {
        build(self, &ProposeSchedule { schedule: *schedule }, vec![signer(authority), writable(self.config())])
    }

    /// [`ApplySchedule`].
    pub fn apply_schedule(&self) -> Instruction {
        build(self, &ApplySchedule {}, vec![writable(self.config()), writable(self.emission())])
    }

    /// [`MigrateAccount`].
    pub fn migrate_account(&self, payer_wallet: &Address, account: &Address) -> Instruction {
        let accounts = vec![payer(payer_wallet), writable(*account), readable(SYSTEM_PROGRAM)];
        build(self, &MigrateAccount {}, accounts)
    }
}
