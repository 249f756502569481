//! `sip security`: what audits and stake deter, by formula and by the protocol's own transitions.

use anyhow::Result;
use sip_protocol::ground::offence::Penalties;
use sip_protocol::ground::units::TOKEN;
use sip_protocol::training::job::MAX_AUDITORS;
use sip_report::odds::LIES;
use sip_report::terminal::output;
use sip_sim::deterrence::{self, Setting, survivors, told};
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
        std::io::stdout()
            .write_all(told::json_text(&setting, (&outcome, &lies), (arguments.trials, arguments.seed))?.as_bytes())?;
    } else {
        let text = told::table(&setting, &outcome, arguments.trials) + &told::survival_table(&setting, arguments.seed);
        output().write_all(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}
