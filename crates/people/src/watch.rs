//! What happens in a job, as the chain shows it.

use anyhow::{Context, Result};
use serde_json::json;
use sip_client::Program;
use sip_data::hex;
use sip_ledger::Ledger;
use sip_manifest::stop::Stop;
use sip_protocol::Account;
use sip_protocol::court::Dispute;
use sip_protocol::stake::pool::Pool;
use sip_protocol::training::finality::{NO_ROUND, Undoing};
use sip_protocol::training::job::{Job, MAX_TRAINERS, bit};
use sip_protocol::training::round::{self, Round};
use sip_protocol::training::segment::{self, Segment};
use sip_roles::Query;
use sip_rpc::Rpc;
use solana_address::Address;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Teller;
use super::network::Network;
use sip_console::reach;
use sip_console::tokens::show;
use sip_report::count;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);
/// A chain that does not answer for so long has ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far a job is.
pub struct Far {
    rounds: u32,
    scored: u32,
    /// Rounds that are scored and not final.
    ahead: u32,
    /// The round that runs, from 1.
    running: Option<u32>,
    is_over: bool,
}

/// How far a job is.
pub fn far(ledger: &Rpc, job: &str) -> Result<Far> {
    let job: Address = job.parse().context("the job is no address")?;
    let state: Box<Job> = find(ledger, &job)?.context("the job is not on the chain")?;
    Ok(Far::of(&state))
}

impl Far {
    fn of(state: &Job) -> Far {
        Far {
            rounds: state.spec.rounds,
            scored: state.rounds_scored,
            ahead: state.chain.ahead(),
            running: (state.round_live != 0).then_some(state.next_round),
            is_over: is_over(state),
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        let rounds = format!("{} of {} scored", self.scored, count(self.rounds, "round"));
        match (self.is_over, self.running) {
            (true, _) => format!("{rounds}, all of it final"),
            (_, None) => format!("{rounds}, {} not final yet", self.ahead),
            (_, Some(running)) => format!("{rounds}, round {running} runs"),
        }
    }

    /// For programs; `job` is its address.
    pub fn to_json(&self, job: &str) -> serde_json::Value {
        json!({
            "job": job, "rounds": self.rounds, "roundsScored": self.scored, "roundsNotFinal": self.ahead,
            "runningRound": self.running, "final": self.is_over,
        })
    }
}

/// Whether nothing of a job can change any more.
fn is_over(job: &Job) -> bool {
    job.rounds_scored >= job.spec.rounds && job.chain.ahead() == 0
}

fn find<T: Account>(ledger: &Rpc, address: &Address) -> Result<Option<Box<T>>> {
    let Some(account) = Ledger::account(ledger, address)? else { return Ok(None) };
    let state = T::decode(&account.data).map(Box::new);
    state.map(Some).map_err(|error| anyhow::anyhow!("account {address}: {error}"))
}

/// What was seen, so that it is told once.
#[derive(Default)]
struct Seen {
    said: BTreeSet<String>,
    /// Rounds that nothing happens in any more.
    over: BTreeSet<u32>,
    bonds: BTreeMap<String, u64>,
}

/// Tells what happens until the job is over, and gives its last base; nothing if it was asked to stop.
/// Of a network that was begun before, what happened until now is told in one line, and to programs as earlier.
pub fn follow(network: &mut Network, teller: &Teller, stop: &Stop, is_old: bool) -> Result<Option<String>> {
    let ledger = reach(&network.url()?)?;
    let job: Address = network.job.as_deref().unwrap_or_default().parse().context("the job is no address")?;
    let mut watcher = Watcher {
        ledger,
        program: Program::default(),
        job,
        network,
        teller,
        begin: Instant::now(),
        seen: Seen::default(),
        is_earlier: is_old,
        convicted: Vec::new(),
    };
    let mut answered = Instant::now();
    loop {
        if stop.requested() {
            return Ok(None);
        }
        let looked = watcher.look();
        if looked.is_ok() && std::mem::take(&mut watcher.is_earlier) {
            watcher.tell_earlier()?;
        }
        match looked {
            Ok(Some(root)) => return Ok(Some(hex(&root))),
            Ok(None) => answered = Instant::now(),
            Err(error) if answered.elapsed() > PATIENCE => return Err(error),
            Err(_) => {}
        }
        std::thread::sleep(PAUSE);
    }
}

struct Watcher<'a> {
    ledger: Rpc,
    program: Program,
    job: Address,
    network: &'a Network,
    teller: &'a Teller,
    begin: Instant,
    seen: Seen,
    /// Whether what is seen now happened before anybody looked.
    is_earlier: bool,
    /// Who was convicted before, and in which round.
    convicted: Vec<(String, u32)>,
}

impl Watcher<'_> {
    /// Tells what is new; gives the last base once the job is over.
    fn look(&mut self) -> Result<Option<[u8; 32]>> {
        let job: Box<Job> = find(&self.ledger, &self.job)?.context("the job is not on the chain")?;
        if !is_over(&job) {
            self.processes()?;
        }
        for index in 0..job.next_round {
            if self.seen.over.contains(&index) {
                continue;
            }
            let address = self.program.round(&self.job, index);
            // A round that is over for long may be closed.
            if let Some(round) = find::<Round>(&self.ledger, &address)? {
                self.round(&job, &round, &address)?;
                // What did not count is certain once a later round is final.
                let is_certain = job.chain.last_final != NO_ROUND && index < job.chain.last_final;
                if round.status == round::FINAL || round.status == round::VOID && is_certain {
                    self.seen.over.insert(index);
                }
            }
        }
        self.disputes()?;
        Ok(is_over(&job).then_some(job.base_root))
    }

    fn once(&mut self, line: &str, event: &serde_json::Value) -> Result<()> {
        if self.seen.said.insert(line.to_owned()) { self.tell(line, event.clone()) } else { Ok(()) }
    }

    /// How far the job was when this began to look.
    fn tell_earlier(&self) -> Result<()> {
        let Some(job) = find::<Job>(&self.ledger, &self.job)?.filter(|job| job.next_round > 0) else { return Ok(()) };
        let convicted = self.convicted.iter().map(|(name, round)| format!("; {name} was convicted in round {round}"));
        let line = format!("so far: {}{}", Far::of(&job).words(), convicted.collect::<String>());
        self.teller.say(&line)
    }

    /// A line with the time since the beginning.
    fn tell(&self, line: &str, mut event: serde_json::Value) -> Result<()> {
        if self.is_earlier {
            event["earlier"] = true.into();
            return if self.teller.json { self.teller.tell(line, &event) } else { Ok(()) };
        }
        let seconds = self.begin.elapsed().as_secs();
        event["seconds"] = seconds.into();
        self.teller.tell(&format!("{:>3}:{:02}  {line}", seconds / 60, seconds % 60), &event)
    }

    /// Who has ended without being asked.
    fn processes(&mut self) -> Result<()> {
        for person in &self.network.people {
            if person.process.as_ref().is_some_and(|process| !process.runs()) {
                let log = person.folder.join("node.log");
                let line = format!("{}'s process has ended; {} says why", person.name, log.display());
                self.once(&line, &json!({ "event": "ended", "who": person.name, "log": log }))?;
            }
        }
        Ok(())
    }

    fn name(&self, pool: &[u8; 32]) -> String {
        let address = Address::new_from_array(*pool).to_string();
        self.network.operator(&address).map_or(address, |person| person.name.clone())
    }

    fn wallet(&self, wallet: &[u8; 32]) -> String {
        let address = Address::new_from_array(*wallet).to_string();
        let person = self.network.people.iter().find(|person| person.wallet == address);
        person.map_or(address, |person| person.name.clone())
    }

    fn round(&mut self, job: &Job, round: &Round, address: &Address) -> Result<()> {
        let number = round.index + 1;
        let tell = |watcher: &mut Self, what: &str, event: &str| {
            let line = format!("round {number}: {what}");
            watcher.once(&line, &json!({ "event": event, "round": number }))
        };
        let base = &hex(&round.base_root)[..8];
        tell(
            self,
            &format!("{} train from the base {base}…", count(round.eligible.count_ones(), "trainer")),
            "opened",
        )?;
        for place in (0..MAX_TRAINERS as u8).filter(|place| round.committed & bit(*place) != 0) {
            let pool = round.trainers[usize::from(place)];
            let name = self.name(&pool);
            let line = format!("round {number}: {name} has committed its segment");
            self.once(&line, &json!({ "event": "committed", "round": number, "who": name }))?;
            let segment = self.program.segment(address, &Address::new_from_array(pool));
            let convicted = find::<Segment>(&self.ledger, &segment)?.is_some_and(|s| s.status == segment::CONVICTED);
            if convicted {
                self.convicted(number, &pool, &name)?;
            }
        }
        if round.status >= round::COMMITS_CLOSED && round.status != round::VOID {
            tell(self, "all segments are in; auditors draw and replay", "commitsClosed")?;
        }
        if round.status >= round::CLOSED && round.status != round::VOID {
            let accepted = count(round.accepted.count_ones(), "segment");
            tell(self, &format!("{accepted} count"), "closed")?;
        }
        if [round::SCORED, round::FINAL].contains(&round.status) {
            let scores = round.scores.iter().take(usize::from(job.spec.domain_count));
            let scores: Vec<String> = scores.map(|score| format!("{:.3}", f64::from(*score) / 1e6)).collect();
            let next = &hex(&round.next_base)[..8];
            tell(self, &format!("next base {next}…, held-out loss {}", scores.join(", ")), "scored")?;
            self.awaits(round)?;
        }
        if round.status == round::FINAL {
            tell(self, "final", "final")?;
        }
        if round.status == round::VOID {
            let why = match round.is_undone {
                0 => "void: nothing of it counts",
                why if why == Undoing::Work as u8 => "undone: work that counted in it was convicted",
                why if why == Undoing::Scores as u8 => "undone: no score of it stands",
                _ => "undone: it built on a round that was undone",
            };
            tell(self, why, "void")?;
        }
        Ok(())
    }

    /// Until when a scored round can be accused, so that nobody takes the silence for an end.
    fn awaits(&mut self, round: &Round) -> Result<()> {
        if round.status != round::SCORED {
            return Ok(());
        }
        let (number, until) = (round.index + 1, round.disputable_until());
        let left = until.saturating_sub(self.ledger.slot()?);
        let seconds = left * self.network.wanted.slot_ms / 1_000;
        let key = format!("round {number} awaits its end");
        if left == 0 || !self.seen.said.insert(key) {
            return Ok(());
        }
        self.tell(
            &format!(
                "round {number}: is final in about {}:{:02}, when nothing of it can be accused any more",
                seconds / 60,
                seconds % 60
            ),
            json!({ "event": "awaits", "round": number, "untilSlot": until }),
        )
    }

    fn convicted(&mut self, round: u32, pool: &[u8; 32], name: &str) -> Result<()> {
        let key = format!("{name} {round}");
        if !self.seen.said.insert(key) {
            return Ok(());
        }
        if self.is_earlier {
            self.convicted.push((name.to_owned(), round));
        }
        let left = find::<Pool>(&self.ledger, &Address::new_from_array(*pool))?.map_or(0, |pool| pool.self_bond);
        let had = self.seen.bonds.get(name).copied();
        let lost = had.map(|had| had.saturating_sub(left)).filter(|lost| *lost > 0);
        let lost_text = lost.map_or(String::new(), |lost| format!(", and lost {} of its bond", show(lost)));
        let lied =
            self.network.people.iter().find(|person| person.name == name).and_then(|person| person.cheat.clone());
        let lied_text = lied.as_ref().map_or(String::new(), |cheat| format!(" ({cheat})"));
        self.tell(
            &format!("round {round}: {name} is CONVICTED: the program ran its step and got another number{lied_text}{lost_text}"),
            json!({
                "event": "convicted", "round": round, "who": name, "lied": lied,
                "lostBaseUnits": lost.map(|lost| lost.to_string()),
            }),
        )
    }

    fn disputes(&mut self) -> Result<()> {
        for person in self.network.people.iter().filter(|person| person.role == "trainer") {
            let Some(pool) = person.pool.as_deref().and_then(|pool| pool.parse().ok()) else { continue };
            if !self.seen.bonds.contains_key(&person.name)
                && let Some(state) = find::<Pool>(&self.ledger, &pool)?
            {
                self.seen.bonds.insert(person.name.clone(), state.self_bond);
            }
        }
        let query = Query::disputes(&self.job);
        let kind = [query.kind as u8];
        let with = query.with.as_ref().map(|(offset, bytes)| (*offset, &bytes[..]));
        let parts: Vec<(usize, &[u8])> = std::iter::once((0, &kind[..])).chain(with).collect();
        for (_, account) in self.ledger.program_accounts_with(&self.program.id, &parts)? {
            let Ok(dispute) = Dispute::decode(&account.data).map(Box::new) else { continue };
            let (challenger, accused) = (self.wallet(&dispute.challenger), self.wallet(&dispute.defendant));
            let line = format!("{challenger} accuses {accused}: they bisect until one step of one element is left");
            self.once(&line, &json!({ "event": "accused", "who": accused, "by": challenger }))?;
        }
        Ok(())
    }
}
