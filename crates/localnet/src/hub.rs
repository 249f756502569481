//! Who wants to hear about what.

use crate::Limits;
use crate::encode::AccountFormat;
use crate::rpc::accounts::Filter;
use serde_json::{Value, json};
use sip_ledger::Embedded;
use solana_account::{AccountSharedData, ReadableAccount};
use solana_address::Address;
use solana_signature::Signature;
use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{SyncSender, TrySendError};

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

/// What someone wants to hear about.
pub(crate) enum Topic {
    Account { address: Address, format: AccountFormat },
    Program { program_id: Address, format: AccountFormat, filters: Vec<Filter> },
    Signature { signature: Signature },
    Logs { mentions: Option<Address> },
    Slot,
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
            Self::Root => "rootNotification",
        }
    }
}

struct Subscription {
    connection: u64,
    topic: Topic,
}

/// A connection's way out. Its queue is bounded: who does not read is cut off.
struct Outbox {
    messages: SyncSender<String>,
    stream: TcpStream,
    subscriptions: usize,
}

impl Outbox {
    fn send(&self, message: String) {
        if let Err(TrySendError::Full(_)) = self.messages.try_send(message) {
            // The reader's thread sees the end and removes the connection.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}

/// All subscriptions. It lives in the chain, behind its lock, so nothing happens between a look and a subscription.
pub(crate) struct Hub {
    limits: Limits,
    connections: BTreeMap<u64, Outbox>,
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
    pub(crate) fn connect(&mut self, messages: SyncSender<String>, stream: TcpStream) -> u64 {
        let connection = self.number();
        self.connections.insert(connection, Outbox { messages, stream, subscriptions: 0 });
        connection
    }

    pub(crate) fn disconnect(&mut self, connection: u64) {
        self.connections.remove(&connection);
        self.subscriptions.retain(|_, subscription| subscription.connection != connection);
    }

    /// Hangs up on everyone.
    pub(crate) fn close(&mut self) {
        for outbox in self.connections.values() {
            let _ = outbox.stream.shutdown(Shutdown::Both);
        }
        self.connections.clear();
        self.subscriptions.clear();
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A new subscription's number; `None` where the connection has as many as it may.
    pub(crate) fn subscribe(&mut self, connection: u64, topic: Topic) -> Option<u64> {
        let limit = self.limits.subscriptions_per_connection;
        let outbox = self.connections.get_mut(&connection).filter(|outbox| outbox.subscriptions < limit)?;
        outbox.subscriptions += 1;
        let number = self.number();
        self.subscriptions.insert(number, Subscription { connection, topic });
        Some(number)
    }

    /// The transaction that a subscription waits for.
    pub(crate) fn signature(&self, number: u64) -> Option<Signature> {
        match self.subscriptions.get(&number)?.topic {
            Topic::Signature { signature } => Some(signature),
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
            && let Some(outbox) = self.connections.get_mut(&subscription.connection)
        {
            outbox.subscriptions -= 1;
        }
    }

    /// Sends a message to a connection, after all that was sent to it before.
    pub(crate) fn send(&self, connection: u64, message: String) {
        if let Some(outbox) = self.connections.get(&connection) {
            outbox.send(message);
        }
    }

    fn notify(&self, number: u64, result: Value) {
        if let Some(subscription) = self.subscriptions.get(&number) {
            let method = subscription.topic.notification();
            let params = json!({ "result": result, "subscription": number });
            let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
            self.send(subscription.connection, message.to_string());
        }
    }

    /// A new slot.
    pub(crate) fn slot(&self, slot: u64, parent: u64) {
        for (number, subscription) in &self.subscriptions {
            match subscription.topic {
                Topic::Slot => self.notify(*number, json!({ "slot": slot, "parent": parent, "root": parent })),
                Topic::Root => self.notify(*number, parent.into()),
                _ => {}
            }
        }
    }

    /// A transaction's end, after which nobody asks for it again.
    pub(crate) fn finish(&mut self, number: u64, slot: u64, error: &Value) {
        self.notify(number, json!({ "context": { "slot": slot }, "value": { "err": error } }));
        self.remove(number);
    }

    /// A transaction that is on the disk.
    pub(crate) fn publish(&mut self, ledger: &Embedded, event: &Event) {
        let context = json!({ "slot": event.slot });
        let tell = |number: &u64, value: Value| {
            self.notify(*number, json!({ "context": context, "value": value }));
        };
        // Only jsonParsed looks at the ledger, and falls back where the mint is gone; only base58 of large data fails,
        // and then there is nothing to tell.
        let mut finished = Vec::new();
        for (number, Subscription { topic, .. }) in &self.subscriptions {
            match topic {
                Topic::Signature { signature } if *signature == event.signature => finished.push(*number),
                Topic::Logs { mentions } if mentions.is_none_or(|address| event.addresses.contains(&address)) => {
                    let (signature, error) = (event.signature.to_string(), &event.error);
                    tell(number, json!({ "signature": signature, "err": error, "logs": event.logs }));
                }
                Topic::Account { address, format } => {
                    let change = event.changes.iter().find(|(changed, _)| changed == address);
                    if let Some(Ok(value)) = change.map(|(_, account)| format.account(ledger, account)) {
                        tell(number, value);
                    }
                }
                Topic::Program { program_id, format, filters } => {
                    let of_program = |account: &AccountSharedData| {
                        account.owner() == program_id && filters.iter().all(|filter| filter.fits(account))
                    };
                    for (address, account) in event.changes.iter().filter(|(_, account)| of_program(account)) {
                        if let Ok(value) = format.account(ledger, account) {
                            tell(number, json!({ "pubkey": address.to_string(), "account": value }));
                        }
                    }
                }
                Topic::Signature { .. } | Topic::Logs { .. } | Topic::Slot | Topic::Root => {}
            }
        }
        for number in finished {
            self.finish(number, event.slot, &event.error);
        }
    }
}
