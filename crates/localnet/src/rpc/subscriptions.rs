//! Methods of a WebSocket connection: subscribe and unsubscribe.

use super::accounts::Filter;
use super::error::RpcError;
use super::params::{Params, parse};
use super::transactions::logged_error;
use super::{respond, shape};
use crate::chain::{Chain, confirmation};
use crate::encode::AccountFormat;
use crate::engine::Shared;
use crate::history::Entry;
use crate::hub::{Stage, Topic};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};

/// Answers a message. The answer goes out before anything that the new subscription is told.
pub(crate) fn handle(shared: &Shared, connection: u64, message: &[u8]) {
    // After a fault inside, the connection stays silent; HTTP says why.
    let Ok(mut guard) = shared.chain() else { return };
    let chain = RefCell::new(&mut *guard);
    let finished = Cell::new(Vec::new());
    let answer = respond(message, &|method, params| {
        let mut chain = chain.borrow_mut();
        let number = dispatch(&mut chain, connection, method, params)?;
        if method == "signatureSubscribe" {
            let mut all = finished.take();
            all.extend(number.as_u64());
            finished.set(all);
        }
        Ok(number)
    });
    let chain = chain.into_inner();
    if let Some(answer) = answer {
        chain.hub.send(connection, answer.to_string());
    }
    for number in finished.into_inner() {
        tell_if_done(chain, number);
    }
}

/// A transaction that is on the disk before anyone subscribes to it is told at once.
fn tell_if_done(chain: &mut Chain, number: u64) {
    let Some((signature, stage)) = chain.hub.signature(number) else { return };
    let is_there = |entry: &&Entry| match stage {
        Stage::Executed => entry.position <= chain.durable,
        Stage::Closed => confirmation(chain, entry) == "finalized",
    };
    let Some(entry) = chain.history.find(&signature).filter(is_there) else { return };
    let (slot, error) = (entry.slot, logged_error(entry));
    chain.hub.finish(number, slot, &error);
}

fn dispatch(chain: &mut Chain, connection: u64, method: &str, params: Params<'_>) -> Result<Value, RpcError> {
    shape::check(method, params)?;
    let topic = match method {
        "accountSubscribe" => Topic::Account {
            address: params.base58(0, "an address")?,
            format: AccountFormat::from_options(params.options(1)?.map())?,
        },
        "programSubscribe" => {
            let options = params.options(1)?;
            Topic::Program {
                program_id: params.base58(0, "a program's address")?,
                format: AccountFormat::from_options(options.map())?,
                filters: Filter::from_options(&options)?,
            }
        }
        "signatureSubscribe" => {
            if params.options(1)?.flag("enableReceivedNotification")? {
                return Err(RpcError::invalid(
                    "a transaction is executed when it is received: there is no notification before that",
                ));
            }
            Topic::Signature { signature: params.base58(0, "a signature")? }
        }
        "logsSubscribe" => {
            params.options(1)?;
            Topic::Logs { mentions: mentions(params.get(0))? }
        }
        "slotSubscribe" => Topic::Slot,
        "slotsUpdatesSubscribe" => Topic::SlotsUpdates,
        "rootSubscribe" => Topic::Root,
        _ => {
            let notification = match method {
                "accountUnsubscribe" => "accountNotification",
                "programUnsubscribe" => "programNotification",
                "signatureUnsubscribe" => "signatureNotification",
                "logsUnsubscribe" => "logsNotification",
                "slotUnsubscribe" => "slotNotification",
                "slotsUpdatesUnsubscribe" => "slotsUpdatesNotification",
                "rootUnsubscribe" => "rootNotification",
                _ => return Err(RpcError::unknown_method()),
            };
            let number = params.number(0, "a subscription")?;
            return match chain.hub.unsubscribe(connection, number, notification) {
                true => Ok(true.into()),
                false => Err(RpcError::invalid("Invalid subscription id.")),
            };
        }
    };
    let number = chain.hub.subscribe(connection, topic, params.commitment());
    Ok(number.ok_or_else(|| RpcError::internal("this connection has as many subscriptions as it may have"))?.into())
}

/// Which transactions' logs are wanted: all, or those that mention an address.
fn mentions(filter: Option<&Value>) -> Result<Option<solana_address::Address>, RpcError> {
    match filter {
        Some(Value::String(all)) if all == "all" || all == "allWithVotes" => Ok(None),
        Some(filter) if filter["mentions"].is_array() => match &filter["mentions"].as_array().map(Vec::as_slice) {
            Some([address]) => parse(address.as_str().unwrap_or_default(), "address").map(Some),
            _ => Err(RpcError::invalid("Invalid Request: Only 1 address supported")),
        },
        _ => Err(RpcError::invalid(format!("logsSubscribe takes \"all\" or {}", json!({ "mentions": ["…"] })))),
    }
}
