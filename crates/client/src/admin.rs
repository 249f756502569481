//! The configuration: parameters, proposals, spending, pause and migration. What each checks and changes: [`sip_protocol::instructions`].

use sip_protocol::{
    admin::{administration::ProposalKind, config::Parameters},
    ground::schedule::Schedule,
    instructions::*,
};
use solana_address::Address;
use solana_instruction::Instruction;

use crate::{Program, accounts};

/// The configuration, and tokens.
impl Program {
    /// [`Initialize`] by the key that may upgrade the program, with the default schedule of emission.
    pub fn initialize(&self, authority: &Address, parameters: &Parameters) -> Instruction {
        self.initialize_with(authority, parameters, &Schedule::DEFAULT)
    }

    /// [`Initialize`].
    pub fn initialize_with(&self, authority: &Address, parameters: &Parameters, schedule: &Schedule) -> Instruction {
        let args = Initialize { parameters: *parameters, schedule: *schedule };
        self.instruction(&args, &accounts::Initialize { authority: *authority })
    }

    /// [`ProposeParameters`].
    pub fn propose_parameters(&self, authority: &Address, parameters: &Parameters) -> Instruction {
        let args = ProposeParameters { parameters: *parameters };
        self.instruction(&args, &accounts::ProposeParameters { authority: *authority })
    }

    /// [`ApplyParameters`].
    pub fn apply_parameters(&self) -> Instruction {
        self.instruction(&ApplyParameters {}, &accounts::ApplyParameters {})
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
        self.instruction(&args, &accounts::ProposeSpending { authority: *authority })
    }

    /// [`ApplySpending`] to a wallet's token account.
    pub fn apply_spending(&self, wallet: &Address) -> Instruction {
        let destination = self.token_account(wallet);
        self.instruction(&ApplySpending {}, &accounts::ApplySpending { destination })
    }

    /// [`CancelProposal`].
    pub fn cancel_proposal(&self, authority: &Address) -> Instruction {
        self.instruction(&CancelProposal {}, &accounts::CancelProposal { authority: *authority })
    }

    /// [`NominateAuthority`].
    pub fn nominate_authority(&self, authority: &Address, wallet: &Address) -> Instruction {
        let args = NominateAuthority { wallet: wallet.to_bytes() };
        self.instruction(&args, &accounts::NominateAuthority { authority: *authority })
    }

    /// [`AcceptAuthority`].
    pub fn accept_authority(&self, nominated: &Address) -> Instruction {
        self.instruction(&AcceptAuthority {}, &accounts::AcceptAuthority { nominated: *nominated })
    }

    /// [`Pause`].
    pub fn pause(&self, authority: &Address) -> Instruction {
        self.instruction(&Pause {}, &accounts::Pause { authority: *authority })
    }

    /// [`Unpause`].
    pub fn unpause(&self, authority: &Address) -> Instruction {
        self.instruction(&Unpause {}, &accounts::Unpause { authority: *authority })
    }

    /// [`ClaimVested`] to a wallet's token account.
    pub fn claim_vested(&self, authority: &Address, wallet: &Address) -> Instruction {
        let destination = self.token_account(wallet);
        self.instruction(&ClaimVested {}, &accounts::ClaimVested { authority: *authority, destination })
    }

    /// [`Distribute`] to a wallet's token account.
    pub fn distribute(&self, authority: &Address, wallet: &Address, amount: u64) -> Instruction {
        let destination = self.token_account(wallet);
        self.instruction(&Distribute { amount }, &accounts::Distribute { authority: *authority, destination })
    }

    /// [`ProposeSchedule`].
    pub fn propose_schedule(&self, authority: &Address, schedule: &Schedule) -> Instruction {
        let args = ProposeSchedule { schedule: *schedule };
        self.instruction(&args, &accounts::ProposeSchedule { authority: *authority })
    }

    /// [`ApplySchedule`].
    pub fn apply_schedule(&self) -> Instruction {
        self.instruction(&ApplySchedule {}, &accounts::ApplySchedule {})
    }

    /// [`MigrateAccount`].
    pub fn migrate_account(&self, payer_wallet: &Address, account: &Address) -> Instruction {
        self.instruction(&MigrateAccount {}, &accounts::MigrateAccount { payer: *payer_wallet, account: *account })
    }
}
