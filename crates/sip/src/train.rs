//! `sip train`: training on this machine alone.

use anyhow::Result;
use sip_manifest::place::{hold, keep_apart};
use sip_report::Progress;
use sip_report::terminal::{Stream, fitted, output};
use sip_train::settings::{EXAMPLE, Settings};
use sip_train::{Folder, Summary, saved_settings, scratch};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::generate::MachineOptions;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// File of settings; "sip train --example" prints one with every key explained
    #[arg(long, value_name = "FILE", required_unless_present_any = ["example", "resume"])]
    config: Option<PathBuf>,
    /// Print a file of settings to begin with
    #[arg(long, conflicts_with_all = ["config", "resume"])]
    example: bool,
    /// Go on with the run in this folder, from its latest checkpoint, to the same bits as without a stop
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["config", "out", "overwrite"])]
    resume: Option<PathBuf>,
    /// Folder for the results, instead of the one in the file
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Begin anew even if the folder holds a run
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    machine: MachineOptions,
    /// Print the summary as JSON, and no progress
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.example {
        std::io::stdout().write_all(EXAMPLE.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let progress = Progress::new(arguments.json);
    let machine = arguments.machine.machine()?;
    let stop = sip_console::stop_on_interrupt()?;
    if let Some(root) = &arguments.resume {
        let folder = Folder::new(root);
        let settings: Settings = saved_settings(&folder, "train")?;
        let _held = hold(root, "train")?;
        let summary = scratch::prepare(&settings, &machine, progress)?.resume(&folder, &machine, progress, &stop)?;
        return conclude(&summary, arguments.json);
    }
    let mut settings = Settings::read(&arguments.config.clone().unwrap_or_default())?;
    if let Some(out) = &arguments.out {
        settings.set_out(out);
    }
    let folder = Folder::new(settings.out());
    let config = arguments.config.iter().map(|path| ("--config", path.as_path()));
    keep_apart(folder.root(), config.chain(settings.inputs()))?;
    folder.refuse_run(arguments.overwrite, "train")?;
    let _held = hold(folder.root(), "train")?;
    // Nothing of an earlier run is touched before everything that can be wrong was found out.
    let job = scratch::prepare(&settings, &machine, progress)?;
    folder.begin()?;
    let summary = job.begin(&settings, &folder, &machine, progress, &stop)?;
    conclude(&summary, arguments.json)
}

/// Prints what came of a run, and gives the exit code: 130 if it was stopped.
pub(crate) fn conclude(summary: &Summary, json: bool) -> Result<ExitCode> {
    let mut out = output();
    if json {
        writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(summary)?)?;
    } else {
        let loss = |loss: Option<f32>| loss.map_or("none".into(), |loss| format!("{loss:.4}"));
        writeln!(out, "\nTraining loss {} → {}", loss(summary.first_loss), loss(summary.last_loss))?;
        for (name, after) in &summary.held_out_after {
            let before = summary.held_out_before.get(name).copied().unwrap_or(f64::NAN);
            writeln!(out, "Held out: {name:<24} {before:.4} → {after:.4}")?;
        }
        let timings = &summary.timings;
        writeln!(
            out,
            "{} of {} steps, {} tokens; {:.0} tokens per second on {} threads ({})",
            summary.step, summary.steps, summary.tokens, timings.tokens_per_second, timings.threads, timings.simd
        )?;
        writeln!(out, "State root {}", summary.state_root)?;
    }
    if summary.finished {
        if !json {
            writeln!(
                out,
                "{0}/model, {0}/loss.html, {0}/metrics.jsonl and {0}/summary.json are written",
                summary.folder
            )?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let said = format!(
        "stopped after step {}, which is saved; go on with: sip {} --resume {}",
        summary.step,
        summary.command,
        sip_manifest::place::quoted(summary.folder.as_ref())
    );
    sip_report::say(&fitted(&said, Stream::Error, 2));
    Ok(ExitCode::from(130))
}
