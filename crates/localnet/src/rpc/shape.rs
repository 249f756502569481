//! What each method may be given: a parameter or an option that it does not know, or of another type, is refused before anything is
//! done, so that none is ever ignored.

use super::error::RpcError;
use super::params::Params;
use serde_json::Value;

/// What a parameter or an option may be. `null` stands for one that is left out.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    /// From 0, without a fraction.
    Number,
    /// A number that fits a byte.
    Byte,
    Flag,
    /// A list of texts.
    Texts,
    Commitment,
    /// An object with these members alone.
    Object(&'static [(&'static str, Kind)]),
    /// Either of two.
    Or(&'static Kind, &'static Kind),
    /// What the method itself looks at.
    Any,
}

use Kind::{Any, Byte, Flag, Number, Object, Text, Texts};

const COMMITMENT: (&str, Kind) = ("commitment", Kind::Commitment);
const MIN_CONTEXT_SLOT: (&str, Kind) = ("minContextSlot", Number);
const ENCODING: (&str, Kind) = ("encoding", Text);
const DATA_SLICE: (&str, Kind) = ("dataSlice", Object(&[("offset", Number), ("length", Number)]));
const MAX_VERSION: (&str, Kind) = ("maxSupportedTransactionVersion", Byte);
const IDENTITY: (&str, Kind) = ("identity", Text);
const FILTERS: (&str, Kind) = ("filters", Any);

/// Of methods that read the state at a slot.
const CONTEXT: Kind = Object(&[COMMITMENT, MIN_CONTEXT_SLOT]);
const ACCOUNT: Kind = Object(&[COMMITMENT, MIN_CONTEXT_SLOT, ENCODING, DATA_SLICE]);
const ONLY_COMMITMENT: Kind = Object(&[COMMITMENT]);
const LEADERS: Kind = Object(&[COMMITMENT, IDENTITY]);
const TOKEN_SELECTOR: Kind = Object(&[("mint", Text), ("programId", Text)]);
const PROGRAM: Kind = Object(&[
    COMMITMENT,
    MIN_CONTEXT_SLOT,
    ENCODING,
    DATA_SLICE,
    FILTERS,
    ("withContext", Flag),
    ("sortResults", Flag),
]);
const TRANSACTION: Kind = Object(&[COMMITMENT, ENCODING, MAX_VERSION]);
const BLOCK: Kind = Object(&[COMMITMENT, ENCODING, MAX_VERSION, ("transactionDetails", Text), ("rewards", Flag)]);
const SIMULATED_ACCOUNTS: Kind = Object(&[ENCODING, ("addresses", Texts)]);

/// The parameters of every method, by place; `None` for one that is not known.
fn places(method: &str) -> Option<&'static [Kind]> {
    Some(match method {
        "getHealth"
        | "getVersion"
        | "getIdentity"
        | "getGenesisHash"
        | "getEpochSchedule"
        | "getInflationRate"
        | "getClusterNodes"
        | "getHighestSnapshotSlot"
        | "getFirstAvailableBlock"
        | "minimumLedgerSlot"
        | "getMaxRetransmitSlot"
        | "getMaxShredInsertSlot"
        | "getAgGenesisCert"
        | "sip_slotMicroseconds" => &[],
        "getSlot"
        | "getBlockHeight"
        | "getTransactionCount"
        | "getEpochInfo"
        | "getSlotLeader"
        | "getLatestBlockhash"
        | "getStakeMinimumDelegation" => &[CONTEXT],
        "getInflationGovernor" => &[ONLY_COMMITMENT],
        "getInflationReward" => &[Texts, Object(&[COMMITMENT, MIN_CONTEXT_SLOT, ("epoch", Number)])],
        "getSupply" => &[Object(&[COMMITMENT, ("excludeNonCirculatingAccountsList", Flag)])],
        "getLargestAccounts" => &[Object(&[COMMITMENT, ("filter", Text), ("sortResults", Flag)])],
        "getVoteAccounts" => &[Object(&[
            COMMITMENT,
            ("votePubkey", Text),
            ("keepUnstakedDelinquents", Flag),
            ("delinquentSlotDistance", Number),
        ])],
        "getSlotLeaders" => &[Number, Number],
        "getLeaderSchedule" => &[Kind::Or(&Number, &LEADERS), LEADERS],
        "getBlockProduction" => {
            &[Object(&[COMMITMENT, IDENTITY, ("range", Object(&[("firstSlot", Number), ("lastSlot", Number)]))])]
        }
        "getBlockCommitment" | "getBlockTime" | "getRecentPerformanceSamples" | "sip_advanceToSlot" => &[Number],
        "getRecentPrioritizationFees" => &[Texts],
        "getBlocks" => &[Number, Kind::Or(&Number, &CONTEXT), CONTEXT],
        "getBlocksWithLimit" => &[Number, Number, CONTEXT],
        "getMinimumBalanceForRentExemption" => &[Number, ONLY_COMMITMENT],
        "isBlockhashValid" | "getFeeForMessage" | "getBalance" => &[Text, CONTEXT],
        "getAccountInfo" | "accountSubscribe" => &[Text, ACCOUNT],
        "getMultipleAccounts" => &[Texts, ACCOUNT],
        "getProgramAccounts" | "programSubscribe" => &[Text, PROGRAM],
        "getTokenAccountBalance" | "getTokenSupply" | "getTokenLargestAccounts" => &[Text, ONLY_COMMITMENT],
        "getTokenAccountsByOwner" | "getTokenAccountsByDelegate" => &[Text, TOKEN_SELECTOR, ACCOUNT],
        "getSignatureStatuses" => &[Texts, Object(&[("searchTransactionHistory", Flag)])],
        "getSignaturesForAddress" => {
            &[Text, Object(&[COMMITMENT, MIN_CONTEXT_SLOT, ("before", Text), ("until", Text), ("limit", Number)])]
        }
        "getTransaction" => &[Text, Kind::Or(&Text, &TRANSACTION)],
        "getBlock" => &[Number, Kind::Or(&Text, &BLOCK)],
        "simulateTransaction" => &[
            Text,
            Object(&[
                COMMITMENT,
                MIN_CONTEXT_SLOT,
                ENCODING,
                ("sigVerify", Flag),
                ("replaceRecentBlockhash", Flag),
                ("innerInstructions", Flag),
                ("accounts", SIMULATED_ACCOUNTS),
            ]),
        ],
        "sendTransaction" => &[
            Text,
            Object(&[
                ENCODING,
                MIN_CONTEXT_SLOT,
                ("skipPreflight", Flag),
                ("preflightCommitment", Kind::Commitment),
                ("maxRetries", Number),
            ]),
        ],
        "requestAirdrop" => &[Text, Number, Object(&[COMMITMENT, ("recentBlockhash", Text)])],
        "signatureSubscribe" => &[Text, Object(&[COMMITMENT, ("enableReceivedNotification", Flag)])],
        "logsSubscribe" => &[Any, ONLY_COMMITMENT],
        "slotSubscribe" | "slotsUpdatesSubscribe" | "rootSubscribe" => &[],
        "accountUnsubscribe"
        | "programUnsubscribe"
        | "signatureUnsubscribe"
        | "logsUnsubscribe"
        | "slotUnsubscribe"
        | "slotsUpdatesUnsubscribe"
        | "rootUnsubscribe" => &[Number],
        _ => return None,
    })
}

/// Refuses parameters that a method does not take.
pub(super) fn check(method: &str, params: Params<'_>) -> Result<(), RpcError> {
    let places = places(method).ok_or_else(RpcError::unknown_method)?;
    let given = params.all();
    if given.len() > places.len() {
        let most = places.len();
        return Err(RpcError::invalid(format!(
            "{method} takes at most {most} parameters, and {} are given",
            given.len()
        )));
    }
    for (at, (kind, value)) in places.iter().zip(given).enumerate() {
        kind.check(value, &format!("parameter {} of {method}", at + 1))?;
    }
    Ok(())
}

impl Kind {
    fn check(&self, value: &Value, name: &str) -> Result<(), RpcError> {
        let is_right = match self {
            _ if value.is_null() => true,
            Self::Any => true,
            Self::Text => value.is_string(),
            Self::Number => value.is_u64(),
            Self::Byte => value.as_u64().is_some_and(|number| number <= u64::from(u8::MAX)),
            Self::Flag => value.is_boolean(),
            Self::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            // Old names of the levels included.
            Self::Commitment => matches!(
                value.as_str(),
                Some("processed" | "confirmed" | "finalized" | "recent" | "single" | "singleGossip" | "root" | "max")
            ),
            Self::Or(one, other) => {
                return match (one.check(value, name), other.check(value, name)) {
                    (Ok(()), _) | (_, Ok(())) => Ok(()),
                    // What is wrong with an object says more than that it is none.
                    (Err(one), Err(other)) => Err(if value.is_object() { other } else { one }),
                };
            }
            Self::Object(members) => {
                let Some(given) = value.as_object() else { return Err(self.wrong(name)) };
                for (member, value) in given {
                    let Some((_, kind)) = members.iter().find(|(known, _)| known == member) else {
                        return Err(RpcError::invalid(format!("\"{member}\" is no option of {name}")));
                    };
                    kind.check(value, &format!("\"{member}\""))?;
                }
                true
            }
        };
        if is_right { Ok(()) } else { Err(self.wrong(name)) }
    }

    fn wrong(&self, name: &str) -> RpcError {
        let wanted = match self {
            Self::Text => "a string",
            Self::Number => "a number from 0",
            Self::Byte => "a number from 0 to 255",
            Self::Flag => "true or false",
            Self::Texts => "a list of strings",
            Self::Commitment => "\"processed\", \"confirmed\" or \"finalized\"",
            Self::Object(_) => "an object",
            Self::Or(..) | Self::Any => "something else",
        };
        RpcError::invalid(format!("{name} must be {wanted}"))
    }
}

/// Every method that is answered over HTTP, with a parameter of the wrong type at each of its places, and each of its options with a wrong
/// type.
#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    const METHODS: [&str; 62] = [
        "getHealth",
        "getVersion",
        "getIdentity",
        "getGenesisHash",
        "getEpochSchedule",
        "getInflationRate",
        "getClusterNodes",
        "getHighestSnapshotSlot",
        "getFirstAvailableBlock",
        "minimumLedgerSlot",
        "getMaxRetransmitSlot",
        "getMaxShredInsertSlot",
        "getAgGenesisCert",
        "sip_slotMicroseconds",
        "getSlot",
        "getBlockHeight",
        "getTransactionCount",
        "getEpochInfo",
        "getSlotLeader",
        "getLatestBlockhash",
        "getStakeMinimumDelegation",
        "getInflationGovernor",
        "getInflationReward",
        "getSupply",
        "getLargestAccounts",
        "getVoteAccounts",
        "getSlotLeaders",
        "getLeaderSchedule",
        "getBlockProduction",
        "getBlockCommitment",
        "getBlockTime",
        "getRecentPerformanceSamples",
        "sip_advanceToSlot",
        "getRecentPrioritizationFees",
        "getBlocks",
        "getBlocksWithLimit",
        "getMinimumBalanceForRentExemption",
        "isBlockhashValid",
        "getFeeForMessage",
        "getBalance",
        "getAccountInfo",
        "accountSubscribe",
        "getMultipleAccounts",
        "getProgramAccounts",
        "programSubscribe",
        "getTokenAccountBalance",
        "getTokenSupply",
        "getTokenLargestAccounts",
        "getTokenAccountsByOwner",
        "getTokenAccountsByDelegate",
        "getSignatureStatuses",
        "getSignaturesForAddress",
        "getTransaction",
        "getBlock",
        "simulateTransaction",
        "sendTransaction",
        "requestAirdrop",
        "signatureSubscribe",
        "logsSubscribe",
        "slotSubscribe",
        "slotsUpdatesSubscribe",
        "rootSubscribe",
    ];

    /// A value that fits.
    fn right(kind: Kind) -> Value {
        match kind {
            Kind::Text => json!("x"),
            Kind::Number | Kind::Byte => json!(1),
            Kind::Flag => json!(true),
            Kind::Texts => json!(["x"]),
            Kind::Commitment => json!("confirmed"),
            Kind::Object(members) => {
                members.iter().map(|(name, kind)| ((*name).to_owned(), right(*kind))).collect::<Map<_, _>>().into()
            }
            Kind::Or(one, _) => right(*one),
            Kind::Any => json!(null),
        }
    }

    /// Values that do not.
    fn wrong(kind: Kind) -> Vec<Value> {
        match kind {
            Kind::Text => vec![json!(5), json!({}), json!(["x"])],
            Kind::Number => vec![json!("1"), json!(-1), json!(1.5), json!([1])],
            Kind::Byte => vec![json!("1"), json!(256)],
            Kind::Flag => vec![json!(1), json!("yes")],
            Kind::Texts => vec![json!("x"), json!([5])],
            Kind::Commitment => vec![json!("banana"), json!(5)],
            Kind::Object(members) => {
                let with = |name: &str, value: Value| {
                    let mut whole = right(kind);
                    whole[name] = value;
                    whole
                };
                let mut all = vec![json!(5), json!("x"), json!([]), with("nonsense", json!(true))];
                for (name, member) in members {
                    all.extend(wrong(*member).into_iter().map(|value| with(name, value)));
                }
                all
            }
            // What fits neither.
            Kind::Or(_, other) => wrong(*other).into_iter().filter(|value| kind.check(value, "x").is_err()).collect(),
            Kind::Any => Vec::new(),
        }
    }

    #[test]
    fn every_option_and_parameter_of_a_wrong_type_and_every_unknown_one_is_refused() {
        let refused = |method: &str, params: &[Value]| {
            let params = Value::from(params.to_vec());
            check(method, Params::new(Some(&params)).unwrap()).is_err_and(|error| error.code == -32602)
        };
        let mut asked = 0;
        for method in METHODS {
            let places = places(method).unwrap();
            let good: Vec<Value> = places.iter().map(|kind| right(*kind)).collect();
            assert!(!refused(method, &good), "{method} {good:?}");
            assert!(!refused(method, &vec![Value::Null; good.len()]), "{method}");
            for (at, kind) in places.iter().enumerate() {
                for value in wrong(*kind) {
                    let mut bad = good.clone();
                    bad[at] = value;
                    assert!(refused(method, &bad), "{method} {bad:?}");
                    asked += 1;
                }
            }
            assert!(refused(method, &[good, vec![json!(1)]].concat()), "{method}");
        }
        assert!(asked > 500, "{asked}");
    }
}
