//! What goes wrong: for people a sentence, for programs an object with a code that stays the same, and for shells an exit code.

use clap::error::{ContextKind, ErrorKind};
use serde_json::{Value, json};
use sip_data::{DataError, Missing, WrongWords, shown_up_to};
use sip_ledger::{LedgerError, RemoteError, SnapshotError};
use solana_address::Address;
use std::io;
use std::process::ExitCode;

use crate::refusals::error_name;
use sip_manifest::stop::Stopped;
use sip_report::say;
use sip_report::terminal::{Stream, fitted};

/// An error shows no more than this, whatever it quotes.
const ERROR_CHARS_SHOWN: usize = 2000;

/// What an exit code says.
pub struct Exit {
    /// The exit code.
    pub code: u8,
    /// What it says.
    pub meaning: &'static str,
}

const fn exit(code: u8, meaning: &'static str) -> Exit {
    Exit { code, meaning }
}

/// All exit codes.
pub const EXITS: [Exit; 8] = [
    exit(0, "done"),
    exit(FAILED, "not done"),
    exit(USAGE, "the words of the command are wrong"),
    exit(NOT_VERIFIED, "what was checked is not as claimed"),
    exit(
        UNREACHABLE,
        "the chain does not answer, nobody has what is asked for, or nobody knows yet what became of a transaction",
    ),
    exit(REFUSED, "the chain or its program refused"),
    exit(DISPUTABLE, "what was checked is not as claimed, and is not final: it can still be accused and undone"),
    exit(INTERRUPTED, "stopped by Ctrl-C"),
];

const FAILED: u8 = 1;
const USAGE: u8 = 2;
/// What was checked is not as claimed.
pub const NOT_VERIFIED: u8 = 3;
const UNREACHABLE: u8 = 4;
const REFUSED: u8 = 5;
/// What was checked is not as claimed, and is not final.
pub const DISPUTABLE: u8 = 6;
const INTERRUPTED: u8 = 130;

macro_rules! codes {
    ($($name:ident = $word:literal, $exit:expr, $retryable:literal, $meaning:literal;)*) => {
        /// What failed, as programs are told it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// All codes: word, exit code, whether the same may succeed later, meaning.
            pub const ALL: &'static [(&'static str, u8, bool, &'static str)] = &[$(($word, $exit, $retryable, $meaning),)*];

            fn row(self) -> (&'static str, u8, bool, &'static str) {
                Self::ALL[self as usize]
            }
        }
    };
}

codes! {
    Failed = "failed", FAILED, false, "another reason, which the message says";
    Usage = "usage", USAGE, false, "the words of the command are wrong";
    Data = "wrong-data", FAILED, false, "a text or a file of examples cannot be used";
    NotFound = "not-found", FAILED, false, "a file or folder is not there";
    NoWallet = "no-wallet", FAILED, false, "the command acts for a wallet, and no key is named";
    NotAnAddress = "not-an-address", FAILED, false, "what stands for an address is none, nor the beginning or the name of one";
    Ambiguous = "ambiguous-address", FAILED, false, "what stands for an address is the beginning of several";
    NoAccount = "no-account", FAILED, false, "there is no account at the address";
    WrongAccount = "wrong-account", FAILED, false, "the account at the address is something else than is expected";
    NoProgram = "no-program", FAILED, false, "the program is not on the chain";
    NotBegun = "not-begun", FAILED, false, "the protocol is not begun on the chain";
    NeedsYes = "needs-yes", FAILED, false, "what cannot be undone is done only with --yes where nobody can be asked";
    Declined = "declined", FAILED, false, "the person who was asked said no";
    Unreachable = "unreachable", UNREACHABLE, true, "the chain does not answer";
    NobodyHas = "nobody-has-it", UNREACHABLE, true, "nobody who can be asked has what is needed";
    OutcomeUnknown = "outcome-unknown", UNREACHABLE, false, "a transaction was sent, and nobody knows yet what became of it: look it up first";
    Expired = "expired", UNREACHABLE, true, "a transaction was sent too late, and will never be executed";
    EndpointRefused = "endpoint-refused", REFUSED, false, "the endpoint refuses the question";
    ProgramRefused = "program-refused", REFUSED, false, "a program refused the transaction";
    TransactionFailed = "transaction-failed", REFUSED, false, "the transaction failed before or outside of a program";
    TooFewTokens = "too-few-tokens", REFUSED, false, "the wallet does not hold that many tokens";
    TooFewLamports = "too-few-lamports", REFUSED, false, "the wallet cannot pay the fee and the rent";
    Interrupted = "interrupted", INTERRUPTED, true, "stopped by Ctrl-C; what was finished is kept";
}

/// An error with a code.
#[derive(Debug)]
pub struct Fault {
    code: Code,
    message: String,
    /// Commands that do something about it, in order: for people in lines of their own, which are not broken, so that they can be copied.
    commands: Vec<String>,
    program_error: Option<ProgramError>,
}

/// A program's own number for its refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ProgramError {
    number: u32,
    /// What the program calls it, where that is known.
    name: Option<String>,
    /// The program, where that is known.
    program: Option<Address>,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// An error with a code.
pub fn fault(code: Code, message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Fault { code, message: message.into(), commands: Vec::new(), program_error: None })
}

/// An error with a code, and the commands that do something about it, in order.
pub fn fault_with(code: Code, message: impl Into<String>, commands: Vec<String>) -> anyhow::Error {
    anyhow::Error::new(Fault { code, message: message.into(), commands, program_error: None })
}

/// The commands that an error says.
fn commands(error: &anyhow::Error) -> &[String] {
    error.chain().find_map(|cause| cause.downcast_ref::<Fault>()).map_or(&[], |fault| &fault.commands)
}

/// A program's refusal, with its own number for it, which has a name if the program is known.
pub fn refusal(number: u32, program: Option<Address>, is_named: bool, message: impl Into<String>) -> anyhow::Error {
    let program_error = Some(program_error(number, program, is_named));
    anyhow::Error::new(Fault {
        code: Code::ProgramRefused,
        message: message.into(),
        commands: Vec::new(),
        program_error,
    })
}

fn program_error(number: u32, program: Option<Address>, is_named: bool) -> ProgramError {
    let name = if is_named { error_name(program.as_ref(), number) } else { None };
    ProgramError { number, name, program }
}

/// The code of an error, and a program's number.
fn code(error: &anyhow::Error) -> (Code, Option<ProgramError>) {
    // What says itself what it is comes before what happened below it.
    for cause in error.chain() {
        if let Some(fault) = cause.downcast_ref::<Fault>() {
            return (fault.code, fault.program_error.clone());
        }
        if cause.is::<WrongWords>() {
            return (Code::Usage, None);
        }
        if cause.is::<Missing>() {
            return (Code::NotFound, None);
        }
    }
    if error.chain().any(is_not_there) {
        return (Code::NotFound, None);
    }
    for cause in error.chain() {
        let remote = match cause.downcast_ref::<LedgerError>() {
            Some(error @ LedgerError::Custom { code, .. }) => {
                return (Code::ProgramRefused, Some(program_error(*code, error.raised_by(&[]), true)));
            }
            Some(LedgerError::Transaction { .. }) => return (Code::TransactionFailed, None),
            Some(LedgerError::Remote(error)) => Some(error),
            _ => cause.downcast_ref::<RemoteError>(),
        };
        match remote {
            Some(RemoteError::Url { .. }) => return (Code::Usage, None),
            Some(RemoteError::Unreachable { .. } | RemoteError::Answer { .. }) => return (Code::Unreachable, None),
            Some(RemoteError::Refused { .. }) => return (Code::EndpointRefused, None),
            Some(RemoteError::Expired { .. }) => return (Code::Expired, None),
            Some(RemoteError::Unknown { .. }) => return (Code::OutcomeUnknown, None),
            None => {}
        }
        if cause.is::<Stopped>() {
            return (Code::Interrupted, None);
        }
        if cause.is::<DataError>() {
            return (Code::Data, None);
        }
    }
    (Code::Failed, None)
}

/// Whether a cause is that a file is not there: of several files, that none is.
fn is_not_there(cause: &(dyn std::error::Error + 'static)) -> bool {
    match (cause.downcast_ref::<io::Error>(), cause.downcast_ref()) {
        (Some(error), _) => error.kind() == io::ErrorKind::NotFound,
        (_, Some(DataError::Several(errors))) => errors
            .iter()
            .all(|error| matches!(error, DataError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)),
        _ => false,
    }
}

/// What an error says of files that contradict each other or their names; the error itself where it is of something else: of the file
/// system, of a file that is missing, of an older version, or because somebody stopped it.
pub fn false_content(error: anyhow::Error) -> Result<String, anyhow::Error> {
    let is_content = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<io::Error>() {
        Some(error) => matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof),
        None => !matches!(
            cause.downcast_ref::<LedgerError>(),
            Some(LedgerError::Snapshot(SnapshotError::Version { .. } | SnapshotError::File { .. }))
        ),
    };
    match code(&error).0 {
        Code::Failed | Code::Data if error.chain().all(is_content) => Ok(sentence(&error)),
        _ => Err(error),
    }
}

/// Tells an error: one object in a line of JSON, or a sentence.
pub fn tell(error: &anyhow::Error, json: bool) -> ExitCode {
    // The reader of our output has seen enough.
    if error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    let (code, program_error) = code(error);
    let said = sentence(error);
    let commands = commands(error);
    match (json, code) {
        (true, _) => {
            let quoted: Vec<String> = commands.iter().map(|command| format!("\"{command}\"")).collect();
            let then = if quoted.is_empty() { String::new() } else { format!("; {}", quoted.join(", and then ")) };
            say(&object(code, &(said + &then), program_error).to_string());
        }
        (false, Code::Interrupted) => say(&fitted(&said, Stream::Error, 2)),
        (false, _) => {
            say(&fitted(&format!("error: {said}{}", if commands.is_empty() { "" } else { ":" }), Stream::Error, 2));
            commands.iter().for_each(|command| say(&format!("  {command}")));
        }
    }
    ExitCode::from(code.row().1)
}

/// Tells what is wrong with the words of a command, or prints the help that was asked for.
pub fn tell_usage(error: &clap::Error, json: bool) -> ExitCode {
    let mut text = without_tips(&bounds_in_words(&error.to_string()));
    let named = error.get(ContextKind::InvalidArg).into_iter().chain(error.get(ContextKind::PriorArg));
    if error.kind() == ErrorKind::ArgumentConflict
        && named.into_iter().any(|named| named.to_string().contains("--resume"))
    {
        text = text.replacen("\n\n", ": a run that goes on keeps the settings that it began with\n\n", 1);
    }
    if json && error.use_stderr() {
        let said = text.split("\n\n").next().unwrap_or_default();
        let said = said.strip_prefix("error: ").unwrap_or(said).lines().map(str::trim).collect::<Vec<_>>().join(" ");
        say(&object(Code::Usage, &said, None).to_string());
    } else if error.use_stderr() {
        say(fitted(&text, Stream::Error, 2).trim_end());
    } else {
        // A reader that is gone needs none.
        let _ = error.print();
    }
    ExitCode::from(error.exit_code().clamp(0, 255) as u8)
}

/// Without the advice to pass an option that a command does not know as a value of something: it is hardly ever meant.
fn without_tips(text: &str) -> String {
    let is_kept = |part: &&str| !(part.trim_start().starts_with("tip: to pass '-") && part.contains("as a value"));
    text.split("\n\n").filter(is_kept).collect::<Vec<_>>().join("\n\n")
}

/// "0 is not in 1..=50" is "expected 1 to 50".
fn bounds_in_words(text: &str) -> String {
    let text = text.replace("invalid digit found in string", "expected a whole number");
    let Some((before, after)) = text.split_once(" is not in ") else { return text };
    let end = after.find(|char: char| !char.is_ascii_digit() && !".=-".contains(char)).unwrap_or(after.len());
    match (before.rsplit_once(": "), after[..end].split_once("..=")) {
        (Some((said, _)), Some((least, most))) => format!("{said}: expected {least} to {most}{}", &after[end..]),
        _ => text,
    }
}

fn object(code: Code, message: &str, program_error: Option<ProgramError>) -> Value {
    let (word, exit_code, retryable, _) = code.row();
    let mut error = json!({ "code": word, "message": message, "hint": hint(message), "retryable": retryable, "exitCode": exit_code });
    if let Some(ProgramError { number, name, program }) = program_error {
        let program = program.map(|address| address.to_string());
        error["programError"] = json!({ "number": number, "name": name, "program": program });
    }
    json!({ "error": error })
}

/// What a message says to do: its last part, where that names a command or an option.
fn hint(message: &str) -> Option<&str> {
    let last = message.rsplit("; ").next()?;
    (last.len() < message.len() && (last.contains("\"sip ") || last.contains("--"))).then_some(last)
}

/// An error and its causes as one sentence, without repeating what a cause has already been quoted for.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        // A list of files or records has lines of its own, in which nothing is obeyed.
        let cause = match cause.downcast_ref() {
            Some(error @ DataError::Several(_)) => error.to_string(),
            _ => shown_up_to(&cause.to_string(), ERROR_CHARS_SHOWN),
        };
        let cause = plain(&cause);
        if said.is_empty() {
            cause
        } else if said.contains(&cause) {
            said
        } else {
            said + ": " + &cause
        }
    })
}

/// The file system's words as people say them.
fn plain(text: &str) -> String {
    let text = text.replace("No such file or directory (os error 2)", "there is no such file or folder");
    // The number says nothing to people, and programs have a code.
    let Some((before, rest)) = text.split_once(" (os error ") else { return text };
    match rest.split_once(')') {
        Some((number, after)) if number.bytes().all(|byte| byte.is_ascii_digit()) => before.to_owned() + &plain(after),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_code_is_found_under_what_was_said_around_it() {
        let inner: anyhow::Result<()> = Err(fault(Code::NoWallet, "no wallet; pass --key FILE"));
        let error = inner.context("cannot act").unwrap_err();
        assert_eq!(code(&error), (Code::NoWallet, None));
        let io = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(code(&anyhow::Error::new(io).context("cannot read x")).0, Code::NotFound);
        let remote = RemoteError::Unreachable { url: "u".into(), attempts: 1, reason: "r".into() };
        assert_eq!(code(&anyhow::Error::new(LedgerError::Remote(remote))).0, Code::Unreachable);
        assert_eq!(code(&anyhow::anyhow!("x")).0, Code::Failed);
        let said = object(Code::NoWallet, "no wallet; pass --key FILE", None);
        assert_eq!(said["error"]["hint"], "pass --key FILE");
        assert_eq!(object(Code::Failed, "a; b", None)["error"]["hint"], Value::Null);
        let number = Some(program_error(10, None, true));
        assert_eq!(object(Code::ProgramRefused, "a", number)["error"]["programError"]["name"], "NotInitialised");
    }

    /// docs/commands.md has every code with its meaning.
    #[test]
    fn the_page_of_commands_has_all_codes() {
        let page = include_str!("../../../docs/commands.md");
        for Exit { code, meaning } in EXITS {
            assert!(page.contains(&format!("| {code} | {meaning} |")), "{code}");
        }
        for (word, exit, retryable, meaning) in Code::ALL {
            let again = if *retryable { "yes" } else { "no" };
            assert!(page.contains(&format!("| `{word}` | {exit} | {again} | {meaning} |")), "{word}");
        }
    }

    #[test]
    fn bounds_are_told_in_words() {
        let said = bounds_in_words("error: invalid value '0' for '--years <N>': 0 is not in 1..=50\n\nFor more");
        assert_eq!(said, "error: invalid value '0' for '--years <N>': expected 1 to 50\n\nFor more");
        let text =
            "error: unexpected argument '--x' found\n\n  tip: to pass '--x' as a value, use '-- --x'\n\nUsage: sip";
        assert_eq!(without_tips(text), "error: unexpected argument '--x' found\n\nUsage: sip");
        assert_eq!(bounds_in_words("the dog is not in its house"), "the dog is not in its house");
        assert_eq!(plain("a: b (os error 13) (os error x)"), "a: b (os error x)");
    }

    #[test]
    fn words_differ_and_every_exit_code_is_explained() {
        let mut words: Vec<&str> = Code::ALL.iter().map(|row| row.0).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
        for (word, code, ..) in Code::ALL {
            assert!(EXITS.iter().any(|exit| exit.code == *code), "{word}");
        }
    }
}
