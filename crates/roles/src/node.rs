//! Roles that share one view: who they are, and their step.

use sip_client::{Program, Seat};
use sip_node::Cheat;
use sip_proof::{HostSha256, Sha256 as _};
use sip_protocol::court::Side;
use sip_protocol::stake::pool::PoolKind;
use solana_address::Address;
use solana_instruction::Instruction;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use crate::case::Case;
use crate::known::Finding;
use crate::look::Query;
use crate::{Action, Asked, Claim, Event, Fact, Known, Send, Shelf, Terms, View, Work};

/// What somebody does in a job. Each can be had alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Judges every claim, accuses false ones and plays the challenger.
    pub watchtower: bool,
    /// Does an auditor's work, for the wallet's first seat.
    pub auditor: bool,
    /// Of an auditor: replays only what it draws, and takes the ends of other segments from what their trainers publish.
    pub is_drawn_only: bool,
    /// Turns what anyone may turn.
    pub turner: bool,
    /// Of a turner: closes no round with a segment that it has itself found false, as long as there is time to convict its trainer. A round
    /// that is closed with a lie in it is undone, and honest bonds are tied until it is settled.
    pub is_patient: bool,
    /// Opens rounds and has those paid who have nobody to ask for it.
    pub keeper: bool,
    /// Trains segments, for all of the wallet's seats.
    pub trainer: bool,
    /// Scores bases, for all of the wallet's seats.
    pub evaluator: bool,
    /// Answers demands for data.
    pub provider: bool,
}

/// The wallet that acts, and all that follows from its key.
#[derive(Clone)]
pub struct Me {
    /// Its address.
    pub wallet: Address,
    /// Its key: salts and draws follow from it.
    secret: [u8; 64],
    /// The secret of its hash chain, where it is not the one that follows from the key.
    chain: Option<[u8; 32]>,
    /// Pools of others for which it works by a session. A pool that names the key is none by that alone.
    pub served: BTreeSet<Address>,
}

impl fmt::Debug for Me {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Me").field("wallet", &self.wallet).finish_non_exhaustive()
    }
}

impl Me {
    /// The wallet of a key pair: 32 secret bytes, and its address.
    pub fn new(key: [u8; 64]) -> Me {
        let mut wallet = [0; 32];
        wallet.copy_from_slice(&key[32..]);
        Me { wallet: Address::new_from_array(wallet), secret: key, chain: None, served: BTreeSet::new() }
    }

    /// The same with another secret of its hash chain.
    pub fn with_chain(self, chain: Option<[u8; 32]>) -> Me {
        Me { chain, ..self }
    }

    /// The same, which works for these pools of others as well.
    pub fn serving(self, served: BTreeSet<Address>) -> Me {
        Me { served, ..self }
    }

    /// 32 bytes that nobody else knows, and that are the same after a restart.
    pub(crate) fn derived(&self, purpose: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let all: Vec<&[u8]> = [purpose, &self.secret].into_iter().chain(parts.iter().copied()).collect();
        HostSha256::hashv(&all)
    }

    /// The secret that the hash chain of an auditor's pool begins with.
    pub(crate) fn chain_secret(&self, pool_index: u32) -> [u8; 32] {
        self.chain.unwrap_or_else(|| crate::draw_secret(&self.secret, pool_index))
    }
}

/// Somebody in a job.
#[derive(Clone, Debug)]
pub struct Node {
    /// Who.
    pub me: Me,
    /// What it does.
    pub roles: Roles,
    /// What it does instead of its work, if it is a liar.
    pub cheating: Option<Cheating>,
}

/// A lie, as a change of what is asked for: frauds are no part of the roles.
#[derive(Clone, Debug, PartialEq)]
pub struct Cheating {
    /// What is done.
    pub cheat: Cheat,
    /// From this round on.
    pub from_round: u32,
}

impl Cheating {
    /// The same actions with the lie in them.
    fn applied(&self, view: &View, wallet: &Address, mut actions: Vec<Action>) -> Vec<Action> {
        let lies_in = |round: u32| round >= self.from_round;
        for action in &mut actions {
            match action {
                Action::Compute(Work::Train { round, cheat, .. }) if lies_in(*round) => {
                    *cheat = Some(self.cheat.clone());
                }
                Action::Compute(Work::Move { claim, side: Side::Trainer, cheat, .. }) => {
                    let is_own = view.answers_for(wallet, *claim);
                    if is_own && matches!(claim, Claim::Segment { round, .. } if lies_in(*round)) {
                        *cheat = Some(self.cheat.clone());
                    }
                }
                _ => {}
            }
        }
        actions
    }
}

impl Node {
    /// What to do next, most urgent first: see the [crate's page](crate).
    pub fn step(&self, view: &View, shelf: &Shelf, known: &Known, terms: &Terms) -> Vec<Action> {
        let step = Step { node: self, view, shelf, known, terms, actions: RefCell::default() };
        step.begin();
        step.defend();
        if self.roles.watchtower {
            step.pursue();
        }
        step.answers();
        step.bounties();
        step.thaw();
        step.auditor();
        step.trainer();
        step.evaluator();
        step.demands();
        if self.roles.watchtower {
            step.judge();
        }
        if self.roles.turner {
            step.turn();
        }
        if self.roles.keeper {
            step.keep_job();
        }
        step.finish();
        let mut actions = step.actions.into_inner();
        Work::in_order(&mut actions);
        match &self.cheating {
            Some(cheating) => cheating.applied(view, &self.me.wallet, actions),
            None => actions,
        }
    }

    /// Whether a job is over, and nothing of it is owed to this wallet or by it: its rounds are final or came to nothing, and are paid.
    pub fn is_done(&self, view: &View) -> bool {
        let (shelf, known, terms) = (Shelf::default(), Known::default(), Terms::default());
        let step = Step { node: self, view, shelf: &shelf, known: &known, terms: &terms, actions: RefCell::default() };
        let job = &view.job;
        let is_over = job.closed != 0 || (job.rounds_scored >= job.spec.rounds && job.chain.ahead() == 0);
        is_over && view.disputes.is_empty() && view.rounds.iter().all(|seen| seen.is_over() && !step.is_owing(seen))
    }

    /// The accounts beside the job and its rounds that matter for this wallet: to be read, and added to the view.
    pub fn watched(&self, view: &View, known: &Known, terms: &Terms) -> Vec<Address> {
        let shelf = Shelf::default();
        let step = Step { node: self, view, shelf: &shelf, known, terms, actions: RefCell::default() };
        let mut watched = Vec::new();
        for claim in known.findings.iter().filter(|(_, finding)| !finding.is_true).map(|(claim, _)| *claim) {
            let case = step.case(claim);
            watched.extend([case.dispute(), case.hidden()].into_iter().flatten());
        }
        for seen in &view.rounds {
            for stands in &seen.segments {
                watched.extend(step.asked_address(seen, stands));
            }
        }
        watched
    }

    /// What else matters of the chain, that no address follows for: to be read, and added to the view.
    pub fn queries(&self, view: &View) -> Vec<Query> {
        let mut queries = Vec::new();
        let wallet = &self.me.wallet;
        let is_accused =
            view.pools.iter().any(|(address, pool)| pool.open_disputes > 0 && view.serves(wallet, address))
                || (view.job.creator == wallet.to_bytes() && view.job.genesis_disputes > 0);
        if is_accused || (self.roles.turner && view.may_be_disputed()) {
            queries.push(Query::disputes(&view.address));
        }
        for stands in view.rounds.iter().flat_map(|seen| &seen.segments).filter(|s| s.state.open_demands > 0) {
            if self.roles.turner || view.is_for(wallet, &stands.state.operator, &stands.state.pool) {
                queries.push(Query::demands(&stands.address));
            }
        }
        if self.roles.provider {
            queries.extend(view.datasets.keys().map(Query::demands));
        }
        queries
    }
}

/// One step under way.
pub(crate) struct Step<'a> {
    pub node: &'a Node,
    pub view: &'a View,
    pub shelf: &'a Shelf,
    pub known: &'a Known,
    pub terms: &'a Terms,
    pub actions: RefCell<Vec<Action>>,
}

impl<'a> Step<'a> {
    pub(crate) fn program(&self) -> &'a Program {
        &self.view.program
    }

    pub(crate) fn me(&self) -> &'a Me {
        &self.node.me
    }

    pub(crate) fn wallet(&self) -> Address {
        self.node.me.wallet
    }

    pub(crate) fn push(&self, action: Action) {
        self.actions.borrow_mut().push(action);
    }

    /// Says something once.
    pub(crate) fn tell(&self, event: Event) {
        self.push(Action::Tell(event));
    }

    pub(crate) fn send(&self, what: &'static str, instructions: Vec<Instruction>, tell: Vec<Event>) {
        self.push(Action::Send(Send {
            what,
            instructions,
            needed_by_slot: None,
            is_revealing: false,
            is_anyones: false,
            tell,
        }));
    }

    /// The same, of what anybody may do.
    pub(crate) fn turn_over(&self, what: &'static str, instructions: Vec<Instruction>, tell: Vec<Event>) {
        let (needed_by_slot, is_revealing, is_anyones) = (None, false, true);
        self.push(Action::Send(Send { what, instructions, needed_by_slot, is_revealing, is_anyones, tell }));
    }

    /// The same, of what shows something that cannot be taken back.
    pub(crate) fn reveal(&self, what: &'static str, instructions: Vec<Instruction>, tell: Vec<Event>) {
        self.push(Action::Send(Send {
            what,
            instructions,
            needed_by_slot: None,
            is_revealing: true,
            is_anyones: false,
            tell,
        }));
    }

    /// The same, of what counts no more after a slot.
    pub(crate) fn reveal_by(&self, slot: u64, what: &'static str, instruction: Instruction, tell: Event) {
        let (instructions, tell) = (vec![instruction], vec![tell]);
        let needed_by_slot = Some(slot);
        self.push(Action::Send(Send {
            what,
            instructions,
            needed_by_slot,
            is_revealing: true,
            is_anyones: false,
            tell,
        }));
    }

    /// The same, of what counts no more after a slot.
    pub(crate) fn send_by(&self, slot: u64, what: &'static str, instruction: Instruction, tell: Event) {
        let (instructions, tell) = (vec![instruction], vec![tell]);
        let needed_by_slot = Some(slot);
        self.push(Action::Send(Send {
            what,
            instructions,
            needed_by_slot,
            is_revealing: false,
            is_anyones: false,
            tell,
        }));
    }

    pub(crate) fn keep(&self, fact: Fact) {
        self.push(Action::Keep { fact, tell: None });
    }

    pub(crate) fn compute(&self, work: Work) {
        self.push(Action::Compute(work));
    }

    /// Whether a state is at hand; if nobody has looked for it, it is asked for, and nothing that comes later is done before that is begun.
    pub(crate) fn knows(&self, root: &[u8; 32]) -> bool {
        if self.terms.given.contains(root) || self.shelf.whole.contains(root) {
            return true;
        }
        if !self.shelf.missing.contains(root) && !self.shelf.awaited.contains(root) {
            self.push(Action::Fetch { root: *root });
        }
        false
    }

    /// A claim as it is accused by this wallet.
    pub(crate) fn case(&self, claim: Claim) -> Case<'a> {
        Case { me: self.me(), view: self.view, terms: self.terms, claim }
    }

    pub(crate) fn finding(&self, claim: Claim) -> Option<&'a Finding> {
        self.known.findings.get(&claim)
    }

    pub(crate) fn asked(&self, name: &str) -> Option<Asked> {
        self.known.asked.get(name).copied()
    }

    /// The seat that this wallet audits in, if it is an auditor.
    pub(crate) fn auditor_seat(&self) -> Option<Seat> {
        let is_auditor = self.node.roles.auditor;
        let seats = || self.view.seats(PoolKind::Auditor, &self.wallet()).into_iter();
        is_auditor.then(|| seats().min_by_key(|seat| !self.may_sign(seat))).flatten()
    }

    /// Whether the wallet itself answers for a claim, as its maker or in its maker's place.
    pub(crate) fn is_own(&self, claim: Claim) -> bool {
        self.view.answers_for(&self.wallet(), claim)
    }

    /// Whether the wallet may sign for a seat's work now: a session may be over.
    pub(crate) fn may_sign(&self, seat: &Seat) -> bool {
        self.view.may_work(&self.wallet(), &seat.pool)
    }
}
