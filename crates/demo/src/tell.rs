//! What a run came to, for people.

use anyhow::Result;
use sip_data::shown_path;
use sip_manifest::place::quoted;
use sip_report::summary::{DemandSummary, Summary};
use std::io::Write;

/// After fewer steps a model writes no words.
const GIBBERISH_STEPS: u64 = 300;

/// Tells who earned and who lost, what was disputed, what was trained, and what to do next.
///
/// # Errors
/// Where nobody reads.
pub fn print(out: &mut impl Write, summary: &Summary, folder: &std::path::Path) -> Result<()> {
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
