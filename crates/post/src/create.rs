//! `sip job create`: from a file of what is wanted to a job on a chain, and the folder that its creator serves.

use anyhow::{Context, Result, bail, ensure};
use bytemuck::Zeroable;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sip_client::NewPool;
use sip_manifest::machine::Machine;
use sip_manifest::place::{hold, keep_apart, quoted};
use sip_manifest::recipe::{Genesis, import};
use sip_manifest::value::{Domain, Manifest};
use sip_protocol::Error;
use sip_protocol::admin::config::Config;
use sip_protocol::stake::pool::{self, Pool, PoolKind, SEED_SHARES};
use sip_protocol::training::data::Dataset;
use sip_protocol::training::job::{Card, Job, JobSpec};
use sip_report::count;
use solana_address::Address;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::config::{EXAMPLE, JobFile};
use super::folder::{JobFolder, Posted};
use super::phases::{measure, propose};
use super::plan::{Making, Plan, command, say};
use super::publish;
use super::texts::{Shape, Source, Tokens, read, save_tokenizer, shape, tokens};
use sip_console::scratch;
use sip_console::words::wrong;
use sip_console::{Connection, Desk, pace, tokens as amounts};

/// Make a job of own texts or registered datasets: what is trained, by which rules and in which phases; costs are said first
#[derive(clap::Args)]
pub struct Arguments {
    /// File of what the job is; "sip job create --example" prints one with every key explained
    #[arg(long, value_name = "FILE", required_unless_present = "example")]
    config: Option<PathBuf>,
    /// Print a file to begin with
    #[arg(long, conflicts_with = "config")]
    example: bool,
    /// Folder for what the job computes with, which its creator serves; one that holds a job that was begun goes on with it
    #[arg(long, value_name = "FOLDER", default_value = "sip-job")]
    out: PathBuf,
}

/// Commission of a data pool that is made along with a job.
const COMMISSION_BPS: u16 = 500;

/// Makes a job, or goes on with one that was begun.
///
/// # Errors
/// The chain's and the file system's; wants that contradict each other or the rules.
pub fn run(connection: &Connection, arguments: &Arguments) -> Result<ExitCode> {
    let Some(path) = arguments.config.as_deref() else {
        std::io::stdout().write_all(EXAMPLE.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    let file = JobFile::read(path)?;
    let desk = &mut Desk::open(connection)?;
    desk.wallet()?;
    if let Some(microseconds) = desk.ledger.slot_microseconds()? {
        pace::measure(microseconds);
    }
    let inputs = std::iter::once(("--config", path))
        .chain(file.domain.iter().flat_map(|text| text.files.iter().map(|file| ("domain.files", file.as_path()))));
    keep_apart(&arguments.out, inputs)?;
    let folder = JobFolder::new(&arguments.out);
    let earlier = match folder.earlier(&file)? {
        Some((posted, manifest)) if posted.sent || !is_taken(desk, &posted)? => Some((posted, manifest)),
        _ => None,
    };
    let (_held, _scratch, folder) = match (desk.is_dry_run(), earlier.is_some()) {
        // Nothing is left behind by a trial.
        (true, false) => {
            let scratch = scratch()?;
            let folder = JobFolder::new(scratch.path());
            (None, Some(scratch), folder)
        }
        _ => (Some(hold(&arguments.out, "job create")?), None, folder),
    };
    let (posted, manifest) = match earlier {
        Some(earlier) => earlier,
        None => {
            folder.clear()?;
            make(desk, (path, &file), &folder)?
        }
    };
    let makings = makings(desk, &posted, &manifest)?;
    let plan = Plan::new(desk, makings)?;
    tell_costs(desk, &posted, &manifest, &plan)?;
    if desk.is_dry_run() {
        match desk.json {
            true => writeln!(std::io::stdout(), "{}", outcome(desk, &posted, &arguments.out, Some(&plan))?)?,
            false => say("nothing was sent")?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !plan.is_done() {
        plan.require_means(desk)?;
        desk.confirm("a job is made for good: nothing takes it back", "Make it?")?;
        folder.note_sent(&posted, true)?;
        let made = plan.carry_out(desk);
        if made.is_err() && !plan.is_begun(desk).unwrap_or(true) {
            folder.note_sent(&posted, false)?;
        }
        made?;
    }
    if desk.json {
        writeln!(std::io::stdout(), "{}", outcome(desk, &posted, &arguments.out, None)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("job  {}", posted.job))?;
    let texts = own_texts(desk, &posted)?;
    let roles = if posted.pool.is_some() || !texts.is_empty() { "keeper,turner,provider" } else { "keeper,turner" };
    say("next: serve what the job computes with, and open its rounds; HOST is how others reach this machine")?;
    command(&format!(
        "sip node run {} --role {roles} --data {}{} --stay --listen 0.0.0.0:9000 --announce http://HOST:9000",
        posted.job,
        quoted(&arguments.out),
        texts.concat()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the address that a job would have had is another's by now.
fn is_taken(desk: &Desk, posted: &Posted) -> Result<bool> {
    let there = desk.find::<Job>(&Posted::address(&posted.job)?)?;
    let spec = posted.spec()?;
    Ok(there.is_some_and(|there| there.spec != spec))
}

/// Options for the folders of datasets that the wallet has published before: one process of a key serves all that it answers for.
fn own_texts(desk: &Desk, posted: &Posted) -> Result<Vec<String>> {
    let pool = desk.program.pool(PoolKind::Data, &desk.wallet()?, 0);
    let mut options = Vec::new();
    for text in &posted.datasets {
        // What was made along with the job lies in its folder.
        let registered = desk.find::<Dataset>(&Posted::address(text)?)?.filter(|_| posted.pool.is_none());
        if registered.is_some_and(|dataset| dataset.pool == pool.to_bytes()) {
            let folder = publish::folder_of(text).map_or_else(|| "FOLDER".to_owned(), |folder| quoted(&folder));
            options.push(format!(" --texts {folder}"));
        }
    }
    Ok(options)
}

/// What programs are told.
fn outcome(desk: &Desk, posted: &Posted, folder: &Path, plan: Option<&Plan>) -> Result<Value> {
    Ok(json!({
        "action": "create a job",
        "sent": plan.is_none(),
        "job": posted.job,
        "manifest": posted.manifest,
        "datasets": posted.datasets,
        "pool": posted.pool,
        "phases": posted.phases,
        "folder": folder,
        "cost": plan.map(|plan| plan.to_json(desk)).transpose()?,
    }))
}

fn tell_costs(desk: &Desk, posted: &Posted, manifest: &Manifest, plan: &Plan) -> Result<()> {
    if desk.json {
        return Ok(());
    }
    let spec = posted.spec()?;
    let sizes = &manifest.sizes;
    say(&format!(
        "job {}: {} of {} on {}, {} ahead, manifest of {} bytes",
        posted.job,
        count(sizes.rounds, "round"),
        count(sizes.inner_steps, "step"),
        count(manifest.domains.len(), "domain"),
        count(spec.lookahead, "round"),
        amounts::grouped(manifest.to_bytes().len() as u64)
    ))?;
    say(&format!(
        "  a lie costs {} of an operator's own bond; a round pays at most {}",
        amounts::show(spec.slice),
        amounts::show(spec.round_reward)
    ))?;
    for phase in &posted.phases {
        let slots = u64::from(phase.slots);
        let name = &phase.name;
        say(&format!("  {name:<10}  {} slots, {}: {}", amounts::grouped(slots), pace::span(slots), phase.why))?;
    }
    match plan.done() {
        0 => {}
        1 => say("  1 account was made before")?,
        many => say(&format!("  {many} accounts were made before"))?,
    }
    if plan.is_done() {
        return say("  all of it is on the chain already");
    }
    plan.told(desk)?.iter().try_for_each(|line| say(&format!("  {line}")))
}

/// Makes tokens, manifest and terms, and notes all of it in the folder.
fn make(desk: &Desk, (path, file): (&Path, &JobFile), folder: &JobFolder) -> Result<(Posted, Manifest)> {
    let machine = Machine::from_environment()?;
    let told = |line: &str| {
        if !desk.json {
            // A reader that is gone needs no line.
            let _ = say(line);
        }
    };
    let sources = read(desk, file, &told).and_then(require_apart).with_context(|| path.display().to_string())?;
    let registered: Vec<Option<Address>> = sources
        .iter()
        .map(|source| match source {
            Source::Registered { address, .. } => Some(*address),
            Source::Own { .. } => None,
        })
        .collect();
    let Shape { config, tokenizer, weights } = shape(file, &sources)?;
    let sequence = config.max_seq_len;
    let Tokens { domains, own } = tokens(sources, &tokenizer, sequence, &told)?;
    let hash = save_tokenizer(&tokenizer, &folder.store, sequence)?;
    for (number, tokens) in own.iter().enumerate() {
        let Some(tokens) = tokens else { continue };
        tokens.train.save(&folder.store.tokens(number, "train"))?;
        tokens.heldout.save(&folder.store.tokens(number, "heldout"))?;
    }
    let seed = Genesis::Seed(file.training.seed);
    let mut recipe = file.recipe(config, seed)?;
    if let Some(weights) = weights {
        let state = import(&recipe.model, weights, recipe.codec.as_ref(), &machine)?;
        state.save(&folder.store.base(0))?;
        recipe.genesis = Genesis::Import(Arc::new(state));
    }
    let manifest = recipe.manifest(domains, hash, &machine)?;
    let mut spec = file.terms(manifest.commits()?)?;
    let speed = measure(&recipe, &manifest, &machine)?;
    told(&format!("this machine takes {:.1} ms for a step", speed.step_seconds * 1e3));
    let slot_microseconds = desk.ledger.slot_microseconds()?;
    let phases = propose(&mut spec, &file.phases, &recipe, &file.expected, speed, slot_microseconds);
    let mut posted = posted(desk, file, &manifest, &registered, spec)?;
    posted.phases = phases;
    folder.note(file, &posted, &manifest)?;
    Ok((posted, manifest))
}

/// Refuses domains of one name: stake is directed at a domain by its name.
fn require_apart(sources: Vec<Source>) -> Result<Vec<Source>> {
    let names: Vec<&str> = sources.iter().map(Source::name).collect();
    let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(*name));
    match twice {
        Some((_, name)) => Err(wrong(format!(
            "two domains are called \"{name}\"; stake is directed at one by its name, so give each its own"
        ))),
        None => Ok(sources),
    }
}

/// The job's address, its datasets' and its terms in full.
fn posted(
    desk: &Desk,
    file: &JobFile,
    manifest: &Manifest,
    registered: &[Option<Address>],
    mut spec: JobSpec,
) -> Result<Posted> {
    let (program, creator) = (desk.program, desk.wallet()?);
    let config: Config = desk.read(&program.config())?;
    let mut nonce = 0;
    while desk.find::<Job>(&program.job(&creator, nonce))?.is_some() {
        nonce += 1;
    }
    spec.seed = Sha256::new()
        .chain_update(b"sip.job.seed.1")
        .chain_update(desk.key()?.to_bytes())
        .chain_update(nonce.to_le_bytes())
        .chain_update(manifest.hash())
        .finalize()
        .into();
    fill_money(&mut spec, &config, &creator, file.terms.round_reward_tokens.is_some())?;
    let pool = program.pool(PoolKind::Data, &creator, 0);
    let dataset = |(domain, registered): (&Domain, &Option<Address>)| {
        registered.unwrap_or_else(|| program.dataset(&pool, &domain.train_root, &domain.heldout_root))
    };
    let datasets: Vec<Address> = manifest.domains.iter().zip(registered).map(dataset).collect();
    let addresses = [program.id, program.job(&creator, nonce), creator];
    let mut posted = Posted::new(addresses, nonce, manifest, &datasets, &spec);
    posted.pool = registered.iter().any(Option::is_none).then(|| pool.to_string());
    Ok(posted)
}

/// Slice and reward where nobody has given them: the least bond, and as much as it bears. Refuses terms that the program would refuse.
fn fill_money(spec: &mut JobSpec, config: &Config, creator: &Address, is_reward_given: bool) -> Result<()> {
    let parameters = &config.parameters;
    if spec.slice == 0 {
        spec.slice = parameters.minimum_self_bond;
    }
    let rewarded = config.authority == creator.to_bytes();
    let would_be =
        |spec: &JobSpec, rewarded| Job::zeroed().initialise(creator.as_array(), 0, spec, rewarded, parameters, 0);
    if !is_reward_given {
        let (mut bears, mut most) = (0, parameters.round_reward);
        while bears < most {
            let trial = bears + (most - bears).div_ceil(2);
            match would_be(&JobSpec { round_reward: trial, ..*spec }, true) {
                Ok(()) => bears = trial,
                Err(_) => most = trial - 1,
            }
        }
        spec.round_reward = bears;
    }
    would_be(spec, rewarded).map_err(|error| match error {
        Error::UnbondingTooShort => wrong(format!(
            "the phases are too long: a claim could cost its operator for {}, and stake leaves after {}; give fewer slots under [phases], or fewer steps",
            pace::span(spec.exposure_slots(parameters)),
            pace::span(parameters.unbonding_slots)
        )),
        Error::WrongSlice if spec.slice < parameters.minimum_self_bond => wrong(format!(
            "terms.slice_tokens: a slice of {} is below the least bond of {}",
            amounts::show(spec.slice),
            amounts::show(parameters.minimum_self_bond)
        )),
        Error::WrongSlice if spec.round_reward > parameters.round_reward => wrong(format!(
            "terms.round_reward_tokens: a round pays {} at most",
            amounts::show(parameters.round_reward)
        )),
        Error::WrongSlice => wrong(format!(
            "terms: a slice of {} does not bear rewards of {} a round at {} ahead; raise slice_tokens, or lower round_reward_tokens",
            amounts::show(spec.slice),
            amounts::show(spec.round_reward),
            count(spec.lookahead, "round")
        )),
        error => anyhow::anyhow!("no job can have these terms: {error}"),
    })
}

/// All accounts that the job needs, in the order in which they are made.
fn makings(desk: &Desk, posted: &Posted, manifest: &Manifest) -> Result<Vec<Making>> {
    let (program, creator) = (desk.program, desk.wallet()?);
    ensure!(
        posted.creator == creator.to_string() && posted.program == program.id.to_string(),
        "the folder holds a job of the wallet {} under the program {}; name its key and program, or another folder with --out",
        posted.creator,
        posted.program
    );
    let config: Config = desk.read(&program.config())?;
    let (spec, job) = (posted.spec()?, Posted::address(&posted.job)?);
    let there = desk.find::<Job>(&job)?;
    ensure!(
        there.as_ref().is_none_or(|there| there.spec == spec),
        "the job {job} was made of another folder since this one was filled; remove this one, or name another with --out, and begin anew"
    );
    let datasets = posted.datasets.iter().map(|text| Posted::address(text)).collect::<Result<Vec<Address>>>()?;
    let mut makings = Vec::new();
    if let Some(pool) = &posted.pool {
        let pool = Posted::address(pool)?;
        makings.push(data_pool(desk, &config, &pool)?);
        for (domain, dataset) in manifest.domains.iter().zip(&datasets) {
            // Those of others are there.
            if *dataset == program.dataset(&pool, &domain.train_root, &domain.heldout_root) {
                publish::require_as_registered(desk, dataset, domain)?;
                makings.push(registration(desk, domain, &pool)?);
            }
        }
    }
    let unbonding = pace::span(config.parameters.unbonding_slots);
    let bond = (spec.init_node_count > 0).then(|| {
        let back =
            format!("comes back {unbonding} after the job was made, unless the first weights are shown to be others");
        (config.parameters.genesis_bond, back)
    });
    makings.push(Making {
        name: "the job".into(),
        address: job,
        instruction: program.create_job(&creator, posted.nonce, &spec, &datasets),
        bytes: size_of::<Job>(),
        first_shares: 0,
        bond,
    });
    if there.is_none_or(|job| job.require_described().is_err()) {
        let card = Card::new(manifest.hash(), manifest.to_bytes().len() as u64);
        makings.push(Making {
            name: "its card, by which the manifest is found".into(),
            address: job,
            instruction: program.describe_job(&creator, &job, &card),
            bytes: 0,
            first_shares: 0,
            bond: None,
        });
    }
    for number in spec.attention_numbers() {
        makings.push(Making {
            name: format!("the pool of attention {number}"),
            address: program.attention_pool(&job, number),
            instruction: program.create_attention_pool(&creator, &job, number),
            bytes: size_of::<Pool>(),
            first_shares: SEED_SHARES,
            bond: None,
        });
    }
    Ok(makings)
}

/// The wallet's pool for data, with the least bond where it is not there yet.
pub(super) fn data_pool(desk: &Desk, config: &Config, pool: &Address) -> Result<Making> {
    if let Some(state) = desk.find::<Pool>(pool)?
        && state.status != pool::ACTIVE
    {
        bail!("the wallet's pool for data, {pool}, is retired: nobody registers datasets with it any more");
    }
    let (operator, bond) = (desk.wallet()?, config.parameters.minimum_self_bond);
    let new = NewPool { index: 0, self_bond: bond, commission_bps: COMMISSION_BPS, chain_tip: [0; 32] };
    let unbonding = pace::span(config.parameters.unbonding_slots);
    Ok(Making {
        name: "the wallet's pool for data".into(),
        address: *pool,
        instruction: desk.program.create_pool(&operator, PoolKind::Data, &new),
        bytes: size_of::<Pool>(),
        first_shares: SEED_SHARES,
        bond: Some((bond, format!("comes back {unbonding} after the pool is retired; silence to demands costs of it"))),
    })
}

/// The dataset of a domain under the wallet's pool for data.
pub(super) fn registration(desk: &Desk, domain: &Domain, pool: &Address) -> Result<Making> {
    let provider = desk.wallet()?;
    Ok(Making {
        name: format!("the dataset {}", domain.name),
        address: desk.program.dataset(pool, &domain.train_root, &domain.heldout_root),
        instruction: desk.program.register_dataset(&provider, pool, &domain.registration()),
        bytes: size_of::<Dataset>(),
        first_shares: 0,
        bond: None,
    })
}
