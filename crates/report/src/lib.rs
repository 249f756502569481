//! What people are shown, from plain data: the page of a run ([`page`]), charts, pictures of disputes, the summary, lines of progress.

pub mod chart;
pub mod dispute;
mod narrow;
pub mod odds;
mod progress;
mod screen;
pub mod summary;
pub mod terminal;

pub use progress::{Progress, count, grouped};
pub use screen::{Bar, say};

use crate::summary::{DisputeSummary, Summary};
use chart::{Series, bars, escape, gains_and_losses, lines, stacked};
use std::fmt::Write;

const STYLE: &str = "
:root{--bg:#fbfaf7;--ink:#1d2326;--soft:#667078;--line:#dcd8cf;--card:#fff;--gain:#2f7d5b;--loss:#b23a48;
--c0:#2b6cb0;--c1:#c05621;--c2:#2f7d5b;--c3:#805ad5;--c4:#b7791f;--c5:#0987a0;--c6:#b83280;--c7:#4a5568}
@media(prefers-color-scheme:dark){:root{--bg:#14181b;--ink:#e6e3dc;--soft:#98a2a9;--line:#31383d;--card:#1c2226;
--gain:#58b28a;--loss:#e07a86;--c0:#63a4e8;--c1:#ed8a4c;--c2:#58b28a;--c3:#a98bee;--c4:#d9a441;--c5:#3fb6cf;--c6:#e06bb0;--c7:#9aa5b5}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,sans-serif}a{color:var(--c0)}
main{max-width:1080px;margin:0 auto;padding:2rem 1.2rem 4rem}h1{font-size:1.7rem;margin:0 0 .3rem}h2{margin:2.4rem 0 .6rem;font-size:1.2rem}
h3{margin:1.2rem 0 .4rem;font-size:1rem}p{margin:.4rem 0}.soft{color:var(--soft)}.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(460px,100%),1fr));gap:1rem}
.card,.grid2{margin-bottom:1rem}.grid2 .card{margin:0}.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:1rem;overflow-x:auto}.facts{display:flex;flex-wrap:wrap;gap:.6rem}
.facts div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem .9rem}.facts b{display:block;font-size:1.15rem}
svg{width:100%;height:auto;display:block}.grid{stroke:var(--line)}.axis{stroke:var(--soft)}.tick{fill:var(--soft);font-size:11px}.name{fill:var(--ink);font-size:12px}
.line{fill:none;stroke-width:2}.stake{fill:var(--c7)}.gain{fill:var(--gain)}.loss{fill:var(--loss)}.legend span{margin-right:1rem;font-size:.9rem}.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.35em}
table{border-collapse:collapse;width:100%;font-size:.92rem}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
ol.path{list-style:none;margin:.6rem 0;padding:0}ol.path li{border-left:3px solid var(--line);padding:.25rem 0 .25rem .9rem;margin-left:.4rem}ol.path li.trainer{border-color:var(--c1)}ol.path li.challenger{border-color:var(--c0)}ol.path li.program{border-color:var(--c3)}
ol.path .who{display:inline-block;min-width:6.2em;color:var(--soft)}.verdict{font-weight:600}blockquote{margin:.4rem 0;padding:.2rem 1rem;border-left:3px solid var(--line);white-space:pre-wrap}code{font-size:.85em;word-break:break-all}
.card h2{margin:0 0 .4rem;font-size:1rem}.card:focus-visible{outline:2px solid var(--c0)}@media(max-width:600px){main{padding:1rem .6rem 3rem}.card{padding:.7rem}svg{min-width:520px}
table,tbody,tr,td{display:block}th{display:none}tr{padding:.5rem 0;border-bottom:1px solid var(--line)}td,td.n{border:0;text-align:left;padding:.1rem 0;overflow-wrap:anywhere}
td[data-label]::before{content:attr(data-label);display:inline-block;min-width:8em;color:var(--soft)}}
";

/// The beginning of a page, up to where its content goes; [`close_page`] ends it.
pub fn open_page(title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{}</title><style>{STYLE}{}</style><main>",
        escape(title),
        colours()
    )
}

/// `report.html`: one self-contained page that shows a run.
pub fn page(summary: &Summary) -> String {
    let mut html = open_page(&format!("SIP run, seed {}", summary.seed));
    head(&mut html, summary);
    charts(&mut html, summary);
    people(&mut html, summary);
    disputes(&mut html, summary);
    demands(&mut html, summary);
    undone(&mut html, summary);
    rounds(&mut html, summary);
    samples(&mut html, summary);
    chain(&mut html, summary);
    close_page(&html)
}

/// A whole page of what [`open_page`] began: its tables and cards are ready for narrow screens and keyboards.
pub fn close_page(html: &str) -> String {
    narrow::ready(html) + "</main></html>\n"
}

fn colours() -> String {
    (0..8).fold(String::new(), |mut css, i| {
        let _ = write!(css, ".c{i}{{background:var(--c{i})}}.s{i}{{stroke:var(--c{i})}}.f{i}{{fill:var(--c{i})}}");
        css
    })
}

fn head(html: &mut String, s: &Summary) {
    let m = &s.model;
    let _ = write!(
        html,
        "<h1>A model trained by strangers</h1><p class=\"soft\">Seed {}, {} rounds of {} steps, {} people with stake. Staged fraud: {}. Root of the result: <code>{}</code></p><div class=\"facts\">",
        s.seed,
        s.rounds.len(),
        m.inner_steps,
        s.participants.len(),
        if s.cheats.is_empty() { "none".to_string() } else { escape(&s.cheats.join(", ")) },
        s.model_root
    );
    let loss = match (mean(&s.initial_loss), s.rounds.last()) {
        (Some(first), Some(last)) => format!("{first:.2} → {:.2}", mean(&last.loss).unwrap_or(f64::NAN)),
        _ => "none yet".into(),
    };
    let convicted = s.disputes.iter().filter(|d| d.outcome == "convicted").count();
    for (value, name) in [
        (format!("{:.2} M", m.parameters as f64 / 1e6), "weights"),
        (loss, "held-out loss, nats per token"),
        (format!("{:.0}", s.timings.tokens_per_second), "training tokens per second"),
        (format!("{:.1} %", s.timings.commitment_share * 100.0), "of training time for commitments"),
        (format!("{convicted} of {}", s.disputes.len()), "disputes that ended in a conviction"),
        (s.chain.transactions.to_string(), "transactions"),
        (format!("{:.2}", s.chain.commitment_bytes_per_step), "bytes on chain per step"),
        (format!("{:.2} MB", s.exchanged_bytes_per_segment() / 1e6), "handed over by a segment"),
    ] {
        let _ = write!(html, "<div><b>{value}</b>{name}</div>");
    }
    let _ = write!(html, "</div><p>{}</p><ul class=\"soft\">", escape(&s.checked.sentence));
    for line in &s.checked.lines {
        let _ = write!(html, "<li>{}</li>", escape(line));
    }
    html.push_str("</ul>");
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn charts(html: &mut String, s: &Summary) {
    let per_domain = |value: &dyn Fn(usize) -> Vec<f64>| -> Vec<Series<'_>> {
        s.domains.iter().enumerate().map(|(d, domain)| Series { name: &domain.name, values: value(d) }).collect()
    };
    let loss = per_domain(&|d| {
        let before = s.initial_loss.get(d).copied();
        before.into_iter().chain(s.rounds.iter().filter_map(|r| r.loss.get(d).copied())).collect()
    });
    let mixture =
        per_domain(&|d| s.rounds.iter().map(|r| r.mixture_bps.get(d).map_or(0.0, |b| *b as f64 / 1e4)).collect());
    let _ = write!(
        html,
        "<h2>What stake steered, and what came of it</h2><div class=\"grid2\"><div class=\"card\"><h3>Held-out loss per domain, nats per \
         token (0 = before training)</h3>{}</div><div class=\"card\"><h3>Share of the training data per round, set by attention stake</h3>{}</div></div>",
        lines("Held-out loss per domain", &loss, 0),
        stacked("Mixture per round", &mixture, 1)
    );
    for (number, setting) in s.settings.iter().enumerate() {
        let values = s.rounds.iter().filter_map(|r| r.settings.get(number).copied()).collect();
        let name = setting.name.replace('-', " ");
        let _ = write!(
            html,
            "<div class=\"card\"><h3>Scale of the {} per round, set by attention stake between {} and {}</h3>{}</div>",
            escape(&name),
            setting.lower,
            setting.upper,
            lines(&format!("Scale of the {name} per round"), &[Series { name: &name, values }], 1)
        );
    }
}

fn people(html: &mut String, s: &Summary) {
    let name = |p: &crate::summary::Participant| format!("{} ({})", p.name, p.role);
    let flows: Vec<_> = s.participants.iter().map(|p| (name(p), p.earned.sip(), p.lost.sip())).collect();
    let staked: Vec<_> = s.participants.iter().map(|p| (name(p), p.staked.sip())).collect();
    let _ = write!(
        html,
        "<h2>Who staked, who earned and who lost</h2><div class=\"grid2\"><div class=\"card\"><h3>Staked before the first round, SIP</h3>{}</div>\
         <div class=\"card\"><h3>Earned (right) and lost (left), SIP</h3>{}</div></div>\
         <div class=\"card\"><table><tr><th>Name<th>Role<th class=\"n\">Staked<th class=\"n\">Earned<th class=\"n\">Lost<th>Why</tr>",
        bars("Staked", &staked),
        gains_and_losses("Earned and lost", &flows)
    );
    for p in &s.participants {
        let _ = write!(
            html,
            "<tr id=\"{}\"><td>{}{}<td>{}<td class=\"n\">{:.0}<td class=\"n\">{:.2}<td class=\"n\">{:.2}<td>{}</tr>",
            anchor(&p.name),
            escape(&p.name),
            addresses(p),
            escape(&p.role),
            p.staked.sip(),
            p.earned.sip(),
            p.lost.sip(),
            escape(&p.reasons.join("; "))
        );
    }
    html.push_str("</table></div>");
}

/// Where a person's row stands on the page.
fn anchor(name: &str) -> String {
    format!("of-{}", name.replace(|char: char| !char.is_ascii_alphanumeric(), "-"))
}

/// A person's name, which leads to its row.
fn person(name: &str) -> String {
    format!("<a href=\"#{}\">{}</a>", anchor(name), escape(name))
}

/// A person's wallet and pool, folded away.
fn addresses(p: &crate::summary::Participant) -> String {
    if p.wallet.is_empty() {
        return String::new();
    }
    let pool = p.pool.as_ref().map(|pool| format!("<br>pool <code>{}</code>", escape(pool))).unwrap_or_default();
    format!(
        "<details class=\"soft\"><summary>addresses</summary>wallet <code>{}</code>{pool}</details>",
        escape(&p.wallet)
    )
}

fn disputes(html: &mut String, s: &Summary) {
    html.push_str("<h2>Disputes, level by level</h2>");
    if s.disputes.is_empty() {
        html.push_str("<p>Nobody accused anybody.</p>");
    }
    for d in &s.disputes {
        dispute(html, d);
    }
}

fn dispute(html: &mut String, d: &DisputeSummary) {
    let _ = write!(
        html,
        "<div class=\"card\"><h3>{}: {} accuses {}, {}</h3><ol class=\"path\">",
        if d.round == 0 { "Before the first round".into() } else { format!("Round {}", d.round) },
        person(&d.challenger),
        person(&d.defendant),
        escape(&d.subject)
    );
    for level in &d.path {
        let _ = write!(
            html,
            "<li class=\"{0}\"><span class=\"who\">{1}</span>{2} <span class=\"soft\">{3} CU</span></li>",
            if matches!(level.by.as_str(), "challenger" | "program") { &level.by } else { "trainer" },
            escape(&level.by),
            escape(&level.what),
            level.compute_units
        );
    }
    let _ = write!(
        html,
        "</ol><p class=\"verdict\">{}: {}</p><p class=\"soft\">{} transactions of the defendant, {} of the challenger, {} compute units in all.{}</p></div>",
        escape(&d.outcome),
        escape(&d.verdict),
        d.defendant_transactions,
        d.challenger_transactions,
        d.compute_units,
        match d.address.is_empty() {
            true => String::new(),
            false => format!(" Account <code>{}</code>, of which the run's folder keeps a copy.", escape(&d.address)),
        }
    );
}

fn demands(html: &mut String, s: &Summary) {
    if s.demands.is_empty() {
        return;
    }
    html.push_str("<h2>Demands for what was committed</h2><div class=\"card\"><table><tr><th class=\"n\">Round<th>Who demands<th>Of whom<th>What<th>Outcome</tr>");
    for d in &s.demands {
        let _ = write!(
            html,
            "<tr><td class=\"n\">{}<td>{}<td>{}<td>chunk {} of entry {} of the state<td>{}</tr>",
            d.round,
            escape(&d.demander),
            escape(&d.defendant),
            d.chunk,
            d.entry,
            escape(&d.outcome)
        );
    }
    html.push_str("</table></div>");
}

fn undone(html: &mut String, s: &Summary) {
    if s.undone.is_empty() {
        return;
    }
    html.push_str("<h2>Rounds that were undone and played again</h2><div class=\"card\"><table><tr><th class=\"n\">Round<th>Why<th>Segments, paid out of the liar's slice</tr>");
    for round in &s.undone {
        let segments =
            round.segments.iter().map(|x| format!("{}: {}, {:.2} tokens", x.trainer, x.status, x.reward.sip()));
        let _ = write!(
            html,
            "<tr><td class=\"n\">{}<td>{}<td>{}</tr>",
            round.round,
            escape(&round.why),
            escape(&segments.collect::<Vec<_>>().join("\n")).replace('\n', "<br>")
        );
    }
    html.push_str("</table></div>");
}

fn rounds(html: &mut String, s: &Summary) {
    html.push_str(
        "<h2>Rounds</h2><div class=\"card\"><table><tr><th class=\"n\">Round<th>Segments<th class=\"n\">Score<th class=\"n\">Q<th>State root</tr>",
    );
    for r in &s.rounds {
        let segments: Vec<String> = r
            .segments
            .iter()
            .map(|x| {
                let audited = if x.audited_by.is_empty() {
                    String::new()
                } else {
                    format!(", audited by {}", x.audited_by.join(" and "))
                };
                format!("{}: {}{audited}, {:.2} tokens", x.trainer, x.status, x.reward.sip())
            })
            .collect();
        let _ = write!(
            html,
            "<tr><td class=\"n\">{}<td>{}<td class=\"n\">{:.4}<td class=\"n\">{:.3}<td><code>{}</code></tr>",
            r.index + 1,
            escape(&segments.join("\n")).replace('\n', "<br>"),
            r.score,
            r.quality,
            r.state_root.get(..16).unwrap_or(&r.state_root)
        );
    }
    html.push_str("</table></div>");
}

fn samples(html: &mut String, s: &Summary) {
    html.push_str("<h2>What the model writes</h2>");
    for sample in &s.samples {
        let _ = write!(
            html,
            "<div class=\"card\"><blockquote><b>{}</b>{}</blockquote></div>",
            escape(&sample.prompt),
            escape(&sample.text)
        );
    }
}

fn chain(html: &mut String, s: &Summary) {
    let c = &s.chain;
    let _ = write!(
        html,
        "<h2>The chain</h2><div class=\"card\"><p>{} transactions, {} compute units, {} bytes. Supply {:.0} tokens, {:.4} burned; the vault held \
         exactly what the accounts claim after every round: {}.</p><table><tr><th>Instruction<th class=\"n\">Count<th class=\"n\">Compute units (median)</tr>",
        c.transactions,
        c.compute_units,
        c.transaction_bytes,
        c.supply.sip(),
        c.burned.sip(),
        if c.conserved { "yes" } else { "no" }
    );
    for i in &c.instructions {
        let _ = write!(
            html,
            "<tr><td>{}<td class=\"n\">{}<td class=\"n\">{}</tr>",
            escape(&i.name),
            i.count,
            i.compute_units
        );
    }
    html.push_str("</table></div>");
}
