//! Why a transaction was not executed, in words: an error code means what the program says that raised it.

use anyhow::anyhow;
use sip_client::{ASSOCIATED_TOKEN_PROGRAM, Program, SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use sip_ledger::LedgerError;
use solana_address::Address;
use solana_instruction::Instruction;

use super::tokens;
use crate::failure::{Code, fault, refusal};

/// A transaction that failed, and who wanted what.
pub struct Tried<'a> {
    /// The deployment of the program.
    pub program: &'a Program,
    /// What was to be done, in words.
    pub what: &'a str,
    /// Its instructions.
    pub instructions: &'a [Instruction],
    /// What the wallet had before.
    pub lamports: u64,
    /// Its tokens, in base units; nothing where it has no token account.
    pub tokens: Option<u64>,
    /// Whether the wallet is the one that gives tokens out of the vault.
    pub is_authority: bool,
}

impl Tried<'_> {
    /// Where tokens come from, for the one who can say so.
    fn remedy(&self) -> &'static str {
        match self.is_authority {
            true => "; \"sip protocol distribute ADDRESS AMOUNT\" brings some out of the vault",
            false => "",
        }
    }
}

/// A program's name and its own errors, by number: names for programs, sentences for people.
type Errors = (&'static str, &'static [(&'static str, &'static str)]);

const SYSTEM: Errors = (
    "system program",
    &[
        ("AccountAlreadyInUse", "an account with that address exists already"),
        ("ResultWithNegativeLamports", "an account does not hold that much SOL"),
        ("InvalidProgramId", "the account cannot be given to that program"),
        ("InvalidAccountDataLength", "an account cannot have that many bytes"),
        ("MaxSeedLengthExceeded", "the seed of an address is too long"),
        ("AddressWithSeedMismatch", "an address does not follow from its seed"),
        ("NonceNoRecentBlockhashes", "there is no block hash for the nonce yet"),
        ("NonceBlockhashNotExpired", "the nonce is still the present one"),
        ("NonceUnexpectedBlockhashValue", "the nonce is another"),
    ],
);

const TOKEN: Errors = (
    "token program",
    &[
        ("NotRentExempt", "an account does not hold its rent"),
        ("InsufficientFunds", "a token account does not hold that many tokens"),
        ("InvalidMint", "an account is no mint"),
        ("MintMismatch", "a token account is of another mint"),
        ("OwnerMismatch", "a token account belongs to somebody else"),
        ("FixedSupply", "nobody may mint that token any more"),
        ("AlreadyInUse", "an account is in use already"),
        ("InvalidNumberOfProvidedSigners", "the number of signers is wrong"),
        ("InvalidNumberOfRequiredSigners", "the number of signers that are required is wrong"),
        ("UninitializedState", "an account is not initialised"),
        ("NativeNotSupported", "that does not work with wrapped SOL"),
        ("NonNativeHasBalance", "a token account that is to be closed still holds tokens"),
        ("InvalidInstruction", "it does not know the instruction"),
        ("InvalidState", "an account is not in the state that is needed"),
        ("Overflow", "an amount is too large"),
        ("AuthorityTypeNotSupported", "an account has no authority of that kind"),
        ("MintCannotFreeze", "nobody may freeze accounts of that mint"),
        ("AccountFrozen", "a token account is frozen"),
        ("MintDecimalsMismatch", "the mint has other decimals"),
        ("NonNativeNotSupported", "that works with wrapped SOL only"),
    ],
);

const ASSOCIATED_TOKEN: Errors = (
    "associated token program",
    &[("InvalidOwner", "a token account at the wallet's own address belongs to somebody else")],
);

/// The errors of a program that is on every chain; `None` of any other, which SIP is in the error messages of this build.
pub(crate) fn errors_of(program: &Address) -> Option<Errors> {
    match *program {
        SYSTEM_PROGRAM => Some(SYSTEM),
        TOKEN_PROGRAM | TOKEN_2022_PROGRAM => Some(TOKEN),
        ASSOCIATED_TOKEN_PROGRAM => Some(ASSOCIATED_TOKEN),
        _ => None,
    }
}

/// A program's own name for one of its errors: SIP's where it is none of every chain.
pub(crate) fn error_name(program: Option<&Address>, number: u32) -> Option<String> {
    match program.and_then(errors_of) {
        Some((_, errors)) => errors.get(number as usize).map(|(name, _)| (*name).to_owned()),
        None => sip_client::refusal(number).map(|error| format!("{error:?}")),
    }
}

/// A refusal in words.
pub fn explain(error: LedgerError, tried: &Tried<'_>) -> anyhow::Error {
    let what = tried.what;
    if let Some(short) = short_of_sol(&error, tried) {
        return fault(Code::TooFewLamports, format!("{what}: {short}"));
    }
    let (Some(number), Some(raised_by)) = (error.custom_code(), error.raised_by(tried.instructions)) else {
        return anyhow!(error).context(what.to_owned());
    };
    let is_ours = raised_by == tried.program.id;
    let (said, code) = match errors_of(&raised_by) {
        Some((_, [_, ("InsufficientFunds", _), ..])) if number == 1 => {
            let held = tokens::show(tried.tokens.unwrap_or(0));
            let said = format!("the wallet's token account does not hold that many tokens; it holds {held}");
            (said + tried.remedy(), Code::TooFewTokens)
        }
        Some((name, errors)) => {
            let reason =
                errors.get(number as usize).map_or_else(|| format!("error {number}"), |(_, said)| (*said).into());
            (format!("the {name} refused: {reason}"), Code::ProgramRefused)
        }
        None if !is_ours => (format!("the program {raised_by} refused with its error {number}"), Code::ProgramRefused),
        None => match sip_client::refusal(number) {
            Some(sip_protocol::Error::WrongTokenAccount) if tried.tokens.is_none() => {
                let said = "the wallet has no token account yet, so it has no tokens";
                let remedy = if tried.is_authority { tried.remedy() } else { "; somebody must send it some" };
                (said.to_owned() + remedy, Code::TooFewTokens)
            }
            Some(reason) => (format!("the program refused: {reason}"), Code::ProgramRefused),
            None => (format!("the program refused with error {number}"), Code::ProgramRefused),
        },
    };
    let said = format!("{what}: {said}");
    let is_named = is_ours || errors_of(&raised_by).is_some();
    match code {
        Code::ProgramRefused => refusal(number, Some(raised_by), is_named, said),
        code => fault(code, said),
    }
}

/// What the wallet lacks of SOL, where that is why.
fn short_of_sol(error: &LedgerError, tried: &Tried<'_>) -> Option<String> {
    if let LedgerError::Transaction { source, .. } = error
        && source.to_string().contains("no record of a prior credit")
    {
        return Some("the wallet has no SOL to pay the fee with; on a local chain, \"sip wallet airdrop\"".into());
    }
    // The system program's own words: "Transfer: insufficient lamports 5, need 7".
    let need = error
        .logs()
        .iter()
        .find_map(|log| log.split_once("insufficient lamports ")?.1.split_once("need ")?.1.parse().ok());
    let held = tokens::sol(tried.lamports);
    match need {
        Some(need) => Some(format!(
            "the wallet holds {held}, too little SOL for the fee and the {} that this takes",
            tokens::sol(need)
        )),
        None => match error {
            LedgerError::Transaction { source, .. } if source.to_string().contains("nsufficient funds") => {
                Some(format!("the wallet holds {held}, too little SOL for the fee and the rent of accounts"))
            }
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_ledger::Failure;
    use solana_instruction::error::InstructionError;
    use solana_transaction_error::TransactionError;

    fn said(raised_by: Address, number: u32, logs: &[&str]) -> String {
        let program = Program::default();
        let instructions = [Instruction::new_with_bytes(raised_by, &[], Vec::new())];
        let tried = Tried {
            program: &program,
            what: "send",
            instructions: &instructions,
            lamports: 5_000_000_000,
            tokens: Some(0),
            is_authority: true,
        };
        let failure = Failure {
            signature: Default::default(),
            compute_units: 0,
            logs: logs.iter().map(|log| (*log).to_owned()).collect(),
            fee_lamports: 0,
            transaction_bytes: 0,
        };
        let error = TransactionError::InstructionError(0, InstructionError::Custom(number));
        explain(LedgerError::failed(error, failure), &tried).to_string()
    }

    #[test]
    fn an_error_code_means_what_its_program_says() {
        let strange = Address::new_from_array([9; 32]);
        for (program, number, words) in [
            (SYSTEM_PROGRAM, 0, "the system program refused: an account with that address exists"),
            (SYSTEM_PROGRAM, 77, "the system program refused: error 77"),
            (TOKEN_PROGRAM, 1, "does not hold that many tokens; it holds 0 SIP"),
            (TOKEN_2022_PROGRAM, 17, "the token program refused: a token account is frozen"),
            (ASSOCIATED_TOKEN_PROGRAM, 0, "belongs to somebody else"),
            (strange, 1, "refused with its error 1"),
            (Program::default().id, 1, "the program refused: "),
        ] {
            let said = said(program, number, &[]);
            assert!(said.contains(words), "{program} {number}: {said}");
            assert_eq!(said.contains("unknown instruction"), program == Program::default().id, "{said}");
        }
        let said = said(SYSTEM_PROGRAM, 1, &["Transfer: insufficient lamports 4999995000, need 15000000000"]);
        assert!(said.contains("holds 5 SOL") && said.contains("15 SOL"), "{said}");
        assert_eq!(error_name(Some(&SYSTEM_PROGRAM), 1).as_deref(), Some("ResultWithNegativeLamports"));
        assert_eq!(error_name(None, 10).as_deref(), Some("NotInitialised"));
    }
}
