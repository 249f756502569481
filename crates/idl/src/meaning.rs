//! What the numbers and bytes of a field mean beyond their size: a choice, a yes or no, an amount, a text.
//!
//! A choice is listed here with the numbers that the rules use. The others follow from the field's prose, which says so in fixed words.

use sip_protocol::{
    AccountKind,
    admin::administration::ProposalKind,
    court::{CaseKind, MoveKind, Outcome, Phase, availability},
    ground::layout::{Field, Type},
    stake::pool::{self, PoolKind},
    training::{
        evaluation::{self, run},
        finality::Undoing,
        mixture::Mode,
        round, seats, seed, segment,
    },
};

/// What stands in a field.
pub(crate) enum Meaning {
    /// One of a few numbers.
    Choice(&'static Enumeration),
    /// 1 for yes, 0 for no.
    Flag,
    /// Base units of the token.
    Amount,
    /// UTF-8, padded with zeros.
    Text,
    /// What its type says.
    Plain,
}

/// Numbers that have names.
pub(crate) struct Enumeration {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) docs: &'static str,
    /// Bytes of a number.
    pub(crate) bytes: usize,
    /// The numbers with their names, ascending.
    pub(crate) named: &'static [(u32, &'static str)],
    /// The fields that hold one: struct, instruction or derivation, and name.
    pub(crate) fields: &'static [(&'static str, &'static str)],
}

/// The variants of an enumeration of the rules; one that is missing here does not compile.
macro_rules! variants {
    ($enumeration:ident: $($variant:ident),+) => {{
        const fn is_listed(value: $enumeration) -> bool {
            match value {
                $($enumeration::$variant => true,)+
            }
        }
        const { assert!($(is_listed($enumeration::$variant))&&+) }
        &[$(($enumeration::$variant as u32, stringify!($variant))),+]
    }};
}

/// Constants of a module of the rules.
macro_rules! constants {
    ($module:ident: $($constant:ident $name:literal),+) => {
        &[$(($module::$constant as u32, $name)),+]
    };
}

/// All of them.
pub(crate) const ENUMERATIONS: &[Enumeration] = &[
    Enumeration {
        name: "AccountKind",
        docs: "What an account is.",
        bytes: 1,
        named: variants!(AccountKind: Config, Pool, Position, Ticket, Dataset, Job, Round, Segment, Dispute, ScoringRun, Accusation, Demand,
            Emission, Fees, Vote, Peer),
        fields: &[("Header", "kind")],
    },
    Enumeration {
        name: "PoolKind",
        docs: "What a pool stakes on.",
        bytes: 1,
        named: variants!(PoolKind: Trainer, Auditor, Evaluator, Data, Attention, Model, Server),
        fields: &[("Pool", "kind"), ("CreatePool", "kind"), ("pool", "kind")],
    },
    Enumeration {
        name: "PoolStatus",
        docs: "Whether a pool takes stake.",
        bytes: 1,
        named: constants!(pool: ACTIVE "Active", RETIRED "Retired"),
        fields: &[("Pool", "status")],
    },
    Enumeration {
        name: "ProposalKind",
        docs: "What a proposal does.",
        bytes: 1,
        named: variants!(ProposalKind: Parameters, Treasury, Reserve, Insurance, Schedule),
        fields: &[("Proposal", "kind"), ("ProposeSpending", "kind")],
    },
    Enumeration {
        name: "MixtureMode",
        docs: "How a mixture follows stake.",
        bytes: 1,
        named: variants!(Mode: Linear, SquareRoot),
        fields: &[("JobSpec", "mixture_mode")],
    },
    Enumeration {
        name: "SeatState",
        docs: "Whether a place of a job is held and its holder awaited.",
        bytes: 1,
        named: constants!(seats: FREE "Free", AWAKE "Awake", DORMANT "Dormant", CONVICTED "Convicted"),
        fields: &[("Seat", "state")],
    },
    Enumeration {
        name: "RoundStatus",
        docs: "How far a round is.",
        bytes: 1,
        named: constants!(round: OPEN "Open", COMMITS_CLOSED "CommitsClosed", CLOSED "Closed", AGGREGATED "Aggregated", SCORED "Scored",
            VOID "Void", FINAL "Final"),
        fields: &[("Round", "status"), ("Round", "void_from")],
    },
    Enumeration {
        name: "SeedStatus",
        docs: "Whether the slots' hashes are in the next seed.",
        bytes: 1,
        named: constants!(seed: NONE "NotClosed", PENDING "Pending", CAPTURED "Captured", MISSED "Missed"),
        fields: &[("Round", "seed_status")],
    },
    Enumeration {
        name: "Undoing",
        docs: "Why a round was undone.",
        bytes: 1,
        named: variants!(Undoing: Work, Scores, Base),
        fields: &[("Round", "is_undone")],
    },
    Enumeration {
        name: "SegmentStatus",
        docs: "What became of a segment.",
        bytes: 1,
        named: constants!(segment: COMMITTED "Committed", CONVICTED "Convicted", ACCEPTED "Accepted"),
        fields: &[("Segment", "status")],
    },
    Enumeration {
        name: "EvaluationStatus",
        docs: "What an evaluator has done in a round, and how it was judged.",
        bytes: 1,
        named: constants!(evaluation: ABSENT "Absent", COMMITTED "Committed", REVEALED "Revealed", WITHIN "Within", OFF "Off",
            CONVICTED "Convicted"),
        fields: &[("EvaluatorSeat", "status")],
    },
    Enumeration {
        name: "ScoringRunStatus",
        docs: "Whether a scoring run stands.",
        bytes: 1,
        named: constants!(run: REVEALED "Revealed", CONVICTED "Convicted"),
        fields: &[("ScoringRun", "status")],
    },
    Enumeration {
        name: "DemandStatus",
        docs: "What became of a demand.",
        bytes: 1,
        named: constants!(availability: OPEN "Open", ANSWERED "Answered", FAILED "Failed"),
        fields: &[("Demand", "status")],
    },
    Enumeration {
        name: "CaseKind",
        docs: "What a case is about: whose claim, and which graph it is the outcome of.",
        bytes: 4,
        named: variants!(CaseKind: Segment, Aggregate, Genesis, Attestation, Score, Start, Update),
        fields: &[("Ground", "case"), ("OpenDispute", "case")],
    },
    Enumeration {
        name: "Phase",
        docs: "What a dispute waits for.",
        bytes: 4,
        named: variants!(Phase: RevealLeaves, PickLeaf, OpenLeaf, PostSteps, PickStep, PostTrace, PickTrace, RevealTrace, RevealState,
            PickState, OpenEntry, ProveOutput, OpenNode, ProveInput, RevealTensor, PickTensor, PostChunk, PickElement, ProveToken,
            PostPartials, PickPiece, PostValues, ProveOperand, Over, ShowLeaf),
        fields: &[("Game", "phase")],
    },
    Enumeration {
        name: "Outcome",
        docs: "How a dispute stands or ended.",
        bytes: 4,
        named: variants!(Outcome: Open, Convicted, Acquitted),
        fields: &[("Game", "outcome")],
    },
    Enumeration {
        name: "MoveKind",
        docs: "A move in a dispute.",
        bytes: 1,
        named: variants!(MoveKind: Concede, Reveal, OpenLeaf, PostSteps, PostTrace, OpenEntry, OpenNode, PostChunk, PostPartials,
            PostValues, Pick, DisputeState, ProveOutput, ProveInput, ProveToken, ProveOperand, ShowLeaf, ProveBeyond),
        fields: &[("PlayMove", "kind")],
    },
];

impl Enumeration {
    /// The names of all numbers from 0 to the greatest: tools count variants from 0. 0 is "None" where it has no name.
    pub(crate) fn all(&self) -> Vec<String> {
        let most = self.named.last().map_or(0, |(number, _)| *number);
        let name = |number| match self.named.iter().find(|(other, _)| *other == number) {
            Some((_, name)) => (*name).to_owned(),
            None if number == 0 => "None".into(),
            None => format!("Unused{number}"),
        };
        (0..=most).map(name).collect()
    }

    /// The name of a number.
    pub(crate) fn name_of(&self, number: u64) -> Option<&'static str> {
        self.named.iter().find(|(other, _)| u64::from(*other) == number).map(|(_, name)| *name)
    }
}

/// The choice that the field of this name holds, of a struct, an instruction or a derivation.
pub(crate) fn choice(owner: &str, field: &str) -> Option<&'static Enumeration> {
    ENUMERATIONS.iter().find(|of| of.fields.contains(&(owner, field)))
}

/// What stands in a field of a struct or an instruction.
pub(crate) fn meaning(owner: &str, field: &Field) -> Meaning {
    if let Some(choice) = choice(owner, field.name) {
        return Meaning::Choice(choice);
    }
    let prose = field.docs.join(" ");
    let says = |words: &[&str]| words.iter().any(|words| prose.contains(words));
    let mut item = &field.kind;
    while let Type::Array(inner, _) = item {
        item = inner;
    }
    match (&field.kind, item) {
        (Type::Integer(1), _) if says(&["1, else 0", " 1 if ", " 1 once "]) => Meaning::Flag,
        (Type::Array(_, 32), Type::Integer(1)) if says(&["padded with zeros"]) => Meaning::Text,
        (_, Type::Integer(8)) if says(&["ase units"]) && !says(&["units per "]) => Meaning::Amount,
        _ => Meaning::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_protocol::{accounts, ground::layout::Layout, instructions};

    /// All structs with fields: of accounts, inside of them, of arguments.
    fn layouts() -> Vec<&'static Layout> {
        let of_accounts = accounts::all().map(|account| account.layout);
        let of_arguments = instructions::all().map(|spec| spec.arguments);
        of_accounts.chain(of_arguments).chain(crate::structs::structs()).collect()
    }

    #[test]
    fn every_choice_stands_in_fields_of_its_size() {
        for choice in ENUMERATIONS {
            assert!(choice.named.is_sorted_by(|(one, _), (other, _)| one < other), "{}", choice.name);
            for (owner, name) in choice.fields.iter().filter(|(owner, _)| *owner != "pool") {
                let layout = layouts().into_iter().find(|layout| layout.name == *owner);
                let field = layout.and_then(|layout| layout.fields.iter().find(|field| field.name == *name));
                assert!(field.is_some_and(|field| field.kind.bytes() == choice.bytes), "{owner}.{name}");
            }
        }
    }

    /// A number that is a choice in the prose or by its name is one here, but for those that mean nothing beside other fields.
    #[test]
    fn no_choice_is_a_plain_number() {
        let plain = [("ClaimBounty", "case")];
        for layout in layouts() {
            for field in layout.fields.iter().filter(|field| matches!(field.kind, Type::Integer(_))) {
                let is_choice = ["kind", "status", "state", "phase", "outcome", "case"].contains(&field.name)
                    || field.docs.iter().any(|line| line.starts_with(" A [`") || line.starts_with(" An [`"));
                let is_known = choice(layout.name, field.name).is_some() || plain.contains(&(layout.name, field.name));
                assert!(!is_choice || is_known, "{}.{} should be in ENUMERATIONS", layout.name, field.name);
            }
        }
    }

    #[test]
    fn flags_amounts_and_texts_follow_from_the_prose() {
        let of = |owner: &str, name: &str| {
            let layout = layouts().into_iter().find(|layout| layout.name == owner).expect("a struct");
            meaning(owner, layout.fields.iter().find(|field| field.name == name).expect("a field"))
        };
        assert!(
            matches!(of("Pool", "compounding"), Meaning::Flag) && matches!(of("Dispute", "resolved"), Meaning::Flag)
        );
        assert!(
            matches!(of("Pool", "self_bond"), Meaning::Amount) && matches!(of("Buckets", "public"), Meaning::Amount)
        );
        assert!(matches!(of("Fees", "data"), Meaning::Amount) && matches!(of("RewardIndex", "high"), Meaning::Plain));
        assert!(matches!(of("Pool", "survival"), Meaning::Plain) && matches!(of("Pool", "shares"), Meaning::Plain));
        assert!(
            matches!(of("Dataset", "domain"), Meaning::Text) && matches!(of("Dataset", "train_root"), Meaning::Plain)
        );
    }

    #[test]
    fn numbers_without_a_name_have_one_for_tools_that_count() {
        let kinds = choice("Header", "kind").expect("a choice");
        assert_eq!(
            (kinds.all()[0].as_str(), kinds.all()[13].as_str(), kinds.all()[20].as_str()),
            ("None", "Unused13", "Emission")
        );
        assert_eq!(kinds.name_of(22), Some("Vote"));
    }
}
