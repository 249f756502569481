//! Who wants to hear about what.

use crate::Limits;
use crate::chain::Commitment;
use crate::encode::AccountFormat;
use crate::outbox::{Message, Outbox};
use crate::rpc::accounts::Filter;
use serde_json::{Value, json};
use sip_svm::Embedded;
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;
use solana_signature::Signature;
use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A transaction that was executed, as far as subscribers care.
pub(crate) struct Event {
    /// How many bytes must be on the disk before anyone hears of it.
    pub(crate) position: u64,
    pub(crate) slot: u64,
    pub(crate) signature: Signature,
    pub(crate) error: Value,
    pub(crate) logs: Vec<String>,
    pub(crate) addresses: Vec<Address>,
    /// What accounts became; those that are gone are empty.
    pub(crate) changes: Vec<(Address, AccountSharedData)>,
}

/// How far a transaction has come that is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It was executed: news for those who asked for what is processed.
    Executed,
    /// Its slot has closed: news for all others.
    Closed,
}

/// What someone wants to hear about.
pub(crate) enum Topic {
    Account { address: Address, format: AccountFormat },
    Program { program_id: Address, format: AccountFormat, filters: Vec<Filter> },
    Signature { signature: Signature },
    Logs { mentions: Option<Address> },
    Slot,
    SlotsUpdates,
    Root,
}

impl Topic {
    fn notification(&self) -> &'static str {
        match self {
            Self::Account { .. } => "accountNotification",
            Self::Program { .. } => "programNotification",
            Self::Signature { .. } => "signatureNotification",
            Self::Logs { .. } => "logsNotification",
            Self::Slot => "slotNotification",
            Self::SlotsUpdates => "slotsUpdatesNotification",
            Self::Root => "rootNotification",
        }
    }
}

struct Subscription {
    connection: u64,
    stage: Stage,
    topic: Topic,
}

/// A connection that subscribes.
struct Subscriber {
    outbox: Arc<Outbox>,
    stream: TcpStream,
    subscriptions: usize,
}

/// All subscriptions. It lives in the chain, behind its lock, so nothing happens between a look and a subscription.
pub(crate) struct Hub {
    limits: Limits,
    connections: BTreeMap<u64, Subscriber>,
    subscriptions: BTreeMap<u64, Subscription>,
    next: u64,
}

impl Hub {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, connections: BTreeMap::new(), subscriptions: BTreeMap::new(), next: 1 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// A new connection: its number.
    pub(crate) fn connect(&mut self, outbox: Arc<Outbox>, stream: TcpStream) -> u64 {
        let connection = self.number();
        self.connections.insert(connection, Subscriber { outbox, stream, subscriptions: 0 });
        connection
    }

    pub(crate) fn disconnect(&mut self, connection: u64) {
        if let Some(subscriber) = self.connections.remove(&connection) {
            subscriber.outbox.close();
        }
        self.subscriptions.retain(|_, subscription| subscription.connection != connection);
    }

    /// Hangs up on everyone.
    pub(crate) fn close(&mut self) {
        for subscriber in self.connections.values() {
            subscriber.outbox.close();
            let _ = subscriber.stream.shutdown(Shutdown::Both);
        }
        self.connections.clear();
        self.subscriptions.clear();
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A new subscription's number; `None` where the connection has as many as it may.
    pub(crate) fn subscribe(&mut self, connection: u64, topic: Topic, commitment: Commitment) -> Option<u64> {
        let limit = self.limits.subscriptions_per_connection;
        let subscriber = self.connections.get_mut(&connection).filter(|found| found.subscriptions < limit)?;
        subscriber.subscriptions += 1;
        let number = self.number();
        let stage = match commitment {
            Commitment::Processed => Stage::Executed,
            Commitment::Confirmed | Commitment::Finalized => Stage::Closed,
        };
        self.subscriptions.insert(number, Subscription { connection, stage, topic });
        Some(number)
    }

    /// The transaction that a subscription waits for, and how far it must have come.
    pub(crate) fn signature(&self, number: u64) -> Option<(Signature, Stage)> {
        let subscription = self.subscriptions.get(&number)?;
        match subscription.topic {
            Topic::Signature { signature } => Some((signature, subscription.stage)),
            _ => None,
        }
    }

    /// Whether the connection had this subscription, to a topic of this kind.
    pub(crate) fn unsubscribe(&mut self, connection: u64, number: u64, notification: &str) -> bool {
        let is_this = |subscription: &Subscription| {
            subscription.connection == connection && subscription.topic.notification() == notification
        };
        let found = self.subscriptions.get(&number).is_some_and(is_this);
        if found {
            self.remove(number);
        }
        found
    }

    fn remove(&mut self, number: u64) {
        if let Some(subscription) = self.subscriptions.remove(&number)
            && let Some(subscriber) = self.connections.get_mut(&subscription.connection)
        {
            subscriber.subscriptions -= 1;
        }
    }

    /// Sends a message to a connection, after all that was sent to it before.
    pub(crate) fn send(&self, connection: u64, message: String) {
        if let Some(subscriber) = self.connections.get(&connection) {
            subscriber.outbox.send(Message::Answer(message));
        }
    }

    /// How many topics a connection hears of.
    pub(crate) fn subscriptions(&self, connection: u64) -> usize {
        self.connections.get(&connection).map_or(0, |subscriber| subscriber.subscriptions)
    }

    /// The way out of a subscription, unless it has been cut.
    fn outbox(&self, subscription: &Subscription) -> Option<&Outbox> {
        let subscriber = self.connections.get(&subscription.connection)?;
        Some(&*subscriber.outbox).filter(|outbox| outbox.is_open())
    }

    fn notify(&self, number: u64, result: &Arc<str>) {
        let Some(subscription) = self.subscriptions.get(&number) else { return };
        if let Some(outbox) = self.outbox(subscription) {
            let (method, result) = (subscription.topic.notification(), result.clone());
            outbox.send(Message::Notification { method, result, subscription: number });
        }
    }

    /// A new slot.
    pub(crate) fn slot(&self, slot: u64, parent: u64) {
        let whole: Arc<str> = json!({ "slot": slot, "parent": parent, "root": parent }).to_string().into();
        let root: Arc<str> = parent.to_string().into();
        let updates =
            if self.subscriptions.values().any(|subscription| matches!(subscription.topic, Topic::SlotsUpdates)) {
                slots_updates(slot, parent)
            } else {
                Vec::new()
            };
        for (number, subscription) in &self.subscriptions {
            match subscription.topic {
                Topic::Slot => self.notify(*number, &whole),
                Topic::Root => self.notify(*number, &root),
                Topic::SlotsUpdates => updates.iter().for_each(|update| self.notify(*number, update)),
                _ => {}
            }
        }
    }

    /// A transaction's end, after which nobody asks for it again.
    pub(crate) fn finish(&mut self, number: u64, slot: u64, error: &Value) {
        self.notify(number, &in_slot(slot, &json!({ "err": error })));
        self.remove(number);
    }

    /// A transaction that is on the disk, for those who wait for it to come so far.
    pub(crate) fn publish(&mut self, ledger: &Embedded, event: &Event, stage: Stage) {
        // Only jsonParsed looks at the ledger, and falls back where the mint is gone; only base58 of large data fails,
        // and then there is nothing to tell.
        let mut finished = Vec::new();
        let mut logs = None;
        let mut encoded = Encoded { ledger, event, last: None };
        for (number, subscription) in &self.subscriptions {
            if subscription.stage != stage || self.outbox(subscription).is_none() {
                continue;
            }
            match &subscription.topic {
                Topic::Signature { signature } if *signature == event.signature => finished.push(*number),
                Topic::Logs { mentions } if mentions.is_none_or(|address| event.addresses.contains(&address)) => {
                    let text = logs.get_or_insert_with(|| {
                        let signature = event.signature.to_string();
                        in_slot(event.slot, &json!({ "signature": signature, "err": event.error, "logs": event.logs }))
                    });
                    self.notify(*number, text);
                }
                Topic::Account { address, format } => {
                    if let Some(change) = event.changes.iter().position(|(changed, _)| changed == address)
                        && let Some(text) = encoded.text(change, *format, false)
                    {
                        self.notify(*number, &text);
                    }
                }
                Topic::Program { program_id, format, filters } => {
                    for (change, (_, account)) in event.changes.iter().enumerate() {
                        if account.owner() == program_id
                            && filters.iter().all(|filter| filter.fits(account))
                            && let Some(text) = encoded.text(change, *format, true)
                        {
                            self.notify(*number, &text);
                        }
                    }
                }
                Topic::Signature { .. } | Topic::Logs { .. } | Topic::Slot | Topic::SlotsUpdates | Topic::Root => {}
            }
        }
        for number in finished {
            self.finish(number, event.slot, &event.error);
        }
    }
}

/// What becomes of slots, in the order of a validator: the old one is frozen, confirmed and rooted, the new one begins.
fn slots_updates(slot: u64, parent: u64) -> Vec<Arc<str>> {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let timestamp = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let told = |kind: &str, slot: u64| json!({ "slot": slot, "timestamp": timestamp, "type": kind });
    let mut frozen = told("frozen", parent);
    // Nothing else is known of a slot that has passed.
    frozen["stats"] = json!({
        "numTransactionEntries": 0, "numSuccessfulTransactions": 0, "numFailedTransactions": 0, "maxTransactionsPerEntry": 0,
    });
    let mut begun = told("createdBank", slot);
    begun["parent"] = parent.into();
    [frozen, told("optimisticConfirmation", parent), told("root", parent), begun]
        .map(|told| told.to_string().into())
        .into()
}

/// What is told of a slot.
fn in_slot(slot: u64, value: &Value) -> Arc<str> {
    json!({ "context": { "slot": slot }, "value": value }).to_string().into()
}

/// What an account is written as: which change, how, and whether its address stands beside it.
type Shape = (usize, AccountFormat, bool);

/// Changed accounts as text, the last one kept: subscriptions that want the same mostly follow each other, and many texts that nobody
/// shares take no memory beyond what waits for their readers.
struct Encoded<'a> {
    ledger: &'a Embedded,
    event: &'a Event,
    last: Option<(Shape, Option<Arc<str>>)>,
}

impl Encoded<'_> {
    fn text(&mut self, change: usize, format: AccountFormat, has_address: bool) -> Option<Arc<str>> {
        let shape = (change, format, has_address);
        if let Some((last, text)) = &self.last
            && *last == shape
        {
            return text.clone();
        }
        let (address, account) = self.event.changes.get(change)?;
        let value = format.account(self.ledger, address, account).ok().map(|value| match has_address {
            true => json!({ "pubkey": address.to_string(), "account": value }),
            false => value,
        });
        let text = value.map(|value| in_slot(self.event.slot, &value));
        self.last = Some((shape, text.clone()));
        text
    }
}
