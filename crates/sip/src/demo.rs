//! `sip demo`: the whole protocol on one machine.

use anyhow::{Result, bail};
use sip_data::shown_path;
use sip_model::LlamaConfig;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use sip_console::words::wrong;
use sip_demo::{Run, print};
use sip_manifest::folder::Store;
use sip_manifest::place::{hold, keep_apart, quoted};
use sip_manifest::prepare;
use sip_manifest::settings::{Exchange, Fraud, MAX_ROUNDS, MAX_STEPS, MixtureRule, Settings};
use sip_report::Progress;
use sip_report::terminal::output;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Train on these texts (files, also packed or with {"text": …} on every line, or folders of them), one domain each, instead of
    /// the shipped ones; the first 4 MB of each count (400 kB with --quick)
    #[arg(long, value_name = "PATH", num_args = 1..)]
    data: Vec<PathBuf>,
    /// Size of the model; small unless --quick
    #[arg(long, value_name = "SIZE", value_parser = ["tiny", "small", "medium"])]
    model: Option<String>,
    /// Rounds to train
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_ROUNDS)))]
    rounds: Option<u32>,
    /// Steps of each trainer in each round
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_STEPS)))]
    steps: Option<u32>,
    /// Frauds to stage, separated by commas: flip-bit, lazy, poison, wrong-data, wrong-setting, withhold,
    /// late (a trainer's), update (a trainer's, with --updates compressed); false-accusation, vote, attest (an auditor's); lying-evaluator, score (an evaluator's); genesis (the creator's);
    /// "none" for an honest run
    #[arg(long, value_name = "KIND", default_value = "flip-bit,false-accusation,lying-evaluator")]
    cheat: String,
    /// How the mixture follows stake
    #[arg(long, value_name = "RULE", default_value = "linear")]
    mixture: MixtureRule,
    /// Seed of weights, batches, keys and frauds
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Seconds instead of minutes: a tiny model, few rounds, part of the texts
    #[arg(long)]
    quick: bool,
    /// What trainers hand over: whole states, or compressed updates (a nineteenth of the bytes)
    #[arg(long, value_enum, default_value_t = Exchange::Whole)]
    updates: Exchange,
    /// Folder for the results
    #[arg(long, value_name = "FOLDER", default_value = "sip-out")]
    out: PathBuf,
    /// Begin anew even if the folder holds a run
    #[arg(long)]
    overwrite: bool,
    /// Go on with the run in the folder, from its last finished round
    #[arg(long, conflicts_with_all = ["data", "model", "rounds", "steps", "cheat", "mixture", "seed", "quick", "overwrite", "updates"])]
    resume: bool,
    /// Print the summary as JSON, and no progress
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let progress = Progress::new(arguments.json);
    let stop = sip_console::stop_on_interrupt()?;
    let store = Store::new(&arguments.out);
    if !arguments.resume {
        keep_apart(store.root(), arguments.data.iter().map(|path| ("--data", path.as_path())))?;
        store.refuse_foreign()?;
    } else if !store.run().exists() {
        // Says that there is no run, and makes no folder.
        store.latest()?;
    }
    let _held = hold(store.root(), "demo")?;
    let mut run = if arguments.resume {
        Run::resume(store, progress, stop)?
    } else {
        let mut settings = settings(arguments)?;
        let (out, option) = (shown_path(&arguments.out), quoted(&arguments.out));
        if !arguments.overwrite && Run::is_unfinished(&store) {
            bail!(
                "{out} holds a run that is not finished; go on with \"sip demo --resume --out {option}\", or begin anew with --overwrite"
            );
        }
        // A run that was stopped before its chain began is no loss.
        if !arguments.overwrite && store.latest().is_ok() {
            bail!("{out} holds a run already; begin anew with --overwrite, or choose another folder with --out");
        }
        let max_bytes = if arguments.quick { 400_000 } else { usize::MAX };
        progress.stage("Data");
        prepare::tokenize(&mut settings, &arguments.data, max_bytes, &store, &|line| progress.line(line))?;
        Run::begin(settings, store, progress, stop)?
    };
    run.play()?;
    let summary = run.finish()?;
    if arguments.json {
        writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&summary)?)?;
    } else {
        print(&mut output(), &summary, &arguments.out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn settings(arguments: &Arguments) -> Result<Settings> {
    let quick = arguments.quick;
    let preset = arguments.model.as_deref().unwrap_or(if quick { "tiny" } else { "small" });
    let Some(model) = LlamaConfig::preset(preset) else { bail!("there is no model size {preset}") };
    let inner_steps = arguments.steps.unwrap_or(if quick { 12 } else { 50 });
    let rounds = arguments.rounds.unwrap_or(if quick { 4 } else { 12 });
    let cheats = frauds(&arguments.cheat)?;
    let settings = Settings {
        seed: arguments.seed,
        preset: preset.to_string(),
        model,
        batch: 4,
        inner_steps,
        leaf_interval: if quick { 5 } else { 16 }.min(inner_steps),
        rounds,
        learning_rate: 2e-3,
        // Few rounds give a draw few chances: then everything is audited, unless something is to be found late.
        audit_rate: if rounds < 6 && !cheats.contains(&Fraud::Late) { 1.0 } else { 0.5 },
        // What one auditor passed by it draws again before the round is final, so that one lie of 1,600 survives.
        second_audit_rate: 0.95,
        windows: if quick { 8 } else { 32 },
        cheats,
        mixture: arguments.mixture,
        domains: Vec::new(),
        updates: arguments.updates,
    };
    let trainers = settings.cheats.iter().filter(|fraud| fraud.is_trainers()).count();
    if trainers > 2 {
        return Err(wrong("--cheat: at most two of the three trainers can cheat; leave one of them honest"));
    }
    let misplaced = match settings.updates {
        Exchange::Whole => Fraud::Update,
        Exchange::Compressed => Fraud::Late,
    };
    if settings.cheats.contains(&misplaced) {
        let (fraud, updates) = (misplaced.name(), settings.updates.name());
        return Err(wrong(format!(
            "the fraud {fraud} is not staged with --updates {updates}; leave one of the two out"
        )));
    }
    Ok(settings)
}

fn frauds(list: &str) -> Result<Vec<Fraud>> {
    let mut frauds = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none") {
        let known = <Fraud as clap::ValueEnum>::from_str(name, false);
        let Ok(fraud) = known else {
            let names: Vec<&str> = <Fraud as clap::ValueEnum>::value_variants().iter().map(|f| f.name()).collect();
            return Err(wrong(format!("--cheat does not know \"{name}\"; it knows none, {}", names.join(", "))));
        };
        if !frauds.contains(&fraud) {
            frauds.push(fraud);
        }
    }
    Ok(frauds)
}
