//! What each instruction costs, measured on the compiled program. Run with `--nocapture` to see the table.
//!
//! Budgets are what was measured and 15 %, rounded up; where an address is derived, they leave room for the three or four
//! bumps, of 1 500 units each, that another address may need.

#[path = "../shared/accuser.rs"]
mod accuser;
mod before;
mod challenges;
#[path = "../shared/court/mod.rs"]
mod court;
mod page;
mod payments;
mod rounds;

use page::Line;
use sip_ledger::Receipt;
use sip_protocol::{
    court::MoveKind,
    ground::spec::InstructionSpec,
    instructions::{Args, PlayMove, all, spec},
};
use sip_testing::World;
use solana_instruction::Instruction;
use solana_keypair::Keypair;

/// What a transaction took.
struct Row {
    spec: &'static InstructionSpec,
    case: String,
    units: u64,
    bytes: usize,
}

impl Row {
    /// The instruction and its case, as the tables of `docs/spec/costs.md` have it.
    fn name(&self) -> String {
        let mut name = String::new();
        for letter in self.spec.name.chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.extend(letter.to_lowercase());
        }
        if self.case.is_empty() { name } else { format!("{name} ({})", self.case) }
    }

    /// Most compute units by the declaration.
    fn budget(&self) -> u64 {
        let budget = self.spec.budgets.iter().find(|budget| budget.case == self.case);
        budget.unwrap_or_else(|| panic!("{} has no budget", self.name())).compute_units.into()
    }
}

/// What was measured.
#[derive(Default)]
struct Table(Vec<Row>);

impl Table {
    /// Sends an instruction whose case is the usual one.
    fn run(&mut self, world: &mut World, instruction: Instruction, key: &Keypair) {
        self.run_as(world, "", instruction, key);
    }

    /// Sends an instruction in a case that its declaration names.
    fn run_as(&mut self, world: &mut World, case: &str, instruction: Instruction, key: &Keypair) {
        let tag = instruction.data[0];
        let receipt = world.send(&[instruction], &[key]);
        self.note(tag, case, receipt.compute_units, receipt.transaction_bytes);
    }

    /// Notes a transaction of a move.
    fn play(&mut self, kind: MoveKind, receipt: &Receipt) {
        self.note(PlayMove::TAG, &format!("{kind:?}"), receipt.compute_units, receipt.transaction_bytes);
    }

    /// Notes what a transaction took: of those of one case the most.
    fn note(&mut self, tag: u8, case: &str, units: u64, bytes: usize) {
        let spec = spec(tag).expect("a known instruction");
        match self.0.iter_mut().find(|row| row.spec.tag == tag && row.case == case) {
            Some(row) => (row.units, row.bytes) = (row.units.max(units), row.bytes.max(bytes)),
            None => self.0.push(Row { spec, case: case.to_owned(), units, bytes }),
        }
    }
}

/// All that is measured, each on a chain of its own.
const SCENARIOS: [fn() -> Table; 12] = [
    rounds::second_draws,
    rounds::a_life,
    payments::payments,
    rounds::a_job_steered_in_full,
    rounds::a_tally_that_remembers_eight_improvements,
    rounds::closing,
    challenges::challenges,
    challenges::compressed_updates,
    challenges::moves,
    challenges::runs,
    rounds::absences,
    rounds::peers,
];

#[test]
fn every_instruction_is_measured_and_stays_within_its_budget_in_every_case() {
    let rows: Vec<Row> = std::thread::scope(|scope| {
        let running: Vec<_> = SCENARIOS.iter().map(|scenario| scope.spawn(scenario)).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("the scenario is played").0).collect()
    });
    println!("{:<38} {:>8} {:>8} {:>6}", "instruction", "units", "budget", "bytes");
    for row in &rows {
        println!("{:<38} {:>8} {:>8} {:>6}", row.name(), row.units, row.budget(), row.bytes);
    }
    for row in &rows {
        let (name, units) = (row.name(), row.units);
        assert!(units <= row.budget(), "{name} takes {units} compute units; its budget is {}", row.budget());
    }
    let measured =
        |spec: &InstructionSpec, case: &str| rows.iter().find(|row| row.spec.tag == spec.tag && row.case == case);
    let declared = || all().flat_map(|spec| spec.budgets.iter().map(move |budget| (spec, budget.case)));
    let missing: Vec<_> = declared().filter(|(spec, case)| measured(spec, case).is_none()).collect();
    assert!(missing.is_empty(), "no scenario measures {:?}", missing.iter().map(|(spec, case)| (spec.name, case)));
    let lines: Vec<Line> =
        declared().filter_map(|(spec, case)| measured(spec, case)).map(|row| Line::of(row.name(), row.units)).collect();
    page::require_all_compared(&lines);
    lines.iter().for_each(Line::require_within);
    page::compare(&lines);
}
