//! `sip --help` in groups, completions for shells, and pages for `man`.

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use sip_data::shown_path;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::failure::EXITS;
use sip_report::terminal::{Stream, columns, wrap};

/// Widest lines of help.
const COLUMNS: usize = 100;
/// Columns of a command's name in the list.
const NAME_COLUMNS: usize = 14;
/// The template of the list of all commands.
const TEMPLATE: &str = "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}Options:\n{options}{after-help}";

/// Commands by what they are for.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Start here", &["demo", "localnet", "wallet"]),
    ("Models and texts", &["train", "finetune", "generate", "eval", "tokenize", "graph"]),
    ("Work and watch", &["job", "pool", "audit", "verify", "dispute", "manifest"]),
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
    let mut command = crate::Cli::command();
    command.build();
    let width = columns(Stream::Output).unwrap_or(COLUMNS).min(COLUMNS);
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
        command = command.mut_subcommand(name, |sub| with_exits(sub, &brief));
    }
    command
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

pub(crate) fn man(arguments: &Man) -> Result<ExitCode> {
    let mut command = command();
    command.build();
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
    writeln!(std::io::stdout(), "{count} pages are in {shown}; read one with: man -l {shown}/sip.1")?;
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
    }
}
