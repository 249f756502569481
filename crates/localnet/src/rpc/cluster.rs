//! Methods about slots, epochs and the cluster, which is this process alone.

use super::error::RpcError;
use super::params::Params;
use super::transactions::recent_slots;
use super::{API_VERSION, with_context};
use crate::chain::{Chain, Commitment};
use crate::engine::Shared;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use solana_account::ReadableAccount;
use solana_address::Address;
use solana_signer::Signer;
use std::time::Duration;

/// Slots in one answer.
const MAX_SLOTS: u64 = 500_000;
/// Leaders of slots in one answer.
const MAX_SLOT_LEADERS: u64 = 5_000;
/// Addresses in a question about fees.
const MAX_FEE_ADDRESSES: usize = 128;
/// Samples of the chain's pace in one answer.
const MAX_SAMPLES: u64 = 720;
/// What a sample spans at least: a minute at Solana's pace.
const SAMPLE_SLOTS: u64 = 150;
const SAMPLE_SECONDS: u64 = 60;
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
    let current = shared.chain()?.slot_of(Commitment::Finalized);
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

/// Who leads in an epoch: this node in every slot. `null` for an epoch that is too far ahead, as with Solana.
fn leader_schedule(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    // The options may stand in the place of the slot.
    let is_options = params.get(0).is_some_and(Value::is_object);
    let asked = if is_options || params.get(0).is_none() { None } else { Some(params.number(0, "a slot")?) };
    let options = params.options(if is_options { 0 } else { 1 })?;
    let schedule = chain.ledger.epoch_schedule();
    let epoch = schedule.get_epoch(asked.unwrap_or_else(|| chain.slot_of(params.commitment())));
    if epoch > schedule.get_leader_schedule_epoch(chain.ledger.slot()) {
        return Ok(Value::Null);
    }
    let name = identity(chain).to_string();
    let wanted: Option<Address> = options.base58("identity")?;
    if wanted.is_some_and(|wanted| wanted.to_string() != name) {
        return Ok(json!({}));
    }
    let slots: Value = (0..schedule.get_slots_in_epoch(epoch)).map(Value::from).collect();
    Ok(json!({ name: slots }))
}

/// Blocks of this epoch, or of a range of its slots: this node was the leader of all, and missed none.
fn block_production(chain: &Chain, params: Params<'_>) -> Result<Value, RpcError> {
    let options = params.options(0)?;
    let newest = chain.slot_of(params.commitment());
    let schedule = chain.ledger.epoch_schedule();
    let (mut first, mut last) = (schedule.get_first_slot_in_epoch(schedule.get_epoch(newest)), newest);
    if let Some(range) = options.get("range") {
        let wrong = || RpcError::invalid("\"range\" needs the number \"firstSlot\"");
        first = range["firstSlot"].as_u64().ok_or_else(wrong)?;
        last = range["lastSlot"].as_u64().unwrap_or(newest);
        if last < first {
            return Err(RpcError::invalid(format!("lastSlot, {last}, cannot be less than firstSlot, {first}")));
        }
        if last > newest {
            return Err(RpcError::invalid(format!("lastSlot, {last}, is too large; max {newest}")));
        }
    }
    let name = identity(chain).to_string();
    let wanted: Option<Address> = options.base58("identity")?;
    let count = last - first + 1;
    let by_identity = match wanted.is_some_and(|wanted| wanted.to_string() != name) {
        true => json!({}),
        false => json!({ name: [count, count] }),
    };
    Ok(with_context(chain, json!({ "byIdentity": by_identity, "range": { "firstSlot": first, "lastSlot": last } })))
}

/// What a sample spans where a slot lasts so long: whole seconds, and slots.
fn sample_span(slot: Option<Duration>) -> (u64, u64) {
    let Some(micros) = slot.map(|slot| slot.as_micros().max(1)) else { return (SAMPLE_SECONDS, SAMPLE_SLOTS) };
    let seconds = (u128::from(SAMPLE_SLOTS) * micros).div_ceil(1_000_000);
    (seconds as u64, (seconds * 1_000_000 / micros) as u64)
}

/// Transactions of the last samples, newest first.
fn performance_samples(chain: &Chain, slot: Option<Duration>, params: Params<'_>) -> Result<Value, RpcError> {
    let limit = match params.get(0) {
        None => MAX_SAMPLES,
        Some(_) => params.number(0, "a limit")?,
    };
    if limit > MAX_SAMPLES {
        return Err(RpcError::invalid(format!("Invalid limit; max {MAX_SAMPLES}")));
    }
    let (seconds, slots) = sample_span(slot);
    let newest = chain.slot_of(Commitment::Finalized) / slots;
    let oldest = sip_svm::FIRST_SLOT.div_ceil(slots);
    let sample = |number: u64| {
        let end = number * slots;
        let transactions = chain.history.in_slots(end - slots, end - 1).count();
        json!({
            "slot": end,
            "numTransactions": transactions,
            "numNonVoteTransactions": transactions,
            "numSlots": slots,
            "samplePeriodSecs": seconds,
        })
    };
    Ok((oldest + 1..=newest).rev().take(limit as usize).map(sample).collect())
}

pub(super) fn dispatch(shared: &Shared, chain: &Chain, method: &str, params: Params<'_>) -> Result<Value, RpcError> {
    let ledger = &chain.ledger;
    let slot = chain.slot_of(params.commitment());
    let first_block = ledger.slot_hashes().last().map_or(slot, |(slot, _)| *slot) + 1;
    Ok(match method {
        "getHealth" => json!("ok"),
        "getVersion" => {
            json!({ "solana-core": API_VERSION, "feature-set": sip_svm::feature_set(), "sip-localnet": env!("CARGO_PKG_VERSION") })
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
            let (first, limit) = (params.number(0, "a slot")?, params.number(1, "a limit")?);
            if limit > MAX_SLOT_LEADERS {
                return Err(RpcError::invalid(format!("Invalid limit; max {MAX_SLOT_LEADERS}")));
            }
            let schedule = ledger.epoch_schedule();
            let epoch = schedule.get_epoch(first);
            if epoch > schedule.get_leader_schedule_epoch(ledger.slot()) {
                return Err(RpcError::invalid(format!(
                    "Invalid slot range: leader schedule for epoch {epoch} is unavailable"
                )));
            }
            json!(vec![identity(chain).to_string(); limit as usize])
        }
        "getLeaderSchedule" => leader_schedule(chain, params)?,
        "getBlockProduction" => block_production(chain, params)?,
        "getBlockCommitment" => {
            params.number(0, "a slot")?;
            // Nobody votes, so no stake stands behind any block.
            json!({ "commitment": null, "totalStake": 0 })
        }
        // Of a chain that began under another protocol.
        "getAgGenesisCert" => Value::Null,
        // Snapshots are for this process alone.
        "getHighestSnapshotSlot" => return Err(RpcError::no_snapshot()),
        "getStakeMinimumDelegation" => {
            params.options(0)?;
            // As long as the feature that raises it to 1 SOL is not active on mainnet.
            with_context(chain, 1.into())
        }
        "getBlocks" => {
            let first = params.number(0, "a slot")?;
            let last = params.get(1).and_then(Value::as_u64);
            blocks(chain, first, last.unwrap_or(u64::MAX))?
        }
        "getBlocksWithLimit" => {
            let (first, limit) = (params.number(0, "a slot")?, params.number(1, "a limit")?);
            match limit {
                0 => json!([]),
                limit if limit > MAX_SLOTS => {
                    return Err(RpcError::invalid(format!("Limit too large; max {MAX_SLOTS}")));
                }
                limit => blocks(chain, first, first.saturating_add(limit - 1))?,
            }
        }
        "getBlockTime" => match params.number(0, "a slot")? {
            asked if asked > chain.slot_of(Commitment::Finalized) => return Err(RpcError::block_not_available(asked)),
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
            if params.get(0).is_some() {
                params.list::<Address>(0, "addresses", MAX_FEE_ADDRESSES)?;
            }
            // Nobody has to outbid anyone here.
            recent_slots(chain).map(|slot| json!({ "slot": slot, "prioritizationFee": 0 })).collect()
        }
        "getRecentPerformanceSamples" => performance_samples(chain, shared.slot, params)?,
        "sip_slotMicroseconds" => json!(shared.slot.map_or(0, |slot| slot.as_micros() as u64)),
        "getSupply" => {
            let faucet = chain.genesis.faucet.pubkey();
            let total = ledger.issued_lamports().saturating_sub(ledger.statistics().fee_lamports);
            let idle = ledger.shared_account(&faucet).map_or(0, |account| account.lamports());
            let is_without_list = params.options(0)?.flag("excludeNonCirculatingAccountsList")?;
            let accounts = if is_without_list { json!([]) } else { json!([faucet.to_string()]) };
            let value = json!({
                "total": total,
                "circulating": total.saturating_sub(idle),
                "nonCirculating": idle,
                "nonCirculatingAccounts": accounts,
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
            let schedule = ledger.epoch_schedule();
            let last = schedule.get_epoch(slot).saturating_sub(1);
            let epoch = params.options(1)?.number("epoch")?.unwrap_or(last);
            // Rewards stand in the first block after their epoch.
            let block = schedule.get_first_slot_in_epoch(epoch.saturating_add(1));
            if block > slot {
                return Err(RpcError::block_not_available(block));
            }
            json!(vec![Value::Null; addresses.len()])
        }
        "getVoteAccounts" => {
            params.options(0)?.base58::<Address>("votePubkey")?;
            json!({ "current": [], "delinquent": [] })
        }
        "getClusterNodes" => {
            let (host, port) = (shared.address.ip(), shared.address.port());
            json!([{
                "pubkey": identity(chain).to_string(),
                "rpc": shared.address.to_string(),
                "pubsub": std::net::SocketAddr::new(host, port.saturating_add(1)).to_string(),
                "gossip": null,
                "tpu": null,
                "version": API_VERSION,
                "featureSet": sip_svm::feature_set(),
                "shredVersion": 0,
            }])
        }
        _ => return Err(RpcError::unknown_method()),
    })
}
