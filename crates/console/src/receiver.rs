//! Wallets that get something: which address is meant, and whether it can be that of a wallet.

use anyhow::Result;
use solana_address::Address;

use super::{AddressText, Desk};
use crate::failure::{Code, fault};

/// Whether an address may be one that looks like a mistake.
#[derive(Clone, Copy, clap::Args)]
pub struct Anyway {
    /// Use an address that is a program or a program's, the beginning of another, or one that nothing on the chain has used
    #[arg(long)]
    pub anyway: bool,
}

impl Desk {
    /// The wallet that is to get something. Refused unless `anyway`: a program, or an account that a program owns, from which nobody can sign;
    /// and what is written in full but is only the beginning of an address that is known. For an address that nothing on this chain has ever
    /// used, which a mistyped one looks like, a person is asked.
    pub fn receiver(&self, text: &AddressText, anyway: Anyway) -> Result<Address> {
        let receiver = self.locate_wallet(text)?;
        self.require_wallet(&receiver, anyway)?;
        if !text.is_written_out() || self.is_used(&receiver)? {
            return Ok(receiver);
        }
        if !anyway.anyway
            && let Some(known) = self.longer(text)?
        {
            let said = format!(
                "{receiver} is the beginning of {known}, with letters missing, and nothing has ever used it; --anyway uses it all the same"
            );
            return Err(fault(Code::NotAnAddress, said));
        }
        let told = format!("nothing on this chain has ever used {receiver}; compare its letters");
        match anyway.anyway || self.is_dry_run() {
            true => self.note(&told),
            false => self.ask(&told, "Use it all the same?", "--anyway", false)?,
        }
        Ok(receiver)
    }

    /// Refuses an address that no wallet has: a program, or an account that a program owns, from which nobody can sign.
    pub(crate) fn require_wallet(&self, address: &Address, anyway: Anyway) -> Result<()> {
        let Some(account) = self.ledger.account(address)?.filter(|_| !anyway.anyway) else { return Ok(()) };
        let said = if account.executable {
            format!("{address} is a program and no wallet; --anyway uses it all the same")
        } else if account.owner != Address::default() {
            format!(
                "{address} is no wallet: it is owned by the program {}, and what it gets may be lost; --anyway uses it all the same",
                account.owner
            )
        } else {
            return Ok(());
        };
        Err(fault(Code::WrongAccount, said))
    }

    /// Whether anything was ever done with a wallet, or it holds tokens.
    fn is_used(&self, wallet: &Address) -> Result<bool> {
        let tokens = self.program.token_account(wallet);
        let accounts = self.ledger.accounts(&[*wallet, tokens])?;
        Ok(accounts.iter().any(Option::is_some) || !self.ledger.past(wallet, 1)?.is_empty())
    }

    /// An address or a name that is known and begins with what was written.
    fn longer(&self, text: &AddressText) -> Result<Option<String>> {
        let mut known: Vec<String> =
            self.names.all().flat_map(|(name, address)| [name.to_owned(), address.to_string()]).collect();
        known.extend(self.wallets()?.iter().map(Address::to_string));
        known.extend(
            self.key.iter().map(|_| self.wallet().map(|wallet| wallet.to_string())).collect::<Result<Vec<_>>>()?,
        );
        let written = text.to_string();
        Ok(known.into_iter().find(|known| known.len() > written.len() && known.starts_with(&written)))
    }
}
