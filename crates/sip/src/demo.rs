//! `sip demo`: the whole protocol on one machine.

use anyhow::{Result, bail};
use sip_data::shown_path;
use sip_model::LlamaConfig;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use sip_console::words::wrong;
use sip_demo::Run;
use sip_manifest::folder::Store;
use sip_manifest::place::{hold, keep_apart, quoted};
use sip_manifest::prepare;
use sip_manifest::settings::{Exchange, Fraud, MAX_ROUNDS, MAX_STEPS, MixtureRule, Settings};
use sip_report::Progress;
use sip_report::summary::{DemandSummary, Summary};
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

/// After fewer steps a model writes no words.
const GIBBERISH_STEPS: u64 = 300;

fn print(out: &mut impl Write, summary: &Summary, folder: &std::path::Path) -> Result<()> {
    writeln!(out, "\nWho earned and who lost, in SIP")?;
    writeln!(out, "  {:<22} {:>10} {:>10} {:>10}", "", "staked", "earned", "lost")?;
    for p in &summary.participants {
        writeln!(out, "  {:<22} {:>10.0} {:>10.2} {:>10.2}", p.name, p.staked.sip(), p.earned.sip(), p.lost.sip())?;
        for reason in &p.reasons {
            writeln!(out, "  {:<22}   {reason}", "")?;
        }
    }
    for dispute in &summary.disputes {
        writeln!(
            out,
            "\n{} accused {} ({}) {}: {}. {}",
            dispute.challenger,
            dispute.defendant,
            dispute.subject,
            if dispute.round == 0 { "before the first round".into() } else { format!("in round {}", dispute.round) },
            dispute.outcome,
            dispute.verdict
        )?;
        writeln!(
            out,
            "  {} transactions of the defendant, {} of the challenger, {} compute units",
            dispute.defendant_transactions, dispute.challenger_transactions, dispute.compute_units
        )?;
    }
    for demand in &summary.demands {
        let DemandSummary { round, defendant, demander, entry, chunk, outcome, .. } = demand;
        writeln!(
            out,
            "\n{demander} demanded chunk {chunk} of entry {entry} of {defendant} in round {round}: {outcome}"
        )?;
    }
    for undone in &summary.undone {
        writeln!(out, "\nRound {} was undone and played again: {}", undone.round, undone.why)?;
        for segment in &undone.segments {
            writeln!(
                out,
                "  {:<22} {}, {:.2} SIP out of the liar's slice",
                segment.trainer,
                segment.status,
                segment.reward.sip()
            )?;
        }
    }
    let chain = &summary.chain;
    writeln!(
        out,
        "\nChain: {} transactions, {} compute units; {:.2} bytes of commitments per training step; vault = liabilities: {}",
        chain.transactions,
        chain.compute_units,
        chain.commitment_bytes_per_step,
        if chain.conserved { "yes" } else { "no" }
    )?;
    writeln!(
        out,
        "Exchange: a segment hands over {:.2} MB; updates are {}",
        summary.exchanged_bytes_per_segment() / 1e6,
        summary.updates
    )?;
    for (number, domain) in summary.domains.iter().enumerate() {
        let first = summary.initial_loss.get(number).copied().unwrap_or(f64::NAN);
        let last = summary.rounds.last().and_then(|r| r.loss.get(number)).copied().unwrap_or(f64::NAN);
        writeln!(out, "Held-out loss on {:<12} {first:.3} → {last:.3} nats per token", domain.name)?;
    }
    let timings = &summary.timings;
    writeln!(
        out,
        "Training: {} steps, {} tokens, {:.0} tokens per second on {} threads ({}); commitments {:.1} % of it",
        summary.work.trained_steps,
        summary.work.trained_tokens,
        timings.tokens_per_second,
        timings.threads,
        timings.simd,
        timings.commitment_share * 100.0
    )?;
    for sample in &summary.samples {
        writeln!(out, "\n  [{}]{}", sample.prompt.trim(), sample.text.replace('\n', "\n  "))?;
    }
    writeln!(out, "\nWhat audits are worth")?;
    for line in &summary.checked.lines {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "\n{}", summary.checked.sentence)?;
    writeln!(out, "\nModel root {}", summary.model_root)?;
    writeln!(
        out,
        "{0}/model, {0}/report.html and {0}/summary.json are written; the run took {1:.0} s",
        shown_path(folder),
        timings.total_seconds
    )?;
    if summary.work.trained_steps < GIBBERISH_STEPS {
        writeln!(
            out,
            "So few steps of training teach letters at most; without --quick, or with more --steps, the text above reads better"
        )?;
    }
    let shown = quoted(folder);
    writeln!(out, "\nNext:")?;
    writeln!(out, "  sip verify {shown}")?;
    writeln!(out, "  sip generate --model {shown}/model \"The\"")?;
    writeln!(out, "  sip dispute list --run {shown}")?;
    if let Some(dispute) = summary.disputes.first() {
        let short: String = dispute.address.chars().take(8).collect();
        writeln!(out, "  sip dispute show {short} --run {shown}")?;
    }
    Ok(())
}
