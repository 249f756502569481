//! Who takes part in a network on one machine, and the file that knows them.
//!
//! ```text
//! sip-network/
//!   network.json        who runs where
//!   chain/, chain.log   the chain
//!   people/trainer-1/   key.json, node/ (what it keeps), node.log, commands (what it was begun with)
//! ```

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sip_data::shown_path;
use sip_manifest::folder::{read_json, write_text};
use sip_manifest::place::{foreign, quoted};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;

/// The creator of the job.
pub(crate) const CREATOR: &str = "creator";
/// Who publishes the texts.
pub(crate) const PROVIDER: &str = "provider";

/// What somebody asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Trainers.
    pub trainers: usize,
    /// Auditors.
    pub auditors: usize,
    /// Evaluators.
    pub evaluators: usize,
    /// What the last trainer does instead of its work.
    pub cheat: Option<String>,
    /// Rounds to train.
    pub rounds: u32,
    /// Steps of each trainer in each round.
    pub steps: u32,
    /// Size of the model.
    pub model: String,
    /// Milliseconds that a slot lasts.
    pub slot_ms: u64,
    /// Seconds of each phase of a round at most.
    pub phase_seconds: u64,
}

/// The chain's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    /// Where it answers.
    pub port: u16,
    /// Its process, where one was started.
    pub process: Option<Process>,
}

/// Somebody with a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// "trainer 1".
    pub name: String,
    /// "trainer"; the kind of its pool, if it has one.
    pub role: String,
    /// Where its key is, and what it keeps.
    pub folder: PathBuf,
    /// Where it serves.
    pub port: u16,
    /// Its address; empty before it has a key.
    pub wallet: String,
    /// Its pool's address, if it has one.
    pub pool: Option<String>,
    /// What it does instead of its work.
    pub cheat: Option<String>,
    /// Its process, where one was started.
    pub process: Option<Process>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Its folder.
    #[serde(skip)]
    pub root: PathBuf,
    /// What was asked for.
    pub wanted: Wanted,
    /// The chain.
    pub chain: Chain,
    /// The job, once there is one.
    pub job: Option<String>,
    /// Who takes part.
    pub people: Vec<Person>,
}

impl Network {
    /// The network of a folder, if there is one.
    pub fn find(root: &Path) -> Result<Option<Network>> {
        let path = root.join("network.json");
        if !path.exists() {
            return Ok(None);
        }
        let network: Network = read_json(&path)?;
        Ok(Some(Network { root: root.to_owned(), ..network }))
    }

    /// A network that has not begun, in a folder that holds nothing else.
    pub fn new(root: &Path, wanted: Wanted) -> Result<Network> {
        super::require_unix()?;
        if let Some(found) = foreign(root, &|_| false) {
            anyhow::bail!("{} holds {found}; choose another folder with --folder", shown_path(root));
        }
        let mut people = Vec::new();
        let mut add = |name: String, role: &str, cheat: Option<String>| -> Result<()> {
            let folder = root.join("people").join(name.replace(' ', "-"));
            let (role, wallet) = (role.to_owned(), String::new());
            people.push(Person { name, role, folder, port: port(1)?, wallet, pool: None, cheat, process: None });
            Ok(())
        };
        add(CREATOR.into(), CREATOR, None)?;
        add(PROVIDER.into(), PROVIDER, None)?;
        for (role, count) in
            [("trainer", wanted.trainers), ("auditor", wanted.auditors), ("evaluator", wanted.evaluators)]
        {
            for number in 1..=count {
                let lies = role == "trainer" && number == count;
                add(format!("{role} {number}"), role, wanted.cheat.clone().filter(|_| lies))?;
            }
        }
        let chain = Chain { port: port(2)?, process: None };
        Ok(Network { root: root.to_owned(), wanted, chain, job: None, people })
    }

    /// Writes down what stands.
    pub(crate) fn keep(&self) -> Result<()> {
        std::fs::create_dir_all(&self.root).with_context(|| format!("cannot make {}", shown_path(&self.root)))?;
        write_text(&self.root.join("network.json"), &format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// Where the chain answers.
    pub fn url(&self) -> Result<String> {
        Ok(format!("http://127.0.0.1:{}", self.chain.port))
    }

    /// Somebody, by name.
    pub(crate) fn person(&self, name: &str) -> Result<&Person> {
        self.people.iter().find(|person| person.name == name).with_context(|| format!("there is no {name}"))
    }

    /// Who operates a pool.
    pub(crate) fn operator(&self, pool: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.pool.as_deref() == Some(pool))
    }

    /// Ends all processes, the chain last, and says how many there were.
    pub fn end(&mut self) -> Result<usize> {
        let people: Vec<Process> =
            self.people.iter_mut().filter_map(|person| person.process.take()).filter(Process::runs).collect();
        people.iter().try_for_each(Process::ask)?;
        people.iter().try_for_each(Process::wait)?;
        let chain = self.chain.process.take().filter(Process::runs);
        if let Some(chain) = &chain {
            chain.ask()?;
            chain.wait()?;
        }
        self.keep()?;
        Ok(people.len() + usize::from(chain.is_some()))
    }
}

impl Person {
    /// Its key's file.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("key.json")
    }

    /// Whether its process runs.
    pub fn runs(&self) -> bool {
        self.process.as_ref().is_some_and(Process::runs)
    }

    /// Where its process serves what it has.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A command as the person types it, in its folder, and notes it there.
    pub(crate) fn types(&self, url: &str, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(words).current_dir(&self.folder);
        for variable in ["SIP_PROGRAM", "COLUMNS"] {
            command.env_remove(variable);
        }
        command.env("SIP_URL", url).env("SIP_KEY", self.key()).env("SIP_NAMES", self.folder.join("names.json"));
        let shown = |word: &&str| if word.starts_with("--") { (*word).to_owned() } else { quoted(Path::new(word)) };
        let line: Vec<String> = words.iter().map(shown).collect();
        let path = self.folder.join("commands");
        let before = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| format!("export SIP_URL={url} SIP_KEY=key.json SIP_NAMES=names.json\n"));
        let line = format!("sip {}\n", line.join(" "));
        if !before.contains(&line) {
            write_text(&path, &(before + &line))?;
        }
        Ok(command)
    }
}

/// The first of so many ports in a row that are free.
fn port(count: u16) -> Result<u16> {
    for _ in 0..100 {
        let held = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
        let first = held.local_addr()?.port();
        let others = (1..count).all(|more| TcpListener::bind(("127.0.0.1", first.saturating_add(more))).is_ok());
        if others {
            return Ok(first);
        }
    }
    anyhow::bail!("no {count} ports in a row are free")
}
