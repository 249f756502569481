//! The tables of `docs/spec`, read out of its pages and compared with the code: offsets, sizes, tags, numbers and limits.

use core::mem::offset_of;
use sip_ops::{Kind, Opcode};
use sip_proof::{LEAF_BYTES, Leaf};
use sip_protocol::{
    AccountKind,
    court::{Dispute, MAX_BASES, MAX_NODE, MAX_PAYLOAD, MAX_PINNED, MoveKind, Phase, Side, accusation, availability},
    ground::{case::CaseKind, declare::Args},
    instructions as court, instructions as finality,
    instructions::name,
    training::{
        job::{MAX_AUDITORS, MAX_DOMAINS, MAX_TRAINERS},
        segment::{Segment, SegmentClaim},
    },
};

/// The integers of arguments.
const INTEGERS: [&str; 3] = ["u8", "u16", "u32"];
const COMMITMENTS: &str = include_str!("../../../../docs/spec/commitments.md");
const DISPUTES: &str = include_str!("../../../../docs/spec/disputes.md");
const FINALITY: &str = include_str!("../../../../docs/spec/finality.md");
const OPERATORS: &str = include_str!("../../../../docs/spec/operators.md");

/// The rows of every table of a page that has these columns, cell by cell.
fn rows<'a>(page: &'a str, columns: &str) -> Vec<Vec<&'a str>> {
    let mut rows = Vec::new();
    let mut is_inside = false;
    for line in page.lines() {
        is_inside = line == columns || (is_inside && line.starts_with('|'));
        if is_inside && line != columns && !line.starts_with("|---") {
            rows.push(line.trim_matches('|').split('|').map(str::trim).collect());
        }
    }
    assert!(!rows.is_empty(), "no table has the columns {columns}");
    rows
}

/// The number of a cell: decimal, or a power of two written with raised digits.
fn number(cell: &str) -> u64 {
    let raised = |digit: char| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().position(|other| other == digit);
    if let Some(exponent) = cell.strip_prefix('2').filter(|rest| rest.chars().any(|c| raised(c).is_some())) {
        return 1 << exponent.chars().fold(0, |sum, c| sum * 10 + raised(c).expect("a raised digit"));
    }
    cell.parse().unwrap_or_else(|_| panic!("\"{cell}\" is no number"))
}

/// Bytes of a part of a layout: `5 × 32`, `8 × u64`, `u32`, `10 bytes`, `114`.
fn bytes(part: &str) -> u64 {
    let of = |factor: &str| match factor.trim_end_matches(" bytes") {
        "u8" => 1,
        "u16" => 2,
        "u32" => 4,
        "u64" => 8,
        other => number(other),
    };
    part.split(" × ").map(of).product()
}

/// Bytes of an instruction's arguments: parts such as `salt (32)`, `4 siblings (32 each)`, `place u8`; what follows them, `bytes`, is none.
fn argument_bytes(cell: &str) -> usize {
    let of = |part: &str| match part.rsplit_once(' ') {
        _ if part == "–" || part == "bytes" => 0,
        Some((_, last)) if INTEGERS.contains(&last) => bytes(last),
        Some((head, "each)")) => {
            let (count, size) = head.split_once(' ').expect("a count");
            number(count) * number(size.rsplit_once('(').expect("a size").1)
        }
        Some((_, last)) => number(last.trim_matches(['(', ')'])),
        None => panic!("\"{part}\" says no size"),
    };
    cell.split(" ‖ ").map(of).sum::<u64>() as usize
}

#[test]
fn the_fields_of_a_dispute_stand_where_the_page_says() {
    let found = [
        offset_of!(Dispute, header),
        offset_of!(Dispute, subject),
        offset_of!(Dispute, bond),
        offset_of!(Dispute, moves),
        offset_of!(Dispute, game.ground.nodes_root),
        offset_of!(Dispute, game.ground.dataset_roots),
        offset_of!(Dispute, game.ground.node_count),
        offset_of!(Dispute, game.ground.bases),
        offset_of!(Dispute, game.ground.settings),
        offset_of!(Dispute, game.start_root),
        offset_of!(Dispute, game.clock_slots),
        offset_of!(Dispute, game.phase),
        offset_of!(Dispute, game.pinned),
        offset_of!(Dispute, game.node_bytes),
        offset_of!(Dispute, game.trace_path),
        offset_of!(Dispute, buffer),
        offset_of!(Dispute, round),
        offset_of!(Dispute, committed_slot),
        offset_of!(Dispute, full_clock_slots),
    ];
    let rows = rows(DISPUTES, "| offset | bytes | field |");
    let said: Vec<usize> = rows.iter().map(|row| number(row[0]) as usize).collect();
    assert_eq!(said, found);
    // Each field ends where the next begins, and the last with the account.
    let ends = said.iter().copied().skip(1).chain([size_of::<Dispute>()]);
    for (row, (start, end)) in rows.iter().zip(said.iter().zip(ends)) {
        let length: u64 = row[1].split(", ").map(bytes).sum();
        assert_eq!(start + length as usize, end, "{row:?}");
    }
    // Of a row of several fields, the last one.
    let (challenger, place, accumulator) = (
        offset_of!(Dispute, challenger),
        offset_of!(Dispute, place),
        offset_of!(Dispute, game.ground.accumulator_root),
    );
    assert_eq!((challenger, place, accumulator), (136, 189, 384));
    let (mixture, windows, output) = (
        offset_of!(Dispute, game.ground.mixture_bps),
        offset_of!(Dispute, game.ground.windows),
        offset_of!(Dispute, game.output_root),
    );
    assert_eq!((mixture, windows, output), (736, 804, 1496));
    let (clock, length) = (offset_of!(Dispute, game.moved_slot), offset_of!(Dispute, game.node_len));
    assert_eq!((clock, length), (1544, 1600));
    assert!(DISPUTES.contains(&format!("The account, {} bytes", size_of::<Dispute>())));
    assert!(rows[0][2].contains(&format!(
        "kind {}, version {}",
        AccountKind::Dispute as u8,
        AccountKind::Dispute.version()
    )));
    assert!(
        DISPUTES.contains(&format!("a buffer of {MAX_PAYLOAD} bytes"))
            && DISPUTES.contains(&format!("at most {MAX_NODE})"))
    );
    assert_eq!((MAX_BASES, MAX_PINNED), (16, 2056));
}

#[test]
fn leaf_and_claim_have_the_layouts_of_the_page() {
    let tables = rows(COMMITMENTS, "| offset | type | field |");
    let (leaf, claim) = tables.split_at(6);
    let starts = |rows: &[Vec<&str>]| rows.iter().map(|row| number(row[0]) as usize).collect::<Vec<_>>();
    let size = |rows: &[Vec<&str>]| rows.last().map(|row| (number(row[0]) + bytes(row[1])) as usize);
    let contiguous =
        |rows: &[Vec<&str>]| rows.windows(2).all(|pair| number(pair[0][0]) + bytes(pair[0][1]) == number(pair[1][0]));
    assert!(contiguous(leaf) && contiguous(claim));
    assert_eq!((size(leaf), size(claim)), (Some(LEAF_BYTES), Some(size_of::<SegmentClaim>())));
    let claim_starts = [
        offset_of!(SegmentClaim, start_root),
        offset_of!(SegmentClaim, end_root),
        offset_of!(SegmentClaim, accumulator_root),
        offset_of!(SegmentClaim, leaf_count),
        offset_of!(SegmentClaim, place),
        offset_of!(SegmentClaim, reserved),
        offset_of!(SegmentClaim, previous_root),
        offset_of!(SegmentClaim, update_root),
    ];
    assert_eq!(starts(claim), claim_starts);
    // Every field of a leaf at its place, by bytes that occur nowhere else.
    let preimage = Leaf {
        first_step: 0x0101_0101,
        count: 0x0202_0202,
        start_root: [3; 32],
        batches_root: [4; 32],
        end_root: [5; 32],
    }
    .preimage();
    let first = |byte: u8| preimage.iter().position(|other| *other == byte).expect("the field is there");
    assert_eq!(starts(leaf), [0, first(1), first(2), first(3), first(4), first(5)]);
    assert!(preimage.starts_with(b"sip.leaf.1") && leaf[0][2] == "\"sip.leaf.1\"");
    assert!(COMMITMENTS.contains("preimage of a leaf, 114 bytes") && COMMITMENTS.contains("once per round, 168 bytes"));
    let costs = include_str!("../../../../docs/spec/costs.md");
    assert!(costs.contains(&format!("The account that it makes has {} bytes", size_of::<Segment>())));
}

#[test]
fn instructions_have_the_tags_names_and_arguments_of_the_pages() {
    fn size<A: Args>() -> (u8, usize) {
        (A::TAG, size_of::<A>())
    }
    let sizes = [
        size::<court::OpenDispute>(),
        size::<court::Upload>(),
        size::<court::PlayMove>(),
        size::<court::TimeOut>(),
        size::<court::ResolveDispute>(),
        size::<court::CloseDispute>(),
        size::<court::OpenVoteDispute>(),
        size::<court::OpenAttestationDispute>(),
        size::<court::OpenGenesisDispute>(),
        size::<court::ResolveAuditorDispute>(),
        size::<court::ResolveGenesisDispute>(),
        size::<court::OpenRunDispute>(),
        size::<court::ResolveRunDispute>(),
        size::<finality::CommitAccusation>(),
        size::<finality::WithdrawAccusation>(),
        size::<finality::ExpireAccusation>(),
        size::<finality::ClaimBounty>(),
        size::<finality::FinalizeRound>(),
        size::<finality::UndoRound>(),
        size::<finality::AmendSegment>(),
        size::<finality::DemandState>(),
        size::<finality::DemandData>(),
        size::<finality::UploadAnswer>(),
        size::<finality::AnswerState>(),
        size::<finality::AnswerData>(),
        size::<finality::FailState>(),
        size::<finality::FailData>(),
        size::<finality::CloseDemand>(),
        size::<finality::CaptureSeed>(),
        size::<finality::RetireDataset>(),
        size::<finality::ReleaseBounty>(),
        size::<finality::ReclaimClaim>(),
        size::<finality::ReclaimRound>(),
    ];
    let columns = "| tag | name | data | signer |";
    let rows = [rows(DISPUTES, columns), rows(FINALITY, columns)].concat();
    let said: Vec<(u8, usize)> = rows.iter().map(|row| (number(row[0]) as u8, argument_bytes(row[2]))).collect();
    assert_eq!(said, sizes);
    for row in rows {
        assert_eq!(name(number(row[0]) as u8), Some(row[1]));
    }
}

#[test]
fn cases_phases_and_moves_have_the_numbers_of_the_page() {
    let cases = rows(DISPUTES, "| number | case | claim | defendant | graph |");
    let known: Vec<(u64, String)> =
        CaseKind::ALL.iter().map(|case| (*case as u64, format!("{case:?}").to_lowercase())).collect();
    assert_eq!(cases.iter().map(|row| (number(row[0]), row[1].to_owned())).collect::<Vec<_>>(), known);

    let phases = rows(DISPUTES, "| number | phase | on move | move | what follows |");
    let said: Vec<(u64, String, String)> = phases
        .iter()
        .filter(|row| !row[0].is_empty())
        .map(|row| (number(row[0]), row[1].to_owned(), row[2].to_owned()))
        .collect();
    let on_move = |phase: Phase| match phase {
        Phase::Over => "–".to_owned(),
        _ if phase.on_move() == Side::Trainer => "trainer".to_owned(),
        _ => "challenger".to_owned(),
    };
    let known: Vec<_> = Phase::ALL.iter().map(|phase| (*phase as u64, format!("{phase:?}"), on_move(*phase))).collect();
    assert_eq!(said, known);

    let moves = rows(DISPUTES, "| number | move | payload |");
    let known: Vec<_> = MoveKind::ALL.iter().map(|kind| (*kind as u64, format!("{kind:?}"))).collect();
    assert_eq!(moves.iter().map(|row| (number(row[0]), row[1].to_owned())).collect::<Vec<_>>(), known);
}

#[test]
fn operators_have_the_numbers_and_limits_of_the_page() {
    let limits = [
        sip_ops::MAX_OUT_LABELS as u64,
        sip_ops::MAX_REDUCE_LABELS as u64,
        sip_ops::MAX_OPERANDS as u64,
        sip_ops::MAX_PROGRAM as u64,
        sip_ops::MAX_ELEMENTS.into(),
        sip_ops::MAX_TERMS.into(),
        sip_ops::PIECE_TERMS.into(),
    ];
    let said: Vec<u64> = rows(OPERATORS, "| quantity | most |").iter().map(|row| number(row[1])).collect();
    assert_eq!(said, limits);

    let kinds = [
        Kind::Input,
        Kind::Contract,
        Kind::ReduceAdd,
        Kind::ReduceMax,
        Kind::Map,
        Kind::Gather,
        Kind::ScatterAdd,
        Kind::ContractI8,
    ];
    let rows_of_kinds = rows(OPERATORS, "| kind | name | types of operands | output | initial value | a term |");
    assert_eq!(rows_of_kinds.len(), kinds.len());
    for (row, kind) in rows_of_kinds.iter().zip(kinds) {
        assert_eq!((number(row[0]), row[1].replace(' ', "")), (kind as u64, format!("{kind:?}").to_lowercase()));
    }

    let opcodes = rows(OPERATORS, "| opcode | name | types | result |");
    assert_eq!(opcodes.len(), Opcode::ALL.len());
    for (row, opcode) in opcodes.iter().zip(Opcode::ALL) {
        assert_eq!((number(row[0]), row[1]), (opcode as u64, format!("{opcode:?}").as_str()));
    }
}

#[test]
fn accusations_and_demands_have_the_limits_of_the_page() {
    let said = FINALITY.split_whitespace().collect::<Vec<_>>().join(" ");
    let tag = core::str::from_utf8(accusation::TAG).expect("text");
    for words in [
        format!("sha256(\"{tag}\" ‖ subject ‖ place u8"),
        format!("1 to {} slots later", sip_protocol::ground::escrow::REVEAL_SLOTS),
        format!("of which there are at most {}", availability::MAX_OPEN_DEMANDS),
        format!("account's buffer of {} bytes", availability::MAX_ANSWER),
        format!("{} % of `dispute_bond`", sip_protocol::admin::penalties::FEE_BPS / 100),
    ] {
        assert!(said.contains(&words), "the page does not say \"{words}\"");
    }
    let rows = rows(FINALITY, "| claim | subject | place | made | bounty waits in |");
    let is_auditors = |row: &&Vec<&str>| row[2] == "the auditor's";
    assert_eq!(rows.iter().filter(is_auditors).count(), 2);
    assert!(rows.iter().filter(|row| !is_auditors(row)).all(|row| number(row[2]) == u64::from(accusation::NO_PLACE)));
    assert_eq!((MAX_TRAINERS, MAX_AUDITORS, MAX_DOMAINS), (16, 16, 8));
}

/// The names of all tests in the Rust files below a folder.
fn tests(folder: &std::path::Path, names: &mut std::collections::HashSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            tests(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let mut is_test = false;
            for line in source.lines().map(str::trim_start) {
                is_test |= line.starts_with("#[test]");
                let Some((name, _)) = line.strip_prefix("fn ").and_then(|rest| rest.split_once('(')) else { continue };
                if std::mem::take(&mut is_test) {
                    names.insert(name.to_owned());
                }
            }
        }
    }
}

#[test]
fn every_attack_that_was_tried_names_tests_that_exist_and_says_which_run_the_rules_alone() {
    let [names, of_rules, of_the_program] = ["/..", "", "/../client"].map(|folder| {
        let mut names = std::collections::HashSet::new();
        tests(std::path::Path::new(&[env!("CARGO_MANIFEST_DIR"), folder].concat()), &mut names);
        names
    });
    let page = include_str!("../../../../docs/security.md");
    let table = rows(page, "| attack | costs the attacker | costs the victim | test |");
    assert!(table.len() > 40, "{}", table.len());
    for row in table {
        let tests: Vec<&str> = row[3].split(',').map(|test| test.trim().trim_matches('`')).collect();
        for test in tests {
            assert!(names.contains(test), "{}: there is no test {test}", row[0]);
            let is_said = row[..3].iter().any(|cell| cell.contains("rules"));
            let is_of_rules = of_rules.contains(test) && !of_the_program.contains(test);
            assert!(is_said || !is_of_rules, "{}: {test} runs the rules alone", row[0]);
        }
    }
}

#[test]
fn the_page_says_of_every_kind_of_account_when_it_closes() {
    let table = rows(FINALITY, "| kind | account | closes by | when | rent goes to |");
    let mut told: Vec<u32> = table.iter().map(|row| number(row[0])).map(|kind| kind as u32).collect();
    told.sort_unstable();
    assert_eq!(told, AccountKind::ALL.iter().map(|kind| *kind as u32).collect::<Vec<_>>());
}
