//! Methods about slots, epochs and the cluster, which is this process alone.

use super::error::RpcError;
use super::params::Params;
use super::transactions::recent_slots;
use super::{API_VERSION, with_context};
use crate::chain::Chain;
use crate::engine::Shared;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use solana_account::ReadableAccount;
use solana_address::Address;
use solana_signer::Signer;

/// Slots in one answer.
const MAX_SLOTS: u64 = 50_000;
/// Slots that one request lets pass.
const MAX_ADVANCE: u64 = 1 << 32;
/// Beyond this, slots are no exact numbers in JavaScript.
const LAST_SLOT: u64 = 1 << 53;

/// The name of the only node: a key that nobody has.
fn identity(chain: &Chain) -> Address {
    Address::new_from_array(
        Sha256::new_with_prefix(b"sip localnet node: ").chain_update(chain.genesis.hash).finalize().into(),
    )
}

/// When a slot was: exact where a transaction is in it, else at the pace of Solana back from now.
pub(super) fn slot_time(chain: &Chain, slot: u64) -> i64 {
    let exact = chain.history.in_slots(slot, slot).next().map(|entry| entry.unix_seconds);
    let back = (chain.ledger.slot().saturating_sub(slot)) / 5 * 2;
    exact.unwrap_or_else(|| chain.ledger.unix_seconds().saturating_sub(i64::try_from(back).unwrap_or(i64::MAX)))
}

/// Lets slots pass until one is reached, and waits until no crash can take them back. Ours alone; tests need not wait.
pub(super) fn advance_to_slot(shared: &Shared, params: Params<'_>) -> Result<Value, RpcError> {
    let slot = params.number(0, "a slot")?;
    let current = shared.chain()?.ledger.slot();
    if slot > LAST_SLOT || slot.saturating_sub(current) > MAX_ADVANCE {
        return Err(RpcError::invalid(format!("slot {slot} is too far from {current}")));
    }
    Ok(shared.advance_to(slot)?.into())
}

/// Slots from `first` to `last` that have blocks: all of them.
fn blocks(chain: &Chain, first: u64, last: u64) -> Result<Value, RpcError> {
    let last = last.min(chain.ledger.slot().saturating_sub(1));
    if last.saturating_sub(first) >= MAX_SLOTS {
        return Err(RpcError::invalid(format!("Slot range too large; max {MAX_SLOTS}")));
    }
    Ok((first..=last).map(Value::from).collect())
}

pub(super) fn dispatch(shared: &Shared, chain: &Chain, method: &str, params: Params<'_>) -> Result<Value, RpcError> {
    let ledger = &chain.ledger;
    let slot = ledger.slot();
    let first_block = ledger.slot_hashes().last().map_or(slot, |(slot, _)| *slot) + 1;
    Ok(match method {
        "getHealth" => json!("ok"),
        "getVersion" => {
            json!({ "solana-core": API_VERSION, "feature-set": 0, "sip-localnet": env!("CARGO_PKG_VERSION") })
        }
        "getIdentity" => json!({ "identity": identity(chain).to_string() }),
        "getGenesisHash" => json!(Address::new_from_array(chain.genesis.hash).to_string()),
        "getSlot" | "getBlockHeight" => {
            params.options(0)?;
            slot.into()
        }
        "getMaxRetransmitSlot" | "getMaxShredInsertSlot" => slot.into(),
        "getFirstAvailableBlock" => first_block.into(),
        "minimumLedgerSlot" => chain.history.oldest().map_or(slot, |entry| entry.slot).into(),
        "getSlotLeader" => json!(identity(chain).to_string()),
        "getSlotLeaders" => {
            let limit = params.number(1, "a limit")?.min(5_000);
            json!(vec![identity(chain).to_string(); limit as usize])
        }
        "getLeaderSchedule" => Value::Null,
        "getBlocks" => {
            let first = params.number(0, "a slot")?;
            let last = params.get(1).and_then(Value::as_u64);
            blocks(chain, first, last.unwrap_or(u64::MAX))?
        }
        "getBlocksWithLimit" => {
            let (first, limit) = (params.number(0, "a slot")?, params.number(1, "a limit")?);
            match limit {
                0 => json!([]),
                limit => blocks(chain, first, first.saturating_add(limit.min(MAX_SLOTS) - 1))?,
            }
        }
        "getBlockTime" => match params.number(0, "a slot")? {
            asked if asked > slot => return Err(RpcError::block_not_available(asked)),
            asked => slot_time(chain, asked).into(),
        },
        "getEpochInfo" => {
            params.options(0)?;
            let schedule = ledger.epoch_schedule();
            let (epoch, slot_index) = schedule.get_epoch_and_slot_index(slot);
            json!({
                "epoch": epoch,
                "slotIndex": slot_index,
                "slotsInEpoch": schedule.get_slots_in_epoch(epoch),
                "absoluteSlot": slot,
                "blockHeight": slot,
                "transactionCount": chain.history.next(),
            })
        }
        "getEpochSchedule" => {
            let schedule = ledger.epoch_schedule();
            json!({
                "slotsPerEpoch": schedule.slots_per_epoch,
                "leaderScheduleSlotOffset": schedule.leader_schedule_slot_offset,
                "warmup": schedule.warmup,
                "firstNormalEpoch": schedule.first_normal_epoch,
                "firstNormalSlot": schedule.first_normal_slot,
            })
        }
        "getRecentPrioritizationFees" => {
            // Nobody has to outbid anyone here.
            recent_slots(chain).map(|slot| json!({ "slot": slot, "prioritizationFee": 0 })).collect()
        }
        "getRecentPerformanceSamples" => json!([]),
        "getSupply" => {
            let faucet = chain.genesis.faucet.pubkey();
            let total = ledger.issued_lamports().saturating_sub(ledger.statistics().fee_lamports);
            let idle = ledger.shared_account(&faucet).map_or(0, |account| account.lamports());
            let value = json!({
                "total": total,
                "circulating": total.saturating_sub(idle),
                "nonCirculating": idle,
                "nonCirculatingAccounts": [faucet.to_string()],
            });
            with_context(chain, value)
        }
        "getInflationGovernor" => {
            json!({ "initial": 0.0, "terminal": 0.0, "taper": 0.0, "foundation": 0.0, "foundationTerm": 0.0 })
        }
        "getInflationRate" => {
            let epoch = ledger.epoch_schedule().get_epoch(slot);
            json!({ "total": 0.0, "validator": 0.0, "foundation": 0.0, "epoch": epoch })
        }
        "getInflationReward" => {
            let addresses: Vec<Address> = params.list(0, "addresses", 100)?;
            json!(vec![Value::Null; addresses.len()])
        }
        "getVoteAccounts" => json!({ "current": [], "delinquent": [] }),
        "getClusterNodes" => {
            let (host, port) = (shared.address.ip(), shared.address.port());
            json!([{
                "pubkey": identity(chain).to_string(),
                "rpc": shared.address.to_string(),
                "pubsub": std::net::SocketAddr::new(host, port.saturating_add(1)).to_string(),
                "gossip": null,
                "tpu": null,
                "version": API_VERSION,
                "featureSet": 0,
                "shredVersion": 0,
            }])
        }
        _ => return Err(RpcError::unknown_method()),
    })
}
