//! Many transactions at once, which depend on nothing but their own signatures.

use serde_json::json;
use sip_ledger::{Failure, LedgerError, sign};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signature::Signature;
use std::time::{Duration, Instant};

use super::{BASE64, COMMITMENT, POLL_PAUSES, PREFLIGHT_FAILURE, RESEND_PAUSE, Rpc, strings};
use base64::Engine;

/// Statuses in one question.
const STATUSES: usize = 256;
/// After this, what is not confirmed counts as lost: its block hash has run out.
const LONGEST_WAIT: Duration = Duration::from_secs(90);

/// A transaction on its way.
struct OnItsWay {
    signature: Signature,
    wire: String,
    bytes: usize,
}

impl Rpc {
    /// Signs each instruction under one block hash, sends all and waits until they are confirmed or lost.
    pub(super) fn send_at_once(&mut self, instructions: &[Instruction], payer: &Keypair) -> Result<(), LedgerError> {
        let (blockhash, _) = self.latest_blockhash()?;
        let mut waiting = Vec::new();
        for instruction in instructions {
            let (transaction, bytes) = sign(std::slice::from_ref(instruction), payer, &[], blockhash)?;
            let wire =
                wincode::serialize(&transaction).map_err(|error| self.endpoint.unexpected("sendTransaction", error))?;
            waiting.push(OnItsWay { signature: transaction.signatures[0], wire: BASE64.encode(wire), bytes });
        }
        let (start, mut sent_at) = (Instant::now(), None::<Instant>);
        let [mut pause, longest_pause] = POLL_PAUSES;
        while !waiting.is_empty() && start.elapsed() < LONGEST_WAIT {
            if sent_at.is_none_or(|at| at.elapsed() > RESEND_PAUSE) {
                for transaction in &waiting {
                    self.push(transaction)?;
                }
                sent_at = Some(Instant::now());
            }
            self.drop_confirmed(&mut waiting)?;
            if !waiting.is_empty() {
                std::thread::sleep(pause);
                pause = (pause * 2).min(longest_pause);
            }
        }
        Ok(())
    }

    /// Hands a transaction in. What the chain cannot take now is tried again; what a program refuses is an error.
    fn push(&self, transaction: &OnItsWay) -> Result<(), LedgerError> {
        let options = json!({ "encoding": "base64", "preflightCommitment": COMMITMENT });
        let Err(refusal) = self.endpoint.call("sendTransaction", json!([transaction.wire, options]))? else {
            return Ok(());
        };
        let error = &refusal.data["err"];
        if refusal.code != PREFLIGHT_FAILURE || !error.is_object() {
            return Ok(());
        }
        let failure = Failure {
            signature: transaction.signature,
            compute_units: 0,
            logs: strings(&refusal.data["logs"]),
            fee_lamports: 0,
            transaction_bytes: transaction.bytes,
        };
        Err(LedgerError::failed(self.transaction_error("sendTransaction", error)?, failure))
    }

    fn drop_confirmed(&mut self, waiting: &mut Vec<OnItsWay>) -> Result<(), LedgerError> {
        const METHOD: &str = "getSignatureStatuses";
        let mut left = Vec::new();
        while !waiting.is_empty() {
            let part: Vec<OnItsWay> = waiting.drain(..waiting.len().min(STATUSES)).collect();
            let signatures: Vec<String> = part.iter().map(|transaction| transaction.signature.to_string()).collect();
            let answer = self.endpoint.ask(METHOD, json!([signatures]))?;
            for (index, transaction) in part.into_iter().enumerate() {
                let status = &answer["value"][index];
                if !matches!(status["confirmationStatus"].as_str(), Some("confirmed" | "finalized")) {
                    left.push(transaction);
                    continue;
                }
                self.min_context_slot = self.min_context_slot.max(self.number(METHOD, &status["slot"])?);
                self.statistics.transaction_bytes += transaction.bytes as u64;
                match status["err"].is_null() {
                    true => self.statistics.transactions += 1,
                    false => self.statistics.failed_transactions += 1,
                }
            }
        }
        *waiting = left;
        Ok(())
    }
}
