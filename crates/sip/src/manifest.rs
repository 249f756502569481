//! `sip manifest`: all that a job computes with, as one file; `sip graph export`: what is in it, as files of their own.

use anyhow::{Context, Result, bail};
use sip_data::hex;
use sip_manifest::folder::{Store, read_json, read_manifest, write_bytes};
use sip_manifest::machine::Machine;
use sip_manifest::recipe;
use sip_manifest::settings::Settings;
use sip_manifest::value::Manifest;
use sip_proof::tensor_bytes;
use sip_report::count;
use sip_view::manifest as view;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make the manifest of a run of its settings and tokens
    Write {
        /// Folder of a run
        #[arg(value_name = "FOLDER", default_value = "sip-out")]
        folder: PathBuf,
        /// File to write [default: run/manifest.sip in the folder]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Say what a manifest holds: sizes, numbers, texts, tables, graphs, and what a job on chain commits of it
    Show {
        /// A manifest, or the folder of a run
        #[arg(value_name = "FILE|FOLDER", default_value = "sip-out")]
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// What `sip graph export` is asked for.
#[derive(clap::Args)]
pub(crate) struct Export {
    /// A manifest, or the folder of a run
    #[arg(value_name = "FILE|FOLDER", default_value = "sip-out")]
    file: PathBuf,
    /// Folder to write to: NAME.graph for each graph, N.table for each table
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut out = std::io::stdout();
    match &arguments.command {
        Command::Write { folder, out: file } => {
            let store = Store::new(folder);
            let settings: Settings = read_json(&store.settings())?;
            let manifest = recipe::manifest(&settings, &store, &Machine::from_environment()?)?;
            let path = file.clone().unwrap_or_else(|| store.manifest());
            write_new(&path, &manifest.to_bytes())?;
            writeln!(out, "{}: manifest {}", path.display(), hex(&manifest.hash()))?;
        }
        Command::Show { file, json } => {
            let manifest = read(file)?;
            match json {
                true => writeln!(out, "{:#}", view::as_json(&manifest)?)?,
                false => writeln!(out, "{}", view::as_text(&manifest)?.join("\n"))?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes every graph and table of a manifest into a folder.
pub(crate) fn export(arguments: &Export) -> Result<ExitCode> {
    let (manifest, folder) = (read(&arguments.file)?, &arguments.out);
    let tables = manifest.elements()?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut files: Vec<(String, Vec<u8>)> =
        manifest.graphs.iter().map(|(part, graph)| (format!("{}.graph", part.name()), graph.clone())).collect();
    files
        .extend((0..).zip(&tables).map(|(number, table): (usize, _)| (format!("{number}.table"), tensor_bytes(table))));
    for (name, bytes) in &files {
        write_new(&folder.join(name), bytes)?;
    }
    let (graphs, tables) = (count(manifest.graphs.len() as u32, "graph"), count(tables.len() as u32, "table"));
    writeln!(
        std::io::stdout(),
        "{}: {graphs} and {tables} of the manifest {}",
        folder.display(),
        hex(&manifest.hash())
    )?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Manifest> {
    if path.is_dir() { read_manifest(&Store::new(path).manifest()) } else { read_manifest(path) }
}

/// Writes a file that is not there, or that holds the same.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    if path.exists() {
        let same = sip_json::read_file(path, bytes.len()).is_ok_and(|found| found == bytes);
        if !same {
            bail!("{} exists and holds something else; name another, or remove it", path.display());
        }
        return Ok(());
    }
    write_bytes(path, bytes)
}
