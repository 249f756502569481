//! Token accounts of wallets, which the associated token program makes.

use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::{ASSOCIATED_TOKEN_PROGRAM, Program, SYSTEM_PROGRAM};

/// Token accounts.
impl Program {
    /// Creates the token account of a wallet, if it is missing.
    pub fn create_token_account(&self, payer: &Address, wallet: &Address) -> Instruction {
        self.create_associated(payer, wallet, self.token_account(wallet), self.mint())
    }

    /// Creates a wallet's account for a pool's liquid shares, if it is missing and the mint exists.
    pub fn create_share_account(&self, payer: &Address, wallet: &Address, pool: &Address) -> Instruction {
        self.create_associated(payer, wallet, self.share_account(wallet, pool), self.share_mint(pool))
    }

    fn create_associated(&self, payer: &Address, wallet: &Address, account: Address, mint: Address) -> Instruction {
        Instruction {
            program_id: ASSOCIATED_TOKEN_PROGRAM,
            accounts: vec![
                AccountMeta::new(*payer, true),
                AccountMeta::new(account, false),
                AccountMeta::new_readonly(*wallet, false),
                AccountMeta::new_readonly(mint, false),
                AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
                AccountMeta::new_readonly(self.token_program, false),
            ],
            // Idempotent creation.
            data: vec![1],
        }
    }
}
