//! `sip finetune`: a model that exists learns from texts, answers or preferences.

use anyhow::Result;
use sip_manifest::place::{hold, keep_apart};
use sip_report::Progress;
use sip_train::finetune::{Settings, prepare};
use sip_train::{Folder, saved_settings};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::generate::MachineOptions;
use crate::train::conclude;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Go on with the run in this folder, from its latest checkpoint, to the same bits as without a stop
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["Settings", "overwrite"])]
    resume: Option<PathBuf>,
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
    let progress = Progress::new(arguments.json);
    let machine = arguments.machine.machine()?;
    let stop = sip_console::stop_on_interrupt()?;
    if let Some(root) = &arguments.resume {
        let folder = Folder::new(root);
        let settings: Settings = saved_settings(&folder, "finetune")?;
        let _held = hold(root, "finetune")?;
        let summary = prepare(&settings, &machine, progress)?.resume(&folder, &machine, progress, &stop)?;
        return conclude(&summary, arguments.json);
    }
    let folder = Folder::new(&arguments.settings.out);
    keep_apart(folder.root(), arguments.settings.inputs())?;
    folder.refuse_run(arguments.overwrite, "finetune")?;
    let _held = hold(folder.root(), "finetune")?;
    // Nothing of an earlier run is touched before everything that can be wrong was found out.
    let job = prepare(&arguments.settings, &machine, progress)?;
    folder.begin()?;
    let summary = job.begin(&arguments.settings, &folder, &machine, progress, &stop)?;
    conclude(&summary, arguments.json)
}
