//! `sip network`: a whole network on one machine, a process for each person and one for the chain.
//!
//! Every person has a folder with its key and what it keeps, and is begun by the commands that a stranger types on another machine; `commands` in the
//! folder lists them. The processes share nothing but the chain's address.

use anyhow::{Result, ensure};
use serde_json::json;
use sip_data::{Missing, shown_path};
use sip_manifest::place::{hold_of, quoted};
use sip_manifest::settings::Fraud;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use sip_console::table::{Cell, Row, object};
use sip_console::words::{count as whole, wrong};
use sip_console::{print_list, reach};
use sip_people::{Network, Person, Teller, Wanted, begin, far, follow};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of the network
    #[arg(long, value_name = "FOLDER", default_value = "sip-network", global = true)]
    folder: PathBuf,
    /// Print JSON: one object a line, or a list
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Start a chain and everyone on it, or those of them who do not run; follow the rounds until the job is over
    Up(Up),
    /// End all of its processes; "sip network up" goes on from there
    Down,
    /// Show who runs, where, and how far the job is
    Status,
}

#[derive(clap::Args)]
struct Up {
    /// Trainers [default: 3]
    #[arg(long, value_name = "N", value_parser = whole(1..=16))]
    trainers: Option<usize>,
    /// Auditors [default: 2]
    #[arg(long, value_name = "N", value_parser = whole(1..=16))]
    auditors: Option<usize>,
    /// Evaluators [default: 3]
    #[arg(long, value_name = "N", value_parser = whole(1..=16))]
    evaluators: Option<usize>,
    /// What the last trainer does instead of its work, from the second round on: flip-bit, lazy, poison, wrong-data or wrong-setting; "none" for an
    /// honest network [default: flip-bit]
    #[arg(long, value_name = "FRAUD")]
    cheat: Option<String>,
    /// Rounds to train [default: 4]
    #[arg(long, value_name = "N", value_parser = whole(1..=1000))]
    rounds: Option<usize>,
    /// Steps of each trainer in each round [default: 12]
    #[arg(long, value_name = "N", value_parser = whole(1..=10_000))]
    steps: Option<usize>,
    /// Size of the model [default: tiny]
    #[arg(long, value_name = "SIZE", value_parser = ["tiny", "small", "medium"])]
    model: Option<String>,
    /// Milliseconds that a slot of the chain lasts [default: 20]
    #[arg(long, value_name = "MS", value_parser = whole(10..=10_000))]
    slot_ms: Option<usize>,
    /// Seconds of each phase of a round at most, and in which its claims can be accused [default: 15]
    #[arg(long, value_name = "S", value_parser = whole(5..=10_000))]
    phase_seconds: Option<usize>,
    /// Return when everyone runs, without following the rounds
    #[arg(long)]
    detach: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.command {
        Command::Up(up) => up.run(arguments),
        Command::Down => down(arguments),
        Command::Status => status(arguments),
    }
}

impl Up {
    fn run(&self, arguments: &Arguments) -> Result<ExitCode> {
        let teller = Teller { json: arguments.json };
        let root = std::path::absolute(&arguments.folder)?;
        // A network that follows has been asked to stop by then.
        let stop = sip_console::stop_on_interrupt()?;
        let is_old;
        let mut network = {
            let _held = hold_of(&root, "network up", "--folder")?;
            let mut network = match Network::find(&root)? {
                Some(network) => {
                    self.require_as_begun(&network.wanted)?;
                    network
                }
                None => Network::new(&root, self.wanted()?)?,
            };
            is_old = network.job.is_some();
            begin(&mut network, &teller)?;
            network
        };
        let folder = quoted(&arguments.folder);
        let option = if folder == "sip-network" { String::new() } else { format!(" --folder {folder}") };
        let url = network.url()?;
        let down = format!(
            "the processes run on; \"sip network status{option}\" shows them, \"sip network down{option}\" ends them"
        );
        if self.detach {
            teller.tell(&down, &json!({ "event": "up", "url": url, "job": network.job }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let ended = follow(&mut network, &teller, &stop, is_old)?;
        let Some(root) = ended else {
            teller.say(&down)?;
            return Ok(ExitCode::from(130));
        };
        let job = network.job.clone().unwrap_or_default();
        teller.tell(
            &format!("the job is over: its last base is {root}"),
            &json!({ "event": "over", "job": job, "baseRoot": root }),
        )?;
        for (line, why) in [
            (format!("sip verify --url {url} {job}"), "replays it, from the chain and its people alone"),
            (format!("sip job export {job} --url {url} --out model"), "takes the model out, likewise"),
            ("sip generate --model model \"The people\"".to_owned(), "has it go on with a text"),
        ] {
            teller.say(&format!("next: {why}"))?;
            // A line of its own, whole, so that it can be copied.
            teller.line(&format!("  {line}"))?;
        }
        teller
            .say("creator and provider run on, to serve it, and the others end by themselves; who runs is shown by")?;
        teller.line(&format!("  sip network status{option}"))?;
        teller.say("and all of it, the chain too, is ended by")?;
        teller.line(&format!("  sip network down{option}"))?;
        Ok(ExitCode::SUCCESS)
    }

    /// What is asked for, where a network begins.
    fn wanted(&self) -> Result<Wanted> {
        let trainers = self.trainers.unwrap_or(3);
        let cheat = match self.cheat.as_deref().unwrap_or("flip-bit") {
            "none" => None,
            name => Some(liar(name)?),
        };
        ensure!(
            cheat.is_none() || trainers > 1,
            wrong(
                "--cheat: a network of one trainer that lies trains nothing; give it another trainer, or --cheat none"
            )
        );
        Ok(Wanted {
            trainers,
            auditors: self.auditors.unwrap_or(2),
            evaluators: self.evaluators.unwrap_or(3),
            cheat: cheat.map(str::to_owned),
            rounds: self.rounds.unwrap_or(4) as u32,
            steps: self.steps.unwrap_or(12) as u32,
            model: self.model.clone().unwrap_or_else(|| "tiny".into()),
            slot_ms: self.slot_ms.unwrap_or(20) as u64,
            phase_seconds: self.phase_seconds.unwrap_or(15) as u64,
        })
    }

    /// Refuses to go on with a network that was begun with something else than is asked for now.
    fn require_as_begun(&self, begun: &Wanted) -> Result<()> {
        let cheat = begun.cheat.as_deref().unwrap_or("none");
        let numbers = [
            ("--trainers", self.trainers, begun.trainers),
            ("--auditors", self.auditors, begun.auditors),
            ("--evaluators", self.evaluators, begun.evaluators),
            ("--rounds", self.rounds, begun.rounds as usize),
            ("--steps", self.steps, begun.steps as usize),
            ("--slot-ms", self.slot_ms, begun.slot_ms as usize),
            ("--phase-seconds", self.phase_seconds, begun.phase_seconds as usize),
        ];
        let numbers =
            numbers.map(|(option, asked, was)| (option, asked.map(|asked| asked.to_string()), was.to_string()));
        let words =
            [("--cheat", self.cheat.clone(), cheat.to_owned()), ("--model", self.model.clone(), begun.model.clone())];
        match numbers.into_iter().chain(words).find(|(_, asked, was)| asked.as_ref().is_some_and(|asked| asked != was))
        {
            None => Ok(()),
            Some((option, _, was)) => Err(wrong(format!(
                "{option}: the network in this folder was begun with {was}; leave the option out to go on with it, or begin another with --folder"
            ))),
        }
    }
}

/// A fraud of a trainer.
fn liar(name: &str) -> Result<&'static str> {
    let known = [Fraud::FlipBit, Fraud::Lazy, Fraud::Poison, Fraud::WrongData, Fraud::WrongSetting];
    let found = known.iter().find(|fraud| fraud.name() == name);
    let names: Vec<&str> = known.iter().map(|fraud| fraud.name()).collect();
    found
        .map(|fraud| fraud.name())
        .ok_or_else(|| wrong(format!("--cheat does not know \"{name}\"; it knows none, {}", names.join(", "))))
}

fn processes(number: usize) -> String {
    if number == 1 { "1 process".into() } else { format!("{number} processes") }
}

fn find(arguments: &Arguments) -> Result<Network> {
    let root = std::path::absolute(&arguments.folder)?;
    let shown = shown_path(&arguments.folder);
    let found = Network::find(&root)?;
    found.ok_or_else(|| Missing(format!("there is no network in {shown}; \"sip network up\" makes one")).into())
}

fn down(arguments: &Arguments) -> Result<ExitCode> {
    let mut network = find(arguments)?;
    let teller = Teller { json: arguments.json };
    let ended = network.end()?;
    let line = match ended {
        0 => "nothing of it runs".to_owned(),
        many => format!("{} ended; \"sip network up\" goes on from there", processes(many)),
    };
    teller.tell(&line, &json!({ "event": "down", "processes": ended }))?;
    Ok(ExitCode::SUCCESS)
}

fn status(arguments: &Arguments) -> Result<ExitCode> {
    let network = find(arguments)?;
    let chain = network.chain.process.as_ref().filter(|process| process.runs());
    let far = match (chain, &network.job) {
        (Some(_), Some(job)) => Some((job, far(&reach(&network.url()?)?, job)?)),
        _ => None,
    };
    let rows: Vec<Row> = network.people.iter().map(row).collect();
    if arguments.json {
        let chain = json!({
            "url": network.url()?,
            "process": chain.map(|process| process.pid),
            "slotMilliseconds": network.wanted.slot_ms,
        });
        let job = far.map(|(job, far)| far.to_json(job));
        let people: Vec<serde_json::Value> = rows.iter().map(object).collect();
        writeln!(std::io::stdout(), "{}", json!({ "chain": chain, "job": job, "people": people }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let teller = Teller { json: false };
    match chain {
        Some(process) => teller.say(&format!("chain  {}, process {}", network.url()?, process.pid))?,
        None => teller.say("chain  does not run; \"sip network up\" starts it")?,
    }
    if let Some((job, far)) = far {
        teller.say(&format!("job    {job}: {}", far.words()))?;
    }
    print_list(&rows, "nobody is there yet", false)
}

fn row(person: &Person) -> Row {
    let process = person.process.as_ref().filter(|process| process.runs());
    vec![
        ("who", Cell::text(&person.name)),
        ("process", process.map_or(Cell::Nothing, |process| Cell::Plain(process.pid.into()))),
        ("serves at", process.map_or(Cell::Nothing, |_| Cell::text(person.address()))),
        ("wallet", Cell::text(&person.wallet)),
        ("folder", Cell::text(shown_path(&person.folder))),
    ]
}
