//! `sip node status`.

use anyhow::Result;
use sip_data::shown_path;
use sip_driver::node::{State, Status, status_path};
use sip_manifest::folder::read_json;
use sip_report::terminal::{Stream, columns, fitted};
use std::io::Write as _;
use std::process::ExitCode;

use super::Folder;
use sip_console::failure::{Code, fault};
use sip_console::table::{self, Cell};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let (folder, path) = (&arguments.folder.data, status_path(&arguments.folder.data));
    if !path.exists() {
        let folder = shown_path(folder);
        let said =
            format!("there is no node in {folder}; \"sip node run JOB --data FOLDER\" makes one, --data names another");
        return Err(fault(Code::NotFound, said));
    }
    let mut status: Status = read_json(&path)?;
    // A node that holds its folder runs.
    if let Ok(held) = sip_manifest::place::hold_of(folder, "node status", "--data") {
        drop(held);
        if ![State::Over, State::Stopped].contains(&status.state) {
            status.state = State::NotRunning;
        }
    }
    let mut out = std::io::stdout();
    if json {
        writeln!(out, "{}", serde_json::to_string(&status)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = status.rows();
    let row = rows.iter().map(|(name, value)| (&**name, Cell::text(value))).collect::<Vec<_>>();
    write!(out, "{}", table::card(&row, columns(Stream::Output)))?;
    for line in &status.said {
        writeln!(out, "{}", fitted(&format!("  {line}"), Stream::Output, 2))?;
    }
    Ok(ExitCode::SUCCESS)
}
