//! `sip protocol init`: the values that a deployment begins with, from a file or as they are by default.

use anyhow::{Context, Result, anyhow, bail};
use sip_client::{TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use sip_protocol::admin::config::{Config, Parameters};
use sip_protocol::ground::schedule::Schedule;
use solana_address::Address;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sip_console::Desk;
use sip_console::Unit;
use sip_console::settings::{Bounded, assign, check};
use sip_console::table::Cell;

/// Most bytes of a file of values.
const MOST_BYTES: usize = 1 << 20;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The token program that the token lives under
    #[arg(long, value_enum, default_value_t = TokenProgram::SplToken)]
    token_program: TokenProgram,
    /// Parameters and schedule of emission: a TOML file (or JSON, by its name's end); what it leaves out has its default
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
    /// Print such a file with all defaults, commented, and stop
    #[arg(long)]
    pub(super) example: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum TokenProgram {
    SplToken,
    #[value(name = "token-2022")]
    Token2022,
}

impl TokenProgram {
    fn address(self) -> Address {
        match self {
            TokenProgram::SplToken => TOKEN_PROGRAM,
            TokenProgram::Token2022 => TOKEN_2022_PROGRAM,
        }
    }
}

/// What a deployment begins with.
#[derive(Debug, PartialEq)]
pub(super) struct Values {
    parameters: Parameters,
    schedule: Schedule,
}

impl Arguments {
    /// What the deployment begins with.
    pub(super) fn values(&self) -> Result<Values> {
        self.parameters.as_deref().map_or(Ok(Values::DEFAULT), Values::read)
    }
}

impl Values {
    const DEFAULT: Values = Values { parameters: Parameters::DEFAULT, schedule: Schedule::DEFAULT };

    fn read(path: &Path) -> Result<Values> {
        let text = sip_json::read_text(path, MOST_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
        let is_json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        Values::parse(&text, is_json).with_context(|| path.display().to_string())
    }

    fn parse(text: &str, is_json: bool) -> Result<Values> {
        let file: toml::Table = if is_json { sip_json::from_str(text)? } else { toml::from_str(text)? };
        let mut values = Values::DEFAULT;
        for (section, content) in &file {
            let Some(content) = content.as_table() else {
                bail!("\"{section}\" stands outside of [parameters] and [emission]");
            };
            match section.as_str() {
                "parameters" => fill(&mut values.parameters, content),
                "emission" => fill(&mut values.schedule, content),
                _ => bail!("there is no section [{section}]; there are [parameters] and [emission]"),
            }
            .with_context(|| format!("[{section}]"))?;
        }
        check(&values.parameters).context("[parameters]")?;
        check(&values.schedule).context("[emission]")?;
        Ok(values)
    }
}

/// Sets what a section gives.
fn fill<T: Bounded>(state: &mut T, content: &toml::Table) -> Result<()> {
    for (name, value) in content {
        let value = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            other => {
                return Err(anyhow!(
                    "{name}: expected a number or a text such as \"12.5%\", got a {}",
                    other.type_str()
                ));
            }
        };
        assign(T::SETTINGS, state, &format!("{}={value}", name.replace('_', "-")))?;
    }
    Ok(())
}

/// A file of all defaults, with what bounds each value.
fn example() -> String {
    let mut text = String::from(
        "# What a deployment of the protocol begins with: sip protocol init --parameters FILE.\n\
         # What is left out has the default that stands here. Amounts are tokens, spans are slots of 0.4 seconds.\n",
    );
    section(&mut text, "parameters", &Parameters::DEFAULT);
    section(&mut text, "emission", &Schedule::DEFAULT);
    text
}

fn section<T: Bounded>(text: &mut String, name: &str, state: &T) {
    let _ = writeln!(text, "\n[{name}]");
    for setting in T::SETTINGS {
        let (value, unit) = setting.read(state);
        let mut bounds = "a part of the whole".to_owned();
        state.each_bound(&mut |bounded, _, least, most| {
            if bounded == setting.name {
                let [least, most] = [least, most].map(|bound| unit.cell(bound, 0).show());
                bounds = format!("{least} to {most}");
            }
        });
        let _ = writeln!(text, "# {bounds}\n{} = \"{}\"", setting.name.replace(' ', "-"), plain(value, unit));
    }
}

/// A value as [`assign`] reads it.
fn plain(value: u64, unit: Unit) -> String {
    let shown = match unit {
        Unit::Slots => Cell::Number(value).show(),
        _ => unit.cell(value, 0).show(),
    };
    shown.replace(',', "_").replace(" SIP", "").replace(" %", "%")
}

pub(super) fn print_example() -> Result<ExitCode> {
    write!(std::io::stdout(), "{}", example())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn run(desk: &mut Desk, arguments: &Arguments) -> Result<ExitCode> {
    let values = arguments.values()?;
    if desk.find::<Config>(&desk.program.config())?.is_some() {
        bail!("the protocol has begun on this chain already; \"sip protocol show\" shows it");
    }
    let authority = desk.wallet()?;
    desk.program = desk.program.under(arguments.token_program.address());
    let begin = desk.program.initialize_with(&authority, &values.parameters, &values.schedule);
    let what =
        format!("begin the protocol under {}", sip_view::protocol::token_program_name(&desk.program.token_program));
    desk.act(&what, &[begin], &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_protocol::ground::units::TOKEN;

    #[test]
    fn the_example_is_the_defaults() {
        assert_eq!(Values::parse(&example(), false).unwrap(), Values::DEFAULT);
        assert_eq!(Values::parse("", false).unwrap(), Values::DEFAULT);
        assert!(example().contains("# 50.00 % to 100.00 %\nconvicted-segment = \"100.00%\""), "{}", example());
    }

    #[test]
    fn values_are_read_from_both_formats() {
        let toml =
            "[parameters]\nlate-segment = 12.5\nbounty = \"40%\"\nclock_slots = 8000\n[emission]\ndecay = \"0.2%\"\n";
        let json = r#"{"parameters": {"late-segment": 12.5, "bounty": "40%", "clock-slots": 8000}, "emission": {"decay": 0.2}}"#;
        for (text, is_json) in [(toml, false), (json, true)] {
            let values = Values::parse(text, is_json).unwrap();
            let penalties = values.parameters.penalties;
            assert_eq!((penalties.late_segment, penalties.bounty_bps), (TOKEN * 25 / 2, 4_000));
            assert_eq!((values.parameters.clock_slots, values.schedule.decay), (8_000, 2_000_000));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, is_json, expected) in [
            ("[parameters]\nlate-segment = 2000", false, "late-segment is 2,000 SIP, expected 0 SIP to 1,000 SIP"),
            ("[parameters]\nlate = 2", false, "there is no \"late\" to set; there are round-reward"),
            (
                "[parameters]\nbounty = true",
                false,
                "bounty: expected a number or a text such as \"12.5%\", got a boolean",
            ),
            ("[parameter]\nbounty = 3", false, "there is no section [parameter]"),
            ("bounty = 3", false, "\"bounty\" stands outside of [parameters]"),
            ("[emission]\nunit-reward = -1", false, "no amount of tokens"),
            ("{\"parameters\": {\"trainers\": \"54%\"}}", true, "must add up to 100 %"),
            ("{", true, "EOF"),
            ("[", false, "TOML parse error"),
        ] {
            let error = format!("{:#}", Values::parse(text, is_json).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
