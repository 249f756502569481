//! The parameters of a request.

use super::error::RpcError;
use crate::chain::Commitment;
use serde_json::{Map, Value};
use std::str::FromStr;

/// The parameters of a request, by position.
#[derive(Clone, Copy)]
pub(crate) struct Params<'a>(&'a [Value]);

/// An options object; one that was not given has no options.
pub(crate) struct Options<'a>(Option<&'a Map<String, Value>>);

impl<'a> Params<'a> {
    pub(crate) fn new(params: Option<&'a Value>) -> Result<Self, RpcError> {
        match params {
            None | Some(Value::Null) => Ok(Self(&[])),
            Some(Value::Array(list)) => Ok(Self(list)),
            Some(_) => Err(RpcError::invalid("params must be a list")),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> &'a [Value] {
        self.0
    }

    /// A parameter that may be left out.
    pub(crate) fn get(&self, index: usize) -> Option<&'a Value> {
        self.0.get(index).filter(|value| !value.is_null())
    }

    fn required(&self, index: usize, what: &str) -> Result<&'a Value, RpcError> {
        let given = self.0.len();
        self.get(index).ok_or_else(|| {
            RpcError::invalid(format!("`params` should have {what} at place {}, and {given} are given", index + 1))
        })
    }

    pub(crate) fn text(&self, index: usize, what: &str) -> Result<&'a str, RpcError> {
        let value = self.required(index, what)?;
        value.as_str().ok_or_else(|| RpcError::invalid(format!("expected {what} as a string")))
    }

    /// An address, a signature or a hash in base58.
    pub(crate) fn base58<T: FromStr>(&self, index: usize, what: &str) -> Result<T, RpcError> {
        parse(self.text(index, what)?, what)
    }

    pub(crate) fn number(&self, index: usize, what: &str) -> Result<u64, RpcError> {
        let value = self.required(index, what)?;
        value.as_u64().ok_or_else(|| RpcError::invalid(format!("expected {what} as a number from 0")))
    }

    /// A list of at most `limit` addresses or signatures in base58.
    pub(crate) fn list<T: FromStr>(&self, index: usize, what: &str, limit: usize) -> Result<Vec<T>, RpcError> {
        let value = self.required(index, what)?;
        let list = value.as_array().ok_or_else(|| RpcError::invalid(format!("expected {what} as a list")))?;
        if list.len() > limit {
            return Err(RpcError::invalid(format!("Too many inputs provided; max {limit}")));
        }
        list.iter().map(|value| parse(value.as_str().unwrap_or_default(), what)).collect()
    }

    /// Refuses a request that wants a later slot than there is, wherever its options stand.
    pub(crate) fn check_min_context_slot(&self, slot: u64) -> Result<(), RpcError> {
        let wanted = self.0.iter().filter_map(|param| param.get("minContextSlot")?.as_u64()).max();
        if wanted.is_some_and(|wanted| wanted > slot) { Err(RpcError::min_context_slot(slot)) } else { Ok(()) }
    }

    /// The commitment that is asked for, wherever the options stand; finalized where none is, as with Solana.
    pub(crate) fn commitment(&self) -> Commitment {
        let named = self.0.iter().find_map(|param| param.get("commitment")?.as_str());
        match named {
            Some("processed" | "recent") => Commitment::Processed,
            Some("confirmed" | "single" | "singleGossip") => Commitment::Confirmed,
            _ => Commitment::Finalized,
        }
    }

    pub(crate) fn options(&self, index: usize) -> Result<Options<'a>, RpcError> {
        match self.get(index) {
            None => Ok(Options(None)),
            Some(Value::Object(map)) => Options(Some(map)).checked(),
            Some(_) => Err(RpcError::invalid(format!("expected options as an object at place {}", index + 1))),
        }
    }
}

/// Base58 text as what it stands for.
pub(crate) fn parse<T: FromStr>(text: &str, what: &str) -> Result<T, RpcError> {
    // Base58 takes time that grows with the square; no address or signature is longer than this.
    if text.len() > 88 {
        return Err(RpcError::invalid(format!("Invalid param: WrongSize for {what}")));
    }
    text.parse().map_err(|_| RpcError::invalid(format!("Invalid param: Invalid {what}")))
}

impl<'a> Options<'a> {
    fn checked(self) -> Result<Self, RpcError> {
        // Old names of the levels included.
        for name in ["commitment", "preflightCommitment"] {
            match self.text(name)? {
                None | Some("processed" | "confirmed" | "finalized") => {}
                Some("recent" | "single" | "singleGossip" | "root" | "max") => {}
                Some(other) => return Err(RpcError::invalid(format!("unknown {name} \"{other}\""))),
            }
        }
        Ok(self)
    }

    pub(crate) fn map(&self) -> &'a Map<String, Value> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.0.unwrap_or(&EMPTY)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.0?.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, RpcError> {
        let wrong = || RpcError::invalid(format!("\"{name}\" must be a string"));
        self.get(name).map(|value| value.as_str().ok_or_else(wrong)).transpose()
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, RpcError> {
        let wrong = || RpcError::invalid(format!("\"{name}\" must be true or false"));
        self.get(name).map_or(Ok(false), |value| value.as_bool().ok_or_else(wrong))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, RpcError> {
        let wrong = || RpcError::invalid(format!("\"{name}\" must be a number from 0"));
        self.get(name).map(|value| value.as_u64().ok_or_else(wrong)).transpose()
    }

    pub(crate) fn base58<T: FromStr>(&self, name: &str) -> Result<Option<T>, RpcError> {
        self.text(name)?.map(|text| parse(text, name)).transpose()
    }
}
