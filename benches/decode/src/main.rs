//! Our decoder beside candle's: the same model, weights, tokens and threads, in turns in one run.

mod rival;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cpu_time::ProcessTime;
use rival::Rival;
use serde_json::{Value, json};
use sip_kernels::{MAX_THREADS, Simd, Threads};
use sip_model::{Decoder, LoadedModel};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Greatest difference of the logits, relative to the greatest of them.
const TOLERANCE: f32 = 1e-3;

/// Speed of reading a prompt and of writing tokens one by one beside candle, in tokens per second.
#[derive(Parser)]
struct Options {
    /// The model: a Hugging Face folder or a .gguf file.
    model: PathBuf,
    /// Tokens of the prompt.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    prompt: u32,
    /// Tokens that are written after it.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    tokens: u32,
    /// Measurements of each side; medians are reported.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pairs: u32,
    /// Threads of each side.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_THREADS as i64))]
    threads: u32,
    /// Reports as JSON.
    #[arg(long)]
    json: bool,
}

/// The text of the prompt, repeated as often as needed.
const TEXT: &str = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of \
    foolishness, it was the epoch of belief, it was the epoch of incredulity. ";

fn main() -> Result<()> {
    let options = Options::parse();
    // SAFETY: no other thread runs yet. candle has no other way to be told its number of threads.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", options.threads.to_string()) };
    let report = measure(&options)?;
    if options.json {
        println!("{report:#}")
    } else {
        print(&report)
    }
    Ok(())
}

fn measure(options: &Options) -> Result<Value> {
    let model = LoadedModel::open(&options.model)
        .with_context(|| format!("cannot load the model in {}", options.model.display()))?;
    let (count, new) = (options.prompt as usize, options.tokens as usize);
    ensure!(count + new <= model.config.max_seq_len, "the model's context is {} tokens", model.config.max_seq_len);
    let prompt: Vec<u32> = model.tokenizer.encode(TEXT)?.into_iter().cycle().take(count).collect();
    let threads = Arc::new(Threads::new(options.threads as usize));
    let weight_bytes: usize = model.weights.iter().map(|weight| weight.len() * 4).sum();
    let mut rival = Rival::new(&model.config, &model.weights)?;
    let mut own = Decoder::new(&model.config, model.weights, count + new, threads, Simd::detect())?;
    let written = agree(&mut own, &mut rival, &prompt, new)?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..=options.pairs {
        own.truncate(0);
        let own_time = Sample::of(&prompt, &written, |tokens| Ok(own.feed(tokens).map(|_| ())?))?;
        rival.clear()?;
        let rival_time = Sample::of(&prompt, &written, |tokens| rival.feed(tokens).map(|_| ()))?;
        // The first pair warms both up.
        if pair > 0 {
            ours.push(own_time);
            theirs.push(rival_time);
        }
    }
    let side = |samples: &[Sample]| {
        let decode = median(samples.iter().map(|sample| sample.decode.seconds)) / new as f64;
        json!({
            "prefill_tokens_per_second": count as f64 / median(samples.iter().map(|sample| sample.prefill.seconds)),
            "decode_tokens_per_second": 1.0 / decode,
            "decode_cpu_ms": median(samples.iter().map(|sample| sample.decode.cpu_seconds)) / new as f64 * 1e3,
            "weight_gigabytes_per_second": weight_bytes as f64 / decode / 1e9,
        })
    };
    let ratio = |of: fn(&Sample) -> f64| median(ours.iter().zip(&theirs).map(|(own, other)| of(other) / of(own)));
    Ok(json!({
        "parameters": weight_bytes / 4,
        "prompt_tokens": count,
        "tokens": new,
        "threads": options.threads,
        "pairs": options.pairs,
        "simd": format!("{:?}", Simd::detect()),
        "sip": side(&ours),
        "candle": side(&theirs),
        "decode_ratio": ratio(|sample| sample.decode.seconds),
        "decode_cpu_ratio": ratio(|sample| sample.decode.cpu_seconds),
        "prefill_ratio": ratio(|sample| sample.prefill.seconds),
        "prefill_cpu_ratio": ratio(|sample| sample.prefill.cpu_seconds),
    }))
}

/// The likeliest continuation by our logits, of which candle's must differ by rounding only.
fn agree(own: &mut Decoder, rival: &mut Rival, prompt: &[u32], count: usize) -> Result<Vec<u32>> {
    let mut written = Vec::new();
    let mut next = prompt.to_vec();
    while written.len() < count {
        let found: Vec<f32> = own.feed(&next)?.iter().map(|&bits| f32::from_bits(bits)).collect();
        let other = rival.feed(&next)?;
        let scale = other.iter().fold(0f32, |scale, logit| scale.max(logit.abs()));
        let difference = found.iter().zip(&other).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        ensure!(
            difference <= TOLERANCE * scale,
            "after {} tokens the logits differ by {difference} of {scale}; they compute different models",
            prompt.len() + written.len()
        );
        let likeliest = (0..found.len()).max_by(|&a, &b| found[a].total_cmp(&found[b])).unwrap_or(0) as u32;
        written.push(likeliest);
        next = vec![likeliest];
    }
    Ok(written)
}

/// Time of one measurement.
struct Sample {
    prefill: Elapsed,
    decode: Elapsed,
}

struct Elapsed {
    seconds: f64,
    /// Of all threads together: it does not grow while other programs hold the cores.
    cpu_seconds: f64,
}

impl Sample {
    fn of(prompt: &[u32], written: &[u32], mut feed: impl FnMut(&[u32]) -> Result<()>) -> Result<Sample> {
        let prefill = Elapsed::of(|| feed(prompt))?;
        let decode = Elapsed::of(|| written.chunks(1).try_for_each(&mut feed))?;
        Ok(Sample { prefill, decode })
    }
}

impl Elapsed {
    fn of(work: impl FnOnce() -> Result<()>) -> Result<Elapsed> {
        let (started, cpu_started) = (Instant::now(), ProcessTime::now());
        work()?;
        Ok(Elapsed { seconds: started.elapsed().as_secs_f64(), cpu_seconds: cpu_started.elapsed().as_secs_f64() })
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

fn print(report: &Value) {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    println!(
        "{:.1} million parameters, prompt of {}, {} tokens one by one, {} thread(s), medians of {} pairs",
        number(&report["parameters"]) / 1e6,
        report["prompt_tokens"],
        report["tokens"],
        report["threads"],
        report["pairs"],
    );
    for side in ["sip", "candle"] {
        let side_report = &report[side];
        println!(
            "{side:<7} prompt {:>8.1} tokens/s   writing {:>7.2} tokens/s, {:.2} ms of processor time each, {:.1} GB/s of weights",
            number(&side_report["prefill_tokens_per_second"]),
            number(&side_report["decode_tokens_per_second"]),
            number(&side_report["decode_cpu_ms"]),
            number(&side_report["weight_gigabytes_per_second"]),
        );
    }
    for part in ["prefill", "decode"] {
        println!(
            "{part} ratio {:.2} (median over pairs of candle's time by ours); {:.2} of processor time",
            number(&report[&format!("{part}_ratio")]),
            number(&report[&format!("{part}_cpu_ratio")]),
        );
    }
}
