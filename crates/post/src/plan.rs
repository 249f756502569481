//! Transactions that make several accounts, one after the other: what they cost, and which of them are left where some are sent already.

use anyhow::Result;
use serde_json::{Value, json};
use sip_ledger::{Ledger, pack};
use solana_address::Address;
use solana_instruction::Instruction;
use std::io::Write as _;

use sip_console::Desk;
use sip_console::failure::{Code, fault};
use sip_console::tokens;
use sip_report::count;
use sip_report::terminal::{Stream, fitted};

/// What one signature costs.
const FEE_LAMPORTS: u64 = 5_000;

/// An account that is to be made.
pub(super) struct Making {
    /// What it is, as in "the job".
    pub name: String,
    pub address: Address,
    pub instruction: Instruction,
    /// Its size; 0 where an account that was made before it is written into, which is still to do.
    pub bytes: usize,
    /// Tokens that it takes, and when they come back.
    pub bond: Option<(u64, String)>,
    /// Base units for the first shares of a pool, which stay in it.
    pub first_shares: u64,
}

/// What is to be made, in order.
pub(super) struct Plan {
    left: Vec<Making>,
    done: usize,
    rent_lamports: Vec<u64>,
}

impl Plan {
    /// Of what is to be made, what is not there yet.
    pub(super) fn new(desk: &Desk, all: Vec<Making>) -> Result<Plan> {
        let addresses: Vec<Address> = all.iter().map(|making| making.address).collect();
        let found = desk.ledger.accounts(&addresses)?;
        let total = all.len();
        let missing = all.into_iter().zip(found).filter(|(making, account)| account.is_none() || making.bytes == 0);
        let left: Vec<Making> = missing.map(|(making, _)| making).collect();
        let rent = |making: &Making| match making.bytes {
            0 => Ok(0),
            bytes => Ok(desk.ledger.minimum_balance(bytes)?),
        };
        let rent_lamports = left.iter().map(rent).collect::<Result<Vec<u64>>>()?;
        Ok(Plan { done: total - left.len(), left, rent_lamports })
    }

    /// Whether there is nothing left.
    pub(super) fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// Accounts that are there already.
    pub(super) fn done(&self) -> usize {
        self.done
    }

    fn fees(&self, desk: &Desk) -> Result<u64> {
        let instructions: Vec<Instruction> = self.left.iter().map(|making| making.instruction.clone()).collect();
        Ok(pack(&desk.wallet()?, instructions).len() as u64 * FEE_LAMPORTS)
    }

    fn rent(&self) -> u64 {
        self.rent_lamports.iter().sum()
    }

    fn bonds(&self) -> u64 {
        self.left.iter().filter_map(|making| making.bond.as_ref()).map(|(units, _)| units).sum()
    }

    fn first_shares(&self) -> u64 {
        self.left.iter().map(|making| making.first_shares).sum()
    }

    /// What it costs, in lines.
    pub(super) fn told(&self, desk: &Desk) -> Result<Vec<String>> {
        let made = self.left.iter().filter(|making| making.bytes != 0).count();
        let fees = format!("fees {}", tokens::sol(self.fees(desk)?));
        let rent = format!(", rent {} of {} (stays)", tokens::sol(self.rent()), count(made, "account"));
        let mut lines = vec![if made == 0 { fees } else { fees + &rent }];
        for making in &self.left {
            if let Some((units, back)) = &making.bond {
                lines.push(format!("{} of {}, which {back}", tokens::show(*units), making.name));
            }
        }
        let pools = self.left.iter().filter(|making| making.first_shares > 0).count();
        if pools > 0 {
            let units = tokens::show(self.first_shares());
            lines.push(format!(
                "{units} for the first shares of {}, so that shares have a price (stays)",
                count(pools, "pool")
            ));
        }
        Ok(lines)
    }

    /// The same for programs.
    pub(super) fn to_json(&self, desk: &Desk) -> Result<Value> {
        let accounts: Vec<Value> = (self.left.iter().zip(&self.rent_lamports))
            .map(|(making, lamports)| {
                let bond = making.bond.as_ref();
                json!({
                    "account": making.name,
                    "address": making.address.to_string(),
                    "rentLamports": lamports.to_string(),
                    "bondBaseUnits": bond.map_or(0, |(units, _)| *units).to_string(),
                    "bondComesBack": bond.map(|(_, back)| back.clone()),
                })
            })
            .collect();
        Ok(json!({
            "feeLamports": self.fees(desk)?.to_string(),
            "rentLamports": self.rent().to_string(),
            "bondBaseUnits": self.bonds().to_string(),
            "firstSharesBaseUnits": self.first_shares().to_string(),
            "accounts": accounts,
            "madeBefore": self.done,
        }))
    }

    /// Whether any of what was left when it was made is on the chain.
    pub(super) fn is_begun(&self, desk: &Desk) -> Result<bool> {
        let addresses: Vec<Address> = self.left.iter().map(|making| making.address).collect();
        Ok(desk.ledger.accounts(&addresses)?.iter().any(Option::is_some))
    }

    /// Refuses where the wallet cannot pay it, and says all that is missing.
    pub(super) fn require_means(&self, desk: &Desk) -> Result<()> {
        let wallet = desk.wallet()?;
        let lamports = desk.ledger.account(&wallet)?.map_or(0, |account| account.lamports);
        let needed = self.fees(desk)?.saturating_add(self.rent());
        let (held, bonds) = (desk.balance(&wallet)?, self.bonds().saturating_add(self.first_shares()));
        let mut short = Vec::new();
        if lamports < needed {
            let (has, takes) = (tokens::sol(lamports), tokens::sol(needed));
            short.push((Code::TooFewLamports, format!("has {has}, and this takes {takes} of fees and rent")));
        }
        if held < bonds {
            let (has, takes) = (tokens::show(held), tokens::show(bonds));
            short.push((Code::TooFewTokens, format!("holds {has}, and this takes {takes} of bonds")));
        }
        let Some((code, _)) = short.first() else { return Ok(()) };
        let said: Vec<&str> = short.iter().map(|(_, said)| said.as_str()).collect();
        let remedy = match code {
            Code::TooFewLamports => "; \"sip wallet airdrop\" asks a faucet for SOL",
            _ => "; who has tokens sends some",
        };
        Err(fault(*code, format!("the wallet {wallet} {}{remedy}", said.join("; it "))))
    }

    /// Makes what is left, in as few transactions as that fits into, in order.
    pub(super) fn carry_out(&self, desk: &mut Desk) -> Result<()> {
        let wallet = desk.wallet()?;
        let instructions = self.left.iter().map(|making| making.instruction.clone()).collect::<Vec<_>>();
        let mut names = self.left.iter().map(|making| making.name.as_str());
        for transaction in pack(&wallet, instructions) {
            let made: Vec<&str> = names.by_ref().take(transaction.len()).collect();
            desk.act(&format!("make {}", made.join(", ")), &transaction, &[])?;
        }
        Ok(())
    }
}

/// A command for people to copy: in a line of its own, which is not broken however long it is.
pub(super) fn command(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "  {text}")?)
}

/// A line for people.
pub(super) fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", fitted(text, Stream::Output, 4))?)
}
