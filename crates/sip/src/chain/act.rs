//! Transactions: what they would do, what they did, what they cost, and whether somebody has to be asked before.

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use sip_client::Program;
use sip_ledger::{Ledger, LedgerError, Receipt};
use sip_protocol::AccountKind;
use solana_account::Account;
use solana_address::Address;
use solana_instruction::Instruction;
use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use super::figures::{Change, changes, figures};
use super::{Desk, tokens, word};
use crate::failure::{Code, fault, refusal};
use sip_report::terminal::{Stream, fitted};

/// Whether something that cannot be undone is asked for first.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Consent {
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What came back or stays of an account's rent.
struct Rent {
    name: String,
    address: Address,
    lamports: u64,
    /// When it comes back; nothing where it stays.
    comes_back: Option<&'static str>,
}

/// What a transaction takes from a wallet's SOL.
#[derive(Default)]
struct Cost {
    fee: u64,
    rents: Vec<Rent>,
    /// From accounts that were closed.
    returned: u64,
}

impl Cost {
    /// What follows from accounts before and after; `wallet` pays.
    fn of(
        program: &Program,
        wallet: &Address,
        fee: u64,
        accounts: &[(Address, Option<Account>, Option<Account>)],
    ) -> Cost {
        let mut cost = Cost { fee, ..Cost::default() };
        for (address, before, after) in accounts.iter().filter(|(address, ..)| address != wallet) {
            let [was, is] = [before, after].map(|account| account.as_ref().map_or(0, |account| account.lamports));
            cost.returned += if after.as_ref().is_none_or(|account| account.lamports == 0) { was } else { 0 };
            if let (true, Some(account)) = (is > was, after) {
                let (name, comes_back) = rented(program, account);
                cost.rents.push(Rent { name, address: *address, lamports: is - was, comes_back });
            }
        }
        cost
    }

    fn rent(&self, is_counted: impl Fn(&Rent) -> bool) -> u64 {
        self.rents.iter().filter(|rent| is_counted(rent)).map(|rent| rent.lamports).sum()
    }

    fn to_json(&self) -> Value {
        let rents: Vec<Value> = (self.rents.iter())
            .map(|rent| {
                json!({
                    "account": rent.name,
                    "address": rent.address.to_string(),
                    "rentLamports": rent.lamports.to_string(),
                    "comesBack": rent.comes_back,
                })
            })
            .collect();
        json!({
            "feeLamports": self.fee.to_string(),
            "rentLamports": self.rent(|_| true).to_string(),
            "comesBackLamports": self.rent(|rent| rent.comes_back.is_some()).to_string(),
            "returnedLamports": self.returned.to_string(),
            "rents": rents,
        })
    }

    /// "fee 0.000005 SOL, rent 0.0035 SOL of the pool (stays)".
    fn show(&self) -> String {
        let mut text = format!("fee {}", tokens::sol(self.fee));
        for rent in &self.rents {
            let comes_back = rent.comes_back.map_or("stays".into(), |when| format!("comes back {when}"));
            text += &format!(", rent {} of the {} ({comes_back})", tokens::sol(rent.lamports), rent.name);
        }
        if self.returned > 0 {
            text += &format!(", {} comes back from what is closed", tokens::sol(self.returned));
        }
        text
    }
}

/// What an account is called, and when its rent comes back.
fn rented(program: &Program, account: &Account) -> (String, Option<&'static str>) {
    if sip_ledger::token_amount(account).is_some() {
        return ("token account".into(), Some("when the token account is closed"));
    }
    if account.owner != program.id {
        let is_wallet = account.owner == Address::default();
        return (if is_wallet { "wallet".into() } else { "mint".into() }, None);
    }
    let Some(kind) = sip_client::kind_of(&account.data) else { return ("account".into(), None) };
    let comes_back = match kind {
        AccountKind::Ticket => Some("when the exit is claimed or cancelled"),
        AccountKind::Vote => Some("when the vote is withdrawn"),
        AccountKind::Round | AccountKind::Segment | AccountKind::ScoringRun => Some("when it is reclaimed"),
        AccountKind::Dispute | AccountKind::Accusation | AccountKind::Demand => Some("when it is closed"),
        _ => None,
    };
    let name = if kind == AccountKind::Ticket { "exit".into() } else { word(kind) };
    (name, comes_back)
}

impl Desk {
    /// Asks before what cannot be undone; where nobody can be asked, it is refused.
    pub(crate) fn confirm(&self, told: &str, question: &str, consent: Consent) -> Result<()> {
        if consent.yes || self.is_dry_run() {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() || self.json {
            return Err(fault(Code::NeedsYes, format!("{told}; --yes does it without a question")));
        }
        write!(std::io::stderr(), "{} [y/N] ", fitted(&format!("{told}. {question}"), Stream::Error, 0))?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        match ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            true => Ok(()),
            false => Err(fault(Code::Declined, "nothing was sent")),
        }
    }

    /// Says on standard error what a person should know and a program is told otherwise.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            sip_report::say(&fitted(&format!("note: {text}"), Stream::Error, 2));
        }
    }

    /// Sends the instructions as one transaction (or, asked to, only simulates them) and tells what it did to the wallet's tokens and
    /// to the accounts of the protocol that are named, and what it cost.
    pub(crate) fn act(
        &mut self,
        what: &str,
        instructions: &[Instruction],
        accounts: &[(&str, Address)],
    ) -> Result<ExitCode> {
        self.act_and_tell(what, instructions, accounts, &[])
    }

    /// As [`Desk::act`]; `notes` are lines of what follows from it, which programs get as "notes".
    pub(crate) fn act_and_tell(
        &mut self,
        what: &str,
        instructions: &[Instruction],
        accounts: &[(&str, Address)],
        notes: &[String],
    ) -> Result<ExitCode> {
        let (wallet, program) = (self.wallet()?, self.program);
        let mut watched = vec![("wallet", program.token_account(&wallet))];
        watched.extend_from_slice(accounts);
        let mentioned = mentioned(instructions, &wallet);
        let before = self.ledger.accounts(&mentioned)?;
        let has_no_tokens = self.ledger.account(&watched[0].1)?.is_none();
        let key = self.key()?.insecure_clone();
        let sent = if self.is_dry_run() {
            self.ledger.simulate(instructions, &key, &[&key], &mentioned)
        } else {
            self.ledger
                .send(instructions, &key, &[&key])
                .and_then(|receipt| Ok((receipt, self.ledger.accounts(&mentioned)?)))
        };
        let (receipt, after) = sent.map_err(|error| explain(error, what, has_no_tokens))?;
        let states: Vec<_> =
            mentioned.into_iter().zip(before.into_iter().zip(after)).map(|(at, (was, is))| (at, was, is)).collect();

        let describe =
            |account: &Option<Account>| account.as_ref().map(|account| figures(&program, account)).unwrap_or_default();
        let figures: Vec<_> = (watched.iter())
            .filter_map(|(name, address)| {
                let (_, before, after) = states.iter().find(|(at, ..)| at == address)?;
                Some((*name, address, describe(before), describe(after)))
            })
            .collect();
        let mut changed = Vec::new();
        for (name, address, before, after) in &figures {
            for change in changes(name, address, before, after) {
                if !changed.contains(&change) {
                    changed.push(change);
                }
            }
        }
        let cost = Cost::of(&program, &wallet, receipt.fee_lamports, &states);
        self.tell(what, &receipt, &changed, &cost, notes)?;
        Ok(ExitCode::SUCCESS)
    }

    fn tell(&self, what: &str, receipt: &Receipt, changed: &[Change<'_>], cost: &Cost, notes: &[String]) -> Result<()> {
        let mut out = std::io::stdout();
        let sent = !self.is_dry_run();
        if self.json {
            let changes: Vec<Value> = changed.iter().map(Change::to_json).collect();
            let outcome = json!({
                "action": what,
                "sent": sent,
                "signature": sent.then(|| receipt.signature.to_string()),
                "slot": receipt.slot,
                "computeUnits": receipt.compute_units,
                "transactionBytes": receipt.transaction_bytes,
                "cost": cost.to_json(),
                "changes": changes,
                "notes": notes,
            });
            writeln!(out, "{outcome}")?;
            return Ok(());
        }
        let line = |text: String| fitted(&text, Stream::Output, 4);
        writeln!(out, "{}", line(format!("{what}{}", if sent { "" } else { ": this would happen" })))?;
        for change in changed {
            let (name, address) = change.of();
            let is_one_of_several = changed.iter().any(|other| other.of().0 == name && other.of().1 != address);
            writeln!(out, "{}", line(format!("  {}", change.show(is_one_of_several, receipt.slot))))?;
        }
        for note in notes {
            writeln!(out, "{}", line(format!("  {note}")))?;
        }
        writeln!(out, "{}", line(format!("  {}", cost.show())))?;
        let units = tokens::grouped(receipt.compute_units);
        let of_transaction = if sent { format!(", transaction {}", receipt.signature) } else { String::new() };
        writeln!(
            out,
            "{}",
            line(format!("  {units} compute units, {} bytes{of_transaction}", receipt.transaction_bytes))
        )?;
        Ok(())
    }
}

/// The accounts that a transaction may change.
fn mentioned(instructions: &[Instruction], wallet: &Address) -> Vec<Address> {
    let accounts = instructions.iter().flat_map(|instruction| &instruction.accounts);
    let written = accounts.filter(|account| account.is_writable).map(|account| account.pubkey);
    written.chain([*wallet]).collect::<BTreeSet<Address>>().into_iter().collect()
}

/// A refusal in words.
pub(super) fn explain(error: LedgerError, what: &str, has_no_tokens: bool) -> anyhow::Error {
    if let LedgerError::Custom { code, .. } = &error {
        let from_token_program = error.logs().iter().any(|log| log.contains("Error: insufficient funds"));
        if from_token_program {
            return fault(
                Code::TooFewTokens,
                format!("{what}: the wallet's token account does not hold that many tokens"),
            );
        }
        let reason = sip_client::refusal(*code);
        if has_no_tokens && reason == Some(sip_protocol::Error::WrongTokenAccount) {
            let said =
                format!("{what}: the wallet has no token account yet, so it has no tokens; somebody must send it some");
            return fault(Code::TooFewTokens, said);
        }
        if let Some(reason) = reason {
            return refusal(*code, format!("{what}: the program refused: {reason}"));
        }
    }
    if let LedgerError::Transaction { source, .. } = &error
        && source.to_string().contains("no record of a prior credit")
    {
        let said =
            format!("{what}: the wallet has no SOL to pay the fee with; on a local chain, \"sip wallet airdrop\"");
        return fault(Code::TooFewLamports, said);
    }
    // The system program's own word for it.
    let is_short = error.logs().iter().any(|log| log.contains("insufficient lamports"))
        || matches!(&error, LedgerError::Transaction { source, .. } if source.to_string().contains("nsufficient funds"));
    match is_short {
        true => fault(
            Code::TooFewLamports,
            format!("{what}: the wallet has too little SOL for the fee and the rent of new accounts"),
        ),
        false => anyhow!(error).context(what.to_owned()),
    }
}
