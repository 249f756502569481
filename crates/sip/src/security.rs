//! `sip security`: what audits and stake deter, by formula and by the protocol's own transitions.

use anyhow::Result;
use serde_json::json;
use sip_protocol::ground::offence::Penalties;
use sip_protocol::ground::units::TOKEN;
use sip_protocol::training::job::MAX_AUDITORS;
use sip_report::odds::{self, LIES};
use sip_report::terminal::output;
use sip_sim::deterrence::{self, Measured, Outcome, Setting, Survivors, survivors};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use sip_console::words::{percent, simulated_sip, wrong};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Part of the segments that each auditor draws, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 50.0, value_parser = percent)]
    audit_rate: f64,
    /// Part of what an auditor did not draw that it draws again, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    second_rate: f64,
    /// Auditors of the job
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=MAX_AUDITORS as i64))]
    auditors: u32,
    /// Auditors among them that keep silent about the cheat
    #[arg(long, value_name = "N", default_value_t = 0)]
    colluding: u32,
    /// Own bond of the cheat, in SIP
    #[arg(long, value_name = "SIP", default_value_t = 2_000.0, value_parser = simulated_sip)]
    stake: f64,
    /// Part of a convicted bond that the accuser earns, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = f64::from(Penalties::DEFAULT.bounty_bps) / 100.0, value_parser = percent)]
    bounty: f64,
    /// Most that the accuser earns, in SIP
    #[arg(long, value_name = "SIP", default_value_t = (Penalties::DEFAULT.bounty_cap / TOKEN) as f64, value_parser = simulated_sip)]
    bounty_cap: f64,
    /// What a false segment brings that counts, in SIP: its reward and the work that was saved
    #[arg(long, value_name = "SIP", default_value_t = 500.0, value_parser = simulated_sip)]
    gain: f64,
    /// Rounds of the job
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Jobs to play by the protocol's transitions
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    trials: u32,
    /// Seed of these jobs
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn setting(&self) -> Result<Setting> {
        if self.colluding > self.auditors {
            return Err(wrong(format!(
                "--colluding is {}, expected at most the {} of --auditors",
                self.colluding, self.auditors
            )));
        }
        Ok(Setting {
            audit_rate: f64::from(deterrence::threshold(self.audit_rate / 100.0)) / 2f64.powi(32),
            second_rate: f64::from(deterrence::threshold(self.second_rate / 100.0)) / 2f64.powi(32),
            auditors: self.auditors,
            colluding: self.colluding,
            stake: self.stake,
            bounty_share: f64::from(self.penalties().bounty_bps) / 10_000.0,
            bounty_cap: self.bounty_cap,
            gain: self.gain,
            rounds: self.rounds,
        })
    }

    fn penalties(&self) -> Penalties {
        Penalties {
            bounty_bps: (self.bounty * 100.0).round() as u16,
            bounty_cap: (self.bounty_cap * TOKEN as f64) as u64,
            ..Penalties::DEFAULT
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let setting = arguments.setting()?;
    let outcome = deterrence::run(&setting, &arguments.penalties(), arguments.trials, arguments.seed)?;
    let lies = survivors(&setting, LIES, arguments.seed);
    if arguments.json {
        std::io::stdout().write_all(json_text(&setting, (&outcome, &lies), arguments)?.as_bytes())?;
    } else {
        let text = table(&setting, &outcome, arguments) + &survival_table(&setting, arguments.seed);
        output().write_all(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The job with every number of auditors that keep silent.
fn by_collusion(setting: &Setting) -> impl Iterator<Item = Setting> + '_ {
    (0..=setting.auditors).map(|colluding| Setting { colluding, ..*setting })
}

/// JSON has no infinity: null.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn json_text(setting: &Setting, played: (&Outcome, &Survivors), arguments: &Arguments) -> Result<String> {
    let collusion: Vec<_> = by_collusion(setting)
        .map(|setting| {
            json!({
                "colluding": setting.colluding,
                "detection": setting.detection(),
                "survival": setting.survival(),
                "survival_of_a_rational_liar": setting.survival_of_a_rational_liar(),
                "bribe": finite(setting.bribe()),
                "least_stake": finite(setting.least_stake()),
                "least_stake_with_accomplice": finite(setting.least_stake_with_accomplice()),
                "expected_profit": setting.expected_profit(),
            })
        })
        .collect();
    let value = json!({
        "audit_rate": setting.audit_rate, "second_rate": setting.second_rate, "auditors": setting.auditors, "colluding": setting.colluding,
        "stake": setting.stake, "bounty": setting.bounty(), "gain": setting.gain, "rounds": setting.rounds,
        "trials": arguments.trials, "seed": arguments.seed,
        "formula": {
            "detection": setting.detection(),
            "survival": setting.survival(),
            "replays": setting.replays(),
            "detection_over_the_job": setting.detection_over_the_job(),
            "expected_profit": setting.expected_profit(),
            "expected_profit_with_accomplice": setting.expected_profit_with_accomplice(),
            "least_stake": finite(setting.least_stake()),
            "least_stake_with_accomplice": finite(setting.least_stake_with_accomplice()),
        },
        "measured": played.0,
        "lies": played.1,
        "odds": setting.odds(arguments.seed),
        "by_colluding_auditors": collusion,
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn table(setting: &Setting, outcome: &Outcome, arguments: &Arguments) -> String {
    let mut text = format!(
        "{} auditors, of whom {} keep silent; each draws {:.2} % of the segments, and again {:.2} % of what it did not draw. The cheat has bonded {} SIP, gains {} SIP from each false segment that counts, and commits one in each of {} rounds until it is convicted.\n\n\
         {:<48}{:>10} {:>20}\n",
        setting.auditors,
        setting.colluding,
        setting.audit_rate * 100.0,
        setting.second_rate * 100.0,
        setting.stake,
        setting.gain,
        setting.rounds,
        "",
        "formula",
        format!("{} jobs played", arguments.trials),
    );
    let percent = |Measured { mean, error }| Measured { mean: mean * 100.0, error: error * 100.0 };
    let rows = [
        ("a false segment is found, percent", setting.detection() * 100.0, percent(outcome.detection)),
        (
            "the cheat is convicted within the job, percent",
            setting.detection_over_the_job() * 100.0,
            percent(outcome.detection_over_the_job),
        ),
        ("expected profit, SIP", setting.expected_profit(), outcome.expected_profit),
        (
            "the same if an accomplice takes the bounty, SIP",
            setting.expected_profit_with_accomplice(),
            outcome.expected_profit_with_accomplice,
        ),
    ];
    for (name, formula, Measured { mean, error }) in rows {
        let _ = writeln!(text, "{name:<48}{formula:>10.3} {:>20}", format!("{mean:.3} ± {error:.3}"));
    }
    text += "\nLeast own bond that deters, in SIP\n  silent auditors    found  against a stranger  against an accomplice profit now\n";
    for setting in by_collusion(setting) {
        let _ = writeln!(
            text,
            "  {:>15} {:>6.2} %  {:>18}  {:>21} {:>10.1}",
            setting.colluding,
            setting.detection() * 100.0,
            amount(setting.least_stake()),
            amount(setting.least_stake_with_accomplice()),
            setting.expected_profit(),
        );
    }
    text
}

/// What survives of lies, with none and one of the auditors on the liar's side, and what looking costs.
fn survival_table(setting: &Setting, seed: u64) -> String {
    let mut text = format!(
        "\nA lie that survives\n  {:<9} {:>9} {:>24} {:>11} {:>20}\n",
        "colluding",
        "formula",
        format!("99 % bound, {LIES} seeds"),
        "if rational",
        "bribe that would do"
    );
    for odds in setting.odds(seed) {
        let _ = writeln!(
            text,
            "  {:<9} {:>9} {:>24} {:>11} {:>20}",
            if odds.colluding == 0 { "none" } else { "one" },
            odds::percent(odds.survival),
            format!("{} ({} of {LIES})", odds::percent(odds.at_most), odds.survived),
            odds::percent(odds.rational),
            match odds.bribe {
                None if odds.survival > 0.0 => "more than the supply".into(),
                bribe => amount(bribe.unwrap_or(f64::INFINITY)),
            }
        );
    }
    let _ = writeln!(
        text,
        "Replays for a segment: {:.3} by formula, {:.3} over these seeds",
        setting.replays(),
        survivors(setting, LIES, seed).replays
    );
    text
}

fn amount(sip: f64) -> String {
    if sip.is_finite() { format!("{sip:.1}") } else { "none does".into() }
}
