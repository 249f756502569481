//! `sip job export`: the model that a job on a chain came to, as a folder that other tools load.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use sip_data::{hex, shown_path};
use sip_driver::registered;
use sip_manifest::folder::{Store, read_values, write_bytes, write_json};
use sip_manifest::machine::Machine;
use sip_manifest::place::{foreign, keep_apart, quoted};
use sip_manifest::value::{Blob, Manifest};
use sip_model::export::{TensorRef, WEIGHTS_FILE, is_file_of_model, save_pretrained};
use sip_model::tokenizer::{TOKENIZER_FILE, Tokenizer};
use sip_model::{LlamaConfig, params};
use sip_node::State;
use sip_proof::tensor_root;
use sip_protocol::training::finality::NO_ROUND;
use sip_protocol::training::job::Job;
use sip_protocol::training::round::{self, Round};
use sip_report::terminal::output;
use sip_report::{Progress, count, grouped};
use sip_rpc::public_url;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::rebuild::Bases;
use super::supply::{ANEW, Wanted};
use super::{Remote, Supply};
use sip_console::failure::{Code, fault};
use sip_console::scratch;
use sip_console::words::count as whole;
use sip_console::{AddressText, Connection, Desk};
use sip_manifest::tokenizer::place;

/// The file that says where a model comes from.
const PROVENANCE_FILE: &str = "sip.json";
/// What it says first.
const FORMAT: &str = "sip.export.1";
/// Files of a job whose graphs are no language model's.
const STATE_FILE: &str = "base.state";
const MANIFEST_FILE: &str = "manifest.sip";

/// Take the model out of a job: fetched from its people by the root on chain, written as a folder that other tools load; costs nothing
#[derive(clap::Args)]
pub struct Export {
    /// The job
    #[arg(value_name = "JOB")]
    job: AddressText,
    /// Folder for the model: new, empty, or of an earlier export
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// The model that this round ended with, as "sip job rounds" numbers them [default: the last round that is final]
    #[arg(long, value_name = "N", value_parser = whole(1..=1_000_000))]
    round: Option<usize>,
    /// Somebody who serves it, as HOST:PORT, beside those who say so on chain; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    peer: Vec<String>,
    /// Folder where what is fetched is kept, and looked for first: also one of "sip node run" that has ended, or of "sip verify --keep" [default: one
    /// that is removed]
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Folder with the job's tokenizer.json, where nobody serves it
    #[arg(long, value_name = "FOLDER")]
    tokenizer: Option<PathBuf>,
}

/// Which base is taken out.
struct Target {
    /// The round that ended with it; nothing where that is closed on chain.
    round: Option<Box<Round>>,
    /// Its number, from 1.
    number: u32,
    root: [u8; 32],
    is_final: bool,
}

/// Takes the model out of a job.
///
/// # Errors
/// The chain's, people's and the file system's; a folder that holds something else.
pub fn export(connection: &Connection, arguments: &Export) -> Result<ExitCode> {
    refuse_foreign(&arguments.out)?;
    if let Some(keep) = &arguments.keep {
        keep_apart(&arguments.out, [("--keep", &**keep)])?;
    }
    let desk = Desk::open(connection)?;
    desk.require_no_dry_run()?;
    let job = desk.locate_job(&arguments.job)?;
    let scratch = scratch()?;
    let remote = Remote {
        ledger: desk.ledger,
        program: desk.program,
        job,
        peers: arguments.peer.clone(),
        folder: arguments.keep.clone().unwrap_or_else(|| scratch.path().to_owned()),
        is_kept: arguments.keep.is_some(),
        manifest: None,
    };
    let progress = Progress::new(connection.json);
    let state: Box<Job> = remote.read(&job)?;
    let target = target(&remote, &state, arguments.round)?;
    progress.stage(&format!("The model of round {} of {job}", target.number));
    let machine = Machine::from_environment()?;
    let mut supply = remote.supply(&state, progress)?;
    let manifest = remote.manifest(&state, &mut supply)?;
    let datasets = registered(&remote.ledger, &remote.program, &state)?;
    if let Some(difference) = manifest.check(&state.spec, &datasets)? {
        bail!("the manifest that the chain names is not the job's: {}", manifest.words(difference));
    }
    let (base, is_computed) = base(&remote, &state, &manifest, &machine, &mut supply, &target, arguments)?;
    ensure!(base.root() == target.root, "the base that came is not the one of the chain");
    if manifest.model.is_some() {
        tokenizer(&mut supply, &manifest, arguments.tokenizer.as_deref())?;
    }
    let provenance = |is_complete: bool| provenance(&remote, &state, &manifest, &target, &base, is_complete);
    // Those who find half of it are told that it is.
    fs::create_dir_all(&arguments.out).with_context(|| format!("cannot make {}", shown_path(&arguments.out)))?;
    let path = arguments.out.join(PROVENANCE_FILE);
    write_json(&path, &provenance(false))?;
    match &manifest.model {
        Some(model) => write_model(&arguments.out, model, &base, &supply.store)?,
        None => {
            base.save(&arguments.out.join(STATE_FILE))?;
            write_bytes(&arguments.out.join(MANIFEST_FILE), &manifest.to_bytes())?;
        }
    }
    write_json(&path, &provenance(true))?;
    let (is_public, bytes) = (is_public(remote.ledger.url()), supply.bytes);
    let told = Told { arguments, manifest: &manifest, target: &target, is_public, is_computed, bytes };
    told.tell(&provenance(true), connection.json)
}

/// The base of the round that was asked for, or of the last one that is final.
fn target(remote: &Remote, job: &Job, number: Option<usize>) -> Result<Target> {
    let wrong = |said: String| fault(Code::NotFound, said);
    let read = |index: u32| remote.find::<Round>(&remote.program.round(&remote.job, index));
    let Some(number) = number else {
        let (last, open) = (job.chain.last_final, job.chain.open_rounds());
        if last == NO_ROUND {
            let said = "no round of the job is final yet, so there is no model that nothing can undo; \"sip job rounds\" shows how far it is, --round takes out one that is scored";
            return Err(wrong(said.into()));
        }
        let root = match open.first() {
            None => job.base_root,
            // What is not final builds on it.
            Some(oldest) => remote.read::<Round>(&remote.program.round(&remote.job, *oldest))?.base_root,
        };
        return Ok(Target { round: read(last)?, number: last + 1, root, is_final: true });
    };
    let number = number as u32;
    if number > job.next_round {
        return Err(wrong(format!("the job has had {} so far", count(job.next_round, "round"))));
    }
    let Some(round) = read(number - 1)? else {
        let said = "is closed on chain, and its base is on it no more; the last final one needs no --round";
        return Err(wrong(format!("round {number} {said}")));
    };
    match round.status {
        round::SCORED | round::FINAL => {
            let (root, is_final) = (round.next_base, round.status == round::FINAL);
            Ok(Target { round: Some(round), number, root, is_final })
        }
        round::VOID => Err(wrong(format!("round {number} came to nothing: it left no model"))),
        _ => Err(wrong(format!("round {number} is not over yet; \"sip job rounds\" shows how far it is"))),
    }
}

/// The base, and whether it was computed because nobody had it.
fn base(
    remote: &Remote,
    job: &Job,
    manifest: &Manifest,
    machine: &Machine,
    supply: &mut Supply,
    target: &Target,
    arguments: &Export,
) -> Result<(Arc<State>, bool)> {
    let commands = anew(remote, target, arguments);
    let remedy = (ANEW, &commands[..]);
    let mut bases = Bases { remote, job, manifest, machine, supply };
    match &target.round {
        Some(round) => bases.of(round, remedy),
        None => {
            let what = format!("the model of round {}", target.number);
            let wanted = Wanted { what: &what, remedy: remedy.0, commands: remedy.1, likely: &[] };
            Ok((bases.fetched(&wanted, &target.root)?, false))
        }
    }
}

/// The two commands that compute a base from the texts and take it out, as somebody would have to type them.
fn anew(remote: &Remote, target: &Target, arguments: &Export) -> Vec<String> {
    let keep = arguments.keep.as_deref().unwrap_or(Path::new("cache"));
    let peers: String = arguments.peer.iter().map(|peer| format!(" --peer {}", quoted(Path::new(peer)))).collect();
    let both = format!("{} --url {}{peers} --keep {}", remote.job, typed_url(remote.ledger.url()), quoted(keep));
    let round = if arguments.round.is_some() { format!(" --round {}", target.number) } else { String::new() };
    vec![
        format!("sip verify {both} --round {}", target.number),
        format!("sip job export {both}{round} --out {}", quoted(&arguments.out)),
    ]
}

/// The chain as a command that is told names it: of an address that may hold a key, the variable that it is best kept in.
fn typed_url(url: &str) -> String {
    if is_public(url) { url.to_owned() } else { "\"$SIP_URL\"".to_owned() }
}

/// Whether an address says no more than who answers there.
fn is_public(url: &str) -> bool {
    public_url(url) == url.trim_end_matches('/')
}

/// Has the job's tokenizer where the folder of a job has it: from a folder, or from people.
fn tokenizer(supply: &mut Supply, manifest: &Manifest, folder: Option<&Path>) -> Result<()> {
    let Some(folder) = folder else { return supply.tokenizer(&manifest.tokenizer) };
    let path = place(folder).filter(|place| place.is_dir()).unwrap_or_else(|| folder.to_owned()).join(TOKENIZER_FILE);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", shown_path(&path)))?;
    ensure!(Blob::of(&bytes) == manifest.tokenizer, "{} is not the tokenizer of the job", shown_path(&path));
    write_bytes(&supply.store.tokenizer(), &bytes)
}

/// The folder that other tools load.
fn write_model(out: &Path, model: &LlamaConfig, base: &State, store: &Store) -> Result<()> {
    Tokenizer::load(&store.data())?.save(out, model.max_seq_len)?;
    let params = params(model);
    let data: Vec<Vec<f32>> = base.entries().iter().take(params.len()).map(|entry| entry.to_f32()).collect();
    let tensors: Vec<TensorRef<'_>> = (params.iter().zip(&data))
        .map(|(param, data)| TensorRef { name: &param.name, shape: &param.shape, data })
        .collect();
    save_pretrained(out, model, &tensors).with_context(|| format!("cannot save the model to {}", shown_path(out)))
}

/// Where the model comes from, so that anybody can compare it with the chain: the base's root is that of the tree over the roots of its entries, of which
/// the weights are the first.
fn provenance(
    remote: &Remote,
    job: &Job,
    manifest: &Manifest,
    target: &Target,
    base: &State,
    is_complete: bool,
) -> Value {
    let weights = manifest.model.as_ref().map_or(0, |model| params(model).len());
    let domains = manifest.domains.iter().map(|domain| json!({ "name": domain.name, "licence": domain.licence }));
    json!({
        "format": FORMAT,
        "complete": is_complete,
        "chain": public_url(remote.ledger.url()),
        "program": remote.program.id.to_string(),
        "job": remote.job.to_string(),
        "creator": solana_address::Address::new_from_array(job.creator).to_string(),
        "round": target.number,
        "rounds": job.spec.rounds,
        "final": target.is_final,
        "manifest": hex(&manifest.hash()),
        "baseRoot": hex(&target.root),
        "weights": weights,
        "entryRoots": base.entries().iter().map(|entry| hex(&tensor_root(entry))).collect::<Vec<String>>(),
        "texts": domains.collect::<Vec<Value>>(),
    })
}

/// Refuses a folder that holds what no export wrote.
fn refuse_foreign(out: &Path) -> Result<()> {
    let provenance: Option<Value> = read_values(&out.join(PROVENANCE_FILE)).ok();
    let is_own = provenance.is_some_and(|provenance| provenance["format"] == FORMAT);
    let is_known =
        |name: &str| is_own && (is_file_of_model(name) || [PROVENANCE_FILE, STATE_FILE, MANIFEST_FILE].contains(&name));
    ensure!(!out.is_file(), "{} is a file; name a folder with --out", shown_path(out));
    match foreign(out, &is_known) {
        Some(found) => bail!(
            "{} holds {found}, which no \"sip job export\" wrote; choose another folder with --out",
            shown_path(out)
        ),
        None => Ok(()),
    }
}

/// What is said at the end.
struct Told<'a> {
    arguments: &'a Export,
    manifest: &'a Manifest,
    target: &'a Target,
    /// Whether the chain's address may be told as a whole.
    is_public: bool,
    is_computed: bool,
    bytes: u64,
}

impl Told<'_> {
    fn tell(&self, provenance: &Value, json: bool) -> Result<ExitCode> {
        let Told { arguments, manifest, target, is_public, is_computed, bytes } = self;
        let mut out = output();
        if json {
            let mut said = provenance.clone();
            if let Some(fields) = said.as_object_mut() {
                fields.remove("entryRoots");
                fields.insert("out".into(), json!(arguments.out));
                fields.insert("computed".into(), json!(is_computed));
                fields.insert("fetchedBytes".into(), json!(bytes));
            }
            writeln!(std::io::stdout(), "{said}")?;
            return Ok(ExitCode::SUCCESS);
        }
        let (folder, number) = (shown_path(&arguments.out), target.number);
        writeln!(
            out,
            "The model of round {number} is in {folder}; {} bytes came from the job's people.",
            grouped(*bytes)
        )?;
        if *is_computed {
            writeln!(out, "Nobody had it: it was computed here from what the trainers handed over.")?;
        }
        let final_ = if target.is_final {
            "nothing can change it any more"
        } else {
            "it is NOT final: a conviction may undo it"
        };
        writeln!(out, "Its base is {}, as the chain has it; {final_}.", hex(&target.root))?;
        let texts: Vec<String> = manifest
            .domains
            .iter()
            .map(|domain| match domain.licence.is_empty() {
                true => format!("{} (licence not known)", domain.name),
                false => format!("{} ({})", domain.name, domain.licence),
            })
            .collect();
        writeln!(out, "It was trained on {}; {PROVENANCE_FILE} says where it comes from.", texts.join(", "))?;
        if !is_public {
            let chain = provenance["chain"].as_str().unwrap_or_default();
            writeln!(
                out,
                "{PROVENANCE_FILE} names the chain as {chain}, without the rest of --url, which may hold a key."
            )?;
        }
        match manifest.model {
            Some(_) => writeln!(out, "next  sip generate --model {} \"The people\"", quoted(&arguments.out))?,
            None => writeln!(
                out,
                "The job's graphs are no language model's: {STATE_FILE} has the tensors, {MANIFEST_FILE} the graphs, and there is no {WEIGHTS_FILE}."
            )?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_or_told_of_a_chain_holds_no_key() {
        for url in [
            "https://rpc.example:8443/?api-key=SECRET",
            "https://user:SECRET@rpc.example:8443",
            "https://rpc.example:8443/v2/SECRET",
        ] {
            assert_eq!((&public_url(url)[..], &typed_url(url)[..]), ("https://rpc.example:8443", "\"$SIP_URL\""));
        }
        assert_eq!(typed_url("http://127.0.0.1:8899"), "http://127.0.0.1:8899");
        assert_eq!(public_url("devnet"), "https://api.devnet.solana.com");
    }
}
