//! JSON-RPC 2.0: a body to its answer.

pub(crate) mod accounts;
mod cluster;
pub(crate) mod error;
mod params;
mod parsed;
mod shape;
pub(crate) mod subscriptions;
mod tokens;
mod transactions;

use crate::chain::{Chain, Commitment};
use crate::engine::Shared;
use error::RpcError;
use params::Params;
use serde_json::{Value, json};

/// Answers grow no larger than this: one by how many accounts it may hold, a batch by stopping.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Methods about blocks: what is open still is none.
const NEEDS_BLOCKS: [&str; 5] =
    ["getBlock", "getBlocks", "getBlocksWithLimit", "getSignaturesForAddress", "getTransaction"];
/// What clients take for the version of the validator: that of the virtual machine.
const API_VERSION: &str = "4.2.2";

/// The answer to a request or a batch; `None` where none is asked for.
pub(crate) fn answer(shared: &Shared, body: &[u8]) -> Option<String> {
    respond(body, &|method, params| dispatch(shared, method, params))
}

type Method<'a> = dyn Fn(&str, Params<'_>) -> Result<Value, RpcError> + 'a;

/// The same for any set of methods.
fn respond(body: &[u8], call: &Method<'_>) -> Option<String> {
    let refused = |error: RpcError| Some(envelope(Value::Null, Err(error)).to_string());
    if !body.trim_ascii_start().starts_with(b"[") {
        return match sip_json::from_slice::<Value>(body) {
            Ok(request) if is_request(&request) => one(&request, call).map(|answer| answer.to_string()),
            _ => refused(RpcError::parse()),
        };
    }
    let Some(batch) = requests(body) else { return refused(RpcError::parse()) };
    // One that is no request spoils the batch, and none asks for nothing.
    if batch.iter().any(|request| !sip_json::from_slice::<Value>(request).is_ok_and(|request| is_request(&request))) {
        return refused(RpcError::parse());
    }
    // A request is a value only while it is answered, and its answer becomes text before the next is asked for, so that no two are in
    // memory as values.
    let mut answers = String::new();
    let too_large = |_: &str, _: Params<'_>| {
        let message = format!("the answers before this one have {MAX_ANSWER_BYTES} bytes: send smaller batches");
        Err(RpcError::invalid_request(message))
    };
    for request in batch {
        let call: &Method<'_> = if answers.len() < MAX_ANSWER_BYTES { call } else { &too_large };
        let answer = match sip_json::from_slice::<Value>(request) {
            Ok(request) => one(&request, call),
            Err(_) => Some(envelope(Value::Null, Err(RpcError::parse()))),
        };
        if let Some(answer) = answer {
            answers.push(if answers.is_empty() { '[' } else { ',' });
            answers.push_str(&answer.to_string());
        }
    }
    (!answers.is_empty()).then(|| answers + "]")
}

/// The texts of the requests of a batch, as many as its bytes hold; `None` where it is no JSON.
fn requests(body: &[u8]) -> Option<Vec<&[u8]>> {
    sip_json::check(body).ok()?;
    let mut requests = Vec::new();
    let read = sip_json::elements::<sip_json::MemberError>(body, |request| {
        requests.push(request);
        Ok(())
    });
    read.ok().map(|()| requests)
}

/// An object whose id is one: all else is no JSON-RPC at all.
fn is_request(request: &Value) -> bool {
    let id = request.get("id").unwrap_or(&Value::Null);
    request.is_object() && (id.is_string() || id.is_u64() || id.is_null())
}

fn one(request: &Value, call: &Method<'_>) -> Option<Value> {
    let request = request.as_object()?;
    let id = request.get("id");
    let wrong = |message: &str| {
        let id = id.cloned().unwrap_or(Value::Null);
        Some(envelope(id, Err(RpcError::invalid_request(message))))
    };
    let Some(method) = request.get("method").and_then(Value::as_str) else { return wrong("Invalid request") };
    if let Some(unknown) = request.keys().find(|key| !["jsonrpc", "id", "method", "params"].contains(&key.as_str())) {
        return wrong(&format!("Invalid request: a request has no \"{unknown}\""));
    }
    if request.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return wrong("Invalid request: \"jsonrpc\" must be \"2.0\"");
    }
    if request.get("params").is_some_and(|params| !(params.is_null() || params.is_array() || params.is_object())) {
        return wrong("Invalid request: \"params\" must be a list");
    }
    let result = Params::new(request.get("params")).and_then(|params| call(method, params));
    // Without an id it is a notification, and nobody waits for an answer.
    id.map(|id| envelope(id.clone(), result))
}

fn envelope(id: Value, result: Result<Value, RpcError>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error.to_json() }),
    }
}

/// A result with the newest slot; [`dispatch`] says the one that was asked for.
fn with_context(chain: &Chain, value: Value) -> Value {
    json!({ "context": { "slot": chain.ledger.slot(), "apiVersion": API_VERSION }, "value": value })
}

fn dispatch(shared: &Shared, method: &str, params: Params<'_>) -> Result<Value, RpcError> {
    shape::check(method, params)?;
    // These two wait for the disk, and must not hold the chain meanwhile.
    match method {
        "sendTransaction" => return transactions::send(shared, params),
        "requestAirdrop" => return transactions::request_airdrop(shared, params),
        "sip_advanceToSlot" => return cluster::advance_to_slot(shared, params),
        _ => {}
    }
    let chain = &*shared.chain()?;
    // A signature's status says itself how far it has come.
    let commitment = if method == "getSignatureStatuses" { Commitment::Processed } else { params.commitment() };
    if commitment == Commitment::Processed && NEEDS_BLOCKS.contains(&method) {
        return Err(RpcError::invalid("Method does not support commitment below `confirmed`"));
    }
    let slot = chain.slot_of(commitment);
    params.check_min_context_slot(slot)?;
    let mut result = read(shared, chain, method, params)?;
    if let Some(context) = result.get_mut("context") {
        context["slot"] = slot.into();
    }
    Ok(result)
}

/// The answer of a method that only reads the chain.
fn read(shared: &Shared, chain: &Chain, method: &str, params: Params<'_>) -> Result<Value, RpcError> {
    match method {
        "getAccountInfo" => accounts::info(chain, params),
        "getBalance" => accounts::balance(chain, params),
        "getMultipleAccounts" => accounts::multiple(chain, params),
        "getProgramAccounts" => accounts::of_program(chain, params),
        "getLargestAccounts" => accounts::largest(chain, params),
        "getMinimumBalanceForRentExemption" => accounts::minimum_balance(chain, params),

        "getTokenAccountBalance" => tokens::balance(chain, params),
        "getTokenSupply" => tokens::supply(chain, params),
        "getTokenAccountsByOwner" => tokens::by_owner(chain, params),
        "getTokenAccountsByDelegate" => tokens::by_delegate(chain, params),
        "getTokenLargestAccounts" => tokens::largest(chain, params),

        "simulateTransaction" => transactions::simulate(chain, params),
        "getSignatureStatuses" => transactions::statuses(chain, params),
        "getSignaturesForAddress" => transactions::of_address(chain, params),
        "getTransaction" => transactions::get(chain, params),
        "getFeeForMessage" => transactions::fee(chain, params),
        "getTransactionCount" => Ok(chain.history.next().into()),
        "getLatestBlockhash" => transactions::latest_blockhash(chain, params),
        "isBlockhashValid" => transactions::is_blockhash_valid(chain, params),
        "getBlock" => transactions::block(chain, params),

        _ => cluster::dispatch(shared, chain, method, params),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Answers with what it was asked.
    fn echo(body: &[u8]) -> Option<Value> {
        let answer = respond(body, &|method, params| {
            let options = params.options(1)?;
            Ok(json!([method, params.text(0, "a word")?, options.number("n")?, options.flag("f")?]))
        });
        answer.map(|answer| serde_json::from_str(&answer).unwrap())
    }

    #[test]
    fn a_batch_stops_where_its_answers_are_too_large() {
        let asked = std::cell::Cell::new(0);
        let request = json!({ "jsonrpc": "2.0", "id": 7, "method": "m" });
        let batch = Value::Array(vec![request; 20]).to_string();
        let answer = respond(batch.as_bytes(), &|_, _| {
            asked.set(asked.get() + 1);
            Ok("x".repeat(MAX_ANSWER_BYTES / 4).into())
        });
        let answers: Vec<Value> = serde_json::from_str(&answer.unwrap()).unwrap();
        assert_eq!((asked.get(), answers.len()), (4, 20));
        assert!(answers[..4].iter().all(|answer| answer["result"].is_string()));
        assert!(answers[4..].iter().all(|answer| answer["error"]["code"] == -32600 && answer["id"] == 7));
    }

    #[test]
    fn requests_batches_and_notifications_are_told_apart() {
        let request = json!({ "jsonrpc": "2.0", "id": 7, "method": "m", "params": ["x"] });
        let answer = json!({ "jsonrpc": "2.0", "id": 7, "result": ["m", "x", null, false] });
        assert_eq!(echo(request.to_string().as_bytes()), Some(answer.clone()));
        assert_eq!(echo(json!([request, request]).to_string().as_bytes()), Some(json!([answer, answer])));
        assert_eq!(echo(br#"{ "jsonrpc": "2.0", "method": "m", "params": ["x"] }"#), None);
        assert_eq!(echo(b"[]"), None);
    }

    #[test]
    fn wrong_requests_get_the_numbers_of_the_standard() {
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for (body, code) in [
            ("", -32700),
            ("{", -32700),
            (nested.as_str(), -32700),
            ("1", -32700),
            ("[1]", -32700),
            (r#"[{ "jsonrpc": "2.0", "id": 1, "method": "m" }, 5]"#, -32700),
            (r#"{ "jsonrpc": "2.0", "id": {}, "method": "m" }"#, -32700),
            (r#"{ "jsonrpc": "2.0", "id": 1.5, "method": "m" }"#, -32700),
            (r#"{ "jsonrpc": "2.0", "id": 1, "method": "m", "more": 5 }"#, -32600),
            (r#"{ "jsonrpc": "2.0", "id": 1, "method": "m", "params": 5 }"#, -32600),
            (r#"{ "jsonrpc": "1.0", "id": 1, "method": "m" }"#, -32600),
            (r#"{ "jsonrpc": "2.0", "id": 1, "method": 5 }"#, -32600),
            (r#"{ "jsonrpc": "2.0", "id": 1, "method": "m", "params": {} }"#, -32602),
            (r#"{ "jsonrpc": "2.0", "id": 1, "method": "m", "params": [] }"#, -32602),
            (r#"{ "jsonrpc": "2.0", "id": 1, "method": "m", "params": ["x", { "n": -1 }] }"#, -32602),
            (r#"{ "jsonrpc": "2.0", "id": 1, "method": "m", "params": ["x", { "commitment": "now" }] }"#, -32602),
        ] {
            assert_eq!(echo(body.as_bytes()).unwrap()["error"]["code"], code, "{}", &body[..body.len().min(60)]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = echo(&body);
        }

        #[test]
        fn no_mangled_request_makes_it_panic(cuts in proptest::collection::vec((0usize..90, any::<u8>()), 0..6)) {
            let mut body = br#"{"jsonrpc":"2.0","id":1,"method":"m","params":["x",{"n":1,"f":true,"commitment":"max"}]}"#.to_vec();
            for (at, byte) in cuts {
                let at = at % body.len();
                body[at] = byte;
            }
            let _ = echo(&body);
        }
    }
}
