//! Instructions in words, as Agave's "jsonParsed" has them.

use serde_json::Value;
use solana_address::Address;
use solana_message::AccountKeys;
use solana_message::compiled_instruction::CompiledInstruction;
use solana_message::v0::LoadedAddresses;
use solana_transaction_status::parse_ui_instruction;

/// The addresses that lookup tables gave, as the meta of a transaction names them.
pub(super) fn loaded(meta: &Value) -> LoadedAddresses {
    let of = |kind: &str| -> Vec<Address> {
        let names = meta["loadedAddresses"][kind].as_array().into_iter().flatten();
        names.filter_map(|name| name.as_str()?.parse().ok()).collect()
    };
    LoadedAddresses { writable: of("writable"), readonly: of("readonly") }
}

/// An instruction in words; what is not understood keeps its data. `None` where it names accounts that are not there.
pub(super) fn instruction(
    keys: &AccountKeys<'_>,
    compiled: &CompiledInstruction,
    stack_height: Option<u32>,
) -> Option<Value> {
    let mut named = std::iter::once(&compiled.program_id_index).chain(&compiled.accounts);
    if named.any(|index| usize::from(*index) >= keys.len()) {
        return None;
    }
    serde_json::to_value(parse_ui_instruction(compiled, keys, stack_height)).ok()
}

/// Writes the inner instructions of a meta in words too.
pub(super) fn inner(keys: &AccountKeys<'_>, meta: &mut Value) {
    let index = |value: &Value| value.as_u64().and_then(|index| u8::try_from(index).ok());
    for group in meta["innerInstructions"].as_array_mut().into_iter().flatten() {
        for inner in group["instructions"].as_array_mut().into_iter().flatten() {
            let accounts: Option<Vec<u8>> = inner["accounts"].as_array().into_iter().flatten().map(index).collect();
            let data = bs58::decode(inner["data"].as_str().unwrap_or_default()).into_vec();
            let (Some(program_id_index), Some(accounts), Ok(data)) = (index(&inner["programIdIndex"]), accounts, data)
            else {
                continue;
            };
            let height = inner["stackHeight"].as_u64().and_then(|height| u32::try_from(height).ok());
            let compiled = CompiledInstruction { program_id_index, accounts, data };
            if let Some(parsed) = instruction(keys, &compiled, height) {
                *inner = parsed;
            }
        }
    }
}
