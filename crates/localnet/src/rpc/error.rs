//! Errors of JSON-RPC, with the numbers that Solana's clients know.

use crate::chain::Refusal;
use crate::meta;
use serde_json::{Value, json};
use sip_svm::Simulation;
use solana_signature::Signature;
use solana_transaction_error::TransactionError;

/// An error of JSON-RPC.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(crate) fn parse() -> Self {
        Self::new(-32700, "Parse error")
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(-32600, message)
    }

    pub(crate) fn unknown_method() -> Self {
        Self::new(-32601, "Method not found")
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(-32603, message)
    }

    pub(crate) fn cleaned_up(slot: u64, first: u64) -> Self {
        Self::new(-32001, format!("Block {slot} cleaned up, does not exist on node. First available block: {first}"))
    }

    pub(crate) fn block_not_available(slot: u64) -> Self {
        Self::new(-32004, format!("Block not available for slot {slot}"))
    }

    pub(crate) fn no_snapshot() -> Self {
        Self::new(-32008, "No snapshot")
    }

    pub(crate) fn filter_transaction_not_found(signature: &Signature) -> Self {
        Self::new(-32020, format!("Transaction {signature} not found"))
    }

    pub(crate) fn unsupported_version(version: u8) -> Self {
        Self::new(
            -32015,
            format!(
                "Transaction version ({version}) is not supported by the requesting client. \
                 Please try the request again with the following configuration parameter: \
                 \"maxSupportedTransactionVersion\": {version}"
            ),
        )
    }

    pub(crate) fn min_context_slot(slot: u64) -> Self {
        let data = Some(json!({ "contextSlot": slot }));
        Self { data, ..Self::new(-32016, "Minimum context slot has not been reached") }
    }

    pub(crate) fn signature_verification() -> Self {
        Self::new(-32003, "Transaction signature verification failure")
    }

    /// What is wrong with a transaction as it is written, whatever the chain's state.
    pub(crate) fn malformed(simulation: &Simulation) -> Option<Self> {
        let error = simulation.result.as_ref().err()?;
        matches!(error, TransactionError::DuplicateInstruction(_))
            .then(|| Self::invalid(format!("invalid transaction: {error}")))
    }

    fn preflight(simulation: &Simulation) -> Self {
        let error = simulation.result.as_ref().err();
        let reason = error.map_or_else(String::new, |error| format!(": {error}"));
        let data = json!({
            "accounts": null,
            "err": error.map(meta::error),
            "fee": meta::fee(simulation),
            "innerInstructions": null,
            "loadedAccountsDataSize": meta::loaded_bytes(simulation),
            "loadedAddresses": null,
            "logs": simulation.logs,
            "postBalances": null,
            "postTokenBalances": null,
            "preBalances": null,
            "preTokenBalances": null,
            "replacementBlockhash": null,
            "returnData": meta::return_data(simulation.return_data.as_ref()),
            "unitsConsumed": simulation.compute_units,
        });
        Self { data: Some(data), ..Self::new(-32002, format!("Transaction simulation failed{reason}")) }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        error
    }
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Simulation(simulation) => {
                Self::malformed(&simulation).unwrap_or_else(|| Self::preflight(&simulation))
            }
            Refusal::Signature => Self::signature_verification(),
            Refusal::NotWritable(reason) => Self::internal(reason),
        }
    }
}
