//! Commands that pages name: every one is a command of this binary, with arguments that it has.

use clap::CommandFactory;
use clap::error::ErrorKind;
use std::path::{Path, PathBuf};

/// The pages of the repository, but for the changelog, which names what was.
fn pages() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                walk(&entry, found);
            } else if entry.extension().is_some_and(|extension| extension == "md") {
                found.push(entry);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    walk(&root.join("docs"), &mut found);
    found.extend(["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md"].map(|name| root.join(name)));
    found
}

/// What follows `sip` or `cargo run --release --` at the beginning of a command.
fn arguments(command: &str) -> Option<&str> {
    let of = |name: &str| command.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(' '));
    // A name that is given a value in another language.
    let of = |name: &str| of(name).filter(|rest| !rest.starts_with(" = "));
    of("sip").or_else(|| of("cargo run --release --")).map(str::trim)
}

/// The words of a command as a shell reads them, as far as pages go: quotes, nothing behind `#` or into a file, `$(…)` one word.
fn words(command: &str) -> Vec<String> {
    let (mut found, mut word, mut quote, mut depth) = (Vec::new(), None::<String>, None, 0);
    for sign in command.chars() {
        match (sign, quote) {
            ('"' | '\'', None) => {
                quote = Some(sign);
                word.get_or_insert_default();
            }
            (_, Some(open)) if open == sign => quote = None,
            ('#', None) if word.is_none() => break,
            ('>' | '|' | '&', None) if depth == 0 => break,
            (' ', None) if depth == 0 => found.extend(word.take()),
            _ => {
                depth += i32::from(sign == '(') - i32::from(sign == ')');
                word.get_or_insert_default().push(sign);
            }
        }
    }
    found.extend(word);
    found
}

/// Commands of a page with the number of their lines, and whether they stand whole: on a line of their own, or named within a sentence.
fn commands(text: &str) -> Vec<(usize, String, bool)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split(" # ").next().unwrap_or_default();
        if line.starts_with("    ") || line.starts_with("sip ") {
            let parts = code.split("; ").flat_map(|part| part.split(" && "));
            found.extend(parts.filter_map(|part| Some((number + 1, arguments(part.trim())?.to_owned(), true))));
        }
        let named = line.split('`').skip(1).step_by(2);
        found.extend(named.filter_map(|part| Some((number + 1, arguments(part)?.to_owned(), false))));
    }
    found
}

/// Why a command cannot be said so; `None` if it can.
fn refusal(command: &str, is_whole: bool) -> Option<String> {
    let words = std::iter::once("sip".to_owned()).chain(words(command));
    let has_capitals = command.split(' ').any(|word| word.len() > 1 && word.chars().all(char::is_uppercase));
    let error = crate::Cli::command().try_get_matches_from(words).err()?;
    let is_fine = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand => !is_whole,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => !is_whole,
        // A word in capitals stands for what is to be put there; a sentence may name an option without its value.
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            has_capitals || (!is_whole && error.to_string().contains("but none was supplied"))
        }
        ErrorKind::InvalidSubcommand => !is_whole && has_capitals,
        _ => false,
    };
    (!is_fine).then(|| error.to_string())
}

#[test]
fn every_command_that_a_page_names_can_be_said_so() {
    let (mut refused, mut count) = (String::new(), 0);
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (line, command, is_whole) in commands(&text) {
            count += 1;
            if let Some(why) = refusal(&command, is_whole) {
                refused += &format!("{}:{line}: sip {command}\n{why}\n", page.display());
            }
        }
    }
    assert!(count > 150, "{count} commands found");
    assert!(refused.is_empty(), "{refused}");
}

#[test]
fn a_command_that_is_none_is_refused() {
    for wrong in ["audits", "verify --everything", "job exports JOB", "network up --rounds", "wallet new a b c"] {
        assert!(refusal(wrong, true).is_some(), "{wrong}");
    }
    assert!(refusal("job join", true).is_some() && refusal("job join", false).is_none());
    let quoted = words(r#"generate --model MODEL "Once  upon" x='a b' $(sip wallet address) >out # said"#);
    assert_eq!(quoted, ["generate", "--model", "MODEL", "Once  upon", "x=a b", "$(sip wallet address)"]);
}
