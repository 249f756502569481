//! Transactions: what they would do, what they did, what they cost, and whether somebody has to be asked before.

use anyhow::Result;
use serde_json::{Value, json};
use sip_client::{Program, SYSTEM_PROGRAM};
use sip_ledger::{Ledger, Receipt};
use sip_protocol::AccountKind;
use sip_protocol::admin::config::Config;
use solana_account::Account;
use solana_address::Address;
use solana_instruction::Instruction;
use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use super::figures::{Change, changes, figures};
use super::refusals::{Tried, explain};
use super::{Desk, tokens, word};
use crate::failure::{Code, fault};
use sip_report::terminal::{Stream, fitted};

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
            // What another wallet has more is hers and no rent.
            if is_wallet(after.as_ref().or(before.as_ref())) {
                continue;
            }
            let [was, is] = [before, after].map(lamports_of);
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

fn lamports_of(account: &Option<Account>) -> u64 {
    account.as_ref().map_or(0, |account| account.lamports)
}

/// Whether an account is a wallet's: nothing but SOL.
pub(crate) fn is_wallet(account: Option<&Account>) -> bool {
    account.is_some_and(|account| account.owner == SYSTEM_PROGRAM && account.data.is_empty())
}

/// What an account is called, and when its rent comes back.
fn rented(program: &Program, account: &Account) -> (String, Option<&'static str>) {
    if sip_ledger::token_amount(account).is_some() {
        return ("token account".into(), Some("when the token account is closed"));
    }
    if account.owner != program.id {
        return ("mint".into(), None);
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
    pub fn confirm(&self, told: &str, question: &str) -> Result<()> {
        self.ask(told, question, "--yes", self.yes)
    }

    /// Asks a person; `option` is what does it without a question, if it was given.
    pub(crate) fn ask(&self, told: &str, question: &str, option: &str, is_given: bool) -> Result<()> {
        if is_given || self.is_dry_run() {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() || self.json {
            return Err(fault(
                Code::NeedsYes,
                format!("{told}; nothing was sent; {option} does it without a question"),
            ));
        }
        write!(std::io::stderr(), "{} ", fitted(&format!("{told}. {question} [y/N]"), Stream::Error, 0))?;
        let mut answer = String::new();
        if std::io::stdin().read_line(&mut answer)? == 0 {
            // Nobody has ended the line of the question.
            writeln!(std::io::stderr())?;
        }
        match ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            true => Ok(()),
            false => Err(fault(Code::Declined, "nothing was sent")),
        }
    }

    /// Says what should be known before something is sent: to people on standard error, to programs among the notes of the outcome.
    pub fn note(&self, text: &str) {
        if self.json {
            self.notes.borrow_mut().push(text.to_owned());
        } else {
            sip_report::say(&fitted(&format!("note: {text}"), Stream::Error, 2));
        }
    }

    /// Sends the instructions as one transaction (or, asked to, only simulates them) and tells what it did to the wallet's tokens and
    /// to the accounts of the protocol that are named, and what it cost.
    pub fn act(&mut self, what: &str, instructions: &[Instruction], accounts: &[(&str, Address)]) -> Result<ExitCode> {
        self.act_and_tell(what, instructions, accounts, &[])
    }

    /// As [`Desk::act`]; `notes` are lines of what follows from it, which programs get as "notes".
    pub fn act_and_tell(
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
        let lamports = balance_of(&mentioned, &before, &wallet);
        let tokens = self.ledger.token_balance(&watched[0].1)?;
        let key = self.key()?.insecure_clone();
        let sent = if self.is_dry_run() {
            self.ledger.simulate(instructions, &key, &[&key], &mentioned)
        } else {
            self.ledger
                .send(instructions, &key, &[&key])
                .and_then(|receipt| Ok((receipt, self.ledger.accounts(&mentioned)?)))
        };
        let (receipt, after) = sent.map_err(|error| {
            let is_authority = self.is_authority();
            explain(error, &Tried { program: &program, what, instructions, lamports, tokens, is_authority })
        })?;
        let states: Vec<_> =
            mentioned.into_iter().zip(before.into_iter().zip(after)).map(|(at, (was, is))| (at, was, is)).collect();
        // A wallet that sends SOL to others has less of it; else the costs say what it took.
        let moves_sol = |(at, was, is): &(Address, Option<Account>, Option<Account>)| {
            *at != wallet && is_wallet(is.as_ref().or(was.as_ref())) && lamports_of(was) != lamports_of(is)
        };
        if states.iter().any(moves_sol) {
            watched.push(("wallet", wallet));
        }

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

    /// Whether the wallet is the one that gives tokens out of the vault, as far as that can be found out.
    fn is_authority(&self) -> bool {
        let config = self.find::<Config>(&self.program.config()).ok().flatten();
        config.is_some_and(|config| self.wallet().is_ok_and(|wallet| config.authority == wallet.to_bytes()))
    }

    fn tell(&self, what: &str, receipt: &Receipt, changed: &[Change<'_>], cost: &Cost, notes: &[String]) -> Result<()> {
        let mut out = std::io::stdout();
        let sent = !self.is_dry_run();
        if self.json {
            let changes: Vec<Value> = changed.iter().map(Change::to_json).collect();
            let notes = [&*self.notes.take(), notes].concat();
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

/// The lamports of one of some accounts.
fn balance_of(addresses: &[Address], accounts: &[Option<Account>], address: &Address) -> u64 {
    let found = addresses.iter().zip(accounts).find(|(at, _)| *at == address);
    found.map_or(0, |(_, account)| lamports_of(account))
}

/// The accounts that a transaction may change.
fn mentioned(instructions: &[Instruction], wallet: &Address) -> Vec<Address> {
    let accounts = instructions.iter().flat_map(|instruction| &instruction.accounts);
    let written = accounts.filter(|account| account.is_writable).map(|account| account.pubkey);
    written.chain([*wallet]).collect::<BTreeSet<Address>>().into_iter().collect()
}
