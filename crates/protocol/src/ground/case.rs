//! What a case in court is about.

/// Defines an enumeration whose numbers stand on chain.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum $name { $($(#[$variant_doc])* $variant = $number,)* }

        impl $name {
            /// All of them, by number.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The one with this number.
            pub const fn from_number(number: u32) -> Option<$name> {
                match number {
                    $($number => Some($name::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use numbered;

numbered! {
    /// What a case is about: whose claim, and which graph it is the outcome of. Other numbers are free for other claims that are the
    /// outcome of a graph.
    CaseKind {
        /// A trainer's segment: steps of the job's graph, in leaves.
        Segment = 0,
        /// An auditor's vote for the next base: one step of the graph that averages the accepted segments' ends.
        Aggregate = 1,
        /// A creator's genesis state: one step of a graph without inputs.
        Genesis = 2,
        /// An auditor's attestation: the trace of the first step of one leaf of a segment, which is not in question itself.
        Attestation = 3,
        /// An evaluator's scoring run: steps of the job's scoring graph, in leaves; its one base is the base that is scored.
        Score = 4,
        /// The state that a trainer's segment starts from, with compressed updates: one step of the job's start graph. The state before it
        /// is the round's base, its one base the trainer's previous update.
        Start = 5,
        /// The update that a trainer's segment ends with: one step of the job's update graph. The state before it is the previous update,
        /// its bases are the segment's start and end states.
        Update = 6,
    }
}
