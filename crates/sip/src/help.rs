//! `sip --help` in groups, completions for shells, and pages for `man`.

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use sip_data::shown_path;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use sip_console::failure::EXITS;
use sip_report::terminal::{Stream, columns, output, wrap};

/// Widest lines of help.
const COLUMNS: usize = 100;
/// Columns of a command's name in the list.
const NAME_COLUMNS: usize = 14;
/// The template of the list of all commands.
const TEMPLATE: &str = "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}Options:\n{options}{after-help}";

/// Commands by what they are for.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Start here", &["demo", "network", "node", "localnet", "wallet"]),
    ("Models and texts", &["train", "finetune", "generate", "eval", "tokenize", "graph"]),
    ("Work and watch", &["job", "data", "pool", "audit", "verify", "dispute", "manifest"]),
    ("Stake and steer", &["stake", "exit", "rewards", "steer", "lock", "liquid", "fee"]),
    ("Govern and understand", &["protocol", "emission", "quality", "security"]),
    ("The command line itself", &["completions", "man", "help"]),
];

/// Print completions of all commands for a shell
#[derive(clap::Args)]
pub(crate) struct Completions {
    /// The shell; bash: `sip completions bash > ~/.local/share/bash-completion/completions/sip`
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

/// Print the page for `man`, or write one for every command
#[derive(clap::Args)]
pub(crate) struct Man {
    /// Folder for the pages of all commands; without it the main page is printed, as for `sip man | man -l -`
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// The command line with its groups and exit codes.
pub(crate) fn command() -> Command {
    with_texts(columns(Stream::Output).unwrap_or(COLUMNS).min(COLUMNS))
}

/// The command line with texts of so many columns.
fn with_texts(width: usize) -> Command {
    let mut command = crate::Cli::command();
    command.build();
    let mut groups = String::new();
    for (heading, names) in GROUPS {
        let _ = writeln!(groups, "{heading}:");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            let line = format!("  {name:width$}{}", about.unwrap_or_default(), width = NAME_COLUMNS - 2);
            let _ = writeln!(groups, "{}", hang(&line, width));
        }
        groups.push('\n');
    }
    let exits: String =
        EXITS.iter().map(|exit| hang(&format!("  {:<5}{}", exit.code, exit.meaning), width) + "\n").collect();
    let brief: Vec<String> = EXITS.iter().map(|exit| format!("{} {}", exit.code, exit.meaning)).collect();
    let brief = wrap(&format!("Exit codes: {}", brief.join("; ")), width, 2);
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let mut command = crate::Cli::command()
        .help_template(TEMPLATE)
        .before_help(groups.trim_end().to_owned())
        .after_help(format!("Exit codes:\n{}", exits.trim_end()));
    for name in names.iter().filter(|name| *name != "help") {
        command = command.mut_subcommand(name, |sub| with_exits(with_numbers(sub), &brief));
    }
    command
}

/// A command to which a negative number is a value, which may be wrong, and never an option that it does not know.
fn with_numbers(command: Command) -> Command {
    let takes = |argument: clap::Arg| match argument.get_action().takes_values() {
        true => argument.allow_negative_numbers(true),
        false => argument,
    };
    command.mut_args(takes).mut_subcommands(with_numbers)
}

/// A line whose continuation stands under its second column.
fn hang(line: &str, columns: usize) -> String {
    let Some(text) = line.get(NAME_COLUMNS..).filter(|_| line.is_char_boundary(NAME_COLUMNS)) else {
        return line.to_owned();
    };
    let wrapped = wrap(text, columns.saturating_sub(NAME_COLUMNS), 0);
    line[..NAME_COLUMNS].to_owned() + &wrapped.replace('\n', &format!("\n{}", " ".repeat(NAME_COLUMNS)))
}

fn with_exits(command: Command, brief: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let mut command = command.after_help(brief.to_owned());
    for name in names.iter().filter(|name| *name != "help") {
        command = command.mut_subcommand(name, |sub| with_exits(sub, brief));
    }
    command
}

pub(crate) fn completions(arguments: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "sip", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// The command line for pages: their printer breaks lines, and help has no help.
fn for_pages() -> Command {
    let command = with_texts(usize::MAX).mut_subcommands(without_help).disable_help_subcommand(true);
    // One paragraph: what follows a blank is a line of its own there.
    let brief: Vec<String> = EXITS.iter().map(|exit| format!("{} {}", exit.code, exit.meaning)).collect();
    let mut command = command.before_help("").after_help(format!("Exit codes: {}", brief.join("; ")));
    command.build();
    command
}

fn without_help(command: Command) -> Command {
    let has_some = command.has_subcommands();
    let command = command.mut_subcommands(without_help);
    if has_some { command.disable_help_subcommand(true) } else { command }
}

pub(crate) fn man(arguments: &Man) -> Result<ExitCode> {
    let command = for_pages();
    let Some(folder) = &arguments.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
        return Ok(ExitCode::SUCCESS);
    };
    let shown = shown_path(folder);
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {shown}"))?;
    clap_mangen::generate_to(command, folder).with_context(|| format!("cannot write pages into {shown}"))?;
    let count = fs::read_dir(folder).map_or(0, Iterator::count);
    writeln!(output(), "{count} pages are in {shown}; read one with: man -l {shown}/sip.1")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_command_stands_in_one_group() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        grouped.sort_unstable();
        let mut built = crate::Cli::command();
        built.build();
        let mut known: Vec<&str> =
            built.get_subcommands().filter(|sub| !sub.is_hide_set()).map(Command::get_name).collect();
        known.sort_unstable();
        assert_eq!(grouped, known);
    }

    /// The help of all commands in 80 columns is kept in tests/snapshots/help.txt; SIP_WRITE=1 keeps what it is now.
    #[test]
    fn the_help_of_all_commands_is_the_one_that_is_kept() {
        fn collect(command: &mut Command, name: &str, text: &mut String) {
            let help = command.clone().term_width(80).render_long_help().to_string();
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{name}: {help}");
            // Of the exit codes once is enough.
            let help = help.split("\nExit codes: ").next().unwrap_or_default();
            let _ = writeln!(text, "$ {name} --help\n{}\n", help.trim_end());
            let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
            for sub in names.iter().filter(|sub| *sub != "help") {
                if let Some(found) = command.find_subcommand_mut(sub) {
                    collect(found, &format!("{name} {sub}"), text);
                }
            }
        }
        let (mut command, mut text) = (with_texts(80), String::new());
        command.build();
        collect(&mut command, "sip", &mut text);
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/help.txt");
        if std::env::var_os("SIP_WRITE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let differing = kept.lines().zip(text.lines()).find(|(kept, new)| kept != new);
        assert!(kept == text, "run with SIP_WRITE=1 to keep the help as it is now: {differing:?}");
    }

    #[test]
    fn completions_and_pages_can_be_made_of_all_commands() {
        command().debug_assert();
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command(), "sip", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("propose-parameters"), "{shell}");
        }
        let folder = tempfile::tempdir().unwrap();
        let out = Some(folder.path().join("man"));
        man(&Man { out }).unwrap();
        for page in ["sip.1", "sip-steer.1", "sip-steer-add.1"] {
            assert!(folder.path().join("man").join(page).exists(), "{page}");
        }
        for page in std::fs::read_dir(folder.path().join("man")).unwrap() {
            let page = page.unwrap();
            let name = page.file_name().into_string().unwrap();
            assert!(!name.contains("help"), "{name}");
            let text = std::fs::read_to_string(page.path()).unwrap();
            // A line that begins with blanks is one of its own in a page.
            assert!(text.lines().all(|line| !line.starts_with(' ')), "{name}: {text}");
        }
    }
}
