//! Reports as text.

use serde_json::Value;

/// Prints one report, or several below each other.
pub fn print(report: &Value) {
    match report {
        Value::Array(reports) => reports.iter().for_each(print),
        report if !report["profile"].is_null() => print_profile(report),
        report => print_comparison(report),
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn print_comparison(report: &Value) {
    println!(
        "{}: {:.1} million parameters, {} x {} tokens per step, {} thread(s), {}",
        text(&report["size"]),
        number(&report["parameters"]) / 1e6,
        report["batch"],
        report["seq_len"],
        report["threads"],
        text(&report["simd"]),
    );
    println!(
        "the machine: {:.0} GFLOP/s at most, {:.1} GB/s read; a token takes {:.3} GFLOP, so at most {:.0} tokens/s",
        number(&report["peak_gflops"]),
        number(&report["read_gb_per_second"]),
        number(&report["gflop_per_token"]),
        number(&report["peak_gflops"]) / number(&report["gflop_per_token"]),
    );
    println!(
        "{:<9}{:>11}{:>12}{:>9}{:>11}{:>12}{:>12}{:>10}",
        "side", "tokens/s", "ms/step", "of peak", "sip faster", "by CPU time", "peak memory", "measured"
    );
    let sides = report["sides"].as_array().map_or(&[][..], |sides| sides);
    for side in sides {
        let times = |value: &Value| value.as_f64().map_or("".into(), |ratio| format!("{ratio:.2} x"));
        println!(
            "{:<9}{:>11.0}{:>12.1}{:>8.0}%{:>11}{:>12}{:>9.2} GB{:>10}",
            text(&side["side"]),
            number(&side["tokens_per_second"]),
            number(&side["step_ms"]),
            number(&side["share_of_peak"]) * 100.0,
            times(&side["ratio"]),
            times(&side["cpu_ratio"]),
            number(&side["peak_bytes"]) / 1e9,
            side["measurements"].to_string(),
        );
    }
    for side in sides {
        let losses: Vec<String> =
            side["losses"].as_array().into_iter().flatten().map(|l| format!("{:.5}", number(l))).collect();
        if !losses.is_empty() {
            println!("losses of {} on one batch: {}", text(&side["side"]), losses.join(" "));
        }
    }
    println!();
}

fn print_profile(report: &Value) {
    let (size, threads) = (text(&report["size"]), &report["threads"]);
    println!("{size}, {threads} thread(s): {:.1} ms per step", number(&report["step_ms"]));
    for shape in report["profile"].as_array().into_iter().flatten() {
        println!(
            "{:>6.1} % {:>8.3} ms {:>3} nodes {:>7.2} G terms/s  {}",
            number(&shape["share"]) * 100.0,
            number(&shape["step_ms"]),
            shape["nodes"],
            number(&shape["billion_terms_per_second"]),
            text(&shape["shape"]),
        );
    }
}
