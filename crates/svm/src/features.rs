//! Which rules of the runtime are in force.

use agave_feature_set::FeatureSet;
use solana_address::Address;

/// Every line: a feature's address, the slot in which mainnet activated it, and its name; lines of `#` say where from and when.
const MAINNET: &str = include_str!("mainnet-features.txt");

/// Whose rules an embedded ledger has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Features {
    /// Those of mainnet-beta on the day that `mainnet-features.txt` names.
    #[default]
    Mainnet,
    /// All that the runtime knows, those to come included.
    All,
}

impl Features {
    /// How the virtual machine gets them.
    pub(crate) fn set(self) -> FeatureSet {
        match self {
            Features::All => FeatureSet::all_enabled(),
            Features::Mainnet => {
                let mut set = FeatureSet::default();
                mainnet().for_each(|(address, slot)| set.activate(&address, slot));
                set
            }
        }
    }
}

/// The number of the features that this runtime knows, by which nodes tell each other's versions apart.
pub fn feature_set() -> u32 {
    agave_feature_set::ID.to_bytes().first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn mainnet() -> impl Iterator<Item = (Address, u64)> {
    MAINNET.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_a_feature_that_the_runtime_knows() {
        let lines = MAINNET.lines().filter(|line| !line.starts_with('#')).count();
        let known = FeatureSet::all_enabled();
        let features: Vec<_> = mainnet().collect();
        assert_eq!((lines, features.len()), (251, 251));
        assert!(features.iter().all(|(address, _)| known.is_active(address)));
    }

    #[test]
    fn old_bytecode_is_still_deployed_on_mainnet_and_no_longer_with_all_features() {
        let refused = agave_feature_set::disable_sbpf_v0_v1_v2_deployment::ID;
        let allowed = agave_feature_set::enable_sbpf_v3_deployment_and_execution::ID;
        let [mainnet, all] = [Features::Mainnet.set(), Features::All.set()];
        assert_eq!([&mainnet, &all].map(|set| set.is_active(&refused)), [false, true]);
        assert_eq!([&mainnet, &all].map(|set| set.is_active(&allowed)), [true, true]);
    }
}
